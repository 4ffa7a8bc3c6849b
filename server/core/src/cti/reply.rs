//! Replies and events as texts: nothing in them but what the clients' readers know, and no letter beyond ASCII.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Dialect, Params};

/// No id is longer, in characters.
pub const LONGEST_ID: usize = 128;

/// The request is not understood, or asks for what is not allowed.
pub const BAD: i64 = 400;
/// There is no such resource.
pub const NOT_FOUND: i64 = 404;
/// There is no such method.
pub const INVALID_METHOD: i64 = 405;
/// The resource cannot do that now.
pub const WRONG_STATE: i64 = 409;
/// Too many, or too often.
pub const TOO_MANY: i64 = 429;
/// The fault is here.
pub const INTERNAL: i64 = 500;
/// Nobody is there who could do it.
pub const UNAVAILABLE: i64 = 503;

/// The id of a request, which its reply repeats.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// As both dialects have it.
    Text(String),
    /// As JSON-RPC allows it.
    Number(i64),
}

impl Id {
    /// As it was written.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Text(text) => text.clone().into(),
            Self::Number(number) => (*number).into(),
        }
    }
}

impl std::fmt::Display for Id {
    /// The text by which a request is known among those of its caller.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// What whoever created a resource is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// With its prefix: `sys.call.on_released`.
    #[serde(rename = "method")]
    pub name: String,
    /// Of it.
    pub params: Params,
}

/// Why a request is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// A number, as those of HTTP and SIP.
    pub code: i64,
    /// A sentence, or the name of the key that is missing.
    pub message: String,
    /// More about it.
    pub data: Option<Value>,
}

impl Refusal {
    /// With this number and sentence.
    #[must_use]
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// The request is not understood, or asks for what is not allowed.
    #[must_use]
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(BAD, message)
    }

    /// There is no such resource.
    #[must_use]
    pub fn not_found(res_id: &str) -> Self {
        Self::new(NOT_FOUND, format!("there is no resource {res_id:?}"))
    }

    /// There is no such method. Clients compare the message.
    #[must_use]
    pub fn invalid_method() -> Self {
        Self::new(INVALID_METHOD, "invalid method")
    }

    /// The resource cannot do that now.
    #[must_use]
    pub fn wrong_state(message: impl Into<String>) -> Self {
        Self::new(WRONG_STATE, message)
    }

    /// Nobody is there who could do it.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(UNAVAILABLE, message)
    }
}

/// The reply to what was done.
#[must_use]
pub fn done(id: &Id, result: &Value, jsonrpc: bool) -> String {
    let mut reply = envelope(Some(id), jsonrpc);
    reply.insert("result".to_owned(), result.clone());
    ascii(&Value::Object(reply))
}

/// The reply to what was not done. Without an id where the request had none that could be read.
#[must_use]
pub fn refused(id: Option<&Id>, refusal: &Refusal, jsonrpc: bool) -> String {
    let mut error = Map::new();
    error.insert("code".to_owned(), refusal.code.into());
    error.insert("message".to_owned(), refusal.message.clone().into());
    if let Some(data) = &refusal.data {
        error.insert("data".to_owned(), data.clone());
    }
    let mut reply = envelope(id, jsonrpc);
    reply.insert("error".to_owned(), error.into());
    ascii(&Value::Object(reply))
}

fn envelope(id: Option<&Id>, jsonrpc: bool) -> Map<String, Value> {
    let mut reply = Map::new();
    reply.insert("id".to_owned(), id.map_or(Value::Null, Id::to_value));
    if jsonrpc {
        reply.insert("jsonrpc".to_owned(), "2.0".into());
    }
    reply
}

/// An event. Nobody answers it.
#[must_use]
pub fn event(event: &Event) -> String {
    ascii(event)
}

/// The result of what was created, as the dialect tells it.
#[must_use]
pub fn created(dialect: Dialect, res_id: &str, user_data: Option<&str>, process_id: &str) -> Value {
    match dialect {
        Dialect::A => res_id.into(),
        Dialect::B => json!({ "res_id": res_id, "user_data": user_data, "ipsc_info": { "process_id": process_id } }),
    }
}

/// As JSON, in which letters beyond ASCII are written as `\u`: one client reads bytes as letters.
#[must_use]
pub fn ascii<T: Serialize>(value: &T) -> String {
    let json = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    if json.is_ascii() {
        return json;
    }
    let mut text = String::with_capacity(json.len() * 2);
    for letter in json.chars() {
        // Beyond ASCII there are letters within texts only.
        if letter.is_ascii() {
            text.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn replies_hold_what_the_document_prints_and_nothing_else() {
        let id = Id::Text("b07ee20a378111e6a2c768f7288d9a79".into());
        let result = created(Dialect::A, "0-0-call-23479873432234", None, "1");
        assert_eq!(done(&id, &result, false), r#"{"id":"b07ee20a378111e6a2c768f7288d9a79","result":"0-0-call-23479873432234"}"#);
        assert_eq!(
            refused(Some(&id), &Refusal::new(500, "invalid number."), false),
            r#"{"error":{"code":500,"message":"invalid number."},"id":"b07ee20a378111e6a2c768f7288d9a79"}"#
        );
        assert_eq!(done(&Id::Number(7), &Value::Null, true), r#"{"id":7,"jsonrpc":"2.0","result":null}"#);
        assert_eq!(
            refused(None, &Refusal::invalid_method(), false),
            r#"{"error":{"code":405,"message":"invalid method"},"id":null}"#
        );
        let later = created(Dialect::B, "r", Some("u"), "p");
        assert_eq!(later, json!({"res_id": "r", "user_data": "u", "ipsc_info": {"process_id": "p"}}));
        let params = json!({"res_id": "0-0-call-23479873432234"}).as_object().unwrap().clone();
        assert_eq!(
            event(&Event { name: "ivr.call.on_answered".into(), params }),
            r#"{"method":"ivr.call.on_answered","params":{"res_id":"0-0-call-23479873432234"}}"#
        );
    }

    #[test]
    fn letters_beyond_ascii_are_written_as_numbers() {
        assert_eq!(ascii(&json!("é磁😀\u{7f}\"\n")), "\"\\u00e9\\u78c1\\ud83d\\ude00\u{7f}\\\"\\n\"");
    }

    proptest! {
        #[test]
        fn what_is_written_is_ascii_and_reads_the_same(text: String, id: String) {
            let reply = done(&Id::Text(id.clone()), &json!({ text.clone(): [text.clone()] }), false);
            prop_assert!(reply.is_ascii());
            let read: Value = serde_json::from_str(&reply).unwrap();
            prop_assert_eq!(read, json!({"id": id, "result": { text.clone(): [text] }}));
        }
    }
}
