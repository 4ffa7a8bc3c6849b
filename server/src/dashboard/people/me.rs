//! *Me*: whether I am on duty and when next, my numbers and how I am told, ring me now, my calendar, my quiet hours, my language, my password.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};

use super::duty::{self, Duty};
use crate::alarm::ways::By;
use crate::app::App;
use crate::dashboard::alarm::now;
use crate::dashboard::duty::words::maker;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::edit::{AddressPage, reached};
use crate::dashboard::frame::field::{Choice, Field, Input};
use crate::dashboard::frame::form::Form;
use crate::dashboard::frame::page::{Frame, at, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::{Html, Text};
use crate::dashboard::frame::words::{Language, Words, fill, fill_text};
use crate::ids::FeedId;
use crate::keep::people;
use crate::keep::roster::RosterError;
use crate::keep::roster::feeds::{self, Subject};
use crate::roster::quiet::QuietHours;
use crate::store::duty::people::PersonRow;
use crate::versions::Expected;

/// A calendar address of mine.
struct OwnFeed {
    /// When it was made; HTML.
    made: String,
    /// Where it is revoked.
    revoke: String,
    about: String,
}

/// What is known of me as somebody who can be rung.
struct Own {
    id: String,
    /// In the order in which they are rung.
    numbers: Vec<String>,
    /// In which order and by what, where I have said that; HTML.
    ways: Vec<String>,
    duty: Duty,
    feeds: Vec<OwnFeed>,
    /// HTML.
    quiet: Vec<String>,
    /// They are those of everybody.
    quiet_of_all: bool,
    /// By which I am spoken to in another language.
    language: Form,
}

#[derive(Template)]
#[template(path = "people/me.html")]
struct MePage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    done: Option<&'static str>,
    name: String,
    role: &'static str,
    /// Nothing for a user who is nobody on the list of people.
    own: Option<Own>,
}

/// `GET /people/me`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let (words, now) = (reader.words, app.engine.clock.now());
    let person = reader.person(&mut app.engine.store.read().await?.db()).await?;
    let own = match person {
        Some(person) => Some(own(&app, &reader, person, now).await?),
        None => None,
    };
    let page = MePage {
        frame: Frame::new(&reader, "me", words.nav_me.as_str(), now),
        words,
        done: now::done_words(words, query.as_deref()),
        name: reader.known_as().to_owned(),
        role: reader.role_name(),
        own,
    };
    Ok(html(StatusCode::OK, &page))
}

/// `POST /people/me/ring`: a test call to whoever has pressed, and to nobody else.
pub(in crate::dashboard) async fn ring(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
) -> Result<Response, Refusal> {
    let person = me(&app, &reader).await?;
    app.engine.ring_me(&person, &fill_text(&reader.words.me_ring_said, &[("name", &person.name)]), reader.doer()).await?;
    Ok(go_to("/people/me?done=ringing_me"))
}

/// `POST /people/me/language`
pub(in crate::dashboard) async fn set_language(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let person = me(&app, &reader).await?;
    let language = fields.get("language").to_owned();
    if Language::of_tag(&language).is_none() && language != person.language {
        return Err(Refusal::Garbled);
    }
    let expected = Expected::in_form(fields.get("version"));
    let changed = async |work: &mut _| people::set_language(work, person.id, &language, &expected).await;
    app.engine.carry_out(reader.doer(), changed).await?;
    Ok(go_to("/people/me?done=saved"))
}

/// `POST /people/me/feed`: makes a calendar address, and shows it once.
pub(in crate::dashboard) async fn add_feed(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
) -> Result<Response, Refusal> {
    let (words, person) = (reader.words, me(&app, &reader).await?);
    let id = person.id.to_string();
    let made =
        app.engine.carry_out(reader.doer(), async |work| feeds::add(work, Subject::Person(&id), maker(&reader)).await).await;
    let path = match made {
        Ok((_, path)) => format!("{}{path}", app.prefix.path()),
        Err(RosterError::Store(error)) => return Err(error.into()),
        Err(RosterError::TooManyFeeds) => return Err(Refusal::TooManyFeeds),
        Err(_) => return Err(Refusal::NotFound),
    };
    let page = AddressPage {
        frame: Frame::new(&reader, "me", words.me_feed.as_str(), app.engine.clock.now()),
        words,
        how: words.me_feed_how.as_str().into(),
        address: reached(&reader.host, reader.secure, app.config().listen, &path),
        once: &words.roster_feed_once,
        example: String::new(),
        then: "",
        back: ("/people/me", &words.nav_me),
    };
    Ok(html(StatusCode::OK, &page))
}

