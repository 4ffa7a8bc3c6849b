//! Escalation policies and the rules that choose them: `/api/v1/policies`, `/api/v1/policy-rules`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::requests::merge::Patch;
use crate::access::senders::Sender;
use crate::app::App;
use crate::http::listing::{Listed, Paged, Paging, escaped, located};
use crate::http::problem::Problem;
use crate::http::versions::versioned;
use crate::intake::alarm_request;
use crate::keep::policies::{self as kept, PolicyBody, RulesBody};
use crate::store::duty::policies::PolicyRow;
use crate::store::{Db, Work};
use crate::versions::Expected;

/// A policy with its name.
#[derive(Debug, Serialize, ToSchema)]
pub struct NamedPolicy {
    name: String,
    #[serde(flatten)]
    policy: PolicyBody,
    updated_at: DateTime<Utc>,
}

/// All policies.
#[utoipa::path(get, path = "/api/v1/policies", tag = "policies", params(Paged),
    responses((status = 200, description = "By name", body = Listed<NamedPolicy>),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let paging = Paging::read(query.as_deref())?;
    let mut reader = app.engine.store.read().await?;
    let mut db = reader.db();
    let mut policies = Vec::new();
    for row in db.policies().await? {
        policies.push((row.name.clone(), named(&mut db, row).await?));
    }
    Ok(paging.page(policies).answer())
}

/// One policy.
#[utoipa::path(get, path = "/api/v1/policies/{name}", tag = "policies",
    params(("name" = String, Path, description = "The policy's name")),
    responses((status = 200, description = "The policy", body = NamedPolicy),
        (status = 404, description = "There is no such policy", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(State(app): State<Arc<App>>, Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let mut reader = app.engine.store.read().await?;
    let mut db = reader.db();
    let row = db.policy_by_name(&name).await?.ok_or_else(|| kept::unknown(&name))?;
    let version = kept::version(&row);
    Ok(versioned(&headers, StatusCode::OK, &version, &named(&mut db, row).await?))
}

/// Makes or replaces a policy. Hunts that follow it go on with what it says now, from their next step.
#[utoipa::path(put, path = "/api/v1/policies/{name}", tag = "policies",
    params(("name" = String, Path, description = "The policy's name")),
    request_body = PolicyBody,
    responses((status = 200, description = "Replaced", body = NamedPolicy),
        (status = 201, description = "Made", body = NamedPolicy),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn put(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let body: PolicyBody = alarm_request::read_json(&body)?;
    let (region, expected) = (app.config().default_region, Expected::of(&headers));
    let set = async |work: &mut Work| kept::set(work, &name, &body, region, &expected).await;
    let stored = app.engine.carry_out(sender.doer(), set).await?;
    let at = format!("/api/v1/policies/{}", escaped(&stored.row.name));
    Ok(located(&at, shown(stored)))
}

/// A policy as it was stored just now.
fn shown(stored: kept::Stored) -> Response {
    let status = if stored.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let version = kept::version(&stored.row);
    let policy = NamedPolicy { name: stored.row.name, policy: stored.body, updated_at: stored.row.updated_at };
    versioned(&HeaderMap::new(), status, &version, &policy)
}

/// Changes what is named and leaves the rest.
#[utoipa::path(patch, path = "/api/v1/policies/{name}", tag = "policies", request_body = PolicyBody,
    params(("name" = String, Path, description = "The policy's name")),
    responses((status = 200, description = "Changed", body = NamedPolicy),
        (status = 404, description = "There is no such policy", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What is wrong is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn patch(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let patch = Patch::read(&app, &headers, body).await?;
    let (row, said) = {
        let mut reader = app.engine.store.read().await?;
        let row = reader.db().policy_by_name(&name).await?.ok_or_else(|| kept::unknown(&name))?;
        let said = kept::written(&mut reader.db(), &row.definition).await?;
        (row, said)
    };
    let expected = patch.of(kept::version(&row))?;
    let (body, region) = (patch.on(&said)?, app.config().default_region);
    let set = async |work: &mut Work| kept::set(work, &name, &body, region, &expected).await;
    Ok(shown(app.engine.carry_out(sender.doer(), set).await?))
}

/// Removes a policy and its rules. Hunts that follow it end with their current step.
#[utoipa::path(delete, path = "/api/v1/policies/{name}", tag = "policies",
    params(("name" = String, Path, description = "The policy's name")),
    responses((status = 204, description = "Removed"),
        (status = 404, description = "There is no such policy", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn remove(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let expected = Expected::of(&headers);
    app.engine.carry_out(sender.doer(), async |work| kept::forget(work, &name, &expected).await).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The rules that say which alarms a policy is for.
#[utoipa::path(get, path = "/api/v1/policy-rules", tag = "policies",
    responses((status = 200, description = "In order", body = RulesBody),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn rules(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Problem> {
    let (rules, version) = kept::read_rules(&app.engine.store).await?;
    Ok(versioned(&headers, StatusCode::OK, &version, &rules))
}

/// Replaces all rules.
#[utoipa::path(put, path = "/api/v1/policy-rules", tag = "policies", request_body = RulesBody,
    responses((status = 200, description = "Stored", body = RulesBody),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn put_rules(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let expected = Expected::demanded(&headers)?;
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let body: RulesBody = alarm_request::read_json(&body)?;
    let version = app.engine.carry_out(sender.doer(), async |work| kept::set_rules(work, &body, &expected).await).await?;
    Ok(versioned(&HeaderMap::new(), StatusCode::OK, &version, &body))
}

async fn named(db: &mut Db<'_>, row: PolicyRow) -> Result<NamedPolicy, Problem> {
    let policy = kept::written(db, &row.definition).await?;
    Ok(NamedPolicy { name: row.name, policy, updated_at: row.updated_at })
}
