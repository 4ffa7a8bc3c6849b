//! A path in front of everything: a proxy shows this server below `https://ops.example.org/autocall/`, as `http.public_url` says.
//!
//! Some proxies take that path away before they pass a request on, and some leave it, so requests are read with it and without it. The
//! server itself knows nothing of it: its routes, its markup and its redirects begin with a slash. On the way out everything that leads
//! back to it is put below the path, here and nowhere else.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Uri, header};
use axum::response::Response;
use percent_encoding::percent_decode_str;

use crate::config::{HttpConfig, begins_like_ours};

/// The attributes of our markup that hold an address of ours.
const ATTRIBUTES: [&str; 7] = ["href", "src", "action", "formaction", "data-live", "data-preview", "data-src"];

/// Goes with a response in which all that leads back here stands below the path in front.
#[derive(Clone, Copy, Debug)]
struct PutBelow;

/// The path in front of everything, such as `/autocall`; most installations have none.
#[derive(Clone, Debug, Default)]
pub struct Prefix {
    path: Option<Arc<str>>,
    /// It begins like a path of our own: then a request that comes with it is not told from one without, and only a proxy that takes it away
    /// can stand in front.
    is_ambiguous: bool,
}

impl Prefix {
    /// As the settings say.
    #[must_use]
    pub fn of(http: &HttpConfig) -> Self {
        let path = http.path_in_front();
        Self { is_ambiguous: path.as_deref().is_some_and(begins_like_ours), path: path.map(Arc::from) }
    }

    /// The path, without a slash at its end; empty where there is none.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or_default()
    }

    /// The same address without the path in front, where it has that.
    pub fn take_off(&self, uri: &mut Uri) {
        let Some(rest) = self.below(uri.path()) else { return };
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = PathAndQuery::try_from(format!("{rest}{query}")).ok();
        if let Ok(shorter) = Uri::from_parts(parts) {
            *uri = shorter;
        }
    }

    /// What of a path is below the path in front; beginning with a slash.
    fn below<'p>(&self, path: &'p str) -> Option<Cow<'p, str>> {
        let own = self.path.as_deref().filter(|_| !self.is_ambiguous)?;
        let rest = path.trim_start_matches('/').strip_prefix(own.trim_start_matches('/'))?;
        if rest.starts_with('/') {
            return Some(Cow::Borrowed(rest));
        }
        // A phone was given the address with something behind it that a thumb leaves there.
        let first = rest.split('/').next().unwrap_or_default();
        let chaff = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '.' | '。');
        let is_chaff = percent_decode_str(first).decode_utf8_lossy().chars().all(chaff);
        is_chaff.then(|| Cow::Owned(format!("/{}", rest[first.len()..].trim_start_matches('/'))))
    }

    /// An answer with all that leads back to this server put below the path in front.
    pub async fn put_on(&self, mut response: Response) -> Response {
        let Some(own) = self.path.as_deref() else { return response };
        if response.extensions_mut().insert(PutBelow).is_some() {
            return response;
        }
        let headers = response.headers_mut();
        let to = headers.get(header::LOCATION).and_then(|to| to.to_str().ok());
        if let Some(below) = to.filter(|to| is_path(to)).and_then(|to| HeaderValue::try_from(format!("{own}{to}")).ok()) {
            headers.insert(header::LOCATION, below);
        }
        let to = headers.get(header::LINK).and_then(|link| link.to_str().ok()?.strip_prefix('<'));
        if let Some(below) = to.filter(|to| is_path(to)).and_then(|to| HeaderValue::try_from(format!("<{own}{to}")).ok()) {
            headers.insert(header::LINK, below);
        }
        let cookies: Vec<HeaderValue> = headers.get_all(header::SET_COOKIE).iter().map(|cookie| self.in_cookie(cookie)).collect();
        headers.remove(header::SET_COOKIE);
        for cookie in cookies {
            headers.append(header::SET_COOKIE, cookie);
        }
        let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let (is_markup, is_problem) = (kind.starts_with(b"text/html"), kind == b"application/problem+json");
        if !is_markup && !is_problem {
            return response;
        }
        headers.remove(header::CONTENT_LENGTH);
        let (parts, body) = response.into_parts();
        // Pages and problems are made whole, in memory.
        let Ok(whole) = axum::body::to_bytes(body, usize::MAX).await else { return Response::from_parts(parts, Body::empty()) };
        let body = match std::str::from_utf8(&whole) {
            Ok(text) if is_problem => Body::from(self.in_problem(text)),
            Ok(text) => Body::from(self.in_markup(text).into_owned()),
            Err(_) => Body::from(whole),
        };
        Response::from_parts(parts, body)
    }

    fn in_cookie(&self, cookie: &HeaderValue) -> HeaderValue {
        let Ok(text) = cookie.to_str() else { return cookie.clone() };
        let below = text.replacen("; Path=/;", &format!("; Path={};", self.path()), 1);
        HeaderValue::try_from(below).unwrap_or_else(|_| cookie.clone())
    }

    /// A problem with its type below the path in front. In what is quoted in it, quotes are escaped.
    fn in_problem(&self, problem: &str) -> String {
        problem.replacen(r#""type":"/"#, &format!(r#""type":"{}/"#, self.path()), 1)
    }

    /// Our own markup with its addresses below the path in front. Whatever people wrote stands in it with its quotes escaped.
    #[must_use]
    pub fn in_markup<'m>(&self, markup: &'m str) -> Cow<'m, str> {
        let Some(own) = self.path.as_deref() else { return Cow::Borrowed(markup) };
        let mut below = String::with_capacity(markup.len() + markup.len() / 16);
        let mut done = 0;
        for (at, found) in markup.match_indices("=\"/") {
            let name = markup[..at].rsplit(|c: char| c.is_ascii_whitespace()).next().unwrap_or_default();
            let value = at + found.len() - 1;
            if ATTRIBUTES.contains(&name) && is_path(&markup[value..]) {
                below.push_str(&markup[done..value]);
                below.push_str(own);
                done = value;
            }
        }
        below.push_str(&markup[done..]);
        Cow::Owned(below)
    }
}

