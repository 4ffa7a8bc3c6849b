//! Shouts: what blast-api's clients send and read, and what handsets are given for it.

use std::sync::Arc;

use android_protocol::wire::{Progress, ProgressState};
use autocall::compat::blast;
use autocall::engine::{Asker, Claim, Doer};
use autocall::keep::{keys, pairing};
use autocall::rights::{Right, Rights};
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use autocall_tests::wait::eventually;
use chrono::TimeDelta;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::gateway::{Gateway, add_smsgate, near};
use crate::harness::{A, B, C, Home, Server, on_both};
use crate::native::{poll, report, send};
use crate::recordings::{put, voice};
use crate::replies::{smsgate, told};

on_both!(
    a_shout_is_answered_as_the_document_says,
    what_is_wrong_is_refused_in_its_words_and_leaves_nothing,
    only_a_key_with_the_right_may,
    every_name_space_is_its_own,
    recipients_hear_the_message_each_once,
    whoever_opts_out_is_called_no_more,
    a_message_that_is_spoken_goes_out_when_it_is_stored,
    whoever_hangs_up_has_not_confirmed,
    a_shout_that_is_taken_back_stays_so,
    only_what_failed_is_tried_again,
    a_scheduled_shout_waits_for_its_time,
    no_more_go_out_in_a_second_than_may,
    a_handset_that_dies_in_a_call_calls_nobody_twice,
    a_shout_without_a_voice_fails,
    it_takes_too_long_and_is_finished_after_all,
    numbers_that_must_not_be_called_are_not,
    one_channel_is_left_to_alarms,
    an_alarm_goes_first,
    an_urgent_alarm_gets_the_number_that_a_shout_holds,
    an_urgent_alarm_gets_the_number_also_beside_others,
    whoever_is_not_wanted_any_more_keeps_their_call,
    whoever_says_no_while_nobody_asks_keeps_their_call,
    a_message_that_is_spoken_gives_way,
    a_file_that_is_sent_again_is_sent_once,
    the_message_of_an_earlier_shout,
    a_message_comes_as_a_file,
    sound_that_is_none_leaves_nothing,
    each_end_is_written_down_once,
    a_phone_is_called_once_however_its_number_is_written,
    a_report_that_is_told_again_calls_nobody_again,
    what_never_left_its_handset_is_not_forgotten,
    a_message_for_a_later_time_is_spoken_at_once,
    a_handset_that_must_leave_its_only_channel_is_no_voice,
    whoever_acts_on_alarms_leaves_shouts_alone,
    phones_that_do_not_speak_have_nothing_of_it,
    what_is_refused_says_why,
    whoever_heard_a_shout_stops_it_by_text,
    a_channel_from_which_no_call_leaves_rests,
    what_a_node_left_behind_is_written_by_another,
);

/// A key that may send shouts, and all else that is asked for over the API.
pub async fn key(server: &Server, name: &str) -> String {
    let (store, region) = (&server.app.engine.store, server.home.config().default_region);
    let rights = Rights::of([Right::Admin, blast::RIGHT]);
    let add = async |work: &mut _| keys::add_with(work, name, &[], &rights, region).await;
    store.carry_out(server.now(), Doer::Server, add).await.unwrap()
}

/// Pairs a handset that speaks and records, on so many channels, all of which shouts may take.
pub async fn speaker(server: &Server, name: &str, channels: i32) -> String {
    let path = server.pair(name, Profile::Native).await;
    let set = async |work: &mut _| {
        pairing::set_channels(work, name, channels).await?;
        pairing::set_bulk(work, name, true).await
    };
    server.app.engine.store.carry_out(server.now(), Doer::Server, set).await.unwrap();
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "machine", "record"], "backend": "sip", "channels": channels });
    assert_eq!(send(server, "POST", &format!("/h/{name}/status"), Some(can)).await, json!({ "code": 0 }));
    path
}

