//! A phone is believed to ring from its last serve: its first answer may never have arrived.

use autocall::alarm::DialOutcome;
use autocall::store::watch::handsets::{IdleForm, Profile};
use autocall_tests::described::Held as _;
use serde_json::{Value, json};
use sqlx::{Connection, Executor};

use crate::harness::{A, APP, B, C, Home, Server, on_both};

on_both!(
    a_lost_first_answer_moves_the_quiet,
    the_normal_dial_costs_no_second_more,
    a_phone_that_is_back_shortly_before_the_deadline_is_waited_for,
    a_dial_ends_after_twice_its_length_at_the_latest,
    an_early_nobody_after_a_late_serve,
    an_answer_ends_the_quiet_at_once,
    a_start_counts_as_a_serve,
    a_serve_that_could_not_be_written_counts,
    a_number_freed_by_an_answer_elsewhere_is_not_handed_to_a_second_phone,
    a_cancelled_dial_that_still_rings_is_no_silence,
    an_app_that_was_restarted_five_seconds_into_the_ring,
    an_app_that_was_restarted_fifteen_seconds_into_the_ring,
    a_report_that_is_lost_again_and_again_counts,
    two_first_answers_are_lost,
    whoever_asks_again_because_of_the_server_is_served,
    a_phone_that_polls_rarely_is_healthy,
    a_list_handset_may_ask_as_often_as_it_likes,
);

/// Polls every second until there is something to dial: when that was, in seconds from now, and what.
async fn first_dial(server: &Server, path: &str, within: i64) -> (i64, String, Value) {
    for second in 0..=within {
        let body = server.app_poll(path).await;
        if body["code"] == 0 && body["phone"] != json!([]) {
            return (second, body["mid"].as_str().unwrap().to_owned(), body["phone"].clone());
        }
        server.pass(1).await;
    }
    panic!("nothing to dial within {within} s");
}

/// Finds nothing to do for a while, every ten seconds, so that the server knows the phone's interval.
async fn settle_in(server: &Server, path: &str) {
    for _ in 0..4 {
        server.get_as(path, APP).await;
        server.pass(10).await;
    }
}

async fn cancel(server: &Server, id: &str) {
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await.0, 200);
}

async fn a_lost_first_answer_moves_the_quiet(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let first = server.raise(&[A], json!({})).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.pass(25).await;
    assert_eq!(server.app_dial(&desk).await.0, mid, "the first answer never arrived");
    server.pass(4).await;
    cancel(&server, &first).await;
    server.raise(&[B], json!({})).await;
    let (after, next, phones) = first_dial(&server, &desk, 120).await;
    assert_eq!((29 + after, phones), (100, json!([B])), "ring time after the last serve");
    assert_ne!(mid, next);
}

async fn the_normal_dial_costs_no_second_more(home: Home) {
    let server = home.start().await;
    for interval in [10, 70] {
        let desk = server.pair(&format!("every {interval}").replace(' ', "-"), Profile::App).await;
        server.raise(&[A], json!({ "attempts": 1 })).await;
        let (mid, _) = server.app_dial(&desk).await;
        server.pass(interval).await;
        assert_eq!(server.app_dial(&desk).await.0, mid);
        server.pass(70 - interval).await;
        server.report(&desk, &mid, None).await;
        server.raise(&[B], json!({ "attempts": 1 })).await;
        let (after, next, _) = first_dial(&server, &desk, 120).await;
        assert_eq!(70 + after, 75, "every {interval} s");
        server.report(&desk, &next, Some(B)).await;
        server.pass(100).await;
    }
}

async fn a_phone_that_is_back_shortly_before_the_deadline_is_waited_for(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::App).await, server.pair("rack", Profile::App).await);
    let id = server.raise(&[A], json!({ "attempts": 2, "min_interval_seconds": 0 })).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.pass(173).await;
    assert_eq!(server.app_dial(&desk).await.0, mid, "its network is back");
    // It rings until 248 s, and reports within the minute after that.
    for _ in 0..12 {
        server.pass(10).await;
        server.app_idle(&rack).await;
    }
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.outcomes(&id).await, ["answered"]);
}

