//! Arguments that several commands read: labels, priorities, instants.

use chrono::{DateTime, Utc};

use crate::alarm::{AlarmKind, AlarmState, Priority};

/// Reads `NAME=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// Reads the word of a priority.
pub(super) fn priority(text: &str) -> Result<Priority, String> {
    let known = [Priority::Low, Priority::Normal, Priority::High, Priority::Critical];
    known.into_iter().find(|priority| priority.as_str() == text).ok_or_else(|| "write low, normal, high or critical".to_owned())
}

/// States that one word means.
#[derive(Clone, Debug)]
pub(super) struct States(pub(super) Vec<AlarmState>);

/// Reads the word of a state, or of several.
pub(super) fn states(text: &str) -> Result<States, String> {
    use AlarmState::{Answered, Cancelled, NoAnswer, Resolved, Ringing, Waiting};
    let (open, ended) = ([Waiting, Ringing], [Answered, NoAnswer, Cancelled, Resolved]);
    match text {
        "open" => Ok(States(open.to_vec())),
        "ended" => Ok(States(ended.to_vec())),
        word => match open.into_iter().chain(ended).find(|state| state.as_str() == word) {
            Some(state) => Ok(States(vec![state])),
            None => Err("write open, ended, waiting, ringing, answered, no_answer, cancelled or resolved".to_owned()),
        },
    }
}

/// Reads the word of what an alarm is for.
pub(super) fn kind(text: &str) -> Result<AlarmKind, String> {
    AlarmKind::parse(text).ok_or_else(|| "write alarm, test, shout or call".to_owned())
}

/// Reads an instant.
pub(super) fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text).map(|at| at.to_utc()).map_err(|_| "write a time such as 2026-11-20T22:00:00Z".to_owned())
}