/// Leads to this server, not to another one.
fn is_path(address: &str) -> bool {
    address.starts_with('/') && !address.starts_with("//")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;

    fn prefix(url: &str) -> Prefix {
        Prefix::of(&HttpConfig { public_url: Some(url.to_owned()), ..HttpConfig::default() })
    }

    fn taken_off(path: &str) -> String {
        let mut uri: Uri = path.parse().unwrap();
        prefix("https://ops.example/autocall").take_off(&mut uri);
        uri.to_string()
    }

    #[test]
    fn the_path_in_front_is_taken_off_where_it_is() {
        for (given, meant) in [
            ("/autocall/alarms?below=3", "/alarms?below=3"),
            ("/autocall/", "/"),
            ("/autocall", "/"),
            ("/autocall?mid=1", "/?mid=1"),
            ("/autocall%20?mid=1", "/?mid=1"),
            ("/autocall./h/T/alert/phone", "/h/T/alert/phone"),
            ("//autocall/h/T/alert/phone%20", "/h/T/alert/phone%20"),
            ("/autocall//h/T", "//h/T"),
            ("/alarms?next=/autocall/", "/alarms?next=/autocall/"),
            ("/autocaller/x", "/autocaller/x"),
            ("/h/autocall/alert/phone", "/h/autocall/alert/phone"),
        ] {
            assert_eq!(taken_off(given), meant, "{given}");
        }
        let mut whole: Uri = "http://ops.example/autocall/x".parse().unwrap();
        prefix("https://ops.example/autocall").take_off(&mut whole);
        assert_eq!(whole, "http://ops.example/x");
        assert!(prefix("https://ops.example/alarms").is_ambiguous && !prefix("https://ops.example/a/alarms").is_ambiguous);
        let mut own: Uri = "/alarms/3".parse().unwrap();
        prefix("https://ops.example/alarms").take_off(&mut own);
        assert_eq!(own, "/alarms/3");
    }

    #[tokio::test]
    async fn what_leads_back_is_put_below_it() {
        let response = Response::builder()
            .header("location", "/alarms/3?done=taken")
            .header("link", "</api>; rel=\"deprecation\"")
            .header("set-cookie", "a=b; Path=/; HttpOnly")
            .header("set-cookie", "c=d; Path=/; HttpOnly; Secure")
            .header("content-type", "text/html; charset=utf-8")
            .body(Body::from(
                r#"<a class="x" href="/">now</a><form action="/login"><input value="/alarms"><a href="https://x/">=&quot;/</a><a
href="/c">"#,
            ))
            .unwrap();
        let response = prefix("https://ops.example/autocall").put_on(response).await;
        let headers = response.headers();
        assert_eq!(headers["location"], "/autocall/alarms/3?done=taken");
        assert_eq!(headers["link"], "</autocall/api>; rel=\"deprecation\"");
        let cookies: Vec<_> = headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=b; Path=/autocall; HttpOnly", "c=d; Path=/autocall; HttpOnly; Secure"]);
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        assert_eq!(
            std::str::from_utf8(&body).unwrap(),
            r#"<a class="x" href="/autocall/">now</a><form action="/autocall/login"><input value="/alarms"><a href="https://x/">=&quot;/</a><a
href="/autocall/c">"#
        );
    }

    proptest! {
        #[test]
        fn no_path_panics(path in "/[a-z%0-9/.é]{0,30}") {
            let prefix = prefix("https://ops.example/autocall");
            if let Some(rest) = prefix.below(&path) {
                prop_assert!(rest.starts_with('/'));
            }
            let _ = prefix.in_markup(&path);
        }

        #[test]
        fn every_path_of_ours_is_found_below_it(path in "(/[a-z0-9-]{1,8}){0,4}/?") {
            let prefix = prefix("https://ops.example/a/b");
            let below = format!("/a/b{path}");
            let found = prefix.below(&below).unwrap();
            prop_assert_eq!(found.as_ref(), if path.is_empty() { "/" } else { path.as_str() });
        }
    }
}
