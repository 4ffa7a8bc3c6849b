//! What differs for some time: overrides, temporary schedules, vacations.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::forms::{OverrideForm, TemporaryForm, VacationForm, times};
use super::{Editing, RosterError, find_person, find_schedule, in_field, name, note};
use crate::ids::{OverrideId, TemporaryId, VacationId};
use crate::roster::{Override, Temporary, text};
use crate::store::Store;
use crate::store::duty::{Made, VacationRow};

/// Adds an override to a schedule.
///
/// # Errors
/// When the form is wrong, there is no such schedule or person, or the database fails.
pub async fn add_override(
    store: &Store,
    schedule: &str,
    form: &OverrideForm,
    by: &str,
    now: DateTime<Utc>,
) -> Result<OverrideId, RosterError> {
    let mut editing = Editing::begin(store, now).await?;
    let own = find_schedule(&editing.roster, schedule)?;
    let (from, to) = times(&form.from, &form.to, own.zone)?;
    let change = form.change(&editing.roster)?;
    let made = Override { id: OverrideId::new(now), from, to, change, note: note(&form.note)? };
    editing.tx.db().insert_override(own.id, &made, Made { by, at: now }).await?;
    editing.finish().await?;
    Ok(made.id)
}

/// Removes an override.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn remove_override(store: &Store, schedule: &str, id: OverrideId, now: DateTime<Utc>) -> Result<(), RosterError> {
    let mut editing = Editing::begin(store, now).await?;
    let own = find_schedule(&editing.roster, schedule)?.id;
    match editing.tx.db().delete_override(own, id).await? {
        true => editing.finish().await,
        false => Err(RosterError::NoEntry),
    }
}

/// Adds a temporary schedule.
///
/// # Errors
/// When the form is wrong, there is no such schedule or person, or the database fails.
pub async fn add_temporary(
    store: &Store,
    schedule: &str,
    form: &TemporaryForm,
    by: &str,
    now: DateTime<Utc>,
) -> Result<TemporaryId, RosterError> {
    let mut editing = Editing::begin(store, now).await?;
    let own = find_schedule(&editing.roster, schedule)?;
    let (from, to) = times(&form.from, &form.to, own.zone)?;
    let rule = form.rule(&editing.roster, own.zone, from)?;
    let made = Temporary { id: TemporaryId::new(now), name: name(&form.name)?, from, to, rule };
    editing.tx.db().insert_temporary(own.id, &made, Made { by, at: now }).await?;
    editing.finish().await?;
    Ok(made.id)
}

/// Removes a temporary schedule.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn remove_temporary(store: &Store, schedule: &str, id: TemporaryId, now: DateTime<Utc>) -> Result<(), RosterError> {
    let mut editing = Editing::begin(store, now).await?;
    let own = find_schedule(&editing.roster, schedule)?.id;
    match editing.tx.db().delete_temporary(own, id).await? {
        true => editing.finish().await,
        false => Err(RosterError::NoEntry),
    }
}

/// Adds a vacation.
///
/// # Errors
/// When the form is wrong, there is no such person, or the database fails.
pub async fn add_vacation(store: &Store, form: &VacationForm, by: &str, now: DateTime<Utc>) -> Result<VacationId, RosterError> {
    let mut editing = Editing::begin(store, now).await?;
    let zone = form.zone.as_deref().map_or(Ok(Tz::UTC), text::zone).map_err(in_field("zone"))?;
    let (starts_at, ends_at) = times(&form.from, &form.to, zone)?;
    let person_id = find_person(&editing.roster, &form.person)?;
    let made = VacationRow { id: VacationId::new(now), person_id, starts_at, ends_at, note: note(&form.note)? };
    editing.tx.db().insert_vacation(&made, Made { by, at: now }).await?;
    editing.finish().await?;
    Ok(made.id)
}

/// Removes a vacation.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn remove_vacation(store: &Store, id: VacationId, now: DateTime<Utc>) -> Result<(), RosterError> {
    let mut editing = Editing::begin(store, now).await?;
    match editing.tx.db().delete_vacation(id).await? {
        true => editing.finish().await,
        false => Err(RosterError::NoEntry),
    }
}
