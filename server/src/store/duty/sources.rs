//! Calendars by address: where schedules are kept elsewhere, who asks there right now, and what came of it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;

use crate::ids::ScheduleId;
use crate::roster::source::{Address, Trouble};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};
use crate::versions::Version;

/// What was made of a calendar.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReading {
    /// The shifts in it.
    pub shifts: usize,
    /// Events of others, which were passed over.
    pub skipped: Vec<String>,
    /// How it was understood, where it could be understood otherwise.
    pub notes: Vec<String>,
}

/// How a calendar changed its schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceChange {
    /// Shifts that came.
    pub added: usize,
    /// Shifts that went.
    pub removed: usize,
}

row! {
    /// A calendar that a schedule follows.
    #[derive(Clone, Debug)]
    pub struct SourceRow {
        /// Which schedule.
        pub schedule_id: ScheduleId,
        /// Where the calendar is.
        pub address: Address,
        /// The name of the layer that holds what it says.
        pub layer: String,
        /// How often it is asked.
        pub every_minutes: i32,
        /// When somebody set that.
        pub set_at: DateTime<Utc>,
        /// Who.
        pub set_by: String,
        /// Grows whenever somebody takes or sets it: who took an earlier turn comes too late.
        pub turn: i64,
        /// When it is asked next.
        pub due_at: DateTime<Utc>,
        /// When it was last asked.
        pub asked_at: Option<DateTime<Utc>>,
        /// When it could last be read.
        pub good_at: Option<DateTime<Utc>>,
        /// The entity tag of what was read then.
        pub etag: Option<String>,
        /// From when that was.
        pub last_modified: Option<String>,
        /// What else decides how it reads; when that is different now, the same calendar has to be read again.
        pub rests_on: Option<String>,
        /// What was made of it.
        pub reading: Option<Json<SourceReading>>,
        /// When it last changed the schedule.
        pub changed_at: Option<DateTime<Utc>>,
        /// How.
        pub change: Option<Json<SourceChange>>,
        /// Failures in a row.
        pub failures: i32,
        /// Since when it cannot be read.
        pub wrong_since: Option<DateTime<Utc>>,
        /// Why not.
        pub trouble: Option<Json<Trouble>>,
        /// A notice of that went out.
        pub told: bool,
    }
}

impl SourceRow {
    /// The version of what operators say of it: what is read there is no other one.
    #[must_use]
    pub fn version(&self) -> Version {
        Version::of(&(self.schedule_id, self.address.expose(), &self.layer, self.every_minutes, self.set_at))
    }

    /// Since when it cannot be read, and why.
    #[must_use]
    pub fn wrong(&self) -> Option<(DateTime<Utc>, &Trouble)> {
        Some((self.wrong_since?, &self.trouble.as_ref()?.0))
    }
}

/// A calendar that could be read.
#[derive(Clone, Debug)]
pub struct Good<'g> {
    /// When.
    pub at: DateTime<Utc>,
    /// When it is asked next.
    pub due_at: DateTime<Utc>,
    /// Its entity tag.
    pub etag: Option<&'g str>,
    /// From when it is.
    pub last_modified: Option<&'g str>,
    /// What else decides how it reads.
    pub rests_on: &'g str,
    /// What was made of it.
    pub reading: &'g SourceReading,
    /// What it changed, if anything.
    pub change: Option<SourceChange>,
}

row! {
    /// How one calendar stands, for a look at all.
    #[derive(Clone, Debug)]
    pub struct Standing {
        /// Which schedule.
        pub schedule_id: ScheduleId,
        /// Nobody asks there, and it is time to.
        pub is_due: bool,
        /// When it was last known to be right: when it could last be read, or since it was set.
        pub good_at: DateTime<Utc>,
        /// When it is asked next.
        pub due_at: DateTime<Utc>,
        /// When it was last asked.
        pub asked_at: Option<DateTime<Utc>>,
        /// Failures in a row.
        pub failures: i32,
        /// Since when it cannot be read.
        pub wrong_since: Option<DateTime<Utc>>,
        /// A notice of that went out.
        pub told: bool,
    }
}

