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
use crate::intake::alarm_request::{self, LONGEST_NOTE, optional_text};
use crate::numbers::{Number, Region};

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
    let number = parse(&body.number, app.config().default_region)?;
    let reason = optional_text("reason", body.reason, LONGEST_NOTE)?.unwrap_or_default();
    let mut tx = app.engine.store.begin().await?;
    tx.db().forbid_number(number.as_str(), &reason, app.engine.clock.now()).await?;
    tx.commit().await?;
    list(State(app)).await
}

/// A number may be called again.
#[utoipa::path(delete, path = "/api/v1/do-not-call/{number}", tag = "do not call",
    params(("number" = String, Path, description = "The number")),
    responses((status = 204, description = "It may be called again"),
        (status = 404, description = "It is not among them", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn remove(State(app): State<Arc<App>>, Path(number): Path<String>) -> Result<StatusCode, Problem> {
    let number = parse(&number, app.config().default_region)?;
    let mut tx = app.engine.store.begin().await?;
    if !tx.db().allow_number(number.as_str()).await? {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "not_forbidden",
            "this number is not among those that must not be called",
        ));
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reads a number as somebody writes it.
///
/// # Errors
/// When it is none.
pub fn parse(number: &str, region: Region) -> Result<Number, Problem> {
    Number::parse(number, region).map(|parsed| parsed.number).map_err(|error| Problem::invalid("number", error.to_string()))
}
