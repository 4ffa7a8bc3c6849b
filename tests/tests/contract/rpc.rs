//! The call RPC: what programs ask of calls and conferences in both dialects, what handsets are told then, and what programs hear.

use std::time::Duration;

use android_protocol::voice::{tone, wav};
use autocall::engine::Doer;
use autocall::keep::keys::rights::{self, Change};
use autocall::keep::{keys, pairing};
use autocall::rights::Rights;
use autocall::store::Work;
use autocall::store::watch::handsets::Profile;
use autocall_tests::wait::eventually;
use chrono::TimeDelta;
use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::harness::{A, B, Home, Server, on_both};
use crate::native::{poll, report, send};

on_both!(
    a_call_goes_out_and_all_of_it_is_told,
    the_document_is_understood_as_it_is_printed,
    the_same_request_is_answered_again_and_dials_once,
    a_call_that_nobody_takes_in_time_is_told_so,
    a_number_in_another_call_is_busy,
    a_call_that_is_dropped_before_it_goes_out_is_over_at_once,
    a_call_that_is_dropped_while_it_rings_is_over_by_its_report,
    without_a_report_it_is_over_at_its_deadline,
    what_a_key_may_not_do_is_said,
    what_makes_no_sense_is_answered,
    what_is_played_is_a_file_of_the_key,
    keys_are_collected_and_voices_recorded,
    events_are_read_after_the_last_and_wait_for_the_next,
    two_calls_meet_in_a_conference,
    a_call_comes_in_for_whoever_listens,
    a_socket_hears_of_its_own_calls_on_another_node,
    a_socket_ends_with_its_key,
    a_socket_ends_when_the_time_of_its_key_is_up,
    an_announcement_is_one_request_and_one_event,
    a_stock_phone_is_told_nothing_and_nothing_is_made_up,
    calls_of_programs_are_their_own,
    a_key_that_overtakes_the_answer_tells_of_it,
    nobody_is_rung_after_the_time_to_begin,
    all_numbers_are_looked_at_before_anybody_is_rung,
    an_announcement_counts_once,
    what_is_in_no_text_is_refused,
    a_recording_goes_on_without_the_call_through_which_it_began,
    whoever_hangs_up_meanwhile_is_told_of,
    a_caller_whose_handset_is_silent_is_over,
    what_somebody_said_goes_with_them,
);

/// A key that may command calls, and all else that is asked for over the API.
async fn key(server: &Server, name: &str) -> String {
    let region = server.home.config().default_region;
    let add = async |work: &mut Work| keys::add_with(work, name, &[], &Rights::read("admin,calls"), region).await;
    server.app.engine.store.carry_out(server.now(), Doer::Server, add).await.unwrap()
}

/// Pairs a handset that holds calls for programs, on so many channels.
async fn trunk(server: &Server, channels: i32) -> String {
    let path = server.pair("trunk", Profile::Native).await;
    let set = async |work: &mut Work| {
        pairing::set_channels(work, "trunk", channels).await?;
        pairing::set_bulk(work, "trunk", true).await?;
        pairing::set_inbound(work, "trunk", true).await
    };
    server.app.engine.store.carry_out(server.now(), Doer::Server, set).await.unwrap();
    let can = ["hangup", "dtmf", "tts", "record", "live", "calls", "conference", "inbound"];
    let status = json!({ "capabilities": can, "backend": "sip", "channels": channels });
    assert_eq!(send(server, "POST", "/h/trunk/status", Some(status)).await, json!({ "code": 0 }));
    assert_eq!(poll(server, &path).await["code"], 1);
    path
}

