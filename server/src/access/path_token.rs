//! Tokens in the path, for senders that are given one address and nothing else: heartbeats, and phones that pass messages on.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::guard::TooManyWrong;
use super::{Access, doors};
use crate::http::problem::{Code, Problem};
use crate::secrets;

/// A token that somebody shows, and from where.
pub struct Shown {
    /// Its hash.
    pub hash: [u8; 32],
    address: IpAddr,
}

impl Shown {
    /// Looks at a token.
    #[must_use]
    pub fn look(access: &Access, peer: SocketAddr, headers: &HeaderMap, token: &str) -> Self {
        Self { hash: secrets::hash(token), address: doors::caller(peer, headers, &access.config.http).address }
    }

    /// Notes that nothing has this token, and says so, or that there were too many such ones.
    #[must_use]
    pub fn unknown(&self, access: &Access) -> Response {
        match access.guard.wrong(self.address, access.clock.now()) {
            Ok(()) => {
                let text = "nothing here has this token: copy the whole address again";
                Problem::new(StatusCode::UNAUTHORIZED, Code::UnknownToken, text).into_response()
            }
            Err(too_many) => too_many.into_response(),
        }
    }
}

impl IntoResponse for TooManyWrong {
    fn into_response(self) -> Response {
        let text = "this key or token is not known, and too many wrong ones came from this address: wait, and copy it again";
        let mut response = Problem::new(StatusCode::TOO_MANY_REQUESTS, Code::TooManyWrongKeys, text).into_response();
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(self.seconds));
        response
    }
}
