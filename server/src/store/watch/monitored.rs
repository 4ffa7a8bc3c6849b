//! What came of the tests of the installation that this one watches, and whose turn it is to make one. And what a test leaves in an
//! installation that is watched.

use chrono::{DateTime, Utc};

use crate::ids::{AlarmId, HuntId};
use crate::monitor::{Outcome, Standing};
use crate::store::dialect::{fragment, statements};
use crate::store::retention::EndedHunt;
use crate::store::statement::{changed_one, execute, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// What is known of the tests.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Monitored {
        /// Grows whenever a node begins one.
        pub turn: i64,
        /// A node makes one, and is believed to be at it until then.
        pub taken_until: Option<DateTime<Utc>>,
        /// When the last one was begun.
        pub tried_at: Option<DateTime<Utc>>,
        /// How long it took, in milliseconds.
        pub took_ms: Option<i64>,
        /// How far it got; `None`: to its end.
        pub stage: Option<String>,
        /// What was seen there.
        pub failure: Option<String>,
        /// So many in a row failed.
        pub failures: i32,
        /// Since when.
        pub failing_since: Option<DateTime<Utc>>,
        /// When an alarm was raised for that.
        pub told_at: Option<DateTime<Utc>>,
        /// When one came to its end last.
        pub good_at: Option<DateTime<Utc>>,
    }
}

impl Monitored {
    /// What the tests come to.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing {
            failures: u32::try_from(self.failures).unwrap_or(0),
            failing_since: self.failing_since,
            told: self.told_at.is_some(),
        }
    }
}

statements! {
    /// The row, where there is none yet.
    FIRST = ["INSERT INTO monitored (one, turn) VALUES (1, 0) ON CONFLICT (one) DO NOTHING"];
    /// What is known.
    STATE = [
        "SELECT turn, taken_until, tried_at, took_ms, stage, failure, failures, failing_since, told_at, good_at FROM monitored
         WHERE one = 1"
    ];
    /// Takes the next turn, unless somebody else was faster or is at it.
    TAKE = [
        "UPDATE monitored SET turn = turn + 1, taken_until = $2, tried_at = $3
         WHERE one = 1 AND turn = $1 AND (taken_until IS NULL OR taken_until <= $3)"
    ];
    /// The test of this turn is over.
    OVER = [
        "UPDATE monitored SET taken_until = NULL, took_ms = $2, stage = $3, failure = $4, failures = $5, failing_since = $6,
                told_at = CASE WHEN $7 THEN told_at END, good_at = coalesce($8, good_at)
         WHERE one = 1 AND turn = $1"
    ];
    /// An alarm was raised for the failures that began then.
    TOLD = ["UPDATE monitored SET told_at = $2 WHERE one = 1 AND failing_since = $1 AND told_at IS NULL"];
    /// Nothing is watched any more.
    FORGET = ["DELETE FROM monitored"];
    /// The calls of a hunt.
    FORGET_CALLS = ["DELETE FROM call_records WHERE hunt_id = $1"];
    /// When the hunt of an alarm ended, if nobody is rung for it any more.
    ENDED = ["SELECT h.id, h.ended_at FROM alarms a JOIN hunts h ON h.id = a.hunt_id WHERE a.id = $1 AND h.ended_at IS NOT NULL"];
}

impl Db<'_> {
    /// What is known of the tests of the other installation.
    pub async fn monitored(&mut self) -> Result<Monitored> {
        let state: Option<Monitored> = fetch_optional!(self, STATE)?;
        Ok(state.unwrap_or_default())
    }

    /// Takes the turn after that one until then; false when somebody else was faster.
    pub async fn take_monitor_turn(&mut self, after: i64, until: DateTime<Utc>, now: DateTime<Utc>) -> Result<bool> {
        execute!(self, FIRST)?;
        changed_one!(self, TAKE, after, until, now)
    }

    /// What came of the test of this turn, and what the tests come to with it; false when another node has begun one since.
    pub async fn monitor_turn_over(
        &mut self,
        turn: i64,
        outcome: &Outcome,
        standing: &Standing,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let took = i64::try_from(outcome.took.as_millis()).unwrap_or(i64::MAX);
        let failures = i32::try_from(standing.failures).unwrap_or(i32::MAX);
        let failure = outcome.failure.as_ref();
        let good_at = failure.is_none().then_some(now);
        changed_one!(
            self,
            OVER,
            turn,
            took,
            failure.map(|failure| failure.stage.as_str()),
            failure.map(|failure| failure.why.as_str()),
            failures,
            standing.failing_since,
            standing.told,
            good_at,
        )
    }

    /// An alarm was raised for the failures that began then.
    pub async fn monitor_told(&mut self, failing_since: DateTime<Utc>, now: DateTime<Utc>) -> Result<()> {
        execute!(self, TOLD, failing_since, now).map(|_| ())
    }

    /// Nothing is watched any more.
    pub async fn forget_monitored(&mut self) -> Result<()> {
        execute!(self, FORGET).map(|_| ())
    }

    /// Forgets a test that is over, with its hunt, its calls and its story: it was nobody's alarm, and there is one every minute.
    pub async fn forget_test(&mut self, alarm: AlarmId, now: DateTime<Utc>) -> Result<()> {
        let ended: Option<(HuntId, DateTime<Utc>)> = fetch_optional!(self, ENDED, alarm)?;
        let Some((id, ended_at)) = ended else { return Ok(()) };
        execute!(self, FORGET_CALLS, id)?;
        self.prune_hunts(&[EndedHunt { ended_at, id }], now).await.map(|_| ())
    }
}
