//! What a handset knows of what it did, and what it does about it after a restart: the one place for all kinds.
//!
//! Read from the journal at the start, and kept as entries are written. Two rules for everybody: what was dialled is never dialled again, and
//! what was answered stays answered. What a kind does about a call that has no end in the journal depends on its line: one on which calls go on
//! without the program is looked at ([`HandOut::running`]); over SIP the call ended with the program ([`Running::ended_with_us`]).

use std::{collections::VecDeque, time::Duration};

use super::{delivery::Sent, journal::JournalEntry};
use crate::wire::{CallOutcome, Cause, NativeCall, NativeOffer, NativeReport, OutboxResult};

/// How many hand-outs whose report the server has, and how many commands, are remembered. A server asks again within minutes, not after a
/// hundred others.
pub const REMEMBERED: usize = 100;

/// What the handset did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    hand_outs: Vec<HandOut>,
    pub(super) commands: VecDeque<Command>,
}

/// A text, or a test call.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Command {
    pub(super) id: String,
    /// What the server was told; `None` as long as it was told nothing.
    pub(super) result: Option<OutboxResult>,
    /// What the network knows its text by.
    pub(super) sent: Option<Sent>,
}

impl Command {
    /// What is known of it, also where the program broke off.
    fn known(&self) -> OutboxResult {
        let sent =
            || self.sent.as_ref().map(|_| OutboxResult { ok: true, detail: Some("sent".to_owned()), ..OutboxResult::default() });
        self.result.clone().or_else(sent).unwrap_or_else(unknown)
    }
}

/// One offer that was accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct HandOut {
    /// What was accepted.
    pub offer: NativeOffer,
    /// When, by the handset's own clock.
    pub leased: Duration,
    /// What became of the numbers, in the order in which they were dialled.
    pub calls: Vec<NativeCall>,
    /// The call that has no end yet.
    pub running: Option<Running>,
    /// Whether the server has the report.
    pub reported: bool,
}

/// A call without an end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Running {
    /// Whom it rings.
    pub number: String,
    /// When it was dialled, by the handset's own clock.
    pub started: Duration,
    /// By what the line knows it.
    pub mark: Option<String>,
    /// Whether somebody picked up.
    pub connected: bool,
    /// The keys that were pressed.
    pub keys: String,
    /// What they meant: the first that decides stands.
    pub action: Option<String>,
}

impl Running {
    fn heard(&mut self, key: char, action: Option<&str>) {
        self.connected = true;
        self.keys.push(key);
        if !self.action.as_deref().is_some_and(decides)
            && let Some(action) = action
        {
            self.action = Some(action.to_owned());
        }
    }

    /// What became of it where calls end with the program: whoever had picked up has answered, with the keys they pressed.
    #[must_use]
    pub fn ended_with_us(&self) -> NativeCall {
        let cause = Cause { text: Some("agent restarted".to_owned()), ..Cause::default() };
        let outcome = if self.connected { CallOutcome::Answered } else { CallOutcome::NoAnswer };
        let decided = self.action.as_deref().filter(|action| decides(action));
        NativeCall {
            number: self.number.clone(),
            outcome: Some(outcome),
            confirmed: self.connected.then_some(decided.is_some()),
            declined: decided.is_some_and(|action| action != "accept"),
            keys: (!self.keys.is_empty()).then(|| self.keys.clone()),
            action: self.action.clone(),
            cause: Some(cause),
            ..NativeCall::default()
        }
    }
}

/// The actions by which a person says yes or no.
pub(super) fn decides(action: &str) -> bool {
    matches!(action, "accept" | "decline" | "stop_calling")
}

impl HandOut {
    /// What became of the numbers that were dialled; of a call without an end, what its keys say.
    #[must_use]
    pub fn known_calls(&self) -> Vec<NativeCall> {
        self.calls.iter().cloned().chain(self.running.as_ref().map(Running::ended_with_us)).collect()
    }

    /// The report, as far as it is known: a call without an end ended with the program.
    #[must_use]
    pub fn report(&self) -> NativeReport {
        report(&self.offer, self.known_calls())
    }
}

/// What became of each number of an offer, those nobody tried included.
#[must_use]
pub fn report(offer: &NativeOffer, calls: Vec<NativeCall>) -> NativeReport {
    let untouched: Vec<NativeCall> = offer
        .phone
        .iter()
        .skip(calls.len())
        .map(|number| NativeCall { number: number.clone(), outcome: Some(CallOutcome::NotDialled), ..NativeCall::default() })
        .collect();
    NativeReport { calls: calls.into_iter().chain(untouched).collect() }
}

impl Past {
    /// What a journal tells.
    #[must_use]
    pub fn read(entries: &[JournalEntry]) -> Self {
        let mut past = Self::default();
        for entry in entries {
            past.note(entry);
        }
        past
    }