async fn a_dial_ends_after_twice_its_length_at_the_latest(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::App).await, server.pair("rack", Profile::App).await);
    server.raise(&[A], json!({ "attempts": 9, "min_interval_seconds": 0 })).await;
    let (mid, _) = server.app_dial(&desk).await;
    for _ in 0..4 {
        server.pass(85).await;
        assert_eq!(server.app_dial(&desk).await.0, mid);
    }
    // Served at 340 s: the dial is over at 360 s, and the line is free at 415 s.
    let (after, _, phones) = first_dial(&server, &rack, 120).await;
    assert_eq!((340 + after, phones), (415, json!([A])));
}

async fn an_early_nobody_after_a_late_serve(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    server.raise(&[A, B], json!({})).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.pass(25).await;
    server.app_dial(&desk).await;
    server.pass(10).await;
    server.app_dial(&desk).await;
    // A stranger's missed call makes the app report nobody while A still rings, since 25 s.
    server.pass(10).await;
    server.report(&desk, &mid, None).await;
    let (after, _, phones) = first_dial(&server, &desk, 120).await;
    assert_eq!((45 + after, phones), (100, json!([B])));
}

async fn an_answer_ends_the_quiet_at_once(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    server.raise(&[A], json!({})).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.pass(25).await;
    server.app_dial(&desk).await;
    server.pass(15).await;
    server.report(&desk, &mid, Some(A)).await;
    server.raise(&[B], json!({})).await;
    assert_eq!(server.app_dial(&desk).await.1, [B]);
}

/// The server is killed between the claim and the answer; the phone hears of its mid from the next one.
async fn a_start_counts_as_a_serve(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({})).await;
    server.app_dial(&desk).await;
    server.pass(20).await;
    let server = server.restart().await;
    server.pass(1).await;
    cancel(&server, &id).await;
    server.raise(&[B], json!({})).await;
    let (after, _, phones) = first_dial(&server, &desk, 120).await;
    assert!((95..=96).contains(&(21 + after)), "{after} s after the cancellation");
    assert_eq!(phones, json!([B]));
}

/// Keeps the database from writing dials while it can still be read.
enum Hold {
    Embedded { _writer: Box<autocall::store::Tx> },
    Shared { locked: sqlx::PgConnection },
}

impl Hold {
    async fn begin(server: &Server) -> Self {
        match server.home.config().database_url {
            None => Self::Embedded { _writer: Box::new(server.app.engine.store.begin().await.unwrap()) },
            Some(url) => {
                let mut locked = sqlx::PgConnection::connect(url.expose()).await.unwrap();
                locked.execute("BEGIN").await.unwrap();
                locked.execute("LOCK TABLE dials, dial_targets IN EXCLUSIVE MODE").await.unwrap();
                Self::Shared { locked }
            }
        }
    }

    async fn end(self) {
        match self {
            Self::Embedded { _writer: writer } => drop(writer),
            Self::Shared { locked } => locked.close().await.unwrap(),
        }
    }
}

async fn a_serve_that_could_not_be_written_counts(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({})).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.pass(40).await;
    let hold = Hold::begin(&server).await;
    assert_eq!(server.app_dial(&desk).await.0, mid, "it is served all the same");
    hold.end().await;
    cancel(&server, &id).await;
    server.raise(&[B], json!({})).await;
    let (after, _, phones) = first_dial(&server, &desk, 120).await;
    assert!((115..=116).contains(&(40 + after)), "{after} s after the serve");
    assert_eq!(phones, json!([B]));
}

async fn a_number_freed_by_an_answer_elsewhere_is_not_handed_to_a_second_phone(home: Home) {
    let server = home.start().await;
    let (desk, rack) = (server.pair("desk", Profile::App).await, server.pair("rack", Profile::App).await);
    server.raise(&[A, B], json!({ "mode": "parallel" })).await;
    let (_, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [A]);
    let (mid, phones) = server.app_dial(&rack).await;
    assert_eq!(phones, [B]);
    server.pass(25).await;
    server.app_dial(&desk).await;
    server.pass(5).await;
    server.report(&rack, &mid, Some(B)).await;
    // A's phone rings on, from 25 s, though nobody needs that call any more.
    server.raise(&[A], json!({ "priority": "high" })).await;
    let (after, _, phones) = first_dial(&server, &rack, 120).await;
    assert_eq!((30 + after, phones), (100, json!([A])));
}

