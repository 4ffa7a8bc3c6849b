//! The rule around "who is rung next" once a hunt has steps and wants a human's word: confirm, lapse, snooze, and the next step.
//!
//! [`decide`] asks [`hunt::decide`] about the callees of the current step, and adds, in words:
//!
//! 1. Where a confirmation is wanted, an answer without one lapses when its time is over, and the hunt goes on.
//! 2. While a hunt for the first answer waits for a confirmation, or is snoozed, nobody else is rung.
//! 3. An answer counts whichever step it came from.
//! 4. A step gives way to the next when its time is over, or as soon as it has nobody left to ring. A call that is under way is
//!    never cut off by that: a sequential step waits for it, a parallel one begins beside it.
//! 5. The last step lasts until its attempts are used up.
//! 6. Whoever wants to be told otherwise before they are called is told when their turn comes. For what is critical they are called at
//!    once, by the first of their numbers.
//! 7. A step without a time of its own waits for nobody's other numbers: where only these are left, it gives way.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::hunt::{self, Callee, Decision, Hunt, ListForm, OpenDial, WaitReason};
use super::{EndReason, HuntOutcome, Priority, Until, Verdict};
use crate::ids::{AnswerId, CalleeId};

/// An answer that nobody has confirmed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unconfirmed {
    /// Which answer.
    pub answer: AnswerId,
    /// It lapses at this instant.
    pub confirm_by: DateTime<Utc>,
}

/// What the rule needs to know of a hunt with its steps.
#[derive(Clone, Debug)]
pub struct Ladder {
    /// The hunt, in the mode of its current step.
    pub hunt: Hunt,
    /// The current step, counted from 0 over all rounds.
    pub step: i32,
    /// When the next step begins at the latest; `None`: when this one has nobody left to ring.
    pub step_ends_at: Option<DateTime<Utc>>,
    /// There is a step after this one.
    pub has_next_step: bool,
    /// Nobody is rung before then.
    pub snoozed_until: Option<DateTime<Utc>>,
    /// Everybody in it, each with the step they belong to.
    pub callees: Vec<(i32, Callee)>,
    /// Answers that wait for their confirmation; empty where none is wanted.
    pub unconfirmed: Vec<Unconfirmed>,
    /// Its open dials, of whichever step.
    pub open: Vec<OpenDial>,
}

impl Ladder {
    /// The phone for which it waits because that is in another call: none while it wants nobody, or nobody else.
    #[must_use]
    pub fn waits_for(&self, decision: &Decision, busy: &HashMap<String, DateTime<Utc>>, now: DateTime<Utc>) -> Option<String> {
        let wants_nobody = [WaitReason::Confirming, WaitReason::Snoozed, WaitReason::Dialling];
        match decision {
            Decision::Finished { .. } => return None,
            Decision::Wait { why, .. } if wants_nobody.contains(why) => return None,
            Decision::Wait { .. } | Decision::Dial(_) => {}
        }
        let in_step = self.current();
        let in_call: Vec<CalleeId> = self.open.iter().flat_map(|dial| dial.callees.iter().copied()).collect();
        hunt::waits_for(&self.hunt, &hunt::queue(&in_step, &in_call, busy, now)).map(str::to_owned)
    }

    /// Those of the current step.
    fn current(&self) -> Vec<Callee> {
        let mut current: Vec<Callee> =
            self.callees.iter().filter(|(step, _)| *step == self.step).map(|(_, callee)| callee.clone()).collect();
        if self.hunt.priority == Priority::Critical {
            let at_once: Vec<bool> = current.iter().map(|callee| callee.is_first_way(&current)).collect();
            for (callee, _) in current.iter_mut().zip(at_once).filter(|(_, at_once)| *at_once) {
                callee.after = TimeDelta::zero();
            }
        }
        current
    }
}

/// What a hunt does at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// Hand out, wait, or end.
    Hunt(Decision),
    /// Nobody confirmed these in time.
    Lapse(Vec<AnswerId>),
    /// Begin the next step.
    NextStep,
    /// The turn of whoever this is has come: they are told so, by whichever way they want, and called later.
    Ask(CalleeId),
}

