//! What a file would change: what is added, changed and removed, with the lines that differ; or all that is wrong with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::file::{
    Kind, OverrideEntry, PersonEntry, PolicyEntry, QuietEntry, RuleEntry, ScheduleEntry, Settings, TeamEntry, TemporaryEntry,
    UserEntry, VacationEntry,
};
use super::lines::{Line, differing};
use super::reading::{Document, read};
use super::tidy::{Entry, Ref, Spelled, With};
use crate::numbers::{Region, phone_of};
use crate::roster::Times;
use crate::sheet::told;

/// Why a file removes nothing that may have lost its end.
const NOT_WHOLE: &str = "the file does not end in the line [end], and may have been cut off: what it does not have would be removed. \
                         Write [end] as its last line if it is whole";

/// What is kept by now, in the words of a file; and what a file may name without having it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Tidy.
    pub settings: Settings,
    /// The names of the keys of senders.
    pub keys: Vec<String>,
}

impl Known {
    /// Why the file that says this would not be taken again: one sentence each. There may be more here than a file may have.
    #[must_use]
    pub fn not_taken(&self, written: &str, region: Region, at: DateTime<Utc>) -> Vec<String> {
        let wish = read(written).map(|document| Wish { document, remove: false, region, at });
        wish.and_then(|wish| Plan::make(self, &wish)).err().unwrap_or_default()
    }
}

/// What somebody asks for with a file.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The file.
    pub document: Document,
    /// In every section that the file has, whatever it does not name is removed.
    pub remove: bool,
    /// Where numbers without a country are read.
    pub region: Region,
    /// What is over by then is passed over.
    pub at: DateTime<Utc>,
}

/// What changes in one section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes<T> {
    /// What was not there.
    pub added: Vec<T>,
    /// What it was, and what it becomes.
    pub changed: Vec<(T, T)>,
    /// What is there no more.
    pub removed: Vec<T>,
}

impl<T> Default for Changes<T> {
    fn default() -> Self {
        Self { added: Vec::new(), changed: Vec::new(), removed: Vec::new() }
    }
}

impl<T> Changes<T> {
    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

/// A list that is kept as a whole: what it was, and what it becomes.
pub type Whole<T> = Option<(Vec<T>, Vec<T>)>;

/// What a file would change. Two that are equal change the same things from the same state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// People.
    pub people: Changes<PersonEntry>,
    /// Users; only their roles.
    pub users: Changes<UserEntry>,
    /// Teams.
    pub teams: Changes<TeamEntry>,
    /// Schedules with their layers.
    pub schedules: Changes<ScheduleEntry>,
    /// Overrides.
    pub overrides: Changes<OverrideEntry>,
    /// Temporary schedules.
    pub temporaries: Changes<TemporaryEntry>,
    /// Vacations.
    pub vacations: Changes<VacationEntry>,
    /// Policies.
    pub policies: Changes<PolicyEntry>,
    /// All rules, if one of them or their order changes.
    pub rules: Whole<RuleEntry>,
    /// All quiet hours, if one of them changes.
    pub quiet_hours: Whole<QuietEntry>,
    /// What stands in the file and is passed over.
    pub notes: Vec<String>,
}

impl Plan {
    /// What the file would change.
    ///
    /// # Errors
    /// All that is wrong with it, each with its place; and what would be left without what it names.
    pub fn make(known: &Known, wish: &Wish) -> Result<Self, Vec<String>> {
        if !wish.document.is_whole && (wish.remove || !wish.document.settings.managed.is_empty()) {
            return Err(vec![NOT_WHOLE.to_owned()]);
        }
        let zones = zones(&known.settings, &wish.document.settings);
        let people = Spelled::of(known.settings.people.iter().map(|own| &own.name));
        let policies = Spelled::of(known.settings.policies.iter().map(|own| &own.name));
        let with = With { region: wish.region, zones: &zones, people: &people, policies: &policies };
        let mut making = Making { wish, with, faults: Vec::new(), notes: Vec::new(), names: Names::default() };
        let (old, new) = (&known.settings, &wish.document.settings);
        let people = making.section(&old.people, &new.people);
        let mut users = making.section(&old.users, &new.users);
        let mut teams = making.section(&old.teams, &new.teams);
        let mut schedules = making.section(&old.schedules, &new.schedules);
        let mut overrides = making.section(&old.overrides, &new.overrides);
        let mut temporaries = making.section(&old.temporaries, &new.temporaries);
        let mut vacations = making.section(&old.vacations, &new.vacations);
        let mut policies = making.section(&old.policies, &new.policies);
        let (rules, rule_places) = making.rules(&old.rules, &new.rules);
        let mut quiet = making.section(&old.quiet_hours, &new.quiet_hours);
        quiet.are_all_of_each_person();
        for user in std::mem::take(&mut users.changes.added) {
            let add = format!("autocall user add --name {:?} --role {}", user.name, user.role);
            making.notes.push(format!("there is no user {:?}, and passwords stand in no file: {add}", user.name));
        }
        making.can_be_rung(&people);
        making.learn(&people);
        making.learn(&teams);
        making.learn(&schedules);
        making.learn(&policies);
        making.names.there.extend(known.keys.iter().map(|key| Ref::Key(key.clone())));
        making.names_are_there(&mut teams);
        making.names_are_there(&mut schedules);
        making.names_are_there(&mut overrides);
        making.names_are_there(&mut temporaries);
        making.names_are_there(&mut vacations);
        making.names_are_there(&mut policies);
        making.names_are_there(&mut quiet);
        making.rules_lead_somewhere(&old.rules, &rules, &rule_places);
        making.numbers_belong_to_one(&people);
        if !making.faults.is_empty() {
            return Err(told(making.faults));
        }
        let rules = (rules != old.rules).then(|| (old.rules.clone(), rules));
        let quiet_hours = (!quiet.changes.is_empty()).then(|| {
            let after = quiet.kept.iter().chain(&quiet.changes.added).cloned().collect();
            (old.quiet_hours.clone(), after)
        });
        Ok(Self {
            people: people.changes,
            users: users.changes,
            teams: teams.changes,
            schedules: schedules.changes,
            overrides: overrides.changes,
            temporaries: temporaries.changes,
            vacations: vacations.changes,
            policies: policies.changes,
            rules,
            quiet_hours,
            notes: making.notes,
        })
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
            && self.users.is_empty()
            && self.teams.is_empty()
            && self.schedules.is_empty()
            && self.overrides.is_empty()
            && self.temporaries.is_empty()
            && self.vacations.is_empty()
            && self.policies.is_empty()
            && self.rules.is_none()
            && self.quiet_hours.is_none()
    }

