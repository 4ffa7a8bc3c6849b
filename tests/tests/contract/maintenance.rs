//! Maintenance: what matches is stored and held, and rung afterwards if it still fires.

use autocall::engine::Doer;
use autocall::kinds::notices::WebhookShape;
use autocall::store::lines::webhooks::NoticeKind;
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use autocall_tests::kept::Kept;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::harness::{A, B, Home, Server, on_both};
use crate::notices::{Room, add, deliver};
use crate::roster::people;

on_both!(
    a_matching_alarm_is_held_and_rung_when_the_window_ends,
    what_is_resolved_meanwhile_is_never_rung,
    what_does_not_match_rings_at_once,
    a_window_that_is_ended_lets_go_at_once,
    a_longer_window_holds_on,
    a_window_to_come_holds_nothing_yet,
    wrong_windows_are_refused,
    a_window_holds_what_asks_for_its_team,
    who_is_on_duty_when_it_ends_is_rung,
    what_is_released_together_is_rung_together,
    nobody_is_told_of_ringing_before_it_rings,
    what_was_taken_for_a_time_is_held_too,
    a_poll_at_the_very_end_does_not_overtake_the_release,
    a_person_may_have_it_rung_all_the_same,
    a_policy_chosen_meanwhile_comes_after_those_who_were_named,
);

/// A window of so many minutes from now, for a team; gives its id.
async fn window(server: &Server, minutes: i64, team: &str) -> String {
    let ends_at = server.now() + TimeDelta::minutes(minutes);
    let body = json!({ "reason": "new switch", "ends_at": ends_at, "team": team });
    let (status, window) = server.post("/api/v1/maintenance", &body).await;
    assert_eq!(status, 201, "{window}");
    window["id"].as_str().unwrap().to_owned()
}

async fn raise(server: &Server, team: &str) -> String {
    server.raise(&[A], json!({ "labels": { "team": team }, "dedup_key": team })).await
}

fn kinds(alarm: &Value) -> Vec<&str> {
    alarm["timeline"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

async fn a_matching_alarm_is_held_and_rung_when_the_window_ends(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    window(&server, 120, "db").await;
    let id = raise(&server, "db").await;
    let alarm = server.alarm(&id).await;
    assert_eq!((alarm["state"].as_str(), kinds(&alarm)), (Some("waiting"), vec!["raised", "held"]));
    assert_eq!(alarm["timeline"][1]["body"]["note"], "new switch");
    assert_eq!(alarm["held_until"], json!(server.now() + TimeDelta::minutes(120)));
    let _ = raise_again(&server, "db").await;
    // Far beyond the time in which an alarm otherwise has to find a handset.
    server.pass(119 * 60).await;
    server.app_idle(&desk).await;
    server.pass(61).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(kinds(&alarm), ["raised", "held", "repeated", "released"]);
    assert!(alarm["held_until"].is_null());
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [A]);
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(&id).await, "answered");
}

async fn raise_again(server: &Server, team: &str) -> Value {
    let body = json!({ "summary": "again", "phones": [A], "labels": { "team": team }, "dedup_key": team });
    let (status, alarm) = server.post("/api/v1/alarms", &body).await;
    assert_eq!(status, 200, "a repeat is counted: {alarm}");
    alarm
}

async fn what_is_resolved_meanwhile_is_never_rung(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    window(&server, 10, "db").await;
    let id = raise(&server, "db").await;
    server.app.engine.resolve(id.parse().unwrap(), &Doer::Server).await.unwrap();
    server.pass(11 * 60).await;
    server.app_idle(&desk).await;
    assert_eq!(server.state(&id).await, "resolved");
}

async fn what_does_not_match_rings_at_once(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    window(&server, 10, "db").await;
    raise(&server, "db").await;
    let web = raise(&server, "web").await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(&web).await, "answered");
    server.app_idle(&desk).await;
}

async fn a_window_that_is_ended_lets_go_at_once(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = window(&server, 600, "db").await;
    raise(&server, "db").await;
    server.pass(60).await;
    let response = autocall_tests::http_client()
        .build()
        .unwrap()
        .delete(format!("{}/api/v1/maintenance/{id}", server.base))
        .sent()
        .await
        .unwrap();
    assert_eq!(response.status(), 204);
    server.pass(1).await;
    server.app_dial(&desk).await;
    assert_eq!(server.items("/api/v1/maintenance").await, json!([]));
    assert!(server.app.engine.end_window(&id).await.is_err(), "it is over");
}

async fn a_longer_window_holds_on(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let first = window(&server, 10, "db").await;
    let id = raise(&server, "db").await;
    window(&server, 30, "db").await;
    server.app.engine.end_window(&first).await.unwrap();
    server.pass(60 * 11).await;
    server.app_idle(&desk).await;
    assert_eq!(server.alarm(&id).await["held_until"], json!(server.now() + TimeDelta::minutes(19)));
    server.pass(60 * 19).await;
    server.app_dial(&desk).await;
}

