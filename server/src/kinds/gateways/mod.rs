//! What sends text messages, a file for each kind: its settings, the checks, the request, what counts as taken, how its reports are
//! signed, and what its form asks. Faces go through [`GatewayKind::ALL`]. Nothing is sent here.
//!
//! To add a kind: a file here, and its line in `kinds!`.

mod forwarder_cipher;

use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use subtle::ConstantTimeEq;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type};

use super::form::{Asked, Said, Typed, leads_elsewhere};
use super::guard::{GuardedResolver, check_url};
use super::signature::sign;
use crate::ids::{SmsId, hex};

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
    /// What was written, where only that is to be told.
    pub typed: Option<String>,
    /// It is kept, and has to be given again: the address leads elsewhere.
    pub again: bool,
}

impl WrongSetting {
    fn new(field: &'static str, why: impl Into<String>) -> Self {
        Self { field, why: why.into(), typed: None, again: false }
    }
}

/// What a phone reports, as far as its signature is about it.
#[derive(Clone, Copy, Debug)]
pub struct Report<'r> {
    /// The headers.
    pub headers: &'r HeaderMap,
    /// The body as it came.
    pub bytes: &'r [u8],
    /// The fields in it that are texts or numbers.
    pub fields: &'r BTreeMap<String, String>,
    /// When it came.
    pub at: DateTime<Utc>,
}

impl Report<'_> {
    /// The text of a header; empty when there is none.
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What every gateway can do, whatever its kind.
trait Gateway {
    /// Checks what an operator says of it. Whether there is a handset of that name is not known here.
    fn check(&self, guard: &GuardedResolver) -> Result<(), WrongSetting>;

    /// The request by which it is told to send a message; `None` for a handset, which asks for its commands itself.
    fn request(&self, sms: Outgoing<'_>, now: DateTime<Utc>) -> Option<GatewayRequest>;

    /// Whether it took the message; gives what it calls it, where it says so.
    fn accepted(&self, status: u16, body: &str) -> Result<Option<String>, String>;

    /// Its address; the rest of it may be a secret.
    fn address(&self) -> Option<&str>;

    /// What people tell it apart by.
    fn host(&self) -> String {
        let url = self.address().and_then(|address| Url::parse(address).ok());
        url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
    }

    /// What of it a form shows, by the names of the fields. Nothing of it may be a secret.
    fn shown(&self) -> Vec<(&'static str, String)>;

    /// What of it nobody is to learn who does not know it, each behind the fields of a form that say it.
    fn secrets(&self) -> Vec<(&'static [&'static str], String)>;

    /// Whether a report is signed with the secret that both know, in the way of its app.
    fn is_signed(&self, secret: &[u8], report: &Report<'_>) -> bool {
        let mac = sign(secret, &[report.header("x-autocall-timestamp").as_bytes(), b".", report.bytes].concat());
        same(&format!("sha256={}", hex(&mac)), report.header("x-autocall-signature"))
    }
}

/// What a kind says of itself.
struct Description {
    /// Its name, for people.
    name: Said,
    /// What it is.
    how: Said,
    /// Where the address for received messages is put.
    inbound: Said,
    /// What it is, and which options it takes, for the command line.
    options: &'static str,
    /// What its form asks, of a new one or of this one.
    asks: fn(Option<&GatewaySettings>) -> Vec<Asked>,
    /// The settings that a form says, with what it leaves out as it was.
    read: fn(&Typed, Option<&GatewaySettings>) -> Result<GatewaySettings, WrongSetting>,
    /// At which field of the form, and by which word of the catalogue, people are told what is wrong with a setting; for those that
    /// other kinds do not have.
    blames: &'static [(&'static str, &'static str, &'static str)],
}

