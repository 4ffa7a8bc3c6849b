//! *Alarm*: one alarm with its ladder, what can be done, and the timeline of every call.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;

use super::acting::{actor, alarm_id, back, known_as};
use super::actions::{self, MoreActions};
use super::at_night::addresses::{Foremost, foremost, linked};
use super::at_night::faster;
use super::ladder::{self, Flights, Known};
use super::now::{self, Line, TroublePart};
use super::read::Finished;
use super::recordings;
use super::running;
use super::standing::{self, Standing};
use super::timeline::{self, Entry};
use crate::alarm::{AlarmState, Until};
use crate::app::App;
use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Field, Input};
use crate::dashboard::frame::form::Form;
use crate::dashboard::frame::page::{Part, Sight, at, at_second, live_page, since};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::Html;
use crate::dashboard::frame::words::{Words, fill, fill_text};
use crate::dashboard::reach;
use crate::dashboard::reports::false_alarm;
use crate::engine::{Acknowledgement, Acted, Effect, Giver, GivingBack, Reachable};
use crate::ids::{AlarmId, AnswerId, CalleeId, HuntId};
use crate::store::Db;
use crate::store::alarm::answers;
use crate::store::alarm::board::RungRow;
use crate::store::alarm::hunts::CalleeRow;
use crate::store::watch::handsets::HandsetRow;

/// `GET /alarms/{id}`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let id = alarm_id(&id)?;
    let sight = sight(&app, &reader, id).await?;
    let done = now::done_words(reader.words, query.as_deref());
    let live = format!("/live?page=alarm&id={id}");
    Ok(live_page(&reader, "alarms", live, &reader.words.alarm_heading, sight, done, app.engine.clock.now()))
}

/// `POST /alarms/{id}/acknowledge`
pub(in crate::dashboard) async fn acknowledge(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = alarm_id(&id)?;
    let note = actions::written(&fields, "note");
    if let Some(wrong) = actions::too_long(reader.words, "note", &note) {
        let words = reader.words;
        let form = Form::new(&reader, "take", format!("/alarms/{id}/acknowledge"), &words.take_it);
        let form = fields.all("alarm").fold(form, |form, alarm| form.holding("alarm", alarm));
        let form = fields.all("seen").fold(form, |form, answer| form.holding("seen", answer));
        let form = form.with([Field::plain("note", &words.take_note, Input::Lines(4))]);
        return Ok(actions::refused(&app, &reader, &words.take_it, form, fields, wrong));
    }
    let by = Acknowledgement {
        name: Some(known_as(&reader)),
        note: Some(note).filter(|note| !note.is_empty()),
        doer: reader.doer(),
        ring_again_after_s: actions::taken_for(fields.get("hours"))?,
        seen: Some(seen_in(&fields)),
        ..Acknowledgement::default()
    };
    let alarms = shown_in(&fields, id);
    reach::only_theirs(&app, &reader, &alarms).await?;
    let acted = app.engine.take_these(&alarms, &by).await?;
    answered(&app, &reader, &fields, (id, "acknowledged"), &acted).await
}

/// `POST /alarms/{id}/decline`: whoever is logged in is rung for it, and cannot.
pub(in crate::dashboard) async fn decline(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = alarm_id(&id)?;
    let me = reader.person(&mut app.engine.store.read().await?.db()).await?.ok_or(Refusal::NotFound)?;
    let acted = app.engine.decline_as(id, me.id, &actor(&reader), &seen_in(&fields)).await?;
    answered(&app, &reader, &fields, (id, "declined"), &acted).await
}

/// `POST /alarms/{id}/give-back`: whoever is logged in has it, and gives it back.
pub(in crate::dashboard) async fn give_back(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = alarm_id(&id)?;
    let giving = GivingBack { giver: Giver::Named(known_as(&reader)), by: actor(&reader), seen: Some(seen_in(&fields)) };
    let acted = app.engine.give_back_these(&[id], &giving).await?;
    if acted.iter().any(|acted| matches!(acted.effect, Effect::Already | Effect::NotTheirs)) {
        return Err(Refusal::NotTaken);
    }
    answered(&app, &reader, &fields, (id, "gave_back"), &acted).await
}

