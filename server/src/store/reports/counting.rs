//! Counting what is due, beside everything else: what it counts for now, less what it counted for before, into the sums.
//!
//! Only one node counts at a time, by a lock that no operation takes but the removal of a person. What is due is read before what is
//! counted: whatever changes that meanwhile leaves a row of its own, and is counted by that.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use serde_json::json;
use sqlx::types::Json;

use super::Touched;
use crate::alarm::HuntOutcome;
use crate::alarm::call_record::CallResult;
use crate::alarm::policy::Step;
use crate::ids::{AlarmId, AnswerId, CalleeId, HuntId, PersonId, PolicyId, TeamId};
use crate::reports::counted::{
    self, AlarmFacts, AnswerFacts, CallFacts, Change, Counted, Decliner, HuntFacts, Inherited, Place, Someone, TeamBy, Whose,
    team_of,
};
use crate::store::dialect::{fragment, statements};
use crate::store::edits::Edited;
use crate::store::statement::{execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result, StoreError};

/// So many things are counted in one transaction at most.
pub const COUNTED_AT_ONCE: usize = 50;
/// So many alarms of before are put down to be counted at once.
const EARLIER_AT_ONCE: i64 = 10;
/// So many calls of a hunt are read at once; and so often at most: nobody is rung for one alarm more than that.
const CALLS_AT_ONCE: usize = 500;
const PAGES_OF_CALLS: usize = 40;

row! {
    /// Something that is to be counted.
    struct DueRow {
        id: i64,
        alarm_id: Option<AlarmId>,
        hunt_id: Option<HuntId>,
        record_id: Option<i64>,
        mid: Option<String>,
    }
}

impl DueRow {
    fn what(&self) -> String {
        match self {
            Self { hunt_id: Some(hunt), .. } => format!("hunt {hunt}"),
            Self { alarm_id: Some(alarm), .. } => format!("alarm {alarm}"),
            Self { record_id: Some(record), .. } => format!("call {record}"),
            Self { mid, .. } => format!("calls of dial {}", mid.as_deref().unwrap_or_default()),
        }
    }
}

/// What became of what was due.
#[derive(Debug, Default)]
pub struct DueCounted {
    /// So many rows were looked at.
    pub rows: usize,
    /// What cannot be counted as it is, and why: it is left out until it changes again.
    pub aside: BTreeMap<String, String>,
}

/// Alarms of before, with what was done for them.
#[derive(Debug)]
pub struct Earlier {
    /// The lowest number among them.
    pub lowest: i64,
    touched: Touched,
}

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
        inherited: Option<String>,
        counted: Option<String>,
    }
}

row! {
    struct DeclinedFigures {
        hunt_id: HuntId,
        id: CalleeId,
        person_id: Option<PersonId>,
        name: Option<String>,
    }
}

