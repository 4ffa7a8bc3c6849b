//! What differs for some time: overrides, temporary schedules, vacations.

use chrono_tz::Tz;
use serde_json::json;

use super::forms::{HolidaysForm, OverrideForm, SPAN, TemporaryForm, VacationForm, times};
use super::{Editing, Faults, RosterError, find_person, find_schedule, in_field, name, note};
use crate::audit::{Line, Operation};
use crate::ids::{OverrideId, ScheduleId, TemporaryId, VacationId};
use crate::roster::{Override, Temporary, text};
use crate::store::Work;
use crate::store::duty::exceptions::{Made, VacationRow};
use crate::versions::Expected;

/// Adds an override to a schedule.
///
/// # Errors
/// When the form is wrong, there is no such schedule or person, the schedule has changed meanwhile, or the database fails.
pub async fn add_override(
    work: &mut Work,
    schedule: &str,
    form: &OverrideForm,
    by: &str,
    expected: &Expected,
) -> Result<OverrideId, RosterError> {
    let mut editing = Editing::begin(work).await?;
    let id = add_override_to(&mut editing, schedule, form, by, expected).await?;
    editing.finish().await?;
    Ok(id)
}

/// The same as a part of a change.
pub(in crate::keep) async fn add_override_to(
    editing: &mut Editing<'_>,
    schedule: &str,
    form: &OverrideForm,
    by: &str,
    expected: &Expected,
) -> Result<OverrideId, RosterError> {
    let now = editing.work.now();
    let own = find_schedule(&editing.roster, schedule)?;
    let mut faults = Faults::default();
    let times = faults.note(times(SPAN, &form.from, &form.to, own.zone))?;
    let (change, note) = (faults.note(form.change(&editing.roster))?, faults.note(note(&form.note))?);
    faults.none()?;
    let ((from, to), change, note) = (Faults::sound(times)?, Faults::sound(change)?, Faults::sound(note)?);
    let made = Override { id: OverrideId::new(now), from, to, change, note };
    let own = own.id;
    editing.next_version(own, expected).await?;
    editing.work.db().insert_override(own, &made, Made { by, at: now }).await?;
    let after = json!({ "schedule": own, "starts_at": made.from, "ends_at": made.to, "action": form.action, "person": form.person, "instead_of": form.instead_of, "note": made.note });
    editing.work.note(Line::new(Operation::OverrideAdded).of(made.id).named(schedule).in_name_of(Some(by)).after(after));
    Ok(made.id)
}

/// Removes an override.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn remove_override(work: &mut Work, schedule: &str, id: OverrideId, expected: &Expected) -> Result<(), RosterError> {
    let mut editing = Editing::begin(work).await?;
    remove_override_from(&mut editing, schedule, id, expected).await?;
    editing.finish().await
}

/// The same as a part of a change.
pub(in crate::keep) async fn remove_override_from(
    editing: &mut Editing<'_>,
    schedule: &str,
    id: OverrideId,
    expected: &Expected,
) -> Result<(), RosterError> {
    let own = find_schedule(&editing.roster, schedule)?.id;
    if !editing.work.db().delete_override(own, id).await? {
        return Err(RosterError::NoEntry);
    }
    editing.work.note(Line::new(Operation::OverrideRemoved).of(id).named(schedule));
    editing.next_version(own, expected).await
}

/// Adds a temporary schedule.
///
/// # Errors
/// When the form is wrong, there is no such schedule or person, the schedule has changed meanwhile, or the database fails.
pub async fn add_temporary(
    work: &mut Work,
    schedule: &str,
    form: &TemporaryForm,
    by: &str,
    expected: &Expected,
) -> Result<TemporaryId, RosterError> {
    let mut editing = Editing::begin(work).await?;
    let id = add_temporary_to(&mut editing, schedule, form, by, expected).await?;
    editing.finish().await?;
    Ok(id)
}

/// The same as a part of a change.
pub(in crate::keep) async fn add_temporary_to(
    editing: &mut Editing<'_>,
    schedule: &str,
    form: &TemporaryForm,
    by: &str,
    expected: &Expected,
) -> Result<TemporaryId, RosterError> {
    let now = editing.work.now();
    let own = find_schedule(&editing.roster, schedule)?;
    let mut faults = Faults::default();
    let times = faults.note(times(SPAN, &form.from, &form.to, own.zone))?;
    // Where the times are wrong, the rest is looked at all the same.
    let rule = faults.note(form.rule(&editing.roster, own.zone, times.map_or(now, |(from, _)| from)))?;
    let name = faults.note(name(&form.name))?;
    faults.none()?;
    let ((from, to), rule, name) = (Faults::sound(times)?, Faults::sound(rule)?, Faults::sound(name)?);
    let made = Temporary { id: TemporaryId::new(now), name, from, to, rule };
    let own = own.id;
    editing.next_version(own, expected).await?;
    editing.work.db().insert_temporary(own, &made, Made { by, at: now }).await?;
    editing.work.note(temporary_line(own, &made).in_name_of(Some(by)));
    Ok(made.id)
}

/// More holidays than this at once are surely a mistake.
const MOST_DAYS: usize = 100;

