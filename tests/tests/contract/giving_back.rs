//! Somebody takes an alarm and gives it back: others are rung, by the rule, and a press that comes twice or late changes nothing.

use autocall::kinds::notices::WebhookShape;
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use serde_json::{Value, json};

use crate::escalation::{number, policy};
use crate::harness::{A, B, C, Home, Server, on_both};
use crate::native::{poll, report, send};
use crate::notices::{Room, add, deliver};
use crate::pressing::{link, press};
use crate::speaking::speaker;

on_both!(
    what_is_given_back_rings_the_next,
    whoever_gave_it_back_is_asked_once_nobody_else_is_left,
    a_policy_begins_from_its_first_step,
    one_of_two_that_were_taken_together_is_given_back,
    given_back_twice_is_given_back_once,
    only_what_somebody_has_is_given_back,
    a_call_that_is_reported_late_takes_nothing_that_was_given_back,
    people_are_told_that_it_rings_again,
    where_all_others_must_not_be_called_the_giver_is,
    the_second_press_says_who_was_faster_and_changes_nothing,
    cannot_after_somebody_took_it_changes_nothing,
    what_stood_on_the_page_is_taken_over,
    whom_it_rings_next_is_said,
    after_the_end_it_says_how_it_ended_and_nothing_else,
    somebody_is_rung_where_another_wants_no_more,
    whoever_wants_no_more_is_not_all_that_is_left_after_a_redial,
    whoever_wants_no_more_is_rung_where_nobody_else_is_left,
    a_pick_up_from_before_takes_nothing_that_was_given_back,
    a_key_counts_when_it_was_pressed_since,
    the_giver_s_own_pick_up_from_before_does_not_count_either,
    what_wants_everybody_is_not_given_back,
);

/// What a browser sends when a button of this page is pressed.
fn form(page: &str, link: &str, button: &str) -> Vec<(String, String)> {
    let action = format!("action=\"{link}/{button}\"");
    let (_, form) = page.split_once(&action).unwrap_or_else(|| panic!("no {button} on {page}"));
    let (form, _) = form.split_once("</form>").unwrap();
    let value = |input: &str, name: &str| {
        let (_, rest) = input.split_once(&format!("{name}=\"")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    form.split("<input ").skip(1).map(|input| (value(input, "name"), value(input, "value"))).collect()
}

/// Presses a button as it stood on a page that was opened before; gives where that leads.
async fn press_on(server: &Server, page: &str, link: &str, button: &str) -> String {
    let fields = form(page, link, button);
    let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
    let http = autocall_tests::http_client().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let request = http.post(format!("{}{link}/{button}", server.base)).header("accept", "text/html");
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    let response = request.sent().await.unwrap();
    assert_eq!(response.status(), 303);
    response.headers()["location"].to_str().unwrap().to_owned()
}

async fn start(home: Home) -> Server {
    let home = home.set("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS", "120");
    home.set("AUTOCALL_HTTP_PUBLIC_URL", "https://alerts.example.org").start().await
}

async fn raise(server: &Server, phones: &[&str], more: Value) -> String {
    let mut body = json!({ "attempts": 2, "min_interval_seconds": 0 });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.raise(phones, body).await
}

async fn give_back(server: &Server, id: &str) -> (u16, Value) {
    server.post(&format!("/api/v1/alarms/{id}/give-back"), &json!({ "by": "Lin" })).await
}

async fn acknowledge(server: &Server, id: &str, number: &str) {
    let (status, alarm) = server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &json!({ "number": number })).await;
    assert_eq!(status, 200, "{alarm}");
}

async fn kinds(server: &Server, id: &str) -> Vec<String> {
    let alarm = server.alarm(id).await;
    alarm["timeline"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}

async fn answer(server: &Server, id: &str) -> Value {
    server.alarm(id).await["answer"]["number"].clone()
}

/// A number as whoever holds a link sees it.
fn masked(number: &str) -> String {
    autocall::numbers::masked(&format!("+86{number}"))
}

fn of(number: &str) -> Value {
    json!(format!("+86{number}"))
}

async fn what_is_given_back_rings_the_next(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let id = raise(&server, &[A, B], json!({})).await;
    let own = link(&server, &id, 0).await;
    press_on(&server, &server.page(&own).await, &own, "take").await;
    server.idle(&desk).await;
    let page = server.page(&own).await;
    assert!(page.contains("note good ticked") && page.contains("It is yours"), "{page}");
    let shown = press_on(&server, &page, &own, "give-back").await;
    assert_eq!(shown, format!("{own}?back=1"));
    assert_eq!(server.alarm(&id).await["answer"], Value::Null, "nobody has it any more");
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [B], "and not whoever gave it back");
    let told = kinds(&server, &id).await;
    let of_it: Vec<&str> = told.iter().map(String::as_str).filter(|kind| ["given_back", "redialled"].contains(kind)).collect();
    assert_eq!(of_it, ["given_back", "redialled"]);
    let page = server.page(&shown).await;
    assert!(page.contains("You have given it back") && page.contains("I take it"), "{page}");
    assert!(!page.contains("I cannot"), "they have said so");
    server.report(&desk, &mid, Some(B)).await;
    assert_eq!(answer(&server, &id).await, of(B));
}

async fn whoever_gave_it_back_is_asked_once_nobody_else_is_left(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let id = raise(&server, &[A], json!({})).await;
    acknowledge(&server, &id, A).await;
    assert_eq!(give_back(&server, &id).await.0, 200);
    assert_eq!(server.dial(&desk).await.1, [A], "there is nobody else");
}

async fn a_policy_begins_from_its_first_step(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let step = |who| json!({ "ring": [number(who)], "attempts": 1, "min_interval_seconds": 0 });
    policy(&server, "ops", json!({ "steps": [step(A), step(B), step(C)] })).await;
    let id = server.raise(&[], json!({ "policy": "ops" })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [B]);
    server.report(&desk, &mid, Some(B)).await;
    acknowledge(&server, &id, B).await;
    assert_eq!(give_back(&server, &id).await.0, 200);
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A], "the first step");
    server.report(&desk, &mid, None).await;
    assert_eq!(server.dial(&desk).await.1, [C], "whoever gave it back is passed over");
}

