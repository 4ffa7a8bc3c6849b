//! Numbers that must not be called: `/api/v1/do-not-call`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::http::answer;
use crate::http::problem::Problem;
use crate::intake::alarm_request;
use crate::keep::do_not_call as forbidden;

/// A number that must not be called.
#[derive(Debug, Serialize, ToSchema)]
pub struct Forbidden {
    number: String,
    reason: String,
    created_at: DateTime<Utc>,
}

/// All of them.
#[derive(Debug, Serialize, ToSchema)]
pub struct AllForbidden {
    numbers: Vec<Forbidden>,
}

/// The JSON body of `POST /api/v1/do-not-call`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForbidBody {
    /// The number.
    number: String,
    /// Why; shown on the timeline of alarms that would have rung it.
    reason: Option<String>,
}

/// Numbers that must not be called.
#[utoipa::path(get, path = "/api/v1/do-not-call", tag = "do not call",
    responses((status = 200, description = "All of them", body = AllForbidden),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let rows = app.engine.store.read().await?.db().forbidden_numbers().await?;
    let numbers =
        rows.into_iter().map(|row| Forbidden { number: row.number, reason: row.reason, created_at: row.created_at }).collect();
    Ok(answer(StatusCode::OK, &AllForbidden { numbers }))
}

/// A number must not be called from now on, whoever names it. A call under way is not cut off.
#[utoipa::path(post, path = "/api/v1/do-not-call", tag = "do not call", request_body = ForbidBody,
    responses((status = 200, description = "Kept", body = AllForbidden),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn add(State(app): State<Arc<App>>, body: Body) -> Result<Response, Problem> {
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let body: ForbidBody = alarm_request::read_json(&body)?;
    let (region, now) = (app.config().default_region, app.engine.clock.now());
    forbidden::forbid(&app.engine.store, &body.number, body.reason, region, now).await?;
    list(State(app)).await
}

/// A number may be called again.
#[utoipa::path(delete, path = "/api/v1/do-not-call/{number}", tag = "do not call",
    params(("number" = String, Path, description = "The number")),
    responses((status = 204, description = "It may be called again"),
        (status = 404, description = "It is not among them", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn remove(State(app): State<Arc<App>>, Path(number): Path<String>) -> Result<StatusCode, Problem> {
    if !forbidden::allow(&app.engine.store, &number, app.config().default_region).await? {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "not_forbidden",
            "this number is not among those that must not be called",
        ));
    }
    Ok(StatusCode::NO_CONTENT)
}
