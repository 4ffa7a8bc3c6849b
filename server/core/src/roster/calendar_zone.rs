//! The time zones of a calendar file: its own definitions (`VTIMEZONE`) before all others, then the names of IANA, then those of
//! Windows.
//!
//! A wall time of such a file means what RFC 5545, 3.3.5 says, not what [`super::wall`] says of our own rules: one that is skipped is
//! read with the distance from UTC that held before, so 02:30 becomes 03:30.

use std::collections::HashMap;
use std::rc::Rc;

use chrono::{DateTime, Datelike, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use windows_timezones::WindowsTimezone;

use super::recurrence::Recurrence;
use super::wall;
use crate::effort::Effort;
use crate::sheet::content_line::{Component, Property};

/// Zones are defined from the time before computers; rules are followed from here on.
const FIRST_YEAR: i32 = 1970;

/// A zone of a file.
#[derive(Clone, Debug)]
pub enum CalendarZone {
    /// One that is known here.
    Known(Tz),
    /// One that the file defines.
    Own(Rc<OwnZone>),
}

/// A zone as a file defines it.
#[derive(Debug)]
pub struct OwnZone {
    /// Seconds east of UTC before the first change.
    before: i64,
    /// At which instant (UTC) clocks change, and to how many seconds east; in order.
    changes: Vec<(NaiveDateTime, i64)>,
}

impl OwnZone {
    fn offset(&self, utc: NaiveDateTime) -> i64 {
        let passed = self.changes.partition_point(|(at, _)| *at <= utc);
        passed.checked_sub(1).map_or(self.before, |last| self.changes[last].1)
    }

    /// The instant of a wall time: the first of two; one that is skipped by the offset before.
    fn utc(&self, wall: NaiveDateTime) -> Option<NaiveDateTime> {
        let shifted = |offset: i64| wall.checked_sub_signed(TimeDelta::try_seconds(offset)?);
        let day = TimeDelta::days(2);
        let from = self.changes.partition_point(|(at, _)| *at < wall.checked_sub_signed(day).unwrap_or(*at));
        let mut offset = from.checked_sub(1).map_or(self.before, |last| self.changes[last].1);
        for (at, to) in &self.changes[from..] {
            // Read by the old offset, it is before the change: it comes then, or is skipped by the change.
            if shifted(offset)? < *at {
                break;
            }
            let gap_ends = at.checked_add_signed(TimeDelta::try_seconds(*to)?)?;
            if *to > offset && wall < gap_ends {
                break;
            }
            offset = *to;
        }
        shifted(offset)
    }
}

impl CalendarZone {
    /// The instant that a wall time means.
    #[must_use]
    pub fn instant(&self, wall: NaiveDateTime) -> DateTime<Utc> {
        match self {
            Self::Known(zone) => match zone.from_local_datetime(&wall) {
                MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => at.to_utc(),
                MappedLocalTime::None => {
                    // What the clock showed in the hours before tells the offset that held then.
                    let earlier = wall::instant(*zone, wall - TimeDelta::hours(26));
                    let offset = wall::local(*zone, earlier) - earlier.naive_utc();
                    (wall - offset).and_utc()
                }
            },
            Self::Own(own) => own.utc(wall).unwrap_or(wall).and_utc(),
        }
    }

    /// What the clock of the zone shows at an instant.
    #[must_use]
    pub fn local(&self, at: DateTime<Utc>) -> NaiveDateTime {
        match self {
            Self::Known(zone) => wall::local(*zone, at),
            Self::Own(own) => {
                let utc = at.naive_utc();
                TimeDelta::try_seconds(own.offset(utc)).and_then(|offset| utc.checked_add_signed(offset)).unwrap_or(utc)
            }
        }
    }
}

/// The zones that one calendar of a file speaks of; its own are read when they are first asked for.
pub struct Zones<'c> {
    defined: HashMap<&'c str, &'c Component>,
    known: HashMap<String, CalendarZone>,
    horizon: NaiveDateTime,
}

impl<'c> Zones<'c> {
    /// Those of a calendar; rules are followed up to `horizon`.
    #[must_use]
    pub fn new(calendar: &'c Component, horizon: DateTime<Utc>) -> Self {
        let id = |zone: &'c Component| zone.property("TZID").map(|id| (id.value.trim(), zone));
        let defined = calendar.inner("VTIMEZONE").filter_map(id).collect();
        Self { defined, known: HashMap::new(), horizon: horizon.naive_utc() + TimeDelta::days(366) }
    }

