//! Schedules and their layers: added, changed, removed.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::forms::{LayerForm, ScheduleForm, too_many};
use super::teams::taken;
use super::{Editing, Faults, RosterError, find_schedule, find_team, in_field, name};
use crate::audit::{Line, Operation};
use crate::ids::{LayerId, ScheduleId};
use crate::roster::{Layer, Roster, Schedule, text};
use crate::store::Work;
use crate::store::duty::roster::ScheduleRow;
use crate::versions::Expected;
use serde_json::{Value, json};

/// Adds a schedule.
///
/// # Errors
/// When the form is wrong, the name is taken, or the database fails.
pub async fn add(work: &mut Work, form: &ScheduleForm) -> Result<ScheduleId, RosterError> {
    let mut editing = Editing::begin(work).await?;
    let id = add_to(&mut editing, form).await?;
    editing.finish().await?;
    Ok(id)
}

/// The same as a part of a change.
pub(in crate::keep) async fn add_to(editing: &mut Editing<'_>, form: &ScheduleForm) -> Result<ScheduleId, RosterError> {
    let now = editing.work.now();
    let (row, layers) = checked(&editing.roster, form, ScheduleId::new(now), 1, &[], now)?;
    editing.work.db().insert_schedule(&row, now).await.map_err(|error| taken(&row.name, error))?;
    editing.work.db().set_layers(row.id, &layers).await?;
    let line = Line::new(Operation::ScheduleAdded).of(row.id).named(row.name.as_str());
    editing.work.note(line.after(as_line(&row, &layers)));
    Ok(row.id)
}

/// Changes a schedule: everything becomes that of the form, the layers too. Overrides, temporary schedules and vacations stay.
///
/// # Errors
/// When the form is wrong, there is no such schedule, it has changed meanwhile, the name is taken, or the database fails.
pub async fn change(work: &mut Work, schedule: &str, form: &ScheduleForm) -> Result<ScheduleId, RosterError> {
    let mut editing = Editing::begin(work).await?;
    let id = change_in(&mut editing, schedule, form).await?;
    editing.finish().await?;
    Ok(id)
}

/// The same as a part of a change.
pub(in crate::keep) async fn change_in(
    editing: &mut Editing<'_>,
    schedule: &str,
    form: &ScheduleForm,
) -> Result<ScheduleId, RosterError> {
    let now = editing.work.now();
    let own = find_schedule(&editing.roster, schedule)?;
    let (id, version, old_name) = (own.id, own.version, own.name.clone());
    let before = as_line(&row_of(own), &own.layers);
    let (row, layers) = checked(&editing.roster, form, id, form.version.unwrap_or(version), &own.layers, now)?;
    match editing.work.db().update_schedule(&row, now).await {
        Ok(true) => {}
        Ok(false) => return Err(RosterError::Stale { given: row.version, now: version }),
        Err(error) => return Err(taken(&row.name, error)),
    }
    editing.work.db().set_layers(id, &layers).await?;
    if row.name != old_name && find_team(&editing.roster, &old_name).is_err() {
        editing.work.db().rename_duty(&old_name, &row.name).await?;
    }
    let line = Line::new(Operation::ScheduleChanged).of(id).named(row.name.as_str());
    editing.work.note(line.before(before).after(as_line(&row, &layers)));
    Ok(id)
}

/// Takes a schedule out of use. Its duty log stays.
///
/// # Errors
/// When there is no such schedule, or the database fails.
pub async fn remove(work: &mut Work, schedule: &str, expected: &Expected) -> Result<(), RosterError> {
    let mut editing = Editing::begin(work).await?;
    remove_from(&mut editing, schedule, expected).await?;
    editing.finish().await
}

/// The same as a part of a change.
pub(in crate::keep) async fn remove_from(
    editing: &mut Editing<'_>,
    schedule: &str,
    expected: &Expected,
) -> Result<(), RosterError> {
    let now = editing.work.now();
    let (id, name) = find_schedule(&editing.roster, schedule).map(|schedule| (schedule.id, schedule.name.clone()))?;
    let now_at = find_schedule(&editing.roster, schedule)?.version;
    expected.counted(now_at).map_err(|_| RosterError::Stale { given: 0, now: now_at })?;
    editing.is_not_followed(&name).await?;
    editing.work.db().remove_schedule(id, &name, now).await?;
    editing.work.db().remove_source(id).await?;
    editing.work.note(Line::new(Operation::ScheduleRemoved).of(id).named(name));
    editing.roster.schedules.retain(|own| own.id != id);
    Ok(())
}

/// Puts a layer into a schedule: in the place of the layer of that name, else before all others.
///
/// # Errors
/// As [`change`].
pub async fn set_layer(work: &mut Work, schedule: &str, form: &LayerForm, version: Option<i32>) -> Result<(), RosterError> {
    let now = work.now();
    put_layer(work, schedule, version, Operation::LayerChanged, |roster, own| {
        let before = own.layers.iter().find(|layer| layer.name == form.name.trim()).map(|layer| &layer.rule);
        let rule = form.rule_after(before, roster, own.zone, now)?;
        Ok(Layer { id: LayerId::new(now), name: name(&form.name)?, rule })
    })
    .await
}