async fn a_window_to_come_holds_nothing_yet(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let (from, to) = (server.now() + TimeDelta::minutes(5), server.now() + TimeDelta::minutes(10));
    let body = json!({ "reason": "later", "starts_at": from, "ends_at": to, "labels": { "team": "db" } });
    assert_eq!(server.post("/api/v1/maintenance", &body).await.0, 201);
    raise(&server, "db").await;
    server.app_dial(&desk).await;
}

async fn wrong_windows_are_refused(home: Home) {
    let server = home.start().await;
    let now = server.now();
    let good = json!({ "reason": "work", "ends_at": now + TimeDelta::hours(1), "team": "db" });
    for (field, change) in [
        ("reason", json!({ "reason": "" })),
        ("ends_at", json!({ "ends_at": now })),
        ("ends_at", json!({ "ends_at": now + TimeDelta::days(32) })),
        ("ends_at", json!({ "starts_at": now + TimeDelta::hours(2) })),
        ("labels", json!({ "team": " " })),
        ("ends_at", json!({ "ends_at": "tomorrow" })),
    ] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().extend(change.as_object().cloned().unwrap());
        let (status, problem) = server.post("/api/v1/maintenance", &body).await;
        assert_eq!((status, problem["field"].as_str()), (422, Some(field)), "{problem}");
    }
    assert_eq!(server.items("/api/v1/maintenance").await, json!([]));
}

/// A schedule `db`: Ann is on duty, and from an hour from now Bob is.
async fn schedule(server: &Server) {
    people(server).await;
    let layer = json!({ "name": "hours", "people": ["Ann", "Bob"], "every": "1 hour", "start": "2026-11-20T03:00" });
    let (status, made) = server.post("/api/v1/teams", &json!({ "name": "db", "members": ["Ann", "Bob"] })).await;
    assert_eq!(status, 201, "{made}");
    let body = json!({ "name": "db", "zone": "UTC", "team": "db", "layers": [layer] });
    let (status, made) = server.post("/api/v1/schedules", &body).await;
    assert_eq!(status, 201, "{made}");
}

async fn a_window_holds_what_asks_for_its_team(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    schedule(&server).await;
    window(&server, 30, "db").await;
    let id = server.raise(&[], json!({ "ring": [{ "team": "db" }] })).await;
    assert!(server.alarm(&id).await["held_until"].is_string());
    server.pass(60).await;
    server.app_idle(&desk).await;
    assert!(server.alarm(&id).await["held_until"].is_string(), "also when it is looked at again");
    let other = json!({ "ring": [{ "team": "db" }], "labels": { "team": "web" } });
    server.raise(&[], other).await;
    assert_eq!(server.app_dial(&desk).await.1, [A], "what it says of itself goes first");
}

async fn who_is_on_duty_when_it_ends_is_rung(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    schedule(&server).await;
    window(&server, 70, "db").await;
    let id = server.raise(&[], json!({ "ring": [{ "team": "db" }] })).await;
    let steps = json!([{ "ring": [{ "schedule": "db" }] }]);
    server.put("/api/v1/policies/db", &json!({ "steps": steps })).await;
    let by_policy = server.raise(&[], json!({ "policy": "db", "labels": { "team": "db" } })).await;
    server.pass(70 * 60 + 1).await;
    for id in [&id, &by_policy] {
        let alarm = server.alarm(id).await;
        assert_eq!(alarm["callees"].as_array().unwrap().len(), 1, "{alarm}");
        assert_eq!(alarm["callees"][0]["name"], "Bob", "{alarm}");
        assert_eq!(kinds(&alarm).iter().filter(|kind| **kind == "released").count(), 1, "{alarm}");
    }
    assert_eq!(server.app_dial(&desk).await.1, [B]);
}

async fn what_is_released_together_is_rung_together(home: Home) {
    let server = home.set("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS", "120").start().await;
    let desk = server.pair("desk", Profile::App).await;
    window(&server, 30, "db").await;
    let mut all = Vec::new();
    for key in ["one", "two", "three"] {
        all.push(server.raise(&[A], json!({ "labels": { "team": "db" }, "dedup_key": key })).await);
        server.pass(300).await;
    }
    server.pass(1000).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    for id in &all {
        let alarm = server.alarm(id).await;
        assert_eq!((alarm["state"].as_str(), alarm["dials"].as_array().unwrap().len()), (Some("answered"), 1), "{alarm}");
    }
}

