//! Every answer of the API that a test sees is held against the description of the API, and every body that the API takes.
//!
//! Tests send requests with [`Held::sent`] instead of reqwest's `send`. What is at an address of the API must be described: the
//! status, the kind of content, the headers, and the body by its schema; and what was taken must have been described as well, or
//! somebody who keeps to the description could not have sent it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::http::{self, HeaderMap, header};
use boon::{Compiler, Draft, SchemaIndex, Schemas};
use reqwest::{Body, RequestBuilder, Response, ResponseBuilderExt};
use serde_json::Value;

/// What lies outside the description, and why. Whatever else answers is of the API.
const UNDESCRIBED: [(&str, &str); 11] = [
    ("/alert/phone", "the AutoCall contract: docs/protocol.md describes it, and the app decides what it means"),
    ("/h/", "the same for a phone with a token, and the native protocol of docs/protocol.md"),
    ("/healthz", "for probes: docs/operating.md"),
    ("/readyz", "for probes: docs/operating.md"),
    ("/metrics", "Prometheus' own format: docs/operating.md"),
    ("/calendar/", "calendars, which know a secret and nothing else: docs/roster.md"),
    ("/api/v1/openapi.json", "the description itself"),
    ("/api/v1/call", "Barista's contract: docs/barista.md says its words, which its own clients check"),
    ("/api/v1/intake/grafana", "the same as /api/v1/intake/alertmanager under another name"),
    ("/api/problems", "a page"),
    ("/api/v2/", "Alertmanager's own, to which tests talk as well"),
];
/// Of these the answers are described, but not what may be sent; and why.
const SENT_AS_IT_IS: [(&str, &str); 3] = [
    ("/api/v1/intake/", "monitoring systems send what they send: docs/connecting-monitoring.md"),
    ("/api/v1/sms/inbound/", "phones and services send what they send: docs/public-number.md"),
    ("/api/v1/heartbeat/", "senders that ping may send anything: docs/heartbeats.md"),
];
/// Headers of HTTP itself, which say nothing of the API.
const OF_HTTP: [&str; 9] = [
    "content-type",
    "content-length",
    "date",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "cache-control",
    "vary",
    "server",
];

/// Sends a request and holds what comes of it against the description.
pub trait Held {
    /// As reqwest's `send`.
    ///
    /// # Panics
    ///
    /// When the answer, or what was taken, is not as described.
    fn sent(self) -> impl Future<Output = reqwest::Result<Response>> + Send;
}

/// GET, held against the description.
///
/// # Errors
///
/// When there is no answer.
///
/// # Panics
///
/// When the answer is not as described.
pub async fn get(url: impl reqwest::IntoUrl) -> reqwest::Result<Response> {
    crate::http_client().no_proxy().build()?.get(url).sent().await
}

/// What was asked.
struct Asked {
    method: String,
    path: String,
    query: Vec<String>,
    body: Vec<u8>,
}

impl Held for RequestBuilder {
    async fn sent(self) -> reqwest::Result<Response> {
        let (client, request) = self.build_split();
        let request = request?;
        let asked = Asked {
            method: request.method().as_str().to_ascii_lowercase(),
            path: request.url().path().to_owned(),
            query: request.url().query_pairs().map(|(name, _)| name.into_owned()).collect(),
            body: request.body().and_then(Body::as_bytes).unwrap_or_default().to_vec(),
        };
        let answer = client.execute(request).await?;
        let Some(path) = path_of_api(&asked.path).map(str::to_owned).filter(|_| asked.method != "options") else {
            return Ok(answer);
        };
        let mut again = http::Response::builder().status(answer.status()).version(answer.version()).url(answer.url().clone());
        if let Some(headers) = again.headers_mut() {
            headers.clone_from(answer.headers());
        }
        let (status, headers, body) = (answer.status().as_u16(), answer.headers().clone(), answer.bytes().await?);
        DESCRIBED.hold(&Asked { path, ..asked }, status, &headers, &body);
        Ok(again.body(body).expect("it was an answer before").into())
    }
}

