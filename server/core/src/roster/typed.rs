//! Times as spreadsheets and people write them.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{text, wall};
use crate::numbers::narrowed;

/// In which order days are written that begin with one or two digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayOrder {
    /// 30/11/2026.
    DayFirst,
    /// 11/30/2026.
    MonthFirst,
    /// No day of the file tells.
    Unknown,
    /// Some days tell one, some the other.
    Both,
}

impl DayOrder {
    /// What the days of a file tell.
    pub fn of<'c>(cells: impl Iterator<Item = &'c str>) -> Self {
        let mut order = Self::Unknown;
        for (first, second) in cells.filter_map(|cell| ambiguous(&narrowed(cell))).map(|parts| (parts.0, parts.1)) {
            let told = match (first > 12, second > 12) {
                (true, false) => Self::DayFirst,
                (false, true) => Self::MonthFirst,
                _ => continue,
            };
            order = match order {
                Self::Unknown => told,
                same if same == told => same,
                _ => return Self::Both,
            };
        }
        order
    }
}

/// Reads a time as people or spreadsheets write it: RFC 3339, `2026-11-30 09:00`, `2026/11/30 9:00`, `30.11.2026 09:00`,
/// `11/30/2026 9:00 AM`, or the number of days by which Excel counts. Without a zone it is a wall time of `zone`.
///
/// # Errors
/// When it is none of these, or may mean two days.
pub fn instant(cell: &str, zone: Tz, order: DayOrder) -> Result<DateTime<Utc>, String> {
    let cell = narrowed(cell);
    let read = text::instant(&cell, zone);
    let (Err(error), false) = (&read, cell.is_empty()) else { return read.map_err(|error| error.to_string()) };
    if let Some(wall) = excel_days(&cell) {
        return Ok(wall::instant(zone, wall));
    }
    let (day, time) = cell.split_once([' ', 'T', '日']).map_or((cell.as_str(), ""), |(day, time)| (day, time.trim()));
    let day = match parts(day) {
        Some((year, month, day, _)) if year >= 1000 => NaiveDate::from_ymd_opt(i32::try_from(year).unwrap_or(0), month, day),
        Some((first, second, year, mark)) => {
            let (day, month) = match (mark, order) {
                // With points it is the day that stands first, everywhere.
                ('.', _) | (_, DayOrder::DayFirst) => (first, second),
                (_, DayOrder::MonthFirst) => (second, first),
                _ if first > 12 => (first, second),
                _ if second > 12 => (second, first),
                _ => {
                    return Err(format!(
                        "{cell:?} may mean two days, and no other day of the file tells which: write the year first, such as 2026-11-30 09:00"
                    ));
                }
            };
            let year = if year < 100 { year + 2000 } else { year };
            NaiveDate::from_ymd_opt(i32::try_from(year).unwrap_or(0), month, day)
        }
        None => None,
    };
    let wall = day.zip(time_of_day(time)).map(|(day, time)| day.and_time(time));
    // The other reader knows which years make sense.
    let wall = wall.and_then(|wall| text::wall_time(&wall.format("%Y-%m-%dT%H:%M:%S").to_string()).ok());
    wall.map(|wall| wall::instant(zone, wall)).ok_or_else(|| error.to_string())
}

/// The three numbers of a day, and what stands between them.
fn parts(day: &str) -> Option<(u32, u32, u32, char)> {
    let day = day.trim().trim_end_matches('日').replace(['年', '月'], "/");
    let mark = day.chars().find(|c| !c.is_ascii_digit()).filter(|c| matches!(c, '/' | '.' | '-'))?;
    let numbers: Vec<u32> = day.trim_end_matches('.').split(mark).map(|own| own.trim().parse().ok()).collect::<Option<_>>()?;
    let [first, second, third] = numbers[..] else { return None };
    Some((first, second, third, mark))
}

/// A day that may be written in two orders: its first two numbers.
fn ambiguous(cell: &str) -> Option<(u32, u32)> {
    let day = cell.split([' ', 'T']).next()?;
    parts(day).filter(|(first, _, _, mark)| *first < 1000 && *mark != '.').map(|(first, second, ..)| (first, second))
}

