//! Quiet hours: `/api/v1/quiet-hours`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use crate::access::senders::Sender;
use crate::app::App;
use crate::http::problem::Problem;
use crate::http::versions::versioned;
use crate::intake::alarm_request;
use crate::keep::quiet_hours::{self as kept, AllQuiet};
use crate::versions::Expected;

/// All quiet hours.
#[utoipa::path(get, path = "/api/v1/quiet-hours", tag = "roster",
    operation_id = "quiet_hours",
    responses((status = 200, description = "All of them", body = AllQuiet),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Problem> {
    let (all, version) = kept::read(&app.engine.store).await?;
    Ok(versioned(&headers, StatusCode::OK, &version, &all))
}

/// Replaces all quiet hours.
#[utoipa::path(put, path = "/api/v1/quiet-hours", tag = "roster", request_body = AllQuiet,
    operation_id = "put_quiet_hours",
    responses((status = 200, description = "Stored", body = AllQuiet),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn put(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let expected = Expected::demanded(&headers)?;
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let body: AllQuiet = alarm_request::read_json(&body)?;
    let version = app.engine.carry_out(sender.doer(), async |work| kept::set(work, &body, &expected).await).await?;
    Ok(versioned(&HeaderMap::new(), StatusCode::OK, &version, &body))
}
