//! What is asked for, in the words of people: names, short texts and wall times. The API, the command line and the pages fill
//! these in; here they become rules.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Faults, RosterError, find_person, in_field};
use crate::ids::PersonId;
use crate::roster::csv::MOST_SHIFTS;
use crate::roster::{Change, FixedShift, Roster, Rotation, Rule, text};

/// More people than this in one rotation are surely a mistake.
pub const MOST_PEOPLE: usize = 100;
/// More kinds of hours than this too.
pub const MOST_WINDOWS: usize = 20;
const MOST_LAYERS: usize = 50;

/// A team.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamForm {
    /// 1 to 100 characters; unique.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Its people, by name or id, in the order they are rung while the team has no schedule.
    #[serde(default)]
    pub members: Vec<String>,
    /// The version that is changed; needed to change a team.
    pub version: Option<i32>,
}

/// A schedule with its layers.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleForm {
    /// 1 to 100 characters; unique.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// An IANA name such as Europe/Berlin: all wall times of the schedule are read there.
    pub zone: String,
    /// Whose schedule it is, by name or id.
    pub team: Option<String>,
    /// True when nobody need be on duty at all times, so that gaps are no mistake.
    #[serde(default)]
    pub gaps_allowed: bool,
    /// The first that has somebody decides; the others are for when it has nobody.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub layers: Vec<LayerForm>,
    /// The version that is changed; needed to change a schedule.
    pub version: Option<i32>,
}

/// One rule: a rotation, or, when there are `shifts`, just these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LayerForm {
    /// 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Who takes turns, by name or id, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub people: Vec<String>,
    /// How long a turn is: `1 week`, `2 days`, `12 hours`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub every: String,
    /// When the first turn begins, as the clock of the zone shows it: `2026-11-23T09:00`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub start: String,
    /// From when on there is nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// When it is active, such as `mon-fri 09:00-18:00`; always, when it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20)]
    pub active: Vec<String>,
    /// Turns in which it is never active do not count: then each of seven people has weekdays too, in a rotation by days from Monday to
    /// Friday.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_idle_turns: bool,
    /// From when a change of a rotation holds: from the first hand-over at this time or after it; now, when it is left out. Whoever is on
    /// duty stays until then.
    #[serde(rename = "changes_at", alias = "from", skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Shifts one by one, instead of a rotation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shifts: Vec<ShiftForm>,
}

/// One shift of one person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShiftForm {
    /// RFC 3339, or a wall time of the schedule's zone.
    pub from: String,
    /// The same.
    pub to: String,
    /// By name or id.
    pub person: String,
}

/// A change for some time.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OverrideForm {
    /// `add`: the person is on duty too. `remove`: they are not. `replace`: they take over.
    #[schema(pattern = "^(add|remove|replace)$")]
    pub action: String,
    /// By name or id.
    pub person: String,
    /// From whom a replacement takes over; from everybody, and where nobody is, when it is left out.
    pub instead_of: Option<String>,
    /// RFC 3339, or a wall time of the schedule's zone.
    #[serde(rename = "starts_at", alias = "from")]
    pub from: String,
    /// The same.
    #[serde(rename = "ends_at", alias = "to")]
    pub to: String,
    /// Why, in at most 500 characters.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub note: String,
}

/// Another rule for some time. It has the fields of a layer.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemporaryForm {
    /// 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// RFC 3339, or a wall time of the schedule's zone.
    #[serde(rename = "starts_at", alias = "from")]
    pub from: String,
    /// The same.
    #[serde(rename = "ends_at", alias = "to")]
    pub to: String,
    /// Who takes turns, by name or id, in order.
    #[schema(min_items = 1, max_items = 100)]
    pub people: Vec<String>,
    /// How long a turn is; only needed for more than one person.
    pub every: Option<String>,
    /// When the first turn begins; else at `starts_at`.
    pub start: Option<String>,
    /// When it is active; always, when it is empty. What it leaves open falls to the ordinary schedule.
    #[serde(default)]
    #[schema(max_items = 20)]
    pub active: Vec<String>,
}

