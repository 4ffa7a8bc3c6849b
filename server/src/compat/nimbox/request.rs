//! What a NiMbox client says: its parameters as it wrote them, and the checks that turn them into a call.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{header, request::Parts};
use chrono::NaiveDate;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::call_log::reading::{self, LONGEST_CALLER, LONGEST_URL, Rule};
use crate::intake::alarm_request;
use crate::store::alarm::replicated::ReplicatedCall;

/// What is wrong, by the name of the parameter.
pub type Errors = BTreeMap<&'static str, String>;

const LONGEST_NUMBER: usize = 80;
/// Nobody talks for longer than a year.
const LONGEST_CALL: i64 = 366 * 24 * 3600;

/// The parameters of a request. Of one that stands several times the last counts.
#[derive(Debug, Default)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Those of a query or a form. Its clients escape some of their values and others not, so a `+` stays one: what it stands for depends on
    /// where it stands.
    pub fn of_query(text: Option<&str>) -> Self {
        let mut all = BTreeMap::new();
        for pair in text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            all.insert(plain(name), plain(value));
        }
        Self(all)
    }

    /// The value of one; empty where it is not there.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

/// Reads the parameters of a request: those of its query, and of its body, which count first.
///
/// # Errors
/// Why the body cannot be read.
pub async fn read(parts: &Parts, body: Body, limit: usize) -> Result<Parameters, String> {
    let mut all = Parameters::of_query(parts.uri.query());
    let body = alarm_request::read_body(body, limit).await.map_err(|problem| problem.sentence())?;
    if body.is_empty() {
        return Ok(all);
    }
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let more = match kind.as_str() {
        "application/x-www-form-urlencoded" | "" => Parameters::of_query(Some(&String::from_utf8_lossy(&body))),
        "application/json" => of_json(&body)?,
        "multipart/form-data" => of_parts(parts, body).await?,
        _ => {
            return Err(
                "the body must be a form or JSON: send it with the content type application/x-www-form-urlencoded".to_owned()
            );
        }
    };
    all.0.extend(more.0);
    Ok(all)
}

fn of_json(body: &[u8]) -> Result<Parameters, String> {
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else { return Err("the body is no JSON object".to_owned()) };
    let text = |value: Value| match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    };
    Ok(Parameters(fields.into_iter().map(|(name, value)| (name, text(value))).collect()))
}

async fn of_parts(parts: &Parts, body: Bytes) -> Result<Parameters, String> {
    let broken = |_| "the body is no multipart form".to_owned();
    let mut request = Request::new(Body::from(body));
    request.headers_mut().clone_from(&parts.headers);
    let mut form = Multipart::from_request(request, &()).await.map_err(|_| "the body is no multipart form".to_owned())?;
    let mut all = BTreeMap::new();
    while let Some(part) = form.next_field().await.map_err(broken)? {
        if let Some(name) = part.name().map(str::to_owned) {
            all.insert(name, String::from_utf8_lossy(&part.bytes().await.map_err(broken)?).into_owned());
        }
    }
    Ok(Parameters(all))
}

/// The call that is told of, where nothing is wrong with it; else every parameter at fault is noted.
pub fn call(given: &Parameters, rule: &Rule, errors: &mut Errors) -> Option<ReplicatedCall> {
    let mut note = |name: &'static str, why: String| {
        errors.insert(name, why);
    };
    let needed = |name: &str| Some(given.get(name).trim()).filter(|value| !value.is_empty());
    let missing = || "this parameter is missing".to_owned();
    let said_at = needed("initiated");
    let at = match said_at.map(|text| reading::instant(text, rule)) {
        Some(Ok(at)) => Some(at),
        Some(Err(why)) => {
            note("initiated", why.to_string());
            None
        }
        None => {
            note("initiated", missing());
            None
        }
    };
    let caller = needed("source").map(reading::caller);
    match &caller {
        None => note("source", missing()),
        Some(None) => note("source", format!("write at most {LONGEST_CALLER} characters, all of which can be seen")),
        Some(Some(_)) => {}
    }
    let written = needed("destination");
    let number = match written.map(|text| reading::number(text, rule)) {
        _ if written.is_some_and(|text| text.len() > LONGEST_NUMBER) => {
            note("destination", "this is no phone number".to_owned());
            None
        }
        Some(Ok(number)) => Some(number),
        Some(Err(why)) => {
            note("destination", why.to_string());
            None
        }
        None => {
            note("destination", missing());
            None
        }
    };
    let seconds = match Some(given.get("duration").trim()).filter(|text| !text.is_empty()).map(str::parse) {
        None => None,
        Some(Ok(seconds @ 0..=LONGEST_CALL)) => Some(seconds),
        Some(_) => {
            note("duration", "write whole seconds".to_owned());
            None
        }
    };
    let url = Some(given.get("url").trim()).filter(|text| !text.is_empty());
    if url.is_some_and(|url| !reading::is_address(url)) {
        note("url", format!("this is no address that begins with http:// or https://, of at most {LONGEST_URL} characters"));
    }
    Some(ReplicatedCall {
        at: at?,
        said_at: said_at?.to_owned(),
        caller: caller??,
        number: number?.as_str().to_owned(),
        written: written?.to_owned(),
        seconds,
        // Channels of a telephone system have blanks in their names, addresses have none.
        url: url.map(|url| url.replace(' ', "%20")),
        key: None,
    })
}

/// A day without hours; what is wrong is noted.
pub fn day(given: &Parameters, name: &'static str, errors: &mut Errors) -> Option<NaiveDate> {
    let text = given.get(name).trim();
    if text.is_empty() {
        errors.insert(name, "this parameter is missing".to_owned());
        return None;
    }
    reading::day(text).map_err(|why| errors.insert(name, why.to_string())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_plus_stays_a_plus() {
        let given =
            Parameters::of_query(Some("initiated=2026-08-23T12:20:33+04:30&source=Ana+P%C3%A9rez%2B&x&=y&source=7222&url=a%2"));
        assert_eq!(given.get("initiated"), "2026-08-23T12:20:33+04:30");
        assert_eq!((given.get("source"), given.get("x"), given.get("none")), ("7222", "", ""));
        assert_eq!(given.get("url"), "a%2", "what is no escape is itself");
    }

    proptest! {
        #[test]
        fn no_request_panics(query in "[ -~]{0,120}", value in "\\PC{0,40}") {
            let rule = Rule {
                region: crate::numbers::Region::CN,
                zone: chrono_tz::Tz::UTC,
                area_code: "0261".to_owned(),
                z_is_local: true,
            };
            let mut given = Parameters::of_query(Some(&query));
            for name in ["initiated", "source", "destination", "duration", "url", "from"] {
                given.0.insert(name.to_owned(), value.clone());
            }
            let mut errors = Errors::new();
            let read = call(&given, &rule, &mut errors);
            prop_assert!(read.is_some() || !errors.is_empty());
            let _ = day(&given, "from", &mut errors);
        }
    }
}
