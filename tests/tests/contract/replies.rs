//! Text messages from people: who was rung confirms, a stranger changes nothing, and twice is once.

use autocall::engine::Doer;
use autocall::kinds::notices::WebhookShape;
use autocall::store::lines::webhooks::NoticeKind;
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use serde_json::{Value, json};

use crate::gateway::{Gateway, add_smsgate, near};
use crate::harness::{A, B, C, Home, Server, on_both};
use crate::notices::{Room, add, deliver};

on_both!(
    who_was_rung_confirms,
    a_stranger_changes_nothing,
    twice_is_once,
    every_form_is_read,
    declining_and_stopping_are_kept,
    whoever_wants_to_be_rung_no_more_is_taken_off_and_people_are_told,
    an_answer_to_what_is_over_is_not_for_another_alarm,
    who_declines_is_taken_off_the_hunt_that_is_under_way,
    too_late_is_too_late,
    after_nobody_answered_it_still_counts,
    wrong_tokens_and_bodies_are_refused,
);

/// A server that rings A for an alarm, and the path at which the phone reports.
async fn ringing(home: Home) -> (Server, String, String, String) {
    let server = near(home).start().await;
    let people = autocall::keep::people_import::read_csv(
        "name,numbers,language\n李娜,18712345678,zh-CN\n",
        server.home.config().default_region,
    )
    .unwrap();
    server
        .app
        .engine
        .store
        .carry_out(server.home.clock.now(), Doer::Server, async |work| autocall::keep::people_import::import(work, &people).await)
        .await
        .unwrap();
    let (_, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A, B], json!({ "attempts": 1 })).await;
    server.app_dial(&desk).await;
    (server, inbound, desk, id)
}

/// Told by the phone as it arrives.
pub fn smsgate(server: &Server, id: &str, sender: &str, text: &str) -> Value {
    json!({ "deviceId": "d", "event": "sms:received", "id": id, "webhookId": "w",
        "payload": { "messageId": "m", "message": text, "sender": sender, "phoneNumber": sender, "simNumber": 1,
            "receivedAt": server.now().to_rfc3339() } })
}

pub async fn told(server: &Server, inbound: &str, message: Value) -> String {
    let (status, answer) = server.post(inbound, &message).await;
    assert_eq!((status, answer["stored"].as_bool()), (200, Some(true)), "{answer}");
    answer["effect"].as_str().unwrap().to_owned()
}

async fn inbox(server: &Server) -> Value {
    server.items("/api/v1/sms/inbox").await
}

async fn who_was_rung_confirms(home: Home) {
    let (server, inbound, _, id) = ringing(home).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E1", "+86 187 1234 5678", " OK! ")).await, "confirmed");
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["state"], "answered");
    let answer = &alarm["answer"];
    assert_eq!((answer["name"].as_str(), answer["via"].as_str()), (Some("李娜"), Some("sms")));
    assert!(answer["confirmed_at"].is_string() && answer["callee_id"] == alarm["callees"][0]["id"]);
    let kept = &inbox(&server).await[0];
    let shown = (kept["sender"].as_str(), kept["reply"].as_str(), kept["effect"].as_str(), kept["alarm_id"].as_str());
    assert_eq!(shown, (Some("+8618712345678"), Some("confirm"), Some("confirmed"), Some(id.as_str())));
}

async fn a_stranger_changes_nothing(home: Home) {
    let (server, inbound, _, id) = ringing(home).await;
    for (mark, sender) in [("E1", C), ("E2", "CMCC"), ("E3", B), ("E4", "")] {
        assert_eq!(
            told(&server, &inbound, smsgate(&server, mark, sender, "1")).await,
            "stranger",
            "{sender}: B was not rung yet"
        );
    }
    assert_eq!(server.state(&id).await, "ringing");
    let kept = inbox(&server).await;
    assert_eq!(kept.as_array().unwrap().len(), 4, "kept and shown");
    assert_eq!((&kept[2]["sender"], &kept[0]["sender"]), (&json!("CMCC"), &Value::Null));
}

async fn twice_is_once(home: Home) {
    let (server, inbound, _, id) = ringing(home).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E1", A, "1")).await, "confirmed");
    assert_eq!(told(&server, &inbound, smsgate(&server, "E1", A, "1")).await, "repeated", "the phone tells it again");
    server.pass(1).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E2", A, "1")).await, "already", "the person writes it again");
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["answers"].as_array().unwrap().len(), 1);
    assert_eq!(inbox(&server).await.as_array().unwrap().len(), 2);
}

async fn every_form_is_read(home: Home) {
    let (server, inbound, _, id) = ringing(home).await;
    let form = autocall_tests::http_client().build().unwrap().post(format!("{}{inbound}", server.base));
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    let posted = server.now().timestamp_millis();
    let body = format!("from=%2B8618712345678&content=%E6%94%B6%E5%88%B0&timestamp={posted}&sign=abc");
    let answer: Value = form.body(body).sent().await.unwrap().json().await.unwrap();
    assert_eq!(answer["effect"], "confirmed", "SmsForwarder's form");
    assert_eq!(server.state(&id).await, "answered");
    assert_eq!(told(&server, &inbound, json!({ "from": A, "text": "ack", "id": "x" })).await, "already", "anything else");
    assert_eq!(told(&server, &inbound, json!({ "event": "system:ping", "id": "E", "payload": {} })).await, "none");
}

