//! Counting what a transaction changed, in that transaction: what it counts for now, less what it counted for before.
//!
//! What was counted is compared when it is replaced. Where another transaction counted the same meanwhile, this one looks again: so it does
//! not matter which of two words comes first, nor whether they come at once.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde_json::json;
use sqlx::types::Json;

use super::Touched;
use crate::alarm::HuntOutcome;
use crate::alarm::call_record::CallResult;
use crate::alarm::policy::Step;
use crate::ids::{AlarmId, HuntId, PersonId, PolicyId, TeamId};
use crate::reports::counted::{
    self, AlarmFacts, AnswerFacts, CallFacts, Change, Counted, HuntFacts, Place, Someone, TeamBy, Whose, team_of,
};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result, StoreError};

/// How often it is looked again when others counted the same meanwhile.
const TRIES: usize = 5;

row! {
    struct AlarmFigures {
        id: AlarmId,
        raised_at: DateTime<Utc>,
        repeats: i64,
        integration_id: String,
        policy_id: Option<PolicyId>,
        queue: String,
        ring: Option<Json<Step>>,
        is_false: Option<DateTime<Utc>>,
        counted: Option<String>,
    }
}

row! {
    struct HuntFigures {
        id: HuntId,
        created_at: DateTime<Utc>,
        outcome: Option<HuntOutcome>,
        policy_id: Option<PolicyId>,
        queue: String,
        ring: Option<Json<Step>>,
        counted: Option<String>,
    }
}

row! {
    struct AnswerFigures {
        hunt_id: HuntId,
        person_id: Option<PersonId>,
        at: DateTime<Utc>,
        confirmed_at: Option<DateTime<Utc>>,
        lapsed_at: Option<DateTime<Utc>>,
        offered_at: Option<DateTime<Utc>>,
    }
}

row! {
    struct CallFigures {
        id: i64,
        offered_at: DateTime<Utc>,
        person_id: Option<PersonId>,
        outcome: CallResult,
        connected_at: Option<DateTime<Utc>>,
        reported_at: Option<DateTime<Utc>>,
        of_hunt: Option<String>,
        counted: Option<String>,
    }
}

