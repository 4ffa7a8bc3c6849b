//! Section `records`: what is known of calls.

use super::{Key, Value, ValueKind};

/// What is known of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsConfig {
    /// Records of calls are forgotten after so many days; 0 keeps everything.
    pub keep_days: u32,
}

impl Default for RecordsConfig {
    fn default() -> Self {
        Self { keep_days: 400 }
    }
}

/// The keys of this section, in the order of the manual.
pub(super) const KEYS: &[Key] = &[count_key!(
    "records.keep_days",
    "AUTOCALL_RECORDS_KEEP_DAYS",
    (0, 36_500),
    records.keep_days,
    "Records of calls are forgotten after so many days, 0 to 36500; 0 keeps everything. They stand by themselves, also when their alarms are forgotten."
)];
