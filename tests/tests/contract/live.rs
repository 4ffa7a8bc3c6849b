//! Calls while they run: commands reach their handsets at once, whatever node these wait at, and what becomes of them is told.

use std::time::Duration;

use android_protocol::wire::PROTOCOL_HEADER;
use autocall::engine::Doer;
use autocall::keep::pairing;
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use autocall_tests::wait::eventually;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::harness::{A, B, Home, Server, on_both};
use crate::keeping::count;
use crate::native::{poll, report, send};

on_both!(
    an_offer_says_that_commands_come,
    who_takes_no_commands_is_asked_for_none,
    a_command_reaches_who_waits_on_another_node,
    what_was_sent_is_acknowledged_and_goes_on_over_a_restart,
    what_is_too_old_is_not_sent,
    a_newer_request_ends_the_older,
    what_became_of_a_command_is_told,
    an_event_counts_once_and_in_its_order,
    nobody_speaks_of_the_calls_of_others,
    what_is_too_much_is_refused,
    answered_elsewhere_it_is_hung_up_at_once,
    called_off_it_is_hung_up_at_once,
    a_call_that_is_given_up_is_hung_up,
    nothing_is_done_in_a_call_that_is_over,
    what_makes_no_sense_is_refused,
    who_did_it_is_on_the_timeline,
    a_key_is_not_talked_over,
    a_call_that_told_much_is_over_all_the_same,
    a_handset_whose_clock_went_back_is_heard,
    what_cannot_be_kept_holds_nothing_up,
    nobody_is_told_too_much_in_a_call,
    a_token_that_is_replaced_ends_who_waits_with_it,
    who_cannot_speak_is_not_asked_to,
    in_a_list_it_is_the_number_under_way_that_is_meant,
    digits_are_not_shown_again,
    digits_are_kept_only_as_long_as_they_can_be_sent,
);

/// Pairs a handset over SIP that takes commands and gives the path it polls.
pub async fn trunk(server: &Server, name: &str) -> String {
    let path = server.pair(name, Profile::Native).await;
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "live", "record"], "backend": "sip", "channels": 1 });
    assert_eq!(send(server, "POST", &format!("/h/{name}/status"), Some(can)).await, json!({ "code": 0 }));
    path
}

/// A call that runs: its mid, and the id of its record.
pub async fn call(server: &Server, path: &str, number: &str) -> (Value, i64) {
    server.raise(&[number], json!({})).await;
    let offer = poll(server, path).await;
    assert_eq!(offer["phone"], json!([number]));
    picked_up(server, path, &offer["mid"], number).await;
    (offer["mid"].clone(), record(server, &offer["mid"]).await)
}

/// The callee picks up.
pub async fn picked_up(server: &Server, path: &str, mid: &Value, number: &str) {
    let path = format!("{}?mid={}", path.replace("/alert/phone", "/progress"), mid.as_str().unwrap());
    let heard = send(server, "POST", &path, Some(json!({ "number": number, "state": "connected" }))).await;
    assert_eq!(heard, json!({ "code": 0 }));
}

/// The record of the only number of a dial.
pub async fn record(server: &Server, mid: &Value) -> i64 {
    let records = server.items("/api/v1/call-records").await;
    let own = records.as_array().unwrap().iter().find(|own| own["mid"] == mid.as_str().unwrap()[..8]);
    own.unwrap_or_else(|| panic!("{records}"))["id"].as_i64().unwrap()
}

/// Asks for commands.
async fn live(server: &Server, query: &str) -> Value {
    let body = send(server, "GET", &format!("/h/trunk/live?{query}"), None).await;
    assert_eq!(body["code"], 0, "{body}");
    body["commands"].clone()
}

async fn tell(server: &Server, name: &str, events: Value) {
    let told = send(server, "POST", &format!("/h/{name}/live"), Some(json!({ "events": events }))).await;
    assert_eq!(told, json!({ "code": 0 }));
}

/// Has something done in a call, and gives the command.
pub async fn command(server: &Server, record: i64, body: Value) -> Value {
    let (status, made) = server.post(&format!("/api/v1/call-records/{record}/commands"), &body).await;
    assert_eq!(status, 202, "{made}");
    made
}

