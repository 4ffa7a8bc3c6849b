//! What a shout goes through: its message, its calls, its end.

use chrono::{DateTime, TimeDelta, Utc};

use super::pace::LATE_WITHIN;
use super::{RecordingStep, ShoutStatus};

/// How long each step of a recording may take. The document gives fifteen seconds from picking up to the star, which is shorter than what is
/// said in them.
fn longest(step: RecordingStep) -> TimeDelta {
    match step {
        RecordingStep::Placed => TimeDelta::seconds(300),
        RecordingStep::Answered => TimeDelta::seconds(120),
        RecordingStep::NoCall
        | RecordingStep::PressedStar
        | RecordingStep::Recorded
        | RecordingStep::Confirmed
        | RecordingStep::Refused => TimeDelta::seconds(600),
    }
}

/// What is known of a shout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// Where it stands.
    pub status: ShoutStatus,
    /// How far its recording has got.
    pub step: RecordingStep,
    /// Since when.
    pub step_at: DateTime<Utc>,
    /// Its message can be played or spoken.
    pub has_message: bool,
    /// When it is to go out.
    pub schedule: Option<DateTime<Utc>>,
    /// When its first call was handed out.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub finished_at: Option<DateTime<Utc>>,
}

/// What happens to a shout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Its recording has got that far.
    Step(RecordingStep),
    /// Its message is stored.
    Stored,
    /// The caller hung up or was not reached, without having confirmed.
    GaveUp,
    /// Nobody can be called for the recording.
    CannotRecord,
    /// A first call is handed out.
    HandedOut,
    /// No call is under way or waits; the last one ended then.
    AllOver(Option<DateTime<Utc>>),
    /// Somebody takes it back.
    Cancel,
    /// Time goes on.
    Time {
        /// When its calls take too long.
        overdue_at: DateTime<Utc>,
        /// Since when there has been no handset that could make them.
        no_voice_since: Option<DateTime<Utc>>,
        /// For how long one is waited for.
        wait_for_voice: TimeDelta,
    },
}

impl ShoutStatus {
    /// Nothing more is done about it, but that one that took too long may finish after all.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::TimedOut | Self::Canceled | Self::Error)
    }
}

