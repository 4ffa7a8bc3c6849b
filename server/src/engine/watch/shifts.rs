//! People are told by text message that a shift of theirs begins: once for a shift, on whichever node, also after a restart.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use chrono::{DateTime, TimeDelta, Utc};

use crate::alarm::doer::Doer;
use crate::engine::{Engine, EngineError};
use crate::ids::PersonId;
use crate::keep::roster::told;
use crate::line::duty::{Comes, comes};
use crate::store::Announcement;
use crate::store::duty::told::DutyText;

/// Of a shift that began longer ago nobody is told any more: whoever has it knows by now.
const LATE: TimeDelta = TimeDelta::minutes(15);

impl Engine {
    /// Once a minute: puts a message into the outbox for everybody who wants to know and whose shift begins soon enough. Safe on every node at
    /// once: who is told of which shift is a row that there is once.
    ///
    /// # Errors
    /// When the database fails; the next minute does what this one did not.
    pub async fn tell_shifts(&self, now: DateTime<Utc>) -> Result<(), EngineError> {
        let minute = now.timestamp().div_euclid(60);
        if self.shifts_told.swap(minute, Ordering::AcqRel) == minute {
            return Ok(());
        }
        let due = {
            let mut reader = self.store.read().await?;
            let wanted: HashMap<PersonId, TimeDelta> = reader
                .db()
                .told_of_shifts()
                .await?
                .into_iter()
                .map(|row| (row.person_id, TimeDelta::minutes(i64::from(row.minutes))))
                .collect();
            let Some(furthest) = wanted.values().max().copied() else { return Ok(()) };
            let roster = reader.db().roster().await?;
            drop(reader);
            let mut due = Vec::new();
            for schedule in &roster.schedules {
                let begin = comes(schedule, &roster.absences, now - LATE, now + furthest + TimeDelta::minutes(1));
                let is_due = |one: &Comes| wanted.get(&one.person).is_some_and(|lead| one.at - *lead <= now);
                due.extend(begin.into_iter().filter(is_due).map(|one| (schedule.clone(), one)));
            }
            (roster.absences, due)
        };
        let (absences, due) = due;
        if due.is_empty() {
            return Ok(());
        }
        let mut work = self.work_at(now, Doer::Server).await?;
        let mut any = false;
        for (schedule, one) in due {
            any |= told::tell(&mut work.db(), DutyText::Shift, &schedule, &absences, one, now).await?;
        }
        if any {
            work.announce(Announcement::Handsets);
        }
        Ok(work.commit().await?)
    }
}
