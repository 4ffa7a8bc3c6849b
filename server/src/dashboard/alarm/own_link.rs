//! A callee's own link: every alarm of their call, "I take it" and "I cannot", in the callee's language, without a login.
//!
//! The address is the proof: whoever has it needs no other token. Looking does nothing, because chat programs fetch addresses to
//! show what is behind them; only the buttons do something, and only about the alarms that stood on the page.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use askama::Template;
use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};

use super::now;
use crate::alarm::{AlarmState, Verdict};
use crate::app::App;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf;
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Language, Words, fill_text};
use crate::engine::{Acknowledgement, Actor, Doer, Effect};
use crate::ids::{AlarmId, HuntId};
use crate::store::Db;
use crate::store::alarm::alarms::AlarmRow;
use crate::store::alarm::answers;
use crate::store::alarm::hunts::CalleeRow;

/// Alarms about which something can be said at once; the others are counted, and follow when something was said about these.
const MOST_SHOWN: usize = 200;
/// Says on the address that a press named nothing.
const AGAIN: &str = "again=1";
/// What an alarm was about is shown for so long after its end.
const SHOWN_WHEN_OVER: TimeDelta = TimeDelta::days(1);
/// The same of an alarm that was never ended, from when nobody was rung for it any more.
const SHOWN_WHEN_NOBODY_IS_RUNG: TimeDelta = TimeDelta::days(7);

/// `GET /c/{token}`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(token): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let (reader, callee, alarms) = open(&app, reader, &token).await?;
    let words = reader.words;
    // The open ones stand first.
    let (open, settled) = alarms.split_at(alarms.iter().filter(|shown| shown.is_open()).count());
    let more = open.len().saturating_sub(MOST_SHOWN);
    let shown: Vec<&Shown> = open.iter().take(MOST_SHOWN).chain(settled.iter().take(MOST_SHOWN)).collect();
    let of = |which: fn(&Shown) -> bool| {
        shown.iter().filter(|shown| which(shown)).map(|shown| shown.alarm.id.to_string()).collect::<Vec<_>>()
    };
    let mut takes = of(Shown::is_open);
    if takes.is_empty() {
        // Somebody else has them, and they may be taken over.
        takes = of(|shown| !shown.over && shown.taken_by.is_some() && !shown.taken_by_them);
    }
    let title = match &alarms[..] {
        [only] => only.alarm.summary.clone(),
        several => fill_text(&words.own_several, &[("count", &several.len().to_string())]),
    };
    let page = OwnLinkPage {
        frame: Frame::new(&reader, "", title.clone(), app.engine.clock.now()),
        words,
        token: &token,
        name: callee.name.clone().unwrap_or_else(|| callee.number.clone()),
        title,
        several: alarms.len() > 1,
        items: shown.iter().map(|shown| Item::of(words, shown)).collect(),
        declines: of(|shown| shown.is_open() && shown.theirs && !shown.declined),
        takes,
        more: (more > 0).then(|| fill_text(&words.own_more, &[("count", &more.to_string())])),
        again: query.is_some_and(|query| query.split('&').any(|part| part == AGAIN)),
    };
    Ok(html(StatusCode::OK, &page))
}

/// `POST /c/{token}/take`
pub(in crate::dashboard) async fn take(
    State(app): State<Arc<App>>,
    Path(token): Path<String>,
    body: Body,
) -> Result<Response, Refusal> {
    let callee = callee_of(&app, &token).await?.1.id;
    let alarms = named(body).await?;
    let by = Acknowledgement { callee: Some(callee), doer: Doer::Link, ..Acknowledgement::default() };
    let acted = app.engine.take_these(&alarms, &by).await?;
    done(&token, &acted.iter().map(|acted| acted.effect).collect::<Vec<_>>())
}

/// `POST /c/{token}/decline`
pub(in crate::dashboard) async fn decline(
    State(app): State<Arc<App>>,
    Path(token): Path<String>,
    body: Body,
) -> Result<Response, Refusal> {
    let callee = callee_of(&app, &token).await?.1.id;
    let alarms = named(body).await?;
    let acted = app.engine.decline_these(&alarms, callee, &Actor::nameless(Doer::Link)).await?;
    done(&token, &acted.iter().map(|acted| acted.effect).collect::<Vec<_>>())
}

/// Back to the page, which shows what became of it and what else there is by now.
fn done(token: &str, effects: &[Effect]) -> Result<Response, Refusal> {
    if !effects.is_empty() && effects.iter().all(|effect| *effect == Effect::Over) {
        return Err(Refusal::Over);
    }
    let nothing = effects.iter().all(|effect| *effect == Effect::NotTheirs);
    Ok(go_to(&if nothing { format!("/c/{token}?{AGAIN}") } else { format!("/c/{token}") }))
}

/// Whose link it is, and the hunt that rang them. Only for an alarm there is something to say.
async fn callee_of(app: &App, token: &str) -> Result<(HuntId, CalleeRow), Refusal> {
    let id = app.engine.links.read(token).ok_or(Refusal::NotFound)?;
    let mut reader = app.engine.store.read().await?;
    let (hunt, callee) = reader.db().callee(id).await?.ok_or(Refusal::NotFound)?;
    let is_alarm = reader.db().hunt(hunt).await?.is_some_and(|hunt| hunt.kind.is_alarm());
    if is_alarm { Ok((hunt, callee)) } else { Err(Refusal::NotFound) }
}

