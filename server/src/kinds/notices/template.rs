//! Anything else that takes an HTTP request: its operator writes the request, and what an answer says when it was taken.

use std::borrow::Cow;
use std::collections::BTreeMap;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Answer, BASE, Envelope, Length, Notice, Secret, Shape, Target, WrongSetting};
use crate::kinds::answer;
use crate::kinds::guard::LONGEST_URL;
use crate::kinds::written::{LONGEST_BODY, MOST_HEADERS, are_headers, content_type, fill, is_json, method, writing};

/// A request as its operator writes it. Places in braces are filled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Template {
    /// GET, POST, PUT or PATCH.
    pub method: String,
    /// The content type decides how the places of the body are written; without it the body is JSON.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
    /// The statuses that say that it was taken; none: any from 200 to 299.
    pub statuses: Vec<u16>,
    /// What else an answer says then.
    pub sign: Option<Sign>,
}

/// What an answer in JSON holds when a notice was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sign {
    /// Where: a JSON Pointer (RFC 6901).
    pub pointer: String,
    /// What: a text, or a number, `true` or `null` as JSON writes them.
    pub value: String,
}

impl Default for Template {
    fn default() -> Self {
        let method = Method::POST.to_string();
        Self { method, headers: BTreeMap::new(), body: String::new(), statuses: Vec::new(), sign: None }
    }
}

const JSON: &str = "application/json";
/// What is filled into an address: more of it, and no server takes the address.
const IN_ADDRESS: Length = Length { most: 1000, counted: |c| if c.is_ascii_alphanumeric() { 1 } else { 3 * c.len_utf8() } };

pub(super) const SHAPE: Shape = Shape {
    options: "Anything that takes an HTTP request: --url, --method, --header, --body, --secret, --taken-status, --taken-sign",
    secret: Secret::Optional,
    check: |target| match &target.settings.template {
        Some(own) => own.check(target.url),
        None => Err(WrongSetting::new("body", "template needs --body: the request, with {text} where the notice goes")),
    },
    envelope: |target, notice| match &target.settings.template {
        Some(own) => own.request(target, notice),
        None => (BASE.envelope)(target, notice),
    },
    accepted: |answer, settings| match &settings.template {
        Some(own) => own.accepted(answer),
        None => answer.taken(),
    },
    ..BASE
};

impl Template {
    /// What the body is.
    fn content_type(&self) -> &str {
        content_type(&self.headers).unwrap_or(JSON)
    }

    fn check(&self, url: &str) -> Result<(), WrongSetting> {
        if method(&self.method).is_none() {
            return Err(WrongSetting::new("method", "the method must be GET, POST, PUT or PATCH"));
        }
        if !are_headers(&self.headers) {
            return Err(WrongSetting::new("headers", format!("at most {MOST_HEADERS} headers, of visible ASCII characters")));
        }
        if self.body.len() > LONGEST_BODY {
            return Err(WrongSetting::new("body", format!("the body has at most {LONGEST_BODY} bytes")));
        }
        if !["{text}", "{title}", "{summary}"].iter().any(|place| self.body.contains(place) || url.contains(place)) {
            let why = "{text}, {title} or {summary} must stand in the body or in the address: else every notice says the same";
            return Err(WrongSetting::new("body", why));
        }
        if is_json(self.content_type()) && !self.body.is_empty() {
            let sample = PLACES.map(|place| (place, "\""));
            if let Err(error) = serde_json::from_str::<Value>(&fill(&self.body, &sample, writing(JSON))) {
                let why = format!(
                    "the body is no JSON when it is filled ({error}): places stand between quotation marks, as \"{{text}}\""
                );
                return Err(WrongSetting::new("body", why));
            }
        }
        if self.statuses.iter().any(|status| !(100..600).contains(status)) {
            return Err(WrongSetting::new("statuses", "statuses of HTTP have three digits, such as 200"));
        }
        if self.sign.as_ref().is_some_and(|sign| !sign.pointer.is_empty() && !sign.pointer.starts_with('/')) {
            return Err(WrongSetting::new("sign", "where an answer says yes is a JSON Pointer, such as /code or /data/state"));
        }
        Ok(())
    }

