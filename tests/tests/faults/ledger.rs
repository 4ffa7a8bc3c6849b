//! What senders and phones saw and were told: the facts that the server is judged by.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

/// Everything that was seen from outside, by all senders and phones of one drill.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Seen>);

/// The contents of a [`Ledger`].
#[derive(Debug, Default)]
pub struct Seen {
    /// The accepted alarms: the sender's own key, and the id that the server gave.
    pub accepted: HashMap<String, String>,
    /// Which phone was given a mid.
    pub given: HashMap<String, String>,
    /// What phones were given to dial, by what the server shows of it: see [`shown`].
    pub dials: HashMap<String, SeenDial>,
    /// Reports of the simulated apps, whose dials are not watched: what is shown of the dial, number, and whether the server acknowledged it.
    pub app_answers: Vec<(String, String, bool)>,
    /// What must never happen, in words.
    pub violations: Vec<String>,
    /// Which handsets of our own have asked for something to do.
    pub asked: HashSet<String>,
    /// How often the program of a handset of our own was killed.
    pub crashes: usize,
    /// What those programs wrote, for whoever reads why a drill failed.
    pub logs: Vec<String>,
}

/// A dial as the phone lived through it.
#[derive(Clone, Debug)]
pub struct SeenDial {
    /// Which phone.
    pub handset: String,
    /// What it was told to dial.
    pub phones: Vec<String>,
    /// When it was told.
    pub got: Instant,
    /// When its last call was over.
    pub hung_up: Option<Instant>,
    /// The numbers that it rang, in order.
    pub rang: Vec<String>,
    /// Who picked up.
    pub picked_up: Option<String>,
    /// Who may have picked up in the moment in which their call was called off, or its handset killed: both is true then.
    pub perhaps: Option<String>,
    /// Whether a report has left the phone, if only to get lost.
    pub sent: bool,
    /// When the server acknowledged the report.
    pub acknowledged: Option<Instant>,
}

/// What the server shows of a dial to everybody but its phone: which handset, and the first digits of the mid, which are its time.
/// A handset has one dial at a time.
pub fn shown(handset: &str, mid: &str) -> String {
    format!("{} on {handset}", mid.chars().take(8).collect::<String>())
}

impl Ledger {
    /// Reads or writes.
    pub fn open(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened that must never happen.
    pub fn violation(&self, what: String) {
        eprintln!("VIOLATION: {what}");
        self.open().violations.push(what);
    }

    /// A phone was told to dial.
    pub fn got(&self, handset: &str, mid: &str, phones: &[String]) {
        let dial = SeenDial {
            handset: handset.to_owned(),
            phones: phones.to_owned(),
            got: Instant::now(),
            hung_up: None,
            rang: Vec::new(),
            picked_up: None,
            perhaps: None,
            sent: false,
            acknowledged: None,
        };
        self.open().dials.insert(shown(handset, mid), dial);
        let before = self.open().given.insert(mid.to_owned(), handset.to_owned());
        if let Some(before) = before {
            self.violation(format!("{mid} was given to {before} and to {handset}"));
        }
    }

    /// Changes what is known of a dial.
    pub fn note(&self, mid: &str, change: impl FnOnce(&mut SeenDial)) {
        let mut seen = self.open();
        let key = seen.given.get(mid).map(|handset| shown(handset, mid));
        if let Some(dial) = key.and_then(|key| seen.dials.get_mut(&key)) {
            change(dial);
        }
    }

    /// The dials of these phones that are in a call now, as [`shown`].
    pub fn are_calling(&self, handsets: &[String]) -> Vec<String> {
        let seen = self.open();
        let calling = seen.dials.iter().filter(|(_, dial)| dial.hung_up.is_none() && handsets.contains(&dial.handset));
        calling.map(|(name, _)| name.clone()).collect()
    }

    /// How many alarms were accepted so far.
    pub fn accepted(&self) -> usize {
        self.open().accepted.len()
    }

    /// How many reports were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.open().dials.values().filter(|dial| dial.acknowledged.is_some()).count()
    }
}
