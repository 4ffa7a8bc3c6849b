//! Records of calls: `/api/v1/call-records`.

use std::sync::Arc;

use android_protocol::voice::detector;
use android_protocol::wire::{EndedBy, FailureDetail};
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::alarms::is_shown_to;
use super::people::NO_SUCH_PERSON;
use super::roster::shapes::Named;
use crate::access::senders::Sender;
use crate::alarm::AlarmKind;
use crate::alarm::KeyAction;
use crate::alarm::call_record::{CallDirection, CallOrigin, CallResult, HowKnown};
use crate::app::App;
use crate::http::answer;
use crate::http::listing::{Listed, Query, in_order, instant_of, unknown_cursor, unsealed};
use crate::http::problem::{Code, Problem, Wrong};
use crate::ids::{AlarmId, CalleeId, HandsetId, short_mid};
use crate::intake::alarm_request::read_word;
use crate::numbers::Number;
use crate::rights::{Reach, Right};
use crate::store::Db;
use crate::store::alarm::call_records::{CallFilter, CallRecordRow};

const DEFAULT_PAGE: i64 = 50;
const LARGEST_PAGE: i64 = 200;
/// So many values of all filters together.
const MOST_VALUES: usize = 100;
/// Digits of an instant at the beginning of a cursor.
const INSTANT: usize = 20;

/// What is known of one call to one number. A record stands by itself: it stays when its alarm is forgotten.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallRecordJson {
    /// Never given again.
    id: i64,
    origin: CallOrigin,
    direction: CallDirection,
    kind: AlarmKind,
    /// The alarm, the most urgent one of the call.
    alarm_id: Option<AlarmId>,
    /// Its number.
    alarm_number: Option<String>,
    callee_id: Option<CalleeId>,
    /// The name at that moment.
    name: Option<String>,
    /// Who it is, while they are on the list of people.
    person: Option<Named>,
    phone_number: String,
    /// The number as the handset was to dial it.
    dialled_number: String,
    dialled_by: Option<Named>,
    /// Which of the handset's channels, counted from 1.
    channel: i32,
    /// The beginning of the dial's mid: only its handset knows the whole of it. Empty where no handset of ours called.
    mid: String,
    /// The place of the number in the dial's list, counted from 0.
    place: i32,
    /// How often that list holds it.
    passes: i32,
    offered_at: DateTime<Utc>,
    offered_known: HowKnown,
    /// When the handset asked the network for it.
    dialled_at: Option<DateTime<Utc>>,
    dialled_known: HowKnown,
    /// When the other phone rang.
    alerting_at: Option<DateTime<Utc>>,
    alerting_known: HowKnown,
    /// When the line was connected.
    connected_at: Option<DateTime<Utc>>,
    connected_known: HowKnown,
    /// When it was over.
    ended_at: Option<DateTime<Utc>>,
    ended_known: HowKnown,
    /// When its handset reported it.
    reported_at: Option<DateTime<Utc>>,
    outcome: CallResult,
    /// Who ended it: `us`, `callee` or `network`.
    ended_by: Option<&'static str>,
    cause: Option<CauseJson>,
    /// The keys that were pressed, in order.
    keys: Option<String>,
    /// The first word that was said with a key.
    action: Option<KeyAction>,
    /// What a handset that listens took whoever picked up for, `human`, `machine` or `unknown`: a guess.
    machine: Option<&'static str>,
    /// For how long the line was connected; 0 where nobody picked up, null where that is not known.
    talk_seconds: Option<i64>,
    /// Of a call that another system lists: who called, in its words.
    caller: Option<String>,
    /// Of such a call: how long it was, as that system says, which may count the ringing.
    duration_seconds: Option<i64>,
    /// Of such a call: where more is to be read.
    url: Option<String>,
}

/// The network's words for how a call ended.
#[derive(Debug, Serialize, ToSchema)]
struct CauseJson {
    /// The final response of SIP.
    sip: Option<u16>,
    /// The cause of the telephone network (ITU-T Q.850).
    q850: Option<u8>,
    text: Option<String>,
    /// Which kind of failure: `bad_number`, `unreachable`, `auth`, `trunk` or `media`.
    #[schema(value_type = Option<String>)]
    detail: Option<FailureDetail>,
}

