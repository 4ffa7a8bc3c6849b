//! Whom an alarm would ring, and why, without ringing anybody: it is raised in a unit of work that is given up.

use chrono::{DateTime, Utc};

use super::hunt::raise::{NamedBy, RaiseRequest, rule_for};
use super::{Engine, EngineError};

/// Who says whom to ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// The message or its address.
    Said,
    /// The rule at this place of the list, counted from one.
    Rule(usize),
    /// The sender's key.
    Key,
    /// The configuration.
    Fallback,
    /// Nobody does: such an alarm is refused.
    Nobody,
}

/// What an alarm would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsal {
    /// Who says whom to ring.
    pub because: Because,
    /// The name of the policy, where one does.
    pub policy: Option<String>,
    /// Who would be rung first: a name, where one is known, and the number.
    pub rung: Vec<(Option<String>, String)>,
    /// Who of these has quiet hours now, by name or number, and until when.
    pub in_peace: Vec<(String, DateTime<Utc>)>,
    /// Until when a maintenance window would hold it.
    pub held_until: Option<DateTime<Utc>>,
}

impl Engine {
    /// Raises an alarm and takes it back before anybody can hear of it.
    ///
    /// # Errors
    /// When it names what is not there, or the database fails.
    pub async fn rehearse(&self, request: &RaiseRequest) -> Result<Rehearsal, EngineError> {
        let mut work = self.work(request.by.clone()).await?;
        let policy = match self.policy_for(&mut work, request).await {
            Ok(policy) => policy.map(|policy| policy.name),
            Err(EngineError::NobodyNamed) => {
                return Ok(Rehearsal {
                    because: Because::Nobody,
                    policy: None,
                    rung: Vec::new(),
                    in_peace: Vec::new(),
                    held_until: None,
                });
            }
            Err(error) => return Err(error),
        };
        let rules = work.db().policy_rules().await?;
        let by_rule = rule_for(&rules, request).map(|(place, _)| Because::Rule(place)).filter(|_| policy.is_some());
        let because = match (by_rule, request.named_by) {
            _ if request.policy.is_some() => Because::Said,
            (Some(rule), _) => rule,
            (None, NamedBy::Alarm) => Because::Said,
            (None, NamedBy::Sender) => Because::Key,
            (None, NamedBy::Fallback) => Because::Fallback,
        };
        let id = self.create(&mut work, request).await?;
        let alarm = work.db().alarm(id).await?.ok_or(EngineError::NoSuchAlarm)?;
        let callees = work.db().callees(alarm.hunt_id).await?;
        let (now, quiet_hours) = (work.now(), work.db().quiet_hours().await?);
        let mut in_peace: Vec<(String, DateTime<Utc>)> = Vec::new();
        if let Some(hunt) = work.db().hunt(alarm.hunt_id).await? {
            for callee in &callees {
                let who = callee.name.as_ref().unwrap_or(&callee.number);
                let until = hunt.left_in_peace(callee.person_id, &quiet_hours, now);
                in_peace
                    .extend(until.filter(|_| !in_peace.iter().any(|(known, _)| known == who)).map(|until| (who.clone(), until)));
            }
        }
        Ok(Rehearsal {
            because,
            policy,
            rung: callees.into_iter().map(|callee| (callee.name, callee.number)).collect(),
            in_peace,
            held_until: alarm.held_until,
        })
    }
}
