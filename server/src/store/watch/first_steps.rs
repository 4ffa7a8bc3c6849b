//! What has to be there before people can be rung: what was done once stays done, also when all that showed it is forgotten.

use chrono::{DateTime, Utc};

use crate::store::dialect::{fragment, statements};
use crate::store::statement::{execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// What there is, each 1 or 0.
    #[derive(Clone, Copy, Debug)]
    pub struct ThereRow {
        /// Somebody has a number.
        pub people: i64,
        /// A key is good.
        pub senders: i64,
        /// There was an alarm.
        pub alarms: i64,
        /// Somebody picked up a call.
        pub answers: i64,
    }
}

statements! {
    /// What was done.
    DONE = ["SELECT step FROM first_steps"];
    /// What there is: of each the first that is found.
    THERE = [
        "SELECT (SELECT COUNT(*) FROM (SELECT 1 AS one FROM person_numbers LIMIT 1) p) AS people,
           (SELECT COUNT(*) FROM (SELECT 1 AS one FROM api_keys WHERE revoked_at IS NULL LIMIT 1) k) AS senders,
           (SELECT COUNT(*) FROM (SELECT 1 AS one FROM alarms WHERE kind = 'alarm' LIMIT 1) a) AS alarms,
           (SELECT COUNT(*) FROM (SELECT 1 AS one FROM answers WHERE mid IS NOT NULL LIMIT 1) r) AS answers"
    ];
    /// It is done.
    NOTE = ["INSERT INTO first_steps (step, done_at) VALUES ($1, $2) ON CONFLICT (step) DO NOTHING"];
}

impl Db<'_> {
    /// Which of the first steps were done.
    pub async fn first_steps_done(&mut self) -> Result<Vec<String>> {
        let rows: Vec<(String,)> = fetch_all!(self, DONE)?;
        Ok(rows.into_iter().map(|(step,)| step).collect())
    }

    /// What there is.
    pub async fn first_things(&mut self) -> Result<Option<ThereRow>> {
        fetch_optional!(self, THERE)
    }

    /// Notes that a first step is done.
    pub async fn note_first_step(&mut self, step: &str, now: DateTime<Utc>) -> Result<()> {
        execute!(self, NOTE, step, now).map(|_| ())
    }
}
