//! Refusals that a phone survives: whatever the status, the body is an object that holds `code`.

use android_protocol::wire;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use super::json;

/// A refusal that a phone survives.
pub fn refusal(status: StatusCode, why: impl Into<String>) -> Response {
    let mut response = json(status, serde_json::json!({ "code": wire::CODE_IDLE, "msg": why.into() }).to_string());
    if status == StatusCode::TOO_MANY_REQUESTS {
        // Wrong tokens are forgotten after ten minutes.
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("600"));
    }
    response
}

/// What stands at every address that is none for phones. A phone survives only an object that holds `code`, and must not be sent
/// elsewhere.
#[must_use]
pub fn nothing_for_phones() -> Response {
    refusal(StatusCode::NOT_FOUND, "there is nothing at this address; phones poll /alert/phone or /h/TOKEN/alert/phone")
}
