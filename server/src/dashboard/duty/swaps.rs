//! *Swaps*: who asks whom to take a shift. Those who look only may speak for themselves; whoever may change the plan, for everybody.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::preview::{About, LOOK, Pressed, pressed};
use super::words::{maker, people, shown, wrong};
use crate::app::App;
use crate::costly;
use crate::dashboard::alarm::now;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Choice, Field, Input};
use crate::dashboard::frame::form::{Form, Sent};
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::dashboard::query::asked;
use crate::ids::{PersonId, SwapId};
use crate::keep::roster::swaps::{self, May, SwapForm, circle, is_still_theirs};
use crate::keep::roster::{RosterError, find_schedule};
use crate::roster::Roster;
use crate::roster::changes::swap::Standing;
use crate::store::Work;
use crate::store::duty::swaps::SwapRow;

/// The form by which somebody asks.
const ASK: &str = "ask";
/// So many that were answered, or are over, are shown.
const MOST_DECIDED: i64 = 30;

/// How many requests wait for the answer of somebody.
pub(in crate::dashboard) fn waiting_for(open: &[SwapRow], me: PersonId, roster: &Roster, now: DateTime<Utc>) -> usize {
    open.iter().filter(|row| row.standing(now) == Standing::Open && is_asked(roster, row, me)).count()
}

/// Whether somebody is asked: by name, or as one of the team.
fn is_asked(roster: &Roster, row: &SwapRow, me: PersonId) -> bool {
    let of_team = || roster.schedule(row.schedule_id).is_some_and(|schedule| circle(roster, schedule).contains(&me));
    row.other_id.map_or_else(|| row.person_id != me && of_team(), |other| other == me)
}

/// One request.
struct Line {
    says: String,
    back: Option<String>,
    note: String,
    standing: String,
    /// As the plan stands, it cannot be accepted.
    is_gone: bool,
    accept: Option<Form>,
    decline: Option<Form>,
    take_back: Option<Form>,
}

struct Group {
    heading: &'static str,
    lines: Vec<Line>,
}

#[derive(Template)]
#[template(path = "duty/swaps.html")]
struct SwapsPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    done: Option<&'static str>,
    wrong: Option<String>,
    groups: Vec<Group>,
    nobody_waits: bool,
    /// That it could not be looked at whose the shifts are.
    unchecked: Option<&'static str>,
    ask: Option<Form>,
}

/// For whom a reader may speak; `None`: they are nobody who could be on duty.
async fn may(app: &App, reader: &Reader) -> Result<Option<May>, Refusal> {
    if reader.responds() {
        return Ok(Some(May::SpeakForAll));
    }
    let me = reader.person(&mut app.engine.store.read().await?.db()).await?;
    Ok(me.map(|me| May::SpeakFor(me.id)))
}

/// `GET /roster/swaps`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = query.unwrap_or_default();
    let done = now::done_words(reader.words, Some(&query));
    page(&app, &reader, &query, None, done).await
}

/// `POST /roster/swaps`
pub(in crate::dashboard) async fn ask(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let may = may(&app, &reader).await?.ok_or(Refusal::Forbidden)?;
    let text = |name| fields.get(name).to_owned();
    let given = |name| Some(fields.get(name).to_owned()).filter(|text| !text.is_empty());
    let form = SwapForm {
        schedule: text("schedule"),
        person: text("person"),
        starts_at: text("from"),
        ends_at: text("to"),
        other: given("other"),
        back_starts_at: given("back_from"),
        back_ends_at: given("back_to"),
        note: text("note"),
    };
    let asked = app.engine.carry_out(reader.doer(), async |work| swaps::ask(work, &form, may, maker(&reader)).await).await;
    finish(&app, &reader, ASK, fields, asked.map(|_| ())).await
}

/// `POST /roster/swaps/{id}/accept`
pub(in crate::dashboard) async fn accept(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let may = may(&app, &reader).await?.ok_or(Refusal::Forbidden)?;
    let id: SwapId = id.parse().map_err(|_| Refusal::NotFound)?;
    let row = app.engine.store.read().await?.db().swap(id).await?.ok_or(Refusal::NotFound)?;
    let schedule = row.schedule_id.to_string();
    let about = About {
        title: reader.words.swap_accept_for.clone(),
        address: format!("/roster/swaps/{id}/accept"),
        back: "/roster/swaps".to_owned(),
        current: "roster",
        schedule: Some(&schedule),
    };
    let taker = Some(fields.get("person")).filter(|person| !person.is_empty());
    let accept = async |work: &mut Work| swaps::accept(work, id, taker, may, maker(&reader)).await;
    match pressed(&app, &reader, &fields, about, accept).await {
        Ok(Pressed::Shown(page)) => Ok(page),
        Ok(Pressed::Done(())) => finish(&app, &reader, "", fields, Ok(())).await,
        Err(error) => finish(&app, &reader, "", fields, Err(error)).await,
    }
}