/// The path of the API that an address names: behind a key, a prefix of a proxy, without a slash at its end.
fn path_of_api(path: &str) -> Option<&str> {
    let path = path.get(path.find("/api/")?..)?.trim_end_matches('/');
    // It begins as Barista's.
    (path == "/api/v1/calls" || !UNDESCRIBED.iter().any(|(start, _)| path.starts_with(start))).then_some(path)
}

/// Under which name the validators know the description.
const ADDRESS: &str = "http://described/api";

/// The description, and the validators of its schemas by their places.
struct Described {
    document: Value,
    schemas: Schemas,
    places: HashMap<String, SchemaIndex>,
}

static DESCRIBED: LazyLock<Described> = LazyLock::new(|| {
    // The code and the program say the same: contract/openapi.rs.
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json")).expect("the kept description");
    let document: Value = serde_json::from_str(&text).expect("the description is JSON");
    let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
    compiler.set_default_draft(Draft::V2020_12);
    compiler.enable_format_assertions();
    compiler.add_resource(ADDRESS, document.clone()).expect("the description is a resource");
    let mut all = ["Problem", "BlastDetail"].map(|shape| place(&["components", "schemas", shape])).to_vec();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let of = |part: &[&str], content: &Value| -> Vec<String> {
                let kinds = content.as_object().into_iter().flatten().filter(|(_, content)| !content["schema"].is_null());
                let start = [&["paths", path.as_str(), method.as_str()], part].concat();
                kinds.map(|(kind, _)| place(&[&start[..], &["content", kind, "schema"]].concat())).collect()
            };
            all.extend(of(&["requestBody"], &operation["requestBody"]["content"]));
            for (status, response) in operation["responses"].as_object().into_iter().flatten() {
                all.extend(of(&["responses", status], &response["content"]));
            }
        }
    }
    let made = all.into_iter().map(|place| {
        let schema = compiler.compile(&format!("{ADDRESS}#{place}"), &mut schemas);
        let schema = schema.unwrap_or_else(|error| panic!("{place}: {error:#}"));
        (place, schema)
    });
    let places = made.collect();
    Described { document, schemas, places }
});

/// A place in the description: a JSON pointer in an address.
fn place(parts: &[&str]) -> String {
    let escaped = parts.iter().map(|part| part.replace('~', "~0").replace('/', "~1").replace('{', "%7B").replace('}', "%7D"));
    escaped.fold(String::new(), |place, part| place + "/" + &part)
}

impl Described {
    fn hold(&self, asked: &Asked, status: u16, headers: &HeaderMap, body: &[u8]) {
        let faults = self.faults(asked, status, headers, body);
        if !faults.is_empty() {
            let mut all = String::new();
            for fault in &faults {
                _ = writeln!(all, "- {fault}");
            }
            let (sent, came) = (String::from_utf8_lossy(&asked.body), String::from_utf8_lossy(body));
            panic!(
                "the description of the API says otherwise:\n{all}{} {} {sent}\nanswered {status}: {came}",
                asked.method.to_uppercase(),
                asked.path
            );
        }
    }

