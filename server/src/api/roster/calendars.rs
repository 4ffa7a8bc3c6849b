//! Calendar feeds: made and revoked over the API, read by calendars under a token.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::shapes::Named;
use super::{form, maker, removed, roster};
use crate::access::senders::Sender;
use crate::app::App;
use crate::http::answer;
use crate::http::listing::{Listed, Paged, Paging, located};
use crate::http::problem::Problem;
use crate::ids::FeedId;
use crate::keep::roster::RosterError;
use crate::keep::roster::feeds::{self, Subject};
use crate::versions::{Expected, Version};

/// Whose shifts a feed is to tell: one of the two.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedForm {
    /// A schedule's name or id.
    schedule: Option<String>,
    /// A person's name or id.
    person: Option<String>,
}

/// A feed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FeedJson {
    id: FeedId,
    schedule: Option<Named>,
    person: Option<Named>,
    created_at: DateTime<Utc>,
    created_by: String,
}

/// A new feed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct NewFeedJson {
    id: FeedId,
    /// Where it is read; shown only in the first answer, and null in those that repeat it. Whoever knows it can read the shifts.
    path: Option<String>,
}

/// All feeds that work.
#[utoipa::path(get, path = "/api/v1/calendar-feeds", tag = "roster", params(Paged),
    responses((status = 200, description = "In the order in which they were made, without their addresses", body = Listed<FeedJson>),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let paging = Paging::read(query.as_deref())?;
    let feeds = all(&app).await?.into_iter().map(|feed| (feed.id.to_string(), feed)).collect();
    Ok(paging.page(feeds).answer())
}

/// One feed.
#[utoipa::path(get, path = "/api/v1/calendar-feeds/{id}", tag = "roster",
    params(("id" = String, Path, description = "The feed's id")),
    responses((status = 200, description = "The feed, without its address", body = FeedJson),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id: FeedId = id.parse().map_err(|_| RosterError::NoEntry)?;
    let feed = all(&app).await?.into_iter().find(|feed| feed.id == id).ok_or(RosterError::NoEntry)?;
    Ok(answer(StatusCode::OK, &feed))
}

async fn all(app: &App) -> Result<Vec<FeedJson>, Problem> {
    let roster = roster(app).await?;
    let rows = app.engine.store.read().await?.db().feeds().await?.into_iter();
    let shape = |row: crate::store::duty::feeds::FeedRow| FeedJson {
        id: row.id,
        schedule: row.schedule_id.map(|id| Named::schedule(&roster, id)),
        person: row.person_id.map(|id| Named::person(&roster, id)),
        created_at: row.created_at,
        created_by: row.created_by,
    };
    Ok(rows.map(shape).collect())
}

/// Makes a feed.
#[utoipa::path(post, path = "/api/v1/calendar-feeds", tag = "roster", request_body = FeedForm,
    responses((status = 201, description = "Its address, shown once", body = NewFeedJson),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn add(State(app): State<Arc<App>>, Extension(sender): Extension<Sender>, body: Body) -> Result<Response, Problem> {
    let form: FeedForm = form(&app, body).await?;
    let subject = match (&form.schedule, &form.person) {
        (Some(schedule), None) => Subject::Schedule(schedule),
        (None, Some(person)) => Subject::Person(person),
        _ => return Err(Problem::invalid("schedule", "name either a schedule or a person")),
    };
    let (id, path) = app.engine.carry_out(sender.doer(), async |work| feeds::add(work, subject, maker(&sender)).await).await?;
    let made = answer(StatusCode::CREATED, &NewFeedJson { id, path: Some(path) });
    Ok(located(&format!("/api/v1/calendar-feeds/{id}"), made))
}

/// Revokes a feed at once.
#[utoipa::path(delete, path = "/api/v1/calendar-feeds/{id}", tag = "roster",
    params(("id" = String, Path, description = "The feed's id")),
    responses((status = 204, description = "It works no more"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn revoke(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id: FeedId = id.parse().map_err(|_| RosterError::NoEntry)?;
    let feed = all(&app).await?.into_iter().find(|feed| feed.id == id).ok_or(RosterError::NoEntry)?;
    // A feed is made and revoked, and never changed.
    Expected::of(&headers).check(Some(&Version::of(&feed)))?;
    app.engine.carry_out(sender.doer(), async |work| feeds::revoke(work, id).await).await?;
    Ok(removed())
}

/// `GET /calendar/TOKEN.ics`: what calendars read. The token is the door, and far too long to guess; so a revoked one, which calendars
/// go on asking for, does not count as an attempt and shuts nobody out.
pub async fn read(State(app): State<Arc<App>>, Path(file): Path<String>) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("there is no such calendar, or it was revoked");
    let token = file.strip_suffix(".ics").ok_or_else(unknown)?;
    let calendar = feeds::read(&app.engine.store, token, app.engine.clock.now()).await?.ok_or_else(unknown)?;
    let mut response = calendar.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/calendar; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}
