//! Roles of users for single teams, and of which team schedules are.

use crate::ids::{ScheduleId, TeamId, UserId};
use crate::rights::roles::{TeamRole, TeamRoles};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// A role of a user for a team.
    #[derive(Clone, Debug)]
    pub struct TeamRoleRow {
        /// Whose.
        pub user_id: UserId,
        /// For which team.
        pub team_id: TeamId,
        /// What that is called.
        pub team: String,
        /// What they may do for it.
        pub role: TeamRole,
    }
}

row! {
    /// A schedule with the team that it is of.
    #[derive(Clone, Debug)]
    pub struct OwnedRow {
        /// Which schedule.
        pub id: ScheduleId,
        /// What it is called.
        pub name: String,
        /// Whose it is.
        pub team_id: Option<TeamId>,
    }
}

statements! {
    /// Those of one user.
    OF_USER = ["SELECT team_id, role FROM team_roles WHERE user_id = $1"];
    /// All of them.
    LIST = [
        "SELECT r.user_id, r.team_id, t.name AS team, r.role FROM team_roles r JOIN teams t ON t.id = r.team_id ORDER BY t.name"
    ];
    /// What a user may do for a team.
    SET = [
        "INSERT INTO team_roles (user_id, team_id, role) VALUES ($1, $2, $3)
         ON CONFLICT (user_id, team_id) DO UPDATE SET role = excluded.role"
    ];
    /// Nothing more than everywhere.
    REMOVE = ["DELETE FROM team_roles WHERE user_id = $1 AND team_id = $2"];
    /// Teams by their names.
    TEAM_IDS = ["SELECT id, name FROM teams"];
    /// Schedules with their teams.
    OWNED = ["SELECT id, name, team_id FROM schedules WHERE removed_at IS NULL"];
    /// That of one schedule.
    OWNER = ["SELECT team_id FROM schedules WHERE id = $1 AND removed_at IS NULL"];
}

impl Db<'_> {
    /// What a user may do for single teams.
    pub async fn team_roles_of(&mut self, user: UserId) -> Result<TeamRoles> {
        let rows: Vec<(TeamId, TeamRole)> = fetch_all!(self, OF_USER, user)?;
        Ok(rows.into_iter().collect())
    }

    /// All roles for single teams, by the names of the teams.
    pub async fn team_roles(&mut self) -> Result<Vec<TeamRoleRow>> {
        fetch_all!(self, LIST)
    }

    /// Lets a user do this for a team.
    pub async fn set_team_role(&mut self, user: UserId, team: TeamId, role: TeamRole) -> Result<()> {
        let _: bool = changed_one!(self, SET, user, team, role)?;
        Ok(())
    }

    /// Lets a user do for a team what they may everywhere; false when there was nothing more.
    pub async fn remove_team_role(&mut self, user: UserId, team: TeamId) -> Result<bool> {
        changed_one!(self, REMOVE, user, team)
    }

    /// The teams, with their names.
    pub async fn team_ids(&mut self) -> Result<Vec<(TeamId, String)>> {
        fetch_all!(self, TEAM_IDS)
    }

    /// The schedules, with their names and teams.
    pub async fn owned_schedules(&mut self) -> Result<Vec<OwnedRow>> {
        fetch_all!(self, OWNED)
    }

    /// Of which team a schedule is; `None` when there is no such schedule.
    pub async fn owner_of(&mut self, schedule: ScheduleId) -> Result<Option<Option<TeamId>>> {
        let row: Option<(Option<TeamId>,)> = fetch_optional!(self, OWNER, schedule)?;
        Ok(row.map(|(team,)| team))
    }
}
