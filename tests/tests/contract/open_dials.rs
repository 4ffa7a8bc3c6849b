//! Whoever holds an open dial is served and heard until it closes; and what became of dials that nobody reported.

use autocall::engine::Doer;
use autocall::keep::pairing::{self, Pairing};
use autocall::store::watch::handsets::{IdleForm, Profile};
use autocall_tests::described::Held as _;
use serde_json::{Value, json};

use crate::harness::{A, APP, B, Home, Server, on_both};

on_both!(
    the_first_pairing_takes_no_open_dial,
    a_closed_plain_path_takes_no_open_dial,
    a_removed_handset_finishes_what_it_has,
    a_new_token_takes_no_open_dial,
    a_disabled_handset_is_still_believed_to_ring,
    the_database_is_away,
    a_phone_that_has_never_asked_here_is_known_in_an_outage,
    the_night_is_not_rung_in_the_morning,
    a_poll_before_the_first_look_rings_nobody,
    grace_for_what_was_due_a_moment_ago,
    a_late_report_counts_after_all,
    an_expired_dial_proves_nothing,
    whole_mids_are_shown_to_handsets_alone,
);

async fn pair(server: &Server, name: &str) -> String {
    let pairing = Pairing::new(name, &server.home.config().handsets);
    let token = server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| pairing::add(work, &pairing).await)
        .await
        .unwrap();
    format!("/h/{token}/alert/phone")
}

async fn the_first_pairing_takes_no_open_dial(home: Home) {
    let server = home.start().await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let (mid, _) = server.app_dial("/alert/phone").await;
    let desk = pair(&server, "desk").await;
    server.pass(10).await;
    assert_eq!(server.app_dial("/alert/phone").await.0, mid, "it holds an open dial");
    server.app_idle(&desk).await;
    server.report("/alert/phone", &mid, Some(A)).await;
    assert_eq!(server.state(&id).await, "answered");
    server.raise(&[B], json!({})).await;
    server.app_idle("/alert/phone").await;
    server.app_dial(&desk).await;
}

async fn a_closed_plain_path_takes_no_open_dial(home: Home) {
    let server = home.start().await;
    server.raise(&[A], json!({})).await;
    let (mid, _) = server.app_dial("/alert/phone").await;
    let home =
        server.stop().await.set("AUTOCALL_HANDSETS_PLAIN_PATH", "never").set("AUTOCALL_HTTP_OPEN_NETWORKS", "10.255.0.0/16");
    let server = home.start().await;
    assert_eq!(server.app_dial("/alert/phone").await.0, mid);
    server.report("/alert/phone", &mid, None).await;
    server.pass(120).await;
    server.app_idle("/alert/phone").await;
}

async fn a_removed_handset_finishes_what_it_has(home: Home) {
    let server = home.set("AUTOCALL_HANDSETS_PLAIN_PATH", "always").start().await;
    let store = &server.app.engine.store;
    for (name, path) in [("desk", pair(&server, "desk").await), ("127.0.0.1", "/alert/phone".to_owned())] {
        server.raise(&[A], json!({ "attempts": 1 })).await;
        let (mid, _) = server.app_dial(&path).await;
        store.carry_out(server.now(), Doer::Server, async |work| pairing::remove(work, name).await).await.unwrap();
        server.pass(10).await;
        assert_eq!(server.app_dial(&path).await.0, mid, "{name} holds an open dial");
        server.report(&path, &mid, Some(A)).await;
        if name == "desk" {
            server.raise(&[B], json!({})).await;
            let body = server.app_poll(&path).await;
            assert_eq!((body["code"].as_i64(), body["msg"] == "无告警"), (Some(1), false), "its token opens nothing any more");
        }
    }
}

async fn a_new_token_takes_no_open_dial(home: Home) {
    let server = home.start().await;
    let store = &server.app.engine.store;
    let old = pair(&server, "desk").await;
    server.raise(&[A], json!({})).await;
    let (mid, _) = server.app_dial(&old).await;
    let new = format!(
        "/h/{}/alert/phone",
        store.carry_out(server.now(), Doer::Server, async |work| pairing::rotate(work, "desk", true).await).await.unwrap()
    );
    server.pass(10).await;
    assert_eq!(server.app_dial(&old).await.0, mid, "the phone has not been told yet");
    server.report(&old, &mid, Some(A)).await;
    // What is handed out from now on is not for whoever has the old one.
    server.raise(&[B], json!({})).await;
    let (mid, _) = server.app_dial(&new).await;
    let body = server.app_poll(&old).await;
    assert_eq!(body["code"], 1, "{body}");
    server.report(&new, &mid, Some(B)).await;
}

