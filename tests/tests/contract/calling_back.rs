//! Calling back: whoever was rung about an alarm and calls a handset hears it, and says with a key what a text message would say.

use android_protocol::wire::PROTOCOL_HEADER;
use autocall::engine::Doer;
use autocall::keep::pairing;
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use serde_json::{Value, json};

use crate::harness::{A, B, C, Home, Server, on_both};
use crate::keeping::count;
use crate::native::{poll, report, send};

on_both!(
    whoever_was_rung_hears_the_alarm_and_takes_it,
    it_is_off_until_an_operator_switches_it_on,
    the_same_call_told_again_is_the_same,
    a_stranger_is_not_answered,
    a_test_call_is_no_alarm,
    whoever_cannot_passes_it_on,
    a_key_then_the_report_count_once,
    a_report_alone_tells_what_was_pressed,
    a_key_for_an_alarm_that_somebody_has_already,
    an_alarm_that_is_over_is_said_to_be,
    a_channel_with_a_caller_is_given_nothing,
    a_caller_finds_a_channel_in_use,
    a_caller_of_whom_nothing_more_is_heard_holds_no_channel,
    commands_reach_a_call_that_came_in,
    callers_leave_a_channel_for_alarms,
    a_key_of_a_caller_counts_at_any_token,
    a_key_told_again_is_answered_as_before,
    a_late_word_undoes_nothing_that_was_said_since,
    a_late_word_counts_where_nothing_was_said_of_that_alarm,
    whoever_wants_no_more_says_so_in_such_a_call_too,
    what_cannot_be_kept_is_nobody_s_call,
    the_report_of_a_call_that_live_said_is_over_is_the_first,
    callers_who_are_refused_are_counted_by_reason,
    a_channel_that_asks_for_alarms_has_no_caller,
    calls_that_came_in_are_forgotten_in_time,
);

/// A handset over SIP that takes calls, with two channels.
pub async fn trunk(server: &Server) -> String {
    let path = server.pair("trunk", Profile::Native).await;
    says(server, &["hangup", "dtmf", "tts", "live", "machine", "inbound"]).await;
    let set = async |work: &mut autocall::store::Work| {
        pairing::set_channels(work, "trunk", 2).await?;
        pairing::set_inbound(work, "trunk", true).await
    };
    server.app.engine.store.carry_out(server.now(), Doer::Server, set).await.unwrap();
    path
}

async fn says(server: &Server, can: &[&str]) {
    let status = json!({ "capabilities": can, "backend": "sip", "channels": 2 });
    assert_eq!(send(server, "POST", "/h/trunk/status", Some(status)).await, json!({ "code": 0 }));
}

/// Somebody calls the handset.
pub async fn calls(server: &Server, id: &str, channel: i64, from: &str) -> Value {
    let told = json!({ "id": id, "channel": channel, "from": from, "to": "100", "codecs": ["PCMU"] });
    send(server, "POST", "/h/trunk/incoming", Some(told)).await
}

/// A is rung for an alarm and does not pick up.
async fn missed(server: &Server, path: &str) -> String {
    let id = server.raise(&[A, B], json!({})).await;
    let offer = poll(server, path).await;
    assert_eq!(offer["phone"], json!([A]));
    report(server, path, &offer["mid"], "", json!([{ "number": A, "outcome": "no_answer" }])).await;
    id
}

async fn press(server: &Server, mid: &Value, from: &str, key: &str, action: &str) -> Value {
    let body = json!({ "number": from, "state": "connected", "event": "key", "key": key, "action": action, "seq": 1 });
    send(server, "POST", &format!("/h/trunk/progress?mid={}", mid.as_str().unwrap()), Some(body)).await
}

