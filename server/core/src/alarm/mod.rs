//! The pure core of alerting: what a hunt is, whom it rings next, and who a report names. No I/O and no clock in here.

pub mod attribution;
pub mod burning;
pub mod call_record;
pub mod consequences;
pub mod coverage;
pub mod doer;
pub mod escalation;
pub mod event;
pub mod hunt;
pub mod live_command;
pub mod policy;
pub mod ringing;
pub mod script;
pub mod storm;
pub mod ways;

use android_protocol::wire::CallOutcome;
use serde::{Deserialize, Serialize};

/// How urgent an alarm is. A more urgent hunt is always handed out first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[repr(i32)]
pub enum Priority {
    /// Can wait for the morning.
    Low = 0,
    /// The default.
    Normal = 1,
    /// Before the others.
    High = 2,
    /// Before everything; does not wait for a number that is in another call.
    Critical = 3,
}

/// What an alarm, its hunts and its calls are for. Only what is an *alarm* has to be answered by somebody: it alone is on *Now*, in lists,
/// reports, notices and counts, joins others, follows policies, keeps quiet hours and maintenance, and is what a text message, a callee's own
/// link or a call back means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CallKind)]
pub enum AlarmKind {
    /// An alarm.
    #[default]
    Alarm,
    /// A test of a handset.
    Test,
    /// A message to many.
    Shout,
    /// A program that calls.
    Call,
}

impl AlarmKind {
    /// Whether somebody has to answer it.
    #[must_use]
    pub fn is_alarm(self) -> bool {
        self == Self::Alarm
    }

    /// How urgent it is when it was asked to be this urgent: nothing but an alarm goes before everything.
    #[must_use]
    pub fn priority(self, asked: Priority) -> Priority {
        match self {
            Self::Alarm => asked,
            Self::Test => asked.min(Priority::High),
            Self::Shout => Priority::Low,
            Self::Call => Priority::High,
        }
    }
}

impl Priority {
    /// The word used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// How an answer reached the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AnswerVia {
    /// A handset's report.
    Handset,
    /// Acknowledged through the API.
    #[default]
    Api,
    /// Acknowledged on the page.
    Page,
    /// By a callee's own link.
    Link,
    /// By a text message.
    Sms,
    /// Acknowledged on the command line.
    CommandLine,
}

/// Ring one callee after the other, or all at once on as many handsets as are free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// At most one open dial at a time.
    Sequential,
    /// One callee per dial, on as many handsets as are free.
    Parallel,
}

/// When a hunt has reached what it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Somebody answered.
    First,
    /// Every callee answered, declined, or has no attempts left.
    Everyone,
}

/// What became of one callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Picked up.
    Answered,
    /// Said no: is not rung again for this hunt.
    Declined,
    /// A person took them off this hunt.
    Skipped,
    /// Their number must not be called.
    DoNotCall,
    /// A handset was told that there is no such number.
    BadNumber,
}

/// How a hunt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HuntOutcome {
    /// Somebody was reached.
    Answered,
    /// Nobody was.
    NoAnswer,
    /// A person called it off.
    Cancelled,
    /// The source said that it is over.
    Resolved,
}

/// Why a hunt ended without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Every callee was rung as often as was asked.
    AttemptsUsed,
    /// Every callee was handed out as often as was asked, and of somebody no handset ever said that they were rung.
    NoReport,
    /// The hand-out limit was reached: handsets took the hunt but did not ring people with it.
    HandOutLimit,
    /// No handset polled in time.
    NoHandset,
    /// Everybody declined.
    AllDeclined,
    /// There was nobody to ring: no step led to a number that may be called.
    NobodyToRing,
}

/// How a dial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DialOutcome {
    /// The handset named who picked up.
    Answered,
    /// The handset reported that nobody did.
    Nobody,
    /// Its deadline passed without a report.
    Expired,
    /// A person cancelled the alarm.
    Cancelled,
    /// Not needed any more: somebody else answered, or a human confirmed.
    Superseded,
}

/// When an answer needs no further word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confirm {
    /// As soon as the line connects.
    None,
    /// Once somebody confirms it, in whichever way.
    Any,
    /// The same; and where the handset asks for a key, who presses none has not answered.
    Key,
}

/// What is wanted of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// It lapses unless somebody confirms it within so many seconds; `None`: it needs no confirmation.
    pub within: Option<i32>,
    /// Where a call asks for a key, nothing else in it is an answer.
    pub key: bool,
}

