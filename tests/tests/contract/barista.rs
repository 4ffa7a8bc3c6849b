//! Barista's API: its document's own request, what it refuses, and a history that tells what the handsets did.

use std::collections::BTreeMap;
use std::process::Command;

use autocall::engine::Doer;
use autocall::keep::people_import;
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::harness::{A, B, C, Home, Kind, Server, on_both};
use crate::native;

on_both!(
    the_document_s_own_request,
    parameters_may_stand_anywhere,
    what_is_refused_leaves_nothing,
    who_may_not_come_in_hears_it_in_barista_s_words,
    the_history_as_barista_answered,
    a_dry_run_rings_nobody,
    everybody_is_rung_until_each_has_answered,
    an_addressee_rests_between_calls_on_any_phone,
    what_cannot_be_dialled_keeps_nobody_waiting,
    without_a_phone_it_is_an_error_of_the_system,
    any_alarm_has_a_history,
    who_confirms_says_yes,
    two_people_with_one_number_keep_their_names,
    who_confirms_is_who_the_sender_named,
    who_is_left_for_another_hunt_keeps_their_number,
    the_history_is_what_the_handsets_did,
);

const SAMPLE: &str = "curl -d 'testflg=0' -d 'hostname=example.com' -d 'operator=ichiro' -d 'calltype=1' -d 'frequency=10' \
    -d 'language=ja-jp' -d 'message=Socket timeout after 10 secondsです。' -d 'headid=2' -d 'footid=1' \
    -d 'addressee=1:tarou:810000000000:木村太郎:120' -d 'addressee=2:baijyaku:810000000000:中村梅雀:120' \
    -d 'addressee=3:kouji:810000000000:加藤浩二:120' http://example.com/api/v1/call";

/// A request to which nothing has to be added.
const FIELDS: [(&str, &str); 9] = [
    ("testflg", "0"),
    ("hostname", "db1"),
    ("operator", "zabbix"),
    ("calltype", "1"),
    ("frequency", "2"),
    ("language", "en"),
    ("message", "Disk full"),
    ("headid", "1"),
    ("footid", "2"),
];

fn http() -> reqwest::Client {
    autocall_tests::http_client().no_proxy().build().unwrap()
}

/// A form with these values instead of the usual ones; without a value, the parameter is left out.
fn form(instead: &[(&str, Option<&str>)], addressees: &[&str]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, usual) in FIELDS {
        let value = instead.iter().find(|(other, _)| *other == name).map_or(Some(usual), |(_, value)| *value);
        if let Some(value) = value {
            form.append_pair(name, value);
        }
    }
    for addressee in addressees {
        form.append_pair("addressee", addressee);
    }
    form.finish()
}

/// Status and body; every answer has Barista's content type.
async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.sent().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json;charset=utf-8");
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn post(server: &Server, form: String) -> (u16, Value) {
    let request = http().post(format!("{}/api/v1/call", server.base));
    answer(request.header("content-type", "application/x-www-form-urlencoded").body(form)).await
}

/// Calls, and gives the id of the event.
async fn call(server: &Server, instead: &[(&str, &str)], addressees: &[&str]) -> String {
    let instead: Vec<_> = instead.iter().map(|(name, value)| (*name, Some(*value))).collect();
    let (status, body) = post(server, form(&instead, addressees)).await;
    assert_eq!((status, body["success"].as_str()), (200, Some("true")), "{body}");
    event_id(&body)
}

fn event_id(body: &Value) -> String {
    let id = body["eventid"].as_str().unwrap().to_owned();
    assert!(!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) && body.as_object().unwrap().len() == 2, "{body}");
    id
}

async fn ask(server: &Server, query: &str) -> (u16, Value) {
    answer(http().get(format!("{}/api/v1/call{query}", server.base))).await
}

/// The history in the documented form, without its array.
async fn history(server: &Server, event: &str) -> Value {
    let (status, body) = ask(server, &format!("?eventid={event}")).await;
    assert_eq!((status, body.as_array().unwrap().len()), (200, 1), "{body}");
    body[0].clone()
}

