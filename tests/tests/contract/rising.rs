//! An answer covers what was in an alarm when its call was handed out: what comes in while the phone rings is rung for.

use autocall::store::watch::handsets::Profile;
use serde_json::{Value, json};

use crate::gateway::{Gateway, add_smsgate, near};
use crate::harness::{A, Home, Server, on_both};
use crate::native;

on_both!(
    a_worse_alert_that_joins_while_the_phone_rings_rings_again,
    a_new_alert_that_joins_while_the_phone_rings_rings_in_a_while,
    what_came_before_the_call_is_covered_by_it,
    a_late_answer_does_not_cover_what_came_since,
    who_is_to_confirm_heard_of_something_less_urgent,
    everybody_who_had_heard_less_is_rung_again,
    a_text_message_covers_what_its_sender_had_been_given,
    a_text_message_leaves_what_is_rung_for_later,
    a_native_handset_says_when_it_was_connected,
    a_new_alert_in_a_group_that_flaps_is_rung_for,
    what_a_plain_sender_says_anew_is_kept,
);

fn group(status: &str, alerts: &[(&str, &str)]) -> Value {
    let alert = |(node, severity): &(&str, &str)| {
        json!({
            "status": status, "labels": { "alertname": "NodeDown", "node": node, "severity": severity },
            "annotations": { "summary": format!("{node} is down"), "phones": A },
        })
    };
    json!({
        "receiver": "autocall", "status": status, "alerts": alerts.iter().map(alert).collect::<Vec<_>>(),
        "groupLabels": { "alertname": "NodeDown" }, "commonLabels": { "alertname": "NodeDown" }, "commonAnnotations": {},
        "externalURL": "http://am:9093", "version": "4", "groupKey": "{}:{alertname=\"NodeDown\"}", "truncatedAlerts": 0,
    })
}

async fn send(server: &Server, body: &Value) -> (String, String) {
    let (status, answer) = server.post("/api/v1/intake/alertmanager", body).await;
    assert_eq!(status, 200, "{answer}");
    let first = &answer["alarms"][0];
    (first["outcome"].as_str().unwrap().to_owned(), first["id"].as_str().unwrap().to_owned())
}

const CALM: &[(&str, &str)] = &[("db1", "warning")];
const WORSE: &[(&str, &str)] = &[("db1", "warning"), ("db2", "critical")];
const MORE: &[(&str, &str)] = &[("db1", "warning"), ("db2", "warning")];

async fn raise(server: &Server, priority: &str, more: Value) -> String {
    let mut body = json!({ "summary": "disk", "phones": [A], "dedup_key": "disk", "priority": priority });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, alarm) = server.post("/api/v1/alarms", &body).await;
    assert!(status < 300, "{alarm}");
    alarm["id"].as_str().unwrap().to_owned()
}

/// Rings until the phone may be given another call.
async fn rung_again(server: &Server, desk: &str, why: &str) -> (String, Vec<String>) {
    for _ in 0..20 {
        let body = server.app_poll(desk).await;
        if body["phone"].as_array().is_some_and(|phones| !phones.is_empty()) {
            return (body["mid"].as_str().unwrap().to_owned(), serde_json::from_value(body["phone"].clone()).unwrap());
        }
        server.pass(10).await;
    }
    panic!("nobody is rung again: {why}")
}

async fn a_worse_alert_that_joins_while_the_phone_rings_rings_again(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let (_, id) = send(&server, &group("firing", CALM)).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.pass(5).await;
    assert_eq!(send(&server, &group("firing", WORSE)).await, ("repeated".to_owned(), id.clone()));
    server.pass(5).await;
    server.report(&desk, &mid, Some(A)).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["state"], "waiting", "whoever picked up had been called for a warning: {alarm}");
    assert!(alarm["timeline"].to_string().contains("\"why\":\"worse\""), "{alarm}");
    let (again, _) = rung_again(&server, &desk, "what is critical was not heard of").await;
    assert_ne!(again, mid);
    server.report(&desk, &again, Some(A)).await;
    assert_eq!(server.state(&id).await, "answered", "that call was about all of it");
    server.pass(1_000).await;
    server.app_idle(&desk).await;
}

