//! Who overwrites what operators said: one at a time, so that looking and writing are one.

use super::dialect::{fragment, statements};
use super::statement::execute;
use super::{Db, Result};

/// What is overwritten by one operator at a time. Whoever changes several of these locks them in the order in which they stand here, then
/// the roster, then rows: two who wait for each other would wait for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edited {
    /// People and their numbers.
    People,
    /// Escalation policies.
    Policies,
    /// The rules that choose them.
    PolicyRules,
    /// Quiet hours.
    QuietHours,
    /// Heartbeats.
    Heartbeats,
    /// Public numbers.
    Lines,
    /// Gateways for text messages.
    Gateways,
    /// Numbers that must not be called.
    DoNotCall,
    /// Clips that calls play.
    Clips,
    /// Where notices go.
    Webhooks,
    /// Sums of figures, which no operator changes but by removing people. Whoever counts holds this and no other, and waits for alarms and
    /// calls that others hold: so nobody waits for it who holds any row.
    Figures,
}

impl Edited {
    fn as_str(self) -> &'static str {
        match self {
            Self::Policies => "policies",
            Self::PolicyRules => "policy rules",
            Self::QuietHours => "quiet hours",
            Self::Heartbeats => "heartbeats",
            Self::Lines => "lines",
            Self::Gateways => "gateways",
            Self::People => "people",
            Self::DoNotCall => "do not call",
            Self::Clips => "clips",
            Self::Figures => "figures",
            Self::Webhooks => "webhooks",
        }
    }
}

statements! {
    /// One more change: whoever comes next waits until this one is written or given up.
    LOCK = ["INSERT INTO edits (what, changes) VALUES ($1, 1) ON CONFLICT (what) DO UPDATE SET changes = edits.changes + 1"];
}

impl Db<'_> {
    /// Waits until nobody else is changing that, and keeps others from it until the transaction ends. Before any other lock.
    pub async fn lock_edits(&mut self, what: Edited) -> Result<()> {
        execute!(self, LOCK, what.as_str()).map(|_| ())
    }
}
