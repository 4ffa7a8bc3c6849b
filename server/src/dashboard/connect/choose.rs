//! The page *Connect*: a system is chosen, a key made or used, and what the system is given shown with both filled in.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::access::keys::Found;
use crate::app::App;
use crate::connect::fill::Values;
use crate::connect::{Given, NO_KEY, SYSTEMS, System, of_word};
use crate::dashboard::frame::answer::{Refusal, as_file};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::edit::reached;
use crate::dashboard::frame::field::{Field, Input, Wrong, lines};
use crate::dashboard::frame::form::{Form, Sent};
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::Text;
use crate::dashboard::frame::words::{Words, fill, fill_text};
use crate::dashboard::query::asked;
use crate::keep::keys::{self, KeyError};
use crate::secrets;

/// Tells the forms of the page apart.
const NEW: &str = "new";
const OWN: &str = "own";

/// One thing that the system is given, as it is shown.
struct Piece {
    label: String,
    text: String,
    /// On one line: an address, or a key.
    short: bool,
    /// The name of the file; empty for what is none.
    file: &'static str,
}

#[derive(Template)]
#[template(path = "connect/connect.html")]
struct ConnectPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    system: &'static System,
    /// Each system: its word, its name, and whether it is this one.
    systems: Vec<(&'static str, &'static str, bool)>,
    /// That nobody has said where this server is reached; `None` where somebody has.
    unsure: Option<String>,
    /// What the key is, as HTML; `None` as long as there is none.
    key_said: Option<String>,
    /// What is filled in.
    key: String,
    pieces: Vec<Piece>,
    more: String,
    /// The page of the key, once there is one.
    next: Option<String>,
    forms: Vec<Form>,
}

/// What the page is filled in with.
#[derive(Default)]
struct Filled {
    key: Option<String>,
    /// The name of the key.
    sender: String,
    /// It was made just now, and is shown this once.
    is_new: bool,
    sent: Option<Sent>,
}

/// `GET /connect`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Response {
    let chosen = asked(&query.unwrap_or_default(), "system");
    page(&app, &reader, system(&chosen.unwrap_or_default()), Filled::default())
}

/// `POST /connect/key`
pub(in crate::dashboard) async fn make(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let (words, system) = (reader.words, system(fields.get("system")));
    let (name, phones, region) = (fields.get("name").trim().to_owned(), lines(fields.get("phones")), app.config().default_region);
    let made = app.engine.carry_out(reader.doer(), async |work| keys::add(work, &name, &phones, region).await).await;
    let wrong = match made {
        Ok(key) => {
            let filled = Filled { key: Some(key), sender: name, is_new: true, sent: None };
            return Ok(page(&app, &reader, system, filled));
        }
        Err(KeyError::BadName) => Wrong::new("name", &words.connect_bad_name),
        Err(KeyError::NameTaken(_)) => Wrong::new("name", &words.connect_name_taken),
        Err(KeyError::BadNumber(number, _)) => Wrong::new("phones", fill_text(&words.person_bad_number, &[("number", &number)])),
        Err(KeyError::Store(error)) => return Err(error.into()),
        Err(_) => return Err(Refusal::Garbled),
    };
    let sent = Some(Sent { form: NEW.to_owned(), fields, wrong });
    Ok(page(&app, &reader, system, Filled { sent, ..Filled::default() }))
}

/// `POST /connect/use`
pub(in crate::dashboard) async fn own(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let system = system(fields.get("system"));
    let key = fields.get("key").trim().to_owned();
    let found = app.access.keys.find(&app.engine.store, secrets::hash(&key), app.engine.clock.now()).await?;
    let filled = match found {
        Found::Good(row) if row.sends_signals() => Filled { key: Some(key), sender: row.name.clone(), ..Filled::default() },
        _ => {
            let wrong = Wrong::new("key", &reader.words.connect_bad_key);
            Filled { sent: Some(Sent { form: OWN.to_owned(), fields, wrong }), ..Filled::default() }
        }
    };
    Ok(page(&app, &reader, system, filled))
}

