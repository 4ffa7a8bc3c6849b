//! Logging in and out; the second step, second factors and sessions in files beside it.

pub(in crate::dashboard) mod code;
pub(in crate::dashboard) mod half_way;
pub(in crate::dashboard) mod second_factor;
pub(in crate::dashboard) mod sessions;

use std::net::SocketAddr;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::app::App;
use crate::dashboard::Dashboard;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::device;
use crate::dashboard::frame::field::{Field, Input, Wrong};
use crate::dashboard::frame::form::Form;
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::place::Place;
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::session;
use crate::dashboard::frame::session::Cookies;
use crate::dashboard::frame::throttle::{From, TooSoon};
use crate::dashboard::frame::vouched;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::dashboard::query::asked;

#[derive(Template)]
#[template(path = "people/login.html")]
struct LoginPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    form: Form,
    /// There is nobody yet who could log in.
    nobody_yet: bool,
    /// Who else may say who somebody is.
    others: Vec<Other>,
    /// One of them does not answer.
    away: Option<String>,
}

/// A way in beside the password.
struct Other {
    address: String,
    go: String,
}

/// `GET /login`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = query.unwrap_or_default();
    let next = asked(&query, "next").map_or(Place::Now, |path| Place::after_login(&path));
    if reader.visitor.is_some() {
        return Ok(go_to(&next.to_string()));
    }
    // A proxy in front has let them in already. Whoever has just left is not let in again unasked.
    if app.access.trusted_header.says(app.config(), peer, &headers).is_some() && asked(&query, "out").is_none() {
        return Ok(go_to(&format!("/login/proxy?next={next}")));
    }
    page(&app, &reader, StatusCode::OK, "", &next.to_string(), None).await
}

/// `POST /login`
pub(in crate::dashboard) async fn enter(
    State(pages): State<Arc<Dashboard>>,
    Extension(reader): Extension<Reader>,
    headers: HeaderMap,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let app = &pages.app;
    let (name, next) = (fields.get("name").trim(), Place::after_login(fields.get("next")));
    let dashboard = &pages;
    let device = Cookies::of(&headers).get(device::COOKIE).and_then(|cookie| dashboard.devices.read(cookie, name));
    let from = From { address: reader.address, device };
    if let Err(TooSoon { seconds, first }) = dashboard.throttle.admit(from, name, app.engine.clock.now()) {
        if first {
            tracing::warn!(client.address = %reader.address, "many logins fail for one name from there: tries are slowed down");
        }
        let wrong = fill_text(&reader.words.login_throttled, &[("s", &seconds.to_string())]);
        let mut response = page(app, &reader, StatusCode::TOO_MANY_REQUESTS, name, &next.to_string(), Some(wrong)).await?;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        return Ok(response);
    }
    let user = app.engine.store.read().await?.db().user_by_name(name).await?.filter(|user| user.disabled_at.is_none());
    let right = dashboard.passwords.verify(fields.get("password"), user.as_ref()).await?;
    let Some(user) = user.as_ref().filter(|_| right) else {
        // A name that nobody has may be a password in the wrong field.
        let known = user.as_ref().map_or("(nobody's)", |user| user.name.as_str());
        tracing::warn!(user.name = known, client.address = %reader.address, "a login failed");
        session::refused(&pages, known, user.as_ref()).await?;
        let wrong = Some(reader.words.login_wrong.clone());
        return page(app, &reader, StatusCode::UNAUTHORIZED, name, &next.to_string(), wrong).await;
    };
    dashboard.throttle.good(from, name);
    if code::is_asked(app, user.id).await? {
        return Ok(code::ask(&pages, &reader, user, next));
    }
    let from = session::came_from(reader.address, &headers);
    let token = session::begin(&app.engine, user.id, &user.name, &from).await?;
    tracing::info!(user.name = %user.name, "logged in");
    let mut response = go_to(&next.to_string());
    session::give(&mut response, &token, reader.secure);
    vouched::over(&mut response, reader.secure);
    if device.is_none() {
        session::set_cookie(&mut response, device::COOKIE, &dashboard.devices.cookie(&user.name), device::LASTS, reader.secure);
    }
    Ok(response)
}

/// Ends the session of whoever is in, and answers with that.
pub(super) async fn leave(app: &App, reader: &Reader, mut response: Response) -> Result<Response, Refusal> {
    if let Some(visitor) = &reader.visitor {
        session::end(&app.engine, visitor).await?;
    }
    session::take_away(&mut response, reader.secure);
    Ok(response)
}

/// The page by which people log in.
pub(super) async fn page(
    app: &App,
    reader: &Reader,
    status: StatusCode,
    name: &str,
    next: &str,
    wrong: Option<String>,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let nobody_yet = app.engine.store.read().await?.db().count_users().await? == 0;
    let frame = Frame::new(reader, "", words.login_title.as_str(), app.engine.clock.now());
    let (user, password) =
        (Field::plain("name", &words.login_name, Input::Name), Field::plain("password", &words.login_password, Input::Password));
    let user = user.value(name).required().completed("username").begins(name.is_empty());
    let password = password.required().completed("current-password").begins(!name.is_empty());
    // Which of the two is wrong is nobody's business.
    let wrong = wrong.map(|sentence| Wrong::new("", sentence));
    let form = Form::new(reader, "", "/login", &words.login_go).holding("next", next).looking("go wide");
    let form = form.with([user, password]).saying(wrong.as_ref());
    let offer = app.access.oidc.offer();
    let fill = |text: &str, name: &str| fill_text(text, &[("provider", name)]);
    let away =
        offer.as_ref().filter(|offer| offer.is_away && !form.is_wrong()).map(|offer| fill(&words.identity_away, &offer.name));
    let to = form_urlencoded::byte_serialize(next.as_bytes()).collect::<String>();
    let by_provider =
        offer.map(|offer| Other { address: format!("/login/oidc?next={to}"), go: fill(&words.identity_go, &offer.name) });
    let by_proxy = app
        .config()
        .identity
        .user_header
        .is_some()
        .then(|| Other { address: format!("/login/proxy?next={to}"), go: fill(&words.identity_go, &words.identity_proxy) });
    let others = by_provider.into_iter().chain(by_proxy).collect();
    Ok(html(status, &LoginPage { frame, words, form, nobody_yet, others, away }))
}
