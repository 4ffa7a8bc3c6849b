//! Handsets that hold several calls at once: each of their channels is served, rests and is missed by itself. And hunts that not every
//! handset may be given.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use android_protocol::wire::{CommandKind, PROTOCOL_HEADER, Progress, ProgressState};
use autocall::engine::{Asker, Claim, Doer, NewCallee, RaiseRequest};
use autocall::ids::CommandId;
use autocall::keep::pairing::{self, Pairing};
use autocall::needs::Words;
use autocall::store::watch::handsets::{HandsetRow, IdleForm, Profile};
use autocall_tests::described::Held as _;
use autocall_tests::wait::eventually;
use serde_json::{Value, json};

use crate::harness::{A, B, C, Home, Server, on_both};
use crate::native::{poll, report, send};

on_both!(
    two_channels_ring_two_people,
    channels_that_ask_at_once_get_two_calls,
    no_phone_is_rung_on_two_channels,
    a_leaked_token_opens_no_further_line,
    a_limit_that_is_lowered_lets_calls_end,
    a_channel_that_fails_rests_alone,
    an_account_that_is_refused_rests_the_handset,
    a_call_that_began_before_proves_nothing_since,
    a_line_that_is_used_by_others_rests_alone,
    what_ends_on_one_channel_leaves_the_other,
    a_handset_is_silent_when_no_channel_asks,
    a_channel_that_does_not_return_is_missed_alone,
    each_channel_is_served_again_after_a_restart,
    each_channel_keeps_its_mid_while_the_database_is_away,
    who_had_the_old_token_finishes_what_was_begun,
    a_code_waits_for_every_channel,
    handsets_that_speak_are_waited_for_while_a_channel_is_free,
    a_hunt_is_only_due_for_who_can,
    who_learns_to_speak_while_it_waits_is_given_what_is_spoken,
    progress_and_what_phones_cannot_do_cost_them_nothing,
);

/// A handset that says that it can hold so many calls, and is allowed as many.
pub async fn trunk(server: &Server, channels: i32) -> String {
    let path = server.pair("trunk", Profile::Native).await;
    says(server, &path, json!({ "channels": channels })).await;
    server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| pairing::set_channels(work, "trunk", channels).await)
        .await
        .unwrap();
    path
}

async fn says(server: &Server, path: &str, status: Value) {
    let path = path.replace("/alert/phone", "/status");
    assert_eq!(send(server, "POST", &path, Some(status)).await, json!({ "code": 0 }));
}

/// Asks for something to ring on a channel.
pub async fn on(server: &Server, path: &str, channel: i32) -> Value {
    poll(server, &format!("{path}?channel={channel}")).await
}

