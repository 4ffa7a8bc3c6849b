//! Calendars by address: which one a schedule follows, and what of it becomes the schedule's.
//!
//! What comes from an address stands in one layer and changes nothing else. It is made exactly as the import of that file would make it,
//! and changes the roster in the same way as an operator does, so that the duty log and public numbers follow.

use serde_json::json;
use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::import::{File, Form, Imported, difference, read};
use super::schedules::{row_of, save_layers};
use super::{Editing, RosterError, find_schedule, name};
use crate::alarm::doer::Doer;
use crate::alarm::event::Event;
use crate::audit::{Line, Operation};
use crate::costly;
use crate::ids::{LayerId, ScheduleId};
use crate::keep::people_import::ImportError;
use crate::kinds::calendar::{self, Sent};
use crate::kinds::guard::GuardedResolver;
use crate::numbers::Region;
use crate::roster::source::{MINUTES, Trouble, USUAL_LAYER, USUAL_MINUTES, told_at};
use crate::roster::{FixedShift, Layer, Roster, Rule, Schedule};
use crate::store::duty::sources::{Good, SourceChange, SourceReading, SourceRow};
use crate::store::{Db, Store, Tx, Work};
use crate::versions::{Expected, Version};

/// What a schedule is to follow.
#[derive(Clone, Default)]
pub struct SourceForm {
    /// Where the calendar is; `None` leaves the address as it is.
    pub url: Option<String>,
    /// How often it is asked; [`USUAL_MINUTES`] by default.
    pub every_minutes: Option<i32>,
    /// The layer that holds what it says; [`USUAL_LAYER`] by default, and as it is when only something else changes.
    pub layer: Option<String>,
}

impl SourceForm {
    /// The form as a row, in the place of the one that there is.
    ///
    /// # Errors
    /// When a field is wrong.
    pub fn row(
        &self,
        guard: &GuardedResolver,
        schedule: &Schedule,
        before: Option<&SourceRow>,
        by: &str,
        now: DateTime<Utc>,
    ) -> Result<SourceRow, RosterError> {
        let given = |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let address = match (given(&self.url), before) {
            (Some(url), _) => calendar::address(&url, guard)?,
            (None, Some(before)) => before.address.clone(),
            (None, None) => return Err(RosterError::NoAddress),
        };
        let every_minutes = self.every_minutes.or(before.map(|before| before.every_minutes)).unwrap_or(USUAL_MINUTES);
        if !MINUTES.contains(&every_minutes) {
            return Err(RosterError::BadInterval);
        }
        let layer = given(&self.layer).or(before.map(|before| before.layer.clone())).unwrap_or_else(|| USUAL_LAYER.to_owned());
        Ok(SourceRow {
            schedule_id: schedule.id,
            address,
            layer: name(&layer).map_err(|_| RosterError::BadLayer)?,
            every_minutes,
            set_at: now,
            set_by: by.to_owned(),
            turn: 0,
            due_at: now,
            asked_at: None,
            good_at: None,
            etag: None,
            last_modified: None,
            rests_on: None,
            reading: None,
            changed_at: None,
            change: None,
            failures: 0,
            wrong_since: None,
            trouble: None,
            told: false,
        })
    }
}

