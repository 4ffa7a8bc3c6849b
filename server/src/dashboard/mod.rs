//! The pages for people: the list of their routes, and who may use which.
//!
//! Every request passes [`page::recognise`], which finds out who asks and turns refusals into pages; then the guard of its group;
//! then, when it is a form, [`csrf::own_forms`]. Handlers meet only people who may, with forms that are ours.

mod alarm_actions;
mod alarm_page;
mod alarms;
mod assets;
mod calendar;
mod csrf;
mod device;
mod do_not_call;
mod edit_page;
mod field;
pub mod first_login;
mod gateway_form;
mod gateway_page;
mod handsets;
mod heartbeat_form;
mod heartbeat_page;
mod ladder;
mod line_form;
mod line_page;
mod line_preview;
mod lines;
mod live;
mod login;
mod now;
mod own_link;
mod page;
mod people;
mod place;
mod policies;
mod policy_form;
mod policy_rules;
mod read;
mod roster;
mod schedule_page;
mod senders;
mod session;
mod standing;
mod throttle;
mod timeline;
mod trouble;
mod typed_time;
mod users;
mod whom_form;
mod window_form;
mod window_page;
mod words;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::app::App;
use crate::config::{Config, ProxySign};
use crate::http::doors::Refused;
use crate::store::{Store, StoreError};
use crate::users::Passwords;

/// What the pages keep in memory.
pub struct Dashboard {
    passwords: Passwords,
    throttle: throttle::Throttle,
    boards: read::Boards,
    devices: device::Devices,
    watching: Arc<live::Watching>,
    first_login: first_login::FirstLogin,
}

impl Dashboard {
    /// Prepares the pages, and a way in for the first user when there is none yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prepare(store: &Store, config: &Config, address: SocketAddr) -> Result<Self, StoreError> {
        Ok(Self {
            passwords: Passwords::default(),
            throttle: throttle::Throttle::default(),
            boards: read::Boards::default(),
            devices: device::Devices::load(store).await?,
            watching: Arc::new(live::Watching::new(config.http.max_pages, config.http.pages_per_user)),
            first_login: first_login::FirstLogin::prepare(store, &config.data_dir, address).await?,
        })
    }

    /// Hears why somebody was refused without a key: what points to a proxy is told on the pages.
    pub fn note_refusal(&self, why: Refused) {
        if why == Refused::BehindProxy(ProxySign::OldHttp) {
            self.boards.note_proxy();
        }
    }

    /// The way in for the first user.
    #[must_use]
    pub fn first_login(&self) -> &first_login::FirstLogin {
        &self.first_login
    }
}

