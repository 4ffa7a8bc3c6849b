//! Escalation: steps, confirmation, and what people do about an alarm that rings.

use autocall::ids::PersonId;
use autocall::store::watch::handsets::Profile;
use serde_json::{Value, json};

use crate::harness::{A, B, C, Home, Server, on_both};
use crate::pressing::press;

on_both!(
    steps_follow_one_another_at_once_when_nobody_is_left,
    a_step_gives_way_when_its_time_is_over,
    a_parallel_step_begins_beside_a_call,
    rounds_begin_again_and_intervals_hold,
    one_person_on_two_paths_is_rung_once,
    a_step_that_leads_to_nobody_is_passed_and_shown,
    a_policy_that_reaches_nobody_goes_to_the_fallback,
    without_a_fallback_it_ends_and_says_so,
    policies_are_chosen_by_rule,
    an_edited_policy_and_another_one_begin_with_the_next_step,
    an_unconfirmed_answer_lapses_and_ringing_goes_on,
    a_confirmation_in_time_ends_it_and_is_the_same_answer,
    nobody_but_the_voicemail,
    a_late_answer_that_nobody_confirms_is_shown_and_ends_nothing,
    who_picked_up_and_declines_hands_it_on,
    a_callee_is_skipped_while_their_phone_rings,
    the_next_step_now,
    put_off_and_back,
    acknowledged_for_a_time,
    a_note,
    numbers_that_must_not_be_called,
    a_callees_own_link,
    a_callees_own_link_below_a_path,
    a_step_ends_while_no_handset_asks,
    bad_policies_change_nothing,
    after_a_snooze_a_missing_handset_is_noticed,
    a_corrected_snooze_leaves_the_step_its_time,
    a_number_barred_in_a_new_step_begins_it_once,
);

/// Stores a policy.
pub async fn policy(server: &Server, name: &str, body: Value) {
    let (status, stored) = server.put(&format!("/api/v1/policies/{name}"), &body).await;
    assert!(matches!(status, 200 | 201), "{stored}");
}

async fn person(server: &Server, name: &str, language: &str, numbers: &[&str]) {
    let mut tx = server.app.engine.store.begin().await.unwrap();
    let id = tx.db().upsert_person(PersonId::new(server.now()), name, language, server.now()).await.unwrap();
    let numbers: Vec<String> = numbers.iter().map(|number| format!("+86{number}")).collect();
    tx.db().set_numbers(id, &numbers).await.unwrap();
    tx.commit().await.unwrap();
}

pub fn number(number: &str) -> Value {
    json!({ "number": number })
}

/// A, then B, each called once.
async fn a_then_b(server: &Server) {
    let step = |who| json!({ "ring": [number(who)], "attempts": 1 });
    policy(server, "ops", json!({ "steps": [step(A), step(B)] })).await;
}

pub async fn raise_by(server: &Server, policy: &str, more: Value) -> String {
    let mut body = json!({ "policy": policy });
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    server.raise(&[], body).await
}

async fn act(server: &Server, id: &str, action: &str, body: Value) -> Value {
    let (status, alarm) = server.post(&format!("/api/v1/alarms/{id}/{action}"), &body).await;
    assert_eq!(status, 200, "{action}: {alarm}");
    alarm
}

async fn refused(server: &Server, id: &str, action: &str, body: Value, status: u16, code: &str) {
    let (got, problem) = server.post(&format!("/api/v1/alarms/{id}/{action}"), &body).await;
    assert_eq!((got, problem["code"].as_str().unwrap()), (status, code), "{problem}");
}

/// The kinds of an alarm's events.
async fn story(server: &Server, id: &str) -> Vec<String> {
    let alarm = server.alarm(id).await;
    alarm["timeline"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}

async fn callee(server: &Server, id: &str, place: usize) -> String {
    server.alarm(id).await["callees"][place]["id"].as_str().unwrap().to_owned()
}

async fn steps_follow_one_another_at_once_when_nobody_is_left(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    a_then_b(&server).await;
    let id = raise_by(&server, "ops", json!({})).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A]);
    server.idle(&server.pair("rack", Profile::List).await).await;
    server.report(&desk, &mid, None).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [B]);
    let alarm = server.alarm(&id).await;
    assert_eq!((&alarm["policy"], &alarm["step"]), (&json!("ops"), &json!(1)));
    server.report(&desk, &mid, None).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((&alarm["state"], &alarm["reason"]), (&json!("no_answer"), &json!("attempts_used")));
}

