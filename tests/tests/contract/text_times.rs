//! What a text message says counts for the moment at which it was written, for the calls that its sender had been given by then, and once.

use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use chrono::{DateTime, FixedOffset, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::gateway::{Gateway, add_smsgate, near, taken};
use crate::harness::{A, B, Home, Server, on_both};

on_both!(
    a_reply_of_three_days_ago_takes_nothing,
    a_stop_of_300_days_ago_bars_nobody,
    a_reply_is_for_what_its_sender_had_been_given_by_then,
    what_was_written_before_the_call_is_not_for_it,
    five_seconds_before_the_hand_out_is_stored,
    an_hour_old_is_too_old,
    a_wrong_clock_does_no_harm_where_the_sending_is_told,
    texts_that_came_equally_late_change_no_other,
    a_clock_that_was_set_changes_no_other_text,
    a_clock_ahead_does_no_harm,
    a_clock_behind_is_learned,
    late_messages_teach_no_clock,
    a_time_without_a_zone_is_of_the_gateway_s_zone,
    a_time_that_cannot_be_read_is_not_told,
    one_text_by_two_webhooks_is_one,
    a_second_text_in_the_same_minute_is_a_second_one,
    the_same_words_without_time_and_id_are_one_for_a_minute,
    the_same_delivery_at_once_counts_once,
    eight_replies_need_one_reader,
    a_test_call_takes_no_reply,
    what_joined_later_is_rung_on,
    a_decline_is_for_what_the_call_was_about,
    a_reply_finds_the_hunt_that_came_since,
    an_older_word_changes_nothing,
    an_older_receipt_changes_nothing,
);

/// The first alarm's summary and the like do not matter here: only whom it rings, and when.
async fn server_with_phone(home: Home) -> (Server, String, String) {
    let server = near(home).start().await;
    let (_, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    let desk = server.pair("desk", Profile::App).await;
    (server, inbound, desk)
}

/// A was rung at the clock's first moment.
async fn ringing(home: Home) -> (Server, String, String, String) {
    let (server, inbound, desk) = server_with_phone(home).await;
    let id = server.raise(&[A, B], json!({ "attempts": 1 })).await;
    assert_eq!(server.app_dial(&desk).await.1, [A]);
    (server, inbound, desk, id)
}

fn rfc3339(at: DateTime<Utc>) -> String {
    let shanghai = FixedOffset::east_opt(8 * 3600).unwrap();
    at.with_timezone(&shanghai).to_rfc3339_opts(SecondsFormat::Millis, false)
}

fn received(id: &str, sender: &str, text: &str, at: DateTime<Utc>) -> Value {
    json!({ "deviceId": "d", "event": "sms:received", "id": id, "webhookId": "w",
        "payload": { "messageId": "m", "message": text, "sender": sender, "phoneNumber": sender, "simNumber": 1,
            "receivedAt": rfc3339(at) } })
}

async fn told(server: &Server, inbound: &str, message: &Value) -> String {
    let (status, answer) = server.post(inbound, message).await;
    assert_eq!(status, 200, "{answer}");
    answer["effect"].as_str().unwrap().to_owned()
}

/// Told with the time at which the phone sends it.
async fn told_at(server: &Server, inbound: &str, message: &Value, sent: DateTime<Utc>) -> String {
    let request = autocall_tests::http_client().build().unwrap().post(format!("{}{inbound}", server.base)).json(message);
    let response = request.header("x-timestamp", sent.timestamp().to_string()).sent().await.unwrap();
    assert_eq!(response.status(), 200);
    let answer: Value = response.json().await.unwrap();
    answer["effect"].as_str().unwrap().to_owned()
}

async fn form(server: &Server, inbound: &str, body: String) -> String {
    let request = autocall_tests::http_client().build().unwrap().post(format!("{}{inbound}", server.base)).body(body);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let answer: Value = request.sent().await.unwrap().json().await.unwrap();
    answer["effect"].as_str().unwrap().to_owned()
}

fn ago(server: &Server, seconds: i64) -> DateTime<Utc> {
    server.now() - TimeDelta::seconds(seconds)
}

const DAY: i64 = 86_400;

async fn a_reply_of_three_days_ago_takes_nothing(home: Home) {
    let (server, inbound, _, id) = ringing(home).await;
    let old = ago(&server, 3 * DAY);
    let forms = [
        received("e1", A, "1", old),
        json!({ "smsId": "s1", "message": "1", "sender": A, "webhookEvent": "MESSAGE_RECEIVED",
            "receivedAt": rfc3339(old - TimeDelta::seconds(1)) }),
        json!({ "from": A, "text": "1", "receivedStamp": (old - TimeDelta::seconds(2)).timestamp_millis() }),
        json!({ "specversion": "1.0", "id": "c1", "type": "message.phone.received", "time": server.now().to_rfc3339(),
            "data": { "contact": format!("+86{A}"), "content": "1", "owner": "+8613300002222",
                "timestamp": (old - TimeDelta::seconds(3)).to_rfc3339() } }),
    ];
    for message in &forms {
        assert_eq!(told(&server, &inbound, message).await, "too_late", "{message}");
        assert_eq!(told(&server, &inbound, message).await, "repeated", "{message}");
    }
    assert_eq!(server.state(&id).await, "ringing");
    let kept = server.items("/api/v1/sms/inbox").await;
    assert_eq!((kept.as_array().unwrap().len(), kept[3]["effect"].as_str()), (4, Some("too_late")), "shown");
    let written: DateTime<Utc> = kept[3]["written_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(written, old, "with the time at which the phone got it");
}

async fn a_stop_of_300_days_ago_bars_nobody(home: Home) {
    let (server, inbound, _, id) = ringing(home).await;
    assert_eq!(told(&server, &inbound, &received("e1", A, "stop", ago(&server, 300 * DAY))).await, "too_late");
    assert_eq!(told(&server, &inbound, &received("e2", A, "stop", ago(&server, 2 * DAY))).await, "too_late");
    let forbidden = server.app.engine.store.read().await.unwrap().db().forbidden_numbers().await.unwrap();
    assert!(forbidden.is_empty());
    let alarm = server.alarm(&id).await;
    assert!(alarm["state"] == "ringing" && alarm["callees"][0]["verdict"].is_null(), "{alarm}");
}

async fn a_reply_is_for_what_its_sender_had_been_given_by_then(home: Home) {
    let (server, inbound, desk, first) = ringing(home).await;
    let written = ago(&server, -60);
    server.pass(90).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, None).await;
    server.pass(76).await;
    let second = server.raise(&[A], json!({ "attempts": 1, "priority": "critical" })).await;
    assert_eq!(server.app_dial(&desk).await.1, [A]);
    assert_eq!(told(&server, &inbound, &received("e1", A, "1", written)).await, "confirmed");
    assert_eq!((server.state(&first).await, server.state(&second).await), ("answered".to_owned(), "ringing".to_owned()));
    let timeline = server.alarm(&second).await["timeline"].to_string();
    assert!(!timeline.contains("acknowledged"), "{timeline}");
}

/// The tolerance is for whoever would otherwise have been given nothing.
async fn what_was_written_before_the_call_is_not_for_it(home: Home) {
    let (server, inbound, desk, first) = ringing(home).await;
    server.pass(90).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, None).await;
    server.pass(76).await;
    server.post(&format!("/api/v1/alarms/{first}/cancel"), &json!({})).await;
    let second = server.raise(&[A], json!({ "attempts": 1 })).await;
    assert_eq!(server.app_dial(&desk).await.1, [A]);
    let written = ago(&server, 10);
    server.pass(20).await;
    assert_eq!(told(&server, &inbound, &received("e1", A, "1", written)).await, "over");
    assert_eq!(server.state(&second).await, "ringing");
}

async fn five_seconds_before_the_hand_out_is_stored(home: Home) {
    let (server, inbound, _, id) = ringing(home).await;
    assert_eq!(told(&server, &inbound, &received("e1", A, "1", ago(&server, 180))).await, "stranger", "nobody had rung");
    assert_eq!(told(&server, &inbound, &received("e2", A, "1", ago(&server, 5))).await, "confirmed");
    assert_eq!(server.state(&id).await, "answered");
}

async fn an_hour_old_is_too_old(home: Home) {
    let (server, inbound, desk, id) = ringing(home.set("AUTOCALL_SMS_REPLY_WINDOW_MINUTES", "30")).await;
    let written = ago(&server, -10);
    server.pass(100).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, None).await;
    server.pass(31 * 60).await;
    server.app_poll(&desk).await;
    assert_eq!(told(&server, &inbound, &received("e1", A, "1", written)).await, "too_late");
    assert!(server.alarm(&id).await["answer"].is_null());
}

