//! Storms: alarms for the same people are rung for together, each keeps what it is owed; teams take turns; quiet hours.

use std::collections::BTreeSet;

use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::harness::{A, B, C, Home, Server, on_both};
use crate::roster::people;

on_both!(
    a_storm_of_300_with_a_critical_one_in_the_middle,
    cancelling_one_does_not_stop_the_others,
    the_last_one_cancelled_stops_the_ringing,
    who_joins_late_gets_all_the_calls,
    an_answer_to_a_call_that_was_over_does_not_count_for_who_joined_later,
    an_alarm_that_overtook_the_report_of_a_call_is_rung_for,
    everybody_is_rung_for_an_alarm_that_overtook_a_report,
    only_the_same_people_within_the_window_join,
    after_somebody_answered_nobody_joins,
    putting_one_off_leaves_the_others_ringing,
    two_nodes_join_alarms_that_come_at_once,
    teams_take_turns,
    low_waits_for_the_morning_and_critical_does_not,
    quiet_hours_begin_before_a_handset_comes,
    quiet_hours_that_make_no_sense_change_nothing,
    taking_one_leaves_the_others_ringing,
    a_policy_does_not_climb_while_its_people_have_quiet_hours,
    a_repeat_that_is_more_urgent_rings_through_quiet_hours,
    a_queue_whose_people_are_busy_loses_its_turn,
    taking_one_that_nobody_answered_leaves_the_others,
    who_declined_one_is_rung_for_the_next,
    who_was_rung_a_moment_ago_is_not_rung_at_once_by_the_next_hunt,
);

async fn start(home: Home) -> Server {
    home.set("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS", "120").start().await
}

async fn kinds(server: &Server, id: &str) -> Vec<String> {
    let alarm = server.alarm(id).await;
    alarm["timeline"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}

async fn a_storm_of_300_with_a_critical_one_in_the_middle(home: Home) {
    let server = start(home).await;
    let (desk, rack) = (server.pair("desk", Profile::App).await, server.pair("rack", Profile::App).await);
    let mut all = Vec::new();
    for number in 0..150 {
        all.push(server.raise(&[A, B], json!({ "summary": format!("disk {number}") })).await);
    }
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [A]);
    let critical = server.raise(&[A, B], json!({ "priority": "critical" })).await;
    let other = server.raise(&[C], json!({})).await;
    for number in 150..300 {
        all.push(server.raise(&[A, B], json!({ "summary": format!("disk {number}") })).await);
    }
    assert_eq!(server.app_dial(&rack).await.1, [C], "another team's alarm is next, not the 300th of this one");
    server.report(&desk, &mid, Some(A)).await;
    for id in all.iter().chain([&critical]) {
        let alarm = server.alarm(id).await;
        assert_eq!((&alarm["state"], &alarm["answer"]["number"]), (&json!("answered"), &json!(format!("+86{A}"))), "{alarm}");
        assert_eq!(alarm["dials"].as_array().unwrap().len(), 1, "one call for all of them");
    }
    assert_eq!(server.state(&other).await, "ringing");
    let listed = server.get("/api/v1/alarms?limit=200&state=answered").await;
    assert_eq!(listed["alarms"].as_array().unwrap().len(), 200, "nothing is hidden");
}

async fn cancelling_one_does_not_stop_the_others(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let (first, second) = (server.raise(&[A, B], json!({})).await, server.raise(&[A, B], json!({})).await);
    let (mid, _) = server.dial(&desk).await;
    let (status, _) = server.post(&format!("/api/v1/alarms/{first}/cancel"), &json!({})).await;
    assert_eq!(status, 200);
    assert_eq!(server.outcomes(&second).await, ["open"]);
    server.report(&desk, &mid, Some(B)).await;
    assert_eq!((server.state(&first).await, server.state(&second).await), ("cancelled".to_owned(), "answered".to_owned()));
}

async fn the_last_one_cancelled_stops_the_ringing(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let both = [server.raise(&[A], json!({})).await, server.raise(&[A], json!({})).await];
    server.dial(&desk).await;
    for id in &both {
        server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
    }
    assert_eq!(server.outcomes(&both[1]).await, ["cancelled"]);
}

