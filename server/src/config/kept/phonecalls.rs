//! Section `phonecalls`: calls that other systems list.

use chrono_tz::Tz;

use crate::config::{Key, Value, ValueKind};

/// Fewer days than this are kept by no system that sends a whole year again every night.
const FEWEST_DAYS: u32 = 400;

choice! {
    /// What becomes of a call to a number that is nobody's.
    UnknownNumber {
        /// It is refused.
        Refuse = "refuse",
        /// The number becomes a contact.
        Make = "make",
    }
}

/// Section `phonecalls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhonecallsConfig {
    /// A call to a number that is nobody's.
    pub unknown: UnknownNumber,
    /// They are forgotten after so many days; 0 keeps everything.
    pub keep_days: u32,
    /// The zone of times that come without one, where their key has no other.
    pub zone: Tz,
}

impl Default for PhonecallsConfig {
    fn default() -> Self {
        Self { unknown: UnknownNumber::Refuse, keep_days: 0, zone: Tz::UTC }
    }
}

/// The keys of this section, in the order of the manual.
pub(in crate::config) const KEYS: &[Key] = &[
    choice_key!(
        "phonecalls.unknown",
        "AUTOCALL_PHONECALLS_UNKNOWN",
        UnknownNumber,
        phonecalls.unknown,
        "What becomes of a call to a number that nobody here has: `refuse`, or `make`: the number becomes a contact of its own."
    ),
    Key {
        path: "phonecalls.keep_days",
        env: "AUTOCALL_PHONECALLS_KEEP_DAYS",
        kind: ValueKind::Integer(0, 36_500),
        meaning: "Calls that other systems list are forgotten after so many days, 0 to 36500; 0 keeps everything, and it is at least 400 otherwise: such a system sends a year again and again.",
        set: |config, value| {
            let days = value.number()?;
            if (1..FEWEST_DAYS).contains(&days) {
                return Err(format!("must be 0, which keeps everything, or at least {FEWEST_DAYS}"));
            }
            config.phonecalls.keep_days = days;
            Ok(())
        },
        get: |config| Value::Integer(config.phonecalls.keep_days.into()),
    },
    Key {
        path: "phonecalls.zone",
        env: "AUTOCALL_PHONECALLS_ZONE",
        kind: ValueKind::Text,
        meaning: "The time zone of calls that are told without one, by its IANA name; a key may have another.",
        set: |config, value| {
            let wrong = |_| "must be an IANA time zone, such as Asia/Shanghai or America/Caracas".to_owned();
            config.phonecalls.zone = value.text().parse().map_err(wrong)?;
            Ok(())
        },
        get: |config| Value::Text(config.phonecalls.zone.name().to_owned()),
    },
];
