//! `Idempotency-Key` on every POST of operators: the same request again is answered as the first was, and done once.
//!
//! A row says that a request is under way; what it was answered with follows when it succeeded. A request that was refused frees its
//! key. Keys are each caller's own: of a key, or of an address in an open network. What a server that died in between had done is not
//! known: its key is free again once it must have ended, so that then the request is done again. Alarms are safer, since their key is
//! stored in the transaction that raises them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Extension, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};
use memchr::memmem;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::access::refusals::took_too_long;
use crate::access::senders::Sender;
use crate::app::App;
use crate::http::bodies::most_of;
use crate::http::json;
use crate::http::problem::{Code, Problem};
use crate::intake::alarm_request::{IdempotencyKey, read_body};
use crate::store::StoreError;
use crate::store::access::repeats::RepeatedRow;
use crate::store::audit::whence;

const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// A longer answer is not kept, in bytes: whoever asks again is told that it was done.
const LONGEST_ANSWER: usize = 256 << 10;
/// Nor is one with which those of its caller would be longer than this together, in bytes.
const MOST_KEPT: i64 = 16 << 20;
/// So many keys of one caller are remembered at a time; each is forgotten after a day.
const MOST_KEYS: i64 = 10_000;
/// What an answer says only once: it opens a door, and is stored nowhere but as a hash.
const SHOWN_ONCE: [&str; 3] = ["inbound_path", "path", "ping_path"];
/// What is kept of a head.
const KEPT: [HeaderName; 2] = [header::LOCATION, header::ETAG];
/// Where alarms come in they have keys of their own, or none. To resolve is the same however often it is said, and is heard however long
/// the body is.
const OTHERWISE: [&str; 4] = ["/api/v1/alarms", "/api/v1/alarms/resolve", "/api/v1/call", "/api/v1/intake/"];
/// Beyond the time that a request may take, it is waited so long before one counts as given up.
const MARGIN: TimeDelta = TimeDelta::seconds(30);

/// Answers a request that came before as it was answered then.
pub async fn once(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let path = request.uri().path();
    let otherwise = OTHERWISE.iter().any(|own| path == *own || (own.ends_with('/') && path.starts_with(own)));
    if request.method() != Method::POST || otherwise {
        return Ok(next.run(request).await);
    }
    let Some(key) = IdempotencyKey::of(request.headers())? else { return Ok(next.run(request).await) };
    let key = key.as_str().to_owned();
    let (parts, body) = request.into_parts();
    let most = most_of(parts.uri.path(), app.config().http.body_limit_bytes);
    let body = read_body(body, most).await?;
    let hash = hash_of(&parts, &body);
    let began_at = app.engine.clock.now();
    let once = Once { app, caller: caller(&sender), key, began_at };
    if let Some(answer) = once.begin(&hash).await? {
        return Ok(answer);
    }
    // It goes on when whoever asked has gone away, which is when they ask again; but no longer than any other request.
    let longest = once.app.config().http.request_timeout;
    let done = tokio::spawn(whence::asked_from(whence::address(), async move {
        match in_time(longest, next.run(Request::from_parts(parts, Body::from(body)))).await {
            Some(answer) => once.end(answer).await,
            // It may have been done all the same: its key is free again once it counts as given up.
            None => Ok(took_too_long().into_response()),
        }
    }));
    done.await.unwrap_or_else(|_| Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, FAILED)))
}

/// What is answered; `None`: it took too long.
async fn in_time(longest: Duration, answer: impl Future<Output = Response>) -> Option<Response> {
    tokio::time::timeout(longest, answer).await.ok()
}

const FAILED: &str = "the server failed; its log says why";

/// Whose keys they are: nobody is told what somebody else was answered.
fn caller(sender: &Sender) -> String {
    match &sender.key {
        Some(key) => key.id.to_string(),
        None => format!("{} {}", sender.integration_id(), sender.address),
    }
}

fn hash_of(parts: &Parts, body: &[u8]) -> Vec<u8> {
    let address = parts.uri.to_string();
    let hash = Sha256::new().chain_update(parts.method.as_str()).chain_update([0]).chain_update(address).chain_update([0]);
    // What stands between the parts of a form is drawn by lot for each request.
    match boundary(&parts.headers) {
        Some(boundary) => pieces(body, boundary.as_bytes()).fold(hash, |hash, piece| hash.chain_update([0]).chain_update(piece)),
        None => hash.chain_update(body),
    }
    .finalize()
    .to_vec()
}