async fn a_wrong_clock_does_no_harm_where_the_sending_is_told(home: Home) {
    for off in [600, -600].map(TimeDelta::seconds) {
        let (server, inbound, _, id) = ringing(Home::new(kind(&home)).await).await;
        server.pass(30).await;
        let sent = server.now() + off;
        // Written three days ago, sent now, by the same wrong clock.
        let old = received("e1", A, "1", sent - TimeDelta::days(3));
        assert_eq!(told_at(&server, &inbound, &old, sent).await, "too_late");
        let before = received("e2", A, "2", sent - TimeDelta::seconds(300));
        assert_eq!(told_at(&server, &inbound, &before, sent).await, "stranger", "five minutes before they were rung");
        let reply = received("e3", A, "1", sent - TimeDelta::seconds(10));
        assert_eq!(told_at(&server, &inbound, &reply, sent).await, "confirmed");
        assert_eq!(server.state(&id).await, "answered");
    }
}

/// A gateway whose first try fails each time: its texts are late, its clock is right.
async fn texts_that_came_equally_late_change_no_other(home: Home) {
    let (server, inbound, desk, first) = ringing(home).await;
    server.pass(90).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, None).await;
    server.pass(76).await;
    let second = server.raise(&[A], json!({ "attempts": 1, "priority": "critical" })).await;
    assert_eq!(server.app_dial(&desk).await.1, [A]);
    server.pass(1).await;
    for (id, late) in [("e1", 300), ("e2", 200)] {
        let text = received(id, "+8613900001111", "hello", ago(&server, late));
        assert_eq!(told_at(&server, &inbound, &text, ago(&server, late - 40)).await, "stranger");
    }
    let reply = received("e3", A, "1", ago(&server, 40));
    assert_eq!(told_at(&server, &inbound, &reply, server.now()).await, "confirmed");
    assert_eq!((server.state(&first).await, server.state(&second).await), ("answered".to_owned(), "ringing".to_owned()));
}

