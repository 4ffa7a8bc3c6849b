//! The second step of a login: whoever has shown their password shows a code of their app, or one that they have on paper. There is no session
//! before.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::half_way::{self, HalfWay};
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
use crate::dashboard::frame::session::{self, Cookies};
use crate::dashboard::frame::throttle::{From, TooSoon};
use crate::dashboard::frame::vouched;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::dashboard::query::asked;
use crate::ids::UserId;
use crate::keep::users::second_factor::{self, Checked};
use crate::store::access::users::UserRow;

#[derive(Template)]
#[template(path = "people/login/code.html")]
struct CodePage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    form: Form,
}

/// Whether this user shows a code as well.
///
/// # Errors
/// When the database fails.
pub(in crate::dashboard) async fn is_asked(app: &App, user: UserId) -> Result<bool, Refusal> {
    if !app.config().http.second_factor.is_on() {
        return Ok(false);
    }
    Ok(second_factor::confirmed(&mut app.engine.store.read().await?.db(), user).await?.is_some())
}

/// To the page that asks for the code, with a proof that the password was right.
pub(in crate::dashboard) fn ask(pages: &Dashboard, reader: &Reader, user: &UserRow, next: Place) -> Response {
    let proof = pages.half_way.proof(user, pages.app.engine.clock.now());
    let mut response = go_to(&format!("/login/code?next={next}"));
    session::set_cookie(&mut response, half_way::COOKIE, &proof, half_way::LASTS.num_seconds(), reader.secure);
    response
}

/// `GET /login/code`
pub(in crate::dashboard) async fn show(
    State(pages): State<Arc<Dashboard>>,
    Extension(reader): Extension<Reader>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let next = asked(&query.unwrap_or_default(), "next").map_or(Place::Now, |path| Place::after_login(&path));
    match user_of(&pages, &headers).await? {
        Some(_) => Ok(page(&pages.app, &reader, StatusCode::OK, next, None)),
        // The password was long ago, or in another browser.
        None => Ok(go_to("/login")),
    }
}

/// Who has shown their password in this browser.
async fn user_of(pages: &Dashboard, headers: &HeaderMap) -> Result<Option<UserRow>, Refusal> {
    let cookies = Cookies::of(headers);
    let Some(proof) = cookies.get(half_way::COOKIE) else { return Ok(None) };
    let Some(id) = HalfWay::says(proof) else { return Ok(None) };
    let engine = &pages.app.engine;
    let user = engine.store.read().await?.db().user(id).await?.filter(|user| user.disabled_at.is_none());
    Ok(user.filter(|user| pages.half_way.is_good(proof, user, engine.clock.now())))
}

/// `POST /login/code`
pub(in crate::dashboard) async fn enter(
    State(pages): State<Arc<Dashboard>>,
    Extension(reader): Extension<Reader>,
    headers: HeaderMap,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let (app, words, next) = (&pages.app, reader.words, Place::after_login(fields.get("next")));
    let Some(user) = user_of(&pages, &headers).await? else { return Ok(go_to("/login")) };
    let device = Cookies::of(&headers).get(device::COOKIE).and_then(|cookie| pages.devices.read(cookie, &user.name));
    // Counted apart from passwords: whoever knows the password takes no tries away from it.
    let (from, counted_as) = (From { address: reader.address, device }, format!("code {}", user.name));
    let too_soon = |seconds: i64| {
        let wrong = fill_text(&words.login_throttled, &[("s", &seconds.to_string())]);
        let mut response = page(app, &reader, StatusCode::TOO_MANY_REQUESTS, next, Some(wrong));
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        Ok(response)
    };
    if let Err(TooSoon { seconds, .. }) = pages.throttle.admit(from, &counted_as, app.engine.clock.now()) {
        return too_soon(seconds);
    }
    let typed = fields.get("code");
    let checked = app.engine.carry_out(reader.doer(), async |work| second_factor::check(work, user.id, typed).await).await?;
    match checked {
        Checked::Right | Checked::RightOnPaper(_) => {}
        // Somebody has just taken it away: the password is asked for once more.
        Checked::NotAsked => return Ok(go_to("/login")),
        Checked::TooSoon(left) => return too_soon((left.num_milliseconds() + 999) / 1000),
        Checked::Wrong => {
            tracing::warn!(user.name = %user.name, client.address = %reader.address, "a second step of a login failed");
            session::refused(&pages, &user.name, Some(&user)).await?;
            let wrong = words.code_wrong.clone();
            return Ok(page(app, &reader, StatusCode::UNAUTHORIZED, next, Some(wrong)));
        }
    }
    pages.throttle.good(from, &counted_as);
    let token = session::begin(&app.engine, user.id, &user.name, &session::came_from(reader.address, &headers)).await?;
    tracing::info!(user.name = %user.name, "logged in");
    let mut response = match checked {
        // They see how many are left.
        Checked::RightOnPaper(_) => go_to("/people/me/second-factor?done=code_used"),
        _ => go_to(&next.to_string()),
    };
    session::give(&mut response, &token, reader.secure);
    vouched::over(&mut response, reader.secure);
    session::set_cookie(&mut response, half_way::COOKIE, "", -1, reader.secure);
    if device.is_none() {
        session::set_cookie(&mut response, device::COOKIE, &pages.devices.cookie(&user.name), device::LASTS, reader.secure);
    }
    Ok(response)
}

/// The field into which a code is typed.
pub(super) fn code_field(words: &'static Words) -> Field {
    Field::plain("code", &words.code_field, Input::Line).required().completed("one-time-code")
}

fn page(app: &App, reader: &Reader, status: StatusCode, next: Place, wrong: Option<String>) -> Response {
    let words = reader.words;
    let frame = Frame::new(reader, "", words.code_title.as_str(), app.engine.clock.now());
    let wrong = wrong.map(|sentence| Wrong::new("code", sentence));
    let form = Form::new(reader, "", "/login/code", &words.login_go).holding("next", next.to_string()).looking("go wide");
    let form = form.with([code_field(words).how(&words.code_how).begins(true)]).saying(wrong.as_ref());
    html(status, &CodePage { frame, words, form })
}