/// The state of the event, and calls and status of each addressee, in order.
async fn said(server: &Server, event: &str) -> String {
    let history = history(server, event).await;
    let one = |one: &Value| format!(" {}:{}:{}", text(&one["ghid"]), text(&one["numofcall"]), text(&one["status"]));
    text(&history["eventstatus"]) + &history["result"].as_array().unwrap().iter().map(one).collect::<String>()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

async fn the_document_s_own_request(home: Home) {
    let server = home.set("AUTOCALL_HTTP_HOSTS", "example.com").start().await;
    let desk = server.pair("desk", Profile::App).await;
    // The request is sent by curl, to the letter; only the way to example.com is another.
    let folder = tempfile::tempdir().unwrap();
    let way = format!("connect-to = example.com:80:{}\nsilent\nnoproxy = *\n", server.base.trim_start_matches("http://"));
    std::fs::write(folder.path().join(".curlrc"), way).unwrap();
    let home_folder = folder.path().to_owned();
    let sent = tokio::task::spawn_blocking(move || {
        Command::new("bash").args(["-c", SAMPLE]).env("CURL_HOME", &home_folder).env("HOME", &home_folder).output().unwrap()
    });
    let sent = sent.await.unwrap();
    let event = event_id(&serde_json::from_slice(&sent.stdout).unwrap());

    let begin = server.now().timestamp();
    let mut called = Vec::new();
    for after in [0, 100, 200] {
        called.push((begin + after).to_string());
        let (mid, phones) = server.app_dial(&desk).await;
        assert_eq!(phones, ["810000000000"], "the number as it was given");
        if after < 200 {
            server.pass(100).await;
            server.report(&desk, &mid, None).await;
        }
    }
    // The moment that the document shows: all three were rung once, the third is in the call.
    let person = |ghid: &str, order: &str, name: &str, latest: &str| {
        json!({ "ghid": ghid, "order": order, "telno": "810000000000", "name": name, "numofcall": "1", "latestcall": latest,
            "status": "" })
    };
    let mut expected = json!([{
        "success": "true",
        "type": "1",
        "frequency": "10",
        "language": "ja-jp",
        "headid": "2",
        "footid": "1",
        "headmsg": "障害を検知しました。サーバー名は、example.com。",
        "announce": "Socket timeout after 10 secondsです。",
        "footmsg": "対応できる場合は1を、できない場合は2を押してください。",
        "eventstatus": "1",
        "result": [
            person("tarou", "1", "木村太郎", &called[0]),
            person("baijyaku", "2", "中村梅雀", &called[1]),
            person("kouji", "3", "加藤浩二", &called[2]),
        ],
    }]);
    assert_eq!(ask(&server, &format!("?eventid={event}")).await, (200, expected.clone()));
    let mid = text(&server.get_as(&desk, crate::harness::APP).await["mid"]);
    server.report(&desk, &mid, Some("810000000000")).await;
    expected[0]["eventstatus"] = json!("2");
    for (place, status) in ["3", "3", "1"].into_iter().enumerate() {
        expected[0]["result"][place]["status"] = json!(status);
    }
    assert_eq!(ask(&server, &format!("?eventid={event}")).await, (200, expected));
    let alarm = &server.get("/api/v1/alarms").await["alarms"][0];
    assert_eq!((alarm["state"].as_str(), alarm["answer"]["name"].as_str()), (Some("answered"), Some("加藤浩二")));
    server.pass(75).await;
    server.app_idle(&desk).await;
}

async fn parameters_may_stand_anywhere(home: Home) {
    let server = home.start().await;
    let whole = form(&[], &["2:b:18812345678:B:0", "1:a:18712345678:A:0"]);
    let url = format!("{}/api/v1/call", server.base);
    // In the query; partly in the query, where the body wins; as a multipart form, whose files are no parameters.
    let (status, in_query) = answer(http().post(format!("{url}?{whole}"))).await;
    assert_eq!(status, 200, "{in_query}");
    let body = form(&[], &["2:b:18812345678:B:0"]);
    let typed = ("content-type", "application/x-www-form-urlencoded");
    let split = format!("{url}?message=other&addressee=1:a:18712345678:A:0");
    let (_, in_both) = answer(http().post(split).header(typed.0, typed.1).body(body)).await;
    let mut multipart = String::new();
    for (name, value) in form_urlencoded::parse(whole.as_bytes()) {
        multipart += &format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    multipart += "--x\r\nContent-Disposition: form-data; name=\"message\"; filename=\"m.txt\"\r\n\r\nno\r\n--x--\r\n";
    let request = http().post(&url).header("content-type", "multipart/form-data; boundary=x").body(multipart);
    let (_, in_parts) = answer(request).await;
    for body in [in_query, in_both, in_parts] {
        let history = history(&server, &event_id(&body)).await;
        let orders: Vec<_> = history["result"].as_array().unwrap().iter().map(|one| text(&one["order"])).collect();
        assert_eq!((text(&history["announce"]).as_str(), orders), ("Disk full", vec!["1".to_owned(), "2".to_owned()]));
    }
}

async fn what_is_refused_leaves_nothing(home: Home) {
    let server = home.start().await;
    let good = format!("1:a:{A}:A:0");
    let failed = |error: &str| json!({ "success": "false", "error": error });
    for (name, _) in FIELDS {
        for missing in [None, Some("")] {
            assert_eq!(post(&server, form(&[(name, missing)], &[&good])).await, (400, failed("1")), "{name}");
        }
        assert_eq!(post(&server, form(&[(name, Some(" "))], &[&good])).await, (200, failed("1")), "{name}");
    }
    assert_eq!(post(&server, form(&[], &[])).await, (400, failed("1")));
    assert_eq!(post(&server, form(&[], &[&good, "2:b:18812345678:B"])).await, (200, failed("1")), "one wrong, none is rung");
    let many: Vec<&str> = std::iter::repeat_n(good.as_str(), 1001).collect();
    assert_eq!(post(&server, form(&[], &many)).await, (200, failed("1")));
    let url = format!("{}/api/v1/call", server.base);
    assert_eq!(answer(http().post(&url).json(&json!({ "testflg": "0" }))).await, (400, failed("1")), "a JSON body holds nothing");
    let broken = http().post(&url).header("content-type", "multipart/form-data; boundary=x").body("--x\r\nbroken");
    assert_eq!(answer(broken).await, (400, failed("1")));
    assert_eq!(post(&server, "a".repeat(300_000)).await, (400, failed("1")), "too large");
    for (query, status) in [
        ("", 400),
        ("?eventid=", 400),
        ("?eventid=%20", 200),
        ("?eventid=x", 200),
        ("?eventid=%27+or+%271%27=%271", 200),
        ("?eventid=1", 404),
        ("?eventid=99999999999999999999999999", 404),
    ] {
        assert_eq!(ask(&server, query).await, (status, failed("1")), "{query}");
    }
    assert_eq!(server.get("/api/v1/alarms").await["alarms"], json!([]));
}

async fn who_may_not_come_in_hears_it_in_barista_s_words(home: Home) {
    let server = home.set("AUTOCALL_HTTP_OPEN_NETWORKS", "10.255.0.0/16").start().await;
    let region = server.home.config().default_region;
    let store = &server.app.engine.store;
    let key = store
        .carry_out(server.now(), Doer::Server, async |work| autocall::keep::keys::add(work, "barista", &[], region).await)
        .await
        .unwrap();
    let failed = json!({ "success": "false", "error": "99" });
    let url = format!("{}/api/v1/call", server.base);
    assert_eq!(answer(http().post(&url)).await, (401, failed.clone()));
    let refused = http().get(format!("{url}?eventid=1")).sent().await.unwrap();
    assert!(refused.headers().contains_key("www-authenticate"));
    assert_eq!(answer(http().post(format!("{}/k/ak_wrong/api/v1/call", server.base))).await, (401, failed.clone()));
    assert_eq!(answer(http().get(&url).header("x-forwarded-for", "127.0.0.1")).await, (403, failed.clone()));
    let keyed = format!("{}/k/{key}/api/v1/call", server.base);
    assert_eq!(answer(http().delete(&keyed)).await, (405, failed));
    let query = form(&[], &["1:a:18712345678:A:0"]);
    let (status, body) = answer(http().post(format!("{keyed}?{query}"))).await;
    assert_eq!(status, 200, "{body}");
    let (status, history) = answer(http().get(format!("{keyed}?eventid={}", event_id(&body)))).await;
    assert_eq!((status, history[0]["eventstatus"].as_str()), (200, Some("0")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_stored_is_an_error_of_the_system() {
    let home = Home::new(Kind::Embedded).await.set("AUTOCALL_HTTP_REQUEST_TIMEOUT_SECONDS", "1");
    let server = home.start().await;
    // Nobody else can write while this is open.
    let writer = server.app.engine.store.begin().await.unwrap();
    let refused = post(&server, form(&[], &["1:a:18712345678:A:0"])).await;
    assert_eq!(refused, (503, json!({ "success": "false", "error": "2" })));
    drop(writer);
    assert_eq!(server.get("/api/v1/alarms").await["alarms"], json!([]));
}

async fn the_history_as_barista_answered(home: Home) {
    let server =
        home.set("AUTOCALL_BARISTA_HISTORY", "original").set("AUTOCALL_BARISTA_FOOT_TWO", "{hostname}: now!").start().await;
    let desk = server.pair("desk", Profile::App).await;
    let event = call(&server, &[("message", "it's \"down\" \\ again")], &["1:a:18712345678:A:0", "2:b:018812345678:B:0"]).await;
    let (_, before) = ask(&server, &format!("?eventid={event}")).await;
    assert_eq!((text(&before["announce"]).as_str(), text(&before["footmsg"]).as_str()), ("it's \"down\" \\ again", "db1: now!"));
    let b = json!({ "ghid": "b", "order": "2", "telno": "018812345678", "name": "B", "numofcall": "0", "latestcall": "0", "status": "3" });
    assert_eq!((text(&before["eventstatus"]).as_str(), &before["result"][1]), ("0", &b));
    let (mid, _) = server.app_dial(&desk).await;
    let (_, during) = ask(&server, &format!("?eventid={event}")).await;
    assert_eq!(during["result"][0]["latestcall"], server.now().timestamp_millis().to_string());
    assert_eq!((during["eventstatus"].as_str(), during["result"][0]["status"].as_str()), (Some("1"), Some("3")));
    server.report(&desk, &mid, Some(A)).await;
    let (_, after) = ask(&server, &format!("?eventid={event}")).await;
    assert_eq!((after["eventstatus"].as_str(), after["result"][0]["status"].as_str()), (Some("2"), Some("1")));
    assert_eq!(after["result"][1], b);
}

async fn a_dry_run_rings_nobody(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let event = call(&server, &[("testflg", "1")], &["1:a:18712345678:A:100", "2:b:18812345678:B:0"]).await;
    // The server may have begun by itself before anybody asks, as it does every second.
    let mut seen = Vec::new();
    let begin = server.now().timestamp();
    for _ in 0..8 {
        server.pass(0).await;
        server.app_idle(&desk).await;
        seen.push(said(&server, &event).await);
        server.pass(30).await;
    }
    seen.dedup();
    // A number rings for 30 s; A may not be rung again before 100 s have passed.
    assert_eq!(seen, ["1 a:1: b:0:", "1 a:1: b:1:", "1 a:1: b:2:", "1 a:1: b:2:3", "1 a:2: b:2:3", "2 a:2:3 b:2:3"]);
    assert_eq!(history(&server, &event).await["result"][1]["latestcall"], (begin + 60).to_string());
}

async fn everybody_is_rung_until_each_has_answered(home: Home) {
    let server = home.start().await;
    let (one, two) = (server.pair("one", Profile::Native).await, server.pair("two", Profile::Native).await);
    let people = ["1:a:18712345678:A:0", "2:b:18812345678:B:0", "3:c:18912345678:C:0"];
    let event = call(&server, &[("calltype", "2")], &people).await;
    let (first, second) = (native::poll(&server, &one).await, native::poll(&server, &two).await);
    let spoken = "緊急のお知らせです。db1に異常があります。 Disk full 至急、状況を確認してください。";
    assert_eq!((&first["alarm"]["text"], &first["alarm"]["language"]), (&json!(spoken), &json!("en")));
    assert_eq!((&first["phone"], &second["phone"]), (&json!([A]), &json!([B])), "at once");
    native::report(&server, &one, &first["mid"], &format!("&resp={A}"), json!([{ "number": A, "outcome": "answered" }])).await;
    let declined = json!([{ "number": B, "outcome": "answered", "declined": true }]);
    native::report(&server, &two, &second["mid"], &format!("&resp={B}"), declined).await;
    assert_eq!(said(&server, &event).await, "1 a:1:1 b:1:2 c:0:");
    for (calls, status) in [("1", ""), ("2", "3")] {
        let third = native::poll(&server, &two).await;
        assert_eq!(third["phone"], json!([C]));
        native::report(&server, &two, &third["mid"], "", json!([{ "number": C, "outcome": "busy" }])).await;
        let event_status = if calls == "2" { "2" } else { "1" };
        assert_eq!(said(&server, &event).await, format!("{event_status} a:1:1 b:1:2 c:{calls}:{status}"));
    }
}

async fn an_addressee_rests_between_calls_on_any_phone(home: Home) {
    let server = home.start().await;
    // Without a pairing, and with a list for anything else.
    let plain = "/alert/phone";
    let event = call(&server, &[("frequency", "3")], &["1:a:18712345678:A:120", "2:b:18812345678:B:0"]).await;
    for (number, said_then) in [(A, "1 a:1: b:0:"), (B, "1 a:1: b:1:"), (B, "1 a:1: b:2:"), (B, "1 a:1: b:3:")] {
        let (mid, phones) = server.dial(plain).await;
        assert_eq!(phones, [number], "one call at a time, so that its history can be told");
        assert_eq!(said(&server, &event).await, said_then);
        server.pass(10).await;
        server.report(plain, &mid, None).await;
    }
    assert_eq!(said(&server, &event).await, "1 a:1: b:3:3");
    server.pass(79).await;
    server.idle(plain).await;
    server.pass(1).await;
    assert_eq!(server.dial(plain).await.1, [A]);
}

async fn what_cannot_be_dialled_keeps_nobody_waiting(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let people = ["1:police:110:P:0", "2:hook:*21%23:H:0", "3:a:18712345678:A:0"];
    let event = call(&server, &[("frequency", "1")], &people).await;
    assert_eq!(said(&server, &event).await, "0 police:0:3 hook:0:3 a:0:");
    assert_eq!(history(&server, &event).await["result"][0]["telno"], "110");
    let alarm = server.get("/api/v1/alarms").await["alarms"][0].clone();
    assert!(text(&alarm["details"]).contains("emergency number"), "{alarm}");
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A]);
    server.report(&desk, &mid, None).await;
    assert_eq!(said(&server, &event).await, "2 police:0:3 hook:0:3 a:1:3");
    // Where nobody is left, it is over before a phone asks, and whoever is told of such things is told.
    for (frequency, people) in [("1", "1:police:110:P:0"), ("0", "1:a:18712345678:A:0"), ("-3", "1:a:18712345678:A:0")] {
        let event = call(&server, &[("frequency", frequency)], &[people]).await;
        let history = history(&server, &event).await;
        assert_eq!((history["eventstatus"].as_str(), history["frequency"].as_str()), (Some("2"), Some(frequency)));
        let alarm = &server.get("/api/v1/alarms").await["alarms"][0];
        assert_eq!((alarm["state"].as_str(), alarm["reason"].as_str()), (Some("no_answer"), Some("attempts_used")));
    }
    server.idle(&desk).await;
}

async fn without_a_phone_it_is_an_error_of_the_system(home: Home) {
    let server = home.start().await;
    let event = call(&server, &[], &["1:a:18712345678:A:0"]).await;
    server.pass(3599).await;
    assert_eq!(said(&server, &event).await, "0 a:0:");
    server.pass(1).await;
    assert_eq!(said(&server, &event).await, "99 a:0:3");
}

async fn any_alarm_has_a_history(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A, B], json!({ "mode": "parallel", "attempts": 3 })).await;
    let number = text(&server.alarm(&id).await["number"]);
    server.app_dial(&desk).await;
    let called = server.now().timestamp().to_string();
    let expected = json!({
        "success": "true", "type": "2", "frequency": "3", "language": "en", "headid": "0", "footid": "0", "headmsg": "",
        "announce": "disk full", "footmsg": "", "eventstatus": "1",
        "result": [
            { "ghid": "", "order": "1", "telno": "+8618712345678", "name": "", "numofcall": "1", "latestcall": called, "status": "" },
            { "ghid": "", "order": "2", "telno": "+8618812345678", "name": "", "numofcall": "0", "latestcall": "0", "status": "" },
        ],
    });
    assert_eq!(history(&server, &number).await, expected);
    server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
    let history = history(&server, &number).await;
    assert_eq!((history["eventstatus"].as_str(), history["result"][1]["status"].as_str()), (Some("2"), Some("3")));
}

async fn who_confirms_says_yes(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let event = call(&server, &[], &["1:a:18712345678:A:0", "2:b:18812345678:B:0"]).await;
    server.app_dial(&desk).await;
    let id = text(&server.get("/api/v1/alarms").await["alarms"][0]["id"]);
    server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &json!({ "number": B })).await;
    assert_eq!(said(&server, &event).await, "2 a:1:3 b:0:1");
}