async fn a_step_gives_way_when_its_time_is_over(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::List).await, server.pair("rack", Profile::List).await);
    let steps = json!([
        { "ring": [number(A)], "attempts": 5, "min_interval_seconds": 0, "wait_seconds": 90 },
        { "ring": [number(B)], "attempts": 1 },
    ]);
    policy(&server, "ops", json!({ "steps": steps })).await;
    let id = raise_by(&server, "ops", json!({})).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    server.pass(1).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A], "its time is not over");
    server.pass(89).await;
    assert_eq!(server.alarm(&id).await["step"], 1, "the next step has begun");
    server.idle(&rack).await;
    assert_eq!(server.outcomes(&id).await, ["nobody", "open"], "and the call under way is not cut off");
    server.report(&desk, &mid, None).await;
    assert_eq!(server.dial(&rack).await.1, [B]);
}

async fn a_parallel_step_begins_beside_a_call(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::List).await, server.pair("rack", Profile::List).await);
    let steps = json!([
        { "ring": [number(A)], "wait_seconds": 30 },
        { "ring": [number(B), number(C)], "mode": "parallel", "attempts": 1 },
    ]);
    policy(&server, "ops", json!({ "steps": steps })).await;
    let id = raise_by(&server, "ops", json!({})).await;
    let (first, _) = server.dial(&desk).await;
    server.pass(30).await;
    assert_eq!(server.dial(&rack).await.1, [B]);
    server.report(&desk, &first, Some(A)).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((&alarm["state"], &alarm["answer"]["number"]), (&json!("answered"), &json!(format!("+86{A}"))));
    assert_eq!(server.outcomes(&id).await, ["answered", "superseded"]);
}

async fn rounds_begin_again_and_intervals_hold(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let step = json!({ "ring": [number(A)], "attempts": 1, "min_interval_seconds": 60 });
    policy(&server, "ops", json!({ "steps": [step], "rounds": 2 })).await;
    let id = raise_by(&server, "ops", json!({})).await;
    let (mid, _) = server.dial(&desk).await;
    server.pass(20).await;
    server.report(&desk, &mid, None).await;
    server.idle(&desk).await;
    server.pass(40).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    assert_eq!(server.state(&id).await, "no_answer");
}

async fn one_person_on_two_paths_is_rung_once(home: Home) {
    let server = home.start().await;
    person(&server, "Wang Wei", "zh", &[A, C]).await;
    let ring = json!([{ "person": "Wang Wei" }, number(C), number(B), { "person": "Wang Wei" }]);
    policy(&server, "ops", json!({ "steps": [{ "ring": ring }] })).await;
    let id = raise_by(&server, "ops", json!({})).await;
    let alarm = server.alarm(&id).await;
    let numbers: Vec<&str> = alarm["callees"].as_array().unwrap().iter().map(|c| c["number"].as_str().unwrap()).collect();
    assert_eq!(numbers, [format!("+86{A}"), format!("+86{B}")], "by the preferred number, and once");
    assert_eq!(alarm["callees"][0]["name"], "Wang Wei");
}

async fn a_step_that_leads_to_nobody_is_passed_and_shown(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    person(&server, "No Number", "en", &[]).await;
    let steps = json!([{ "ring": [{ "person": "No Number" }], "wait_seconds": 600 }, { "ring": [number(B)] }]);
    policy(&server, "ops", json!({ "steps": steps })).await;
    let id = raise_by(&server, "ops", json!({})).await;
    assert_eq!(server.dial(&desk).await.1, [B], "without waiting");
    assert_eq!(story(&server, &id).await, ["raised", "step_empty", "step_began", "handed_out"]);
}

async fn a_policy_that_reaches_nobody_goes_to_the_fallback(home: Home) {
    let server = home.set("AUTOCALL_ALARMS_FALLBACK_PHONES", C).start().await;
    let desk = server.pair("desk", Profile::List).await;
    person(&server, "No Number", "en", &[]).await;
    policy(&server, "ops", json!({ "steps": [{ "ring": [{ "person": "No Number" }] }], "rounds": 2 })).await;
    let id = raise_by(&server, "ops", json!({})).await;
    assert_eq!(server.dial(&desk).await.1, [C]);
    assert_eq!(story(&server, &id).await, ["raised", "step_empty", "step_empty", "policy_empty", "step_began", "handed_out"]);
}

