//! *People*: who can be rung, under which numbers.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::calls;
use crate::app::App;
use crate::dashboard::alarm::now;
use crate::dashboard::duty::preview::drawn;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::edit::{Edit, edit_page_over};
use crate::dashboard::frame::field::{Field, Input, Wrong};
use crate::dashboard::frame::form::{Form, Sent};
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, escape, fill_text};
use crate::ids::PersonId;
use crate::keep::people::{self, PersonError, PersonForm};
use crate::store::duty::people::PersonRow;
use crate::versions::Expected;

/// The form by which somebody is added.
const ADD: &str = "person";

struct Line {
    id: PersonId,
    name: String,
    language: String,
    numbers: Vec<String>,
    /// Where it is said how they are told, where the reader may say it.
    told: Option<String>,
}

#[derive(Template)]
#[template(path = "people/people.html")]
struct PeoplePage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    people: Vec<Line>,
    /// By which somebody is added.
    form: Form,
    done: Option<&'static str>,
}

/// `GET /people`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let done = now::done_words(reader.words, query.as_deref());
    page(&app, &reader, StatusCode::OK, None, done).await
}

/// `POST /people/add`
pub(in crate::dashboard) async fn add(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let form = form_of(&fields);
    let region = app.engine.region();
    match app.engine.carry_out(reader.doer(), async |work| people::add(work, &form, region).await).await {
        Ok(_) => Ok(go_to("/people?done=saved")),
        Err(error) => {
            let sent = Sent { form: ADD.to_owned(), wrong: wrong(reader.words, error)?, fields };
            page(&app, &reader, StatusCode::UNPROCESSABLE_ENTITY, Some(sent), None).await
        }
    }
}

/// `GET /people/{id}`
pub(in crate::dashboard) async fn edit(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let id = person_id(&id)?;
    let people = app.engine.store.read().await?.db().people().await?;
    let (person, numbers) = people.into_iter().find(|(person, _)| person.id == id).ok_or(Refusal::NotFound)?;
    let version = people::version(&person, &numbers);
    let form = PersonForm { name: person.name, numbers: numbers.join("\n"), language: person.language };
    person_page(&app, &reader, id, &form, version.as_str(), None).await
}

/// `POST /people/{id}`
pub(in crate::dashboard) async fn change(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let (id, form) = (person_id(&id)?, form_of(&fields));
    let (region, expected) = (app.engine.region(), Expected::in_form(fields.get("version")));
    match app.engine.carry_out(reader.doer(), async |work| people::change(work, id, &form, region, &expected).await).await {
        Ok(()) => Ok(go_to("/people?done=saved")),
        Err(error) => {
            let wrong = wrong(reader.words, error)?;
            person_page(&app, &reader, id, &form, fields.get("version"), Some(wrong)).await
        }
    }
}

/// `POST /people/{id}/remove`
pub(in crate::dashboard) async fn remove(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let (id, expected) = (person_id(&id)?, Expected::in_form(fields.get("version")));
    app.engine.carry_out(reader.doer(), async |work| people::remove(work, id, &expected).await).await?;
    Ok(go_to("/people?done=removed"))
}

fn person_id(text: &str) -> Result<PersonId, Refusal> {
    text.parse().map_err(|_| Refusal::NotFound)
}

fn form_of(fields: &Fields) -> PersonForm {
    let text = |name| fields.get(name).to_owned();
    PersonForm { name: text("name"), numbers: text("numbers"), language: text("language") }
}

/// What is wrong with a form, in the reader's language and at its field.
fn wrong(words: &Words, error: PersonError) -> Result<Wrong, Refusal> {
    Ok(match &error {
        PersonError::BadName => Wrong::new("name", &words.person_bad_name),
        PersonError::NameTaken(name) => Wrong::new("name", fill_text(&words.person_name_taken, &[("name", name)])),
        PersonError::HowMany => Wrong::new("numbers", &words.person_how_many),
        PersonError::BadNumber(number) => Wrong::new("numbers", fill_text(&words.person_bad_number, &[("number", number)])),
        PersonError::NumberTaken { number, owner } => {
            Wrong::new("numbers", fill_text(&words.person_number_taken, &[("number", number), ("owner", owner)]))
        }
        PersonError::BadLanguage(_) => Wrong::new("language", &words.person_bad_language),
        PersonError::Gone | PersonError::Stale(_) | PersonError::Store(_) => return Err(error.into()),
    })
}

fn fields(words: &'static Words, form: &PersonForm) -> [Field; 3] {
    [
        Field::plain("name", &words.person_name, Input::Line).value(&form.name).required(),
        Field::plain("numbers", &words.person_numbers, Input::Lines(3))
            .value(&form.numbers)
            .how(&words.person_numbers_how)
            .required(),
        Field::plain("language", &words.person_language, Input::Line).value(&form.language).hint("zh-CN"),
    ]
}

async fn page(
    app: &App,
    reader: &Reader,
    status: StatusCode,
    sent: Option<Sent>,
    done: Option<&'static str>,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let people = app.engine.store.read().await?.db().people().await?;
    let told = |person: &PersonRow| match reader.is_called(&person.name) {
        true => Some("/people/me/told".to_owned()),
        false => reader.administers().then(|| format!("/people/{}/told", person.id)),
    };
    let line = |(person, numbers): (PersonRow, Vec<String>)| Line {
        told: told(&person),
        id: person.id,
        name: person.name,
        language: person.language,
        numbers: numbers.iter().map(|number| reader.number(number)).collect(),
    };
    let people = people.into_iter().map(line).collect();
    let frame = Frame::new(reader, "people", words.nav_people.as_str(), app.engine.clock.now());
    let form = Form::new(reader, ADD, "/people/add", &words.person_save).with(fields(words, &PersonForm::default()));
    Ok(html(status, &PeoplePage { frame, words, people, form: form.again(sent.as_ref()), done }))
}

async fn person_page(
    app: &App,
    reader: &Reader,
    id: PersonId,
    form: &PersonForm,
    version: &str,
    wrong: Option<Wrong>,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let edit = Edit {
        title: form.name.clone(),
        address: format!("/people/{id}"),
        how: "".into(),
        fields: fields(words, form).into(),
        hidden: Vec::new(),
        wrong,
        version: version.to_owned(),
        remove_sure: Some(&words.person_remove_sure),
        of: ("people", "/people"),
    };
    // Whom the removal would put on duty is seen before it is pressed.
    let mut connection = app.engine.store.read().await?;
    let plans = people::removal(&mut connection.db(), id, &Expected::Anything, app.engine.clock.now()).await?;
    drop(connection);
    let removal = drawn(reader, plans).await;
    let removal = format!("<h2 class=\"head\">{}</h2>{removal}", escape(&words.person_remove_changes));
    Ok(edit_page_over(app, reader, edit, format!("{removal}{}", calls::of_person(app, reader, id).await?)))
}