async fn a_disabled_handset_is_still_believed_to_ring(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let (mid, _) = server.app_dial(&desk).await;
    server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| pairing::set_disabled(work, "desk", true).await)
        .await
        .unwrap();
    server.pass(60).await;
    assert_eq!(server.app_dial(&desk).await.0, mid);
    server.report(&desk, &mid, Some("0")).await;
    let dials = server.alarm(&id).await;
    assert_eq!(dials["dials"][0]["serves"], 2, "what it was served is counted");
}

async fn the_database_is_away(home: Home) {
    let server = home.set("AUTOCALL_HANDSETS_PLAIN_PATH", "always").start().await;
    let safe = server.pair_as("safe", Profile::Auto, "CN", IdleForm::HeadlessSafe).await;
    let calling = server.pair_as("calling", Profile::Auto, "CN", IdleForm::HeadlessSafe).await;
    let plain = server.pair_as("plain", Profile::Auto, "CN", IdleForm::Plain).await;
    let idle = json!({ "code": 0, "mid": "idle", "phone": [] });
    assert_eq!(server.app_poll(&safe).await, idle);
    server.app_idle(&plain).await;
    let id = server.raise(&[A], json!({})).await;
    let (mid, _) = server.app_dial(&calling).await;
    server.lose_tables(true).await;
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let poll = async |path: &str| -> (u16, Value) {
        let response = http.get(format!("{}{path}", server.base)).header("user-agent", APP).sent().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    };
    for _ in 0..3 {
        assert_eq!(poll(&safe).await, (200, idle.clone()), "what was known of it outlives the outage");
        assert_eq!(poll(&calling).await, (200, json!({ "phone": [], "code": 0, "mid": mid })), "it forgets nothing");
        assert_eq!(poll(&plain).await.1["code"], 1);
    }
    server.lose_tables(false).await;
    assert_eq!(server.app_dial(&calling).await.0, mid);
    server.report(&calling, &mid, Some(A)).await;
    assert_eq!(server.state(&id).await, "answered");
    assert_eq!(server.app_poll(&safe).await, idle);
}

async fn a_phone_that_has_never_asked_here_is_known_in_an_outage(home: Home) {
    let server = home.set("AUTOCALL_HANDSETS_PLAIN_PATH", "always").start().await;
    let safe = server.pair_as("safe", Profile::Auto, "CN", IdleForm::HeadlessSafe).await;
    let server = server.restart().await;
    server.lose_tables(true).await;
    assert_eq!(server.app_poll(&safe).await, json!({ "code": 0, "mid": "idle", "phone": [] }), "`code` 1 would end it");
    server.lose_tables(false).await;
}

async fn the_night_is_not_rung_in_the_morning(home: Home) {
    let mut home = home;
    for away in [1_800, 8 * 3600, 3 * 86_400] {
        let server = home.start().await;
        let (desk, rack) =
            (server.pair(&format!("desk{away}"), Profile::App).await, server.pair(&format!("rack{away}"), Profile::List).await);
        let id = server.raise(&[A, B], json!({ "begin_before_seconds": 600, "attempts": 3 })).await;
        let (mid, _) = server.app_dial(&desk).await;
        home = server.stop().await;
        home.clock.advance(chrono::TimeDelta::seconds(away));
        let server = home.start().await;
        for _ in 0..4 {
            server.pass(1).await;
            server.app_idle(&desk).await;
            server.idle(&rack).await;
        }
        assert_eq!(server.outcomes(&id).await, ["expired"], "{away} s later");
        let alarm = server.alarm(&id).await;
        assert_eq!((alarm["state"].as_str(), alarm["reason"].as_str()), (Some("no_answer"), Some("no_handset")));
        server.report(&desk, &mid, Some(A)).await;
        assert_eq!(server.state(&id).await, "answered", "a late report counts");
        home = server.stop().await;
    }
}