async fn kinds(server: &Server, id: &str) -> Vec<String> {
    let alarm = server.alarm(id).await;
    alarm["timeline"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}

const NOBODY: &str = r#"{"code":2}"#;

async fn whoever_was_rung_hears_the_alarm_and_takes_it(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    let id = missed(&server, &path).await;
    server.pass(60).await;
    let told = calls(&server, "c1", 0, "+8618712345678").await;
    assert_eq!((&told["code"], &told["do"]), (&json!(0), &json!("answer")), "{told}");
    let script = &told["script"];
    assert!(script["say"].as_str().unwrap().starts_with("disk full"), "{script}");
    assert_eq!(script["keys"], json!({ "1": "accept", "2": "decline" }));
    assert_eq!((script.get("record"), script.get("machine")), (None, None), "{script}");
    assert_eq!(press(&server, &told["mid"], "+8618712345678", "1", "accept").await, json!({ "code": 0 }));
    let alarm = server.alarm(&id).await;
    assert_eq!((&alarm["state"], &alarm["answer"]["phone_number"]), (&json!("answered"), &json!("+8618712345678")));
    let events = alarm["timeline"].as_array().unwrap().iter().find(|event| event["kind"] == "called_back").unwrap();
    assert_eq!((&events["body"]["handset"], &events["body"]["number"]), (&json!("trunk"), &json!("+8618712345678")));
    let record = &server.items(&format!("/api/v1/call-records?alarm_id={id}")).await[0];
    assert_eq!((&record["direction"], &record["origin"]), (&json!("incoming"), &json!("inbound")), "{record}");
    assert_eq!((&record["action"], &record["outcome"], &record["channel"]), (&json!("accept"), &json!("answered"), &json!(1)));
    let calls = json!([{ "number": "+8618712345678", "outcome": "answered", "confirmed": true, "keys": "1", "action": "accept",
        "talk_seconds": 12, "connected_ms": 0, "ended_ms": 12_000, "ended_by": "us" }]);
    report(&server, &path, &told["mid"], "", calls).await;
    let record = &server.items(&format!("/api/v1/call-records?alarm_id={id}")).await[0];
    assert_eq!((&record["talk_seconds"], &record["ended_by"], &record["keys"]), (&json!(12), &json!("us"), &json!("1")));
    assert_eq!(kinds(&server, &id).await.iter().filter(|kind| *kind == "acknowledged").count(), 1, "the report adds nothing");
}

async fn it_is_off_until_an_operator_switches_it_on(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    missed(&server, &path).await;
    let switch = async |on: bool| {
        let set = async |work: &mut autocall::store::Work| pairing::set_inbound(work, "trunk", on).await;
        server.app.engine.store.carry_out(server.now(), Doer::Server, set).await.unwrap();
    };
    switch(false).await;
    assert_eq!(calls(&server, "c1", 0, A).await.to_string(), NOBODY);
    switch(true).await;
    assert_eq!(calls(&server, "c1", 0, A).await["code"], 0);
    assert_eq!(calls(&server, "c2", 5, A).await.to_string(), NOBODY, "there is no such channel");
    assert_eq!(calls(&server, "c2", -1, A).await.to_string(), NOBODY);
    // One that does not say that it tells of calls is not listened to, nor anybody without the protocol's header.
    says(&server, &["hangup", "dtmf", "tts"]).await;
    let refused = async |method: &str, native: bool| {
        let request = server.http.request(method.parse().unwrap(), format!("{}/h/trunk/incoming", server.base));
        let request = if native { request.header(PROTOCOL_HEADER, "1") } else { request };
        let response = request.body(r#"{"id":"c9","from":"18712345678"}"#).sent().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json::<Value>().await.unwrap()["code"].as_i64().is_some_and(|code| code != 0))
    };
    assert_eq!(refused("POST", true).await, (404, true));
    says(&server, &["hangup", "dtmf", "tts", "inbound"]).await;
    assert_eq!(refused("POST", false).await, (404, true));
    assert_eq!(refused("PUT", true).await, (405, true));
    for body in [json!([]), json!({ "from": A }), json!({ "id": "" })] {
        assert_eq!(
            send(&server, "POST", "/h/trunk/incoming", Some(body)).await["code"].as_i64().map(|code| code != 0),
            Some(true)
        );
    }
}

async fn the_same_call_told_again_is_the_same(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    let id = missed(&server, &path).await;
    let told = calls(&server, "c1", 0, A).await;
    assert_eq!(calls(&server, "c1", 0, A).await, told);
    let server = server.restart().await;
    assert_eq!(calls(&server, "c1", 0, A).await, told);
    assert_eq!(count(&server.home, "inbound_calls").await, 1);
    assert_eq!(kinds(&server, &id).await.iter().filter(|kind| *kind == "called_back").count(), 1);
    report(&server, &path, &told["mid"], "", json!([{ "number": A, "outcome": "answered", "confirmed": false }])).await;
    assert_eq!(calls(&server, "c1", 0, A).await.to_string(), NOBODY, "it is over");
    assert_ne!(calls(&server, "c2", 0, A).await["mid"], told["mid"], "they call once more");
}

async fn a_stranger_is_not_answered(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    missed(&server, &path).await;
    for from in [C, "", "anonymous", "sip:+8618712345678@evil.example", "110"] {
        assert_eq!(calls(&server, "c1", 0, from).await.to_string(), NOBODY, "{from}");
    }
    assert_eq!(calls(&server, &"x".repeat(300), 0, A).await.to_string(), NOBODY);
    // Long after they were rung a call is about something else.
    server.pass(3 * 24 * 3600).await;
    assert_eq!(calls(&server, "c1", 0, A).await.to_string(), NOBODY);
    assert_eq!(count(&server.home, "inbound_calls").await, 0);
}

async fn a_test_call_is_no_alarm(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    let handset = server.app.engine.store.read().await.unwrap().db().handset_by_name("trunk").await.unwrap().unwrap();
    server.app.engine.test_call(&handset, "+8618712345678", true).await.unwrap();
    assert_eq!(poll(&server, &path).await["code"], 0);
    assert_eq!(calls(&server, "c1", 1, A).await.to_string(), NOBODY);
}

async fn whoever_cannot_passes_it_on(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    let id = missed(&server, &path).await;
    let told = calls(&server, "c1", 1, A).await;
    assert_eq!(press(&server, &told["mid"], A, "2", "decline").await, json!({ "code": 0 }));
    let alarm = server.alarm(&id).await;
    let declined = alarm["timeline"].as_array().unwrap().iter().find(|event| event["kind"] == "declined").unwrap();
    assert_eq!(declined["body"]["done_by"]["kind"], "handset", "{declined}");
    // The first word stands.
    assert_eq!(press(&server, &told["mid"], A, "1", "accept").await, json!({ "code": 0 }));
    assert_ne!(server.state(&id).await, "answered");
    assert_eq!(poll(&server, &path).await["phone"], json!([B]), "the next one is rung, on the other channel");
}

async fn a_key_then_the_report_count_once(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    let id = missed(&server, &path).await;
    let told = calls(&server, "c1", 0, A).await;
    for _ in 0..3 {
        assert_eq!(press(&server, &told["mid"], A, "2", "decline").await, json!({ "code": 0 }));
    }
    let said = json!([{ "number": A, "outcome": "answered", "confirmed": true, "declined": true, "action": "decline" }]);
    for _ in 0..2 {
        report(&server, &path, &told["mid"], "", said.clone()).await;
    }
    assert_eq!(kinds(&server, &id).await.iter().filter(|kind| *kind == "declined").count(), 1);
    assert_eq!(press(&server, &told["mid"], A, "1", "accept").await, json!({ "code": 2 }), "it is over");
    assert_ne!(server.state(&id).await, "answered");
}

async fn a_report_alone_tells_what_was_pressed(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    let id = missed(&server, &path).await;
    let told = calls(&server, "c1", 0, A).await;
    // Whoever only listens has not taken it.
    report(&server, &path, &told["mid"], "", json!([{ "number": A, "outcome": "answered", "confirmed": null }])).await;
    assert_ne!(server.state(&id).await, "answered");
    let told = calls(&server, "c2", 0, A).await;
    let said = json!([{ "number": A, "outcome": "answered", "confirmed": true, "keys": "1", "action": "accept" }]);
    report(&server, &path, &told["mid"], "", said).await;
    assert_eq!(server.state(&id).await, "answered");
}

async fn a_key_for_an_alarm_that_somebody_has_already(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    let id = missed(&server, &path).await;
    let (status, _) = server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &json!({ "name": "Li Na" })).await;
    assert_eq!(status, 200);
    let told = calls(&server, "c1", 0, A).await;
    let answer = press(&server, &told["mid"], A, "1", "accept").await;
    assert_eq!(answer["code"], 0);
    assert!(answer["say"].as_str().unwrap().contains("Li Na"), "{answer}");
}

async fn an_alarm_that_is_over_is_said_to_be(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    let id = missed(&server, &path).await;
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await.0, 200);
    let told = calls(&server, "c1", 0, A).await;
    assert_eq!(told["code"], 0, "{told}");
    assert_eq!(told["script"].get("keys"), None, "{told}");
    assert!(!told["script"]["say"].as_str().unwrap().contains("disk full"), "{told}");
}