/// Where a command stands, and why it failed.
pub async fn stands(server: &Server, command: &Value) -> (String, Value) {
    let (record, id) = (&command["call_record_id"], command["id"].as_str().unwrap());
    let now = server.get(&format!("/api/v1/call-records/{record}/commands/{id}")).await;
    (now["state"].as_str().unwrap_or_else(|| panic!("{now}")).to_owned(), now["why"].clone())
}

fn refused(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["code"].as_str().unwrap_or_default())
}

async fn an_offer_says_that_commands_come(home: Home) {
    let server = home.start().await;
    let (trunk, pixel) = (trunk(&server, "trunk").await, server.pair("pixel", Profile::Native).await);
    server.raise(&[A], json!({})).await;
    server.raise(&[B], json!({})).await;
    assert_eq!(poll(&server, &trunk).await["live"], json!(true));
    assert_eq!(poll(&server, &pixel).await.get("live"), None, "it does not take any");
}

async fn who_takes_no_commands_is_asked_for_none(home: Home) {
    let server = home.start().await;
    let pixel = server.pair("pixel", Profile::Native).await;
    trunk(&server, "trunk").await;
    let asked = async |method: &str, path: &str, native: bool| {
        let request = server.http.request(method.parse().unwrap(), format!("{}{path}", server.base));
        let request = if native { request.header(PROTOCOL_HEADER, "1") } else { request };
        let response = request.sent().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json::<Value>().await.unwrap()["code"].as_i64().is_some_and(|code| code != 0))
    };
    for (method, path, native) in
        [("GET", "/h/pixel/live", true), ("POST", "/h/pixel/live", true), ("POST", "/h/trunk/live", false)]
    {
        assert_eq!(asked(method, path, native).await, (404, true), "{method} {path}");
    }
    assert_eq!(asked("PUT", "/h/trunk/live", true).await, (405, true));
    let (_, record) = call(&server, &pixel, A).await;
    let answer = server.post(&format!("/api/v1/call-records/{record}/commands"), &json!({ "do": "drop" })).await;
    assert_eq!(refused(&answer), (409, "handset_cannot"));
}

async fn a_command_reaches_who_waits_on_another_node(home: Home) {
    let server = home.start().await;
    let other = if server.home.is_shared() { Some(server.home.second_node().await) } else { None };
    let base = other.as_ref().map_or(&server.base, |other| &other.base).clone();
    let trunk = trunk(&server, "trunk").await;
    let (mid, record) = call(&server, &trunk, A).await;
    let wait = async {
        let request = autocall_tests::http_client().no_proxy().build().unwrap().get(format!("{base}/h/trunk/live?wait=60"));
        request.header(PROTOCOL_HEADER, "1").sent().await.unwrap().json::<Value>().await.unwrap()
    };
    let (told, made) = tokio::join!(wait, async {
        eventually("it waits", Duration::from_secs(30), async || (count(&server.home, "live_handsets").await == 1).then_some(()))
            .await;
        command(&server, record, json!({ "do": "play", "text": "the fan is burning", "language": "en" })).await
    });
    let play = json!({ "seq": 1, "mid": mid, "call": A, "do": "play", "text": "the fan is burning", "language": "en" });
    assert_eq!(told, json!({ "code": 0, "commands": [play] }));
    assert_eq!((&made["state"], &made["call_record_id"], &made["do"]), (&json!("waiting"), &json!(record), &json!("play")));
    assert_eq!(stands(&server, &made).await, ("sent".to_owned(), json!(null)));
}

async fn what_was_sent_is_acknowledged_and_goes_on_over_a_restart(home: Home) {
    let server = home.start().await;
    let path = trunk(&server, "trunk").await;
    let (_, record) = call(&server, &path, A).await;
    let seqs = |commands: &Value| commands.as_array().unwrap().iter().map(|own| own["seq"].as_i64().unwrap()).collect::<Vec<_>>();
    for text in ["one", "two"] {
        command(&server, record, json!({ "do": "play", "text": text })).await;
    }
    assert_eq!(seqs(&live(&server, "since=0").await), [1, 2]);
    assert_eq!(seqs(&live(&server, "since=1").await), [2], "its answer may have been lost");
    assert_eq!(live(&server, "since=2").await, json!([]));
    let server = server.restart().await;
    command(&server, record, json!({ "do": "stop" })).await;
    assert_eq!(seqs(&live(&server, "since=2").await), [3]);
    assert_eq!(seqs(&live(&server, "").await), [1, 2, 3], "a handset that was started anew knows of none");
    // A database that was restored from a backup knows of fewer than the handset.
    command(&server, record, json!({ "do": "stop" })).await;
    assert_eq!(seqs(&live(&server, "since=70").await), [71]);
    for nonsense in ["since=-1", "since=9223372036854775807", "since=x"] {
        assert_eq!(seqs(&live(&server, nonsense).await), [1, 2, 3, 71], "{nonsense}");
    }
}

