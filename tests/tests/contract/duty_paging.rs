//! Paging by duty: alarms and policies name teams and schedules, and ring whoever is on duty when a step begins.

use autocall::store::watch::handsets::Profile;
use serde_json::{Value, json};

use crate::harness::{A, B, C, Home, Server, on_both};
use crate::roster::people;

on_both!(
    an_alarm_rings_whoever_is_on_duty_and_says_why,
    a_gap_is_passed_and_shown,
    an_alarm_that_names_a_gap_goes_to_the_fallback,
    a_team_s_duty_and_the_person_by_name_are_one_callee,
    the_hand_over_between_two_steps_counts,
    a_policy_is_read_back_with_its_teams,
    names_that_are_not_there_are_refused,
    when_it_rings_again_the_roster_is_asked_again_but_not_who_said_no,
);

async fn made(server: &Server, path: &str, body: Value) {
    let (status, made) = server.post(path, &body).await;
    assert_eq!(status, 201, "{made}");
}

/// Ann this week, Bob from Monday, 23 November, 09:00 in Shanghai; the clock stands at Friday the 20th, 11:00 there.
async fn weekly(server: &Server, name: &str) {
    people(server).await;
    let layer = json!({ "name": "weekly", "people": ["Ann", "Bob"], "every": "1 week", "start": "2026-11-16T09:00" });
    made(server, "/api/v1/schedules", json!({ "name": name, "zone": "Asia/Shanghai", "layers": [layer] })).await;
}

async fn event(server: &Server, id: &str, kind: &str) -> Value {
    let alarm = server.alarm(id).await;
    let events = alarm["timeline"].as_array().unwrap().clone();
    events.into_iter().find(|event| event["kind"] == kind).unwrap_or_else(|| panic!("no {kind}: {alarm}"))["body"].clone()
}

async fn an_alarm_rings_whoever_is_on_duty_and_says_why(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    weekly(&server, "ops").await;
    let id = server.raise(&[], json!({ "ring": [{ "schedule": "ops" }], "attempts": 1 })).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A]);
    let duty = event(&server, &id, "step_began").await["callees"][0]["duty"].clone();
    assert_eq!(
        duty,
        json!({ "team": null, "schedule": "ops", "why": "layer", "by": "weekly", "covers": null, "until": "2026-11-23T01:00:00Z" })
    );
    server.report(&desk, &mid, None).await;
    assert_eq!(server.alarm(&id).await["reason"], "attempts_used", "as often as the alarm says");
}

async fn a_gap_is_passed_and_shown(home: Home) {
    let server = home.start().await;
    people(&server).await;
    made(&server, "/api/v1/schedules", json!({ "name": "nights", "zone": "Asia/Shanghai", "layers": [] })).await;
    let steps = json!([{ "ring": [{ "schedule": "nights" }], "wait_seconds": 300 }, { "ring": [{ "person": "张伟" }] }]);
    server.put("/api/v1/policies/ops", &json!({ "steps": steps })).await;
    let id = server.raise(&[], json!({ "policy": "ops" })).await;
    assert_eq!(event(&server, &id, "step_empty").await["nowhere"], json!(["nights"]));
    assert_eq!(server.alarm(&id).await["callees"][0]["name"], "张伟");
}

async fn an_alarm_that_names_a_gap_goes_to_the_fallback(home: Home) {
    let server = home.set("AUTOCALL_ALARMS_FALLBACK_PHONES", C).start().await;
    made(&server, "/api/v1/schedules", json!({ "name": "nights", "zone": "Asia/Shanghai", "layers": [] })).await;
    let id = server.raise(&[], json!({ "ring": [{ "schedule": "nights" }] })).await;
    assert_eq!(event(&server, &id, "policy_empty").await["fallback"], 1);
    assert_eq!(server.alarm(&id).await["callees"][0]["number"], format!("+86{C}"));
}