async fn a_channel_with_a_caller_is_given_nothing(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    missed(&server, &path).await;
    let told = calls(&server, "c1", 0, A).await;
    assert_eq!(told["code"], 0);
    server.raise(&[C], json!({ "priority": "critical" })).await;
    assert_eq!(poll(&server, &format!("{path}?channel=0")).await["code"], 1, "somebody is talking there");
    let other = poll(&server, &format!("{path}?channel=1")).await;
    assert_eq!(other["phone"], json!([C]));
    report(
        &server,
        &path,
        &other["mid"],
        &format!("&resp={C}"),
        json!([{ "number": C, "outcome": "answered", "confirmed": true }]),
    )
    .await;
    report(&server, &path, &told["mid"], "", json!([{ "number": A, "outcome": "answered", "confirmed": false }])).await;
    assert_eq!(poll(&server, &format!("{path}?channel=0")).await["phone"], json!([B]), "they have hung up");
}

async fn a_caller_finds_a_channel_in_use(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    missed(&server, &path).await;
    let offer = poll(&server, &path).await;
    assert_eq!(offer["phone"], json!([B]));
    assert_eq!(calls(&server, "c1", 0, A).await.to_string(), NOBODY);
    assert_eq!(calls(&server, "c1", 1, A).await["code"], 0);
}

