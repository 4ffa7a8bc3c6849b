//! Nightingale 夜莺: an event, as the Callback channel, the callback of a rule and the global webhook post it.
//!
//! An event that goes on comes again with the same hash, and so does its end. A changed severity makes a new hash.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::said::{Message, Said, lines, whom};
use super::{Reader, Signal, Unreadable, Word};
use crate::alarm::Priority;

/// How it is read.
pub const READER: Reader = Reader { also: &["n9e"], again_on_429: true, once_only: true, ..Reader::of("nightingale", read) };

fn read(message: &Message) -> Result<Vec<Signal>, Unreadable> {
    let said = message.said();
    let (hash, name) = (said.text("hash"), said.text("rule_name"));
    if hash.is_none() && name.is_none() {
        let why = "this is not an event of Nightingale: let a notification channel of the type Callback, or the callback of \
                   a rule, post here";
        return Err(Unreadable::new("hash", why));
    }
    let tags = tags(said);
    let shown = written(&tags, name.as_deref());
    let rule = || said.text("rule_id").map_or_else(|| "Nightingale".to_owned(), |rule| format!("rule {rule}"));
    let name = name.unwrap_or_else(rule);
    let target = said.text("target_ident").or_else(|| shown.clone());
    let over = said.yes("is_recovered") == Some(true);
    let times: &[&str] = if over { &["recover_time", "last_eval_time"] } else { &["trigger_time"] };
    let own = ["group_name", "cluster", "rule_id"].into_iter().filter_map(|name| Some((name.to_owned(), said.text(name)?)));
    Ok(vec![Signal {
        word: if over { Word::Resolved } else { Word::Firing },
        key: hash.map(|hash| format!("nightingale/{hash}")),
        priority: said.number("severity").and_then(priority),
        summary: target.map_or_else(|| name.clone(), |target| format!("{name}: {target}")),
        details: lines([
            said.text("rule_note"),
            said.text("trigger_value").map(|value| format!("trigger_value: {value}")),
            said.text("prom_ql"),
            shown,
        ]),
        // A tag that is called like one of Nightingale's own fields says more of the thing than the field does.
        labels: own.chain(tags).collect(),
        link: said.text("runbook_url"),
        whom: numbers(message),
        at: times.iter().find_map(|name| said.instant(name, TimeDelta::zero())),
        holds_until: None,
    }])
}

/// Its tags. The map leaves out those that have more than one `=` or none; the list has all.
fn tags(said: Said<'_>) -> BTreeMap<String, String> {
    let listed = said.list("tags").filter_map(Said::as_text).map(|tag| {
        let (name, value) = tag.split_once('=').unwrap_or((&tag, ""));
        (name.trim().to_owned(), value.trim().to_owned())
    });
    let mapped = said.get("tags_map").map_or_else(BTreeMap::new, Said::texts);
    listed.chain(mapped).filter(|(name, _)| !name.is_empty()).collect()
}

/// The tags in one line, without the one in which Nightingale repeats the name of the rule; `None` where there are no others.
fn written(tags: &BTreeMap<String, String>, rule: Option<&str>) -> Option<String> {
    let others = tags.iter().filter(|(_, value)| Some(value.as_str()) != rule);
    let each = others.map(|(name, value)| if value.is_empty() { name.clone() } else { format!("{name}={value}") });
    let line = each.collect::<Vec<_>>().join(", ");
    (!line.is_empty()).then_some(line)
}

/// Whom the rule's annotation names. Those whom Nightingale tells itself are rung only where the address asks for it: it also
/// tells people who wanted no more than a mail.
fn numbers(message: &Message) -> Vec<String> {
    let said = message.said();
    let mut named = whom(said.at(&["annotations", "phones"]));
    if message.query.get("users").is_some_and(|users| users.trim() == "1") {
        for phone in said.list("notify_users_obj").flat_map(|user| whom(user.get("phone"))) {
            if !named.contains(&phone) {
                named.push(phone);
            }
        }
    }
    named
}