statements! {
    /// All of them.
    LIST = ["SELECT * FROM calendar_sources ORDER BY schedule_id"];
    /// That of one schedule.
    OF = ["SELECT * FROM calendar_sources WHERE schedule_id = $1"];
    /// How each stands.
    STANDING = [
        "SELECT schedule_id, due_at <= $1 AND (taken_until IS NULL OR taken_until <= $1) AS is_due,
                COALESCE(good_at, set_at) AS good_at, due_at, asked_at, failures, wrong_since, told FROM calendar_sources ORDER BY due_at"
    ];
    /// A calendar to follow, or another one than before. It is asked at once.
    SET = [
        "INSERT INTO calendar_sources (schedule_id, address, layer, every_minutes, set_at, set_by, turn, due_at, failures, told)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $5, 0, FALSE)
         ON CONFLICT (schedule_id) DO UPDATE SET address = excluded.address, layer = excluded.layer,
            every_minutes = excluded.every_minutes, set_at = excluded.set_at, set_by = excluded.set_by,
            turn = calendar_sources.turn + 1, due_at = excluded.due_at, taken_until = NULL, rests_on = NULL, failures = 0,
            wrong_since = NULL, trouble = NULL"
    ];
    /// It is followed no more.
    REMOVE = ["DELETE FROM calendar_sources WHERE schedule_id = $1"];
    /// It is to be asked now.
    ASK_NOW = ["UPDATE calendar_sources SET due_at = $2 WHERE schedule_id = $1"];
    /// Somebody asks there, unless somebody does already.
    TAKE = [
        "UPDATE calendar_sources SET turn = turn + 1, taken_until = $3, asked_at = $2
         WHERE schedule_id = $1 AND due_at <= $2 AND (taken_until IS NULL OR taken_until <= $2)"
    ];
    /// It could be read.
    GOOD = [
        "UPDATE calendar_sources SET taken_until = NULL, due_at = $3, good_at = $4, etag = $5, last_modified = $6, rests_on = $7,
                reading = $8, failures = 0, wrong_since = NULL, trouble = NULL, told = FALSE
         WHERE schedule_id = $1 AND turn = $2"
    ];
    /// It says the same as before.
    SAME = [
        "UPDATE calendar_sources SET taken_until = NULL, due_at = $3, good_at = $4, failures = 0, wrong_since = NULL, trouble = NULL,
                told = FALSE WHERE schedule_id = $1 AND turn = $2"
    ];
    /// It has changed the schedule.
    CHANGED = ["UPDATE calendar_sources SET changed_at = $2, change = $3 WHERE schedule_id = $1"];
    /// It could not be read.
    WRONG = [
        "UPDATE calendar_sources SET taken_until = NULL, due_at = $3, failures = failures + 1,
                wrong_since = COALESCE(wrong_since, $4), trouble = $5, told = $6
         WHERE schedule_id = $1 AND turn = $2"
    ];
    /// People are told that it cannot be read, unless they were.
    TOLD = ["UPDATE calendar_sources SET told = TRUE WHERE schedule_id = $1 AND turn = $2 AND NOT told"];
    /// It is free for the next who asks.
    GIVE_BACK = ["UPDATE calendar_sources SET taken_until = NULL, due_at = $3 WHERE schedule_id = $1 AND turn = $2"];
}

impl Db<'_> {
    /// All calendars that are followed.
    pub async fn sources(&mut self) -> Result<Vec<SourceRow>> {
        fetch_all!(self, LIST)
    }

    /// The calendar that a schedule follows.
    pub async fn source_of(&mut self, schedule: ScheduleId) -> Result<Option<SourceRow>> {
        fetch_optional!(self, OF, schedule)
    }

    /// How all of them stand, the one that has been due for longest first.
    pub async fn sources_standing(&mut self, now: DateTime<Utc>) -> Result<Vec<Standing>> {
        fetch_all!(self, STANDING, now)
    }

    /// Lets a schedule follow the calendar of a row from now on.
    pub async fn set_source(&mut self, row: &SourceRow) -> Result<()> {
        let (address, layer, by) = (row.address.expose(), row.layer.as_str(), row.set_by.as_str());
        // Turns of a calendar that was removed meanwhile must not come again with this one: its late answer would be taken for ours.
        let first_turn = row.set_at.timestamp_millis();
        execute!(self, SET, row.schedule_id, address, layer, row.every_minutes, row.set_at, by, first_turn).map(|_| ())
    }

    /// Lets it follow none; false when it did not.
    pub async fn remove_source(&mut self, schedule: ScheduleId) -> Result<bool> {
        changed_one!(self, REMOVE, schedule)
    }

    /// Makes it due; false when there is none.
    pub async fn ask_source_now(&mut self, schedule: ScheduleId, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, ASK_NOW, schedule, now)
    }

    /// Takes it, if it is due and nobody else has: it is free again at `until`, should nothing be written of it.
    pub async fn take_source(
        &mut self,
        schedule: ScheduleId,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Option<SourceRow>> {
        match execute!(self, TAKE, schedule, now, until)? {
            1 => self.source_of(schedule).await,
            _ => Ok(None),
        }
    }

    /// Writes down that it could be read; false when that comes too late, and nothing may be made of it.
    pub async fn source_good(&mut self, row: &SourceRow, good: &Good<'_>) -> Result<bool> {
        let Good { at, due_at, etag, last_modified, rests_on, reading, change } = good;
        let (id, turn) = (row.schedule_id, row.turn);
        if !changed_one!(self, GOOD, id, turn, *due_at, *at, *etag, *last_modified, *rests_on, Json(*reading))? {
            return Ok(false);
        }
        if let Some(change) = change {
            execute!(self, CHANGED, id, *at, Json(change))?;
        }
        Ok(true)
    }

    /// Writes down that it says the same as before; false when that comes too late.
    pub async fn source_same(&mut self, row: &SourceRow, now: DateTime<Utc>, due_at: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, SAME, row.schedule_id, row.turn, due_at, now)
    }

    /// Writes down that it could not be read; false when that comes too late.
    pub async fn source_wrong(
        &mut self,
        row: &SourceRow,
        trouble: &Trouble,
        told: bool,
        now: DateTime<Utc>,
        due_at: DateTime<Utc>,
    ) -> Result<bool> {
        changed_one!(self, WRONG, row.schedule_id, row.turn, due_at, now, Json(trouble), told)
    }

    /// Writes down that people are told of its trouble; false when they were, or somebody has asked there since.
    pub async fn source_told(&mut self, row: &SourceRow) -> Result<bool> {
        changed_one!(self, TOLD, row.schedule_id, row.turn)
    }

    /// Gives it back without a word about it.
    pub async fn give_source_back(&mut self, row: &SourceRow, due_at: DateTime<Utc>) -> Result<()> {
        execute!(self, GIVE_BACK, row.schedule_id, row.turn, due_at).map(|_| ())
    }
}
