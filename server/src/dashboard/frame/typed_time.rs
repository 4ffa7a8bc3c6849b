//! A time that somebody typed: the instant that the script has written beside it, or else UTC.

use chrono::{DateTime, NaiveDateTime, Utc};

/// The form holds something that is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dashboard) struct NoTime;

/// The instant of a typed time; `None` where nothing was typed.
///
/// # Errors
/// When it is no time.
pub(in crate::dashboard) fn instant_of(typed: &str, instant: &str) -> Result<Option<DateTime<Utc>>, NoTime> {
    if !instant.is_empty() {
        return DateTime::parse_from_rfc3339(instant).map(|at| Some(at.to_utc())).map_err(|_| NoTime);
    }
    if typed.is_empty() {
        return Ok(None);
    }
    let read = |form: &str| NaiveDateTime::parse_from_str(typed, form).ok();
    let at = read("%Y-%m-%dT%H:%M").or_else(|| read("%Y-%m-%dT%H:%M:%S")).ok_or(NoTime)?;
    Ok(Some(at.and_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(typed: &str, instant: &str) -> Result<Option<String>, NoTime> {
        instant_of(typed, instant).map(|at| at.map(|at| at.to_rfc3339()))
    }

    #[test]
    fn a_time_is_read_in_each_way_a_browser_sends_it() {
        assert_eq!(read("2026-11-21T06:30", ""), Ok(Some("2026-11-21T06:30:00+00:00".to_owned())));
        assert_eq!(read("2026-11-21T06:30:20", ""), Ok(Some("2026-11-21T06:30:20+00:00".to_owned())));
        let written = read("2026-11-21T06:30", "2026-11-20T22:30:00.000Z");
        assert_eq!(written, Ok(Some("2026-11-20T22:30:00+00:00".to_owned())), "what the script wrote counts");
        assert_eq!(read("", ""), Ok(None));
        for (typed, instant) in [("tomorrow", ""), ("2026-11-21", ""), ("2026-11-21T06:30", "soon")] {
            assert_eq!(read(typed, instant), Err(NoTime), "{typed} {instant}");
        }
    }
}
