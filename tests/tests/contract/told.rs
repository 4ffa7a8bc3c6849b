//! People are told by text message: the alarm beside the call, once, with a code where several are open; shifts that begin, and duties that
//! somebody else puts them on.

use autocall::coming::plan::Wish;
use autocall::coming::reading;
use autocall::engine::Doer;
use autocall::keep::coming::apply;
use autocall::keep::roster::exceptions::add_override;
use autocall::keep::roster::forms::OverrideForm;
use autocall::keep::users::{self, Login, Passwords};
use autocall::numbers::Region;
use autocall::store::Work;
use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use autocall::versions::Expected;
use serde_json::{Value, json};

use crate::gateway::{Gateway, add_smsgate, near, send, taken};
use crate::harness::{A, B, Home, Server, on_both};
use crate::replies::{smsgate, told};
use crate::roster::people;

on_both!(
    whoever_wants_it_is_told_once_beside_the_call,
    a_policy_has_those_told_who_have_not_chosen,
    alarms_that_are_rung_for_together_are_told_together,
    a_repeat_is_told_only_when_it_is_worse,
    of_several_that_are_open_a_code_says_which,
    a_code_means_its_alarm_and_no_other,
    what_somebody_was_only_called_for_gets_a_code_when_it_is_not_clear,
    an_alarm_that_was_over_before_the_text_left_is_not_told,
    what_could_not_be_sent_is_said_and_tried_another_way,
    a_handset_that_is_away_keeps_nobody_from_being_told,
    quiet_hours_and_numbers_that_must_not_be_called_hold_for_texts,
    a_long_alarm_is_cut_and_what_to_reply_stays,
    how_somebody_is_told_is_kept_like_everything_else,
    a_shift_that_begins_is_told_once,
    a_shift_is_told_before_it_begins_and_not_to_whoever_has_it_already,
    whoever_is_put_on_duty_by_somebody_else_is_told,
    what_begins_at_once_is_told_once,
    whoever_a_file_puts_on_duty_is_told,
);

/// A server with Ann (A), Bob (B) and 张伟, a gateway, and the path under which that reports.
async fn start(home: Home) -> (Server, Gateway, String) {
    let server = near(home).start().await;
    people(&server).await;
    let (gateway, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    (server, gateway, inbound)
}

async fn tell(server: &Server, name: &str, how: Value) {
    let (status, body) = server.put(&format!("/api/v1/people/{name}/told"), &how).await;
    assert_eq!(status, 200, "{body}");
}

fn always() -> Value {
    json!({ "alarm_texts": "always" })
}

/// What happened to the texts of an alarm, by the words of the events.
async fn texts(server: &Server, id: &str) -> Vec<Value> {
    let alarm = server.alarm(id).await;
    let all = alarm["timeline"].as_array().unwrap().clone();
    all.into_iter().filter(|event| event["kind"].as_str().unwrap().ends_with("texted")).collect()
}

/// Nothing more is sent.
async fn nothing_else(server: &Server, gateway: &Gateway, count: usize) {
    send(server).await;
    assert_eq!(gateway.sent().len(), count, "{:?}", gateway.sent());
}

async fn whoever_wants_it_is_told_once_beside_the_call(home: Home) {
    let (server, gateway, inbound) = start(home).await;
    tell(&server, "Ann", always()).await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A, B], json!({ "attempts": 2, "min_interval_seconds": 0, "summary": "Disk full" })).await;
    nothing_else(&server, &gateway, 0).await;
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [A]);
    let sent = taken(&server, &gateway, 1).await;
    assert_eq!(sent[0].0, "+8618712345678");
    assert!(sent[0].1.contains("Disk full") && sent[0].1.contains("Reply 1 to take it"), "{sent:?}");
    let told_of = texts(&server, &id).await;
    let body = &told_of[0]["body"];
    assert_eq!((told_of.len(), told_of[0]["kind"].as_str()), (1, Some("texted")), "{told_of:?}");
    assert_eq!((body["name"].as_str(), body["gateway"].as_str(), &body["alarms"]), (Some("Ann"), Some("phone"), &json!([id])));
    // Bob has not asked for one; and when Ann is called again, she is not told again.
    server.report(&desk, &mid, None).await;
    server.pass(76).await;
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [B]);
    server.report(&desk, &mid, None).await;
    server.pass(76).await;
    assert_eq!(server.app_dial(&desk).await.1, [A]);
    nothing_else(&server, &gateway, 1).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E1", A, "1")).await, "confirmed");
    assert_eq!(server.state(&id).await, "answered");
}

