//! Senders: their keys, and Alertmanager in its own words.

use std::process::Stdio;
use std::time::Duration;

use autocall::engine::Doer;
use autocall::keep::keys;
use autocall::rights::Rights;
use autocall::store::Work;
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use autocall_tests::redis::reserve_port;
use autocall_tests::wait::eventually;
use serde_json::{Value, json};

use crate::harness::{A, B, Home, Server, on_both};

on_both!(
    a_key_opens_every_door,
    a_wrong_or_revoked_key_is_refused_also_where_none_is_needed,
    senders_do_not_mix_up_their_alarms,
    a_key_brings_its_own_phones,
    a_group_of_alerts_is_one_alarm,
    each_alert_is_an_alarm_if_wanted,
    messages_that_cannot_be_used_leave_nothing,
    one_bad_alert_costs_the_others_nothing,
    a_group_is_as_urgent_as_its_worst_alert,
    a_real_alertmanager,
    a_sender_that_goes_mad_is_slowed_down_and_nobody_else,
);

const FIRING: &str = include_str!("../../../fixtures/alertmanager/firing.json");

/// A server that lets nobody in without a key.
async fn closed(home: Home) -> Server {
    home.set("AUTOCALL_HTTP_OPEN_NETWORKS", "10.255.0.0/16").start().await
}

pub async fn key(server: &Server, name: &str, phones: &[&str]) -> String {
    key_that_may(server, name, phones, "raise").await
}

/// A key with these rights.
pub async fn key_that_may(server: &Server, name: &str, phones: &[&str], rights: &str) -> String {
    let phones: Vec<String> = phones.iter().map(|phone| (*phone).to_owned()).collect();
    let (region, rights) = (server.home.config().default_region, Rights::read(rights));
    let add = async |work: &mut Work| keys::add_with(work, name, &phones, &rights, region).await;
    server.app.engine.store.carry_out(server.now(), Doer::Server, add).await.unwrap()
}

fn http() -> reqwest::Client {
    autocall_tests::http_client().no_proxy().build().unwrap()
}

async fn status(request: reqwest::RequestBuilder) -> u16 {
    request.sent().await.unwrap().status().as_u16()
}

async fn a_sender_that_goes_mad_is_slowed_down_and_nobody_else(home: Home) {
    let server = home.set("AUTOCALL_HTTP_ALARMS_PER_MINUTE", "3").start().await;
    let desk = server.pair("desk", Profile::App).await;
    let (mad, calm) = (key(&server, "mad", &[A]).await, key(&server, "calm", &[B]).await);
    let address = format!("{}/api/v1/alarms", server.base);
    let raise = |key: &str| http().post(&address).bearer_auth(key).json(&json!({ "summary": "disk" }));
    for _ in 0..3 {
        assert_eq!(status(raise(&mad)).await, 201);
    }
    server.home.clock.advance(chrono::TimeDelta::seconds(15));
    let refused = raise(&mad).sent().await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (429, "45"));
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["code"], "too_many_alarms");
    assert!(problem["detail"].as_str().unwrap().contains("http.alarms_per_minute"), "{problem}");
    // Alertmanager gives up after a 4xx, and would not tell us again for hours.
    let group: Value = serde_json::from_str(FIRING).unwrap();
    let intake = format!("{}/api/v1/intake/alertmanager?phones={A}", server.base);
    assert_eq!(status(http().post(&intake).bearer_auth(&mad).json(&group)).await, 503);
    // Reading goes on, so do others, with a key or without, and so do handsets.
    assert_eq!(status(http().get(&address).bearer_auth(&mad)).await, 200);
    assert_eq!(status(raise(&calm)).await, 201);
    server.raise(&[B], json!({})).await;
    let (mid, phones) = server.app_dial(&desk).await;
    for _ in 0..5 {
        assert_eq!(server.app_dial(&desk).await.0, mid);
    }
    for _ in 0..5 {
        server.report(&desk, &mid, Some(&phones[0])).await;
    }
    server.home.clock.advance(chrono::TimeDelta::seconds(45));
    assert_eq!(status(raise(&mad)).await, 201);
}