/// The alarms that the form names: those that stood on the page.
async fn named(body: Body) -> Result<Vec<AlarmId>, Refusal> {
    let body = csrf::collect(body).await?;
    let fields = form_urlencoded::parse(&body).filter(|(name, _)| name == "alarm");
    Ok(fields.filter_map(|(_, id)| id.parse().ok()).collect())
}

/// An alarm of a link, as its callee stands to it.
struct Shown {
    alarm: AlarmRow,
    /// Nothing can be said about it any more.
    over: bool,
    /// They have a place in the hunt that it has by now.
    theirs: bool,
    /// They said no.
    declined: bool,
    /// Who has confirmed.
    taken_by: Option<String>,
    taken_by_them: bool,
}

impl Shown {
    /// Nobody has taken it yet.
    fn is_open(&self) -> bool {
        !self.over && self.taken_by.is_none()
    }
}

/// Who a link belongs to, and every alarm of their call: also those that have another hunt by now. Open ones first.
async fn open(app: &App, mut reader: Reader, token: &str) -> Result<(Reader, CalleeRow, Vec<Shown>), Refusal> {
    let (hunt, callee) = callee_of(app, token).await?;
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let mut places: HashMap<HuntId, Place> = HashMap::new();
    let mut shown = Vec::new();
    let alarms = db.alarms_ever_in(hunt).await?;
    let any = !alarms.is_empty();
    for alarm in alarms.into_iter().filter(|alarm| !is_long_past(alarm, app.engine.clock.now())) {
        let place = match places.entry(alarm.hunt_id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(place_in(&mut db, alarm.hunt_id, &callee).await?),
        };
        shown.push(Shown {
            over: matches!(alarm.state(), AlarmState::Cancelled | AlarmState::Resolved),
            theirs: place.theirs,
            declined: place.declined,
            taken_by: place.taken_by.clone(),
            taken_by_them: place.taken_by_them,
            alarm,
        });
    }
    if shown.is_empty() {
        return Err(if any { Refusal::Over } else { Refusal::NotFound });
    }
    shown.sort_by_key(|shown| !shown.is_open());
    if let Some(person) = callee.person_id
        && let Some(person) = db.person(person).await?
        && let Some(language) = Language::of_tag(&person.language)
    {
        reader.speak(language);
    }
    reader.again = format!("/c/{token}?");
    Ok((reader, callee, shown))
}

/// Whether an alarm ended so long ago that what it was about is for nobody who finds the address any more.
fn is_long_past(alarm: &AlarmRow, now: DateTime<Utc>) -> bool {
    let over = matches!(alarm.state(), AlarmState::Cancelled | AlarmState::Resolved);
    let shown = if over { SHOWN_WHEN_OVER } else { SHOWN_WHEN_NOBODY_IS_RUNG };
    alarm.ended_at.is_some_and(|at| now - at > shown)
}

/// How a callee stands to a hunt.
struct Place {
    theirs: bool,
    declined: bool,
    taken_by: Option<String>,
    taken_by_them: bool,
}

async fn place_in(db: &mut Db<'_>, hunt: HuntId, callee: &CalleeRow) -> Result<Place, Refusal> {
    let places: Vec<CalleeRow> = db.callees(hunt).await?.into_iter().filter(|other| callee.is_same_person(other)).collect();
    let given = db.answers_of(hunt).await?;
    let confirmed = answers::current(&given).filter(|answer| answer.confirmed_at.is_some());
    Ok(Place {
        theirs: !places.is_empty(),
        declined: !places.is_empty() && places.iter().all(|place| place.verdict == Some(Verdict::Declined)),
        taken_by: confirmed.map(|answer| answer.name.clone()),
        taken_by_them: confirmed.is_some_and(|answer| {
            places.iter().any(|place| answer.callee_id == Some(place.id)) || answer.is_from(&callee.number)
        }),
    })
}

/// An alarm on the page.
struct Item {
    summary: String,
    details: String,
    /// Priority, source, when; HTML.
    meta: String,
    said: Option<String>,
}

impl Item {
    fn of(words: &'static Words, shown: &Shown) -> Self {
        let said = match &shown.taken_by {
            _ if shown.over => Some(words.refused_over.clone()),
            Some(_) if shown.taken_by_them => Some(words.own_taken.clone()),
            Some(name) => Some(fill_text(&words.own_taken_by, &[("name", name)])),
            None if shown.declined => Some(words.own_declined.clone()),
            None => None,
        };
        let alarm = &shown.alarm;
        Self { summary: alarm.summary.clone(), details: alarm.details.clone(), meta: now::meta(words, alarm), said }
    }
}

#[derive(Template)]
#[template(path = "alarm/own_link.html")]
struct OwnLinkPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    token: &'r str,
    name: String,
    title: String,
    several: bool,
    items: Vec<Item>,
    /// The alarms that "I take it" is about.
    takes: Vec<String>,
    /// The alarms that "I cannot" is about.
    declines: Vec<String>,
    more: Option<String>,
    /// A press named nothing.
    again: bool,
}