async fn asked(server: &Server, key: &str, method: Method, path: &str, body: &str) -> (u16, String) {
    let request = server.http.request(method, format!("{}{path}", server.base)).body(body.to_owned());
    let request = if key.is_empty() { request } else { request.bearer_auth(key) };
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// What is in a list of the API, for this key.
async fn items(server: &Server, key: &str, path: &str) -> Value {
    let (status, text) = asked(server, key, Method::GET, path, "").await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str::<Value>(&text).unwrap()["items"].take()
}

/// What is answered to a request.
async fn reply(server: &Server, key: &str, path: &str, body: &Value) -> Value {
    let (status, text) = asked(server, key, Method::POST, path, &body.to_string()).await;
    assert_eq!(status, 200, "{text}");
    assert!(text.is_ascii(), "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Makes a call in the later dialect; gives its id.
async fn construct(server: &Server, key: &str, id: &str, params: Value) -> String {
    let made = reply(server, key, "/cti/flows/sys/call", &json!([[1, 2], id, params])).await;
    made["result"]["res_id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

fn to(number: &str) -> Value {
    json!({ "to_uri": number, "max_answer_seconds": 600, "user_data": "u" })
}

/// Does something with a resource; gives the whole reply.
async fn operate(server: &Server, key: &str, res_id: &str, method: &str, params: Value) -> Value {
    let id = format!("{method} {}", rand::random::<u64>());
    reply(server, key, &format!("/cti/notify/{res_id}"), &json!([[1, 2], id, method, params])).await
}

/// The same, which is done.
async fn done(server: &Server, key: &str, res_id: &str, method: &str, params: Value) -> Value {
    let reply = operate(server, key, res_id, method, params).await;
    assert!(reply.get("error").is_none(), "{method}: {reply}");
    reply["result"].clone()
}

/// Why it is not done: the number and the sentence.
fn refused(reply: &Value) -> (i64, &str) {
    (reply["error"]["code"].as_i64().unwrap_or_else(|| panic!("{reply}")), reply["error"]["message"].as_str().unwrap())
}

/// All events of a key so far, without their numbers.
async fn events(server: &Server, key: &str) -> Vec<Value> {
    let (status, text) = asked(server, key, Method::GET, "/cti/events?after=0", "").await;
    assert_eq!(status, 200, "{text}");
    let told: Value = serde_json::from_str(&text).unwrap();
    told["events"].as_array().unwrap().clone()
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["method"].as_str().unwrap()).collect()
}

/// The params of the only event of a name.
fn only<'e>(events: &'e [Value], name: &str) -> &'e Value {
    let mut own = events.iter().filter(|event| event["method"] == name);
    let first = own.next().unwrap_or_else(|| panic!("no {name} in {events:?}"));
    assert!(own.next().is_none(), "{name} is told twice: {events:?}");
    &first["params"]
}

async fn progress(server: &Server, mid: &Value, number: &str, state: &str) -> Value {
    let path = format!("/h/trunk/progress?mid={}", mid.as_str().unwrap());
    send(server, "POST", &path, Some(json!({ "number": number, "state": state }))).await
}

/// A call that somebody has picked up: its id, and its mid.
async fn connected(server: &Server, key: &str, path: &str, number: &str) -> (String, Value) {
    let res_id = construct(server, key, &format!("c {number}"), to(number)).await;
    let offer = poll(server, path).await;
    assert_eq!(offer["phone"], json!([number]), "{offer}");
    for state in ["dialling", "alerting", "connected"] {
        assert_eq!(progress(server, &offer["mid"], number, state).await, json!({ "code": 0 }));
    }
    (res_id, offer["mid"].clone())
}

/// The commands that wait for the handset.
async fn commands(server: &Server) -> Vec<Value> {
    let body = send(server, "GET", "/h/trunk/live?since=0", None).await;
    body["commands"].as_array().unwrap().clone()
}

/// Tells what became of a command.
async fn became(server: &Server, command: &Value, event: &str, value: Value) {
    let seq = server.now().timestamp_millis() + i64::from(rand::random::<u16>());
    let told = json!({ "seq": seq, "ack": command["seq"], "mid": command["mid"], "event": event, "value": value });
    let heard = send(server, "POST", "/h/trunk/live", Some(json!({ "events": [told] }))).await;
    assert_eq!(heard, json!({ "code": 0 }));
}

fn ended(number: &str, outcome: &str) -> Value {
    json!([{ "number": number, "outcome": outcome, "ended_by": "us", "talk_seconds": 5 }])
}

async fn a_call_goes_out_and_all_of_it_is_told(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "app").await, trunk(&server, 1).await);
    let res_id = construct(
        &server,
        &key,
        "1",
        json!({
            "to_uri": A, "max_answer_seconds": 600, "max_ring_seconds": 33, "user_data": "Größe"
        }),
    )
    .await;
    let offer = poll(&server, &trunk).await;
    assert_eq!((&offer["phone"], &offer["live"]), (&json!([A]), &json!(true)));
    let call = &offer["calls"][0];
    assert_eq!(
        (&call["ring_seconds"], &call["script"]["stay"], &call["script"]["max_seconds"]),
        (&json!(33), &json!(true), &json!(600))
    );
    for state in ["dialling", "alerting", "connected"] {
        assert_eq!(progress(&server, &offer["mid"], A, state).await, json!({ "code": 0 }));
    }
    assert_eq!(names(&events(&server, &key).await), ["sys.call.on_ringing", "sys.call.on_dial_completed"]);
    assert_eq!(
        done(&server, &key, &res_id, "sys.call.play_start", json!({ "content": [["12", 1, null]], "repeat": 1 })).await,
        Value::Null
    );
    let busy = operate(&server, &key, &res_id, "sys.call.record_start", json!({ "max_seconds": 9, "record_file": "r" })).await;
    assert_eq!(refused(&busy).0, 409, "one thing at a time");
    let told = commands(&server).await;
    assert_eq!((&told[0]["do"], &told[0]["repeat"]), (&json!("play"), &json!(1)));
    became(&server, &told[0], "playing", Value::Null).await;
    became(&server, &told[0], "played", Value::Null).await;
    assert_eq!(done(&server, &key, &res_id, "sys.call.drop", json!({})).await, Value::Null);
    assert_eq!(progress(&server, &offer["mid"], A, "connected").await["code"], 2, "it is not wanted any more");
    assert!(!names(&events(&server, &key).await).contains(&"sys.call.on_released"), "that is for its report to say");
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), ended(A, "answered")).await;
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), ended(A, "answered")).await;
    let told = events(&server, &key).await;
    assert_eq!(
        names(&told),
        [
            "sys.call.on_ringing",
            "sys.call.on_dial_completed",
            "sys.call.on_play_completed",
            "sys.on_chan_closed",
            "sys.call.on_released"
        ]
    );
    let now = server.now().timestamp();
    let dialled = only(&told, "sys.call.on_dial_completed");
    assert_eq!((&dialled["error"], &dialled["answer_time"], &dialled["res_id"]), (&Value::Null, &json!(now), &json!(res_id)));
    assert_eq!(only(&told, "sys.call.on_play_completed")["user_data"], "Größe");
    let released = only(&told, "sys.call.on_released");
    assert_eq!(
        (&released["call_dir"], &released["cause"], &released["dropped_by"]),
        (&json!("outbound"), &json!(603), &json!("sys"))
    );
    assert!(released["answer_time"].is_i64(), "{released}");
    let gone = operate(&server, &key, &res_id, "sys.call.drop", json!({})).await;
    assert_eq!(refused(&gone).0, 404);
    assert_eq!(done(&server, &key, &res_id, "sys.call.exists", json!({ "res_id": res_id })).await, json!(false));
    // People see who has asked for it.
    let calls = items(&server, &key, "/api/v1/alarms?kind=call").await;
    assert_eq!((&calls[0]["source"], &calls[0]["state"]), (&json!("app"), &json!("answered")), "{calls}");
    let records = items(&server, &key, "/api/v1/call-records?kind=call").await;
    assert_eq!((&records[0]["outcome"], &records[0]["kind"]), (&json!("answered"), &json!("call")), "{records}");
}

async fn the_document_is_understood_as_it_is_printed(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "app").await, trunk(&server, 1).await);
    // With its comma before the bracket; the later text asks for one argument more.
    let create =
        format!(r#"[ "b07ee20a378111e6a2c768f7288d9a79", {{ "from_uri": "123", "to_uri": "{A}", "max_answer_seconds": 60, }} ]"#);
    let (status, text) = asked(&server, &key, Method::POST, "/cti/flows/sys/call", &create).await;
    let made: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &made["id"]), (200, &json!("b07ee20a378111e6a2c768f7288d9a79")), "{text}");
    let res_id = made["result"].as_str().unwrap_or_else(|| panic!("{text}"));
    let offer = poll(&server, &trunk).await;
    progress(&server, &offer["mid"], A, "connected").await;
    // And its comma that is missing.
    let drop = r#"[ "52008e82378211e6ba3668f7288d9a79", "ivr.call.drop" { "cause": 200 } ]"#;
    let (status, text) = asked(&server, &key, Method::POST, &format!("/cti/notify/{res_id}"), drop).await;
    assert_eq!((status, text.as_str()), (200, r#"{"id":"52008e82378211e6ba3668f7288d9a79","result":null}"#));
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), ended(A, "answered")).await;
    let told = events(&server, &key).await;
    assert_eq!(names(&told), ["ivr.call.on_answered", "ivr.call.on_dial_completed", "ivr.call.on_released"]);
    assert_eq!(told[0]["params"], json!({ "res_id": res_id }), "as it is printed");
}

