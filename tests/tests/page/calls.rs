//! What the pages tell of each call: on the timeline of its alarm, and on the page of whoever was called.

use autocall::call_log::reading::Said;
use autocall::engine::Doer;
use autocall::keep::keys;
use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::client::Visitor;
use crate::harness::{A, B, Home, Server, on_both};
use crate::spoken::native;

on_both!(
    the_timeline_tells_what_became_of_each_call,
    a_person_has_a_list_of_their_calls,
    all_calls_of_a_person_stand_in_one_line_of_time,
    calls_are_found_by_who_may_see_numbers,
    what_is_no_alarm_is_listed_beside_the_alarms,
);

/// Takes the next list, and reports what became of its number after so many seconds.
async fn called(server: &Server, path: &str, number: &str, seconds: i64, call: Value) {
    let offer = native(server, "GET", path, Value::Null).await;
    assert_eq!(offer["phone"], json!([number]), "{offer}");
    server.home.clock.advance(TimeDelta::seconds(seconds));
    let report = format!("{path}?mid={}", offer["mid"].as_str().unwrap());
    assert_eq!(native(server, "POST", &report, json!({ "calls": [call] })).await, json!({ "code": 0 }));
}

async fn what_is_no_alarm_is_listed_beside_the_alarms(home: Home) {
    let server = home.start().await;
    server.pair("desk", Profile::List).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let alarm = server.raise(&[B], json!({})).await;
    let engine = &server.app.engine;
    let desk = engine.store.read().await.unwrap().db().handset_by_name("desk").await.unwrap().unwrap();
    let test = engine.test_call(&desk, &format!("+86{A}"), true).await.unwrap().alarm.id.to_string();
    let [alarm, test] = [alarm, test].map(|id| format!("href=\"/alarms/{id}\""));
    let alarms = lin.get("/alarms").await;
    assert!(alarms.shows(&alarm) && !alarms.shows(&test), "{}", alarms.body);
    for kind in ["test", "shout", "call"] {
        assert!(alarms.shows(&format!("<a href=\"/alarms?kind={kind}\">")), "{kind}: {}", alarms.body);
    }
    let tests = lin.get("/alarms?kind=test").await;
    assert!(tests.shows(&test) && !tests.shows(&alarm), "{}", tests.body);
    assert!(tests.shows("<a href=\"/alarms?kind=test\" aria-current=\"page\">Test calls</a>"), "{}", tests.body);
    assert!(lin.get("/alarms?kind=shout").await.shows("There are none."));
    assert!(lin.get("/alarms?kind=nonsense").await.shows(&alarm), "what is no kind asks for nothing");
    for _ in 0..50 {
        engine.test_call(&desk, &format!("+86{A}"), true).await.unwrap();
    }
    let older = lin.get("/alarms?kind=test").await;
    let (_, rest) = older.body.split_once("<a href=\"/alarms?kind=test&#38;below=").unwrap_or_else(|| panic!("{}", older.body));
    let below = rest.split('"').next().unwrap();
    let rest = lin.get(&format!("/alarms?kind=test&below={below}")).await;
    assert!(rest.shows(&test) && !rest.shows(&alarm), "{}", rest.body);
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
    assert!(admin.get(&page).await.shows("There are no calls yet."));
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    called(&server, &path, A, 1, json!({ "number": A, "outcome": "rejected" })).await;
    let number = server.alarm(&id).await["alarm_number"].as_str().unwrap().to_owned();
    let shown = admin.get(&page).await;
    assert!(shown.shows(&format!("<a href=\"/alarms/{id}\">alarm {number}</a>")), "{}", shown.body);
    assert!(shown.shows("+8618712345678") && shown.shows("declined while it rang"), "{}", shown.body);
}

/// A key that lists calls.
async fn lister(server: &Server) -> String {
    let own = server.app.config().phone_call_defaults();
    let add = async |work: &mut _| keys::add_for_calls(work, "pbx", &Said::default(), own).await;
    server.app.engine.store.carry_out(server.now(), Doer::Server, add).await.unwrap()
}

/// Lists a call.
async fn list(server: &Server, key: &str, initiated: &str, source: &str, more: &str) {
    let call = format!("/direct/items/phonecalls/create?token={key}&initiated={initiated}&source={source}{more}");
    let told: Value = server.http.get(format!("{}{call}", server.base)).send().await.unwrap().json().await.unwrap();
    assert_eq!(told["error"], false, "{told}");
}

