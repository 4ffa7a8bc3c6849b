//! *SMS gateways*: the list, and the pages on which an admin adds, changes, tries and removes one.

use std::borrow::Cow;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::gateway_form::{self, GatewayForm};
use super::gateway_test::{self, Below};
use crate::app::App;
use crate::dashboard::alarm::now;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::edit::{AddressPage, Edit, edit_page_over, reached};
use crate::dashboard::frame::field::Wrong;
use crate::dashboard::frame::page::{Frame, ago, html};
use crate::dashboard::frame::reader::Reader;
use crate::dashboard::frame::set_up::asked::said;
use crate::dashboard::frame::words::{Words, fill_text};
use crate::dashboard::query::asked;
use crate::ids::GatewayId;
use crate::keep::lines::gateways::{self, inbound_path};
use crate::keep::refused::Refused;
use crate::kinds::gateways::{GatewayKind, host, reports_to};
use crate::store::lines::sms::GatewayRow;
use crate::versions::Expected;

/// A gateway as the list has it.
pub(in crate::dashboard) struct GatewayLine {
    pub(in crate::dashboard) id: GatewayId,
    pub(in crate::dashboard) name: String,
    pub(in crate::dashboard) kind: Cow<'static, str>,
    pub(in crate::dashboard) host: String,
    /// When it was last heard, where it has been silent since; HTML.
    pub(in crate::dashboard) silent: Option<String>,
}

impl GatewayLine {
    pub(in crate::dashboard) fn new(words: &'static Words, row: GatewayRow) -> Self {
        let kind = said(words, GatewayKind::of(&row.settings).name());
        Self { id: row.id, kind, host: host(&row.settings), silent: row.silent_since.map(ago), name: row.name }
    }
}

#[derive(Template)]
#[template(path = "lines/gateways.html")]
struct GatewaysPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    done: Option<&'static str>,
    gateways: Vec<GatewayLine>,
}

/// `GET /gateways`
pub(in crate::dashboard) async fn list(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let rows = app.engine.store.read().await?.db().gateways().await?;
    let gateways = rows.into_iter().map(|row| GatewayLine::new(words, row)).collect();
    let frame = Frame::new(&reader, "gateways", words.gateways.as_str(), app.engine.clock.now());
    let done = now::done_words(words, query.as_deref());
    Ok(html(StatusCode::OK, &GatewaysPage { frame, words, done, gateways }))
}

#[derive(Template)]
#[template(path = "lines/gateway_kinds.html")]
struct KindsPage<'r> {
    frame: Frame<'r>,
    words: &'static Words,
    /// The word in the address, the name, and what it is.
    kinds: Vec<(&'static str, Cow<'static, str>, Cow<'static, str>)>,
}

/// `GET /gateways/new`: asks what it is first.
pub(in crate::dashboard) async fn begin(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    if let Some(kind) = asked(&query.unwrap_or_default(), "kind") {
        let kind = GatewayKind::read(&kind).ok_or(Refusal::NotFound)?;
        return form_page(&app, &reader, None, kind, &GatewayForm::default(), "", None).await;
    }
    let words = reader.words;
    let kinds = GatewayKind::ALL.iter().map(|kind| (kind.as_str(), said(words, kind.name()), said(words, kind.how()))).collect();
    let frame = Frame::new(&reader, "gateways", words.gateway_add.as_str(), app.engine.clock.now());
    Ok(html(StatusCode::OK, &KindsPage { frame, words, kinds }))
}

/// `POST /gateways/new`: shows once where it is to report received messages.
pub(in crate::dashboard) async fn add(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let words = reader.words;
    let kind = GatewayKind::read(fields.get("kind")).ok_or(Refusal::Garbled)?;
    let form = GatewayForm::read(&fields, kind);
    let settings = match form.filled(words, kind, None) {
        Ok(settings) => settings,
        Err(wrong) => return form_page(&app, &reader, None, kind, &form, "", Some(wrong)).await,
    };
    let added = async {
        let mut work = app.engine.work(reader.doer()).await?;
        let added = gateways::add(&mut work, app.config(), form.said(settings)).await?;
        work.commit().await?;
        Ok::<_, Refused>(added)
    };
    let (gateway, token) = match added.await {
        Ok(added) => added,
        Err(refused) => {
            let wrong = gateway_form::wrong(words, kind, refused)?;
            return form_page(&app, &reader, None, kind, &form, "", Some(wrong)).await;
        }
    };
    let path = format!("{}{}", app.prefix.path(), inbound_path(&token));
    let title = fill_text(&words.gateway_added, &[("name", &gateway.name)]);
    let address = reached(&reader.host, reader.secure, app.config().listen, &path);
    let is_taken = reports_to(&gateway.settings, &address);
    let page = AddressPage {
        frame: Frame::new(&reader, "gateways", title, app.engine.clock.now()),
        words,
        how: said(words, kind.inbound()),
        address,
        once: &words.inbound_once,
        example: String::new(),
        then: if is_taken { "" } else { words.gateway_needs_https.as_str() },
        back: ("/gateways", &words.gateways_back),
    };
    Ok(html(StatusCode::OK, &page))
}

