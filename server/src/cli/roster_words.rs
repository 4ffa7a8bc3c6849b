//! The roster in the words of the command line: what both reading and changing it say.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use crate::ids::PersonId;
use crate::keep::roster::preview::Preview;
use crate::roster::{Change, Roster, Schedule, evaluate, text};
use crate::store::duty::sources::SourceRow;

/// What entries of this program are signed with.
pub(super) const BY: &str = "command line";

/// What a change would do: who comes and goes at once, and when others would be on duty.
pub(super) fn print_preview(preview: &Preview) {
    let plans = &preview.plans;
    let names = |people: &[PersonId]| or_nobody(people.iter().map(|person| plans.name(*person)).collect());
    if preview.differences.is_empty() {
        println!("nobody else would be on duty until {}", text::shown(Tz::UTC, preview.until));
    }
    for own in &preview.differences {
        let name = plans.name_of(own.of);
        let zone = plans.zone_of(own.of);
        println!("{name}\ton duty now: {}; then: {}", names(&own.now_before), names(&own.now_after));
        for person in own.comes() {
            println!("{name}\tcomes on duty now: {}", plans.name(person));
        }
        for person in own.ends() {
            println!("{name}\tends now: {}", plans.name(person));
        }
        for span in &own.spans {
            let (from, to) = (text::shown(zone, span.from), text::shown(zone, span.to));
            println!("{name}\t{from}\t{to}\t{} instead of {}", names(&span.after), names(&span.before));
        }
        if own.more {
            println!("{name}\tand more after that");
        }
    }
    println!("nothing was changed");
}

/// Names, or that there is nobody.
pub(super) fn or_nobody(names: Vec<String>) -> String {
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}

/// Who comes next, as the last field of a line.
pub(super) fn next(roster: &Roster, schedule: &Schedule, at: DateTime<Utc>) -> String {
    let next = evaluate::next_people(schedule, &roster.absences, at);
    let names = |people: Vec<crate::ids::PersonId>| or_nobody(people.iter().map(|person| roster.name(*person)).collect());
    next.map_or_else(String::new, |(at, people)| format!("\tnext {} from {}", names(people), text::shown(schedule.zone, at)))
}

/// Who is on duty by a schedule now, and who comes next: what a change of it has led to.
pub(super) fn print_now_and_next(roster: &Roster, schedule: &Schedule, now: DateTime<Utc>) {
    let on = evaluate::on_duty(schedule, &roster.absences, now);
    let names = or_nobody(on.iter().map(|on| roster.name(on.person)).collect());
    println!("on duty now: {names}{}", next(roster, schedule, now));
}

/// How a calendar stands, as the fields of a line.
pub(super) fn standing(own: &SourceRow, zone: Tz) -> String {
    let at = |at: DateTime<Utc>| text::shown(zone, at);
    let state = match (own.wrong(), own.good_at) {
        (Some((since, trouble)), _) => format!("wrong since {}: {trouble}", at(since)),
        (None, Some(good)) => format!("read {}", at(good)),
        (None, None) => "not read yet".to_owned(),
    };
    let shifts = own.reading.as_ref().map_or_else(String::new, |reading| format!("\t{} shifts", reading.shifts));
    format!("{}\tlayer {}\tevery {} minutes\t{state}{shifts}", own.address, own.layer, own.every_minutes)
}

/// What an override does, in words.
pub(super) fn in_words(roster: &Roster, change: Change) -> String {
    match change {
        Change::Add(person) => format!("add {}", roster.name(person)),
        Change::Remove(person) => format!("remove {}", roster.name(person)),
        Change::Replace { by, of: None } => format!("replace everybody by {}", roster.name(by)),
        Change::Replace { by, of: Some(of) } => format!("replace {} by {}", roster.name(of), roster.name(by)),
    }
}
