//! Signals in: what the readers of [`crate::signal`] understand is raised, ended, taken or noted, in the same way for all senders.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, FromRequest, Multipart, Path, RawQuery, State};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::groups::{count_refused, outcome, unheard};
use super::said::{LONGEST_LABEL, LONGEST_SUMMARY, PHONES, clean, dedup_key, labels};
use super::{alarm_request, set_aside, whom};
use crate::access::senders::Sender;
use crate::alarm::burning::{self, Mark, Told};
use crate::alarm::doer::Actor;
use crate::alarm::event::Event;
use crate::alarm::{AlarmState, Mode, Priority, Until};
use crate::app::App;
use crate::engine::rehearsal::Rehearsal;
use crate::engine::{Acknowledgement, EngineError, RaiseRequest, Raised, RaisedAs, Word as Heard};
use crate::http::json;
use crate::http::parsed::Parsed;
use crate::http::problem::{Code, Problem};
use crate::ids::AlarmId;
use crate::signal::generic::{self, Places};
use crate::signal::prometheus;
use crate::signal::said::{Message, split};
use crate::signal::{self, Reader, Signal, Unreadable, Word};
use crate::store::audit::whence;
use crate::telemetry::AlarmResult;
use crate::visible;

/// A message is no longer, in bytes.
const LONGEST_MESSAGE: usize = 4 << 20;
/// Elements of a list that are read.
const MOST_ELEMENTS: usize = 1_000;
/// After so many in a row that the server itself could not take, the rest of a list is not tried.
const MOST_FAILURES: usize = 3;
/// What is wrong in the same words at the same place of a list is so, within a while, at most so many times.
const MOST_TIMES: usize = 20;
/// The reader whose messages may be a bare text.
const SNS: &str = "sns";
/// The one whose sender may only be able to fetch an address.
const KUMA: &str = "kuma";
/// Fields of a form that are read.
const MOST_FIELDS: usize = 200;
const LONGEST_DETAILS: usize = 20_000;
/// Nobody's word holds for longer.
const LONGEST_HELD: TimeDelta = TimeDelta::days(7);
/// A word holds at least so long from when it was heard, whatever clocks say: it is repeated each minute as a rule.
const LEAST_HELD: TimeDelta = TimeDelta::minutes(2);
/// A list that comes once more within this time was sent again: what has no key in it rings nobody a second time.
const RESENT_WITHIN: TimeDelta = TimeDelta::minutes(10);
/// As the API takes it, in characters.
const LONGEST_LINE: usize = 1_000;
/// These a sender may speak in.
const HEADERS: [&str; 7] = [
    "x-amz-sns-message-id",
    "x-amz-sns-message-type",
    "x-amz-sns-rawdelivery",
    "sentry-hook-resource",
    "x-gitlab-event",
    "x-gitlab-event-uuid",
    "user-agent",
];

/// What an address asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    whom: Vec<String>,
    policy: Option<String>,
    mode: Option<Mode>,
    priority: Option<Priority>,
    least: Option<Priority>,
    ring_tests: bool,
    /// Which place of which list it is: what tells a signal without a key when the list is sent again.
    place: Option<(String, Vec<u8>)>,
}

/// A key as it is kept.
pub(crate) fn kept_key(key: &str) -> String {
    dedup_key(key)
}

/// What became of a signal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Became {
    /// The alarm.
    pub(crate) id: Option<AlarmId>,
    /// As it is told to whoever sent it.
    pub(crate) told: Value,
}

impl Became {
    fn nothing(outcome: &str, why: Option<&str>) -> Self {
        let mut told = json!({ "id": null, "outcome": outcome });
        if let Some(why) = why {
            told["detail"] = why.into();
        }
        Self { id: None, told }
    }

    fn of(id: AlarmId, outcome: &str) -> Self {
        Self { id: Some(id), told: json!({ "id": id, "outcome": outcome }) }
    }
}

