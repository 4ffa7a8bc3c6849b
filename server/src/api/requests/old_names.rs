//! Requests that use names of before, and answers that hold them beside those of now.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::http::aging::{Aging, tell_until_when};
use crate::http::parsed::Parsed;
use crate::http::problem::{Code, Problem};
use crate::intake::alarm_request::read_body;

/// What is known by names of before, and how long a body may be, in bytes.
pub type Old = (Arc<Aging>, usize);

/// A longer answer takes more than a millisecond to be read and written again, in bytes.
const LONG: usize = 64 << 10;

/// Completes answers with the names of before, says until when these are there, and tells what is wrong with a request in the names that
/// it used.
pub async fn known(
    State((aging, longest)): State<Old>,
    path: MatchedPath,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(known) = aging.known(request.method().as_str(), path.as_str()) else { return Ok(next.run(request).await) };
    let method = request.method().clone();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let mut form = Bytes::new();
    if known.reads_forms() {
        let (parts, body) = request.into_parts();
        form = read_body(body, longest).await?;
        request = Request::from_parts(parts, Body::from(form.clone()));
    }
    let response = next.run(request).await;
    let (status, (mut parts, body)) = (response.status(), response.into_parts());
    if status != StatusCode::UNPROCESSABLE_ENTITY && !status.is_success() {
        return Ok(Response::from_parts(parts, body));
    }
    // It was made from values in memory, and is as long as these.
    let Ok(said) = to_bytes(body, usize::MAX).await else {
        let broke_off = Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, "the answer broke off");
        return Ok(broke_off.into_response());
    };
    let other = if status.is_success() {
        tell_until_when(&mut parts.headers);
        completed(&aging, method, path, &said).await
    } else {
        known.as_asked(&said, &query, &Parsed::with_nulls(&form).map_or(Value::Null, |form| form.value))
    };
    if other.is_some() {
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    Ok(Response::from_parts(parts, other.map_or_else(|| Body::from(said), Body::from)))
}

/// An answer with the names of before beside those of now; nothing when there are none. What is long is not done where others wait.
async fn completed(aging: &Arc<Aging>, method: Method, path: MatchedPath, said: &Bytes) -> Option<String> {
    if said.len() <= LONG {
        return aging.known(method.as_str(), path.as_str())?.completed(said);
    }
    let (aging, said) = (Arc::clone(aging), said.clone());
    let working = move || aging.known(method.as_str(), path.as_str())?.completed(&said);
    tokio::task::spawn_blocking(working).await.ok().flatten()
}
