//! Detail records of shouts: `/api/v1/shout-records`, the lines that `autocall records` prints. A key reads those of its own shouts.

use std::sync::Arc;

use axum::extract::{Extension, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::access::senders::Sender;
use crate::app::App;
use crate::http::listing::{Listed, Query, in_order, instant_of, unknown_cursor, unsealed};
use crate::http::problem::{Code, Problem, Wrong};
use crate::intake::alarm_request::read_word;
use crate::store::shouts::log::{RecordKind, RecordRow};

const DEFAULT_PAGE: i64 = 50;
const LARGEST_PAGE: i64 = 1000;
/// Digits of an instant at the beginning of a cursor.
const INSTANT: usize = 20;

/// What records are about.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DetailKind {
    /// Shouts that are over.
    Bdr,
    /// Their calls, each try.
    Cdr,
    /// The calls in which a message was spoken.
    Rec,
}

impl From<DetailKind> for RecordKind {
    fn from(kind: DetailKind) -> Self {
        match kind {
            DetailKind::Bdr => Self::Shout,
            DetailKind::Cdr => Self::Call,
            DetailKind::Rec => Self::Recording,
        }
    }
}

/// A shout that is over, with the keys of blast-api in their order. Times are RFC 3339 in UTC.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShoutDetail {
    title: Option<String>,
    user_data: String,
    /// The id of the shout, where it has a message.
    recording: Option<i64>,
    schedule: Option<String>,
    status: String,
    created: String,
    caller: String,
    started: Option<String>,
    finished: Option<String>,
    /// How far its recording has got, 0 to 6.
    recording_call_status: i32,
    rec_call_status_updated_at: String,
    /// The id of the shout.
    pk: i64,
}

/// A try of a call of a shout, or its end without one.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShoutCallDetail {
    /// The id of the shout.
    message: i64,
    to_number: String,
    /// Always empty.
    sid: String,
    /// Seconds of talk.
    duration: i64,
    status: String,
    created: String,
    started: Option<String>,
    finished: Option<String>,
    q850: i32,
    num_retries: i32,
    /// The id of the call.
    pk: i64,
}

/// The call in which a message was spoken.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShoutRecordingDetail {
    #[serde(rename = "CallSid")]
    call_sid: String,
    #[serde(rename = "CallStatus")]
    call_status: String,
    /// Seconds of talk.
    #[serde(rename = "CallDuration")]
    call_duration: String,
    /// The length of the message in seconds.
    #[serde(rename = "RecordingDuration")]
    recording_duration: String,
    #[serde(rename = "RecordingUrl")]
    recording_url: String,
    /// The id of the shout.
    message_id: String,
    finished: String,
}

/// A detail record; which of these, `kind` has asked for. It is a line that was written before: these types describe it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum ShoutRecord {
    /// Of a shout.
    Shout(ShoutDetail),
    /// Of a call.
    Call(ShoutCallDetail),
    /// Of the call in which a message was spoken.
    Recording(ShoutRecordingDetail),
}

/// Detail records of the shouts of this key, oldest first, as `autocall records` prints them: the keys are blast-api's, in its order.
#[utoipa::path(get, path = "/api/v1/shout-records", tag = "shouts",
    params(("kind" = DetailKind, Query, description = "Which; cdr unless given"),
        ("starts_at" = Option<DateTime<Utc>>, Query, description = "Written then or later"),
        ("limit" = Option<i32>, Query, minimum = 1, maximum = 1000, description = "So many at most; 50 unless given"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before")),
    responses((status = 200, description = "A page of records", body = Listed<ShoutRecord>),
        (status = 422, description = "The parameters at fault are named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let key = sender.of_shouts().ok_or_else(may_not)?;
    let (kind, after, limit) = read(query.as_deref())?;
    // One more than asked for tells whether there is a next page.
    let mut rows = app.engine.store.read().await?.db().shout_records(kind, Some(key), after, limit + 1).await?;
    let more = rows.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if more {
        rows.pop();
    }
    let next = rows.last().filter(|_| more).map(|row| format!("{}{}", in_order(row.at), row.id));
    Ok(Listed::new(rows.into_iter().filter_map(line).collect(), next.as_deref()).answer())
}

/// A line as it is, so that its keys stay in their order.
fn line(row: RecordRow) -> Option<Box<RawValue>> {
    let read = RawValue::from_string(row.line);
    read.inspect_err(|error| tracing::warn!(%error, record = row.id, "a detail record cannot be read")).ok()
}

fn may_not() -> Problem {
    let text = "this key may not send shouts, and only the key that sent them reads their records here; \
                all of them are printed by `autocall records`";
    Problem::new(StatusCode::FORBIDDEN, Code::KeyMayNot, text)
}

/// When a record was written, and its id.
type Written = (DateTime<Utc>, i64);

/// Which kind, behind which record, and how many.
fn read(query: Option<&str>) -> Result<(RecordKind, Written, i64), Problem> {
    let query = Query::read(query)?;
    let mut wrong = Wrong::default();
    let word = |kind: &str| read_word::<DetailKind>(kind).map_err(|why| Problem::parameter("kind", why));
    let kind = wrong.note(query.get("kind")).flatten().map_or(Some(DetailKind::Cdr), |kind| wrong.note(word(kind)));
    let since = wrong.note(query.instant("starts_at", chrono_tz::UTC)).flatten();
    let after = wrong.note(query.get("cursor")).flatten().and_then(|cursor| wrong.note(behind(cursor)));
    let limit = wrong.note(query.get("limit")).flatten().map(str::parse);
    let limit = wrong.note(match limit {
        None => Ok(DEFAULT_PAGE),
        Some(Ok(limit @ 1..=LARGEST_PAGE)) => Ok(limit),
        Some(_) => Err(Problem::parameter("limit", format!("limit must be 1 to {LARGEST_PAGE}"))),
    });
    wrong.none()?;
    let from = (since.unwrap_or(DateTime::UNIX_EPOCH), 0);
    Ok((kind.unwrap_or(DetailKind::Cdr).into(), after.map_or(from, |after| after.max(from)), limit.unwrap_or(DEFAULT_PAGE)))
}

/// The last record of the page before.
fn behind(cursor: &str) -> Result<Written, Problem> {
    let key = unsealed(cursor)?;
    let id = key.get(INSTANT..).and_then(|id| id.parse().ok());
    instant_of(&key).zip(id).ok_or_else(unknown_cursor)
}
