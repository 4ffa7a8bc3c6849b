//! Records of calls: one for each number of each dial, completed by whatever is heard of it, and what stays of them; and numeric ids.

use autocall::engine::watch::retention;
use autocall::store::Store;
use autocall::store::watch::handsets::Profile;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::harness::{A, B, C, Home, Server, on_both};
use crate::keeping::{back_up, restore};
use crate::native::{poll, report, send};
use crate::speaking::speaker;

on_both!(
    a_call_that_was_answered,
    a_call_that_nobody_answered,
    of_the_stock_app_the_end_is_known,
    a_number_after_the_one_that_answered_is_not_dialled,
    a_copied_list_says_how_often_it_holds_a_number,
    a_call_that_nobody_reported_and_then_a_late_report,
    a_cancelled_call_and_then_its_report,
    a_superseded_call_keeps_its_talk,
    a_key_without_a_report,
    a_key_and_then_its_report,
    a_handset_that_guesses,
    a_call_that_failed_says_why,
    what_another_version_wrote_keeps_no_answer_away,
    a_test_call_is_none_of_an_alarm,
    a_dry_run_calls_nobody,
    what_is_asked_for,
    a_record_stands_by_itself,
    numeric_ids_are_never_given_again,
    tables_that_were_copied_go_on_behind_what_they_hold,
    people_and_unknown_numbers_share_a_sequence,
);

/// The records of an alarm's calls, oldest first, in the order of their lists.
async fn records(server: &Server, alarm: &str) -> Vec<Value> {
    let all = server.items(&format!("/api/v1/call-records?alarm_id={alarm}")).await;
    all.as_array().unwrap().iter().rev().cloned().collect()
}

async fn only_record(server: &Server, alarm: &str) -> Value {
    let all = records(server, alarm).await;
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].clone()
}

/// What of a record is asked for.
fn of<const N: usize>(record: &Value, names: [&str; N]) -> Value {
    names.iter().map(|name| record[*name].clone()).collect()
}

/// An instant of a record in seconds from its hand-out, and how it is known.
fn moment(record: &Value, step: &str) -> Value {
    let at = |name: &str| record[name].as_str().map(|at| at.parse::<DateTime<Utc>>().unwrap());
    let offered = at("offered_at").unwrap();
    let seconds = at(&format!("{step}_at")).map(|at| (at - offered).num_seconds());
    json!([seconds, record[format!("{step}_known")]])
}

fn moments(record: &Value) -> Value {
    ["dialled", "alerting", "connected", "ended"].iter().map(|step| moment(record, step)).collect()
}

fn none() -> Value {
    json!([null, "none"])
}

async fn progress(server: &Server, mid: &Value, number: &str, state: &str) -> Value {
    let path = format!("/h/trunk/progress?mid={}", mid.as_str().unwrap());
    send(server, "POST", &path, Some(json!({ "number": number, "state": state }))).await
}

async fn press(server: &Server, mid: &Value, number: &str, key: &str, action: &str) {
    let path = format!("/h/trunk/progress?mid={}", mid.as_str().unwrap());
    let body = json!({ "number": number, "state": "connected", "event": "key", "key": key, "action": action, "seq": 1 });
    send(server, "POST", &path, Some(body)).await;
}

fn after(server: &Server, seconds: i64) {
    server.home.clock.advance(TimeDelta::seconds(seconds));
}

/// A call of 10 s, as a handset measures it that rang for 3 s.
fn measured(number: &str) -> Value {
    json!([{
        "number": number, "outcome": "answered", "confirmed": true, "keys": "1", "action": "accept", "machine": "human", "talk_seconds": 10,
        "ended_by": "callee", "alerting_ms": 2000, "connected_ms": 5000, "ended_ms": 15_000, "cause": { "sip": 200, "q850": 16, "text": "OK" },
    }])
}