/// Between the receipt of one text and its sending.
async fn a_clock_that_was_set_changes_no_other_text(home: Home) {
    let (server, inbound, _, id) = ringing(home).await;
    let set_since = received("e1", "+8613900001111", "hello", ago(&server, -600));
    assert_eq!(told_at(&server, &inbound, &set_since, server.now()).await, "stranger");
    server.pass(20).await;
    assert_eq!(told_at(&server, &inbound, &received("e2", A, "1", server.now()), server.now()).await, "confirmed");
    assert_eq!(server.state(&id).await, "answered");
}

fn kind(home: &Home) -> crate::harness::Kind {
    if home.is_shared() { crate::harness::Kind::Shared } else { crate::harness::Kind::Embedded }
}

async fn a_clock_ahead_does_no_harm(home: Home) {
    let (server, inbound, _, id) = ringing(home).await;
    server.pass(20).await;
    assert_eq!(told(&server, &inbound, &received("e1", A, "hello", ago(&server, -600))).await, "none");
    // The clock is known to be ahead by ten minutes: this was written a minute before the call.
    server.pass(1).await;
    assert_eq!(told(&server, &inbound, &received("e2", A, "1", ago(&server, -600 + 240))).await, "stranger");
    assert_eq!(told(&server, &inbound, &received("e3", A, "1", ago(&server, -599))).await, "confirmed");
    assert_eq!(server.state(&id).await, "answered");
}

