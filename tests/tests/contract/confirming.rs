//! An alarm that wants a human's yes: on a handset that speaks only a key is one, and such handsets go first.

use std::time::Duration;

use autocall::store::watch::handsets::Profile;
use serde_json::{Value, json};

use crate::harness::{A, B, Home, Server, on_both};
use crate::native::{poll, report};
use crate::speaking::speaker;

on_both!(
    a_mailbox_ends_no_alarm_that_wants_a_key,
    whoever_picked_up_may_still_confirm,
    a_late_key_takes_nothing_over,
    a_late_no_is_a_no,
    on_a_phone_that_only_rings_the_time_counts,
    handsets_that_speak_go_first,
    nobody_waits_for_a_handset_that_cannot,
    a_storm_makes_nobody_wait_anew,
    nobody_waits_for_a_phone_that_spoke_once,
    nobody_waits_for_a_handset_that_asks_for_nothing,
    what_wants_a_key_is_known_without_asking,
    a_policy_may_ask_for_a_human,
    what_is_wanted_is_said_in_one_word,
);

fn without_key(number: &str, machine: &str) -> Value {
    json!([{ "number": number, "outcome": "answered", "confirmed": null, "action": "none", "machine": machine, "talk_seconds": 30 }])
}

/// Waits until this node has heard of the handset.
async fn lives(server: &Server, path: &str) {
    assert_eq!(poll(server, path).await["code"], 1);
}

async fn a_mailbox_ends_no_alarm_that_wants_a_key(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({ "attempts": 2, "min_interval_seconds": 30, "confirm": "key" })).await;
    for (turn, machine) in ["machine", "human"].into_iter().enumerate() {
        let offer = poll(&server, &trunk).await;
        assert_eq!(offer["phone"], json!([A]), "{offer}");
        report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), without_key(A, machine)).await;
        let alarm = server.alarm(&id).await;
        let answer = &alarm["answers"][turn];
        assert!(answer["lapsed_at"].is_string() && answer["confirmed_at"].is_null(), "whatever it is taken for: {answer}");
        assert_eq!(answer["machine"], machine);
        assert_eq!(poll(&server, &trunk).await["code"], 1, "rung again by attempts and interval");
        server.pass(30).await;
    }
    let alarm = server.alarm(&id).await;
    assert_eq!(
        (&alarm["state"], &alarm["reason"], &alarm["confirm"]),
        (&json!("no_answer"), &json!("attempts_used"), &json!("key"))
    );
    let told: Vec<&Value> = alarm["timeline"].as_array().unwrap().iter().filter(|event| event["kind"] == "answered").collect();
    assert_eq!((&told[0]["body"]["without_key"], &told[0]["body"]["machine"]), (&json!(true), &json!("machine")));
}

async fn whoever_picked_up_may_still_confirm(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({ "attempts": 1, "confirm": "key" })).await;
    let offer = poll(&server, &trunk).await;
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), without_key(A, "human")).await;
    assert_eq!(server.state(&id).await, "no_answer");
    server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &json!({ "number": A })).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((alarm["state"].as_str(), alarm["answers"].as_array().unwrap().len()), (Some("answered"), 1));
    assert!(alarm["answer"]["confirmed_at"].is_string());
}

/// What the server answers when a callee presses a key.
async fn press(server: &Server, mid: &Value, number: &str, key: &str, action: &str) -> Value {
    let body = json!({ "number": number, "state": "connected", "event": "key", "key": key, "action": action, "seq": 1 });
    crate::native::send(server, "POST", &format!("/h/trunk/progress?mid={}", mid.as_str().unwrap()), Some(body)).await
}

/// The report overtakes the key: an agent that lost its line tells both when it is back.
async fn a_late_key_takes_nothing_over(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A, B], json!({ "attempts": 1, "confirm": "key" })).await;
    let first = poll(&server, &trunk).await;
    report(&server, &trunk, &first["mid"], &format!("&resp={A}"), without_key(A, "human")).await;
    server.pass(1).await;
    let second = poll(&server, &trunk).await;
    assert_eq!(press(&server, &second["mid"], B, "1", "accept").await["code"], 0);
    server.pass(1).await;
    press(&server, &first["mid"], A, "1", "accept").await;
    let alarm = server.alarm(&id).await;
    assert!(alarm["answer"]["number"].as_str().unwrap().ends_with(B), "{}", alarm["answer"]);
    let both = alarm["answers"].as_array().unwrap();
    assert!(both.len() == 2 && both.iter().all(|answer| answer["confirmed_at"].is_string()), "{both:?}");
}

