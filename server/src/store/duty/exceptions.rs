//! What changes a schedule for some time: overrides, temporary schedules, vacations.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use crate::ids::{OverrideId, PersonId, ScheduleId, TemporaryId, VacationId};
use crate::roster::{Change, Override, Rule, Temporary};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, row};
use crate::store::{Db, Result, StoreError};

row! {
    struct OverrideRow {
        id: OverrideId,
        schedule_id: ScheduleId,
        starts_at: DateTime<Utc>,
        ends_at: DateTime<Utc>,
        action: String,
        person_id: PersonId,
        instead_of: Option<PersonId>,
        note: String,
    }
}

row! {
    struct TemporaryRow {
        id: TemporaryId,
        schedule_id: ScheduleId,
        starts_at: DateTime<Utc>,
        ends_at: DateTime<Utc>,
        name: String,
        rule: Json<Rule>,
    }
}

row! {
    /// A time for which somebody is away.
    #[derive(Clone, Debug)]
    pub struct VacationRow {
        /// Which one.
        pub id: VacationId,
        /// Who.
        pub person_id: PersonId,
        /// From when.
        pub starts_at: DateTime<Utc>,
        /// Until when.
        pub ends_at: DateTime<Utc>,
        /// Why, in words.
        pub note: String,
    }
}

/// Who made an entry, and when.
#[derive(Clone, Copy, Debug)]
pub struct Made<'m> {
    /// A user, a key, or the command line.
    pub by: &'m str,
    /// When.
    pub at: DateTime<Utc>,
}

statements! {
    /// Overrides that have not ended by then.
    OVERRIDES = [
        "SELECT id, schedule_id, starts_at, ends_at, action, person_id, instead_of, note FROM overrides WHERE ends_at > $1"
    ];
    /// A new one.
    INSERT_OVERRIDE = [
        "INSERT INTO overrides (id, schedule_id, starts_at, ends_at, action, person_id, instead_of, note, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    ];
    /// It does not count any more.
    DELETE_OVERRIDE = ["DELETE FROM overrides WHERE id = $1 AND schedule_id = $2"];
    /// Temporary schedules that have not ended by then.
    TEMPORARIES = ["SELECT id, schedule_id, starts_at, ends_at, name, rule FROM temporaries WHERE ends_at > $1"];
    /// A new one.
    INSERT_TEMPORARY = [
        "INSERT INTO temporaries (id, schedule_id, starts_at, ends_at, name, rule, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
    ];
    /// It does not count any more.
    DELETE_TEMPORARY = ["DELETE FROM temporaries WHERE id = $1 AND schedule_id = $2"];
    /// All vacations, the latest first.
    VACATIONS = ["SELECT id, person_id, starts_at, ends_at, note FROM vacations ORDER BY starts_at DESC, id"];
    /// A new one.
    INSERT_VACATION = [
        "INSERT INTO vacations (id, person_id, starts_at, ends_at, note, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7)"
    ];
    /// It does not count any more.
    DELETE_VACATION = ["DELETE FROM vacations WHERE id = $1"];
}

impl Db<'_> {
    /// The overrides of every schedule that have not ended by then, in the order they were made.
    pub async fn overrides(&mut self, from: DateTime<Utc>) -> Result<HashMap<ScheduleId, Vec<Override>>> {
        let mut rows: Vec<OverrideRow> = fetch_all!(self, OVERRIDES, from)?;
        // Not by the database, which would then read all there are in that order.
        rows.sort_unstable_by_key(|row| row.id);
        let mut all: HashMap<ScheduleId, Vec<Override>> = HashMap::new();
        for row in rows {
            let change = match row.action.as_str() {
                "add" => Change::Add(row.person_id),
                "remove" => Change::Remove(row.person_id),
                "replace" => Change::Replace { by: row.person_id, of: row.instead_of },
                other => return Err(StoreError::Inconsistent(format!("an override does {other:?}"))),
            };
            let own = Override { id: row.id, from: row.starts_at, to: row.ends_at, change, note: row.note };
            all.entry(row.schedule_id).or_default().push(own);
        }
        Ok(all)
    }

    /// Stores an override.
    ///
    /// # Errors
    /// When the database fails, or the schedule or a person is not there any more.
    pub async fn insert_override(&mut self, schedule: ScheduleId, own: &Override, made: Made<'_>) -> Result<()> {
        let (action, person, instead_of) = match own.change {
            Change::Add(person) => ("add", person, None),
            Change::Remove(person) => ("remove", person, None),
            Change::Replace { by, of } => ("replace", by, of),
        };
        let note = own.note.as_str();
        execute!(self, INSERT_OVERRIDE, own.id, schedule, own.from, own.to, action, person, instead_of, note, made.at, made.by)
            .map(|_| ())
    }

    /// Removes an override of a schedule; false when there is none.
    pub async fn delete_override(&mut self, schedule: ScheduleId, id: OverrideId) -> Result<bool> {
        changed_one!(self, DELETE_OVERRIDE, id, schedule)
    }

    /// The temporary schedules of every schedule that have not ended by then, in the order they were made.
    pub async fn temporaries(&mut self, from: DateTime<Utc>) -> Result<HashMap<ScheduleId, Vec<Temporary>>> {
        let mut rows: Vec<TemporaryRow> = fetch_all!(self, TEMPORARIES, from)?;
        rows.sort_unstable_by_key(|row| row.id);
        let mut all: HashMap<ScheduleId, Vec<Temporary>> = HashMap::new();
        for row in rows {
            let own = Temporary { id: row.id, name: row.name, from: row.starts_at, to: row.ends_at, rule: row.rule.0 };
            all.entry(row.schedule_id).or_default().push(own);
        }
        Ok(all)
    }

    /// Stores a temporary schedule.
    ///
    /// # Errors
    /// When the database fails, or the schedule is not there any more.
    pub async fn insert_temporary(&mut self, schedule: ScheduleId, own: &Temporary, made: Made<'_>) -> Result<()> {
        let (name, rule) = (own.name.as_str(), Json(&own.rule));
        execute!(self, INSERT_TEMPORARY, own.id, schedule, own.from, own.to, name, rule, made.at, made.by).map(|_| ())
    }

    /// Removes a temporary schedule; false when there is none.
    pub async fn delete_temporary(&mut self, schedule: ScheduleId, id: TemporaryId) -> Result<bool> {
        changed_one!(self, DELETE_TEMPORARY, id, schedule)
    }

    /// All vacations, the latest first.
    pub async fn vacations(&mut self) -> Result<Vec<VacationRow>> {
        fetch_all!(self, VACATIONS)
    }

    /// Stores a vacation.
    ///
    /// # Errors
    /// When the database fails, or the person is not there any more.
    pub async fn insert_vacation(&mut self, own: &VacationRow, made: Made<'_>) -> Result<()> {
        let note = own.note.as_str();
        execute!(self, INSERT_VACATION, own.id, own.person_id, own.starts_at, own.ends_at, note, made.at, made.by).map(|_| ())
    }

    /// Removes a vacation; false when there is none.
    pub async fn delete_vacation(&mut self, id: VacationId) -> Result<bool> {
        changed_one!(self, DELETE_VACATION, id)
    }
}
