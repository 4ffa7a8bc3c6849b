//! Section `media`: sound that calls play, and what they record.

use crate::config::alarms::key_word;
use crate::config::reading::phone_key;
use crate::config::{Key, Switch, Value, ValueKind};

/// Section `media`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaConfig {
    /// Messages of callees are kept for so many days; 0: as long as their alarm.
    pub keep_days: u32,
    /// The same of what is recorded to find out what is wrong.
    pub debug_keep_days: u32,
    /// At so many bytes of sound nothing more is recorded.
    pub most_bytes: u64,
    /// Whoever is recorded hears of it first.
    pub say_recorded: Switch,
    /// Calls are recorded, to find out what is wrong with them.
    pub debug_recording: Switch,
    /// By which key a callee leaves a message; `None`: by none.
    pub message_key: Option<char>,
    /// The name of the clip that is played in place of an alarm's words.
    pub announcement: Option<String>,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            keep_days: 30,
            debug_keep_days: 3,
            most_bytes: 2 << 30,
            say_recorded: Switch::On,
            debug_recording: Switch::Off,
            message_key: None,
            announcement: None,
        }
    }
}

/// The keys of this section, in the order of the manual.
pub(in crate::config) const KEYS: &[Key] = &[
    count_key!(
        "media.keep_days",
        "AUTOCALL_MEDIA_KEEP_DAYS",
        (0, 36_500),
        media.keep_days,
        "Messages that callees left are kept for so many days, 0 to 36500; 0 keeps them as long as their alarm, which is the longest in any case."
    ),
    count_key!(
        "media.debug_keep_days",
        "AUTOCALL_MEDIA_DEBUG_KEEP_DAYS",
        (0, 36_500),
        media.debug_keep_days,
        "The same of calls that are recorded because of `media.debug_recording`, 0 to 36500."
    ),
    count_key!(
        "media.most_bytes",
        "AUTOCALL_MEDIA_MOST_BYTES",
        (0_i64, 1_099_511_627_776_i64),
        media.most_bytes,
        "At so many bytes of recordings and clips in the database nothing more is recorded or taken, 0 to 1099511627776; calls go on."
    ),
    choice_key!(
        "media.say_recorded",
        "AUTOCALL_MEDIA_SAY_RECORDED",
        Switch,
        media.say_recorded,
        "Whether a callee hears first that the call may be recorded: `on` or `off`. Whether they have to agree is for you to know."
    ),
    choice_key!(
        "media.debug_recording",
        "AUTOCALL_MEDIA_DEBUG_RECORDING",
        Switch,
        media.debug_recording,
        "Whether the callee's side of calls is recorded, to find out what is wrong with them: `on` or `off`."
    ),
    Key {
        path: "media.message_key",
        env: "AUTOCALL_MEDIA_MESSAGE_KEY",
        kind: ValueKind::Text,
        meaning: "Key by which a callee leaves a message of at most a minute: `0` to `9`, `*` or `#`, another one than those of `alarms`. `none`: there is no such key.",
        set: |config, value| {
            config.media.message_key = phone_key(value.text())?;
            Ok(())
        },
        get: |config| Value::Text(key_word(config.media.message_key)),
    },
    Key {
        path: "media.announcement",
        env: "AUTOCALL_MEDIA_ANNOUNCEMENT",
        kind: ValueKind::Text,
        meaning: "Name of a clip (`autocall media add`) that calls play in place of an alarm's words and question; it should say which keys there are. Calls for Barista clients say their own words.",
        set: |config, value| {
            config.media.announcement = Some(value.text().to_owned()).filter(|name| !name.is_empty());
            Ok(())
        },
        get: |config| Value::Text(config.media.announcement.clone().unwrap_or_default()),
    },
];
