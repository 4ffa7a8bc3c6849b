//! Who is rung, when, and how it ends.

use autocall::store::watch::handsets::Profile;
use serde_json::json;

use crate::harness::{A, B, C, Home, on_both};

on_both!(
    two_handsets_and_two_alarms_for_one_engineer,
    a_critical_alarm_does_not_wait_for_a_busy_number,
    parallel_on_one_handset_then_two,
    parallel_until_everyone,
    the_first_answer_supersedes_the_other_calls,
    a_dead_handset_frees_the_number_at_its_deadline,
    a_more_urgent_alarm_goes_first,
    intervals_are_kept,
    without_a_handset_it_ends_and_says_so,
    a_handset_that_returns_in_the_morning_wakes_nobody,
    a_dry_run_rings_nobody,
    cancelled_while_ringing_and_a_new_alarm_five_seconds_later,
    acknowledged_while_ringing,
    ringing_again,
    an_outage_gives_open_dials_time,
);

async fn two_handsets_and_two_alarms_for_one_engineer(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::App).await, server.pair("rack", Profile::App).await);
    let first = server.raise(&[A], json!({})).await;
    let second = server.raise(&["+86 187 1234 5678", B], json!({})).await;
    let (mid, _) = server.dial(&desk).await;
    server.idle(&rack).await;
    server.pass(6).await;
    server.idle(&rack).await;
    assert_eq!(server.state(&second).await, "waiting", "the order holds: B is not rung before A");
    server.report(&desk, &mid, Some(A)).await;
    server.pass(5).await;
    assert_eq!(server.dial(&rack).await.1, [A]);
    assert_eq!(server.state(&first).await, "answered");
}

async fn a_critical_alarm_does_not_wait_for_a_busy_number(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::App).await, server.pair("rack", Profile::App).await);
    server.raise(&[A], json!({})).await;
    server.dial(&desk).await;
    server.raise(&[A, B], json!({ "priority": "critical" })).await;
    assert_eq!(server.dial(&rack).await.1, [B]);
}

async fn parallel_on_one_handset_then_two(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::List).await, server.pair("rack", Profile::List).await);
    let id = server.raise(&[A, B, C], json!({ "mode": "parallel", "attempts": 1 })).await;
    let (first, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A], "one callee for each mid, whatever the handset could take");
    let (second, phones) = server.dial(&rack).await;
    assert_eq!(phones, [B]);
    server.report(&desk, &first, None).await;
    let (third, phones) = server.dial(&desk).await;
    assert_eq!(phones, [C]);
    server.report(&rack, &second, None).await;
    assert_eq!(server.state(&id).await, "ringing");
    server.report(&desk, &third, None).await;
    assert_eq!(server.state(&id).await, "no_answer");
}

async fn parallel_until_everyone(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::List).await, server.pair("rack", Profile::List).await);
    let body = json!({ "mode": "parallel", "until": "everyone", "attempts": 2, "min_interval_seconds": 0 });
    let id = server.raise(&[A, B], body).await;
    let (first, _) = server.dial(&desk).await;
    let (second, _) = server.dial(&rack).await;
    server.report(&desk, &first, Some(A)).await;
    assert_eq!(server.state(&id).await, "ringing", "B is wanted too");
    server.idle(&desk).await;
    server.report(&rack, &second, None).await;
    let (again, phones) = server.dial(&rack).await;
    assert_eq!(phones, [B], "only who has not answered is rung again");
    server.report(&rack, &again, Some(B)).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["state"], "answered");
    assert_eq!(alarm["answers"].as_array().unwrap().len(), 2);
}

async fn the_first_answer_supersedes_the_other_calls(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::List).await, server.pair("rack", Profile::List).await);
    let id = server.raise(&[A, B], json!({ "mode": "parallel" })).await;
    let (first, _) = server.dial(&desk).await;
    server.pass(1).await;
    let (second, _) = server.dial(&rack).await;
    server.report(&desk, &first, Some(A)).await;
    assert_eq!(server.state(&id).await, "answered");
    assert_eq!(server.outcomes(&id).await, ["answered", "superseded"]);
    server.idle(&rack).await;
    // Its call may still ring, so it rests; until it reports.
    server.raise(&[C], json!({})).await;
    server.idle(&rack).await;
    server.report(&rack, &second, None).await;
    assert_eq!(server.dial(&rack).await.1, [C]);
}

async fn a_dead_handset_frees_the_number_at_its_deadline(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::App).await, server.pair("rack", Profile::App).await);
    let id = server.raise(&[A], json!({})).await;
    let (mid, _) = server.dial(&desk).await;
    assert_eq!(server.pass(179).await.expired, 0);
    server.idle(&rack).await;
    server.pass(1).await;
    let (again, phones) = server.dial(&rack).await;
    assert_eq!(phones, [A]);
    assert_ne!(mid, again);
    assert_eq!(server.outcomes(&id).await, ["expired", "open"]);
}

async fn a_more_urgent_alarm_goes_first(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    server.raise(&[A], json!({ "priority": "low" })).await;
    server.raise(&[B], json!({ "priority": "critical" })).await;
    server.raise(&[C], json!({ "priority": "high" })).await;
    for expected in [B, C, A] {
        let (mid, phones) = server.dial(&desk).await;
        assert_eq!(phones, [expected]);
        server.report(&desk, &mid, Some(expected)).await;
    }
}

