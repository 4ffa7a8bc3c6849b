//! Alarms in and out: repeats, idempotency, lists.

use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use serde_json::{Value, json};

use crate::harness::{A, B, Home, Server, on_both};

on_both!(
    a_dry_run_and_an_alarm_with_its_key_are_two,
    a_repeat_does_not_ring_through_a_snooze,
    a_label_of_any_length_stops_nobody,
    a_repeat_is_counted,
    a_repeat_of_what_nobody_answered_rings_again_after_a_while,
    a_day_later_it_is_a_new_alarm,
    a_cancelled_alarm_does_not_swallow_the_next,
    an_idempotency_key_makes_a_repeat_safe,
    pages_and_filters,
    a_refused_alarm_leaves_nothing,
    alarms_that_do_not_exist,
);

async fn raise_keyed(server: &Server, key: &str) -> (u16, Value) {
    server.post("/api/v1/alarms", &json!({ "summary": "disk", "phones": [A], "dedup_key": key, "attempts": 1 })).await
}

async fn a_repeat_is_counted(home: Home) {
    let server = home.start().await;
    let (status, first) = raise_keyed(&server, "db1").await;
    assert_eq!(status, 201);
    let (status, again) = raise_keyed(&server, "db1").await;
    assert_eq!(status, 200);
    assert_eq!(first["id"], again["id"]);
    assert_eq!(again["repeats"], 1);
    assert_eq!(raise_keyed(&server, "db2").await.0, 201);
    let desk = server.pair("desk", Profile::App).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    server.pass(3600).await;
    let (status, answered) = raise_keyed(&server, "db1").await;
    assert_eq!((status, answered["state"].as_str(), answered["repeats"].as_i64()), (200, Some("answered"), Some(2)));
}

async fn a_repeat_of_what_nobody_answered_rings_again_after_a_while(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let (_, alarm) = raise_keyed(&server, "db1").await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    server.pass(14 * 60).await;
    assert_eq!(raise_keyed(&server, "db1").await.1["state"], "no_answer", "not before a quarter of an hour");
    server.pass(60).await;
    let (status, again) = raise_keyed(&server, "db1").await;
    assert_eq!((status, again["state"].as_str()), (200, Some("waiting")));
    assert_eq!(again["id"], alarm["id"]);
    assert_eq!(server.dial(&desk).await.1, [A]);
}

async fn a_day_later_it_is_a_new_alarm(home: Home) {
    let server = home.start().await;
    let (_, first) = raise_keyed(&server, "db1").await;
    server.pass(20 * 3600).await;
    assert_eq!(raise_keyed(&server, "db1").await.0, 200);
    server.pass(23 * 3600).await;
    assert_eq!(raise_keyed(&server, "db1").await.0, 200, "counted from the last repeat");
    server.pass(25 * 3600).await;
    let (status, second) = raise_keyed(&server, "db1").await;
    assert_eq!(status, 201);
    assert_ne!(first["id"], second["id"]);
}

async fn a_cancelled_alarm_does_not_swallow_the_next(home: Home) {
    let server = home.start().await;
    let (_, first) = raise_keyed(&server, "db1").await;
    server.post(&format!("/api/v1/alarms/{}/cancel", first["id"].as_str().unwrap()), &json!({})).await;
    assert_eq!(raise_keyed(&server, "db1").await.0, 201);
}

async fn an_idempotency_key_makes_a_repeat_safe(home: Home) {
    let server = home.start().await;
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let body = json!({ "summary": "disk", "phones": [A] }).to_string();
    let send =
        |body: String| http.post(format!("{}/api/v1/alarms", server.base)).header("idempotency-key", "k-1").body(body).sent();
    let (one, two) = tokio::join!(send(body.clone()), send(body.clone()));
    let (one, two): (Value, Value) = (one.unwrap().json().await.unwrap(), two.unwrap().json().await.unwrap());
    assert_eq!(one["id"], two["id"]);
    let again = send(body).await.unwrap();
    assert_eq!(again.status(), 201);
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    let other = send(json!({ "summary": "other", "phones": [A] }).to_string()).await.unwrap();
    assert_eq!(other.status(), 422);
    assert_eq!(server.get("/api/v1/alarms").await["alarms"].as_array().unwrap().len(), 1);
    // What was answered as a repeat is answered so again, and counted once.
    let body = json!({ "summary": "disk", "phones": [A], "dedup_key": "db1" });
    assert_eq!(server.post("/api/v1/alarms", &body).await.0, 201);
    for replayed in [false, true] {
        let address = format!("{}/api/v1/alarms", server.base);
        let answer = http.post(address).header("idempotency-key", "k-2").body(body.to_string()).sent().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().contains_key("idempotent-replayed")), (200, replayed));
        assert_eq!(answer.json::<Value>().await.unwrap()["repeats"], 1);
    }
}

