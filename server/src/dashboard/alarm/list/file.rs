//! What the page *Alarms* finds, as a file: all of it, sent while it is read.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::response::Response;
use futures_util::stream;

use super::asked::{AskedFor, Part};
use super::person_of;
use crate::api::alarm::file::{AlarmFile, FileForm};
use crate::app::App;
use crate::dashboard::frame::answer::{Refusal, as_file};
use crate::dashboard::frame::reader::Reader;
use crate::store::alarm::alarms::AlarmFilter;

/// `GET /alarms.csv`, with what the page was asked for.
pub(in crate::dashboard) async fn csv(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    file(&app, &reader, query, FileForm::Csv).await
}

/// `GET /alarms.json`, with what the page was asked for.
pub(in crate::dashboard) async fn json(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    file(&app, &reader, query, FileForm::Json).await
}

async fn file(app: &App, reader: &Reader, query: Option<String>, form: FileForm) -> Result<Response, Refusal> {
    let mut asked = AskedFor::read(query.as_deref().unwrap_or_default());
    // All pages of it.
    asked.part = Part::First;
    let person = person_of(&mut app.engine.store.read().await?.db(), reader, &asked).await?;
    let filter: AlarmFilter = asked.filter(person, reader.responds());
    let file = AlarmFile::new(app.engine.store.clone(), filter, form, reader.responds());
    // A piece that cannot be read breaks the answer off, so that nobody takes what has come for the whole.
    let pieces = stream::try_unfold(file, async |mut file| {
        let piece = file.piece().await?;
        Ok::<_, crate::engine::EngineError>(piece.map(|piece| (Bytes::from(piece), file)))
    });
    let (kind, name) = match form {
        FileForm::Csv => ("text/csv; charset=utf-8", "alarms.csv"),
        FileForm::Json => ("application/json", "alarms.json"),
    };
    Ok(as_file(kind, name, Body::from_stream(pieces)))
}
