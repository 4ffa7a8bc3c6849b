//! The rule for "who is rung next": given a hunt and the time, dial these, wait until then, or finished.
//!
//! Everything that hands out dials asks [`decide`], and nothing else decides. The rule, in words:
//!
//! 1. A hunt that nobody could ring in time ends: no handset was available.
//! 2. A sequential hunt has at most one open dial; a parallel one has at most one per callee.
//! 3. Among the callees that may still be rung, the one with the fewest attempts goes first, then the lower position. A call that
//!    never left the phone counts here as well, although it costs no attempt.
//! 4. A callee that was rung less than its own interval ago, or has quiet hours, is passed over.
//! 5. A phone that is in another call is waited for, so that the order holds; a critical or parallel hunt goes on to the next callee.
//!    So is somebody who wants to be called only some time after their turn has come ([`asks`]), until their first call (for what is critical
//!    that does not wait); their other numbers are passed over until it is time for them. What somebody answered or declined by one number holds for all of theirs, and while one
//!    rings no other does.
//! 6. How many callees go into one dial depends on the handset: one, a list without repeats, or the copied sequence.
//! 7. Hand-outs are limited to twice the attempts (but for those that are given back because no call left the handset), so that a handset that takes dials and rings nobody cannot keep a hunt open for ever.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};

use super::{EndReason, HuntOutcome, Mode, Priority, Until, Verdict};
use crate::ids::{CalleeId, PersonId};

/// What the rule needs to know of a hunt.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// How urgent it is.
    pub priority: Priority,
    /// One after the other, or all at once.
    pub mode: Mode,
    /// When it has reached what it wants.
    pub until: Until,
    /// Hand-outs it may still make.
    pub dials_left: i32,
    /// Without an open dial at this instant, it ends because no handset was available.
    pub begin_before: DateTime<Utc>,
}

/// What the rule needs to know of a callee.
#[derive(Clone, Debug)]
pub struct Callee {
    /// Which one.
    pub id: CalleeId,
    /// Place in the order, lower first.
    pub position: i32,
    /// Who is reached by this number as one of the ways of their own; `None` where a number alone was named.
    pub person: Option<PersonId>,
    /// The phone that rings: the same for all numbers by which it is reached.
    pub phone: String,
    /// How often it may be rung in this hunt.
    pub max_attempts: i32,
    /// How often it was handed out.
    pub attempts: i32,
    /// Hand-outs in which the call never left the phone. They cost no attempt, but they count for the order: a number that no
    /// handset can dial must not keep the others from being rung.
    pub failed: i32,
    /// Least time between two hand-outs, counted from hand-out.
    pub min_interval: TimeDelta,
    /// Last hand-out.
    pub last_offered_at: Option<DateTime<Utc>>,
    /// Left in peace until then: quiet hours.
    pub quiet_until: Option<DateTime<Utc>>,
    /// Rung so long after their turn came: they wanted to be told otherwise first.
    pub after: TimeDelta,
    /// When their turn came.
    pub asked_at: Option<DateTime<Utc>>,
    /// What became of it, once that is settled.
    pub verdict: Option<Verdict>,
}

impl Callee {
    /// May still be rung, now or later, where this has become of the people in its step.
    fn is_wanted(&self, settled: &BTreeSet<PersonId>) -> bool {
        self.verdict.is_none() && self.attempts < self.max_attempts && self.person.is_none_or(|own| !settled.contains(&own))
    }

    /// The hunt has not come to them yet, and they are to be told so before they are rung.
    fn is_to_be_asked(&self) -> bool {
        // Whoever was removed meanwhile cannot be told.
        self.after > TimeDelta::zero() && self.asked_at.is_none() && self.person.is_some()
    }

    /// When they are called who want to be called later, and whether that is known only once they are asked.
    fn called_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let asked_at = self.asked_at.or(self.is_to_be_asked().then_some(now))?;
        (self.after > TimeDelta::zero()).then(|| asked_at + self.after)
    }

    /// It is the first number by which its person is called.
    pub(super) fn is_first_way(&self, callees: &[Self]) -> bool {
        let place = |own: &Self| (own.after, own.position);
        let is_before = |other: &Self| other.person == self.person && place(other) < place(self);
        self.person.is_none() || !callees.iter().any(is_before)
    }
}

