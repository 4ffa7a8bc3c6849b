//! Writing the duty log: one row for each hand-over, with the names and reasons of that moment.

use chrono::{DateTime, TimeDelta, Utc};

use crate::ids::ScheduleId;
use crate::roster::{On, Roster, Schedule, evaluate};
use crate::store::duty::log::LoggedPerson;
use crate::store::{Db, Result};

/// After an outage so many hand-overs are looked at in one transaction.
const MOST_AT_ONCE: usize = 500;
/// And no more than so long a time of one schedule, since each instant at which somebody might be relieved is looked at.
const LONGEST_AT_ONCE: TimeDelta = TimeDelta::days(31);

/// What was written down.
pub struct Kept {
    /// Who is on duty, by the plan that holds now.
    pub roster: Roster,
    /// How many hand-overs.
    pub written: usize,
    /// Not all until now: the rest is for another transaction.
    pub behind: bool,
}

/// Writes down hand-overs until now that are not in the log yet, the oldest of each schedule first, and not more than one transaction should
/// hold. Safe on every node at once: the roster is locked first, and a hand-over is written only when it says something new.
///
/// # Errors
/// When the database fails.
pub async fn keep(db: &mut Db<'_>, now: DateTime<Utc>) -> Result<Kept> {
    let due = db.lock_roster().await?;
    let roster = db.roster().await?;
    let mut kept = Kept { roster, written: 0, behind: false };
    let mut left = MOST_AT_ONCE;
    for (id, due) in due {
        keep_one(db, &mut kept, id, due, now, &mut left).await?;
    }
    Ok(kept)
}

async fn keep_one(
    db: &mut Db<'_>,
    kept: &mut Kept,
    id: ScheduleId,
    due: DateTime<Utc>,
    now: DateTime<Utc>,
    left: &mut usize,
) -> Result<()> {
    let roster = &kept.roster;
    let Some(schedule) = roster.schedule(id) else { return Ok(()) };
    if due < now && *left == 0 {
        kept.behind = true;
        return Ok(());
    }
    // Hand-overs that were due while nobody looked; at the end, what is true now, which a change may just have made so.
    let until = now.min(due + LONGEST_AT_ONCE);
    let mut planned: Vec<_> =
        evaluate::shifts(schedule, &roster.absences, due, until).into_iter().map(|shift| (shift.from, shift.on)).collect();
    let rest = (planned.len() > *left).then(|| planned[*left].0).or((until < now).then_some(until));
    planned.truncate(*left);
    *left -= planned.len();
    if rest.is_none() {
        planned.push((now, evaluate::who(schedule, &roster.absences, now)));
    }
    let mut last = db.duty_at(schedule.id, now).await?;
    let mut written = 0;
    for (at, on) in planned {
        let same = |row: &crate::store::duty::log::DutyLogRow| {
            row.people.0.iter().map(|logged| logged.person).eq(on.iter().map(|on| on.person))
        };
        // What is written down is not written again, whatever the plan says of it now.
        if last.as_ref().is_some_and(|row| same(row) || row.at > at) {
            continue;
        }
        let people: Vec<LoggedPerson> = on.iter().map(|on| logged(roster, schedule, on)).collect();
        db.insert_duty(schedule.id, at, &people).await?;
        last = Some(crate::store::duty::log::DutyLogRow { at, people: people.into() });
        written += 1;
    }
    kept.written += written;
    if let Some(rest) = rest {
        kept.behind = true;
        return db.set_duty_log_due(schedule.id, rest).await;
    }
    let furthest = now + evaluate::FORESIGHT;
    let next = match evaluate::next_change(schedule, &roster.absences, now) {
        Some(next) => next,
        // Without an end in sight there is no hurry: a week more or less is not written down every time.
        None if due > furthest - TimeDelta::days(7) => due,
        None => furthest,
    };
    if next != due {
        db.set_duty_log_due(schedule.id, next).await?;
    }
    Ok(())
}

fn logged(roster: &Roster, schedule: &Schedule, on: &On) -> LoggedPerson {
    let (reason, of) = schedule.origin(&on.reason);
    LoggedPerson { person: on.person, name: roster.name(on.person), reason: reason.to_owned(), of }
}
