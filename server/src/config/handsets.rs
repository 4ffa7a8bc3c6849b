//! Section `handsets`: how handsets are served.

use std::time::Duration;

use super::reading::{phones, region};
use super::{Key, Value, ValueKind};
use crate::numbers::Region;

/// Section `handsets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandsetConfig {
    /// Whether the documented plain path hands out alarms.
    pub plain_path: PlainPath,
    /// What a handset is taken for when it has no profile of its own.
    pub profile: ProfileChoice,
    /// What "nothing to do" looks like.
    pub idle_form: IdleForm,
    /// Where the handsets' SIM cards are at home; the default region unless configured.
    pub country: Region,
    /// How long a call rings at most before the network ends it.
    pub ring: Duration,
    /// Time for a dial, whatever its length.
    pub dial_base: Duration,
    /// More time for a dial, for each of its numbers.
    pub dial_per_number: Duration,
    /// Least time for a dial.
    pub dial_minimum: Duration,
    /// Least time that an open dial keeps after a time in which handsets could not reach the server.
    pub grace: Duration,
    /// Whom to ring, through another handset, when one cannot be used.
    pub offline_phones: Vec<String>,
    /// How long a handset is away before they are rung.
    pub offline_alarm_after: Duration,
}

impl Default for HandsetConfig {
    fn default() -> Self {
        Self {
            plain_path: PlainPath::Auto,
            profile: ProfileChoice::Auto,
            idle_form: IdleForm::Plain,
            country: Region::CN,
            ring: Duration::from_secs(75),
            dial_base: Duration::from_secs(60),
            dial_per_number: Duration::from_secs(75),
            dial_minimum: Duration::from_secs(180),
            grace: Duration::from_secs(90),
            offline_phones: Vec::new(),
            offline_alarm_after: Duration::from_secs(120),
        }
    }
}

impl HandsetConfig {
    /// How long a dial of so many numbers stays open.
    pub fn dial_time(&self, numbers: usize) -> Duration {
        let numbers = u32::try_from(numbers).unwrap_or(u32::MAX);
        let time = self.dial_base.saturating_add(self.dial_per_number.saturating_mul(numbers));
        time.max(self.dial_minimum)
    }
}

choice! {
    /// Whether the documented plain path hands out alarms.
    PlainPath {
        /// Until a handset is paired.
        Auto = "auto",
        /// Always: for phones that cannot be given a URL with a token.
        Always = "always",
        /// Never.
        Never = "never",
    }
}

choice! {
    /// What a handset is taken for.
    ProfileChoice {
        /// Told by the user agent and the path, per request.
        Auto = "auto",
        /// The stock app: one number at a time.
        App = "app",
        /// A list of distinct numbers.
        List = "list",
        /// A list that repeats the numbers for every attempt.
        Repeat = "repeat",
        /// Our own handset agent.
        Native = "native",
    }
}

choice! {
    /// The answer to a handset when there is nothing to do.
    IdleForm {
        /// As the documentation shows it.
        Plain = "plain",
        /// With a `mid`, for app builds that stop without one.
        HeadlessSafe = "headless_safe",
    }
}

/// The keys of this section, in the order of the manual.
pub(super) const KEYS: &[Key] = &[
    choice_key!(
        "handsets.plain_path",
        "AUTOCALL_HANDSETS_PLAIN_PATH",
        PlainPath,
        handsets.plain_path,
        "Whether the documented plain path hands out alarms: `auto` (until a handset is paired), `always`, `never`."
    ),
    choice_key!(
        "handsets.profile",
        "AUTOCALL_HANDSETS_PROFILE",
        ProfileChoice,
        handsets.profile,
        "What a handset without a profile of its own is taken for: `auto`, `app`, `list`, `repeat`, `native`."
    ),
    choice_key!(
        "handsets.idle_form",
        "AUTOCALL_HANDSETS_IDLE_FORM",
        IdleForm,
        handsets.idle_form,
        "Answer when there is nothing to do: `plain` as documented, `headless_safe` for app builds that stop without a `mid`."
    ),
    Key {
        path: "handsets.country",
        env: "AUTOCALL_HANDSETS_COUNTRY",
        kind: ValueKind::Text,
        meaning: "Country of the handsets' SIM cards: its numbers are dialled in national form, all others with `+`.",
        set: |config, value| {
            config.handsets.country = region(value.text())?;
            Ok(())
        },
        get: |config| Value::Text(config.handsets.country.to_string()),
    },
    time_key!(
        "handsets.ring_seconds",
        "AUTOCALL_HANDSETS_RING_SECONDS",
        (10, 600),
        1,
        handsets.ring,
        "How long a call rings at most, 10 to 600."
    ),
    time_key!(
        "handsets.dial_base_seconds",
        "AUTOCALL_HANDSETS_DIAL_BASE_SECONDS",
        (0, 3600),
        1,
        handsets.dial_base,
        "Time a handset gets for a list, whatever its length, 0 to 3600."
    ),
    time_key!(
        "handsets.dial_seconds_per_number",
        "AUTOCALL_HANDSETS_DIAL_SECONDS_PER_NUMBER",
        (10, 600),
        1,
        handsets.dial_per_number,
        "More time for each number of the list, 10 to 600."
    ),
    time_key!(
        "handsets.dial_minimum_seconds",
        "AUTOCALL_HANDSETS_DIAL_MINIMUM_SECONDS",
        (30, 7200),
        1,
        handsets.dial_minimum,
        "Least time for a list, 30 to 7200. After it another handset goes on."
    ),
    time_key!(
        "handsets.grace_seconds",
        "AUTOCALL_HANDSETS_GRACE_SECONDS",
        (0, 3600),
        1,
        handsets.grace,
        "Least time an open list keeps after handsets could not reach the server, 0 to 3600."
    ),
    Key {
        path: "handsets.offline_phones",
        env: "AUTOCALL_HANDSETS_OFFLINE_PHONES",
        kind: ValueKind::List,
        meaning: "Whom to ring, in order and through another handset, when a handset cannot be used. Empty: the `fallback` notice goes out.",
        set: |config, value| {
            config.handsets.offline_phones = phones(value)?;
            Ok(())
        },
        get: |config| Value::List(config.handsets.offline_phones.clone()),
    },
    time_key!(
        "handsets.offline_alarm_after_seconds",
        "AUTOCALL_HANDSETS_OFFLINE_ALARM_AFTER_SECONDS",
        (0, 86_400),
        1,
        handsets.offline_alarm_after,
        "A handset is away for so long before they are rung, 0 to 86400. Without any other handset the notice goes out at once."
    ),
];
