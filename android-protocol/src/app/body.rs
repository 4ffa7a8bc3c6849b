//! How the app reads a reply: fastjson 1.1.54, and then `toString` on whatever it finds.

use serde_json::{Map, Value};

use super::Death;

/// An alarm as the app sees it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Alarm {
    pub mid: String,
    pub phones: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reading {
    /// An exception inside the one `catch` that expects any.
    Unreadable,
    /// An exception outside it.
    Kills(Death),
    NoAlarm,
    Alarm(Alarm),
}

/// What fastjson skips as white space.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{8}' | '\u{c}')
}

/// Reads a body.
///
/// One leniency of fastjson is left out: keys without quotes, single quotes, comments and surplus commas, which it accepts, count as
/// unreadable here. No server sends them.
pub(super) fn read(body: &[u8]) -> Reading {
    // okhttp drops a byte order mark and replaces what is not UTF-8.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let text = String::from_utf8_lossy(body);
    let text = text.trim_matches(is_blank);
    if text.is_empty() {
        return Reading::Kills(Death::NoJson);
    }
    match serde_json::from_str(text) {
        Ok(Value::Null) => Reading::Kills(Death::NoJson),
        Ok(Value::Object(object)) => read_object(&object),
        // A list, a string or a number is not a JSONObject: a cast fails, inside the `catch`.
        Ok(_) | Err(_) => Reading::Unreadable,
    }
}

fn read_object(object: &Map<String, Value>) -> Reading {
    let Some(code) = object.get("code").and_then(text) else { return Reading::Kills(Death::NoCode) };
    if code != "0" {
        return Reading::NoAlarm;
    }
    let Some(mid) = object.get("mid").and_then(text) else { return Reading::Kills(Death::NoMid) };
    match object.get("phone") {
        Some(Value::Array(phones)) => Reading::Alarm(Alarm { mid, phones: phones.clone() }),
        _ => Reading::Kills(Death::NoPhoneList),
    }
}

/// Java's `toString`; `None` for null, on which it throws.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_kills_and_what_does_not() {
        for body in ["", " \n", "null", "\u{feff}", "\u{feff} null "] {
            assert_eq!(read(body.as_bytes()), Reading::Kills(Death::NoJson), "{body:?}");
        }
        for body in ["[]", "7", "\"x\"", "{", "{}x", "<html>", "true"] {
            assert_eq!(read(body.as_bytes()), Reading::Unreadable, "{body:?}");
        }
        for body in ["{}", r#"{"code":null}"#, r#"{"error":"x"}"#] {
            assert_eq!(read(body.as_bytes()), Reading::Kills(Death::NoCode), "{body:?}");
        }
        for body in [r#"{"code":1}"#, r#"{"code":0.0}"#, r#"{"code":"00"}"#, r#"{"code":true}"#, r#"{"code":[]}"#] {
            assert_eq!(read(body.as_bytes()), Reading::NoAlarm, "{body:?}");
        }
        assert_eq!(read(b"\xff{"), Reading::Unreadable);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>) {
            let _ = read(&body);
        }
    }
}