    /// Whether it changes who is on duty.
    #[must_use]
    pub fn changes_roster(&self) -> bool {
        let exceptions = self.overrides.is_empty() && self.temporaries.is_empty() && self.vacations.is_empty();
        !(self.people.is_empty() && self.teams.is_empty() && self.schedules.is_empty() && exceptions)
    }
}

/// The zones that schedules have then, as far as they can be read.
fn zones(known: &Settings, file: &Settings) -> BTreeMap<String, Tz> {
    let all = known.schedules.iter().chain(&file.schedules);
    all.filter_map(|own| Some((crate::visible::shown(&own.name).to_owned(), own.zone.trim().parse().ok()?))).collect()
}

/// By what others name an entry.
fn name_of(kind: Kind, key: String) -> Option<Ref> {
    match kind {
        Kind::People => Some(Ref::Person(key)),
        Kind::Teams => Some(Ref::Team(key)),
        Kind::Schedules => Some(Ref::Schedule(key)),
        Kind::Policies => Some(Ref::Policy(key)),
        Kind::Users | Kind::Overrides | Kind::Temporaries | Kind::Vacations | Kind::Rules | Kind::QuietHours => None,
    }
}

/// What a section becomes.
struct Section<T> {
    changes: Changes<T>,
    /// What stays as it is.
    kept: Vec<T>,
    /// Where what the file has stands in it, by its key.
    places: BTreeMap<String, usize>,
}

impl Section<QuietEntry> {
    /// Whose quiet hours the file has, it has all of them.
    fn are_all_of_each_person(&mut self) {
        let in_file = |own: &QuietEntry| self.places.contains_key(&own.key());
        let kept = self.kept.iter().filter(|own| in_file(own));
        let whose: BTreeSet<Option<String>> = kept.chain(&self.changes.added).map(|own| own.person.clone()).collect();
        let stays = |own: &QuietEntry| in_file(own) || !whose.contains(&own.person);
        let (stay, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.kept).into_iter().partition(stays);
        self.kept = stay;
        self.changes.removed.extend(gone);
    }
}

/// What holds for some time has no name. An entry of the file that is not there as it stands is the changed one of what is there and begins
/// at the same time.
struct Unnamed<'k, T> {
    /// In the order they were made.
    left: BTreeMap<String, VecDeque<&'k T>>,
}

impl<'k, T: Entry> Unnamed<'k, T> {
    fn of(known: &'k [T], named: &BTreeSet<String>) -> Self {
        let mut left: BTreeMap<String, VecDeque<&'k T>> = BTreeMap::new();
        for own in known.iter().filter(|own| !named.contains(&own.key())) {
            if let Some(again) = own.again() {
                left.entry(again).or_default().push_back(own);
            }
        }
        Self { left }
    }

    /// What an entry was before.
    fn before(&mut self, entry: &T) -> Option<&'k T> {
        self.left.get_mut(&entry.again()?)?.pop_front()
    }
}

/// Of what holds for some time the later made decides, where two of a schedule hold at once. What the file has in another order is made anew.
#[derive(Default)]
struct Order(BTreeMap<String, Vec<(Times, usize)>>);

impl Order {
    /// Takes the next entry of the file, with its place among what is there; whether it comes too early there.
    fn is_too_early<T: Entry>(&mut self, entry: &T, place: Option<usize>) -> bool {
        let Some((among, (from, to))) = entry.decides() else { return false };
        let before = self.0.entry(among.to_owned()).or_default();
        let place = place.unwrap_or(usize::MAX);
        let is_early = before.iter().any(|((begins, ends), other)| *other > place && *begins < to && from < *ends);
        before.push(((from, to), if is_early { usize::MAX } else { place }));
        is_early
    }
}

/// What is there afterwards, and what is not there any more.
#[derive(Default)]
struct Names {
    there: BTreeSet<Ref>,
    gone: BTreeSet<Ref>,
}

struct Making<'m> {
    wish: &'m Wish,
    with: With<'m>,
    faults: Vec<String>,
    notes: Vec<String>,
    names: Names,
}