    /// The zone of a name.
    ///
    /// # Errors
    /// When it is neither defined nor known, or its definition cannot be followed.
    pub fn find(&mut self, name: &str, effort: &mut Effort<'_>) -> Result<CalendarZone, String> {
        let name = name.trim().trim_matches('"');
        if let Some(known) = self.known.get(name) {
            return Ok(known.clone());
        }
        let own = match self.defined.get(name) {
            Some(zone) => definition(zone, self.horizon, effort).map_err(|why| format!("the time zone {name:?}: {why}"))?,
            None => None,
        };
        let zone = match own {
            Some(own) => CalendarZone::Own(Rc::new(own)),
            None => CalendarZone::Known(named(name).ok_or_else(|| {
                format!(
                    "the time zone {name:?} is neither defined in the file nor known here: export the calendar with its time zones, \
                     with names such as Asia/Shanghai, or in UTC"
                )
            })?),
        };
        self.known.insert(name.to_owned(), zone.clone());
        Ok(zone)
    }
}

/// The zone of a name that needs no definition.
fn named(name: &str) -> Option<Tz> {
    let windows = |name: &str| name.parse::<WindowsTimezone>().ok().and_then(|zone| zone.tzdb_id().parse().ok());
    if let Some(zone) = name.parse().ok().or_else(|| windows(name)) {
        return Some(zone);
    }
    if name.eq_ignore_ascii_case("tzone://Microsoft/Utc") || name.eq_ignore_ascii_case("Z") {
        return Some(Tz::UTC);
    }
    // Some programs put their own path before the name: /mozilla.org/20050126_1/Europe/Berlin.
    let mut rest = name.strip_prefix('/')?;
    while let Some((_, shorter)) = rest.split_once('/') {
        if let Ok(zone) = shorter.parse() {
            return Some(zone);
        }
        rest = shorter;
    }
    None
}

/// What a definition says; `None` when it says nothing.
fn definition(zone: &Component, horizon: NaiveDateTime, effort: &mut Effort<'_>) -> Result<Option<OwnZone>, String> {
    let mut changes: Vec<(NaiveDateTime, i64, i64)> = Vec::new();
    for part in zone.components.iter().filter(|own| own.name == "STANDARD" || own.name == "DAYLIGHT") {
        let value = |name: &str| part.property(name).map(|own| own.value.trim());
        let (Some(start), Some(from), Some(to)) = (value("DTSTART"), value("TZOFFSETFROM"), value("TZOFFSETTO")) else {
            return Err(format!("{} lacks DTSTART, TZOFFSETFROM or TZOFFSETTO", part.name));
        };
        let unreadable = |text: &str| format!("{text:?} cannot be read");
        let start = wall_time(start).ok_or_else(|| unreadable(start))?;
        let (from, to) = (offset(from).ok_or_else(|| unreadable(from))?, offset(to).ok_or_else(|| unreadable(to))?);
        let mut walls = vec![start];
        for rule in part.all("RRULE") {
            walls.extend(onsets(rule, start, from, horizon, effort)?);
        }
        for value in part.all("RDATE").flat_map(|own| own.value.split(',')) {
            effort.step().map_err(|error| error.to_string())?;
            walls.push(wall_time(value.trim()).ok_or_else(|| unreadable(value))?);
        }
        let utc = |wall: NaiveDateTime| wall.checked_sub_signed(TimeDelta::try_seconds(from)?);
        changes.extend(walls.into_iter().filter_map(utc).map(|at| (at, from, to)));
    }
    changes.sort_unstable();
    changes.dedup();
    let Some((_, before, _)) = changes.first().copied() else { return Ok(None) };
    Ok(Some(OwnZone { before, changes: changes.into_iter().map(|(at, _, to)| (at, to)).collect() }))
}

/// When clocks change by a rule, as wall times before the change.
fn onsets(
    rule: &Property,
    start: NaiveDateTime,
    from: i64,
    horizon: NaiveDateTime,
    effort: &mut Effort<'_>,
) -> Result<Vec<NaiveDateTime>, String> {
    // The end is in UTC.
    let until = |text: &str| match text.strip_suffix('Z') {
        Some(utc) => wall_time(utc)?.checked_add_signed(TimeDelta::try_seconds(from)?),
        None => wall_time(text),
    };
    let recurrence = Recurrence::parse(&rule.value, until)?;
    // Outlook begins in 1601; of a rule for every year only the recent ones matter.
    let every_year = rule.value.contains("FREQ=YEARLY") && !rule.value.contains("COUNT=");
    let skips = rule.value.split(';').any(|part| part.starts_with("INTERVAL=") && part != "INTERVAL=1");
    let start = match every_year && !skips && start.year() < FIRST_YEAR {
        true => start.with_year(FIRST_YEAR).unwrap_or(start),
        false => start,
    };
    recurrence.walls(start, horizon, effort).map_err(|error| error.to_string())
}