async fn a_key_opens_every_door(home: Home) {
    let server = closed(home).await;
    let key = key(&server, "prometheus", &[]).await;
    let list = format!("{}/api/v1/alarms", server.base);
    assert_eq!(status(http().get(&list)).await, 401);
    assert_eq!(status(http().get(&list).bearer_auth(&key)).await, 200);
    assert_eq!(status(http().get(&list).header("x-api-key", &key)).await, 200);
    assert_eq!(status(http().get(&list).basic_auth("prometheus", Some(&key))).await, 200);
    assert_eq!(status(http().get(&list).basic_auth(&key, None::<&str>)).await, 200);
    assert_eq!(status(http().get(format!("{list}?key={key}"))).await, 200);
    assert_eq!(status(http().get(format!("{}/k/{key}/api/v1/alarms?limit=1", server.base))).await, 200);
    let alarm = json!({ "summary": "disk", "phones": [A] });
    assert_eq!(status(http().post(format!("{}/k/{key}/api/v1/alarms", server.base)).json(&alarm)).await, 201);
    // The key of a sender is not the token of a handset, and opens nothing else.
    assert_ne!(status(http().get(format!("{}/k/{key}/alert/phone", server.base))).await, 200);
    let rows = server.app.engine.store.read().await.unwrap().db().keys().await.unwrap();
    assert!(rows[0].last_used_at.is_some());
    assert!(!format!("{rows:?}").contains(&key));
}

async fn a_wrong_or_revoked_key_is_refused_also_where_none_is_needed(home: Home) {
    let server = home.start().await;
    let key = key(&server, "prometheus", &[]).await;
    let list = format!("{}/api/v1/alarms", server.base);
    assert_eq!(status(http().get(&list)).await, 200, "an open network");
    assert_eq!(status(http().get(&list).bearer_auth("ak_wrong")).await, 401);
    assert_eq!(status(http().get(&list).header("authorization", "Basic ???")).await, 401);
    assert_eq!(status(http().get(&list).bearer_auth(&key)).await, 200);
    server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| keys::revoke(work, "prometheus").await)
        .await
        .unwrap();
    assert_eq!(status(http().get(&list).bearer_auth(&key)).await, 401);
    assert!(matches!(
        server.app.engine.store.carry_out(server.now(), Doer::Server, async |work| keys::revoke(work, "prometheus").await).await,
        Err(keys::KeyError::NoSuchKey(_))
    ));
    let mut statuses = Vec::new();
    for _ in 0..25 {
        statuses.push(status(http().get(&list).bearer_auth("ak_guess")).await);
    }
    assert_eq!((statuses[0], statuses[24]), (401, 429), "guessing is stopped");
    assert_eq!(status(http().get(&list)).await, 200);
}

async fn senders_do_not_mix_up_their_alarms(home: Home) {
    let server = home.start().await;
    let (one, two) = (key(&server, "one", &[]).await, key(&server, "two", &[]).await);
    let raise = async |key: &str| -> (u16, Value) {
        let body = json!({ "summary": "disk", "phones": [A], "dedup_key": "db1" });
        let request = http().post(format!("{}/api/v1/alarms", server.base)).bearer_auth(key).header("idempotency-key", "same");
        let response = request.json(&body).sent().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    };
    let (first, second) = (raise(&one).await, raise(&two).await);
    assert_eq!((first.0, second.0), (201, 201));
    assert_ne!(first.1["id"], second.1["id"]);
    assert_eq!((first.1["source"].as_str(), second.1["source"].as_str()), (Some("one"), Some("two")));
}

async fn a_key_brings_its_own_phones(home: Home) {
    let server = home.start().await;
    let with = key(&server, "with", &[B]).await;
    let without = key(&server, "without", &[]).await;
    let post = async |key: &str| {
        let request = http().post(format!("{}/api/v1/alarms", server.base)).bearer_auth(key);
        request.json(&json!({ "summary": "disk" })).sent().await.unwrap().status().as_u16()
    };
    assert_eq!(post(&with).await, 201);
    assert_eq!(post(&without).await, 422, "nobody to ring");
    assert_eq!(server.dial("/alert/phone").await.1, [B, B][..1]);
    let bad = server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| {
            keys::add(work, "bad", &["110".to_owned()], server.home.config().default_region).await
        })
        .await;
    assert!(matches!(bad, Err(keys::KeyError::BadNumber(..))));
}

