//! *Audit log*: who changed what, found by time, by whom and by what, a page at a time. Its words are in `frame/words/pages/kept/audit.toml`.

mod asked;
mod named;

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::frame::answer::Refusal;
use super::frame::page::{Frame, at_second, html};
use super::frame::reader::Reader;
use super::frame::words::{Words, fill_text};
use crate::api::personal::audit;
use crate::app::App;
use crate::audit::{Kind, Operation, Verb};
use crate::store::audit::AuditRow;
use asked::{AskedFor, Part};

const PAGE: i64 = 50;

/// One of several that can be chosen: its word in the address, its name, and whether it is chosen.
type Choice = (String, String, bool);

struct Line {
    when: String,
    /// Who, and how they came in.
    who: String,
    how: String,
    what: String,
    /// What the thing was called, and where it is.
    name: String,
    /// What is so since, and was before.
    changes: Vec<(String, String, String)>,
}

struct Typed {
    who: String,
    what: String,
    from: String,
    to: String,
}

#[derive(Template)]
#[template(path = "audit/audit.html")]
struct AuditPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    typed: Typed,
    kinds: Vec<Choice>,
    verbs: Vec<Choice>,
    wrong: Option<String>,
    /// Where nothing is left out; `None` where nothing is.
    all: Option<&'static str>,
    lines: Vec<Line>,
    csv: String,
    first: Option<String>,
    newer: Option<String>,
    older: Option<String>,
}

fn choices<'w>(any: &str, chosen: &str, all: impl Iterator<Item = (&'static str, &'w str)>) -> Vec<Choice> {
    let none = (String::new(), any.to_owned(), chosen.is_empty());
    let mut all: Vec<Choice> = all.map(|(word, name)| (word.to_owned(), name.to_owned(), word == chosen)).collect();
    all.sort_by(|one, other| one.1.cmp(&other.1));
    all.insert(0, none);
    all
}

/// A value as people read it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "—".to_owned(),
        Value::Object(entries) if entries.is_empty() => "—".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What changed, entry by entry: its name, what was so, and what is.
fn changes(before: Option<&str>, after: Option<&str>) -> Vec<(String, String, String)> {
    let read = |text: Option<&str>| text.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let (before, after) = (read(before), read(after));
    let entries = |value: &Option<Value>| value.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    let (old, new) = (entries(&before), entries(&after));
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let side = |all: &serde_json::Map<String, Value>, name: &String| all.get(name).map(shown).unwrap_or_default();
    names.into_iter().map(|name| (name.clone(), side(&old, name), side(&new, name))).collect()
}

fn line(reader: &Reader, row: &AuditRow) -> Line {
    let words = reader.words;
    let what = match Operation::parse(&row.operation) {
        Some(operation) => {
            let (kind, verb) = (named::kind(words, operation.kind()), named::verb(words, operation.verb()));
            fill_text(&words.audit_what_done, &[("what", kind), ("done", verb)])
        }
        // Of a later version.
        None => row.operation.clone(),
    };
    let way = named::way(words, &row.doer);
    let who = row.said.clone().or_else(|| row.doer_name.clone()).unwrap_or_else(|| way.to_owned());
    let mut how: Vec<String> = Vec::new();
    if who != way {
        how.push(way.to_owned());
    }
    how.extend(row.doer_name.clone().filter(|name| *name != who));
    how.extend(row.address.clone());
    Line {
        when: at_second(row.at),
        who,
        how: how.join(" · "),
        what,
        name: row.name.clone().or_else(|| row.subject.clone()).unwrap_or_default(),
        changes: changes(row.before.as_deref(), row.after.as_deref()),
    }
}

/// `GET /audit`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let asked = AskedFor::read(query.as_deref().unwrap_or_default());
    let mut page = app.engine.store.read().await?.db().list_audit(&asked.filter(), PAGE).await?;
    let upwards = matches!(asked.part, Part::Above(_));
    if upwards {
        page.lines.reverse();
    }
    let (top, bottom) = (page.lines.first().map(AuditRow::place), page.lines.last().map(AuditRow::place));
    // From where it was read, something lies in the other direction.
    let newer = if upwards { page.next } else { top.filter(|_| asked.part != Part::First) };
    let older = if upwards { bottom } else { page.next };
    let bad_time = |name: &str| {
        let wrong = || fill_text(&words.roster_bad_time, &[("text", asked.get(name))]);
        asked.time(name).err().map(|_| wrong())
    };
    let kinds = Kind::ALL.iter().map(|kind| (kind.as_str(), named::kind(words, *kind)));
    let verbs = Verb::ALL.iter().map(|verb| (verb.as_str(), named::verb(words, *verb)));
    let typed = |name: &str| asked.get(name).to_owned();
    let shown = AuditPage {
        frame: Frame::new(&reader, "audit", words.nav_audit.as_str(), app.engine.clock.now()),
        words,
        typed: Typed { who: typed("who"), what: typed("what"), from: typed("from"), to: typed("to") },
        kinds: choices(&words.alarms_any, asked.get("kind"), kinds),
        verbs: choices(&words.alarms_any, asked.get("verb"), verbs),
        wrong: bad_time("from").or_else(|| bad_time("to")),
        all: asked.leaves_out().then_some("/audit"),
        lines: page.lines.iter().map(|row| line(&reader, row)).collect(),
        csv: asked.address("/audit.csv", Part::First),
        first: (asked.part != Part::First).then(|| asked.address("/audit", Part::First)),
        newer: newer.map(|place| asked.address("/audit", Part::Above(place))),
        older: older.map(|place| asked.address("/audit", Part::Below(place))),
    };
    Ok(html(StatusCode::OK, &shown))
}

/// `GET /audit.csv`, with what the page was asked for.
pub(super) async fn csv(
    State(app): State<Arc<App>>,
    Extension(_reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let mut asked = AskedFor::read(query.as_deref().unwrap_or_default());
    // All pages of it.
    asked.part = Part::First;
    Ok(audit::file(app.engine.store.clone(), asked.filter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_a_change_stand_beside_each_other() {
        let told = changes(Some(r#"{"language":"en","numbers":["1"]}"#), Some(r#"{"language":null,"role":"admin"}"#));
        let told: Vec<(&str, &str, &str)> = told.iter().map(|(name, old, new)| (&**name, &**old, &**new)).collect();
        assert_eq!(told, [("language", "en", "—"), ("numbers", r#"["1"]"#, ""), ("role", "", "admin")]);
        assert!(changes(None, Some("garbled")).is_empty());
    }
}
