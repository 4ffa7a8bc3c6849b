//! One public number: the form that adds or changes it with a preview beside it, who is always on duty for it, and its end.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::number_form::{Choices, LineForm};
use super::preview::LinePreview;
use super::whom_form::{self, Reachable, WhomForm};
use crate::app::App;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::assets;
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Field, Wrong};
use crate::dashboard::frame::form::{Form, Sent};
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::Bit::Text;
use crate::dashboard::frame::words::{Words, fill};
use crate::ids::LineId;
use crate::keep::lines::numbers;
use crate::keep::refused::Refused;
use crate::versions::Expected;

#[derive(Template)]
#[template(path = "lines/line.html")]
struct LinePage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    /// What keeps the preview up to date.
    script: &'static str,
    id: Option<LineId>,
    /// Where the form goes.
    address: String,
    /// The version that is changed, bound or removed; empty for a new one.
    version: String,
    fields: Vec<Field>,
    is_wrong: bool,
    has_gateways: bool,
    preview: LinePreview,
    bound: Option<Bound>,
}

/// The form by which a line is given to somebody.
const BIND: &str = "bind";

/// Who is always on duty for a line that there is.
struct Bound {
    /// HTML; none: it follows the roster.
    to: Option<String>,
    whom: Form,
}

/// What is said on the page beside what the form holds.
#[derive(Default)]
struct Said {
    status: StatusCode,
    wrong: Option<Wrong>,
    /// The form by which it is given to somebody, when it was refused.
    unbound: Option<Sent>,
    /// The version that was on the page before; else the one that is stored.
    version: Option<String>,
}

impl Said {
    fn wrong(wrong: Wrong) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, wrong: Some(wrong), ..Self::default() }
    }
}

/// `GET /numbers/new`
pub(in crate::dashboard) async fn begin(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
) -> Result<Response, Refusal> {
    page(&app, &reader, None, &LineForm::default(), Said::default()).await
}

/// `POST /numbers/new`
pub(in crate::dashboard) async fn add(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    save(&app, &reader, None, &fields).await
}

/// `GET /numbers/{id}`
pub(in crate::dashboard) async fn edit(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let id = line_id(&id)?;
    let (form, version) = stored(&app, id).await?;
    let said = Said { version: Some(version), ..Said::default() };
    page(&app, &reader, Some(id), &form, said).await
}

/// `POST /numbers/{id}`
pub(in crate::dashboard) async fn change(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    save(&app, &reader, Some(line_id(&id)?), &fields).await
}

/// `POST /numbers/preview`: the preview alone, for a script that puts it into the page.
pub(in crate::dashboard) async fn preview(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = Some(fields.get("line")).filter(|id| !id.is_empty()).map(line_id).transpose()?;
    let form = LineForm::read(&fields);
    let (preview, _) = drafted(&app, &reader, id, &form).await?;
    Ok(html(StatusCode::OK, &preview))
}

/// `POST /numbers/{id}/bind`: to whoever is always on duty, or to nobody.
pub(in crate::dashboard) async fn bind(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = line_id(&id)?;
    let expected = Expected::in_form(fields.get("version"));
    if fields.has("nobody") {
        bind_to(&app, &reader, id, None, &expected).await?;
        return Ok(go_to("/numbers?done=saved"));
    }
    let form = WhomForm::read(&fields);
    let people = Reachable::all(app.engine.store.read().await?.db().people().await?);
    let wrong = match form.filled(reader.words, &people) {
        Err(sentence) => whom_form::unfilled(reader.words, sentence),
        Ok(whom) => {
            let name = whom.name.as_deref().unwrap_or(&whom.number);
            match bind_to(&app, &reader, id, Some((name, &whom.number)), &expected).await {
                Ok(()) => return Ok(go_to("/numbers?done=saved")),
                Err(refused) => whom_form::wrong(reader.words, refused)?,
            }
        }
    };
    let (line, version) = stored(&app, id).await?;
    let said = Said {
        status: StatusCode::UNPROCESSABLE_ENTITY,
        unbound: Some(Sent { form: BIND.to_owned(), fields, wrong }),
        version: Some(version),
        ..Said::default()
    };
    page(&app, &reader, Some(id), &line, said).await
}

async fn bind_to(
    app: &App,
    reader: &Reader,
    id: LineId,
    person: Option<(&str, &str)>,
    expected: &Expected,
) -> Result<(), Refused> {
    let mut work = app.engine.work(reader.doer()).await?;
    numbers::bind(&mut work, app.config(), &id.to_string(), person, expected).await?;
    Ok(work.commit().await?)
}

/// `POST /numbers/{id}/remove`
pub(in crate::dashboard) async fn remove(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let mut work = app.engine.work(reader.doer()).await?;
    numbers::remove(&mut work, &line_id(&id)?.to_string(), &Expected::in_form(fields.get("version"))).await?;
    work.commit().await?;
    Ok(go_to("/numbers?done=removed"))
}