async fn a_policy_has_those_told_who_have_not_chosen(home: Home) {
    let (server, gateway, _) = start(home).await;
    tell(&server, "Ann", json!({ "alarm_texts": "never" })).await;
    let desk = server.pair("desk", Profile::List).await;
    let ring = json!([{ "person": "Ann" }, { "person": "Bob" }, { "number": "18700001111" }]);
    let policy = json!({ "steps": [{ "ring": ring, "attempts": 1 }], "texts": true });
    assert_eq!(server.put("/api/v1/policies/ops", &policy).await.0, 201);
    assert_eq!(server.get("/api/v1/policies/ops").await["texts"], true);
    let id = server.raise(&[], json!({ "policy": "ops" })).await;
    server.dial(&desk).await;
    let mut numbers: Vec<String> = taken(&server, &gateway, 2).await.into_iter().map(|(number, _)| number).collect();
    numbers.sort();
    assert_eq!(numbers, ["+8618700001111", "+8618812345678"]);
    assert_eq!(texts(&server, &id).await.len(), 2);
}

async fn alarms_that_are_rung_for_together_are_told_together(home: Home) {
    let (server, gateway, inbound) = start(home.set("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS", "120")).await;
    tell(&server, "Ann", always()).await;
    let desk = server.pair("desk", Profile::App).await;
    let first = server.raise(&[A], json!({ "summary": "one" })).await;
    let second = server.raise(&[A], json!({ "summary": "two", "priority": "critical" })).await;
    let (mid, _) = server.app_dial(&desk).await;
    let sent = taken(&server, &gateway, 1).await;
    assert!(sent[0].1.contains("critical): two") && sent[0].1.contains("(and 1 more)"), "the most urgent one: {sent:?}");
    for id in [&first, &second] {
        assert_eq!(texts(&server, id).await.len(), 1);
    }
    // One that joins later is told of when they are called for it.
    let third = server.raise(&[A], json!({ "summary": "three" })).await;
    server.report(&desk, &mid, None).await;
    server.pass(76).await;
    server.app_dial(&desk).await;
    let sent = taken(&server, &gateway, 2).await;
    assert!(sent[1].1.contains("three") && !sent[1].1.contains("more)"), "{sent:?}");
    assert_eq!(told(&server, &inbound, smsgate(&server, "E1", A, "ok")).await, "confirmed");
    for id in [&first, &second, &third] {
        assert_eq!(server.state(id).await, "answered");
    }
}

async fn a_repeat_is_told_only_when_it_is_worse(home: Home) {
    let (server, gateway, _) = start(home).await;
    tell(&server, "Ann", always()).await;
    let desk = server.pair("desk", Profile::App).await;
    let alarm = |priority: &str| json!({ "dedup_key": "disk", "attempts": 3, "min_interval_seconds": 0, "priority": priority });
    let id = server.raise(&[A], alarm("normal")).await;
    let (mid, _) = server.app_dial(&desk).await;
    taken(&server, &gateway, 1).await;
    server.report(&desk, &mid, None).await;
    server.pass(76).await;
    let body = |priority: &str| {
        let mut body = alarm(priority);
        body["summary"] = json!("disk");
        body["phones"] = json!([A]);
        body
    };
    assert_eq!(server.post("/api/v1/alarms", &body("normal")).await.0, 200);
    let (mid, _) = server.app_dial(&desk).await;
    nothing_else(&server, &gateway, 1).await;
    server.report(&desk, &mid, None).await;
    server.pass(76).await;
    assert_eq!(server.post("/api/v1/alarms", &body("critical")).await.0, 200);
    server.app_dial(&desk).await;
    assert!(taken(&server, &gateway, 2).await[1].1.contains("critical"));
    assert_eq!(texts(&server, &id).await.len(), 2);
}