async fn what_is_too_old_is_not_sent(home: Home) {
    let server = home.start().await;
    let path = trunk(&server, "trunk").await;
    let (_, record) = call(&server, &path, A).await;
    let old = command(&server, record, json!({ "do": "stop" })).await;
    server.pass(1).await;
    let young = command(&server, record, json!({ "do": "drop" })).await;
    server.pass(29).await;
    let told = live(&server, "").await;
    assert_eq!((told.as_array().unwrap().len(), &told[0]["do"]), (1, &json!("drop")), "{told}");
    assert_eq!(stands(&server, &old).await, ("failed".to_owned(), json!("too_late")));
    assert_eq!(stands(&server, &young).await.0, "sent");
    server.pass(30).await;
    assert_eq!(live(&server, "").await, json!([]), "nor what was sent and is old by now");
}

async fn a_newer_request_ends_the_older(home: Home) {
    let server = home.start().await;
    trunk(&server, "trunk").await;
    let older = tokio::spawn({
        let request =
            autocall_tests::http_client().no_proxy().build().unwrap().get(format!("{}/h/trunk/live?wait=60", server.base));
        async move { request.header(PROTOCOL_HEADER, "1").sent().await.unwrap().json::<Value>().await.unwrap() }
    });
    eventually("the older one ends", Duration::from_secs(40), async || {
        assert_eq!(live(&server, "wait=0").await, json!([]));
        older.is_finished().then_some(())
    })
    .await;
    assert_eq!(older.await.unwrap(), json!({ "code": 0, "commands": [] }));
}

async fn what_became_of_a_command_is_told(home: Home) {
    let server = home.start().await;
    let path = trunk(&server, "trunk").await;
    let (mid, record) = call(&server, &path, A).await;
    let mut made = Vec::new();
    for body in [json!({ "do": "play", "text": "hello" }), json!({ "do": "send_dtmf", "digits": "12#" }), json!({ "do": "stop" })]
    {
        made.push(command(&server, record, body).await);
    }
    let told = live(&server, "").await;
    assert_eq!((&told[1]["digits"], &told[2]["do"]), (&json!("12#"), &json!("stop")), "{told}");
    let event = |seq: i64, ack: i64, word: &str, value: Value| json!({ "seq": seq, "ack": ack, "mid": mid, "event": word, "value": value, "at_ms": 800 });
    tell(&server, "trunk", json!([event(100, 1, "playing", json!(null)), event(101, 2, "error", json!("no_call"))])).await;
    assert_eq!(stands(&server, &made[0]).await.0, "sent", "it goes on");
    assert_eq!(stands(&server, &made[1]).await, ("failed".to_owned(), json!("no_call")));
    tell(&server, "trunk", json!([event(102, 1, "played", json!(null)), event(103, 3, "stopped", json!(null))])).await;
    assert_eq!(stands(&server, &made[0]).await, ("done".to_owned(), json!(null)));
    assert_eq!(stands(&server, &made[2]).await.0, "done");
    let drop = command(&server, record, json!({ "do": "drop" })).await;
    assert_eq!(live(&server, "since=3").await[0]["do"], "drop");
    tell(&server, "trunk", json!([event(104, 4, "ended", json!(null))])).await;
    assert_eq!(stands(&server, &drop).await, ("done".to_owned(), json!(null)));
    let known = server.get(&format!("/api/v1/call-records/{record}")).await;
    assert_eq!(known["ended_known"], "said", "{known}");
}

