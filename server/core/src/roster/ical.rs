//! Shifts from an iCalendar file (RFC 5545): each event that names somebody is a shift of theirs, the others are passed over and told.
//!
//! Rules that repeat are followed in wall time, so that a shift keeps its hours when clocks change. Of several versions of an event
//! the newest counts; events that stand in the place of others (`RECURRENCE-ID`) are found by the instant, or the day, that they
//! replace, in whatever form it is written. A length in days, and an end that is written as a time, are kept on the wall; a length in
//! hours is kept on the stopwatch. The standard would keep every written end on the stopwatch, but no calendar shows it so.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::FixedShift;
use super::calendar_zone::{CalendarZone, Zones, wall_time};
use super::csv::{Reading, finish, unknown};
use super::find::{Finder, Named};
use super::recurrence::Recurrence;
use crate::effort::{Effort, TooManySteps};
use crate::ids::PersonId;
use crate::sheet::content_line::{self, Component, Property};

/// Reads shifts from an unfolded text. Times without a zone are wall times of `zone`; of rules that repeat, what begins until `horizon`
/// is read.
///
/// # Errors
/// Everything that is wrong with events of people who are known, event by event; or that there is none.
pub fn read(
    text: &str,
    zone: Tz,
    horizon: DateTime<Utc>,
    finder: &Finder<'_>,
    effort: &mut Effort<'_>,
) -> Result<Reading, Vec<String>> {
    let found = content_line::read(text).map_err(|why| vec![format!("this is no iCalendar file: {why}")])?;
    let calendars: Vec<&Component> = found.iter().filter(|own| own.name == "VCALENDAR").collect();
    if calendars.is_empty() {
        return Err(vec!["this is no iCalendar file: it has no BEGIN:VCALENDAR".to_owned()]);
    }
    let mut reading = Reading::default();
    let mut problems = Vec::new();
    let mut number = 0;
    for calendar in calendars {
        let zones = Zones::new(calendar, horizon);
        let mut file = File { zones, floating: CalendarZone::Known(zone), horizon, finder, effort };
        let mut events = Vec::new();
        for component in calendar.inner("VEVENT") {
            number += 1;
            events.push(Event::new(number, component));
        }
        if let Err(TooManySteps) = file.read(&events, &mut reading, &mut problems) {
            return Err(vec![TooManySteps.to_string()]);
        }
    }
    finish(reading, problems)
}

/// Why an event cannot be read.
enum Wrong {
    Event(String),
    File(TooManySteps),
}

impl From<String> for Wrong {
    fn from(why: String) -> Self {
        // The definition of a zone counts its steps too.
        if why.ends_with(&TooManySteps.to_string()) { Self::File(TooManySteps) } else { Self::Event(why) }
    }
}

impl From<&str> for Wrong {
    fn from(why: &str) -> Self {
        Self::Event(why.to_owned())
    }
}

impl From<TooManySteps> for Wrong {
    fn from(error: TooManySteps) -> Self {
        Self::File(error)
    }
}

/// An event as it stands in the file.
struct Event<'c> {
    number: usize,
    lines: &'c Component,
    uid: Option<&'c str>,
    /// How often it was changed, and when last: a later version takes the place of an earlier one.
    sequence: i64,
    changed: Option<NaiveDateTime>,
    summary: Option<String>,
    is_cancelled: bool,
}

impl<'c> Event<'c> {
    fn new(number: usize, lines: &'c Component) -> Self {
        let value = |name: &str| lines.property(name).map(|own| own.value.trim());
        let stamp = |name: &str| value(name).and_then(|own| wall_time(own.trim_end_matches(['Z', 'z'])));
        Self {
            number,
            lines,
            uid: value("UID").filter(|uid| !uid.is_empty()),
            sequence: value("SEQUENCE").and_then(|own| own.parse().ok()).unwrap_or(0),
            changed: stamp("LAST-MODIFIED").or_else(|| stamp("DTSTAMP")),
            summary: lines.property("SUMMARY").map(|own| own.text().trim().to_owned()),
            is_cancelled: value("STATUS").is_some_and(|own| own.eq_ignore_ascii_case("CANCELLED")),
        }
    }

    /// How it is called in a sentence.
    fn called(&self) -> String {
        let summary = self.summary.as_deref().filter(|own| !own.is_empty()).unwrap_or("without a summary");
        format!("event {} ({})", self.number, summary.chars().take(80).collect::<String>())
    }

    fn is_newer(&self, other: &Self) -> bool {
        (self.sequence, self.changed) > (other.sequence, other.changed)
    }
}

/// When something is: a wall time of a zone, or a whole day.
#[derive(Clone)]
struct Time {
    zone: CalendarZone,
    wall: NaiveDateTime,
    is_day: bool,
    /// It names no zone: it is read in that of whatever it belongs to.
    is_floating: bool,
}

