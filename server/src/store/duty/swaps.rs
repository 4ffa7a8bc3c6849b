//! Requests that somebody else takes a shift.

use chrono::{DateTime, Utc};

use crate::ids::{PersonId, ScheduleId, SwapId};
use crate::roster::Times;
use crate::roster::changes::swap::{Said, Standing, standing};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

/// So many of one person may wait.
pub const MOST_OPEN_OF_ONE: usize = 10;
/// So many may be made for one person in an hour, whatever becomes of them: each is told by a text message.
pub const MOST_IN_AN_HOUR: i64 = 10;

/// More that wait are not looked through at once; nobody may ask when there are so many.
pub const MOST_OPEN: usize = 500;

row! {
    /// A request.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SwapRow {
        /// Which one.
        pub id: SwapId,
        /// By which schedule the shift is.
        pub schedule_id: ScheduleId,
        /// Whose it is.
        pub person_id: PersonId,
        /// From when.
        pub starts_at: DateTime<Utc>,
        /// Until when.
        pub ends_at: DateTime<Utc>,
        /// Who is asked; `None`: anybody of the team.
        pub other_id: Option<PersonId>,
        /// From when the shift is that is taken in exchange.
        pub back_starts_at: Option<DateTime<Utc>>,
        /// Until when.
        pub back_ends_at: Option<DateTime<Utc>>,
        /// Why, in words.
        pub note: String,
        /// What was said to it.
        pub said: Said,
        /// Who took it.
        pub taken_by: Option<PersonId>,
        /// When it was made.
        pub created_at: DateTime<Utc>,
        /// A user, a key, or the command line.
        pub created_by: String,
        /// When it was answered or taken back.
        pub said_at: Option<DateTime<Utc>>,
        /// By whom; empty until then.
        pub said_by: String,
    }
}

impl SwapRow {
    /// The time that is given.
    #[must_use]
    pub fn given(&self) -> Times {
        (self.starts_at, self.ends_at)
    }

    /// The time that is taken in exchange.
    #[must_use]
    pub fn back(&self) -> Option<Times> {
        self.back_starts_at.zip(self.back_ends_at)
    }

    /// What has become of it by now.
    #[must_use]
    pub fn standing(&self, now: DateTime<Utc>) -> Standing {
        standing(self.said, self.given(), self.back(), now)
    }

    /// Whether somebody is one of the two, or has taken it.
    #[must_use]
    pub fn concerns(&self, person: PersonId) -> bool {
        self.person_id == person || self.other_id == Some(person) || self.taken_by == Some(person)
    }
}

statements! {
    /// One of them.
    GET = [
        "SELECT id, schedule_id, person_id, starts_at, ends_at, other_id, back_starts_at, back_ends_at, note, said, taken_by,
           created_at, created_by, said_at, said_by
         FROM duty_swaps WHERE id = $1"
    ];
    /// Those that wait for an answer, whose shift begins first first.
    OPEN = [
        "SELECT id, schedule_id, person_id, starts_at, ends_at, other_id, back_starts_at, back_ends_at, note, said, taken_by,
           created_at, created_by, said_at, said_by
         FROM duty_swaps
         WHERE said = 'asked' AND starts_at > $1 AND (back_starts_at IS NULL OR back_starts_at > $1) ORDER BY starts_at LIMIT 500"
    ];
    /// How many were made for a person since then.
    MADE_SINCE = ["SELECT count(*) AS made FROM duty_swaps WHERE person_id = $1 AND created_at > $2"];
    /// All that are remembered, below one, the latest first.
    LATEST = [
        "SELECT id, schedule_id, person_id, starts_at, ends_at, other_id, back_starts_at, back_ends_at, note, said, taken_by,
           created_at, created_by, said_at, said_by
         FROM duty_swaps WHERE id < $1 ORDER BY id DESC LIMIT $2"
    ];
    /// A new one.
    INSERT = [
        "INSERT INTO duty_swaps (id, schedule_id, person_id, starts_at, ends_at, other_id, back_starts_at, back_ends_at, note, said,
           created_at, created_by, said_by, over_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'asked', $10, $11, '', $12)"
    ];
    /// Something was said to it, unless something was before.
    SAY = [
        "UPDATE duty_swaps SET said = $2, taken_by = $3, said_at = $4, said_by = $5 WHERE id = $1 AND" unindexed "said = 'asked'"
    ];
    /// Forgets those whose shifts ended before then.
    FORGET = [
        "DELETE FROM duty_swaps WHERE id IN (SELECT id FROM duty_swaps WHERE over_at < $1 ORDER BY over_at LIMIT 500)"
    ];
}

impl Db<'_> {
    /// One request.
    pub async fn swap(&mut self, id: SwapId) -> Result<Option<SwapRow>> {
        fetch_optional!(self, GET, id)
    }

    /// The requests that wait for an answer, and of whose shifts none has begun: at most [`MOST_OPEN`].
    pub async fn open_swaps(&mut self, now: DateTime<Utc>) -> Result<Vec<SwapRow>> {
        fetch_all!(self, OPEN, now)
    }

    /// How many requests were made for a person since then.
    pub async fn swaps_made_since(&mut self, person: PersonId, since: DateTime<Utc>) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, MADE_SINCE, person, since)?;
        Ok(row.map_or(0, |(made,)| made))
    }

    /// So many requests at most, the latest first, from below one on.
    pub async fn latest_swaps(&mut self, below: SwapId, most: i64) -> Result<Vec<SwapRow>> {
        fetch_all!(self, LATEST, below, most)
    }

    /// Stores a request that was just made.
    ///
    /// # Errors
    /// When the database fails, or the schedule or a person is not there any more.
    pub async fn insert_swap(&mut self, row: &SwapRow) -> Result<()> {
        let over_at = row.back_ends_at.map_or(row.ends_at, |ends_at| ends_at.max(row.ends_at));
        let (note, by) = (row.note.as_str(), row.created_by.as_str());
        execute!(
            self,
            INSERT,
            row.id,
            row.schedule_id,
            row.person_id,
            row.starts_at,
            row.ends_at,
            row.other_id,
            row.back_starts_at,
            row.back_ends_at,
            note,
            row.created_at,
            by,
            over_at
        )
        .map(|_| ())
    }

    /// Notes what was said to a request; false when something was said to it before.
    pub async fn say_to_swap(
        &mut self,
        id: SwapId,
        said: Said,
        taken_by: Option<PersonId>,
        now: DateTime<Utc>,
        by: &str,
    ) -> Result<bool> {
        changed_one!(self, SAY, id, said, taken_by, now, by)
    }

    /// Forgets some of those whose shifts ended before then; gives how many.
    pub async fn forget_swaps(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, FORGET, before)
    }
}
