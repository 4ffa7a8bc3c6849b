//! Our own protocol: long polls, outcomes, progress, status, commands.

use std::time::Duration;

use android_protocol::wire::{CommandKind, PROTOCOL_HEADER};
use autocall::engine::Doer;
use autocall::ids::CommandId;
use autocall::keep::pairing;
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use serde_json::{Value, json};

use crate::harness::{A, B, C, Home, Server, on_both};

on_both!(
    an_offer_says_what_it_is_about,
    a_long_poll_is_answered_when_something_is_due,
    a_handset_that_is_disabled_while_it_waits_is_given_nothing,
    one_look_serves_all_who_wait,
    who_is_woken_and_cannot_take_it_passes_it_on,
    an_alarm_for_each_who_waits_is_taken_at_once,
    commands_reach_who_waits_for_them,
    a_call_that_never_left_the_phone_is_not_counted,
    a_failing_handset_rests_longer_each_time,
    a_line_that_never_comes_back_ends_the_alarm,
    a_line_that_fails_goes_up_a_step_where_there_is_one,
    who_declines_is_not_rung_again,
    a_confirmed_answer,
    progress_is_kept_and_an_unwanted_dial_is_called_off,
    status_is_kept,
    commands_are_delivered_until_their_result_is_posted,
    wrong_bodies_change_nothing,
    a_text_message_on_its_sim_answers_the_alarm,
);

/// Sends a request as a native handset does.
pub async fn send(server: &Server, method: &str, path: &str, body: Option<Value>) -> Value {
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let request = http.request(method.parse().unwrap(), format!("{}{path}", server.base)).header(PROTOCOL_HEADER, "1");
    let request = if let Some(body) = body { request.json(&body) } else { request };
    request.sent().await.unwrap().json().await.unwrap()
}

pub async fn poll(server: &Server, path: &str) -> Value {
    send(server, "GET", path, None).await
}

pub async fn report(server: &Server, path: &str, mid: &Value, resp: &str, calls: Value) {
    let path = format!("{path}?mid={}{resp}", mid.as_str().unwrap());
    assert_eq!(send(server, "POST", &path, Some(json!({ "calls": calls }))).await, json!({ "code": 0 }));
}

async fn an_offer_says_what_it_is_about(home: Home) {
    let server = home.start().await;
    let people = autocall::keep::people_import::read_csv(
        "name,numbers,language\n李娜,18712345678,zh-CN\n",
        server.home.config().default_region,
    )
    .unwrap();
    server
        .app
        .engine
        .store
        .carry_out(server.home.clock.now(), Doer::Server, async |work| autocall::keep::people_import::import(work, &people).await)
        .await
        .unwrap();
    let pixel = server.pair("pixel", Profile::Auto).await;
    let id = server.raise(&[A, B], json!({ "priority": "high" })).await;
    let offer = poll(&server, &pixel).await;
    assert_eq!(offer["phone"], json!([A]), "one number at a time: it asks again at once");
    assert_eq!(offer["code"], 0);
    assert_eq!(offer["deadline"], 180);
    assert_eq!(
        offer["alarm"],
        json!({ "id": id, "summary": "disk full", "priority": "high", "language": "zh-CN", "text": "disk full" })
    );
    assert_eq!(offer["calls"], json!([{ "number": A, "name": "李娜", "ring_seconds": 75 }]));
    report(&server, &pixel, &offer["mid"], "", json!([{ "number": A, "outcome": "busy" }])).await;
    assert_eq!(poll(&server, &pixel).await["phone"], json!([B]), "its report proves that the line is free");
}

async fn a_long_poll_is_answered_when_something_is_due(home: Home) {
    let server = home.start().await;
    let pixel = server.pair("pixel", Profile::Native).await;
    let path = format!("{pixel}?wait=60");
    let waiting = poll(&server, &path);
    let raised = async {
        it_waits(&server).await;
        server.raise(&[A], json!({})).await
    };
    let (offer, _) = tokio::join!(waiting, raised);
    assert_eq!(offer["phone"], json!([A]));
}