async fn two_people_with_one_number_keep_their_names(home: Home) {
    let server = home.start().await;
    let roster = people_import::read_csv("name,numbers\nTarou,18712345678\n", server.home.config().default_region).unwrap();
    server
        .app
        .engine
        .store
        .carry_out(server.home.clock.now(), Doer::Server, async |work| people_import::import(work, &roster).await)
        .await
        .unwrap();
    let desk = server.pair("desk", Profile::Native).await;
    let event = call(&server, &[], &["1:t:18712345678:Tarou:0", "2:k:18712345678:Kouji:0"]).await;
    let first = native::poll(&server, &desk).await;
    native::report(&server, &desk, &first["mid"], "", json!([{ "number": A, "outcome": "busy" }])).await;
    let second = native::poll(&server, &desk).await;
    native::report(&server, &desk, &second["mid"], &format!("&resp={A}"), json!([])).await;
    assert_eq!(said(&server, &event).await, "2 t:1:3 k:1:1");
    let alarm = &server.get("/api/v1/alarms").await["alarms"][0];
    assert_eq!((alarm["answer"]["name"].as_str(), alarm["answer"]["person_id"].as_str()), (Some("Kouji"), None));
    let id = text(&alarm["id"]);
    let callees = &server.alarm(&id).await["callees"];
    assert!(callees[0]["person_id"].is_string(), "{callees}");
}

