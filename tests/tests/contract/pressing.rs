//! People act on what they saw: a press names the alarms that were on the screen, and acts on exactly these, wherever they are rung by
//! now.

use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use serde_json::{Value, json};

use crate::harness::{A, B, C, Home, Server, on_both};
use crate::native;

on_both!(
    a_link_shows_every_alarm_of_the_call_and_takes_what_it_shows,
    cannot_is_said_of_all_that_the_link_shows,
    a_press_that_names_nothing_changes_nothing,
    what_joined_between_opening_and_taking_is_not_taken_unread,
    what_joined_between_opening_and_declining_is_rung_for,
    whoever_picked_up_and_cannot_is_rung_for_what_they_did_not_see,
    an_alarm_that_has_another_hunt_by_now_is_meant_where_it_is,
    what_is_over_is_left_out_and_the_rest_is_done,
    only_alarms_of_the_call_are_meant_by_a_link,
    the_api_means_the_alarm_in_its_path_and_no_other,
    a_key_press_covers_what_was_in_the_call_when_it_was_handed_out,
    declining_by_a_key_press_covers_the_same,
    whoever_declined_is_not_asked_again_by_the_hunt_that_follows,
    all_declined_means_nothing_is_owed_to_who_joined_late,
    putting_one_off_keeps_what_was_done_for_it,
    many_alarms_are_shown_and_pressed_in_portions,
    every_act_tells_who_really_did_it,
);

async fn start(home: Home) -> Server {
    let home = home.set("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS", "120");
    home.set("AUTOCALL_HTTP_PUBLIC_URL", "https://alerts.example.org").start().await
}

async fn raise(server: &Server, summary: &str, phones: &[&str]) -> String {
    server.raise(phones, json!({ "summary": summary, "attempts": 2, "min_interval_seconds": 0 })).await
}

/// The path of a callee's own link.
pub async fn link(server: &Server, alarm: &str, place: usize) -> String {
    let callee = server.alarm(alarm).await["callees"][place]["id"].as_str().unwrap().parse().unwrap();
    let address = server.app.engine.links.address("https://alerts.example.org", callee);
    address.strip_prefix("https://alerts.example.org").unwrap().to_owned()
}

