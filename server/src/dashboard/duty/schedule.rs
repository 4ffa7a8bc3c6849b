//! One schedule: its calendar, and the forms that change it.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, Utc};
use chrono_tz::Tz;

use super::calendar::{Coloured, Plan, Strip, monday_of, whole_shifts};
use super::preview::{About, LOOK, Pressed, pressed};
use super::words::{maker, next_words, on_duty_words, people, reason_words, shown, source_trouble, team_name, troubles, wrong};
use crate::app::App;
use crate::costly;
use crate::dashboard::alarm::now;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::assets;
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Choice, Field, Input, lines};
use crate::dashboard::frame::form::{Form, Sent};
use crate::dashboard::frame::page::{Frame, html, instant};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::dashboard::query::asked;
use crate::ids::{OverrideId, PersonId, ScheduleId, TemporaryId};
use crate::keep::roster::feeds::{self, Subject};
use crate::keep::roster::forms::{LayerForm, OverrideForm, TemporaryForm};
use crate::keep::roster::source::{self, SourceForm};
use crate::keep::roster::{RosterError, exceptions, schedules};
use crate::kinds::guard::GuardedResolver;
use crate::rights::roles::Role;
use crate::roster::check::check;
use crate::roster::{Change, Roster, Schedule, Shift, wall};
use crate::store::Work;
use crate::store::duty::sources::SourceRow;
use crate::versions::Expected;

/// How far ahead the page looks for gaps.
const LOOK_AHEAD: chrono::TimeDelta = chrono::TimeDelta::days(28);

/// One line of the agenda.
struct Entry {
    from: String,
    to: String,
    /// The same as a form wants them.
    from_field: String,
    to_field: String,
    people: Vec<(String, String)>,
    is_now: bool,
    /// Where somebody may be asked to take it, for those who may ask.
    swap: Option<String>,
}

/// The calendar that the schedule follows.
struct Following {
    /// What that means, in a sentence.
    why: String,
    layer: String,
    every_minutes: i32,
    version: String,
    /// How it stands, in sentences.
    standing: Vec<String>,
    skipped: Vec<String>,
}

impl Following {
    fn of(words: &Words, zone: Tz, row: &SourceRow) -> Self {
        let at = |at| shown(words, zone, at);
        let count = |number: usize| number.to_string();
        let mut standing = Vec::new();
        match (row.good_at, &row.reading) {
            (Some(good_at), Some(reading)) => {
                let shifts = count(reading.shifts);
                standing.push(fill_text(&words.source_good, &[("at", &at(good_at)), ("count", &shifts)]));
            }
            _ => standing.push(words.source_new.clone()),
        }
        if let (Some(changed_at), Some(change)) = (row.changed_at, &row.change) {
            let (added, removed) = (count(change.added), count(change.removed));
            let places = [("at", at(changed_at)), ("added", added), ("removed", removed)];
            let places = places.each_ref().map(|(name, text)| (*name, text.as_str()));
            standing.push(fill_text(&words.source_changed, &places));
        }
        standing.push(fill_text(&words.source_next, &[("at", &at(row.due_at))]));
        let reading = row.reading.as_ref();
        Self {
            why: fill_text(&words.source_why, &[("address", &row.address.to_string()), ("layer", &row.layer)]),
            layer: row.layer.clone(),
            every_minutes: row.every_minutes,
            version: row.version().as_str().to_owned(),
            standing,
            skipped: reading.map(|own| own.skipped.iter().chain(&own.notes).cloned().collect()).unwrap_or_default(),
        }
    }
}

/// Something that can be taken back.
struct Taken {
    id: String,
    text: String,
    when: String,
}

#[derive(Template)]
#[template(path = "duty/schedule.html")]
struct SchedulePage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    /// What chooses a time by dragging.
    script: &'static str,
    done: Option<&'static str>,
    wrong: Option<String>,
    /// Shown once.
    feed: Option<String>,
    id: ScheduleId,
    name: String,
    zone: String,
    team: String,
    version: i32,
    on: Vec<String>,
    next: Option<String>,
    troubles: Vec<String>,
    month: bool,
    /// The address of this page with what is shown: a week or a month.
    view: String,
    day: String,
    before: String,
    after: String,
    strips: Vec<Strip>,
    legend: Vec<Coloured>,
    entries: Vec<Entry>,
    overrides: Vec<Taken>,
    temporaries: Vec<Taken>,
    layers: Vec<LayerView>,
    feeds: Vec<Taken>,
    following: Option<Following>,
    add_override: Form,
    add_temporary: Form,
    add_rotation: Form,
    /// By which it follows a calendar.
    follow: Form,
}

