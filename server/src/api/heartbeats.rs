//! Heartbeats over HTTP: the ping of a sender, and the list of who has to ping.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::requests::merge::Patch;
use crate::access::path_token::Shown;
use crate::access::senders::Sender;
use crate::alarm::Priority;
use crate::app::App;
use crate::http::json;
use crate::http::listing::{Listed, Paged, Paging, located};
use crate::http::problem::{Problem, no_look};
use crate::http::versions::versioned;
use crate::ids::HeartbeatId;
use crate::intake::alarm_request;
use crate::keep::heartbeats::{self, HeartbeatState, NewHeartbeat, ping_path};
use crate::store::watch::heartbeats::HeartbeatRow;
use crate::versions::Expected;

/// The JSON body of `POST /api/v1/heartbeats`.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatBody {
    /// Who is to be heard, such as nightly-backup.
    #[schema(min_length = 1, max_length = 60)]
    name: String,
    /// It pings at least this often, 10 to 2678400.
    #[schema(minimum = 10, maximum = 2_678_400)]
    period_seconds: i32,
    /// It may be late by so much, 0 to 604800; default 0.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 604_800)]
    grace_seconds: i32,
    /// Whom to ring when it is missed, in order; else `alarms.fallback_phones`.
    #[serde(default)]
    phones: Vec<String>,
    /// Labels of that alarm.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// How urgent that alarm is; default: high.
    priority: Option<Priority>,
}

/// A heartbeat as the API shows it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HeartbeatJson {
    id: HeartbeatId,
    name: String,
    state: HeartbeatState,
    period_seconds: i32,
    grace_seconds: i32,
    phones: Vec<String>,
    labels: BTreeMap<String, String>,
    priority: Priority,
    last_ping_at: Option<DateTime<Utc>>,
    due_at: Option<DateTime<Utc>>,
    missed_at: Option<DateTime<Utc>>,
    /// Where it pings; shown once, when it is made, and null from then on.
    ping_path: Option<String>,
}

impl HeartbeatJson {
    fn new(beat: HeartbeatRow, token: Option<&str>) -> Self {
        Self {
            id: beat.id,
            state: HeartbeatState::of(&beat),
            name: beat.name,
            period_seconds: beat.period_s,
            grace_seconds: beat.grace_s,
            phones: beat.phones.0,
            labels: beat.labels.0,
            priority: beat.priority,
            last_ping_at: beat.last_ping_at,
            due_at: beat.due_at,
            missed_at: beat.missed_since,
            ping_path: token.map(ping_path),
        }
    }
}

/// A sender says that it lives. GET does the same.
#[utoipa::path(method(get, post), path = "/api/v1/heartbeat/{token}", tag = "heartbeats",
    params(("token" = String, Path, description = "The token that was shown when the heartbeat was made")),
    responses((status = 200, description = "Heard"),
        (status = 401, description = "No heartbeat has this token", body = Problem, content_type = "application/problem+json")))]
