//! Text messages in: what phones pass on, in the words of each app.
//!
//! - `SMSGate`: <https://docs.sms-gate.app/features/webhooks/>, events `sms:received`, `sms:sent`, `sms:delivered`, `sms:failed`
//! - `SmsForwarder`: its webhook sender, a form with `from`, `content`, `timestamp`
//!   (<https://github.com/pppscn/SmsForwarder>, `WebhookUtils`)
//! - anything else: JSON or a form with a sender and a text

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::alarm_request;
use crate::app::App;
use crate::http::json;
use crate::http::path_token::Shown;
use crate::http::problem::Problem;
use crate::ids::{AlarmId, InboundSmsId};
use crate::store::sms::InboundRow;

const LATEST: i64 = 100;
/// Without an id or a time of its own, the same text from the same sender within this many seconds is the same message.
const SAME_WITHIN_SECONDS: i64 = 60;

/// What a phone tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A message came in.
    Received {
        /// From whom, as the phone has it.
        sender: String,
        /// What it says.
        text: String,
        /// Tells the same message, told again, from another one.
        mark: Option<String>,
    },
    /// A message of ours reached its phone.
    Delivered {
        /// Under which id the gateway got it.
        id: String,
    },
    /// A message of ours could not be sent.
    Failed {
        /// Under which id the gateway got it.
        id: String,
        /// Why.
        why: String,
    },
    /// Something that does not matter here.
    Else,
}

/// Reads what a phone posts: JSON, or a form.
///
/// # Errors
/// What is missing.
pub fn read(body: &[u8]) -> Result<Told, Problem> {
    if body.trim_ascii_start().first() == Some(&b'{') {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| Problem::bad_request("malformed_json", format!("the body is not JSON: {error}")))?;
        return match value["event"].as_str() {
            Some(event) if value["payload"].is_object() => Ok(smsgate(event, &value)),
            _ => {
                let text = |field: &Value| match field {
                    Value::String(text) => Some(text.clone()),
                    Value::Number(number) => Some(number.to_string()),
                    _ => None,
                };
                let fields = value.as_object().into_iter().flatten();
                plain(&fields.filter_map(|(name, field)| Some((name.clone(), text(field)?))).collect())
            }
        };
    }
    plain(&form_urlencoded::parse(body).into_owned().collect())
}

fn smsgate(event: &str, value: &Value) -> Told {
    let payload = &value["payload"];
    let text = |field: &str| payload[field].as_str().unwrap_or_default().to_owned();
    match event {
        "sms:received" => {
            let sender = payload["sender"].as_str().or(payload["phoneNumber"].as_str()).unwrap_or_default().to_owned();
            // Its message id is made of the text and may repeat; the id of the event does not.
            let mark = value["id"].as_str().or(payload["receivedAt"].as_str()).map(str::to_owned);
            Told::Received { sender, text: text("message"), mark }
        }
        "sms:delivered" => Told::Delivered { id: text("messageId") },
        "sms:failed" => Told::Failed { id: text("messageId"), why: text("reason") },
        _ => Told::Else,
    }
}

fn plain(fields: &BTreeMap<String, String>) -> Result<Told, Problem> {
    let first = |names: &[&str]| names.iter().find_map(|name| fields.get(*name)).cloned();
    let sender = first(&["from", "sender", "number", "phone"])
        .ok_or_else(|| Problem::invalid("from", "who sent the message? give it as `from`"))?;
    let text = first(&["content", "text", "message", "body"])
        .ok_or_else(|| Problem::invalid("text", "what does the message say? give it as `text`"))?;
    Ok(Told::Received { sender, text, mark: first(&["id", "timestamp"]) })
}

/// The same for the same message told again.
#[must_use]
pub fn fingerprint(sender: &str, text: &str, mark: Option<&str>, now: DateTime<Utc>) -> [u8; 32] {
    let minute = || (now.timestamp() / SAME_WITHIN_SECONDS).to_string();
    let mark = mark.map_or_else(minute, str::to_owned);
    Sha256::new().chain_update(sender).chain_update([0]).chain_update(text).chain_update([0]).chain_update(mark).finalize().into()
}

