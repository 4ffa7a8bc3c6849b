//! The poll that is answered from memory: nearly all there are, and a hundred phones ask all day.
//!
//! It goes no further than this: neither through the routes nor to anything that could wait. Whatever is not as usual about a poll (a phone
//! that is new, one that was silent, a door that is closed, something that may be due) is left to [`super::face`], with nothing done here;
//! so this may only ever say what that would say.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use android_protocol::wire;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, header};
use axum::response::Response;
use hyper::body::Body;

use super::{face, native};
use crate::access::doors::{self, ShutOut};
use crate::app::App;
use crate::config::PlainPath;
use crate::engine::watch::idle::{IdleReason, Poller};
use crate::engine::watch::presence::PollSource;
use crate::keep::pairing::token_hash;
use crate::needs::Words;
use crate::net::seats::Seat;
use crate::net::serve::AtOnce;
use crate::store::watch::handsets::{HandsetRow, Profile, is_app};
use crate::telemetry::{Ended, Face, Poll};

/// Polls that are answered at once.
pub struct Polls(Arc<App>);

impl Polls {
    /// Of this server.
    #[must_use]
    pub fn of(app: Arc<App>) -> Self {
        Self(app)
    }

    fn poll(&self, parts: &Parts, peer: SocketAddr, seat: &Seat) -> Option<Response> {
        let began = Instant::now();
        let Self(app) = self;
        let (engine, headers) = (&app.engine, &parts.headers);
        let token = match token_of(parts.uri.path()) {
            Some(token) => Some(token),
            None if parts.uri.path() == "/alert/phone" => None,
            None => return None,
        };
        let speaks = headers.contains_key(wire::PROTOCOL_HEADER);
        let channel = channel(parts.uri.query().unwrap_or_default(), speaks)?;
        if !doors::names_one_host(headers) {
            return None;
        }
        let caller = doors::caller(peer, headers, &app.config().http);
        let model = match headers.get("model") {
            Some(model) => std::str::from_utf8(model.as_bytes()).ok()?,
            None => "",
        };
        let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        let now = engine.clock.now();
        let handset = match token {
            Some(token) => {
                let hash = token_hash(token);
                // One that comes with its new token for the first time is a change.
                app.access.directory.known_by_token(&hash).filter(|row| row.next_token_hash.as_deref() != Some(&hash[..]))?
            }
            None => self.on_plain_path(parts, caller, model)?,
        };
        if handset.disabled_at.is_some() || handset.offline_since.is_some() || handset.stuck_since.is_some() {
            return None;
        }
        let door = token.map_or(face::Door::Plain, face::Door::Token);
        let profile = face::profile(&handset, door, headers);
        let usable = if profile == Profile::Native { handset.usable_channels() } else { 1 };
        if channel >= usable {
            return None;
        }
        let can = if profile == Profile::Native { handset.words() } else { Words::default() };
        let speaks_to_people = profile == Profile::Native && handset.speaks();
        let poller = Poller { handset: handset.id, channel, speaks: speaks_to_people, can };
        if !engine.idle.knows_idle(&poller, &engine.presence, now) {
            return None;
        }
        // How a program is noted that was not there before is no matter of an idle poll.
        let source = PollSource { address: caller.address, model, user_agent: agent };
        if !engine.presence.polled_idle(handset.id, &source, (usable > 1).then_some(channel), now) {
            return None;
        }
        if face::is_known(&handset, now) {
            seat.known();
        }
        engine.metrics.polls.inc(Poll::IdleMemory);
        let mut response = face::idle(handset.idle_form, &IdleReason::KnownIdle);
        if is_app(agent.as_bytes()) {
            face::closes(&mut response);
        }
        // Where the routes put it.
        if let Some(length) = response.body().size_hint().exact() {
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        engine.metrics.requests.ended(Face::Handsets, Ended::Done, began.elapsed());
        Some(response)
    }

    /// A phone on the plain path that may ask there, and is known.
    fn on_plain_path(&self, parts: &Parts, caller: doors::Caller, model: &str) -> Option<Arc<HandsetRow>> {
        let Self(app) = self;
        let config = app.config();
        let admitted = doors::admit(caller, parts.version, &parts.headers, &config.http);
        if !matches!(admitted, Ok(()) | Err(ShutOut::ClosedNetwork)) {
            return None;
        }
        let (handset, any_paired) = app.access.directory.known_by_source(caller.address, model)?;
        if handset.allowed_at.is_some() {
            return Some(handset);
        }
        admitted.ok()?;
        let is_open = match config.handsets.plain_path {
            PlainPath::Always => true,
            PlainPath::Never => false,
            PlainPath::Auto => any_paired == Some(false),
        };
        // Somebody else may hold a dial under this address.
        let usual = is_open && doors::browser_sign(&parts.headers, &config.http).is_none() && !app.engine.idle.may_hold_dials();
        usual.then_some(handset)
    }
}

impl AtOnce for Polls {
    fn answer(&self, parts: &Parts, peer: SocketAddr, seat: &Seat) -> Option<Response> {
        if parts.method == Method::GET { self.poll(parts, peer, seat) } else { None }
    }
}

/// The token in the path of a paired handset's poll, where it is written as it was given.
fn token_of(path: &str) -> Option<&str> {
    let token = path.strip_prefix("/h/")?.strip_suffix("/alert/phone")?;
    (!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(token)
}

/// For which channel a poll asks that does not want to wait; `None`: it wants to, or says something else.
fn channel(query: &str, speaks: bool) -> Option<i32> {
    match query {
        "" => Some(0),
        query if speaks && !query.contains("token") && native::wait_of(query).is_zero() => native::channel_of(query),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_written_as_it_was_given_is_answered_at_once() {
        assert_eq!(token_of("/h/abc2/alert/phone"), Some("abc2"));
        for path in [
            "/h//alert/phone",
            "/h/ab%20/alert/phone",
            "/h/a/b/alert/phone",
            "/h/abc/alert/phone/",
            "/h/abc/status",
            "/alert/phone",
        ] {
            assert_eq!(token_of(path), None, "{path}");
        }
    }

    #[test]
    fn who_wants_to_wait_is_not_answered_at_once() {
        assert_eq!(channel("", false), Some(0));
        assert_eq!(channel("wait=0&channel=2", true), Some(2));
        for query in ["wait=30", "token=abc", "channel=x", "channel=-1"] {
            assert_eq!(channel(query, true), None, "{query}");
        }
        assert_eq!(channel("mid=x", false), None);
    }
}