/// Two alarms of two hunts, of which Ann is told one after the other; gives them with the code of the second.
async fn two(server: &Server, gateway: &Gateway) -> (String, String, String) {
    tell(server, "Ann", always()).await;
    let desk = server.pair("desk", Profile::App).await;
    let first = server.raise(&[A], json!({ "summary": "Disk full", "attempts": 2, "min_interval_seconds": 0 })).await;
    let (mid, _) = server.app_dial(&desk).await;
    taken(server, gateway, 1).await;
    server.report(&desk, &mid, None).await;
    server.pass(76).await;
    let second = server.raise(&[A], json!({ "summary": "Fan broken", "attempts": 1, "priority": "critical" })).await;
    server.app_dial(&desk).await;
    let sent = taken(server, gateway, 2).await;
    let code = texts(server, &second).await[0]["body"]["code"].as_str().unwrap().to_owned();
    assert!(sent[1].1.contains(&format!("Reply 1 {code} to take it, 2 {code} if you cannot.")), "{sent:?}");
    (first, second, code)
}

async fn of_several_that_are_open_a_code_says_which(home: Home) {
    let (server, gateway, inbound) = start(home).await;
    let (first, second, code) = two(&server, &gateway).await;
    server.pass(1).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E1", A, "1")).await, "unclear");
    for id in [&first, &second] {
        assert_eq!(server.state(id).await, "ringing", "nobody is taken to have taken what they may not have meant");
    }
    let asked = taken(&server, &gateway, 3).await;
    let of_first = texts(&server, &first).await[0]["body"]["code"].as_str().unwrap().to_owned();
    assert!(asked[2].1.contains(&format!("{code} Fan broken; {of_first} Disk full")), "{asked:?}");
    server.pass(1).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E2", A, &format!("ok {of_first}"))).await, "confirmed");
    assert_eq!((server.state(&first).await, server.state(&second).await), ("answered".to_owned(), "ringing".to_owned()));
    // One is left: it needs no code.
    server.pass(1).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E3", A, "1")).await, "confirmed");
    assert_eq!(server.state(&second).await, "answered");
}

async fn a_code_means_its_alarm_and_no_other(home: Home) {
    let (server, gateway, inbound) = start(home).await;
    let (first, second, code) = two(&server, &gateway).await;
    server.pass(1).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E1", A, "ok 2A2 or so")).await, "none", "no word and code alone");
    let other = if code == "2A2" { "2A3" } else { "2A2" };
    if texts(&server, &first).await[0]["body"]["code"] != other {
        assert_eq!(told(&server, &inbound, smsgate(&server, "E2", A, &format!("1 {other}"))).await, "unclear");
    }
    assert_eq!(told(&server, &inbound, smsgate(&server, "E3", B, &format!("1 {code}"))).await, "unclear", "it is Ann's");
    let unknown = smsgate(&server, "E0", "18700009999", &format!("1 {code}"));
    assert_eq!(told(&server, &inbound, unknown).await, "stranger", "whoever that is, it is not answered");
    server.pass(1).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E4", A, &format!("{} no", code.to_lowercase()))).await, "declined");
    assert_eq!(server.alarm(&second).await["callees"][0]["verdict"], "declined");
    assert!(server.alarm(&first).await["callees"][0]["verdict"].is_null());
    // After the end it is answered, and does nothing.
    assert_eq!(server.post(&format!("/api/v1/alarms/{second}/cancel"), &json!({})).await.0, 200);
    server.pass(1).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E5", A, &format!("1 {code}"))).await, "over");
    assert_eq!(server.state(&first).await, "ringing");
    autocall_tests::wait::eventually("that is said", std::time::Duration::from_secs(30), async || {
        send(&server).await;
        gateway.sent().iter().any(|(_, text)| text.contains("It is over: Fan broken")).then_some(())
    })
    .await;
}

