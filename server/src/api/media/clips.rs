//! Clips that calls play: `/api/v1/media`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::senders::Sender;
use crate::app::App;
use crate::http::bodies::BODY_WITHIN;
use crate::http::listing::{Listed, Paged, Paging, escaped, located};
use crate::http::problem::{Code, Problem};
use crate::http::versions::versioned;
use crate::ids::MediaId;
use crate::intake::alarm_request::{broke_off, too_slow};
use crate::keep::media::clips::{self as kept, ClipError};
use crate::keep::media::{self, NotTaken};
use crate::store::media::clips::ClipRow;
use crate::versions::Expected;

/// A clip.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClipJson {
    name: String,
    /// The sound that the name stands for now: another one with each upload.
    media_id: MediaId,
    seconds: f64,
    /// The size of the file, as it is kept: 8 kHz, one channel, under µ-law.
    bytes: i64,
    /// Of that file, in hexadecimal.
    sha256: String,
    updated_at: DateTime<Utc>,
}

impl From<ClipRow> for ClipJson {
    fn from(row: ClipRow) -> Self {
        Self {
            name: row.name,
            media_id: row.media_id,
            seconds: std::time::Duration::from_millis(u64::try_from(row.milliseconds).unwrap_or_default()).as_secs_f64(),
            bytes: row.bytes,
            sha256: row.sha256,
            updated_at: row.updated_at,
        }
    }
}

impl From<ClipError> for Problem {
    fn from(error: ClipError) -> Self {
        let text = error.to_string();
        match error {
            ClipError::Refused(refused) => refused.into(),
            ClipError::Sound(NotTaken::Wrong(_)) => Self::bad_request(Code::NoSound, text),
            ClipError::Sound(NotTaken::Full) => Self::new(StatusCode::INSUFFICIENT_STORAGE, Code::NoRoom, text),
            ClipError::Sound(NotTaken::Costly(error)) => error.into(),
            ClipError::Sound(NotTaken::Store(error)) => error.into(),
        }
    }
}

/// The clips that calls may play.
#[utoipa::path(get, path = "/api/v1/media", tag = "media", params(Paged),
    responses((status = 200, description = "By name", body = Listed<ClipJson>),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let paging = Paging::read(query.as_deref())?;
    let rows = app.engine.store.read().await?.db().clips().await?;
    let clips = rows.into_iter().map(|row| (row.name.clone(), ClipJson::from(row))).collect();
    Ok(paging.page(clips).answer())
}

/// One clip.
#[utoipa::path(get, path = "/api/v1/media/{name}", tag = "media",
    params(("name" = String, Path, description = "The clip's name")),
    responses((status = 200, description = "What is known of it", body = ClipJson),
        (status = 404, description = "There is no such clip", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn show(State(app): State<Arc<App>>, Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let row = app.engine.store.read().await?.db().clip(&name).await?.ok_or_else(|| kept::unknown(&name))?;
    Ok(versioned(&headers, StatusCode::OK, &kept::version(&row), &ClipJson::from(row)))
}

/// A WAV file, byte for byte.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "only described")]
pub struct SoundFile(Vec<u8>);

/// Makes or replaces a clip. The file is a WAV file, PCM of 8 or 16 bit, A-law or µ-law, of one or two channels and up to 48 kHz, of at most
/// 5 MiB and 600 s; it is written anew for the telephone.
#[utoipa::path(put, path = "/api/v1/media/{name}", tag = "media",
    params(("name" = String, Path, description = "The clip's name: 1 to 64 letters, digits, dots, _ or -")),
    request_body(content = SoundFile, content_type = "application/octet-stream"),
    responses((status = 200, description = "Replaced", body = ClipJson),
        (status = 201, description = "Made", body = ClipJson),
        (status = 400, description = "It is no sound that is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The name is none, or there are too many", body = Problem, content_type = "application/problem+json"),
        (status = 507, description = "There is no room", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn put(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    kept::checked(&name)?;
    let file = match tokio::time::timeout(BODY_WITHIN, Limited::new(body, kept::largest()).collect()).await {
        Ok(Ok(body)) => Vec::from(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::BodyTooLarge, "a clip has at most 5 MiB"));
        }
        Ok(Err(_)) => return Err(broke_off()),
        Err(_) => return Err(too_slow()),
    };
    let sound = media::anew(file).await.map_err(ClipError::from)?;
    let (now, expected) = (app.engine.clock.now(), Expected::of(&headers));
    let stored =
        kept::set(&app.engine.store, &name, &sound, app.config().media.most_bytes, now, &expected, sender.doer()).await?;
    let status = if stored.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let at = format!("/api/v1/media/{}", escaped(&stored.row.name));
    let version = kept::version(&stored.row);
    Ok(located(&at, versioned(&HeaderMap::new(), status, &version, &ClipJson::from(stored.row))))
}

/// Removes a clip. Calls that were told to play it still do; later ones speak.
#[utoipa::path(delete, path = "/api/v1/media/{name}", tag = "media",
    params(("name" = String, Path, description = "The clip's name")),
    responses((status = 204, description = "Removed"),
        (status = 404, description = "There is no such clip", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn remove(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let made = (app.engine.clock.now(), sender.doer());
    kept::remove(&app.engine.store, &name, &Expected::of(&headers), made).await?;
    Ok(StatusCode::NO_CONTENT)
}
