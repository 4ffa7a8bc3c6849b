//! Sessions as people see them: which there are, and which are ended.

use chrono::{DateTime, Utc};

use crate::ids::UserId;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, row};
use crate::store::{Db, Result};

/// More of one user are not shown: the latest used ones are.
pub const MOST_SHOWN: i64 = 200;

row! {
    /// A session that goes on.
    #[derive(Clone, Debug)]
    pub struct OpenSessionRow {
        /// What it is kept under.
        pub token_hash: Vec<u8>,
        /// Since when.
        pub created_at: DateTime<Utc>,
        /// When it was last noted as used.
        pub last_used_at: DateTime<Utc>,
        /// When it ends, used or not.
        pub expires_at: DateTime<Utc>,
        /// From where it was last used, where that was noted.
        pub address: Option<String>,
        /// What kind of browser, in words.
        pub browser: Option<String>,
    }
}

statements! {
    /// Those of one user that are good still, the latest used first.
    OF_USER = [
        "SELECT token_hash, created_at, last_used_at, expires_at, address, browser FROM sessions
         WHERE user_id = $1 AND expires_at > $2 AND last_used_at > $3 ORDER BY last_used_at DESC, token_hash LIMIT $4"
    ];
    /// One of a user is over.
    END = ["DELETE FROM sessions WHERE user_id = $1 AND token_hash = $2"];
    /// All of a user but one are over.
    END_OTHERS = ["DELETE FROM sessions WHERE user_id = $1 AND token_hash <> $2"];
    /// All of a user are over.
    END_ALL = ["DELETE FROM sessions WHERE user_id = $1"];
}

impl Db<'_> {
    /// The sessions of a user that go on: not expired, and used since `idle_since`.
    pub async fn sessions_of(
        &mut self,
        user: UserId,
        now: DateTime<Utc>,
        idle_since: DateTime<Utc>,
    ) -> Result<Vec<OpenSessionRow>> {
        fetch_all!(self, OF_USER, user, now, idle_since, MOST_SHOWN)
    }

    /// Ends one session of a user; false when it was none any more.
    pub async fn end_session(&mut self, user: UserId, token_hash: &[u8]) -> Result<bool> {
        changed_one!(self, END, user, token_hash)
    }

    /// Ends all sessions of a user, but for this one; gives how many.
    pub async fn end_sessions(&mut self, user: UserId, but: Option<&[u8]>) -> Result<u64> {
        match but {
            Some(own) => execute!(self, END_OTHERS, user, own),
            None => execute!(self, END_ALL, user),
        }
    }
}