/// Lets a schedule follow a calendar, which is asked at once; true when it followed none before.
///
/// # Errors
/// When a field is wrong, there is no such schedule, somebody else has changed that meanwhile, or the database fails.
pub async fn set(
    work: &mut Work,
    guard: &GuardedResolver,
    schedule: &str,
    form: &SourceForm,
    by: &str,
    expected: &Expected,
) -> Result<bool, RosterError> {
    let now = work.now();
    let editing = Editing::begin(work).await?;
    let own = find_schedule(&editing.roster, schedule)?.clone();
    let before = editing.work.db().source_of(own.id).await?;
    expected.check(before.as_ref().map(SourceRow::version).as_ref()).map_err(|_| RosterError::StaleSource)?;
    let row = form.row(guard, &own, before.as_ref(), by, now)?;
    editing.work.db().set_source(&row).await?;
    let told = |row: &SourceRow| json!({ "layer": row.layer, "every_minutes": row.every_minutes });
    let mut after = told(&row);
    if before.as_ref().is_some_and(|before| before.address != row.address) {
        after["address"] = json!(crate::audit::kept::OTHER);
    }
    let line = Line::new(Operation::CalendarSet).of(own.id).named(own.name.as_str()).in_name_of(Some(by));
    editing.work.note(match &before {
        Some(before) => line.before(told(before)).after(after),
        None => line.after(after),
    });
    // Whoever has read the schedule has not read this.
    editing.work.db().update_schedule(&row_of(&own), now).await?;
    editing.finish().await?;
    tracing::info!(schedule.name = %own.name, address = %row.address, by, "the schedule follows a calendar");
    Ok(before.is_none())
}

/// Lets a schedule follow no calendar any more. The shifts that came from it stay, as if they had been imported: nobody is relieved.
///
/// # Errors
/// When there is no such schedule, it follows none, somebody else has changed that meanwhile, or the database fails.
pub async fn remove(work: &mut Work, schedule: &str, by: &str, expected: &Expected) -> Result<(), RosterError> {
    let now = work.now();
    let editing = Editing::begin(work).await?;
    let own = find_schedule(&editing.roster, schedule)?.clone();
    let before = editing.work.db().source_of(own.id).await?.ok_or(RosterError::NoSource)?;
    expected.check(Some(&before.version())).map_err(|_| RosterError::StaleSource)?;
    editing.work.db().remove_source(own.id).await?;
    editing.work.note(Line::new(Operation::CalendarRemoved).of(own.id).named(own.name.as_str()).in_name_of(Some(by)));
    editing.work.db().update_schedule(&row_of(&own), now).await?;
    editing.finish().await?;
    tracing::info!(schedule.name = %own.name, by, "the schedule follows no calendar any more");
    Ok(())
}

/// Lets the calendar be asked now, by whichever node is first.
///
/// # Errors
/// When there is no such schedule, it follows none, or the database fails.
pub async fn ask_now(work: &mut Work, schedule: &str) -> Result<(), RosterError> {
    let now = work.now();
    let (id, name) = find_schedule(&work.db().roster().await?, schedule).map(|own| (own.id, own.name.clone()))?;
    if !work.db().ask_source_now(id, now).await? {
        return Err(RosterError::NoSource);
    }
    work.note(Line::new(Operation::CalendarAsked).of(id).named(name));
    Ok(())
}

/// The shifts of the layer that a calendar fills; `None` when there is no such layer, or it is a rotation.
fn shifts_of<'s>(schedule: &'s Schedule, layer: &str) -> Option<&'s [FixedShift]> {
    match schedule.layers.iter().find(|known| known.name == layer).map(|known| &known.rule) {
        Some(Rule::Shifts { shifts }) => Some(shifts),
        Some(Rule::Rotation(_)) | None => None,
    }
}

/// Everything but the calendar that decides how it reads, in a few letters: as long as that is the same, a calendar that has not changed
/// need not come again. Who is known, the zone, the layer, in case somebody has changed it; and the month, since rules that repeat are
/// followed up to a certain day.
#[must_use]
pub fn rests_on(roster: &Roster, schedule: &Schedule, layer: &str, region: Region, now: DateTime<Utc>) -> String {
    rests_on_shifts(roster, schedule, shifts_of(schedule, layer), region, now)
}

fn rests_on_shifts(
    roster: &Roster,
    schedule: &Schedule,
    shifts: Option<&[FixedShift]>,
    region: Region,
    now: DateTime<Utc>,
) -> String {
    let people: Vec<_> = roster.people.iter().map(|(id, own)| (id, &own.name, &own.numbers, &own.emails)).collect();
    let month = now.format("%Y-%m").to_string();
    Version::of(&(people, schedule.zone.name(), shifts, format!("{region:?}"), month)).as_str().to_owned()
}