impl Time {
    fn at(&self) -> DateTime<Utc> {
        self.zone.instant(self.wall)
    }

    fn with(&self, wall: NaiveDateTime) -> Self {
        Self { wall, ..self.clone() }
    }

    /// Read in the zone of what it belongs to, where it names none.
    fn beside(self, start: &Self) -> Self {
        if self.is_floating { Self { zone: start.zone.clone(), ..self } } else { self }
    }
}

/// How long a shift is.
#[derive(Clone, Copy)]
struct Length {
    /// On the wall.
    wall: TimeDelta,
    /// And so much longer on the stopwatch.
    exact: TimeDelta,
}

impl Length {
    fn end(self, start: &Time) -> Option<DateTime<Utc>> {
        let wall = start.wall.checked_add_signed(self.wall)?;
        start.with(wall).at().checked_add_signed(self.exact)
    }
}

/// One occurrence of a series.
struct Occurrence {
    /// When it is by the series; what replaces it says so.
    planned: Time,
    start: Time,
    length: Length,
}

/// Which occurrence an event stands in the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    At(DateTime<Utc>),
    Day(NaiveDate),
}

/// An event that stands in the place of an occurrence, or of it and all that follow.
struct Exception<'e, 'c> {
    event: &'e Event<'c>,
    replaces: Time,
    and_future: bool,
}

/// What is known while a calendar is read.
struct File<'f, 'c, 's> {
    zones: Zones<'c>,
    floating: CalendarZone,
    horizon: DateTime<Utc>,
    finder: &'f Finder<'f>,
    effort: &'f mut Effort<'s>,
}