/// `GET /gateways/{id}`
pub(in crate::dashboard) async fn edit(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let old = gateway(&app, &gateway_id(&id)?).await?;
    let form = GatewayForm::of(&old.name, &old.settings, &old.inbound);
    let version = old.version(&app.engine.links);
    form_page(&app, &reader, Some(&old), GatewayKind::of(&old.settings), &form, version.as_str(), None).await
}

/// `POST /gateways/{id}`
pub(in crate::dashboard) async fn change(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = gateway_id(&id)?;
    let old = gateway(&app, &id).await?;
    let kind = GatewayKind::of(&old.settings);
    let form = GatewayForm::read(&fields, kind);
    let wrong = match form.filled(reader.words, kind, Some(&old.settings)) {
        Err(wrong) => wrong,
        Ok(settings) => {
            let changed = async {
                let expected = Expected::in_form(fields.get("version"));
                let mut work = app.engine.work(reader.doer()).await?;
                gateways::change(&mut work, app.config(), &app.engine.links, &id, form.said(settings), &expected).await?;
                Ok::<_, Refused>(work.commit().await?)
            };
            match changed.await {
                Ok(()) => return Ok(go_to("/gateways?done=saved")),
                Err(refused) => gateway_form::wrong(reader.words, kind, refused)?,
            }
        }
    };
    form_page(&app, &reader, Some(&old), kind, &form, fields.get("version"), Some(wrong)).await
}

/// `POST /gateways/{id}/test`: sends a message, and waits a while for what comes of it.
pub(in crate::dashboard) async fn test(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = gateway_id(&id)?;
    let mut below = Below { number: fields.get("number").trim().to_owned(), ..Below::default() };
    match app.engine.send_test_text(&id, &below.number, reader.doer()).await {
        Ok(sms) => below.tried = Some(gateway_test::tried(&reader, &gateways::tried(&app.engine.store, sms).await?)),
        Err(refused) => below.wrong = Some(gateway_test::wrong(&reader, refused)?),
    }
    let old = gateway(&app, &id).await?;
    let form = GatewayForm::of(&old.name, &old.settings, &old.inbound);
    let version = old.version(&app.engine.links);
    let status = if below.wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let below = gateway_test::section(&reader, old.id, below)?;
    let kind = GatewayKind::of(&old.settings);
    let shown = Shown { old: Some(&old), kind, form: &form, version: version.as_str(), wrong: None };
    let mut page = shown.over(&app, &reader, below).await?;
    *page.status_mut() = status;
    Ok(page)
}

/// `POST /gateways/{id}/remove`
pub(in crate::dashboard) async fn remove(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let id = gateway_id(&id)?;
    let removed = async {
        let mut work = app.engine.work(reader.doer()).await?;
        gateways::remove(&mut work, &app.engine.links, &id, &Expected::in_form(fields.get("version"))).await?;
        Ok::<_, Refused>(work.commit().await?)
    };
    if let Err(refused) = removed.await {
        let old = gateway(&app, &id).await?;
        let wrong = gateway_form::wrong(reader.words, GatewayKind::of(&old.settings), refused)?;
        let form = GatewayForm::of(&old.name, &old.settings, &old.inbound);
        let version = old.version(&app.engine.links);
        return form_page(&app, &reader, Some(&old), GatewayKind::of(&old.settings), &form, version.as_str(), Some(wrong)).await;
    }
    Ok(go_to("/gateways?done=removed"))
}

async fn gateway(app: &App, id: &str) -> Result<GatewayRow, Refusal> {
    Ok(gateways::find(&mut app.engine.store.read().await?.db(), id).await?)
}

/// What it is known by.
fn gateway_id(text: &str) -> Result<String, Refusal> {
    text.parse().map(|id: GatewayId| id.to_string()).map_err(|_| Refusal::NotFound)
}

async fn form_page(
    app: &App,
    reader: &Reader,
    old: Option<&GatewayRow>,
    kind: GatewayKind,
    form: &GatewayForm,
    version: &str,
    wrong: Option<Wrong>,
) -> Result<Response, Refusal> {
    let below = match old {
        Some(old) => gateway_test::section(reader, old.id, Below::default())?,
        None => String::new(),
    };
    let shown = Shown { old, kind, form, version, wrong };
    shown.over(app, reader, below).await
}

/// A form as it is shown.
struct Shown<'s> {
    old: Option<&'s GatewayRow>,
    kind: GatewayKind,
    form: &'s GatewayForm,
    version: &'s str,
    wrong: Option<Wrong>,
}

impl Shown<'_> {
    /// The page with it, and with something below it.
    async fn over(self, app: &App, reader: &Reader, below: String) -> Result<Response, Refusal> {
        let Self { old, kind, form, version, wrong } = self;
        let words = reader.words;
        let handsets = app.engine.store.read().await?.db().handsets().await?.into_iter().map(|handset| handset.name);
        let (name, how) = (said(words, kind.name()), said(words, kind.how()));
        let edit = Edit {
            title: if old.is_some() { form.name.clone() } else { name.into_owned() },
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
            of: ("gateways", "/gateways"),
        };
        Ok(edit_page_over(app, reader, edit, below))
    }
}
