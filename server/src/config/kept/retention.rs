//! Section `retention`: what is forgotten.

use crate::config::{Key, Value, ValueKind};

/// What is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionConfig {
    /// Alarms that ended so many days ago are forgotten; 0 keeps everything.
    pub days: u32,
    /// Text messages are forgotten after so many days; 0: with alarms of that age.
    pub texts_days: u32,
    /// The last bodies of senders are kept in memory for so many minutes; 0: none are.
    pub bodies_minutes: u32,
    /// Lines of the audit log are forgotten after so many days; 0 keeps them.
    pub audit_days: u32,
    /// Numbers in alarms that ended so many days ago are masked; 0 leaves them.
    pub mask_numbers_days: u32,
}

impl RetentionConfig {
    /// After so many days text messages are forgotten; 0: never.
    #[must_use]
    pub fn days_of_texts(&self) -> u32 {
        match (self.texts_days, self.days) {
            (0, days) => days,
            (texts, 0) => texts,
            (texts, days) => texts.min(days),
        }
    }
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { days: 400, texts_days: 0, bodies_minutes: 60, audit_days: 730, mask_numbers_days: 0 }
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
        "retention.texts_days",
        "AUTOCALL_RETENTION_TEXTS_DAYS",
        (0, 36_500),
        retention.texts_days,
        "Text messages that came in or went out are forgotten after so many days, 0 to 36500; 0 keeps them as long as `retention.days` says, which is the longest in any case."
    ),
    count_key!(
        "retention.bodies_minutes",
        "AUTOCALL_RETENTION_BODIES_MINUTES",
        (0, 60),
        retention.bodies_minutes,
        "What senders sent last is kept in the memory of a node for so many minutes, 0 to 60; 0 keeps none of it."
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_kept_no_longer_than_everything() {
        let days = |texts_days, days| RetentionConfig { days, texts_days, ..RetentionConfig::default() }.days_of_texts();
        assert_eq!([days(0, 400), days(30, 400), days(500, 400), days(30, 0), days(0, 0)], [400, 30, 400, 30, 0]);
    }
}
