//! Text messages in: what phones pass on, in the words of each app.
//!
//! - `SMSGate`: <https://docs.sms-gate.app/features/webhooks/>. `X-Timestamp` is the second of the sending, another one at each try (its
//!   source: `PayloadSingingPlugin`)
//! - `SmsForwarder`: its webhook sender, a form with `from`, `content`, `timestamp` (<https://github.com/pppscn/SmsForwarder>,
//!   `WebhookUtils`). `timestamp` is the posting, another one at each try; `[receive_time]` in the template is the receipt
//! - `httpSMS`: CloudEvents (<https://docs.httpsms.com/webhooks/introduction>). Their `time` is that of the event, the same at each try
//! - `textbee`: <https://textbee.dev/docs>, `webhookEvent`
//! - anything else: JSON, a form or a query with a sender and a text

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use chrono::{DateTime, Datelike as _, Utc};
use chrono_tz::Tz;
use serde::Serialize;
use serde_json::{Value, json};

use super::alarm_request;
use super::sms_signature;
use crate::access::path_token::Shown;
use crate::app::App;
use crate::engine::lines::replies::TextReceived;
use crate::http::json;
use crate::http::listing::{Listed, Paged, Paging, unknown_cursor};
use crate::http::parsed::Parsed;
use crate::http::problem::{Code, Problem, no_look};
use crate::http::wash;
use crate::ids::{AlarmId, InboundSmsId};
use crate::keep::lines::gateways;
use crate::line::reply::TextEffect;
use crate::line::written::{self, TimeTold};
use crate::store::lines::sms::{GatewayRow, InboundRow};

/// A batch has no more.
const MOST_IN_BATCH: usize = 200;

/// What a phone tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A message came in.
    Received(TextReceived),
    /// A message of ours reached its phone.
    Delivered {
        /// Under which id the gateway got it, or what it calls it.
        id: String,
        /// When.
        at: Option<TimeTold>,
    },
    /// A message of ours could not be sent.
    Failed {
        /// Under which id the gateway got it, or what it calls it.
        id: String,
        /// Why.
        why: String,
        /// When.
        at: Option<TimeTold>,
    },
    /// The gateway lives, and says so regularly.
    Ping,
    /// Something that does not matter here.
    Else,
}

/// What a phone says, before anybody asks what it means.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// A JSON object.
    Json(Value),
    /// A form or a query.
    Form(BTreeMap<String, String>),
}

impl Said {
    /// Reads what a phone posts, however it is wrapped, as an alarm is read.
    ///
    /// # Errors
    /// When it is no JSON, or in an encoding that is not taken.
    pub fn read(body: &[u8]) -> Result<Self, Problem> {
        wash::refuse_wide(body)?;
        let body = body.strip_prefix(wash::BOM).unwrap_or(body);
        match body.trim_ascii_start().first() {
            Some(b'{' | b'[') => match Parsed::read(body)?.value {
                value @ Value::Object(_) => Ok(Self::Json(value)),
                _ => {
                    Err(Problem::bad_request(Code::MalformedJson, "the body must be one JSON object: {\"from\": …, \"text\": …}"))
                }
            },
            _ => Ok(Self::Form(form_urlencoded::parse(body).into_owned().collect())),
        }
    }

    /// The fields that are texts or numbers.
    #[must_use]
    pub fn fields(&self) -> BTreeMap<String, String> {
        match self {
            Self::Json(value) => value
                .as_object()
                .into_iter()
                .flatten()
                .filter_map(|(name, field)| Some((name.clone(), text_of(field)?)))
                .collect(),
            Self::Form(fields) => fields.clone(),
        }
    }

    /// What it means. `sent_at` is the second at which the phone says to send it; times without a zone are of `zone`.
    ///
    /// # Errors
    /// All that is missing.
    pub fn told(&self, sent_at: Option<&str>, zone: Tz) -> Result<Vec<Told>, Problem> {
        let Self::Json(value) = self else { return plain(&self.fields(), zone).map(|told| vec![told]) };
        if let (Some(event), true) = (value["event"].as_str(), value["payload"].is_object()) {
            return Ok(smsgate(event, &value["payload"], sent_at, zone));
        }
        if let (Some(kind), true) = (value["type"].as_str(), value["data"].is_object()) {
            return Ok(vec![httpsms(kind, &value["data"], zone)]);
        }
        let told = match value["webhookEvent"].as_str() {
            Some("MESSAGE_RECEIVED") | None => plain(&self.fields(), zone)?,
            Some(event) => textbee(event, &self.fields(), zone),
        };
        Ok(vec![told])
    }
}

