//! The form of the file in which people, roster, policies and rules stand under version control, and how it is written.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::alarm::{Confirm, Mode, Priority};

/// The form that is written, and the only one that is read.
pub const FORMAT: i64 = 1;

/// What a file ends in that has not been cut off: an empty table.
pub const END: &str = "end";

/// What stands at the beginning of a file that is written.
const HEAD: &str = "\
# People, roster, policies and rules of autocall: written by `autocall export`, read by `autocall apply`.
# Its last line is [end], so that a file that was cut off is not taken for a whole one: whatever you add stands before it.
# Whatever is known by a name that does not stand here stays as it is, unless its section is listed in `managed`.
";

/// What the file has a section for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Whoever can be rung.
    People,
    /// Whoever opens the pages.
    Users,
    /// People who answer for something together.
    Teams,
    /// Who is on duty when.
    Schedules,
    /// Changes of schedules for some time.
    Overrides,
    /// Other rules for some time, such as holidays.
    Temporaries,
    /// Times for which people are away.
    Vacations,
    /// Whom to ring, and whom next.
    Policies,
    /// Which alarms a policy is for.
    Rules,
    /// When people are left in peace.
    QuietHours,
}

impl Kind {
    /// All of them, in the order of the file.
    pub const ALL: [Self; 10] = [
        Self::People,
        Self::Users,
        Self::Teams,
        Self::Schedules,
        Self::Overrides,
        Self::Temporaries,
        Self::Vacations,
        Self::Policies,
        Self::Rules,
        Self::QuietHours,
    ];

    /// What its section is called.
    #[must_use]
    pub fn section(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Users => "users",
            Self::Teams => "teams",
            Self::Schedules => "schedules",
            Self::Overrides => "overrides",
            Self::Temporaries => "temporaries",
            Self::Vacations => "vacations",
            Self::Policies => "policies",
            Self::Rules => "rules",
            Self::QuietHours => "quiet_hours",
        }
    }

    /// What one of them is called.
    #[must_use]
    pub fn one(self) -> &'static str {
        match self {
            Self::People => "person",
            Self::Users => "user",
            Self::Teams => "team",
            Self::Schedules => "schedule",
            Self::Overrides => "override",
            Self::Temporaries => "temporary schedule",
            Self::Vacations => "vacation",
            Self::Policies => "policy",
            Self::Rules => "rule",
            Self::QuietHours => "quiet hours",
        }
    }

    /// More of them than this in one file are surely a mistake.
    #[must_use]
    pub fn most(self) -> usize {
        match self {
            Self::People | Self::Vacations => 5000,
            Self::Overrides | Self::Temporaries => 2000,
            Self::Users | Self::QuietHours => 1000,
            Self::Teams | Self::Schedules => 500,
            Self::Policies | Self::Rules => 200,
        }
    }
}

/// All that stands in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Of these, whatever does not stand in the file is removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub managed: Vec<Kind>,
    /// By name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<PersonEntry>,
    /// By name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserEntry>,
    /// By name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<TeamEntry>,
    /// By name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<ScheduleEntry>,
    /// Those that are not over, in the order they were made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<OverrideEntry>,
    /// The same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub temporaries: Vec<TemporaryEntry>,
    /// Those that are not over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vacations: Vec<VacationEntry>,
    /// By name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyEntry>,
    /// In the order they are tried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleEntry>,
    /// In no particular order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quiet_hours: Vec<QuietEntry>,
}

/// Whether a text was written by [`Settings::write`], and so has an end.
#[must_use]
pub fn is_written(text: &str) -> bool {
    text.lines().next().is_some_and(|first| HEAD.lines().next() == Some(first))
}

impl Settings {
    /// The file that says this. Its last line says that nothing was cut off.
    ///
    /// # Errors
    /// When it cannot be written as TOML.
    pub fn write(&self) -> Result<String, toml::ser::Error> {
        Ok(format!("{HEAD}format = {FORMAT}\n\n{}\n[{END}]\n", toml::to_string_pretty(self)?))
    }
}

/// Somebody who can be rung. What is left out of somebody who is known stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonEntry {
    /// Their name.
    pub name: String,
    /// Their numbers, the preferred one first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Vec<String>>,
    /// The language to address them in, such as `zh-CN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Their e-mail addresses, by which calendars name them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emails: Option<Vec<String>>,
}

/// Somebody who opens the pages. Passwords stand in no file: whoever is not known here is added by `autocall user add`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserEntry {
    /// What they log in with.
    pub name: String,
    /// What they may do: `viewer`, `responder`, `admin`.
    pub role: String,
}

/// People who answer for something together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeamEntry {
    /// Its name.
    pub name: String,
    /// Its people, in the order they are rung while it has no schedule.
    #[serde(default)]
    pub members: Vec<String>,
}

/// Who is on duty when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleEntry {
    /// Its name.
    pub name: String,
    /// Where its wall times are read.
    pub zone: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Its gaps are no mistake.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gaps_allowed: bool,
    /// The first that has somebody decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerEntry>,
}

