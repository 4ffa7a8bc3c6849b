//! *Shouts*: what was sent, the newest first, a page at a time.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::{name, state};
use crate::app::App;
use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::page::{Frame, at, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::dashboard::query::asked;
use crate::store::shouts::rows::ShoutLine;

const PAGE: i64 = 50;

struct Line {
    id: i64,
    /// HTML.
    when: String,
    name: String,
    of: String,
    called: String,
    state: (&'static str, &'static str),
}

#[derive(Template)]
#[template(path = "shouts/list.html")]
struct ShoutsPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    lines: Vec<Line>,
    /// Where the older ones are.
    older: Option<i64>,
    responds: bool,
}

/// `GET /shouts?before=`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = query.unwrap_or_default();
    let before = asked(&query, "before").and_then(|id| id.parse().ok()).unwrap_or(i64::MAX);
    // One more than is shown tells whether there are older ones.
    let mut shouts = app.engine.store.read().await?.db().latest_shouts(before, PAGE + 1).await?;
    let more = shouts.len() > usize::try_from(PAGE).unwrap_or(usize::MAX);
    if more {
        shouts.pop();
    }
    let older = shouts.last().filter(|_| more).map(|shout| shout.id);
    let page = ShoutsPage {
        frame: Frame::new(&reader, "shouts", reader.words.nav_shouts.as_str(), app.engine.clock.now()),
        words: reader.words,
        lines: shouts.iter().map(|shout| line(reader.words, shout)).collect(),
        older,
        responds: reader.responds(),
    };
    Ok(html(StatusCode::OK, &page))
}

fn line(words: &'static Words, shout: &ShoutLine) -> Line {
    Line {
        id: shout.id,
        when: at(shout.created_at),
        name: name(words, shout.id, shout.title.as_deref()),
        of: fill_text(&words.shout_of, &[("who", &shout.source), ("list", &shout.userdata)]),
        called: fill_text(&words.shout_recipients, &[("sent", &shout.sent.to_string()), ("all", &shout.recipients.to_string())]),
        state: state(words, shout.status),
    }
}