pub async fn ask(server: &Server, key: &str, method: Method, path: &str, body: Option<&Value>) -> (u16, String) {
    let request = server.http.request(method, format!("{}{path}", server.base));
    let request = if key.is_empty() { request } else { request.bearer_auth(key) };
    let request = if let Some(body) = body { request.json(body) } else { request };
    let answer = request.sent().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

pub async fn get(server: &Server, key: &str, path: &str) -> Value {
    let (status, body) = ask(server, key, Method::GET, path, None).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// Sends a shout with words to these people; gives its id.
pub async fn shout(server: &Server, key: &str, recipients: &[&str], more: Value) -> i64 {
    let mut body = json!({ "userdata": "u1", "caller": C, "recipients": recipients, "message": "The office is closed." });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, answer) = ask(server, key, Method::POST, "/api/v1/shouts", Some(&body)).await;
    assert_eq!(status, 200, "{answer}");
    serde_json::from_str::<Value>(&answer).unwrap()["id"].as_i64().unwrap()
}

pub async fn status(server: &Server, key: &str, id: i64) -> String {
    get(server, key, &format!("/api/v1/shouts/{id}")).await["status"].as_str().unwrap().to_owned()
}

/// Where the calls of a shout stand, in the order of its recipients.
pub async fn calls(server: &Server, key: &str, id: i64) -> Vec<String> {
    let calls = get(server, key, &format!("/api/v1/calls?shout-id={id}")).await;
    calls.as_array().unwrap().iter().map(|call| call["status"].as_str().unwrap().to_owned()).collect()
}

pub fn said(number: &Value, outcome: &str) -> Value {
    json!([{ "number": number, "outcome": outcome, "talk_seconds": if outcome == "answered" { 9 } else { 0 } }])
}

/// Asks for a call and reports how it ended; gives whom it was to.
pub async fn one_call(server: &Server, path: &str, outcome: &str) -> String {
    let offer = poll(server, path).await;
    assert_eq!(offer["code"], 0, "{offer}");
    let number = &offer["phone"][0];
    let resp = if outcome == "answered" { format!("&resp={}", number.as_str().unwrap()) } else { String::new() };
    report(server, path, &offer["mid"], &resp, said(number, outcome)).await;
    number.as_str().unwrap().to_owned()
}

pub async fn idle(server: &Server, path: &str) {
    let answer = poll(server, path).await;
    assert_eq!(answer["code"], 1, "{answer}");
}

pub async fn records(server: &Server, kind: &str) -> Vec<Value> {
    let kind = autocall::store::shouts::log::RecordKind::parse(kind).unwrap();
    let mut reader = server.app.engine.store.read().await.unwrap();
    let rows = reader.db().shout_records(kind, None, (chrono::DateTime::UNIX_EPOCH, 0), 1000).await.unwrap();
    rows.iter().map(|row| serde_json::from_str(&row.line).unwrap()).collect()
}

async fn a_shout_is_answered_as_the_document_says(home: Home) {
    let server = home.start().await;
    let (key, _trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    let body = json!({
        "userdata": "u1", "caller": C, "title": "Storm", "recipients": [A, B, A], "schedule": "2026-11-20T12:00:00.25+08:00"
    });
    let (status, answer) = ask(&server, &key, Method::POST, "/api/v1/shouts", Some(&body)).await;
    let id = serde_json::from_str::<Value>(&answer).unwrap()["id"].as_i64().unwrap();
    let expected = format!(
        r#"{{"id":{id},"created":"2026-11-20T03:00:00Z","caller":"{C}","status":"pending","title":"Storm","schedule":"2026-11-20T04:00:00.250000Z","userdata":"u1","recipients":["{A}","{B}"],"voc":null,"recipients_requested_dnc":false}}"#
    );
    assert_eq!((status, answer), (200, expected.clone()));
    assert_eq!(ask(&server, &key, Method::GET, &format!("/api/v1/shouts/{id}"), None).await, (200, expected.clone()));
    assert_eq!(ask(&server, &key, Method::GET, "/api/v1/shouts?userdata=u1", None).await, (200, format!("[{expected}]")));
    let call = |at: u64, phone: &str| {
        format!(r#"{{"id":{at},"started":null,"finished":null,"shout_id":{id},"phone":"{phone}","status":"pending"}}"#)
    };
    let (status, answer) = ask(&server, &key, Method::GET, &format!("/api/v1/calls?shout-id={id}"), None).await;
    let first = serde_json::from_str::<Value>(&answer).unwrap()[0]["id"].as_u64().unwrap();
    assert_eq!((status, answer), (200, format!("[{},{}]", call(first, A), call(first + 1, B))));
    for path in [format!("/api/v1/shouts/{id};cancel"), format!("/api/v1/shouts/{id}%3Bcancel")] {
        assert_eq!(ask(&server, &key, Method::DELETE, &path, None).await, (201, String::new()), "also again");
    }
    assert_eq!(self::status(&server, &key, id).await, "canceled");
    assert_eq!(calls(&server, &key, id).await, ["cancelled", "cancelled"]);
}

async fn what_is_wrong_is_refused_in_its_words_and_leaves_nothing(home: Home) {
    let server = home.set("AUTOCALL_SHOUTS_MOST_RECIPIENTS", "3").start().await;
    let key = key(&server, "blast").await;
    let good = json!({ "userdata": "u1", "caller": C, "recipients": [A], "message": "Hello" });
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let many = json!([A, B, C, "18700000000"]);
    for (body, status, text) in [
        (with("userdata", json!("")), 404, "\"You have to specify userdata\""),
        (with("userdata", Value::Null), 404, "\"You have to specify userdata\""),
        (with("userdata", json!(["u"])), 400, "\"userdata has to be a string\""),
        (with("userdata", json!("u".repeat(251))), 400, "\"userdata is longer than 250 characters\""),
        (with("userdata", json!("u\u{0}")), 400, "\"userdata holds control characters\""),
        (with("recipients", json!([])), 404, "\"You have to specify at least one recipient\""),
        (with("recipients", Value::Null), 404, "\"You have to specify at least one recipient\""),
        (with("recipients", json!(A)), 400, "\"recipients has to be an array of strings\""),
        (with("recipients", json!([[A]])), 400, "\"recipients has to be an array of strings of at most 64 characters\""),
        (with("recipients", many), 400, "\"recipients has more than 3 numbers (shouts.most_recipients)\""),
        (with("old-shout-id", json!("x")), 400, "\"old-shout-id has to be an integer\""),
        (with("caller", json!("1".repeat(17))), 400, "\"caller is longer than 16 characters\""),
        (with("message", json!("x".repeat(601))), 400, "\"message is longer than 600 characters\""),
        (with("message", json!({})), 400, "\"message has to be a string\""),
    ] {
        let (told, answer) = ask(&server, &key, Method::POST, "/api/v1/shouts", Some(&body)).await;
        assert_eq!((told, answer.as_str()), (status, text), "{body}");
    }
    for time in ["tomorrow", "2026-11-20T12:00:00", "1970-01-01", "9999-01-01T00:00:00Z"] {
        let (told, answer) = ask(&server, &key, Method::POST, "/api/v1/shouts", Some(&with("schedule", json!(time)))).await;
        let text: String = serde_json::from_str(&answer).unwrap();
        assert_eq!(told, 400, "{answer}");
        assert!(text.contains(time), "it quotes what was written: {text}");
    }
    let mut old = with("old-shout-id", json!(77));
    old.as_object_mut().unwrap().remove("message");
    let (told, answer) = ask(&server, &key, Method::POST, "/api/v1/shouts", Some(&old)).await;
    let inner: Value = serde_json::from_str(&serde_json::from_str::<String>(&answer).unwrap()).unwrap();
    assert_eq!((told, inner), (404, json!({ "status": 404, "error": "The shout with ID 77 does not exist" })));
    for (method, path, status, text) in [
        (Method::GET, "/api/v1/shouts", 404, "\"User data is required\""),
        (Method::GET, "/api/v1/shouts?userdata=", 404, "\"User data is required\""),
        (Method::GET, "/api/v1/shouts/abc", 404, "{\"detail\":\"Not found.\"}"),
        (Method::GET, "/api/v1/shouts/77", 404, "{\"detail\":\"Not found.\"}"),
        (Method::GET, "/api/v1/shouts/", 404, "{\"detail\":\"Not found.\"}"),
        (Method::PUT, "/api/v1/shouts", 405, "{\"detail\":\"Method \\\"PUT\\\" not allowed.\"}"),
        (Method::DELETE, "/api/v1/shouts/77", 405, "{\"detail\":\"Method \\\"DELETE\\\" not allowed.\"}"),
        (Method::DELETE, "/api/v1/shouts/77;cancel", 404, "{\"detail\":\"Not found.\"}"),
        (Method::GET, "/api/v1/calls", 404, "\"shout-id is a required parameter\""),
        (Method::GET, "/api/v1/calls?shout-id=77", 404, "{\"detail\":\"Not found.\"}"),
        (Method::GET, "/api/v1/calls?shout-id=abc", 400, "\"shout-id has to be an integer\""),
        (Method::GET, "/api/v1/dnc/u1", 200, "[]"),
        (Method::DELETE, "/api/v1/dnc/u1/18712345678", 200, "\"There is no such combination of userdata and number\""),
    ] {
        assert_eq!(ask(&server, &key, method.clone(), path, None).await, (status, text.to_owned()), "{method} {path}");
    }
    let head = server.http.head(format!("{}/api/v1/shouts?userdata=u1", server.base)).bearer_auth(&key).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::METHOD_NOT_ALLOWED);
    let (told, answer) = ask(&server, &key, Method::OPTIONS, "/api/v1/shouts", None).await;
    assert_eq!((told, serde_json::from_str::<Value>(&answer).unwrap()["name"].clone()), (200, json!("Shout List")));
    let raw = async |kind: &str, body: &'static str| {
        let request = server.http.post(format!("{}/api/v1/shouts", server.base)).bearer_auth(&key).header("content-type", kind);
        let answer = request.body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (told, answer) = raw("application/json", "{\"userdata\":").await;
    assert!(told == 400 && answer.starts_with("{\"detail\":\"JSON parse error - "), "{answer}");
    let unsupported = (415, "{\"detail\":\"Unsupported media type \\\"text/csv\\\" in request.\"}".to_owned());
    assert_eq!(raw("text/csv", "a,b").await, unsupported);
    let form = "userdata=u2&caller=18700000001&message=Hello&recipients=18712345678&recipients=13911112222";
    assert_eq!(raw("application/x-www-form-urlencoded", form).await.0, 200);
    assert_eq!(get(&server, &key, "/api/v1/shouts?userdata=u2").await[0]["recipients"], json!(["18712345678", "13911112222"]));
    let left = get(&server, &key, "/api/v1/shouts?userdata=u1").await;
    assert_eq!(left, json!([]), "what was refused left nothing behind");
}

async fn only_a_key_with_the_right_may(home: Home) {
    let server = home.start().await;
    let (store, region) = (&server.app.engine.store, server.home.config().default_region);
    let plain =
        store.carry_out(server.now(), Doer::Server, async |work| keys::add(work, "plain", &[], region).await).await.unwrap();
    let may_not = "{\"detail\":\"This key may not send shouts: make one with `autocall key add --shouts`.\"}";
    assert_eq!(ask(&server, &plain, Method::GET, "/api/v1/shouts?userdata=u1", None).await, (403, may_not.to_owned()));
    // Also in a network that is open for alarms.
    assert_eq!(ask(&server, "", Method::GET, "/api/v1/shouts?userdata=u1", None).await, (403, may_not.to_owned()));
    let wrong = "{\"detail\":\"Invalid username/password.\"}";
    assert_eq!(ask(&server, "ak_wrong", Method::GET, "/api/v1/dnc/u1", None).await, (401, wrong.to_owned()));
    let right = key(&server, "blast").await;
    assert_eq!(
        ask(&server, "", Method::GET, &format!("/k/{right}/api/v1/shouts?userdata=u1"), None).await,
        (200, "[]".to_owned())
    );
}

async fn every_name_space_is_its_own(home: Home) {
    let server = home.start().await;
    let (mine, other) = (key(&server, "mine").await, key(&server, "other").await);
    let id = shout(&server, &mine, &[A], json!({})).await;
    assert_eq!(get(&server, &other, "/api/v1/shouts?userdata=u1").await, json!([]));
    for path in [format!("/api/v1/shouts/{id}"), format!("/api/v1/calls?shout-id={id}")] {
        assert_eq!(ask(&server, &other, Method::GET, &path, None).await.0, 404);
    }
    assert_eq!(ask(&server, &other, Method::DELETE, &format!("/api/v1/shouts/{id};cancel"), None).await.0, 404);
    assert_eq!(status(&server, &mine, id).await, "ready");
}

async fn recipients_hear_the_message_each_once(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    let phone = server.pair("pixel", Profile::App).await;
    let id = shout(&server, &key, &[A, B, C], json!({ "language": "en" })).await;
    server.app_idle(&phone).await;
    let offer = poll(&server, &trunk).await;
    assert_eq!((status(&server, &key, id).await.as_str(), &offer["phone"]), ("ongoing", &json!([A])));
    let script = &offer["calls"][0]["script"];
    assert_eq!(script["menu"]["start"]["say"], "The office is closed.", "{script}");
    assert_eq!((&script["menu"]["start"]["keys"]["5"], &script["machine"]["detect"]), (&json!("stop_calling"), &json!(true)));
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), said(&json!(A), "answered")).await;
    assert_eq!(one_call(&server, &trunk, "busy").await, B);
    assert_eq!(one_call(&server, &trunk, "no_answer").await, C);
    idle(&server, &trunk).await;
    assert_eq!(calls(&server, &key, id).await, ["completed", "busy", "no-answer"]);
    assert_eq!(status(&server, &key, id).await, "finished");
    let alarms = server.items("/api/v1/alarms").await;
    assert_eq!(alarms, json!([]), "it is no alarm");
    let cdr = records(&server, "cdr").await;
    let told: Vec<_> = cdr.iter().map(|line| (line["status"].as_str().unwrap(), line["q850"].as_i64().unwrap())).collect();
    assert_eq!(told, [("completed", 0), ("busy", 17), ("no-answer", 18)]);
    assert_eq!((&cdr[0]["duration"], &cdr[0]["message"]), (&json!(9), &json!(id)));
    assert_eq!(records(&server, "bdr").await.len(), 1);
}

