//! *Policies*: whom to ring and whom next, which alarms follow which policy, and numbers that must not be called.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::do_not_call::{self, Forbidden, ForbiddenForm};
use super::form::{Filled, PolicyForm, StepFields, whom_written};
use super::rules::{self, RuleLine};
use crate::alarm::Mode;
use crate::app::App;
use crate::dashboard::alarm::now;
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Field, Wrong, span};
use crate::dashboard::frame::page::{Frame, Reader, Refusal, go_to, html};
use crate::dashboard::frame::words::Bit::Text;
use crate::dashboard::frame::words::{Words, escape, fill};
use crate::ids::PolicyId;
use crate::keep::policies::{self as checked, PolicyBody, StepBody};
use crate::store::duty::policies::PolicyRow;
use crate::versions::Expected;

/// One policy in words.
struct PolicyCard {
    id: PolicyId,
    name: String,
    /// HTML.
    steps: Vec<String>,
    /// HTML.
    meta: String,
}

#[derive(Template)]
#[template(path = "policies/policies.html")]
struct PoliciesPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    policies: Vec<PolicyCard>,
    rules: Vec<RuleLine>,
    forbidden: Vec<Forbidden>,
    form: ForbiddenForm,
    wrong: Option<Wrong>,
    done: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "policies/policy.html")]
struct PolicyPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    /// The policy that is changed; none for a new one.
    id: Option<PolicyId>,
    /// The version that is changed or removed; empty for a new one.
    version: String,
    name: String,
    name_wrong: Option<String>,
    steps: Vec<StepFields>,
    whole: [Field; 2],
    is_wrong: bool,
}

/// `GET /policies`
pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let done = now::done_words(reader.words, query.as_deref());
    page(&app, &reader, StatusCode::OK, ForbiddenForm::default(), None, done).await
}

/// The page, with the form of the do-not-call list as it was filled in.
pub(in crate::dashboard) async fn page(
    app: &App,
    reader: &Reader,
    status: StatusCode,
    form: ForbiddenForm,
    wrong: Option<Wrong>,
    done: Option<&'static str>,
) -> Result<Response, Refusal> {
    let rules = rules::lines(reader, &checked::read_rules(&app.engine.store).await?.0);
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let mut policies = Vec::new();
    for row in db.policies().await? {
        let policy = checked::written(&mut db, &row.definition).await?;
        policies.push(card(reader, row, &policy));
    }
    let forbidden = do_not_call::all(reader, &mut db).await?;
    let frame = Frame::new(reader, "policies", reader.words.nav_policies.as_str(), app.engine.clock.now());
    Ok(html(status, &PoliciesPage { frame, words: reader.words, policies, rules, forbidden, form, wrong, done }))
}

fn card(reader: &Reader, row: PolicyRow, policy: &PolicyBody) -> PolicyCard {
    let words = reader.words;
    let mut meta = vec![match policy.confirm_within_seconds {
        Some(seconds) => fill(&words.policy_confirmed, &[("time", Text(&span(words, seconds)))]),
        None => escape(&words.policy_unconfirmed),
    }];
    if policy.rounds > 1 {
        meta.push(fill(&words.policy_repeated, &[("count", Text(&policy.rounds.to_string()))]));
    }
    PolicyCard {
        id: row.id,
        name: row.name,
        steps: policy.steps.iter().map(|step| step_words(reader, step)).collect(),
        meta: meta.join(" · "),
    }
}

/// "**Li Na, Zhang Wei** one after the other · calls to each: 2 · next step after 3 min", as HTML.
fn step_words(reader: &Reader, step: &StepBody) -> String {
    let words = reader.words;
    let names: Vec<String> = step.ring.iter().map(|whom| reader.name(&whom_written(whom))).collect();
    let who = match names.is_empty() {
        true => format!(r#"<b class="nobody">{}</b>"#, escape(&words.policy_nobody)),
        false => format!("<b>{}</b>", escape(&names.join(words.list_comma.as_str()))),
    };
    let mut pieces = Vec::new();
    if names.len() > 1 {
        let mode = if step.mode == Some(Mode::Parallel) { &words.mode_parallel } else { &words.mode_sequential };
        pieces.push(escape(mode));
    }
    if let Some(attempts) = step.attempts {
        pieces.push(fill(&words.policy_calls, &[("count", Text(&attempts.to_string()))]));
    }
    if let Some(seconds) = step.min_interval_seconds {
        pieces.push(fill(&words.policy_apart, &[("time", Text(&span(words, seconds)))]));
    }
    if let Some(seconds) = step.wait_seconds {
        pieces.push(fill(&words.policy_next_after, &[("time", Text(&span(words, seconds)))]));
    }
    if pieces.is_empty() { who } else { format!("{who} <small>{}</small>", pieces.join(" · ")) }
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
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let row = app.engine.store.read().await?.db().policy(policy_id(&id)?).await?.ok_or(Refusal::NotFound)?;
    checked::forget(&app.engine.store, &row.name, &Expected::in_form(fields.get("version"))).await?;
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
    match checked::set(&app.engine.store, &form.name, &filled.body, region, app.engine.clock.now(), &expected).await {
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
        version: version.to_owned(),
        name_wrong: Wrong::at(wrong, "name"),
        steps: form.step_fields(words, wrong),
        whole: form.whole_fields(words, wrong),
        is_wrong: wrong.is_some(),
        name: form.name,
    };
    html(status, &page)
}
