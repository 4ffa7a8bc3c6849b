//! The evaluator against a slow and obvious model: every minute is asked, every turn counted from the first.
#![expect(clippy::unwrap_used, reason = "test")]

use std::cell::RefCell;
use std::collections::HashMap;

use chrono::{DateTime, Datelike, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;
use uuid::Uuid;

use super::evaluate;
use super::*;

/// Zones, each with days on which its clocks change: by an hour, half an hour, two; at midnight; over midnight; by a whole day.
const CHANGES: &[(&str, &str)] = &[
    ("Europe/Berlin", "2027-03-28"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2027-03-14"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Australia/Lord_Howe", "2027-04-04"),
    ("Africa/Cairo", "2026-04-24"),
    ("Africa/Cairo", "2026-10-29"),
    ("America/Santiago", "2026-09-06"),
    ("America/St_Johns", "2010-11-07"),
    ("America/St_Johns", "2010-03-14"),
    ("America/Havana", "2026-11-01"),
    ("Antarctica/Troll", "2027-03-28"),
    ("Pacific/Apia", "2011-12-30"),
    ("Asia/Shanghai", "2026-11-20"),
    ("Asia/Kathmandu", "2026-11-20"),
];
const MINUTE: TimeDelta = TimeDelta::minutes(1);

thread_local! { static MEANT: RefCell<HashMap<(Tz, NaiveDateTime), DateTime<Utc>>> = RefCell::default(); }

/// The first minute at which the clock shows this time or a later one.
fn meant(zone: Tz, time: NaiveDateTime) -> DateTime<Utc> {
    if let Some(known) = MEANT.with_borrow(|meant| meant.get(&(zone, time)).copied()) {
        return known;
    }
    let mut at = time.and_utc() - TimeDelta::hours(15);
    while at.with_timezone(&zone).naive_local() < time {
        at += MINUTE;
    }
    MEANT.with_borrow_mut(|meant| meant.insert((zone, time), at));
    at
}

fn is_open(zone: Tz, window: &Window, at: DateTime<Utc>) -> bool {
    let today = at.with_timezone(&zone).date_naive();
    (-4..=4).map(|days| today + TimeDelta::days(days)).any(|day| {
        let last = if window.to > window.from { day } else { day + TimeDelta::days(1) };
        window.days.contains(&u8::try_from(day.weekday().num_days_from_monday()).unwrap())
            && meant(zone, day.and_time(window.from)) <= at
            && at < meant(zone, last.and_time(window.to))
    })
}

fn by_rule(zone: Tz, rule: &Rule, absences: &Absences, at: DateTime<Utc>) -> Vec<(PersonId, Option<PersonId>)> {
    let rotation = match rule {
        Rule::Shifts { shifts } => {
            let mut on = Vec::new();
            for shift in shifts {
                if shift.from <= at && at < shift.to && !absences.away(shift.person, at) && !on.contains(&(shift.person, None)) {
                    on.push((shift.person, None));
                }
            }
            return on;
        }
        Rule::Rotation(rotation) => rotation,
    };
    let length = match rotation.unit {
        Unit::Hours => TimeDelta::hours(i64::from(rotation.every)),
        Unit::Days => TimeDelta::days(i64::from(rotation.every)),
        Unit::Weeks => TimeDelta::weeks(i64::from(rotation.every)),
    };
    let over = rotation.end.is_some_and(|end| at >= meant(zone, end));
    let open = rotation.windows.is_empty() || rotation.windows.iter().any(|window| is_open(zone, window, at));
    if over || !open || rotation.people.is_empty() {
        return Vec::new();
    }
    let mut turns_begun = 0;
    let mut start = rotation.start;
    while meant(zone, start) <= at {
        turns_begun += 1;
        start += length;
    }
    if turns_begun == 0 {
        return Vec::new();
    }
    let mut order = rotation.people.clone();
    order.rotate_left((turns_begun - 1) % rotation.people.len());
    let there = order.iter().find(|person| !absences.away(**person, at));
    there.map(|person| (*person, (*person != order[0]).then_some(order[0]))).into_iter().collect()
}

/// Who is on duty, without reasons.
fn model(schedule: &Schedule, absences: &Absences, at: DateTime<Utc>) -> Vec<PersonId> {
    let names = |on: Vec<(PersonId, Option<PersonId>)>| on.into_iter().map(|(person, _)| person).collect::<Vec<_>>();
    let of = |rule: &Rule| by_rule(schedule.zone, rule, absences, at);
    for temporary in schedule.temporaries.iter().rev() {
        if temporary.from <= at && at < temporary.to && !of(&temporary.rule).is_empty() {
            return names(of(&temporary.rule));
        }
    }
    let planned = schedule.layers.iter().map(|layer| of(&layer.rule)).filter(|on| !on.is_empty());
    for mut on in planned.chain([Vec::new()]) {
        for own in &schedule.overrides {
            if at < own.from || at >= own.to {
                continue;
            }
            match own.change {
                Change::Remove(person) => on.retain(|own| own.0 != person),
                Change::Add(person) | Change::Replace { by: person, .. } if absences.away(person, at) => {}
                Change::Add(person) if on.iter().any(|own| own.0 == person) => {}
                Change::Add(person) => on.push((person, None)),
                Change::Replace { by, of: None } => on = vec![(by, None)],
                Change::Replace { by, of: Some(of) } => {
                    let own = on.iter().position(|own| own.0 == of);
                    // Somebody covers for them while they are away.
                    let Some(place) = own.or_else(|| on.iter().position(|own| own.1 == Some(of))) else { continue };
                    match on.iter().position(|own| own.0 == by) {
                        Some(there) if there == place => {}
                        Some(_) => drop(on.remove(place)),
                        None => on[place] = (by, None),
                    }
                }
            }
        }
        if !on.is_empty() {
            return names(on);
        }
    }
    Vec::new()
}

pub(super) fn person(number: u8) -> PersonId {
    PersonId(Uuid::from_u128(u128::from(number)))
}

fn people() -> impl Strategy<Value = PersonId> {
    (0_u8..4).prop_map(person)
}

/// An instant within twelve days of the change, on a minute.
fn instants(base: NaiveDateTime) -> impl Strategy<Value = DateTime<Utc>> + Clone {
    (-12 * 1440_i64..12 * 1440).prop_map(move |minutes| base.and_utc() + MINUTE * i32::try_from(minutes).unwrap())
}

fn times(base: NaiveDateTime) -> impl Strategy<Value = (DateTime<Utc>, DateTime<Utc>)> {
    (instants(base), 1_i32..9 * 1440).prop_map(|(from, minutes)| (from, from + MINUTE * minutes))
}

fn clock_times() -> impl Strategy<Value = NaiveTime> {
    let usual = (0_u32..48).prop_map(|half| half * 30);
    prop_oneof![3 => usual, 1 => 0_u32..240].prop_map(|minute| NaiveTime::from_hms_opt(minute / 60, minute % 60, 0).unwrap())
}

fn windows() -> impl Strategy<Value = Window> {
    (prop::collection::btree_set(0_u8..7, 1..8), clock_times(), clock_times()).prop_map(|(days, from, to)| Window {
        days: days.into_iter().collect(),
        from,
        to,
    })
}

fn rules(base: NaiveDateTime) -> impl Strategy<Value = Rule> {
    let lengths = prop_oneof![
        (1_u32..30).prop_map(|every| (every, Unit::Hours)),
        (1_u32..5).prop_map(|every| (every, Unit::Days)),
        (1_u32..3).prop_map(|every| (every, Unit::Weeks)),
    ];
    let wall = move |days: std::ops::Range<i64>| {
        (days, clock_times()).prop_map(move |(days, time)| (base.date() + TimeDelta::days(days)).and_time(time))
    };
    let rotation = (
        prop::collection::vec(people(), 0..5),
        lengths,
        wall(-12..5),
        prop::option::weighted(0.2, wall(-5..12)),
        prop::collection::vec(windows(), 0..3),
    )
        .prop_map(|(people, (every, unit), start, end, windows)| {
            Rule::Rotation(Rotation {
                people,
                every,
                unit,
                start,
                end,
                windows,
                first: 0,
                skip_idle_turns: false,
                earlier: Vec::new(),
            })
        });
    let shifts = prop::collection::vec((times(base), people()), 0..5).prop_map(|shifts| Rule::Shifts {
        shifts: shifts.into_iter().map(|((from, to), person)| FixedShift { from, to, person }).collect(),
    });
    prop_oneof![5 => rotation, 1 => shifts]
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        people().prop_map(Change::Add),
        people().prop_map(Change::Remove),
        (people(), prop::option::of(people())).prop_map(|(by, of)| Change::Replace { by, of }),
    ]
}