/// The same, with the status of the answer.
async fn asked(server: &Server, path: &str) -> (u16, Value) {
    let request = server.http.get(format!("{}{path}", server.base)).header(PROTOCOL_HEADER, "1");
    let response = request.sent().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn row(server: &Server, name: &str) -> HandsetRow {
    server.app.engine.store.read().await.unwrap().db().handset_by_name(name).await.unwrap().unwrap()
}

pub fn failed(number: &str, detail: Value) -> Value {
    json!([{ "number": number, "outcome": "failed", "detail": detail }])
}

async fn two_channels_ring_two_people(home: Home) {
    let server = home.start().await;
    let trunk = trunk(&server, 2).await;
    let (first, second) = (server.raise(&[A], json!({})).await, server.raise(&[B], json!({})).await);
    let (one, two) = (on(&server, &trunk, 0).await, on(&server, &trunk, 1).await);
    assert_eq!((&one["phone"], &two["phone"]), (&json!([A]), &json!([B])));
    assert_ne!(one["mid"], two["mid"]);
    for _ in 0..2 {
        assert_eq!(on(&server, &trunk, 1).await["mid"], two["mid"], "served again to a poll of that channel");
        assert_eq!(poll(&server, &trunk).await["mid"], one["mid"], "without a number it is the first");
    }
    report(&server, &trunk, &two["mid"], &format!("&resp={B}"), json!([])).await;
    assert_eq!((server.state(&second).await.as_str(), server.state(&first).await.as_str()), ("answered", "ringing"));
    assert_eq!(on(&server, &trunk, 1).await["code"], 1);
    report(&server, &trunk, &one["mid"], &format!("&resp={A}"), json!([])).await;
    assert_eq!(server.alarm(&first).await["dials"][0]["handset"], "trunk");
    assert_eq!(server.state(&first).await, "answered");
    let records = server.items("/api/v1/call-records").await;
    let on: BTreeSet<_> = records.as_array().unwrap().iter().map(|record| record["channel"].as_i64()).collect();
    assert_eq!(on, [Some(1), Some(2)].into(), "for people they are counted from 1: {records}");
}

async fn channels_that_ask_at_once_get_two_calls(home: Home) {
    let server = home.start().await;
    let trunk = trunk(&server, 4).await;
    for number in [A, B, C] {
        server.raise(&[number], json!({})).await;
    }
    let rung = eventually("three calls", Duration::from_secs(30), async || {
        let offers: [Value; 3] = tokio::join!(on(&server, &trunk, 0), on(&server, &trunk, 1), on(&server, &trunk, 2)).into();
        offers.iter().all(|offer| offer["code"] == 0).then_some(offers)
    })
    .await;
    let rung: BTreeSet<&str> = rung.iter().filter_map(|offer| offer["phone"][0].as_str()).collect();
    assert_eq!(rung, BTreeSet::from([A, B, C]));
    assert_eq!(on(&server, &trunk, 3).await["code"], 1);
}

async fn no_phone_is_rung_on_two_channels(home: Home) {
    let server = home.start().await;
    let trunk = trunk(&server, 2).await;
    server.raise(&[A], json!({})).await;
    let second = server.raise(&[A, B], json!({ "mode": "parallel" })).await;
    let one = on(&server, &trunk, 0).await;
    assert_eq!((&one["phone"], &on(&server, &trunk, 1).await["phone"]), (&json!([A]), &json!([B])));
    assert_eq!(server.alarm(&second).await["dials"][0]["handset"], "trunk");
}

async fn a_leaked_token_opens_no_further_line(home: Home) {
    let server = home.start().await;
    let path = server.pair("trunk", Profile::Native).await;
    let id = server.raise(&[A], json!({})).await;
    let refused = async |query: &str| {
        let (status, body) = asked(&server, &format!("{path}?{query}")).await;
        assert_eq!((status, body["code"].as_i64().is_some_and(|code| code != 0)), (400, true), "{query}: {body}");
    };
    // Nobody has said that it has more than one, and nobody has allowed it.
    for query in ["channel=1", "channel=59", "channel=64", "channel=-1", "channel=4294967296", "channel=two", "channel="] {
        refused(query).await;
    }
    says(&server, &path, json!({ "channels": 8 })).await;
    refused("channel=1").await;
    server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| pairing::set_channels(work, "trunk", 3).await)
        .await
        .unwrap();
    refused("channel=3&wait=5").await;
    assert_eq!(server.state(&id).await, "waiting");
    assert_eq!(server.alarm(&id).await["dials"], json!([]), "nothing was handed out");
    for channels in [0, -1, 65] {
        assert!(
            server
                .app
                .engine
                .store
                .carry_out(server.now(), Doer::Server, async |work| pairing::set_channels(work, "trunk", channels).await)
                .await
                .is_err()
        );
    }
    says(&server, &path, json!({ "channels": 2 })).await;
    refused("channel=2").await;
    // A handset that is no native one has a single line, whatever it asks.
    let desk = server.pair("desk", Profile::App).await;
    server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| pairing::set_channels(work, "desk", 8).await)
        .await
        .unwrap();
    let (status, _) = asked(&server, &format!("{desk}?channel=1")).await;
    assert_eq!(status, 400);
    assert_eq!(
        server.app_dial(&format!("{desk}?channel=59")).await.1,
        [A],
        "without the protocol's header it is no word of ours"
    );
}

