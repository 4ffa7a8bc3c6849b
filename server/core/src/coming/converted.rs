//! What the lists of another product become: the entries of a file, put together by the ids of that product; and what is lost on the way.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::file::{
    Kind, LayerEntry, OverrideEntry, PersonEntry, PolicyEntry, Ring, ScheduleEntry, Settings, StepEntry, TeamEntry,
};
use super::tidy::{is_email, said_last};
use crate::alarm::Mode;
use crate::alarm::policy::{MOST_ROUNDS, MOST_STEPS};
use crate::numbers::{Number, Region, phone_of};
use crate::roster::{self, Times, Window, text};
use crate::signal::said::Said;
use crate::visible;

/// The minutes of a day.
const DAY: i64 = 24 * 60;
/// The minutes of a week.
const WEEK: i64 = 7 * DAY;
const MOST_NUMBERS: usize = 20;
const MOST_WINDOWS: usize = 20;
const MOST_LAYERS: usize = 50;
const MOST_TURNS: usize = 100;
const MOST_CALLEES: usize = 50;
/// In characters.
const LONGEST_NAME: usize = 90;
/// In characters, with what is put behind it.
const LONGEST_PERSON: usize = 200;
/// More rotations of one schedule than this are surely a mistake.
const MOST_PARTS: usize = 500;
/// A step waits no longer than this, in seconds.
const LONGEST_WAIT: i64 = 86_400;
/// Turns longer than this are no turns, in hours.
const LONGEST_TURN: i64 = 1000 * 7 * 24;

/// What was read, and what has no counterpart here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Converted {
    /// What `autocall apply` takes.
    pub settings: Settings,
    /// One sentence each.
    pub losses: Vec<String>,
    /// What those people are called there whose names had to be made others.
    pub called: BTreeMap<String, String>,
    /// Teams, schedules and policies of which something could not be read.
    pub partly: BTreeSet<(Kind, String)>,
}

/// The elements of a list, also where it is still wrapped as the API gave it.
#[must_use]
pub fn each<'v>(root: Said<'v>, name: &str) -> Vec<Said<'v>> {
    let Some(list) = root.get(name) else { return Vec::new() };
    let inner = ["nodes", "data", "results", name].into_iter().find_map(|key| list.get(key));
    inner.unwrap_or(list).each().collect()
}

/// The same in the order of their ids: an API may list them in another one tomorrow, and of two with one name each is to keep their own.
#[must_use]
pub fn each_by_id<'v>(root: Said<'v>, name: &str) -> Vec<Said<'v>> {
    let mut all = each(root, name);
    all.sort_by_cached_key(|own| own.text("id"));
    all
}

