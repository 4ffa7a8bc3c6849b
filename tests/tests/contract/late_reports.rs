//! Reports that come late, twice, or contradict what was said before.

use autocall::store::watch::handsets::Profile;
use serde_json::json;

use crate::harness::{A, B, Home, on_both};

on_both!(
    six_minutes_of_talk_and_a_late_answer,
    a_late_answer_revives_what_nobody_answered,
    a_late_nobody_is_only_a_note,
    of_whom_no_phone_reported_is_said,
    who_said_no_before_the_phone_reports_has_not_answered,
    a_late_answer_after_a_cancellation_is_kept,
    a_late_answer_ends_the_hunt_that_was_begun_since,
    the_same_report_twice_counts_once,
    nobody_then_answered,
    unknown_and_malformed_reports_change_nothing,
    a_number_in_no_list_is_still_an_answer,
);

async fn six_minutes_of_talk_and_a_late_answer(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::App).await, server.pair("rack", Profile::App).await);
    let id = server.raise(&[A, B], json!({})).await;
    let (first, _) = server.dial(&desk).await;
    // A picks up and talks for six minutes; the app is silent all the while.
    server.pass(180).await;
    let (second, phones) = server.dial(&rack).await;
    assert_eq!(phones, [B]);
    server.pass(170).await;
    server.report(&desk, &first, Some(A)).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["state"], "answered");
    assert_eq!(alarm["answer"]["number"], "+8618712345678");
    assert_eq!(server.outcomes(&id).await, ["answered", "superseded"]);
    server.report(&rack, &second, None).await;
    assert_eq!(server.state(&id).await, "answered", "B's phone has nothing to add");
}

async fn a_late_answer_revives_what_nobody_answered(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let (mid, _) = server.dial(&desk).await;
    server.pass(200).await;
    assert_eq!(server.state(&id).await, "no_answer");
    server.report(&desk, &mid, Some(A)).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((alarm["state"].as_str(), alarm["reason"].is_null()), (Some("answered"), true));
}

/// The app reports when the call is over: by then, whoever picked up may have said by text message or link that they cannot.
async fn who_said_no_before_the_phone_reports_has_not_answered(home: Home) {
    let server = home.start().await;
    for confirm_within in [json!(null), json!(300)] {
        let (desk, rack) = (
            server.pair(&format!("desk{confirm_within}"), Profile::App).await,
            server.pair(&format!("rack{confirm_within}"), Profile::App).await,
        );
        let body = json!({ "attempts": 2, "min_interval_seconds": 0, "confirm_within_seconds": confirm_within });
        let id = server.raise(&[A, B], body).await;
        let (first, _) = server.app_dial(&desk).await;
        let callee = server.alarm(&id).await["callees"][0]["id"].as_str().unwrap().to_owned();
        server.post(&format!("/api/v1/alarms/{id}/callees/{callee}/decline"), &json!({})).await;
        let (second, phones) = server.app_dial(&rack).await;
        assert_eq!(phones, [B]);
        server.report(&desk, &first, Some(A)).await;
        let alarm = server.alarm(&id).await;
        assert_eq!((alarm["state"].as_str(), alarm["callees"][0]["verdict"].as_str()), (Some("ringing"), Some("declined")));
        assert!(alarm["answer"].is_null() && alarm["answers"][0]["lapsed_at"].is_string(), "{alarm}");
        server.report(&rack, &second, None).await;
        server.pass(80).await;
        let (mid, phones) = server.app_dial(&rack).await;
        assert_eq!(phones, [B], "A is not rung again");
        server.report(&rack, &mid, Some(B)).await;
        assert_eq!(server.alarm(&id).await["answer"]["number"], format!("+86{B}"));
    }
}

async fn a_late_nobody_is_only_a_note(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::App).await, server.pair("rack", Profile::App).await);
    let id = server.raise(&[A], json!({ "attempts": 2 })).await;
    let (late, _) = server.dial(&desk).await;
    server.pass(180).await;
    server.dial(&rack).await;
    server.report(&desk, &late, None).await;
    assert_eq!(server.state(&id).await, "ringing");
    assert_eq!(server.outcomes(&id).await, ["expired", "open"]);
    let alarm = server.alarm(&id).await;
    assert!(alarm["timeline"].as_array().unwrap().iter().any(|event| event["kind"] == "late_nobody"), "{alarm}");
}