async fn pages_and_filters(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let mut ids = Vec::new();
    for number in 0..7 {
        let source = if number % 2 == 0 { "prometheus" } else { "zabbix" };
        ids.push(server.raise(&[A], json!({ "source": source, "summary": format!("alarm {number}") })).await);
    }
    ids.reverse();
    let mut seen = Vec::new();
    let mut path = "/api/v1/alarms?limit=3".to_owned();
    loop {
        let page = server.get(&path).await;
        seen.extend(page["alarms"].as_array().unwrap().iter().map(|alarm| alarm["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/v1/alarms?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, ids, "newest first, each once");
    let count = async |query: &str| server.get(&format!("/api/v1/alarms?{query}")).await["alarms"].as_array().unwrap().len();
    assert_eq!(count("source=zabbix").await, 3);
    assert_eq!(count("state=waiting").await, 7);
    let (mid, _) = server.dial(&desk).await;
    assert_eq!(count("state=ringing").await, 1);
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!((count("state=answered").await, count("state=waiting&source=prometheus").await), (1, 3));
    server.post(&format!("/api/v1/alarms/{}/cancel", ids[0]), &json!({})).await;
    assert_eq!((count("state=cancelled").await, count("priority=normal").await, count("priority=high").await), (1, 7, 0));
    for wrong in ["state=asleep", "limit=0", "limit=201", "cursor=x", "colour=red", "raised_from=yesterday"] {
        let problem = server.get(&format!("/api/v1/alarms?{wrong}")).await;
        assert_eq!(problem["field"], wrong.split('=').next().unwrap(), "{problem}");
    }
}

async fn a_refused_alarm_leaves_nothing(home: Home) {
    let server = home.start().await;
    let (status, problem) = server.post("/api/v1/alarms", &json!({ "summary": "s", "phones": [A, "110"] })).await;
    assert_eq!((status, problem["field"].as_str()), (422, Some("phones[1]")), "{problem}");
    let labels: serde_json::Map<String, Value> = (0..3000).map(|n| (format!("{n}"), json!("x".repeat(2000)))).collect();
    let (status, _) = server.post("/api/v1/alarms", &json!({ "summary": "s", "labels": labels, "phones": [A] })).await;
    assert_eq!(status, 413);
    assert_eq!(server.get("/api/v1/alarms").await["alarms"].as_array().unwrap().len(), 0);
    server.idle("/alert/phone").await;
}

async fn alarms_that_do_not_exist(home: Home) {
    let server = home.start().await;
    server.raise(&[A, B], json!({})).await;
    for id in ["nonsense", "01a1fc4e-a630-77e4-8b85-425a1123605f"] {
        assert_eq!(server.get(&format!("/api/v1/alarms/{id}")).await["code"], "not_found");
        for action in ["cancel", "acknowledge", "redial"] {
            assert_eq!(server.post(&format!("/api/v1/alarms/{id}/{action}"), &json!({})).await.0, 404);
        }
    }
}

async fn a_dry_run_and_an_alarm_with_its_key_are_two(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let tried = server.raise(&[A], json!({ "dry_run": true, "dedup_key": "disk" })).await;
    let real = server.raise(&[A], json!({ "dedup_key": "disk" })).await;
    assert_ne!(tried, real, "the test must not swallow the alarm");
    assert_eq!(server.app_dial(&desk).await.1, [A]);
    let again = server.raise(&[A], json!({ "dry_run": true, "dedup_key": "disk" })).await;
    assert_ne!(again, real);
    let (status, repeat) = server.post("/api/v1/alarms", &json!({ "summary": "x", "phones": [A], "dedup_key": "disk" })).await;
    assert_eq!((status, repeat["id"].as_str(), repeat["repeats"].as_i64()), (200, Some(real.as_str()), Some(1)), "{repeat}");
}

async fn a_repeat_does_not_ring_through_a_snooze(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A], json!({ "attempts": 1, "dedup_key": "disk" })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    assert_eq!(server.state(&id).await, "no_answer");
    let (status, snoozed) = server.post(&format!("/api/v1/alarms/{id}/snooze"), &json!({ "for_seconds": 7200 })).await;
    assert_eq!(status, 200, "{snoozed}");
    for _ in 0..3 {
        server.pass(1200).await;
        let (_, repeat) = server.post("/api/v1/alarms", &json!({ "summary": "x", "phones": [A], "dedup_key": "disk" })).await;
        assert_eq!(repeat["id"], id.as_str());
        server.idle(&desk).await;
    }
    server.pass(3601).await;
    assert_eq!(server.dial(&desk).await.1, [A], "when it is over, it rings");
}

/// A queue is named after the team's label, and an index holds less than a label may.
async fn a_label_of_any_length_stops_nobody(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::List).await, server.pair("rack", Profile::List).await);
    let team: String = (0..2000_u32).filter_map(|n| char::from_u32(0x4e00 + n * 7919 % 20_000)).collect();
    server.raise(&[A], json!({ "labels": { "team": team }, "priority": "critical" })).await;
    server.raise(&[B], json!({})).await;
    assert_eq!(server.dial(&desk).await.1, [A]);
    assert_eq!(server.dial(&rack).await.1, [B]);
}
