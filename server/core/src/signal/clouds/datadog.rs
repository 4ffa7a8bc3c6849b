//! Datadog, by its Webhooks integration: what is sent is the user's own template, so that we hand one out.
//!
//! A variable that has no value stays as it is written, `$ALERT_PRIORITY`, or is empty.

use std::collections::BTreeMap;

use crate::alarm::Priority;
use crate::signal::said::{Message, Said, split, tags};
use crate::signal::{Reader, Signal, Unreadable, Word, priority};

/// How it is read.
pub const READER: Reader = Reader::of("datadog", read);

/// What a variable became; `None` where it became nothing.
fn value(said: Said<'_>, name: &str) -> Option<String> {
    said.text(name).filter(|text| text != "null" && !is_variable(text))
}

fn is_variable(text: &str) -> bool {
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.strip_prefix('$').is_some_and(|name| name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(is_name))
}

fn read(message: &Message) -> Result<Vec<Signal>, Unreadable> {
    let said = message.said();
    if said.get("transition").is_none() {
        let why = "this is not our payload: in Datadog, Integrations, Webhooks, put into the field Payload what this server \
                   hands out (Connect, Datadog)";
        return Err(Unreadable::new("transition", why));
    }
    let (title, body) = (value(said, "title"), value(said, "body"));
    let transition = value(said, "transition").unwrap_or_default().to_lowercase();
    let own_priority = value(said, "priority").and_then(|word| priority(&word));
    let (mut word, priority) = match transition.strip_prefix("re-").unwrap_or(&transition) {
        "triggered" | "no data" | "renotify" => (Word::Firing, own_priority),
        "warn" => (Word::Firing, Some(Priority::Normal)),
        text if text.starts_with("recovered") => (Word::Resolved, own_priority),
        _ => (Word::Ignored("no monitor of Datadog has begun or ceased to alert"), own_priority),
    };
    let (id, scope) = (value(said, "id"), value(said, "scope"));
    let listed = [scope.clone(), value(said, "tags")];
    let each: Vec<String> = listed.iter().flatten().flat_map(|text| split(text)).collect();
    let mut labels: BTreeMap<String, String> = tags(each.iter().map(String::as_str));
    labels.extend(id.clone().map(|id| ("monitor".to_owned(), id)));
    let mut key = value(said, "cycle").or_else(|| match (&id, &scope) {
        (Some(id), Some(scope)) => Some(format!("{id}/{scope}")),
        // An alert that is not split by tags has no scope.
        (id, _) => id.clone(),
    });
    if is_test(title.as_deref(), body.as_deref()) {
        // It says nothing of the alert that the monitor may have just now.
        (word, key) = (Word::Test, None);
    }
    Ok(vec![Signal {
        word,
        key: key.map(|key| format!("datadog/{key}")),
        priority,
        summary: title
            .unwrap_or_else(|| id.map_or_else(|| "an alert of Datadog".to_owned(), |id| format!("monitor {id} of Datadog"))),
        details: body.unwrap_or_default(),
        labels,
        link: value(said, "link"),
        whom: Vec::new(),
        at: None,
        holds_until: None,
    }])
}