async fn a_limit_that_is_lowered_lets_calls_end(home: Home) {
    let server = home.start().await;
    let trunk = trunk(&server, 3).await;
    let mut ids = Vec::new();
    for number in [A, B, C] {
        ids.push(server.raise(&[number], json!({})).await);
    }
    let offers = [on(&server, &trunk, 0).await, on(&server, &trunk, 1).await, on(&server, &trunk, 2).await];
    server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| pairing::set_channels(work, "trunk", 2).await)
        .await
        .unwrap();
    says(&server, &trunk, json!({ "channels": 1 })).await;
    for (channel, offer) in (0..3).zip(&offers) {
        assert_eq!(on(&server, &trunk, channel).await["mid"], offer["mid"], "what was handed out may be finished");
    }
    for (offer, number) in offers.iter().zip([A, B, C]) {
        report(&server, &trunk, &offer["mid"], &format!("&resp={number}"), json!([])).await;
    }
    for id in &ids {
        assert_eq!(server.state(id).await, "answered");
    }
    server.raise(&[A], json!({})).await;
    assert_eq!(asked(&server, &format!("{trunk}?channel=1")).await.0, 400);
    assert_eq!(asked(&server, &format!("{trunk}?channel=2")).await.0, 400);
    assert_eq!(on(&server, &trunk, 0).await["phone"], json!([A]));
}

async fn a_channel_that_fails_rests_alone(home: Home) {
    let server = home.start().await;
    let trunk = trunk(&server, 2).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let offer = on(&server, &trunk, 0).await;
    report(&server, &trunk, &offer["mid"], "", failed(A, json!(null))).await;
    assert_eq!(on(&server, &trunk, 0).await["code"], 1, "it rests");
    let offer = on(&server, &trunk, 1).await;
    assert_eq!(offer["phone"], json!([A]), "the other one does not");
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), json!([])).await;
    assert_eq!(server.state(&id).await, "answered");
    server.raise(&[B], json!({})).await;
    server.pass(29).await;
    assert_eq!(on(&server, &trunk, 0).await["code"], 1, "a call that left the other channel says nothing of this one");
    server.pass(1).await;
    // A number that there is none of is no fault of the channel.
    let offer = on(&server, &trunk, 0).await;
    report(&server, &trunk, &offer["mid"], "", failed(B, json!("bad_number"))).await;
    server.raise(&[C], json!({})).await;
    assert_eq!(on(&server, &trunk, 0).await["phone"], json!([C]));
}

async fn an_account_that_is_refused_rests_the_handset(home: Home) {
    let server = home.start().await;
    let trunk = trunk(&server, 2).await;
    for detail in ["auth", "trunk"] {
        let id = server.raise(&[A], json!({ "attempts": 1 })).await;
        let offer = on(&server, &trunk, 1).await;
        assert_eq!(offer["phone"], json!([A]), "{detail}");
        report(&server, &trunk, &offer["mid"], "", failed(A, json!(detail))).await;
        assert_eq!(server.alarm(&id).await["callees"][0]["attempts"], 0, "given back");
        for channel in [0, 1] {
            assert_eq!(on(&server, &trunk, channel).await["code"], 1, "{detail}: no channel can");
        }
        server.pass(60).await;
        let offer = on(&server, &trunk, 0).await;
        report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), json!([])).await;
        assert_eq!(server.state(&id).await, "answered");
    }
}

async fn a_call_that_began_before_proves_nothing_since(home: Home) {
    let server = home.start().await;
    let trunk = trunk(&server, 2).await;
    server.raise(&[A], json!({})).await;
    let long = on(&server, &trunk, 0).await;
    server.pass(1).await;
    let id = server.raise(&[B], json!({ "attempts": 1 })).await;
    let refused = on(&server, &trunk, 1).await;
    report(&server, &trunk, &refused["mid"], "", failed(B, json!("auth"))).await;
    report(&server, &trunk, &long["mid"], &format!("&resp={A}"), json!([])).await;
    assert_eq!(on(&server, &trunk, 1).await["code"], 1, "the account is refused since");
    server.pass(60).await;
    assert_eq!(on(&server, &trunk, 1).await["phone"], json!([B]));
    assert_eq!(server.state(&id).await, "ringing");
}