async fn who_joins_late_gets_all_the_calls(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let more = json!({ "attempts": 2, "min_interval_seconds": 0 });
    let first = server.raise(&[A], more.clone()).await;
    let (mid, _) = server.dial(&desk).await;
    server.pass(10).await;
    server.report(&desk, &mid, None).await;
    let (mid, _) = server.dial(&desk).await;
    let late = server.raise(&[A], more).await;
    assert_eq!(kinds(&server, &late).await.last().unwrap(), "joined");
    server.report(&desk, &mid, None).await;
    assert_eq!(server.state(&first).await, "no_answer");
    assert_eq!(server.state(&late).await, "waiting", "it was rung for once of two times");
    for _ in 0..2 {
        let (mid, phones) = server.dial(&desk).await;
        assert_eq!(phones, [A]);
        server.report(&desk, &mid, None).await;
    }
    assert_eq!(server.state(&late).await, "no_answer");
    server.idle(&desk).await;
}

async fn an_answer_to_a_call_that_was_over_does_not_count_for_who_joined_later(home: Home) {
    let server = start(home).await;
    let (desk, rack) = (server.pair("desk", Profile::List).await, server.pair("rack", Profile::List).await);
    let more = json!({ "attempts": 3, "min_interval_seconds": 0 });
    let first = server.raise(&[A], more.clone()).await;
    let (mid, _) = server.dial(&desk).await;
    let during = server.raise(&[A], more.clone()).await;
    server.pass(110).await;
    let still_during = server.raise(&[A], more).await;
    server.pass(70).await;
    assert_eq!(server.outcomes(&first).await, ["expired"]);
    // The window is over, so this one is by itself; the answer that comes late is none to it.
    let after = server.raise(&[A], json!({ "attempts": 3, "min_interval_seconds": 0 })).await;
    server.report(&desk, &mid, Some(A)).await;
    for id in [&first, &during, &still_during] {
        assert_eq!(server.state(id).await, "answered");
    }
    assert_ne!(server.state(&after).await, "answered");
    server.pass(75).await;
    assert_eq!(server.dial(&rack).await.1, [A]);
}

/// The report came first and had to wait for the database; the alarm came second and was stored first. What was said in that call
/// cannot have been about it.
async fn an_alarm_that_overtook_the_report_of_a_call_is_rung_for(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let first = server.raise(&[A, B], json!({})).await;
    let (mid, _) = server.dial(&desk).await;
    server.pass(20).await;
    let second = server.raise(&[A, B], json!({})).await;
    assert!(kinds(&server, &second).await.contains(&"joined".to_owned()));
    server.home.clock.advance(TimeDelta::milliseconds(-200));
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(&first).await, "answered");
    assert_eq!(server.state(&second).await, "waiting", "{}", server.alarm(&second).await);
    server.pass(120).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A, B], "it asks for all that it asked for at first");
    server.report(&desk, &mid, Some(B)).await;
    assert_eq!(server.state(&second).await, "answered");
}

async fn everybody_is_rung_for_an_alarm_that_overtook_a_report(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::App).await;
    let everyone = json!({ "until": "everyone" });
    let first = server.raise(&[A, B], everyone.clone()).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.pass(20).await;
    let second = server.raise(&[A, B], everyone).await;
    server.home.clock.advance(TimeDelta::milliseconds(-200));
    server.report(&desk, &mid, Some(A)).await;
    server.pass(80).await;
    let mut rung = Vec::new();
    for _ in 0..3 {
        let (mid, phones) = server.app_dial(&desk).await;
        server.report(&desk, &mid, Some(&phones[0])).await;
        rung.extend(phones);
        server.pass(80).await;
    }
    rung.sort();
    assert_eq!(rung, [A, B, B], "A was told of one of them, B of none");
    assert_eq!((server.state(&first).await, server.state(&second).await), ("answered".to_owned(), "answered".to_owned()));
}

