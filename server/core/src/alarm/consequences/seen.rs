//! What was on the screen when somebody pressed. A press takes nothing over, and gives nothing back, that its page did not show: whoever was
//! slower is told who was faster.

use super::{Answer, Effect, Hunt, current};
use crate::alarm::HuntOutcome;
use crate::ids::AnswerId;

/// The confirmed answer that counts by now and that a press has not seen. `seen`: the answers that stood on its page; `None`: it comes from
/// where nobody can say what they saw, such as a phone, and means whatever is the case.
#[must_use]
pub fn overlooked<'a>(answers: &'a [Answer], seen: Option<&[AnswerId]>) -> Option<&'a Answer> {
    let seen = seen?;
    current(answers).filter(|answer| answer.confirmed_at.is_some() && !seen.contains(&answer.id))
}

/// The answer that is given back, when somebody does; else what came of it. `theirs`: the answers that are theirs to give back.
///
/// # Errors
/// [`Effect::Already`] when nobody has the alarm, as after the same press twice; [`Effect::Overtaken`] when somebody else has it, or they
/// have taken it again since.
pub fn given_back(hunt: Hunt, answers: &[Answer], theirs: &[AnswerId], seen: Option<&[AnswerId]>) -> Result<AnswerId, Effect> {
    // Where a hunt goes on, nobody has it yet: whoever picked up says that they cannot.
    let answer = current(answers).filter(|_| hunt.outcome == Some(HuntOutcome::Answered)).ok_or(Effect::Already)?;
    let was_seen = seen.is_none_or(|seen| seen.contains(&answer.id));
    if theirs.contains(&answer.id) && was_seen { Ok(answer.id) } else { Err(Effect::Overtaken) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use chrono::DateTime;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::alarm::Until;

    fn hunt(outcome: Option<HuntOutcome>) -> Hunt {
        Hunt { until: Until::First, outcome, wants_word: false, wants_key: false }
    }

    fn id(number: usize) -> AnswerId {
        AnswerId(Uuid::from_u128(number as u128 + 1))
    }

    /// Each given with when it was confirmed, and whether it lapsed.
    fn answers(given: &[(Option<i64>, bool)]) -> Vec<Answer> {
        let one = |(number, (confirmed, lapsed)): (usize, &(Option<i64>, bool))| Answer {
            id: id(number),
            mid: None,
            callee: None,
            confirmed_at: confirmed.map(|at| DateTime::from_timestamp(at, 0).unwrap()),
            lapsed: *lapsed,
            by_key: false,
        };
        given.iter().enumerate().map(one).collect()
    }

    #[test]
    fn the_second_press_has_not_seen_the_first() {
        let taken = answers(&[(Some(1), false)]);
        assert_eq!(overlooked(&taken, Some(&[])).map(|answer| answer.id), Some(id(0)));
        assert_eq!(overlooked(&taken, Some(&[id(0)])), None, "who took it stood there, and it is taken over");
        assert_eq!(overlooked(&taken, None), None);
        assert_eq!(overlooked(&answers(&[(None, false)]), Some(&[])), None, "picking up is not taking");
    }

    #[test]
    fn only_whoever_has_it_gives_it_back_and_only_once() {
        let answered = hunt(Some(HuntOutcome::Answered));
        let taken = answers(&[(Some(1), false), (Some(2), false)]);
        assert_eq!(given_back(answered, &taken, &[id(1)], Some(&[id(1)])), Ok(id(1)));
        assert_eq!(given_back(answered, &taken, &[id(0)], None), Err(Effect::Overtaken), "somebody has taken it over");
        assert_eq!(given_back(answered, &taken, &[id(1)], Some(&[id(0)])), Err(Effect::Overtaken), "taken again since");
        for outcome in [None, Some(HuntOutcome::NoAnswer), Some(HuntOutcome::Resolved)] {
            assert_eq!(given_back(hunt(outcome), &taken, &[id(1)], None), Err(Effect::Already), "{outcome:?}");
        }
        assert_eq!(given_back(answered, &[], &[], None), Err(Effect::Already));
    }

    proptest! {
        /// Whatever was given and seen: what is given back is the one answer that counts, theirs, and seen; and a press that has overlooked
        /// something gives nothing back.
        #[test]
        fn nothing_is_given_back_that_was_not_seen(
            given in prop::collection::vec((prop::option::of(0_i64..9), any::<bool>()), 0..5),
            theirs in prop::collection::vec(0_usize..5, 0..4),
            seen in prop::option::of(prop::collection::vec(0_usize..5, 0..4)),
        ) {
            let answers = answers(&given);
            let theirs: Vec<AnswerId> = theirs.into_iter().map(id).collect();
            let seen: Option<Vec<AnswerId>> = seen.map(|all| all.into_iter().map(id).collect());
            let overlooked = overlooked(&answers, seen.as_deref());
            if let Some(answer) = overlooked {
                prop_assert!(answer.confirmed_at.is_some() && !seen.as_ref().unwrap().contains(&answer.id));
            }
            let given_back = given_back(hunt(Some(HuntOutcome::Answered)), &answers, &theirs, seen.as_deref());
            if let Ok(answer) = given_back {
                prop_assert_eq!(Some(answer), current(&answers).map(|answer| answer.id));
                prop_assert!(theirs.contains(&answer) && overlooked.is_none());
            } else if theirs.len() == given.len() && seen.is_none() {
                let all_theirs = answers.iter().all(|answer| theirs.contains(&answer.id));
                prop_assert!(!all_theirs || current(&answers).is_none());
            }
        }
    }
}
