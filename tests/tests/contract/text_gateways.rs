//! Gateways of several kinds, in and out: who they are, whether they live, and what people are answered.

use autocall::engine::Doer;
use autocall::kinds::notices::WebhookShape;
use autocall::kinds::signature::sign;
use autocall::store::lines::webhooks::NoticeKind;
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use autocall_tests::kept::Kept;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::post;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::gateway::{Gateway, add_smsgate, near, send};
use crate::harness::{A, B, C, Home, Server, on_both};
use crate::notices::{Room, add, deliver};

on_both!(
    a_person_s_other_number_is_that_person,
    one_phone_with_several_numbers_is_one,
    httpsms_and_textbee_are_heard,
    put_and_get_are_taken,
    mms_replies_are_kept,
    what_is_not_signed_is_refused,
    a_cancelled_message_is_sent_again,
    a_gateway_that_falls_silent_is_told_of,
    a_login_page_has_sent_nothing,
    a_test_text_says_what_came_of_it,
    replies_are_answered,
    answers_do_not_go_on_for_ever,
    start_takes_stop_back,
    whoever_stops_is_told_what_that_did,
    smsforwarder_is_spoken_to_in_rsa_and_sm4,
    a_smsforwarder_with_another_key_has_sent_nothing,
    a_safety_measure_is_set_changed_and_never_shown,
);

async fn made(server: &Server, name: &str, settings: Value, more: Value) -> String {
    let mut body = json!({ "name": name, "settings": settings });
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    let (status, gateway) = server.post("/api/v1/sms/gateways", &body).await;
    assert_eq!(status, 201, "{gateway}");
    gateway["inbound_path"].as_str().unwrap().to_owned()
}

async fn people(server: &Server, csv: &str) {
    let people = autocall::keep::people_import::read_csv(csv, server.home.config().default_region).unwrap();
    server
        .app
        .engine
        .store
        .carry_out(server.home.clock.now(), Doer::Server, async |work| autocall::keep::people_import::import(work, &people).await)
        .await
        .unwrap();
}

async fn told(server: &Server, inbound: &str, message: &Value) -> String {
    let (status, answer) = server.post(inbound, message).await;
    assert_eq!(status, 200, "{answer}");
    answer["effect"].as_str().unwrap().to_owned()
}

async fn ringing(home: Home, phones: &[&str]) -> (Server, Gateway, String, String, String) {
    let server = near(home).start().await;
    let (phone, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(phones, json!({ "attempts": 1 })).await;
    server.app_dial(&desk).await;
    (server, phone, inbound, desk, id)
}

async fn a_person_s_other_number_is_that_person(home: Home) {
    let server = near(home).start().await;
    people(&server, "name,numbers\nDual Sim,18714000910;18714000911\n").await;
    let (_, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&["18714000910", B], json!({ "attempts": 1 })).await;
    server.app_dial(&desk).await;
    let reply = |id: &str, text: &str| json!({ "from": "18714000911", "text": text, "id": id });
    assert_eq!(told(&server, &inbound, &reply("1", "1")).await, "confirmed");
    let alarm = server.alarm(&id).await;
    assert_eq!((alarm["state"].as_str(), alarm["answer"]["name"].as_str()), (Some("answered"), Some("Dual Sim")));
    assert_eq!(alarm["answer"]["callee_id"], alarm["callees"][0]["id"]);
    assert_eq!(told(&server, &inbound, &reply("2", "1")).await, "already");
    // Who wants to be rung no more means no number of theirs.
    assert_eq!(told(&server, &inbound, &reply("3", "stop")).await, "stopped");
    let forbidden = server.app.engine.store.read().await.unwrap().db().forbidden_numbers().await.unwrap();
    assert_eq!(forbidden.len(), 2);
    // The API knows them as well.
    let other = server.raise(&["18714000910"], json!({ "attempts": 1 })).await;
    let by = json!({ "number": "18714000911" });
    assert_eq!(server.post(&format!("/api/v1/alarms/{other}/acknowledge"), &by).await.0, 200);
    let alarm = server.alarm(&other).await;
    assert_eq!(alarm["answer"]["callee_id"], alarm["callees"][0]["id"], "{alarm}");
}

async fn one_phone_with_several_numbers_is_one(home: Home) {
    let home = home.set("AUTOCALL_DEFAULT_REGION", "AR");
    let phones = ["011 15-2345-6789", "+54 9 11 2345-6789", "+54 11 2345-6789"];
    let (server, _, inbound, _, id) = ringing(home, &phones).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["callees"].as_array().unwrap().len(), 1, "{alarm}");
    let reply = |id: &str, from: &str| json!({ "from": from, "text": "1", "id": id });
    assert_eq!(told(&server, &inbound, &reply("1", "+541123456789")).await, "confirmed");
    assert_eq!(told(&server, &inbound, &reply("2", "+5491123456789")).await, "already");
    assert_eq!(server.state(&id).await, "answered");
    // Whoever must not be called is not called under the other number either.
    assert_eq!(told(&server, &inbound, &json!({ "from": "+541123456789", "text": "stop", "id": "3" })).await, "stopped");
    let barred = server.app.engine.store.read().await.unwrap().db().forbidden("+5491123456789").await.unwrap();
    assert!(barred.is_some());
}

