//! Requests as operators write them: method, headers, and places in braces that are filled as what is around them wants it.

use std::collections::BTreeMap;

use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::Value;

/// Most headers of one request.
pub const MOST_HEADERS: usize = 20;
/// The longest body before it is filled, in bytes.
pub const LONGEST_BODY: usize = 10_000;

/// GET, POST, PUT or PATCH.
#[must_use]
pub fn method(text: &str) -> Option<Method> {
    [Method::GET, Method::POST, Method::PUT, Method::PATCH].into_iter().find(|method| method.as_str() == text)
}

/// Whether these are headers, and not too many.
#[must_use]
pub fn are_headers(headers: &BTreeMap<String, String>) -> bool {
    let good = |(name, value): (&String, &String)| name.parse::<HeaderName>().is_ok() && value.parse::<HeaderValue>().is_ok();
    headers.len() <= MOST_HEADERS && headers.iter().all(good)
}

/// What headers say of the body.
#[must_use]
pub fn content_type(headers: &BTreeMap<String, String>) -> Option<&str> {
    headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type")).map(|(_, value)| value.as_str())
}

/// Whether a body of this type is JSON.
#[must_use]
pub fn is_json(content_type: &str) -> bool {
    names(content_type, "json")
}

/// Types have no cases (RFC 9110, 8.3.1).
fn names(content_type: &str, kind: &str) -> bool {
    content_type.to_ascii_lowercase().contains(kind)
}

/// How what is filled into a body of this type is written.
#[must_use]
pub fn writing(content_type: &str) -> fn(&str) -> String {
    if is_json(content_type) {
        inside_json
    } else if names(content_type, "x-www-form-urlencoded") {
        inside_form
    } else if names(content_type, "xml") || names(content_type, "html") {
        inside_xml
    } else {
        str::to_owned
    }
}

/// Text as it stands between the quotes of a JSON string.
pub(super) fn inside_json(text: &str) -> String {
    let quoted = Value::String(text.to_owned()).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Text as it stands in a form.
pub(super) fn inside_form(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Text as it stands in an element of XML, or in an attribute. What XML cannot hold at all is left out.
pub(super) fn inside_xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            c => out.push(c),
        }
    }
    out
}

/// Fills the places in one pass, so that what is filled in is never taken for a place itself. Braces around anything else stay.
#[must_use]
pub fn fill(template: &str, places: &[(&str, &str)], write: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(template.len() + 256);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let found = places.iter().find_map(|(name, value)| Some((*value, after.strip_prefix(*name)?.strip_prefix('}')?)));
        rest = match found {
            Some((value, behind)) => {
                out.push_str(&write(value));
                behind
            }
            None => {
                out.push('{');
                after
            }
        };
    }
    out + rest
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_are_filled_once_and_other_braces_stay() {
        let places = [("a", "{b}"), ("b", "2")];
        assert_eq!(fill("{a}{b}{c}{a {}", &places, str::to_owned), "{b}2{c}{a {}");
        let read: Value = serde_json::from_str(&fill(r#"{"x":{"y":"{b}"}}"#, &places, str::to_owned)).unwrap();
        assert_eq!(read["x"]["y"], "2");
    }

    #[test]
    fn what_is_filled_in_is_written_as_its_surroundings_want_it() {
        let text = "a \"b\"\n& <c>";
        assert_eq!(writing("application/json; charset=utf-8")(text), r#"a \"b\"\n& <c>"#);
        assert_eq!(writing("application/x-www-form-urlencoded")(text), "a+%22b%22%0A%26+%3Cc%3E");
        assert_eq!(writing("text/plain")(text), text);
        assert_eq!(writing("Application/JSON")(text), r#"a \"b\"\n& <c>"#, "types have no cases");
        assert_eq!(writing("application/X-WWW-Form-Urlencoded")("a b"), "a+b");
        for xml in ["application/xml", "TEXT/XML; charset=utf-8", "application/soap+xml", "text/html"] {
            assert_eq!(writing(xml)("a \"b\"\n& <c>'\u{1}\0"), "a &quot;b&quot;\n&amp; &lt;c&gt;&#39;", "{xml}");
        }
    }

    #[test]
    fn headers_are_checked() {
        let headers = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        assert!(are_headers(&headers("x-token", "a b")));
        for (name, value) in [("x token", "a"), ("", "a"), ("x-token", "a\nb"), ("x-token", "a\rb")] {
            assert!(!are_headers(&headers(name, value)), "{name}: {value:?}");
        }
        let many = |count: usize| (0..count).map(|place| (format!("x-{place}"), String::new())).collect();
        assert!(are_headers(&many(MOST_HEADERS)) && !are_headers(&many(MOST_HEADERS + 1)));
        assert_eq!(content_type(&headers("Content-Type", "text/plain")), Some("text/plain"));
        assert_eq!((method("PATCH"), method("DELETE"), method("post")), (Some(Method::PATCH), None, None));
    }

    proptest! {
        #[test]
        fn whatever_is_filled_into_json_reads_back(text: String) {
            let filled = fill(r#"{"m":"{text}"}"#, &[("text", &text)], writing("application/json"));
            let read: Value = serde_json::from_str(&filled).unwrap();
            prop_assert_eq!(read["m"].as_str(), Some(text.as_str()));
        }
    }
}