/// Waits until the poll has come.
async fn it_waits(server: &Server) {
    autocall_tests::wait::eventually("the poll waits", Duration::from_secs(20), async || {
        server.app.engine.presence.last_seen(handset_id(server).await).map(|_| ())
    })
    .await;
}

async fn a_handset_that_is_disabled_while_it_waits_is_given_nothing(home: Home) {
    let server = home.start().await;
    let pixel = server.pair("pixel", Profile::Native).await;
    let path = format!("{pixel}?wait=60");
    let waiting = poll(&server, &path);
    let raised = async {
        it_waits(&server).await;
        // Seen again without asking again: it has been answered "nothing" once, and looks again by itself.
        server.home.clock.advance(chrono::TimeDelta::seconds(1));
        autocall_tests::wait::eventually("the poll looks again", Duration::from_secs(20), async || {
            (server.app.engine.presence.last_seen(handset_id(&server).await) == Some(server.now())).then_some(())
        })
        .await;
        server
            .app
            .engine
            .store
            .carry_out(server.now(), Doer::Server, async |work| pairing::set_disabled(work, "pixel", true).await)
            .await
            .unwrap();
        server.raise(&[A], json!({})).await
    };
    let (answer, id) = tokio::join!(waiting, raised);
    assert_eq!(answer["code"], 1, "{answer}");
    assert_eq!(server.state(&id).await, "waiting");
}

/// Handsets in long polls, each in a task of its own that gives the offer.
async fn let_wait(server: &Server, names: &[String]) -> Vec<tokio::task::JoinHandle<Value>> {
    let mut waiting = Vec::new();
    for name in names {
        let url = format!("{}{}?wait=60", server.base, server.pair(name, Profile::Native).await);
        waiting.push(tokio::spawn(async move {
            let http = autocall_tests::http_client().no_proxy().build().unwrap();
            http.get(url).header(PROTOCOL_HEADER, "1").sent().await.unwrap().json().await.unwrap()
        }));
    }
    autocall_tests::wait::eventually("all wait", Duration::from_mins(1), async || {
        let all = server.app.engine.store.read().await.unwrap().db().handsets().await.unwrap();
        let seen = all.iter().filter(|handset| server.app.engine.presence.last_seen(handset.id).is_some()).count();
        (seen == all.len()).then_some(())
    })
    .await;
    waiting
}

/// Ten alarms that no handset gets: each is announced twice or more, and everybody who waits might be meant.
async fn connections_for_ten_dry_runs(server: &Server) -> u64 {
    let before = server.app.engine.store.counters().connections();
    for number in 0..10 {
        server.raise(&[A], json!({ "dry_run": true, "dedup_key": format!("dry {number}") })).await;
        server.pass(1).await;
    }
    server.app.engine.store.counters().connections() - before
}

async fn one_look_serves_all_who_wait(home: Home) {
    let server = home.start().await;
    let mut waiting = let_wait(&server, &["first".to_owned(), "second".to_owned()]).await;
    let few = connections_for_ten_dry_runs(&server).await;
    let names: Vec<String> = (0..50).map(|number| format!("phone {number}")).collect();
    waiting.extend(let_wait(&server, &names.iter().map(|name| name.replace(' ', "-")).collect::<Vec<_>>()).await);
    let many = connections_for_ten_dry_runs(&server).await;
    // What happens beside, each second, is in both.
    assert!(many < few + 200, "{few} connections were taken with two handsets that wait, and {many} with fifty more");
    for poll in waiting {
        poll.abort();
    }
}

async fn who_is_woken_and_cannot_take_it_passes_it_on(home: Home) {
    let server = home.start().await;
    let resting = ["first".to_owned(), "second".to_owned(), "third".to_owned()];
    let waiting = let_wait(&server, &resting).await;
    let mut tx = server.app.engine.store.begin().await.unwrap();
    for handset in tx.db().handsets().await.unwrap() {
        tx.db().rest_handset(handset.id, server.now() + chrono::TimeDelta::hours(1)).await.unwrap();
    }
    tx.commit().await.unwrap();
    let able = let_wait(&server, &["last".to_owned()]).await.remove(0);
    let id = server.raise(&[A], json!({})).await;
    let offer = able.await.unwrap();
    assert_eq!((&offer["phone"], &offer["alarm"]["id"]), (&json!([A]), &json!(id)));
    assert!(waiting.iter().all(|poll| !poll.is_finished()), "those that rest go on waiting");
    for poll in waiting {
        poll.abort();
    }
}

