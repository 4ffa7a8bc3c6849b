//! Figures of what happened: how much each alarm, hunt and call counts for, on which day and for whom, and what is told of sums of that.
//!
//! What counts for something is counted as a whole again whenever it changes, and what it counted for before is taken off
//! ([`counted::Counted`]). So a word that is late, comes twice or is taken back leaves the same figures as if it had come at once.

pub mod counted;
pub mod duty;
pub mod fairness;
pub mod figures;
pub mod report;
pub mod times;

use serde::{Deserialize, Serialize};

/// By what figures are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Not at all: everything.
    All,
    /// By team.
    Team,
    /// By escalation policy.
    Policy,
    /// By sender: the key, or the part of this server that raises alarms itself.
    Sender,
    /// By person.
    Person,
}

impl Dimension {
    /// The word by which it is kept.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Team => "team",
            Self::Policy => "policy",
            Self::Sender => "sender",
            Self::Person => "person",
        }
    }
}
