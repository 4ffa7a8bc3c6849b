//! Tokens in the path, for senders that are given one address and nothing else: heartbeats, and phones that pass messages on.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, StatusCode};

use super::doors;
use super::problem::Problem;
use crate::app::App;
use crate::secrets;

/// A token that somebody shows, and from where.
pub struct Shown {
    /// Its hash.
    pub hash: [u8; 32],
    address: IpAddr,
}

impl Shown {
    /// Looks at a token, unless too many wrong ones came from there.
    ///
    /// # Errors
    /// When they did.
    pub fn look(app: &App, peer: SocketAddr, headers: &HeaderMap, token: &str) -> Result<Self, Problem> {
        let (hash, address) = (secrets::hash(token), doors::caller(peer, headers, &app.config().http).address);
        if app.guard.may_try(address, &hash, app.engine.clock.now()) {
            return Ok(Self { hash, address });
        }
        let text = "too many wrong keys or tokens came from this address; wait ten minutes";
        Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_wrong_keys", text))
    }

    /// Notes that the token is good.
    pub fn good(&self, app: &App) {
        app.guard.good(self.address, self.hash);
    }

    /// Notes that nothing has this token, and says so.
    #[must_use]
    pub fn unknown(&self, app: &App) -> Problem {
        app.guard.wrong(self.address, app.engine.clock.now());
        Problem::new(StatusCode::UNAUTHORIZED, "unknown_token", "nothing here has this token: copy the whole address again")
    }
}
