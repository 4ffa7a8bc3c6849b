//! The calls of shouts: clips in place of our sentences, recordings to find out what is wrong, and what is told of them late or twice.

use android_protocol::voice::{tone, wav};
use android_protocol::wire::PROTOCOL_HEADER;
use autocall_tests::described::Held as _;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::harness::{A, B, C, Home, Server, on_both};
use crate::native::{poll, report, send};
use crate::recordings::{put, voice};
use crate::shouts::{get, got_to, key, records, said, shout, speaker};

on_both!(
    clips_take_the_place_of_our_sentences,
    a_delivery_is_recorded_to_find_out_what_is_wrong,
    nobody_is_recorded_unless_that_is_wanted_and_can_be,
    an_opt_out_is_dated_when_the_call_was,
    what_is_told_twice_of_a_closed_call_is_written_once,
    a_recording_is_as_long_as_its_handset_says,
);

/// Keeps sound under a name; gives its id as handsets know it.
async fn keep(server: &Server, name: &str, frequency: f64) -> String {
    let sound = wav::write(&tone::sine(&[frequency], 500, 9000.0));
    let request = server.http.put(format!("{}/api/v1/media/{name}", server.base));
    let answer = request.header("content-type", "audio/wav").body(sound).sent().await.unwrap();
    assert_eq!(answer.status(), 201, "{name}");
    let row = server.app.engine.store.read().await.unwrap().db().clip(name).await.unwrap().unwrap();
    row.media_id.to_string()
}

async fn fetched(server: &Server, handset: &str, media: &str) -> u16 {
    let request = server.http.get(format!("{}/h/{handset}/media/{media}", server.base)).header(PROTOCOL_HEADER, "1");
    request.send().await.unwrap().status().as_u16()
}

async fn clips_take_the_place_of_our_sentences(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    let other = speaker(&server, "other", 1).await;
    let all = keep(&server, "shout.options", 400.0).await;
    let spanish = keep(&server, "shout.options.es", 500.0).await;
    let opt_out = keep(&server, "shout.opt_out", 600.0).await;
    let stranger = keep(&server, "options", 700.0).await;
    shout(&server, &key, &[A], json!({ "language": "en" })).await;
    let offer = poll(&server, &trunk).await;
    let script = &offer["calls"][0]["script"];
    let options = &script["menu"]["options"];
    assert_eq!((&options["play"]["media"], options["say"].is_string()), (&json!(all), true), "{script}");
    assert_eq!(
        (&script["thanks_play"]["stop_calling"]["media"], &script["menu"]["start"]["play"]),
        (&json!(opt_out), &Value::Null)
    );
    for (media, status) in [(&all, 200), (&opt_out, 200), (&stranger, 404)] {
        assert_eq!(fetched(&server, "trunk", media).await, status);
    }
    assert_eq!(fetched(&server, "other", &all).await, 404, "it has no such call");
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), said(&json!(A), "answered")).await;
    assert_eq!(fetched(&server, "trunk", &all).await, 404, "it is over");
    shout(&server, &key, &[B], json!({ "message": "Hola a todos.", "language": "es" })).await;
    let offer = poll(&server, &trunk).await;
    assert_eq!(offer["calls"][0]["script"]["menu"]["options"]["play"]["media"], json!(spanish));
    assert_eq!(poll(&server, &other).await["code"], 1);
    report(&server, &trunk, &offer["mid"], &format!("&resp={B}"), said(&json!(B), "answered")).await;
    let welcome = keep(&server, "shout.record_welcome", 800.0).await;
    shout(&server, &key, &[A], json!({ "message": null })).await;
    let offer = poll(&server, &trunk).await;
    assert_eq!(offer["calls"][0]["script"]["menu"]["start"]["play"]["media"], json!(welcome));
    assert_eq!(fetched(&server, "trunk", &welcome).await, 200);
}

async fn a_delivery_is_recorded_to_find_out_what_is_wrong(home: Home) {
    let server = home.set("AUTOCALL_MEDIA_DEBUG_RECORDING", "on").start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    shout(&server, &key, &[A], json!({ "language": "en" })).await;
    let offer = poll(&server, &trunk).await;
    let (mid, script) = (offer["mid"].as_str().unwrap(), &offer["calls"][0]["script"]);
    assert_eq!(
        (&script["menu"]["start"]["say"], &script["record"]),
        (&json!("This call is recorded."), &json!({ "from": "said" }))
    );
    assert_eq!(script["menu"]["message"]["say"], "The office is closed.", "{script}");
    assert_eq!(poll(&server, &trunk).await["calls"], offer["calls"], "nothing about it changes");
    let told = json!([{ "number": A, "outcome": "answered", "talk_seconds": 9, "recordings": [{ "id": "r1", "seconds": 2 }] }]);
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), told).await;
    assert_eq!(put(&server, "trunk", "r1", mid, &voice()).await.0, 200);
    let alarm = get(&server, &key, "/api/v1/alarms?kind=shout").await["items"][0]["id"].as_str().unwrap().to_owned();
    let is_kept = async || {
        let alarm = get(&server, &key, &format!("/api/v1/alarms/{alarm}")).await;
        alarm["dials"][0]["recordings"][0]["available"].clone()
    };
    assert_eq!(is_kept().await, true);
    for (days, kept) in [(2, true), (2, false)] {
        server.home.clock.advance(TimeDelta::days(days));
        server.app.engine.forget_old().await.unwrap();
        assert_eq!(is_kept().await, kept, "three days");
    }
}

