//! Numbers that must not be called: `/api/v1/do-not-call`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::senders::Sender;
use crate::app::App;
use crate::http::answer;
use crate::http::listing::{Listed, Paged, Paging, escaped, located};
use crate::http::problem::Problem;
use crate::http::versions::versioned;
use crate::intake::alarm_request;
use crate::keep::do_not_call as forbidden;
use crate::store::Work;
use crate::store::duty::do_not_call::DoNotCallRow;
use crate::versions::Expected;

/// A number that must not be called.
#[derive(Debug, Serialize, ToSchema)]
pub struct Forbidden {
    phone_number: String,
    reason: String,
    created_at: DateTime<Utc>,
}

impl From<DoNotCallRow> for Forbidden {
    fn from(row: DoNotCallRow) -> Self {
        Self { phone_number: row.number, reason: row.reason, created_at: row.created_at }
    }
}

/// The JSON body of `POST /api/v1/do-not-call`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForbidBody {
    /// The number.
    #[serde(alias = "number")]
    phone_number: String,
    /// Why; shown on the timeline of alarms that would have rung it.
    #[schema(max_length = 2000)]
    reason: Option<String>,
}

/// Numbers that must not be called.
#[utoipa::path(get, path = "/api/v1/do-not-call", tag = "do not call", params(Paged),
    responses((status = 200, description = "By number", body = Listed<Forbidden>),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let paging = Paging::read(query.as_deref())?;
    let rows = app.engine.store.read().await?.db().forbidden_numbers().await?;
    let numbers = rows.into_iter().map(|row| (row.number.clone(), Forbidden::from(row))).collect();
    Ok(paging.page(numbers).answer())
}

/// One of the numbers that must not be called.
#[utoipa::path(get, path = "/api/v1/do-not-call/{number}", tag = "do not call",
    params(("number" = String, Path, description = "The number")),
    responses((status = 200, description = "Since when, and why", body = Forbidden),
        (status = 404, description = "It is not among them", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(State(app): State<Arc<App>>, Path(number): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let number = forbidden::parse(&number, app.config().default_region)?;
    let row = app.engine.store.read().await?.db().forbidden(number.as_str()).await?;
    let row = row.ok_or_else(not_among_them)?;
    Ok(versioned(&headers, StatusCode::OK, &forbidden::version(&row), &Forbidden::from(row)))
}

fn not_among_them() -> Problem {
    Problem::not_found("this number is not among those that must not be called")
}

/// A number must not be called from now on, whoever names it. A call under way is not cut off.
#[utoipa::path(post, path = "/api/v1/do-not-call", tag = "do not call", request_body = ForbidBody,
    responses((status = 201, description = "Kept", body = Forbidden),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn add(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let body: ForbidBody = alarm_request::read_json(&body)?;
    let (region, expected) = (app.config().default_region, Expected::of(&headers));
    let forbid = async |work: &mut Work| forbidden::forbid(work, &body.phone_number, body.reason, region, &expected).await;
    let number = app.engine.carry_out(sender.doer(), forbid).await?;
    let kept = app.engine.store.read().await?.db().forbidden(number.as_str()).await?;
    let shown = Forbidden::from(kept.ok_or_else(not_among_them)?);
    let at = format!("/api/v1/do-not-call/{}", escaped(&shown.phone_number));
    Ok(located(&at, answer(StatusCode::CREATED, &shown)))
}

/// A number may be called again.
#[utoipa::path(delete, path = "/api/v1/do-not-call/{number}", tag = "do not call",
    params(("number" = String, Path, description = "The number")),
    responses((status = 204, description = "It may be called again"),
        (status = 404, description = "It is not among them", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn remove(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(number): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let (region, expected) = (app.config().default_region, Expected::of(&headers));
    if !app.engine.carry_out(sender.doer(), async |work| forbidden::allow(work, &number, region, &expected).await).await? {
        return Err(not_among_them());
    }
    Ok(StatusCode::NO_CONTENT)
}