async fn the_same_request_is_answered_again_and_dials_once(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "app").await, trunk(&server, 2).await);
    let create = json!([[1, 2], "same", to(A)]);
    let first = reply(&server, &key, "/cti/flows/sys/call", &create).await;
    assert_eq!(reply(&server, &key, "/cti/flows/sys/call", &create).await, first);
    let other = reply(&server, &key, "/cti/flows/sys/call", &json!([[1, 2], "same", to(B)])).await;
    assert_eq!(refused(&other).0, 409, "another request under the same id");
    let elsewhere = reply(&server, &key, "/cti/flows/sys/call", &json!([[1, 3], "same", to(B)])).await;
    assert!(elsewhere["result"]["res_id"].is_string(), "ids are each client's own: {elsewhere}");
    assert_eq!(poll(&server, &trunk).await["phone"], json!([A]));
    assert_eq!(poll(&server, &format!("{trunk}?channel=1")).await["phone"], json!([B]));
    assert_eq!(items(&server, &key, "/api/v1/alarms?kind=call").await.as_array().unwrap().len(), 2);
}

async fn a_call_that_nobody_takes_in_time_is_told_so(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "app").await, trunk(&server, 1).await);
    let res_id = construct(&server, &key, "1", to(A)).await;
    server.pass(7).await;
    server.pass(1).await;
    let told = events(&server, &key).await;
    assert_eq!(names(&told), ["sys.call.on_dial_completed", "sys.call.on_released"], "{told:?}");
    assert_eq!(only(&told, "sys.call.on_dial_completed")["error"], "dial failed");
    let released = only(&told, "sys.call.on_released");
    assert_eq!((&released["cause"], &released["answer_time"], &released["res_id"]), (&json!(503), &Value::Null, &json!(res_id)));
    assert_eq!(poll(&server, &trunk).await["code"], 1, "it rings nobody afterwards");
}

async fn a_number_in_another_call_is_busy(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "app").await, trunk(&server, 2).await);
    connected(&server, &key, &trunk, A).await;
    let second = construct(&server, &key, "2", to(A)).await;
    assert_eq!(poll(&server, &format!("{trunk}?channel=1")).await["code"], 1);
    server.pass(1).await;
    let told = events(&server, &key).await;
    let released = only(&told, "sys.call.on_released");
    assert_eq!((&released["cause"], &released["res_id"]), (&json!(486), &json!(second)));
}

async fn a_call_that_is_dropped_before_it_goes_out_is_over_at_once(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "app").await, trunk(&server, 1).await);
    let res_id = construct(&server, &key, "1", to(A)).await;
    done(&server, &key, &res_id, "sys.call.drop", json!({})).await;
    let told = events(&server, &key).await;
    let released = only(&told, "sys.call.on_released");
    assert_eq!((&released["cause"], &released["answer_time"]), (&json!(487), &Value::Null));
    assert_eq!(poll(&server, &trunk).await["code"], 1, "nobody is rung");
}

async fn a_call_that_is_dropped_while_it_rings_is_over_by_its_report(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "app").await, trunk(&server, 1).await);
    let res_id = construct(&server, &key, "1", to(A)).await;
    let offer = poll(&server, &trunk).await;
    done(&server, &key, &res_id, "sys.call.drop", json!({ "cause": 486 })).await;
    assert_eq!(progress(&server, &offer["mid"], A, "dialling").await["code"], 2, "in the same moment: nobody is rung");
    report(&server, &trunk, &offer["mid"], "", ended(A, "not_dialled")).await;
    let told = events(&server, &key).await;
    assert_eq!(names(&told).last(), Some(&"sys.call.on_released"));
    assert_eq!(only(&told, "sys.call.on_released")["answer_time"], Value::Null);
}

async fn without_a_report_it_is_over_at_its_deadline(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "app").await, trunk(&server, 1).await);
    connected(&server, &key, &trunk, A).await;
    for _ in 0..8 {
        server.pass(60).await;
    }
    let told = events(&server, &key).await;
    let released = only(&told, "sys.call.on_released");
    assert_eq!((&released["error"], released["answer_time"].is_i64()), (&json!("no report"), true), "{released}");
}

async fn what_a_key_may_not_do_is_said(home: Home) {
    let server = home.start().await;
    let (own, _trunk) = (key(&server, "app").await, trunk(&server, 1).await);
    let plain = crate::senders::key(&server, "plain", &[]).await;
    let create = json!(["1", to(A)]).to_string();
    for (key, status) in [("", 403), (plain.as_str(), 403), ("ak_wrong", 401)] {
        let (got, text) = asked(&server, key, Method::POST, "/cti/flows/sys/call", &create).await;
        let error: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((got, &error["error"]["code"]), (status, &json!(status)), "{text}");
        assert!(error["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{text}");
    }
    let not = async |params: Value| {
        let made = reply(&server, &own, "/cti/flows/sys/call", &json!([[1, 1], rand::random::<u64>().to_string(), params])).await;
        let (code, message) = refused(&made);
        (code, message.to_owned())
    };
    assert_eq!(not(json!({ "to_uri": A })).await, (400, "max_answer_seconds".to_owned()));
    for (name, value) in [("to_uri", json!("110")), ("to_uri", json!(format!("{A}@10.0.0.1"))), ("sip_proxy", json!("10.0.0.1"))]
    {
        let mut params = to(A);
        params[name] = value;
        assert_eq!(not(params).await.0, 400, "{name}");
    }
    let set = async |work: &mut Work| keys::may_call(work, "app", "+1,+44").await;
    server.app.engine.store.carry_out(server.now(), Doer::Server, set).await.unwrap();
    let (code, text) = not(to(A)).await;
    assert_eq!(code, 400);
    assert!(text.contains("+1 or +44"), "{text}");
    assert!(server.items("/api/v1/alarms?kind=call").await.as_array().unwrap().is_empty(), "nothing was raised");
}

async fn what_makes_no_sense_is_answered(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "app").await, trunk(&server, 1).await);
    for (path, body) in [("/cti/rpc", "nonsense"), ("/cti/rpc", ""), ("/cti/flows/sys/call", "[1")] {
        let (status, text) = asked(&server, &key, Method::POST, path, body).await;
        assert_eq!(status, 400, "{body}: {text}");
    }
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(10_000));
    assert_eq!(asked(&server, &key, Method::POST, "/cti/rpc", &deep).await.0, 400);
    let long = format!("[\"1\",{{\"to_uri\":\"{}\"}}]", "9".repeat(40_000));
    assert_eq!(asked(&server, &key, Method::POST, "/cti/flows/sys/call", &long).await.0, 400);
    let (res_id, mid) = connected(&server, &key, &trunk, A).await;
    let unknown = operate(&server, &key, &res_id, "sys.call.levitate", json!({})).await;
    assert_eq!(refused(&unknown), (405, "invalid method"));
    let nobody = operate(&server, &key, "0.0.0-sys.call-1", "sys.call.drop", json!({})).await;
    assert_eq!(refused(&nobody).0, 404);
    let flow = reply(&server, &key, "/cti/flows/sys/levitate", &json!(["9", {}])).await;
    assert!(refused(&flow).0 >= 400);
    let jsonrpc = json!({ "jsonrpc": "2.0", "id": 7, "method": "sys.call.exists", "params": { "res_id": res_id } });
    let told = reply(&server, &key, "/cti/rpc", &jsonrpc).await;
    assert_eq!(told, json!({ "jsonrpc": "2.0", "id": 7, "result": true }));
    report(&server, &trunk, &mid, &format!("&resp={A}"), ended(A, "answered")).await;
}

