//! What the handset is doing: the numbers of one offer, one after the other.

use std::{collections::VecDeque, time::Duration};

use super::restart::{HandOut, Running, decides, report};
use crate::{
    phone::EndCause,
    wire::{CallOutcome, Cause, EndedBy, NativeCall, NativeOffer, NativeReport, ProgressState},
};

/// Why a number is being called.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) offer: NativeOffer,
    pub(super) leased: Duration,
    pub(super) results: Vec<NativeCall>,
    /// The outbox command behind it, if it is a test call.
    pub(super) test: Option<String>,
    pub(super) unwanted: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Calling {
    pub(super) number: String,
    pub(super) started: Duration,
    pub(super) state: ProgressState,
    pub(super) hanging_up: bool,
    /// The call was not dialled by this process.
    pub(super) recovered: bool,
    /// When the server was last told about it.
    pub(super) told: Duration,
    /// From the dial until it was seen to ring, and to be connected.
    pub(super) alerting: Option<Duration>,
    pub(super) connected: Option<Duration>,
    /// Why it ended, in the network's words.
    pub(super) cause: Option<Cause>,
    /// Keys that were pressed and are not told yet.
    pub(super) pressed: VecDeque<char>,
    /// Those that are.
    pub(super) keys: String,
    /// What they meant: the first that decides stands.
    pub(super) action: Option<String>,
}

impl Job {
    /// An offer that was just accepted.
    pub(super) fn new(offer: NativeOffer, leased: Duration) -> Self {
        Self { offer, leased, results: Vec::new(), test: None, unwanted: false }
    }

    /// An offer that was accepted before, as far as it got.
    pub(super) fn again(known: &HandOut) -> Self {
        Self { results: known.calls.clone(), ..Self::new(known.offer.clone(), known.leased) }
    }

    pub(super) fn answered(&self) -> Option<&str> {
        self.results.iter().find(|call| call.outcome == Some(CallOutcome::Answered)).map(|call| call.number.as_str())
    }

    pub(super) fn is_over(&self) -> bool {
        self.unwanted || self.answered().is_some() || self.results.len() >= self.offer.phone.len()
    }

    /// What became of each number, those nobody tried included.
    pub(super) fn report(&self) -> NativeReport {
        report(&self.offer, self.results.clone())
    }
}

pub(super) fn outcome(cause: EndCause, talked: Option<Duration>) -> CallOutcome {
    match (talked, cause) {
        (Some(_), _) => CallOutcome::Answered,
        (None, EndCause::Normal | EndCause::HungUp) => CallOutcome::NoAnswer,
        (None, EndCause::Busy) => CallOutcome::Busy,
        (None, EndCause::Rejected) => CallOutcome::Rejected,
        (None, EndCause::Failed) => CallOutcome::Failed,
    }
}

impl Calling {
    /// Who ended the call, as far as that can be told.
    pub(super) fn ended_by(&self, cause: Option<EndCause>) -> Option<EndedBy> {
        match cause? {
            _ if self.hanging_up => Some(EndedBy::Us),
            EndCause::HungUp => Some(EndedBy::Us),
            EndCause::Busy | EndCause::Rejected => Some(EndedBy::Callee),
            EndCause::Normal if self.state == ProgressState::Connected => Some(EndedBy::Callee),
            EndCause::Normal | EndCause::Failed => Some(EndedBy::Network),
        }
    }

    /// What the callee said by a key, if that says yes or no.
    pub(super) fn decision(&self) -> Option<&str> {
        self.action.as_deref().filter(|action| decides(action))
    }

    /// Since the dial; nothing where that was before the program began, so that another clock would have to be believed.
    pub(super) fn since_dial(&self, now: Duration) -> Option<Duration> {
        (!self.recovered).then(|| now.saturating_sub(self.started))
    }

    /// A call that was dialled before the program began; whoever picked up then has answered.
    pub(super) fn recovered(running: &Running) -> Self {
        Self {
            number: running.number.clone(),
            started: running.started,
            state: if running.connected { ProgressState::Connected } else { ProgressState::Dialling },
            hanging_up: false,
            recovered: true,
            told: Duration::ZERO,
            alerting: None,
            connected: None,
            cause: None,
            pressed: VecDeque::new(),
            keys: running.keys.clone(),
            action: running.action.clone(),
        }
    }
}