impl File<'_, '_, '_> {
    fn read(&mut self, events: &[Event<'_>], reading: &mut Reading, problems: &mut Vec<String>) -> Result<(), TooManySteps> {
        // Events without an identity stand for themselves.
        let mut series: Vec<Vec<&Event<'_>>> = Vec::new();
        let mut by_uid: HashMap<&str, usize> = HashMap::new();
        for event in events {
            match event.uid.map(|uid| *by_uid.entry(uid).or_insert(series.len())) {
                Some(place) if place < series.len() => series[place].push(event),
                _ => series.push(vec![event]),
            }
        }
        for own in series {
            self.read_series(&own, reading, problems)?;
        }
        Ok(())
    }

    fn read_series(
        &mut self,
        events: &[&Event<'_>],
        reading: &mut Reading,
        problems: &mut Vec<String>,
    ) -> Result<(), TooManySteps> {
        let mut note = |event: &Event<'_>, wrong: Wrong| match wrong {
            Wrong::Event(why) => {
                problems.push(format!("{}: {why}", event.called()));
                Ok(())
            }
            Wrong::File(error) => Err(error),
        };
        let (exceptions, masters): (Vec<&Event<'_>>, Vec<&Event<'_>>) =
            events.iter().copied().partition(|event| event.lines.property("RECURRENCE-ID").is_some());
        let masters = newest(masters, reading);
        // Whoever an exception does not name anew.
        let usual = masters.first().copied();
        let mut read: Vec<Exception<'_, '_>> = Vec::new();
        for event in exceptions {
            match self.exception(event) {
                Ok(own) => read.push(own),
                // What is nobody's is passed over, whatever is wrong with it.
                Err(_) if self.person(event, usual).is_none() => {}
                Err(wrong) => note(event, wrong)?,
            }
        }
        let read = newest_exceptions(read);
        let mut shown: HashSet<usize> = HashSet::new();
        for master in &masters {
            if master.is_cancelled {
                continue;
            }
            let person = self.person(master, None);
            match self.occurrences(master) {
                Ok(occurrences) => {
                    self.place(master, person, occurrences, &read, &mut shown, reading).or_else(|wrong| note(master, wrong))?;
                }
                Err(_) if person.is_none() => {}
                Err(wrong) => note(master, wrong)?,
            }
            if person.is_none() {
                self.skip(master, reading);
            }
        }
        // What replaces an occurrence that the series does not have stands for itself.
        let all_cancelled = !masters.is_empty() && masters.iter().all(|master| master.is_cancelled);
        for (place, exception) in read.iter().enumerate() {
            if shown.contains(&place) || exception.event.is_cancelled || all_cancelled {
                continue;
            }
            match self.person(exception.event, usual) {
                Some(person) => match self.single(exception.event) {
                    Ok((start, length)) => add(reading, &start, length, person).or_else(|wrong| note(exception.event, wrong))?,
                    Err(wrong) => note(exception.event, wrong)?,
                },
                None => self.skip(exception.event, reading),
            }
        }
        Ok(())
    }

    /// Puts the occurrences of a series where they are by now. `shown` are the exceptions that found their place.
    fn place(
        &mut self,
        master: &Event<'_>,
        person: Option<PersonId>,
        occurrences: Vec<Occurrence>,
        exceptions: &[Exception<'_, '_>],
        shown: &mut HashSet<usize>,
        reading: &mut Reading,
    ) -> Result<(), Wrong> {
        let mut single: HashMap<Place, usize> = HashMap::new();
        let mut ranges: Vec<(DateTime<Utc>, usize)> = Vec::new();
        let Some(first) = occurrences.first().map(|own| own.planned.clone()) else { return Ok(()) };
        for (number, own) in exceptions.iter().enumerate() {
            let replaces = own.replaces.clone().beside(&first);
            match own.and_future {
                true => ranges.push((replaces.at(), number)),
                false => drop(single.insert(place_of(&replaces, &first), number)),
            }
        }
        ranges.sort_by_key(|(from, _)| *from);
        for occurrence in occurrences {
            let planned = occurrence.planned.at();
            let day = Place::Day(occurrence.planned.wall.date());
            if let Some(number) = single.get(&Place::At(planned)).or_else(|| single.get(&day)).copied() {
                self.show(&exceptions[number], Some(master), shown.insert(number), reading)?;
                continue;
            }
            let passed = ranges.partition_point(|(from, _)| *from <= planned);
            if let Some(number) = passed.checked_sub(1).map(|last| ranges[last].1) {
                shown.insert(number);
                self.show_moved(&exceptions[number], master, &occurrence, reading)?;
            } else if let Some(person) = person {
                add(reading, &occurrence.start, occurrence.length, person)?;
            }
        }
        Ok(())
    }

    /// An exception in the place of one occurrence; only once, also where it stands for a day with several.
    fn show(
        &mut self,
        exception: &Exception<'_, '_>,
        master: Option<&Event<'_>>,
        is_first: bool,
        reading: &mut Reading,
    ) -> Result<(), Wrong> {
        if exception.event.is_cancelled || !is_first {
            return Ok(());
        }
        let Some(person) = self.person(exception.event, master) else {
            self.skip(exception.event, reading);
            return Ok(());
        };
        let (start, length) = self.single(exception.event).map_err(|wrong| about(exception.event, wrong))?;
        add(reading, &start, length, person)
    }

    /// An occurrence that is moved by as much as the one that an exception for it and all that follow was written for.
    fn show_moved(
        &mut self,
        exception: &Exception<'_, '_>,
        master: &Event<'_>,
        occurrence: &Occurrence,
        reading: &mut Reading,
    ) -> Result<(), Wrong> {
        if exception.event.is_cancelled {
            return Ok(());
        }
        let Some(person) = self.person(exception.event, Some(master)) else {
            self.skip(exception.event, reading);
            return Ok(());
        };
        let (start, length) = self.single(exception.event).map_err(|wrong| about(exception.event, wrong))?;
        let planned = &occurrence.planned;
        let mut replaces = exception.replaces.clone().beside(planned);
        if replaces.is_day && !planned.is_day {
            replaces = planned.with(replaces.wall.date().and_time(planned.wall.time()));
        }
        let wall = |time: &Time| if time.is_day && start.is_day { time.wall } else { start.zone.local(time.at()) };
        let moved = wall(planned).checked_add_signed(start.wall - wall(&replaces)).ok_or("it is too late")?;
        add(reading, &start.with(moved), length, person)
    }

    /// Whom an event names: by its summary, or as its only attendee; the same as `usual` when it says nothing of it.
    fn person(&self, event: &Event<'_>, usual: Option<&Event<'_>>) -> Option<PersonId> {
        match self.finder.in_title(event.summary.as_deref().unwrap_or_default()) {
            Named::Exactly(person) | Named::Among(person) => return Some(person),
            Named::Several => return None,
            Named::Nobody => {}
        }
        let mut attendees = event.lines.all("ATTENDEE");
        let only = attendees.next().filter(|_| attendees.next().is_none());
        let attendee = only.and_then(|own| self.finder.by_email(&own.value));
        let inherited = || match (&event.summary, usual) {
            (None, Some(usual)) => self.person(usual, None),
            _ => None,
        };
        attendee.or_else(inherited)
    }

    fn skip(&self, event: &Event<'_>, reading: &mut Reading) {
        let summary = event.summary.as_deref().unwrap_or_default();
        let why = match self.finder.in_title(summary) {
            Named::Several => "it names several people".to_owned(),
            _ => unknown(&summary.chars().take(80).collect::<String>()),
        };
        let line = format!("{}: {why}", event.called());
        if reading.skipped.last() != Some(&line) {
            reading.skipped.push(line);
        }
    }

    fn exception<'e, 'c>(&mut self, event: &'e Event<'c>) -> Result<Exception<'e, 'c>, Wrong> {
        let line = event.lines.property("RECURRENCE-ID").ok_or("it has no RECURRENCE-ID")?;
        let replaces = self.time(line, &line.value).map_err(|why| prefixed("RECURRENCE-ID", why))?;
        let and_future = match line.parameter("RANGE") {
            None => false,
            Some(range) if range.eq_ignore_ascii_case("THISANDFUTURE") => true,
            Some(range) => return Err(format!("RANGE={range} is not followed here: export the calendar without it").into()),
        };
        Ok(Exception { event, replaces, and_future })
    }

    /// When an event is, by itself.
    fn single(&mut self, event: &Event<'_>) -> Result<(Time, Length), Wrong> {
        let line = event.lines.property("DTSTART").ok_or("it has no DTSTART")?;
        let start = self.time(line, &line.value)?;
        let length = self.length(event, &start)?;
        Ok((start, length))
    }

    /// All occurrences of an event, without regard to what stands in their place.
    fn occurrences(&mut self, event: &Event<'_>) -> Result<Vec<Occurrence>, Wrong> {
        let (start, length) = self.single(event)?;
        let last = start.zone.local(self.horizon);
        let mut walls = vec![start.wall];
        for rule in event.lines.all("RRULE") {
            walls.extend(Self::rule(rule, &start)?.walls(start.wall, last, self.effort)?);
        }
        walls.sort_unstable();
        walls.dedup();
        let mut gone: HashSet<Place> = HashSet::new();
        for line in event.lines.all("EXDATE") {
            for value in line.value.split(',') {
                self.effort.step()?;
                let own = self.time(line, value).map_err(|why| prefixed("EXDATE", why))?.beside(&start);
                gone.insert(place_of(&own, &start));
            }
        }
        for rule in event.lines.all("EXRULE") {
            let walls = Self::rule(rule, &start)?.matching(start.wall, last, self.effort)?;
            gone.extend(walls.into_iter().map(|wall| Place::At(start.with(wall).at())));
        }
        let mut all: Vec<Occurrence> = Vec::new();
        let mut known: HashSet<DateTime<Utc>> = HashSet::new();
        for wall in walls {
            let own = start.with(wall);
            known.insert(own.at());
            all.push(Occurrence { planned: own.clone(), start: own, length });
        }
        for line in event.lines.all("RDATE") {
            for value in line.value.split(',') {
                self.effort.step()?;
                let (own, length) = self.date_on_top(line, value, &start, length).map_err(|why| prefixed("RDATE", why))?;
                if known.insert(own.at()) {
                    all.push(Occurrence { planned: own.clone(), start: own, length });
                }
            }
        }
        all.retain(|own| !gone.contains(&Place::At(own.planned.at())) && !gone.contains(&Place::Day(own.planned.wall.date())));
        Ok(all)
    }

    fn rule(line: &Property, start: &Time) -> Result<Recurrence, String> {
        let until = |text: &str| {
            let text = text.trim();
            match text.strip_suffix(['Z', 'z']) {
                Some(utc) => wall_time(utc).map(|utc| start.zone.local(utc.and_utc())),
                None if text.contains('T') => wall_time(text),
                // A day as the end includes it.
                None => wall_time(text)?.checked_add_signed(TimeDelta::seconds(86_399)),
            }
        };
        Recurrence::parse(&line.value, until)
    }

    /// A date that comes on top of a rule; as a period it has a length of its own.
    fn date_on_top(&mut self, line: &Property, value: &str, start: &Time, usual: Length) -> Result<(Time, Length), String> {
        let Some((from, to)) = value.split_once('/') else {
            return Ok((self.time(line, value)?.beside(start), usual));
        };
        let from = self.time(line, from)?.beside(start);
        let length = match read_duration(to) {
            Some(length) => length,
            None => between(&from, &self.time(line, to)?.beside(start)),
        };
        match length.end(&from) {
            Some(end) if end > from.at() => Ok((from, length)),
            _ => Err(format!("the period {value:?} ends before it begins")),
        }
    }

    fn length(&mut self, event: &Event<'_>, start: &Time) -> Result<Length, Wrong> {
        let length = match (event.lines.property("DTEND"), event.lines.property("DURATION")) {
            (Some(end), _) => between(start, &self.time(end, &end.value).map_err(|why| prefixed("DTEND", why))?.beside(start)),
            (None, Some(duration)) => {
                read_duration(&duration.value).ok_or_else(|| format!("DURATION {:?} cannot be read", duration.value))?
            }
            (None, None) if start.is_day => Length { wall: TimeDelta::days(1), exact: TimeDelta::zero() },
            (None, None) => return Err("it has neither DTEND nor DURATION".into()),
        };
        if length.end(start).is_some_and(|end| end > start.at()) { Ok(length) } else { Err("it ends before it begins".into()) }
    }

    fn time(&mut self, line: &Property, value: &str) -> Result<Time, String> {
        let unreadable = || format!("{value:?} cannot be read");
        let value = value.trim();
        if let Some(utc) = value.strip_suffix(['Z', 'z']) {
            let wall = wall_time(utc).filter(|_| utc.contains('T')).ok_or_else(unreadable)?;
            return Ok(Time { zone: CalendarZone::Known(Tz::UTC), wall, is_day: false, is_floating: false });
        }
        let wall = wall_time(value).ok_or_else(unreadable)?;
        let is_day = !value.contains('T');
        match line.parameter("TZID").filter(|_| !is_day) {
            Some(name) => Ok(Time { zone: self.zones.find(name, self.effort)?, wall, is_day, is_floating: false }),
            None => Ok(Time { zone: self.floating.clone(), wall, is_day, is_floating: !is_day }),
        }
    }
}

