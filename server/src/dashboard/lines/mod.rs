//! The page *Public numbers* and its forms; the gateways for text messages, and their forms.

pub mod gateway;
pub mod gateway_form;
pub mod gateway_test;
pub mod number;
pub mod number_form;
pub mod overview;
pub mod preview;
pub mod whom_form;

use axum::extract::OriginalUri;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// What was at `/lines`, before that page was two: the same request goes where its page is now.
pub(in crate::dashboard) async fn moved(OriginalUri(address): OriginalUri) -> Response {
    let rest = address.path().strip_prefix("/lines").unwrap_or_default();
    let query = address.query().map(|query| format!("?{query}")).unwrap_or_default();
    // For a phone that was given a wrong address, the body must not be empty.
    let mut response = (StatusCode::PERMANENT_REDIRECT, "see the Location header").into_response();
    if let Ok(to) = HeaderValue::from_str(&format!("/numbers{rest}{query}")) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response
}
