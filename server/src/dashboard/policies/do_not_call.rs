//! Numbers that must not be called: the list on *Policies*, and who may change it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::list;
use crate::app::App;
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::Wrong;
use crate::dashboard::frame::page::{Reader, Refusal, at, go_to};
use crate::dashboard::frame::words::Bit::Html;
use crate::dashboard::frame::words::fill;
use crate::keep::do_not_call as forbidden;
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
    let (store, region, now) = (&app.engine.store, app.engine.region(), app.engine.clock.now());
    let wrong = match forbidden::forbid(store, &form.number, Some(form.reason.clone()), region, now).await {
        Ok(_) => return Ok(go_to("/policies?done=saved")),
        Err(refused) => match refused.field() {
            Some("number") => Wrong::new("number", &words.bad_number),
            Some("reason") => Wrong::new("reason", &words.forbidden_bad_reason),
            _ => return Err(refused.into()),
        },
    };
    list::page(&app, &reader, StatusCode::UNPROCESSABLE_ENTITY, form, Some(wrong), None).await
}

/// `POST /do-not-call/remove`
pub(in crate::dashboard) async fn remove(
    State(app): State<Arc<App>>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    if !forbidden::allow(&app.engine.store, fields.get("number"), app.engine.region()).await? {
        return Err(Refusal::NotFound);
    }
    Ok(go_to("/policies?done=removed"))
}