/// `POST /roster/swaps/{id}/decline`
pub(in crate::dashboard) async fn decline(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    said(&app, &reader, &id, fields, async |work, id, may, by| swaps::decline(work, id, may, by).await).await
}

/// `POST /roster/swaps/{id}/take-back`
pub(in crate::dashboard) async fn take_back(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    said(&app, &reader, &id, fields, async |work, id, may, by| swaps::take_back(work, id, may, by).await).await
}

/// Says something to a request, and shows what has become of it.
async fn said(
    app: &App,
    reader: &Reader,
    id: &str,
    fields: Fields,
    say: impl AsyncFnOnce(&mut Work, SwapId, May, &str) -> Result<(), RosterError>,
) -> Result<Response, Refusal> {
    let may = may(app, reader).await?.ok_or(Refusal::Forbidden)?;
    let id = id.parse().map_err(|_| Refusal::NotFound)?;
    let said = app.engine.carry_out(reader.doer(), async |work| say(work, id, may, maker(reader)).await).await;
    finish(app, reader, "", fields, said).await
}

async fn finish(
    app: &App,
    reader: &Reader,
    form: &str,
    fields: Fields,
    done: Result<(), RosterError>,
) -> Result<Response, Refusal> {
    match done {
        Ok(()) => Ok(go_to("/roster/swaps?done=saved")),
        Err(error) => {
            let sent = Sent { form: form.to_owned(), wrong: wrong(reader.words, &error, &fields)?, fields };
            page(app, reader, "", Some(sent), None).await
        }
    }
}

async fn page(
    app: &App,
    reader: &Reader,
    query: &str,
    sent: Option<Sent>,
    done: Option<&'static str>,
) -> Result<Response, Refusal> {
    let (words, now) = (reader.words, app.engine.clock.now());
    let mut store = app.engine.store.read().await?;
    let roster = Arc::new(store.db().roster().await?);
    let me = reader.person(&mut store.db()).await?.map(|me| me.id);
    let mut open = store.db().open_swaps(now).await?;
    open.retain(|row| row.standing(now) == Standing::Open);
    let latest = store.db().latest_swaps(SwapId(uuid::Uuid::max()), MOST_DECIDED).await?;
    let plan = Arc::clone(&roster);
    let asked = open.clone();
    let looked = costly::run(move |_| asked.iter().map(|row| is_still_theirs(&plan, row)).collect::<Vec<_>>()).await;
    // Where that takes too long, each is shown as if it were: it is looked at again when somebody accepts.
    let unchecked = looked.is_err().then_some(words.swap_not_checked.as_str());
    let theirs = looked.unwrap_or_else(|_| vec![true; open.len()]);
    let open: Vec<(bool, SwapRow)> = theirs.into_iter().zip(open).collect();
    let drawn = Drawn { reader, roster: &roster, me, now };
    let (mut of_you, mut by_you, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for (is_theirs, row) in &open {
        let line = drawn.line(row, *is_theirs);
        match me {
            Some(me) if is_asked(&roster, row, me) => of_you.push(line),
            Some(me) if row.person_id == me => by_you.push(line),
            _ => others.push(line),
        }
    }
    let decided = latest.iter().filter(|row| row.standing(now) != Standing::Open).map(|row| drawn.line(row, true)).collect();
    let nobody_waits = open.is_empty();
    let groups = [
        (words.swap_of_you.as_str(), of_you),
        (words.swap_by_you.as_str(), by_you),
        (words.swap_others.as_str(), others),
        (words.swap_decided.as_str(), decided),
    ];
    let status = if sent.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = SwapsPage {
        frame: Frame::new(reader, "roster", words.swap_title.as_str(), now),
        words,
        done,
        wrong: sent.as_ref().filter(|sent| sent.form != ASK).map(|sent| sent.wrong.sentence.clone()),
        groups: groups
            .into_iter()
            .filter(|(_, lines): &(_, Vec<Line>)| !lines.is_empty())
            .map(|(heading, lines)| Group { heading, lines })
            .collect(),
        nobody_waits,
        unchecked,
        ask: ask_form(reader, &roster, me, query).map(|form| form.again(sent.as_ref())),
    };
    Ok(html(status, &page))
}

/// How requests are drawn.
struct Drawn<'d> {
    reader: &'d Reader,
    roster: &'d Roster,
    me: Option<PersonId>,
    now: DateTime<Utc>,
}