impl Making<'_> {
    fn removes(&self, kind: Kind, is_named: bool) -> bool {
        kind != Kind::Users && (self.wish.document.settings.managed.contains(&kind) || self.wish.remove && is_named)
    }

    fn fault(&mut self, kind: Kind, index: usize, name: &str, field: &str, why: &str) {
        let place = self.wish.document.place(kind, index, name);
        self.faults.push(format!("{place}, {field}: {why}"));
    }

    /// The entries of the file, tidy, without what is over; with their places.
    fn tidied<T: Entry>(&mut self, file: &[T]) -> Vec<(usize, T)> {
        let mut tidied = Vec::with_capacity(file.len());
        let mut keys = BTreeSet::new();
        for (index, entry) in file.iter().enumerate() {
            let mut entry = entry.clone();
            let faults = entry.tidy(&self.with);
            let (key, title) = (entry.key(), entry.title());
            let is_sound = faults.is_empty();
            for (field, why) in faults {
                self.fault(T::KIND, index, &title, &field, &why);
            }
            if !is_sound {
                // What names it is not at fault as well.
                self.names.there.extend(name_of(T::KIND, key));
                continue;
            }
            if entry.ends().is_some_and(|ends| ends <= self.wish.at) {
                self.notes.push(format!("{} is over and is passed over", self.wish.document.place(T::KIND, index, &title)));
                continue;
            }
            if !keys.insert(key.clone()) {
                let place = self.wish.document.place(T::KIND, index, &title);
                self.faults.push(format!("{place} stands in the file twice"));
                continue;
            }
            tidied.push((index, entry));
        }
        tidied
    }

    fn section<T: Entry>(&mut self, known: &[T], file: &[T]) -> Section<T> {
        let removes = self.removes(T::KIND, !file.is_empty());
        let mut section = Section { changes: Changes::default(), kept: Vec::new(), places: BTreeMap::new() };
        let mut left: BTreeMap<String, (usize, &T)> =
            known.iter().enumerate().map(|(place, entry)| (entry.key(), (place, entry))).collect();
        let tidied = self.tidied(file);
        section.places = tidied.iter().map(|(index, entry)| (entry.key(), *index)).collect();
        let mut unnamed = Unnamed::of(known, &section.places.keys().cloned().collect());
        let mut order = Order::default();
        for (index, mut entry) in tidied {
            let Some((place, own)) = left.remove(&entry.key()) else {
                entry.fresh();
                order.is_too_early(&entry, None);
                if let Some(before) = unnamed.before(&entry) {
                    left.remove(&before.key());
                    section.changes.removed.push(before.clone());
                }
                section.changes.added.push(entry);
                continue;
            };
            let notes = entry.like(own);
            if !notes.is_empty() {
                let place = self.wish.document.place(T::KIND, index, &entry.title());
                self.notes.extend(notes.into_iter().map(|note| format!("{place}, {note}")));
            }
            if order.is_too_early(&entry, Some(place)) {
                section.changes.removed.push(own.clone());
                section.changes.added.push(entry);
            } else if entry == *own {
                section.kept.push(entry);
            } else {
                section.changes.changed.push((own.clone(), entry));
            }
        }
        // In the order that they had.
        for own in known.iter().filter(|own| left.contains_key(&own.key())) {
            match removes {
                true => section.changes.removed.push(own.clone()),
                false => section.kept.push(own.clone()),
            }
        }
        section
    }

    /// The rules are tried in their order, so they are one list. Of rules for the same alarms only the first is ever tried: those of the file
    /// are in the place of what there was. Without word of removing, those that the file does not have stay: behind its own, but before
    /// the one that is for everything that is left.
    fn rules(&mut self, known: &[RuleEntry], file: &[RuleEntry]) -> (Vec<RuleEntry>, BTreeMap<String, usize>) {
        let removes = self.removes(Kind::Rules, !file.is_empty());
        let tidied = self.tidied(file);
        let places: BTreeMap<String, usize> = tidied.iter().map(|(index, rule)| (rule.key(), *index)).collect();
        let mut after: Vec<RuleEntry> = tidied.into_iter().map(|(_, rule)| rule).collect();
        if !removes {
            after = Self::with_known(after, known);
        }
        if let Some(place) = after.iter().position(RuleEntry::is_for_all).filter(|place| place + 1 < after.len())
            && let Some(index) = places.get(&after[place].key())
        {
            let place = self.wish.document.place(Kind::Rules, *index, &after[place].title());
            self.notes.push(format!("{place} is for everything that is left: the rules behind it are never tried"));
        }
        (after, places)
    }

    fn with_known(mut after: Vec<RuleEntry>, known: &[RuleEntry]) -> Vec<RuleEntry> {
        let alarms = |rule: &RuleEntry| (rule.sender.clone(), rule.labels.clone());
        let said: BTreeSet<_> = after.iter().map(alarms).collect();
        let specific = after.len() - after.iter().rev().take_while(|rule| rule.is_for_all()).count();
        let last = after.split_off(specific);
        after.extend(known.iter().filter(|rule| !said.contains(&alarms(rule))).cloned());
        after.extend(last);
        after
    }

    fn learn<T: Entry>(&mut self, section: &Section<T>) {
        let name = |entry: &T| name_of(T::KIND, entry.key());
        let changed = section.changes.changed.iter().map(|(_, after)| after);
        self.names.there.extend(section.kept.iter().chain(&section.changes.added).chain(changed).filter_map(name));
        self.names.gone.extend(section.changes.removed.iter().filter_map(name));
    }

    fn names_are_there<T: Entry>(&mut self, section: &mut Section<T>) {
        let changed = section.changes.changed.iter().map(|(_, after)| after);
        for entry in section.changes.added.iter().chain(changed) {
            let index = section.places.get(&entry.key()).copied().unwrap_or(0);
            for (field, named) in
                entry.refs().into_iter().filter(|(_, named)| !self.names.there.contains(named)).collect::<Vec<_>>()
            {
                self.fault(T::KIND, index, &entry.title(), &field, &named.missing());
            }
        }
        let in_file = |entry: &T| section.places.contains_key(&entry.key());
        let (along, kept): (Vec<T>, Vec<T>) =
            std::mem::take(&mut section.kept).into_iter().partition(|entry| !in_file(entry) && self.goes_along(entry));
        section.changes.removed.extend(along);
        section.kept = kept;
        for entry in &section.kept {
            self.is_not_left_alone(entry);
        }
    }

    /// What changes a schedule for some time goes with it. Overrides, vacations and quiet hours go with whoever they are of.
    fn goes_along<T: Entry>(&self, entry: &T) -> bool {
        let goes_with = |named: &Ref| match named {
            Ref::Schedule(_) => matches!(T::KIND, Kind::Overrides | Kind::Temporaries),
            Ref::Person(_) => matches!(T::KIND, Kind::Overrides | Kind::Vacations | Kind::QuietHours),
            Ref::Team(_) | Ref::Policy(_) | Ref::Key(_) => false,
        };
        entry.refs().iter().any(|(_, named)| goes_with(named) && self.names.gone.contains(named))
    }

    /// What stays must not name what goes.
    fn is_not_left_alone<T: Entry>(&mut self, entry: &T) {
        for (field, _) in entry.refs().into_iter().filter(|(_, named)| self.names.gone.contains(named)) {
            let what = format!("{} {:?} stays as it is", T::KIND.one(), entry.title());
            self.faults.push(format!("{what}, and its {field} is to be removed: change it in the file too"));
        }
    }

    fn rules_lead_somewhere(&mut self, before: &[RuleEntry], after: &[RuleEntry], places: &BTreeMap<String, usize>) {
        for rule in after {
            if before.contains(rule) {
                self.is_not_left_alone(rule);
                continue;
            }
            let index = places.get(&rule.key()).copied().unwrap_or(0);
            for (field, named) in
                rule.refs().into_iter().filter(|(_, named)| !self.names.there.contains(named)).collect::<Vec<_>>()
            {
                self.fault(Kind::Rules, index, &rule.title(), &field, &named.missing());
            }
        }
        if after.len() > Kind::Rules.most() {
            self.faults.push(format!("there are at most {} rules", Kind::Rules.most()));
        }
    }

    /// Whoever has no number is never rung, and so it is told; nobody loses all that they have.
    fn can_be_rung(&mut self, people: &Section<PersonEntry>) {
        let has_none = |person: &PersonEntry| person.numbers.as_ref().is_none_or(Vec::is_empty);
        let added = people.changes.added.iter().map(|after| (None, after));
        let changed = people.changes.changed.iter().map(|(before, after)| (Some(before), after));
        for (before, after) in added.chain(changed).filter(|(_, after)| has_none(after)) {
            let index = people.places.get(&after.key()).copied().unwrap_or(0);
            if before.is_some_and(|before| !has_none(before)) {
                let why = "they have some here, and could not be rung any more: leave numbers out, and they stay";
                self.fault(Kind::People, index, &after.name, "numbers", why);
            } else {
                let place = self.wish.document.place(Kind::People, index, &after.name);
                self.notes.push(format!("{place} has no number, and cannot be rung until one is added"));
            }
        }
    }

    /// A number or an address leads to one person only.
    fn numbers_belong_to_one(&mut self, people: &Section<PersonEntry>) {
        let mut owners: BTreeMap<String, String> = BTreeMap::new();
        let changed = people.changes.changed.iter().map(|(_, after)| after);
        for person in people.kept.iter().chain(changed).chain(&people.changes.added) {
            let numbers = person.numbers.iter().flatten().map(|number| phone_of(number).into_owned());
            for own in numbers.chain(person.emails.iter().flatten().cloned()) {
                if let Some(owner) = owners.insert(own.clone(), person.name.clone()).filter(|owner| *owner != person.name) {
                    let index = people.places.get(&person.name).copied().unwrap_or(0);
                    let place = self.wish.document.place(Kind::People, index, &person.name);
                    self.faults.push(format!("{place}: {own} also belongs to {owner}"));
                }
            }
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, form: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = Told::default();
        told.section(form, &self.people)?;
        told.section(form, &self.users)?;
        told.section(form, &self.teams)?;
        told.section(form, &self.schedules)?;
        told.section(form, &self.overrides)?;
        told.section(form, &self.temporaries)?;
        told.section(form, &self.vacations)?;
        told.section(form, &self.policies)?;
        told.whole(form, self.rules.as_ref())?;
        told.whole(form, self.quiet_hours.as_ref())?;
        write!(form, "{} to add, {} to change, {} to remove", told.added, told.changed, told.removed)
    }
}

