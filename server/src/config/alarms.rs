//! Section `alarms`: how alarms are pursued.

use std::time::Duration;

use super::key::{HOUR, MINUTE};
use super::reading::{phone_key, phones};
use super::{Gone, Key, Switch, Value, ValueKind};
use crate::alarm::script::Keys;

/// Section `alarms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmConfig {
    /// How often each callee is rung, unless the alarm says.
    pub attempts: u32,
    /// Least time between two calls to the same callee, unless the alarm says.
    pub min_interval: Duration,
    /// An alarm whose first call could not be made within this time ends unheard.
    pub begin_before: Duration,
    /// For how long after the last repeat an unresolved alarm takes repeats as its own.
    pub dedup: Duration,
    /// Least time before a repeat of an unanswered alarm rings people again.
    pub rehunt: Duration,
    /// An alert that joins an alarm which was answered rings people again.
    pub ring_for_new: Switch,
    /// Alarms for the same people that come within this time join one hunt; zero: never.
    pub join_window: Duration,
    /// Most phone numbers in one alarm.
    pub max_phones: usize,
    /// Whom to ring when neither an alarm nor its sender's key names anybody.
    pub fallback_phones: Vec<String>,
    /// The key by which whoever is called takes an alarm.
    pub accept_key: char,
    /// The key by which they pass it on; `None`: there is none.
    pub decline_key: Option<char>,
    /// Another key by which they pass it on, and want to be called no more about it; not named in the call. `None`: there is none.
    pub stop_key: Option<char>,
}

impl AlarmConfig {
    /// Which key does what in a call.
    #[must_use]
    pub fn keys(&self) -> Keys {
        // Each does one thing: what stands first in the manual.
        let decline = self.decline_key.filter(|key| *key != self.accept_key);
        let stop_calling = self.stop_key.filter(|key| *key != self.accept_key && Some(*key) != decline);
        Keys { accept: self.accept_key, decline, stop_calling }
    }
}

impl Default for AlarmConfig {
    fn default() -> Self {
        Self {
            attempts: 2,
            min_interval: Duration::from_mins(1),
            begin_before: Duration::from_hours(1),
            dedup: Duration::from_hours(24),
            rehunt: Duration::from_mins(15),
            ring_for_new: Switch::On,
            join_window: Duration::from_mins(2),
            max_phones: 100,
            fallback_phones: Vec::new(),
            accept_key: '1',
            decline_key: Some('2'),
            stop_key: None,
        }
    }
}

/// The keys of this section, in the order of the manual.
pub(super) const KEYS: &[Key] = &[
    count_key!(
        "alarms.attempts",
        "AUTOCALL_ALARMS_ATTEMPTS",
        (1, 10),
        alarms.attempts,
        "How often each person is rung, 1 to 10, unless the alarm says."
    ),
    time_key!(
        "alarms.min_interval_seconds",
        "AUTOCALL_ALARMS_MIN_INTERVAL_SECONDS",
        (0, 86_400),
        1,
        alarms.min_interval,
        "Least time between two calls to the same person, 0 to 86400, unless the alarm says."
    ),
    time_key!(
        "alarms.begin_before_seconds",
        "AUTOCALL_ALARMS_BEGIN_BEFORE_SECONDS",
        (60, 604_800),
        1,
        alarms.begin_before,
        "An alarm for which no handset could begin within this time ends as unanswered, 60 to 604800: better than a call hours late."
    ),
    time_key!(
        "alarms.dedup_hours",
        "AUTOCALL_ALARMS_DEDUP_HOURS",
        (1, 720),
        HOUR,
        alarms.dedup,
        "For so long after the last repeat, the same alarm counts as a repeat and not as new, 1 to 720."
    ),
    time_key!(
        "alarms.rehunt_minutes",
        "AUTOCALL_ALARMS_REHUNT_MINUTES",
        (1, 1440),
        MINUTE,
        alarms.rehunt,
        "A repeat of an alarm that nobody answered, or one with something new in it, rings people again, at most this often, 1 to 1440."
    ),
    choice_key!(
        "alarms.ring_for_new",
        "AUTOCALL_ALARMS_RING_FOR_NEW",
        Switch,
        alarms.ring_for_new,
        "Whether an alert that joins an alarm which was answered already rings people again, at most once in `rehunt_minutes`: `on` or `off`. A rise of priority always does."
    ),
    time_key!(
        "alarms.join_window_seconds",
        "AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS",
        (0, 3600),
        1,
        alarms.join_window,
        "Alarms for the same people that come within this time are rung for together, 0 to 3600; 0 rings for each by itself."
    ),
    count_key!(
        "alarms.max_phones",
        "AUTOCALL_ALARMS_MAX_PHONES",
        (1, 1000),
        alarms.max_phones,
        "Most phone numbers in one alarm, 1 to 1000."
    ),
    Key {
        path: "alarms.fallback_phones",
        env: "AUTOCALL_ALARMS_FALLBACK_PHONES",
        kind: ValueKind::List,
        meaning: "Whom to ring, in order, when neither an alarm nor its sender's key names anybody.",
        set: |config, value| {
            config.alarms.fallback_phones = phones(value)?;
            Ok(())
        },
        get: |config| Value::List(config.alarms.fallback_phones.clone()),
    },
    Key {
        path: "alarms.accept_key",
        env: "AUTOCALL_ALARMS_ACCEPT_KEY",
        kind: ValueKind::Text,
        meaning: "Key of the phone by which whoever is called takes an alarm, where the handset speaks: `0` to `9`, `*` or `#`.",
        set: |config, value| {
            config.alarms.accept_key = phone_key(value.text())?.ok_or("must be one key: 0 to 9, * or #")?;
            Ok(())
        },
        get: |config| Value::Text(config.alarms.accept_key.to_string()),
    },
    Key {
        path: "alarms.decline_key",
        env: "AUTOCALL_ALARMS_DECLINE_KEY",
        kind: ValueKind::Text,
        meaning: "Key by which they pass it on: the next one is called. `none`: there is no such key.",
        set: |config, value| {
            config.alarms.decline_key = phone_key(value.text())?;
            Ok(())
        },
        get: |config| Value::Text(key_word(config.alarms.decline_key)),
    },
    Key {
        path: "alarms.stop_key",
        env: "AUTOCALL_ALARMS_STOP_KEY",
        kind: ValueKind::Text,
        meaning: "Another key by which they pass it on, and want to be called no more about this alarm, also when it repeats; it is not named in the call. `none`: there is no such key.",
        set: |config, value| {
            config.alarms.stop_key = phone_key(value.text())?;
            Ok(())
        },
        get: |config| Value::Text(key_word(config.alarms.stop_key)),
    },
];

/// Keys of this section that were given up.
pub(super) const GONE: &[Gone] = &[Gone {
    path: "alarms.dry_run_ring_seconds",
    env: "AUTOCALL_ALARMS_DRY_RUN_RING_SECONDS",
    instead: |_| "in a dry run each number rings for 30 s".to_owned(),
}];

pub(super) fn key_word(key: Option<char>) -> String {
    key.map_or_else(|| "none".to_owned(), |key| key.to_string())
}