/// A layer, and by which it is changed.
struct LayerView {
    name: String,
    people: Vec<String>,
    every: String,
    /// Shifts that were imported; none for a rotation.
    shifts: usize,
    form: Form,
}

impl SchedulePage<'_> {
    fn at(at: &DateTime<Utc>) -> String {
        instant(*at)
    }
}

/// `GET /roster/{id}`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = query.unwrap_or_default();
    let done = now::done_words(reader.words, Some(&query));
    let chosen = (asked(&query, "from").unwrap_or_default(), asked(&query, "to").unwrap_or_default());
    page(&app, &reader, &id, Answer { query, done, chosen, ..Answer::default() }).await
}

/// `POST /roster/{id}/override`
pub(in crate::dashboard) async fn add_override(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let text = |name| fields.get(name).to_owned();
    let form = OverrideForm {
        action: text("action"),
        person: text("person"),
        instead_of: Some(text("instead_of")).filter(|of| !of.is_empty()),
        from: text("from"),
        to: text("to"),
        note: text("note"),
    };
    let expected = Expected::in_form(fields.get("version"));
    let add = async |work: &mut Work| exceptions::add_override(work, &id, &form, maker(&reader), &expected).await;
    let made = pressed(&app, &reader, &fields, about(&id, "override", &reader.words.roster_add_override), add).await;
    let day = form.from.split('T').next().unwrap_or_default().to_owned();
    finish_shown(&app, &reader, &id, Sending::of(OVERRIDE, fields), made, &day).await
}

/// `POST /roster/{id}/override/{override}/remove`
pub(in crate::dashboard) async fn remove_override(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path((id, own)): Path<(String, String)>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let own: OverrideId = own.parse().map_err(|_| Refusal::NotFound)?;
    let expected = Expected::in_form(fields.get("version"));
    let remove = async |work: &mut Work| exceptions::remove_override(work, &id, own, &expected).await;
    let removal = format!("override/{own}/remove");
    let removed = pressed(&app, &reader, &fields, about(&id, &removal, &reader.words.roster_take_back), remove).await;
    finish_shown(&app, &reader, &id, Sending::default(), removed, "").await
}

/// `POST /roster/{id}/temporary`
pub(in crate::dashboard) async fn add_temporary(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let text = |name| fields.get(name).to_owned();
    let form = TemporaryForm {
        name: text("name"),
        from: text("from"),
        to: text("to"),
        people: lines(fields.get("people")),
        every: Some(text("every")).filter(|every| !every.is_empty()),
        start: None,
        active: Vec::new(),
    };
    let expected = Expected::in_form(fields.get("version"));
    let add = async |work: &mut Work| exceptions::add_temporary(work, &id, &form, maker(&reader), &expected).await;
    let made = pressed(&app, &reader, &fields, about(&id, "temporary", &reader.words.roster_add_temporary), add).await;
    finish_shown(&app, &reader, &id, Sending::of(TEMPORARY, fields), made, "").await
}

/// `POST /roster/{id}/temporary/{temporary}/remove`
pub(in crate::dashboard) async fn remove_temporary(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path((id, own)): Path<(String, String)>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let own: TemporaryId = own.parse().map_err(|_| Refusal::NotFound)?;
    let expected = Expected::in_form(fields.get("version"));
    let remove = async |work: &mut Work| exceptions::remove_temporary(work, &id, own, &expected).await;
    let removal = format!("temporary/{own}/remove");
    let removed = pressed(&app, &reader, &fields, about(&id, &removal, &reader.words.roster_take_back), remove).await;
    finish_shown(&app, &reader, &id, Sending::default(), removed, "").await
}

