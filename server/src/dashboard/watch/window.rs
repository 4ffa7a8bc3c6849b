//! Maintenance windows: a responder makes one and ends one.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;

use super::window_form::{self, WindowForm};
use crate::app::App;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::edit::{Edit, edit_page};
use crate::dashboard::frame::field::Wrong;
use crate::dashboard::frame::reader::Reader;
use crate::keep::refused::Refused;
use crate::keep::windows;

/// `GET /maintenance/new`
pub(in crate::dashboard) async fn begin(State(app): State<Arc<App>>, Extension(reader): Extension<Reader>) -> Response {
    form_page(&app, &reader, &WindowForm::default(), None)
}

/// `POST /maintenance/new`
pub(in crate::dashboard) async fn add(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let form = WindowForm::read(&fields);
    let wrong = match form.filled(reader.words) {
        Err(wrong) => wrong,
        Ok(new) => {
            let added = async {
                let mut work = app.engine.work(reader.doer()).await?;
                windows::add(&mut work, &new).await?;
                Ok::<_, Refused>(work.commit().await?)
            };
            match added.await {
                Ok(()) => return Ok(go_to("/watch?done=saved")),
                Err(refused) => window_form::wrong(reader.words, refused)?,
            }
        }
    };
    Ok(form_page(&app, &reader, &form, Some(wrong)))
}

/// `POST /maintenance/{id}/end`
pub(in crate::dashboard) async fn end(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let mut work = app.engine.work(reader.doer()).await?;
    windows::end(&mut work, &id).await?;
    work.commit().await?;
    Ok(go_to("/watch?done=window_ended"))
}

fn form_page(app: &App, reader: &Reader, form: &WindowForm, wrong: Option<Wrong>) -> Response {
    let words = reader.words;
    let edit = Edit {
        title: words.window_add.clone(),
        address: "/maintenance/new".to_owned(),
        how: words.window_how.as_str().into(),
        fields: form.fields(words, wrong.as_ref()),
        version: String::new(),
        hidden: Vec::new(),
        wrong,
        remove_sure: None,
        of: ("watch", "/watch"),
    };
    edit_page(app, reader, edit)
}
