//! The ladder of a hunt: for each callee, what has become of them, who is being rung now, and who is next.

use chrono::{DateTime, TimeDelta, Utc};

use super::page::{Reader, at, since};
use super::words::Bit::{Html, Text};
use super::words::{escape, fill};
use crate::alarm::Verdict;
use crate::store::answers::AnswerRow;
use crate::store::board::{RingingRow, RungRow};

/// How a rung looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Being rung at this moment: the only thing that moves.
    Now,
    /// In the hands of a handset that rings a list.
    Listed,
    Answered,
    Confirmed,
    /// Rung in vain.
    No,
    /// Is still to come.
    Later,
}

impl Look {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Listed => "listed",
            Self::Answered => "answered",
            Self::Confirmed => "confirmed",
            Self::No => "no",
            Self::Later => "later",
        }
    }
}

/// What stands on one rung.
#[derive(Clone, Debug)]
pub(super) struct Rung {
    pub(super) look: Look,
    pub(super) name: String,
    /// The number, when the name is not the number.
    pub(super) number: Option<String>,
    /// A few words, as HTML.
    pub(super) state: String,
}

/// What has become of a callee.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Ringing(usize),
    Answered {
        confirmed: bool,
    },
    Declined,
    Skipped,
    DoNotCall,
    /// The first that is rung when a handset is free, and when.
    Next {
        again_at: Option<DateTime<Utc>>,
    },
    Later {
        again_at: Option<DateTime<Utc>>,
    },
    Spent,
    NotRung,
}

/// The ladder as this reader sees it, while the hunt is open at `now`, or once nobody is rung any more.
pub(super) fn ladder(
    reader: &Reader,
    rungs: &[RungRow],
    ringing: &[RingingRow],
    answers: &[AnswerRow],
    now: Option<DateTime<Utc>>,
) -> Vec<Rung> {
    let states = states(rungs, ringing, answers, now.is_none());
    states.into_iter().zip(rungs).map(|(state, rung)| show(reader, rung, &state, ringing, now)).collect()
}

fn states(rungs: &[RungRow], ringing: &[RingingRow], answers: &[AnswerRow], over: bool) -> Vec<State> {
    let wanted = |rung: &RungRow| rung.verdict.is_none() && rung.attempts < rung.max_attempts;
    let rung_now = |rung: &RungRow| ringing.iter().position(|row| row.callee_id == rung.id);
    // The same order as the rule that decides: fewest attempts, then the place on the ladder.
    let next =
        rungs.iter().filter(|rung| wanted(rung) && rung_now(rung).is_none()).min_by_key(|rung| rung.attempts).map(|rung| rung.id);
    let state = |rung: &RungRow| {
        if let Some(answer) = answers.iter().rev().find(|answer| answer.callee_id == Some(rung.id)) {
            return State::Answered { confirmed: answer.confirmed_at.is_some() };
        }
        if let Some(index) = rung_now(rung).filter(|_| !over) {
            return State::Ringing(index);
        }
        let again_at =
            rung.last_offered_at.filter(|_| rung.attempts > 0).map(|at| at + TimeDelta::seconds(i64::from(rung.min_interval_s)));
        match rung.verdict {
            Some(Verdict::Answered) => State::Answered { confirmed: false },
            Some(Verdict::Declined) => State::Declined,
            Some(Verdict::Skipped) => State::Skipped,
            Some(Verdict::DoNotCall) => State::DoNotCall,
            // Also a number that cannot be dialled, which has no tries.
            None if rung.attempts == 0 && (over || rung.max_attempts == 0) => State::NotRung,
            None if over || !wanted(rung) => State::Spent,
            None if next == Some(rung.id) => State::Next { again_at },
            None => State::Later { again_at },
        }
    };
    rungs.iter().map(state).collect()
}

fn show(reader: &Reader, rung: &RungRow, state: &State, ringing: &[RingingRow], now: Option<DateTime<Utc>>) -> Rung {
    let words = reader.words;
    let tries =
        fill(&words.rung_tries, &[("count", Text(&rung.attempts.to_string())), ("most", Text(&rung.max_attempts.to_string()))]);
    let again = |time: &DateTime<Utc>| match now {
        Some(now) if *time <= now => fill(&words.rung_again_soon, &[("tries", Html(&tries))]),
        _ => fill(&words.rung_again, &[("tries", Html(&tries)), ("at", Html(&at(*time)))]),
    };
    let (look, state) = match state {
        State::Ringing(index) => {
            ringing.get(*index).map_or((Look::Now, String::new()), |row| ringing_words(reader, row, ringing))
        }
        State::Answered { confirmed: true } => (Look::Confirmed, escape(&words.confirmed)),
        State::Answered { confirmed: false } => (Look::Answered, escape(&words.answered)),
        State::Declined => (Look::No, escape(&words.rung_declined)),
        State::Skipped => (Look::No, escape(&words.rung_skipped)),
        State::DoNotCall => (Look::No, escape(&words.rung_do_not_call)),
        State::Next { again_at: None } => (Look::Later, escape(&words.rung_next)),
        State::Later { again_at: None } => (Look::Later, escape(&words.rung_later)),
        State::Next { again_at: Some(time) } | State::Later { again_at: Some(time) } => (Look::No, again(time)),
        State::Spent => (Look::No, fill(&words.rung_spent, &[("tries", Html(&tries))])),
        State::NotRung => (Look::Later, escape(&words.rung_not_rung)),
    };
    let number = reader.number(&rung.number);
    match &rung.name {
        Some(name) => Rung { look, name: reader.name(name), number: Some(number), state },
        None => Rung { look, name: number, number: None, state },
    }
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
    use crate::ids::{CalleeId, HuntId};
    use uuid::Uuid;

    fn rung(number: u128, attempts: i32) -> RungRow {
        RungRow {
            id: CalleeId(Uuid::from_u128(number)),
            hunt_id: HuntId(Uuid::nil()),
            name: None,
            number: number.to_string(),
            max_attempts: 2,
            min_interval_s: 60,
            attempts,
            last_offered_at: (attempts > 0).then_some(DateTime::UNIX_EPOCH),
            verdict: None,
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

    #[test]
    fn one_is_rung_one_is_next() {
        let rungs = [rung(1, 1), rung(2, 1), rung(3, 0), rung(4, 0)];
        let again_at = DateTime::from_timestamp(60, 0);
        assert!(again_at.is_some());
        assert_eq!(
            states(&rungs, &[ringing(&rungs[1])], &[], false),
            [State::Later { again_at }, State::Ringing(0), State::Next { again_at: None }, State::Later { again_at: None }]
        );
        assert_eq!(states(&rungs, &[], &[], true), [State::Spent, State::Spent, State::NotRung, State::NotRung]);
    }

    #[test]
    fn who_cannot_be_dialled_is_not_rung() {
        let rungs = [RungRow { max_attempts: 0, ..rung(1, 0) }, rung(2, 0)];
        assert_eq!(states(&rungs, &[], &[], false), [State::NotRung, State::Next { again_at: None }]);
    }

    #[test]
    fn tries_are_used_up() {
        let rungs = [rung(1, 2), rung(2, 1)];
        let states = states(&rungs, &[], &[], false);
        assert_eq!(states[0], State::Spent);
        assert_eq!(states[1], State::Next { again_at: Some(DateTime::from_timestamp(60, 0).unwrap()) });
    }
}