/// `POST /roster/{id}/rotation`: adds a rotation, or changes the one of that name.
pub(in crate::dashboard) async fn set_rotation(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let text = |name| fields.get(name).to_owned();
    let form = LayerForm {
        name: text("name"),
        people: lines(fields.get("people")),
        every: text("every"),
        start: text("start"),
        end: Some(text("end")).filter(|end| !end.is_empty()),
        active: lines(fields.get("active")),
        skip_idle_turns: fields.get("skip_idle_turns") == "yes",
        from: Some(text("from")).filter(|from| !from.is_empty()),
        shifts: Vec::new(),
    };
    let version = fields.get("version").parse().ok();
    let set = async |work: &mut Work| schedules::set_layer(work, &id, &form, version).await;
    let own = fields.get("layer_form").to_owned();
    let title = if own.is_empty() { reader.words.roster_add_rotation.as_str() } else { form.name.as_str() };
    let saved = pressed(&app, &reader, &fields, about(&id, "rotation", title), set).await;
    let sending = Sending::of(if own.is_empty() { ROTATION } else { &own }, fields);
    finish_shown(&app, &reader, &id, sending, saved, "").await
}

/// `POST /roster/{id}/layer/remove`
pub(in crate::dashboard) async fn remove_layer(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let version = fields.get("version").parse().ok();
    let remove = async |work: &mut Work| schedules::remove_layer(work, &id, fields.get("name"), version).await;
    let title = format!("{} {}", reader.words.roster_take_back, fields.get("name"));
    let removed = pressed(&app, &reader, &fields, about(&id, "layer/remove", &title), remove).await;
    finish_shown(&app, &reader, &id, Sending::default(), removed, "").await
}

/// `POST /roster/{id}/calendar`: the schedule follows a calendar, or another one than before.
pub(in crate::dashboard) async fn set_calendar(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let text = |name| Some(fields.get(name).to_owned()).filter(|text: &String| !text.trim().is_empty());
    let every_minutes = text("every_minutes").map(|typed| typed.trim().parse().unwrap_or(0));
    let form = SourceForm { url: text("url"), every_minutes, layer: text("layer") };
    let engine = &app.engine;
    let guard = GuardedResolver::for_calendars(&engine.config.roster.allow_networks);
    // A form that was opened while there was none says so: nobody's address is overwritten unseen.
    let expected = match fields.get("version") {
        "" => Expected::Nothing,
        version => Expected::in_form(version),
    };
    let set = engine
        .carry_out(reader.doer(), async |work| source::set(work, &guard, &id, &form, maker(&reader), &expected).await)
        .await;
    finish_calendar(&app, &reader, &id, Sending::of(FOLLOW, fields), set.map(|_| ())).await
}

/// `POST /roster/{id}/calendar/refresh`
pub(in crate::dashboard) async fn refresh_calendar(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let asked = app.engine.carry_out(reader.doer(), async |work| source::ask_now(work, &id).await).await;
    finish_calendar(&app, &reader, &id, Sending::default(), asked).await
}

/// `POST /roster/{id}/calendar/remove`
pub(in crate::dashboard) async fn remove_calendar(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let expected = Expected::in_form(fields.get("version"));
    let removed =
        app.engine.carry_out(reader.doer(), async |work| source::remove(work, &id, maker(&reader), &expected).await).await;
    finish(&app, &reader, &id, Sending::default(), removed, "").await
}

/// Goes back to the schedule, whose calendar is read in a moment.
async fn finish_calendar(
    app: &App,
    reader: &Reader,
    id: &str,
    sending: Sending,
    done: Result<(), RosterError>,
) -> Result<Response, Refusal> {
    match done {
        Ok(()) => Ok(go_to(&format!("/roster/{id}?done=reading#following"))),
        Err(error) => finish(app, reader, id, sending, Err(error), "").await,
    }
}

/// `POST /roster/{id}/remove`
pub(in crate::dashboard) async fn remove(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    match app
        .engine
        .carry_out(reader.doer(), async |work| schedules::remove(work, &id, &Expected::in_form(fields.get("version"))).await)
        .await
    {
        Ok(()) => Ok(go_to("/roster?done=removed")),
        Err(error) => finish(&app, &reader, &id, Sending::default(), Err(error), "").await,
    }
}

