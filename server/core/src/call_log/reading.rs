//! Times, numbers and days as programs write them that tell of calls.
//!
//! Such a program runs beside a telephone system for years, and few of them are right about zones. So whoever gives it its key says how it is
//! to be read: in which zone its clock stands, whether its `Z` is one, in which country and behind which area code its numbers are.

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::numbers::{Number, NumberError, Region};
use crate::roster::wall;

/// The digits of a number that is dialled without its area code.
pub const LOCAL_DIGITS: usize = 7;
/// No date is shorter or longer than this in either form.
const EXTENDED_DATE: usize = 10;
const BASIC_DATE: usize = 8;
/// No time is written with more characters.
const LONGEST_TIME: usize = 48;
/// Telephone systems keep so many characters of who called.
pub const LONGEST_CALLER: usize = 80;
/// No address has more characters.
pub const LONGEST_URL: usize = 2_048;
/// No area code has more digits.
const LONGEST_AREA_CODE: usize = 8;

/// How a program is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The country of numbers without a country code.
    pub region: Region,
    /// The zone of times without one.
    pub zone: Tz,
    /// What stands before numbers of seven digits; empty: nothing does.
    pub area_code: String,
    /// It writes a `Z` behind times that are not UTC but of that zone.
    pub z_is_local: bool,
}

/// What was said of that for a key; what was not is the installation's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Said {
    /// The country, by its two letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The zone, by its IANA name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Tz>,
    /// Digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub area_code: Option<String>,
    /// Whether its `Z` is no UTC.
    pub z_is_local: bool,
}

impl Said {
    /// The rule, with this installation's country and zone for what was not said.
    #[must_use]
    pub fn rule(&self, region: Region, zone: Tz) -> Rule {
        Rule {
            region: self.region.as_deref().and_then(|code| code.parse().ok()).unwrap_or(region),
            zone: self.zone.unwrap_or(zone),
            area_code: self.area_code.clone().unwrap_or_default(),
            z_is_local: self.z_is_local,
        }
    }
}

/// Whether this can stand before numbers of seven digits.
#[must_use]
pub fn is_area_code(text: &str) -> bool {
    (1..=LONGEST_AREA_CODE).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit())
}

/// Why a time was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotATime {
    /// It is none.
    #[error("this is no time: write it by ISO 8601, such as 2012-08-23T12:20:33 or 2012-08-23T12:20:33-04:30")]
    Unreadable,
    /// Nobody has called then.
    #[error("this time is not between 1970 and 9998")]
    OutOfRange,
}

/// Why a day was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotADay {
    /// It has hours.
    #[error("this has a time of day: give the date alone, such as 2012-08-23")]
    HasHours,
    /// It is none.
    #[error("this is no date: write it by ISO 8601, such as 2012-08-23")]
    Unreadable,
}

/// The instant that a program means by a time, cut to microseconds.
///
/// By ISO 8601, extended or basic; the two parts may have a blank between them. A `+` before the distance from UTC may have become a blank on
/// its way. A time that the zone has twice means the first, one that it skips the end of the gap.
///
/// # Errors
/// Why it was not understood.
pub fn instant(text: &str, rule: &Rule) -> Result<DateTime<Utc>, NotATime> {
    let text = text.trim();
    if text.len() > LONGEST_TIME || !text.is_ascii() {
        return Err(NotATime::Unreadable);
    }
    let (day, rest) = date_in_front(text).ok_or(NotATime::Unreadable)?;
    let rest = rest.strip_prefix(['T', 't', ' ', '+']).ok_or(NotATime::Unreadable)?;
    let (time, zone) = time_in_front(rest).ok_or(NotATime::Unreadable)?;
    let wall = day.and_time(time);
    let meant = match zone {
        Behind::Nothing => wall::instant(rule.zone, wall),
        Behind::Z if rule.z_is_local => wall::instant(rule.zone, wall),
        Behind::Z => wall.and_utc(),
        Behind::Distance(distance) => from_distance(wall, distance).ok_or(NotATime::OutOfRange)?,
    };
    if !(1970..=9998).contains(&meant.year()) {
        return Err(NotATime::OutOfRange);
    }
    let micros = meant.nanosecond() % 1_000_000_000 / 1_000 * 1_000;
    meant.with_nanosecond(micros).ok_or(NotATime::Unreadable)
}

/// What stands behind a time.
enum Behind {
    Nothing,
    Z,
    Distance(FixedOffset),
}

