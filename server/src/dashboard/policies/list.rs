//! *Policies*: whom to ring and whom next, which alarms follow which policy, and numbers that must not be called.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::form::{Filled, PolicyForm, StepFields};
use super::page::page;
use crate::app::App;
use crate::dashboard::alarm::now;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Field, Input, Wrong};
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Words;
use crate::ids::PolicyId;
use crate::keep::policies as checked;
use crate::store::Work;
use crate::versions::Expected;

#[derive(Template)]
#[template(path = "policies/policy.html")]
struct PolicyPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    /// The policy that is changed; none for a new one.
    id: Option<PolicyId>,
    /// Where the form goes.
    address: String,
    /// The version that is changed or removed; empty for a new one.
    version: String,
    /// None for one that is there already: its name stays.
    name: Option<Field>,
    steps: Vec<StepFields>,
    whole: [Field; 4],
    is_wrong: bool,
}

/// `GET /policies`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let done = now::done_words(reader.words, query.as_deref());
    page(&app, &reader, StatusCode::OK, None, done).await
}

/// `GET /policies/new`
pub(in crate::dashboard) async fn begin(State(app): State<Arc<App>>, Extension(reader): Extension<Reader>) -> Response {
    policy_page(&app, &reader, StatusCode::OK, None, PolicyForm::empty().with_spare(), "", None)
}

/// `POST /policies/new`
pub(in crate::dashboard) async fn add(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let form = PolicyForm::read(&fields);
    if fields.has("another") {
        return Ok(policy_page(&app, &reader, StatusCode::OK, None, form.with_spare(), "", None));
    }
    // A name that is taken must not change the policy that has it.
    if app.engine.store.read().await?.db().policy_by_name(&form.name).await?.is_some() {
        let wrong = Wrong::new("name", &reader.words.policy_name_taken);
        return Ok(policy_page(&app, &reader, StatusCode::UNPROCESSABLE_ENTITY, None, form, "", Some(&wrong)));
    }
    save(&app, &reader, None, form, fields.get("version")).await
}

/// `GET /policies/{id}`
pub(in crate::dashboard) async fn edit(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let row = db.policy(policy_id(&id)?).await?.ok_or(Refusal::NotFound)?;
    let form = PolicyForm::of(&row.name, &checked::written(&mut db, &row.definition).await?);
    let version = checked::version(&row);
    Ok(policy_page(&app, &reader, StatusCode::OK, Some(row.id), form.with_spare(), version.as_str(), None))
}

/// `POST /policies/{id}`
pub(in crate::dashboard) async fn change(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let row = app.engine.store.read().await?.db().policy(policy_id(&id)?).await?.ok_or(Refusal::NotFound)?;
    let mut form = PolicyForm::read(&fields);
    form.name = row.name;
    if fields.has("another") {
        return Ok(policy_page(&app, &reader, StatusCode::OK, Some(row.id), form.with_spare(), fields.get("version"), None));
    }
    save(&app, &reader, Some(row.id), form, fields.get("version")).await
}

/// `POST /policies/{id}/remove`
pub(in crate::dashboard) async fn remove(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let row = app.engine.store.read().await?.db().policy(policy_id(&id)?).await?.ok_or(Refusal::NotFound)?;
    let expected = Expected::in_form(fields.get("version"));
    app.engine.carry_out(reader.doer(), async |work| checked::forget(work, &row.name, &expected).await).await?;
    Ok(go_to("/policies?done=removed"))
}

fn policy_id(text: &str) -> Result<PolicyId, Refusal> {
    text.parse().map_err(|_| Refusal::NotFound)
}

/// Checks and stores what was typed, or shows it again with what is wrong.
async fn save(app: &App, reader: &Reader, id: Option<PolicyId>, form: PolicyForm, version: &str) -> Result<Response, Refusal> {
    let again = |form: PolicyForm, wrong: Wrong| {
        Ok(policy_page(app, reader, StatusCode::UNPROCESSABLE_ENTITY, id, form, version, Some(&wrong)))
    };
    // A name that somebody took meanwhile must not change the policy that has it.
    let expected = if id.is_some() { Expected::in_form(version) } else { Expected::Nothing };
    let people = app.engine.store.read().await?.db().people().await?;
    let names: Vec<String> = people.into_iter().map(|(person, _)| person.name).collect();
    let region = app.engine.region();
    let filled: Filled = match form.filled(reader.words, &names, region) {
        Ok(filled) => filled,
        Err(wrong) => return again(form, wrong),
    };
    let set = async |work: &mut Work| checked::set(work, &form.name, &filled.body, region, &expected).await;
    match app.engine.carry_out(reader.doer(), set).await {
        Ok(_) => Ok(go_to("/policies?done=saved")),
        Err(refused) => match refused.field().and_then(|field| form.wrong(reader.words, &filled, field)) {
            Some(wrong) => again(form, wrong),
            None => Err(refused.into()),
        },
    }
}

fn policy_page(
    app: &App,
    reader: &Reader,
    status: StatusCode,
    id: Option<PolicyId>,
    form: PolicyForm,
    version: &str,
    wrong: Option<&Wrong>,
) -> Response {
    let words = reader.words;
    let title = if id.is_some() { form.name.as_str() } else { words.policy_add.as_str() };
    let page = PolicyPage {
        frame: Frame::new(reader, "policies", title, app.engine.clock.now()),
        words,
        id,
        address: id.map_or_else(|| "/policies/new".to_owned(), |id| format!("/policies/{id}")),
        version: version.to_owned(),
        steps: form.step_fields(words, wrong),
        whole: form.whole_fields(words, wrong),
        is_wrong: wrong.is_some(),
        name: id.is_none().then(|| Field::new("name", &words.policy_name, "", &form.name, Input::Line, wrong)),
    };
    html(status, &page)
}
