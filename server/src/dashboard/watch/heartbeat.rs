//! Heartbeats: the pages on which an admin adds, changes and removes one.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::heartbeat_form::HeartbeatForm;
use crate::app::App;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::edit::{AddressPage, Edit, edit_page, reached};
use crate::dashboard::frame::field::Wrong;
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::fill_text;
use crate::ids::HeartbeatId;
use crate::keep::heartbeats::{self, ping_path};
use crate::keep::refused::Refused;
use crate::store::watch::heartbeats::HeartbeatRow;
use crate::versions::Expected;

/// `GET /heartbeats/new`
pub(in crate::dashboard) async fn begin(State(app): State<Arc<App>>, Extension(reader): Extension<Reader>) -> Response {
    form_page(&app, &reader, None, &HeartbeatForm::empty(), "", None)
}

/// `POST /heartbeats/new`: shows once where it pings.
pub(in crate::dashboard) async fn add(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let form = HeartbeatForm::read(&fields);
    let new = match form.filled(words) {
        Ok(new) => new,
        Err(wrong) => return Ok(form_page(&app, &reader, None, &form, "", Some(wrong))),
    };
    let added = async {
        let mut work = app.engine.work(reader.doer()).await?;
        let added = heartbeats::add(&mut work, app.config(), &new).await?;
        work.commit().await?;
        Ok::<_, Refused>(added)
    };
    let (beat, token) = match added.await {
        Ok(added) => added,
        Err(refused) => {
            let wrong = form.wrong(words, app.engine.region(), refused)?;
            return Ok(form_page(&app, &reader, None, &form, "", Some(wrong)));
        }
    };
    let path = format!("{}{}", app.prefix.path(), ping_path(&token));
    let address = reached(&reader.host, reader.secure, app.config().listen, &path);
    let title = fill_text(&words.beat_added, &[("name", &beat.name)]);
    let page = AddressPage {
        frame: Frame::new(&reader, "watch", title, app.engine.clock.now()),
        words,
        how: words.beat_ping_how.as_str().into(),
        example: format!("curl -fsS -m 10 --retry 3 {address}"),
        address,
        once: &words.beat_once,
        then: &words.beat_then,
        back: ("/watch", &words.watch_back),
    };
    Ok(html(StatusCode::OK, &page))
}

/// `GET /heartbeats/{id}`
pub(in crate::dashboard) async fn edit(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let beat = heartbeat(&app, &id).await?;
    Ok(form_page(&app, &reader, Some(beat.id), &HeartbeatForm::of(&beat), beat.version().as_str(), None))
}

/// `POST /heartbeats/{id}`
pub(in crate::dashboard) async fn change(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let beat = heartbeat(&app, &id).await?;
    let mut form = HeartbeatForm::read(&fields);
    form.name = beat.name;
    let wrong = match form.filled(reader.words) {
        Err(wrong) => wrong,
        Ok(new) => {
            let changed = async {
                let expected = Expected::in_form(fields.get("version"));
                let mut work = app.engine.work(reader.doer()).await?;
                heartbeats::change(&mut work, app.config(), &beat.id.to_string(), &new, &expected).await?;
                Ok::<_, Refused>(work.commit().await?)
            };
            match changed.await {
                Ok(()) => return Ok(go_to("/watch?done=saved")),
                Err(refused) => form.wrong(reader.words, app.engine.region(), refused)?,
            }
        }
    };
    Ok(form_page(&app, &reader, Some(beat.id), &form, fields.get("version"), Some(wrong)))
}

/// `POST /heartbeats/{id}/remove`
pub(in crate::dashboard) async fn remove(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = heartbeat(&app, &id).await?.id.to_string();
    let mut work = app.engine.work(reader.doer()).await?;
    app.engine.forget_heartbeat(&mut work, &id, &Expected::in_form(fields.get("version"))).await?;
    work.commit().await?;
    Ok(go_to("/watch?done=removed"))
}

async fn heartbeat(app: &App, id: &str) -> Result<HeartbeatRow, Refusal> {
    let id: HeartbeatId = id.parse().map_err(|_| Refusal::NotFound)?;
    let all = app.engine.store.read().await?.db().heartbeats().await?;
    all.into_iter().find(|beat| beat.id == id).ok_or(Refusal::NotFound)
}

fn form_page(
    app: &App,
    reader: &Reader,
    id: Option<HeartbeatId>,
    form: &HeartbeatForm,
    version: &str,
    wrong: Option<Wrong>,
) -> Response {
    let words = reader.words;
    let edit = Edit {
        title: if id.is_some() { form.name.clone() } else { words.beat_add.clone() },
        address: id.map_or_else(|| "/heartbeats/new".to_owned(), |id| format!("/heartbeats/{id}")),
        how: words.beat_how.as_str().into(),
        fields: form.fields(words, id.is_none(), wrong.as_ref()),
        hidden: Vec::new(),
        version: version.to_owned(),
        wrong,
        remove_sure: id.is_some().then_some(words.beat_remove_sure.as_str()),
        of: ("watch", "/watch"),
    };
    edit_page(app, reader, edit)
}
