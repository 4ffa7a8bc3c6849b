//! Escalation policies, and the rules that say which alarms they are for.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use crate::alarm::policy::Policy;
use crate::ids::PolicyId;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// A policy as it is stored.
    #[derive(Clone, Debug)]
    pub struct PolicyRow {
        /// Which one.
        pub id: PolicyId,
        /// What people call it; unique.
        pub name: String,
        /// What it says.
        pub definition: Json<Policy>,
        /// When it was made.
        pub created_at: DateTime<Utc>,
        /// When it was last changed.
        pub updated_at: DateTime<Utc>,
    }
}

row! {
    /// Which alarms a policy is for.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PolicyRuleRow {
        /// The policy.
        pub policy_id: PolicyId,
        /// Alarms of the sender whose key has this name; `None`: of any.
        pub sender: Option<String>,
        /// Alarms with all of these labels.
        pub labels: Json<BTreeMap<String, String>>,
    }
}

impl PolicyRuleRow {
    /// Says nothing of the alarm: a rule for everything that is left.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.sender.is_none() && self.labels.is_empty()
    }

    /// Is for an alarm of this sender with these labels.
    #[must_use]
    pub fn matches(&self, sender: Option<&str>, labels: &BTreeMap<String, String>) -> bool {
        self.sender.as_deref().is_none_or(|wanted| sender == Some(wanted))
            && self.labels.iter().all(|(name, value)| labels.get(name) == Some(value))
    }
}

statements! {
    /// A new policy, or a new definition of a known one.
    UPSERT = [
        "INSERT INTO policies (id, name, definition, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
         ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, updated_at = excluded.updated_at RETURNING id"
    ];
    /// One policy.
    GET = ["SELECT * FROM policies WHERE id = $1"];
    /// One policy by its name.
    BY_NAME = ["SELECT * FROM policies WHERE name = $1"];
    /// All policies.
    LIST = ["SELECT * FROM policies ORDER BY name"];
    /// Forgets one.
    DELETE = ["DELETE FROM policies WHERE name = $1"];
    /// The rules in order.
    RULES = ["SELECT policy_id, sender, labels FROM policy_rules ORDER BY position"];
    /// Forgets all rules.
    DELETE_RULES = ["DELETE FROM policy_rules"];
    /// A rule.
    INSERT_RULE = ["INSERT INTO policy_rules (position, policy_id, sender, labels) VALUES ($1, $2, $3, $4)"];
}

impl Db<'_> {
    /// Stores a policy under a name, and gives which one that is.
    pub async fn upsert_policy(&mut self, name: &str, definition: &Policy, now: DateTime<Utc>) -> Result<PolicyId> {
        let id = PolicyId::new(now);
        let row: Option<(PolicyId,)> = fetch_optional!(self, UPSERT, id, name, Json(definition), now)?;
        Ok(row.map_or(id, |(stored,)| stored))
    }

    /// One policy.
    pub async fn policy(&mut self, id: PolicyId) -> Result<Option<PolicyRow>> {
        fetch_optional!(self, GET, id)
    }

    /// One policy by its name.
    pub async fn policy_by_name(&mut self, name: &str) -> Result<Option<PolicyRow>> {
        fetch_optional!(self, BY_NAME, name)
    }

    /// All policies by name.
    pub async fn policies(&mut self) -> Result<Vec<PolicyRow>> {
        fetch_all!(self, LIST)
    }

    /// Forgets a policy and its rules; a hunt that follows it ends with its current step. False when there is none of that name.
    pub async fn delete_policy(&mut self, name: &str) -> Result<bool> {
        changed_one!(self, DELETE, name)
    }

    /// The rules in order.
    pub async fn policy_rules(&mut self) -> Result<Vec<PolicyRuleRow>> {
        fetch_all!(self, RULES)
    }

    /// Replaces all rules.
    ///
    /// # Errors
    /// When the database fails; a violation when a policy is gone.
    pub async fn set_policy_rules(&mut self, rules: &[PolicyRuleRow]) -> Result<()> {
        execute!(self, DELETE_RULES)?;
        for (position, rule) in (0_i32..).zip(rules) {
            execute!(self, INSERT_RULE, position, rule.policy_id, rule.sender.as_deref(), &rule.labels)?;
        }
        Ok(())
    }
}