async fn whoever_opts_out_is_called_no_more(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    let id = shout(&server, &key, &[A, B], json!({})).await;
    let later = shout(&server, &key, &[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    let mid = offer["mid"].as_str().unwrap();
    let pressed = json!({ "number": A, "state": "connected", "event": "key", "key": "5", "action": "stop_calling", "seq": 1 });
    for _ in 0..2 {
        let answer = send(&server, "POST", &format!("/h/trunk/progress?mid={mid}"), Some(pressed.clone())).await;
        assert_eq!(answer, json!({ "code": 0 }), "they are being thanked");
    }
    assert_eq!(get(&server, &key, "/api/v1/dnc/u1").await, json!([{ "number": A }]), "at once, and once");
    let calls_of = json!([{ "number": A, "outcome": "answered", "keys": "5", "action": "stop_calling", "declined": true, "talk_seconds": 4 }]);
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), calls_of).await;
    assert_eq!(calls(&server, &key, id).await[0], "added to do not call");
    assert_eq!(get(&server, &key, &format!("/api/v1/shouts/{id}")).await["recipients_requested_dnc"], true);
    assert_eq!(one_call(&server, &trunk, "answered").await, B);
    // It was taken in before, and is looked up again.
    idle(&server, &trunk).await;
    assert_eq!(
        (calls(&server, &key, later).await, status(&server, &key, later).await.as_str()),
        (vec!["do not call".to_owned()], "finished")
    );
    let third = shout(&server, &key, &[A], json!({})).await;
    assert_eq!(
        (calls(&server, &key, third).await, status(&server, &key, third).await.as_str()),
        (vec!["do not call".to_owned()], "canceled")
    );
    let elsewhere = shout(&server, &key, &[A], json!({ "userdata": "u2" })).await;
    assert_eq!(calls(&server, &key, elsewhere).await, ["ready"], "another name space");
    server.raise(&[A], json!({})).await;
    assert_eq!(poll(&server, &trunk).await["phone"], json!([A]), "alarms do not look at it");
    let gone = ask(&server, &key, Method::DELETE, &format!("/api/v1/dnc/u1/{A}"), None).await;
    assert_eq!(gone, (201, String::new()));
    assert_eq!(get(&server, &key, "/api/v1/dnc/u1").await, json!([]));
}

/// The call in which a message is spoken goes so far.
pub async fn got_to(server: &Server, mid: &str, state: &str) -> Value {
    let body = json!({ "number": C, "state": "connected", "event": "state", "value": state });
    send(server, "POST", &format!("/h/trunk/progress?mid={mid}"), Some(body)).await
}

async fn a_message_that_is_spoken_goes_out_when_it_is_stored(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    let id = shout(&server, &key, &[A], json!({ "message": null })).await;
    let offer = poll(&server, &trunk).await;
    let mid = offer["mid"].as_str().unwrap().to_owned();
    assert_eq!((offer["phone"][0].as_str(), status(&server, &key, id).await.as_str()), (Some(C), "pending"));
    let menu = &offer["calls"][0]["script"]["menu"];
    assert_eq!(menu["start"]["keys"], json!({ "*": "go:record" }), "{menu}");
    for state in ["start", "record", "verify", "record", "verify", "confirmed"] {
        assert_eq!(got_to(&server, &mid, state).await, json!({ "code": 0 }));
    }
    let recordings = json!([{ "id": "r1", "seconds": 2 }, { "id": "r2", "seconds": 2 }]);
    let told = json!([{ "number": C, "outcome": "answered", "action": "accept", "keys": "*32", "talk_seconds": 30, "recordings": recordings }]);
    report(&server, &trunk, &offer["mid"], &format!("&resp={C}"), told).await;
    assert_eq!(
        (status(&server, &key, id).await.as_str(), calls(&server, &key, id).await),
        ("pending", vec!["pending".to_owned()])
    );
    idle(&server, &trunk).await;
    assert_eq!(put(&server, "trunk", "r1", &mid, &voice()).await.0, 200);
    assert_eq!(status(&server, &key, id).await, "pending", "they spoke again");
    assert_eq!(put(&server, "trunk", "r2", &mid, &voice()).await.0, 200);
    assert_eq!(status(&server, &key, id).await, "ready");
    let voc = get(&server, &key, &format!("/api/v1/shouts/{id}")).await["voc"].take();
    assert!(voc["length"].as_i64().unwrap() > 0 && voc["url"].as_str().unwrap().starts_with("/media/"), "{voc}");
    let heard = server.http.get(format!("{}{}", server.base, voc["url"].as_str().unwrap())).send().await.unwrap();
    assert_eq!((heard.status().as_u16(), heard.headers()["content-type"].to_str().unwrap()), (200, "audio/wav"));
    let offer = poll(&server, &trunk).await;
    assert_eq!(offer["phone"], json!([A]));
    let play = &offer["calls"][0]["script"]["menu"]["start"]["play"];
    let sound =
        server.http.get(format!("{}/h/trunk/media/{}", server.base, play["media"].as_str().unwrap())).send().await.unwrap();
    assert_eq!(sound.status().as_u16(), 200, "the handset may fetch it");
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), said(&json!(A), "answered")).await;
    assert_eq!(status(&server, &key, id).await, "finished");
    let rec = records(&server, "rec").await;
    assert_eq!((rec.len(), &rec[0]["CallStatus"], &rec[0]["message_id"]), (1, &json!("completed"), &json!(id.to_string())));
}

