//! *Now* in three views: as it is for most, dense for a busy desk, and for a wall, which is read from afar and pressed by nobody. The address
//! says which.

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;

use crate::dashboard::Dashboard;
use crate::dashboard::alarm::now;
use crate::dashboard::alarm::read::{Board, OpenHunt};
use crate::dashboard::alarm::trouble::Trouble;
use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::page::{Part, Sight, live_page, since};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::dashboard::query::asked;

/// How *Now* is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::dashboard) enum View {
    #[default]
    Usual,
    /// A line for each alarm.
    Dense,
    /// The same, large, without anything to press.
    Wall,
}

impl View {
    /// The view of a word in an address; the usual one where there is none, or an unknown one.
    pub(in crate::dashboard) fn read(word: &str) -> Self {
        match word {
            "dense" => Self::Dense,
            "wall" => Self::Wall,
            _ => Self::Usual,
        }
    }

    /// Where it is.
    pub(in crate::dashboard) fn address(self) -> &'static str {
        match self {
            Self::Usual => "/",
            Self::Dense => "/?view=dense",
            Self::Wall => "/?view=wall",
        }
    }

    /// What the page hears of.
    fn live(self) -> &'static str {
        match self {
            Self::Usual => "/live?page=now",
            Self::Dense => "/live?page=now&view=dense",
            Self::Wall => "/live?page=now&view=wall",
        }
    }
}

/// An open hunt in one line.
struct Row {
    id: String,
    summary: String,
    /// How many others are in it.
    more: Option<String>,
    rings: bool,
    clock: String,
    /// The class and the word.
    priority: (&'static str, &'static str),
    source: String,
    /// Whom it rings at this moment.
    who: String,
    /// All of its alarms: a press names what was on the screen.
    alarms: Vec<String>,
    /// The confirmed answer that was on it; empty where nobody has them.
    seen: String,
    /// The reader may take all of them here.
    can_press: bool,
}

#[derive(Template)]
#[template(path = "alarm/overview/part_dense.html")]
struct DensePart<'r> {
    reader: &'r Reader,
    words: &'static Words,
    rows: Vec<Row>,
    more: Option<String>,
    /// What is wrong beside, and does not keep anybody from being rung.
    troubles: Vec<Trouble>,
}

#[derive(Template)]
#[template(path = "alarm/part_views.html")]
struct ViewsPart {
    words: &'static Words,
    /// Where each is, its word, and whether it is this one.
    views: Vec<(&'static str, &'static str, bool)>,
}

/// `GET /?view=`
pub(in crate::dashboard) async fn show(
    State(pages): State<Arc<Dashboard>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let view = asked(query.as_deref().unwrap_or_default(), "view").map(|word| View::read(&word)).unwrap_or_default();
    let board = pages.boards.read(&pages.app, Instant::now()).await.map_err(|_| Refusal::Away)?;
    let done = now::done_words(reader.words, query.as_deref());
    let (live, seen) = (view.live().to_owned(), sight(&reader, &board, view));
    Ok(live_page(&reader, "now", live, &reader.words.nav_now, seen, done, board.now))
}

/// What is on the page at this moment.
pub(in crate::dashboard) fn sight(reader: &Reader, board: &Board, view: View) -> Sight {
    let mut sight = now::sight(reader, board, |troubles| match view == View::Usual || board.open.is_empty() {
        true => now::cards(reader, board, troubles),
        false => Part::new("open", &dense(reader, board, view, troubles)),
    });
    // A wall shows what goes on, and what keeps it from going on.
    if view == View::Wall {
        sight.parts.retain(|part| part.id != "finished");
    }
    let words = reader.words;
    let views = [(View::Usual, &words.view_usual), (View::Dense, &words.view_dense), (View::Wall, &words.view_wall)];
    let views = views.map(|(own, word)| (own.address(), word.as_str(), own == view)).into();
    sight.parts.push(Part::new("views", &ViewsPart { words, views }));
    sight
}

fn dense<'r>(reader: &'r Reader, board: &Board, view: View, troubles: Vec<Trouble>) -> DensePart<'r> {
    let words = reader.words;
    DensePart {
        reader,
        words,
        rows: board.open.iter().filter_map(|hunt| row(reader, hunt, view)).collect(),
        more: (board.more_open > 0).then(|| fill_text(&words.open_more, &[("count", &board.more_open.to_string())])),
        troubles,
    }
}

fn row(reader: &Reader, hunt: &OpenHunt, view: View) -> Option<Row> {
    let reader = &*reader.on_alarms(&hunt.teams);
    let words = reader.words;
    let (first, others) = hunt.alarms.split_first()?;
    let rung = |callee| hunt.rungs.iter().find(|rung| rung.id == callee);
    let names = hunt.ringing.iter().filter_map(|row| rung(row.callee_id));
    let mut names: Vec<String> = names.map(|rung| reader.name(rung.name.as_deref().unwrap_or(&rung.number))).collect();
    names.dedup();
    Some(Row {
        id: first.id.to_string(),
        summary: first.summary.clone(),
        more: (!others.is_empty()).then(|| fill_text(&words.and_more, &[("count", &others.len().to_string())])),
        rings: !names.is_empty(),
        clock: since(first.hunt_created_at),
        priority: (first.priority.as_str(), words.priority(first.priority)),
        source: now::source(words, first).to_owned(),
        who: if names.is_empty() { words.dense_nobody.clone() } else { names.join(words.list_comma.as_str()) },
        alarms: hunt.alarms.iter().map(|alarm| alarm.id.to_string()).collect(),
        seen: hunt.seen(),
        can_press: view == View::Dense && reader.responds(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_view_has_an_address_that_is_read_as_it() {
        for view in [View::Usual, View::Dense, View::Wall] {
            let word = view.address().split_once("view=").map_or("", |(_, word)| word);
            assert_eq!(View::read(word), view);
            assert_eq!(view.live().split_once("view=").map_or("", |(_, word)| word), word);
        }
        assert_eq!(View::read("nonsense"), View::Usual);
    }
}
