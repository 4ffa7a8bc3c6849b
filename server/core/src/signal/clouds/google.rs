//! Google Cloud Monitoring, by its notification channels of the type Webhook.

use chrono::TimeDelta;

use super::named;
use crate::signal::said::{Message, Said, lines};
use crate::signal::{Reader, Signal, Unreadable, Word, priority};

/// How it is read.
pub const READER: Reader = Reader { also: &["gcp"], ..Reader::of("google", read) };

fn read(message: &Message) -> Result<Vec<Signal>, Unreadable> {
    let said = message.said();
    let is_test = said.text("version").is_some_and(|version| version.eq_ignore_ascii_case("test"));
    let Some(incident) = said.get("incident").filter(|incident| incident.0.is_object()) else {
        if is_test {
            return Ok(vec![Signal::of(Word::Test)]);
        }
        let why = "this is not a notification of Google Cloud Monitoring: there add a notification channel of the type Webhook \
                   with this address, and name it in the alerting policy";
        return Err(Unreadable::new("incident", why));
    };
    let moment = |name: &str| incident.instant(name, TimeDelta::zero());
    let is_over = match incident.text("state") {
        Some(state) => state.eq_ignore_ascii_case("closed"),
        None => moment("ended_at").is_some(),
    };
    let (policy, condition, told) = (incident.text("policy_name"), incident.text("condition_name"), incident.text("summary"));
    let what =
        policy.or_else(|| condition.clone()).or_else(|| told.clone()).unwrap_or_else(|| "an incident of Google Cloud".to_owned());
    // Older versions give the documentation as a text.
    let documentation =
        incident.get("documentation").and_then(|each| if each.0.is_object() { each.text("content") } else { each.as_text() });
    let texts = |path: &[&str]| incident.at(path).map(Said::texts).unwrap_or_default();
    let kind = incident.at(&["resource", "type"]).and_then(Said::as_text).map(|kind| ("resource_type".to_owned(), kind));
    let labels = texts(&["resource", "labels"]).into_iter().chain(texts(&["metric", "labels"])).chain(kind);
    Ok(vec![Signal {
        word: match (is_test, is_over) {
            (true, _) => Word::Test,
            (false, true) => Word::Resolved,
            (false, false) => Word::Firing,
        },
        // The incident of a test always has the same number.
        key: incident.text("incident_id").filter(|_| !is_test).map(|id| format!("google/{id}")),
        priority: incident.text("severity").and_then(|severity| priority(&severity)),
        details: lines([told, condition, documentation].map(|text| text.filter(|text| *text != what))),
        summary: named(incident.first(&["resource_display_name", "resource_name"]), what),
        // What the user has put on the policy counts for more than what a resource happens to have.
        labels: labels.chain(texts(&["policy_user_labels"])).collect(),
        link: incident.text("url"),
        whom: Vec::new(),
        at: if is_over { moment("ended_at") } else { moment("started_at") },
        holds_until: None,
    }])
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::alarm::Priority;
    use crate::signal::odd::{sound, spoilt};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn sample(change: Value) -> Value {
        let mut incident = json!({
            "incident_id": "0.abc", "url": "https://console.cloud.google.com/x", "started_at": 1_795_834_800, "ended_at": null,
            "state": "open", "severity": "Critical", "policy_name": "CPU", "condition_name": "CPU over 90 %",
            "resource_name": "db1", "resource": { "type": "gce_instance", "labels": { "zone": "a", "team": "x" } },
            "metric": { "labels": { "core": "0" } },
            "policy_user_labels": { "team": "db" }, "summary": "CPU of db1 is 97 %", "documentation": { "content": "look at top" }
        });
        incident.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({ "incident": incident, "version": "1.2" })
    }

    fn read_one(change: Value) -> Signal {
        let mut signals = read(&Message { body: sample(change), ..Message::default() }).unwrap();
        assert_eq!(signals.len(), 1);
        signals.remove(0)
    }

    #[test]
    fn an_incident_that_is_open() {
        let signal = read_one(json!({}));
        assert_eq!((signal.word, signal.key.as_deref()), (Word::Firing, Some("google/0.abc")));
        assert_eq!((signal.summary.as_str(), signal.priority), ("db1: CPU", Some(Priority::Critical)));
        assert_eq!(signal.details, "CPU of db1 is 97 %\nCPU over 90 %\nlook at top");
        let labels = ["resource_type", "zone", "core", "team"].map(|name| signal.labels[name].clone());
        assert_eq!(labels, ["gce_instance", "a", "0", "db"], "the policy's own label counts");
        assert_eq!(signal.link.as_deref(), Some("https://console.cloud.google.com/x"));
        assert_eq!(signal.at.unwrap().timestamp(), 1_795_834_800);
    }

    #[test]
    fn an_incident_that_is_closed() {
        let signal = read_one(json!({ "state": "closed", "ended_at": 1_795_835_400 }));
        assert_eq!((signal.word, signal.key.as_deref()), (Word::Resolved, Some("google/0.abc")));
        assert_eq!(signal.at.unwrap().timestamp(), 1_795_835_400);
        assert_eq!(read_one(json!({ "state": "CLOSED" })).word, Word::Resolved);
        assert_eq!(read_one(json!({ "state": null, "ended_at": 1_795_835_400 })).word, Word::Resolved);
        assert_eq!(read_one(json!({ "state": null, "ended_at": 0 })).word, Word::Firing);
    }

    #[test]
    fn what_may_be_missing_or_of_another_form() {
        assert_eq!(read_one(json!({ "severity": null })).priority, None);
        assert_eq!(read_one(json!({ "severity": "No severity" })).priority, None);
        assert_eq!(read_one(json!({ "severity": "Error" })).priority, Some(Priority::High));
        let signal = read_one(json!({ "documentation": "plain text" }));
        assert!(signal.details.ends_with("\nplain text"), "{}", signal.details);
        assert_eq!(read_one(json!({ "policy_name": null, "resource_name": null })).summary, "CPU over 90 %");
        let little = json!({ "policy_name": null, "condition_name": null, "summary": null, "resource_name": null });
        assert_eq!(read_one(little).summary, "an incident of Google Cloud");
        assert_eq!(read_one(json!({ "resource_display_name": "db one" })).summary, "db one: CPU");
    }

    #[test]
    fn a_test_is_said_by_the_version() {
        let body =
            json!({ "version": "test", "incident": { "incident_id": "12345", "summary": "Test Incident", "state": "OPEN" } });
        let signal = read(&Message { body, ..Message::default() }).unwrap().remove(0);
        assert_eq!((signal.word, signal.summary.as_str(), signal.key), (Word::Test, "Test Incident", None));
        let signals = read(&Message { body: json!({ "version": "test" }), ..Message::default() }).unwrap();
        assert_eq!(signals, [Signal::of(Word::Test)]);
    }

    #[test]
    fn what_is_no_incident_is_refused() {
        let refused = read(&Message { body: json!({ "version": "1.2" }), ..Message::default() }).unwrap_err();
        assert!(refused.field == "incident" && refused.why.contains("Webhook"), "{refused}");
    }

    proptest! {
        #[test]
        fn no_message_is_too_odd(body in spoilt(sample(json!({})))) {
            sound(&READER, body)?;
        }
    }
}