/// `9:00`, `09:00:00`, `9:00 PM`; nothing is midnight.
fn time_of_day(text: &str) -> Option<NaiveTime> {
    let text = text.trim().to_ascii_uppercase();
    if text.is_empty() {
        return Some(NaiveTime::MIN);
    }
    let (clock, half) =
        match text.strip_suffix("AM").map(|own| (own, Some(0))).or_else(|| text.strip_suffix("PM").map(|own| (own, Some(12)))) {
            Some((clock, half)) => (clock.trim(), half),
            None => (text.as_str(), None),
        };
    let numbers: Vec<u32> = clock.split(':').map(|own| own.parse().ok()).collect::<Option<_>>()?;
    let (hour, minute, second) = match numbers[..] {
        [hour] if half.is_some() => (hour, 0, 0),
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let hour = match half {
        Some(half) if (1..=12).contains(&hour) => hour % 12 + half,
        Some(_) => return None,
        None => hour,
    };
    NaiveTime::from_hms_opt(hour, minute, second)
}

/// Excel counts days from the end of 1899, and time as a part of a day.
fn excel_days(text: &str) -> Option<NaiveDateTime> {
    let is_number =
        text.bytes().all(|own| own.is_ascii_digit() || own == b'.') && text.split('.').next().is_some_and(|own| own.len() == 5);
    let days: f64 = text.parse().ok().filter(|_| is_number)?;
    // To the second: the part of a day is not exact.
    let seconds = (days * 86_400.0).round();
    let zero = NaiveDate::from_ymd_opt(1899, 12, 30)?.and_time(NaiveTime::MIN);
    #[expect(clippy::cast_possible_truncation, reason = "five digits of days")]
    let seconds = seconds as i64;
    zero.checked_add_signed(TimeDelta::try_seconds(seconds)?)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn times_come_as_spreadsheets_write_them() {
        for text in [
            "2026-11-30 09:00",
            "2026/11/30 9:00",
            "2026/11/30 09:00:00",
            "30.11.2026 09:00",
            "30.11.26 9:00",
            "11/30/2026 9:00 AM",
            "30/11/2026 09:00",
            "30-11-2026 9:00",
            "46356.375",
            "2026年11月30日 9:00",
            "٢٠٢٦-١١-٣٠ ٠٩:٠٠",
            "2026-11-30T10:00:00+01:00",
        ] {
            let at = instant(text, Tz::UTC, DayOrder::Unknown).unwrap();
            assert_eq!(at.to_rfc3339(), "2026-11-30T09:00:00+00:00", "{text}");
        }
        assert_eq!(instant("30.11.2026", Tz::UTC, DayOrder::Unknown).unwrap().to_rfc3339(), "2026-11-30T00:00:00+00:00");
        for text in ["", "soon", "31/31/2026", "2026/13/01", "9:00", "1", "99999999", "2026/11/30 25:00", "1/2/3/4"] {
            assert!(instant(text, Tz::UTC, DayOrder::DayFirst).is_err(), "{text}");
        }
    }

    #[test]
    fn what_may_mean_two_days_is_told_by_another() {
        assert!(instant("03/04/2026", Tz::UTC, DayOrder::Unknown).unwrap_err().contains("two days"));
        let read = |order| instant("03/04/2026 10:00 PM", Tz::UTC, order).unwrap().to_rfc3339();
        assert_eq!(read(DayOrder::of(["13/04/2026", ""].into_iter())), "2026-04-03T22:00:00+00:00");
        assert_eq!(read(DayOrder::of(["04/13/2026"].into_iter())), "2026-03-04T22:00:00+00:00");
        assert_eq!(DayOrder::of(["13/04/2026", "04/13/2026"].into_iter()), DayOrder::Both);
        assert_eq!(DayOrder::of(["13.04.2026", "2026/04/13"].into_iter()), DayOrder::Unknown);
    }

    proptest::proptest! {
        #[test]
        fn no_time_panics(text in ".{0,30}|[0-9./: APM]{0,20}") {
            let _ = instant(&text, Tz::Europe__Berlin, DayOrder::DayFirst);
        }
    }
}