async fn an_event_counts_once_and_in_its_order(home: Home) {
    let server = home.start().await;
    let path = trunk(&server, "trunk").await;
    let (mid, record) = call(&server, &path, A).await;
    let made = command(&server, record, json!({ "do": "play", "text": "hello" })).await;
    live(&server, "").await;
    let played = json!({ "seq": 7, "ack": 1, "mid": mid, "event": "played" });
    let late = json!({ "seq": 9, "ack": 1, "mid": mid, "event": "error", "value": "media" });
    // In a message they may stand in any order: the first that happened counts.
    tell(&server, "trunk", json!([late, played])).await;
    assert_eq!(stands(&server, &made).await, ("done".to_owned(), json!(null)));
    assert_eq!(count(&server.home, "live_events").await, 2);
    tell(&server, "trunk", json!([played, late, { "seq": 8, "mid": mid, "event": "key", "value": "5" }])).await;
    assert_eq!(count(&server.home, "live_events").await, 3, "one that was overtaken is news, the others are not");
    assert_eq!(stands(&server, &made).await.0, "done");
}

async fn nobody_speaks_of_the_calls_of_others(home: Home) {
    let server = home.start().await;
    let path = trunk(&server, "trunk").await;
    trunk(&server, "other").await;
    let (mid, record) = call(&server, &path, A).await;
    let made = command(&server, record, json!({ "do": "play", "text": "hello" })).await;
    live(&server, "").await;
    let event = |mid: &Value| json!([{ "seq": 7, "ack": 1, "mid": mid, "event": "played" }]);
    tell(&server, "other", event(&mid)).await;
    tell(&server, "trunk", event(&json!("0123456789abcdef01234567"))).await;
    tell(&server, "trunk", event(&json!("../../etc"))).await;
    tell(
        &server,
        "trunk",
        json!([{ "seq": 8, "ack": 1, "event": "played" }, { "seq": 9, "ack": 1, "mid": mid, "event": "dances" }]),
    )
    .await;
    assert_eq!(stands(&server, &made).await.0, "sent");
    assert_eq!(count(&server.home, "live_events").await, 0);
    assert_eq!(send(&server, "GET", "/h/other/live", None).await["commands"], json!([]), "it is another's call");
    // The seq that was forged above is still to come.
    tell(&server, "trunk", event(&mid)).await;
    assert_eq!(stands(&server, &made).await.0, "done");
}

async fn what_is_too_much_is_refused(home: Home) {
    let server = home.start().await;
    let path = trunk(&server, "trunk").await;
    let (mid, _) = call(&server, &path, A).await;
    let posted = async |body: String| {
        let request = server.http.post(format!("{}/h/trunk/live", server.base)).header(PROTOCOL_HEADER, "1").body(body);
        let response = request.sent().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap()["code"].clone())
    };
    let events =
        |many: i64| (1..=many).map(|seq| json!({ "seq": seq, "mid": mid, "event": "key", "value": "1" })).collect::<Vec<_>>();
    assert_eq!(posted(json!({ "events": events(101) }).to_string()).await.0, 400);
    assert_eq!(posted("[]".to_owned()).await.0, 400);
    assert_eq!(posted("{".to_owned()).await.0, 400);
    let long = json!({ "events": [{ "seq": 1, "mid": mid, "event": "key", "value": "1".repeat(70_000) }] });
    assert_eq!(posted(long.to_string()).await.0, 413);
    assert_eq!(count(&server.home, "live_events").await, 0);
    assert_eq!(posted(json!({ "events": events(100) }).to_string()).await, (200, json!(0)));
    assert_eq!(count(&server.home, "live_events").await, 100);
    for below in [0, -5] {
        tell(&server, "trunk", json!([{ "seq": below, "mid": mid, "event": "key" }])).await;
    }
    let long = json!({ "seq": 1000, "mid": mid, "event": "error", "value": "\u{0}x".repeat(900), "at_ms": -7 });
    tell(&server, "trunk", json!([long, 7, null])).await;
    assert_eq!(count(&server.home, "live_events").await, 101);
}

async fn answered_elsewhere_it_is_hung_up_at_once(home: Home) {
    let server = home.start().await;
    let (path, desk) = (trunk(&server, "trunk").await, server.pair("desk", Profile::App).await);
    server.raise(&[A, B], json!({ "mode": "parallel" })).await;
    let offer = poll(&server, &path).await;
    assert_eq!(offer["phone"], json!([A]));
    picked_up(&server, &path, &offer["mid"], A).await;
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [B]);
    let (told, ()) = tokio::join!(live(&server, "wait=60"), async {
        eventually("it waits", Duration::from_secs(30), async || (count(&server.home, "live_handsets").await == 1).then_some(()))
            .await;
        server.report(&desk, &mid, Some(B)).await;
    });
    let drop = &told[0];
    assert_eq!((&drop["do"], &drop["mid"], &drop["call"]), (&json!("drop"), &offer["mid"], &json!(A)), "{told}");
    let say = drop["say"].as_str().unwrap();
    assert_eq!(say, format!("{B} has taken it already."), "whoever has picked up hears who has it");
    report(&server, &path, &offer["mid"], "", json!([{ "number": A, "outcome": "answered", "confirmed": false }])).await;
    assert_eq!(live(&server, "").await, json!([]), "it has ended");
}

