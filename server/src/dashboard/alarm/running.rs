//! Calls that run on handsets that take commands: on the page of an alarm, to hang up or to say something in them, and what became of it.

use std::sync::Arc;

use android_protocol::live::LiveOrder;
use android_protocol::wire::Capability;
use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use chrono::{DateTime, Utc};

use super::acting::{actor, alarm_id, back};
use crate::alarm::doer::Doer;
use crate::alarm::live_command::{CommandState, FAILED, TOO_LATE};
use crate::app::App;
use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Field, Input, Wrong};
use crate::dashboard::frame::form::{Form, Sent, form_page};
use crate::dashboard::frame::page::{Part, at_second};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::ids::AlarmId;
use crate::keep::checks::{self, LONGEST_SAID};
use crate::store::alarm::call_records::CallRecordRow;
use crate::store::alarm::live::LiveCommandRow;
use crate::store::watch::handsets::HandsetRow;

/// `POST /alarms/{id}/calls/{record}/hang-up`
pub(in crate::dashboard) async fn hang_up(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path((id, record)): Path<(String, String)>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let (id, record) = call_of(&app, &id, &record).await?;
    app.engine.command(record, &LiveOrder::Drop { say: None, language: None }, &actor(&reader)).await?;
    Ok(back(&fields, id, "hung_up"))
}

/// `POST /alarms/{id}/calls/{record}/say`
pub(in crate::dashboard) async fn say(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path((id, record)): Path<(String, String)>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let (id, record) = call_of(&app, &id, &record).await?;
    let length = fields.get("text").trim().chars().count();
    if length > LONGEST_SAID {
        let (words, length, most) = (reader.words, length.to_string(), LONGEST_SAID.to_string());
        let form = Form::new(&reader, "say", format!("/alarms/{id}/calls/{record}/say"), &words.running_say);
        let form = form.with([Field::plain("text", &words.running_say_what, Input::Lines(4))]);
        let wrong = Wrong::new("text", fill_text(&words.said_too_long, &[("length", &length), ("most", &most)]));
        let sent = Sent { form: form.id.clone(), fields, wrong };
        return Ok(form_page(&app, &reader, "alarms", &words.running_say, form.again(Some(&sent))));
    }
    let text = checks::optional_text("text", Some(fields.get("text").to_owned()), LONGEST_SAID)?.ok_or(Refusal::Garbled)?;
    let order = LiveOrder::say(text, None);
    app.engine.command(record, &order, &actor(&reader)).await?;
    Ok(back(&fields, id, "said"))
}

/// The alarm and the record of one of its calls.
async fn call_of(app: &App, alarm: &str, record: &str) -> Result<(AlarmId, i64), Refusal> {
    let (alarm, record) = (alarm_id(alarm)?, record.parse::<i64>().map_err(|_| Refusal::NotFound)?);
    let is_own = app.engine.store.read().await?.db().is_call_of_alarm(record, alarm).await?;
    if is_own { Ok((alarm, record)) } else { Err(Refusal::NotFound) }
}

/// A call that runs.
struct Running {
    record: i64,
    who: String,
    /// It can say something.
    speaks: bool,
}

/// Something that was to be done in a call.
struct Done {
    /// HTML.
    when: String,
    who: String,
    what: String,
    became: String,
}

#[derive(Template)]
#[template(path = "alarm/part_running.html")]
struct RunningPart<'r> {
    words: &'static Words,
    reader: &'r Reader,
    alarm: AlarmId,
    calls: Vec<Running>,
    done: Vec<Done>,
}

/// What is known of an alarm's calls.
#[derive(Clone, Copy)]
pub(in crate::dashboard) struct Calls<'c> {
    /// Their records.
    pub(in crate::dashboard) records: &'c [CallRecordRow],
    /// The mids of those that go on.
    pub(in crate::dashboard) open: &'c [String],
    /// What was to be done in them.
    pub(in crate::dashboard) commands: &'c [LiveCommandRow],
    /// The handsets of those that go on.
    pub(in crate::dashboard) handsets: &'c [HandsetRow],
}

/// Whether a call goes on, as far as is known: `open` are the mids of those that do.
pub(in crate::dashboard) fn goes_on(record: &CallRecordRow, open: &[String]) -> bool {
    open.contains(&record.mid) && record.ended_at.is_none() && record.reported_at.is_none()
}

/// The calls of an alarm that run, as this reader sees them.
pub(in crate::dashboard) fn part(reader: &Reader, alarm: AlarmId, calls: Calls<'_>, now: DateTime<Utc>) -> Part {
    let who = |record: &CallRecordRow| reader.name(record.name.as_deref().unwrap_or(&record.number));
    let running = |record: &CallRecordRow| {
        let handset = calls.handsets.iter().find(|own| Some(own.id) == record.handset_id && own.can(Capability::Live));
        let handset = handset.filter(|_| goes_on(record, calls.open) && reader.responds())?;
        Some(Running { record: record.id, who: who(record), speaks: handset.can(Capability::Tts) })
    };
    let done = |row: &LiveCommandRow| Done {
        when: at_second(row.made_at),
        who: calls.records.iter().find(|record| record.id == row.record_id).map_or_else(String::new, who),
        what: what(reader.words, &row.what.0),
        became: became(reader.words, row, now),
    };
    let by_people = calls.commands.iter().filter(|row| row.made_by.0 != Doer::Server);
    let part = RunningPart {
        words: reader.words,
        reader,
        alarm,
        calls: calls.records.iter().filter_map(running).collect(),
        done: by_people.filter(|_| reader.responds()).map(done).collect(),
    };
    Part::new("running", &part)
}

fn what(words: &Words, order: &LiveOrder) -> String {
    match order {
        LiveOrder::Drop { .. } => words.running_hang_up.clone(),
        LiveOrder::Play { text: Some(text), .. } => fill_text(&words.running_said, &[("text", text)]),
        // Which ones may be somebody's secret.
        LiveOrder::SendDtmf { .. } => words.running_keys.clone(),
        _ => words.running_stop.clone(),
    }
}

fn became(words: &Words, row: &LiveCommandRow, now: DateTime<Utc>) -> String {
    match row.stands(now) {
        (CommandState::Waiting, _) => words.running_waiting.clone(),
        (CommandState::Sent, _) => words.running_sent.clone(),
        (CommandState::Done, _) => words.running_done.clone(),
        (CommandState::Failed, Some(TOO_LATE) | None) => words.running_too_late.clone(),
        (CommandState::Failed, Some(why)) => fill_text(&words.running_failed, &[("why", said_why(words, why))]),
    }
}

/// Why something could not be done in a call. What is no word that handsets have agreed on stays as its handset said it.
pub(in crate::dashboard) fn said_why<'w>(words: &'w Words, why: &'w str) -> &'w str {
    match why {
        TOO_LATE => &words.why_too_late,
        "no_call" => &words.why_no_call,
        "busy" => &words.why_busy,
        "media" => &words.why_media,
        "unknown" => &words.why_unknown,
        FAILED => &words.why_unsaid,
        own => own,
    }
}
