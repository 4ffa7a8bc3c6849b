//! *Shout*: one that goes out or is over, live: how many heard it, whom it calls now, and taking it back.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::TimeDelta;

use super::calls::{self, CallLine};
use super::{call_state, name, state};
use crate::app::App;
use crate::dashboard::alarm::now::{self, TroublePart};
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::page::{Frame, Part, Sight, at, duration, html, live_page};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::{Html, Text};
use crate::dashboard::frame::words::{Words, fill, fill_text};
use crate::dashboard::query::asked;
use crate::links::Listener;
use crate::shout::{CallStatus, ShoutStatus};
use crate::store::shouts::rows::ShoutRow;

/// So many calls are shown beside the figures.
const SHOWN: i64 = 30;
/// So many stand on a page of all calls.
const PAGE: i64 = 100;
/// An address at which its message is heard is good for so long.
const LASTS: TimeDelta = TimeDelta::hours(1);

/// How many calls stand so.
struct Figure {
    count: i64,
    state: (&'static str, &'static str),
    /// Where they are listed.
    address: String,
}

#[derive(Template)]
#[template(path = "shouts/part_shout.html")]
struct ShoutPart<'r> {
    reader: &'r Reader,
    words: &'static Words,
    id: i64,
    name: String,
    state: (&'static str, &'static str),
    /// HTML.
    meta: Vec<String>,
    /// What is said, where it is words.
    message: Option<String>,
    /// It is sound that this reader may hear.
    has_sound: bool,
    /// Its length.
    lasts: Option<String>,
    by_phone: Option<String>,
    no_voice: bool,
    done: i64,
    all: i64,
    progress: String,
    figures: Vec<Figure>,
    /// Where it is taken back, unless it is over.
    cancel: Option<String>,
    has_message: bool,
}

#[derive(Template)]
#[template(path = "shouts/part_calls.html")]
struct CallsPart {
    words: &'static Words,
    id: i64,
    lines: Vec<CallLine>,
}

#[derive(Template)]
#[template(path = "shouts/all_calls.html")]
struct AllCallsPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    id: i64,
    name: String,
    /// Those that stand so alone.
    only: Option<&'static str>,
    lines: Vec<CallLine>,
    /// Where there are more.
    more: Option<String>,
}

/// `GET /shouts/{id}`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let id = shout_id(&id)?;
    let sight = sight(&app, &reader, id).await?;
    let done = now::done_words(reader.words, query.as_deref());
    let live = format!("/live?page=shout&id={id}");
    Ok(live_page(&reader, "shouts", live, &reader.words.nav_shouts, sight, done, app.engine.clock.now()))
}

/// `GET /shouts/{id}/calls?status=&after=`
pub(in crate::dashboard) async fn list(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let (id, words) = (shout_id(&id)?, reader.words);
    let query = query.unwrap_or_default();
    let status = asked(&query, "status").and_then(|word| CallStatus::parse(&word));
    let after = asked(&query, "after").and_then(|place| place.parse().ok()).unwrap_or(-1);
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let shout = db.any_shout(id).await?.ok_or(Refusal::NotFound)?;
    let mut rows = db.shout_calls_behind(id, after, PAGE + 1, status).await?;
    let more = rows.len() > usize::try_from(PAGE).unwrap_or(usize::MAX);
    if more {
        rows.pop();
    }
    let names = calls::names(&mut db).await?;
    let page = AllCallsPage {
        frame: Frame::new(&reader, "shouts", words.shout_all_calls.as_str(), app.engine.clock.now()),
        words,
        id,
        name: name(words, id, shout.title.as_deref()),
        only: status.map(|status| call_state(words, status, false).1),
        more: rows.last().filter(|_| more).map(|row| calls_address(id, status, Some(row.place))),
        lines: calls::lines(&reader, &names, &rows),
    };
    Ok(html(StatusCode::OK, &page))
}

/// `GET /shouts/{id}/message`: to where it is heard, by this user and nobody else.
pub(in crate::dashboard) async fn listen(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let id = shout_id(&id)?;
    let name = reader.visitor.as_ref().map(|visitor| visitor.name.as_str()).ok_or(Refusal::LogIn)?;
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let media = db.any_shout(id).await?.and_then(|shout| shout.media_id).ok_or(Refusal::NotFound)?;
    let user = db.user_by_name(name).await?.ok_or(Refusal::LogIn)?;
    let (path, _) = app.engine.hearing_path(media, Listener::User(user.id), LASTS);
    Ok(go_to(&path))
}

/// `POST /shouts/{id}/cancel`
pub(in crate::dashboard) async fn cancel(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let id = shout_id(&id)?;
    let shout = app.engine.store.read().await?.db().any_shout(id).await?.ok_or(Refusal::NotFound)?;
    app.engine.cancel_shout(shout.key_id, id, reader.doer()).await?.ok_or(Refusal::NotFound)?;
    Ok(go_to(&format!("/shouts/{id}?done=shout_taken_back")))
}