async fn a_new_alert_that_joins_while_the_phone_rings_rings_in_a_while(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let (_, id) = send(&server, &group("firing", CALM)).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.pass(5).await;
    send(&server, &group("firing", MORE)).await;
    server.report(&desk, &mid, Some(A)).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["state"], "answered");
    assert!(alarm["rings_again_at"].is_string(), "db2 was in no call: {alarm}");
    // It repeats as it does, and finds nothing new.
    server.pass(300).await;
    send(&server, &group("firing", MORE)).await;
    server.pass(600).await;
    assert_eq!(server.state(&id).await, "waiting", "a quarter of an hour after people were rung last");
    let (again, _) = rung_again(&server, &desk, "db2 was not heard of").await;
    server.report(&desk, &again, Some(A)).await;
    server.pass(1_000).await;
    assert_eq!(server.state(&id).await, "answered");
}

async fn what_came_before_the_call_is_covered_by_it(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let (_, id) = send(&server, &group("firing", CALM)).await;
    server.pass(1).await;
    send(&server, &group("firing", WORSE)).await;
    server.pass(1).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.pass(5).await;
    // Less than before, and the same again.
    send(&server, &group("firing", CALM)).await;
    server.report(&desk, &mid, Some(A)).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((alarm["state"].as_str(), &alarm["rings_again_at"]), (Some("answered"), &Value::Null), "{alarm}");
    server.pass(1_000).await;
    server.app_idle(&desk).await;
}

async fn a_late_answer_does_not_cover_what_came_since(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = raise(&server, "normal", json!({ "attempts": 1 })).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.pass(400).await;
    assert_eq!(server.state(&id).await, "no_answer", "nothing was reported");
    raise(&server, "critical", json!({ "attempts": 1 })).await;
    assert_eq!(server.state(&id).await, "waiting");
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(&id).await, "waiting", "the call was handed out before it rose");
    let (again, _) = rung_again(&server, &desk, "what is critical was not heard of").await;
    server.report(&desk, &again, Some(A)).await;
    assert_eq!(server.state(&id).await, "answered");
}

async fn who_is_to_confirm_heard_of_something_less_urgent(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let waits = json!({ "confirm_within_seconds": 3600, "min_interval_seconds": 0 });
    let id = raise(&server, "normal", waits.clone()).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.pass(5).await;
    raise(&server, "critical", waits).await;
    server.pass(5).await;
    server.report(&desk, &mid, Some(A)).await;
    let (again, _) = rung_again(&server, &desk, "whoever picked up heard of something less urgent").await;
    server.report(&desk, &again, Some(A)).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["timeline"].to_string().matches("\"kind\":\"lapsed\"").count(), 1, "{alarm}");
    server.pass(100).await;
    server.app_idle(&desk).await;
}

async fn everybody_who_had_heard_less_is_rung_again(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let all = json!({ "phones": [A, "13900139000"], "until": "everyone", "attempts": 3 });
    let id = raise(&server, "normal", all.clone()).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.pass(5).await;
    raise(&server, "critical", all).await;
    server.pass(5).await;
    server.report(&desk, &mid, Some(A)).await;
    let mut rung: Vec<String> = Vec::new();
    for _ in 0..2 {
        let (again, phones) = rung_again(&server, &desk, "both are wanted").await;
        server.report(&desk, &again, Some(&phones[0])).await;
        rung.extend(phones);
        server.pass(80).await;
    }
    rung.sort_unstable();
    rung.dedup();
    assert_eq!(rung, ["13900139000", A], "A had heard of something less urgent");
    assert_eq!(server.state(&id).await, "answered");
}

fn text(id: &str, written: chrono::DateTime<chrono::Utc>) -> Value {
    json!({ "deviceId": "d", "event": "sms:received", "id": id, "webhookId": "w",
        "payload": { "messageId": id, "message": "1", "sender": A, "phoneNumber": A, "simNumber": 1,
            "receivedAt": written.to_rfc3339() } })
}