impl Confirmation {
    /// Seconds to confirm an answer where nobody says how many.
    pub const USUAL: i32 = 120;

    /// What an alarm or a policy says. Without `confirm`, an answer must be confirmed where a time is given.
    #[must_use]
    pub fn of(confirm: Option<Confirm>, within: Option<i32>) -> Self {
        match confirm {
            None => Self { within, key: false },
            Some(Confirm::None) => Self { within: None, key: false },
            Some(Confirm::Any) => Self { within: within.or(Some(Self::USUAL)), key: false },
            Some(Confirm::Key) => Self { within: within.or(Some(Self::USUAL)), key: true },
        }
    }

    /// What an alarm says of it goes before what its policy says.
    #[must_use]
    pub fn or(confirm: Option<Confirm>, within: Option<i32>, policy: Self) -> Self {
        match (confirm, within) {
            (None, None) => policy,
            (None, within) => Self { within, ..policy },
            (confirm, within) => Self::of(confirm, within.or(policy.within)),
        }
    }

    /// In one word.
    #[must_use]
    pub fn word(self) -> Confirm {
        match (self.key, self.within) {
            (true, _) => Confirm::Key,
            (false, Some(_)) => Confirm::Any,
            (false, None) => Confirm::None,
        }
    }
}

/// What a callee says with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyAction {
    /// They take it.
    Accept,
    /// Somebody else should.
    Decline,
    /// The same, and they do not want to be called about it any more.
    StopCalling,
}

/// Gives choices the words by which they are kept and told: here, and nowhere else.
macro_rules! words {
    ($($name:ident { $($choice:ident = $word:literal),+ $(,)? })+) => { $(
        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$choice),+];

            /// The word by which it is kept and told.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$choice => $word,)+
                }
            }

            /// Reads the word by which it is kept and told.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$choice),)+
                    _ => None,
                }
            }
        }
    )+ };
}
pub(crate) use words;

words! {
    AlarmKind { Alarm = "alarm", Test = "test", Shout = "shout", Call = "call" }
    Mode { Sequential = "sequential", Parallel = "parallel" }
    Until { First = "first", Everyone = "everyone" }
    AnswerVia {
        Handset = "handset", Api = "api", Page = "page", Link = "link", Sms = "sms", CommandLine = "command_line",
    }
    Verdict { Answered = "answered", Declined = "declined", Skipped = "skipped", DoNotCall = "do_not_call", BadNumber = "bad_number" }
    HuntOutcome { Answered = "answered", NoAnswer = "no_answer", Cancelled = "cancelled", Resolved = "resolved" }
    EndReason {
        AttemptsUsed = "attempts_used", NoReport = "no_report", HandOutLimit = "hand_out_limit", NoHandset = "no_handset",
        AllDeclined = "all_declined", NobodyToRing = "nobody_to_ring",
    }
    Confirm { None = "none", Any = "any", Key = "key" }
    KeyAction { Accept = "accept", Decline = "decline", StopCalling = "stop_calling" }
    DialOutcome {
        Answered = "answered", Nobody = "nobody", Expired = "expired", Cancelled = "cancelled", Superseded = "superseded",
    }
}

/// What became of one number of a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetOutcome {
    /// Whoever picked up said that somebody else should take it.
    Declined,
    /// How the call ended.
    Call(CallOutcome),
}

impl TargetOutcome {
    /// Everything that can become of one.
    pub const ALL: [Self; 7] = [
        Self::Declined,
        Self::Call(CallOutcome::Answered),
        Self::Call(CallOutcome::NoAnswer),
        Self::Call(CallOutcome::Busy),
        Self::Call(CallOutcome::Rejected),
        Self::Call(CallOutcome::Failed),
        Self::Call(CallOutcome::NotDialled),
    ];

    /// The word by which it is kept.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Declined => "declined",
            Self::Call(outcome) => outcome.as_str(),
        }
    }

    /// Reads the word by which it is kept.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }

    /// The phone that was called may have rung.
    #[must_use]
    pub fn was_dialled(self) -> bool {
        match self {
            Self::Declined => true,
            Self::Call(outcome) => outcome.was_dialled(),
        }
    }
}

/// The one word the API gives for an alarm: cancelled, then resolved, then what its hunt says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlarmState {
    /// Not handed out yet.
    Waiting,
    /// Handed out at least once.
    Ringing,
    /// Somebody was reached.
    Answered,
    /// Nobody was.
    NoAnswer,
    /// A person called it off.
    Cancelled,
    /// The source said that it is over.
    Resolved,
}

