//! What is kept of one person, taken out and forgotten: `/api/v1/people/{person}/export` and `/erase`.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::stream;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::senders::Sender;
use crate::app::App;
use crate::http::answer;
use crate::http::problem::{Code, Problem};
use crate::http::versions::Look;
use crate::ids::PersonId;
use crate::keep::people::PersonError;
use crate::keep::personal::erasing::{self, ErasureError, Left};
use crate::keep::personal::export::{self, Export};
use crate::store::{Store, StoreError};
use crate::versions::Expected;

/// An answer does not wait for longer than that; the rest goes on by itself.
pub const ERASES_WHILE_ASKED: Duration = Duration::from_secs(5);

/// How far an erasure has got.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErasureJson {
    /// Who it was: an id, for there is no name any more.
    id: String,
    /// Whether nothing is left; else it goes on by itself. Where an alarm still rings their number, it waits until that is over.
    done: bool,
}

async fn found(app: &App, named: &str) -> Result<PersonId, Problem> {
    let mut reader = app.engine.store.read().await?;
    let known = match named.parse::<PersonId>() {
        Ok(id) => reader.db().person(id).await?,
        Err(_) => reader.db().person_by_name(named).await?,
    };
    known.map(|person| person.id).ok_or_else(|| gone(named))
}

fn gone(named: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, Code::NotFound, format!("there is nobody named {named:?}"))
}

/// All that is kept of a person, as one JSON file: who they are and what is planned for them, when they were on duty, where they were to be
/// rung, answers, calls to and from them, what was recorded of them, text messages, public numbers that led to them, what stands of them on
/// timelines, and the lines of the audit log by or about them.
#[utoipa::path(get, path = "/api/v1/people/{person}/export", tag = "people",
    params(("person" = String, Path, description = "Their name or id")),
    responses((status = 200, description = "The file", body = Object, content_type = "application/json",
            headers(("Content-Disposition" = String, description = "A name for the file"))),
        (status = 404, description = "There is no such person", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn export(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(person): Path<String>,
    look: Option<Extension<Look>>,
) -> Result<Response, Problem> {
    let id = found(&app, &person).await?;
    let missing = |error| match error {
        PersonError::Store(error) => Problem::from(error),
        _ => gone(&person),
    };
    // A look is given no file.
    if look.is_none() {
        app.engine.carry_out(sender.doer(), async |work| export::note(work, id).await).await.map_err(missing)?;
    }
    let file = Export::begin(app.engine.store.clone(), id).await.map_err(missing)?;
    Ok(sent(file))
}

/// A file of one person, sent while it is read.
#[must_use]
pub fn sent(file: Export) -> Response {
    let pieces = stream::try_unfold(file, async |mut file| {
        let piece = file.piece().await?;
        Ok::<_, StoreError>(piece.map(|piece| (Bytes::from(piece), file)))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let head = response.headers_mut();
    head.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    head.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"person.json\""));
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Goes on with erasures for as long as an answer may wait; whether nothing is left.
///
/// # Errors
/// When the database fails.
pub async fn for_a_while(store: &Store, now: chrono::DateTime<chrono::Utc>) -> Result<bool, ErasureError> {
    Ok(erasing::go_on(store, now, ERASES_WHILE_ASKED).await? == Left::Nothing)
}

/// Erases a person: their names, numbers and texts go wherever they stand, what happened stays, and so do the sums of reports. Refused while they
/// are on duty, while an open alarm may ring them or their number, now or when it rings again, or while a public number is bound to them.
#[utoipa::path(post, path = "/api/v1/people/{person}/erase", tag = "people",
    params(("person" = String, Path, description = "Their name or id")),
    responses((status = 200, description = "They are erased, or are being erased", body = ErasureJson),
        (status = 404, description = "There is no such person", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Somebody needs them now: it is said what to do", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn erase(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(person): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (id, expected) = (found(&app, &person).await?, Expected::of(&headers));
    let refused = |error| match error {
        ErasureError::Store(error) => Problem::from(error),
        ErasureError::Person(PersonError::Stale(stale)) => stale.into(),
        ErasureError::Gone | ErasureError::Person(_) => gone(&person),
        other => Problem::new(StatusCode::CONFLICT, Code::PersonIsNeeded, other.to_string()),
    };
    app.engine.carry_out(sender.doer(), async |work| erasing::begin(work, id, &expected).await).await.map_err(refused)?;
    let done = for_a_while(&app.engine.store, app.engine.clock.now()).await.map_err(refused)?;
    Ok(answer(StatusCode::OK, &ErasureJson { id: id.to_string(), done }))
}