async fn a_text_message_covers_what_its_sender_had_been_given(home: Home) {
    let server = near(home).start().await;
    let (_, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    let desk = server.pair("desk", Profile::App).await;
    let (_, id) = send(&server, &group("firing", CALM)).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, None).await;
    server.pass(3).await;
    let written = server.now();
    server.pass(8).await;
    assert_eq!(send(&server, &group("firing", WORSE)).await.0, "repeated");
    server.pass(1).await;
    let (status, answer) = server.post(&inbound, &text("m1", written)).await;
    assert_eq!((status, answer["effect"].as_str()), (200, Some("confirmed")), "{answer}");
    assert_eq!(server.state(&id).await, "waiting", "it was written before anything was critical");
    let (again, _) = rung_again(&server, &desk, "what is critical was not heard of").await;
    server.report(&desk, &again, None).await;
    server.pass(2).await;
    let (_, answer) = server.post(&inbound, &text("m2", server.now())).await;
    assert_eq!(answer["effect"], "confirmed", "{answer}");
    assert_eq!(server.state(&id).await, "answered", "they were called for all of it");
}

async fn a_text_message_leaves_what_is_rung_for_later(home: Home) {
    let server = near(home).start().await;
    let (_, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    let desk = server.pair("desk", Profile::App).await;
    let (_, id) = send(&server, &group("firing", CALM)).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.pass(5).await;
    server.report(&desk, &mid, Some(A)).await;
    let written = server.now();
    server.pass(5).await;
    send(&server, &group("firing", MORE)).await;
    let rings_at = server.alarm(&id).await["rings_again_at"].clone();
    assert!(rings_at.is_string());
    server.pass(5).await;
    let (_, answer) = server.post(&inbound, &text("m1", written)).await;
    assert_eq!(answer["effect"], "confirmed", "{answer}");
    assert_eq!(server.alarm(&id).await["rings_again_at"], rings_at, "it was written before db2 was down");
}

async fn a_native_handset_says_when_it_was_connected(home: Home) {
    let server = home.start().await;
    let pixel = server.pair("pixel", Profile::Native).await;
    for (rises_first, state) in [(true, "answered"), (false, "waiting")] {
        let more = json!({ "dedup_key": format!("disk-{rises_first}") });
        let id = raise(&server, "normal", more.clone()).await;
        let offer = native::poll(&server, &pixel).await;
        let progress = format!("/h/pixel/progress?mid={}", offer["mid"].as_str().unwrap());
        server.pass(5).await;
        for step in [rises_first, !rises_first] {
            match step {
                true => drop(raise(&server, "critical", more.clone()).await),
                false => {
                    let connected = json!({ "number": offer["phone"][0], "state": "connected" });
                    native::send(&server, "POST", &progress, Some(connected)).await;
                }
            }
            server.pass(1).await;
        }
        // Told again, and what follows it, change nothing.
        for later in ["connected", "ended"] {
            let word = json!({ "number": offer["phone"][0], "state": later });
            native::send(&server, "POST", &progress, Some(word)).await;
        }
        let calls = json!([{ "number": offer["phone"][0], "outcome": "answered", "talk_seconds": 9 }]);
        native::report(&server, &pixel, &offer["mid"], "", calls).await;
        assert_eq!(server.state(&id).await, state, "it rose before the line was connected: {rises_first}");
        server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
        server.pass(100).await;
    }
}

async fn a_new_alert_in_a_group_that_flaps_is_rung_for(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let (_, id) = send(&server, &group("firing", CALM)).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &json!({ "number": A })).await.0, 200);
    server.pass(60).await;
    send(&server, &group("resolved", CALM)).await;
    server.pass(1).await;
    assert_eq!(send(&server, &group("firing", MORE)).await, ("reopened".to_owned(), id.clone()));
    server.app_idle(&desk).await;
    assert!(server.alarm(&id).await["rings_again_at"].is_string(), "nobody was told of db2");
    for _ in 0..3 {
        server.pass(280).await;
        send(&server, &group("firing", MORE)).await;
    }
    assert_eq!(server.state(&id).await, "waiting", "a quarter of an hour after people were rung last");
    rung_again(&server, &desk, "nobody was told of db2").await;
}

async fn what_a_plain_sender_says_anew_is_kept(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = raise(&server, "normal", json!({ "details": "80 % full" })).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    server.pass(5).await;
    raise(&server, "normal", json!({ "details": "99 % full" })).await;
    raise(&server, "normal", json!({ "details": "80 % full" })).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["state"], "answered");
    let timeline = alarm["timeline"].to_string();
    assert_eq!(timeline.matches("99 % full").count(), 1, "it is kept somewhere: {timeline}");
}
