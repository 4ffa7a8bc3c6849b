//! The short texts in which rules are written, by people and over the API: `1 week`, `mon-fri 09:00-18:00`, wall times.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike as _, Utc};
use chrono_tz::Tz;

use super::{Unit, Window, wall};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Turns longer than this are surely mistakes.
const MOST: u32 = 1000;
/// Years in which a roster makes sense.
const YEARS: std::ops::RangeInclusive<i32> = 1971..=2199;

/// What cannot be read, and how it should look.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// A length of turns.
    #[error("{0:?} is no length of a turn: write such as 1 week, 2 days or 12 hours")]
    Every(String),
    /// Hours of days.
    #[error("{0:?} are no hours of days: write such as mon-fri 09:00-18:00, sat,sun 00:00-24:00, or 22:00-06:00 for every day")]
    Window(String),
    /// A time.
    #[error("{0:?} is no time: write 2026-11-23T09:00 for a time in the schedule's zone, or 2026-11-23T01:00:00Z")]
    Time(String),
    /// A zone.
    #[error("{0:?} is no time zone: write such as Asia/Shanghai, Europe/Berlin or UTC")]
    Zone(String),
}

/// Reads the length of a turn.
///
/// # Errors
/// When it is none.
pub fn every(text: &str) -> Result<(u32, Unit), TextError> {
    let wrong = || TextError::Every(text.to_owned());
    let lower = text.trim().to_ascii_lowercase();
    let split = lower.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (count, unit) = lower.split_at(split);
    let unit = match unit.trim() {
        "h" | "hour" | "hours" | "hourly" => Unit::Hours,
        "d" | "day" | "days" | "daily" => Unit::Days,
        "w" | "week" | "weeks" | "weekly" => Unit::Weeks,
        _ => return Err(wrong()),
    };
    match if count.is_empty() { Ok(1) } else { count.parse() } {
        Ok(count @ 1..=MOST) => Ok((count, unit)),
        _ => Err(wrong()),
    }
}

