//! Carrying out what a file changes: all of it in one transaction, and only if it is still what somebody has seen.

use std::collections::HashMap;

use chrono_tz::Tz;

use super::kept::{self, Followed};
use crate::audit::{Line, Operation};
use crate::coming::file::{
    LayerEntry, OverrideEntry, PersonEntry, PolicyEntry, QuietEntry, Ring, RuleEntry, ScheduleEntry, StepEntry, TeamEntry,
    TemporaryEntry, VacationEntry,
};
use crate::coming::plan::{Plan, Wish};
use crate::coming::tidy::{Entry, shift_parts};
use crate::ids::{OverrideId, TemporaryId};
use crate::keep::people::{self, PersonError};
use crate::keep::people_import::{self, ImportError, ImportedPerson};
use crate::keep::policies::{self, PolicyBody, RuleBody, RulesBody, StepBody};
use crate::keep::quiet_hours::{self, AllQuiet, QuietBody};
use crate::keep::refused::Refused;
use crate::keep::roster::forms::{LayerForm, OverrideForm, ScheduleForm, ShiftForm, TeamForm, TemporaryForm, VacationForm};
use crate::keep::roster::{self, Editing, RosterError, exceptions, schedules, teams};
use crate::keep::users::{self, UserError};
use crate::keep::whom::Named;
use crate::roster::{Roster, Schedule};
use crate::store::access::users::Role;
use crate::store::edits::Edited;
use crate::store::{Db, StoreError, Work};
use crate::versions::Expected;

