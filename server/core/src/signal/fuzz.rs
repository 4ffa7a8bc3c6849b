//! Every reader over messages that were mutilated on their way: members go, move, or are something else, and texts are cut and doubled. The
//! cases are the same each time; `AUTOCALL_FUZZ=100000` tries so many of each sample.

#![expect(clippy::unwrap_used, reason = "test")]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::odd::places;
use super::opsgenie::{self, ACTIONS};
use super::said::Message;
use super::{Signal, Word, pagerduty, reader, readers};
use crate::visible::is_blank;

/// Cases of each sample, unless somebody asks for more.
const CASES: u64 = 250;
/// No message is about more things than this at once.
const MOST_SIGNALS: usize = 4;

/// Where chance comes from: the same each time (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// What programs stumble over.
fn stumbling_blocks() -> Vec<Value> {
    let mut blocks: Vec<Value> = [
        "",
        " ",
        "\u{0}",
        "0",
        "-1",
        "1e999",
        "null",
        "{}",
        "[]",
        "{\"a\":",
        "%",
        "%s",
        "$",
        "$$",
        "{EVENT.ID}",
        "*UNKNOWN*",
        "\u{200b}",
        "\u{202e}abc",
        "\u{feff}",
        "\r\n",
        "://",
        "https://",
        "=",
        ",;,",
        "\\",
        "/",
        "9999-99-99T99:99:99Z",
        "0001-01-01T00:00:00Z",
        "é\u{301}",
        "99999999999999999999",
        "-62135596800",
        "resolved",
        "test_alarm",
        "💥",
    ]
    .map(Value::from)
    .into();
    blocks.extend([
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(2),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e300),
        json!(0.1),
        json!([]),
        json!({}),
        json!([[[[]]]]),
        json!(["a", null, 7, { "name": "b" }]),
        json!("x".repeat(3_000)),
        json!("好".repeat(700)),
        json!({ "name": null, "": "", "value": [] }),
    ]);
    blocks
}

/// One change, anywhere.
fn mutilate(body: &mut Value, dice: &mut Dice, blocks: &[Value]) {
    let all = places(body);
    let (at, other) = (dice.one(&all).clone(), dice.one(&all).clone());
    let moved = body.pointer(&other).cloned().unwrap_or_default();
    let way = dice.below(8);
    let block = dice.one(blocks).clone();
    let Some(found) = body.pointer_mut(&at) else { return };
    match (way, &mut *found) {
        (0 | 1, _) => *found = block,
        (2, Value::Object(members)) => {
            let names: Vec<String> = members.keys().cloned().collect();
            if let Some(name) = names.get(dice.below(names.len())) {
                members.remove(name);
            }
        }
        (3, Value::Object(members)) => {
            let names: Vec<String> = members.keys().cloned().collect();
            if let Some(value) = names.get(dice.below(names.len())).and_then(|name| members.remove(name)) {
                members.insert(dice.one(&names).clone(), value);
            }
        }
        // So it grows no further than a few times its size.
        (4, _) if moved.to_string().len() < 4_000 => *found = moved,
        (5, other) => *other = json!([other.clone()]),
        (6, other) => *other = Value::from(other.to_string()),
        (_, Value::String(text)) => {
            let mut letters: Vec<char> = text.chars().collect();
            let (from, to) = (dice.below(letters.len() + 1), dice.below(letters.len() + 1));
            let piece: Vec<char> = letters[from.min(to)..from.max(to)].to_vec();
            if dice.below(2) == 0 {
                letters.drain(from.min(to)..from.max(to));
            } else {
                letters.splice(from..from, piece.into_iter().chain(block.to_string().chars().take(20)));
            }
            *text = letters.into_iter().collect();
        }
        (_, Value::Array(list)) => list.extend(list.first().cloned()),
        (_, Value::Number(number)) => *found = Value::from(number.to_string()),
        (_, other) => *other = block,
    }
}