/// `20261123T090000`, or `20261123` for its midnight.
pub(super) fn wall_time(text: &str) -> Option<NaiveDateTime> {
    let time = NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%S").ok();
    time.or_else(|| chrono::NaiveDate::parse_from_str(text, "%Y%m%d").ok().map(|day| day.and_time(chrono::NaiveTime::MIN)))
}

/// `+0100`, `-033000`: seconds east of UTC.
fn offset(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    if !matches!(digits.len(), 4 | 6) || !digits.bytes().all(|own| own.is_ascii_digit()) {
        return None;
    }
    let part = |at: usize| digits.get(at..at + 2).and_then(|own| own.parse::<i64>().ok());
    Some(sign * (part(0)? * 3600 + part(2)? * 60 + part(4).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::effort::Stop;
    use crate::sheet::content_line;

    const BERLIN: &str = "BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:W. Europe Standard Time\nBEGIN:STANDARD\nDTSTART:16010101T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nRRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10\nEND:STANDARD\nBEGIN:DAYLIGHT\nDTSTART:16010101T020000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nRRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3\nEND:DAYLIGHT\nEND:VTIMEZONE\nEND:VCALENDAR\n";

    fn find(text: &str, name: &str) -> Result<CalendarZone, String> {
        let (stop, calendar) = (Stop::default(), content_line::read(text).unwrap().remove(0));
        Zones::new(&calendar, "2030-01-01T00:00:00Z".parse().unwrap()).find(name, &mut Effort::new(&stop))
    }

    #[test]
    fn a_zone_that_a_file_defines_is_as_good_as_one_that_is_known() {
        let (own, known) = (find(BERLIN, "W. Europe Standard Time").unwrap(), CalendarZone::Known(Tz::Europe__Berlin));
        assert!(matches!(own, CalendarZone::Own(_)));
        let start = wall_time("20260101T000000").unwrap();
        for minutes in (0..730 * 24 * 60).step_by(30) {
            let wall = start + TimeDelta::minutes(minutes);
            assert_eq!(own.instant(wall), known.instant(wall), "{wall}");
            assert_eq!(own.local(wall.and_utc()), known.local(wall.and_utc()), "{wall}");
        }
        // Skipped: by the offset that held before.
        let skipped = wall_time("20270328T023000").unwrap();
        assert_eq!(own.instant(skipped).to_rfc3339(), "2027-03-28T01:30:00+00:00");
    }

    #[test]
    fn the_definition_counts_before_the_name() {
        let text = BERLIN.replace("TZID:W. Europe Standard Time", "TZID:Asia/Tokyo");
        let noon = wall_time("20261201T120000").unwrap();
        assert_eq!(find(&text, "Asia/Tokyo").unwrap().instant(noon).to_rfc3339(), "2026-12-01T11:00:00+00:00");
        assert_eq!(find(BERLIN, "Asia/Tokyo").unwrap().instant(noon).to_rfc3339(), "2026-12-01T03:00:00+00:00");
    }

    #[test]
    fn names_of_all_kinds_are_known() {
        for (name, zone) in [
            ("Europe/Berlin", Tz::Europe__Berlin),
            ("China Standard Time", Tz::Asia__Shanghai),
            ("Tokyo Standard Time", Tz::Asia__Tokyo),
            ("Pacific Standard Time", Tz::America__Los_Angeles),
            ("tzone://Microsoft/Utc", Tz::UTC),
            ("/mozilla.org/20050126_1/America/Argentina/Ushuaia", Tz::America__Argentina__Ushuaia),
        ] {
            assert_eq!(named(name), Some(zone), "{name}");
        }
        assert!(find(BERLIN, "Middle Earth").unwrap_err().contains("Middle Earth"));
        let broken = BERLIN.replace("TZOFFSETTO:+0100\n", "");
        assert!(find(&broken, "W. Europe Standard Time").unwrap_err().contains("lacks"));
    }
}
