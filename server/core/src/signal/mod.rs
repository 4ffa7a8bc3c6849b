//! What monitoring systems say, made into one form: a file for each kind of sender. Pure.
//!
//! A reader takes one message, or one element of a list, and gives the signals in it. It never refuses for length or for what it does not know:
//! only a message in which nothing can be meant is [`Unreadable`]. What follows from a signal is the same for all senders.

pub mod clouds;
#[cfg(test)]
mod fuzz;
pub mod generic;
pub mod kuma;
pub mod mail;
pub mod nagios;
pub mod nightingale;
#[cfg(test)]
mod odd;
pub mod opsgenie;
pub mod pagerduty;
pub mod prometheus;
pub mod said;
pub mod zabbix;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::alarm::Priority;
use said::Message;

/// The kinds of senders, each with the name that stands in its address.
pub const READERS: [Reader; 6] =
    [zabbix::READER, nightingale::READER, nagios::READER, kuma::READER, prometheus::READER, generic::READER];

/// How the messages of one kind of sender are read.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// The last part of its address.
    pub name: &'static str,
    /// Other names by which it is known.
    pub also: &'static [&'static str],
    /// It comes again after *too many requests*, and takes a failure of the server for *delivered*.
    pub again_on_429: bool,
    /// Whatever it is answered, it does not send a message again: what is refused is lost.
    pub once_only: bool,
    /// Reads one message, or one element of a list.
    pub read: fn(&Message) -> Result<Vec<Signal>, Unreadable>,
    /// What it looks for in the answer to a message of this body, beside what is told to all.
    pub answer: fn(&Value) -> Vec<(&'static str, Value)>,
}

impl Reader {
    /// One that sends again after a failure of the server, as most do, and looks for nothing in the answer.
    #[must_use]
    pub const fn of(name: &'static str, read: fn(&Message) -> Result<Vec<Signal>, Unreadable>) -> Self {
        Self { name, also: &[], again_on_429: false, once_only: false, read, answer: |_| Vec::new() }
    }
}

/// All of them.
pub fn readers() -> impl Iterator<Item = &'static Reader> {
    READERS.iter().chain(&clouds::READERS)
}

/// The reader of a name.
#[must_use]
pub fn reader(name: &str) -> Option<&'static Reader> {
    readers().find(|reader| reader.name == name || reader.also.contains(&name))
}

/// What a sender says of one thing that it watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signal {
    /// What has happened.
    pub word: Word,
    /// Which thing it is, among those of one sender; `None`: each signal is about another one.
    pub key: Option<String>,
    /// How urgent, where that is said.
    pub priority: Option<Priority>,
    /// One line.
    pub summary: String,
    /// More text.
    pub details: String,
    /// Names and values.
    pub labels: BTreeMap<String, String>,
    /// Where more is to be seen.
    pub link: Option<String>,
    /// Whom to ring: numbers, or names of people, teams, schedules and policies.
    pub whom: Vec<String>,
    /// When it happened, by the sender's clock.
    pub at: Option<DateTime<Utc>>,
    /// Until when that holds, where the sender says it again and again: without another word it is over then.
    pub holds_until: Option<DateTime<Utc>>,
}

/// What has happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Word {
    /// Something is wrong.
    #[default]
    Firing,
    /// It is over.
    Resolved,
    /// Somebody looks after it: who, where that is said, and their remark.
    Acknowledged {
        /// Their name.
        by: Option<String>,
        /// What they say.
        note: Option<String>,
    },
    /// A remark.
    Noted {
        /// Whose.
        by: Option<String>,
        /// What they say.
        text: String,
    },
    /// Somebody called it off.
    Cancelled {
        /// Who.
        by: Option<String>,
    },
    /// Somebody tries the way.
    Test,
    /// It is about nothing that has to be answered; why, for whoever looks.
    Ignored(&'static str),
}

impl Word {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Acknowledged { .. } => "acknowledged",
            Self::Noted { .. } => "noted",
            Self::Cancelled { .. } => "cancelled",
            Self::Test => "test",
            Self::Ignored(_) => "ignored",
        }
    }
}

/// Nothing can be meant by a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct Unreadable {
    /// The field at fault, or what was looked for.
    pub field: String,
    /// What is wrong, and what to do.
    pub why: String,
}

impl Unreadable {
    /// A field that is missing or wrong.
    pub fn new(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self { field: field.into(), why: why.into() }
    }
}

impl Signal {
    /// A signal of which nothing else is known.
    #[must_use]
    pub fn of(word: Word) -> Self {
        Self { word, ..Self::default() }
    }
}

/// A priority by the words that are common, in any case; `None` for others.
#[must_use]
pub fn priority(word: &str) -> Option<Priority> {
    Some(match word.trim().to_lowercase().as_str() {
        "critical" | "crit" | "page" | "disaster" | "emergency" | "emerg" | "fatal" | "p1" | "sev0" | "sev1" | "urgent"
        | "紧急" | "严重" => Priority::Critical,
        "high" | "error" | "err" | "major" | "alert" | "p2" | "sev2" | "danger" | "failure" => Priority::High,
        "normal" | "medium" | "average" | "warning" | "warn" | "minor" | "moderate" | "p3" | "sev3" | "警告" => {
            Priority::Normal
        }
        "low" | "info" | "information" | "informational" | "notice" | "none" | "debug" | "p4" | "p5" | "sev4" | "sev5"
        | "not classified" | "success" | "提示" => Priority::Low,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_of_one_reader() {
        let mut names: Vec<&str> = readers().flat_map(|reader| reader.also.iter().copied().chain([reader.name])).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
        assert!(readers().all(|own| reader(own.name).is_some_and(|found| found.name == own.name)));
    }

    #[test]
    fn common_words_say_how_urgent_it_is() {
        assert_eq!(priority(" CRITICAL "), Some(Priority::Critical));
        assert_eq!(priority("Warning"), Some(Priority::Normal));
        assert_eq!(priority("violet"), None);
    }
}