/// A second of a tone.
fn sound() -> Vec<u8> {
    wav::write(&tone::sine(&[440.0], 1000, 8000.0))
}

async fn what_is_played_is_a_file_of_the_key(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "app").await, trunk(&server, 1).await);
    let put = |name: &str, bytes: Vec<u8>| {
        server.http.put(format!("{}/cti/files/{name}", server.base)).bearer_auth(&key).body(bytes).send()
    };
    assert_eq!(put("hello.wav", sound()).await.unwrap().status(), 201);
    assert_eq!(put("..", sound()).await.unwrap().status(), 404);
    assert_eq!(put("a%2Fb", sound()).await.unwrap().status(), 400);
    assert_eq!(put("text", b"text".to_vec()).await.unwrap().status(), 400);
    let (res_id, _) = connected(&server, &key, &trunk, A).await;
    let missing = operate(&server, &key, &res_id, "sys.call.play_start", json!({ "content": "other.wav" })).await;
    assert_eq!(refused(&missing).0, 400);
    done(&server, &key, &res_id, "sys.call.play_start", json!({ "content": "hello.wav", "finish_keys": "#" })).await;
    let told = commands(&server).await;
    let (media, finish) = (&told[0]["parts"][0]["media"], &told[0]["finish"]);
    assert_eq!(finish, "#");
    let request = server.http.get(format!("{}/h/trunk/media/{}", server.base, media.as_str().unwrap()));
    let fetched = request.header(android_protocol::wire::PROTOCOL_HEADER, "1").send().await.unwrap();
    assert_eq!(fetched.status(), 200, "its handset may have it");
    became(&server, &told[0], "key", json!("#")).await;
    became(&server, &told[0], "stopped", Value::Null).await;
    let told = events(&server, &key).await;
    let played = only(&told, "sys.call.on_play_completed");
    assert_eq!((&played["finish_key"], &played["error"]), (&json!("#"), &Value::Null));
    // Nobody else's.
    let stranger = self::key(&server, "stranger").await;
    assert_eq!(asked(&server, &stranger, Method::GET, "/cti/files/hello.wav", "").await.0, 404);
    let (_, text) = asked(&server, &stranger, Method::POST, &format!("/cti/notify/{res_id}"), r#"["1","call.drop",{}]"#).await;
    assert!(text.contains("404"), "{text}");
}

async fn keys_are_collected_and_voices_recorded(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "app").await, trunk(&server, 1).await);
    let (res_id, mid) = connected(&server, &key, &trunk, A).await;
    done(
        &server,
        &key,
        &res_id,
        "sys.call.receive_dtmf_start",
        json!({ "max_keys": 4, "finish_keys": "#", "valid_keys": "0123456789#" }),
    )
    .await;
    let collect = commands(&server).await.pop().unwrap();
    assert_eq!((&collect["do"], &collect["max"], &collect["finish"]), (&json!("collect"), &json!(4), &json!("#")));
    became(&server, &collect, "key", json!("#")).await;
    became(&server, &collect, "collected", json!("12#")).await;
    assert_eq!(only(&events(&server, &key).await, "sys.call.on_receive_dtmf_completed")["keys"], "12");
    done(&server, &key, &res_id, "sys.call.record_start", json!({ "max_seconds": 9, "record_file": "said.wav" })).await;
    let record = commands(&server).await.pop().unwrap();
    assert_eq!((&record["do"], &record["seconds"]), (&json!("record"), &json!(9)));
    became(&server, &record, "recording", json!("r1")).await;
    let put = server.http.put(format!("{}/h/trunk/recording/r1?mid={}", server.base, mid.as_str().unwrap()));
    let kept = put.header(android_protocol::wire::PROTOCOL_HEADER, "1").body(sound()).send().await.unwrap();
    assert_eq!(kept.status(), 200, "{}", kept.text().await.unwrap());
    assert_eq!(only(&events(&server, &key).await, "sys.call.on_record_completed")["record_file"], "said.wav");
    let heard = server.http.get(format!("{}/cti/files/said.wav", server.base)).bearer_auth(&key).send().await.unwrap();
    assert_eq!(heard.status(), 200);
    assert!(heard.bytes().await.unwrap().starts_with(b"RIFF"));
}

async fn events_are_read_after_the_last_and_wait_for_the_next(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "app").await, trunk(&server, 1).await);
    let read = async |query: &str| {
        let (status, text) = asked(&server, &key, Method::GET, &format!("/cti/events?{query}"), "").await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()
    };
    assert_eq!(read("after=0").await, json!({ "events": [], "last": 0 }));
    let (_, mid) = connected(&server, &key, &trunk, A).await;
    let told = read("after=0").await;
    assert_eq!((told["events"][0]["n"].as_i64(), told["last"].as_i64()), (Some(1), Some(2)), "{told}");
    assert_eq!(read("after=1").await["events"].as_array().unwrap().len(), 1);
    // Whoever waits hears at once.
    let (waited, ()) = tokio::join!(read("after=2&wait=20"), async {
        report(&server, &trunk, &mid, &format!("&resp={A}"), ended(A, "answered")).await;
    });
    assert_eq!(waited["events"][0]["method"], "sys.on_chan_closed", "{waited}");
    assert_eq!(asked(&server, &key, Method::GET, "/cti/events?after=x", "").await.0, 400);
}

