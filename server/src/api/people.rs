//! People: `/api/v1/people`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::requests::merge::Patch;
use super::roster::preview::{self, DutyPreviewJson, dry_run};
use crate::access::senders::Sender;
use crate::app::App;
use crate::http::listing::{Listed, Paged, Paging, located};
use crate::http::problem::{Code, Problem};
use crate::http::versions::versioned;
use crate::ids::PersonId;
use crate::intake::alarm_request;
use crate::keep::people::{self, PersonError, PersonForm};
use crate::numbers::{Number, Region};
use crate::store::Db;
use crate::store::duty::people::PersonRow;
use crate::versions::{Expected, Version};

/// What is told of a name or an id that is nobody's.
pub(in crate::api) const NO_SUCH_PERSON: &str = "there is no such person: GET /api/v1/people lists everybody by name and id";

/// Somebody who can be rung, as they are written.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonWritten {
    /// The name shown as the one who answered; unique.
    #[schema(min_length = 1, max_length = 200, pattern = "\\S")]
    name: String,
    /// The numbers under which they can be rung, the preferred one first.
    #[schema(min_items = 1, max_items = 20)]
    numbers: Vec<String>,
    /// The language to address them in, such as zh-CN, ja, en or es; empty: none.
    #[serde(default)]
    #[schema(max_length = 35)]
    language: String,
}

/// Somebody who can be rung.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonJson {
    id: PersonId,
    name: String,
    /// E.164 where the numbering plan knows them, the preferred one first.
    numbers: Vec<String>,
    /// By which calendars name them.
    emails: Vec<String>,
    /// The language to address them in; null: none.
    language: Option<String>,
}

/// A person with all that is known of them.
struct Known {
    row: PersonRow,
    numbers: Vec<String>,
    emails: Vec<String>,
}

/// Finds somebody by name or id.
pub(in crate::api) async fn person(db: &mut Db<'_>, which: &str) -> Result<PersonRow, Problem> {
    let row = match db.person_called(which).await? {
        Some(id) => db.person(id).await?,
        None => None,
    };
    row.ok_or_else(|| Problem::not_found(NO_SUCH_PERSON))
}

impl Known {
    /// By name or id.
    async fn find(db: &mut Db<'_>, which: &str) -> Result<Self, Problem> {
        let row = person(db, which).await?;
        let numbers = db.numbers_of(row.id).await?;
        let emails = db.emails().await?.remove(&row.id).unwrap_or_default();
        Ok(Self { row, numbers, emails })
    }

    fn version(&self) -> Version {
        people::version(&self.row, &self.numbers)
    }

    fn written(&self) -> PersonWritten {
        PersonWritten { name: self.row.name.clone(), numbers: self.numbers.clone(), language: self.row.language.clone() }
    }

    fn answer(self, headers: &HeaderMap, status: StatusCode) -> Response {
        let version = self.version();
        versioned(headers, status, &version, &PersonJson::from(self))
    }
}

impl From<Known> for PersonJson {
    fn from(known: Known) -> Self {
        let Known { row, numbers, emails } = known;
        let language = Some(row.language).filter(|language| !language.is_empty());
        Self { id: row.id, name: row.name, numbers, emails, language }
    }
}

impl PersonWritten {
    fn form(&self) -> PersonForm {
        PersonForm { name: self.name.clone(), numbers: self.numbers.join("\n"), language: self.language.clone() }
    }

    /// Why it was not stored, with the field at fault.
    fn refused(&self, error: PersonError, region: Region) -> Problem {
        let text = error.to_string();
        // The form quotes the beginning of what cannot be dialled, and what belongs to somebody else as it would be kept.
        let is = |own: &str, given: &str| {
            own.trim().starts_with(given) || Number::parse(own, region).is_ok_and(|parsed| parsed.number.as_str() == given)
        };
        let number = |given: &str| match self.numbers.iter().position(|own| is(own, given)) {
            Some(place) => format!("numbers[{place}]"),
            None => "numbers".to_owned(),
        };
        match error {
            PersonError::BadName => Problem::invalid("name", text),
            PersonError::NameTaken(_) => Problem::new(StatusCode::CONFLICT, Code::NameTaken, text),
            PersonError::HowMany => Problem::invalid("numbers", text),
            PersonError::BadNumber(given) => Problem::invalid(number(&given), text),
            PersonError::NumberTaken { number: given, .. } => Problem::invalid(number(&given), text),
            PersonError::BadLanguage(_) => Problem::invalid("language", text),
            PersonError::Stale(stale) => stale.into(),
            PersonError::Gone => Problem::not_found(text),
            PersonError::Store(error) => error.into(),
        }
    }
}

