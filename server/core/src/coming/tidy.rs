//! Entries of the file made comparable: names without blanks, numbers and times in one spelling; and what is wrong with each of them.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, NaiveDateTime, NaiveTime, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use super::file::{
    Kind, LayerEntry, OverrideEntry, PersonEntry, PolicyEntry, QuietEntry, Ring, RuleEntry, ScheduleEntry, StepEntry, TeamEntry,
    TemporaryEntry, UserEntry, VacationEntry,
};
use crate::alarm::policy::{MOST_ROUNDS, MOST_STEPS};
use crate::alarm::{Confirm, Confirmation, Priority};
use crate::numbers::{Number, Region, phone_of};
use crate::roster::{Times, text};
use crate::visible;

/// In characters.
const LONGEST_PERSON: usize = 200;
/// In characters: of teams, schedules and layers.
const LONGEST_NAME: usize = 100;
/// In characters: of policies.
const LONGEST_POLICY: usize = 200;
/// In characters.
const LONGEST_NOTE: usize = 500;
const LONGEST_LANGUAGE: usize = 35;
const LONGEST_EMAIL: usize = 254;
const MOST_NUMBERS: usize = 20;
const MOST_LAYERS: usize = 50;
const MOST_TURNS: usize = 100;
const MOST_WINDOWS: usize = 20;
const MOST_CALLEES: usize = 50;
const MOST_LABELS: usize = 64;
const LONGEST_LABEL: usize = 200;
const LONGEST_LABEL_VALUE: usize = 2_000;
const MOST_ATTEMPTS: i32 = 10;
const DAY: i32 = 86_400;
/// Shifts of one layer.
const MOST_SHIFTS: usize = crate::roster::csv::MOST_SHIFTS;
/// What a user may do.
const ROLES: [&str; 3] = ["viewer", "responder", "admin"];
/// How a wall time of quiet hours is written.
const TIME: &str = "%H:%M";

/// What is needed to read an entry.
#[derive(Clone, Debug)]
pub struct With<'w> {
    /// Where numbers without a country are read.
    pub region: Region,
    /// The zones of the schedules.
    pub zones: &'w BTreeMap<String, Tz>,
    /// How the names of people are spelled.
    pub people: &'w Spelled,
    /// How the names of policies are spelled.
    pub policies: &'w Spelled,
}

/// How names are spelled that are kept. Some end in characters that nobody sees: they are found under what is seen of them, and stay as they
/// are.
#[derive(Clone, Debug, Default)]
pub struct Spelled(BTreeMap<String, Vec<String>>);

impl Spelled {
    /// Of these.
    pub fn of<'n>(names: impl Iterator<Item = &'n String>) -> Self {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in names {
            all.entry(visible::shown(name).to_owned()).or_default().push(name.clone());
        }
        Self(all)
    }

    /// The name that somebody means by a text.
    fn name(&self, text: &str) -> String {
        let shown = visible::shown(text);
        let kept = self.0.get(shown).map_or(&[][..], Vec::as_slice);
        kept.iter().find(|own| *own == text.trim()).or(kept.first()).map_or_else(|| shown.to_owned(), Clone::clone)
    }

    fn set(&self, texts: &mut [String]) {
        for text in texts {
            *text = self.name(text);
        }
    }
}

/// What an entry names, and what so must be there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ref {
    /// A person.
    Person(String),
    /// A team.
    Team(String),
    /// A schedule.
    Schedule(String),
    /// A policy.
    Policy(String),
    /// A key of a sender.
    Key(String),
}

impl Ref {
    /// There is none of it.
    #[must_use]
    pub fn missing(&self) -> String {
        match self {
            Self::Person(name) => format!("there is no person {name:?}"),
            Self::Team(name) => format!("there is no team {name:?}"),
            Self::Schedule(name) => format!("there is no schedule {name:?}"),
            Self::Policy(name) => format!("there is no policy {name:?}"),
            Self::Key(name) => format!("there is no key named {name:?}: `autocall key list` prints them"),
        }
    }
}

/// What is wrong with an entry: in which field, and what.
pub type Faults = Vec<(String, String)>;