/// Every page.
pub fn router(app: &Arc<App>) -> Router<Arc<App>> {
    let everybody = Router::new()
        .route("/login", get(login::show).post(login::enter))
        .route("/setup", get(first_login::show).post(first_login::make))
        .route("/live", get(live::watch))
        .route_layer(from_fn_with_state(Arc::clone(app), csrf::own_forms));
    // The address is the proof, so that it also works where cookies do not.
    let callees = Router::new()
        .route("/c/{token}", get(own_link::show))
        .route("/c/{token}/take", post(own_link::take))
        .route("/c/{token}/decline", post(own_link::decline));
    let viewers = Router::new()
        .route("/", get(now::show))
        .route("/alarms", get(alarms::show))
        .route("/alarms/{id}", get(alarm_page::show))
        .route("/handsets", get(handsets::show))
        .route("/people", get(people::show))
        .route("/password", get(users::show_mine).post(users::change_mine))
        .route("/policies", get(policies::show))
        .route("/roster", get(roster::show))
        .route("/roster/{id}", get(schedule_page::show))
        .route("/lines", get(lines::show))
        .route("/logout", post(login::leave))
        .route_layer(from_fn_with_state(Arc::clone(app), csrf::own_forms))
        .route_layer(from_fn(session::viewers));
    let responders = Router::new()
        .route("/alarms/{id}/acknowledge", post(alarm_page::acknowledge))
        .route("/alarms/{id}/cancel", post(alarm_page::cancel))
        .route("/alarms/{id}/redial", post(alarm_page::redial))
        .route("/alarms/{id}/callees/{callee}/skip", post(alarm_actions::skip))
        .route("/alarms/{id}/escalate", post(alarm_actions::escalate))
        .route("/alarms/{id}/snooze", post(alarm_actions::snooze))
        .route("/alarms/{id}/notes", post(alarm_actions::note))
        .route("/alarms/{id}/policy", post(alarm_actions::set_policy))
        .route("/handsets/test", post(handsets::test))
        .route("/lines/{id}/forward", post(lines::forward))
        .route("/maintenance/new", get(window_page::begin).post(window_page::add))
        .route("/maintenance/{id}/end", post(window_page::end))
        .route("/roster/vacations", post(roster::add_vacation))
        .route("/roster/vacations/{id}/remove", post(roster::remove_vacation))
        .route("/roster/{id}/override", post(schedule_page::add_override))
        .route("/roster/{id}/override/{override}/remove", post(schedule_page::remove_override))
        .route("/roster/{id}/temporary", post(schedule_page::add_temporary))
        .route("/roster/{id}/temporary/{temporary}/remove", post(schedule_page::remove_temporary))
        .route_layer(from_fn_with_state(Arc::clone(app), csrf::own_forms))
        .route_layer(from_fn(session::responders));
    let admins = Router::new()
        .route("/handsets/add", post(handsets::add))
        .route("/handsets/rename", post(handsets::rename))
        .route("/handsets/rotate", post(handsets::rotate))
        .route("/handsets/disable", post(handsets::disable))
        .route("/handsets/enable", post(handsets::enable))
        .route("/handsets/remove", post(handsets::remove))
        .route("/handsets/allow", post(handsets::allow))
        .route("/people/add", post(people::add))
        .route("/people/{id}", get(people::edit).post(people::change))
        .route("/people/{id}/remove", post(people::remove))
        .route("/users", get(users::show))
        .route("/senders", get(senders::show))
        .route("/users/add", post(users::add))
        .route("/users/role", post(users::change_role))
        .route("/users/disable", post(users::disable))
        .route("/users/enable", post(users::enable))
        .route("/users/reset", post(users::reset))
        .route("/policies/new", get(policies::begin).post(policies::add))
        .route("/policies/rules", get(policy_rules::show).post(policy_rules::change))
        .route("/policies/{id}", get(policies::edit).post(policies::change))
        .route("/policies/{id}/remove", post(policies::remove))
        .route("/lines/new", get(line_page::begin).post(line_page::add))
        .route("/lines/preview", post(line_page::preview))
        .route("/lines/{id}", get(line_page::edit).post(line_page::change))
        .route("/lines/{id}/bind", post(line_page::bind))
        .route("/lines/{id}/remove", post(line_page::remove))
        .route("/gateways/new", get(gateway_page::begin).post(gateway_page::add))
        .route("/gateways/{id}", get(gateway_page::edit).post(gateway_page::change))
        .route("/gateways/{id}/remove", post(gateway_page::remove))
        .route("/heartbeats/new", get(heartbeat_page::begin).post(heartbeat_page::add))
        .route("/heartbeats/{id}", get(heartbeat_page::edit).post(heartbeat_page::change))
        .route("/heartbeats/{id}/remove", post(heartbeat_page::remove))
        .route("/do-not-call/add", post(do_not_call::add))
        .route("/do-not-call/remove", post(do_not_call::remove))
        .route("/roster/schedules", post(roster::add_schedule))
        .route("/roster/teams", post(roster::set_team))
        .route("/roster/teams/{team}/remove", post(roster::remove_team))
        .route("/roster/{id}/rotation", post(schedule_page::set_rotation))
        .route("/roster/{id}/layer/remove", post(schedule_page::remove_layer))
        .route("/roster/{id}/feed", post(schedule_page::add_feed))
        .route("/roster/{id}/feed/{feed}/revoke", post(schedule_page::revoke_feed))
        .route("/roster/{id}/remove", post(schedule_page::remove))
        .route_layer(from_fn_with_state(Arc::clone(app), csrf::own_forms))
        .route_layer(from_fn(session::admins));
    let timeout = TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, app.config().http.request_timeout);
    let pages = everybody
        .merge(callees)
        .merge(viewers)
        .merge(responders)
        .merge(admins)
        .method_not_allowed_fallback(async || page::Refusal::NotFound);
    pages
        .layer(from_fn_with_state(Arc::clone(app), page::recognise))
        // For everybody, and without the database: the page that says that it is away wants its style too.
        .route("/assets/{name}", get(assets::serve))
        .layer(CatchPanicLayer::custom(page::panicked))
        .layer(timeout)
}

/// Whether whoever asks is a browser that wants a page, or to hear what changes on one.
fn wants_page(headers: &HeaderMap) -> bool {
    let wanted = |kinds: &str| kinds.contains("text/html") || kinds.contains("text/event-stream");
    headers.get_all(header::ACCEPT).iter().any(|kinds| kinds.to_str().is_ok_and(wanted))
}

/// A page instead of the answer for phones, when a browser asks for an address at which there is nothing.
pub fn nothing_here(app: &App, peer: SocketAddr, method: &Method, headers: &HeaderMap, path: &str) -> Option<Response> {
    (wants_page(headers) && method == Method::GET).then(|| page::nothing_here(app, peer, headers, path))
}
