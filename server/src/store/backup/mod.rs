//! Backups: all rows of one instant in a form of our own that belongs to neither database, and back from it. The same rows go from one
//! database straight into another when an installation moves.
//!
//! Whoever reads ([`source`], or [`file`](mod@file)) hands on [`Piece`]s, a few at a time, to whoever writes: so the memory that this takes
//! does not grow with what there is. What is written elsewhere is read again and compared before it counts.

pub mod beside;
pub mod cells;
pub mod file;
pub mod lines;
mod loading;
pub mod restoring;
pub mod sealed;
pub mod source;
pub mod state;
mod tables;

use std::path::Path;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

use cells::{Cell, Sum};
use file::{NewBackup, Written};
use lines::{Head, Table};
use sealed::Passphrase;
use source::Source;

use super::{StoreError, migrations};

/// What is handed on at most before whoever reads waits.
const AHEAD: usize = 4;

/// A part of what goes from one place to another.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// What it is of: the first.
    Head(Head),
    /// A table begins.
    Table(Table),
    /// Some of its rows.
    Rows(Vec<Vec<Cell>>),
    /// It ends. So far has the count of its numeric ids got, where it has one.
    TableEnd(Option<i64>),
    /// That was all: the last.
    End,
}

/// Why there is no backup, or nothing was restored. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database failed in the middle of it.
    #[error("the database failed: {0}")]
    Database(#[source] sqlx::Error),
    /// The database failed at a table.
    #[error("the table {table} cannot be read or written: {source}")]
    Table {
        /// Which.
        table: String,
        /// The driver's error.
        source: sqlx::Error,
    },
    /// A value does not fit where it is to go.
    #[error("the table {table} holds {what}")]
    Value {
        /// Which table.
        table: String,
        /// What.
        what: &'static str,
    },
    /// A file fails.
    #[error("{path} cannot be {done}: {source}")]
    File {
        /// Which.
        path: String,
        /// Read or written.
        done: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// There is one already.
    #[error("{0} is there already: give another name, or add --overwrite")]
    Exists(String),
    /// Another process writes it.
    #[error("{0} is being written by another command")]
    Busy(String),
    /// It is something else.
    #[error("{0} is no backup that autocall has made")]
    Foreign(String),
    /// Its end is missing.
    #[error("{0} ends too early: it was cut off. Nothing was changed; take another backup")]
    Cut(String),
    /// It is not what was written.
    #[error("{path} is damaged: {what}. Nothing was changed; take another backup")]
    Damaged {
        /// Which file.
        path: String,
        /// What is wrong in it.
        what: String,
    },
    /// Nobody has said the passphrase.
    #[error("{0} is encrypted: name the file of its passphrase with --passphrase-file")]
    Sealed(String),
    /// The passphrase is another one.
    #[error("{0} was encrypted with another passphrase")]
    WrongPassphrase(String),
    /// A later version has made it.
    #[error(
        "{what} is of a later version of autocall than this one: its tables are at {theirs}, and this program knows them up to {ours}. Use \
         that version or a later one"
    )]
    Newer {
        /// What is newer.
        what: String,
        /// How far its tables are.
        theirs: i64,
        /// How far this program knows them.
        ours: i64,
    },
    /// No version of this program has had such tables.
    #[error("{what} has tables that no version of this program has had: {why}")]
    Unknown {
        /// What.
        what: String,
        /// Why that is known.
        why: String,
    },
    /// There is nothing.
    #[error("there is no database in {0} yet")]
    Nothing(String),
    /// A server uses it.
    #[error("a server or a command uses {0}: stop it first (all nodes, where there are several)")]
    Served(String),
    /// There is something already.
    #[error(
        "{place} is in use: it holds {holds}. To throw that away, add --replace {word}; there is no way back but a backup of it"
    )]
    InUse {
        /// Where.
        place: String,
        /// What is there.
        holds: String,
        /// What has to be said to throw it away.
        word: String,
    },
    /// There are tables of a later version, some of which this program would leave there.
    #[error(
        "the tables in {place} are of a later version of autocall, and this program does not know all of them. Give it an empty schema, and \
         restore again: DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema};"
    )]
    LaterTables {
        /// Where.
        place: String,
        /// The schema that they are in.
        schema: String,
    },
    /// What was written reads otherwise.
    #[error(
        "the table {table} has {read} rows in {place} that are not the {written} that were written there. Nothing was changed; this is a \
         fault of autocall, or of that database"
    )]
    Differs {
        /// Where.
        place: String,
        /// Which table.
        table: String,
        /// How many rows were written.
        written: u64,
        /// How many are there.
        read: u64,
    },
    /// Somebody stopped it.
    #[error("it was stopped before it was complete; nothing was changed")]
    Stopped,
}

