//! Clips: sound that operators keep by name, and calls play in place of words.

use android_protocol::voice::{tone, wav};
use android_protocol::wire::PROTOCOL_HEADER;
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{A, B, Home, Server, on_both};
use crate::native::{poll, report, send};

on_both!(
    a_clip_is_made_replaced_and_removed,
    what_is_no_clip_is_refused,
    a_call_plays_what_it_was_told,
    sound_that_cannot_be_had_keeps_nobody_from_being_called,
    a_call_that_plays_a_clip_is_recorded_only_where_nobody_need_hear_of_it,
);

fn sound(frequency: f64) -> Vec<u8> {
    wav::write(&tone::sine(&[frequency], 1000, 9000.0))
}

/// What is asked of a clip: status, tag and body.
async fn clip(server: &Server, method: Method, name: &str, file: Option<Vec<u8>>, more: &[(&str, &str)]) -> (u16, String, Value) {
    let mut request = server.http.request(method, format!("{}/api/v1/media/{name}", server.base));
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    if let Some(file) = file {
        request = request.header("content-type", "audio/wav").body(file);
    }
    let response = request.sent().await.unwrap();
    let tag = response.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned()).unwrap_or_default();
    let status = response.status().as_u16();
    (status, tag, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
}

async fn put(server: &Server, name: &str, frequency: f64) -> Value {
    let (status, _, body) = clip(server, Method::PUT, name, Some(sound(frequency)), &[]).await;
    assert!(matches!(status, 200 | 201), "{status}: {body}");
    body
}

async fn a_clip_is_made_replaced_and_removed(home: Home) {
    let server = home.start().await;
    assert_eq!(server.items("/api/v1/media").await, json!([]));
    let (status, tag, made) = clip(&server, Method::PUT, "night.wav", Some(sound(700.0)), &[("if-none-match", "*")]).await;
    assert_eq!(
        (status, made["name"].as_str(), made["seconds"].as_f64(), made["bytes"].as_i64()),
        (201, Some("night.wav"), Some(1.0), Some(8058)),
        "{made}"
    );
    assert_eq!(clip(&server, Method::PUT, "night.wav", Some(sound(800.0)), &[("if-none-match", "*")]).await.0, 412);
    let (status, shown_tag, shown) = clip(&server, Method::GET, "night.wav", None, &[]).await;
    assert_eq!((status, &shown_tag, &shown), (200, &tag, &made));
    assert_eq!(clip(&server, Method::GET, "night.wav", None, &[("if-none-match", &tag)]).await.0, 304);
    assert_eq!(clip(&server, Method::HEAD, "night.wav", None, &[]).await.0, 200);
    let (status, again, replaced) = clip(&server, Method::PUT, "night.wav", Some(sound(800.0)), &[("if-match", &tag)]).await;
    assert_eq!(status, 200);
    assert!(again != tag && replaced["media_id"] != made["media_id"] && replaced["sha256"] != made["sha256"]);
    assert_eq!(clip(&server, Method::PUT, "night.wav", Some(sound(900.0)), &[("if-match", &tag)]).await.0, 412, "overtaken");
    put(&server, "a-first_one", 400.0).await;
    let names: Vec<Value> =
        server.items("/api/v1/media").await.as_array().unwrap().iter().map(|own| own["name"].clone()).collect();
    assert_eq!(names, ["a-first_one", "night.wav"]);
    assert_eq!(clip(&server, Method::DELETE, "night.wav", None, &[("if-match", &tag)]).await.0, 412);
    assert_eq!(clip(&server, Method::DELETE, "night.wav", None, &[("if-match", &again)]).await.0, 204);
    assert_eq!(clip(&server, Method::DELETE, "night.wav", None, &[]).await.0, 404);
    assert_eq!(clip(&server, Method::GET, "night.wav", None, &[]).await.0, 404);
    server.home.clock.advance(chrono::TimeDelta::hours(2));
    server.app.engine.forget_old().await.unwrap();
    let total = server.app.engine.store.read().await.unwrap().db().media_total().await.unwrap();
    assert_eq!(total, 8058, "what is no clip any more takes no room");
}

async fn what_is_no_clip_is_refused(home: Home) {
    let server = home.set("AUTOCALL_MEDIA_MOST_BYTES", "9000").start().await;
    for trick in ["...", "a%20b", "a%2Fb", "%2e%2e%2fetc", "%C3%A4", &"x".repeat(65)] {
        let (status, _, said) = clip(&server, Method::PUT, trick, Some(sound(700.0)), &[]).await;
        assert_eq!((status, said["field"].as_str()), (422, Some("name")), "{trick}: {said}");
        assert_eq!(clip(&server, Method::GET, trick, None, &[]).await.0, 404, "{trick}");
    }
    for other in [Vec::new(), b"ID3\x04".to_vec(), b"RIFF\0\0\0\0WAVEfmt ".to_vec(), wav::write(&[])] {
        let (status, _, said) = clip(&server, Method::PUT, "x", Some(other), &[]).await;
        assert_eq!((status, said["code"].as_str()), (400, Some("no_sound")), "{said}");
    }
    let (status, _, said) = clip(&server, Method::PUT, "x", Some(vec![0; (5 << 20) + 1]), &[]).await;
    assert_eq!((status, said["code"].as_str()), (413, Some("body_too_large")), "{said}");
    put(&server, "one", 700.0).await;
    let (status, _, said) = clip(&server, Method::PUT, "two", Some(sound(700.0)), &[]).await;
    assert_eq!((status, said["code"].as_str()), (507, Some("no_room")), "{said}");
}