async fn called_off_it_is_hung_up_at_once(home: Home) {
    let server = home.start().await;
    let (path, desk) = (trunk(&server, "trunk").await, server.pair("desk", Profile::Native).await);
    let id = server.raise(&[A, B], json!({ "mode": "parallel" })).await;
    let offer = poll(&server, &path).await;
    assert_eq!(poll(&server, &desk).await["phone"], json!([B]));
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await.0, 200);
    let told = live(&server, "").await;
    assert_eq!(told, json!([{ "seq": 1, "mid": offer["mid"], "call": A, "do": "drop" }]), "nobody has picked up, nobody is told");
    assert_eq!(count(&server.home, "live_commands").await, 1, "the other one takes no commands");
}

async fn a_call_that_is_given_up_is_hung_up(home: Home) {
    let server = home.start().await;
    let path = trunk(&server, "trunk").await;
    server.raise(&[A], json!({})).await;
    let offer = poll(&server, &path).await;
    server.pass(181).await;
    assert_eq!(live(&server, "").await, json!([{ "seq": 1, "mid": offer["mid"], "call": A, "do": "drop" }]));
}

async fn nothing_is_done_in_a_call_that_is_over(home: Home) {
    let server = home.start().await;
    let path = trunk(&server, "trunk").await;
    let (mid, record) = call(&server, &path, A).await;
    let waiting = command(&server, record, json!({ "do": "stop" })).await;
    report(&server, &path, &mid, &format!("&resp={A}"), json!([{ "number": A, "outcome": "answered", "confirmed": true }])).await;
    assert_eq!(live(&server, "").await, json!([]));
    assert_eq!(stands(&server, &waiting).await, ("failed".to_owned(), json!("too_late")), "at once");
    let answer = server.post(&format!("/api/v1/call-records/{record}/commands"), &json!({ "do": "drop" })).await;
    assert_eq!(refused(&answer), (409, "call_not_running"));
}

async fn what_makes_no_sense_is_refused(home: Home) {
    let server = home.start().await;
    let path = trunk(&server, "trunk").await;
    let (_, record) = call(&server, &path, A).await;
    let at = format!("/api/v1/call-records/{record}/commands");
    for (body, field) in [
        (json!({ "do": "play" }), "text"),
        (json!({ "do": "play", "text": "  " }), "text"),
        (json!({ "do": "play", "text": "a".repeat(501) }), "text"),
        (json!({ "do": "play", "text": "hi", "language": "not a tag" }), "language"),
        (json!({ "do": "drop", "text": "hi" }), "text"),
        (json!({ "do": "send_dtmf", "digits": "12x" }), "digits"),
        (json!({ "do": "send_dtmf" }), "digits"),
        (json!({ "do": "stop", "digits": "1" }), "digits"),
    ] {
        let (status, answer) = server.post(&at, &body).await;
        assert_eq!((status, &answer["errors"][0]["pointer"]), (422, &json!(format!("/{field}"))), "{body}: {answer}");
    }
    assert_eq!(server.post(&at, &json!({ "do": "levitate" })).await.0, 422);
    assert_eq!(server.post("/api/v1/call-records/999/commands", &json!({ "do": "drop" })).await.0, 404);
    assert_eq!(server.post("/api/v1/call-records/x/commands", &json!({ "do": "drop" })).await.0, 404);
    let unknown = server.get(&format!("{at}/01a1fc4e-a630-77e4-8b85-425a1123605f")).await;
    assert_eq!(unknown["code"], "not_found");
    let made = command(&server, record, json!({ "do": "drop" })).await;
    let elsewhere = server.get(&format!("/api/v1/call-records/999/commands/{}", made["id"].as_str().unwrap())).await;
    assert_eq!(elsewhere["code"], "not_found", "it is of another call");
}