async fn a_line_that_is_used_by_others_rests_alone(home: Home) {
    let server = home.start().await;
    let trunk = trunk(&server, 2).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let offer = on(&server, &trunk, 1).await;
    report(&server, &trunk, &offer["mid"], "", json!([{ "number": A, "outcome": "not_dialled" }])).await;
    assert_eq!(server.alarm(&id).await["callees"][0]["attempts"], 0);
    server.pass(14).await;
    assert_eq!(on(&server, &trunk, 1).await["code"], 1, "somebody else uses it");
    let offer = on(&server, &trunk, 0).await;
    assert_eq!(offer["phone"], json!([A]));
    report(&server, &trunk, &offer["mid"], "", json!([{ "number": A, "outcome": "not_dialled" }])).await;
    server.pass(1).await;
    let offer = on(&server, &trunk, 1).await;
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), json!([])).await;
    assert_eq!(server.state(&id).await, "answered", "neither took an attempt or a hand-out");
}

async fn what_ends_on_one_channel_leaves_the_other(home: Home) {
    let server = home.start().await;
    let trunk = trunk(&server, 3).await;
    let first = server.raise(&[A], json!({})).await;
    let second = server.raise(&[B, C], json!({ "mode": "parallel" })).await;
    let offers = [on(&server, &trunk, 0).await, on(&server, &trunk, 1).await, on(&server, &trunk, 2).await];
    let tell = async |mid: &Value, number: &str| {
        let path = trunk.replace("/alert/phone", &format!("/progress?mid={}", mid.as_str().unwrap()));
        send(&server, "POST", &path, Some(json!({ "number": number, "state": "alerting" }))).await["code"].clone()
    };
    server.post(&format!("/api/v1/alarms/{first}/cancel"), &json!({})).await;
    assert_eq!((tell(&offers[0]["mid"], A).await, tell(&offers[1]["mid"], B).await), (json!(2), json!(0)));
    assert_eq!(on(&server, &trunk, 1).await["mid"], offers[1]["mid"]);
    // B takes it: the call to C is called off, and nothing else.
    report(&server, &trunk, &offers[1]["mid"], &format!("&resp={B}"), json!([])).await;
    assert_eq!(server.state(&second).await, "answered");
    assert_eq!((tell(&offers[1]["mid"], B).await, tell(&offers[2]["mid"], C).await), (json!(2), json!(2)));
    let outcomes: BTreeSet<String> = server.outcomes(&second).await.into_iter().collect();
    assert_eq!(outcomes, ["answered", "superseded"].map(str::to_owned).into());
}

async fn a_handset_is_silent_when_no_channel_asks(home: Home) {
    let server = home.start().await;
    let trunk = trunk(&server, 2).await;
    let goes_on = async |seconds: i64, channel: Option<i32>| {
        for _ in 0..seconds / 10 {
            server.pass(10).await;
            if let Some(channel) = channel {
                on(&server, &trunk, channel).await;
            }
            server.app.engine.watch_handsets().await.unwrap();
        }
    };
    goes_on(60, Some(0)).await;
    server.raise(&[A], json!({ "begin_before_seconds": 3600 })).await;
    let held = on(&server, &trunk, 0).await;
    assert_eq!(held["code"], 0);
    goes_on(150, Some(1)).await;
    assert!(row(&server, "trunk").await.offline_since.is_none(), "one channel asks");
    report(&server, &trunk, &held["mid"], &format!("&resp={A}"), json!([])).await;
    goes_on(60, Some(1)).await;
    // In a call on one channel, and silent on the other, which is free: nobody is there.
    server.raise(&[B], json!({})).await;
    assert_eq!(on(&server, &trunk, 0).await["code"], 0);
    goes_on(150, None).await;
    let row = row(&server, "trunk").await;
    assert!(row.offline_since.is_some() && row.stuck_since.is_none(), "{row:?}");
    assert!(on(&server, &trunk, 1).await["code"].is_number());
    assert!(self::row(&server, "trunk").await.offline_since.is_none());
}

