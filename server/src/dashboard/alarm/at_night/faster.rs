//! Somebody was faster: who has taken what, and since when, for whoever pressed a moment later. Nothing was changed, and it can be taken over
//! knowingly.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use crate::app::App;
use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::page::{Frame, at_second, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::{Html, Text};
use crate::dashboard::frame::words::{Words, fill};
use crate::ids::AlarmId;
use crate::store::alarm::answers;

/// So many are told of; they stood on one page.
const MOST_TOLD: usize = 200;

/// An alarm that somebody has.
struct TakenOne {
    id: String,
    summary: String,
    /// Who has it, and since when; HTML.
    who: String,
    /// The answer that counts.
    answer: String,
}

#[derive(Template)]
#[template(path = "alarm/at_night/faster.html")]
struct FasterPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    all: Vec<TakenOne>,
    /// Where the form goes that takes them over; the first of them.
    take: String,
}

/// The page about these alarms.
pub(in crate::dashboard) async fn page(app: &App, reader: &Reader, alarms: &[AlarmId]) -> Result<Response, Refusal> {
    let words = reader.words;
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let mut all = Vec::new();
    for id in alarms.iter().take(MOST_TOLD) {
        let Some(alarm) = db.alarm(*id).await? else { continue };
        let given = db.answers_of(alarm.hunt_id).await?;
        // Given back since: then nobody has it.
        let Some((answer, when)) = answers::current(&given).and_then(|answer| Some((answer, answer.confirmed_at?))) else {
            continue;
        };
        let name = reader.name(&answer.name);
        all.push(TakenOne {
            id: id.to_string(),
            summary: alarm.summary,
            who: fill(&words.faster_who, &[("name", Text(&name)), ("at", Html(&at_second(when)))]),
            answer: answer.id.to_string(),
        });
    }
    let first = all.first().map(|one| one.id.clone()).or_else(|| alarms.first().map(AlarmId::to_string));
    let page = FasterPage {
        frame: Frame::new(reader, "alarms", words.faster_title.as_str(), app.engine.clock.now()),
        words,
        take: format!("/alarms/{}/acknowledge", first.unwrap_or_default()),
        all,
    };
    Ok(html(StatusCode::CONFLICT, &page))
}
