//! *Calls*: those of a person, ours and other systems', in one line of time; and all of them, searched and as a file, for who may see numbers.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Datelike, SecondsFormat, Utc};

use crate::alarm::call_record::{CallDirection, CallOrigin};
use crate::app::App;
use crate::dashboard::alarm::calls as told;
use crate::dashboard::frame::answer::{Refusal, as_file};
use crate::dashboard::frame::page::{Frame, at_second, duration, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::dashboard::query::asked;
use crate::ids::{AlarmId, PersonId};
use crate::numbers::Number;
use crate::sheet::cells::harmless;
use crate::store::Db;
use crate::store::alarm::call_records::{CallFilter, CallRecordRow};

/// So many on a page; one more is read, which tells whether there are older ones.
const PAGE: usize = 100;
const PAGE_AND_ONE: i64 = 101;
/// So many are counted of one person.
const MOST_COUNTED: i64 = 2_000;
/// So many at most as a file.
const MOST_IN_FILE: usize = 20_000;
/// So many are read at a time for it.
const AT_ONCE: i64 = 1_000;
/// So many people may be meant by a part of a name.
const MOST_PEOPLE: usize = 200;
/// Nobody is called by more characters.
const LONGEST_SEARCH: usize = 80;
const EVERYWHERE: [CallOrigin; 3] = [CallOrigin::Dial, CallOrigin::Inbound, CallOrigin::Replicated];

/// A call, as it is shown.
pub(super) struct CallLine {
    /// When; HTML.
    when: String,
    /// Whose it is, where that is not said by the page.
    name: Option<String>,
    direction: &'static str,
    /// Where its alarm is, and what it is called.
    alarm: Option<(String, String)>,
    facts: String,
    /// Where another system says more.
    url: Option<String>,
}

/// The calls of a person below the form of the person.
#[derive(Template)]
#[template(path = "people/part_calls.html")]
struct CallsPart {
    words: &'static Words,
    calls: Vec<CallLine>,
    /// Where all of them are.
    all: Option<String>,
}

/// The calls of a person on a page of their own.
#[derive(Template)]
#[template(path = "people/person_calls.html")]
struct PersonCalls<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    title: String,
    counts: Vec<String>,
    calls: Vec<CallLine>,
    newest: Option<String>,
    older: Option<String>,
}

/// All calls.
#[derive(Template)]
#[template(path = "people/calls.html")]
struct CallsPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    search: String,
    csv: String,
    csv_how: String,
    calls: Vec<CallLine>,
    newest: Option<String>,
    older: Option<String>,
}

/// A place in the line of time: a call is older than this one.
fn place(row: &CallRecordRow) -> String {
    format!("{}.{}", row.offered_at.timestamp_micros(), row.id)
}

fn placed(text: &str) -> Option<(DateTime<Utc>, i64)> {
    let (at, id) = text.split_once('.')?;
    let at = DateTime::from_timestamp_micros(at.parse().ok()?)?;
    // What no database can compare is no place.
    (1..=9999).contains(&at.year()).then_some((at, id.parse().ok()?))
}

fn parameter(query: Option<&str>, name: &str) -> String {
    asked(query.unwrap_or_default(), name).unwrap_or_default()
}

/// Takes one off a list that was read one longer than it is shown; gives the place behind which there are more.
fn older(rows: &mut Vec<CallRecordRow>) -> Option<String> {
    let more = rows.len() > PAGE;
    rows.truncate(PAGE);
    rows.last().filter(|_| more).map(place)
}

/// Calls as this reader may see them: without the right to see numbers, when they were and which way.
async fn lines(db: &mut Db<'_>, reader: &Reader, rows: &[CallRecordRow], of_one: bool) -> Result<Vec<CallLine>, Refusal> {
    let words = reader.words;
    let alarms: Vec<AlarmId> = rows.iter().filter_map(|record| record.alarm_id).collect();
    let known = db.alarms_known(&alarms).await?;
    let open: Vec<String> = db.open_mids().await?.into_values().collect();
    let line = |record: &CallRecordRow| {
        let called = |number: i64| fill_text(&words.person_call_alarm, &[("number", &number.to_string())]);
        // An alarm may be forgotten by now.
        let alarm = record.alarm_id.filter(|alarm| known.contains(alarm)).map(|alarm| format!("/alarms/{alarm}"));
        CallLine {
            when: at_second(record.offered_at),
            name: record.name.as_deref().map(|name| reader.name(name)).filter(|_| !of_one),
            direction: match record.direction {
                CallDirection::Outgoing => &words.calls_outgoing,
                CallDirection::Incoming => &words.calls_incoming,
            },
            alarm: alarm.zip(record.alarm_number.map(called)),
            facts: facts(reader, record, open.contains(&record.mid)),
            url: record.url.clone().filter(|_| reader.responds()),
        }
    };
    Ok(rows.iter().map(line).collect())
}

