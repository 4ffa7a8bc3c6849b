//! What a change of the roster would do, before it is made: it is made in a unit of work that is given up, and the plan before it and the
//! plan after it are both evaluated. Whoever saves what they were shown says which plan it rested on, and is told when that has changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::{Editing, RosterError, find_schedule, locked};
use crate::alarm::doer::Doer;
use crate::costly::{self, CostlyError};
use crate::ids::{PersonId, ScheduleId};
use crate::roster::changes::difference::{AHEAD, Difference, between};
use crate::roster::{Roster, Target};
use crate::store::{Store, StoreError, Work};
use crate::versions::Version;

/// The plan before a change and after it.
#[derive(Debug)]
pub struct Plans {
    /// As it is.
    pub before: Arc<Roster>,
    /// As it would be.
    pub after: Arc<Roster>,
    /// The moment that this is of.
    pub now: DateTime<Utc>,
}

/// What a change would do.
#[derive(Debug)]
pub struct Preview {
    /// The plans.
    pub plans: Plans,
    /// Up to when it was looked.
    pub until: DateTime<Utc>,
    /// What differs; empty where nobody else would be on duty.
    pub differences: Vec<Difference>,
}

impl Plans {
    /// The name of somebody, who may be there no more.
    #[must_use]
    pub fn name(&self, person: PersonId) -> String {
        let known = self.before.people.get(&person).or_else(|| self.after.people.get(&person));
        known.map_or_else(|| person.to_string(), |person| person.name.clone())
    }

    /// The name of a team or schedule, which may be there no more.
    #[must_use]
    pub fn name_of(&self, target: Target) -> String {
        let rosters = [&self.before, &self.after];
        let name = match target {
            Target::Schedule(id) => rosters.iter().find_map(|own| own.schedule(id)).map(|own| own.name.clone()),
            Target::Team(id) => {
                rosters.iter().find_map(|own| own.teams.iter().find(|team| team.id == id)).map(|own| own.name.clone())
            }
        };
        name.unwrap_or_default()
    }

    /// By which zone the times of a team or schedule are told.
    #[must_use]
    pub fn zone_of(&self, target: Target) -> Tz {
        match target {
            Target::Schedule(id) => self.after.schedule(id).or_else(|| self.before.schedule(id)).map_or(Tz::UTC, |own| own.zone),
            Target::Team(_) => Tz::UTC,
        }
    }

    /// What differs, worked out where nobody waits for it.
    ///
    /// # Errors
    /// When that takes too long, or too much is worked out already.
    pub async fn compared(self) -> Result<Preview, CostlyError> {
        let (before, after, now) = (Arc::clone(&self.before), Arc::clone(&self.after), self.now);
        let until = now + AHEAD;
        let differences = costly::run(move |_| between(&before, &after, now, until)).await?;
        Ok(Preview { plans: self, until, differences })
    }

    /// Which plan a preview rests on: of one schedule, or of all.
    #[must_use]
    pub fn version(&self, schedule: Option<ScheduleId>) -> Version {
        version(&self.before, schedule)
    }
}

/// Makes a change and takes it back before anybody can hear of it. Gives the plan before it and after it, and what the change gave.
///
/// # Errors
/// Why the change is refused, or when the database fails.
pub async fn rehearse<T, E: From<StoreError>>(
    store: &Store,
    now: DateTime<Utc>,
    by: Doer,
    act: impl AsyncFnOnce(&mut Work) -> Result<T, E>,
) -> Result<(Plans, T), E> {
    let work = store.work(now, by, None).await?;
    rehearse_in(work, act).await
}

/// The same in a unit of work that has changed nothing yet; it is given up. The roster is locked before it is looked at: what somebody else
/// changes meanwhile is no part of what this does.
///
/// # Errors
/// As of [`rehearse`].
pub async fn rehearse_in<T, E: From<StoreError>>(
    mut work: Work,
    act: impl AsyncFnOnce(&mut Work) -> Result<T, E>,
) -> Result<(Plans, T), E> {
    let now = work.now();
    let before = locked(&mut work, &[]).await?;
    let done = act(&mut work).await?;
    let after = work.db().roster().await?;
    drop(work);
    Ok((Plans { before: Arc::new(before), after: Arc::new(after), now }, done))
}

/// Goes on only when the plan is still the one that somebody was shown. Nobody else can change it until this unit of work is over.
///
/// # Errors
/// When it has changed, or the database fails.
pub async fn still(work: &mut Work, shown: &str, schedule: Option<&str>) -> Result<(), RosterError> {
    let editing = Editing::begin(work).await?;
    let schedule = schedule.map(|schedule| find_schedule(editing.roster(), schedule).map(|own| own.id)).transpose()?;
    match version(editing.roster(), schedule).as_str() == shown {
        true => Ok(()),
        false => Err(RosterError::Meanwhile),
    }
}

/// All that decides who is on duty: by one schedule, or by any.
fn version(roster: &Roster, schedule: Option<ScheduleId>) -> Version {
    let own = roster.schedules.iter().filter(|own| schedule.is_none_or(|schedule| own.id == schedule));
    // The removal of a person takes their overrides along, without another version of the schedule.
    let schedules: Vec<_> = own
        .map(|own| {
            let overrides: Vec<_> = own.overrides.iter().map(|own| own.id).collect();
            let temporaries: Vec<_> = own.temporaries.iter().map(|own| own.id).collect();
            (own.id, own.version, overrides, temporaries)
        })
        .collect();
    let teams: Vec<_> = match schedule {
        Some(_) => Vec::new(),
        None => roster.teams.iter().map(|team| (team.id, team.version, &team.members)).collect(),
    };
    let absences: BTreeMap<_, _> = roster.absences.0.iter().map(|(person, times)| (person.to_string(), times)).collect();
    Version::of(&(schedules, teams, absences))
}
