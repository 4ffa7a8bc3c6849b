//! Alarms from Prometheus Alertmanager: its webhook, version 4.
//!
//! <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>: Alertmanager sends one message for each group of
//! alerts, again after `repeat_interval` and whenever the group changes, and once more when all of it is resolved. It sends a
//! message again when the answer is 5xx, and gives up on 4xx.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::alarm_request;
use crate::alarm::{Mode, Priority, Until};
use crate::app::App;
use crate::config::Config;
use crate::engine::{EngineError, NamedBy, RaiseRequest};
use crate::http::json;
use crate::http::problem::Problem;
use crate::http::senders::Sender;
use crate::numbers::Number;

/// A label or annotation of this name says whom to ring.
const PHONES: &str = "phones";
const LONGEST_SUMMARY: usize = 300;
const LONGEST_DETAILS: usize = 10_000;
const LONGEST_LABEL: usize = 1_000;
const MOST_LABELS: usize = 60;
/// A longer group key is replaced by its hash.
const LONGEST_KEY: usize = 400;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    version: String,
    group_key: String,
    status: Status,
    #[serde(default)]
    receiver: String,
    #[serde(default)]
    group_labels: BTreeMap<String, String>,
    #[serde(default)]
    common_labels: BTreeMap<String, String>,
    #[serde(default)]
    common_annotations: BTreeMap<String, String>,
    #[serde(default, rename = "externalURL")]
    external_url: String,
    #[serde(default)]
    alerts: Vec<Alert>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Firing,
    Resolved,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    status: Status,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    fingerprint: String,
}

/// What the address of the webhook says.
#[derive(Debug, Default)]
struct Options {
    per_alert: bool,
    phones: Vec<String>,
    mode: Option<Mode>,
}

/// One alarm as the message has it.
#[derive(Debug)]
struct Wanted {
    key: String,
    firing: bool,
    summary: String,
    details: String,
    labels: BTreeMap<String, String>,
    phones: Vec<String>,
    priority: Priority,
}

/// Takes in Alertmanager's webhook: firing raises or counts, resolved ends and stops ringing.
#[utoipa::path(post, path = "/api/v1/intake/alertmanager", tag = "senders",
    params(("per" = Option<String>, Query, description = "group (default) or alert"),
        ("phones" = Option<String>, Query, description = "Whom to ring when the alerts name nobody"),
        ("mode" = Option<String>, Query, description = "sequential (default) or parallel")),
    request_body(content = Object, description = "Alertmanager's message, version 4"),
    responses((status = 200, description = "What became of each alarm"),
        (status = 422, description = "The field at fault is named", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "A key is needed, or it is wrong", body = Problem, content_type = "application/problem+json")))]
pub async fn receive(
    State(app): State<Arc<App>>,
    Extension(sender): Extension<Sender>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    let body = alarm_request::read_body(body, app.config().http.body_limit_bytes).await?;
    let message: Message = alarm_request::read_json(&body)?;
    if message.version != "4" {
        return Err(Problem::invalid("version", "this is the webhook of Alertmanager, version 4"));
    }
    let options = options(&query.unwrap_or_default())?;
    let mut done = Vec::new();
    let mut refused = None;
    for wanted in wanted(&message, &options) {
        let key = wanted.key.clone();
        match take(&app, &sender, &message, &options, wanted).await {
            Ok(taken) => done.push(taken),
            // Alertmanager sends it again, and what was taken in is then a repeat.
            Err(problem) if problem.is_ours() => return Err(problem),
            // It would not: so one alert that cannot be used costs the others nothing.
            Err(problem) => {
                // Why stands in the answer: it may quote a number.
                tracing::warn!(field = problem.field(), "an alert cannot be used");
                done.push(json!({ "key": key, "outcome": "refused", "detail": problem.sentence() }));
                refused.get_or_insert(problem);
            }
        }
    }
    if let Some(problem) = refused.filter(|_| done.iter().all(|one| one["outcome"] == "refused")) {
        return Err(problem);
    }
    Ok(json(StatusCode::OK, json!({ "alarms": done }).to_string()))
}