/// The newest versions of a series: those that were changed most often; of several of these with one beginning the one that was
/// changed last. Others stay, since some programs give one identity to everything.
fn newest<'e, 'c>(masters: Vec<&'e Event<'c>>, reading: &mut Reading) -> Vec<&'e Event<'c>> {
    let latest = masters.iter().copied().max_by_key(|event| event.sequence);
    let start = |event: &'e Event<'c>| event.lines.property("DTSTART").map(|own| own.value.as_str());
    let mut by_start: HashMap<Option<&str>, &Event<'_>> = HashMap::new();
    for event in masters.iter().copied() {
        let known = by_start.entry(start(event)).or_insert(event);
        if event.is_newer(known) {
            *known = event;
        }
    }
    let mut kept = Vec::new();
    for own in masters {
        let later = latest.filter(|latest| latest.sequence > own.sequence).or_else(|| by_start.get(&start(own)).copied());
        match later.filter(|later| later.is_newer(own)) {
            Some(later) => {
                reading.notes.push(format!("{} is replaced by event {}, a later version of it", own.called(), later.number));
            }
            None => kept.push(own),
        }
    }
    kept
}

/// Of several exceptions for one occurrence the newest; of equally new ones the last.
fn newest_exceptions<'e, 'c>(all: Vec<Exception<'e, 'c>>) -> Vec<Exception<'e, 'c>> {
    let key = |own: &Exception<'_, '_>| (own.and_future, own.replaces.is_day, own.replaces.at());
    let mut latest: HashMap<(bool, bool, DateTime<Utc>), usize> = HashMap::new();
    for (number, own) in all.iter().enumerate() {
        let known = latest.entry(key(own)).or_insert(number);
        if !all[*known].event.is_newer(own.event) {
            *known = number;
        }
    }
    let kept: HashSet<usize> = latest.into_values().collect();
    all.into_iter().enumerate().filter(|(number, _)| kept.contains(number)).map(|(_, own)| own).collect()
}

