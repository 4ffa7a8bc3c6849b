//! Heartbeats: who falls silent opens one alarm, and the next ping resolves it.

use autocall_tests::described::Held as _;
use autocall_tests::kept::Kept;
use serde_json::{Value, json};

use crate::harness::{A, Home, Server, on_both};

on_both!(
    a_missed_ping_opens_one_alarm_and_the_next_resolves_it,
    who_flaps_opens_one_alarm_each_time_and_leaves_none_open,
    before_the_first_ping_nothing_is_missed,
    two_nodes_raise_it_once,
    a_server_that_was_away_listens_before_it_complains,
    wrong_fields_and_tokens_are_refused,
    a_removed_heartbeat_takes_its_alarm_along,
    a_heartbeat_goes_with_its_alarm_or_not_at_all,
    a_changed_rhythm_counts_from_the_last_ping,
);

/// Makes a heartbeat of 60 s with 30 s of grace and gives the path it pings.
async fn add(server: &Server) -> String {
    let body = json!({ "name": "backup", "period_seconds": 60, "grace_seconds": 30, "phones": [A], "labels": { "team": "db" } });
    let (status, beat) = server.post("/api/v1/heartbeats", &body).await;
    assert_eq!((status, beat["state"].as_str()), (201, Some("new")), "{beat}");
    beat["ping_path"].as_str().unwrap().to_owned()
}

async fn ping(server: &Server, path: &str) {
    assert_eq!(server.get(path).await, json!({ "heard": true }));
}

async fn state(server: &Server) -> String {
    let beats = server.items("/api/v1/heartbeats").await;
    assert!(beats[0]["ping_path"].is_null(), "the token is shown once");
    beats[0]["state"].as_str().unwrap().to_owned()
}

/// All alarms, newest first.
async fn alarms(server: &Server) -> Vec<Value> {
    server.get("/api/v1/alarms").await["alarms"].as_array().unwrap().clone()
}

async fn a_missed_ping_opens_one_alarm_and_the_next_resolves_it(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", autocall::store::watch::handsets::Profile::App).await;
    let path = add(&server).await;
    ping(&server, &path).await;
    server.pass(89).await;
    assert!(alarms(&server).await.is_empty(), "within period and grace");
    server.pass(1).await;
    let all = alarms(&server).await;
    assert_eq!(all.len(), 1);
    assert_eq!(all[0]["summary"], "No sign of life from backup");
    assert_eq!((all[0]["priority"].as_str(), all[0]["labels"]["team"].as_str()), (Some("high"), Some("db")));
    assert_eq!(state(&server).await, "missed");
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [A]);
    for _ in 0..3 {
        server.pass(30).await;
    }
    let all = alarms(&server).await;
    assert_eq!((all.len(), all[0]["repeats"].as_i64()), (1, Some(0)), "once, however long it lasts");
    assert_eq!(server.post(&path, &json!({ "anything": 1 })).await.0, 200);
    assert_eq!(alarms(&server).await[0]["state"], "resolved");
    assert_eq!(state(&server).await, "alive");
    server.report(&desk, &mid, None).await;
    server.pass(80).await;
    server.app_idle(&desk).await;
}

async fn who_flaps_opens_one_alarm_each_time_and_leaves_none_open(home: Home) {
    let server = home.start().await;
    let path = add(&server).await;
    for round in 1..=4 {
        ping(&server, &path).await;
        server.pass(100).await;
        let all = alarms(&server).await;
        assert_eq!(all.len(), round);
        assert_eq!(all[0]["state"], "waiting");
        assert!(all[1..].iter().all(|alarm| alarm["state"] == "resolved"), "{all:?}");
    }
    ping(&server, &path).await;
    ping(&server, &path).await;
    assert!(alarms(&server).await.iter().all(|alarm| alarm["state"] == "resolved"));
}

async fn before_the_first_ping_nothing_is_missed(home: Home) {
    let server = home.start().await;
    add(&server).await;
    server.pass(7 * 86_400).await;
    assert!(alarms(&server).await.is_empty());
    assert_eq!(state(&server).await, "new");
}

async fn two_nodes_raise_it_once(home: Home) {
    if !home.is_shared() {
        return;
    }
    let other = home.quiet_node().await;
    other.app.engine.tick().await.unwrap();
    let server = home.start().await;
    let path = add(&server).await;
    for round in 1..=5 {
        ping(&server, &path).await;
        server.home.clock.advance(chrono::TimeDelta::seconds(90));
        let (one, two) = tokio::join!(server.app.engine.tick(), other.app.engine.tick());
        one.unwrap();
        two.unwrap();
        let all = alarms(&server).await;
        assert_eq!((all.len(), all[0]["repeats"].as_i64(), all[0]["state"].as_str()), (round, Some(0), Some("waiting")));
    }
}

