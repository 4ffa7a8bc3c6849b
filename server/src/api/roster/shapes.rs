//! What the API says of the roster.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::ids::{LayerId, OverrideId, PersonId, ScheduleId, TeamId, TemporaryId};
use crate::keep::roster::forms::LayerForm;
use crate::roster::check::Finding;
use crate::roster::{Change, On, OnDuty, Override, Reason, Roster, Schedule, Shift, Team, Temporary};
use crate::store::duty::sources::SourceRow;

/// A person, team or schedule by id and name.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Reference)]
pub struct Named {
    id: String,
    name: String,
}

impl Named {
    /// By both.
    #[must_use]
    pub fn new(id: String, name: String) -> Self {
        Self { id, name }
    }

    /// The same under another name.
    #[must_use]
    pub fn called(self, name: impl Fn(&str) -> String) -> Self {
        Self { name: name(&self.name), ..self }
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &String {
        &self.id
    }

    /// A person.
    #[must_use]
    pub fn person(roster: &Roster, id: PersonId) -> Self {
        Self { id: id.to_string(), name: roster.name(id) }
    }

    /// A schedule.
    #[must_use]
    pub fn schedule(roster: &Roster, id: ScheduleId) -> Self {
        Self { id: id.to_string(), name: roster.schedule(id).map(|own| own.name.clone()).unwrap_or_default() }
    }

    fn team(roster: &Roster, id: TeamId) -> Self {
        let name = roster.teams.iter().find(|team| team.id == id).map(|team| team.name.clone());
        Self { id: id.to_string(), name: name.unwrap_or_default() }
    }
}

/// A team.
#[derive(Debug, Serialize, ToSchema)]
pub struct TeamJson {
    id: TeamId,
    name: String,
    /// Give it back when you change the team.
    version: i32,
    members: Vec<Named>,
    schedules: Vec<Named>,
}

impl TeamJson {
    /// As the API says it.
    #[must_use]
    pub fn of(roster: &Roster, team: &Team) -> Self {
        let schedules = roster.schedules.iter().filter(|schedule| schedule.team == Some(team.id));
        Self {
            id: team.id,
            name: team.name.clone(),
            version: team.version,
            members: team.members.iter().map(|person| Named::person(roster, *person)).collect(),
            schedules: schedules.map(|schedule| Named::schedule(roster, schedule.id)).collect(),
        }
    }
}

/// A layer: its id, and the fields with which it was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct LayerJson {
    id: LayerId,
    #[serde(flatten)]
    layer: LayerForm,
}

/// An override.
#[derive(Debug, Serialize, ToSchema)]
pub struct OverrideJson {
    id: OverrideId,
    action: &'static str,
    person: Named,
    instead_of: Option<Named>,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    note: String,
}

impl OverrideJson {
    /// As the API says it.
    #[must_use]
    pub fn of(roster: &Roster, own: &Override) -> Self {
        let (action, person, instead_of) = match own.change {
            Change::Add(person) => ("add", person, None),
            Change::Remove(person) => ("remove", person, None),
            Change::Replace { by, of } => ("replace", by, of),
        };
        Self {
            id: own.id,
            action,
            person: Named::person(roster, person),
            instead_of: instead_of.map(|person| Named::person(roster, person)),
            starts_at: own.from,
            ends_at: own.to,
            note: own.note.clone(),
        }
    }
}

/// A temporary schedule.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemporaryJson {
    id: TemporaryId,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    #[serde(flatten)]
    rule: LayerForm,
}

impl TemporaryJson {
    /// As the API says it.
    #[must_use]
    pub fn of(roster: &Roster, own: &Temporary) -> Self {
        Self { id: own.id, starts_at: own.from, ends_at: own.to, rule: LayerForm::of(roster, &own.name, &own.rule) }
    }
}

/// The calendars that schedules follow.
pub type Sources = HashMap<ScheduleId, SourceRow>;

/// How a calendar stands that a schedule follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CalendarSourceState {
    /// It was not read yet.
    New,
    /// It could be read.
    Good,
    /// It cannot be read: the last good shifts stay.
    Wrong,
}

/// Why a calendar cannot be read.
#[derive(Debug, Serialize, ToSchema)]
pub struct CalendarTroubleJson {
    began_at: DateTime<Utc>,
    /// `closed_address`, `unreachable`, `slow`, `status`, `redirects`, `too_large`, `web_page`, `empty`, `unreadable` or `too_costly`.
    code: &'static str,
    /// In a sentence.
    detail: String,
}

