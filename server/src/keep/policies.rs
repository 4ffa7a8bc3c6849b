//! Escalation policies, and the rules that say which alarms they are for: read, checked, stored.

use serde_json::json;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use utoipa::ToSchema;

use super::checks;
use super::refused::{Faults, Refused};
use super::whom::{self, Named};
use crate::alarm::policy::{MOST_ROUNDS, MOST_STEPS, Policy, Step};
use crate::alarm::{Confirm, Confirmation, Mode};
use crate::audit::{Line, Operation};
use crate::numbers::Region;
use crate::store::duty::policies::{PolicyRow, PolicyRuleRow};
use crate::store::edits::Edited;
use crate::store::{Db, Store, Work};
use crate::versions::{Expected, Version};
use crate::visible;

/// Callees of one step at most.
const MOST_CALLEES: usize = 50;
/// Rules at most.
pub const MOST_RULES: usize = 200;

/// A policy as it is written: what `PUT /api/v1/policies/{name}` and `autocall policy set` take, and `GET` gives.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyBody {
    /// 1 to 20 steps.
    #[schema(min_items = 1, max_items = 20)]
    pub steps: Vec<StepBody>,
    /// How often the steps are gone through, 1 to 10; default 1.
    #[serde(default = "once")]
    #[schema(minimum = 1, maximum = 10)]
    pub rounds: i32,
    /// An answer that nobody confirms within so many seconds lapses; without it, an answer needs no confirmation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 86400)]
    pub confirm_within_seconds: Option<i32>,
    /// When an answer needs no further word: `none`, as soon as the line connects; `any`, once somebody confirms it; `key`: the same, and where
    /// the handset speaks, who presses no key has not answered. Without it, `any` where a time to confirm is given. `key` and `any` give 120
    /// seconds where none are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
    /// Whoever is called is told by text message as well, unless they want none; default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub texts: bool,
}

/// One step of a policy.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StepBody {
    /// Whom to ring, in order: each an object with one of `person`, `number`, `team`, `schedule`.
    #[schema(min_items = 1, max_items = 50)]
    pub ring: Vec<Named>,
    /// Default: sequential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Calls to each, 1 to 10; default as configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10)]
    pub attempts: Option<i32>,
    /// Least time between two calls to one; default as configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 86400)]
    pub min_interval_seconds: Option<i32>,
    /// The next step begins after so many seconds at the latest; without it, when everybody was rung as often as was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 86400)]
    pub wait_seconds: Option<i32>,
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
    #[schema(max_items = 200)]
    pub rules: Vec<RuleBody>,
}

fn once() -> i32 {
    1
}

/// Removes a policy and its rules.
///
/// # Errors
/// When there is none, it has changed meanwhile, or the database fails.
pub async fn forget(work: &mut Work, name: &str, expected: &Expected) -> Result<(), Refused> {
    work.db().lock_edits(Edited::Policies).await?;
    let row = work.db().policy_by_name(name).await?.ok_or_else(|| unknown(name))?;
    expected.check(Some(&version(&row)))?;
    let before = written(&mut work.db(), &row.definition).await?;
    work.db().delete_policy(name).await?;
    work.note(Line::new(Operation::PolicyRemoved).of(row.id).named(name).before(json!(before)));
    Ok(())
}

/// The version of a policy.
#[must_use]
pub fn version(row: &PolicyRow) -> Version {
    Version::of(&(row.id, &row.name, &row.definition))
}

/// A policy that was stored.
#[derive(Debug)]
pub struct Stored {
    /// As it is kept.
    pub row: PolicyRow,
    /// As it is written.
    pub body: PolicyBody,
    /// There was none of that name.
    pub is_new: bool,
}

/// Checks and stores a policy, and gives it as it is then.
///
/// # Errors
/// The first thing that is wrong with it, or that it has changed meanwhile; nothing was changed then.
pub async fn set(work: &mut Work, name: &str, body: &PolicyBody, region: Region, expected: &Expected) -> Result<Stored, Refused> {
    let now = work.now();
    let mut faults = Faults::default();
    faults.note(checks::text("name", name, checks::LONGEST_NAME))?;
    if visible::is_blank(name) || name.trim() != name {
        faults.note(Err::<(), _>(Refused::at("name", "a policy needs a name, without blanks at its ends")))?;
    }
    if body.steps.is_empty() || body.steps.len() > MOST_STEPS {
        faults.note(Err::<(), _>(Refused::at("steps", format!("a policy has 1 to {MOST_STEPS} steps"))))?;
    }
    let rounds = faults.note(checks::within("rounds", body.rounds, 1..=MOST_ROUNDS, "times through the steps"))?;
    let confirm_within_s = faults.note(checks::optional_within(
        "confirm_within_seconds",
        body.confirm_within_seconds,
        1..=checks::DAY,
        "seconds",
    ))?;
    let wanted = Confirmation::of(body.confirm, confirm_within_s.flatten());
    work.db().lock_edits(Edited::Policies).await?;
    let before = work.db().policy_by_name(name).await?;
    expected.check(before.as_ref().map(version).as_ref())?;
    let mut steps = Vec::with_capacity(body.steps.len());
    for (index, step) in body.steps.iter().enumerate().take(MOST_STEPS) {
        if faults.are_enough() {
            break;
        }
        steps.extend(faults.note(check_step(&mut work.db(), &format!("steps[{index}]"), step, region).await)?);
    }
    faults.none()?;
    let policy =
        Policy { steps, rounds: rounds.unwrap_or(1), confirm_within_s: wanted.within, wants_key: wanted.key, texts: body.texts };
    let old = match &before {
        Some(row) => Some(written(&mut work.db(), &row.definition).await?),
        None => None,
    };
    let id = work.db().upsert_policy(name, &policy, now).await?;
    let row = work.db().policy(id).await?.ok_or_else(|| unknown(name))?;
    let body = written(&mut work.db(), &row.definition).await?;
    let line = match old {
        Some(old) => Line::new(Operation::PolicyChanged).before(json!(old)),
        None => Line::new(Operation::PolicyAdded),
    };
    work.note(line.of(id).named(name).after(json!(body)));
    Ok(Stored { row, body, is_new: before.is_none() })
}