async fn a_clock_behind_is_learned(home: Home) {
    let (server, inbound, desk) = server_with_phone(home).await;
    for minute in 0..3 {
        let hello = received(&format!("h{minute}"), "+8613900001111", "hello", ago(&server, 600));
        assert_eq!(told(&server, &inbound, &hello).await, "stranger");
        server.pass(90).await;
    }
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    server.app_dial(&desk).await;
    server.pass(20).await;
    let before = received("e1", A, "1", ago(&server, 600 + 200));
    assert_eq!(told(&server, &inbound, &before).await, "stranger", "three minutes before the call");
    assert_eq!(told(&server, &inbound, &received("e2", A, "1", ago(&server, 605))).await, "confirmed");
    assert_eq!(server.state(&id).await, "answered");
}

/// A gateway that was away tells what it kept: that it is late says nothing about its clock.
async fn late_messages_teach_no_clock(home: Home) {
    let (server, inbound, _, id) = ringing(home).await;
    server.pass(5).await;
    for (place, minutes) in [14, 13, 12, 11, 9, 7, 6].into_iter().enumerate() {
        let late = received(&format!("e{place}"), A, "1", ago(&server, minutes * 60));
        assert_eq!(told(&server, &inbound, &late).await, "stranger", "written {minutes} minutes ago");
    }
    assert_eq!(server.state(&id).await, "ringing");
}

async fn a_time_without_a_zone_is_of_the_gateway_s_zone(home: Home) {
    let (server, _, _, id) = ringing(home).await;
    let mut paths = Vec::new();
    for (name, zone) in [("here", "Asia/Shanghai"), ("there", "UTC")] {
        let settings = json!({ "kind": "smsforwarder", "url": "http://127.0.0.1:5000", "sim": 1 });
        let gateway = json!({ "name": name, "settings": settings, "zone": zone });
        let (status, made) = server.post("/api/v1/sms/gateways", &gateway).await;
        assert_eq!(status, 201, "{made}");
        paths.push(made["inbound_path"].as_str().unwrap().to_owned());
    }
    let wrong =
        json!({ "name": "x", "settings": { "kind": "smsforwarder", "url": "http://127.0.0.1", "sim": 1 }, "zone": "Mars" });
    assert_eq!(server.post("/api/v1/sms/gateways", &wrong).await.0, 422);
    server.pass(30).await;
    let wall = |at: DateTime<Utc>| (at + TimeDelta::hours(8)).format("%Y-%m-%d+%H:%M:%S").to_string();
    let body = |ago: i64| {
        let posted = server.now().timestamp_millis();
        let at = server.now() - TimeDelta::seconds(ago);
        format!("from=%2B86{A}&content=1&receive_time={}&timestamp={posted}&sign=x", wall(at))
    };
    assert_eq!(form(&server, &paths[0], body(400)).await, "stranger", "before the call, by Shanghai's clock");
    assert_eq!(form(&server, &paths[0], body(4 * 3600)).await, "too_late");
    // A zone that is eight hours off lets it seem ahead: then its arrival counts.
    assert_eq!(form(&server, &paths[1], body(7)).await, "confirmed");
    assert_eq!(server.state(&id).await, "answered");
}

async fn a_time_that_cannot_be_read_is_not_told(home: Home) {
    let (server, inbound, _, id) = ringing(home).await;
    server.pass(10).await;
    for (place, nonsense) in ["yesterday", "", "99999999999999999", "2026-13-45 99:99:99"].into_iter().enumerate() {
        let message = json!({ "from": A, "text": "1", "id": place, "receivedAt": nonsense });
        let expected = if place == 0 { "confirmed" } else { "already" };
        assert_eq!(told(&server, &inbound, &message).await, expected, "{nonsense}");
    }
    assert_eq!(server.state(&id).await, "answered");
}