    /// All that is not as described.
    fn faults(&self, asked: &Asked, status: u16, headers: &HeaderMap, body: &[u8]) -> Vec<String> {
        // HEAD is GET without the body.
        let method = if asked.method == "head" { "get" } else { &asked.method };
        let (template, operation) = match self.of_path(&asked.path) {
            Some((template, item)) if !item[method].is_null() => (template.as_str(), &item[method]),
            // Whatever is not there is refused in the same shape.
            _ => ("", &Value::Null),
        };
        if template.is_empty() {
            let known = (400..500).contains(&status);
            return if known {
                // What is blast-api's is refused in its words.
                let blast = ["/api/v1/shouts", "/api/v1/calls", "/api/v1/dnc"].iter().any(|own| asked.path.starts_with(own));
                let shape = if blast { "BlastDetail" } else { "Problem" };
                self.of_body(&place(&["components", "schemas", shape]), asked, body)
            } else {
                vec!["it is not described at all".to_owned()]
            };
        }
        if asked.method == "head" && status == 405 {
            // Where GET does something, a look is refused.
            return Vec::new();
        }
        let responses = &operation["responses"];
        let exact = status.to_string();
        let key = if responses[&exact].is_null() && status >= 500 { "default" } else { &exact };
        let response = &responses[key];
        if response.is_null() {
            return vec!["this status is not described".to_owned()];
        }
        let mut faults = header_faults(response, headers);
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        match response["content"].as_object() {
            None if !body.is_empty() => faults.push("no body is described".to_owned()),
            None => {}
            Some(kinds) if !kinds.contains_key(kind) => {
                faults.push(format!("the content is described as {:?}, not {kind:?}", kinds.keys()));
            }
            Some(_) if asked.method == "head" => {}
            Some(kinds) if kinds[kind]["schema"].is_null() => {}
            // A file, which is no JSON.
            Some(kinds) if !kind.ends_with("json") && kinds[kind]["schema"]["type"] == "string" => {}
            Some(_) => {
                let schema = place(&["paths", template, method, "responses", key, "content", kind, "schema"]);
                faults.extend(self.of_body(&schema, asked, body));
            }
        }
        if (200..300).contains(&status) && !SENT_AS_IT_IS.iter().any(|(start, _)| template.starts_with(start)) {
            faults.extend(self.faults_of_request(template, operation, asked));
        }
        faults
    }

    /// What of a request that was taken is not described.
    fn faults_of_request(&self, template: &str, operation: &Value, asked: &Asked) -> Vec<String> {
        let described: Vec<&str> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| one["in"] == "query")
            .filter_map(|one| one["name"].as_str())
            .collect();
        let unknown = asked.query.iter().filter(|name| *name != "key" && !described.contains(&name.as_str()));
        let mut faults: Vec<String> =
            unknown.map(|name| format!("the parameter {name} was taken and is not described")).collect();
        let wanted = &operation["requestBody"];
        if matches!(asked.method.as_str(), "get" | "head" | "delete") {
            // There a body means nothing.
            return faults;
        }
        let Ok(mut sent) = serde_json::from_slice::<Value>(&asked.body) else {
            if asked.body.is_empty() && wanted["required"] == true {
                faults.push("a body is said to be required".to_owned());
            }
            // Anything else that was taken was put right first, or is a file.
            return faults;
        };
        let kind = if asked.method == "patch" { "application/merge-patch+json" } else { "application/json" };
        if wanted["content"].is_null() && sent.as_object().is_none_or(|members| !members.is_empty()) {
            faults.push("a body was taken and none is described".to_owned());
        }
        if let (Some(members), Some(place)) = (sent.as_object_mut(), wanted["content"][kind]["schema"]["$ref"].as_str()) {
            // What is null was never there, whatever it is called.
            let known = self.document.pointer(&format!("{}/properties", place.trim_start_matches('#'))).unwrap_or(&Value::Null);
            members.retain(|name, member| !member.is_null() || !known[name.as_str()].is_null());
        }
        if !wanted["content"][kind]["schema"].is_null() {
            let schema = place(&["paths", template, &asked.method, "requestBody", "content", kind, "schema"]);
            let sent = self.by_names_of_now(&wanted["content"][kind]["schema"], sent);
            faults.extend(self.validate(&schema, &sent).into_iter().map(|fault| format!("what was taken: {fault}")));
        }
        faults
    }

    /// What was sent under names of before, which are read and not described: under those of now.
    fn by_names_of_now(&self, schema: &Value, value: Value) -> Value {
        let schema = match schema["$ref"].as_str() {
            Some(place) => self.document.pointer(place.trim_start_matches('#')).unwrap_or(&Value::Null),
            None => schema,
        };
        let parts = ["oneOf", "anyOf"].iter().filter_map(|word| schema[*word].as_array()).flatten();
        match parts.fold(value, |value, part| self.by_names_of_now(part, value)) {
            Value::Array(all) if schema["items"].is_object() => {
                all.into_iter().map(|one| self.by_names_of_now(&schema["items"], one)).collect()
            }
            Value::Object(members) => {
                let now = |name: String| schema["x-old-names"][&name].as_str().map(str::to_owned).unwrap_or(name);
                let members = members.into_iter().map(|(name, member)| {
                    let name = now(name);
                    let member = self.by_names_of_now(&schema["properties"][&name], member);
                    (name, member)
                });
                Value::Object(members.collect())
            }
            other => other,
        }
    }

    fn of_body(&self, schema: &str, asked: &Asked, body: &[u8]) -> Vec<String> {
        if asked.method == "head" {
            return Vec::new();
        }
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => {
                let mut faults = self.validate(schema, &value);
                words(&value, "", &mut faults);
                faults
            }
            Err(error) => vec![format!("the body is not JSON: {error}")],
        }
    }

    /// What is wrong with a value by the schema at a place of the description.
    fn validate(&self, place: &str, value: &Value) -> Vec<String> {
        let Some(schema) = self.places.get(place) else { return vec![format!("there is no schema at {place}")] };
        self.schemas.validate(value, *schema).err().map(|fault| format!("{fault:#}")).into_iter().collect()
    }

    /// The operations at a path; fixed words go before places.
    fn of_path(&self, path: &str) -> Option<(&String, &Value)> {
        let fits = |template: &str| {
            let (own, given): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
            let fits = |(own, given): (&&str, &&str)| match own.strip_prefix('{') {
                // What stands behind the place is written there, too.
                Some(place) => given.replace("%3B", ";").ends_with(place.split_once('}').map_or("", |(_, behind)| behind)),
                None => own == given,
            };
            own.len() == given.len() && own.iter().zip(&given).all(fits)
        };
        let all = self.document["paths"].as_object()?.iter().filter(|(template, _)| fits(template));
        all.min_by_key(|(template, _)| (template.matches('{').count(), template.ends_with('}')))
    }
}

