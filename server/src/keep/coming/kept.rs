//! What is kept, in the words of the file: by names, so that it means the same in another installation.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::alarm::Confirm;
use crate::alarm::policy::{Policy, Whom};
use crate::coming::file::{
    LayerEntry, OverrideEntry, PersonEntry, PolicyEntry, QuietEntry, Ring, RuleEntry, ScheduleEntry, Settings, StepEntry,
    TeamEntry, TemporaryEntry, UserEntry, VacationEntry,
};
use crate::coming::plan::Known;
use crate::coming::tidy::{said_last, said_once, shift_text};
use crate::ids::{PersonId, ScheduleId};
use crate::roster::quiet::QuietHours;
use crate::roster::{Change, Override, Roster, Rotation, Rule, Schedule, Temporary, text};
use crate::store::duty::exceptions::VacationRow;
use crate::store::{Db, StoreError};

/// How a wall time of quiet hours is written.
const TIME: &str = "%H:%M";

/// What is kept.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// In the words of the file.
    pub known: Known,
    /// What the file does not say.
    pub notes: Vec<String>,
}

/// The layer of each schedule that holds what a calendar elsewhere says.
pub type Followed = HashMap<ScheduleId, String>;

/// Reads what is kept, without what is over by then.
///
/// # Errors
/// When the database fails.
pub async fn read(db: &mut Db<'_>, at: DateTime<Utc>) -> Result<Kept, StoreError> {
    let roster = db.roster_from(at).await?;
    let followed = followed(db).await?;
    let mut notes = Vec::new();
    let mut settings = Settings { schedules: schedules(&roster, &followed, at, &mut notes), ..Settings::default() };
    for (row, numbers) in db.people().await? {
        let emails = roster.people.get(&row.id).map(|person| person.emails.clone()).unwrap_or_default();
        let (numbers, language) = (Some(numbers), Some(row.language).filter(|tag| !tag.is_empty()));
        let emails = Some(emails).filter(|emails| !emails.is_empty());
        settings.people.push(PersonEntry { name: row.name, numbers, language, emails });
    }
    for user in db.users().await? {
        settings.users.push(UserEntry { name: user.name, role: user.role.as_str().to_owned() });
    }
    let name = |id: &PersonId| roster.people.get(id).map(|person| person.name.clone());
    for team in &roster.teams {
        settings.teams.push(TeamEntry { name: team.name.clone(), members: team.members.iter().filter_map(name).collect() });
    }
    for schedule in &roster.schedules {
        settings.overrides.extend(schedule.overrides.iter().filter_map(|own| override_entry(&roster, schedule, own)));
        for own in &schedule.temporaries {
            match temporary_entry(&roster, schedule, own) {
                Some(entry) => settings.temporaries.push(entry),
                None => notes
                    .push(format!("schedule {}: the temporary schedule {} has nobody that is known", schedule.name, own.name)),
            }
        }
    }
    let mut vacations = db.vacations().await?;
    vacations.sort_by_key(|own| (own.starts_at, own.id));
    settings.vacations = vacations.iter().filter(|own| own.ends_at > at).filter_map(|own| vacation_entry(&roster, own)).collect();
    let policies = db.policies().await?;
    let names: BTreeMap<_, _> = policies.iter().map(|policy| (policy.id, policy.name.clone())).collect();
    for policy in &policies {
        let entry = policy_entry(&roster, &policy.name, &policy.definition);
        match entry.steps.is_empty() {
            true => notes.push(format!("policy {} rings nobody that is known", policy.name)),
            false => settings.policies.push(entry),
        }
    }
    for rule in db.policy_rules().await? {
        if let Some(policy) = names.get(&rule.policy_id) {
            settings.rules.push(RuleEntry { policy: policy.clone(), sender: rule.sender, labels: rule.labels.0 });
        }
    }
    settings.quiet_hours = db.quiet_hours().await?.iter().filter_map(|own| quiet_entry(&roster, own)).collect();
    settings.people.sort_by(|one, other| one.name.cmp(&other.name));
    settings.users.sort_by(|one, other| one.name.cmp(&other.name));
    settings.teams.sort_by(|one, other| one.name.cmp(&other.name));
    settings.schedules.sort_by(|one, other| one.name.cmp(&other.name));
    settings.policies.sort_by(|one, other| one.name.cmp(&other.name));
    // Of these the last decides.
    said_last(&mut settings.overrides);
    said_last(&mut settings.temporaries);
    said_once(&mut settings.vacations);
    said_once(&mut settings.rules);
    said_once(&mut settings.quiet_hours);
    let keys = db.keys().await?.into_iter().map(|key| key.name).collect();
    Ok(Kept { known: Known { settings, keys }, notes })
}