async fn one_of_two_that_were_taken_together_is_given_back(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let both = [raise(&server, &[A, B], json!({})).await, raise(&server, &[A, B], json!({})).await];
    let own = link(&server, &both[0], 0).await;
    press_on(&server, &server.page(&own).await, &own, "take").await;
    assert_eq!(give_back(&server, &both[1]).await.0, 200);
    assert_eq!(answer(&server, &both[0]).await, of(A), "that is still theirs");
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [B]);
    server.report(&desk, &mid, Some(B)).await;
    assert_eq!((answer(&server, &both[0]).await, answer(&server, &both[1]).await), (of(A), of(B)));
    assert!(!kinds(&server, &both[0]).await.contains(&"given_back".to_owned()));
}

async fn given_back_twice_is_given_back_once(home: Home) {
    let server = start(home).await;
    let id = raise(&server, &[A, B], json!({})).await;
    let own = link(&server, &id, 0).await;
    press_on(&server, &server.page(&own).await, &own, "take").await;
    let page = server.page(&own).await;
    press_on(&server, &page, &own, "give-back").await;
    let before = server.alarm(&id).await;
    let shown = press_on(&server, &page, &own, "give-back").await;
    assert_eq!(shown, format!("{own}?late=1"));
    assert!(server.page(&shown).await.contains("Your press changed nothing"));
    assert_eq!(server.alarm(&id).await, before);
    // Taken again, the old page does not give back what it has not shown.
    press_on(&server, &server.page(&own).await, &own, "take").await;
    assert_eq!(press_on(&server, &page, &own, "give-back").await, format!("{own}?late=1"));
    assert_eq!(answer(&server, &id).await, of(A));
}

