//! Alibaba Cloud, by the alert callback of its monitoring: a form; in older versions JSON with the same fields.
//!
//! What it does not know it writes as `null`, also in the form.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::Value;

use super::{in_order, named};
use crate::signal::said::{Message, Said, lines};
use crate::signal::{Reader, Signal, Unreadable, Word, priority};

/// How it is read.
pub const READER: Reader = Reader { also: &["aliyun"], ..Reader::of("alibaba", read) };

fn value(said: Said<'_>, name: &str) -> Option<String> {
    said.text(name).filter(|text| text != "null")
}

fn read(message: &Message) -> Result<Vec<Signal>, Unreadable> {
    let said = message.said();
    let field = |name: &str| value(said, name);
    let Some((rule, name)) = field("ruleId").or_else(|| field("alertName")).zip(field("alertName").or_else(|| field("ruleId")))
    else {
        let why = "this is not the alert callback of a rule of CloudMonitor; other messages of Alibaba Cloud are for the \
                   generic address, /api/v1/intake/generic";
        return Err(Unreadable::new("alertName", why));
    };
    // Older versions say ALARM where newer ones say ALERT.
    let word = match field("alertState").as_deref() {
        Some("OK") => Word::Resolved,
        Some("INSUFFICIENT_DATA") => Word::Ignored("CloudMonitor has too little data to say whether something is wrong"),
        _ => Word::Firing,
    };
    let dimensions = said.get("dimensions").map(dimensions).unwrap_or_default();
    let instance = field("instanceName").or_else(|| dimensions.get("instanceId").cloned());
    let own = [
        ("group", field("productGroupName")),
        ("instance", instance.clone()),
        ("metric", field("metricName")),
        ("namespace", field("namespace")),
        ("region", field("regionId").or_else(|| field("regionName"))),
    ];
    let own = own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let lasting = field("lastTime").map(|time| format!("for {time}"));
    Ok(vec![Signal {
        word,
        key: Some(format!("alibaba/{rule}/{}", in_order(&dimensions))),
        priority: field("triggerLevel").and_then(|level| priority(&level)),
        summary: named(instance, name),
        details: lines([measured(said), lasting]),
        labels: dimensions.into_iter().chain(own).collect(),
        link: None,
        whom: Vec::new(),
        at: said.instant("timestamp", TimeDelta::hours(8)),
        holds_until: None,
    }])
}

/// What was measured, and what the rule says of it.
fn measured(said: Said<'_>) -> Option<String> {
    let metric = value(said, "metricName").or_else(|| value(said, "rawMetricName"));
    let reading = value(said, "curValue").map(|reading| format!("{reading}{}", value(said, "unit").unwrap_or_default()));
    let rule = value(said, "expression").map(|rule| format!("({rule})"));
    let each: Vec<String> = [metric, reading, rule].into_iter().flatten().collect();
    (!each.is_empty()).then(|| each.join(" "))
}