fn from_distance(wall: NaiveDateTime, distance: FixedOffset) -> Option<DateTime<Utc>> {
    distance.from_local_datetime(&wall).single().map(|at| at.to_utc())
}

fn digits(text: &str, from: usize, to: usize) -> Option<u32> {
    let part = text.get(from..to).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?;
    part.parse().ok()
}

/// The date that a text begins with, and what follows.
fn date_in_front(text: &str) -> Option<(NaiveDate, &str)> {
    let extended = text.as_bytes().get(4) == Some(&b'-');
    let (month, day, length) = if extended { (5, 8, EXTENDED_DATE) } else { (4, 6, BASIC_DATE) };
    if extended && text.as_bytes().get(7) != Some(&b'-') {
        return None;
    }
    let year = i32::try_from(digits(text, 0, 4)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, digits(text, month, month + 2)?, digits(text, day, day + 2)?)?;
    Some((date, text.get(length..)?))
}

/// The time of day that a text begins with, and what of a zone stands behind.
fn time_in_front(text: &str) -> Option<(NaiveTime, Behind)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.' | ','))).unwrap_or(text.len());
    let (time, zone) = text.split_at(end);
    let (whole, fraction) = time.split_once(['.', ',']).unwrap_or((time, ""));
    let colon = whole.contains(':');
    let (minute, second) = if colon { (3, 6) } else { (2, 4) };
    let seconds = match whole.len() {
        8 if colon => digits(whole, second, 8)?,
        6 if !colon => digits(whole, second, 6)?,
        5 if colon => 0,
        4 if !colon => 0,
        _ => return None,
    };
    if colon && !whole.bytes().enumerate().all(|(place, byte)| (byte == b':') == matches!(place, 2 | 5)) {
        return None;
    }
    let nanos = match fraction {
        "" if time.len() == whole.len() => 0,
        "" => return None,
        _ => format!("{:0<9.9}", Some(fraction).filter(|f| f.bytes().all(|b| b.is_ascii_digit()))?).parse().ok()?,
    };
    let time = NaiveTime::from_hms_nano_opt(digits(whole, 0, 2)?, digits(whole, minute, minute + 2)?, seconds, nanos)?;
    let behind = match zone.trim_end() {
        "" => Behind::Nothing,
        "Z" | "z" => Behind::Z,
        distance => Behind::Distance(distance_of(distance)?),
    };
    Some((time, behind))
}

/// A distance from UTC: `+04:30`, `-0430`, `+04`; with a blank where a `+` stood.
fn distance_of(text: &str) -> Option<FixedOffset> {
    let (sign, rest) = text.split_at_checked(1)?;
    let hours = digits(rest, 0, 2)?;
    let minutes = match rest.len() {
        2 => 0,
        4 => digits(rest, 2, 4)?,
        5 if rest.as_bytes()[2] == b':' => digits(rest, 3, 5)?,
        _ => return None,
    };
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok().filter(|_| hours < 24 && minutes < 60)?;
    match sign {
        "+" | " " => FixedOffset::east_opt(seconds),
        "-" => FixedOffset::west_opt(seconds),
        _ => None,
    }
}

/// The number that was called, in its comparable form.
///
/// # Errors
/// Why it is none.
pub fn number(text: &str, rule: &Rule) -> Result<Number, NumberError> {
    let written = plainly(text);
    let bare: String = written.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '/' | '(' | ')')).collect();
    let is_local = bare.len() == LOCAL_DIGITS && bare.bytes().all(|digit| digit.is_ascii_digit());
    let whole = if is_local && !rule.area_code.is_empty() { format!("{}{bare}", rule.area_code) } else { written };
    Number::parse(&whole, rule.region).map(|parsed| parsed.number)
}

/// Who called, as it is kept and compared: the words of the system, which may be an extension, a number or a name. `None` where there are
/// none, too many, or such as nobody can see.
#[must_use]
pub fn caller(text: &str) -> Option<String> {
    let written = plainly(text);
    let may = !written.is_empty() && written.chars().count() <= LONGEST_CALLER && !written.chars().any(char::is_control);
    may.then_some(written)
}

/// Without blanks around it. A `+` is a plus where a number begins with it, and stands for a blank anywhere else.
fn plainly(text: &str) -> String {
    let text = text.trim();
    match text.strip_prefix('+') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => format!("+{}", rest.replace('+', " ")),
        _ => text.replace('+', " ").trim().to_owned(),
    }
}

