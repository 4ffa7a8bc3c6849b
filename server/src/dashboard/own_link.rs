//! A callee's own link: the alarm, "I take it" and "I cannot", in the callee's language, without a login.
//!
//! The address is the proof: whoever has it needs no other token. Looking does nothing, because chat programs fetch addresses to
//! show what is behind them; only the buttons do something.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::page::{Frame, Reader, Refusal, at, go_to, html};
use super::words::Bit::Html;
use super::words::{Language, Words, fill, fill_text};
use crate::alarm::{AlarmState, Verdict};
use crate::app::App;
use crate::engine::Acknowledgement;
use crate::ids::CalleeId;
use crate::store::alarms::{AlarmRow, foremost};
use crate::store::answers::{self, AnswerVia};
use crate::store::hunts::CalleeRow;

/// `GET /c/{token}`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(token): Path<String>,
) -> Result<Response, Refusal> {
    let link = open(&app, reader, &token).await?;
    let frame = Frame::new(&link.reader, "", link.alarm.summary.clone(), app.engine.clock.now());
    let words = link.reader.words;
    let said = said(&link);
    let page = OwnLinkPage {
        frame,
        words,
        token: &token,
        name: link.callee.name.clone().unwrap_or_else(|| link.callee.number.clone()),
        summary: &link.alarm.summary,
        details: &link.alarm.details,
        raised: fill(&words.raised_at, &[("at", Html(&at(link.alarm.raised_at)))]),
        may_take: !link.over && !link.taken_by_them,
        may_decline: !link.over && link.taken_by.is_none() && link.callee.verdict != Some(Verdict::Declined),
        said,
    };
    Ok(html(StatusCode::OK, &page))
}

/// `POST /c/{token}/take`
pub(super) async fn take(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(token): Path<String>,
) -> Result<Response, Refusal> {
    let link = open(&app, reader, &token).await?;
    if !link.taken_by_them {
        let by = Acknowledgement { callee: Some(link.callee.id), via: AnswerVia::Link, ..Acknowledgement::default() };
        app.engine.acknowledge(link.alarm.id, &by).await?;
    }
    Ok(go_to(&format!("/c/{token}")))
}

/// `POST /c/{token}/decline`
pub(super) async fn decline(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(token): Path<String>,
) -> Result<Response, Refusal> {
    let link = open(&app, reader, &token).await?;
    app.engine.decline(link.alarm.id, link.callee.id, AnswerVia::Link).await?;
    Ok(go_to(&format!("/c/{token}")))
}

/// What a link leads to.
struct Link {
    reader: Reader,
    callee: CalleeRow,
    alarm: AlarmRow,
    /// Nothing can be said about it any more.
    over: bool,
    /// Who has confirmed.
    taken_by: Option<String>,
    taken_by_them: bool,
}

async fn open(app: &App, mut reader: Reader, token: &str) -> Result<Link, Refusal> {
    let id: CalleeId = app.engine.links.read(token).ok_or(Refusal::NotFound)?;
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let (hunt, callee) = db.callee(id).await?.ok_or(Refusal::NotFound)?;
    // A hunt for several alarms is taken as a whole; the page shows the most urgent one that still fires.
    // The alarm has a newer hunt: its links are others.
    let alarm = foremost(db.alarms_of(hunt).await?).ok_or(Refusal::Over)?;
    let given = db.answers_of(hunt).await?;
    let confirmed = answers::current(&given).filter(|answer| answer.confirmed_at.is_some());
    if let Some(person) = callee.person_id
        && let Some(person) = db.person(person).await?
        && let Some(language) = Language::of_tag(&person.language)
    {
        reader.speak(language);
    }
    reader.again = format!("/c/{token}?");
    Ok(Link {
        over: matches!(alarm.state(), AlarmState::Cancelled | AlarmState::Resolved),
        taken_by: confirmed.map(|answer| answer.name.clone()),
        taken_by_them: confirmed.is_some_and(|answer| answer.callee_id == Some(callee.id)),
        reader,
        callee,
        alarm,
    })
}

fn said(link: &Link) -> Option<String> {
    let words = link.reader.words;
    match (&link.taken_by, link.callee.verdict) {
        _ if link.over => Some(words.refused_over.clone()),
        (Some(_), _) if link.taken_by_them => Some(words.own_taken.clone()),
        (Some(name), _) => Some(fill_text(&words.own_taken_by, &[("name", name)])),
        (None, Some(Verdict::Declined)) => Some(words.own_declined.clone()),
        (None, _) => None,
    }
}

#[derive(Template)]
#[template(path = "own_link.html")]
struct OwnLinkPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    token: &'r str,
    name: String,
    summary: &'r str,
    details: &'r str,
    raised: String,
    said: Option<String>,
    may_take: bool,
    may_decline: bool,
}