async fn a_cancelled_dial_that_still_rings_is_no_silence(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    settle_in(&server, &desk).await;
    let id = server.raise(&[A], json!({})).await;
    server.app_dial(&desk).await;
    server.pass(10).await;
    server.app_dial(&desk).await;
    server.pass(5).await;
    cancel(&server, &id).await;
    // The app looks for the end of its call and is silent meanwhile.
    server.pass(65).await;
    server.app.engine.watch_handsets().await.unwrap();
    let row = server.app.engine.store.read().await.unwrap().db().handset_by_name("desk").await.unwrap().unwrap();
    assert!(row.offline_since.is_none() && row.stuck_since.is_none(), "{row:?}");
    server.pass(60).await;
    server.app.engine.watch_handsets().await.unwrap();
    let row = server.app.engine.store.read().await.unwrap().db().handset_by_name("desk").await.unwrap().unwrap();
    assert!(row.stuck_since.is_some(), "a minute after its line must be free: {row:?}");
}

/// A phone that is told that there is nothing to do, in the form that forgets nothing.
fn is_waiting(body: &Value, form: IdleForm, mid: &str) -> bool {
    match form {
        IdleForm::Plain => body["code"] == 1,
        IdleForm::HeadlessSafe => *body == json!({ "phone": [], "code": 0, "mid": mid }),
    }
}

const FORMS: [(&str, IdleForm); 2] = [("plain", IdleForm::Plain), ("headless", IdleForm::HeadlessSafe)];

async fn restarted_since(server: &Server, name: &str) -> Option<chrono::DateTime<chrono::Utc>> {
    let row = server.app.engine.store.read().await.unwrap().db().handset_by_name(name).await.unwrap().unwrap();
    row.restarted_since
}

async fn restarted(home: Home, polls: &[i64], back_at: i64, served_again_at: i64) {
    let server = home.start().await;
    server.pass(120).await;
    for (name, form) in FORMS {
        let desk = server.pair_as(name, Profile::Auto, "CN", form).await;
        settle_in(&server, &desk).await;
        let id = server.raise(&[A], json!({ "attempts": 1 })).await;
        let (mid, _) = server.app_dial(&desk).await;
        let mut now = 0;
        for poll in polls {
            server.pass(poll - now).await;
            now = *poll;
            assert_eq!(server.app_dial(&desk).await.0, mid);
        }
        server.pass(back_at - now).await;
        for second in back_at..served_again_at {
            let body = server.app_poll(&desk).await;
            assert!(is_waiting(&body, form, &mid), "{name}, at {second} s: {body}");
            server.pass(1).await;
        }
        assert!(restarted_since(&server, name).await.is_some(), "{name} is marked");
        assert_eq!(server.app_dial(&desk).await.0, mid, "{name}: its line is free now, and it dials");
        // Once in a dial is enough: it is believed from now on.
        server.pass(10).await;
        assert_eq!(server.app_dial(&desk).await.0, mid);
        server.pass(10).await;
        assert_eq!(server.app_dial(&desk).await.0, mid);
        server.pass(30).await;
        server.report(&desk, &mid, Some(A)).await;
        assert_eq!(server.outcomes(&id).await, ["answered"]);
        assert!(restarted_since(&server, name).await.is_none(), "{name}: its report clears the mark");
        assert_eq!(server.alarm(&id).await["dials"][0]["outcome"], json!(DialOutcome::Answered));
    }
}

async fn an_app_that_was_restarted_five_seconds_into_the_ring(home: Home) {
    restarted(home, &[], 36, 75).await;
}

async fn an_app_that_was_restarted_fifteen_seconds_into_the_ring(home: Home) {
    restarted(home, &[10], 46, 85).await;
}

