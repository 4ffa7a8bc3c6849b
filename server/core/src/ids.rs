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
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
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
    /// By what somebody is known elsewhere.
    IdentityId;
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
    /// A request that somebody takes a shift.
    SwapId;
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
    /// A file of sound.
    MediaId;
    /// What somebody said in a call.
    RecordingId;
    /// Something to be done in a call that runs.
    LiveCommandId;
    /// A folder into which a node writes log files.
    LogFolderId;
}

/// A new dial identifier: 24 lower-case hex digits, the documented form. It is never reused, and it is what identifies a report and
/// authorises it, so it must not be guessable: 16 of its digits are random.
///
/// The first eight are the time, in steps of 16 milliseconds, so that the dials of one time lie side by side in the
/// indexes, and what is shown of a mid tells dials apart and is no secret. They begin anew every two years, which is longer than dials
/// are kept.
#[must_use]
pub fn new_mid(at: DateTime<Utc>) -> String {
    let ticks = at.timestamp_millis().div_euclid(MID_TICK_MS).rem_euclid(1 << 32);
    let random: [u8; 8] = rand::random();
    format!("{ticks:08x}{}", hex(&random))
}

/// One step of the time in a mid, in milliseconds.
const MID_TICK_MS: i64 = 16;

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

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_mid_begins_with_its_time_and_ends_with_what_nobody_can_guess(milliseconds in 0_i64..4_000_000_000_000, later in 16_i64..1_000_000_000) {
            let at = DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds);
            let (one, other, next) = (new_mid(at), new_mid(at), new_mid(at + TimeDelta::milliseconds(later)));
            prop_assert_eq!(one.len(), 24);
            prop_assert!(one.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit)));
            prop_assert_eq!(&one[..8], &other[..8]);
            prop_assert_ne!(&one[8..], &other[8..]);
            let begins_anew = next[..8] < one[..8] && (milliseconds + later) >> 36 > milliseconds >> 36;
            prop_assert!(next[..8] > one[..8] || begins_anew);
        }
    }
}