async fn an_alarm_for_each_who_waits_is_taken_at_once(home: Home) {
    let server = home.start().await;
    let names: Vec<String> = (0..12).map(|number| format!("phone-{number}")).collect();
    let waiting = let_wait(&server, &names).await;
    for number in 10..22 {
        server.raise(&[&format!("187123456{number}")], json!({})).await;
    }
    let mut rung = std::collections::BTreeSet::new();
    for poll in waiting {
        let offer = poll.await.unwrap();
        rung.insert(offer["phone"][0].as_str().unwrap().to_owned());
    }
    assert_eq!(rung.len(), 12, "{rung:?}");
}

async fn commands_reach_who_waits_for_them(home: Home) {
    let server = home.start().await;
    let pixel = server.pair("pixel", Profile::Native).await.replace("/alert/phone", "/outbox?wait=60");
    let (waiting, id) = tokio::join!(send(&server, "GET", &pixel, None), async {
        autocall_tests::wait::eventually("it waits", Duration::from_secs(20), async || {
            (server.app.engine.lookout.commands.waiting() == 1).then_some(())
        })
        .await;
        let mut tx = server.app.engine.store.begin().await.unwrap();
        let id = CommandId::new(server.now());
        let handset = tx.db().handsets().await.unwrap()[0].id;
        let body = CommandKind::Sms { number: "18712345678".to_owned(), text: "you are on duty".to_owned() };
        tx.db().insert_command(id, handset, &body, server.now()).await.unwrap();
        // Not announced: found within a second all the same.
        tx.commit().await.unwrap();
        id
    });
    assert_eq!(waiting["commands"][0]["id"], json!(id), "{waiting}");
}

async fn handset_id(server: &Server) -> autocall::ids::HandsetId {
    server.app.engine.store.read().await.unwrap().db().handsets().await.unwrap()[0].id
}

async fn a_call_that_never_left_the_phone_is_not_counted(home: Home) {
    let server = home.start().await;
    let (pixel, desk) = (server.pair("pixel", Profile::Native).await, server.pair("desk", Profile::App).await);
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let offer = poll(&server, &pixel).await;
    report(&server, &pixel, &offer["mid"], "", json!([{ "number": A, "outcome": "failed" }])).await;
    assert_eq!(server.alarm(&id).await["callees"][0]["attempts"], 0);
    assert_eq!(poll(&server, &pixel).await["code"], 1, "another handset is preferred");
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(&id).await, "answered");
}

async fn a_failing_handset_rests_longer_each_time(home: Home) {
    let server = home.start().await;
    let pixel = server.pair("pixel", Profile::Native).await;
    let id = server.raise(&[A], json!({ "attempts": 2 })).await;
    for rest in [30, 60, 120, 240, 300] {
        fails(&server, &pixel).await;
        server.pass(rest - 1).await;
        assert_eq!(poll(&server, &pixel).await["code"], 1);
        server.pass(1).await;
    }
    let offer = poll(&server, &pixel).await;
    report(&server, &pixel, &offer["mid"], &format!("&resp={A}"), json!([{ "number": A, "outcome": "answered" }])).await;
    assert_eq!(server.state(&id).await, "answered", "its line is back, and the alarm is not lost");
}

/// Is given a call, and says that it never left the handset.
async fn fails(server: &Server, path: &str) {
    let offer = poll(server, path).await;
    assert_eq!(offer["phone"], json!([A]), "{offer}");
    report(server, path, &offer["mid"], "", json!([{ "number": A, "outcome": "failed" }])).await;
}

async fn a_line_that_never_comes_back_ends_the_alarm(home: Home) {
    let server = home.start().await;
    let pixel = server.pair("pixel", Profile::Native).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    for rest in [30, 60, 120, 240, 300, 300, 300, 300] {
        fails(&server, &pixel).await;
        server.pass(rest).await;
        if server.state(&id).await == "no_answer" {
            break;
        }
    }
    let alarm = server.alarm(&id).await;
    assert_eq!((alarm["state"].as_str(), alarm["reason"].as_str()), (Some("no_answer"), Some("hand_out_limit")), "{alarm}");
}

