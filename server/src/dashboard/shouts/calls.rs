//! Calls of a shout as pages show them: whom, how they stand, when.

use std::collections::HashMap;

use super::call_state;
use crate::dashboard::frame::page::{at, since};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::Html;
use crate::dashboard::frame::words::fill;
use crate::numbers::phone_of;
use crate::shout::CallStatus;
use crate::store::shouts::calls::ShoutCallRow;
use crate::store::{Db, Result};

/// One call.
pub(super) struct CallLine {
    /// By name where somebody has that number.
    pub(super) who: String,
    pub(super) number: String,
    /// HTML.
    pub(super) when: String,
    pub(super) state: (&'static str, &'static str),
}

/// Whose numbers are known: names by the comparable form of their phone.
pub(super) async fn names(db: &mut Db<'_>) -> Result<HashMap<String, String>> {
    let people = db.people().await?;
    let phone = |number: &String| phone_of(number).into_owned();
    Ok(people
        .into_iter()
        .flat_map(|(person, numbers)| numbers.iter().map(|number| (phone(number), person.name.clone())).collect::<Vec<_>>())
        .collect())
}

/// Calls as this reader sees them.
pub(super) fn lines(reader: &Reader, names: &HashMap<String, String>, rows: &[ShoutCallRow]) -> Vec<CallLine> {
    rows.iter().map(|row| line(reader, names, row)).collect()
}

fn line(reader: &Reader, names: &HashMap<String, String>, row: &ShoutCallRow) -> CallLine {
    let name = row.number.as_deref().and_then(|number| names.get(&*phone_of(number)));
    let number = reader.number(&row.phone);
    let when = match (row.status, row.started_at, row.finished_at) {
        (CallStatus::Ongoing, Some(started), _) => since(started),
        (CallStatus::Ready, ..) => {
            row.due_at.map(|due| fill(&reader.words.shout_again, &[("at", Html(&at(due)))])).unwrap_or_default()
        }
        (_, _, Some(finished)) => at(finished),
        _ => String::new(),
    };
    CallLine {
        who: name.cloned().unwrap_or_else(|| number.clone()),
        number: if name.is_some() { number } else { String::new() },
        when,
        state: call_state(reader.words, row.status, row.answered_by.as_deref() == Some("machine")),
    }
}