async fn only_what_somebody_has_is_given_back(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let id = raise(&server, &[A, B], json!({})).await;
    let (status, problem) = give_back(&server, &id).await;
    assert_eq!((status, &problem["code"]), (409, &json!("not_taken")), "{problem}");
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    acknowledge(&server, &id, A).await;
    assert_eq!(give_back(&server, &id).await.0, 200);
    let (status, problem) = give_back(&server, &id).await;
    assert_eq!((status, &problem["code"]), (409, &json!("not_taken")), "{problem}");
    server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
    let (status, problem) = give_back(&server, &id).await;
    assert_eq!((status, &problem["code"]), (409, &json!("alarm_is_over")), "{problem}");
    let nothing = "01a1fc4e-a630-77e4-8b85-425a1123605f";
    assert_eq!(give_back(&server, nothing).await.0, 404);
}

async fn a_call_that_is_reported_late_takes_nothing_that_was_given_back(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let id = raise(&server, &[A, B], json!({})).await;
    let (mid, _) = server.dial(&desk).await;
    // They take it on their screen while their phone still rings, and cannot after all.
    let own = link(&server, &id, 0).await;
    press_on(&server, &server.page(&own).await, &own, "take").await;
    press_on(&server, &server.page(&own).await, &own, "give-back").await;
    server.report(&desk, &mid, Some(A)).await;
    assert_ne!(server.state(&id).await, "answered", "that they picked up is not that they take it");
    assert_eq!(server.dial(&desk).await.1, [B]);
}

async fn where_all_others_must_not_be_called_the_giver_is(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let steps = json!([{ "ring": [{ "number": A }], "attempts": 1 }, { "ring": [{ "number": B }], "attempts": 1 }]);
    let (status, made) = server.put("/api/v1/policies/night", &json!({ "steps": steps })).await;
    assert!([200, 201].contains(&status), "{made}");
    let named = json!({ "phones": [A, B] });
    let only = json!({ "ring": [{ "number": A }, { "number": B }] });
    for whom in [json!({ "policy": "night" }), only, named] {
        let id = server.raise(&[], whom.clone()).await;
        acknowledge(&server, &id, A).await;
        let (status, _) = server.post("/api/v1/do-not-call", &json!({ "number": B })).await;
        assert_eq!(status, 201);
        assert_eq!(give_back(&server, &id).await.0, 200);
        server.pass(600).await;
        assert_eq!(server.dial(&desk).await.1, [A], "nobody else is left: {whom}");
        assert_eq!(server.delete(&format!("/api/v1/do-not-call/{B}")).await, 204);
        server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
        server.pass(600).await;
    }
}

