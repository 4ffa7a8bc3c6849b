//! PagerDuty's Events API, versions 2 and 1: what programs send to it, and the answers that they wait for.
//!
//! Some programs show the answers to people, so what is wrong is said in PagerDuty's own words. Where it refuses an event whose
//! meaning is clear, the event is taken all the same: several programs leave out the source or the severity, and their alarms
//! would ring nobody.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::said::Said;
use super::{Signal, Word};
use crate::alarm::Priority;

/// An event of version 2 has no key.
pub const NO_KEY_V2: &str = "'routing_key' is missing or blank";
/// The key in an event of version 2 is none of ours.
pub const WRONG_KEY_V2: &str = "Invalid routing key";
/// An event of version 1 has no key.
pub const NO_KEY_V1: &str = "Service key is missing or blank";
/// The key in an event of version 1 is none of ours.
pub const WRONG_KEY_V1: &str = "Invalid service key";

/// A key with more characters than this is looked up nowhere.
const LONGEST_KEY: usize = 255;

/// Stands for a part that is missing.
static NOTHING: Value = Value::Null;

/// What an event is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Trigger,
    Acknowledge,
    Resolve,
}

/// The key in an event of version 2, or in a change event.
#[must_use]
pub fn key_v2(body: &Value) -> Option<String> {
    key(body, "routing_key")
}

/// The key in an event of version 1.
#[must_use]
pub fn key_v1(body: &Value) -> Option<String> {
    key(body, "service_key")
}

fn key(body: &Value, name: &str) -> Option<String> {
    let key = body.get(name)?.as_str()?.trim();
    (!crate::visible::is_blank(key) && key.chars().count() <= LONGEST_KEY).then(|| key.to_owned())
}

/// An event of version 2, and the key of its alert that is told back; else what is wrong, in the order of the fields. `made_up`
/// is the key of an alert that was given none.
pub fn read_v2(body: &Value, made_up: &str) -> Result<(Signal, String), Vec<String>> {
    let said = Said(body);
    let payload = said.get("payload").unwrap_or(Said(&NOTHING));
    let details = payload.get("custom_details").unwrap_or(Said(&NOTHING));
    let act = act(said.text("event_action"), "'event_action'")?;
    let given = said.text("dedup_key");
    let netdata = Netdata::read(details);
    // Netdata names each change of an alarm anew, so that its end would belong to nothing. The alarm's own number stays.
    let lasting = netdata.as_ref().map(|netdata| format!("{}/{}", payload.text("source").unwrap_or_default(), netdata.alarm));
    let at = netdata.as_ref().map_or_else(|| payload.instant("timestamp", TimeDelta::zero()), |netdata| netdata.at);
    if act != Act::Trigger {
        let told = given.ok_or_else(|| vec![missing("'dedup_key'")])?;
        return Ok((later(act, netdata.as_ref(), None, lasting.unwrap_or_else(|| told.clone()), at), told));
    }
    let urgency = payload.text("severity").map_or(Ok(Priority::High), |word| severity(&word));
    let (summary, urgency) = match (payload.text("summary"), urgency) {
        (Some(summary), Ok(urgency)) => (summary, urgency),
        (summary, urgency) => {
            let missing = summary.is_none().then(|| missing("'payload.summary'"));
            return Err(missing.into_iter().chain(urgency.err()).collect());
        }
    };
    let told = given.unwrap_or_else(|| made_up.to_owned());
    let (key, priority) = match about_no_monitor(&told) {
        // Each warns of another certificate or domain, none is ever over, and the severity is that of a monitor that is down.
        true => (None, Priority::Low),
        false => (Some(lasting.unwrap_or_else(|| told.clone())), urgency),
    };
    let is_test = netdata.is_some_and(|netdata| netdata.is_test) || is_kumas_test(&told, &summary) || is_grafanas_test(details);
    let (link, addresses) = addresses(said.list("links").chain(said.list("images")), said);
    let signal = Signal {
        word: if is_test { Word::Test } else { Word::Firing },
        key,
        priority: Some(priority),
        summary,
        details: text_of(details, addresses),
        labels: labels(payload, said),
        link,
        at,
        ..Signal::default()
    };
    Ok((signal, told))
}