async fn two_calls_meet_in_a_conference(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "app").await, trunk(&server, 2).await);
    let made = reply(&server, &key, "/cti/flows/sys/conf", &json!([[1, 2], "k", { "max_seconds": 3600 }])).await;
    let conf = made["result"]["res_id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
    let (one, first) = connected(&server, &key, &trunk, A).await;
    let (two, second) = connected(&server, &key, &format!("{trunk}?channel=1"), B).await;
    for call in [&one, &two] {
        done(&server, &key, call, "sys.call.conf_enter", json!({ "conf_res_id": conf, "max_seconds": 60 })).await;
    }
    let joins = commands(&server).await;
    assert_eq!(joins.len(), 2, "{joins:?}");
    assert_eq!((&joins[0]["do"], &joins[0]["room"]), (&json!("join"), &joins[1]["room"]));
    for join in &joins {
        became(&server, join, "joined", Value::Null).await;
    }
    let parts = done(&server, &key, &conf, "sys.conf.get_parts", json!({})).await;
    let parts: Vec<&Value> = parts.as_array().unwrap().iter().map(|part| &part["res_id"]).collect();
    assert_eq!(parts, [&json!(one), &json!(two)]);
    // One hangs up, and with one left it is over.
    report(&server, &trunk, &first, &format!("&resp={A}"), ended(A, "answered")).await;
    let told = events(&server, &key).await;
    assert!(names(&told).contains(&"sys.conf.on_released"), "{told:?}");
    report(&server, &format!("{trunk}?channel=1"), &second, &format!("&resp={B}"), ended(B, "answered")).await;
    let told = events(&server, &key).await;
    assert_eq!(names(&told).iter().filter(|name| **name == "sys.call.on_released").count(), 2);
}

async fn a_call_comes_in_for_whoever_listens(home: Home) {
    let server = home.start().await;
    let (key, _trunk) = (key(&server, "app").await, trunk(&server, 1).await);
    let rings = json!({ "id": "in1", "channel": 0, "from": "+4915112345678", "to": "100", "codecs": ["PCMA"] });
    let nobody = send(&server, "POST", "/h/trunk/incoming", Some(rings.clone())).await;
    assert_eq!(nobody["code"], 2, "nobody listens: {nobody}");
    asked(&server, &key, Method::GET, "/cti/events", "").await;
    let rings = json!({ "id": "in2", "channel": 0, "from": "+4915112345678", "to": "100", "codecs": ["PCMA"] });
    let taken = send(&server, "POST", "/h/trunk/incoming", Some(rings.clone())).await;
    assert_eq!((&taken["code"], taken.get("do"), &taken["script"]["stay"]), (&json!(0), None, &json!(true)), "{taken}");
    assert_eq!(send(&server, "POST", "/h/trunk/incoming", Some(rings)).await["mid"], taken["mid"], "told again");
    let told = events(&server, &key).await;
    let incoming = only(&told, "sys.call.on_incoming");
    assert_eq!((&incoming["from_uri"], &incoming["to_uri"]), (&json!("+4915112345678"), &json!("100")));
    let res_id = incoming["res_id"].as_str().unwrap();
    let early = operate(&server, &key, res_id, "sys.call.drop", json!({})).await;
    assert_eq!(refused(&early).0, 409, "it was not answered yet");
    done(&server, &key, res_id, "sys.call.answer", json!({ "max_answer_seconds": 60 })).await;
    let command = commands(&server).await.pop().unwrap();
    assert_eq!((&command["do"], &command["mid"]), (&json!("answer"), &taken["mid"]));
    progress(&server, &taken["mid"], "+4915112345678", "connected").await;
    assert_eq!(only(&events(&server, &key).await, "sys.call.on_answer_completed")["error"], Value::Null);
    let calls = json!([{ "number": "+4915112345678", "outcome": "answered", "ended_by": "callee" }]);
    report(&server, "/h/trunk/alert/phone", &taken["mid"], "", calls).await;
    let told = events(&server, &key).await;
    let released = only(&told, "sys.call.on_released");
    assert_eq!((&released["call_dir"], &released["dropped_by"]), (&json!("inbound"), &json!("usr")), "{released}");
}

/// An open socket.
type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn socket(base: &str, key: &str, query: &str) -> Socket {
    let mut request = format!("{}/cti/ws?{query}", base.replace("http://", "ws://")).into_client_request().unwrap();
    let protocol = format!("autocall, autocall.key.{key}");
    request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
    let (socket, answer) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], "autocall");
    socket
}

/// The next text that comes.
async fn next(socket: &mut Socket) -> Value {
    let text = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            match socket.next().await.unwrap().unwrap() {
                Message::Text(text) => return text,
                Message::Close(frame) => panic!("{frame:?}"),
                _ => {}
            }
        }
    });
    serde_json::from_str(&text.await.unwrap()).unwrap()
}

async fn a_socket_hears_of_its_own_calls_on_another_node(home: Home) {
    let server = home.start().await;
    if !server.home.is_shared() {
        return;
    }
    let (key, trunk) = (key(&server, "app").await, trunk(&server, 1).await);
    let second = server.home.second_node().await;
    // That the handset is there the other node reads in the database, where it stands within five seconds.
    server.app.engine.write_sightings(true).await.unwrap();
    let (mut own, mut other) = (socket(&second.base, &key, "").await, socket(&server.base, &key, "").await);
    own.send(Message::Text(json!([[1, 2], "1", { "to_uri": A, "max_answer_seconds": 60 }]).to_string().into())).await.unwrap();
    let wrong = next(&mut own).await;
    assert_eq!(wrong["error"]["code"], 400, "an array alone does not say what it creates: {wrong}");
    let create = json!({ "op": "create", "project": "sys", "flow": "call", "params": [[1, 2], "2", to(A)] });
    own.send(Message::Text(create.to_string().into())).await.unwrap();
    let made = next(&mut own).await;
    assert!(made["result"]["res_id"].is_string(), "{made}");
    // The other node has to hear of it first.
    let offer = eventually("it is handed out", Duration::from_secs(30), async || {
        let offer = poll(&server, &trunk).await;
        offer["mid"].is_string().then_some(offer)
    })
    .await;
    progress(&server, &offer["mid"], A, "alerting").await;
    assert_eq!(next(&mut own).await["method"], "sys.call.on_ringing");
    progress(&server, &offer["mid"], A, "connected").await;
    assert_eq!(next(&mut own).await["method"], "sys.call.on_dial_completed");
    // What its own socket is there for, no other gets.
    other
        .send(Message::Text(
            json!({ "id": "x", "method": "sys.call.exists", "params": { "res_id": made["result"]["res_id"] } })
                .to_string()
                .into(),
        ))
        .await
        .unwrap();
    assert_eq!(next(&mut other).await, json!({ "id": "x", "result": true }));
    own.close(None).await.unwrap();
    drop(own);
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), ended(A, "answered")).await;
    server.pass(11).await;
    assert_eq!(next(&mut other).await["method"], "sys.on_chan_closed", "it does not come back: any other gets it");
    assert_eq!(next(&mut other).await["method"], "sys.call.on_released");
}

