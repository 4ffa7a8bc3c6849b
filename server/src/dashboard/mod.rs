//! The pages for people: the list of their routes, and who may use which.
//!
//! Every request passes [`page::recognise`], which finds out who asks and turns refusals into pages; then the guard of its group;
//! then, when it is a form, [`csrf::own_forms`]. Handlers meet only people who may, with forms that are ours.

mod alarm_page;
mod alarms;
mod assets;
mod csrf;
mod first_login;
mod handsets;
mod ladder;
mod lines;
mod live;
mod login;
mod now;
mod page;
mod people;
mod place;
mod read;
mod session;
mod throttle;
mod timeline;
mod trouble;
mod words;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::app::App;
use crate::store::{Store, StoreError};
use crate::users::Passwords;

/// What the pages keep in memory.
pub struct Dashboard {
    passwords: Passwords,
    throttle: throttle::Throttle,
    boards: read::Boards,
    places: Arc<Semaphore>,
    first_login: first_login::FirstLogin,
}

impl Dashboard {
    /// Prepares the pages; when there is no user yet, says how the first one gets in.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prepare(store: &Store, data_dir: &Path, address: SocketAddr) -> Result<Self, StoreError> {
        Ok(Self {
            passwords: Passwords::default(),
            throttle: throttle::Throttle::default(),
            boards: read::Boards::default(),
            places: Arc::new(Semaphore::new(live::MOST_PAGES)),
            first_login: first_login::FirstLogin::prepare(store, data_dir, address).await?,
        })
    }
}

/// Every page.
pub fn router(app: &Arc<App>) -> Router<Arc<App>> {
    let everybody = Router::new()
        .route("/login", get(login::show).post(login::enter))
        .route("/setup", get(first_login::show).post(first_login::make))
        .route("/live", get(live::watch))
        .route("/assets/{name}", get(assets::serve))
        .route_layer(from_fn_with_state(Arc::clone(app), csrf::own_forms));
    let viewers = Router::new()
        .route("/", get(now::show))
        .route("/alarms", get(alarms::show))
        .route("/alarms/{id}", get(alarm_page::show))
        .route("/handsets", get(handsets::show))
        .route("/people", get(people::show))
        .route("/lines", get(lines::show))
        .route("/logout", post(login::leave))
        .route_layer(from_fn_with_state(Arc::clone(app), csrf::own_forms))
        .route_layer(from_fn(session::viewers));
    let responders = Router::new()
        .route("/alarms/{id}/acknowledge", post(alarm_page::acknowledge))
        .route("/alarms/{id}/cancel", post(alarm_page::cancel))
        .route("/alarms/{id}/redial", post(alarm_page::redial))
        .route("/handsets/test", post(handsets::test))
        .route_layer(from_fn_with_state(Arc::clone(app), csrf::own_forms))
        .route_layer(from_fn(session::responders));
    let admins = Router::new()
        .route("/handsets/add", post(handsets::add))
        .route("/handsets/rename", post(handsets::rename))
        .route("/handsets/rotate", post(handsets::rotate))
        .route("/handsets/disable", post(handsets::disable))
        .route("/handsets/enable", post(handsets::enable))
        .route("/handsets/allow", post(handsets::allow))
        .route("/people/add", post(people::add))
        .route("/people/{id}", get(people::edit).post(people::change))
        .route("/people/{id}/remove", post(people::remove))
        .route_layer(from_fn_with_state(Arc::clone(app), csrf::own_forms))
        .route_layer(from_fn(session::admins));
    let timeout = TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, app.config().http.request_timeout);
    let pages =
        everybody.merge(viewers).merge(responders).merge(admins).method_not_allowed_fallback(async || page::Refusal::NotFound);
    pages
        .layer(from_fn_with_state(Arc::clone(app), page::recognise))
        .layer(CatchPanicLayer::custom(page::panicked))
        .layer(timeout)
}

/// Whether whoever asks is a browser that wants a page.
#[must_use]
pub fn wants_page(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|kinds| kinds.to_str().is_ok_and(|kinds| kinds.contains("text/html")))
}

/// A page instead of the answer for phones, when a browser asks for an address at which there is nothing.
pub fn nothing_here(app: &App, peer: SocketAddr, method: &Method, headers: &HeaderMap, path: &str) -> Option<Response> {
    (wants_page(headers) && method == Method::GET).then(|| page::nothing_here(app, peer, headers, path))
}