async fn take(
    app: &App,
    sender: &Sender,
    message: &Message,
    options: &Options,
    wanted: Wanted,
) -> Result<serde_json::Value, Problem> {
    let integration = sender.integration_id();
    if !wanted.firing {
        let resolved = app.engine.resolve_with_key(&integration, &wanted.key).await?;
        return Ok(json!({ "id": resolved.map(|alarm| alarm.id), "outcome": "resolved" }));
    }
    let request = raise_request(app.config(), sender, message, options, wanted, integration)?;
    let raised = app.engine.raise(&request).await.map_err(|error| match error {
        EngineError::NobodyNamed => Problem::invalid(
            PHONES,
            "nobody is named to ring: give the alert a label or annotation `phones`, the webhook ?phones=, its key --phones, a rule for \
             an escalation policy, or set alarms.fallback_phones",
        ),
        other => other.into(),
    })?;
    tracing::info!(alarm.id = %raised.alarm.id, outcome = ?raised.raised_as, "alarm from Alertmanager");
    let outcome = format!("{:?}", raised.raised_as).to_lowercase();
    Ok(json!({ "id": raised.alarm.id, "number": raised.alarm.number.to_string(), "outcome": outcome }))
}

fn raise_request(
    config: &Config,
    sender: &Sender,
    message: &Message,
    options: &Options,
    wanted: Wanted,
    integration_id: String,
) -> Result<RaiseRequest, Problem> {
    let own = sender.key.as_ref().map_or(&[][..], |key| key.phones.as_slice());
    // A number that cannot be dialled is left out: Alertmanager would not send the message again, and the others would sleep on.
    let mut wrong = Vec::new();
    let mut dialable = |phones: &[String]| -> Vec<String> {
        let (good, bad): (Vec<_>, Vec<_>) =
            phones.iter().cloned().partition(|phone| Number::parse(phone, config.default_region).is_ok());
        wrong.extend(bad);
        good
    };
    let named = [
        (NamedBy::Alarm, &wanted.phones[..]),
        (NamedBy::Alarm, &options.phones),
        (NamedBy::Sender, own),
        (NamedBy::Fallback, &config.alarms.fallback_phones),
    ];
    let (named_by, phones) = named
        .into_iter()
        .map(|(by, phones)| (by, dialable(phones)))
        .find(|(_, phones)| !phones.is_empty())
        .unwrap_or((NamedBy::Fallback, Vec::new()));
    let mut phones = phones;
    // Better some of them than nobody.
    let left_out = phones.split_off(phones.len().min(config.alarms.max_phones));
    let callees = if phones.is_empty() { Vec::new() } else { alarm_request::default_callees(&phones, config)? };
    let source = sender.name().unwrap_or("alertmanager").to_owned();
    let mut details = wanted.details;
    if !message.external_url.is_empty() {
        details = format!("{details}\n{}", message.external_url).trim().to_owned();
    }
    if !left_out.is_empty() {
        details =
            format!("{details}\nnot rung, because alarms.max_phones is {}: {}", config.alarms.max_phones, left_out.join(", "));
    }
    if !wrong.is_empty() {
        tracing::warn!(count = wrong.len(), "an alert names numbers that cannot be dialled; they are left out");
        details = format!("{details}\nnot dialable: {}", wrong.join(", "));
    }
    Ok(RaiseRequest {
        integration_id,
        source,
        dedup_key: Some(wanted.key),
        summary: wanted.summary,
        details: clean(&details, LONGEST_DETAILS),
        labels: wanted.labels,
        priority: wanted.priority,
        mode: options.mode.unwrap_or(Mode::Sequential),
        until: Until::First,
        begin_window_s: alarm_request::begin_window(config),
        sender: sender.name().map(str::to_owned),
        callees,
        named_by,
        ..RaiseRequest::default()
    })
}

