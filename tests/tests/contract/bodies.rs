//! Bodies as they come, of those who are not monitoring systems: phones that pass text messages on, and operators. They are read as an
//! alarm is: what can be put right is, what is null is absent, and a refusal speaks to people and tells of everything.

use autocall::store::watch::handsets::Profile;
use serde_json::{Value, json};

use crate::gateway::{Gateway, add_smsgate, near};
use crate::harness::{A, B, Home, Server, on_both};
use crate::intake::{firing, gzipped, raw};
use crate::roster::{people, send};

on_both!(
    a_text_message_is_taken_whatever_it_is_wrapped_in,
    a_text_message_that_cannot_be_read_is_refused_by_its_kind,
    what_a_text_message_lacks_is_told_at_once,
    null_is_absent_in_everything_that_operators_send,
    no_refusal_speaks_as_the_parser_does,
    a_body_is_read_in_the_encoding_that_it_names,
    a_second_text_is_told_apart_by_its_id_however_that_is_called,
    a_name_that_nobody_can_see_is_no_name,
);

async fn ringing(home: Home) -> (Server, String, String) {
    let server = near(home).start().await;
    let (_, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    server.app_dial(&desk).await;
    (server, inbound, id)
}

async fn latest(server: &Server) -> (String, String) {
    let inbox = server.get("/api/v1/sms/inbox").await;
    let text = |field: &str| inbox["items"][0][field].as_str().unwrap_or_default().to_owned();
    (text("sender"), text("text"))
}

async fn a_text_message_is_taken_whatever_it_is_wrapped_in(home: Home) {
    let (server, inbound, id) = ringing(home).await;
    let sender = format!("+86{A}");
    let generic = |text: &str, number: usize| format!(r#"{{"from":"{A}","text":"{text}","id":"{number}"}}"#).into_bytes();
    let smsgate = |text: &str| {
        format!(
            r#"{{"event":"sms:received","id":"e","payload":{{"messageId":"m","message":"{text}","sender":"{A}","recipient":null,
                "simNumber":null,"receivedAt":null}}}}"#
        )
        .into_bytes()
    };
    let httpsms = |text: &str| {
        format!(
            r#"{{"type":"message.phone.received","data":{{"message_id":"m","contact":{A},"content":"{text}","timestamp":null}}}}"#
        )
        .into_bytes()
    };
    let textbee = |text: &str| {
        format!(r#"{{"webhookEvent":"MESSAGE_RECEIVED","smsId":null,"sender":"{A}","message":"{text}","receivedAt":null}}"#)
            .into_bytes()
    };
    let mark = b"\xef\xbb\xbf".as_slice();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a byte order mark", [mark, &generic("what 1", 1)].concat(), "what 1"),
        ("a form behind a mark", [mark, format!("from={A}&text=what+2&id=2").as_bytes()].concat(), "what 2"),
        ("colours", generic("\x1b[1mwhat\x1b[0m \x073", 3), "what 3"),
        ("colours in a form", format!("from={A}&text=%1b%5b1mwhat%1b%5b0m+4%00&id=4").into_bytes(), "what 4"),
        ("a lone surrogate", generic("what \\ud83d 5", 5), "what \u{fffd} 5"),
        ("a pair", generic("what \\ud83d\\udd25 6", 6), "what 🔥 6"),
        ("a raw line break", generic("what\n7", 7), "what\n7"),
        (
            "no UTF-8",
            [b"{\"from\":\"".as_slice(), A.as_bytes(), b"\",\"id\":8,\"text\":\"what f\xfcr 8\"}"].concat(),
            "what f\u{fffd}r 8",
        ),
        ("SMSGate", [mark, &smsgate("what\x07 9")].concat(), "what 9"),
        ("httpSMS", [mark, &httpsms("what\x07 10")].concat(), "what 10"),
        ("textbee", [mark, &textbee("what\x07 11")].concat(), "what 11"),
    ];
    for (what, body, text) in cases {
        let (status, answer) = raw(&server, &inbound, &[], body).await;
        assert_eq!((status, answer["effect"].as_str()), (200, Some("none")), "{what}: {answer}");
        assert_eq!(latest(&server).await, (sender.clone(), text.to_owned()), "{what}");
        // Each a second later: the inbox is in their order.
        server.pass(1).await;
    }
    for (number, way) in ["gzip", "x-gzip", "deflate"].into_iter().enumerate() {
        let body = generic(&format!("what {way}"), 100 + number);
        let packed = if way == "deflate" { deflated(&body).await } else { gzipped(&body).await };
        let (status, answer) = raw(&server, &inbound, &[("content-encoding", way)], packed).await;
        assert_eq!(status, 200, "{way}: {answer}");
        assert_eq!(latest(&server).await.1, format!("what {way}"));
        server.pass(1).await;
    }
    let (status, answer) = raw(&server, &format!("{inbound}/"), &[], generic("1", 200)).await;
    assert_eq!((status, answer["effect"].as_str()), (200, Some("confirmed")), "a slash at the end: {answer}");
    assert_eq!(server.state(&id).await, "answered");
}