async fn one_text_by_two_webhooks_is_one(home: Home) {
    let (server, inbound, desk, first) = ringing(home).await;
    server.pass(10).await;
    let written = server.now();
    assert_eq!(told(&server, &inbound, &received("e4a", &format!("+86{A}"), "1", written)).await, "confirmed");
    server.pass(76).await;
    let second = server.raise(&[A], json!({ "attempts": 1 })).await;
    assert_eq!(server.app_dial(&desk).await.1, [A]);
    for (event, sender) in [("e4b", format!("+86{A}")), ("e4a", A.to_owned())] {
        assert_eq!(told(&server, &inbound, &received(event, &sender, "1", written)).await, "repeated", "{event}");
    }
    assert_eq!((server.state(&first).await, server.state(&second).await), ("answered".to_owned(), "ringing".to_owned()));
}

async fn a_second_text_in_the_same_minute_is_a_second_one(home: Home) {
    let (server, inbound, _, _) = ringing(home).await;
    let id_only = |name: &str, id: &str| json!({ "from": A, "text": "1", name: id });
    assert_eq!(told(&server, &inbound, &id_only("smsId", "s1")).await, "confirmed");
    assert_eq!(told(&server, &inbound, &id_only("smsId", "s1")).await, "repeated");
    let stamp = server.now().timestamp_millis().to_string();
    for (name, id) in [("smsId", "s2"), ("idempotencyKey", "k2"), ("messageId", "m2"), ("sentStamp", &stamp)] {
        assert_eq!(told(&server, &inbound, &id_only(name, id)).await, "already", "{name}");
        assert_eq!(told(&server, &inbound, &id_only(name, id)).await, "repeated", "{name}");
    }
}

async fn the_same_words_without_time_and_id_are_one_for_a_minute(home: Home) {
    let (server, inbound, _, _) = ringing(home).await;
    // The time of posting is another one at each try, and no part of the message.
    let posted = |at: i64| json!({ "from": A, "content": "1", "timestamp": at, "sign": "x" });
    assert_eq!(told(&server, &inbound, &posted(1_763_607_600_000)).await, "confirmed");
    for step in 1..4 {
        server.pass(50).await;
        assert_eq!(
            told(&server, &inbound, &posted(1_763_607_600_000 + step)).await,
            "repeated",
            "each copy begins the minute anew"
        );
    }
    server.pass(61).await;
    assert_eq!(told(&server, &inbound, &posted(1_763_607_600_009)).await, "already");
    assert_eq!(server.items("/api/v1/sms/inbox").await.as_array().unwrap().len(), 2);
}

async fn the_same_delivery_at_once_counts_once(home: Home) {
    let (server, inbound, _, id) = ringing(home).await;
    let base = server.base.clone();
    for (mark, word, event) in [("e1", "1", "acknowledged"), ("e2", "stop", "opted_out")] {
        let message = received(mark, A, word, server.now());
        let untimed = json!({ "from": B, "content": word });
        let mut under_way = Vec::new();
        for copy in 0..8 {
            let client = autocall_tests::http_client().build().unwrap();
            let mut message = message.clone();
            message["id"] = json!(format!("{mark}{copy}"));
            let message = if copy % 2 == 0 { message } else { untimed.clone() };
            let url = format!("{base}{inbound}");
            under_way.push(tokio::spawn(async move {
                let response = client.post(url).json(&message).sent().await.unwrap();
                (response.status().as_u16(), response.json::<Value>().await.unwrap_or_default())
            }));
        }
        let mut fresh = Vec::new();
        for one in under_way {
            let (status, answer) = one.await.unwrap();
            assert_eq!(status, 200, "{answer}");
            fresh.extend(answer["effect"].as_str().filter(|effect| *effect != "repeated").map(str::to_owned));
        }
        assert_eq!(fresh.len(), 2, "one of A, one of B: {fresh:?}");
        let alarm = server.alarm(&id).await;
        let kinds = alarm["timeline"].as_array().unwrap().iter().filter(|line| line["kind"] == event).count();
        assert_eq!(kinds, 1, "{alarm}");
        assert_eq!(alarm["answers"].as_array().unwrap().len(), 1);
    }
}

