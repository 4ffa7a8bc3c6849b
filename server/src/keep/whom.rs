//! Who is meant by a person, number, team or schedule: by name when it is written down, by duty when a step begins.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::alarm::policy::{Duty, Reached, Whom, each_once};
use crate::alarm::ways;
use crate::ids::PersonId;
use crate::numbers::{Number, Region};
use crate::roster::{OnDuty, Reason, Roster, Target};
use crate::store::{Db, Result};

/// Whom somebody names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Named {
    /// A person by name.
    Person(String),
    /// A bare number.
    Number(String),
    /// Whoever is on duty in a team, by its name.
    Team(String),
    /// Whoever is on duty by a schedule, by its name.
    Schedule(String),
}

/// Finds out what a name stands for; the inner error is a sentence for whoever wrote it.
///
/// # Errors
/// When the database fails.
pub async fn find(db: &mut Db<'_>, named: &Named, region: Region) -> Result<std::result::Result<Whom, String>> {
    Ok(match named {
        Named::Person(name) => match db.person_by_name(name).await? {
            Some(person) => Ok(Whom::Person(person.id)),
            None => Err(format!("there is nobody named {name:?}")),
        },
        Named::Number(number) => match Number::parse(number, region) {
            Ok(parsed) => Ok(Whom::Number(parsed.number.as_str().to_owned())),
            Err(error) => Err(error.to_string()),
        },
        Named::Team(name) => match db.roster().await?.find_team(name) {
            Some(team) => Ok(Whom::Team(team.id)),
            None => Err(format!("there is no team named {name:?}")),
        },
        Named::Schedule(name) => match db.roster().await?.find_schedule(name) {
            Some(schedule) => Ok(Whom::Schedule(schedule.id)),
            None => Err(format!("there is no schedule named {name:?}")),
        },
    })
}

/// The name for what is stored; `None` when that was removed since.
///
/// # Errors
/// When the database fails.
pub async fn name(db: &mut Db<'_>, whom: &Whom) -> Result<Option<Named>> {
    Ok(match whom {
        Whom::Person(id) => db.person(*id).await?.map(|person| Named::Person(person.name)),
        Whom::Number(number) => Some(Named::Number(number.clone())),
        Whom::Team(id) => {
            let roster = db.roster().await?;
            roster.teams.into_iter().find(|team| team.id == *id).map(|team| Named::Team(team.name))
        }
        Whom::Schedule(id) => db.roster().await?.schedule(*id).map(|schedule| Named::Schedule(schedule.name.clone())),
    })
}

/// A shift of now is known whole, when it was changed not longer ago than this.
const LOOK_BACK: TimeDelta = TimeDelta::days(1);

/// Whom a step leads to at one instant.
#[derive(Debug, Default)]
pub struct Led {
    /// Each person once, with a number that can be rung.
    pub to: Vec<Reached>,
    /// What led to nobody: people without a number, gaps, whatever was removed.
    pub nowhere: Vec<String>,
}

/// Finds out who is meant at an instant.
pub async fn reach(db: &mut Db<'_>, whom: &[Whom], at: DateTime<Utc>) -> Result<Led> {
    let by_duty = whom.iter().any(|one| matches!(one, Whom::Team(_) | Whom::Schedule(_)));
    let roster = if by_duty { db.roster_from(at - LOOK_BACK).await? } else { Roster::default() };
    let mut led = Led::default();
    for one in whom {
        match one {
            Whom::Person(id) => person(db, *id, None, &mut led).await?,
            Whom::Number(number) => {
                let person = db.person_with_number(number).await?;
                let (person, name) = person.map(|person| (person.id, person.name)).unzip();
                led.to.push(Reached { person, name, number: number.clone(), after_s: None, others: Vec::new(), duty: None });
            }
            Whom::Team(id) => {
                let team = roster.teams.iter().find(|team| team.id == *id).map(|team| team.name.clone());
                on_duty(db, &roster, Target::Team(*id), team.as_deref(), at, &mut led).await?;
            }
            Whom::Schedule(id) => on_duty(db, &roster, Target::Schedule(*id), None, at, &mut led).await?,
        }
    }
    led.to = each_once(led.to);
    Ok(led)
}

async fn on_duty(
    db: &mut Db<'_>,
    roster: &Roster,
    target: Target,
    team: Option<&str>,
    at: DateTime<Utc>,
    led: &mut Led,
) -> Result<()> {
    let on = roster.on_duty(target, at);
    if on.is_empty() {
        let schedule = match target {
            Target::Schedule(id) => roster.schedule(id).map(|schedule| schedule.name.clone()),
            Target::Team(_) => None,
        };
        led.nowhere.extend(schedule.or_else(|| team.map(str::to_owned)));
    }
    for one in on {
        person(db, one.person, Some(duty(roster, &one, team)), led).await?;
    }
    Ok(())
}

async fn person(db: &mut Db<'_>, id: PersonId, duty: Option<Duty>, led: &mut Led) -> Result<()> {
    let Some(person) = db.person(id).await? else { return Ok(()) };
    let ways = db.told(id).await?.ways;
    let mut calls = ways::calls(&ways, &db.numbers_of(id).await?).into_iter();
    match calls.next() {
        Some(first) => led.to.push(Reached {
            person: Some(id),
            name: Some(person.name),
            number: first.number,
            after_s: (!ways.is_empty()).then_some(first.after_seconds),
            others: calls.collect(),
            duty,
        }),
        None => led.nowhere.push(person.name),
    }
    Ok(())
}

/// Why somebody is on duty, in names that stay true whatever is edited later.
fn duty(roster: &Roster, on: &OnDuty, team: Option<&str>) -> Duty {
    let schedule = on.schedule.and_then(|id| roster.schedule(id));
    let (why, by, covers) = match &on.reason {
        Reason::Temporary { id, covers } => {
            let own = schedule.and_then(|schedule| schedule.temporaries.iter().find(|own| own.id == *id));
            ("temporary", own.map(|own| own.name.clone()), *covers)
        }
        Reason::Override { replaces, .. } => ("override", None, *replaces),
        Reason::Layer { id, covers } => {
            let own = schedule.and_then(|schedule| schedule.layers.iter().find(|own| own.id == *id));
            ("layer", own.map(|own| own.name.clone()), *covers)
        }
        Reason::Member => ("member", None, None),
    };
    Duty {
        team: team.map(str::to_owned),
        schedule: schedule.map(|schedule| schedule.name.clone()),
        why: why.to_owned(),
        by,
        covers: covers.map(|person| roster.name(person)),
        until: on.until,
    }
}