async fn all_calls_of_a_person_stand_in_one_line_of_time(home: Home) {
    let server = home.set("AUTOCALL_PHONECALLS_UNKNOWN", "make").start().await;
    let path = server.pair("trunk", Profile::Native).await;
    let key = lister(&server).await;
    // Before anybody had the number, and afterwards.
    list(&server, &key, "2026-11-19T12:00:00", "7222", &format!("&destination={A}&duration=65&url=http://pbx/early")).await;
    let (status, person) = server.post("/api/v1/people", &json!({ "name": "Li Na", "numbers": [A] })).await;
    assert_eq!(status, 201);
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    called(&server, &path, A, 1, json!({ "number": A, "outcome": "rejected" })).await;
    let hostile = "%22%3E%3Cscript%3E";
    list(&server, &key, "2026-11-20T04:00:00", hostile, &format!("&destination={A}&duration=7&url=http://pbx/%22%3Elate")).await;
    let mut admin = Visitor::logged_in(&server, "root", Role::Admin).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let mut guest = Visitor::logged_in(&server, "guest", Role::Viewer).await;
    let person = format!("/people/{}", person["id"].as_str().unwrap());
    let wall = format!("{person}/calls");
    let in_order = |body: &str| {
        let places = ["pbx/&#34;&#62;late", &format!("/alarms/{id}"), "http://pbx/early"].map(|sign| body.find(sign));
        places.iter().all(Option::is_some) && places.is_sorted()
    };
    for shown in [admin.get(&person).await, admin.get(&wall).await, lin.get(&wall).await] {
        assert!(in_order(&shown.body), "{}", shown.body);
        assert!(shown.shows("+8618712345678 · from 7222 · 1 min 05 s long") && !shown.shows("<script>"), "{}", shown.body);
        assert!(shown.shows("rel=\"noopener noreferrer nofollow\""), "{}", shown.body);
    }
    let shown = lin.get(&wall).await;
    assert!(shown.shows("ours: 1") && shown.shows("of other systems: 2"), "{}", shown.body);
    let shown = guest.get(&wall).await;
    assert_eq!(shown.status, 200);
    assert!(shown.shows("ours: 1") && shown.shows("12:00:00 UTC") && shown.shows("to them"), "{}", shown.body);
    for secret in ["8712345678", "from 7222", "pbx/"] {
        assert!(!shown.shows(secret), "{secret}: {}", shown.body);
    }
    assert_eq!(guest.get(&person).await.status, 403);
    assert_eq!(guest.get("/people/01a1fc4e-a630-77e4-8b85-425a1123605f/calls").await.status, 404);
    // A page at a time.
    for minute in 0..100 {
        list(
            &server,
            &key,
            &format!("2026-11-18T12:{:02}:{:02}", minute / 60, minute % 60),
            "7223",
            &format!("&destination={A}"),
        )
        .await;
    }
    let shown = lin.get(&wall).await;
    let older = shown.body.split(&format!("{wall}?before=")).nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    let shown = lin.get(&format!("{wall}?before={older}")).await;
    assert!(shown.shows("12:00:00 UTC") && !shown.shows("http://pbx/early"), "{}", shown.body);
}

async fn calls_are_found_by_who_may_see_numbers(home: Home) {
    let server = home.start().await;
    let key = lister(&server).await;
    for (name, number) in [("Li Na", A), ("Zhang Wei", B)] {
        assert_eq!(server.post("/api/v1/people", &json!({ "name": name, "numbers": [number] })).await.0, 201);
    }
    list(&server, &key, "2026-11-19T12:00:00", "7222", &format!("&destination={A}&duration=65")).await;
    list(&server, &key, "2026-11-19T12:01:00", "7223", &format!("&destination={B}&url=http://pbx/2")).await;
    list(&server, &key, "2026-11-19T12:02:00", "%3D1%2B1", &format!("&destination={B}")).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let mut guest = Visitor::logged_in(&server, "guest", Role::Viewer).await;
    assert!(lin.get("/").await.shows("href=\"/calls\"") && !guest.get("/").await.shows("href=\"/calls\""));
    for path in ["/calls", "/calls.csv"] {
        assert_eq!(guest.get(path).await.status, 403, "{path}");
    }
    for (search, times) in [
        ("", &["12:00:00", "12:01:00", "12:02:00"][..]),
        ("zhang", &["12:01:00", "12:02:00"]),
        (B, &["12:01:00", "12:02:00"]),
        ("%2B86+187-1234-5678", &["12:00:00"]),
        ("7223", &["12:01:00"]),
        ("nobody", &[]),
        ("%22%3E%3Cscript%3E", &[]),
    ] {
        let shown = lin.get(&format!("/calls?q={search}")).await;
        for time in ["12:00:00", "12:01:00", "12:02:00"] {
            assert_eq!(shown.shows(&format!("{time} UTC")), times.contains(&time), "{search:?} {time}: {}", shown.body);
        }
        assert!(!shown.shows("<script>"), "{}", shown.body);
        let file = lin.get(&format!("/calls.csv?q={search}")).await;
        assert_eq!(file.body.lines().count(), times.len() + 1, "{search}: {}", file.body);
    }
    let file = lin.get("/calls.csv").await;
    let expected = "started_at,origin,direction,name,number,caller,outcome,talk_seconds,duration_seconds,alarm,url\n\
        2026-11-19T12:02:00Z,replicated,outgoing,Zhang Wei,+8618812345678,'=1 1,unknown,,,,\n\
        2026-11-19T12:01:00Z,replicated,outgoing,Zhang Wei,+8618812345678,7223,unknown,,,,http://pbx/2\n\
        2026-11-19T12:00:00Z,replicated,outgoing,Li Na,+8618712345678,7222,unknown,,65,,\n";
    assert_eq!(file.body, expected, "a formula is none");
}
