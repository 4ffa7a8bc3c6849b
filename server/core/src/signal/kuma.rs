//! Uptime Kuma, by its notification of the type Webhook: as JSON, as a form with one field, or all of it in the address.
//!
//! Expiries of certificates and domains come without a heartbeat, as its test does; their end is never told.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::Value;

use super::said::{Message, Said, lines};
use super::{Reader, Signal, Unreadable, Word, priority};
use crate::alarm::Priority;

/// How it is read.
pub const READER: Reader = Reader { also: &["uptime-kuma"], once_only: true, ..Reader::of("kuma", read) };

/// An object, or a text that holds one.
fn object(value: &Value) -> Option<Cow<'_, Value>> {
    match value {
        Value::Object(_) => Some(Cow::Borrowed(value)),
        Value::String(text) => opened(text),
        _ => None,
    }
}

/// The object in a text.
fn opened(text: &str) -> Option<Cow<'static, Value>> {
    serde_json::from_str(text).ok().filter(Value::is_object).map(Cow::Owned)
}

fn read(message: &Message) -> Result<Vec<Signal>, Unreadable> {
    // A multipart form has all of it as one text.
    let whole = message.body.get("data").and_then(object);
    let body = whole.as_deref().unwrap_or(&message.body);
    let part = |name: &str| body.get(name).and_then(object).or_else(|| opened(message.query.get(name)?));
    let text = Said(body).text("msg").or_else(|| message.in_address("msg"));
    let nothing = Value::Null;
    let monitor = part("monitor");
    let monitor = Said(monitor.as_deref().unwrap_or(&nothing));
    let Some(beat) = part("heartbeat") else {
        let Some(text) = text else {
            let why = "nothing that Uptime Kuma says is there: choose the request body application/json, without a template";
            return Err(Unreadable::new("heartbeat", why));
        };
        if text.ends_with("Testing") {
            return Ok(vec![Signal::of(Word::Test)]);
        }
        return Ok(vec![Signal {
            priority: Some(Priority::Low),
            summary: text,
            labels: labels(monitor),
            link: link(monitor),
            ..Signal::of(Word::Firing)
        }]);
    };
    let beat = Said(&beat);
    let word = match beat.number("status") {
        Some(0) => Word::Firing,
        Some(1) => Word::Resolved,
        Some(_) => Word::Ignored("neither down nor up: it is tried again, or under maintenance"),
        None => {
            return Err(Unreadable::new("heartbeat.status", "it has to be 0 for down or 1 for up: send the heartbeat as it is"));
        }
    };
    let (name, told) = (monitor.text("name"), beat.text("msg"));
    let summary = match (&name, &told) {
        (Some(name), Some(told)) => format!("{name}: {told}"),
        _ => text.clone().or(told).or(name).unwrap_or_else(|| "Uptime Kuma".to_owned()),
    };
    Ok(vec![Signal {
        word,
        key: monitor.text("id").or_else(|| beat.text("monitorID")).map(|id| format!("kuma/{id}")),
        priority: Some(urgency(monitor)),
        details: lines([monitor.text("description"), text.filter(|text| *text != summary)]),
        summary,
        labels: labels(monitor),
        link: link(monitor),
        whom: Vec::new(),
        // It is UTC, though it names no zone; the time of the place stands beside it.
        at: beat.instant("time", TimeDelta::zero()),
        holds_until: None,
    }])
}

/// The names and values of a monitor's tags.
fn tags(monitor: Said<'_>) -> impl Iterator<Item = (String, String)> {
    monitor.list("tags").filter_map(|tag| Some((tag.text("name")?, tag.text("value").unwrap_or_default())))
}

fn labels(monitor: Said<'_>) -> BTreeMap<String, String> {
    let own = [("monitor", "name"), ("host", "hostname")];
    let own = own.into_iter().filter_map(|(label, name)| Some((label.to_owned(), monitor.text(name)?)));
    tags(monitor).chain(own).collect()
}

/// What a tag says, where there is one for it: Uptime Kuma knows only down and up.
fn urgency(monitor: Said<'_>) -> Priority {
    let mut each = tags(monitor).filter(|(name, _)| name.eq_ignore_ascii_case("priority"));
    each.find_map(|(_, value)| priority(&value)).unwrap_or(Priority::High)
}

