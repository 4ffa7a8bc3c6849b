//! Shouts, one message to many people: what a shout and its calls go through, in the words of blast-api, whose clients read them.
//!
//! Each of these is a function of what is known and of one thing that happened. That something happens late, twice or out of order is
//! ordinary: then it changes nothing, or what it should have changed.

pub mod calls;
pub mod course;
pub mod message;
pub mod pace;
pub mod recipients;
pub mod records;
pub mod schedule;

use crate::alarm::words;

/// The longest name space of a sender, in characters.
pub const LONGEST_USERDATA: usize = 250;
/// The longest title, in characters.
pub const LONGEST_TITLE: usize = 250;
/// The longest number of whoever speaks a message, in characters.
pub const LONGEST_CALLER: usize = 16;
/// The longest number of a recipient as it is written, in characters.
pub const LONGEST_PHONE: usize = 64;

/// Where a shout stands. Its clients read these words, with this spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShoutStatus {
    /// Its message is not there yet.
    Pending,
    /// Its message is there; nobody has been called.
    Ready,
    /// Its calls wait for their time.
    Scheduled,
    /// Its calls are under way.
    Ongoing,
    /// All are over.
    Finished,
    /// They took too long, or the recording of the message did.
    TimedOut,
    /// Somebody took it back, or nobody may be called.
    Canceled,
    /// Its message could not be had.
    Error,
}

/// How far the recording of a message has got. Records of blast-api give it as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordingStep {
    /// Nobody was called for it.
    NoCall,
    /// The caller's phone rings.
    Placed,
    /// The caller has picked up.
    Answered,
    /// The caller has pressed the star, and speaks.
    PressedStar,
    /// The caller has spoken, and listens.
    Recorded,
    /// The caller is content with it.
    Confirmed,
    /// The call could not be made.
    Refused,
}

impl RecordingStep {
    /// All of them, in their order.
    pub const ALL: [Self; 7] =
        [Self::NoCall, Self::Placed, Self::Answered, Self::PressedStar, Self::Recorded, Self::Confirmed, Self::Refused];

    /// The number by which records give it.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Self::NoCall => 0,
            Self::Placed => 1,
            Self::Answered => 2,
            Self::PressedStar => 3,
            Self::Recorded => 4,
            Self::Confirmed => 5,
            Self::Refused => 6,
        }
    }

    /// Reads the number.
    #[must_use]
    pub fn of(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.number() == number)
    }
}

/// What became of one recipient. Its clients read these words, with this spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallStatus {
    /// The message is not there yet.
    Pending,
    /// It waits for its turn, also between two tries.
    Ready,
    /// A handset has it.
    Ongoing,
    /// Somebody picked up.
    Completed,
    /// Nobody did.
    NoAnswer,
    /// The line was busy, or the call was declined.
    Busy,
    /// The call could not be made.
    Failed,
    /// The handset could not play the message.
    AppError,
    /// The number is on a list of those that must not be called.
    DoNotCall,
    /// Whoever picked up wants no more of it.
    OptedOut,
    /// Nobody knows: the shout took too long.
    TimedOut,
    /// The shout was taken back first.
    Cancelled,
}

words! {
    ShoutStatus {
        Pending = "pending", Ready = "ready", Scheduled = "scheduled", Ongoing = "ongoing", Finished = "finished",
        TimedOut = "timed-out", Canceled = "canceled", Error = "error",
    }
    CallStatus {
        Pending = "pending", Ready = "ready", Ongoing = "ongoing", Completed = "completed", NoAnswer = "no-answer", Busy = "busy",
        Failed = "failed", AppError = "app-error", DoNotCall = "do not call", OptedOut = "added to do not call",
        TimedOut = "timed-out", Cancelled = "cancelled",
    }
}
