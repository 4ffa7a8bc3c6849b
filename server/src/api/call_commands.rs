//! What is done in calls that run: `/api/v1/call-records/{id}/commands`.

use std::sync::Arc;

use android_protocol::live::LiveOrder;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::actions::{actor, read};
use super::call_records::shown_to;
use crate::access::senders::Sender;
use crate::alarm::live_command::{self, CommandState};
use crate::app::App;
use crate::engine::EngineError;
use crate::http::answer;
use crate::http::problem::{Problem, Wrong};
use crate::ids::LiveCommandId;
use crate::intake::alarm_request;
use crate::keep::checks;
use crate::store::alarm::live::LiveCommandRow;

/// What can be done in a call that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallOrder {
    /// Hang up.
    Drop,
    /// Say `text`.
    Play,
    /// Stop what is said.
    Stop,
    /// Send the keys `digits` into the call.
    SendDtmf,
}

/// The JSON body of `POST /api/v1/call-records/{id}/commands`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallCommandBody {
    /// What is to be done.
    #[serde(rename = "do")]
    order: CallOrder,
    /// What to say, for `play`.
    #[schema(min_length = 1, max_length = 500, pattern = "\\S")]
    text: Option<String>,
    /// In which language, for `play`: told by its letters unless given.
    #[schema(max_length = 35, pattern = "^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$")]
    language: Option<String>,
    /// Which keys to send, for `send_dtmf`. They may be a secret: no answer, page or timeline shows them again.
    #[schema(min_length = 1, max_length = 32, pattern = "^[0-9*#A-D]+$")]
    digits: Option<String>,
    /// Who does it.
    #[schema(max_length = 200)]
    by: Option<String>,
}

/// Something to be done in a call that runs, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallCommandJson {
    id: LiveCommandId,
    /// The record of the call.
    call_record_id: i64,
    /// `drop`, `play`, `stop` or `send_dtmf`.
    #[serde(rename = "do")]
    order: &'static str,
    /// What was to be said.
    text: Option<String>,
    /// In which language.
    language: Option<String>,
    /// Who made it, by their own word.
    by: Option<String>,
    state: CommandState,
    /// Why it failed: `too_late`, or the handset's word: `no_call`, `busy`, `media`, `unknown` and others.
    why: Option<String>,
    made_at: DateTime<Utc>,
    /// When its handset fetched it.
    sent_at: Option<DateTime<Utc>>,
    /// When its handset said what became of it.
    done_at: Option<DateTime<Utc>>,
}

impl CallCommandJson {
    fn of(row: LiveCommandRow, now: DateTime<Utc>) -> Self {
        let (state, why) = row.stands(now);
        let why = why.map(str::to_owned);
        let order = live_command::word(&row.what.0);
        // Digits may be somebody's secret: they are not told again.
        let (text, language) = match row.what.0 {
            LiveOrder::Play { text, language, .. } => (text, language),
            _ => (None, None),
        };
        Self {
            id: row.id,
            call_record_id: row.record_id,
            order,
            text,
            language,
            by: row.by_name,
            state,
            why,
            made_at: row.made_at,
            sent_at: row.sent_at,
            done_at: row.done_at,
        }
    }
}

/// Has something done in a call that runs: its handset is told at once. What became of it is read at the address in `Location`.
#[utoipa::path(post, path = "/api/v1/call-records/{id}/commands", tag = "call records",
    params(("id" = String, Path, description = "The record's id")),
    request_body = CallCommandBody,
    responses((status = 202, description = "The handset is told", body = CallCommandJson),
        (status = 404, description = "There is no such record", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The call does not run, its handset cannot do this, or too much was asked in this call already: `code` says which", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn make(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let body: CallCommandBody = alarm_request::read_json(&read(&app, body).await?)?;
    let record: i64 = id.parse().map_err(|_| EngineError::NoSuchCall)?;
    let by = actor(&sender, body.by.clone())?;
    let order = order(body)?;
    let known = app.engine.store.read().await?.db().call_record(record).await?;
    shown_to(&app, &sender, known).await?.ok_or(EngineError::NoSuchCall)?;
    let row = app.engine.command(record, &order, &by).await?;
    let place = format!("/api/v1/call-records/{record}/commands/{}", row.id);
    let mut response = answer(StatusCode::ACCEPTED, &CallCommandJson::of(row, app.engine.clock.now()));
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// What became of something that was to be done in a call.
#[utoipa::path(get, path = "/api/v1/call-records/{id}/commands/{command}", tag = "call records",
    params(("id" = String, Path, description = "The record's id"), ("command" = String, Path, description = "The command's id")),
    responses((status = 200, description = "Where it stands", body = CallCommandJson),
        (status = 404, description = "There is no such record or command", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path((id, command)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("there is no such command for this call: the id is not one of ours, or it was long ago");
    let (Ok(record), Ok(command)) = (id.parse::<i64>(), command.parse::<LiveCommandId>()) else { return Err(unknown()) };
    let known = app.engine.store.read().await?.db().call_record(record).await?;
    shown_to(&app, &sender, known).await?.ok_or_else(unknown)?;
    let row = app.engine.store.read().await?.db().live_command(command).await?;
    let row = row.filter(|row| row.record_id == record).ok_or_else(unknown)?;
    Ok(answer(StatusCode::OK, &CallCommandJson::of(row, app.engine.clock.now())))
}

/// What a request wants done.
fn order(body: CallCommandBody) -> Result<LiveOrder, Problem> {
    let mut wrong = Wrong::default();
    let only = |name: &'static str, given: bool, of: CallOrder| match given && body.order != of {
        true => Err(Problem::invalid(name, format!("{name} belongs to another `do`"))),
        false => Ok(()),
    };
    wrong.note(only("text", body.text.is_some(), CallOrder::Play));
    wrong.note(only("language", body.language.is_some(), CallOrder::Play));
    wrong.note(only("digits", body.digits.is_some(), CallOrder::SendDtmf));
    let made = match body.order {
        CallOrder::Drop => LiveOrder::Drop { say: None, language: None },
        CallOrder::Stop => LiveOrder::Stop,
        CallOrder::Play => {
            let text = wrong.note(spoken(body.text)).unwrap_or_default();
            let language = wrong.note(checks::language_tag("language", body.language).map_err(Problem::from)).flatten();
            LiveOrder::say(text, language)
        }
        CallOrder::SendDtmf => LiveOrder::SendDtmf { digits: wrong.note(keys(body.digits)).unwrap_or_default() },
    };
    wrong.none()?;
    Ok(made)
}

fn spoken(text: Option<String>) -> Result<String, Problem> {
    let text = checks::optional_text("text", text, checks::LONGEST_SAID)?;
    text.ok_or_else(|| Problem::invalid("text", "say what is to be said"))
}

fn keys(digits: Option<String>) -> Result<String, Problem> {
    let is_key = |key: char| matches!(key, '0'..='9' | '*' | '#' | 'A'..='D');
    let digits = digits.filter(|digits| (1..=32).contains(&digits.chars().count()) && digits.chars().all(is_key));
    digits.ok_or_else(|| Problem::invalid("digits", "digits holds 1 to 32 of 0-9, *, # and A-D"))
}
