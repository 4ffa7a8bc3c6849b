//! Reports: the figures of a time, told by whoever asks; how sums are kept; alarms that people say are false.

mod false_alarms;
mod keeping;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::engine::{Engine, EngineError};
use crate::ids::{PersonId, ScheduleId, TeamId};
use crate::reports::duty::{OnDuty, Span, on_duty, spans};
use crate::reports::figures::Figures;
use crate::reports::report::{Asked, By, COLUMNS, Line, Parts, Subject, Wanted, Wrong, cells, lines};
use crate::roster::wall;
use crate::sheet::cells::harmless;
use crate::store::{Db, StoreError};

/// So many hand-overs of one schedule are read for one report: an hour each, for longer than a report may be.
const MOST_HAND_OVERS: i64 = 20_000;
/// No zone's day begins further from UTC's than this.
const A_DAY: TimeDelta = TimeDelta::days(1);

/// A report.
#[derive(Clone, Debug)]
pub struct Report {
    /// Of what.
    pub asked: Asked,
    /// The team whose people it is about, where that was asked.
    pub team: Option<(TeamId, String)>,
    /// The first day of which figures are known; `None`: of none yet.
    pub known_from: Option<NaiveDate>,
    /// Some alarms are still being counted.
    pub counting: bool,
    /// Until when time on duty is counted.
    pub duty_until: DateTime<Utc>,
    /// The lines.
    pub lines: Vec<Line>,
    /// Of all lines together; `None`: nothing is known of that time.
    pub total: Option<Figures>,
}

impl Report {
    /// As CSV, in which no spreadsheet sees a formula; `named` gives a name as its reader may see it.
    #[must_use]
    pub fn csv(&self, named: impl Fn(&str) -> String) -> String {
        let mut text = COLUMNS.join(",");
        text.push_str("\r\n");
        for line in &self.lines {
            let mut row = cells(line, "(none)", "(removed)");
            if let (Subject::Named { name, .. }, Some(first)) = (&line.subject, row.first_mut()) {
                *first = named(name);
            }
            let row: Vec<String> = row.iter().map(|cell| quoted(&harmless(cell))).collect();
            text.push_str(&row.join(","));
            text.push_str("\r\n");
        }
        text
    }
}

