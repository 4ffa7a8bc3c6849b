//! Graylog, by its HTTP notifications: events of its definitions, which never say that they are over.

use chrono::TimeDelta;

use crate::alarm::Priority;
use crate::signal::said::{Message, Said, lines};
use crate::signal::{Reader, Signal, Unreadable, Word};

/// How it is read.
pub const READER: Reader = Reader::of("graylog", read);

/// How many of the messages that led to an event are repeated.
const MESSAGES: usize = 5;

fn read(message: &Message) -> Result<Vec<Signal>, Unreadable> {
    let said = message.said();
    let Some(event) = said.get("event").filter(|event| event.0.is_object()) else {
        let why = "this is not an HTTP notification of Graylog: there add a notification of that type with this address, and \
                   name it in the event definition";
        return Err(Unreadable::new("event", why));
    };
    let is = |said: Option<String>, word: &str| said.is_some_and(|text| text == word);
    let is_test = is(said.text("event_definition_id"), "this-is-a-test-notification")
        || is(event.text("event_definition_type"), "notification-test-v1");
    let definition = said.text("event_definition_id").or_else(|| event.text("event_definition_id"));
    let key = event.text("key");
    let (title, told) = (said.text("event_definition_title"), event.text("message"));
    let backlog: Vec<String> = said.list("backlog").filter_map(|each| each.text("message")).take(MESSAGES).collect();
    let own = [("definition", title.clone()), ("key", key.clone()), ("source", event.text("source"))];
    let own = own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let texts = |name: &str| event.get(name).map(Said::texts).unwrap_or_default();
    let summary = title.or_else(|| told.clone()).unwrap_or_else(|| "an event of Graylog".to_owned());
    Ok(vec![Signal {
        word: if is_test { Word::Test } else { Word::Firing },
        // Without a key each event of a definition is about the same.
        key: definition
            .filter(|_| !is_test)
            .map(|id| key.map_or_else(|| format!("graylog/{id}"), |key| format!("graylog/{id}/{key}"))),
        priority: event.number("priority").and_then(priority),
        details: lines([
            told.filter(|told| *told != summary),
            said.text("event_definition_description"),
            (!backlog.is_empty()).then(|| backlog.join("\n")),
        ]),
        summary,
        labels: texts("group_by_fields").into_iter().chain(texts("fields")).chain(own).collect(),
        link: None,
        whom: Vec::new(),
        at: event.instant("timestamp", TimeDelta::zero()),
        holds_until: None,
    }])
}

/// 0 and 4 are of newer versions.
fn priority(number: i64) -> Option<Priority> {
    Some(match number {
        0 | 1 => Priority::Low,
        2 => Priority::Normal,
        3 => Priority::High,
        4 => Priority::Critical,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::signal::odd::{sound, spoilt};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn sample(change: Value) -> Value {
        let mut event = json!({
            "id": "01H", "event_definition_type": "aggregation-v1", "event_definition_id": "d1",
            "timestamp": "2026-11-28T03:00:00.117Z", "timerange_start": null, "message": "Errors of shop: count()=7",
            "source": "graylog1", "key": "db1", "key_tuple": ["db1"], "priority": 3, "alert": true, "fields": { "host": "db1" },
            "group_by_fields": { "team": "db" }
        });
        event.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({
            "event_definition_id": "d1", "event_definition_type": "aggregation-v1", "event_definition_title": "Errors of shop",
            "event_definition_description": "more than 5 in a minute", "job_definition_id": "j", "event": event,
            "backlog": [{ "message": "disk full" }, { "id": "m2", "message": null }, { "message": "disk full again" }]
        })
    }

    fn read_whole(body: Value) -> Result<Signal, Unreadable> {
        let mut signals = read(&Message { body, ..Message::default() })?;
        assert_eq!(signals.len(), 1);
        Ok(signals.remove(0))
    }

    fn read_one(change: Value) -> Signal {
        read_whole(sample(change)).unwrap()
    }

    #[test]
    fn an_event_of_a_definition() {
        let signal = read_one(json!({}));
        assert_eq!((signal.word, signal.key.as_deref()), (Word::Firing, Some("graylog/d1/db1")));
        assert_eq!((signal.summary.as_str(), signal.priority), ("Errors of shop", Some(Priority::High)));
        assert_eq!(signal.details, "Errors of shop: count()=7\nmore than 5 in a minute\ndisk full\ndisk full again");
        let labels = ["host", "team", "source", "definition", "key"].map(|name| signal.labels[name].clone());
        assert_eq!(labels, ["db1", "db", "graylog1", "Errors of shop", "db1"]);
        assert_eq!(signal.at.unwrap().timestamp(), 1_795_834_800);
    }

    #[test]
    fn an_event_without_a_key_is_about_its_definition() {
        for key in [json!(null), json!("")] {
            assert_eq!(read_one(json!({ "key": key })).key.as_deref(), Some("graylog/d1"));
        }
        let mut body = sample(json!({}));
        body["event_definition_id"] = json!(null);
        assert_eq!(read_whole(body).unwrap().key.as_deref(), Some("graylog/d1/db1"), "the event knows its definition, too");
    }

    #[test]
    fn priorities_are_numbers() {
        let found = [0, 1, 2, 3, 4, 9].map(|priority| read_one(json!({ "priority": priority })).priority);
        let low = Some(Priority::Low);
        assert_eq!(found, [low, low, Some(Priority::Normal), Some(Priority::High), Some(Priority::Critical), None]);
        assert_eq!(read_one(json!({ "priority": "2" })).priority, Some(Priority::Normal));
    }

    #[test]
    fn of_many_messages_a_few_are_repeated() {
        let mut body = sample(json!({}));
        body["backlog"] = (0..100).map(|n| json!({ "message": format!("line {n}") })).collect();
        let details = read_whole(body).unwrap().details;
        assert!(details.contains("line 4") && !details.contains("line 5"), "{details}");
    }

    #[test]
    fn an_event_may_say_little() {
        let signal = read_whole(json!({ "event": { "message": "disk full" } })).unwrap();
        assert_eq!((signal.summary.as_str(), signal.details.as_str(), signal.key), ("disk full", "", None));
        assert_eq!(read_whole(json!({ "event": {} })).unwrap().summary, "an event of Graylog");
    }

    #[test]
    fn its_test_rings_nobody() {
        let mut body = sample(json!({}));
        body["event_definition_id"] = json!("this-is-a-test-notification");
        let signal = read_whole(body).unwrap();
        assert_eq!((signal.word, signal.key, signal.summary.as_str()), (Word::Test, None, "Errors of shop"));
        assert_eq!(read_one(json!({ "event_definition_type": "notification-test-v1" })).word, Word::Test);
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let refused = read_whole(json!({ "check_result": {}, "stream": {} })).unwrap_err();
        assert!(refused.field == "event" && refused.why.contains("HTTP notification"), "{refused}");
    }

    proptest! {
        #[test]
        fn no_message_is_too_odd(body in spoilt(sample(json!({})))) {
            sound(&READER, body)?;
        }
    }
}