/// An entry of a section.
pub trait Entry: Clone + PartialEq + Serialize {
    /// Of which section.
    const KIND: Kind;
    /// What it is known by: there is one of it in its section.
    fn key(&self) -> String;
    /// What it is called before people.
    fn title(&self) -> String {
        self.key()
    }
    /// By what it is found again when something else of it has changed, if it has no name.
    fn again(&self) -> Option<String> {
        None
    }
    /// Among which others the later ones decide, from when until when.
    fn decides(&self) -> Option<(&str, Times)> {
        None
    }
    /// All that it names, and in which field.
    fn refs(&self) -> Vec<(String, Ref)>;
    /// Makes it comparable, and gives what is wrong with it.
    fn tidy(&mut self, with: &With<'_>) -> Faults;
    /// Until when it holds, if it ends.
    fn ends(&self) -> Option<DateTime<Utc>> {
        None
    }
    /// Takes over from the one that is known whatever says the same in other words, or is left out; gives what is worth a word.
    fn like(&mut self, _known: &Self) -> Vec<String> {
        Vec::new()
    }
    /// The same where none is known.
    fn fresh(&mut self) {}
    /// Its lines in the file.
    fn text(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_default()
    }
}

/// What somebody has said twice is said once.
pub fn said_once<T: Entry>(entries: &mut Vec<T>) {
    let mut seen = HashSet::new();
    entries.retain(|entry| seen.insert(entry.key()));
}

/// The same where the later one decides: of those that are equal the last stays.
pub fn said_last<T: Entry>(entries: &mut Vec<T>) {
    entries.reverse();
    said_once(entries);
    entries.reverse();
}

fn name(field: &str, text: &mut String, longest: usize, faults: &mut Faults) {
    *text = visible::shown(text).to_owned();
    is_name(field, text, longest, faults);
}

fn is_name(field: &str, text: &str, longest: usize, faults: &mut Faults) {
    if text.is_empty() || text.chars().count() > longest || text.chars().any(char::is_control) {
        faults.push((field.to_owned(), format!("a name has 1 to {longest} characters, without line breaks")));
    }
}

fn trimmed(texts: &mut [String]) {
    for text in texts {
        *text = visible::shown(text).to_owned();
    }
}

fn note(text: &mut String, faults: &mut Faults) {
    *text = text.trim().to_owned();
    if text.chars().count() > LONGEST_NOTE || text.chars().any(char::is_control) {
        faults.push(("note".to_owned(), format!("a note has at most {LONGEST_NOTE} characters, without line breaks")));
    }
}

fn within(field: &str, value: Option<i32>, least: i32, most: i32, faults: &mut Faults) {
    if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
        faults.push((field.to_owned(), format!("it must be {least} to {most}, not {value}")));
    }
}

fn number(field: String, text: &mut String, region: Region, faults: &mut Faults) {
    match Number::parse(text, region) {
        Ok(parsed) => *text = parsed.number.as_str().to_owned(),
        Err(error) => faults.push((field, format!("{text:?}: {error}"))),
    }
}

fn people_of(field: &str, people: &[String]) -> Vec<(String, Ref)> {
    let one = |(index, person): (usize, &String)| (format!("{field}[{index}]"), Ref::Person(person.clone()));
    people.iter().enumerate().map(one).collect()
}

/// From when until when, in one spelling; and what is wrong with that.
fn span(starts_at: &mut String, ends_at: &mut String, zone: Tz, faults: &mut Faults) {
    let mut read = |field: &str, at: &mut String| match text::instant(at, zone) {
        Ok(instant) => {
            *at = text::exact(zone, instant);
            Some(instant)
        }
        Err(error) => {
            faults.push((field.to_owned(), error.to_string()));
            None
        }
    };
    let (from, to) = (read("starts_at", starts_at), read("ends_at", ends_at));
    if from.zip(to).is_some_and(|(from, to)| to <= from) {
        faults.push(("ends_at".to_owned(), "it must end after it begins".to_owned()));
    }
}

fn instant(written: &str) -> Option<DateTime<Utc>> {
    text::instant(written, Tz::UTC).ok()
}

