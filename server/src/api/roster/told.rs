//! How somebody is told by text message: `/api/v1/people/{person}/told`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::senders::Sender;
use crate::alarm::policy::AlarmTexts;
use crate::alarm::ways::Way;
use crate::api::people;
use crate::api::requests::merge::Patch;
use crate::app::App;
use crate::http::problem::Problem;
use crate::http::versions::versioned;
use crate::ids::PersonId;
use crate::intake::alarm_request::{read_body, read_json};
use crate::keep::roster::told as kept;
use crate::store::duty::told::ToldRow;
use crate::versions::Expected;

/// How somebody is told by text message.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HowTold {
    /// Whether they are sent a text message beside a call for an alarm: as its policy says (the default), for every alarm, or for none.
    alarm_texts: AlarmTexts,
    /// They are told so many minutes before a shift of theirs begins, 0 to 1440; null: they are not.
    #[schema(minimum = 0, maximum = 1440)]
    shift_minutes: Option<i32>,
    /// They are told when somebody else puts them on duty now, or within 24 hours.
    put_on_duty: bool,
    /// By which of their numbers, and how long after their turn has come, they are called for an alarm, and told of it by text message:
    /// at least one call, at most one text message, at most eight. Empty (the default): they are called by their first number at once,
    /// and told as `alarm_texts` says.
    #[schema(max_items = 8)]
    ways: Vec<Way>,
}

impl From<ToldRow> for HowTold {
    fn from(row: ToldRow) -> Self {
        let ToldRow { alarm_texts, shift_minutes, put_on_duty, ways } = row;
        Self { alarm_texts, shift_minutes, put_on_duty, ways: ways.0 }
    }
}

impl From<HowTold> for ToldRow {
    fn from(body: HowTold) -> Self {
        let HowTold { alarm_texts, shift_minutes, put_on_duty, ways } = body;
        Self { alarm_texts, shift_minutes, put_on_duty, ways: ways.into() }
    }
}

/// How somebody is told by text message.
#[utoipa::path(get, path = "/api/v1/people/{person}/told", tag = "people", operation_id = "people_told",
    params(("person" = String, Path, description = "Their name or id")),
    responses((status = 200, description = "How they are told", body = HowTold),
        (status = 404, description = "There is no such person", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(State(app): State<Arc<App>>, Path(person): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let (id, row) = find(&app, &person).await?;
    Ok(versioned(&headers, StatusCode::OK, &kept::version(id, &row), &HowTold::from(row)))
}

/// Replaces how somebody is told by text message.
#[utoipa::path(put, path = "/api/v1/people/{person}/told", tag = "people", operation_id = "put_people_told", request_body = HowTold,
    params(("person" = String, Path, description = "Their name or id")),
    responses((status = 200, description = "Replaced", body = HowTold),
        (status = 404, description = "There is no such person", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What is wrong is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn put(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(person): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let wanted: HowTold = read_json(&read_body(body, app.config().http.body_limit_bytes).await?)?;
    let (id, _) = find(&app, &person).await?;
    set(&app, &sender, id, wanted, &Expected::of(&headers)).await
}

/// Changes what is named and leaves the rest.
#[utoipa::path(patch, path = "/api/v1/people/{person}/told", tag = "people", operation_id = "patch_people_told",
    request_body = HowTold,
    params(("person" = String, Path, description = "Their name or id")),
    responses((status = 200, description = "Changed", body = HowTold),
        (status = 404, description = "There is no such person", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What is wrong is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn patch(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(person): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let patch = Patch::read(&app, &headers, body).await?;
    let (id, row) = find(&app, &person).await?;
    let expected = patch.of(kept::version(id, &row))?;
    set(&app, &sender, id, patch.on(&HowTold::from(row))?, &expected).await
}

/// By name or id.
async fn find(app: &App, which: &str) -> Result<(PersonId, ToldRow), Problem> {
    let mut reader = app.engine.store.read().await?;
    let mut db = reader.db();
    let person = people::person(&mut db, which).await?;
    let told = db.told(person.id).await?;
    Ok((person.id, told))
}

async fn set(app: &App, sender: &Sender, id: PersonId, wanted: HowTold, expected: &Expected) -> Result<Response, Problem> {
    let mut row = ToldRow::from(wanted);
    kept::numbers_as_kept(&mut row, app.config().default_region)?;
    app.engine.carry_out(sender.doer(), async |work| kept::set(work, id, &row, expected).await).await?;
    Ok(versioned(&HeaderMap::new(), StatusCode::OK, &kept::version(id, &row), &HowTold::from(row)))
}