/// Decides what a hunt does at one instant for one asking handset; `busy` as in [`hunt::decide`].
#[must_use]
pub fn decide(ladder: &Ladder, busy: &HashMap<String, DateTime<Utc>>, form: ListForm, now: DateTime<Utc>) -> Move {
    let lapsed: Vec<AnswerId> =
        ladder.unconfirmed.iter().filter(|answer| answer.confirm_by <= now).map(|answer| answer.answer).collect();
    if !lapsed.is_empty() {
        return Move::Lapse(lapsed);
    }
    let confirm_by = ladder.unconfirmed.iter().map(|answer| answer.confirm_by).min();
    let confirming = |until| Move::Hunt(Decision::Wait { until, why: WaitReason::Confirming });
    if ladder.hunt.until == Until::First {
        if let Some(until) = confirm_by {
            return confirming(until);
        }
        if ladder.callees.iter().any(|(_, callee)| callee.verdict == Some(Verdict::Answered)) {
            return Move::Hunt(Decision::Finished { outcome: HuntOutcome::Answered, reason: None });
        }
    }
    if let Some(until) = ladder.snoozed_until.filter(|until| *until > now) {
        return Move::Hunt(Decision::Wait { until, why: WaitReason::Snoozed });
    }
    let current = ladder.current();
    let decision = hunt::decide(&ladder.hunt, &current, &ladder.open, busy, form, now);
    let no_handset = matches!(decision, Decision::Finished { reason: Some(EndReason::NoHandset), .. });
    if ladder.has_next_step && !no_handset {
        let time_is_over = ladder.step_ends_at.is_some_and(|ends_at| ends_at <= now);
        let others_are_left =
            ladder.step_ends_at.is_none() && ladder.open.is_empty() && only_other_numbers(&current, &decision, now);
        if time_is_over || others_are_left || matches!(decision, Decision::Finished { .. }) {
            return Move::NextStep;
        }
    }
    if !matches!(decision, Decision::Finished { .. })
        && let Some(callee) = hunt::asks(&ladder.hunt, &current, &ladder.open, busy, now)
    {
        return Move::Ask(callee.id);
    }
    Move::Hunt(match decision {
        Decision::Finished { .. } if confirm_by.is_some() && !no_handset => {
            return confirming(confirm_by.unwrap_or(now));
        }
        Decision::Finished { outcome: HuntOutcome::NoAnswer, reason: Some(EndReason::AttemptsUsed) }
            if nobody_to_ring(ladder) =>
        {
            Decision::Finished { outcome: HuntOutcome::NoAnswer, reason: Some(EndReason::NobodyToRing) }
        }
        Decision::Wait { until, why } if ladder.has_next_step => {
            Decision::Wait { until: ladder.step_ends_at.map_or(until, |ends_at| ends_at.min(until)), why }
        }
        other => other,
    })
}

/// Whoever is still to be called in a step has been called, and waits for the time of another number.
fn only_other_numbers(current: &[Callee], decision: &Decision, now: DateTime<Utc>) -> bool {
    let waits = matches!(decision, Decision::Wait { why: WaitReason::Later, .. });
    let queue = hunt::queue(current, &[], &HashMap::new(), now);
    let is_other = |turn: &hunt::Turn<'_>| matches!(turn.waits, Some((_, WaitReason::Later))) && !turn.is_first_way;
    waits && queue.iter().all(is_other)
}

/// Nobody it named can be called at all.
fn nobody_to_ring(ladder: &Ladder) -> bool {
    ladder.callees.iter().all(|(_, callee)| matches!(callee.verdict, Some(Verdict::Skipped | Verdict::DoNotCall)))
}

/// Nobody is rung before then: an answer that may still be enough waits for its confirmation, or a person put it off.
#[must_use]
pub fn held_until(
    until: Until,
    confirm_by: Option<DateTime<Utc>>,
    snoozed_until: Option<DateTime<Utc>>,
) -> Option<DateTime<Utc>> {
    confirm_by.filter(|_| until == Until::First).max(snoozed_until)
}

