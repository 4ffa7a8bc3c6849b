//! *Senders*: who raises alarms, and what they were refused. A sender that is refused wakes nobody, so this must be seen. Keys are made and
//! revoked here.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::alarm::now;
use super::connect::sender::{address, is_kept_without_key};
use super::frame::answer::{Refusal, go_to};
use super::frame::csrf::Fields;
use super::frame::edit::{AddressPage, reached};
use super::frame::field::{Choice, Field, Input, Wrong, lines};
use super::frame::form::{Form, Sent};
use super::frame::page::{Frame, at, html};
use super::frame::reader::Reader;
use super::frame::words::Bit::{Html, Text};
use super::frame::words::{Words, fill, fill_text};
use crate::app::App;
use crate::keep::keys::{self, KeyError};
use crate::store::Work;
use crate::store::alarm::said::RefusalRow;
use crate::versions::Expected;

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
    /// Where it is revoked, and which version of it is; `None` for what is no key, or no good any more.
    revoke: Option<(String, String)>,
}

/// The form by which a key is made.
const ADD: &str = "key";

#[derive(Template)]
#[template(path = "senders.html")]
struct SendersPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    done: Option<&'static str>,
    senders: Vec<Line>,
    /// By which a key is made.
    form: Form,
}

/// `GET /senders`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let done = now::done_words(reader.words, query.as_deref());
    page(&app, &reader, done, None).await
}

/// `POST /senders/add`: makes a key, and shows it once.
pub(super) async fn add(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let (words, name, phones) = (reader.words, fields.get("name").trim(), lines(fields.get("phones")));
    let by_mail = fields.get("kind") == BY_MAIL;
    let region = app.engine.region();
    let add = async |work: &mut Work| match by_mail {
        true => keys::add_for_mail(work, name, &phones, region).await,
        false => keys::add(work, name, &phones, region).await,
    };
    let wrong = match app.engine.carry_out(reader.doer(), add).await {
        Ok(key) => return Ok(key_page(&app, &reader, (name, by_mail), key)),
        Err(KeyError::BadName) => Wrong::new("name", &words.bad_short_name),
        Err(KeyError::NameTaken(name)) => Wrong::new("name", fill_text(&words.line_name_taken, &[("name", &name)])),
        Err(KeyError::BadNumber(number, _)) => Wrong::new("phones", fill_text(&words.person_bad_number, &[("number", &number)])),
        Err(KeyError::Store(error)) => return Err(error.into()),
        Err(_) => return Err(Refusal::Garbled),
    };
    page(&app, &reader, None, Some(Sent { form: ADD.to_owned(), fields, wrong })).await
}

/// `POST /senders/{id}/revoke`
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = id.parse().map_err(|_| Refusal::NotFound)?;
    let expected = Expected::in_form(fields.get("version"));
    match app.engine.carry_out(reader.doer(), async |work| keys::revoke_read(work, id, &expected).await).await {
        Ok(()) => Ok(go_to("/senders?done=revoked")),
        Err(KeyError::Stale(_)) => Err(Refusal::Stale),
        Err(KeyError::Store(error)) => Err(error.into()),
        Err(_) => Err(Refusal::NotFound),
    }
}

/// What a key is for that raises alarms by mail alone.
const BY_MAIL: &str = "mail";

fn key_page(app: &App, reader: &Reader, (name, by_mail): (&str, bool), key: String) -> Response {
    let words = reader.words;
    let curl = || {
        let server = reached(&reader.host, reader.secure, app.config().listen, &reader.below);
        let summary = &words.example_summary;
        format!("curl {server}/api/v1/alarms -H 'authorization: Bearer {key}' -d '{{\"summary\": \"{summary}\"}}'")
    };
    let page = AddressPage {
        frame: Frame::new(reader, "senders", name, app.engine.clock.now()),
        words,
        how: if by_mail { &words.key_made_for_mail } else { &words.key_made }.as_str().into(),
        example: if by_mail { String::new() } else { curl() },
        address: key,
        once: &words.key_once,
        then: &words.key_then,
        back: ("/senders", &words.nav_senders),
    };
    html(StatusCode::OK, &page)
}

async fn page(app: &App, reader: &Reader, done: Option<&'static str>, refused_form: Option<Sent>) -> Result<Response, Refusal> {
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
            revoke: key.revoked_at.is_none().then(|| (format!("/senders/{}/revoke", key.id), key.version().as_str().to_owned())),
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
        Line { name, page: None, signs: false, address, revoked: false, used: None, refusals, revoke: None }
    }));
    let kinds = [Choice::new("alarms", &words.key_raises), Choice::new(BY_MAIL, &words.key_mails)];
    let form = Form::new(reader, ADD, "/senders/add", &words.key_add_go).explained(&words.key_add_how).with([
        Field::plain("name", &words.policy_name, Input::Line).how(&words.key_name_how).required(),
        Field::plain("phones", &words.beat_phones, Input::Lines(3)).how(&words.key_phones_how),
        Field::plain("kind", &words.key_kind, Input::Choice(kinds.into())),
    ]);
    let status = if refused_form.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let frame = Frame::new(reader, "senders", words.nav_senders.as_str(), app.engine.clock.now());
    Ok(html(status, &SendersPage { frame, words, done, senders, form: form.again(refused_form.as_ref()) }))
}

fn line(words: &Words, row: &RefusalRow) -> String {
    let count = row.refused.to_string();
    fill(&words.sender_refused, &[("reason", Text(&row.reason)), ("count", Text(&count)), ("at", Html(&at(row.last_at)))])
}
