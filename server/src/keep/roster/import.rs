//! Importing shifts from a file: all of it, or nothing. The file is read before the transaction, on a thread of its own: what a rule that
//! repeats costs, its writer decides.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::schedules::put_layer;
use super::{RosterError, find_schedule, name};
use crate::audit::Operation;
use crate::costly;
use crate::effort::{Effort, Stop};
use crate::ids::LayerId;
use crate::keep::people_import::ImportError;
use crate::numbers::Region;
use crate::roster::csv::Reading;
use crate::roster::find::Finder;
use crate::roster::{FixedShift, Layer, Roster, Rule, csv, ical};
use crate::sheet::content_line::unfolded;
use crate::sheet::encoding;
use crate::store::{Store, Work};
use crate::versions::Expected;

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

/// A file.
#[derive(Clone, Debug)]
pub struct File {
    /// Its form.
    pub form: Form,
    /// All of it.
    pub bytes: Vec<u8>,
    /// The name of its encoding, when somebody chose one.
    pub encoding: Option<String>,
    /// Where its numbers are at home.
    pub region: Region,
}

/// What an import did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The shifts of the file.
    pub shifts: usize,
    /// How many of them the layer did not have.
    pub added: usize,
    /// How many the layer had that are not in the file.
    pub removed: usize,
    /// Events of others, which were passed over.
    pub skipped: Vec<String>,
    /// How the file was understood, where it could be understood otherwise.
    pub notes: Vec<String>,
}

/// What a file makes of a layer, once it was read.
pub struct Import {
    schedule: String,
    layer: String,
    /// The schedule as its sender has read it.
    version: Option<i32>,
    /// Where the schedule was when the file was read.
    zone: Tz,
    shifts: Vec<FixedShift>,
    /// What it does.
    pub done: Imported,
}

/// Reads a file for a layer of a schedule, and says what it would do. People are named by name, number or e-mail address.
///
/// # Errors
/// When anything in the file is wrong: all of it is told. When there is no such schedule, it has changed meanwhile, the file costs too much, or the database fails.
pub async fn begin(
    store: &Store,
    schedule: &str,
    layer: &str,
    file: File,
    expected: &Expected,
    now: DateTime<Utc>,
) -> Result<Import, RosterError> {
    let layer = name(layer)?;
    let roster = store.read().await?.db().roster().await?;
    let own = find_schedule(&roster, schedule)?;
    let zone = own.zone;
    let version = expected.counted(own.version).map_err(|_| RosterError::Stale { given: 0, now: own.version })?;
    let before: HashSet<FixedShift> = match own.layers.iter().find(|known| known.name == layer).map(|known| &known.rule) {
        Some(Rule::Shifts { shifts }) => shifts.iter().copied().collect(),
        Some(Rule::Rotation(_)) | None => HashSet::new(),
    };
    let reading = costly::run(move |stop| read(&file, &roster, zone, now, stop)).await?.map_err(ImportError::Refused)?;
    let Reading { shifts, skipped, notes } = reading;
    let (added, removed) = difference(&before, &shifts);
    let done = Imported { shifts: shifts.len(), added, removed, skipped, notes };
    Ok(Import { schedule: schedule.to_owned(), layer, version, zone, shifts, done })
}

/// Puts the shifts of a file into a layer of a schedule: in the place of the layer of that name, so that a file can be imported
/// again after it has changed. Gives what this did.
///
/// # Errors
/// When the schedule has changed since the file was read, or is gone, or the database fails.
pub async fn finish(work: &mut Work, import: Import) -> Result<Imported, RosterError> {
    let now = work.now();
    let Import { schedule, layer, version, zone, shifts, done } = import;
    put_layer(work, &schedule, version, Operation::ShiftsImported, |roster, own| {
        // The file was read a moment ago: meanwhile the schedule may have moved, and people may have left.
        if own.zone != zone {
            return Err(RosterError::Meanwhile);
        }
        let rule = Rule::Shifts { shifts };
        match rule.people().into_iter().find(|person| !roster.people.contains_key(person)) {
            Some(gone) => Err(RosterError::NoPerson(gone.to_string())),
            None => Ok(Layer { id: LayerId::new(now), name: layer, rule }),
        }
    })
    .await?;
    Ok(done)
}

/// How many shifts came, and how many went.
pub(super) fn difference(before: &HashSet<FixedShift>, shifts: &[FixedShift]) -> (usize, usize) {
    let added = shifts.iter().filter(|own| !before.contains(own)).count();
    (added, (before.len() + added).saturating_sub(shifts.len()))
}

/// Reads a file. What this costs, its writer decides.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn read(file: &File, roster: &Roster, zone: Tz, now: DateTime<Utc>, stop: &Stop) -> Result<Reading, Vec<String>> {
    let finder = Finder::new(roster, file.region);
    let decode = |bytes: &[u8]| encoding::decode(bytes, file.encoding.as_deref(), file.region).map_err(|why| vec![why]);
    let (decoded, mut reading) = match file.form {
        Form::Csv => {
            let decoded = decode(&file.bytes)?;
            let reading = csv::read(&decoded.text, zone, &finder)?;
            (decoded, reading)
        }
        Form::Ical => {
            let decoded = decode(&unfolded(&file.bytes))?;
            let reading = ical::read(&decoded.text, zone, now + HORIZON, &finder, &mut Effort::new(stop))?;
            (decoded, reading)
        }
    };
    reading.notes.extend(decoded.note);
    Ok(reading)
}