async fn a_caller_of_whom_nothing_more_is_heard_holds_no_channel(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    missed(&server, &path).await;
    let told = calls(&server, "c1", 0, A).await;
    server.pass(50).await;
    let going = json!({ "number": A, "state": "connected" });
    let at = format!("/h/trunk/progress?mid={}", told["mid"].as_str().unwrap());
    assert_eq!(send(&server, "POST", &at, Some(going.clone())).await, json!({ "code": 0 }));
    server.pass(59).await;
    assert_eq!(send(&server, "POST", &at, Some(going.clone())).await, json!({ "code": 0 }), "it goes on");
    server.pass(60).await;
    assert_eq!(poll(&server, &format!("{path}?channel=0")).await["phone"], json!([B]));
    assert_eq!(send(&server, "POST", &at, Some(going)).await, json!({ "code": 2 }));
}

async fn commands_reach_a_call_that_came_in(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    let id = missed(&server, &path).await;
    let told = calls(&server, "c1", 0, A).await;
    let record = server.items(&format!("/api/v1/call-records?alarm_id={id}")).await[0]["id"].as_i64().unwrap();
    let made = crate::live::command(&server, record, json!({ "do": "drop" })).await;
    let live = send(&server, "GET", "/h/trunk/live", None).await;
    assert_eq!(live["commands"], json!([{ "seq": 1, "mid": told["mid"], "call": A, "do": "drop" }]));
    let ended = json!([{ "seq": 1, "ack": 1, "mid": told["mid"], "event": "ended" }]);
    send(&server, "POST", "/h/trunk/live", Some(json!({ "events": ended }))).await;
    assert_eq!(crate::live::stands(&server, &made).await.0, "done");
    let known = server.get(&format!("/api/v1/call-records/{record}")).await;
    assert_eq!(known["ended_known"], "said", "{known}");
    let again = server.post(&format!("/api/v1/call-records/{record}/commands"), &json!({ "do": "drop" })).await;
    assert_eq!((again.0, &again.1["code"]), (409, &json!("call_not_running")));
}