async fn what_somebody_was_only_called_for_gets_a_code_when_it_is_not_clear(home: Home) {
    let (server, gateway, inbound) = start(home).await;
    let step = json!({ "ring": [{ "person": "Ann" }], "attempts": 2, "min_interval_seconds": 0 });
    assert_eq!(server.put("/api/v1/policies/ops", &json!({ "steps": [step], "texts": true })).await.0, 201);
    let desk = server.pair("desk", Profile::App).await;
    let first = server.raise(&[], json!({ "policy": "ops", "summary": "Disk full" })).await;
    let (mid, _) = server.app_dial(&desk).await;
    taken(&server, &gateway, 1).await;
    server.report(&desk, &mid, None).await;
    server.pass(76).await;
    // Of this one no message tells her; and its call is the latest.
    let second = server.raise(&[A], json!({ "summary": "Fan broken", "attempts": 1, "priority": "critical" })).await;
    server.app_dial(&desk).await;
    server.pass(1).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E1", A, "1")).await, "unclear");
    assert_eq!((server.state(&first).await, server.state(&second).await), ("ringing".to_owned(), "ringing".to_owned()));
    let asked = taken(&server, &gateway, 2).await.remove(1).1;
    let of_first = texts(&server, &first).await[0]["body"]["code"].as_str().unwrap().to_owned();
    let both = asked.strip_prefix("Which one? Send 1 or 2 with its code: ").unwrap();
    let (code, rest) = both.split_at(3);
    assert_eq!(rest, format!(" Fan broken; {of_first} Disk full"));
    server.pass(1).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E2", A, &format!("1 {code}"))).await, "confirmed");
    assert_eq!((server.state(&first).await, server.state(&second).await), ("ringing".to_owned(), "answered".to_owned()));
    // The latest call is dealt with, and the other alarm is not taken by the way.
    server.pass(1).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E3", A, "1")).await, "unclear");
    assert!(taken(&server, &gateway, 4).await[3].1.ends_with(&format!("its code: {of_first} Disk full")), "{:?}", gateway.sent());
    server.pass(1).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E4", A, &format!("2 {of_first}"))).await, "declined");
    // What she has declined she is not asked about.
    server.pass(1).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E5", A, "1")).await, "already");
}

async fn an_alarm_that_was_over_before_the_text_left_is_not_told(home: Home) {
    let (server, gateway, _) = start(home).await;
    tell(&server, "Ann", always()).await;
    tell(&server, "Bob", always()).await;
    let desk = server.pair("desk", Profile::List).await;
    gateway.set_away(true);
    let over = server.raise(&[A], json!({ "attempts": 1 })).await;
    server.dial(&desk).await;
    send(&server).await;
    assert_eq!(server.post(&format!("/api/v1/alarms/{over}/cancel"), &json!({})).await.0, 200);
    gateway.set_away(false);
    server.pass(200).await;
    // Somebody else takes one before it is told.
    gateway.set_away(true);
    let taken_by_another = server.raise(&[B], json!({ "attempts": 1 })).await;
    server.dial(&desk).await;
    send(&server).await;
    let (status, answer) =
        server.post(&format!("/api/v1/alarms/{taken_by_another}/acknowledge"), &json!({ "name": "Lin" })).await;
    assert_eq!(status, 200, "{answer}");
    gateway.set_away(false);
    server.pass(200).await;
    for (id, why) in [(&over, "the alarm was over"), (&taken_by_another, "somebody had taken the alarm")] {
        let last = autocall_tests::wait::eventually("it is given up", std::time::Duration::from_secs(30), async || {
            send(&server).await;
            texts(&server, id).await.into_iter().find(|event| event["body"]["again"] == false)
        })
        .await;
        assert!(last["kind"] == "not_texted" && last["body"]["why"].as_str().unwrap().contains(why), "{last}");
    }
    assert!(gateway.sent().is_empty(), "{:?}", gateway.sent());
}