pub(super) fn worlds() -> impl Strategy<Value = (Schedule, Absences, Vec<DateTime<Utc>>)> {
    prop::sample::select(CHANGES).prop_flat_map(|(zone, day)| {
        let base = format!("{day}T00:00:00").parse::<NaiveDateTime>().unwrap();
        let layers = prop::collection::vec(rules(base), 0..4);
        let overrides = prop::collection::vec((times(base), changes()), 0..5);
        let temporaries = prop::collection::vec((times(base), rules(base)), 0..3);
        let absences = prop::collection::vec((times(base), people()), 0..4);
        let asked = prop::collection::vec(instants(base), 12);
        (layers, overrides, temporaries, absences, asked).prop_map(move |(layers, overrides, temporaries, away, asked)| {
            let id = |number: usize| Uuid::from_u128(u128::try_from(number).unwrap());
            let mut absences = Absences::default();
            for (time, person) in away {
                absences.0.entry(person).or_default().push(time);
            }
            let layer = |(number, rule)| Layer { id: LayerId(id(number)), name: String::new(), rule };
            let own_override =
                |(number, ((from, to), change))| Override { id: OverrideId(id(number)), from, to, change, note: String::new() };
            let temporary =
                |(number, ((from, to), rule))| Temporary { id: TemporaryId(id(number)), name: String::new(), from, to, rule };
            let schedule = Schedule {
                id: ScheduleId(id(0)),
                name: String::new(),
                team: None,
                zone: zone.parse().unwrap(),
                gaps_allowed: false,
                version: 1,
                layers: layers.into_iter().enumerate().map(layer).collect(),
                overrides: overrides.into_iter().enumerate().map(own_override).collect(),
                temporaries: temporaries.into_iter().enumerate().map(temporary).collect(),
            };
            (schedule, absences, asked)
        })
    })
}