/// The same for a layer that is made with the roster in hand.
pub(crate) async fn put_layer(
    work: &mut Work,
    schedule: &str,
    version: Option<i32>,
    operation: Operation,
    make: impl FnOnce(&Roster, &Schedule) -> Result<Layer, RosterError>,
) -> Result<(), RosterError> {
    let mut editing = Editing::begin(work).await?;
    let own = find_schedule(&editing.roster, schedule)?;
    let layer = make(&editing.roster, own)?;
    let (id, named) = (own.id, own.name.clone());
    let before =
        own.layers.iter().find(|known| known.name == layer.name).map(|known| json!({ "layer": known.name, "rule": known.rule }));
    let after = json!({ "layer": layer.name, "rule": layer.rule });
    let mut layers = own.layers.clone();
    match layers.iter_mut().find(|known| known.name == layer.name) {
        Some(known) => *known = layer,
        None => layers.insert(0, layer),
    }
    let row = ScheduleRow { version: version.unwrap_or(own.version), ..row_of(own) };
    save_layers(&mut editing, &row, &layers).await?;
    let line = Line::new(operation).of(id).named(named);
    editing.work.note(match before {
        Some(before) => line.before(before).after(after),
        None => line.after(after),
    });
    editing.finish().await
}

/// Takes a layer out of a schedule.
///
/// # Errors
/// As [`change`].
pub async fn remove_layer(work: &mut Work, schedule: &str, layer: &str, version: Option<i32>) -> Result<(), RosterError> {
    let mut editing = Editing::begin(work).await?;
    let own = find_schedule(&editing.roster, schedule)?;
    let mut layers = own.layers.clone();
    layers.retain(|known| known.name != layer.trim() && known.id.to_string() != layer.trim());
    if layers.len() == own.layers.len() {
        return Err(RosterError::NoEntry);
    }
    let row = ScheduleRow { version: version.unwrap_or(own.version), ..row_of(own) };
    let (id, named) = (own.id, own.name.clone());
    save_layers(&mut editing, &row, &layers).await?;
    let line = Line::new(Operation::LayerRemoved).of(id).named(named);
    editing.work.note(line.before(json!({ "layer": layer.trim() })));
    editing.finish().await
}

/// Stores the layers of a schedule, unless it has changed since it was read.
pub(super) async fn save_layers(editing: &mut Editing<'_>, row: &ScheduleRow, layers: &[Layer]) -> Result<(), RosterError> {
    let at = editing.work.now();
    if !editing.work.db().update_schedule(row, at).await? {
        let now = editing.roster.schedule(row.id).map_or(row.version, |own| own.version);
        return Err(RosterError::Stale { given: row.version, now });
    }
    Ok(editing.work.db().set_layers(row.id, layers).await?)
}

/// What a line of the audit log says of a schedule.
fn as_line(row: &ScheduleRow, layers: &[Layer]) -> Value {
    let mut told = json!({ "name": row.name, "team": row.team_id, "zone": row.zone, "gaps_allowed": row.gaps_allowed });
    // Each by its name, so that a change tells of those that are not the same.
    for layer in layers {
        told[format!("layer {}", layer.name)] = json!(layer.rule);
    }
    told
}

/// A schedule without what belongs to it.
pub(super) fn row_of(own: &Schedule) -> ScheduleRow {
    ScheduleRow {
        id: own.id,
        name: own.name.clone(),
        team_id: own.team,
        zone: own.zone.name().to_owned(),
        gaps_allowed: own.gaps_allowed,
        version: own.version,
    }
}

fn checked(
    roster: &Roster,
    form: &ScheduleForm,
    id: ScheduleId,
    version: i32,
    before: &[Layer],
    now: DateTime<Utc>,
) -> Result<(ScheduleRow, Vec<Layer>), RosterError> {
    let mut faults = Faults::default();
    let own_name = faults.note(name(&form.name))?;
    let zone = faults.note(text::zone(&form.zone).map_err(in_field("zone")))?;
    let team = form.team.as_deref().map(str::trim).filter(|team| !team.is_empty());
    let team_id = faults.note(team.map(|team| find_team(roster, team).map(|team| team.id)).transpose())?.flatten();
    if too_many(&form.layers) {
        return Err(RosterError::BadRotation);
    }
    let mut layers: Vec<Layer> = Vec::new();
    for (index, layer) in form.layers.iter().enumerate() {
        if faults.are_enough() {
            break;
        }
        let place = format!("layers[{index}]");
        let name = faults.note(name(&layer.name).map_err(|error| error.within(&place)))?.unwrap_or_default();
        if layers.iter().any(|known| known.name == name) {
            return Err(RosterError::NameTaken(name));
        }
        let before = before.iter().find(|known| known.name == name).map(|known| &known.rule);
        // Where the zone is wrong, the rest is looked at all the same.
        let rule = layer.rule_after(before, roster, zone.unwrap_or(Tz::UTC), now).map_err(|error| error.within(&place));
        layers.extend(faults.note(rule)?.map(|rule| Layer { id: LayerId::new(now), name, rule }));
    }
    faults.none()?;
    let (own_name, zone) = (Faults::sound(own_name)?, Faults::sound(zone)?);
    let row = ScheduleRow { id, name: own_name, team_id, zone: zone.name().to_owned(), gaps_allowed: form.gaps_allowed, version };
    Ok((row, layers))
}
