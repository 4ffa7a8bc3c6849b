//! Maintenance windows over the API.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::access::senders::Sender;
use crate::app::App;
use crate::http::answer;
use crate::http::listing::{Listed, Paged, Paging, in_order, located};
use crate::http::problem::Problem;
use crate::ids::WindowId;
use crate::intake::alarm_request;
use crate::keep::windows::{self, NewWindow};
use crate::store::watch::maintenance::WindowRow;
use crate::versions::{Expected, Version};

/// The JSON body of `POST /api/v1/maintenance`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowBody {
    /// What is being done.
    #[schema(min_length = 1, max_length = 200, pattern = "\\S")]
    reason: String,
    /// RFC 3339; default: now.
    starts_at: Option<DateTime<Utc>>,
    /// RFC 3339, at most 31 days after the beginning.
    ends_at: DateTime<Utc>,
    /// Holds alarms whose label `team` is this.
    team: Option<String>,
    /// Holds alarms that have all of these labels. A team or a label is needed; where both are given, both must fit.
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// A maintenance window as the API shows it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WindowJson {
    id: WindowId,
    reason: String,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    team: Option<String>,
    labels: BTreeMap<String, String>,
}

impl From<WindowRow> for WindowJson {
    fn from(row: WindowRow) -> Self {
        let WindowRow { id, reason, starts_at, ends_at, team, labels, .. } = row;
        Self { id, reason, starts_at, ends_at, team, labels: labels.0 }
    }
}

/// Makes a window in which matching alarms are stored and nobody is rung.
#[utoipa::path(post, path = "/api/v1/maintenance", tag = "maintenance", request_body = WindowBody,
    responses((status = 201, description = "Made", body = WindowJson),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn add(State(app): State<Arc<App>>, Extension(sender): Extension<Sender>, body: Body) -> Result<Response, Problem> {
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let WindowBody { reason, starts_at, ends_at, team, labels } = alarm_request::read_json(&body)?;
    let mut work = app.engine.work(sender.doer()).await?;
    let window = windows::add(&mut work, &NewWindow { reason, starts_at, ends_at, team, labels }).await?;
    work.commit().await?;
    let shown = WindowJson::from(window);
    let at = format!("/api/v1/maintenance/{}", shown.id);
    Ok(located(&at, answer(StatusCode::CREATED, &shown)))
}

/// The windows that are open or to come.
#[utoipa::path(get, path = "/api/v1/maintenance", tag = "maintenance", params(Paged),
    responses((status = 200, description = "All that are not over, by their beginning", body = Listed<WindowJson>),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let paging = Paging::read(query.as_deref())?;
    let windows = app.engine.store.read().await?.db().windows(app.engine.clock.now()).await?;
    let key = |window: &WindowRow| format!("{} {}", in_order(window.starts_at), window.id);
    let windows = windows.into_iter().map(|window| (key(&window), WindowJson::from(window))).collect();
    Ok(paging.page(windows).answer())
}

/// One window that is open or to come.
#[utoipa::path(get, path = "/api/v1/maintenance/{id}", tag = "maintenance",
    params(("id" = String, Path, description = "The window's id")),
    responses((status = 200, description = "The window", body = WindowJson),
        (status = 404, description = "There is no such window, or it is over", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(answer(StatusCode::OK, &find(&app, &id).await?))
}

async fn find(app: &App, id: &str) -> Result<WindowJson, Problem> {
    let windows = app.engine.store.read().await?.db().windows(app.engine.clock.now()).await?;
    let window = windows.into_iter().find(|window| window.id.to_string() == id.to_ascii_lowercase());
    window.map(WindowJson::from).ok_or_else(|| Problem::not_found("there is no such window, or it is over"))
}

/// Ends a window now: what it held and still fires is rung.
#[utoipa::path(delete, path = "/api/v1/maintenance/{id}", tag = "maintenance",
    params(("id" = String, Path, description = "The window's id")),
    responses((status = 204, description = "Ended"),
        (status = 404, description = "There is no such window, or it is over", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn end(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let expected = Expected::of(&headers);
    if expected != Expected::Anything {
        // A window is made and ended, and never changed.
        expected.check(Some(&Version::of(&find(&app, &id).await?)))?;
    }
    let mut work = app.engine.work(sender.doer()).await?;
    windows::end(&mut work, &id).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