fn names(on: &[On]) -> Vec<PersonId> {
    on.iter().map(|on| on.person).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn it_says_what_the_model_says((schedule, absences, asked) in worlds()) {
        for at in asked {
            prop_assert_eq!(names(&evaluate::who(&schedule, &absences, at)), model(&schedule, &absences, at), "{}", at);
        }
    }

    #[test]
    fn shifts_and_ends_agree_with_every_minute((schedule, absences, asked) in worlds()) {
        let from = asked[0];
        let minutes = || (0..3 * 1440).map(|minute| from + MINUTE * minute);
        let to = from + MINUTE * (3 * 1440);
        let shifts = evaluate::shifts(&schedule, &absences, from, to);
        prop_assert_eq!((shifts[0].from, shifts[shifts.len() - 1].to), (from, to));
        prop_assert!(shifts.windows(2).all(|pair| pair[0].to == pair[1].from && pair[0].on != pair[1].on));
        let on_duty = evaluate::on_duty(&schedule, &absences, from);
        let mut current = shifts.iter().peekable();
        for at in minutes() {
            let now = evaluate::who(&schedule, &absences, at);
            while current.next_if(|shift| shift.to <= at).is_some() {}
            prop_assert_eq!(&current.peek().unwrap().on, &now, "{}", at);
            for on in &on_duty {
                // Up to the end they are on duty at every minute, and at the end they are not.
                let until = on.until.unwrap_or(DateTime::<Utc>::MAX_UTC);
                prop_assert!(at >= until || now.iter().any(|now| now.person == on.person), "{}", at);
                prop_assert!(at != until || now.iter().all(|now| now.person != on.person), "{}", at);
            }
        }
        let change = evaluate::next_change(&schedule, &absences, from);
        prop_assert_eq!(change.filter(|change| *change < to), (shifts.len() > 1).then(|| shifts[1].from));
    }

    #[test]
    fn gaps_and_overlaps_are_those_of_every_minute((schedule, absences, asked) in worlds()) {
        let (from, to) = (asked[0], asked[0] + TimeDelta::days(2));
        let on = |at| evaluate::who(&schedule, &absences, at);
        let roster = Roster { schedules: vec![schedule.clone()], absences: absences.clone(), ..Roster::default() };
        let findings = check::check(&roster, from, to);
        let covered = |at: DateTime<Utc>, gaps: bool| findings.iter().any(|finding| match finding {
            check::Finding::Gap { from, to, .. } => gaps && *from <= at && at < *to,
            check::Finding::Several { from, to, .. } => !gaps && *from <= at && at < *to,
            _ => false,
        });
        let mut at = from;
        while at < to {
            prop_assert_eq!((covered(at, true), covered(at, false)), (on(at).is_empty(), on(at).len() > 1), "{}", at);
            at += MINUTE;
        }
        // A gap is told once, from its first minute to its last.
        let gaps: Vec<_> = findings.iter().filter(|finding| matches!(finding, check::Finding::Gap { .. })).collect();
        prop_assert!(gaps.windows(2).all(|pair| !on(pair[1].from() - MINUTE).is_empty()));
    }

    #[test]
    fn nobody_who_is_away_is_on_duty((schedule, absences, asked) in worlds()) {
        for at in asked {
            prop_assert!(evaluate::who(&schedule, &absences, at).iter().all(|on| !absences.away(on.person, at)));
        }
    }
}