/// The alarms that the form of a button names.
fn named(page: &str, button: &str) -> Vec<String> {
    let Some((_, form)) = page.split_once(&format!("/{button}\">")) else { return Vec::new() };
    let (form, _) = form.split_once("</form>").unwrap();
    form.split("name=\"alarm\" value=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// Presses a button, naming these alarms.
pub async fn press(server: &Server, link: &str, button: &str, alarms: &[String]) -> u16 {
    let body: String =
        form_urlencoded::Serializer::new(String::new()).extend_pairs(alarms.iter().map(|id| ("alarm", id))).finish();
    let http = autocall_tests::http_client().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let request = http.post(format!("{}{link}/{button}", server.base)).header("accept", "text/html");
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    request.sent().await.unwrap().status().as_u16()
}

async fn act(server: &Server, path: &str, body: Value) -> Value {
    let (status, answer) = server.post(path, &body).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

async fn kinds(server: &Server, id: &str) -> Vec<String> {
    let alarm = server.alarm(id).await;
    alarm["timeline"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}

/// The event of a kind, of which there is one.
async fn event(server: &Server, id: &str, kind: &str) -> Value {
    let alarm = server.alarm(id).await;
    let mut events = alarm["timeline"].as_array().unwrap().iter().filter(|event| event["kind"] == kind);
    let event = events.next().unwrap_or_else(|| panic!("no {kind}: {alarm}"))["body"].clone();
    assert!(events.next().is_none(), "several {kind}: {alarm}");
    event
}

async fn a_link_shows_every_alarm_of_the_call_and_takes_what_it_shows(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::App).await;
    let all = [raise(&server, "disk full", &[A, B]).await, raise(&server, "database gone", &[A, B]).await];
    server.app_dial(&desk).await;
    let link = link(&server, &all[0], 0).await;
    let page = server.page(&link).await;
    assert!(page.contains("disk full") && page.contains("database gone"), "every alarm of the call is shown: {page}");
    assert_eq!(named(&page, "take"), all);
    assert_eq!(named(&page, "decline"), all);
    assert_eq!(press(&server, &link, "take", &named(&page, "take")).await, 303);
    for id in &all {
        let alarm = server.alarm(id).await;
        assert_eq!((&alarm["state"], &alarm["answer"]["number"]), (&json!("answered"), &json!(format!("+86{A}"))), "{alarm}");
        assert!(alarm["answer"]["confirmed_at"].is_string());
        assert!(kinds(&server, id).await.contains(&"acknowledged".to_owned()));
        assert_eq!(alarm["answers"].as_array().unwrap().len(), 1);
    }
    let page = server.page(&link).await;
    assert!(named(&page, "take").is_empty() && named(&page, "decline").is_empty(), "{page}");
    assert_eq!(server.outcomes(&all[0]).await, ["superseded"]);
}

async fn cannot_is_said_of_all_that_the_link_shows(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let all = [raise(&server, "disk full", &[A, B]).await, raise(&server, "database gone", &[A, B]).await];
    let link = link(&server, &all[0], 0).await;
    let page = server.page(&link).await;
    assert_eq!(press(&server, &link, "decline", &named(&page, "decline")).await, 303);
    for id in &all {
        assert_eq!(server.alarm(id).await["callees"][0]["verdict"], "declined");
        assert!(kinds(&server, id).await.contains(&"declined".to_owned()));
    }
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [B], "whoever declined what they saw is not rung again for it");
    server.report(&desk, &mid, Some(B)).await;
    assert_eq!((server.state(&all[0]).await, server.state(&all[1]).await), ("answered".to_owned(), "answered".to_owned()));
    server.idle(&desk).await;
}

async fn a_press_that_names_nothing_changes_nothing(home: Home) {
    let server = start(home).await;
    let id = raise(&server, "disk full", &[A, B]).await;
    let link = link(&server, &id, 0).await;
    let before = server.alarm(&id).await;
    for button in ["take", "decline"] {
        assert_eq!(press(&server, &link, button, &[]).await, 303, "an old page is shown again");
        assert_eq!(press(&server, &link, button, &["nonsense".to_owned()]).await, 303);
    }
    assert_eq!(server.alarm(&id).await, before);
}

async fn what_joined_between_opening_and_taking_is_not_taken_unread(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::App).await;
    let seen = raise(&server, "disk full", &[A, B]).await;
    server.app_dial(&desk).await;
    let link = link(&server, &seen, 0).await;
    let page = server.page(&link).await;
    let unseen = raise(&server, "database gone", &[A, B]).await;
    assert!(kinds(&server, &unseen).await.contains(&"joined".to_owned()));
    assert_eq!(press(&server, &link, "take", &named(&page, "take")).await, 303);
    assert_eq!(server.state(&seen).await, "answered");
    assert_eq!(server.state(&unseen).await, "ringing", "nobody has read it");
    let page = server.page(&link).await;
    assert_eq!(named(&page, "take"), std::slice::from_ref(&unseen), "it is shown, and asked again");
    assert!(page.contains("disk full") && page.contains("database gone"));
    assert!(!kinds(&server, &unseen).await.contains(&"acknowledged".to_owned()));
    assert!(server.alarm(&seen).await["answer"]["confirmed_at"].is_string());
    assert_eq!(press(&server, &link, "take", &named(&page, "take")).await, 303);
    assert_eq!(server.state(&unseen).await, "answered");
}

async fn what_joined_between_opening_and_declining_is_rung_for(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let rack = server.pair("rack", Profile::List).await;
    let seen = raise(&server, "disk full", &[A, B]).await;
    let link = link(&server, &seen, 0).await;
    let page = server.page(&link).await;
    let unseen = raise(&server, "database gone", &[A, B]).await;
    assert_eq!(press(&server, &link, "decline", &named(&page, "decline")).await, 303);
    let (mine, other) = (server.alarm(&seen).await, server.alarm(&unseen).await);
    assert_eq!((&mine["callees"][0]["verdict"], &other["callees"][0]["verdict"]), (&json!("declined"), &Value::Null));
    let kinds_of_unseen = kinds(&server, &unseen).await;
    assert!(!kinds_of_unseen.contains(&"declined".to_owned()), "nobody declined it: {kinds_of_unseen:?}");
    assert!(
        kinds_of_unseen.contains(&"parted".to_owned()),
        "its timeline says why it is rung for by itself: {kinds_of_unseen:?}"
    );
    assert!(!kinds(&server, &seen).await.contains(&"parted".to_owned()));
    // B is wanted by both, so one of the two waits for the other call.
    let (first_mid, first) = server.dial(&desk).await;
    let (second_mid, second) = match first.as_slice() == [B] {
        true => server.dial(&rack).await,
        false => (String::new(), Vec::new()),
    };
    let rung: Vec<&str> = first.iter().chain(&second).map(String::as_str).collect();
    assert!(rung.contains(&A), "the alarm that they did not see rings them: {rung:?}");
    server.report(&desk, &first_mid, None).await;
    if !second_mid.is_empty() {
        server.report(&rack, &second_mid, None).await;
    }
    let page = server.page(&link).await;
    assert_eq!(named(&page, "decline"), std::slice::from_ref(&unseen));
    assert_eq!(press(&server, &link, "decline", &named(&page, "decline")).await, 303);
    assert_eq!(server.alarm(&unseen).await["callees"][0]["verdict"], "declined");
    for _ in 0..6 {
        server.pass(1).await;
        let offer = server.get(&desk).await;
        if offer["code"] == 0 {
            assert_eq!(offer["phone"], json!([B]), "only whoever has not declined");
            server.report(&desk, offer["mid"].as_str().unwrap(), None).await;
        }
    }
    assert_eq!((server.state(&seen).await, server.state(&unseen).await), ("no_answer".to_owned(), "no_answer".to_owned()));
}

async fn whoever_picked_up_and_cannot_is_rung_for_what_they_did_not_see(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let seen = raise(&server, "disk full", &[A]).await;
    let (mid, _) = server.dial(&desk).await;
    let link = link(&server, &seen, 0).await;
    let page = server.page(&link).await;
    let unseen = raise(&server, "database gone", &[A]).await;
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(&unseen).await, "answered");
    press(&server, &link, "decline", &named(&page, "decline")).await;
    assert_eq!(server.state(&seen).await, "no_answer", "there is nobody else");
    assert_ne!(server.state(&unseen).await, "answered", "they have not said a word about it");
    assert_eq!(server.dial(&desk).await.1, [A]);
}

