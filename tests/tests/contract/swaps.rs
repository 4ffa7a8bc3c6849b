//! Swaps and previews: somebody asks another to take a shift; what a change does is told before it is made.

use std::time::Duration;

use autocall::engine::Doer;
use autocall::ids::SmsId;
use autocall::keep::roster::forms::OverrideForm;
use autocall::keep::roster::{RosterError, exceptions, preview};
use autocall::store::Work;
use autocall::store::lines::sms::{Purpose, SmsRow};
use autocall::versions::Expected;
use autocall_tests::described::Held as _;
use autocall_tests::kept::Kept as _;
use autocall_tests::wait::eventually;
use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::gateway::{Gateway, add_smsgate, near, taken};
use crate::harness::{Home, Server, on_both};
use crate::roster::{people, send};

on_both!(
    a_swap_of_a_weekend_is_seen_by_both_and_told,
    a_press_that_comes_twice_or_late_changes_nothing,
    a_shift_that_is_somebody_else_s_by_now_is_not_given_away,
    what_has_begun_has_lapsed,
    anybody_of_the_team_may_take_it,
    a_wrong_request_asks_nobody,
    a_swap_over_a_change_of_clocks_is_whole,
    swaps_are_listed_page_by_page_and_forgotten,
    what_a_change_does_is_told_and_not_done,
    the_removal_of_a_person_tells_who_comes_on_duty,
    what_a_removal_is_said_to_change_is_what_it_changes,
    whoever_looks_at_a_change_sees_no_other_in_it,
    a_removal_waits_for_figures_before_it_holds_the_plan,
    nobody_asks_without_end,
    what_has_lapsed_counts_no_more,
    texts_about_alarms_leave_before_those_about_duties,
    a_person_has_a_few_calendar_addresses,
);

/// Longer than anything here takes.
const SOON: Duration = Duration::from_secs(20);

/// A server with Ann, Bob and 张伟; Ann is on duty until Monday, the 23rd, 09:00 in Berlin, then Bob, week by week. It is Friday, the 20th.
async fn start(home: Home) -> Server {
    let server = near(home).start().await;
    people(&server).await;
    let layer = json!({ "name": "weekly", "people": ["Ann", "Bob"], "every": "1 week", "start": "2026-11-16T09:00" });
    let schedule = json!({ "name": "ops", "zone": "Europe/Berlin", "layers": [layer] });
    let (status, made) = server.post("/api/v1/schedules", &schedule).await;
    assert_eq!(status, 201, "{made}");
    server
}

async fn names(server: &Server, at: &str) -> Vec<String> {
    let answer = server.get(&format!("/api/v1/schedules/ops/on-duty?on_duty_at={at}")).await;
    let on = answer["on_duty"].as_array().unwrap_or_else(|| panic!("{answer}"));
    on.iter().map(|on| on["person"]["name"].as_str().unwrap().to_owned()).collect()
}

async fn asked(server: &Server, form: Value) -> String {
    let (status, made) = server.post("/api/v1/swaps", &form).await;
    assert_eq!((status, &made["state"]), (201, &json!("open")), "{made}");
    made["id"].as_str().unwrap().to_owned()
}

async fn press(server: &Server, id: &str, what: &str, body: Value) -> (u16, Value) {
    let body = (what == "accept" || what == "rehearse").then_some(body);
    send(server, "POST", &format!("/api/v1/swaps/{id}/{what}"), body).await
}

async fn overrides(server: &Server) -> usize {
    server.get("/api/v1/schedules/ops").await["overrides"].as_array().unwrap().len()
}

/// Bob's weekend for Ann's.
fn weekend() -> Value {
    json!({ "schedule": "ops", "person": "Bob", "other": "Ann", "note": "wedding",
        "starts_at": "2026-11-28T00:00", "ends_at": "2026-11-30T00:00",
        "back_starts_at": "2026-12-05T00:00", "back_ends_at": "2026-12-07T00:00" })
}

