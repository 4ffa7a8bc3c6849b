//! How people want to be reached when their turn comes: text first, called later, by one number and then by another.

use autocall::store::watch::handsets::Profile;
use serde_json::{Value, json};

use crate::gateway::{Gateway, add_smsgate, near, send, taken};
use crate::harness::{A, B, Home, Server, on_both};
use crate::replies::{smsgate, told};
use crate::roster;

on_both!(
    text_at_once_call_later_and_another_number_after_that,
    for_what_is_critical_the_first_call_does_not_wait,
    a_number_that_must_not_be_called_keeps_nobody_waiting,
    whoever_is_removed_keeps_nobody_waiting,
    a_step_waits_for_nobody_s_other_number,
    numbers_that_are_named_by_themselves_are_called_as_ever,
    an_answer_to_the_text_ends_it_before_anybody_is_called,
    who_declines_is_called_by_no_other_number,
    called_at_once_and_told_later_and_not_when_it_is_over,
    alarms_that_come_at_once_are_told_in_one_text,
    a_word_from_before_the_text_left_takes_nothing,
    what_cannot_be_meant_is_told_and_changes_nothing,
    a_number_that_is_taken_away_is_called_no_more,
);

/// A server with Ann (A and another number) and Bob (B), a gateway, and the path under which that reports. Ann is told at once, called after two minutes,
/// and by her other number after five.
async fn start(home: Home) -> (Server, Gateway, String) {
    let server = near(home).start().await;
    roster::people(&server).await;
    numbers(&server, &[A, OTHER]).await;
    let (gateway, url) = Gateway::open().await;
    let inbound = add_smsgate(&server, &url).await;
    ways(&server, json!([way("text", A, 0), way("call", A, 120), way("call", OTHER, 300)])).await;
    (server, gateway, inbound)
}

/// Another number of Ann's.
const OTHER: &str = "18612345678";

async fn numbers(server: &Server, numbers: &[&str]) {
    let (status, body) = roster::send(server, "PATCH", "/api/v1/people/Ann", Some(json!({ "numbers": numbers }))).await;
    assert_eq!(status, 200, "{body}");
}

fn way(by: &str, number: &str, after: i64) -> Value {
    json!({ "by": by, "phone_number": number, "after_seconds": after })
}

async fn ways(server: &Server, ways: Value) {
    let (status, body) = server.put("/api/v1/people/Ann/told", &json!({ "ways": ways })).await;
    assert_eq!(status, 200, "{body}");
}

/// An alarm for these people, one after the other.
async fn raise(server: &Server, names: &[&str], more: Value) -> String {
    let ring: Vec<Value> = names.iter().map(|name| json!({ "person": name })).collect();
    let mut body = json!({ "ring": ring, "attempts": 1, "summary": "Disk full" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.raise(&[], body).await
}

async fn text_at_once_call_later_and_another_number_after_that(home: Home) {
    let (server, gateway, _) = start(home).await;
    let desk = server.pair("desk", Profile::App).await;
    let id = raise(&server, &["Ann", "Bob"], json!({})).await;
    server.pass(0).await;
    let sent = taken(&server, &gateway, 1).await;
    assert!(sent[0].0 == "+8618712345678" && sent[0].1.contains("Disk full"), "{sent:?}");
    server.app_idle(&desk).await;
    server.pass(119).await;
    server.app_idle(&desk).await;
    server.pass(1).await;
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [A], "Bob waits for her first call");
    server.report(&desk, &mid, None).await;
    server.pass(76).await;
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [B], "and not for her second");
    server.report(&desk, &mid, None).await;
    server.pass(76).await;
    server.app_idle(&desk).await;
    server.pass(30).await;
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [OTHER]);
    server.report(&desk, &mid, Some(OTHER)).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((alarm["state"].as_str(), alarm["answer"]["name"].as_str()), (Some("answered"), Some("Ann")), "{alarm}");
    send(&server).await;
    assert_eq!(gateway.sent().len(), 1, "once");
}

async fn for_what_is_critical_the_first_call_does_not_wait(home: Home) {
    let (server, gateway, _) = start(home).await;
    let desk = server.pair("desk", Profile::App).await;
    raise(&server, &["Ann", "Bob"], json!({ "priority": "critical" })).await;
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [A]);
    taken(&server, &gateway, 1).await;
    server.report(&desk, &mid, None).await;
    server.pass(76).await;
    assert_eq!(server.app_dial(&desk).await.1, [B]);
}

