//! *Senders*: who raises alarms, and what they were refused. A sender that is refused wakes nobody, so this must be seen. Keys are made and
//! revoked here.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};

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
use crate::ids::KeyId;
use crate::keep::keys::rights::{self, Narrowing};
use crate::keep::keys::{self, KeyError};
use crate::rights::{Right, Rights};
use crate::store::Work;
use crate::store::access::keys::KeyRow;
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
    /// What it may, of what and until when; HTML, one line each.
    may: Vec<String>,
    /// It is no good any more, as was said when it was made.
    expired: bool,
    /// It has its rights from before there were any: where it is narrowed, and what comes of that.
    narrow: Option<(String, String)>,
}

/// What open networks may, and where that is from before there were rights.
struct Open {
    may: String,
    /// What they used, and what would narrow it.
    from_before: Option<(String, String)>,
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
    /// `None` where no network is open.
    open: Option<Open>,
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
    let rights = rights_of(fields.get("kind"));
    let region = app.engine.region();
    let add = async |work: &mut Work| keys::add_with(work, name, &phones, &rights, region).await;
    let wrong = match app.engine.carry_out(reader.doer(), add).await {
        Ok(key) => return Ok(key_page(&app, &reader, (name, &rights), key)),
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

/// `POST /senders/{id}/narrow`
pub(super) async fn narrow(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = id.parse().map_err(|_| Refusal::NotFound)?;
    let expected = Expected::in_form(fields.get("version"));
    match app.engine.carry_out(reader.doer(), async |work| rights::narrow_read(work, id, &expected).await).await {
        Ok(_) => Ok(go_to("/senders?done=narrowed")),
        Err(KeyError::Stale(_)) => Err(Refusal::Stale),
        Err(KeyError::Store(error)) => Err(error.into()),
        Err(_) => Err(Refusal::NotFound),
    }
}

/// What a key is for that raises alarms by mail alone.
const BY_MAIL: &str = "mail";

/// The rights of a choice of the form. What it does not know gives the least.
fn rights_of(kind: &str) -> Rights {
    match kind {
        BY_MAIL => Rights::of([Right::Mail]),
        "read" => Rights::of([Right::Read]),
        "raise_read" => Rights::of([Right::Raise, Right::Read]),
        "operate" => Rights::of([Right::Operate]),
        "admin" => Rights::of([Right::Admin]),
        _ => Rights::of([Right::Raise]),
    }
}

/// Rights in the reader's language.
fn told(words: &Words, rights: &Rights) -> String {
    let told = rights.iter().map(|right| match right {
        Right::Raise => words.right_raise.as_str(),
        Right::Read => &words.right_read,
        Right::Operate => &words.right_operate,
        Right::Admin => &words.right_admin,
        Right::Shouts => &words.right_shouts,
        Right::Calls => &words.right_calls,
        Right::Phonecalls => &words.right_phonecalls,
        Right::Mail => &words.right_mail,
    });
    let told: Vec<&str> = told.collect();
    if told.is_empty() { words.key_used_nothing.as_str().to_owned() } else { told.join("; ") }
}

/// What a key may, of what and until when: HTML, one line each.
fn may(words: &Words, key: &KeyRow, now: DateTime<Utc>) -> Vec<String> {
    let rights = fill(&words.sender_may, &[("rights", Text(&told(words, &key.rights)))]);
    let bound = key.bound_to().map(|bounds| {
        let kinds = [
            (&words.bound_sources, &bounds.sources),
            (&words.bound_teams, &bounds.teams),
            (&words.bound_policies, &bounds.policies),
        ];
        let named = kinds.into_iter().filter(|(_, names)| !names.is_empty());
        let named: Vec<String> = named.map(|(word, names)| fill_text(word, &[("names", &names.join(", "))])).collect();
        fill(&words.sender_bound, &[("bounds", Text(&named.join("; ")))])
    });
    let until = key.expires_at.map(|until| fill(&words.sender_good_until, &[("at", Html(&at(until)))]));
    let old = key.old_until.filter(|until| *until > now);
    let old = old.map(|until| fill(&words.sender_old_until, &[("at", Html(&at(until)))]));
    [Some(rights), bound, until, old].into_iter().flatten().collect()
}

/// What would come of narrowing a key.
fn foreseen(words: &Words, name: &str, narrowing: &Narrowing) -> String {
    let (used, becomes) = (told(words, &narrowing.used), told(words, &narrowing.becomes));
    let command = format!("autocall key narrow {name:?}");
    let sure = fill_text(&words.key_narrow_sure, &[("used", &used), ("becomes", &becomes), ("command", &command)]);
    match narrowing.noted_since {
        Some(since) => {
            let since = since.format("%F %H:%M UTC").to_string();
            format!("{} {sure}", fill_text(&words.key_narrow_since, &[("at", &since)]))
        }
        None => sure,
    }
}

/// What open networks may.
fn open(app: &App, words: &Words, from_before: Option<&(Rights, Rights)>) -> Option<Open> {
    if app.config().http.open_networks.is_empty() {
        return None;
    }
    let from_before = from_before.map(|(_, used)| {
        let rights: Vec<String> = rights::suggested(used).iter().map(|right| format!("\"{right}\"")).collect();
        let used = fill_text(&words.open_from_before, &[("used", &told(words, used))]);
        (used, format!("http.open_rights = [{}]", rights.join(", ")))
    });
    Some(Open { may: fill_text(&words.open_may, &[("rights", &told(words, &app.access.open_rights))]), from_before })
}

fn key_page(app: &App, reader: &Reader, (name, rights): (&str, &Rights), key: String) -> Response {
    let words = reader.words;
    let how = match () {
        () if rights.may(Right::Mail) => words.key_made_for_mail.as_str().into(),
        () if *rights == Rights::of([Right::Raise]) => words.key_made.as_str().into(),
        () => fill_text(&words.key_made_to, &[("rights", &told(words, rights))]).into(),
    };
    let curl = || {
        let server = reached(&reader.host, reader.secure, app.config().listen, &reader.below);
        let summary = &words.example_summary;
        format!("curl {server}/api/v1/alarms -H 'authorization: Bearer {key}' -d '{{\"summary\": \"{summary}\"}}'")
    };
    let page = AddressPage {
        frame: Frame::new(reader, "senders", name, app.engine.clock.now()),
        words,
        how,
        example: if rights.may(Right::Raise) { curl() } else { String::new() },
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
    let now = app.engine.clock.now();
    let wide = rights::too_wide(&mut connection.db(), app.config(), now).await?;
    drop(connection);
    let narrowings: HashMap<KeyId, String> =
        wide.keys.iter().map(|(key, narrowing)| (key.id, foreseen(words, &key.name, narrowing))).collect();
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
            used: Some(match (key.last_used_at, &key.last_used_from) {
                (Some(used), Some(from)) => fill(&words.sender_used_from, &[("at", Html(&at(used))), ("from", Text(from))]),
                (Some(used), None) => fill(&words.sender_used, &[("at", Html(&at(used)))]),
                (None, _) => fill(&words.sender_never, &[]),
            }),
            may: may(words, &key, now),
            expired: key.revoked_at.is_none() && key.expires_at.is_some_and(|until| until <= now),
            narrow: narrowings.get(&key.id).map(|told| (format!("/senders/{}/narrow", key.id), told.clone())),
            address: Some(address(&key.name)),
            name: key.name,
        })
        .collect();
    // What comes without a key is refused as well.
    senders.extend(refused.into_iter().map(|(name, refusals)| {
        let address = is_kept_without_key(&name).then(|| address(&name));
        let (may, narrow) = (Vec::new(), None);
        Line {
            name,
            page: None,
            signs: false,
            address,
            revoked: false,
            used: None,
            refusals,
            revoke: None,
            may,
            expired: false,
            narrow,
        }
    }));
    let kinds = [
        Choice::new("alarms", &words.key_raises),
        Choice::new("raise_read", &words.key_raises_and_reads),
        Choice::new("read", &words.key_reads),
        Choice::new("operate", &words.key_operates),
        Choice::new("admin", &words.key_keeps),
        Choice::new(BY_MAIL, &words.key_mails),
    ];
    let form = Form::new(reader, ADD, "/senders/add", &words.key_add_go).explained(&words.key_add_how).with([
        Field::plain("name", &words.policy_name, Input::Line).how(&words.key_name_how).required(),
        Field::plain("phones", &words.beat_phones, Input::Lines(3)).how(&words.key_phones_how),
        Field::plain("kind", &words.key_kind, Input::Choice(kinds.into())),
    ]);
    let status = if refused_form.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let frame = Frame::new(reader, "senders", words.nav_senders.as_str(), app.engine.clock.now());
    let open = open(app, words, wide.open.as_ref());
    Ok(html(status, &SendersPage { frame, words, done, senders, open, form: form.again(refused_form.as_ref()) }))
}

fn line(words: &Words, row: &RefusalRow) -> String {
    let count = row.refused.to_string();
    fill(&words.sender_refused, &[("reason", Text(&row.reason)), ("count", Text(&count)), ("at", Html(&at(row.last_at)))])
}
