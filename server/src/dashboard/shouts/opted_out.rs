//! *Who opted out*: of which list, since when, in which shout; and letting them be called again.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::name;
use crate::app::App;
use crate::dashboard::alarm::now;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::page::{Frame, at, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::dashboard::query::asked;
use crate::engine::shouts::OF_PAGES;
use crate::ids::KeyId;
use crate::store::shouts::opted_out::OptedOutLine;

const PAGE: i64 = 200;

struct Line {
    /// HTML.
    when: String,
    number: String,
    shout: i64,
    about: String,
    key: KeyId,
    list: String,
    phone: String,
}

#[derive(Template)]
#[template(path = "shouts/opted_out.html")]
struct OptedOutPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    lines: Vec<Line>,
    /// Where the older ones are.
    older: Option<String>,
    done: Option<&'static str>,
}

/// `GET /shouts/opted-out?until=`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let text = query.unwrap_or_default();
    let now = app.engine.clock.now();
    let until = asked(&text, "until").and_then(|at| at.parse().ok()).unwrap_or(now);
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let mut rows = db.opted_out_lately(until, PAGE + 1).await?;
    let more = rows.len() > usize::try_from(PAGE).unwrap_or(usize::MAX);
    let older = rows.last().filter(|_| more).map(|row| row.at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true));
    rows.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    let keys: HashMap<KeyId, String> = db.keys().await?.into_iter().map(|key| (key.id, key.name)).collect();
    let line = |row: OptedOutLine| {
        let who = if row.key_id == OF_PAGES { Some(&words.opted_out_pages) } else { keys.get(&row.key_id) };
        let shout = name(words, row.shout_id, row.title.as_deref());
        let about = [("shout", &*shout), ("list", &row.userdata), ("who", who.map_or("–", String::as_str))];
        Line {
            when: at(row.at),
            number: reader.number(&row.phone),
            shout: row.shout_id,
            about: fill_text(&words.opted_out_in, &about),
            key: row.key_id,
            list: row.userdata,
            phone: row.phone,
        }
    };
    let lines = rows.into_iter().map(line).collect();
    let page = OptedOutPage {
        frame: Frame::new(&reader, "shouts", words.shouts_lists.as_str(), now),
        words,
        lines,
        older,
        done: now::done_words(words, Some(&text)),
    };
    Ok(html(StatusCode::OK, &page))
}

/// `POST /shouts/opted-out/remove`
pub(in crate::dashboard) async fn remove(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let key = fields.get("key").parse().map_err(|_| Refusal::NotFound)?;
    let (list, phone) = (fields.get("list"), fields.get("phone"));
    match app.engine.let_shouts_call(key, list, phone, reader.doer()).await? {
        true => Ok(go_to("/shouts/opted-out?done=removed")),
        false => Err(Refusal::NotFound),
    }
}
