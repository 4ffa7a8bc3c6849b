//! What the pages say is what is so: whom it rings and why, which phones count, which alarms are open, what became of them.

use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::client::Visitor;
use crate::harness::{A, B, C, Home, Server, on_both};
use crate::sights::name_people;

on_both!(
    whom_an_alarm_rings_is_said_with_their_duty,
    those_of_last_resort_are_called_so_and_nobody_else,
    who_is_next_is_whom_the_rule_rings_next,
    whoever_has_quiet_hours_is_not_next,
    a_phone_that_never_reported_did_not_say_no_answer,
    what_cannot_be_handed_anything_is_not_counted,
    a_curl_that_polled_once_is_no_phone,
    open_alarms_are_listed_too,
    declined_by_all_is_not_unheard,
    nothing_rings_while_nothing_rings,
    the_others_that_nobody_heard_are_named,
    times_make_sense_without_script,
);

async fn made(server: &Server, path: &str, body: Value) {
    let (status, made) = server.post(path, &body).await;
    assert_eq!(status, 201, "{made}");
}

/// Li Na until Monday, 23 November, 09:00 in Shanghai.
async fn weekly(server: &Server) {
    name_people(server).await;
    let layer = json!({ "name": "weekly", "people": ["Li Na", "张伟"], "every": "1 week", "start": "2026-11-16T09:00" });
    made(server, "/api/v1/schedules", json!({ "name": "ops", "zone": "Asia/Shanghai", "layers": [layer] })).await;
}

const ON_DUTY: &str = "<b>Li Na</b>, on duty by “ops” until <time datetime=\"2026-11-23T01:00:00.000Z\"";

async fn whom_an_alarm_rings_is_said_with_their_duty(home: Home) {
    let server = home.start().await;
    weekly(&server).await;
    made(&server, "/api/v1/teams", json!({ "name": "infra", "members": ["张伟"] })).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let id = server.raise(&[], json!({ "ring": [{ "schedule": "ops" }] })).await;
    let page = lin.get(&format!("/alarms/{id}")).await;
    assert!(page.shows(&format!("Ringing {ON_DUTY}")), "{}", page.body);
    assert!(!page.shows("last resort") && !page.shows("Last resort"), "{}", page.body);
    let id = server.raise(&[], json!({ "ring": [{ "team": "infra" }, { "number": C }] })).await;
    let page = lin.get(&format!("/alarms/{id}")).await;
    assert!(page.shows(&format!("Ringing <b>张伟</b>, of the team “infra”, <b>+86{C}</b>")), "{}", page.body);
    server.put("/api/v1/policies/by duty", &json!({ "steps": [{ "ring": [{ "schedule": "ops" }] }] })).await;
    let id = server.raise(&[], json!({ "policy": "by duty" })).await;
    let page = lin.get(&format!("/alarms/{id}")).await;
    assert!(page.shows(&format!("round 1: {ON_DUTY}")), "{}", page.body);
}

async fn those_of_last_resort_are_called_so_and_nobody_else(home: Home) {
    let server = home.set("AUTOCALL_ALARMS_FALLBACK_PHONES", C).start().await;
    made(&server, "/api/v1/schedules", json!({ "name": "nights", "zone": "UTC", "layers": [] })).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let id = server.raise(&[], json!({ "ring": [{ "schedule": "nights" }] })).await;
    let page = lin.get(&format!("/alarms/{id}")).await;
    assert!(page.shows(&format!("Ringing those of last resort: <b>+86{C}</b>")), "{}", page.body);
}

async fn who_is_next_is_whom_the_rule_rings_next(home: Home) {
    let server = home.start().await;
    name_people(&server).await;
    let pixel = server.pair("pixel", Profile::Native).await;
    let id = server.raise(&[A, B], json!({ "min_interval_seconds": 0 })).await;
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let native = |method: reqwest::Method, path: String| {
        http.request(method, format!("{}{path}", server.base)).header("autocall-protocol", "1")
    };
    let offer: Value = native(reqwest::Method::GET, pixel.clone()).send().await.unwrap().json().await.unwrap();
    assert_eq!(offer["phone"], json!([A]));
    let failed = json!({ "calls": [{ "number": A, "outcome": "failed" }] });
    let report = native(reqwest::Method::POST, format!("{pixel}?mid={}", offer["mid"].as_str().unwrap())).json(&failed);
    assert_eq!(report.send().await.unwrap().status(), 200);
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    for path in ["/".to_owned(), format!("/alarms/{id}")] {
        let page = lin.get(&path).await;
        let rung = |name: &str| state_of_rung(&page.body, name);
        assert_eq!((rung("张伟").as_str(), rung("Li Na").as_str()), ("after that", "next"), "{path}");
    }
}