async fn whoever_hangs_up_has_not_confirmed(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    for (outcome, detail, ends) in [
        ("answered", Value::Null, "canceled"),
        ("busy", Value::Null, "canceled"),
        ("no_answer", Value::Null, "canceled"),
        ("failed", json!("bad_number"), "error"),
    ] {
        let id = shout(&server, &key, &[A], json!({ "message": null })).await;
        let offer = poll(&server, &trunk).await;
        let told = json!([{ "number": C, "outcome": outcome, "detail": detail }]);
        report(&server, &trunk, &offer["mid"], "", told).await;
        assert_eq!(
            (status(&server, &key, id).await.as_str(), calls(&server, &key, id).await),
            (ends, vec!["cancelled".to_owned()]),
            "{outcome}"
        );
        idle(&server, &trunk).await;
    }
    let id = shout(&server, &key, &[A], json!({ "message": null })).await;
    assert_eq!(poll(&server, &trunk).await["phone"], json!([C]));
    server.pass(600).await;
    assert_eq!(status(&server, &key, id).await, "canceled", "nobody told how it went");
}

async fn a_shout_that_is_taken_back_stays_so(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 2).await);
    let id = shout(&server, &key, &[A, B, C], json!({})).await;
    assert_eq!(one_call(&server, &trunk, "answered").await, A);
    let offer = poll(&server, &trunk).await;
    assert_eq!(ask(&server, &key, Method::DELETE, &format!("/api/v1/shouts/{id};cancel"), None).await.0, 201);
    let now = ["completed", "cancelled", "cancelled"];
    assert_eq!(
        (status(&server, &key, id).await.as_str(), calls(&server, &key, id).await),
        ("canceled", now.map(str::to_owned).to_vec())
    );
    let mid = offer["mid"].as_str().unwrap();
    let body = json!({ "number": B, "state": "connected" });
    assert_eq!(send(&server, "POST", &format!("/h/trunk/progress?mid={mid}"), Some(body)).await["code"], 2, "it hangs up");
    report(&server, &trunk, &offer["mid"], &format!("&resp={B}"), said(&json!(B), "answered")).await;
    idle(&server, &trunk).await;
    assert_eq!(
        (status(&server, &key, id).await.as_str(), calls(&server, &key, id).await),
        ("canceled", now.map(str::to_owned).to_vec())
    );
    // While its caller still speaks.
    let id = shout(&server, &key, &[A], json!({ "message": null })).await;
    let offer = poll(&server, &trunk).await;
    let mid = offer["mid"].as_str().unwrap().to_owned();
    for state in ["start", "record", "verify"] {
        got_to(&server, &mid, state).await;
    }
    assert_eq!(ask(&server, &key, Method::DELETE, &format!("/api/v1/shouts/{id};cancel"), None).await.0, 201);
    assert_eq!(got_to(&server, &mid, "confirmed").await["code"], 2);
    let told = json!([{ "number": C, "outcome": "answered", "action": "accept", "recordings": [{ "id": "r1" }] }]);
    report(&server, &trunk, &offer["mid"], &format!("&resp={C}"), told).await;
    put(&server, "trunk", "r1", &mid, &voice()).await;
    idle(&server, &trunk).await;
    assert_eq!(
        (status(&server, &key, id).await.as_str(), calls(&server, &key, id).await),
        ("canceled", vec!["cancelled".to_owned()])
    );
}

async fn only_what_failed_is_tried_again(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    let id = shout(&server, &key, &[A, "12"], json!({})).await;
    assert_eq!(calls(&server, &key, id).await, ["ready", "failed"], "no phone can dial that");
    for pause in [60, 180, 600] {
        assert_eq!(one_call(&server, &trunk, "failed").await, A);
        assert_eq!(calls(&server, &key, id).await[0], "ready");
        server.pass(pause - 1).await;
        idle(&server, &trunk).await;
        server.pass(1).await;
    }
    assert_eq!(one_call(&server, &trunk, "no_answer").await, A);
    assert_eq!((calls(&server, &key, id).await[0].as_str(), status(&server, &key, id).await.as_str()), ("no-answer", "finished"));
    server.pass(3600).await;
    idle(&server, &trunk).await;
    let retries: Vec<_> =
        records(&server, "cdr").await.iter().map(|line| (line["status"].clone(), line["num_retries"].clone())).collect();
    let failed = |tries: i64| (json!("failed"), json!(tries));
    assert_eq!(retries[1..], [failed(1), failed(2), failed(3), (json!("no-answer"), json!(3))]);
}

async fn a_scheduled_shout_waits_for_its_time(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    let id = shout(&server, &key, &[A], json!({ "schedule": "2026-11-20T05:00:00Z" })).await;
    assert_eq!(status(&server, &key, id).await, "scheduled");
    server.pass(7199).await;
    idle(&server, &trunk).await;
    let server = server.restart().await;
    server.pass(1).await;
    assert_eq!(one_call(&server, &trunk, "answered").await, A);
    assert_eq!(status(&server, &key, id).await, "finished");
    let past = shout(&server, &key, &[B], json!({ "schedule": "1970-01-01T00:00:00Z" })).await;
    assert_eq!(
        (one_call(&server, &trunk, "answered").await, status(&server, &key, past).await.as_str()),
        (B.to_owned(), "finished")
    );
}

async fn no_more_go_out_in_a_second_than_may(home: Home) {
    let server = home.set("AUTOCALL_SHOUTS_CALLS_PER_SECOND", "2").set("AUTOCALL_SHOUTS_BATCH_SIZE", "3").start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 8).await);
    let people: Vec<String> = (0..5).map(|n| format!("1871234560{n}")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    // Ten seconds long.
    let id = shout(&server, &key, &people, json!({ "message": "abc".repeat(9) })).await;
    let on = |channel: i32| format!("{trunk}?channel={channel}");
    let mut channel = 0;
    for goes_out in [2, 1, 0] {
        for nth in 0..=goes_out {
            let answer = poll(&server, &on(channel)).await;
            assert_eq!(answer["code"], i32::from(nth == goes_out), "{answer}");
            channel += i32::from(nth < goes_out);
        }
        server.pass(1).await;
    }
    server.pass(7).await;
    assert_eq!(poll(&server, &on(channel)).await["code"], 0, "the next batch");
    assert_eq!(calls(&server, &key, id).await.iter().filter(|status| *status == "ongoing").count(), 4);
}

async fn a_handset_that_dies_in_a_call_calls_nobody_twice(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    let id = shout(&server, &key, &[A], json!({ "message": "x".repeat(600) })).await;
    let offer = poll(&server, &trunk).await;
    server.pass(400).await;
    assert_eq!((calls(&server, &key, id).await[0].as_str(), status(&server, &key, id).await.as_str()), ("failed", "finished"));
    speaker_is_back(&server).await;
    idle(&server, &trunk).await;
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), said(&json!(A), "answered")).await;
    idle(&server, &trunk).await;
    let lines: Vec<_> = records(&server, "cdr").await.iter().map(|line| line["status"].clone()).collect();
    assert_eq!(lines, [json!("failed"), json!("completed")]);
    assert_eq!((calls(&server, &key, id).await[0].as_str(), status(&server, &key, id).await.as_str()), ("completed", "finished"));
}