async fn a_call_that_was_answered(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let person = json!({ "name": "Li Na", "numbers": [A] });
    assert_eq!(server.post("/api/v1/people", &person).await.0, 201);
    let id = server.raise(&[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    let mid = &offer["mid"];
    let record = only_record(&server, &id).await;
    assert_eq!(of(&record, ["outcome", "talk_seconds", "ended_by", "reported_at"]), json!(["unknown", null, null, null]));
    assert_eq!(moments(&record), json!([none(), none(), none(), none()]), "nothing was heard of it");
    after(&server, 2);
    progress(&server, mid, A, "dialling").await;
    after(&server, 3);
    progress(&server, mid, A, "alerting").await;
    let record = only_record(&server, &id).await;
    assert_eq!(moments(&record), json!([[2, "said"], [5, "said"], none(), none()]), "{record}");
    after(&server, 13);
    report(&server, &trunk, mid, &format!("&resp={A}"), measured(A)).await;
    let record = only_record(&server, &id).await;
    assert_eq!(moments(&record), json!([[2, "exact"], [4, "exact"], [7, "exact"], [17, "exact"]]), "{record}");
    let alarm = server.alarm(&id).await;
    assert_eq!(of(&record, ["kind", "origin", "direction", "alarm_id"]), json!(["alarm", "dial", "outgoing", id]));
    assert_eq!(of(&record, ["alarm_number", "callee_id"]), json!([alarm["alarm_number"], alarm["callees"][0]["id"]]));
    assert_eq!(of(&record, ["name", "phone_number", "dialled_number"]), json!(["Li Na", "+8618712345678", A]));
    assert_eq!((&record["person"]["name"], &record["dialled_by"]["name"]), (&json!("Li Na"), &json!("trunk")));
    assert_eq!(of(&record, ["channel", "place", "passes", "offered_known"]), json!([1, 0, 1, "exact"]));
    assert_eq!(of(&record, ["outcome", "ended_by", "keys", "action"]), json!(["answered", "callee", "1", "accept"]));
    assert_eq!(of(&record, ["machine", "talk_seconds"]), json!(["human", 10]));
    assert_eq!(record["cause"], json!({ "sip": 200, "q850": 16, "text": "OK", "detail": null }));
    assert_eq!(record["mid"], mid.as_str().unwrap()[..8], "a whole mid opens something");
    assert_eq!(server.get(&format!("/api/v1/call-records/{}", record["id"])).await, record);
    report(&server, &trunk, mid, &format!("&resp={A}"), measured(A)).await;
    progress(&server, mid, A, "connected").await;
    assert_eq!(only_record(&server, &id).await, record, "what is told again changes nothing");
}

async fn a_call_that_nobody_answered(home: Home) {
    let server = home.start().await;
    let pixel = server.pair("trunk", Profile::Native).await;
    let id = server.raise(&[A], json!({ "attempts": 2 })).await;
    let offer = poll(&server, &pixel).await;
    after(&server, 41);
    let rang = json!([{ "number": A, "outcome": "no_answer", "ended_by": "us", "alerting_ms": 1000, "ended_ms": 40_000, "talk_seconds": 0 }]);
    report(&server, &pixel, &offer["mid"], "", rang).await;
    let record = only_record(&server, &id).await;
    assert_eq!(moments(&record), json!([[1, "exact"], [2, "exact"], none(), [41, "exact"]]), "{record}");
    assert_eq!(of(&record, ["outcome", "ended_by", "talk_seconds"]), json!(["no_answer", "us", 0]));
    after(&server, 60);
    poll(&server, &pixel).await;
    assert_eq!(records(&server, &id).await.len(), 2, "one for each call");
}

async fn of_the_stock_app_the_end_is_known(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({})).await;
    let (mid, _) = server.app_dial(&desk).await;
    after(&server, 30);
    server.report(&desk, &mid, Some(A)).await;
    let record = only_record(&server, &id).await;
    assert_eq!(moments(&record), json!([none(), none(), none(), [30, "said"]]), "nothing is invented");
    assert_eq!(of(&record, ["outcome", "talk_seconds", "keys", "machine"]), json!(["answered", null, null, null]));
    let id = server.raise(&[B], json!({ "attempts": 1 })).await;
    after(&server, 80);
    let (mid, _) = server.app_dial(&desk).await;
    after(&server, 60);
    server.report(&desk, &mid, None).await;
    let record = only_record(&server, &id).await;
    assert_eq!(of(&record, ["outcome", "talk_seconds"]), json!(["no_answer", 0]));
    // It says nobody too early at times.
    server.report(&desk, &mid, Some(B)).await;
    assert_eq!(only_record(&server, &id).await["outcome"], "answered");
}

async fn a_number_after_the_one_that_answered_is_not_dialled(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A, B, C], json!({})).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A, B, C]);
    assert_eq!(records(&server, &id).await.len(), 3);
    after(&server, 70);
    server.report(&desk, &mid, Some(B)).await;
    let all = records(&server, &id).await;
    let told: Vec<Value> = all.iter().map(|record| of(record, ["place", "dialled_number", "outcome", "talk_seconds"])).collect();
    let expected = [json!([0, A, "no_answer", 0]), json!([1, B, "answered", null]), json!([2, C, "not_dialled", 0])];
    assert_eq!(told, expected);
    let ends: Vec<Value> = all.iter().map(|record| moment(record, "ended")).collect();
    assert_eq!(ends, [none(), json!([70, "said"]), none()], "of the others nobody said when");
}