async fn whoever_has_quiet_hours_is_not_next(home: Home) {
    let server = home.start().await;
    name_people(&server).await;
    let ends = (server.now() + TimeDelta::hours(1)).format("%H:%M").to_string();
    let begun = (server.now() - TimeDelta::hours(1)).format("%H:%M").to_string();
    let quiet = json!({ "quiet_hours": [{ "person": "张伟", "from": begun, "to": ends, "zone": "UTC", "up_to": "high" }] });
    assert_eq!(server.put("/api/v1/quiet-hours", &quiet).await.0, 200);
    let id = server.raise(&[], json!({ "ring": [{ "person": "张伟" }, { "person": "Li Na" }] })).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    for path in ["/".to_owned(), format!("/alarms/{id}")] {
        let page = lin.get(&path).await;
        let (states, next) = (state_of_rung(&page.body, "张伟"), state_of_rung(&page.body, "Li Na"));
        assert!(states.starts_with("quiet hours until "), "{path}: {states}");
        assert_eq!(next, "next", "{path}");
    }
}

async fn a_phone_that_never_reported_did_not_say_no_answer(home: Home) {
    let server = home.start().await;
    name_people(&server).await;
    let desk = server.pair("desk", Profile::App).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let id = server.raise(&[A, B], json!({ "attempts": 1 })).await;
    server.app_dial(&desk).await;
    server.pass(300).await;
    server.pass(300).await;
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [B]);
    server.report(&desk, &mid, None).await;
    assert_eq!(server.alarm(&id).await["reason"], "no_report");
    let page = lin.get(&format!("/alarms/{id}")).await;
    let (unknown, nobody) = (state_of_rung(&page.body, "张伟"), state_of_rung(&page.body, "Li Na"));
    assert_eq!((unknown.as_str(), nobody.as_str()), ("no report from the phone · calls: 1 of 1", "no answer · calls: 1 of 1"));
    server.pass(100).await;
    let again = server.raise(&[A], json!({ "attempts": 2 })).await;
    server.app_dial(&desk).await;
    server.pass(300).await;
    server.pass(300).await;
    assert_eq!(server.outcomes(&again).await, ["expired"]);
    for path in ["/".to_owned(), format!("/alarms/{again}")] {
        let page = lin.get(&path).await;
        let state = state_of_rung(&page.body, "张伟");
        assert_eq!(state, "no report from the phone · calls: 1 of 2 · again in turn", "{path}: nobody knows whether he was rung");
    }
}

/// What stands beside a name on the ladder.
fn state_of_rung(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("<b>{name}</b>")).unwrap();
    let (_, state) = rest.split_once("<small>").unwrap();
    state.split("</small>").next().unwrap().to_owned()
}

async fn poll_as_curl(server: &Server) -> u16 {
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let request = http.get(format!("{}/alert/phone", server.base)).header("user-agent", "curl/8.5.0");
    request.send().await.unwrap().status().as_u16()
}

async fn what_cannot_be_handed_anything_is_not_counted(home: Home) {
    let server = home.start().await;
    poll_as_curl(&server).await;
    let desk = server.pair("desk", Profile::App).await;
    server.app_idle(&desk).await;
    server.pass(6).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let now = lin.get("/").await;
    assert!(now.shows("1 of 1 ready") && !now.shows("of 2 ready"), "{}", now.body);
    let page = lin.get("/handsets").await;
    assert!(
        page.shows("gets no alarms") && page.shows("It polls without a token, and nothing is handed out there"),
        "{}",
        page.body
    );
    let (_, card) = page.body.split_once("gets no alarms").unwrap();
    let (_, form) = card.split_once("action=\"/handsets/remove\"").unwrap();
    let (_, name) = form.split_once("name=\"handset\" value=\"").unwrap();
    let name = name.split('"').next().unwrap().to_owned();
    assert_ne!(name, "desk");
    assert_eq!(lin.post("/handsets/remove", &[("handset", &name)]).await.location(), "/handsets?done=removed");
    assert!(!lin.get("/handsets").await.shows("gets no alarms"));
    // The phone is disabled: then nothing that is left could ring for an alarm.
    lin.post("/handsets/disable", &[("handset", "desk")]).await;
    server.raise(&[A], json!({})).await;
    assert!(lin.get("/").await.shows("Alarms are waiting, and no phone is polling."));
}

