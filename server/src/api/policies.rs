//! Escalation policies and the rules that choose them: `/api/v1/policies`, `/api/v1/policy-rules`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use utoipa::ToSchema;

use crate::alarm::Mode;
use crate::alarm::policy::{MOST_ROUNDS, MOST_STEPS, Policy, Step};
use crate::app::App;
use crate::engine::hunt::whom::{self, Named};
use crate::http::problem::Problem;
use crate::http::versions::versioned;
use crate::intake::alarm_request::{self, DAY, LONGEST_NAME, check_labels, check_text, within};
use crate::numbers::Region;
use crate::store::duty::policies::{PolicyRow, PolicyRuleRow};
use crate::store::edits::Edited;
use crate::store::{Db, Store};
use crate::versions::{Expected, Version};

/// Callees of one step at most.
const MOST_CALLEES: usize = 50;
/// Rules at most.
pub const MOST_RULES: usize = 200;

/// A policy as it is written: what `PUT /api/v1/policies/{name}` and `autocall policy set` take, and `GET` gives.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyBody {
    /// 1 to 20 steps.
    pub steps: Vec<StepBody>,
    /// How often the steps are gone through, 1 to 10; default 1.
    #[serde(default = "once")]
    pub rounds: i32,
    /// An answer that nobody confirms within so many seconds lapses; without it, an answer needs no confirmation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_within_seconds: Option<i32>,
}

/// One step of a policy.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StepBody {
    /// Whom to ring, in order: each an object with one of `person`, `number`, `team`, `schedule`.
    pub ring: Vec<Named>,
    /// Default: sequential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Calls to each, 1 to 10; default as configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i32>,
    /// Least time between two calls to one; default as configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_interval_seconds: Option<i32>,
    /// The next step begins after so many seconds at the latest; without it, when everybody was rung as often as was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_seconds: Option<i32>,
}

/// A policy with its name.
#[derive(Debug, Serialize, ToSchema)]
pub struct NamedPolicy {
    name: String,
    #[serde(flatten)]
    policy: PolicyBody,
    updated_at: DateTime<Utc>,
}

/// All policies.
#[derive(Debug, Serialize, ToSchema)]
pub struct Policies {
    policies: Vec<NamedPolicy>,
}

/// Which alarms a policy is for. A rule with neither `sender` nor `labels` is for everything that is left.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleBody {
    /// The policy's name.
    pub policy: String,
    /// Alarms of the sender whose key has this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// Alarms with all of these labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// The rules, tried in order; the first that matches counts.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RulesBody {
    /// All of them.
    pub rules: Vec<RuleBody>,
}

fn once() -> i32 {
    1
}

