//! Identifiers: one newtype per kind of row, so that an alarm is never taken for a hunt.

use std::sync::Mutex;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::{ContextV7, Timestamp, Uuid};

/// Counts within a millisecond, so that of two rows made at the same instant the first one sorts first.
static ORDER: Mutex<ContextV7> = Mutex::new(ContextV7::new());

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)+) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
        #[sqlx(transparent)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new identifier that sorts by the time it was made.
            #[must_use]
            pub fn new(at: DateTime<Utc>) -> Self {
                let seconds = u64::try_from(at.timestamp()).unwrap_or(0);
                Self(Uuid::new_v7(Timestamp::from_unix(&ORDER, seconds, at.timestamp_subsec_nanos())))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )+ };
}

ids! {
    /// One thing that people must hear of.
    AlarmId;
    /// The effort to reach somebody for one or more alarms.
    HuntId;
    /// An escalation policy.
    PolicyId;
    /// A person or bare number to ring in one hunt.
    CalleeId;
    /// A phone that polls.
    HandsetId;
    /// Somebody in the roster.
    PersonId;
    /// One entry of who picked up.
    AnswerId;
    /// Something a native handset is told to do.
    CommandId;
    /// The key of a sender.
    KeyId;
    /// Somewhere to tell what happens.
    WebhookId;
    /// Something that is to be told.
    DeliveryId;
    /// Somebody who may open the pages.
    UserId;
    /// People who answer for something together.
    TeamId;
    /// Who is on duty when.
    ScheduleId;
    /// One rule of a schedule.
    LayerId;
    /// A change of a schedule for some time.
    OverrideId;
    /// Another rule of a schedule for some time.
    TemporaryId;
    /// A time for which somebody is away.
    VacationId;
    /// An address under which a calendar can be read.
    FeedId;
    /// Something that has to say regularly that it lives.
    HeartbeatId;
    /// A time in which matching alarms are not rung.
    WindowId;
    /// A way to send text messages.
    GatewayId;
    /// A text message to be sent.
    SmsId;
    /// A database and whatever servers work on it.
    InstallationId;
    /// A text message that came in.
    InboundSmsId;
    /// A public number that follows the person on duty.
    LineId;
    /// One time that a public number was handed to somebody.
    HandOverId;
}

/// A new dial identifier: 24 random lower-case hex digits, the documented form. It is never reused, and it is what
/// identifies a report, so it must not be guessable.
#[must_use]
pub fn new_mid() -> String {
    let bytes: [u8; 12] = rand::random();
    hex(&bytes)
}

/// What is shown of a mid, anywhere but to its handset: whoever knows the whole of it may report.
#[must_use]
pub fn short_mid(mid: &str) -> &str {
    const SHOWN: usize = 8;
    mid.char_indices().nth(SHOWN).map_or(mid, |(end, _)| &mid[..end])
}

/// Lower-case hex digits of some bytes.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]).map(char::from).collect()
}
