//! The duty log: who came on duty when, whatever was edited since.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;

use crate::ids::{PersonId, ScheduleId};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

/// Somebody who came on duty, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LoggedPerson {
    /// Who.
    pub person: PersonId,
    /// Their name at that moment.
    pub name: String,
    /// Why: `temporary`, `override` or `layer`.
    pub reason: String,
    /// The name of the layer or temporary schedule, or the note of the override, at that moment.
    pub of: String,
}

row! {
    /// A hand-over.
    #[derive(Clone, Debug)]
    pub struct DutyLogRow {
        /// When.
        pub at: DateTime<Utc>,
        /// Who is on duty from then on; empty in a gap.
        pub people: Json<Vec<LoggedPerson>>,
    }
}

row! {
    /// Who is on duty by one schedule.
    #[derive(Clone, Debug)]
    pub struct CurrentDutyRow {
        /// The schedule's name.
        pub name: String,
        /// Its gaps are no mistake.
        pub gaps_allowed: bool,
        /// Who; empty in a gap.
        pub people: Json<Vec<LoggedPerson>>,
        /// When this is looked at again: at the next hand-over.
        pub log_due_at: DateTime<Utc>,
    }
}

statements! {
    /// Whether a schedule's log must be looked at.
    DUE = ["SELECT COUNT(*) FROM schedules WHERE removed_at IS NULL AND log_due_at <= $1"];
    /// When each must be looked at; whoever asks keeps others from changing the roster.
    LOCK = ["SELECT id, log_due_at FROM schedules WHERE removed_at IS NULL ORDER BY id" for_update];
    /// When it must be looked at next.
    SET_DUE = ["UPDATE schedules SET log_due_at = $2 WHERE id = $1"];
    /// A hand-over. There is at most one at an instant; the last word counts.
    INSERT = [
        "INSERT INTO duty_log (schedule_id, at, people) VALUES ($1, $2, $3)
         ON CONFLICT (schedule_id, at) DO UPDATE SET people = excluded.people"
    ];
    /// The last hand-over until an instant.
    AT = ["SELECT at, people FROM duty_log WHERE schedule_id = $1 AND at <= $2 ORDER BY at DESC LIMIT 1"];
    /// The first hand-over after an instant.
    NEXT = ["SELECT at, people FROM duty_log WHERE schedule_id = $1 AND at > $2 ORDER BY at LIMIT 1"];
    /// Who is on duty by each schedule.
    CURRENT = [
        "SELECT s.name, s.gaps_allowed, d.people, s.log_due_at FROM schedules s CROSS JOIN duty_log d
         WHERE d.schedule_id = s.id AND d.at = (SELECT MAX(l.at) FROM duty_log l WHERE l.schedule_id = s.id) AND s.removed_at IS NULL
         ORDER BY s.name"
    ];
    /// The last hand-over of each of these schedules before an instant.
    BEFORE = [
        "SELECT d.schedule_id, d.at, d.people FROM schedules s CROSS JOIN duty_log d
         WHERE s.id" in_list "AND d.schedule_id = s.id
           AND d.at = (SELECT max(l.at) FROM duty_log l WHERE l.schedule_id = s.id AND l.at < $2)"
    ];
    /// The hand-overs of these schedules in a time.
    OF_ALL = [
        "SELECT schedule_id, at, people FROM duty_log WHERE schedule_id" in_list "AND at >= $2 AND at < $3
         ORDER BY schedule_id, at LIMIT $4"
    ];
    /// The hand-overs of a time.
    BETWEEN = ["SELECT at, people FROM duty_log WHERE schedule_id = $1 AND at >= $2 AND at < $3 ORDER BY at LIMIT $4"];
}

impl Db<'_> {
    /// Whether the log of any schedule must be looked at.
    pub async fn duty_log_is_due(&mut self, now: DateTime<Utc>) -> Result<bool> {
        let row: Option<(i64,)> = fetch_optional!(self, DUE, now)?;
        Ok(row.is_some_and(|(count,)| count > 0))
    }

    /// Keeps others from changing the roster and its log until the transaction ends, and gives when the log of each schedule must
    /// be looked at. What is read of the roster after this is what is true.
    pub async fn lock_roster(&mut self) -> Result<Vec<(ScheduleId, DateTime<Utc>)>> {
        fetch_all!(self, LOCK)
    }

    /// Notes when the log of a schedule must be looked at next.
    pub async fn set_duty_log_due(&mut self, schedule: ScheduleId, due: DateTime<Utc>) -> Result<()> {
        execute!(self, SET_DUE, schedule, due).map(|_| ())
    }

    /// Writes down a hand-over.
    pub async fn insert_duty(&mut self, schedule: ScheduleId, at: DateTime<Utc>, people: &[LoggedPerson]) -> Result<()> {
        execute!(self, INSERT, schedule, at, Json(people)).map(|_| ())
    }

    /// The last hand-over of a schedule until an instant: who was on duty then.
    pub async fn duty_at(&mut self, schedule: ScheduleId, at: DateTime<Utc>) -> Result<Option<DutyLogRow>> {
        fetch_optional!(self, AT, schedule, at)
    }

    /// Who is on duty by each schedule, as the log says.
    pub async fn current_duties(&mut self) -> Result<Vec<CurrentDutyRow>> {
        fetch_all!(self, CURRENT)
    }

    /// The first hand-over of a schedule after an instant.
    pub async fn next_duty(&mut self, schedule: ScheduleId, at: DateTime<Utc>) -> Result<Option<DutyLogRow>> {
        fetch_optional!(self, NEXT, schedule, at)
    }

    /// The hand-overs of several schedules from before one instant to another: of each the last one before the first instant, and then all, at
    /// most so many a schedule on the whole.
    pub async fn duties_of(
        &mut self,
        schedules: &[ScheduleId],
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        most: i64,
    ) -> Result<BTreeMap<ScheduleId, Vec<DutyLogRow>>> {
        let mut duties: BTreeMap<ScheduleId, Vec<DutyLogRow>> = BTreeMap::new();
        if schedules.is_empty() {
            return Ok(duties);
        }
        let list = serde_json::json!(schedules).to_string();
        let most = most.saturating_mul(i64::try_from(schedules.len()).unwrap_or(i64::MAX));
        let before: Vec<(ScheduleId, DateTime<Utc>, Json<Vec<LoggedPerson>>)> = fetch_all!(self, BEFORE, list.as_str(), from)?;
        let since: Vec<(ScheduleId, DateTime<Utc>, Json<Vec<LoggedPerson>>)> =
            fetch_all!(self, OF_ALL, list.as_str(), from, to, most)?;
        for (schedule, at, people) in before.into_iter().chain(since) {
            duties.entry(schedule).or_default().push(DutyLogRow { at, people });
        }
        Ok(duties)
    }

    /// The first hand-overs of a schedule between two instants.
    pub async fn duties(
        &mut self,
        schedule: ScheduleId,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        most: i64,
    ) -> Result<Vec<DutyLogRow>> {
        fetch_all!(self, BETWEEN, schedule, from, to, most)
    }
}
