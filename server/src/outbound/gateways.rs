//! What a text message looks like on the wire of each gateway, and what their answers mean: pure.
//!
//! - `SMSGate` (android-sms-gateway): <https://docs.sms-gate.app/features/sending-messages/>
//! - `SmsForwarder`: its HTTP server, `POST /sms/send`, as its source has it
//!   (<https://github.com/pppscn/SmsForwarder>, `SmsController`, `BaseRequest`, `HttpServerUtils.calcSign`)

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::guard::{GuardedResolver, check_url};
use super::signature::sign;
use crate::ids::SmsId;
use crate::store::sms::GatewaySettings;

const MOST_HEADERS: usize = 20;
const LONGEST_BODY: usize = 10_000;
/// A command that a gateway could not send within this time is sent anew by us, if it is still wanted.
const TIME_TO_LIVE_SECONDS: u32 = 600;

/// A message to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'m> {
    /// The same at every try, so that a gateway can tell a repetition.
    pub id: &'m str,
    /// To whom, in E.164 where the plan knows it.
    pub number: &'m str,
    /// What it says.
    pub text: &'m str,
}

/// A request that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayRequest {
    /// GET, POST, PUT or PATCH.
    pub method: Method,
    /// Where.
    pub url: String,
    /// All of them.
    pub headers: Vec<(String, String)>,
    /// What.
    pub body: String,
}

/// What is wrong with what an operator says of a gateway.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct WrongSetting {
    /// Which field.
    pub field: &'static str,
    /// What is wrong, and how it should be.
    pub why: String,
}

/// Checks what an operator says of a gateway. Whether there is a handset of that name is not known here.
///
/// # Errors
/// The field at fault.
pub fn check(settings: &GatewaySettings, guard: &GuardedResolver) -> Result<(), WrongSetting> {
    let wrong = |field, why: String| WrongSetting { field, why };
    let url = |url: &str| check_url(url, guard).map(|_| ()).map_err(|error| wrong("url", error.to_string()));
    let sim = |sim: u8, most: u8| match (1..=most).contains(&sim) {
        true => Ok(()),
        false => Err(wrong("sim", format!("sim must be 1 to {most}"))),
    };
    match settings {
        GatewaySettings::Smsgate { url: address, sim: card, .. } => {
            card.map_or(Ok(()), |card| sim(card, 3))?;
            url(address)
        }
        GatewaySettings::Smsforwarder { url: address, sim: card, .. } => {
            sim(*card, 2)?;
            url(address)
        }
        GatewaySettings::Http { method, url: address, headers, body, .. } => {
            if method_of(method).is_none() {
                return Err(wrong("method", "method must be GET, POST, PUT or PATCH".to_owned()));
            }
            let good = |(name, value): (&String, &String)| {
                name.parse::<reqwest::header::HeaderName>().is_ok() && value.parse::<reqwest::header::HeaderValue>().is_ok()
            };
            if headers.len() > MOST_HEADERS || !headers.iter().all(good) {
                return Err(wrong("headers", format!("at most {MOST_HEADERS} headers, of visible ASCII characters")));
            }
            if body.len() > LONGEST_BODY {
                return Err(wrong("body", format!("the body has at most {LONGEST_BODY} bytes")));
            }
            if !body.contains("{text}") && !address.contains("{text}") {
                return Err(wrong(
                    "body",
                    "{text} must stand in the body or in the address, and {number} where the number goes".to_owned(),
                ));
            }
            url(&address.replace("{number}", "1").replace("{text}", "1").replace("{id}", "1"))
        }
        GatewaySettings::Handset { .. } => Ok(()),
    }
}

fn method_of(text: &str) -> Option<Method> {
    [Method::GET, Method::POST, Method::PUT, Method::PATCH].into_iter().find(|method| method.as_str() == text)
}

/// The request by which a gateway is told to send a message; `None` for a handset, which asks for its commands itself.
#[must_use]
pub fn request(settings: &GatewaySettings, sms: Outgoing<'_>, now: DateTime<Utc>) -> Option<GatewayRequest> {
    match settings {
        GatewaySettings::Smsgate { url, user, password, sim } => {
            let mut body = json!({
                "id": sms.id,
                "textMessage": { "text": sms.text },
                "phoneNumbers": [sms.number],
                "withDeliveryReport": true,
                // Not behind other messages, and not so late that somebody else is on duty by then.
                "priority": 100,
                "ttl": TIME_TO_LIVE_SECONDS,
            });
            if let Some(sim) = sim {
                body["simNumber"] = json!(sim);
            }
            let login = STANDARD.encode(format!("{user}:{password}"));
            Some(post(url.clone(), vec![("authorization".to_owned(), format!("Basic {login}"))], &body))
        }
        GatewaySettings::Smsforwarder { url, secret, sim } => {
            let timestamp = now.timestamp_millis();
            let data = json!({ "sim_slot": sim, "phone_numbers": sms.number, "msg_content": sms.text });
            let mut body = json!({ "data": data, "timestamp": timestamp });
            if let Some(secret) = secret {
                body["sign"] = json!(smsforwarder_sign(secret, timestamp));
            }
            Some(post(format!("{}/sms/send", url.trim_end_matches('/')), Vec::new(), &body))
        }
        GatewaySettings::Http { method, url, headers, body, secret } => {
            Some(from_template(method_of(method)?, url, headers, body, secret.as_deref(), sms, now))
        }
        GatewaySettings::Handset { .. } => None,
    }
}

