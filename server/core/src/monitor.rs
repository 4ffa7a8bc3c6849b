//! A second installation watches the first by a test that goes all the way an alarm goes. What such a test goes through, when its failures
//! are worth waking somebody for, and what is said then.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What a test goes through, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It answers, and lets the monitor in.
    Reach,
    /// It says that it can do its work.
    Ready,
    /// It has a phone that could ring somebody, and no alarm waits for one.
    Phones,
    /// It takes a test alarm.
    Raise,
    /// It hands the first number out.
    HandOut,
    /// It hears that nobody picked up.
    Report,
    /// It goes on to the second number.
    NextCallee,
    /// It hears that somebody picked up.
    Answer,
    /// It says who did, and means whoever it was.
    Attribution,
}

impl Stage {
    /// All of them, in their order.
    pub const ALL: [Self; 9] = [
        Self::Reach,
        Self::Ready,
        Self::Phones,
        Self::Raise,
        Self::HandOut,
        Self::Report,
        Self::NextCallee,
        Self::Answer,
        Self::Attribution,
    ];

    /// The word by which it is kept and told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reach => "reach",
            Self::Ready => "ready",
            Self::Phones => "phones",
            Self::Raise => "raise",
            Self::HandOut => "hand_out",
            Self::Report => "report",
            Self::NextCallee => "next_callee",
            Self::Answer => "answer",
            Self::Attribution => "attribution",
        }
    }

    /// Reads that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == word)
    }

    /// What is right when it is passed.
    #[must_use]
    pub fn passed(self) -> &'static str {
        match self {
            Self::Reach => "it answers and knows the key",
            Self::Ready => "it says that it can do its work",
            Self::Phones => "a phone could ring somebody, and no alarm waits for one",
            Self::Raise => "it takes an alarm",
            Self::HandOut => "it hands the first number out",
            Self::Report => "it hears that nobody picked up",
            Self::NextCallee => "it goes on to the next number",
            Self::Answer => "it hears that somebody picked up",
            Self::Attribution => "it says who answered",
        }
    }

    /// What is wrong when it is not.
    #[must_use]
    pub fn failed(self) -> &'static str {
        match self {
            Self::Reach => "it does not answer",
            Self::Ready => "it says that it cannot do its work",
            Self::Phones => "it has no phone that could ring anybody",
            Self::Raise => "it takes no alarm",
            Self::HandOut => "it takes an alarm and hands no number out",
            Self::Report => "it does not hear how a call ended",
            Self::NextCallee => "it does not go on to the next number",
            Self::Answer => "it does not hear that somebody picked up",
            Self::Attribution => "it does not know who answered",
        }
    }
}

/// Why a test did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How far it got.
    pub stage: Stage,
    /// What was seen there: a few words, without any secret.
    pub why: String,
}

/// Longest text of what was seen, in characters: it is kept, and read aloud.
const LONGEST_WHY: usize = 300;

impl Failure {
    /// A failure with what was seen, cut where that is long.
    #[must_use]
    pub fn new(stage: Stage, why: &str) -> Self {
        Self { stage, why: why.chars().filter(|letter| !letter.is_control()).take(LONGEST_WHY).collect() }
    }

    /// The sentence by which somebody is woken: it is heard, so what matters comes first.
    #[must_use]
    pub fn sentence(&self, watched: &str) -> String {
        format!("The alerting of {watched} fails its test: {} ({})", self.stage.failed(), self.why)
    }
}

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How long it took.
    pub took: Duration,
    /// Why it failed; `None`: it came to its end.
    pub failure: Option<Failure>,
}

/// What came of the tests so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// So many in a row failed.
    pub failures: u32,
    /// Since when.
    pub failing_since: Option<DateTime<Utc>>,
    /// An alarm was raised for that.
    pub told: bool,
}

/// What follows from a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// Nothing.
    Nothing,
    /// Somebody is to be woken.
    Raise,
    /// What somebody was woken for is over.
    End,
}

