//! Section `shouts`: one message to many people.

use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;

use crate::config::{Key, Value, ValueKind};
use crate::numbers::Region;
use crate::shout::message::Times;
use crate::shout::pace::Pace;
use crate::shout::recipients::NumberRule;

choice! {
    /// Which numbers a shout may call.
    NumberForm {
        /// What a numbering plan can dial.
        Plan = "plan",
        /// Eleven digits of North America.
        NorthAmerican = "north_american",
    }
}

/// Section `shouts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShoutsConfig {
    /// Which numbers may be called.
    pub numbers: NumberForm,
    /// Most recipients of a shout.
    pub most_recipients: usize,
    /// Most recipients that a key may have in an hour.
    pub recipients_per_hour: u32,
    /// Calls that go out in a second, over all shouts.
    pub calls_per_second: u32,
    /// So many calls, then a pause as long as the message.
    pub batch_size: u32,
    /// How much longer than its message a call may take, in hundredths.
    pub length_percent: u32,
    /// What is added to that for the whole of a shout.
    pub message_timeout: Duration,
    /// How often a call that could not be made is tried again.
    pub max_retries: u32,
    /// For how long a shout waits for a handset that speaks.
    pub wait_for_voice: Duration,
    /// So many channels of handsets that speak are left to alarms.
    pub keep_free: u32,
    /// Silence before anything is said, in milliseconds.
    pub amd_initial: u32,
    /// A person says no more than this.
    pub amd_greeting: u32,
    /// Silence after what was said.
    pub amd_after: u32,
    /// No longer than this in all.
    pub amd_total: u32,
    /// The folder of the files of detail records; `None`: none are written.
    pub log_dir: Option<PathBuf>,
}

impl Default for ShoutsConfig {
    fn default() -> Self {
        Self {
            numbers: NumberForm::Plan,
            most_recipients: 10_000,
            recipients_per_hour: 5_000,
            calls_per_second: 25,
            batch_size: 50,
            length_percent: 150,
            message_timeout: Duration::from_mins(5),
            max_retries: 3,
            wait_for_voice: Duration::from_mins(10),
            keep_free: 1,
            amd_initial: 5000,
            amd_greeting: 2500,
            amd_after: 1000,
            amd_total: 10_000,
            log_dir: None,
        }
    }
}

impl ShoutsConfig {
    /// How fast calls go out.
    #[must_use]
    pub fn pace(&self) -> Pace {
        Pace {
            calls_per_second: self.calls_per_second,
            batch_size: self.batch_size,
            length_ratio: f64::from(self.length_percent) / 100.0,
            patience: TimeDelta::from_std(self.message_timeout).unwrap_or(TimeDelta::MAX),
            most_retries: self.max_retries,
        }
    }

    /// Which numbers may be called; `region`: the country in which those without a country code are read.
    #[must_use]
    pub fn number_rule(&self, region: Region) -> NumberRule {
        match self.numbers {
            NumberForm::Plan => NumberRule::Plan(region),
            NumberForm::NorthAmerican => NumberRule::NorthAmerican,
        }
    }

    /// By what a machine is told from a person.
    #[must_use]
    pub fn times(&self) -> Times {
        Times {
            initial: self.amd_initial.into(),
            greeting: self.amd_greeting.into(),
            after: self.amd_after.into(),
            total: self.amd_total.into(),
        }
    }
}

