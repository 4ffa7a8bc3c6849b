//! The style sheet, the script and the icon: embedded, addressed by their content, and kept by the browser.

use std::sync::LazyLock;

use axum::extract::{Path, RawQuery};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::answer::protect;
use crate::http::phone::nothing_for_phones;
use crate::ids::hex;

/// A file of the pages.
pub(in crate::dashboard) struct Asset {
    kind: &'static str,
    body: &'static [u8],
    version: String,
    /// Where it is, with its version: another text has another address.
    pub(in crate::dashboard) address: String,
}

pub(in crate::dashboard) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("style.css", "text/css; charset=utf-8", include_str!("assets/style.css")));
pub(in crate::dashboard) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("live.js", "text/javascript; charset=utf-8", include_str!("assets/live.js")));
pub(in crate::dashboard) static CALENDAR: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("calendar.js", "text/javascript; charset=utf-8", include_str!("assets/calendar.js")));
pub(in crate::dashboard) static PREVIEW: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("preview.js", "text/javascript; charset=utf-8", include_str!("assets/preview.js")));
pub(in crate::dashboard) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")));
/// The script for those at a desk: a sound and a notification, for whoever asks for them.
pub(in crate::dashboard) static DESK: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("desk.js", "text/javascript; charset=utf-8", include_str!("assets/desk.js")));
/// The script that says when too many pages are open.
pub(in crate::dashboard) static FULL: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("full.js", "text/javascript; charset=utf-8", include_str!("assets/full.js")));
/// What a phone puts on its home screen.
pub(in crate::dashboard) static MANIFEST: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("site.webmanifest", "application/manifest+json", include_str!("assets/site.webmanifest")));
/// The icon for phones that draw none from lines.
pub(in crate::dashboard) static TOUCH_ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::of_bytes("icon.png", "image/png", include_bytes!("assets/icon.png")));

impl Asset {
    fn new(name: &str, kind: &'static str, text: &'static str) -> Self {
        Self::of_bytes(name, kind, text.as_bytes())
    }

    fn of_bytes(name: &str, kind: &'static str, body: &'static [u8]) -> Self {
        let version = hex(&Sha256::digest(body)[..8]);
        Self { kind, body, address: format!("/assets/{name}?v={version}"), version }
    }
}

/// `GET /assets/{name}`
pub(in crate::dashboard) async fn serve(Path(name): Path<String>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let asset = match name.as_str() {
        "style.css" => &STYLE,
        "live.js" => &SCRIPT,
        "calendar.js" => &CALENDAR,
        "preview.js" => &PREVIEW,
        "icon.svg" => &ICON,
        "desk.js" => &DESK,
        "full.js" => &FULL,
        "site.webmanifest" => &MANIFEST,
        "icon.png" => &TOUCH_ICON,
        _ => return nothing_for_phones(),
    };
    let tag = format!("\"{}\"", asset.version);
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { asset.body.into_response() };
    let versioned = query.is_some_and(|query| query.strip_prefix("v=") == Some(&asset.version));
    let keep = if versioned { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    protect(&mut response);
    response
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn text(asset: &Asset) -> &'static str {
        std::str::from_utf8(asset.body).unwrap()
    }

    #[test]
    fn the_manifest_leads_to_what_is_there() {
        let manifest: serde_json::Value = serde_json::from_str(text(&MANIFEST)).unwrap();
        // It stands below `/assets`, wherever that is.
        assert_eq!((&manifest["start_url"], &manifest["scope"]), (&"../".into(), &"../".into()));
        for icon in manifest["icons"].as_array().unwrap() {
            let source = icon["src"].as_str().unwrap();
            assert!([&ICON, &TOUCH_ICON].iter().any(|own| own.address.starts_with(&format!("/assets/{source}?"))), "{source}");
        }
        assert!(TOUCH_ICON.body.starts_with(b"\x89PNG"));
    }

    #[test]
    fn the_script_is_short_and_everything_comes_from_here() {
        let lines = text(&SCRIPT).lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//")).count();
        assert!(lines <= 85, "{lines} lines");
        for asset in [&STYLE, &SCRIPT, &CALENDAR, &PREVIEW, &DESK, &FULL, &MANIFEST] {
            assert!(!text(asset).contains("://") && !text(asset).contains("@import"), "{}", asset.address);
        }
    }
}
