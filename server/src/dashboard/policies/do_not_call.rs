//! Numbers that must not be called: the list on *Policies*, and who may change it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::page::{FORBID, page};
use crate::app::App;
use crate::dashboard::frame::answer::{Refusal, go_to};
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::Wrong;
use crate::dashboard::frame::form::Sent;
use crate::dashboard::frame::reader::Reader;
use crate::keep::do_not_call as forbidden;
use crate::store::Work;
use crate::versions::Expected;

/// `POST /do-not-call/add`
pub(in crate::dashboard) async fn add(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let (number, reason) = (fields.get("number").trim(), fields.get("reason").trim().to_owned());
    let words = reader.words;
    let region = app.engine.region();
    let forbid = async |work: &mut Work| forbidden::forbid(work, number, Some(reason), region, &Expected::Anything).await;
    let wrong = match app.engine.carry_out(reader.doer(), forbid).await {
        Ok(_) => return Ok(go_to("/policies?done=saved")),
        Err(refused) => match refused.field() {
            Some("number") => Wrong::new("number", &words.bad_number),
            Some("reason") => Wrong::new("reason", &words.forbidden_bad_reason),
            _ => return Err(refused.into()),
        },
    };
    let sent = Sent { form: FORBID.to_owned(), fields, wrong };
    page(&app, &reader, StatusCode::UNPROCESSABLE_ENTITY, Some(sent), None).await
}

/// `POST /do-not-call/remove`
pub(in crate::dashboard) async fn remove(
    State(app): State<Arc<App>>,
    Extension(reader): Extension<Reader>,
    Extension(fields): Extension<Fields>,
) -> Result<Response, Refusal> {
    let (number, region) = (fields.get("number"), app.engine.region());
    if !app
        .engine
        .carry_out(reader.doer(), async |work| forbidden::allow(work, number, region, &Expected::Anything).await)
        .await?
    {
        return Err(Refusal::NotFound);
    }
    Ok(go_to("/policies?done=removed"))
}
