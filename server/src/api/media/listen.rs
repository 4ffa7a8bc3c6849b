//! `GET /media/{token}`: somebody listens to what a callee said, or to the message of a shout. The address says who, to what, and until when, and is signed; who that is
//! by now, and whether they still may, is looked up each time.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::access::doors;
use crate::app::App;
use crate::engine::EngineError;
use crate::http::sound::sound;
use crate::links::{Hearing, Listener};

/// Why somebody hears nothing, for people.
const OVER: &str = "this address is not good any more: open the page again, or ask the API for another\n";
const NOTHING: &str = "there is nothing at this address\n";
const AWAY: &str = "this cannot be read now: try again in a few seconds\n";

/// Plays a recording to whoever was given its address.
pub async fn listen(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    method: Method,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Response {
    let mut response = match app.engine.links.read_hearing(&token) {
        None => (StatusCode::NOT_FOUND, NOTHING).into_response(),
        Some(hearing) if hearing.until <= app.engine.clock.now() => (StatusCode::GONE, OVER).into_response(),
        Some(hearing) => play(&app, peer, &method, &headers, hearing).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a recording could not be played");
            (StatusCode::SERVICE_UNAVAILABLE, AWAY).into_response()
        }),
    };
    let headers = response.headers_mut();
    // Nothing here is a page, whatever a browser may take it for, and nothing of it is kept on the way.
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"recording.wav\""),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn play(
    app: &App,
    peer: SocketAddr,
    method: &Method,
    headers: &HeaderMap,
    hearing: Hearing,
) -> Result<Response, EngineError> {
    let engine = &app.engine;
    let address = doors::caller(peer, headers, &app.config().http).address;
    let (heard, is_message, file) = {
        let mut reader = engine.store.read().await?;
        let mut db = reader.db();
        let is_message = match hearing.listener {
            Listener::User(_) => db.is_message_of_shout(hearing.media, None).await?,
            Listener::Key(key) => db.is_message_of_shout(hearing.media, Some(key)).await?,
            Listener::OpenNetwork => false,
        };
        (db.recording_of_media(hearing.media).await?, is_message, db.media(hearing.media).await?)
    };
    let Some(file) = file.filter(|_| heard.is_some() || is_message) else {
        return Ok((StatusCode::GONE, OVER).into_response());
    };
    let Some(by) = engine.listener_now(heard.as_ref(), hearing.listener, address).await? else {
        return Ok((StatusCode::GONE, OVER).into_response());
    };
    let response = sound(&engine.store, &file, method, headers);
    // What somebody sent along with a shout is nobody's words in a call.
    if let Some(heard) = heard.filter(|_| *method == Method::GET && response.status().is_success()) {
        // Written down first: nobody hears what nobody would know of.
        engine.recording_heard(&heard, hearing.media, hearing.listener, by).await?;
    }
    Ok(response)
}
