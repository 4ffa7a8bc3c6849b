//! Senders that sign: whoever shows their key and does not sign, or not so, is refused like somebody with a wrong key.
//!
//! What signs as another product does says that something burns, or does not any more: whoever gets hold of what it sent can do no more
//! than that. An address with a key in it stands in settings, logs and pictures of them. Where the key has a secret as well, the address
//! alone rings nobody.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::Access;
use super::senders::{Sender, beyond_rate, is_of_alarms};
use crate::http::bodies::{BODY_WITHIN, most_of};
use crate::http::problem::{Code, Problem};
use crate::kinds::signing::Unsigned;
use crate::net::arriving::is_slow;
use crate::net::seats::Seat;

/// A signed message is held whole until its end is known to be signed as well; of one that is not, less is held where it is read in pieces.
/// In bytes.
const LONGEST: usize = 4 << 20;

/// Lets messages of keys that sign through only when they are signed. It stands before whatever unpacks or rewrites a body: what is signed
/// is what was sent.
pub async fn signed_only(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let sender = request.extensions().get::<Sender>().cloned();
    let Some((sender, key)) = sender.and_then(|sender| Some((sender.clone(), sender.key?))) else {
        return next.run(request).await;
    };
    let Some(signing) = &key.signing else { return next.run(request).await };
    // Whoever does not sign is not read.
    if let Err(why) = signing.check_head(request.headers(), access.clock.now()) {
        return refused(&access, &sender, why);
    }
    if !signing.scheme.is_our_own() && !is_of_alarms(&request) {
        let scheme = signing.scheme.as_str();
        let text =
            format!("a key that signs as {scheme} does sends alarms and nothing else: use one without, or `--sign autocall`");
        return Problem::new(StatusCode::FORBIDDEN, Code::KeyMayNot, text).into_response();
    }
    let (parts, body) = request.into_parts();
    let longest = most_of(parts.uri.path(), access.config.http.body_limit_bytes).max(LONGEST);
    let body = match read(body, longest).await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    if let Err(why) = signing.check(&parts.headers, &body, access.clock.now()) {
        return refused(&access, &sender, why);
    }
    let request = Request::from_parts(parts, Body::from(body));
    if let Some(seat) = request.extensions().get::<Seat>() {
        seat.known();
    }
    // What others send under this key does not use up what it may send.
    match beyond_rate(&access, &request, &sender) {
        Some(refused) => refused,
        None => next.run(request).await,
    }
}

fn refused(access: &Access, sender: &Sender, why: Unsigned) -> Response {
    tracing::warn!(sender.name = sender.name(), address = %sender.address, %why, "a message was not signed as its key wants it");
    match access.guard.wrong(sender.address, access.clock.now()) {
        Ok(()) => Problem::new(StatusCode::UNAUTHORIZED, Code::WrongSignature, why.to_string()).into_response(),
        Err(too_many) => too_many.into_response(),
    }
}

/// Holds a whole body, of at most so many bytes: room for as many is reserved.
async fn read(body: Body, longest: usize) -> Result<Bytes, Problem> {
    match tokio::time::timeout(BODY_WITHIN, Limited::new(body, longest).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let text = format!("the body is larger than {longest} bytes, which is the limit here for signed messages");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::BodyTooLarge, text))
        }
        // A sender that is slow comes again after 503; after 400 it would not.
        Ok(Err(error)) if !is_slow(&*error) => Err(Problem::bad_request(Code::BodyBrokeOff, "the body broke off")),
        Ok(Err(_)) | Err(_) => {
            let text = format!("the body did not come within {} s: send it again", BODY_WITHIN.as_secs());
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::BodyTooSlow, text))
        }
    }
}
