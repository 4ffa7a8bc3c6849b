//! Paired handsets: tokens, knocks, silence, test calls.

use std::collections::HashSet;

use autocall::engine::Doer;
use autocall::engine::watch::handsets::TEST_CALLS;
use autocall::engine::watch::presence::PollSource;
use autocall::engine::watch::test_call;
use autocall::keep::pairing::{self, Pairing};
use autocall::numbers::Number;
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use serde_json::json;

use crate::harness::{A, APP, B, Home, Server, on_both};

on_both!(
    a_token_is_shown_once_and_stored_hashed,
    both_tokens_are_good_until_the_new_one_was_used,
    wrong_tokens_are_limited_and_the_phone_is_not_shut_out,
    a_report_counts_although_the_token_is_gone,
    a_phone_that_knocks_is_remembered_and_can_be_allowed,
    silence_marks_a_handset_offline_until_it_polls,
    that_a_handset_polls_as_before_is_not_written_each_time,
    thousands_are_written_in_portions,
    silence_in_a_call_is_a_call,
    a_phone_that_does_not_return_is_stuck,
    a_restart_does_not_make_handsets_offline,
    two_phones_with_one_token_are_noticed,
    a_test_call_proves_the_chain,
    a_test_call_is_only_for_its_handset,
    a_test_call_sends_only_its_own_handset_to_the_database,
    a_removed_handset_is_gone_and_what_it_rang_is_told,
    names_are_unique,
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

async fn handset(server: &Server, name: &str) -> autocall::store::watch::handsets::HandsetRow {
    pairing::find(&server.app.engine.store, name).await.unwrap()
}

/// Polls every ten seconds for so long, with everything that happens beside.
async fn poll_for(server: &Server, paths: &[&str], seconds: i64) {
    for _ in 0..seconds / 10 {
        for path in paths {
            server.get_as(path, APP).await;
        }
        server.pass(10).await;
        server.app.engine.watch_handsets().await.unwrap();
    }
}

async fn a_token_is_shown_once_and_stored_hashed(home: Home) {
    let server = home.start().await;
    let path = pair(&server, "desk").await;
    server.idle(&path).await;
    let token = path.split('/').nth(2).unwrap();
    let row = handset(&server, "desk").await;
    assert_eq!(row.token_hash.as_ref().map(Vec::len), Some(32));
    assert!(!format!("{row:?}").contains(token));
}

async fn both_tokens_are_good_until_the_new_one_was_used(home: Home) {
    let server = home.start().await;
    let old = pair(&server, "desk").await;
    server.app_idle(&old).await;
    let new = format!(
        "/h/{}/alert/phone",
        server
            .app
            .engine
            .store
            .carry_out(server.now(), Doer::Server, async |work| pairing::rotate(work, "desk", false).await)
            .await
            .unwrap()
    );
    server.raise(&[A], json!({})).await;
    let (mid, _) = server.app_dial(&old).await;
    server.report(&old, &mid, Some(A)).await;
    assert_eq!(server.get_as(&old, APP).await["msg"], "无告警", "the phone has not been told yet");
    assert_eq!(server.get_as(&new, APP).await["msg"], "无告警");
    let refused = server.get_as(&old, APP).await;
    assert_eq!(refused["code"], 1);
    assert_ne!(refused["msg"], "无告警", "the old token is no good any more");
}

async fn wrong_tokens_are_limited_and_the_phone_is_not_shut_out(home: Home) {
    let server = home.start().await;
    let desk = pair(&server, "desk").await;
    server.idle(&desk).await;
    let mut messages = HashSet::new();
    for number in 0..30 {
        let body = server.get(&format!("/h/wrong{number}/alert/phone")).await;
        messages.insert(body["msg"].as_str().unwrap().to_owned());
    }
    assert_eq!(messages.len(), 2, "unknown, then too many: {messages:?}");
    assert_eq!(server.get(&desk).await["msg"], "无告警");
    // Whatever the limit says, a report with a known mid counts.
    let id = server.raise(&[A], json!({})).await;
    let (mid, _) = server.dial(&desk).await;
    server.report("/h/wrong0/alert/phone", &mid, Some(A)).await;
    assert_eq!(server.state(&id).await, "answered");
}

async fn a_report_counts_although_the_token_is_gone(home: Home) {
    let server = home.start().await;
    let desk = pair(&server, "desk").await;
    let id = server.raise(&[A], json!({})).await;
    let (mid, _) = server.dial(&desk).await;
    let new = server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| pairing::rotate(work, "desk", false).await)
        .await
        .unwrap();
    server.dial(&format!("/h/{new}/alert/phone")).await;
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(&id).await, "answered");
}

