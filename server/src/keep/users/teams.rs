//! Roles of users for single teams; and of which teams an alarm is, by what is kept of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use serde_json::json;

use super::{UserError, find};
use crate::alarm::policy::{Policy, Whom};
use crate::audit::{Line, Operation};
use crate::ids::{AlarmId, ScheduleId, TeamId};
use crate::rights::roles::{Role, TeamRole, teams_of_alarm};
use crate::store::access::users::UserRow;
use crate::store::alarm::alarms::AlarmRow;
use crate::store::alarm::hunts::HuntRow;
use crate::store::{Db, StoreError, Work};

/// What an alarm that asked for a schedule is queued under begins with.
const QUEUE_OF_SCHEDULE: &str = "schedule ";
/// The same of one that asked for a team.
const QUEUE_OF_TEAM: &str = "team ";

/// Which team is called what, and whose schedules are.
#[derive(Clone, Debug, Default)]
pub struct Owners {
    teams: HashMap<String, TeamId>,
    schedules: HashMap<ScheduleId, Option<TeamId>>,
    schedules_by_name: HashMap<String, ScheduleId>,
}

impl Owners {
    /// As they are by now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read(db: &mut Db<'_>) -> Result<Self, StoreError> {
        let teams = db.team_ids().await?.into_iter().map(|(id, name)| (name, id)).collect();
        let rows = db.owned_schedules().await?;
        let schedules = rows.iter().map(|row| (row.id, row.team_id)).collect();
        Ok(Self { teams, schedules, schedules_by_name: rows.into_iter().map(|row| (row.name, row.id)).collect() })
    }

    /// The team of that name.
    #[must_use]
    pub fn team(&self, name: &str) -> Option<TeamId> {
        self.teams.get(name).copied()
    }

    /// The team of the schedule of that name.
    #[must_use]
    pub fn team_of_schedule(&self, name: &str) -> Option<TeamId> {
        self.schedules_by_name.get(name).and_then(|id| self.owner(*id))
    }

    fn owner(&self, schedule: ScheduleId) -> Option<TeamId> {
        self.schedules.get(&schedule).copied().flatten()
    }

    /// The teams whose people a policy rings, in any of its steps.
    fn of_policy(&self, policy: &Policy) -> BTreeSet<TeamId> {
        let named = policy.steps.iter().flat_map(|step| &step.whom).filter_map(|whom| match whom {
            Whom::Team(team) => Some(*team),
            Whom::Schedule(schedule) => self.owner(*schedule),
            Whom::Person(_) | Whom::Number(_) => None,
        });
        named.collect()
    }

    /// The teams that an alarm is of: `team` is the one that it asked for, `queue` under what its hunt takes turns, `policy` by what it goes.
    /// A team or schedule that is not there any more counts as none.
    #[must_use]
    pub fn of_alarm(&self, team: Option<&str>, queue: &str, policy: Option<&Policy>) -> BTreeSet<TeamId> {
        let by_queue = || match (queue.strip_prefix(QUEUE_OF_TEAM), queue.strip_prefix(QUEUE_OF_SCHEDULE)) {
            (Some(team), _) => self.team(team),
            (_, Some(schedule)) => self.team_of_schedule(schedule),
            _ => None,
        };
        let asked = team.and_then(|team| self.team(team)).or_else(by_queue);
        teams_of_alarm(asked, policy.map(|policy| self.of_policy(policy)).unwrap_or_default())
    }
}

/// An alarm with the teams that it is of; `None`: there is no such alarm.
///
/// # Errors
/// When the database fails.
pub async fn of_alarm(
    db: &mut Db<'_>,
    owners: &Owners,
    alarm: AlarmId,
) -> Result<Option<(AlarmRow, BTreeSet<TeamId>)>, StoreError> {
    let Some(row) = db.alarm(alarm).await? else { return Ok(None) };
    let hunt: Option<HuntRow> = db.hunt(row.hunt_id).await?;
    let policy = match hunt.as_ref().and_then(|hunt| hunt.policy_id) {
        Some(policy) => db.policy(policy).await?,
        None => None,
    };
    let queue = hunt.as_ref().map_or("", |hunt| hunt.queue.as_str());
    let teams = owners.of_alarm(row.team.as_deref(), queue, policy.as_ref().map(|policy| &policy.definition.0));
    Ok(Some((row, teams)))
}