async fn a_number_that_must_not_be_called_keeps_nobody_waiting(home: Home) {
    let (server, ..) = start(home).await;
    ways(&server, json!([way("call", A, 1800)])).await;
    assert_eq!(server.post("/api/v1/do-not-call", &json!({ "number": A })).await.0, 201);
    let desk = server.pair("desk", Profile::App).await;
    raise(&server, &["Ann", "Bob"], json!({})).await;
    assert_eq!(server.app_dial(&desk).await.1, [B]);
}

async fn whoever_is_removed_keeps_nobody_waiting(home: Home) {
    let (server, ..) = start(home).await;
    let desk = server.pair("desk", Profile::App).await;
    raise(&server, &["Bob", "Ann"], json!({})).await;
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [B]);
    let (status, body) = roster::send(&server, "DELETE", "/api/v1/people/Ann", None).await;
    assert_eq!(status, 204, "{body}");
    server.report(&desk, &mid, None).await;
    server.pass(76).await;
    assert_eq!(server.app_dial(&desk).await.1, [A], "by the number that is known of her, at once");
}

async fn a_step_waits_for_nobody_s_other_number(home: Home) {
    let (server, ..) = start(home).await;
    ways(&server, json!([way("call", A, 0), way("call", OTHER, 1800)])).await;
    let desk = server.pair("desk", Profile::App).await;
    let steps = json!([{ "ring": [{ "person": "Ann" }], "attempts": 1 }, { "ring": [{ "person": "Bob" }], "attempts": 1 }]);
    assert_eq!(server.put("/api/v1/policies/ops", &json!({ "steps": steps })).await.0, 201);
    server.raise(&[], json!({ "policy": "ops" })).await;
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [A]);
    server.report(&desk, &mid, None).await;
    server.pass(76).await;
    assert_eq!(server.app_dial(&desk).await.1, [B]);
}

async fn numbers_that_are_named_by_themselves_are_called_as_ever(home: Home) {
    let (server, ..) = start(home).await;
    let desk = server.pair("desk", Profile::App).await;
    let phone = server.pair("phone", Profile::App).await;
    server.raise(&[A, OTHER], json!({ "mode": "parallel", "attempts": 1 })).await;
    let mut phones = [server.app_dial(&desk).await.1, server.app_dial(&phone).await.1].concat();
    phones.sort();
    assert_eq!(phones, [OTHER, A], "both at once, whoever they are of");
}

async fn an_answer_to_the_text_ends_it_before_anybody_is_called(home: Home) {
    let (server, gateway, inbound) = start(home).await;
    let desk = server.pair("desk", Profile::App).await;
    let id = raise(&server, &["Ann", "Bob"], json!({})).await;
    server.pass(5).await;
    taken(&server, &gateway, 1).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E1", A, "1")).await, "confirmed");
    assert_eq!(server.state(&id).await, "answered");
    server.pass(400).await;
    server.app_idle(&desk).await;
}

async fn who_declines_is_called_by_no_other_number(home: Home) {
    let (server, gateway, inbound) = start(home).await;
    let desk = server.pair("desk", Profile::App).await;
    let id = raise(&server, &["Ann"], json!({})).await;
    server.pass(5).await;
    taken(&server, &gateway, 1).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E1", A, "2")).await, "declined");
    assert_eq!(server.state(&id).await, "no_answer");
    server.pass(400).await;
    server.app_idle(&desk).await;
}

async fn called_at_once_and_told_later_and_not_when_it_is_over(home: Home) {
    let (server, gateway, _) = start(home).await;
    ways(&server, json!([way("call", OTHER, 0), way("text", A, 120)])).await;
    let desk = server.pair("desk", Profile::App).await;
    let first = raise(&server, &["Ann"], json!({ "attempts": 5 })).await;
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [OTHER], "the number that she wants");
    server.pass(60).await;
    send(&server).await;
    assert_eq!(gateway.sent().len(), 0, "not yet");
    server.report(&desk, &mid, None).await;
    server.pass(60).await;
    let sent = taken(&server, &gateway, 1).await;
    assert_eq!(sent[0].0, "+8618712345678");
    assert_eq!(server.post(&format!("/api/v1/alarms/{first}/cancel"), &json!({})).await.0, 200);
    // Another one, which is over before it is time for the text.
    server.pass(100).await;
    let second = raise(&server, &["Ann"], json!({})).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(OTHER)).await;
    assert_eq!(server.post(&format!("/api/v1/alarms/{second}/resolve"), &json!({})).await.0, 200);
    server.pass(121).await;
    send(&server).await;
    assert_eq!(gateway.sent().len(), 1);
}

