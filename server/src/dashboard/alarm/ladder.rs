//! The ladder of a hunt: for each callee, what has become of them, who is being rung now, and who is next.

use std::collections::HashMap;

use android_protocol::voice::detector;
use chrono::{DateTime, TimeDelta, Utc};

use super::at_night::addresses::callable;
use super::standing::{self, Standing, Steps};
use crate::alarm::{Verdict, hunt};
use crate::dashboard::frame::page::{at, since, until};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::{Html, Text};
use crate::dashboard::frame::words::{escape, fill, fill_text};
use crate::ids::{AlarmId, CalleeId};
use crate::numbers::phone_of;
use crate::store::alarm::answers::AnswerRow;
use crate::store::alarm::board::{RingingRow, RungRow};

/// How a rung looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dashboard) enum Look {
    /// Being rung at this moment: the only thing that moves.
    Now,
    /// In the hands of a handset that rings a list.
    Listed,
    Answered,
    Confirmed,
    /// Picked up, and never confirmed.
    Lapsed,
    /// Rung in vain.
    No,
    /// Declined, was taken off, or must not be called.
    Off,
    /// Is still to come.
    Later,
}

impl Look {
    pub(in crate::dashboard) fn class(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Listed => "listed",
            Self::Answered => "answered",
            Self::Confirmed => "confirmed",
            Self::Lapsed => "lapsed",
            Self::No => "no",
            Self::Off => "off",
            Self::Later => "later",
        }
    }
}

/// What stands on one rung.
#[derive(Clone, Debug)]
pub(in crate::dashboard) struct Rung {
    pub(in crate::dashboard) look: Look,
    pub(in crate::dashboard) name: String,
    /// The number, when the name is not the number.
    pub(in crate::dashboard) number: Option<String>,
    /// By which a phone calls them; none for whoever may not see the number.
    pub(in crate::dashboard) call: Option<String>,
    /// A few words, as HTML.
    pub(in crate::dashboard) state: String,
    /// Where the button goes that takes them off.
    pub(in crate::dashboard) skip: Option<String>,
}

impl Rung {
    /// By which a phone calls them, where the number stands in place of a name.
    pub(in crate::dashboard) fn call_by_name(&self) -> Option<&str> {
        self.call.as_deref().filter(|_| self.number.is_none())
    }
}

/// The rungs of one step.
#[derive(Clone, Debug)]
pub(in crate::dashboard) struct Flight {
    /// Which step; none when no other is shown.
    pub(in crate::dashboard) heading: Option<String>,
    pub(in crate::dashboard) rungs: Vec<Rung>,
}

/// The whole ladder.
#[derive(Clone, Debug, Default)]
pub(in crate::dashboard) struct Flights {
    pub(in crate::dashboard) shown: Vec<Flight>,
    /// Steps that are left out because they are over.
    pub(in crate::dashboard) earlier: Option<String>,
}

/// What is known of a hunt's callees.
#[derive(Clone, Copy, Debug)]
pub(in crate::dashboard) struct Known<'h> {
    pub(in crate::dashboard) rungs: &'h [RungRow],
    pub(in crate::dashboard) ringing: &'h [RingingRow],
    pub(in crate::dashboard) answers: &'h [AnswerRow],
    pub(in crate::dashboard) steps: &'h Steps,
    /// Where the hunt stands; none once it is over.
    pub(in crate::dashboard) standing: Option<&'h Standing>,
}

/// What has become of a callee.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Ringing(usize),
    /// Somebody said that it is theirs.
    Confirmed {
        /// With a key, in the call.
        by_key: bool,
    },
    Answered {
        confirm_by: Option<DateTime<Utc>>,
    },
    /// Picked up, and nobody said that it was them.
    Lapsed {
        again_at: Option<DateTime<Utc>>,
    },
    /// Was asked for a key, and pressed none.
    WithoutKey {
        /// It seems to have been a machine.
        machine: bool,
        /// They are rung again.
        is_wanted: bool,
    },
    Declined,
    Skipped,
    DoNotCall,
    BadNumber,
    /// The first that is rung when a handset is free, and when.
    Next {
        again_at: Option<DateTime<Utc>>,
    },
    Later {
        again_at: Option<DateTime<Utc>>,
    },
    /// Has quiet hours.
    InPeace {
        until: DateTime<Utc>,
    },
    /// Told otherwise that their turn has come; called then.
    Asked {
        until: DateTime<Utc>,
    },
    Spent,
    NotRung,
}

