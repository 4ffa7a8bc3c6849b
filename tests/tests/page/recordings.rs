//! Recordings on the page of an alarm: which there are, who may listen, and that it is written down.

use android_protocol::voice::{tone, wav};
use autocall::keep::users;
use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use serde_json::{Value, json};

use crate::client::Visitor;
use crate::harness::{A, Home, Server, on_both};

on_both!(
    whoever_answers_alarms_hears_what_was_said,
    of_an_alarm_for_a_team_its_responders_hear_it,
    what_a_caller_said_is_heard_there_too,
);

async fn native(server: &Server, method: &str, path: &str, body: Value) -> Value {
    let request = server.http.request(method.parse().unwrap(), format!("{}{path}", server.base));
    request.header("autocall-protocol", "1").json(&body).send().await.unwrap().json().await.unwrap()
}

/// An address on the page, behind what stands before it.
fn address(page: &str, before: &str) -> String {
    let (_, rest) = page.split_once(before).unwrap_or_else(|| panic!("{page}"));
    rest.split('"').next().unwrap().to_owned()
}

async fn whoever_answers_alarms_hears_what_was_said(home: Home) {
    let server = home.set("AUTOCALL_MEDIA_DEBUG_RECORDING", "on").start().await;
    let path = server.pair("trunk", Profile::Native).await;
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "record"], "backend": "sip", "channels": 1 });
    native(&server, "POST", "/h/trunk/status", can).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let page = format!("/alarms/{id}");
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    assert!(!lin.get(&page).await.shows("Recordings"), "there are none");
    let offer = native(&server, "GET", &path, Value::Null).await;
    let mid = offer["mid"].as_str().unwrap();
    let call = json!({ "number": A, "outcome": "answered", "recordings": [{ "id": "r1", "seconds": 62 }] });
    native(&server, "POST", &format!("{path}?mid={mid}&resp={A}"), json!({ "calls": [call] })).await;
    let awaited = lin.get(&page).await;
    assert!(awaited.shows("The handset still has it") && awaited.shows("1:02") && !awaited.shows("<audio"), "{}", awaited.body);
    let file = wav::write_ulaw(&tone::sine(&[700.0], 3000, 9000.0));
    let upload = server.http.put(format!("{}/h/trunk/recording/r1?mid={mid}", server.base)).body(file.clone());
    assert_eq!(upload.send().await.unwrap().status(), 200);
    let shown = lin.get(&page).await;
    assert!(shown.shows("<audio controls preload=\"none\"") && shown.shows("0:03"), "{}", shown.body);
    assert!(shown.header("content-security-policy").contains("media-src 'self'"));
    assert_eq!(lin.get(&page).await.body.matches("/recordings/").count(), 2, "a player, and a link");
    let listen = address(&shown.body, "preload=\"none\" src=\"");
    let led = lin.get(&listen).await;
    assert_eq!(led.status, 303, "{}", led.body);
    let heard = server.http.get(format!("{}{}", server.base, led.location())).send().await.unwrap();
    assert_eq!((heard.status().as_u16(), heard.bytes().await.unwrap().len()), (200, file.len()));
    let after = lin.get(&page).await;
    assert!(after.shows("in the call was listened to") && after.shows("lin"), "{}", after.body);
    for (language, heading) in [("zh", "录音"), ("ja", "録音"), ("es", "Grabaciones")] {
        assert!(lin.get(&format!("{page}?lang={language}")).await.shows(heading), "{language}");
    }
    // A viewer sees that there is one, and hears nothing.
    let mut guest = Visitor::logged_in(&server, "guest", Role::Viewer).await;
    let seen = guest.get(&page).await;
    assert!(seen.shows("Responders of the team may listen") && !seen.shows("<audio") && !seen.shows(A), "{}", seen.body);
    assert_eq!(guest.get(&listen).await.status, 403);
    for nothing in [format!("{page}/recordings/x"), listen.replace(&id, "01a1fc75-2363-70d4-b55c-3830524ac4f8")] {
        assert_eq!(lin.get(&nothing).await.status, 404, "{nothing}");
    }
    // What the address was good for ends with the user.
    let again = lin.get(&listen).await.location().to_owned();
    server
        .app
        .engine
        .store
        .carry_out(server.now(), autocall::engine::Doer::Server, async |work| users::set_disabled(work, "lin", true).await)
        .await
        .unwrap();
    assert_eq!(server.http.get(format!("{}{again}", server.base)).send().await.unwrap().status(), 410);
}

/// The team of the alarm is this person from now on.
async fn consists_of(server: &Server, person: &str) {
    let version = server.get("/api/v1/teams/ops").await["version"].take();
    let team = json!({ "name": "ops", "members": [person], "version": version });
    let (status, answer) = server.put("/api/v1/teams/ops", &team).await;
    assert_eq!(status, 200, "{answer}");
}