/// Takes in what a monitoring system says, in its own words: `zabbix`, `generic` and all others that are listed where it is refused.
#[utoipa::path(method(post, put), path = "/api/v1/intake/{sender}", tag = "senders",
    params(("sender" = String, Path, description = "The kind of sender, such as zabbix or generic"),
        ("phones" = Option<String>, Query, description = "Whom to ring where the message names nobody: numbers, or names of people, \
            teams, schedules or a policy"),
        ("policy" = Option<String>, Query, description = "The escalation policy that says whom to ring"),
        ("mode" = Option<String>, Query, description = "sequential (default) or parallel"),
        ("priority" = Option<String>, Query, description = "Instead of what the message says"),
        ("min_priority" = Option<String>, Query, description = "What is less urgent is not rung for"),
        ("test" = Option<String>, Query, description = "ring: also for a test message")),
    request_body(content = Object, description = "What the sender sends: JSON, an array of it, or a form"),
    responses((status = 200, description = "What became of each signal"),
        (status = 404, description = "There is no such kind of sender", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn receive(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(kind): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    take_in(&app, &sender, reader(&kind)?, (query, headers, body)).await
}

/// The same for Uptime Kuma, by whatever method it was told to use.
pub async fn receive_from_kuma(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    method: Method,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    if !matches!(method, Method::GET | Method::POST | Method::PUT) {
        let text = "Uptime Kuma's messages come with GET, POST or PUT";
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed, text));
    }
    if method == Method::GET && sender.key.is_none() {
        // A picture on any page is fetched so, by the browser of whoever looks at it.
        return Err(Problem::new(StatusCode::UNAUTHORIZED, Code::Unauthorized, "what is fetched rings people only with a key"));
    }
    take_in(&app, &sender, reader(KUMA)?, (query, headers, body)).await
}

/// The same at the address that Alertmanager's own API has, for whatever tells an Alertmanager its alerts.
pub async fn receive_alerts(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let bytes = alarm_request::read_body(body, LONGEST_MESSAGE).await?;
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'[') {
        let text = "here Prometheus and others post a list of alerts. A client of Opsgenie is given the address of this server without \
                    /api: its alerts go to /v2/alerts";
        return Err(Problem::invalid("body", text));
    }
    take_in(&app, &sender, reader(prometheus::READER.name)?, (query, headers, Body::from(bytes))).await
}

/// How a message is read, and what would follow if it said that something is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Foreseen {
    /// The kind of sender whose words it was read in.
    pub(crate) reader: &'static str,
    /// What it says.
    pub(crate) signal: Signal,
    /// How urgent it is.
    pub(crate) priority: Priority,
    /// Who would be rung, and why.
    pub(crate) rehearsal: Rehearsal,
}

/// Reads a message as [`receive`] does, and finds out whom it would ring. Nothing is kept.
///
/// # Errors
/// As [`receive`].
pub(crate) async fn foresee(app: &App, sender: &Sender, kind: &str, body: Value) -> Result<Foreseen, Problem> {
    let reader = reader(kind)?;
    let read = read(reader, &Message::default(), body).into_iter().next();
    let signal = match read {
        Some(Ok(signal)) => signal,
        Some(Err(unreadable)) => return Err(Problem::invalid(unreadable.field, unreadable.why)),
        None => Signal::default(),
    };
    let request = request(app, sender, reader.name, &Options::default(), signal.clone()).await?;
    let rehearsal = app.engine.rehearse(&request).await.map_err(unheard)?;
    Ok(Foreseen { reader: reader.name, signal, priority: request.priority, rehearsal })
}

