//! How far something has got that goes on where it was, also after it was killed.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::dialect::{fragment, statements};
use super::statement::{execute, fetch_optional};
use super::{Db, Result};

statements! {
    /// How far.
    REACHED = ["SELECT reached, noted_at FROM places WHERE name = $1"];
    /// So far.
    NOTE = [
        "INSERT INTO places (name, reached, noted_at) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET reached = excluded.reached, noted_at = excluded.noted_at"
    ];
    /// It is done.
    FORGET = ["DELETE FROM places WHERE name = $1"];
}

/// An update of all nodes is over after this, as seen from when the first of them began to walk.
const ALL_UPDATED: TimeDelta = TimeDelta::hours(1);
/// What was raised so long before the walk began is looked at once more too: clocks differ.
const SOME_HOURS: TimeDelta = TimeDelta::hours(6);

/// A walk over the alarms that were there before something was kept of each, from the newest to the oldest. Once more over those that were
/// raised since it began: nodes of an earlier version may have run for a while, and kept nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walk {
    /// When it began.
    pub began: DateTime<Utc>,
    /// Alarms below this number are still to be looked at.
    below: i64,
    round: Round,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Round {
    All,
    Since,
    Over,
}

/// What is next in a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextInWalk {
    /// The newest alarms with a number from the first to below the second.
    Span(i64, i64),
    /// Nothing before then.
    RestUntil(DateTime<Utc>),
    /// Nothing more.
    Over,
}

impl Walk {
    /// It begins.
    #[must_use]
    pub fn begin(now: DateTime<Utc>) -> Self {
        Self { began: now, below: i64::MAX, round: Round::All }
    }

    /// As it was written down; `None` where nobody can read that: then it begins anew, which changes nothing that was kept.
    #[must_use]
    pub fn read(place: &str) -> Option<Self> {
        serde_json::from_str(place).ok()
    }

    /// To be written down.
    #[must_use]
    pub fn written(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// Whether it has been at all alarms once.
    #[must_use]
    pub fn has_seen_all(&self) -> bool {
        self.round != Round::All
    }

    /// What comes next.
    #[must_use]
    pub fn next(&self, now: DateTime<Utc>) -> NextInWalk {
        let again = self.began + ALL_UPDATED;
        match self.round {
            Round::All => NextInWalk::Span(i64::MIN, self.below),
            Round::Since if now < again => NextInWalk::RestUntil(again),
            Round::Since => NextInWalk::Span((self.began - SOME_HOURS).timestamp_millis(), self.below),
            Round::Over => NextInWalk::Over,
        }
    }

    /// Down to this number of the span all were looked at; `None`: there were none.
    #[must_use]
    pub fn went(self, lowest: Option<i64>) -> Self {
        match (lowest, self.round) {
            (Some(below), _) => Self { below, ..self },
            (None, Round::All) => Self { below: i64::MAX, round: Round::Since, ..self },
            (None, _) => Self { round: Round::Over, ..self },
        }
    }
}

impl Db<'_> {
    /// How far something has got, and when that was noted.
    pub async fn place(&mut self, name: &str) -> Result<Option<(String, DateTime<Utc>)>> {
        fetch_optional!(self, REACHED, name)
    }

    /// Notes how far it has got.
    pub async fn note_place(&mut self, name: &str, reached: &str, now: DateTime<Utc>) -> Result<()> {
        execute!(self, NOTE, name, reached, now).map(|_| ())
    }

    /// It is done, and begins anew.
    pub async fn forget_place(&mut self, name: &str) -> Result<()> {
        execute!(self, FORGET, name).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn a_walk_goes_once_more_over_what_was_raised_since_it_began() {
        let began: DateTime<Utc> = "2027-01-15T12:00:00Z".parse().unwrap();
        let walk = Walk::begin(began);
        assert_eq!(walk.next(began), NextInWalk::Span(i64::MIN, i64::MAX));
        let walk = walk.went(Some(7));
        assert_eq!(walk.next(began), NextInWalk::Span(i64::MIN, 7));
        let walk = walk.went(None);
        assert!(walk.has_seen_all());
        let later = began + ALL_UPDATED;
        assert_eq!(walk.next(began), NextInWalk::RestUntil(later));
        let from = (began - SOME_HOURS).timestamp_millis();
        assert_eq!(walk.next(later), NextInWalk::Span(from, i64::MAX));
        let walk = Walk::read(&walk.written()).unwrap().went(Some(from + 1));
        assert_eq!(walk.next(later), NextInWalk::Span(from, from + 1));
        assert_eq!(walk.went(None).next(later), NextInWalk::Over);
        assert_eq!(Walk::read("17"), None);
    }
}
