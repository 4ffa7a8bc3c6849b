//! The call that is going on: dialled, followed, hung up, over.

use std::{collections::VecDeque, time::Duration};

use super::{
    CannotDial, DEFAULT_RING, DIAL_GRACE, JournalEntry, NativeHandset, Seen, TELL_EVERY,
    job::{Calling, outcome},
};
use crate::{
    phone::{CallState, EndCause},
    wire::{CallOutcome, Cause, FailureDetail, NativeCall, Progress, ProgressState},
};

/// Most keys of one call that are told; whoever presses more means none of them.
const MOST_KEYS: usize = 64;

pub(super) fn millis(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

/// Which kind of failure the network's cause tells (ITU-T Q.850), where it tells one: a number that there is not is no fault of the line.
fn detail_of(outcome: CallOutcome, cause: Option<&Cause>) -> Option<FailureDetail> {
    match (outcome, cause?.q850?) {
        (CallOutcome::Failed, 1 | 28) => Some(FailureDetail::BadNumber),
        (CallOutcome::NoAnswer, 20 | 27) => Some(FailureDetail::Unreachable),
        _ => None,
    }
}

impl NativeHandset {
    /// The number that was to be dialled cannot be: nobody's phone rang.
    pub fn cannot_dial(&mut self, now: Duration, why: &CannotDial) {
        self.to_dial = None;
        let outcome = match why {
            CannotDial::LineBusy => CallOutcome::NotDialled,
            CannotDial::Broken(_) => CallOutcome::Failed,
        };
        self.end_call(now, outcome, None, None);
    }

    /// What the network said about the call that is over, before that is seen.
    pub fn network_said(&mut self, cause: Cause) {
        if let Some(calling) = &mut self.calling {
            calling.cause = Some(cause);
        }
    }

    /// The callee pressed a key. It means what the offer's script says, where one came; else it is only told.
    pub fn key_pressed(&mut self, key: char) {
        if let Some(calling) = &mut self.calling
            && calling.keys.len() + calling.pressed.len() < MOST_KEYS
        {
            calling.pressed.push_back(key);
        }
    }

    /// Writes down and tells the keys that were pressed.
    fn tell_keys(&mut self) {
        let Some(calling) = &mut self.calling else { return };
        let script = self.job.as_ref().and_then(|job| job.offer.calls.iter().find(|call| call.number == calling.number));
        let script = script.and_then(|call| call.script.as_ref());
        let mid = self.job.as_ref().filter(|job| job.test.is_none()).map(|job| &job.offer.mid);
        while let Some(key) = calling.pressed.pop_front() {
            let action = script.and_then(|script| script.keys.get(&key.to_string())).cloned();
            calling.keys.push(key);
            if calling.decision().is_none() && action.is_some() {
                calling.action.clone_from(&action);
            }
            let number = calling.number.clone();
            if let Some(mid) = mid {
                self.to_journal.push_back(JournalEntry::Key {
                    mid: mid.clone(),
                    number: number.clone(),
                    key,
                    action: action.clone(),
                });
            }
            self.progress.push_back(Progress {
                number,
                state: Some(ProgressState::Connected),
                event: Some("key".to_owned()),
                key: Some(key.to_string()),
                action,
                seq: u64::try_from(calling.keys.len()).ok(),
                ..Progress::default()
            });
        }
    }

    pub(super) fn ring_limit(&self, number: &str) -> Duration {
        let offered = self.job.as_ref().and_then(|job| job.offer.ring_seconds(number));
        offered.map_or(DEFAULT_RING, Duration::from_secs)
    }

    /// When a running call needs attention by the clock alone.
    pub(super) fn next_wake(&self, now: Duration) -> Option<Duration> {
        let calling = self.calling.as_ref().filter(|calling| !calling.hanging_up)?;
        let ring = calling.started + self.ring_limit(&calling.number);
        let grace = calling.started + DIAL_GRACE;
        let tell = if self.job.as_ref().is_some_and(|job| job.test.is_none()) { Some(calling.told + TELL_EVERY) } else { None };
        let rings = match calling.state {
            // Somebody talks: only the line ends that.
            ProgressState::Connected => None,
            _ if grace > now => Some(grace.min(ring)),
            _ => Some(ring),
        };
        [rings, tell].into_iter().flatten().min()
    }

    /// Follows the call; true if it is time to hang up.
    pub(super) fn follow_call(&mut self, now: Duration, seen: Seen) -> bool {
        if matches!(seen, Seen::Call(CallState::Ended { .. }) | Seen::NoCall(_)) {
            // They were pressed before.
            self.tell_keys();
        }
        let Some(calling) = &mut self.calling else { return false };
        let unwanted = self.job.as_ref().is_some_and(|job| job.unwanted);
        // Who was seen to pick up has answered, also where the end says nothing of it: after a restart, and without a call log.
        let was_connected = calling.state == ProgressState::Connected;
        let judged = |outcome| if was_connected { CallOutcome::Answered } else { outcome };
        let reached = match seen {
            Seen::Call(CallState::Dialling) => ProgressState::Dialling,
            Seen::Call(CallState::Alerting) => ProgressState::Alerting,
            Seen::Call(CallState::Connected { .. }) => ProgressState::Connected,
            Seen::Call(CallState::Ended { cause, talked }) => {
                self.end_call(now, judged(outcome(cause, talked)), talked, Some(cause));
                return false;
            }
            Seen::NoCall(Some(row)) => {
                // The call log cannot tell busy and declined from unanswered.
                let outcome = if row.seconds > 0 { CallOutcome::Answered } else { CallOutcome::NoAnswer };
                let hung_up = calling.hanging_up.then_some(EndCause::HungUp);
                self.end_call(now, judged(outcome), Some(Duration::from_secs(row.seconds)), hung_up);
                return false;
            }
            // No trace of the dial: it never left the phone. After a restart there is nothing to wait for.
            Seen::NoCall(None) => {
                if calling.recovered || now >= calling.started + DIAL_GRACE {
                    self.end_call(now, judged(CallOutcome::Failed), None, None);
                }
                return false;
            }
        };
        let reached = if was_connected { ProgressState::Connected } else { reached };
        let since_dial = calling.since_dial(now);
        match reached {
            ProgressState::Alerting => calling.alerting = calling.alerting.or(since_dial),
            ProgressState::Connected => calling.connected = calling.connected.or(since_dial.filter(|_| !was_connected)),
            ProgressState::Dialling | ProgressState::Ended => {}
        }
        if reached != calling.state || now >= calling.told + TELL_EVERY {
            calling.state = reached;
            calling.told = now;
            let number = calling.number.clone();
            if reached == ProgressState::Connected
                && !was_connected
                && let Some(job) = self.job.as_ref().filter(|job| job.test.is_none())
            {
                self.to_journal.push_back(JournalEntry::Connected { mid: job.offer.mid.clone(), number: number.clone() });
            }
            self.progress.push_back(Progress { number, state: Some(reached), ..Progress::default() });
        }
        if reached == ProgressState::Connected {
            self.tell_keys();
        }
        let limit = self.calling.as_ref().map_or(DEFAULT_RING, |calling| self.ring_limit(&calling.number));
        let Some(calling) = &mut self.calling else { return false };
        let rang_out = calling.state != ProgressState::Connected && now >= calling.started + limit;
        // Whoever said yes or no by a key has nothing more to say.
        let decided = calling.decision().is_some();
        if (rang_out || unwanted || decided) && !calling.hanging_up {
            calling.hanging_up = true;
            return self.settings.hangs_up;
        }
        false
    }

    pub(super) fn end_call(&mut self, now: Duration, outcome: CallOutcome, talked: Option<Duration>, cause: Option<EndCause>) {
        let Some(calling) = self.calling.take() else { return };
        let took = now.saturating_sub(calling.started);
        // What was not dialled took no time.
        let ended = calling.since_dial(now).filter(|_| outcome != CallOutcome::NotDialled);
        let call = NativeCall {
            number: calling.number.clone(),
            outcome: Some(outcome),
            started_at: self.settings.began_at.map(|began| (began + calling.started.as_secs()).to_string()),
            ring_seconds: Some(took.saturating_sub(talked.unwrap_or_default()).as_secs()),
            talk_seconds: Some(talked.unwrap_or_default().as_secs()),
            detail: detail_of(outcome, calling.cause.as_ref()),
            // Nobody was told which key to press: that none was says nothing.
            confirmed: calling.decision().map(|_| true),
            declined: calling.decision().is_some_and(|action| action != "accept"),
            keys: (!calling.keys.is_empty()).then(|| calling.keys.clone()),
            action: calling.action.clone(),
            cause: calling.cause.clone(),
            ended_by: calling.ended_by(cause),
            alerting_ms: calling.alerting.map(millis),
            connected_ms: calling.connected.map(millis),
            ended_ms: ended.map(millis),
            ..NativeCall::default()
        };
        self.progress.push_back(Progress { number: calling.number, state: Some(ProgressState::Ended), ..Progress::default() });
        if let Some(job) = &mut self.job {
            if job.test.is_none() {
                self.to_journal.push_back(JournalEntry::Ended { mid: job.offer.mid.clone(), call: call.clone() });
            }
            job.results.push(call);
        }
    }

    /// Dials the next number of the job, or leaves it if the job is over.
    pub(super) fn next_number(&mut self, now: Duration) {
        let Some(job) = &mut self.job else { return };
        // After the deadline the server has given the numbers to somebody else. If the clock went back, nobody knows whether that is so.
        if now < job.leased || job.offer.deadline.is_some_and(|left| now >= job.leased + Duration::from_secs(left)) {
            job.unwanted = true;
        }
        if !job.is_over() {
            self.take_next(now);
        }
    }

    /// Begins with the next number of the job.
    pub(super) fn take_next(&mut self, now: Duration) {
        let Some(job) = &mut self.job else { return };
        let Some(number) = job.offer.phone.get(job.results.len()).cloned() else { return };
        if job.test.is_none() {
            self.to_journal.push_back(JournalEntry::Dialling {
                mid: job.offer.mid.clone(),
                number: number.clone(),
                at_ms: millis(now),
                call: None,
            });
        }
        self.progress.push_back(Progress { number: number.clone(), state: Some(ProgressState::Dialling), ..Progress::default() });
        self.to_dial = Some(number.replace('#', "%23"));
        self.calling = Some(Calling {
            number,
            started: now,
            state: ProgressState::Dialling,
            hanging_up: false,
            recovered: false,
            told: now,
            alerting: None,
            connected: None,
            cause: None,
            pressed: VecDeque::new(),
            keys: String::new(),
            action: None,
        });
    }
}