async fn declining_and_stopping_are_kept(home: Home) {
    let (server, inbound, _, id) = ringing(home).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E1", A, "2")).await, "declined");
    assert_eq!(server.alarm(&id).await["callees"][0]["verdict"], "declined");
    assert_eq!(told(&server, &inbound, smsgate(&server, "E2", A, "STOP")).await, "stopped");
    assert_eq!(told(&server, &inbound, smsgate(&server, "E3", A, "no problem, I am on it")).await, "none");
    assert_eq!(
        told(&server, &inbound, smsgate(&server, "E4", C, "stop")).await,
        "stranger",
        "or anybody could take a colleague off duty"
    );
    let replies: Vec<String> =
        inbox(&server).await.as_array().unwrap().iter().map(|kept| kept["reply"].as_str().unwrap().to_owned()).collect();
    assert_eq!(replies, ["opt_out", "unknown", "opt_out", "decline"]);
    let forbidden = server.app.engine.store.read().await.unwrap().db().forbidden_numbers().await.unwrap();
    assert_eq!(forbidden.len(), 1);
    assert_eq!(server.state(&id).await, "ringing");
}

async fn whoever_wants_to_be_rung_no_more_is_taken_off_and_people_are_told(home: Home) {
    let (server, inbound, desk, id) = ringing(home).await;
    let (room, hook) = Room::open().await;
    add(&server, &hook, WebhookShape::Slack, &[NoticeKind::OptedOut], "en").await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(&id).await, "answered");
    assert_eq!(told(&server, &inbound, smsgate(&server, "E2", A, "stop")).await, "stopped");
    let alarm = server.alarm(&id).await;
    assert_eq!((alarm["state"].as_str(), alarm["callees"][0]["verdict"].as_str()), (Some("ringing"), Some("declined")));
    assert!(alarm["timeline"].to_string().contains("opted_out"), "{alarm}");
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [B], "the hunt goes on without them");
    server.report(&desk, &mid, Some(B)).await;
    // Long after the time in which a reply counts for an alarm.
    server.pass(86_400).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E4", B, "1")).await, "stranger");
    assert_eq!(told(&server, &inbound, smsgate(&server, "E5", B, "stop")).await, "stopped");
    assert_eq!(server.state(&id).await, "answered", "who answered yesterday answered");
    assert_eq!(told(&server, &inbound, smsgate(&server, "E3", A, "stop")).await, "stopped");
    autocall_tests::wait::eventually("people are told", std::time::Duration::from_secs(30), async || {
        deliver(&server).await;
        (room.texts().len() >= 2).then_some(())
    })
    .await;
    let texts = room.texts();
    assert!(texts.len() == 2 && texts[0].contains("李娜") && texts[0].contains("do-not-call"), "{texts:?}");
}

/// Somebody was rung for one alarm and then for another, which is over: their answer is not for the first.
async fn an_answer_to_what_is_over_is_not_for_another_alarm(home: Home) {
    let (server, inbound, desk, first) = ringing(home).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, None).await;
    server.pass(76).await;
    let second = server.raise(&[A], json!({ "attempts": 1, "priority": "critical" })).await;
    let (_, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [A]);
    server.post(&format!("/api/v1/alarms/{second}/cancel"), &json!({})).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E1", A, "1")).await, "over");
    server.pass(1).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E2", A, "2")).await, "over");
    let first = server.alarm(&first).await;
    assert!(first["state"] == "ringing" && first["answer"].is_null() && first["callees"][0]["verdict"].is_null(), "{first}");
}

/// The alarm was redialled since: whoever says no is not rung by its new hunt.
async fn who_declines_is_taken_off_the_hunt_that_is_under_way(home: Home) {
    let (server, inbound, desk, id) = ringing(home).await;
    for _ in 0..2 {
        let (mid, _) = server.app_dial(&desk).await;
        server.report(&desk, &mid, None).await;
        server.pass(76).await;
    }
    server.app_idle(&desk).await;
    assert_eq!(server.state(&id).await, "no_answer");
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/redial"), &json!({})).await.0, 200);
    assert_eq!(told(&server, &inbound, smsgate(&server, "E1", A, "2")).await, "declined");
    let (_, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [B]);
}

async fn too_late_is_too_late(home: Home) {
    let (server, inbound, _, id) = ringing(home.set("AUTOCALL_SMS_REPLY_WINDOW_MINUTES", "5")).await;
    server.pass(301).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E1", A, "1")).await, "stranger");
    server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
    server.pass(1).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E2", A, "1")).await, "stranger", "the alarm is over");
}

async fn after_nobody_answered_it_still_counts(home: Home) {
    let (server, inbound, desk, id) = ringing(home).await;
    server.pass(181).await;
    server.pass(80).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, None).await;
    assert_eq!(server.state(&id).await, "no_answer");
    assert_eq!(told(&server, &inbound, smsgate(&server, "E1", A, "1")).await, "confirmed");
    assert_eq!(server.state(&id).await, "answered");
}

async fn wrong_tokens_and_bodies_are_refused(home: Home) {
    let (server, inbound, _, _) = ringing(home).await;
    assert_eq!(server.post("/api/v1/sms/inbound/sg_wrong", &smsgate(&server, "E1", A, "1")).await.0, 401);
    assert_eq!(server.post(&inbound, &json!({ "from": A })).await.0, 422);
    assert_eq!(server.post(&inbound, &json!([1])).await.0, 400);
    assert_eq!(inbox(&server).await, json!([]));
}
