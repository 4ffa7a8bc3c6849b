//! The alarm API: `/api/v1/alarms`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, FromRequestParts, Path, RawQuery, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::alarm::{self, AlarmDetailJson, AlarmJson};
use crate::access::senders::Sender;
use crate::alarm::{AlarmState, Priority};
use crate::app::App;
use crate::engine::{Acknowledgement, Actor, RaisedAs};
use crate::http::answer;
use crate::http::problem::Problem;
use crate::ids::AlarmId;
use crate::intake::alarm_request::{self, AcknowledgeBody, AlarmBody, CancelBody, ResolveBody};
use crate::store::alarm::alarms::AlarmFilter;
use crate::telemetry::AlarmResult;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that the answer is the one given to an earlier request with the same key.
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const DEFAULT_PAGE: i64 = 50;
const LARGEST_PAGE: i64 = 200;

/// Takes in an alarm. 201 for a new one, 200 for a repeat of an open one.
#[utoipa::path(post, path = "/api/v1/alarms", tag = "alarms",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request safe: the same again gives the same alarm")),
    request_body = AlarmBody,
    responses((status = 201, description = "A new alarm", body = AlarmJson),
        (status = 200, description = "A repeat of an open alarm", body = AlarmJson),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn raise(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    request: Request,
) -> Result<Response, Problem> {
    let raised = try_raise(&app, &sender, request).await;
    app.engine.metrics.alarms.inc(match &raised {
        Ok((_, RaisedAs::Repeated | RaisedAs::Reopened | RaisedAs::Replayed { .. })) => AlarmResult::Repeated,
        Ok((_, RaisedAs::Created)) => AlarmResult::Created,
        Err(_) => AlarmResult::Refused,
    });
    raised.map(|(response, _)| response)
}

async fn try_raise(app: &App, sender: &Sender, request: Request) -> Result<(Response, RaisedAs), Problem> {
    let (parts, body) = request.into_parts();
    let body = alarm_request::read_alarm(body, app.config().http.body_limit_bytes).await?;
    let key = idempotency_key(&parts.headers)?;
    let request = alarm_request::raise_request(body, key, sender, app.config())?;
    let raised = app.engine.raise(&request).await?;
    let (id, raised_as) = (raised.alarm.id, raised.raised_as);
    tracing::info!(alarm.id = %id, alarm.number = raised.alarm.number, outcome = ?raised_as, "alarm");
    let alarm = alarm::summary(&app.engine.store, raised.alarm).await?;
    let status = match raised_as {
        RaisedAs::Repeated | RaisedAs::Reopened | RaisedAs::Replayed { repeated: true } => StatusCode::OK,
        RaisedAs::Created | RaisedAs::Replayed { repeated: false } => StatusCode::CREATED,
    };
    let mut response = answer(status, &alarm);
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/alarms/{id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if matches!(raised_as, RaisedAs::Replayed { .. }) {
        response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok((response, raised_as))
}

/// A page of alarms.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Page {
    alarms: Vec<AlarmJson>,
    /// Give this as `cursor` to get the next page; null on the last.
    next_cursor: Option<String>,
}

/// Alarms, newest first.
#[utoipa::path(get, path = "/api/v1/alarms", tag = "alarms",
    params(("state" = Option<AlarmState>, Query), ("priority" = Option<Priority>, Query), ("source" = Option<String>, Query),
        ("dedup_key" = Option<String>, Query), ("raised_from" = Option<String>, Query, description = "RFC 3339"),
        ("raised_before" = Option<String>, Query, description = "RFC 3339"), ("limit" = Option<i64>, Query, description = "1 to 200"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before")),
    responses((status = 200, description = "A page of alarms", body = Page),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let (filter, limit) = read_filter(&query.unwrap_or_default())?;
    // One more than asked for tells whether there is a next page.
    let mut rows = app.engine.store.read().await?.db().list_alarms(&filter, limit + 1).await?;
    let more = rows.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if more {
        rows.pop();
    }
    let next_cursor = rows.last().filter(|_| more).map(|row| row.number.to_string());
    let alarms = alarm::summaries(&app.engine.store, rows).await?;
    Ok(answer(StatusCode::OK, &Page { alarms, next_cursor }))
}

/// One alarm with its callees, dials, answers and timeline.
#[utoipa::path(get, path = "/api/v1/alarms/{id}", tag = "alarms",
    params(("id" = String, Path, description = "The alarm's id")),
    responses((status = 200, description = "With callees, dials, answers and timeline", body = AlarmDetailJson),
        (status = 404, description = "There is no such alarm", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(State(app): State<Arc<App>>, AlarmPath(id): AlarmPath) -> Result<Response, Problem> {
    let alarm = alarm::detail(&app.engine.store, id).await?;
    Ok(answer(StatusCode::OK, &alarm))
}

/// Why something cannot be done to an alarm, for the description of the API.
#[derive(utoipa::IntoResponses)]
pub enum NotPossible {
    /// A key is needed, or it is wrong
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(Problem),
    /// There is no such alarm
    #[response(status = 404, content_type = "application/problem+json")]
    Unknown(Problem),
    /// Not in this state
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(Problem),
}

/// Calls it off.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/cancel", tag = "alarms",
    params(("id" = String, Path, description = "The alarm's id")),
    request_body = CancelBody,
    responses((status = 200, description = "Called off", body = AlarmJson),
        NotPossible))]
pub async fn cancel(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    AlarmPath(id): AlarmPath,
    body: Body,
) -> Result<Response, Problem> {
    let name = alarm_request::cancelled_by(&alarm_request::read_body(body, app.config().http.body_limit_bytes).await?)?;
    let row = app.engine.cancel(id, &Actor { name, doer: sender.doer() }).await?;
    Ok(answer(StatusCode::OK, &alarm::summary(&app.engine.store, row).await?))
}

/// What became of a word that an alarm is over.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ResolvedJson {
    /// `resolved`, or `nothing_open` when no alarm is open under this key.
    outcome: &'static str,
    /// The alarm that is over now.
    alarm: Option<AlarmJson>,
}

/// Its sender says that the alarm with a key is over.
#[utoipa::path(post, path = "/api/v1/alarms/resolve", tag = "alarms", operation_id = "resolve_by_key",
    request_body = ResolveBody,
    responses((status = 200, description = "It is over, or there was none", body = ResolvedJson),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn resolve_by_key(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    body: Body,
) -> Result<Response, Problem> {
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let key = alarm_request::resolved_key(&body)?;
    let row = app.engine.resolve_with_key(&sender.integration_id(), &key).await?;
    let (outcome, alarm) = match row {
        Some(row) => ("resolved", Some(alarm::summary(&app.engine.store, row).await?)),
        None => ("nothing_open", None),
    };
    Ok(answer(StatusCode::OK, &ResolvedJson { outcome, alarm }))
}

/// Its sender says that one of its alarms is over. Told again, it changes nothing.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/resolve", tag = "alarms", operation_id = "resolve_alarm",
    params(("id" = String, Path, description = "The alarm's id")),
    responses((status = 200, description = "It is over", body = AlarmJson),
        (status = 404, description = "This sender raised no such alarm", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn resolve(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    AlarmPath(id): AlarmPath,
) -> Result<Response, Problem> {
    let row = app.engine.resolve_own(&sender.integration_id(), id).await?;
    Ok(answer(StatusCode::OK, &alarm::summary(&app.engine.store, row).await?))
}

/// A human confirms this alarm, and no other that is rung for in the same call: those are rung on.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/acknowledge", tag = "alarms",
    params(("id" = String, Path, description = "The alarm's id")),
    request_body = AcknowledgeBody,
    responses((status = 200, description = "Confirmed", body = AlarmJson),
        NotPossible))]
pub async fn acknowledge(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    AlarmPath(id): AlarmPath,
    body: Body,
) -> Result<Response, Problem> {
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let by = alarm_request::acknowledgement(&body, app.config())?;
    let by = Acknowledgement { doer: sender.doer(), ..by };
    let row = app.engine.acknowledge(id, &by).await?;
    Ok(answer(StatusCode::OK, &alarm::summary(&app.engine.store, row).await?))
}

/// Rings the same people again.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/redial", tag = "alarms",
    params(("id" = String, Path, description = "The alarm's id")),
    responses((status = 200, description = "Rings again", body = AlarmJson),
        NotPossible))]
pub async fn redial(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    AlarmPath(id): AlarmPath,
) -> Result<Response, Problem> {
    let row = app.engine.redial(id, &Actor::nameless(sender.doer())).await?;
    Ok(answer(StatusCode::OK, &alarm::summary(&app.engine.store, row).await?))
}

/// The alarm that a path names. Whatever is no id of ours is unknown, also when it is no text at all.
pub struct AlarmPath(pub(crate) AlarmId);

impl<S: Send + Sync> FromRequestParts<S> for AlarmPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = Path::<String>::from_request_parts(parts, state).await.ok().and_then(|Path(id)| id.parse().ok());
        let unknown =
            || Problem::new(StatusCode::NOT_FOUND, "no_such_alarm", "there is no such alarm: the id is not one of ours");
        id.map(Self).ok_or_else(unknown)
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => Ok(Some(value.to_str().unwrap_or(""))),
        (Some(_), Some(_)) => Err(Problem::invalid("Idempotency-Key", "a request has at most one Idempotency-Key")),
    }
}