async fn what_could_not_be_sent_is_said_and_tried_another_way(home: Home) {
    let (server, gateway, _) = start(home).await;
    tell(&server, "Ann", always()).await;
    let (second, url) = Gateway::open().await;
    let settings = json!({ "kind": "smsgate", "url": format!("{url}/message"), "user": "sms", "password": "secret", "sim": 1 });
    let (status, made) = server.post("/api/v1/sms/gateways", &json!({ "name": "second", "settings": settings })).await;
    assert_eq!(status, 201, "{made}");
    gateway.set_away(true);
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    server.dial(&desk).await;
    autocall_tests::wait::eventually("the second one takes it", std::time::Duration::from_secs(30), async || {
        send(&server).await;
        server.pass(11).await;
        (!second.sent().is_empty()).then_some(())
    })
    .await;
    let events = autocall_tests::wait::eventually("it is written down", std::time::Duration::from_secs(30), async || {
        Some(texts(&server, &id).await).filter(|events| events.len() == 2)
    })
    .await;
    let (failed, done) = (&events[0], &events[1]);
    assert!(failed["kind"] == "not_texted" && failed["body"]["again"] == true && failed["body"]["why"] == "HTTP 503", "{failed}");
    assert!(done["kind"] == "texted" && done["body"]["gateway"] == "second", "{done}");
}

async fn a_handset_that_is_away_keeps_nobody_from_being_told(home: Home) {
    let (server, gateway, _) = start(home).await;
    tell(&server, "Ann", always()).await;
    server.pair("pixel", Profile::Native).await;
    let settings = json!({ "kind": "handset", "handset": "pixel" });
    let (status, made) = server.post("/api/v1/sms/gateways", &json!({ "name": "first", "settings": settings })).await;
    assert_eq!(status, 201, "{made}");
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    server.dial(&desk).await;
    nothing_else(&server, &gateway, 0).await;
    server.pass(119).await;
    nothing_else(&server, &gateway, 0).await;
    server.pass(1).await;
    let failed = autocall_tests::wait::eventually("it is taken back", std::time::Duration::from_secs(30), async || {
        send(&server).await;
        texts(&server, &id).await.pop()
    })
    .await;
    assert!(failed["kind"] == "not_texted" && failed["body"]["again"] == true, "{failed}");
    server.pass(10).await;
    taken(&server, &gateway, 1).await;
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let ask = http.get(format!("{}/h/pixel/outbox", server.base)).header(android_protocol::wire::PROTOCOL_HEADER, "1");
    let fetched = ask.send().await.unwrap();
    assert_eq!(fetched.json::<Value>().await.unwrap()["code"], 1, "when it comes back it does not tell her again");
}

async fn quiet_hours_and_numbers_that_must_not_be_called_hold_for_texts(home: Home) {
    let (server, gateway, _) = start(home).await;
    tell(&server, "Ann", always()).await;
    tell(&server, "Bob", always()).await;
    // It is 11:00 in Shanghai.
    let quiet = json!({ "quiet_hours": [{ "person": "Ann", "from": "10:00", "to": "12:00", "zone": "Asia/Shanghai", "up_to": "normal" }] });
    assert_eq!(server.put("/api/v1/quiet-hours", &quiet).await.0, 200);
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    server.idle(&desk).await;
    nothing_else(&server, &gateway, 0).await;
    server.pass(3_601).await;
    let (mid, _) = server.dial(&desk).await;
    taken(&server, &gateway, 1).await;
    assert_eq!(texts(&server, &id).await.len(), 1);
    server.report(&desk, &mid, None).await;
    // Forbidden after the message was put into the outbox.
    gateway.set_away(true);
    let barred = server.raise(&[B], json!({ "attempts": 1, "priority": "critical" })).await;
    server.dial(&desk).await;
    send(&server).await;
    assert_eq!(server.post("/api/v1/do-not-call", &json!({ "number": B, "reason": "left" })).await.0, 201);
    gateway.set_away(false);
    server.pass(10).await;
    let last = autocall_tests::wait::eventually("it is given up", std::time::Duration::from_secs(30), async || {
        send(&server).await;
        texts(&server, &barred).await.into_iter().find(|event| event["body"]["again"] == false)
    })
    .await;
    assert!(last["body"]["why"].as_str().unwrap().contains("must not be called"), "{last}");
    nothing_else(&server, &gateway, 1).await;
}

