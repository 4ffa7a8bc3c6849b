//! *Notifications*: where notices go, what waits there, and what became of the latest.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::form::kind_words;
use crate::app::App;
use crate::dashboard::alarm::now;
use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::page::{Frame, at, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::set_up::asked::said;
use crate::dashboard::frame::words::Bit::{Html, Text};
use crate::dashboard::frame::words::{Words, fill, fill_text};
use crate::ids::WebhookId;
use crate::store::Waiting;
use crate::store::lines::webhooks::{DeliveryRow, NoticeKind};

/// So many of the latest notices are shown.
const LATEST: i64 = 30;

/// Where notices go.
struct Line {
    id: WebhookId,
    name: String,
    shape: Cow<'static, str>,
    /// What it is told, in short.
    told: String,
    /// What waits there; HTML.
    waits: Option<String>,
}

/// A notice that was told, or is to be.
struct Told {
    at: String,
    to: String,
    what: &'static str,
    alarm: Option<String>,
    state: (&'static str, &'static str),
    /// What the other side said.
    said: String,
}

#[derive(Template)]
#[template(path = "notices/list.html")]
struct NoticesPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    done: Option<&'static str>,
    lines: Vec<Line>,
    latest: Vec<Told>,
}

/// `GET /notices`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let (words, now) = (reader.words, app.engine.clock.now());
    let mut connection = app.engine.store.read().await?;
    let rows = connection.db().webhooks().await?;
    let waiting = connection.db().notices_waiting(now).await?;
    let latest = connection.db().latest_deliveries(LATEST).await?;
    drop(connection);
    let names: HashMap<WebhookId, String> = rows.iter().map(|row| (row.id, row.name.clone())).collect();
    let lines = rows.into_iter().map(|row| Line {
        id: row.id,
        shape: said(words, row.shape.name()),
        told: told_in_short(words, &row.told()),
        waits: waiting.iter().find(|own| own.target == row.id).map(|own| waits(words, own)),
        name: row.name,
    });
    let page = NoticesPage {
        frame: Frame::new(&reader, "notices", words.nav_notices.as_str(), now),
        words,
        done: now::done_words(words, query.as_deref()),
        lines: lines.collect(),
        latest: latest.iter().map(|row| told(words, row, &names)).collect(),
    };
    Ok(html(StatusCode::OK, &page))
}

fn told_in_short(words: &'static Words, kinds: &[NoticeKind]) -> String {
    const NAMED: usize = 4;
    if kinds.len() == NoticeKind::ALL.len() {
        return words.notice_everything.clone();
    }
    let mut named: Vec<String> = kinds.iter().take(NAMED).map(|kind| kind_words(words, *kind).to_owned()).collect();
    if kinds.len() > NAMED {
        named.push(fill_text(&words.and_more, &[("count", &(kinds.len() - NAMED).to_string())]));
    }
    named.join(words.list_comma.as_str())
}

fn waits(words: &Words, own: &Waiting<WebhookId>) -> String {
    fill(&words.notice_waits, &[("count", Text(&own.count.to_string())), ("at", Html(&at(own.oldest)))])
}

fn told(words: &'static Words, row: &DeliveryRow, names: &HashMap<WebhookId, String>) -> Told {
    let is_test = row.body.0.get("test").is_some_and(|test| *test == true);
    let state = match (row.delivered_at, row.gave_up_at) {
        (Some(_), _) => ("answered", &words.notice_taken),
        (None, Some(_)) => ("bad", &words.known_given_up),
        (None, None) => ("waiting", &words.notice_waiting),
    };
    Told {
        at: at(row.at),
        to: names.get(&row.webhook_id).cloned().unwrap_or_else(|| words.notice_removed.clone()),
        what: if is_test && row.alarm_id.is_none() { &words.notice_test } else { kind_words(words, row.kind) },
        alarm: row.alarm_id.map(|id| id.to_string()),
        state: (state.0, state.1),
        said: row.last_result.clone().unwrap_or_default(),
    }
}