async fn only_the_same_people_within_the_window_join(home: Home) {
    let server = start(home).await;
    let first = server.raise(&[A, B], json!({})).await;
    let others = [
        server.raise(&[B, A], json!({})).await,
        server.raise(&[A], json!({})).await,
        server.raise(&[A, B], json!({ "mode": "parallel" })).await,
        server.raise(&[A, B], json!({ "attempts": 3 })).await,
        server.raise(&[A, B], json!({ "dry_run": true })).await,
    ];
    server.pass(120).await;
    let second = server.raise(&[A, B], json!({})).await;
    server.pass(1).await;
    let third = server.raise(&[A, B], json!({})).await;
    let fourth = server.raise(&[A, B], json!({})).await;
    for id in others.iter().chain([&first]) {
        assert!(!kinds(&server, id).await.contains(&"joined".to_owned()));
    }
    assert!(kinds(&server, &second).await.contains(&"joined".to_owned()));
    assert!(!kinds(&server, &third).await.contains(&"joined".to_owned()), "the window is over");
    assert!(kinds(&server, &fourth).await.contains(&"joined".to_owned()), "a new one began");
}

async fn after_somebody_answered_nobody_joins(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let body = json!({ "confirm_within_seconds": 600 });
    let first = server.raise(&[A], body.clone()).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    let second = server.raise(&[A], body).await;
    assert_eq!(kinds(&server, &second).await, ["raised"], "whoever picked up has not heard of this one");
    assert_eq!(server.state(&first).await, "ringing");
    server.pass(60).await;
    assert_eq!(server.dial(&desk).await.1, [A]);
}

async fn putting_one_off_leaves_the_others_ringing(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let (first, second) = (server.raise(&[A], json!({})).await, server.raise(&[A], json!({})).await);
    let (mid, _) = server.dial(&desk).await;
    server.post(&format!("/api/v1/alarms/{first}/snooze"), &json!({ "for_seconds": 3600 })).await;
    assert_eq!(server.outcomes(&second).await, ["open"]);
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(&second).await, "answered");
    assert_eq!(server.state(&first).await, "waiting");
    server.pass(3600).await;
    assert_eq!(server.dial(&desk).await.1, [A]);
}

async fn two_nodes_join_alarms_that_come_at_once(home: Home) {
    let server = start(home).await;
    let other = match server.home.is_shared() {
        true => Some(server.home.second_node().await),
        false => None,
    };
    let bases = [server.base.clone(), other.as_ref().map_or(server.base.clone(), |node| node.base.clone())];
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let raises = (0..16).map(|number| {
        let request = http.post(format!("{}/api/v1/alarms", bases[number % 2]));
        let body = json!({ "summary": format!("disk {number}"), "phones": [A, B] });
        tokio::spawn(async move {
            let response = request.json(&body).sent().await.unwrap();
            assert_eq!(response.status(), 201);
            response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
        })
    });
    let ids: Vec<String> = futures_all(raises).await;
    let desk = server.pair("desk", Profile::List).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    let mut states = BTreeSet::new();
    for id in &ids {
        states.insert(server.state(id).await);
    }
    assert_eq!(states, BTreeSet::from(["answered".to_owned()]), "one hunt for all of them");
}

async fn futures_all(tasks: impl Iterator<Item = tokio::task::JoinHandle<String>>) -> Vec<String> {
    let tasks: Vec<_> = tasks.collect();
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.unwrap());
    }
    all
}

async fn teams_take_turns(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    // Each for somebody else, so that none joins another.
    for number in 0..50 {
        let phone = format!("139000{number:05}");
        server.raise(&[&phone], json!({ "labels": { "team": "web" }, "attempts": 1 })).await;
    }
    let (mid, _) = server.dial(&desk).await;
    server.pass(1).await;
    server.raise(&[A], json!({ "labels": { "team": "db" }, "attempts": 1 })).await;
    server.report(&desk, &mid, None).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A], "one call of the other team went before, and no more");
    server.pass(1).await;
    server.report(&desk, &mid, None).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, ["13900000001"], "and the other team goes on in its order");
    server.pass(1).await;
    server.raise(&[B], json!({ "labels": { "team": "web" }, "priority": "critical" })).await;
    server.report(&desk, &mid, None).await;
    assert_eq!(server.dial(&desk).await.1, [B], "a more urgent one waits for no turn");
}

async fn quiet(server: &Server, body: Value) {
    let (status, stored) = server.put("/api/v1/quiet-hours", &json!({ "quiet_hours": body })).await;
    assert_eq!(status, 200, "{stored}");
}