impl From<CallRecordRow> for CallRecordJson {
    fn from(row: CallRecordRow) -> Self {
        let person = row.person_id.map(|id| Named::new(id.to_string(), row.name.clone().unwrap_or_default()));
        let handset = row.handset_id.map(|id| Named::new(id.to_string(), row.handset.unwrap_or_default()));
        Self {
            id: row.id,
            origin: row.origin,
            direction: row.direction,
            kind: row.kind,
            alarm_id: row.alarm_id,
            alarm_number: row.alarm_number.map(|number| number.to_string()),
            callee_id: row.callee_id,
            name: row.name,
            person,
            phone_number: row.number,
            dialled_number: row.dialled_number,
            dialled_by: handset,
            channel: row.channel,
            // That of a replicated call is nobody's.
            mid: if row.origin == CallOrigin::Replicated { String::new() } else { short_mid(&row.mid).to_owned() },
            place: row.place,
            passes: row.passes,
            offered_at: row.offered_at,
            // Others say when their calls were; this server knows when it handed one out.
            offered_known: if row.origin == CallOrigin::Replicated { HowKnown::Said } else { HowKnown::Exact },
            dialled_at: row.dialled_at,
            dialled_known: row.dialled_known,
            alerting_at: row.alerting_at,
            alerting_known: row.alerting_known,
            connected_at: row.connected_at,
            connected_known: row.connected_known,
            ended_at: row.ended_at,
            ended_known: row.ended_known,
            reported_at: row.reported_at,
            outcome: row.outcome,
            ended_by: row.ended_by.map(EndedBy::as_str),
            cause: row.cause.map(|cause| CauseJson {
                sip: cause.0.sip,
                q850: cause.0.q850,
                text: cause.0.text,
                detail: cause.0.detail,
            }),
            keys: row.keys,
            action: row.action,
            machine: row.machine.map(detector::Verdict::as_str),
            talk_seconds: row.talk_seconds,
            caller: row.caller,
            duration_seconds: row.seconds,
            url: row.url,
        }
    }
}