async fn without_a_fallback_it_ends_and_says_so(home: Home) {
    let server = home.start().await;
    person(&server, "No Number", "en", &[]).await;
    policy(&server, "ops", json!({ "steps": [{ "ring": [{ "person": "No Number" }] }] })).await;
    let id = raise_by(&server, "ops", json!({})).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((&alarm["state"], &alarm["reason"]), (&json!("no_answer"), &json!("nobody_to_ring")));
}

async fn policies_are_chosen_by_rule(home: Home) {
    let server = home.set("AUTOCALL_ALARMS_FALLBACK_PHONES", C).start().await;
    policy(&server, "urgent", json!({ "steps": [{ "ring": [number(A)] }] })).await;
    policy(&server, "usual", json!({ "steps": [{ "ring": [number(B)] }] })).await;
    let rung = async |body: Value| {
        let (status, alarm) = server.post("/api/v1/alarms", &body).await;
        assert_eq!(status, 201, "{alarm}");
        let alarm = server.alarm(alarm["id"].as_str().unwrap()).await;
        alarm["callees"][0]["number"].as_str().unwrap().trim_start_matches("+86").to_owned()
    };
    assert_eq!(rung(json!({ "summary": "s" })).await, C, "no rule yet");
    let rules = json!({ "rules": [{ "policy": "urgent", "labels": { "severity": "critical" } }, { "policy": "usual" }] });
    let (status, stored) = server.put("/api/v1/policy-rules", &rules).await;
    assert_eq!((status, &stored), (200, &rules));
    assert_eq!(rung(json!({ "summary": "s", "labels": { "severity": "critical" } })).await, A);
    assert_eq!(rung(json!({ "summary": "s", "labels": { "severity": "warning" } })).await, B, "the rule for what is left");
    assert_eq!(rung(json!({ "summary": "s", "labels": { "severity": "critical" }, "phones": [C] })).await, C, "it says itself");
    assert_eq!(rung(json!({ "summary": "s", "policy": "usual", "labels": { "severity": "critical" } })).await, B);
    let (status, problem) = server.put("/api/v1/policy-rules", &json!({ "rules": [{ "policy": "none" }] })).await;
    assert_eq!((status, problem["field"].as_str().unwrap()), (422, "rules[0].policy"));
    assert_eq!(server.get("/api/v1/policy-rules").await, rules, "a refused change changes nothing");
}

async fn an_edited_policy_and_another_one_begin_with_the_next_step(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    a_then_b(&server).await;
    let (edited, switched) = (raise_by(&server, "ops", json!({})).await, raise_by(&server, "ops", json!({})).await);
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A]);
    let step = |who| json!({ "ring": [number(who)], "attempts": 1 });
    policy(&server, "ops", json!({ "steps": [step(A), step(C)] })).await;
    policy(&server, "others", json!({ "steps": [step(B)] })).await;
    act(&server, &switched, "policy", json!({ "policy": "others", "by": "Lin" })).await;
    server.report(&desk, &mid, None).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [C], "as the policy says by now");
    server.report(&desk, &mid, None).await;
    assert_eq!(server.state(&edited).await, "no_answer");
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A], "the step that had begun is not broken off");
    server.report(&desk, &mid, None).await;
    assert_eq!(server.dial(&desk).await.1, [B], "the other policy, from its first step");
    refused(&server, &switched, "policy", json!({ "policy": "none" }), 422, "invalid_field").await;
}

async fn an_unconfirmed_answer_lapses_and_ringing_goes_on(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A, B], json!({ "confirm_within_seconds": 120, "attempts": 1 })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["state"], "ringing", "picking up is not enough");
    assert_eq!(alarm["answer"]["confirmed_at"], Value::Null);
    server.idle(&desk).await;
    server.pass(119).await;
    server.idle(&desk).await;
    server.pass(1).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["answer"], Value::Null);
    assert!(alarm["answers"][0]["lapsed_at"].is_string(), "{alarm}");
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [B]);
    server.report(&desk, &mid, Some(B)).await;
    server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &json!({ "number": B })).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((&alarm["state"], &alarm["answer"]["number"]), (&json!("answered"), &json!(format!("+86{B}"))));
}

