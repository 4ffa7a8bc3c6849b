//! Who is on duty, who was, who will be, and what is wrong with the plan.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use super::shapes::{FindingJson, Named, OnDutyJson, ReasonJson, ShiftJson, ShiftPersonJson};
use super::{roster, roster_and_sources, team_in_path};
use crate::app::App;
use crate::costly;
use crate::http::answer;
use crate::http::listing::{Listed, Paged, Paging, Query, in_order, instant_of, unknown_cursor};
use crate::http::problem::{Problem, Wrong};
use crate::ids::ScheduleId;
use crate::keep::roster::{find_schedule, find_team};
use crate::roster::check::check as find_faults;
use crate::roster::{OnDuty, Roster, Schedule, Target, evaluate};
use crate::store::duty::log::LoggedPerson;
use crate::store::duty::sources::SourceRow;

/// At most so much of a plan is told at once.
const LONGEST: TimeDelta = TimeDelta::days(366 * 2);
const DEFAULT_LENGTH: TimeDelta = TimeDelta::days(14);

/// Who is on duty at an instant.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OnDutyAnswer {
    /// Of which instant that is.
    on_duty_at: DateTime<Utc>,
    /// `plan`, or `log` for an instant of the past: then it tells who was on duty, whatever was edited since.
    source: &'static str,
    /// In the order in which they are rung; empty in a gap.
    on_duty: Vec<OnDutyJson>,
    /// Who comes next by each schedule, as it is planned; empty for an instant of the past.
    next: Vec<NextJson>,
}

/// When other people come on duty.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct NextJson {
    schedule: Named,
    starts_at: DateTime<Utc>,
    /// Empty where a gap begins.
    people: Vec<Named>,
}

impl NextJson {
    fn of(roster: &Roster, id: ScheduleId, at: DateTime<Utc>) -> Option<Self> {
        let (at, people) = evaluate::next_people(roster.schedule(id)?, &roster.absences, at)?;
        let people = people.into_iter().map(|person| Named::person(roster, person)).collect();
        Some(Self { schedule: Named::schedule(roster, id), starts_at: at, people })
    }
}