/// An event of version 1, and the key of its incident that is told back; else what is wrong. It says nothing of a severity.
pub fn read_v1(body: &Value, made_up: &str) -> Result<(Signal, String), Vec<String>> {
    let said = Said(body);
    let details = said.get("details").unwrap_or(Said(&NOTHING));
    let act = act(said.text("event_type"), "Event type")?;
    let (given, description) = (said.text("incident_key"), said.text("description"));
    let netdata = Netdata::read(details);
    let at = netdata.as_ref().and_then(|netdata| netdata.at);
    if act != Act::Trigger {
        let told = given.ok_or_else(|| vec![missing("Incident key")])?;
        return Ok((later(act, netdata.as_ref(), description, told.clone(), at), told));
    }
    let summary = description.ok_or_else(|| vec![missing("Description")])?;
    let told = given.unwrap_or_else(|| made_up.to_owned());
    let (link, addresses) = addresses(said.list("contexts"), said);
    let signal = Signal {
        word: if netdata.as_ref().is_some_and(|netdata| netdata.is_test) { Word::Test } else { Word::Firing },
        key: Some(told.clone()),
        priority: netdata.and_then(|netdata| netdata.priority).or(Some(Priority::High)),
        summary,
        details: text_of(details, addresses),
        labels: labels(Said(&NOTHING), said),
        link,
        at,
        ..Signal::default()
    };
    Ok((signal, told))
}

/// A change event: something was deployed or set. It rings nobody, and is a remark where it names an alert.
pub fn read_change(body: &Value) -> Result<Signal, Vec<String>> {
    let said = Said(body);
    let payload = said.get("payload").unwrap_or(Said(&NOTHING));
    let summary = payload.text("summary").ok_or_else(|| vec![missing("'payload.summary'")])?;
    let key = said.text("dedup_key");
    let word = match key {
        Some(_) => Word::Noted { by: None, text: summary.clone() },
        None => Word::Ignored("a change that names no alert rings nobody"),
    };
    let (link, addresses) = addresses(said.list("links").chain(said.list("images")), said);
    Ok(Signal {
        word,
        key,
        summary,
        details: text_of(payload.get("custom_details").unwrap_or(Said(&NOTHING)), addresses),
        labels: labels(payload, said),
        link,
        at: payload.instant("timestamp", TimeDelta::zero()),
        ..Signal::default()
    })
}

/// The answer to an event of version 2 that was taken in: 202. Clients fail without the key.
#[must_use]
pub fn accepted_v2(dedup_key: &str) -> Value {
    json!({ "status": "success", "message": "Event processed", "dedup_key": dedup_key })
}

/// The answer to an event of version 1 that was taken in: 200.
#[must_use]
pub fn accepted_v1(incident_key: &str) -> Value {
    json!({ "status": "success", "message": "Event processed", "incident_key": incident_key })
}

/// The answer to a change event that was taken in: 202.
#[must_use]
pub fn accepted_change() -> Value {
    json!({ "status": "success", "message": "Change event processed" })
}

/// The answer to an event of any version that was refused: 400. Alertmanager and Zabbix show the errors, if they are texts.
#[must_use]
pub fn invalid(errors: &[String]) -> Value {
    json!({ "status": "invalid event", "message": "Event object is invalid", "errors": errors })
}

fn missing(field: &str) -> String {
    format!("{field} is missing or blank")
}

fn act(word: Option<String>, field: &str) -> Result<Act, Vec<String>> {
    let word = word.ok_or_else(|| vec![missing(field)])?;
    match word.to_lowercase().as_str() {
        "trigger" => Ok(Act::Trigger),
        "acknowledge" => Ok(Act::Acknowledge),
        "resolve" => Ok(Act::Resolve),
        _ => Err(vec![format!("{field} is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')")]),
    }
}

fn severity(word: &str) -> Result<Priority, String> {
    match word.to_lowercase().as_str() {
        "critical" => Ok(Priority::Critical),
        "error" => Ok(Priority::High),
        "warning" => Ok(Priority::Normal),
        "info" => Ok(Priority::Low),
        _ => {
            let known = "'critical', 'warning', 'error' or 'info'";
            Err(format!("'payload.severity' is invalid (must be one of the following: {known})"))
        }
    }
}