/// The people of whom nothing more is wanted, by whichever of their numbers they said so.
fn settled(callees: &[Callee], by: &[Verdict]) -> BTreeSet<PersonId> {
    let said = callees.iter().filter(|callee| callee.verdict.is_some_and(|verdict| by.contains(&verdict)));
    said.filter_map(|callee| callee.person).collect()
}

/// What holds for all numbers of whoever said it by one. A number that must not be called, or is none, says nothing of the others.
const OF_THE_PERSON: [Verdict; 3] = [Verdict::Answered, Verdict::Declined, Verdict::Skipped];

/// An open dial of this hunt.
#[derive(Clone, Debug)]
pub struct OpenDial {
    /// When it is given up.
    pub deadline: DateTime<Utc>,
    /// Whom it rings.
    pub callees: Vec<CalleeId>,
}

/// How much one handset can be given at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListForm {
    /// One callee per dial: all that the stock app reports correctly.
    One,
    /// An ordered list without repeats.
    Distinct,
    /// The sequence copied as often as there are attempts, without equal neighbours: the documented form.
    Repeated,
}

/// One callee of a dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whom.
    pub callee: CalleeId,
    /// How many attempts the hand-out reserves.
    pub attempts: i32,
}

/// What to hand out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialPlan {
    /// No other dial of this hunt may be open beside it.
    pub exclusive: bool,
    /// The callees in order, each once.
    pub targets: Vec<Target>,
    /// Indexes into `targets`, in the order in which the numbers are to be dialled.
    pub sequence: Vec<usize>,
}

/// Why nothing is handed out now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// A dial of this hunt is open.
    Dialling,
    /// A number is in another call.
    NumberBusy,
    /// The callees were rung less than their interval ago.
    Interval,
    /// They have quiet hours.
    QuietHours,
    /// They were told otherwise that their turn has come, and are called later.
    Later,
    /// Somebody answered, and has time to confirm.
    Confirming,
    /// A person put it off.
    Snoozed,
}

/// The answer to "whom to ring next, or when, or finished?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Hand these out.
    Dial(DialPlan),
    /// Ask again then, or when a dial closes.
    Wait {
        /// When it is worth asking again.
        until: DateTime<Utc>,
        /// Why.
        why: WaitReason,
    },
    /// The hunt is over.
    Finished {
        /// How.
        outcome: HuntOutcome,
        /// Why, when nobody was reached.
        reason: Option<EndReason>,
    },
}

/// Decides what a hunt does at one instant for one asking handset.
///
/// `busy` holds, for each phone that is in some open dial, the deadline of that dial.
#[must_use]
pub fn decide(
    hunt: &Hunt,
    callees: &[Callee],
    open: &[OpenDial],
    busy: &HashMap<String, DateTime<Utc>>,
    form: ListForm,
    now: DateTime<Utc>,
) -> Decision {
    let answered = callees.iter().any(|callee| callee.verdict == Some(Verdict::Answered));
    if answered && hunt.until == Until::First {
        return Decision::Finished { outcome: HuntOutcome::Answered, reason: None };
    }
    let next_close = open.iter().map(|dial| dial.deadline).min();
    let dialling = |until| Decision::Wait { until, why: WaitReason::Dialling };

    let settled = settled(callees, &OF_THE_PERSON);
    if !callees.iter().any(|callee| callee.is_wanted(&settled)) || hunt.dials_left == 0 {
        return match next_close {
            Some(until) => dialling(until),
            None => finished(hunt, callees, answered),
        };
    }
    if open.is_empty() && now >= hunt.begin_before {
        return ended(answered, EndReason::NoHandset);
    }
    if let (Mode::Sequential, Some(until)) = (hunt.mode, next_close) {
        return dialling(until);
    }

    let in_call: Vec<CalleeId> = open.iter().flat_map(|dial| dial.callees.iter().copied()).collect();
    let single = hunt.mode == Mode::Parallel || form == ListForm::One;
    let mut chosen: Vec<&Callee> = Vec::new();
    let mut wait: Option<(DateTime<Utc>, WaitReason)> = None;
    let mut wait_until = |until, why| {
        if wait.is_none_or(|(earliest, _)| until < earliest) {
            wait = Some((until, why));
        }
    };
    for turn in queue(callees, &in_call, busy, now) {
        let callee = turn.callee;
        if let Some((until, why)) = turn.waits {
            wait_until(until, why);
            if keeps_the_others_waiting(hunt, &turn) {
                break;
            }
            continue;
        }
        if chosen.iter().any(|earlier| earlier.phone == callee.phone) {
            break;
        }
        chosen.push(callee);
        if single {
            break;
        }
    }
    if chosen.is_empty() {
        return match (wait, next_close) {
            (Some((until, why)), _) => Decision::Wait { until, why },
            (None, Some(until)) => dialling(until),
            // Unreachable in fact: without an open dial, a wanted callee is chosen, resting or busy.
            (None, None) => finished(hunt, callees, answered),
        };
    }
    Decision::Dial(plan(&chosen, hunt.mode == Mode::Sequential, if single { ListForm::One } else { form }))
}