/// Why a file was not applied. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ComingError {
    /// The file cannot be meant: one sentence each.
    #[error("nothing was changed; please correct:\n  {}", .0.join("\n  "))]
    Wrong(Vec<String>),
    /// It would change something else by now.
    #[error(
        "nothing was changed: somebody else has changed what the file changes since the plan was made; ask for the plan again"
    )]
    Meanwhile,
    /// An entry is refused.
    #[error("nothing was changed: {what}: {why}")]
    Refused {
        /// Which entry.
        what: String,
        /// Why.
        why: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an operation was refused: a failure of the database stays one.
trait Why {
    fn why(self) -> Result<String, StoreError>;
}

macro_rules! why {
    ($($error:ident),+) => { $(
        impl Why for $error {
            fn why(self) -> Result<String, StoreError> {
                match self {
                    Self::Store(error) => Err(error),
                    other => Ok(other.to_string()),
                }
            }
        }
    )+ };
}

why!(PersonError, UserError);

impl Why for RosterError {
    fn why(self) -> Result<String, StoreError> {
        match self {
            Self::Store(error) => Err(error),
            other if other.field().is_empty() => Ok(other.to_string()),
            other => Ok(format!("{}: {other}", other.field())),
        }
    }
}

impl Why for ImportError {
    fn why(self) -> Result<String, StoreError> {
        match self {
            Self::Store(error) => Err(error),
            Self::Refused(lines) => Ok(lines.join("; ")),
            other => Ok(other.to_string()),
        }
    }
}

impl Why for Refused {
    fn why(self) -> Result<String, StoreError> {
        match self {
            Self::Store(error) => Err(error),
            other => Ok(other.sentence()),
        }
    }
}

/// Says of which entry it is that an operation refused.
fn of<T: Entry, O, E: Why>(entry: &T, done: Result<O, E>) -> Result<O, ComingError> {
    done.map_err(|error| match error.why() {
        Ok(why) => ComingError::Refused { what: format!("{} {:?}", T::KIND.one(), entry.title()), why },
        Err(error) => error.into(),
    })
}

/// The same of what is no entry.
fn of_all<O, E: Why>(what: &str, done: Result<O, E>) -> Result<O, ComingError> {
    done.map_err(|error| match error.why() {
        Ok(why) => ComingError::Refused { what: what.to_owned(), why },
        Err(error) => error.into(),
    })
}

/// What a file would change.
///
/// # Errors
/// All that is wrong with it, or when the database fails.
pub async fn plan(db: &mut Db<'_>, wish: &Wish) -> Result<Plan, ComingError> {
    let kept = kept::read(db, wish.at).await?;
    Plan::make(&kept.known, wish).map_err(ComingError::Wrong)
}

/// Carries out a plan that was made of this wish. `by` is written down beside overrides and the like.
///
/// # Errors
/// When the wish would by now change anything else than the plan says, an entry is refused, or the database fails; nothing is changed then.
pub async fn apply(work: &mut Work, wish: &Wish, planned: &Plan, by: &str) -> Result<(), ComingError> {
    let roster = locked(work, planned).await?;
    // Nobody else changes any of it from here on; what they changed before must not be overwritten unseen.
    match plan(&mut work.db(), wish).await {
        Ok(now) if now == *planned => {}
        Ok(_) | Err(ComingError::Wrong(_)) => return Err(ComingError::Meanwhile),
        Err(other) => return Err(other),
    }
    work.note(Line::new(Operation::EverythingApplied).in_name_of(Some(by)));
    for policy in &planned.policies.removed {
        of(policy, policies::forget(work, &policy.name, &Expected::Anything).await)?;
    }
    // What goes of the roster goes first: some of it would go with people, and so would not be found any more.
    let before = roster.clone();
    take_from_roster(work, roster, planned).await?;
    change_people(work, planned).await?;
    if planned.changes_roster() {
        add_to_roster(work, before, planned, by).await?;
    }
    for policy in planned.policies.added.iter().chain(planned.policies.changed.iter().map(|(_, after)| after)) {
        let set = policies::set(work, &policy.name, &policy_body(policy), wish.region, &Expected::Anything).await;
        of(policy, set)?;
    }
    if let Some((_, rules)) = &planned.rules {
        let body = RulesBody { rules: rules.iter().map(rule_body).collect() };
        of_all("rules", policies::set_rules(work, &body, &Expected::Anything).await)?;
    }
    if let Some((_, hours)) = &planned.quiet_hours {
        let body = AllQuiet { quiet_hours: hours.iter().map(quiet_body).collect() };
        of_all("quiet hours", quiet_hours::set(work, &body, &Expected::Anything).await)?;
    }
    for (_, user) in &planned.users.changed {
        if let Some(role) = Role::parse(&user.role) {
            of(user, users::set_role(work, &user.name, role).await)?;
        }
    }
    Ok(())
}

/// Keeps others from all that a file may change, and writes down who was on duty until now.
async fn locked(work: &mut Work, planned: &Plan) -> Result<Roster, ComingError> {
    let mut with = vec![Edited::People, Edited::Policies, Edited::PolicyRules, Edited::QuietHours];
    if !planned.people.removed.is_empty() {
        with.extend(people::REMOVAL);
        with.sort_unstable();
        with.dedup();
    }
    Ok(roster::locked(work, &with).await?)
}

async fn change_people(work: &mut Work, planned: &Plan) -> Result<(), ComingError> {
    for person in &planned.people.removed {
        if let Some(row) = work.db().person_by_name(&person.name).await? {
            of(person, people::remove_in(work, row.id, &Expected::Anything).await)?;
        }
    }
    let changed = planned.people.changed.iter().map(|(_, after)| after);
    let all: Vec<ImportedPerson> = planned.people.added.iter().chain(changed).map(imported).collect();
    if !all.is_empty() {
        // All at once: two of them may have swapped phones.
        of_all("people", people_import::import(work, &all).await)?;
    }
    Ok(())
}

fn imported(person: &PersonEntry) -> ImportedPerson {
    ImportedPerson {
        name: person.name.clone(),
        numbers: person.numbers.clone().unwrap_or_default(),
        language: Some(person.language.clone().unwrap_or_default()),
        emails: Some(person.emails.clone().unwrap_or_default()),
        doubtful: Vec::new(),
    }
}

/// The ids of entries by their keys: somebody may have said the same twice.
type Ids<I> = HashMap<String, Vec<I>>;

fn by_key<T: Entry, I>(all: impl Iterator<Item = (Option<T>, I)>) -> Ids<I> {
    let mut ids = Ids::new();
    for (entry, id) in all {
        if let Some(entry) = entry {
            ids.entry(entry.key()).or_default().push(id);
        }
    }
    ids
}

fn ids_of_overrides(roster: &Roster) -> Ids<OverrideId> {
    let all = roster.schedules.iter().flat_map(|schedule| schedule.overrides.iter().map(move |own| (schedule, own)));
    by_key(all.map(|(schedule, own)| (kept::override_entry(roster, schedule, own), own.id)))
}

fn ids_of_temporaries(roster: &Roster) -> Ids<TemporaryId> {
    let all = roster.schedules.iter().flat_map(|schedule| schedule.temporaries.iter().map(move |own| (schedule, own)));
    by_key(all.map(|(schedule, own)| (kept::temporary_entry(roster, schedule, own), own.id)))
}

/// The first part of a change of the roster: what goes. The duty log is looked at once before it and once after the last part, whatever there
/// is in it.
async fn take_from_roster(work: &mut Work, roster: Roster, planned: &Plan) -> Result<(), ComingError> {
    let vacations = work.db().vacations().await?;
    let mut overrides = ids_of_overrides(&roster);
    let mut temporaries = ids_of_temporaries(&roster);
    let mut vacations = by_key(vacations.iter().map(|own| (kept::vacation_entry(&roster, own), own.id)));
    let mut editing = Editing::with(work, roster);
    for own in &planned.overrides.removed {
        for id in overrides.remove(&own.key()).unwrap_or_default() {
            of(own, exceptions::remove_override_from(&mut editing, &own.schedule, id, &Expected::Anything).await)?;
        }
    }
    for own in &planned.temporaries.removed {
        for id in temporaries.remove(&own.key()).unwrap_or_default() {
            of(own, exceptions::remove_temporary_from(&mut editing, &own.schedule, id, &Expected::Anything).await)?;
        }
    }
    for own in &planned.vacations.removed {
        for id in vacations.remove(&own.key()).unwrap_or_default() {
            of(own, exceptions::remove_vacation_from(&mut editing, id).await)?;
        }
    }
    for own in &planned.schedules.removed {
        of(own, schedules::remove_from(&mut editing, &own.name, &Expected::Anything).await)?;
    }
    for own in &planned.teams.removed {
        of(own, teams::remove_from(&mut editing, &own.name, &Expected::Anything).await)?;
    }
    Ok(())
}

/// The last part: what comes, and what becomes something else, with the people who are there by now.
async fn add_to_roster(work: &mut Work, before: Roster, planned: &Plan, by: &str) -> Result<(), ComingError> {
    let followed = kept::followed(&mut work.db()).await?;
    let roster = work.db().roster().await?;
    let mut editing = Editing::with(work, roster).since(before);
    for own in &planned.teams.added {
        of(own, teams::add_to(&mut editing, &team_form(own)).await)?;
    }
    for (_, own) in &planned.teams.changed {
        of(own, teams::change_in(&mut editing, &own.name, &team_form(own)).await)?;
    }
    of_all("roster", editing.renew().await)?;
    for own in &planned.schedules.added {
        let layers = own.layers.iter().map(layer_form).collect();
        of(own, schedules::add_to(&mut editing, &schedule_form(own, layers)).await)?;
    }
    for (before, own) in &planned.schedules.changed {
        let layers = editing
            .roster()
            .find_schedule(&own.name)
            .map(|known| changed_layers(editing.roster(), known, before, own, &followed));
        let layers = of(own, layers.ok_or_else(|| RosterError::NoSchedule(own.name.clone())))?;
        of(own, schedules::change_in(&mut editing, &own.name, &schedule_form(own, layers)).await)?;
    }
    of_all("roster", editing.renew().await)?;
    for own in &planned.overrides.added {
        let form = override_form(own);
        of(own, exceptions::add_override_to(&mut editing, &own.schedule, &form, by, &Expected::Anything).await)?;
    }
    for own in &planned.temporaries.added {
        let form = temporary_form(own);
        of(own, exceptions::add_temporary_to(&mut editing, &own.schedule, &form, by, &Expected::Anything).await)?;
    }
    for own in &planned.vacations.added {
        of(own, exceptions::add_vacation_to(&mut editing, &vacation_form(own), by).await)?;
    }
    of_all("roster", editing.finish().await)
}

/// The layers that a schedule is to have: those of the file, and the one of its calendar where it stands. A layer that stays as it is keeps its
/// own words, so that nobody's turn moves.
fn changed_layers(
    roster: &Roster,
    known: &Schedule,
    before: &ScheduleEntry,
    own: &ScheduleEntry,
    followed: &Followed,
) -> Vec<LayerForm> {
    let mut layers: Vec<LayerForm> = Vec::with_capacity(own.layers.len() + 1);
    for layer in &own.layers {
        let stays = before.layers.contains(layer);
        let rule = known.layers.iter().find(|known| stays && known.name == layer.name).map(|known| &known.rule);
        layers.push(rule.map_or_else(|| layer_form(layer), |rule| LayerForm::of(roster, &layer.name, rule)));
    }
    let calendar =
        followed.get(&known.id).and_then(|name| known.layers.iter().enumerate().find(|(_, layer)| layer.name == *name));
    if let Some((place, layer)) = calendar {
        layers.insert(place.min(layers.len()), LayerForm::of(roster, &layer.name, &layer.rule));
    }
    layers
}

fn schedule_form(own: &ScheduleEntry, layers: Vec<LayerForm>) -> ScheduleForm {
    ScheduleForm {
        name: own.name.clone(),
        zone: own.zone.clone(),
        team: own.team.clone(),
        gaps_allowed: own.gaps_allowed,
        layers,
        version: None,
    }
}

fn layer_form(own: &LayerEntry) -> LayerForm {
    let shift = |(from, to, person): (&str, &str, &str)| ShiftForm {
        from: from.to_owned(),
        to: to.to_owned(),
        person: person.to_owned(),
    };
    LayerForm {
        name: own.name.clone(),
        people: own.people.clone(),
        every: own.every.clone(),
        start: own.start.clone(),
        end: own.end.clone(),
        active: own.active.clone(),
        skip_idle_turns: own.skip_idle_turns,
        from: None,
        shifts: own.shifts.iter().filter_map(|text| shift_parts(text)).map(shift).collect(),
    }
}

fn team_form(own: &TeamEntry) -> TeamForm {
    TeamForm { name: own.name.clone(), members: own.members.clone(), version: None }
}

fn override_form(own: &OverrideEntry) -> OverrideForm {
    OverrideForm {
        action: own.action.clone(),
        person: own.person.clone(),
        instead_of: own.instead_of.clone(),
        from: own.starts_at.clone(),
        to: own.ends_at.clone(),
        note: own.note.clone(),
    }
}

fn temporary_form(own: &TemporaryEntry) -> TemporaryForm {
    TemporaryForm {
        name: own.name.clone(),
        from: own.starts_at.clone(),
        to: own.ends_at.clone(),
        people: own.people.clone(),
        every: Some(own.every.clone()),
        start: Some(own.start.clone()),
        active: own.active.clone(),
    }
}

fn vacation_form(own: &VacationEntry) -> VacationForm {
    VacationForm {
        person: own.person.clone(),
        from: own.starts_at.clone(),
        to: own.ends_at.clone(),
        zone: Some(Tz::UTC.name().to_owned()),
        note: own.note.clone(),
    }
}

fn policy_body(own: &PolicyEntry) -> PolicyBody {
    PolicyBody {
        steps: own.steps.iter().map(step_body).collect(),
        rounds: own.rounds,
        confirm_within_seconds: own.confirm_within_seconds,
        confirm: own.confirm,
        texts: own.texts,
    }
}

fn step_body(own: &StepEntry) -> StepBody {
    let named = |ring: &Ring| match ring {
        Ring::Person(name) => Named::Person(name.clone()),
        Ring::Number(number) => Named::Number(number.clone()),
        Ring::Team(name) => Named::Team(name.clone()),
        Ring::Schedule(name) => Named::Schedule(name.clone()),
    };
    StepBody {
        ring: own.ring.iter().map(named).collect(),
        mode: Some(own.mode),
        attempts: own.attempts,
        min_interval_seconds: own.min_interval_seconds,
        wait_seconds: own.wait_seconds,
    }
}

fn rule_body(own: &RuleEntry) -> RuleBody {
    RuleBody { policy: own.policy.clone(), sender: own.sender.clone(), labels: own.labels.clone() }
}

fn quiet_body(own: &QuietEntry) -> QuietBody {
    QuietBody { person: own.person.clone(), from: own.from.clone(), to: own.to.clone(), zone: own.zone.clone(), up_to: own.up_to }
}
