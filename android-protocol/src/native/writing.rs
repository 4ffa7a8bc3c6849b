//! What is written down before it is done, and what follows where it could not be.

use std::time::Duration;

use super::{CannotDial, JournalEntry, NativeHandset, RETRY_AFTER};
use crate::wire::OutboxResult;

impl NativeHandset {
    /// The journal entry of the last [`NativeAction::Journal`](super::NativeAction::Journal) is safe.
    pub fn journaled(&mut self) {
        if std::mem::take(&mut self.journal_out)
            && let Some(entry) = self.to_journal.pop_front()
        {
            self.past.note(&entry);
        }
    }

    /// The journal entry of the last [`NativeAction::Journal`](super::NativeAction::Journal) could not be written. What is not written down is not dialled and not sent;
    /// what has happened already is reported all the same.
    pub fn journal_failed(&mut self, now: Duration, why: &str) {
        if !std::mem::take(&mut self.journal_out) {
            return;
        }
        let broken = || CannotDial::Broken(why.to_owned());
        match self.to_journal.pop_front() {
            Some(JournalEntry::Leased { .. }) => {
                while self.job.as_ref().is_some_and(|job| !job.is_over()) {
                    self.take_next(now);
                    self.cannot_dial(now, &broken());
                }
                // None of it is in the journal, so none of it is followed up there; and nothing was dialled that could be told.
                self.to_journal.clear();
                self.progress.clear();
            }
            Some(JournalEntry::Dialling { .. }) => self.cannot_dial(now, &broken()),
            Some(JournalEntry::Begun { id }) => {
                self.to_carry_out = None;
                let result = OutboxResult { ok: false, detail: Some(why.to_owned()), ..OutboxResult::default() };
                if self.job.as_ref().is_some_and(|job| job.test.is_some()) {
                    self.job = None;
                }
                self.carried_out(id, result);
            }
            // It is told once more, and not as fast as the server answers.
            Some(JournalEntry::Told { .. }) => self.quiet_until = now + RETRY_AFTER,
            Some(
                JournalEntry::Inbound { .. }
                | JournalEntry::Connected { .. }
                | JournalEntry::Key { .. }
                | JournalEntry::Ended { .. }
                | JournalEntry::Reported { .. }
                | JournalEntry::Sent { .. }
                | JournalEntry::Fate { .. }
                | JournalEntry::Done { .. },
            )
            | None => {}
        }
    }

    /// The journal entry of the last [`NativeAction::Journal`](super::NativeAction::Journal) was not written, because the number cannot be dialled.
    pub fn journal_skipped(&mut self, now: Duration, why: &CannotDial) {
        if std::mem::take(&mut self.journal_out) {
            self.to_journal.pop_front();
            self.cannot_dial(now, why);
        }
    }
}