/// One rule of a schedule: a rotation, or, where there are `shifts`, just these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerEntry {
    /// What people call it.
    pub name: String,
    /// In the order of their turns; the first has the turn that begins at `start`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<String>,
    /// How long a turn is: `1 week`, `2 days`, `12 hours`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub every: String,
    /// When the first turn begins, as the clock of the zone shows it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub start: String,
    /// From when on there is nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// When it is active, such as `mon-fri 09:00-18:00`; always, when it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<String>,
    /// Turns in which it is never active do not count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_idle_turns: bool,
    /// Shifts one by one: `2026-12-01T09:00 to 2026-12-08T09:00: Li Na`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shifts: Vec<String>,
}

/// A change of a schedule for some time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverrideEntry {
    /// Of which schedule.
    pub schedule: String,
    /// `add`, `remove`, `replace`.
    pub action: String,
    /// Who is on duty, or is not.
    pub person: String,
    /// From whom a replacement takes over; from everybody, where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
    /// RFC 3339, or a wall time of the schedule's zone.
    pub starts_at: String,
    /// The same.
    pub ends_at: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Another rule for some time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemporaryEntry {
    /// Of which schedule.
    pub schedule: String,
    /// What people call it.
    pub name: String,
    /// RFC 3339, or a wall time of the schedule's zone.
    pub starts_at: String,
    /// The same.
    pub ends_at: String,
    /// In the order of their turns.
    pub people: Vec<String>,
    /// How long a turn is; only needed for more than one person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub every: String,
    /// When the first turn begins; at `starts_at`, where it is left out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub start: String,
    /// When it is active; always, when it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<String>,
}

/// A time for which somebody is away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VacationEntry {
    /// Who.
    pub person: String,
    /// RFC 3339, or a wall time of UTC.
    pub starts_at: String,
    /// The same.
    pub ends_at: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Whom to ring, and whom next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyEntry {
    /// Its name.
    pub name: String,
    /// How often its steps are gone through.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub rounds: i32,
    /// An answer that nobody confirms within so many seconds lapses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_within_seconds: Option<i32>,
    /// When an answer needs no further word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
    /// Whoever is called is told by text message as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub texts: bool,
    /// In order.
    pub steps: Vec<StepEntry>,
}

/// One step of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepEntry {
    /// Whom to ring, in order.
    pub ring: Vec<Ring>,
    /// One after the other, or all at once.
    #[serde(default = "one_by_one", skip_serializing_if = "is_one_by_one")]
    pub mode: Mode,
    /// Calls to each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i32>,
    /// Least time between two calls to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_interval_seconds: Option<i32>,
    /// The next step begins after so many seconds at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_seconds: Option<i32>,
}

fn once() -> i32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_once(rounds: &i32) -> bool {
    *rounds == 1
}

fn one_by_one() -> Mode {
    Mode::Sequential
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_one_by_one(mode: &Mode) -> bool {
    *mode == Mode::Sequential
}

/// Whom a step rings: `person: Li Na`, `number: +8613812345678`, `team: ops`, `schedule: nights`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Ring {
    /// A person.
    Person(String),
    /// A bare number.
    Number(String),
    /// Whoever is on duty in a team.
    Team(String),
    /// Whoever is on duty by a schedule.
    Schedule(String),
}

impl fmt::Display for Ring {
    fn fmt(&self, form: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(name) => write!(form, "person: {name}"),
            Self::Number(number) => write!(form, "number: {number}"),
            Self::Team(name) => write!(form, "team: {name}"),
            Self::Schedule(name) => write!(form, "schedule: {name}"),
        }
    }
}

impl From<Ring> for String {
    fn from(ring: Ring) -> Self {
        ring.to_string()
    }
}

impl TryFrom<String> for Ring {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let read = text.split_once(':').and_then(|(kind, name)| {
            let name = name.trim().to_owned();
            match kind.trim() {
                "person" => Some(Self::Person(name)),
                "number" => Some(Self::Number(name)),
                "team" => Some(Self::Team(name)),
                "schedule" => Some(Self::Schedule(name)),
                _ => None,
            }
        });
        read.ok_or_else(|| {
            format!("{text:?} rings nobody: write \"person: NAME\", \"number: +86…\", \"team: NAME\" or \"schedule: NAME\"")
        })
    }
}

/// Which alarms a policy is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleEntry {
    /// The policy.
    pub policy: String,
    /// Alarms of the sender whose key has this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// Alarms with all of these labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl RuleEntry {
    /// It is for everything that is left.
    #[must_use]
    pub fn is_for_all(&self) -> bool {
        self.sender.is_none() && self.labels.is_empty()
    }
}

/// When somebody is left in peace by alarms that can wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuietEntry {
    /// Who; without it, everybody without quiet hours of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// They begin at this wall time.
    pub from: String,
    /// They end at this one.
    pub to: String,
    /// Where the wall is.
    pub zone: String,
    /// Alarms of this priority and below wait.
    pub up_to: Priority,
}
