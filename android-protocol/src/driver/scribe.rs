//! The one journal of a handset, for all its tasks: every kind writes by it, and nothing is done before what announces it is on disk.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::journal::{Journal, JournalError};
use crate::native::{JournalEntry, journal::compacted};

/// How long the journal grows before what is long over is taken out.
const JOURNAL_BYTES: u64 = 256 << 10;

/// Where the journal lies in a handset's folder.
#[must_use]
pub fn journal_of(state_dir: &Path) -> PathBuf {
    state_dir.join("handset.journal")
}

/// Writes a handset's journal. Whoever holds one holds the line, too: a second process is refused the journal, and must not dial.
#[derive(Debug, Clone)]
pub struct Scribe(Arc<Mutex<Journal<JournalEntry>>>);

impl Scribe {
    /// Opens the journal in this folder, or begins one, and reads what it holds.
    ///
    /// # Errors
    ///
    /// If another process holds it, or the file system refuses.
    pub fn open(state_dir: &Path) -> Result<(Self, Vec<JournalEntry>), JournalError> {
        let (mut journal, mut past) = Journal::open(&journal_of(state_dir))?;
        // A handset over SIP once had a journal of its own, with the same entries and its own lock: what it began is not begun again.
        let before = state_dir.join("journal.jsonl");
        if past.is_empty() && before.is_file() {
            let (_held, entries) = Journal::open(&before)?;
            past = compacted(entries);
            let all = past.clone();
            journal.rewrite(|_| all)?;
            // From now on the new one holds something, and the old one is not read again.
            let _ = std::fs::remove_file(&before);
        }
        Ok((Self(Arc::new(Mutex::new(journal))), past))
    }

    /// Writes an entry down, safe against power loss when this returns.
    ///
    /// # Errors
    ///
    /// If it is not on disk, and why. Then it is not there after a restart either.
    pub async fn write(&self, entry: JournalEntry) -> Result<(), JournalError> {
        let journal = Arc::clone(&self.0);
        let written = tokio::task::spawn_blocking(move || {
            // What a writer that broke off left is cut off by the journal itself.
            let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
            journal.append(&entry)?;
            let closes = matches!(entry, JournalEntry::Reported { .. } | JournalEntry::Done { .. } | JournalEntry::Told { .. });
            if closes
                && journal.bytes() > JOURNAL_BYTES
                && let Err(why) = journal.rewrite(compacted)
            {
                tracing::error!(error = %why, "the journal cannot be shortened");
            }
            Ok(())
        });
        written.await.unwrap_or_else(|why| Err(JournalError::Broken(why.to_string())))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::wire::NativeOffer;

    #[test]
    fn what_the_journal_of_before_holds_is_known_and_moves_over() {
        let folder = tempfile::tempdir().unwrap();
        let offer = NativeOffer { mid: "m1".to_owned(), ..NativeOffer::default() };
        let leased = JournalEntry::Leased { offer, at_ms: 0 };
        let before = folder.path().join("journal.jsonl");
        Journal::open(&before).unwrap().0.append(&leased).unwrap();
        for _ in 0..2 {
            assert_eq!(Scribe::open(folder.path()).unwrap().1, std::slice::from_ref(&leased));
            assert!(!before.exists(), "it is read once");
        }
    }

    #[test]
    fn a_journal_of_before_that_is_in_use_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let before = folder.path().join("journal.jsonl");
        let (mut held, _) = Journal::<JournalEntry>::open(&before).unwrap();
        let offer = NativeOffer { mid: "m1".to_owned(), ..NativeOffer::default() };
        held.append(&JournalEntry::Leased { offer, at_ms: 0 }).unwrap();
        assert!(Scribe::open(folder.path()).is_err(), "an old handset and a new one would both dial");
    }
}