impl State {
    /// Their phone may ring, or they may still be waited for.
    fn is_in_play(&self) -> bool {
        match self {
            Self::Ringing(_)
            | Self::Answered { .. }
            | Self::Next { .. }
            | Self::Later { .. }
            | Self::InPeace { .. }
            | Self::Asked { .. } => true,
            Self::Lapsed { again_at } => again_at.is_some(),
            Self::WithoutKey { is_wanted, .. } => *is_wanted,
            Self::Confirmed { .. }
            | Self::Declined
            | Self::Skipped
            | Self::DoNotCall
            | Self::BadNumber
            | Self::Spent
            | Self::NotRung => false,
        }
    }
}

/// The ladder as this reader sees it, step by step. For an alarm, the buttons that take somebody off lead to it; without one, steps
/// that are over are left out.
pub(in crate::dashboard) fn ladder(reader: &Reader, known: &Known<'_>, alarm: Option<AlarmId>) -> Flights {
    let states = states(known);
    let current = known.standing.map(|standing| standing.step);
    let mut steps: Vec<i32> = known.rungs.iter().map(|rung| rung.step).collect();
    steps.dedup();
    let of_step = |step: i32| known.rungs.iter().zip(&states).filter(move |(rung, _)| rung.step == step);
    let is_over = |step: i32| current != Some(step) && !of_step(step).any(|(_, state)| state.is_in_play());
    let (left_out, shown): (Vec<i32>, Vec<i32>) =
        steps.into_iter().partition(|step| alarm.is_none() && current.is_some() && is_over(*step));
    let several = shown.len() > 1;
    let flight = |step: i32| Flight {
        heading: several.then(|| standing::step_heading(reader, known.steps, step)),
        rungs: of_step(step).map(|(rung, state)| show(reader, rung, state, known, alarm)).collect(),
    };
    let earlier = left_out.len().to_string();
    Flights {
        shown: shown.into_iter().map(flight).collect(),
        earlier: (!left_out.is_empty()).then(|| fill_text(&reader.words.steps_earlier, &[("count", &earlier)])),
    }
}

fn states(known: &Known<'_>) -> Vec<State> {
    let (rungs, standing) = (known.rungs, known.standing);
    // Whoever belongs to an earlier step is not rung any more.
    let wanted = |rung: &RungRow| {
        let in_step = standing.is_some_and(|standing| standing.step == rung.step);
        in_step && rung.verdict.is_none() && rung.attempts < rung.max_attempts && !said_by_another_number(rungs, rung)
    };
    let rung_now = |rung: &RungRow| known.ringing.iter().position(|row| row.callee_id == rung.id);
    let next = standing.and_then(|standing| {
        let to_rule = |(position, rung)| to_rule(position, rung, standing);
        let step: Vec<hunt::Callee> = (0_i32..).zip(rungs).filter(|(_, rung)| rung.step == standing.step).map(to_rule).collect();
        let in_call: Vec<CalleeId> = known.ringing.iter().map(|row| row.callee_id).collect();
        // A number that is in another hunt's call is waited for, so it changes nothing here.
        hunt::next(&hunt::queue(&step, &in_call, &HashMap::new(), standing.now)).map(|callee| callee.id)
    });
    let state = |rung: &RungRow| {
        let own = || known.answers.iter().filter(|answer| answer.callee_id == Some(rung.id));
        if let Some(answer) = own().find(|answer| answer.confirmed_at.is_some()) {
            return State::Confirmed { by_key: answer.is_by_key() };
        }
        match rung.verdict {
            Some(Verdict::Declined) => return State::Declined,
            Some(Verdict::Skipped) => return State::Skipped,
            Some(Verdict::DoNotCall) => return State::DoNotCall,
            Some(Verdict::BadNumber) => return State::BadNumber,
            Some(Verdict::Answered) | None => {}
        }
        if let Some(answer) = own().rev().find(|answer| answer.lapsed_at.is_none()) {
            let within = standing.and_then(|standing| standing.confirm_within);
            return State::Answered { confirm_by: within.map(|within| answer.at + within) };
        }
        if let Some(index) = rung_now(rung).filter(|_| standing.is_some()) {
            return State::Ringing(index);
        }
        let again_at =
            rung.last_offered_at.filter(|_| rung.attempts > 0).map(|at| at + TimeDelta::seconds(i64::from(rung.min_interval_s)));
        // Nobody is rung before that, whatever their interval.
        let held_until = standing.and_then(|standing| standing.held_until);
        let again_at = again_at.map(|at| held_until.map_or(at, |held| held.max(at)));
        if let Some(answer) = own().next_back() {
            // What lapsed at once had been asked for a key.
            let without_key = (answer.lapsed_at == Some(answer.at)).then_some(answer.machine == Some(detector::Verdict::Machine));
            let again_at = again_at.filter(|_| wanted(rung));
            return match without_key {
                Some(machine) => State::WithoutKey { machine, is_wanted: again_at.is_some() },
                None => State::Lapsed { again_at },
            };
        }
        let quiet = standing.and_then(|standing| standing.quiet.get(&rung.id)).copied();
        match rung.verdict {
            Some(_) => State::Answered { confirm_by: None },
            None if let Some(until) = quiet.filter(|until| wanted(rung) && again_at.is_none_or(|again| again < *until)) => {
                State::InPeace { until }
            }
            None if let Some(until) =
                called_at(rung).filter(|until| wanted(rung) && standing.is_some_and(|own| own.now < *until)) =>
            {
                State::Asked { until }
            }
            None if wanted(rung) && next == Some(rung.id) => State::Next { again_at },
            None if wanted(rung) => State::Later { again_at },
            // Also a number that cannot be dialled, which has no tries.
            None if rung.attempts == 0 => State::NotRung,
            None => State::Spent,
        }
    };
    rungs.iter().map(state).collect()
}

