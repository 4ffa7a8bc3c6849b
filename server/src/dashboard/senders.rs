//! *Senders*: who raises alarms, and what they were refused. A sender that is refused wakes nobody, so this must be seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::alarm::now;
use super::connect::sender::{address, is_kept_without_key};
use super::frame::answer::Refusal;
use super::frame::page::{Frame, at, html};
use super::frame::reader::Reader;
use super::frame::words::Bit::{Html, Text};
use super::frame::words::{Words, fill};
use crate::app::App;
use crate::store::alarm::said::RefusalRow;

/// One sender.
struct Line {
    name: String,
    /// Where it is said how what it sends is read; `None` where nothing of that can be said.
    page: Option<String>,
    /// What it sends has to be signed.
    signs: bool,
    /// The page of what came of it.
    address: Option<String>,
    revoked: bool,
    /// HTML; `None` for what has no key.
    used: Option<String>,
    /// HTML, one line for each reason.
    refusals: Vec<String>,
}

#[derive(Template)]
#[template(path = "senders.html")]
struct SendersPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    done: Option<&'static str>,
    senders: Vec<Line>,
}

/// `GET /senders`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let mut connection = app.engine.store.read().await?;
    let (keys, rows) = (connection.db().keys().await?, connection.db().refusals().await?);
    drop(connection);
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        let line = line(words, &row);
        refused.entry(row.sender).or_default().push(line);
    }
    let mut senders: Vec<Line> = keys
        .into_iter()
        .map(|key| Line {
            refusals: refused.remove(&key.name).unwrap_or_default(),
            page: (key.revoked_at.is_none() && key.sends_signals()).then(|| format!("/senders/{}", key.id)),
            signs: key.signing.is_some(),
            revoked: key.revoked_at.is_some(),
            used: Some(match key.last_used_at {
                Some(used) => fill(&words.sender_used, &[("at", Html(&at(used)))]),
                None => fill(&words.sender_never, &[]),
            }),
            address: Some(address(&key.name)),
            name: key.name,
        })
        .collect();
    // What comes without a key is refused as well.
    senders.extend(refused.into_iter().map(|(name, refusals)| {
        let address = is_kept_without_key(&name).then(|| address(&name));
        Line { name, page: None, signs: false, address, revoked: false, used: None, refusals }
    }));
    let frame = Frame::new(&reader, "senders", words.nav_senders.as_str(), app.engine.clock.now());
    let done = now::done_words(words, query.as_deref());
    Ok(html(StatusCode::OK, &SendersPage { frame, words, done, senders }))
}

fn line(words: &Words, row: &RefusalRow) -> String {
    let count = row.refused.to_string();
    fill(&words.sender_refused, &[("reason", Text(&row.reason)), ("count", Text(&count)), ("at", Html(&at(row.last_at)))])
}