/// The roster knows the number under another name.
async fn who_confirms_is_who_the_sender_named(home: Home) {
    let server = home.start().await;
    let roster = people_import::read_csv("name,numbers\nHanako,18712345678\n", server.home.config().default_region).unwrap();
    server
        .app
        .engine
        .store
        .carry_out(server.home.clock.now(), Doer::Server, async |work| people_import::import(work, &roster).await)
        .await
        .unwrap();
    call(&server, &[], &["1:t:18712345678:Tarou:0"]).await;
    let id = text(&server.get("/api/v1/alarms").await["alarms"][0]["id"]);
    server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &json!({ "number": A })).await;
    let answer = &server.alarm(&id).await["answer"];
    assert_eq!((answer["name"].as_str(), answer["person_id"].as_str()), (Some("Tarou"), None));
}

async fn who_is_left_for_another_hunt_keeps_their_number(home: Home) {
    let server = home.start().await;
    let event = call(&server, &[], &["1:a:18712345678:A:0", "2:b:188-1234-5678:B:0"]).await;
    let id = text(&server.get("/api/v1/alarms").await["alarms"][0]["id"]);
    let first = text(&server.alarm(&id).await["callees"][0]["id"]);
    server.post(&format!("/api/v1/alarms/{id}/callees/{first}/decline"), &json!({})).await;
    let taken = json!({ "number": B, "ring_again_after_seconds": 600 });
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &taken).await.0, 200);
    server.pass(601).await;
    let result = history(&server, &event).await["result"].clone();
    assert_eq!(result.as_array().unwrap().len(), 1, "{result}");
    assert_eq!(
        (text(&result[0]["ghid"]), text(&result[0]["telno"]), text(&result[0]["order"])),
        ("b".into(), "188-1234-5678".into(), "2".into())
    );
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answers,
    Declines,
    RingsOut,
    /// It never leaves the phone.
    Fails,
    /// The phone is not heard of again in time.
    Silence,
}