async fn low_waits_for_the_morning_and_critical_does_not(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    people(&server).await;
    // It is 11:00 in Shanghai, 22:00 of the day before in New York.
    quiet(&server, json!([{ "person": "Ann", "from": "21:30", "to": "07:00", "zone": "America/New_York", "up_to": "normal" }]))
        .await;
    let low = server.raise(&[A], json!({ "priority": "low" })).await;
    assert_eq!(kinds(&server, &low).await, ["raised", "quiet"]);
    server.idle(&desk).await;
    let both = server.raise(&[A, B], json!({ "attempts": 1 })).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [B], "whoever has none is rung");
    server.report(&desk, &mid, Some(B)).await;
    assert_eq!(server.state(&both).await, "answered");
    // By other rules, or it would join the one that waits, and its answer would count for both.
    let critical = server.raise(&[A], json!({ "priority": "critical", "attempts": 3 })).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A]);
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(&critical).await, "answered");
    server.pass(8 * 3600 + 3599).await;
    server.idle(&desk).await;
    assert_eq!(server.state(&low).await, "waiting", "it did not end for want of a handset");
    server.pass(1).await;
    assert_eq!(server.dial(&desk).await.1, [A], "at seven in New York");
}

async fn quiet_hours_begin_before_a_handset_comes(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    quiet(&server, json!([{ "from": "11:10", "to": "19:00", "zone": "Asia/Shanghai", "up_to": "low" }])).await;
    let id = server.raise(&[A], json!({ "priority": "low" })).await;
    server.pass(600).await;
    server.idle(&desk).await;
    server.pass(4 * 3600).await;
    server.idle(&desk).await;
    assert_eq!(server.state(&id).await, "waiting");
    server.pass(8 * 3600 - 600 - 4 * 3600).await;
    assert_eq!(server.dial(&desk).await.1, [A]);
}

async fn quiet_hours_that_make_no_sense_change_nothing(home: Home) {
    let server = start(home).await;
    quiet(&server, json!([{ "from": "22:00", "to": "07:00", "zone": "Asia/Shanghai", "up_to": "low" }])).await;
    let before = server.get("/api/v1/quiet-hours").await;
    for (change, field) in [
        (json!({ "from": "25:00" }), "quiet_hours[0].from"),
        (json!({ "zone": "Mars" }), "quiet_hours[0].zone"),
        (json!({ "person": "Nobody" }), "quiet_hours[0].person"),
        (json!({ "up_to": "critical" }), "quiet_hours[0].up_to"),
        (json!({ "to": "22:00" }), "quiet_hours[0].to"),
    ] {
        let mut body = before.clone();
        body["quiet_hours"][0].as_object_mut().unwrap().extend(change.as_object().cloned().unwrap());
        let (status, problem) = server.put("/api/v1/quiet-hours", &body).await;
        assert_eq!((status, problem["field"].as_str().unwrap()), (422, field), "{problem}");
    }
    // Each has an end, and together they have none: an alarm would wait for ever.
    let day = json!({ "from": "06:00", "to": "23:00", "zone": "Asia/Shanghai", "up_to": "high" });
    let body = json!({ "quiet_hours": [before["quiet_hours"][0], day] });
    let (status, problem) = server.put("/api/v1/quiet-hours", &body).await;
    assert_eq!((status, problem["field"].as_str().unwrap()), (422, "quiet_hours[0].to"), "{problem}");
    assert_eq!(server.get("/api/v1/quiet-hours").await, before);
}

async fn taking_one_leaves_the_others_ringing(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let (known, unknown) = (server.raise(&[A], json!({})).await, server.raise(&[A], json!({})).await);
    let (status, taken) = server.post(&format!("/api/v1/alarms/{known}/acknowledge"), &json!({ "name": "Lin" })).await;
    assert_eq!((status, &taken["state"]), (200, &json!("answered")));
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A], "nobody has heard of the other one");
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(&unknown).await, "answered");
    assert_eq!(server.alarm(&known).await["answer"]["name"], "Lin");
}

async fn a_policy_does_not_climb_while_its_people_have_quiet_hours(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    quiet(&server, json!([{ "from": "10:00", "to": "19:00", "zone": "Asia/Shanghai", "up_to": "low" }])).await;
    let step = |who: &str| json!({ "ring": [{ "number": who }], "wait_seconds": 180 });
    server.put("/api/v1/policies/ops", &json!({ "steps": [step(A), step(B)] })).await;
    let id = server.raise(&[], json!({ "policy": "ops", "priority": "low" })).await;
    server.pass(8 * 3600).await;
    assert_eq!(server.alarm(&id).await["step"], 0);
    assert_eq!(server.dial(&desk).await.1, [A], "the first ones are rung first, in the evening too");
}

