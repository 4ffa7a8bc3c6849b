//! What differs for some time: overrides and temporary schedules of a schedule, vacations of people.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::preview::{DutyPreviewJson, dry_run, rehearsed};
use super::shapes::{Named, OverrideJson, ScheduleJson, TemporaryJson};
use super::{form, maker, removed, roster, roster_and_sources, stale_by_header};
use crate::access::senders::Sender;
use crate::app::App;
use crate::http::answer;
use crate::http::listing::{Listed, Paged, Paging, latest_first, located};
use crate::http::problem::Problem;
use crate::ids::{OverrideId, TemporaryId, VacationId};
use crate::keep::roster::forms::{HolidaysForm, OverrideForm, TemporaryForm, VacationForm};
use crate::keep::roster::{RosterError, exceptions, find_schedule};
use crate::store::Work;
use crate::versions::{Expected, Version};

/// The id of what was made, and the schedule as it is now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MadeJson {
    id: String,
    schedule: ScheduleJson,
}

/// Changes who is on duty for some time.
#[utoipa::path(post, path = "/api/v1/schedules/{schedule}/overrides", tag = "roster", request_body = OverrideForm,
    params(("schedule" = String, Path, description = "The schedule's name or id"),
        ("dry_run" = Option<bool>, Query, description = "`true`: say who would be on duty instead of whom, and change nothing")),
    responses((status = 200, description = "With `dry_run`: what would change", body = DutyPreviewJson),
        (status = 201, description = "It holds", body = MadeJson),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn add_override(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(schedule): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let form: OverrideForm = form(&app, body).await?;
    let expected = Expected::of(&headers);
    let add = async |work: &mut Work| exceptions::add_override(work, &schedule, &form, maker(&sender), &expected).await;
    let refused = |error| stale_by_header(&expected, error);
    if dry_run(query.as_deref())? {
        return rehearsed(&app, sender.doer(), add, refused).await;
    }
    let id = app.engine.carry_out(sender.doer(), add).await.map_err(refused)?;
    made(&app, &schedule, "overrides", id.to_string()).await
}

/// Takes back an override.
#[utoipa::path(delete, path = "/api/v1/schedules/{schedule}/overrides/{id}", tag = "roster",
    params(("schedule" = String, Path, description = "The schedule's name or id"), ("id" = String, Path, description = "The override's id"),
        ("dry_run" = Option<bool>, Query, description = "`true`: say who would be on duty instead of whom, and change nothing")),
    responses((status = 200, description = "With `dry_run`: what would change", body = DutyPreviewJson),
        (status = 204, description = "It does not hold any more"),
        (status = 404, description = "There is no such schedule or override", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn remove_override(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path((schedule, id)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (roster, id) = (roster(&app).await?, id.parse::<OverrideId>().map_err(|_| RosterError::NoEntry)?);
    let own = find_schedule(&roster, &schedule)?.overrides.iter().find(|own| own.id == id).ok_or(RosterError::NoEntry)?;
    let expected = Expected::of(&headers).of_entry(&Version::of(&OverrideJson::of(&roster, own)));
    let remove = async |work: &mut Work| exceptions::remove_override(work, &schedule, id, &expected).await;
    let refused = |error| stale_by_header(&expected, error);
    if dry_run(query.as_deref())? {
        return rehearsed(&app, sender.doer(), remove, refused).await;
    }
    app.engine.carry_out(sender.doer(), remove).await.map_err(refused)?;
    Ok(removed())
}

/// Puts another rule in place of everything for some time.
#[utoipa::path(post, path = "/api/v1/schedules/{schedule}/temporaries", tag = "roster", request_body = TemporaryForm,
    params(("schedule" = String, Path, description = "The schedule's name or id"),
        ("dry_run" = Option<bool>, Query, description = "`true`: say who would be on duty instead of whom, and change nothing")),
    responses((status = 200, description = "With `dry_run`: what would change", body = DutyPreviewJson),
        (status = 201, description = "It holds", body = MadeJson),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn add_temporary(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(schedule): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let form: TemporaryForm = form(&app, body).await?;
    let expected = Expected::of(&headers);
    let add = async |work: &mut Work| exceptions::add_temporary(work, &schedule, &form, maker(&sender), &expected).await;
    let refused = |error| stale_by_header(&expected, error);
    if dry_run(query.as_deref())? {
        return rehearsed(&app, sender.doer(), add, refused).await;
    }
    let id = app.engine.carry_out(sender.doer(), add).await.map_err(refused)?;
    made(&app, &schedule, "temporaries", id.to_string()).await
}

/// The ids of what was made, and the schedule as it is now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HolidaysJson {
    ids: Vec<String>,
    schedule: ScheduleJson,
}

/// Puts other people on duty on the days of a list: a temporary schedule for each.
#[utoipa::path(post, path = "/api/v1/schedules/{schedule}/holidays", tag = "roster", request_body = HolidaysForm,
    params(("schedule" = String, Path, description = "The schedule's name or id"),
        ("dry_run" = Option<bool>, Query, description = "`true`: say who would be on duty instead of whom, and change nothing")),
    responses((status = 200, description = "With `dry_run`: what would change", body = DutyPreviewJson),
        (status = 201, description = "They hold", body = HolidaysJson),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn add_holidays(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(schedule): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let form: HolidaysForm = form(&app, body).await?;
    let expected = Expected::of(&headers);
    let add = async |work: &mut Work| exceptions::add_holidays(work, &schedule, &form, maker(&sender), &expected).await;
    let refused = |error| stale_by_header(&expected, error);
    if dry_run(query.as_deref())? {
        return rehearsed(&app, sender.doer(), add, refused).await;
    }
    let ids = app.engine.carry_out(sender.doer(), add).await.map_err(refused)?;
    let (roster, sources) = roster_and_sources(&app).await?;
    let schedule = ScheduleJson::of(&roster, &sources, find_schedule(&roster, &schedule)?);
    let ids = ids.into_iter().map(|id| id.to_string()).collect();
    let at = format!("/api/v1/schedules/{}", schedule.id());
    Ok(located(&at, answer(StatusCode::CREATED, &HolidaysJson { ids, schedule })))
}

/// Takes back a temporary schedule.
#[utoipa::path(delete, path = "/api/v1/schedules/{schedule}/temporaries/{id}", tag = "roster",
    params(("schedule" = String, Path, description = "The schedule's name or id"),
        ("id" = String, Path, description = "The temporary schedule's id"),
        ("dry_run" = Option<bool>, Query, description = "`true`: say who would be on duty instead of whom, and change nothing")),
    responses((status = 200, description = "With `dry_run`: what would change", body = DutyPreviewJson),
        (status = 204, description = "It does not hold any more"),
        (status = 404, description = "There is no such schedule, or nothing of that id", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn remove_temporary(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path((schedule, id)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (roster, id) = (roster(&app).await?, id.parse::<TemporaryId>().map_err(|_| RosterError::NoEntry)?);
    let own = find_schedule(&roster, &schedule)?.temporaries.iter().find(|own| own.id == id).ok_or(RosterError::NoEntry)?;
    let expected = Expected::of(&headers).of_entry(&Version::of(&TemporaryJson::of(&roster, own)));
    let remove = async |work: &mut Work| exceptions::remove_temporary(work, &schedule, id, &expected).await;
    let refused = |error| stale_by_header(&expected, error);
    if dry_run(query.as_deref())? {
        return rehearsed(&app, sender.doer(), remove, refused).await;
    }
    app.engine.carry_out(sender.doer(), remove).await.map_err(refused)?;
    Ok(removed())
}

async fn made(app: &App, schedule: &str, kind: &str, id: String) -> Result<Response, Problem> {
    let (roster, sources) = roster_and_sources(app).await?;
    let own = find_schedule(&roster, schedule)?;
    let at = format!("/api/v1/schedules/{}/{kind}/{id}", own.id);
    Ok(located(&at, answer(StatusCode::CREATED, &MadeJson { id, schedule: ScheduleJson::of(&roster, &sources, own) })))
}

/// A time for which somebody is away.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct VacationJson {
    id: VacationId,
    person: Named,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    note: String,
}

/// All vacations, the latest first.
#[utoipa::path(get, path = "/api/v1/vacations", tag = "roster", params(Paged),
    responses((status = 200, description = "The latest first", body = Listed<VacationJson>),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn vacations(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let paging = Paging::read(query.as_deref())?;
    let all = all_vacations(&app).await?.into_iter();
    let all = all.map(|own| (format!("{} {}", latest_first(own.starts_at), own.id), own)).collect();
    Ok(paging.page(all).answer())
}

/// One vacation.
#[utoipa::path(get, path = "/api/v1/vacations/{id}", tag = "roster",
    params(("id" = String, Path, description = "The vacation's id")),
    responses((status = 200, description = "Who is away, and when", body = VacationJson),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show_vacation(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id: VacationId = id.parse().map_err(|_| RosterError::NoEntry)?;
    let own = all_vacations(&app).await?.into_iter().find(|own| own.id == id).ok_or(RosterError::NoEntry)?;
    Ok(answer(StatusCode::OK, &own))
}

/// One override.
#[utoipa::path(get, path = "/api/v1/schedules/{schedule}/overrides/{id}", tag = "roster",
    params(("schedule" = String, Path, description = "The schedule's name or id"), ("id" = String, Path, description = "The override's id")),
    responses((status = 200, description = "Who is on duty instead, and when", body = OverrideJson),
        (status = 404, description = "There is no such schedule or override", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show_override(
    State(app): State<Arc<App>>,
    Path((schedule, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (roster, id) = (roster(&app).await?, id.parse::<OverrideId>().map_err(|_| RosterError::NoEntry)?);
    let own = find_schedule(&roster, &schedule)?.overrides.iter().find(|own| own.id == id).ok_or(RosterError::NoEntry)?;
    let shown = OverrideJson::of(&roster, own);
    Ok(answer(StatusCode::OK, &shown))
}

/// One temporary schedule.
#[utoipa::path(get, path = "/api/v1/schedules/{schedule}/temporaries/{id}", tag = "roster",
    params(("schedule" = String, Path, description = "The schedule's name or id"),
        ("id" = String, Path, description = "The temporary schedule's id")),
    responses((status = 200, description = "Its rule, and when it holds", body = TemporaryJson),
        (status = 404, description = "There is no such schedule, or nothing of that id", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show_temporary(
    State(app): State<Arc<App>>,
    Path((schedule, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (roster, id) = (roster(&app).await?, id.parse::<TemporaryId>().map_err(|_| RosterError::NoEntry)?);
    let own = find_schedule(&roster, &schedule)?.temporaries.iter().find(|own| own.id == id).ok_or(RosterError::NoEntry)?;
    let shown = TemporaryJson::of(&roster, own);
    Ok(answer(StatusCode::OK, &shown))
}

/// Somebody is away: others cover for them.
#[utoipa::path(post, path = "/api/v1/vacations", tag = "roster", request_body = VacationForm,
    params(("dry_run" = Option<bool>, Query, description = "`true`: say who would be on duty instead of whom, and change nothing")),
    responses((status = 200, description = "With `dry_run`: what would change", body = DutyPreviewJson),
        (status = 201, description = "It holds", body = VacationJson),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn add_vacation(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    let form: VacationForm = form(&app, body).await?;
    let add = async |work: &mut Work| exceptions::add_vacation(work, &form, maker(&sender)).await;
    if dry_run(query.as_deref())? {
        return rehearsed(&app, sender.doer(), add, Problem::from).await;
    }
    let id = app.engine.carry_out(sender.doer(), add).await?;
    let made = all_vacations(&app).await?.into_iter().find(|own| own.id == id).ok_or(RosterError::NoEntry)?;
    let at = format!("/api/v1/vacations/{}", made.id);
    Ok(located(&at, answer(StatusCode::CREATED, &made)))
}

/// Takes back a vacation.
#[utoipa::path(delete, path = "/api/v1/vacations/{id}", tag = "roster",
    params(("id" = String, Path, description = "The vacation's id"),
        ("dry_run" = Option<bool>, Query, description = "`true`: say who would be on duty instead of whom, and change nothing")),
    responses((status = 200, description = "With `dry_run`: what would change", body = DutyPreviewJson),
        (status = 204, description = "It does not hold any more"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn remove_vacation(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id: VacationId = id.parse().map_err(|_| RosterError::NoEntry)?;
    let own = all_vacations(&app).await?.into_iter().find(|own| own.id == id).ok_or(RosterError::NoEntry)?;
    Expected::of(&headers).check(Some(&Version::of(&own)))?;
    let remove = async |work: &mut Work| exceptions::remove_vacation(work, id).await;
    if dry_run(query.as_deref())? {
        return rehearsed(&app, sender.doer(), remove, Problem::from).await;
    }
    app.engine.carry_out(sender.doer(), remove).await?;
    Ok(removed())
}

async fn all_vacations(app: &App) -> Result<Vec<VacationJson>, Problem> {
    let roster = roster(app).await?;
    let rows = app.engine.store.read().await?.db().vacations().await?.into_iter();
    let shape = |row: crate::store::duty::exceptions::VacationRow| VacationJson {
        id: row.id,
        person: Named::person(&roster, row.person_id),
        starts_at: row.starts_at,
        ends_at: row.ends_at,
        note: row.note,
    };
    Ok(rows.map(shape).collect())
}