/// Writes the length of a turn as [`every`] reads it.
#[must_use]
pub fn write_every(count: u32, unit: Unit) -> String {
    let unit = match unit {
        Unit::Hours => "hour",
        Unit::Days => "day",
        Unit::Weeks => "week",
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// Reads hours of days.
///
/// # Errors
/// When they are none.
pub fn window(text: &str) -> Result<Window, TextError> {
    read_window(&text.trim().to_ascii_lowercase()).ok_or_else(|| TextError::Window(text.to_owned()))
}

fn read_window(text: &str) -> Option<Window> {
    let (days, hours) = match text.rsplit_once(' ') {
        Some((days, hours)) => (days.trim(), hours),
        None if text.contains(':') => ("mon-sun", text),
        None => (text, "00:00-24:00"),
    };
    let (from, to) = hours.split_once('-')?;
    let to = if to == "24:00" { NaiveTime::MIN } else { time_of_day(to)? };
    let mut all = Vec::new();
    for part in days.split(',') {
        let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
        let (first, last) = (day(first)?, day(last)?);
        let mut next = first;
        loop {
            all.push(next);
            if next == last {
                break;
            }
            next = (next + 1) % 7;
        }
    }
    all.sort_unstable();
    all.dedup();
    Some(Window { days: all, from: time_of_day(from)?, to })
}

fn day(text: &str) -> Option<u8> {
    DAYS.iter().position(|day| *day == text).and_then(|place| u8::try_from(place).ok())
}

/// Writes hours of days as [`window`] reads them.
#[must_use]
pub fn write_window(window: &Window) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut rest = window.days.as_slice();
    while let Some(first) = rest.first() {
        let length = (1..).zip(rest).take_while(|(step, day)| **day == first + step - 1).count();
        let name = |day: u8| DAYS.get(usize::from(day)).copied().unwrap_or_default();
        match length {
            1 => parts.push(name(*first).to_owned()),
            _ => parts.push(format!("{}-{}", name(*first), name(rest[length - 1]))),
        }
        rest = &rest[length..];
    }
    let to = if window.to == NaiveTime::MIN { "24:00".to_owned() } else { window.to.format("%H:%M").to_string() };
    format!("{} {}-{to}", parts.join(","), window.from.format("%H:%M"))
}

fn time_of_day(text: &str) -> Option<NaiveTime> {
    NaiveTime::parse_from_str(text, "%H:%M").ok()
}

/// Reads a wall time: a day, or a day and a time.
///
/// # Errors
/// When it is none.
pub fn wall_time(text: &str) -> Result<NaiveDateTime, TextError> {
    const FORMS: [&str; 4] = ["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"];
    let own = text.trim();
    let read = FORMS.iter().find_map(|form| NaiveDateTime::parse_from_str(own, form).ok());
    let day = || NaiveDate::parse_from_str(own, "%Y-%m-%d").ok().map(|day| day.and_time(NaiveTime::MIN));
    let sane = |wall: &NaiveDateTime| YEARS.contains(&chrono::Datelike::year(wall));
    read.or_else(day).filter(sane).ok_or_else(|| TextError::Time(text.to_owned()))
}

/// Reads an instant: RFC 3339, or a wall time of this zone.
///
/// # Errors
/// When it is neither.
pub fn instant(text: &str, zone: Tz) -> Result<DateTime<Utc>, TextError> {
    match DateTime::parse_from_rfc3339(text.trim()) {
        Ok(at) if YEARS.contains(&chrono::Datelike::year(&at)) => Ok(at.to_utc()),
        _ => wall_time(text).map(|wall| wall::instant(zone, wall)),
    }
}

/// Reads the name of a time zone.
///
/// # Errors
/// When there is none of that name.
pub fn zone(text: &str) -> Result<Tz, TextError> {
    text.trim().parse().map_err(|_| TextError::Zone(text.to_owned()))
}

/// Writes a wall time as [`wall_time`] reads it: with seconds only where it has some.
#[must_use]
pub fn write_wall(at: NaiveDateTime) -> String {
    let form = if at.second() == 0 { "%Y-%m-%dT%H:%M" } else { "%Y-%m-%dT%H:%M:%S" };
    at.format(form).to_string()
}

/// An instant as the clock of a zone shows it, with its distance from UTC.
#[must_use]
pub fn shown(zone: Tz, at: DateTime<Utc>) -> String {
    at.with_timezone(&zone).format("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// The same with parts of a second, where it has some: whoever reads it again has the very same instant.
#[must_use]
pub fn exact(zone: Tz, at: DateTime<Utc>) -> String {
    at.with_timezone(&zone).format("%Y-%m-%dT%H:%M:%S%.f%:z").to_string()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["mon-fri 09:00-18:00", "mon,wed,sat-sun 22:00-06:00", "mon-sun 00:00-24:00"] {
            assert_eq!(write_window(&window(text).unwrap()), text);
        }
        assert_eq!(write_window(&window("Fri-Mon").unwrap()), "mon,fri-sun 00:00-24:00");
        assert_eq!(write_window(&window("22:00-06:00").unwrap()), "mon-sun 22:00-06:00");
        for (text, written) in [("weekly", "1 week"), ("2 weeks", "2 weeks"), ("12h", "12 hours"), ("Daily", "1 day")] {
            let (count, unit) = every(text).unwrap();
            assert_eq!(write_every(count, unit), written);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "0 days", "-1 day", "3 months", "1001 weeks", "7"] {
            assert!(every(text).is_err(), "{text}");
        }
        for text in ["", "mon 9-18", "monday 09:00-18:00", "mon 25:00-26:00", "mon-"] {
            assert!(window(text).is_err(), "{text}");
        }
        for text in ["", "2026-02-30", "2026-11-23T24:00", "9999-01-01", "tomorrow"] {
            assert!(instant(text, Tz::UTC).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_of_a_time_is_the_same_time(micros in 0_i64..4_102_444_800_000_000, whole: bool) {
            let at = DateTime::from_timestamp_micros(86_400_000_000 * 400 + if whole { micros / 60_000_000 * 60_000_000 } else { micros });
            let at = at.unwrap();
            proptest::prop_assert_eq!(instant(&exact(Tz::Asia__Kathmandu, at), Tz::UTC), Ok(at));
            let wall = at.naive_utc().with_nanosecond(0).unwrap();
            proptest::prop_assert_eq!(wall_time(&write_wall(wall)), Ok(wall));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = (every(&text), window(&text), instant(&text, Tz::Europe__Berlin), zone(&text));
        }
    }
}