/// Whoever has several numbers has said it for all of them.
fn said_by_another_number(rungs: &[RungRow], rung: &RungRow) -> bool {
    let way = |own: &RungRow| own.person_id.filter(|_| own.after_s.is_some());
    let own = |other: &&RungRow| way(other).is_some() && way(other) == way(rung) && other.step == rung.step;
    let said = |other: &RungRow| matches!(other.verdict, Some(Verdict::Answered | Verdict::Declined | Verdict::Skipped));
    rungs.iter().filter(own).any(said)
}

/// When somebody is called whose turn has come and who was told so first.
fn called_at(rung: &RungRow) -> Option<DateTime<Utc>> {
    rung.asked_at.map(|at| at + TimeDelta::seconds(i64::from(rung.after_s.unwrap_or_default())))
}

/// What the rule needs to know of a rung.
fn to_rule(position: i32, rung: &RungRow, standing: &Standing) -> hunt::Callee {
    hunt::Callee {
        id: rung.id,
        position,
        person: rung.person_id.filter(|_| rung.after_s.is_some()),
        phone: phone_of(&rung.number).into_owned(),
        max_attempts: rung.max_attempts,
        attempts: rung.attempts,
        failed: rung.failed,
        min_interval: TimeDelta::seconds(i64::from(rung.min_interval_s)),
        last_offered_at: rung.last_offered_at,
        quiet_until: standing.quiet.get(&rung.id).copied(),
        after: TimeDelta::seconds(i64::from(rung.after_s.unwrap_or_default())),
        asked_at: rung.asked_at,
        verdict: rung.verdict,
    }
}

