//! *Alarms*: all of them, open and over, newest first, a page at a time.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::now::{self, Line};
use super::read;
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
    lines: Vec<Line>,
    /// Where the older ones are.
    older: Option<i64>,
    newest: bool,
}

/// `GET /alarms?below=`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = query.unwrap_or_default();
    let below =
        form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "below").and_then(|(_, number)| number.parse().ok());
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    // One more than is shown tells whether there are older ones.
    let filter = AlarmFilter { below_number: below, ..AlarmFilter::default() };
    let mut alarms = db.list_alarms(&filter, PAGE + 1).await?;
    let more = alarms.len() > usize::try_from(PAGE).unwrap_or(usize::MAX);
    if more {
        alarms.pop();
    }
    let older = alarms.last().filter(|_| more).map(|alarm| alarm.number);
    let listed = read::with_answers(&mut db, alarms).await?;
    let lines = listed.iter().map(|finished| now::line(&reader, finished)).collect();
    let frame = Frame::new(&reader, "alarms", reader.words.nav_alarms.as_str(), app.engine.clock.now());
    Ok(html(StatusCode::OK, &AlarmsPage { frame, words: reader.words, lines, older, newest: below.is_none() }))
}