async fn nobody_is_told_of_ringing_before_it_rings(home: Home) {
    let server = home.set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8").start().await;
    let (room, hook) = Room::open().await;
    add(&server, &hook, WebhookShape::Slack, &[NoticeKind::Raised], "en").await;
    window(&server, 30, "db").await;
    raise(&server, "db").await;
    server.pass(60).await;
    server.raise(&[A], json!({ "summary": "other" })).await;
    autocall_tests::wait::eventually("the other one is told", std::time::Duration::from_secs(30), async || {
        deliver(&server).await;
        (!room.texts().is_empty()).then_some(())
    })
    .await;
    assert_eq!(room.texts(), ["Alarm: other (normal). Ringing people now."]);
    server.pass(30 * 60).await;
    autocall_tests::wait::eventually("the released one is told", std::time::Duration::from_secs(30), async || {
        deliver(&server).await;
        (room.texts().len() == 2).then_some(())
    })
    .await;
    assert!(room.texts()[1].contains("disk full"), "{:?}", room.texts());
}

async fn what_was_taken_for_a_time_is_held_too(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = raise(&server, "db").await;
    let taken = json!({ "name": "Lin", "ring_again_after_seconds": 600 });
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &taken).await.0, 200);
    window(&server, 60, "db").await;
    server.pass(601).await;
    server.app_idle(&desk).await;
    server.pass(3600).await;
    assert_eq!(server.app_dial(&desk).await.1, [A]);
}

async fn a_poll_at_the_very_end_does_not_overtake_the_release(home: Home) {
    // Nothing happens in it but what this test does: a poll comes before the tick that releases.
    let server = home.quiet_node().await;
    let (engine, clock) = (&server.app.engine, home.clock.clone());
    let pairing = autocall::keep::pairing::Pairing::new("desk", &engine.config.handsets);
    let token = engine
        .store
        .carry_out(clock.now(), Doer::Server, async |work| autocall::keep::pairing::add(work, &pairing).await)
        .await
        .unwrap();
    let path = format!("/h/{token}/alert/phone");
    let window = autocall::keep::windows::NewWindow {
        reason: "new switch".to_owned(),
        starts_at: None,
        ends_at: clock.now() + TimeDelta::minutes(30),
        team: Some("db".to_owned()),
        labels: std::collections::BTreeMap::new(),
    };
    engine.add_window(&window).await.unwrap();
    let request = autocall::engine::RaiseRequest {
        summary: "disk full".to_owned(),
        labels: [("team".to_owned(), "db".to_owned())].into(),
        begin_window_s: 3600,
        callees: vec![autocall::engine::NewCallee {
            number: format!("+86{A}"),
            known_to_plan: true,
            name: None,
            reference: None,
            max_attempts: 1,
            min_interval_s: 0,
        }],
        ..autocall::engine::RaiseRequest::default()
    };
    let raised = engine.raise(&request).await.unwrap().alarm;
    clock.advance(TimeDelta::minutes(30));
    assert_eq!(server.get(&path).await["code"], 1, "it is not released yet");
    engine.tick().await.unwrap();
    assert_eq!(server.get(&path).await["code"], 0);
    let alarm = engine.store.read().await.unwrap().db().alarm(raised.id).await.unwrap().unwrap();
    assert_ne!(alarm.hunt_id, raised.hunt_id, "it rings as if it had come now");
    let timeline = engine.store.read().await.unwrap().db().timeline(raised.id).await.unwrap();
    assert!(timeline.iter().any(|event| event.kind == "released"), "{timeline:?}");
}

async fn a_person_may_have_it_rung_all_the_same(home: Home) {
    let server = home.set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8").start().await;
    let desk = server.pair("desk", Profile::App).await;
    let (room, hook) = Room::open().await;
    add(&server, &hook, WebhookShape::Slack, &[NoticeKind::Raised], "en").await;
    window(&server, 60, "db").await;
    let id = raise(&server, "db").await;
    let (status, alarm) = server.post(&format!("/api/v1/alarms/{id}/redial"), &json!({})).await;
    assert_eq!(status, 200, "{alarm}");
    assert_eq!(server.app_dial(&desk).await.1, [A]);
    autocall_tests::wait::eventually("people are told", std::time::Duration::from_secs(30), async || {
        deliver(&server).await;
        (room.texts().len() == 1).then_some(())
    })
    .await;
    server.pass(3600).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(kinds(&alarm).iter().filter(|kind| **kind == "released").count(), 1, "{alarm}");
}

async fn a_policy_chosen_meanwhile_comes_after_those_who_were_named(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    people(&server).await;
    server.put("/api/v1/policies/db", &json!({ "steps": [{ "ring": [{ "person": "Bob" }] }] })).await;
    window(&server, 60, "db").await;
    let id = raise(&server, "db").await;
    let (status, alarm) = server.post(&format!("/api/v1/alarms/{id}/policy"), &json!({ "policy": "db" })).await;
    assert_eq!(status, 200, "{alarm}");
    server.pass(3601).await;
    assert_eq!(server.app_dial(&desk).await.1, [A]);
}