    fn request(&self, target: &Target<'_>, notice: &Notice<'_>) -> Envelope {
        let fact = |pointer: &str| notice.facts.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        // In the order of `PLACES`.
        let values = [
            notice.text,
            notice.title,
            notice.id,
            target.token(),
            fact("/event"),
            fact("/at"),
            fact("/alarm/summary"),
            fact("/alarm/priority"),
            fact("/alarm/source"),
        ];
        let places: Vec<(&str, &str)> = PLACES.into_iter().zip(values).collect();
        let mut headers: Vec<(String, String)> = Vec::new();
        if content_type(&self.headers).is_none() && !self.body.is_empty() {
            headers.push(("content-type".to_owned(), JSON.to_owned()));
        }
        // Texts of people cannot stand in a header.
        let plain: Vec<(&str, &str)> = places.iter().copied().filter(|(name, _)| IN_HEADERS.contains(name)).collect();
        headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), fill(value, &plain, str::to_owned))));
        Envelope {
            method: method(&self.method).unwrap_or(Method::POST),
            url: filled_address(target.url, &places),
            headers,
            body: fill(&self.body, &places, writing(self.content_type())),
        }
    }

    fn accepted(&self, answer: &Answer<'_>) -> Result<(), String> {
        let is_good = if self.statuses.is_empty() { answer.is_good() } else { self.statuses.contains(&answer.status) };
        if !is_good {
            return Err(answer.told());
        }
        let Some(sign) = &self.sign else {
            // No program answers with a page, but whoever asks for a login does.
            return if answer::is_page(answer.body) { Err(answer.refusal()) } else { Ok(()) };
        };
        let said = answer.json();
        let found = match said.pointer(&sign.pointer) {
            Some(Value::String(text)) => Some(text.clone()),
            other => other.map(Value::to_string),
        };
        if found.as_ref() == Some(&sign.value) {
            return Ok(());
        }
        // Its words come last: they are what is cut off.
        Err(format!("without {} at {}: {}", sign.value, sign.pointer, answer.told()))
    }
}