async fn take_in(
    app: &Arc<App>,
    sender: &Sender,
    reader: &'static Reader,
    (query, headers, body): (Option<String>, HeaderMap, Body),
) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    let options = options(&query)?;
    let bytes = alarm_request::read_body(body, LONGEST_MESSAGE).await?;
    let (elements, left_out) = match elements(&headers, bytes.clone()).await {
        Err(_) if reader.name == SNS => (vec![bare(&bytes)], 0),
        read => read?,
    };
    let own = elements.first().map(reader.answer).unwrap_or_default();
    app.access.rates.held_more(&sender.counted_as(), elements.len().saturating_sub(1));
    // The same text for somebody else, or from another kind of sender, is another list.
    let heads = [reader.name.as_bytes(), b"\0", query.as_bytes(), b"\0"].concat();
    let list = (elements.len() > 1).then(|| Sha256::new().chain_update(&heads).chain_update(&bytes).finalize().to_vec());
    let about = Message { body: Value::Null, query: fields(query.as_bytes()), headers: spoken(&headers) };
    // A sender that has hung up meanwhile has been heard all the same: what stands last in its list is not lost.
    let taking = tokio::spawn(whence::asked_from(
        whence::address(),
        take_all(Arc::clone(app), sender.clone(), reader, (options, about), (list, elements)),
    ));
    let (mut done, refused) = match taking.await {
        Ok(taken) => taken.map_err(|problem| later(reader, problem))?,
        Err(_) => {
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, "the server failed; its log says why"));
        }
    };
    if left_out > 0 {
        tracing::warn!(sender.name = sender.name(), left_out, "a message holds too many elements; the last ones were left out");
        let text = format!("{left_out} more elements: send at most {MOST_ELEMENTS} at once");
        count_refused(app, sender, &Problem::invalid("body", text.as_str()));
        done.push(json!({ "outcome": "refused", "detail": text }));
    }
    match refused {
        Some(problem) if done.iter().all(|one| one["outcome"] == "refused") => return Err(problem),
        Some(problem) => count_refused(app, sender, &problem),
        None => {}
    }
    let mut answer = json!({ "alarms": done });
    for (name, value) in own {
        answer[name] = value;
    }
    Ok(json(StatusCode::OK, answer.to_string()))
}

/// Takes in all elements of a message: what became of each, and why one of them was refused. `list` is what tells their list from others.
async fn take_all(
    app: Arc<App>,
    sender: Sender,
    reader: &'static Reader,
    (mut options, about): (Options, Message),
    (list, elements): (Option<Vec<u8>>, Vec<Value>),
) -> Result<(Vec<Value>, Option<Problem>), Problem> {
    let mut done = Vec::new();
    let mut refused = None;
    let mut failed: Vec<Problem> = Vec::new();
    for element in elements {
        for read in read(reader, &about, placed(reader, &sender, element)) {
            options.place = list.as_ref().map(|list| (place(&sender, list, done.len()), list.clone()));
            let taken = match read {
                Ok(signal) => take(&app, &sender, reader.name, &options, signal).await,
                Err(unreadable) => Err(Problem::invalid(unreadable.field, unreadable.why)),
            };
            match taken {
                Ok(became) => {
                    failed.truncate(1);
                    done.push(became.told);
                }
                // It never is: so one failure costs the others nothing, unless nothing can be done at all.
                Err(problem) if problem.is_ours() && reader.once_only && failed.len() < MOST_FAILURES => {
                    done.push(json!({ "outcome": "refused", "detail": problem.sentence() }));
                    failed.push(problem);
                }
                // It is sent again, and what was taken in is then a repeat.
                Err(problem) if problem.is_ours() => return Err(problem),
                Err(problem) => {
                    tracing::warn!(field = problem.field(), "a signal cannot be used");
                    done.push(json!({ "outcome": "refused", "detail": problem.sentence() }));
                    refused.get_or_insert(problem);
                }
            }
        }
    }
    match failed.into_iter().next() {
        Some(problem) => Err(problem),
        None => Ok((done, refused)),
    }
}

/// The name of a place in a list.
fn place(sender: &Sender, list: &[u8], number: usize) -> String {
    let list = crate::ids::hex(list);
    match &sender.key {
        Some(_) => format!("list {list} {number}"),
        // In an open network each address is a sender of its own.
        None => format!("{} list {list} {number}", sender.address),
    }
}

/// Some senders take 5xx for *delivered*, and come again after 429.
fn later(reader: &Reader, problem: Problem) -> Problem {
    if reader.again_on_429 {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, Code::TooMuchAtOnce, problem.sentence())
    } else {
        problem
    }
}