/// Who has to be told, before anybody is rung, that their turn has come: they want to be called only some time after that. All numbers of
/// theirs are meant, and those of nobody else. Asked beside [`decide`], with what it is asked with.
#[must_use]
pub fn asks<'c>(
    hunt: &Hunt,
    callees: &'c [Callee],
    open: &[OpenDial],
    busy: &HashMap<String, DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<&'c Callee> {
    if hunt.mode == Mode::Sequential && !open.is_empty() {
        return None;
    }
    let in_call: Vec<CalleeId> = open.iter().flat_map(|dial| dial.callees.iter().copied()).collect();
    for turn in queue(callees, &in_call, busy, now) {
        match turn.waits {
            Some((_, WaitReason::Later)) if turn.callee.is_to_be_asked() => return Some(turn.callee),
            Some(_) if keeps_the_others_waiting(hunt, &turn) => return None,
            // It is their turn, and everybody else's comes later.
            None if hunt.mode == Mode::Sequential => return None,
            Some(_) | None => {}
        }
    }
    None
}

/// Whether the order holds for somebody who waits, or the hunt goes on to the next.
fn keeps_the_others_waiting(hunt: &Hunt, turn: &Turn<'_>) -> bool {
    match turn.waits {
        Some((_, WaitReason::NumberBusy)) => hunt.mode == Mode::Sequential && hunt.priority != Priority::Critical,
        Some((_, WaitReason::Later)) => hunt.mode == Mode::Sequential && turn.is_first_way,
        _ => false,
    }
}

/// One callee whose turn will come.
#[derive(Clone, Copy, Debug)]
pub struct Turn<'c> {
    /// Who.
    pub callee: &'c Callee,
    /// Until when they are not rung, and why; `None`: they may be rung now.
    pub waits: Option<(DateTime<Utc>, WaitReason)>,
    /// It is the first number by which its person is called.
    pub is_first_way: bool,
}

/// Whoever may still be rung and is not in a call of the hunt, in the order in which they are rung, each with what they wait for. The
/// one order that there is: [`decide`] goes by it, and so do the pages.
#[must_use]
pub fn queue<'c>(
    callees: &'c [Callee],
    in_call: &[CalleeId],
    busy: &HashMap<String, DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Vec<Turn<'c>> {
    let settled = settled(callees, &OF_THE_PERSON);
    let called: BTreeSet<PersonId> =
        callees.iter().filter(|callee| in_call.contains(&callee.id)).filter_map(|callee| callee.person).collect();
    let is_called = |callee: &Callee| in_call.contains(&callee.id) || callee.person.is_some_and(|own| called.contains(&own));
    let mut order: Vec<&Callee> = callees.iter().filter(|callee| callee.is_wanted(&settled) && !is_called(callee)).collect();
    order.sort_by_key(|callee| (callee.attempts + callee.failed, callee.position));
    let waits = |callee: &Callee| {
        let rested = callee.last_offered_at.map(|at| (at + callee.min_interval, WaitReason::Interval));
        let quiet = callee.quiet_until.map(|until| (until, WaitReason::QuietHours));
        let is_quiet = callee.quiet_until.is_some_and(|until| until > now);
        // Nobody's turn comes in their quiet hours.
        let later = callee.called_at(now).filter(|_| callee.asked_at.is_some() || !is_quiet);
        let later = later.map(|until| (until, WaitReason::Later));
        let resting =
            [rested, quiet, later].into_iter().flatten().filter(|(until, _)| *until > now).max_by_key(|(until, _)| *until);
        resting.or_else(|| busy.get(&callee.phone).map(|until| (*until, WaitReason::NumberBusy)))
    };
    order.into_iter().map(|callee| Turn { callee, waits: waits(callee), is_first_way: callee.is_first_way(callees) }).collect()
}