async fn a_channel_that_does_not_return_is_missed_alone(home: Home) {
    let server = home.start().await;
    let trunk = trunk(&server, 2).await;
    let stuck = async || {
        let known = server.app.engine.store.read().await.unwrap().db().channels().await.unwrap();
        let rows = known.into_values().flatten().filter(|row| row.stuck_since.is_some());
        rows.map(|row| row.channel).collect::<Vec<i32>>()
    };
    server.raise(&[A], json!({ "attempts": 1 })).await;
    let late = on(&server, &trunk, 1).await;
    server.pass(200).await;
    assert_eq!(stuck().await, [1]);
    assert!(row(&server, "trunk").await.stuck_since.is_none(), "its other channel goes on");
    // Its report comes after all.
    report(&server, &trunk, &late["mid"], &format!("&resp={A}"), json!([])).await;
    assert!(stuck().await.is_empty());
    server.raise(&[B], json!({ "attempts": 1 })).await;
    assert_eq!(on(&server, &trunk, 1).await["phone"], json!([B]));
    server.pass(200).await;
    assert_eq!(stuck().await, [1]);
    // It asks again: there is no call on it any more.
    server.pass(60).await;
    on(&server, &trunk, 1).await;
    server.app.engine.write_sightings(true).await.unwrap();
    assert!(stuck().await.is_empty());
}

async fn each_channel_is_served_again_after_a_restart(home: Home) {
    let server = home.start().await;
    let trunk = trunk(&server, 2).await;
    server.raise(&[A], json!({})).await;
    server.raise(&[B], json!({})).await;
    let (one, two) = (on(&server, &trunk, 0).await, on(&server, &trunk, 1).await);
    let server = server.restart().await;
    assert_eq!(on(&server, &trunk, 1).await["mid"], two["mid"]);
    assert_eq!(on(&server, &trunk, 0).await["mid"], one["mid"]);
}

async fn each_channel_keeps_its_mid_while_the_database_is_away(home: Home) {
    let server = home.start().await;
    let trunk = server.pair_as("trunk", Profile::Native, "CN", IdleForm::HeadlessSafe).await;
    says(&server, &trunk, json!({ "channels": 3 })).await;
    server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| pairing::set_channels(work, "trunk", 3).await)
        .await
        .unwrap();
    server.raise(&[A], json!({})).await;
    server.raise(&[B], json!({})).await;
    let (one, two) = (on(&server, &trunk, 0).await, on(&server, &trunk, 1).await);
    let idle = on(&server, &trunk, 2).await;
    server.lose_tables(true).await;
    for (channel, offer) in [(0, &one), (1, &two)] {
        assert_eq!(on(&server, &trunk, channel).await, json!({ "phone": [], "code": 0, "mid": offer["mid"] }));
    }
    assert_eq!(on(&server, &trunk, 2).await, idle, "there is nothing on it that could be forgotten");
    server.lose_tables(false).await;
}

async fn who_had_the_old_token_finishes_what_was_begun(home: Home) {
    let server = home.start().await;
    let old = trunk(&server, 2).await;
    server.raise(&[A], json!({})).await;
    server.raise(&[B], json!({})).await;
    let (one, two) = (on(&server, &old, 0).await, on(&server, &old, 1).await);
    let token = server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| pairing::rotate(work, "trunk", true).await)
        .await
        .unwrap();
    let new = format!("/h/{token}/alert/phone");
    assert_eq!(on(&server, &old, 0).await["mid"], one["mid"]);
    assert_eq!(on(&server, &old, 1).await["mid"], two["mid"]);
    report(&server, &old, &two["mid"], &format!("&resp={B}"), json!([])).await;
    server.pass(1).await;
    server.raise(&[C], json!({})).await;
    assert_eq!(on(&server, &old, 1).await["code"], 1, "nothing new");
    assert_eq!(on(&server, &new, 1).await["phone"], json!([C]));
    assert_eq!(on(&server, &old, 1).await["code"], 1, "and nothing that was handed to the new one");
    assert_eq!(on(&server, &old, 0).await["mid"], one["mid"]);
    report(&server, &old, &one["mid"], &format!("&resp={A}"), json!([])).await;
    assert_eq!(asked(&server, &old).await.0, 404);
    // The same when it is removed, with calls on both channels.
    server.raise(&[A], json!({})).await;
    let held = on(&server, &new, 0).await;
    server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| pairing::remove(work, "trunk").await)
        .await
        .unwrap();
    assert_eq!(on(&server, &new, 0).await["mid"], held["mid"]);
}