async fn a_phone_that_knocks_is_remembered_and_can_be_allowed(home: Home) {
    let server = home.set("AUTOCALL_HTTP_OPEN_NETWORKS", "10.255.0.0/16").start().await;
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let poll = async || -> serde_json::Value {
        let request = http.get(format!("{}/alert/phone", server.base)).header("user-agent", APP).header("model", "Mi 9");
        request.sent().await.unwrap().json().await.unwrap()
    };
    let refused = poll().await;
    assert_eq!(refused["code"], 1);
    let store = &server.app.engine.store;
    let knocks = store.read().await.unwrap().db().knocks().await.unwrap();
    assert_eq!((knocks[0].address.as_str(), knocks[0].model.as_str(), knocks.len()), ("127.0.0.1", "Mi 9", 1));

    let pairing = Pairing::new("window", &server.home.config().handsets);
    store
        .carry_out(server.now(), Doer::Server, async |work| {
            pairing::allow(work, &pairing, "127.0.0.1".parse().unwrap(), "Mi 9").await
        })
        .await
        .unwrap();
    assert_eq!(poll().await["msg"], "无告警");
    assert!(store.read().await.unwrap().db().knocks().await.unwrap().is_empty());
    let other = server.get_as("/alert/phone", APP).await;
    assert_ne!(other["msg"], "无告警", "another model at that address is another phone");
}

async fn silence_marks_a_handset_offline_until_it_polls(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (pair(&server, "desk").await, pair(&server, "rack").await);
    poll_for(&server, &[&desk, &rack], 60).await;
    poll_for(&server, &[&rack], 30).await;
    assert!(handset(&server, "desk").await.offline_since.is_none());
    poll_for(&server, &[&rack], 20).await;
    assert!(handset(&server, "desk").await.offline_since.is_some(), "three polls of ten seconds, and fifteen");
    assert!(handset(&server, "rack").await.offline_since.is_none());
    assert!(server.app.engine.metrics.render().contains("autocall_handsets_offline 1"));
    server.app_idle(&desk).await;
    assert!(handset(&server, "desk").await.offline_since.is_none());
    server.app.engine.watch_handsets().await.unwrap();
    assert!(server.app.engine.metrics.render().contains("autocall_handsets_offline 0"));
}

/// That a handset polls as before is written down twice a minute; when it falls silent is known to the second all the same.
async fn that_a_handset_polls_as_before_is_not_written_each_time(home: Home) {
    let server = home.start().await;
    let desk = pair(&server, "desk").await;
    poll_for(&server, &[&desk], 120).await;
    server.app_idle(&desk).await;
    server.app.engine.watch_handsets().await.unwrap();
    let written = handset(&server, "desk").await.last_seen_at.unwrap();
    let mut times = std::collections::BTreeSet::from([written]);
    for _ in 0..12 {
        poll_for(&server, &[&desk], 10).await;
        times.insert(handset(&server, "desk").await.last_seen_at.unwrap());
    }
    assert!(times.len() <= 5, "{times:?}");
    let heard = server.now() - chrono::TimeDelta::seconds(10);
    // On the pages it is as it is in memory.
    assert_eq!(server.app.engine.presence.last_seen(handset(&server, "desk").await.id), Some(heard));
    server.pass(34).await;
    server.app.engine.watch_handsets().await.unwrap();
    assert!(handset(&server, "desk").await.offline_since.is_none(), "44 seconds");
    server.pass(2).await;
    server.app.engine.watch_handsets().await.unwrap();
    assert!(handset(&server, "desk").await.offline_since.is_some(), "46 seconds");
    // What was not written yet is before the server stops.
    server.app_idle(&desk).await;
    server.pass(10).await;
    server.app_idle(&desk).await;
    let heard = server.now();
    let server = server.restart().await;
    assert_eq!(handset(&server, "desk").await.last_seen_at, Some(heard));
}