/// Days on which other people are on duty, such as the holidays of a year.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HolidaysForm {
    /// 1 to 100 characters: what people call them.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// The days, such as `2026-12-25`, from midnight to midnight in the schedule's zone: at most 100.
    #[schema(min_items = 1, max_items = 100)]
    pub days: Vec<String>,
    /// Who takes turns, a day each, by name or id, in order.
    #[schema(min_items = 1, max_items = 100)]
    pub people: Vec<String>,
}

/// A time for which somebody is away.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VacationForm {
    /// By name or id.
    pub person: String,
    /// RFC 3339, or a wall time of `zone`.
    #[serde(rename = "starts_at", alias = "from")]
    pub from: String,
    /// The same.
    #[serde(rename = "ends_at", alias = "to")]
    pub to: String,
    /// Where wall times are read; UTC when it is left out.
    pub zone: Option<String>,
    /// Why, in at most 500 characters.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub note: String,
}

impl LayerForm {
    /// What the form says as a rule.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn rule(&self, roster: &Roster, zone: Tz) -> Result<Rule, RosterError> {
        if self.shifts.is_empty() {
            let rotation = rotation(roster, &self.people, &self.every, &self.start, self.end.as_deref(), &self.active)?;
            return Ok(Rule::Rotation(Rotation { skip_idle_turns: self.skip_idle_turns, ..rotation }));
        }
        if !self.people.is_empty() || self.shifts.len() > MOST_SHIFTS {
            return Err(RosterError::BadRotation);
        }
        let mut faults = Faults::default();
        let mut shifts = Vec::with_capacity(self.shifts.len());
        // The same few people have many shifts.
        let mut known: HashMap<&str, PersonId> = HashMap::new();
        for (index, shift) in self.shifts.iter().enumerate() {
            if faults.are_enough() {
                break;
            }
            let place = format!("shifts[{index}]");
            let times = times(("from", "to"), &shift.from, &shift.to, zone).map_err(|error| error.within(&place));
            let times = faults.note(times)?;
            let person = match known.get(shift.person.as_str()) {
                Some(person) => Some(*person),
                None => faults.note(find_person(roster, &shift.person).map_err(|error| error.within(&place)))?,
            };
            if let (Some((from, to)), Some(person)) = (times, person) {
                known.insert(&shift.person, person);
                shifts.push(FixedShift { from, to, person });
            }
        }
        faults.none()?;
        shifts.sort_by_key(|shift| (shift.from, shift.to, shift.person));
        Ok(Rule::Shifts { shifts })
    }

    /// The same, in the place of the rule that a layer has.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn rule_after(&self, before: Option<&Rule>, roster: &Roster, zone: Tz, now: DateTime<Utc>) -> Result<Rule, RosterError> {
        if let Some(before) = before.filter(|before| *self == Self::of(roster, &self.name, before)) {
            // What says the same stays as it is, with whoever was removed since.
            return Ok(before.clone());
        }
        let from = self.from.as_deref().map(str::trim).filter(|from| !from.is_empty());
        let mut faults = Faults::default();
        let from = faults.note(from.map_or(Ok(now), |from| text::instant(from, zone)).map_err(in_field("changes_at")))?;
        let rule = faults.note(self.rule(roster, zone))?;
        faults.none()?;
        let from = Faults::sound(from)?;
        match (Faults::sound(rule)?, before) {
            (Rule::Rotation(own), Some(Rule::Rotation(before))) => {
                own.in_place_of(before, zone, from, now).map(Rule::Rotation).ok_or(RosterError::BadRotation)
            }
            (rule, _) => Ok(rule),
        }
    }

    /// A rule as a form that says the same.
    #[must_use]
    pub fn of(roster: &Roster, name: &str, rule: &Rule) -> Self {
        match rule {
            Rule::Rotation(own) => Self {
                name: name.to_owned(),
                people: own.people.iter().map(|person| roster.name(*person)).collect(),
                every: text::write_every(own.every, own.unit),
                start: text::write_wall(own.start),
                end: own.end.map(text::write_wall),
                active: own.windows.iter().map(text::write_window).collect(),
                skip_idle_turns: own.skip_idle_turns,
                from: None,
                shifts: Vec::new(),
            },
            Rule::Shifts { shifts } => {
                let shift = |own: &FixedShift| ShiftForm {
                    from: text::exact(Tz::UTC, own.from),
                    to: text::exact(Tz::UTC, own.to),
                    person: roster.name(own.person),
                };
                Self { name: name.to_owned(), shifts: shifts.iter().map(shift).collect(), ..Self::default() }
            }
        }
    }
}