/// Adds a temporary schedule for each day of a list: the people take turns, a day each.
///
/// # Errors
/// When the form is wrong, there is no such schedule or person, or the database fails; nothing was added then.
pub async fn add_holidays(
    work: &mut Work,
    schedule: &str,
    form: &HolidaysForm,
    by: &str,
    expected: &Expected,
) -> Result<Vec<TemporaryId>, RosterError> {
    let now = work.now();
    let mut editing = Editing::begin(work).await?;
    let own = find_schedule(&editing.roster, schedule)?;
    let (schedule, zone) = (own.id, own.zone);
    if form.people.is_empty() || form.days.is_empty() || form.days.len() > MOST_DAYS {
        return Err(RosterError::BadDays);
    }
    let mut faults = Faults::default();
    let own_name = faults.note(name(&form.name))?;
    for (index, person) in form.people.iter().enumerate() {
        if faults.are_enough() {
            break;
        }
        faults.note(find_person(&editing.roster, person).map_err(|error| error.at(format!("people[{index}]"))))?;
    }
    let mut days = Vec::new();
    for (index, day) in form.days.iter().enumerate() {
        let read =
            day.trim().parse::<chrono::NaiveDate>().ok().filter(|day| (1971..=2199).contains(&chrono::Datelike::year(day)));
        let wrong = || in_field("days")(text::TextError::Time(day.clone())).at(format!("days[{index}]"));
        days.extend(faults.note(read.ok_or_else(wrong))?);
    }
    faults.none()?;
    let own_name = Faults::sound(own_name)?;
    days.sort_unstable();
    days.dedup();
    editing.next_version(schedule, expected).await?;
    let mut ids = Vec::new();
    for (place, day) in days.into_iter().enumerate() {
        let midnight = |day: chrono::NaiveDate| format!("{day}T00:00");
        let next = day.succ_opt().unwrap_or(day);
        let (from, to) = times(SPAN, &midnight(day), &midnight(next), zone)?;
        let people = vec![form.people[place % form.people.len()].clone()];
        let one = TemporaryForm { name: form.name.clone(), people, ..TemporaryForm::default() };
        let rule = one.rule(&editing.roster, zone, from)?;
        let made = Temporary { id: TemporaryId::new(now), name: own_name.clone(), from, to, rule };
        editing.work.db().insert_temporary(schedule, &made, Made { by, at: now }).await?;
        editing.work.note(temporary_line(schedule, &made).in_name_of(Some(by)));
        ids.push(made.id);
    }
    editing.finish().await?;
    Ok(ids)
}

/// Removes a temporary schedule.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn remove_temporary(work: &mut Work, schedule: &str, id: TemporaryId, expected: &Expected) -> Result<(), RosterError> {
    let mut editing = Editing::begin(work).await?;
    remove_temporary_from(&mut editing, schedule, id, expected).await?;
    editing.finish().await
}

/// The same as a part of a change.
pub(in crate::keep) async fn remove_temporary_from(
    editing: &mut Editing<'_>,
    schedule: &str,
    id: TemporaryId,
    expected: &Expected,
) -> Result<(), RosterError> {
    let own = find_schedule(&editing.roster, schedule)?.id;
    if !editing.work.db().delete_temporary(own, id).await? {
        return Err(RosterError::NoEntry);
    }
    editing.work.note(Line::new(Operation::TemporaryRemoved).of(id).named(schedule));
    editing.next_version(own, expected).await
}

/// Adds a vacation.
///
/// # Errors
/// When the form is wrong, there is no such person, or the database fails.
pub async fn add_vacation(work: &mut Work, form: &VacationForm, by: &str) -> Result<VacationId, RosterError> {
    let mut editing = Editing::begin(work).await?;
    let id = add_vacation_to(&mut editing, form, by).await?;
    editing.finish().await?;
    Ok(id)
}

/// The same as a part of a change.
pub(in crate::keep) async fn add_vacation_to(
    editing: &mut Editing<'_>,
    form: &VacationForm,
    by: &str,
) -> Result<VacationId, RosterError> {
    let now = editing.work.now();
    let mut faults = Faults::default();
    let zone = faults.note(form.zone.as_deref().map_or(Ok(Tz::UTC), text::zone).map_err(in_field("zone")))?;
    let times = faults.note(times(SPAN, &form.from, &form.to, zone.unwrap_or(Tz::UTC)))?;
    let (person, note) = (faults.note(find_person(&editing.roster, &form.person))?, faults.note(note(&form.note))?);
    faults.none()?;
    let ((starts_at, ends_at), person_id, note) = (Faults::sound(times)?, Faults::sound(person)?, Faults::sound(note)?);
    let made = VacationRow { id: VacationId::new(now), person_id, starts_at, ends_at, note };
    editing.work.db().insert_vacation(&made, Made { by, at: now }).await?;
    let line = Line::new(Operation::VacationAdded).of(made.id).about(Some(made.person_id)).in_name_of(Some(by));
    editing.work.note(line.after(json!({ "starts_at": made.starts_at, "ends_at": made.ends_at, "note": made.note })));
    Ok(made.id)
}

/// Removes a vacation.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn remove_vacation(work: &mut Work, id: VacationId) -> Result<(), RosterError> {
    let mut editing = Editing::begin(work).await?;
    remove_vacation_from(&mut editing, id).await?;
    editing.finish().await
}

/// The same as a part of a change.
pub(in crate::keep) async fn remove_vacation_from(editing: &mut Editing<'_>, id: VacationId) -> Result<(), RosterError> {
    match editing.work.db().delete_vacation(id).await? {
        true => {
            editing.work.note(Line::new(Operation::VacationRemoved).of(id));
            Ok(())
        }
        false => Err(RosterError::NoEntry),
    }
}

fn temporary_line(schedule: ScheduleId, made: &Temporary) -> Line {
    let after = json!({ "schedule": schedule, "starts_at": made.from, "ends_at": made.to, "rule": made.rule });
    Line::new(Operation::TemporaryAdded).of(made.id).named(made.name.as_str()).after(after)
}