/// The page that is watched. A monitor of another kind has an address without a host.
fn link(monitor: Said<'_>) -> Option<String> {
    monitor
        .text("url")
        .filter(|url| ["https://", "http://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::signal::odd;
    use proptest::prelude::*;
    use serde_json::json;

    /// A message of a monitor that is down, with other members in its heartbeat and its monitor.
    fn down(beat: Value, monitor: Value) -> Value {
        let mut body = json!({
            "heartbeat": { "monitorID": 7, "status": 0, "time": "2026-11-28 03:00:00.000", "msg": "timeout", "ping": null,
                           "important": true, "duration": 60, "timezone": "Asia/Shanghai",
                           "localDateTime": "2026-11-28 11:00:00" },
            "monitor": { "id": 7, "name": "shop", "url": "https://shop.example", "hostname": null, "port": null, "type": "http",
                         "tags": [{ "name": "team", "value": "web" }] },
            "msg": "[shop] [🔴 Down] timeout"
        });
        for (part, change) in [("heartbeat", beat), ("monitor", monitor)] {
            body[part].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        }
        body
    }

    fn read_body(body: Value) -> Signal {
        let mut signals = read(&Message { body, ..Message::default() }).unwrap();
        assert_eq!(signals.len(), 1);
        signals.remove(0)
    }

    fn plain() -> Signal {
        read_body(down(json!({}), json!({})))
    }

    #[test]
    fn a_monitor_that_is_down_is_all_that_its_heartbeat_says() {
        let signal = plain();
        assert_eq!((signal.word, signal.key.as_deref(), signal.priority), (Word::Firing, Some("kuma/7"), Some(Priority::High)));
        assert_eq!((signal.summary.as_str(), signal.details.as_str()), ("shop: timeout", "[shop] [🔴 Down] timeout"));
        assert_eq!((signal.labels["team"].as_str(), signal.labels["monitor"].as_str(), signal.labels.len()), ("web", "shop", 2));
        assert_eq!(signal.link.as_deref(), Some("https://shop.example"));
        assert_eq!(signal.at.unwrap().to_rfc3339(), "2026-11-28T03:00:00+00:00", "its clock is that of UTC");
    }

    #[test]
    fn what_a_status_means() {
        let word = |status: Value| read_body(down(json!({ "status": status }), json!({}))).word;
        assert_eq!([word(json!(0)), word(json!("0")), word(json!(1))], [Word::Firing, Word::Firing, Word::Resolved]);
        for status in [2, 3, 4] {
            assert!(matches!(word(json!(status)), Word::Ignored(_)), "{status}");
        }
        let body = down(json!({ "status": null }), json!({}));
        assert_eq!(read(&Message { body, ..Message::default() }).unwrap_err().field, "heartbeat.status");
        let up = read_body(down(json!({ "status": 1, "msg": "200 - OK" }), json!({})));
        assert_eq!(up.key, plain().key);
    }

    #[test]
    fn its_test_has_no_heartbeat() {
        let body = json!({ "heartbeat": null, "monitor": null, "msg": "My notification Testing" });
        assert_eq!(read_body(body).word, Word::Test);
        let beat = read_body(down(json!({ "msg": "Testing" }), json!({})));
        assert_eq!(beat.word, Word::Firing, "a heartbeat is no test, whatever it says");
    }

    #[test]
    fn what_expires_has_no_heartbeat_either_and_is_not_urgent() {
        for text in ["[shop][https://shop.example] server certificate shop.example will expire in 14 days", "Testing fails"] {
            let signal = read_body(json!({ "heartbeat": null, "monitor": null, "msg": text }));
            assert_eq!((signal.word, signal.key, signal.priority), (Word::Firing, None, Some(Priority::Low)));
            assert_eq!((signal.summary.as_str(), signal.at), (text, None));
        }
    }

    #[test]
    fn a_tag_says_how_urgent_it_is() {
        let urgency = |tags: Value| read_body(down(json!({}), json!({ "tags": tags }))).priority;
        assert_eq!(urgency(json!([{ "name": "priority", "value": "low" }])), Some(Priority::Low));
        assert_eq!(
            urgency(json!([{ "name": "a", "value": "low" }, { "name": "Priority", "value": "Critical" }])),
            Some(Priority::Critical)
        );
        assert_eq!(urgency(json!([{ "name": "priority", "value": "violet" }])), Some(Priority::High));
        assert_eq!(urgency(json!(null)), Some(Priority::High));
        let bare = read_body(down(json!({}), json!({ "tags": [{ "name": "prod", "value": "" }, { "value": "x" }] })));
        assert_eq!((bare.labels["prod"].as_str(), bare.labels.len()), ("", 2));
    }

    #[test]
    fn a_form_has_all_in_one_field() {
        let body = json!({ "data": down(json!({}), json!({})).to_string() });
        assert_eq!(read_body(body), plain());
        let test = json!({ "data": json!({ "heartbeat": null, "monitor": null, "msg": "x Testing" }).to_string() });
        assert_eq!(read_body(test).word, Word::Test);
    }

    #[test]
    fn a_form_may_have_a_field_for_each_part() {
        let body = down(json!({}), json!({}));
        let texts =
            json!({ "heartbeat": body["heartbeat"].to_string(), "monitor": body["monitor"].to_string(), "msg": body["msg"] });
        assert_eq!(read_body(texts), plain());
    }

    #[test]
    fn all_of_it_may_stand_in_the_address() {
        let body = down(json!({}), json!({}));
        let query = [("heartbeat", body["heartbeat"].to_string()), ("monitor", body["monitor"].to_string())];
        let query = query.into_iter().chain([("msg", "[shop] [🔴 Down] timeout".to_owned())]);
        let query: BTreeMap<String, String> = query.map(|(name, text)| (name.to_owned(), text)).collect();
        for body in [json!(null), json!({})] {
            assert_eq!(read(&Message { body, query: query.clone(), ..Message::default() }).unwrap(), [plain()]);
        }
        let query = [("msg".to_owned(), "My notification Testing ".to_owned())].into();
        assert_eq!(read(&Message { query, ..Message::default() }).unwrap().remove(0).word, Word::Test);
    }

    #[test]
    fn what_it_does_not_say_is_found_beside_it() {
        let mut body = down(json!({}), json!({}));
        body["monitor"] = json!(null);
        let signal = read_body(body);
        assert_eq!((signal.key.as_deref(), signal.summary.as_str()), (Some("kuma/7"), "[shop] [🔴 Down] timeout"));
        assert_eq!((signal.details.as_str(), signal.link, signal.priority), ("", None, Some(Priority::High)));
        assert_eq!(read_body(json!({ "heartbeat": { "status": 0, "msg": "timeout" } })).summary, "timeout");
        assert_eq!(read_body(json!({ "heartbeat": { "status": 0 }, "monitor": { "name": "shop" } })).summary, "shop");
        assert_eq!(read_body(json!({ "heartbeat": { "status": 0 } })).summary, "Uptime Kuma");
        let ping = read_body(down(json!({}), json!({ "url": "https://", "hostname": "10.0.0.7", "description": "the till" })));
        assert_eq!((ping.link, ping.labels["host"].as_str()), (None, "10.0.0.7"));
        assert_eq!(ping.details, "the till\n[shop] [🔴 Down] timeout");
    }

    #[test]
    fn what_says_nothing_is_refused_with_what_to_do() {
        let bodies =
            [json!({}), json!(null), json!([]), json!({ "data": "no JSON" }), json!({ "heartbeat": "undefined", "msg": " " })];
        for body in bodies {
            let error = read(&Message { body, ..Message::default() }).unwrap_err();
            assert!(error.field == "heartbeat" && error.why.contains("application/json"), "{error}");
        }
    }

    const NAMES: &[&str] =
        &["data", "heartbeat", "monitor", "msg", "status", "time", "tags", "name", "value", "id", "url", "hostname"];

    proptest! {
        #[test]
        fn no_value_is_too_odd(body in odd::value(NAMES, &[]), beat in odd::value(NAMES, &[]), monitor in odd::value(NAMES, &[]), text in ".*") {
            let query = [("heartbeat".to_owned(), beat.to_string()), ("msg".to_owned(), text)].into();
            let _ = read(&Message { body: json!({ "monitor": &monitor }), query, ..Message::default() });
            let _ = read(&Message { body: json!({ "heartbeat": beat, "monitor": monitor }), ..Message::default() });
            let _ = read(&Message { body, ..Message::default() });
        }
    }
}