/// When the next step begins at the latest. A step whose time is over while nobody may be rung gives way when that is over.
#[must_use]
pub fn next_step_at(step_ends_at: Option<DateTime<Utc>>, held_until: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    step_ends_at.map(|ends_at| held_until.map_or(ends_at, |held| held.max(ends_at)))
}

/// When something happens to a hunt by time alone, whether or not a handset asks: a lapse, the end of a snooze or of a step.
#[must_use]
pub fn wakes_at(ladder: &Ladder) -> Option<DateTime<Utc>> {
    let confirm_by = ladder.unconfirmed.iter().map(|answer| answer.confirm_by).min();
    let held_until = held_until(ladder.hunt.until, confirm_by, ladder.snoozed_until);
    let step_ends_at = next_step_at(ladder.step_ends_at.filter(|_| ladder.has_next_step), held_until);
    [confirm_by, ladder.snoozed_until, step_ends_at].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::super::Mode;
    use super::*;
    use crate::ids::{CalleeId, PersonId};
    use proptest::prelude::*;
    use uuid::Uuid;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_000 + seconds, 0).unwrap()
    }

    fn callee(id: u128, position: i32) -> Callee {
        Callee {
            id: CalleeId(Uuid::from_u128(id)),
            position,
            person: None,
            phone: id.to_string(),
            max_attempts: 1,
            attempts: 0,
            failed: 0,
            min_interval: TimeDelta::seconds(60),
            last_offered_at: None,
            quiet_until: None,
            after: TimeDelta::zero(),
            asked_at: None,
            verdict: None,
        }
    }

    fn ladder() -> Ladder {
        Ladder {
            hunt: Hunt {
                priority: Priority::Normal,
                mode: Mode::Sequential,
                until: Until::First,
                dials_left: 10,
                begin_before: at(100_000),
            },
            step: 1,
            step_ends_at: None,
            has_next_step: true,
            snoozed_until: None,
            callees: vec![(0, callee(1, 0)), (1, callee(2, 0))],
            unconfirmed: Vec::new(),
            open: Vec::new(),
        }
    }

    fn ask(ladder: &Ladder, seconds: i64) -> Move {
        decide(ladder, &HashMap::new(), ListForm::One, at(seconds))
    }

    fn dialled(asked: &Move) -> Vec<CalleeId> {
        match asked {
            Move::Hunt(Decision::Dial(plan)) => plan.targets.iter().map(|target| target.callee).collect(),
            other => panic!("not a hand-out: {other:?}"),
        }
    }

    #[test]
    fn it_waits_for_the_phone_that_it_would_ring_were_it_free() {
        let parallel = Hunt { mode: Mode::Parallel, ..ladder().hunt };
        let rests = Callee { last_offered_at: Some(at(0)), attempts: 1, max_attempts: 2, ..callee(3, 1) };
        let both = Ladder { hunt: parallel, callees: vec![(1, callee(2, 0)), (1, rests)], ..ladder() };
        let waits = |ladder: &Ladder, busy: &[&str]| {
            let busy: HashMap<_, _> = busy.iter().map(|phone| ((*phone).to_owned(), at(90))).collect();
            match decide(ladder, &busy, ListForm::One, at(10)) {
                Move::Hunt(decision) => ladder.waits_for(&decision, &busy, at(10)),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(waits(&both, &["2"]).as_deref(), Some("2"), "also where somebody else rests for a shorter time");
        assert_eq!(waits(&both, &["3"]), None, "the other is rung, and this one would rest");
        assert_eq!(waits(&both, &[]), None);
        let put_off = Ladder { snoozed_until: Some(at(1_000)), ..both.clone() };
        assert_eq!(waits(&put_off, &["2"]), None);
        let other_step = Ladder { step: 0, callees: vec![(0, callee(1, 0)), (1, callee(2, 0))], ..both };
        assert_eq!(waits(&other_step, &["2"]), None, "nobody of that step");
    }

    #[test]
    fn only_the_current_step_is_rung() {
        assert_eq!(dialled(&ask(&ladder(), 0)), [CalleeId(Uuid::from_u128(2))]);
    }

    #[test]
    fn a_step_gives_way_when_its_time_is_over_or_nobody_is_left() {
        let mut used = ladder();
        used.callees[1].1.attempts = 1;
        assert_eq!(ask(&used, 0), Move::NextStep);
        used.has_next_step = false;
        assert_eq!(
            ask(&used, 0),
            Move::Hunt(Decision::Finished { outcome: HuntOutcome::NoAnswer, reason: Some(EndReason::AttemptsUsed) })
        );
        let mut timed = ladder();
        timed.step_ends_at = Some(at(30));
        assert_eq!(dialled(&ask(&timed, 29)).len(), 1);
        assert_eq!(ask(&timed, 30), Move::NextStep);
        timed.has_next_step = false;
        assert_eq!(dialled(&ask(&timed, 30)).len(), 1, "the last step goes on");
    }

    #[test]
    fn a_call_under_way_is_waited_for_until_the_step_is_over() {
        let mut ringing = ladder();
        ringing.callees[1].1.attempts = 1;
        ringing.open = vec![OpenDial { deadline: at(180), callees: vec![ringing.callees[1].1.id] }];
        ringing.step_ends_at = Some(at(90));
        assert_eq!(ask(&ringing, 0), Move::Hunt(Decision::Wait { until: at(90), why: WaitReason::Dialling }));
        assert_eq!(ask(&ringing, 90), Move::NextStep);
    }

    #[test]
    fn an_unconfirmed_answer_holds_the_hunt_and_then_lapses() {
        let answer = AnswerId(Uuid::from_u128(9));
        let mut waiting = ladder();
        waiting.callees[0].1.verdict = Some(Verdict::Answered);
        waiting.unconfirmed = vec![Unconfirmed { answer, confirm_by: at(60) }];
        waiting.step_ends_at = Some(at(10));
        assert_eq!(ask(&waiting, 20), Move::Hunt(Decision::Wait { until: at(60), why: WaitReason::Confirming }));
        assert_eq!(wakes_at(&waiting), Some(at(60)));
        assert_eq!(ask(&waiting, 60), Move::Lapse(vec![answer]));
        waiting.unconfirmed.clear();
        assert_eq!(
            ask(&waiting, 20),
            Move::Hunt(Decision::Finished { outcome: HuntOutcome::Answered, reason: None }),
            "confirmed, in whichever step"
        );
    }

    #[test]
    fn a_hunt_for_everyone_rings_on_and_waits_for_the_last_confirmation() {
        let mut everyone = ladder();
        everyone.has_next_step = false;
        everyone.hunt.until = Until::Everyone;
        everyone.callees[0].0 = 1;
        everyone.callees[0].1.verdict = Some(Verdict::Answered);
        everyone.unconfirmed = vec![Unconfirmed { answer: AnswerId(Uuid::from_u128(9)), confirm_by: at(60) }];
        assert_eq!(dialled(&ask(&everyone, 0)), [CalleeId(Uuid::from_u128(2))]);
        everyone.callees[1].1.attempts = 1;
        assert_eq!(ask(&everyone, 0), Move::Hunt(Decision::Wait { until: at(60), why: WaitReason::Confirming }));
    }

    #[test]
    fn a_snoozed_hunt_rings_nobody_until_then() {
        let mut snoozed = ladder();
        snoozed.snoozed_until = Some(at(600));
        assert_eq!(ask(&snoozed, 599), Move::Hunt(Decision::Wait { until: at(600), why: WaitReason::Snoozed }));
        assert_eq!(dialled(&ask(&snoozed, 600)).len(), 1);
    }

    #[test]
    fn a_hunt_without_anybody_says_so() {
        let mut empty = ladder();
        empty.callees.clear();
        empty.has_next_step = false;
        assert_eq!(
            ask(&empty, 0),
            Move::Hunt(Decision::Finished { outcome: HuntOutcome::NoAnswer, reason: Some(EndReason::NobodyToRing) })
        );
    }

    fn of_person(person: u128, id: u128, position: i32, after: i64) -> Callee {
        Callee { person: Some(PersonId(Uuid::from_u128(person))), after: TimeDelta::seconds(after), ..callee(id, position) }
    }

    /// A wants to be told first, called after two minutes and by another number after five; B has no wishes.
    fn with_ways(priority: Priority, mode: Mode) -> Ladder {
        let callees = vec![(0, of_person(1, 11, 0, 120)), (0, of_person(1, 12, 1, 300)), (0, callee(2, 2))];
        let own = ladder();
        Ladder { hunt: Hunt { priority, mode, ..own.hunt }, step: 0, has_next_step: false, callees, ..own }
    }

    fn asked(ladder: &mut Ladder, now: i64) {
        for (_, callee) in ladder.callees.iter_mut().filter(|(_, callee)| callee.person.is_some()) {
            callee.asked_at = Some(at(now));
        }
    }

    fn rung(ladder: &mut Ladder, id: u128, now: i64) {
        for (_, callee) in ladder.callees.iter_mut().filter(|(_, callee)| callee.id == CalleeId(Uuid::from_u128(id))) {
            callee.attempts += 1;
            callee.last_offered_at = Some(at(now));
        }
    }

    fn dials(asked: &Move) -> Vec<u128> {
        match asked {
            Move::Hunt(Decision::Dial(plan)) => plan.targets.iter().map(|target| target.callee.0.as_u128()).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn whoever_is_called_later_keeps_their_turn_until_their_first_call() {
        let mut own = with_ways(Priority::Normal, Mode::Sequential);
        let first = CalleeId(Uuid::from_u128(11));
        assert_eq!(ask(&own, 0), Move::Ask(first));
        asked(&mut own, 0);
        assert_eq!(ask(&own, 1), Move::Hunt(Decision::Wait { until: at(120), why: WaitReason::Later }));
        assert_eq!(dials(&ask(&own, 120)), [11]);
        rung(&mut own, 11, 120);
        assert_eq!(dials(&ask(&own, 150)), [2], "their other number keeps nobody waiting");
        rung(&mut own, 2, 150);
        assert_eq!(ask(&own, 180), Move::Hunt(Decision::Wait { until: at(300), why: WaitReason::Later }));
        assert_eq!(dials(&ask(&own, 300)), [12]);
    }

    #[test]
    fn for_what_is_critical_nobody_s_first_call_waits() {
        let mut own = with_ways(Priority::Critical, Mode::Sequential);
        assert_eq!(dials(&ask(&own, 0)), [11]);
        asked(&mut own, 0);
        rung(&mut own, 11, 0);
        assert_eq!(dials(&ask(&own, 30)), [2]);
        assert_eq!(
            dials(&ask(&with_ways(Priority::Normal, Mode::Parallel), 0)),
            [] as [u128; 0],
            "all are told before anybody is rung"
        );
    }

    #[test]
    fn a_step_waits_for_nobody_s_other_number() {
        let mut own = with_ways(Priority::Normal, Mode::Sequential);
        own.callees.pop();
        own.has_next_step = true;
        asked(&mut own, 0);
        assert_eq!(ask(&own, 1), Move::Hunt(Decision::Wait { until: at(120), why: WaitReason::Later }), "for the first call");
        rung(&mut own, 11, 120);
        assert_eq!(ask(&own, 150), Move::NextStep);
        own.step_ends_at = Some(at(400));
        assert_eq!(ask(&own, 150), Move::Hunt(Decision::Wait { until: at(300), why: WaitReason::Later }));
    }

    #[test]
    fn whoever_was_removed_or_is_in_peace_is_asked_nothing() {
        let mut own = with_ways(Priority::Normal, Mode::Sequential);
        for (_, callee) in own.callees.iter_mut().take(2) {
            callee.quiet_until = Some(at(60));
        }
        assert_eq!(dials(&ask(&own, 0)), [2], "their turn is after their quiet hours");
        assert_eq!(ask(&own, 60), Move::Ask(CalleeId(Uuid::from_u128(11))));
        for (_, callee) in &mut own.callees {
            (callee.person, callee.quiet_until) = (None, None);
        }
        assert_eq!(dials(&ask(&own, 60)), [11], "nobody can be told, so they are called");
    }

    #[test]
    fn who_answered_by_another_number_is_rung_by_it_no_earlier() {
        let mut own = with_ways(Priority::Normal, Mode::Sequential);
        own.callees[1].1.position = -1;
        own.callees[0].1.after = TimeDelta::zero();
        assert_eq!(ask(&own, 0), Move::Ask(CalleeId(Uuid::from_u128(12))), "it is her turn");
        asked(&mut own, 0);
        assert_eq!(dials(&ask(&own, 0)), [11], "the earliest way is the first one, wherever it stands");
    }

    #[test]
    fn nobody_is_asked_before_their_turn() {
        let mut own = with_ways(Priority::Normal, Mode::Sequential);
        own.callees[2].1.position = -1;
        assert_eq!(dials(&ask(&own, 0)), [2]);
        rung(&mut own, 2, 0);
        let open = OpenDial { deadline: at(60), callees: vec![CalleeId(Uuid::from_u128(2))] };
        let ringing = Ladder { open: vec![open], ..own.clone() };
        assert_eq!(ask(&ringing, 30), Move::Hunt(Decision::Wait { until: at(60), why: WaitReason::Dialling }));
        assert_eq!(ask(&own, 60), Move::Ask(CalleeId(Uuid::from_u128(11))));
    }

    #[test]
    fn what_somebody_said_by_one_number_holds_for_all() {
        let mut own = with_ways(Priority::Normal, Mode::Sequential);
        own.callees.pop();
        asked(&mut own, 0);
        let mut said = |verdict| {
            own.callees[0].1.verdict = Some(verdict);
            ask(&own, 400)
        };
        let over = |outcome, reason| Move::Hunt(Decision::Finished { outcome, reason });
        assert_eq!(said(Verdict::Declined), over(HuntOutcome::NoAnswer, Some(EndReason::AllDeclined)));
        assert_eq!(dials(&said(Verdict::DoNotCall)), [12], "their other number may be called");
        own.hunt.until = Until::Everyone;
        let mut said = |verdict| {
            own.callees[0].1.verdict = Some(verdict);
            ask(&own, 400)
        };
        assert_eq!(said(Verdict::Answered), over(HuntOutcome::Answered, None));
    }

    #[test]
    fn nobody_s_second_phone_rings_while_they_are_called() {
        let mut own = with_ways(Priority::Normal, Mode::Parallel);
        asked(&mut own, 0);
        own.callees[2].1.verdict = Some(Verdict::Skipped);
        own.open = vec![OpenDial { deadline: at(400), callees: vec![CalleeId(Uuid::from_u128(11))] }];
        assert_eq!(ask(&own, 350), Move::Hunt(Decision::Wait { until: at(400), why: WaitReason::Dialling }));
    }

    proptest! {
        /// Whatever the ladder looks like: what is waited for lies ahead and is never beyond the next thing that time brings, only
        /// callees of the current step are dialled, and nobody is while a confirmation or a snooze is awaited.
        #[test]
        fn no_move_looks_back(
            step in 0..3_i32, steps in prop::collection::vec((0..3_i32, 0..3_i32, 0..3_i32, prop::option::of(0..500_i64)), 0..6),
            ends in prop::option::of(0..500_i64), snooze in prop::option::of(0..500_i64), pending in prop::option::of(1..500_i64),
            has_next_step: bool, first: bool, now in 0..500_i64,
        ) {
            let mut ladder = ladder();
            ladder.step = step;
            ladder.hunt.until = if first { Until::First } else { Until::Everyone };
            ladder.has_next_step = has_next_step;
            ladder.step_ends_at = ends.map(at);
            ladder.snoozed_until = snooze.map(at);
            ladder.unconfirmed =
                pending.map(|by| Unconfirmed { answer: AnswerId(Uuid::nil()), confirm_by: at(by) }).into_iter().collect();
            ladder.callees = (0_u128..).zip(&steps).map(|(id, (step, attempts, most, offered))| {
                let mut one = callee(id, i32::try_from(id).unwrap());
                (one.attempts, one.max_attempts, one.last_offered_at) = ((*attempts).min(*most), *most, offered.map(at));
                (*step, one)
            }).collect();
            let asked = ask(&ladder, now);
            match &asked {
                Move::Lapse(_) => {
                    prop_assert!(pending.is_some_and(|by| by <= now));
                    prop_assert!(wakes_at(&ladder).is_some_and(|wakes| wakes <= at(now)));
                }
                Move::NextStep => {
                    prop_assert!(has_next_step && snooze.is_none_or(|until| until <= now));
                    let by_time = ask(&Ladder { step_ends_at: None, ..ladder.clone() }, now) != Move::NextStep;
                    prop_assert!(!by_time || wakes_at(&ladder).is_some_and(|wakes| wakes <= at(now)), "it was woken for this");
                }
                Move::Ask(_) => prop_assert!(false, "nobody here wants to be called later"),
                Move::Hunt(Decision::Wait { until, .. }) => prop_assert!(*until > at(now), "{asked:?}"),
                Move::Hunt(Decision::Dial(_)) => {
                    prop_assert!(snooze.is_none_or(|until| until <= now) && !(first && pending.is_some()));
                    for id in dialled(&asked) {
                        prop_assert!(ladder.callees.iter().any(|(of, callee)| callee.id == id && *of == step));
                    }
                }
                Move::Hunt(Decision::Finished { outcome, .. }) => {
                    prop_assert!(!has_next_step || *outcome == HuntOutcome::Answered);
                    prop_assert!(pending.is_none());
                }
            }
        }

        /// Nobody is called before their time, everybody is in the end, and it comes to an end.
        #[test]
        fn everybody_is_called_in_the_ways_they_want(
            people in prop::collection::vec(prop::collection::vec(0..400_i64, 1..4), 1..5),
            mode in prop_oneof![Just(Mode::Sequential), Just(Mode::Parallel)],
            priority in prop_oneof![Just(Priority::Normal), Just(Priority::Critical)],
            rings_for in prop::collection::vec(5..90_i64, 1..6),
        ) {
            let mut callees = Vec::new();
            for (person, ways) in (1_u128..).zip(&people) {
                for after in ways {
                    let place = callees.len();
                    callees.push((0, of_person(person, 10 + place as u128, i32::try_from(place).unwrap(), *after)));
                }
            }
            let own = ladder();
            let hunt = Hunt { mode, priority, dials_left: 1000, ..own.hunt };
            let mut own = Ladder { hunt, step: 0, has_next_step: false, callees, ..own };
            let mut now = 0;
            let mut lasts = rings_for.iter().cycle();
            let mut is_over = false;
            for _ in 0..500 {
                own.open.retain(|dial| dial.deadline > at(now));
                match ask(&own, now) {
                    Move::Ask(callee) => {
                        let person = own.callees.iter().find(|(_, own)| own.id == callee).and_then(|(_, own)| own.person);
                        prop_assert!(own.open.is_empty() || mode == Mode::Parallel);
                        for (_, callee) in own.callees.iter_mut().filter(|(_, own)| own.person == person) {
                            prop_assert_eq!(callee.asked_at, None, "once");
                            callee.asked_at = Some(at(now));
                        }
                    }
                    Move::Hunt(Decision::Dial(plan)) => {
                        let rung = plan.targets[0].callee;
                        let person = own.callees.iter().find(|(_, own)| own.id == rung).and_then(|(_, own)| own.person);
                        for (_, callee) in own.callees.iter_mut().filter(|(_, own)| own.person == person) {
                            if callee.id == rung {
                                let waits = !callee.after.is_zero() && priority != Priority::Critical;
                                prop_assert!(!waits || callee.asked_at.is_some_and(|asked| asked + callee.after <= at(now)));
                                callee.attempts += 1;
                                callee.last_offered_at = Some(at(now));
                            }
                            callee.asked_at = callee.asked_at.or(Some(at(now)));
                        }
                        own.open.push(OpenDial { deadline: at(now + lasts.next().unwrap()), callees: vec![rung] });
                    }
                    Move::Hunt(Decision::Wait { until, .. }) => {
                        prop_assert!(until > at(now));
                        now = (until - at(0)).num_seconds();
                    }
                    Move::Hunt(Decision::Finished { .. }) => {
                        is_over = true;
                        break;
                    }
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            prop_assert!(is_over, "it never ends");
            prop_assert!(own.callees.iter().all(|(_, callee)| callee.attempts == 1), "somebody was never called");
        }
    }
}