async fn people_are_told_that_it_rings_again(home: Home) {
    let server = start(home.set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8")).await;
    let (room, url) = Room::open().await;
    add(&server, &url, WebhookShape::Json, &[], "en").await;
    let id = raise(&server, &[A, B], json!({})).await;
    acknowledge(&server, &id, A).await;
    give_back(&server, &id).await;
    deliver(&server).await;
    let mut told: Vec<String> = room.bodies().iter().map(|body| body["event"].as_str().unwrap().to_owned()).collect();
    told.sort_unstable();
    assert_eq!(told, ["confirmed", "raised", "raised"]);
    let again = room.bodies().into_iter().find(|body| body["particulars"]["why"] == "given_back").unwrap();
    assert_eq!(again["event"], "raised");
    assert!(again["links"].as_array().is_some_and(|links| !links.is_empty()), "with links to take it: {again}");
}

async fn the_second_press_says_who_was_faster_and_changes_nothing(home: Home) {
    let server = start(home).await;
    let id = raise(&server, &[A, B], json!({})).await;
    let (first, second) = (link(&server, &id, 0).await, link(&server, &id, 1).await);
    let (of_first, of_second) = (server.page(&first).await, server.page(&second).await);
    assert_eq!(press_on(&server, &of_first, &first, "take").await, first);
    let before = server.alarm(&id).await;
    let shown = press_on(&server, &of_second, &second, "take").await;
    assert_eq!(shown, format!("{second}?late=1"));
    let page = server.page(&shown).await;
    assert!(page.contains("Your press changed nothing") && page.contains(&masked(A)) && !page.contains(A), "{page}");
    assert!(page.contains("2026-11-20T03:00:00.000Z\" data-t=\"at\""), "and since when: {page}");
    assert_eq!(server.alarm(&id).await, before);
    // Whoever took it and presses twice is told nothing of the kind.
    assert_eq!(press_on(&server, &of_first, &first, "take").await, first);
    assert_eq!(server.alarm(&id).await, before);
}

async fn cannot_after_somebody_took_it_changes_nothing(home: Home) {
    let server = start(home).await;
    let id = raise(&server, &[A, B], json!({})).await;
    let (first, second) = (link(&server, &id, 0).await, link(&server, &id, 1).await);
    let stale = server.page(&second).await;
    press_on(&server, &server.page(&first).await, &first, "take").await;
    let before = server.alarm(&id).await;
    assert_eq!(press_on(&server, &stale, &second, "decline").await, format!("{second}?late=1"));
    assert_eq!(server.alarm(&id).await, before);
    // A page of a version that did not say what it showed works as it did.
    assert_eq!(press(&server, &second, "decline", std::slice::from_ref(&id)).await, 303);
}

async fn what_stood_on_the_page_is_taken_over(home: Home) {
    let server = start(home).await;
    let id = raise(&server, &[A, B], json!({})).await;
    let (first, second) = (link(&server, &id, 0).await, link(&server, &id, 1).await);
    press_on(&server, &server.page(&first).await, &first, "take").await;
    let page = server.page(&second).await;
    assert!(page.contains(&masked(A)) && !page.contains(A), "who has it stands there, without their number: {page}");
    server.pass(1).await;
    assert_eq!(press_on(&server, &page, &second, "take").await, second);
    assert_eq!(answer(&server, &id).await, of(B));
    let stale = server.page(&first).await;
    assert!(!stale.contains("give-back"), "it is theirs no more");
}

async fn whom_it_rings_next_is_said(home: Home) {
    let server = start(home).await;
    let id = raise(&server, &[A, B], json!({})).await;
    let (first, second) = (link(&server, &id, 0).await, link(&server, &id, 1).await);
    let page = server.page(&first).await;
    assert!(page.contains("If you cannot, <b>") && page.contains("is rung next"), "{page}");
    assert!(!page.contains(B), "whoever has the link may not see numbers: {page}");
    press_on(&server, &page, &first, "decline").await;
    assert!(server.page(&second).await.contains("Nobody else is left to ring"));
    let step = |who| json!({ "ring": [number(who)], "attempts": 1 });
    policy(&server, "ops", json!({ "steps": [step(A), step(C)] })).await;
    let id = server.raise(&[], json!({ "policy": "ops" })).await;
    let page = server.page(&link(&server, &id, 0).await).await;
    assert!(page.contains("the next step of “ops” begins"), "{page}");
}

async fn after_the_end_it_says_how_it_ended_and_nothing_else(home: Home) {
    let server = start(home).await;
    let more = json!({ "summary": "disk full", "details": "97 % of /var", "labels": { "runbook": "https://wiki.example/disk" } });
    let id = raise(&server, &[A, B], more).await;
    let own = link(&server, &id, 0).await;
    let page = server.page(&own).await;
    let runbook = "<a href=\"https://wiki.example/disk\" rel=\"noreferrer\">";
    assert!(page.contains(runbook) && page.contains("97 % of /var"), "{page}");
    assert!(page.find(runbook) < page.find("97 % of /var"), "what to do stands first: {page}");
    server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
    let page = server.page(&own).await;
    assert!(page.contains("disk full") && page.contains("Called off"), "{page}");
    assert!(!page.contains("97 % of /var") && !page.contains("wiki.example") && !page.contains("<form"), "{page}");
}

async fn key(server: &Server, mid: &Value, number: &str, key: &str, action: &str) {
    let body = json!({ "number": number, "state": "connected", "event": "key", "key": key, "action": action, "seq": 1 });
    let path = format!("/h/trunk/progress?mid={}", mid.as_str().unwrap());
    let said = send(server, "POST", &path, Some(body)).await;
    // A call that is wanted no more is told so.
    assert_ne!(said["code"], 1, "{said}");
}

/// The call of this number comes; they press the key by which they want to be called no more.
async fn wants_no_more(server: &Server, trunk: &str, number: &str) {
    let offer = poll(server, trunk).await;
    assert_eq!(offer["phone"], json!([number]), "{offer}");
    key(server, &offer["mid"], number, "5", "stop_calling").await;
    let word = json!([{ "number": number, "outcome": "answered", "confirmed": true, "declined": true, "keys": "5", "action": "stop_calling" }]);
    report(server, trunk, &offer["mid"], "", word).await;
}

/// The call of this number comes, and they take it.
async fn takes(server: &Server, trunk: &str, number: &str) {
    let offer = poll(server, trunk).await;
    assert_eq!(offer["phone"], json!([number]), "{offer}");
    report(server, trunk, &offer["mid"], &format!("&resp={number}"), taken(number)).await;
}

fn taken(number: &str) -> Value {
    json!([{ "number": number, "outcome": "answered", "confirmed": true, "keys": "1", "action": "accept", "talk_seconds": 9 }])
}

fn missed(number: &str) -> Value {
    json!([{ "number": number, "outcome": "no_answer" }])
}

async fn somebody_is_rung_where_another_wants_no_more(home: Home) {
    let server = start(home.set("AUTOCALL_ALARMS_STOP_KEY", "5")).await;
    let trunk = speaker(&server, "trunk").await;
    let step = |who| json!({ "ring": [number(who)], "attempts": 1, "min_interval_seconds": 0 });
    policy(&server, "ops", json!({ "steps": [step(A), step(B)] })).await;
    let id = server.raise(&[], json!({ "policy": "ops" })).await;
    wants_no_more(&server, &trunk, A).await;
    takes(&server, &trunk, B).await;
    assert_eq!(server.state(&id).await, "answered");
    assert_eq!(give_back(&server, &id).await.0, 200);
    let offer = poll(&server, &trunk).await;
    assert_eq!(offer["phone"], json!([B]), "whoever wants no more is left in peace: {offer}");
}

async fn whoever_wants_no_more_is_not_all_that_is_left_after_a_redial(home: Home) {
    let server = start(home.set("AUTOCALL_ALARMS_STOP_KEY", "5")).await;
    let trunk = speaker(&server, "trunk").await;
    let id = raise(&server, &[A, B], json!({ "attempts": 1 })).await;
    wants_no_more(&server, &trunk, A).await;
    takes(&server, &trunk, B).await;
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/redial"), &json!({})).await.0, 200);
    let offer = poll(&server, &trunk).await;
    assert_eq!(offer["phone"], json!([A]), "somebody asked for everybody: {offer}");
    report(&server, &trunk, &offer["mid"], "", missed(A)).await;
    takes(&server, &trunk, B).await;
    assert_eq!(give_back(&server, &id).await.0, 200);
    let offer = poll(&server, &trunk).await;
    assert_eq!(offer["phone"], json!([B]), "{offer}");
}

async fn whoever_wants_no_more_is_rung_where_nobody_else_is_left(home: Home) {
    let server = start(home.set("AUTOCALL_ALARMS_STOP_KEY", "5")).await;
    let trunk = speaker(&server, "trunk").await;
    let id = raise(&server, &[A], json!({ "attempts": 1 })).await;
    wants_no_more(&server, &trunk, A).await;
    acknowledge(&server, &id, A).await;
    assert_eq!(give_back(&server, &id).await.0, 200);
    let offer = poll(&server, &trunk).await;
    assert_eq!(offer["phone"], json!([A]), "they took it, and somebody is to know that nobody has it: {offer}");
}

async fn a_pick_up_from_before_takes_nothing_that_was_given_back(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let steps =
        json!([{ "ring": [{ "number": A }], "attempts": 1, "wait_seconds": 60 }, { "ring": [{ "number": B }], "attempts": 1 }]);
    let (status, made) = server.put("/api/v1/policies/night", &json!({ "steps": steps })).await;
    assert!([200, 201].contains(&status), "{made}");
    let id = server.raise(&[], json!({ "policy": "night" })).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A]);
    server.report(&desk, &mid, None).await;
    server.pass(60).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [B]);
    // The first takes it on their screen while the phone of the second rings on, who hears nothing in the call.
    let own = link(&server, &id, 0).await;
    press_on(&server, &server.page(&own).await, &own, "take").await;
    server.pass(1).await;
    press_on(&server, &server.page(&own).await, &own, "give-back").await;
    server.pass(1).await;
    server.report(&desk, &mid, Some(B)).await;
    assert_eq!((server.state(&id).await == "answered", answer(&server, &id).await), (false, Value::Null));
    // Until then the line that rang on may ring still.
    server.pass(90).await;
    assert_eq!(server.dial(&desk).await.1, [B], "somebody is woken");
}