/// `POST /roster/{id}/feed`: its address is shown on the page that answers, and never again.
pub(in crate::dashboard) async fn add_feed(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let made =
        app.engine.carry_out(reader.doer(), async |work| feeds::add(work, Subject::Schedule(&id), maker(&reader)).await).await;
    match made {
        Ok((_, path)) => {
            let scheme = if reader.secure { "https" } else { "http" };
            let feed = Some(format!("{scheme}://{}{}{path}", reader.host, app.prefix.path()));
            page(&app, &reader, &id, Answer { feed, ..Answer::default() }).await
        }
        Err(error) => {
            let sent = Some(Sending::default().sent(&reader, &error)?);
            page(&app, &reader, &id, Answer { sent, ..Answer::default() }).await
        }
    }
}

/// `POST /roster/{id}/feed/{feed}/revoke`
pub(in crate::dashboard) async fn revoke_feed(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path((id, feed)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let feed = feed.parse().map_err(|_| Refusal::NotFound)?;
    let revoked = app.engine.carry_out(reader.doer(), async |work| feeds::revoke(work, feed).await).await;
    finish(&app, &reader, &id, Sending::default(), revoked, "").await
}

/// The forms of the page.
const OVERRIDE: &str = "swap";
const TEMPORARY: &str = "temporary";
const ROTATION: &str = "rotation";
const FOLLOW: &str = "follow";

/// Which form was sent, and what it held; none for what is but a button.
#[derive(Default)]
struct Sending(String, Fields);

impl Sending {
    fn of(form: &str, fields: Fields) -> Self {
        Self(form.to_owned(), fields)
    }

    fn sent(self, reader: &Reader, error: &RosterError) -> Result<Sent, Refusal> {
        let Self(form, fields) = self;
        Ok(Sent { form, wrong: wrong(reader.words, error, &fields)?, fields })
    }
}

/// What a page says that shows what one of these forms would do.
fn about<'i>(id: &'i str, action: &str, title: &str) -> About<'i> {
    About {
        title: title.to_owned(),
        address: format!("/roster/{id}/{action}"),
        back: format!("/roster/{id}"),
        current: "roster",
        schedule: Some(id),
    }
}

/// Shows what the form would do, or goes on as [`finish`] does.
async fn finish_shown<T>(
    app: &App,
    reader: &Reader,
    id: &str,
    sending: Sending,
    pressed: Result<Pressed<T>, RosterError>,
    day: &str,
) -> Result<Response, Refusal> {
    match pressed {
        Ok(Pressed::Shown(page)) => Ok(page),
        Ok(Pressed::Done(_)) => finish(app, reader, id, sending, Ok(()), day).await,
        Err(error) => finish(app, reader, id, sending, Err(error), day).await,
    }
}

/// Goes back to the calendar, or shows the form with what is wrong with it.
async fn finish(
    app: &App,
    reader: &Reader,
    id: &str,
    sending: Sending,
    done: Result<(), RosterError>,
    day: &str,
) -> Result<Response, Refusal> {
    match done {
        Ok(()) if day.parse::<NaiveDate>().is_ok() => Ok(go_to(&format!("/roster/{id}?done=saved&day={day}"))),
        Ok(()) => Ok(go_to(&format!("/roster/{id}?done=saved"))),
        Err(error) => {
            let sent = Some(sending.sent(reader, &error)?);
            page(app, reader, id, Answer { sent, ..Answer::default() }).await
        }
    }
}

/// What a page answers besides the schedule.
#[derive(Default)]
struct Answer {
    query: String,
    done: Option<&'static str>,
    sent: Option<Sent>,
    feed: Option<String>,
    /// What is chosen on the calendar: from when to when.
    chosen: (String, String),
}

