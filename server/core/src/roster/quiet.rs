//! Quiet hours: who is not to be rung now, and from when on again.
//!
//! They are wall times, from one up to another, over midnight if the second is not later than the first. A critical alarm knows no
//! quiet hours. Where the clock is set back, they end when the wall shows their end for the first time.

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::wall;
use crate::alarm::Priority;
use crate::ids::PersonId;

/// When somebody is left in peace by alarms that can wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// Who; `None`: everybody without quiet hours of their own.
    pub person: Option<PersonId>,
    /// They begin at this wall time.
    pub from: NaiveTime,
    /// They have ended at this one; the same as `from` means all day, and so for ever.
    pub to: NaiveTime,
    /// Where the wall is.
    pub zone: Tz,
    /// Alarms of this priority and below wait.
    pub up_to: Priority,
}

/// Rules are followed one after the other for so long. Those that have no gap by then have none: nobody is left in peace for ever, or
/// an alarm would wait for ever.
const LONGEST: TimeDelta = TimeDelta::days(3);

/// Until when somebody is not rung for an alarm of this priority; `None`: they may be rung now.
#[must_use]
pub fn until(rules: &[QuietHours], person: Option<PersonId>, priority: Priority, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if priority == Priority::Critical {
        return None;
    }
    let own = person.is_some() && rules.iter().any(|rule| rule.person == person);
    let whose = if own { person } else { None };
    let end_of = |at| {
        let held = rules.iter().filter(|rule| rule.person == whose && priority <= rule.up_to);
        held.filter_map(|rule| end(rule, at)).max()
    };
    let mut quiet_until = end_of(at)?;
    while let Some(later) = end_of(quiet_until) {
        if later - at > LONGEST {
            return None;
        }
        quiet_until = later;
    }
    Some(quiet_until)
}

/// Whose quiet hours never end for alarms of some priority, so that they count as none; the first of them in `rules`.
#[must_use]
pub fn endless(rules: &[QuietHours], at: DateTime<Utc>) -> Option<usize> {
    let is_quiet = |rule: &QuietHours, at| {
        let held = rules.iter().filter(|own| own.person == rule.person && rule.up_to <= own.up_to);
        held.filter_map(|own| end(own, at)).max()
    };
    let never_ends = |rule: &&QuietHours| {
        let mut until = end(rule, at).unwrap_or(at);
        while let Some(later) = is_quiet(rule, until) {
            if later - at > LONGEST {
                return true;
            }
            until = later;
        }
        false
    };
    rules.iter().position(|rule| never_ends(&rule))
}