pub async fn ping(
    State(app): State<Arc<App>>,
    peer: ConnectInfo<SocketAddr>,
    method: Method,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Result<Response, Problem> {
    if method == Method::HEAD {
        // Whoever looks whether the address is there, such as a link checker, does not say that the sender lives.
        return Ok(no_look("GET, POST", "a HEAD request is no sign of life: send GET or POST"));
    }
    let shown = Shown::look(&app.access, peer.0, &headers, &token);
    if !app.engine.ping_heartbeat(&shown.hash).await? {
        return Ok(shown.unknown(&app.access));
    }
    Ok(json(StatusCode::OK, r#"{"heard":true}"#))
}

/// Makes a heartbeat: without a ping in time, these people are rung.
#[utoipa::path(post, path = "/api/v1/heartbeats", tag = "heartbeats", request_body = HeartbeatBody,
    responses((status = 201, description = "Made; `ping_path` is shown only now", body = HeartbeatJson),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn add(State(app): State<Arc<App>>, Extension(sender): Extension<Sender>, body: Body) -> Result<Response, Problem> {
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let new = wanted(&body)?;
    let mut work = app.engine.work(sender.doer()).await?;
    let (beat, token) = heartbeats::add(&mut work, app.config(), &new).await?;
    work.commit().await?;
    let version = beat.version();
    let at = format!("/api/v1/heartbeats/{}", beat.id);
    Ok(located(&at, versioned(&HeaderMap::new(), StatusCode::CREATED, &version, &HeartbeatJson::new(beat, Some(&token)))))
}

/// One heartbeat.
#[utoipa::path(get, path = "/api/v1/heartbeats/{id}", tag = "heartbeats",
    params(("id" = String, Path, description = "Its id or name")),
    responses((status = 200, description = "The heartbeat", body = HeartbeatJson),
        (status = 404, description = "There is no such heartbeat", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let beat = heartbeats::find(&mut app.engine.store.read().await?.db(), &id).await?;
    let version = beat.version();
    Ok(versioned(&headers, StatusCode::OK, &version, &HeartbeatJson::new(beat, None)))
}

/// Changes a heartbeat. Its name and its address stay.
#[utoipa::path(put, path = "/api/v1/heartbeats/{id}", tag = "heartbeats", request_body = HeartbeatBody,
    params(("id" = String, Path, description = "Its id or name")),
    responses((status = 200, description = "Changed", body = HeartbeatJson),
        (status = 404, description = "There is no such heartbeat", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn change(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let new = wanted(&body)?;
    let mut work = app.engine.work(sender.doer()).await?;
    let beat = heartbeats::change(&mut work, app.config(), &id, &new, &Expected::of(&headers)).await?;
    work.commit().await?;
    let version = beat.version();
    Ok(versioned(&HeaderMap::new(), StatusCode::OK, &version, &HeartbeatJson::new(beat, None)))
}

/// Changes what is named and leaves the rest.
#[utoipa::path(patch, path = "/api/v1/heartbeats/{id}", tag = "heartbeats", request_body = HeartbeatBody,
    params(("id" = String, Path, description = "Its id or name")),
    responses((status = 200, description = "Changed", body = HeartbeatJson),
        (status = 404, description = "There is no such heartbeat", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What is wrong is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn patch(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let patch = Patch::read(&app, &headers, body).await?;
    let beat = heartbeats::find(&mut app.engine.store.read().await?.db(), &id).await?;
    let expected = patch.of(beat.version())?;
    let wanted = patch.on(&HeartbeatBody::of(beat))?;
    let mut work = app.engine.work(sender.doer()).await?;
    let beat = heartbeats::change(&mut work, app.config(), &id, &wanted.into(), &expected).await?;
    work.commit().await?;
    let version = beat.version();
    Ok(versioned(&HeaderMap::new(), StatusCode::OK, &version, &HeartbeatJson::new(beat, None)))
}

impl HeartbeatBody {
    /// What was said of a heartbeat.
    fn of(beat: HeartbeatRow) -> Self {
        Self {
            name: beat.name,
            period_seconds: beat.period_s,
            grace_seconds: beat.grace_s,
            phones: beat.phones.0,
            labels: beat.labels.0,
            priority: Some(beat.priority),
        }
    }
}

fn wanted(body: &[u8]) -> Result<NewHeartbeat, Problem> {
    alarm_request::read_json(body).map(HeartbeatBody::into)
}

impl From<HeartbeatBody> for NewHeartbeat {
    fn from(wanted: HeartbeatBody) -> Self {
        NewHeartbeat {
            name: wanted.name,
            period_s: wanted.period_seconds,
            grace_s: wanted.grace_seconds,
            phones: wanted.phones,
            labels: wanted.labels,
            priority: wanted.priority.unwrap_or(Priority::High),
        }
    }
}

/// All heartbeats by name.
#[utoipa::path(get, path = "/api/v1/heartbeats", tag = "heartbeats", params(Paged),
    responses((status = 200, description = "By name", body = Listed<HeartbeatJson>),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let paging = Paging::read(query.as_deref())?;
    let beats = app.engine.store.read().await?.db().heartbeats().await?;
    let beats = beats.into_iter().map(|beat| (beat.name.clone(), HeartbeatJson::new(beat, None))).collect();
    Ok(paging.page(beats).answer())
}

/// Waits for a heartbeat no more; its alarm is over.
#[utoipa::path(delete, path = "/api/v1/heartbeats/{id}", tag = "heartbeats",
    params(("id" = String, Path, description = "Its id or name")),
    responses((status = 204, description = "Removed"),
        (status = 404, description = "There is no such heartbeat", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn remove(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let mut work = app.engine.work(sender.doer()).await?;
    app.engine.forget_heartbeat(&mut work, &id, &Expected::of(&headers)).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