/// What happens to an alert after it began. Only its key and its time count: some repeat the payload with other words, such as
/// `[RESOLVED] …`, and the words of the beginning are to stay.
fn later(act: Act, netdata: Option<&Netdata>, note: Option<String>, key: String, at: Option<DateTime<Utc>>) -> Signal {
    let word = match act {
        _ if netdata.is_some_and(|netdata| netdata.is_test) => Word::Test,
        Act::Trigger => Word::Firing,
        Act::Acknowledge => Word::Acknowledged { by: None, note },
        Act::Resolve => Word::Resolved,
    };
    Signal { key: Some(key), at, ..Signal::of(word) }
}

/// The details, a line for each, and below them the addresses.
fn text_of(details: Said<'_>, addresses: Vec<String>) -> String {
    let mut lines: Vec<String> = match details.0.is_object() {
        true => details.texts().into_iter().map(|(name, value)| format!("{name}: {value}")).collect(),
        false => details.each().filter_map(Said::as_text).collect(),
    };
    lines.extend(addresses);
    lines.join("\n")
}

/// The first link, and lines for the other links and for the images. The page of the program that sent the event comes last. Some
/// write a bare address instead of an object.
fn addresses<'v>(each: impl Iterator<Item = Said<'v>>, said: Said<'v>) -> (Option<String>, Vec<String>) {
    let (mut link, mut lines) = (None, Vec::new());
    for one in each {
        let name = one.first(&["text", "alt"]);
        let bare = one.0.is_string().then_some(one).and_then(Said::as_text);
        match (one.text("src"), one.text("href").or(bare)) {
            (Some(image), to) => lines.push(named(name, &[Some(image), to].into_iter().flatten().collect::<Vec<_>>().join(" "))),
            (None, Some(to)) if link.is_none() => link = Some(to),
            (None, Some(to)) => lines.push(named(name, &to)),
            (None, None) => {}
        }
    }
    match said.text("client_url") {
        Some(page) if link.is_none() => link = Some(page),
        Some(page) if link.as_ref() != Some(&page) => lines.push(named(said.text("client"), &page)),
        _ => {}
    }
    (link, lines)
}

fn named(name: Option<String>, address: &str) -> String {
    name.map_or_else(|| address.to_owned(), |name| format!("{name}: {address}"))
}