/// 1 is the worst.
fn priority(severity: i64) -> Option<Priority> {
    match severity {
        1 => Some(Priority::Critical),
        2 => Some(Priority::High),
        3 => Some(Priority::Normal),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::signal::odd;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const EVENT: &str = r#"{
        "id": 88121, "cate": "prometheus", "cluster": "prod", "datasource_id": 3, "group_id": 7, "group_name": "shop",
        "hash": "9c1b0c5b7d0a4b4f8a2d0f6b1c2d3e4f", "rule_id": 412, "rule_name": "磁盘使用率过高", "rule_note": "清理 /var",
        "rule_prod": "metric", "severity": 1, "prom_ql": "disk_used_percent > 95", "callbacks": [], "runbook_url": "",
        "notify_recovered": 1, "target_ident": "db1", "trigger_time": 1795836000, "trigger_value": "97.3",
        "tags": ["ident=db1", "path=/var", "rulename=磁盘使用率过高"],
        "tags_map": { "ident": "db1", "path": "/var", "rulename": "磁盘使用率过高" },
        "annotations": { "phones": "18712345678" }, "is_recovered": false,
        "notify_users_obj": [{ "username": "lina", "nickname": "Li", "phone": "18787654321", "email": "" },
                             { "username": "wang", "phone": "18712345678" }, { "username": "zhao", "phone": "" }],
        "last_eval_time": 1795836060, "notify_cur_number": 1, "first_trigger_time": 1795836000,
        "notify_rule_name": "值班", "recover_time": 0
    }"#;

    /// An event with other members.
    fn event(change: Value) -> Value {
        let mut body: Value = serde_json::from_str(EVENT).unwrap();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    }

    fn read_one(change: Value) -> Signal {
        let mut signals = read(&Message { body: event(change), ..Message::default() }).unwrap();
        assert_eq!(signals.len(), 1);
        signals.remove(0)
    }

    #[test]
    fn an_event_is_all_that_it_says() {
        let signal = read_one(json!({}));
        assert_eq!(signal.word, Word::Firing);
        assert_eq!(signal.key.as_deref(), Some("nightingale/9c1b0c5b7d0a4b4f8a2d0f6b1c2d3e4f"));
        assert_eq!((signal.priority, signal.summary.as_str()), (Some(Priority::Critical), "磁盘使用率过高: db1"));
        assert_eq!(signal.details, "清理 /var\ntrigger_value: 97.3\ndisk_used_percent > 95\nident=db1, path=/var");
        let label = |name: &str| signal.labels[name].as_str();
        assert_eq!((label("ident"), label("path"), label("group_name")), ("db1", "/var", "shop"));
        assert_eq!((label("cluster"), label("rule_id")), ("prod", "412"));
        assert_eq!((signal.link, signal.whom), (None, vec!["18712345678".to_owned()]));
        assert_eq!(signal.at.unwrap().timestamp(), 1_795_836_000);
        let runbook = read_one(json!({ "runbook_url": "https://wiki.example/disk" }));
        assert_eq!(runbook.link.as_deref(), Some("https://wiki.example/disk"));
    }

    #[test]
    fn a_repeat_and_the_end_are_of_the_same_thing_and_another_severity_is_not() {
        let first = read_one(json!({}));
        let again = read_one(json!({ "notify_cur_number": 2, "trigger_time": 1_795_839_600 }));
        assert_eq!((again.word, again.key == first.key), (Word::Firing, true));
        let end = read_one(json!({ "is_recovered": true }));
        assert_eq!((end.word, end.key == first.key), (Word::Resolved, true));
        assert_ne!(read_one(json!({ "hash": "0a", "severity": 2 })).key, first.key);
    }

    #[test]
    fn an_end_has_its_own_time() {
        let end = |change: Value| read_one(change).at.unwrap().timestamp();
        assert_eq!(end(json!({ "is_recovered": true, "recover_time": 1_795_836_100 })), 1_795_836_100);
        assert_eq!(end(json!({ "is_recovered": 1 })), 1_795_836_060, "where there is none, it was last looked at then");
        assert_eq!(end(json!({ "recover_time": 1_795_836_100 })), 1_795_836_000, "it is not over");
    }

    #[test]
    fn severities_are_numbers_however_they_are_written() {
        let urgency = |severity: Value| read_one(json!({ "severity": severity })).priority;
        assert_eq!([urgency(json!(1)), urgency(json!("2"))], [Some(Priority::Critical), Some(Priority::High)]);
        assert_eq!([urgency(json!(3)), urgency(json!(9)), urgency(json!(null))], [Some(Priority::Normal), None, None]);
    }

    #[test]
    fn tags_have_no_equals_sign_or_several() {
        let tags = json!(["bare", "expr=a=b", "at=10.0.0.7:9100", "", null, "=x", 7]);
        let signal = read_one(json!({ "tags": tags, "tags_map": null, "target_ident": "", "annotations": null }));
        let label = |name: &str| signal.labels.get(name).map(String::as_str);
        assert_eq!(
            (label("bare"), label("expr"), label("at"), label("7")),
            (Some(""), Some("a=b"), Some("10.0.0.7:9100"), Some(""))
        );
        assert_eq!(signal.summary, "磁盘使用率过高: 7, at=10.0.0.7:9100, bare, expr=a=b");
        assert!(!signal.labels.contains_key("") && signal.whom.is_empty());
        let named = read_one(json!({ "tags_map": { "cluster": "k8s-2", "pod": "web-1" }, "tags": null }));
        assert_eq!(
            (named.labels["cluster"].as_str(), named.labels["pod"].as_str()),
            ("k8s-2", "web-1"),
            "a tag before the field"
        );
    }

    #[test]
    fn what_it_does_not_say_is_left_out() {
        let nothing =
            json!({ "tags": [], "tags_map": {}, "target_ident": null, "rule_note": "", "trigger_value": 97.3, "prom_ql": " " });
        let signal = read_one(nothing);
        assert_eq!((signal.summary.as_str(), signal.details.as_str()), ("磁盘使用率过高", "trigger_value: 97.3"));
        assert_eq!(read_one(json!({ "rule_name": null })).summary, "rule 412: db1");
        assert_eq!(read_one(json!({ "hash": "" })).key, None);
        let bare = read(&Message { body: json!({ "hash": "9c1b" }), ..Message::default() }).unwrap().remove(0);
        assert_eq!((bare.summary.as_str(), bare.key.as_deref()), ("Nightingale", Some("nightingale/9c1b")));
    }

    #[test]
    fn those_whom_nightingale_tells_are_rung_only_where_the_address_asks_for_it() {
        let rung = |users: &str| {
            let query = [("users".to_owned(), users.to_owned())].into();
            read(&Message { body: event(json!({})), query, ..Message::default() }).unwrap().remove(0).whom
        };
        assert_eq!(rung("1"), ["18712345678", "18787654321"], "each once, nobody without a number");
        assert_eq!(rung("0"), ["18712345678"]);
        assert_eq!(read_one(json!({ "annotations": { "phones": "18712345678; Li Na" } })).whom, ["18712345678", "Li Na"]);
        assert!(read_one(json!({ "annotations": {} })).whom.is_empty());
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for body in [json!({ "title": "x" }), json!(7), json!(null), json!({ "hash": null, "rule_name": " " })] {
            assert_eq!(read(&Message { body, ..Message::default() }).unwrap_err().field, "hash");
        }
    }

    const NAMES: &[&str] = &[
        "hash",
        "rule_name",
        "tags",
        "tags_map",
        "annotations",
        "phones",
        "notify_users_obj",
        "phone",
        "severity",
        "trigger_time",
        "is_recovered",
        "recover_time",
        "target_ident",
    ];

    proptest! {
        #[test]
        fn no_value_is_too_odd(body in odd::value(NAMES, &[]), hash in odd::value(NAMES, &[])) {
            let query: BTreeMap<String, String> = [("users".to_owned(), "1".to_owned())].into();
            let odd = event(json!({ "hash": hash, "tags": &body, "annotations": &body }));
            let _ = read(&Message { body: odd, ..Message::default() });
            let _ = read(&Message { body, query, ..Message::default() });
        }
    }
}