async fn a_socket_ends_with_its_key(home: Home) {
    let server = home.start().await;
    let key = key(&server, "app").await;
    let mut socket = socket(&server.base, &key, "").await;
    socket.send(Message::Text("[".repeat(33 * 1024).into())).await.unwrap();
    let long = next(&mut socket).await;
    assert_eq!((&long["id"], refused(&long).0), (&Value::Null, 400), "what is too long is told so, and the socket stays: {long}");
    let foreign = format!("{}/cti/ws", server.base.replace("http://", "ws://"));
    let mut request = foreign.into_client_request().unwrap();
    request.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    let refused = tokio_tungstenite::connect_async(request).await.unwrap_err();
    assert!(refused.to_string().contains("403"), "{refused}");
    let revoke = async |work: &mut Work| keys::revoke(work, "app").await;
    server.app.engine.store.carry_out(server.now(), Doer::Server, revoke).await.unwrap();
    assert_eq!(closed(&mut socket).await, 1008);
}

/// With which code the server closes a socket.
async fn closed(socket: &mut Socket) -> u16 {
    let closed = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(frame))) => return frame.unwrap(),
                Some(Ok(_)) => {}
                gone => panic!("{gone:?}"),
            }
        }
    });
    closed.await.unwrap().code.into()
}

/// The old secret of a key ends, then the key itself, and nobody tells of either: each takes its own sockets with it.
async fn a_socket_ends_when_the_time_of_its_key_is_up(home: Home) {
    let server = home.start().await;
    let old = key(&server, "app").await;
    let rotate = async |work: &mut Work| rights::rotate(work, "app", TimeDelta::hours(1)).await;
    let new = server.app.engine.store.carry_out(server.now(), Doer::Server, rotate).await.unwrap();
    let (mut by_old, mut by_new) = (socket(&server.base, &old, "").await, socket(&server.base, &new, "").await);
    server.home.clock.advance(TimeDelta::minutes(61));
    assert_eq!(closed(&mut by_old).await, 1008);
    by_new.send(Message::Text("[".repeat(33 * 1024).into())).await.unwrap();
    assert_eq!(refused(&next(&mut by_new).await).0, 400, "it goes on");
    let expires = Change { expires_at: Some(Some(server.now() + TimeDelta::hours(1))), ..Change::default() };
    let change = async |work: &mut Work| rights::change(work, "app", expires).await;
    server.app.engine.store.carry_out(server.now(), Doer::Server, change).await.unwrap();
    by_new.send(Message::Text("[".repeat(33 * 1024).into())).await.unwrap();
    assert_eq!(refused(&next(&mut by_new).await).0, 400, "it is good for an hour");
    server.home.clock.advance(TimeDelta::minutes(61));
    assert_eq!(closed(&mut by_new).await, 1008);
}

async fn an_announcement_is_one_request_and_one_event(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "app").await, trunk(&server, 1).await);
    let create =
        json!([[1, 2], "n", { "from_uri": "100", "to_uri": A, "play_content": [["Disk full", 10, null]], "play_repeat": 0 }]);
    let made = reply(&server, &key, "/cti/flows/ext/notify_call", &create).await;
    assert!(made["result"]["res_id"].is_string(), "{made}");
    let offer = poll(&server, &trunk).await;
    progress(&server, &offer["mid"], A, "connected").await;
    let play = commands(&server).await.pop().unwrap();
    assert_eq!((&play["do"], &play["parts"][0]["text"]), (&json!("play"), &json!("Disk full")));
    became(&server, &play, "played", Value::Null).await;
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), ended(A, "answered")).await;
    let told = events(&server, &key).await;
    let own: Vec<&str> = names(&told).into_iter().filter(|name| name.starts_with("ext.")).collect();
    assert_eq!(own, ["ext.notify_call.on_released"], "{told:?}");
    assert_eq!(only(&told, "ext.notify_call.on_released")["error"], Value::Null);
}

async fn a_stock_phone_is_told_nothing_and_nothing_is_made_up(home: Home) {
    let server = home.start().await;
    let key = key(&server, "app").await;
    let pixel = server.pair("pixel", Profile::App).await;
    server.app_idle(&pixel).await;
    let res_id = construct(&server, &key, "1", to(A)).await;
    let (mid, phones) = server.app_dial(&pixel).await;
    assert_eq!(phones, [A]);
    let cannot = operate(&server, &key, &res_id, "sys.call.play_start", json!({ "content": [["x", 10, null]] })).await;
    assert!(refused(&cannot).0 >= 400, "{cannot}");
    let drop = operate(&server, &key, &res_id, "sys.call.drop", json!({})).await;
    assert!(refused(&drop).0 >= 400, "a stock phone cannot be stopped: {drop}");
    assert!(events(&server, &key).await.is_empty(), "nothing is known yet");
    server.report(&pixel, &mid, Some(A)).await;
    let told = events(&server, &key).await;
    assert_eq!(names(&told), ["sys.call.on_dial_completed", "sys.on_chan_closed", "sys.call.on_released"], "{told:?}");
}

