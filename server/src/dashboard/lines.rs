//! *Lines*: to whom each public number is forwarded and how that is known, who has to say that they live, what is held, and the text
//! messages that came in.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::page::{Frame, Reader, Refusal, at, duration, html, since};
use super::words::Bit::{Html, Text};
use super::words::{Words, fill};
use crate::app::App;
use crate::engine::lines::{Known, LineStatus};
use crate::intake::heartbeats::HeartbeatState;
use crate::store::heartbeats::HeartbeatRow;
use crate::store::lines::HandOverRow;
use crate::store::maintenance::WindowRow;
use crate::store::sms::InboundRow;

/// So many of the latest text messages are shown.
const MESSAGES: i64 = 20;

/// What one card or row shows: a state as class and word, and sentences in HTML.
struct Shown {
    name: String,
    state: (&'static str, &'static str),
    about: String,
    sentences: Vec<String>,
}

/// A text message that came in.
struct Message {
    at: String,
    sender: String,
    text: String,
    alarm: Option<String>,
    effect: &'static str,
}

#[derive(Template)]
#[template(path = "public_lines.html")]
struct LinesPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    lines: Vec<Shown>,
    beats: Vec<Shown>,
    windows: Vec<Shown>,
    messages: Vec<Message>,
}

/// `GET /lines`
pub(super) async fn show(State(app): State<Arc<App>>, Extension(reader): Extension<Reader>) -> Result<Response, Refusal> {
    let now = app.engine.clock.now();
    let statuses = app.engine.line_statuses().await?;
    let mut db = app.engine.store.read().await?;
    let beats = db.db().heartbeats().await?;
    let windows = db.db().windows(now).await?;
    // What people wrote is for those who act on it.
    let messages = if reader.responds() { db.db().latest_inbound(MESSAGES).await? } else { Vec::new() };
    drop(db);
    let page = LinesPage {
        frame: Frame::new(&reader, "lines", reader.words.nav_lines.as_str(), now),
        words: reader.words,
        lines: statuses.iter().map(|status| line(&reader, status)).collect(),
        beats: beats.iter().map(|beat| heartbeat(reader.words, beat)).collect(),
        windows: windows.iter().map(|row| window(reader.words, row, row.starts_at <= now)).collect(),
        messages: messages.into_iter().map(|row| message(&reader, row)).collect(),
    };
    Ok(html(StatusCode::OK, &page))
}

fn line(reader: &Reader, status: &LineStatus) -> Shown {
    let words = reader.words;
    let who = |hand_over: &HandOverRow| reader.name(&hand_over.person);
    let mut sentences = Vec::new();
    let state = match &status.latest {
        None => ("plain", words.line_never.as_str()),
        Some((latest, known)) => {
            let (who, number) = (who(latest), reader.number(&latest.number));
            let bits = [("who", Text(&who)), ("number", Text(&number)), ("at", Html(&at(latest.at)))];
            sentences.push(fill(&words.line_to, &bits));
            if let Some(refused) = &latest.refused {
                sentences.push(fill(&words.line_refused, &[("why", Text(refused))]));
            } else if latest.sent_at.is_none()
                && let Some(result) = &latest.last_result
            {
                let attempts = latest.attempts.unwrap_or(0).to_string();
                sentences.push(fill(&words.line_tries, &[("count", Text(&attempts)), ("why", Text(result))]));
            }
            known_words(words, *known)
        }
    };
    if let (Some((latest, _)), Some(still)) = (&status.latest, &status.still)
        && latest.sent_at.is_none()
    {
        sentences.push(fill(&words.line_still, &[("who", Text(&who(still)))]));
    }
    let about = format!("{} · {} · Android {}", reader.number(&status.line.number), status.line.carrier, status.line.android);
    Shown { name: status.line.name.clone(), state, about, sentences }
}

fn known_words(words: &'static Words, known: Known) -> (&'static str, &'static str) {
    match known {
        Known::Refused => ("bad", &words.known_refused),
        Known::Waiting => ("now", &words.known_waiting),
        Known::GivenUp => ("bad", &words.known_given_up),
        Known::Sent => ("plain", &words.known_sent),
        Known::Delivered => ("plain", &words.known_delivered),
        Known::Verifying => ("now", &words.known_verifying),
        Known::Answered => ("answered", &words.known_answered),
        Known::Confirmed => ("confirmed", &words.known_confirmed),
        Known::Unanswered => ("bad", &words.known_unanswered),
    }
}

fn heartbeat(words: &'static Words, beat: &HeartbeatRow) -> Shown {
    let state = match HeartbeatState::of(beat) {
        HeartbeatState::New => ("plain", words.beat_new.as_str()),
        HeartbeatState::Alive => ("answered", words.beat_alive.as_str()),
        HeartbeatState::Missed => ("bad", words.beat_missed.as_str()),
    };
    let (period, grace) = (duration(words, i64::from(beat.period_s)), duration(words, i64::from(beat.grace_s)));
    let mut sentences = vec![fill(&words.beat_every, &[("period", Text(&period)), ("grace", Text(&grace))])];
    if let Some(last) = beat.last_ping_at {
        sentences.push(fill(&words.beat_last, &[("since", Html(&since(last)))]));
    }
    Shown { name: beat.name.clone(), state, about: String::new(), sentences }
}

fn window(words: &'static Words, window: &WindowRow, open: bool) -> Shown {
    let state = if open { ("now", words.window_open.as_str()) } else { ("plain", words.window_to_come.as_str()) };
    let times = fill(&words.window_times, &[("from", Html(&at(window.starts_at))), ("to", Html(&at(window.ends_at)))]);
    let team = window.team.iter().map(|team| format!("team={team}"));
    let labels = window.labels.iter().map(|(name, value)| format!("{name}={value}"));
    let about = team.chain(labels).collect::<Vec<_>>().join(words.list_comma.as_str());
    Shown { name: window.reason.clone(), state, about, sentences: vec![times] }
}

fn message(reader: &Reader, row: InboundRow) -> Message {
    let words = reader.words;
    let effect = match row.effect.as_deref() {
        Some("confirmed") => &words.effect_confirmed,
        Some("already") => &words.effect_already,
        Some("over") => &words.effect_over,
        Some("declined") => &words.effect_declined,
        Some("stopped") => &words.effect_stopped,
        Some("noted") => &words.effect_noted,
        Some("stranger") => &words.effect_stranger,
        _ => &words.effect_none,
    };
    Message {
        at: at(row.received_at),
        sender: reader.name(&row.sender),
        text: row.text,
        alarm: row.alarm_id.map(|id| id.to_string()),
        effect,
    }
}
