//! `/api/v1/schedules/{schedule}/calendar`: the calendar that a schedule follows.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::shapes::CalendarSourceJson;
use super::{form, maker, removed, roster};
use crate::access::senders::Sender;
use crate::app::App;
use crate::http::answer;
use crate::http::listing::{escaped, located};
use crate::http::problem::{Code, Problem};
use crate::http::versions::versioned;
use crate::keep::roster::import::Imported;
use crate::keep::roster::source::{self, SourceForm};
use crate::keep::roster::{RosterError, find_schedule};
use crate::kinds::guard::GuardedResolver;
use crate::out::calendars::{self, RehearsalError};
use crate::store::duty::sources::SourceRow;
use crate::versions::Expected;

/// What a schedule is to follow.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CalendarSourceForm {
    /// Where the calendar is: https, http, or webcal, which is read as https. It is not shown again; where the schedule follows a calendar
    /// already, it may be left out, and stays.
    url: Option<String>,
    /// How often it is asked, 5 to 1440; 15 by default.
    every_minutes: Option<i32>,
    /// The layer that holds what it says, in the place of what that has; `calendar` by default.
    layer: Option<String>,
}

impl From<CalendarSourceForm> for SourceForm {
    fn from(form: CalendarSourceForm) -> Self {
        let CalendarSourceForm { url, every_minutes, layer } = form;
        Self { url, every_minutes, layer }
    }
}

/// What a calendar would do to a schedule.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CalendarRehearsalJson {
    /// The shifts in it.
    shifts: usize,
    /// How many of them the layer does not have.
    added: usize,
    /// How many the layer has that are not in the calendar.
    removed: usize,
    /// Events of others, which would be passed over.
    skipped: Vec<String>,
    /// How it was understood, where it could be understood otherwise.
    notes: Vec<String>,
}

impl From<RehearsalError> for Problem {
    fn from(error: RehearsalError) -> Self {
        match error {
            RehearsalError::Roster(error) => error.into(),
            RehearsalError::Trouble(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::CalendarUnreadable, error.to_string())
            }
        }
    }
}

/// The calendar that a schedule follows, and how it stands. The whole address is never shown.
#[utoipa::path(get, path = "/api/v1/schedules/{schedule}/calendar", tag = "roster",
    params(("schedule" = String, Path, description = "The schedule's name or id")),
    responses((status = 200, description = "The calendar, without its address", body = CalendarSourceJson),
        (status = 404, description = "There is no such schedule, or it follows no calendar", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(State(app): State<Arc<App>>, Path(schedule): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    show_one(&app, &headers, StatusCode::OK, &schedule).await
}

/// Lets a schedule follow a calendar, or another one than before. It is asked within seconds, and then regularly.
#[utoipa::path(put, path = "/api/v1/schedules/{schedule}/calendar", tag = "roster", request_body = CalendarSourceForm,
    params(("schedule" = String, Path, description = "The schedule's name or id")),
    responses((status = 200, description = "The calendar, without its address", body = CalendarSourceJson),
        (status = 201, description = "The same, where there was none before", body = CalendarSourceJson),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "Somebody else has changed it meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn set(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(schedule): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let form: SourceForm = form::<CalendarSourceForm>(&app, body).await?.into();
    let engine = &app.engine;
    let expected = Expected::of(&headers);
    let guard = GuardedResolver::for_calendars(&engine.config.roster.allow_networks);
    let is_new = engine
        .carry_out(sender.doer(), async |work| source::set(work, &guard, &schedule, &form, maker(&sender), &expected).await)
        .await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let shown = show_one(&app, &HeaderMap::new(), status, &schedule).await?;
    Ok(located(&format!("/api/v1/schedules/{}/calendar", escaped(&schedule)), shown))
}

/// Asks a calendar now, says what it would change if the schedule followed it, and changes nothing.
#[utoipa::path(post, path = "/api/v1/schedules/{schedule}/calendar/rehearse", tag = "roster", request_body = CalendarSourceForm,
    params(("schedule" = String, Path, description = "The schedule's name or id")),
    responses((status = 200, description = "What would change", body = CalendarRehearsalJson),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named, or what is wrong with the calendar", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many files are being read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn rehearse(State(app): State<Arc<App>>, Path(schedule): Path<String>, body: Body) -> Result<Response, Problem> {
    let form: SourceForm = form::<CalendarSourceForm>(&app, body).await?.into();
    let engine = &app.engine;
    let (_, done) = calendars::rehearse(&engine.store, &engine.config, &schedule, &form, engine.clock.now()).await?;
    let Imported { shifts, added, removed, skipped, notes } = done;
    Ok(answer(StatusCode::OK, &CalendarRehearsalJson { shifts, added, removed, skipped, notes }))
}

/// Lets a schedule follow no calendar any more. The shifts that came from it stay; remove their layer if they are not wanted.
#[utoipa::path(delete, path = "/api/v1/schedules/{schedule}/calendar", tag = "roster",
    params(("schedule" = String, Path, description = "The schedule's name or id")),
    responses((status = 204, description = "It is followed no more, and its address forgotten"),
        (status = 404, description = "There is no such schedule, or it follows no calendar", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "Somebody else has changed it meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn remove(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(schedule): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let expected = Expected::of(&headers);
    app.engine.carry_out(sender.doer(), async |work| source::remove(work, &schedule, maker(&sender), &expected).await).await?;
    Ok(removed())
}

/// Asks the calendar of a schedule now. Poll the calendar until `asked_at` has changed to see what came of it.
#[utoipa::path(post, path = "/api/v1/schedules/{schedule}/calendar/refresh", tag = "roster",
    params(("schedule" = String, Path, description = "The schedule's name or id")),
    responses((status = 202, description = "It is asked within seconds", body = CalendarSourceJson),
        (status = 404, description = "There is no such schedule, or it follows no calendar", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn refresh(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(schedule): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Expected::of(&headers).check(Some(&row_of(&app, &schedule).await?.version()))?;
    app.engine.carry_out(sender.doer(), async |work| source::ask_now(work, &schedule).await).await?;
    show_one(&app, &HeaderMap::new(), StatusCode::ACCEPTED, &schedule).await
}

async fn show_one(app: &App, headers: &HeaderMap, status: StatusCode, schedule: &str) -> Result<Response, Problem> {
    let row = row_of(app, schedule).await?;
    Ok(versioned(headers, status, &row.version(), &CalendarSourceJson::of(&row)))
}

async fn row_of(app: &App, schedule: &str) -> Result<SourceRow, Problem> {
    let id = find_schedule(&roster(app).await?, schedule)?.id;
    Ok(app.engine.store.read().await?.db().source_of(id).await?.ok_or(RosterError::NoSource)?)
}