async fn a_copied_list_says_how_often_it_holds_a_number(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::Repeat).await;
    let id = server.raise(&[A, B], json!({ "attempts": 2, "min_interval_seconds": 0 })).await;
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A, B, A, B]);
    server.report(&desk, &mid, Some(A)).await;
    let all = records(&server, &id).await;
    let told: Vec<Value> = all.iter().map(|record| of(record, ["place", "passes", "dialled_number", "outcome"])).collect();
    assert_eq!(told, [json!([0, 2, A, "answered"]), json!([1, 2, B, "unknown"])], "nobody knows in which pass");
}

async fn a_call_that_nobody_reported_and_then_a_late_report(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let offer = poll(&server, &trunk).await;
    server.pass(181).await;
    assert_eq!(server.outcomes(&id).await, ["expired"]);
    let record = only_record(&server, &id).await;
    assert_eq!(of(&record, ["outcome", "talk_seconds", "reported_at"]), json!(["unknown", null, null]));
    after(&server, 3600);
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), measured(A)).await;
    let record = only_record(&server, &id).await;
    assert_eq!(of(&record, ["outcome", "talk_seconds", "keys"]), json!(["answered", 10, "1"]));
    let expected = json!([[0, "said"], [2, "said"], [5, "said"], [15, "said"]]);
    assert_eq!(moments(&record), expected, "it happened when it happened, and not when its handset could say so");
    assert!(record["reported_at"].is_string());
}

async fn a_cancelled_call_and_then_its_report(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    let mid = &offer["mid"];
    progress(&server, mid, A, "dialling").await;
    server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
    assert_eq!(server.outcomes(&id).await, ["cancelled"]);
    after(&server, 4);
    assert_eq!(progress(&server, mid, A, "alerting").await["code"], 2);
    after(&server, 4);
    let rang = json!([{ "number": A, "outcome": "no_answer", "ended_by": "us", "ended_ms": 7000 }]);
    report(&server, &trunk, mid, "", rang).await;
    let record = only_record(&server, &id).await;
    assert_eq!(of(&record, ["outcome", "ended_by"]), json!(["no_answer", "us"]));
    assert_eq!(moments(&record), json!([[0, "exact"], [4, "said"], none(), [7, "exact"]]), "{record}");
}