impl Drawn<'_> {
    fn line(&self, row: &SwapRow, is_theirs: bool) -> Line {
        let words = self.reader.words;
        let schedule = self.roster.schedule(row.schedule_id);
        let zone = schedule.map_or(Tz::UTC, |own| own.zone);
        let name = |person| self.roster.name(person);
        let at = |at| shown(words, zone, at);
        let (giver, other) = (name(row.person_id), row.other_id.map_or_else(|| words.swap_anybody.clone(), name));
        let says = fill_text(
            &words.swap_says,
            &[
                ("name", &giver),
                ("other", &other),
                ("schedule", schedule.map_or("", |own| &own.name)),
                ("from", &at(row.starts_at)),
                ("to", &at(row.ends_at)),
                ("zone", zone.name()),
            ],
        );
        let back = row.back().map(|(from, to)| fill_text(&words.swap_in_exchange, &[("from", &at(from)), ("to", &at(to))]));
        let standing = row.standing(self.now);
        let taken_by = row.taken_by.map(name).unwrap_or_default();
        let standing_words = match standing {
            Standing::Open => words.swap_is_open.clone(),
            Standing::Accepted => fill_text(&words.swap_is_accepted, &[("name", &taken_by)]),
            Standing::Declined => words.swap_is_declined.clone(),
            Standing::TakenBack => words.swap_is_taken_back.clone(),
            Standing::Lapsed => words.swap_is_lapsed.clone(),
        };
        let is_open = standing == Standing::Open;
        let of_me = self.me.is_some_and(|me| is_asked(self.roster, row, me));
        let by_me = self.me == Some(row.person_id);
        let edits = self.reader.responds();
        Line {
            back,
            note: row.note.clone(),
            standing: standing_words,
            is_gone: is_open && !is_theirs,
            accept: (is_open && is_theirs && (of_me || edits)).then(|| self.accept(row, &says, of_me)),
            decline: (is_open && ((of_me && row.other_id.is_some()) || (edits && !by_me))).then(|| {
                let word = if of_me { &words.swap_decline } else { &words.swap_decline_for };
                self.press(row, "decline", word, &says).looking("")
            }),
            take_back: (is_open && (by_me || edits))
                .then(|| self.press(row, "take-back", &words.swap_take_back, &says).looking("")),
            says,
        }
    }

    fn press(&self, row: &SwapRow, action: &str, word: &'static str, about: &str) -> Form {
        let id = format!("{action}-{}", row.id);
        Form::new(self.reader, id, format!("/roster/swaps/{}/{action}", row.id), word).about(about)
    }

    /// By which it is accepted: by the reader, or for whoever takes it.
    fn accept(&self, row: &SwapRow, about: &str, of_me: bool) -> Form {
        let words = self.reader.words;
        let word = if of_me { &words.swap_accept } else { &words.swap_accept_for };
        let form = self.press(row, "accept", word, about).holding(LOOK, "yes");
        match (row.other_id, self.me.filter(|_| of_me)) {
            (Some(_), _) => form,
            (None, Some(me)) => form.holding("person", self.roster.name(me)),
            (None, None) => {
                let circle = self.roster.schedule(row.schedule_id).map(|own| circle(self.roster, own)).unwrap_or_default();
                let circle = circle.into_iter().filter(|person| *person != row.person_id);
                let names: Vec<String> = circle.map(|person| self.roster.name(person)).collect();
                form.with([Field::plain("person", &words.swap_takes, Input::Choice(Choice::names(&names)))])
            }
        }
    }
}

/// By which somebody asks; `None` where they could ask for nobody.
fn ask_form(reader: &Reader, roster: &Roster, me: Option<PersonId>, query: &str) -> Option<Form> {
    let words = reader.words;
    let asked = |name: &str| asked(query, name).unwrap_or_default();
    let everybody = people(roster);
    let whose: Vec<String> = match (reader.responds(), me) {
        (true, _) => everybody.clone(),
        (false, me) => vec![roster.name(me?)],
    };
    if roster.schedules.is_empty() || whose.is_empty() {
        return None;
    }
    let person = if asked("person").is_empty() { me.map(|me| roster.name(me)).unwrap_or_default() } else { asked("person") };
    let schedules: Vec<Choice> =
        roster.schedules.iter().map(|own| Choice::new(&own.name, format!("{} ({})", own.name, own.zone.name()))).collect();
    let anybody = Choice::new("", &words.swap_anybody);
    let others = [anybody].into_iter().chain(Choice::names(&everybody)).collect();
    let wall = |name, label| Field::plain(name, label, Input::Wall);
    let schedule = find_schedule(roster, &asked("schedule")).map(|own| own.name.clone()).unwrap_or_default();
    Some(Form::new(reader, ASK, "/roster/swaps", &words.swap_ask).explained(words.swap_why.as_str()).with([
        Field::plain("schedule", &words.roster_calendar, Input::Choice(schedules)).value(schedule),
        Field::plain("person", &words.swap_whose, Input::Choice(Choice::names(&whose))).value(person),
        wall("from", &words.roster_from).value(asked("from")).required(),
        wall("to", &words.roster_to).value(asked("to")).required(),
        Field::plain("other", &words.swap_other, Input::Choice(others)),
        wall("back_from", &words.swap_back_from).how(&words.swap_back_why),
        wall("back_to", &words.swap_back_to),
        Field::plain("note", &words.roster_note, Input::Line),
    ]))
}