/// The same in every zone.
fn in_utc(written: &str) -> String {
    instant(written).map_or_else(|| written.to_owned(), |at| text::exact(Tz::UTC, at))
}

fn times(starts_at: &str, ends_at: &str) -> Option<Times> {
    instant(starts_at).zip(instant(ends_at))
}

impl Entry for PersonEntry {
    const KIND: Kind = Kind::People;

    fn key(&self) -> String {
        self.name.clone()
    }

    fn refs(&self) -> Vec<(String, Ref)> {
        Vec::new()
    }

    fn tidy(&mut self, with: &With<'_>) -> Faults {
        let mut faults = Faults::new();
        self.name = with.people.name(&self.name);
        is_name("name", &self.name, LONGEST_PERSON, &mut faults);
        if let Some(all) = &mut self.numbers {
            let (mut numbers, mut phones) = (Vec::new(), HashSet::new());
            for (index, given) in all.iter().enumerate() {
                let mut own = given.clone();
                number(format!("numbers[{index}]"), &mut own, with.region, &mut faults);
                if phones.insert(phone_of(&own).into_owned()) {
                    numbers.push(own);
                }
            }
            if numbers.len() > MOST_NUMBERS {
                faults.push(("numbers".to_owned(), format!("a person has at most {MOST_NUMBERS} numbers")));
            }
            *all = numbers;
        }
        if let Some(tag) = &mut self.language {
            *tag = tag.trim().to_owned();
            if tag.len() > LONGEST_LANGUAGE || !tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
                let why = format!("{tag:?} is not a language tag such as zh-CN, ja, en or es");
                faults.push(("language".to_owned(), why));
            }
        }
        if let Some(all) = &mut self.emails {
            let mut seen = HashSet::new();
            for email in all.iter_mut() {
                *email = email.trim().to_lowercase();
            }
            all.retain(|email| !email.is_empty() && seen.insert(email.clone()));
            for (index, email) in all.iter().enumerate().filter(|(_, email)| !is_email(email)) {
                faults.push((format!("emails[{index}]"), format!("{email:?} is no e-mail address")));
            }
        }
        faults
    }

    fn like(&mut self, known: &Self) -> Vec<String> {
        self.numbers = self.numbers.take().or_else(|| known.numbers.clone());
        self.language = self.language.take().or_else(|| known.language.clone());
        self.emails = self.emails.take().or_else(|| known.emails.clone());
        self.fresh();
        Vec::new()
    }

    fn fresh(&mut self) {
        self.numbers.get_or_insert_default();
        self.language = self.language.take().filter(|tag| !tag.is_empty());
        self.emails = self.emails.take().filter(|emails| !emails.is_empty());
    }
}

/// Whether it may be an e-mail address.
#[must_use]
pub fn is_email(text: &str) -> bool {
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ',' | ';' | '"');
    let parts = text.split_once('@').is_some_and(|(own, host)| !own.is_empty() && !host.is_empty());
    text.len() <= LONGEST_EMAIL && !text.contains(bad) && parts
}

impl Entry for UserEntry {
    const KIND: Kind = Kind::Users;

    fn key(&self) -> String {
        self.name.clone()
    }

    fn refs(&self) -> Vec<(String, Ref)> {
        Vec::new()
    }

    fn tidy(&mut self, _with: &With<'_>) -> Faults {
        self.name = self.name.trim().to_owned();
        self.role = self.role.trim().to_owned();
        match ROLES.contains(&self.role.as_str()) {
            true => Faults::new(),
            false => vec![("role".to_owned(), format!("{:?} is none of {}", self.role, ROLES.join(", ")))],
        }
    }
}

impl Entry for TeamEntry {
    const KIND: Kind = Kind::Teams;

    fn key(&self) -> String {
        self.name.clone()
    }

    fn refs(&self) -> Vec<(String, Ref)> {
        people_of("members", &self.members)
    }