/// *Test Notifications* of a monitor marks its title, and adds a sentence to its text. One of the two may be the user's own.
fn is_test(title: Option<&str>, body: Option<&str>) -> bool {
    title.is_some_and(|title| title.to_uppercase().contains("[TEST]"))
        && body.is_some_and(|body| body.contains("Test notification triggered by"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::signal::odd::{sound, spoilt};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn sample(change: Value) -> Value {
        let mut body = json!({
            "id": "1234", "cycle": "17389", "transition": "Triggered", "title": "[Triggered] CPU of db1", "body": "over 90 %",
            "priority": "P2", "scope": "host:db1,role:db", "link": "https://app.datadoghq.com/monitors/1234",
            "tags": "monitor,team:db"
        });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    }

    fn read_one(change: Value) -> Signal {
        let mut signals = read(&Message { body: sample(change), ..Message::default() }).unwrap();
        assert_eq!(signals.len(), 1);
        signals.remove(0)
    }

    #[test]
    fn an_alert_by_our_template() {
        let signal = read_one(json!({}));
        assert_eq!((signal.word, signal.key.as_deref()), (Word::Firing, Some("datadog/17389")));
        assert_eq!((signal.summary.as_str(), signal.details.as_str()), ("[Triggered] CPU of db1", "over 90 %"));
        assert_eq!(
            (signal.priority, signal.link.as_deref()),
            (Some(Priority::High), Some("https://app.datadoghq.com/monitors/1234"))
        );
        let labels = ["host", "role", "team", "monitor"].map(|name| signal.labels[name].clone());
        assert_eq!(labels, ["db1", "db", "db", "1234"]);
    }

    #[test]
    fn what_a_transition_means() {
        for text in ["Triggered", "Re-Triggered", "No Data", "Re-No Data", "Renotify"] {
            let signal = read_one(json!({ "transition": text }));
            assert_eq!((signal.word, signal.priority), (Word::Firing, Some(Priority::High)), "{text}");
        }
        for text in ["Warn", "Re-Warn"] {
            let signal = read_one(json!({ "transition": text }));
            assert_eq!(
                (signal.word, signal.priority),
                (Word::Firing, Some(Priority::Normal)),
                "{text}: whatever the monitor's own"
            );
        }
        for text in ["Recovered", "recovered", "Recovered (No Data)"] {
            assert_eq!(read_one(json!({ "transition": text })).word, Word::Resolved, "{text}");
        }
        for text in ["$ALERT_TRANSITION", "null", "", "Muted"] {
            assert!(matches!(read_one(json!({ "transition": text })).word, Word::Ignored(_)), "{text}");
        }
    }

    #[test]
    fn a_key_is_the_cycle_or_the_monitor_with_its_scope() {
        let key = |change: Value| read_one(change).key;
        assert_eq!(key(json!({ "cycle": "$ALERT_CYCLE_KEY" })).as_deref(), Some("datadog/1234/host:db1,role:db"));
        assert_eq!(key(json!({ "cycle": "", "scope": "" })).as_deref(), Some("datadog/1234"));
        assert_eq!(key(json!({ "cycle": null, "id": "$ALERT_ID" })), None);
    }

    #[test]
    fn a_variable_without_a_value_is_missing() {
        let signal = read_one(json!({
            "title": "$EVENT_TITLE", "body": "$TEXT_ONLY_MSG", "priority": "$ALERT_PRIORITY", "scope": "$ALERT_SCOPE",
            "link": "$LINK", "tags": "$TAGS"
        }));
        assert_eq!((signal.summary.as_str(), signal.details.as_str()), ("monitor 1234 of Datadog", ""));
        assert_eq!((signal.priority, signal.link), (None, None));
        assert_eq!(signal.labels.into_iter().collect::<Vec<_>>(), [("monitor".to_owned(), "1234".to_owned())]);
        assert_eq!(read_one(json!({ "priority": "" })).priority, None);
        assert_eq!(read_one(json!({ "title": "$5 is left" })).summary, "$5 is left", "not each dollar is a variable");
        assert_eq!(read_one(json!({ "title": null, "id": null })).summary, "an alert of Datadog");
    }

    #[test]
    fn its_test_button_rings_nobody() {
        let body = "over 90 %\n\nTest notification triggered by li@example.com.";
        for transition in ["Triggered", "Recovered"] {
            let signal = read_one(json!({ "title": "[TEST] [Triggered] CPU", "body": body, "transition": transition }));
            assert_eq!((signal.word, signal.key, signal.summary.as_str()), (Word::Test, None, "[TEST] [Triggered] CPU"));
        }
        assert_eq!(
            read_one(json!({ "title": "[TEST] CPU of the test system" })).word,
            Word::Firing,
            "a monitor may be called so"
        );
        assert_eq!(read_one(json!({ "body": body })).word, Word::Firing);
    }

    #[test]
    fn another_payload_is_refused() {
        let body = json!({ "id": "1", "event_type": "query_alert_monitor", "title": "CPU", "body": "x" });
        let refused = read(&Message { body, ..Message::default() }).unwrap_err();
        assert!(refused.field == "transition" && refused.why.contains("Payload"), "{refused}");
    }

    proptest! {
        #[test]
        fn no_message_is_too_odd(body in spoilt(sample(json!({})))) {
            sound(&READER, body)?;
        }
    }
}
