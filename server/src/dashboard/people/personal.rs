//! What is kept of a person: taken out as a file, or forgotten. Its words are in `frame/words/pages/kept/personal.toml`.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;

use crate::api::personal::person::{for_a_while, sent};
use crate::app::App;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::ids::PersonId;
use crate::keep::personal::erasing::{self, ErasureError};
use crate::keep::personal::export::{self, Export};
use crate::versions::Expected;

#[derive(Template)]
#[template(path = "people/personal.html")]
struct PersonalPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    name: String,
    /// Where the file is, and where they are erased.
    file: String,
    erase: String,
    wrong: Option<String>,
    form_token: &'r str,
}

fn person_id(text: &str) -> Result<PersonId, Refusal> {
    text.parse().map_err(|_| Refusal::NotFound)
}

/// `GET /people/{id}/personal`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    page(&app, &reader, person_id(&id)?, StatusCode::OK, None).await
}

/// `GET /people/{id}/personal.json`
pub(in crate::dashboard) async fn file(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    method: Method,
) -> Result<Response, Refusal> {
    let id = person_id(&id)?;
    // A look is given no file.
    if method != Method::HEAD {
        app.engine.carry_out(reader.doer(), async |work| export::note(work, id).await).await?;
    }
    Ok(sent(Export::begin(app.engine.store.clone(), id).await?))
}

/// `POST /people/{id}/erase`
pub(in crate::dashboard) async fn erase(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let (id, words) = (person_id(&id)?, reader.words);
    if fields.get("sure") != "yes" {
        return page(&app, &reader, id, StatusCode::UNPROCESSABLE_ENTITY, Some(words.personal_not_sure.clone())).await;
    }
    let begun = app.engine.carry_out(reader.doer(), async |work| erasing::begin(work, id, &Expected::Anything).await).await;
    let wrong = match begun {
        Ok(()) => {
            for_a_while(&app.engine.store, app.engine.clock.now()).await.map_err(refused)?;
            return Ok(go_to("/people?done=removed"));
        }
        Err(ErasureError::InOpenHunt) => words.personal_in_alarm.clone(),
        Err(ErasureError::OnDuty(schedule)) => fill_text(&words.personal_on_duty, &[("schedule", &schedule)]),
        Err(ErasureError::Bound(line)) => fill_text(&words.personal_bound, &[("line", &line)]),
        Err(ErasureError::LastAdmin) => words.personal_last_admin.clone(),
        Err(error) => return Err(refused(error)),
    };
    page(&app, &reader, id, StatusCode::CONFLICT, Some(wrong)).await
}

fn refused(error: ErasureError) -> Refusal {
    match error {
        ErasureError::Store(error) => error.into(),
        ErasureError::Person(error) => error.into(),
        _ => Refusal::NotFound,
    }
}

async fn page(app: &App, reader: &Reader, id: PersonId, status: StatusCode, wrong: Option<String>) -> Result<Response, Refusal> {
    let words = reader.words;
    let person = app.engine.store.read().await?.db().person(id).await?.ok_or(Refusal::NotFound)?;
    let page = PersonalPage {
        frame: Frame::new(reader, "people", words.personal_title.as_str(), app.engine.clock.now()),
        words,
        name: person.name,
        file: format!("/people/{id}/personal.json"),
        erase: format!("/people/{id}/erase"),
        wrong,
        form_token: &reader.form_token,
    };
    Ok(html(status, &page))
}