/// What no handset can call keeps nobody from being called who comes after.
async fn a_line_that_fails_goes_up_a_step_where_there_is_one(home: Home) {
    let server = home.start().await;
    let pixel = server.pair("pixel", Profile::Native).await;
    let steps = json!([{ "ring": [crate::escalation::number(A)], "attempts": 1, "wait_seconds": 3_000 }, { "ring": [crate::escalation::number(B)] }]);
    crate::escalation::policy(&server, "ops", json!({ "steps": steps })).await;
    crate::escalation::raise_by(&server, "ops", json!({})).await;
    for rest in [30, 60] {
        fails(&server, &pixel).await;
        server.pass(rest).await;
    }
    assert_eq!(poll(&server, &pixel).await["phone"], json!([B]));
}

async fn who_declines_is_not_rung_again(home: Home) {
    let server = home.start().await;
    let pixel = server.pair("pixel", Profile::Native).await;
    let id = server.raise(&[A, B], json!({ "attempts": 2, "min_interval_seconds": 0 })).await;
    let offer = poll(&server, &pixel).await;
    let calls = json!([{ "number": A, "outcome": "answered", "declined": true }]);
    report(&server, &pixel, &offer["mid"], &format!("&resp={A}"), calls).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((alarm["state"].as_str(), alarm["callees"][0]["verdict"].as_str()), (Some("ringing"), Some("declined")));
    for _ in 0..2 {
        let offer = poll(&server, &pixel).await;
        assert_eq!(offer["phone"], json!([B]), "it goes on at once, and never back to A");
        report(&server, &pixel, &offer["mid"], "", json!([{ "number": B, "outcome": "no_answer" }])).await;
    }
    assert_eq!(server.state(&id).await, "no_answer");
}

async fn a_confirmed_answer(home: Home) {
    let server = home.start().await;
    let pixel = server.pair("pixel", Profile::Native).await;
    let id = server.raise(&[A], json!({})).await;
    let offer = poll(&server, &pixel).await;
    let calls = json!([{ "number": A, "outcome": "answered", "confirmed": true, "talk_seconds": 9, "unknown_key": [] }]);
    report(&server, &pixel, &offer["mid"], "", calls).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["state"], "answered", "the outcome names who answered, also without resp");
    assert!(alarm["answer"]["confirmed_at"].is_string());
}

async fn progress_is_kept_and_an_unwanted_dial_is_called_off(home: Home) {
    let server = home.start().await;
    let pixel = server.pair("pixel", Profile::Native).await;
    let id = server.raise(&[A], json!({})).await;
    let offer = poll(&server, &pixel).await;
    let mid = offer["mid"].as_str().unwrap();
    let progress = format!("/h/pixel/progress?mid={mid}");
    let ringing = json!({ "number": A, "state": "alerting" });
    assert_eq!(send(&server, "POST", &progress, Some(ringing.clone())).await["code"], 0);
    assert_eq!(server.alarm(&id).await["dials"][0]["progress"], json!([{ "number": A, "phone_number": A, "state": "alerting" }]));
    server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
    assert_eq!(send(&server, "POST", &progress, Some(ringing)).await["code"], 2, "hang up if possible");
    report(&server, &pixel, &offer["mid"], "", json!([{ "number": A, "outcome": "not_dialled" }])).await;
    server.raise(&[C], json!({})).await;
    assert_eq!(poll(&server, &pixel).await["phone"], json!([C]), "its report proves that the line is free");
}

async fn status_is_kept(home: Home) {
    let server = home.start().await;
    server.pair("pixel", Profile::Native).await;
    let status = json!({ "battery": 81, "charging": true, "android": "13", "line": "idle", "surprise": 1 });
    assert_eq!(send(&server, "POST", "/h/pixel/status", Some(status)).await["code"], 0);
    let rows = server.app.engine.store.read().await.unwrap().db().handsets().await.unwrap();
    let kept = rows[0].status.as_ref().unwrap();
    assert_eq!((kept["battery"].as_i64(), kept["surprise"].is_null()), (Some(81), true));
}

