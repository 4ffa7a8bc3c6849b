//! How somebody is told by text message: everybody's own page, and anybody's for admins.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;

use crate::alarm::policy::AlarmTexts;
use crate::alarm::ways::{By, LATEST, MOST_WAYS, Way};
use crate::app::App;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::edit::{Edit, edit_page};
use crate::dashboard::frame::field::{Choice, Field, Input, Wrong, number};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::keep::refused::Refused;
use crate::keep::roster::told;
use crate::store::Db;
use crate::store::duty::people::PersonRow;
use crate::store::duty::told::ToldRow;
use crate::versions::Expected;

/// As it was typed.
struct ToldForm {
    alarm_texts: String,
    shift: String,
    put_on_duty: bool,
    /// By what and which number, and how many minutes after their turn has come.
    ways: Vec<(String, String)>,
}

/// So many ways more than there are can be filled in.
const MORE_WAYS: usize = 2;

/// `GET /people/me/told`
pub(in crate::dashboard) async fn show_mine(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
) -> Result<Response, Refusal> {
    let person = me(&mut app.engine.store.read().await?.db(), &reader).await?;
    opened(&app, &reader, &person, "/people/me/told").await
}

/// `POST /people/me/told`
pub(in crate::dashboard) async fn change_mine(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let person = me(&mut app.engine.store.read().await?.db(), &reader).await?;
    changed(&app, &reader, &person, "/people/me/told", &fields).await
}

/// `GET /people/{id}/told`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let person = of_id(&mut app.engine.store.read().await?.db(), &id).await?;
    let address = format!("/people/{}/told", person.id);
    opened(&app, &reader, &person, &address).await
}

/// `POST /people/{id}/told`
pub(in crate::dashboard) async fn change(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let person = of_id(&mut app.engine.store.read().await?.db(), &id).await?;
    let address = format!("/people/{}/told", person.id);
    changed(&app, &reader, &person, &address, &fields).await
}

async fn me(db: &mut Db<'_>, reader: &Reader) -> Result<PersonRow, Refusal> {
    reader.person(db).await?.ok_or(Refusal::NotFound)
}

async fn of_id(db: &mut Db<'_>, id: &str) -> Result<PersonRow, Refusal> {
    let id = id.parse().map_err(|_| Refusal::NotFound)?;
    db.person(id).await?.ok_or(Refusal::NotFound)
}

async fn opened(app: &App, reader: &Reader, person: &PersonRow, address: &str) -> Result<Response, Refusal> {
    let mut reading = app.engine.store.read().await?;
    let row = reading.db().told(person.id).await?;
    let numbers = reading.db().numbers_of(person.id).await?;
    drop(reading);
    let version = told::version(person.id, &row);
    let form = ToldForm {
        alarm_texts: row.alarm_texts.as_str().to_owned(),
        shift: row.shift_minutes.map(|minutes| minutes.to_string()).unwrap_or_default(),
        put_on_duty: row.put_on_duty,
        ways: row.ways.iter().map(|way| (of_way(way.by, &way.number), minutes_of(way.after_seconds))).collect(),
    };
    Ok(page(app, reader, (person, &numbers), address, &form, version.as_str(), None))
}

async fn changed(app: &App, reader: &Reader, person: &PersonRow, address: &str, fields: &Fields) -> Result<Response, Refusal> {
    let form = ToldForm {
        alarm_texts: fields.get("alarm_texts").to_owned(),
        shift: fields.get("shift").to_owned(),
        put_on_duty: fields.get("put_on_duty") == "yes",
        ways: (0..MOST_WAYS)
            .map(|at| (fields.get(&format!("way{at}")).to_owned(), fields.get(&format!("after{at}")).to_owned()))
            .collect(),
    };
    let read = number("shift", &form.shift, &reader.words.told_shift_bad);
    let wrong = match read.and_then(|shift_minutes| Ok((shift_minutes, ways_of(reader.words, &form.ways)?))) {
        Err(wrong) => wrong,
        Ok((shift_minutes, ways)) => {
            let alarm_texts = AlarmTexts::parse(&form.alarm_texts).unwrap_or_default();
            let row = ToldRow { alarm_texts, shift_minutes, put_on_duty: form.put_on_duty, ways: ways.into() };
            let expected = Expected::in_form(fields.get("version"));
            match app.engine.carry_out(reader.doer(), async |work| told::set(work, person.id, &row, &expected).await).await {
                Ok(()) => return Ok(go_to("/people?done=saved")),
                Err(Refused::Wrong { field: "ways", .. }) => Wrong::new("way0", &reader.words.told_ways_bad),
                Err(Refused::Wrong { .. }) => Wrong::new("shift", &reader.words.told_shift_bad),
                Err(refused) => return Err(refused.into()),
            }
        }
    };
    let numbers = app.engine.store.read().await?.db().numbers_of(person.id).await?;
    Ok(page(app, reader, (person, &numbers), address, &form, fields.get("version"), Some(wrong)))
}