async fn who_did_it_is_on_the_timeline(home: Home) {
    let server = home.start().await;
    let path = trunk(&server, "trunk").await;
    let id = server.raise(&[A], json!({})).await;
    let offer = poll(&server, &path).await;
    let record = record(&server, &offer["mid"]).await;
    command(&server, record, json!({ "do": "play", "text": "the fan is burning", "by": "Lin" })).await;
    let alarm = server.alarm(&id).await;
    let told = alarm["timeline"].as_array().unwrap().iter().find(|event| event["kind"] == "call_commanded").unwrap();
    let body = &told["body"];
    assert_eq!((&body["order"], &body["text"], &body["by"]), (&json!("play"), &json!("the fan is burning"), &json!("Lin")));
    assert_eq!(body["done_by"]["kind"], "open_network", "{body}");
    assert_eq!(body["mid"], offer["mid"].as_str().unwrap()[..8], "a mid is a secret of its handset");
}

async fn a_key_is_not_talked_over(home: Home) {
    let server = home.start().await;
    let path = trunk(&server, "trunk").await;
    let id = server.raise(&[A], json!({})).await;
    let offer = poll(&server, &path).await;
    let key = json!({ "number": A, "state": "connected", "event": "key", "key": "1", "action": "accept", "seq": 1 });
    let heard = send(&server, "POST", &format!("/h/trunk/progress?mid={}", offer["mid"].as_str().unwrap()), Some(key)).await;
    assert_eq!(heard, json!({ "code": 0 }));
    assert_eq!(server.state(&id).await, "answered");
    assert_eq!(live(&server, "").await, json!([]), "whoever has taken it is thanked, and not cut off");
}

async fn a_call_that_told_much_is_over_all_the_same(home: Home) {
    let server = home.start().await;
    let path = trunk(&server, "trunk").await;
    let (mid, record) = call(&server, &path, A).await;
    let made = command(&server, record, json!({ "do": "drop" })).await;
    assert_eq!(live(&server, "wait=0").await[0]["seq"], 1);
    for portion in 0..11_i64 {
        let key = |place: i64| json!({ "seq": 10 + portion * 100 + place, "mid": mid, "event": "key", "value": "5" });
        tell(&server, "trunk", (0..100).map(key).collect()).await;
    }
    let ended = json!([{ "seq": 2_000, "ack": 1, "mid": mid, "event": "ended" }]);
    tell(&server, "trunk", ended).await;
    assert_eq!(stands(&server, &made).await.0, "done");
    let known = server.get(&format!("/api/v1/call-records/{record}")).await;
    assert_eq!(known["ended_known"], "said", "{known}");
}

/// A board without a battery for its clock counts from an earlier time when it is started again.
async fn a_handset_whose_clock_went_back_is_heard(home: Home) {
    let server = home.start().await;
    let path = trunk(&server, "trunk").await;
    for number in [A, B] {
        let (mid, record) = call(&server, &path, number).await;
        let made = command(&server, record, json!({ "do": "play", "text": "hello" })).await;
        let seq = live(&server, "wait=0").await[0]["seq"].clone();
        tell(&server, "trunk", json!([{ "seq": 5, "ack": seq, "mid": mid, "event": "played" }])).await;
        assert_eq!(stands(&server, &made).await.0, "done", "{number}");
        native_end(&server, &path, &mid, number).await;
    }
}

/// The call is over, and reported.
async fn native_end(server: &Server, path: &str, mid: &Value, number: &str) {
    let calls = json!([{ "number": number, "outcome": "answered", "confirmed": true }]);
    report(server, path, mid, &format!("&resp={number}"), calls).await;
}

/// A mid that no database can hold, in front of what matters.
async fn what_cannot_be_kept_holds_nothing_up(home: Home) {
    let server = home.start().await;
    let path = trunk(&server, "trunk").await;
    let (mid, record) = call(&server, &path, A).await;
    let made = command(&server, record, json!({ "do": "stop" })).await;
    let seq = live(&server, "wait=0").await[0]["seq"].clone();
    let events = json!([
        { "seq": 1, "ack": 0, "mid": "\u{0}", "event": "key", "value": "1" },
        { "seq": 2, "ack": 0, "mid": "x".repeat(5_000), "event": "key", "value": "1" },
        { "seq": 3, "ack": seq, "mid": mid, "event": "stopped", "value": "\u{0}" },
    ]);
    tell(&server, "trunk", events).await;
    assert_eq!(stands(&server, &made).await.0, "done");
}