async fn a_long_alarm_is_cut_and_what_to_reply_stays(home: Home) {
    let (server, gateway, _) = start(home.set("AUTOCALL_SMS_ALARM_PARTS", "1")).await;
    tell(&server, "Ann", always()).await;
    let desk = server.pair("desk", Profile::List).await;
    let summary = "the disk of the first database server is nearly full | downcall \n".repeat(6);
    server.raise(&[A], json!({ "attempts": 1, "summary": summary })).await;
    server.dial(&desk).await;
    let (_, text) = taken(&server, &gateway, 1).await.remove(0);
    assert!(text.chars().count() <= 160 && text.ends_with("... Reply 1 to take it, 2 if you cannot."), "{text}");
    assert!(!text.contains("downcall") && !text.contains('|') && !text.contains('\n'), "what the app obeys is left out: {text}");
}

async fn how_somebody_is_told_is_kept_like_everything_else(home: Home) {
    let (server, _, _) = start(home).await;
    let path = "/api/v1/people/Ann/told";
    assert_eq!(
        server.get(path).await,
        json!({ "alarm_texts": "policy", "shift_minutes": null, "put_on_duty": false, "ways": [] })
    );
    let all = json!({ "alarm_texts": "always", "shift_minutes": 30, "put_on_duty": true, "ways": [] });
    assert_eq!(server.put(path, &all).await, (200, all.clone()));
    assert_eq!(server.get(path).await, all);
    let patched = crate::roster::send(&server, "PATCH", path, Some(json!({ "shift_minutes": null }))).await;
    assert_eq!(patched, (200, json!({ "alarm_texts": "always", "shift_minutes": null, "put_on_duty": true, "ways": [] })));
    for (wrong, at) in [(json!({ "shift_minutes": 1441 }), "shift_minutes"), (json!({ "shift_minutes": -1 }), "shift_minutes")] {
        let (status, body) = server.put(path, &wrong).await;
        assert_eq!((status, body["errors"][0]["pointer"].as_str()), (422, Some(&*format!("/{at}"))), "{body}");
    }
    assert_eq!(server.put("/api/v1/people/nobody/told", &all).await.0, 404);
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let late = http.put(format!("{}{path}", server.base)).header("if-match", "\"made-up\"").json(&all).send().await.unwrap();
    assert_eq!(late.status(), 412);
    assert_eq!(server.get(path).await["shift_minutes"], Value::Null, "nothing was changed");
}

/// A schedule of these shifts in UTC; the clock stands at 03:00 on 20 November.
async fn schedule(server: &Server, name: &str, layer: Value) {
    let (status, made) = server.post("/api/v1/schedules", &json!({ "name": name, "zone": "UTC", "layers": [layer] })).await;
    assert_eq!(status, 201, "{made}");
}

/// Ann and Bob, an hour each: Ann from 03:00, Bob from 04:00.
fn hourly() -> Value {
    json!({ "name": "hourly", "people": ["Ann", "Bob"], "every": "1 hour", "start": "2026-11-20T03:00" })
}

async fn a_shift_that_begins_is_told_once(home: Home) {
    let (server, gateway, _) = start(home).await;
    tell(&server, "Bob", json!({ "shift_minutes": 0 })).await;
    schedule(&server, "ops", hourly()).await;
    server.pass(3_540).await;
    nothing_else(&server, &gateway, 0).await;
    let second = if server.home.is_shared() { Some(server.home.quiet_node().await) } else { None };
    server.pass(60).await;
    if let Some(second) = &second {
        second.app.engine.tick().await.unwrap();
    }
    let sent = taken(&server, &gateway, 1).await;
    assert_eq!(sent[0].0, "+8618812345678");
    assert_eq!(sent[0].1, "Your shift: ops, 2026-11-20 04:00 to 2026-11-20 05:00, UTC.");
    drop(second);
    let server = server.restart().await;
    server.pass(60).await;
    nothing_else(&server, &gateway, 1).await;
    // Ann's shift is none of Bob's, and his next one is another.
    server.pass(3_600).await;
    nothing_else(&server, &gateway, 1).await;
    server.pass(3_600).await;
    assert!(taken(&server, &gateway, 2).await[1].1.contains("06:00 to 2026-11-20 07:00"));
}