async fn alarms_that_come_at_once_are_told_in_one_text(home: Home) {
    let (server, gateway, _) = start(home.set("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS", "120")).await;
    for summary in ["one", "two", "three"] {
        raise(&server, &["Ann"], json!({ "summary": summary })).await;
    }
    server.pass(1).await;
    let sent = taken(&server, &gateway, 1).await;
    assert!(sent[0].1.contains("and 2 more"), "{sent:?}");
}

async fn a_word_from_before_the_text_left_takes_nothing(home: Home) {
    let (server, gateway, inbound) = start(home).await;
    ways(&server, json!([way("text", A, 600), way("call", A, 1200)])).await;
    let id = raise(&server, &["Ann"], json!({})).await;
    server.pass(5).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E1", A, "ok")).await, "stranger", "about something else");
    assert_eq!(server.state(&id).await, "waiting");
    server.pass(600).await;
    taken(&server, &gateway, 1).await;
    assert_eq!(told(&server, &inbound, smsgate(&server, "E2", A, "1")).await, "confirmed");
    taken(&server, &gateway, 2).await;
    // It was to leave at once, and leaves late: what was written before that comes later still.
    ways(&server, json!([way("text", A, 0), way("call", A, 1200)])).await;
    gateway.set_away(true);
    let id = raise(&server, &["Ann"], json!({ "summary": "another" })).await;
    server.pass(5).await;
    let asked = gateway.requests();
    send(&server).await;
    assert!(gateway.requests() > asked && gateway.sent().len() == 2, "it is away");
    server.pass(100).await;
    let early = smsgate(&server, "E3", A, "ok");
    server.pass(100).await;
    gateway.set_away(false);
    server.pass(300).await;
    taken(&server, &gateway, 3).await;
    assert_ne!(told(&server, &inbound, early).await, "confirmed", "about something else");
    assert_eq!(server.state(&id).await, "waiting");
    assert_eq!(told(&server, &inbound, smsgate(&server, "E4", A, "ok")).await, "confirmed");
}

async fn what_cannot_be_meant_is_told_and_changes_nothing(home: Home) {
    let (server, ..) = start(home).await;
    let before = server.get("/api/v1/people/Ann/told").await;
    assert_eq!(before["ways"][1], json!({ "by": "call", "phone_number": "+8618712345678", "after_seconds": 120 }));
    for (wrong, why) in [
        (json!([way("text", A, 0)]), "at least one call"),
        (json!([way("call", A, 1801)]), "0 to 1800"),
        (json!([way("call", B, 0)]), "one of the person's numbers"),
        (json!([way("call", A, 0), way("call", "+8618712345678", 60)]), "only once for calls"),
        (json!([way("call", "12", 0)]), "ways"),
        (json!([way("fax", A, 0)]), "ways"),
    ] {
        let (status, body) = server.put("/api/v1/people/Ann/told", &json!({ "ways": wrong })).await;
        assert!((status == 422 || status == 400) && body.to_string().contains(why), "{wrong}: {status} {body}");
    }
    assert_eq!(server.get("/api/v1/people/Ann/told").await, before);
}

async fn a_number_that_is_taken_away_is_called_no_more(home: Home) {
    let (server, ..) = start(home).await;
    let desk = server.pair("desk", Profile::App).await;
    numbers(&server, &[OTHER]).await;
    raise(&server, &["Ann"], json!({})).await;
    server.pass(0).await;
    server.pass(119).await;
    server.app_idle(&desk).await;
    server.pass(1).await;
    assert_eq!(server.app_dial(&desk).await.1, [OTHER], "when the first call was to come");
    numbers(&server, &["18700001111"]).await;
    let server = server.restart().await;
    let phone = server.pair("phone", Profile::App).await;
    raise(&server, &["Ann"], json!({ "summary": "another" })).await;
    server.pass(0).await;
    server.pass(120).await;
    assert_eq!(server.app_dial(&phone).await.1, ["18700001111"], "the new one takes its place");
}
