//! The duty roster: who is on duty at an instant, why, and until when. Pure: no I/O and no clock.
//!
//! A [`Schedule`] is read from the top: a *temporary schedule* that has somebody decides alone; else the first *layer* that has
//! somebody, changed by the *overrides* of that moment. Whatever leaves nobody falls through to what stands below it, so that a
//! gap is only where nothing at all is planned. Somebody on *vacation* is on duty by none of these: in a rotation the next of
//! the order covers. Wall times and clock changes are the business of [`wall`]; finding gaps that of [`check`].

pub mod calendar_zone;
pub mod changes;
pub mod check;
pub mod csv;
pub mod evaluate;
pub mod feed;
pub mod find;
pub mod ical;
#[cfg(test)]
mod model;
pub mod quiet;
pub mod recurrence;
pub mod rotation;
pub mod source;
pub mod text;
mod typed;
pub mod wall;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDateTime, NaiveTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::ids::{LayerId, OverrideId, PersonId, ScheduleId, TeamId, TemporaryId};

/// All that decides who is on duty: the roster at one moment.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    /// Everybody who is known.
    pub people: BTreeMap<PersonId, Person>,
    /// All teams, by name.
    pub teams: Vec<Team>,
    /// All schedules, by name.
    pub schedules: Vec<Schedule>,
    /// Who is away when.
    pub absences: Absences,
}

/// Somebody who may be on duty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// Their name.
    pub name: String,
    /// Their numbers in the order they are rung; without one they cannot be on call.
    pub numbers: Vec<String>,
    /// Their e-mail addresses, by which calendars name them.
    pub emails: Vec<String>,
}

/// People who answer for something together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    /// Which one.
    pub id: TeamId,
    /// Its name; unique.
    pub name: String,
    /// Its people in order. They are rung when the team has no schedule.
    pub members: Vec<PersonId>,
    /// Grows with every change.
    pub version: i32,
}

/// Who is on duty when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Which one.
    pub id: ScheduleId,
    /// Its name; unique.
    pub name: String,
    /// Whose schedule it is.
    pub team: Option<TeamId>,
    /// Where its wall times are read.
    pub zone: Tz,
    /// Nobody need be on duty at all times: its gaps are no mistake.
    pub gaps_allowed: bool,
    /// Grows with every change of the schedule and its layers.
    pub version: i32,
    /// The first that has somebody decides.
    pub layers: Vec<Layer>,
    /// In the order they were made, which is the order they are applied in.
    pub overrides: Vec<Override>,
    /// In the order they were made; of several at one time the latest decides.
    pub temporaries: Vec<Temporary>,
}

impl Roster {
    /// Everybody of a team: its own people in their order, then whoever its schedules name.
    #[must_use]
    pub fn all_of_team(&self, team: TeamId) -> Vec<PersonId> {
        let mut all: Vec<PersonId> =
            self.teams.iter().find(|own| own.id == team).map(|own| own.members.clone()).unwrap_or_default();
        let scheduled = self.schedules.iter().filter(|schedule| schedule.team == Some(team));
        for person in scheduled.flat_map(|schedule| &schedule.layers).flat_map(|layer| layer.rule.people()) {
            if !all.contains(&person) {
                all.push(person);
            }
        }
        all
    }
}

impl Schedule {
    /// The kind of a reason in one word, and the name of what it comes from: of a layer, of a temporary schedule, or the note of an
    /// override.
    #[must_use]
    pub fn origin(&self, reason: &Reason) -> (&'static str, String) {
        let (kind, name) = match reason {
            Reason::Temporary { id, .. } => {
                ("temporary", self.temporaries.iter().find(|own| own.id == *id).map(|own| own.name.clone()))
            }
            Reason::Override { id, .. } => {
                ("override", self.overrides.iter().find(|own| own.id == *id).map(|own| own.note.clone()))
            }
            Reason::Layer { id, .. } => ("layer", self.layers.iter().find(|own| own.id == *id).map(|own| own.name.clone())),
            Reason::Member => ("member", None),
        };
        (kind, name.unwrap_or_default())
    }
}

/// One rule of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Which one.
    pub id: LayerId,
    /// What people call it.
    pub name: String,
    /// Who and when.
    pub rule: Rule,
}