/// A calendar that a schedule follows.
#[derive(Debug, Serialize, ToSchema)]
pub struct CalendarSourceJson {
    /// Its host and last characters: the whole address may be a secret, and is never shown.
    address: String,
    every_minutes: i32,
    /// The layer that holds what it says.
    layer: String,
    state: CalendarSourceState,
    set_at: DateTime<Utc>,
    set_by: String,
    /// When it was last asked.
    asked_at: Option<DateTime<Utc>>,
    /// When it could last be read.
    good_at: Option<DateTime<Utc>>,
    /// When it is asked next.
    next_at: DateTime<Utc>,
    wrong: Option<CalendarTroubleJson>,
    /// The shifts in it, when it could last be read.
    shifts: Option<usize>,
    /// Events of others, which were passed over then.
    skipped: Vec<String>,
    /// How it was understood then, where it could be understood otherwise.
    notes: Vec<String>,
    /// When it last changed the schedule, and how many shifts came and went.
    changed_at: Option<DateTime<Utc>>,
    added: Option<usize>,
    removed: Option<usize>,
}

impl CalendarSourceJson {
    /// As the API says it.
    #[must_use]
    pub fn of(row: &SourceRow) -> Self {
        let wrong = row.wrong();
        let state = match (&wrong, row.good_at) {
            (Some(_), _) => CalendarSourceState::Wrong,
            (None, Some(_)) => CalendarSourceState::Good,
            (None, None) => CalendarSourceState::New,
        };
        let reading = row.reading.as_ref().map(|reading| &reading.0);
        let change = row.change.as_ref().map(|change| change.0);
        Self {
            address: row.address.to_string(),
            every_minutes: row.every_minutes,
            layer: row.layer.clone(),
            state,
            set_at: row.set_at,
            set_by: row.set_by.clone(),
            asked_at: row.asked_at,
            good_at: row.good_at,
            next_at: row.due_at,
            wrong: wrong.map(|(began_at, trouble)| CalendarTroubleJson {
                began_at,
                code: trouble.code(),
                detail: trouble.to_string(),
            }),
            shifts: reading.map(|reading| reading.shifts),
            skipped: reading.map(|reading| reading.skipped.clone()).unwrap_or_default(),
            notes: reading.map(|reading| reading.notes.clone()).unwrap_or_default(),
            changed_at: row.changed_at,
            added: change.map(|change| change.added),
            removed: change.map(|change| change.removed),
        }
    }
}

/// A schedule with all that belongs to it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScheduleJson {
    id: ScheduleId,
    name: String,
    zone: String,
    team: Option<Named>,
    gaps_allowed: bool,
    /// Give it back when you change the schedule.
    version: i32,
    layers: Vec<LayerJson>,
    overrides: Vec<OverrideJson>,
    temporaries: Vec<TemporaryJson>,
    /// The calendar that it follows; null when it follows none.
    calendar: Option<CalendarSourceJson>,
}

impl ScheduleJson {
    /// Which one.
    #[must_use]
    pub fn id(&self) -> ScheduleId {
        self.id
    }

    /// As the API says it.
    #[must_use]
    pub fn of(roster: &Roster, sources: &Sources, schedule: &Schedule) -> Self {
        let layers = schedule.layers.iter();
        Self {
            id: schedule.id,
            name: schedule.name.clone(),
            zone: schedule.zone.name().to_owned(),
            team: schedule.team.map(|team| Named::team(roster, team)),
            gaps_allowed: schedule.gaps_allowed,
            version: schedule.version,
            layers: layers.map(|own| LayerJson { id: own.id, layer: LayerForm::of(roster, &own.name, &own.rule) }).collect(),
            overrides: schedule.overrides.iter().map(|own| OverrideJson::of(roster, own)).collect(),
            temporaries: schedule.temporaries.iter().map(|own| TemporaryJson::of(roster, own)).collect(),
            calendar: sources.get(&schedule.id).map(CalendarSourceJson::of),
        }
    }
}

/// Why somebody is on duty.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReasonJson {
    /// `layer`, `override`, `temporary`, or `member` of a team without a schedule.
    pub kind: String,
    /// The name of the layer or temporary schedule, or the note of the override.
    pub of: String,
    /// Whose turn it would be, if they were not away or replaced.
    pub instead_of: Option<Named>,
}

impl ReasonJson {
    /// As the API says it.
    #[must_use]
    pub fn of(roster: &Roster, schedule: Option<&Schedule>, reason: &Reason) -> Self {
        let (kind, of) = schedule.map_or(("member", String::new()), |schedule| schedule.origin(reason));
        let instead_of = match reason {
            Reason::Layer { covers: other, .. }
            | Reason::Temporary { covers: other, .. }
            | Reason::Override { replaces: other, .. } => *other,
            Reason::Member => None,
        };
        // Whoever is being erased is named nowhere any more.
        let instead_of = instead_of.filter(|person| roster.people.contains_key(person));
        Self { kind: kind.to_owned(), of, instead_of: instead_of.map(|person| Named::person(roster, person)) }
    }
}

