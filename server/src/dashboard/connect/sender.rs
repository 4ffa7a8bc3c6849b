//! The page of one sender: it is tried, and what came of it lately is shown with what was answered.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::access::received::{Received, keep_own};
use crate::access::refusals::{KEYLESS, STRANGER};
use crate::access::senders::Sender;
use crate::alarm::Priority;
use crate::app::App;
use crate::connect::masked::masked;
use crate::connect::told::{Told, told};
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::page::{Frame, at, at_second, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::{Html, Text};
use crate::dashboard::frame::words::{Words, escape, fill, fill_text};
use crate::dashboard::query::asked;
use crate::engine::rehearsal::{Because, Rehearsal};
use crate::engine::{NamedBy, RaiseRequest};
use crate::ids::AlarmId;
use crate::intake::alarm_request::begin_window;
use crate::intake::signals::{self, Foreseen};
use crate::keep::whom::Named;
use crate::store::access::keys::KeyRow;

/// The receiver that a test goes to, and its address.
const RECEIVER: &str = "generic";
const ADDRESS: &str = "/api/v1/intake/generic";
/// What makes every test of the page the same thing.
const TEST_KEY: &str = "autocall/test";

/// A message as it is shown.
struct Shown {
    /// When it came, where to, what was answered; HTML.
    head: String,
    /// What became of each of its signals; HTML.
    told: Vec<String>,
    body: String,
    /// How much of it is not shown.
    cut: Option<String>,
    answer: String,
}

#[derive(Template)]
#[template(path = "connect/sender.html")]
struct SenderPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    sender: String,
    /// It has a key that is good.
    can_be_tried: bool,
    /// What *ring me* does, or why it cannot; the second is whether it can.
    ring: (String, bool),
    /// What was found out by a test; HTML.
    tried: Vec<String>,
    alert: Option<String>,
    status: StatusCode,
    how: String,
    bodies: Vec<Shown>,
}

/// Where the page of a sender is.
pub(in crate::dashboard) fn address(name: &str) -> String {
    format!("/senders/one?{}", form_urlencoded::Serializer::new(String::new()).append_pair("sender", name).finish())
}

/// Whether bodies are kept of what is called so and has no key.
pub(in crate::dashboard) fn is_kept_without_key(name: &str) -> bool {
    [KEYLESS, STRANGER].contains(&name)
}

/// `GET /senders/one`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let Some(name) = asked(&query.unwrap_or_default(), "sender") else { return Ok(go_to("/senders")) };
    page(&app, &reader, &name, (Vec::new(), None)).await
}

/// `POST /senders/test`: a message goes the way of the sender's own, and it is found out whom it would ring if something were wrong.
pub(in crate::dashboard) async fn test(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let (words, name) = (reader.words, fields.get("sender"));
    let sender = sender(&app, &reader, name).await?.ok_or(Refusal::NotFound)?;
    let message = json!({
        "state": "test",
        "summary": words.connect_test_said,
        "dedup_key": TEST_KEY,
        "priority": Priority::Normal.as_str(),
    });
    let text = message.to_string();
    let (path, body) = (Path(RECEIVER.to_owned()), Body::from(text.clone()));
    let received =
        signals::receive(State(Arc::clone(&app)), Extension(sender.clone()), path, RawQuery(None), HeaderMap::new(), body).await;
    let response = received.unwrap_or_else(IntoResponse::into_response);
    let (status, answer) = keep_own(&app.access, name, (ADDRESS, &text), response).await;
    let outcomes: Vec<String> = told(&String::from_utf8_lossy(&answer)).iter().map(|one| outcome(&reader, one)).collect();
    let arrived = fill(
        &words.connect_arrived,
        &[
            ("at", Html(&at_second(app.engine.clock.now()))),
            ("status", Text(&status.to_string())),
            ("outcome", Html(&outcomes.join(", "))),
        ],
    );
    let mut tried = vec![arrived];
    match signals::foresee(&app, &sender, RECEIVER, message).await {
        Ok(foreseen) => {
            tried.push(read(words, &foreseen));
            tried.extend(would_ring(&reader, &foreseen.rehearsal));
        }
        Err(problem) if problem.is_ours() => return Err(problem.into()),
        Err(problem) => tried.push(fill(&words.connect_would_refuse, &[("why", Text(&problem.sentence()))])),
    }
    page(&app, &reader, name, (tried, None)).await
}

/// `POST /senders/ring`: a real alarm, which rings whoever has pressed and nobody else.
pub(in crate::dashboard) async fn ring(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let (words, name) = (reader.words, fields.get("sender"));
    let sender = sender(&app, &reader, name).await?.ok_or(Refusal::NotFound)?;
    let Some(person) = me(&app, &reader).await? else {
        return page(&app, &reader, name, (Vec::new(), Some(words.connect_ring_nobody.clone()))).await;
    };
    let request = RaiseRequest {
        integration_id: sender.integration_id(),
        source: name.to_owned(),
        summary: words.connect_ring_said.clone(),
        labels: [("test".to_owned(), "connect".to_owned())].into(),
        // Quiet hours do not keep it from somebody who has just pressed.
        priority: Priority::Critical,
        begin_window_s: begin_window(app.config()),
        sender: Some(name.to_owned()),
        by: reader.doer(),
        ring: vec![Named::Person(person)],
        named_by: NamedBy::Alarm,
        ..RaiseRequest::default()
    };
    let raised = app.engine.raise(&request).await?;
    Ok(go_to(&format!("/alarms/{}", raised.alarm.id)))
}