async fn callers_leave_a_channel_for_alarms(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    missed(&server, &path).await;
    assert_eq!(calls(&server, "c1", 0, A).await["code"], 0, "another channel is free");
    assert_eq!(calls(&server, "c2", 1, A).await.to_string(), NOBODY, "B is to be rung");
    let offer = poll(&server, &format!("{path}?channel=1")).await;
    assert_eq!(offer["phone"], json!([B]));
    // Nobody waits now; but one number calls only so often.
    for again in 0..4 {
        assert_eq!(calls(&server, &format!("again {again}"), 0, A).await["code"], 0);
    }
    assert_eq!(calls(&server, "once more", 0, A).await.to_string(), NOBODY);
    server.pass(600).await;
    assert_eq!(calls(&server, "later", 0, A).await["code"], 0);
}

async fn a_key_of_a_caller_counts_at_any_token(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    let id = missed(&server, &path).await;
    let told = calls(&server, "c1", 0, A).await;
    let key = json!({ "number": A, "state": "connected", "event": "key", "key": "1", "action": "accept", "seq": 1 });
    let at = format!("/h/another-token/progress?mid={}", told["mid"].as_str().unwrap());
    assert_eq!(send(&server, "POST", &at, Some(key)).await, json!({ "code": 0 }));
    assert_eq!(server.state(&id).await, "answered");
    let calls = json!([{ "number": A, "outcome": "answered", "confirmed": true, "action": "accept" }]);
    report(&server, "/h/another-token/alert/phone", &told["mid"], "", calls).await;
}

async fn a_key_told_again_is_answered_as_before(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    let id = missed(&server, &path).await;
    let told = calls(&server, "c1", 0, A).await;
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/resolve"), &json!({})).await.0, 200);
    let first = press(&server, &told["mid"], A, "1", "accept").await;
    assert!(first["say"].is_string(), "{first}");
    assert_eq!(press(&server, &told["mid"], A, "1", "accept").await, first, "its answer may have been lost");
}

/// The handset lost the server while somebody pressed 1, and they said something else since.
async fn a_late_word_undoes_nothing_that_was_said_since(home: Home) {
    for said_since in ["a call", "a text", "another number", "a call to them"] {
        let home = Home::new(if home.is_shared() { crate::harness::Kind::Shared } else { crate::harness::Kind::Embedded }).await;
        let server = crate::gateway::near(home).start().await;
        server.post("/api/v1/people", &json!({ "name": "Ann", "numbers": [A, C] })).await;
        let path = trunk(&server).await;
        let id = missed(&server, &path).await;
        let first = calls(&server, "c1", 0, A).await;
        assert_eq!(first["code"], 0, "{first}");
        server.pass(90).await;
        match said_since {
            "a call" | "another number" => {
                let from = if said_since == "a call" { A } else { C };
                let second = calls(&server, "c2", 0, from).await;
                assert_eq!(press(&server, &second["mid"], from, "2", "decline").await, json!({ "code": 0 }));
            }
            "a text" => {
                let (_phone, url) = crate::gateway::Gateway::open().await;
                let inbound = crate::gateway::add_smsgate(&server, &url).await;
                let text = crate::replies::smsgate(&server, "T1", A, "2");
                assert_eq!(crate::replies::told(&server, &inbound, text).await, "declined");
            }
            _ => {
                // B is rung first, then A again.
                let offer = poll(&server, &format!("{path}?channel=1")).await;
                report(&server, &path, &offer["mid"], "", json!([{ "number": B, "outcome": "busy" }])).await;
                let offer = poll(&server, &format!("{path}?channel=1")).await;
                assert_eq!(offer["phone"], json!([A]), "{offer}");
                press(&server, &offer["mid"], A, "2", "decline").await;
            }
        }
        let late = json!([{ "number": A, "outcome": "answered", "confirmed": true, "action": "accept", "ended_ms": 20_000 }]);
        report(&server, &path, &first["mid"], "", late).await;
        let alarm = server.alarm(&id).await;
        assert_ne!(alarm["state"], "answered", "{said_since}: {alarm}");
        assert_eq!(alarm["callees"][0]["verdict"], "declined", "{said_since}");
    }
}