/// All policies.
#[utoipa::path(get, path = "/api/v1/policies", tag = "policies",
    responses((status = 200, description = "By name", body = Policies),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Problem> {
    let mut reader = app.engine.store.read().await?;
    let mut db = reader.db();
    let mut policies = Vec::new();
    for row in db.policies().await? {
        policies.push(named(&mut db, row).await?);
    }
    let policies = Policies { policies };
    Ok(versioned(&headers, StatusCode::OK, &Version::of(&policies), &policies))
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
    let row = db.policy_by_name(&name).await?.ok_or_else(unknown)?;
    let version = version(&row);
    Ok(versioned(&headers, StatusCode::OK, &version, &named(&mut db, row).await?))
}

/// Makes or replaces a policy. Hunts that follow it go on with what it says now, from their next step.
#[utoipa::path(put, path = "/api/v1/policies/{name}", tag = "policies",
    params(("name" = String, Path, description = "The policy's name")),
    request_body = PolicyBody,
    responses((status = 200, description = "Stored", body = NamedPolicy),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn put(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let body: PolicyBody = alarm_request::read_json(&body)?;
    let (now, expected) = (app.engine.clock.now(), Expected::of(&headers));
    let (row, body) = set(&app.engine.store, &name, &body, app.config().default_region, now, &expected).await?;
    let version = version(&row);
    let stored = NamedPolicy { name: row.name, policy: body, updated_at: row.updated_at };
    Ok(versioned(&HeaderMap::new(), StatusCode::OK, &version, &stored))
}

/// Removes a policy and its rules. Hunts that follow it end with their current step.
#[utoipa::path(delete, path = "/api/v1/policies/{name}", tag = "policies",
    params(("name" = String, Path, description = "The policy's name")),
    responses((status = 204, description = "Removed"),
        (status = 404, description = "There is no such policy", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn remove(State(app): State<Arc<App>>, Path(name): Path<String>, headers: HeaderMap) -> Result<StatusCode, Problem> {
    forget(&app.engine.store, &name, &Expected::of(&headers)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The rules that say which alarms a policy is for.
#[utoipa::path(get, path = "/api/v1/policy-rules", tag = "policies",
    responses((status = 200, description = "In order", body = RulesBody),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn rules(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Problem> {
    let (rules, version) = read_rules(&app.engine.store).await?;
    Ok(versioned(&headers, StatusCode::OK, &version, &rules))
}

/// Replaces all rules.
#[utoipa::path(put, path = "/api/v1/policy-rules", tag = "policies", request_body = RulesBody,
    responses((status = 200, description = "Stored", body = RulesBody),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn put_rules(State(app): State<Arc<App>>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let expected = Expected::demanded(&headers)?;
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let body: RulesBody = alarm_request::read_json(&body)?;
    let version = set_rules(&app.engine.store, &body, &expected).await?;
    Ok(versioned(&HeaderMap::new(), StatusCode::OK, &version, &body))
}

/// Removes a policy and its rules.
///
/// # Errors
/// When there is none, it has changed meanwhile, or the database fails.
pub async fn forget(store: &Store, name: &str, expected: &Expected) -> Result<(), Problem> {
    let mut tx = store.begin().await?;
    tx.db().lock_edits(Edited::Policies).await?;
    let row = tx.db().policy_by_name(name).await?.ok_or_else(unknown)?;
    expected.check(Some(&version(&row)))?;
    tx.db().delete_policy(name).await?;
    Ok(tx.commit().await?)
}

/// The version of a policy.
#[must_use]
pub fn version(row: &PolicyRow) -> Version {
    Version::of(&(row.id, &row.name, &row.definition))
}

/// Checks and stores a policy, and gives it as it is then.
///
/// # Errors
/// The first thing that is wrong with it, or that it has changed meanwhile; nothing was changed then.
pub async fn set(
    store: &Store,
    name: &str,
    body: &PolicyBody,
    region: Region,
    now: DateTime<Utc>,
    expected: &Expected,
) -> Result<(PolicyRow, PolicyBody), Problem> {
    check_text("name", name, LONGEST_NAME)?;
    if name.trim().is_empty() || name.trim() != name {
        return Err(Problem::invalid("name", "a policy needs a name, without blanks at its ends"));
    }
    if body.steps.is_empty() || body.steps.len() > MOST_STEPS {
        return Err(Problem::invalid("steps", format!("a policy has 1 to {MOST_STEPS} steps")));
    }
    let rounds = within("rounds", body.rounds, 1..=MOST_ROUNDS, "times through the steps")?;
    let confirm_within_s = optional_within("confirm_within_seconds", body.confirm_within_seconds, 1..=DAY, "seconds")?;
    let mut tx = store.begin().await?;
    tx.db().lock_edits(Edited::Policies).await?;
    expected.check(tx.db().policy_by_name(name).await?.as_ref().map(version).as_ref())?;
    let mut steps = Vec::with_capacity(body.steps.len());
    for (index, step) in body.steps.iter().enumerate() {
        steps.push(check_step(&mut tx.db(), &format!("steps[{index}]"), step, region).await?);
    }
    let id = tx.db().upsert_policy(name, &Policy { steps, rounds, confirm_within_s }, now).await?;
    let row = tx.db().policy(id).await?.ok_or_else(unknown)?;
    let body = written(&mut tx.db(), &row.definition).await?;
    tx.commit().await?;
    Ok((row, body))
}

async fn check_step(db: &mut Db<'_>, field: &str, step: &StepBody, region: Region) -> Result<Step, Problem> {
    if step.ring.is_empty() || step.ring.len() > MOST_CALLEES {
        return Err(Problem::invalid(
            format!("{field}.ring"),
            format!("a step rings 1 to {MOST_CALLEES} people, numbers or teams"),
        ));
    }
    let mut whom = Vec::with_capacity(step.ring.len());
    for (index, one) in step.ring.iter().enumerate() {
        let field = format!("{field}.ring[{index}]");
        whom.push(whom::find(db, one, region).await?.map_err(|why| Problem::invalid(field, why))?);
    }
    Ok(Step {
        whom,
        mode: step.mode.unwrap_or(Mode::Sequential),
        attempts: optional_within(&format!("{field}.attempts"), step.attempts, alarm_request::ATTEMPTS, "calls to each callee")?,
        min_interval_s: optional_within(&format!("{field}.min_interval_seconds"), step.min_interval_seconds, 0..=DAY, "seconds")?,
        wait_s: optional_within(&format!("{field}.wait_seconds"), step.wait_seconds, 1..=DAY, "seconds")?,
    })
}

fn optional_within(
    field: &str,
    value: Option<i32>,
    range: std::ops::RangeInclusive<i32>,
    unit: &str,
) -> Result<Option<i32>, Problem> {
    value.map(|value| within(field, value, range, unit)).transpose()
}

/// A policy as it is written.
///
/// # Errors
/// When the database fails.
pub async fn written(db: &mut Db<'_>, policy: &Policy) -> Result<PolicyBody, Problem> {
    let mut steps = Vec::with_capacity(policy.steps.len());
    for step in &policy.steps {
        let mut ring = Vec::with_capacity(step.whom.len());
        for whom in &step.whom {
            // Whoever was removed since is rung no more, and not shown.
            ring.extend(whom::name(db, whom).await?);
        }
        steps.push(StepBody {
            ring,
            mode: Some(step.mode),
            attempts: step.attempts,
            min_interval_seconds: step.min_interval_s,
            wait_seconds: step.wait_s,
        });
    }
    Ok(PolicyBody { steps, rounds: policy.rounds, confirm_within_seconds: policy.confirm_within_s })
}

/// The rules as they are written, and their version.
///
/// # Errors
/// When the database fails.
pub async fn read_rules(store: &Store) -> Result<(RulesBody, Version), Problem> {
    let mut reader = store.read().await?;
    let mut db = reader.db();
    let names: BTreeMap<_, _> = db.policies().await?.into_iter().map(|policy| (policy.id, policy.name)).collect();
    let rules = db.policy_rules().await?;
    let version = version_of_rules(&rules);
    let written = rules.into_iter().filter_map(|rule| {
        Some(RuleBody { policy: names.get(&rule.policy_id)?.clone(), sender: rule.sender, labels: rule.labels.0 })
    });
    Ok((RulesBody { rules: written.collect() }, version))
}

fn version_of_rules(rules: &[PolicyRuleRow]) -> Version {
    Version::of(&rules.iter().map(|rule| (rule.policy_id, &rule.sender, &rule.labels)).collect::<Vec<_>>())
}

/// Checks and stores all rules, and gives their version.
///
/// # Errors
/// The first thing that is wrong with them, or that they have changed meanwhile; nothing was changed then.
pub async fn set_rules(store: &Store, body: &RulesBody, expected: &Expected) -> Result<Version, Problem> {
    if body.rules.len() > MOST_RULES {
        return Err(Problem::invalid("rules", format!("there are at most {MOST_RULES} rules")));
    }
    let mut tx = store.begin().await?;
    // A policy that is removed takes its rules along.
    tx.db().lock_edits(Edited::Policies).await?;
    tx.db().lock_edits(Edited::PolicyRules).await?;
    expected.check(Some(&version_of_rules(&tx.db().policy_rules().await?)))?;
    let keys: Vec<String> = tx.db().keys().await?.into_iter().map(|key| key.name).collect();
    let mut rows = Vec::with_capacity(body.rules.len());
    for (index, rule) in body.rules.iter().enumerate() {
        let policy = tx.db().policy_by_name(&rule.policy).await?;
        let policy = policy.ok_or_else(|| {
            Problem::invalid(format!("rules[{index}].policy"), format!("there is no escalation policy named {:?}", rule.policy))
        })?;
        if let Some(sender) = rule.sender.as_ref().filter(|sender| !keys.contains(sender)) {
            return Err(Problem::invalid(format!("rules[{index}].sender"), format!("there is no key named {sender:?}")));
        }
        check_labels(&rule.labels).map_err(|problem| problem.within(&format!("rules[{index}]")))?;
        rows.push(PolicyRuleRow { policy_id: policy.id, sender: rule.sender.clone(), labels: Json(rule.labels.clone()) });
    }
    tx.db().set_policy_rules(&rows).await?;
    tx.commit().await?;
    Ok(version_of_rules(&rows))
}

async fn named(db: &mut Db<'_>, row: PolicyRow) -> Result<NamedPolicy, Problem> {
    let policy = written(db, &row.definition).await?;
    Ok(NamedPolicy { name: row.name, policy, updated_at: row.updated_at })
}

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_policy", "there is no escalation policy of that name")
}
