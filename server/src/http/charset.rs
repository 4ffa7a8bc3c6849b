//! Bodies that say that they are not in UTF-8, read as what they say.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use encoding_rs::{Decoder, Encoding, UTF_8};
use futures_util::{StreamExt, stream};

use super::wash::unsupported;

/// Passes a body on in UTF-8, piece by piece as it comes. An encoding that nobody knows is refused.
pub async fn in_utf8(request: Request, next: Next) -> Response {
    let encoding = match said(request.headers()) {
        Said::Utf8 => return next.run(request).await,
        Said::Unknown(name) => {
            let text = format!("the body is said to be in {name}, which is not known here: send it in UTF-8");
            return unsupported(text).into_response();
        }
        Said::Other(encoding) => encoding,
    };
    let (mut parts, body) = request.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let pieces = body.into_data_stream().map(Some).chain(stream::once(async { None }));
    let read = pieces.map(move |piece| match piece {
        Some(piece) => piece.map(|piece| decoded(&mut decoder, &piece, false)),
        None => Ok(decoded(&mut decoder, &[], true)),
    });
    next.run(Request::from_parts(parts, Body::from_stream(read))).await
}

fn decoded(decoder: &mut Decoder, piece: &[u8], last: bool) -> Bytes {
    // A length that does not fit into memory cannot have come.
    let room = decoder.max_utf8_buffer_length(piece.len()).unwrap_or(usize::MAX / 2);
    let mut text = String::with_capacity(room);
    let _ = decoder.decode_to_string(piece, &mut text, last);
    Bytes::from(text)
}

#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// So it says, or it says nothing.
    Utf8,
    Other(&'static Encoding),
    Unknown(String),
}

/// What the head says of the encoding.
fn said(headers: &HeaderMap) -> Said {
    let Some(kind) = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else { return Said::Utf8 };
    let name = kind.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', '\'']).to_owned())
    });
    let Some(name) = name.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("us-ascii")) else { return Said::Utf8 };
    match Encoding::for_label_no_replacement(name.as_bytes()) {
        Some(encoding) if encoding == UTF_8 => Said::Utf8,
        Some(encoding) => Said::Other(encoding),
        None => Said::Unknown(name.chars().filter(|c| !c.is_control()).take(40).collect()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn said_by(kind: &str) -> Said {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        said(&headers)
    }

    #[test]
    fn the_head_is_read_as_senders_write_it() {
        for utf8 in [
            "application/json",
            "application/json; charset=utf-8",
            "text/plain;charset=\"UTF8\"",
            "text/plain; charset=US-ASCII",
            "a/b; charset=",
        ] {
            assert_eq!(said_by(utf8), Said::Utf8, "{utf8}");
        }
        assert_eq!(said_by("application/json; boundary=x; Charset=GBK"), Said::Other(encoding_rs::GBK));
        assert_eq!(said_by("text/plain; charset='iso-8859-1'"), Said::Other(encoding_rs::WINDOWS_1252));
        assert_eq!(said_by("text/plain; charset=klingon"), Said::Unknown("klingon".to_owned()));
    }

    #[test]
    fn characters_that_are_cut_between_pieces_are_read_whole() {
        let (whole, _, _) = encoding_rs::GBK.encode("磁盘满了");
        let mut decoder = encoding_rs::GBK.new_decoder_without_bom_handling();
        let mut text = Vec::new();
        for byte in whole.iter() {
            text.extend_from_slice(&decoded(&mut decoder, &[*byte], false));
        }
        text.extend_from_slice(&decoded(&mut decoder, &[], true));
        assert_eq!(String::from_utf8(text).unwrap(), "磁盘满了");
    }
}