    fn tidy(&mut self, with: &With<'_>) -> Faults {
        let mut faults = Faults::new();
        name("name", &mut self.name, LONGEST_NAME, &mut faults);
        with.people.set(&mut self.members);
        let mut seen = HashSet::new();
        self.members.retain(|member| seen.insert(member.clone()));
        faults
    }
}

impl Entry for ScheduleEntry {
    const KIND: Kind = Kind::Schedules;

    fn key(&self) -> String {
        self.name.clone()
    }

    fn refs(&self) -> Vec<(String, Ref)> {
        let mut all: Vec<(String, Ref)> = self.team.iter().map(|team| ("team".to_owned(), Ref::Team(team.clone()))).collect();
        for (place, layer) in self.layers.iter().enumerate() {
            all.extend(people_of(&format!("layers[{place}].people"), &layer.people));
            for (index, shift) in layer.shifts.iter().enumerate() {
                let person = shift_parts(shift).map(|(_, _, person)| Ref::Person(person.to_owned()));
                all.extend(person.map(|person| (format!("layers[{place}].shifts[{index}]"), person)));
            }
        }
        all
    }

    fn tidy(&mut self, with: &With<'_>) -> Faults {
        let mut faults = Faults::new();
        name("name", &mut self.name, LONGEST_NAME, &mut faults);
        self.team = self.team.take().map(|team| visible::shown(&team).to_owned()).filter(|team| !team.is_empty());
        let zone = match text::zone(&self.zone) {
            Ok(zone) => {
                zone.name().clone_into(&mut self.zone);
                zone
            }
            Err(error) => {
                faults.push(("zone".to_owned(), error.to_string()));
                Tz::UTC
            }
        };
        if self.layers.len() > MOST_LAYERS {
            faults.push(("layers".to_owned(), format!("a schedule has at most {MOST_LAYERS} layers")));
            return faults;
        }
        let mut names = HashSet::new();
        for (place, layer) in self.layers.iter_mut().enumerate() {
            let own = layer.tidied(zone, with.people);
            faults.extend(own.into_iter().map(|(field, why)| (format!("layers[{place}].{field}"), why)));
            if !names.insert(layer.name.clone()) {
                faults.push((format!("layers[{place}].name"), format!("there is a layer {:?} already", layer.name)));
            }
        }
        faults
    }

    fn like(&mut self, known: &Self) -> Vec<String> {
        let mut notes = Vec::new();
        for layer in &mut self.layers {
            if let Some(own) = known.layers.iter().find(|own| own.name == layer.name)
                && (&own.every, &own.start) == (&layer.every, &layer.start)
                && layer.people != own.people
                && turned(&layer.people, &own.people)
            {
                // The order is a circle. Whose turn it is, is not changed by where it is written down to begin.
                layer.people.clone_from(&own.people);
                notes.push(format!(
                    "layer {:?}: its people are the same circle, begun with another one: whose turn it is stays as it is; to change that, \
                     write another start, or an override",
                    layer.name
                ));
            }
        }
        notes
    }
}

/// Whether one list is the other, begun at another place.
fn turned(one: &[String], other: &[String]) -> bool {
    one.len() == other.len() && (0..one.len()).any(|shift| one[shift..].iter().chain(&one[..shift]).eq(other))
}

impl LayerEntry {
    fn tidied(&mut self, zone: Tz, known: &Spelled) -> Faults {
        let mut faults = Faults::new();
        name("name", &mut self.name, LONGEST_NAME, &mut faults);
        known.set(&mut self.people);
        if self.shifts.is_empty() {
            turns(&mut self.people, &mut self.every, &mut self.active, &mut faults);
            let start = wall_time("start", &mut self.start, &mut faults);
            let end = self.end.as_mut().and_then(|end| wall_time("end", end, &mut faults));
            if start.zip(end).is_some_and(|(start, end)| end <= start) {
                faults.push(("end".to_owned(), "it must end after it begins".to_owned()));
            }
            return faults;
        }
        if !self.people.is_empty() || !self.every.is_empty() || !self.start.is_empty() || self.end.is_some() {
            faults.push(("shifts".to_owned(), "a layer has either shifts, or people who take turns".to_owned()));
        }
        if self.shifts.len() > MOST_SHIFTS {
            faults.push(("shifts".to_owned(), format!("a layer has at most {MOST_SHIFTS} shifts")));
            return faults;
        }
        let mut shifts = Vec::with_capacity(self.shifts.len());
        for (index, shift) in self.shifts.iter().enumerate() {
            match read_shift(shift, zone, known) {
                Ok(read) => shifts.push(read),
                Err(why) => faults.push((format!("shifts[{index}]"), why)),
            }
        }
        if faults.is_empty() {
            shifts.sort();
            self.shifts = shifts.iter().map(|(from, to, person)| shift_text(*from, *to, person, zone)).collect();
        }
        faults
    }
}