/// What stands between the parts of a multipart form; none is longer (RFC 2046, 5.1.1).
fn boundary(headers: &HeaderMap) -> Option<String> {
    const LONGEST: usize = 70;
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let (kind, rest) = kind.split_once(';')?;
    let mut named = rest.split(';').filter_map(|pair| pair.split_once('='));
    let (_, named) = named.find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))?;
    let named = named.trim().trim_matches('"');
    let is_form = kind.trim().eq_ignore_ascii_case("multipart/form-data");
    (is_form && (1..=LONGEST).contains(&named.len())).then(|| named.to_owned())
}

/// A text without all that is like `between`.
fn pieces<'b>(text: &'b [u8], between: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
    let places = memmem::find_iter(text, between).map(|place| (place, place + between.len()));
    places.chain([(text.len(), text.len())]).scan(0, move |begin, (end, next)| {
        let piece = &text[*begin..end];
        *begin = next;
        Some(piece)
    })
}

/// One request under its key.
struct Once {
    app: Arc<App>,
    caller: String,
    key: String,
    began_at: DateTime<Utc>,
}

impl Once {
    /// Notes that the request is under way; or gives what is answered to it, since it came before.
    async fn begin(&self, hash: &[u8]) -> Result<Option<Response>, Problem> {
        let now = self.began_at;
        let mut tx = self.app.engine.store.begin().await?;
        if tx.db().begin_request(&self.caller, &self.key, hash, now).await? {
            if tx.db().repeated_requests_of(&self.caller).await? > MOST_KEYS {
                return Err(too_many_keys());
            }
            tx.commit().await?;
            return Ok(None);
        }
        let Some(first) = tx.db().repeated_request(&self.caller, &self.key).await? else { return Err(under_way()) };
        if first.request_hash != hash {
            let text = "another request came with this Idempotency-Key before: use a new one for each request that differs";
            return Err(Problem::key_reused(text));
        }
        if let Some(status) = first.status {
            return again(status, &first).map(Some);
        }
        let longest = TimeDelta::from_std(self.app.config().http.request_timeout).unwrap_or(MARGIN);
        let given_up = now - first.began_at > longest + MARGIN;
        if given_up && tx.db().begin_request_again(&self.caller, &self.key, first.began_at, now).await? {
            tx.commit().await?;
            return Ok(None);
        }
        Err(under_way())
    }

    /// Keeps what is answered, where something was done.
    async fn end(&self, answer: Response) -> Result<Response, Problem> {
        if !answer.status().is_success() {
            if let Err(error) = self.free().await {
                // It is free again once it counts as given up.
                tracing::warn!(%error, "an Idempotency-Key could not be freed");
            }
            return Ok(answer);
        }
        let (parts, body) = answer.into_parts();
        let broke_off = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, "the answer broke off");
        let body = to_bytes(body, usize::MAX).await.map_err(broke_off)?;
        if let Err(error) = self.keep(parts.status, &parts.headers, &body).await {
            // It was done, and whoever asked must hear so.
            tracing::warn!(%error, "what was answered under an Idempotency-Key could not be kept");
        }
        Ok(Response::from_parts(parts, Body::from(body)))
    }

    async fn free(&self) -> Result<(), StoreError> {
        let mut tx = self.app.engine.store.begin().await?;
        tx.db().free_request(&self.caller, &self.key, self.began_at).await?;
        tx.commit().await
    }

    async fn keep(&self, status: StatusCode, headers: &HeaderMap, body: &Bytes) -> Result<(), StoreError> {
        let head = KEPT.iter().filter_map(|name| Some((name.to_string(), headers.get(name)?.to_str().ok()?.into())));
        let head = Value::Object(head.collect::<Map<String, Value>>());
        let mut tx = self.app.engine.store.begin().await?;
        let held = tx.db().length_of_answers_to(&self.caller).await?;
        let kept = is_kept(body.len(), held).then(|| without_secrets(body));
        let said = (status.as_u16(), &*head.to_string(), kept.as_deref());
        tx.db().request_answered(&self.caller, &self.key, self.began_at, said).await?;
        tx.commit().await
    }
}

/// Whether an answer is kept that is so long, beside those of its caller that are, in bytes.
fn is_kept(length: usize, held: i64) -> bool {
    let fits = i64::try_from(length).is_ok_and(|length| held.saturating_add(length) <= MOST_KEPT);
    length <= LONGEST_ANSWER && fits
}