/// The phone that a hunt would ring now, were it not in another call: that of the first in the queue who waits for nothing else.
#[must_use]
pub fn waits_for<'c>(hunt: &Hunt, queue: &[Turn<'c>]) -> Option<&'c str> {
    let is_busy = |turn: &&Turn<'c>| matches!(turn.waits, Some((_, WaitReason::NumberBusy)));
    let keeps = |turn: &Turn<'c>| !is_busy(&turn) && keeps_the_others_waiting(hunt, turn);
    queue.iter().take_while(|turn| !keeps(turn)).find(is_busy).map(|turn| turn.callee.phone.as_str())
}

/// Who is rung next, whenever that is: the first in the queue of those who may be rung now, else of those who may be first; nobody behind
/// somebody whose first call comes later.
#[must_use]
pub fn next<'c>(queue: &[Turn<'c>]) -> Option<&'c Callee> {
    let comes_later = |turn: &Turn<'_>| turn.is_first_way && matches!(turn.waits, Some((_, WaitReason::Later)));
    let upto = queue.iter().position(comes_later).map_or(queue.len(), |place| place + 1);
    queue[..upto].iter().min_by_key(|turn| turn.waits.map(|(until, _)| until)).map(|turn| turn.callee)
}

/// When a hunt that was begun is given up for want of a handset: its window, counted from when it next wanted one.
#[must_use]
pub fn begin_before(current: DateTime<Utc>, next_due: DateTime<Utc>, window: TimeDelta) -> DateTime<Utc> {
    current.max(next_due + window)
}

/// The limit of hand-outs for callees with these attempts.
#[must_use]
pub fn hand_out_limit(max_attempts: impl IntoIterator<Item = i32>) -> i32 {
    max_attempts.into_iter().fold(0_i32, |sum, attempts| sum.saturating_add(attempts.saturating_mul(2)))
}

fn plan(chosen: &[&Callee], exclusive: bool, form: ListForm) -> DialPlan {
    let mut targets: Vec<Target> = chosen
        .iter()
        .map(|callee| Target {
            callee: callee.id,
            attempts: if form == ListForm::Repeated { callee.max_attempts - callee.attempts } else { 1 },
        })
        .collect();
    let passes = targets.iter().map(|target| target.attempts).max().unwrap_or(0);
    let mut sequence: Vec<usize> = Vec::new();
    for pass in 0..passes {
        for (index, target) in targets.iter().enumerate() {
            if pass < target.attempts && sequence.last() != Some(&index) {
                sequence.push(index);
            }
        }
    }
    // Only what is really dialled costs an attempt: equal neighbours collapse, and the rest comes under the next mid.
    for (index, target) in targets.iter_mut().enumerate() {
        let dialled = sequence.iter().filter(|&&place| place == index).count();
        target.attempts = i32::try_from(dialled).unwrap_or(target.attempts);
    }
    DialPlan { exclusive, targets, sequence }
}

fn finished(hunt: &Hunt, callees: &[Callee], answered: bool) -> Decision {
    let no_more = settled(callees, &OF_THE_PERSON);
    let declined = settled(callees, &[Verdict::Declined]);
    let has_declined =
        |callee: &Callee| callee.verdict == Some(Verdict::Declined) || callee.person.is_some_and(|own| declined.contains(&own));
    let reason = if hunt.dials_left == 0 && callees.iter().any(|callee| callee.is_wanted(&no_more)) {
        EndReason::HandOutLimit
    } else if !callees.is_empty() && callees.iter().all(has_declined) {
        EndReason::AllDeclined
    } else {
        EndReason::AttemptsUsed
    };
    ended(answered, reason)
}

fn ended(answered: bool, reason: EndReason) -> Decision {
    if answered {
        Decision::Finished { outcome: HuntOutcome::Answered, reason: None }
    } else {
        Decision::Finished { outcome: HuntOutcome::NoAnswer, reason: Some(reason) }
    }
}

#[cfg(test)]
mod model;
