//! Teams, schedules and their layers; and the whole roster, as the evaluator wants it.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::types::Json;

use crate::ids::{LayerId, PersonId, ScheduleId, TeamId};
use crate::roster::{Absences, Layer, Person, Roster, Rule, Schedule, Team};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, row};
use crate::store::{Db, Result, StoreError};

row! {
    struct TeamRow {
        id: TeamId,
        name: String,
        version: i32,
    }
}

row! {
    /// A schedule without what belongs to it.
    #[derive(Clone, Debug)]
    pub struct ScheduleRow {
        /// Which one.
        pub id: ScheduleId,
        /// Its name.
        pub name: String,
        /// Whose it is.
        pub team_id: Option<TeamId>,
        /// Its time zone's IANA name.
        pub zone: String,
        /// Its gaps are no mistake.
        pub gaps_allowed: bool,
        /// Grows with every change.
        pub version: i32,
    }
}

row! {
    struct LayerRow {
        id: LayerId,
        schedule_id: ScheduleId,
        name: String,
        rule: Json<Rule>,
    }
}

statements! {
    /// All teams by name.
    TEAMS = ["SELECT id, name, version FROM teams ORDER BY name"];
    /// The names of the first few.
    TEAM_NAMES = ["SELECT name FROM teams ORDER BY name LIMIT $1"];
    /// Who is in which team.
    MEMBERS = ["SELECT team_id, person_id FROM team_members ORDER BY team_id, position"];
    /// A new team.
    INSERT_TEAM = ["INSERT INTO teams (id, name, version, created_at, updated_at) VALUES ($1, $2, 1, $3, $3)"];
    /// Other particulars of a team, unless it has changed since.
    UPDATE_TEAM = ["UPDATE teams SET name = $2, version = version + 1, updated_at = $4 WHERE id = $1 AND version = $3"];
    /// A team is no more.
    DELETE_TEAM = ["DELETE FROM teams WHERE id = $1"];
    /// Nobody is in the team.
    DELETE_MEMBERS = ["DELETE FROM team_members WHERE team_id = $1"];
    /// Somebody is.
    INSERT_MEMBER = ["INSERT INTO team_members (team_id, person_id, position) VALUES ($1, $2, $3)"];
    /// All schedules by name.
    SCHEDULES = ["SELECT id, name, team_id, zone, gaps_allowed, version FROM schedules WHERE removed_at IS NULL ORDER BY name"];
    /// A new schedule.
    INSERT_SCHEDULE = [
        "INSERT INTO schedules (id, name, team_id, zone, gaps_allowed, version, log_due_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, 1, $6, $6, $6)"
    ];
    /// Other particulars of a schedule, unless it has changed since.
    UPDATE_SCHEDULE = [
        "UPDATE schedules SET name = $2, team_id = $3, zone = $4, gaps_allowed = $5, version = version + 1, updated_at = $7
         WHERE id = $1 AND version = $6 AND removed_at IS NULL"
    ];
    /// A schedule is used no more. Its name is free again; the duty log keeps its row.
    REMOVE_SCHEDULE = ["UPDATE schedules SET removed_at = $2, name = $3 WHERE id = $1 AND removed_at IS NULL"];
    /// All layers in order.
    LAYERS = ["SELECT id, schedule_id, name, rule FROM layers ORDER BY schedule_id, position"];
    /// A schedule has no layer.
    DELETE_LAYERS = ["DELETE FROM layers WHERE schedule_id = $1"];
    /// It has one.
    INSERT_LAYER = ["INSERT INTO layers (id, schedule_id, position, name, rule) VALUES ($1, $2, $3, $4, $5)"];
}