impl TemporaryForm {
    pub(crate) fn rule(&self, roster: &Roster, zone: Tz, from: DateTime<Utc>) -> Result<Rule, RosterError> {
        let start =
            self.start.clone().unwrap_or_else(|| crate::roster::wall::local(zone, from).format("%Y-%m-%dT%H:%M:%S").to_string());
        let every = match (self.every.as_deref(), self.people.len()) {
            (Some(every), _) => every,
            (None, 0 | 1) => "1 week",
            (None, _) => "",
        };
        rotation(roster, &self.people, every, &start, None, &self.active).map(Rule::Rotation)
    }
}

impl OverrideForm {
    pub(crate) fn change(&self, roster: &Roster) -> Result<Change, RosterError> {
        let of = self.instead_of.as_deref().map(str::trim).filter(|of| !of.is_empty());
        let person = find_person(roster, &self.person)?;
        match (self.action.trim(), of) {
            ("add", None) => Ok(Change::Add(person)),
            ("remove", None) => Ok(Change::Remove(person)),
            ("replace", None) => Ok(Change::Replace { by: person, of: None }),
            ("replace", Some(of)) => match find_person(roster, of)? {
                of if of != person => Ok(Change::Replace { by: person, of: Some(of) }),
                _ => Err(RosterError::BadAction),
            },
            _ => Err(RosterError::BadAction),
        }
    }
}

fn rotation(
    roster: &Roster,
    people: &[String],
    every: &str,
    start: &str,
    end: Option<&str>,
    active: &[String],
) -> Result<Rotation, RosterError> {
    if people.is_empty() || people.len() > MOST_PEOPLE || active.len() > MOST_WINDOWS {
        return Err(RosterError::BadRotation);
    }
    let mut faults = Faults::default();
    let every = faults.note(text::every(every).map_err(in_field("every")))?;
    let start = faults.note(text::wall_time(start).map_err(in_field("start")))?;
    let end = faults.note(end.map(text::wall_time).transpose().map_err(in_field("end")))?.flatten();
    if let (Some(start), Some(end)) = (start, end)
        && end <= start
    {
        faults.note(Err::<(), _>(RosterError::EndsFirst.at("end")))?;
    }
    let mut turns = Vec::with_capacity(people.len());
    for (index, person) in people.iter().enumerate() {
        turns.extend(faults.note(find_person(roster, person).map_err(|error| error.at(format!("people[{index}]"))))?);
    }
    let mut windows = Vec::with_capacity(active.len());
    for (index, active) in active.iter().enumerate() {
        let window = text::window(active).map_err(|error| in_field("active")(error).at(format!("active[{index}]")));
        windows.extend(faults.note(window)?);
    }
    faults.none()?;
    let (people, (every, unit), start) = (turns, Faults::sound(every)?, Faults::sound(start)?);
    Ok(Rotation { people, every, unit, start, end, windows, first: 0, skip_idle_turns: false, earlier: Vec::new() })
}

/// What the beginning and the end of most things are called.
pub(super) const SPAN: (&str, &str) = ("starts_at", "ends_at");

/// From when until when; and what these fields are called.
pub(super) fn times(
    (begins, ends): (&'static str, &'static str),
    from: &str,
    to: &str,
    zone: Tz,
) -> Result<(DateTime<Utc>, DateTime<Utc>), RosterError> {
    let mut faults = Faults::default();
    let from = faults.note(text::instant(from, zone).map_err(in_field(begins)))?;
    let to = faults.note(text::instant(to, zone).map_err(in_field(ends)))?;
    faults.none()?;
    let (from, to) = (Faults::sound(from)?, Faults::sound(to)?);
    if to > from { Ok((from, to)) } else { Err(RosterError::EndsFirst.at(ends)) }
}

/// Whether there are too many layers.
pub(crate) fn too_many(layers: &[LayerForm]) -> bool {
    layers.len() > MOST_LAYERS
}