fn show(reader: &Reader, rung: &RungRow, state: &State, known: &Known<'_>, alarm: Option<AlarmId>) -> Rung {
    let words = reader.words;
    let tries =
        fill(&words.rung_tries, &[("count", Text(&rung.attempts.to_string())), ("most", Text(&rung.max_attempts.to_string()))]);
    let what = if rung.no_report { &words.rung_no_report } else { &words.rung_no_answer };
    let again = |time: &DateTime<Utc>, soon: &str, later: &str| match known.standing {
        Some(standing) if *time <= standing.now => fill(soon, &[("what", Text(what)), ("tries", Html(&tries))]),
        _ => fill(later, &[("what", Text(what)), ("tries", Html(&tries)), ("at", Html(&at(*time)))]),
    };
    let skip = alarm.filter(|_| known.standing.is_some() && reader.responds() && state.is_in_play());
    let (look, state) = match state {
        State::Ringing(index) => {
            known.ringing.get(*index).map_or((Look::Now, String::new()), |row| ringing_words(reader, row, known.ringing))
        }
        State::Confirmed { by_key: true } => (Look::Confirmed, escape(&words.rung_by_key)),
        State::Confirmed { by_key: false } => (Look::Confirmed, escape(&words.confirmed)),
        State::Answered { confirm_by: Some(time) } => {
            (Look::Answered, fill(&words.rung_confirming, &[("until", Html(&until(*time)))]))
        }
        State::Answered { confirm_by: None } => (Look::Answered, escape(&words.answered)),
        State::Lapsed { again_at: None } => (Look::Lapsed, fill(&words.rung_lapsed, &[("tries", Html(&tries))])),
        State::Lapsed { again_at: Some(time) } => (Look::Lapsed, again(time, &words.rung_lapsed_soon, &words.rung_lapsed_again)),
        State::WithoutKey { machine, .. } => {
            let what = if *machine { &words.rung_machine } else { &words.rung_without_key };
            (Look::Lapsed, fill(what, &[("tries", Html(&tries))]))
        }
        State::Declined => (Look::Off, escape(&words.rung_declined)),
        State::Skipped => (Look::Off, escape(&words.rung_skipped)),
        State::DoNotCall => (Look::Off, escape(&words.rung_do_not_call)),
        State::BadNumber => (Look::Off, escape(&words.rung_bad_number)),
        State::Next { again_at: None } => (Look::Later, escape(&words.rung_next)),
        State::Later { again_at: None } => (Look::Later, escape(&words.rung_later)),
        State::Next { again_at: Some(time) } | State::Later { again_at: Some(time) } => {
            (Look::No, again(time, &words.rung_again_soon, &words.rung_again))
        }
        State::InPeace { until } => (Look::Later, fill(&words.rung_quiet, &[("at", Html(&at(*until)))])),
        State::Asked { until } => (Look::Later, fill(&words.rung_asked, &[("at", Html(&at(*until)))])),
        State::Spent => (Look::No, fill(&words.rung_spent, &[("what", Text(what)), ("tries", Html(&tries))])),
        State::NotRung => (Look::Later, escape(&words.rung_not_rung)),
    };
    let number = reader.number(&rung.number);
    let (name, number) = match &rung.name {
        Some(name) => (reader.name(name), Some(number)),
        None => (number, None),
    };
    let call = callable(reader, &rung.number);
    Rung { look, name, number, call, state, skip: skip.map(|alarm| format!("/alarms/{alarm}/callees/{}/skip", rung.id)) }
}

