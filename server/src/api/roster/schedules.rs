//! `/api/v1/schedules`: schedules, their layers, and shifts imported into them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

use super::preview::{DutyDifferenceJson, DutyPreviewJson, dry_run, rehearsed};
use super::shapes::ScheduleJson;
use super::{form, removed, roster, roster_and_sources, stale_by_header};
use crate::access::senders::Sender;
use crate::api::requests::merge::Patch;
use crate::app::App;
use crate::http::answer;
use crate::http::listing::{Listed, Paged, Paging, Query, located};
use crate::http::problem::{Code, Problem};
use crate::http::versions::versioned;
use crate::ids::ScheduleId;
use crate::intake::alarm_request::read_body;
use crate::keep::roster::forms::{LayerForm, ScheduleForm};
use crate::keep::roster::{RosterError, find_schedule, import, preview, schedules};
use crate::kinds::calendar::encoding;
use crate::store::Work;
use crate::versions::{Expected, Version};

/// All schedules by name.
#[utoipa::path(get, path = "/api/v1/schedules", tag = "roster", params(Paged),
    responses((status = 200, description = "By name", body = Listed<ScheduleJson>),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let (paging, (roster, sources)) = (Paging::read(query.as_deref())?, roster_and_sources(&app).await?);
    let schedules = roster.schedules.iter();
    let schedules = schedules.map(|own| (own.name.clone(), ScheduleJson::of(&roster, &sources, own))).collect();
    Ok(paging.page(schedules).answer())
}

