//! What becomes of a text after it was sent: the network's reports, matched to the command whose text they are about.

use std::collections::BTreeMap;

use super::{
    JournalEntry,
    restart::{Command, Past},
};
use crate::{
    modem::same_line,
    wire::{Delivery, OutboxResult},
};

/// What a line did for a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carried {
    /// What came of it.
    pub result: OutboxResult,
    /// The numbers that the network knows the parts of a text by, where it tells later what became of them.
    pub references: Vec<u8>,
}

impl From<OutboxResult> for Carried {
    fn from(result: OutboxResult) -> Self {
        Self { result, references: Vec::new() }
    }
}

/// What the network says of one part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The number of the part.
    pub reference: u8,
    /// Whom it was for.
    pub to: String,
    /// What became of it.
    pub delivery: Delivery,
    /// When, by the network's clock.
    pub at: String,
    /// Where the report lies until it is written down.
    pub place: Option<u32>,
}

/// A text of which all parts were sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sent {
    to: String,
    /// Its parts, and what is known of each. A number is given anew after 256 others: then it is the later text's.
    parts: BTreeMap<u8, Option<(Delivery, String)>>,
    /// Whether the server knows what became of it.
    told: bool,
}

impl Sent {
    pub(super) fn new(to: &str, references: &[u8]) -> Self {
        Self { to: to.to_owned(), parts: references.iter().map(|reference| (*reference, None)).collect(), told: false }
    }

    /// Another text has these numbers now; gives whether anything is left to wait for.
    pub(super) fn loses(&mut self, references: &[u8]) -> bool {
        self.parts.retain(|reference, fate| fate.is_some() || !references.contains(reference));
        !self.parts.is_empty()
    }

    pub(super) fn hears(&mut self, reference: u8, delivery: Delivery, at: &str) {
        if let Some(unknown @ None) = self.parts.get_mut(&reference) {
            *unknown = Some((delivery, at.to_owned()));
        }
    }

    pub(super) fn is_told(&mut self) {
        self.told = true;
    }

    fn waits_for(&self, told: &Told) -> bool {
        !self.told && self.parts.get(&told.reference) == Some(&None) && same_line(&self.to, &told.to)
    }

    /// What became of the whole text, and when; `None` while that is open.
    fn fate(&self) -> Option<(Delivery, &str)> {
        let known = || self.parts.values().flatten().map(|(delivery, at)| (*delivery, at.as_str()));
        if let Some(failed) = known().find(|(delivery, _)| *delivery == Delivery::Failed) {
            return Some(failed);
        }
        if self.parts.values().any(Option::is_none) {
            return None;
        }
        known().max_by_key(|(_, at)| *at)
    }

    /// The second result of its command.
    fn result(&self) -> Option<OutboxResult> {
        let (delivery, at) = self.fate().filter(|_| !self.told)?;
        let says = match delivery {
            Delivery::Delivered => "the network says that it was delivered",
            Delivery::Failed => "the network says that it will not come",
        };
        Some(OutboxResult {
            ok: delivery == Delivery::Delivered,
            detail: Some(says.to_owned()),
            delivery: Some(delivery),
            delivery_at: Some(at.to_owned()),
            ..OutboxResult::default()
        })
    }
}

impl Past {
    /// What is to be written down of a word of the network; `None` where no text waits for it.
    #[must_use]
    pub fn fate(&self, told: &Told) -> Option<JournalEntry> {
        let waits = |command: &&Command| command.sent.as_ref().is_some_and(|sent| sent.waits_for(told));
        let command = self.commands.iter().rev().find(waits)?;
        let (reference, delivery, at) = (told.reference, told.delivery, told.at.clone());
        Some(JournalEntry::Fate { id: command.id.clone(), reference, delivery, at })
    }

    /// What became of a text whose first result the server has, and which it does not know yet.
    #[must_use]
    pub fn untold(&self) -> Option<(String, OutboxResult)> {
        let mut done = self.commands.iter().filter(|command| command.result.is_some());
        done.find_map(|command| Some((command.id.clone(), command.sent.as_ref()?.result()?)))
    }
}