async fn a_late_no_is_a_no(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({ "attempts": 3, "min_interval_seconds": 30, "confirm": "key" })).await;
    let offer = poll(&server, &trunk).await;
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), without_key(A, "human")).await;
    press(&server, &offer["mid"], A, "2", "decline").await;
    let alarm = server.alarm(&id).await;
    assert_eq!((&alarm["state"], &alarm["reason"]), (&json!("no_answer"), &json!("all_declined")), "nobody is rung after a no");
}

async fn on_a_phone_that_only_rings_the_time_counts(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({ "attempts": 1, "confirm": "key" })).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    server.pass(119).await;
    assert!(server.alarm(&id).await["answer"]["lapsed_at"].is_null(), "a link, a text message or the page may confirm it");
    server.pass(1).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["state"], "no_answer");
    assert!(alarm["answer"]["lapsed_at"].is_string());
}

async fn handsets_that_speak_go_first(home: Home) {
    let server = home.start().await;
    let (trunk, desk) = (speaker(&server, "trunk").await, server.pair("desk", Profile::App).await);
    lives(&server, &trunk).await;
    let first = server.raise(&[A], json!({ "confirm": "key" })).await;
    server.app_idle(&desk).await;
    server.pass(19).await;
    server.app_idle(&desk).await;
    server.pass(1).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.alarm(&first).await["dials"][0]["handset"], "desk", "after 20 s any will do");
    server.post(&format!("/api/v1/alarms/{first}/cancel"), &json!({})).await;
    lives(&server, &trunk).await;
    let second = server.raise(&[B], json!({ "confirm": "key" })).await;
    server.app_idle(&desk).await;
    assert_eq!(poll(&server, &trunk).await["phone"], json!([B]));
    assert_eq!(server.alarm(&second).await["dials"][0]["handset"], "trunk");
    // What wants no key waits for nobody, and that which does not for one that has something to do.
    server.raise(&[A], json!({ "confirm": "key" })).await;
    server.app_dial(&desk).await;
}

async fn nobody_waits_for_a_handset_that_cannot(home: Home) {
    let server = home.start().await;
    let (trunk, desk) = (speaker(&server, "trunk").await, server.pair("desk", Profile::App).await);
    // It lived, and fell silent before anything was due.
    server.pass(91).await;
    server.raise(&[A], json!({ "confirm": "key", "attempts": 1 })).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, None).await;
    server.pass(100).await;
    // And again.
    lives(&server, &trunk).await;
    server.pass(91).await;
    server.raise(&[B], json!({ "confirm": "key" })).await;
    server.app_dial(&desk).await;
}

/// A handset that speaks lives and takes nothing, and alarm after alarm joins.
async fn a_storm_makes_nobody_wait_anew(home: Home) {
    let server = home.set("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS", "600").start().await;
    let (trunk, desk) = (speaker(&server, "trunk").await, server.pair("desk", Profile::App).await);
    lives(&server, &trunk).await;
    for _ in 0..2 {
        server.raise(&[A], json!({ "confirm": "key" })).await;
        server.pass(9).await;
        server.app_idle(&desk).await;
    }
    server.raise(&[A], json!({ "confirm": "key" })).await;
    server.pass(2).await;
    assert_eq!(server.app_dial(&desk).await.1, [A], "20 s after the first");
}

/// The stock app polls with a token that a program had which could speak.
async fn nobody_waits_for_a_phone_that_spoke_once(home: Home) {
    let server = home.start().await;
    let path = server.pair("phone", Profile::Auto).await;
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts"], "backend": "sip", "channels": 4 });
    crate::native::send(&server, "POST", "/h/phone/status", Some(can)).await;
    server.app_idle(&path).await;
    server.pass(31).await;
    server.app_idle(&path).await;
    server.app.engine.watch_handsets().await.unwrap();
    server.raise(&[A], json!({ "confirm": "key" })).await;
    assert_eq!(server.app_dial(&path).await.1, [A]);
}