/// Everybody who can be rung.
#[utoipa::path(get, path = "/api/v1/people", tag = "people", params(Paged),
    responses((status = 200, description = "By name", body = Listed<PersonJson>),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let paging = Paging::read(query.as_deref())?;
    let mut reader = app.engine.store.read().await?;
    let mut emails = reader.db().emails().await?;
    let people = reader.db().people().await?.into_iter().map(|(row, numbers)| {
        let emails = emails.remove(&row.id).unwrap_or_default();
        (row.name.clone(), PersonJson::from(Known { row, numbers, emails }))
    });
    Ok(paging.page(people.collect()).answer())
}

/// Adds a person.
#[utoipa::path(post, path = "/api/v1/people", tag = "people", request_body = PersonWritten,
    responses((status = 201, description = "Added", body = PersonJson),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What is wrong is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn add(State(app): State<Arc<App>>, Extension(sender): Extension<Sender>, body: Body) -> Result<Response, Problem> {
    let wanted = read(&app, body).await?;
    let (form, region) = (wanted.form(), app.engine.region());
    let added = app.engine.carry_out(sender.doer(), async |work| people::add(work, &form, region).await).await;
    let id = added.map_err(|error| wanted.refused(error, region))?;
    let known = Known::find(&mut app.engine.store.read().await?.db(), &id.to_string()).await?;
    Ok(located(&format!("/api/v1/people/{id}"), known.answer(&HeaderMap::new(), StatusCode::CREATED)))
}

/// One person.
#[utoipa::path(get, path = "/api/v1/people/{person}", tag = "people",
    params(("person" = String, Path, description = "Their name or id")),
    responses((status = 200, description = "The person", body = PersonJson),
        (status = 404, description = "There is no such person", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(State(app): State<Arc<App>>, Path(person): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let known = Known::find(&mut app.engine.store.read().await?.db(), &person).await?;
    Ok(known.answer(&headers, StatusCode::OK))
}

/// Replaces what is said of a person; their e-mail addresses stay.
#[utoipa::path(put, path = "/api/v1/people/{person}", tag = "people", request_body = PersonWritten,
    params(("person" = String, Path, description = "Their name or id")),
    responses((status = 200, description = "Replaced", body = PersonJson),
        (status = 404, description = "There is no such person", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What is wrong is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn change(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(person): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let wanted = read(&app, body).await?;
    let known = Known::find(&mut app.engine.store.read().await?.db(), &person).await?;
    changed(&app, &sender, known.row.id, &wanted, &Expected::of(&headers)).await
}

/// Changes what is named and leaves the rest.
#[utoipa::path(patch, path = "/api/v1/people/{person}", tag = "people", request_body = PersonWritten,
    params(("person" = String, Path, description = "Their name or id")),
    responses((status = 200, description = "Changed", body = PersonJson),
        (status = 404, description = "There is no such person", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "What is wrong is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn patch(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(person): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let patch = Patch::read(&app, &headers, body).await?;
    let known = Known::find(&mut app.engine.store.read().await?.db(), &person).await?;
    let expected = patch.of(known.version())?;
    changed(&app, &sender, known.row.id, &patch.on(&known.written())?, &expected).await
}

/// Removes a person and their numbers; what they answered keeps their name.
#[utoipa::path(delete, path = "/api/v1/people/{person}", tag = "people",
    params(("person" = String, Path, description = "Their name or id"),
        ("dry_run" = Option<bool>, Query, description = "`true`: say who would come on duty by that, and change nothing")),
    responses((status = 200, description = "With `dry_run`: what would change", body = DutyPreviewJson),
        (status = 204, description = "Removed"),
        (status = 404, description = "There is no such person", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn remove(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(person): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = Known::find(&mut app.engine.store.read().await?.db(), &person).await?;
    let (id, expected) = (known.row.id, Expected::of(&headers));
    let refused = |error| known.written().refused(error, app.engine.region());
    if dry_run(query.as_deref())? {
        let (mut reader, now) = (app.engine.store.read().await?, app.engine.clock.now());
        let plans = people::removal(&mut reader.db(), id, &expected, now).await.map_err(refused)?;
        drop(reader);
        return preview::told(plans).await;
    }
    app.engine.carry_out(sender.doer(), async |work| people::remove(work, id, &expected).await).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn read(app: &App, body: Body) -> Result<PersonWritten, Problem> {
    alarm_request::read_json(&alarm_request::read_body(body, app.config().http.body_limit_bytes).await?)
}

async fn changed(
    app: &App,
    sender: &Sender,
    id: PersonId,
    wanted: &PersonWritten,
    expected: &Expected,
) -> Result<Response, Problem> {
    let (form, region) = (wanted.form(), app.engine.region());
    let changed = app.engine.carry_out(sender.doer(), async |work| people::change(work, id, &form, region, expected).await).await;
    changed.map_err(|error| wanted.refused(error, region))?;
    let known = Known::find(&mut app.engine.store.read().await?.db(), &id.to_string()).await?;
    Ok(known.answer(&HeaderMap::new(), StatusCode::OK))
}
