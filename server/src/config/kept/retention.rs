//! Section `retention`: what is forgotten.

use crate::config::{Key, Value, ValueKind};

/// What is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionConfig {
    /// Alarms that ended so many days ago are forgotten; 0 keeps everything.
    pub days: u32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { days: 400 }
    }
}

/// The keys of this section, in the order of the manual.
pub(in crate::config) const KEYS: &[Key] = &[count_key!(
    "retention.days",
    "AUTOCALL_RETENTION_DAYS",
    (0, 36_500),
    retention.days,
    "Alarms that ended so many days ago are forgotten, 0 to 36500; 0 keeps everything."
)];
