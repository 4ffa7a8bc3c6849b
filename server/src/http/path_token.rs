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
    /// Looks at a token. A good one is good, however many wrong ones came from the same address.
    #[must_use]
    pub fn look(app: &App, peer: SocketAddr, headers: &HeaderMap, token: &str) -> Self {
        Self { hash: secrets::hash(token), address: doors::caller(peer, headers, &app.config().http).address }
    }

    /// Notes that the token is good.
    pub fn good(&self, app: &App) {
        app.guard.good(self.address, self.hash);
    }

    /// Notes that nothing has this token, and says so, or that there were too many such ones.
    #[must_use]
    pub fn unknown(&self, app: &App) -> Problem {
        let now = app.engine.clock.now();
        if !app.guard.may_try(self.address, &self.hash, now) {
            let text = "too many wrong keys or tokens came from this address; wait ten minutes";
            return Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_wrong_keys", text);
        }
        app.guard.wrong(self.address, now);
        Problem::new(StatusCode::UNAUTHORIZED, "unknown_token", "nothing here has this token: copy the whole address again")
    }
}
