//! *Call somebody*: a person, or whoever is on duty, is rung about something that no monitoring system has told. First it is said who would
//! ring, and nobody is; what was looked at is sent, once, however often it is pressed.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use sha2::{Digest, Sha256};

use crate::alarm::Priority;
use crate::app::App;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Choice, Field, Input, Wrong};
use crate::dashboard::frame::page::{Frame, at, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::{Html, Text};
use crate::dashboard::frame::words::{Words, escape, fill, fill_text};
use crate::dashboard::reach::{self, Callable};
use crate::engine::rehearsal::Rehearsal;
use crate::engine::{EngineError, NamedBy, RaiseRequest};
use crate::ids::hex;
use crate::intake::alarm_request::begin_window;
use crate::keep::checks::LONGEST_NOTE;
use crate::keep::whom::Named;
use crate::secrets;
use crate::visible::is_blank;

/// The door through which such alarms come: each form is stored under it once.
const DOOR: &str = "pages";
/// What tells one form from another, in hexadecimal.
const FORM_LENGTH: usize = 32;
/// The most urgent first.
const URGENCIES: [Priority; 4] = [Priority::Critical, Priority::High, Priority::Normal, Priority::Low];
/// A summary of one line, in characters.
const LONGEST_SUMMARY: usize = 200;

/// A form as it was filled in.
#[derive(Clone, Debug)]
struct Draft {
    /// `person:`, `team:` or `schedule:` and a name.
    whom: String,
    summary: String,
    details: String,
    priority: Priority,
}

impl Draft {
    fn read(fields: &Fields) -> Self {
        Self {
            whom: fields.get("whom").to_owned(),
            summary: fields.get("summary").split_whitespace().collect::<Vec<_>>().join(" "),
            // A browser sends two characters for each line break that somebody typed.
            details: fields.get("details").trim().replace("\r\n", "\n"),
            priority: URGENCIES.into_iter().find(|own| own.as_str() == fields.get("priority")).unwrap_or(Priority::High),
        }
    }

    /// Whom it names.
    fn named(&self) -> Option<Named> {
        let (kind, name) = self.whom.split_once(':')?;
        match kind {
            "person" => Some(Named::Person(name.to_owned())),
            "team" => Some(Named::Team(name.to_owned())),
            "schedule" => Some(Named::Schedule(name.to_owned())),
            _ => None,
        }
    }

    /// What is wrong with it, before anything is looked up.
    fn wrong(&self, words: &Words) -> Option<Wrong> {
        let too_long = |field: &str, length: usize, most: usize| {
            let places = [("length", length.to_string()), ("most", most.to_string())];
            let places = places.each_ref().map(|(name, text)| (*name, text.as_str()));
            (length > most).then(|| Wrong::new(field, fill_text(&words.note_too_long, &places)))
        };
        if self.named().is_none() {
            return Some(Wrong::new("whom", &words.call_somebody_no_whom));
        }
        if is_blank(&self.summary) {
            return Some(Wrong::new("summary", &words.call_somebody_no_summary));
        }
        too_long("summary", self.summary.chars().count(), LONGEST_SUMMARY)
            .or_else(|| too_long("details", self.details.chars().count(), LONGEST_NOTE))
    }

    /// The alarm that it would raise.
    fn request(&self, app: &App, reader: &Reader, named: Named) -> RaiseRequest {
        RaiseRequest {
            integration_id: DOOR.to_owned(),
            source: reader.known_as().to_owned(),
            summary: self.summary.clone(),
            details: self.details.clone(),
            priority: self.priority,
            begin_window_s: begin_window(app.config()),
            by: reader.doer(),
            ring: vec![named],
            named_by: NamedBy::Alarm,
            ..RaiseRequest::default()
        }
    }

    /// Differs with whatever it says.
    fn hash(&self) -> Vec<u8> {
        let priority = self.priority.as_str();
        let pieces = [self.whom.as_str(), &self.summary, &self.details, priority];
        let hash = pieces.iter().fold(Sha256::new(), |hash, piece| hash.chain_update(piece).chain_update([0]));
        hash.finalize().to_vec()
    }
}

/// Who would be rung.
struct Found {
    /// Sentences; HTML.
    told: Vec<String>,
    /// Changes with those who would be rung.
    seen: String,
    /// Under which it is sent once.
    form: String,
}

/// `GET /alarms/new`
pub(in crate::dashboard) async fn begin(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
) -> Result<Response, Refusal> {
    let draft = Draft { whom: String::new(), summary: String::new(), details: String::new(), priority: Priority::High };
    page(&app, &reader, &draft, None, None).await
}

/// `POST /alarms/new`: looks, or sends what was looked at.
pub(in crate::dashboard) async fn send(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let (words, draft) = (reader.words, Draft::read(&fields));
    if let Some(wrong) = draft.wrong(words) {
        return page(&app, &reader, &draft, None, Some(wrong)).await;
    }
    let Some(named) = draft.named() else { return Err(Refusal::Garbled) };
    let for_team = reach::calls_for(&mut app.engine.store.read().await?.db(), &reader, &named).await?;
    let request = RaiseRequest { for_team, ..draft.request(&app, &reader, named) };
    let form = Some(fields.get("form")).filter(|form| form.len() == FORM_LENGTH && form.bytes().all(|b| b.is_ascii_hexdigit()));
    let sends = fields.get("act") == "send";
    // What was sent before is not looked at anew: by now its people may be others.
    if let (true, Some(form)) = (sends, form)
        && was_sent(&app, form).await?
    {
        return raise(&app, &reader, &draft, &request, form).await;
    }
    let rehearsal = match app.engine.rehearse(&request).await {
        Ok(rehearsal) => rehearsal,
        Err(EngineError::UnknownName { .. }) => {
            let wrong = Wrong::new("whom", &words.call_somebody_gone);
            return page(&app, &reader, &draft, None, Some(wrong)).await;
        }
        Err(error) => return Err(error.into()),
    };
    let found = found(&reader, &rehearsal, form);
    if rehearsal.rung.is_empty() {
        let wrong = Wrong::new("whom", &words.call_somebody_nobody);
        return page(&app, &reader, &draft, None, Some(wrong)).await;
    }
    match form.filter(|_| sends) {
        Some(form) if found.seen == fields.get("seen") => raise(&app, &reader, &draft, &request, form).await,
        Some(_) => {
            let changed = Wrong::new("", &words.call_somebody_changed);
            page(&app, &reader, &draft, Some(found), Some(changed)).await
        }
        None => page(&app, &reader, &draft, Some(found), None).await,
    }
}

/// Whether a form was sent already.
async fn was_sent(app: &App, form: &str) -> Result<bool, Refusal> {
    Ok(app.engine.store.read().await?.db().idempotent_request(DOOR, form).await?.is_some())
}

async fn raise(app: &App, reader: &Reader, draft: &Draft, request: &RaiseRequest, form: &str) -> Result<Response, Refusal> {
    let request = RaiseRequest { idempotency: Some((form.to_owned(), draft.hash())), ..request.clone() };
    match app.engine.raise(&request).await {
        Ok(raised) => Ok(go_to(&format!("/alarms/{}?done=called", raised.alarm.id))),
        // It was changed after it was sent, as by going back: it is looked at once more, as another one.
        Err(EngineError::KeyReused) => {
            let rehearsal = app.engine.rehearse(&request).await?;
            let changed = Wrong::new("", &reader.words.call_somebody_again);
            page(app, reader, draft, Some(found(reader, &rehearsal, None)), Some(changed)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Who would be rung, and what would keep them from it. `form`: under which it is looked at already.
fn found(reader: &Reader, rehearsal: &Rehearsal, form: Option<&str>) -> Found {
    let words = reader.words;
    let mut each: Vec<String> = Vec::new();
    for (name, number) in &rehearsal.rung {
        let who = name.as_deref().map_or_else(|| reader.number(number), |name| reader.name(name));
        if !each.contains(&who) {
            each.push(who);
        }
    }
    let names = each.join(&words.list_comma);
    let mut told = vec![fill(&words.call_somebody_rings, &[("names", Html(&format!("<b>{}</b>", escape(&names))))])];
    told.extend(rehearsal.in_peace.iter().map(|(who, until)| {
        let who = reader.name(who);
        fill(&words.call_somebody_quiet, &[("who", Text(&who)), ("at", Html(&at(*until)))])
    }));
    told.extend(rehearsal.held_until.map(|until| fill(&words.connect_held, &[("at", Html(&at(until)))])));
    let hash = rehearsal.rung.iter().fold(Sha256::new(), |hash, (_, number)| hash.chain_update(number).chain_update([0]));
    Found { told, seen: hex(&hash.finalize()[..8]), form: form.map_or_else(secrets::random::<16>, str::to_owned) }
}

#[derive(Template)]
#[template(path = "alarm/at_night/page_somebody.html")]
struct CallPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    fields: Vec<Field>,
    found: Option<Found>,
    alert: Option<String>,
}

async fn page(
    app: &App,
    reader: &Reader,
    draft: &Draft,
    found: Option<Found>,
    wrong: Option<Wrong>,
) -> Result<Response, Refusal> {
    let (words, now) = (reader.words, app.engine.clock.now());
    let roster = app.engine.store.read().await?.db().roster_from(now).await?;
    let choice = |kind: &str, name: &str, label: &str| Choice::new(format!("{kind}:{name}"), fill_text(label, &[("name", name)]));
    let callable = Callable::of(reader, &roster);
    let mut whom = vec![Choice::new("", words.call_somebody_choose.as_str())];
    whom.extend(callable.teams.iter().map(|name| choice("team", name, &words.call_somebody_team)));
    whom.extend(callable.schedules.iter().map(|name| choice("schedule", name, &words.call_somebody_schedule)));
    whom.extend(callable.people.iter().map(|name| choice("person", name, "{name}")));
    let meant = |priority: Priority| match priority {
        Priority::Critical => &words.call_somebody_critical,
        Priority::High => &words.call_somebody_high,
        Priority::Normal => &words.call_somebody_normal,
        Priority::Low => &words.call_somebody_low,
    };
    let urgency = URGENCIES.into_iter().map(|own| Choice::new(own.as_str(), meant(own).as_str())).collect();
    let wrong = wrong.as_ref();
    let field =
        |name: &str, label: &'static str, how: &str, value: &str, input: Input| Field::new(name, label, how, value, input, wrong);
    let fields = vec![
        field("whom", &words.call_somebody_whom, &words.call_somebody_whom_how, &draft.whom, Input::Choice(whom)).required(),
        field("summary", &words.call_somebody_summary, &words.call_somebody_summary_how, &draft.summary, Input::Line).required(),
        field("details", &words.call_somebody_details, "", &draft.details, Input::Lines(3)),
        field("priority", &words.call_somebody_priority, "", draft.priority.as_str(), Input::Choice(urgency)),
    ];
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let alert = wrong.map(|wrong| if wrong.field.is_empty() { wrong.sentence.clone() } else { words.form_wrong.clone() });
    let frame = Frame::new(reader, "now", words.call_somebody.as_str(), now);
    Ok(html(status, &CallPage { frame, words, fields, found, alert }))
}