/// A handset whose trunk is away asks for nothing, and says how it is all the same.
async fn nobody_waits_for_a_handset_that_asks_for_nothing(home: Home) {
    let server = home.start().await;
    let (trunk, desk) = (speaker(&server, "trunk").await, server.pair("desk", Profile::App).await);
    lives(&server, &trunk).await;
    for _ in 0..2 {
        server.pass(60).await;
        let status = json!({ "network": "SIP away", "capabilities": ["hangup", "dtmf", "tts"], "backend": "sip" });
        crate::native::send(&server, "POST", "/h/trunk/status", Some(status)).await;
    }
    server.raise(&[A], json!({ "confirm": "key" })).await;
    assert_eq!(server.app_dial(&desk).await.1, [A]);
}

async fn what_wants_a_key_is_known_without_asking(home: Home) {
    let server = home.start().await;
    let (trunk, desk) = (speaker(&server, "trunk").await, server.pair("desk", Profile::App).await);
    lives(&server, &trunk).await;
    server.app_idle(&desk).await;
    server.raise(&[A], json!({ "confirm": "key" })).await;
    // Many phones ask meanwhile: that costs nothing.
    let quiet = autocall_tests::wait::eventually("the memory knows", Duration::from_secs(20), async || {
        server.app.engine.idle.refresh(&server.app.engine.store).await;
        let before = server.app.engine.store.counters().connections();
        server.app_idle(&desk).await;
        (server.app.engine.store.counters().connections() == before).then_some(true)
    })
    .await;
    assert!(quiet);
    server.home.clock.advance(chrono::TimeDelta::seconds(20));
    server.app_dial(&desk).await;
}

async fn a_policy_may_ask_for_a_human(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let policy = json!({ "steps": [{ "ring": [{ "number": A }], "attempts": 1, "wait_seconds": 60 }, { "ring": [{ "number": B }], "attempts": 1 }], "confirm": "key" });
    assert_eq!(server.put("/api/v1/policies/ops", &policy).await.0, 201);
    let kept = server.get("/api/v1/policies/ops").await;
    assert_eq!((&kept["confirm"], &kept["confirm_within_seconds"]), (&json!("key"), &json!(120)), "{kept}");
    let id = server.raise(&[], json!({ "policy": "ops" })).await;
    assert_eq!(server.alarm(&id).await["confirm"], "key");
    let offer = poll(&server, &trunk).await;
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), without_key(A, "machine")).await;
    let offer = poll(&server, &trunk).await;
    assert_eq!(offer["phone"], json!([B]), "the next step at once");
    let taken = json!([{ "number": B, "outcome": "answered", "confirmed": true, "keys": "1", "action": "accept" }]);
    report(&server, &trunk, &offer["mid"], &format!("&resp={B}"), taken).await;
    assert_eq!(server.state(&id).await, "answered");
}

async fn what_is_wanted_is_said_in_one_word(home: Home) {
    let server = home.start().await;
    for (asked, word, within) in [
        (json!({}), "none", json!(null)),
        (json!({ "confirm_within_seconds": 60 }), "any", json!(60)),
        (json!({ "confirm": "any" }), "any", json!(120)),
        (json!({ "confirm": "key", "confirm_within_seconds": 60 }), "key", json!(60)),
        (json!({ "confirm": "none", "confirm_within_seconds": 60 }), "none", json!(null)),
    ] {
        let alarm = server.alarm(&server.raise(&[A], asked).await).await;
        assert_eq!((&alarm["confirm"], &alarm["confirm_within_seconds"]), (&json!(word), &within));
    }
    let (status, body) = server.post("/api/v1/alarms", &json!({ "summary": "s", "phones": [A], "confirm": "voice" })).await;
    assert_eq!((status, &body["code"]), (422, &json!("invalid_field")), "{body}");
}