/// The alarms that stood on the page of a form; the address names the one that is on a page of its own.
fn shown_in(fields: &Fields, id: AlarmId) -> Vec<AlarmId> {
    let shown: Vec<AlarmId> = fields.all("alarm").filter_map(|alarm| alarm.parse().ok()).collect();
    if shown.is_empty() { vec![id] } else { shown }
}

/// The confirmed answers that stood on the page of a form. One that does not say it has shown nobody's, and takes nothing over.
fn seen_in(fields: &Fields) -> Vec<AnswerId> {
    fields.all("seen").filter_map(|answer| answer.parse().ok()).collect()
}

/// Back to the page from which a press came; where somebody was faster, a page that says who.
async fn answered(
    app: &App,
    reader: &Reader,
    fields: &Fields,
    (id, done): (AlarmId, &str),
    acted: &[Acted],
) -> Result<Response, Refusal> {
    if acted.iter().all(|acted| acted.effect == Effect::Over) {
        return Err(Refusal::Over);
    }
    let overtaken: Vec<AlarmId> =
        acted.iter().filter(|acted| acted.effect == Effect::Overtaken).map(|acted| acted.alarm).collect();
    if overtaken.is_empty() { Ok(back(fields, id, done)) } else { faster::page(app, reader, &overtaken).await }
}

/// Whoever is logged in, as somebody who can be rung.
async fn me(db: &mut Db<'_>, reader: &Reader) -> Result<Option<Reachable>, Refusal> {
    match reader.person(db).await? {
        Some(person) => Ok(Some(Reachable::of(db, person.id).await?)),
        None => Ok(None),
    }
}

/// `POST /alarms/{id}/cancel`
pub(in crate::dashboard) async fn cancel(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = alarm_id(&id)?;
    app.engine.cancel(id, &actor(&reader)).await?;
    Ok(back(&fields, id, "cancelled"))
}

/// `POST /alarms/{id}/redial`
pub(in crate::dashboard) async fn redial(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = alarm_id(&id)?;
    app.engine.redial(id, &actor(&reader)).await?;
    Ok(back(&fields, id, "redialled"))
}

