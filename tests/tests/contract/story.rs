//! Every kind of event there is, as it is written down, told by the API, and put into notices. Rows of years hold these bodies, and
//! programs read them: what stands in `fixtures/events` is a contract.
//!
//! `UPDATE_EVENTS=1 tests/run --test contract story` writes the fixtures anew; then look at the difference.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use autocall::config::Config;
use autocall::engine::watch::presence::PollSource;
use autocall::kinds::notices::WebhookShape;
use autocall::store::watch::handsets::Profile;
use chrono::TimeDelta;
use serde_json::{Map, Value, json};
use sqlx::Connection;

use crate::calling_back;
use crate::gateway::{Gateway, add_smsgate, near, send as send_texts};
use crate::harness::{A, B, C, Home, Server, on_both};
use crate::intake::{firing, resolved, timed};
use crate::live;
use crate::native;
use crate::notices::{Room, add, deliver};
use crate::pressing::{link, press};
use crate::recordings;
use crate::roster::people;
use crate::sources::{CALENDAR, Elsewhere, calendar, schedule, settled};

on_both!(
    what_calls_tell,
    what_people_do,
    what_senders_send,
    what_things_do,
    what_backups_do,
    who_listens,
    what_is_done_in_calls,
    who_is_told_by_text
);

/// A server whose every event is told to a room.
async fn start(home: Home) -> (Server, Room) {
    let home = near(home).set("AUTOCALL_ALARMS_FALLBACK_PHONES", "18700000009");
    let server = home.set("AUTOCALL_ROSTER_ALLOW_NETWORKS", "127.0.0.0/8").start().await;
    let (room, url) = Room::open().await;
    add(&server, &url, WebhookShape::Json, &[], "en").await;
    (server, room)
}