fn post(url: String, mut headers: Vec<(String, String)>, body: &Value) -> GatewayRequest {
    headers.push(("content-type".to_owned(), "application/json".to_owned()));
    GatewayRequest { method: Method::POST, url, headers, body: body.to_string() }
}

/// What `SmsForwarder` wants as `sign`: percent-encoded already, which is odd and so.
#[must_use]
pub fn smsforwarder_sign(secret: &str, timestamp: i64) -> String {
    let mac = sign(secret.as_bytes(), format!("{timestamp}\n{secret}").as_bytes());
    percent(&STANDARD.encode(mac))
}

fn percent(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn from_template(
    method: Method,
    url: &str,
    headers: &BTreeMap<String, String>,
    body: &str,
    secret: Option<&str>,
    sms: Outgoing<'_>,
    now: DateTime<Utc>,
) -> GatewayRequest {
    let kind = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type")).map_or("", |(_, value)| value.as_str());
    let body = if kind.contains("json") {
        fill(body, sms, inside_json)
    } else if kind.contains("x-www-form-urlencoded") {
        fill(body, sms, percent)
    } else {
        fill(body, sms, str::to_owned)
    };
    let mut headers: Vec<(String, String)> = headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let timestamp = now.timestamp().to_string();
    if let Some(secret) = secret {
        let mac = sign(secret.as_bytes(), format!("{timestamp}.{body}").as_bytes());
        headers.push(("x-autocall-timestamp".to_owned(), timestamp));
        headers.push(("x-autocall-signature".to_owned(), format!("sha256={}", crate::ids::hex(&mac))));
    }
    GatewayRequest { method, url: fill(url, sms, percent), headers, body }
}

/// Text as it stands between the quotes of a JSON string.
fn inside_json(text: &str) -> String {
    let quoted = Value::String(text.to_owned()).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Fills the places in one pass, so that what is filled in is never taken for a place itself.
fn fill(template: &str, sms: Outgoing<'_>, write: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(template.len() + sms.text.len());
    let mut rest = template;
    'next: while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        for (place, value) in [("{number}", sms.number), ("{text}", sms.text), ("{id}", sms.id)] {
            if let Some(after) = rest[at..].strip_prefix(place) {
                out.push_str(&write(value));
                rest = after;
                continue 'next;
            }
        }
        out.push('{');
        rest = &rest[at + 1..];
    }
    out + rest
}

/// The id under which a gateway knows a message. It changes only when the gateway reported that it could not send what it took.
#[must_use]
pub fn message_id(id: SmsId, failures: i32) -> String {
    // Without hyphens: SMSGate takes 36 characters at most.
    format!("{}-{failures}", id.0.simple())
}

/// Reads an id that [`message_id`] made.
#[must_use]
pub fn read_message_id(text: &str) -> Option<(SmsId, i32)> {
    let (id, failures) = text.rsplit_once('-')?;
    Some((id.parse().ok()?, failures.parse().ok()?))
}

/// Whether a gateway took the message.
///
/// # Errors
/// What it said instead, in short.
pub fn accepted(settings: &GatewaySettings, status: u16, body: &str) -> Result<(), String> {
    match settings {
        // It knows this id already: an earlier try got through, and its answer was lost.
        GatewaySettings::Smsgate { .. } if status == 409 => Ok(()),
        _ if !(200..300).contains(&status) => Err(format!("HTTP {status}")),
        GatewaySettings::Smsforwarder { .. } => {
            let answer: Value = serde_json::from_str(body).unwrap_or_default();
            match answer["code"].as_i64() {
                Some(200) => Ok(()),
                Some(code) => Err(format!("refused with code {code}: {}", answer["msg"].as_str().unwrap_or_default())),
                None => Err("an answer without code".to_owned()),
            }
        }
        _ => Ok(()),
    }
}

