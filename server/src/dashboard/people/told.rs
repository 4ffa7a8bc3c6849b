//! How somebody is told by text message: everybody's own page, and anybody's for admins.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;

use crate::alarm::policy::AlarmTexts;
use crate::app::App;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::edit::{Edit, edit_page};
use crate::dashboard::frame::field::{Choice, Field, Input, Wrong, number};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Words;
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
}

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

/// The person who the reader is, if they are one.
async fn me(db: &mut Db<'_>, reader: &Reader) -> Result<PersonRow, Refusal> {
    let name = reader.visitor.as_ref().and_then(|visitor| visitor.person_name.as_deref()).ok_or(Refusal::NotFound)?;
    db.person_by_name(name).await?.ok_or(Refusal::NotFound)
}

async fn of_id(db: &mut Db<'_>, id: &str) -> Result<PersonRow, Refusal> {
    let id = id.parse().map_err(|_| Refusal::NotFound)?;
    db.person(id).await?.ok_or(Refusal::NotFound)
}

async fn opened(app: &App, reader: &Reader, person: &PersonRow, address: &str) -> Result<Response, Refusal> {
    let row = app.engine.store.read().await?.db().told(person.id).await?;
    let version = told::version(person.id, &row);
    let form = ToldForm {
        alarm_texts: row.alarm_texts.as_str().to_owned(),
        shift: row.shift_minutes.map(|minutes| minutes.to_string()).unwrap_or_default(),
        put_on_duty: row.put_on_duty,
    };
    Ok(page(app, reader, person, address, &form, version.as_str(), None))
}

async fn changed(app: &App, reader: &Reader, person: &PersonRow, address: &str, fields: &Fields) -> Result<Response, Refusal> {
    let form = ToldForm {
        alarm_texts: fields.get("alarm_texts").to_owned(),
        shift: fields.get("shift").to_owned(),
        put_on_duty: fields.get("put_on_duty") == "yes",
    };
    let bad = || Wrong::new("shift", &reader.words.told_shift_bad);
    let wrong = match number("shift", &form.shift, &reader.words.told_shift_bad) {
        Err(wrong) => wrong,
        Ok(shift_minutes) => {
            let alarm_texts = AlarmTexts::parse(&form.alarm_texts).unwrap_or_default();
            let row = ToldRow { alarm_texts, shift_minutes, put_on_duty: form.put_on_duty };
            let expected = Expected::in_form(fields.get("version"));
            match app.engine.carry_out(reader.doer(), async |work| told::set(work, person.id, &row, &expected).await).await {
                Ok(()) => return Ok(go_to("/people?done=saved")),
                Err(Refused::Wrong { .. }) => bad(),
                Err(refused) => return Err(refused.into()),
            }
        }
    };
    Ok(page(app, reader, person, address, &form, fields.get("version"), Some(wrong)))
}

fn page(
    app: &App,
    reader: &Reader,
    person: &PersonRow,
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
        fields: fields_of(words, form).into(),
        hidden: Vec::new(),
        wrong,
        version: version.to_owned(),
        remove_sure: None,
        of: ("people", "/people"),
    };
    edit_page(app, reader, edit)
}

fn fields_of(words: &'static Words, form: &ToldForm) -> [Field; 3] {
    let choices = [
        (AlarmTexts::Policy, &words.told_by_policy),
        (AlarmTexts::Always, &words.told_always),
        (AlarmTexts::Never, &words.told_never),
    ];
    let choices = choices.map(|(texts, label)| Choice::new(texts.as_str(), label)).into();
    [
        Field::plain("alarm_texts", &words.told_alarm_texts, Input::Choice(choices)).value(&form.alarm_texts),
        Field::plain("shift", &words.told_shift, Input::Number).value(&form.shift).how(&words.told_shift_how),
        Field::plain("put_on_duty", &words.told_put_on_duty, Input::Tick(&words.told_put_on_duty_tick))
            .value(if form.put_on_duty { "yes" } else { "" }),
    ]
}