fn reader(kind: &str) -> Result<&'static Reader, Problem> {
    signal::reader(kind).ok_or_else(|| {
        let mut names: Vec<&str> = signal::readers().map(|reader| reader.name).chain(["alertmanager", "grafana"]).collect();
        names.sort_unstable();
        Problem::not_found(format!("there is no sender of this kind; there are {}", names.join(", ")))
    })
}

/// An element of a foreign form with its fields under their own names, where the key says at which places they stand.
fn placed(reader: &Reader, sender: &Sender, element: Value) -> Value {
    let places = sender.key.as_ref().and_then(|key| key.places.as_ref());
    match places.filter(|_| reader.name == generic::READER.name) {
        Some(places) => places.put(element),
        None => element,
    }
}

/// How a body would be read with these places, each element for itself; nothing is done about it.
///
/// # Errors
/// When it is neither JSON nor a form.
pub async fn tried(places: &Places, body: Bytes) -> Result<Vec<Result<Signal, Unreadable>>, Problem> {
    let (elements, _) = elements(&HeaderMap::new(), body).await?;
    let about = Message::default();
    Ok(elements.into_iter().flat_map(|element| read(&generic::READER, &about, places.put(element))).collect())
}

fn read(reader: &Reader, about: &Message, element: Value) -> Vec<Result<Signal, Unreadable>> {
    if !element.is_object() {
        return vec![Err(Unreadable::new("body", "each element of the list has to be an object"))];
    }
    let message = Message { body: element, ..about.clone() };
    match (reader.read)(&message) {
        Ok(signals) => signals.into_iter().map(Ok).collect(),
        Err(unreadable) => vec![Err(unreadable)],
    }
}

/// Does what a signal says.
///
/// # Errors
/// When nobody is named to be rung, or the database fails.
pub(crate) fn take<'t>(
    app: &'t App,
    sender: &'t Sender,
    source: &'t str,
    options: &'t Options,
    signal: Signal,
) -> BoxFuture<'t, Result<Became, Problem>> {
    Box::pin(take_signal(app, sender, source, options, signal))
}

async fn take_signal(app: &App, sender: &Sender, source: &str, options: &Options, mut signal: Signal) -> Result<Became, Problem> {
    match std::mem::take(&mut signal.word) {
        Word::Test if options.ring_tests => raise(app, sender, source, options, signal).await,
        Word::Test => {
            tracing::info!(sender.name = sender.name(), "a test message: nobody is rung");
            Ok(Became::nothing("test", None))
        }
        Word::Ignored(why) => {
            if let Some(link) = signal.link.filter(|link| source == SNS && is_link(link)) {
                // A topic waits to be confirmed, and nothing else says so.
                set_aside::keep(app, sender, clean(&signal.summary, LONGEST_SUMMARY), clean(&link, LONGEST_LABEL)).await;
            }
            Ok(Became::nothing("ignored", Some(why)))
        }
        Word::Firing => {
            let priority = options.priority.or(signal.priority).unwrap_or(Priority::Normal);
            match options.least.filter(|least| priority < *least) {
                Some(_) => Ok(Became::nothing("ignored", Some("it is less urgent than min_priority"))),
                None => match (&signal.key, signal.holds_until) {
                    (Some(key), Some(until)) => state(app, sender, source, options, (&dedup_key(key), until), &signal).await,
                    _ => raise(app, sender, source, options, signal).await,
                },
            }
        }
        Word::Resolved => over(app, sender, signal).await,
        Word::Acknowledged { by, note } => {
            let by = Acknowledgement {
                name: by.map(name),
                number: None,
                callee: None,
                note: note.map(remark),
                doer: sender.doer(),
                ring_again_after_s: None,
                leaves_ring_again: true,
                heard_at: None,
                seen: None,
            };
            each_open(app, sender, &signal, &Deed::Acknowledge(by)).await
        }
        Word::Noted { by, text } => {
            let (by, text) = (actor(sender, by), remark(text));
            if visible::is_blank(&text) {
                return Ok(Became::nothing("ignored", Some("the remark says nothing")));
            }
            each_open(app, sender, &signal, &Deed::Note(text, by)).await
        }
        Word::Cancelled { by } => each_open(app, sender, &signal, &Deed::Cancel(actor(sender, by))).await,
    }
}

