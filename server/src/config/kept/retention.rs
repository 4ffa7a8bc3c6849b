//! Section `retention`: what is forgotten.

use crate::config::{Key, Value, ValueKind};

/// What is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionConfig {
    /// Alarms that ended so many days ago are forgotten; 0 keeps everything.
    pub days: u32,
    /// Lines of the audit log are forgotten after so many days; 0 keeps them.
    pub audit_days: u32,
    /// Numbers in alarms that ended so many days ago are masked; 0 leaves them.
    pub mask_numbers_days: u32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { days: 400, audit_days: 730, mask_numbers_days: 0 }
    }
}

/// The keys of this section, in the order of the manual.
pub(in crate::config) const KEYS: &[Key] = &[
    count_key!(
        "retention.days",
        "AUTOCALL_RETENTION_DAYS",
        (0, 36_500),
        retention.days,
        "Alarms that ended so many days ago are forgotten, 0 to 36500; 0 keeps everything."
    ),
    count_key!(
        "retention.audit_days",
        "AUTOCALL_RETENTION_AUDIT_DAYS",
        (0, 36_500),
        retention.audit_days,
        "Lines of the audit log are forgotten after so many days, 0 to 36500; 0 keeps them."
    ),
    count_key!(
        "retention.mask_numbers_days",
        "AUTOCALL_RETENTION_MASK_NUMBERS_DAYS",
        (0, 36_500),
        retention.mask_numbers_days,
        "Numbers in alarms that ended so many days ago are masked, 0 to 36500; 0 leaves them."
    ),
];