async fn page(app: &App, reader: &Reader, id: &str, answer: Answer) -> Result<Response, Refusal> {
    let id: ScheduleId = id.parse().map_err(|_| Refusal::NotFound)?;
    let mut store = app.engine.store.read().await?;
    let roster = Arc::new(store.db().roster().await?);
    let schedule = roster.schedule(id).ok_or(Refusal::NotFound)?;
    let (words, now) = (reader.words, app.engine.clock.now());
    let month = asked(&answer.query, "view").as_deref() == Some("month");
    let sane = |day: &NaiveDate| (1971..=2199).contains(&day.year());
    let today = wall::local(schedule.zone, now).date();
    let day = asked(&answer.query, "day").and_then(|day| day.parse().ok()).filter(sane).unwrap_or(today);
    let source = store.db().source_of(id).await?;
    let me = reader.person(&mut store.db()).await?.map(|me| me.id);
    // Whoever may change the plan may ask for everybody.
    let asks = if reader.may_everywhere(Role::Responder) { Asks::ForAll } else { me.map_or(Asks::Nobody, Asks::For) };
    let broken = source.as_ref().and_then(|row| source_trouble(reader, schedule.zone, row));
    let own = Arc::clone(&roster);
    let looked = costly::run(move |_| {
        let roster = &*own;
        let schedule = roster.schedule(id)?;
        let plan = Plan { roster, schedule, words, now, all_lanes: !month };
        let strips = plan.weeks(&weeks(day, month));
        let legend = plan.legend(&strips);
        let entries = entries(words, roster, schedule, &strips, (now, asks));
        let found = troubles(words, roster, schedule, &check(roster, now, now + LOOK_AHEAD));
        let troubles: Vec<String> = broken.into_iter().chain(found).collect();
        let on = (on_duty_words(words, roster, schedule, now), next_words(words, roster, schedule, now));
        Some((strips, legend, entries, troubles, on))
    });
    let (strips, legend, entries, troubles, (on, next)) = match looked.await {
        Ok(found) => found.ok_or(Refusal::NotFound)?,
        // It is said in place of the names: what else the page is for stays.
        Err(_) => (Vec::new(), Vec::new(), Vec::new(), Vec::new(), (vec![words.look_not_now.clone()], None)),
    };
    let (before, after) = neighbours(day, month);
    let times = |from, to| format!("{} – {}", shown(words, schedule.zone, from), shown(words, schedule.zone, to));
    let overrides = schedule.overrides.iter().filter(|own| own.to > now).map(|own| Taken {
        id: own.id.to_string(),
        text: [change_words(words, &roster, own.change), own.note.clone()].join(" · ").trim_end_matches([' ', '·']).to_owned(),
        when: times(own.from, own.to),
    });
    let temporaries = schedule.temporaries.iter().filter(|own| own.to > now).map(|own| Taken {
        id: own.id.to_string(),
        text: own.name.clone(),
        when: times(own.from, own.to),
    });
    let feeds = store.db().feeds().await?.into_iter().filter(|own| own.schedule_id == Some(id)).map(|own| Taken {
        id: own.id.to_string(),
        text: own.created_by,
        when: shown(words, schedule.zone, own.created_at),
    });
    let status = if answer.sent.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let forms = Forms { reader, words, id, version: schedule.version, people: people(&roster), sent: answer.sent.as_ref() };
    let following = source.as_ref().map(|row| Following::of(words, schedule.zone, row));
    // One that is not there any more has no place where what is wrong with it could stand.
    let drawn = |form: &str| {
        let place = form.strip_prefix("layer-").and_then(|place| place.parse::<usize>().ok());
        let layer = place.and_then(|place| schedule.layers.get(place));
        layer.is_some_and(|layer| LayerForm::of(&roster, &layer.name, &layer.rule).shifts.is_empty())
            || [OVERRIDE, TEMPORARY, ROTATION, FOLLOW].contains(&form)
    };
    let page = SchedulePage {
        frame: Frame::new(reader, "roster", schedule.name.as_str(), now),
        words,
        script: &assets::CALENDAR.address,
        done: answer.done,
        wrong: answer.sent.as_ref().filter(|sent| !drawn(&sent.form)).map(|sent| sent.wrong.sentence.clone()),
        feed: answer.feed,
        id,
        name: schedule.name.clone(),
        zone: schedule.zone.name().to_owned(),
        team: team_name(&roster, schedule),
        version: schedule.version,
        on,
        next,
        troubles,
        month,
        view: format!("/roster/{id}?view={}", if month { "month" } else { "week" }),
        day: day.to_string(),
        before: before.to_string(),
        after: after.to_string(),
        entries,
        strips,
        legend,
        overrides: overrides.collect(),
        temporaries: temporaries.collect(),
        layers: schedule
            .layers
            .iter()
            .enumerate()
            .map(|(place, layer)| forms.layer(place, LayerForm::of(&roster, &layer.name, &layer.rule)))
            .collect(),
        feeds: feeds.collect(),
        add_override: forms.swap(answer.chosen),
        add_temporary: forms.temporary(),
        add_rotation: forms.rotation(),
        follow: forms.follow(following.as_ref()),
        following,
    };
    Ok(html(status, &page))
}