async fn check_step(db: &mut Db<'_>, field: &str, step: &StepBody, region: Region) -> Result<Step, Refused> {
    if step.ring.is_empty() || step.ring.len() > MOST_CALLEES {
        return Err(Refused::at(format!("{field}.ring"), format!("a step rings 1 to {MOST_CALLEES} people, numbers or teams")));
    }
    let mut faults = Faults::default();
    let mut whom = Vec::with_capacity(step.ring.len());
    for (index, one) in step.ring.iter().enumerate() {
        let field = format!("{field}.ring[{index}]");
        whom.extend(faults.note(whom::find(db, one, region).await?.map_err(|why| Refused::at(field, why)))?);
    }
    let mut number = |name: &str, value: Option<i32>, range, unit| {
        faults.note(checks::optional_within(&format!("{field}.{name}"), value, range, unit)).map(Option::flatten)
    };
    let attempts = number("attempts", step.attempts, checks::ATTEMPTS, "calls to each callee")?;
    let min_interval_s = number("min_interval_seconds", step.min_interval_seconds, 0..=checks::DAY, "seconds")?;
    let wait_s = number("wait_seconds", step.wait_seconds, 1..=checks::DAY, "seconds")?;
    faults.none()?;
    Ok(Step { whom, mode: step.mode.unwrap_or(Mode::Sequential), attempts, min_interval_s, wait_s })
}

/// A policy as it is written.
///
/// # Errors
/// When the database fails.
pub async fn written(db: &mut Db<'_>, policy: &Policy) -> Result<PolicyBody, Refused> {
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
    let confirm = policy.wants_key.then_some(Confirm::Key);
    let (rounds, texts) = (policy.rounds, policy.texts);
    Ok(PolicyBody { steps, rounds, confirm_within_seconds: policy.confirm_within_s, confirm, texts })
}

/// The rules as they are written, and their version.
///
/// # Errors
/// When the database fails.
pub async fn read_rules(store: &Store) -> Result<(RulesBody, Version), Refused> {
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
pub async fn set_rules(work: &mut Work, body: &RulesBody, expected: &Expected) -> Result<Version, Refused> {
    if body.rules.len() > MOST_RULES {
        return Err(Refused::at("rules", format!("there are at most {MOST_RULES} rules")));
    }
    // A policy that is removed takes its rules along.
    work.db().lock_edits(Edited::Policies).await?;
    work.db().lock_edits(Edited::PolicyRules).await?;
    let before = work.db().policy_rules().await?;
    expected.check(Some(&version_of_rules(&before)))?;
    let keys: Vec<String> = work.db().keys().await?.into_iter().map(|key| key.name).collect();
    let mut rows = Vec::with_capacity(body.rules.len());
    let mut faults = Faults::default();
    for (index, rule) in body.rules.iter().enumerate() {
        if faults.are_enough() {
            break;
        }
        let policy = work.db().policy_by_name(&rule.policy).await?;
        let policy = faults.note(policy.ok_or_else(|| {
            Refused::at(format!("rules[{index}].policy"), format!("there is no escalation policy named {:?}", rule.policy))
        }))?;
        if let Some(sender) = rule.sender.as_ref().filter(|sender| !keys.contains(sender)) {
            let why = format!("there is no key named {sender:?}");
            faults.note(Err::<(), _>(Refused::at(format!("rules[{index}].sender"), why)))?;
        }
        faults.note(checks::labels(&rule.labels).map_err(|refused| refused.within(&format!("rules[{index}]"))))?;
        let sender = rule.sender.clone();
        rows.extend(policy.map(|policy| PolicyRuleRow { policy_id: policy.id, sender, labels: Json(rule.labels.clone()) }));
    }
    faults.none()?;
    work.db().set_policy_rules(&rows).await?;
    let told = |rules: &[PolicyRuleRow]| {
        let one = |rule: &PolicyRuleRow| json!({ "policy": rule.policy_id, "sender": rule.sender, "labels": rule.labels.0 });
        json!({ "rules": rules.iter().map(one).collect::<Vec<_>>() })
    };
    work.note(Line::new(Operation::RulesChanged).before(told(&before)).after(told(&rows)));
    Ok(version_of_rules(&rows))
}

/// There is none of that name.
#[must_use]
pub fn unknown(name: &str) -> Refused {
    Refused::Missing { what: "escalation policy", name: name.to_owned() }
}
