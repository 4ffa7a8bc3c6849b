//! What people do about an alarm, through the API: skip somebody, decline, give back, go on to the next step, put it off, write a note.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use utoipa::ToSchema;

use super::alarm::{self, AlarmJson};
use super::alarms::{AlarmPath, is_there_for};
use crate::access::senders::Sender;
use crate::app::App;
use crate::engine::{Actor, EngineError, MOST_SNOOZE};
use crate::http::answer;
use crate::http::problem::Problem;
use crate::ids::{AlarmId, CalleeId};
use crate::intake::alarm_request;
use crate::keep::checks::{LONGEST_NAME, LONGEST_NOTE, optional_text};
use crate::store::alarm::alarms::AlarmRow;

/// The JSON body of actions that only ask who does it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ByBody {
    /// Who does it.
    #[schema(max_length = 200)]
    by: Option<String>,
}

/// The JSON body of `POST /api/v1/alarms/{id}/snooze`: one of `snooze_ends_at` and `for_seconds`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SnoozeBody {
    /// Nobody is rung before then (RFC 3339).
    #[serde(alias = "until")]
    snooze_ends_at: Option<DateTime<Utc>>,
    /// The same, counted from now.
    #[schema(minimum = 1, maximum = 2_592_000)]
    for_seconds: Option<i64>,
    /// Who puts it off.
    #[schema(max_length = 200)]
    by: Option<String>,
}

/// The JSON body of `POST /api/v1/alarms/{id}/notes`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteBody {
    /// The remark, at most 2000 characters.
    #[schema(min_length = 1, max_length = 2000, pattern = "\\S")]
    text: String,
    /// Who wrote it.
    #[schema(max_length = 200)]
    by: Option<String>,
}

/// The JSON body of `POST /api/v1/alarms/{id}/policy`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPolicyBody {
    /// The policy's name.
    policy: String,
    /// Who chose it.
    #[schema(max_length = 200)]
    by: Option<String>,
}

