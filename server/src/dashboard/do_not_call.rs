//! Numbers that must not be called: the list on *Policies*, and who may change it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::csrf::Fields;
use super::field::Wrong;
use super::page::{Reader, Refusal, at, go_to};
use super::policies;
use super::words::Bit::Html;
use super::words::fill;
use crate::app::App;
use crate::intake::alarm_request::LONGEST_NOTE;
use crate::intake::do_not_call::parse;
use crate::store::Db;

/// A number on the list as this reader may see it.
pub(super) struct Forbidden {
    /// In full, for the form that takes it off; empty for those who may not.
    pub(super) number: String,
    pub(super) shown: String,
    pub(super) reason: String,
    /// HTML.
    pub(super) since: String,
}

/// What somebody has typed to add one.
#[derive(Clone, Debug, Default)]
pub(super) struct ForbiddenForm {
    pub(super) number: String,
    pub(super) reason: String,
}

/// The list.
///
/// # Errors
/// When the database fails.
pub(super) async fn all(reader: &Reader, db: &mut Db<'_>) -> Result<Vec<Forbidden>, Refusal> {
    let rows = db.forbidden_numbers().await?;
    let line = |row: crate::store::do_not_call::DoNotCallRow| Forbidden {
        shown: reader.number(&row.number),
        number: if reader.administers() { row.number } else { String::new() },
        reason: row.reason,
        since: fill(&reader.words.forbidden_since, &[("at", Html(&at(row.created_at)))]),
    };
    Ok(rows.into_iter().map(line).collect())
}

/// `POST /do-not-call/add`
pub(super) async fn add(
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
    policies::page(&app, &reader, StatusCode::UNPROCESSABLE_ENTITY, form, Some(wrong), None).await
}

/// `POST /do-not-call/remove`
pub(super) async fn remove(State(app): State<Arc<App>>, Extension(fields): Extension<Fields>) -> Result<Response, Refusal> {
    let number = parse(fields.get("number"), app.engine.region()).map_err(|_| Refusal::Garbled)?;
    let mut tx = app.engine.store.begin().await?;
    if !tx.db().allow_number(number.as_str()).await? {
        return Err(Refusal::NotFound);
    }
    tx.commit().await?;
    Ok(go_to("/policies?done=removed"))
}
