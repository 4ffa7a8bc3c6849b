//! What a text message looks like on the wire of each gateway, and what their answers mean: pure.
//!
//! - `SMSGate` (android-sms-gateway): <https://docs.sms-gate.app/features/sending-messages/>
//! - `SmsForwarder`: its HTTP server, `POST /sms/send`, as its source has it
//!   (<https://github.com/pppscn/SmsForwarder>, `SmsController`, `BaseRequest`, `HttpServerUtils.calcSign`); with RSA or SM4 as in
//!   `forwarder_cipher`
//! - `httpSMS`: `POST /v1/messages/send` (<https://docs.httpsms.com/api-reference>)
//! - `textbee`: `POST …/send-sms` (<https://textbee.dev/docs>)

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::answer;
use super::forwarder_cipher::Cipher;
use super::guard::{GuardedResolver, check_url};
use super::signature::sign;
use crate::ids::SmsId;
use crate::store::lines::sms::GatewaySettings;

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
    let visible = |field, text: &str| match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(()),
        false => Err(wrong(field, format!("{field} must be visible ASCII characters"))),
    };
    match settings {
        GatewaySettings::Smsgate { url: address, sim: card, token, .. } => {
            card.map_or(Ok(()), |card| sim(card, 3))?;
            token.as_deref().map_or(Ok(()), |token| visible("token", token))?;
            url(address)
        }
        GatewaySettings::Smsforwarder { url: address, secret, rsa_public_key, sm4_key, sim: card } => {
            sim(*card, 2)?;
            if [secret, rsa_public_key, sm4_key].into_iter().flatten().count() > 1 {
                return Err(wrong(
                    "secret",
                    "give one of secret, rsa_public_key and sm4_key: the app has one safety measure".to_owned(),
                ));
            }
            if rsa_public_key.as_deref().is_some_and(|key| Cipher::rsa(key).is_none()) {
                let why = "rsa_public_key must be the app's public key: 2048 bits, in Base64 as the app shows it";
                return Err(wrong("rsa_public_key", why.to_owned()));
            }
            if sm4_key.as_deref().is_some_and(|key| Cipher::sm4(key).is_none()) {
                return Err(wrong("sm4_key", "sm4_key must be 32 hexadecimal digits".to_owned()));
            }
            url(address)
        }
        GatewaySettings::Httpsms { url: address, key, from } => {
            visible("key", key)?;
            if !from.starts_with('+') || from.len() < 4 || !from[1..].bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(wrong("from", "from must be the phone's number with + and the country code".to_owned()));
            }
            url(address)
        }
        GatewaySettings::Textbee { url: address, key } => {
            visible("key", key)?;
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
        GatewaySettings::Smsgate { url, user, password, sim, device, token } => {
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
            if let Some(device) = device {
                body["deviceId"] = json!(device);
            }
            let login = match token {
                Some(token) => format!("Bearer {token}"),
                None => format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))),
            };
            Some(post(url.clone(), vec![("authorization".to_owned(), login)], &body))
        }
        GatewaySettings::Smsforwarder { url, secret, sim, .. } => {
            let timestamp = now.timestamp_millis();
            let data = json!({ "sim_slot": sim, "phone_numbers": sms.number, "msg_content": sms.text });
            let mut body = json!({ "data": data, "timestamp": timestamp });
            if let Some(secret) = secret {
                body["sign"] = json!(smsforwarder_sign(secret, timestamp));
            }
            let request = post(format!("{}/sms/send", url.trim_end_matches('/')), Vec::new(), &body);
            Some(match cipher(settings).ok()? {
                Some(cipher) => GatewayRequest {
                    headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
                    body: cipher.write(&request.body),
                    ..request
                },
                None => request,
            })
        }
        GatewaySettings::Httpsms { url, key, from } => {
            let body = json!({ "from": from, "to": sms.number, "content": sms.text, "request_id": sms.id });
            Some(post(url.clone(), vec![("x-api-key".to_owned(), key.clone())], &body))
        }
        GatewaySettings::Textbee { url, key } => {
            let body = json!({ "recipients": [sms.number], "message": sms.text });
            Some(post(url.clone(), vec![("x-api-key".to_owned(), key.clone())], &body))
        }
        GatewaySettings::Http { method, url, headers, body, secret } => {
            Some(from_template(method_of(method)?, url, headers, body, secret.as_deref(), sms, now))
        }
        GatewaySettings::Handset { .. } => None,
    }
}