fn name(text: String) -> String {
    clean(&text, LONGEST_NAME)
}

/// The longest name of somebody who does something, in characters.
const LONGEST_NAME: usize = 200;

fn remark(text: String) -> String {
    clean(&text, LONGEST_LABEL)
}

fn actor(sender: &Sender, by: Option<String>) -> Actor {
    Actor { name: by.map(name), doer: sender.doer() }
}

/// What somebody does about an alarm, by the word of a sender.
enum Deed {
    Acknowledge(Acknowledgement),
    Note(String, Actor),
    Cancel(Actor),
}

/// Does it with the alarms of a signal that are open.
async fn each_open(app: &App, sender: &Sender, signal: &Signal, deed: &Deed) -> Result<Became, Problem> {
    let Some(key) = &signal.key else { return Ok(Became::nothing("nothing_open", None)) };
    let open = app.engine.store.read().await?.db().open_of_group(&sender.integration_id(), &dedup_key(key)).await?;
    let mut done = None;
    for alarm in open {
        if let Deed::Note(text, _) = deed
            && last_note(app, alarm.id).await?.as_ref() == Some(text)
        {
            // Some say the same with each repeat.
            done = Some(alarm.id);
            continue;
        }
        let did = match deed {
            Deed::Acknowledge(by) => app.engine.acknowledge(alarm.id, by).await,
            Deed::Note(text, by) => app.engine.note(alarm.id, text, by).await,
            Deed::Cancel(by) => app.engine.cancel(alarm.id, by).await,
        };
        match did {
            Ok(_) => done = Some(alarm.id),
            // It ended meanwhile.
            Err(EngineError::Over(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let outcome = match deed {
        Deed::Acknowledge(_) => "acknowledged",
        Deed::Note(..) => "noted",
        Deed::Cancel(_) => "cancelled",
    };
    Ok(done.map_or_else(|| Became::nothing("nothing_open", None), |id| Became::of(id, outcome)))
}

/// What was last remarked upon an alarm.
async fn last_note(app: &App, id: AlarmId) -> Result<Option<String>, Problem> {
    let timeline = app.engine.store.read().await?.db().timeline(id).await?;
    Ok(timeline.into_iter().rev().find_map(|row| match row.event() {
        Event::Noted { text, .. } => Some(text),
        _ => None,
    }))
}

/// The one thing that a signal is about, as it burns or not.
fn told(key: &str, burns: bool, signal: &Signal) -> Told {
    let number = Sha256::digest(key.as_bytes()).iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
    let (starts_at, ends_at) = if burns { (signal.at, None) } else { (None, signal.at) };
    Told { mark: Mark(number), burns, starts_at, ends_at, until: None }
}

async fn over(app: &App, sender: &Sender, signal: Signal) -> Result<Became, Problem> {
    let Some(key) = signal.key.as_deref().map(dedup_key) else { return Ok(Became::nothing("nothing_open", None)) };
    let message = burning::Message { over: true, alerts: vec![told(&key, false, &signal)], ..Default::default() };
    let request = RaiseRequest { integration_id: sender.integration_id(), by: sender.doer(), ..RaiseRequest::default() };
    let heard = app.engine.hear(&key, &message, &request).await.map_err(unheard)?;
    Ok(became(app, heard))
}

/// Takes in what a sender says that repeats its state and says until when it holds; whether that says that it is over, [`burning::meant`]
/// knows.
async fn state(
    app: &App,
    sender: &Sender,
    source: &str,
    options: &Options,
    (key, until): (&str, DateTime<Utc>),
    signal: &Signal,
) -> Result<Became, Problem> {
    let now = app.engine.clock.now();
    let until = until.min(now + LONGEST_HELD);
    let told = Told { until: Some(until), ..told(key, true, signal) };
    let hear = async |told: Told, as_said: bool, request: RaiseRequest| {
        let message = burning::Message { alerts: vec![told], as_said, ..Default::default() };
        let request = RaiseRequest { word_until: Some(until.max(now + LEAST_HELD)), ..request };
        app.engine.hear(key, &message, &request).await.map_err(unheard)
    };
    let full = async || request(app, sender, source, options, signal.clone()).await;
    let mut heard = if until > now {
        hear(told, false, full().await?).await?
    } else {
        // An end names nobody. What has not ended by what was heard before is at most a repeat.
        let priority = options.priority.or(signal.priority).unwrap_or(Priority::Normal);
        let end =
            RaiseRequest { integration_id: sender.integration_id(), by: sender.doer(), priority, ..RaiseRequest::default() };
        hear(told, false, end).await?
    };
    if heard.end_moves {
        tracing::warn!(
            sender.name = sender.name(),
            "it tells ever later ends of the same alert: its clock is behind, so it rings; set its clock, such as by NTP"
        );
        heard = hear(told, true, full().await?).await?;
    }
    if heard.called_off {
        return Ok(Became::nothing("ignored", Some("a person called it off")));
    }
    Ok(became(app, heard))
}

fn became(app: &App, heard: Heard) -> Became {
    let id = heard.raised.as_ref().map(|raised| raised.alarm.id).or_else(|| heard.ended.first().copied());
    Became { id, told: outcome(app, heard) }
}

async fn raise(app: &App, sender: &Sender, source: &str, options: &Options, signal: Signal) -> Result<Became, Problem> {
    let key = signal.key.as_deref().map(dedup_key);
    let message = key.as_ref().map(|key| burning::Message { alerts: vec![told(key, true, &signal)], ..Default::default() });
    let request = request(app, sender, source, options, signal).await?;
    match (key, message) {
        (Some(key), Some(message)) => Ok(became(app, app.engine.hear(&key, &message, &request).await.map_err(unheard)?)),
        _ => {
            let raised = raise_keyless(app, request).await?;
            let again = matches!(raised.raised_as, RaisedAs::Replayed { .. });
            app.engine.metrics.alarms.inc(if again { AlarmResult::Repeated } else { AlarmResult::Created });
            let alarm = raised.alarm;
            let outcome = if again { RaisedAs::Repeated } else { raised.raised_as };
            let told = json!({ "id": alarm.id, "number": alarm.number.to_string(), "outcome": outcome.word() });
            Ok(Became { id: Some(alarm.id), told })
        }
    }
}

/// Nothing tells a signal without a key from the next one, but its place in a list that is sent again. What was over by then, or raised
/// long ago, is wrong anew, in the same words: that has a place of its own, so that it is known as well when it is sent again.
async fn raise_keyless(app: &App, mut request: RaiseRequest) -> Result<Raised, Problem> {
    for _ in 0..MOST_TIMES {
        let raised = app.engine.raise(&request).await.map_err(unheard)?;
        let long_ago = app.engine.clock.now() - raised.alarm.raised_at > RESENT_WITHIN;
        let over = matches!(raised.alarm.state(), AlarmState::Cancelled | AlarmState::Resolved);
        if !(long_ago || over) || !matches!(raised.raised_as, RaisedAs::Replayed { .. }) {
            return Ok(raised);
        }
        let Some((place, list)) = request.idempotency.take() else { return Ok(raised) };
        let first = place.split(" after ").next().unwrap_or_default();
        request.idempotency = Some((format!("{first} after {}", raised.alarm.id), list));
    }
    request.idempotency = None;
    app.engine.raise(&request).await.map_err(unheard)
}

async fn request(app: &App, sender: &Sender, source: &str, options: &Options, signal: Signal) -> Result<RaiseRequest, Problem> {
    let rung = whom::find(app, sender, &signal.whom, (&options.whom, options.policy.as_deref())).await?;
    let summary = clean(&signal.summary.replace(['\n', '\t'], " "), LONGEST_LINE);
    let link = signal.link.map(|link| clean(&link, LONGEST_LABEL)).filter(|link| is_link(link));
    let mut kept = labels(&signal.labels);
    if let Some(link) = &link {
        kept.entry("url".to_owned()).or_insert_with(|| link.clone());
    }
    let lines = std::iter::once(signal.details).chain(link).chain(rung.remarks);
    let lines: Vec<String> = lines.filter(|line| !visible::is_blank(line)).collect();
    Ok(RaiseRequest {
        integration_id: sender.integration_id(),
        source: sender.name().unwrap_or(source).to_owned(),
        summary: if visible::is_blank(&summary) { "alert".to_owned() } else { summary },
        details: clean(&lines.join("\n"), LONGEST_DETAILS),
        labels: kept,
        priority: options.priority.or(signal.priority).unwrap_or(Priority::Normal),
        mode: options.mode.unwrap_or(Mode::Sequential),
        until: Until::First,
        begin_window_s: alarm_request::begin_window(app.config()),
        sender: sender.name().map(str::to_owned),
        by: sender.doer(),
        policy: rung.policy,
        ring: rung.ring,
        callees: rung.callees,
        named_by: rung.named_by,
        idempotency: options.place.clone(),
        bounds: sender.bounds().cloned(),
        ..RaiseRequest::default()
    })
}

/// Whether people may be led there: what is no address of a page is a text.
fn is_link(link: &str) -> bool {
    link.starts_with("https://") || link.starts_with("http://")
}

/// Reads what the address asks for. A name that nobody knows asks for nothing: some senders put fields of their own there.
pub(crate) fn options(query: &str) -> Result<Options, Problem> {
    let mut options = Options::default();
    let urgency = |name: &str, value: &str| {
        let word = signal::priority(value);
        word.ok_or_else(|| Problem::invalid(name, format!("{name} must be critical, high, normal or low")))
    };
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            PHONES => options.whom = split(&value),
            "policy" if !visible::is_blank(&value) => options.policy = Some(value.into_owned()),
            "mode" if value == "sequential" => options.mode = Some(Mode::Sequential),
            "mode" if value == "parallel" => options.mode = Some(Mode::Parallel),
            "mode" => return Err(Problem::invalid("mode", "mode must be sequential or parallel")),
            // Some have a field of their own under this name.
            "priority" => options.priority = signal::priority(&value),
            "min_priority" => options.least = Some(urgency("min_priority", &value)?),
            "test" if value == "ring" => options.ring_tests = true,
            _ => {}
        }
    }
    Ok(options)
}

/// The elements of a message, and how many there was no room for. What it is, it says itself: many senders name another kind of content.
async fn elements(headers: &HeaderMap, bytes: Bytes) -> Result<(Vec<Value>, usize), Problem> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => Ok((vec![Value::Object(Map::new())], 0)),
        Some(b'{' | b'[') => match Parsed::read(&bytes)?.value {
            Value::Array(mut all) => {
                let left_out = all.len().saturating_sub(MOST_ELEMENTS);
                all.truncate(MOST_ELEMENTS);
                Ok((all, left_out))
            }
            other => Ok((vec![other], 0)),
        },
        Some(_) if is_multipart(headers) => Ok((vec![parts(headers, bytes).await?], 0)),
        Some(_) => {
            let fields = fields(text);
            if fields.iter().all(|(_, value)| value.is_empty()) {
                let text = "the body must be JSON or a form with fields";
                return Err(Problem::bad_request(Code::MalformedJson, text));
            }
            Ok((vec![object(fields)], 0))
        }
    }
}

