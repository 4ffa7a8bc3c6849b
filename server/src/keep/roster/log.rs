//! Writing the duty log: one row for each hand-over, with the names and reasons of that moment.

use chrono::{DateTime, TimeDelta, Utc};

use crate::roster::{On, Roster, Schedule, evaluate};
use crate::store::duty::log::LoggedPerson;
use crate::store::{Result, Tx};

/// Writes down every hand-over until now that is not in the log yet, and gives the roster and how many were written. Safe on every
/// node at once: the roster is locked first, and a hand-over is written only when it says something new.
///
/// # Errors
/// When the database fails.
pub async fn keep(tx: &mut Tx, now: DateTime<Utc>) -> Result<(Roster, usize)> {
    let due = tx.db().lock_roster().await?;
    let roster = tx.db().roster().await?;
    let mut written = 0;
    for (id, due) in due {
        if let Some(schedule) = roster.schedule(id) {
            written += keep_one(tx, &roster, schedule, due, now).await?;
        }
    }
    Ok((roster, written))
}

async fn keep_one(tx: &mut Tx, roster: &Roster, schedule: &Schedule, due: DateTime<Utc>, now: DateTime<Utc>) -> Result<usize> {
    // Hand-overs that were due while nobody looked; at the end, what is true now, which a change may just have made so.
    let planned = evaluate::shifts(schedule, &roster.absences, due, now).into_iter().map(|shift| (shift.from, shift.on));
    let current = (now, evaluate::who(schedule, &roster.absences, now));
    let mut last = tx.db().duty_at(schedule.id, now).await?;
    let mut written = 0;
    for (at, on) in planned.chain([current]) {
        let same = |row: &crate::store::duty::log::DutyLogRow| {
            row.people.0.iter().map(|logged| logged.person).eq(on.iter().map(|on| on.person))
        };
        // What is written down is not written again, whatever the plan says of it now.
        if last.as_ref().is_some_and(|row| same(row) || row.at > at) {
            continue;
        }
        let people: Vec<LoggedPerson> = on.iter().map(|on| logged(roster, schedule, on)).collect();
        tx.db().insert_duty(schedule.id, at, &people).await?;
        last = Some(crate::store::duty::log::DutyLogRow { at, people: people.into() });
        written += 1;
    }
    let furthest = now + evaluate::FORESIGHT;
    let next = match evaluate::next_change(schedule, &roster.absences, now) {
        Some(next) => next,
        // Without an end in sight there is no hurry: a week more or less is not written down every time.
        None if due > furthest - TimeDelta::days(7) => due,
        None => furthest,
    };
    if next != due {
        tx.db().set_duty_log_due(schedule.id, next).await?;
    }
    Ok(written)
}

fn logged(roster: &Roster, schedule: &Schedule, on: &On) -> LoggedPerson {
    let (reason, of) = schedule.origin(&on.reason);
    LoggedPerson { person: on.person, name: roster.name(on.person), reason: reason.to_owned(), of }
}