async fn nobody_is_told_too_much_in_a_call(home: Home) {
    let server = home.start().await;
    let path = trunk(&server, "trunk").await;
    let (_, record) = call(&server, &path, A).await;
    for _ in 0..100 {
        command(&server, record, json!({ "do": "stop" })).await;
    }
    let answer = server.post(&format!("/api/v1/call-records/{record}/commands"), &json!({ "do": "drop" })).await;
    assert_eq!(refused(&answer), (409, "too_many_commands"));
    assert_eq!(count(&server.home, "live_commands").await, 100);
}

async fn a_token_that_is_replaced_ends_who_waits_with_it(home: Home) {
    let server = home.start().await;
    let path = trunk(&server, "trunk").await;
    let (_, record) = call(&server, &path, A).await;
    let waiting = tokio::spawn({
        let request = autocall_tests::http_client().no_proxy().build().unwrap();
        let request = request.get(format!("{}/h/trunk/live?wait=60", server.base));
        async move { request.header(PROTOCOL_HEADER, "1").sent().await.unwrap().json::<Value>().await.unwrap() }
    });
    eventually("it waits", Duration::from_secs(30), async || (count(&server.home, "live_handsets").await == 1).then_some(()))
        .await;
    let rotate = async |work: &mut autocall::store::Work| pairing::rotate(work, "trunk", true).await;
    let token = server.app.engine.store.carry_out(server.now(), Doer::Server, rotate).await.unwrap();
    eventually("it ends", Duration::from_secs(40), async || waiting.is_finished().then_some(())).await;
    command(&server, record, json!({ "do": "drop" })).await;
    assert_eq!(waiting.await.unwrap(), json!({ "code": 0, "commands": [] }));
    let told = send(&server, "GET", &format!("/h/{token}/live"), None).await;
    assert_eq!(told["commands"][0]["do"], "drop", "who has the new one hears of it");
    let former = send(&server, "GET", "/h/trunk/live", None).await;
    assert_eq!((former["code"] == 0, former.get("commands")), (false, None), "{former}");
}

async fn who_cannot_speak_is_not_asked_to(home: Home) {
    let server = home.start().await;
    let path = trunk(&server, "trunk").await;
    let can = json!({ "capabilities": ["hangup", "dtmf", "live"], "backend": "sip", "channels": 1 });
    assert_eq!(send(&server, "POST", "/h/trunk/status", Some(can)).await, json!({ "code": 0 }));
    let (_, record) = call(&server, &path, A).await;
    let at = format!("/api/v1/call-records/{record}/commands");
    let answer = server.post(&at, &json!({ "do": "play", "text": "hello" })).await;
    assert_eq!(refused(&answer), (409, "handset_cannot"));
    assert!(answer.1["detail"].as_str().unwrap().contains("cannot speak"), "{}", answer.1);
    assert_eq!(server.post(&at, &json!({ "do": "drop" })).await.0, 202, "it hangs up all the same");
}

const B_NUMBER: &str = "+8618812345678";

/// A handset that is given lists, and takes commands all the same.
async fn in_a_list_it_is_the_number_under_way_that_is_meant(home: Home) {
    let server = home.set("AUTOCALL_MEDIA_DEBUG_RECORDING", "on").start().await;
    let desk = server.pair("trunk", Profile::List).await;
    let can = json!({ "capabilities": ["hangup", "live", "record"], "backend": "sip", "channels": 1 });
    assert_eq!(send(&server, "POST", "/h/trunk/status", Some(can)).await, json!({ "code": 0 }));
    let id = server.raise(&[A, B], json!({})).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A, B]);
    for told in [json!({ "number": A, "state": "ended" }), json!({ "number": B, "state": "connected" })] {
        let heard = send(&server, "POST", &format!("/h/trunk/progress?mid={mid}"), Some(told)).await;
        assert_eq!(heard, json!({ "code": 0 }));
    }
    let records = server.items("/api/v1/call-records").await;
    let second = records.as_array().unwrap().iter().find(|own| own["phone_number"] == B_NUMBER);
    let second = second.unwrap_or_else(|| panic!("{records}"))["id"].as_i64().unwrap();
    let made = command(&server, second, json!({ "do": "stop" })).await;
    assert_eq!(live(&server, "").await[0]["call"], B);
    tell(
        &server,
        "trunk",
        json!([{ "seq": 1, "ack": 1, "mid": mid, "event": "recording", "value": "r1" },
            { "seq": 2, "ack": 0, "mid": mid, "event": "recording", "value": "r2" }]),
    )
    .await;
    assert_eq!(stands(&server, &made).await.0, "done");
    let dial = server.alarm(&id).await["dials"][0].take();
    let whose: Vec<&Value> = dial["recordings"].as_array().unwrap().iter().map(|own| &own["phone_number"]).collect();
    assert_eq!(whose, [B_NUMBER, B_NUMBER], "{dial}");
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await.0, 200);
    let told = live(&server, "since=1").await;
    assert_eq!((&told[0]["do"], &told[0]["call"]), (&json!("drop"), &json!(B)), "{told}");
}