/// The sender whose key has this name, as it comes in with that; `None` where no key of that name is good for alarms.
async fn sender(app: &App, reader: &Reader, name: &str) -> Result<Option<Sender>, Refusal> {
    let keys = app.engine.store.read().await?.db().keys().await?;
    let key = keys.into_iter().find(|key| key.name == name && key.revoked_at.is_none() && key.sends_signals());
    // Our own messages stand in our own form: read by the places of another one, a test might ring people.
    Ok(key.map(|key| Sender::new(Some(Arc::new(KeyRow { places: None, ..key })), reader.address)))
}

/// The reader as somebody who can be rung.
async fn me(app: &App, reader: &Reader) -> Result<Option<String>, Refusal> {
    let mut connection = app.engine.store.read().await?;
    let Some(person) = reader.person(&mut connection.db()).await? else { return Ok(None) };
    let numbers = connection.db().numbers_of(person.id).await?;
    Ok((!numbers.is_empty()).then_some(person.name))
}

async fn page(
    app: &App,
    reader: &Reader,
    name: &str,
    (tried, alert): (Vec<String>, Option<String>),
) -> Result<Response, Refusal> {
    let (words, now) = (reader.words, app.engine.clock.now());
    let keys = app.engine.store.read().await?.db().keys().await?;
    let key = keys.iter().find(|key| key.name == name);
    if key.is_none() && !is_kept_without_key(name) {
        return Err(Refusal::NotFound);
    }
    let ring = match me(app, reader).await? {
        Some(person) => (fill_text(&words.connect_ring_how, &[("person", &person)]), true),
        None => (words.connect_ring_nobody.clone(), false),
    };
    let node = rustix::system::uname();
    let shown = SenderPage {
        frame: Frame::new(reader, "senders", name, now),
        words,
        sender: name.to_owned(),
        can_be_tried: key.is_some_and(|key| key.revoked_at.is_none() && key.sends_signals()),
        ring,
        tried,
        how: fill_text(&words.bodies_how, &[("node", &node.nodename().to_string_lossy())]),
        bodies: app.access.received.of(name, now).iter().map(|one| shown(reader, one)).collect(),
        status: if alert.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK },
        alert,
    };
    Ok(html(shown.status, &shown))
}

fn shown(reader: &Reader, one: &Received) -> Shown {
    let words = reader.words;
    let answer = String::from_utf8_lossy(&one.answer);
    let head = fill(
        &words.body_head,
        &[
            ("at", Html(&at_second(one.at))),
            ("method", Text(one.method.as_str())),
            ("address", Text(&masked(&one.address))),
            ("status", Text(&one.status.to_string())),
            ("length", Text(&one.length.to_string())),
        ],
    );
    let cut = one.length > one.body.len();
    let kept = one.body.len().to_string();
    Shown {
        head,
        told: told(&answer).iter().map(|one| outcome(reader, one)).collect(),
        body: masked(&String::from_utf8_lossy(&one.body)),
        cut: cut.then(|| fill_text(&words.body_cut, &[("kept", &kept), ("length", &one.length.to_string())])),
        answer: masked(&answer),
    }
}

/// What became of a signal, in the word that its sender was answered, as HTML.
fn outcome(reader: &Reader, told: &Told) -> String {
    let mut line = Vec::new();
    if !told.outcome.is_empty() {
        line.push(format!("<b>{}</b>", escape(&told.outcome)));
    }
    if let Some(id) = told.alarm.as_ref().and_then(|id| id.parse::<AlarmId>().ok()) {
        let number = told.number.as_ref().map_or_else(|| reader.words.body_alarm.clone(), |number| format!("#{number}"));
        line.push(format!(r#"<a href="/alarms/{id}">{}</a>"#, escape(&number)));
    }
    if let Some(why) = &told.why {
        line.push(escape(&masked(why)));
    }
    line.join(" ")
}

/// How the test was read.
fn read(words: &Words, foreseen: &Foreseen) -> String {
    let priority = words.priority(foreseen.priority);
    fill(
        &words.connect_read,
        &[
            ("receiver", Text(foreseen.reader)),
            ("signal", Text(foreseen.signal.word.name())),
            ("key", Text(foreseen.signal.key.as_deref().unwrap_or("–"))),
            ("priority", Text(priority)),
        ],
    )
}

/// Who would be rung if something were wrong, and why.
fn would_ring(reader: &Reader, rehearsal: &Rehearsal) -> Vec<String> {
    let words = reader.words;
    let by_policy = |sentence: &str, place: &str| {
        fill(sentence, &[("policy", Text(rehearsal.policy.as_deref().unwrap_or_default())), ("place", Text(place))])
    };
    let because = match (rehearsal.because, &rehearsal.policy) {
        (Because::Rule(place), _) => by_policy(&words.connect_by_rule, &place.to_string()),
        (Because::Said | Because::Key | Because::Fallback, Some(_)) => by_policy(&words.connect_by_policy, ""),
        (Because::Said, None) => escape(&words.connect_by_message),
        (Because::Key, None) => escape(&words.connect_by_key),
        (Because::Fallback, None) => escape(&words.connect_by_fallback),
        (Because::Nobody, _) => escape(&words.connect_by_nobody),
    };
    let mut lines = vec![because];
    if rehearsal.because != Because::Nobody {
        let each = rehearsal.rung.iter().map(|(name, number)| match name {
            Some(name) => format!("{} ({})", reader.name(name), reader.number(number)),
            None => reader.number(number),
        });
        let people = each.collect::<Vec<_>>().join(", ");
        lines.push(match people.is_empty() {
            true => escape(&words.connect_rings_nobody),
            false => fill(&words.connect_rings, &[("people", Text(&people))]),
        });
    }
    lines.extend(rehearsal.held_until.map(|until| fill(&words.connect_held, &[("at", Html(&at(until)))])));
    lines
}
