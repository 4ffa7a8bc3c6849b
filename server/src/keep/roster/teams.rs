//! Teams: added, changed, removed.

use super::forms::TeamForm;
use super::{Editing, Faults, RosterError, find_person, find_team, name};
use crate::audit::{Line, Operation};
use crate::ids::{PersonId, TeamId};
use crate::roster::Roster;
use crate::store::{StoreError, Work};
use crate::versions::Expected;
use serde_json::json;

/// Adds a team.
///
/// # Errors
/// When the form is wrong, the name is taken, or the database fails.
pub async fn add(work: &mut Work, form: &TeamForm) -> Result<TeamId, RosterError> {
    let mut editing = Editing::begin(work).await?;
    let id = add_to(&mut editing, form).await?;
    editing.finish().await?;
    Ok(id)
}

/// The same as a part of a change.
pub(in crate::keep) async fn add_to(editing: &mut Editing<'_>, form: &TeamForm) -> Result<TeamId, RosterError> {
    let now = editing.work.now();
    let (name, members) = said(&editing.roster, form)?;
    let id = TeamId::new(now);
    editing.work.db().insert_team(id, &name, now).await.map_err(|error| taken(&name, error))?;
    editing.work.db().set_members(id, &members).await?;
    let after = json!({ "name": name, "members": members });
    editing.work.note(Line::new(Operation::TeamAdded).of(id).named(name).after(after));
    Ok(id)
}

/// Changes a team: name and members become those of the form.
///
/// # Errors
/// When the form is wrong, there is no such team, it has changed meanwhile, the name is taken, or the database fails.
pub async fn change(work: &mut Work, team: &str, form: &TeamForm) -> Result<TeamId, RosterError> {
    let mut editing = Editing::begin(work).await?;
    let id = change_in(&mut editing, team, form).await?;
    editing.finish().await?;
    Ok(id)
}

/// The same as a part of a change.
pub(in crate::keep) async fn change_in(editing: &mut Editing<'_>, team: &str, form: &TeamForm) -> Result<TeamId, RosterError> {
    let now = editing.work.now();
    let (id, version, old_name) = find_team(&editing.roster, team).map(|team| (team.id, team.version, team.name.clone()))?;
    let (name, members) = said(&editing.roster, form)?;
    let given = form.version.unwrap_or(version);
    match editing.work.db().update_team(id, &name, given, now).await {
        Ok(true) => {}
        Ok(false) => return Err(RosterError::Stale { given, now: version }),
        Err(error) => return Err(taken(&name, error)),
    }
    editing.work.db().set_members(id, &members).await?;
    if name != old_name {
        editing.work.db().rename_duty(&old_name, &name).await?;
    }
    let before = find_team(&editing.roster, team).map(|own| json!({ "name": own.name, "members": own.members }))?;
    let after = json!({ "name": name, "members": members });
    editing.work.note(Line::new(Operation::TeamChanged).of(id).named(name).before(before).after(after));
    Ok(id)
}

/// Removes a team; its schedules stay.
///
/// # Errors
/// When there is no such team, or the database fails.
pub async fn remove(work: &mut Work, team: &str, expected: &Expected) -> Result<(), RosterError> {
    let mut editing = Editing::begin(work).await?;
    remove_from(&mut editing, team, expected).await?;
    editing.finish().await
}

/// The same as a part of a change.
pub(in crate::keep) async fn remove_from(editing: &mut Editing<'_>, team: &str, expected: &Expected) -> Result<(), RosterError> {
    let (id, name) = find_team(&editing.roster, team).map(|team| (team.id, team.name.clone()))?;
    let now_at = find_team(&editing.roster, team)?.version;
    expected.counted(now_at).map_err(|_| RosterError::Stale { given: 0, now: now_at })?;
    editing.is_not_followed(&name).await?;
    editing.work.db().delete_team(id).await?;
    editing.work.note(Line::new(Operation::TeamRemoved).of(id).named(name));
    editing.roster.teams.retain(|own| own.id != id);
    Ok(())
}

/// The name and the members.
fn said(roster: &Roster, form: &TeamForm) -> Result<(String, Vec<PersonId>), RosterError> {
    let mut faults = Faults::default();
    let name = faults.note(name(&form.name))?;
    let mut members = Vec::new();
    for (index, member) in form.members.iter().enumerate() {
        if faults.are_enough() {
            break;
        }
        let id = faults.note(find_person(roster, member).map_err(|error| error.at(format!("members[{index}]"))))?;
        members.extend(id.filter(|id| !members.contains(id)));
    }
    faults.none()?;
    Ok((Faults::sound(name)?, members))
}

/// What a refused name means.
pub(crate) fn taken(name: &str, error: StoreError) -> RosterError {
    if error.is_unique_violation() { RosterError::NameTaken(name.to_owned()) } else { error.into() }
}
