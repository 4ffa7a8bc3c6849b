//! Shifts as an iCalendar feed (RFC 5545), which people subscribe to.

use chrono::{DateTime, TimeDelta, Utc};
use icalendar::{Calendar, Component, Event, EventLike};

use super::{Roster, Schedule, evaluate};
use crate::ids::PersonId;

/// How far a feed looks back.
const BACK: TimeDelta = TimeDelta::days(31);
/// How far it looks ahead.
const AHEAD: TimeDelta = TimeDelta::days(184);
/// Days are cut to this length, so that a shift which is under way keeps its beginning from one day to the next.
const STEADY: i64 = 28;

/// Whose shifts a feed tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'r> {
    /// All of a schedule.
    Schedule(&'r Schedule),
    /// Those of one person, in every schedule.
    Person(PersonId),
}

/// The feed at an instant. Times are in UTC, so that no client needs to know the rules of a zone.
#[must_use]
pub fn write(roster: &Roster, whose: Whose<'_>, now: DateTime<Utc>) -> String {
    let first = (now - BACK).timestamp().div_euclid(STEADY * 86_400) * STEADY * 86_400;
    let from = DateTime::from_timestamp(first, 0).unwrap_or(now);
    let schedules: Vec<&Schedule> = match whose {
        Whose::Schedule(schedule) => vec![schedule],
        Whose::Person(_) => roster.schedules.iter().collect(),
    };
    let name = match whose {
        Whose::Schedule(schedule) => schedule.name.clone(),
        Whose::Person(person) => roster.name(person),
    };
    let mut calendar = Calendar::new();
    calendar.name(&name).append_property(("PRODID", "-//autocall//roster//EN")).append_property(("METHOD", "PUBLISH"));
    calendar.append_property(("REFRESH-INTERVAL;VALUE=DURATION", "PT1H")).append_property(("X-PUBLISHED-TTL", "PT1H"));
    for schedule in schedules {
        for (person, from, to) in duties(schedule, roster, from, now + AHEAD) {
            if matches!(whose, Whose::Person(own) if own != person) {
                continue;
            }
            let title = match whose {
                Whose::Schedule(_) => roster.name(person),
                Whose::Person(_) => schedule.name.clone(),
            };
            let uid = format!("{}-{person}-{}@autocall", schedule.id, from.timestamp());
            let event = Event::new().uid(&uid).timestamp(now).starts(from).ends(to).summary(&title).done();
            calendar.push(event);
        }
    }
    calendar.to_string()
}

/// From when until when each person is on duty without a break, whatever the reasons.
fn duties(
    schedule: &Schedule,
    roster: &Roster,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Vec<(PersonId, DateTime<Utc>, DateTime<Utc>)> {
    let mut duties: Vec<(PersonId, DateTime<Utc>, DateTime<Utc>)> = Vec::new();
    for shift in evaluate::shifts(schedule, &roster.absences, from, to) {
        for on in &shift.on {
            match duties.iter_mut().rfind(|(person, _, end)| *person == on.person && *end == shift.from) {
                Some((_, _, end)) => *end = shift.to,
                None => duties.push((on.person, shift.from, shift.to)),
            }
        }
    }
    duties
}