/// Lets a user do this for a team, beside what they may everywhere; `None`: nothing more. It holds from their next request on.
///
/// # Errors
/// When there is no such user or team, or the database fails.
pub async fn set_role(work: &mut Work, name: &str, team: &str, role: Option<TeamRole>) -> Result<UserRow, UserError> {
    let user = find(&mut work.db(), name).await?;
    let (team_id, team) = find_team(&mut work.db(), team).await?;
    let before = work.db().team_roles().await?.into_iter().find(|row| row.user_id == user.id && row.team_id == team_id);
    match role {
        Some(role) => work.db().set_team_role(user.id, team_id, role).await?,
        None if before.is_none() => return Err(UserError::NoTeamRole { name: user.name, team }),
        None => {
            work.db().remove_team_role(user.id, team_id).await?;
        }
    }
    let line = Line::new(Operation::UserTeamRoleSet).of(user.id).named(user.name.as_str()).about(user.person_id);
    let kept = |role: Option<TeamRole>| json!({ "team_role": role.map(|role| format!("{team}: {}", role.as_str())) });
    work.note(line.before(kept(before.map(|row| row.role))).after(kept(role)));
    Ok(user)
}

/// What a user may do: everywhere, and for single teams by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Everywhere.
    pub role: Role,
    /// For single teams, beside that.
    pub teams: BTreeMap<String, TeamRole>,
}

impl Standing {
    /// What it is by now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of(db: &mut Db<'_>, user: &UserRow) -> Result<Self, StoreError> {
        let rows = db.team_roles().await?.into_iter().filter(|row| row.user_id == user.id);
        Ok(Self { role: user.role, teams: rows.map(|row| (row.team, row.role)).collect() })
    }
}

/// A team by its name or id, with its name.
///
/// # Errors
/// When there is none, or the database fails.
async fn find_team(db: &mut Db<'_>, text: &str) -> Result<(TeamId, String), UserError> {
    let teams = db.team_ids().await?;
    let named = teams.iter().find(|(_, name)| name == text.trim());
    let found = named.or_else(|| teams.iter().find(|(id, _)| id.to_string() == text.trim()));
    found.cloned().ok_or_else(|| UserError::NoSuchTeam(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::Mode;
    use crate::alarm::policy::Step;
    use crate::ids::PersonId;
    use uuid::Uuid;

    fn owners() -> Owners {
        let (db, web) = (TeamId(Uuid::from_u128(1)), TeamId(Uuid::from_u128(2)));
        let (night, alone) = (ScheduleId(Uuid::from_u128(3)), ScheduleId(Uuid::from_u128(4)));
        Owners {
            teams: HashMap::from([("db".to_owned(), db), ("web".to_owned(), web)]),
            schedules: HashMap::from([(night, Some(web)), (alone, None)]),
            schedules_by_name: HashMap::from([("night".to_owned(), night), ("alone".to_owned(), alone)]),
        }
    }

    fn policy(whom: Vec<Whom>) -> Policy {
        let step = Step { whom, mode: Mode::Sequential, attempts: None, min_interval_s: None, wait_s: None };
        Policy { steps: vec![step], rounds: 1, confirm_within_s: None, wants_key: false, texts: false }
    }

    #[test]
    fn an_alarm_is_of_whom_it_asked_for_or_of_those_its_policy_rings() {
        let owners = owners();
        let (db, web) = (TeamId(Uuid::from_u128(1)), TeamId(Uuid::from_u128(2)));
        let of = |team, queue, policy: Option<&Policy>| owners.of_alarm(team, queue, policy).into_iter().collect::<Vec<_>>();
        let both = policy(vec![Whom::Schedule(ScheduleId(Uuid::from_u128(3))), Whom::Team(db)]);
        let people = policy(vec![Whom::Person(PersonId(Uuid::from_u128(9))), Whom::Schedule(ScheduleId(Uuid::from_u128(4)))]);
        assert_eq!(of(Some("db"), "team db", None), [db]);
        assert_eq!(of(Some("db"), "team db", Some(&both)), [db], "whom it asked for comes first");
        assert_eq!(of(None, "schedule night", None), [web]);
        assert_eq!(of(None, "team web", None), [web], "asked for together with somebody else");
        assert_eq!(of(None, "policy x", Some(&both)), [db, web]);
        assert_eq!(of(None, "schedule alone", None), []);
        assert_eq!(of(None, "policy x", Some(&people)), []);
        assert_eq!(of(Some("gone"), "team gone", Some(&both)), [db, web], "a team that is no more owns nothing");
    }
}