/// A reply must not hold a connection while it waits for another one.
async fn eight_replies_need_one_reader(home: Home) {
    let (server, inbound, _, id) = ringing(home).await;
    // All but one; on Postgres one is the server's ear.
    let most = if server.home.is_shared() { 18 } else { 3 };
    let mut held = Vec::new();
    let store = &server.app.engine.store;
    while held.len() < most {
        held.push(store.read().await.unwrap());
    }
    let (status, answer) = server.post(&inbound, &received("e1", A, "1", server.now())).await;
    drop(held);
    assert_eq!((status, answer["effect"].as_str()), (200, Some("confirmed")), "{answer}");
    assert_eq!(server.state(&id).await, "answered");
}

async fn a_test_call_takes_no_reply(home: Home) {
    let (server, inbound, desk) = server_with_phone(home).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.pass(90).await;
    server.report(&desk, &mid, None).await;
    assert_eq!(server.state(&id).await, "no_answer");
    let second = server.pair("second", Profile::App).await;
    server.pass(1).await;
    let engine = &server.app.engine;
    let handset = engine.store.read().await.unwrap().db().handsets().await.unwrap();
    let handset = handset.into_iter().find(|handset| handset.name == "second").unwrap();
    let test = engine.test_call(&handset, &format!("+86{A}"), true).await.unwrap().alarm.id.to_string();
    server.pass(75).await;
    assert_eq!(server.app_dial(&second).await.1, [A]);
    server.pass(5).await;
    assert_eq!(told(&server, &inbound, &received("e1", A, "1", server.now())).await, "confirmed");
    assert_eq!((server.state(&id).await, server.state(&test).await), ("answered".to_owned(), "ringing".to_owned()));
    // The alarm is taken care of, and the next word is for it too.
    server.pass(5).await;
    assert_eq!(told(&server, &inbound, &received("e2", A, "1", server.now())).await, "already");
    assert_eq!(server.state(&test).await, "ringing");
}

fn joining(home: Home) -> Home {
    home.set("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS", "120")
}

async fn what_joined_later_is_rung_on(home: Home) {
    let (server, inbound, desk) = server_with_phone(joining(home)).await;
    let both = [server.raise(&[A, B], json!({})).await, server.raise(&[A, B], json!({})).await];
    assert_eq!(server.app_dial(&desk).await.1, [A]);
    server.pass(5).await;
    let later = server.raise(&[A, B], json!({})).await;
    server.pass(5).await;
    assert_eq!(told(&server, &inbound, &received("e1", A, "1", server.now())).await, "confirmed");
    for id in &both {
        assert_eq!(server.state(id).await, "answered", "it was in the call");
    }
    let alarm = server.alarm(&later).await;
    assert!(alarm["answer"].is_null() && ["waiting", "ringing"].contains(&alarm["state"].as_str().unwrap()), "{alarm}");
    server.pass(180).await;
    server.pass(80).await;
    assert_eq!(server.app_dial(&desk).await.1, [B], "the next one is rung for it");
    assert_eq!(told(&server, &inbound, &received("e2", A, "1", server.now())).await, "already", "A was not told of it");
    assert_eq!(told(&server, &inbound, &received("e3", B, "1", server.now())).await, "confirmed");
    assert_eq!(server.state(&later).await, "answered");
}

async fn a_decline_is_for_what_the_call_was_about(home: Home) {
    let (server, inbound, desk) = server_with_phone(joining(home)).await;
    let first = server.raise(&[A, B], json!({})).await;
    assert_eq!(server.app_dial(&desk).await.1, [A]);
    server.pass(5).await;
    let later = server.raise(&[A, B], json!({})).await;
    server.pass(5).await;
    assert_eq!(told(&server, &inbound, &received("e1", A, "2", server.now())).await, "declined");
    assert_eq!(server.alarm(&first).await["callees"][0]["verdict"], "declined");
    let alarm = server.alarm(&later).await;
    assert!(alarm["callees"][0]["verdict"].is_null(), "A has not seen this one: {alarm}");
}