/// A phone passes on a message that it received, or reports on one of ours.
#[utoipa::path(post, path = "/api/v1/sms/inbound/{token}", tag = "sms",
    params(("token" = String, Path, description = "The token that was shown when the gateway was made")),
    request_body(content = Object, description = "SMSGate's webhook, SmsForwarder's, or JSON or a form with `from` and `text`"),
    responses((status = 200, description = "Stored; what it did is in `effect`"),
        (status = 422, description = "Sender or text is missing", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No gateway has this token", body = Problem, content_type = "application/problem+json")))]
pub async fn receive(
    State(app): State<Arc<App>>,
    peer: ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Path(token): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let shown = Shown::look(&app, peer.0, &headers, &token);
    let Some(gateway) = app.engine.store.read().await?.db().gateway_by_token(&shown.hash).await? else {
        return Ok(shown.unknown(&app));
    };
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let effect = match read(&body)? {
        Told::Received { sender, text, mark } => {
            let fingerprint = fingerprint(&sender, &text, mark.as_deref(), app.engine.clock.now());
            app.engine.sms_received(&gateway, &sender, &text, fingerprint).await?
        }
        Told::Delivered { id } => app.engine.sms_reported(&gateway, &id, None).await?,
        Told::Failed { id, why } => app.engine.sms_reported(&gateway, &id, Some(&why)).await?,
        Told::Else => "none",
    };
    Ok(json(StatusCode::OK, json!({ "stored": true, "effect": effect }).to_string()))
}

/// A message that came in, as the API shows it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct InboundJson {
    id: InboundSmsId,
    /// E.164 where it is a number.
    sender: String,
    text: String,
    received_at: DateTime<Utc>,
    /// confirm, decline, `opt_out` or unknown.
    reply: String,
    alarm_id: Option<AlarmId>,
    /// confirmed, already, over, declined, stopped, stranger or none.
    effect: Option<String>,
}

impl From<InboundRow> for InboundJson {
    fn from(row: InboundRow) -> Self {
        let InboundRow { id, sender, text, received_at, reply, alarm_id, effect } = row;
        Self { id, sender, text, received_at, reply, alarm_id, effect }
    }
}

/// The latest text messages that came in, newest first.
#[utoipa::path(get, path = "/api/v1/sms/inbox", tag = "sms",
    responses((status = 200, description = "At most 100", body = Vec<InboundJson>),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn inbox(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let rows = app.engine.store.read().await?.db().latest_inbound(LATEST).await?;
    let rows: Vec<InboundJson> = rows.into_iter().map(InboundJson::from).collect();
    Ok(json(StatusCode::OK, json!(rows).to_string()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;

    fn received(body: &str) -> (String, String, Option<String>) {
        match read(body.as_bytes()).unwrap() {
            Told::Received { sender, text, mark } => (sender, text, mark),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_app_in_its_own_words() {
        let own = |sender: &str, text: &str, mark: Option<&str>| (sender.to_owned(), text.to_owned(), mark.map(str::to_owned));
        // As SMSGate documents it, before and after February 2026.
        let old = r#"{"deviceId":"d","event":"sms:received","id":"E1","payload":{"messageId":"a","message":"1","phoneNumber":"6505551212","simNumber":1,"receivedAt":"2024-06-22T15:46:11.000+07:00"},"webhookId":"w"}"#;
        assert_eq!(received(old), own("6505551212", "1", Some("E1")));
        let new = old.replace(r#""phoneNumber""#, r#""sender":"+16505551212","recipient":null,"phoneNumber""#);
        assert_eq!(received(&new), own("+16505551212", "1", Some("E1")));
        // SmsForwarder's form, and its JSON as an operator may write it.
        assert_eq!(
            received("from=%2B8618712345678&content=1&timestamp=1700000000000&sign=x"),
            own("+8618712345678", "1", Some("1700000000000"))
        );
        assert_eq!(received(r#"{"from":"187","content":"2","timestamp":1700000000000}"#), own("187", "2", Some("1700000000000")));
        assert_eq!(received(r#"{"sender":"187","text":"stop","id":7}"#), own("187", "stop", Some("7")));
        let report =
            |event: &str| format!(r#"{{"event":"{event}","id":"E","payload":{{"messageId":"m","reason":"no credit"}}}}"#);
        assert_eq!(read(report("sms:delivered").as_bytes()).unwrap(), Told::Delivered { id: "m".to_owned() });
        let failed = Told::Failed { id: "m".to_owned(), why: "no credit".to_owned() };
        assert_eq!(read(report("sms:failed").as_bytes()).unwrap(), failed);
        assert_eq!(read(report("system:ping").as_bytes()).unwrap(), Told::Else);
    }

    #[test]
    fn what_is_missing_is_named() {
        for body in ["", "text=1", r#"{"from":"187"}"#, "{", "from=187"] {
            assert!(read(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn the_same_message_told_again_is_the_same() {
        let at = |second: i64| DateTime::from_timestamp(1_700_000_040 + second, 0).unwrap();
        assert_eq!(fingerprint("a", "1", Some("x"), at(0)), fingerprint("a", "1", Some("x"), at(9999)));
        assert_ne!(fingerprint("a", "1", Some("x"), at(0)), fingerprint("a", "1", Some("y"), at(0)));
        assert_eq!(fingerprint("a", "1", None, at(0)), fingerprint("a", "1", None, at(20)));
        assert_ne!(fingerprint("a", "1", None, at(0)), fingerprint("a", "1", None, at(3600)));
        assert_ne!(fingerprint("a", "11", None, at(0)), fingerprint("a1", "1", None, at(0)));
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&body);
        }
    }
}
