//! Sessions: who is logged in, by a random token in a cookie of which only the hash is stored; and the cookies themselves.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::reader::Visitor;
use crate::alarm::doer::Doer;
use crate::audit::{Line, Operation};
use crate::config::HttpConfig;
use crate::dashboard::Dashboard;
use crate::dashboard::browser;
use crate::engine::Engine;
use crate::ids::UserId;
use crate::keep::users::sessions::LONGEST_IDLE;
use crate::rights::roles::{Role, TeamRoles};
use crate::secrets;
use crate::store::StoreError;
use crate::store::access::users::{CameFrom, UserRow};

/// Holds the session's token.
pub(in crate::dashboard) const COOKIE: &str = "autocall_session";
/// A session ends after so long, used or not.
const LONGEST: TimeDelta = TimeDelta::days(30);
/// That a session is used is written down at most this often.
const WRITE_AGAIN: TimeDelta = TimeDelta::minutes(10);

/// Whose session a token is.
///
/// # Errors
/// When the database fails.
pub(in crate::dashboard) async fn resume(engine: &Engine, token: &str, from: IpAddr) -> Result<Option<Visitor>, StoreError> {
    resume_hashed(engine, hash(token), Some(from)).await
}

/// The same, for a token of which only the hash is known any more.
///
/// # Errors
/// When the database fails.
pub(in crate::dashboard) async fn resume_hashed(
    engine: &Engine,
    token_hash: [u8; 32],
    from: Option<IpAddr>,
) -> Result<Option<Visitor>, StoreError> {
    let now = engine.clock.now();
    let mut reader = engine.store.read().await?;
    let Some(row) = reader.db().session(&token_hash, now, now - LONGEST_IDLE).await? else { return Ok(None) };
    // Whoever may do everything gains nothing by a team.
    let teams = match row.role {
        Role::Admin => TeamRoles::default(),
        Role::Viewer | Role::Responder => reader.db().team_roles_of(row.user_id).await?,
    };
    drop(reader);
    if now - row.last_used_at > WRITE_AGAIN {
        // While nothing can be stored people must all the more be let in to see that.
        if engine.known_wrong().is_empty()
            && let Err(error) = touch(engine, &token_hash, now, from).await
        {
            tracing::debug!(%error, "that a session was used could not be noted");
        }
    }
    Ok(Some(Visitor {
        user: row.user_id,
        name: row.name,
        role: row.role,
        teams,
        has_second_factor: row.has_second_factor,
        vouched: row.vouched_by.is_some(),
        language: row.language,
        person_name: row.person_name,
        token_hash,
    }))
}

async fn touch(engine: &Engine, token_hash: &[u8; 32], now: DateTime<Utc>, from: Option<IpAddr>) -> Result<(), StoreError> {
    let mut tx = engine.store.begin().await?;
    let address = from.map(|address| address.to_canonical().to_string());
    tx.db().touch_session(token_hash, now, address.as_deref()).await?;
    tx.commit().await
}

/// Begins a session and gives its token.
///
/// # Errors
/// When the database fails.
pub(in crate::dashboard) async fn begin(
    engine: &Engine,
    user: UserId,
    name: &str,
    from: &CameFrom,
) -> Result<String, StoreError> {
    let token = secrets::random::<32>();
    begin_as(engine, (user, name), (&token, LONGEST), from, None).await?;
    Ok(token)
}

/// Begins a session under this token, which lasts no longer than that; `by`: who else says who that is.
///
/// # Errors
/// When the database fails.
pub(in crate::dashboard) async fn begin_as(
    engine: &Engine,
    (user, name): (UserId, &str),
    (token, lasts): (&str, TimeDelta),
    from: &CameFrom,
    by: Option<&str>,
) -> Result<(), StoreError> {
    let now = engine.clock.now();
    let mut work = engine.work(Doer::User { name: name.to_owned() }).await?;
    work.db().forget_sessions(now, now - LONGEST_IDLE).await?;
    work.db().insert_session(&hash(token), user, (now, now + lasts), from, by).await?;
    let line = Line::new(Operation::UserLoggedIn).of(user).named(name);
    work.note(match by {
        Some(by) => line.after(serde_json::json!({ "by": by })),
        None => line,
    });
    work.commit().await
}