impl Course {
    /// A shout that was just taken in. `has_message`: it brought one, or takes over another's. `callable`: somebody may be called.
    #[must_use]
    pub fn new(has_message: bool, callable: bool, schedule: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Self {
        let course = Self {
            status: ShoutStatus::Pending,
            step: RecordingStep::NoCall,
            step_at: now,
            has_message,
            schedule,
            started_at: None,
            finished_at: None,
        };
        if has_message { course.ready(callable, now) } else { course }
    }

    /// Its message is there.
    fn ready(self, callable: bool, now: DateTime<Utc>) -> Self {
        match (callable, self.schedule) {
            (false, _) => self.over(ShoutStatus::Canceled, now),
            (true, Some(at)) if at > now => Self { status: ShoutStatus::Scheduled, ..self },
            (true, _) => Self { status: ShoutStatus::Ready, ..self },
        }
    }

    fn over(self, status: ShoutStatus, at: DateTime<Utc>) -> Self {
        Self { status, finished_at: Some(at), ..self }
    }

    /// What it is after something happened; `callable`: somebody may be called. It is the same for what comes too late, or twice.
    #[must_use]
    pub fn after(&self, word: Word, callable: bool, now: DateTime<Utc>) -> Self {
        use ShoutStatus::{Canceled, Error, Finished, Ongoing, Pending, Ready, Scheduled, TimedOut};
        let course = self.clone();
        match (word, self.status) {
            (Word::Step(step), Pending) => course.stepped(step, callable, now),
            (Word::Stored, Pending) if self.step == RecordingStep::Confirmed => {
                Self { has_message: true, ..course }.ready(callable, now)
            }
            // Confirmed later, or never.
            (Word::Stored, Pending) => Self { has_message: true, ..course },
            (Word::GaveUp, Pending) if self.step != RecordingStep::Confirmed => course.over(Canceled, now),
            (Word::CannotRecord, Pending) => Self { step: RecordingStep::Refused, step_at: now, ..course }.over(Error, now),
            (Word::HandedOut, Ready | Scheduled) => Self { status: Ongoing, started_at: Some(now), ..course },
            // Where nobody could be called at all, it was over when it began.
            (Word::AllOver(last), Ready | Scheduled | Ongoing) => {
                Self { started_at: self.started_at.or(Some(now)), ..course }.over(Finished, last.unwrap_or(now))
            }
            (Word::AllOver(last), TimedOut) if self.started_at.is_some_and(|started| now - started <= LATE_WITHIN) => {
                course.over(Finished, last.unwrap_or(now))
            }
            (Word::Cancel, Pending | Ready | Scheduled | Ongoing) => course.over(Canceled, now),
            (Word::Time { no_voice_since, wait_for_voice, overdue_at }, status) => {
                let no_voice = no_voice_since.is_some_and(|since| now - since > wait_for_voice);
                match status {
                    Pending if self.step == RecordingStep::NoCall && no_voice => course.over(Error, now),
                    Pending if now - self.step_at > longest(self.step) => {
                        // What was confirmed and never came is nobody's delay.
                        let lost = self.step == RecordingStep::Confirmed || self.step == RecordingStep::NoCall;
                        course.over(if lost { Error } else { TimedOut }, now)
                    }
                    Ready if no_voice => course.over(Error, now),
                    Scheduled if no_voice && self.schedule.is_none_or(|at| now - at > wait_for_voice) => course.over(Error, now),
                    Ongoing if now > overdue_at => course.over(TimedOut, now),
                    _ => course,
                }
            }
            _ => course,
        }
    }

    /// Steps follow each other; only whoever listens to a recording may speak anew.
    fn stepped(self, step: RecordingStep, callable: bool, now: DateTime<Utc>) -> Self {
        let anew = self.step == RecordingStep::Recorded && step == RecordingStep::PressedStar;
        if step == RecordingStep::Recorded && step == self.step {
            // They listen once more.
            return Self { step_at: now, ..self };
        }
        if !anew && step <= self.step || step == RecordingStep::Refused {
            return self;
        }
        // What was stored of an earlier try is no message any more.
        let has_message = self.has_message && !anew;
        let course = Self { step, step_at: now, has_message, ..self };
        if step == RecordingStep::Confirmed && course.has_message { course.ready(callable, now) } else { course }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    const FAR: i64 = 10_000_000;

    fn time(overdue: i64) -> Word {
        Word::Time { overdue_at: at(overdue), no_voice_since: None, wait_for_voice: TimeDelta::seconds(600) }
    }

    fn through(words: &[(i64, Word)]) -> Vec<&'static str> {
        let mut course = Course::new(false, true, None, at(0));
        let mut told = vec![course.status.as_str()];
        for (seconds, word) in words {
            course = course.after(*word, true, at(*seconds));
            if told.last() != Some(&course.status.as_str()) {
                told.push(course.status.as_str());
            }
        }
        told
    }

    use RecordingStep::{Answered, Confirmed, Placed, PressedStar, Recorded};

    #[test]
    fn a_shout_that_is_recorded_by_phone() {
        let words = [
            (1, Word::Step(Placed)),
            (5, Word::Step(Answered)),
            (9, Word::Step(PressedStar)),
            (20, Word::Step(Recorded)),
            (25, Word::Step(PressedStar)),
            (40, Word::Step(Recorded)),
            (50, Word::Step(Confirmed)),
            (51, Word::GaveUp),
            (53, Word::Stored),
            (60, Word::HandedOut),
            (90, Word::AllOver(Some(at(88)))),
            (91, Word::Cancel),
        ];
        assert_eq!(through(&words), ["pending", "ready", "ongoing", "finished"]);
    }

    #[test]
    fn nothing_brings_back_what_was_taken_back() {
        let words = [
            (1, Word::Step(Placed)),
            (2, Word::Cancel),
            (3, Word::Step(Confirmed)),
            (4, Word::Stored),
            (5, Word::HandedOut),
            (6, Word::AllOver(None)),
        ];
        assert_eq!(through(&words), ["pending", "canceled"]);
    }

    #[test]
    fn each_step_of_a_recording_has_its_time() {
        let ends = |step: RecordingStep, seconds: i64| *through(&[(0, Word::Step(step)), (seconds, time(FAR))]).last().unwrap();
        for (step, limit, end) in [
            (Placed, 300, "timed-out"),
            (Answered, 120, "timed-out"),
            (PressedStar, 600, "timed-out"),
            (Recorded, 600, "timed-out"),
            (Confirmed, 600, "error"),
        ] {
            assert_eq!((ends(step, limit), ends(step, limit + 1)), ("pending", end), "{step:?}");
        }
    }

    #[test]
    fn what_took_too_long_may_finish_after_all_but_not_a_recording() {
        let ready = [(0, Word::Step(Confirmed)), (0, Word::Stored), (10, Word::HandedOut), (400, time(399))];
        let with = |seconds: i64| [&ready[..], &[(seconds, Word::AllOver(None))]].concat();
        assert_eq!(through(&with(500)), ["pending", "ready", "ongoing", "timed-out", "finished"]);
        assert_eq!(through(&with(10 + 12 * 3600 + 1)), ["pending", "ready", "ongoing", "timed-out"]);
        let recording = [
            (0, Word::Step(Placed)),
            (301, time(FAR)),
            (302, Word::Step(Confirmed)),
            (303, Word::Stored),
            (304, Word::AllOver(None)),
        ];
        assert_eq!(through(&recording), ["pending", "timed-out"]);
    }

    #[test]
    fn without_a_handset_that_speaks() {
        let none = Word::Time { overdue_at: at(FAR), no_voice_since: Some(at(0)), wait_for_voice: TimeDelta::seconds(600) };
        let course = Course::new(true, true, None, at(0));
        assert_eq!(course.after(none, true, at(600)).status, ShoutStatus::Ready);
        assert_eq!(course.after(none, true, at(601)).status, ShoutStatus::Error);
        let later = Course::new(true, true, Some(at(10_000)), at(0));
        assert_eq!(later.after(none, true, at(10_600)).status, ShoutStatus::Scheduled);
        assert_eq!(later.after(none, true, at(10_601)).status, ShoutStatus::Error);
    }

    #[test]
    fn nobody_who_may_be_called() {
        assert_eq!(Course::new(true, false, None, at(0)).status, ShoutStatus::Canceled);
        let pending = Course::new(false, false, None, at(0));
        let confirmed = pending.after(Word::Step(Confirmed), false, at(1)).after(Word::Stored, false, at(2));
        assert_eq!(confirmed.status, ShoutStatus::Canceled);
    }

    fn word() -> impl Strategy<Value = Word> {
        prop_oneof![
            (0_usize..7).prop_map(|step| Word::Step(RecordingStep::ALL[step])),
            Just(Word::Stored),
            Just(Word::GaveUp),
            Just(Word::CannotRecord),
            Just(Word::HandedOut),
            proptest::option::of(0_i64..2000).prop_map(|last| Word::AllOver(last.map(at))),
            Just(Word::Cancel),
            (0_i64..3000).prop_map(time),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens(
            words in proptest::collection::vec((0_i64..200, word()), 0..40),
            has_message: bool,
            schedule in proptest::option::of(0_i64..2000),
        ) {
            let mut now = 0;
            let mut course = Course::new(has_message, true, schedule.map(at), at(0));
            for (pause, word) in words {
                now += pause;
                let next = course.after(word, true, at(now));
                if course.status.is_over() && next.status != course.status {
                    prop_assert_eq!((course.status, next.status), (ShoutStatus::TimedOut, ShoutStatus::Finished));
                    prop_assert!(course.started_at.is_some());
                }
                prop_assert!(matches!(next.status, ShoutStatus::Pending) || course.status != ShoutStatus::Pending || next.status.is_over() || next.has_message);
                prop_assert!(!matches!(next.status, ShoutStatus::Ready | ShoutStatus::Scheduled | ShoutStatus::Ongoing) || next.has_message);
                prop_assert_eq!(next.status.is_over(), next.finished_at.is_some());
                prop_assert_eq!(next.after(word, true, at(now)).status, next.status, "twice is once");
                course = next;
            }
            // From everywhere the end is reached: by its calls, or by time.
            let by_calls = course.after(Word::AllOver(None), true, at(now));
            let by_time = course.after(time(now), true, at(now + 100_000));
            prop_assert!(by_calls.status.is_over() || by_time.status.is_over());
        }
    }
}