macro_rules! kinds {
    ($($(#[$meaning:meta])* $name:ident in $file:ident = $word:literal;)+) => {
        $(mod $file;)+

        /// How a gateway is reached.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum GatewaySettings {
            $($(#[$meaning])* $name($file::$name)),+
        }

        /// A kind of gateway.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum GatewayKind {
            $($(#[$meaning])* $name),+
        }

        impl GatewayKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its word in addresses, forms and commands.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }

            /// The kind of a gateway.
            #[must_use]
            pub fn of(settings: &GatewaySettings) -> Self {
                match settings { $(GatewaySettings::$name(_) => Self::$name),+ }
            }

            fn description(self) -> &'static Description {
                match self { $(Self::$name => &$file::KIND),+ }
            }

            /// Its settings, as the API describes them.
            fn schema(self) -> RefOr<Schema> {
                match self { $(Self::$name => <$file::$name as utoipa::PartialSchema>::schema()),+ }
            }
        }

        impl GatewaySettings {
            fn gateway(&self) -> &dyn Gateway {
                match self { $(Self::$name(own) => own),+ }
            }
        }

        $(impl $file::$name {
            /// The settings of this kind, where they are of this kind.
            #[must_use]
            pub fn among(settings: Option<&GatewaySettings>) -> Option<&Self> {
                match settings {
                    Some(GatewaySettings::$name(own)) => Some(own),
                    _ => None,
                }
            }
        })+
    };
}

pub use handset::Handset;
pub use smsforwarder::smsforwarder_sign;

kinds! {
    /// `SMSGate` (android-sms-gateway), on the phone or in its cloud.
    Smsgate in smsgate = "smsgate";
    /// `SmsForwarder`'s HTTP server on the phone.
    Smsforwarder in smsforwarder = "smsforwarder";
    /// `httpSMS`: its cloud, or a server of one's own.
    Httpsms in httpsms = "httpsms";
    /// `textbee`: its cloud, or a server of one's own.
    Textbee in textbee = "textbee";
    /// Anything else that takes an HTTP request.
    Http in http = "http";
    /// One of our own native handsets.
    Handset in handset = "handset";
}

impl GatewayKind {
    /// The kind of this word.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(self) -> Said {
        self.description().name
    }

    /// What it is, for people.
    #[must_use]
    pub fn how(self) -> Said {
        self.description().how
    }

    /// Where the address for received messages is put, for people.
    #[must_use]
    pub fn inbound(self) -> Said {
        self.description().inbound
    }

    /// What it is, and which options it takes, for the command line.
    #[must_use]
    pub fn options(self) -> &'static str {
        self.description().options
    }

    /// What its form asks of a new one, or of one that there is.
    #[must_use]
    pub fn asks(self, old: Option<&GatewaySettings>) -> Vec<Asked> {
        (self.description().asks)(old)
    }

    /// The settings that a form says, with what it leaves out as it was.
    ///
    /// # Errors
    /// The field that cannot be read.
    pub fn settings(self, typed: &Typed, old: Option<&GatewaySettings>) -> Result<GatewaySettings, WrongSetting> {
        (self.description().read)(typed, old)
    }

    /// The same from somebody who is not to learn what is kept: where the address leads elsewhere, secrets are given again. Whoever has the
    /// command line can read them anyway.
    ///
    /// # Errors
    /// The field that cannot be read, or a secret that is left out although the address leads elsewhere.
    pub fn settings_unseen(self, typed: &Typed, old: Option<&GatewaySettings>) -> Result<GatewaySettings, WrongSetting> {
        let new = self.settings(typed, old)?;
        let (Some(before), Some(after)) = (old.and_then(|old| old.gateway().address()), new.gateway().address()) else {
            return Ok(new);
        };
        if leads_elsewhere(before, after) {
            let known = old.map(|old| old.gateway().secrets()).unwrap_or_default();
            let is_said = |fields: &[&str]| fields.iter().any(|field| !typed.text(field).is_empty());
            let kept = new.gateway().secrets().into_iter().find(|own| known.contains(own) && !is_said(own.0));
            if let Some(field) = kept.and_then(|(fields, _)| fields.first().copied()) {
                let why = format!("the address leads elsewhere now: give {field} again too");
                return Err(WrongSetting { again: true, ..WrongSetting::new(field, why) });
            }
        }
        Ok(new)
    }

    /// At which field of its form, and by which word of the catalogue, people are told what is wrong with a setting that other kinds do
    /// not have.
    #[must_use]
    pub fn blames(self, setting: &str) -> Option<(&'static str, &'static str)> {
        let blamed = self.description().blames.iter().find(|(own, ..)| *own == setting);
        blamed.map(|(_, field, word)| (*field, *word))
    }
}

impl GatewaySettings {
    /// What of it a form shows.
    #[must_use]
    pub fn shown(&self) -> Vec<(&'static str, String)> {
        self.gateway().shown()
    }

    /// Whether a report is signed with the secret that both know.
    #[must_use]
    pub fn is_signed(&self, secret: &[u8], report: &Report<'_>) -> bool {
        self.gateway().is_signed(secret, report)
    }
}

