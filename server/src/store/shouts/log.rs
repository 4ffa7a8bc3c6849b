//! Detail records of shouts: lines, numbered, that are read by whoever accounts for them.

use chrono::{DateTime, Utc};

use crate::ids::{KeyId, LogFolderId};
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
    INSERT = [
        "INSERT INTO shout_log (kind, at, shout_id, key_id, folder, line) SELECT $2, $3, $4, $5, $6, n.line FROM" lines "ORDER BY n.place"
    ];
    /// Those behind one, of one kind.
    AFTER = ["SELECT * FROM shout_log WHERE kind = $1 AND (at, id) > ($2, $3) ORDER BY at, id LIMIT $4"];
    /// Those of one key.
    OF_KEY = ["SELECT * FROM shout_log WHERE key_id = $5 AND kind = $1 AND (at, id) > ($2, $3) ORDER BY at, id LIMIT $4"];
    /// Those that are still to be written into the files of these folders, and those that nobody has written for long.
    UNWRITTEN = [
        "SELECT * FROM shout_log WHERE folder IS NOT NULL AND kind = $1 AND (folder = $2 OR folder = $3 OR at < $4) ORDER BY id LIMIT 500"
    ];
    /// These stand in a file.
    WRITTEN = ["UPDATE shout_log SET folder = NULL WHERE id" in_numbers];
    /// Long over.
    PRUNE = ["DELETE FROM shout_log WHERE id IN (SELECT id FROM shout_log WHERE at < $1 ORDER BY at, id LIMIT 500)"];
}

/// Whose records these are, and where they go.
#[derive(Clone, Copy, Debug)]
pub struct Of {
    /// About which shout.
    pub shout: i64,
    /// Whose it is.
    pub key: KeyId,
    /// The folder into whose files they are to be written; `None`: into none.
    pub folder: Option<LogFolderId>,
}

impl Db<'_> {
    /// Adds records of one kind.
    pub async fn add_shout_records(&mut self, kind: RecordKind, of: &Of, lines: &[String], now: DateTime<Utc>) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let lines = serde_json::json!(lines).to_string();
        execute!(self, INSERT, lines, kind, now, of.shout, of.key, of.folder).map(|_| ())
    }

    /// Records of a kind behind this one in the order of time, those of one key or all.
    pub async fn shout_records(
        &mut self,
        kind: RecordKind,
        key: Option<KeyId>,
        (at, id): (DateTime<Utc>, i64),
        most: i64,
    ) -> Result<Vec<RecordRow>> {
        match key {
            None => fetch_all!(self, AFTER, kind, at, id, most),
            Some(key) => fetch_all!(self, OF_KEY, kind, at, id, most, key),
        }
    }

    /// Up to [`RECORDS_AT_ONCE`] records that are still to be written into files of either folder, and those from before then that nobody has
    /// written, in their order.
    pub async fn unwritten_shout_records(
        &mut self,
        kind: RecordKind,
        folders: [LogFolderId; 2],
        before: DateTime<Utc>,
    ) -> Result<Vec<RecordRow>> {
        let [one, other] = folders;
        fetch_all!(self, UNWRITTEN, kind, one, other, before)
    }

    /// Notes that these records stand in a file.
    pub async fn shout_records_are_written(&mut self, ids: &[i64]) -> Result<()> {
        execute!(self, WRITTEN, serde_json::json!(ids).to_string()).map(|_| ())
    }

    /// Forgets up to [`RECORDS_AT_ONCE`] records from before then; gives how many.
    pub async fn prune_shout_records(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, PRUNE, before)
    }
}