/// Somebody on duty.
#[derive(Debug, Serialize, ToSchema)]
pub struct OnDutyJson {
    /// Who.
    pub person: Named,
    /// By which schedule; null for the members of a team without one.
    pub schedule: Option<Named>,
    /// Why.
    pub reason: ReasonJson,
    /// When they are relieved; null when that is more than a year away.
    pub ends_at: Option<DateTime<Utc>>,
}

impl OnDutyJson {
    /// As the API says it.
    #[must_use]
    pub fn of(roster: &Roster, on: &OnDuty) -> Self {
        let schedule = on.schedule.and_then(|id| roster.schedule(id));
        Self {
            person: Named::person(roster, on.person),
            schedule: on.schedule.map(|id| Named::schedule(roster, id)),
            reason: ReasonJson::of(roster, schedule, &on.reason),
            ends_at: on.until,
        }
    }
}

/// A time in which the same people are on duty for the same reasons.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShiftJson {
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    /// Empty in a gap.
    on_duty: Vec<ShiftPersonJson>,
}

/// Somebody in a shift.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShiftPersonJson {
    /// Who.
    pub person: Named,
    /// Why.
    pub reason: ReasonJson,
}

impl ShiftJson {
    /// As the API says it.
    #[must_use]
    pub fn of(roster: &Roster, schedule: &Schedule, shift: &Shift) -> Self {
        let person = |on: &On| ShiftPersonJson {
            person: Named::person(roster, on.person),
            reason: ReasonJson::of(roster, Some(schedule), &on.reason),
        };
        Self { starts_at: shift.from, ends_at: shift.to, on_duty: shift.on.iter().map(person).collect() }
    }
}

/// Something that is wrong with the roster, or may be.
#[derive(Debug, Serialize, ToSchema)]
pub struct FindingJson {
    /// `gap`, `team_gap`, `unreachable`, `never` (somebody in a rotation who never has a turn that is active), `several`, `twice` or
    /// `calendar` (the calendar that a schedule follows cannot be read, since `starts_at`).
    kind: &'static str,
    team: Option<Named>,
    schedules: Vec<Named>,
    people: Vec<Named>,
    starts_at: DateTime<Utc>,
    ends_at: Option<DateTime<Utc>>,
}

impl FindingJson {
    /// A calendar that cannot be read.
    #[must_use]
    pub fn calendar(roster: &Roster, source: &SourceRow) -> Option<Self> {
        let (starts_at, _) = source.wrong()?;
        let schedules = vec![Named::schedule(roster, source.schedule_id)];
        Some(Self { kind: "calendar", team: None, schedules, people: Vec::new(), starts_at, ends_at: None })
    }

    /// As the API says it.
    #[must_use]
    pub fn of(roster: &Roster, finding: &Finding) -> Self {
        let schedules = |ids: &[ScheduleId]| ids.iter().map(|id| Named::schedule(roster, *id)).collect::<Vec<_>>();
        let people = |ids: &[PersonId]| ids.iter().map(|id| Named::person(roster, *id)).collect::<Vec<_>>();
        let (kind, team, schedules, people, to) = match finding {
            Finding::Gap { schedule, to, .. } => ("gap", None, schedules(&[*schedule]), Vec::new(), Some(*to)),
            Finding::TeamGap { team, to, .. } => {
                ("team_gap", Some(Named::team(roster, *team)), Vec::new(), Vec::new(), Some(*to))
            }
            Finding::Unreachable { person, schedule, .. } => {
                ("unreachable", None, schedules(&[*schedule]), people(&[*person]), None)
            }
            Finding::Never { person, schedule, .. } => ("never", None, schedules(&[*schedule]), people(&[*person]), None),
            Finding::UnreachableMember { person, team, .. } => {
                ("unreachable", Some(Named::team(roster, *team)), Vec::new(), people(&[*person]), None)
            }
            Finding::Several { schedule, to, people: all, .. } => {
                ("several", None, schedules(&[*schedule]), people(all), Some(*to))
            }
            Finding::Twice { person, schedules: both, to, .. } => ("twice", None, schedules(both), people(&[*person]), Some(*to)),
        };
        Self { kind, team, schedules, people, starts_at: finding.from(), ends_at: to }
    }
}
