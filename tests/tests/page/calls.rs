//! What the pages tell of each call: on the timeline of its alarm, and on the page of whoever was called.

use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::client::Visitor;
use crate::harness::{A, B, Home, Server, on_both};
use crate::spoken::native;

on_both!(the_timeline_tells_what_became_of_each_call, a_person_has_a_list_of_their_calls);

/// Takes the next list, and reports what became of its number after so many seconds.
async fn called(server: &Server, path: &str, number: &str, seconds: i64, call: Value) {
    let offer = native(server, "GET", path, Value::Null).await;
    assert_eq!(offer["phone"], json!([number]), "{offer}");
    server.home.clock.advance(TimeDelta::seconds(seconds));
    let report = format!("{path}?mid={}", offer["mid"].as_str().unwrap());
    assert_eq!(native(server, "POST", &report, json!({ "calls": [call] })).await, json!({ "code": 0 }));
}

async fn the_timeline_tells_what_became_of_each_call(home: Home) {
    let server = home.start().await;
    let path = server.pair("trunk", Profile::Native).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let mut guest = Visitor::logged_in(&server, "guest", Role::Viewer).await;
    let id = server.raise(&[A, B], json!({ "attempts": 1 })).await;
    let page = format!("/alarms/{id}");
    let busy = json!({ "number": A, "outcome": "busy", "ended_by": "callee", "ended_ms": 3000, "cause": { "sip": 486, "text": "Busy <Here>" } });
    called(&server, &path, A, 4, busy).await;
    let shown = lin.get(&page).await;
    let told = "dialled after 1 s · over after 4 s · busy · the callee ended it · SIP 486, Busy &#60;Here&#62;";
    assert!(shown.shows(told), "{}", shown.body);
    let offer = native(&server, "GET", &path, Value::Null).await;
    assert!(!lin.get(&page).await.shows("nobody reported"), "it goes on");
    server.home.clock.advance(TimeDelta::seconds(70));
    let mid = offer["mid"].as_str().unwrap();
    let talked =
        json!({ "number": B, "outcome": "answered", "keys": "21", "machine": "human", "talk_seconds": 61, "ended_by": "us" });
    native(&server, "POST", &format!("{path}?mid={mid}&resp={B}"), json!({ "calls": [talked] })).await;
    let told = |pressed: &str| {
        format!("over after about 1 min 10 s · picked up · 1 min 01 s of talk · {pressed}a human, it seems · the handset hung up")
    };
    assert!(lin.get(&page).await.shows(&told("pressed 21 · ")));
    let shown = guest.get(&page).await;
    assert!(shown.shows(&told("")), "what was pressed may be a secret: {}", shown.body);
    assert!(!shown.shows(&mid[9..]) && !shown.shows("8812345678"), "neither a mid nor a number");
    let lost = server.raise(&[A], json!({ "attempts": 1 })).await;
    native(&server, "GET", &path, Value::Null).await;
    server.pass(400).await;
    assert!(lin.get(&format!("/alarms/{lost}")).await.shows("nobody reported how it ended"));
}

async fn a_person_has_a_list_of_their_calls(home: Home) {
    let server = home.start().await;
    let path = server.pair("trunk", Profile::Native).await;
    let mut admin = Visitor::logged_in(&server, "root", Role::Admin).await;
    let (status, person) = server.post("/api/v1/people", &json!({ "name": "Li Na", "numbers": [A] })).await;
    assert_eq!(status, 201);
    let page = format!("/people/{}", person["id"].as_str().unwrap());
    assert!(admin.get(&page).await.shows("No alarm has rung them yet."));
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    called(&server, &path, A, 1, json!({ "number": A, "outcome": "rejected" })).await;
    let number = server.alarm(&id).await["alarm_number"].as_str().unwrap().to_owned();
    let shown = admin.get(&page).await;
    assert!(shown.shows(&format!("<a href=\"/alarms/{id}\">alarm {number}</a>")), "{}", shown.body);
    assert!(shown.shows("+8618712345678") && shown.shows("declined while it rang"), "{}", shown.body);
}
