//! What a handset is given, by what it can do.

use autocall::engine::Doer;
use autocall::store::watch::handsets::{IdleForm, Profile};
use serde_json::json;

use crate::harness::{A, B, C, Home, on_both};

on_both!(
    the_documented_sample,
    a_bare_report_ends_it_as_no_answer,
    the_answer_is_named_after_the_person,
    the_stock_app_gets_one_number_at_a_time,
    an_early_nobody_holds_the_app_back,
    a_token_path_gets_a_list_and_a_second_pass_under_a_new_mid,
    an_open_dial_is_served_unchanged_until_it_is_reported,
    polls_at_once_get_one_dial,
    a_paired_handset_closes_the_plain_path,
    numbers_are_dialled_as_the_sim_needs_them,
    a_foreign_number_reported_with_a_blank_for_the_plus,
    headless_idle,
    a_disabled_handset_finishes_what_it_has,
);

async fn the_documented_sample(home: Home) {
    let server = home.start().await;
    server.idle("/alert/phone").await;
    server.raise(&[A, B], json!({ "attempts": 2 })).await;
    let (mid, phones) = server.dial("/alert/phone").await;
    assert_eq!(phones, [A, B, A, B]);
    assert!(mid.len() == 24 && mid.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{mid}");
}

async fn a_bare_report_ends_it_as_no_answer(home: Home) {
    let server = home.start().await;
    let id = server.raise(&[A, B], json!({ "attempts": 2 })).await;
    let (mid, _) = server.dial("/alert/phone").await;
    server.report("/alert/phone", &mid, None).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["state"], "no_answer");
    assert_eq!(alarm["reason"], "attempts_used");
    assert_eq!(alarm["callees"][0]["attempts"], 2);
    server.idle("/alert/phone").await;
}

async fn the_answer_is_named_after_the_person(home: Home) {
    let server = home.start().await;
    let people =
        autocall::keep::people_import::read_csv("name,numbers\n李娜,18812345678\n", server.home.config().default_region).unwrap();
    let id = server.raise(&[A, B], json!({})).await;
    server
        .app
        .engine
        .store
        .carry_out(server.home.clock.now(), Doer::Server, async |work| autocall::keep::people_import::import(work, &people).await)
        .await
        .unwrap();
    let (mid, _) = server.dial("/alert/phone").await;
    server.report("/alert/phone", &mid, Some(B)).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["state"], "answered");
    assert_eq!(alarm["answer"]["name"], "李娜", "the roster is read when the answer arrives");
    assert_eq!(alarm["answer"]["number"], "+8618812345678");
    assert_eq!(alarm["answer"]["mid"], mid[..8]);

    let unknown = server.raise(&[A], json!({})).await;
    let (mid, _) = server.dial("/alert/phone").await;
    server.report("/alert/phone", &mid, Some(A)).await;
    assert_eq!(server.alarm(&unknown).await["answer"]["name"], A, "without a person, the bare number");
}

async fn the_stock_app_gets_one_number_at_a_time(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::Auto).await;
    let id = server.raise(&[A, B, C], json!({})).await;
    let (first, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [A]);
    server.pass(40).await;
    server.report(&desk, &first, None).await;
    server.app_idle(&desk).await;
    server.pass(36).await;
    let (second, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [B]);
    assert_ne!(first, second);
    server.pass(20).await;
    server.report(&desk, &second, Some(B)).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["state"], "answered");
    assert_eq!(alarm["answer"]["number"], "+8618812345678");
    assert_eq!(alarm["answer"]["attempt"], 1);
    assert_eq!(alarm["answer"]["handset"], "desk");
    assert_eq!(alarm["answer"]["after_seconds"], 96.0);
    assert_eq!(alarm["callees"][2]["attempts"], 0, "nobody else was rung");

    // After an answer the call is over: nothing needs to wait.
    server.raise(&[A], json!({})).await;
    server.app_dial(&desk).await;
}

async fn an_early_nobody_holds_the_app_back(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    server.raise(&[A, B], json!({})).await;
    let (mid, _) = server.dial(&desk).await;
    // A stranger's missed call makes the app report nobody while A still rings.
    server.pass(20).await;
    server.report(&desk, &mid, None).await;
    for _ in 0..5 {
        server.idle(&desk).await;
        server.pass(10).await;
    }
    server.pass(5).await;
    assert_eq!(server.dial(&desk).await.1, [B], "75 s after the hand-out the line is free");
}

