//! Versions over HTTP.
//!
//! `GET` gives a version as `ETag`. A request that replaces or removes says with `If-Match` what its sender has read, or with
//! `If-None-Match: *` that there was nothing; where that is not so any more it is answered with 412, and nothing is changed.

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::answer;
use super::problem::{Code, Problem};
use crate::ids::hex;
use crate::versions::{Expected, Stale, Version};

/// As a header says it.
fn tag(version: &Version) -> HeaderValue {
    // Digits and letters only, so it is always a value.
    HeaderValue::from_str(&format!("\"{}\"", version.as_str())).unwrap_or(HeaderValue::from_static("\"\""))
}

impl Expected {
    /// What a request says.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        if headers.contains_key(header::IF_MATCH) {
            let tags: Vec<&str> = tags(headers, header::IF_MATCH);
            if tags.contains(&"*") {
                return Self::Something;
            }
            // A weak tag (`W/"…"`) never matches here, and nor does what is no tag.
            let strong = tags.iter().filter_map(|tag| tag.strip_prefix('"')?.strip_suffix('"'));
            return Self::OneOf(strong.map(Version::named).collect());
        }
        if tags(headers, header::IF_NONE_MATCH).contains(&"*") { Self::Nothing } else { Self::Anything }
    }

    /// The same where a whole list is replaced: whoever does that has to say what they have read.
    ///
    /// # Errors
    /// 428 when they do not.
    pub fn demanded(headers: &HeaderMap) -> Result<Self, Problem> {
        match Self::of(headers) {
            Self::Anything => {
                let why = "this replaces the whole list: give the ETag of the list that you have read as If-Match, or If-Match: * to \
                           replace whatever is there";
                Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, Code::IfMatchRequired, why))
            }
            expected => Ok(expected),
        }
    }
}

impl From<Stale> for Problem {
    fn from(stale: Stale) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, Code::ChangedMeanwhile, stale.to_string())
    }
}

/// An answer with its version. Whoever has that version already is told so.
pub fn versioned(headers: &HeaderMap, status: StatusCode, version: &Version, body: &impl Serialize) -> Response {
    with_version(headers, status, version, || answer(status, body))
}

/// Stands with a request that is only a look: whoever asks is given nothing of what is read.
#[derive(Clone, Copy, Debug)]
pub struct Look;

/// A look (HEAD) has the head of what is read, which nobody knows before it is there.
pub async fn looked_at(mut request: Request, next: Next) -> Response {
    if request.method() != Method::HEAD {
        return next.run(request).await;
    }
    *request.method_mut() = Method::GET;
    request.extensions_mut().insert(Look);
    let (mut parts, body) = next.run(request).await.into_parts();
    let nothing = match body.size_hint().exact() {
        Some(length) => {
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            Body::empty()
        }
        // Of what is sent a piece at a time nobody knows the length, and nothing is said of it.
        None => Body::from_stream(futures_util::stream::empty::<Result<Bytes, std::convert::Infallible>>()),
    };
    Response::from_parts(parts, nothing)
}

/// What has no version of its own gets that of its text, so that whoever has it already need not be told again.
pub async fn tagged(request: Request, next: Next) -> Response {
    let (asks, headers) = (request.method() == Method::GET, request.headers().clone());
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let has_a_version = kind.starts_with(b"application/json") || kind.starts_with(b"text/csv");
    // What is sent a piece at a time is never held as a whole.
    let is_whole = has_a_version && response.body().size_hint().exact().is_some();
    if !asks || !is_whole || response.status() != StatusCode::OK || response.headers().contains_key(header::ETAG) {
        return response;
    }
    // It was made from values in memory, and is as long as these.
    let (parts, body) = response.into_parts();
    let Ok(text) = axum::body::to_bytes(body, usize::MAX).await else {
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, "the answer broke off").into_response();
    };
    let version = Version::named(hex(&Sha256::digest(&text)[..12]));
    with_version(&headers, StatusCode::OK, &version, || Response::from_parts(parts, text.into()))
}

fn with_version(headers: &HeaderMap, status: StatusCode, version: &Version, body: impl FnOnce() -> Response) -> Response {
    let tag = tag(version);
    let known = tags(headers, header::IF_NONE_MATCH).into_iter().any(|own| {
        // Here weak tags are as good.
        own.strip_prefix("W/").unwrap_or(own).as_bytes() == tag.as_bytes()
    });
    let mut response = match status {
        StatusCode::OK if known => StatusCode::NOT_MODIFIED.into_response(),
        _ => body(),
    };
    response.headers_mut().insert(header::ETAG, tag);
    response
}

/// The entity tags of a header, which may come several times.
fn tags(headers: &HeaderMap, name: HeaderName) -> Vec<&str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|tag| !tag.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(name: HeaderName, values: &[&'static str]) -> Expected {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, HeaderValue::from_static(value));
        }
        Expected::of(&headers)
    }

    #[test]
    fn what_was_read_must_be_what_is_there() {
        let (one, other) = (Version::named("a1"), Version::named("b2"));
        let either = expected(header::IF_MATCH, &["\"x\", \"a1\"", "\"c3\""]);
        assert_eq!((either.check(Some(&one)), either.check(Some(&other)), either.check(None)), (Ok(()), Err(Stale), Err(Stale)));
        let any = expected(header::IF_MATCH, &["*"]);
        assert_eq!((any.check(Some(&one)), any.check(None)), (Ok(()), Err(Stale)));
        let none = expected(header::IF_NONE_MATCH, &["*"]);
        assert_eq!((none.check(Some(&one)), none.check(None)), (Err(Stale), Ok(())));
        for never in ["W/\"a1\"", "a1", "\"a1", ""] {
            assert_eq!(expected(header::IF_MATCH, &[never]).check(Some(&one)), Err(Stale), "{never}");
        }
        assert_eq!(expected(header::IF_NONE_MATCH, &["\"a1\""]), Expected::Anything, "that is asked of a GET");
        assert_eq!(Expected::in_form("").check(None), Ok(()));
        assert_eq!(Expected::in_form("a1").check(Some(&other)), Err(Stale));
    }

    #[test]
    fn a_list_is_replaced_by_who_says_what_they_have_read() {
        assert_eq!(Expected::demanded(&HeaderMap::new()).map_err(|problem| problem.status()), Err(428));
        let versions = expected(header::IF_MATCH, &["\"6\", \"7\""]);
        assert_eq!((versions.counted(7), versions.counted(8)), (Ok(Some(7)), Err(Stale)));
        assert_eq!(Expected::Anything.counted(7), Ok(None));
    }
}
