//! Shifts from an iCalendar file (RFC 5545): each event is a shift of the person its summary names.
//!
//! Rules that repeat are followed in wall time, so that a shift keeps its hours when clocks change; the wall times become instants
//! by the rule of [`super::wall`].

use std::collections::HashSet;

use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use icalendar::rrule::{RRule, Unvalidated};
use icalendar::{Calendar, CalendarDateTime, Component, DatePerhapsTime, Event};

use super::csv::{MOST_SHIFTS, finish, unknown};
use super::{FixedShift, wall};
use crate::ids::PersonId;

/// Reads shifts. Times without a zone are wall times of `zone`; of rules that repeat, what begins until `horizon` is read.
///
/// # Errors
/// Everything that is wrong with it, event by event.
pub fn read(
    text: &str,
    zone: Tz,
    horizon: DateTime<Utc>,
    find: &dyn Fn(&str) -> Option<PersonId>,
) -> Result<Vec<FixedShift>, Vec<String>> {
    let text = text.trim_start_matches('\u{feff}');
    let calendar: Calendar = text.parse().map_err(|error: String| vec![format!("this is no iCalendar file: {error}")])?;
    // Single events that stand in the place of one of a series.
    let moved: HashSet<(String, DateTime<Utc>)> = calendar
        .events()
        .filter_map(|event| {
            let at = Time::of(&event.get_recurrence_id()?, zone).ok()?.at();
            Some((event.get_uid()?.to_owned(), at))
        })
        .collect();
    let mut shifts = Vec::new();
    let mut problems = Vec::new();
    for (number, event) in (1..).zip(calendar.events()) {
        if event.property_value("STATUS").is_some_and(|status| status.eq_ignore_ascii_case("CANCELLED")) {
            continue;
        }
        match read_event(event, zone, horizon, find, &moved) {
            Ok(own) => shifts.extend(own),
            Err(why) => problems.push(format!("event {number} ({}): {why}", event.get_summary().unwrap_or("without a summary"))),
        }
    }
    finish(shifts, problems)
}

/// A wall time and its zone.
#[derive(Clone, Copy)]
struct Time {
    zone: Tz,
    wall: NaiveDateTime,
}

impl Time {
    fn of(time: &DatePerhapsTime, default: Tz) -> Result<Self, String> {
        Ok(match time {
            DatePerhapsTime::Date(day) => Self { zone: default, wall: day.and_time(chrono::NaiveTime::MIN) },
            DatePerhapsTime::DateTime(CalendarDateTime::Floating(wall)) => Self { zone: default, wall: *wall },
            DatePerhapsTime::DateTime(CalendarDateTime::Utc(at)) => Self { zone: Tz::UTC, wall: at.naive_utc() },
            DatePerhapsTime::DateTime(CalendarDateTime::WithTimezone { date_time, tzid }) => {
                let name = tzid.trim_matches('"');
                let zone = name.parse().map_err(|_| {
                    format!("the time zone {name:?} is not known here: export the calendar with names such as Asia/Shanghai, or in UTC")
                })?;
                Self { zone, wall: *date_time }
            }
        })
    }

    fn at(self) -> DateTime<Utc> {
        wall::instant(self.zone, self.wall)
    }
}

fn read_event(
    event: &Event,
    zone: Tz,
    horizon: DateTime<Utc>,
    find: &dyn Fn(&str) -> Option<PersonId>,
    moved: &HashSet<(String, DateTime<Utc>)>,
) -> Result<Vec<FixedShift>, String> {
    let name = event.get_summary().unwrap_or_default();
    let person = find(name).ok_or_else(|| unknown(name))?;
    let first = event.get_start().ok_or("it has no DTSTART that can be read")?;
    let start = Time::of(&first, zone)?;
    let whole_days = matches!(first, DatePerhapsTime::Date(_));
    let length = length(event, start, whole_days, zone)?;
    let mut walls = match event.property_value("RRULE") {
        Some(rule) => repeat(rule, start, horizon)?,
        None => vec![start.wall],
    };
    let mut on_top: Vec<_> = dates(event, "RDATE", start.zone)?.into_iter().filter(|wall| !walls.contains(wall)).collect();
    if event.property_value("RRULE").is_some() || !on_top.is_empty() {
        on_top.sort_unstable();
        walls.extend(on_top);
        let gone = dates(event, "EXDATE", start.zone)?;
        let uid = event.get_uid().unwrap_or_default();
        walls.retain(|wall| !gone.contains(wall) && !moved.contains(&(uid.to_owned(), Time { wall: *wall, ..start }.at())));
    }
    let shift = |wall: NaiveDateTime| {
        let from = Time { wall, ..start };
        let to = wall.checked_add_signed(length).map(|wall| Time { wall, ..start }.at());
        to.map(|to| FixedShift { from: from.at(), to, person }).ok_or_else(|| "it ends too late".to_owned())
    };
    walls.into_iter().map(shift).filter(|shift| shift.as_ref().map_or(true, |own| own.to > own.from)).collect()
}