async fn httpsms_and_textbee_are_heard(home: Home) {
    let (server, _, _, desk, id) = ringing(home, &[A]).await;
    let httpsms =
        json!({ "kind": "httpsms", "url": "https://api.httpsms.com/v1/messages/send", "key": "k", "from": "+8613300002222" });
    let httpsms = made(&server, "h", httpsms, json!({})).await;
    let textbee = json!({ "kind": "textbee", "url": "https://api.textbee.dev/api/v1/gateway/devices/d/send-sms", "key": "k" });
    let textbee = made(&server, "t", textbee, json!({})).await;
    server.pass(5).await;
    let now = server.now().to_rfc3339();
    let event = |kind: &str| {
        json!({ "specversion": "1.0", "id": "c", "source": "/v1/messages", "type": kind, "time": now,
            "data": { "message_id": "m", "contact": format!("+86{A}"), "content": "1", "owner": "+8613300002222",
                "timestamp": now, "encrypted": false, "sim": "SIM1", "attachments": [] } })
    };
    assert_eq!(told(&server, &httpsms, &event("message.phone.received")).await, "confirmed");
    assert_eq!(server.state(&id).await, "answered");
    for kind in [
        "message.phone.sent",
        "message.phone.delivered",
        "message.send.failed",
        "message.send.expired",
        "phone.heartbeat.offline",
    ] {
        assert_eq!(told(&server, &httpsms, &event(kind)).await, "none", "{kind}: of no message of ours");
    }
    let _ = desk;
    for kind in ["MESSAGE_SENT", "MESSAGE_DELIVERED", "MESSAGE_FAILED", "UNKNOWN_STATE"] {
        let receipt = json!({ "smsId": "s", "message": "x", "deviceId": "d", "webhookEvent": kind, "smsBatchId": "b",
            "recipient": A, "status": "x", "idempotencyKey": "k" });
        assert_eq!(told(&server, &textbee, &receipt).await, "none", "{kind}");
    }
    let (status, listed) = (200, server.items("/api/v1/sms/gateways").await);
    let kinds: Vec<&str> = listed.as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!((status, kinds), (200, vec!["httpsms", "smsgate", "textbee"]));
}

async fn put_and_get_are_taken(home: Home) {
    let (server, _, inbound, _, id) = ringing(home, &[A]).await;
    let client = autocall_tests::http_client().build().unwrap();
    let url = format!("{}{inbound}", server.base);
    assert_eq!(client.head(format!("{url}?from={A}&text=1")).sent().await.unwrap().status(), 405, "a look does nothing");
    assert_eq!(server.state(&id).await, "ringing");
    let got: Value = client.get(format!("{url}?from={A}&text=1&id=1")).sent().await.unwrap().json().await.unwrap();
    assert_eq!(got["effect"], "confirmed");
    assert_eq!(server.put(&inbound, &json!({ "from": A, "text": "1", "id": "2" })).await.1["effect"], "already");
}

async fn mms_replies_are_kept(home: Home) {
    let (server, _, inbound, _, id) = ringing(home, &[A]).await;
    let mms = |event: &str| {
        json!({ "id": "m1", "webhookId": "w", "event": event, "deviceId": "d",
            "payload": { "messageId": "m", "sender": format!("+86{A}"), "recipient": null, "simNumber": 1, "body": "1", "subject": null,
                "attachments": [], "receivedAt": server.now().to_rfc3339() } })
    };
    let (_, notice) = server.post(&inbound, &mms("mms:received")).await;
    assert_eq!((notice["stored"].as_bool(), notice["effect"].as_str()), (Some(false), Some("none")), "its words come later");
    assert_eq!(told(&server, &inbound, &mms("mms:downloaded")).await, "confirmed");
    assert_eq!(server.state(&id).await, "answered");
    assert_eq!(server.items("/api/v1/sms/inbox").await[0]["text"], "1");
}

