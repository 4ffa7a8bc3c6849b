//! A calendar that is kept elsewhere, as it is asked for and as it comes: addresses, limits, answers. Nothing is sent here.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{HeaderMap, HeaderName, RETRY_AFTER};

use super::guard::{AddressError, GuardedResolver, check_url};
use crate::roster::source::{Address, Trouble};

/// What is known already: then only something else is sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct LastRead<'k> {
    /// The entity tag of what was read last.
    pub etag: Option<&'k str>,
    /// From when that was.
    pub last_modified: Option<&'k str>,
}

/// A calendar as it came, unpacked.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// All of it.
    pub bytes: Vec<u8>,
    /// The encoding that its server names, unless that is what every server names.
    pub encoding: Option<String>,
    /// Its entity tag.
    pub etag: Option<String>,
    /// From when it is.
    pub last_modified: Option<String>,
}

/// What was answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The same as is known.
    Same,
    /// A calendar, as far as one can tell without reading it.
    Sent(Sent),
}

/// Nothing that could be a calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub trouble: Trouble,
    /// How much patience its server asks for.
    pub patience: Option<TimeDelta>,
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self { trouble, patience: None }
    }
}

/// The limits of one question.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For everything.
    pub within: Duration,
    /// Most bytes, unpacked.
    pub bytes: usize,
}

/// Reads an address as people copy it: `webcal://` is what calendars call https.
///
/// # Errors
/// What is wrong with it.
pub fn address(text: &str, guard: &GuardedResolver) -> Result<Address, AddressError> {
    let text = text.trim();
    let scheme = text.split("://").next().unwrap_or_default();
    let text = match scheme.to_ascii_lowercase().as_str() {
        "webcal" | "webcals" => format!("https{}", &text[scheme.len()..]),
        _ => text.to_owned(),
    };
    let mut url = check_url(&text, guard)?;
    url.set_fragment(None);
    Ok(Address::new(url))
}

/// The encoding that a content type names. That it is UTF-8 is said of everything, and found out anyway.
#[must_use]
pub fn encoding(content_type: &str) -> Option<String> {
    let named = content_type.split(';').skip(1).find_map(|own| {
        let (name, value) = own.trim().split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_owned())
    });
    named.filter(|own| !own.is_empty() && !own.eq_ignore_ascii_case("utf-8"))
}

/// The text of a header.
#[must_use]
pub fn text_of<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// How long its server asks to be left alone: seconds, or until a time.
#[must_use]
pub fn patience(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    let text = text_of(headers, &RETRY_AFTER)?.trim();
    match text.parse::<u32>() {
        Ok(seconds) => Some(TimeDelta::seconds(i64::from(seconds))),
        Err(_) => {
            DateTime::parse_from_rfc2822(text).ok().map(|until| until.to_utc() - now).filter(|own| *own > TimeDelta::zero())
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn addresses_are_read_as_people_copy_them() {
        let guard = GuardedResolver::for_calendars(&[]);
        for (text, read) in [
            (" webcal://p01.example.com/published/2/abc ", "https://p01.example.com/published/2/abc"),
            ("WEBCAL://example.com/a.ics", "https://example.com/a.ics"),
            ("http://example.com/a.ics#today", "http://example.com/a.ics"),
        ] {
            assert_eq!(address(text, &guard).unwrap().expose(), read, "{text}");
        }
        for (text, why) in [
            ("webcal://10.0.0.1/a.ics", AddressError::Inside { allowed_by: "roster.allow_networks" }),
            ("http://[::1]/a.ics", AddressError::Inside { allowed_by: "roster.allow_networks" }),
            ("file:///etc/passwd", AddressError::Bad),
            ("ftp://example.com/a.ics", AddressError::Bad),
            ("example.com/a.ics", AddressError::Bad),
            ("webcal:", AddressError::Bad),
            ("", AddressError::Bad),
        ] {
            assert_eq!(address(text, &guard), Err(why), "{text}");
        }
    }

    #[test]
    fn patience_is_told_in_seconds_or_as_a_time() {
        let now = "2026-11-20T03:00:00Z".parse().unwrap();
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            patience(&headers, now)
        };
        assert_eq!(asked("120"), Some(TimeDelta::minutes(2)));
        assert_eq!(asked("Fri, 20 Nov 2026 03:30:00 GMT"), Some(TimeDelta::minutes(30)));
        assert_eq!(asked("Fri, 20 Nov 2026 02:30:00 GMT"), None);
        assert_eq!((asked("soon"), asked("-1"), patience(&HeaderMap::new(), now)), (None, None, None));
    }

    #[test]
    fn an_encoding_is_believed_unless_everybody_names_it() {
        assert_eq!(encoding("text/calendar; charset=\"ISO-8859-1\"").as_deref(), Some("ISO-8859-1"));
        assert_eq!(encoding("text/calendar; component=VEVENT; Charset=GBK").as_deref(), Some("GBK"));
        for none in ["text/calendar", "text/calendar; charset=utf-8", "text/calendar; charset=UTF-8", "text/calendar; charset="] {
            assert_eq!(encoding(none), None, "{none}");
        }
    }
}