impl Db<'_> {
    /// The names of at most so many teams.
    pub async fn team_names(&mut self, most: i64) -> Result<Vec<String>> {
        let rows: Vec<(String,)> = fetch_all!(self, TEAM_NAMES, most)?;
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }

    /// Everything that decides who was, is and will be on duty.
    ///
    /// # Errors
    /// When the database fails, or a time zone that was stored is unknown now.
    pub async fn roster(&mut self) -> Result<Roster> {
        self.roster_from(DateTime::UNIX_EPOCH).await
    }

    /// Everything that decides who is on duty from then on: what was changed for times that were over by then is left out, and there is
    /// more of it each year.
    ///
    /// # Errors
    /// When the database fails, or a time zone that was stored is unknown now.
    pub async fn roster_from(&mut self, from: DateTime<Utc>) -> Result<Roster> {
        let people = self.people().await?.into_iter();
        let mut emails = self.emails().await?;
        let person = |(row, numbers): (super::people::PersonRow, Vec<String>)| {
            let emails = emails.remove(&row.id).unwrap_or_default();
            (row.id, Person { name: row.name, numbers, emails })
        };
        let people = people.map(person).collect();
        let members: Vec<(TeamId, PersonId)> = fetch_all!(self, MEMBERS)?;
        let teams: Vec<TeamRow> = fetch_all!(self, TEAMS)?;
        let team = |row: TeamRow| Team {
            id: row.id,
            members: members.iter().filter(|(team, _)| *team == row.id).map(|(_, person)| *person).collect(),
            name: row.name,
            version: row.version,
        };
        let mut roster = Roster { people, teams: teams.into_iter().map(team).collect(), ..Roster::default() };
        let schedules: Vec<ScheduleRow> = fetch_all!(self, SCHEDULES)?;
        let layers: Vec<LayerRow> = fetch_all!(self, LAYERS)?;
        let mut by_schedule: HashMap<ScheduleId, Vec<Layer>> = HashMap::new();
        for row in layers {
            by_schedule.entry(row.schedule_id).or_default().push(Layer { id: row.id, name: row.name, rule: row.rule.0 });
        }
        let mut overrides = self.overrides(from).await?;
        let mut temporaries = self.temporaries(from).await?;
        for row in schedules {
            let unknown = |_| StoreError::Inconsistent(format!("schedule {} is in an unknown time zone {}", row.name, row.zone));
            roster.schedules.push(Schedule {
                id: row.id,
                team: row.team_id,
                zone: row.zone.parse().map_err(unknown)?,
                name: row.name,
                gaps_allowed: row.gaps_allowed,
                version: row.version,
                layers: by_schedule.remove(&row.id).unwrap_or_default(),
                overrides: overrides.remove(&row.id).unwrap_or_default(),
                temporaries: temporaries.remove(&row.id).unwrap_or_default(),
            });
        }
        roster.absences = self.absences(&roster).await?;
        // Whoever is being erased has no number any more: nobody may count on them.
        for erased in self.being_erased().await? {
            roster = roster.after_removal(erased);
        }
        Ok(roster)
    }

    async fn absences(&mut self, roster: &Roster) -> Result<Absences> {
        let mut absences = Absences::default();
        for row in self.vacations().await? {
            absences.0.entry(row.person_id).or_default().push((row.starts_at, row.ends_at));
        }
        let always = (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + TimeDelta::days(120_000));
        // A rule may name somebody who was removed since. The others keep their turns; this one is away for good.
        let layers = roster.schedules.iter().flat_map(|schedule| schedule.layers.iter().map(|layer| &layer.rule));
        let temporaries = roster.schedules.iter().flat_map(|schedule| schedule.temporaries.iter().map(|own| &own.rule));
        for person in layers.chain(temporaries).flat_map(Rule::people).filter(|person| !roster.people.contains_key(person)) {
            absences.0.insert(person, vec![always]);
        }
        Ok(absences)
    }

    /// Stores a team without members.
    ///
    /// # Errors
    /// When the database fails; a unique violation when the name is taken.
    pub async fn insert_team(&mut self, id: TeamId, name: &str, now: DateTime<Utc>) -> Result<()> {
        execute!(self, INSERT_TEAM, id, name, now).map(|_| ())
    }

    /// Changes a team; false when it is not in this version any more.
    ///
    /// # Errors
    /// As [`Db::insert_team`].
    pub async fn update_team(&mut self, id: TeamId, name: &str, version: i32, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, UPDATE_TEAM, id, name, version, now)
    }

    /// Replaces the members of a team.
    ///
    /// # Errors
    /// When the database fails, or one of them is not there any more.
    pub async fn set_members(&mut self, team: TeamId, members: &[PersonId]) -> Result<()> {
        execute!(self, DELETE_MEMBERS, team)?;
        for (position, member) in (0_i32..).zip(members) {
            execute!(self, INSERT_MEMBER, team, *member, position)?;
        }
        Ok(())
    }

    /// Removes a team; its schedules stay, without a team. False when there was none.
    pub async fn delete_team(&mut self, id: TeamId) -> Result<bool> {
        changed_one!(self, DELETE_TEAM, id)
    }

    /// Stores a schedule without layers. Its duty log is due at once.
    ///
    /// # Errors
    /// When the database fails; a unique violation when the name is taken.
    pub async fn insert_schedule(&mut self, row: &ScheduleRow, now: DateTime<Utc>) -> Result<()> {
        execute!(self, INSERT_SCHEDULE, row.id, row.name.as_str(), row.team_id, row.zone.as_str(), row.gaps_allowed, now)
            .map(|_| ())
    }

    /// Changes a schedule; false when it is not in the version of `row` any more.
    ///
    /// # Errors
    /// As [`Db::insert_schedule`].
    pub async fn update_schedule(&mut self, row: &ScheduleRow, now: DateTime<Utc>) -> Result<bool> {
        let (name, zone) = (row.name.as_str(), row.zone.as_str());
        changed_one!(self, UPDATE_SCHEDULE, row.id, name, row.team_id, zone, row.gaps_allowed, row.version, now)
    }

    /// Takes a schedule out of use; false when it was not in use.
    pub async fn remove_schedule(&mut self, id: ScheduleId, name: &str, now: DateTime<Utc>) -> Result<bool> {
        let retired = format!("{name} (removed {})", now.timestamp_micros());
        changed_one!(self, REMOVE_SCHEDULE, id, now, retired)
    }

    /// Replaces the layers of a schedule.
    pub async fn set_layers(&mut self, schedule: ScheduleId, layers: &[Layer]) -> Result<()> {
        execute!(self, DELETE_LAYERS, schedule)?;
        for (position, layer) in (0_i32..).zip(layers) {
            execute!(self, INSERT_LAYER, layer.id, schedule, position, layer.name.as_str(), Json(&layer.rule))?;
        }
        Ok(())
    }
}
