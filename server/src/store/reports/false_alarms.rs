//! Alarms that somebody said are false.

use chrono::{DateTime, Utc};

use crate::ids::AlarmId;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// That an alarm is false.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct FalseAlarmRow {
        /// Why.
        pub reason: String,
        /// Who says so, by their own word.
        pub marked_by: Option<String>,
        /// Since when.
        pub marked_at: DateTime<Utc>,
    }
}

statements! {
    /// Somebody says so; the last word counts.
    MARK = [
        "INSERT INTO false_alarms (alarm_id, reason, marked_by, marked_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (alarm_id) DO UPDATE SET reason = excluded.reason, marked_by = excluded.marked_by, marked_at = excluded.marked_at"
    ];
    /// It is not.
    TAKE_BACK = ["DELETE FROM false_alarms WHERE alarm_id = $1"];
    /// Whether it is, and why.
    GET = ["SELECT reason, marked_by, marked_at FROM false_alarms WHERE alarm_id = $1"];
}

impl Db<'_> {
    /// Marks an alarm as false.
    pub async fn mark_false(&mut self, alarm: AlarmId, reason: &str, by: Option<&str>, now: DateTime<Utc>) -> Result<()> {
        self.touched(|touched| _ = touched.alarms.insert(alarm));
        execute!(self, MARK, alarm, reason, by, now).map(|_| ())
    }

    /// It is not false; `false` when nobody had said so.
    pub async fn mark_not_false(&mut self, alarm: AlarmId) -> Result<bool> {
        self.touched(|touched| _ = touched.alarms.insert(alarm));
        changed_one!(self, TAKE_BACK, alarm)
    }

    /// Why an alarm is false, where somebody says so.
    pub async fn false_alarm(&mut self, alarm: AlarmId) -> Result<Option<FalseAlarmRow>> {
        fetch_optional!(self, GET, alarm)
    }
}
