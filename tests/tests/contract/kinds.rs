//! What is no alarm is in nobody's way: a test call beside alarms.

use autocall::ids::AlarmId;
use autocall::kinds::notices::WebhookShape;
use autocall::store::watch::handsets::Profile;
use serde_json::{Value, json};

use crate::escalation::{number, policy};
use crate::gateway::{Gateway, add_smsgate, near};
use crate::harness::{A, B, Home, Server, on_both};
use crate::metrics;
use crate::notices::{Room, add, heard};
use crate::one_phone::beside;
use crate::pressing::press;
use crate::replies::{smsgate, told};

on_both!(
    lists_hold_alarms_unless_something_else_is_asked_for,
    nobody_is_told_of_a_test_call,
    a_text_message_is_for_the_alarm,
    who_was_only_tested_has_nothing_to_answer,
    a_callee_of_a_test_call_has_no_link,
    a_test_call_counts_for_no_alarm,
    a_test_call_rings_in_maintenance_and_in_quiet_hours,
    a_test_call_follows_no_policy,
    test_calls_of_before_are_known,
);

/// Begins a test call to a number through a handset; gives its id.
async fn test_call(server: &Server, handset: &str, number: &str) -> String {
    let engine = &server.app.engine;
    let handset = engine.store.read().await.unwrap().db().handset_by_name(handset).await.unwrap().unwrap();
    engine.test_call(&handset, &format!("+86{number}"), true).await.unwrap().alarm.id.to_string()
}

async fn ids(server: &Server, query: &str) -> Vec<String> {
    let items = server.items(&format!("/api/v1/alarms{query}")).await;
    items.as_array().unwrap().iter().map(|alarm| alarm["id"].as_str().unwrap().to_owned()).collect()
}

async fn lists_hold_alarms_unless_something_else_is_asked_for(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let first = server.raise(&[B], json!({ "attempts": 1 })).await;
    server.pass(1).await;
    let test = test_call(&server, "desk", A).await;
    server.pass(1).await;
    let second = server.raise(&[B], json!({ "attempts": 1 })).await;
    assert_eq!(ids(&server, "").await, [second.clone(), first.clone()]);
    assert_eq!(ids(&server, "?kind=test").await, std::slice::from_ref(&test));
    assert_eq!(ids(&server, "?kind=alarm").await, [second.clone(), first.clone()]);
    assert_eq!(ids(&server, "?kind=test&kind=alarm").await, [second.clone(), test.clone(), first.clone()]);
    assert_eq!(ids(&server, "?kind=shout&kind=call").await, Vec::<String>::new());
    assert_eq!(ids(&server, "?state=waiting").await, [second.clone(), first.clone()]);
    assert_eq!(ids(&server, "?state=waiting&kind=test").await, std::slice::from_ref(&test));
    assert_eq!(ids(&server, "?priority=high").await, Vec::<String>::new());
    let page = server.get("/api/v1/alarms?limit=1").await;
    assert_eq!(page["items"][0]["id"], second);
    let cursor = page["next_cursor"].as_str().unwrap();
    let page = server.get(&format!("/api/v1/alarms?limit=1&cursor={cursor}")).await;
    assert_eq!((&page["items"][0]["id"], &page["next_cursor"]), (&json!(first), &Value::Null));
    let refused = server.get("/api/v1/alarms?kind=drill").await;
    assert_eq!(refused["errors"][0]["parameter"], "kind", "{refused}");
    // It is found where it is asked for, with all that happened in it.
    server.dial(&desk).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    for (id, kind) in [(&test, "test"), (&first, "alarm")] {
        assert_eq!(server.alarm(id).await["kind"], kind);
    }
    assert!(!server.alarm(&test).await["timeline"].as_array().unwrap().is_empty());
}

async fn nobody_is_told_of_a_test_call(home: Home) {
    let server = home.set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8").start().await;
    let (room, url) = Room::open().await;
    add(&server, &url, WebhookShape::Json, &[], "en").await;
    let desk = server.pair("desk", Profile::List).await;
    for resp in [Some(A), None] {
        test_call(&server, "desk", A).await;
        let (mid, _) = server.dial(&desk).await;
        server.report(&desk, &mid, resp).await;
    }
    // The room hears what comes later in its turn: had there been word of the tests, it would have come before.
    let id = server.raise(&[B], json!({ "attempts": 1 })).await;
    heard(&server, &room, 1).await;
    assert_eq!(room.bodies()[0]["alarm"]["id"], id, "{:?}", room.texts());
}

