//! HTTP as all faces speak it: problems, bodies, versions, refusals that a phone survives.

pub mod aging;
pub mod bodies;
pub mod charset;
pub mod codes;
pub mod document;
pub mod html;
pub mod listing;
pub mod parsed;
pub mod phone;
pub mod prefix;
pub mod problem;
pub mod rights;
pub mod sound;
pub mod versions;
pub mod wash;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

/// A JSON answer that no cache keeps.
pub fn json(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A value as a JSON answer.
pub(crate) fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(text) => json(status, text),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            json(StatusCode::INTERNAL_SERVER_ERROR, "{}")
        }
    }
}
