//! Section `sms`: text messages.

use std::time::Duration;

use chrono_tz::Tz;
use ipnet::IpNet;

use super::key::MINUTE;
use super::reading::{network, reply_words};
use super::{Key, Value, ValueKind};
use crate::line::reply::ReplyWords;

/// Section `sms`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmsConfig {
    /// Networks inside that gateways may be in.
    pub allow_networks: Vec<IpNet>,
    /// For how long after a call a reply counts for its alarm.
    pub reply_window: Duration,
    /// The zone of times that gateways tell without one.
    pub zone: Tz,
    /// Whether replies are answered.
    pub answer_replies: bool,
    /// What replies mean.
    pub replies: ReplyWords,
    /// A text message about an alarm has so many parts at most.
    pub alarm_parts: usize,
    /// The last of those that confirm: what this installation says beside the usual words.
    more_confirm: Vec<String>,
}

impl Default for SmsConfig {
    fn default() -> Self {
        Self {
            allow_networks: Vec::new(),
            reply_window: Duration::from_hours(1),
            zone: Tz::UTC,
            answer_replies: true,
            replies: ReplyWords::default(),
            alarm_parts: 2,
            more_confirm: Vec::new(),
        }
    }
}

impl SmsConfig {
    /// The words that confirm, without those that were added to them.
    fn usual_confirm(&self) -> &[String] {
        let all = &self.replies.confirm;
        &all[..all.len().saturating_sub(self.more_confirm.len())]
    }
}

/// The keys of this section, in the order of the manual.
pub(super) const KEYS: &[Key] = &[
    Key {
        path: "sms.allow_networks",
        env: "AUTOCALL_SMS_ALLOW_NETWORKS",
        kind: ValueKind::List,
        meaning: "Networks or addresses inside in which gateways for text messages may be. Public addresses always may.",
        set: |config, value| {
            config.sms.allow_networks = value.list().iter().map(|item| network(item)).collect::<Result<_, _>>()?;
            Ok(())
        },
        get: |config| Value::List(config.sms.allow_networks.iter().map(IpNet::to_string).collect()),
    },
    time_key!(
        "sms.reply_window_minutes",
        "AUTOCALL_SMS_REPLY_WINDOW_MINUTES",
        (1, 1440),
        MINUTE,
        sms.reply_window,
        "For so long after somebody was rung, their text message counts for that alarm, 1 to 1440."
    ),
    Key {
        path: "sms.zone",
        env: "AUTOCALL_SMS_ZONE",
        kind: ValueKind::Text,
        meaning: "The time zone of gateways that tell times without one, by its IANA name; a gateway may have another.",
        set: |config, value| {
            let wrong = |_| "must be an IANA time zone, such as Asia/Shanghai or Europe/Madrid".to_owned();
            config.sms.zone = value.text().parse().map_err(wrong)?;
            Ok(())
        },
        get: |config| Value::Text(config.sms.zone.name().to_owned()),
    },
    Key {
        path: "sms.answer_replies",
        env: "AUTOCALL_SMS_ANSWER_REPLIES",
        kind: ValueKind::Choice(&["on", "off"]),
        meaning: "`on`: text messages are answered with what they did, through the gateway by which they came. `off`: they are not, but for whoever is rung no more from now on.",
        set: |config, value| {
            config.sms.answer_replies = value.text() == "on";
            Ok(())
        },
        get: |config| Value::Text(if config.sms.answer_replies { "on" } else { "off" }.to_owned()),
    },
    count_key!(
        "sms.alarm_parts",
        "AUTOCALL_SMS_ALARM_PARTS",
        (1, 6),
        sms.alarm_parts,
        "In so many parts at most a text message tells of an alarm, 1 to 6: each has 160 Latin characters, or 70 of any others."
    ),
    Key {
        path: "sms.confirm_words",
        env: "AUTOCALL_SMS_CONFIRM_WORDS",
        kind: ValueKind::List,
        meaning: "A text message that is one of these words confirms.",
        set: |config, value| {
            let more = config.sms.more_confirm.clone();
            config.sms.replies.confirm = [reply_words(value)?, more].concat();
            Ok(())
        },
        get: |config| Value::List(config.sms.usual_confirm().to_vec()),
    },
    Key {
        path: "sms.more_confirm_words",
        env: "AUTOCALL_SMS_MORE_CONFIRM_WORDS",
        kind: ValueKind::List,
        meaning: "More words that confirm, beside `sms.confirm_words`.",
        set: |config, value| {
            let more = reply_words(value)?;
            config.sms.replies.confirm = [config.sms.usual_confirm(), &more].concat();
            config.sms.more_confirm = more;
            Ok(())
        },
        get: |config| Value::List(config.sms.more_confirm.clone()),
    },
    Key {
        path: "sms.decline_words",
        env: "AUTOCALL_SMS_DECLINE_WORDS",
        kind: ValueKind::List,
        meaning: "A text message that is one of these words declines.",
        set: |config, value| {
            config.sms.replies.decline = reply_words(value)?;
            Ok(())
        },
        get: |config| Value::List(config.sms.replies.decline.clone()),
    },
    Key {
        path: "sms.stop_words",
        env: "AUTOCALL_SMS_STOP_WORDS",
        kind: ValueKind::List,
        meaning: "By a text message that is one of these words somebody asks to be rung no more.",
        set: |config, value| {
            config.sms.replies.stop = reply_words(value)?;
            Ok(())
        },
        get: |config| Value::List(config.sms.replies.stop.clone()),
    },
    Key {
        path: "sms.start_words",
        env: "AUTOCALL_SMS_START_WORDS",
        kind: ValueKind::List,
        meaning: "By a text message that is one of these words they take that back.",
        set: |config, value| {
            config.sms.replies.start = reply_words(value)?;
            Ok(())
        },
        get: |config| Value::List(config.sms.replies.start.clone()),
    },
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::config::Config;

    fn apply(keys: &[(&str, &[&str])]) -> Config {
        let mut config = Config::default();
        for (path, words) in keys {
            let key = KEYS.iter().find(|key| key.path == *path).unwrap();
            (key.set)(&mut config, &Value::List(words.iter().map(|word| (*word).to_owned()).collect())).unwrap();
        }
        config
    }

    #[test]
    fn words_are_added_to_those_that_confirm_in_whatever_order_they_stand() {
        let added = apply(&[("sms.more_confirm_words", &["voy", "oído"])]).sms;
        assert!(added.replies.confirm.ends_with(&["voy".to_owned(), "oído".to_owned()]));
        assert_eq!(added.usual_confirm(), SmsConfig::default().replies.confirm, "the usual ones stay");
        let (usual, more): ((_, &[&str]), (_, &[&str])) = (("sms.confirm_words", &["1"]), ("sms.more_confirm_words", &["voy"]));
        for order in [[usual, more], [more, usual]] {
            assert_eq!(apply(&order).sms.replies.confirm, ["1", "voy"]);
        }
    }
}