/// What is kept of a body.
fn without_secrets(body: &Bytes) -> String {
    match serde_json::from_slice::<Value>(body) {
        // Where nothing is taken out, the keys stay in their order: of another program's words that may count.
        Ok(Value::Object(mut members)) if SHOWN_ONCE.iter().any(|name| members.contains_key(*name)) => {
            for (_, value) in members.iter_mut().filter(|(name, _)| SHOWN_ONCE.contains(&name.as_str())) {
                *value = Value::Null;
            }
            Value::Object(members).to_string()
        }
        _ => String::from_utf8_lossy(body).into_owned(),
    }
}

fn under_way() -> Problem {
    let text = "a request with this Idempotency-Key is under way: ask again in a few seconds";
    Problem::new(StatusCode::CONFLICT, Code::SameKeyUnderWay, text)
}

fn too_many_keys() -> Problem {
    let text = format!("more than {MOST_KEYS} Idempotency-Keys came within a day: send the request without one, or wait");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, Code::TooManyKeys, text)
}

/// The answer that was given before.
///
/// # Errors
/// When it was not kept.
fn again(status: i32, first: &RepeatedRow) -> Result<Response, Problem> {
    let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK);
    let Some(body) = first.body.clone() else {
        let text = "it was done already under this Idempotency-Key, and its answer was too long to be kept: read what it made";
        return Err(Problem::new(StatusCode::CONFLICT, Code::AlreadyDone, text));
    };
    let mut answer = if body.is_empty() { status.into_response() } else { json(status, body) };
    let head: Map<String, Value> = serde_json::from_str(first.head.as_deref().unwrap_or("{}")).unwrap_or_default();
    for (name, value) in head {
        let (name, value) = (HeaderName::try_from(name), HeaderValue::try_from(value.as_str().unwrap_or_default()));
        if let (Ok(name), Ok(value)) = (name, value) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use axum::http::Uri;

    use super::*;

    #[test]
    fn what_opens_a_door_is_not_kept() {
        let body = Bytes::from_static(br#"{"id":"x","ping_path":"/api/v1/heartbeat/t","labels":{"path":"/"}}"#);
        assert_eq!(without_secrets(&body), r#"{"id":"x","labels":{"path":"/"},"ping_path":null}"#);
        let plain = Bytes::from_static(br#"{"id":1,"created":"x","caller":"y"}"#);
        assert_eq!(without_secrets(&plain), r#"{"id":1,"created":"x","caller":"y"}"#, "as it was said");
    }

    #[tokio::test]
    async fn what_is_not_answered_in_time_is_told() {
        assert!(in_time(Duration::ZERO, std::future::pending()).await.is_none());
        let quick = in_time(Duration::MAX, std::future::ready(StatusCode::CREATED.into_response())).await;
        assert_eq!(quick.map(|answer| answer.status()), Some(StatusCode::CREATED));
    }

    #[test]
    fn answers_are_kept_one_by_one_and_together_up_to_a_length() {
        assert!(is_kept(0, 0) && is_kept(LONGEST_ANSWER, 0) && is_kept(1, MOST_KEPT - 1));
        assert!(!is_kept(LONGEST_ANSWER + 1, 0) && !is_kept(2, MOST_KEPT - 1) && !is_kept(1, i64::MAX));
    }

    #[test]
    fn requests_are_told_apart_by_all_of_them() {
        let parts = |address: &'static str, kind: &str| {
            let mut parts = Request::new(()).into_parts().0;
            parts.uri = Uri::from_static(address);
            parts.headers.extend(HeaderValue::from_str(kind).ok().map(|kind| (CONTENT_TYPE, kind)));
            parts
        };
        let hash = |address: &'static str, body: &str| hash_of(&parts(address, "application/json"), body.as_bytes());
        assert_ne!(hash("/a", "b"), hash("/ab", ""));
        assert_ne!(hash("/a?b", ""), hash("/a", "?b"));
        let form = |between: &str, said: &str| {
            let body = format!("--{between}\r\n\r\n{said}\r\n--{between}--");
            hash_of(&parts("/a", &format!("multipart/form-data; boundary={between}")), body.as_bytes())
        };
        assert_eq!(form("x1", "hello"), form("y22", "hello"), "what stands between the parts is drawn by lot");
        assert_ne!(form("x1", "hello"), form("x1", "hallo"));
        let quoted = parts("/a", "Multipart/Form-Data; charset=utf-8; Boundary=\"y22\"");
        let body = b"--y22\r\n\r\nhello\r\n--y22--";
        assert_eq!(hash_of(&quoted, body), form("x1", "hello"), "however it is written");
        let endless = parts("/a", &format!("multipart/form-data; boundary={}", "a".repeat(71)));
        assert_eq!(boundary(&endless.headers), None, "no program draws such a one");
    }
}