async fn a_text_message_is_for_the_alarm(home: Home) {
    let server = near(home).start().await;
    let (_, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    let desk = server.pair("desk", Profile::List).await;
    let alarm = server.raise(&[A], json!({ "attempts": 1 })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    server.pass(80).await;
    let test = test_call(&server, "desk", A).await;
    let (mid, _) = server.dial(&desk).await;
    server.pass(5).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E1", A, "1")).await, "confirmed");
    assert_eq!(server.state(&test).await, "ringing");
    server.pass(5).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E2", A, "1")).await, "already");
    assert_eq!(server.alarm(&test).await["answers"], json!([]));
    let answers = server.alarm(&alarm).await["answers"].clone();
    assert!(answers[0]["confirmed_at"].is_string(), "{answers}");
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(&test).await, "answered");
}

async fn who_was_only_tested_has_nothing_to_answer(home: Home) {
    let server = near(home).start().await;
    let (_, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    let desk = server.pair("desk", Profile::List).await;
    let test = test_call(&server, "desk", A).await;
    server.dial(&desk).await;
    for (id, word) in [("E1", "1"), ("E2", "2")] {
        server.pass(70).await;
        assert_eq!(told(&server, &inbound, smsgate(&server, id, A, word)).await, "stranger", "{word}");
    }
    assert_eq!(server.items("/api/v1/do-not-call").await, json!([]));
    server.pass(70).await;
    assert_eq!(
        told(&server, &inbound, smsgate(&server, "E3", A, "stop")).await,
        "stopped",
        "they were rung, and want that no more"
    );
    assert_eq!(server.items("/api/v1/do-not-call").await[0]["phone_number"], format!("+86{A}"));
    assert_eq!(told(&server, &inbound, smsgate(&server, "E4", B, "stop")).await, "stranger", "nobody rang them");
    assert_eq!(server.alarm(&test).await["answers"], json!([]));
}

async fn a_callee_of_a_test_call_has_no_link(home: Home) {
    let server = home.start().await;
    server.pair("desk", Profile::List).await;
    let alarm = server.raise(&[A], json!({})).await;
    let test = test_call(&server, "desk", A).await;
    let link = async |id: &String| {
        let callee = server.alarm(id).await["callees"][0]["id"].as_str().unwrap().parse().unwrap();
        server.app.engine.links.address("", callee)
    };
    let own = link(&test).await;
    for (at, page) in [(link(&alarm).await, true), (own.clone(), false)] {
        assert_eq!(server.page(&at).await.contains("disk full") || server.page(&at).await.contains("Test call through"), page);
    }
    assert_eq!(press(&server, &own, "take", std::slice::from_ref(&test)).await, 404);
    assert_eq!(press(&server, &own, "decline", std::slice::from_ref(&test)).await, 404);
    assert_eq!(server.state(&test).await, "waiting");
}

/// The series of hunts and of answers.
async fn counts(server: &Server) -> Vec<String> {
    server.app.engine.tick().await.unwrap();
    let about = ["autocall_hunts_ended", "autocall_time_to_answer", "autocall_open_hunts", "autocall_alarms_total"];
    let page = metrics::page(server).await;
    let mut lines: Vec<String> =
        page.lines().filter(|line| about.iter().any(|name| line.starts_with(name))).map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

async fn a_test_call_counts_for_no_alarm(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    server.raise(&[B], json!({ "attempts": 1 })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(B)).await;
    server.pass(1).await;
    let before = counts(&server).await;
    assert!(before.len() > 5, "{before:?}");
    test_call(&server, "desk", A).await;
    server.pass(1).await;
    assert_eq!(counts(&server).await, before, "it waits");
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    test_call(&server, "desk", A).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    assert_eq!(counts(&server).await, before, "one was answered, and one was not");
}

async fn a_test_call_rings_in_maintenance_and_in_quiet_hours(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let window = json!({ "reason": "new switch", "ends_at": server.now() + chrono::TimeDelta::minutes(60), "labels": { "handset": "desk" } });
    assert_eq!(server.post("/api/v1/maintenance", &window).await.0, 201);
    let quiet = json!({ "quiet_hours": [{ "from": "10:00", "to": "12:00", "zone": "Asia/Shanghai", "up_to": "high" }] });
    assert_eq!(server.put("/api/v1/quiet-hours", &quiet).await.0, 200);
    // 03:00 UTC: in Shanghai it is eleven.
    server.raise(&[B], json!({ "labels": { "handset": "desk" }, "priority": "critical" })).await;
    server.raise(&[B], json!({ "priority": "high" })).await;
    test_call(&server, "desk", A).await;
    assert_eq!(server.dial(&desk).await.1, [A]);
}

async fn a_test_call_follows_no_policy(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    policy(&server, "everybody", json!({ "steps": [{ "ring": [number(B)], "attempts": 1 }] })).await;
    let test: AlarmId = test_call(&server, "desk", A).await.parse().unwrap();
    let by = autocall::engine::Actor::nameless(autocall::engine::Doer::CommandLine);
    let refused = server.app.engine.set_policy(test, "everybody", &by).await.unwrap_err();
    assert_eq!(refused.to_string(), "this is no alarm: it follows no escalation policy");
    assert_eq!(server.dial(&desk).await.1, [A]);
}

async fn test_calls_of_before_are_known(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let alarm = server.raise(&[B], json!({ "attempts": 1 })).await;
    let test = test_call(&server, "desk", A).await;
    server.dial(&desk).await;
    let home = server.stop().await;
    // As the release before left it.
    beside(
        &home,
        &[
            "DROP INDEX alarms_by_kind",
            "ALTER TABLE alarms DROP COLUMN kind",
            "ALTER TABLE hunts DROP COLUMN kind",
            "DELETE FROM _sqlx_migrations WHERE version = 42",
        ],
    )
    .await;
    let server = home.start().await;
    assert_eq!(ids(&server, "").await, std::slice::from_ref(&alarm));
    assert_eq!(ids(&server, "?kind=test").await, std::slice::from_ref(&test));
    server.pass(600).await;
    // Its hunt is known too: nobody but the alarm is rung for in the night's figures.
    let open = server.app.engine.store.read().await.unwrap().db().open_hunts(10).await.unwrap();
    assert!(open.iter().all(|hunt| hunt.only_handset_id.is_none()), "{open:?}");
}