async fn a_poll_before_the_first_look_rings_nobody(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::App).await, server.pair("rack", Profile::List).await);
    let sequential = server.raise(&[A, B], json!({ "begin_before_seconds": 600 })).await;
    server.app_dial(&desk).await;
    let home = server.stop().await;
    home.clock.advance(chrono::TimeDelta::hours(8));
    let node = home.quiet_node().await;
    for path in [&desk, &rack] {
        assert_eq!(node.get(path).await["code"], 1);
    }
    node.app.engine.tick().await.unwrap();
    home.clock.advance(chrono::TimeDelta::seconds(10));
    for path in [&desk, &rack] {
        assert_eq!(node.get(path).await["code"], 1, "nobody is rung in the morning for the night");
    }
    drop(node);
    let server = home.start().await;
    server.pass(1).await;
    assert_eq!(server.state(&sequential).await, "no_answer");
}

async fn grace_for_what_was_due_a_moment_ago(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let (mid, _) = server.app_dial(&desk).await;
    let home = server.stop().await;
    home.clock.advance(chrono::TimeDelta::seconds(350));
    let server = home.start().await;
    // What it finds at its start it finds before the clock goes on.
    server.pass(0).await;
    server.pass(50).await;
    assert_eq!(server.outcomes(&id).await, ["open"], "the phone may hold a result");
    assert_eq!(server.app_dial(&desk).await.0, mid);
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(&id).await, "answered");
}

async fn a_late_report_counts_after_all(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let (mid, _) = server.app_dial(&desk).await;
    let home = server.stop().await;
    home.clock.advance(chrono::TimeDelta::hours(8));
    let server = home.start().await;
    server.pass(1).await;
    assert_eq!(server.alarm(&id).await["reason"], "no_report");
    server.report(&desk, &mid, Some(A)).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((alarm["state"].as_str(), alarm["reason"].is_null()), (Some("answered"), true));
}

async fn an_expired_dial_proves_nothing(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    server.app_dial(&desk).await;
    server.pass(200).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((alarm["state"].as_str(), alarm["reason"].as_str()), (Some("no_answer"), Some("no_report")));
    let ended = alarm["timeline"].as_array().unwrap().iter().find(|event| event["kind"] == "hunt_ended").unwrap().clone();
    assert_eq!(ended["body"]["reason"], "no_report");

    // One of two was rung for certain; of the other nobody knows.
    let mixed = server.raise(&[A, B], json!({ "attempts": 1 })).await;
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [A]);
    server.report(&desk, &mid, None).await;
    server.pass(80).await;
    server.app_dial(&desk).await;
    server.pass(200).await;
    assert_eq!(server.alarm(&mixed).await["reason"], "no_report");

    // Who was rung once for certain was rung.
    let twice = server.raise(&[A], json!({ "attempts": 2, "min_interval_seconds": 0 })).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, None).await;
    server.pass(80).await;
    server.app_dial(&desk).await;
    server.pass(200).await;
    assert_eq!(server.alarm(&twice).await["reason"], "attempts_used");
}

async fn whole_mids_are_shown_to_handsets_alone(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::App).await, server.pair("rack", Profile::App).await);
    let id = server.raise(&[A, B], json!({ "mode": "parallel" })).await;
    let (first, _) = server.app_dial(&desk).await;
    let (second, _) = server.app_dial(&rack).await;
    let looks = async |when: &str| {
        for path in [
            format!("/api/v1/alarms/{id}"),
            "/api/v1/alarms".to_owned(),
            format!("/alarms/{id}"),
            "/".to_owned(),
            "/handsets".to_owned(),
        ] {
            let text = match path.starts_with("/api") {
                true => server.get(&path).await.to_string(),
                false => server.page(&path).await,
            };
            assert!(!text.contains(&first) && !text.contains(&second), "{path} {when}: {text}");
        }
    };
    looks("while it rings").await;
    let alarm = server.alarm(&id).await;
    let shown: Vec<&str> = alarm["dials"].as_array().unwrap().iter().map(|dial| dial["mid"].as_str().unwrap()).collect();
    assert!(shown.len() == 2 && shown.contains(&&first[..8]) && shown.contains(&&second[..8]), "enough to tell dials apart");
    // Whoever read that much cannot answer with it.
    server.report("/h/any/alert/phone", &first[..8], Some(A)).await;
    assert_eq!(server.state(&id).await, "ringing");
    server.report(&desk, &first, Some(A)).await;
    looks("once it is answered").await;
    assert_eq!(server.alarm(&id).await["answer"]["mid"], first[..8]);
}