async fn a_shift_is_told_before_it_begins_and_not_to_whoever_has_it_already(home: Home) {
    let (server, gateway, _) = start(home).await;
    tell(&server, "Ann", json!({ "shift_minutes": 10 })).await;
    tell(&server, "Bob", json!({ "shift_minutes": 30 })).await;
    let layer = json!({ "name": "turns", "people": ["Ann", "Bob"], "every": "1 hour", "start": "2026-11-20T04:00" });
    schedule(&server, "ops", layer).await;
    // Ann has Bob's first turn too: with her own before and after it that is one shift.
    let swap = json!({ "starts_at": "2026-11-20T05:00", "ends_at": "2026-11-20T06:00", "action": "replace", "person": "Ann" });
    let (status, made) = server.post("/api/v1/schedules/ops/overrides", &swap).await;
    assert_eq!(status, 201, "{made}");
    server.pass(3_000).await;
    let sent = taken(&server, &gateway, 1).await;
    assert_eq!(sent[0], ("+8618712345678".to_owned(), "Your shift: ops, 2026-11-20 04:00 to 2026-11-20 07:00, UTC.".to_owned()));
    for _ in 0..7 {
        server.pass(1_200).await;
    }
    // 06:10: neither of Ann's later turns is a shift of its own.
    nothing_else(&server, &gateway, 1).await;
    server.pass(1_200).await;
    assert_eq!(taken(&server, &gateway, 2).await[1].0, "+8618812345678", "half an hour before 07:00");
    // Nobody is told of a shift that began long ago: the server was away.
    let home = server.stop().await;
    home.clock.advance(chrono::TimeDelta::hours(3));
    let server = home.start().await;
    server.pass(60).await;
    nothing_else(&server, &gateway, 2).await;
}

async fn whoever_is_put_on_duty_by_somebody_else_is_told(home: Home) {
    let (server, gateway, _) = start(home).await;
    let layer = json!({ "name": "weekly", "people": ["Ann"], "every": "1 week", "start": "2026-11-16T00:00" });
    schedule(&server, "ops", layer).await;
    for name in ["Ann", "Bob"] {
        tell(&server, name, json!({ "put_on_duty": true })).await;
    }
    let put = async |from: &str, to: &str, action: &str| {
        let body = json!({ "starts_at": from, "ends_at": to, "action": action, "person": "Bob" });
        let (status, made) = server.post("/api/v1/schedules/ops/overrides", &body).await;
        assert_eq!(status, 201, "{made}");
    };
    put("2026-11-20T04:00", "2026-11-20T06:00", "replace").await;
    let sent = taken(&server, &gateway, 1).await;
    let text = "You were put on duty: ops, 2026-11-20 04:00 to 2026-11-20 06:00, UTC.";
    assert_eq!(sent[0], ("+8618812345678".to_owned(), text.to_owned()), "Ann is taken off, which is not told");
    // What is far away, and whoever has it already.
    put("2026-11-22T04:00", "2026-11-22T06:00", "replace").await;
    put("2026-11-20T04:30", "2026-11-20T05:00", "add").await;
    nothing_else(&server, &gateway, 1).await;
    // Bob, who is a user of the pages, puts himself on duty.
    let login = Login::new(&Passwords::default(), "bob", "a long password").await.unwrap();
    let store = &server.app.engine.store;
    let bob = store.read().await.unwrap().db().person_by_name("Bob").await.unwrap().unwrap();
    let add = async |work: &mut Work| users::add(work, login, Role::Admin, Some(bob.id)).await;
    store.carry_out(server.now(), Doer::Server, add).await.unwrap();
    let by = async |user: &str, from: &str, to: &str| {
        let (action, person) = ("replace".to_owned(), "Bob".to_owned());
        let form = OverrideForm { action, person, from: from.to_owned(), to: to.to_owned(), ..OverrideForm::default() };
        let add = async |work: &mut Work| add_override(work, "ops", &form, user, &Expected::Anything).await;
        store.carry_out(server.now(), Doer::User { name: user.to_owned() }, add).await.unwrap();
    };
    by("bob", "2026-11-20T08:00", "2026-11-20T09:00").await;
    nothing_else(&server, &gateway, 1).await;
    by("lin", "2026-11-20T10:00", "2026-11-20T11:00").await;
    assert!(taken(&server, &gateway, 2).await[1].1.contains("10:00 to 2026-11-20 11:00"));
}