#[derive(Default)]
struct Told {
    added: usize,
    changed: usize,
    removed: usize,
}

impl Told {
    fn section<T: Entry>(&mut self, form: &mut fmt::Formatter<'_>, changes: &Changes<T>) -> fmt::Result {
        let one = T::KIND.one();
        // What holds for some time has no name: its title says all of it.
        let by_name = !matches!(T::KIND, Kind::Overrides | Kind::Temporaries | Kind::Vacations);
        for entry in &changes.added {
            writeln!(form, "+ {one} {}", entry.title())?;
            if by_name {
                lines(form, "", &entry.text())?;
            }
        }
        for (before, after) in &changes.changed {
            writeln!(form, "~ {one} {}", after.title())?;
            lines(form, &before.text(), &after.text())?;
        }
        for entry in &changes.removed {
            writeln!(form, "- {one} {}", entry.title())?;
        }
        self.added += changes.added.len();
        self.changed += changes.changed.len();
        self.removed += changes.removed.len();
        Ok(())
    }

    fn whole<T: Entry>(&mut self, form: &mut fmt::Formatter<'_>, whole: Option<&(Vec<T>, Vec<T>)>) -> fmt::Result {
        let Some((before, after)) = whole else { return Ok(()) };
        let list = |all: &[T]| all.iter().map(|entry| entry.title() + "\n").collect::<String>();
        writeln!(form, "~ {}", T::KIND.section().replace('_', " "))?;
        lines(form, &list(before), &list(after))?;
        self.changed += 1;
        Ok(())
    }
}