impl utoipa::PartialSchema for GatewaySettings {
    fn schema() -> RefOr<Schema> {
        // Each kind in full: a schema that takes no other properties cannot be put together with one that adds the kind.
        let one_of = GatewayKind::ALL.iter().fold(OneOfBuilder::new(), |one_of, kind| {
            let mut own = kind.schema();
            if let RefOr::T(Schema::Object(object)) = &mut own {
                let word = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).enum_values(Some([kind.as_str()]));
                object.properties.insert("kind".to_owned(), word.build().into());
                object.required.push("kind".to_owned());
            }
            one_of.item(own)
        });
        one_of.description(Some("How a gateway is reached.")).into()
    }
}

impl utoipa::ToSchema for GatewaySettings {}

/// Checks what an operator says of a gateway. Whether there is a handset of that name is not known here.
///
/// # Errors
/// The field at fault.
pub fn check(settings: &GatewaySettings, guard: &GuardedResolver) -> Result<(), WrongSetting> {
    settings.gateway().check(guard)
}

/// The request by which a gateway is told to send a message; `None` for a handset, which asks for its commands itself.
#[must_use]
pub fn request(settings: &GatewaySettings, sms: Outgoing<'_>, now: DateTime<Utc>) -> Option<GatewayRequest> {
    settings.gateway().request(sms, now)
}

/// Whether a gateway took the message; gives what it calls it, where it says so. Each answers in its own way, and a page that asks for a
/// login is none: there nothing was taken, whatever its status.
///
/// # Errors
/// What it said instead, in short.
pub fn accepted(settings: &GatewaySettings, status: u16, body: &str) -> Result<Option<String>, String> {
    settings.gateway().accepted(status, body)
}

/// The requests by which `SMSGate` is told to report to `address`.
///
/// # Errors
/// When the gateway is of another kind, or its app would refuse the address.
pub fn webhooks(settings: &GatewaySettings, address: &str) -> Result<Vec<GatewayRequest>, WrongSetting> {
    let own = smsgate::Smsgate::among(Some(settings));
    let other = || WrongSetting::new("kind", "only SMSGate is told so: the other apps are given the address by hand");
    own.ok_or_else(other)?.webhooks(address)
}

/// Whether the app of a gateway reports to this address: that of `SMSGate` takes only https, and the phone itself.
#[must_use]
pub fn reports_to(settings: &GatewaySettings, address: &str) -> bool {
    smsgate::Smsgate::among(Some(settings)).is_none() || smsgate::takes(address)
}

/// The host of a gateway, for people: the rest of an address may be a secret.
#[must_use]
pub fn host(settings: &GatewaySettings) -> String {
    settings.gateway().host()
}

/// Checks an address that is posted to.
fn good_url(address: &str, guard: &GuardedResolver) -> Result<(), WrongSetting> {
    check_url(address, guard).map(|_| ()).map_err(|error| WrongSetting::new("url", error.to_string()))
}

/// Checks which SIM card is meant.
fn good_sim(sim: u8, most: u8) -> Result<(), WrongSetting> {
    if (1..=most).contains(&sim) { Ok(()) } else { Err(WrongSetting::new("sim", format!("sim must be 1 to {most}"))) }
}

/// Checks what goes into a header.
fn visible(field: &'static str, text: &str) -> Result<(), WrongSetting> {
    match !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(()),
        false => Err(WrongSetting::new(field, format!("{field} must be visible ASCII characters"))),
    }
}

/// Which SIM card a form says, with what was said before; `None`: the phone's choice.
fn typed_sim(typed: &Typed, old: Option<u8>) -> Result<Option<u8>, WrongSetting> {
    match (typed.get("sim"), typed.text("sim")) {
        (None, _) => Ok(old),
        (_, "") => Ok(None),
        (_, sim) => sim.parse().map(Some).map_err(|_| WrongSetting::new("sim", "sim must be a number")),
    }
}

/// An address that holds nothing but where the phone is.
fn shown_address(url: &str) -> String {
    if url.contains(['@', '?', '#']) { String::new() } else { url.to_owned() }
}

/// An answer of HTTP that is none of the statuses that say yes.
fn taken(status: u16) -> Result<(), String> {
    if (200..300).contains(&status) { Ok(()) } else { Err(format!("HTTP {status}")) }
}

/// What a gateway answers in JSON.
fn answered(body: &str) -> Option<Value> {
    serde_json::from_str::<Value>(body).ok().filter(Value::is_object)
}

fn no_answer() -> String {
    "an answer that is not this gateway's: is this its address, or a page that asks for a login?".to_owned()
}

fn refused(answer: &Value) -> String {
    format!("refused: {}", answer["message"].as_str().unwrap_or_default())
}