async fn a_report_that_is_lost_again_and_again_counts(home: Home) {
    let server = home.start().await;
    server.pass(120).await;
    for (name, form) in FORMS {
        for lost in 1..=5 {
            let desk = server.pair_as(&format!("{name}{lost}"), Profile::Auto, "CN", form).await;
            settle_in(&server, &desk).await;
            let id = server.raise(&[A], json!({ "attempts": 1 })).await;
            let (mid, _) = server.app_dial(&desk).await;
            server.pass(10).await;
            server.app_dial(&desk).await;
            // The call is over at 30 s; each report breaks on the way, and 15 s later the app asks again.
            server.pass(20).await;
            let mut left = lost - 1;
            loop {
                server.pass(15).await;
                let body = server.app_poll(&desk).await;
                if body["phone"] == json!([A]) {
                    assert_eq!(body["mid"], json!(mid));
                    if left == 0 {
                        break;
                    }
                    left -= 1;
                } else {
                    assert!(is_waiting(&body, form, &mid), "{name}, {lost} lost: {body}");
                }
            }
            server.report(&desk, &mid, Some(A)).await;
            assert_eq!(server.outcomes(&id).await, ["answered"], "{name}, {lost} lost");
        }
    }
}

async fn two_first_answers_are_lost(home: Home) {
    let server = home.start().await;
    server.pass(120).await;
    for (name, form) in FORMS {
        let desk = server.pair_as(name, Profile::Auto, "CN", form).await;
        settle_in(&server, &desk).await;
        let id = server.raise(&[A], json!({ "attempts": 1 })).await;
        let (mid, _) = server.app_dial(&desk).await;
        server.pass(25).await;
        assert_eq!(server.app_dial(&desk).await.0, mid);
        server.pass(25).await;
        for _ in 0..5 {
            let body = server.app_poll(&desk).await;
            assert!(is_waiting(&body, form, &mid), "{name}: {body}");
            server.pass(10).await;
        }
        assert_eq!(server.app_dial(&desk).await.0, mid, "at 100 s");
        server.pass(10).await;
        assert_eq!(server.app_dial(&desk).await.0, mid);
        server.pass(50).await;
        server.report(&desk, &mid, Some(A)).await;
        assert_eq!(server.outcomes(&id).await, ["answered"]);
    }
}

async fn whoever_asks_again_because_of_the_server_is_served(home: Home) {
    // Within a minute after a start.
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    settle_in(&server, &desk).await;
    server.raise(&[A], json!({})).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.pass(10).await;
    server.app_dial(&desk).await;
    server.pass(10).await;
    let server = server.restart().await;
    server.pass(25).await;
    assert_eq!(server.app_dial(&desk).await.0, mid);
    server.report(&desk, &mid, Some(A)).await;
    server.pass(120).await;

    // After a report that reached the server and could not be stored.
    let id = server.raise(&[A], json!({})).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.pass(10).await;
    server.app_dial(&desk).await;
    server.pass(30).await;
    let hold = Hold::begin(&server).await;
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let report = http.post(format!("{}{desk}?resp={A}&mid={mid}", server.base)).timeout(std::time::Duration::from_secs(4));
    assert!(report.sent().await.is_err(), "never answered");
    hold.end().await;
    // It may have been stored in the meantime, and else the phone is served and reports again.
    server.pass(15).await;
    let body = server.app_poll(&desk).await;
    if body["code"] == 0 {
        server.report(&desk, &mid, Some(A)).await;
    }
    assert_eq!(server.outcomes(&id).await, ["answered"]);
}

async fn a_phone_that_polls_rarely_is_healthy(home: Home) {
    let server = home.start().await;
    server.pass(120).await;
    for interval in [35, 70] {
        let desk = server.pair(&format!("every{interval}"), Profile::App).await;
        for _ in 0..3 {
            server.app_idle(&desk).await;
            server.pass(interval).await;
        }
        server.raise(&[C], json!({})).await;
        let (mid, _) = server.app_dial(&desk).await;
        server.pass(interval).await;
        assert_eq!(server.app_dial(&desk).await.0, mid, "every {interval} s");
        server.report(&desk, &mid, Some(C)).await;
        server.pass(100).await;
    }
}

async fn a_list_handset_may_ask_as_often_as_it_likes(home: Home) {
    let server = home.start().await;
    server.pass(120).await;
    let desk = server.pair("desk", Profile::List).await;
    server.raise(&[A], json!({})).await;
    let (mid, _) = server.dial(&desk).await;
    for _ in 0..8 {
        server.pass(10).await;
        assert_eq!(server.dial(&desk).await.0, mid);
    }
}