async fn a_code_waits_for_every_channel(home: Home) {
    let server = home.start().await;
    let trunk = trunk(&server, 2).await;
    let mut tx = server.app.engine.store.begin().await.unwrap();
    let handset = tx.db().handset_by_name("trunk").await.unwrap().unwrap().id;
    let code = CommandKind::Forward { code: format!("**21*{C}#") };
    tx.db().insert_command(CommandId::new(server.now()), handset, &code, server.now()).await.unwrap();
    tx.commit().await.unwrap();
    server.raise(&[A], json!({})).await;
    let offer = on(&server, &trunk, 1).await;
    assert_eq!(offer["code"], 0);
    let outbox = trunk.replace("/alert/phone", "/outbox?wait=0");
    assert_eq!(send(&server, "GET", &outbox, None).await["commands"], json!([]), "nobody knows whose SIM that call is on");
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), json!([{ "number": A, "outcome": "answered" }])).await;
    assert_eq!(send(&server, "GET", &outbox, None).await["commands"][0]["kind"], "forward");
    server.raise(&[B], json!({})).await;
    for channel in [0, 1] {
        assert_eq!(on(&server, &trunk, channel).await["code"], 1, "no call meets the code");
    }
}

async fn handsets_that_speak_are_waited_for_while_a_channel_is_free(home: Home) {
    let server = home.start().await;
    let trunk = trunk(&server, 2).await;
    says(&server, &trunk, json!({ "channels": 2, "capabilities": ["tts", "dtmf"] })).await;
    let desk = server.pair("desk", Profile::App).await;
    server.raise(&[A], json!({})).await;
    assert_eq!(on(&server, &trunk, 0).await["phone"], json!([A]));
    server.raise(&[B], json!({ "confirm": "key" })).await;
    server.app_idle(&desk).await;
    assert_eq!(on(&server, &trunk, 1).await["phone"], json!([B]), "its other channel is free");
    server.raise(&[C], json!({ "confirm": "key" })).await;
    assert_eq!(server.app_dial(&desk).await.1, [C], "now none is");
}

/// Raises what only such handsets may be given.
async fn raise_needing(server: &Server, number: &str, needs: &str) -> String {
    let callee = NewCallee {
        number: format!("+86{number}"),
        known_to_plan: true,
        name: None,
        reference: None,
        max_attempts: 1,
        min_interval_s: 0,
    };
    let request = RaiseRequest {
        integration_id: "test".to_owned(),
        source: "test".to_owned(),
        summary: "spoken".to_owned(),
        callees: vec![callee],
        needs: Words::read(needs),
        ..RaiseRequest::default()
    };
    server.app.engine.raise(&request).await.unwrap().alarm.id.to_string()
}

async fn a_hunt_is_only_due_for_who_can(home: Home) {
    let server = home.start().await;
    let (desk, trunk) = (server.pair("desk", Profile::App).await, trunk(&server, 2).await);
    let live = raise_needing(&server, A, "tts,dtmf,live").await;
    let spoken = raise_needing(&server, B, "tts,dtmf").await;
    for _ in 0..2 {
        server.app_idle(&desk).await;
        assert_eq!(on(&server, &trunk, 0).await["code"], 1, "it has not said what it can");
    }
    says(&server, &trunk, json!({ "channels": 2, "capabilities": ["dtmf", "tts", "hangup"] })).await;
    says(&server, &trunk, json!({ "channels": 2 })).await;
    assert_eq!(on(&server, &trunk, 0).await["alarm"]["id"], json!(spoken), "a status that does not speak of it changes nothing");
    assert_eq!(on(&server, &trunk, 1).await["code"], 1, "no other word will do");
    says(&server, &trunk, json!({ "channels": 2, "capabilities": ["dtmf", "tts", "live"] })).await;
    assert_eq!(on(&server, &trunk, 1).await["alarm"]["id"], json!(live));
    // An ordinary alarm is nobody's alone, and what needs more keeps nobody from it.
    raise_needing(&server, C, "conference").await;
    server.raise(&["18712345600"], json!({})).await;
    assert_eq!(server.app_dial(&desk).await.1, ["18712345600"]);
}

