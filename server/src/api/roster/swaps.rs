//! `/api/v1/swaps`: somebody asks another to take a shift, who accepts or declines.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::preview::{DutyPreviewJson, rehearsed};
use super::shapes::Named;
use super::{form, maker, roster};
use crate::access::senders::Sender;
use crate::app::App;
use crate::http::answer;
use crate::http::listing::{Listed, Paged, Paging, located, unknown_cursor};
use crate::http::problem::Problem;
use crate::ids::SwapId;
use crate::keep::roster::RosterError;
use crate::keep::roster::swaps::{self, May, SwapForm};
use crate::roster::Roster;
use crate::store::Work;
use crate::store::duty::swaps::SwapRow;

/// A request that somebody takes a shift.
#[derive(Debug, Serialize, ToSchema)]
pub struct SwapJson {
    id: SwapId,
    schedule: Named,
    /// Whose shift it is.
    person: Named,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    /// Who is asked; null: anybody of the team.
    other: Option<Named>,
    /// The shift of the other that is taken in exchange.
    back_starts_at: Option<DateTime<Utc>>,
    back_ends_at: Option<DateTime<Utc>>,
    note: String,
    /// `open`, `accepted`, `declined`, `taken_back`, or `lapsed`: nobody answered before the shift began.
    #[schema(pattern = "^(open|accepted|declined|taken_back|lapsed)$")]
    state: &'static str,
    /// Who took the shift.
    taken_by: Option<Named>,
    created_at: DateTime<Utc>,
    created_by: String,
    /// When it was answered or taken back.
    answered_at: Option<DateTime<Utc>>,
    answered_by: Option<String>,
}

impl SwapJson {
    fn of(roster: &Roster, row: SwapRow, now: DateTime<Utc>) -> Self {
        Self {
            id: row.id,
            schedule: Named::schedule(roster, row.schedule_id),
            person: Named::person(roster, row.person_id),
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            other: row.other_id.map(|other| Named::person(roster, other)),
            back_starts_at: row.back_starts_at,
            back_ends_at: row.back_ends_at,
            state: row.standing(now).as_str(),
            taken_by: row.taken_by.map(|person| Named::person(roster, person)),
            created_at: row.created_at,
            answered_at: row.said_at,
            answered_by: row.said_at.map(|_| row.said_by),
            note: row.note,
            created_by: row.created_by,
        }
    }
}

/// Who takes a shift.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SwapAcceptForm {
    /// By name or id; needed where anybody was asked.
    person: Option<String>,
}

/// All requests for swaps, the latest first. They are forgotten 90 days after their shifts have ended.
#[utoipa::path(get, path = "/api/v1/swaps", tag = "roster", params(Paged),
    responses((status = 200, description = "The latest first", body = Listed<SwapJson>),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let paging = Paging::read(query.as_deref())?;
    let below = paging.after().map_or(Ok(SwapId(uuid::Uuid::max())), |after| after.parse().map_err(|_| unknown_cursor()))?;
    let mut reader = app.engine.store.read().await?;
    let mut rows = reader.db().latest_swaps(below, paging.limit() + 1).await?;
    let more = i64::try_from(rows.len()).is_ok_and(|rows| rows > paging.limit());
    if more {
        rows.pop();
    }
    let next = rows.last().filter(|_| more).map(|row| row.id.to_string());
    let (roster, now) = (reader.db().roster_from(app.engine.clock.now()).await?, app.engine.clock.now());
    let all = rows.into_iter().map(|row| SwapJson::of(&roster, row, now)).collect();
    Ok(Listed::new(all, next.as_deref()).answer())
}

