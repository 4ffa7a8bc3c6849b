//! Detail records of shouts: lines, numbered, that are read by whoever accounts for them.

use chrono::{DateTime, Utc};

use crate::store::dialect::{fragment, statements};
use crate::store::statement::{execute, fetch_all, row};
use crate::store::{Db, Result};

/// At most so many are forgotten in one transaction.
pub const RECORDS_AT_ONCE: u64 = 500;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// A shout that is over.
    Shout,
    /// A call of one.
    Call,
    /// The call in which its message was spoken.
    Recording,
}

impl RecordKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Shout, Self::Call, Self::Recording];

    /// Its word, by which readers know the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shout => "bdr",
            Self::Call => "cdr",
            Self::Recording => "rec",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

row! {
    /// A record.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RecordRow {
        /// Its number; later ones are higher.
        pub id: i64,
        /// What it is about.
        pub kind: RecordKind,
        /// When it was written.
        pub at: DateTime<Utc>,
        /// About which shout.
        pub shout_id: i64,
        /// A JSON object, its keys in the order that readers know.
        pub line: String,
    }
}

statements! {
    /// Records of one kind, in this order.
    INSERT = ["INSERT INTO shout_log (kind, at, shout_id, line) SELECT $2, $3, $4, n.line FROM" lines "ORDER BY n.place"];
    /// Those after a number, of one kind.
    AFTER = ["SELECT * FROM shout_log WHERE id > $1 AND kind = $2 AND at >= $3 ORDER BY id LIMIT $4"];
    /// Long over.
    PRUNE = ["DELETE FROM shout_log WHERE id IN (SELECT id FROM shout_log WHERE at < $1 ORDER BY at, id LIMIT 500)"];
}

impl Db<'_> {
    /// Adds records of one kind about a shout.
    pub async fn add_shout_records(&mut self, kind: RecordKind, shout: i64, lines: &[String], now: DateTime<Utc>) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        execute!(self, INSERT, serde_json::json!(lines).to_string(), kind, now, shout).map(|_| ())
    }

    /// Records of a kind with a higher number, written since then, in their order.
    pub async fn shout_records(
        &mut self,
        after: i64,
        kind: RecordKind,
        since: DateTime<Utc>,
        most: i64,
    ) -> Result<Vec<RecordRow>> {
        fetch_all!(self, AFTER, after, kind, since, most)
    }

    /// Forgets up to [`RECORDS_AT_ONCE`] records from before then; gives how many.
    pub async fn prune_shout_records(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, PRUNE, before)
    }
}