/// What is known of a call beside when it was.
fn facts(reader: &Reader, record: &CallRecordRow, goes_on: bool) -> String {
    let words = reader.words;
    if record.origin != CallOrigin::Replicated {
        let number = reader.responds().then(|| record.number.clone());
        return told::facts(reader, record, number, goes_on);
    }
    let mut facts = Vec::new();
    if reader.responds() {
        facts.push(record.number.clone());
        facts.extend(record.caller.as_deref().map(|caller| fill_text(&words.calls_from, &[("caller", caller)])));
    }
    if let Some(seconds) = record.seconds {
        facts.push(fill_text(&words.calls_length, &[("time", &duration(words, seconds))]));
    }
    facts.join(" · ")
}

/// The latest calls of a person, below what is kept of them.
pub(super) async fn of_person(app: &App, reader: &Reader, id: PersonId) -> Result<String, Refusal> {
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let mut rows = db.calls_of_person(id, None, PAGE_AND_ONE).await?;
    let all = older(&mut rows).map(|_| format!("/people/{id}/calls"));
    let calls = lines(&mut db, reader, &rows, true).await?;
    CallsPart { words: reader.words, calls, all }.render().map_err(|_| Refusal::Failed)
}

/// `GET /people/{id}/calls?before=`
pub(in crate::dashboard) async fn person(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let id: PersonId = id.parse().map_err(|_| Refusal::NotFound)?;
    let before = placed(&parameter(query.as_deref(), "before"));
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let person = db.person(id).await?.ok_or(Refusal::NotFound)?;
    let mut rows = db.calls_of_person(id, before, PAGE_AND_ONE).await?;
    let older = older(&mut rows).map(|place| format!("/people/{id}/calls?before={place}"));
    let calls = lines(&mut db, &reader, &rows, true).await?;
    let (ours, theirs) = db.count_calls_of_person(id, MOST_COUNTED).await?;
    let counted = |count: i64| match ours + theirs {
        MOST_COUNTED => fill_text(&words.calls_and_more, &[("count", &count.to_string())]),
        _ => count.to_string(),
    };
    let count = |sentence: &str, count: i64| fill_text(sentence, &[("count", &counted(count))]);
    let counts = vec![count(&words.calls_ours, ours), count(&words.calls_theirs, theirs)];
    let title = fill_text(&words.calls_of_person, &[("name", &reader.name(&person.name))]);
    let frame = Frame::new(&reader, "people", title.clone(), app.engine.clock.now());
    let newest = before.map(|_| format!("/people/{id}/calls"));
    Ok(html(StatusCode::OK, &PersonCalls { frame, words, title, counts, calls, newest, older }))
}

/// `GET /calls?q=&before=`
pub(in crate::dashboard) async fn all(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let search = parameter(query.as_deref(), "q").trim().chars().take(LONGEST_SEARCH).collect::<String>();
    let before = placed(&parameter(query.as_deref(), "before"));
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let sought = sought(&app, &mut db, &search).await?;
    let mut rows = found(&mut db, &sought, before, PAGE_AND_ONE).await?;
    let asked: String = form_urlencoded::Serializer::new(String::new()).append_pair("q", &search).finish();
    let older = older(&mut rows).map(|place| format!("/calls?{asked}&before={place}"));
    let calls = lines(&mut db, &reader, &rows, false).await?;
    let frame = Frame::new(&reader, "calls", words.nav_calls.as_str(), app.engine.clock.now());
    let csv = format!("/calls.csv?{asked}");
    let csv_how = fill_text(&words.calls_csv_how, &[("count", &MOST_IN_FILE.to_string())]);
    let newest = before.map(|_| format!("/calls?{asked}"));
    Ok(html(StatusCode::OK, &CallsPage { frame, words, search, csv, csv_how, calls, newest, older }))
}