async fn a_repeat_that_is_more_urgent_rings_through_quiet_hours(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    quiet(&server, json!([{ "from": "10:00", "to": "19:00", "zone": "Asia/Shanghai", "up_to": "high" }])).await;
    let body = |priority: &str| json!({ "summary": "disk", "phones": [A], "dedup_key": "disk", "priority": priority });
    let (_, first) = server.post("/api/v1/alarms", &body("low")).await;
    server.idle(&desk).await;
    let (status, repeat) = server.post("/api/v1/alarms", &body("critical")).await;
    assert_eq!((status, &repeat["id"], &repeat["priority"]), (200, &first["id"], &json!("critical")));
    assert_eq!(server.dial(&desk).await.1, [A]);
}

async fn a_queue_whose_people_are_busy_loses_its_turn(home: Home) {
    let server = start(home).await;
    let (desk, rack) = (server.pair("desk", Profile::App).await, server.pair("rack", Profile::List).await);
    let of = |team: &str, attempts: u32| json!({ "labels": { "team": team }, "attempts": attempts });
    // Somebody is in a call for the one team, and the other team was served since.
    server.raise(&[A], of("db", 1)).await;
    server.app_dial(&desk).await;
    server.pass(1).await;
    server.raise(&[C], of("web", 1)).await;
    let (mid, _) = server.dial(&rack).await;
    server.report(&rack, &mid, Some(C)).await;
    // More hunts than one poll looks at, all for who is in the call.
    for attempts in 0..60 {
        server.raise(&[A, &format!("139000{attempts:05}")], of("db", 2)).await;
    }
    server.raise(&[B], of("web", 1)).await;
    server.idle(&rack).await;
    server.pass(6).await;
    assert_eq!(server.dial(&rack).await.1, [B], "the other team is not kept waiting for a line that is busy");
}

async fn taking_one_that_nobody_answered_leaves_the_others(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let mut all = Vec::new();
    for key in ["one", "two", "three"] {
        all.push(server.raise(&[A], json!({ "attempts": 1, "dedup_key": key })).await);
    }
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    assert_eq!(server.state(&all[2]).await, "no_answer");
    server.post(&format!("/api/v1/alarms/{}/acknowledge", all[0]), &json!({ "name": "Lin" })).await;
    let states = [server.state(&all[0]).await, server.state(&all[1]).await, server.state(&all[2]).await];
    assert_eq!(states, ["answered", "no_answer", "no_answer"]);
    server.pass(1000).await;
    server.post("/api/v1/alarms", &json!({ "summary": "x", "phones": [A], "attempts": 1, "dedup_key": "two" })).await;
    assert_eq!(server.dial(&desk).await.1, [A], "its repeats ring");
}

async fn who_declined_one_is_rung_for_the_next(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let first = server.raise(&[A, B], json!({})).await;
    let callee = server.alarm(&first).await["callees"][0]["id"].as_str().unwrap().to_owned();
    server.post(&format!("/api/v1/alarms/{first}/callees/{callee}/decline"), &json!({})).await;
    let second = server.raise(&[A, B], json!({ "priority": "critical" })).await;
    assert_eq!(server.dial(&desk).await.1, [A, B]);
    assert_eq!(server.state(&second).await, "ringing");
}

async fn who_was_rung_a_moment_ago_is_not_rung_at_once_by_the_next_hunt(home: Home) {
    let server = start(home).await;
    let desk = server.pair("desk", Profile::List).await;
    let body = json!({ "attempts": 1, "min_interval_seconds": 60 });
    server.raise(&[A], body.clone()).await;
    let (mid, _) = server.dial(&desk).await;
    server.pass(10).await;
    let second = server.raise(&[A], body).await;
    server.report(&desk, &mid, None).await;
    assert_eq!(server.alarm(&second).await["state"], "waiting", "it joined too late for that call, and is owed one of its own");
    server.idle(&desk).await;
    server.pass(51).await;
    assert_eq!(server.dial(&desk).await.1, [A]);
}