async fn a_superseded_call_keeps_its_talk(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    let mid = &offer["mid"];
    progress(&server, mid, A, "dialling").await;
    server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &json!({ "name": "Li Na" })).await;
    assert_eq!(server.outcomes(&id).await, ["superseded"]);
    after(&server, 15);
    report(&server, &trunk, mid, &format!("&resp={A}"), measured(A)).await;
    let record = only_record(&server, &id).await;
    assert_eq!(of(&record, ["outcome", "talk_seconds"]), json!(["answered", 10]));
    assert_eq!(moments(&record), json!([[0, "exact"], [2, "exact"], [5, "exact"], [15, "exact"]]));
}

async fn a_key_without_a_report(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let offer = poll(&server, &trunk).await;
    after(&server, 9);
    press(&server, &offer["mid"], A, "2", "decline").await;
    server.pass(181).await;
    assert_eq!(server.outcomes(&id).await, ["nobody"]);
    let record = only_record(&server, &id).await;
    assert_eq!(of(&record, ["outcome", "keys", "action", "talk_seconds"]), json!(["answered", "2", "decline", null]));
    assert_eq!(moment(&record, "connected"), json!([9, "said"]), "nobody presses a key who has not picked up");
    assert!(record["reported_at"].is_null());
}

async fn a_key_and_then_its_report(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    let mid = &offer["mid"];
    after(&server, 6);
    press(&server, mid, A, "1", "accept").await;
    press(&server, mid, A, "1", "accept").await;
    assert_eq!(of(&only_record(&server, &id).await, ["outcome", "keys", "action"]), json!(["answered", "1", "accept"]));
    after(&server, 10);
    for _ in 0..2 {
        report(&server, &trunk, mid, &format!("&resp={A}"), measured(A)).await;
    }
    let record = only_record(&server, &id).await;
    assert_eq!(of(&record, ["outcome", "keys", "action", "talk_seconds"]), json!(["answered", "1", "accept", 10]));
    assert_eq!(moments(&record), json!([[1, "exact"], [3, "exact"], [6, "exact"], [16, "exact"]]), "{record}");
}

async fn a_handset_that_guesses(home: Home) {
    let server = home.start().await;
    let trunk = server.pair("trunk", Profile::Native).await;
    send(&server, "POST", "/h/trunk/status", Some(json!({ "answer_detection": "early" }))).await;
    let id = server.raise(&[A], json!({})).await;
    let offer = poll(&server, &trunk).await;
    after(&server, 15);
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), measured(A)).await;
    let known = of(&only_record(&server, &id).await, ["dialled_known", "alerting_known", "connected_known", "ended_known"]);
    assert_eq!(known, json!(["exact", "exact", "said", "exact"]));
}

async fn a_call_that_failed_says_why(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let offer = poll(&server, &trunk).await;
    let cause = json!({ "sip": 404, "q850": 1, "text": "Not\nFound" });
    let failed = json!([{ "number": A, "outcome": "failed", "detail": "bad_number", "cause": cause, "ended_by": "network" }]);
    report(&server, &trunk, &offer["mid"], "", failed).await;
    let record = only_record(&server, &id).await;
    assert_eq!(of(&record, ["outcome", "ended_by", "talk_seconds"]), json!(["failed", "network", 0]));
    assert_eq!(record["cause"], json!({ "sip": 404, "q850": 1, "text": "NotFound", "detail": "bad_number" }));
}

async fn what_another_version_wrote_keeps_no_answer_away(home: Home) {
    let server = home.start().await;
    let trunk = speaker(&server, "trunk").await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let offer = poll(&server, &trunk).await;
    server.run_sql(vec!["UPDATE call_records SET heard = '{\"outcome\":\"levitated\"}'".to_owned()]).await;
    let said = json!([{ "number": A, "outcome": "answered", "confirmed": true, "action": "accept" }]);
    report(&server, &trunk, &offer["mid"], &format!("&resp={A}"), said).await;
    assert_eq!(server.state(&id).await, "answered");
    assert_eq!(only_record(&server, &id).await["outcome"], "unknown", "its record stays as it is");
}

