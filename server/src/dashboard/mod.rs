//! The pages for people: the list of their routes, and who may use which.
//!
//! Every request passes [`frame::page::recognise`], which finds out who asks and turns refusals into pages; then the guard of its group,
//! in [`reach`]; then, when it is a form, [`frame::csrf::own_forms`]. Handlers meet only people who may, with forms that are ours.

pub mod alarm;
mod audit;
mod browser;
mod connect;
pub mod duty;
pub mod frame;
mod handsets;
pub mod lines;
mod notices;
pub mod people;
pub mod policies;
mod query;
mod quiet_hours;
mod reach;
mod reports;
mod sender;
mod senders;
mod shouts;
mod system;
pub mod watch;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{any, get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::access::oidc::ticket::Tickets;
use crate::app::App;
use crate::keep::users::Passwords;
use crate::store::StoreError;

/// The pages: what all faces share, and what only pages keep in memory.
pub struct Dashboard {
    app: Arc<App>,
    passwords: Passwords,
    throttle: frame::throttle::Throttle,
    boards: alarm::read::Boards,
    devices: frame::device::Devices,
    watching: Arc<frame::live::Watching>,
    first_login: people::first_login::FirstLogin,
    half_way: people::login::half_way::HalfWay,
    tickets: Tickets,
}

impl Dashboard {
    /// Prepares the pages, and a way in for the first user when there is none yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prepare(app: Arc<App>, address: SocketAddr) -> Result<Self, StoreError> {
        let (store, config) = (&app.engine.store, app.config());
        Ok(Self {
            passwords: Passwords::default(),
            throttle: frame::throttle::Throttle::default(),
            boards: alarm::read::Boards::default(),
            devices: frame::device::Devices::load(store).await?,
            watching: Arc::new(frame::live::Watching::new(config.http.max_pages, config.http.pages_per_user)),
            tickets: Tickets::load(store).await?,
            first_login: people::first_login::FirstLogin::prepare(store, &config.data_dir, address).await?,
            half_way: people::login::half_way::HalfWay::load(store).await?,
            app: Arc::clone(&app),
        })
    }

    /// The way in for the first user.
    #[must_use]
    pub fn first_login(&self) -> &people::first_login::FirstLogin {
        &self.first_login
    }
}

/// What handlers of pages are given a part of.
#[derive(Clone)]
struct Pages(Arc<Dashboard>);

impl FromRef<Pages> for Arc<Dashboard> {
    fn from_ref(Pages(pages): &Pages) -> Self {
        Arc::clone(pages)
    }
}

impl FromRef<Pages> for Arc<App> {
    fn from_ref(Pages(pages): &Pages) -> Self {
        Arc::clone(&pages.app)
    }
}