/// `POST /people/me/feed/{feed}/revoke`: one of whoever presses, and of nobody else.
pub(in crate::dashboard) async fn revoke_feed(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(feed): Path<String>,
) -> Result<Response, Refusal> {
    let person = me(&app, &reader).await?;
    let feed: FeedId = feed.parse().map_err(|_| Refusal::NotFound)?;
    match app.engine.carry_out(reader.doer(), async |work| feeds::revoke_own(work, person.id, feed).await).await {
        Ok(()) => Ok(go_to("/people/me?done=feed")),
        Err(RosterError::Store(error)) => Err(error.into()),
        Err(_) => Err(Refusal::NotFound),
    }
}

/// The person who presses.
async fn me(app: &App, reader: &Reader) -> Result<PersonRow, Refusal> {
    reader.person(&mut app.engine.store.read().await?.db()).await?.ok_or(Refusal::NotFound)
}

async fn own(app: &App, reader: &Reader, person: PersonRow, now: DateTime<Utc>) -> Result<Own, Refusal> {
    let words = reader.words;
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let numbers = db.numbers_of(person.id).await?;
    let told = db.told(person.id).await?;
    let quiet = db.quiet_hours().await?;
    let feeds = db.feeds_of(person.id).await?;
    drop(connection);
    let version = people::version(&person, &numbers);
    let has_own = quiet.iter().any(|rule| rule.person == Some(person.id));
    let whose = has_own.then_some(person.id);
    let way = |by: By, number: &str| {
        let says = if by == By::Call { &words.told_way_call } else { &words.told_way_text };
        fill_text(says, &[("number", number)])
    };
    let ways = told.ways.iter().map(|own| {
        let minutes = format!("{}:{:02}", own.after_seconds / 60, own.after_seconds % 60);
        // Their own numbers are no secret from them.
        fill(&words.me_way, &[("way", Text(&way(own.by, &own.number))), ("after", Text(&minutes))])
    });
    let feed = |row: crate::store::duty::feeds::FeedRow| OwnFeed {
        made: at(row.created_at),
        revoke: format!("/people/me/feed/{}/revoke", row.id),
        about: row.created_at.format("%Y-%m-%d %H:%M").to_string(),
    };
    let ways: Vec<String> = ways.collect();
    let mut languages = Language::ALL.map(|own| Choice::new(own.tag(), &own.words().language_name)).to_vec();
    if !languages.iter().any(|own| own.value == person.language) {
        languages.insert(0, Choice::new(&person.language, if person.language.is_empty() { "–" } else { &person.language }));
    }
    let field = Field::plain("language", &words.person_language, Input::Choice(languages)).value(&person.language);
    let language = Form::new(reader, "language", "/people/me/language", &words.person_save).looking("");
    Ok(Own {
        id: person.id.to_string(),
        duty: duty::of(app, words, person.id, now).await?,
        ways,
        feeds: feeds.into_iter().map(feed).collect(),
        quiet: quiet.iter().filter(|rule| rule.person == whose).map(|rule| quiet_words(words, rule)).collect(),
        quiet_of_all: !has_own,
        language: language.holding("version", version.as_str()).with([field.how(&words.me_language_how)]),
        numbers,
    })
}

fn quiet_words(words: &Words, rule: &QuietHours) -> String {
    let priority = words.priority(rule.up_to);
    let time = |time: chrono::NaiveTime| time.format("%H:%M").to_string();
    let zone = format!("<bdi>{}</bdi>", rule.zone.name());
    fill(
        &words.me_quiet_line,
        &[("from", Text(&time(rule.from))), ("to", Text(&time(rule.to))), ("zone", Html(&zone)), ("priority", Text(priority))],
    )
}