/// A cell as CSV wants it.
fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// What was asked makes no sense.
    #[error(transparent)]
    Wrong(#[from] Wrong),
    /// The server failed.
    #[error(transparent)]
    Failed(#[from] EngineError),
}

impl From<StoreError> for ReportError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl Engine {
    /// A report. With a team, of its people alone.
    ///
    /// # Errors
    /// When what is asked makes no sense, there is no such team, or the database fails.
    pub async fn report_of(&self, wanted: Wanted<'_>) -> Result<Report, ReportError> {
        let now = self.clock.now();
        let asked = wanted.read(self.store.read().await?.db().day_of_reports(now).await?)?;
        self.catch_up_for_report().await;
        let mut reader = self.store.read().await?;
        let mut db = reader.db();
        let roster = db.roster().await?;
        let found = wanted.team.map(|name| roster.find_team(name).ok_or_else(|| Wrong::NoTeam(name.to_owned())));
        let team = found.transpose()?;
        let (known_from, counting) = self.known_figures(&mut db).await?;
        let dimension = asked.by.dimension();
        let sums = match asked.by {
            By::Day => db.figures_of_days(dimension, asked.from, asked.until).await?,
            _ => db.figures_of_months(dimension, asked.from, asked.until).await?,
        };
        let mut parts = Parts { sums, known_from, ..Parts::default() };
        match asked.by {
            By::Day | By::Month => {}
            By::Team => parts.names = roster.teams.iter().map(|own| (own.id.to_string(), own.name.clone())).collect(),
            By::Policy => {
                parts.names = db.policies().await?.into_iter().map(|own| (own.id.to_string(), own.name)).collect();
            }
            By::Sender => parts.names = db.keys().await?.into_iter().map(|own| (own.id.to_string(), own.name)).collect(),
            By::Person => {
                parts.names = roster.people.iter().map(|(id, own)| (id.to_string(), own.name.clone())).collect();
            }
        }
        if asked.by.has_duty() {
            let duty = time_on_duty(&mut db, &asked, team.map(|own| own.id), now).await?;
            if let Some(team) = team {
                let mut only: BTreeSet<String> = roster.all_of_team(team.id).iter().map(ToString::to_string).collect();
                match asked.by {
                    By::Team => only = BTreeSet::from([team.id.to_string()]),
                    _ => only.extend(duty.of_people.keys().map(ToString::to_string)),
                }
                parts.only = Some(only);
            }
            parts.duty = match asked.by {
                By::Team => duty.of_teams.into_iter().map(|(id, own)| (id.to_string(), own)).collect(),
                _ => duty.of_people.into_iter().map(|(id, own)| (id.to_string(), own)).collect(),
            };
            let named = |subject: &String| parts.names.contains_key(subject);
            parts.duty.retain(|subject, _| named(subject));
        }
        let lines = lines(&asked, &parts);
        let known: Vec<&Figures> = lines.iter().filter_map(|line| line.figures.as_ref()).collect();
        let total = (known_from.is_some_and(|from| from < asked.until)).then(|| {
            let mut total = Figures::default();
            for figures in &known {
                total.add(figures, 1);
            }
            total
        });
        let team = team.map(|own| (own.id, own.name.clone()));
        Ok(Report { asked, team, known_from, counting, duty_until: now, lines, total })
    }
}

/// How long people and teams were on duty.
#[derive(Default)]
struct Duty {
    of_people: BTreeMap<PersonId, OnDuty>,
    of_teams: BTreeMap<TeamId, OnDuty>,
}

/// By the duty log, which says who was on duty whatever was edited since; by the schedules of one team, where one is given. Nobody counts
/// twice who is on duty by two schedules at once, and each by the days, nights and weekends where they live.
async fn time_on_duty(db: &mut Db<'_>, asked: &Asked, team: Option<TeamId>, now: DateTime<Utc>) -> Result<Duty, EngineError> {
    let mut of_people: BTreeMap<PersonId, Vec<Span>> = BTreeMap::new();
    let mut in_teams: BTreeMap<(TeamId, PersonId), Vec<Span>> = BTreeMap::new();
    let from = asked.from.and_time(chrono::NaiveTime::MIN).and_utc() - A_DAY;
    let until = (asked.until.and_time(chrono::NaiveTime::MIN).and_utc() + A_DAY).min(now);
    let mut schedules = db.schedules_of_teams().await?;
    schedules.retain(|schedule| team.is_none() || schedule.team_id == team);
    let ids: Vec<ScheduleId> = schedules.iter().map(|schedule| schedule.id).collect();
    let mut duties = db.duties_of(&ids, from, until, MOST_HAND_OVERS).await?;
    for schedule in schedules {
        let rows = duties.remove(&schedule.id).unwrap_or_default().into_iter();
        let hand_overs: Vec<(DateTime<Utc>, Vec<PersonId>)> =
            rows.map(|row| (row.at, row.people.0.iter().map(|logged| logged.person).collect())).collect();
        for (person, spans) in spans(&hand_overs, until) {
            of_people.entry(person).or_default().extend(&spans);
            if let Some(team) = schedule.team_id {
                in_teams.entry((team, person)).or_default().extend(spans);
            }
        }
    }
    let mut duty = Duty::default();
    let zones = db.zones_of_people(&of_people.keys().copied().collect()).await?;
    let within = |zone| (wall::midnight(zone, asked.from), wall::midnight(zone, asked.until));
    for (person, spans) in of_people {
        let Some(zone) = zones.get(&person) else { continue };
        let own = on_duty(spans, within(*zone), *zone);
        if own.seconds > 0 {
            duty.of_people.insert(person, own);
        }
    }
    for ((team, person), spans) in in_teams {
        let Some(zone) = zones.get(&person) else { continue };
        let own = on_duty(spans, within(*zone), *zone);
        if own.seconds > 0 {
            duty.of_teams.entry(team).or_default().add(own);
        }
    }
    Ok(duty)
}