/// One shift, as it is written.
#[must_use]
pub fn shift_text(from: DateTime<Utc>, to: DateTime<Utc>, person: &str, zone: Tz) -> String {
    format!("{} to {}: {person}", text::exact(zone, from), text::exact(zone, to))
}

/// From when, until when, who.
#[must_use]
pub fn shift_parts(shift: &str) -> Option<(&str, &str, &str)> {
    let (from, rest) = shift.split_once(" to ")?;
    let (to, person) = rest.split_once(": ")?;
    Some((from.trim(), to.trim(), person.trim()))
}

fn read_shift(shift: &str, zone: Tz, known: &Spelled) -> Result<(DateTime<Utc>, DateTime<Utc>, String), String> {
    let wrong = || format!("{shift:?} is no shift: write \"2026-12-01T09:00 to 2026-12-08T09:00: Li Na\"");
    let (from, to, person) = shift_parts(shift).ok_or_else(wrong)?;
    let read = |at: &str| text::instant(at, zone).map_err(|error| error.to_string());
    let (from, to) = (read(from)?, read(to)?);
    match to > from {
        true => Ok((from, to, known.name(person))),
        false => Err(format!("{shift:?} must end after it begins")),
    }
}

/// People who take turns: how many, how long, and when they are active.
fn turns(people: &mut [String], every: &mut String, active: &mut [String], faults: &mut Faults) {
    if people.is_empty() || people.len() > MOST_TURNS {
        faults.push(("people".to_owned(), format!("name 1 to {MOST_TURNS} people")));
    }
    match text::every(every) {
        Ok((count, unit)) => *every = text::write_every(count, unit),
        Err(error) => faults.push(("every".to_owned(), error.to_string())),
    }
    if active.len() > MOST_WINDOWS {
        faults.push(("active".to_owned(), format!("name at most {MOST_WINDOWS} kinds of hours")));
    }
    for (index, hours) in active.iter_mut().enumerate() {
        match text::window(hours) {
            Ok(window) => *hours = text::write_window(&window),
            Err(error) => faults.push((format!("active[{index}]"), error.to_string())),
        }
    }
}

fn wall_time(field: &str, written: &mut String, faults: &mut Faults) -> Option<NaiveDateTime> {
    match text::wall_time(written) {
        Ok(at) => {
            *written = text::write_wall(at);
            Some(at)
        }
        Err(error) => {
            faults.push((field.to_owned(), error.to_string()));
            None
        }
    }
}

impl OverrideEntry {
    fn said(&self, starts_at: &str, ends_at: &str) -> String {
        let what = match (self.action.as_str(), &self.instead_of) {
            ("remove", _) => format!("{} not on duty", self.person),
            ("replace", Some(of)) => format!("{} instead of {of}", self.person),
            ("replace", None) => format!("{} instead of everybody", self.person),
            _ => format!("{} too", self.person),
        };
        let note = if self.note.is_empty() { String::new() } else { format!(" ({})", self.note) };
        format!("{}: {what}, {starts_at} to {ends_at}{note}", self.schedule)
    }
}

impl Entry for OverrideEntry {
    const KIND: Kind = Kind::Overrides;

    fn key(&self) -> String {
        // The zone of its schedule may change.
        let times = (in_utc(&self.starts_at), in_utc(&self.ends_at));
        format!("{:?}", (&self.schedule, &self.action, &self.person, &self.instead_of, times, &self.note))
    }