pub(in crate::dashboard) fn line_id(text: &str) -> Result<LineId, Refusal> {
    text.parse().map_err(|_| Refusal::NotFound)
}

/// The form of a line that is there, and its version.
async fn stored(app: &App, id: LineId) -> Result<(LineForm, String), Refusal> {
    let status = app.engine.line_status(&id.to_string()).await?;
    let form = LineForm::of(&status.said, &app.engine.store.read().await?.db().roster().await?);
    Ok((form, status.line.version().as_str().to_owned()))
}

/// Stores what was typed, or shows it again with what is wrong; where only a preview was asked for, shows it again with that.
async fn save(app: &App, reader: &Reader, id: Option<LineId>, fields: &Fields) -> Result<Response, Refusal> {
    let form = LineForm::read(fields);
    let version = Some(fields.get("version").to_owned());
    let new = match form.filled(reader.words) {
        Ok(new) => new,
        Err(wrong) => return page(app, reader, id, &form, Said { version, ..Said::wrong(wrong) }).await,
    };
    if fields.has("preview") {
        let (_, wrong) = drafted(app, reader, id, &form).await?;
        return page(app, reader, id, &form, Said { wrong, version, ..Said::default() }).await;
    }
    let saved = async {
        let mut work = app.engine.work(reader.doer()).await?;
        match id {
            None => numbers::add(&mut work, app.config(), &new).await?,
            Some(id) => {
                let expected = Expected::in_form(fields.get("version"));
                app.engine.change_line(&mut work, &id.to_string(), &new, &expected).await?
            }
        };
        Ok::<_, Refused>(work.commit().await?)
    };
    match saved.await {
        Ok(()) => Ok(go_to("/numbers?done=saved")),
        Err(refused) => page(app, reader, id, &form, Said { version, ..Said::wrong(form.wrong(reader.words, refused)?) }).await,
    }
}

/// The preview of a form, and what is wrong with the form.
async fn drafted(
    app: &App,
    reader: &Reader,
    id: Option<LineId>,
    form: &LineForm,
) -> Result<(LinePreview, Option<Wrong>), Refusal> {
    let words = reader.words;
    if form.is_begun_only() {
        return Ok((LinePreview::nothing(words), None));
    }
    let new = match form.filled(words) {
        Ok(new) => new,
        Err(wrong) => return Ok((LinePreview::wrong(words, &wrong, None), Some(wrong))),
    };
    let id = id.map(|id| id.to_string());
    match app.engine.draft_line(id.as_deref(), &new).await {
        Ok(draft) => Ok((LinePreview::of(reader, form, &draft), None)),
        Err(refused) => {
            let why = if let Refused::Command(error) = &refused { Some(error.clone()) } else { None };
            let wrong = form.wrong(words, refused)?;
            Ok((LinePreview::wrong(words, &wrong, why.as_ref()), Some(wrong)))
        }
    }
}

async fn page(app: &App, reader: &Reader, id: Option<LineId>, form: &LineForm, said: Said) -> Result<Response, Refusal> {
    let words = reader.words;
    let (preview, _) = drafted(app, reader, id, form).await?;
    let mut connection = app.engine.store.read().await?;
    let mut db = connection.db();
    let gateways = db.gateways().await?.into_iter().map(|gateway| gateway.name);
    let handsets = db.handsets().await?.into_iter().map(|handset| handset.name);
    let choices = Choices::new(words, &db.roster().await?, &app.config().lines.carriers, gateways, handsets);
    let bound = match id {
        Some(id) => {
            let line = db.lines().await?.into_iter().find(|line| line.id == id).ok_or(Refusal::NotFound)?;
            let people = Reachable::all(db.people().await?);
            let to = line.bound_number.map(|number| {
                let name = line.bound_name.unwrap_or_else(|| number.clone());
                fill(&words.line_bound_to, &[("who", Text(&name)), ("number", Text(&number))])
            });
            let form = Form::new(reader, BIND, format!("/numbers/{id}/bind"), &words.line_bind_go);
            let form =
                form.holding("version", said.version.as_deref().unwrap_or_default()).with(whom_form::fields(words, &people));
            Some(Bound { to, whom: form.again(said.unbound.as_ref()) })
        }
        None => None,
    };
    let title = if id.is_some() { form.name.as_str() } else { words.line_add.as_str() };
    let page = LinePage {
        frame: Frame::new(reader, "lines", title, app.engine.clock.now()),
        words,
        script: &assets::PREVIEW.address,
        id,
        address: id.map_or_else(|| "/numbers/new".to_owned(), |id| format!("/numbers/{id}")),
        version: said.version.unwrap_or_default(),
        fields: form.fields(words, &choices, said.wrong.as_ref()),
        is_wrong: said.wrong.is_some(),
        has_gateways: choices.has_gateways(),
        preview,
        bound,
    };
    Ok(html(said.status, &page))
}
