//! Calendar feeds: the tokens under which schedules can be subscribed to.

use chrono::{DateTime, Utc};

use super::exceptions::Made;
use crate::ids::{FeedId, PersonId, ScheduleId};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

/// A person has no more that work.
pub const MOST_FEEDS: usize = 10;

row! {
    /// A feed. Exactly one of schedule and person is set.
    #[derive(Clone, Debug)]
    pub struct FeedRow {
        /// Which one.
        pub id: FeedId,
        /// All shifts of this schedule.
        pub schedule_id: Option<ScheduleId>,
        /// All shifts of this person.
        pub person_id: Option<PersonId>,
        /// When it was made.
        pub created_at: DateTime<Utc>,
        /// By whom.
        pub created_by: String,
    }
}

statements! {
    /// All feeds that work.
    FEEDS = ["SELECT id, schedule_id, person_id, created_at, created_by FROM feeds WHERE revoked_at IS NULL ORDER BY id"];
    /// Those of one person.
    OF_PERSON = [
        "SELECT id, schedule_id, person_id, created_at, created_by FROM feeds WHERE person_id = $1 AND revoked_at IS NULL
         ORDER BY id LIMIT 100"
    ];
    /// The feed with a token.
    BY_TOKEN = ["SELECT id, schedule_id, person_id, created_at, created_by FROM feeds WHERE token_hash = $1 AND revoked_at IS NULL"];
    /// A new feed.
    INSERT = ["INSERT INTO feeds (id, token_hash, schedule_id, person_id, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6)"];
    /// It works no more, and nothing is kept of it: whoever had it is told that there is none.
    REVOKE = ["DELETE FROM feeds WHERE id = $1 AND revoked_at IS NULL"];
}

impl Db<'_> {
    /// All feeds that work.
    pub async fn feeds(&mut self) -> Result<Vec<FeedRow>> {
        fetch_all!(self, FEEDS)
    }

    /// The feeds of one person that work. Older versions let them have more than [`MOST_FEEDS`]: so many are given all the same.
    pub async fn feeds_of(&mut self, person: PersonId) -> Result<Vec<FeedRow>> {
        fetch_all!(self, OF_PERSON, person)
    }

    /// The feed whose token has this hash, if it works.
    pub async fn feed_by_hash(&mut self, hash: &[u8; 32]) -> Result<Option<FeedRow>> {
        fetch_optional!(self, BY_TOKEN, &hash[..])
    }

    /// Stores a feed.
    ///
    /// # Errors
    /// When the database fails, or the schedule or person is not there any more.
    pub async fn insert_feed(&mut self, feed: &FeedRow, hash: &[u8; 32]) -> Result<()> {
        let made = Made { by: &feed.created_by, at: feed.created_at };
        execute!(self, INSERT, feed.id, &hash[..], feed.schedule_id, feed.person_id, made.at, made.by).map(|_| ())
    }

    /// Revokes a feed at once; false when there was none.
    pub async fn revoke_feed(&mut self, id: FeedId) -> Result<bool> {
        changed_one!(self, REVOKE, id)
    }
}