async fn a_curl_that_polled_once_is_no_phone(home: Home) {
    let server = home.start().await;
    poll_as_curl(&server).await;
    server.pass(240).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Admin).await;
    let now = lin.get("/").await;
    assert!(!now.shows("1 of 1 ready"), "{}", now.body);
    server.raise(&[A], json!({})).await;
    assert!(lin.get("/").await.shows("no phone is polling"));
    let page = lin.get("/handsets").await;
    assert!(page.shows("gets no alarms") && page.shows("It polled once without a token"), "{}", page.body);
}

async fn open_alarms_are_listed_too(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let ringing = server.raise(&[A], json!({ "summary": "disk full", "priority": "high" })).await;
    server.dial(&desk).await;
    let waiting = server.raise(&[B], json!({ "summary": "fan slow" })).await;
    let over = server.raise(&[C], json!({ "summary": "all well" })).await;
    server.post(&format!("/api/v1/alarms/{over}/cancel"), &json!({})).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Viewer).await;
    let page = lin.get("/alarms").await;
    for (id, state) in [
        (&ringing, "<span class=\"tag now\">being rung</span>"),
        (&waiting, "<span class=\"tag waiting\">waiting</span>"),
        (&over, "cancelled"),
    ] {
        let (_, line) =
            page.body.split_once(&format!("id=\"line-{id}\"")).unwrap_or_else(|| panic!("{id} is hidden: {}", page.body));
        let line = line.split("</li>").next().unwrap();
        assert!(line.contains(state), "{state}: {line}");
    }
    let place = |id: &str| page.body.find(id).unwrap();
    assert!(place(&over) < place(&waiting) && place(&waiting) < place(&ringing), "newest first");
}

async fn declined_by_all_is_not_unheard(home: Home) {
    let server = home.start().await;
    let id = server.raise(&[A], json!({ "summary": "disk full" })).await;
    let callee = server.alarm(&id).await["callees"][0]["id"].as_str().unwrap().to_owned();
    server.post(&format!("/api/v1/alarms/{id}/callees/{callee}/decline"), &json!({})).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let now = lin.get("/").await;
    assert!(now.shows("Everybody declined: disk full") && !now.shows("Nobody heard"), "{}", now.body);
    let line = now.body.split_once(&format!("id=\"line-{id}\"")).unwrap().1.split("</li>").next().unwrap();
    assert!(line.contains("everybody declined") && !line.contains("no answer"), "{line}");
}

async fn nothing_rings_while_nothing_rings(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    server.raise(&[A], json!({})).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let now = lin.get("/").await;
    assert!(!now.shows("Being rung") && !now.shows("0 ringing") && now.shows("1 waiting"), "{}", now.body);
    server.dial(&desk).await;
    let now = lin.get("/").await;
    assert!(now.shows("Being rung") && now.shows("1 ringing now"), "{}", now.body);
}

async fn the_others_that_nobody_heard_are_named(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let mut ids = Vec::new();
    for summary in ["disk full", "fan slow", "door <open>", "one", "two"] {
        ids.push(server.raise(&[A], json!({ "summary": summary, "attempts": 1, "min_interval_seconds": 0 })).await);
        let (mid, _) = server.dial(&desk).await;
        server.report(&desk, &mid, None).await;
        server.pass(1).await;
    }
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    let now = lin.get("/").await;
    let (_, trouble) = now.body.split_once("Nobody heard: two").unwrap();
    let trouble = trouble.split("</li>").next().unwrap();
    assert!(!trouble.contains("more like it"), "{trouble}");
    for (id, name) in [(&ids[3], "one"), (&ids[2], "door &lt;open&gt;"), (&ids[1], "fan slow")] {
        assert!(trouble.contains(&format!("<a href=\"/alarms/{id}\">{name}</a>")), "{name}: {trouble}");
    }
    assert!(trouble.contains("and 1 more"), "{trouble}");
}

async fn times_make_sense_without_script(home: Home) {
    let server = home.start().await;
    name_people(&server).await;
    let desk = server.pair("desk", Profile::App).await;
    let (_, beat) = server.post("/api/v1/heartbeats", &json!({ "name": "backup", "period_seconds": 60, "phones": [A] })).await;
    server.post(beat["ping_path"].as_str().unwrap(), &json!({})).await;
    server.app_idle(&desk).await;
    server.pass(6).await;
    let mut lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
    for path in ["/", "/handsets", "/watch"] {
        let page = lin.get(path).await;
        assert!(page.shows("03:00:00 UTC</time>"), "{path}: {}", page.body);
        assert!(!page.shows("</time> ago"), "{path} says that an instant is ago: {}", page.body);
    }
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, None).await;
    let page = lin.get(&format!("/alarms/{id}")).await;
    assert!(page.shows("calls: 1 of 1") && !page.shows("1 tries"), "{}", page.body);
}
