//! The alarm API: `/api/v1/alarms`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, FromRequestParts, Path, RawQuery, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::alarm::{self, AlarmDetailJson, AlarmJson};
use super::people::NO_SUCH_PERSON;
use crate::access::senders::Sender;
use crate::alarm::sought::{Asked, LONGEST_ASKED};
use crate::alarm::{AlarmKind, AlarmState, Priority};
use crate::app::App;
use crate::engine::{Acknowledgement, Actor, RaisedAs};
use crate::http::answer;
use crate::http::listing::{Listed, Query, unknown_cursor, unsealed};
use crate::http::problem::{Problem, Wrong};
use crate::ids::AlarmId;
use crate::intake::alarm_request::{self, AcknowledgeBody, AlarmBody, CancelBody, ResolveBody};
use crate::store::Db;
use crate::store::alarm::alarms::{AlarmFilter, AskedText, Whose};
use crate::store::alarm::found::Place;
use crate::telemetry::AlarmResult;

/// Says that the answer is the one given to an earlier request with the same key.
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const DEFAULT_PAGE: i64 = 50;
const LARGEST_PAGE: i64 = 200;
/// Sources, keys, teams, people and labels that one request may ask for.
const MOST_VALUES: usize = 100;

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
    let counted = match &raised {
        Ok((_, AlarmKind::Alarm, RaisedAs::Repeated | RaisedAs::Reopened | RaisedAs::Replayed { .. })) => {
            Some(AlarmResult::Repeated)
        }
        Ok((_, AlarmKind::Alarm, RaisedAs::Created)) => Some(AlarmResult::Created),
        // A test of a monitor is no alarm.
        Ok(_) => None,
        Err(_) => Some(AlarmResult::Refused),
    };
    counted.inspect(|result| app.engine.metrics.alarms.inc(*result));
    raised.map(|(response, ..)| response)
}

async fn try_raise(app: &App, sender: &Sender, request: Request) -> Result<(Response, AlarmKind, RaisedAs), Problem> {
    let (parts, body) = request.into_parts();
    let body = alarm_request::read_alarm(body, app.config().http.body_limit_bytes).await?;
    let key = alarm_request::IdempotencyKey::of(&parts.headers)?;
    let (request, monitor) = alarm_request::raise_request(body, key, sender, app.config())?;
    let raised = match monitor {
        None => app.engine.raise(&request).await?,
        Some(monitor) => app.engine.raise_test(&monitor, request).await?.ok_or_else(|| {
            Problem::invalid("monitor", format!("there is no monitor {monitor:?}: `autocall monitor add` makes one"))
        })?,
    };
    let (id, kind, raised_as) = (raised.alarm.id, raised.alarm.kind, raised.raised_as);
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
    Ok((response, kind, raised_as))
}