/// How a choice of a way is called in the form.
fn of_way(by: By, number: &str) -> String {
    format!("{} {number}", by.as_str())
}

fn minutes_of(seconds: i32) -> String {
    match seconds % 60 {
        0 => (seconds / 60).to_string(),
        _ => format!("{}:{:02}", seconds / 60, seconds % 60),
    }
}

/// Minutes, or minutes and seconds as they are shown.
fn seconds_of(written: &str) -> Option<i32> {
    let (minutes, seconds) = written.trim().split_once(':').unwrap_or((written.trim(), "0"));
    let minutes: i32 = if minutes.is_empty() { 0 } else { minutes.parse().ok()? };
    seconds.parse().ok().and_then(|seconds: i32| minutes.checked_mul(60)?.checked_add(seconds))
}

/// The ways that were chosen.
fn ways_of(words: &'static Words, typed: &[(String, String)]) -> Result<Vec<Way>, Wrong> {
    let mut ways = Vec::new();
    for (at, (which, after)) in typed.iter().enumerate().filter(|(_, (which, _))| !which.is_empty()) {
        let way = which.split_once(' ').and_then(|(by, number)| Some((By::parse(by)?, number)));
        let after_seconds = seconds_of(after).filter(|after| (0..=LATEST).contains(after));
        match (way, after_seconds) {
            (Some((by, number)), Some(after_seconds)) => ways.push(Way { by, number: number.to_owned(), after_seconds }),
            _ => return Err(Wrong::new(format!("after{at}"), &words.told_after_bad)),
        }
    }
    Ok(ways)
}

fn page(
    app: &App,
    reader: &Reader,
    (person, numbers): (&PersonRow, &[String]),
    address: &str,
    form: &ToldForm,
    version: &str,
    wrong: Option<Wrong>,
) -> Response {
    let words = reader.words;
    let edit = Edit {
        title: person.name.clone(),
        address: address.to_owned(),
        how: words.told_how.as_str().into(),
        fields: fields_of(reader, numbers, form, wrong.as_ref()),
        hidden: Vec::new(),
        wrong,
        version: version.to_owned(),
        remove_sure: None,
        of: ("people", "/people"),
    };
    edit_page(app, reader, edit)
}

fn fields_of(reader: &Reader, numbers: &[String], form: &ToldForm, wrong: Option<&Wrong>) -> Vec<Field> {
    let words = reader.words;
    let choices = [
        (AlarmTexts::Policy, &words.told_by_policy),
        (AlarmTexts::Always, &words.told_always),
        (AlarmTexts::Never, &words.told_never),
    ];
    let choices = choices.map(|(texts, label)| Choice::new(texts.as_str(), label)).into();
    let mut fields = vec![
        Field::plain("alarm_texts", &words.told_alarm_texts, Input::Choice(choices)).value(&form.alarm_texts),
        Field::plain("shift", &words.told_shift, Input::Number).value(&form.shift).how(&words.told_shift_how),
    ];
    let mut ways = vec![Choice::new("", &words.told_way_none)];
    for (by, says) in [(By::Call, &words.told_way_call), (By::Text, &words.told_way_text)] {
        let way =
            |number: &String| Choice::new(of_way(by, number), fill_text(says, &[("number", reader.number(number).as_str())]));
        ways.extend(numbers.iter().map(way));
    }
    let filled = form.ways.iter().rposition(|(which, _)| !which.is_empty()).map_or(0, |last| last + 1);
    for at in 0..(filled + MORE_WAYS).min(MOST_WAYS) {
        let (which, after) = form.ways.get(at).map_or(("", ""), |(which, after)| (which.as_str(), after.as_str()));
        let how = if at == 0 { words.told_ways_how.as_str() } else { "" };
        fields.push(Field::new(format!("way{at}"), &words.told_way, how, which, Input::Choice(ways.clone()), wrong));
        fields.push(Field::new(format!("after{at}"), &words.told_after, "", after, Input::Line, wrong));
    }
    // Last, so that each way stands beside its time.
    let put_on_duty = Field::plain("put_on_duty", &words.told_put_on_duty, Input::Tick(&words.told_put_on_duty_tick));
    fields.push(put_on_duty.value(if form.put_on_duty { "yes" } else { "" }));
    fields
}