/// Pairs a handset that speaks, and gives the path it polls.
async fn speaker(server: &Server, name: &str) -> String {
    let path = server.pair(name, Profile::Native).await;
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "record"], "backend": "sip", "channels": 1 });
    assert_eq!(send(server, "POST", &format!("/h/{name}/status"), Some(can)).await, json!({ "code": 0 }));
    path
}

/// What a handset is given to play: status, tag and bytes.
async fn fetched(server: &Server, handset: &str, id: &str, tag: &str) -> (u16, String, Vec<u8>) {
    let request = server.http.get(format!("{}/h/{handset}/media/{id}", server.base)).header(PROTOCOL_HEADER, "1");
    let response = request.header("if-none-match", tag).send().await.unwrap();
    let tag = response.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned()).unwrap_or_default();
    (response.status().as_u16(), tag, response.bytes().await.unwrap().to_vec())
}

async fn a_call_plays_what_it_was_told(home: Home) {
    let server = home.set("AUTOCALL_MEDIA_ANNOUNCEMENT", "night").start().await;
    let (trunk, _) = (speaker(&server, "trunk").await, speaker(&server, "other").await);
    // As long as there is no such clip the words are spoken.
    server.raise(&[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    assert!(offer["calls"][0]["script"]["play"].is_null() && offer["calls"][0]["script"]["say"].is_string(), "{offer}");
    report(&server, &trunk, &offer["mid"], "", json!([{ "number": A, "outcome": "busy" }])).await;
    let made = put(&server, "night", 700.0).await;
    let id = made["media_id"].as_str().unwrap();
    assert_eq!(fetched(&server, "trunk", id, "").await.0, 404, "no call plays it yet");
    server.raise(&[B], json!({})).await;
    let offer = poll(&server, &trunk).await;
    assert_eq!(offer["calls"][0]["script"]["play"], json!({ "media": id, "sha256": made["sha256"] }), "{offer}");
    assert_eq!(offer["calls"][0]["script"]["keys"]["1"], "accept");
    // Another sound, and none any more: this call has been told what it plays.
    put(&server, "night", 900.0).await;
    assert_eq!(clip(&server, Method::DELETE, "night", None, &[]).await.0, 204);
    server.app.engine.forget_old().await.unwrap();
    assert_eq!(poll(&server, &trunk).await["calls"], offer["calls"]);
    let (status, tag, bytes) = fetched(&server, "trunk", id, "").await;
    assert_eq!((status, tag.as_str()), (200, format!("\"{}\"", made["sha256"].as_str().unwrap()).as_str()));
    assert_eq!(autocall::keep::media::sha256(&bytes), made["sha256"]);
    assert_eq!(wav::read(&bytes).unwrap().samples.len(), 8000);
    assert_eq!(fetched(&server, "trunk", id, &tag).await.0, 304);
    for (handset, id, why) in [
        ("other", id, "no call of its own plays it"),
        ("nobody", id, "no handset"),
        ("trunk", "night", "a name is no id"),
        ("trunk", "..%2f..%2fetc%2fpasswd", "nor is a path"),
        ("trunk", "01a1fc75-2363-70d4-b55c-3830524ac4f8", "there is none"),
    ] {
        assert_eq!(fetched(&server, handset, id, "").await.0, 404, "{why}");
    }
    report(&server, &trunk, &offer["mid"], "", json!([{ "number": B, "outcome": "busy" }])).await;
    assert_eq!(fetched(&server, "trunk", id, "").await.0, 404, "its call is over");
}

async fn sound_that_cannot_be_had_keeps_nobody_from_being_called(home: Home) {
    let server = home.set("AUTOCALL_MEDIA_ANNOUNCEMENT", "night").start().await;
    let trunk = speaker(&server, "trunk").await;
    put(&server, "night", 700.0).await;
    server.raise(&[A], json!({ "attempts": 1 })).await;
    let offer = poll(&server, &trunk).await;
    assert!(offer["calls"][0]["script"]["play"].is_object(), "{offer}");
    let failed = json!([{ "number": A, "outcome": "failed", "detail": "media" }]);
    report(&server, &trunk, &offer["mid"], "", failed).await;
    let offer = poll(&server, &trunk).await;
    assert_eq!(offer["phone"], json!([A]), "the handset does not rest, and the attempt is given back: {offer}");
    assert!(offer["calls"][0]["script"]["play"].is_null() && offer["calls"][0]["script"]["say"].is_string(), "{offer}");
}

async fn a_call_that_plays_a_clip_is_recorded_only_where_nobody_need_hear_of_it(home: Home) {
    let home = home.set("AUTOCALL_MEDIA_ANNOUNCEMENT", "night").set("AUTOCALL_MEDIA_DEBUG_RECORDING", "on");
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    put(&server, "night", 700.0).await;
    server.raise(&[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    let script = &offer["calls"][0]["script"];
    assert!(script["play"].is_object() && script["record"].is_null(), "{offer}");
    report(&server, &trunk, &offer["mid"], "", json!([{ "number": A, "outcome": "busy" }])).await;
    let server = server.stop().await.set("AUTOCALL_MEDIA_SAY_RECORDED", "off").start().await;
    server.raise(&[B], json!({})).await;
    let offer = poll(&server, &trunk).await;
    let script = &offer["calls"][0]["script"];
    assert!(script["play"].is_object() && script["record"]["from"] == "answer", "{offer}");
}
