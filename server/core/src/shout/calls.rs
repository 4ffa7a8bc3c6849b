//! What becomes of one recipient of a shout, by what is heard of their call.

use android_protocol::wire::{CallOutcome, FailureDetail};
use chrono::{DateTime, TimeDelta, Utc};

use super::CallStatus;
use super::pace::Pace;

/// What is known of one recipient's call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Where it stands.
    pub status: CallStatus,
    /// How often it was tried again.
    pub retries: u32,
    /// It is not tried before this.
    pub due_at: Option<DateTime<Utc>>,
    /// When its latest try was handed out.
    pub started_at: Option<DateTime<Utc>>,
    /// When that one was over.
    pub finished_at: Option<DateTime<Utc>>,
    /// How long they talked, in seconds.
    pub seconds: i64,
    /// The cause of the telephone network (ITU-T Q.850), as far as the document tells them apart.
    pub q850: i32,
}

impl Call {
    /// That of a recipient nobody has called.
    #[must_use]
    pub fn new(status: CallStatus) -> Self {
        Self { status, retries: 0, due_at: None, started_at: None, finished_at: None, seconds: 0, q850: 0 }
    }
}

/// How a call ended, as its handset reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What became of it.
    pub outcome: CallOutcome,
    /// What failed.
    pub detail: Option<FailureDetail>,
    /// How long they talked.
    pub seconds: i64,
    /// When it was over.
    pub at: DateTime<Utc>,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The message is there.
    MessageReady,
    /// A handset is given it.
    HandedOut,
    /// A handset tells how it ended.
    Ended(Ended),
    /// Nobody told in time how it ended.
    Unheard,
    /// The callee pressed the key by which they opt out.
    OptedOut,
    /// The number turned out to be one that must not be called.
    Barred,
    /// No phone can dial the number.
    BadNumber,
    /// Its number is needed for an urgent alarm. `heard`: the message was said once.
    GaveWay {
        /// Whether it was.
        heard: bool,
    },
    /// The shout was taken back.
    Cancelled,
    /// The shout took too long.
    TimedOut,
}

impl CallStatus {
    /// Nothing more is done about it.
    #[must_use]
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Pending | Self::Ready | Self::Ongoing)
    }
}

/// What a try came to.
enum Try {
    /// It was none: somebody else was on the line, or the trunk does not work.
    GivenBack,
    /// It may go better the next time.
    Failed,
    /// It is over, with this status and cause.
    Over(CallStatus, i32),
}

fn came_to(ended: &Ended) -> Try {
    match (ended.outcome, ended.detail) {
        (CallOutcome::Answered, _) => Try::Over(CallStatus::Completed, 0),
        (CallOutcome::NoAnswer, _) => Try::Over(CallStatus::NoAnswer, 18),
        (CallOutcome::Busy | CallOutcome::Rejected, _) => Try::Over(CallStatus::Busy, 17),
        (CallOutcome::Failed, Some(FailureDetail::BadNumber)) => Try::Over(CallStatus::Failed, 1),
        (CallOutcome::Failed, Some(FailureDetail::Media)) => Try::Over(CallStatus::AppError, 127),
        (CallOutcome::NotDialled, _) | (CallOutcome::Failed, Some(FailureDetail::Auth | FailureDetail::Trunk)) => Try::GivenBack,
        (CallOutcome::Failed, Some(FailureDetail::Unreachable) | None) => Try::Failed,
    }
}

/// What never left its handset is tried again after this.
const LINE_RESTS: TimeDelta = TimeDelta::seconds(15);

/// The cause that a failed try has, where nothing more is known.
const COULD_NOT_BE_MADE: i32 = 41;

