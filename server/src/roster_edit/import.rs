//! Importing shifts from a file: all of it, or nothing.

use chrono::{DateTime, TimeDelta, Utc};

use super::schedules::put_layer;
use super::{RosterError, name};
use crate::ids::{LayerId, PersonId};
use crate::numbers::{Number, Region};
use crate::people::ImportError;
use crate::roster::{Layer, Roster, Rule, csv, ical};
use crate::store::Store;

/// The layer that is imported into when none is named.
pub const DEFAULT_LAYER: &str = "imported";
/// Rules that repeat without an end are followed this far.
const HORIZON: TimeDelta = TimeDelta::days(366 * 2);

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Columns `start`, `end`, `person`.
    Csv,
    /// Events whose summary names a person.
    Ical,
}

/// Puts the shifts of a file into a layer of a schedule: in the place of the layer of that name, so that a file can be imported
/// again after it has changed. Gives how many shifts it has. People are named by name or by one of their numbers.
///
/// # Errors
/// When anything in the file is wrong: all of it is told. When there is no such schedule, or the database fails.
pub async fn import(
    store: &Store,
    schedule: &str,
    layer: &str,
    (form, text): (Form, &str),
    region: Region,
    now: DateTime<Utc>,
) -> Result<usize, RosterError> {
    let layer = name(layer)?;
    let mut count = 0;
    put_layer(store, schedule, None, now, |roster, zone| {
        let find = |text: &str| find(roster, text, region);
        let read = match form {
            Form::Csv => csv::read(text, zone, &find),
            Form::Ical => ical::read(text, zone, now + HORIZON, &find),
        };
        let shifts = read.map_err(ImportError::Refused)?;
        count = shifts.len();
        Ok(Layer { id: LayerId::new(now), name: layer, rule: Rule::Shifts { shifts } })
    })
    .await?;
    Ok(count)
}

fn find(roster: &Roster, text: &str, region: Region) -> Option<PersonId> {
    roster.find_person(text).or_else(|| {
        let number = Number::parse(text.trim(), region).ok()?.number;
        let known = roster.people.iter().find(|(_, person)| person.numbers.iter().any(|own| own == number.as_str()))?;
        Some(*known.0)
    })
}