async fn a_confirmation_in_time_ends_it_and_is_the_same_answer(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A, B], json!({ "confirm_within_seconds": 120 })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    server.pass(30).await;
    act(&server, &id, "acknowledge", json!({ "number": A })).await;
    server.pass(600).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["state"], "answered");
    assert_eq!(alarm["answers"].as_array().unwrap().len(), 1, "one row: who picked up is who confirmed");
    assert_eq!((&alarm["answer"]["via"], &alarm["answer"]["mid"]), (&json!("handset"), &json!(mid[..8])));
    assert!(alarm["answer"]["confirmed_at"].is_string());
    server.idle(&desk).await;
}

async fn nobody_but_the_voicemail(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let body = json!({ "confirm_within_seconds": 30, "attempts": 2, "min_interval_seconds": 0 });
    let id = server.raise(&[A], body).await;
    for _ in 0..2 {
        let (mid, _) = server.dial(&desk).await;
        server.report(&desk, &mid, Some(A)).await;
        server.pass(30).await;
    }
    let alarm = server.alarm(&id).await;
    assert_eq!((&alarm["state"], &alarm["reason"]), (&json!("no_answer"), &json!("attempts_used")));
    assert_eq!(alarm["answer"]["number"], format!("+86{A}"), "who picked up is shown");
    assert!(alarm["answer"]["lapsed_at"].is_string() && alarm["answer"]["confirmed_at"].is_null());
    act(&server, &id, "acknowledge", json!({ "name": "Lin" })).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((&alarm["state"], &alarm["answer"]["name"]), (&json!("answered"), &json!("Lin")));
}

async fn a_late_answer_that_nobody_confirms_is_shown_and_ends_nothing(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A], json!({ "confirm_within_seconds": 30, "attempts": 1 })).await;
    let (mid, _) = server.dial(&desk).await;
    server.pass(200).await;
    assert_eq!(server.state(&id).await, "no_answer");
    server.report(&desk, &mid, Some(A)).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((&alarm["state"], &alarm["answer"]["number"]), (&json!("no_answer"), &json!(format!("+86{A}"))));
}

async fn who_picked_up_and_declines_hands_it_on(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A, B], json!({ "attempts": 2, "min_interval_seconds": 0 })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(&id).await, "answered");
    let first = callee(&server, &id, 0).await;
    act(&server, &id, &format!("callees/{first}/decline"), json!({})).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((&alarm["state"], &alarm["answer"]), (&json!("ringing"), &Value::Null));
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [B]);
    server.report(&desk, &mid, None).await;
    assert_eq!(server.dial(&desk).await.1, [B], "whoever declined is not rung again");
    act(&server, &id, "acknowledge", json!({ "name": "Lin" })).await;
    act(&server, &id, &format!("callees/{}/decline", callee(&server, &id, 1).await), json!({})).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((&alarm["state"], &alarm["answer"]["name"]), (&json!("answered"), &json!("Lin")), "a confirmed answer stands");
}

async fn a_callee_is_skipped_while_their_phone_rings(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::App).await, server.pair("rack", Profile::List).await);
    let id = server.raise(&[A, B], json!({})).await;
    server.app_dial(&desk).await;
    let first = callee(&server, &id, 0).await;
    act(&server, &id, &format!("callees/{first}/skip"), json!({ "by": "Lin" })).await;
    assert_eq!(server.outcomes(&id).await, ["superseded"]);
    assert_eq!(server.dial(&rack).await.1, [B]);
    assert_eq!(server.alarm(&id).await["callees"][0]["verdict"], "skipped");
    refused(&server, &id, "callees/01a1fc4e-a630-77e4-8b85-425a1123605f/skip", json!({}), 404, "not_found").await;
}

async fn the_next_step_now(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::List).await, server.pair("rack", Profile::List).await);
    a_then_b(&server).await;
    let id = raise_by(&server, "ops", json!({})).await;
    let (mid, _) = server.dial(&desk).await;
    act(&server, &id, "escalate", json!({ "by": "Lin" })).await;
    server.idle(&rack).await;
    server.report(&desk, &mid, None).await;
    assert_eq!(server.dial(&rack).await.1, [B]);
    refused(&server, &id, "escalate", json!({}), 409, "no_further_step").await;
    act(&server, &id, "cancel", json!({})).await;
    refused(&server, &id, "escalate", json!({}), 409, "alarm_is_over").await;
}

