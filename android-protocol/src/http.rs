//! Requests and replies without a network: what a handset wants sent, and what came back.

use std::time::Duration;

/// An HTTP method a handset uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
}

impl Method {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A request a handset wants sent. Redirects are not to be followed by whoever sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// GET or POST.
    pub method: Method,
    /// Absolute, without fragment.
    pub url: String,
    /// In the order they are sent.
    pub headers: Vec<(String, String)>,
    /// Empty for the app, JSON for the native protocol.
    pub body: String,
    /// How long to wait for the reply.
    pub timeout: Duration,
}

impl Request {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// What stands behind the `?`.
    #[must_use]
    pub fn query(&self) -> &str {
        self.url.split_once('?').map_or("", |(_, query)| query)
    }
}

/// A reply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpReply {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
    /// How long it takes to come; only the simulation uses it.
    pub takes: Duration,
}

impl HttpReply {
    /// A reply with a body.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    /// Status 200 with a body.
    #[must_use]
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body)
    }

    /// With one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// After a delay.
    #[must_use]
    pub fn after(self, takes: Duration) -> Self {
        Self { takes, ..self }
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// `url` as a client sends it: the fragment is dropped, blanks and everything outside ASCII are percent-encoded.
///
/// This is how the app loses a mid or a number with `#` in it: it pastes them behind its URL unencoded.
#[must_use]
pub fn as_sent(url: &str) -> Option<String> {
    let url = url.trim();
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase())?;
    if !matches!(scheme.as_str(), "http" | "https") || url.len() <= scheme.len() + 3 {
        return None;
    }
    let mut sent = String::with_capacity(url.len());
    for c in url.split('#').next().unwrap_or_default().chars() {
        match c {
            ' ' | '"' | '<' | '>' => push_encoded(&mut sent, c),
            c if c.is_ascii_graphic() => sent.push(c),
            // Line breaks and tabs are skipped by every URL parser.
            '\t' | '\n' | '\r' | '\u{c}' => {}
            c => push_encoded(&mut sent, c),
        }
    }
    Some(sent)
}

fn push_encoded(out: &mut String, c: char) {
    let mut buffer = [0; 4];
    for byte in c.encode_utf8(&mut buffer).bytes() {
        out.push_str(&format!("%{byte:02X}"));
    }
}

/// Where a redirect from `base` leads; `None` if not to HTTP.
#[must_use]
pub fn resolve(base: &str, location: &str) -> Option<String> {
    let location = location.trim();
    if location.contains("://") {
        return as_sent(location);
    }
    let (scheme, rest) = base.split_once("://")?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let path = rest.get(authority.len()..)?.split('?').next().unwrap_or_default();
    let folder = path.rfind('/').map_or("/", |end| &path[..=end]);
    as_sent(&if let Some(other) = location.strip_prefix("//") {
        format!("{scheme}://{other}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{path}{location}")
    } else if location.split(['/', '?', '#']).next().is_some_and(|first| first.contains(':')) {
        return None;
    } else {
        format!("{scheme}://{authority}{folder}{location}")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_raw_hash_cuts_the_rest_off() {
        assert_eq!(as_sent("http://h/p?resp=**21*187#&mid=m").as_deref(), Some("http://h/p?resp=**21*187"));
        assert_eq!(as_sent("http://h/p?resp=+86 1").as_deref(), Some("http://h/p?resp=+86%201"));
        assert_eq!(as_sent("ftp://h/"), None);
        assert_eq!(as_sent(""), None);
    }

    #[test]
    fn redirects_are_resolved_against_the_request() {
        for (location, url) in [
            ("http://other/x", Some("http://other/x")),
            ("/x", Some("http://h:1/x")),
            ("x", Some("http://h:1/a/x")),
            ("?q", Some("http://h:1/a/b?q")),
            ("//o/y", Some("http://o/y")),
            ("mailto:me", None),
            ("ftp://h/x", None),
        ] {
            assert_eq!(resolve("http://h:1/a/b?c=d", location).as_deref(), url, "{location}");
        }
        assert_eq!(resolve("http://h", "x").as_deref(), Some("http://h/x"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(base: String, location: String) {
            let _ = as_sent(&base);
            let _ = resolve(&base, &location);
            let _ = resolve("http://h/a", &location);
        }
    }
}
