//! What a change does, shown before it is saved: the form is carried along unseen, with the version of the plan that the page rests on. Where
//! that has changed when it is saved, nothing is, and the page is shown again with what the change does now.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use chrono_tz::Tz;

use super::words::shown;
use crate::app::App;
use crate::dashboard::frame::csrf::{FIELD, Fields};
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, escape, fill_text};
use crate::ids::PersonId;
use crate::keep::roster::preview::{self, Plans, Preview};
use crate::keep::roster::{RosterError, find_schedule};
use crate::roster::changes::difference::Difference;
use crate::store::Work;

/// The field that asks to be shown what a form would do, and the field that holds which plan was shown.
pub(in crate::dashboard) const LOOK: &str = "look";
const SHOWN: &str = "shown";

/// Which form it is.
pub(in crate::dashboard) struct About<'a> {
    /// What is done, as the page is called.
    pub(in crate::dashboard) title: String,
    /// Where the form goes.
    pub(in crate::dashboard) address: String,
    /// Where whoever does not want it goes back to.
    pub(in crate::dashboard) back: String,
    /// The menu's entry.
    pub(in crate::dashboard) current: &'static str,
    /// The only schedule that it changes, by name or id; `None`: more than one may be.
    pub(in crate::dashboard) schedule: Option<&'a str>,
}

/// What became of a press.
pub(in crate::dashboard) enum Pressed<T> {
    /// It was done.
    Done(T),
    /// It is shown first what it would do.
    Shown(Response),
}

/// Does what a form asks for, or shows what that would do: it is done once, and taken back before anybody can hear of it where it is only to
/// be shown.
///
/// # Errors
/// Why it is refused.
pub(in crate::dashboard) async fn pressed<T>(
    app: &App,
    reader: &Reader,
    fields: &Fields,
    about: About<'_>,
    act: impl AsyncFnOnce(&mut Work) -> Result<T, RosterError>,
) -> Result<Pressed<T>, RosterError> {
    let (looks, seen) = (fields.get(LOOK) == "yes", fields.get(SHOWN));
    let mut work = app.engine.work(reader.doer()).await?;
    let still = match seen {
        _ if looks => Ok(()),
        "" => Ok(()),
        seen => preview::still(&mut work, seen, about.schedule).await,
    };
    let is_old = match still {
        Err(RosterError::Meanwhile) => true,
        still => still.map(|()| false)?,
    };
    if !looks && !is_old {
        let done = act(&mut work).await?;
        work.commit().await?;
        return Ok(Pressed::Done(done));
    }
    let (plans, _) = preview::rehearse_in(work, act).await?;
    let schedule = about.schedule.map(|schedule| find_schedule(&plans.before, schedule).map(|own| own.id)).transpose()?;
    let version = plans.version(schedule).as_str().to_owned();
    let preview = plans.compared().await?;
    let told = is_old.then_some(reader.words.look_stale.as_str());
    Ok(Pressed::Shown(page(reader, &preview, fields, &about, told, version)))
}

/// What another plan would change, as markup for a page that says more; where that cannot be worked out, a sentence that says so.
pub(in crate::dashboard) async fn drawn(reader: &Reader, plans: Plans) -> String {
    let words = reader.words;
    match plans.compared().await {
        Ok(preview) => {
            let drawn = Changes { words, same: same(reader, &preview), differences: differences(reader, &preview) };
            drawn.render().unwrap_or_default()
        }
        Err(_) => format!("<p class=\"note\">{}</p>", escape(&words.look_not_now)),
    }
}

/// What differs by one schedule or for one team.
struct Shown {
    name: String,
    zone: String,
    /// What it means now, in sentences: whether somebody comes or goes at once.
    now: Vec<(&'static str, String)>,
    spans: Vec<ShownSpan>,
    more: bool,
}

struct ShownSpan {
    from: String,
    to: String,
    what: String,
}

/// The part that tells what differs.
#[derive(Template)]
#[template(path = "duty/changes.html")]
struct Changes {
    words: &'static Words,
    /// That nothing does.
    same: Option<String>,
    differences: Vec<Shown>,
}

#[derive(Template)]
#[template(path = "duty/preview.html")]
struct PreviewPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    title: String,
    told: Option<&'static str>,
    /// HTML.
    changes: String,
    until: String,
    address: String,
    back: String,
    held: Vec<(String, String)>,
    shown: String,
}

fn page(
    reader: &Reader,
    preview: &Preview,
    fields: &Fields,
    about: &About<'_>,
    told: Option<&'static str>,
    version: String,
) -> Response {
    let words = reader.words;
    let is_ours = |name: &str| [FIELD, LOOK, SHOWN].contains(&name);
    let changes = Changes { words, same: same(reader, preview), differences: differences(reader, preview) };
    let page = PreviewPage {
        frame: Frame::new(reader, about.current, about.title.clone(), preview.plans.now),
        words,
        title: about.title.clone(),
        told,
        changes: changes.render().unwrap_or_default(),
        until: fill_text(&words.look_until, &[("at", &until(reader, preview))]),
        address: about.address.clone(),
        back: about.back.clone(),
        held: fields
            .pairs()
            .filter(|(name, _)| !is_ours(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        shown: version,
    };
    html(StatusCode::OK, &page)
}

fn until(reader: &Reader, preview: &Preview) -> String {
    format!("{} UTC", shown(reader.words, Tz::UTC, preview.until))
}

fn same(reader: &Reader, preview: &Preview) -> Option<String> {
    let sentence = || fill_text(&reader.words.look_same, &[("at", &until(reader, preview))]);
    preview.differences.is_empty().then(sentence)
}

fn differences(reader: &Reader, preview: &Preview) -> Vec<Shown> {
    preview.differences.iter().map(|own| of_one(reader.words, &preview.plans, own)).collect()
}

fn of_one(words: &'static Words, plans: &Plans, own: &Difference) -> Shown {
    let names = |people: Vec<PersonId>| {
        let names: Vec<String> = people.into_iter().map(|person| plans.name(person)).collect();
        if names.is_empty() { words.roster_nobody.clone() } else { names.join(&words.list_comma) }
    };
    let (comes, ends): (Vec<_>, Vec<_>) = (own.comes().collect(), own.ends().collect());
    let now = match (comes.is_empty(), ends.is_empty()) {
        (true, true) => vec![("meta", fill_text(&words.look_stays, &[("names", &names(own.now_after.clone()))]))],
        (no_one_comes, no_one_ends) => {
            let come = (!no_one_comes).then(|| ("come", fill_text(&words.look_comes, &[("names", &names(comes))])));
            let end = (!no_one_ends).then(|| ("end", fill_text(&words.look_ends, &[("names", &names(ends))])));
            let left = own.now_after.is_empty().then(|| ("nobody", format!("{} {}", words.roster_now, words.roster_nobody)));
            come.into_iter().chain(end).chain(left).collect()
        }
    };
    let zone = plans.zone_of(own.of);
    let span = |span: &crate::roster::changes::difference::Span| {
        let (before, after) = (names(span.before.clone()), names(span.after.clone()));
        ShownSpan {
            from: shown(words, zone, span.from),
            to: shown(words, zone, span.to),
            what: fill_text(&words.look_span, &[("after", &after), ("before", &before)]),
        }
    };
    Shown {
        name: plans.name_of(own.of),
        zone: zone.name().to_owned(),
        now,
        spans: own.spans.iter().map(span).collect(),
        more: own.more,
    }
}