fn read_filter(query: &str) -> Result<(AlarmFilter, i64), Problem> {
    let mut filter = AlarmFilter::default();
    let mut limit = DEFAULT_PAGE;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if value.contains('\0') {
            return Err(Problem::invalid(&*name, format!("{name} holds a NUL character")));
        }
        match &*name {
            "state" => filter.state = Some(word::<AlarmState>(&name, &value)?),
            "priority" => filter.priority = Some(word::<Priority>(&name, &value)?),
            "source" => filter.source = Some(value.into_owned()),
            "dedup_key" => filter.dedup_key = Some(value.into_owned()),
            "raised_from" => filter.raised_from = Some(instant(&name, &value)?),
            "raised_before" => filter.raised_before = Some(instant(&name, &value)?),
            // Who asks was settled at the door.
            "key" => {}
            "cursor" => {
                filter.below_number =
                    Some(value.parse().map_err(|_| Problem::invalid("cursor", "give the next_cursor of the page before"))?)
            }
            "limit" => match value.parse() {
                Ok(number @ 1..=LARGEST_PAGE) => limit = number,
                _ => return Err(Problem::invalid("limit", format!("limit must be 1 to {LARGEST_PAGE}"))),
            },
            _ => return Err(Problem::invalid(&*name, format!("there is no filter {name:?}"))),
        }
    }
    Ok((filter, limit))
}

/// One of the words of the API, such as a state.
fn word<T: for<'de> serde::Deserialize<'de>>(field: &str, value: &str) -> Result<T, Problem> {
    alarm_request::read_word(value).map_err(|why| Problem::invalid(field, why))
}

fn instant(field: &str, value: &str) -> Result<DateTime<Utc>, Problem> {
    // An unencoded `+` of a time zone arrives as a blank.
    DateTime::parse_from_rfc3339(&value.replace(' ', "+"))
        .map(|at| at.to_utc())
        .map_err(|_| Problem::invalid(field, format!("{field} must be a time such as 2026-11-20T03:22:07Z")))
}