/// Takes a callee off: they are not rung again for this alarm.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/callees/{callee}/skip", tag = "alarms",
    params(("id" = String, Path, description = "The alarm's id"), ("callee" = String, Path, description = "The callee's id")),
    request_body = ByBody,
    responses((status = 200, description = "Taken off", body = AlarmJson),
        (status = 404, description = "There is no such alarm or callee", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Not in this state", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn skip(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    CalleePath(id, callee): CalleePath,
    body: Body,
) -> Result<Response, Problem> {
    let by = read_by(&app, &sender, body).await?;
    shown(&app, app.engine.skip(id, callee, &by).await).await
}

/// A callee says no to this alarm and to no other that is rung for in the same call: they are not rung again for it, and ringing goes on
/// at once, also when they had picked up.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/callees/{callee}/decline", tag = "alarms",
    params(("id" = String, Path, description = "The alarm's id"), ("callee" = String, Path, description = "The callee's id")),
    responses((status = 200, description = "Declined", body = AlarmJson),
        (status = 404, description = "There is no such alarm or callee", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Not in this state", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn decline(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    CalleePath(id, callee): CalleePath,
) -> Result<Response, Problem> {
    shown(&app, app.engine.decline(id, callee, &Actor::nameless(sender.doer())).await).await
}

/// Takes the answer back that this alarm has: it is rung for again, by its policy from the first step. Whoever had it is passed over, as if
/// they had declined; the others who were rung for in the same call keep their answer.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/give-back", tag = "alarms",
    params(("id" = String, Path, description = "The alarm's id")),
    request_body = ByBody,
    responses((status = 200, description = "Given back: others are rung", body = AlarmJson),
        (status = 404, description = "There is no such alarm", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Nobody has it, as after the same request twice, or the alarm is over", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn give_back(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    AlarmPath(id): AlarmPath,
    body: Body,
) -> Result<Response, Problem> {
    let by = read_by(&app, &sender, body).await?;
    shown(&app, app.engine.give_back(id, &by).await).await
}

/// Begins the next step of the policy at once.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/escalate", tag = "alarms",
    params(("id" = String, Path, description = "The alarm's id")),
    request_body = ByBody,
    responses((status = 200, description = "The next step begins", body = AlarmJson),
        (status = 404, description = "There is no such alarm", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "There is no further step, or nobody is rung any more", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn escalate(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    AlarmPath(id): AlarmPath,
    body: Body,
) -> Result<Response, Problem> {
    let by = read_by(&app, &sender, body).await?;
    shown(&app, app.engine.escalate(id, &by).await).await
}

/// Gives the alarm another policy: its first step begins when the current step is over.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/policy", tag = "alarms",
    params(("id" = String, Path, description = "The alarm's id")),
    request_body = SetPolicyBody,
    responses((status = 200, description = "Chosen", body = AlarmJson),
        (status = 404, description = "There is no such alarm", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Nobody is rung any more", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "There is no such policy", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn set_policy(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    AlarmPath(id): AlarmPath,
    body: Body,
) -> Result<Response, Problem> {
    let body: SetPolicyBody = alarm_request::read_json(&read(&app, body).await?)?;
    let by = actor(&sender, body.by)?;
    // By another policy it would be out of its reach, and ring others.
    if let Some(bounds) = sender.within().filter(|bounds| !bounds.policies.contains(&body.policy)) {
        return Err(EngineError::OutOfBounds(bounds.to_string()).into());
    }
    shown(&app, app.engine.set_policy(id, &body.policy, &by).await).await
}

/// Puts the alarm off: nobody is rung before then, and somebody is after, unless it is over.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/snooze", tag = "alarms",
    params(("id" = String, Path, description = "The alarm's id")),
    request_body = SnoozeBody,
    responses((status = 200, description = "Put off", body = AlarmJson),
        (status = 404, description = "There is no such alarm", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The alarm is over", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The time makes no sense", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn snooze(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    AlarmPath(id): AlarmPath,
    body: Body,
) -> Result<Response, Problem> {
    let body: SnoozeBody = alarm_request::read_json(&read(&app, body).await?)?;
    let by = actor(&sender, body.by)?;
    let until = match (body.snooze_ends_at, body.for_seconds) {
        (Some(until), None) => until,
        (None, Some(seconds)) if (1..=MOST_SNOOZE.num_seconds()).contains(&seconds) => {
            app.engine.clock.now() + TimeDelta::seconds(seconds)
        }
        (None, Some(_)) => {
            return Err(Problem::invalid("for_seconds", format!("for_seconds must be 1 to {}", MOST_SNOOZE.num_seconds())));
        }
        _ => return Err(Problem::invalid("snooze_ends_at", "give one of snooze_ends_at and for_seconds")),
    };
    shown(&app, app.engine.snooze(id, until, &by).await).await
}

/// Keeps a remark on the timeline.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/notes", tag = "alarms",
    params(("id" = String, Path, description = "The alarm's id")),
    request_body = NoteBody,
    responses((status = 200, description = "Kept", body = AlarmJson),
        (status = 404, description = "There is no such alarm", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn note(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    AlarmPath(id): AlarmPath,
    body: Body,
) -> Result<Response, Problem> {
    let body: NoteBody = alarm_request::read_json(&read(&app, body).await?)?;
    let by = actor(&sender, body.by)?;
    let text = needed_text("text", body.text, "the note is empty")?;
    shown(&app, app.engine.note(id, &text, &by).await).await
}

/// A remark that must say something; `empty` is told where it does not.
pub(super) fn needed_text(field: &'static str, text: String, empty: &'static str) -> Result<String, Problem> {
    optional_text(field, Some(text), LONGEST_NOTE)?.ok_or_else(|| Problem::invalid(field, empty))
}

pub(super) async fn read(app: &App, body: Body) -> Result<Bytes, Problem> {
    alarm_request::read_body(body, app.config().http.body_limit_bytes).await
}

pub(super) async fn read_by(app: &App, sender: &Sender, body: Body) -> Result<Actor, Problem> {
    let body: ByBody = alarm_request::read_optional_json(&read(app, body).await?)?;
    actor(sender, body.by)
}

/// Who acts: the name that the request says, and the key it came with.
pub(crate) fn actor(sender: &Sender, by: Option<String>) -> Result<Actor, Problem> {
    Ok(Actor { name: optional_text("by", by, LONGEST_NAME)?, doer: sender.doer() })
}

pub(super) async fn shown(app: &App, done: Result<AlarmRow, EngineError>) -> Result<Response, Problem> {
    Ok(answer(StatusCode::OK, &alarm::summary(&app.engine.store, done?).await?))
}

/// The alarm and callee that a path names. Whatever is no id of ours is unknown.
pub struct CalleePath(AlarmId, CalleeId);

impl FromRequestParts<Arc<App>> for CalleePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, app).await.ok();
        let ids = path.and_then(|Path((alarm, callee))| Some(Self(alarm.parse().ok()?, callee.parse().ok()?)));
        let Some(Self(alarm, callee)) = ids else { return Err(EngineError::NoSuchCallee.into()) };
        match is_there_for(app, parts.extensions.get::<Sender>(), alarm).await? {
            true => Ok(Self(alarm, callee)),
            false => Err(EngineError::NoSuchAlarm.into()),
        }
    }
}
