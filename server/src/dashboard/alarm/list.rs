//! *Alarms*: any alarm, open or over, found by text and by what it is, a page at a time; and in the same way what is no alarm.

mod asked;
pub mod file;

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::now::{self, Line};
use super::read;
use crate::alarm::{AlarmKind, AlarmState};
use crate::app::App;
use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::ids::PersonId;
use crate::store::alarm::found::{Found, Place};
use crate::store::{Db, StoreError};
use asked::{AskedFor, ENDED, OLDEST, OPEN, PRIORITIES, Part, STATES};

const PAGE: i64 = 50;
/// So many teams are offered; another can be written into the address.
const MOST_OFFERED: i64 = 500;

/// One of several that can be chosen: its word in the address, its name, and whether it is chosen.
type Choice = (String, String, bool);

/// A filter that is in use, and where it is not.
struct Chip {
    name: &'static str,
    value: String,
    without: String,
}

/// The fields of the form as they were filled in.
struct Typed {
    kind: String,
    text: String,
    source: String,
    person: String,
    label: String,
    from: String,
    to: String,
}

#[derive(Template)]
#[template(path = "alarm/alarms.html")]
struct AlarmsPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    title: &'static str,
    /// What else can be listed: its address, its name, and whether it is what is listed here.
    kinds: [(String, &'static str, bool); 4],
    typed: Typed,
    /// The fields beside the text are shown.
    shows_more: bool,
    states: Vec<Choice>,
    priorities: Vec<Choice>,
    teams: Vec<Choice>,
    orders: Vec<Choice>,
    wrong: Option<String>,
    chips: Vec<Chip>,
    /// Where nothing is left out.
    all: String,
    /// What was done with the last word.
    begins: Option<String>,
    lines: Vec<Line>,
    /// What is said where there are none, and what to do about it.
    none: &'static str,
    none_how: &'static str,
    csv: String,
    json: String,
    /// Where the first of them are, and what comes before and behind.
    first: Option<(String, &'static str)>,
    before: Option<(String, &'static str)>,
    behind: Option<(String, &'static str)>,
}

fn name(words: &'static Words, kind: AlarmKind) -> &'static str {
    match kind {
        AlarmKind::Alarm => &words.nav_alarms,
        AlarmKind::Test => &words.kinds_tests,
        AlarmKind::Shout => &words.nav_shouts,
        AlarmKind::Call => &words.kinds_calls,
    }
}

fn state_name(words: &'static Words, state: AlarmState) -> &'static str {
    match state {
        AlarmState::Waiting => &words.state_waiting,
        AlarmState::Ringing => &words.state_ringing,
        AlarmState::Answered => &words.answered,
        AlarmState::NoAnswer => &words.no_answer,
        AlarmState::Cancelled => &words.cancelled,
        AlarmState::Resolved => &words.resolved,
    }
}

/// Whose alarms are asked for. A name that is a bare number finds nothing for who may not see numbers, as in a search.
async fn person_of(db: &mut Db<'_>, reader: &Reader, asked: &AskedFor) -> Result<Option<PersonId>, StoreError> {
    let name = asked.get("person");
    match !name.is_empty() && (reader.responds() || name.chars().any(char::is_alphabetic)) {
        true => db.person_called(name).await,
        false => Ok(None),
    }
}

/// What can be chosen of a filter, with what it is when nothing is.
fn choices<'w>(any: &str, chosen: &str, all: impl IntoIterator<Item = (&'w str, &'w str)>) -> Vec<Choice> {
    let none = (String::new(), any.to_owned(), chosen.is_empty());
    let mut all: Vec<Choice> = [none]
        .into_iter()
        .chain(all.into_iter().map(|(word, name)| (word.to_owned(), name.to_owned(), word == chosen)))
        .collect();
    // What somebody wrote into the address themselves stays chosen.
    if !all.iter().any(|(.., is_chosen)| *is_chosen) {
        all.push((chosen.to_owned(), chosen.to_owned(), true));
    }
    all
}

fn states_of(words: &'static Words) -> Vec<(&'static str, &'static str)> {
    let kept = STATES.into_iter().map(|state| (state.as_str(), state_name(words, state)));
    [(OPEN, words.alarms_open.as_str()), (ENDED, words.alarms_ended.as_str())].into_iter().chain(kept).collect()
}

fn priorities_of(words: &'static Words) -> Vec<(&'static str, &'static str)> {
    PRIORITIES.into_iter().map(|priority| (priority.as_str(), words.priority(priority))).collect()
}

/// The filters in use.
fn chips(words: &'static Words, asked: &AskedFor) -> Vec<Chip> {
    let named = |all: Vec<(&'static str, &'static str)>, word: &str| {
        all.into_iter().find(|(own, _)| *own == word).map_or(word.to_owned(), |(_, name)| name.to_owned())
    };
    let time = |name: &str| match asked.time(name) {
        Ok(Some(at)) if asked.get(name).is_empty() => at.format("%Y-%m-%d %H:%M UTC").to_string(),
        _ => asked.get(name).replace('T', " "),
    };
    let mut chips = Vec::new();
    let mut add = |name: &'static str, word: &'static str, value: String| {
        if !value.is_empty() {
            chips.push(Chip { name: word, value, without: asked.without(name).address("/alarms", Part::First) });
        }
    };
    add("q", &words.alarms_search, asked.get("q").to_owned());
    add("state", &words.alarms_state, named(states_of(words), asked.get("state")));
    add("priority", &words.alarms_priority, named(priorities_of(words), asked.get("priority")));
    add("source", &words.alarms_source, asked.get("source").to_owned());
    add("team", &words.alarms_team, asked.get("team").to_owned());
    add("person", &words.alarms_person, asked.get("person").to_owned());
    add("label", &words.alarms_label, asked.get("label").to_owned());
    add("from", &words.alarms_from, time("from"));
    add("to", &words.alarms_to, time("to"));
    chips
}

/// A page of what is found, as it is shown, and whether there is more before and behind it.
struct Shown {
    found: Found,
    before: Option<Part>,
    behind: Option<Part>,
}

/// What was read from one end is put into the order that is shown.
fn shown(mut found: Found, asked: &AskedFor) -> Shown {
    let last_begins = found.last_begins;
    let place = |number: i64| Place { number, last_begins };
    let further = found.next;
    let first = found.alarms.first().map(|alarm| alarm.number);
    // Where it goes on in the direction in which it was read, and in the other: from where it was read, something lies there.
    let (older, newer) = match asked.part {
        Part::First if asked.oldest_first() => (None, further.map(Part::Above)),
        Part::First => (further.map(Part::Below), None),
        Part::Below(from) => {
            let newest = first.map_or(Place { number: from.number.saturating_sub(1), ..from }, place);
            (further.map(Part::Below), Some(Part::Above(newest)))
        }
        Part::Above(from) => {
            let oldest = first.map_or(Place { number: from.number.saturating_add(1), ..from }, place);
            (Some(Part::Below(oldest)), further.map(Part::Above))
        }
    };
    let read_upwards = matches!(asked.part, Part::Above(_)) || asked.part == Part::First && asked.oldest_first();
    if read_upwards != asked.oldest_first() {
        found.alarms.reverse();
    }
    let (before, behind) = if asked.oldest_first() { (older, newer) } else { (newer, older) };
    Shown { found, before, behind }
}

/// `GET /alarms`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let asked = AskedFor::read(query.as_deref().unwrap_or_default());
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let person = person_of(&mut db, &reader, &asked).await?;
    let found = db.find_alarms(&asked.filter(person, reader.responds()), PAGE).await?;
    let Shown { found, before, behind } = shown(found, &asked);
    let teams = db.team_names(MOST_OFFERED).await?;
    let is_short = found.alarms.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
    let listed = read::with_answers(&mut db, found.alarms).await?;
    let lines: Vec<Line> = listed.iter().map(|finished| now::line(&reader, finished)).collect();
    let kind = asked.kind();
    let title = name(words, kind);
    let kinds = [AlarmKind::Alarm, AlarmKind::Test, AlarmKind::Shout, AlarmKind::Call]
        .map(|one| (AskedFor::of_kind(one).address("/alarms", Part::First), name(words, one), one == kind));
    let (none, none_how) = match (asked.leaves_out(), behind.is_some(), kind.is_alarm()) {
        (true, true, _) => (&words.alarms_none_yet, &words.alarms_go_on_how),
        (true, false, _) => (&words.alarms_none_fit, &words.alarms_none_fit_how),
        (false, _, true) => (&words.alarms_none, &words.alarms_none_how),
        (false, _, false) => (&words.kinds_none, &words.kinds_none),
    };
    let bad_time = |name: &str| {
        let wrong = || fill_text(&words.roster_bad_time, &[("text", asked.get(name))]);
        asked.time(name).err().map(|_| wrong())
    };
    let newer_or_older = |part: Part| -> (String, &'static str) {
        let word = match part {
            Part::Above(_) => &words.alarms_newer,
            Part::Below(_) if is_short => &words.alarms_further,
            _ => &words.alarms_older,
        };
        (asked.address("/alarms", part), word)
    };
    let first_word = if asked.oldest_first() { &words.alarms_oldest } else { &words.alarms_newest };
    let first = (asked.part != Part::First).then(|| (asked.address("/alarms", Part::First), first_word.as_str()));
    let frame = Frame::new(&reader, "alarms", title, app.engine.clock.now());
    let typed = |name: &str| asked.get(name).to_owned();
    let page = AlarmsPage {
        frame,
        words,
        title,
        kinds,
        typed: Typed {
            kind: typed("kind"),
            text: typed("q"),
            source: typed("source"),
            person: typed("person"),
            label: typed("label"),
            from: typed("from"),
            to: typed("to"),
        },
        shows_more: asked.uses_more(),
        states: choices(&words.alarms_any, asked.get("state"), states_of(words)),
        priorities: choices(&words.alarms_any, asked.get("priority"), priorities_of(words)),
        teams: choices(&words.alarms_any, asked.get("team"), teams.iter().map(|team| (team.as_str(), team.as_str()))),
        orders: choices(
            &words.alarms_newest_first,
            if asked.oldest_first() { OLDEST } else { "" },
            [(OLDEST, words.alarms_oldest_first.as_str())],
        ),
        wrong: bad_time("from").or_else(|| bad_time("to")),
        chips: chips(words, &asked),
        all: AskedFor::of_kind(kind).address("/alarms", Part::First),
        begins: (found.last_begins && !lines.is_empty()).then(|| fill_text(&words.alarms_begins, &[("text", asked.get("q"))])),
        none,
        none_how,
        csv: asked.address("/alarms.csv", Part::First),
        json: asked.address("/alarms.json", Part::First),
        first,
        before: before.map(newer_or_older),
        behind: behind.map(newer_or_older),
        lines,
    };
    Ok(html(StatusCode::OK, &page))
}