async fn calls_of_programs_are_their_own(home: Home) {
    let server = home.start().await;
    let (key, other, trunk) = (key(&server, "app").await, key(&server, "other").await, trunk(&server, 1).await);
    let sender = crate::senders::key_that_may(&server, "prometheus", &[], "admin").await;
    let (_, _mid) = connected(&server, &key, &trunk, A).await;
    let all = async |key: &str, path: &str| {
        let (status, text) = asked(&server, key, Method::GET, path, "").await;
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    let (_, own) = all(&key, "/api/v1/call-records?kind=call").await;
    let (_, alarms) = all(&key, "/api/v1/alarms?kind=call").await;
    let (record, alarm) = (own["items"][0]["id"].to_string().replace('"', ""), alarms["items"][0]["id"].as_str().unwrap());
    for stranger in [&other, &sender, ""] {
        for list in ["/api/v1/call-records?kind=call", "/api/v1/alarms?kind=call", "/api/v1/call-records"] {
            assert_eq!(all(stranger, list).await.1["items"], json!([]), "{list}");
        }
        for one in [format!("/api/v1/call-records/{record}"), format!("/api/v1/alarms/{alarm}")] {
            assert_eq!(all(stranger, &one).await.0, 404, "{one}");
        }
        let commands = format!("/api/v1/call-records/{record}/commands");
        let (status, why) = asked(&server, stranger, Method::POST, &commands, r#"{"do":"drop"}"#).await;
        assert_eq!(status, 404, "{why}");
        let cancel = format!("/api/v1/alarms/{alarm}/cancel");
        assert_eq!(asked(&server, stranger, Method::POST, &cancel, "").await.0, 404);
    }
    assert!(commands(&server).await.is_empty());
    let path = format!("/api/v1/call-records/{record}/commands");
    let (status, made) = asked(&server, &key, Method::POST, &path, r#"{"do":"play","text":"our secret"}"#).await;
    assert_eq!(status, 202, "{made}");
    let made: Value = serde_json::from_str(&made).unwrap();
    let command = format!("{path}/{}", made["id"].as_str().unwrap());
    for stranger in [&other, &sender, ""] {
        assert_eq!(all(stranger, &command).await.0, 404, "nor what was said in one");
    }
    assert_eq!(all(&key, &command).await.0, 200);
    assert_eq!(all(&key, &format!("/api/v1/call-records/{record}")).await.0, 200);
    // A call that came in for a program is none of an alarm either.
    asked(&server, &key, Method::GET, "/cti/events", "").await;
}

async fn a_key_that_overtakes_the_answer_tells_of_it(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "app").await, trunk(&server, 1).await);
    construct(&server, &key, "1", to(A)).await;
    let offer = poll(&server, &trunk).await;
    let path = format!("/h/trunk/progress?mid={}", offer["mid"].as_str().unwrap());
    // The word that somebody has picked up got lost on its way.
    let pressed = json!({ "number": A, "state": "connected", "event": "key", "key": "5" });
    assert_eq!(send(&server, "POST", &path, Some(pressed)).await["code"], 0);
    let told = events(&server, &key).await;
    assert_eq!(only(&told, "sys.call.on_dial_completed")["error"], Value::Null, "{told:?}");
    progress(&server, &offer["mid"], A, "connected").await;
    only(&events(&server, &key).await, "sys.call.on_dial_completed");
}

async fn nobody_is_rung_after_the_time_to_begin(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "app").await, trunk(&server, 1).await);
    construct(&server, &key, "1", to(A)).await;
    // Nothing looked at it meanwhile, as when the only node was started anew.
    server.home.clock.advance(chrono::TimeDelta::seconds(20));
    assert_eq!(poll(&server, &trunk).await["code"], 1);
    server.pass(1).await;
    let told = events(&server, &key).await;
    assert_eq!(only(&told, "sys.call.on_released")["cause"], 503);
}

async fn all_numbers_are_looked_at_before_anybody_is_rung(home: Home) {
    let server = home.start().await;
    let key = key(&server, "app").await;
    let pixel = server.pair("pixel", Profile::App).await;
    server.app_idle(&pixel).await;
    let duo = |to2: &str| json!([[1, 2], to2, { "from1_uri": "100", "to1_uri": A, "from2_uri": "100", "to2_uri": to2, "max_connect_seconds": 60 }]);
    let say =
        json!([[1, 2], "n", { "from_uri": "100", "to_uri": A, "play_content": [["Disk full", 10, null]], "play_repeat": 0 }]);
    for (flow, body) in [("notify_call", &say), ("duo_callback", &duo(B))] {
        let made = reply(&server, &key, &format!("/cti/flows/ext/{flow}"), body).await;
        assert_eq!(refused(&made).0, 503, "a stock phone says nothing and connects nobody: {made}");
    }
    let trunk = trunk(&server, 2).await;
    for to2 in ["110", "+49151@foreign.example"] {
        let made = reply(&server, &key, "/cti/flows/ext/duo_callback", &duo(to2)).await;
        assert_eq!(refused(&made).0, 400, "{made}");
    }
    assert_eq!(poll(&server, &trunk).await["code"], 1, "nobody was rung");
    assert!(events(&server, &key).await.is_empty());
}

async fn an_announcement_counts_once(home: Home) {
    let server = home.set("AUTOCALL_CTI_CALLS_PER_MINUTE", "2").set("AUTOCALL_CTI_MOST_CALLS", "2").start().await;
    let (key, _trunk) = (key(&server, "app").await, trunk(&server, 4).await);
    let say = |to: &str| json!([[1, 2], to, { "from_uri": "100", "to_uri": to, "play_content": [["Disk full", 10, null]], "play_repeat": 0 }]);
    for number in [A, B] {
        let made = reply(&server, &key, "/cti/flows/ext/notify_call", &say(number)).await;
        assert!(made["result"]["res_id"].is_string(), "{made}");
    }
    let third = reply(&server, &key, "/cti/flows/ext/notify_call", &say("18912345678")).await;
    assert_eq!(refused(&third).0, 429, "{third}");
}

async fn what_is_in_no_text_is_refused(home: Home) {
    let server = home.start().await;
    let (key, _trunk) = (key(&server, "app").await, trunk(&server, 1).await);
    let nul = "a\u{0}b";
    for (path, body) in [
        ("/cti/flows/sys/call", json!([[1, 2], nul, to(A)])),
        ("/cti/flows/sys/call", json!([[1, 2], "1", { "to_uri": A, "max_answer_seconds": 9, "user_data": nul }])),
        ("/cti/rpc", json!({ "id": "2", "method": "sys.call.exists", "params": { "res_id": nul } })),
        ("/cti/notify/a%00b", json!([[1, 2], "3", "sys.call.exists", {}])),
    ] {
        let (status, text) = asked(&server, &key, Method::POST, path, &body.to_string()).await;
        assert_eq!(status, 400, "{path} {body}: {text}");
    }
    // What is asked through somebody who is gone is about the one that is named.
    let there = construct(&server, &key, "4", to(A)).await;
    let ask = json!([[1, 2], "5", "sys.call.exists", { "res_id": there }]);
    assert_eq!(reply(&server, &key, "/cti/notify/gone", &ask).await["result"], true);
}