/// Whether two signatures are the same, in a time that tells nothing.
fn same(ours: &str, theirs: &str) -> bool {
    bool::from(ours.as_bytes().ct_eq(theirs.as_bytes()))
}

fn post(url: String, mut headers: Vec<(String, String)>, body: &Value) -> GatewayRequest {
    headers.push(("content-type".to_owned(), "application/json".to_owned()));
    GatewayRequest { method: Method::POST, url, headers, body: body.to_string() }
}

fn percent(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::http::Http;
    use super::httpsms::Httpsms;
    use super::smsforwarder::Smsforwarder;
    use super::smsgate::Smsgate;
    use super::textbee::Textbee;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const SMS: Outgoing<'_> = Outgoing { id: "m1", number: "+8618712345678", text: "|*72187|autocall|\"今天\" & {id}" };

    fn at() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn forwarder(url: &str, secret: Option<&str>) -> GatewaySettings {
        let secret = secret.map(str::to_owned);
        GatewaySettings::Smsforwarder(Smsforwarder { url: url.to_owned(), secret, rsa_public_key: None, sm4_key: None, sim: 1 })
    }

    fn template(kind: &str, body: &str) -> GatewaySettings {
        let headers = [("Content-Type".to_owned(), kind.to_owned())].into();
        let (method, url) = ("POST".to_owned(), "http://10.0.0.1/send?to={number}".to_owned());
        GatewaySettings::Http(Http { method, url, headers, body: body.to_owned(), secret: Some("s".to_owned()) })
    }

    #[test]
    fn smsgate_as_documented() {
        let (user, password) = ("sms".to_owned(), "pw".to_owned());
        let url = "http://10.0.0.1:8080/message".to_owned();
        let settings = GatewaySettings::Smsgate(Smsgate { url, user, password, sim: Some(2), device: None, token: None });
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
        let GatewaySettings::Smsgate(Smsgate { url, .. }) = settings else { panic!("SMSGate") };
        let (device, token) = (Some("d1".to_owned()), Some("jwt".to_owned()));
        let cloud = Smsgate { url, user: String::new(), password: String::new(), sim: None, device, token };
        let cloud = GatewaySettings::Smsgate(cloud);
        let request = super::request(&cloud, SMS, at()).unwrap();
        assert_eq!(request.headers[0], ("authorization".to_owned(), "Bearer jwt".to_owned()));
        assert_eq!(serde_json::from_str::<Value>(&request.body).unwrap()["deviceId"], "d1");
    }

    #[test]
    fn httpsms_and_textbee_as_documented() {
        let text = |text: &str| text.to_owned();
        let httpsms = Httpsms { url: text("https://api.httpsms.com/v1/messages/send"), key: text("k"), from: text("+1") };
        let httpsms = GatewaySettings::Httpsms(httpsms);
        let request = super::request(&httpsms, SMS, at()).unwrap();
        assert_eq!(request.headers[0], (text("x-api-key"), text("k")));
        let body: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(body, json!({ "from": "+1", "to": SMS.number, "content": SMS.text, "request_id": "m1" }));
        let taken = r#"{"data":{"id":"h1","status":"pending"},"message":"message added to queue","status":"success"}"#;
        assert_eq!(accepted(&httpsms, 200, taken), Ok(Some(text("h1"))));
        let textbee = GatewaySettings::Textbee(Textbee { url: text("https://api.textbee.dev/x/send-sms"), key: text("k") });
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
        let settings = Smsgate { url, user, password, sim: None, device: Some("d".to_owned()), token: None };
        let settings = GatewaySettings::Smsgate(settings);
        let requests = webhooks(&settings, "https://a.example.org/api/v1/sms/inbound/sg_1").unwrap();
        assert_eq!(requests.len(), 6);
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
            GatewaySettings::Smsgate(Smsgate { url: url(), user: url(), password: url(), sim: None, device: None, token: None }),
            forwarder(&url(), None),
            GatewaySettings::Httpsms(Httpsms { url: url(), key: url(), from: url() }),
            GatewaySettings::Textbee(Textbee { url: url(), key: url() }),
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
        assert!(form.headers.contains(&("x-autocall-signature".to_owned(), format!("sha256={}", hex(&mac)))));
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
        let forwarder = |url: &str, sim| {
            let url = url.to_owned();
            GatewaySettings::Smsforwarder(Smsforwarder { url, secret: None, rsa_public_key: None, sm4_key: None, sim })
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