async fn an_alarm_that_has_another_hunt_by_now_is_meant_where_it_is(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let all = [raise(&server, "disk full", &[A, B]).await, raise(&server, "database gone", &[A, B]).await];
    let link = link(&server, &all[0], 0).await;
    let page = server.page(&link).await;
    act(&server, &format!("/api/v1/alarms/{}/snooze", all[1]), json!({ "for_seconds": 600 })).await;
    act(&server, &format!("/api/v1/alarms/{}/redial", all[1]), json!({})).await;
    assert_eq!(named(&server.page(&link).await, "decline"), all, "both are theirs still");
    press(&server, &link, "decline", &named(&page, "decline")).await;
    for id in &all {
        assert_eq!(server.alarm(id).await["callees"][0]["verdict"], "declined", "their place in the hunt that it has now");
    }
    for _ in 0..2 {
        let (mid, phones) = server.dial(&desk).await;
        assert_eq!(phones, [B]);
        server.report(&desk, &mid, Some(B)).await;
    }
    server.idle(&desk).await;
    press(&server, &link, "take", &[all[1].clone()]).await;
    assert_eq!(server.alarm(&all[1]).await["answer"]["number"], format!("+86{A}"));
    assert_eq!(server.alarm(&all[0]).await["answer"]["number"], format!("+86{B}"));
}

async fn what_is_over_is_left_out_and_the_rest_is_done(home: Home) {
    let server = start(home).await;
    let all = [
        raise(&server, "disk full", &[A, B]).await,
        raise(&server, "database gone", &[A, B]).await,
        raise(&server, "fan slow", &[A, B]).await,
    ];
    let link = link(&server, &all[0], 0).await;
    let page = server.page(&link).await;
    act(&server, &format!("/api/v1/alarms/{}/cancel", all[0]), json!({})).await;
    let mut names = named(&page, "take");
    names.push("01a1fc4e-a630-77e4-8b85-425a1123605f".to_owned());
    assert_eq!(press(&server, &link, "take", &names).await, 303);
    let states = [server.state(&all[0]).await, server.state(&all[1]).await, server.state(&all[2]).await];
    assert_eq!(states, ["cancelled", "answered", "answered"]);
    assert!(!kinds(&server, &all[0]).await.contains(&"acknowledged".to_owned()));
}

async fn only_alarms_of_the_call_are_meant_by_a_link(home: Home) {
    let server = start(home).await;
    let own = raise(&server, "disk full", &[A, B]).await;
    let foreign = raise(&server, "somebody else's", &[C]).await;
    let link = link(&server, &own, 0).await;
    press(&server, &link, "take", &[own.clone(), foreign.clone()]).await;
    assert_eq!((server.state(&own).await, server.state(&foreign).await), ("answered".to_owned(), "waiting".to_owned()));
}