/// More than are written in one portion, all in one go.
async fn thousands_are_written_in_portions(home: Home) {
    let server = home.start().await;
    let mut ids = Vec::new();
    for number in 0..450 {
        let name = format!("phone-{number}");
        server.pair(&name, Profile::App).await;
        ids.push(handset(&server, &name).await.id);
    }
    let source = PollSource { address: [10, 0, 0, 7].into(), model: "Mi 9", user_agent: APP };
    for id in &ids {
        server.app.engine.presence.polled(*id, &source, Some(12.5), server.now());
    }
    server.app.engine.watch_handsets().await.unwrap();
    let all = server.app.engine.store.read().await.unwrap().db().handsets().await.unwrap();
    for handset in &all {
        assert_eq!(handset.last_seen_at, Some(server.now()));
        assert_eq!((handset.last_address.as_deref(), handset.last_model.as_deref()), (Some("10.0.0.7"), Some("Mi 9")));
        assert_eq!((handset.last_user_agent.as_deref(), handset.interval_seconds), (Some(APP), Some(12.5)));
    }
    assert_eq!(all.len(), 450);
    assert!(server.app.engine.presence.unwritten(server.now(), true).is_empty());
}

async fn silence_in_a_call_is_a_call(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (pair(&server, "desk").await, pair(&server, "rack").await);
    poll_for(&server, &[&desk, &rack], 30).await;
    server.raise(&[A], json!({})).await;
    server.app_dial(&desk).await;
    poll_for(&server, &[&rack], 170).await;
    let row = handset(&server, "desk").await;
    assert!(row.offline_since.is_none() && row.stuck_since.is_none());
}

async fn a_phone_that_does_not_return_is_stuck(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (pair(&server, "desk").await, pair(&server, "rack").await);
    poll_for(&server, &[&desk, &rack], 30).await;
    let id = server.raise(&[A], json!({})).await;
    let (mid, _) = server.app_dial(&desk).await;
    poll_for(&server, &[&rack], 240).await;
    let row = handset(&server, "desk").await;
    assert!(row.stuck_since.is_some(), "{row:?}");
    assert!(row.offline_since.is_none());
    assert!(server.outcomes(&id).await.len() > 1, "another handset went on");
    // It comes back with its result after all.
    server.report(&desk, &mid, Some(A)).await;
    server.app_idle(&desk).await;
    assert!(handset(&server, "desk").await.stuck_since.is_none());
    assert_eq!(server.state(&id).await, "answered");
}

async fn a_restart_does_not_make_handsets_offline(home: Home) {
    let server = home.start().await;
    let desk = pair(&server, "desk").await;
    poll_for(&server, &[&desk], 30).await;
    server.home.clock.advance(chrono::TimeDelta::hours(2));
    let server = server.restart().await;
    server.pass(0).await;
    server.app.engine.watch_handsets().await.unwrap();
    assert!(handset(&server, "desk").await.offline_since.is_none(), "nobody could have heard it");
    server.pass(60).await;
    server.app.engine.watch_handsets().await.unwrap();
    assert!(handset(&server, "desk").await.offline_since.is_some());
}

async fn two_phones_with_one_token_are_noticed(home: Home) {
    let server = home.start().await;
    let desk = pair(&server, "desk").await;
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    for turn in 0..8 {
        let model = if turn % 2 == 0 { "Mi 9" } else { "P30" };
        http.get(format!("{}{desk}", server.base)).header("user-agent", APP).header("model", model).sent().await.unwrap();
        server.pass(5).await;
    }
    assert!(handset(&server, "desk").await.shared_since.is_some());
}

async fn a_test_call_proves_the_chain(home: Home) {
    let server = home.start().await;
    let desk = pair(&server, "desk").await;
    let store = &server.app.engine.store;
    let config = server.home.config();
    let number = Number::parse(A, config.default_region).unwrap();
    test_call::begin(store, &server.home.clock, &config, &handset(&server, "desk").await, &number).await.unwrap();
    let checklist = async || test_call::checklist(store, &handset(&server, "desk").await).await.unwrap().unwrap();
    assert!(!checklist().await.polled);
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [A]);
    let halfway = checklist().await;
    assert!(halfway.polled && halfway.dialled && !halfway.reported);
    server.report(&desk, &mid, Some(A)).await;
    assert!(checklist().await.is_complete());
    let tests = server.items("/api/v1/alarms?kind=test").await;
    assert_eq!(tests[0]["source"], TEST_CALLS);

    // The second time nobody picks up.
    test_call::begin(store, &server.home.clock, &config, &handset(&server, "desk").await, &number).await.unwrap();
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, None).await;
    let failed = checklist().await;
    assert!(failed.ended && failed.reported && !failed.matched);
    assert_eq!(failed.missing().count(), 1);
}