/// What is on the page at this moment.
pub(in crate::dashboard) async fn sight(app: &App, reader: &Reader, id: AlarmId) -> Result<Sight, Refusal> {
    let words = reader.words;
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let alarm = db.alarm(id).await?.ok_or(Refusal::NotFound)?;
    let unreported = db.unreported(alarm.hunt_id).await?;
    let rung_of = |callee| rung_of(alarm.hunt_id, callee, &unreported);
    let rungs: Vec<RungRow> = db.callees(alarm.hunt_id).await?.into_iter().map(rung_of).collect();
    let all_answers = db.answers_of(alarm.hunt_id).await?;
    let ringing: Vec<_> = db.ringing().await?.into_iter().filter(|row| row.hunt_id == alarm.hunt_id).collect();
    let calls = db.calls_of_alarm(id).await?;
    let records = db.call_records_of_alarm(id).await?;
    let mut open: Vec<String> = db.open_mids().await?.into_values().collect();
    open.extend(db.open_inbound_mids(app.engine.clock.now()).await?);
    let commands = db.live_commands_of(id).await?;
    let mut handsets: Vec<HandsetRow> = Vec::new();
    for record in records.iter().filter(|record| reader.responds() && running::goes_on(record, &open)) {
        let known = handsets.iter().any(|own| Some(own.id) == record.handset_id);
        if let Some(handset) = record.handset_id.filter(|_| !known) {
            handsets.extend(db.handset(handset).await?);
        }
    }
    let events = db.timeline(id).await?;
    let recorded = db.recordings_of_alarm(id).await?;
    let theirs = recordings::heard_by(&mut db, reader, &recorded).await?;
    let hunt = db.hunt(alarm.hunt_id).await?;
    let policies = db.policies().await?;
    let quiet_hours = db.quiet_hours().await?;
    let me = if reader.responds() || reader.is_rung { me(&mut db, reader).await? } else { None };
    let answer = answers::current(&all_answers).cloned();
    let handset = answer.as_ref().and_then(|answer| answer.mid.as_ref());
    let handset = handset.and_then(|mid| calls.iter().find(|call| call.mid == *mid)).and_then(|call| call.handset.clone());

    let over = alarm.ended_at.is_some();
    let state = alarm.state();
    let steps = standing::steps_of(events.iter().filter(|event| event.hunt_id == Some(alarm.hunt_id)));
    let standing = hunt.filter(|_| !over).map(|hunt| {
        let now = app.engine.clock.now();
        Standing {
            quiet: standing::left_in_peace(&hunt, &rungs, &quiet_hours, now),
            ..Standing::of(&hunt, &policies, &all_answers, now)
        }
    });
    let known = Known { rungs: &rungs, ringing: &ringing, answers: &all_answers, steps: &steps, standing: standing.as_ref() };
    let can_acknowledge = !matches!(state, AlarmState::Cancelled | AlarmState::Resolved);
    let ladder = ladder::ladder(reader, &known, can_acknowledge.then_some(id));
    let shown_state = state_shown(words, state, !ringing.is_empty(), standing.as_ref());
    let title = fill_text(&words.alarm_title, &[("summary", &alarm.summary), ("state", shown_state.1)]);
    let labels = alarm.labels.0.iter().map(|(name, value)| (name.clone(), linked(value))).collect();
    let taken = answer.as_ref().filter(|answer| answer.confirmed_at.is_some());
    let yours = taken.is_some_and(|taken| taken.name == reader.known_as());
    let is_rung = |rung: &RungRow| rung.verdict.is_none() && me.as_ref().is_some_and(|me| me.is(rung.person_id, &rung.number));
    let can_decline = can_acknowledge && taken.is_none() && !over && rungs.iter().any(is_rung);
    let (seen, taken_by) = (taken.map(|taken| taken.id.to_string()), taken.map(|taken| reader.name(&taken.name)));
    let lapsed = answers::shown(&all_answers).filter(|_| answer.is_none()).cloned();
    let finished = Finished { alarm: alarm.clone(), answer, lapsed, rungs, handset };
    let snoozed = standing.as_ref().is_some_and(|standing| standing.snoozed_until.is_some());
    let part = AlarmPart {
        reader,
        words,
        line: now::line(reader, &finished),
        summary: alarm.summary.clone(),
        state: shown_state,
        clock: (!over).then(|| since(alarm.hunt_created_at)),
        over,
        meta: now::meta(words, &alarm),
        held: alarm.held_until.filter(|_| !over).map(|until| fill(&words.held_until, &[("at", Html(&at(until)))])),
        last_repeat: (alarm.repeats > 0).then(|| at_second(alarm.last_repeat_at)),
        links: foremost(words, &alarm.details, &alarm.labels.0),
        details: linked(&alarm.details),
        labels,
        seen: seen.unwrap_or_default(),
        can_take: can_acknowledge && taken_by.is_none(),
        take_over: taken_by.filter(|_| can_acknowledge && !yours).map(|name| fill_text(&words.take_over, &[("name", &name)])),
        can_decline,
        can_give_back: yours && can_acknowledge && over && alarm.kind.is_alarm() && alarm.until == Until::First,
        place: standing.as_ref().and_then(|standing| standing.place_words(reader)),
        waits: standing.as_ref().map_or_else(Vec::new, |standing| standing.waits(reader)),
        ladder,
        can_acknowledge,
        can_redial: reader.responds() && over && matches!(state, AlarmState::Answered | AlarmState::NoAnswer),
        snoozed: snoozed && reader.responds(),
        // Who acts for a team alone is told why not here.
        why_not: (can_acknowledge && reader.is_of_teams() && !reader.responds()).then_some(words.team_others.as_str()),
        more: (can_acknowledge && reader.responds())
            .then(|| MoreActions::of(reader, id, standing.as_ref(), if alarm.kind.is_alarm() { &policies } else { &[] })),
        id: id.to_string(),
    };
    let timeline = TimelinePart {
        words,
        entries: timeline::entries(
            reader,
            &events,
            timeline::Calls { targets: &calls, records: &records, open: &open, commands: &commands },
            app.engine.clock.now(),
        ),
    };
    // Nothing is wrong here; the part is there for the day when the database is away.
    let trouble = Part::new("trouble", &TroublePart { words, troubles: Vec::new() });
    let recordings = recordings::part(reader, id, &recorded, &theirs, &calls, &records);
    let mark = db.false_alarm(id).await?;
    let false_part = false_alarm::part(reader, &alarm, mark.as_ref());
    let in_calls = running::Calls { records: &records, open: &open, commands: &commands, handsets: &handsets };
    let running = running::part(reader, id, in_calls, app.engine.clock.now());
    Ok(Sight {
        title,
        parts: vec![trouble, Part::new("alarm", &part), running, recordings, false_part, Part::new("timeline", &timeline)],
    })
}

