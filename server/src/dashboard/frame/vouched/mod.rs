//! Sessions of those whom somebody else vouches for: a provider of logins, or a proxy in front. They are sessions like all others, but for
//! this: they last no longer than half a day without another word of whoever vouches, and one by a proxy is good only for whom the proxy
//! names with the same groups, so that nobody goes on under the name of who sat there before.

use std::net::SocketAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};

use super::place::Place;
use super::session::{self, Cookies};
use crate::access::trusted_header::Proxied;
use crate::app::App;
use crate::engine::Engine;
use crate::secrets;
use crate::store::StoreError;
use crate::store::access::users::{CameFrom, UserRow};

/// Without another word of whoever vouches, a session ends after so long.
pub(in crate::dashboard) const LASTS: TimeDelta = TimeDelta::hours(12);
/// The provider is asked again after half of that, so that one that is away for some hours ends nobody's session.
const RENEWED_AFTER: TimeDelta = TimeDelta::hours(6);
/// Where that could not be done, it is tried again after so long.
const TRIED_AGAIN: TimeDelta = TimeDelta::minutes(15);
/// Holds from when on the provider is asked again. It proves nothing: whoever takes it away has a session that ends.
const RENEWAL: &str = "autocall_renewal";
/// What tokens begin with that belong to somebody whom a proxy names.
const OF_PROXY: &str = "p.";

/// Begins a session of somebody whom the provider vouches for.
///
/// # Errors
/// When the database fails.
pub(in crate::dashboard) async fn begin(
    engine: &Engine,
    user: &UserRow,
    from: &CameFrom,
    response: &mut Response,
    secure: bool,
) -> Result<(), StoreError> {
    let token = secrets::random::<32>();
    session::begin_as(engine, (user.id, &user.name), (&token, LASTS), from, Some("oidc")).await?;
    session::give(response, &token, secure);
    renewed(response, engine.clock.now(), secure);
    Ok(())
}

/// The same for somebody whom a proxy names.
///
/// # Errors
/// When the database fails.
pub(in crate::dashboard) async fn begin_proxied(
    engine: &Engine,
    user: &UserRow,
    (proxied, from): (&Proxied, &CameFrom),
    response: &mut Response,
    secure: bool,
) -> Result<(), StoreError> {
    let token = format!("{OF_PROXY}{}", secrets::random::<32>());
    session::begin_as(engine, (user.id, &user.name), (&bound(&token, proxied), LASTS), from, Some("proxy")).await?;
    session::give(response, &token, secure);
    Ok(())
}

/// A token together with whom it belongs to.
fn bound(token: &str, proxied: &Proxied) -> String {
    format!("{token}\0{}\0{}", proxied.user, proxied.groups)
}

/// The token of a request as it is kept. `None` for one that belongs to somebody whom the proxy does not name now.
pub(in crate::dashboard) fn token(app: &App, peer: SocketAddr, headers: &HeaderMap) -> Option<String> {
    let token = Cookies::of(headers).get(session::COOKIE)?;
    if !token.starts_with(OF_PROXY) {
        return Some(token.to_owned());
    }
    let proxied = app.access.trusted_header.says(app.config(), peer, headers)?;
    Some(bound(token, &proxied))
}

/// Where somebody who is in is sent, so that the provider says again what they may; `None` where that is not due, or would only make them wait.
pub(in crate::dashboard) fn renewal(app: &App, request: &Request) -> Option<String> {
    if *request.method() != Method::GET || !crate::dashboard::wants_page(request.headers()) {
        return None;
    }
    let due: i64 = Cookies::of(request.headers()).get(RENEWAL)?.parse().ok()?;
    Place::read(request.uri().path()).filter(|place| !matches!(place, Place::Login | Place::Setup))?;
    if app.engine.clock.now().timestamp() < due || app.access.oidc.offer().is_none_or(|offer| offer.is_away) {
        return None;
    }
    let next = request.uri().path_and_query().map_or("/", |whole| whole.as_str());
    let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
    Some(format!("/login/oidc?next={next}"))
}

/// Whether this browser came in by the provider.
pub(in crate::dashboard) fn came_by_provider(headers: &HeaderMap) -> bool {
    Cookies::of(headers).get(RENEWAL).is_some()
}

/// The provider has just said what somebody may.
pub(in crate::dashboard) fn renewed(response: &mut Response, now: DateTime<Utc>, secure: bool) {
    due_at(response, now + RENEWED_AFTER, secure);
}

/// It was asked, and has not said it.
pub(in crate::dashboard) fn put_off(response: &mut Response, now: DateTime<Utc>, secure: bool) {
    due_at(response, now + TRIED_AGAIN, secure);
}

/// The session is over.
pub(in crate::dashboard) fn over(response: &mut Response, secure: bool) {
    session::set_cookie(response, RENEWAL, "", -1, secure);
}

fn due_at(response: &mut Response, at: DateTime<Utc>, secure: bool) {
    session::set_cookie(response, RENEWAL, &at.timestamp().to_string(), LASTS.num_seconds(), secure);
}

/// The page to go on to, with what its address asks for: one of our own, whatever a browser says.
pub(in crate::dashboard) fn onward(said: &str) -> String {
    let (path, query) = said.split_once('?').unwrap_or((said, ""));
    let place = Place::after_login(path).to_string();
    let is_plain = query.bytes().all(|byte| byte.is_ascii_graphic());
    match place == path && is_plain && !query.is_empty() {
        true => format!("{place}?{query}"),
        false => place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere_with_a_query_either() {
        assert_eq!(onward("/alarms?state=firing&q=disk%20full"), "/alarms?state=firing&q=disk%20full");
        assert_eq!(onward("/?view=mine"), "/?view=mine");
        for foreign in [
            "https://evil.example/?x",
            "//evil.example?x",
            "/login?next=/x",
            "/alarms?a\r\nb",
            "/alarms?a b",
            "javascript:1?x",
            "",
        ] {
            assert!(["/", "/alarms"].contains(&onward(foreign).as_str()), "{foreign}: {}", onward(foreign));
        }
    }

    #[test]
    fn a_token_of_a_proxy_belongs_to_one_person_with_their_groups() {
        let proxied = |user: &str, groups: &str| Proxied { user: user.to_owned(), groups: groups.to_owned() };
        let own = bound("p.1", &proxied("lin", "a"));
        for other in [proxied("mia", "a"), proxied("lin", "a,b"), proxied("lin", ""), proxied("lin\0a", "")] {
            assert_ne!(bound("p.1", &other), own);
        }
    }
}