/// The alarms that a message is about: one for the group, or one for each alert.
fn wanted(message: &Message, options: &Options) -> Vec<Wanted> {
    if !options.per_alert {
        return vec![whole_group(message)];
    }
    message
        .alerts
        .iter()
        .map(|alert| Wanted {
            key: dedup_key(&format!("{}/{}", message.group_key, identity(alert))),
            firing: alert.status == Status::Firing && message.status == Status::Firing,
            summary: summary(&alert.annotations, &alert.labels, 1),
            details: clean(alert.annotations.get("description").map_or("", String::as_str), LONGEST_DETAILS),
            labels: labels(&alert.labels),
            phones: phones(&alert.annotations, &alert.labels),
            priority: priority(&alert.labels),
        })
        .collect()
}

fn whole_group(message: &Message) -> Wanted {
    let firing: Vec<&Alert> = message.alerts.iter().filter(|alert| alert.status == Status::Firing).collect();
    let mut named: BTreeSet<String> = BTreeSet::new();
    let mut numbers = phones(&message.common_annotations, &message.common_labels);
    for alert in &firing {
        // Alerts of one group may name different people: all of them are rung, in the order in which they are named.
        let own = phones(&alert.annotations, &alert.labels);
        numbers.extend(own.into_iter().filter(|number| !number.is_empty()));
    }
    numbers.retain(|number| named.insert(number.clone()));
    let lines: Vec<String> = firing.iter().map(|alert| summary(&alert.annotations, &alert.labels, 1)).collect();
    let common = if message.common_labels.is_empty() { &message.group_labels } else { &message.common_labels };
    let annotations = match firing.as_slice() {
        [only] => &only.annotations,
        _ => &message.common_annotations,
    };
    let mut shown = labels(common);
    if !message.receiver.is_empty() {
        shown.insert("receiver".to_owned(), clean(&message.receiver, LONGEST_LABEL));
    }
    Wanted {
        key: dedup_key(&message.group_key),
        firing: message.status == Status::Firing,
        summary: summary(annotations, common, firing.len()),
        details: clean(&lines.join("\n"), LONGEST_DETAILS),
        labels: shown,
        phones: numbers,
        // A group is as urgent as the most urgent alert in it.
        priority: firing.iter().map(|alert| priority(&alert.labels)).max().unwrap_or_else(|| priority(common)),
    }
}

fn summary(annotations: &BTreeMap<String, String>, labels: &BTreeMap<String, String>, alerts: usize) -> String {
    let said = ["summary", "title", "message", "description"].iter().find_map(|name| annotations.get(*name));
    let text = said.cloned().unwrap_or_else(|| {
        let name = labels.get("alertname").map_or("alert", String::as_str);
        let rest: Vec<String> =
            labels.iter().filter(|(key, _)| key.as_str() != "alertname").map(|(key, value)| format!("{key}={value}")).collect();
        if rest.is_empty() { name.to_owned() } else { format!("{name} ({})", rest.join(", ")) }
    });
    let text = if alerts > 1 { format!("[{alerts}] {text}") } else { text };
    let text = clean(&text, LONGEST_SUMMARY);
    if text.trim().is_empty() { "alert".to_owned() } else { text }
}

fn phones(annotations: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> Vec<String> {
    let named = annotations.get(PHONES).or_else(|| labels.get(PHONES));
    named.map_or_else(Vec::new, |text| split_phones(text))
}

fn split_phones(text: &str) -> Vec<String> {
    text.split([',', ';']).map(|phone| phone.trim().to_owned()).filter(|phone| !phone.is_empty()).collect()
}

/// `severity` or `priority`, in the words that are common.
fn priority(labels: &BTreeMap<String, String>) -> Priority {
    let word = labels.get("priority").or_else(|| labels.get("severity")).map(|word| word.to_ascii_lowercase());
    match word.as_deref() {
        Some("critical" | "page" | "disaster" | "emergency" | "p1") => Priority::Critical,
        Some("high" | "error" | "major" | "p2") => Priority::High,
        Some("low" | "info" | "information" | "none" | "p4" | "p5") => Priority::Low,
        _ => Priority::Normal,
    }
}

fn labels(all: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let kept = all.iter().filter(|(name, _)| !name.is_empty()).take(MOST_LABELS);
    kept.map(|(name, value)| (clean(name, LONGEST_LABEL), clean(value, LONGEST_LABEL))).collect()
}

fn identity(alert: &Alert) -> String {
    if alert.fingerprint.is_empty() { format!("{:?}", alert.labels) } else { alert.fingerprint.clone() }
}

fn dedup_key(group_key: &str) -> String {
    let key = clean(group_key, usize::MAX);
    if key.len() <= LONGEST_KEY { key } else { crate::ids::hex(&Sha256::digest(key.as_bytes())) }
}

/// Text from outside: what cannot be stored or shown is left out, and what is too long is cut. An alert is never refused for it.
fn clean(text: &str, longest: usize) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).take(longest).collect()
}