/// How a gateway's requests and answers are written, where not as they are.
///
/// # Errors
/// When its key cannot be read: then nothing is sent, least of all as it is.
fn cipher(settings: &GatewaySettings) -> Result<Option<Cipher>, String> {
    let read = match settings {
        GatewaySettings::Smsforwarder { rsa_public_key: Some(key), .. } => Cipher::rsa(key),
        GatewaySettings::Smsforwarder { sm4_key: Some(key), .. } => Cipher::sm4(key),
        _ => return Ok(None),
    };
    read.map(Some).ok_or_else(|| "the gateway's key cannot be read: set it anew".to_owned())
}

/// The events of `SMSGate` that are of use here: each needs a webhook of its own.
pub const SMSGATE_EVENTS: [&str; 6] =
    ["sms:received", "mms:downloaded", "sms:delivered", "sms:failed", "sms:cancelled", "system:ping"];

/// The requests by which `SMSGate` is told to report to `address`: one webhook for each event, under an id of its own, so that telling it
/// again changes it.
///
/// # Errors
/// When the gateway is of another kind, or its app would refuse the address.
pub fn webhooks(settings: &GatewaySettings, address: &str) -> Result<Vec<GatewayRequest>, WrongSetting> {
    let wrong = |field, why: &str| WrongSetting { field, why: why.to_owned() };
    let GatewaySettings::Smsgate { url, user, password, device, token, .. } = settings else {
        return Err(wrong("kind", "only SMSGate is told so: the other apps are given the address by hand"));
    };
    let parsed =
        Url::parse(address).map_err(|_| wrong("address", "address must begin with https:// and end with the gateway's path"))?;
    // Its source: WebHookUrlPolicy.
    if parsed.scheme() != "https" && !(parsed.scheme() == "http" && parsed.host_str() == Some("127.0.0.1")) {
        return Err(wrong("address", "SMSGate's app takes only addresses that begin with https://, or with http://127.0.0.1"));
    }
    let mut target = Url::parse(url).map_err(|_| wrong("url", "the gateway's own address cannot be read"))?;
    target.set_query(None);
    if let Ok(mut path) = target.path_segments_mut() {
        path.pop_if_empty().pop().push("webhooks");
    }
    let login = match token {
        Some(token) => format!("Bearer {token}"),
        None => format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))),
    };
    let one = |event: &str| {
        let mut body = json!({ "id": format!("autocall-{}", event.replace(':', "-")), "url": address, "event": event });
        if let Some(device) = device {
            body["deviceId"] = json!(device);
        }
        post(target.to_string(), vec![("authorization".to_owned(), login.clone())], &body)
    };
    Ok(SMSGATE_EVENTS.map(one).into())
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

/// Whether a gateway took the message; gives what it calls it, where it says so. Each answers in its own way, and a page that asks for a
/// login is none: there nothing was taken, whatever its status.
///
/// # Errors
/// What it said instead, in short.
pub fn accepted(settings: &GatewaySettings, status: u16, body: &str) -> Result<Option<String>, String> {
    let answer = || serde_json::from_str::<Value>(body).ok().filter(Value::is_object);
    let no_answer =
        || Err("an answer that is not this gateway's: is this its address, or a page that asks for a login?".to_owned());
    match settings {
        // It knows this id already: an earlier try got through, and its answer was lost.
        GatewaySettings::Smsgate { .. } if status == 409 => Ok(None),
        _ if !(200..300).contains(&status) => Err(format!("HTTP {status}")),
        GatewaySettings::Smsgate { .. } => match answer() {
            Some(answer) if answer["id"].is_string() => Ok(None),
            _ => no_answer(),
        },
        GatewaySettings::Smsforwarder { .. } => {
            let answer = match cipher(settings)?.map(|cipher| cipher.read(body)) {
                None => answer(),
                Some(Some(text)) => serde_json::from_str::<Value>(&text).ok().filter(Value::is_object),
                Some(None) => {
                    let text = "an answer that cannot be read with this gateway's key: choose the same safety measure and key in \
                                SmsForwarder and here";
                    return Err(text.to_owned());
                }
            };
            let answer = answer.unwrap_or_default();
            match answer["code"].as_i64() {
                Some(200) => Ok(None),
                Some(code) => Err(format!("refused with code {code}: {}", answer["msg"].as_str().unwrap_or_default())),
                None => Err("an answer without code".to_owned()),
            }
        }
        GatewaySettings::Httpsms { .. } => match answer() {
            Some(answer) if answer["status"] == "success" => Ok(answer["data"]["id"].as_str().map(str::to_owned)),
            Some(answer) => Err(format!("refused: {}", answer["message"].as_str().unwrap_or_default())),
            None => no_answer(),
        },
        GatewaySettings::Textbee { .. } => match answer() {
            Some(answer) if answer["data"]["success"] == true => Ok(answer["data"]["smsBatchId"].as_str().map(str::to_owned)),
            Some(answer) => Err(format!("refused: {}", answer["message"].as_str().unwrap_or_default())),
            None => no_answer(),
        },
        GatewaySettings::Http { .. } if answer::is_page(body) => no_answer(),
        GatewaySettings::Http { .. } | GatewaySettings::Handset { .. } => Ok(None),
    }
}