/// How long an event is on the wall.
fn length(event: &Event, start: Time, whole_days: bool, zone: Tz) -> Result<TimeDelta, String> {
    let length = match (event.get_end(), event.property_value("DURATION")) {
        (Some(end), _) => wall::local(start.zone, Time::of(&end, zone)?.at()) - start.wall,
        (None, Some(duration)) => read_duration(duration).ok_or_else(|| format!("DURATION {duration:?} cannot be read"))?,
        (None, None) if whole_days => TimeDelta::days(1),
        (None, None) => return Err("it has neither DTEND nor DURATION".to_owned()),
    };
    if length > TimeDelta::zero() { Ok(length) } else { Err("it ends before it begins".to_owned()) }
}

/// `P1W`, `P1DT12H`, `PT90M` (RFC 5545, 3.3.6).
fn read_duration(text: &str) -> Option<TimeDelta> {
    let mut rest = text.trim().trim_start_matches('+').strip_prefix('P')?;
    let mut seconds = 0_i64;
    while !rest.is_empty() {
        rest = rest.trim_start_matches('T');
        let split = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: i64 = rest[..split].parse().ok()?;
        let unit = match rest.as_bytes()[split] {
            b'W' => 7 * 86_400,
            b'D' => 86_400,
            b'H' => 3_600,
            b'M' => 60,
            b'S' => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(count.checked_mul(unit)?)?;
        rest = &rest[split + 1..];
    }
    TimeDelta::try_seconds(seconds)
}

/// The dates of a property: `EXDATE`, those of a series that do not happen; `RDATE`, those that come on top of it.
fn dates(event: &Event, name: &str, zone: Tz) -> Result<HashSet<NaiveDateTime>, String> {
    let mut found = HashSet::new();
    let multi = event.multi_properties().get(name).into_iter().flatten();
    for property in event.properties().get(name).into_iter().chain(multi) {
        for value in property.value().split(',') {
            let own = property.params().get("TZID").and_then(|own| own.value().trim_matches('"').parse().ok()).unwrap_or(zone);
            found.insert(read_wall(value, own, zone).ok_or_else(|| format!("{name} {value:?} cannot be read"))?);
        }
    }
    Ok(found)
}

/// A date or time of the file as the wall shows it in `zone`.
fn read_wall(value: &str, own: Tz, zone: Tz) -> Option<NaiveDateTime> {
    let value = value.trim();
    if let Some(utc) = value.strip_suffix('Z') {
        let utc = NaiveDateTime::parse_from_str(utc, "%Y%m%dT%H%M%S").ok()?;
        return Some(wall::local(zone, utc.and_utc()));
    }
    let time = NaiveDateTime::parse_from_str(value, "%Y%m%dT%H%M%S").ok();
    let day = || chrono::NaiveDate::parse_from_str(value, "%Y%m%d").ok().map(|day| day.and_time(chrono::NaiveTime::MIN));
    let read = time.or_else(day)?;
    Some(if own == zone { read } else { wall::local(zone, wall::instant(own, read)) })
}

/// The wall times of a series, as if the wall were in UTC: there, no time is skipped or comes twice.
fn repeat(rule: &str, start: Time, horizon: DateTime<Utc>) -> Result<Vec<NaiveDateTime>, String> {
    let mut parts = Vec::new();
    for part in rule.trim().split(';').filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some((name, until)) if name.eq_ignore_ascii_case("UNTIL") => {
                let mut wall =
                    read_wall(until, start.zone, start.zone).ok_or_else(|| format!("UNTIL {until:?} cannot be read"))?;
                if !until.contains('T') {
                    wall += TimeDelta::seconds(86_399);
                }
                parts.push(format!("UNTIL={}Z", wall.format("%Y%m%dT%H%M%S")));
            }
            _ => parts.push(part.to_owned()),
        }
    }
    let wrong = |error: icalendar::rrule::RRuleError| format!("RRULE {rule:?}: {error}");
    let parsed: RRule<Unvalidated> = parts.join(";").parse().map_err(wrong)?;
    let utc = icalendar::rrule::Tz::UTC;
    let set = parsed.build(utc.from_utc_datetime(&start.wall)).map_err(wrong)?;
    let last = wall::local(start.zone, horizon);
    let limit = u16::try_from(MOST_SHIFTS).unwrap_or(u16::MAX);
    let found = set.before(utc.from_utc_datetime(&last)).all(limit);
    if found.limited {
        return Err(format!("RRULE {rule:?} gives more than {limit} shifts"));
    }
    Ok(found.dates.into_iter().map(|date| date.naive_utc()).collect())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn read_events(events: &str) -> Result<Vec<FixedShift>, Vec<String>> {
        let find =
            |name: &str| ["A", "B"].iter().position(|own| *own == name).map(|at| PersonId(uuid::Uuid::from_u128(at as u128)));
        let text = format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{}END:VCALENDAR\r\n", events.replace('\n', "\r\n"));
        read(&text, Tz::Europe__Berlin, "2027-12-31T00:00:00Z".parse().unwrap(), &find)
    }

    fn event(lines: &str) -> String {
        format!("BEGIN:VEVENT\nUID:1\nDTSTAMP:20261101T000000Z\n{lines}\nEND:VEVENT\n")
    }

    fn times(events: &str) -> Vec<String> {
        let show = |at: DateTime<Utc>| at.format("%m-%dT%H:%M").to_string();
        read_events(events).unwrap().iter().map(|own| format!("{} {}", show(own.from), show(own.to))).collect()
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
    fn dates_that_come_on_top_are_read() {
        let twice = event("SUMMARY:A\nDTSTART:20261123T090000Z\nDTEND:20261123T100000Z\nRDATE:20261125T090000Z,20261123T090000Z");
        assert_eq!(times(&twice), ["11-23T09:00 11-23T10:00", "11-25T09:00 11-25T10:00"]);
        let but_one = event(
            "SUMMARY:A\nDTSTART:20261123T090000Z\nDTEND:20261123T100000Z\nRRULE:FREQ=DAILY;COUNT=2\nRDATE:20261126T090000Z,20261127T090000Z\nEXDATE:20261126T090000Z",
        );
        assert_eq!(times(&but_one), ["11-23T09:00 11-23T10:00", "11-24T09:00 11-24T10:00", "11-27T09:00 11-27T10:00"]);
        let period =
            event("SUMMARY:A\nDTSTART:20261123T090000Z\nDTEND:20261123T100000Z\nRDATE;VALUE=PERIOD:20261125T090000Z/PT3H");
        assert!(read_events(&period).unwrap_err()[0].contains("RDATE"), "what is not understood is named");
    }

    #[test]
    fn one_of_a_series_may_be_moved() {
        let series = event("SUMMARY:A\nDTSTART:20261123T090000Z\nDTEND:20261123T100000Z\nRRULE:FREQ=DAILY;COUNT=2");
        let moved = event("SUMMARY:B\nRECURRENCE-ID:20261124T090000Z\nDTSTART:20261124T120000Z\nDTEND:20261124T130000Z");
        assert_eq!(times(&(series + &moved)), ["11-23T09:00 11-23T10:00", "11-24T12:00 11-24T13:00"]);
    }

    #[test]
    fn every_bad_event_is_named() {
        let bad = [
            "SUMMARY:Nobody\nDTSTART:20261123T090000Z\nDTEND:20261123T100000Z",
            "SUMMARY:A\nDTSTART:20261123T090000Z",
            "SUMMARY:A\nDTSTART:20261123T090000Z\nDTEND:20261123T080000Z",
            "SUMMARY:A\nDTSTART;TZID=China Standard Time:20261123T090000\nDURATION:P1D",
            "SUMMARY:A\nDTSTART:20261123T090000Z\nDURATION:P1D\nRRULE:FREQ=SOMETIMES",
        ];
        let problems = read_events(&bad.map(event).concat()).unwrap_err();
        assert_eq!(problems.len(), bad.len(), "{problems:?}");
        assert!(read_events("nonsense\n").is_err());
        assert!(read_events("").is_err());
    }
}