async fn put_off_and_back(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let steps = json!([{ "ring": [number(A)], "attempts": 5, "wait_seconds": 100 }, { "ring": [number(B)] }]);
    policy(&server, "ops", json!({ "steps": steps })).await;
    let id = raise_by(&server, "ops", json!({ "begin_before_seconds": 60 })).await;
    let (mid, _) = server.dial(&desk).await;
    server.pass(20).await;
    act(&server, &id, "snooze", json!({ "for_seconds": 7200, "by": "Lin" })).await;
    assert_eq!(server.outcomes(&id).await, ["superseded"]);
    server.report(&desk, &mid, None).await;
    server.idle(&desk).await;
    server.pass(7199).await;
    server.idle(&desk).await;
    assert_eq!(server.state(&id).await, "ringing", "it has not ended for want of a handset");
    server.pass(1).await;
    assert_eq!(server.dial(&desk).await.1, [A]);
    server.pass(79).await;
    assert_eq!(server.alarm(&id).await["step"], 0);
    server.pass(1).await;
    assert_eq!(server.alarm(&id).await["step"], 1, "what was left of the step was left of it afterwards");
    refused(&server, &id, "snooze", json!({ "for_seconds": 0 }), 422, "invalid_field").await;
    refused(&server, &id, "snooze", json!({ "until": "2020-01-01T00:00:00Z" }), 422, "invalid_field").await;
    refused(&server, &id, "snooze", json!({}), 422, "invalid_field").await;
    act(&server, &id, "snooze", json!({ "for_seconds": 7200 })).await;
    act(&server, &id, "redial", json!({})).await;
    assert_eq!(server.alarm(&id).await["snoozed_until"], Value::Null, "ringing again ends it");
}

async fn acknowledged_for_a_time(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let (first, second) = (server.raise(&[A], json!({})).await, server.raise(&[B], json!({})).await);
    for id in [&first, &second] {
        act(&server, id, "acknowledge", json!({ "name": "Lin", "ring_again_after_seconds": 600 })).await;
    }
    let (status, _) = server.post("/api/v1/alarms", &json!({ "summary": "x", "phones": [C] })).await;
    assert_eq!(status, 201);
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [C]);
    server.report(&desk, &mid, Some(C)).await;
    act(&server, &second, "cancel", json!({})).await;
    server.pass(599).await;
    server.idle(&desk).await;
    assert!(server.alarm(&first).await["rings_again_at"].is_string());
    server.pass(1).await;
    assert_eq!(server.dial(&desk).await.1, [A], "it is not resolved");
    assert_eq!(server.state(&second).await, "cancelled");
    assert_eq!(server.alarm(&first).await["rings_again_at"], Value::Null);
}

async fn a_note(home: Home) {
    let server = home.start().await;
    let id = server.raise(&[A], json!({})).await;
    act(&server, &id, "notes", json!({ "text": "disk ordered", "by": "Lin" })).await;
    act(&server, &id, "cancel", json!({})).await;
    act(&server, &id, "notes", json!({ "text": "and built in" })).await;
    let alarm = server.alarm(&id).await;
    let notes: Vec<&Value> = alarm["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["kind"] == "noted")
        .map(|e| &e["body"]["text"])
        .collect();
    assert_eq!(notes, [&json!("disk ordered"), &json!("and built in")]);
    refused(&server, &id, "notes", json!({ "text": " " }), 422, "invalid_field").await;
}

async fn numbers_that_must_not_be_called(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A, B], json!({ "attempts": 1 })).await;
    let (status, kept) = server.post("/api/v1/do-not-call", &json!({ "number": "187 1234 5678", "reason": "asked us to" })).await;
    assert_eq!((status, &kept["number"]), (201, &json!(format!("+86{A}"))));
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [B], "it is looked up at the moment of dialling, after the alarm was raised");
    server.report(&desk, &mid, None).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((&alarm["state"], &alarm["callees"][0]["verdict"]), (&json!("no_answer"), &json!("do_not_call")));
    assert_eq!(alarm["callees"][0]["attempts"], 0);
    let only = server.raise(&[A], json!({})).await;
    server.idle(&desk).await;
    assert_eq!(server.alarm(&only).await["reason"], "nobody_to_ring");
    let dry = server.raise(&[A], json!({ "dry_run": true })).await;
    server.pass(1).await;
    assert_eq!(server.alarm(&dry).await["reason"], "nobody_to_ring");
    assert_eq!(server.delete(&format!("/api/v1/do-not-call/{A}")).await, 204);
    assert_eq!(server.delete(&format!("/api/v1/do-not-call/{A}")).await, 404);
    server.raise(&[A], json!({})).await;
    assert_eq!(server.dial(&desk).await.1, [A]);
}