/// They took one alarm, and another since.
async fn a_late_word_counts_where_nothing_was_said_of_that_alarm(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    let one = missed(&server, &path).await;
    let first = calls(&server, "c1", 0, A).await;
    server.pass(90).await;
    let offer = poll(&server, &format!("{path}?channel=1")).await;
    report(&server, &path, &offer["mid"], "", json!([{ "number": B, "outcome": "busy" }])).await;
    let other = server.raise(&[A], json!({ "priority": "critical" })).await;
    let offer = poll(&server, &format!("{path}?channel=1")).await;
    assert_eq!(offer["phone"], json!([A]), "{offer}");
    report(&server, &path, &offer["mid"], "", json!([{ "number": A, "outcome": "no_answer" }])).await;
    let second = calls(&server, "c2", 0, A).await;
    assert_eq!(press(&server, &second["mid"], A, "1", "accept").await, json!({ "code": 0 }));
    assert_eq!((server.state(&other).await, server.state(&one).await == "answered"), ("answered".to_owned(), false));
    let late = json!([{ "number": A, "outcome": "answered", "confirmed": true, "action": "accept", "ended_ms": 20_000 }]);
    report(&server, &path, &first["mid"], "", late).await;
    assert_eq!(server.state(&one).await, "answered");
}

async fn whoever_wants_no_more_says_so_in_such_a_call_too(home: Home) {
    let server = home.set("AUTOCALL_ALARMS_STOP_KEY", "5").start().await;
    let path = trunk(&server).await;
    let alarm = json!({ "summary": "disk full", "phones": [A], "attempts": 1, "dedup_key": "disk" });
    let id = server.post("/api/v1/alarms", &alarm).await.1["id"].clone();
    let offer = poll(&server, &path).await;
    report(&server, &path, &offer["mid"], "", json!([{ "number": A, "outcome": "no_answer" }])).await;
    let told = calls(&server, "c1", 0, A).await;
    assert_eq!(told["script"]["keys"]["5"], "stop_calling", "{told}");
    assert_eq!(press(&server, &told["mid"], A, "5", "stop_calling").await, json!({ "code": 0 }));
    server.pass(3_600).await;
    assert_eq!(server.post("/api/v1/alarms", &alarm).await.1["id"], id, "it repeats");
    assert_eq!(poll(&server, &path).await["code"], 1);
}

/// Whatever a handset writes that no database can hold.
async fn what_cannot_be_kept_is_nobody_s_call(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    missed(&server, &path).await;
    for (id, to) in [("a\u{0}b", "100"), ("a", "1\u{0}0"), ("a\nb", "100")] {
        let told = json!({ "id": id, "channel": 0, "from": A, "to": to, "codecs": ["PCMU"] });
        assert_eq!(send(&server, "POST", "/h/trunk/incoming", Some(told)).await.to_string(), NOBODY, "{id:?}");
    }
}

async fn the_report_of_a_call_that_live_said_is_over_is_the_first(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    missed(&server, &path).await;
    let told = calls(&server, "c1", 0, A).await;
    let ended = json!([{ "seq": 1, "ack": 0, "mid": told["mid"], "event": "ended" }]);
    send(&server, "POST", "/h/trunk/live", Some(json!({ "events": ended }))).await;
    let before = metric(&server).await;
    report(&server, &path, &told["mid"], "", json!([{ "number": A, "outcome": "answered", "confirmed": false }])).await;
    assert_eq!(metric(&server).await, before, "it is no duplicate");
    report(&server, &path, &told["mid"], "", json!([{ "number": A, "outcome": "answered", "confirmed": false }])).await;
    assert_eq!(metric(&server).await, before + 1.0, "now it is");
}

/// How many reports told what was known.
async fn metric(server: &Server) -> f64 {
    let page = server.http.get(format!("{}/metrics", server.base)).send().await.unwrap().text().await.unwrap();
    let line = page.lines().find(|line| line.starts_with("autocall_reports_total") && line.contains("duplicate"));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
}

/// How many calls that came in had this result.
async fn came_in(server: &Server, result: &str) -> f64 {
    let page = server.page("/metrics").await;
    let series = format!("autocall_inbound_calls_total{{result=\"{result}\"}} ");
    let value = page.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok());
    value.unwrap_or_else(|| panic!("no {series} in {page}"))
}