/// Which occurrence of a series a time means: in a series of whole days, and by a whole day in any, the one of that day.
fn place_of(time: &Time, start: &Time) -> Place {
    match (time.is_day, start.is_day) {
        (true, _) => Place::Day(time.wall.date()),
        (false, true) => Place::Day(start.zone.local(time.at()).date()),
        (false, false) => Place::At(time.at()),
    }
}

/// The length between two times, on the wall of the first.
fn between(start: &Time, end: &Time) -> Length {
    let end = if end.is_day && start.is_day { end.wall } else { start.zone.local(end.at()) };
    Length { wall: end - start.wall, exact: TimeDelta::zero() }
}

fn add(reading: &mut Reading, start: &Time, length: Length, person: PersonId) -> Result<(), Wrong> {
    let to = length.end(start).ok_or("it ends too late")?;
    // Where clocks change it may be nothing at all.
    if to > start.at() {
        reading.shifts.push(FixedShift { from: start.at(), to, person });
    }
    Ok(())
}

fn prefixed(name: &str, why: String) -> String {
    format!("{name}: {why}")
}

fn about(event: &Event<'_>, wrong: Wrong) -> Wrong {
    match wrong {
        Wrong::Event(why) => Wrong::Event(format!("its {}: {why}", event.called())),
        wrong @ Wrong::File(_) => wrong,
    }
}