/// `POST /connect/file`. The key comes with the form: nobody else knows it.
pub(in crate::dashboard) async fn download(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let system = of_word(fields.get("system")).ok_or(Refusal::NotFound)?;
    let (server, _) = server(&app, &reader);
    let values = Values { server: &server, path: system.path, key: fields.get("key") };
    let (name, file) = (fields.get("file"), system.file(fields.get("file"), &values).ok_or(Refusal::NotFound)?);
    // It is the name of one of our files by now.
    Ok(as_file("application/octet-stream", name, file.into()))
}

/// The system of a word; where nobody has chosen one that there is, the first.
fn system(word: &str) -> &'static System {
    of_word(word).unwrap_or(&SYSTEMS[0])
}

/// Where senders reach this server, and whether somebody has said so.
fn server(app: &App, reader: &Reader) -> (String, bool) {
    let said = app.config().http.public_url.as_deref();
    match said.and_then(|said| reqwest::Url::parse(said).ok()) {
        // As programs write it: whatever odd was typed is written by its bytes.
        Some(url) => (url.as_str().trim_end_matches('/').to_owned(), true),
        None => (reached(&reader.host, reader.secure, app.config().listen, &reader.below), false),
    }
}

fn label(words: &Words, given: &Given) -> String {
    match given {
        Given::Address | Given::Server => words.connect_address.clone(),
        Given::Keyed => words.connect_keyed.clone(),
        Given::Key => words.connect_key.clone(),
        Given::Text(_) => words.connect_text.clone(),
        Given::File(name, _) => fill_text(&words.connect_file, &[("name", name)]),
    }
}

fn page(app: &App, reader: &Reader, system: &'static System, filled: Filled) -> Response {
    let words = reader.words;
    let (server, sure) = server(app, reader);
    let key = filled.key.clone().unwrap_or_else(|| NO_KEY.to_owned());
    let values = Values { server: &server, path: system.path, key: &key };
    let piece = |given: &Given| Piece {
        label: label(words, given),
        text: given.filled(&values),
        short: !matches!(given, Given::Text(_) | Given::File(..)),
        file: match given {
            Given::File(name, _) => name,
            _ => "",
        },
    };
    let new = Form::new(reader, NEW, "/connect/key", &words.connect_make)
        .holding("system", system.word)
        .explained(words.connect_new_how.as_str())
        .with([
            Field::new("name", &words.connect_name, "", system.word, Input::Line, None).required(),
            Field::new("phones", &words.connect_phones, &words.connect_phones_how, "", Input::Lines(2), None),
        ]);
    let own = Form::new(reader, OWN, "/connect/use", &words.connect_fill)
        .holding("system", system.word)
        .explained(words.connect_own_how.as_str())
        .with([Field::new("key", &words.connect_key, "", "", Input::Secret, None).required()]);
    let key_said = filled.key.as_ref().map(|key| match filled.is_new {
        true => fill(&words.connect_made, &[("key", Text(key)), ("name", Text(&filled.sender))]),
        false => fill(&words.connect_used, &[("name", Text(&filled.sender))]),
    });
    let next = filled.key.is_some().then(|| super::sender::address(&filled.sender));
    let shown = ConnectPage {
        frame: Frame::new(reader, "connect", words.nav_connect.as_str(), app.engine.clock.now()),
        words,
        system,
        systems: SYSTEMS.iter().map(|one| (one.word, one.name, one.word == system.word)).collect(),
        unsure: (!sure).then(|| fill_text(&words.connect_unsure, &[("address", &server)])),
        key_said,
        pieces: system.given.iter().map(piece).collect(),
        key,
        more: fill(&words.connect_more, &[("document", Text(system.document))]),
        next,
        forms: vec![new.again(filled.sent.as_ref()), own.again(filled.sent.as_ref())],
    };
    html(if filled.sent.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }, &shown)
}