/// Whether pages may lead there: `http` or `https`, a host, and nothing that a browser would read past.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let after = |scheme: &str| {
        text.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme)).and_then(|_| text.get(scheme.len()..))
    };
    let Some(rest) = after("http://").or_else(|| after("https://")) else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let fits = text.chars().count() <= LONGEST_URL && !text.chars().any(|c| c.is_control() || c == '\\');
    fits && host.chars().any(char::is_alphanumeric) && !host.contains(char::is_whitespace)
}

/// A day, without hours.
///
/// # Errors
/// Why it is none.
pub fn day(text: &str) -> Result<NaiveDate, NotADay> {
    let text = text.trim();
    if !text.is_ascii() || text.len() > LONGEST_TIME {
        return Err(NotADay::Unreadable);
    }
    match date_in_front(text) {
        Some((day, "")) if (1970..=9998).contains(&day.year()) => Ok(day),
        Some((_, rest)) if rest.starts_with(['T', 't', ' ', '+']) => Err(NotADay::HasHours),
        _ => Err(NotADay::Unreadable),
    }
}

/// From when and until before when the days between two are, which are not among them; `None` where there is none between.
#[must_use]
pub fn between(from: NaiveDate, to: NaiveDate, zone: Tz) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let first = from.succ_opt().filter(|first| *first < to)?;
    Some((wall::midnight(zone, first), wall::midnight(zone, to)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use chrono::TimeDelta;
    use proptest::prelude::*;

    fn rule(region: &str, zone: &str) -> Rule {
        Rule { region: region.parse().unwrap(), zone: zone.parse().unwrap(), area_code: String::new(), z_is_local: false }
    }

    fn means(text: &str, rule: &Rule) -> String {
        instant(text, rule).map_or_else(|why| format!("{why:?}"), |at| at.format("%Y-%m-%dT%H:%M:%S%.f").to_string())
    }

    #[test]
    fn a_time_is_read_as_its_program_means_it() {
        let utc = rule("VE", "UTC");
        let caracas = rule("VE", "America/Caracas");
        let mislabelled = Rule { z_is_local: true, ..caracas.clone() };
        for (text, by_utc, by_caracas, with_z) in [
            ("2026-08-23T12:20:33", "2026-08-23T12:20:33", "2026-08-23T16:20:33", "2026-08-23T16:20:33"),
            ("2026-08-23T12:20:33Z", "2026-08-23T12:20:33", "2026-08-23T12:20:33", "2026-08-23T16:20:33"),
            ("2026-08-23T12:20:33+04:30", "2026-08-23T07:50:33", "2026-08-23T07:50:33", "2026-08-23T07:50:33"),
            ("2026-08-23T12:20:33 04:30", "2026-08-23T07:50:33", "2026-08-23T07:50:33", "2026-08-23T07:50:33"),
            ("2026-08-23T12:20:33-0430", "2026-08-23T16:50:33", "2026-08-23T16:50:33", "2026-08-23T16:50:33"),
            ("20260823T122033-04", "2026-08-23T16:20:33", "2026-08-23T16:20:33", "2026-08-23T16:20:33"),
            (" 2026-08-23 12:20 ", "2026-08-23T12:20:00", "2026-08-23T16:20:00", "2026-08-23T16:20:00"),
            ("2026-08-23+12:20:33", "2026-08-23T12:20:33", "2026-08-23T16:20:33", "2026-08-23T16:20:33"),
            (
                "2026-08-23T12:20:33.1234567z",
                "2026-08-23T12:20:33.123456",
                "2026-08-23T12:20:33.123456",
                "2026-08-23T16:20:33.123456",
            ),
            // Until 2007 and from 2016 on Caracas is four hours behind, between them four and a half.
            ("2012-08-23T12:20:33", "2012-08-23T12:20:33", "2012-08-23T16:50:33", "2012-08-23T16:50:33"),
        ] {
            assert_eq!((means(text, &utc), means(text, &caracas)), (by_utc.to_owned(), by_caracas.to_owned()), "{text}");
            assert_eq!(means(text, &mislabelled), with_z, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        let utc = rule("VE", "UTC");
        for text in [
            "",
            "now",
            "2026-08-23",
            "2026-08-23T",
            "2026-08-23T12",
            "2026-08-23T25:00:00",
            "2026-02-30T12:00:00",
            "0000-00-00 00:00:00",
            "2026-08-23T12:20:33+24:00",
            "2026-08-23T12:20:33+4",
            "2026-08-23T12:20:33UTC",
            "2026-08-23T12:20:33.",
            "2026-08-23T12:2033",
            "2026-0823T12:20:33",
            "2026-08-23T12:20:33Z2026-08-23T12:20:33Z",
            "23/08/2026 12:20",
            "١٢",
            "2026-08-23T1::20:33",
        ] {
            assert_eq!(instant(text, &utc), Err(NotATime::Unreadable), "{text:?}");
        }
        for text in ["1969-12-31T23:59:59Z", "9999-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"] {
            assert_eq!(instant(text, &utc), Err(NotATime::OutOfRange), "{text:?}");
        }
    }

    #[test]
    fn in_the_doubled_hour_the_first_counts() {
        let berlin = rule("DE", "Europe/Berlin");
        assert_eq!(means("2026-10-25T02:30:00", &berlin), "2026-10-25T00:30:00");
        assert_eq!(means("2026-03-29T02:30:00", &berlin), "2026-03-29T01:00:00", "skipped: the end of the gap");
    }

    #[test]
    fn a_number_is_read_where_it_was_dialled() {
        let caracas = Rule { area_code: "0261".to_owned(), ..rule("VE", "UTC") };
        for (text, number) in [
            ("02122853348", "+582122853348"),
            ("0212 285 3348", "+582122853348"),
            ("0212-2345678", "+582122345678"),
            ("+584122345678", "+584122345678"),
            (" 584122345678", "+584122345678"),
            ("58-412-2345678", "+584122345678"),
            ("00584122345678", "+584122345678"),
            ("2853348", "+582612853348"),
            ("285-33-48", "+582612853348"),
            ("+12125551234", "+12125551234"),
        ] {
            assert_eq!(super::number(text, &caracas).unwrap().as_str(), number, "{text}");
        }
        assert_eq!(
            super::number("2853348", &rule("VE", "UTC")).unwrap().as_str(),
            "2853348",
            "nobody says behind which area code"
        );
        for text in ["", "s", "*97", "911", "12", "h"] {
            assert!(super::number(text, &caracas).is_err(), "{text}");
        }
    }

    #[test]
    fn who_called_stays_as_it_was_written() {
        for (text, kept) in [
            ("7222", Some("7222")),
            (" SIP/7222-0001 ", Some("SIP/7222-0001")),
            ("+584122345678", Some("+584122345678")),
            ("Ana+P\u{e9}rez", Some("Ana P\u{e9}rez")),
            ("\"Ana\" <7222>", Some("\"Ana\" <7222>")),
            ("", None),
            ("+", None),
            ("a\nb", None),
        ] {
            assert_eq!(caller(text).as_deref(), kept, "{text:?}");
        }
        assert_eq!(caller(&"7".repeat(81)), None);
    }

    #[test]
    fn only_what_pages_may_lead_to_is_an_address() {
        for good in
            ["http://192.168.128.96/recordings/SIP/7222-01", "HTTPS://pbx.example.com", "http://[::1]:8/x?y#z", "http://h/a b"]
        {
            assert!(is_address(good), "{good}");
        }
        let long = format!("http://h/{}", "x".repeat(LONGEST_URL));
        for bad in [
            "javascript:alert(1)",
            "http:alert(1)",
            "http:/x",
            "http://",
            "http:///x",
            "ftp://h/x",
            "//h/x",
            "http://h/\u{7}",
            "http:\\\\h",
            "data:text/html,x",
            " http://h",
            "",
            &long,
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn days_are_without_hours_and_those_named_are_not_among_them() {
        assert_eq!(day(" 2012-08-23 "), Ok(NaiveDate::from_ymd_opt(2012, 8, 23).unwrap()));
        assert_eq!(day("20120823"), day("2012-08-23"));
        for text in ["2012-08-23T00:00:00", "2012-08-23 00:00", "2012-08-23+00:00", "20120823T0000"] {
            assert_eq!(day(text), Err(NotADay::HasHours), "{text}");
        }
        for text in ["", "yesterday", "2012-8-23", "2012-13-01", "2012-08-23x", "12345-01-01"] {
            assert_eq!(day(text), Err(NotADay::Unreadable), "{text}");
        }
        let days = |from: &str, to: &str| {
            let (first, end) = between(day(from).unwrap(), day(to).unwrap(), chrono_tz::America::Caracas)?;
            Some((first.to_string(), end.to_string()))
        };
        assert_eq!(
            days("2026-08-23", "2026-08-25"),
            Some(("2026-08-24 04:00:00 UTC".to_owned(), "2026-08-25 04:00:00 UTC".to_owned()))
        );
        assert_eq!(days("2026-08-23", "2026-08-24"), None);
        assert_eq!(days("2026-08-23", "2026-08-23"), None);
        assert_eq!(days("2026-08-25", "2026-08-23"), None);
    }

    fn zone() -> impl Strategy<Value = Tz> {
        prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec())
    }

    /// A whole second from 1971 to 2037.
    fn some_time() -> impl Strategy<Value = DateTime<Utc>> {
        (31_536_000_i64..2_114_380_800).prop_map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap())
    }

    proptest! {
        #[test]
        fn a_time_with_its_distance_means_itself_in_every_zone(at in some_time(), zone in zone(), of_the_key in zone()) {
            let rule = Rule { z_is_local: true, ..rule("VE", of_the_key.name()) };
            let there = at.with_timezone(&zone);
            // Some zones have distances of odd seconds, which ISO 8601 cannot say.
            prop_assume!(chrono::Offset::fix(there.offset()).local_minus_utc() % 60 == 0);
            for form in ["%Y-%m-%dT%H:%M:%S%:z", "%Y%m%dT%H%M%S%z", "%Y-%m-%d %H:%M:%S%:z"] {
                let text = there.format(form).to_string();
                prop_assert_eq!(instant(&text, &rule), Ok(at), "{}", &text);
                // As it arrives from whoever does not escape it.
                prop_assert_eq!(instant(&text.replace('+', " "), &rule), Ok(at), "{}", text);
            }
        }

        #[test]
        fn a_time_without_a_zone_is_on_the_wall_of_the_key(at in some_time(), zone in zone()) {
            let plain = rule("VE", zone.name());
            let mislabelled = Rule { z_is_local: true, ..plain.clone() };
            let text = wall::local(zone, at).format("%Y-%m-%dT%H:%M:%S").to_string();
            let read = instant(&text, &plain).unwrap();
            prop_assert_eq!(wall::local(zone, read), wall::local(zone, at), "the clock shows what was written");
            prop_assert!(read <= at, "and the first time that it does");
            let with_z = format!("{text}Z");
            prop_assert_eq!(instant(&with_z, &mislabelled), Ok(read));
            prop_assert_eq!(instant(&with_z, &plain), Ok(text.parse::<NaiveDateTime>().unwrap().and_utc()));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,60}|[0-9TZ:+. -]{0,40}", zone in zone()) {
            let rule = Rule { area_code: "0261".to_owned(), ..rule("VE", zone.name()) };
            let _ = (instant(&text, &rule), super::number(&text, &rule), caller(&text), day(&text));
        }

        #[test]
        fn a_number_is_one_however_it_is_written(national in "(212|261|412|414|424)[2-9][0-9]{6}", cut in 1_usize..9, blank in "[- .]") {
            let rule = rule("VE", "UTC");
            let whole = super::number(&format!("+58{national}"), &rule).unwrap();
            let (head, tail) = national.split_at(cut);
            for text in [
                format!("0{national}"), format!("58{national}"), format!("0058{national}"), format!(" 58{national}"), national.clone(),
                format!("0{head}{blank}{tail}"), format!("58-{head}{blank}{tail}"), format!("+58 {head}{blank}{tail}"),
            ] {
                // Without a decimal point that a spreadsheet has left.
                prop_assume!(!text.contains('.'));
                prop_assert_eq!(super::number(&text, &rule), Ok(whole.clone()), "{}", text);
            }
            let local = Rule { area_code: format!("0{}", &national[..3]), ..rule };
            prop_assert_eq!(super::number(&national[3..], &local), Ok(whole));
        }

        #[test]
        fn only_what_lies_between_the_days_is_between(
            at in some_time(), before in 0_i64..4, after in 0_i64..4,
            zone in prop::sample::select(vec!["UTC", "America/Caracas", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "Asia/Tokyo"]),
        ) {
            let zone: Tz = zone.parse().unwrap();
            let on = wall::local(zone, at).date();
            let (from, to) = (on - TimeDelta::days(before), on + TimeDelta::days(after));
            let hit = between(from, to, zone).is_some_and(|(first, end)| first <= at && at < end);
            prop_assert_eq!(hit, before > 0 && after > 0, "{} in {} to {}", on, from, to);
        }
    }
}