/// Who is in which team, by the teams that each user names.
#[must_use]
pub fn members(users: &[Said<'_>]) -> BTreeMap<String, Vec<String>> {
    let mut members: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for user in users {
        let Some(id) = user.text("id") else { continue };
        let teams: BTreeSet<String> = user.list("teams").filter_map(|own| own.text("id").or_else(|| own.as_text())).collect();
        for team in teams {
            members.entry(team).or_default().push(id.clone());
        }
    }
    members
}

/// A part of a schedule: who takes turns, when.
#[derive(Clone, Debug)]
pub struct Part {
    /// Higher ones decide before lower ones; those of one level are on duty together.
    pub level: i64,
    /// As a layer.
    pub layer: LayerEntry,
}

/// A file that is being put together.
pub struct Building {
    region: Region,
    /// What is over by then is left out.
    pub at: DateTime<Utc>,
    settings: Settings,
    losses: Vec<String>,
    /// The same, to be told once.
    told: BTreeSet<String>,
    called: BTreeMap<String, String>,
    names: BTreeMap<Kind, Given>,
    /// Numbers and addresses that are taken.
    taken: BTreeSet<String>,
    people: BTreeMap<String, String>,
    teams: BTreeMap<String, String>,
    /// A schedule of theirs may become several of ours.
    schedules: BTreeMap<String, Vec<String>>,
    /// Something in the team, schedule or policy that is read now could not be.
    gap: Cell<bool>,
    partly: BTreeSet<(Kind, String)>,
}

impl Building {
    /// Nothing yet.
    #[must_use]
    pub fn new(region: Region, at: DateTime<Utc>) -> Self {
        Self {
            region,
            at,
            settings: Settings::default(),
            losses: Vec::new(),
            told: BTreeSet::new(),
            called: BTreeMap::new(),
            names: BTreeMap::new(),
            taken: BTreeSet::new(),
            people: BTreeMap::new(),
            teams: BTreeMap::new(),
            schedules: BTreeMap::new(),
            gap: Cell::new(false),
            partly: BTreeSet::new(),
        }
    }

    /// What it has become.
    #[must_use]
    pub fn done(mut self) -> Converted {
        let mut overrides = std::mem::take(&mut self.settings.overrides);
        let mut temporaries = std::mem::take(&mut self.settings.temporaries);
        said_last(&mut overrides);
        said_last(&mut temporaries);
        if self.is_full(Kind::Overrides, overrides.len()) {
            overrides.truncate(Kind::Overrides.most());
        }
        if self.is_full(Kind::Temporaries, temporaries.len()) {
            temporaries.truncate(Kind::Temporaries.most());
        }
        (self.settings.overrides, self.settings.temporaries) = (overrides, temporaries);
        Converted { settings: self.settings, losses: self.losses, called: self.called, partly: self.partly }
    }

    /// Something that has no counterpart.
    pub fn lost(&mut self, what: impl Into<String>) {
        let what = what.into();
        if self.told.insert(what.clone()) {
            self.losses.push(what);
        }
    }

    /// A name that none of its kind has.
    fn unique(&mut self, kind: Kind, name: &str, other: Option<&str>) -> String {
        self.names.entry(kind).or_default().unique(name, other)
    }

    /// The entries so far, to add to those that need nothing from here.
    pub fn settings(&mut self) -> &mut Settings {
        &mut self.settings
    }

    fn is_full(&mut self, kind: Kind, count: usize) -> bool {
        let full = count > kind.most();
        if full {
            self.lost(format!("there are more than {} {}: the rest is left out", kind.most(), kind.section()));
        }
        full
    }

    /// Somebody, with numbers in the order they are rung. Of two with one name the second is told apart by the address.
    pub fn person(
        &mut self,
        id: &str,
        name: Option<String>,
        email: Option<String>,
        numbers: Vec<String>,
        language: Option<String>,
    ) {
        if self.is_full(Kind::People, self.settings.people.len() + 1) {
            return;
        }
        let email = email.map(|own| own.trim().to_lowercase()).filter(|own| is_email(own));
        let Some(plain) = name.or_else(|| email.clone()) else {
            self.lost(format!("user {id} has neither a name nor an address: left out"));
            return;
        };
        let own = self.unique(Kind::People, &plain, email.as_deref());
        let plain = plain_name(&plain);
        if plain != own {
            self.called.insert(own.clone(), plain);
        }
        let mut known: Vec<String> = Vec::new();
        for given in numbers {
            match Number::parse(&given, self.region) {
                Ok(_) if known.len() >= MOST_NUMBERS => {}
                Ok(parsed) => {
                    let number = parsed.number.as_str().to_owned();
                    if known.iter().any(|known| phone_of(known) == phone_of(&number)) {
                        continue;
                    }
                    match self.taken.insert(phone_of(&number).into_owned()) {
                        true => known.push(number),
                        false => self.lost(format!("person {own}: the number {given} also belongs to somebody else: left out")),
                    }
                }
                Err(error) => self.lost(format!("person {own}: the number {given:?}: {error}")),
            }
        }
        if known.is_empty() {
            self.lost(format!("person {own} has no number, and cannot be rung until one is added"));
        }
        // Whatever they do not know may be known here.
        let numbers = Some(known).filter(|known| !known.is_empty());
        let emails: Vec<String> = email.into_iter().filter(|email| self.taken.insert(email.clone())).collect();
        let emails = Some(emails).filter(|emails| !emails.is_empty());
        let is_tag = |tag: &String| tag.len() <= 35 && tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let language = language.map(|tag| tag.replace('_', "-")).filter(is_tag);
        self.people.insert(id.to_owned(), own.clone());
        self.settings.people.push(PersonEntry { name: own, numbers, language, emails });
    }

    /// Somebody under another id too, such as the name they log in with.
    pub fn also_known_as(&mut self, id: &str, other: &str) {
        if let Some(name) = self.people.get(id).cloned() {
            self.people.entry(other.to_owned()).or_insert(name);
        }
    }

    /// Their name here.
    #[must_use]
    pub fn name_of(&self, id: &str) -> Option<String> {
        self.or_gap(self.people.get(id).cloned())
    }

    /// Whether the file has a user of that id.
    #[must_use]
    pub fn knows(&self, id: &str) -> bool {
        self.people.contains_key(id)
    }

    /// What comes next is a schedule or a policy of its own.
    pub fn begin(&self) {
        self.gap.set(false);
    }

    fn or_gap<T>(&self, found: Option<T>) -> Option<T> {
        if found.is_none() {
            self.gap.set(true);
        }
        found
    }

    /// An entry of that name is to stay as it is here, where it is there, if something in it could not be read.
    fn note_gap(&mut self, kind: Kind, name: &str) {
        if self.gap.get() {
            self.partly.insert((kind, name.to_owned()));
        }
    }

    /// The same of somebody whom a list names; whoever is no user of the file is told of.
    pub fn known(&mut self, whose: &str, id: &str) -> Option<String> {
        let name = self.name_of(id);
        if name.is_none() {
            let who = if id.is_empty() { "somebody" } else { id };
            self.lost(format!("{whose}: {who} is no user of the file: left out"));
        }
        name
    }

    /// From when until when something holds. `None` where it is over, and, with a word, where that cannot be read.
    pub fn span(&mut self, own: Said<'_>, begins: &str, ends: &str) -> Option<Times> {
        let Some((from, to)) = own.instant(begins, TimeDelta::zero()).zip(own.instant(ends, TimeDelta::zero())) else {
            self.lost(format!("an override or a temporary schedule whose {begins} and {ends} are no times: left out"));
            return None;
        };
        (to > self.at && to > from).then_some((from, to))
    }

    /// A schedule is another one for some time.
    pub fn differs(&mut self, id: &str, (from, to): Times, change: &OverrideEntry) {
        let names = self.schedules_named(id);
        if names.is_empty() {
            self.lost(format!("an override from {from} to {to} of a schedule that is not taken over: left out"));
        }
        // Who comes too comes once, also where the schedule has become several.
        let count = if change.action == "add" { 1 } else { usize::MAX };
        for schedule in names.into_iter().take(count) {
            let (starts_at, ends_at) = (text::shown(Tz::UTC, from), text::shown(Tz::UTC, to));
            self.settings.overrides.push(OverrideEntry { schedule, starts_at, ends_at, ..change.clone() });
        }
    }

    /// A team with its people.
    pub fn team(&mut self, id: &str, name: Option<String>, members: &[String]) {
        if self.is_full(Kind::Teams, self.settings.teams.len() + 1) {
            return;
        }
        let own = self.unique(Kind::Teams, name.as_deref().unwrap_or(id), None);
        let whose = format!("team {own}");
        self.begin();
        let members = members.iter().filter_map(|id| self.known(&whose, id)).collect();
        self.note_gap(Kind::Teams, &own);
        self.teams.insert(id.to_owned(), own.clone());
        self.settings.teams.push(TeamEntry { name: own, members });
    }

    /// Its name here.
    #[must_use]
    pub fn team_named(&self, id: &str) -> Option<String> {
        self.or_gap(self.teams.get(id).cloned())
    }

    /// A part of the schedule that comes next could not be read.
    pub fn left_out(&self) {
        self.gap.set(true);
    }

    /// A schedule. Here the first layer that has somebody decides, so that parts which are on duty together become schedules of their own.
    pub fn schedule(&mut self, id: &str, name: Option<String>, zone: Tz, team: Option<String>, mut parts: Vec<Part>) {
        let title = name.unwrap_or_else(|| id.to_owned());
        if self.is_full(Kind::Schedules, self.settings.schedules.len() + 1) {
            return;
        }
        parts.sort_by_key(|part| std::cmp::Reverse(part.level));
        if parts.len() > MOST_PARTS {
            parts.truncate(MOST_PARTS);
            self.lost(format!("schedule {title} has more than {MOST_PARTS} rotations: the rest is left out"));
        }
        let mut lanes: Vec<Vec<(Part, Vec<Span>)>> = Vec::new();
        for part in parts {
            let hours = of_week(&part.layer.active);
            let fits = |lane: &Vec<(Part, Vec<Span>)>| {
                !lane.iter().any(|(own, theirs)| own.level == part.level && together(theirs, &hours))
            };
            match lanes.iter().position(fits) {
                Some(place) => lanes[place].push((part, hours)),
                None => lanes.push(vec![(part, hours)]),
            }
        }
        if lanes.len() > 1 {
            let many = lanes.len();
            self.lost(format!("schedule {title}: {many} of its rotations are on duty together: here it is {many} schedules"));
        }
        if lanes.is_empty() {
            lanes.push(Vec::new());
        }
        let mut names = Vec::new();
        for lane in lanes {
            if self.is_full(Kind::Schedules, self.settings.schedules.len() + 1) {
                break;
            }
            let own = self.unique(Kind::Schedules, &title, None);
            let (mut layers, mut given): (Vec<LayerEntry>, Given) = (Vec::new(), Given::default());
            for (Part { mut layer, .. }, _) in lane {
                layer.name = given.unique(&layer.name, None);
                layers.push(layer);
            }
            if layers.len() > MOST_LAYERS {
                layers.truncate(MOST_LAYERS);
                self.lost(format!("schedule {own} has more than {MOST_LAYERS} layers: the rest is left out"));
            }
            if layers.is_empty() {
                self.lost(format!("schedule {own} has nobody"));
            }
            let entry = ScheduleEntry {
                name: own.clone(),
                zone: zone.name().to_owned(),
                team: team.clone(),
                gaps_allowed: false,
                layers,
            };
            self.settings.schedules.push(entry);
            self.note_gap(Kind::Schedules, &own);
            names.push(own);
        }
        self.schedules.insert(id.to_owned(), names);
    }

    /// The names of what a schedule has become.
    #[must_use]
    pub fn schedules_named(&self, id: &str) -> Vec<String> {
        let names = self.schedules.get(id).cloned().unwrap_or_default();
        if names.is_empty() || names.iter().any(|name| self.partly.contains(&(Kind::Schedules, name.clone()))) {
            self.gap.set(true);
        }
        names
    }

    /// Whether there is such a schedule by now.
    #[must_use]
    pub fn has_schedule(&self, id: &str) -> bool {
        self.schedules.contains_key(id)
    }

    /// A policy, of which each step rings all that it names at once, as those products do.
    pub fn policy(&mut self, name: &str, rounds: i64, steps: Vec<(Vec<Ring>, Option<i64>)>) {
        if self.is_full(Kind::Policies, self.settings.policies.len() + 1) {
            return;
        }
        let own = self.unique(Kind::Policies, name, None);
        self.note_gap(Kind::Policies, &own);
        let mut kept = Vec::new();
        for (mut ring, wait) in steps {
            if ring.is_empty() {
                continue;
            }
            if ring.len() > MOST_CALLEES {
                ring.truncate(MOST_CALLEES);
                self.lost(format!("policy {own}: a step rings more than {MOST_CALLEES}: the rest is left out"));
            }
            let mode = if ring.len() > 1 { Mode::Parallel } else { Mode::Sequential };
            if wait.is_some_and(|wait| wait > LONGEST_WAIT) {
                self.lost(format!("policy {own}: a step that waits longer than a day: here it waits a day"));
            }
            let wait_seconds = wait.and_then(|wait| i32::try_from(wait.clamp(1, LONGEST_WAIT)).ok());
            kept.push(StepEntry { ring, mode, attempts: None, min_interval_seconds: None, wait_seconds });
        }
        if kept.is_empty() {
            self.lost(format!("policy {own} rings nobody: left out"));
            return;
        }
        if kept.len() > MOST_STEPS {
            kept.truncate(MOST_STEPS);
            self.lost(format!("policy {own} has more than {MOST_STEPS} steps: the rest is left out"));
        }
        let most = i64::from(MOST_ROUNDS);
        if rounds > most {
            self.lost(format!("policy {own} goes through its steps {rounds} times: here {most} times"));
        }
        let rounds = i32::try_from(rounds.clamp(1, most)).unwrap_or(1);
        let policy = PolicyEntry { name: own, rounds, confirm_within_seconds: None, confirm: None, texts: false, steps: kept };
        self.settings.policies.push(policy);
    }

    /// The people of a rotation; whoever is nobody here is told of.
    pub fn turns(&mut self, whose: &str, ids: &[String]) -> Vec<String> {
        let mut people = Vec::new();
        for id in ids.iter().take(MOST_TURNS) {
            people.extend(self.known(whose, id));
        }
        if ids.len() > MOST_TURNS {
            self.lost(format!("{whose} has more than {MOST_TURNS} people: the rest is left out"));
        }
        people
    }

    /// The hours of a part, as far as they can be said here.
    pub fn hours(&mut self, whose: &str, spans: &[Span]) -> Option<Vec<String>> {
        if !spans.is_empty() && spans.iter().all(|(_, length)| *length <= 0) {
            self.lost(format!("{whose} is never on duty: left out"));
            return None;
        }
        let windows = windows(spans);
        if windows.len() > MOST_WINDOWS {
            self.lost(format!("{whose} has more than {MOST_WINDOWS} kinds of hours: left out"));
            return None;
        }
        Some(windows)
    }

    /// The zone of a name; UTC, and a word about it, where there is none.
    pub fn zone(&mut self, whose: &str, name: Option<String>) -> Tz {
        let name = name.unwrap_or_else(|| "UTC".to_owned());
        text::zone(&name).unwrap_or_else(|_| {
            self.lost(format!("{whose}: there is no time zone {name:?}: its times are read in UTC"));
            Tz::UTC
        })
    }
}

/// Names that are given, each once.
#[derive(Default)]
pub(super) struct Given {
    names: BTreeSet<String>,
    /// How often one was asked for.
    counts: BTreeMap<String, u32>,
}

impl Given {
    /// Nobody else is to have it.
    pub(super) fn take(&mut self, name: &str) -> bool {
        self.names.insert(name.to_owned())
    }

    /// A name that nobody else has, short enough for what is put behind it.
    pub(super) fn unique(&mut self, name: &str, other: Option<&str>) -> String {
        let plain = plain_name(name);
        if self.take(&plain) {
            return plain;
        }
        let with_other = other.map(|other| format!("{plain} ({other})"));
        if let Some(own) = with_other.filter(|own| own.chars().count() <= LONGEST_PERSON && self.take(own)) {
            return own;
        }
        let mut count = self.counts.get(&plain).copied().unwrap_or(1);
        loop {
            count = count.saturating_add(1);
            let own = format!("{plain} {count}");
            if self.take(&own) || count == u32::MAX {
                self.counts.insert(plain, count);
                return own;
            }
        }
    }
}

/// A name as it can stand here.
pub(super) fn plain_name(name: &str) -> String {
    let plain: String = visible::shown(name).chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    match visible::shown(&plain) {
        "" => "nameless".to_owned(),
        shown => shown.to_owned(),
    }
}

/// The length of turns, as it is written here; `None` where it is no whole number of hours.
#[must_use]
pub fn every(seconds: i64) -> Option<String> {
    let hours = seconds.checked_div(3600).filter(|hours| hours.checked_mul(3600) == Some(seconds))?;
    if !(1..=LONGEST_TURN).contains(&hours) {
        return None;
    }
    let (count, unit) = match hours {
        weeks if weeks % 168 == 0 => (weeks / 168, roster::Unit::Weeks),
        days if days % 24 == 0 => (days / 24, roster::Unit::Days),
        hours => (hours, roster::Unit::Hours),
    };
    u32::try_from(count).ok().filter(|count| (1..=1000).contains(count)).map(|count| text::write_every(count, unit))
}

/// The instant as the clock of a zone shows it, as it is written here; `None` outside of the years in which a roster makes sense.
#[must_use]
pub fn start(zone: Tz, at: DateTime<Utc>) -> Option<NaiveDateTime> {
    let local = at.naive_utc().checked_add_signed(TimeDelta::days(1)).map(|_| roster::wall::local(zone, at))?;
    text::wall_time(&text::write_wall(local)).ok()
}

/// A turn that is under way, or the first that comes: when it begins, and how many turns have passed before it.
#[must_use]
pub fn turn_at(start: NaiveDateTime, seconds: i64, at: NaiveDateTime) -> (NaiveDateTime, i64) {
    let passed = (at - start).num_seconds().checked_div(seconds).filter(|turns| *turns > 0).unwrap_or(0);
    let begins = passed.checked_mul(seconds).and_then(TimeDelta::try_seconds).and_then(|length| start.checked_add_signed(length));
    begins.map_or((start, 0), |begins| (begins, passed))
}

/// The list begun at another place.
#[must_use]
pub fn turned(people: &[String], by: i64) -> Vec<String> {
    let count = i64::try_from(people.len()).unwrap_or(1).max(1);
    let first = usize::try_from(by.rem_euclid(count)).unwrap_or(0);
    people[first..].iter().chain(&people[..first]).cloned().collect()
}

/// Time of each week: from which minute of it, counted from Monday, for how many minutes.
pub type Span = (i64, i64);

/// Hours and minutes of a text such as `09:30` or `09:30:00`, in minutes; 24:00 is the end of the day.
#[must_use]
pub fn minutes(text: &str) -> Option<i64> {
    let mut parts = text.trim().split(':');
    let (hour, minute) = (parts.next()?.parse::<i64>().ok()?, parts.next().unwrap_or("0").parse::<i64>().ok()?);
    let is_time = (0..=24).contains(&hour) && (0..60).contains(&minute) && hour * 60 + minute <= DAY;
    is_time.then(|| hour * 60 + minute)
}

/// Spans as hours of days. What is longer than a day is cut at midnight; days with the same hours stand together.
fn windows(spans: &[Span]) -> Vec<String> {
    if spans.iter().any(|(_, length)| *length >= WEEK) {
        return Vec::new();
    }
    let mut by_hours: BTreeMap<(i64, i64), BTreeSet<u8>> = BTreeMap::new();
    for (from, length) in spans {
        let (mut at, mut left) = (from.rem_euclid(WEEK), (*length).max(0));
        while left > 0 {
            let of_day = at % DAY;
            // A night may stand as it is; what is longer goes to midnight, and on from there.
            let part = if left <= DAY { left } else { (DAY - of_day).min(left) };
            let day = u8::try_from(at / DAY).unwrap_or(0);
            by_hours.entry((of_day, (of_day + part) % DAY)).or_default().insert(day);
            at = (at + part) % WEEK;
            left -= part;
        }
    }
    if by_hours.get(&(0, 0)).is_some_and(|days| days.len() == 7) {
        return Vec::new();
    }
    let time = |minutes: i64| {
        let of = |number: i64| u32::try_from(number).unwrap_or(0);
        NaiveTime::from_hms_opt(of(minutes / 60), of(minutes % 60), 0).unwrap_or_default()
    };
    let window = |((from, to), days): ((i64, i64), BTreeSet<u8>)| {
        text::write_window(&Window { days: days.into_iter().collect(), from: time(from), to: time(to) })
    };
    by_hours.into_iter().map(window).collect()
}

/// Whether some of these times of a week are some of those too.
fn together(one: &[Span], other: &[Span]) -> bool {
    one.iter().any(|(from, to)| other.iter().any(|(begins, ends)| from < ends && begins < to))
}

fn of_week(active: &[String]) -> Vec<(i64, i64)> {
    if active.is_empty() {
        return vec![(0, WEEK)];
    }
    let mut all = Vec::new();
    for window in active.iter().filter_map(|hours| text::window(hours).ok()) {
        let minutes = |time: NaiveTime| (time - NaiveTime::MIN).num_minutes();
        let length = (minutes(window.to) - minutes(window.from) - 1).rem_euclid(DAY) + 1;
        for day in &window.days {
            let from = i64::from(*day) * DAY + minutes(window.from);
            all.push((from, (from + length).min(WEEK)));
            if from + length > WEEK {
                all.push((0, from + length - WEEK));
            }
        }
    }
    all
}

/// The layers of a schedule, each on a line.
#[cfg(test)]
pub(super) fn layers_said(schedule: &ScheduleEntry) -> Vec<String> {
    let people = |own: &LayerEntry| own.people.join("+");
    let layer = |own: &LayerEntry| {
        format!("{}: {} every {} from {}, {}", own.name, people(own), own.every, own.start, own.active.join("; "))
    };
    schedule.layers.iter().map(layer).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_of_the_week_become_hours_of_days() {
        let day = |day: i64, hour: i64| day * DAY + hour * 60;
        assert_eq!(windows(&(0..5).map(|own| (day(own, 9), 540)).collect::<Vec<_>>()), ["mon-fri 09:00-18:00"]);
        assert_eq!(windows(&[(day(4, 22), 480)]), ["fri 22:00-06:00"]);
        // From Friday evening to Monday morning.
        assert_eq!(windows(&[(day(4, 18), 63 * 60)]), ["sat-sun 00:00-24:00", "mon 00:00-09:00", "fri 18:00-24:00"]);
        assert_eq!(windows(&[(day(2, 8), WEEK)]), Vec::<String>::new(), "a whole week is always");
        assert_eq!(windows(&(0..7).map(|own| (day(own, 0), DAY)).collect::<Vec<_>>()), Vec::<String>::new());
    }

    #[test]
    fn lengths_of_turns_are_said_in_the_largest_unit() {
        assert_eq!(every(1_209_600).unwrap(), "2 weeks");
        assert_eq!(every(86_400 * 3).unwrap(), "3 days");
        assert_eq!(every(43_200).unwrap(), "12 hours");
        assert_eq!((every(0), every(5400), every(i64::MAX), every(-3600)), (None, None, None, None));
    }

    fn layer(active: &str) -> Part {
        let active = active.split(';').filter(|own| !own.is_empty()).map(str::to_owned).collect();
        Part {
            level: 0,
            layer: LayerEntry { name: "l".to_owned(), people: vec!["Ann".to_owned()], active, ..LayerEntry::default() },
        }
    }

    #[test]
    fn those_who_are_on_duty_together_are_in_schedules_of_their_own() {
        let made = |parts: Vec<Part>| {
            let mut building = Building::new(Region::CN, DateTime::UNIX_EPOCH);
            building.schedule("id", Some("s".to_owned()), Tz::UTC, None, parts);
            let layers: Vec<(String, usize)> =
                building.settings.schedules.iter().map(|own| (own.name.clone(), own.layers.len())).collect();
            (layers, building.losses.len())
        };
        assert_eq!(made(vec![layer("08:00-20:00"), layer("20:00-08:00")]), (vec![("s".to_owned(), 2)], 0));
        assert_eq!(made(vec![layer("08:00-20:00"), layer("")]), (vec![("s".to_owned(), 1), ("s 2".to_owned(), 1)], 1));
        let above = Part { level: 1, ..layer("08:00-20:00") };
        assert_eq!(made(vec![layer(""), above]), (vec![("s".to_owned(), 2)], 0));
        assert_eq!(made(Vec::new()), (vec![("s".to_owned(), 0)], 1));
    }

    proptest! {
        #[test]
        fn hours_say_the_same_time_as_spans(spans in prop::collection::vec((0..WEEK, 1..WEEK), 1..5)) {
            let said = of_week(&windows(&spans));
            for minute in (0..WEEK).step_by(7) {
                let in_spans = spans.iter().any(|(from, length)| (minute - from).rem_euclid(WEEK) < *length);
                let in_said = said.iter().any(|(from, to)| *from <= minute && minute < *to);
                prop_assert_eq!(in_spans, in_said, "{} of {:?}", minute, windows(&spans));
            }
        }
    }
}