async fn send(server: &Server, query: &str, body: &Value) -> (u16, Value) {
    server.post(&format!("/api/v1/intake/alertmanager{query}"), body).await
}

fn message(status: &str) -> Value {
    let mut message: Value = serde_json::from_str(FIRING).unwrap();
    message["status"] = json!(status);
    for alert in message["alerts"].as_array_mut().unwrap() {
        alert["status"] = json!(status);
    }
    message
}

async fn a_group_of_alerts_is_one_alarm(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let query = format!("?phones={A},{B}");
    let (status, first) = send(&server, &query, &message("firing")).await;
    assert_eq!((status, first["alarms"][0]["outcome"].as_str()), (200, Some("created")));
    let id = first["alarms"][0]["id"].as_str().unwrap();
    let alarm = server.alarm(id).await;
    assert_eq!(alarm["priority"], "critical");
    assert_eq!(alarm["summary"], "[2] DiskFull (job=node, severity=critical)");
    assert!(alarm["details"].as_str().unwrap().contains("Disk of db2 is 97 % full"));
    assert_eq!(alarm["labels"]["alertname"], "DiskFull");
    let (_, again) = send(&server, &query, &message("firing")).await;
    assert_eq!((again["alarms"][0]["id"].as_str(), again["alarms"][0]["outcome"].as_str()), (Some(id), Some("repeated")));
    let (mid, phones) = server.dial(&desk).await;
    assert_eq!(phones, [A]);
    // It is over while A rings: nobody else is woken.
    let (_, over) = send(&server, &query, &message("resolved")).await;
    assert_eq!((over["alarms"][0]["id"].as_str(), over["alarms"][0]["outcome"].as_str()), (Some(id), Some("resolved")));
    assert_eq!((server.state(id).await.as_str(), server.outcomes(id).await), ("resolved", vec!["superseded".to_owned()]));
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(id).await, "resolved");
    assert_eq!(server.alarm(id).await["answer"]["number"], "+8618712345678", "who answered stays visible");
    server.home.clock.advance(chrono::TimeDelta::minutes(11));
    let (_, next) = send(&server, &query, &message("firing")).await;
    assert_eq!(next["alarms"][0]["outcome"], "created", "the next time is a new alarm");
    let (status, unknown) =
        send(&server, &query, &json!({ "version": "4", "groupKey": "g", "status": "resolved", "alerts": [] })).await;
    assert_eq!((status, unknown["alarms"][0]["id"].is_null()), (200, true), "what was never raised is resolved all the same");
}

async fn each_alert_is_an_alarm_if_wanted(home: Home) {
    let server = home.start().await;
    let query = format!("?per=alert&phones={A}");
    let (_, raised) = send(&server, &query, &message("firing")).await;
    assert_eq!(raised["alarms"].as_array().unwrap().len(), 2);
    let mut half = message("firing");
    half["alerts"][0]["status"] = json!("resolved");
    send(&server, &query, &half).await;
    let states: Vec<String> = [
        server.state(raised["alarms"][0]["id"].as_str().unwrap()).await,
        server.state(raised["alarms"][1]["id"].as_str().unwrap()).await,
    ]
    .into();
    assert_eq!(states, ["resolved", "waiting"]);
}

async fn messages_that_cannot_be_used_leave_nothing(home: Home) {
    let server = home.start().await;
    let mut old = message("firing");
    old["version"] = json!("3");
    let mut nonsense = message("firing");
    nonsense["status"] = json!("burning");
    let mut emergency = message("firing");
    emergency["commonLabels"]["phones"] = json!("110");
    for (query, body, field) in [
        ("", message("firing"), "phones"),
        ("?phones=18712345678", old, "version"),
        ("?phones=18712345678", nonsense, "status"),
        ("", emergency, "phones"),
        ("?phones=18712345678", json!({}), "version"),
        ("?phones=18712345678&colour=red", message("firing"), "colour"),
        ("?per=moon", message("firing"), "per"),
    ] {
        let (status, problem) = send(&server, query, &body).await;
        assert_eq!((status, problem["field"].as_str()), (422, Some(field)), "{problem}");
    }
    assert_eq!(server.get("/api/v1/alarms").await["alarms"], json!([]));
}