/// The host of a gateway, for people: the rest of an address may be a secret.
#[must_use]
pub fn host(settings: &GatewaySettings) -> String {
    match settings {
        GatewaySettings::Smsgate { url, .. } | GatewaySettings::Smsforwarder { url, .. } | GatewaySettings::Http { url, .. } => {
            Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
        }
        GatewaySettings::Handset { handset } => handset.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;

    const SMS: Outgoing<'_> = Outgoing { id: "m1", number: "+8618712345678", text: "|*72187|autocall|\"今天\" & {id}" };

    fn at() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn template(kind: &str, body: &str) -> GatewaySettings {
        let headers = [("Content-Type".to_owned(), kind.to_owned())].into();
        let (method, url) = ("POST".to_owned(), "http://10.0.0.1/send?to={number}".to_owned());
        GatewaySettings::Http { method, url, headers, body: body.to_owned(), secret: Some("s".to_owned()) }
    }

    #[test]
    fn smsgate_as_documented() {
        let (user, password) = ("sms".to_owned(), "pw".to_owned());
        let settings = GatewaySettings::Smsgate { url: "http://10.0.0.1:8080/message".to_owned(), user, password, sim: Some(2) };
        let request = request(&settings, SMS, at()).unwrap();
        assert_eq!((request.method, request.url.as_str()), (Method::POST, "http://10.0.0.1:8080/message"));
        assert_eq!(request.headers[0], ("authorization".to_owned(), "Basic c21zOnB3".to_owned()));
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let expected = json!({ "id": "m1", "textMessage": { "text": SMS.text }, "phoneNumbers": ["+8618712345678"],
            "withDeliveryReport": true, "priority": 100, "ttl": 600, "simNumber": 2 });
        assert_eq!(body, expected);
        assert_eq!(accepted(&settings, 202, "{}"), Ok(()));
        assert_eq!(accepted(&settings, 409, ""), Ok(()), "it knows the message");
        assert!(accepted(&settings, 401, "").is_err());
    }

    #[test]
    fn smsforwarder_as_its_source_has_it() {
        let settings =
            GatewaySettings::Smsforwarder { url: "http://10.0.0.1:5000/".to_owned(), secret: Some("geheim".to_owned()), sim: 1 };
        let request = request(&settings, SMS, at()).unwrap();
        assert_eq!(request.url, "http://10.0.0.1:5000/sms/send");
        let body: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(body["data"], json!({ "sim_slot": 1, "phone_numbers": "+8618712345678", "msg_content": SMS.text }));
        assert_eq!(body["timestamp"], 1_700_000_000_000_i64);
        // printf '1700000000000\ngeheim' | openssl dgst -sha256 -hmac geheim -binary | base64, percent-encoded
        assert_eq!(body["sign"], "lyjOReKsA%2FnRNgwAUHHexmCm%2B7W4eMC1q%2FSHP3lao58%3D");
        assert_eq!(accepted(&settings, 200, r#"{"code":200,"msg":"success"}"#), Ok(()));
        assert!(accepted(&settings, 200, r#"{"code":500,"msg":"no permission"}"#).unwrap_err().contains("no permission"));
        assert!(accepted(&settings, 200, "<html>").is_err());
    }

    #[test]
    fn a_template_is_filled_as_its_content_type_wants() {
        let json = request(&template("application/json", r#"{"to":"{number}","m":"{text}","x":{"y":1}}"#), SMS, at()).unwrap();
        let read: Value = serde_json::from_str(&json.body).unwrap();
        assert_eq!(read, json!({ "to": SMS.number, "m": SMS.text, "x": { "y": 1 } }), "what is filled in is no place");
        assert_eq!(json.url, "http://10.0.0.1/send?to=%2B8618712345678");
        let form = request(&template("application/x-www-form-urlencoded", "to={number}&m={text}"), SMS, at()).unwrap();
        let read: Vec<_> = form_urlencoded::parse(form.body.as_bytes()).map(|(_, value)| value.into_owned()).collect();
        assert_eq!(read, [SMS.number, SMS.text]);
        let mac = sign(b"s", format!("1700000000.{}", form.body).as_bytes());
        assert!(form.headers.contains(&("x-autocall-signature".to_owned(), format!("sha256={}", crate::ids::hex(&mac)))));
    }

    #[test]
    fn wrong_settings_name_their_field() {
        let guard = GuardedResolver::for_gateways(&["10.0.0.0/8".parse().unwrap()]);
        let field = |settings: &GatewaySettings| match check(settings, &guard) {
            Err(wrong) => wrong.field,
            Ok(()) => panic!("{settings:?}"),
        };
        check(&template("text/plain", "{text}"), &guard).unwrap();
        assert_eq!(field(&template("text/plain", "hello")), "body");
        assert_eq!(field(&template("text/plain\n", "{text}")), "headers");
        let forwarder = |url: &str, sim| GatewaySettings::Smsforwarder { url: url.to_owned(), secret: None, sim };
        assert_eq!(field(&forwarder("http://10.0.0.1", 3)), "sim");
        assert_eq!(field(&forwarder("http://192.168.1.7:5000", 1)), "url");
        assert_eq!(field(&forwarder("ftp://10.0.0.1", 1)), "url");
    }

    #[test]
    fn a_message_s_id_reads_back() {
        let id: SmsId = "01a1fc4e-a630-77e4-8b85-425a1123605f".parse().unwrap();
        assert_eq!(read_message_id(&message_id(id, 2)), Some((id, 2)));
        assert_eq!(read_message_id("x"), None);
    }

    proptest! {
        #[test]
        fn whatever_the_text_json_stays_json(text: String) {
            let sms = Outgoing { text: &text, ..SMS };
            let request = request(&template("application/json", r#"{"m":"{text}"}"#), sms, at()).unwrap();
            let read: Value = serde_json::from_str(&request.body).unwrap();
            prop_assert_eq!(read["m"].as_str(), Some(text.as_str()));
        }
    }
}