/// One request for a swap.
#[utoipa::path(get, path = "/api/v1/swaps/{id}", tag = "roster",
    params(("id" = String, Path, description = "The request's id")),
    responses((status = 200, description = "Who asks whom for what, and what became of it", body = SwapJson),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, Problem> {
    Ok(answer(StatusCode::OK, &one(&app, read(&id)?).await?))
}

/// Asks somebody, or anybody of the team, to take a shift, perhaps in exchange for one of theirs. Nothing is changed until it is accepted.
#[utoipa::path(post, path = "/api/v1/swaps", tag = "roster", request_body = SwapForm,
    responses((status = 201, description = "It waits for an answer", body = SwapJson),
        (status = 404, description = "There is no such schedule", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The plan does not allow it, or the same was asked already", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn ask(State(app): State<Arc<App>>, Extension(sender): Extension<Sender>, body: Body) -> Result<Response, Problem> {
    let form: SwapForm = form(&app, body).await?;
    let asked = async |work: &mut Work| swaps::ask(work, &form, May::SpeakForAll, maker(&sender)).await;
    let id = app.engine.carry_out(sender.doer(), asked).await?;
    Ok(located(&format!("/api/v1/swaps/{id}"), answer(StatusCode::CREATED, &one(&app, id).await?)))
}

/// Accepts a request: overrides make it true. A press that comes late or twice changes nothing, and is told what became of the request.
#[utoipa::path(post, path = "/api/v1/swaps/{id}/accept", tag = "roster", request_body = SwapAcceptForm,
    params(("id" = String, Path, description = "The request's id")),
    responses((status = 200, description = "It is accepted", body = SwapJson),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It waits for no answer any more, or the shift is not whose it was", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn accept(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let id = read(&id)?;
    let form: SwapAcceptForm = form(&app, body).await?;
    let person = form.person.as_deref();
    let accepted = async |work: &mut Work| swaps::accept(work, id, person, May::SpeakForAll, maker(&sender)).await;
    app.engine.carry_out(sender.doer(), accepted).await?;
    Ok(answer(StatusCode::OK, &one(&app, id).await?))
}

/// Says what accepting a request would change, and changes nothing.
#[utoipa::path(post, path = "/api/v1/swaps/{id}/rehearse", tag = "roster", request_body = SwapAcceptForm,
    params(("id" = String, Path, description = "The request's id")),
    responses((status = 200, description = "Who would be on duty instead of whom", body = DutyPreviewJson),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It waits for no answer any more, or the shift is not whose it was", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn rehearse(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let id = read(&id)?;
    let form: SwapAcceptForm = form(&app, body).await?;
    let person = form.person.as_deref();
    let accept = async |work: &mut Work| swaps::accept(work, id, person, May::SpeakForAll, maker(&sender)).await;
    rehearsed(&app, sender.doer(), accept, Problem::from).await
}

/// Declines a request.
#[utoipa::path(post, path = "/api/v1/swaps/{id}/decline", tag = "roster",
    params(("id" = String, Path, description = "The request's id")),
    responses((status = 200, description = "It is declined", body = SwapJson),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It waits for no answer any more", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn decline(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    said(&app, &sender, &id, async |work, id, by| swaps::decline(work, id, May::SpeakForAll, by).await).await
}

/// Takes back a request that nobody has answered yet.
#[utoipa::path(post, path = "/api/v1/swaps/{id}/take-back", tag = "roster",
    params(("id" = String, Path, description = "The request's id")),
    responses((status = 200, description = "It is taken back", body = SwapJson),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It waits for no answer any more", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn take_back(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    said(&app, &sender, &id, async |work, id, by| swaps::take_back(work, id, May::SpeakForAll, by).await).await
}

/// Says something to a request, and tells what has become of it.
async fn said(
    app: &App,
    sender: &Sender,
    id: &str,
    say: impl AsyncFnOnce(&mut Work, SwapId, &str) -> Result<(), RosterError>,
) -> Result<Response, Problem> {
    let id = read(id)?;
    app.engine.carry_out(sender.doer(), async |work| say(work, id, maker(sender)).await).await?;
    Ok(answer(StatusCode::OK, &one(app, id).await?))
}

fn read(id: &str) -> Result<SwapId, RosterError> {
    id.parse().map_err(|_| RosterError::NoEntry)
}

async fn one(app: &App, id: SwapId) -> Result<SwapJson, Problem> {
    let row = app.engine.store.read().await?.db().swap(id).await?.ok_or(RosterError::NoEntry)?;
    Ok(SwapJson::of(&roster(app).await?, row, app.engine.clock.now()))
}