async fn speaker_is_back(server: &Server) {
    send(server, "POST", "/h/trunk/status", Some(json!({ "battery": 50 }))).await;
}

async fn a_shout_without_a_voice_fails(home: Home) {
    let server = home.start().await;
    let key = key(&server, "blast").await;
    let phone = server.pair("pixel", Profile::App).await;
    let (spoken, recorded) =
        (shout(&server, &key, &[A], json!({})).await, shout(&server, &key, &[A], json!({ "message": null })).await);
    server.pass(599).await;
    assert_eq!(
        (status(&server, &key, spoken).await.as_str(), status(&server, &key, recorded).await.as_str()),
        ("ready", "pending")
    );
    server.app_idle(&phone).await;
    server.pass(32).await;
    assert_eq!(
        (status(&server, &key, spoken).await.as_str(), status(&server, &key, recorded).await.as_str()),
        ("error", "error")
    );
    assert_eq!(calls(&server, &key, spoken).await, ["cancelled"]);
}

async fn it_takes_too_long_and_is_finished_after_all(home: Home) {
    let server = home.set("AUTOCALL_SHOUTS_MESSAGE_TIMEOUT_SECONDS", "30").start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 2).await);
    let id = shout(&server, &key, &[A], json!({ "message": "Hi" })).await;
    let offer = poll(&server, &trunk).await;
    for _ in 0..4 {
        server.pass(15).await;
        let body = json!({ "number": A, "state": "connected" });
        let path = format!("/h/trunk/progress?mid={}", offer["mid"].as_str().unwrap());
        assert_eq!(send(&server, "POST", &path, Some(body)).await, json!({ "code": 0 }), "whoever listens is not cut off");
    }
    assert_eq!(
        (calls(&server, &key, id).await[0].as_str(), status(&server, &key, id).await.as_str()),
        ("timed-out", "timed-out")
    );
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), said(&json!(A), "answered")).await;
    assert_eq!((calls(&server, &key, id).await[0].as_str(), status(&server, &key, id).await.as_str()), ("completed", "finished"));
    let lines: Vec<_> = records(&server, "bdr").await.iter().map(|line| line["status"].clone()).collect();
    assert_eq!(lines, [json!("timed-out"), json!("finished")]);
}

async fn numbers_that_must_not_be_called_are_not(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    let before = shout(&server, &key, &[A, B], json!({})).await;
    let (status_code, _) = server.post("/api/v1/do-not-call", &json!({ "number": A, "reason": "asked" })).await;
    assert_eq!(status_code, 201);
    assert_eq!(one_call(&server, &trunk, "answered").await, B, "it is looked up again when it is called");
    assert_eq!(calls(&server, &key, before).await, ["do not call", "completed"]);
    assert_eq!(get(&server, &key, "/api/v1/dnc/u1").await, json!([]), "that list is another one");
    let id = shout(&server, &key, &["110"], json!({})).await;
    assert_eq!((calls(&server, &key, id).await[0].as_str(), status(&server, &key, id).await.as_str()), ("failed", "finished"));
}

async fn one_channel_is_left_to_alarms(home: Home) {
    let server = home.start().await;
    let key = key(&server, "blast").await;
    let trunk = speaker(&server, "trunk", 2).await;
    let leave = async |work: &mut _| pairing::set_bulk(work, "trunk", false).await;
    server.app.engine.store.carry_out(server.now(), Doer::Server, leave).await.unwrap();
    shout(&server, &key, &[A, B], json!({})).await;
    assert_eq!(poll(&server, &trunk).await["phone"], json!([A]));
    let other = format!("{trunk}?channel=1");
    idle(&server, &other).await;
    server.raise(&[C], json!({})).await;
    assert_eq!(poll(&server, &other).await["phone"], json!([C]));
}

async fn an_alarm_goes_first(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    let id = shout(&server, &key, &[A, B], json!({})).await;
    assert_eq!(one_call(&server, &trunk, "answered").await, A);
    let alarm = server.raise(&[B], json!({ "priority": "low" })).await;
    let offer = poll(&server, &trunk).await;
    assert!(offer["calls"][0]["script"]["keys"].is_object(), "{offer}");
    report(&server, &trunk, &offer["mid"], &format!("&resp={B}"), said(&json!(B), "answered")).await;
    assert_eq!(server.state(&alarm).await, "answered");
    assert_eq!(one_call(&server, &trunk, "answered").await, B);
    assert_eq!(status(&server, &key, id).await, "finished");
}

async fn an_urgent_alarm_gets_the_number_that_a_shout_holds(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 2).await);
    let other = format!("{trunk}?channel=1");
    let other = other.as_str();
    let urgent =
        async |number: &str, priority: &str| server.raise(&[number], json!({ "attempts": 1, "priority": priority })).await;
    let goes_on = async |mid: &Value, number: &str| {
        let body = json!({ "number": number, "state": "connected" });
        send(&server, "POST", &format!("/h/trunk/progress?mid={}", mid.as_str().unwrap()), Some(body)).await
    };
    // Not for an alarm that can wait, and not at once.
    for (number, priority, seconds, ends) in
        [(A, "normal", 20, None), (B, "high", 4, None), (C, "high", 6, Some("cancelled")), (A, "critical", 40, Some("completed"))]
    {
        let id = shout(&server, &key, &[number], json!({})).await;
        let offer = poll(&server, &trunk).await;
        assert_eq!(offer["phone"], json!([number]), "{priority}: {offer}");
        let mid = &offer["mid"];
        assert_eq!(goes_on(mid, number).await, json!({ "code": 0 }));
        if seconds == 40 {
            // It was said by then.
            server.pass(30).await;
            goes_on(mid, number).await;
        }
        let alarm = urgent(number, priority).await;
        assert_eq!(poll(&server, other).await["code"], 1, "{priority}: the number is in another call");
        for _ in 0..seconds.min(20) {
            server.pass(1).await;
            poll(&server, other).await;
        }
        let wanted = goes_on(mid, number).await["code"] == 0;
        assert_eq!(
            (wanted, calls(&server, &key, id).await[0].as_str()),
            (ends.is_none(), ends.unwrap_or("ongoing")),
            "{priority}"
        );
        assert_eq!(poll(&server, other).await["code"], 1, "{priority}: until the handset says that the line is free");
        report(&server, &trunk, mid, &format!("&resp={number}"), said(&json!(number), "answered")).await;
        assert_eq!(calls(&server, &key, id).await, [ends.unwrap_or("completed")], "{priority}");
        server.pass(5).await;
        let rung = poll(&server, other).await;
        assert_eq!((&rung["code"], &rung["phone"]), (&json!(0), &json!([number])), "{priority}: {rung}");
        report(&server, &trunk, &rung["mid"], &format!("&resp={number}"), said(&json!(number), "answered")).await;
        assert_eq!(server.alarm(&alarm).await["state"], "answered");
    }
}

/// Lets so many seconds pass in which a channel asks.
async fn asks_for(server: &Server, channel: &str, seconds: u32) {
    for _ in 0..seconds {
        server.pass(1).await;
        poll(server, channel).await;
    }
}

