//! The lines of operations that need a call, a calendar, a key or a file: those that the walk of [`crate::audit`] leaves out, each once.

use std::collections::BTreeSet;

use android_protocol::voice::{tone, wav};
use reqwest::Method;
use serde_json::{Value, json};

use crate::audit::{ELSEWHERE, latest, lines};
use crate::gateway::{Gateway, add_smsgate, near};
use crate::harness::{A, B, Home, Server, on_both};
use crate::live;
use crate::native::{poll, report, send};
use crate::senders;
use crate::shouts;
use crate::sources::{CALENDAR, Elsewhere, calendar, schedule, settled};

on_both!(what_needs_a_call_a_calendar_a_key_or_a_file_leaves_its_line);

/// The operations that were done, by path and method.
#[derive(Default)]
struct Done(BTreeSet<(&'static str, &'static str)>);

impl Done {
    /// Does one of them, and looks for its line; without a word it leaves none.
    async fn does<T>(
        &mut self,
        server: &Server,
        of: (&'static str, &'static str),
        word: &str,
        act: impl AsyncFnOnce() -> T,
    ) -> T {
        let before = latest(server).await;
        let done = act().await;
        let new: Vec<Value> = lines(server, "").await.into_iter().filter(|line| line["id"].as_i64().unwrap() > before).collect();
        let words: Vec<&str> = new.iter().map(|line| line["operation"].as_str().unwrap()).collect();
        match word {
            "" => assert!(words.is_empty(), "{of:?} changes nothing: {new:?}"),
            word => assert!(words.contains(&word), "{of:?} leaves {words:?}, not {word}"),
        }
        for line in new.iter().filter(|line| line["operation"] == word) {
            assert!(["open_network", "key"].contains(&line["done_by"].as_str().unwrap()), "{line}");
            assert_eq!(line["address"], "127.0.0.1", "{line}");
        }
        self.0.insert(of);
        done
    }
}

async fn raw(server: &Server, method: Method, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> u16 {
    let request = server.http.request(method, format!("{}{path}", server.base)).header("content-type", kind);
    request.body(body).send().await.unwrap().status().as_u16()
}

async fn what_needs_a_call_a_calendar_a_key_or_a_file_leaves_its_line(home: Home) {
    let server = near(home).set("AUTOCALL_ROSTER_ALLOW_NETWORKS", "127.0.0.0/8").start().await;
    let (mut done, s) = (Done::default(), &server);
    schedule(s).await;
    of_calendars(&mut done, s).await;
    of_calls(&mut done, s).await;
    of_shouts(&mut done, s).await;

    let own = senders::key(s, "scada", &[A]).await;
    let places = async || {
        let request = s.http.put(format!("{}/api/v1/intake/generic/places", s.base)).bearer_auth(&own).header("if-match", "*");
        request.json(&json!({ "pointers": { "summary": "/a/b" } })).send().await.unwrap().status().as_u16()
    };
    assert_eq!(done.does(s, ("/api/v1/intake/generic/places", "put"), "key_changed", places).await, 200);

    let of = "/api/v1/media/{name}";
    let sound = wav::write(&tone::sine(&[700.0], 1000, 9000.0));
    let put = async || raw(s, Method::PUT, "/api/v1/media/night.wav", "audio/wav", sound).await;
    assert_eq!(done.does(s, (of, "put"), "clip_set", put).await, 201);
    assert_eq!(done.does(s, (of, "delete"), "clip_removed", async || s.delete("/api/v1/media/night.wav").await).await, 204);

    let (_phone, url) = Gateway::open().await;
    add_smsgate(s, &url).await;
    let test = async || s.post("/api/v1/sms/gateways/phone/test", &json!({ "number": A })).await;
    let (status, said) = done.does(s, ("/api/v1/sms/gateways/{id}/test", "post"), "gateway_tested", test).await;
    assert_eq!(status, 200, "{said}");

    assert_eq!(done.0, ELSEWHERE.into_iter().collect(), "each that the walk leaves out has its scene here");
}

async fn of_calendars(done: &mut Done, s: &Server) {
    let elsewhere = Elsewhere::open().await;
    elsewhere.keeps(&calendar(&[("Ann", 16, 30)]));
    let form = json!({ "url": elsewhere.address() });
    let rehearse = async || s.post(&format!("{CALENDAR}/rehearse"), &form).await;
    let (status, said) = done.does(s, ("/api/v1/schedules/{schedule}/calendar/rehearse", "post"), "", rehearse).await;
    assert_eq!(status, 200, "{said}");
    let of = "/api/v1/schedules/{schedule}/calendar";
    let (status, said) = done.does(s, (of, "put"), "calendar_set", async || s.put(CALENDAR, &form).await).await;
    assert!(matches!(status, 200 | 201), "{said}");
    settled(s).await;
    let refresh = async || raw(s, Method::POST, &format!("{CALENDAR}/refresh"), "application/json", "").await;
    let status = done.does(s, ("/api/v1/schedules/{schedule}/calendar/refresh", "post"), "calendar_asked", refresh).await;
    assert!((200..300).contains(&status), "{status}");
    settled(s).await;
    assert_eq!(done.does(s, (of, "delete"), "calendar_removed", async || s.delete(CALENDAR).await).await, 204);
    let file = "start,end,person\n2026-11-23 09:00,2026-11-30 09:00,Bob\n";
    let import = async || raw(s, Method::POST, "/api/v1/schedules/ops/import", "text/csv", file).await;
    assert_eq!(done.does(s, ("/api/v1/schedules/{schedule}/import", "post"), "shifts_imported", import).await, 200);
}

async fn of_calls(done: &mut Done, s: &Server) {
    let trunk = live::trunk(s, "trunk").await;
    let (mid, record) = live::call(s, &trunk, A).await;
    let hang_up = async || live::command(s, record, json!({ "do": "drop" })).await;
    done.does(s, ("/api/v1/call-records/{id}/commands", "post"), "call_ordered", hang_up).await;
    let over = json!([{ "number": A, "outcome": "answered", "talk_seconds": 1 }]);
    report(s, &trunk, &mid, &format!("&resp={A}"), over).await;
    s.pass(120).await;
}

async fn of_shouts(done: &mut Done, s: &Server) {
    let (key, speaker) = (shouts::key(s, "blast").await, shouts::speaker(s, "speaker", 1).await);
    let sent = async || shouts::shout(s, &key, &[A, B], json!({})).await;
    let id = done.does(s, ("/api/v1/shouts", "post"), "shout_sent", sent).await;
    // Somebody asks in the call not to be called by it any more.
    let offer = poll(s, &speaker).await;
    let (mid, number) = (offer["mid"].as_str().unwrap(), offer["phone"][0].clone());
    let pressed =
        json!({ "number": number, "state": "connected", "event": "key", "key": "5", "action": "stop_calling", "seq": 1 });
    assert_eq!(send(s, "POST", &format!("/h/speaker/progress?mid={mid}"), Some(pressed)).await, json!({ "code": 0 }));
    let number = number.as_str().unwrap().to_owned();
    let back = async || shouts::ask(s, &key, Method::DELETE, &format!("/api/v1/dnc/u1/{number}"), None).await.0;
    assert_eq!(done.does(s, ("/api/v1/dnc/{userdata}/{number}", "delete"), "opted_out_removed", back).await, 201);
    let cancel = async || shouts::ask(s, &key, Method::DELETE, &format!("/api/v1/shouts/{id};cancel"), None).await.0;
    let status = done.does(s, ("/api/v1/shouts/{id};cancel", "delete"), "shout_cancelled", cancel).await;
    assert!((200..300).contains(&status), "{status}");
}