/// What a call is after something happened to it. It is the same for what comes too late, or twice.
#[must_use]
pub fn after(call: &Call, word: Word, pace: &Pace, now: DateTime<Utc>) -> Call {
    use CallStatus::{Cancelled, Completed, DoNotCall, Failed, Ongoing, OptedOut, Pending, Ready, TimedOut};
    let call = call.clone();
    let over = |status: CallStatus, q850: i32| Call { status, q850, due_at: None, finished_at: Some(now), ..call.clone() };
    match (word, call.status) {
        (Word::MessageReady, Pending) => Call { status: Ready, ..call },
        (Word::HandedOut, Ready) => {
            Call { status: Ongoing, due_at: None, started_at: Some(now), finished_at: None, seconds: 0, q850: 0, ..call }
        }
        // Also of what was given up meanwhile: that it took too long was a guess.
        (Word::Ended(ended), Ongoing | TimedOut) => match came_to(&ended) {
            Try::GivenBack if call.status == TimedOut => call,
            Try::GivenBack => Call { status: Ready, started_at: None, due_at: Some(now + LINE_RESTS), ..call },
            Try::Failed => failed(&call, ended.at, pace),
            Try::Over(status, q850) => Call { seconds: ended.seconds.max(0), finished_at: Some(ended.at), ..over(status, q850) },
        },
        // Nobody had told how it went, and now somebody does.
        (Word::Ended(ended), Failed) if call.q850 == COULD_NOT_BE_MADE => match came_to(&ended) {
            Try::Over(status, q850) => Call { seconds: ended.seconds.max(0), finished_at: Some(ended.at), ..over(status, q850) },
            Try::GivenBack | Try::Failed => call,
        },
        // Whoever opted out, gave way or was cancelled stays so; how long they talked is news.
        (Word::Ended(ended), OptedOut | Cancelled | Completed) if call.started_at.is_some() => {
            Call { seconds: call.seconds.max(ended.seconds), finished_at: Some(ended.at), ..call }
        }
        // The phone may have rung: nobody is called twice for one message.
        (Word::Unheard, Ongoing) => over(Failed, COULD_NOT_BE_MADE),
        // They are not called again: nobody is for one message.
        (Word::GaveWay { heard }, Ongoing) => over(if heard { Completed } else { Cancelled }, 0),
        (Word::OptedOut, Cancelled | DoNotCall | OptedOut) => call,
        (Word::OptedOut, _) => over(OptedOut, 0),
        (Word::Barred, Pending | Ready) => over(DoNotCall, 0),
        (Word::BadNumber, Pending | Ready) => Call { started_at: Some(now), ..over(Failed, 1) },
        (Word::Cancelled, Pending | Ready | Ongoing) => over(Cancelled, 0),
        (Word::TimedOut, Pending | Ready | Ongoing) => over(TimedOut, 0),
        _ => call,
    }
}