fn options(query: &str) -> Result<Options, Problem> {
    let mut options = Options::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "per" if value == "alert" => options.per_alert = true,
            "per" if value == "group" => options.per_alert = false,
            "per" => return Err(Problem::invalid("per", "per must be group or alert")),
            PHONES => options.phones = split_phones(&value),
            "mode" if value == "sequential" => options.mode = Some(Mode::Sequential),
            "mode" if value == "parallel" => options.mode = Some(Mode::Parallel),
            "mode" => return Err(Problem::invalid("mode", "mode must be sequential or parallel")),
            "key" => {}
            _ => return Err(Problem::invalid(&*name, format!("the webhook has no option {name:?}"))),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn message(value: serde_json::Value) -> Message {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_group_is_one_alarm() {
        let message = message(json!({
            "version": "4", "groupKey": "{}:{alertname=\"Disk\"}", "status": "firing", "receiver": "team",
            "commonLabels": { "alertname": "Disk", "severity": "critical" }, "commonAnnotations": {},
            "alerts": [
                { "status": "firing", "labels": { "instance": "db1" }, "annotations": { "phones": "18712345678", "summary": "db1 is full" } },
                { "status": "firing", "labels": { "instance": "db2" }, "annotations": { "phones": "18812345678, 18712345678" } },
                { "status": "resolved", "labels": { "instance": "db3" }, "annotations": { "phones": "18912345678" } },
            ],
        }));
        let wanted = wanted(&message, &Options::default());
        assert_eq!(wanted.len(), 1);
        assert_eq!(wanted[0].phones, ["18712345678", "18812345678"], "each once, and only of those that fire");
        assert_eq!(wanted[0].summary, "[2] Disk (severity=critical)");
        assert_eq!(priority(&wanted[0].labels), Priority::Critical);
        let each = super::wanted(&message, &Options { per_alert: true, ..Options::default() });
        assert_eq!(each.iter().map(|wanted| wanted.firing).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(each[0].summary, "db1 is full");
    }

    proptest::proptest! {
        #[test]
        fn no_message_panics(status in "firing|resolved", text in ".{0,80}", key in ".{0,500}", phones in "[0-9,; +a-z]{0,60}", query in ".{0,60}") {
            let alert = json!({ "status": status, "labels": { text.clone(): text.clone() }, "annotations": { "phones": phones, "summary": text } });
            let message = message(json!({
                "version": "4", "groupKey": key, "status": status, "commonLabels": { "severity": text }, "alerts": [alert.clone(), alert],
            }));
            for per_alert in [false, true] {
                for wanted in wanted(&message, &Options { per_alert, ..Options::default() }) {
                    assert!(!wanted.summary.trim().is_empty());
                    assert!(!wanted.summary.contains('\0') && !wanted.key.contains('\0'));
                }
            }
            let _ = options(&query);
        }

        #[test]
        fn no_body_panics(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = alarm_request::read_json::<Message>(&body);
        }
    }

    #[test]
    fn a_long_group_key_becomes_its_hash() {
        assert_eq!(dedup_key(&"x".repeat(1000)).len(), 64);
        assert_ne!(dedup_key(&"x".repeat(1000)), dedup_key(&"y".repeat(1000)));
    }
}
