//! Bodies of requests: how they are packed, and how much of them is held at a time.
//!
//! In a large outage every monitoring system sends its largest messages at once. They are read one after the other rather than all at
//! the same time: whoever finds no room waits, and is then told to come again, in the way in which senders do.

use std::sync::Arc;
use std::time::Duration;

use android_protocol::voice::rewritten::LARGEST;
use axum::body::HttpBody;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::{Code, Problem};
use super::wash::unsupported;

/// A body that has not come by then is cut off.
pub const BODY_WITHIN: Duration = Duration::from_secs(30);
/// All bodies that are being read take no more than this, in KiB.
const ROOM: usize = 64 * 1024;
/// All recordings that are being read take no more than this, in KiB: they must not keep alarms waiting.
const ROOM_FOR_RECORDINGS: usize = 16 * 1024;
/// All messages of shouts that are being read, with what comes beside them, take no more than this, in KiB, for the same reason.
const ROOM_FOR_UPLOADS: usize = 32 * 1024;
/// Most that is held of one message of a monitoring system, however long it is, in bytes.
const MOST_OF_A_MESSAGE: usize = 2 << 20;
/// So long a request waits for room.
const WAITS: Duration = Duration::from_secs(10);
const PACKED: &str = "gzip, deflate, identity";

/// Room for the bodies that are being read.
#[derive(Clone, Debug)]
pub struct Bodies {
    room: Arc<Semaphore>,
    /// All of the room, in KiB.
    all: usize,
    /// Room of its own for what comes with a file.
    uploads: Arc<Semaphore>,
    waits: Duration,
    /// The longest body, in bytes.
    most: usize,
}

impl Bodies {
    /// Nothing is being read yet; no body but a monitoring system's may be longer than `most`, in bytes.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let uploads = Arc::new(Semaphore::new(ROOM_FOR_UPLOADS));
        Self { room: Arc::new(Semaphore::new(ROOM)), all: ROOM, uploads, waits: WAITS, most }
    }

    /// Room for recordings, which handsets send again later where there is none.
    #[must_use]
    pub fn of_recordings() -> Self {
        Self {
            room: Arc::new(Semaphore::new(ROOM_FOR_RECORDINGS)),
            all: ROOM_FOR_RECORDINGS,
            uploads: Arc::new(Semaphore::new(0)),
            waits: Duration::ZERO,
            most: LARGEST,
        }
    }

    /// Waits for room for so many bytes.
    ///
    /// # Errors
    /// When there is none in time.
    pub async fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        self.reserve_in(&self.room, bytes, self.all).await
    }

    /// Waits for room for so many bytes of what comes with a file: alarms do not wait behind it.
    ///
    /// # Errors
    /// When there is none in time.
    pub async fn reserve_for_upload(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        self.reserve_in(&self.uploads, bytes, ROOM_FOR_UPLOADS).await
    }

    async fn reserve_in(&self, room: &Arc<Semaphore>, bytes: usize, all: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let kilobytes = u32::try_from(bytes.div_ceil(1024).clamp(1, all)).unwrap_or(1);
        let room = Arc::clone(room).acquire_many_owned(kilobytes);
        match tokio::time::timeout(self.waits, room).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                Code::TooMuchAtOnce,
                "too many large requests are being read at once: send this one again in a few seconds",
            )),
        }
    }
}

/// The longest body that is read at an address, where others may be so long.
#[must_use]
pub fn most_of(path: &str, most: usize) -> usize {
    match () {
        () if path.starts_with("/api/v1/intake/") => MOST_OF_A_MESSAGE,
        () if path.starts_with("/api/v1/media/") => LARGEST,
        () if comes_with_file(path) => most.saturating_add(LARGEST),
        () => most,
    }
}

/// A shout may bring its message.
fn comes_with_file(path: &str) -> bool {
    path == "/api/v1/shouts"
}

/// How long a body is, as its head says.
#[must_use]
pub fn said_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reserves room for a body, and refuses what is packed or written in a way that is not taken. What is packed is unpacked further in.
pub async fn received(State(bodies): State<Bodies>, mut request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let packed = match packing(request.headers_mut()) {
        Ok(packed) => packed,
        Err(refused) => return refused,
    };
    let path = request.uri().path();
    let most = most_of(path, bodies.most);
    let bytes = said_length(request.headers()).filter(|_| !packed).map_or(most, |length| length.min(most));
    let room = match comes_with_file(path) {
        true => bodies.reserve_for_upload(bytes).await,
        false => bodies.reserve(bytes).await,
    };
    match room {
        Ok(_room) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Whether a body is packed, as its head says.
#[expect(clippy::result_large_err, reason = "the answer itself")]
fn packing(headers: &mut HeaderMap) -> Result<bool, Response> {
    let charset = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).map(str::to_ascii_lowercase);
    if charset.is_some_and(|kind| {
        ["utf-16", "utf16", "utf-32", "utf32", "ucs-2"]
            .iter()
            .any(|wide| kind.contains(&format!("charset={wide}")) || kind.contains(&format!("charset=\"{wide}")))
    }) {
        return Err(unsupported("the body is said to be in UTF-16 or UTF-32: send it in UTF-8").into_response());
    }
    let said: Vec<String> = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty() && name != "identity")
        .collect();
    headers.remove(CONTENT_ENCODING);
    match said.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(false),
        ["gzip" | "x-gzip"] => {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Ok(true)
        }
        ["deflate"] => {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("deflate"));
            Ok(true)
        }
        _ => {
            let text = format!("the body is packed in a way that is not taken here: send it as {PACKED}");
            let mut response = unsupported(text).into_response();
            response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(PACKED));
            Err(response)
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[tokio::test]
    async fn who_finds_no_room_waits_and_is_then_told_to_come_again() {
        let bodies = Bodies::new(4 << 20);
        let mut held = Vec::new();
        for _ in 0..32 {
            held.push(bodies.reserve(MOST_OF_A_MESSAGE).await.unwrap());
        }
        let impatient = Bodies { waits: Duration::ZERO, ..bodies.clone() };
        let refused = impatient.reserve(1).await.unwrap_err();
        assert_eq!((refused.status(), refused.code()), (503, "too_much_at_once"));
        let waiting = tokio::spawn({
            let bodies = bodies.clone();
            async move { bodies.reserve(1 << 20).await.is_ok() }
        });
        tokio::task::yield_now().await;
        drop(held);
        assert!(waiting.await.unwrap(), "who waits gets room when there is some");
    }

    #[test]
    fn what_is_packed_is_known_by_its_head() {
        let said = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_str(value).unwrap());
            }
            packing(&mut headers).map_err(|response| response.status().as_u16())
        };
        assert_eq!(
            (said(&[]), said(&["identity"]), said(&["GZIP"]), said(&["x-gzip"])),
            (Ok(false), Ok(false), Ok(true), Ok(true))
        );
        assert_eq!(
            (said(&["br"]), said(&["gzip", "gzip"]), said(&["gzip, br"]), said(&["\u{7f}"; 0])),
            (Err(415), Err(415), Err(415), Ok(false))
        );
    }
}