async fn what_is_not_signed_is_refused(home: Home) {
    let (server, _, _, _, id) = ringing(home, &[A]).await;
    let settings = json!({ "kind": "smsgate", "url": "http://127.0.0.1:1/message", "user": "u", "password": "p" });
    let inbound = made(&server, "signed", settings.clone(), json!({ "signing_secret": "geheim" })).await;
    let message = json!({ "event": "sms:received", "id": "e", "payload": { "messageId": "m", "message": "1", "sender": A,
        "receivedAt": server.now().to_rfc3339() } });
    assert_eq!(server.post(&inbound, &message).await.0, 401);
    let body = message.to_string();
    let sent = server.now().timestamp().to_string();
    let signed = |secret: &str| autocall::ids::hex(&sign(secret.as_bytes(), format!("{body}{sent}").as_bytes()));
    let ask = async |mac: String| {
        let request = autocall_tests::http_client().build().unwrap().post(format!("{}{inbound}", server.base)).body(body.clone());
        request.header("x-timestamp", &sent).header("x-signature", mac).sent().await.unwrap()
    };
    assert_eq!(ask(signed("other")).await.status(), 401);
    assert_eq!(server.state(&id).await, "ringing");
    assert_eq!(ask(signed("geheim")).await.json::<Value>().await.unwrap()["effect"], "confirmed");
    // What is left out of a change stays; empty takes it away. It is never shown.
    let change = json!({ "name": "signed", "settings": settings });
    let (status, shown) = server.put("/api/v1/sms/gateways/signed", &change).await;
    assert_eq!((status, shown["signed"].as_bool(), shown.to_string().contains("geheim")), (200, Some(true), false));
    let change = json!({ "name": "signed", "settings": settings, "signing_secret": "" });
    assert_eq!(server.put("/api/v1/sms/gateways/signed", &change).await.1["signed"], false);
}