/// What a backup or a database can do.
pub type Result<T> = std::result::Result<T, BackupError>;

/// A table that was written, how many rows, and what they add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Its name.
    pub table: String,
    /// Its rows.
    pub sum: Sum,
}

/// That this program can have made tables with these migrations: it knows all of them, and none is left out.
fn known(what: &str, theirs: &[i64]) -> Result<()> {
    let ours = migrations::numbers();
    let (last, latest) = (theirs.last().copied().unwrap_or_default(), ours.last().copied().unwrap_or_default());
    if last > latest {
        return Err(BackupError::Newer { what: what.to_owned(), theirs: last, ours: latest });
    }
    let expected: Vec<i64> = ours.into_iter().filter(|number| *number <= last).collect();
    if theirs == expected {
        return Ok(());
    }
    let odd = expected.iter().find(|number| !theirs.contains(number)).or(theirs.iter().find(|number| !expected.contains(number)));
    let why = format!("migration {:04} is on one side only", odd.copied().unwrap_or_default());
    Err(BackupError::Unknown { what: what.to_owned(), why })
}

/// Whether it is of a database whose tables were as this program has them.
#[must_use]
pub fn is_current(head: &Head) -> bool {
    head.migrations == migrations::numbers()
}

/// Writes everything that is in a database now into a file. What is heavy is done on a thread of its own; the server goes on.
///
/// # Errors
/// When the database or the file fails. There is no half file under its name then.
pub async fn back_up(source: Source, to: NewBackup, now: DateTime<Utc>) -> Result<Written> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let writing = tokio::task::spawn_blocking(move || file::write(&to, receiver));
    let poured = source.pour(now, &sender).await;
    // Whoever writes has everything now, or hears that nothing more comes.
    drop(sender);
    let written = writing.await.map_err(|_| BackupError::Stopped)?;
    match (poured, written) {
        (_, Err(error)) if !matches!(error, BackupError::Stopped) => Err(error),
        (Err(error), _) => Err(error),
        (Ok(()), written) => written,
    }
}

/// What is in a backup, read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// What it is of.
    pub head: Head,
    /// Its tables.
    pub tables: Vec<(String, u64)>,
    /// Whether it is encrypted.
    pub sealed: bool,
}

/// Reads a backup to its end and says what is in it.
///
/// # Errors
/// When it is not whole, or cannot be read.
pub async fn check(path: &Path, passphrase: Option<Passphrase>) -> Result<Contents> {
    let sealed = file::is_sealed(path)?;
    let mut from = file::pour(path.to_owned(), passphrase);
    let (mut head, mut tables) = (None, Vec::<(String, u64)>::new());
    while let Some(piece) = from.recv().await {
        match piece? {
            Piece::Head(found) => {
                known(&path.display().to_string(), &found.migrations)?;
                head = Some(found);
            }
            Piece::Table(table) => tables.push((table.name, 0)),
            Piece::Rows(rows) => {
                if let Some((_, count)) = tables.last_mut() {
                    *count += rows.len() as u64;
                }
            }
            Piece::TableEnd(_) => {}
            Piece::End => return head.map(|head| Contents { head, tables, sealed }).ok_or(BackupError::Stopped),
        }
    }
    Err(BackupError::Stopped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_version_of_this_program_has_made_is_known() {
        let ours = migrations::numbers();
        let latest = ours.last().copied().unwrap_or_default();
        for end in 0..=ours.len() {
            assert!(known("it", &ours[..end]).is_ok(), "the first {end}");
        }
        let newer = [ours.as_slice(), &[latest + 1]].concat();
        let said = known("x.backup", &newer).map_err(|error| error.to_string());
        assert!(said.as_ref().is_err_and(|said| said.contains("x.backup") && said.contains("later version")), "{said:?}");
        for odd in [vec![1, 3], vec![2], [&ours[..3], &[4, 5, 6, 1_000_000_000_000]].concat()] {
            assert!(known("it", &odd).is_err(), "{odd:?}");
        }
    }
}
