//! What an answer covers: somebody took an alarm as it was when they were called. What came into it later is rung for.

use chrono::{DateTime, TimeDelta, Utc};

/// What came into an alarm, and when last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// It became more urgent.
    pub worse_at: Option<DateTime<Utc>>,
    /// Something began to burn in it that had not.
    pub news_at: Option<DateTime<Utc>>,
}

/// What an answer leaves to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It covers everything.
    Nothing,
    /// Whoever answered did not hear of something new: it is rung for then.
    RingAt(DateTime<Utc>),
    /// Whoever answered heard of something less urgent: it rings at once.
    RingNow,
}

/// Up to when somebody has heard what is in an alarm who picked up in a call that was handed out at an instant. A phone that says when it was
/// connected may have begun to ring later. Whoever pressed a key answered what the call was handed out with.
#[must_use]
pub fn heard_at(offered_at: DateTime<Utc>, connected_at: Option<DateTime<Utc>>, pressed: bool) -> DateTime<Utc> {
    match connected_at {
        Some(connected_at) if !pressed => connected_at.max(offered_at),
        _ => offered_at,
    }
}

/// Whether the word of a call still counts for an alarm that was given back at an instant: nobody's does who was called before, or the alarm
/// would wake nobody; but for a key of which it is known that it was pressed since.
#[must_use]
pub fn outlives(given_back_at: Option<DateTime<Utc>>, offered_at: DateTime<Utc>, key_at: Option<DateTime<Utc>>) -> bool {
    given_back_at.is_none_or(|at| offered_at > at || key_at.is_some_and(|key_at| key_at > at))
}

/// What is left of an alarm that was taken by somebody who had heard what was in it up to `heard_at`. `ring_for_new`: what is new is rung for, a
/// `rehunt` after people were last rung at `rung_at`.
#[must_use]
pub fn left(came: Came, heard_at: DateTime<Utc>, ring_for_new: bool, rung_at: DateTime<Utc>, rehunt: TimeDelta) -> Left {
    let later = |at: Option<DateTime<Utc>>| at.is_some_and(|at| at > heard_at);
    match () {
        () if later(came.worse_at) => Left::RingNow,
        () if ring_for_new && later(came.news_at) => Left::RingAt(rung_at + rehunt),
        () => Left::Nothing,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn what_was_given_back_is_taken_by_nobody_who_was_called_before() {
        assert!(outlives(None, at(0), None));
        assert!(!outlives(Some(at(5)), at(4), None) && !outlives(Some(at(5)), at(5), Some(at(5))));
        assert!(outlives(Some(at(5)), at(6), None), "they were called since");
        assert!(!outlives(Some(at(5)), at(0), Some(at(4))) && outlives(Some(at(5)), at(0), Some(at(6))));
    }

    fn maybe() -> impl Strategy<Value = Option<i64>> {
        prop::option::of(0..1_000_i64)
    }

    proptest! {
        #[test]
        fn an_answer_covers_what_came_before_it_and_nothing_else(
            worse in maybe(), news in maybe(), heard in 0..1_000_i64, rung in 0..1_000_i64, on in any::<bool>(),
        ) {
            let came = Came { worse_at: worse.map(at), news_at: news.map(at) };
            let left = left(came, at(heard), on, at(rung), TimeDelta::minutes(15));
            let late = |it: Option<i64>| it.is_some_and(|it| it > heard);
            let wanted = match (late(worse), late(news) && on) {
                (true, _) => Left::RingNow,
                (false, true) => Left::RingAt(at(rung + 900)),
                (false, false) => Left::Nothing,
            };
            prop_assert_eq!(left, wanted);
        }

        #[test]
        fn nobody_has_heard_more_than_the_call_could_say(offered in 0..1_000_i64, connected in maybe(), pressed in any::<bool>()) {
            let heard = heard_at(at(offered), connected.map(at), pressed);
            prop_assert!(heard >= at(offered), "what was there when it was handed out is covered");
            prop_assert!(heard == at(offered) || (!pressed && Some(heard) == connected.map(at)));
        }
    }
}