async fn a_cancelled_message_is_sent_again(home: Home) {
    let server = near(home).start().await;
    let (phone, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    let line = json!({ "name": "ops", "number": "13300001111", "sms_number": "13300002222", "carrier": "china-telecom",
        "android": 11, "gateway": "phone" });
    assert_eq!(server.post("/api/v1/lines", &line).await.0, 201);
    assert_eq!(server.post("/api/v1/lines/ops/forward", &json!({ "number": A })).await.0, 202);
    crate::gateway::taken(&server, &phone, 1).await;
    let cancelled = json!({ "id": "x1", "webhookId": "w", "event": "sms:cancelled", "deviceId": "d",
        "payload": { "messageId": phone.latest_id(), "recipient": "+8613300002222", "cancelledAt": server.now().to_rfc3339() } });
    assert_eq!(told(&server, &inbound, &cancelled).await, "bounced");
    let line = &server.items("/api/v1/lines").await[0];
    assert!(line["known"] == "waiting" && line["forwarded"]["last_result"].as_str().unwrap().contains("cancelled"), "{line}");
    server.pass(60).await;
    crate::gateway::taken(&server, &phone, 2).await;
}

async fn a_gateway_that_falls_silent_is_told_of(home: Home) {
    let server = near(home).start().await;
    let (room, hook) = Room::open().await;
    add(&server, &hook, WebhookShape::Slack, &[NoticeKind::GatewaySilent, NoticeKind::GatewayBack], "en").await;
    let (_, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    let ping = json!({ "event": "system:ping", "id": "E", "deviceId": "d", "webhookId": "w", "payload": { "health": {} } });
    server.pass(86_400).await;
    for _ in 0..3 {
        assert_eq!(told(&server, &inbound, &ping).await, "none");
        server.pass(300).await;
    }
    let silent = async || server.items("/api/v1/sms/gateways").await[0]["silent"].as_bool().unwrap();
    assert!(!silent().await);
    server.pass(601).await;
    assert!(silent().await);
    server.pass(600).await;
    assert_eq!(told(&server, &inbound, &ping).await, "none");
    server.pass(1).await;
    assert!(!silent().await);
    autocall_tests::wait::eventually("people are told", std::time::Duration::from_secs(30), async || {
        deliver(&server).await;
        (room.texts().len() >= 2).then_some(())
    })
    .await;
    let texts = room.texts();
    assert!(texts.len() == 2 && texts[0].contains("phone") && texts[1].contains("back"), "once each: {texts:?}");
}

/// A hotel's network, or an expired login: everything is answered with a page, and 200.
async fn a_login_page_has_sent_nothing(home: Home) {
    let server = near(home).start().await;
    let pages = [
        "<!DOCTYPE html><html><title>Sign in</title></html>",
        "\u{feff}<!DOCTYPE html>",
        "<!-- portal --><body>Sign in</body>",
        "<script>top.location='/login'</script>",
        "<form action=/login>",
        "<?xml version=\"1.0\"?><html/>",
    ];
    let router = axum::Router::new().route("/{page}", post(async move |Path(page): Path<usize>| (StatusCode::OK, pages[page])));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let http = |page: usize| json!({ "kind": "http", "method": "POST", "url": format!("{url}/{page}"), "body": "{text}" });
    let smsgate = json!({ "kind": "smsgate", "url": format!("{url}/0"), "user": "sms", "password": "secret" });
    for (place, settings) in (0..pages.len()).map(http).chain([smsgate]).enumerate() {
        let name = format!("g{place}");
        made(&server, &name, settings, json!({})).await;
        let (status, said) = server.post(&format!("/api/v1/sms/gateways/{name}/test"), &json!({ "number": A })).await;
        assert_eq!((status, said["state"].as_str()), (200, Some("failed")), "{said}");
        assert!(said["last_result"].as_str().unwrap().contains("login"), "{said}");
    }
}

async fn a_test_text_says_what_came_of_it(home: Home) {
    let server = near(home).start().await;
    people(&server, &format!("name,numbers,language\nAna,{A},es\n")).await;
    let (phone, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    let (status, said) = server.post("/api/v1/sms/gateways/phone/test", &json!({ "number": A })).await;
    assert_eq!((status, said["state"].as_str()), (200, Some("sent")), "{said}");
    let sent = phone.sent();
    assert!(
        sent.len() == 1 && sent[0].0 == format!("+86{A}") && sent[0].1 == "Esto es una prueba del servidor de guardias.",
        "{sent:?}"
    );
    assert_eq!(server.post("/api/v1/sms/gateways/phone/test", &json!({ "number": "110" })).await.0, 422);
    assert_eq!(server.post("/api/v1/sms/gateways/other/test", &json!({ "number": A })).await.0, 404);
}

/// The answers that the gateway was told to send.
async fn answers(server: &Server, phone: &Gateway, count: usize) -> Vec<(String, String)> {
    autocall_tests::wait::eventually("the answer is sent", std::time::Duration::from_secs(30), async || {
        send(server).await;
        (phone.sent().len() >= count).then_some(())
    })
    .await;
    phone.sent()
}

async fn replies_are_answered(home: Home) {
    let server = near(home).start().await;
    people(&server, &format!("name,numbers,language\nLi Na,{A},zh-CN\nDan,{B},en\n")).await;
    let (phone, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    let desk = server.pair("desk", Profile::App).await;
    server.raise(&[A, B], json!({ "attempts": 1, "summary": "disk |full alertcall" })).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, None).await;
    server.pass(76).await;
    assert_eq!(server.app_dial(&desk).await.1, [B]);
    let reply = |id: &str, from: &str, text: &str| json!({ "from": from, "text": text, "id": id });
    assert_eq!(told(&server, &inbound, &reply("0", B, "what is it?")).await, "none");
    assert_eq!(told(&server, &inbound, &reply("1", A, "1")).await, "confirmed");
    assert_eq!(told(&server, &inbound, &reply("2", B, "1")).await, "confirmed");
    assert_eq!(told(&server, &inbound, &reply("3", C, "1")).await, "stranger", "no stranger is answered");
    let mut sent = answers(&server, &phone, 3).await;
    sent.sort();
    let text =
        |number: &str| sent.iter().filter(|(to, _)| to.ends_with(number)).map(|(_, text)| text.as_str()).collect::<Vec<_>>();
    assert_eq!(text(A), ["已确认：disk /full 。谢谢。"], "in their language, without what the app would obey");
    assert_eq!(text(B).len(), 2, "{sent:?}");
    assert!(text(B).iter().any(|text| text.contains("Send 1")) && text(B).iter().any(|text| text.contains("Li Na")), "{sent:?}");
    assert!(text(C).is_empty());
}

/// Another program answers each message: it must come to an end.
async fn answers_do_not_go_on_for_ever(home: Home) {
    let (server, phone, inbound, ..) = ringing(home, &[A]).await;
    for id in 0..12 {
        let text = format!("I am away from my desk {id}");
        assert_eq!(told(&server, &inbound, &json!({ "from": A, "text": text, "id": id })).await, "none");
    }
    assert_eq!(answers(&server, &phone, 1).await.len(), 1);
    for id in 20..40 {
        told(&server, &inbound, &json!({ "from": A, "text": "1", "id": id })).await;
    }
    assert_eq!(answers(&server, &phone, 5).await.len(), 5);
    server.pass(601).await;
    let silent = json!({ "from": A, "text": "1", "id": 99 });
    assert_eq!(told(&server, &inbound, &silent).await, "already");
    assert_eq!(answers(&server, &phone, 6).await.len(), 6);
}

async fn start_takes_stop_back(home: Home) {
    let (server, _, inbound, _, _) = ringing(home, &[A, B]).await;
    let barred = json!({ "number": "13900001111", "reason": "wrong number" });
    assert_eq!(server.post("/api/v1/do-not-call", &barred).await.0 / 100, 2);
    let reply = |id: &str, from: &str, text: &str| json!({ "from": from, "text": text, "id": id });
    assert_eq!(told(&server, &inbound, &reply("1", A, "STOPALL")).await, "stopped");
    server.pass(10).await;
    assert_eq!(told(&server, &inbound, &reply("2", A, "Start")).await, "allowed");
    assert_eq!(told(&server, &inbound, &reply("3", "13900001111", "START")).await, "none", "an operator has forbidden it");
    let forbidden = server.app.engine.store.read().await.unwrap().db().forbidden_numbers().await.unwrap();
    assert_eq!(forbidden.len(), 1);
    // A stop that was written before and comes after changes nothing.
    let late = json!({ "from": A, "text": "stop", "received_at": (server.now() - TimeDelta::seconds(5)).to_rfc3339() });
    assert_eq!(told(&server, &inbound, &late).await, "outdated");
}

/// Whoever sends CANCEL may mean the alarm. They are told that it goes on and they are not rung, also where answers are rare or off.
async fn whoever_stops_is_told_what_that_did(home: Home) {
    let server = near(home).set("AUTOCALL_SMS_ANSWER_REPLIES", "off").start().await;
    let names = [
        ("Dan", A, "en", "CANCEL"),
        ("Li Na", B, "zh-CN", "退订"),
        ("Ken", C, "ja", "end"),
        ("Ana", "18714000910", "es", "Stop."),
    ];
    let csv: String = names.iter().map(|(name, number, language, _)| format!("{name},{number},{language}\n")).collect();
    people(&server, &format!("name,numbers,language\n{csv}")).await;
    let (phone, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    let desk = server.pair("desk", Profile::App).await;
    let mut ids = Vec::new();
    for (place, (_, number, _, word)) in names.iter().enumerate() {
        let id = server.raise(&[number, "18714000911"], json!({ "attempts": 1 })).await;
        let (mid, phones) = server.app_dial(&desk).await;
        assert_eq!(phones, [*number]);
        for text in ["hello?", "what?", "who?", "why?", "when?", "how?"] {
            let asked = json!({ "from": number, "text": text, "id": format!("{place}{text}") });
            assert_eq!(told(&server, &inbound, &asked).await, "none");
        }
        let stop = json!({ "from": number, "text": word, "id": format!("stop {place}") });
        assert_eq!(told(&server, &inbound, &stop).await, "stopped", "{word}");
        let again = json!({ "from": number, "text": "unsubscribe", "id": format!("again {place}") });
        assert_eq!(told(&server, &inbound, &again).await, "stopped");
        server.report(&desk, &mid, None).await;
        assert_eq!(server.state(&id).await, "ringing", "the alarm is not cancelled");
        ids.push(id);
        // Nobody is left to be rung for it.
        server.pass(76).await;
        let (mid, phones) = server.app_dial(&desk).await;
        assert_eq!(phones, ["18714000911"], "others are rung");
        server.report(&desk, &mid, Some("18714000911")).await;
    }
    let mut sent = answers(&server, &phone, 4).await;
    sent.sort();
    assert_eq!(sent.len(), 4, "each is told once, and nothing else: {sent:?}");
    for (number, words) in [
        (A, ["cancelled no alarm", "others are rung"]),
        (B, ["没有取消", "其他人"]),
        (C, ["取り消されず", "ほかの人"]),
        ("18714000910", ["no se anula", "otras personas"]),
    ] {
        let (_, text) = sent.iter().find(|(to, _)| to.ends_with(number)).unwrap();
        assert!(text.contains("START") && words.iter().all(|word| text.contains(word)), "{text}");
    }
    assert_eq!(told(&server, &inbound, &json!({ "from": A, "text": "START", "id": "start" })).await, "allowed");
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    assert_eq!(server.app_dial(&desk).await.1, [A], "rung again");
    assert_eq!(told(&server, &inbound, &json!({ "from": A, "text": "quit", "id": "stop once more" })).await, "stopped");
    assert_eq!(answers(&server, &phone, 5).await.len(), 5, "told again, since it is new again");
    assert_eq!(server.alarm(&id).await["cancelled_at"], Value::Null);
}

/// The app with a safety measure: what it reads and writes is OpenSSL's work.
#[derive(Clone)]
struct Forwarder {
    cipher: &'static str,
    key: String,
    /// What was posted, as it came.
    posted: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

impl Forwarder {
    async fn open(cipher: &'static str, key: &str) -> (Self, String) {
        let app = Self { cipher, key: key.to_owned(), posted: std::sync::Arc::default() };
        // Written before anybody waits for it: programs take their time to start.
        let answer = json!({ "timestamp": 1_795_836_000_000_u64, "code": 200, "msg": "success", "data": "success" });
        let answer = String::from_utf8(app.work("write", answer.to_string().as_bytes()).await.unwrap()).unwrap();
        let posted = std::sync::Arc::clone(&app.posted);
        let take = move |body: String| {
            posted.lock().unwrap().push(body);
            std::future::ready((StatusCode::OK, answer.clone()))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().route("/sms/send", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (app, url)
    }

    /// What it was asked, as far as it can read it.
    async fn asked(&self) -> Vec<Option<Value>> {
        let posted = self.posted.lock().unwrap().clone();
        let mut asked = Vec::new();
        for body in posted {
            let read = self.work("read", body.as_bytes()).await;
            asked.push(read.and_then(|bytes| serde_json::from_slice(&bytes).ok()));
        }
        asked
    }

    async fn work(&self, what: &str, given: &[u8]) -> Option<Vec<u8>> {
        use tokio::io::AsyncWriteExt;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/smsforwarder.py");
        let mut python = tokio::process::Command::new("python3")
            .args([script, what, self.cipher, &self.key])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        python.stdin.take().unwrap().write_all(given).await.unwrap();
        let output = python.wait_with_output().await.unwrap();
        output.status.success().then_some(output.stdout)
    }
}

/// A pair of keys as the app makes it: the file of the private one, and the public one in Base64.
async fn key_pair(folder: &std::path::Path) -> (String, String) {
    let file = folder.join("private.pem").display().to_string();
    let openssl = async |words: &[&str]| {
        let output = tokio::process::Command::new("openssl").args(words).output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", &file]).await;
    let pem = String::from_utf8(openssl(&["pkey", "-in", &file, "-pubout"]).await).unwrap();
    (file, pem.lines().filter(|line| !line.starts_with('-')).collect())
}

const SM4_KEY: &str = "0123456789ABCDEFFEDCBA9876543210";

/// Waits until a test message through this gateway was tried, and gives its state and what came of it.
async fn tried(server: &Server, gateway: &str) -> (String, String) {
    let (status, tested) = server.post(&format!("/api/v1/sms/gateways/{gateway}/test"), &json!({ "number": A })).await;
    assert_eq!(status, 200, "{tested}");
    let text = |field: &str| tested[field].as_str().unwrap_or_default().to_owned();
    (text("state"), text("last_result"))
}

async fn smsforwarder_is_spoken_to_in_rsa_and_sm4(home: Home) {
    let server = near(home).start().await;
    people(&server, &format!("name,numbers,language\nLi Na,{A},zh-CN\n")).await;
    let folder = tempfile::tempdir().unwrap();
    let (private, public) = key_pair(folder.path()).await;
    for (cipher, key, setting, value) in
        [("rsa", private.as_str(), "rsa_public_key", public.as_str()), ("sm4", SM4_KEY, "sm4_key", SM4_KEY)]
    {
        let (app, url) = Forwarder::open(cipher, key).await;
        let mut settings = json!({ "kind": "smsforwarder", "url": url, "sim": 2 });
        settings[setting] = json!(value);
        made(&server, cipher, settings, json!({})).await;
        assert_eq!(tried(&server, cipher).await, ("sent".to_owned(), "taken by the gateway".to_owned()), "{cipher}");
        let sent = app.asked().await;
        let [Some(sent)] = &sent[..] else { panic!("{cipher}: {sent:?}") };
        let data = &sent["data"];
        assert_eq!((data["sim_slot"].as_i64(), data["phone_numbers"].as_str()), (Some(2), Some(format!("+86{A}").as_str())));
        assert!(data["msg_content"].as_str().unwrap().contains("测试"), "{data}");
        assert_eq!(sent["timestamp"].as_i64(), Some(server.now().timestamp_millis()));
        assert!(sent.get("sign").is_none(), "{sent}");
    }
}

async fn a_smsforwarder_with_another_key_has_sent_nothing(home: Home) {
    let server = near(home).start().await;
    let (own, foreign) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (private, _) = key_pair(own.path()).await;
    let (_, public) = key_pair(foreign.path()).await;
    for (cipher, key, setting, value) in [
        ("rsa", private.as_str(), "rsa_public_key", public.as_str()),
        ("sm4", SM4_KEY, "sm4_key", "00000000000000000000000000000001"),
        ("sm4", SM4_KEY, "rsa_public_key", &public),
    ] {
        let (app, url) = Forwarder::open(cipher, key).await;
        let name = format!("{cipher} by {setting}");
        made(&server, &name, json!({ "kind": "smsforwarder", "url": url, "sim": 1, setting: value }), json!({})).await;
        let (state, why) = tried(&server, &name).await;
        assert_eq!((state.as_str(), why.contains("cannot be read with this gateway's key")), ("failed", true), "{name}: {why}");
        assert_eq!(app.asked().await, [None], "{name}: the phone understands nothing of it");
    }
    // One without a safety measure, which answers as it always does.
    let (_, url) = Gateway::open().await;
    made(&server, "plain", json!({ "kind": "smsforwarder", "url": url, "sim": 1, "sm4_key": SM4_KEY }), json!({})).await;
    let (state, why) = tried(&server, "plain").await;
    assert_eq!((state.as_str(), why.contains("cannot be read with this gateway's key")), ("failed", true), "{why}");
}

async fn a_safety_measure_is_set_changed_and_never_shown(home: Home) {
    let server = near(home).start().await;
    let folder = tempfile::tempdir().unwrap();
    let (_, public) = key_pair(folder.path()).await;
    let forwarder = |more: Value| {
        let mut settings = json!({ "kind": "smsforwarder", "url": "http://127.0.0.1:5000", "sim": 1 });
        settings.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        json!({ "name": "hall", "settings": settings })
    };
    for (wrong, field) in [
        (json!({ "sm4_key": "geheim" }), "sm4_key"),
        (json!({ "sm4_key": "" }), "sm4_key"),
        (json!({ "rsa_public_key": "geheim" }), "rsa_public_key"),
        (json!({ "rsa_public_key": public, "sm4_key": SM4_KEY }), "secret"),
        (json!({ "secret": "geheim", "sm4_key": SM4_KEY }), "secret"),
    ] {
        let (status, problem) = server.post("/api/v1/sms/gateways", &forwarder(wrong.clone())).await;
        assert_eq!((status, problem["field"].as_str()), (422, Some(field)), "{wrong}: {problem}");
        assert!(!problem.to_string().contains("geheim"), "{problem}");
    }
    let (status, shown) = server.post("/api/v1/sms/gateways", &forwarder(json!({ "sm4_key": SM4_KEY }))).await;
    assert_eq!((status, shown.to_string().contains(SM4_KEY)), (201, false), "{shown}");
    let (status, shown) = server.put("/api/v1/sms/gateways/hall", &forwarder(json!({ "rsa_public_key": public }))).await;
    assert_eq!((status, shown.to_string().contains(&public)), (200, false), "{shown}");
    let settings = json!(server.app.engine.gateway("hall").await.unwrap().settings.0);
    assert_eq!((settings["rsa_public_key"].as_str(), settings.get("sm4_key")), (Some(public.as_str()), None), "{settings}");
}
