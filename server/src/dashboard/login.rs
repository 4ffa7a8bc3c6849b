//! Logging in and out.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use super::csrf::Fields;
use super::page::{Frame, Reader, Refusal, go_to, html};
use super::place::Place;
use super::session;
use super::words::Words;
use crate::app::App;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    name: &'r str,
    next: Place,
    /// What went wrong, as a sentence.
    wrong: Option<&'static str>,
    /// There is nobody yet who could log in.
    nobody_yet: bool,
}

/// `GET /login`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = query.unwrap_or_default();
    let next = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "next");
    let next = next.map_or(Place::Now, |(_, path)| Place::after_login(&path));
    if reader.visitor.is_some() {
        return Ok(go_to(&next.to_string()));
    }
    page(&app, &reader, StatusCode::OK, "", next, None).await
}

/// `POST /login`
pub(super) async fn enter(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let (name, next) = (fields.get("name").trim(), Place::after_login(fields.get("next")));
    let dashboard = &app.dashboard;
    if !dashboard.throttle.admit(reader.address, name, app.engine.clock.now()) {
        let wrong = Some(reader.words.login_throttled.as_str());
        let mut response = page(&app, &reader, StatusCode::TOO_MANY_REQUESTS, name, next, wrong).await?;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("600"));
        return Ok(response);
    }
    let user = app.engine.store.read().await?.db().user_by_name(name).await?.filter(|user| user.disabled_at.is_none());
    let right = dashboard.passwords.verify(fields.get("password"), user.as_ref()).await?;
    let Some(user) = user.filter(|_| right) else {
        return page(&app, &reader, StatusCode::UNAUTHORIZED, name, next, Some(reader.words.login_wrong.as_str())).await;
    };
    dashboard.throttle.good(reader.address, name);
    let token = session::begin(&app.engine, user.id).await?;
    tracing::info!(user.name = %user.name, "logged in");
    let mut response = go_to(&next.to_string());
    session::give(&mut response, &token, reader.secure);
    Ok(response)
}

/// `POST /logout`
pub(super) async fn leave(State(app): State<Arc<App>>, Extension(reader): Extension<Reader>) -> Result<Response, Refusal> {
    if let Some(visitor) = &reader.visitor {
        session::end(&app.engine, visitor).await?;
    }
    let mut response = go_to("/login");
    session::take_away(&mut response, reader.secure);
    Ok(response)
}

async fn page(
    app: &App,
    reader: &Reader,
    status: StatusCode,
    name: &str,
    next: Place,
    wrong: Option<&'static str>,
) -> Result<Response, Refusal> {
    let nobody_yet = app.engine.store.read().await?.db().count_users().await? == 0;
    let frame = Frame::new(reader, "", reader.words.login_title.as_str(), app.engine.clock.now());
    Ok(html(status, &LoginPage { frame, words: reader.words, name, next, wrong, nobody_yet }))
}