async fn a_reply_finds_the_hunt_that_came_since(home: Home) {
    let (server, inbound, desk, id) = ringing(home).await;
    let written = ago(&server, -30);
    for _ in 0..2 {
        let (mid, _) = server.app_dial(&desk).await;
        server.report(&desk, &mid, None).await;
        server.pass(76).await;
    }
    server.app_idle(&desk).await;
    assert_eq!(server.state(&id).await, "no_answer");
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/redial"), &json!({})).await.0, 200);
    assert_eq!(told(&server, &inbound, &received("e1", A, "1", written)).await, "confirmed");
    let alarm = server.alarm(&id).await;
    assert_eq!((alarm["state"].as_str(), alarm["answer"]["callee_id"] == alarm["callees"][0]["id"]), (Some("answered"), true));
}

/// Whoever says yes after no means yes, in whichever order the words arrive.
async fn an_older_word_changes_nothing(home: Home) {
    let (server, inbound, _, id) = ringing(home).await;
    server.pass(60).await;
    assert_eq!(told(&server, &inbound, &received("e2", A, "1", ago(&server, 10))).await, "confirmed");
    for (mark, word) in [("e1", "2"), ("e0", "stop")] {
        assert_eq!(told(&server, &inbound, &received(mark, A, word, ago(&server, 30))).await, "outdated", "{word}");
    }
    let alarm = server.alarm(&id).await;
    assert!(alarm["state"] == "answered" && alarm["callees"][0]["verdict"].is_null(), "{alarm}");
}

async fn an_older_receipt_changes_nothing(home: Home) {
    let server = near(home).start().await;
    let (phone, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    let line = json!({ "name": "ops", "number": "13300001111", "sms_number": "13300002222", "carrier": "china-telecom",
        "android": 11, "gateway": "phone" });
    assert_eq!(server.post("/api/v1/lines", &line).await.0, 201);
    let mut ids = Vec::new();
    for (count, number) in [A, B].into_iter().enumerate() {
        let (status, said) = server.post("/api/v1/lines/ops/forward", &json!({ "number": number })).await;
        assert_eq!(status, 202, "{said}");
        taken(&server, &phone, count + 1).await;
        ids.push(phone.latest_id());
        server.pass(60).await;
    }
    let delivered = |id: &str, at: DateTime<Utc>| {
        json!({ "event": "sms:delivered", "id": format!("E{id}"),
            "payload": { "messageId": id, "deliveredAt": rfc3339(at) } })
    };
    // The phone got the first before the second, whichever report comes first.
    assert_eq!(told(&server, &inbound, &delivered(&ids[1], ago(&server, 10))).await, "delivered");
    assert_eq!(told(&server, &inbound, &delivered(&ids[0], ago(&server, 50))).await, "delivered");
    server.pass(60).await;
    assert_eq!(taken(&server, &phone, 2).await.len(), 2, "nothing is said again");
    // It was sent before it was delivered.
    let failed = json!({ "event": "sms:failed", "id": "EF",
        "payload": { "messageId": ids[1], "reason": "no signal", "failedAt": rfc3339(ago(&server, 3600)) } });
    assert_eq!(told(&server, &inbound, &failed).await, "none");
    // Here it got the second first, although the reports come in order.
    ids.clear();
    for (count, number) in [A, B].into_iter().enumerate() {
        server.post("/api/v1/lines/ops/forward", &json!({ "number": number })).await;
        taken(&server, &phone, count + 3).await;
        ids.push(phone.latest_id());
        server.pass(60).await;
    }
    assert_eq!(told(&server, &inbound, &delivered(&ids[0], ago(&server, 5))).await, "delivered");
    assert_eq!(told(&server, &inbound, &delivered(&ids[1], ago(&server, 20))).await, "delivered");
    server.pass(60).await;
    let sent = taken(&server, &phone, 5).await;
    assert!(sent[4].1.contains(B), "{sent:?}");
}