#[derive(Clone, Debug)]
struct Plan {
    parallel: bool,
    frequency: i32,
    /// Order, number, interval.
    people: Vec<(i32, &'static str, i64)>,
    /// Taken in turn by the calls.
    fates: Vec<Fate>,
}

fn plans() -> impl Strategy<Value = Plan> {
    let number = prop_oneof![4 => Just(A), 2 => Just(B), 2 => Just("810000000000"), 1 => Just("110")];
    let person = (-2..4, number, prop_oneof![Just(0_i64), Just(30), Just(200)]);
    let fate = prop_oneof![
        2 => Just(Fate::Answers),
        2 => Just(Fate::Declines),
        6 => Just(Fate::RingsOut),
        2 => Just(Fate::Fails),
        1 => Just(Fate::Silence),
    ];
    let lists = (prop::collection::vec(person, 1..5), prop::collection::vec(fate, 1..8));
    (any::<bool>(), 0..4, lists).prop_map(|(parallel, frequency, (people, fates))| Plan { parallel, frequency, people, fates })
}

async fn the_history_is_what_the_handsets_did(home: Home) {
    let server = home.start().await;
    let desks = [server.pair("one", Profile::Native).await, server.pair("two", Profile::Native).await];
    let mut runner = TestRunner::new(ProptestConfig { cases: 16, max_shrink_iters: 30, ..ProptestConfig::default() });
    let judged = runner.run(&plans(), |plan| block_in_place(|| Handle::current().block_on(go_through(&server, &desks, &plan))));
    judged.unwrap();
}

/// A call as the test, playing the handset, made it.
#[derive(Clone, Debug)]
struct Made {
    desk: usize,
    who: usize,
    at: i64,
    mid: Value,
    fate: Fate,
    over: bool,
}

async fn go_through(server: &Server, desks: &[String; 2], plan: &Plan) -> Result<(), TestCaseError> {
    let people: Vec<String> =
        plan.people.iter().enumerate().map(|(i, (order, number, sleep))| format!("{order}:u{i}:{number}:n{i}:{sleep}")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let fields = [("calltype", if plan.parallel { "2" } else { "1" }), ("frequency", &plan.frequency.to_string())];
    let event = call(server, &fields, &people).await;
    let mut made: Vec<Made> = Vec::new();
    for _ in 0..400 {
        for (desk, path) in desks.iter().enumerate() {
            if made.iter().any(|call| call.desk == desk && !call.over) {
                continue;
            }
            let offer = native::poll(server, path).await;
            if offer["code"] != 0 {
                continue;
            }
            prop_assert_eq!(offer["phone"].as_array().unwrap().len(), 1);
            prop_assert_ne!(&offer["phone"][0], "110");
            let who: usize = text(&offer["calls"][0]["name"])[1..].parse().unwrap();
            let others = made.iter().filter(|call| !call.over).count();
            prop_assert!(plan.parallel || others == 0, "somebody is rung while another is in a call");
            let fate = plan.fates[made.len() % plan.fates.len()];
            let now = server.now().timestamp();
            let rested = |call: &Made| call.who != who || call.fate == Fate::Fails || call.at + plan.people[who].2 <= now;
            prop_assert!(made.iter().all(rested), "somebody is rung too soon: {who} at {now}: {made:#?}");
            made.push(Made { desk, who, at: now, mid: offer["mid"].clone(), fate, over: false });
        }
        let expected = expected(plan, &made);
        prop_assert_eq!(said_of(server, &event).await, expected.clone(), "{:#?}", made);
        if expected.0 != "0" && expected.0 != "1" {
            // Rests and intervals end before the next event.
            server.pass(7200).await;
            return Ok(());
        }
        server.pass(25).await;
        for call in made.iter_mut().filter(|call| !call.over) {
            let elapsed = server.now().timestamp() - call.at;
            if call.fate == Fate::Silence {
                call.over = elapsed >= 180;
            } else if elapsed >= 50 {
                call.over = true;
                let number = plan.people[call.who].1;
                let (outcome, declined) = match call.fate {
                    Fate::Answers => ("answered", false),
                    Fate::Declines => ("answered", true),
                    Fate::Fails => ("failed", false),
                    Fate::RingsOut | Fate::Silence => ("no_answer", false),
                };
                let calls = json!([{ "number": number, "outcome": outcome, "declined": declined }]);
                native::report(server, &desks[call.desk], &call.mid, "", calls).await;
            }
        }
    }
    Err(TestCaseError::fail(format!("it does not end: {made:#?}")))
}

type Said = (String, BTreeMap<String, (String, String, String)>);

/// The state of the event; calls, latest call and status of each addressee.
async fn said_of(server: &Server, event: &str) -> Said {
    let history = history(server, event).await;
    let people = history["result"].as_array().unwrap().iter();
    let people =
        people.map(|one| (text(&one["ghid"]), (text(&one["numofcall"]), text(&one["latestcall"]), text(&one["status"]))));
    (text(&history["eventstatus"]), people.collect())
}

/// What must be said, by what was done.
fn expected(plan: &Plan, made: &[Made]) -> Said {
    let calls_of = |who: usize| made.iter().filter(move |call| call.who == who && !(call.over && call.fate == Fate::Fails));
    let ended_with = |who: usize, fate: Fate| made.iter().any(|call| call.who == who && call.over && call.fate == fate);
    let most = |who: usize| if plan.people[who].1 == "110" { 0 } else { plan.frequency };
    let open = made.iter().any(|call| !call.over);
    let answered = made.iter().any(|call| call.over && call.fate == Fate::Answers);
    let wanted = |who: usize| {
        let used = i32::try_from(calls_of(who).count()).unwrap();
        !ended_with(who, Fate::Answers) && !ended_with(who, Fate::Declines) && used < most(who)
    };
    let everybody = 0..plan.people.len();
    let limit = everybody.clone().map(|who| 2 * most(who)).sum::<i32>();
    let in_vain = i32::try_from(made.len()).unwrap() >= limit;
    let still_wanted = everybody.clone().any(wanted);
    let state = if (answered && !plan.parallel) || (!open && !still_wanted) || (!open && in_vain && answered) {
        "2"
    } else if !open && in_vain {
        "99"
    } else if made.is_empty() {
        "0"
    } else {
        "1"
    };
    let person = |who: usize| {
        let count = calls_of(who).count();
        let rings = calls_of(who).any(|call| !call.over);
        let status = if ended_with(who, Fate::Answers) {
            "1"
        } else if ended_with(who, Fate::Declines) {
            "2"
        } else if !matches!(state, "0" | "1") || (!rings && i32::try_from(count).unwrap() >= most(who)) {
            "3"
        } else {
            ""
        };
        let latest = calls_of(who).map(|call| call.at).max().unwrap_or(0);
        (format!("u{who}"), (count.to_string(), latest.to_string(), status.to_owned()))
    };
    (state.to_owned(), everybody.map(person).collect())
}
