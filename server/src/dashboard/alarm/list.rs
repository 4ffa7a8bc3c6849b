//! *Alarms*: all of them, open and over, newest first, a page at a time; and in the same way what is no alarm.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::now::{self, Line};
use super::read;
use crate::alarm::AlarmKind;
use crate::app::App;
use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Words;
use crate::store::alarm::alarms::AlarmFilter;

const PAGE: i64 = 50;

#[derive(Template)]
#[template(path = "alarm/alarms.html")]
struct AlarmsPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    title: &'static str,
    /// What else can be listed: its address, its name, and whether it is what is listed here.
    kinds: [(String, &'static str, bool); 4],
    lines: Vec<Line>,
    /// What is said where there are none.
    none: &'static str,
    /// Where the newest are, and the older ones.
    newest: Option<String>,
    older: Option<String>,
}

/// Where what is of a kind is listed, from the newest on or below a number.
fn address(kind: AlarmKind, below: Option<i64>) -> String {
    let kind = (!kind.is_alarm()).then(|| ("kind", kind.as_str().to_owned()));
    let parts = kind.into_iter().chain(below.map(|number| ("below", number.to_string())));
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parts).finish();
    if query.is_empty() { "/alarms".to_owned() } else { format!("/alarms?{query}") }
}

fn name(words: &'static Words, kind: AlarmKind) -> &'static str {
    match kind {
        AlarmKind::Alarm => &words.nav_alarms,
        AlarmKind::Test => &words.kinds_tests,
        AlarmKind::Shout => &words.nav_shouts,
        AlarmKind::Call => &words.kinds_calls,
    }
}

/// `GET /alarms?kind=&below=`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = query.unwrap_or_default();
    let asked = |what: &str| form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == what).map(|(_, value)| value);
    let below: Option<i64> = asked("below").and_then(|number| number.parse().ok());
    let kind: AlarmKind = asked("kind").and_then(|kind| AlarmKind::parse(&kind)).unwrap_or_default();
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    // One more than is shown tells whether there are older ones.
    let filter = AlarmFilter { kinds: vec![kind], below_number: below, ..AlarmFilter::default() };
    let mut alarms = db.list_alarms(&filter, PAGE + 1).await?;
    let more = alarms.len() > usize::try_from(PAGE).unwrap_or(usize::MAX);
    if more {
        alarms.pop();
    }
    let older = alarms.last().filter(|_| more).map(|alarm| address(kind, Some(alarm.number)));
    let listed = read::with_answers(&mut db, alarms).await?;
    let lines = listed.iter().map(|finished| now::line(&reader, finished)).collect();
    let words = reader.words;
    let title = name(words, kind);
    let kinds = [AlarmKind::Alarm, AlarmKind::Test, AlarmKind::Shout, AlarmKind::Call]
        .map(|one| (address(one, None), name(words, one), one == kind));
    let none = if kind.is_alarm() { &words.alarms_none } else { &words.kinds_none };
    let newest = below.map(|_| address(kind, None));
    let frame = Frame::new(&reader, "alarms", title, app.engine.clock.now());
    Ok(html(StatusCode::OK, &AlarmsPage { frame, words, title, kinds, lines, none, newest, older }))
}
