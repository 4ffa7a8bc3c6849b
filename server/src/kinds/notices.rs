//! What a notice looks like on the wire of each service.
//!
//! - `WeCom` group robot: <https://developer.work.weixin.qq.com/document/path/91770>
//! - `DingTalk` custom robot: <https://open.dingtalk.com/document/robots/custom-robot-access>
//! - Feishu custom robot: <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>
//! - Slack incoming webhook: <https://api.slack.com/messaging/webhooks>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::signature::sign;
use crate::store::lines::webhooks::WebhookShape;

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

/// Puts a notice into the form that a service wants. `text` is for people, `facts` for programs.
#[must_use]
pub fn envelope(shape: WebhookShape, secret: Option<&str>, text: &str, facts: &Value, now: DateTime<Utc>) -> Envelope {
    let plain = |body: Value| Envelope { query: Vec::new(), headers: Vec::new(), body: body.to_string() };
    match shape {
        WebhookShape::Json => {
            let body = facts.to_string();
            let timestamp = now.timestamp().to_string();
            let mut headers = vec![("x-autocall-timestamp", timestamp.clone())];
            if let Some(secret) = secret {
                // The time is signed as well, so that an old message cannot be sent again.
                let mac = sign(secret.as_bytes(), format!("{timestamp}.{body}").as_bytes());
                headers.push(("x-autocall-signature", format!("sha256={}", crate::ids::hex(&mac))));
            }
            Envelope { query: Vec::new(), headers, body }
        }
        WebhookShape::Slack => plain(json!({ "text": escape_slack(text) })),
        WebhookShape::Wecom => plain(json!({ "msgtype": "text", "text": { "content": text } })),
        WebhookShape::Dingtalk => {
            let mut envelope = plain(json!({ "msgtype": "text", "text": { "content": text } }));
            if let Some(secret) = secret {
                let timestamp = now.timestamp_millis().to_string();
                let mac = sign(secret.as_bytes(), format!("{timestamp}\n{secret}").as_bytes());
                envelope.query = vec![("timestamp", timestamp), ("sign", STANDARD.encode(mac))];
            }
            envelope
        }
        WebhookShape::Feishu => {
            let mut body = json!({ "msg_type": "text", "content": { "text": text } });
            if let Some(secret) = secret {
                let timestamp = now.timestamp().to_string();
                // As documented: the text to sign is the key, and nothing is signed with it.
                let mac = sign(format!("{timestamp}\n{secret}").as_bytes(), b"");
                body["timestamp"] = json!(timestamp);
                body["sign"] = json!(STANDARD.encode(mac));
            }
            plain(body)
        }
    }
}

/// Whether a service took the message. The Chinese ones answer 200 also when they refuse, with a code in the body.
///
/// # Errors
/// What it said instead, in short.
pub fn accepted(shape: WebhookShape, status: u16, body: &str) -> Result<(), String> {
    if !(200..300).contains(&status) {
        return Err(format!("HTTP {status}"));
    }
    let field = match shape {
        WebhookShape::Json | WebhookShape::Slack => return Ok(()),
        WebhookShape::Wecom | WebhookShape::Dingtalk => "errcode",
        WebhookShape::Feishu => "code",
    };
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    match answer[field].as_i64() {
        Some(0) => Ok(()),
        Some(code) => Err(format!("refused with {field} {code}")),
        None => Err(format!("an answer without {field}")),
    }
}

/// Slack takes `&`, `<` and `>` for its own markup.
fn escape_slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
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
