//! What a notice looks like on the wire, a file for each form: the request, and what counts as taken. Nothing is sent here.
//!
//! To add a form: a file here, and its line in `shapes!`.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::signature::sign;
use crate::ids::hex;

/// A request that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Appended to the webhook's address.
    pub query: Vec<(&'static str, String)>,
    /// Beside the content type.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: String,
}

impl Envelope {
    /// With a body and nothing else.
    fn of(body: &Value) -> Self {
        Self { query: Vec::new(), headers: Vec::new(), body: body.to_string() }
    }
}

/// A notice that is to be told.
#[derive(Clone, Copy, Debug)]
struct Notice<'n> {
    /// What signatures are made with.
    secret: Option<&'n str>,
    /// For people.
    text: &'n str,
    /// For programs.
    facts: &'n Value,
    /// When it is told.
    at: DateTime<Utc>,
}

/// What a form is.
struct Shape {
    /// The request.
    envelope: fn(Notice<'_>) -> Envelope,
    /// Whether an answer with a good status says that it was taken; else what it says instead.
    accepted: fn(&str) -> Result<(), String>,
}

macro_rules! shapes {
    ($($(#[$meaning:meta])* $name:ident in $file:ident = $word:literal;)+) => {
        $(mod $file;)+

        /// In which form notices are posted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum WebhookShape {
            $($(#[$meaning])* $name),+
        }

        impl WebhookShape {
            /// All forms.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The word for it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            fn shape(self) -> &'static Shape {
                match self { $(Self::$name => &$file::SHAPE),+ }
            }
        }
    };
}

shapes! {
    /// All facts, for programs; signed.
    Json in json = "json";
    /// Slack, and what takes the same form.
    Slack in slack = "slack";
    /// `WeCom` group robot.
    Wecom in wecom = "wecom";
    /// `DingTalk` robot.
    Dingtalk in dingtalk = "dingtalk";
    /// Feishu robot.
    Feishu in feishu = "feishu";
}

impl WebhookShape {
    /// The form of this word.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|shape| shape.as_str() == word)
    }
}

/// Puts a notice into the form that a service wants. `text` is for people, `facts` for programs.
#[must_use]
pub fn envelope(shape: WebhookShape, secret: Option<&str>, text: &str, facts: &Value, now: DateTime<Utc>) -> Envelope {
    (shape.shape().envelope)(Notice { secret, text, facts, at: now })
}

/// Whether a service took the message. The Chinese ones answer 200 also when they refuse, with a code in the body.
///
/// # Errors
/// What it said instead, in short.
pub fn accepted(shape: WebhookShape, status: u16, body: &str) -> Result<(), String> {
    if !(200..300).contains(&status) {
        return Err(format!("HTTP {status}"));
    }
    (shape.shape().accepted)(body)
}

/// Reads an answer that holds a code in this field, which is 0 when all is well.
fn code_in(field: &str, body: &str) -> Result<(), String> {
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    match answer[field].as_i64() {
        Some(0) => Ok(()),
        Some(code) => Err(format!("refused with {field} {code}")),
        None => Err(format!("an answer without {field}")),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn at() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    #[test]
    fn signatures_are_those_that_other_programs_compute() {
        // Computed with Python's hmac module from the services' documented formulas.
        let facts = json!({ "a": 1 });
        let json = envelope(WebhookShape::Json, Some("s3cret"), "", &facts, at());
        assert_eq!(json.headers[1].1, "sha256=1698a50bc74d1ff1db85c4e0a5297c2ad9fdba245d5737cdb789e4cc6e098940");
        let ding = envelope(WebhookShape::Dingtalk, Some("s3cret"), "x", &facts, at());
        assert_eq!(
            ding.query,
            vec![("timestamp", "1700000000000".to_owned()), ("sign", "MT7bXSNfVTPzQMEuLWvmMNbmZSCUY1X6YKn9AxBnLsI=".to_owned())]
        );
        let feishu: Value =
            serde_json::from_str(&envelope(WebhookShape::Feishu, Some("s3cret"), "x", &facts, at()).body).unwrap();
        assert_eq!(feishu["sign"], "IX3eHI0/v/Td7jqJ0ynSEK3Dq5JY3HUZeoeMgVZeZGo=");
    }

    #[test]
    fn a_refusal_with_status_200_is_a_refusal() {
        assert!(accepted(WebhookShape::Wecom, 200, r#"{"errcode":0,"errmsg":"ok"}"#).is_ok());
        assert!(accepted(WebhookShape::Wecom, 200, r#"{"errcode":93000}"#).is_err());
        assert!(accepted(WebhookShape::Feishu, 200, r#"{"code":19021,"msg":"sign match fail"}"#).is_err());
        assert!(accepted(WebhookShape::Dingtalk, 200, "<html>").is_err());
        assert!(accepted(WebhookShape::Slack, 200, "ok").is_ok());
        assert!(accepted(WebhookShape::Json, 204, "").is_ok());
        assert!(accepted(WebhookShape::Json, 302, "").is_err());
    }

    #[test]
    fn slack_markup_is_escaped() {
        assert!(
            envelope(WebhookShape::Slack, None, "<!channel> & co", &json!({}), at()).body.contains("&lt;!channel&gt; &amp; co")
        );
    }
}