/// The same in zlib's form, which HTTP calls deflate, made by Python.
pub async fn deflated(body: &[u8]) -> Vec<u8> {
    use std::process::Stdio;
    use tokio::io::AsyncWriteExt;
    let program = "import sys,zlib; sys.stdout.buffer.write(zlib.compress(sys.stdin.buffer.read()))";
    let mut python = tokio::process::Command::new("python3")
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(body).await.unwrap();
    python.wait_with_output().await.unwrap().stdout
}

async fn a_text_message_that_cannot_be_read_is_refused_by_its_kind(home: Home) {
    let (server, inbound, _) = ringing(home).await;
    let json = format!(r#"{{"from":"{A}","text":"1","id":"1"}}"#);
    let form = format!("from={A}&text=1&id=1");
    let wide = |text: &str, mark: &[u8]| [mark.to_vec(), text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat();
    let utf8 = json.clone().into_bytes();
    for (what, headers, body) in [
        ("utf-16", &[][..], wide(&json, b"\xff\xfe")),
        ("utf-16 without a mark", &[][..], wide(&json, b"")),
        ("a form in utf-16", &[][..], wide(&form, b"\xff\xfe")),
        ("said to be utf-16", &[("content-type", "application/json; charset=utf-16")][..], utf8.clone()),
        ("brotli", &[("content-encoding", "br")][..], utf8.clone()),
        ("unheard of", &[("content-encoding", "rot13")][..], utf8),
    ] {
        let (status, problem) = raw(&server, &inbound, headers, body).await;
        assert_eq!((status, problem["code"].as_str()), (415, Some("unsupported_encoding")), "{what}: {problem}");
        let advice = if headers.iter().any(|(name, _)| *name == "content-encoding") { "gzip" } else { "UTF-8" };
        assert!(problem["detail"].as_str().unwrap().contains(advice), "{what}: {problem}");
    }
    for body in [&json[..json.len() - 2], "{\"from\":}", "[1]", "{} x"] {
        let (status, problem) = raw(&server, &inbound, &[], body.as_bytes().to_vec()).await;
        assert_eq!((status, problem["code"].as_str()), (400, Some("malformed_json")), "{body}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        for word in ["column", "EOF", "expected"] {
            assert!(!detail.contains(word), "{body}: the parser speaks: {detail}");
        }
    }
    assert_eq!(server.items("/api/v1/sms/inbox").await, json!([]), "nothing of it was kept");
}

fn pointers(problem: &Value) -> Vec<&str> {
    let mut all: Vec<&str> =
        problem["errors"].as_array().into_iter().flatten().map(|one| one["pointer"].as_str().unwrap()).collect();
    all.sort_unstable();
    all
}

async fn what_a_text_message_lacks_is_told_at_once(home: Home) {
    let (server, inbound, _) = ringing(home).await;
    for body in ["{}", "{\"from\":null,\"text\":null}", "a=b", "{\"sim\":1}"] {
        let (status, problem) = raw(&server, &inbound, &[], body.as_bytes().to_vec()).await;
        assert_eq!((status, pointers(&problem)), (422, vec!["/from", "/text"]), "{body}: {problem}");
    }
    let (status, problem) = server.post(&inbound, &json!({ "from": A })).await;
    assert_eq!((status, pointers(&problem)), (422, vec!["/text"]), "{problem}");
}

/// A body with null for everything that may be left out, and what it must do.
async fn null_is_absent_in_everything_that_operators_send(home: Home) {
    let server = home.start().await;
    people(&server).await;
    let id = server.raise(&[A], json!({})).await;
    let alarm = |action: &str| format!("/api/v1/alarms/{id}/{action}");
    let step = json!({ "ring": [{ "number": A, "person": null, "team": null }], "mode": null, "attempts": null,
        "min_interval_seconds": null, "wait_seconds": null });
    let layer = json!({ "name": "weekly", "people": ["Ann"], "every": "1 week", "start": "2026-11-16T09:00", "end": null,
        "active": null, "skip_idle_turns": null, "from": null, "shifts": null });
    let http = json!({ "kind": "http", "method": "POST", "url": "https://sms.example.org/", "headers": null, "body": "{text}",
        "secret": null });
    let smsgate = json!({ "kind": "smsgate", "url": "https://sms.example.org/", "user": "u", "password": "p", "sim": null,
        "device": null, "token": null });
    let line = json!({ "name": "ops", "team": null, "number": "13300001111", "sms_number": null, "carrier": "china-telecom",
        "android": 11, "app_build": null, "text": null, "gateway": "phone", "handset": null, "verify_handset": null });
    let person = json!({ "person": { "name": "Ann", "number": A } });
    let times = ("2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z");
    let requests: Vec<(&str, String, Value, u16)> = vec![
        (
            "PUT",
            "/api/v1/policies/ops".to_owned(),
            json!({ "steps": [step], "rounds": null, "confirm_within_seconds": null }),
            200,
        ),
        (
            "PUT",
            "/api/v1/policy-rules".to_owned(),
            json!({ "rules": [{ "policy": "ops", "sender": null, "labels": { "team": "db", "rack": null } }] }),
            200,
        ),
        (
            "PUT",
            "/api/v1/quiet-hours".to_owned(),
            json!({ "quiet_hours": [{ "person": null, "from": "22:00", "to": "07:00", "zone": "Asia/Shanghai", "up_to": "normal" }] }),
            200,
        ),
        (
            "POST",
            "/api/v1/heartbeats".to_owned(),
            json!({ "name": "backup", "period_seconds": 60, "grace_seconds": null, "phones": [A], "labels": { "a": null },
                "priority": null }),
            201,
        ),
        (
            "POST",
            "/api/v1/maintenance".to_owned(),
            json!({ "reason": "disks", "starts_at": null, "ends_at": "2026-11-21T00:00:00Z", "team": "db", "labels": null }),
            201,
        ),
        (
            "POST",
            "/api/v1/sms/gateways".to_owned(),
            json!({ "name": "phone", "settings": http, "zone": null, "signing_secret": null }),
            201,
        ),
        ("POST", "/api/v1/sms/gateways".to_owned(), json!({ "name": "gate", "settings": smsgate }), 201),
        ("POST", "/api/v1/lines".to_owned(), line.clone(), 201),
        ("PUT", "/api/v1/lines/ops".to_owned(), line, 200),
        ("PUT", "/api/v1/lines/ops/bound".to_owned(), person, 200),
        ("PUT", "/api/v1/lines/ops/bound".to_owned(), json!({ "person": null }), 200),
        ("POST", "/api/v1/lines/ops/preview".to_owned(), json!({ "number": A, "person": null }), 200),
        ("POST", "/api/v1/do-not-call".to_owned(), json!({ "number": "13900001111", "reason": null }), 200),
        ("POST", "/api/v1/teams".to_owned(), json!({ "name": "db", "members": null, "version": null }), 201),
        (
            "POST",
            "/api/v1/schedules".to_owned(),
            json!({ "name": "night", "zone": "Asia/Shanghai", "team": null, "gaps_allowed": null, "layers": [layer], "version": null }),
            201,
        ),
        (
            "POST",
            "/api/v1/schedules/night/overrides".to_owned(),
            json!({ "action": "add", "person": "Bob", "instead_of": null, "from": times.0, "to": times.1, "note": null }),
            201,
        ),
        (
            "POST",
            "/api/v1/schedules/night/temporaries".to_owned(),
            json!({ "name": "fair", "from": times.0, "to": times.1, "people": ["Bob"], "every": null, "start": null, "active": null }),
            201,
        ),
        (
            "POST",
            "/api/v1/vacations".to_owned(),
            json!({ "person": "Ann", "from": times.0, "to": times.1, "zone": null, "note": null }),
            201,
        ),
        ("POST", "/api/v1/calendar-feeds".to_owned(), json!({ "schedule": "night", "person": null }), 201),
        ("POST", alarm("notes"), json!({ "text": "looked at it", "by": null }), 201),
        ("POST", alarm("policy"), json!({ "policy": "ops", "by": null }), 200),
        ("POST", alarm("snooze"), json!({ "until": null, "for_seconds": 600, "by": null }), 200),
        (
            "POST",
            alarm("acknowledge"),
            json!({ "name": "Ann", "number": null, "note": null, "ring_again_after_seconds": null }),
            200,
        ),
        ("POST", alarm("cancel"), json!({ "by": null }), 200),
    ];
    let mut refused = Vec::new();
    for (method, path, body, expected) in requests {
        let (status, answer) = match method {
            "PUT" => server.put(&path, &body).await,
            _ => send(&server, method, &path, Some(body)).await,
        };
        if status / 100 != 2 {
            refused.push(format!("{method} {path}: {status} instead of {expected}: {answer}"));
        }
    }
    assert_eq!(refused, [""; 0], "all of them are taken");
    let policy = server.get("/api/v1/policies/ops").await;
    assert_eq!((policy["rounds"].as_i64(), policy["steps"][0]["attempts"].as_i64()), (Some(1), None), "{policy}");
    let rules = server.get("/api/v1/policy-rules").await;
    assert_eq!(rules["rules"][0]["labels"], json!({ "team": "db" }), "{rules}");
    assert_eq!(server.items("/api/v1/heartbeats").await[0]["labels"], json!({}));
    assert_eq!(server.get("/api/v1/lines/ops").await["bound_name"], Value::Null);

    // What must be there is missing when it is null, and stands in the place where it is missing.
    let (status, problem) = server.put("/api/v1/policies/ops", &json!({ "steps": null })).await;
    assert_eq!((status, problem["field"].as_str()), (422, Some("steps")), "{problem}");
    let (status, problem) =
        server.post("/api/v1/sms/gateways", &json!({ "name": "x", "settings": { "kind": "textbee", "url": null } })).await;
    assert_eq!((status, problem["field"].as_str()), (422, Some("settings.url")), "{problem}");
}

/// Every operator's body with something wrong in it, in the words of people.
async fn no_refusal_speaks_as_the_parser_does(home: Home) {
    let server = home.start().await;
    people(&server).await;
    let id = server.raise(&[A, B], json!({})).await;
    let snooze = format!("/api/v1/alarms/{id}/snooze");
    let requests: Vec<(&str, &str, Value, &str)> = vec![
        ("POST", "/api/v1/maintenance", json!({ "reason": "x", "ends_at": "tomorrow", "team": "db" }), "ends_at"),
        ("POST", "/api/v1/maintenance", json!({ "reason": "x", "ends_at": "2026-11-21", "team": "db" }), "ends_at"),
        ("POST", "/api/v1/maintenance", json!({ "reason": "x", "ends_at": "2026-13-41T00:00:00Z", "team": "db" }), "ends_at"),
        ("POST", &snooze, json!({ "until": "2026-11-20T03:22:07Z and on" }), "until"),
        ("POST", &snooze, json!({ "for_seconds": "soon" }), "for_seconds"),
        ("PUT", "/api/v1/policies/ops", json!({ "steps": [{ "ring": [{ "number": 1 }] }] }), "steps[0].ring[0].number"),
        ("PUT", "/api/v1/policies/ops", json!({ "steps": [{}] }), "steps[0].ring"),
        ("PUT", "/api/v1/policies/ops", json!({ "steps": [{ "ring": [], "wait": 1 }] }), "steps[0].wait"),
        ("PUT", "/api/v1/policies/ops", json!({ "steps": [{ "ring": [], "mode": "all" }] }), "steps[0].mode"),
        ("POST", "/api/v1/heartbeats", json!({ "name": "b", "period_seconds": 1.5 }), "period_seconds"),
        ("POST", "/api/v1/lines", json!({ "android": "eleven" }), "android"),
        ("POST", "/api/v1/sms/gateways", json!({ "name": "x", "settings": { "kind": "pigeon" } }), "settings.kind"),
        ("POST", "/api/v1/teams", json!({ "name": "db", "members": "Ann" }), "members"),
        ("POST", "/api/v1/alarms", json!({ "summary": "s", "ring": [{ "person": 1 }] }), "ring[0].person"),
    ];
    let mut told = Vec::new();
    for (method, path, body, field) in requests {
        let (status, problem) = match method {
            "PUT" => server.put(path, &body).await,
            _ => server.post(path, &body).await,
        };
        let detail = problem["detail"].as_str().unwrap_or_default();
        let of_parser = ["`", "i32", "i64", "invalid type", "EOF", "column", "premature", "trailing", "input ", "variant"];
        let pointer = format!("/{}", field.replace(['.', '['], "/").replace(']', ""));
        let pointed = problem["errors"][0]["pointer"] == pointer;
        if status != 422 || problem["field"] != field || !pointed || of_parser.iter().any(|word| detail.contains(word)) {
            told.push(format!("{path} {body}: {status} {problem}"));
        }
    }
    for (filter, value) in [("state", "asleep"), ("priority", "urgent")] {
        let (status, problem) = send(&server, "GET", &format!("/api/v1/alarms?{filter}={value}"), None).await;
        let detail = problem["detail"].as_str().unwrap_or_default();
        if status != 422 || detail.contains('`') || detail.contains("variant") || !detail.contains("one of") {
            told.push(format!("{filter}: {status} {problem}"));
        }
    }
    assert_eq!(told, [""; 0]);
}

async fn a_body_is_read_in_the_encoding_that_it_names(home: Home) {
    let server = home.start().await;
    let json = format!(r#"{{"summary":"磁盘满了","phones":["{A}"]}}"#);
    let (gbk, _, _) = encoding_rs::GBK.encode(&json);
    for (kind, body) in [
        ("application/json; charset=gbk", gbk.to_vec()),
        ("application/json;charset=\"GB18030\"", gbk.to_vec()),
        ("application/json; charset=UTF-8", json.clone().into_bytes()),
    ] {
        for (packed, body) in [(false, body.clone()), (true, gzipped(&body).await)] {
            let mut head = vec![("content-type", kind)];
            head.extend(packed.then_some(("content-encoding", "gzip")));
            let (status, made) = raw(&server, "/api/v1/alarms", &head, body).await;
            assert_eq!(status, 201, "{kind}: {made}");
            assert_eq!(server.alarm(made["id"].as_str().unwrap()).await["summary"], "磁盘满了", "{kind}");
        }
    }
    let (status, refused) =
        raw(&server, "/api/v1/alarms", &[("content-type", "application/json; charset=klingon")], gbk.to_vec()).await;
    assert_eq!((status, refused["code"].as_str()), (415, Some("unsupported_encoding")), "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("klingon"), "{refused}");
    // A monitoring system's group too, which is read as it comes.
    let group = firing("am", &["磁盘"]).to_string();
    let (gbk, _, _) = encoding_rs::GBK.encode(&group);
    let kind = [("content-type", "application/json; charset=gbk")];
    let (status, _) = raw(&server, "/api/v1/intake/alertmanager", &kind, gbk.to_vec()).await;
    assert_eq!(status, 200);
    let alarms = server.get("/api/v1/alarms?limit=1").await;
    assert!(alarms["items"][0]["summary"].as_str().unwrap().contains("磁盘"), "{alarms}");
}

async fn a_second_text_is_told_apart_by_its_id_however_that_is_called(home: Home) {
    let (server, inbound, _) = ringing(home).await;
    let names = ["uuid", "guid", "_id", "MessageSid", "message-id", "SmsSid", "MESSAGE_ID", "smsId"];
    for (place, name) in names.into_iter().enumerate() {
        let text = |id: &str| json!({ "from": "13900001111", "text": format!("what {place}"), (name): id });
        assert_eq!(server.post(&inbound, &text("first")).await.1["effect"], "stranger", "{name}");
        assert_eq!(server.post(&inbound, &text("first")).await.1["effect"], "repeated", "{name}");
        assert_eq!(server.post(&inbound, &text("second")).await.1["effect"], "stranger", "{name}");
    }
}

async fn a_name_that_nobody_can_see_is_no_name(home: Home) {
    let server = home.start().await;
    for unseen in ["\u{200b}", "\u{2060}", "\u{feff}", "\u{ad}", "\u{2800}", "\u{3164}", "\u{180e}", "\u{202e}\u{fe0f}"] {
        let (status, refused) = server.post("/api/v1/alarms", &json!({ "summary": unseen, "phones": [A] })).await;
        assert_eq!((status, refused["field"].as_str()), (422, Some("summary")), "{unseen:?}: {refused}");
        let mut group = firing("am", &["db1"]);
        group["groupKey"] = json!(unseen.escape_unicode().to_string());
        group["alerts"][0]["annotations"]["summary"] = json!(unseen);
        let (status, taken) = server.post("/api/v1/intake/alertmanager", &group).await;
        assert_eq!(status, 200, "{taken}");
        let alarms = server.get("/api/v1/alarms?limit=1").await;
        assert_eq!(alarms["items"][0]["summary"], "NodeDown", "{unseen:?}");
        let (status, _) = server.put(&format!("/api/v1/policies/{}", "%E2%80%8B"), &json!({ "steps": [] })).await;
        assert_eq!(status, 422);
    }
}
