//! Section `handsets`: how handsets are served.

use std::time::Duration;

use super::reading::{phones, region};
use super::{Gone, Key, Value, ValueKind};
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
    /// How long a handset may take, beside the ringing, until it has reported.
    pub patience: Duration,
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
            patience: USUAL_PATIENCE,
            offline_phones: Vec::new(),
            offline_alarm_after: Duration::from_mins(2),
        }
    }
}

/// Each number of a dial is given this at least, however short calls ring: networks need their time before and after. Where the patience
/// is shorter than [`USUAL_PATIENCE`], this is shorter in proportion.
const LEAST_PER_NUMBER: Duration = Duration::from_secs(75);
/// A phone that holds a result can deliver it within this, which is longer than the pause between two polls of any app; shorter in
/// proportion as well.
const GRACE: Duration = Duration::from_secs(90);
const USUAL_PATIENCE: Duration = Duration::from_mins(1);

impl HandsetConfig {
    /// How long a dial of so many numbers stays open. `own`: how long this handset lets a call ring.
    #[must_use]
    pub fn dial_time(&self, numbers: usize, own: Duration) -> Duration {
        let numbers = u32::try_from(numbers).unwrap_or(u32::MAX);
        let each = self.ring.max(own).max(self.in_proportion(LEAST_PER_NUMBER));
        self.patience.saturating_add(each.saturating_mul(numbers)).max(self.patience * 3)
    }

    /// Least time that an open dial keeps after a time in which handsets could not reach the server.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.in_proportion(GRACE)
    }

    fn in_proportion(&self, usual: Duration) -> Duration {
        usual.mul_f64((self.patience.as_secs_f64() / USUAL_PATIENCE.as_secs_f64()).min(1.0))
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
        "handsets.patience_seconds",
        "AUTOCALL_HANDSETS_PATIENCE_SECONDS",
        (5, 3600),
        1,
        handsets.patience,
        "How long a handset may take to report, beside the ringing, 5 to 3600. Then another handset goes on."
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

/// Keys of this section that were given up.
pub(super) const GONE: &[Gone] = &[
    Gone {
        path: "handsets.dial_base_seconds",
        env: "AUTOCALL_HANDSETS_DIAL_BASE_SECONDS",
        instead: |value| patience(value.unwrap_or(60)),
    },
    Gone {
        path: "handsets.dial_seconds_per_number",
        env: "AUTOCALL_HANDSETS_DIAL_SECONDS_PER_NUMBER",
        instead: |_| {
            "each number has as long as a call rings, and with a patience of 60 s 75 s at least: see handsets.ring_seconds"
                .to_owned()
        },
    },
    Gone {
        path: "handsets.dial_minimum_seconds",
        env: "AUTOCALL_HANDSETS_DIAL_MINIMUM_SECONDS",
        // A third, rounded up.
        instead: |value| patience(value.unwrap_or(180).saturating_add(2) / 3),
    },
    Gone {
        path: "handsets.grace_seconds",
        env: "AUTOCALL_HANDSETS_GRACE_SECONDS",
        instead: |_| "it is 90 s, less where handsets.patience_seconds is below 60".to_owned(),
    },
];

fn patience(seconds: i64) -> String {
    let seconds = seconds.clamp(5, 3600);
    format!("write handsets.patience_seconds = {seconds} instead, and of several such numbers the greatest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dial_has_time_for_its_numbers_and_the_report() {
        let time = |patience, ring, numbers| {
            let (patience, ring) = (Duration::from_secs(patience), Duration::from_secs(ring));
            HandsetConfig { ring, patience, ..HandsetConfig::default() }.dial_time(numbers, Duration::ZERO).as_secs()
        };
        assert_eq!([1, 2, 10].map(|numbers| time(60, 75, numbers)), [180, 210, 810]);
        assert_eq!(time(60, 10, 2), 210, "short ringing leaves networks their time");
        assert_eq!(time(60, 120, 2), 300, "and long ringing is waited for");
        assert_eq!([1, 2].map(|numbers| time(6, 10, numbers)), [18, 26], "with little patience all is short");
        let little =
            HandsetConfig { patience: Duration::from_secs(5), ring: Duration::from_secs(10), ..HandsetConfig::default() };
        assert_eq!(little.dial_time(1, Duration::from_mins(5)).as_secs(), 305, "a handset that rings longer is waited for");
        assert_eq!(time(3600, 75, usize::MAX), 3600 + 75 * u64::from(u32::MAX), "without an end, and without a fault");
        let grace = |patience| HandsetConfig { patience: Duration::from_secs(patience), ..HandsetConfig::default() }.grace();
        assert_eq!([6, 60, 600].map(|patience| grace(patience).as_secs()), [9, 90, 90]);
    }
}