/// Debian's Alertmanager, told of a real alert, posts to the real server.
async fn a_real_alertmanager(home: Home) {
    let server = closed(home).await;
    let key = key(&server, "alertmanager", &[A]).await;
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "route: {{receiver: autocall, group_by: [alertname], group_wait: 100ms, group_interval: 100ms, repeat_interval: 1h}}\n\
         receivers:\n- name: autocall\n  webhook_configs:\n  - url: {}/k/{key}/api/v1/intake/alertmanager\n    send_resolved: true\n",
        server.base
    );
    std::fs::write(folder.path().join("alertmanager.yml"), config).unwrap();
    let address = format!("127.0.0.1:{}", reserve_port());
    let mut alertmanager = tokio::process::Command::new("prometheus-alertmanager")
        .arg(format!("--config.file={}", folder.path().join("alertmanager.yml").display()))
        .arg(format!("--storage.path={}", folder.path().display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let tell = async |ends_at: Option<&str>| {
        let mut alert = json!({
            "labels": { "alertname": "DiskFull", "severity": "critical", "instance": "db1" },
            "annotations": { "summary": "Disk of db1 is full" },
        });
        if let Some(ends_at) = ends_at {
            alert["startsAt"] = json!("2020-01-01T00:00:00Z");
            alert["endsAt"] = json!(ends_at);
        }
        let request = http().post(format!("http://{address}/api/v2/alerts")).json(&json!([alert]));
        request.sent().await.is_ok_and(|response| response.status().is_success())
    };
    let patience = Duration::from_mins(1);
    eventually("Alertmanager takes the alert", patience, async || tell(None).await.then_some(())).await;
    let alarms = async || -> Value {
        http().get(format!("{}/api/v1/alarms?key={key}", server.base)).sent().await.unwrap().json().await.unwrap()
    };
    let alarm = eventually("the alarm is raised", patience, async || {
        let alarm = alarms().await["alarms"][0].clone();
        alarm.is_object().then_some(alarm)
    })
    .await;
    assert_eq!((alarm["summary"].as_str(), alarm["source"].as_str()), (Some("Disk of db1 is full"), Some("alertmanager")));
    assert!(tell(Some("2020-01-01T00:01:00Z")).await);
    eventually("the alarm is resolved", patience, async || (alarms().await["alarms"][0]["state"] == "resolved").then_some(()))
        .await;
    alertmanager.kill().await.unwrap();
}

fn alert(number: usize, phones: &str, severity: &str) -> Value {
    json!({ "status": "firing", "labels": { "alertname": format!("disk{number}"), "severity": severity },
        "annotations": { "summary": format!("disk {number}"), "phones": phones }, "fingerprint": format!("f{number}") })
}

async fn one_bad_alert_costs_the_others_nothing(home: Home) {
    let server = home.start().await;
    let mut group = message("firing");
    group["alerts"] = json!([alert(1, "", "warning"), alert(2, A, "warning"), alert(3, "no number", "warning")]);
    let (status, answer) = server.post("/api/v1/intake/alertmanager?per=alert", &group).await;
    assert_eq!(status, 200, "{answer}");
    let outcomes: Vec<&str> = answer["alarms"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["refused", "created", "refused"], "{answer}");
    group["alerts"] = json!([alert(1, "", "warning")]);
    assert_eq!(server.post("/api/v1/intake/alertmanager?per=alert", &group).await.0, 422, "nobody at all is named");
}

async fn a_group_is_as_urgent_as_its_worst_alert(home: Home) {
    let server = home.start().await;
    let mut group = message("firing");
    group["commonLabels"] = json!({});
    group["alerts"] = json!([alert(1, A, "warning"), alert(2, A, "critical")]);
    let (status, answer) = server.post("/api/v1/intake/alertmanager", &group).await;
    assert_eq!(status, 200, "{answer}");
    let alarm = server.alarm(answer["alarms"][0]["id"].as_str().unwrap()).await;
    assert_eq!(alarm["priority"], "critical");
}