/// What each kind of sender says, by the name of its reader.
fn samples() -> Vec<(&'static str, Value)> {
    let sns = json!({
        "AlarmName": "db1-cpu", "AlarmDescription": null, "AWSAccountId": "111122223333", "NewStateValue": "ALARM", "OldStateValue": "OK",
        "NewStateReason": "Threshold Crossed", "StateChangeTime": "2026-11-28T03:00:00.000+0000", "Region": "EU (Ireland)",
        "AlarmArn": "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:db1-cpu",
        "Trigger": { "MetricName": "CPUUtilization", "Namespace": "AWS/EC2", "Dimensions": [{ "name": "InstanceId", "value": "i-1" }] }
    });
    vec![
        (
            "zabbix",
            json!({
                "event_source": "0", "event_id": "1042", "event_value": "1", "update_status": "1", "severity": "4", "name": "磁盘满",
                "host": "db1", "host_ip": "10.0.0.7", "to": "18712345678", "trigger_id": "17", "zabbix_url": "https://z.example/",
                "tags": [{ "tag": "team", "value": "db" }], "opdata": "98 %", "message": "{TRIGGER.DESCRIPTION}", "user": "Li Na",
                "update_action": "acknowledged and changed severity from High to Disaster", "update_message": "on it"
            }),
        ),
        (
            "nightingale",
            json!({
                "id": 88121, "cluster": "prod", "group_name": "shop", "hash": "9c1b0c5b7d0a4b4f8a2d0f6b1c2d3e4f", "rule_id": 412,
                "rule_name": "磁盘使用率过高", "rule_note": "清理 /var", "severity": 1, "prom_ql": "disk_used_percent > 95", "runbook_url": "",
                "target_ident": "db1", "trigger_time": 1_795_836_000, "trigger_value": "97.3", "tags": ["ident=db1", "path=/var"],
                "tags_map": { "ident": "db1", "path": "/var" }, "annotations": { "phones": "18712345678" }, "is_recovered": false,
                "notify_users_obj": [{ "username": "lina", "phone": "18712345678" }], "last_eval_time": 1_795_836_060, "recover_time": 0
            }),
        ),
        (
            "nagios",
            json!({
                "type": "PROBLEM", "host": "db1", "service": "disk /var", "state": "CRITICAL", "output": "CRIT \"99%\" full é",
                "long_output": "line two\\nC:\\\\new", "author": "li na", "comment": "on it", "phones": "18712345678", "timet": "1795836000"
            }),
        ),
        (
            "kuma",
            json!({
                "heartbeat": { "monitorID": 7, "status": 0, "time": "2026-11-28 03:00:00.000", "msg": "timeout", "ping": null },
                "monitor": { "id": 7, "name": "shop", "url": "https://shop.example", "hostname": null, "type": "http",
                             "tags": [{ "name": "team", "value": "web" }] },
                "msg": "[shop] [🔴 Down] timeout"
            }),
        ),
        (
            "prometheus",
            json!({
                "labels": { "alertname": "DiskFull", "instance": "db1:9100", "severity": "critical" },
                "annotations": { "summary": "Disk of db1 full", "phones": "18712345678", "runbook_url": "https://w.example" },
                "startsAt": "2026-11-28T03:00:00.123Z", "endsAt": "2026-11-28T03:05:00.123Z", "generatorURL": "https://p.example/graph"
            }),
        ),
        (
            "generic",
            json!({
                "status": "DOWN", "title": "Disk full", "message": "99 %", "alias": "db1/disk", "urgency": "P1", "link": "https://x.example",
                "tags": ["team:db", "prod"], "phones": "18712345678; Li Na", "timestamp": 1_795_834_800, "labels": { "a": 1 }
            }),
        ),
        ("generic", json!({ "version": "1.0", "title": "Disk full", "message": "99 %", "attachments": [], "type": "failure" })),
        (
            "sns",
            json!({
                "Type": "Notification", "MessageId": "m-1", "TopicArn": "arn:aws:sns:eu-west-1:111122223333:alarms", "Subject": "ALARM",
                "Message": sns.to_string(), "Timestamp": "2026-11-28T03:00:01.000Z", "SignatureVersion": "1", "Signature": "c2ln"
            }),
        ),
        ("sns", sns),
        (
            "sns",
            json!({
                "Type": "SubscriptionConfirmation", "MessageId": "m-2", "Token": "t-1", "TopicArn": "arn:aws:sns:eu-west-1:1:alarms",
                "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t-1"
            }),
        ),
        (
            "azure",
            json!({
                "schemaId": "azureMonitorCommonAlertSchema", "data": { "essentials": {
                    "alertId": "/subscriptions/1/alerts/2", "alertRule": "cpu", "severity": "Sev1", "monitorCondition": "Fired",
                    "monitoringService": "Platform", "alertTargetIDs": ["/subscriptions/1/db1"], "configurationItems": ["db1"],
                    "firedDateTime": "2026-11-28T03:00:00.1234567Z", "description": "" }, "alertContext": {}, "customProperties": null }
            }),
        ),
        (
            "google",
            json!({
                "incident": { "incident_id": "0.abc", "url": "https://g.example", "started_at": 1_795_836_000, "ended_at": null,
                    "state": "open", "severity": "Critical", "policy_name": "CPU", "condition_name": "high", "resource_name": "db1",
                    "resource": { "type": "gce_instance", "labels": {} }, "summary": "CPU", "documentation": { "content": "x" } },
                "version": "1.2"
            }),
        ),
        (
            "datadog",
            json!({
                "id": "1", "cycle": "2", "transition": "Triggered", "title": "Disk", "body": "full", "priority": "normal",
                "scope": "host:db1", "link": "https://d.example", "tags": "team:db,prod"
            }),
        ),
        (
            "alibaba",
            json!({
                "alertName": "cpu", "ruleId": "r-1", "timestamp": "1795836000000", "alertState": "ALERT", "triggerLevel": "CRITICAL",
                "curValue": "97", "expression": "$Average>=90", "dimensions": "{userId=1, instanceId=i-1}", "instanceName": "db1",
                "metricName": "CPU", "namespace": "acs_ecs", "lastTime": "5m"
            }),
        ),
        (
            "tencent",
            json!({
                "sessionId": "s", "alarmStatus": "1", "alarmType": "metric",
                "alarmObjInfo": { "region": "gz", "namespace": "qce/cvm", "dimensions": { "unInstanceId": "ins-1" } },
                "alarmPolicyInfo": { "policyId": "policy-1", "policyName": "cpu", "conditions": {
                    "metricShowName": "CPU", "calcType": ">", "calcValue": "90", "currentValue": "97", "unit": "%" } },
                "firstOccurTime": "2026-11-28 11:00:00", "durationTime": 500, "recoverTime": "0"
            }),
        ),
        (
            "sentry",
            json!({
                "action": "triggered", "data": { "event": { "event_id": "e", "title": "boom", "culprit": "x.py", "level": "error",
                    "web_url": "https://s.example", "issue_id": "117", "datetime": "2026-11-28T03:00:00Z" }, "triggered_rule": "prod" }
            }),
        ),
        (
            "sentry",
            json!({
                "action": "critical", "data": { "description_title": "Errors", "description_text": "9 in an hour",
                    "web_url": "https://s.example", "metric_alert": { "alert_rule": { "id": 7 } } }
            }),
        ),
        (
            "graylog",
            json!({
                "event_definition_id": "d", "event_definition_title": "Logins", "event": { "id": "e", "timestamp": "2026-11-28T03:00:00Z",
                    "message": "too many", "source": "gl", "key": "user", "priority": 3, "alert": true, "fields": { "a": 1 } }, "backlog": []
            }),
        ),
        (
            "gitlab",
            json!({
                "object_kind": "pipeline", "object_attributes": { "id": 1, "ref": "main", "status": "failed",
                    "created_at": "2026-11-28 03:00:00 UTC", "finished_at": "2026-11-28 03:01:00 UTC" },
                "project": { "path_with_namespace": "a/b", "web_url": "https://l.example" }, "user": { "name": "Li Na" }
            }),
        ),
    ]
}