async fn an_urgent_alarm_gets_the_number_also_beside_others(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 2).await);
    let other = format!("{trunk}?channel=1");
    let id = shout(&server, &key, &[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    assert_eq!(offer["phone"], json!([A]), "{offer}");
    // Whom else it is about is rung meanwhile, and rests after that.
    let more = json!({ "mode": "parallel", "priority": "high", "attempts": 3, "min_interval_seconds": 30 });
    server.raise(&[A, B], more).await;
    let rung = poll(&server, &other).await;
    assert_eq!(rung["phone"], json!([B]), "{rung}");
    report(&server, &trunk, &rung["mid"], "", said(&json!(B), "busy")).await;
    asks_for(&server, &other, 7).await;
    assert_eq!(calls(&server, &key, id).await, ["cancelled"]);
}

async fn whoever_is_not_wanted_any_more_keeps_their_call(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 2).await);
    let other = format!("{trunk}?channel=1");
    let first = shout(&server, &key, &[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    let alarm = server.raise(&[A], json!({ "priority": "high" })).await;
    asks_for(&server, &other, 3).await;
    // It waits for the number, and is put off.
    let (status, put_off) =
        server.post(&format!("/api/v1/alarms/{alarm}/snooze"), &json!({ "for_seconds": 3600, "by": "Ann" })).await;
    assert!(status < 300, "{put_off}");
    asks_for(&server, &other, 10).await;
    assert_eq!(calls(&server, &key, first).await, ["ongoing"], "nobody wants the number now");
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), said(&json!(A), "answered")).await;
}

async fn whoever_says_no_while_nobody_asks_keeps_their_call(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 2).await);
    let other = format!("{trunk}?channel=1");
    for (round, way) in ["skip", "decline"].into_iter().enumerate() {
        let id = shout(&server, &key, &[A], json!({ "title": way })).await;
        let offer = poll(&server, &trunk).await;
        assert_eq!(offer["phone"], json!([A]), "{offer}");
        // B rests, so that the alarm waits for A.
        let more = json!({ "mode": "parallel", "priority": "high", "attempts": 3, "min_interval_seconds": 60, "dedup_key": way });
        let alarm = server.raise(&[A, B], more).await;
        let rung = poll(&server, &other).await;
        assert_eq!(rung["phone"], json!([B]), "{rung}");
        report(&server, &trunk, &rung["mid"], "", said(&json!(B), "busy")).await;
        asks_for(&server, &other, 3).await;
        let callee = server.alarm(&alarm).await["callees"][0]["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/alarms/{alarm}/callees/{callee}/{way}");
        assert_eq!(server.submit(&path).await, 200, "{way}");
        // Nobody asks for anything meanwhile: a handset may be in a call.
        server.pass(4).await;
        server.pass(4).await;
        assert_eq!(calls(&server, &key, id).await, ["ongoing"], "{round}: nobody wants the number after {way}");
        report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), said(&json!(A), "answered")).await;
        server.submit(&format!("/api/v1/alarms/{alarm}/cancel")).await;
    }
}

async fn a_message_that_is_spoken_gives_way(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 2).await);
    let other = format!("{trunk}?channel=1");
    let id = shout(&server, &key, &[A], json!({ "message": null })).await;
    let offer = poll(&server, &trunk).await;
    assert_eq!(offer["phone"], json!([C]), "who speaks it: {offer}");
    server.raise(&[C], json!({ "priority": "critical", "attempts": 1 })).await;
    asks_for(&server, &other, 8).await;
    assert_eq!(status(&server, &key, id).await, "canceled");
}

async fn a_file_that_is_sent_again_is_sent_once(home: Home) {
    let server = home.start().await;
    let key = key(&server, "blast").await;
    // Longer than other bodies may be.
    let long = android_protocol::voice::wav::write(&android_protocol::voice::tone::sine(&[700.0], 290_000, 9000.0));
    assert!(long.len() > 4 << 20, "{}", long.len());
    let mut answers = Vec::new();
    // Programs draw another boundary for each request.
    for boundary in ["x", "another"] {
        let body = multipart(boundary, &[("userdata", "u1"), ("recipients", A)], Some(&long));
        let request =
            server.http.post(format!("{}/api/v1/shouts", server.base)).bearer_auth(&key).header("idempotency-key", "k1");
        let request = request.header("content-type", format!("multipart/form-data; boundary={boundary}")).body(body);
        let answer = request.send().await.unwrap();
        answers.push((answer.status().as_u16(), answer.text().await.unwrap()));
    }
    assert_eq!(answers[0].0, 200, "{}", answers[0].1);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(get(&server, &key, "/api/v1/shouts?userdata=u1").await.as_array().unwrap().len(), 1);
}

async fn the_message_of_an_earlier_shout(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    let first = shout(&server, &key, &[A], json!({})).await;
    one_call(&server, &trunk, "answered").await;
    let again = shout(&server, &key, &[B], json!({ "message": null, "old-shout-id": first })).await;
    let offer = poll(&server, &trunk).await;
    assert_eq!(
        (&offer["phone"], &offer["calls"][0]["script"]["menu"]["start"]["say"]),
        (&json!([B]), &json!("The office is closed."))
    );
    report(&server, &trunk, &offer["mid"], "", said(&json!(B), "no_answer")).await;
    assert_eq!(status(&server, &key, again).await, "finished");
    let silent = shout(&server, &key, &[A], json!({ "message": null, "schedule": "2026-12-01T00:00:00Z" })).await;
    let body = json!({ "userdata": "u1", "recipients": [A], "old-shout-id": silent });
    let (told, answer) = ask(&server, &key, Method::POST, "/api/v1/shouts", Some(&body)).await;
    assert_eq!((told, answer), (400, format!("\"the shout {silent} has no message yet: name one that has gone out\"")));
}

/// A multipart form: fields, and a file, with this between them.
fn multipart(boundary: &str, fields: &[(&str, &str)], file: Option<&[u8]>) -> Vec<u8> {
    let part = |head: &str, body: &[u8]| {
        [format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes(), body, b"\r\n"].concat()
    };
    let mut form: Vec<u8> = fields.iter().flat_map(|(name, value)| part(&format!("name=\"{name}\""), value.as_bytes())).collect();
    form.extend(
        file.map(|file| part("name=\"recording\"; filename=\"m.wav\"\r\nContent-Type: audio/wav", file)).unwrap_or_default(),
    );
    form.extend(format!("--{boundary}--\r\n").into_bytes());
    form
}