async fn a_server_that_was_away_listens_before_it_complains(home: Home) {
    let server = home.start().await;
    let path = add(&server).await;
    ping(&server, &path).await;
    let home = server.stop().await;
    home.clock.advance(chrono::TimeDelta::hours(3));
    let server = home.start().await;
    server.pass(1).await;
    assert!(alarms(&server).await.is_empty(), "nobody could ping while it was away");
    server.pass(60).await;
    ping(&server, &path).await;
    server.pass(60).await;
    assert!(alarms(&server).await.is_empty());
    server.pass(30).await;
    assert_eq!(alarms(&server).await.len(), 1);
}

async fn wrong_fields_and_tokens_are_refused(home: Home) {
    let server = home.start().await;
    let good = json!({ "name": "backup", "period_seconds": 60, "phones": [A] });
    for (field, value) in [
        ("name", json!(" ")),
        ("period_seconds", json!(9)),
        ("grace_seconds", json!(-1)),
        ("phones", json!(["110"])),
        ("phones", json!([])),
        ("labels", json!({ "": "x" })),
        ("perioid", json!(1)),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let (status, problem) = server.post("/api/v1/heartbeats", &body).await;
        assert_eq!((status, problem["field"].as_str()), (422, Some(field)), "{problem}");
    }
    assert_eq!(server.items("/api/v1/heartbeats").await, json!([]));
    server.post("/api/v1/heartbeats", &good).await;
    let (status, problem) = server.post("/api/v1/heartbeats", &good).await;
    assert_eq!((status, problem["code"].as_str()), (409, Some("name_taken")));
    let (status, problem) = server.post("/api/v1/heartbeat/hb_wrong", &json!({})).await;
    assert_eq!((status, problem["code"].as_str()), (401, Some("unknown_token")));
}

/// Waits until its alarm is there. The server's own watch works beside: whoever of the two sees it first raises it.
async fn is_missed(server: &Server) {
    autocall_tests::wait::eventually("it is missed", std::time::Duration::from_secs(30), async || {
        (!alarms(server).await.is_empty()).then_some(())
    })
    .await;
}

async fn a_removed_heartbeat_takes_its_alarm_along(home: Home) {
    let server = home.start().await;
    let path = add(&server).await;
    ping(&server, &path).await;
    server.pass(100).await;
    is_missed(&server).await;
    server.app.engine.remove_heartbeat("backup", &autocall::versions::Expected::default()).await.unwrap();
    assert_eq!(alarms(&server).await[0]["state"], "resolved");
    assert_eq!(server.post(&path, &json!({})).await.0, 401);
    assert!(server.app.engine.remove_heartbeat("backup", &autocall::versions::Expected::default()).await.is_err());
}

async fn a_heartbeat_goes_with_its_alarm_or_not_at_all(home: Home) {
    let server = home.start().await;
    let path = add(&server).await;
    ping(&server, &path).await;
    server.pass(100).await;
    is_missed(&server).await;
    // Its alarm cannot be ended now.
    server.lose_tables(true).await;
    assert_eq!(server.delete("/api/v1/heartbeats/backup").await, 503);
    server.lose_tables(false).await;
    assert_eq!(server.items("/api/v1/heartbeats").await.as_array().unwrap().len(), 1, "nothing was done");
    assert_eq!(server.delete("/api/v1/heartbeats/backup").await, 204);
    assert_eq!(alarms(&server).await[0]["state"], "resolved");
}

async fn a_changed_rhythm_counts_from_the_last_ping(home: Home) {
    let server = home.start().await;
    let path = add(&server).await;
    ping(&server, &path).await;
    let change = async |seconds: i64| {
        let body = json!({ "name": "backup", "period_seconds": seconds, "phones": [A], "priority": "low" });
        let url = format!("{}/api/v1/heartbeats/backup", server.base);
        autocall_tests::http_client().build().unwrap().put(url).json(&body).sent().await.unwrap().status().as_u16()
    };
    assert_eq!((change(600).await, change(5).await), (200, 422));
    server.pass(590).await;
    assert_eq!(state(&server).await, "alive");
    assert_eq!(change(595).await, 200);
    server.pass(5).await;
    assert_eq!(alarms(&server).await[0]["priority"], "low");
    assert_eq!(state(&server).await, "missed");
    assert_eq!(change(86_400).await, 200);
    assert_eq!(state(&server).await, "missed", "only a ping ends it");
    ping(&server, &path).await;
    assert_eq!(state(&server).await, "alive");
}