fn lines(form: &mut fmt::Formatter<'_>, before: &str, after: &str) -> fmt::Result {
    for line in differing(before, after) {
        match line {
            Line::Same(text) => writeln!(form, "      {text}")?,
            Line::Gone(text) => writeln!(form, "    - {text}")?,
            Line::New(text) => writeln!(form, "    + {text}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::super::reading::read;
    use super::super::tidy::said_last;
    use super::*;
    use proptest::prelude::*;

    fn wish(text: &str) -> Wish {
        Wish { document: read(text).unwrap(), remove: false, region: Region::CN, at: "2026-11-20T12:00:00Z".parse().unwrap() }
    }

    /// What is known after a plan was carried out.
    fn carried_out(known: &Known, plan: &Plan) -> Known {
        fn section<T: Entry>(known: &[T], changes: &Changes<T>) -> Vec<T> {
            let stays = |entry: &&T| !changes.removed.iter().any(|gone| gone.key() == entry.key());
            let now = |entry: &T| {
                changes.changed.iter().find(|(before, _)| before.key() == entry.key()).map(|(_, after)| after.clone())
            };
            let kept = known.iter().filter(stays).map(|entry| now(entry).unwrap_or_else(|| entry.clone()));
            let mut all: Vec<T> = kept.chain(changes.added.iter().cloned()).collect();
            all.sort_by_key(Entry::key);
            all
        }
        /// By schedule, in the order they were made.
        fn as_made<T: Entry>(known: &[T], changes: &Changes<T>, schedule: impl Fn(&T) -> String) -> Vec<T> {
            assert!(changes.changed.is_empty());
            let stays = |entry: &&T| !changes.removed.iter().any(|gone| gone.key() == entry.key());
            let mut all: Vec<T> = known.iter().filter(stays).chain(&changes.added).cloned().collect();
            all.sort_by_key(schedule);
            all
        }
        let old = &known.settings;
        let settings = Settings {
            managed: Vec::new(),
            people: section(&old.people, &plan.people),
            users: section(&old.users, &plan.users),
            teams: section(&old.teams, &plan.teams),
            schedules: section(&old.schedules, &plan.schedules),
            overrides: as_made(&old.overrides, &plan.overrides, |own| own.schedule.clone()),
            temporaries: as_made(&old.temporaries, &plan.temporaries, |own| own.schedule.clone()),
            vacations: section(&old.vacations, &plan.vacations),
            policies: section(&old.policies, &plan.policies),
            rules: plan.rules.clone().map_or_else(|| old.rules.clone(), |(_, after)| after),
            quiet_hours: plan.quiet_hours.clone().map_or_else(|| old.quiet_hours.clone(), |(_, after)| after),
        };
        Known { settings, keys: known.keys.clone() }
    }

    const FILE: &str = r#"
[[people]]
name = "Ann"
numbers = ["187 1234 5678"]
language = "en"

[[people]]
name = " Bob "
numbers = ["+86 188 1234 5678", "18812345678"]

[[teams]]
name = "ops"
members = ["Ann", "Bob"]

[[schedules]]
name = "ops"
zone = "Europe/Berlin"
team = "ops"

[[schedules.layers]]
name = "weekly"
people = ["Ann", "Bob"]
every = "weekly"
start = "2026-11-16 09:00"
active = ["Mon-Fri 09:00-18:00"]

[[schedules.layers]]
name = "written"
shifts = ["2026-12-08T09:00 to 2026-12-09T09:00: Bob", "2026-12-01T09:00 to 2026-12-02T09:00: Ann"]

[[overrides]]
schedule = "ops"
action = "replace"
person = "Bob"
instead_of = "Ann"
starts_at = "2026-12-24T09:00"
ends_at = "2026-12-26T09:00"

[[overrides]]
schedule = "ops"
action = "add"
person = "Bob"
starts_at = "2026-01-24T09:00"
ends_at = "2026-01-26T09:00"

[[temporaries]]
schedule = "ops"
name = "Christmas"
starts_at = "2026-12-24"
ends_at = "2026-12-27"
people = ["Ann"]

[[vacations]]
person = "Ann"
starts_at = "2027-01-01"
ends_at = "2027-01-08"
note = "skiing"

[[policies]]
name = "standard"
confirm = "any"
texts = true

[[policies.steps]]
ring = ["team: ops", "number: 18912345678"]
wait_seconds = 300

[[policies.steps]]
ring = ["person: Ann"]
mode = "parallel"

[[rules]]
policy = "standard"
labels = { service = "db" }

[[rules]]
policy = "standard"

[[quiet_hours]]
from = "22:00"
to = "7:00"
zone = "Asia/Shanghai"
up_to = "low"
"#;

    #[test]
    fn what_was_applied_is_not_applied_again() {
        let known = Known::default();
        let plan = Plan::make(&known, &wish(FILE)).unwrap();
        assert!(plan.to_string().ends_with("8 to add, 2 to change, 0 to remove"), "{plan}");
        assert!(plan.to_string().contains("+ override ops: Bob instead of Ann, 2026-12-24T09:00:00+01:00 to"), "{plan}");
        assert!(matches!(plan.notes.as_slice(), [note] if note.contains("is over")), "{:?}", plan.notes);
        let after = carried_out(&known, &plan);
        let again = Plan::make(&after, &wish(FILE)).unwrap();
        assert!(again.is_empty(), "{again}");
        let written = after.settings.write().unwrap();
        let again = Plan::make(&after, &wish(&written)).unwrap();
        assert!(again.is_empty() && again.notes.is_empty(), "{again}\n{written}");
        // Elsewhere it makes the same.
        let elsewhere = carried_out(&known, &Plan::make(&known, &wish(&written)).unwrap());
        assert_eq!(elsewhere.settings.write().unwrap(), written);
    }

    #[test]
    fn nothing_is_removed_unless_the_file_says_so() {
        let known = carried_out(&Known::default(), &Plan::make(&Known::default(), &wish(FILE)).unwrap());
        let less = "[[people]]\nname = \"Cat\"\nnumbers = [\"18512345678\"]\n[end]\n";
        let plan = Plan::make(&known, &wish(less)).unwrap();
        assert!(plan.to_string().ends_with("1 to add, 0 to change, 0 to remove"), "{plan}");
        // A file that has lost its end would remove what stood there.
        let cut = less.replace("[end]\n", "");
        for wish in [Wish { remove: true, ..wish(&cut) }, wish(&format!("managed = [\"people\"]\n{cut}"))] {
            assert!(Plan::make(&known, &wish).unwrap_err()[0].contains("cut off"));
        }
        // Whoever is named by what stays is not removed.
        let mut wished = wish(less);
        wished.remove = true;
        let wrong = Plan::make(&known, &wished).unwrap_err();
        assert!(wrong.iter().any(|one| one.starts_with("team \"ops\" stays as it is")), "{wrong:#?}");
        let sections = ["people", "teams", "schedules", "overrides", "temporaries", "vacations", "policies", "rules"];
        let all = format!("managed = {sections:?}\n");
        let plan = Plan::make(&known, &wish(&format!("{all}{less}"))).unwrap();
        assert!(plan.to_string().ends_with("1 to add, 1 to change, 8 to remove"), "{plan}");
        let after = carried_out(&known, &plan);
        assert!(Plan::make(&after, &wish(&format!("{all}{less}"))).unwrap().is_empty());
    }

    #[test]
    fn all_faults_are_told_with_their_places() {
        let text = "\
[[people]]
name = \"Ann\"
numbers = [\"110\", \"18712345678\"]

[[people]]
name = \"Ann\"

[[people]]
name = \"Bob\"
numbers = [\"18712345678\"]

[[people]]
name = \"Eve\"
numbers = [\"+86 187 1234 5678\"]

[[teams]]
name = \"ops\"
members = [\"Nobody\"]

[[schedules]]
name = \"ops\"
zone = \"Mars\"

[[schedules.layers]]
name = \"a\"
people = [\"Bob\"]
every = \"3 months\"
start = \"soon\"

[[policies]]
name = \"p\"
steps = [{ ring = [\"team: none\"] }, { ring = [] }]

[[rules]]
policy = \"q\"
sender = \"nagios\"
";
        let wrong = Plan::make(&Known::default(), &wish(text)).unwrap_err();
        for part in [
            "line 1: person \"Ann\", numbers[0]: ",
            "line 12: person \"Eve\": +8618712345678 also belongs to Bob",
            "team \"ops\", members[0]: there is no person \"Nobody\"",
            "schedule \"ops\", zone: ",
            "schedule \"ops\", layers[0].every: ",
            "schedule \"ops\", layers[0].start: ",
            "policy \"p\", steps[1].ring: ",
            "policy: there is no policy \"q\"",
            "sender: there is no key named \"nagios\"",
        ] {
            assert!(wrong.iter().any(|one| one.contains(part)), "{part}: {wrong:#?}");
        }
    }

    #[test]
    fn the_order_of_turns_is_a_circle() {
        let file = |people: &str, start: &str| {
            format!(
                "[[people]]\nname = \"A\"\n[[people]]\nname = \"B\"\n[[people]]\nname = \"C\"\n\
                 [[schedules]]\nname = \"s\"\nzone = \"UTC\"\n[[schedules.layers]]\nname = \"l\"\n\
                 people = {people}\nevery = \"1 week\"\nstart = \"{start}\"\n"
            )
        };
        let first = wish(&file(r#"["A", "B", "C"]"#, "2026-11-16T09:00"));
        let known = carried_out(&Known::default(), &Plan::make(&Known::default(), &first).unwrap());
        let same = wish(&file(r#"["C", "A", "B"]"#, "2026-11-16T09:00"));
        assert!(Plan::make(&known, &same).unwrap().is_empty());
        for other in [file(r#"["C", "B", "A"]"#, "2026-11-16T09:00"), file(r#"["C", "A", "B"]"#, "2026-11-23T09:00")] {
            let plan = Plan::make(&known, &wish(&other)).unwrap();
            assert_eq!(plan.schedules.changed.len(), 1, "{plan}");
        }
    }

    #[test]
    fn rules_that_the_file_does_not_have_stay_before_the_last() {
        let rule = |policy: &str, service: &str| RuleEntry {
            policy: policy.to_owned(),
            sender: None,
            labels: [("service".to_owned(), service.to_owned())].into(),
        };
        let for_all = RuleEntry { policy: "p".to_owned(), ..RuleEntry::default() };
        let policy = "[[policies]]\nname = \"p\"\nsteps = [{ ring = [\"number: 18712345678\"] }]\n";
        let mut known = carried_out(&Known::default(), &Plan::make(&Known::default(), &wish(policy)).unwrap());
        known.settings.rules = vec![rule("p", "a"), rule("p", "b"), for_all.clone()];
        let some = |services: &[&str], last: bool| {
            let one = |service: &&str| format!("[[rules]]\npolicy = \"p\"\nlabels = {{ service = \"{service}\" }}\n");
            let last = if last { "[[rules]]\npolicy = \"p\"\n" } else { "" };
            wish(&format!("{}{last}", services.iter().map(one).collect::<String>()))
        };
        assert!(Plan::make(&known, &some(&["a", "b"], true)).unwrap().is_empty(), "they are there in this order");
        let (_, after) = Plan::make(&known, &some(&["b"], true)).unwrap().rules.unwrap();
        assert_eq!(after, [rule("p", "b"), rule("p", "a"), for_all.clone()]);
        let plan = Plan::make(&known, &some(&["b", "c"], true)).unwrap();
        let (_, after) = plan.rules.clone().unwrap();
        assert_eq!(after, [rule("p", "b"), rule("p", "c"), rule("p", "a"), for_all]);
        let after = carried_out(&known, &plan);
        assert!(Plan::make(&after, &some(&["b", "c"], true)).unwrap().is_empty());
    }

    fn applied(known: &Known, text: &str) -> Known {
        let plan = Plan::make(known, &wish(text)).unwrap();
        let after = carried_out(known, &plan);
        let again = Plan::make(&after, &wish(text)).unwrap();
        assert!(again.is_empty(), "{again}");
        after
    }

    #[test]
    fn a_rule_for_the_same_alarms_takes_the_place_of_the_one_there_was() {
        let policies = "[[policies]]\nname = \"p\"\nsteps = [{ ring = [\"number: 18712345678\"] }]\n\
                        [[policies]]\nname = \"q\"\nsteps = [{ ring = [\"number: 18712345678\"] }]\n";
        let rules = |db: &str, last: &str| {
            format!("{policies}[[rules]]\npolicy = \"{db}\"\nlabels = {{ service = \"db\" }}\n[[rules]]\npolicy = \"{last}\"\n")
        };
        let said = |known: &Known| known.settings.rules.iter().map(|own| own.policy.clone()).collect::<Vec<_>>();
        let known = applied(&Known::default(), &rules("p", "p"));
        assert_eq!(said(&known), ["p", "p"]);
        let known = applied(&known, &rules("p", "q"));
        assert_eq!(said(&known), ["p", "q"], "the one for everything else leads elsewhere now");
        assert_eq!(said(&applied(&known, &rules("q", "q"))), ["q", "q"]);
    }

    #[test]
    fn quiet_hours_of_somebody_are_those_of_the_file() {
        let file = |whose: &str, from: &str| {
            let people = "[[people]]\nname = \"Ann\"\n[[people]]\nname = \"Bob\"\n";
            format!("{people}[[quiet_hours]]\n{whose}from = \"{from}\"\nto = \"07:00\"\nzone = \"UTC\"\nup_to = \"low\"\n")
        };
        let (ann, bob) = ("person = \"Ann\"\n", "person = \"Bob\"\n");
        let mut known = Known::default();
        for (whose, from) in [(ann, "22:00"), (bob, "21:00"), ("", "20:00"), (ann, "23:00"), ("", "19:00")] {
            known = applied(&known, &file(whose, from));
        }
        let said = known.settings.quiet_hours.iter().map(|own| (own.person.as_deref().unwrap_or("all"), own.from.as_str()));
        let mut said: Vec<_> = said.collect();
        said.sort_unstable();
        assert_eq!(said, [("Ann", "23:00"), ("Bob", "21:00"), ("all", "19:00")]);
    }

    const TWO: &str = "[[people]]\nname = \"Ann\"\n[[people]]\nname = \"Bob\"\n";

    fn override_from(start: &str, end: &str, person: &str) -> String {
        let span = format!("starts_at = \"{start}\"\nends_at = \"{end}\"\n");
        format!("[[overrides]]\nschedule = \"ops\"\naction = \"replace\"\nperson = \"{person}\"\n{span}")
    }

    #[test]
    fn another_zone_of_a_schedule_makes_no_second_override() {
        let file = |zone: &str, start: &str, end: &str| {
            format!("{TWO}[[schedules]]\nname = \"ops\"\nzone = \"{zone}\"\n{}", override_from(start, end, "Bob"))
        };
        let known = applied(&Known::default(), &file("Europe/Berlin", "2026-12-24T09:00", "2026-12-25T09:00"));
        let moved = applied(&known, &file("Asia/Shanghai", "2026-12-24T16:00", "2026-12-25T16:00"));
        assert_eq!(moved.settings.overrides.len(), 1, "{:#?}", moved.settings.overrides);
        // One that ends at another time is the same one.
        let shorter = applied(&moved, &file("Asia/Shanghai", "2026-12-24T16:00", "2026-12-25T12:00"));
        let [own] = shorter.settings.overrides.as_slice() else { panic!("{:#?}", shorter.settings.overrides) };
        assert_eq!(own.ends_at, "2026-12-25T12:00:00+08:00");
    }

    #[test]
    fn of_overrides_that_hold_at_once_the_last_of_the_file_decides() {
        let file = |order: [&str; 2]| {
            let own = |person| override_from("2026-12-24", "2026-12-25", person);
            let later = override_from("2027-01-01", "2027-01-02", "Ann");
            format!("{TWO}[[schedules]]\nname = \"ops\"\nzone = \"UTC\"\n{later}{}", order.map(own).concat())
        };
        let said = |known: &Known| known.settings.overrides.iter().map(|own| own.person.clone()).collect::<Vec<_>>();
        let known = applied(&Known::default(), &file(["Ann", "Bob"]));
        assert_eq!(said(&known), ["Ann", "Ann", "Bob"]);
        assert_eq!(said(&applied(&known, &file(["Bob", "Ann"]))), ["Ann", "Bob", "Ann"]);
    }

    #[test]
    fn what_is_somebodys_own_goes_with_them() {
        let file = format!(
            "{TWO}[[schedules]]\nname = \"ops\"\nzone = \"UTC\"\n{}[[vacations]]\nperson = \"Bob\"\nstarts_at = \"2027-01-01\"\n\
             ends_at = \"2027-01-02\"\n[[quiet_hours]]\nperson = \"Bob\"\nfrom = \"22:00\"\nto = \"07:00\"\nzone = \"UTC\"\nup_to = \"low\"\n",
            override_from("2026-12-24", "2026-12-25", "Bob"),
        );
        let known = applied(&Known::default(), &file);
        let without = "managed = [\"people\"]\n[[people]]\nname = \"Ann\"\n[end]\n";
        let plan = Plan::make(&known, &wish(without)).unwrap();
        assert!(plan.to_string().contains("- override ops: Bob") && plan.to_string().contains("- vacation Bob"), "{plan}");
        let left = applied(&known, without).settings;
        assert!(left.overrides.is_empty() && left.vacations.is_empty() && left.quiet_hours.is_empty(), "{left:#?}");
        // What the file has of somebody whom it removes is a mistake.
        let file = file.replacen("[[people]]\nname = \"Bob\"\n", "", 1);
        let wrong = Plan::make(&known, &wish(&format!("managed = [\"people\"]\n{file}[end]\n"))).unwrap_err();
        assert!(wrong.iter().any(|one| one.contains("its person is to be removed")), "{wrong:#?}");
    }

    #[test]
    fn a_name_that_ends_unseen_is_the_same_name() {
        let mut known = applied(&Known::default(), FILE);
        let unseen = |name: &mut String| name.push('\u{200b}');
        known.settings.people.iter_mut().for_each(|own| unseen(&mut own.name));
        let settings = &mut known.settings;
        settings.teams.iter_mut().flat_map(|own| &mut own.members).for_each(unseen);
        settings.vacations.iter_mut().for_each(|own| unseen(&mut own.person));
        settings.overrides.iter_mut().for_each(|own| {
            unseen(&mut own.person);
            own.instead_of.iter_mut().for_each(unseen);
        });
        settings.temporaries.iter_mut().flat_map(|own| &mut own.people).for_each(unseen);
        for layer in settings.schedules.iter_mut().flat_map(|own| &mut own.layers) {
            layer.people.iter_mut().chain(&mut layer.shifts).for_each(unseen);
        }
        for step in settings.policies.iter_mut().flat_map(|own| &mut own.steps) {
            for ring in &mut step.ring {
                if let super::super::file::Ring::Person(name) = ring {
                    unseen(name);
                }
            }
        }
        for text in [FILE.to_owned(), known.settings.write().unwrap()] {
            let plan = Plan::make(&known, &wish(&text)).unwrap();
            assert!(plan.is_empty(), "{plan}");
        }
        assert_eq!(known.not_taken(&known.settings.write().unwrap(), Region::CN, wish("").at), Vec::<String>::new());
    }

    #[test]
    fn another_beginning_of_the_circle_is_told() {
        let file = |people: &str| {
            format!(
                "{TWO}[[schedules]]\nname = \"s\"\nzone = \"UTC\"\n[[schedules.layers]]\nname = \"l\"\npeople = {people}\n\
                     every = \"1 week\"\nstart = \"2026-11-16T09:00\"\n"
            )
        };
        let known = applied(&Known::default(), &file(r#"["Ann", "Ann", "Bob"]"#));
        let told = |people: &str| Plan::make(&known, &wish(&file(people))).unwrap().notes;
        assert_eq!(told(r#"["Ann", "Ann", "Bob"]"#), Vec::<String>::new());
        let notes = told(r#"["Ann", "Bob", "Ann"]"#);
        assert!(matches!(notes.as_slice(), [note] if note.contains("whose turn it is stays")), "{notes:?}");
    }

    #[test]
    fn entries_that_read_alike_are_two() {
        let people = ["A", "B", "A, B", "everybody else"].map(|name| format!("[[people]]\nname = {name:?}\n")).concat();
        let policy = "[[policies]]\nname = \"p\"\nsteps = [{ ring = [\"number: 18712345678\"] }]\n";
        let rules = [r#"job = "a, team=b""#, r#"job = "a", team = "b""#]
            .map(|labels| format!("[[rules]]\npolicy = \"p\"\nlabels = {{ {labels} }}\n"))
            .concat();
        let hours = "from = \"22:00\"\nto = \"07:00\"\nzone = \"UTC\"\nup_to = \"low\"\n";
        let quiet = ["person = \"everybody else\"\n", ""].map(|whose| format!("[[quiet_hours]]\n{whose}{hours}")).concat();
        let span = "starts_at = \"2026-12-24\"\nends_at = \"2026-12-27\"\nevery = \"1 day\"\n";
        let temporaries = [r#"["A, B"]"#, r#"["A", "B"]"#]
            .map(|people| format!("[[temporaries]]\nschedule = \"s\"\nname = \"t\"\n{span}people = {people}\n"))
            .concat();
        let schedule = "[[schedules]]\nname = \"s\"\nzone = \"UTC\"\n";
        let settings = applied(&Known::default(), &format!("{people}{policy}{rules}{quiet}{schedule}{temporaries}")).settings;
        assert_eq!((settings.rules.len(), settings.quiet_hours.len(), settings.temporaries.len()), (2, 2, 2));
    }

    #[test]
    fn of_what_was_said_twice_the_last_stays() {
        let own = |person: &str| OverrideEntry { person: person.to_owned(), ..OverrideEntry::default() };
        let mut all = vec![own("Ann"), own("Bob"), own("Ann")];
        said_last(&mut all);
        assert_eq!(all, [own("Bob"), own("Ann")]);
    }

    #[test]
    fn nobody_loses_all_numbers_and_who_has_none_is_told_of() {
        let file = "[[people]]\nname = \"Ann\"\nnumbers = [\"18712345678\"]\n[[people]]\nname = \"Bob\"\n";
        let told = |known: &Known, text: &str| Plan::make(known, &wish(text)).map(|plan| plan.notes);
        let notes = told(&Known::default(), file).unwrap();
        assert!(matches!(notes.as_slice(), [one] if one.starts_with("line 4: person \"Bob\" has no number")), "{notes:?}");
        let known = applied(&Known::default(), file);
        assert_eq!(told(&known, file).unwrap(), Vec::<String>::new());
        let wrong = told(&known, "[[people]]\nname = \"Ann\"\nnumbers = []\n").unwrap_err();
        assert!(wrong[0].starts_with("line 1: person \"Ann\", numbers: they have some here"), "{wrong:?}");
        // Whoever has none may be said to have none.
        assert_eq!(told(&known, "[[people]]\nname = \"Bob\"\nnumbers = []\n").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_rule_for_everything_before_others_is_told_of() {
        let policy = "[[policies]]\nname = \"p\"\nsteps = [{ ring = [\"number: 18712345678\"] }]\n";
        let (own, all) = ("[[rules]]\npolicy = \"p\"\nlabels = { service = \"db\" }\n", "[[rules]]\npolicy = \"p\"\n");
        let notes = |text: &str| Plan::make(&Known::default(), &wish(text)).unwrap().notes;
        assert_eq!(notes(&format!("{policy}{own}{all}")), Vec::<String>::new());
        let told = notes(&format!("{policy}{all}{own}"));
        assert!(matches!(told.as_slice(), [one] if one.starts_with("line 4: ") && one.contains("never tried")), "{told:?}");
    }

    const MAYBE_MANAGED: [Kind; 5] = [Kind::People, Kind::Teams, Kind::Schedules, Kind::Overrides, Kind::Policies];
    const NAMES: [&str; 6] = ["Ann", "Bob", "张伟", "a \"quoted\" one", "x: y", "O'Neil # 1"];

    fn names() -> impl Strategy<Value = String> {
        prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned)
    }

    fn layers() -> impl Strategy<Value = super::super::file::LayerEntry> {
        let every = prop::sample::select(vec!["1 week", "2 days", "12 hours", "daily"]).prop_map(str::to_owned);
        let active =
            prop::collection::vec(prop::sample::select(vec!["mon-fri 09:00-18:00", "22:00-06:00"]).prop_map(str::to_owned), 0..2);
        let people = prop::collection::vec(names(), 1..4);
        ("[a-c]", people, every, 1..28_u32, active, any::<bool>()).prop_map(
            |(name, people, every, day, active, skip_idle_turns)| {
                let start = format!("2026-11-{day:02}T09:00");
                super::super::file::LayerEntry { name, people, every, start, active, skip_idle_turns, ..Default::default() }
            },
        )
    }

    prop_compose! {
        fn files()(
            people in prop::option::weighted(0.9, prop::array::uniform6(0..9999_u32)),
            teams in prop::collection::btree_map("[a-e]", prop::collection::vec(names(), 0..4), 0..4),
            layers in prop::collection::vec(layers(), 0..3),
            rings in prop::collection::vec(names(), 1..3),
            texts in any::<bool>(),
            days in prop::sample::subsequence(vec![3_u32, 9, 17, 24], 0..=4).prop_shuffle(),
            rules in prop::sample::subsequence(vec!["", "a", "b", "c"], 0..=4).prop_shuffle(),
            leads in prop::array::uniform4(any::<bool>()),
            quiet in prop::collection::btree_map(prop::option::of(prop::sample::select(vec!["Ann", "Bob"])), 10..23_u32, 0..3),
            managed in prop::sample::subsequence(MAYBE_MANAGED.to_vec(), 0..=MAYBE_MANAGED.len()),
        ) -> Settings {
            use super::super::file::{Ring, StepEntry};
            // Everybody, or nothing is said of people.
            let person = |(place, (name, last)): (usize, (&&str, u32))| PersonEntry {
                name: (*name).to_owned(),
                numbers: Some(vec![format!("187123{place}{last:04}")]),
                ..PersonEntry::default()
            };
            let people = people.map(|all| NAMES.iter().zip(all).enumerate().map(person).collect()).unwrap_or_default();
            let step = StepEntry {
                ring: rings.into_iter().map(Ring::Person).collect(),
                mode: crate::alarm::Mode::Parallel,
                attempts: Some(2),
                min_interval_seconds: None,
                wait_seconds: None,
            };
            Settings {
                managed,
                people,
                teams: teams.into_iter().map(|(name, members)| TeamEntry { name, members }).collect(),
                schedules: vec![ScheduleEntry { name: "s".to_owned(), zone: "Asia/Tokyo".to_owned(), layers, ..Default::default() }],
                overrides: days.iter().map(|day| OverrideEntry {
                    schedule: "s".to_owned(),
                    action: "add".to_owned(),
                    person: "Ann".to_owned(),
                    starts_at: format!("2026-12-{day:02}"),
                    ends_at: "2027-01-01T00:00".to_owned(),
                    ..OverrideEntry::default()
                }).collect(),
                policies: ["p", "q"].into_iter().map(|name| PolicyEntry {
                    name: name.to_owned(),
                    rounds: 1,
                    confirm_within_seconds: None,
                    confirm: None,
                    texts,
                    steps: vec![step.clone()],
                }).collect(),
                rules: rules.into_iter().zip(leads).map(|(service, to_p)| RuleEntry {
                    policy: if to_p { "p" } else { "q" }.to_owned(),
                    sender: None,
                    labels: Some(service).filter(|own| !own.is_empty()).map(|own| ("service".to_owned(), own.to_owned())).into_iter().collect(),
                }).collect(),
                quiet_hours: quiet.into_iter().map(|(person, hour)| QuietEntry {
                    person: person.map(str::to_owned),
                    from: format!("{hour}:00"),
                    to: "07:00".to_owned(),
                    zone: "UTC".to_owned(),
                    up_to: crate::alarm::Priority::Low,
                }).collect(),
                ..Settings::default()
            }
        }
    }

    proptest! {
        #[test]
        fn a_plan_that_was_carried_out_leaves_nothing_to_do(
            first in files(), second in files(), remove: bool, again in prop::collection::vec(0..4_usize, 0..3)
        ) {
            let mut known = Known::default();
            // Somebody may have said the same override twice, with another one between them.
            let mut made: Vec<OverrideEntry> = Vec::new();
            let once = |mut all: Vec<OverrideEntry>| {
                said_last(&mut all);
                all
            };
            for settings in [first, second] {
                let document = Document { settings, is_whole: true, ..Document::default() };
                let wished = Wish { remove, ..Wish { document, ..wish("") } };
                let Ok(plan) = Plan::make(&known, &wished) else { continue };
                known = carried_out(&known, &plan);
                made.retain(|own| !plan.overrides.removed.iter().any(|gone| gone.key() == own.key()));
                made.extend(plan.overrides.added.iter().cloned());
                prop_assert_eq!(&known.settings.overrides, &once(made.clone()));
                let left = Plan::make(&known, &wished).unwrap();
                prop_assert!(left.is_empty(), "{left}");
                // What was said is so.
                let (said, is) = (&wished.document.settings, &known.settings);
                let alarms = |rule: &RuleEntry| rule.labels.clone();
                for rule in &said.rules {
                    prop_assert_eq!(is.rules.iter().find(|own| alarms(own) == alarms(rule)), Some(rule));
                }
                let mut rest = is.rules.iter();
                prop_assert!(said.rules.iter().filter(|own| !own.is_for_all()).all(|own| rest.any(|other| other == own)));
                for own in &said.quiet_hours {
                    let whose: Vec<&QuietEntry> = is.quiet_hours.iter().filter(|other| other.person == own.person).collect();
                    prop_assert_eq!(whose, vec![own]);
                }
                let days = |all: &[OverrideEntry]| all.iter().map(|own| own.starts_at[..10].to_owned()).collect::<Vec<_>>();
                let (wanted, there) = (days(&said.overrides), days(&is.overrides));
                let mut rest = there.iter();
                prop_assert!(wanted.iter().all(|day| rest.any(|other| other == day)), "{wanted:?} of {there:?}");
                // And what is written is what is known.
                let written = known.settings.write().unwrap();
                let left = Plan::make(&known, &Wish { remove: true, ..wish(&written) }).unwrap();
                prop_assert!(left.is_empty(), "{left}\n{written}");
                let elsewhere = Plan::make(&Known::default(), &wish(&written)).unwrap();
                prop_assert_eq!(carried_out(&Known::default(), &elsewhere).settings.write().unwrap(), written);
                made.extend(again.iter().filter_map(|place| made.get(*place).cloned()).collect::<Vec<_>>());
                known.settings.overrides = once(made.clone());
            }
        }
    }
}
