//! Hours on duty: how long somebody was on duty between two instants, and how much of that was night or weekend where they live.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveTime, Utc};
use chrono_tz::Tz;

use super::counted::{NIGHT_BEGINS, NIGHT_ENDS, is_night, is_weekend};
use crate::ids::PersonId;
use crate::roster::wall;

/// More days than this are not looked at for one answer.
const MOST_DAYS: u64 = 800;

/// A time: from one instant to before another.
pub type Span = (DateTime<Utc>, DateTime<Utc>);

/// How long somebody was on duty, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnDuty {
    /// In all.
    pub seconds: i64,
    /// Of these, at night.
    pub night_seconds: i64,
    /// Of these, at a weekend; a night there is among both.
    pub weekend_seconds: i64,
}

impl OnDuty {
    /// Adds another time.
    pub fn add(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.night_seconds += other.night_seconds;
        self.weekend_seconds += other.weekend_seconds;
    }
}

/// When each person was on duty by one schedule: from its hand-overs in order, until an instant.
#[must_use]
pub fn spans(hand_overs: &[(DateTime<Utc>, Vec<PersonId>)], until: DateTime<Utc>) -> BTreeMap<PersonId, Vec<Span>> {
    let mut spans: BTreeMap<PersonId, Vec<Span>> = BTreeMap::new();
    for (place, (from, people)) in hand_overs.iter().enumerate() {
        let to = hand_overs.get(place + 1).map_or(until, |(at, _)| *at).min(until);
        if *from < to {
            for person in people {
                spans.entry(*person).or_default().push((*from, to));
            }
        }
    }
    spans
}

/// How long that is within a time, by the clocks of a zone. What overlaps, such as two schedules at once, counts once.
#[must_use]
pub fn on_duty(mut spans: Vec<Span>, within: Span, zone: Tz) -> OnDuty {
    spans.sort_unstable();
    let mut total = OnDuty::default();
    let mut done = within.0;
    for (from, to) in spans {
        let (from, to) = (from.max(done), to.min(within.1));
        if from < to {
            total.add(judged(from, to, zone));
            done = to;
        }
    }
    total
}

/// One time without a hole, cut where day and night, and where days, meet.
fn judged(from: DateTime<Utc>, to: DateTime<Utc>, zone: Tz) -> OnDuty {
    let mut total = OnDuty::default();
    let first = wall::local(zone, from).date();
    let mut at = from;
    for day in (0..MOST_DAYS).map_while(|days| first.checked_add_days(Days::new(days))) {
        let hour = |hour| NaiveTime::from_hms_opt(hour, 0, 0).map(|time| wall::instant(zone, day.and_time(time)));
        let next = day.succ_opt().map(|next| wall::midnight(zone, next));
        for edge in [hour(NIGHT_ENDS), hour(NIGHT_BEGINS), next].into_iter().flatten().map(|edge| edge.min(to)) {
            if edge <= at {
                continue;
            }
            let seconds = (edge - at).num_seconds();
            total.add(OnDuty {
                seconds,
                night_seconds: if is_night(zone, at) { seconds } else { 0 },
                weekend_seconds: if is_weekend(zone, at) { seconds } else { 0 },
            });
            at = edge;
        }
        if at >= to {
            break;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use chrono::TimeDelta;
    use chrono_tz::Europe::Berlin;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn hours(spans: &[(&str, &str)], zone: Tz) -> (i64, i64, i64) {
        let spans: Vec<Span> = spans.iter().map(|(from, to)| (at(from), at(to))).collect();
        let on = on_duty(spans, (at("2000-01-01T00:00:00Z"), at("2100-01-01T00:00:00Z")), zone);
        (on.seconds / 3600, on.night_seconds / 3600, on.weekend_seconds / 3600)
    }

    #[test]
    fn a_week_has_nine_hours_of_night_a_day_and_two_days_of_weekend() {
        assert_eq!(hours(&[("2027-01-04T00:00:00Z", "2027-01-11T00:00:00Z")], Tz::UTC), (168, 63, 48));
    }

    #[test]
    fn the_night_on_which_clocks_change_is_shorter_or_longer() {
        // From Saturday 22:00 to Sunday 07:00 there.
        assert_eq!(hours(&[("2027-03-27T21:00:00Z", "2027-03-28T05:00:00Z")], Berlin), (8, 8, 8));
        assert_eq!(hours(&[("2027-10-30T20:00:00Z", "2027-10-31T06:00:00Z")], Berlin), (10, 10, 10));
    }

    #[test]
    fn two_schedules_at_once_count_once() {
        let both = [("2027-01-05T08:00:00Z", "2027-01-05T18:00:00Z"), ("2027-01-05T12:00:00Z", "2027-01-05T20:00:00Z")];
        assert_eq!(hours(&both, Tz::UTC), (12, 0, 0));
    }

    #[test]
    fn hand_overs_become_times_until_the_next_one() {
        let (ann, ben) = (PersonId(Uuid::from_u128(1)), PersonId(Uuid::from_u128(2)));
        let hand_overs = [
            (at("2027-01-04T08:00:00Z"), vec![ann]),
            (at("2027-01-04T20:00:00Z"), vec![ann, ben]),
            (at("2027-01-05T08:00:00Z"), Vec::new()),
            (at("2027-01-05T20:00:00Z"), vec![ben]),
        ];
        let spans = spans(&hand_overs, at("2027-01-05T21:00:00Z"));
        let total = |person| on_duty(spans[&person].clone(), (at("2027-01-01T00:00:00Z"), at("2027-02-01T00:00:00Z")), Tz::UTC);
        assert_eq!(total(ann).seconds / 3600, 24);
        assert_eq!(total(ben).seconds / 3600, 13);
    }

    proptest! {
        /// Cut into pieces, and in whatever order, it is as long as it is; nothing is longer than the time asked for.
        #[test]
        fn all_of_a_time_is_counted_once(start in 0_i64..60_000, cuts in prop::collection::vec(1_i64..100, 1..20), shift in 0_usize..20) {
            let from = at("2027-03-20T00:00:00Z") + TimeDelta::minutes(start);
            let mut pieces = Vec::new();
            let mut end = from;
            for cut in cuts {
                pieces.push((end, end + TimeDelta::hours(cut)));
                end += TimeDelta::hours(cut);
            }
            let whole = on_duty(vec![(from, end)], (from, end), Berlin);
            prop_assert_eq!(whole.seconds, (end - from).num_seconds());
            let shift = shift % pieces.len();
            pieces.rotate_left(shift);
            prop_assert_eq!(on_duty(pieces, (from, end), Berlin), whole);
            prop_assert!(whole.night_seconds <= whole.seconds && whole.weekend_seconds <= whole.seconds);
        }
    }
}
