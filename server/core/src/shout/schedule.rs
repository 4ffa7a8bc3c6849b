//! When a shout is to go out: the time as a client writes it.

use chrono::{DateTime, FixedOffset, NaiveDate, TimeDelta, Utc};

/// Nothing is planned further ahead.
pub const FURTHEST: TimeDelta = TimeDelta::days(366);

/// Longer texts are no times.
const LONGEST: usize = 64;

/// Why a time is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotATime {
    /// It is none by RFC 3339, or has no zone.
    Unreadable,
    /// It is more than [`FURTHEST`] ahead.
    TooFar,
}

/// Reads a time by RFC 3339: `T`, `t` or a space between date and time, fractions of any length, `Z`, `z`, `+08:00` or `+0800`. What is
/// past is now. A leap second is the second after it.
///
/// # Errors
/// Why it is not taken.
pub fn read(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, NotATime> {
    let at = instant(text).ok_or(NotATime::Unreadable)?;
    if at - now > FURTHEST { Err(NotATime::TooFar) } else { Ok(at) }
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if text.len() > LONGEST || !text.is_ascii() {
        return None;
    }
    let (date, rest) = text.split_at_checked(10)?;
    let date = NaiveDate::parse_from_str(date, "%Y-%m-%d").ok().filter(|_| date.as_bytes().get(4) == Some(&b'-'))?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let [hour, minute, second] = fields(clock)?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?),
        None => ("0", rest),
    };
    // Microseconds are what the databases keep.
    let micros: u32 = fraction.chars().chain("000000".chars()).take(6).collect::<String>().parse().ok()?;
    if fraction.is_empty() || second > 60 {
        return None;
    }
    let leap = TimeDelta::seconds(i64::from(second == 60));
    let wall = date.and_hms_micro_opt(hour, minute, second.min(59), micros)?.checked_add_signed(leap)?;
    wall.and_local_timezone(offset(zone)?).single().map(|at| at.to_utc())
}

/// Two digits each, between colons.
fn fields(clock: &str) -> Option<[u32; 3]> {
    let two = |text: &str| Some(text).filter(|text| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()))?.parse().ok();
    let mut parts = clock.split(':');
    let fields = [two(parts.next()?)?, two(parts.next()?)?, two(parts.next()?)?];
    parts.next().is_none().then_some(fields)
}

fn offset(zone: &str) -> Option<FixedOffset> {
    if matches!(zone, "Z" | "z") {
        return FixedOffset::east_opt(0);
    }
    let (sign, rest) = zone.split_at_checked(1)?;
    let (hours, minutes) = match rest.len() {
        5 => rest.split_once(':')?,
        4 => rest.split_at(2),
        _ => return None,
    };
    let two = |text: &str| {
        text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<i32>().ok()).flatten().filter(|_| text.len() == 2)
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let seconds = (hours < 24 && minutes < 60).then_some((hours * 60 + minutes) * 60)?;
    match sign {
        "+" => FixedOffset::east_opt(seconds),
        "-" => FixedOffset::west_opt(seconds),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_time_is_read_in_every_spelling() {
        let now = at("2026-11-28T00:00:00Z");
        for (text, same) in [
            ("2026-12-01T09:30:00Z", "2026-12-01T09:30:00Z"),
            ("2026-12-01t09:30:00z", "2026-12-01T09:30:00Z"),
            ("2026-12-01 09:30:00+08:00", "2026-12-01T01:30:00Z"),
            ("2026-12-01T09:30:00-0330", "2026-12-01T13:00:00Z"),
            ("2026-12-01T09:30:00.5Z", "2026-12-01T09:30:00.5Z"),
            ("2026-12-01T09:30:00.1234567891234Z", "2026-12-01T09:30:00.123456Z"),
            ("2026-12-31T23:59:60Z", "2027-01-01T00:00:00Z"),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            (" 2026-12-01T09:30:00Z\n", "2026-12-01T09:30:00Z"),
        ] {
            assert_eq!(read(text, now), Ok(at(same)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let now = at("2026-11-28T00:00:00Z");
        for text in [
            "",
            "tomorrow",
            "2026-12-01",
            "2026-12-01T09:30:00",
            "2026-12-01T09:30Z",
            "2026-13-01T09:30:00Z",
            "2026-12-01T25:00:00Z",
            "2026-12-01T09:30:00.Z",
            "2026-12-01T09:30:00+8",
            "2026-12-01T09:30:00+25:00",
            "2026-12-01T09:30:61Z",
            "2026-12-01T9:30:00Z",
            "2026-12-01T09:30:00 Z",
            "２026-12-01T09:30:00Z",
            "2026-12-01T+9:30:00Z",
            "2026-12-01T09:30:00+-1:00",
        ] {
            assert_eq!(read(text, now), Err(NotATime::Unreadable), "{text}");
        }
        assert_eq!(read("9999-12-31T23:59:59Z", now), Err(NotATime::TooFar));
        assert_eq!(read("2027-11-30T00:00:00Z", now), Err(NotATime::TooFar));
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_or_refused(text in ".{0,80}") {
            let _ = read(&text, DateTime::UNIX_EPOCH);
        }

        #[test]
        fn what_is_written_by_the_rule_comes_back(seconds in 0_i64..4_000_000_000, micros in 0_u32..1_000_000, minutes in -1439_i32..1440) {
            let at = DateTime::from_timestamp(seconds, micros * 1000).unwrap();
            let there = at.with_timezone(&FixedOffset::east_opt(minutes * 60).unwrap());
            prop_assert_eq!(read(&there.to_rfc3339(), at), Ok(at));
        }
    }
}