async fn callers_who_are_refused_are_counted_by_reason(home: Home) {
    let server = home.start().await;
    server.post("/api/v1/people", &json!({ "name": "Ann", "numbers": [C] })).await;
    let path = trunk(&server).await;
    missed(&server, &path).await;
    let results =
        ["taken", "not_allowed", "malformed", "unknown_caller", "nothing_recent", "too_often", "no_free_channel", "over"];
    for result in results {
        assert_eq!(came_in(&server, result).await, 0.0, "{result}");
    }
    let refused = async |id: &str, channel: i64, from: &str, why: &str| {
        let before = came_in(&server, why).await;
        assert_eq!(calls(&server, id, channel, from).await.to_string(), NOBODY, "{why}");
        assert_eq!(came_in(&server, why).await, before + 1.0, "{why}");
    };
    refused("c0", 0, "13000000009", "unknown_caller").await;
    refused("c0", 0, C, "nothing_recent").await;
    refused("c0", 0, "anonymous", "malformed").await;
    refused("c\n", 0, A, "malformed").await;
    refused("c0", 5, A, "not_allowed").await;
    let first = calls(&server, "c1", 0, A).await;
    assert_eq!(calls(&server, "c1", 0, A).await, first);
    assert_eq!(came_in(&server, "taken").await, 1.0, "told again, it is the same call");
    refused("c2", 1, A, "no_free_channel").await;
    assert_eq!(poll(&server, &format!("{path}?channel=1")).await["phone"], json!([B]));
    refused("c2", 1, A, "no_free_channel").await;
    for again in 0..4 {
        assert_eq!(calls(&server, &format!("again {again}"), 0, A).await["code"], 0);
    }
    refused("once more", 0, A, "too_often").await;
    refused("c1", 0, A, "over").await;
    let off = async |work: &mut autocall::store::Work| pairing::set_inbound(work, "trunk", false).await;
    server.app.engine.store.carry_out(server.now(), Doer::Server, off).await.unwrap();
    refused("c3", 0, A, "not_allowed").await;
    let total = async || {
        let mut total = 0.0;
        for result in results {
            total += came_in(&server, result).await;
        }
        total
    };
    assert_eq!(total().await, 15.0, "each call that was told of has one result");
}

/// A handset was started anew and knows nothing of a call that came in: a channel in a call asks for nothing.
async fn a_channel_that_asks_for_alarms_has_no_caller(home: Home) {
    let server = home.start().await;
    let path = trunk(&server).await;
    missed(&server, &path).await;
    let told = calls(&server, "c1", 0, A).await;
    assert_eq!(poll(&server, &format!("{path}?channel=0")).await["code"], 1, "it may have asked before the call came");
    server.pass(10).await;
    assert_eq!(poll(&server, &format!("{path}?channel=0")).await["phone"], json!([B]));
    let at = format!("/h/trunk/progress?mid={}", told["mid"].as_str().unwrap());
    let going = json!({ "number": A, "state": "connected" });
    assert_eq!(send(&server, "POST", &at, Some(going)).await, json!({ "code": 2 }), "it is over");
}

async fn calls_that_came_in_are_forgotten_in_time(home: Home) {
    let server = home.set("AUTOCALL_RECORDS_KEEP_DAYS", "10").start().await;
    let path = trunk(&server).await;
    let id = missed(&server, &path).await;
    let told = calls(&server, "c1", 0, A).await;
    let record = server.items(&format!("/api/v1/call-records?alarm_id={id}")).await[0]["id"].as_i64().unwrap();
    crate::live::command(&server, record, json!({ "do": "stop" })).await;
    let pressed = json!([{ "seq": 1, "mid": told["mid"], "event": "key", "value": "1" }]);
    send(&server, "POST", "/h/trunk/live", Some(json!({ "events": pressed }))).await;
    for (days, left) in [(5, 1), (6, 0)] {
        server.pass(days * 86_400).await;
        server.app.engine.forget_old().await.unwrap();
        for table in ["inbound_calls", "live_commands", "live_events"] {
            assert_eq!(count(&server.home, table).await, left, "{table}");
        }
    }
}