/// What is never the same twice is told by its kind: identifiers, the ports of this run, and times, of which waiting for what is told
/// lets a second or two pass.
fn stable(value: &Value, short: usize) -> Value {
    match value {
        Value::String(text) if uuid::Uuid::parse_str(text).is_ok() => json!("(id)"),
        Value::String(text) if text.starts_with("http://127.0.0.1:") => json!("(address)"),
        Value::String(text) if chrono::DateTime::parse_from_rfc3339(text).is_ok() => json!("(time)"),
        Value::Array(all) => all.iter().map(|one| stable(one, short)).collect(),
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| {
                if let (true, Some(mid)) = (key == "mid", value.as_str()) {
                    assert!(mid.len() == short && mid.bytes().all(|b| b.is_ascii_hexdigit()), "{mid}");
                    return (key.clone(), json!("(mid)"));
                }
                if key == "code" && value.as_str().is_some_and(|code| code.len() == 3) {
                    return (key.clone(), json!("(code)"));
                }
                (key.clone(), stable(value, short))
            };
            Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// Kind and body of every event, as the database holds them.
async fn stored(server: &Server) -> Vec<(String, String)> {
    match server.home.config().database_url {
        Some(url) => {
            let mut connection = sqlx::PgConnection::connect(url.expose()).await.unwrap();
            sqlx::query_as("SELECT kind, body::text FROM events ORDER BY id").fetch_all(&mut connection).await.unwrap()
        }
        None => {
            let path = format!("sqlite://{}", server.home.database_file().display());
            let mut connection = sqlx::SqliteConnection::connect(&path).await.unwrap();
            sqlx::query_as("SELECT kind, body FROM events ORDER BY id").fetch_all(&mut connection).await.unwrap()
        }
    }
}

/// Looks at everything that the story has left behind, and compares it with what is kept under this name.
async fn tell(server: &Server, room: &Room, name: &str, alarms: &[&String]) {
    let mut events: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (kind, text) in stored(server).await {
        let body: Value = serde_json::from_str(&text).unwrap();
        // Postgres keeps what JSON means, SQLite what was written.
        let written = body.to_string();
        assert!(server.home.is_shared() || text == written, "{kind}: {text}");
        events.entry(kind).or_default().insert(stable(&body, 24).to_string());
    }
    for id in alarms {
        for event in server.alarm(id).await["timeline"].as_array().unwrap() {
            let (kind, body) = (event["kind"].as_str().unwrap(), stable(&event["body"], 8).to_string());
            assert!(events.get(kind).is_some_and(|bodies| bodies.contains(&body)), "the API says something else: {event}");
        }
    }
    let told = all_told(server).await;
    let notices = room.bodies();
    assert_eq!(notices.len(), told);
    let notice = |body: &Value| {
        stable(&json!({ "event": body["event"], "text": body["text"], "particulars": body["particulars"] }), 8).to_string()
    };
    let notices: BTreeSet<String> = notices.iter().map(notice).collect();
    let read = |all: &BTreeSet<String>| all.iter().map(|one| serde_json::from_str(one).unwrap()).collect::<Vec<Value>>();
    let events: BTreeMap<&String, Vec<Value>> = events.iter().map(|(kind, bodies)| (kind, read(bodies))).collect();
    let now = format!("{:#}\n", json!({ "events": events, "notices": read(&notices) }));
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/events")).join(format!("{name}.json"));
    if std::env::var_os("UPDATE_EVENTS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    for (number, (kept, now)) in kept.lines().zip(now.lines()).enumerate() {
        assert_eq!(kept, now, "{}, line {}", path.display(), number + 1);
    }
    assert_eq!(kept.len(), now.len(), "{}", path.display());
}

/// Waits until the room was told of everything; gives how much that is. What a notice says is read when it is told, and what is done
/// next may change it.
async fn all_told(server: &Server) -> usize {
    let tried = async || {
        deliver(server).await;
        let deliveries = server.app.engine.store.read().await.unwrap().db().latest_deliveries(1_000).await.unwrap();
        (deliveries.iter().all(|delivery| delivery.delivered_at.is_some())).then_some(deliveries.len())
    };
    autocall_tests::wait::eventually("everything is told", std::time::Duration::from_mins(1), tried).await
}

/// Lets time pass, once everything is told of what was before.
async fn pass(server: &Server, seconds: i64) {
    all_told(server).await;
    server.pass(seconds).await;
}

async fn act(server: &Server, id: &str, action: &str, body: Value) {
    all_told(server).await;
    let (status, alarm) = server.post(&format!("/api/v1/alarms/{id}/{action}"), &body).await;
    assert_eq!(status, 200, "{action}: {alarm}");
}

/// What takes no body.
async fn press_on(server: &Server, id: &str, action: &str) {
    all_told(server).await;
    assert_eq!(server.submit(&format!("/api/v1/alarms/{id}/{action}")).await, 200, "{action}");
}

async fn callee(server: &Server, id: &str, place: usize) -> String {
    server.alarm(id).await["callees"][place]["id"].as_str().unwrap().to_owned()
}

/// Everything that handsets can report.
async fn what_calls_tell(home: Home) {
    let (server, room) = start(home).await;
    people(&server).await;
    let once = || json!({ "attempts": 1 });
    let desk = server.pair("desk", Profile::List).await;
    let listed = server.raise(&[A, B, C], json!({ "source": "zabbix", "priority": "high" })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(B)).await;
    server.report(&desk, &mid, Some(B)).await;
    // Somebody who is in no list, and nobody.
    let unknown = server.raise(&[A, B], once()).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some("18700001111")).await;
    let nobody = server.raise(&[A], once()).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    // No word, and one that comes late.
    let silent = server.raise(&[A], json!({ "attempts": 2 })).await;
    let (late, _) = server.dial(&desk).await;
    pass(&server, 200).await;
    pass(&server, 200).await;
    let (later, _) = server.dial(&desk).await;
    server.report(&desk, &late, None).await;
    pass(&server, 200).await;
    pass(&server, 200).await;
    assert_eq!(server.state(&silent).await, "no_answer");
    press_on(&server, &silent, "redial").await;
    server.report(&desk, &later, Some(A)).await;
    assert_eq!(server.state(&silent).await, "answered");
    // Called off while it rings, and stopped by an answer elsewhere.
    let cancelled = server.raise(&[A], once()).await;
    server.dial(&desk).await;
    act(&server, &cancelled, "cancel", json!({ "by": "Lin" })).await;
    pass(&server, 200).await;
    let parallel = server.raise(&[A, B], json!({ "mode": "parallel" })).await;
    let rack = server.pair("rack", Profile::List).await;
    let (mid, phones) = server.dial(&desk).await;
    server.dial(&rack).await;
    server.report(&desk, &mid, Some(&phones[0])).await;
    pass(&server, 200).await;
    // What a handset of ours says.
    let pixel = server.pair("pixel", Profile::Native).await;
    let native_one = server.raise(&[A, B], json!({ "attempts": 2, "min_interval_seconds": 0 })).await;
    for outcome in ["failed", "busy", "not_dialled"] {
        let offer = native::poll(&server, &pixel).await;
        let number = offer["phone"][0].clone();
        native::report(&server, &pixel, &offer["mid"], "", json!([{ "number": number, "outcome": outcome }])).await;
        pass(&server, 60).await;
    }
    for said in ["declined", "confirmed"] {
        let offer = native::poll(&server, &pixel).await;
        let number = offer["phone"][0].clone();
        let calls = json!([{ "number": number, "outcome": "answered", said: true }]);
        native::report(&server, &pixel, &offer["mid"], "", calls).await;
    }
    assert_eq!(server.state(&native_one).await, "answered");
    // A phone that the alarm's people must not be called at, and nobody there at all.
    let forbidden = server.raise(&[A, B], once()).await;
    server.post("/api/v1/do-not-call", &json!({ "number": A, "reason": "asked us to" })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    let alone = server.raise(&[A], once()).await;
    server.idle(&desk).await;
    let dry = server.raise(&[B], json!({ "attempts": 1, "dry_run": true })).await;
    pass(&server, 1).await;
    pass(&server, 3_600).await;
    let waiting = server.raise(&[B], json!({ "attempts": 1, "begin_before_seconds": 60 })).await;
    pass(&server, 61).await;
    let all = [&listed, &unknown, &nobody, &silent, &cancelled, &parallel, &native_one, &forbidden, &alone, &dry, &waiting];
    tell(&server, &room, "calls", &all).await;
}

fn number(number: &str) -> Value {
    json!({ "number": number })
}

/// Everything that people can do about an alarm.
async fn what_people_do(home: Home) {
    let home = home.set("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS", "120");
    // Without an address of its own no notice holds links, which are never the same twice.
    let (server, room) = start(home).await;
    people(&server).await;
    let desk = server.pair("desk", Profile::List).await;
    let made = server.post("/api/v1/schedules", &json!({ "name": "nights", "zone": "Asia/Shanghai", "layers": [] })).await;
    assert_eq!(made.0, 201);
    let layer = json!({ "name": "weekly", "people": ["Ann", "Bob"], "every": "1 week", "start": "2026-11-16T09:00" });
    let days = json!({ "name": "days", "zone": "Asia/Shanghai", "layers": [layer] });
    assert_eq!(server.post("/api/v1/schedules", &days).await.0, 201);
    let steps = json!([
        { "ring": [{ "schedule": "nights" }], "wait_seconds": 300 },
        { "ring": [{ "schedule": "days" }], "attempts": 1, "min_interval_seconds": 0 },
        { "ring": [number(B), number("18700001111")], "attempts": 1, "wait_seconds": 600 },
    ]);
    let policy = json!({ "steps": steps, "rounds": 2, "confirm_within_seconds": 60 });
    assert_eq!(server.put("/api/v1/policies/ops", &policy).await.0, 201);
    let other = json!({ "steps": [{ "ring": [number(C)], "attempts": 1 }] });
    assert_eq!(server.put("/api/v1/policies/others", &other).await.0, 201);
    let empty = json!({ "steps": [{ "ring": [{ "schedule": "nights" }] }] });
    assert_eq!(server.put("/api/v1/policies/empty", &empty).await.0, 201);
    let by = json!({ "by": "Lin" });
    // Up the steps, an answer that nobody confirms, the next step at once, and another policy.
    let climbs = server.raise(&[], json!({ "policy": "ops" })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    pass(&server, 61).await;
    act(&server, &climbs, "escalate", by.clone()).await;
    act(&server, &climbs, "policy", json!({ "policy": "others", "by": "Lin" })).await;
    act(&server, &climbs, "snooze", json!({ "for_seconds": 600, "by": "Lin" })).await;
    press_on(&server, &climbs, "redial").await;
    act(&server, &climbs, "notes", json!({ "text": "disk ordered", "by": "Lin" })).await;
    act(&server, &climbs, "false", json!({ "reason": "the sensor was wet", "by": "Lin" })).await;
    act(&server, &climbs, "not-false", by.clone()).await;
    act(&server, &climbs, "acknowledge", json!({ "name": "Lin", "note": "on it", "ring_again_after_seconds": 600 })).await;
    pass(&server, 601).await;
    act(&server, &climbs, "cancel", json!({})).await;
    pass(&server, 200).await;
    // A policy that leads nowhere, and an alarm that does.
    let nowhere = server.raise(&[], json!({ "policy": "empty" })).await;
    act(&server, &nowhere, "cancel", json!({})).await;
    pass(&server, 200).await;
    let named = server.raise(&[], json!({ "ring": [{ "schedule": "nights" }] })).await;
    act(&server, &named, "cancel", json!({})).await;
    pass(&server, 200).await;
    let duty = server.raise(&[], json!({ "ring": [{ "schedule": "days" }], "attempts": 1 })).await;
    act(&server, &duty, "acknowledge", json!({ "number": A })).await;
    pass(&server, 200).await;
    // Two that are rung for together: one is taken, one declined, one put off; somebody is taken off.
    let together = || json!({ "attempts": 2, "min_interval_seconds": 0 });
    let (one, two, three) = (
        server.raise(&[A, B, C], together()).await,
        server.raise(&[A, B, C], together()).await,
        server.raise(&[A, B, C], together()).await,
    );
    let (mid, _) = server.dial(&desk).await;
    let of_ann = link(&server, &one, 0).await;
    all_told(&server).await;
    assert_eq!(press(&server, &of_ann, "decline", std::slice::from_ref(&one)).await, 303);
    server.report(&desk, &mid, None).await;
    act(&server, &two, "acknowledge", json!({ "name": "Lin" })).await;
    let skipped = callee(&server, &three, 1).await;
    act(&server, &three, &format!("callees/{skipped}/skip"), by.clone()).await;
    act(&server, &three, "cancel", json!({})).await;
    act(&server, &one, "cancel", json!({})).await;
    pass(&server, 200).await;
    // Who picked up says no after all; a reply by text message; whoever wants to be rung no more.
    let back = server.raise(&[A, B, C], together()).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    let first = callee(&server, &back, 0).await;
    press_on(&server, &back, &format!("callees/{first}/decline")).await;
    let (_, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    let (mid, _) = server.dial(&desk).await;
    all_told(&server).await;
    for (place, (sender, text)) in [(A, "stop"), (B, "2"), (C, "1"), ("CMCC", "1")].into_iter().enumerate() {
        let message = json!({ "deviceId": "d", "event": "sms:received", "id": format!("E{place}"), "webhookId": "w",
            "payload": { "messageId": "m", "message": text, "sender": sender, "phoneNumber": sender, "simNumber": 1,
                "receivedAt": server.now().to_rfc3339() } });
        assert_eq!(server.post(&inbound, &message).await.0, 200);
    }
    server.report(&desk, &mid, Some(B)).await;
    // Somebody takes one, and gives it back.
    let given = server.raise(&[B, C], together()).await;
    act(&server, &given, "acknowledge", json!({ "name": "Lin" })).await;
    act(&server, &given, "give-back", by).await;
    act(&server, &given, "cancel", json!({})).await;
    let all = [&climbs, &nowhere, &named, &duty, &one, &two, &three, &back, &given];
    tell(&server, &room, "people", &all).await;
}

/// What becomes of text messages about alarms.
async fn who_is_told_by_text(home: Home) {
    let (server, room) = start(home).await;
    people(&server).await;
    let (status, how) = server.put("/api/v1/people/Ann/told", &json!({ "alarm_texts": "always" })).await;
    assert_eq!(status, 200, "{how}");
    let desk = server.pair("desk", Profile::List).await;
    let once = || json!({ "attempts": 1 });
    // Without a gateway.
    let untold = server.raise(&[A], once()).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    // Through one that is away at first.
    let (gateway, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    gateway.set_away(true);
    let told = server.raise(&[A], once()).await;
    let (mid, _) = server.dial(&desk).await;
    let tried = async || {
        send_texts(&server).await;
        server.alarm(&told).await["timeline"].to_string().contains("not_texted").then_some(())
    };
    autocall_tests::wait::eventually("it is tried", std::time::Duration::from_secs(30), tried).await;
    gateway.set_away(false);
    pass(&server, 10).await;
    let sent = async || {
        send_texts(&server).await;
        server.alarm(&told).await["timeline"].to_string().contains("\"texted\"").then_some(())
    };
    autocall_tests::wait::eventually("it is sent", std::time::Duration::from_secs(30), sent).await;
    server.report(&desk, &mid, Some(A)).await;
    tell(&server, &room, "texts", &[&untold, &told]).await;
}

/// Everything that senders can cause.
async fn what_senders_send(home: Home) {
    let (server, room) = start(home.set("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS", "120")).await;
    people(&server).await;
    let desk = server.pair("desk", Profile::List).await;
    let post = async |body: Value| {
        all_told(&server).await;
        let (status, alarm) = server.post("/api/v1/alarms", &body).await;
        assert!(matches!(status, 200 | 201), "{alarm}");
        alarm["id"].as_str().unwrap().to_owned()
    };
    let disk = |priority: &str| json!({ "summary": "disk", "details": "sda", "phones": [A], "dedup_key": "disk", "priority": priority, "attempts": 1 });
    // The same again: counted, rung again after a while, worse.
    let id = post(disk("low")).await;
    post(disk("low")).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    pass(&server, 1_000).await;
    post(disk("low")).await;
    let (mid, _) = server.dial(&desk).await;
    post(disk("normal")).await;
    server.report(&desk, &mid, Some(A)).await;
    post(disk("high")).await;
    act(&server, &id, "snooze", json!({ "for_seconds": 3_600 })).await;
    post(disk("critical")).await;
    // Over, and again a moment later.
    act(&server, &id, "resolve", json!({})).await;
    pass(&server, 60).await;
    post(disk("critical")).await;
    act(&server, &id, "resolve", json!({})).await;
    pass(&server, 4_000).await;
    // Too long, and with what no text has.
    let odd = post(json!({ "summary": format!("{}\u{7}", "s".repeat(1_500)), "phones": [A], "dedup_key": "odd" })).await;
    act(&server, &odd, "cancel", json!({})).await;
    pass(&server, 4_000).await;
    // A repeat names somebody else.
    let fan = |phones: Value| json!({ "summary": "fan", "phones": phones, "dedup_key": "fan" });
    let wider = post(fan(json!([A]))).await;
    post(fan(json!([A, B]))).await;
    act(&server, &wider, "cancel", json!({})).await;
    pass(&server, 4_000).await;
    // A group: something new burns in it, it is over, and its firing is told once more.
    let group = async |body: &Value| {
        all_told(&server).await;
        server.post("/api/v1/intake/alertmanager", body).await.1["alarms"][0]["id"].clone()
    };
    let begun = (server.now() - TimeDelta::minutes(5)).to_rfc3339();
    let burns = |nodes: &[&str]| timed(firing("am", nodes), &begun, "0001-01-01T00:00:00Z");
    let burning = group(&burns(&["db1"])).await.as_str().unwrap().to_owned();
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    pass(&server, 1_000).await;
    group(&burns(&["db1", "db2"])).await;
    let over = (server.now() - TimeDelta::minutes(1)).to_rfc3339();
    group(&timed(resolved("am", &["db1", "db2"]), &begun, &over)).await;
    group(&burns(&["db1"])).await;
    pass(&server, 4_000).await;
    // Somebody joins after the first call, and is owed one.
    let twice = || json!({ "attempts": 2, "min_interval_seconds": 0 });
    let first = server.raise(&[A], twice()).await;
    let (mid, _) = server.dial(&desk).await;
    pass(&server, 10).await;
    server.report(&desk, &mid, None).await;
    let (mid, _) = server.dial(&desk).await;
    let joined = server.raise(&[A], twice()).await;
    server.report(&desk, &mid, None).await;
    act(&server, &joined, "cancel", json!({})).await;
    pass(&server, 4_000).await;
    // Maintenance, longer than was thought; and one that a person has rung all the same.
    let ends_at = server.now() + TimeDelta::minutes(10);
    let window = json!({ "reason": "new switch", "ends_at": ends_at, "team": "db" });
    assert_eq!(server.post("/api/v1/maintenance", &window).await.0, 201);
    let held = server.raise(&[A], json!({ "labels": { "team": "db" } })).await;
    let asked = server.raise(&[B], json!({ "labels": { "team": "db" } })).await;
    press_on(&server, &asked, "redial").await;
    let window = json!({ "reason": "new switch", "ends_at": ends_at + TimeDelta::minutes(10), "team": "db" });
    assert_eq!(server.post("/api/v1/maintenance", &window).await.0, 201);
    pass(&server, 601).await;
    pass(&server, 601).await;
    pass(&server, 60).await;
    act(&server, &held, "cancel", json!({})).await;
    act(&server, &asked, "cancel", json!({})).await;
    pass(&server, 4_000).await;
    // Everybody sleeps.
    let quiet = json!([{ "from": "00:00", "to": "23:00", "zone": "Asia/Shanghai", "up_to": "low" }]);
    assert_eq!(server.put("/api/v1/quiet-hours", &json!({ "quiet_hours": quiet })).await.0, 200);
    let sleeps = server.raise(&[A], json!({ "priority": "low" })).await;
    let all = [&id, &odd, &wider, &burning, &first, &joined, &held, &asked, &sleeps];
    tell(&server, &room, "senders", &all).await;
}

/// Everything that happens to handsets, gateways, public numbers and calendars.
async fn what_things_do(home: Home) {
    let (server, room) = start(home).await;
    schedule(&server).await;
    // A handset falls silent, another does not come back from a call; each comes back.
    let silent = server.pair("silent", Profile::App).await;
    let stuck = server.pair("stuck", Profile::App).await;
    let look = async || {
        server.app.engine.watch_handsets().await.unwrap();
        server.app.engine.attend_outages().await.unwrap();
    };
    server.app_poll(&silent).await;
    let rung = server.raise(&[A], json!({ "attempts": 1 })).await;
    server.app_poll(&stuck).await;
    for _ in 0..90 {
        pass(&server, 10).await;
        look().await;
    }
    server.app_poll(&silent).await;
    server.app_poll(&stuck).await;
    look().await;
    // Two phones with one token.
    let mut tx = server.app.engine.store.begin().await.unwrap();
    let handset = tx.db().handsets().await.unwrap().into_iter().find(|handset| handset.name == "silent").unwrap();
    drop(tx);
    for turn in 0..12 {
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1 + turn % 2));
        let source = PollSource { address, model: "", user_agent: "okhttp/3.10.0" };
        server.app.engine.handset_polled(&handset, &source).await.unwrap();
        server.home.clock.advance(TimeDelta::seconds(5));
    }
    // A gateway says that it lives, and then does not; a public number cannot be handed over meanwhile.
    let (phone, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    let ping = json!({ "event": "system:ping", "id": "E", "deviceId": "d", "webhookId": "w", "payload": { "health": {} } });
    pass(&server, 86_400).await;
    look().await;
    for _ in 0..3 {
        assert_eq!(server.post(&inbound, &ping).await.0, 200);
        pass(&server, 300).await;
    }
    phone.set_away(true);
    let line = json!({ "name": "ops", "number": "13300001111", "sms_number": "13300002222", "carrier": "china-telecom",
        "android": 11, "gateway": "phone" });
    assert_eq!(server.post("/api/v1/lines", &line).await.0, 201);
    assert_eq!(server.post("/api/v1/lines/ops/forward", &json!({ "number": B })).await.0, 202);
    // What the gateway says to the first try is in what is told.
    autocall_tests::wait::eventually("the gateway refuses the command", std::time::Duration::from_mins(1), async || {
        send_texts(&server).await;
        server.get("/api/v1/lines/ops").await.to_string().contains("HTTP 503").then_some(())
    })
    .await;
    pass(&server, 700).await;
    pass(&server, 10).await;
    let told = || stored(&server);
    autocall_tests::wait::eventually("the trouble is told", std::time::Duration::from_mins(1), async || {
        send_texts(&server).await;
        server.app.engine.tick().await.unwrap();
        told().await.iter().any(|(kind, _)| kind == "hand_over_trouble").then_some(())
    })
    .await;
    phone.set_away(false);
    assert_eq!(server.post(&inbound, &ping).await.0, 200);
    // A calendar that a schedule follows: it changes, is away for hours, and is there again.
    let elsewhere = Elsewhere::open().await;
    elsewhere.keeps(&calendar(&[("Ann", 16, 30)]));
    let (status, made) = server.put(CALENDAR, &json!({ "url": elsewhere.address() })).await;
    assert!(matches!(status, 200 | 201), "{made}");
    settled(&server).await;
    elsewhere.away();
    for _ in 0..8 {
        pass(&server, 3_600).await;
        settled(&server).await;
    }
    elsewhere.keeps(&calendar(&[("Bob", 16, 30)]));
    pass(&server, 3_600).await;
    settled(&server).await;
    tell(&server, &room, "things", &[&rung]).await;
}

/// Backups fail three times, which is told once, and then one succeeds.
async fn what_backups_do(home: Home) {
    let (server, room) = start(home.set("AUTOCALL_BACKUP_DIR", "/dev/null/backups")).await;
    let engine = &server.app.engine;
    engine.keep_backups().await.unwrap();
    assert!(stored(&server).await.is_empty(), "one alone is made up for in a moment");
    for _ in 0..3 {
        server.home.clock.advance(TimeDelta::minutes(15));
        engine.keep_backups().await.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let mut mended = Config::clone(&engine.config);
    mended.backup.dir = Some(folder.path().join("backups"));
    engine.config.take_over(&mended).unwrap();
    for _ in 0..2 {
        server.home.clock.advance(TimeDelta::hours(24));
        engine.keep_backups().await.unwrap();
    }
    tell(&server, &room, "backups", &[]).await;
}

/// Somebody listens to what was recorded in a call.
async fn who_listens(home: Home) {
    let (server, room) = start(recordings::recorded(home)).await;
    people(&server).await;
    let trunk = recordings::recorder(&server, "trunk").await;
    let (id, mid) = recordings::called(&server, &trunk, &["r1"]).await;
    assert_eq!(recordings::put(&server, "trunk", "r1", &mid, &recordings::voice()).await.0, 200);
    let recording = server.alarm(&id).await["dials"][0]["recordings"][0]["id"].take();
    let url = recordings::url(&server, &recording).await.unwrap();
    assert_eq!(recordings::hear(&server, &url).await.status(), 200);
    tell(&server, &room, "recordings", &[&id]).await;
}

async fn what_is_done_in_calls(home: Home) {
    let (server, room) = start(home).await;
    people(&server).await;
    let trunk = calling_back::trunk(&server).await;
    let id = server.raise(&[A], json!({})).await;
    let offer = native::poll(&server, &trunk).await;
    live::picked_up(&server, &trunk, &offer["mid"], A).await;
    let record = live::record(&server, &offer["mid"]).await;
    live::command(&server, record, json!({ "do": "play", "text": "the fan is burning", "language": "en", "by": "Lin" })).await;
    live::command(&server, record, json!({ "do": "drop" })).await;
    assert_eq!(calling_back::calls(&server, "c1", 1, A).await["code"], 0);
    tell(&server, &room, "calls_that_run", &[&id]).await;
}