row! {
    struct AnswerFigures {
        id: AnswerId,
        hunt_id: HuntId,
        person_id: Option<PersonId>,
        at: DateTime<Utc>,
        confirmed_at: Option<DateTime<Utc>>,
        lapsed_at: Option<DateTime<Utc>>,
        offered_at: Option<DateTime<Utc>>,
        dialled_for: Option<HuntId>,
        connected_at: Option<DateTime<Utc>>,
        key_at: Option<DateTime<Utc>>,
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
    /// The first things that are to be counted.
    DUE = ["SELECT id, alarm_id, hunt_id, record_id, mid FROM figures_due ORDER BY id LIMIT $1"];
    /// They are.
    FORGET_DUE = ["DELETE FROM figures_due WHERE id" in_numbers];
    /// The first that waits.
    FIRST_DUE = ["SELECT id FROM figures_due ORDER BY id LIMIT 1"];
    /// What a hunt has from another one.
    INHERITS = ["INSERT INTO hunt_copies (hunt_id, inherited) VALUES ($1, $2)"];
    /// The hunts of calls that were never counted: whoever made them noted nothing, as an earlier version does.
    HUNTS_OF_CALLS = [
        "SELECT r.hunt_id FROM call_records r WHERE r.id" in_numbers "AND" unindexed "r.hunt_id IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM counted_hunts c WHERE c.hunt_id = r.hunt_id)"
    ];
    /// Alarms, as far as they count.
    ALARMS = [
        "SELECT a.id, a.raised_at, a.repeats, a.integration_id, h.policy_id, h.queue, h.ring, f.marked_at AS is_false, c.counted
         FROM alarms a JOIN hunts h ON h.id = a.hunt_id LEFT JOIN false_alarms f ON f.alarm_id = a.id
           LEFT JOIN counted_alarms c ON c.alarm_id = a.id
         WHERE a.id" in_list "AND" unindexed "a.kind = 'alarm' AND NOT h.dry_run AND h.only_handset_id IS NULL"
    ];
    /// Hunts, as far as they count.
    HUNTS = [
        "SELECT h.id, h.created_at, h.outcome, h.policy_id, h.queue, h.ring, p.inherited, c.counted
         FROM hunts h LEFT JOIN counted_hunts c ON c.hunt_id = h.id LEFT JOIN hunt_copies p ON p.hunt_id = h.id
         WHERE h.id" in_list "AND h.kind = 'alarm' AND NOT h.dry_run AND h.only_handset_id IS NULL"
    ];
    /// Hunts that were counted, and are gone.
    GONE = [
        "SELECT c.hunt_id, c.counted FROM counted_hunts c
         WHERE c.hunt_id" in_list "AND NOT EXISTS (SELECT 1 FROM hunts h WHERE h.id = c.hunt_id)"
    ];
    /// Their answers.
    ANSWERS = [
        "SELECT a.id, a.hunt_id, a.person_id, a.at, a.confirmed_at, a.lapsed_at, d.offered_at, d.hunt_id AS dialled_for,
           (SELECT min(t.connected_at) FROM dial_targets t WHERE t.mid = a.mid AND t.callee_id = a.callee_id) AS connected_at,
           (SELECT min(t.acted_at) FROM dial_targets t
             WHERE t.mid = a.mid AND t.callee_id = a.callee_id AND t.action = 'accept') AS key_at
         FROM answers a LEFT JOIN dials d ON d.mid = a.mid WHERE a.hunt_id" in_list "ORDER BY a.at, a.id"
    ];
    /// Who said no in them.
    DECLINED = ["SELECT hunt_id, id, person_id, name FROM callees WHERE hunt_id" in_list "AND verdict = 'declined'"];
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
    /// The zones of people's own quiet hours.
    ZONES_OF_QUIET = ["SELECT person_id, zone FROM quiet_hours WHERE person_id" in_list "ORDER BY position"];
    /// The zones of the schedules of people's teams, the oldest first.
    ZONES_OF_MEMBERS = [
        "SELECT m.person_id, s.zone FROM team_members m JOIN schedules s ON s.team_id = m.team_id
         WHERE m.person_id" in_list "AND s.removed_at IS NULL ORDER BY s.created_at, s.id"
    ];
    /// What it counts for from now on.
    COUNT_ALARM = [
        "INSERT INTO counted_alarms (alarm_id, counted) VALUES ($1, $2) ON CONFLICT (alarm_id) DO UPDATE SET counted = excluded.counted"
    ];
    /// The same of hunts.
    COUNT_HUNT = [
        "INSERT INTO counted_hunts (hunt_id, counted) VALUES ($1, $2) ON CONFLICT (hunt_id) DO UPDATE SET counted = excluded.counted"
    ];
    /// It is gone.
    UNCOUNT_HUNT = ["DELETE FROM counted_hunts WHERE hunt_id = $1"];
    /// The same of calls.
    COUNT_CALL = [
        "INSERT INTO counted_calls (record_id, counted) VALUES ($1, $2) ON CONFLICT (record_id) DO UPDATE SET counted = excluded.counted"
    ];
    /// Hunts are forgotten for their age: what they counted for stays.
    FORGET_HUNTS = [
        "DELETE FROM counted_hunts WHERE hunt_id" in_list "AND NOT EXISTS (SELECT 1 FROM hunts h WHERE h.id = counted_hunts.hunt_id)"
    ];
    /// The next alarms of a span, the newest first.
    EARLIER_ALARMS = [
        "SELECT id, number FROM alarms WHERE number >= $1 AND number < $2 AND kind = 'alarm' ORDER BY number DESC LIMIT $3"
    ];
    /// The hunts that these alarms had.
    HUNTS_OF = ["SELECT DISTINCT hunt_id FROM alarm_hunts WHERE alarm_id" in_list "LIMIT 5000"];
    /// The next records of the calls of a hunt.
    CALLS_OF = [
        "SELECT id, offered_at FROM call_records WHERE hunt_id = $1 AND (offered_at, id) > ($2, $3) ORDER BY offered_at, id LIMIT $4"
    ];
}

/// What was read once for all that is counted now.
#[derive(Default)]
struct Known {
    people: BTreeMap<PersonId, Tz>,
    teams: BTreeMap<TeamId, Tz>,
    rest: Option<Tz>,
    /// The teams of what was asked in the same words.
    asked: Vec<AskedBefore>,
}

/// A queue, what was to be rung and by which policy, and of which team that is.
type AskedBefore = (String, Option<Step>, Option<PolicyId>, Option<TeamId>);

/// What an alarm or a hunt says of whose it is.
struct Asked<'r> {
    queue: &'r str,
    ring: Option<&'r Step>,
    policy: Option<PolicyId>,
    sender: Option<String>,
}