async fn a_test_call_is_only_for_its_handset(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (pair(&server, "desk").await, pair(&server, "rack").await);
    let config = server.home.config();
    let number = Number::parse(A, config.default_region).unwrap();
    let row = handset(&server, "rack").await;
    test_call::begin(&server.app.engine.store, &server.home.clock, &config, &row, &number).await.unwrap();
    server.raise(&[B], json!({ "priority": "low" })).await;
    assert_eq!(server.app_dial(&desk).await.1, [B]);
    assert_eq!(server.app_dial(&rack).await.1, [A]);
}

async fn a_test_call_sends_only_its_own_handset_to_the_database(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (pair(&server, "desk").await, pair(&server, "rack").await);
    server.app_idle(&desk).await;
    let number = Number::parse(A, server.home.config().default_region).unwrap();
    let row = handset(&server, "rack").await;
    test_call::begin(&server.app.engine.store, &server.home.clock, &server.home.config(), &row, &number).await.unwrap();
    // Nobody asks as rack: the test call stays due.
    let counters = server.app.engine.store.counters();
    autocall_tests::wait::eventually("a poll that costs nothing", std::time::Duration::from_secs(20), async || {
        let before = counters.connections();
        server.app_idle(&desk).await;
        (counters.connections() == before).then_some(())
    })
    .await;
    assert_eq!(server.app_dial(&rack).await.1, [A]);
}

async fn a_removed_handset_is_gone_and_what_it_rang_is_told(home: Home) {
    let server = home.start().await;
    let store = &server.app.engine.store;
    let desk = pair(&server, "desk").await;
    let answered = server.raise(&[A], json!({})).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    let ringing = server.raise(&[B], json!({})).await;
    let (mid, _) = server.app_dial(&desk).await;
    store.carry_out(server.now(), Doer::Server, async |work| pairing::remove(work, "desk").await).await.unwrap();
    assert!(matches!(
        store.carry_out(server.now(), Doer::Server, async |work| pairing::remove(work, "desk").await).await,
        Err(pairing::PairingError::NoSuchHandset(_))
    ));
    assert!(store.read().await.unwrap().db().handsets().await.unwrap().is_empty());
    assert_eq!(server.app_dial(&desk).await.0, mid, "what it holds it may finish");
    server.report(&desk, &mid, Some(B)).await;
    let poll = server.get_as(&desk, crate::harness::APP).await;
    assert_ne!(poll["code"], 0, "its token opens nothing: {poll}");
    assert_eq!(server.state(&ringing).await, "answered", "what it held it may still report");
    for id in [&answered, &ringing] {
        let handset = server.alarm(id).await["answer"]["handset"].clone();
        assert_eq!(handset, format!("desk †{}", server.now().format("%F %T")));
    }
    // Its name is free, and nobody calls the old one silent.
    let again = pair(&server, "desk").await;
    server.app_idle(&again).await;
    server.pass(3600).await;
    server.app.engine.watch_handsets().await.unwrap();
    assert_eq!(store.read().await.unwrap().db().handsets().await.unwrap().len(), 1);
}

async fn names_are_unique(home: Home) {
    let server = home.start().await;
    pair(&server, "desk").await;
    pair(&server, "rack").await;
    let store = &server.app.engine.store;
    let pairing = Pairing { profile: Profile::List, ..Pairing::new("desk", &server.home.config().handsets) };
    assert!(matches!(
        store.carry_out(server.now(), Doer::Server, async |work| pairing::add(work, &pairing).await).await,
        Err(pairing::PairingError::NameTaken(_))
    ));
    assert!(matches!(
        store.carry_out(server.now(), Doer::Server, async |work| pairing::rename(work, "rack", "desk").await).await,
        Err(pairing::PairingError::NameTaken(_))
    ));
    assert!(matches!(
        store.carry_out(server.now(), Doer::Server, async |work| pairing::rename(work, "attic", "cellar").await).await,
        Err(pairing::PairingError::NoSuchHandset(_))
    ));
    store.carry_out(server.now(), Doer::Server, async |work| pairing::rename(work, "rack", "cellar").await).await.unwrap();
    assert_eq!(handset(&server, "cellar").await.name, "cellar");
}