/// What the forms of the page have in common.
struct Forms<'p> {
    reader: &'p Reader,
    words: &'static Words,
    id: ScheduleId,
    version: i32,
    people: Vec<String>,
    sent: Option<&'p Sent>,
}

fn lines_of(name: &'static str, label: &'static str, rows: usize, lines: &[String]) -> Field {
    Field::plain(name, label, Input::Lines(rows)).value(lines.join("\n"))
}

impl Forms<'_> {
    fn form(&self, id: impl Into<String>, action: &str) -> Form {
        Form::new(self.reader, id, format!("/roster/{}/{action}", self.id), &self.words.person_save)
    }

    /// One that shows what it would do before it does it.
    fn looking(&self, id: impl Into<String>, action: &str) -> Form {
        let address = format!("/roster/{}/{action}", self.id);
        Form::new(self.reader, id, address, &self.words.look_go).holding(LOOK, "yes")
    }

    /// By which somebody takes over for some time.
    fn swap(&self, (from, to): (String, String)) -> Form {
        let words = self.words;
        let wall = |name, label, value| Field::plain(name, label, Input::Wall).value(value).required();
        let action = [("replace", &words.roster_replace), ("add", &words.roster_add), ("remove", &words.roster_remove)];
        let action = action.map(|(action, word)| Choice::new(action, word));
        let everybody = [Choice::new("", &words.roster_everybody)].into_iter().chain(Choice::names(&self.people)).collect();
        let form = self.looking(OVERRIDE, "override").with([
            wall("from", &words.roster_from, from),
            wall("to", &words.roster_to, to),
            Field::plain("action", &words.roster_action, Input::Choice(action.into())),
            Field::plain("person", &words.roster_person, Input::Choice(Choice::names(&self.people))),
            Field::plain("instead_of", &words.roster_of, Input::Choice(everybody)),
            Field::plain("note", &words.roster_note, Input::Line),
        ]);
        form.again(self.sent)
    }

    /// By which others are on duty for some time.
    fn temporary(&self) -> Form {
        let words = self.words;
        let form = self.looking(TEMPORARY, "temporary").with([
            Field::plain("name", &words.policy_name, Input::Line).required(),
            Field::plain("from", &words.roster_from, Input::Wall).required(),
            Field::plain("to", &words.roster_to, Input::Wall).required(),
            lines_of("people", &words.roster_people, 3, &[]).how(&words.roster_one_a_line).required(),
            Field::plain("every", &words.roster_every, Input::Line).hint("1 day"),
        ]);
        form.again(self.sent)
    }

    fn turns(&self, people: &[String], every: &str, start: &str, active: &[String], skip: bool) -> [Field; 5] {
        let words = self.words;
        [
            lines_of("people", &words.roster_people, 4, people).how(&words.roster_one_a_line).required(),
            Field::plain("every", &words.roster_every, Input::Line).value(every).required(),
            Field::plain("start", &words.roster_start, Input::Wall).value(start).required(),
            lines_of("active", &words.roster_active, 2, active).hint("mon-fri 09:00-18:00"),
            Field::plain("skip_idle_turns", "", Input::Tick(&words.roster_skip_idle)).value(if skip { "yes" } else { "" }),
        ]
    }

    /// By which a rotation is added.
    fn rotation(&self) -> Form {
        let name = Field::plain("name", &self.words.policy_name, Input::Line).required();
        let form = self.looking(ROTATION, "rotation").holding("version", self.version.to_string()).with([name]);
        form.with(self.turns(&[], "1 week", "", &[], false)).again(self.sent)
    }

    /// A layer with the form by which it is changed.
    fn layer(&self, place: usize, layer: LayerForm) -> LayerView {
        let words = self.words;
        let id = format!("layer-{place}");
        let form = self.looking(id.as_str(), "rotation").holding("layer_form", id).holding("version", self.version.to_string());
        let form = layer.end.iter().fold(form.holding("name", layer.name.as_str()), |form, end| form.holding("end", end));
        let from = Field::plain("from", &words.roster_holds_from, Input::Wall).how(&words.roster_holds_from_why);
        let turns = self.turns(&layer.people, &layer.every, &layer.start, &layer.active, layer.skip_idle_turns);
        LayerView {
            shifts: layer.shifts.len(),
            form: form.with(turns).with([from]).about(&layer.name).again(self.sent),
            name: layer.name,
            people: layer.people,
            every: layer.every,
        }
    }

    /// By which the schedule follows a calendar.
    fn follow(&self, own: Option<&Following>) -> Form {
        let words = self.words;
        let url = Field::plain("url", &words.source_address, Input::Line).hint("https://");
        let url = match own {
            Some(_) => url.how(&format!("{} {}", words.source_address_why, words.source_address_stays)),
            None => url.how(&words.source_address_why).required(),
        };
        let every = own.map_or_else(|| "15".to_owned(), |own| own.every_minutes.to_string());
        let layer = own.map_or("calendar", |own| &own.layer);
        let version = own.map_or("", |own| &own.version);
        let form = self.form(FOLLOW, "calendar").holding("version", version).with([
            url,
            Field::plain("every_minutes", &words.source_every, Input::Number).value(every).required(),
            Field::plain("layer", &words.source_layer, Input::Line).value(layer).required(),
        ]);
        form.again(self.sent)
    }
}

