//! Tencent Cloud, by the API callback of a notification template: metrics that pass a limit, and events.
//!
//! Its clocks are those of Beijing and name no zone.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::Value;

use super::{in_order, named};
use crate::signal::said::{Message, Said, lines};
use crate::signal::{Reader, Signal, Unreadable, Word};

/// How it is read.
pub const READER: Reader = Reader { answer, ..Reader::of("tencent", read) };

/// The longest name of a session that is sent back, in characters.
const LONGEST_SESSION: usize = 200;

/// It takes a message for delivered when its session comes back with a 0.
fn answer(body: &Value) -> Vec<(&'static str, Value)> {
    let session: String = Said(body).text("sessionId").unwrap_or_default().chars().take(LONGEST_SESSION).collect();
    vec![("sessionId", session.into()), ("retCode", 0.into())]
}

/// Dimensions that only describe: another one may be sent when all is well again.
const DESCRIBING: &[&str] = &["objName", "deviceName"];

fn read(message: &Message) -> Result<Vec<Signal>, Unreadable> {
    let said = message.said();
    let (policy, object) = (said.get("alarmPolicyInfo"), said.get("alarmObjInfo"));
    if policy.or(object).is_none() {
        let why = "this is not the callback of an alarm policy: in Tencent Cloud put this address into a notification template \
                   (API callback), and choose that in the policy";
        return Err(Unreadable::new("alarmPolicyInfo", why));
    }
    let is_over = said.number("alarmStatus") == Some(0);
    let of_policy = |name: &str| policy.and_then(|policy| policy.text(name));
    let of_object = |name: &str| object.and_then(|object| object.text(name));
    let condition = policy.and_then(|policy| policy.list("conditions").next());
    let of_condition = |names: &[&str]| condition.and_then(|condition| condition.first(names));
    let dimensions = object.and_then(|object| object.get("dimensions"));
    let scalars: BTreeMap<String, String> = dimensions.map(scalars).unwrap_or_default();
    let known: BTreeMap<String, String> = scalars
        .iter()
        .filter(|(name, _)| !DESCRIBING.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    // A policy watches several metrics of a thing: one that is well again says nothing of the others.
    let metric = of_condition(&["metricName", "eventName", "metricShowName", "eventShowName"]);
    let id = [of_policy("policyId").or_else(|| of_policy("policyName")), metric.clone(), Some(in_order(&known))];
    let thing = dimensions.and_then(|each| each.first(&["objName", "deviceName", "unInstanceId", "objId"]));
    let shown = of_condition(&["metricShowName", "eventShowName", "metricName", "eventName"]);
    let what = match (of_policy("policyName"), shown.clone()) {
        (Some(policy), Some(shown)) => format!("{policy} ({shown})"),
        (policy, shown) => policy.or(shown).unwrap_or_else(|| "an alarm of Tencent Cloud".to_owned()),
    };
    let told = said.list("additionalMsg").filter_map(|each| Some(format!("{}: {}", each.text("key")?, each.text("value")?)));
    let told = told.collect::<Vec<_>>().join("\n");
    let own = [
        ("metric", metric),
        ("namespace", of_object("namespace")),
        ("policy", of_policy("policyName")),
        ("policy_type", of_policy("policyTypeCName").or_else(|| of_policy("policyType"))),
        ("region", of_object("region")),
    ];
    let own = own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Ok(vec![Signal {
        word: if is_over { Word::Resolved } else { Word::Firing },
        key: Some(format!("tencent/{}", id.into_iter().flatten().collect::<Vec<_>>().join("/"))).filter(|key| key != "tencent/"),
        priority: None,
        summary: named(thing, what),
        details: lines([condition.and_then(|condition| measured(condition, shown)), Some(told).filter(|told| !told.is_empty())]),
        labels: scalars.into_iter().chain(own).collect(),
        link: None,
        whom: Vec::new(),
        at: said.instant(if is_over { "recoverTime" } else { "firstOccurTime" }, TimeDelta::hours(8)),
        holds_until: None,
    }])
}

/// The dimensions that are plain values. An event has in it an object with addresses, too.
fn scalars(dimensions: Said<'_>) -> BTreeMap<String, String> {
    let members = dimensions.0.as_object().into_iter().flatten();
    let plain = members.filter(|(_, value)| !value.is_object() && !value.is_array());
    plain.filter_map(|(name, value)| Some((name.clone(), Said(value).as_text()?))).collect()
}

/// What was measured, and what the policy says of it. An event has nothing that is measured.
fn measured(condition: Said<'_>, metric: Option<String>) -> Option<String> {
    let unit = condition.text("unit").unwrap_or_default();
    let reading = condition.text("currentValue").map(|reading| format!("{reading}{unit}"))?;
    let limit = condition.text("calcType").zip(condition.text("calcValue"));
    let limit = limit.map(|(how, limit)| format!("({how} {limit}{})", condition.text("calcUnit").unwrap_or(unit)));
    Some([metric, Some(reading), limit].into_iter().flatten().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::signal::odd::{sound, spoilt};
    use proptest::prelude::*;
    use serde_json::json;

    fn metric(change: Value) -> Value {
        let mut body = json!({
            "sessionId": "s", "alarmStatus": "1", "alarmType": "metric",
            "alarmObjInfo": { "region": "gz", "namespace": "qce/cvm", "dimensions": { "unInstanceId": "ins-1", "objId": "o-1" } },
            "alarmPolicyInfo": { "policyId": "policy-1", "policyName": "cpu", "policyType": "cvm_device", "conditions": {
                "metricName": "cpu_usage", "metricShowName": "CPU", "calcType": ">", "calcValue": "90", "currentValue": "97",
                "unit": "%"
            } },
            "firstOccurTime": "2026-11-28 11:00:00", "durationTime": 500, "recoverTime": "0"
        });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    }

    fn event(status: Value) -> Value {
        json!({
            "sessionId": "s", "alarmStatus": status, "alarmType": "event",
            "alarmObjInfo": { "region": "gz", "dimensions": {
                "unInstanceId": "ins-1", "deviceName": "db1", "objDetail": { "ip": "10.0.0.7" }
            } },
            "alarmPolicyInfo": { "policyName": "hosts", "policyTypeCName": "云服务器-基础监控", "conditions": {
                "productName": "cvm", "eventName": "ping_unreachable", "eventShowName": "ping不可达"
            } },
            "additionalMsg": [{ "key": "ip", "value": "something abnormal" }],
            "firstOccurTime": "2026-11-28 11:00:00", "durationTime": 0, "recoverTime": "0"
        })
    }

    fn read_one(body: Value) -> Signal {
        let mut signals = read(&Message { body, ..Message::default() }).unwrap();
        assert_eq!(signals.len(), 1);
        signals.remove(0)
    }

    #[test]
    fn a_metric_that_is_over_its_limit() {
        let signal = read_one(metric(json!({})));
        assert_eq!(
            (signal.word, signal.key.as_deref()),
            (Word::Firing, Some("tencent/policy-1/cpu_usage/objId=o-1,unInstanceId=ins-1"))
        );
        assert_eq!((signal.summary.as_str(), signal.details.as_str()), ("ins-1: cpu (CPU)", "CPU 97% (> 90%)"));
        let labels =
            ["unInstanceId", "metric", "namespace", "policy", "policy_type", "region"].map(|name| signal.labels[name].clone());
        assert_eq!(labels, ["ins-1", "cpu_usage", "qce/cvm", "cpu", "cvm_device", "gz"]);
        assert_eq!(signal.at.unwrap().to_rfc3339(), "2026-11-28T03:00:00+00:00", "the clock of Beijing");
    }

    #[test]
    fn a_status_is_a_text_or_a_number() {
        for status in [json!("0"), json!(0)] {
            let signal = read_one(metric(json!({ "alarmStatus": status, "recoverTime": "2026-11-28 11:10:00" })));
            assert_eq!((signal.word, signal.at.unwrap().timestamp()), (Word::Resolved, 1_795_835_400));
        }
        for status in [json!("1"), json!(1), json!("-"), json!(null)] {
            assert_eq!(read_one(metric(json!({ "alarmStatus": status }))).word, Word::Firing);
        }
        assert_eq!(read_one(metric(json!({ "alarmStatus": 0 }))).at, None, "0 is no time");
    }

    #[test]
    fn an_event_has_no_limit_and_perhaps_no_number_of_its_policy() {
        let signal = read_one(event(json!("1")));
        assert_eq!(
            (signal.word, signal.key.as_deref()),
            (Word::Firing, Some("tencent/hosts/ping_unreachable/unInstanceId=ins-1"))
        );
        assert_eq!((signal.summary.as_str(), signal.details.as_str()), ("db1: hosts (ping不可达)", "ip: something abnormal"));
        assert_eq!(signal.labels["policy_type"], "云服务器-基础监控");
        assert_eq!(read_one(event(json!("0"))).word, Word::Resolved);
    }

    #[test]
    fn each_metric_of_a_thing_has_its_own_key() {
        let key = |name: &str, dimensions: Value| {
            let mut body = metric(json!({ "alarmObjInfo": { "dimensions": dimensions } }));
            body["alarmPolicyInfo"]["conditions"]["metricName"] = json!(name);
            read_one(body).key.unwrap()
        };
        let thing = json!({ "unInstanceId": "ins-1", "objName": "db1" });
        assert_ne!(key("cpu_usage", thing.clone()), key("mem_usage", thing.clone()));
        assert_ne!(key("cpu_usage", json!({ "unInstanceId": "ins-2" })), key("cpu_usage", thing.clone()));
        assert_eq!(key("cpu_usage", json!({ "unInstanceId": "ins-1", "objName": "db1 (new name)" })), key("cpu_usage", thing));
    }

    #[test]
    fn little_may_be_said() {
        let signal = read_one(json!({ "alarmPolicyInfo": {} }));
        assert_eq!((signal.word, signal.summary.as_str(), signal.key), (Word::Firing, "an alarm of Tencent Cloud", None));
        let mut body = metric(json!({}));
        body["alarmPolicyInfo"]["policyName"] = Value::Null;
        body["alarmPolicyInfo"]["conditions"] = json!([body["alarmPolicyInfo"]["conditions"]]);
        let signal = read_one(body);
        assert_eq!((signal.summary.as_str(), signal.details.as_str()), ("ins-1: CPU", "CPU 97% (> 90%)"), "conditions as a list");
    }

    #[test]
    fn its_session_comes_back() {
        assert_eq!(answer(&metric(json!({}))), [("sessionId", json!("s")), ("retCode", json!(0))]);
        let long = metric(json!({ "sessionId": "s".repeat(5_000) }));
        assert_eq!(answer(&long)[0].1.as_str().map(str::len), Some(LONGEST_SESSION));
        assert_eq!(answer(&json!([]))[0], ("sessionId", json!("")));
    }

    #[test]
    fn what_is_no_alarm_is_refused() {
        let refused = read(&Message { body: json!({ "sessionId": "s" }), ..Message::default() }).unwrap_err();
        assert!(refused.field == "alarmPolicyInfo" && refused.why.contains("notification template"), "{refused}");
    }

    proptest! {
        #[test]
        fn no_message_is_too_odd(first in spoilt(metric(json!({}))), second in spoilt(event(json!(1)))) {
            sound(&READER, first)?;
            sound(&READER, second)?;
        }
    }
}