async fn a_team_s_duty_and_the_person_by_name_are_one_callee(home: Home) {
    let server = home.start().await;
    people(&server).await;
    made(&server, "/api/v1/teams", json!({ "name": "infra", "members": ["Bob", "Ann"] })).await;
    let id = server.raise(&[], json!({ "ring": [{ "person": "Ann" }, { "team": "infra" }, { "number": B }] })).await;
    let alarm = server.alarm(&id).await;
    let names: Vec<&str> = alarm["callees"].as_array().unwrap().iter().map(|callee| callee["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Ann", "Bob"]);
}

async fn the_hand_over_between_two_steps_counts(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    weekly(&server, "ops").await;
    let step = json!({ "ring": [{ "schedule": "ops" }], "attempts": 1, "min_interval_seconds": 0 });
    server.put("/api/v1/policies/ops", &json!({ "steps": [step], "rounds": 2 })).await;
    // Monday, 08:59:50 in Shanghai.
    server.pass(2 * 24 * 3600 + 21 * 3600 + 59 * 60 + 50).await;
    assert_eq!(server.now().to_rfc3339(), "2026-11-23T00:59:50+00:00");
    let id = server.raise(&[], json!({ "policy": "ops" })).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A]);
    server.pass(10).await;
    assert_eq!(server.outcomes(&id).await, ["open"], "the hand-over at the moment of a call does not break it off");
    server.report(&desk, &mid, None).await;
    assert_eq!(server.dial(&desk).await.1, [B], "and the next step asks again who is on duty");
}

async fn a_policy_is_read_back_with_its_teams(home: Home) {
    let server = home.start().await;
    weekly(&server, "ops").await;
    made(&server, "/api/v1/teams", json!({ "name": "infra", "members": ["Bob"] })).await;
    let ring = json!([{ "team": "infra" }, { "schedule": "ops" }, { "person": "Ann" }]);
    let (status, stored) = server.put("/api/v1/policies/all", &json!({ "steps": [{ "ring": ring }] })).await;
    assert_eq!((status, &stored["steps"][0]["ring"]), (201, &ring));
}

async fn names_that_are_not_there_are_refused(home: Home) {
    let server = home.start().await;
    for (ring, field) in [
        (json!([{ "number": A }, { "schedule": "none" }]), "ring[1]"),
        (json!([{ "team": "none" }]), "ring[0]"),
        (json!([{ "person": "none" }]), "ring[0]"),
        (json!([{ "number": "110" }]), "ring[0]"),
    ] {
        let (status, problem) = server.post("/api/v1/alarms", &json!({ "summary": "s", "ring": ring })).await;
        assert_eq!((status, problem["field"].as_str().unwrap()), (422, field), "{problem}");
    }
    let both = json!({ "summary": "s", "phones": [A], "ring": [{ "number": B }] });
    assert_eq!(server.post("/api/v1/alarms", &both).await.1["field"], "ring");
    assert_eq!(server.get("/api/v1/alarms").await["alarms"], json!([]), "nothing was stored");
}

async fn when_it_rings_again_the_roster_is_asked_again_but_not_who_said_no(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    weekly(&server, "ops").await;
    let id = server.raise(&[], json!({ "ring": [{ "schedule": "ops" }, { "person": "张伟" }] })).await;
    let callees = server.alarm(&id).await["callees"].clone();
    assert_eq!((callees[0]["name"].as_str(), callees[1]["name"].as_str()), (Some("Ann"), Some("张伟")));
    let declines = format!("/api/v1/alarms/{id}/callees/{}/decline", callees[1]["id"].as_str().unwrap());
    assert_eq!(server.post(&declines, &json!({})).await.0, 200);
    // Until Monday, when Bob is on duty.
    let taken = json!({ "name": "Lin", "ring_again_after_seconds": 4 * 86_400 });
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &taken).await.0, 200);
    server.pass(4 * 86_400 + 1).await;
    assert_eq!(server.dial(&desk).await.1, [B], "Ann is off duty, and 张伟 has declined");
    // A person asks for everybody.
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(B)).await;
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/redial"), &json!({})).await.0, 200);
    assert_eq!(server.dial(&desk).await.1, [B, C]);
}