/// What senders speak in beside the body.
const HEADERS: [(&str, &str); 7] = [
    ("x-amz-sns-message-type", "Notification"),
    ("x-amz-sns-message-type", "SubscriptionConfirmation"),
    ("x-amz-sns-rawdelivery", "true"),
    ("sentry-hook-resource", "event_alert"),
    ("sentry-hook-resource", "metric_alert"),
    ("x-gitlab-event", "Pipeline Hook"),
    ("x-amz-sns-message-id", ""),
];

fn cases() -> u64 {
    std::env::var("AUTOCALL_FUZZ").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES)
}

/// Mutilated copies of a sample.
fn mutilated(sample: &Value, seed: u64, mut each: impl FnMut(Value, &mut Dice)) {
    let blocks = stumbling_blocks();
    for case in 0..cases() {
        let mut dice = Dice(seed << 32 | case);
        let mut body = sample.clone();
        for _ in 0..=dice.below(4) {
            mutilate(&mut body, &mut dice, &blocks);
        }
        each(body, &mut dice);
    }
}

/// What holds of whatever was understood.
fn check(signal: &Signal, about: &Value) {
    if signal.word == Word::Firing {
        assert!(!is_blank(&signal.summary), "who is rung hears something: {about}");
    }
    assert!(signal.key.as_ref().is_none_or(|key| !is_blank(key)), "a key that says nothing is that of all others: {about}");
    assert!(signal.whom.iter().all(|one| !is_blank(one)), "{about}");
    assert!(signal.at.is_none_or(|at| at.timestamp() > 0), "{about}");
}

#[test]
fn no_reader_is_left_out() {
    let tried: Vec<&str> = samples().iter().map(|(name, _)| *name).collect();
    assert!(readers().all(|reader| tried.contains(&reader.name)), "{tried:?}");
}