async fn nobody_is_recorded_unless_that_is_wanted_and_can_be(home: Home) {
    let home = home.set("AUTOCALL_MEDIA_DEBUG_RECORDING", "on").set("AUTOCALL_MEDIA_SAY_RECORDED", "off");
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    shout(&server, &key, &[A, B], json!({})).await;
    let offer = poll(&server, &trunk).await;
    let script = &offer["calls"][0]["script"];
    assert_eq!(
        (&script["menu"]["start"]["say"], &script["record"]),
        (&json!("The office is closed."), &json!({ "from": "answer" }))
    );
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), said(&json!(A), "answered")).await;
    // From now on it cannot.
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "machine"], "backend": "sip", "channels": 1 });
    send(&server, "POST", "/h/trunk/status", Some(can)).await;
    let offer = poll(&server, &trunk).await;
    assert_eq!((&offer["phone"], &offer["calls"][0]["script"]["record"]), (&json!([B]), &Value::Null));
}

async fn an_opt_out_is_dated_when_the_call_was(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    shout(&server, &key, &[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    let mid = offer["mid"].as_str().unwrap();
    for state in ["dialling", "connected", "ended"] {
        server.home.clock.advance(TimeDelta::seconds(10));
        let told = json!({ "number": A, "state": state });
        send(&server, "POST", &format!("/h/trunk/progress?mid={mid}"), Some(told)).await;
    }
    let ended_at = server.now();
    // The handset was away for an hour.
    server.pass(3600).await;
    let told = json!([{ "number": A, "outcome": "answered", "keys": "5", "action": "stop_calling", "declined": true, "talk_seconds": 10 }]);
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), told).await;
    assert_eq!(get(&server, &key, "/api/v1/dnc/u1").await, json!([{ "number": A }]));
    let at = opted_out_at(&server).await;
    assert_eq!(at, ended_at, "when it was pressed, as far as that is known");
}

/// When the only one opted out who did.
async fn opted_out_at(server: &Server) -> DateTime<Utc> {
    let mut reader = server.app.engine.store.read().await.unwrap();
    let mut db = reader.db();
    let keys = db.keys().await.unwrap();
    let rows = db.opted_out_of(keys[0].id, "u1", 10).await.unwrap();
    assert_eq!(rows.len(), 1);
    rows[0].at
}

async fn what_is_told_twice_of_a_closed_call_is_written_once(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    shout(&server, &key, &[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    let progress = format!("/h/trunk/progress?mid={}", offer["mid"].as_str().unwrap());
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), said(&json!(A), "answered")).await;
    let told = json!({ "number": A, "state": "connected" });
    let tell = async || send(&server, "POST", &progress, Some(told.clone())).await;
    assert_eq!(tell().await, json!({ "code": 2 }), "it is not wanted any more");
    let written = server.app.engine.store.counters().written();
    for _ in 0..10 {
        assert_eq!(tell().await, json!({ "code": 2 }));
    }
    let more = server.app.engine.store.counters().written() - written;
    assert!(more < 5, "what is no news is not written: {more} transactions");
}

async fn a_recording_is_as_long_as_its_handset_says(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    shout(&server, &key, &[A], json!({ "message": null })).await;
    let offer = poll(&server, &trunk).await;
    let mid = offer["mid"].as_str().unwrap();
    for state in ["start", "record", "verify", "confirmed"] {
        got_to(&server, mid, state).await;
    }
    let recordings = json!([{ "id": "r1", "seconds": 3 }, { "id": "r2", "seconds": 7 }]);
    let told = json!([{ "number": C, "outcome": "answered", "action": "accept", "keys": "*32", "talk_seconds": 30, "recordings": recordings }]);
    report(&server, &trunk, &offer["mid"], &format!("&resp={C}"), told).await;
    let rec = records(&server, "rec").await;
    assert_eq!((rec.len(), &rec[0]["RecordingDuration"], &rec[0]["CallDuration"]), (1, &json!("7"), &json!("30")));
    assert!(rec[0]["RecordingUrl"].as_str().unwrap().ends_with("/message"), "{}", rec[0]);
}