async fn commands_are_delivered_until_their_result_is_posted(home: Home) {
    let server = home.start().await;
    server.pair("pixel", Profile::Native).await;
    server.pair("other", Profile::Native).await;
    assert_eq!(poll(&server, "/h/pixel/outbox").await, json!({ "code": 1, "commands": [] }));
    let rows = server.app.engine.store.read().await.unwrap().db().handsets().await.unwrap();
    let pixel = rows.iter().find(|handset| handset.name == "pixel").unwrap();
    let id = CommandId::new(server.now());
    let mut tx = server.app.engine.store.begin().await.unwrap();
    let body = CommandKind::Sms { number: A.to_owned(), text: "hello".to_owned() };
    tx.db().insert_command(id, pixel.id, &body, server.now()).await.unwrap();
    tx.commit().await.unwrap();
    let expected = json!({ "code": 0, "commands": [{ "id": id, "kind": "sms", "number": A, "text": "hello" }] });
    assert_eq!(poll(&server, "/h/pixel/outbox").await, expected);
    assert_eq!(poll(&server, "/h/pixel/outbox").await, expected, "until its result is there");
    let path = format!("/h/other/outbox/{id}");
    send(&server, "POST", &path, Some(json!({ "ok": true }))).await;
    assert_eq!(poll(&server, "/h/pixel/outbox").await, expected, "another handset cannot answer for it");
    let path = format!("/h/pixel/outbox/{id}");
    assert_eq!(send(&server, "POST", &path, Some(json!({ "ok": true }))).await["code"], 0);
    assert_eq!(poll(&server, "/h/pixel/outbox").await["code"], 1);
}

async fn wrong_bodies_change_nothing(home: Home) {
    let server = home.start().await;
    let pixel = server.pair("pixel", Profile::Native).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let offer = poll(&server, &pixel).await;
    for path in ["/h/pixel/progress?mid=", "/h/pixel/outbox/nonsense", "/h/pixel/elsewhere", "/h/wrong/status"] {
        assert_eq!(send(&server, "POST", path, Some(json!([1]))).await["code"], 1, "{path}");
    }
    assert_eq!(server.state(&id).await, "ringing");
    // A report whose body is nonsense still is a report.
    let path = format!("{pixel}?mid={}", offer["mid"].as_str().unwrap());
    assert_eq!(send(&server, "POST", &path, Some(json!("nonsense"))).await["code"], 0);
    assert_eq!(server.state(&id).await, "no_answer");
}

async fn a_text_message_on_its_sim_answers_the_alarm(home: Home) {
    let server = home.start().await;
    let pixel = server.pair("pixel", Profile::Auto).await;
    let id = server.raise(&[A], json!({})).await;
    let mid = poll(&server, &pixel).await["mid"].clone();
    report(&server, &pixel, &mid, &format!("&resp={A}"), json!([{ "number": A, "outcome": "answered", "confirmed": null }]))
        .await;
    let inbound = pixel.replace("/alert/phone", "/inbound");
    let text = json!({ "id": "7", "from": A, "text": "1", "received_at": server.now().to_rfc3339(), "parts": 1 });

    let refused = send(&server, "POST", &inbound, Some(text.clone())).await;
    assert_eq!(refused["code"], 1, "it is no gateway yet, and keeps the message: {refused}");
    let settings = json!({ "kind": "handset", "handset": "pixel" });
    server.post("/api/v1/sms/gateways", &json!({ "name": "phone", "settings": settings })).await;
    for _ in 0..2 {
        assert_eq!(send(&server, "POST", &inbound, Some(text.clone())).await, json!({ "code": 0 }));
    }
    assert!(!server.alarm(&id).await["answer"]["confirmed_at"].is_null());
    assert_eq!(server.get("/api/v1/sms/inbox").await["items"].as_array().unwrap().len(), 1, "told twice, kept once");
    for wrong in [json!([]), json!({ "text": "1" }), json!({ "from": " ", "text": "1" })] {
        assert_eq!(send(&server, "POST", &inbound, Some(wrong)).await["code"], 1);
    }
}