fn rung_of(hunt_id: HuntId, callee: CalleeRow, unreported: &[CalleeId]) -> RungRow {
    RungRow {
        id: callee.id,
        hunt_id,
        step: callee.step,
        person_id: callee.person_id,
        name: callee.name,
        number: callee.number,
        max_attempts: callee.max_attempts,
        min_interval_s: callee.min_interval_s,
        attempts: callee.attempts,
        failed: callee.failed,
        last_offered_at: callee.last_offered_at,
        after_s: callee.after_s,
        asked_at: callee.asked_at,
        verdict: callee.verdict,
        no_report: unreported.contains(&callee.id),
    }
}

/// The class and the word of a state. While nobody's phone rings, it says what is waited for.
fn state_shown(
    words: &'static Words,
    state: AlarmState,
    rings: bool,
    standing: Option<&Standing>,
) -> (&'static str, &'static str) {
    let confirming = standing.is_some_and(|standing| !standing.confirming.is_empty());
    let snoozed = standing.is_some_and(|standing| standing.snoozed_until.is_some());
    match state {
        AlarmState::Ringing if rings => ("now", &words.state_ringing),
        AlarmState::Waiting | AlarmState::Ringing if confirming => ("answered", &words.answered_only),
        AlarmState::Waiting | AlarmState::Ringing if snoozed => ("waiting", &words.state_snoozed),
        AlarmState::Waiting => ("waiting", &words.state_waiting),
        AlarmState::Ringing => ("waiting", &words.state_ringing),
        AlarmState::Answered => ("answered", &words.answered),
        AlarmState::NoAnswer => ("bad", &words.no_answer),
        AlarmState::Cancelled => ("plain", &words.cancelled),
        AlarmState::Resolved => ("plain", &words.resolved),
    }
}

#[derive(Template)]
#[template(path = "alarm/part_alarm.html")]
struct AlarmPart<'r> {
    reader: &'r Reader,
    words: &'static Words,
    id: String,
    summary: String,
    state: (&'static str, &'static str),
    clock: Option<String>,
    over: bool,
    /// Who answered, as in the list.
    line: Line,
    meta: String,
    /// Maintenance: until when nobody is rung.
    held: Option<String>,
    last_repeat: Option<String>,
    links: Vec<Foremost>,
    /// HTML.
    details: String,
    /// Each name, and its value as HTML.
    labels: Vec<(String, String)>,
    /// The confirmed answer that stands on the page; empty where nobody has it.
    seen: String,
    /// Nobody has it yet.
    can_take: bool,
    /// Somebody else has it: what the button says that takes it over.
    take_over: Option<String>,
    /// The reader is rung for it, and may say no.
    can_decline: bool,
    /// The reader has it.
    can_give_back: bool,
    /// The step of its policy, as HTML.
    place: Option<String>,
    /// What ringing waits for, as HTML.
    waits: Vec<String>,
    ladder: Flights,
    can_acknowledge: bool,
    can_redial: bool,
    /// It was put off, and can be rung for at once.
    snoozed: bool,
    /// Why the reader, who acts for other teams, does not act on it.
    why_not: Option<&'static str>,
    /// What else can be done.
    more: Option<MoreActions>,
}

#[derive(Template)]
#[template(path = "alarm/part_timeline.html")]
struct TimelinePart {
    words: &'static Words,
    entries: Vec<Entry>,
}