fn labels(payload: Said<'_>, said: Said<'_>) -> BTreeMap<String, String> {
    let own = ["class", "component", "group", "source"].into_iter().map(|name| (name, payload.text(name)));
    let each = own.chain([("client", said.text("client"))]);
    each.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// What Netdata says of its alarm in the details, more than PagerDuty has fields for.
struct Netdata {
    /// The number of the alarm on its host.
    alarm: String,
    /// `alarm-notify.sh test` sends an alarm of its own, as a warning, critical and clear.
    is_test: bool,
    /// The timestamp is in the time of the host and names no zone; this is one in seconds.
    at: Option<DateTime<Utc>>,
    /// Version 1 has no other place for it.
    priority: Option<Priority>,
}

impl Netdata {
    /// `None`: these are the details of another program.
    fn read(details: Said<'_>) -> Option<Self> {
        if !["chart", "status", "old_status"].iter().all(|name| details.get(name).is_some()) {
            return None;
        }
        Some(Self {
            alarm: details.text("alarm_id")?,
            is_test: details.text("name").is_some_and(|name| name == "test_alarm"),
            at: details.instant("when", TimeDelta::zero()),
            priority: details.text("status").and_then(|status| super::priority(&status)),
        })
    }
}

/// Whether Uptime Kuma speaks of none of its monitors: its *Test* button, and certificates and domains that expire soon. Older
/// versions write the second.
fn about_no_monitor(key: &str) -> bool {
    matches!(key, "Uptime Kuma/test" | "Uptime Kuma/undefined")
}

fn is_kumas_test(key: &str, summary: &str) -> bool {
    about_no_monitor(key) && summary.ends_with("Testing")
}

/// Grafana lists the labels of its alerts in the details.
fn is_grafanas_test(details: Said<'_>) -> bool {
    details
        .text("firing")
        .is_some_and(|firing| ["alertname = TestAlert", "instance = Grafana"].iter().all(|label| firing.contains(label)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::signal::odd;
    use proptest::prelude::*;

    const NO_SUMMARY: &str = "'payload.summary' is missing or blank";

    /// An event that begins an alert, with some of it changed.
    fn event(change: Value) -> Value {
        let mut body = json!({
            "routing_key": "R", "event_action": "trigger", "dedup_key": "k1",
            "client": "Zabbix", "client_url": "https://z.example",
            "payload": {
                "summary": "Disk full", "source": "db1", "severity": "critical", "timestamp": "2026-11-28T03:00:00.000+0000",
                "component": "disk", "group": "db", "class": "storage", "custom_details": { "free": "1 %" }
            },
            "links": [{ "href": "https://z.example/event", "text": "Event" }],
            "images": [{ "src": "https://z.example/disk.png", "href": "https://z.example/disk", "alt": "Graph" }]
        });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    }

    /// The same, with some of its payload changed.
    fn with(change: Value) -> Value {
        let mut body = event(json!({}));
        body["payload"].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    }

    fn v2(body: &Value) -> Signal {
        read_v2(body, "made up").unwrap().0
    }

    fn v1(change: Value) -> Signal {
        let mut body = json!({ "service_key": "S", "event_type": "trigger", "incident_key": "k1", "description": "Disk full" });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        read_v1(&body, "made up").unwrap().0
    }

    fn errors(body: &Value) -> Vec<String> {
        read_v2(body, "made up").unwrap_err()
    }

    /// What Netdata adds to its alarm.
    fn netdata(status: &str, name: &str) -> Value {
        json!({
            "value_w_units": "99%", "when": "1795834800", "alarm_id": "1795830000", "name": name, "chart": "disk_space._",
            "status": status, "old_status": "CLEAR", "info": ""
        })
    }

    #[test]
    fn an_event_is_all_that_its_fields_say() {
        let (signal, told) = read_v2(&event(json!({})), "made up").unwrap();
        assert_eq!((signal.word, signal.key.as_deref(), told.as_str()), (Word::Firing, Some("k1"), "k1"));
        assert_eq!((signal.summary.as_str(), signal.priority), ("Disk full", Some(Priority::Critical)));
        let labels = [("class", "storage"), ("client", "Zabbix"), ("component", "disk"), ("group", "db"), ("source", "db1")];
        assert_eq!(signal.labels, labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(signal.link.as_deref(), Some("https://z.example/event"));
        let lines = ["free: 1 %", "Graph: https://z.example/disk.png https://z.example/disk", "Zabbix: https://z.example"];
        assert_eq!(signal.details, lines.join("\n"));
        assert_eq!(signal.at.unwrap().to_rfc3339(), "2026-11-28T03:00:00+00:00");
    }

    #[test]
    fn the_severity_is_one_of_four_or_an_error() {
        let of = |severity: Value| v2(&with(json!({ "severity": severity }))).priority;
        assert_eq!(of(json!("error")), Some(Priority::High));
        assert_eq!(of(json!("Warning")), Some(Priority::Normal));
        assert_eq!(of(json!("info")), Some(Priority::Low));
        // A sender that leaves it out, or fills it from a label that is not there.
        assert_eq!((of(json!(null)), of(json!(""))), (Some(Priority::High), Some(Priority::High)));
        let words = "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')";
        assert_eq!(errors(&with(json!({ "severity": "major" }))), [words]);
        assert_eq!(errors(&with(json!({ "severity": 3 }))), [words]);
    }

    #[test]
    fn errors_stand_in_the_order_of_the_fields() {
        let body = with(json!({ "summary": " ", "severity": "major" }));
        let both = errors(&body);
        assert!(matches!(both.as_slice(), [first, second] if first == NO_SUMMARY && second.contains("severity")), "{both:?}");
        assert_eq!(errors(&event(json!({ "payload": null }))), [NO_SUMMARY]);
        assert_eq!(errors(&event(json!({ "event_action": null }))), ["'event_action' is missing or blank"]);
        let unknown = errors(&event(json!({ "event_action": "close" })));
        assert!(unknown.iter().all(|error| error.contains("'trigger', 'acknowledge' or 'resolve'")), "{unknown:?}");
        assert_eq!(errors(&json!("not an object")), ["'event_action' is missing or blank"]);
        assert_eq!(errors(&json!({ "event_action": "resolve" })), ["'dedup_key' is missing or blank"]);
    }

    #[test]
    fn what_comes_later_needs_only_the_key() {
        let (signal, told) =
            read_v2(&json!({ "routing_key": "R", "event_action": "acknowledge", "dedup_key": 7 }), "made up").unwrap();
        assert_eq!((signal, told.as_str()), (later(Act::Acknowledge, None, None, "7".to_owned(), None), "7"));
        assert_eq!(v2(&json!({ "event_action": "Resolve", "dedup_key": "k1" })).word, Word::Resolved);
    }

    #[test]
    fn the_end_leaves_the_words_of_the_beginning() {
        // Alertmanager repeats the payload, with another summary and a severity that may be anything.
        let mut body = with(json!({ "summary": "[RESOLVED] Disk full", "severity": "none" }));
        body["event_action"] = json!("resolve");
        let signal = v2(&body);
        assert_eq!((signal.word, signal.key.as_deref()), (Word::Resolved, Some("k1")));
        assert!(signal.summary.is_empty() && signal.details.is_empty() && signal.labels.is_empty() && signal.priority.is_none());
        assert!(signal.at.is_some(), "the time tells which came first");
    }

    #[test]
    fn an_alert_without_a_key_gets_one() {
        for key in [json!(null), json!("")] {
            let (signal, told) = read_v2(&event(json!({ "dedup_key": key })), "made up").unwrap();
            assert_eq!((signal.key.as_deref(), told.as_str()), (Some("made up"), "made up"));
        }
        let (signal, told) = read_v1(&json!({ "event_type": "trigger", "description": "x" }), "made up").unwrap();
        assert_eq!((signal.key.as_deref(), told.as_str()), (Some("made up"), "made up"));
    }

    #[test]
    fn details_may_be_of_any_form() {
        let of = |details: Value| {
            v2(&json!({ "event_action": "trigger", "payload": { "summary": "x", "custom_details": details } })).details
        };
        assert_eq!(
            of(json!({ "b": [1, { "c": null }], "a": "two\nlines", "n": null, "e": "" })),
            "a: two\nlines\nb: [1,{\"c\":null}]"
        );
        assert_eq!(of(json!(["one", 2, { "c": 3 }])), "one\n2\n{\"c\":3}");
        assert_eq!(of(json!(" a text ")), "a text");
        assert_eq!((of(json!(null)), of(json!([]))), (String::new(), String::new()));
    }

    #[test]
    fn the_first_link_is_the_link_and_the_others_are_lines() {
        let links = json!([
            { "href": "", "text": "nowhere" }, "https://one.example", { "href": "https://two.example", "text": "Two" },
            { "href": "https://three.example" }
        ]);
        let signal = v2(&event(json!({ "links": links, "images": null, "client_url": "https://one.example" })));
        assert_eq!(signal.link.as_deref(), Some("https://one.example"));
        assert_eq!(signal.details, "free: 1 %\nTwo: https://two.example\nhttps://three.example");
        // Alertmanager sends no link unless it is told to, but its own page.
        let signal = v2(&event(json!({ "links": [], "images": [{ "src": "https://g.example/1.png" }] })));
        assert_eq!(signal.link.as_deref(), Some("https://z.example"));
        assert_eq!(signal.details, "free: 1 %\nhttps://g.example/1.png");
    }

    #[test]
    fn a_missing_source_loses_no_alarm() {
        // Uptime Kuma's push monitors, and Grafana's contact point with an empty field.
        let signal = v2(&with(json!({ "source": null })));
        assert!(signal.word == Word::Firing && !signal.labels.contains_key("source"));
    }

    #[test]
    fn keys_are_texts() {
        let long = "x".repeat(256);
        assert_eq!(key_v2(&json!({ "routing_key": " abc " })).as_deref(), Some("abc"));
        assert_eq!(key_v1(&json!({ "service_key": "é".repeat(255) })).map(|key| key.chars().count()), Some(255));
        for body in
            [json!({}), json!({ "routing_key": 12 }), json!({ "routing_key": " " }), json!({ "routing_key": long }), json!([])]
        {
            assert_eq!(key_v2(&body), None, "{body}");
        }
        assert_eq!(key_v1(&json!({ "routing_key": "abc" })), None);
    }

    #[test]
    fn version_one_says_the_same_in_other_fields() {
        let signal = v1(json!({
            "client": "Monit", "client_url": "https://m.example", "details": { "load": 0.75 },
            "contexts": [{ "type": "image", "src": "https://m.example/1.png" },
                         { "type": "link", "href": "https://m.example/7", "text": "7" }]
        }));
        assert_eq!((signal.word, signal.summary.as_str(), signal.priority), (Word::Firing, "Disk full", Some(Priority::High)));
        assert_eq!(signal.link.as_deref(), Some("https://m.example/7"));
        assert_eq!(signal.details, "load: 0.75\nhttps://m.example/1.png\nMonit: https://m.example");
        assert_eq!(signal.labels, [("client".to_owned(), "Monit".to_owned())].into());
        let acknowledged = v1(json!({ "event_type": "acknowledge" }));
        assert_eq!(acknowledged.word, Word::Acknowledged { by: None, note: Some("Disk full".to_owned()) });
        let resolved = v1(json!({ "event_type": "resolve" }));
        assert_eq!((resolved.word, resolved.key.as_deref(), resolved.summary.as_str()), (Word::Resolved, Some("k1"), ""));
    }

    #[test]
    fn errors_of_version_one_are_in_its_words() {
        let of = |body: Value| read_v1(&body, "made up").unwrap_err();
        assert_eq!(of(json!({ "event_type": "trigger", "description": "" })), ["Description is missing or blank"]);
        assert_eq!(of(json!({ "event_type": "resolve" })), ["Incident key is missing or blank"]);
        assert_eq!(of(json!({})), ["Event type is missing or blank"]);
        assert!(of(json!({ "event_type": "x" })).iter().all(|error| error.starts_with("Event type is invalid")));
    }

    #[test]
    fn netdata_keeps_the_number_of_its_alarm() {
        let body = |action: &str, change: &str, status: &str| {
            let mut body =
                with(json!({ "custom_details": netdata(status, "disk_full"), "timestamp": "2026-11-28T11:00:00.000" }));
            body["event_action"] = json!(action);
            body["dedup_key"] = json!(change);
            read_v2(&body, "made up").unwrap()
        };
        let (firing, told) = body("trigger", "101", "WARNING");
        let (resolved, _) = body("resolve", "102", "CLEAR");
        assert_eq!((firing.key.as_deref(), told.as_str()), (Some("db1/1795830000"), "101"));
        assert_eq!((resolved.word, &resolved.key), (Word::Resolved, &firing.key));
        assert_eq!(firing.at.unwrap().to_rfc3339(), "2026-11-28T03:00:00+00:00", "its timestamp is in the time of the host");
        assert_eq!(resolved.at, firing.at);
        let old = |status: &str| v1(json!({ "incident_key": "1795830000", "details": netdata(status, "disk_full") }));
        assert_eq!(old("WARNING").key.as_deref(), Some("1795830000"));
        assert_eq!((old("WARNING").priority, old("CRITICAL").priority), (Some(Priority::Normal), Some(Priority::Critical)));
        assert_eq!(old("WARNING").at, firing.at);
        // The details of another program may have one of these fields.
        let other = v2(&with(json!({ "custom_details": { "alarm_id": 7, "status": "down" } })));
        assert_eq!(other.key.as_deref(), Some("k1"));
    }

    #[test]
    fn tests_of_programs_are_tests() {
        let of = |key: &str, summary: &str, details: Value| {
            let mut body = with(json!({ "summary": summary, "custom_details": details }));
            body["dedup_key"] = json!(key);
            v2(&body)
        };
        for key in ["Uptime Kuma/test", "Uptime Kuma/undefined"] {
            let test = of(key, "[Uptime Kuma Alert] [undefined] My notification Testing", json!(null));
            assert_eq!(test.word, Word::Test, "{key}");
            // The same key stands for what expires soon, which must not be lost.
            let expiry = of(key, "[Uptime Kuma Alert] [undefined] [shop] certificate will expire in 7 days", json!(null));
            assert_eq!((expiry.word, expiry.key, expiry.priority), (Word::Firing, None, Some(Priority::Low)), "{key}");
        }
        let down = of("Uptime Kuma/7", "[Uptime Kuma Monitor 🔴 Down] [shop] Testing", json!(null));
        assert_eq!((down.word, down.key.as_deref()), (Word::Firing, Some("Uptime Kuma/7")));
        assert_eq!(of("1", "x", netdata("WARNING", "test_alarm")).word, Word::Test);
        assert_eq!(v1(json!({ "event_type": "resolve", "details": netdata("CLEAR", "test_alarm") })).word, Word::Test);
        assert_eq!(v1(json!({ "details": netdata("CRITICAL", "test_alarm") })).word, Word::Test);
        let firing = "\nValue: [no value]\nLabels:\n - alertname = TestAlert\n - instance = Grafana\n";
        assert_eq!(of("k", "[FIRING:1] TestAlert", json!({ "firing": firing })).word, Word::Test);
        assert_eq!(
            of("k", "x", json!({ "firing": "Labels:\n - alertname = TestAlert\n - instance = db1\n" })).word,
            Word::Firing
        );
    }

    #[test]
    fn a_change_rings_nobody() {
        let body = json!({
            "routing_key": "R", "links": [{ "href": "https://ci.example/7" }],
            "payload": { "summary": "Deployed 1.2", "source": "ci", "custom_details": { "build": 7 } }
        });
        let signal = read_change(&body).unwrap();
        assert!(matches!(signal.word, Word::Ignored(_)) && signal.key.is_none());
        assert_eq!((signal.summary.as_str(), signal.details.as_str()), ("Deployed 1.2", "build: 7"));
        assert_eq!((signal.link.as_deref(), signal.labels["source"].as_str()), (Some("https://ci.example/7"), "ci"));
        let about = read_change(&json!({ "dedup_key": "k1", "payload": { "summary": "Deployed 1.2" } })).unwrap();
        assert_eq!((about.word, about.key.as_deref()), (Word::Noted { by: None, text: "Deployed 1.2".to_owned() }, Some("k1")));
        assert_eq!(read_change(&json!({ "payload": {} })).unwrap_err(), [NO_SUMMARY]);
    }

    #[test]
    fn answers_are_those_that_clients_look_for() {
        // Zabbix shows the first error if it is a text, Alertmanager joins them all, pdpyras fails without the key.
        assert_eq!(
            invalid(&errors(&with(json!({ "summary": null })))),
            json!({ "status": "invalid event", "message": "Event object is invalid", "errors": [NO_SUMMARY] })
        );
        assert_eq!(accepted_v2("k1"), json!({ "status": "success", "message": "Event processed", "dedup_key": "k1" }));
        assert_eq!(accepted_v1("k1"), json!({ "status": "success", "message": "Event processed", "incident_key": "k1" }));
        assert_eq!(accepted_change(), json!({ "status": "success", "message": "Change event processed" }));
    }

    const NAMES: &[&str] = &[
        "event_action",
        "event_type",
        "dedup_key",
        "incident_key",
        "payload",
        "summary",
        "severity",
        "custom_details",
        "details",
        "links",
        "images",
        "contexts",
        "href",
        "src",
        "client_url",
        "timestamp",
        "alarm_id",
        "chart",
        "status",
        "old_status",
        "when",
        "description",
    ];

    const WORDS: &[&str] = &["trigger", "resolve", "acknowledge", "Uptime Kuma/test", "critical"];

    proptest! {
        #[test]
        fn no_event_is_too_odd(body in odd::value(NAMES, WORDS), made_up in "[a-z0-9-]{1,36}") {
            for read in [read_v2, read_v1] {
                match read(&body, &made_up) {
                    Ok((_, told)) => prop_assert!(!told.is_empty()),
                    Err(errors) => prop_assert!(!errors.is_empty() && errors.iter().all(|error| !error.is_empty())),
                }
            }
            let _ = (read_change(&body), key_v2(&body), key_v1(&body));
        }
    }
}
