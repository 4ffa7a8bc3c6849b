//! *Watch*: which handsets are silent, who has to say that they live, and what is held for maintenance.

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::dashboard::Dashboard;
use crate::dashboard::alarm::now;
use crate::dashboard::alarm::trouble::{self, Trouble};
use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::page::{Frame, ago, at, duration, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::set_up::card::Card;
use crate::dashboard::frame::words::Bit::{Html, Text};
use crate::dashboard::frame::words::{Words, fill, fill_text};
use crate::keep::heartbeats::HeartbeatState;
use crate::store::watch::heartbeats::HeartbeatRow;
use crate::store::watch::maintenance::WindowRow;

/// A maintenance window, and where it is ended.
struct WindowCard {
    shown: Card,
    end: String,
}

#[derive(Template)]
#[template(path = "watch/watch.html")]
struct WatchPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    done: Option<&'static str>,
    /// What is wrong with handsets.
    troubles: Vec<Trouble>,
    /// How many are well.
    answering: String,
    beats: Vec<Card>,
    windows: Vec<WindowCard>,
}

/// `GET /watch`
pub(in crate::dashboard) async fn show(
    State(pages): State<Arc<Dashboard>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let board = pages.boards.read(&pages.app, Instant::now()).await.map_err(|_| Refusal::Away)?;
    let mut reading = pages.app.engine.store.read().await?;
    let beats = reading.db().heartbeats().await?;
    let windows = reading.db().windows(board.now).await?;
    drop(reading);
    let healths: Vec<_> = board.handsets.iter().map(|handset| board.health(handset)).filter(|health| health.counts()).collect();
    let serving = healths.iter().filter(|health| health.serves()).count().to_string();
    let page = WatchPage {
        frame: Frame::new(&reader, "watch", words.nav_watch.as_str(), board.now),
        words,
        done: now::done_words(words, query.as_deref()),
        troubles: trouble::handsets(&reader, &board),
        answering: match healths.len() {
            0 => words.fact_no_handset.clone(),
            all => fill_text(&words.fact_handsets, &[("count", &serving), ("all", &all.to_string())]),
        },
        beats: beats.iter().map(|beat| heartbeat(&reader, beat)).collect(),
        windows: windows.iter().map(|row| window(words, row, row.starts_at <= board.now)).collect(),
    };
    Ok(html(StatusCode::OK, &page))
}

fn heartbeat(reader: &Reader, beat: &HeartbeatRow) -> Card {
    let words = reader.words;
    let state = match HeartbeatState::of(beat) {
        HeartbeatState::New => ("plain", words.beat_new.clone()),
        HeartbeatState::Alive => ("answered", words.beat_alive.clone()),
        HeartbeatState::Missed => ("bad", words.beat_missed.clone()),
    };
    let (period, grace) = (duration(words, i64::from(beat.period_s)), duration(words, i64::from(beat.grace_s)));
    let mut sentences = vec![fill(&words.beat_every, &[("period", Text(&period)), ("grace", Text(&grace))])];
    if let Some(last) = beat.last_ping_at {
        sentences.push(fill(&words.beat_last, &[("since", Html(&ago(last)))]));
    }
    let change = reader.administers().then(|| format!("/heartbeats/{}", beat.id));
    Card { name: beat.name.clone(), state, about: String::new(), sentences, trouble: None, change }
}

fn window(words: &Words, window: &WindowRow, open: bool) -> WindowCard {
    let state = if open { ("now", words.window_open.clone()) } else { ("plain", words.window_to_come.clone()) };
    let times = fill(&words.window_times, &[("from", Html(&at(window.starts_at))), ("to", Html(&at(window.ends_at)))]);
    let team = window.team.iter().map(|team| format!("team={team}"));
    let labels = window.labels.iter().map(|(name, value)| format!("{name}={value}"));
    let about = team.chain(labels).collect::<Vec<_>>().join(words.list_comma.as_str());
    let name = window.reason.clone();
    let shown = Card { name, state, about, sentences: vec![times], trouble: None, change: None };
    WindowCard { shown, end: format!("/maintenance/{}/end", window.id) }
}