statements! {
    /// Alarms, as far as they count.
    ALARMS = [
        "SELECT a.id, a.raised_at, a.repeats, a.integration_id, h.policy_id, h.queue, h.ring, f.marked_at AS is_false, c.counted
         FROM alarms a JOIN hunts h ON h.id = a.hunt_id LEFT JOIN false_alarms f ON f.alarm_id = a.id
           LEFT JOIN counted_alarms c ON c.alarm_id = a.id
         WHERE a.id" in_list "AND" unindexed "a.kind = 'alarm' AND NOT h.dry_run AND h.only_handset_id IS NULL"
    ];
    /// Hunts, as far as they count.
    HUNTS = [
        "SELECT h.id, h.created_at, h.outcome, h.policy_id, h.queue, h.ring, c.counted
         FROM hunts h LEFT JOIN counted_hunts c ON c.hunt_id = h.id
         WHERE h.id" in_list "AND h.kind = 'alarm' AND NOT h.dry_run AND h.only_handset_id IS NULL"
    ];
    /// Hunts that were counted, and are gone.
    GONE = [
        "SELECT c.hunt_id, c.counted FROM counted_hunts c
         WHERE c.hunt_id" in_list "AND NOT EXISTS (SELECT 1 FROM hunts h WHERE h.id = c.hunt_id)"
    ];
    /// Their answers.
    ANSWERS = [
        "SELECT a.hunt_id, a.person_id, a.at, a.confirmed_at, a.lapsed_at, d.offered_at
         FROM answers a LEFT JOIN dials d ON d.mid = a.mid WHERE a.hunt_id" in_list "ORDER BY a.at, a.id"
    ];
    /// Who said no in them.
    DECLINED = ["SELECT hunt_id, person_id FROM callees WHERE hunt_id" in_list "AND verdict = 'declined'"];
    /// Whose alarm a hunt was made for.
    SENDER = [
        "SELECT a.integration_id FROM alarm_hunts l JOIN alarms a ON a.id = l.alarm_id WHERE l.hunt_id = $1
         ORDER BY l.joined_at, a.number LIMIT 1"
    ];
    /// Calls, as far as they count.
    CALLS = [
        "SELECT r.id, r.offered_at, r.person_id, r.outcome, r.connected_at, r.reported_at, h.counted AS of_hunt, c.counted
         FROM call_records r LEFT JOIN counted_hunts h ON h.hunt_id = r.hunt_id LEFT JOIN counted_calls c ON c.record_id = r.id
         WHERE r.id" in_numbers "AND" unindexed "r.kind = 'alarm' AND r.origin = 'dial'"
    ];
    /// The records of a dial's calls.
    OF_DIAL = ["SELECT id FROM call_records WHERE mid = $1"];
    /// The team of that name.
    TEAM = ["SELECT id FROM teams WHERE name = $1"];
    /// The team of a schedule.
    TEAM_OF_SCHEDULE = ["SELECT team_id FROM schedules WHERE id = $1 AND team_id IS NOT NULL"];
    /// The same by its name.
    TEAM_OF_NAMED_SCHEDULE = ["SELECT team_id FROM schedules WHERE name = $1 AND team_id IS NOT NULL"];
    /// Where a team is: the zone of its oldest schedule.
    ZONE_OF_TEAM = ["SELECT zone FROM schedules WHERE team_id = $1 AND removed_at IS NULL ORDER BY created_at, id LIMIT 1"];
    /// Where whoever is of no team is: the zone of the oldest schedule of all.
    ZONE_OF_ALL = ["SELECT zone FROM schedules WHERE removed_at IS NULL ORDER BY created_at, id LIMIT 1"];
    /// The zone of somebody's own quiet hours.
    ZONE_OF_QUIET = ["SELECT zone FROM quiet_hours WHERE person_id = $1 ORDER BY position LIMIT 1"];
    /// The zone of the oldest schedule of somebody's teams.
    ZONE_OF_MEMBER = [
        "SELECT s.zone FROM team_members m JOIN schedules s ON s.team_id = m.team_id
         WHERE m.person_id = $1 AND s.removed_at IS NULL ORDER BY s.created_at, s.id LIMIT 1"
    ];
    /// A first count, unless another transaction has just counted it.
    COUNT_ALARM = ["INSERT INTO counted_alarms (alarm_id, counted) VALUES ($1, $2) ON CONFLICT (alarm_id) DO NOTHING"];
    /// Another count, in place of this one.
    RECOUNT_ALARM = ["UPDATE counted_alarms SET counted = $2 WHERE alarm_id = $1 AND counted = $3"];
    /// The same of hunts.
    COUNT_HUNT = ["INSERT INTO counted_hunts (hunt_id, counted) VALUES ($1, $2) ON CONFLICT (hunt_id) DO NOTHING"];
    /// Another.
    RECOUNT_HUNT = ["UPDATE counted_hunts SET counted = $2 WHERE hunt_id = $1 AND counted = $3"];
    /// It is gone.
    UNCOUNT_HUNT = ["DELETE FROM counted_hunts WHERE hunt_id = $1 AND counted = $2"];
    /// The same of calls.
    COUNT_CALL = ["INSERT INTO counted_calls (record_id, counted) VALUES ($1, $2) ON CONFLICT (record_id) DO NOTHING"];
    /// Another.
    RECOUNT_CALL = ["UPDATE counted_calls SET counted = $2 WHERE record_id = $1 AND counted = $3"];
    /// What changes the sums.
    CHANGE = ["INSERT INTO figure_changes (change) VALUES ($1)"];
    /// Hunts are forgotten for their age: what they counted for stays.
    FORGET_HUNTS = [
        "DELETE FROM counted_hunts WHERE hunt_id" in_list "AND NOT EXISTS (SELECT 1 FROM hunts h WHERE h.id = counted_hunts.hunt_id)"
    ];
    /// The next alarms of those that are older than one, the newest first.
    OLDER_ALARMS = [
        "SELECT id, number FROM alarms WHERE number < $1 AND" unindexed "kind = 'alarm' ORDER BY number DESC LIMIT 50"
    ];
    /// The hunts that these alarms had.
    HUNTS_OF = ["SELECT DISTINCT hunt_id FROM alarm_hunts WHERE alarm_id" in_list];
    /// The records of the calls of these hunts.
    CALLS_OF = ["SELECT id FROM call_records WHERE hunt_id" in_list];
}

