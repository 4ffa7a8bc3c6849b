//! Section `log`: what is logged, and how.

use super::{Key, Value, ValueKind};

/// Section `log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// For people or for machines.
    pub format: LogFormat,
    /// Which lines are written: a level, or directives of tracing-subscriber's `EnvFilter`.
    pub filter: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

choice! {
    /// The form of the log.
    LogFormat {
        /// Lines for people.
        Text = "text",
        /// One JSON object per line, for machines.
        Json = "json",
    }
}

/// The keys of this section, in the order of the manual.
pub(super) const KEYS: &[Key] = &[
    choice_key!(
        "log.format",
        "AUTOCALL_LOG_FORMAT",
        LogFormat,
        log.format,
        "Form of the log: `text` for people, `json` for machines (one object per line)."
    ),
    Key {
        path: "log.filter",
        env: "AUTOCALL_LOG_FILTER",
        kind: ValueKind::Text,
        meaning: "What is logged: `error`, `warn`, `info`, `debug` or `trace`, also per module: `info,autocall::engine=debug`.",
        set: |config, value| {
            tracing_subscriber::EnvFilter::builder()
                .parse(value.text())
                .map_err(|error| format!("is no log filter ({error}); write a level such as info"))?;
            // A lone word that is no level would be taken for the name of a module, and nothing else would be logged.
            let lone = value.text().split(',').map(str::trim).find(|part| {
                let is_word = !part.is_empty() && part.chars().all(char::is_alphanumeric);
                is_word && part.parse::<tracing_subscriber::filter::LevelFilter>().is_err()
            });
            if let Some(word) = lone {
                return Err(format!("{word:?} is no level; write error, warn, info, debug or trace"));
            }
            config.log.filter = value.text().to_owned();
            Ok(())
        },
        get: |config| Value::Text(config.log.filter.clone()),
    },
];
