//! Where notices go: added, changed, tried and removed.

use std::borrow::Cow;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::form::{NoticeForm, addressed, wrong};
use crate::app::App;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::edit::{Edit, edit_page_over};
use crate::dashboard::frame::field::Wrong;
use crate::dashboard::frame::form::Form;
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::set_up::asked::said;
use crate::dashboard::frame::set_up::trial::{Trial, Tried};
use crate::dashboard::frame::words::Bit::Text;
use crate::dashboard::frame::words::{Words, fill};
use crate::dashboard::query::asked;
use crate::ids::WebhookId;
use crate::keep::webhooks::{self, WebhookError};
use crate::kinds::guard::GuardedResolver;
use crate::kinds::notices::WebhookShape;
use crate::store::lines::webhooks::{DeliveryRow, WebhookRow};
use crate::versions::Expected;

#[derive(Template)]
#[template(path = "notices/shapes.html")]
struct ShapesPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    /// The word in the address, and the name.
    shapes: Vec<(&'static str, Cow<'static, str>)>,
}

/// `GET /notices/new`: asks where to first.
pub(in crate::dashboard) async fn begin(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let words = reader.words;
    if let Some(shape) = asked(&query.unwrap_or_default(), "shape") {
        let shape = WebhookShape::read(&shape).ok_or(Refusal::NotFound)?;
        return shown(&app, &reader, None, shape, &NoticeForm::new(reader.language), ("", None, None));
    }
    let shapes = WebhookShape::ALL.iter().map(|shape| (shape.as_str(), said(words, shape.name()))).collect();
    let frame = Frame::new(&reader, "notices", words.notice_add.as_str(), app.engine.clock.now());
    Ok(html(StatusCode::OK, &ShapesPage { frame, words, shapes }))
}

/// `POST /notices/new`
pub(in crate::dashboard) async fn add(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let shape = WebhookShape::read(fields.get("shape")).ok_or(Refusal::Garbled)?;
    let form = NoticeForm::read(&fields, shape);
    let refused = match form.filled(reader.words, shape, None) {
        Err(wrong) => wrong,
        Ok(new) => {
            let guard = GuardedResolver::new(&app.config().notify.allow_networks);
            match app.engine.carry_out(reader.doer(), async |work| webhooks::add(work, &new, &guard).await).await {
                // There it can be tried.
                Ok(id) => return Ok(go_to(&format!("/notices/{id}#test"))),
                Err(error) => wrong(reader.words, shape, error)?,
            }
        }
    };
    shown(&app, &reader, None, shape, &form, ("", Some(refused), None))
}

/// `GET /notices/{id}`
pub(in crate::dashboard) async fn edit(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let old = webhook(&app, &id).await?;
    let version = old.version(&app.engine.links);
    shown(&app, &reader, Some(&old), old.shape, &NoticeForm::of(&old), (version.as_str(), None, None))
}

/// `POST /notices/{id}`
pub(in crate::dashboard) async fn change(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let old = webhook(&app, &id).await?;
    let form = NoticeForm::read(&fields, old.shape);
    let refused = match form.filled(reader.words, old.shape, Some(&addressed(&old))) {
        Err(wrong) => wrong,
        Ok(new) => {
            let guard = GuardedResolver::new(&app.config().notify.allow_networks);
            let (links, expected) = (&app.engine.links, Expected::in_form(fields.get("version")));
            let change = async |work: &mut _| webhooks::change(work, links, old.id, &new, &guard, &expected).await;
            match app.engine.carry_out(reader.doer(), change).await {
                Ok(()) => return Ok(go_to("/notices?done=saved")),
                Err(error) => wrong(reader.words, old.shape, error)?,
            }
        }
    };
    shown(&app, &reader, Some(&old), old.shape, &form, (fields.get("version"), Some(refused), None))
}

/// `POST /notices/{id}/remove`
pub(in crate::dashboard) async fn remove(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let old = webhook(&app, &id).await?;
    let (links, expected) = (&app.engine.links, Expected::in_form(fields.get("version")));
    let removed =
        app.engine.carry_out(reader.doer(), async |work| webhooks::remove_read(work, links, old.id, &expected).await).await;
    match removed {
        Ok(()) => Ok(go_to("/notices?done=removed")),
        Err(WebhookError::Stale(_)) => Err(Refusal::Stale),
        Err(WebhookError::Store(error)) => Err(error.into()),
        Err(_) => Err(Refusal::NotFound),
    }
}

/// `POST /notices/{id}/test`: sends a notice, and waits a while for what comes of it.
pub(in crate::dashboard) async fn test(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let old = webhook(&app, &id).await?;
    let sent = app.engine.carry_out(reader.doer(), async |work| webhooks::test(work, &old.name).await).await;
    let test = match sent {
        Ok(test) => test,
        Err(WebhookError::Store(error)) => return Err(error.into()),
        Err(_) => return Err(Refusal::NotFound),
    };
    let tried = came_of(reader.words, &webhooks::tried(&app.engine.store, test).await?);
    let version = old.version(&app.engine.links);
    shown(&app, &reader, Some(&old), old.shape, &NoticeForm::of(&old), (version.as_str(), None, Some(tried)))
}

/// What is known of a test when nobody waits for it any longer.
fn came_of(words: &Words, row: &DeliveryRow) -> Tried {
    let sentence = match (row.delivered_at, row.gave_up_at, &row.last_result) {
        (Some(_), ..) => &words.notice_trial_taken,
        (None, Some(_), _) => &words.notice_trial_refused,
        (None, None, Some(_)) => &words.notice_trial_later,
        (None, None, None) => &words.notice_trial_nothing,
    };
    let said = row.last_result.as_deref().unwrap_or("–");
    Tried { is_good: row.delivered_at.is_some(), says: fill(sentence, &[("said", Text(said))]) }
}

async fn webhook(app: &App, id: &str) -> Result<WebhookRow, Refusal> {
    let id: WebhookId = id.parse().map_err(|_| Refusal::NotFound)?;
    let row = app.engine.store.read().await?.db().webhook(id).await?;
    row.filter(|row| row.removed_at.is_none()).ok_or(Refusal::NotFound)
}

fn shown(
    app: &App,
    reader: &Reader,
    old: Option<&WebhookRow>,
    shape: WebhookShape,
    form: &NoticeForm,
    (version, wrong, tried): (&str, Option<Wrong>, Option<Tried>),
) -> Result<Response, Refusal> {
    let words = reader.words;
    let kept = old.map(addressed);
    let edit = Edit {
        title: old.map_or_else(|| said(words, shape.name()).into_owned(), |old| old.name.clone()),
        address: old.map_or_else(|| "/notices/new".to_owned(), |old| format!("/notices/{}", old.id)),
        how: match old {
            Some(_) => said(words, shape.name()),
            None => words.notice_how.as_str().into(),
        },
        fields: form.fields(words, shape, kept.as_ref(), wrong.as_ref()),
        hidden: if old.is_none() { vec![("shape", shape.as_str().to_owned())] } else { Vec::new() },
        version: version.to_owned(),
        wrong,
        remove_sure: old.is_some().then_some(words.notice_remove_sure.as_str()),
        of: ("notices", "/notices"),
    };
    let below = match old {
        None => String::new(),
        Some(old) => {
            let form = Form::new(reader, "trial", format!("/notices/{}/test", old.id), &words.trial_go).looking("");
            Trial { words, how: &words.trial_notice_how, form, tried }.render().map_err(|_| Refusal::Failed)?
        }
    };
    Ok(edit_page_over(app, reader, edit, below))
}