/// What was read once for all that is counted now.
#[derive(Default)]
struct Known {
    people: BTreeMap<PersonId, Tz>,
    teams: BTreeMap<TeamId, Tz>,
    rest: Option<Tz>,
    /// The teams of what was asked in the same words.
    asked: Vec<(String, Option<Step>, Option<PolicyId>, Option<TeamId>)>,
}

/// What an alarm or a hunt says of whose it is.
struct Asked<'r> {
    queue: &'r str,
    ring: Option<&'r Step>,
    policy: Option<PolicyId>,
    sender: Option<String>,
}

impl Db<'_> {
    /// Counts what was touched, and writes down what that changes.
    ///
    /// # Errors
    /// When the database fails, or others count the same again and again.
    pub(in crate::store) async fn count_touched(&mut self, touched: Touched) -> Result<()> {
        let Touched { mut alarms, mut hunts, mut calls, dials } = touched;
        for mid in &dials {
            let rows: Vec<(i64,)> = fetch_all!(self, OF_DIAL, mid.as_str())?;
            calls.extend(rows.into_iter().map(|(id,)| id));
        }
        let mut known = Known::default();
        let mut change = Change::default();
        for _ in 0..TRIES {
            // Hunts first: their calls count for whom they do.
            hunts = self.count_hunts(&hunts, &mut known, &mut change).await?;
            alarms = self.count_alarms(&alarms, &mut known, &mut change).await?;
            calls = self.count_calls(&calls, &mut known, &mut change).await?;
            if hunts.is_empty() && alarms.is_empty() && calls.is_empty() {
                return if change.is_empty() { Ok(()) } else { self.note_change(&change).await };
            }
        }
        Err(StoreError::Inconsistent("figures are counted by others at the same time again and again".to_owned()))
    }

    async fn note_change(&mut self, change: &Change) -> Result<()> {
        let text = change.written().map_err(|error| StoreError::Inconsistent(format!("figures have no JSON: {error}")))?;
        execute!(self, CHANGE, text).map(|_| ())
    }

    /// Counts alarms; gives those that others counted meanwhile.
    async fn count_alarms(
        &mut self,
        ids: &BTreeSet<AlarmId>,
        known: &mut Known,
        change: &mut Change,
    ) -> Result<BTreeSet<AlarmId>> {
        let mut left = BTreeSet::new();
        if ids.is_empty() {
            return Ok(left);
        }
        let rows: Vec<AlarmFigures> = fetch_all!(self, ALARMS, json!(ids).to_string())?;
        for row in rows {
            let before = row.counted.as_deref().map(read).transpose()?;
            let asked = Asked {
                queue: &row.queue,
                ring: row.ring.as_ref().map(|ring| &ring.0),
                policy: row.policy_id,
                sender: Some(row.integration_id.clone()),
            };
            let place = self.place_of(before.as_ref(), asked, known).await?;
            let facts = AlarmFacts { raised_at: row.raised_at, repeats: row.repeats, is_false: row.is_false.is_some() };
            let after = counted::alarm(&facts, &place, before.as_ref());
            if before.as_ref() == Some(&after) {
                continue;
            }
            let text = written(&after)?;
            let kept = match row.counted.as_deref() {
                Some(earlier) => changed_one!(self, RECOUNT_ALARM, row.id, text, earlier)?,
                None => changed_one!(self, COUNT_ALARM, row.id, text)?,
            };
            if kept {
                replace(change, before.as_ref(), &after);
            } else {
                left.insert(row.id);
            }
        }
        Ok(left)
    }

    /// Counts hunts; gives those that others counted meanwhile.
    async fn count_hunts(&mut self, ids: &BTreeSet<HuntId>, known: &mut Known, change: &mut Change) -> Result<BTreeSet<HuntId>> {
        let mut left = BTreeSet::new();
        if ids.is_empty() {
            return Ok(left);
        }
        let list = json!(ids).to_string();
        let rows: Vec<HuntFigures> = fetch_all!(self, HUNTS, list.as_str())?;
        if rows.len() < ids.len() {
            let gone: Vec<(HuntId, String)> = fetch_all!(self, GONE, list.as_str())?;
            for (id, text) in gone {
                if changed_one!(self, UNCOUNT_HUNT, id, text.as_str())? {
                    change.take_off(&read(&text)?);
                }
            }
        }
        let (mut answers, mut declined) = (Vec::new(), Vec::new());
        if !rows.is_empty() {
            answers = fetch_all!(self, ANSWERS, list.as_str())?;
            declined = fetch_all!(self, DECLINED, list.as_str())?;
        }
        for row in rows {
            let before = row.counted.as_deref().map(read).transpose()?;
            let sender = if before.is_some() { None } else { self.sender_of(row.id).await? };
            let asked = Asked { queue: &row.queue, ring: row.ring.as_ref().map(|ring| &ring.0), policy: row.policy_id, sender };
            let place = self.place_of(before.as_ref(), asked, known).await?;
            let facts = self.facts_of(&row, &answers, &declined, known).await?;
            let after = counted::hunt(&facts, &place, before.as_ref());
            if before.as_ref() == Some(&after) {
                continue;
            }
            let text = written(&after)?;
            let kept = match row.counted.as_deref() {
                Some(earlier) => changed_one!(self, RECOUNT_HUNT, row.id, text, earlier)?,
                None => changed_one!(self, COUNT_HUNT, row.id, text)?,
            };
            if kept {
                replace(change, before.as_ref(), &after);
            } else {
                left.insert(row.id);
            }
        }
        Ok(left)
    }

    async fn facts_of(
        &mut self,
        row: &HuntFigures,
        answers: &[AnswerFigures],
        declined: &[(HuntId, Option<PersonId>)],
        known: &mut Known,
    ) -> Result<HuntFacts> {
        let mut facts = HuntFacts { created_at: row.created_at, outcome: row.outcome, answers: Vec::new(), declined: Vec::new() };
        for answer in answers.iter().filter(|answer| answer.hunt_id == row.id) {
            facts.answers.push(AnswerFacts {
                person: self.someone(answer.person_id, known).await?,
                offered_at: answer.offered_at,
                at: answer.at,
                confirmed_at: answer.confirmed_at,
                lapsed: answer.lapsed_at.is_some(),
            });
        }
        for (_, person) in declined.iter().filter(|(hunt, _)| *hunt == row.id) {
            facts.declined.push(self.someone(*person, known).await?);
        }
        Ok(facts)
    }

    /// Counts calls; gives those that others counted meanwhile.
    async fn count_calls(&mut self, ids: &BTreeSet<i64>, known: &mut Known, change: &mut Change) -> Result<BTreeSet<i64>> {
        let mut left = BTreeSet::new();
        if ids.is_empty() {
            return Ok(left);
        }
        let rows: Vec<CallFigures> = fetch_all!(self, CALLS, json!(ids).to_string())?;
        for row in rows {
            let before = row.counted.as_deref().map(read).transpose()?;
            let of_hunt = row.of_hunt.as_deref().map(read).transpose()?;
            let place = match &of_hunt {
                Some(hunt) => Place { zone: zone_of(&hunt.zone), whose: hunt.whose.clone() },
                None => Place { zone: self.zone_of_rest(known).await?, whose: Whose::default() },
            };
            let facts = CallFacts {
                offered_at: row.offered_at,
                person: self.someone(row.person_id, known).await?,
                outcome: row.outcome,
                connected_at: row.connected_at,
                reported_at: row.reported_at,
            };
            let after = counted::call(&facts, &place, before.as_ref());
            if before.as_ref() == Some(&after) {
                continue;
            }
            let text = written(&after)?;
            let kept = match row.counted.as_deref() {
                Some(earlier) => changed_one!(self, RECOUNT_CALL, row.id, text, earlier)?,
                None => changed_one!(self, COUNT_CALL, row.id, text)?,
            };
            if kept {
                replace(change, before.as_ref(), &after);
            } else {
                left.insert(row.id);
            }
        }
        Ok(left)
    }

    async fn sender_of(&mut self, hunt: HuntId) -> Result<Option<String>> {
        let row: Option<(String,)> = fetch_optional!(self, SENDER, hunt)?;
        Ok(row.map(|(sender,)| sender))
    }

    /// Where something is counted: as it was before, else by the roster of now.
    async fn place_of(&mut self, before: Option<&Counted>, asked: Asked<'_>, known: &mut Known) -> Result<Place> {
        if let Some(before) = before {
            return Ok(Place { zone: zone_of(&before.zone), whose: before.whose.clone() });
        }
        let team = self.team_asked(&asked, known).await?;
        let zone = match team {
            Some(team) => self.zone_of_team(team, known).await?,
            None => self.zone_of_rest(known).await?,
        };
        let whose = Whose {
            team: team.map(|team| team.to_string()),
            policy: asked.policy.map(|policy| policy.to_string()),
            sender: asked.sender,
        };
        Ok(Place { zone, whose })
    }

    async fn team_asked(&mut self, asked: &Asked<'_>, known: &mut Known) -> Result<Option<TeamId>> {
        let is_same = |(queue, ring, policy, _): &&(String, Option<Step>, Option<PolicyId>, Option<TeamId>)| {
            queue == asked.queue && ring.as_ref() == asked.ring && *policy == asked.policy
        };
        if let Some((.., team)) = known.asked.iter().find(is_same) {
            return Ok(*team);
        }
        let mut team = match team_of(asked.queue, None, None) {
            Some(by) => self.team_by(by).await?,
            None => None,
        };
        if team.is_none() {
            // What is labelled with the name of no team is rung for one all the same.
            let policy = match asked.policy {
                Some(policy) if team_of("", asked.ring, None).is_none() => self.policy(policy).await?,
                _ => None,
            };
            let first = policy.as_ref().and_then(|policy| policy.definition.steps.first());
            if let Some(by) = team_of("", asked.ring, first) {
                team = self.team_by(by).await?;
            }
        }
        known.asked.push((asked.queue.to_owned(), asked.ring.cloned(), asked.policy, team));
        Ok(team)
    }

    async fn team_by(&mut self, by: TeamBy) -> Result<Option<TeamId>> {
        let row: Option<(TeamId,)> = match by {
            TeamBy::Id(team) => return Ok(Some(team)),
            TeamBy::Name(name) => fetch_optional!(self, TEAM, name.as_str())?,
            TeamBy::Schedule(schedule) => fetch_optional!(self, TEAM_OF_SCHEDULE, schedule)?,
            TeamBy::ScheduleName(name) => fetch_optional!(self, TEAM_OF_NAMED_SCHEDULE, name.as_str())?,
        };
        Ok(row.map(|(team,)| team))
    }

    async fn zone_of_team(&mut self, team: TeamId, known: &mut Known) -> Result<Tz> {
        if let Some(zone) = known.teams.get(&team) {
            return Ok(*zone);
        }
        let row: Option<(String,)> = fetch_optional!(self, ZONE_OF_TEAM, team)?;
        let zone = match row {
            Some((zone,)) => zone_of(&zone),
            None => self.zone_of_rest(known).await?,
        };
        known.teams.insert(team, zone);
        Ok(zone)
    }

    async fn zone_of_rest(&mut self, known: &mut Known) -> Result<Tz> {
        if let Some(zone) = known.rest {
            return Ok(zone);
        }
        let row: Option<(String,)> = fetch_optional!(self, ZONE_OF_ALL)?;
        let zone = row.map_or(Tz::UTC, |(zone,)| zone_of(&zone));
        known.rest = Some(zone);
        Ok(zone)
    }

    async fn someone(&mut self, person: Option<PersonId>, known: &mut Known) -> Result<Option<Someone>> {
        let Some(person) = person else { return Ok(None) };
        if let Some(zone) = known.people.get(&person) {
            return Ok(Some((person, *zone)));
        }
        let zone = self.zone_of_person(person).await?;
        known.people.insert(person, zone);
        Ok(Some((person, zone)))
    }

    /// Where somebody lives, as far as is known: by their own quiet hours, else by a schedule of a team of theirs, else by the oldest one.
    pub async fn zone_of_person(&mut self, person: PersonId) -> Result<Tz> {
        let mut row: Option<(String,)> = fetch_optional!(self, ZONE_OF_QUIET, person)?;
        if row.is_none() {
            row = fetch_optional!(self, ZONE_OF_MEMBER, person)?;
        }
        if row.is_none() {
            row = fetch_optional!(self, ZONE_OF_ALL)?;
        }
        Ok(row.map_or(Tz::UTC, |(zone,)| zone_of(&zone)))
    }

    /// By which zone the days of a report are, where nobody says another: that of the oldest schedule.
    pub async fn zone_of_reports(&mut self) -> Result<Tz> {
        self.zone_of_rest(&mut Known::default()).await
    }

    /// Which day it is there.
    pub async fn day_of_reports(&mut self, now: DateTime<Utc>) -> Result<NaiveDate> {
        Ok(counted::day(self.zone_of_reports().await?, now))
    }

    /// Forgets what hunts counted for that are forgotten themselves.
    pub(in crate::store) async fn forget_counted_hunts(&mut self, hunts: &str) -> Result<()> {
        execute!(self, FORGET_HUNTS, hunts).map(|_| ())
    }

    /// Has the next alarms below a number counted, with their hunts and calls, the newest first; gives the number of the last, or nothing
    /// where there are no more. What was counted already stays as it is.
    pub async fn count_older(&mut self, below: i64) -> Result<Option<i64>> {
        let alarms: Vec<(AlarmId, i64)> = fetch_all!(self, OLDER_ALARMS, below)?;
        let Some((_, last)) = alarms.last() else { return Ok(None) };
        let ids: Vec<AlarmId> = alarms.iter().map(|(id, _)| *id).collect();
        let hunts: Vec<(HuntId,)> = fetch_all!(self, HUNTS_OF, json!(ids).to_string())?;
        let hunts: Vec<HuntId> = hunts.into_iter().map(|(id,)| id).collect();
        let calls: Vec<(i64,)> = fetch_all!(self, CALLS_OF, json!(hunts).to_string())?;
        self.touched(|touched| {
            touched.alarms.extend(ids);
            touched.hunts.extend(hunts);
            touched.calls.extend(calls.into_iter().map(|(id,)| id));
        });
        Ok(Some(*last))
    }
}

/// A zone that was stored; one that this version does not know any more is UTC.
fn zone_of(name: &str) -> Tz {
    name.parse().unwrap_or(Tz::UTC)
}

fn read(text: &str) -> Result<Counted> {
    serde_json::from_str(text).map_err(|error| StoreError::Inconsistent(format!("what was counted cannot be read: {error}")))
}

fn written(counted: &Counted) -> Result<String> {
    serde_json::to_string(counted).map_err(|error| StoreError::Inconsistent(format!("what is counted has no JSON: {error}")))
}

fn replace(change: &mut Change, before: Option<&Counted>, after: &Counted) {
    if let Some(before) = before {
        change.take_off(before);
    }
    change.count(after);
}