/// What a rule looks at: an object, the same as a text, or names and values in braces, `{userId=1, instanceId=i-1}`.
fn dimensions(said: Said<'_>) -> BTreeMap<String, String> {
    let Value::String(text) = said.0 else { return said.texts() };
    if let Ok(object @ Value::Object(_)) = serde_json::from_str(text) {
        return Said(&object).texts();
    }
    let text = text.trim();
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    let mut each: Vec<(String, String)> = Vec::new();
    for part in inner.split(',') {
        match (part.split_once('='), each.last_mut()) {
            (Some((name, value)), _) => each.push((name.trim().to_owned(), value.trim().to_owned())),
            // A value with a comma in it.
            (None, Some((_, value))) => value.extend([",", part]),
            (None, None) => {}
        }
    }
    each.into_iter().filter(|(name, value)| !name.is_empty() && value != "null").collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::alarm::Priority;
    use crate::signal::odd::{sound, spoilt};
    use proptest::prelude::*;
    use serde_json::json;

    fn sample(change: Value) -> Value {
        let mut body = json!({
            "alertName": "ECS CPU", "ruleId": "rule-1", "timestamp": "1795834800000", "alertState": "ALERT",
            "triggerLevel": "CRITICAL", "curValue": "97", "unit": "%", "expression": "$Average>90",
            "dimensions": "{userId=1, instanceId=i-1}",
            "instanceName": "db1", "metricName": "cpu_total", "namespace": "acs_ecs_dashboard", "lastTime": "2分钟",
            "regionId": "null", "regionName": "cn-shenzhen", "preTriggerLevel": "null", "signature": "c2ln"
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
    fn an_alert_is_a_form() {
        let signal = read_one(json!({}));
        assert_eq!((signal.word, signal.key.as_deref()), (Word::Firing, Some("alibaba/rule-1/instanceId=i-1,userId=1")));
        assert_eq!((signal.summary.as_str(), signal.priority), ("db1: ECS CPU", Some(Priority::Critical)));
        assert_eq!(signal.details, "cpu_total 97% ($Average>90)\nfor 2分钟");
        let labels =
            ["instance", "instanceId", "metric", "namespace", "region", "userId"].map(|name| signal.labels[name].clone());
        assert_eq!(labels, ["db1", "i-1", "cpu_total", "acs_ecs_dashboard", "cn-shenzhen", "1"]);
        assert_eq!(signal.at.unwrap().timestamp(), 1_795_834_800);
    }

    #[test]
    fn what_an_alert_is_now() {
        let word = |state: Value| read_one(json!({ "alertState": state })).word;
        assert_eq!((word(json!("ALERT")), word(json!("ALARM")), word(json!(null))), (Word::Firing, Word::Firing, Word::Firing));
        assert_eq!(word(json!("OK")), Word::Resolved);
        assert!(matches!(word(json!("INSUFFICIENT_DATA")), Word::Ignored(_)));
    }

    #[test]
    fn levels_say_how_urgent_it_is() {
        let found = ["CRITICAL", "WARN", "INFO", "OK", "null"].map(|level| read_one(json!({ "triggerLevel": level })).priority);
        assert_eq!(found, [Some(Priority::Critical), Some(Priority::Normal), Some(Priority::Low), None, None]);
    }

    #[test]
    fn the_key_is_the_same_however_the_dimensions_are_written() {
        let key = |dimensions: Value| read_one(json!({ "dimensions": dimensions })).key.unwrap();
        let same = key(json!("{userId=1, instanceId=i-1}"));
        assert_eq!(key(json!("{instanceId=i-1, userId=1}")), same);
        assert_eq!(key(json!("{\"userId\":\"1\",\"instanceId\":\"i-1\"}")), same);
        assert_eq!(key(json!({ "userId": 1, "instanceId": "i-1" })), same);
        assert_ne!(key(json!("{userId=1, instanceId=i-2}")), same, "one rule looks at many");
        assert_eq!(key(json!(null)), "alibaba/rule-1/");
        assert_eq!(key(json!("{port=1,2, path=/a=b, x, =y, zone=null}")), "alibaba/rule-1/path=/a=b, x,port=1,2");
    }

    #[test]
    fn a_rule_may_have_a_name_only() {
        let signal = read_one(json!({ "ruleId": null, "instanceName": "null" }));
        assert_eq!(signal.key.as_deref(), Some("alibaba/ECS CPU/instanceId=i-1,userId=1"));
        assert_eq!(signal.summary, "i-1: ECS CPU");
        assert_eq!(read_one(json!({ "alertName": "", "instanceName": null, "dimensions": null })).summary, "rule-1");
    }

    #[test]
    fn what_is_no_alert_is_refused() {
        let body = json!({ "product": "ECS", "level": "CRITICAL", "name": "Instance:InstanceFailure.Reboot:Executing" });
        let refused = read(&Message { body, ..Message::default() }).unwrap_err();
        assert!(refused.field == "alertName" && refused.why.contains("generic"), "{refused}");
    }

    proptest! {
        #[test]
        fn no_message_is_too_odd(body in spoilt(sample(json!({}))), text in "[{}=, a\"]{0,20}") {
            sound(&READER, body)?;
            sound(&READER, sample(json!({ "dimensions": text })))?;
        }
    }
}