/// Where calls of a shout are listed: those that stand so, behind a place.
fn calls_address(id: i64, status: Option<CallStatus>, after: Option<i32>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(status) = status {
        query.append_pair("status", status.as_str());
    }
    if let Some(after) = after {
        query.append_pair("after", &after.to_string());
    }
    format!("/shouts/{id}/calls?{}", query.finish())
}

fn shout_id(text: &str) -> Result<i64, Refusal> {
    text.parse().map_err(|_| Refusal::NotFound)
}

/// What is on the page at this moment.
pub(in crate::dashboard) async fn sight(app: &App, reader: &Reader, id: i64) -> Result<Sight, Refusal> {
    let words = reader.words;
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let shout = db.any_shout(id).await?.ok_or(Refusal::NotFound)?;
    let source = db.shout_source(id).await?.unwrap_or_default();
    let tally = db.shout_tally(id).await?;
    let mut rows = db.shout_calls_under_way(id, SHOWN).await?;
    rows.extend(db.shout_calls_lately(id, SHOWN).await?);
    let names = calls::names(&mut db).await?;

    let name = name(words, id, shout.title.as_deref());
    let state = state(words, shout.status);
    let title = fill_text(&words.shout_title, &[("title", &name), ("state", state.1)]);
    let count = |of: &dyn Fn(CallStatus) -> bool| tally.iter().filter(|(own, ..)| of(*own)).map(|(.., calls)| calls).sum::<i64>();
    let (done, all) = (count(&CallStatus::is_over), count(&|_| true));
    let part = ShoutPart {
        reader,
        words,
        id,
        state,
        meta: meta(words, &shout, &source),
        message: shout.words.clone(),
        has_sound: shout.media_id.is_some() && reader.responds(),
        lasts: shout.course().has_message.then(|| duration(words, i64::from(shout.seconds))),
        by_phone: (shout.status == ShoutStatus::Pending)
            .then(|| fill_text(&words.shout_by_phone, &[("caller", &reader.number(&shout.caller))])),
        no_voice: shout.no_voice_since.is_some() && !shout.status.is_over(),
        done,
        all,
        progress: fill_text(&words.shout_progress, &[("done", &done.to_string()), ("all", &all.to_string())]),
        figures: figures(words, id, &tally),
        cancel: (!shout.status.is_over()).then(|| format!("/shouts/{id}/cancel")),
        has_message: shout.course().has_message,
        name,
    };
    // Nothing is wrong here; the part is there for the day when the database is away.
    let trouble = Part::new("trouble", &TroublePart { words, troubles: Vec::new() });
    let calls = CallsPart { words, id, lines: calls::lines(reader, &names, &rows) };
    Ok(Sight { title, parts: vec![trouble, Part::new("shout", &part), Part::new("calls", &calls)] })
}

fn meta(words: &Words, shout: &ShoutRow, source: &str) -> Vec<String> {
    let mut meta = vec![
        fill(&words.shout_of, &[("who", Text(source)), ("list", Text(&shout.userdata))]),
        fill(&words.shout_sent_at, &[("at", Html(&at(shout.created_at)))]),
    ];
    if let Some(schedule) = shout.schedule {
        meta.push(fill(&words.shout_goes_out, &[("at", Html(&at(schedule)))]));
    }
    if let Some(finished) = shout.finished_at {
        meta.push(fill(&words.shout_over_at, &[("at", Html(&at(finished)))]));
    }
    meta
}

/// In the order in which people ask for them; those of which there are none are left out.
fn figures(words: &'static Words, id: i64, tally: &[(CallStatus, String, i64)]) -> Vec<Figure> {
    use CallStatus::{
        AppError, Busy, Cancelled, Completed, DoNotCall, Failed, NoAnswer, Ongoing, OptedOut, Pending, Ready, TimedOut,
    };
    let order = [
        (Completed, false),
        (Completed, true),
        (OptedOut, false),
        (Ongoing, false),
        (Pending, false),
        (Ready, false),
        (NoAnswer, false),
        (Busy, false),
        (Failed, false),
        (AppError, false),
        (DoNotCall, false),
        (TimedOut, false),
        (Cancelled, false),
    ];
    let figure = |(status, machine): (CallStatus, bool)| {
        let own =
            |(own, by, _): &&(CallStatus, String, i64)| *own == status && (status != Completed || (by == "machine") == machine);
        let count: i64 = tally.iter().filter(own).map(|(.., calls)| calls).sum();
        (count > 0).then(|| Figure {
            count,
            state: call_state(words, status, machine),
            address: calls_address(id, Some(status), None),
        })
    };
    order.into_iter().filter_map(figure).collect()
}