impl AlarmState {
    /// Derives the state from what is stored.
    #[must_use]
    pub fn of(cancelled: bool, resolved: bool, outcome: Option<HuntOutcome>, begun: bool) -> Self {
        match (cancelled, resolved, outcome) {
            (true, ..) | (false, false, Some(HuntOutcome::Cancelled)) => Self::Cancelled,
            (false, true, _) | (false, false, Some(HuntOutcome::Resolved)) => Self::Resolved,
            (false, false, Some(HuntOutcome::Answered)) => Self::Answered,
            (false, false, Some(HuntOutcome::NoAnswer)) => Self::NoAnswer,
            (false, false, None) if begun => Self::Ringing,
            (false, false, None) => Self::Waiting,
        }
    }

    /// The word used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ringing => "ringing",
            Self::Answered => "answered",
            Self::NoAnswer => "no_answer",
            Self::Cancelled => "cancelled",
            Self::Resolved => "resolved",
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    /// What JSON calls a choice, and that its word is read as it.
    fn is_told_as<T: Serialize + PartialEq + Copy + std::fmt::Debug>(
        all: &[T],
        word: fn(T) -> &'static str,
        read: fn(&str) -> Option<T>,
    ) {
        for choice in all {
            assert_eq!(serde_json::to_value(choice).unwrap(), word(*choice));
            assert_eq!(read(word(*choice)), Some(*choice));
        }
        assert_eq!(read("from tomorrow"), None);
    }

    #[test]
    fn only_an_alarm_goes_before_everything() {
        let all = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];
        let of = |kind: AlarmKind| all.map(|asked| kind.priority(asked));
        assert_eq!(of(AlarmKind::Alarm), all);
        assert_eq!(of(AlarmKind::Test), [Priority::Low, Priority::Normal, Priority::High, Priority::High]);
        assert_eq!(of(AlarmKind::Shout), [Priority::Low; 4]);
        assert_eq!(of(AlarmKind::Call), [Priority::High; 4]);
        assert_eq!(AlarmKind::ALL.iter().filter(|kind| kind.is_alarm()).count(), 1);
    }

    #[test]
    fn what_is_wanted_of_an_answer() {
        let of = |confirm, within| Confirmation::of(confirm, within);
        assert_eq!(of(None, None), Confirmation::default());
        assert_eq!(of(None, Some(60)), Confirmation { within: Some(60), key: false });
        assert_eq!(of(Some(Confirm::None), Some(60)), Confirmation::default());
        assert_eq!(of(Some(Confirm::Key), None), Confirmation { within: Some(120), key: true });
        let policy = of(Some(Confirm::Key), Some(300));
        assert_eq!(Confirmation::or(None, None, policy), policy);
        assert_eq!(Confirmation::or(None, Some(60), policy), Confirmation { within: Some(60), key: true });
        assert_eq!(Confirmation::or(Some(Confirm::Any), None, policy), Confirmation { within: Some(300), key: false });
        assert_eq!(Confirmation::or(Some(Confirm::None), None, policy), Confirmation::default());
        for word in Confirm::ALL {
            assert_eq!(of(Some(*word), None).word(), *word);
        }
    }

    #[test]
    fn a_choice_has_one_word() {
        is_told_as(AlarmKind::ALL, AlarmKind::as_str, AlarmKind::parse);
        is_told_as(Mode::ALL, Mode::as_str, Mode::parse);
        is_told_as(Until::ALL, Until::as_str, Until::parse);
        is_told_as(AnswerVia::ALL, AnswerVia::as_str, AnswerVia::parse);
        is_told_as(Verdict::ALL, Verdict::as_str, Verdict::parse);
        is_told_as(HuntOutcome::ALL, HuntOutcome::as_str, HuntOutcome::parse);
        is_told_as(EndReason::ALL, EndReason::as_str, EndReason::parse);
        is_told_as(Confirm::ALL, Confirm::as_str, Confirm::parse);
        is_told_as(KeyAction::ALL, KeyAction::as_str, KeyAction::parse);
        is_told_as(DialOutcome::ALL, DialOutcome::as_str, DialOutcome::parse);
        for outcome in TargetOutcome::ALL {
            assert_eq!(TargetOutcome::parse(outcome.as_str()), Some(outcome));
        }
    }
}