async fn of_whom_no_phone_reported_is_said(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A, B], json!({ "attempts": 1 })).await;
    let unreported = async || {
        let alarm = server.alarm(&id).await;
        let callees = alarm["callees"].as_array().unwrap().clone();
        callees.into_iter().map(|callee| callee["no_report"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(unreported().await, [false, false]);
    let (late, _) = server.app_dial(&desk).await;
    server.pass(300).await;
    server.pass(300).await;
    assert_eq!(unreported().await, [true, false]);
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, None).await;
    assert_eq!(
        (server.alarm(&id).await["reason"].as_str(), unreported().await),
        (Some("no_report"), vec![json!(true), json!(false)])
    );
    server.report(&desk, &late, None).await;
    assert_eq!(unreported().await, [false, false], "it has come after all");
}

async fn a_late_answer_after_a_cancellation_is_kept(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({})).await;
    let (mid, _) = server.dial(&desk).await;
    server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
    server.report(&desk, &mid, Some(A)).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((alarm["state"].as_str(), alarm["answer"]["number"].as_str()), (Some("cancelled"), Some("+8618712345678")));
}

async fn a_late_answer_ends_the_hunt_that_was_begun_since(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::App).await, server.pair("rack", Profile::App).await);
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let (late, _) = server.dial(&desk).await;
    server.pass(200).await;
    server.post(&format!("/api/v1/alarms/{id}/redial"), &json!({})).await;
    server.dial(&rack).await;
    server.report(&desk, &late, Some(A)).await;
    let alarm = server.alarm(&id).await;
    assert_eq!((alarm["state"].as_str(), alarm["answer"]["mid"].as_str()), (Some("answered"), Some(&late[..8])));
    assert_eq!(server.outcomes(&id).await, ["answered", "superseded"]);
}

async fn the_same_report_twice_counts_once(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let (mid, _) = server.dial(&desk).await;
    for _ in 0..3 {
        server.report(&desk, &mid, Some(A)).await;
    }
    server.report(&desk, &mid, None).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["answers"].as_array().unwrap().len(), 1);
    assert_eq!(alarm["state"], "answered");
}

async fn nobody_then_answered(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({ "attempts": 1 })).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    assert_eq!(server.state(&id).await, "no_answer");
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(&id).await, "answered", "that somebody picked up always counts");
}

async fn unknown_and_malformed_reports_change_nothing(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({})).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, "60d536885fa2a8643fa4d3a0", Some(A)).await;
    let long = "a".repeat(65);
    for query in ["", "mid=", "mid=%00", "mid=%FF%FE", "mid=a%20b", &format!("mid={long}"), &format!("mid={mid}&mid=other")] {
        let (status, body) = server.post(&format!("{desk}?{query}"), &json!({})).await;
        assert_eq!(status, 400, "{query}");
        assert_eq!(body["code"], 1, "{query}");
    }
    assert_eq!(server.outcomes(&id).await, ["open"]);
    assert_eq!(server.state(&id).await, "ringing");
}

async fn a_number_in_no_list_is_still_an_answer(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::List).await, server.pair("rack", Profile::App).await);
    let listed = server.raise(&[A, B], json!({})).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some("13900000000")).await;
    let alarm = server.alarm(&listed).await;
    assert_eq!(alarm["answer"]["name"], "13900000000");
    assert!(alarm["answer"]["callee_id"].is_null());

    // With one number in the mid, that something answered decides, whatever a phone made of the number.
    let single = server.raise(&[A], json!({})).await;
    let (mid, _) = server.dial(&rack).await;
    server.report(&rack, &mid, Some("12345678")).await;
    assert_eq!(server.alarm(&single).await["answer"]["number"], "+8618712345678");
}