async fn the_api_means_the_alarm_in_its_path_and_no_other(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let all = [
        raise(&server, "disk full", &[A, B]).await,
        raise(&server, "database gone", &[A, B]).await,
        raise(&server, "fan slow", &[A, B]).await,
    ];
    let callee = server.alarm(&all[0]).await["callees"][0]["id"].as_str().unwrap().to_owned();
    act(&server, &format!("/api/v1/alarms/{}/callees/{callee}/decline", all[0]), json!({})).await;
    let verdict = async |id: &str| server.alarm(id).await["callees"][0]["verdict"].clone();
    assert_eq!((verdict(&all[0]).await, verdict(&all[1]).await), (json!("declined"), Value::Null));
    act(&server, &format!("/api/v1/alarms/{}/cancel", all[0]), json!({})).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A, B]);
    server.report(&desk, &mid, Some(A)).await;
    act(&server, &format!("/api/v1/alarms/{}/acknowledge", all[1]), json!({ "number": A })).await;
    let (one, other) = (server.alarm(&all[1]).await, server.alarm(&all[2]).await);
    assert!(one["answer"]["confirmed_at"].is_string() && other["answer"]["confirmed_at"].is_null(), "{one}\n{other}");
    assert_eq!(one["answer"]["via"], "handset", "it is the answer that they had given");
    assert_eq!(one["answers"].as_array().unwrap().len(), 1, "{one}");
    assert_eq!(other["state"], "answered");
}

async fn a_key_press_covers_what_was_in_the_call_when_it_was_handed_out(home: Home) {
    let server = start(home).await;
    let pixel = server.pair("pixel", Profile::Native).await;
    let seen = raise(&server, "disk full", &[A]).await;
    let offer = native::poll(&server, &pixel).await;
    server.pass(5).await;
    let unseen = raise(&server, "database gone", &[A]).await;
    let calls = json!([{ "number": A, "outcome": "answered", "confirmed": true }]);
    native::report(&server, &pixel, &offer["mid"], "", calls).await;
    assert_eq!(server.state(&seen).await, "answered");
    assert_ne!(server.state(&unseen).await, "answered", "it was not in what they confirmed");
    assert!(kinds(&server, &unseen).await.contains(&"redialled".to_owned()));
    server.pass(1).await;
    assert_eq!(native::poll(&server, &pixel).await["phone"], json!([A]), "it is rung on");
}

async fn declining_by_a_key_press_covers_the_same(home: Home) {
    let server = start(home).await;
    let pixel = server.pair("pixel", Profile::Native).await;
    let seen = raise(&server, "disk full", &[A, B]).await;
    let offer = native::poll(&server, &pixel).await;
    assert_eq!(offer["phone"], json!([A]));
    server.pass(5).await;
    let unseen = raise(&server, "database gone", &[A, B]).await;
    let calls = json!([{ "number": A, "outcome": "answered", "declined": true }]);
    native::report(&server, &pixel, &offer["mid"], "", calls).await;
    let verdict = async |id: &str| server.alarm(id).await["callees"][0]["verdict"].clone();
    assert_eq!((verdict(&seen).await, verdict(&unseen).await), (json!("declined"), Value::Null));
}

async fn whoever_declined_is_not_asked_again_by_the_hunt_that_follows(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let step = |who: &[&str]| {
        let ring: Vec<Value> = who.iter().map(|who| json!({ "number": who })).collect();
        json!({ "ring": ring, "attempts": 1, "min_interval_seconds": 0 })
    };
    server.put("/api/v1/policies/ops", &json!({ "steps": [step(&[A, B]), step(&[A, C])] })).await;
    let first = server.raise(&[], json!({ "policy": "ops" })).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A, B]);
    server.pass(1).await;
    let late = server.raise(&[], json!({ "policy": "ops" })).await;
    assert!(kinds(&server, &late).await.contains(&"joined".to_owned()));
    let link = link(&server, &first, 0).await;
    let page = server.page(&link).await;
    assert_eq!(named(&page, "decline"), [first.clone(), late.clone()]);
    press(&server, &link, "decline", &named(&page, "decline")).await;
    server.report(&desk, &mid, None).await;
    // The late one is owed all the calls, but for those to whoever said no to it.
    let mut rung = Vec::new();
    for _ in 0..8 {
        server.pass(1).await;
        let offer = server.get(&desk).await;
        if offer["code"] == 0 {
            rung.push(offer["phone"].clone());
            server.report(&desk, offer["mid"].as_str().unwrap(), None).await;
        }
    }
    assert_eq!(rung, [json!([C]), json!([B]), json!([C])]);
    assert_eq!((server.state(&first).await, server.state(&late).await), ("no_answer".to_owned(), "no_answer".to_owned()));
    act(&server, &format!("/api/v1/alarms/{late}/redial"), json!({})).await;
    assert_eq!(server.dial(&desk).await.1, [A, B], "a person who asks for everybody gets everybody");
}