async fn ask_with_file(server: &Server, key: &str, fields: &[(&str, &str)], file: Option<&[u8]>) -> (u16, String) {
    let request = server.http.post(format!("{}/api/v1/shouts", server.base)).bearer_auth(key);
    let request = request.header("content-type", "multipart/form-data; boundary=x").body(multipart("x", fields, file));
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn a_message_comes_as_a_file(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    let fields = [("userdata", "u1"), ("recipients", A), ("recipients", B)];
    let (code, answer) = ask_with_file(&server, &key, &fields, Some(&voice())).await;
    assert_eq!(code, 200, "{answer}");
    let told: Value = serde_json::from_str(&answer).unwrap();
    let (id, url) = (told["id"].as_i64().unwrap(), told["voc"]["url"].as_str().unwrap());
    assert_eq!((&told["status"], &told["voc"]["length"]), (&json!("ready"), &json!(2)), "{answer}");
    let heard = server.http.get(format!("{}{url}", server.base)).send().await.unwrap();
    assert_eq!((heard.status().as_u16(), heard.headers()["content-type"].to_str().unwrap()), (200, "audio/wav"));
    assert_eq!(heard.bytes().await.unwrap().to_vec(), voice(), "written anew as it was");
    // Nobody sweeps it while its shout is there.
    autocall::keep::media::sweep(&server.app.engine.store, server.now()).await.unwrap();
    for number in [A, B] {
        let offer = poll(&server, &trunk).await;
        assert_eq!(offer["phone"], json!([number]), "{offer}");
        let media = offer["calls"][0]["script"]["menu"]["start"]["play"]["media"].as_str().unwrap().to_owned();
        let sound = server.http.get(format!("{}/h/trunk/media/{media}", server.base)).send().await.unwrap();
        assert_eq!(sound.status().as_u16(), 200, "the handset may fetch it");
        report(&server, &trunk, &offer["mid"], &format!("&resp={number}"), said(&json!(number), "answered")).await;
    }
    assert_eq!(status(&server, &key, id).await, "finished");
    // A sound that has a name.
    let store = &server.app.engine.store;
    let sound = autocall::keep::media::anew(voice()).await.unwrap();
    let any = autocall::versions::Expected::Anything;
    autocall::keep::media::clips::set(store, "drill", &sound, u64::MAX, server.now(), &any, autocall::engine::Doer::CommandLine)
        .await
        .unwrap();
    let clip = shout(&server, &key, &[A], json!({ "message": null, "recording": "drill" })).await;
    assert_eq!(get(&server, &key, &format!("/api/v1/shouts/{clip}")).await["voc"]["length"], 2);
    // Another key hears neither.
    let other = self::key(&server, "other").await;
    let body = json!({ "userdata": "u1", "recipients": [A], "old-shout-id": id });
    assert_eq!(ask(&server, &other, Method::POST, "/api/v1/shouts", Some(&body)).await.0, 404);
}

async fn sound_that_is_none_leaves_nothing(home: Home) {
    let server = home.start().await;
    let key = key(&server, "blast").await;
    let fields = [("userdata", "u1"), ("recipients", A)];
    let refused = [
        (ask_with_file(&server, &key, &fields, Some(b"no sound")).await, 400, "recording cannot be taken"),
        (ask_with_file(&server, &key, &fields, Some(&vec![0; (5 << 20) + 1])).await, 413, "recording has at most 5 MiB"),
        (ask_with_file(&server, &key, &fields, Some(b"")).await, 400, "You have to specify caller"),
        (ask_with_file(&server, &key, &fields[..1], Some(&voice())).await, 404, "at least one recipient"),
        (
            ask_with_file(&server, &key, &[&fields[..], &[("message", "Hello.")]].concat(), Some(&voice())).await,
            400,
            "not several",
        ),
        (
            ask(
                &server,
                &key,
                Method::POST,
                "/api/v1/shouts",
                Some(&json!({ "userdata": "u1", "recipients": [A], "recording": "no" })),
            )
            .await,
            400,
            "there is no clip named",
        ),
    ];
    for ((code, answer), expected, words) in refused {
        assert_eq!((code, answer.contains(words)), (expected, true), "{answer}");
    }
    assert_eq!(get(&server, &key, "/api/v1/shouts?userdata=u1").await, json!([]));
    let mut reader = server.app.engine.store.read().await.unwrap();
    assert_eq!(reader.db().media_total().await.unwrap(), 0);
}

async fn each_end_is_written_down_once(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    let id = shout(&server, &key, &[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    for _ in 0..3 {
        report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), said(&json!(A), "answered")).await;
    }
    server.home.clock.advance(TimeDelta::seconds(5));
    assert_eq!(ask(&server, &key, Method::DELETE, &format!("/api/v1/shouts/{id};cancel"), None).await.0, 201);
    assert_eq!(status(&server, &key, id).await, "finished", "what is over stays so");
    assert_eq!((records(&server, "cdr").await.len(), records(&server, "bdr").await.len()), (1, 1));
}

async fn a_phone_is_called_once_however_its_number_is_written(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    let id = shout(&server, &key, &[A, "+86 187 1234 5678", B], json!({})).await;
    assert_eq!(get(&server, &key, &format!("/api/v1/shouts/{id}")).await["recipients"], json!([A, B]));
    assert_eq!(one_call(&server, &trunk, "answered").await, A);
    assert_eq!(one_call(&server, &trunk, "answered").await, B);
    idle(&server, &trunk).await;
}

async fn a_report_that_is_told_again_calls_nobody_again(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 2).await);
    let id = shout(&server, &key, &[A], json!({})).await;
    let first = poll(&server, &trunk).await;
    report(&server, &trunk, &first["mid"], "", said(&json!(A), "not_dialled")).await;
    server.pass(15).await;
    let other = format!("{trunk}?channel=1");
    let second = poll(&server, &other).await;
    assert_eq!((&second["phone"], second["mid"] != first["mid"]), (&json!([A]), true));
    report(&server, &trunk, &first["mid"], "", said(&json!(A), "not_dialled")).await;
    assert_eq!(calls(&server, &key, id).await, ["ongoing"], "told again");
    report(&server, &other, &second["mid"], &format!("&resp={A}"), said(&json!(A), "answered")).await;
    server.pass(60).await;
    idle(&server, &trunk).await;
    assert_eq!(
        (calls(&server, &key, id).await, status(&server, &key, id).await.as_str()),
        (vec!["completed".to_owned()], "finished")
    );
}

