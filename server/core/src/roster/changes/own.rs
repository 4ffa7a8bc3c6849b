//! The shifts of one person: which they have now, and which come; pure.

use chrono::{DateTime, Utc};

use crate::ids::{PersonId, ScheduleId};
use crate::roster::{Roster, Shift, evaluate};

/// A time in which somebody is on duty by one schedule, whoever else is beside them and for whatever reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnShift {
    /// By which schedule.
    pub schedule: ScheduleId,
    /// When it begins; that it began earlier is not looked for.
    pub from: DateTime<Utc>,
    /// When it has ended; `None`: not before the end of the time that was looked at.
    pub to: Option<DateTime<Utc>>,
}

/// The shifts of somebody in a time, at most so many, the earliest first.
#[must_use]
pub fn shifts(roster: &Roster, person: PersonId, from: DateTime<Utc>, to: DateTime<Utc>, most: usize) -> Vec<OwnShift> {
    let of_schedule = |schedule| (schedule, evaluate::shifts(schedule, &roster.absences, from, to));
    let mut own: Vec<OwnShift> = roster
        .schedules
        .iter()
        .map(of_schedule)
        .flat_map(|(schedule, all)| {
            joined(&all, person, to).into_iter().map(move |(from, to)| OwnShift { schedule: schedule.id, from, to })
        })
        .collect();
    own.sort_by_key(|shift| shift.from);
    own.truncate(most);
    own
}

/// The times of somebody in the shifts of a schedule: those that touch are one.
fn joined(all: &[Shift], person: PersonId, end: DateTime<Utc>) -> Vec<(DateTime<Utc>, Option<DateTime<Utc>>)> {
    let mut times: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
    for shift in all.iter().filter(|shift| shift.on.iter().any(|on| on.person == person)) {
        match times.last_mut() {
            Some((_, to)) if *to == shift.from => *to = shift.to,
            _ => times.push((shift.from, shift.to)),
        }
    }
    times.into_iter().map(|(from, to)| (from, Some(to).filter(|to| *to < end))).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::ids::LayerId;
    use crate::roster::{On, Reason};
    use chrono::TimeDelta;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn person(number: u128) -> PersonId {
        PersonId(Uuid::from_u128(number))
    }

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(hour * 3600, 0).unwrap()
    }

    /// Shifts without a hole, an hour each: who is on duty in each.
    fn hours(people: &[Vec<u128>]) -> Vec<Shift> {
        let on = |people: &Vec<u128>| {
            let reason = Reason::Layer { id: LayerId(Uuid::nil()), covers: None };
            people.iter().map(|own| On { person: person(*own), reason: reason.clone() }).collect()
        };
        let shift = |(hour, people)| Shift { from: at(hour), to: at(hour) + TimeDelta::hours(1), on: on(people) };
        (0..).zip(people).map(shift).collect()
    }

    #[test]
    fn what_touches_is_one_shift_whoever_is_beside() {
        let all = hours(&[vec![1], vec![1, 2], vec![2], vec![1]]);
        assert_eq!(joined(&all, person(1), at(4)), [(at(0), Some(at(2))), (at(3), None)]);
        assert_eq!(joined(&all, person(2), at(4)), [(at(1), Some(at(3)))]);
        assert_eq!(joined(&all, person(3), at(4)), []);
    }

    proptest! {
        #[test]
        fn somebody_is_on_duty_in_their_shifts_and_in_no_other_hour(
            people in prop::collection::vec(prop::collection::vec(1..4_u128, 0..3), 0..20),
        ) {
            let all = hours(&people);
            let end = at(i64::try_from(people.len()).unwrap());
            for who in 1..4 {
                let own = joined(&all, person(who), end);
                for (hour, on) in (0..).zip(&people) {
                    let is_in = own.iter().any(|(from, to)| *from <= at(hour) && at(hour) < to.unwrap_or(end));
                    prop_assert_eq!(is_in, on.contains(&who));
                }
                prop_assert!(own.windows(2).all(|pair| pair[0].1.is_some_and(|to| to < pair[1].0)), "none touch");
            }
        }
    }
}