/// A text that is neither JSON nor a form, as the name of a field that says nothing: so a form without `=` is read.
fn bare(bytes: &[u8]) -> Value {
    let text = String::from_utf8_lossy(bytes);
    object([(text.trim().to_owned(), String::new())].into())
}

fn object(fields: BTreeMap<String, String>) -> Value {
    Value::Object(fields.into_iter().map(|(name, value)| (name, Value::String(value))).collect())
}

/// The fields of a form; of those of one name, the first.
fn fields(form: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(form).take(MOST_FIELDS) {
        fields.entry(name.into_owned()).or_insert_with(|| value.into_owned());
    }
    fields
}

fn is_multipart(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data")
}

async fn parts(headers: &HeaderMap, bytes: Bytes) -> Result<Value, Problem> {
    let malformed = || Problem::bad_request(Code::MalformedJson, "the body is no multipart form that can be read");
    let mut request = Request::new(Body::from(bytes));
    if let Some(kind) = headers.get(header::CONTENT_TYPE) {
        request.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    }
    let mut form = Multipart::from_request(request, &()).await.map_err(|_| malformed())?;
    let mut fields = BTreeMap::new();
    while let Some(part) = form.next_field().await.map_err(|_| malformed())? {
        let Some(name) = part.name().map(str::to_owned) else { continue };
        if fields.len() < MOST_FIELDS && part.file_name().is_none() {
            fields.entry(name).or_insert(part.text().await.map_err(|_| malformed())?);
        }
    }
    Ok(object(fields))
}