/// Ends a session.
///
/// # Errors
/// When the database fails.
pub(in crate::dashboard) async fn end(engine: &Engine, visitor: &Visitor) -> Result<(), StoreError> {
    let mut work = engine.work(Doer::User { name: visitor.name.clone() }).await?;
    work.db().delete_session(&visitor.token_hash).await?;
    work.note(Line::new(Operation::UserLoggedOut).named(visitor.name.as_str()));
    work.commit().await
}

/// Notes that somebody was not let in, unless that has been noted too often lately: whoever guesses passwords must not fill the log.
///
/// # Errors
/// When the database fails.
pub(in crate::dashboard) async fn refused(pages: &Dashboard, name: &str, user: Option<&UserRow>) -> Result<(), StoreError> {
    let engine = &pages.app.engine;
    if !pages.throttle.may_be_noted(engine.clock.now()) {
        return Ok(());
    }
    let line = Line::new(Operation::UserRefused).named(name);
    let line = match user {
        Some(user) => line.of(user.id).about(user.person_id),
        None => line,
    };
    let mut work = engine.work(Doer::Server).await?;
    work.note(line);
    work.commit().await
}

/// Gives the browser a session's token.
pub(in crate::dashboard) fn give(response: &mut Response, token: &str, secure: bool) {
    set_cookie(response, COOKIE, token, LONGEST.num_seconds(), secure);
}

/// Takes it away.
pub(in crate::dashboard) fn take_away(response: &mut Response, secure: bool) {
    set_cookie(response, COOKIE, "", -1, secure);
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// From where somebody comes whose session begins.
pub(in crate::dashboard) fn came_from(address: IpAddr, headers: &HeaderMap) -> CameFrom {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    CameFrom { address: Some(address.to_canonical().to_string()), browser: agent.and_then(browser::kind_of) }
}

/// The cookies of a request.
pub(in crate::dashboard) struct Cookies<'h>(Vec<(&'h str, &'h str)>);

impl<'h> Cookies<'h> {
    pub(in crate::dashboard) fn of(headers: &'h HeaderMap) -> Self {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        Self(lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('=')).collect())
    }

    pub(in crate::dashboard) fn get(&self, name: &str) -> Option<&'h str> {
        self.0.iter().find(|(own, _)| *own == name).map(|(_, value)| *value)
    }
}

/// Sets a cookie for so many seconds; 0 for as long as the browser is open, less to remove it.
///
/// Lax, not Strict: somebody who follows a link to an alarm from a message is not to be asked for a password first. Forms are
/// protected by their token.
pub(in crate::dashboard) fn set_cookie(response: &mut Response, name: &str, value: &str, seconds: i64, secure: bool) {
    let age = match seconds {
        0 => String::new(),
        seconds => format!("; Max-Age={}", seconds.max(0)),
    };
    let secure = if secure { "; Secure" } else { "" };
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{age}{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// Whether the browser speaks https, as a trusted proxy says; whoever comes without one is known by their connection.
pub(in crate::dashboard) fn is_secure(peer: SocketAddr, headers: &HeaderMap, config: &HttpConfig) -> bool {
    let peer = peer.ip().to_canonical();
    config.trusted_proxies.iter().any(|network| network.contains(&peer))
        && headers.get("x-forwarded-proto").is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"))
}

/// How the browser calls this server, for examples on pages; only characters that a host may have.
pub(in crate::dashboard) fn host_of(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost:8080");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '[' | ']');
    if host.len() <= 255 && host.chars().all(plain) { host.to_owned() } else { "localhost:8080".to_owned() }
}
