//! What a sender is refused is logged and counted, on every path by which alarms come in: a sender that nobody hears must be noticed
//! by those whom it should have woken.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::coming_in::{Intake, intake};
use super::received::Notes;
use super::{Access, doors};
use crate::http::phone::refusal;
use crate::http::problem::{Code, Problem, Reason};

/// Who sends a request, once that is known; goes with the request.
#[derive(Clone, Debug, Default)]
pub struct Who(Arc<OnceLock<String>>);

impl Who {
    /// Notes the sender's name.
    pub fn is(&self, name: &str) {
        let _ = self.0.set(name.to_owned());
    }

    fn name(&self) -> &str {
        self.0.get().map_or(STRANGER, String::as_str)
    }
}

/// A sender that was not let in.
pub const STRANGER: &str = "(unknown)";
/// A sender without a key, from an open network.
pub const KEYLESS: &str = "(no key)";

/// Logs and counts refusals, and says with each that may be over soon when to try again.
pub async fn counted(
    State(access): State<Arc<Access>>,
    peer: ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let who = Who::default();
    let intake = intake(request.method(), request.uri().path());
    request.extensions_mut().insert(who.clone());
    let notes = request.extensions().get::<Notes>().cloned();
    let mut response = with_host(request, next).await;
    if let Some(notes) = notes {
        notes.is_of(who.name());
    }
    let status = response.status();
    if status == StatusCode::SERVICE_UNAVAILABLE && response.extensions().get::<Reason>().is_none() {
        response = took_too_long().into_response();
    }
    say_when(&mut response);
    if let Some(whose) = intake.filter(|_| status.is_client_error() || status.is_server_error()) {
        let reason = response.extensions().get::<Reason>().map_or_else(|| without_words(status), |Reason(code)| *code);
        let sender = match whose {
            Intake::Named => who.name(),
            Intake::Called(name) => name,
        };
        // Why stands in the answer: it may quote a number.
        tracing::warn!(sender.name = sender, peer = %peer.0.ip(), reason, status = status.as_u16(), "a sender was refused");
        access.refusals.count(sender, reason);
    }
    response
}

/// Refuses what does not say, once, which host it means (RFC 9112, 3.2), also in HTTP/1.0: whether it may come in without a key is told
/// by its host, among other things.
pub async fn with_host(request: Request, next: Next) -> Response {
    if doors::names_one_host(request.headers()) {
        return next.run(request).await;
    }
    let text = "the request must hold one Host header, with the address of this server: add `Host: ADDRESS:PORT`";
    Problem::bad_request(Code::NoHost, text).into_response()
}

/// The same where phones ask, in an answer that a phone survives. Every program that speaks HTTP says its host, so no phone is lost.
pub async fn phones_with_host(request: Request, next: Next) -> Response {
    if doors::names_one_host(request.headers()) { next.run(request).await } else { no_host_for_phones() }
}

/// The refusal of whoever does not say which host they mean, at an address that a phone may have asked.
#[must_use]
pub fn no_host_for_phones() -> Response {
    refusal(StatusCode::BAD_REQUEST, "the request must hold one Host header, with the address of this server")
}

/// Says with a refusal that may be over soon when to try again, where nothing else has said so.
pub async fn with_time_to_try_again(mut response: Response) -> Response {
    say_when(&mut response);
    response
}

/// The refusal of a request that takes longer than it may.
#[must_use]
pub fn took_too_long() -> Problem {
    let text = "this took longer than http.request_timeout_seconds, and was given up: it may have been done all the same";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::TookTooLong, text)
}

fn say_when(response: &mut Response) {
    let soon = matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    if soon && !response.headers().contains_key(RETRY_AFTER) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    }
}

/// An answer that is no problem document.
fn without_words(status: StatusCode) -> &'static str {
    match status {
        StatusCode::INTERNAL_SERVER_ERROR => "internal",
        _ => "refused",
    }
}