/// What became of a calendar that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// It changed the schedule.
    Changed(SourceChange),
    /// It says what the schedule says already.
    Same,
    /// Somebody has set another address meanwhile, or asked after this one took too long: nothing was made of it.
    TooLate,
}

/// Puts what a calendar says into its schedule. `due_at` is when it is asked next.
///
/// # Errors
/// When it is refused, as an import of it would be; when the schedule has changed meanwhile, or the database fails.
pub async fn follow(
    store: &Store,
    source: &SourceRow,
    sent: Sent,
    region: Region,
    due_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Followed, RosterError> {
    let roster = store.read().await?.db().roster().await?;
    let Some(own) = roster.schedule(source.schedule_id) else { return Ok(Followed::TooLate) };
    let zone = own.zone;
    let Sent { bytes, encoding, etag, last_modified } = sent;
    let file = File { form: Form::Ical, bytes, encoding, region };
    let (read, roster) = costly::run(move |stop| (read(&file, &roster, zone, now, stop), roster)).await?;
    let reading = read.map_err(ImportError::Refused)?;
    let shifts = reading.shifts;
    let read = SourceReading { shifts: shifts.len(), skipped: reading.skipped, notes: reading.notes };
    let good = |rests_on, change| Good {
        at: now,
        due_at,
        etag: etag.as_deref(),
        last_modified: last_modified.as_deref(),
        rests_on,
        reading: &read,
        change,
    };
    let Some(own) = roster.schedule(source.schedule_id) else { return Ok(Followed::TooLate) };
    if shifts_of(own, &source.layer) == Some(&shifts[..]) {
        // Nobody notices that nothing has changed: no version grows, and nothing is announced.
        let rests_on = rests_on_shifts(&roster, own, Some(&shifts), region, now);
        let mut tx = store.begin().await?;
        let in_time = tx.db().source_good(source, &good(&rests_on, None)).await?;
        if in_time {
            tell_back(&mut tx.db(), source, &own.name, now).await?;
        }
        tx.commit().await?;
        return Ok(if in_time { Followed::Same } else { Followed::TooLate });
    }
    let mut work = store.work(now, Doer::Server, None).await?;
    let mut editing = Editing::begin(&mut work).await?;
    let Some(own) = editing.roster.schedule(source.schedule_id).cloned() else { return Ok(Followed::TooLate) };
    // It was read a moment ago: meanwhile the schedule may have moved, and people may have left.
    if own.zone != zone {
        return Err(RosterError::Meanwhile);
    }
    let before: HashSet<FixedShift> = shifts_of(&own, &source.layer).unwrap_or_default().iter().copied().collect();
    let (added, removed) = difference(&before, &shifts);
    let change = SourceChange { added, removed };
    let rests_on = rests_on_shifts(&editing.roster, &own, Some(&shifts), region, now);
    let rule = Rule::Shifts { shifts };
    if let Some(gone) = rule.people().into_iter().find(|person| !editing.roster.people.contains_key(person)) {
        return Err(RosterError::NoPerson(gone.to_string()));
    }
    if !editing.work.db().source_good(source, &good(&rests_on, Some(change))).await? {
        return Ok(Followed::TooLate);
    }
    let mut layers = own.layers.clone();
    match layers.iter_mut().find(|known| known.name == source.layer) {
        Some(known) => known.rule = rule,
        None => layers.insert(0, Layer { id: LayerId::new(now), name: source.layer.clone(), rule }),
    }
    save_layers(&mut editing, &row_of(&own), &layers).await?;
    let (schedule, layer, by) = (own.name.clone(), source.layer.clone(), "calendar".to_owned());
    let event = Event::CalendarFollowed { schedule, layer, by, added, removed };
    editing.work.db().insert_event(None, None, now, &event).await?;
    tell_back(&mut editing.work.db(), source, &own.name, now).await?;
    editing.finish().await?;
    work.commit().await?;
    tracing::info!(schedule.name = %own.name, by = "calendar", added, removed, "the schedule was changed by its calendar");
    Ok(Followed::Changed(change))
}

/// What a calendar would do to a schedule, without following it.
///
/// # Errors
/// As [`super::import::begin`].
pub async fn rehearse(
    store: &Store,
    source: &SourceRow,
    sent: Sent,
    region: Region,
    now: DateTime<Utc>,
) -> Result<Imported, RosterError> {
    let Sent { bytes, encoding, .. } = sent;
    let file = File { form: Form::Ical, bytes, encoding, region };
    let schedule = source.schedule_id.to_string();
    Ok(super::import::begin(store, &schedule, &source.layer, file, &Expected::Anything, now).await?.done)
}

/// Tells people that a calendar can be read again, if they were told that it could not.
async fn tell_back(db: &mut Db<'_>, source: &SourceRow, schedule: &str, now: DateTime<Utc>) -> Result<(), RosterError> {
    if source.wrong_since.is_some() {
        tracing::info!(schedule.name = schedule, address = %source.address, "a calendar can be read again");
    }
    if source.told {
        db.insert_event(None, None, now, &Event::CalendarBack { schedule: schedule.to_owned() }).await?;
    }
    Ok(())
}

/// Writes down that a calendar says the same as before, by its own word.
///
/// # Errors
/// When the database fails.
pub async fn note_same(
    store: &Store,
    source: &SourceRow,
    schedule: &str,
    now: DateTime<Utc>,
    due_at: DateTime<Utc>,
) -> Result<(), RosterError> {
    let mut tx = store.begin().await?;
    if tx.db().source_same(source, now, due_at).await? {
        tell_back(&mut tx.db(), source, schedule, now).await?;
    }
    Ok(tx.commit().await?)
}

/// Tells people that a calendar cannot be read.
async fn tell(
    tx: &mut Tx,
    source: &SourceRow,
    schedule: &str,
    trouble: &Trouble,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), RosterError> {
    let event = Event::CalendarTrouble {
        schedule: schedule.to_owned(),
        since,
        address: source.address.to_string(),
        reason: trouble.code().to_owned(),
        detail: trouble.detail(),
    };
    Ok(tx.db().insert_event(None, None, now, &event).await?)
}

/// Tells people that a calendar cannot be read, before it is asked again: its server wants patience.
///
/// # Errors
/// When the database fails.
pub async fn tell_meanwhile(store: &Store, schedule: ScheduleId, now: DateTime<Utc>) -> Result<(), RosterError> {
    let mut tx = store.begin().await?;
    let roster = tx.db().roster().await?;
    let (Some(own), Some(source)) = (roster.schedule(schedule), tx.db().source_of(schedule).await?) else { return Ok(()) };
    let Some((since, trouble)) = source.wrong() else { return Ok(()) };
    let tells_at = source.asked_at.and_then(|asked| told_at(source.failures, asked, source.due_at));
    let tells = tells_at.is_some_and(|at| at <= now);
    if tells && tx.db().source_told(&source).await? {
        tell(&mut tx, &source, &own.name, trouble, since, now).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Writes down that a calendar could not be read. `tells`: with this failure, people are told of it.
///
/// # Errors
/// When the database fails.
pub async fn note_trouble(
    store: &Store,
    source: &SourceRow,
    schedule: &str,
    trouble: &Trouble,
    tells: bool,
    now: DateTime<Utc>,
    due_at: DateTime<Utc>,
) -> Result<(), RosterError> {
    let mut tx = store.begin().await?;
    if !tx.db().source_wrong(source, trouble, source.told || tells, now, due_at).await? {
        return Ok(());
    }
    let since = source.wrong_since.unwrap_or(now);
    if tells {
        tell(&mut tx, source, schedule, trouble, since, now).await?;
    }
    tx.commit().await?;
    if source.trouble != Some(Json(trouble.clone())) {
        // Once for each change: it may be so for days.
        tracing::warn!(
            schedule.name = schedule, address = %source.address, %since, reason = trouble.code(), detail = %trouble.logged(),
            "a calendar cannot be read: the schedule stays as it was"
        );
    }
    Ok(())
}