async fn what_begins_at_once_is_told_once(home: Home) {
    let (server, gateway, _) = start(home).await;
    schedule(&server, "ops", json!({ "name": "weekly", "people": ["Ann"], "every": "1 week", "start": "2026-11-16T00:00" }))
        .await;
    tell(&server, "Bob", json!({ "put_on_duty": true, "shift_minutes": 60 })).await;
    let put = async |from: &str, to: &str| {
        let body = json!({ "starts_at": from, "ends_at": to, "action": "replace", "person": "Bob" });
        let (status, made) = server.post("/api/v1/schedules/ops/overrides", &body).await;
        assert_eq!(status, 201, "{made}");
    };
    // His shift would be told of at the same time; the second one has begun already.
    put("2026-11-20T04:00", "2026-11-20T05:00").await;
    put("2026-11-20T02:55", "2026-11-20T03:30").await;
    let sent = taken(&server, &gateway, 2).await;
    assert!(sent.iter().all(|(_, text)| text.starts_with("You were put on duty: ops")), "{sent:?}");
    server.pass(60).await;
    nothing_else(&server, &gateway, 2).await;
    // What begins later is told of when it is near.
    put("2026-11-20T08:00", "2026-11-20T09:00").await;
    taken(&server, &gateway, 3).await;
    server.pass(4 * 3_600).await;
    assert!(taken(&server, &gateway, 4).await[3].1.starts_with("Your shift: ops, 2026-11-20 08:00"));
}

async fn whoever_a_file_puts_on_duty_is_told(home: Home) {
    let (server, gateway, _) = start(home).await;
    schedule(&server, "ops", json!({ "name": "weekly", "people": ["Ann"], "every": "1 week", "start": "2026-11-16T00:00" }))
        .await;
    tell(&server, "Ann", json!({ "put_on_duty": true })).await;
    tell(&server, "Bob", json!({ "put_on_duty": true })).await;
    let swap = json!({ "starts_at": "2026-11-20T04:00", "ends_at": "2026-11-20T06:00", "action": "replace", "person": "Bob" });
    assert_eq!(server.post("/api/v1/schedules/ops/overrides", &swap).await.0, 201);
    taken(&server, &gateway, 1).await;
    // What a file removes is removed before it adds anything.
    let file = "managed = [\"overrides\"]\n\n[[teams]]\nname = \"new\"\nmembers = [\"Bob\"]\n\n[end]\n";
    let document = reading::read(file).unwrap();
    let wish = Wish { document, remove: false, region: Region::CN, at: server.now() };
    let app = &server.app;
    let plan = apply::plan(&mut app.engine.store.read().await.unwrap().db(), &wish).await.unwrap();
    app.engine.carry_out(Doer::CommandLine, async |work| apply::apply(work, &wish, &plan, "test").await).await.unwrap();
    let last = taken(&server, &gateway, 2).await.remove(1);
    let text = "You were put on duty: ops, from 2026-11-20 04:00";
    assert!(last.0 == "+8618712345678" && last.1.starts_with(text), "{last:?}");
}
