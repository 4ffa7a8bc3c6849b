//! How people are told by text message, and of which duties they were.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use crate::alarm::policy::AlarmTexts;
use crate::alarm::ways::Way;
use crate::ids::{PersonId, ScheduleId};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// How somebody is told.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct ToldRow {
        /// Whether a text message is sent beside a call.
        pub alarm_texts: AlarmTexts,
        /// They are told so many minutes before a shift of theirs begins; `None`: they are not.
        pub shift_minutes: Option<i32>,
        /// They are told when somebody else puts them on duty.
        pub put_on_duty: bool,
        /// By which numbers, and how long after their turn has come, they are called and told of an alarm; empty: called by their first
        /// number, at once.
        pub ways: Json<Vec<Way>>,
    }
}

row! {
    /// Somebody who is told before their shifts begin.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ToldOfShiftsRow {
        /// Who.
        pub person_id: PersonId,
        /// So many minutes before.
        pub minutes: i32,
    }
}

/// What somebody is told of a duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DutyText {
    /// That a shift of theirs begins.
    Shift,
    /// That somebody has put them on duty.
    Change,
}

statements! {
    /// How somebody is told.
    GET = ["SELECT alarm_texts, shift_minutes, put_on_duty, ways FROM person_told WHERE person_id = $1"];
    /// Is told otherwise from now on.
    SET = [
        "INSERT INTO person_told (person_id, alarm_texts, shift_minutes, put_on_duty, ways) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (person_id) DO UPDATE SET alarm_texts = excluded.alarm_texts, shift_minutes = excluded.shift_minutes,
           put_on_duty = excluded.put_on_duty, ways = excluded.ways"
    ];
    /// Who is told of their shifts.
    OF_SHIFTS = ["SELECT person_id, shift_minutes AS minutes FROM person_told WHERE shift_minutes IS NOT NULL"];
    /// Who is told that somebody has put them on duty.
    OF_CHANGES = ["SELECT person_id FROM person_told WHERE put_on_duty"];
    /// Of which shifts they were told, of those that begin after then.
    TOLD_SHIFTS = ["SELECT person_id, schedule_id, starts_at FROM duty_texts WHERE starts_at >= $1 AND" unindexed "kind = 'shift'"];
    /// Which person a user is.
    PERSON_OF_USER = ["SELECT person_id FROM users WHERE name = $1 AND person_id IS NOT NULL"];
    /// They are told of a duty, unless they were.
    DUTY = [
        "INSERT INTO duty_texts (kind, person_id, schedule_id, starts_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
    ];
    /// Forgets duties that began before.
    FORGET_DUTIES = ["DELETE FROM duty_texts WHERE starts_at < $1"];
}

impl Db<'_> {
    /// How somebody is told; as nobody has said anything about it, unless somebody has.
    pub async fn told(&mut self, person: PersonId) -> Result<ToldRow> {
        Ok(fetch_optional!(self, GET, person)?.unwrap_or_default())
    }

    /// Has somebody told in this way from now on.
    pub async fn set_told(&mut self, person: PersonId, told: &ToldRow) -> Result<()> {
        execute!(self, SET, person, told.alarm_texts, told.shift_minutes, told.put_on_duty, &told.ways).map(|_| ())
    }

    /// Who is told before their shifts begin.
    pub async fn told_of_shifts(&mut self) -> Result<Vec<ToldOfShiftsRow>> {
        fetch_all!(self, OF_SHIFTS)
    }

    /// Who is told when somebody else puts them on duty.
    pub async fn told_of_changes(&mut self) -> Result<Vec<PersonId>> {
        let rows: Vec<(PersonId,)> = fetch_all!(self, OF_CHANGES)?;
        Ok(rows.into_iter().map(|(person,)| person).collect())
    }

    /// The person who a user of the pages is.
    pub async fn person_of_user(&mut self, name: &str) -> Result<Option<PersonId>> {
        let row: Option<(Option<PersonId>,)> = fetch_optional!(self, PERSON_OF_USER, name)?;
        Ok(row.and_then(|(person,)| person))
    }

    /// Notes that somebody is told of a duty that begins then; false when they were.
    pub async fn note_duty_told(
        &mut self,
        kind: DutyText,
        person: PersonId,
        schedule: ScheduleId,
        starts_at: DateTime<Utc>,
    ) -> Result<bool> {
        changed_one!(self, DUTY, kind, person, schedule, starts_at)
    }

    /// Who was told of a shift of which schedule, and when that begins, of those that begin then or later.
    pub async fn told_shifts(&mut self, from: DateTime<Utc>) -> Result<Vec<(PersonId, ScheduleId, DateTime<Utc>)>> {
        fetch_all!(self, TOLD_SHIFTS, from)
    }

    /// Forgets which duties that began before then somebody was told of.
    pub async fn forget_duties_told(&mut self, before: DateTime<Utc>) -> Result<()> {
        execute!(self, FORGET_DUTIES, before).map(|_| ())
    }
}