/// Who is on duty when, by one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Rule {
    /// People take turns.
    Rotation(Rotation),
    /// Shifts that were written down one by one, as in an imported file.
    Shifts {
        /// In the order they begin.
        shifts: Vec<FixedShift>,
    },
}

impl Rule {
    /// Everybody the rule names, each once.
    #[must_use]
    pub fn people(&self) -> Vec<PersonId> {
        let mut people: Vec<PersonId> = match self {
            Self::Rotation(own) => {
                let earlier = own.earlier.iter().flat_map(|earlier| &earlier.rotation.people);
                own.people.iter().chain(earlier).copied().collect()
            }
            Self::Shifts { shifts } => shifts.iter().map(|shift| shift.person).collect(),
        };
        people.sort_unstable();
        people.dedup();
        people
    }
}

/// People who take turns. All its times are wall times of the schedule's zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// In the order of their turns.
    pub people: Vec<PersonId>,
    /// How long a turn is, in `unit`s.
    pub every: u32,
    /// What a turn is counted in.
    pub unit: Unit,
    /// When the first turn begins; its time of day is that of every hand-over by days or weeks.
    pub start: NaiveDateTime,
    /// From when on there is nobody.
    pub end: Option<NaiveDateTime>,
    /// When it is active; always, if there is none.
    pub windows: Vec<Window>,
    /// The place in `people` of whoever has the turn that begins at `start`: people who come or go move the order, and must not move whose
    /// turn it is.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub first: usize,
    /// Turns in which it is never active do not count, so that everybody has as many as the others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_idle_turns: bool,
    /// What holds until a change of the rotation does, the next first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Earlier>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// A rotation that holds until it is followed by another one: at a hand-over, so that nobody is relieved by a change of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// Until when.
    pub until: DateTime<Utc>,
    /// Who and when; itself without an earlier one.
    pub rotation: Rotation,
}

/// What turns are counted in. A day or week is one of the calendar, so a hand-over keeps its wall time when the clock changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Hours of wall time: where the clock is put forward a turn is an hour shorter.
    Hours,
    /// Days.
    Days,
    /// Weeks.
    Weeks,
}

/// Hours of chosen days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// On which days it begins: Monday is 0.
    pub days: Vec<u8>,
    /// When it begins.
    pub from: NaiveTime,
    /// When it ends; not after `from` means on the next day.
    pub to: NaiveTime,
}

/// One shift of one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FixedShift {
    /// When it begins.
    pub from: DateTime<Utc>,
    /// When it has ended.
    pub to: DateTime<Utc>,
    /// Whose it is.
    pub person: PersonId,
}

/// A change for some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Which one.
    pub id: OverrideId,
    /// From when.
    pub from: DateTime<Utc>,
    /// Until when.
    pub to: DateTime<Utc>,
    /// What changes.
    pub change: Change,
    /// Why, in words.
    pub note: String,
}

/// What an override does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// This person is on duty too.
    Add(PersonId),
    /// This person is not on duty.
    Remove(PersonId),
    /// `by` is on duty instead of `of`; instead of everybody when there is no `of`, even where nobody was.
    Replace {
        /// Who takes over.
        by: PersonId,
        /// From whom.
        of: Option<PersonId>,
    },
}

/// Another rule for some time, such as holidays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Temporary {
    /// Which one.
    pub id: TemporaryId,
    /// What people call it.
    pub name: String,
    /// From when.
    pub from: DateTime<Utc>,
    /// Until when.
    pub to: DateTime<Utc>,
    /// Who and when.
    pub rule: Rule,
}

/// From when until when.
pub type Times = (DateTime<Utc>, DateTime<Utc>);

/// Who is away when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Absences(pub HashMap<PersonId, Vec<Times>>);

impl Absences {
    /// Whether somebody is away at an instant.
    #[must_use]
    pub fn away(&self, person: PersonId, at: DateTime<Utc>) -> bool {
        self.0.get(&person).is_some_and(|times| times.iter().any(|(from, to)| *from <= at && at < *to))
    }
}