/// Texts of people, which may be empty; and what blast-api has so. Anything else that is not there is null.
const MAY_BE_EMPTY: [&str; 11] =
    ["details", "name", "note", "of", "reason", "source", "summary", "text", "RecordingUrl", "caller", "sid"];
/// What says which of a few something is.
const FIXED_WORDS: [&str; 10] = ["action", "effect", "kind", "known", "mode", "outcome", "state", "verdict", "via", "why"];

/// Notes empty texts that stand for nothing, and fixed words that were not made for the wire.
fn words(value: &Value, name: &str, faults: &mut Vec<String>) {
    match value {
        Value::Object(members) if !matches!(name, "body" | "labels" | "pointers") => {
            members.iter().for_each(|(name, member)| words(member, name, faults));
        }
        Value::Array(all) => all.iter().for_each(|one| words(one, name, faults)),
        Value::String(text) if text.is_empty() && !MAY_BE_EMPTY.contains(&name) => {
            faults.push(format!("{name} is an empty text: null means that there is none"));
        }
        // Those of people and a few others are called so too.
        Value::String(text) if FIXED_WORDS.contains(&name) && !is_word(text) => {
            faults.push(format!("{name} is {text:?}, which is no word in snake_case"));
        }
        _ => {}
    }
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Headers that are promised and missing, wrong, or there and not described.
fn header_faults(response: &Value, headers: &HeaderMap) -> Vec<String> {
    let none = serde_json::Map::new();
    let described = response["headers"].as_object().unwrap_or(&none);
    let mut faults = Vec::new();
    for (name, header) in described {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        match value {
            None if header["required"] == true => faults.push(format!("the header {name} is missing")),
            Some(value) if header["schema"]["type"] == "integer" && value.parse::<u64>().is_err() => {
                faults.push(format!("the header {name} is {value:?}, which is no number"));
            }
            _ => {}
        }
    }
    let undescribed = headers
        .keys()
        .filter(|name| !OF_HTTP.contains(&name.as_str()) && !described.keys().any(|own| own.eq_ignore_ascii_case(name.as_str())));
    faults.extend(undescribed.map(|name| format!("the header {name} is not described")));
    faults
}
