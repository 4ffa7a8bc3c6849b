//! What monitoring systems say, read the same for all of them: names and texts, whom to ring, how urgent it is, and what of a text can be
//! kept. Nothing is refused for its form here; pure.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, Utc};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::alarm::Priority;
use crate::http::wash;
use crate::visible;

/// A label or annotation of this name says whom to ring.
pub(super) const PHONES: &str = "phones";
/// In characters.
pub(super) const LONGEST_SUMMARY: usize = 300;
/// In characters.
pub(super) const LONGEST_LABEL: usize = 1_000;
/// Labels of one alarm that are kept.
pub(super) const MOST_LABELS: usize = 60;
/// A longer key is replaced by its hash.
pub(super) const LONGEST_KEY: usize = 400;

/// A text, whatever it is: how its sender writes it is no reason to leave people asleep.
pub(super) fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Option::<Value>::deserialize(deserializer)? {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(other) => Some(other.to_string()),
    })
}

/// A whole number, however it is written; none where it is no number.
pub(super) fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(Option::<Value>::deserialize(deserializer)?.and_then(|value| match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let whole = number.as_f64()?.trunc().clamp(-1e15, 1e15);
            format!("{whole:.0}").parse().ok()
        }),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }))
}

/// Names and texts, whatever they are: what is null is absent, and what is no text is written as one.
pub(super) fn texts<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let all = Option::<BTreeMap<String, Value>>::deserialize(deserializer)?.unwrap_or_default();
    let text = |value: Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    };
    Ok(all.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect())
}

/// An instant as it is told; year 1 stands for none.
pub(super) fn instant(text: Option<&str>) -> Option<DateTime<Utc>> {
    let at = DateTime::parse_from_rfc3339(text?).ok()?.to_utc();
    (at.timestamp() > 0).then(|| at.trunc_subsecs(6))
}

/// What annotations say; what is blank says nothing.
pub(super) fn said(annotations: &BTreeMap<String, String>) -> Option<&str> {
    let texts = ["summary", "title", "message", "description"].into_iter().filter_map(|name| annotations.get(name));
    texts.map(|text| visible::shown(text)).find(|text| !text.is_empty())
}

/// What labels are called by.
pub(super) fn named(labels: &BTreeMap<String, String>) -> Option<String> {
    let name = labels.get("alertname").map(|name| visible::shown(name)).filter(|name| !name.is_empty());
    let rest = labels.iter().filter(|(key, _)| !matches!(key.as_str(), "alertname" | PHONES));
    let rest: Vec<String> = rest.map(|(key, value)| format!("{key}={value}")).collect();
    match (name, rest.is_empty()) {
        (None, true) => None,
        (Some(name), true) => Some(name.to_owned()),
        (name, false) => Some(format!("{} ({})", name.unwrap_or("alert"), rest.join(", "))),
    }
}

/// What an alarm of so many alerts is called.
pub(super) fn summary(annotations: &BTreeMap<String, String>, labels: &BTreeMap<String, String>, alerts: usize) -> String {
    let text = said(annotations).map(str::to_owned).or_else(|| named(labels)).unwrap_or_else(|| "alert".to_owned());
    let text = if alerts > 1 { format!("[{alerts}] {text}") } else { text };
    let text = clean(&text, LONGEST_SUMMARY);
    if visible::is_blank(&text) { "alert".to_owned() } else { text }
}

/// Whom annotations or labels name.
pub(super) fn phones(annotations: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> Vec<String> {
    let named = annotations.get(PHONES).or_else(|| labels.get(PHONES));
    named.map_or_else(Vec::new, |text| split_phones(text))
}

/// Numbers with commas or semicolons between.
pub(super) fn split_phones(text: &str) -> Vec<String> {
    text.split([',', ';']).map(|phone| phone.trim().to_owned()).filter(|phone| !phone.is_empty()).collect()
}

/// `severity` or `priority`, in the words that are common.
pub(super) fn priority(labels: &BTreeMap<String, String>) -> Priority {
    let word = labels.get("priority").or_else(|| labels.get("severity")).map(|word| word.to_ascii_lowercase());
    match word.as_deref() {
        Some("critical" | "page" | "disaster" | "emergency" | "p1") => Priority::Critical,
        Some("high" | "error" | "major" | "p2") => Priority::High,
        Some("low" | "info" | "information" | "none" | "p4" | "p5") => Priority::Low,
        _ => Priority::Normal,
    }
}

/// Labels as they are kept.
pub(super) fn labels(all: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let kept = all.iter().filter(|(name, _)| !name.is_empty()).take(MOST_LABELS);
    kept.map(|(name, value)| (clean(name, LONGEST_LABEL), clean(value, LONGEST_LABEL))).collect()
}

/// A key as it is kept.
pub(super) fn dedup_key(key: &str) -> String {
    let key = clean(key, usize::MAX);
    if key.len() <= LONGEST_KEY { key } else { crate::ids::hex(&Sha256::digest(key.as_bytes())) }
}

/// Text from outside: what cannot be stored or shown is left out, and what is too long is cut. An alert is never refused for it.
pub(super) fn clean(text: &str, longest: usize) -> String {
    wash::printable(text).0.chars().filter(|c| *c != '\r').take(longest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_key_becomes_its_hash() {
        assert_eq!(dedup_key(&"x".repeat(1000)).len(), 64);
        assert_ne!(dedup_key(&"x".repeat(1000)), dedup_key(&"y".repeat(1000)));
    }
}