/// An address with what is filled in, of which texts are cut so that all of it is still taken for one.
fn filled_address(url: &str, places: &[(&str, &str)]) -> String {
    let encoded = |value: &str| utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
    let is_text = |name: &str| TEXTS.contains(&name);
    let without: Vec<(&str, &str)> = places.iter().map(|(name, value)| (*name, if is_text(name) { "" } else { value })).collect();
    let spots: usize = TEXTS.iter().map(|name| url.matches(&format!("{{{name}}}")).count()).sum();
    let room = LONGEST_URL.saturating_sub(fill(url, &without, encoded).len()) / spots.max(1);
    let length = Length { most: room.min(IN_ADDRESS.most), ..IN_ADDRESS };
    let cut: Vec<(&str, Cow<'_, str>)> = places
        .iter()
        .map(|(name, value)| (*name, if is_text(name) { length.cut(value) } else { Cow::Borrowed(*value) }))
        .collect();
    let cut: Vec<(&str, &str)> = cut.iter().map(|(name, value)| (*name, value.as_ref())).collect();
    fill(url, &cut, encoded)
}

/// What of that people write, at any length.
const TEXTS: [&str; 4] = ["text", "title", "summary", "source"];
/// What can be filled in.
const PLACES: [&str; 9] = ["text", "title", "id", "secret", "event", "at", "summary", "priority", "source"];
/// What of it can stand in a header.
const IN_HEADERS: [&str; 5] = ["id", "secret", "event", "at", "priority"];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::kinds::notices::tests::{at, long, urgent};
    use crate::kinds::notices::{WebhookSettings, WebhookShape, accepted, check, envelope};
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;
    use serde_json::json;

    const URL: &str = "https://x.example/notify?about={summary}";

    fn headers(own: &[(&str, &str)]) -> BTreeMap<String, String> {
        own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn of_body(body: &str) -> Template {
        Template { body: body.to_owned(), ..Template::default() }
    }

    fn request(template: &Template, text: &str) -> Envelope {
        let settings = WebhookSettings { template: Some(template.clone()), ..WebhookSettings::default() };
        let target = Target { shape: WebhookShape::Template, url: URL, secret: Some("s3cret"), settings: &settings };
        let alarm = json!({ "summary": "disk & co", "priority": "high", "source": "zabbix" });
        envelope(&target, &urgent(text, &json!({ "event": "raised", "at": "2026-11-20T03:23:15Z", "alarm": alarm })))
    }

    fn fault(template: Template, url: &str) -> Option<&'static str> {
        let settings = WebhookSettings { template: Some(template), ..WebhookSettings::default() };
        let target = Target { shape: WebhookShape::Template, url, secret: None, settings: &settings };
        check(&target).err().map(|wrong| wrong.setting)
    }

    fn answered(template: Template, status: u16, body: &str) -> Result<(), String> {
        let settings = WebhookSettings { template: Some(template), ..WebhookSettings::default() };
        let target = Target { shape: WebhookShape::Template, url: URL, secret: None, settings: &settings };
        let answer = Answer { status, headers: &HeaderMap::new(), body };
        accepted(&target, &answer, at()).map_err(|refused| refused.why)
    }

    #[test]
    fn a_body_is_json_unless_its_type_says_otherwise() {
        let template = of_body(r#"{"m":"{text}","t":"{title}","p":"{priority}","o":{"e":"{event}","by":"{source}"},"{x}":1}"#);
        let asked = request(&template, "a \"b\"\n{id}");
        assert_eq!((asked.method, asked.url.as_str()), (Method::POST, "https://x.example/notify?about=disk%20%26%20co"));
        assert_eq!(asked.headers, [("content-type".to_owned(), JSON.to_owned())]);
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        let expected = json!({ "m": "a \"b\"\n{id}", "t": "Disk full on db1", "p": "high",
            "o": { "e": "raised", "by": "zabbix" }, "{x}": 1 });
        assert_eq!(body, expected, "what is filled in is no place, and other braces stay");
    }

    #[test]
    fn forms_and_plain_texts_are_written_as_such() {
        let of_type = |kind: &str, body: &str| {
            let headers = headers(&[("Content-Type", kind), ("X-Key", "key {secret} of {id} {text}")]);
            request(&Template { headers, method: "PUT".to_owned(), ..of_body(body) }, "a & b=1")
        };
        let form = of_type("application/x-www-form-urlencoded", "m={text}&when={at}");
        assert_eq!((form.method, form.body.as_str()), (Method::PUT, "m=a+%26+b%3D1&when=2026-11-20T03%3A23%3A15Z"));
        let key = ("X-Key".to_owned(), "key s3cret of 01a1fc4e-a630-77e4-8b85-425a1123605f {text}".to_owned());
        assert!(form.headers.contains(&key), "{:?}", form.headers);
        assert_eq!(form.headers.len(), 2, "its type is said once");
        assert_eq!(of_type("text/plain", "{summary}: {text}").body, "disk & co: a & b=1");
        assert_eq!(of_type("Application/JSON", r#"{"m":"{title}: {text}"}"#).body, r#"{"m":"Disk full on db1: a & b=1"}"#);
        assert_eq!(of_type("application/xml", "<m a=\"{summary}\">{text}</m>").body, "<m a=\"disk &amp; co\">a &amp; b=1</m>");
    }

    #[test]
    fn an_address_stays_one_that_servers_take() {
        let settings = WebhookSettings {
            template: Some(Template { method: "GET".to_owned(), ..of_body("") }),
            ..WebhookSettings::default()
        };
        let target = Target { shape: WebhookShape::Template, url: "https://x.example/{text}", secret: None, settings: &settings };
        assert_eq!(check(&target), Ok(()));
        let (text, facts) = (long("磁盘/ "), json!({}));
        let asked = envelope(&target, &urgent(&text, &facts));
        assert!(asked.url.len() < 1100 && asked.url.starts_with("https://x.example/%E7%A3%81%E7%9B%98%2F%20"), "{}", asked.url);
        assert_eq!((asked.method, asked.headers.len(), asked.body.len()), (Method::GET, 0, 0));
    }

    #[test]
    fn wrong_settings_are_found_out() {
        let good = || of_body(r#"{"m":"{text}"}"#);
        assert_eq!(fault(good(), "https://x.example/"), None);
        assert_eq!(fault(of_body(""), "https://x.example/?m={text}"), None);
        assert_eq!(fault(Template { method: "DELETE".to_owned(), ..good() }, "https://x.example/"), Some("method"));
        assert_eq!(fault(Template { headers: headers(&[("x y", "z")]), ..good() }, "https://x.example/"), Some("headers"));
        assert_eq!(fault(of_body(r#"{"m":"hello"}"#), "https://x.example/"), Some("body"), "nothing to say");
        assert_eq!(fault(of_body(r#"{"m":{text}}"#), "https://x.example/"), Some("body"), "no quotation marks");
        assert_eq!(fault(of_body(&format!("\"{{text}}{}\"", "x".repeat(LONGEST_BODY))), "https://x.example/"), Some("body"));
        let plain = Template { headers: headers(&[("content-type", "text/plain")]), ..of_body("{text}") };
        assert_eq!(fault(plain, "https://x.example/"), None);
        let shouted = Template { headers: headers(&[("content-type", "APPLICATION/JSON")]), ..of_body(r#"{"m":{text}}"#) };
        assert_eq!(fault(shouted, "https://x.example/"), Some("body"));
        assert_eq!(fault(Template { statuses: vec![20], ..good() }, "https://x.example/"), Some("statuses"));
        let sign = Some(Sign { pointer: "code".to_owned(), value: "0".to_owned() });
        assert_eq!(fault(Template { sign, ..good() }, "https://x.example/"), Some("sign"));
        let settings = WebhookSettings::default();
        let none = Target { shape: WebhookShape::Template, url: "https://x.example/", secret: None, settings: &settings };
        assert_eq!(check(&none).unwrap_err().setting, "body");
    }

    #[test]
    fn what_is_taken_is_what_its_operator_says() {
        let any = || of_body(r#""{text}""#);
        assert_eq!(answered(any(), 201, "queued"), Ok(()));
        assert_eq!(answered(any(), 204, ""), Ok(()));
        assert!(answered(any(), 200, "<!DOCTYPE html><title>Log in</title>").is_err());
        assert_eq!(answered(any(), 500, "broken"), Err("HTTP 500: broken".to_owned()));
        let only = || Template { statuses: vec![202, 409], ..any() };
        assert_eq!((answered(only(), 202, ""), answered(only(), 409, "")), (Ok(()), Ok(())));
        assert_eq!(answered(only(), 200, "queued"), Err("HTTP 200: queued".to_owned()));
        let sign = |pointer: &str, value: &str| Template {
            sign: Some(Sign { pointer: pointer.to_owned(), value: value.to_owned() }),
            ..any()
        };
        assert_eq!(answered(sign("/code", "0"), 200, r#"{"code":0}"#), Ok(()));
        assert_eq!(answered(sign("/data/0/state", "ok"), 200, r#"{"data":[{"state":"ok"}]}"#), Ok(()));
        assert_eq!(answered(sign("/ok", "true"), 200, r#"{"ok":true}"#), Ok(()));
        let why = answered(sign("/code", "0"), 200, r#"{"code":7,"msg":"no such user"}"#).unwrap_err();
        assert_eq!(why, "without 0 at /code: HTTP 200: no such user");
        assert!(answered(sign("/code", "0"), 200, "0").is_err() && answered(sign("/code", "0"), 500, r#"{"code":0}"#).is_err());
    }

    proptest! {
        #[test]
        fn whatever_the_text_json_stays_json(text: String) {
            let body: Value = serde_json::from_str(&request(&of_body(r#"{"m":"{text}"}"#), &text).body).unwrap();
            prop_assert_eq!(body["m"].as_str(), Some(text.as_str()));
        }
    }
}