/// A call that was handed out before: its report does not say when the key was pressed.
async fn a_key_counts_when_it_was_pressed_since(home: Home) {
    let server = start(home).await;
    let trunk = speaker(&server, "trunk").await;
    for live in [false, true] {
        let id = raise(&server, &[A, B], json!({ "attempts": 1 })).await;
        let offer = poll(&server, &trunk).await;
        assert_eq!(offer["phone"], json!([A]), "{offer}");
        report(&server, &trunk, &offer["mid"], "", missed(A)).await;
        let offer = poll(&server, &trunk).await;
        assert_eq!(offer["phone"], json!([B]), "{offer}");
        acknowledge(&server, &id, A).await;
        server.pass(1).await;
        assert_eq!(give_back(&server, &id).await.0, 200);
        server.pass(1).await;
        if live {
            key(&server, &offer["mid"], B, "1", "accept").await;
        } else {
            report(&server, &trunk, &offer["mid"], &format!("&resp={B}"), taken(B)).await;
        }
        assert_eq!(server.state(&id).await == "answered", live);
        server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
        server.pass(600).await;
    }
}

async fn the_giver_s_own_pick_up_from_before_does_not_count_either(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    policy(&server, "ops", json!({ "steps": [{ "ring": [number(A)], "attempts": 1, "min_interval_seconds": 0 }] })).await;
    let id = server.raise(&[], json!({ "policy": "ops" })).await;
    let (mid, _) = server.dial(&desk).await;
    let own = link(&server, &id, 0).await;
    press_on(&server, &server.page(&own).await, &own, "take").await;
    server.pass(1).await;
    press_on(&server, &server.page(&own).await, &own, "give-back").await;
    server.pass(1).await;
    server.report(&desk, &mid, Some(A)).await;
    assert_ne!(server.state(&id).await, "answered", "they picked up before they gave it back");
    server.pass(90).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A], "there is nobody else");
    // A pick-up of a call since counts, however late it is told.
    server.pass(600).await;
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/redial"), &json!({})).await.0, 200);
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(&id).await, "answered");
}

async fn what_wants_everybody_is_not_given_back(home: Home) {
    let server = start(home).await;
    let id = raise(&server, &[A], json!({ "mode": "parallel", "until": "everyone" })).await;
    let own = link(&server, &id, 0).await;
    press_on(&server, &server.page(&own).await, &own, "take").await;
    assert_eq!(server.state(&id).await, "answered");
    assert!(!server.page(&own).await.contains("/give-back"), "there is no button for it");
    let before = server.alarm(&id).await;
    let (status, problem) = give_back(&server, &id).await;
    assert_eq!((status, &problem["code"]), (409, &json!("not_taken")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("everybody"), "{problem}");
    // An old page.
    assert_eq!(press(&server, &own, "give-back", std::slice::from_ref(&id)).await, 303);
    assert_eq!(server.alarm(&id).await, before);
}