async fn all_declined_means_nothing_is_owed_to_who_joined_late(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let first = raise(&server, "disk full", &[A]).await;
    let (mid, _) = server.dial(&desk).await;
    server.pass(1).await;
    let late = raise(&server, "database gone", &[A]).await;
    let link = link(&server, &first, 0).await;
    let page = server.page(&link).await;
    press(&server, &link, "decline", &named(&page, "decline")).await;
    server.report(&desk, &mid, None).await;
    for id in [&first, &late] {
        let alarm = server.alarm(id).await;
        assert_eq!((&alarm["state"], &alarm["reason"]), (&json!("no_answer"), &json!("all_declined")), "{alarm}");
    }
    server.pass(100).await;
    server.idle(&desk).await;
}

async fn putting_one_off_keeps_what_was_done_for_it(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let all = [raise(&server, "disk full", &[A, B]).await, raise(&server, "database gone", &[A, B]).await];
    let link = link(&server, &all[0], 0).await;
    press(&server, &link, "decline", &all).await;
    act(&server, &format!("/api/v1/alarms/{}/snooze", all[1]), json!({ "for_seconds": 60 })).await;
    act(&server, &format!("/api/v1/alarms/{}/cancel", all[0]), json!({})).await;
    server.pass(60).await;
    assert_eq!(server.dial(&desk).await.1, [B], "whoever declined it is not rung when it wakes");
    assert_eq!(server.alarm(&all[1]).await["callees"][0]["verdict"], "declined");
}

async fn many_alarms_are_shown_and_pressed_in_portions(home: Home) {
    let server = start(home).await;
    let mut all = Vec::new();
    for number in 0..230 {
        all.push(raise(&server, &format!("disk {number}"), &[A, B]).await);
    }
    let link = link(&server, &all[0], 0).await;
    let page = server.page(&link).await;
    let shown = named(&page, "take");
    assert_eq!(shown.len(), 200);
    assert!(page.contains(">30 more"), "how many are not shown is said: {page}");
    assert_eq!(press(&server, &link, "take", &shown).await, 303);
    let mut answered = 0;
    for id in &all {
        answered += usize::from(server.state(id).await == "answered");
    }
    assert_eq!(answered, 200, "exactly what was shown");
    assert_eq!(named(&server.page(&link).await, "take").len(), 30);
}

async fn every_act_tells_who_really_did_it(home: Home) {
    let server = start(home).await;
    let key = crate::senders::key_that_may(&server, "grafana", &[], "operate").await;
    let id = raise(&server, "disk full", &[A, B, C]).await;
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let post = async |path: &str, body: Value| {
        let request = http.post(format!("{}/api/v1/alarms/{id}/{path}", server.base)).bearer_auth(&key).json(&body);
        assert_eq!(request.sent().await.unwrap().status(), 200, "{path}");
    };
    let callees = server.alarm(&id).await["callees"].clone();
    post("notes", json!({ "text": "seen", "by": "Ann" })).await;
    post(&format!("callees/{}/skip", callees[2]["id"].as_str().unwrap()), json!({ "by": "Ann" })).await;
    post(&format!("callees/{}/decline", callees[1]["id"].as_str().unwrap()), json!({})).await;
    post("snooze", json!({ "for_seconds": 60, "by": "Ann" })).await;
    post("redial", json!({})).await;
    post("acknowledge", json!({ "name": "Ann" })).await;
    post("cancel", json!({ "by": "Ann" })).await;
    let by_key = json!({ "kind": "key", "name": "grafana" });
    for kind in ["noted", "skipped", "declined", "snoozed", "redialled", "acknowledged", "cancelled"] {
        let body = event(&server, &id, kind).await;
        assert_eq!(body["done_by"], by_key, "{kind}: {body}");
    }
    assert_eq!(event(&server, &id, "cancelled").await["by"], "Ann", "what the request says stands beside it");
    let id = raise(&server, "database gone", &[A]).await;
    let link = link(&server, &id, 0).await;
    press(&server, &link, "take", std::slice::from_ref(&id)).await;
    assert_eq!(event(&server, &id, "acknowledged").await["done_by"], json!({ "kind": "link" }));
    act(&server, &format!("/api/v1/alarms/{id}/cancel"), json!({ "by": "Ann" })).await;
    let open = json!({ "kind": "open_network", "address": "127.0.0.1" });
    assert_eq!(event(&server, &id, "cancelled").await["done_by"], open);
}