/// Every page.
pub fn router(pages: Arc<Dashboard>) -> Router {
    let app = &pages.app;
    let everybody = Router::new()
        .route("/login", get(people::login::show).post(people::login::enter))
        .route("/login/code", get(people::login::code::show).post(people::login::code::enter))
        .route("/login/oidc", get(people::oidc::begin))
        .route("/login/oidc/callback", get(people::oidc::back))
        .route("/login/proxy", get(people::oidc::by_proxy))
        .route("/setup", get(people::first_login::show).post(people::first_login::make))
        .route("/live", get(frame::live::watch))
        .route("/lines", any(lines::moved))
        .route("/lines/{*rest}", any(lines::moved))
        .route_layer(from_fn_with_state(Arc::clone(app), frame::csrf::own_forms));
    // The address is the proof, so that it also works where cookies do not.
    let callees = Router::new()
        .route("/c/{token}", get(alarm::own_link::show))
        .route("/c/{token}/take", post(alarm::own_link::take))
        .route("/c/{token}/decline", post(alarm::own_link::decline))
        .route("/c/{token}/give-back", post(alarm::own_link::give_back));
    let viewers = Router::new()
        .route("/", get(alarm::overview::views::show))
        .route("/alarms", get(alarm::list::show))
        .route("/alarms.csv", get(alarm::list::file::csv))
        .route("/alarms.json", get(alarm::list::file::json))
        .route("/alarms/{id}", get(alarm::one::show))
        .route("/handsets", get(handsets::show))
        .route("/people", get(people::list::show))
        .route("/people/{id}/calls", get(people::calls::person))
        .route("/people/{id}/about", get(people::person::show))
        .route("/people/me", get(people::me::show))
        .route("/people/me/ring", post(people::me::ring))
        .route("/people/me/language", post(people::me::set_language))
        .route("/people/me/feed", post(people::me::add_feed))
        .route("/people/me/feed/{feed}/revoke", post(people::me::revoke_feed))
        .route("/people/me/told", get(people::told::show_mine).post(people::told::change_mine))
        .route("/people/me/sessions", get(people::login::sessions::show_mine))
        .route("/people/me/sessions/end", post(people::login::sessions::end_mine))
        .route("/people/me/second-factor", get(people::login::second_factor::show).post(people::login::second_factor::begin))
        .route("/people/me/second-factor/confirm", post(people::login::second_factor::confirm))
        .route("/people/me/second-factor/codes", post(people::login::second_factor::renew_codes))
        .route("/people/me/second-factor/remove", post(people::login::second_factor::remove))
        .route("/password", get(people::users::show_mine).post(people::users::change_mine))
        .route("/password/identities", get(people::identities::show))
        .route("/login/oidc/connect", post(people::oidc::connect))
        .route("/login/proxy/connect", post(people::oidc::connect_proxy))
        .route("/policies", get(policies::list::show))
        .route("/roster", get(duty::overview::show))
        .route("/roster/swaps", get(duty::swaps::show).post(duty::swaps::ask))
        .route("/roster/swaps/{id}/accept", post(duty::swaps::accept))
        .route("/roster/swaps/{id}/decline", post(duty::swaps::decline))
        .route("/roster/swaps/{id}/take-back", post(duty::swaps::take_back))
        .route("/roster/{id}", get(duty::schedule::show))
        .route("/numbers", get(lines::overview::show))
        .route("/watch", get(watch::overview::show))
        .route("/shouts", get(shouts::list::show))
        .route("/shouts/opted-out", get(shouts::opted_out::show))
        .route("/shouts/{id}", get(shouts::one::show))
        .route("/shouts/{id}/calls", get(shouts::one::list))
        .route("/reports", get(reports::show))
        .route("/reports.csv", get(reports::file))
        .route("/logout", post(people::oidc::leave))
        .route_layer(from_fn_with_state(Arc::clone(app), frame::csrf::own_forms))
        .route_layer(from_fn_with_state(Arc::clone(app), reach::viewers));
    let responders = Router::new()
        .route("/alarms/{id}/acknowledge", post(alarm::one::acknowledge))
        .route("/alarms/{id}/decline", post(alarm::one::decline))
        .route("/alarms/{id}/give-back", post(alarm::one::give_back))
        .route("/alarms/new", get(alarm::at_night::page_somebody::begin).post(alarm::at_night::page_somebody::send))
        .route("/alarms/{id}/cancel", post(alarm::one::cancel))
        .route("/alarms/{id}/redial", post(alarm::one::redial))
        .route("/alarms/{id}/callees/{callee}/skip", post(alarm::actions::skip))
        .route("/alarms/{id}/recordings/{recording}", get(alarm::recordings::listen))
        .route("/alarms/{id}/calls/{record}/hang-up", post(alarm::running::hang_up))
        .route("/alarms/{id}/calls/{record}/say", post(alarm::running::say))
        .route("/alarms/{id}/escalate", post(alarm::actions::escalate))
        .route("/alarms/{id}/snooze", post(alarm::actions::snooze))
        .route("/alarms/{id}/notes", post(alarm::actions::note))
        .route("/alarms/{id}/policy", post(alarm::actions::set_policy))
        .route("/alarms/{id}/false", post(reports::false_alarm::mark))
        .route("/alarms/{id}/not-false", post(reports::false_alarm::take_back))
        .route("/calls", get(people::calls::all))
        .route("/calls.csv", get(people::calls::file))
        .route("/handsets/test", post(handsets::test))
        .route("/numbers/{id}/forward", post(lines::overview::forward))
        .route("/maintenance/new", get(watch::window::begin).post(watch::window::add))
        .route("/maintenance/{id}/end", post(watch::window::end))
        .route("/shouts/opted-out/remove", post(shouts::opted_out::remove))
        .route("/shouts/{id}/message", get(shouts::one::listen))
        .route("/shouts/{id}/cancel", post(shouts::one::cancel))
        .route("/roster/vacations", post(duty::overview::add_vacation))
        .route("/roster/vacations/{id}/remove", post(duty::overview::remove_vacation))
        .route("/roster/{id}/override", post(duty::schedule::add_override))
        .route("/roster/{id}/override/{override}/remove", post(duty::schedule::remove_override))
        .route("/roster/{id}/temporary", post(duty::schedule::add_temporary))
        .route("/roster/{id}/calendar/refresh", post(duty::schedule::refresh_calendar))
        .route("/roster/{id}/temporary/{temporary}/remove", post(duty::schedule::remove_temporary))
        .route_layer(from_fn_with_state(Arc::clone(app), frame::csrf::own_forms))
        .route_layer(from_fn_with_state(Arc::clone(app), reach::responders));
    // With a file, so longer than others.
    let with_files = Router::new()
        .route("/shouts/new", get(shouts::write::begin).post(shouts::write::send))
        .route_layer(from_fn_with_state(Arc::clone(app), frame::csrf::own_files))
        .route_layer(from_fn_with_state(Arc::clone(app), reach::responders));
    let admins = Router::new()
        .route("/handsets/add", post(handsets::add))
        .route("/handsets/rename", post(handsets::rename))
        .route("/handsets/channels", post(handsets::channels))
        .route("/handsets/inbound", post(handsets::inbound))
        .route("/handsets/rotate", post(handsets::rotate))
        .route("/handsets/disable", post(handsets::disable))
        .route("/handsets/enable", post(handsets::enable))
        .route("/handsets/remove", post(handsets::remove))
        .route("/handsets/allow", post(handsets::allow))
        .route("/people/add", post(people::list::add))
        .route("/people/{id}", get(people::list::edit).post(people::list::change))
        .route("/people/{id}/told", get(people::told::show).post(people::told::change))
        .route("/people/{id}/remove", post(people::list::remove))
        .route("/users", get(people::users::show))
        .route("/senders", get(senders::show))
        .route("/senders/{id}", get(sender::edit).post(sender::change))
        .route("/senders/add", post(senders::add))
        .route("/senders/{id}/revoke", post(senders::revoke))
        .route("/senders/{id}/narrow", post(senders::narrow))
        .route("/senders/one", get(connect::sender::show))
        .route("/senders/test", post(connect::sender::test))
        .route("/senders/ring", post(connect::sender::ring))
        .route("/connect", get(connect::choose::show))
        .route("/connect/key", post(connect::choose::make))
        .route("/connect/use", post(connect::choose::own))
        .route("/connect/file", post(connect::choose::download))
        .route("/system", get(system::show))
        .route("/audit", get(audit::show))
        .route("/audit.csv", get(audit::csv))
        .route("/people/{id}/personal", get(people::personal::show))
        .route("/people/{id}/personal.json", get(people::personal::file))
        .route("/people/{id}/erase", post(people::personal::erase))
        .route("/users/add", post(people::users::add))
        .route("/users/role", post(people::users::change_role))
        .route("/users/team", post(people::users::change_team))
        .route("/users/second-factor", post(people::users::reset_second_factor))
        .route("/users/{id}/sessions", get(people::login::sessions::show))
        .route("/users/{id}/sessions/end", post(people::login::sessions::end))
        .route("/users/disable", post(people::users::disable))
        .route("/users/enable", post(people::users::enable))
        .route("/users/reset", post(people::users::reset))
        .route("/users/disconnect", post(people::users::disconnect))
        .route("/policies/new", get(policies::list::begin).post(policies::list::add))
        .route("/policies/rules", get(policies::rules::show).post(policies::rules::change))
        .route("/policies/{id}", get(policies::list::edit).post(policies::list::change))
        .route("/policies/{id}/remove", post(policies::list::remove))
        .route("/numbers/new", get(lines::number::begin).post(lines::number::add))
        .route("/numbers/preview", post(lines::number::preview))
        .route("/numbers/{id}", get(lines::number::edit).post(lines::number::change))
        .route("/numbers/{id}/bind", post(lines::number::bind))
        .route("/numbers/{id}/remove", post(lines::number::remove))
        .route("/notices", get(notices::list::show))
        .route("/notices/new", get(notices::one::begin).post(notices::one::add))
        .route("/notices/{id}", get(notices::one::edit).post(notices::one::change))
        .route("/notices/{id}/test", post(notices::one::test))
        .route("/notices/{id}/remove", post(notices::one::remove))
        .route("/gateways", get(lines::gateway::list))
        .route("/gateways/{id}/test", post(lines::gateway::test))
        .route("/gateways/new", get(lines::gateway::begin).post(lines::gateway::add))
        .route("/gateways/{id}", get(lines::gateway::edit).post(lines::gateway::change))
        .route("/gateways/{id}/remove", post(lines::gateway::remove))
        .route("/heartbeats/new", get(watch::heartbeat::begin).post(watch::heartbeat::add))
        .route("/heartbeats/{id}", get(watch::heartbeat::edit).post(watch::heartbeat::change))
        .route("/heartbeats/{id}/remove", post(watch::heartbeat::remove))
        .route("/do-not-call/add", post(policies::do_not_call::add))
        .route("/do-not-call/remove", post(policies::do_not_call::remove))
        .route("/roster/schedules", post(duty::overview::add_schedule))
        .route("/roster/teams", post(duty::overview::set_team))
        .route("/roster/teams/{team}/remove", post(duty::overview::remove_team))
        .route("/roster/{id}/rotation", post(duty::schedule::set_rotation))
        .route("/roster/{id}/layer/remove", post(duty::schedule::remove_layer))
        .route("/roster/{id}/calendar", post(duty::schedule::set_calendar))
        .route("/roster/{id}/calendar/remove", post(duty::schedule::remove_calendar))
        .route("/roster/{id}/feed", post(duty::schedule::add_feed))
        .route("/roster/{id}/feed/{feed}/revoke", post(duty::schedule::revoke_feed))
        .route("/roster/{id}/remove", post(duty::schedule::remove))
        .route_layer(from_fn_with_state(Arc::clone(app), frame::csrf::own_forms))
        .route_layer(from_fn_with_state(Arc::clone(app), reach::admins));
    // One form with all of them, so longer than others.
    let with_rows = Router::new()
        .route("/quiet-hours", get(quiet_hours::show).post(quiet_hours::change))
        .route_layer(from_fn_with_state(Arc::clone(app), frame::csrf::own_long_forms))
        .route_layer(from_fn_with_state(Arc::clone(app), reach::admins));
    let timeout = TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, app.config().http.request_timeout);
    let all = everybody
        .merge(callees)
        .merge(viewers)
        .merge(responders)
        .merge(with_files)
        .merge(admins)
        .merge(with_rows)
        .method_not_allowed_fallback(async || frame::answer::Refusal::NotFound);
    all.layer(from_fn_with_state(Arc::clone(app), frame::page::recognise))
        // For everybody, and without the database: the page that says that it is away wants its style too.
        .route("/assets/{name}", get(frame::assets::serve))
        .layer(CatchPanicLayer::custom(frame::page::panicked))
        .layer(timeout)
        .with_state(Pages(pages))
}

/// Whether whoever asks is a browser that wants a page, or to hear what changes on one.
fn wants_page(headers: &HeaderMap) -> bool {
    let wanted = |kinds: &str| kinds.contains("text/html") || kinds.contains("text/event-stream");
    headers.get_all(header::ACCEPT).iter().any(|kinds| kinds.to_str().is_ok_and(wanted))
}

/// A page instead of the answer for phones, when a browser asks for an address at which there is nothing.
#[must_use]
pub fn nothing_here(app: &App, peer: SocketAddr, method: &Method, headers: &HeaderMap, path: &str) -> Option<Response> {
    (wants_page(headers) && method == Method::GET).then(|| frame::page::nothing_here(app, peer, headers, path))
}