async fn a_test_call_is_none_of_an_alarm(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let handset = server.app.engine.store.read().await.unwrap().db().handset_by_name("desk").await.unwrap().unwrap();
    server.app.engine.test_call(&handset, "+8618712345678", true).await.unwrap();
    server.dial(&desk).await;
    let all = server.items("/api/v1/call-records").await;
    assert_eq!(all[0]["kind"], "test", "{all}");
    assert_eq!(server.items("/api/v1/call-records?kind=alarm").await, json!([]));
}

async fn a_dry_run_calls_nobody(home: Home) {
    let server = home.start().await;
    let id = server.raise(&[A], json!({ "dry_run": true })).await;
    server.pass(1).await;
    assert_eq!(server.outcomes(&id).await, ["open"]);
    assert_eq!(records(&server, &id).await, Vec::<Value>::new());
}

async fn what_is_asked_for(home: Home) {
    let server = home.start().await;
    let (desk, pixel) = (server.pair("desk", Profile::List).await, server.pair("pixel", Profile::Native).await);
    server.post("/api/v1/people", &json!({ "name": "Li Na", "numbers": [A] })).await;
    let first = server.raise(&[A], json!({ "attempts": 1 })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    after(&server, 3600);
    let second = server.raise(&[B], json!({ "attempts": 1 })).await;
    let offer = poll(&server, &pixel).await;
    report(&server, &pixel, &offer["mid"], "", json!([{ "number": B, "outcome": "busy" }])).await;
    let (of_first, of_second) = (only_record(&server, &first).await, only_record(&server, &second).await);
    let person = of_first["person"]["id"].as_str().unwrap();
    for (query, expected) in [
        (String::new(), vec![&of_second, &of_first]),
        ("?person=Li%20Na".to_owned(), vec![&of_first]),
        (format!("?person={person}"), vec![&of_first]),
        (format!("?phone_number={B}"), vec![&of_second]),
        ("?phone_number=+8618812345678".to_owned(), vec![&of_second]),
        ("?dialled_by=desk".to_owned(), vec![&of_first]),
        (format!("?dialled_by={}", of_second["dialled_by"]["id"].as_str().unwrap()), vec![&of_second]),
        ("?outcome=busy".to_owned(), vec![&of_second]),
        ("?outcome=busy&outcome=answered&dialled_by=desk".to_owned(), vec![&of_first]),
        ("?kind=test".to_owned(), vec![]),
        (format!("?alarm_id={first}&alarm_id={second}"), vec![&of_second, &of_first]),
        ("?starts_at=2026-11-20T03:30:00Z".to_owned(), vec![&of_second]),
        ("?ends_at=2026-11-20T03:30:00Z".to_owned(), vec![&of_first]),
    ] {
        let found = server.items(&format!("/api/v1/call-records{query}")).await;
        assert_eq!(found.as_array().unwrap().iter().collect::<Vec<_>>(), expected, "{query}");
    }
    for (query, parameter) in [
        ("person=nobody", "person"),
        ("dialled_by=nobody", "dialled_by"),
        ("phone_number=x", "phone_number"),
        ("alarm_id=7", "alarm_id"),
        ("outcome=fine", "outcome"),
        ("kind=fax", "kind"),
        ("starts_at=soon", "starts_at"),
        ("cursor=OQ", "cursor"),
    ] {
        let refused = server.get(&format!("/api/v1/call-records?{query}")).await;
        assert_eq!(refused["errors"][0]["parameter"], parameter, "{refused}");
    }
    for unknown in ["0", "x", "-1", "99999999999999999999"] {
        assert_eq!(server.get(&format!("/api/v1/call-records/{unknown}")).await["code"], "not_found");
    }
}

async fn a_record_stands_by_itself(home: Home) {
    let server = home.set("AUTOCALL_RECORDS_KEEP_DAYS", "10").start().await;
    let desk = server.pair("desk", Profile::List).await;
    server.post("/api/v1/people", &json!({ "name": "Li Na", "numbers": [A] })).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    let before = only_record(&server, &id).await;
    server.pass(5 * 86_400).await;
    assert_eq!(retention::prune(&server.app.engine.store, server.now() - TimeDelta::days(1)).await.unwrap(), 1);
    assert_eq!(server.alarm(&id).await["code"], "not_found");
    assert_eq!(only_record(&server, &id).await, before, "with all that it says");
    assert_eq!(server.delete("/api/v1/people/Li%20Na").await, 204);
    let after = only_record(&server, &id).await;
    assert_eq!(of(&after, ["person", "name", "outcome"]), json!([null, "Li Na", "answered"]), "as answers do");
    server.app.engine.forget_old().await.unwrap();
    assert_eq!(records(&server, &id).await.len(), 1);
    server.pass(6 * 86_400).await;
    server.app.engine.forget_old().await.unwrap();
    assert_eq!(records(&server, &id).await, Vec::<Value>::new(), "its days are over");
}

/// Calls A, and gives the id of the record.
async fn call(server: &Server, desk: &str) -> i64 {
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let (mid, _) = server.dial(desk).await;
    server.report(desk, &mid, Some(A)).await;
    only_record(server, &id).await["id"].as_i64().unwrap()
}

async fn numeric_ids_are_never_given_again(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let first = call(&server, &desk).await;
    let backup = back_up(&server.home).await;
    after(&server, 60);
    let (lost, newest) = (call(&server, &desk).await, call(&server, &desk).await);
    assert!(first < lost && lost < newest);
    let home = server.stop().await;
    restore(&home, &backup).await;
    let restored = home.start().await;
    let next = call(&restored, &desk).await;
    assert!(next > newest, "others may hold what was given since the backup: {next} after {newest}");
    // The newest are gone.
    restored.run_sql(vec!["DELETE FROM call_records".to_owned()]).await;
    let after_all = call(&restored, &desk).await;
    assert!(after_all > next, "{after_all}");
    restored.run_sql(vec!["DELETE FROM call_records".to_owned()]).await;
    let started_again = restored.restart().await;
    assert!(call(&started_again, &desk).await > after_all);
}

async fn tables_that_were_copied_go_on_behind_what_they_hold(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    // Of the records the newest were gone when they were copied; of the contacts they were not.
    server
        .run_sql(vec![
            "UPDATE identities SET reached = 5000 WHERE name = 'call_records'".to_owned(),
            "INSERT INTO contacts (id, number) VALUES (900, '+8613300001111')".to_owned(),
        ])
        .await;
    let server = server.restart().await;
    assert!(call(&server, &desk).await > 5000);
    assert!(contact(&server.app.engine.store, B).await > 900);
}

async fn contact(store: &Store, number: &str) -> i64 {
    let mut tx = store.begin().await.unwrap();
    let id = tx.db().contact_of_number(number).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn people_and_unknown_numbers_share_a_sequence(home: Home) {
    let server = home.start().await;
    let store = &server.app.engine.store;
    server.post("/api/v1/people", &json!({ "name": "Li Na", "numbers": [A] })).await;
    let person = store.read().await.unwrap().db().person_by_name("Li Na").await.unwrap().unwrap().id;
    let (stranger, li_na) = (contact(store, "+8618812345678").await, contact(store, "+8618712345678").await);
    assert!(li_na > stranger);
    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.db().contact_of_person(person).await.unwrap(), li_na, "by her number or her name");
    let whose = tx.db().contact_with_id(stranger).await.unwrap().unwrap();
    assert_eq!((whose.person_id, whose.number.as_deref()), (None, Some("+8618812345678")));
    tx.commit().await.unwrap();
    assert_eq!(contact(store, "+8618812345678").await, stranger, "asked again it is the same");
    // Who comes again after a removal is somebody else.
    assert_eq!(server.delete("/api/v1/people/Li%20Na").await, 204);
    assert_eq!(store.read().await.unwrap().db().contact_with_id(li_na).await.unwrap(), None);
    server.post("/api/v1/people", &json!({ "name": "Li Na", "numbers": [A] })).await;
    assert!(contact(store, "+8618712345678").await > li_na);
}