fn spoken(headers: &HeaderMap) -> BTreeMap<String, String> {
    let spoken = HEADERS.iter().filter_map(|name| Some(((*name).to_owned(), headers.get(*name)?.to_str().ok()?.to_owned())));
    spoken.collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;
    use proptest::sample::Index;

    const JSON: &str = r#"{"state": "firing", "summary": "磁盘满 \"99 %\"", "dedup_key": "db1/disk", "tags": ["a:b", null, 7], "phones": "18712345678"}"#;
    const LIST: &str = r#"[{"hash": "9c1b", "rule_name": "r", "severity": 1}, {"event_id": "17", "event_value": "0"}, 3]"#;
    const FORM: &str =
        "type=PROBLEM&host=db1&service=disk+%2Fvar&state=CRITICAL&output=CRIT+%2299%25%22+full+%C3%A9&phones=18712345678";
    const PARTS: &str =
        "--x\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n{\"msg\": \"My notification Testing\"}\r\n--x--\r\n";

    fn read_body(kind: &'static str, bytes: Vec<u8>) -> Result<(Vec<Value>, usize), Problem> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(elements(&headers, bytes.into()))
    }

    proptest! {
        #[test]
        fn every_body_is_read_or_refused(
            sample in prop::sample::select(vec![JSON, LIST, FORM, PARTS]),
            kind in prop::sample::select(vec!["application/json", "text/plain", "multipart/form-data; boundary=x", "multipart/form-data"]),
            changes in prop::collection::vec((any::<Index>(), prop::sample::select(b"{}[]\",:=&%+\\\0\n-x\xff\xc3".to_vec())), 0..5),
            cut in prop::option::of(any::<Index>()),
        ) {
            let mut bytes = sample.as_bytes().to_vec();
            for (at, other) in changes {
                let at = at.index(bytes.len());
                bytes[at] = other;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            match read_body(kind, bytes) {
                Err(problem) => prop_assert!((400..500).contains(&problem.status()), "{problem:?}"),
                Ok((elements, left_out)) => {
                    prop_assert!(elements.len() <= MOST_ELEMENTS && left_out == 0);
                    for (reader, element) in signal::readers().flat_map(|reader| elements.iter().map(move |one| (reader, one))) {
                        prop_assert!(!read(reader, &Message::default(), element.clone()).is_empty());
                    }
                }
            }
        }
    }

    #[test]
    fn bodies_say_themselves_what_they_are() {
        assert_eq!(read_body("application/x-www-form-urlencoded", JSON.into()).unwrap().0[0]["dedup_key"], "db1/disk");
        assert_eq!(read_body("application/json", FORM.into()).unwrap().0[0]["output"], "CRIT \"99%\" full é");
        assert_eq!(
            read_body("multipart/form-data; boundary=x", PARTS.into()).unwrap().0[0]["data"],
            "{\"msg\": \"My notification Testing\"}"
        );
        assert_eq!(read_body("text/plain", LIST.into()).unwrap().0.len(), 3);
    }
}