async fn of_an_alarm_for_a_team_its_responders_hear_it(home: Home) {
    let server = home.set("AUTOCALL_MEDIA_DEBUG_RECORDING", "on").start().await;
    let path = server.pair("trunk", Profile::Native).await;
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "record"], "backend": "sip", "channels": 1 });
    native(&server, "POST", "/h/trunk/status", can).await;
    for (name, number) in [("Ann", A), ("Bo", "18812345678")] {
        server.post("/api/v1/people", &json!({ "name": name, "numbers": [number] })).await;
    }
    for (team, member) in [("ops", "Ann"), ("web", "Bo")] {
        let (status, made) = server.post("/api/v1/teams", &json!({ "name": team, "members": [member] })).await;
        assert_eq!(status, 201, "{made}");
    }
    let id = server.raise(&[], json!({ "ring": [{ "team": "ops" }], "attempts": 1 })).await;
    let offer = native(&server, "GET", &path, Value::Null).await;
    let mid = offer["mid"].as_str().unwrap_or_else(|| panic!("{offer}"));
    let call = json!({ "number": A, "outcome": "answered", "recordings": [{ "id": "r1", "seconds": 3 }] });
    native(&server, "POST", &format!("{path}?mid={mid}&resp={A}"), json!({ "calls": [call] })).await;
    let file = wav::write_ulaw(&tone::sine(&[700.0], 3000, 9000.0));
    let upload = server.http.put(format!("{}/h/trunk/recording/r1?mid={mid}", server.base)).body(file);
    assert_eq!(upload.send().await.unwrap().status(), 200);
    let page = format!("/alarms/{id}");
    let mut ada = Visitor::logged_in(&server, "ada", Role::Admin).await;
    let listen = address(&ada.get(&page).await.body, "preload=\"none\" src=\"");
    // Who responds is known by the person that a user is.
    for (name, number, hears) in [("bo", Some("18812345678"), false), ("kim", None, false), ("ann", Some(A), true)] {
        let mut person = None;
        if let Some(number) = number {
            person =
                server.app.engine.store.read().await.unwrap().db().person_with_number(&format!("+86{number}")).await.unwrap();
            assert!(person.is_some(), "{name}");
        }
        let person = person.map(|person| person.id);
        let mut visitor = Visitor::logged_in_as(&server, name, Role::Responder, person).await;
        let seen = visitor.get(&page).await;
        assert_eq!(seen.shows("<audio"), hears, "{name}: {}", seen.body);
        assert_eq!(seen.shows("Responders of the team may listen"), !hears, "{name}");
        let led = visitor.get(&listen).await;
        assert_eq!(led.status, if hears { 303 } else { 403 }, "{name}");
        if hears {
            let address = format!("{}{}", server.base, led.location());
            assert_eq!(server.http.get(&address).send().await.unwrap().status(), 200);
            // Who leaves the team hears nothing by an address of before.
            consists_of(&server, "Bo").await;
            assert_eq!(server.http.get(&address).send().await.unwrap().status(), 410);
            consists_of(&server, "Ann").await;
        }
    }
    assert_eq!(ada.get(&listen).await.status, 303, "admins hear everything");
}

async fn what_a_caller_said_is_heard_there_too(home: Home) {
    let server = home.set("AUTOCALL_MEDIA_MESSAGE_KEY", "3").start().await;
    server.post("/api/v1/people", &json!({ "name": "Ann", "numbers": [A] })).await;
    let path = server.pair("trunk", Profile::Native).await;
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "record", "inbound"], "backend": "sip", "channels": 1 });
    native(&server, "POST", "/h/trunk/status", can).await;
    let mut ada = Visitor::logged_in(&server, "ada", Role::Admin).await;
    ada.get("/handsets").await;
    assert_eq!(ada.post("/handsets/inbound", &[("handset", "trunk"), ("inbound", "on")]).await.status, 303);
    let id = server.raise(&[], json!({ "ring": [{ "person": "Ann" }], "attempts": 1 })).await;
    let offer = native(&server, "GET", &path, Value::Null).await;
    let at = format!("{path}?mid={}", offer["mid"].as_str().unwrap());
    native(&server, "POST", &at, json!({ "calls": [{ "number": A, "outcome": "no_answer" }] })).await;
    let call = json!({ "id": "c1", "channel": 0, "from": A, "to": "100", "codecs": ["PCMU"] });
    let told = native(&server, "POST", "/h/trunk/incoming", call).await;
    let mid = told["mid"].as_str().unwrap_or_else(|| panic!("{told}"));
    let call = json!({ "number": A, "outcome": "answered", "confirmed": false, "recordings": [{ "id": "r1", "seconds": 3 }] });
    native(&server, "POST", &format!("{path}?mid={mid}"), json!({ "calls": [call] })).await;
    let file = wav::write_ulaw(&tone::sine(&[700.0], 3000, 9000.0));
    let upload = server.http.put(format!("{}/h/trunk/recording/r1?mid={mid}", server.base)).body(file);
    assert_eq!(upload.send().await.unwrap().status(), 200);
    let page = format!("/alarms/{id}");
    let shown = ada.get(&page).await;
    let listen = address(&shown.body, "preload=\"none\" src=\"");
    let (_, recordings) = shown.body.split_once("Recordings").unwrap();
    assert!(recordings.contains("Ann"), "by the name of who called: {recordings}");
    let led = ada.get(&listen).await;
    let heard = server.http.get(format!("{}{}", server.base, led.location())).send().await.unwrap();
    assert_eq!(heard.status(), 200);
    let after = ada.get(&page).await;
    assert!(after.shows("in the call was listened to"), "{}", after.body);
}