    fn title(&self) -> String {
        self.said(&self.starts_at, &self.ends_at)
    }

    fn again(&self) -> Option<String> {
        let when = in_utc(&self.starts_at);
        Some(format!("{:?}", (&self.schedule, &self.action, &self.person, &self.instead_of, when)))
    }

    fn decides(&self) -> Option<(&str, Times)> {
        Some((&self.schedule, times(&self.starts_at, &self.ends_at)?))
    }

    fn like(&mut self, known: &Self) -> Vec<String> {
        self.starts_at.clone_from(&known.starts_at);
        self.ends_at.clone_from(&known.ends_at);
        Vec::new()
    }

    fn refs(&self) -> Vec<(String, Ref)> {
        let of = self.instead_of.iter().map(|of| ("instead_of".to_owned(), Ref::Person(of.clone())));
        let schedule = ("schedule".to_owned(), Ref::Schedule(self.schedule.clone()));
        [schedule, ("person".to_owned(), Ref::Person(self.person.clone()))].into_iter().chain(of).collect()
    }

    fn tidy(&mut self, with: &With<'_>) -> Faults {
        let mut faults = Faults::new();
        trimmed(std::slice::from_mut(&mut self.schedule));
        self.person = with.people.name(&self.person);
        self.instead_of = self.instead_of.take().map(|of| with.people.name(&of)).filter(|of| !of.is_empty());
        self.action = self.action.trim().to_owned();
        let known = matches!(self.action.as_str(), "add" | "remove" | "replace");
        let fits = self.instead_of.is_none() || self.action == "replace" && self.instead_of.as_ref() != Some(&self.person);
        if !known || !fits {
            let why = "an action is add, remove or replace; only replace takes instead_of, and nobody replaces themselves";
            faults.push(("action".to_owned(), why.to_owned()));
        }
        let zone = with.zones.get(&self.schedule).copied().unwrap_or(Tz::UTC);
        span(&mut self.starts_at, &mut self.ends_at, zone, &mut faults);
        note(&mut self.note, &mut faults);
        faults
    }

    fn ends(&self) -> Option<DateTime<Utc>> {
        instant(&self.ends_at)
    }
}

impl TemporaryEntry {
    fn said(&self, starts_at: &str, ends_at: &str) -> String {
        let hours = if self.active.is_empty() { String::new() } else { format!(", {}", self.active.join("; ")) };
        let turns = format!("{} every {} from {}{hours}", self.people.join(", "), self.every, self.start);
        format!("{}: {}, {starts_at} to {ends_at}, {turns}", self.schedule, self.name)
    }
}

impl Entry for TemporaryEntry {
    const KIND: Kind = Kind::Temporaries;

    fn key(&self) -> String {
        let times = (in_utc(&self.starts_at), in_utc(&self.ends_at));
        format!("{:?}", (&self.schedule, &self.name, times, &self.people, &self.every, &self.start, &self.active))
    }

    fn title(&self) -> String {
        self.said(&self.starts_at, &self.ends_at)
    }

    fn again(&self) -> Option<String> {
        Some(format!("{:?}", (&self.schedule, &self.name, in_utc(&self.starts_at))))
    }

    fn decides(&self) -> Option<(&str, Times)> {
        Some((&self.schedule, times(&self.starts_at, &self.ends_at)?))
    }

    fn like(&mut self, known: &Self) -> Vec<String> {
        self.starts_at.clone_from(&known.starts_at);
        self.ends_at.clone_from(&known.ends_at);
        Vec::new()
    }

    fn refs(&self) -> Vec<(String, Ref)> {
        let mut all = people_of("people", &self.people);
        all.push(("schedule".to_owned(), Ref::Schedule(self.schedule.clone())));
        all
    }