/// Adds a schedule.
#[utoipa::path(post, path = "/api/v1/schedules", tag = "roster", request_body = ScheduleForm,
    responses((status = 201, description = "The schedule", body = ScheduleJson),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn add(State(app): State<Arc<App>>, Extension(sender): Extension<Sender>, body: Body) -> Result<Response, Problem> {
    let form: ScheduleForm = form(&app, body).await?;
    let id = app.engine.carry_out(sender.doer(), async |work| schedules::add(work, &form).await).await?;
    Ok(located(&format!("/api/v1/schedules/{id}"), show_one(&app, &HeaderMap::new(), StatusCode::CREATED, id).await?))
}

/// One schedule with layers, overrides and temporary schedules.
#[utoipa::path(get, path = "/api/v1/schedules/{schedule}", tag = "roster",
    params(("schedule" = String, Path, description = "The schedule's name or id")),
    responses((status = 200, description = "The schedule", body = ScheduleJson),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(State(app): State<Arc<App>>, Path(schedule): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let id = find_schedule(&roster(&app).await?, &schedule)?.id;
    show_one(&app, &headers, StatusCode::OK, id).await
}

/// Changes a schedule: everything becomes that of the body, the layers too. Overrides and temporary schedules stay.
#[utoipa::path(put, path = "/api/v1/schedules/{schedule}", tag = "roster", request_body = ScheduleForm,
    params(("schedule" = String, Path, description = "The schedule's name or id")),
    responses((status = 200, description = "The schedule", body = ScheduleJson),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has changed meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn change(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(schedule): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let mut form: ScheduleForm = form(&app, body).await?;
    let expected = Expected::of(&headers);
    if expected != Expected::Anything {
        let current = find_schedule(&roster(&app).await?, &schedule)?.version;
        form.version = expected.counted(current)?.or(form.version).or(Some(current));
    }
    if form.version.is_none() {
        return Err(Problem::invalid(
            "version",
            "give the version that you have read, here or its ETag as If-Match, so that nobody's change is lost",
        ));
    }
    let changed = app.engine.carry_out(sender.doer(), async |work| schedules::change(work, &schedule, &form).await).await;
    let id = changed.map_err(|error| stale_by_header(&expected, error))?;
    show_one(&app, &HeaderMap::new(), StatusCode::OK, id).await
}

/// Changes what is named and leaves the rest.
#[utoipa::path(patch, path = "/api/v1/schedules/{schedule}", tag = "roster", request_body = ScheduleForm,
    params(("schedule" = String, Path, description = "The schedule's name or id")),
    responses((status = 200, description = "Changed", body = ScheduleJson),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What is wrong is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn patch(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(schedule): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let patch = Patch::read(&app, &headers, body).await?;
    let roster = roster(&app).await?;
    let current = find_schedule(&roster, &schedule)?;
    let expected = patch.of(Version::named(current.version))?;
    let said = ScheduleForm {
        name: current.name.clone(),
        zone: current.zone.name().to_owned(),
        team: current.team.map(|team| team.to_string()),
        gaps_allowed: current.gaps_allowed,
        layers: current.layers.iter().map(|own| LayerForm::of(&roster, &own.name, &own.rule)).collect(),
        version: Some(current.version),
    };
    let form: ScheduleForm = patch.on(&said)?;
    let changed = app.engine.carry_out(sender.doer(), async |work| schedules::change(work, &schedule, &form).await).await;
    let id = changed.map_err(|error| stale_by_header(&expected, error))?;
    show_one(&app, &HeaderMap::new(), StatusCode::OK, id).await
}

/// Says what a PUT of the same body would change, and changes nothing: who would be on duty instead of whom.
#[utoipa::path(post, path = "/api/v1/schedules/{schedule}/rehearse", tag = "roster", request_body = ScheduleForm,
    params(("schedule" = String, Path, description = "The schedule's name or id")),
    responses((status = 200, description = "What would change", body = DutyPreviewJson),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has changed meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn rehearse(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(schedule): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let form: ScheduleForm = form(&app, body).await?;
    let expected = Expected::of(&headers);
    let current = find_schedule(&roster(&app).await?, &schedule)?.version;
    let refused = |error| stale_by_header(&expected, error);
    expected.counted(current).map_err(|_| refused(RosterError::Stale { given: 0, now: current }))?;
    rehearsed(&app, sender.doer(), async |work| schedules::change(work, &schedule, &form).await, refused).await
}

/// Takes a schedule out of use; its duty log stays.
#[utoipa::path(delete, path = "/api/v1/schedules/{schedule}", tag = "roster",
    params(("schedule" = String, Path, description = "The schedule's name or id")),
    responses((status = 204, description = "It is out of use"),
        (status = 409, description = "A public number follows it", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn remove(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(schedule): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let expected = Expected::of(&headers);
    let removed_by = app.engine.carry_out(sender.doer(), async |work| schedules::remove(work, &schedule, &expected).await).await;
    removed_by.map_err(|error| stale_by_header(&expected, error))?;
    Ok(removed())
}

/// What an import did.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ImportedJson {
    /// The shifts of the file.
    shifts: usize,
    /// How many of them the layer did not have.
    added: usize,
    /// How many the layer had that are not in the file.
    removed: usize,
    /// Events of others, which were passed over.
    skipped: Vec<String>,
    /// How the file was understood, where it could be understood otherwise.
    notes: Vec<String>,
    /// Nothing was changed: it was only asked what would be.
    dry_run: bool,
    /// With `dry_run`: who would be on duty instead of whom; else empty.
    differences: Vec<DutyDifferenceJson>,
    schedule: ScheduleJson,
}

/// Imports shifts from CSV or an iCalendar file into a layer: all of it, or nothing. Another file replaces what the layer had.
#[utoipa::path(post, path = "/api/v1/schedules/{schedule}/import", tag = "roster",
    params(("schedule" = String, Path, description = "The schedule's name or id"),
        ("layer" = Option<String>, Query, description = "The layer's name; `imported` by default"),
        ("dry_run" = Option<bool>, Query, description = "`true`: say what would change, and change nothing"),
        ("encoding" = Option<String>, Query, description = "The file's encoding, such as `GBK`; else a mark at its beginning, UTF-8, or what programs of the configured region write")),
    request_body(content((String = "text/csv"), (String = "text/calendar"))),
    responses((status = 200, description = "What was imported", body = ImportedJson),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It has changed meanwhile", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Neither CSV nor iCalendar", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Every line at fault is named, or the file costs too much", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many files are being read", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn import(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(schedule): Path<String>,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let query = Query::read(raw.as_deref())?;
    let dry_run = dry_run(raw.as_deref())?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let form = match kind.split(';').next().unwrap_or_default().trim() {
        "text/csv" => import::Form::Csv,
        "text/calendar" => import::Form::Ical,
        _ => {
            let why = "send CSV as text/csv, an iCalendar file as text/calendar";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::UnknownForm, why));
        }
    };
    let body = read_body(body, app.config().http.body_limit_bytes).await?;
    let layer = query.get("layer")?.unwrap_or(import::DEFAULT_LAYER);
    let engine = &app.engine;
    let encoding = query.get("encoding")?.map(str::to_owned).or_else(|| encoding(kind));
    let file = import::File { form, bytes: body.to_vec(), encoding, region: engine.region() };
    let expected = Expected::of(&headers);
    let stale = |error| stale_by_header(&expected, error);
    let read = import::begin(&engine.store, &schedule, layer, file, &expected, engine.clock.now()).await.map_err(stale)?;
    let (done, differences) = match dry_run {
        true => {
            let finish = async |work: &mut Work| import::finish(work, read).await;
            let rehearsed = preview::rehearse(&engine.store, engine.clock.now(), sender.doer(), finish).await;
            let (plans, done) = rehearsed.map_err(stale)?;
            (done, DutyDifferenceJson::all(&plans.compared().await?))
        }
        false => {
            let done = engine.carry_out(sender.doer(), async |work| import::finish(work, read).await).await;
            (done.map_err(stale)?, Vec::new())
        }
    };
    let import::Imported { shifts, added, removed, skipped, notes } = done;
    let (roster, sources) = roster_and_sources(&app).await?;
    let schedule = ScheduleJson::of(&roster, &sources, find_schedule(&roster, &schedule)?);
    Ok(answer(StatusCode::OK, &ImportedJson { shifts, added, removed, skipped, notes, dry_run, differences, schedule }))
}

async fn show_one(app: &App, headers: &HeaderMap, status: StatusCode, id: ScheduleId) -> Result<Response, Problem> {
    let (roster, sources) = roster_and_sources(app).await?;
    let schedule = find_schedule(&roster, &id.to_string())?;
    Ok(versioned(headers, status, &Version::named(schedule.version), &ScheduleJson::of(&roster, &sources, schedule)))
}