/// `P1W`, `P1DT12H`, `PT90M` (RFC 5545, 3.3.6): weeks and days are those of the calendar, hours those of the stopwatch.
fn read_duration(text: &str) -> Option<Length> {
    let mut rest = text.trim().trim_start_matches('+').strip_prefix('P')?;
    let (mut days, mut seconds, mut is_time) = (0_i64, 0_i64, false);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T') {
            is_time = true;
            rest = after;
        }
        let split = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: i64 = rest[..split].parse().ok()?;
        let (sum, unit) = match (rest.as_bytes()[split], is_time) {
            (b'W', false) => (&mut days, 7),
            (b'D', false) => (&mut days, 1),
            (b'H', true) => (&mut seconds, 3_600),
            (b'M', true) => (&mut seconds, 60),
            (b'S', true) => (&mut seconds, 1),
            _ => return None,
        };
        *sum = sum.checked_add(count.checked_mul(unit)?)?;
        rest = &rest[split + 1..];
    }
    Some(Length { wall: TimeDelta::try_days(days)?, exact: TimeDelta::try_seconds(seconds)? })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::super::{Person, Roster};
    use super::*;
    use crate::effort::Stop;
    use crate::numbers::Region;

    fn read_events(events: &str) -> Result<Reading, Vec<String>> {
        let mut roster = Roster::default();
        for (number, name) in ["A", "B", "C"].iter().enumerate() {
            let person = Person { name: (*name).to_owned(), emails: vec![format!("{name}@example.com")], ..Person::default() };
            roster.people.insert(PersonId(uuid::Uuid::from_u128(u128::try_from(number).unwrap())), person);
        }
        let text = format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{}END:VCALENDAR\r\n", events.replace('\n', "\r\n"));
        let (stop, horizon) = (Stop::default(), "2027-12-31T00:00:00Z".parse().unwrap());
        let finder = Finder::new(&roster, Region::CN);
        read(&text, Tz::Europe__Berlin, horizon, &finder, &mut Effort::new(&stop))
    }

    fn event(lines: &str) -> String {
        format!("BEGIN:VEVENT\nUID:1\nDTSTAMP:20261101T000000Z\n{lines}\nEND:VEVENT\n")
    }

    /// Who, from when, until when.
    fn shifts(events: &str) -> Vec<String> {
        let show = |at: DateTime<Utc>| at.format("%m-%dT%H:%M").to_string();
        let name = |person: PersonId| ["A", "B", "C"][usize::try_from(person.0.as_u128()).unwrap()];
        let reading = read_events(events).unwrap();
        reading.shifts.iter().map(|own| format!("{} {} {}", name(own.person), show(own.from), show(own.to))).collect()
    }

    fn times(events: &str) -> Vec<String> {
        shifts(events).iter().map(|own| own[2..].to_owned()).collect()
    }

    #[test]
    fn times_come_in_every_form() {
        assert_eq!(times(&event("SUMMARY:A\nDTSTART:20261123T090000Z\nDTEND:20261124T090000Z")), ["11-23T09:00 11-24T09:00"]);
        assert_eq!(
            times(&event("SUMMARY:A\nDTSTART;TZID=Asia/Shanghai:20261123T090000\nDURATION:PT12H")),
            ["11-23T01:00 11-23T13:00"]
        );
        assert_eq!(
            times(&event("SUMMARY:A\nDTSTART;VALUE=DATE:20261123\nDTEND;VALUE=DATE:20261130")),
            ["11-22T23:00 11-29T23:00"]
        );
        assert_eq!(times(&event("SUMMARY:A\nDTSTART:20261123T090000\nDTEND:20261123T180000")), ["11-23T08:00 11-23T17:00"]);
        assert_eq!(
            times(&event("SUMMARY:A\nDTSTART;TZID=China Standard Time:20261123T090000\nDURATION:P1D")),
            ["11-23T01:00 11-24T01:00"]
        );
    }

    #[test]
    fn a_series_keeps_its_wall_time() {
        // Clocks go forward on 28 March 2027 in Berlin.
        let weekly = event(
            "SUMMARY:A\nDTSTART;TZID=Europe/Berlin:20270320T090000\nDTEND;TZID=Europe/Berlin:20270320T180000\nRRULE:FREQ=WEEKLY;COUNT=3\nEXDATE;TZID=Europe/Berlin:20270327T090000",
        );
        assert_eq!(times(&weekly), ["03-20T08:00 03-20T17:00", "04-03T07:00 04-03T16:00"]);
        let until =
            event("SUMMARY:A\nDTSTART;TZID=Europe/Berlin:20270327T090000\nDURATION:P1D\nRRULE:FREQ=DAILY;UNTIL=20270328T070000Z");
        assert_eq!(times(&until), ["03-27T08:00 03-28T07:00", "03-28T07:00 03-29T07:00"]);
    }

    #[test]
    fn days_are_of_the_calendar_and_hours_of_the_stopwatch() {
        let week = |length: &str| event(&format!("SUMMARY:A\nDTSTART;TZID=Europe/Berlin:20270322T090000\n{length}"));
        assert_eq!(times(&week("DURATION:P7D")), ["03-22T08:00 03-29T07:00"]);
        assert_eq!(times(&week("DURATION:PT168H")), ["03-22T08:00 03-29T08:00"]);
        assert_eq!(times(&week("DURATION:P6DT24H")), ["03-22T08:00 03-29T07:00"]);
        assert_eq!(times(&week("DTEND;TZID=Europe/Berlin:20270329T090000")), ["03-22T08:00 03-29T07:00"]);
    }

    #[test]
    fn dates_that_come_on_top_are_read() {
        let twice = event("SUMMARY:A\nDTSTART:20261123T090000Z\nDTEND:20261123T100000Z\nRDATE:20261125T090000Z,20261123T090000Z");
        assert_eq!(times(&twice), ["11-23T09:00 11-23T10:00", "11-25T09:00 11-25T10:00"]);
        let but_one = event(
            "SUMMARY:A\nDTSTART:20261123T090000Z\nDTEND:20261123T100000Z\nRRULE:FREQ=DAILY;COUNT=2\nRDATE:20261126T090000Z,20261127T090000Z\nEXDATE:20261126T090000Z",
        );
        assert_eq!(times(&but_one), ["11-23T09:00 11-23T10:00", "11-24T09:00 11-24T10:00", "11-27T09:00 11-27T10:00"]);
        let period = event(
            "SUMMARY:A\nDTSTART:20261123T090000Z\nDTEND:20261123T100000Z\nRDATE;VALUE=PERIOD:20261125T090000Z/PT3H,20261126T090000Z/20261126T093000Z",
        );
        assert_eq!(times(&period), ["11-23T09:00 11-23T10:00", "11-25T09:00 11-25T12:00", "11-26T09:00 11-26T09:30"]);
    }

    #[test]
    fn one_of_a_series_may_be_moved() {
        let series = |start: &str| event(&format!("SUMMARY:A\n{start}\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=2"));
        let moved = |id: &str| {
            event(&format!("SUMMARY:B\nRECURRENCE-ID{id}\nDTSTART:20261124T120000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=9"))
        };
        for start in ["DTSTART:20261123T080000Z", "DTSTART;TZID=Europe/Berlin:20261123T090000", "DTSTART:20261123T090000"] {
            for id in [
                ":20261124T080000Z",
                ";TZID=Europe/Berlin:20261124T090000",
                ";TZID=Asia/Shanghai:20261124T160000",
                ";TZID=W. Europe Standard Time:20261124T090000",
                ";VALUE=DATE:20261124",
            ] {
                let all = series(start) + &moved(id);
                assert_eq!(shifts(&all), ["A 11-23T08:00 11-23T09:00", "B 11-24T12:00 11-24T13:00"], "{start} {id}");
            }
        }
        let days = event("SUMMARY:A\nDTSTART;VALUE=DATE:20261123\nRRULE:FREQ=DAILY;COUNT=2");
        for id in [";VALUE=DATE:20261124", ":20261123T230000Z", ":20261124T000000", ";TZID=Europe/Berlin:20261124T000000"] {
            let all = days.clone() + &moved(id);
            assert_eq!(shifts(&all), ["A 11-22T23:00 11-23T23:00", "B 11-24T12:00 11-24T13:00"], "{id}");
        }
        let gone = series("DTSTART:20261123T080000Z") + &moved(":20261124T080000Z").replace("SUMMARY:B", "STATUS:CANCELLED");
        assert_eq!(shifts(&gone), ["A 11-23T08:00 11-23T09:00"]);
        let unnamed = series("DTSTART:20261123T080000Z") + &moved(":20261124T080000Z").replace("SUMMARY:B\n", "");
        assert_eq!(shifts(&unnamed), ["A 11-23T08:00 11-23T09:00", "A 11-24T12:00 11-24T13:00"]);
    }

    #[test]
    fn one_and_all_that_follow_may_be_moved() {
        let series = event(
            "SUMMARY:A\nDTSTART;TZID=Europe/Berlin:20261201T090000\nDTEND;TZID=Europe/Berlin:20261201T170000\nRRULE:FREQ=DAILY;COUNT=5",
        );
        let rest = |who: &str, from: &str, to: &str| {
            event(&format!(
                "{who}\nRECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Berlin:{from}\nDTSTART;TZID=Europe/Berlin:{to}\nDURATION:PT2H"
            ))
        };
        let one = event("SUMMARY:C\nRECURRENCE-ID:20261204T080000Z\nDTSTART:20261204T000000Z\nDURATION:PT1H");
        let all = series.clone() + &rest("SUMMARY:B", "20261203T090000", "20261203T100000") + &one;
        assert_eq!(
            shifts(&all),
            [
                "A 12-01T08:00 12-01T16:00",
                "A 12-02T08:00 12-02T16:00",
                "B 12-03T09:00 12-03T11:00",
                "C 12-04T00:00 12-04T01:00",
                "B 12-05T09:00 12-05T11:00"
            ]
        );
        let ends = series.clone() + &rest("STATUS:CANCELLED", "20261202T090000", "20261202T090000");
        assert_eq!(shifts(&ends), ["A 12-01T08:00 12-01T16:00"]);
        let before = series + &rest("SUMMARY:B", "20261203T090000", "20261203T100000").replace("THISANDFUTURE", "THISANDPRIOR");
        assert!(read_events(&before).unwrap_err()[0].contains("RANGE=THISANDPRIOR"));
    }

    #[test]
    fn the_latest_version_counts() {
        let version = |who: &str, sequence: i32, start: i32| {
            event(&format!("SUMMARY:{who}\nDTSTART:202611{start}T090000Z\nDURATION:PT1H\nSEQUENCE:{sequence}"))
        };
        let both = version("B", 2, 23) + &version("A", 1, 24);
        assert_eq!(shifts(&both), ["B 11-23T09:00 11-23T10:00"]);
        assert!(read_events(&both).unwrap().notes[0].contains("event 2 (A) is replaced by event 1"));
        // Equally new: programs that give everything one identity lose nothing.
        assert_eq!(shifts(&(version("B", 1, 23) + &version("A", 1, 24))).len(), 2);
        let later = version("B", 1, 23).replace("20261101T", "20261102T") + &version("A", 1, 23);
        assert_eq!(shifts(&later), ["B 11-23T09:00 11-23T10:00"]);
        let swapped =
            |who: &str, sequence: i32| version(who, sequence, 23).replace("DTSTART", "RECURRENCE-ID:20261123T090000Z\nDTSTART");
        assert_eq!(shifts(&(version("A", 1, 23) + &swapped("C", 3) + &swapped("B", 2))), ["C 11-23T09:00 11-23T10:00"]);
    }

    #[test]
    fn what_is_nobody_s_is_passed_over_and_told() {
        let one = "SUMMARY:On Call - A - Primary\nDTSTART:20261123T090000Z\nDTEND:20261123T100000Z";
        let by_mail = "SUMMARY:Primary\nATTENDEE:mailto:b@example.com\nDTSTART:20261124T090000Z\nDTEND:20261124T100000Z";
        let meeting = "SUMMARY:Planning\nATTENDEE:mailto:a@example.com\nATTENDEE:mailto:b@example.com\nDTSTART:20261124T090000Z";
        let unreadable = "SUMMARY:Lunch\nDTSTART;TZID=Middle Earth:20261123T090000\nRRULE:FREQ=SOMETIMES";
        let two = "SUMMARY:A / B\nDTSTART:20261125T090000Z\nDTEND:20261125T100000Z";
        let all = [one, by_mail, meeting, unreadable, two].map(|lines| event(lines).replace("UID:1\n", "")).concat();
        assert_eq!(shifts(&all), ["A 11-23T09:00 11-23T10:00", "B 11-24T09:00 11-24T10:00"]);
        let skipped = read_events(&all).unwrap().skipped;
        assert_eq!(skipped.len(), 3, "{skipped:?}");
        assert!(skipped[0].contains("event 3 (Planning)") && skipped[2].contains("several"), "{skipped:?}");
        // A file of others' events only is no roster.
        assert!(read_events(&event(meeting)).unwrap_err().concat().contains("Planning"));
    }

    #[test]
    fn every_bad_event_is_named() {
        let bad = [
            "SUMMARY:A\nDTSTART:20261123T090000Z",
            "SUMMARY:A\nDTSTART:20261123T090000Z\nDTEND:20261123T080000Z",
            "SUMMARY:A\nDTSTART;TZID=Middle Earth:20261123T090000\nDURATION:P1D",
            "SUMMARY:A\nDTSTART:20261123T090000Z\nDURATION:P1D\nRRULE:FREQ=SOMETIMES",
            "SUMMARY:A\nDTSTART:20261123T090000Z\nDURATION:P1D\nRRULE:FREQ=SECONDLY",
            "SUMMARY:A\nDTSTART:20261123T090000Z\nDURATION:P1D\nEXDATE:soon",
            "SUMMARY:A\nDTEND:20261123T090000Z",
        ];
        let problems = read_events(&bad.map(event).concat()).unwrap_err();
        assert_eq!(problems.len(), bad.len(), "{problems:?}");
        assert!(read_events("nonsense\n").is_err());
        assert!(read_events("").is_err());
    }

    #[test]
    fn costly_rules_are_given_up() {
        let many = "SUMMARY:A\nDTSTART:20000101T090000Z\nDURATION:P1D\nRRULE:FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30";
        let problems = read_events(&event(many)).unwrap_err();
        assert!(problems.len() == 1 && problems[0].contains("100000 steps"), "{problems:?}");
    }

    proptest::proptest! {
        #[test]
        fn no_file_panics(text in "(SUMMARY:A\n|DTSTART|DTEND|;TZID=Europe/Berlin|:20261123T09[0-9]{4}Z?\n|RRULE:FREQ=(DAILY|YEARLY);COUNT=9\n|RECURRENCE-ID|;RANGE=THISANDFUTURE|EXDATE|RDATE|.|\n){0,40}") {
            let _ = read_events(&event(&text));
        }
    }
}