async fn a_callees_own_link_below_a_path(home: Home) {
    let server = home.set("AUTOCALL_HTTP_PUBLIC_URL", "https://ops.example.org/autocall/").start().await;
    let id = server.raise(&[A], json!({})).await;
    let callee = callee(&server, &id, 0).await.parse().unwrap();
    let address = server.app.engine.links.address(server.app.config().http.public_url.as_deref().unwrap(), callee);
    let below = address.strip_prefix("https://ops.example.org").unwrap();
    let bare = below.strip_prefix("/autocall").unwrap();
    for link in [below, bare] {
        let page = server.page(link).await;
        assert!(page.contains(&format!("action=\"{below}/take\"")), "{link}: {page}");
        assert!(page.contains("href=\"/autocall/assets/style.css"), "{link}: {page}");
    }
    assert_eq!(press(&server, below, "take", std::slice::from_ref(&id)).await, 303);
    assert_eq!(server.state(&id).await, "answered");
}

async fn a_callees_own_link(home: Home) {
    let server = home.set("AUTOCALL_HTTP_PUBLIC_URL", "https://alerts.example.org/").start().await;
    let desk = server.pair("desk", Profile::List).await;
    person(&server, "林 <b>", "zh", &[A]).await;
    let id = server.raise(&[A, B], json!({ "summary": "<script>alert(1)</script>", "min_interval_seconds": 0 })).await;
    let link = async |place: usize| {
        let callee = callee(&server, &id, place).await.parse().unwrap();
        let address = server.app.engine.links.address(server.app.config().http.public_url.as_deref().unwrap(), callee);
        address.strip_prefix("https://alerts.example.org").unwrap().to_owned()
    };
    let (first, second) = (link(0).await, link(1).await);
    let page = server.page(&first).await;
    assert!(page.contains("我无法处理"), "in the callee's language: {page}");
    assert!(page.contains("&#60;script&#62;") && !page.contains("<script>alert"), "{page}");
    assert_eq!(server.state(&id).await, "waiting", "looking does nothing");
    assert_eq!(press(&server, &first, "decline", std::slice::from_ref(&id)).await, 303);
    assert_eq!(press(&server, &first, "decline", std::slice::from_ref(&id)).await, 303, "twice is once");
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [B], "and it goes on at once");
    assert_eq!(press(&server, &second, "take", std::slice::from_ref(&id)).await, 303);
    assert_eq!(press(&server, &second, "take", std::slice::from_ref(&id)).await, 303);
    let alarm = server.alarm(&id).await;
    assert_eq!((&alarm["state"], &alarm["answer"]["via"]), (&json!("answered"), &json!("link")));
    assert_eq!(alarm["answers"].as_array().unwrap().len(), 1);
    assert_eq!(server.outcomes(&id).await, ["superseded"]);
    server.report(&desk, &mid, None).await;
    let page = server.page(&first).await;
    assert!(
        page.contains("+861********78") && !page.contains(B),
        "who has it is told to the others, and no number to whoever holds a link: {page}"
    );
    assert_eq!(server.submit("/c/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/take").await, 404);
    act(&server, &id, "cancel", json!({})).await;
    let id = [id];
    assert_eq!(press(&server, &first, "take", &id).await, 409);
    assert!(server.page(&first).await.contains("alert(1)"), "what it was about, for those who come late");
    server.pass(25 * 3600).await;
    let page = server.page(&first).await;
    assert!(!page.contains("alert(1)") && !page.contains(B), "and not for whoever finds the address later: {page}");
    assert_eq!(press(&server, &first, "take", &id).await, 409);
}

