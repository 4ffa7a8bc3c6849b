//! Numbers that must not be called: the list on *Policies*, and who may change it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::list;
use crate::api::do_not_call::parse;
use crate::app::App;
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::Wrong;
use crate::dashboard::frame::page::{Reader, Refusal, at, go_to};
use crate::dashboard::frame::words::Bit::Html;
use crate::dashboard::frame::words::fill;
use crate::intake::alarm_request::LONGEST_NOTE;
use crate::store::Db;

/// A number on the list as this reader may see it.
pub(in crate::dashboard) struct Forbidden {
    /// In full, for the form that takes it off; empty for those who may not.
    pub(in crate::dashboard) number: String,
    pub(in crate::dashboard) shown: String,
    pub(in crate::dashboard) reason: String,
    /// HTML.
    pub(in crate::dashboard) since: String,
}

/// What somebody has typed to add one.
#[derive(Clone, Debug, Default)]
pub(in crate::dashboard) struct ForbiddenForm {
    pub(in crate::dashboard) number: String,
    pub(in crate::dashboard) reason: String,
}

/// The list.
///
/// # Errors
/// When the database fails.
pub(in crate::dashboard) async fn all(reader: &Reader, db: &mut Db<'_>) -> Result<Vec<Forbidden>, Refusal> {
    let rows = db.forbidden_numbers().await?;
    let line = |row: crate::store::duty::do_not_call::DoNotCallRow| Forbidden {
        shown: reader.number(&row.number),
        number: if reader.administers() { row.number } else { String::new() },
        reason: row.reason,
        since: fill(&reader.words.forbidden_since, &[("at", Html(&at(row.created_at)))]),
    };
    Ok(rows.into_iter().map(line).collect())
}

/// `POST /do-not-call/add`
pub(in crate::dashboard) async fn add(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let form = ForbiddenForm { number: fields.get("number").trim().to_owned(), reason: fields.get("reason").trim().to_owned() };
    let words = reader.words;
    let wrong = match parse(&form.number, app.engine.region()) {
        Err(_) => Wrong::new("number", &words.bad_number),
        Ok(_) if form.reason.chars().count() > LONGEST_NOTE => Wrong::new("reason", &words.forbidden_bad_reason),
        Ok(number) => {
            let mut tx = app.engine.store.begin().await?;
            tx.db().forbid_number(number.as_str(), &form.reason, app.engine.clock.now()).await?;
            tx.commit().await?;
            return Ok(go_to("/policies?done=saved"));
        }
    };
    list::page(&app, &reader, StatusCode::UNPROCESSABLE_ENTITY, form, Some(wrong), None).await
}

/// `POST /do-not-call/remove`
pub(in crate::dashboard) async fn remove(
    State(app): State<Arc<App>>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let number = parse(fields.get("number"), app.engine.region()).map_err(|_| Refusal::Garbled)?;
    let mut tx = app.engine.store.begin().await?;
    if !tx.db().allow_number(number.as_str()).await? {
        return Err(Refusal::NotFound);
    }
    tx.commit().await?;
    Ok(go_to("/policies?done=removed"))
}
