//! Sound of our own protocol: `PUT recording/ID?mid=MID` takes what a callee said, `GET media/ID` gives what a call plays.
//!
//! A handset lets go of a recording only when it is stored, or on 410. So 410 is said only where nobody will ever want it; whatever may be
//! otherwise later is another refusal.

use std::sync::Arc;
use std::time::Duration;

use android_protocol::voice::rewritten::LARGEST;
use android_protocol::wire;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::query::HandsetQuery;
use super::refusal::PollError;
use crate::app::App;
use crate::costly::CostlyError;
use crate::http::json;
use crate::http::phone::refusal;
use crate::http::sound::sound;
use crate::ids::{MediaId, short_mid};
use crate::keep::media::recordings::{self, Door};
use crate::keep::media::{self, NotTaken};
use crate::shout::message::CLIP_PREFIX;
use crate::store::media::recordings::RecordingRow;
use crate::store::watch::handsets::HandsetRow;

/// A recording that is not here by then is sent again.
const WITHIN: Duration = Duration::from_secs(90);

/// Whether a path below the token is about sound.
#[must_use]
pub fn is_sound(path: &str) -> bool {
    matches!(path.split('/').next(), Some("recording" | "media"))
}

/// Answers what is asked about sound.
///
/// # Errors
/// When the database fails.
pub async fn answer(app: &Arc<App>, handset: &HandsetRow, parts: &Parts, path: &str, body: Body) -> Result<Response, PollError> {
    match (&parts.method, path.split_once('/').unwrap_or((path, ""))) {
        (&Method::PUT, ("recording", name)) => take(app, handset, parts, name, body).await,
        (&Method::GET | &Method::HEAD, ("media", id)) => play(app, handset, parts, id).await,
        (_, ("recording", _)) => Ok(refusal(StatusCode::METHOD_NOT_ALLOWED, "a recording is sent with PUT")),
        _ => Ok(refusal(StatusCode::METHOD_NOT_ALLOWED, "what is to be played is read with GET")),
    }
}

/// What a call plays: only what an open dial of this handset was told.
async fn play(app: &App, handset: &HandsetRow, parts: &Parts, id: &str) -> Result<Response, PollError> {
    let store = &app.engine.store;
    let mut reader = store.read().await?;
    let mut db = reader.db();
    let file = match id.parse::<MediaId>() {
        Ok(id)
            if db.is_to_play(handset.id, id).await?
                || db.may_play_in_shout(handset.id, id, CLIP_PREFIX).await?
                || db.may_play_for_program(handset.id, id).await? =>
        {
            db.media(id).await?.filter(|file| file.stored_at.is_some())
        }
        _ => None,
    };
    Ok(match file {
        Some(file) => sound(store, &file, &parts.method, &parts.headers),
        None => refusal(StatusCode::NOT_FOUND, "no open call of this handset plays that"),
    })
}

/// Takes a recording. Whoever may not is refused before the body is read.
async fn take(app: &Arc<App>, handset: &HandsetRow, parts: &Parts, name: &str, body: Body) -> Result<Response, PollError> {
    let query = HandsetQuery::parse(parts.uri.query().unwrap_or_default());
    let mid = query.mid.filter(|mid| !query.contradictory && android_protocol::mid::is_well_formed(mid));
    let Some(mid) = mid.filter(|_| media::is_name(name)) else {
        return Ok(refusal(StatusCode::BAD_REQUEST, "a recording is sent to recording/ID?mid=MID"));
    };
    let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let store = &app.engine.store;
    let door = {
        let mut reader = store.read().await?;
        let door = recordings::door(&mut reader.db(), handset.id, &mid, name).await?;
        let most = app.config().media.most_bytes;
        match door {
            Door::Unknown => {
                return Ok(refusal(StatusCode::NOT_FOUND, "no report of this handset has told of that recording"));
            }
            Door::Gone => return Ok(gone()),
            _ if length.is_some_and(|length| length > LARGEST) => return Ok(too_large()),
            Door::Awaited(_) if u64::try_from(reader.db().media_total().await?).unwrap_or_default() >= most => {
                return Ok(no_room());
            }
            door => door,
        }
    };
    let Ok(_room) = app.recordings.reserve(length.unwrap_or(LARGEST)).await else {
        return Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, "too much is being read at once: send it again in a few seconds"));
    };
    let read = tokio::time::timeout(WITHIN, Limited::new(body, LARGEST).collect()).await;
    let file = match read {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Ok(too_large()),
        Ok(Err(_)) => return Ok(refusal(StatusCode::BAD_REQUEST, "the recording broke off: send it again")),
        Err(_) => return Ok(refusal(StatusCode::REQUEST_TIMEOUT, "the recording came too slowly: send it again")),
    };
    let upload = media::sha256(&file);
    match door {
        Door::Here(known) if known == upload => {
            // Whoever waits for it may not have heard.
            app.engine.recording_is_stored(&mid, name).await?;
            Ok(stored())
        }
        Door::Awaited(row) => keep(app, &row, Vec::from(file), &upload).await,
        _ => Ok(another()),
    }
}

async fn keep(app: &App, row: &RecordingRow, file: Vec<u8>, upload: &str) -> Result<Response, PollError> {
    let engine = &app.engine;
    let kept = async {
        let sound = media::anew(file).await?;
        let (most, now) = (app.config().media.most_bytes, engine.clock.now());
        recordings::keep(&engine.store, row, &sound, upload, most, now).await
    };
    match kept.await {
        Ok(true) => {
            tracing::info!(dial.mid = short_mid(&row.mid), "a recording is stored");
            engine.measure_media().await?;
            engine.recording_is_stored(&row.mid, &row.name).await?;
            Ok(stored())
        }
        // It came twice at once, or somebody was forgotten meanwhile.
        Ok(false) => match engine.store.read().await?.db().recording_named(&row.mid, &row.name).await? {
            Some(now) if now.upload_sha256.as_deref() == Some(upload) => {
                engine.recording_is_stored(&row.mid, &row.name).await?;
                Ok(stored())
            }
            Some(now) if now.media_id.is_some() => Ok(another()),
            _ => Ok(gone()),
        },
        Err(NotTaken::Wrong(why)) => Ok(refusal(StatusCode::BAD_REQUEST, why.to_string())),
        Err(NotTaken::Full) => Ok(no_room()),
        Err(NotTaken::Costly(CostlyError::Busy)) => Ok(refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "the server is busy with other recordings: send it again in a few seconds",
        )),
        Err(NotTaken::Costly(CostlyError::TooLong)) => {
            Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, "writing this recording anew took too long: send it again later"))
        }
        Err(NotTaken::Store(error)) => Err(error.into()),
    }
}

fn stored() -> Response {
    json(StatusCode::OK, wire::ACCEPTED_BODY)
}

fn gone() -> Response {
    refusal(StatusCode::GONE, "nobody wants this recording any more: throw it away")
}

fn another() -> Response {
    refusal(StatusCode::CONFLICT, "another recording is stored under this id")
}

fn too_large() -> Response {
    refusal(StatusCode::PAYLOAD_TOO_LARGE, "a recording has at most 5 MiB")
}

fn no_room() -> Response {
    refusal(StatusCode::INSUFFICIENT_STORAGE, "there is no room for recordings now (media.most_bytes): send it again later")
}