fn failed(call: &Call, at: DateTime<Utc>, pace: &Pace) -> Call {
    let call = Call { finished_at: Some(at), q850: COULD_NOT_BE_MADE, ..call.clone() };
    match pace.retry_at(call.retries, at) {
        // What the shout has given up is not tried again.
        Some(due_at) if call.status == CallStatus::Ongoing => {
            Call { status: CallStatus::Ready, retries: call.retries + 1, due_at: Some(due_at), ..call }
        }
        _ => Call { status: CallStatus::Failed, due_at: None, ..call },
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use proptest::prelude::*;

    use super::*;

    const PACE: Pace =
        Pace { calls_per_second: 25, batch_size: 50, length_ratio: 1.5, patience: TimeDelta::seconds(300), most_retries: 3 };

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn ended(outcome: CallOutcome, detail: Option<FailureDetail>) -> Word {
        Word::Ended(Ended { outcome, detail, seconds: 7, at: at(50) })
    }

    fn through(words: &[Word]) -> Call {
        words.iter().fold(Call::new(CallStatus::Ready), |call, word| after(&call, *word, &PACE, at(40)))
    }

    #[test]
    fn each_end_has_its_word_and_cause() {
        let told = |outcome, detail| {
            let call = through(&[Word::HandedOut, ended(outcome, detail)]);
            (call.status.as_str(), call.q850)
        };
        assert_eq!(told(CallOutcome::Answered, None), ("completed", 0));
        assert_eq!(told(CallOutcome::NoAnswer, None), ("no-answer", 18));
        assert_eq!(told(CallOutcome::Busy, None), ("busy", 17));
        assert_eq!(told(CallOutcome::Rejected, None), ("busy", 17));
        assert_eq!(told(CallOutcome::Failed, Some(FailureDetail::BadNumber)), ("failed", 1));
        assert_eq!(told(CallOutcome::Failed, Some(FailureDetail::Media)), ("app-error", 127));
        assert_eq!(told(CallOutcome::Failed, None), ("ready", 41), "tried again");
        assert_eq!(told(CallOutcome::NotDialled, None), ("ready", 0));
        assert_eq!(told(CallOutcome::Failed, Some(FailureDetail::Trunk)), ("ready", 0));
    }

    #[test]
    fn only_what_failed_is_tried_again() {
        let failed = ended(CallOutcome::Failed, None);
        let call = through(&[Word::HandedOut, failed]);
        assert_eq!((call.retries, call.due_at), (1, Some(at(110))));
        let call = through(&[Word::HandedOut, failed, Word::HandedOut, failed, Word::HandedOut, failed, Word::HandedOut, failed]);
        assert_eq!((call.status, call.retries, call.due_at), (CallStatus::Failed, 3, None));
    }

    #[test]
    fn whoever_opts_out_stays_so() {
        let call =
            through(&[Word::HandedOut, Word::OptedOut, Word::OptedOut, ended(CallOutcome::Answered, None), Word::Cancelled]);
        assert_eq!((call.status.as_str(), call.seconds, call.finished_at), ("added to do not call", 7, Some(at(50))));
    }

    #[test]
    fn what_was_taken_back_stays_so_and_what_was_over_too() {
        let call = through(&[Word::HandedOut, Word::Cancelled, ended(CallOutcome::Answered, None)]);
        assert_eq!((call.status.as_str(), call.seconds), ("cancelled", 7));
        let call = through(&[Word::HandedOut, ended(CallOutcome::Busy, None), Word::Cancelled]);
        assert_eq!(call.status.as_str(), "busy");
    }

    #[test]
    fn a_late_word_tells_what_became_of_it_after_all() {
        let late = |outcome| through(&[Word::HandedOut, Word::TimedOut, ended(outcome, None)]).status.as_str();
        assert_eq!((late(CallOutcome::Answered), late(CallOutcome::Failed)), ("completed", "failed"));
        assert_eq!(
            through(&[Word::HandedOut, Word::TimedOut, ended(CallOutcome::NotDialled, None)]).status.as_str(),
            "timed-out"
        );
    }

    fn word() -> impl Strategy<Value = Word> {
        let outcome = prop_oneof![
            Just(CallOutcome::Answered),
            Just(CallOutcome::NoAnswer),
            Just(CallOutcome::Busy),
            Just(CallOutcome::Rejected),
            Just(CallOutcome::Failed),
            Just(CallOutcome::NotDialled),
        ];
        let detail = prop_oneof![
            Just(None),
            Just(Some(FailureDetail::BadNumber)),
            Just(Some(FailureDetail::Unreachable)),
            Just(Some(FailureDetail::Auth)),
            Just(Some(FailureDetail::Trunk)),
            Just(Some(FailureDetail::Media)),
        ];
        prop_oneof![
            Just(Word::MessageReady),
            Just(Word::HandedOut),
            (outcome, detail, -5_i64..100, 0_i64..100).prop_map(|(outcome, detail, seconds, then)| Word::Ended(Ended {
                outcome,
                detail,
                seconds,
                at: at(then)
            })),
            Just(Word::Unheard),
            Just(Word::OptedOut),
            Just(Word::Barred),
            Just(Word::BadNumber),
            Just(Word::Cancelled),
            Just(Word::TimedOut),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens(words in proptest::collection::vec(word(), 0..30)) {
            let mut call = Call::new(CallStatus::Pending);
            let mut reached = 0;
            for word in words {
                let next = after(&call, word, &PACE, at(40));
                if call.status.is_over() {
                    prop_assert!(next.status.is_over(), "{:?} went on by {word:?}", call.status);
                }
                if call.status == CallStatus::OptedOut || call.status == CallStatus::Cancelled {
                    prop_assert_eq!(next.status, call.status);
                }
                reached += u32::from(matches!((word, call.status), (Word::Ended(Ended { outcome: CallOutcome::Answered, .. }), CallStatus::Ongoing)));
                prop_assert!(reached <= 1, "nobody is reached twice for one message");
                prop_assert!(next.retries <= PACE.most_retries && next.seconds >= 0);
                prop_assert_eq!(&after(&next, word, &PACE, at(40)), &next, "twice is once");
                prop_assert!(next.due_at.is_none() || next.status == CallStatus::Ready);
                call = next;
            }
            for last in [Word::TimedOut, Word::Cancelled] {
                prop_assert!(after(&call, last, &PACE, at(40)).status.is_over(), "every end is reached");
            }
        }
    }
}