    /// One more entry was written.
    pub fn note(&mut self, entry: &JournalEntry) {
        match entry {
            // An offer that comes again is not a new one.
            JournalEntry::Leased { offer, .. } if self.hand_out(&offer.mid).is_some() => {}
            JournalEntry::Leased { offer, at_ms } => self.hand_outs.push(HandOut {
                offer: offer.clone(),
                leased: Duration::from_millis(*at_ms),
                calls: Vec::new(),
                running: None,
                reported: false,
            }),
            JournalEntry::Dialling { mid, number, at_ms, call } => {
                if let Some(hand_out) = self.hand_out_mut(mid) {
                    let running = Running {
                        number: number.clone(),
                        started: Duration::from_millis(*at_ms),
                        mark: call.clone(),
                        ..Running::default()
                    };
                    hand_out.calls.extend(hand_out.running.replace(running).map(|before| before.ended_with_us()));
                }
            }
            // An offer of one number that was dialled already: after a restart there is a report to make, and nobody to ring.
            JournalEntry::Inbound { mid, .. } if self.hand_out(mid).is_some() => {}
            JournalEntry::Inbound { mid, number, at_ms, call } => {
                let offer = NativeOffer { mid: mid.clone(), phone: vec![number.clone()], ..NativeOffer::default() };
                self.note(&JournalEntry::Leased { offer, at_ms: *at_ms });
                let (mid, number, call) = (mid.clone(), number.clone(), call.clone());
                self.note(&JournalEntry::Dialling { mid, number, at_ms: *at_ms, call });
            }
            JournalEntry::Connected { mid, number } => {
                if let Some(running) = self.running_mut(mid, number) {
                    running.connected = true;
                }
            }
            JournalEntry::Key { mid, number, key, action } => {
                if let Some(running) = self.running_mut(mid, number) {
                    running.heard(*key, action.as_deref());
                }
            }
            JournalEntry::Ended { mid, call } => {
                if let Some(hand_out) = self.hand_out_mut(mid) {
                    hand_out.running = None;
                    hand_out.calls.push(call.clone());
                }
            }
            JournalEntry::Reported { mid } => {
                if let Some(hand_out) = self.hand_out_mut(mid) {
                    hand_out.calls.extend(hand_out.running.take().map(|running| running.ended_with_us()));
                    hand_out.reported = true;
                }
                self.forget();
            }
            JournalEntry::Begun { id } => *self.command(id) = Command { id: id.clone(), ..Command::default() },
            JournalEntry::Done { id, result } => self.command(id).result = Some(result.clone()),
            JournalEntry::Sent { id, to, references } => {
                for command in &mut self.commands {
                    if command.sent.as_mut().is_some_and(|sent| !sent.loses(references)) {
                        command.sent = None;
                    }
                }
                self.command(id).sent = Some(Sent::new(to, references));
            }
            JournalEntry::Fate { id, reference, delivery, at } => {
                if let Some(sent) = self.sent_mut(id) {
                    sent.hears(*reference, *delivery, at);
                }
            }
            JournalEntry::Told { id } => {
                if let Some(sent) = self.sent_mut(id) {
                    sent.is_told();
                }
            }
        }
    }

    fn hand_out_mut(&mut self, mid: &str) -> Option<&mut HandOut> {
        self.hand_outs.iter_mut().rev().find(|hand_out| hand_out.offer.mid == mid)
    }

    fn running_mut(&mut self, mid: &str, number: &str) -> Option<&mut Running> {
        self.hand_out_mut(mid)?.running.as_mut().filter(|running| running.number == number)
    }

    /// The hand-out under this name; `None` for a new one.
    #[must_use]
    pub fn hand_out(&self, mid: &str) -> Option<&HandOut> {
        self.hand_outs.iter().rev().find(|hand_out| hand_out.offer.mid == mid)
    }

    /// Those without a report, oldest first.
    pub fn open(&self) -> impl Iterator<Item = &HandOut> {
        self.hand_outs.iter().filter(|hand_out| !hand_out.reported)
    }

    /// The one that was accepted last, if it has no report: the work of a handset that does one thing at a time.
    #[must_use]
    pub fn unfinished(&self) -> Option<&HandOut> {
        self.hand_outs.last().filter(|hand_out| !hand_out.reported)
    }

    /// The result of a command that was carried out before, or begun; `None` for a new one.
    #[must_use]
    pub fn result_of(&self, id: &str) -> Option<OutboxResult> {
        self.commands.iter().rev().find(|command| command.id == id).map(Command::known)
    }

    /// Commands that were begun, and of which nobody knows more.
    #[must_use]
    pub fn broken_off(&self) -> Vec<(String, OutboxResult)> {
        let broken_off = self.commands.iter().filter(|command| command.result.is_none());
        broken_off.map(|command| (command.id.clone(), command.known())).collect()
    }

    /// The command under this name; it is the last to be forgotten now.
    fn command(&mut self, id: &str) -> &mut Command {
        let place = self.commands.iter().position(|command| command.id == id);
        let known = place.and_then(|place| self.commands.remove(place));
        if self.commands.len() >= REMEMBERED {
            self.commands.pop_front();
        }
        self.commands.push_back(known.unwrap_or_else(|| Command { id: id.to_owned(), ..Command::default() }));
        let last = self.commands.len() - 1;
        &mut self.commands[last]
    }

    fn sent_mut(&mut self, id: &str) -> Option<&mut Sent> {
        self.commands.iter_mut().find(|command| command.id == id)?.sent.as_mut()
    }

    /// The oldest that are reported make room; what is open never does.
    fn forget(&mut self) {
        let surplus = self.hand_outs.iter().filter(|hand_out| hand_out.reported).count().saturating_sub(REMEMBERED);
        let mut left = surplus;
        self.hand_outs.retain(|hand_out| {
            let goes = hand_out.reported && left > 0;
            left -= usize::from(goes);
            !goes
        });
    }
}

fn unknown() -> OutboxResult {
    let why = "the handset's program was restarted while it did this, and does not do it twice";
    OutboxResult { ok: false, detail: Some(why.to_owned()), ..OutboxResult::default() }
}

#[cfg(test)]
#[path = "restart_tests.rs"]
mod tests;
