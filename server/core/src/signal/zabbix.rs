//! Zabbix, by the media type that the server hands out: its script posts the macros of one event.
//!
//! The names are those of the script. The *Test* button of the media type sends the macros as they are written, and so do macros that do not
//! apply to an event; `*UNKNOWN*` stands for what Zabbix could not find out.

use std::collections::BTreeMap;

use super::said::{Message, Said, lines, split};
use super::{Reader, Signal, Unreadable, Word};
use crate::alarm::Priority;

/// How it is read.
pub const READER: Reader = Reader::of("zabbix", read);

/// What a macro became; `None` where it became nothing.
fn value(said: Said<'_>, name: &str) -> Option<String> {
    said.text(name).filter(|text| !(text.starts_with('{') && text.ends_with('}')) && text != "*UNKNOWN*")
}

fn read(message: &Message) -> Result<Vec<Signal>, Unreadable> {
    let said = message.said();
    let Some(event) = said.text("event_id") else {
        let why = "this is not the message of our media type: import the file that this server hands out (Connect, Zabbix)";
        return Err(Unreadable::new("event_id", why));
    };
    if event.parse::<u64>().is_err() {
        return Ok(vec![Signal::of(Word::Test)]);
    }
    // 0 is a trigger; the others are what Zabbix found in the network, and its own troubles.
    if value(said, "event_source").is_some_and(|source| matches!(source.as_str(), "1" | "2")) {
        return Ok(vec![Signal::of(Word::Ignored("discovery and autoregistration ring nobody"))]);
    }
    let is = |name: &str| value(said, name).is_some_and(|text| text == "1");
    let word = match (is("event_value"), is("update_status")) {
        (true, false) => Word::Firing,
        (false, false) => Word::Resolved,
        (false, true) => Word::Ignored("an update of what is over"),
        (true, true) => updated(said),
    };
    let host = value(said, "host");
    let name = value(said, "name").or_else(|| value(said, "subject")).unwrap_or_else(|| format!("event {event}"));
    let tags = said.list("tags").filter_map(|tag| Some((tag.text("tag")?, tag.text("value").unwrap_or_default())));
    let own = [("host", host.clone()), ("ip", value(said, "host_ip"))];
    let own = own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let labels: BTreeMap<String, String> = tags.chain(own).collect();
    let link = value(said, "zabbix_url")
        .zip(value(said, "trigger_id"))
        .map(|(url, trigger)| format!("{}/tr_events.php?triggerid={trigger}&eventid={event}", url.trim_end_matches('/')));
    let changed =
        matches!(word, Word::Noted { .. }) && value(said, "update_action").is_some_and(|action| action.contains("severity"));
    let signal = Signal {
        word,
        key: Some(format!("zabbix/{event}")),
        priority: value(said, "severity").and_then(|severity| severity.parse().ok()).map(priority),
        summary: host.map_or_else(|| name.clone(), |host| format!("{host}: {name}")),
        details: lines([value(said, "opdata"), value(said, "message")]),
        labels,
        link,
        whom: value(said, "to").map_or_else(Vec::new, |to| split(&to)),
        at: None,
        holds_until: None,
    };
    // What has become worse is a repeat that is more urgent.
    let worse = changed.then(|| Signal { word: Word::Firing, ..signal.clone() });
    Ok(worse.into_iter().chain([signal]).collect())
}

/// What somebody did about a problem: `acknowledged`, `commented`, `changed severity to High`, several of them in one text.
fn updated(said: Said<'_>) -> Word {
    let (by, note) = (value(said, "user"), value(said, "update_message"));
    let action = value(said, "update_action").unwrap_or_default().to_lowercase();
    if action.contains("acknowledged") && !action.contains("unacknowledged") {
        return Word::Acknowledged { by, note };
    }
    let text = [Some(action).filter(|action| !action.is_empty()), note].into_iter().flatten().collect::<Vec<_>>().join(": ");
    Word::Noted { by, text }
}

/// 0 is *not classified*, 5 *disaster*.
fn priority(severity: i64) -> Priority {
    match severity {
        5.. => Priority::Critical,
        4 => Priority::High,
        2 | 3 => Priority::Normal,
        ..=1 => Priority::Low,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use serde_json::{Value, json};

    fn read_one(change: Value) -> Signal {
        let mut body = json!({
            "event_source": "0", "event_id": "1042", "event_value": "1", "update_status": "0", "severity": "4", "name": "磁盘满",
            "host": "db1", "host_ip": "10.0.0.7", "to": "18712345678", "trigger_id": "17", "zabbix_url": "https://z.example/",
            "tags": [{ "tag": "team", "value": "db" }], "opdata": "98 %", "message": "{TRIGGER.DESCRIPTION}", "user": "{USER.FULLNAME}",
            "update_action": "{EVENT.UPDATE.ACTION}", "update_message": "{EVENT.UPDATE.MESSAGE}"
        });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let mut signals = read(&Message { body, ..Message::default() }).unwrap();
        assert_eq!(signals.len(), 1);
        signals.remove(0)
    }

    #[test]
    fn a_problem_is_all_that_its_macros_say() {
        let signal = read_one(json!({}));
        assert_eq!((signal.word, signal.key.as_deref()), (Word::Firing, Some("zabbix/1042")));
        assert_eq!((signal.summary.as_str(), signal.details.as_str()), ("db1: 磁盘满", "98 %"));
        assert_eq!((signal.priority, signal.whom.as_slice()), (Some(Priority::High), ["18712345678".to_owned()].as_slice()));
        assert_eq!(signal.labels["team"], "db");
        assert_eq!(signal.link.as_deref(), Some("https://z.example/tr_events.php?triggerid=17&eventid=1042"));
    }

    #[test]
    fn what_happens_to_a_problem() {
        let word = |value: &str, status: &str, action: &str| {
            read_one(json!({ "event_value": value, "update_status": status, "update_action": action, "update_message": "on it",
                             "user": "Li Na" }))
            .word
        };
        let (by, note) = (Some("Li Na".to_owned()), Some("on it".to_owned()));
        assert_eq!(word("0", "0", "{X}"), Word::Resolved);
        assert_eq!(word("1", "1", "acknowledged and commented"), Word::Acknowledged { by: by.clone(), note });
        assert_eq!(word("1", "1", "unacknowledged"), Word::Noted { by, text: "unacknowledged: on it".to_owned() });
        assert!(matches!(word("0", "1", "commented"), Word::Ignored(_)));
    }

    #[test]
    fn another_severity_counts() {
        let body = json!({ "event_source": "0", "event_id": "7", "event_value": "1", "update_status": "1", "severity": "5", "name": "n",
                           "update_action": "changed severity from Warning to Disaster", "update_message": "" });
        let signals = read(&Message { body, ..Message::default() }).unwrap();
        let words: Vec<&Word> = signals.iter().map(|signal| &signal.word).collect();
        assert!(matches!(words[..], [Word::Firing, Word::Noted { .. }]), "{words:?}");
        assert_eq!(signals[0].priority, Some(Priority::Critical));
    }

    #[test]
    fn a_test_and_what_rings_nobody() {
        assert_eq!(read_one(json!({ "event_id": "{EVENT.ID}" })).word, Word::Test);
        assert!(matches!(read_one(json!({ "event_source": "1" })).word, Word::Ignored(_)));
        assert_eq!(read_one(json!({ "host": "*UNKNOWN*" })).summary, "磁盘满");
        assert_eq!(read(&Message { body: json!({ "subject": "x" }), ..Message::default() }).unwrap_err().field, "event_id");
    }
}
