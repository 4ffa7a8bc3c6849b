//! Gateways: the list on *Lines*, and the pages on which an admin adds, changes and removes one.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::gateway_form::{self, GatewayForm, Kind};
use crate::app::App;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::edit::{AddressPage, Edit, edit_page, reached};
use crate::dashboard::frame::field::Wrong;
use crate::dashboard::frame::page::{Frame, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::engine::lines::gateways::inbound_path;
use crate::ids::GatewayId;
use crate::kinds::gateways;
use crate::store::lines::sms::GatewayRow;
use crate::versions::Expected;

/// A gateway as the list has it.
pub(in crate::dashboard) struct GatewayLine {
    pub(in crate::dashboard) id: GatewayId,
    pub(in crate::dashboard) name: String,
    pub(in crate::dashboard) kind: &'static str,
    pub(in crate::dashboard) host: String,
}

impl GatewayLine {
    pub(in crate::dashboard) fn new(words: &'static Words, row: GatewayRow) -> Self {
        let (kind, _) = Kind::of(&row.settings).words(words);
        Self { id: row.id, kind, host: gateways::host(&row.settings), name: row.name }
    }
}

#[derive(Template)]
#[template(path = "lines/gateway_kinds.html")]
struct KindsPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    /// The word in the address, the name, and what it is.
    kinds: [(&'static str, &'static str, &'static str); Kind::ALL.len()],
}

/// `GET /gateways/new`: asks what it is first.
pub(in crate::dashboard) async fn begin(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let query = query.unwrap_or_default();
    let kind = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "kind").map(|(_, kind)| kind.into_owned());
    if let Some(kind) = kind {
        let kind = Kind::read(&kind).ok_or(Refusal::NotFound)?;
        return form_page(&app, &reader, None, kind, &GatewayForm::default(), "", None).await;
    }
    let words = reader.words;
    let kinds = Kind::ALL.map(|kind| (kind.as_str(), kind.words(words).0, kind.words(words).1));
    let frame = Frame::new(&reader, "lines", words.gateway_add.as_str(), app.engine.clock.now());
    Ok(html(StatusCode::OK, &KindsPage { frame, words, kinds }))
}

/// `POST /gateways/new`: shows once where it is to report received messages.
pub(in crate::dashboard) async fn add(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let kind = Kind::read(fields.get("kind")).ok_or(Refusal::Garbled)?;
    let form = GatewayForm::read(&fields);
    let settings = match form.filled(words, kind, None) {
        Ok(settings) => settings,
        Err(wrong) => return form_page(&app, &reader, None, kind, &form, "", Some(wrong)).await,
    };
    let (gateway, token) = match app.engine.add_gateway(&form.name, settings, form.inbound()).await {
        Ok(added) => added,
        Err(refused) => {
            let wrong = gateway_form::wrong(words, refused)?;
            return form_page(&app, &reader, None, kind, &form, "", Some(wrong)).await;
        }
    };
    let path = format!("{}{}", app.prefix.path(), inbound_path(&token));
    let title = fill_text(&words.gateway_added, &[("name", &gateway.name)]);
    let page = AddressPage {
        frame: Frame::new(&reader, "lines", title, app.engine.clock.now()),
        words,
        how: kind.inbound_words(words),
        address: reached(&reader.host, reader.secure, app.config().listen, &path),
        once: &words.inbound_once,
        example: String::new(),
        then: "",
        back: ("/lines", &words.lines_back),
    };
    Ok(html(StatusCode::OK, &page))
}

/// `GET /gateways/{id}`
pub(in crate::dashboard) async fn edit(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let old = app.engine.gateway(&gateway_id(&id)?).await?;
    let form = GatewayForm::of(&old.name, &old.settings, &old.inbound);
    let version = old.version(&app.engine.links);
    form_page(&app, &reader, Some(&old), Kind::of(&old.settings), &form, version.as_str(), None).await
}

/// `POST /gateways/{id}`
pub(in crate::dashboard) async fn change(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = gateway_id(&id)?;
    let old = app.engine.gateway(&id).await?;
    let (kind, form) = (Kind::of(&old.settings), GatewayForm::read(&fields));
    let wrong = match form.filled(reader.words, kind, Some(&old.settings)) {
        Err(wrong) => wrong,
        Ok(settings) => {
            match app
                .engine
                .change_gateway(&id, &form.name, settings, form.inbound(), &Expected::in_form(fields.get("version")))
                .await
            {
                Ok(_) => return Ok(go_to("/lines?done=saved")),
                Err(refused) => gateway_form::wrong(reader.words, refused)?,
            }
        }
    };
    form_page(&app, &reader, Some(&old), kind, &form, fields.get("version"), Some(wrong)).await
}

/// `POST /gateways/{id}/remove`
pub(in crate::dashboard) async fn remove(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = gateway_id(&id)?;
    if let Err(refused) = app.engine.remove_gateway(&id, &Expected::in_form(fields.get("version"))).await {
        let wrong = gateway_form::wrong(reader.words, refused)?;
        let old = app.engine.gateway(&id).await?;
        let form = GatewayForm::of(&old.name, &old.settings, &old.inbound);
        let version = old.version(&app.engine.links);
        return form_page(&app, &reader, Some(&old), Kind::of(&old.settings), &form, version.as_str(), Some(wrong)).await;
    }
    Ok(go_to("/lines?done=removed"))
}

/// What the engine knows it by.
fn gateway_id(text: &str) -> Result<String, Refusal> {
    text.parse().map(|id: GatewayId| id.to_string()).map_err(|_| Refusal::NotFound)
}

async fn form_page(
    app: &App,
    reader: &Reader,
    old: Option<&GatewayRow>,
    kind: Kind,
    form: &GatewayForm,
    version: &str,
    wrong: Option<Wrong>,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let handsets = app.engine.store.read().await?.db().handsets().await?.into_iter().map(|handset| handset.name);
    let (name, how) = kind.words(words);
    let edit = Edit {
        title: if old.is_some() { form.name.clone() } else { name.to_owned() },
        address: old.map_or_else(|| "/gateways/new".to_owned(), |old| format!("/gateways/{}", old.id)),
        how,
        fields: form.fields(
            words,
            kind,
            old.map(|old| (&old.settings.0, &old.inbound.0)),
            &handsets.collect::<Vec<_>>(),
            wrong.as_ref(),
        ),
        hidden: if old.is_none() { vec![("kind", kind.as_str().to_owned())] } else { Vec::new() },
        version: version.to_owned(),
        wrong,
        remove_sure: old.is_some().then_some(words.gateway_remove_sure.as_str()),
        of: ("lines", "/lines"),
    };
    Ok(edit_page(app, reader, edit))
}