async fn what_never_left_its_handset_is_not_forgotten(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 2).await);
    let id = shout(&server, &key, &[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    idle(&server, &format!("{trunk}?channel=1")).await;
    report(&server, &trunk, &offer["mid"], "", said(&json!(A), "not_dialled")).await;
    server.pass(15).await;
    assert_eq!(one_call(&server, &trunk, "answered").await, A);
    assert_eq!(status(&server, &key, id).await, "finished");
}

async fn a_message_for_a_later_time_is_spoken_at_once(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    let id = shout(&server, &key, &[A], json!({ "message": null, "schedule": "2026-11-21T00:00:00Z" })).await;
    let offer = poll(&server, &trunk).await;
    assert_eq!(offer["phone"], json!([C]), "{offer}");
    let mid = offer["mid"].as_str().unwrap().to_owned();
    for state in ["record", "verify", "confirmed"] {
        got_to(&server, &mid, state).await;
    }
    let told = json!([{ "number": C, "outcome": "answered", "action": "accept", "recordings": [{ "id": "r1" }] }]);
    report(&server, &trunk, &offer["mid"], &format!("&resp={C}"), told).await;
    assert_eq!(put(&server, "trunk", "r1", &mid, &voice()).await.0, 200);
    assert_eq!(status(&server, &key, id).await, "scheduled");
    idle(&server, &trunk).await;
}

async fn a_handset_that_must_leave_its_only_channel_is_no_voice(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    let leave = async |work: &mut _| pairing::set_bulk(work, "trunk", false).await;
    server.app.engine.store.carry_out(server.now(), Doer::Server, leave).await.unwrap();
    let (spoken, recorded) =
        (shout(&server, &key, &[A], json!({})).await, shout(&server, &key, &[A], json!({ "message": null })).await);
    for _ in 0..16 {
        idle(&server, &trunk).await;
        server.pass(40).await;
    }
    assert_eq!(
        (status(&server, &key, spoken).await.as_str(), status(&server, &key, recorded).await.as_str()),
        ("error", "error")
    );
}

async fn whoever_acts_on_alarms_leaves_shouts_alone(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    let id = shout(&server, &key, &[A], json!({})).await;
    let alarm = get(&server, &key, "/api/v1/alarms?kind=shout").await["items"][0]["id"].as_str().unwrap().to_owned();
    for act in ["acknowledge", "cancel", "redial", "resolve"] {
        let path = format!("/api/v1/alarms/{alarm}/{act}");
        ask(&server, &key, Method::POST, &path, Some(&json!({ "name": "Li Na" }))).await;
    }
    assert_eq!(status(&server, &key, id).await, "ready");
    assert_eq!(one_call(&server, &trunk, "answered").await, A);
    assert_eq!(status(&server, &key, id).await, "finished");
}

async fn phones_that_do_not_speak_have_nothing_of_it(home: Home) {
    let server = home.start().await;
    let key = key(&server, "blast").await;
    speaker(&server, "trunk", 20).await;
    let numbers: Vec<String> = (0..20).map(|at| format!("187123456{at:02}")).collect();
    shout(&server, &key, &numbers.iter().map(String::as_str).collect::<Vec<_>>(), json!({})).await;
    let home = server.stop().await;
    // Its periodic work stands still, so that whatever is counted is the doing of those who ask.
    let node = home.quiet_node().await;
    let engine = &node.app.engine;
    let handset = Arc::new(engine.store.read().await.unwrap().db().handset_by_name("trunk").await.unwrap().unwrap());
    let mut phones = Vec::new();
    for phone in 0..50 {
        let pairing = pairing::Pairing::new(&format!("phone {phone}"), &engine.config.handsets);
        let add = async |work: &mut _| pairing::add(work, &pairing).await;
        let token = engine.store.carry_out(engine.clock.now(), Doer::Server, add).await.unwrap();
        phones.push(format!("/h/{token}/alert/phone"));
    }
    for phone in &phones {
        assert_eq!(node.get(phone).await["code"], 1, "the first poll asks who this is");
    }
    for channel in 0..20 {
        // On a slow machine what was read at the beginning is too old by now.
        engine.idle.refresh(&engine.store).await;
        let asker = Asker { handset: Arc::clone(&handset), profile: Profile::Native, channel, asked_at: engine.clock.now() };
        let claimed = engine.claim(&asker).await.unwrap();
        let Claim::Serve { offer, .. } = claimed else { panic!("who speaks is kept from it: {claimed:?}") };
        let rings = Progress { number: offer.phones[0].clone(), state: Some(ProgressState::Alerting), ..Progress::default() };
        assert!(engine.progress(&offer.mid, &rings).await.unwrap().wanted);
        let before = engine.store.counters().connections();
        for phone in phones.iter().cycle().skip(usize::try_from(channel).unwrap() * 7).take(20) {
            assert_eq!(node.get(phone).await["code"], 1);
        }
        assert_eq!(engine.store.counters().connections(), before, "call {channel}: no statement");
    }
}

async fn what_is_refused_says_why(home: Home) {
    let server = home.set("AUTOCALL_SHOUTS_RECIPIENTS_PER_HOUR", "2").start().await;
    let key = key(&server, "blast").await;
    let body = |recipients: &[&str]| json!({ "userdata": "u1", "recipients": recipients, "message": "Hello" });
    let (told, answer) = ask(&server, &key, Method::POST, "/api/v1/shouts", Some(&body(&[A, B, C]))).await;
    assert!(told == 400 && answer.contains("shouts.recipients_per_hour"), "it will never be taken: {told} {answer}");
    assert_eq!(ask(&server, &key, Method::POST, "/api/v1/shouts", Some(&body(&[A, B]))).await.0, 200);
    let (told, answer) = ask(&server, &key, Method::POST, "/api/v1/shouts", Some(&body(&[A]))).await;
    assert!(told == 429 && answer.contains("shouts.recipients_per_hour"), "{told} {answer}");
    let wrong = "{\"detail\":\"Invalid username/password.\"}".to_owned();
    assert_eq!(ask(&server, "", Method::GET, "/k/ak_wrong/api/v1/shouts?userdata=u1", None).await, (401, wrong));
    let large = ask(&server, &key, Method::POST, "/api/v1/shouts", Some(&json!({ "title": "x".repeat(5_000_000) }))).await;
    assert!(large.0 == 413 && large.1.contains("http.body_limit_bytes"), "{} {}", large.0, large.1);
    for (path, nothing) in [("/api/v1/shouts?userdata=%00", "[]"), ("/api/v1/dnc/%00", "[]")] {
        assert_eq!(ask(&server, &key, Method::GET, path, None).await, (200, nothing.to_owned()), "{path}");
    }
    let huge = ask(&server, &key, Method::GET, "/api/v1/calls?shout-id=99999999999999999999", None).await;
    assert_eq!(huge, (404, "{\"detail\":\"Not found.\"}".to_owned()));
    let unknown = json!({ "userdata": "u1", "caller": C, "old-shout-id": 77 });
    let (told, answer) = ask(&server, &key, Method::POST, "/api/v1/shouts", Some(&unknown)).await;
    assert!(told == 404 && answer.contains("77"), "it is looked for before the recipients: {answer}");
    let silent = json!({ "userdata": "u1", "recipients": [A], "message": "\u{200b}" });
    assert_eq!(ask(&server, &key, Method::POST, "/api/v1/shouts", Some(&silent)).await.0, 400, "nothing could be said");
}

async fn whoever_heard_a_shout_stops_it_by_text(home: Home) {
    let server = near(home).start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 1).await);
    let (_, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    shout(&server, &key, &[A], json!({})).await;
    assert_eq!(one_call(&server, &trunk, "answered").await, A);
    server.pass(70).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E1", A, "1")).await, "stranger", "it is no alarm");
    assert_eq!(told(&server, &inbound, smsgate(&server, "E2", A, "stop")).await, "stopped");
    assert_eq!(get(&server, &key, "/api/v1/dnc/u1").await, json!([{ "number": A }]));
    assert_eq!(server.items("/api/v1/do-not-call").await, json!([]), "alarms still reach them");
}

async fn a_channel_from_which_no_call_leaves_rests(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "blast").await, speaker(&server, "trunk", 2).await);
    let id = shout(&server, &key, &[A, B, C], json!({})).await;
    assert_eq!(one_call(&server, &trunk, "failed").await, A);
    idle(&server, &trunk).await;
    assert_eq!(calls(&server, &key, id).await, ["ready"; 3], "the others are not used up by a line without credit");
    let other = format!("{trunk}?channel=1");
    assert_eq!(one_call(&server, &other, "answered").await, B, "its other channel goes on");
}

/// The lines of a file of detail records.
fn lines(folder: &std::path::Path, file: &str) -> Vec<String> {
    std::fs::read_to_string(folder.join(file)).unwrap_or_default().lines().map(str::to_owned).collect()
}

async fn what_a_node_left_behind_is_written_by_another(home: Home) {
    let folder = tempfile::tempdir().unwrap();
    let (gone, own) = (folder.path().join("gone"), folder.path().join("own"));
    // Its folder is a file: it can never write.
    std::fs::write(&gone, "").unwrap();
    let server = home.set("AUTOCALL_SHOUTS_LOG_DIR", gone.to_str().unwrap()).start().await;
    let key = key(&server, "blast").await;
    let id = shout(&server, &key, &[A], json!({})).await;
    assert_eq!(ask(&server, &key, Method::DELETE, &format!("/api/v1/shouts/{id};cancel"), None).await.0, 201);
    let home = server.stop().await.set("AUTOCALL_SHOUTS_LOG_DIR", own.to_str().unwrap());
    let server = home.start().await;
    let later = shout(&server, &key, &[B], json!({})).await;
    assert_eq!(ask(&server, &key, Method::DELETE, &format!("/api/v1/shouts/{later};cancel"), None).await.0, 201);
    let written = |count: usize| {
        let own = own.clone();
        async move {
            eventually("lines in the file", std::time::Duration::from_secs(30), async || {
                Some(lines(&own, "cdr.log")).filter(|lines| lines.len() == count)
            })
            .await
        }
    };
    assert!(written(1).await[0].contains(B), "its own at once");
    server.home.clock.advance(TimeDelta::minutes(61));
    let third = shout(&server, &key, &[C], json!({})).await;
    assert_eq!(ask(&server, &key, Method::DELETE, &format!("/api/v1/shouts/{third};cancel"), None).await.0, 201);
    let all = written(3).await;
    let numbers = [B, A, C];
    assert!(all.iter().zip(numbers).all(|(line, number)| line.contains(number)), "{all:?}");
    assert_eq!(lines(&own, "bdr.log").len(), 3);
}