/// The host of a gateway, for people: the rest of an address may be a secret.
#[must_use]
pub fn host(settings: &GatewaySettings) -> String {
    match settings {
        GatewaySettings::Smsgate { url, .. }
        | GatewaySettings::Smsforwarder { url, .. }
        | GatewaySettings::Httpsms { url, .. }
        | GatewaySettings::Textbee { url, .. }
        | GatewaySettings::Http { url, .. } => {
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

    fn forwarder(url: &str, secret: Option<&str>) -> GatewaySettings {
        let secret = secret.map(str::to_owned);
        GatewaySettings::Smsforwarder { url: url.to_owned(), secret, rsa_public_key: None, sm4_key: None, sim: 1 }
    }

    fn template(kind: &str, body: &str) -> GatewaySettings {
        let headers = [("Content-Type".to_owned(), kind.to_owned())].into();
        let (method, url) = ("POST".to_owned(), "http://10.0.0.1/send?to={number}".to_owned());
        GatewaySettings::Http { method, url, headers, body: body.to_owned(), secret: Some("s".to_owned()) }
    }

    #[test]
    fn smsgate_as_documented() {
        let (user, password) = ("sms".to_owned(), "pw".to_owned());
        let url = "http://10.0.0.1:8080/message".to_owned();
        let settings = GatewaySettings::Smsgate { url, user, password, sim: Some(2), device: None, token: None };
        let request = request(&settings, SMS, at()).unwrap();
        assert_eq!((request.method, request.url.as_str()), (Method::POST, "http://10.0.0.1:8080/message"));
        assert_eq!(request.headers[0], ("authorization".to_owned(), "Basic c21zOnB3".to_owned()));
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let expected = json!({ "id": "m1", "textMessage": { "text": SMS.text }, "phoneNumbers": ["+8618712345678"],
            "withDeliveryReport": true, "priority": 100, "ttl": 600, "simNumber": 2 });
        assert_eq!(body, expected);
        assert_eq!(accepted(&settings, 202, r#"{"id":"m1","state":"Pending"}"#), Ok(None));
        assert_eq!(accepted(&settings, 409, ""), Ok(None), "it knows the message");
        assert!(accepted(&settings, 401, "").is_err());
        let GatewaySettings::Smsgate { url, .. } = settings else { panic!("SMSGate") };
        let (device, token) = (Some("d1".to_owned()), Some("jwt".to_owned()));
        let cloud = GatewaySettings::Smsgate { url, user: String::new(), password: String::new(), sim: None, device, token };
        let request = super::request(&cloud, SMS, at()).unwrap();
        assert_eq!(request.headers[0], ("authorization".to_owned(), "Bearer jwt".to_owned()));
        assert_eq!(serde_json::from_str::<Value>(&request.body).unwrap()["deviceId"], "d1");
    }

    #[test]
    fn httpsms_and_textbee_as_documented() {
        let text = |text: &str| text.to_owned();
        let httpsms =
            GatewaySettings::Httpsms { url: text("https://api.httpsms.com/v1/messages/send"), key: text("k"), from: text("+1") };
        let request = super::request(&httpsms, SMS, at()).unwrap();
        assert_eq!(request.headers[0], (text("x-api-key"), text("k")));
        let body: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(body, json!({ "from": "+1", "to": SMS.number, "content": SMS.text, "request_id": "m1" }));
        let taken = r#"{"data":{"id":"h1","status":"pending"},"message":"message added to queue","status":"success"}"#;
        assert_eq!(accepted(&httpsms, 200, taken), Ok(Some(text("h1"))));
        let textbee = GatewaySettings::Textbee { url: text("https://api.textbee.dev/x/send-sms"), key: text("k") };
        let body: Value = serde_json::from_str(&super::request(&textbee, SMS, at()).unwrap().body).unwrap();
        assert_eq!(body, json!({ "recipients": [SMS.number], "message": SMS.text }));
        assert_eq!(accepted(&textbee, 201, r#"{"data":{"success":true,"smsBatchId":"b1"}}"#), Ok(Some(text("b1"))));
        for refused in [r#"{"data":{"success":false}}"#, "{}", ""] {
            assert!(accepted(&textbee, 200, refused).is_err() && accepted(&httpsms, 200, refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn smsgate_is_told_of_each_event() {
        let (user, password) = ("sms".to_owned(), "pw".to_owned());
        let url = "https://api.sms-gate.app/3rdparty/v1/messages?skipPhoneValidation=true".to_owned();
        let settings = GatewaySettings::Smsgate { url, user, password, sim: None, device: Some("d".to_owned()), token: None };
        let requests = webhooks(&settings, "https://a.example.org/api/v1/sms/inbound/sg_1").unwrap();
        assert_eq!(requests.len(), SMSGATE_EVENTS.len());
        assert_eq!(requests[0].url, "https://api.sms-gate.app/3rdparty/v1/webhooks");
        let body: Value = serde_json::from_str(&requests[0].body).unwrap();
        let expected = json!({ "id": "autocall-sms-received", "url": "https://a.example.org/api/v1/sms/inbound/sg_1",
            "event": "sms:received", "deviceId": "d" });
        assert_eq!(body, expected);
        for refused in ["http://192.168.1.2/x", "ftp://a", "nonsense"] {
            assert_eq!(webhooks(&settings, refused).unwrap_err().field, "address", "{refused}");
        }
        assert!(webhooks(&settings, "http://127.0.0.1:8080/x").is_ok(), "a server on the phone itself");
        assert!(webhooks(&template("text/plain", "{text}"), "https://a.example.org/").is_err());
    }

    #[test]
    fn a_page_is_no_answer() {
        let url = || "http://10.0.0.1".to_owned();
        let all = [
            GatewaySettings::Smsgate { url: url(), user: url(), password: url(), sim: None, device: None, token: None },
            forwarder(&url(), None),
            GatewaySettings::Httpsms { url: url(), key: url(), from: url() },
            GatewaySettings::Textbee { url: url(), key: url() },
            template("text/plain", "{text}"),
        ];
        for settings in &all {
            for page in ["<!DOCTYPE html><title>Login</title>", "\n<HTML lang=en>", "<?xml version=\"1.0\"?><html><head>"] {
                assert!(accepted(settings, 200, page).is_err(), "{settings:?}");
            }
        }
        assert_eq!(accepted(&all[4], 200, "queued"), Ok(None));
        assert_eq!(accepted(&all[4], 204, ""), Ok(None));
    }

    #[test]
    fn smsforwarder_as_its_source_has_it() {
        let settings = forwarder("http://10.0.0.1:5000/", Some("geheim"));
        let request = request(&settings, SMS, at()).unwrap();
        assert_eq!(request.url, "http://10.0.0.1:5000/sms/send");
        let body: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(body["data"], json!({ "sim_slot": 1, "phone_numbers": "+8618712345678", "msg_content": SMS.text }));
        assert_eq!(body["timestamp"], 1_700_000_000_000_i64);
        // printf '1700000000000\ngeheim' | openssl dgst -sha256 -hmac geheim -binary | base64, percent-encoded
        assert_eq!(body["sign"], "lyjOReKsA%2FnRNgwAUHHexmCm%2B7W4eMC1q%2FSHP3lao58%3D");
        assert_eq!(accepted(&settings, 200, r#"{"code":200,"msg":"success"}"#), Ok(None));
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
        let forwarder = |url: &str, sim| GatewaySettings::Smsforwarder {
            url: url.to_owned(),
            secret: None,
            rsa_public_key: None,
            sm4_key: None,
            sim,
        };
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
