//! Section `cti`: calls and conferences that programs command.

use crate::config::{Key, Value, ValueKind};

/// Section `cti`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CtiConfig {
    /// Most calls that a key may make in a minute.
    pub calls_per_minute: u32,
    /// Most calls of a key at once.
    pub most_calls: u32,
    /// Hosts that may stand behind a number, beside this server's own.
    pub hosts: Vec<String>,
}

impl Default for CtiConfig {
    fn default() -> Self {
        Self { calls_per_minute: 30, most_calls: 20, hosts: Vec::new() }
    }
}

/// The keys of this section, in the order of the manual.
pub(in crate::config) const KEYS: &[Key] = &[
    count_key!(
        "cti.calls_per_minute",
        "AUTOCALL_CTI_CALLS_PER_MINUTE",
        (1, 10_000),
        cti.calls_per_minute,
        "Most calls that one key may make in a minute by `/cti`, 1 to 10000."
    ),
    count_key!(
        "cti.most_calls",
        "AUTOCALL_CTI_MOST_CALLS",
        (1, 1000),
        cti.most_calls,
        "Most calls of one key at once, 1 to 1000."
    ),
    Key {
        path: "cti.hosts",
        env: "AUTOCALL_CTI_HOSTS",
        kind: ValueKind::List,
        meaning: "Hosts that programs may write behind a number, such as that of the trunk: they are not looked at. Any other host but this server's own is refused.",
        set: |config, value| {
            config.cti.hosts = value.list().to_vec();
            Ok(())
        },
        get: |config| Value::List(config.cti.hosts.clone()),
    },
];