    fn tidy(&mut self, with: &With<'_>) -> Faults {
        let mut faults = Faults::new();
        trimmed(std::slice::from_mut(&mut self.schedule));
        name("name", &mut self.name, LONGEST_NAME, &mut faults);
        with.people.set(&mut self.people);
        let zone = with.zones.get(&self.schedule).copied().unwrap_or(Tz::UTC);
        span(&mut self.starts_at, &mut self.ends_at, zone, &mut faults);
        if self.every.is_empty() && self.people.len() <= 1 {
            "1 week".clone_into(&mut self.every);
        }
        if self.start.trim().is_empty()
            && let Some(from) = instant(&self.starts_at)
        {
            self.start = text::write_wall(crate::roster::wall::local(zone, from));
        }
        turns(&mut self.people, &mut self.every, &mut self.active, &mut faults);
        wall_time("start", &mut self.start, &mut faults);
        faults
    }

    fn ends(&self) -> Option<DateTime<Utc>> {
        instant(&self.ends_at)
    }
}

impl Entry for VacationEntry {
    const KIND: Kind = Kind::Vacations;

    fn key(&self) -> String {
        format!("{:?}", (&self.person, in_utc(&self.starts_at), in_utc(&self.ends_at), &self.note))
    }

    fn title(&self) -> String {
        let note = if self.note.is_empty() { String::new() } else { format!(" ({})", self.note) };
        format!("{}, {} to {}{note}", self.person, self.starts_at, self.ends_at)
    }

    fn again(&self) -> Option<String> {
        Some(format!("{:?}", (&self.person, in_utc(&self.starts_at))))
    }

    fn refs(&self) -> Vec<(String, Ref)> {
        vec![("person".to_owned(), Ref::Person(self.person.clone()))]
    }

    fn tidy(&mut self, with: &With<'_>) -> Faults {
        let mut faults = Faults::new();
        self.person = with.people.name(&self.person);
        span(&mut self.starts_at, &mut self.ends_at, Tz::UTC, &mut faults);
        note(&mut self.note, &mut faults);
        faults
    }

    fn ends(&self) -> Option<DateTime<Utc>> {
        instant(&self.ends_at)
    }
}

impl Entry for PolicyEntry {
    const KIND: Kind = Kind::Policies;

    fn key(&self) -> String {
        self.name.clone()
    }

    fn refs(&self) -> Vec<(String, Ref)> {
        let mut all = Vec::new();
        for (place, step) in self.steps.iter().enumerate() {
            for (index, ring) in step.ring.iter().enumerate() {
                let named = match ring {
                    Ring::Person(name) => Ref::Person(name.clone()),
                    Ring::Team(name) => Ref::Team(name.clone()),
                    Ring::Schedule(name) => Ref::Schedule(name.clone()),
                    Ring::Number(_) => continue,
                };
                all.push((format!("steps[{place}].ring[{index}]"), named));
            }
        }
        all
    }

    fn tidy(&mut self, with: &With<'_>) -> Faults {
        let mut faults = Faults::new();
        self.name = with.policies.name(&self.name);
        let garbled = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        if self.name.is_empty() || self.name.chars().count() > LONGEST_POLICY || self.name.contains(garbled) {
            faults.push(("name".to_owned(), format!("a name has 1 to {LONGEST_POLICY} characters, and shows some of them")));
        }
        within("rounds", Some(self.rounds), 1, MOST_ROUNDS, &mut faults);
        within("confirm_within_seconds", self.confirm_within_seconds, 1, DAY, &mut faults);
        let wanted = Confirmation::of(self.confirm, self.confirm_within_seconds);
        self.confirm_within_seconds = wanted.within;
        self.confirm = wanted.key.then_some(Confirm::Key);
        if self.steps.is_empty() || self.steps.len() > MOST_STEPS {
            faults.push(("steps".to_owned(), format!("a policy has 1 to {MOST_STEPS} steps")));
            return faults;
        }
        for (place, step) in self.steps.iter_mut().enumerate() {
            let own = step.tidied(with);
            faults.extend(own.into_iter().map(|(field, why)| (format!("steps[{place}].{field}"), why)));
        }
        faults
    }
}