/// A text, also where it was sent as a number.
fn text_of(field: &Value) -> Option<String> {
    match field {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Sender and words without what cannot be stored or shown.
fn received(sender: &str, text: &str, id: Option<String>, told: Option<TimeTold>, sent: Option<DateTime<Utc>>) -> Told {
    let clean = |text: &str| wash::printable(text).0.into_owned();
    Told::Received(TextReceived { sender: clean(sender), text: clean(text), id, told, sent })
}

fn smsgate(event: &str, payload: &Value, sent_at: Option<&str>, zone: Tz) -> Vec<Told> {
    let sent = sent_at.and_then(|text| written::read_time(text, Tz::UTC)).map(|told| told.at);
    let text = |of: &Value, field: &str| text_of(&of[field]).unwrap_or_default();
    let time_of = |of: &Value, field: &str| text_of(&of[field]).and_then(|text| written::read_time(&text, zone));
    let time = |field: &str| time_of(payload, field);
    let one = |of: &Value, words: &str| {
        let either = |first: &str, second: &str| {
            [text(of, first), text(of, second)].into_iter().find(|text| !text.is_empty()).unwrap_or_default()
        };
        // Its message id is made of the text and may repeat, so it tells nothing apart; where a time is told it need not.
        let (sender, words) = (either("sender", "phoneNumber"), either(words, "subject"));
        received(&sender, &words, text_of(&of["messageId"]), time_of(of, "receivedAt"), sent)
    };
    let all = |words: &str| {
        let messages = payload["messages"].as_array().into_iter().flatten().take(MOST_IN_BATCH);
        messages.map(|message| one(message, words)).collect()
    };
    match event {
        "sms:received" => vec![one(payload, "message")],
        "mms:downloaded" => vec![one(payload, "body")],
        "sms:batch:received" => all("message"),
        "mms:batch:downloaded" => all("body"),
        "sms:delivered" => vec![Told::Delivered { id: text(payload, "messageId"), at: time("deliveredAt") }],
        "sms:failed" => vec![Told::Failed { id: text(payload, "messageId"), why: text(payload, "reason"), at: time("failedAt") }],
        "sms:cancelled" => {
            let why = "it was cancelled on the phone".to_owned();
            vec![Told::Failed { id: text(payload, "messageId"), why, at: time("cancelledAt") }]
        }
        "system:ping" => vec![Told::Ping],
        _ => vec![Told::Else],
    }
}

fn httpsms(kind: &str, of: &Value, zone: Tz) -> Told {
    let text = |field: &str| text_of(&of[field]);
    let at = text("timestamp").and_then(|text| written::read_time(&text, zone));
    // The id that we gave it, where it comes back; else the gateway's own.
    let id = || text("request_id").filter(|id| !id.is_empty()).or_else(|| text("id")).unwrap_or_default();
    match kind {
        "message.phone.received" => {
            let (sender, words) = (text("contact").unwrap_or_default(), text("content").unwrap_or_default());
            received(&sender, &words, text("message_id"), at, None)
        }
        "message.phone.delivered" => Told::Delivered { id: id(), at },
        "message.send.failed" => Told::Failed { id: id(), why: text("error_message").unwrap_or_default(), at },
        "message.send.expired" => Told::Failed { id: id(), why: "it expired".to_owned(), at },
        _ => Told::Else,
    }
}

fn textbee(event: &str, fields: &BTreeMap<String, String>, zone: Tz) -> Told {
    let text = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let at = |name: &str| fields.get(name).and_then(|text| written::read_time(text, zone));
    match event {
        "MESSAGE_DELIVERED" => Told::Delivered { id: text("smsBatchId"), at: at("deliveredAt") },
        "MESSAGE_FAILED" => {
            let why = [text("errorMessage"), text("errorCode")].into_iter().find(|why| !why.is_empty()).unwrap_or_default();
            Told::Failed { id: text("smsBatchId"), why, at: at("failedAt") }
        }
        _ => Told::Else,
    }
}

/// Under which names a time is the one at which the phone got the message, the surest first.
const RECEIVED_AT: [&str; 8] =
    ["receivedAt", "received_at", "receivedStamp", "receive_time", "receiveTime", "received_time", "sentStamp", "sent_at"];
/// Under which names an id tells one message from another, however they are written.
const ID: [&str; 11] = [
    "id",
    "messageid",
    "smsid",
    "msgid",
    "idempotencykey",
    "uuid",
    "guid",
    "messagesid",
    "smssid",
    "messageuuid",
    "smsmessagesid",
];

/// The id of a message.
fn id_of(fields: &BTreeMap<String, String>) -> Option<String> {
    let letters = |name: &str| name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let given = |wanted: &str| fields.iter().find(|(name, id)| letters(name) == wanted && !id.is_empty());
    ID.iter().find_map(|name| given(name)).map(|(_, id)| id.clone())
}

fn plain(fields: &BTreeMap<String, String>, zone: Tz) -> Result<Told, Problem> {
    let first = |names: &[&str]| names.iter().find_map(|name| fields.get(*name)).cloned();
    let missing = |field, why: &str| Problem::invalid(field, why);
    let sender =
        first(&["from", "sender", "number", "phone"]).ok_or_else(|| missing("from", "who sent the message? give it as `from`"));
    let text = first(&["content", "text", "message", "body"])
        .ok_or_else(|| missing("text", "what does the message say? give it as `text`"));
    let (sender, text) = match (sender, text) {
        (Ok(sender), Ok(text)) => (sender, text),
        (sender, text) => {
            let wrong: Vec<Problem> = sender.err().into_iter().chain(text.err()).collect();
            return Err(Problem::several(wrong).unwrap_or_else(|| missing("from", "who sent what?")));
        }
    };
    let told = RECEIVED_AT.iter().find_map(|name| written::read_time(fields.get(*name)?, zone));
    // When it was posted: another time at each try.
    let sent = fields.get("timestamp").and_then(|text| written::read_time(text, zone)).map(|told| told.at);
    Ok(received(&sender, &text, id_of(fields), told, sent))
}

/// A phone passes on a message that it received, or reports on one of ours.
#[utoipa::path(method(post, put, get), path = "/api/v1/sms/inbound/{token}", tag = "sms", operation_id = "receive_sms",
    params(("token" = String, Path, description = "The token that was shown when the gateway was made")),
    request_body(content = Object, description = "The webhook of SMSGate, SmsForwarder, httpSMS or textbee, or JSON, a form or a query \
        with `from` and `text`"),
    responses((status = 200, description = "Taken in; what it did is in `effect`"),
        (status = 422, description = "Sender or text is missing", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No gateway has this token, or it is not signed with the gateway's secret", body = Problem, content_type = "application/problem+json")))]
pub async fn receive(
    State(app): State<Arc<App>>,
    peer: ConnectInfo<SocketAddr>,
    method: Method,
    headers: HeaderMap,
    Path(token): Path<String>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    if method == Method::HEAD {
        return Ok(no_look("GET, POST, PUT", "use POST, PUT or GET"));
    }
    let shown = Shown::look(&app.access, peer.0, &headers, &token);
    let Some(gateway) = app.engine.store.read().await?.db().gateway_by_token(&shown.hash).await? else {
        return Ok(shown.unknown(&app.access));
    };
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let bytes = if body.trim_ascii().is_empty() { query.unwrap_or_default().into_bytes() } else { body.to_vec() };
    let said = Said::read(&bytes)?;
    sms_signature::check(&gateway, &headers, &bytes, &said.fields(), app.engine.clock.now()).inspect_err(|_| {
        tracing::warn!(gateway.name = %gateway.name, "a report of a gateway is not signed with its secret: refused");
    })?;
    let sent_at = headers.get("x-timestamp").and_then(|value| value.to_str().ok());
    let mut effects = Vec::new();
    for told in said.told(sent_at, gateways::zone(&gateway, app.config()))? {
        effects.push(take_in(&app, &gateway, &told).await?);
    }
    let stored = effects.iter().any(|effect| *effect != TextEffect::Ignored);
    let effect = effects.first().copied().filter(|_| stored).unwrap_or(TextEffect::Nothing);
    Ok(json(StatusCode::OK, json!({ "stored": stored, "effect": effect.as_str() }).to_string()))
}

async fn take_in(app: &App, gateway: &GatewayRow, told: &Told) -> Result<TextEffect, Problem> {
    let effect = match told {
        Told::Received(received) => app.engine.sms_received(gateway, received).await?,
        Told::Delivered { id, at } => app.engine.sms_reported(gateway, id, None, *at).await?,
        Told::Failed { id, why, at } => app.engine.sms_reported(gateway, id, Some(why), *at).await?,
        Told::Ping => {
            app.engine.gateway_pinged(gateway).await?;
            TextEffect::Nothing
        }
        Told::Else => TextEffect::Ignored,
    };
    app.engine.heard_of_gateway(gateway).await?;
    Ok(effect)
}

/// A message that came in, as the API shows it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct InboundJson {
    id: InboundSmsId,
    /// E.164 where it is a number; null when the phone does not say whose it is.
    sender: Option<String>,
    text: String,
    received_at: DateTime<Utc>,
    /// When it was written: for this moment it counts. As its phone told, never later than it reached the server.
    written_at: DateTime<Utc>,
    /// confirm, decline, `opt_out`, `opt_in` or unknown.
    reply: String,
    alarm_id: Option<AlarmId>,
    /// confirmed, already, over, declined, stopped, allowed, `too_late`, outdated, stranger or none.
    effect: Option<String>,
}

impl From<InboundRow> for InboundJson {
    fn from(row: InboundRow) -> Self {
        let InboundRow { id, sender, text, received_at, written_at, reply, alarm_id, effect } = row;
        let effect = effect.map(|effect| effect.as_str().to_owned());
        let sender = Some(sender).filter(|sender| !sender.is_empty());
        Self { id, sender, text, received_at, written_at: written_at.unwrap_or(received_at), reply, alarm_id, effect }
    }
}

/// The latest text messages that came in, newest first.
#[utoipa::path(get, path = "/api/v1/sms/inbox", tag = "sms", params(Paged),
    responses((status = 200, description = "Newest first", body = Listed<InboundJson>),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn inbox(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let paging = Paging::read(query.as_deref())?;
    let behind = paging.after().map(|after| read_place(after).ok_or_else(unknown_cursor)).transpose()?;
    // One more than asked for tells whether there is a next page.
    let (mut reader, most) = (app.engine.store.read().await?, paging.limit() + 1);
    let mut rows = match behind {
        None => reader.db().latest_inbound(most).await?,
        Some((at, id)) => reader.db().inbound_behind(at, id, most).await?,
    };
    let more = rows.len() > usize::try_from(paging.limit()).unwrap_or(usize::MAX);
    if more {
        rows.pop();
    }
    let next = rows.last().filter(|_| more).map(|row| format!("{} {}", row.received_at.timestamp_micros(), row.id));
    let rows = rows.into_iter().map(InboundJson::from).collect();
    Ok(Listed::new(rows, next.as_deref()).answer())
}

/// When the last message of a page came, and which one it is.
fn read_place(key: &str) -> Option<(DateTime<Utc>, InboundSmsId)> {
    let (at, id) = key.split_once(' ')?;
    let at = DateTime::from_timestamp_micros(at.parse().ok()?)?;
    // What no database can compare is no place.
    (1..=9999).contains(&at.year()).then_some((at, id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;

    fn read(body: &[u8], sent_at: Option<&str>, zone: Tz) -> Result<Vec<Told>, Problem> {
        Said::read(body)?.told(sent_at, zone)
    }

    fn one(body: &str) -> Told {
        let mut told = read(body.as_bytes(), None, Tz::Asia__Shanghai).unwrap();
        assert_eq!(told.len(), 1, "{body}");
        told.remove(0)
    }

    /// Sender, text, id, and the second that was told.
    fn heard(body: &str) -> (String, String, Option<String>, Option<i64>) {
        match one(body) {
            Told::Received(TextReceived { sender, text, id, told, .. }) => {
                (sender, text, id, told.map(|told| told.at.timestamp()))
            }
            other => panic!("{other:?}"),
        }
    }

    fn own(sender: &str, text: &str, id: Option<&str>, told: Option<i64>) -> (String, String, Option<String>, Option<i64>) {
        (sender.to_owned(), text.to_owned(), id.map(str::to_owned), told)
    }

    fn field(name: &str) -> String {
        std::fs::read_to_string(format!("{}/../fixtures/sms/{name}.json", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn each_app_in_its_own_words() {
        // As SMSGate documents it, before and after February 2026.
        let old = r#"{"deviceId":"d","event":"sms:received","id":"E1","payload":{"messageId":"a","message":"1","phoneNumber":"6505551212","simNumber":1,"receivedAt":"2024-06-22T15:46:11.000+07:00"},"webhookId":"w"}"#;
        assert_eq!(heard(old), own("6505551212", "1", Some("a"), Some(1_719_045_971)));
        let new = old.replace(r#""phoneNumber""#, r#""sender":"+16505551212","recipient":null,"phoneNumber""#);
        assert_eq!(heard(&new), own("+16505551212", "1", Some("a"), Some(1_719_045_971)));
        // SmsForwarder's form, and its JSON as an operator may write it.
        let forwarded = "from=%2B8618712345678&content=1&receive_time=2023-11-15+06:13:20&timestamp=1700000100000&sign=x";
        assert_eq!(heard(forwarded), own("+8618712345678", "1", None, Some(1_700_000_000)));
        assert_eq!(heard(r#"{"from":"187","content":"2","timestamp":1700000000000}"#), own("187", "2", None, None));
        assert_eq!(heard(r#"{"sender":"187","text":"stop","id":7}"#), own("187", "stop", Some("7"), None));
        let report =
            |event: &str| one(&format!(r#"{{"event":"{event}","id":"E","payload":{{"messageId":"m","reason":"no credit"}}}}"#));
        assert_eq!(report("sms:delivered"), Told::Delivered { id: "m".to_owned(), at: None });
        let failed = |why: &str| Told::Failed { id: "m".to_owned(), why: why.to_owned(), at: None };
        assert_eq!(report("sms:failed"), failed("no credit"));
        assert_eq!(report("sms:cancelled"), failed("it was cancelled on the phone"));
        assert_eq!(report("system:ping"), Told::Ping);
        assert_eq!(report("mms:received"), Told::Else, "the words come with mms:downloaded");
    }

    #[test]
    fn what_the_field_sends_is_read() {
        assert_eq!(heard(&field("httpsms-received")).0, "+8618712345678");
        assert_eq!(heard(&field("httpsms-received")).1, "1");
        let Told::Received(mms) = one(&field("smsgate-mms")) else { panic!("kept") };
        assert_eq!((mms.text.as_str(), mms.sender.as_str()), ("1", "+8618712345678"));
        let textbee = heard(&field("textbee-received"));
        assert_eq!((textbee.1.as_str(), textbee.2.as_deref(), textbee.3.is_some()), ("1", Some("s1"), true));
        for (kind, expected) in [
            ("MESSAGE_DELIVERED", Told::Delivered { id: "b".to_owned(), at: None }),
            ("MESSAGE_FAILED", Told::Failed { id: "b".to_owned(), why: "no signal".to_owned(), at: None }),
            ("MESSAGE_SENT", Told::Else),
        ] {
            let body = format!(r#"{{"webhookEvent":"{kind}","smsId":"s","smsBatchId":"b","errorMessage":"no signal"}}"#);
            assert_eq!(one(&body), expected);
        }
        let batch = r#"{"event":"sms:batch:received","payload":{"messages":[{"sender":"1","message":"a"},{"sender":"2","message":"b"}]}}"#;
        assert_eq!(read(batch.as_bytes(), None, Tz::UTC).unwrap().len(), 2);
        let body = field("smsgate-received");
        let Told::Received(sent) = &read(body.as_bytes(), Some("1763607600"), Tz::UTC).unwrap()[0] else { panic!("received") };
        assert_eq!(sent.sent.map(|at| at.timestamp()), Some(1_763_607_600));
    }

    #[test]
    fn what_is_missing_is_named() {
        for body in ["", "text=1", r#"{"from":"187"}"#, "{", "from=187"] {
            assert!(read(body.as_bytes(), None, Tz::UTC).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&body, Some("x"), Tz::UTC);
        }
    }
}