/// The Mondays of what is shown.
fn weeks(day: NaiveDate, month: bool) -> Vec<NaiveDate> {
    if !month {
        return vec![monday_of(day)];
    }
    let first = monday_of(day.with_day(1).unwrap_or(day));
    let mondays = (0..6).filter_map(|week| first.checked_add_days(Days::new(7 * week)));
    mondays.filter(|monday| *monday <= day || monday.month() == day.month()).collect()
}

/// Where *before* and *after* lead.
fn neighbours(day: NaiveDate, month: bool) -> (NaiveDate, NaiveDate) {
    let (before, after) = match month {
        true => (day.checked_sub_months(Months::new(1)), day.checked_add_months(Months::new(1))),
        false => (day.checked_sub_days(Days::new(7)), day.checked_add_days(Days::new(7))),
    };
    (before.unwrap_or(day), after.unwrap_or(day))
}

/// For whom a reader may ask others to take a shift.
#[derive(Clone, Copy)]
enum Asks {
    Nobody,
    For(PersonId),
    ForAll,
}

/// The shifts of what is shown as a list: what the bars say, for those who cannot see or point at them.
fn entries(
    words: &'static Words,
    roster: &Roster,
    schedule: &Schedule,
    strips: &[Strip],
    (now, asks): (DateTime<Utc>, Asks),
) -> Vec<Entry> {
    let (Some(first), Some(last)) = (strips.first(), strips.last()) else { return Vec::new() };
    let field = |at| wall::local(schedule.zone, at).format("%Y-%m-%dT%H:%M").to_string();
    let asked = |shift: &Shift| match asks {
        _ if shift.from <= now => None,
        Asks::Nobody => None,
        Asks::For(person) => shift.on.iter().map(|on| on.person).find(|own| *own == person),
        Asks::ForAll => shift.on.first().map(|on| on.person),
    };
    let swap = |shift: &Shift| {
        let person = roster.name(asked(shift)?);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("schedule", &schedule.name).append_pair("person", &person);
        query.append_pair("from", &field(shift.from)).append_pair("to", &field(shift.to));
        Some(format!("/roster/swaps?{}#ask", query.finish()))
    };
    whole_shifts(roster, schedule, first.from, last.to)
        .into_iter()
        .map(|shift| Entry {
            is_now: shift.from <= now && now < shift.to,
            swap: swap(&shift),
            from: shown(words, schedule.zone, shift.from),
            to: shown(words, schedule.zone, shift.to),
            from_field: field(shift.from),
            to_field: field(shift.to),
            people: shift
                .on
                .iter()
                .map(|on| (roster.name(on.person), reason_words(words, roster, schedule, &on.reason)))
                .collect(),
        })
        .collect()
}

fn change_words(words: &Words, roster: &Roster, change: Change) -> String {
    match change {
        Change::Add(person) => fill_text(&words.roster_did_add, &[("name", &roster.name(person))]),
        Change::Remove(person) => fill_text(&words.roster_did_remove, &[("name", &roster.name(person))]),
        Change::Replace { by, of: None } => fill_text(&words.roster_did_take, &[("name", &roster.name(by))]),
        Change::Replace { by, of: Some(of) } => {
            fill_text(&words.roster_did_replace, &[("name", &roster.name(by)), ("other", &roster.name(of))])
        }
    }
}