async fn who_learns_to_speak_while_it_waits_is_given_what_is_spoken(home: Home) {
    let server = home.start().await;
    let trunk = trunk(&server, 1).await;
    let id = raise_needing(&server, A, "tts,dtmf").await;
    let path = format!("{trunk}?wait=60");
    let (answer, ()) = tokio::join!(poll(&server, &path), async {
        eventually("it waits", Duration::from_secs(20), async || (server.app.engine.lookout.calls.waiting() == 1).then_some(()))
            .await;
        says(&server, &trunk, json!({ "capabilities": ["dtmf", "tts"] })).await;
    });
    // It is told to ask again, as what it is by now, or found it by itself.
    let offer = if answer["code"] == 0 { answer } else { poll(&server, &path).await };
    assert_eq!(offer["alarm"]["id"], json!(id), "{offer}");
}

/// Ten calls that are going on, and one more that only handsets that speak may be given: whoever cannot take it is told so from memory.
async fn progress_and_what_phones_cannot_do_cost_them_nothing(home: Home) {
    let server = home.start().await;
    let trunk = trunk(&server, 10).await;
    says(&server, &trunk, json!({ "channels": 10, "capabilities": ["dtmf", "tts"] })).await;
    let number = |at: usize| format!("187123456{at:02}");
    for at in 0..11 {
        raise_needing(&server, &number(at), "tts,dtmf").await;
    }
    let home = server.stop().await;
    // Its periodic work stands still, so that whatever is counted is the doing of those who ask.
    let node = home.quiet_node().await;
    let engine = &node.app.engine;
    let handset = Arc::new(engine.store.read().await.unwrap().db().handset_by_name("trunk").await.unwrap().unwrap());
    let mut calls = Vec::new();
    for channel in 0..10 {
        let asker = Asker { handset: Arc::clone(&handset), profile: Profile::Native, channel, asked_at: engine.clock.now() };
        let Claim::Serve { offer, .. } = engine.claim(&asker).await.unwrap() else { panic!("nothing for channel {channel}") };
        calls.push((offer.mid, offer.phones[0].clone()));
    }
    let mut phones = Vec::new();
    for phone in 0..100 {
        let pairing = Pairing::new(&format!("phone {phone}"), &engine.config.handsets);
        let token = engine
            .store
            .carry_out(engine.clock.now(), Doer::Server, async |work| pairing::add(work, &pairing).await)
            .await
            .unwrap();
        phones.push(format!("/h/{token}/alert/phone"));
    }
    for phone in &phones {
        assert_eq!(node.get(phone).await["code"], 1, "the first poll asks who this is");
    }
    for (turn, some) in phones.chunks(1).cycle().take(1000).collect::<Vec<_>>().chunks(10).enumerate() {
        engine.idle.refresh(&engine.store).await;
        let (mid, number) = &calls[turn % calls.len()];
        let state = [ProgressState::Dialling, ProgressState::Alerting, ProgressState::Connected][turn / 10 % 3];
        let progress = Progress { number: number.clone(), state: Some(state), ..Progress::default() };
        assert!(engine.progress(mid, &progress).await.unwrap().wanted);
        let before = engine.store.counters().connections();
        for phone in some.iter().copied().flatten() {
            assert_eq!(node.get(phone).await["code"], 1);
        }
        assert_eq!(engine.store.counters().connections(), before, "turn {turn}: no statement");
    }
}