async fn a_swap_of_a_weekend_is_seen_by_both_and_told(home: Home) {
    let server = start(home).await;
    let (gateway, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    for name in ["Ann", "Bob"] {
        let (status, body) = server.put(&format!("/api/v1/people/{name}/told"), &json!({ "put_on_duty": true })).await;
        assert_eq!(status, 200, "{body}");
    }
    let id = asked(&server, weekend()).await;
    let sent = taken(&server, &gateway, 1).await;
    let text = "Bob asks you to take a shift: ops, 2026-11-28 00:00 to 2026-11-30 00:00, in exchange for 2026-12-05 00:00 to 2026-12-07 00:00, Europe/Berlin. Answer on the page Duty.";
    assert_eq!(sent[0].1, text, "Ann is told");
    // Nothing is changed by asking; what accepting does is told before.
    assert_eq!((names(&server, "2026-11-28T12:00").await, overrides(&server).await), (vec!["Bob".to_owned()], 0));
    let (status, preview) = press(&server, &id, "rehearse", json!({})).await;
    assert_eq!(status, 200, "{preview}");
    let own = &preview["differences"][0];
    assert_eq!((&own["schedule"]["name"], &own["comes"], &own["ends"]), (&json!("ops"), &json!([]), &json!([])), "{own}");
    let spans: Vec<(&str, &str)> = own["shifts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|span| (span["starts_at"].as_str().unwrap(), span["after"][0]["name"].as_str().unwrap()))
        .collect();
    assert_eq!(spans, [("2026-11-27T23:00:00Z", "Ann"), ("2026-12-04T23:00:00Z", "Bob")]);
    assert_eq!(overrides(&server).await, 0);
    let (status, accepted) = press(&server, &id, "accept", json!({})).await;
    assert_eq!(
        (status, &accepted["state"], &accepted["taken_by"]["name"]),
        (200, &json!("accepted"), &json!("Ann")),
        "{accepted}"
    );
    for (at, who) in [
        ("2026-11-27T23:59", "Bob"),
        ("2026-11-28T00:00", "Ann"),
        ("2026-11-29T23:59", "Ann"),
        ("2026-11-30T00:00", "Bob"),
        ("2026-12-04T23:59", "Ann"),
        ("2026-12-05T00:00", "Bob"),
        ("2026-12-07T00:00", "Ann"),
    ] {
        assert_eq!(names(&server, at).await, [who], "{at}");
    }
    assert_eq!(overrides(&server).await, 2);
    let mut sent: Vec<String> = taken(&server, &gateway, 3).await.into_iter().skip(1).map(|(_, text)| text).collect();
    sent.sort();
    assert!(sent[0].starts_with("Ann takes your shift: ops, 2026-11-28 00:00"), "{sent:?}");
    assert!(sent[1].starts_with("You were put on duty: ops, 2026-11-28 00:00"), "{sent:?}");
}

async fn a_press_that_comes_twice_or_late_changes_nothing(home: Home) {
    let server = start(home).await;
    let id = asked(&server, weekend()).await;
    assert_eq!(press(&server, &id, "accept", json!({})).await.0, 200);
    let read = server.get(&format!("/api/v1/swaps/{id}")).await;
    for what in ["accept", "decline", "take-back", "rehearse"] {
        let (status, refused) = press(&server, &id, what, json!({})).await;
        assert_eq!((status, &refused["code"]), (409, &json!("swap_is_over")), "{what}: {refused}");
        assert!(refused["detail"].as_str().unwrap().contains("accepted already"), "{refused}");
    }
    assert_eq!(server.get(&format!("/api/v1/swaps/{id}")).await, read);
    assert_eq!(overrides(&server).await, 2);
    // Declined, and taken back.
    let one = |day: &str| json!({ "schedule": "ops", "person": "Bob", "other": "张伟", "starts_at": format!("2026-11-{day}T10:00"), "ends_at": format!("2026-11-{day}T12:00") });
    let declined = asked(&server, one("24")).await;
    assert_eq!(press(&server, &declined, "decline", json!({})).await.1["state"], "declined");
    assert_eq!(press(&server, &declined, "accept", json!({})).await.0, 409);
    let taken_back = asked(&server, one("25")).await;
    let again = server.post("/api/v1/swaps", &one("25")).await;
    assert_eq!((again.0, &again.1["code"]), (409, &json!("swap_is_over")), "the same waits already: {}", again.1);
    assert_eq!(press(&server, &taken_back, "take-back", json!({})).await.1["state"], "taken_back");
    assert_eq!(press(&server, &taken_back, "decline", json!({})).await.0, 409);
    assert_eq!(overrides(&server).await, 2);
    assert_eq!(press(&server, "01a1fc4e-a630-77e4-8b85-425a1123605f", "accept", json!({})).await.0, 404);
}

async fn a_shift_that_is_somebody_else_s_by_now_is_not_given_away(home: Home) {
    let server = start(home).await;
    let id = asked(&server, weekend()).await;
    let body = json!({ "action": "replace", "person": "张伟", "starts_at": "2026-11-29T10:00", "ends_at": "2026-11-29T11:00" });
    assert_eq!(server.post("/api/v1/schedules/ops/overrides", &body).await.0, 201);
    for what in ["rehearse", "accept"] {
        let (status, refused) = press(&server, &id, what, json!({})).await;
        assert_eq!((status, &refused["code"]), (409, &json!("swap_cannot_be")), "{refused}");
        assert!(refused["detail"].as_str().unwrap().contains("Bob is not on duty"), "{refused}");
    }
    assert_eq!(server.get(&format!("/api/v1/swaps/{id}")).await["state"], "open");
    assert_eq!(overrides(&server).await, 1);
    // What stands above overrides is not swapped by them.
    let temporary = json!({ "name": "move", "people": ["Bob"], "starts_at": "2026-11-25T00:00", "ends_at": "2026-11-26T00:00" });
    assert_eq!(server.post("/api/v1/schedules/ops/temporaries", &temporary).await.0, 201);
    let form = json!({ "schedule": "ops", "person": "Bob", "other": "Ann", "starts_at": "2026-11-25T10:00", "ends_at": "2026-11-25T12:00" });
    let (status, refused) = server.post("/api/v1/swaps", &form).await;
    assert_eq!((status, &refused["code"]), (409, &json!("swap_cannot_be")), "{refused}");
}

async fn what_has_begun_has_lapsed(home: Home) {
    let server = start(home).await;
    let form = json!({ "schedule": "ops", "person": "Ann", "other": "Bob", "starts_at": "2026-11-20T05:00:00Z", "ends_at": "2026-11-20T07:00:00Z" });
    let id = asked(&server, form).await;
    server.pass(2 * 3_600 - 1).await;
    assert_eq!(server.get(&format!("/api/v1/swaps/{id}")).await["state"], "open");
    server.pass(1).await;
    assert_eq!(server.get(&format!("/api/v1/swaps/{id}")).await["state"], "lapsed");
    let (status, refused) = press(&server, &id, "accept", json!({})).await;
    assert_eq!((status, &refused["code"]), (409, &json!("swap_is_over")), "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("lapsed"), "{refused}");
    assert_eq!(overrides(&server).await, 0);
}

async fn anybody_of_the_team_may_take_it(home: Home) {
    let server = start(home).await;
    let form = json!({ "schedule": "ops", "person": "Bob", "starts_at": "2026-11-24T10:00", "ends_at": "2026-11-24T12:00" });
    let id = asked(&server, form).await;
    assert_eq!(server.get(&format!("/api/v1/swaps/{id}")).await["other"], Value::Null);
    let (status, refused) = press(&server, &id, "accept", json!({})).await;
    assert_eq!((status, &refused["errors"][0]["pointer"]), (422, &json!("/person")), "{refused}");
    assert_eq!(press(&server, &id, "accept", json!({ "person": "Bob" })).await.0, 422, "not from themselves");
    let (status, accepted) = press(&server, &id, "accept", json!({ "person": "Ann" })).await;
    assert_eq!((status, &accepted["taken_by"]["name"]), (200, &json!("Ann")), "{accepted}");
    assert_eq!(names(&server, "2026-11-24T11:00").await, ["Ann"]);
    // Nobody said why: no word of ours stands in the plan, in whatever language it would be.
    let schedule = server.get("/api/v1/schedules/ops").await;
    assert_eq!(schedule["overrides"][0]["note"], "", "{schedule}");
}

async fn a_wrong_request_asks_nobody(home: Home) {
    let server = start(home).await;
    let form = |more: Value| {
        let mut form = json!({ "schedule": "ops", "person": "Bob", "other": "Ann", "starts_at": "2026-11-24T10:00", "ends_at": "2026-11-24T12:00" });
        form.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        form
    };
    for (wrong, pointer) in [
        (json!({ "person": "Eve" }), "/person"),
        (json!({ "other": "Eve" }), "/other"),
        (json!({ "other": "Bob" }), "/other"),
        (json!({ "other": null, "back_starts_at": "2026-12-01T10:00", "back_ends_at": "2026-12-01T12:00" }), "/other"),
        (json!({ "ends_at": "2026-11-24T10:00" }), "/ends_at"),
        (json!({ "starts_at": "2026-11-19T10:00", "ends_at": "2026-11-19T12:00" }), "/starts_at"),
        (json!({ "starts_at": "soon" }), "/starts_at"),
        (json!({ "back_starts_at": "2026-12-01T10:00" }), "/back_ends_at"),
    ] {
        let (status, refused) = server.post("/api/v1/swaps", &form(wrong.clone())).await;
        assert_eq!((status, &refused["errors"][0]["pointer"]), (422, &json!(pointer)), "{wrong}: {refused}");
    }
    for (wrong, why) in [
        (json!({ "starts_at": "2026-11-23T08:00" }), "Bob is not on duty in all of that time"),
        (json!({ "back_starts_at": "2026-11-24T13:00", "back_ends_at": "2026-11-24T14:00" }), "Ann is not on duty"),
    ] {
        let (status, refused) = server.post("/api/v1/swaps", &form(wrong.clone())).await;
        assert_eq!((status, &refused["code"]), (409, &json!("swap_cannot_be")), "{wrong}: {refused}");
        assert!(refused["detail"].as_str().unwrap().contains(why), "{refused}");
    }
    let both = json!({ "action": "add", "person": "Ann", "starts_at": "2026-11-24T09:00", "ends_at": "2026-11-24T13:00" });
    let (_, made) = server.post("/api/v1/schedules/ops/overrides", &both).await;
    let (_, refused) = server.post("/api/v1/swaps", &form(json!({}))).await;
    let told = refused["detail"].as_str().unwrap();
    assert!(told.contains("Ann is on duty already") && told.contains("name somebody else"), "what to do is said: {refused}");
    let own = format!("/api/v1/schedules/ops/overrides/{}", made["id"].as_str().unwrap());
    assert_eq!(server.delete(&own).await, 204);
    let away = json!({ "person": "Ann", "starts_at": "2026-11-24T00:00:00Z", "ends_at": "2026-11-25T00:00:00Z" });
    assert_eq!(server.post("/api/v1/vacations", &away).await.0, 201);
    let (_, refused) = server.post("/api/v1/swaps", &form(json!({}))).await;
    let told = refused["detail"].as_str().unwrap();
    assert!(told.contains("Ann is away") && told.contains("take the vacation back first"), "what to do is said: {refused}");
    assert_eq!(server.post("/api/v1/swaps", &form(json!({ "schedule": "nights" }))).await.0, 404);
    assert_eq!(server.items("/api/v1/swaps").await, json!([]));
}

async fn a_swap_over_a_change_of_clocks_is_whole(home: Home) {
    let server = start(home).await;
    // On Sunday, 28 March, the weekend has 47 hours. It is a week of Bob's.
    let whose = names(&server, "2027-03-27T12:00").await.remove(0);
    let other = if whose == "Ann" { "Bob" } else { "Ann" };
    let form = json!({ "schedule": "ops", "person": whose, "other": other, "starts_at": "2027-03-27T00:00", "ends_at": "2027-03-29T00:00" });
    let id = asked(&server, form).await;
    let read = server.get(&format!("/api/v1/swaps/{id}")).await;
    assert_eq!((&read["starts_at"], &read["ends_at"]), (&json!("2027-03-26T23:00:00Z"), &json!("2027-03-28T22:00:00Z")));
    assert_eq!(press(&server, &id, "accept", json!({})).await.0, 200);
    for (at, who) in [
        ("2027-03-26T23:59", whose.as_str()),
        ("2027-03-27T00:00", other),
        ("2027-03-28T03:30", other),
        ("2027-03-28T23:59", other),
        ("2027-03-29T00:00", whose.as_str()),
    ] {
        assert_eq!(names(&server, at).await, [who], "{at}");
    }
}

async fn swaps_are_listed_page_by_page_and_forgotten(home: Home) {
    let server = start(home).await;
    let mut ids = Vec::new();
    for hour in 10..13 {
        let form = json!({ "schedule": "ops", "person": "Bob", "other": "Ann", "starts_at": format!("2026-11-24T{hour}:00"), "ends_at": format!("2026-11-24T{hour}:30") });
        ids.push(asked(&server, form).await);
    }
    ids.reverse();
    let listed = |all: &Value| -> Vec<String> {
        all["items"].as_array().unwrap().iter().map(|own| own["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(&server.get("/api/v1/swaps").await), ids, "the latest first");
    let first = server.get("/api/v1/swaps?limit=2").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = server.get(&format!("/api/v1/swaps?limit=2&cursor={cursor}")).await;
    assert_eq!([listed(&first), listed(&second)].concat(), ids);
    server.pass(94 * 86_400).await;
    server.app.engine.forget_old().await.unwrap();
    assert_eq!(server.items("/api/v1/swaps").await.as_array().unwrap().len(), 3, "remembered for 90 days after their shifts");
    server.pass(86_400).await;
    server.app.engine.forget_old().await.unwrap();
    assert_eq!(server.items("/api/v1/swaps").await, json!([]));
}

/// Who comes on duty at once by a preview, and whose duty ends.
fn comes_and_ends(preview: &Value) -> (Vec<&str>, Vec<&str>) {
    let of = |what: &str| -> Vec<&str> {
        let own = preview["differences"].as_array().unwrap().iter();
        own.flat_map(|own| own[what].as_array().unwrap()).map(|own| own["name"].as_str().unwrap()).collect()
    };
    (of("comes"), of("ends"))
}

async fn what_a_change_does_is_told_and_not_done(home: Home) {
    let server = start(home).await;
    let read = server.get("/api/v1/schedules/ops").await;
    let body =
        json!({ "action": "replace", "person": "Bob", "starts_at": "2026-11-20T02:00:00Z", "ends_at": "2026-11-20T12:00:00Z" });
    let (status, preview) = send(&server, "POST", "/api/v1/schedules/ops/overrides?dry_run=true", Some(body.clone())).await;
    assert_eq!((status, &preview["dry_run"]), (200, &json!(true)), "{preview}");
    assert_eq!(comes_and_ends(&preview), (vec!["Bob"], vec!["Ann"]));
    let away = json!({ "person": "Ann", "starts_at": "2026-11-20T02:00:00Z", "ends_at": "2026-11-21T00:00:00Z" });
    let (_, preview) = send(&server, "POST", "/api/v1/vacations?dry_run=true", Some(away)).await;
    assert_eq!(comes_and_ends(&preview), (vec!["Bob"], vec!["Ann"]));
    let layer = json!({ "name": "other", "people": ["张伟"], "every": "1 week", "start": "2026-11-16T09:00" });
    let form = json!({ "name": "ops", "zone": "Europe/Berlin", "layers": [layer], "version": read["version"] });
    let (status, preview) = send(&server, "POST", "/api/v1/schedules/ops/rehearse", Some(form)).await;
    assert_eq!((status, comes_and_ends(&preview)), (200, (vec!["张伟"], vec!["Ann"])), "{preview}");
    // A file.
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let csv = "start,end,person\n2026-11-19 09:00,2026-11-26 09:00,Bob\n";
    let import = http.post(format!("{}/api/v1/schedules/ops/import?dry_run=true&layer=weekly", server.base));
    let answer = import.header("content-type", "text/csv").body(csv).sent().await.unwrap();
    let preview: Value = answer.json().await.unwrap();
    assert_eq!((&preview["dry_run"], comes_and_ends(&preview)), (&json!(true), (vec!["Bob"], vec!["Ann"])), "{preview}");
    // What is wrong is refused as it would be.
    let wrong =
        json!({ "action": "replace", "person": "Eve", "starts_at": "2026-11-20T02:00:00Z", "ends_at": "2026-11-20T12:00:00Z" });
    assert_eq!(send(&server, "POST", "/api/v1/schedules/ops/overrides?dry_run=true", Some(wrong)).await.0, 422);
    assert_eq!(send(&server, "POST", "/api/v1/schedules/ops/overrides?dry_run=perhaps", Some(body.clone())).await.0, 422);
    assert_eq!(server.get("/api/v1/schedules/ops").await, read, "nothing was changed");
    assert_eq!(server.items("/api/v1/vacations").await, json!([]));
    // The same of taking back.
    let (_, made) = server.post("/api/v1/schedules/ops/overrides", &body).await;
    let path = format!("/api/v1/schedules/ops/overrides/{}", made["id"].as_str().unwrap());
    let (status, preview) = send(&server, "DELETE", &format!("{path}?dry_run=true"), None).await;
    assert_eq!((status, comes_and_ends(&preview)), (200, (vec!["Ann"], vec!["Bob"])), "{preview}");
    assert_eq!(overrides(&server).await, 1);
}

async fn the_removal_of_a_person_tells_who_comes_on_duty(home: Home) {
    let server = start(home).await;
    let (gateway, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    let (status, body) = server.put("/api/v1/people/Bob/told", &json!({ "put_on_duty": true })).await;
    assert_eq!(status, 200, "{body}");
    let (status, preview) = send(&server, "DELETE", "/api/v1/people/Ann?dry_run=true", None).await;
    assert_eq!((status, comes_and_ends(&preview)), (200, (vec!["Bob"], vec!["Ann"])), "{preview}");
    assert_eq!(server.get("/api/v1/people/Ann").await["name"], "Ann");
    assert_eq!(server.delete("/api/v1/people/Ann").await, 204);
    let sent = taken(&server, &gateway, 1).await;
    assert!(sent[0].1.starts_with("You were put on duty: ops"), "{sent:?}");
    let log = server.get("/api/v1/schedules/ops/log?starts_at=2026-11-01&ends_at=2026-12-01").await;
    let last = log["items"].as_array().unwrap().last().unwrap();
    assert_eq!(last["on_duty"][0]["person"]["name"], "Bob", "it is written down at once: {log}");
}

/// What is shown before a removal is worked out without one: the plan afterwards must be just that.
async fn what_a_removal_is_said_to_change_is_what_it_changes(home: Home) {
    let server = start(home).await;
    let day = |day: u32, who: &str, more: Value| {
        let mut body =
            json!({ "person": who, "starts_at": format!("2026-11-{day}T10:00"), "ends_at": format!("2026-11-{day}T12:00") });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for body in [
        day(21, "Bob", json!({ "action": "add" })),
        day(24, "Ann", json!({ "action": "replace", "instead_of": "Bob" })),
        day(25, "张伟", json!({ "action": "replace" })),
        day(26, "张伟", json!({ "action": "replace", "instead_of": "Bob" })),
    ] {
        let (status, made) = server.post("/api/v1/schedules/ops/overrides", &body).await;
        assert_eq!(status, 201, "{made}");
    }
    let temporary = json!({ "name": "move", "people": ["Bob"], "starts_at": "2026-11-27T00:00", "ends_at": "2026-11-28T00:00" });
    assert_eq!(server.post("/api/v1/schedules/ops/temporaries", &temporary).await.0, 201);
    let away = json!({ "person": "Ann", "starts_at": "2026-12-01T00:00:00Z", "ends_at": "2026-12-03T00:00:00Z" });
    assert_eq!(server.post("/api/v1/vacations", &away).await.0, 201);
    let (status, preview) = send(&server, "DELETE", "/api/v1/people/Bob?dry_run=true", None).await;
    assert_eq!(status, 200, "{preview}");
    let shifts = preview["differences"][0]["shifts"].as_array().unwrap().clone();
    assert!(shifts.len() >= 4 && preview["differences"][0]["more"] == false, "{preview}");
    let hours: Vec<String> =
        (20..=30).flat_map(|day| (0..24).map(move |hour| format!("2026-11-{day}T{hour:02}:30:00Z"))).collect();
    let mut before = Vec::new();
    for hour in &hours {
        before.push(names(&server, hour).await);
    }
    assert_eq!(server.delete("/api/v1/people/Bob").await, 204);
    let named = |people: &Value| -> Vec<String> {
        people.as_array().unwrap().iter().map(|person| person["name"].as_str().unwrap().to_owned()).collect()
    };
    for (hour, before) in hours.iter().zip(before).filter(|(hour, _)| hour.as_str() > "2026-11-20T04") {
        let within = |shift: &&Value| {
            shift["starts_at"].as_str().unwrap() <= hour.as_str() && hour.as_str() < shift["ends_at"].as_str().unwrap()
        };
        let told = shifts.iter().find(within);
        let wanted = told.map_or(before, |shift| named(&shift["after"]));
        assert_eq!(names(&server, hour).await, wanted, "{hour}: {told:?}");
    }
}

/// Whether anybody waits for a lock of Postgres that somebody else has.
async fn blocked(url: &str) -> bool {
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    let text =
        "SELECT count(*) FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0 AND datname = current_database()";
    let (waiting,): (i64,) = sqlx::query_as(text).fetch_one(&mut connection).await.unwrap();
    waiting > 0
}

/// Two at once: whoever looks what a change would do, and whoever makes another one meanwhile.
async fn whoever_looks_at_a_change_sees_no_other_in_it(home: Home) {
    let server = start(home).await;
    let engine = &server.app.engine;
    let form = |person: &str| OverrideForm {
        action: "replace".to_owned(),
        person: person.to_owned(),
        from: "2026-11-24T10:00".to_owned(),
        to: "2026-11-24T12:00".to_owned(),
        ..OverrideForm::default()
    };
    let (looked, other) = (form("Ann"), form("张伟"));
    let (began, begun) = tokio::sync::oneshot::channel::<()>();
    let change = async {
        begun.await.unwrap();
        let add = async |work: &mut Work| exceptions::add_override(work, "ops", &other, "lin", &Expected::Anything).await;
        engine.carry_out(Doer::Server, add).await.unwrap();
    };
    let look = async {
        let act = async |work: &mut Work| {
            exceptions::add_override(work, "ops", &looked, "lin", &Expected::Anything).await?;
            began.send(()).unwrap();
            // The other one has come as far as it comes. The embedded database has one writer: nobody comes any further there.
            match server.home.config().database_url {
                Some(url) => eventually("the other to wait", SOON, async || blocked(url.expose()).await.then_some(())).await,
                None => tokio::task::yield_now().await,
            }
            Ok::<_, RosterError>(())
        };
        preview::rehearse(&engine.store, server.now(), Doer::Server, act).await.unwrap().0
    };
    let (plans, ()) = tokio::join!(look, change);
    let of = |plan: &autocall::roster::Roster| plan.schedules.iter().map(|own| own.overrides.len()).sum::<usize>();
    assert_eq!((of(&plans.before), of(&plans.after)), (0, 1), "what somebody else does is no part of it");
    assert_eq!(overrides(&server).await, 1);
    assert_eq!(names(&server, "2026-11-24T11:00").await, ["张伟"], "what was looked at was not done, and the other was");
}

/// Whoever counts waits for nobody who holds the plan: a removal that has to wait for a count lets others change the plan meanwhile.
async fn a_removal_waits_for_figures_before_it_holds_the_plan(home: Home) {
    let server = start(home).await;
    // The embedded database has one writer at a time, and so no two who wait for each other.
    let Some(url) = server.home.config().database_url else { return };
    let mut counting = sqlx::PgConnection::connect(url.expose()).await.unwrap();
    let lock =
        "INSERT INTO edits (what, changes) VALUES ('figures', 1) ON CONFLICT (what) DO UPDATE SET changes = edits.changes + 1";
    sqlx::raw_sql("BEGIN").execute(&mut counting).await.unwrap();
    sqlx::raw_sql(lock).execute(&mut counting).await.unwrap();
    let removal = async {
        let (status, answer) = send(&server, "DELETE", "/api/v1/people/Bob", None).await;
        assert_eq!(status, 204, "{answer}");
    };
    let others = async {
        eventually("the removal to wait", SOON, async || blocked(url.expose()).await.then_some(())).await;
        let body =
            json!({ "action": "replace", "person": "张伟", "starts_at": "2026-11-24T10:00", "ends_at": "2026-11-24T11:00" });
        let (status, answer) = server.post("/api/v1/schedules/ops/overrides", &body).await;
        assert_eq!(status, 201, "the plan is free while a removal waits: {answer}");
        sqlx::raw_sql("COMMIT").execute(&mut counting).await.unwrap();
    };
    tokio::join!(removal, others);
    assert_eq!(names(&server, "2026-11-24T10:30").await, ["张伟"]);
}

/// Half an hour of Bob's on the 24th.
fn half_an_hour(hour: usize, more: Value) -> Value {
    let mut form = json!({ "schedule": "ops", "person": "Bob", "other": "Ann",
        "starts_at": format!("2026-11-24T{hour:02}:00"), "ends_at": format!("2026-11-24T{hour:02}:30") });
    form.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    form
}

async fn nobody_asks_without_end(home: Home) {
    let server = start(home).await;
    let mut ids = Vec::new();
    for hour in 0..10 {
        ids.push(asked(&server, half_an_hour(hour, json!({}))).await);
    }
    let refused = async || {
        let (status, refused) = server.post("/api/v1/swaps", &half_an_hour(10, json!({}))).await;
        assert_eq!((status, &refused["code"]), (409, &json!("swap_cannot_be")), "{refused}");
        refused["detail"].as_str().unwrap().to_owned()
    };
    assert!(refused().await.contains("10 swaps of this person wait"));
    // Nor does taking back and asking anew: each is a text message.
    for id in &ids {
        assert_eq!(press(&server, id, "take-back", json!({})).await.0, 200);
    }
    assert!(refused().await.contains("within an hour"));
    // Others are kept from nothing.
    let of_ann = json!({ "schedule": "ops", "person": "Ann", "other": "Bob", "starts_at": "2026-11-21T10:00", "ends_at": "2026-11-21T11:00" });
    asked(&server, of_ann).await;
    server.pass(3_601).await;
    asked(&server, half_an_hour(10, json!({}))).await;
}

async fn what_has_lapsed_counts_no_more(home: Home) {
    let server = start(home).await;
    // In exchange for a time of today.
    let back = json!({ "back_starts_at": "2026-11-20T05:00:00Z", "back_ends_at": "2026-11-20T06:00:00Z" });
    for hour in 0..10 {
        asked(&server, half_an_hour(hour, back.clone())).await;
    }
    server.pass(3_601).await;
    assert_eq!(server.post("/api/v1/swaps", &half_an_hour(10, json!({}))).await.0, 409, "they wait still");
    server.pass(3_600).await;
    asked(&server, half_an_hour(10, json!({}))).await;
}

async fn texts_about_alarms_leave_before_those_about_duties(home: Home) {
    let server = start(home).await;
    let (_gateway, url) = Gateway::open().await;
    add_smsgate(&server, &url).await;
    let gateway_id = server.app.engine.gateway("phone").await.unwrap().id;
    let now = server.now();
    let sms = |purpose, at| SmsRow {
        id: SmsId::new(at),
        gateway_id,
        hand_over_id: None,
        number: "+8618712345678".to_owned(),
        text: "said".to_owned(),
        code: None,
        created_at: at,
        due_at: at,
        attempts: 0,
        failures: 0,
        sentence: None,
        purpose,
        expires_at: None,
    };
    // What is never committed is sent by nobody.
    let mut tx = server.app.engine.store.begin().await.unwrap();
    for _ in 0..25 {
        tx.db().insert_sms(&sms(Purpose::Duty, now - TimeDelta::seconds(60))).await.unwrap();
    }
    tx.db().insert_sms(&sms(Purpose::Alarm, now)).await.unwrap();
    let due = tx.db().due_sms(gateway_id, now).await.unwrap();
    drop(tx);
    assert_eq!((due.len(), due[0].purpose, due[1].purpose), (20, Purpose::Alarm, Purpose::Duty));
}

async fn a_person_has_a_few_calendar_addresses(home: Home) {
    let server = start(home).await;
    let make = async |name: &str| server.post("/api/v1/calendar-feeds", &json!({ "person": name })).await;
    let mut last = Value::Null;
    for _ in 0..10 {
        let (status, made) = make("Ann").await;
        assert_eq!(status, 201, "{made}");
        last = made["id"].clone();
    }
    let (status, refused) = make("Ann").await;
    assert_eq!((status, &refused["errors"][0]["pointer"]), (422, &json!("/person")), "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("revoke one"), "{refused}");
    assert_eq!(make("Bob").await.0, 201, "others are kept from nothing");
    assert_eq!(server.delete(&format!("/api/v1/calendar-feeds/{}", last.as_str().unwrap())).await, 204);
    assert_eq!(make("Ann").await.0, 201);
}
