//! What an address means that was typed on a phone: with a blank or a dot behind it, a capital letter, or half of it missing.
//!
//! The app trims its address when it polls, and not when it reports: so whoever reads it strictly serves a phone, and then does not hear
//! how its call ended.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// What follows a token and has a meaning of its own.
const OURS: [&str; 6] = ["progress", "status", "inbound", "outbox", "media", "recording"];

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// To the documented path, or to something below it that only a phone can mean.
    Plain,
    /// To a handset, by its token.
    Paired(String),
    /// To a part of our own protocol.
    Ours,
    /// To nothing that a phone could poll.
    Elsewhere,
}

impl Place {
    /// Reads the path of a request.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let mut segments = path.split('/').map(segment).filter(|segment| !segment.is_empty());
        let (first, second) = (segments.next(), segments.next());
        let is =
            |segment: &Option<String>, word: &str| segment.as_deref().is_some_and(|segment| segment.eq_ignore_ascii_case(word));
        match second {
            Some(_) if is_ours(path) => Self::Ours,
            Some(token) if is(&first, "h") => Self::Paired(token),
            _ if is(&first, "alert") => Self::Plain,
            _ => Self::Elsewhere,
        }
    }
}

/// Whether a path is one of our own protocol, to the letter: a handset that speaks it makes no mistakes.
fn is_ours(path: &str) -> bool {
    let behind_token = path.strip_prefix("/h/").and_then(|rest| rest.split_once('/'));
    behind_token.is_some_and(|(token, rest)| !token.is_empty() && OURS.contains(&rest.split('/').next().unwrap_or_default()))
}

/// One part of a path without what a thumb leaves around it: blanks, line ends, stops of any script.
fn segment(written: &str) -> String {
    let decoded: Cow<'_, str> = percent_decode_str(written).decode_utf8_lossy();
    let is_chaff =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '.' | '。' | '．' | '｡' | '\u{200b}' | '\u{feff}');
    decoded.trim_matches(is_chaff).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_stands_around_an_address_changes_nothing() {
        for path in
            ["/alert/phone", "/alert/phone%20", "/alert/phone.", "//alert/phone%E3%80%82", "/Alert/Phone/", "/alert", "/alert/x"]
        {
            assert_eq!(Place::of(path), Place::Plain, "{path}");
        }
        for path in ["/h/T/alert/phone%0A", "/h/T", "/h/T/", "/H/T%20/alert", "//h//T//alert//phone", "/h/T/alert/phone/x"] {
            assert_eq!(Place::of(path), Place::Paired("T".to_owned()), "{path}");
        }
    }

    #[test]
    fn what_has_a_meaning_keeps_it() {
        for path in [
            "/h/T/progress",
            "/h/T/progress/",
            "/h/T/status",
            "/h/T/inbound",
            "/h/T/outbox/1",
            "/h/T/media/x.ogg",
            "/h/T/recording/r1",
        ] {
            assert_eq!(Place::of(path), Place::Ours, "{path}");
        }
        for path in ["/h/T/%20progress", "/h/T/progress%20", "/h/T/pro%67ress", "//h/T/progress", "/h/T/progres"] {
            assert_eq!(Place::of(path), Place::Paired("T".to_owned()), "{path}");
        }
        for path in ["/", "", "/h", "/api/v1/alarms", "/alerts", "/phone", "/favicon.ico"] {
            assert_eq!(Place::of(path), Place::Elsewhere, "{path}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(path in ".{0,200}") {
            let _ = Place::of(&path);
        }
    }
}