async fn a_recording_goes_on_without_the_call_through_which_it_began(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "app").await, trunk(&server, 3).await);
    let params = json!({ "max_seconds": 3600, "record_file": "all.wav" });
    let made = reply(&server, &key, "/cti/flows/sys/conf", &json!([[1, 2], "k", params])).await;
    let conf = made["result"]["res_id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
    let mut calls = Vec::new();
    for (channel, number) in [A, B, "18912345678"].into_iter().enumerate() {
        let path = if channel == 0 { trunk.clone() } else { format!("{trunk}?channel={channel}") };
        let (call, mid) = connected(&server, &key, &path, number).await;
        done(&server, &key, &call, "sys.call.conf_enter", json!({ "conf_res_id": conf, "max_seconds": 60 })).await;
        let join = commands(&server).await.into_iter().rfind(|command| command["do"] == "join").unwrap();
        became(&server, &join, "joined", Value::Null).await;
        calls.push((path, mid, number));
    }
    let record = commands(&server).await.into_iter().find(|command| command["do"] == "room_record").unwrap();
    became(&server, &record, "playing", Value::Null).await;
    let (path, mid, number) = &calls[0];
    report(&server, path, mid, &format!("&resp={number}"), ended(number, "answered")).await;
    server.pass(2).await;
    let told = events(&server, &key).await;
    assert!(!names(&told).contains(&"sys.conf.on_record_completed"), "it goes on: {told:?}");
    became(&server, &record, "recording", json!("r1")).await;
    let told = events(&server, &key).await;
    let done = only(&told, "sys.conf.on_record_completed");
    assert_eq!((&done["record_file"], done.get("error")), (&json!("all.wav"), None), "{done}");
}

async fn whoever_hangs_up_meanwhile_is_told_of(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "app").await, trunk(&server, 1).await);
    let numbers = [A, B, "18912345678"];
    let cases = [
        (
            "play",
            "play_start",
            json!({ "content": [["12", 1, null]], "repeat": 2 }),
            "stopped",
            Value::Null,
            "hungup when playing",
        ),
        (
            "record",
            "record_start",
            json!({ "max_seconds": 9, "record_file": "a.wav" }),
            "recording",
            json!("r1"),
            "hungup while recording",
        ),
        (
            "receive_dtmf",
            "receive_dtmf_start",
            json!({ "max_keys": 4 }),
            "error",
            json!("hung_up"),
            "hungup while receiving dtmf",
        ),
    ];
    for ((action, method, params, word, value, error), number) in cases.into_iter().zip(numbers) {
        let (call, mid) = connected(&server, &key, &trunk, number).await;
        done(&server, &key, &call, &format!("sys.call.{method}"), params).await;
        let command = commands(&server).await.pop().unwrap();
        became(&server, &command, word, value).await;
        report(&server, &trunk, &mid, &format!("&resp={number}"), ended(number, "answered")).await;
        let told = events(&server, &key).await;
        let done = only(&told, &format!("sys.call.on_{action}_completed"));
        assert_eq!(done["error"], error, "{action}: {done}");
    }
}

async fn a_caller_whose_handset_is_silent_is_over(home: Home) {
    let server = home.start().await;
    let (key, _trunk) = (key(&server, "app").await, trunk(&server, 1).await);
    asked(&server, &key, Method::GET, "/cti/events", "").await;
    let rings = json!({ "id": "in1", "channel": 0, "from": "+4915112345678", "to": "100", "codecs": ["PCMA"] });
    let taken = send(&server, "POST", "/h/trunk/incoming", Some(rings)).await;
    assert_eq!(taken["code"], 0, "{taken}");
    let records = serde_json::from_str::<Value>(&asked(&server, "", Method::GET, "/api/v1/call-records", "").await.1).unwrap();
    assert_eq!(records["items"], json!([]), "it is a program's: {records}");
    let told = events(&server, &key).await;
    let res_id = only(&told, "sys.call.on_incoming")["res_id"].as_str().unwrap().to_owned();
    done(&server, &key, &res_id, "sys.call.answer", json!({ "max_answer_seconds": 14_400 })).await;
    progress(&server, &taken["mid"], "+4915112345678", "connected").await;
    server.pass(50).await;
    assert!(!names(&events(&server, &key).await).contains(&"sys.call.on_released"));
    server.pass(20).await;
    server.pass(1).await;
    let told = events(&server, &key).await;
    assert_eq!(only(&told, "sys.call.on_released")["error"], "no report", "{told:?}");
}

async fn what_somebody_said_goes_with_them(home: Home) {
    let server = home.start().await;
    let (key, trunk) = (key(&server, "app").await, trunk(&server, 1).await);
    let (status, person) = server.post("/api/v1/people", &json!({ "name": "Li Na", "numbers": [A] })).await;
    assert_eq!(status, 201, "{person}");
    let (call, mid) = connected(&server, &key, &trunk, A).await;
    for number in 0..4 {
        let file = format!("said{number}.wav");
        done(&server, &key, &call, "sys.call.record_start", json!({ "max_seconds": 9, "record_file": file })).await;
        let record = commands(&server).await.pop().unwrap();
        let name = format!("r{number}");
        became(&server, &record, "recording", json!(name)).await;
        let put = server.http.put(format!("{}/h/trunk/recording/{name}?mid={}", server.base, mid.as_str().unwrap()));
        let kept = put.header(android_protocol::wire::PROTOCOL_HEADER, "1").body(sound()).send().await.unwrap();
        assert_eq!(kept.status(), 200, "{}", kept.text().await.unwrap());
    }
    let calls = items(&server, &key, "/api/v1/alarms?kind=call").await;
    let shown = asked(&server, &key, Method::GET, &format!("/api/v1/alarms/{}", calls[0]["id"].as_str().unwrap()), "").await.1;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let recording = format!("/api/v1/recordings/{}", shown["dials"][0]["recordings"][0]["id"].as_str().unwrap());
    assert_eq!(asked(&server, &key, Method::GET, &recording, "").await.0, 200);
    assert_eq!(asked(&server, "", Method::GET, &recording, "").await.0, 404, "whose number it is, is for its own key");
    let fifth = operate(&server, &key, &call, "sys.call.record_start", json!({ "max_seconds": 9, "record_file": "e.wav" })).await;
    assert_eq!(refused(&fifth).0, 429, "more are not kept: {fifth}");
    let heard = async || asked(&server, &key, Method::GET, "/cti/files/said0.wav", "").await.0;
    let there = server.http.get(format!("{}/cti/files/said0.wav", server.base)).bearer_auth(&key).send().await.unwrap();
    assert_eq!(there.status(), 200);
    let id = person["id"].as_str().unwrap();
    assert_eq!(server.delete(&format!("/api/v1/people/{id}")).await, 204);
    assert_eq!(heard().await, 404);
}