/// The keys of this section, in the order of the manual.
pub(in crate::config) const KEYS: &[Key] = &[
    choice_key!(
        "shouts.numbers",
        "AUTOCALL_SHOUTS_NUMBERS",
        NumberForm,
        shouts.numbers,
        "Which numbers are called: `plan`, those that `default_region` can dial; `north_american`, eleven digits that begin with 1, as blast-api has it. Any other fails at once."
    ),
    count_key!(
        "shouts.most_recipients",
        "AUTOCALL_SHOUTS_MOST_RECIPIENTS",
        (1, 100_000),
        shouts.most_recipients,
        "Most recipients of one shout, 1 to 100000."
    ),
    count_key!(
        "shouts.recipients_per_hour",
        "AUTOCALL_SHOUTS_RECIPIENTS_PER_HOUR",
        (1, 1_000_000),
        shouts.recipients_per_hour,
        "Most recipients that the shouts of one key may have in an hour, 1 to 1000000; more are refused with 429."
    ),
    count_key!(
        "shouts.calls_per_second",
        "AUTOCALL_SHOUTS_CALLS_PER_SECOND",
        (1, 1000),
        shouts.calls_per_second,
        "Most calls that go out in a second, over all shouts, 1 to 1000."
    ),
    count_key!(
        "shouts.batch_size",
        "AUTOCALL_SHOUTS_BATCH_SIZE",
        (1, 100_000),
        shouts.batch_size,
        "After so many calls of a shout the next ones wait for as long as its message is, 1 to 100000."
    ),
    count_key!(
        "shouts.length_percent",
        "AUTOCALL_SHOUTS_LENGTH_PERCENT",
        (100, 10_000),
        shouts.length_percent,
        "How long a batch may take, in hundredths of the length of the message, 100 to 10000. A shout that takes longer, and `message_timeout_seconds` more, has timed out."
    ),
    time_key!(
        "shouts.message_timeout_seconds",
        "AUTOCALL_SHOUTS_MESSAGE_TIMEOUT_SECONDS",
        (10, 86_400),
        1,
        shouts.message_timeout,
        "Seconds that are added to that for the whole of a shout, 10 to 86400."
    ),
    count_key!(
        "shouts.max_retries",
        "AUTOCALL_SHOUTS_MAX_RETRIES",
        (0, 10),
        shouts.max_retries,
        "How often a call is tried again that could not be made, 0 to 10: after 1, 3 and 10 minutes. Whoever was busy or did not answer is not called again."
    ),
    time_key!(
        "shouts.wait_for_voice_seconds",
        "AUTOCALL_SHOUTS_WAIT_FOR_VOICE_SECONDS",
        (1, 86_400),
        1,
        shouts.wait_for_voice,
        "A shout fails after so many seconds without any handset that speaks, 1 to 86400."
    ),
    count_key!(
        "shouts.keep_free",
        "AUTOCALL_SHOUTS_KEEP_FREE",
        (0, 64),
        shouts.keep_free,
        "So many channels of handsets that speak are left to alarms, 0 to 64. A handset that is marked *bulk* (`handset set --bulk on`) leaves none."
    ),
    count_key!(
        "shouts.amd_initial_ms",
        "AUTOCALL_SHOUTS_AMD_INITIAL_MS",
        (100, 60_000),
        shouts.amd_initial,
        "Silence after which nobody knows whether a person picked up, in milliseconds, 100 to 60000."
    ),
    count_key!(
        "shouts.amd_greeting_ms",
        "AUTOCALL_SHOUTS_AMD_GREETING_MS",
        (100, 60_000),
        shouts.amd_greeting,
        "Whoever speaks for longer is a machine, in milliseconds, 100 to 60000."
    ),
    count_key!(
        "shouts.amd_after_ms",
        "AUTOCALL_SHOUTS_AMD_AFTER_MS",
        (100, 60_000),
        shouts.amd_after,
        "Silence that ends what a person says, in milliseconds, 100 to 60000."
    ),
    count_key!(
        "shouts.amd_total_ms",
        "AUTOCALL_SHOUTS_AMD_TOTAL_MS",
        (100, 60_000),
        shouts.amd_total,
        "It takes no longer than this, in milliseconds, 100 to 60000."
    ),
    Key {
        path: "shouts.log_dir",
        env: "AUTOCALL_SHOUTS_LOG_DIR",
        kind: ValueKind::Text,
        meaning: "Folder into which this node writes `cdr.log`, `bdr.log` and `rec_cdr.log`, detail records of shouts; a folder of its own for each node. It is made where it is not there.",
        set: |config, value| {
            config.shouts.log_dir = Some(PathBuf::from(value.text())).filter(|path| !path.as_os_str().is_empty());
            Ok(())
        },
        get: |config| Value::Text(config.shouts.log_dir.as_ref().map(|path| path.display().to_string()).unwrap_or_default()),
    },
];
