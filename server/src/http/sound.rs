//! Sound that is sent: whole or a part of it (RFC 9110, 14), piece by piece as the database holds it, so that neither memory nor a connection
//! to the database is held for whoever listens slowly.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use crate::store::media::pieces::{MediaRow, PIECE};
use crate::store::{Store, StoreError};

/// What of something a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// All of it; also where the request cannot be understood.
    All,
    /// From this byte to that one, both included.
    Part(u64, u64),
    /// A part that is not there.
    Beyond,
}

/// Reads a `Range` of something so many bytes long. Of several parts, all is sent.
fn wanted(range: Option<&str>, length: u64) -> Wanted {
    let part = |range: &str| {
        let (unit, part) = range.split_once('=')?;
        let (first, last) = part.trim().split_once('-')?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            // More than there can be is more than there is.
            digits.then(|| text.parse().unwrap_or(u64::MAX))
        };
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        match (first.trim(), last.trim()) {
            ("", count) => match number(count)? {
                0 => Some(Wanted::Beyond),
                _ if length == 0 => Some(Wanted::Beyond),
                count => Some(Wanted::Part(length.saturating_sub(count), length - 1)),
            },
            (first, last) => {
                let first = number(first)?;
                let last = if last.is_empty() { u64::MAX } else { number(last)? };
                match (first, last) {
                    _ if last < first => None,
                    _ if first >= length => Some(Wanted::Beyond),
                    _ => Some(Wanted::Part(first, last.min(length - 1))),
                }
            }
        }
    };
    range.and_then(part).unwrap_or(Wanted::All)
}

/// The sound of a file, or the part of it that is asked for. A look (HEAD) gets the head; who has the file already is told so.
pub fn sound(store: &Store, file: &MediaRow, method: &Method, asked: &HeaderMap) -> Response {
    let length = u64::try_from(file.bytes).unwrap_or_default();
    let tag = format!("\"{}\"", file.sha256);
    let header = |name| asked.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let has_it = |tags: &str| tags.split(',').any(|own| own.trim().trim_start_matches("W/") == tag || own.trim() == "*");
    let mut response = if header(header::IF_NONE_MATCH).is_some_and(has_it) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        // A part of another file than the one of which they have the rest is no use.
        let of_this = header(header::IF_RANGE).is_none_or(|own| own.trim() == tag);
        let range = header(header::RANGE).filter(|_| of_this && *method == Method::GET);
        match wanted(range, length) {
            Wanted::All => part(store, file, method, (0, length.saturating_sub(1)), StatusCode::OK),
            Wanted::Part(first, last) => {
                let mut response = part(store, file, method, (first, last), StatusCode::PARTIAL_CONTENT);
                set(&mut response, header::CONTENT_RANGE, &format!("bytes {first}-{last}/{length}"));
                response
            }
            Wanted::Beyond => {
                let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
                set(&mut response, header::CONTENT_RANGE, &format!("bytes */{length}"));
                response
            }
        }
    };
    set(&mut response, header::ETAG, &tag);
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

/// The bytes from one to another, both included.
fn part(store: &Store, file: &MediaRow, method: &Method, (first, last): (u64, u64), status: StatusCode) -> Response {
    let piece = u64::try_from(PIECE).unwrap_or(u64::MAX);
    let body = match *method {
        Method::HEAD => Body::empty(),
        _ => {
            let (store, id) = (store.clone(), file.id);
            Body::from_stream(stream::try_unfold(first, move |at| {
                let store = store.clone();
                async move {
                    if at > last {
                        return Ok::<_, StoreError>(None);
                    }
                    let place = at / piece;
                    let bytes = store.read().await?.db().piece(id, i32::try_from(place).unwrap_or(i32::MAX)).await?;
                    let begin = usize::try_from(at % piece).unwrap_or_default();
                    let most = usize::try_from(last - at + 1).unwrap_or(usize::MAX);
                    let bytes = Bytes::from(bytes.unwrap_or_default());
                    if begin >= bytes.len() {
                        // It was taken away meanwhile: the connection breaks off, so that nobody takes this for the whole.
                        return Err(StoreError::Inconsistent("a piece of a recording is not there any more".to_owned()));
                    }
                    let sent = bytes.slice(begin..bytes.len().min(begin.saturating_add(most)));
                    let next = at + u64::try_from(sent.len()).unwrap_or_default();
                    Ok(Some((sent, next)))
                }
            }))
        }
    };
    let mut response = (status, body).into_response();
    set(&mut response, header::CONTENT_TYPE, "audio/wav");
    set(&mut response, header::CONTENT_LENGTH, &(last - first + 1).to_string());
    response
}

fn set(response: &mut Response, name: header::HeaderName, value: &str) {
    // Digits, letters and marks of our own, so it is always a value.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_part_is_what_is_asked_for_as_far_as_it_is_there() {
        let of = |range| wanted(Some(range), 100);
        assert_eq!(
            (of("bytes=0-9"), of("bytes=90-"), of("bytes=-5")),
            (Wanted::Part(0, 9), Wanted::Part(90, 99), Wanted::Part(95, 99))
        );
        assert_eq!(
            (of("bytes=90-500"), of("bytes=-500"), of("Bytes = 7-7")),
            (Wanted::Part(90, 99), Wanted::Part(0, 99), Wanted::Part(7, 7))
        );
        assert_eq!(
            (of("bytes=0-99999999999999999999"), of("bytes=100-"), of("bytes=-0")),
            (Wanted::Part(0, 99), Wanted::Beyond, Wanted::Beyond)
        );
        for nonsense in
            ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=9-3", "bytes=1-2,4-5", "lines=1-2", "bytes=+1-2", "bytes=--1"]
        {
            assert_eq!(of(nonsense), Wanted::All, "{nonsense}");
        }
        assert_eq!(
            (wanted(None, 100), wanted(Some("bytes=0-"), 0), wanted(Some("bytes=-1"), 0)),
            (Wanted::All, Wanted::Beyond, Wanted::Beyond)
        );
    }

    proptest! {
        #[test]
        fn no_range_leads_beyond_the_end(range in "(bytes)?[=0-9 ,a-c-]{0,30}", length in 0_u64..1000) {
            if let Wanted::Part(first, last) = wanted(Some(&range), length) {
                prop_assert!(first <= last && last < length);
            }
        }
    }
}
