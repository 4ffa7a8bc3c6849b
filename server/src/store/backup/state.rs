//! What came of the backups that were made last, and whose turn it is to make one.

use chrono::{DateTime, Utc};

use crate::alarm::event::Event;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// What is known of backups.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct BackupState {
        /// Grows whenever a node begins one.
        pub turn: i64,
        /// A node makes one, and is believed to be at it until then.
        pub taken_until: Option<DateTime<Utc>>,
        /// When the server began the last one by itself.
        pub tried_at: Option<DateTime<Utc>>,
        /// What was wrong with that.
        pub failure: Option<String>,
        /// Since when none has succeeded that the server made by itself.
        pub failed_since: Option<DateTime<Utc>>,
        /// When whoever is told of it was told.
        pub told_at: Option<DateTime<Utc>>,
        /// Of what instant the last good one is, whoever made it.
        pub made_at: Option<DateTime<Utc>>,
        /// Its file.
        pub place: Option<String>,
        /// How large that is.
        pub bytes: Option<i64>,
        /// How many rows are in it.
        pub rows: Option<i64> as "row_count",
    }
}

/// A backup that has succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Success {
    /// Of what instant it is.
    pub made_at: DateTime<Utc>,
    /// Its file.
    pub place: String,
    /// How large that is.
    pub bytes: i64,
    /// How many rows are in it.
    pub rows: i64,
}

statements! {
    /// The row, where there is none yet.
    FIRST = ["INSERT INTO backups (one, turn) VALUES (1, 0) ON CONFLICT (one) DO NOTHING"];
    /// What is known.
    STATE = [
        "SELECT turn, taken_until, tried_at, failure, failed_since, told_at, made_at, place, bytes, row_count FROM backups WHERE one = 1"
    ];
    /// Takes the next turn, unless somebody else was faster or is at it.
    TAKE = [
        "UPDATE backups SET turn = turn + 1, taken_until = $2, tried_at = $3
         WHERE one = 1 AND turn = $1 AND (taken_until IS NULL OR taken_until <= $3)"
    ];
    /// Is still at it.
    STAY = ["UPDATE backups SET taken_until = $2 WHERE one = 1 AND turn = $1 AND taken_until IS NOT NULL"];
    /// Whoever is told that they fail is told now, unless they were.
    TOLD = ["UPDATE backups SET told_at = $2 WHERE one = 1 AND turn = $1 AND told_at IS NULL"];
    /// And that they do no more.
    TOLD_BACK = ["UPDATE backups SET told_at = NULL WHERE one = 1 AND turn = $1 AND told_at IS NOT NULL"];
    /// It has succeeded.
    SUCCEEDED = ["UPDATE backups SET taken_until = NULL, failure = NULL, failed_since = NULL WHERE one = 1 AND turn = $1"];
    /// The last good one.
    NOTE = [
        "UPDATE backups SET made_at = $1, place = $2, bytes = $3, row_count = $4
         WHERE one = 1 AND (made_at IS NULL OR made_at <= $1 OR made_at > $5)"
    ];
    /// It has failed.
    FAILED = [
        "UPDATE backups SET taken_until = NULL, failure = $2, failed_since = coalesce(failed_since, $3) WHERE one = 1 AND turn = $1"
    ];
}

impl Db<'_> {
    /// What is known of backups: how old the last good one is, and what is wrong.
    pub async fn backup_state(&mut self) -> Result<BackupState> {
        let state: Option<BackupState> = fetch_optional!(self, STATE)?;
        Ok(state.unwrap_or_default())
    }

    /// Takes the turn after that one until then; false when somebody else was faster.
    pub async fn take_backup_turn(&mut self, after: i64, until: DateTime<Utc>, now: DateTime<Utc>) -> Result<bool> {
        execute!(self, FIRST)?;
        changed_one!(self, TAKE, after, until, now)
    }

    /// Goes on with it until then; false when it was taken away.
    pub async fn keep_backup_turn(&mut self, turn: i64, until: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, STAY, turn, until)
    }

    /// The backup of this turn has succeeded. Whoever was told that they fail is told that as well.
    pub async fn backup_succeeded(&mut self, turn: i64, made: &Success, now: DateTime<Utc>) -> Result<()> {
        execute!(self, SUCCEEDED, turn)?;
        self.note_backup(made, now).await?;
        if changed_one!(self, TOLD_BACK, turn)? {
            self.insert_event(None, None, now, &Event::BackupBack {}).await?;
        }
        Ok(())
    }

    /// The backup of this turn has failed. With the second in a row people are told, once: one alone may be made up for in a moment.
    pub async fn backup_failed(&mut self, turn: i64, why: &str, now: DateTime<Utc>) -> Result<()> {
        let before = self.backup_state().await?;
        if !changed_one!(self, FAILED, turn, why, now)? {
            return Ok(());
        }
        if let Some(since) = before.failed_since
            && changed_one!(self, TOLD, turn, now)?
        {
            self.insert_event(None, None, now, &Event::BackupTrouble { since, why: why.to_owned() }).await?;
        }
        Ok(())
    }

    /// Somebody has made a backup. One that is kept as of a time to come was made by a clock that was wrong, and hides no other.
    pub async fn note_backup(&mut self, made: &Success, now: DateTime<Utc>) -> Result<()> {
        execute!(self, FIRST)?;
        execute!(self, NOTE, made.made_at.min(now), made.place.as_str(), made.bytes, made.rows, now).map(|_| ())
    }
}
