//! People are told by text message that a shift of theirs begins: once for a shift, on whichever node, also after a restart.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use chrono::{DateTime, TimeDelta, Utc};

use crate::alarm::doer::Doer;
use crate::engine::{Engine, EngineError};
use crate::ids::{PersonId, ScheduleId};
use crate::keep::roster::told::{self, LATE, LOOK_EVERY};
use crate::line::duty::{Comes, comes};
use crate::roster::Roster;
use crate::store::duty::told::DutyText;

/// A shift of somebody, by its schedule and when it begins.
type Shift = (PersonId, ScheduleId, DateTime<Utc>);

/// What is asked for at a moment.
struct Wanted {
    /// Who is told how long before.
    lead: HashMap<PersonId, TimeDelta>,
    /// What was told already.
    told: HashSet<Shift>,
}

impl Wanted {
    /// The shifts of which somebody is to be told now.
    fn due(&self, roster: &Roster, now: DateTime<Utc>) -> Vec<(ScheduleId, Comes)> {
        let Some(furthest) = self.lead.values().max() else { return Vec::new() };
        let mut due = Vec::new();
        for schedule in &roster.schedules {
            let begin = comes(schedule, &roster.absences, now - LATE, now + *furthest + LOOK_EVERY).into_iter();
            let is_due = |one: &Comes| {
                let is_near = self.lead.get(&one.person).is_some_and(|lead| one.at - *lead <= now);
                is_near && !self.told.contains(&(one.person, schedule.id, one.at))
            };
            due.extend(begin.filter(is_due).map(|one| (schedule.id, one)));
        }
        due
    }
}

impl Engine {
    /// Once a minute: puts a message into the outbox for everybody who wants to know and whose shift begins soon enough. Safe on every node at
    /// once: who is told of which shift is a row that there is once.
    ///
    /// # Errors
    /// When the database fails; the next minute does what this one did not.
    pub async fn tell_shifts(&self, now: DateTime<Utc>) -> Result<(), EngineError> {
        let minute = now.timestamp().div_euclid(LOOK_EVERY.num_seconds());
        if self.shifts_told.swap(minute, Ordering::AcqRel) == minute {
            return Ok(());
        }
        let wanted = {
            let mut reader = self.store.read().await?;
            let rows = reader.db().told_of_shifts().await?;
            if rows.is_empty() {
                return Ok(());
            }
            let lead = rows.into_iter().map(|row| (row.person_id, TimeDelta::minutes(i64::from(row.minutes)))).collect();
            let told = reader.db().told_shifts(now - LATE).await?.into_iter().collect();
            let wanted = Wanted { lead, told };
            if wanted.due(&reader.db().roster().await?, now).is_empty() {
                return Ok(());
            }
            wanted
        };
        let mut work = self.work_at(now, Doer::Server).await?;
        // Nobody changes the plan meanwhile: of a shift that was just given to somebody else nobody is told.
        work.db().lock_roster().await?;
        let roster = work.db().roster().await?;
        for (schedule, one) in wanted.due(&roster, now) {
            if let Some(schedule) = roster.schedule(schedule) {
                told::tell(&mut work.db(), DutyText::Shift, schedule, &roster.absences, one, now).await?;
            }
        }
        Ok(work.commit().await?)
    }
}