impl StepEntry {
    fn tidied(&mut self, with: &With<'_>) -> Faults {
        let mut faults = Faults::new();
        if self.ring.is_empty() || self.ring.len() > MOST_CALLEES {
            faults.push(("ring".to_owned(), format!("a step rings 1 to {MOST_CALLEES} people, numbers or teams")));
        }
        for (index, ring) in self.ring.iter_mut().enumerate() {
            match ring {
                Ring::Number(given) => number(format!("ring[{index}]"), given, with.region, &mut faults),
                Ring::Person(name) => with.people.set(std::slice::from_mut(name)),
                Ring::Team(name) | Ring::Schedule(name) => trimmed(std::slice::from_mut(name)),
            }
        }
        within("attempts", self.attempts, 1, MOST_ATTEMPTS, &mut faults);
        within("min_interval_seconds", self.min_interval_seconds, 0, DAY, &mut faults);
        within("wait_seconds", self.wait_seconds, 1, DAY, &mut faults);
        faults
    }
}

impl Entry for RuleEntry {
    const KIND: Kind = Kind::Rules;

    fn key(&self) -> String {
        format!("{:?}", (&self.policy, &self.sender, &self.labels))
    }

    fn title(&self) -> String {
        let sender = self.sender.iter().map(|sender| format!("sender {sender}"));
        let labels = self.labels.iter().map(|(name, value)| format!("{name}={value}"));
        let mut when: Vec<String> = sender.chain(labels).collect();
        if when.is_empty() {
            when.push("everything else".to_owned());
        }
        format!("{} to {}", when.join(", "), self.policy)
    }

    fn refs(&self) -> Vec<(String, Ref)> {
        let sender = self.sender.iter().map(|sender| ("sender".to_owned(), Ref::Key(sender.clone())));
        std::iter::once(("policy".to_owned(), Ref::Policy(self.policy.clone()))).chain(sender).collect()
    }

    fn tidy(&mut self, with: &With<'_>) -> Faults {
        let mut faults = Faults::new();
        self.policy = with.policies.name(&self.policy);
        let sound = |text: &str, longest: usize| {
            text.chars().count() <= longest && !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        };
        if self.labels.len() > MOST_LABELS {
            faults.push(("labels".to_owned(), format!("an alarm has at most {MOST_LABELS} labels")));
        }
        for (name, value) in &self.labels {
            if name.is_empty() || !sound(name, LONGEST_LABEL) || !sound(value, LONGEST_LABEL_VALUE) {
                let why = format!(
                    "a label has a name, of at most {LONGEST_LABEL} characters, and at most {LONGEST_LABEL_VALUE} after it"
                );
                faults.push((format!("labels.{}", name.escape_debug()), why));
            }
        }
        faults
    }
}

impl Entry for QuietEntry {
    const KIND: Kind = Kind::QuietHours;

    fn key(&self) -> String {
        format!("{:?}", (&self.person, &self.from, &self.to, &self.zone, &self.up_to))
    }

    fn title(&self) -> String {
        let whose = self.person.as_deref().unwrap_or("everybody else");
        let up_to = match self.up_to {
            Priority::Low => "low",
            Priority::Normal => "normal",
            Priority::High => "high",
            Priority::Critical => "critical",
        };
        format!("{whose}, {} to {} in {}, up to {up_to}", self.from, self.to, self.zone)
    }

    fn refs(&self) -> Vec<(String, Ref)> {
        self.person.iter().map(|person| ("person".to_owned(), Ref::Person(person.clone()))).collect()
    }

    fn tidy(&mut self, with: &With<'_>) -> Faults {
        let mut faults = Faults::new();
        self.person = self.person.take().map(|person| with.people.name(&person));
        for (field, time) in [("from", &mut self.from), ("to", &mut self.to)] {
            match NaiveTime::parse_from_str(time.trim(), TIME) {
                Ok(read) => *time = read.format(TIME).to_string(),
                Err(_) => faults.push((field.to_owned(), format!("{time:?} is no time of day: write 22:00"))),
            }
        }
        match text::zone(&self.zone) {
            Ok(zone) => zone.name().clone_into(&mut self.zone),
            Err(error) => faults.push(("zone".to_owned(), error.to_string())),
        }
        if self.up_to == Priority::Critical {
            faults.push(("up_to".to_owned(), "critical alarms never wait: low, normal or high".to_owned()));
        }
        faults
    }
}
