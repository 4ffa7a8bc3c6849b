//! *People*: who can be rung, under which numbers.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::app::App;
use crate::dashboard::alarm::now;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::ids::PersonId;
use crate::keep::people::{self, PersonError, PersonForm};
use crate::versions::Expected;

struct Line {
    id: PersonId,
    name: String,
    language: String,
    numbers: Vec<String>,
}

#[derive(Template)]
#[template(path = "people/people.html")]
struct PeoplePage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    people: Vec<Line>,
    form: PersonForm,
    wrong: Option<String>,
    done: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "people/person.html")]
struct PersonPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    id: PersonId,
    version: String,
    form: PersonForm,
    wrong: Option<String>,
}

/// `GET /people`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let done = now::done_words(reader.words, query.as_deref());
    page(&app, &reader, StatusCode::OK, PersonForm::default(), None, done).await
}

/// `POST /people/add`
pub(in crate::dashboard) async fn add(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let form = form_of(&fields);
    let added = people::add(&app.engine.store, &form, app.engine.region(), app.engine.clock.now()).await;
    match added {
        Ok(_) => Ok(go_to("/people?done=saved")),
        Err(error) => {
            let wrong = sentence(reader.words, error)?;
            page(&app, &reader, StatusCode::UNPROCESSABLE_ENTITY, form, Some(wrong), None).await
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
    Ok(person_page(&app, &reader, StatusCode::OK, id, form, version.as_str(), None))
}

/// `POST /people/{id}`
pub(in crate::dashboard) async fn change(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let (id, form) = (person_id(&id)?, form_of(&fields));
    let (now, expected) = (app.engine.clock.now(), Expected::in_form(fields.get("version")));
    match people::change(&app.engine.store, id, &form, app.engine.region(), now, &expected).await {
        Ok(()) => Ok(go_to("/people?done=saved")),
        Err(error) => {
            let wrong = sentence(reader.words, error)?;
            Ok(person_page(&app, &reader, StatusCode::UNPROCESSABLE_ENTITY, id, form, fields.get("version"), Some(wrong)))
        }
    }
}

/// `POST /people/{id}/remove`
pub(in crate::dashboard) async fn remove(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    people::remove(&app.engine.store, person_id(&id)?, &Expected::in_form(fields.get("version"))).await?;
    Ok(go_to("/people?done=removed"))
}

fn person_id(text: &str) -> Result<PersonId, Refusal> {
    text.parse().map_err(|_| Refusal::NotFound)
}

fn form_of(fields: &Fields) -> PersonForm {
    let text = |name| fields.get(name).to_owned();
    PersonForm { name: text("name"), numbers: text("numbers"), language: text("language") }
}

/// What is wrong with a form, in the reader's language.
fn sentence(words: &Words, error: PersonError) -> Result<String, Refusal> {
    Ok(match &error {
        PersonError::BadName => words.person_bad_name.clone(),
        PersonError::NameTaken(name) => fill_text(&words.person_name_taken, &[("name", name)]),
        PersonError::HowMany => words.person_how_many.clone(),
        PersonError::BadNumber(number) => fill_text(&words.person_bad_number, &[("number", number)]),
        PersonError::NumberTaken { number, owner } => {
            fill_text(&words.person_number_taken, &[("number", number), ("owner", owner)])
        }
        PersonError::BadLanguage(_) => words.person_bad_language.clone(),
        PersonError::Gone | PersonError::Stale(_) | PersonError::Store(_) => return Err(error.into()),
    })
}

async fn page(
    app: &App,
    reader: &Reader,
    status: StatusCode,
    form: PersonForm,
    wrong: Option<String>,
    done: Option<&'static str>,
) -> Result<Response, Refusal> {
    let people = app.engine.store.read().await?.db().people().await?;
    let line = |(person, numbers): (crate::store::duty::people::PersonRow, Vec<String>)| Line {
        id: person.id,
        name: person.name,
        language: person.language,
        numbers: numbers.iter().map(|number| reader.number(number)).collect(),
    };
    let people = people.into_iter().map(line).collect();
    let frame = Frame::new(reader, "people", reader.words.nav_people.as_str(), app.engine.clock.now());
    Ok(html(status, &PeoplePage { frame, words: reader.words, people, form, wrong, done }))
}

fn person_page(
    app: &App,
    reader: &Reader,
    status: StatusCode,
    id: PersonId,
    form: PersonForm,
    version: &str,
    wrong: Option<String>,
) -> Response {
    let frame = Frame::new(reader, "people", form.name.as_str(), app.engine.clock.now());
    html(status, &PersonPage { frame, words: reader.words, id, form, version: version.to_owned(), wrong })
}
