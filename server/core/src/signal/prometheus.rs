//! Prometheus, vmalert, Loki's and Mimir's rulers: alerts as they are told to an Alertmanager by its own API.
//!
//! Each comes again at every evaluation, and says until when that holds. An alert that is over comes with an end that has passed.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use sha2::{Digest, Sha256};

use super::clouds::in_order;
use super::said::{Message, Said, lines, split};
use super::{Reader, Signal, Unreadable, Word, priority};
use crate::ids::hex;

/// How it is read.
pub const READER: Reader = Reader { also: &["vmalert"], once_only: true, ..Reader::of("prometheus", read) };

/// What an alert is called by, in this order.
const SAYS: &[&str] = &["summary", "title", "message", "description"];
const PHONES: &str = "phones";

fn read(message: &Message) -> Result<Vec<Signal>, Unreadable> {
    let said = message.said();
    let labels = said.get("labels").map_or_else(BTreeMap::new, Said::texts);
    let annotations = said.get("annotations").map_or_else(BTreeMap::new, Said::texts);
    if labels.is_empty() {
        return Err(Unreadable::new("labels", "an alert is told by its labels: they must be an object, with alertname in it"));
    }
    let text = |name: &str| annotations.get(name).map(|text| text.trim()).filter(|text| !crate::visible::is_blank(text));
    let summary = SAYS.iter().find_map(|name| text(name)).map_or_else(|| called(&labels), str::to_owned);
    let description = text("description").filter(|description| *description != summary);
    let runbook = ["runbook_url", "runbook"].into_iter().find_map(text);
    let named = annotations.get(PHONES).or_else(|| labels.get(PHONES));
    Ok(vec![Signal {
        word: Word::Firing,
        key: Some(format!("alert/{}", fingerprint(&labels))),
        priority: ["priority", "severity"].into_iter().find_map(|name| labels.get(name)).and_then(|word| priority(word)),
        summary,
        details: lines([description.map(str::to_owned), runbook.map(|runbook| format!("runbook: {runbook}"))]),
        link: said.text("generatorURL"),
        whom: named.map_or_else(Vec::new, |text| split(text)),
        at: said.instant("startsAt", TimeDelta::zero()),
        holds_until: said.instant("endsAt", TimeDelta::zero()),
        labels: labels.into_iter().filter(|(name, _)| name != PHONES).collect(),
    }])
}

/// What it is called that says nothing of itself.
fn called(labels: &BTreeMap<String, String>) -> String {
    let name = labels.get("alertname").map(|name| name.trim()).filter(|name| !crate::visible::is_blank(name));
    let rest: BTreeMap<String, String> = labels
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "alertname" | PHONES))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect();
    match (name, rest.is_empty()) {
        (Some(name), true) => name.to_owned(),
        (name, _) => format!("{} ({})", name.unwrap_or("alert"), in_order(&rest)),
    }
}

/// What tells an alert from others: all its labels, as Alertmanager does.
fn fingerprint(labels: &BTreeMap<String, String>) -> String {
    let mut digest = Sha256::new();
    for (name, value) in labels {
        // No character of a text is this one.
        digest.update(name.as_bytes());
        digest.update([0xff]);
        digest.update(value.as_bytes());
        digest.update([0xff]);
    }
    hex(&digest.finalize()[..16])
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::alarm::Priority;
    use crate::signal::odd;
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn alert(change: Value) -> Value {
        let mut body = json!({
            "labels": { "alertname": "DiskFull", "instance": "db1:9100", "severity": "critical" },
            "annotations": { "summary": "Disk of db1 full", "description": "97 % of /var", "phones": "18712345678, Li Na",
                             "runbook_url": "https://wiki.example/disk" },
            "startsAt": "2026-11-29T03:00:00.123Z", "endsAt": "2026-11-29T03:05:00.123Z",
            "generatorURL": "http://prometheus:9090/graph?g0.expr=disk"
        });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    }

    fn read_one(change: Value) -> Signal {
        read(&Message { body: alert(change), ..Message::default() }).unwrap().remove(0)
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn an_alert_is_all_that_it_says() {
        let signal = read_one(json!({}));
        assert_eq!(
            (signal.word, signal.priority, signal.summary.as_str()),
            (Word::Firing, Some(Priority::Critical), "Disk of db1 full")
        );
        assert_eq!(signal.details, "97 % of /var\nrunbook: https://wiki.example/disk");
        assert_eq!(signal.labels["instance"], "db1:9100");
        assert_eq!(signal.link.as_deref(), Some("http://prometheus:9090/graph?g0.expr=disk"));
        assert_eq!(signal.whom, ["18712345678", "Li Na"]);
        assert_eq!((signal.at, signal.holds_until), (Some(at("2026-11-29T03:00:00.123Z")), Some(at("2026-11-29T03:05:00.123Z"))));
    }

    #[test]
    fn without_an_end_it_stays() {
        for none in [json!("0001-01-01T00:00:00Z"), json!(null), json!("soon"), json!("8210266876799999")] {
            assert_eq!(read_one(json!({ "endsAt": none })).holds_until, None);
        }
    }

    #[test]
    fn alerts_are_told_from_each_other_by_all_their_labels() {
        let key = |labels: Value| read_one(json!({ "labels": labels })).key;
        assert_eq!(key(json!({ "a": "1", "b": "2" })), key(json!({ "b": "2", "a": "1" })));
        assert_ne!(key(json!({ "a": "1", "b": "2" })), key(json!({ "a": "1" })));
        assert_ne!(key(json!({ "a": "1b", "c": "2" })), key(json!({ "a": "1", "bc": "2" })));
    }

    #[test]
    fn what_says_nothing_of_itself_is_called_by_its_labels() {
        let summary = |labels: Value| read_one(json!({ "labels": labels, "annotations": null })).summary;
        assert_eq!(summary(json!({ "alertname": "Watchdog" })), "Watchdog");
        assert_eq!(summary(json!({ "alertname": "DiskFull", "b": "2", "a": "1", "phones": "1" })), "DiskFull (a=1,b=2)");
        assert_eq!(summary(json!({ "a": "1" })), "alert (a=1)");
    }

    #[test]
    fn what_has_no_labels_is_no_alert() {
        for body in [json!({}), json!(7), json!({ "labels": [] }), json!({ "message": "x", "labels": {} })] {
            assert_eq!(read(&Message { body, ..Message::default() }).unwrap_err().field, "labels");
        }
    }

    const NAMES: &[&str] =
        &["labels", "annotations", "startsAt", "endsAt", "generatorURL", "phones", "alertname", "severity", "summary"];

    proptest! {
        #[test]
        fn no_value_is_too_odd(body in odd::value(NAMES, &[]), odd in odd::value(NAMES, &[])) {
            let _ = read(&Message { body: alert(json!({ "annotations": &odd, "startsAt": &odd, "endsAt": &odd })), ..Message::default() });
            let _ = read(&Message { body: alert(json!({ "labels": &odd })), ..Message::default() });
            let _ = read(&Message { body, ..Message::default() });
        }
    }
}
