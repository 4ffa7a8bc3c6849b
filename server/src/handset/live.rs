//! Calls while they run: `GET live` waits for what is to be done in them, `POST live` tells what happened. `POST incoming` tells of a call
//! that comes in.
//!
//! Only for whoever has the handset's token, and only where its last status says that it takes commands.

use std::sync::Arc;

use android_protocol::live::{Incoming, IncomingReply, LiveEvents, LiveReply, MOST_EVENTS};
use android_protocol::voice::script::Script;
use android_protocol::wire::{self, Capability};
use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::native::{Patience, script_of, speaks_native, wait_of};
use super::refusal::PollError;
use crate::app::App;
use crate::engine::lines::calling_back::{self, CalledBack, ComesIn};
use crate::engine::live::LiveLook;
use crate::engine::media::Told;
use crate::engine::rpc::incoming::ForProgram;
use crate::http::json;
use crate::http::phone::refusal;
use crate::store::Announcement;
use crate::store::watch::handsets::HandsetRow;

/// Answers `live`.
///
/// # Errors
/// When the database fails.
pub async fn answer(app: &Arc<App>, handset: &HandsetRow, parts: &Parts, body: &Bytes) -> Result<Response, PollError> {
    // Whoever has only a token that was replaced may end the call that it holds, and no more.
    if !speaks_native(&parts.headers) || !handset.can(Capability::Live) || handset.token_hash.is_none() {
        return Ok(refusal(
            StatusCode::NOT_FOUND,
            "this handset takes no commands while a call runs: its status does not name the capability live",
        ));
    }
    match parts.method {
        Method::GET => {
            let query = parts.uri.query().unwrap_or_default();
            let patience = Patience::of(wait_of(query), parts);
            Ok(json(StatusCode::OK, wait_for_commands(app, handset, since_of(query), patience).await?.to_body()))
        }
        Method::POST => {
            let Some(told) = LiveEvents::parse(body).filter(|told| told.events.len() <= MOST_EVENTS) else {
                return Ok(refusal(StatusCode::BAD_REQUEST, "what happened is {\"events\":[…]}, at most 100 of them"));
            };
            app.engine.live_events(handset, &told.events).await?;
            Ok(json(StatusCode::OK, wire::ACCEPTED_BODY))
        }
        _ => Ok(refusal(StatusCode::METHOD_NOT_ALLOWED, "GET waits for commands, POST tells what happened")),
    }
}

/// Answers `incoming`: somebody calls the handset.
///
/// # Errors
/// When the database fails.
pub async fn incoming(app: &Arc<App>, handset: &HandsetRow, parts: &Parts, body: &Bytes) -> Result<Response, PollError> {
    if !speaks_native(&parts.headers) || !handset.can(Capability::Inbound) || handset.token_hash.is_none() {
        return Ok(refusal(
            StatusCode::NOT_FOUND,
            "this handset tells of no calls that come in: its status does not name the capability inbound",
        ));
    }
    if parts.method != Method::POST {
        return Ok(refusal(StatusCode::METHOD_NOT_ALLOWED, "POST tells of a call that comes in"));
    }
    let Some(call) = Incoming::parse(body) else {
        return Ok(refusal(StatusCode::BAD_REQUEST, "a call that comes in is {\"id\",\"channel\",\"from\",\"to\",\"codecs\"}"));
    };
    let reply = match app.engine.incoming(handset, &call).await? {
        Some(ComesIn::CallsBack(told)) => called_back(app, handset, *told),
        Some(ComesIn::ForProgram(ForProgram { mid, seconds })) => {
            IncomingReply::ring(mid, Script { stay: true, max_seconds: Some(u64::from(seconds)), ..Script::default() })
        }
        None => IncomingReply::reject(),
    };
    Ok(json(StatusCode::OK, reply.to_body()))
}

/// What whoever calls back about an alarm hears.
fn called_back(app: &App, handset: &HandsetRow, told: CalledBack) -> IncomingReply {
    let CalledBack { mid, details, over, records } = told;
    if over {
        let (say, language) = calling_back::over(&details);
        return IncomingReply::answer(mid, Script { say, language: Some(language), repeat: Some(1), ..Script::default() });
    }
    let of_person = details.callees.iter().find_map(|(_, language)| language.clone());
    // In a call that came in no clip is played.
    let told = Told { clip: None, records };
    let script = script_of(&app.engine, handset, &details, of_person.as_deref(), &told);
    IncomingReply::answer(mid, Script { machine: None, ..script })
}

/// Up to where a handset has seen commands: `since` of its query.
fn since_of(query: &str) -> Option<i64> {
    form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "since").and_then(|(_, value)| value.parse().ok())
}

async fn wait_for_commands(
    app: &App,
    handset: &HandsetRow,
    since: Option<i64>,
    mut patience: Patience,
) -> Result<LiveReply, PollError> {
    let engine = &app.engine;
    // Before the first look: whatever is announced from now on is looked at.
    let mut announcements = engine.store.subscribe();
    let ask = engine.live_begins(handset.id, since).await?;
    loop {
        match engine.live_look(&ask).await? {
            LiveLook::Replaced => return Ok(LiveReply::new(Vec::new())),
            LiveLook::Commands(commands) => {
                if !commands.is_empty() || patience.is_over() || app.stopping.is_cancelled() {
                    return Ok(LiveReply::new(commands));
                }
            }
        }
        tokio::select! {
            () = heard(&mut announcements) => {}
            () = patience.ends() => {}
            () = app.stopping.cancelled() => {}
        }
        let now = engine.store.read().await?.db().handset(handset.id).await?;
        if !now.is_some_and(|now| now.token_hash == handset.token_hash && now.can(Capability::Live)) {
            // Whoever has a token that was replaced meanwhile is told nothing.
            return Ok(LiveReply::new(Vec::new()));
        }
    }
}

/// Waits until something is announced after which there may be something to do.
async fn heard(announcements: &mut Receiver<Announcement>) {
    loop {
        match announcements.recv().await {
            Ok(Announcement::Live | Announcement::Handsets | Announcement::Missed) | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            // The store is gone, and the server soon will be.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