/// They may be somebody's secret.
async fn digits_are_not_shown_again(home: Home) {
    let server = home.start().await;
    let path = trunk(&server, "trunk").await;
    let id = server.raise(&[A], json!({})).await;
    let offer = poll(&server, &path).await;
    picked_up(&server, &path, &offer["mid"], A).await;
    let record = record(&server, &offer["mid"]).await;
    let made = command(&server, record, json!({ "do": "send_dtmf", "digits": "90210#" })).await;
    let read = server.get(&format!("/api/v1/call-records/{record}/commands/{}", made["id"].as_str().unwrap())).await;
    let alarm = server.alarm(&id).await;
    for told in [&made, &read, &alarm] {
        assert!(!told.to_string().contains("90210"), "{told}");
    }
    assert_eq!(live(&server, "").await[0]["digits"], "90210#", "its handset must know them");
}

/// Everything that is written down about commands.
async fn stored(server: &Server) -> String {
    let rows: Vec<(String,)> = match server.home.schema() {
        None => {
            let file = format!("sqlite://{}", server.home.database_file().display());
            let mut connection = SqliteConnection::connect(&file).await.unwrap();
            let columns = "SELECT group_concat('quote(' || name || ')', ' || ') FROM pragma_table_info('live_commands')";
            let (columns,): (String,) = sqlx::query_as(columns).fetch_one(&mut connection).await.unwrap();
            let look = format!("SELECT {columns} FROM live_commands");
            sqlx::query_as(AssertSqlSafe(look)).fetch_all(&mut connection).await.unwrap()
        }
        Some((url, schema)) => {
            let mut connection = PgConnection::connect(url).await.unwrap();
            let look = format!("SELECT CAST(c AS TEXT) FROM {schema}.live_commands c");
            sqlx::query_as(AssertSqlSafe(look)).fetch_all(&mut connection).await.unwrap()
        }
    };
    rows.into_iter().map(|(row,)| row).collect()
}

async fn digits_are_kept_only_as_long_as_they_can_be_sent(home: Home) {
    let server = home.start().await;
    let path = trunk(&server, "trunk").await;
    server.raise(&[A], json!({})).await;
    let offer = poll(&server, &path).await;
    picked_up(&server, &path, &offer["mid"], A).await;
    let record = record(&server, &offer["mid"]).await;
    let done = command(&server, record, json!({ "do": "send_dtmf", "digits": "90210#" })).await;
    command(&server, record, json!({ "do": "send_dtmf", "digits": "31415#" })).await;
    let told = live(&server, "").await;
    assert_eq!((&told[0]["digits"], &told[1]["digits"]), (&json!("90210#"), &json!("31415#")), "{told}");
    tell(&server, "trunk", json!([{ "seq": 1, "ack": 1, "mid": offer["mid"], "event": "played" }])).await;
    assert_eq!(stands(&server, &done).await.0, "done");
    let kept = stored(&server).await;
    assert!(!kept.contains("90210#") && kept.contains("31415#"), "{kept}");
    // Of this one nothing more is heard, and of the next one nothing at all.
    server.pass(20).await;
    command(&server, record, json!({ "do": "send_dtmf", "digits": "27182#" })).await;
    server.pass(11).await;
    let kept = stored(&server).await;
    assert!(!kept.contains("31415#") && kept.contains("27182#"), "{kept}");
    server.pass(20).await;
    let kept = stored(&server).await;
    assert!(!kept.contains("27182#") && kept.contains("send_dtmf"), "{kept}");
}