/// Who is on duty by each schedule.
#[utoipa::path(get, path = "/api/v1/on-duty", tag = "roster",
    params(("on_duty_at" = Option<String>, Query, description = "RFC 3339; now by default")),
    responses((status = 200, description = "Everybody on duty", body = OnDutyAnswer),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn all(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let roster = Arc::new(roster(&app).await?);
    let targets = roster.schedules.iter().collect();
    tell(&app, &roster, targets, None, query).await
}

/// Who is on duty by one schedule.
#[utoipa::path(get, path = "/api/v1/schedules/{schedule}/on-duty", tag = "roster",
    params(("schedule" = String, Path, description = "The schedule's name or id"),
        ("on_duty_at" = Option<String>, Query, description = "RFC 3339, or a wall time of the schedule's zone; now by default")),
    responses((status = 200, description = "Who, why, and until when", body = OnDutyAnswer),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn of_schedule(
    State(app): State<Arc<App>>,
    Path(schedule): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let roster = Arc::new(roster(&app).await?);
    tell(&app, &roster, vec![find_schedule(&roster, &schedule)?], None, query).await
}

/// Who is on duty for a team, each person once; its members when it has no schedule.
#[utoipa::path(get, path = "/api/v1/teams/{team}/on-duty", tag = "roster",
    params(("team" = String, Path, description = "The team's name or id"),
        ("on_duty_at" = Option<String>, Query, description = "RFC 3339; now by default")),
    responses((status = 200, description = "Who, why, and until when", body = OnDutyAnswer),
        (status = 404, description = "There is no such team", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn of_team(
    State(app): State<Arc<App>>,
    Path(team): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let roster = Arc::new(roster(&app).await?);
    let team = find_team(&roster, &team).map_err(team_in_path)?.id;
    let schedules: Vec<&Schedule> = roster.schedules.iter().filter(|schedule| schedule.team == Some(team)).collect();
    tell(&app, &roster, schedules, Some(Target::Team(team)), query).await
}

async fn tell(
    app: &App,
    roster: &Arc<Roster>,
    schedules: Vec<&Schedule>,
    team: Option<Target>,
    query: Option<String>,
) -> Result<Response, Problem> {
    let query = Query::read(query.as_deref())?;
    let zone = if let [one] = schedules[..] { one.zone } else { Tz::UTC };
    let now = app.engine.clock.now();
    let at = query.instant("on_duty_at", zone)?.unwrap_or(now);
    let mut on_duty = Vec::new();
    if at < now && logged(app, roster, &schedules, at, &mut on_duty).await? {
        if team.is_some() {
            each_once(&mut on_duty);
        }
        return Ok(answer(StatusCode::OK, &OnDutyAnswer { on_duty_at: at, source: "log", on_duty, next: Vec::new() }));
    }
    let ids: Vec<ScheduleId> = schedules.iter().map(|schedule| schedule.id).collect();
    let plan = Arc::clone(roster);
    let (on_duty, next) = costly::run(move |_| {
        let next = ids.iter().filter_map(|id| NextJson::of(&plan, *id, at)).collect();
        let on: Vec<OnDuty> = match team {
            Some(team) => plan.on_duty(team, at),
            None => ids.into_iter().flat_map(|id| plan.on_duty(Target::Schedule(id), at)).collect(),
        };
        (on.iter().map(|on| OnDutyJson::of(&plan, on)).collect(), next)
    })
    .await?;
    Ok(answer(StatusCode::OK, &OnDutyAnswer { on_duty_at: at, source: "plan", on_duty, next }))
}

fn each_once(on_duty: &mut Vec<OnDutyJson>) {
    let mut seen = Vec::new();
    on_duty.retain(|on| {
        let new = !seen.contains(on.person.id());
        seen.push(on.person.id().to_owned());
        new
    });
}

/// What the log says; false when it does not reach back so far for one of the schedules.
async fn logged(
    app: &App,
    roster: &Roster,
    schedules: &[&Schedule],
    at: DateTime<Utc>,
    on_duty: &mut Vec<OnDutyJson>,
) -> Result<bool, Problem> {
    let mut reader = app.engine.store.read().await?;
    for schedule in schedules {
        let Some(row) = reader.db().duty_at(schedule.id, at).await? else {
            on_duty.clear();
            return Ok(false);
        };
        let next = reader.db().next_duty(schedule.id, at).await?;
        on_duty.extend(row.people.0.into_iter().map(|own| OnDutyJson {
            person: Named::new(own.person.to_string(), own.name),
            schedule: Some(Named::schedule(roster, schedule.id)),
            reason: ReasonJson { kind: own.reason, of: own.of, instead_of: None },
            ends_at: next.as_ref().map(|next| next.at),
        }));
    }
    Ok(!schedules.is_empty())
}

/// A plan.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ShiftsAnswer {
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    /// Without a hole; gaps are shifts of nobody.
    shifts: Vec<ShiftJson>,
}

/// The plan between two instants, as the rules say it now.
#[utoipa::path(get, path = "/api/v1/schedules/{schedule}/shifts", tag = "roster",
    params(("schedule" = String, Path, description = "The schedule's name or id"),
        ("starts_at" = Option<String>, Query, description = "RFC 3339, or a wall time of the schedule's zone; now by default"),
        ("ends_at" = Option<String>, Query, description = "The same; 14 days later by default, at most two years")),
    responses((status = 200, description = "All shifts", body = ShiftsAnswer),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn shifts(
    State(app): State<Arc<App>>,
    Path(schedule): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let (roster, query) = (roster(&app).await?, Query::read(query.as_deref())?);
    let schedule = find_schedule(&roster, &schedule)?;
    let ((from, to), id) = (times(schedule, &query, app.engine.clock.now())?, schedule.id);
    let shifts = costly::run(move |_| {
        let Some(schedule) = roster.schedule(id) else { return Vec::new() };
        let shifts = evaluate::shifts(schedule, &roster.absences, from, to);
        shifts.iter().map(|shift| ShiftJson::of(&roster, schedule, shift)).collect()
    });
    Ok(answer(StatusCode::OK, &ShiftsAnswer { starts_at: from, ends_at: to, shifts: shifts.await? }))
}

/// The times of a query; without a word about it, from `usual` on.
fn times(schedule: &Schedule, query: &Query, usual: DateTime<Utc>) -> Result<(DateTime<Utc>, DateTime<Utc>), Problem> {
    let mut wrong = Wrong::default();
    let from = wrong.note(query.instant("starts_at", schedule.zone)).flatten().unwrap_or(usual);
    let to = wrong.note(query.instant("ends_at", schedule.zone)).flatten().unwrap_or(from + DEFAULT_LENGTH);
    wrong.none()?;
    match to > from && to - from <= LONGEST {
        true => Ok((from, to)),
        false => Err(Problem::parameter("ends_at", "ends_at must be after starts_at, by at most two years")),
    }
}

/// A hand-over.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DutyHandOverJson)]
pub struct HandOverJson {
    handed_over_at: DateTime<Utc>,
    /// Who was on duty from then on, by the names of that time; empty in a gap.
    on_duty: Vec<ShiftPersonJson>,
    /// The same, as it was told before.
    people: Vec<LoggedPerson>,
}

impl HandOverJson {
    fn of(at: DateTime<Utc>, people: Vec<LoggedPerson>) -> Self {
        let shown = |own: &LoggedPerson| ShiftPersonJson {
            person: Named::new(own.person.to_string(), own.name.clone()),
            reason: ReasonJson { kind: own.reason.clone(), of: own.of.clone(), instead_of: None },
        };
        Self { handed_over_at: at, on_duty: people.iter().map(shown).collect(), people }
    }
}

/// The duty log: the hand-overs as they happened, whatever was edited since.
#[utoipa::path(get, path = "/api/v1/schedules/{schedule}/log", tag = "roster",
    params(("schedule" = String, Path, description = "The schedule's name or id"),
        ("starts_at" = Option<String>, Query, description = "RFC 3339, or a wall time of the schedule's zone; 14 days ago by default"),
        ("ends_at" = Option<String>, Query, description = "The same; 14 days later by default, at most two years"),
        Paged),
    responses((status = 200, description = "In order", body = Listed<HandOverJson>),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn log(
    State(app): State<Arc<App>>,
    Path(schedule): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let paging = Paging::read(query.as_deref())?;
    let (roster, query) = (roster(&app).await?, Query::read(query.as_deref())?);
    let schedule = find_schedule(&roster, &schedule)?;
    // Up to this instant, and not a moment less: a hand-over may just have been written.
    let now = app.engine.clock.now() + TimeDelta::microseconds(1);
    let (mut from, to) = times(schedule, &query, now - DEFAULT_LENGTH)?;
    if let Some(after) = paging.after() {
        from = from.max(instant_of(after).ok_or_else(unknown_cursor)? + TimeDelta::microseconds(1));
    }
    let mut rows = app.engine.store.read().await?.db().duties(schedule.id, from, to, paging.limit() + 1).await?;
    let more = i64::try_from(rows.len()).is_ok_and(|rows| rows > paging.limit());
    if more {
        rows.pop();
    }
    let next = rows.last().filter(|_| more).map(|row| in_order(row.at));
    let hand_overs = rows.into_iter().map(|row| HandOverJson::of(row.at, row.people.0)).collect();
    Ok(Listed::new(hand_overs, next.as_deref()).answer())
}

/// What is wrong.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CheckAnswer {
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    /// In the order they begin; empty when all is well.
    findings: Vec<FindingJson>,
}

/// Calendars that cannot be read; gaps, people who cannot be rung, and overlaps, from now on.
#[utoipa::path(get, path = "/api/v1/roster/check", tag = "roster",
    params(("days" = Option<i64>, Query, description = "How far to look: 1 to 366 days, 28 by default")),
    responses((status = 200, description = "What was found", body = CheckAnswer),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn check(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let query = Query::read(query.as_deref())?;
    let days = match query.get("days")?.map(str::parse) {
        None => 28,
        Some(Ok(days @ 1..=366)) => days,
        Some(_) => return Err(Problem::parameter("days", "days must be 1 to 366")),
    };
    let (from, (roster, sources)) = (app.engine.clock.now(), roster_and_sources(&app).await?);
    let to = from + TimeDelta::days(days);
    let findings = costly::run(move |_| {
        let mut calendars: Vec<&SourceRow> = sources.values().collect();
        calendars.sort_by_key(|own| own.wrong_since);
        let calendars = calendars.into_iter().filter_map(|own| FindingJson::calendar(&roster, own));
        calendars.chain(find_faults(&roster, from, to).iter().map(|finding| FindingJson::of(&roster, finding))).collect()
    });
    Ok(answer(StatusCode::OK, &CheckAnswer { starts_at: from, ends_at: to, findings: findings.await? }))
}
