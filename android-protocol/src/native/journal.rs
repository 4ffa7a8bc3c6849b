//! What a handset writes down. What it knows from that stands in [`super::restart`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::restart::Past;
use crate::wire::{Delivery, NativeCall, NativeOffer, OutboxResult};

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
    /// Somebody calls, and the server has given that a name.
    Inbound {
        /// Which.
        mid: String,
        /// Who calls, as it is reported.
        number: String,
        /// When, in milliseconds.
        at_ms: u64,
        /// By what the line knows this call; over SIP the Call-ID.
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
    /// All parts of a text were sent.
    Sent {
        /// The command's id.
        id: String,
        /// To whom.
        to: String,
        /// The numbers by which the network tells what becomes of its parts.
        references: Vec<u8>,
    },
    /// The server has the result of a command.
    Done {
        /// The command's id.
        id: String,
        /// What became of it.
        result: OutboxResult,
    },
    /// The network said what became of a part of a text.
    Fate {
        /// The command's id.
        id: String,
        /// The number of the part.
        reference: u8,
        /// What became of it.
        delivery: Delivery,
        /// When, by the network's clock.
        at: String,
    },
    /// The server knows what became of a text.
    Told {
        /// The command's id.
        id: String,
    },
}

impl JournalEntry {
    fn mid(&self) -> Option<&str> {
        match self {
            Self::Leased { offer, .. } => Some(&offer.mid),
            Self::Dialling { mid, .. }
            | Self::Inbound { mid, .. }
            | Self::Connected { mid, .. }
            | Self::Key { mid, .. }
            | Self::Ended { mid, .. }
            | Self::Reported { mid } => Some(mid),
            Self::Begun { .. } | Self::Sent { .. } | Self::Done { .. } | Self::Fate { .. } | Self::Told { .. } => None,
        }
    }

    fn command(&self) -> Option<&str> {
        match self {
            Self::Begun { id } | Self::Sent { id, .. } | Self::Done { id, .. } | Self::Fate { id, .. } | Self::Told { id } => {
                Some(id)
            }
            _ => None,
        }
    }
}

/// What is kept of a journal: everything that is open, and what [`Past`] remembers besides.
#[must_use]
pub fn compacted(entries: Vec<JournalEntry>) -> Vec<JournalEntry> {
    let mut past = Past::default();
    // A name that was forgotten and comes again begins anew.
    let mut of_mids: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate() {
        if let Some(mid) = entry.mid() {
            if past.hand_out(mid).is_none() {
                of_mids.remove(mid);
            }
            of_mids.entry(mid.to_owned()).or_default().push(at);
        }
        past.note(entry);
    }
    let kept: BTreeSet<usize> =
        of_mids.into_iter().filter(|(mid, _)| past.hand_out(mid).is_some()).flat_map(|(_, places)| places).collect();
    let is_kept =
        |(at, entry): &(usize, JournalEntry)| kept.contains(at) || entry.command().is_some_and(|id| past.result_of(id).is_some());
    entries.into_iter().enumerate().filter(is_kept).map(|(_, entry)| entry).collect()
}

/// The last call of a journal that is not known to be over: its mark.
#[must_use]
pub fn open_mark(entries: &[JournalEntry]) -> Option<String> {
    Past::read(entries).unfinished()?.running.as_ref()?.mark.clone()
}