/// Alarms, newest first. A filter that stands there several times lets any of its values through.
///
/// With `raise` alone, only alarms that this key has raised; with a key that is bound, only those it is bound to, of which a page may be
/// shorter than `limit`, and empty, while `next_cursor` says that there may be more.
///
/// Tests, shouts and calls are listed only where `kind` asks for them. `q`, `person` and `label` find an alarm some seconds after it was
/// raised; a page of what they find may be shorter than `limit`, and empty, while `next_cursor` says that there may be more.
#[utoipa::path(get, path = "/api/v1/alarms", tag = "alarms",
    params(("kind" = Option<Vec<AlarmKind>>, Query, description = "Only alarms unless given; of shouts those of this key"), ("state" = Option<Vec<AlarmState>>, Query), ("priority" = Option<Vec<Priority>>, Query), ("source" = Option<Vec<String>>, Query),
        ("dedup_key" = Option<Vec<String>>, Query),
        ("q" = Option<String>, Query, max_length = 200, description = "Words that all stand in it: in its text, labels, notes, or as names and ends of numbers of who was rung"),
        ("team" = Option<Vec<String>>, Query, description = "That asked for these teams, by name"),
        ("person" = Option<Vec<String>>, Query, description = "For which these people were rung or answered, by name or id"),
        ("label" = Option<Vec<String>>, Query, description = "With these labels, as `name=value`; of each name any of its values"),
        ("order" = Option<AlarmOrder>, Query, description = "`newest` first unless given"),
        ("starts_at" = Option<DateTime<Utc>>, Query, description = "Raised then or later"),
        ("ends_at" = Option<DateTime<Utc>>, Query, description = "Raised before then"),
        ("limit" = Option<i32>, Query, minimum = 1, maximum = 200, description = "So many at most; 50 unless given"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before")),
    responses((status = 200, description = "A page of alarms", body = Listed<AlarmJson>),
        (status = 422, description = "The parameters at fault are named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut reader = app.engine.store.read().await?;
    let (filter, limit) = read_filter(&mut reader.db(), query.as_deref()).await?;
    let calls_of = sender.of_calls().map(|key| key.id).into();
    let (own_of, within) = (sender.only_own(), sender.within().cloned());
    let filter = AlarmFilter { shouts_of: sender.of_shouts().into(), calls_of, own_of, within, ..filter };
    sender.saw_all();
    let found = reader.db().find_alarms(&filter, limit).await?;
    drop(reader);
    let next = found.next.map(|place| place.to_string());
    let alarms = alarm::summaries(&app.engine.store, found.alarms).await?;
    Ok(Listed::new(alarms, next.as_deref()).answer())
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
    let name = alarm_request::cancelled_by(&alarm_request::read_alarm(body, app.config().http.body_limit_bytes).await?)?;
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
    // No word that something is over is lost for its length, as no alarm is.
    let body = alarm_request::read_alarm(body, app.config().http.body_limit_bytes).await?;
    let key = alarm_request::resolved_key(&body)?;
    let row = app.engine.resolve_with_key(&sender.integration_id(), &key, &sender.doer()).await?;
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
    let row = app.engine.resolve_own(&sender.integration_id(), id, &sender.doer()).await?;
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

impl FromRequestParts<Arc<App>> for AlarmPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let unknown = || Problem::not_found("there is no such alarm: the id is not one of ours");
        let id = Path::<String>::from_request_parts(parts, app).await.ok().and_then(|Path(id)| id.parse().ok());
        let id: AlarmId = id.ok_or_else(unknown)?;
        if is_there_for(app, parts.extensions.get::<Sender>(), id).await? { Ok(Self(id)) } else { Err(unknown()) }
    }
}

/// Whether an alarm is there for a sender. What is not there at all is told by whoever looks for it.
///
/// # Errors
/// When the database fails.
pub(super) async fn is_there_for(app: &App, sender: Option<&Sender>, id: AlarmId) -> Result<bool, Problem> {
    let mut reader = app.engine.store.read().await?;
    let Some((sender, alarm)) = sender.zip(reader.db().alarm(id).await?) else { return Ok(true) };
    if !is_shown_to(sender, alarm.kind, &alarm.integration_id) || !sender.reaches(&alarm.integration_id) {
        return Ok(false);
    }
    match sender.within() {
        Some(bounds) => Ok(reader.db().is_within(&alarm, bounds).await?),
        None => Ok(true),
    }
}

/// Whether a sender reads of what came through this door: the shouts and the calls of a key are its own.
pub(in crate::api) fn is_shown_to(sender: &Sender, kind: AlarmKind, integration_id: &str) -> bool {
    let own = match kind {
        AlarmKind::Shout => sender.of_shouts(),
        AlarmKind::Call => sender.of_calls().map(|key| key.id),
        AlarmKind::Alarm | AlarmKind::Test => return true,
    };
    own.is_some_and(|key| key.to_string() == integration_id)
}

/// From which end alarms are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlarmOrder {
    /// The newest first.
    Newest,
    /// The oldest first.
    Oldest,
}

async fn read_filter(db: &mut Db<'_>, query: Option<&str>) -> Result<(AlarmFilter, i64), Problem> {
    let query = Query::read(query)?;
    let mut wrong = Wrong::default();
    let asked = ["source", "dedup_key", "team", "person", "label"];
    if let Some(most) = asked.into_iter().max_by_key(|name| query.all(name).count())
        && asked.iter().map(|name| query.all(name).count()).sum::<usize>() > MOST_VALUES
    {
        return Err(Problem::parameter(most, format!("{} are at most {MOST_VALUES} together", asked.join(", "))));
    }
    let mut people = Vec::new();
    for person in query.all("person") {
        let found = db.person_called(person).await?;
        people.extend(wrong.note(found.ok_or_else(|| Problem::parameter("person", NO_SUCH_PERSON))));
    }
    let mut labels: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for label in query.all("label") {
        let pair = label.split_once('=').ok_or_else(|| Problem::parameter("label", "write name=value"));
        if let Some((name, value)) = wrong.note(pair) {
            labels.entry(name.to_owned()).or_default().push(value.to_owned());
        }
    }
    let text = wrong.note(query.get("q")).flatten().filter(|text| !text.trim().is_empty());
    let text = wrong.note(text.map(asked_text).transpose()).flatten();
    let order = wrong.note(query.get("order")).flatten().and_then(|value| wrong.note(word::<AlarmOrder>("order", value)));
    let texts = |name: &str| query.all(name).map(str::to_owned).collect();
    let mut at = |name: &str| {
        let value = wrong.note(query.get(name)).flatten()?;
        wrong.note(instant(name, value))
    };
    let (raised_from, raised_before) = (at("starts_at"), at("ends_at"));
    let place = wrong.note(query.get("cursor")).flatten().and_then(|cursor| wrong.note(place_behind(cursor)));
    let limit = wrong.note(query.get("limit")).flatten().map(str::parse);
    let limit = wrong.note(match limit {
        None => Ok(DEFAULT_PAGE),
        Some(Ok(limit @ 1..=LARGEST_PAGE)) => Ok(limit),
        Some(_) => Err(Problem::parameter("limit", format!("limit must be 1 to {LARGEST_PAGE}"))),
    });
    let filter = AlarmFilter {
        shouts_of: Whose::Nobody,
        calls_of: Whose::Nobody,
        own_of: None,
        within: None,
        kinds: query.all("kind").filter_map(|value| wrong.note(word("kind", value))).collect(),
        states: query.all("state").filter_map(|value| wrong.note(word("state", value))).collect(),
        priorities: query.all("priority").filter_map(|value| wrong.note(word("priority", value))).collect(),
        sources: texts("source"),
        dedup_keys: texts("dedup_key"),
        teams: texts("team"),
        people,
        labels,
        text,
        raised_from,
        raised_before,
        below_number: None,
        above_number: None,
        oldest_first: order == Some(AlarmOrder::Oldest),
    };
    wrong.none()?;
    let filter = match place {
        Some(place) => filter.behind(place),
        None => filter,
    };
    Ok((filter, limit.unwrap_or(DEFAULT_PAGE)))
}

/// What somebody wrote to find alarms. Whoever has a key sees numbers.
fn asked_text(text: &str) -> Result<AskedText, Problem> {
    if text.chars().count() > LONGEST_ASKED {
        return Err(Problem::parameter("q", format!("q has at most {LONGEST_ASKED} characters")));
    }
    let asked = Asked::read(text);
    if asked.is_empty() {
        return Err(Problem::parameter("q", "q must hold a letter or a digit"));
    }
    Ok(AskedText { asked, sees_numbers: true, last_begins: false })
}

/// The last alarm of the page before. Cursors of earlier versions were its number.
fn place_behind(cursor: &str) -> Result<Place, Problem> {
    let number = cursor.parse().ok().map(|number| Place { number, last_begins: false });
    number.map_or_else(|| unsealed(cursor)?.parse().map_err(|_| unknown_cursor()), Ok)
}

/// One of the words of the API, such as a state.
fn word<T: for<'de> serde::Deserialize<'de>>(field: &str, value: &str) -> Result<T, Problem> {
    alarm_request::read_word(value).map_err(|why| Problem::parameter(field, why))
}

fn instant(field: &str, value: &str) -> Result<DateTime<Utc>, Problem> {
    // An unencoded `+` of a time zone arrives as a blank.
    DateTime::parse_from_rfc3339(&value.replace(' ', "+"))
        .map(|at| at.to_utc())
        .map_err(|_| Problem::parameter(field, format!("{field} must be a time such as 2026-11-20T03:22:07Z")))
}