/// Why somebody is on duty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A temporary schedule says so.
    Temporary {
        /// Which one.
        id: TemporaryId,
        /// Who is away, when this person covers for them.
        covers: Option<PersonId>,
    },
    /// An override put them there.
    Override {
        /// Which one.
        id: OverrideId,
        /// Whose place they have.
        replaces: Option<PersonId>,
    },
    /// It is their turn in a layer.
    Layer {
        /// Which one.
        id: LayerId,
        /// Who is away, when this person covers for them.
        covers: Option<PersonId>,
    },
    /// They are in a team that has no schedule.
    Member,
}

impl Reason {
    /// Who is away, when a rule has put this person in their place.
    fn covers(&self) -> Option<PersonId> {
        match self {
            Self::Temporary { covers, .. } | Self::Layer { covers, .. } => *covers,
            Self::Override { .. } | Self::Member => None,
        }
    }
}

/// Somebody on duty, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct On {
    /// Who.
    pub person: PersonId,
    /// Why.
    pub reason: Reason,
}

/// A time in which the same people are on duty for the same reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    /// When it begins.
    pub from: DateTime<Utc>,
    /// When it has ended.
    pub to: DateTime<Utc>,
    /// Who; empty in a gap.
    pub on: Vec<On>,
}

/// Somebody on duty at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnDuty {
    /// Who.
    pub person: PersonId,
    /// By which schedule; `None` for the members of a team without one.
    pub schedule: Option<ScheduleId>,
    /// Why.
    pub reason: Reason,
    /// When they are relieved; `None` when that is more than [`evaluate::FORESIGHT`] away.
    pub until: Option<DateTime<Utc>>,
}

/// Whom to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Whoever is on duty by any schedule of a team, in the order of the schedules' names; its members when it has none.
    Team(TeamId),
    /// Whoever is on duty by one schedule.
    Schedule(ScheduleId),
}

impl Roster {
    /// Who is on duty at an instant, each person once: somebody whom two schedules of a team name is there by the first.
    /// Empty in a gap, and for a team or schedule that does not exist.
    #[must_use]
    pub fn on_duty(&self, target: Target, at: DateTime<Utc>) -> Vec<OnDuty> {
        let team = match target {
            Target::Schedule(id) => {
                return self.schedule(id).map(|own| evaluate::on_duty(own, &self.absences, at)).unwrap_or_default();
            }
            Target::Team(team) => team,
        };
        let mut schedules = self.schedules.iter().filter(|schedule| schedule.team == Some(team)).peekable();
        if schedules.peek().is_none() {
            let members = self.teams.iter().find(|own| own.id == team).map_or(&[][..], |own| own.members.as_slice());
            let there = members.iter().filter(|person| !self.absences.away(**person, at));
            let member = |person: &PersonId| OnDuty { person: *person, schedule: None, reason: Reason::Member, until: None };
            return there.map(member).collect();
        }
        let mut all: Vec<OnDuty> = Vec::new();
        for on in schedules.flat_map(|schedule| evaluate::on_duty(schedule, &self.absences, at)) {
            if !all.iter().any(|known| known.person == on.person) {
                all.push(on);
            }
        }
        all
    }

    /// One schedule.
    #[must_use]
    pub fn schedule(&self, id: ScheduleId) -> Option<&Schedule> {
        self.schedules.iter().find(|schedule| schedule.id == id)
    }

    /// Somebody's name; their id when they are not known any more.
    #[must_use]
    pub fn name(&self, person: PersonId) -> String {
        self.people.get(&person).map_or_else(|| person.to_string(), |person| person.name.clone())
    }

    /// The person with a name or id.
    #[must_use]
    pub fn find_person(&self, text: &str) -> Option<PersonId> {
        let text = text.trim();
        let named = self.people.iter().find(|(_, person)| person.name == text).map(|(id, _)| *id);
        named.or_else(|| text.parse().ok().filter(|id| self.people.contains_key(id)))
    }

    /// The schedule with a name or id.
    #[must_use]
    pub fn find_schedule(&self, text: &str) -> Option<&Schedule> {
        let text = text.trim();
        self.schedules.iter().find(|schedule| schedule.name == text).or_else(|| self.schedule(text.parse().ok()?))
    }

    /// The team with a name or id.
    #[must_use]
    pub fn find_team(&self, text: &str) -> Option<&Team> {
        let text = text.trim();
        let id = text.parse().ok();
        self.teams.iter().find(|team| team.name == text).or_else(|| self.teams.iter().find(|team| Some(team.id) == id))
    }
}