/// A handset that took a list says nothing until it is through: the first number is surely rung, the others are in its hands.
fn ringing_words(reader: &Reader, row: &RingingRow, all: &[RingingRow]) -> (Look, String) {
    let words = reader.words;
    let Some(handset) = &row.handset else { return (Look::Now, escape(&words.rung_dry_run)) };
    let since = since(row.progress_at.unwrap_or(row.offered_at));
    let bits = [("since", Html(&since)), ("handset", Text(handset))];
    let listed = all.iter().filter(|other| other.handset == row.handset).count() > 1;
    match row.progress.as_deref() {
        Some("dialling") => (Look::Now, fill(&words.rung_dialling, &bits)),
        Some("connected") => (Look::Now, fill(&words.rung_talking, &bits)),
        None if listed && row.seq > 0 => (Look::Listed, fill(&words.rung_listed, &bits)),
        None if listed => (Look::Now, fill(&words.rung_listed, &bits)),
        _ => (Look::Now, fill(&words.rung_ringing, &bits)),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::alarm::AnswerVia;
    use crate::ids::{AnswerId, HuntId};
    use uuid::Uuid;

    fn rung(number: u128, attempts: i32) -> RungRow {
        RungRow {
            id: CalleeId(Uuid::from_u128(number)),
            hunt_id: HuntId(Uuid::nil()),
            step: 0,
            person_id: None,
            name: None,
            number: number.to_string(),
            max_attempts: 2,
            min_interval_s: 60,
            attempts,
            failed: 0,
            last_offered_at: (attempts > 0).then_some(DateTime::UNIX_EPOCH),
            after_s: None,
            asked_at: None,
            verdict: None,
            no_report: false,
        }
    }

    fn ringing(rung: &RungRow) -> RingingRow {
        RingingRow {
            hunt_id: rung.hunt_id,
            callee_id: rung.id,
            seq: 0,
            offered_at: DateTime::UNIX_EPOCH,
            handset: Some("desk".to_owned()),
            progress: None,
            progress_at: None,
        }
    }

    fn states_of(rungs: &[RungRow], ringing: &[RingingRow], answers: &[AnswerRow], standing: Option<&Standing>) -> Vec<State> {
        states(&Known { rungs, ringing, answers, steps: &Steps::new(), standing })
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn answer(rung: &RungRow, lapsed: bool) -> AnswerRow {
        AnswerRow {
            id: AnswerId(Uuid::nil()),
            hunt_id: rung.hunt_id,
            mid: None,
            callee_id: Some(rung.id),
            number: None,
            person_id: None,
            name: String::new(),
            handset_id: None,
            at: at(10),
            via: AnswerVia::Handset,
            attempt: None,
            confirmed_at: None,
            machine: None,
            by_key: None,
            lapsed_at: lapsed.then(|| at(40)),
        }
    }

    #[test]
    fn one_is_rung_one_is_next() {
        let rungs = [rung(1, 1), rung(2, 1), rung(3, 0), rung(4, 0)];
        let again_at = Some(at(60));
        assert_eq!(
            states_of(&rungs, &[ringing(&rungs[1])], &[], Some(&Standing::default())),
            [State::Later { again_at }, State::Ringing(0), State::Next { again_at: None }, State::Later { again_at: None }]
        );
        assert_eq!(states_of(&rungs, &[], &[], None), [State::Spent, State::Spent, State::NotRung, State::NotRung]);
    }

    #[test]
    fn who_cannot_be_dialled_is_not_rung() {
        let rungs = [RungRow { max_attempts: 0, ..rung(1, 0) }, rung(2, 0)];
        assert_eq!(states_of(&rungs, &[], &[], Some(&Standing::default())), [State::NotRung, State::Next { again_at: None }]);
    }

    #[test]
    fn tries_are_used_up() {
        let rungs = [rung(1, 2), rung(2, 1)];
        let states = states_of(&rungs, &[], &[], Some(&Standing::default()));
        assert_eq!(states, [State::Spent, State::Next { again_at: Some(at(60)) }]);
    }

    #[test]
    fn an_earlier_step_is_over_but_for_calls_under_way() {
        let rungs = [rung(1, 1), rung(2, 1), rung(3, 0), RungRow { step: 1, ..rung(4, 0) }];
        let standing = Standing { step: 1, ..Standing::default() };
        assert_eq!(
            states_of(&rungs, &[ringing(&rungs[1])], &[], Some(&standing)),
            [State::Spent, State::Ringing(0), State::NotRung, State::Next { again_at: None }]
        );
    }

    #[test]
    fn whoever_picked_up_is_waited_for_and_then_rung_again() {
        let rungs = [rung(1, 1), rung(2, 0)];
        let held = at(130);
        let standing = Standing { confirm_within: Some(TimeDelta::seconds(120)), held_until: Some(held), ..Standing::default() };
        let waiting = states_of(&rungs, &[], &[answer(&rungs[0], false)], Some(&standing));
        assert_eq!(waiting[0], State::Answered { confirm_by: Some(held) });
        let lapsed = states_of(&rungs, &[], &[answer(&rungs[0], true)], Some(&Standing::default()));
        assert_eq!(lapsed, [State::Lapsed { again_at: Some(at(60)) }, State::Next { again_at: None }]);
        assert_eq!(states_of(&rungs, &[], &[answer(&rungs[0], true)], None)[0], State::Lapsed { again_at: None });
        let declined = [RungRow { verdict: Some(Verdict::Declined), ..rung(1, 1) }];
        assert_eq!(states_of(&declined, &[], &[answer(&declined[0], true)], Some(&standing)), [State::Declined]);
    }

    #[test]
    fn whoever_has_quiet_hours_is_not_next() {
        let rungs = [rung(1, 0), rung(2, 0)];
        let quiet = [(rungs[0].id, at(900))].into();
        let standing = Standing { quiet, ..Standing::default() };
        assert_eq!(
            states_of(&rungs, &[], &[], Some(&standing)),
            [State::InPeace { until: at(900) }, State::Next { again_at: None }]
        );
    }

    #[test]
    fn nobody_is_announced_before_a_snooze_is_over() {
        let rungs = [rung(1, 1)];
        let standing = Standing { held_until: Some(at(900)), ..Standing::default() };
        assert_eq!(states_of(&rungs, &[], &[], Some(&standing)), [State::Next { again_at: Some(at(900)) }]);
    }
}