async fn intervals_are_kept(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A], json!({ "attempts": 3, "min_interval_seconds": 300 })).await;
    for attempt in 1..=3 {
        let (mid, _) = server.dial(&desk).await;
        server.pass(10).await;
        server.report(&desk, &mid, None).await;
        assert_eq!(server.alarm(&id).await["callees"][0]["attempts"], attempt);
        if attempt < 3 {
            server.pass(289).await;
            server.idle(&desk).await;
            server.pass(1).await;
        }
    }
    assert_eq!(server.state(&id).await, "no_answer");
}

async fn without_a_handset_it_ends_and_says_so(home: Home) {
    let server = home.start().await;
    let id = server.raise(&[A], json!({ "begin_before_seconds": 600 })).await;
    server.pass(599).await;
    assert_eq!(server.state(&id).await, "waiting");
    server.pass(1).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((alarm["state"].as_str(), alarm["reason"].as_str()), (Some("no_answer"), Some("no_handset")));
}

async fn a_handset_that_returns_in_the_morning_wakes_nobody(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A], json!({ "attempts": 5, "min_interval_seconds": 0 })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    assert_eq!(server.state(&id).await, "ringing");
    // The only handset dies after the first call.
    server.pass(3 * 3600).await;
    assert_eq!(server.alarm(&id).await["reason"], "no_handset");
    server.idle(&desk).await;
}

async fn a_dry_run_rings_nobody(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A, B], json!({ "dry_run": true, "attempts": 2, "min_interval_seconds": 60 })).await;
    server.pass(0).await;
    server.idle(&desk).await;
    // The numbers are free all the while.
    let real = server.raise(&[A], json!({})).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(&real).await, "answered");
    for _ in 0..20 {
        server.pass(15).await;
    }
    let alarm = server.alarm(&id).await;
    assert_eq!((alarm["state"].as_str(), alarm["reason"].as_str()), (Some("no_answer"), Some("attempts_used")));
    let dialled: Vec<_> = alarm["dials"].as_array().unwrap().iter().map(|dial| dial["phones"][0].as_str().unwrap()).collect();
    assert_eq!(dialled, [A, B, A, B], "the history advances as if nobody had answered");
    assert!(alarm["dials"][0]["handset"].is_null());
}

async fn cancelled_while_ringing_and_a_new_alarm_five_seconds_later(home: Home) {
    let server = home.start().await;
    for (name, profile) in [("desk", Profile::App), ("rack", Profile::List)] {
        let path = server.pair(name, profile).await;
        let id = server.raise(&[A], json!({})).await;
        server.dial(&path).await;
        let (status, alarm) = server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({ "by": "Lin" })).await;
        assert_eq!((status, alarm["state"].as_str()), (200, Some("cancelled")));
        assert_eq!(server.outcomes(&id).await, ["cancelled"]);
        server.pass(5).await;
        server.raise(&[B], json!({})).await;
        server.idle(&path).await;
        server.pass(69).await;
        server.idle(&path).await;
        server.pass(6).await;
        let (mid, phones) = server.dial(&path).await;
        assert_eq!(phones, [B], "{name}: only when the line is certainly free");
        server.report(&path, &mid, Some(B)).await;
        let (status, problem) = server.post(&format!("/api/v1/alarms/{id}/redial"), &json!({})).await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("alarm_is_over")));
    }
}

async fn acknowledged_while_ringing(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A, B], json!({})).await;
    let (mid, _) = server.dial(&desk).await;
    server.pass(12).await;
    let by = json!({ "name": "Lin", "number": B, "note": "on it" });
    let (status, alarm) = server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &by).await;
    assert_eq!((status, alarm["state"].as_str(), alarm["answer"]["name"].as_str()), (200, Some("answered"), Some("Lin")));
    assert!(alarm["answer"]["confirmed_at"].is_string());
    assert_eq!(server.outcomes(&id).await, ["superseded"]);
    // A still picks up: kept, but the confirmed answer stands.
    server.report(&desk, &mid, Some(A)).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["answer"]["name"], "Lin");
    assert_eq!(alarm["answers"].as_array().unwrap().len(), 2);
}

async fn ringing_again(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let redial = format!("/api/v1/alarms/{id}/redial");
    assert_eq!(server.post(&redial, &json!({})).await.0, 409, "it rings already");
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    assert_eq!(server.state(&id).await, "no_answer");
    let (status, alarm) = server.post(&redial, &json!({})).await;
    assert_eq!((status, alarm["state"].as_str()), (200, Some("waiting")));
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["state"], "answered");
    assert_eq!(alarm["dials"].as_array().unwrap().len(), 2, "the earlier hunt is not forgotten");
}

async fn an_outage_gives_open_dials_time(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let (mid, _) = server.dial(&desk).await;
    // Down for five minutes, past the deadline; the phone holds a result all the while.
    let home = server.stop().await;
    home.clock.advance(chrono::TimeDelta::minutes(5));
    let server = home.start().await;
    server.pass(59).await;
    assert_eq!(server.outcomes(&id).await, ["open"]);
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.outcomes(&id).await, ["answered"]);
    assert_eq!(server.state(&id).await, "answered");
}
