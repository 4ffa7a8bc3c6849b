//! Wall times: from what a clock on the wall shows to the instant that is meant, on days when clocks change too.
//!
//! The rule is one sentence: **a wall time means the first instant at which the clock on the wall shows it or a later time.**
//! - A time that is skipped (clocks go forward) means the instant at which the gap ends: 02:30 becomes 03:00.
//! - A time that comes twice (clocks go back) means its first occurrence, so the shift that contains the second one is longer.
//! - Wall times in order mean instants in order; two may fall together, never cross.

use chrono::{DateTime, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// The instant that a wall time means.
#[must_use]
pub fn instant(zone: Tz, wall: NaiveDateTime) -> DateTime<Utc> {
    match zone.from_local_datetime(&wall) {
        MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => at.to_utc(),
        MappedLocalTime::None => end_of_gap(zone, wall),
    }
}

/// What the clock on the wall shows at an instant.
#[must_use]
pub fn local(zone: Tz, at: DateTime<Utc>) -> NaiveDateTime {
    zone.from_utc_datetime(&at.naive_utc()).naive_local()
}

/// The first moment of a day.
#[must_use]
pub fn midnight(zone: Tz, day: NaiveDate) -> DateTime<Utc> {
    instant(zone, day.and_time(NaiveTime::MIN))
}

/// The first instant at which the clock shows more than a time that it skips.
fn end_of_gap(zone: Tz, wall: NaiveDateTime) -> DateTime<Utc> {
    // No zone is further from UTC than 14 hours, so before the first of these the time has not come and at the second it has.
    let as_utc = wall.and_utc();
    let (mut before, mut after) = (as_utc - TimeDelta::hours(15), as_utc + TimeDelta::hours(15));
    while after - before > TimeDelta::seconds(1) {
        let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
        if local(zone, middle) >= wall { after = middle } else { before = middle }
    }
    // Clocks change at whole seconds.
    let whole = after - TimeDelta::nanoseconds(i64::from(after.timestamp_subsec_nanos()));
    if local(zone, whole) >= wall { whole } else { after }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn means(zone: &str, wall: &str) -> String {
        let wall = NaiveDateTime::parse_from_str(wall, "%Y-%m-%d %H:%M").unwrap();
        instant(zone.parse().unwrap(), wall).format("%Y-%m-%d %H:%M:%S").to_string()
    }

    #[test]
    fn a_skipped_time_means_the_end_of_the_gap() {
        assert_eq!(means("Europe/Berlin", "2027-03-28 02:00"), "2027-03-28 01:00:00");
        assert_eq!(means("Europe/Berlin", "2027-03-28 02:30"), "2027-03-28 01:00:00");
        assert_eq!(means("Europe/Berlin", "2027-03-28 03:00"), "2027-03-28 01:00:00");
        // Half an hour, a midnight that does not exist, and a whole day.
        assert_eq!(means("Australia/Lord_Howe", "2026-10-04 02:15"), "2026-10-03 15:30:00");
        assert_eq!(means("Africa/Cairo", "2026-04-24 00:00"), "2026-04-23 22:00:00");
        assert_eq!(means("Pacific/Apia", "2011-12-30 12:00"), "2011-12-30 10:00:00");
    }

    #[test]
    fn a_repeated_time_means_its_first_occurrence() {
        assert_eq!(means("America/New_York", "2026-11-01 01:30"), "2026-11-01 05:30:00");
        assert_eq!(means("America/New_York", "2026-11-01 02:00"), "2026-11-01 07:00:00");
    }
}