impl Standing {
    /// What the tests come to with one more. An alarm is raised once for each time that they fail, with the `limit`-th failure in a row:
    /// whoever has called it off is not woken again for the same.
    #[must_use]
    pub fn after(self, failed: bool, limit: u32, now: DateTime<Utc>) -> (Self, Follows) {
        if !failed {
            return (Self::default(), if self.told { Follows::End } else { Follows::Nothing });
        }
        let failures = self.failures.saturating_add(1);
        let since = self.failing_since.or(Some(now));
        let raise = !self.told && failures >= limit.max(1);
        (Self { failures, failing_since: since, told: self.told }, if raise { Follows::Raise } else { Follows::Nothing })
    }
}

/// Whether a test is due.
#[must_use]
pub fn is_due(tried_at: Option<DateTime<Utc>>, every: Duration, now: DateTime<Utc>) -> bool {
    let every = chrono::TimeDelta::from_std(every).unwrap_or(chrono::TimeDelta::MAX);
    // A time to come is of a clock that was wrong.
    tried_at.is_none_or(|tried| now - tried >= every || tried > now)
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
    fn stages_are_told_by_words_of_their_own() {
        let words: std::collections::BTreeSet<&str> = Stage::ALL.into_iter().map(Stage::as_str).collect();
        assert_eq!(words.len(), Stage::ALL.len());
        assert!(Stage::ALL.into_iter().all(|stage| Stage::parse(stage.as_str()) == Some(stage)));
        assert!(Stage::ALL.is_sorted() && Stage::parse("x").is_none());
    }

    #[test]
    fn the_sentence_says_what_is_wrong_and_where() {
        let failure = Failure::new(Stage::HandOut, "nothing came within\n20 s");
        let said = failure.sentence("pager.example.org");
        assert_eq!(
            said,
            "The alerting of pager.example.org fails its test: it takes an alarm and hands no number out (nothing came within20 s)"
        );
        assert_eq!(Failure::new(Stage::Reach, &"x".repeat(1_000)).why.len(), LONGEST_WHY);
    }

    #[test]
    fn one_alarm_for_each_time_that_tests_fail() {
        use Follows::{End, Nothing, Raise};
        let mut standing = Standing::default();
        let mut told = Vec::new();
        for (second, failed) in [true, false, true, true, true, true, false, false, true, true, true].into_iter().enumerate() {
            let follows;
            (standing, follows) = standing.after(failed, 3, at(i64::try_from(second).unwrap()));
            standing.told |= follows == Follows::Raise;
            told.push(follows);
        }
        assert_eq!(told, [Nothing, Nothing, Nothing, Nothing, Raise, Nothing, End, Nothing, Nothing, Nothing, Raise]);
        assert_eq!(standing.failing_since, Some(at(8)), "since the first of these");
    }

    #[test]
    fn an_alarm_that_could_not_be_raised_is_tried_again() {
        let standing = Standing { failures: 3, failing_since: Some(at(0)), told: false };
        assert_eq!(standing.after(true, 3, at(9)).1, Follows::Raise);
    }

    #[test]
    fn tests_come_in_time() {
        let minute = Duration::from_mins(1);
        assert!(is_due(None, minute, at(0)));
        assert!(!is_due(Some(at(0)), minute, at(59)) && is_due(Some(at(0)), minute, at(60)));
        assert!(is_due(Some(at(100)), minute, at(0)), "the clock was wrong");
    }

    proptest! {
        #[test]
        fn whatever_comes_somebody_is_told_exactly_once_until_it_is_over(tests in prop::collection::vec(any::<bool>(), 0..60), limit in 1_u32..6) {
            let (mut standing, mut open, mut row) = (Standing::default(), false, 0);
            for (second, failed) in tests.into_iter().enumerate() {
                let (next, follows) = standing.after(failed, limit, at(i64::try_from(second).unwrap()));
                row = if failed { row + 1 } else { 0 };
                match follows {
                    Follows::Raise => { prop_assert!(!open && row >= limit); open = true; }
                    Follows::End => { prop_assert!(open && !failed); open = false; }
                    Follows::Nothing => prop_assert_eq!(open, row >= limit),
                }
                standing = Standing { told: open, ..next };
                prop_assert_eq!(standing.failing_since.is_some(), failed);
            }
        }
    }
}