async fn a_step_ends_while_no_handset_asks(home: Home) {
    let server = home.start().await;
    let steps = json!([{ "ring": [number(A)], "wait_seconds": 60 }, { "ring": [number(B)], "wait_seconds": 60 }, { "ring": [number(C)] }]);
    policy(&server, "ops", json!({ "steps": steps })).await;
    let id = raise_by(&server, "ops", json!({})).await;
    server.pass(60).await;
    assert_eq!(server.alarm(&id).await["step"], 1);
    let server = server.restart().await;
    server.pass(60).await;
    assert_eq!(server.alarm(&id).await["step"], 2);
    assert_eq!(story(&server, &id).await, ["raised", "step_began", "step_began", "step_began"]);
}

async fn bad_policies_change_nothing(home: Home) {
    let server = home.start().await;
    a_then_b(&server).await;
    let before = server.get("/api/v1/policies/ops").await;
    for (body, field) in [
        (json!({ "steps": [] }), "steps"),
        (json!({ "steps": [{ "ring": [] }] }), "steps[0].ring"),
        (json!({ "steps": [{ "ring": [{ "person": "Nobody" }] }] }), "steps[0].ring[0]"),
        (json!({ "steps": [{ "ring": [number("110")] }] }), "steps[0].ring[0]"),
        (json!({ "steps": [{ "ring": [number(A)], "attempts": 11 }] }), "steps[0].attempts"),
        (json!({ "steps": [{ "ring": [number(A)], "wait_seconds": 0 }] }), "steps[0].wait_seconds"),
        (json!({ "steps": [{ "ring": [number(A)] }], "rounds": 0 }), "rounds"),
        (json!({ "steps": [{ "ring": [number(A)] }], "confirm_within_seconds": 0 }), "confirm_within_seconds"),
        (json!({ "steps": [{ "ring": [number(A)] }], "color": 1 }), "color"),
    ] {
        let (status, problem) = server.put("/api/v1/policies/ops", &body).await;
        assert_eq!((status, problem["field"].as_str().unwrap_or("-")), (422, field), "{problem}");
    }
    assert_eq!(server.get("/api/v1/policies/ops").await, before);
    assert_eq!(server.delete("/api/v1/policies/ops").await, 204);
    assert_eq!(server.delete("/api/v1/policies/ops").await, 404);
    let (status, problem) = server.post("/api/v1/alarms", &json!({ "summary": "s", "policy": "ops" })).await;
    assert_eq!((status, problem["field"].as_str().unwrap()), (422, "policy"));
    let (status, problem) = server.post("/api/v1/alarms", &json!({ "summary": "s" })).await;
    assert_eq!((status, problem["field"].as_str().unwrap()), (422, "phones"));
}

async fn after_a_snooze_a_missing_handset_is_noticed(home: Home) {
    let server = home.start().await;
    let id = server.raise(&[A], json!({ "begin_before_seconds": 300 })).await;
    act(&server, &id, "snooze", json!({ "for_seconds": 60 })).await;
    server.pass(60).await;
    for _ in 0..30 {
        assert_eq!(server.pass(10).await.woken, 0, "a snooze that is over wakes nobody again");
    }
    assert_eq!(server.alarm(&id).await["reason"], "no_handset");
}

async fn a_corrected_snooze_leaves_the_step_its_time(home: Home) {
    let server = home.start().await;
    let steps = json!([{ "ring": [number(A)], "attempts": 9, "wait_seconds": 180 }, { "ring": [number(B)] }]);
    policy(&server, "ops", json!({ "steps": steps })).await;
    let id = raise_by(&server, "ops", json!({})).await;
    act(&server, &id, "snooze", json!({ "for_seconds": 8 * 3600 })).await;
    act(&server, &id, "snooze", json!({ "for_seconds": 3600 })).await;
    server.pass(3600 + 179).await;
    assert_eq!(server.alarm(&id).await["step"], 0);
    server.pass(1).await;
    assert_eq!(server.alarm(&id).await["step"], 1);
}

async fn a_number_barred_in_a_new_step_begins_it_once(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let steps = json!([{ "ring": [number(A)], "attempts": 1, "wait_seconds": 60 }, { "ring": [number(C), number(B)] }]);
    policy(&server, "ops", json!({ "steps": steps })).await;
    server.post("/api/v1/do-not-call", &json!({ "number": C })).await;
    let id = raise_by(&server, "ops", json!({})).await;
    server.pass(60).await;
    assert_eq!(server.dial(&desk).await.1, [B]);
    assert_eq!(story(&server, &id).await, ["raised", "step_began", "step_began", "do_not_call", "handed_out"]);
}
