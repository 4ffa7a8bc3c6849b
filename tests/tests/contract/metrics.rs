//! What the metrics say of handsets and their calls.

use std::collections::BTreeMap;

use autocall::engine::Doer;
use autocall::keep::{keys, pairing};
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use serde_json::json;

use crate::channels::{failed, on, trunk};
use crate::harness::{A, B, C, Home, Server, on_both};
use crate::native::{poll, report};

on_both!(
    each_handset_says_what_its_channels_do,
    phones_that_nobody_named_are_one_in_the_metrics,
    calls_are_counted_once_by_what_they_were_for_and_how_they_ended,
    a_name_with_quotes_leaves_the_metrics_legible,
);

pub async fn page(server: &Server) -> String {
    server.app.engine.watch_handsets().await.unwrap();
    server.page("/metrics").await
}

/// The value of a series, written as it stands in the metrics.
fn value(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// How many channels of a handset are free, used, resting and away, and how many calls in a row have not left it.
fn of_handset(page: &str, name: &str) -> [Option<f64>; 5] {
    let channels = |state| value(page, &format!("autocall_handset_channels{{handset=\"{name}\",state=\"{state}\"}}"));
    let failures = value(page, &format!("autocall_handset_failures{{handset=\"{name}\"}}"));
    [channels("free"), channels("used"), channels("resting"), channels("away"), failures]
}

fn numbers(all: [u32; 5]) -> [Option<f64>; 5] {
    all.map(|number| Some(number.into()))
}

async fn each_handset_says_what_its_channels_do(home: Home) {
    let server = home.start().await;
    let trunk = trunk(&server, 3).await;
    server.pair("spare", Profile::Native).await;
    assert_eq!(of_handset(&page(&server).await, "spare"), numbers([0, 0, 0, 1, 0]), "it has never asked for anything");
    on(&server, &trunk, 2).await;
    assert_eq!(of_handset(&page(&server).await, "trunk"), numbers([3, 0, 0, 0, 0]));
    let id = server.raise(&[A], json!({ "attempts": 2 })).await;
    let held = on(&server, &trunk, 0).await;
    assert_eq!(of_handset(&page(&server).await, "trunk"), numbers([2, 1, 0, 0, 0]));
    report(&server, &trunk, &held["mid"], "", failed(A, json!(null))).await;
    assert_eq!(of_handset(&page(&server).await, "trunk"), numbers([2, 0, 1, 0, 1]), "one rests alone");
    let held = on(&server, &trunk, 1).await;
    report(&server, &trunk, &held["mid"], "", failed(A, json!("auth"))).await;
    assert_eq!(of_handset(&page(&server).await, "trunk"), numbers([0, 0, 3, 0, 2]), "an account that is refused rests them all");
    server.pass(120).await;
    let held = on(&server, &trunk, 1).await;
    assert_eq!(of_handset(&page(&server).await, "trunk"), numbers([2, 1, 0, 0, 2]));
    report(&server, &trunk, &held["mid"], &format!("&resp={A}"), json!([])).await;
    assert_eq!(server.state(&id).await, "answered");
    assert_eq!(of_handset(&page(&server).await, "trunk"), numbers([3, 0, 0, 0, 1]), "the first channel has proved nothing since");
    for _ in 0..60 {
        server.pass(10).await;
        server.app.engine.watch_handsets().await.unwrap();
    }
    assert_eq!(of_handset(&page(&server).await, "trunk"), numbers([0, 0, 0, 3, 1]), "silent");
    let renamed = async |work: &mut autocall::store::Work| pairing::rename(work, "trunk", "rack").await;
    server.app.engine.store.carry_out(server.now(), Doer::Server, renamed).await.unwrap();
    let page = page(&server).await;
    assert_eq!((of_handset(&page, "trunk"), of_handset(&page, "rack")), ([None; 5], numbers([0, 0, 0, 3, 1])), "{page}");
}

async fn phones_that_nobody_named_are_one_in_the_metrics(home: Home) {
    let server = home.start().await;
    for model in ["Mi 9", "Mi 10"] {
        let asked = server.http.get(format!("{}/alert/phone", server.base)).header("model", model);
        asked.header("user-agent", crate::harness::APP).sent().await.unwrap();
    }
    let page = page(&server).await;
    assert_eq!(of_handset(&page, "(plain path)"), numbers([2, 0, 0, 0, 0]), "{page}");
    server.pass(3600).await;
    assert_eq!(of_handset(&self::page(&server).await, "(plain path)"), numbers([0, 0, 0, 2, 0]), "nobody waits for a curl");
    // Where the database is, is said; it is no phone.
    let of_phones = page.lines().filter(|line| !line.starts_with("autocall_database_host"));
    let named: Vec<&str> = of_phones.filter(|line| line.contains("Mi 9") || line.contains("127.0.0.1")).collect();
    assert_eq!(named, [""; 0], "where phones are is nobody's business");
}

/// Calls by what they were for and how they ended, without those of which there were none.
async fn calls(server: &Server) -> BTreeMap<String, f64> {
    let page = page(server).await;
    let all: BTreeMap<String, f64> = page
        .lines()
        .filter_map(|line| {
            let (series, count) = line.strip_prefix("autocall_calls_total{")?.split_once("} ")?;
            Some((series.replace('"', ""), count.parse().ok()?))
        })
        .collect();
    assert_eq!(all.len(), 4 * 6, "every series is there from the start: {page}");
    all.into_iter().filter(|(_, count)| *count > 0.0).collect()
}

async fn calls_are_counted_once_by_what_they_were_for_and_how_they_ended(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::Native).await;
    assert_eq!(calls(&server).await, BTreeMap::new());
    server.raise(&[A], json!({ "attempts": 1 })).await;
    let held = poll(&server, &desk).await;
    assert_eq!(calls(&server).await, BTreeMap::new(), "nobody knows how it will end");
    for _ in 0..2 {
        report(&server, &desk, &held["mid"], "", json!([{ "number": A, "outcome": "busy" }])).await;
    }
    server.raise(&[B], json!({ "attempts": 1 })).await;
    let held = poll(&server, &desk).await;
    report(&server, &desk, &held["mid"], &format!("&resp={B}"), json!([])).await;
    // Its report comes when the server has given it up, and names somebody; then it is told again that it was nobody.
    server.raise(&[C], json!({ "attempts": 1 })).await;
    let held = poll(&server, &desk).await;
    server.pass(600).await;
    report(&server, &desk, &held["mid"], &format!("&resp={C}"), json!([])).await;
    report(&server, &desk, &held["mid"], "", json!([{ "number": C, "outcome": "no_answer" }])).await;
    let rack = server.pair("rack", Profile::List).await;
    let handset = server.app.engine.store.read().await.unwrap().db().handset_by_name("rack").await.unwrap().unwrap();
    server.app.engine.test_call(&handset, "+8618712345678", true).await.unwrap();
    let (mid, _) = server.dial(&rack).await;
    server.report(&rack, &mid, None).await;
    let expected = [("kind=alarm,outcome=answered", 2.0), ("kind=alarm,outcome=busy", 1.0), ("kind=test,outcome=no_answer", 1.0)];
    assert_eq!(calls(&server).await, expected.map(|(series, count)| (series.to_owned(), count)).into());
}

async fn a_name_with_quotes_leaves_the_metrics_legible(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::Native).await;
    poll(&server, &desk).await;
    let renamed = async |work: &mut autocall::store::Work| pairing::rename(work, "desk", r#"the "big" desk\"#).await;
    server.app.engine.store.carry_out(server.now(), Doer::Server, renamed).await.unwrap();
    let region = server.home.config().default_region;
    let made = async |work: &mut autocall::store::Work| keys::add(work, "the \"old\" Zabbix", &[], region).await;
    let key = server.app.engine.store.carry_out(server.now(), Doer::Server, made).await.unwrap();
    let refused = server.http.post(format!("{}/api/v1/alarms", server.base)).bearer_auth(&key).json(&json!({ "summary": "" }));
    assert_eq!(refused.sent().await.unwrap().status(), 422);
    let page = page(&server).await;
    let refusal = r#"autocall_refusals_total{sender="the \"old\" Zabbix",reason="invalid_field"}"#;
    assert_eq!(value(&page, refusal), Some(1.0), "{page}");
    assert_eq!(of_handset(&page, r#"the \"big\" desk\\"#), numbers([1, 0, 0, 0, 0]), "{page}");
}