impl Db<'_> {
    /// Whether anything is to be counted.
    pub async fn is_any_figure_due(&mut self) -> Result<bool> {
        let row: Option<DueRow> = fetch_optional!(self, DUE, 1_i64)?;
        Ok(row.is_some())
    }

    /// The first thing that is to be counted: while it is the same one, nothing gets on.
    pub async fn first_figure_due(&mut self) -> Result<Option<i64>> {
        let row: Option<(i64,)> = fetch_optional!(self, FIRST_DUE)?;
        Ok(row.map(|(id,)| id))
    }

    /// Counts the first things that are due, and adds what that changes to the sums. For a transaction, in which it comes first.
    ///
    /// # Errors
    /// When the database fails; what cannot be counted as it is stands in what this gives.
    pub async fn count_due(&mut self) -> Result<DueCounted> {
        self.lock_edits(Edited::Figures).await?;
        let limit = i64::try_from(COUNTED_AT_ONCE).unwrap_or(i64::MAX);
        let due: Vec<DueRow> = fetch_all!(self, DUE, limit)?;
        let mut done = DueCounted { rows: due.len(), aside: BTreeMap::new() };
        if due.is_empty() {
            return Ok(done);
        }
        if let Err(error) = self.attempt(&due).await? {
            tracing::debug!(%error, "something cannot be counted; each is counted by itself");
            for row in &due {
                if let Err(error) = self.attempt(std::slice::from_ref(row)).await? {
                    done.aside.insert(row.what(), error.to_string());
                }
            }
        }
        let ids: Vec<i64> = due.iter().map(|row| row.id).collect();
        execute!(self, FORGET_DUE, json!(ids).to_string())?;
        Ok(done)
    }

    /// Counts these or none of them; the inner error says what never will be counted as it is.
    async fn attempt(&mut self, due: &[DueRow]) -> Result<Result<()>> {
        self.savepoint().await?;
        match self.count(due).await {
            Ok(()) => self.release_savepoint().await.map(Ok),
            Err(error) if is_for_good(&error) => {
                self.rollback_to_savepoint().await?;
                Ok(Err(error))
            }
            Err(error) => Err(error),
        }
    }

    async fn count(&mut self, due: &[DueRow]) -> Result<()> {
        let mut hunts: BTreeSet<HuntId> = due.iter().filter_map(|row| row.hunt_id).collect();
        let alarms: BTreeSet<AlarmId> = due.iter().filter_map(|row| row.alarm_id).collect();
        let mut calls: BTreeSet<i64> = due.iter().filter_map(|row| row.record_id).collect();
        let dials: BTreeSet<&str> = due.iter().filter_map(|row| row.mid.as_deref()).collect();
        for mid in dials {
            let rows: Vec<(i64,)> = fetch_all!(self, OF_DIAL, mid)?;
            calls.extend(rows.into_iter().map(|(id,)| id));
        }
        if !calls.is_empty() {
            let rows: Vec<(HuntId,)> = fetch_all!(self, HUNTS_OF_CALLS, json!(calls).to_string())?;
            hunts.extend(rows.into_iter().map(|(id,)| id));
        }
        let mut known = Known::default();
        let mut change = Change::default();
        // Hunts first: their calls count for whom they do.
        self.count_hunts(&hunts, &mut known, &mut change).await?;
        self.count_alarms(&alarms, &mut known, &mut change).await?;
        self.count_calls(&calls, &mut known, &mut change).await?;
        self.add_figures(change).await
    }

    async fn count_alarms(&mut self, ids: &BTreeSet<AlarmId>, known: &mut Known, change: &mut Change) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut rows: Vec<AlarmFigures> = fetch_all!(self, ALARMS, json!(ids).to_string())?;
        rows.sort_by_key(|row| row.id);
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
            if before.as_ref() != Some(&after) {
                execute!(self, COUNT_ALARM, row.id, written(&after)?)?;
                replace(change, before.as_ref(), &after);
            }
        }
        Ok(())
    }

    async fn count_hunts(&mut self, ids: &BTreeSet<HuntId>, known: &mut Known, change: &mut Change) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let list = json!(ids).to_string();
        let mut rows: Vec<HuntFigures> = fetch_all!(self, HUNTS, list.as_str())?;
        rows.sort_by_key(|row| row.id);
        if rows.len() < ids.len() {
            let gone: Vec<(HuntId, String)> = fetch_all!(self, GONE, list.as_str())?;
            for (id, text) in gone {
                execute!(self, UNCOUNT_HUNT, id)?;
                change.take_off(&read(&text)?);
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
            if before.as_ref() != Some(&after) {
                execute!(self, COUNT_HUNT, row.id, written(&after)?)?;
                replace(change, before.as_ref(), &after);
            }
        }
        Ok(())
    }

    async fn facts_of(
        &mut self,
        row: &HuntFigures,
        answers: &[AnswerFigures],
        declined: &[DeclinedFigures],
        known: &mut Known,
    ) -> Result<HuntFacts> {
        let inherited = row.inherited.as_deref().map(read_inherited).transpose()?;
        let parted = inherited.as_ref().is_some_and(|inherited| !inherited.afresh);
        let inherited = inherited.unwrap_or_default();
        let outcome = inherited.own(row.outcome);
        let mut facts = HuntFacts { parted, created_at: row.created_at, outcome, answers: Vec::new(), declined: Vec::new() };
        let own = answers.iter().filter(|answer| answer.hunt_id == row.id);
        for answer in own.filter(|answer| inherited.leaves(answer.id, answer.confirmed_at.is_some())) {
            facts.answers.push(AnswerFacts {
                person: self.someone(answer.person_id, known).await?,
                offered_at: answer.offered_at,
                at: answer.at,
                connected_at: answer.connected_at,
                confirmed_at: answer.confirmed_at,
                key_at: answer.key_at,
                of_another_hunt: answer.dialled_for.is_some_and(|hunt| hunt != row.id),
                lapsed: answer.lapsed_at.is_some(),
            });
        }
        let own = declined.iter().filter(|callee| callee.hunt_id == row.id);
        for callee in own.filter(|callee| !inherited.declined.contains(&callee.id)) {
            let person = self.someone(callee.person_id, known).await?;
            facts.declined.push(Decliner { person, name: callee.name.clone() });
        }
        Ok(facts)
    }

    async fn count_calls(&mut self, ids: &BTreeSet<i64>, known: &mut Known, change: &mut Change) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut rows: Vec<CallFigures> = fetch_all!(self, CALLS, json!(ids).to_string())?;
        rows.sort_by_key(|row| row.id);
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
            if before.as_ref() != Some(&after) {
                execute!(self, COUNT_CALL, row.id, written(&after)?)?;
                replace(change, before.as_ref(), &after);
            }
        }
        Ok(())
    }

    /// Notes what a hunt has from the one that its alarms left.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_inherited(&mut self, hunt: HuntId, inherited: &Inherited) -> Result<()> {
        execute!(self, INHERITS, hunt, json!(inherited).to_string()).map(|_| ())
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

    /// Where people live, as far as is known: by their own quiet hours, else by a schedule of a team of theirs, else by the oldest one.
    pub async fn zones_of_people(&mut self, people: &BTreeSet<PersonId>) -> Result<BTreeMap<PersonId, Tz>> {
        let mut zones = BTreeMap::new();
        if people.is_empty() {
            return Ok(zones);
        }
        let list = json!(people).to_string();
        let quiet: Vec<(PersonId, String)> = fetch_all!(self, ZONES_OF_QUIET, list.as_str())?;
        let members: Vec<(PersonId, String)> = fetch_all!(self, ZONES_OF_MEMBERS, list)?;
        for (person, zone) in quiet.into_iter().chain(members) {
            zones.entry(person).or_insert_with(|| zone_of(&zone));
        }
        let rest = self.zone_of_reports().await?;
        for person in people {
            zones.entry(*person).or_insert(rest);
        }
        Ok(zones)
    }

    /// Where one of them lives.
    async fn zone_of_person(&mut self, person: PersonId) -> Result<Tz> {
        Ok(self.zones_of_people(&BTreeSet::from([person])).await?.remove(&person).unwrap_or(Tz::UTC))
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

    /// The next alarms of a span of numbers, the newest first, with their hunts and calls. For a reader.
    pub async fn earlier_to_count(&mut self, (from, below): (i64, i64)) -> Result<Option<Earlier>> {
        let alarms: Vec<(AlarmId, i64)> = fetch_all!(self, EARLIER_ALARMS, from, below, EARLIER_AT_ONCE)?;
        let Some(lowest) = alarms.iter().map(|(_, number)| *number).min() else { return Ok(None) };
        let mut touched = Touched::default();
        touched.alarms.extend(alarms.into_iter().map(|(id, _)| id));
        let hunts: Vec<(HuntId,)> = fetch_all!(self, HUNTS_OF, json!(touched.alarms).to_string())?;
        touched.hunts = hunts.into_iter().map(|(id,)| id).collect();
        for hunt in touched.hunts.clone() {
            let mut after = (DateTime::UNIX_EPOCH, i64::MIN);
            for _ in 0..PAGES_OF_CALLS {
                let limit = i64::try_from(CALLS_AT_ONCE).unwrap_or(i64::MAX);
                let calls: Vec<(i64, DateTime<Utc>)> = fetch_all!(self, CALLS_OF, hunt, after.0, after.1, limit)?;
                let Some((id, at)) = calls.last() else { break };
                after = (*at, *id);
                let is_last = calls.len() < CALLS_AT_ONCE;
                touched.calls.extend(calls.into_iter().map(|(id, _)| id));
                if is_last {
                    break;
                }
            }
        }
        Ok(Some(Earlier { lowest, touched }))
    }

    /// Has them counted; what was counted already stays as it is. For a transaction.
    pub fn count_earlier(&mut self, earlier: Earlier) {
        self.touched(|touched| {
            touched.alarms.extend(earlier.touched.alarms);
            touched.hunts.extend(earlier.touched.hunts);
            touched.calls.extend(earlier.touched.calls);
        });
    }
}

/// A zone that was stored; one that this version does not know any more is UTC.
fn zone_of(name: &str) -> Tz {
    name.parse().unwrap_or(Tz::UTC)
}

fn read(text: &str) -> Result<Counted> {
    serde_json::from_str(text).map_err(|error| StoreError::Inconsistent(format!("what was counted cannot be read: {error}")))
}

fn read_inherited(text: &str) -> Result<Inherited> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Inconsistent(format!("what a hunt has from another one cannot be read: {error}")))
}

/// Whether it fails however often it is tried: what is stored cannot be read.
fn is_for_good(error: &StoreError) -> bool {
    use sqlx::Error::{ColumnDecode, ColumnNotFound, Database, Decode, TypeNotFound};
    match error {
        StoreError::Inconsistent(_) => true,
        StoreError::Statement { source: ColumnDecode { .. } | ColumnNotFound(_) | Decode(_) | TypeNotFound { .. }, .. } => true,
        // Class 22 of SQLSTATE: a value that is none.
        StoreError::Statement { source: Database(source), .. } => {
            source.code().is_some_and(|code| code.len() == 5 && code.starts_with("22"))
        }
        _ => false,
    }
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
