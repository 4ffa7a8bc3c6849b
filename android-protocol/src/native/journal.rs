//! What a handset writes down, and what it knows from it: what was dialled is never dialled again, what was sent is never sent again.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::wire::{NativeCall, NativeOffer, OutboxResult};

/// How many offers, and how many commands, are remembered. A server asks again within minutes, not after a hundred others.
pub const REMEMBERED: usize = 100;

/// A line of the journal. The times are the handset's own clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum JournalEntry {
    /// The handset accepted an offer.
    Leased {
        /// What it accepted.
        offer: NativeOffer,
        /// When, in milliseconds.
        at_ms: u64,
    },
    /// It is about to dial.
    Dialling {
        /// For which offer.
        mid: String,
        /// Which of its numbers.
        number: String,
        /// When, in milliseconds.
        at_ms: u64,
        /// By what the line will know this call again after a restart, in the line's own words; over SIP the Call-ID.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<String>,
    },
    /// The line is connected.
    Connected {
        /// For which offer.
        mid: String,
        /// To which of its numbers.
        number: String,
    },
    /// A key was pressed.
    Key {
        /// For which offer.
        mid: String,
        /// By whom.
        number: String,
        /// Which key.
        key: char,
        /// What it stands for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action: Option<String>,
    },
    /// A number is done.
    Ended {
        /// For which offer.
        mid: String,
        /// What became of it.
        call: NativeCall,
    },
    /// The server has the result.
    Reported {
        /// Of which offer.
        mid: String,
    },
    /// It is about to send a text, or to make a test call.
    Begun {
        /// The command's id.
        id: String,
    },
    /// The server has the result of a command.
    Done {
        /// The command's id.
        id: String,
        /// What became of it.
        result: OutboxResult,
    },
}

impl JournalEntry {
    fn mid(&self) -> Option<&str> {
        match self {
            Self::Leased { offer, .. } => Some(&offer.mid),
            Self::Dialling { mid, .. }
            | Self::Connected { mid, .. }
            | Self::Key { mid, .. }
            | Self::Ended { mid, .. }
            | Self::Reported { mid } => Some(mid),
            Self::Begun { .. } | Self::Done { .. } => None,
        }
    }

    fn command(&self) -> Option<&str> {
        match self {
            Self::Begun { id } | Self::Done { id, .. } => Some(id),
            _ => None,
        }
    }
}

/// What is kept of a journal: everything about the last [`REMEMBERED`] offers and commands.
#[must_use]
pub fn compacted(entries: Vec<JournalEntry>) -> Vec<JournalEntry> {
    let (mut mids, mut commands) = (Vec::new(), Vec::new());
    for entry in entries.iter().rev() {
        let (seen, name) = match (entry.mid(), entry.command()) {
            (Some(mid), _) => (&mut mids, mid),
            (None, Some(id)) => (&mut commands, id),
            (None, None) => continue,
        };
        if seen.len() < REMEMBERED && !seen.iter().any(|known| known == name) {
            seen.push(name.to_owned());
        }
    }
    let is_kept = |entry: &JournalEntry| {
        entry.mid().is_some_and(|mid| mids.iter().any(|known| known == mid))
            || entry.command().is_some_and(|id| commands.iter().any(|known| known == id))
    };
    entries.into_iter().filter(is_kept).collect()
}

/// The last call of a journal that is not known to be over: its mark.
#[must_use]
pub fn open_mark(entries: &[JournalEntry]) -> Option<String> {
    entries.iter().rev().find_map(|entry| match entry {
        JournalEntry::Dialling { call, .. } => Some(call.clone()),
        JournalEntry::Leased { .. } | JournalEntry::Ended { .. } | JournalEntry::Reported { .. } => Some(None),
        JournalEntry::Connected { .. } | JournalEntry::Key { .. } | JournalEntry::Begun { .. } | JournalEntry::Done { .. } => {
            None
        }
    })?
}

/// What the handset remembers of offers and commands, as its journal tells it.
#[derive(Debug, Clone, Default)]
pub(super) struct Past {
    calls: VecDeque<(String, Vec<NativeCall>)>,
    /// `None` as long as nobody knows what became of it.
    commands: VecDeque<(String, Option<OutboxResult>)>,
}

impl Past {
    pub(super) fn note(&mut self, entry: &JournalEntry) {
        match entry {
            JournalEntry::Leased { offer, .. } => remember(&mut self.calls, &offer.mid, Vec::new()),
            JournalEntry::Dialling { .. }
            | JournalEntry::Connected { .. }
            | JournalEntry::Key { .. }
            | JournalEntry::Reported { .. } => {}
            JournalEntry::Ended { mid, call } => {
                if let Some((_, calls)) = self.calls.iter_mut().rev().find(|(known, _)| known == mid) {
                    calls.push(call.clone());
                }
            }
            JournalEntry::Begun { id } => remember(&mut self.commands, id, None),
            JournalEntry::Done { id, result } => remember(&mut self.commands, id, Some(result.clone())),
        }
    }

    /// What became of an offer that was accepted before; `None` for a new one.
    pub(super) fn calls_of(&self, mid: &str) -> Option<Vec<NativeCall>> {
        self.calls.iter().rev().find(|(known, _)| known == mid).map(|(_, calls)| calls.clone())
    }

    /// The result of a command that was carried out before; `None` for a new one.
    pub(super) fn result_of(&self, id: &str) -> Option<OutboxResult> {
        let (_, result) = self.commands.iter().rev().find(|(known, _)| known == id)?;
        Some(result.clone().unwrap_or_else(unknown))
    }

    /// Commands that were begun, and of which nobody knows more.
    pub(super) fn broken_off(&self) -> Vec<(String, OutboxResult)> {
        self.commands.iter().filter(|(_, result)| result.is_none()).map(|(id, _)| (id.clone(), unknown())).collect()
    }
}

fn unknown() -> OutboxResult {
    let why = "the handset's program was restarted while it did this, and does not do it twice";
    OutboxResult { ok: false, detail: Some(why.to_owned()), ..OutboxResult::default() }
}

fn remember<T>(known: &mut VecDeque<(String, T)>, name: &str, what: T) {
    known.retain(|(old, _)| old != name);
    known.push_back((name.to_owned(), what));
    if known.len() > REMEMBERED {
        known.pop_front();
    }
}