#[test]
fn every_mutilated_message_is_read_or_refused_with_a_reason() {
    for (seed, (name, sample)) in (1..).zip(samples()) {
        let reader = reader(name).unwrap();
        assert!((reader.read)(&Message { body: sample.clone(), ..Message::default() }).is_ok(), "{name} is understood as it is");
        mutilated(&sample, seed, |mut body, dice| {
            let mut query = BTreeMap::new();
            if dice.below(4) == 0
                && let Value::Object(members) = &mut body
            {
                // Some stand in the address instead.
                let names: Vec<String> = members.keys().cloned().collect();
                for name in names.into_iter().filter(|_| dice.below(2) == 0) {
                    let value = members.remove(&name).unwrap_or_default();
                    query.insert(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                }
            }
            let headers = HEADERS.iter().filter(|_| dice.below(8) == 0);
            let headers = headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let message = Message { body, query, headers };
            let read = (reader.read)(&message);
            let about = json!({ "reader": name, "body": message.body, "query": message.query });
            match &read {
                Err(refused) => assert!(!refused.field.is_empty() && !refused.why.is_empty(), "{about}"),
                Ok(signals) => {
                    assert!((1..=MOST_SIGNALS).contains(&signals.len()), "{about}");
                    for signal in signals {
                        check(signal, &about);
                    }
                }
            }
            assert_eq!(read, (reader.read)(&message), "the same message says the same: {about}");
            let answered = (reader.answer)(&message.body);
            assert!(answered.iter().all(|(_, value)| value.to_string().len() < 2_000), "{about}");
        });
    }
}

#[test]
fn every_mutilated_event_of_pagerduty_is_read_or_refused_in_its_words() {
    let v2 = json!({
        "routing_key": "k", "event_action": "trigger", "dedup_key": "k1", "client": "Zabbix", "client_url": "https://z.example",
        "payload": { "summary": "Disk full", "source": "db1", "severity": "critical", "timestamp": "2026-11-28T03:00:00.000+0000",
            "component": "disk", "group": "db", "class": "storage", "custom_details": { "free": "1 %" } },
        "links": [{ "href": "https://a.example", "text": "Event" }], "images": [{ "src": "https://b.example", "alt": "b" }]
    });
    let v1 = json!({
        "service_key": "k", "event_type": "trigger", "incident_key": "i", "description": "Disk full", "client": "x",
        "details": { "free": "1 %" }, "contexts": [{ "type": "link", "href": "https://a.example", "text": "a" }]
    });
    for (seed, sample) in (100..).zip([v2, v1]) {
        mutilated(&sample, seed, |body, _| {
            for read in [pagerduty::read_v2, pagerduty::read_v1] {
                match read(&body, "made-up") {
                    Ok((signal, key)) => {
                        check(&signal, &body);
                        assert!(!is_blank(&key), "whoever sent it can resolve it: {body}");
                    }
                    Err(errors) => assert!(!errors.is_empty() && errors.iter().all(|error| !is_blank(error)), "{body}"),
                }
            }
            if let Ok(signal) = pagerduty::read_change(&body) {
                check(&signal, &body);
            }
            for key in [pagerduty::key_v2(&body), pagerduty::key_v1(&body)].into_iter().flatten() {
                assert!(!is_blank(&key), "{body}");
            }
        });
    }
}

#[test]
fn every_mutilated_request_of_opsgenie_is_read_or_refused_in_its_words() {
    let create = json!({
        "message": "Disk full", "alias": "db1/disk", "description": "99 %", "responders": [{ "type": "team", "name": "ops" }],
        "visibleTo": [], "tags": ["db"], "details": { "host": "db1" }, "entity": "db1", "source": "zabbix", "priority": "P1", "user": "li",
        "note": "on it", "owner": { "username": "li" }, "endTime": "2026-11-28T03:00:00Z", "escalation": { "name": "night" }
    });
    mutilated(&create, 200, |body, dice| {
        match opsgenie::create(&body) {
            Ok(signal) => check(&signal, &body),
            Err(errors) => assert!(!errors.is_empty() && errors.values().all(|error| !is_blank(error)), "{body}"),
        }
        for action in &ACTIONS {
            let _ = opsgenie::told(action, &body);
        }
        // A path is made of what stands in the body.
        let which = body["alias"].as_str().unwrap_or("%");
        let what = *dice.one(&["close", "acknowledge", "notes", "tags", "", "/", "%2F", "requests"]);
        let query = [("identifierType".to_owned(), (*dice.one(&["alias", "id", "tiny", "", "x"])).to_owned())].into();
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            for path in [format!("alerts/{which}/{what}"), format!("{what}/{which}"), format!("alerts/requests/{which}")] {
                if let Some((action, _)) = opsgenie::action(method, &path, &query) {
                    assert!(!action.called().is_empty() && !action.status(true).is_empty());
                }
            }
        }
        let errors = [("message".to_owned(), which.to_owned())].into();
        assert!(opsgenie::unprocessable(&errors, Duration::ZERO, "n")["errors"].is_object());
    });
}