/// When the quiet hours end that hold at an instant.
fn end(rule: &QuietHours, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let local = wall::local(rule.zone, at);
    let (day, time) = (local.date(), local.time());
    let tomorrow = day.checked_add_days(Days::new(1))?;
    let last_day = match rule.from < rule.to {
        true if rule.from <= time && time < rule.to => day,
        true => return None,
        // Over midnight.
        false if time >= rule.from => tomorrow,
        false if time < rule.to => day,
        false => return None,
    };
    Some(wall::instant(rule.zone, last_day.and_time(rule.to))).filter(|end| *end > at)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn time(text: &str) -> NaiveTime {
        NaiveTime::parse_from_str(text, "%H:%M").unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn nights(zone: &str, up_to: Priority) -> QuietHours {
        QuietHours { person: None, from: time("22:00"), to: time("07:00"), zone: zone.parse().unwrap(), up_to }
    }

    #[test]
    fn low_waits_for_the_morning_and_critical_never() {
        let rules = [nights("Europe/Berlin", Priority::Normal)];
        let night = at("2026-11-20T01:00:00Z");
        let morning = Some(at("2026-11-20T06:00:00Z"));
        assert_eq!(until(&rules, None, Priority::Low, night), morning);
        assert_eq!(until(&rules, None, Priority::Normal, night), morning);
        assert_eq!(until(&rules, None, Priority::High, night), None);
        assert_eq!(until(&[nights("Europe/Berlin", Priority::Critical)], None, Priority::Critical, night), None);
        assert_eq!(until(&rules, None, Priority::Low, at("2026-11-20T06:00:00Z")), None, "at seven it is over");
        assert_eq!(until(&rules, None, Priority::Low, at("2026-11-20T20:59:59Z")), None);
        assert_eq!(until(&rules, None, Priority::Low, at("2026-11-20T21:00:00Z")), Some(at("2026-11-21T06:00:00Z")));
    }

    #[test]
    fn ones_own_quiet_hours_replace_those_of_everybody() {
        let ann = PersonId(Uuid::from_u128(1));
        let own = QuietHours { person: Some(ann), from: time("12:00"), to: time("13:00"), ..nights("UTC", Priority::Low) };
        let rules = [nights("UTC", Priority::Low), own];
        assert_eq!(until(&rules, Some(ann), Priority::Low, at("2026-11-20T01:00:00Z")), None);
        assert_eq!(until(&rules, Some(ann), Priority::Low, at("2026-11-20T12:30:00Z")), Some(at("2026-11-20T13:00:00Z")));
        let bob = PersonId(Uuid::from_u128(2));
        assert_eq!(until(&rules, Some(bob), Priority::Low, at("2026-11-20T01:00:00Z")), Some(at("2026-11-20T07:00:00Z")));
    }

    #[test]
    fn a_clock_that_changes_moves_the_end_with_the_wall() {
        let rules = [nights("Europe/Berlin", Priority::Low)];
        // Forward in the night of 28 March 2027, back in that of 31 October.
        assert_eq!(until(&rules, None, Priority::Low, at("2027-03-27T21:30:00Z")), Some(at("2027-03-28T05:00:00Z")));
        assert_eq!(until(&rules, None, Priority::Low, at("2027-10-30T20:30:00Z")), Some(at("2027-10-31T06:00:00Z")));
        let short = QuietHours { from: time("01:00"), to: time("02:30"), ..rules[0].clone() };
        assert_eq!(
            until(std::slice::from_ref(&short), None, Priority::Low, at("2027-03-28T00:30:00Z")),
            Some(at("2027-03-28T01:00:00Z"))
        );
        assert_eq!(
            until(std::slice::from_ref(&short), None, Priority::Low, at("2027-10-31T00:10:00Z")),
            Some(at("2027-10-31T00:30:00Z"))
        );
        assert_eq!(until(&[short], None, Priority::Low, at("2027-10-31T01:10:00Z")), None, "02:10 for the second time");
    }

    #[test]
    fn one_after_the_other() {
        let evening = QuietHours { from: time("18:00"), to: time("22:00"), ..nights("UTC", Priority::Low) };
        let rules = [nights("UTC", Priority::Low), evening];
        assert_eq!(until(&rules, None, Priority::Low, at("2026-11-20T19:00:00Z")), Some(at("2026-11-21T07:00:00Z")));
    }

    #[test]
    fn nobody_is_left_in_peace_for_ever() {
        let all_day = QuietHours { from: time("00:00"), to: time("00:00"), ..nights("UTC", Priority::Low) };
        let now = at("2026-11-20T12:00:00Z");
        assert_eq!(endless(std::slice::from_ref(&all_day), now), Some(0));
        assert_eq!(until(&[all_day], None, Priority::Low, now), None);
        let days = QuietHours { from: time("06:30"), to: time("22:30"), ..nights("UTC", Priority::Normal) };
        assert_eq!(endless(std::slice::from_ref(&days), now), None);
        assert_eq!(
            endless(&[days.clone(), nights("UTC", Priority::Low)], now),
            Some(1),
            "low alarms have no gap left, normal ones have"
        );
        let zones = [days.clone(), nights("Asia/Tokyo", Priority::Normal)];
        assert_eq!(endless(&zones, now), None, "another zone's night leaves one");
    }

    proptest! {
        /// Against the wall, minute by minute: whoever is quiet stays so until the end that was told, and is not at that end.
        #[test]
        fn the_wall_agrees(
            from in 0..1440_u32, to in 0..1440_u32, start in 0..525_600_i64,
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
        ) {
            // All day long is for ever.
            prop_assume!(from != to);
            let clock = |minute: u32| NaiveTime::from_hms_opt(minute / 60, minute % 60, 0).unwrap();
            let zone: Tz = zone.parse().unwrap();
            let rule = QuietHours { person: None, from: clock(from), to: clock(to), zone, up_to: Priority::Low };
            let now = at("2027-01-01T00:00:00Z") + TimeDelta::minutes(start);
            let shown = |at| wall::local(zone, at).time();
            let on_the_wall = |time: NaiveTime| match from < to {
                true => clock(from) <= time && time < clock(to),
                false => time >= clock(from) || time < clock(to),
            };
            match until(std::slice::from_ref(&rule), None, Priority::Low, now) {
                Some(end) => {
                    prop_assert!(end > now && on_the_wall(shown(now)));
                    prop_assert!(end - now <= TimeDelta::hours(25));
                    let mut minute = now;
                    while minute < end {
                        prop_assert!(on_the_wall(shown(minute)), "{minute}");
                        minute += TimeDelta::minutes(1);
                    }
                }
                // Only the second time round is a wall time not quiet that looks so.
                None => {
                    let hour_before = shown(now - TimeDelta::hours(1)) >= shown(now) || shown(now - TimeDelta::minutes(30)) >= shown(now);
                    prop_assert!(!on_the_wall(shown(now)) || hour_before);
                }
            }
        }
    }
}