/// Which schedules follow a calendar.
///
/// # Errors
/// When the database fails.
pub async fn followed(db: &mut Db<'_>) -> Result<Followed, StoreError> {
    Ok(db.sources().await?.into_iter().map(|own| (own.schedule_id, own.layer)).collect())
}

fn schedules(roster: &Roster, followed: &Followed, at: DateTime<Utc>, notes: &mut Vec<String>) -> Vec<ScheduleEntry> {
    let mut all = Vec::with_capacity(roster.schedules.len());
    for schedule in &roster.schedules {
        let (name, calendar) = (&schedule.name, followed.get(&schedule.id));
        if let Some(layer) = calendar {
            notes.push(format!(
                "schedule {name} follows a calendar: its address is a secret, and its layer {layer} is not in the file"
            ));
        }
        let mut layers = Vec::new();
        for layer in schedule.layers.iter().filter(|layer| Some(&layer.name) != calendar) {
            match layer_entry(roster, schedule.zone, &layer.name, &layer.rule) {
                Some(entry) => layers.push(entry),
                None => notes.push(format!("schedule {name}: the layer {} has nobody that is known", layer.name)),
            }
            if let Rule::Rotation(own) = &layer.rule
                && own.earlier.iter().any(|earlier| earlier.until > at)
            {
                notes.push(format!("schedule {name}: the layer {} is to change; the file has what it changes to", layer.name));
            }
        }
        let team = schedule.team.and_then(|id| roster.teams.iter().find(|team| team.id == id)).map(|team| team.name.clone());
        let (zone, gaps_allowed) = (schedule.zone.name().to_owned(), schedule.gaps_allowed);
        all.push(ScheduleEntry { name: name.clone(), zone, team, gaps_allowed, layers });
    }
    all
}

/// The people of a rotation from whoever has the turn that begins at its start. Whoever was removed leaves their turns to the next, as it is
/// when they are away.
fn turns(roster: &Roster, rotation: &Rotation) -> Option<Vec<String>> {
    let count = rotation.people.len();
    let name = |place: usize| roster.people.get(rotation.people.get(place % count)?).map(|person| person.name.clone());
    let from_start = (0..count).map(|place| (place..place + count).find_map(|later| name(later + rotation.first)));
    from_start.collect::<Option<Vec<String>>>().filter(|people| !people.is_empty())
}

/// A layer as it stands in the file; `None` when nobody in it is known any more.
#[must_use]
pub fn layer_entry(roster: &Roster, zone: Tz, name: &str, rule: &Rule) -> Option<LayerEntry> {
    let name = name.to_owned();
    match rule {
        Rule::Rotation(own) => Some(LayerEntry {
            name,
            people: turns(roster, own)?,
            every: text::write_every(own.every, own.unit),
            start: text::write_wall(own.start),
            end: own.end.map(text::write_wall),
            active: own.windows.iter().map(text::write_window).collect(),
            skip_idle_turns: own.skip_idle_turns,
            shifts: Vec::new(),
        }),
        Rule::Shifts { shifts } => {
            let person = |id: &PersonId| roster.people.get(id).map(|person| person.name.clone());
            let mut all: Vec<_> = shifts.iter().filter_map(|own| Some((own.from, own.to, person(&own.person)?))).collect();
            all.sort();
            let shifts: Vec<String> = all.iter().map(|(from, to, person)| shift_text(*from, *to, person, zone)).collect();
            (!shifts.is_empty()).then(|| LayerEntry { name, shifts, ..LayerEntry::default() })
        }
    }
}