/// Calls, newest first: one record for each number of each dial, and for each call that came in. Those that other systems list are there where
/// `origin` asks for them. A filter that stands there several times lets any of its values through.
#[utoipa::path(get, path = "/api/v1/call-records", tag = "call records",
    params(("origin" = Option<Vec<CallOrigin>>, Query, description = "From there; unless given, all but `replicated`"),
        ("alarm_id" = Option<Vec<String>>, Query, description = "Of these alarms"),
        ("person" = Option<Vec<String>>, Query, description = "To these people, by name or id"),
        ("phone_number" = Option<Vec<String>>, Query, description = "To these numbers"),
        ("dialled_by" = Option<Vec<String>>, Query, description = "By these handsets, by name or id"),
        ("kind" = Option<Vec<AlarmKind>>, Query, description = "For these; of shouts and calls of programs those of this key"), ("outcome" = Option<Vec<CallResult>>, Query),
        ("starts_at" = Option<DateTime<Utc>>, Query, description = "Handed out then or later"),
        ("ends_at" = Option<DateTime<Utc>>, Query, description = "Handed out before then"),
        ("limit" = Option<i32>, Query, minimum = 1, maximum = 200, description = "So many at most; 50 unless given"),
        ("cursor" = Option<String>, Query, description = "next_cursor of the page before")),
    responses((status = 200, description = "A page of calls", body = Listed<CallRecordJson>),
        (status = 422, description = "The parameters at fault are named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut reader = app.engine.store.read().await?;
    let (filter, limit) = read_filter(&app, &mut reader.db(), query.as_deref()).await?;
    let calls_of = sender.of_calls().map(|key| key.id).into();
    let filter = CallFilter { shouts_of: sender.of_shouts().into(), calls_of, ..filter };
    // Those of alarms are not its own.
    let own = [AlarmKind::Shout, AlarmKind::Call];
    let filter = match sender.reach {
        Reach::Own if filter.origins.contains(&CallOrigin::Replicated) || !filter.kinds.iter().all(|kind| own.contains(kind)) => {
            let text = "calls for alarms are read with the right `read`: ask for kind=shout or kind=call, or use another key";
            return Err(Problem::new(StatusCode::FORBIDDEN, Code::KeyMayNot, text));
        }
        Reach::Own if filter.kinds.is_empty() => CallFilter { kinds: own.into(), ..filter },
        Reach::Own | Reach::Bound | Reach::Everything => filter,
    };
    sender.saw_all();
    // One more than asked for tells whether there is a next page.
    let mut rows = reader.db().list_call_records(&filter, limit + 1).await?;
    let more = rows.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if more {
        rows.pop();
    }
    let next = rows.last().filter(|_| more).map(|row| format!("{}{}", in_order(row.offered_at), row.id));
    Ok(Listed::new(rows.into_iter().map(CallRecordJson::from).collect(), next.as_deref()).answer())
}

/// One call.
#[utoipa::path(get, path = "/api/v1/call-records/{id}", tag = "call records",
    params(("id" = String, Path, description = "The record's id")),
    responses((status = 200, description = "What is known of it", body = CallRecordJson),
        (status = 404, description = "There is no such record", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("there is no such record of a call: the id is not one of ours, or it was long ago");
    let id = id.parse().map_err(|_| unknown())?;
    let row = app.engine.store.read().await?.db().call_record(id).await?;
    let row = shown_to(&app, &sender, row).await?.ok_or_else(unknown)?;
    Ok(answer(StatusCode::OK, &CallRecordJson::from(row)))
}

/// A record, where this sender may read it: calls of shouts, and of programs, are for the key that asked for them.
pub(super) async fn shown_to(app: &App, sender: &Sender, row: Option<CallRecordRow>) -> Result<Option<CallRecordRow>, Problem> {
    let Some(row) = row else { return Ok(None) };
    if matches!(row.kind, AlarmKind::Alarm | AlarmKind::Test) || row.origin == CallOrigin::Replicated {
        if sender.reach == Reach::Own {
            return Ok(None);
        }
        sender.saw_all();
        return Ok(Some(row));
    }
    sender.saw_own(if row.kind == AlarmKind::Shout { Right::Shouts } else { Right::Calls });
    let alarms = match row.hunt_id {
        Some(hunt) => app.engine.store.read().await?.db().alarms_of(hunt).await?,
        None => Vec::new(),
    };
    Ok(Some(row).filter(|_| alarms.iter().any(|alarm| is_shown_to(sender, alarm.kind, &alarm.integration_id))))
}

async fn read_filter(app: &App, db: &mut Db<'_>, query: Option<&str>) -> Result<(CallFilter, i64), Problem> {
    let query = Query::read(query)?;
    let mut wrong = Wrong::default();
    let mut filter = CallFilter::default();
    let asked = ["origin", "alarm_id", "person", "phone_number", "dialled_by", "kind", "outcome"];
    if let Some(most) = asked.into_iter().max_by_key(|name| query.all(name).count())
        && asked.iter().map(|name| query.all(name).count()).sum::<usize>() > MOST_VALUES
    {
        return Err(Problem::parameter(most, format!("all filters together have at most {MOST_VALUES} values")));
    }
    for alarm in query.all("alarm_id") {
        let read = alarm.parse::<AlarmId>().map_err(|_| Problem::parameter("alarm_id", "this is not the id of an alarm"));
        filter.alarms.extend(wrong.note(read));
    }
    for person in query.all("person") {
        let found = db.person_called(person).await?;
        filter.people.extend(wrong.note(found.ok_or_else(|| Problem::parameter("person", NO_SUCH_PERSON))));
    }
    for handset in query.all("dialled_by") {
        let found = match handset.parse::<HandsetId>() {
            Ok(id) => Some(id),
            Err(_) => db.handset_by_name(handset).await?.map(|handset| handset.id),
        };
        filter.handsets.extend(wrong.note(found.ok_or_else(|| Problem::parameter("dialled_by", "there is no such handset"))));
    }
    for number in query.all("phone_number") {
        // An unencoded `+` arrives as a blank.
        let written = number.strip_prefix(' ').map_or_else(|| number.to_owned(), |digits| format!("+{digits}"));
        let read = Number::parse(&written, app.config().default_region);
        let read = read.map_err(|error| Problem::parameter("phone_number", error.to_string()));
        let Some(parsed) = wrong.note(read) else { continue };
        filter.numbers.extend(parsed.number.other_form().map(|other| other.as_str().to_owned()));
        filter.numbers.push(parsed.number.as_str().to_owned());
    }
    let word = |name: &'static str| move |why: String| Problem::parameter(name, why);
    filter.origins = query.all("origin").filter_map(|own| wrong.note(read_word(own).map_err(word("origin")))).collect();
    filter.kinds = query.all("kind").filter_map(|kind| wrong.note(read_word(kind).map_err(word("kind")))).collect();
    filter.outcomes = query.all("outcome").filter_map(|own| wrong.note(read_word(own).map_err(word("outcome")))).collect();
    filter.from = wrong.note(query.instant("starts_at", chrono_tz::UTC)).flatten();
    filter.before = wrong.note(query.instant("ends_at", chrono_tz::UTC)).flatten();
    filter.below = wrong.note(query.get("cursor")).flatten().and_then(|cursor| wrong.note(behind(cursor)));
    let limit = wrong.note(query.get("limit")).flatten().map(str::parse);
    let limit = wrong.note(match limit {
        None => Ok(DEFAULT_PAGE),
        Some(Ok(limit @ 1..=LARGEST_PAGE)) => Ok(limit),
        Some(_) => Err(Problem::parameter("limit", format!("limit must be 1 to {LARGEST_PAGE}"))),
    });
    wrong.none()?;
    Ok((filter, limit.unwrap_or(DEFAULT_PAGE)))
}

/// The last record of the page before: when it was handed out, and its id.
fn behind(cursor: &str) -> Result<(DateTime<Utc>, i64), Problem> {
    let key = unsealed(cursor)?;
    let id = key.get(INSTANT..).and_then(|id| id.parse().ok());
    instant_of(&key).zip(id).ok_or_else(unknown_cursor)
}
