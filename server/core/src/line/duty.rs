//! Of which duties text messages tell: whose shift begins, and whom a change of the plan puts on duty. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::ids::PersonId;
use crate::roster::{Absences, Schedule, Shift, Times, evaluate};

/// Less than this is an edge between two entries, and nobody's duty.
const SHORTEST: TimeDelta = TimeDelta::minutes(1);

/// Somebody comes on duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comes {
    /// Who.
    pub person: PersonId,
    /// From when on.
    pub at: DateTime<Utc>,
}

/// Who comes on duty from `from` on, before `to`: whoever was on duty already until then does not, whatever entry of the plan says it from
/// then on. After a gap somebody comes anew.
#[must_use]
pub fn comes(schedule: &Schedule, absences: &Absences, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Comes> {
    // The shortest time that there is before it.
    let eve = from - TimeDelta::microseconds(1);
    let mut before: Vec<PersonId> = evaluate::who(schedule, absences, eve).into_iter().map(|on| on.person).collect();
    let mut comes = Vec::new();
    for shift in evaluate::shifts(schedule, absences, from, to) {
        let now: Vec<PersonId> = shift.on.iter().map(|on| on.person).collect();
        let new = now.iter().filter(|person| !before.contains(person));
        comes.extend(new.map(|person| Comes { person: *person, at: shift.from }));
        before = now;
    }
    comes
}

/// Whom a change puts on duty between two instants, and from when on first: the shifts as they were, and as they are.
#[must_use]
pub fn put_on(before: &[Shift], after: &[Shift]) -> Vec<Comes> {
    let had = times_of(before);
    let mut put: Vec<Comes> = times_of(after)
        .into_iter()
        .filter_map(|(person, times)| {
            let known = had.get(&person).map_or(&[][..], Vec::as_slice);
            times.into_iter().find_map(|own| beyond(own, known)).map(|at| Comes { person, at })
        })
        .collect();
    put.sort_by_key(|one| (one.at, one.person));
    put
}

/// When who is on duty, without what only divides two entries.
fn times_of(shifts: &[Shift]) -> BTreeMap<PersonId, Vec<Times>> {
    let mut all: BTreeMap<PersonId, Vec<Times>> = BTreeMap::new();
    for shift in shifts {
        for on in &shift.on {
            let own = all.entry(on.person).or_default();
            match own.last_mut() {
                Some((_, end)) if *end >= shift.from => *end = shift.to.max(*end),
                _ => own.push((shift.from, shift.to)),
            }
        }
    }
    all
}

/// Where some time begins to be outside of others, which are in order.
fn beyond((from, to): Times, known: &[Times]) -> Option<DateTime<Utc>> {
    let mut at = from;
    for (begin, end) in known {
        if *begin - at >= SHORTEST {
            break;
        }
        at = at.max(*end);
    }
    (to - at >= SHORTEST).then_some(at)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::ids::{LayerId, OverrideId, ScheduleId};
    use crate::roster::{Change, FixedShift, Layer, On, Override, Reason, Rule};
    use proptest::prelude::*;
    use uuid::Uuid;

    fn person(id: u128) -> PersonId {
        PersonId(Uuid::from_u128(id))
    }

    fn hour(hour: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000, 0).unwrap() + TimeDelta::hours(hour)
    }

    fn schedule(shifts: &[(i64, i64, u128)], overrides: &[(i64, i64, Change)]) -> Schedule {
        let fixed = |(from, to, who): &(i64, i64, u128)| FixedShift { from: hour(*from), to: hour(*to), person: person(*who) };
        let id = LayerId(Uuid::from_u128(1));
        let made = |(from, to, change): &(i64, i64, Change)| Override {
            id: OverrideId(Uuid::from_u128(3)),
            from: hour(*from),
            to: hour(*to),
            change: *change,
            note: String::new(),
        };
        Schedule {
            id: ScheduleId(Uuid::from_u128(2)),
            name: "database".to_owned(),
            team: None,
            zone: chrono_tz::UTC,
            gaps_allowed: true,
            version: 1,
            layers: vec![Layer { id, name: "l".to_owned(), rule: Rule::Shifts { shifts: shifts.iter().map(fixed).collect() } }],
            overrides: overrides.iter().map(made).collect(),
            temporaries: Vec::new(),
        }
    }

    fn came(schedule: &Schedule, from: i64, to: i64) -> Vec<(u128, i64)> {
        let all = comes(schedule, &Absences::default(), hour(from), hour(to)).into_iter();
        all.map(|one| (one.person.0.as_u128(), (one.at - hour(0)).num_hours())).collect()
    }

    #[test]
    fn a_shift_that_is_divided_or_handed_to_the_same_person_begins_once() {
        let midnight = schedule(&[(0, 8, 1), (8, 16, 1), (16, 24, 2), (24, 32, 1)], &[]);
        assert_eq!(came(&midnight, 0, 48), [(1, 0), (2, 16), (1, 24)]);
        assert_eq!(came(&midnight, 4, 16), [], "who is on duty already does not come");
        assert_eq!(came(&midnight, 8, 9), []);
        let gap = schedule(&[(0, 8, 1), (9, 16, 1)], &[]);
        assert_eq!(came(&gap, 0, 48), [(1, 0), (1, 9)], "after a gap it is another");
        let same = schedule(&[(0, 8, 1)], &[(2, 4, Change::Add(person(1))), (4, 6, Change::Add(person(2)))]);
        assert_eq!(came(&same, 0, 48), [(1, 0), (2, 4)]);
    }

    #[test]
    fn whoever_is_put_on_duty_was_not_on_duty_then() {
        let shifts = |schedule: &Schedule| evaluate::shifts(schedule, &Absences::default(), hour(0), hour(24));
        let put = |before: &Schedule, after: &Schedule| -> Vec<(u128, i64)> {
            let all = put_on(&shifts(before), &shifts(after)).into_iter();
            all.map(|one| (one.person.0.as_u128(), (one.at - hour(0)).num_hours())).collect()
        };
        let plain = schedule(&[(0, 12, 1), (12, 24, 2)], &[]);
        assert_eq!(put(&plain, &plain), []);
        let swapped = schedule(&[(0, 12, 2), (12, 24, 1)], &[]);
        assert_eq!(put(&plain, &swapped), [(2, 0), (1, 12)]);
        let longer = schedule(&[(0, 14, 1), (14, 24, 2)], &[]);
        assert_eq!(put(&plain, &longer), [(1, 12)], "what is longer than it was begins where it was over");
        let covered = schedule(&[(0, 12, 1), (12, 24, 2)], &[(2, 4, Change::Replace { by: person(3), of: None })]);
        assert_eq!(put(&plain, &covered), [(3, 2)]);
        assert_eq!(put(&covered, &plain), [(1, 2)], "whoever gets it back");
        assert_eq!(put(&schedule(&[], &[]), &plain), [(1, 0), (2, 12)]);
        let divided = schedule(&[(0, 6, 1), (6, 12, 1), (12, 24, 2)], &[]);
        assert_eq!((put(&plain, &divided), put(&divided, &plain)), (Vec::new(), Vec::new()));
    }

    fn some_shifts() -> impl Strategy<Value = Vec<Shift>> {
        prop::collection::vec(prop::collection::btree_set(1..4_u128, 0..3), 1..12).prop_map(|all| {
            (0_i64..)
                .zip(all)
                .map(|(at, who)| {
                    let reason = Reason::Layer { id: LayerId(Uuid::from_u128(1)), covers: None };
                    let on = who.into_iter().map(|one| On { person: person(one), reason: reason.clone() }).collect();
                    Shift { from: hour(at), to: hour(at + 1), on }
                })
                .collect()
        })
    }

    proptest! {
        /// Hour by hour: whoever is told has an hour that they had not, and the first such is told; nobody else is.
        #[test]
        fn those_with_a_new_hour_are_told_of_the_first(before in some_shifts(), after in some_shifts()) {
            let has = |shifts: &[Shift], at: i64, who: PersonId| {
                shifts.iter().any(|shift| shift.from <= hour(at) && hour(at) < shift.to && shift.on.iter().any(|on| on.person == who))
            };
            let put = put_on(&before, &after);
            for who in (1..4).map(person) {
                let first = (0..12).find(|at| has(&after, *at, who) && !has(&before, *at, who)).map(hour);
                prop_assert_eq!(put.iter().find(|one| one.person == who).map(|one| one.at), first);
            }
        }
    }
}