/// An override as it stands in the file.
#[must_use]
pub fn override_entry(roster: &Roster, schedule: &Schedule, own: &Override) -> Option<OverrideEntry> {
    let name = |id: PersonId| roster.people.get(&id).map(|person| person.name.clone());
    let (action, person, instead_of) = match own.change {
        Change::Add(person) => ("add", name(person)?, None),
        Change::Remove(person) => ("remove", name(person)?, None),
        Change::Replace { by, of: None } => ("replace", name(by)?, None),
        Change::Replace { by, of: Some(of) } => ("replace", name(by)?, Some(name(of)?)),
    };
    Some(OverrideEntry {
        schedule: schedule.name.clone(),
        action: action.to_owned(),
        person,
        instead_of,
        starts_at: text::exact(schedule.zone, own.from),
        ends_at: text::exact(schedule.zone, own.to),
        note: own.note.clone(),
    })
}

/// A temporary schedule as it stands in the file.
#[must_use]
pub fn temporary_entry(roster: &Roster, schedule: &Schedule, own: &Temporary) -> Option<TemporaryEntry> {
    let Rule::Rotation(rotation) = &own.rule else { return None };
    Some(TemporaryEntry {
        schedule: schedule.name.clone(),
        name: own.name.clone(),
        starts_at: text::exact(schedule.zone, own.from),
        ends_at: text::exact(schedule.zone, own.to),
        people: turns(roster, rotation)?,
        every: text::write_every(rotation.every, rotation.unit),
        start: text::write_wall(rotation.start),
        active: rotation.windows.iter().map(text::write_window).collect(),
    })
}

/// A vacation as it stands in the file.
#[must_use]
pub fn vacation_entry(roster: &Roster, own: &VacationRow) -> Option<VacationEntry> {
    Some(VacationEntry {
        person: roster.people.get(&own.person_id)?.name.clone(),
        starts_at: text::exact(Tz::UTC, own.starts_at),
        ends_at: text::exact(Tz::UTC, own.ends_at),
        note: own.note.clone(),
    })
}

fn policy_entry(roster: &Roster, name: &str, policy: &Policy) -> PolicyEntry {
    // Whoever was removed since is rung no more.
    let ring = |whom: &Whom| match whom {
        Whom::Person(id) => roster.people.get(id).map(|person| Ring::Person(person.name.clone())),
        Whom::Number(number) => Some(Ring::Number(number.clone())),
        Whom::Team(id) => roster.teams.iter().find(|team| team.id == *id).map(|team| Ring::Team(team.name.clone())),
        Whom::Schedule(id) => roster.schedule(*id).map(|schedule| Ring::Schedule(schedule.name.clone())),
    };
    let steps = policy.steps.iter().map(|step| StepEntry {
        ring: step.whom.iter().filter_map(ring).collect(),
        mode: step.mode,
        attempts: step.attempts,
        min_interval_seconds: step.min_interval_s,
        wait_seconds: step.wait_s,
    });
    PolicyEntry {
        name: name.to_owned(),
        rounds: policy.rounds,
        confirm_within_seconds: policy.confirm_within_s,
        confirm: policy.wants_key.then_some(Confirm::Key),
        texts: policy.texts,
        // A step that rings nobody any more cannot be written down again.
        steps: steps.filter(|step| !step.ring.is_empty()).collect(),
    }
}

fn quiet_entry(roster: &Roster, own: &QuietHours) -> Option<QuietEntry> {
    let person = match own.person {
        Some(id) => Some(roster.people.get(&id)?.name.clone()),
        None => None,
    };
    let (from, to) = (own.from.format(TIME).to_string(), own.to.format(TIME).to_string());
    Some(QuietEntry { person, from, to, zone: own.zone.name().to_owned(), up_to: own.up_to })
}
