//! Commands from the outbox: texts, codes, test calls.

use std::time::Duration;

use super::{JournalEntry, NativeHandset, job::Job};
use crate::wire::{CommandKind, NativeOffer, OfferedCall, OutboxResult};

impl NativeHandset {
    /// What became of the command of the last [`NativeAction::CarryOut`](super::NativeAction::CarryOut).
    pub fn carried_out(&mut self, id: String, result: OutboxResult) {
        self.working_on = None;
        self.results.push_back((id, result));
    }

    /// Begins the next command from the outbox, if nothing else is going on.
    pub(super) fn next_command(&mut self, now: Duration) {
        if self.job.is_some() || !self.results.is_empty() || self.working_on.is_some() {
            return;
        }
        let Some(command) = self.commands.pop_front() else { return };
        if let Some(result) = self.past.result_of(&command.id) {
            self.results.push_back((command.id, result));
            return;
        }
        self.working_on = Some(command.id.clone());
        // A code that is sent twice does what it does once.
        if !matches!(command.kind, CommandKind::Forward { .. }) {
            self.to_journal.push_back(JournalEntry::Begun { id: command.id.clone() });
        }
        match command.kind {
            CommandKind::Sms { .. } | CommandKind::Forward { .. } => self.to_carry_out = Some(command),
            CommandKind::TestCall { number, ring_seconds } => {
                let calls = vec![OfferedCall { number: number.clone(), ring_seconds, ..OfferedCall::default() }];
                let offer = NativeOffer { phone: vec![number], calls, ..NativeOffer::default() };
                self.job = Some(Job { test: Some(command.id), ..Job::new(offer, now) });
            }
        }
    }

    pub(super) fn close_command(&mut self) {
        if let Some((id, result)) = self.results.pop_front() {
            self.to_journal.push_back(JournalEntry::Done { id, result });
        }
    }
}