/// `GET /calls.csv?q=`
pub(in crate::dashboard) async fn file(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let search = parameter(query.as_deref(), "q").trim().chars().take(LONGEST_SEARCH).collect::<String>();
    let mut out = csv::Writer::from_writer(Vec::new());
    let head = [
        "started_at",
        "origin",
        "direction",
        "name",
        "number",
        "caller",
        "outcome",
        "talk_seconds",
        "duration_seconds",
        "alarm",
        "url",
    ];
    out.write_record(head).map_err(|_| Refusal::Failed)?;
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let sought = sought(&app, &mut db, &search).await?;
    let (mut written, mut below) = (0, None);
    while written < MOST_IN_FILE {
        let rows = found(&mut db, &sought, below, AT_ONCE).await?;
        let Some(last) = rows.last() else { break };
        below = Some((last.offered_at, last.id));
        for row in rows.iter().take(MOST_IN_FILE - written) {
            out.write_record(record(row)).map_err(|_| Refusal::Failed)?;
        }
        written += rows.len();
    }
    let text = out.into_inner().map_err(|_| Refusal::Failed)?;
    Ok(as_file("text/csv; charset=utf-8", "calls.csv", text.into()))
}

/// A call as a line of a file.
fn record(row: &CallRecordRow) -> [String; 11] {
    let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
    [
        row.offered_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        row.origin.as_str().to_owned(),
        row.direction.as_str().to_owned(),
        harmless(row.name.as_deref().unwrap_or_default()),
        row.number.clone(),
        harmless(row.caller.as_deref().unwrap_or_default()),
        row.outcome.as_str().to_owned(),
        number(row.talk_seconds),
        number(row.seconds),
        number(row.alarm_number),
        harmless(row.url.as_deref().unwrap_or_default()),
    ]
}

/// Calls that one of these means, the latest first, each once.
async fn found(
    db: &mut Db<'_>,
    sought: &[CallFilter],
    below: Option<(DateTime<Utc>, i64)>,
    most: i64,
) -> Result<Vec<CallRecordRow>, Refusal> {
    let mut rows = Vec::new();
    for filter in sought {
        rows.extend(db.list_call_records(&CallFilter { below, ..filter.clone() }, most).await?);
    }
    rows.sort_by_key(|row| std::cmp::Reverse((row.offered_at, row.id)));
    rows.dedup_by_key(|row| row.id);
    rows.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    Ok(rows)
}

/// Which calls are meant by what somebody writes: a part of a name; or a number or an extension, to which or from which they were.
async fn sought(app: &App, db: &mut Db<'_>, search: &str) -> Result<Vec<CallFilter>, Refusal> {
    let everywhere = CallFilter { origins: EVERYWHERE.to_vec(), ..CallFilter::default() };
    if search.is_empty() {
        return Ok(vec![everywhere]);
    }
    let part = search.to_lowercase();
    // Digits in somebody's name are not to hide an extension.
    if search.chars().any(char::is_alphabetic) {
        let people = db.people().await?.into_iter().filter(|(person, _)| person.name.to_lowercase().contains(&part));
        let people: Vec<PersonId> = people.map(|(person, _)| person.id).take(MOST_PEOPLE).collect();
        if !people.is_empty() {
            return Ok(vec![CallFilter { people, ..everywhere }]);
        }
    }
    let from = CallFilter { callers: vec![search.to_owned()], ..everywhere.clone() };
    // Six digits and fewer are extensions.
    let number = Number::parse(search, app.config().default_region).ok().filter(|parsed| parsed.number.as_str().len() > 6);
    let numbers = match number {
        Some(parsed) => {
            let other = parsed.number.other_form();
            [Some(parsed.number), other].into_iter().flatten().map(|number| number.as_str().to_owned()).collect()
        }
        None => vec![search.to_owned()],
    };
    Ok(vec![CallFilter { numbers, ..everywhere }, from])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        assert_eq!(placed("1767225600000001.7").map(|(at, id)| (at.timestamp_micros(), id)), Some((1_767_225_600_000_001, 7)));
        for wrong in ["", "x", "1.", ".1", "99999999999999999999.1", "-999999999999999999.1"] {
            assert_eq!(placed(wrong), None);
        }
    }
}