async fn a_token_path_gets_a_list_and_a_second_pass_under_a_new_mid(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::Auto).await;
    let id = server.raise(&[A, B], json!({ "attempts": 2, "min_interval_seconds": 60 })).await;
    let (first, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A, B]);
    server.pass(50).await;
    server.report(&desk, &first, None).await;
    assert_eq!(server.state(&id).await, "ringing");
    server.idle(&desk).await;
    server.pass(10).await;
    let (second, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A, B]);
    assert_ne!(first, second);
    server.report(&desk, &second, None).await;
    assert_eq!(server.state(&id).await, "no_answer");
    assert_eq!(server.outcomes(&id).await, ["nobody", "nobody"]);
}

async fn an_open_dial_is_served_unchanged_until_it_is_reported(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A, B], json!({})).await;
    let first = server.get(&desk).await;
    server.raise(&[C], json!({ "priority": "critical" })).await;
    for _ in 0..3 {
        server.pass(30).await;
        assert_eq!(server.get(&desk).await, first, "whatever else comes in");
    }
    let server = server.restart().await;
    assert_eq!(server.get(&desk).await, first, "also after a restart");
    server.report(&desk, first["mid"].as_str().unwrap(), Some(A)).await;
    assert_eq!(server.dial(&desk).await.1, [C], "an acknowledged mid is never served again");
    assert_eq!(server.alarm(&id).await["dials"][0]["serves"], 5);
}

async fn polls_at_once_get_one_dial(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A, B], json!({})).await;
    server.raise(&[C], json!({})).await;
    let polls: Vec<_> = (0..8).map(|_| server.get(&desk)).collect();
    let mut mids = std::collections::HashSet::new();
    for poll in polls {
        let body = poll.await;
        if body["code"] == 0 {
            mids.insert(body["mid"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(mids.len(), 1, "one handset has one open mid");
    assert_eq!(server.outcomes(&id).await, ["open"]);
}

async fn a_paired_handset_closes_the_plain_path(home: Home) {
    let server = home.start().await;
    server.idle("/alert/phone").await;
    let desk = server.pair("desk", Profile::List).await;
    server.raise(&[A], json!({})).await;
    server.idle("/alert/phone").await;
    assert_eq!(server.dial(&desk).await.1, [A]);
    server.idle("/h/wrong-token/alert/phone").await;
}

async fn numbers_are_dialled_as_the_sim_needs_them(home: Home) {
    let server = home.start().await;
    let tokyo = server.pair_as("tokyo", Profile::List, "JP", IdleForm::Plain).await;
    let id = server.raise(&["+819012345678", "187-1234-5678"], json!({})).await;
    let (mid, phones) = server.dial(&tokyo).await;
    assert_eq!(phones, ["09012345678", "+8618712345678"]);
    server.report(&tokyo, &mid, Some("090-1234-5678")).await;
    assert_eq!(server.alarm(&id).await["answer"]["number"], "+819012345678");
}

async fn a_foreign_number_reported_with_a_blank_for_the_plus(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A, "+819012345678"], json!({})).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A, "+819012345678"]);
    // Unencoded, as the app sends it: the server reads a blank.
    server.report(&desk, &mid, Some("+819012345678")).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["answer"]["number"], "+819012345678");
    assert_eq!(alarm["answer"]["callee_id"], alarm["callees"][1]["id"]);
}

async fn headless_idle(home: Home) {
    let server = home.start().await;
    let desk = server.pair_as("desk", Profile::App, "CN", IdleForm::HeadlessSafe).await;
    let idle = json!({ "code": 0, "mid": "idle", "phone": [] });
    assert_eq!(server.get(&desk).await, idle);
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let (mid, _) = server.dial(&desk).await;
    // Past its deadline but not closed yet: the headless-safe idle would make the app forget a mid that may come again.
    server.home.clock.advance(chrono::TimeDelta::seconds(600));
    let body = server.get(&desk).await;
    assert!(body == json!({ "phone": [], "code": 0, "mid": mid }) || body == idle, "{body}");
    server.pass(0).await;
    assert_eq!(server.state(&id).await, "no_answer");
    assert_eq!(server.get(&desk).await, idle);
}

async fn a_disabled_handset_finishes_what_it_has(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let (mid, _) = server.dial(&desk).await;
    let mut tx = server.app.engine.store.begin().await.unwrap();
    assert!(tx.db().disable_handset("desk", server.now()).await.unwrap());
    tx.announce(autocall::store::Announcement::Handsets);
    tx.commit().await.unwrap();
    assert_eq!(server.dial(&desk).await.0, mid);
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(&id).await, "answered");
    server.raise(&[B], json!({})).await;
    server.idle(&desk).await;
}
