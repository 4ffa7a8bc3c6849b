//! What monitoring systems send, in every size, shape and order: nothing is lost, nothing is ended by a stranger, and whoever took
//! something is rung again for what was not in it.

use std::collections::HashSet;
use std::process::Stdio;
use std::time::Duration;

use autocall::engine::Doer;
use autocall::kinds::notices::WebhookShape;
use autocall::store::lines::webhooks::NoticeKind;
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use autocall_tests::redis::reserve_port;
use autocall_tests::wait::eventually;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::harness::{A, B, Home, Server, on_both};
use crate::keeping::count;
use crate::notices::{Room, add, deliver};

on_both!(
    two_clusters_with_one_group_key_do_not_end_each_other,
    peers_of_one_cluster_are_one_alarm,
    a_recovery_takes_away_what_its_address_had_named,
    a_recovery_told_twice_ends_nothing_of_others,
    an_alarm_from_before_is_found_under_its_key,
    who_burnt_outlives_a_restart,
    two_clusters_at_once_are_two_alarms,
    each_alert_burns_by_itself_for_each_address,
    a_firing_overtaken_by_its_recovery_rings_nobody,
    a_recovery_of_an_earlier_fire_ends_nothing,
    two_real_alertmanagers_that_know_nothing_of_each_other,
    two_real_alertmanagers_of_one_cluster,
    a_group_of_a_thousand_alerts_rings_and_ends,
    ten_thousand_alerts_are_one_alarm,
    beyond_every_size_it_rings_under_the_receivers_name,
    alerts_left_out_by_the_sender_are_counted,
    each_of_many_alerts_ends_by_its_fingerprint,
    a_long_alarm_is_cut_and_says_so,
    refusals_are_counted_by_sender_and_reason,
    a_worse_alert_rings_whoever_took_the_group,
    the_end_of_an_alarm_is_taken_at_any_length,
    what_stands_beside_alerts_is_read_leniently,
    a_new_alert_rings_at_most_once_in_a_while,
    a_new_alert_rings_nobody_where_that_is_off,
    a_worse_repeat_rings_through_a_snooze,
    a_worse_repeat_does_not_wait_for_who_is_to_confirm,
    a_worse_repeat_waits_for_maintenance_and_goes_by_quiet_hours,
    three_hundred_that_get_worse_are_one_hunt,
    each_alert_says_what_tells_it_apart,
    grafana_is_understood,
    a_blank_annotation_names_nothing,
    what_flaps_is_damped_once_a_human_has_confirmed,
    what_flaps_rings_when_only_the_line_had_connected,
    what_flaps_and_is_critical_always_rings,
    a_plain_sender_says_that_it_is_over,
    an_alarm_is_taken_whatever_it_is_wrapped_in,
    what_cannot_be_read_is_refused_by_its_kind,
    all_that_is_wrong_is_told_at_once,
    a_refusal_says_when_to_try_again,
    what_burnt_is_forgotten_when_it_cannot_come_back,
);

/// A message of Alertmanager.
fn message(status: &str, address: &str, alerts: &[Value]) -> Value {
    json!({
        "receiver": "autocall", "status": status, "alerts": alerts, "groupLabels": { "alertname": "NodeDown" },
        "commonLabels": { "alertname": "NodeDown" }, "commonAnnotations": {}, "externalURL": format!("http://{address}:9093"),
        "version": "4", "groupKey": "{}:{alertname=\"NodeDown\"}", "truncatedAlerts": 0,
    })
}

/// An alert of a node.
fn alert(status: &str, node: &str, severity: &str) -> Value {
    json!({
        "status": status, "labels": { "alertname": "NodeDown", "node": node, "severity": severity },
        "annotations": { "summary": format!("{node} is down"), "phones": A },
    })
}

pub fn firing(address: &str, nodes: &[&str]) -> Value {
    message("firing", address, &nodes.iter().map(|node| alert("firing", node, "warning")).collect::<Vec<_>>())
}

pub fn resolved(address: &str, nodes: &[&str]) -> Value {
    message("resolved", address, &nodes.iter().map(|node| alert("resolved", node, "warning")).collect::<Vec<_>>())
}

/// Sends a message and gives what became of its first alarm: the outcome and the id.
async fn send(server: &Server, body: &Value) -> (String, String) {
    let (status, answer) = server.post("/api/v1/intake/alertmanager", body).await;
    assert_eq!(status, 200, "{answer}");
    let first = &answer["alarms"][0];
    (first["outcome"].as_str().unwrap().to_owned(), first["id"].as_str().unwrap_or_default().to_owned())
}

fn http() -> reqwest::Client {
    autocall_tests::http_client().no_proxy().build().unwrap()
}

/// Posts bytes as they are, and gives status and body.
pub async fn raw(server: &Server, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, Value) {
    let mut request = http().post(format!("{}{path}", server.base)).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.sent().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
}

async fn two_clusters_with_one_group_key_do_not_end_each_other(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let (_, first) = send(&server, &firing("am-a", &["a1"])).await;
    let (outcome, second) = send(&server, &firing("am-b", &["b1"])).await;
    assert_eq!(outcome, "created", "what B says to burn is not what A said");
    assert_ne!(first, second);
    send(&server, &resolved("am-a", &["a1"])).await;
    assert_eq!((server.state(&first).await, server.state(&second).await), ("resolved".to_owned(), "waiting".to_owned()));
    assert_eq!(server.app_dial(&desk).await.1, [A], "B still burns");
    let (outcome, again) = send(&server, &firing("am-b", &["b1", "b2"])).await;
    assert_eq!((outcome.as_str(), &again), ("repeated", &second));
    send(&server, &resolved("am-b", &["b1", "b2"])).await;
    assert_eq!(server.state(&second).await, "resolved");
}

async fn peers_of_one_cluster_are_one_alarm(home: Home) {
    let server = home.start().await;
    let (_, id) = send(&server, &firing("peer-1", &["a", "b"])).await;
    let (outcome, same) = send(&server, &firing("peer-2", &["b", "c"])).await;
    assert_eq!((outcome.as_str(), &same), ("repeated", &id), "they overlap");
    let (_, other) = send(&server, &firing("elsewhere", &["z"])).await;
    assert_ne!(other, id);
    // A peer that had never named them says that they are over.
    let (_, lone) = send(&server, &firing("elsewhere-2", &["y"])).await;
    send(&server, &resolved("elsewhere-3", &["y"])).await;
    assert_eq!(server.state(&lone).await, "resolved");
    assert_eq!((server.state(&id).await, server.state(&other).await), ("waiting".to_owned(), "waiting".to_owned()));
}

async fn a_recovery_takes_away_what_its_address_had_named(home: Home) {
    let server = home.start().await;
    let (_, id) = send(&server, &firing("am-a", &["x"])).await;
    assert_eq!(send(&server, &firing("am-b", &["x"])).await.1, id);
    send(&server, &resolved("am-a", &["x"])).await;
    assert_eq!(server.state(&id).await, "waiting", "B says that it burns");
    send(&server, &resolved("am-b", &["x"])).await;
    assert_eq!(server.state(&id).await, "resolved");
}

async fn a_recovery_told_twice_ends_nothing_of_others(home: Home) {
    let server = home.start().await;
    let (_, id) = send(&server, &firing("am-a", &["x", "y"])).await;
    assert_eq!(send(&server, &firing("am-b", &["x"])).await.1, id);
    for _ in 0..2 {
        send(&server, &resolved("am-a", &["x", "y"])).await;
        assert_eq!(server.state(&id).await, "waiting", "A had named it once, and speaks of its own");
    }
    // Part of a group is over, and the rest burns on.
    let half = message("firing", "am-b", &[alert("firing", "q", "warning"), alert("resolved", "x", "warning")]);
    assert_eq!(send(&server, &half).await.1, id);
    assert_eq!(server.state(&id).await, "waiting");
    send(&server, &resolved("am-b", &["q"])).await;
    assert_eq!(server.state(&id).await, "resolved");
}

async fn an_alarm_from_before_is_found_under_its_key(home: Home) {
    let server = home.start().await;
    let key = json!({ "summary": "NodeDown", "dedup_key": "{}:{alertname=\"NodeDown\"}", "phones": [A] });
    let (_, old) = server.post("/api/v1/alarms", &key).await;
    let (outcome, id) = send(&server, &firing("am-a", &["x"])).await;
    assert_eq!((outcome.as_str(), json!(id)), ("repeated", old["id"].clone()));
    send(&server, &resolved("am-a", &["x"])).await;
    assert_eq!(server.state(&id).await, "resolved");
    server.home.clock.advance(TimeDelta::minutes(30));
    let (_, old) = server.post("/api/v1/alarms", &key).await;
    send(&server, &resolved("am-b", &["x"])).await;
    assert_eq!(server.state(old["id"].as_str().unwrap()).await, "resolved", "nobody had named anything yet");
}

async fn who_burnt_outlives_a_restart(home: Home) {
    let server = home.start().await;
    let (_, first) = send(&server, &firing("am-a", &["a1"])).await;
    let server = server.restart().await;
    let (_, second) = send(&server, &firing("am-b", &["b1"])).await;
    let server = server.restart().await;
    send(&server, &resolved("am-a", &["a1"])).await;
    assert_eq!((server.state(&first).await, server.state(&second).await), ("resolved".to_owned(), "waiting".to_owned()));
}

async fn two_clusters_at_once_are_two_alarms(home: Home) {
    let server = home.start().await;
    let (a, b, again) = (firing("am-a", &["a1"]), firing("am-b", &["b1"]), firing("am-b2", &["b1", "b2"]));
    let (a, b, again) = tokio::join!(send(&server, &a), send(&server, &b), send(&server, &again));
    assert_ne!(a.1, b.1);
    assert_eq!(b.1, again.1, "they overlap");
}

async fn each_alert_burns_by_itself_for_each_address(home: Home) {
    let server = home.start().await;
    let post = async |body: &Value| server.post("/api/v1/intake/alertmanager?per=alert", body).await.1;
    let raised = post(&firing("am-a", &["x", "y"])).await;
    let id = |at: usize| raised["alarms"][at]["id"].as_str().unwrap().to_owned();
    assert_eq!(post(&firing("am-b", &["x"])).await["alarms"][0]["id"], json!(id(0)));
    post(&resolved("am-a", &["x", "y"])).await;
    assert_eq!((server.state(&id(0)).await, server.state(&id(1)).await), ("waiting".to_owned(), "resolved".to_owned()));
    post(&resolved("am-b", &["x"])).await;
    assert_eq!(server.state(&id(0)).await, "resolved");
}

/// The same message with its alerts begun, and over, at these instants.
pub fn timed(mut body: Value, starts_at: &str, ends_at: &str) -> Value {
    for alert in body["alerts"].as_array_mut().unwrap() {
        alert["startsAt"] = json!(starts_at);
        alert["endsAt"] = json!(ends_at);
    }
    body
}

const NEVER: &str = "0001-01-01T00:00:00Z";

async fn a_firing_overtaken_by_its_recovery_rings_nobody(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let begun = "2026-11-20T02:50:00Z";
    let burns = timed(firing("am-a", &["x"]), begun, NEVER);
    let (_, id) = send(&server, &burns).await;
    send(&server, &timed(resolved("am-a", &["x"]), begun, "2026-11-20T02:58:00Z")).await;
    assert_eq!(server.state(&id).await, "resolved");
    server.home.clock.advance(TimeDelta::seconds(20));
    assert_eq!(send(&server, &burns).await.0, "stale", "it was sent before it was over, and came after");
    assert_eq!(server.state(&id).await, "resolved");
    server.app_idle(&desk).await;
    let kinds = server.alarm(&id).await["timeline"].to_string();
    assert!(kinds.contains("overtaken"), "it is noted: {kinds}");
    // It begins anew: that is another fire.
    let (_, again) = send(&server, &timed(firing("am-a", &["x"]), "2026-11-20T02:59:30Z", NEVER)).await;
    assert_eq!(server.state(&again).await, "waiting");
    // Two hours later nobody is still trying to send the first one: in doubt it rings.
    send(&server, &timed(resolved("am-a", &["x"]), "2026-11-20T02:59:30Z", "2026-11-20T03:00:10Z")).await;
    server.home.clock.advance(TimeDelta::hours(2));
    let (outcome, late) = send(&server, &timed(firing("am-a", &["x"]), "2026-11-20T02:59:30Z", NEVER)).await;
    assert_eq!((outcome.as_str(), server.state(&late).await.as_str()), ("created", "waiting"));
}

async fn a_recovery_of_an_earlier_fire_ends_nothing(home: Home) {
    let server = home.start().await;
    let first = timed(resolved("am-a", &["x"]), "2026-11-20T02:00:00Z", "2026-11-20T02:10:00Z");
    let (_, id) = send(&server, &timed(firing("am-a", &["x"]), "2026-11-20T02:30:00Z", NEVER)).await;
    assert_eq!(send(&server, &first).await.0, "stale");
    assert_eq!(server.state(&id).await, "waiting");
    send(&server, &timed(resolved("am-a", &["x"]), "2026-11-20T02:30:00Z", "2026-11-20T02:40:00Z")).await;
    assert_eq!(server.state(&id).await, "resolved");
}

/// An Alertmanager of Debian that posts to the server.
struct Alertmanager {
    address: String,
    process: tokio::process::Child,
    _folder: tempfile::TempDir,
}

impl Alertmanager {
    async fn start(server: &Server, cluster: Option<(u16, Option<u16>)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "route: {{receiver: autocall, group_by: [alertname], group_wait: 100ms, group_interval: 100ms, repeat_interval: 1h}}\n\
             receivers:\n- name: autocall\n  webhook_configs:\n  - url: {}/api/v1/intake/alertmanager?phones={A}\n    send_resolved: true\n",
            server.base
        );
        std::fs::write(folder.path().join("alertmanager.yml"), config).unwrap();
        let address = format!("127.0.0.1:{}", reserve_port());
        let mut command = tokio::process::Command::new("prometheus-alertmanager");
        command
            .arg(format!("--config.file={}", folder.path().join("alertmanager.yml").display()))
            .arg(format!("--storage.path={}", folder.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .arg(format!("--web.external-url=http://{address}"));
        match cluster {
            None => command.arg("--cluster.listen-address="),
            Some((port, peer)) => {
                command
                    .arg(format!("--cluster.listen-address=127.0.0.1:{port}"))
                    .arg(format!("--cluster.advertise-address=127.0.0.1:{port}"))
                    .arg("--cluster.peer-timeout=3s")
                    .arg("--cluster.gossip-interval=50ms")
                    .arg("--cluster.pushpull-interval=200ms")
                    .arg("--cluster.settle-timeout=1s");
                if let Some(peer) = peer {
                    command.arg(format!("--cluster.peer=127.0.0.1:{peer}"));
                }
                &mut command
            }
        };
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let one = Self { address, process, _folder: folder };
        eventually("Alertmanager answers", PATIENCE, async || {
            let status = http().get(format!("http://{}/api/v2/status", one.address)).sent().await.ok()?;
            let status: Value = status.json().await.ok()?;
            matches!(status["cluster"]["status"].as_str(), Some("ready" | "disabled")).then_some(())
        })
        .await;
        one
    }

    /// How many peers it knows, itself among them.
    async fn peers(&self) -> usize {
        let status = http().get(format!("http://{}/api/v2/status", self.address)).sent().await.unwrap();
        let status: Value = status.json().await.unwrap();
        status["cluster"]["peers"].as_array().map_or(0, Vec::len)
    }

    /// Whether its peer has let it know what the peer has told. One that does not know never tells that it is over.
    async fn heard_from_its_peer(&self) -> bool {
        let page = http().get(format!("http://{}/metrics", self.address)).sent().await.unwrap().text().await.unwrap();
        let heard = page.lines().find_map(|line| line.strip_prefix("alertmanager_nflog_gossip_messages_propagated_total "));
        heard.is_some_and(|count| count != "0")
    }

    async fn tell(&self, node: &str, over: bool) {
        let mut alert = json!({ "labels": { "alertname": "NodeDown", "node": node }, "annotations": { "summary": format!("{node} is down") },
            "startsAt": "2020-01-01T00:00:00Z" });
        if over {
            alert["endsAt"] = json!("2020-01-01T00:01:00Z");
        }
        let request = http().post(format!("http://{}/api/v2/alerts", self.address)).json(&json!([alert]));
        assert!(request.sent().await.unwrap().status().is_success());
    }
}

const PATIENCE: Duration = Duration::from_mins(1);

async fn alarms(server: &Server) -> Vec<Value> {
    server.get("/api/v1/alarms").await["alarms"].as_array().unwrap().clone()
}

/// Waits until so many alarms are in this state.
async fn until(server: &Server, what: &str, state: &str, count: usize) {
    eventually(what, PATIENCE, async || {
        let all = alarms(server).await;
        (all.iter().filter(|alarm| alarm["state"] == state).count() == count).then_some(())
    })
    .await;
}

async fn two_real_alertmanagers_that_know_nothing_of_each_other(home: Home) {
    let server = home.start().await;
    let (mut a, mut b) = (Alertmanager::start(&server, None).await, Alertmanager::start(&server, None).await);
    a.tell("a1", false).await;
    until(&server, "A's alarm", "waiting", 1).await;
    b.tell("b1", false).await;
    until(&server, "B's alarm beside it", "waiting", 2).await;
    a.tell("a1", true).await;
    until(&server, "A's alarm is over", "resolved", 1).await;
    assert_eq!(alarms(&server).await.iter().filter(|alarm| alarm["state"] == "waiting").count(), 1, "B still burns");
    b.tell("b1", true).await;
    until(&server, "B's alarm is over", "resolved", 2).await;
    a.process.kill().await.unwrap();
    b.process.kill().await.unwrap();
}

async fn two_real_alertmanagers_of_one_cluster(home: Home) {
    let server = home.start().await;
    let (first, second) = (reserve_port(), reserve_port());
    let mut a = Alertmanager::start(&server, Some((first, None))).await;
    let mut b = Alertmanager::start(&server, Some((second, Some(first)))).await;
    eventually("they know each other", PATIENCE, async || (a.peers().await == 2 && b.peers().await == 2).then_some(())).await;
    a.tell("x", false).await;
    b.tell("x", false).await;
    until(&server, "one alarm", "waiting", 1).await;
    // The peer that had told of it goes away; the other one tells that it is over.
    let told_by_a = alarms(&server).await[0]["details"].as_str().unwrap().contains(&a.address);
    let (gone, left) = if told_by_a { (&mut a, &mut b) } else { (&mut b, &mut a) };
    eventually("the other one knows it", PATIENCE, async || left.heard_from_its_peer().await.then_some(())).await;
    gone.process.kill().await.unwrap();
    left.tell("x", true).await;
    until(&server, "it is over", "resolved", 1).await;
    assert_eq!(alarms(&server).await.len(), 1);
    left.process.kill().await.unwrap();
}

/// Alerts with fingerprints, as Alertmanager numbers them.
fn many(status: &str, count: usize, description: &str) -> Vec<Value> {
    let one = |number: usize| {
        json!({
            "status": status, "labels": { "alertname": "TargetDown", "instance": format!("10.0.0.{number}:9100"), "severity": "critical" },
            "annotations": { "summary": format!("Target {number} is down"), "description": description, "phones": A },
            "startsAt": "2026-11-20T02:30:00Z", "endsAt": NEVER, "fingerprint": format!("{number:016x}"),
        })
    };
    (0..count).map(one).collect()
}

async fn a_group_of_a_thousand_alerts_rings_and_ends(home: Home) {
    let server = home.start().await;
    let description = "A target of job node cannot be reached; look at the switch first.";
    let body = message("firing", "am", &many("firing", 1000, description));
    assert!(body.to_string().len() > 256 * 1024);
    let (outcome, id) = send(&server, &body).await;
    assert_eq!(outcome, "created");
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["priority"], "critical");
    assert!(alarm["summary"].as_str().unwrap().starts_with("[1000] "), "{}", alarm["summary"]);
    assert!(alarm["details"].as_str().unwrap().contains("900 more"), "the rest is counted: {}", alarm["details"]);
    assert_eq!(send(&server, &body).await.0, "repeated");
    assert_eq!(send(&server, &message("resolved", "am", &many("resolved", 1000, description))).await.0, "resolved");
    assert_eq!(server.state(&id).await, "resolved");
}

async fn ten_thousand_alerts_are_one_alarm(home: Home) {
    let server = home.start().await;
    let body = message("firing", "am", &many("firing", 10_000, &"x".repeat(150)));
    assert!(body.to_string().len() > 4 << 20);
    let (outcome, id) = send(&server, &body).await;
    assert_eq!(outcome, "created");
    // All but the last are over, and the last one burns on.
    let mut half = many("resolved", 10_000, "");
    half[9_999]["status"] = json!("firing");
    assert_eq!(send(&server, &message("firing", "am", &half)).await, ("repeated".to_owned(), id.clone()));
    assert_eq!(server.state(&id).await, "waiting");
    send(&server, &message("resolved", "am", &half[9_999..])).await;
    assert_eq!(server.state(&id).await, "resolved");
}

async fn beyond_every_size_it_rings_under_the_receivers_name(home: Home) {
    let server = home.start().await;
    let padding = "x".repeat(100 * 1024);
    let body = message("firing", "am", &many("firing", 700, &padding)).to_string();
    assert!(body.len() > 64 << 20);
    // Alertmanager writes the receiver and the status first and the key of the group last.
    let (status, answer) = raw(&server, "/api/v1/intake/alertmanager", &[], in_alertmanagers_order(&body)).await;
    assert_eq!((status, answer["alarms"][0]["outcome"].as_str()), (200, Some("created")), "{answer}");
    let id = answer["alarms"][0]["id"].as_str().unwrap();
    let alarm = server.alarm(id).await;
    let text = format!("{} {}", alarm["summary"], alarm["details"]);
    assert!(text.contains("autocall") && text.contains("could not be read whole"), "{text}");
    let body = message("resolved", "am", &many("resolved", 700, &padding)).to_string();
    let (status, answer) = raw(&server, "/api/v1/intake/alertmanager", &[], in_alertmanagers_order(&body)).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(server.state(id).await, "resolved", "a recovery of any size ends it");
}

/// The members of a message in the order in which Alertmanager writes them.
fn in_alertmanagers_order(body: &str) -> Vec<u8> {
    let body: serde_json::Map<String, Value> = serde_json::from_str(body).unwrap();
    let order = [
        "receiver",
        "status",
        "alerts",
        "groupLabels",
        "commonLabels",
        "commonAnnotations",
        "externalURL",
        "version",
        "groupKey",
    ];
    let members: Vec<String> = order.iter().map(|name| format!("{}:{}", json!(name), body[*name])).collect();
    format!("{{{}}}", members.join(",")).into_bytes()
}

async fn alerts_left_out_by_the_sender_are_counted(home: Home) {
    let server = home.start().await;
    let mut body = firing("am", &["x", "y"]);
    body["truncatedAlerts"] = json!(7);
    let (_, id) = send(&server, &body).await;
    let alarm = server.alarm(&id).await;
    assert!(alarm["summary"].as_str().unwrap().starts_with("[9] "), "{}", alarm["summary"]);
    assert!(alarm["details"].as_str().unwrap().contains("7 more"), "{}", alarm["details"]);
    send(&server, &resolved("am", &["x"])).await;
    assert_eq!(server.state(&id).await, "resolved", "the group is over, whichever alerts are named");
}

async fn each_of_many_alerts_ends_by_its_fingerprint(home: Home) {
    let server = home.start().await;
    let post = async |body: &Value| server.post("/api/v1/intake/alertmanager?per=alert", body).await;
    let (status, raised) = post(&message("firing", "am", &many("firing", 120, ""))).await;
    assert_eq!(status, 200, "{raised}");
    assert_eq!(alarms(&server).await.iter().filter(|alarm| alarm["state"] == "waiting").count(), 50, "a page of them");
    let (status, _) = post(&message("resolved", "am", &many("resolved", 120, ""))).await;
    assert_eq!(status, 200);
    let open = server.get("/api/v1/alarms?state=waiting").await["alarms"].as_array().unwrap().len();
    assert_eq!(open, 0, "none is left, also of those that had no alarm of their own");
}

async fn a_long_alarm_is_cut_and_says_so(home: Home) {
    let server = home.start().await;
    let labels: serde_json::Map<String, Value> = (0..80).map(|n| (format!("label{n}"), json!("v".repeat(2_500)))).collect();
    let body = json!({ "summary": "s".repeat(1_500), "details": "d".repeat(25_000), "labels": labels, "phones": [A],
        "dedup_key": "k".repeat(700), "source": "q".repeat(300) });
    let (status, alarm) = server.post("/api/v1/alarms", &body).await;
    assert_eq!(status, 201, "{alarm}");
    assert_eq!(alarm["summary"].as_str().unwrap().chars().count(), 1_000);
    assert_eq!(alarm["details"].as_str().unwrap().chars().count(), 20_000);
    assert_eq!(alarm["labels"].as_object().unwrap().len(), 64);
    let whole = server.alarm(alarm["id"].as_str().unwrap()).await;
    let changed =
        whole["timeline"].as_array().unwrap().iter().find(|event| event["kind"] == "cleaned").cloned().unwrap_or_default();
    for field in ["summary", "details", "labels", "source"] {
        assert!(changed["body"].to_string().contains(field), "{field}: {changed}");
    }
    // Two long keys that differ at the end are two alarms, and the same one is a repeat.
    assert_eq!(server.post("/api/v1/alarms", &body).await.0, 200);
    let mut other = body.clone();
    other["dedup_key"] = json!(format!("{}x", "k".repeat(699)));
    assert_eq!(server.post("/api/v1/alarms", &other).await.0, 201);
}

async fn refusals_are_counted_by_sender_and_reason(home: Home) {
    let server = home.start().await;
    let key = server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| {
            autocall::keep::keys::add(work, "zabbix", &[], server.home.config().default_region).await
        })
        .await
        .unwrap();
    for _ in 0..2 {
        let refused = http().post(format!("{}/api/v1/alarms", server.base)).bearer_auth(&key).json(&json!({ "summary": "" }));
        assert_eq!(refused.sent().await.unwrap().status(), 422);
    }
    let refused = http().post(format!("{}/api/v1/intake/alertmanager", server.base)).bearer_auth(&key).body("{");
    assert_eq!(refused.sent().await.unwrap().status(), 400);
    let refused = http().post(format!("{}/api/v1/call", server.base)).bearer_auth(&key).body("{}");
    assert_eq!(refused.sent().await.unwrap().status(), 400);
    let metrics = http().get(format!("{}/metrics", server.base)).sent().await.unwrap().text().await.unwrap();
    let count = |reason: &str| {
        let line = metrics
            .lines()
            .find(|line| line.starts_with("autocall_refusals_total") && line.contains(reason) && line.contains("zabbix"));
        line.and_then(|line| line.rsplit_once(' ')).map(|(_, count)| count.to_owned())
    };
    assert_eq!(count("invalid_field").as_deref(), Some("2"), "{metrics}");
    assert_eq!(count("malformed_json").as_deref(), Some("1"), "{metrics}");
    server.pass(60).await;
    let server = server.restart().await;
    let counted = server.app.engine.store.read().await.unwrap().db().refusals().await.unwrap();
    let of = |reason: &str| counted.iter().find(|row| row.sender == "zabbix" && row.reason == reason).map(|row| row.refused);
    assert_eq!((of("invalid_field"), of("malformed_json")), (Some(2), Some(1)), "{counted:?}");
}

/// Raises a group of one alert by message, which A answers.
async fn answered_group(server: &Server, desk: &str) -> String {
    let (_, id) = send(server, &firing("am", &["db1"])).await;
    let (mid, phones) = server.app_dial(desk).await;
    assert_eq!(phones, [A]);
    server.report(desk, &mid, Some(A)).await;
    assert_eq!(server.state(&id).await, "answered");
    id
}

async fn a_worse_alert_rings_whoever_took_the_group(home: Home) {
    let (room, url) = Room::open().await;
    let server = home.set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8").start().await;
    add(&server, &url, WebhookShape::Slack, &[NoticeKind::Raised], "en").await;
    let desk = server.pair("desk", Profile::App).await;
    let mut group = message("firing", "am", &[alert("firing", "db1", "warning")]);
    group["alerts"][0]["annotations"]["phones"] = json!(format!("{B},{A}"));
    let (_, id) = send(&server, &group).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, None).await;
    server.pass(80).await;
    let (mid, phones) = server.app_dial(&desk).await;
    assert_eq!(phones, [A]);
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.state(&id).await, "answered");
    server.pass(80).await;
    let mut worse = alert("firing", "db3", "critical");
    worse["annotations"]["phones"] = json!(format!("{B},{A}"));
    group["alerts"].as_array_mut().unwrap().push(worse);
    assert_eq!(send(&server, &group).await, ("repeated".to_owned(), id.clone()));
    let alarm = server.alarm(&id).await;
    assert_eq!((alarm["state"].as_str(), alarm["priority"].as_str()), (Some("waiting"), Some("critical")));
    assert!(alarm["details"].as_str().unwrap().contains("db3 is down"), "its text is kept: {}", alarm["details"]);
    assert_eq!(server.app_dial(&desk).await.1, [A], "whoever answered last is rung first");
    deliver(&server).await;
    let texts = room.texts();
    assert_eq!(texts.len(), 2, "a notice goes out: {texts:?}");
    // It is never less urgent while it is open.
    send(&server, &message("firing", "am", &[alert("firing", "db1", "warning")])).await;
    assert_eq!(server.alarm(&id).await["priority"], "critical");
}

async fn a_new_alert_rings_at_most_once_in_a_while(home: Home) {
    let (room, url) = Room::open().await;
    let server = home.set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8").start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = answered_group(&server, &desk).await;
    add(&server, &url, WebhookShape::Slack, &[NoticeKind::Raised], "en").await;
    server.pass(300).await;
    send(&server, &firing("am", &["db1", "db2"])).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["state"], "answered", "not before a quarter of an hour");
    assert!(alarm["details"].as_str().unwrap().contains("db2 is down"), "{}", alarm["details"]);
    server.pass(601).await;
    assert_eq!(server.state(&id).await, "waiting", "what nobody has taken is rung then");
    deliver(&server).await;
    assert_eq!(room.texts().len(), 1, "and told: {:?}", room.texts());
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    server.pass(901).await;
    send(&server, &firing("am", &["db1", "db2"])).await;
    assert_eq!(server.state(&id).await, "answered", "nothing is new in it");
    send(&server, &firing("am", &["db1", "db2", "db4"])).await;
    assert_eq!(server.app_dial(&desk).await.1, [A]);
}

async fn a_new_alert_rings_nobody_where_that_is_off(home: Home) {
    let server = home.set("AUTOCALL_ALARMS_RING_FOR_NEW", "false").start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = answered_group(&server, &desk).await;
    server.pass(3600).await;
    send(&server, &firing("am", &["db1", "db2"])).await;
    let alarm = server.alarm(&id).await;
    assert_eq!(alarm["state"], "answered");
    assert!(alarm["details"].as_str().unwrap().contains("db2 is down"));
    let worse = message("firing", "am", &[alert("firing", "db1", "critical")]);
    send(&server, &worse).await;
    assert_eq!(server.app_dial(&desk).await.1, [A], "what is worse rings all the same");
}

async fn raise(server: &Server, key: &str, priority: &str) -> Value {
    let body =
        json!({ "summary": format!("{key} {priority}"), "phones": [A], "dedup_key": key, "priority": priority, "attempts": 1 });
    let (status, alarm) = server.post("/api/v1/alarms", &body).await;
    assert!(status < 300, "{alarm}");
    alarm
}

async fn a_worse_repeat_rings_through_a_snooze(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    for answered in [true, false] {
        let key = format!("disk-{answered}");
        let id = raise(&server, &key, "normal").await["id"].as_str().unwrap().to_owned();
        if answered {
            let (mid, _) = server.app_dial(&desk).await;
            server.report(&desk, &mid, Some(A)).await;
        }
        let (status, snoozed) = server.post(&format!("/api/v1/alarms/{id}/snooze"), &json!({ "for_seconds": 7200 })).await;
        assert_eq!(status, 200, "{snoozed}");
        server.pass(80).await;
        raise(&server, &key, "normal").await;
        server.app_idle(&desk).await;
        raise(&server, &key, "high").await;
        let (mid, phones) = server.app_dial(&desk).await;
        assert_eq!(phones, [A]);
        server.report(&desk, &mid, Some(A)).await;
        let alarm = server.alarm(&id).await;
        assert_eq!(alarm["state"], "answered");
        assert!(alarm["timeline"].to_string().contains(&format!("{key} high")), "{alarm}");
    }
}

async fn a_worse_repeat_does_not_wait_for_who_is_to_confirm(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let body = |priority: &str| json!({ "summary": priority, "phones": [A], "dedup_key": "disk", "priority": priority, "confirm_within_seconds": 3600 });
    let (_, alarm) = server.post("/api/v1/alarms", &body("normal")).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    server.pass(80).await;
    server.post("/api/v1/alarms", &body("normal")).await;
    server.app_idle(&desk).await;
    server.post("/api/v1/alarms", &body("high")).await;
    assert_eq!(server.app_dial(&desk).await.1, [A], "A picked up when it was less urgent");
    let timeline = server.alarm(alarm["id"].as_str().unwrap()).await["timeline"].to_string();
    assert!(timeline.contains("\"why\":\"worse\""), "{timeline}");
}

async fn a_worse_repeat_waits_for_maintenance_and_goes_by_quiet_hours(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = raise(&server, "db", "low").await["id"].as_str().unwrap().to_owned();
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    // 03:01 UTC: in Shanghai it is eleven.
    let quiet = json!({ "quiet_hours": [{ "from": "10:00", "to": "12:00", "zone": "Asia/Shanghai", "up_to": "normal" }] });
    let (status, answer) = server.put("/api/v1/quiet-hours", &quiet).await;
    assert_eq!(status, 200, "{answer}");
    server.pass(80).await;
    raise(&server, "db", "normal").await;
    server.app_idle(&desk).await;
    assert_eq!(server.state(&id).await, "waiting", "it is worse, and not so bad that it may wake anybody");
    raise(&server, "db", "high").await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    let window = json!({ "reason": "new switch", "ends_at": server.now() + TimeDelta::minutes(60), "labels": { "rack": "r1" } });
    assert_eq!(server.post("/api/v1/maintenance", &window).await.0, 201);
    let held = json!({ "summary": "held", "phones": [A], "dedup_key": "db", "priority": "critical", "labels": { "rack": "r1" } });
    server.post("/api/v1/alarms", &held).await;
    server.pass(80).await;
    server.app_idle(&desk).await;
    server.pass(3600).await;
    assert_eq!(server.app_dial(&desk).await.1, [A]);
}

async fn three_hundred_that_get_worse_are_one_hunt(home: Home) {
    let server = home.set("AUTOCALL_ALARMS_JOIN_WINDOW_SECONDS", "120").start().await;
    let desk = server.pair("desk", Profile::App).await;
    for number in 0..30 {
        raise(&server, &format!("disk{number}"), "normal").await;
    }
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    server.pass(80).await;
    for number in 0..30 {
        raise(&server, &format!("disk{number}"), "high").await;
    }
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    let answered = server.get("/api/v1/alarms?state=answered").await["alarms"].as_array().unwrap().len();
    assert_eq!(answered, 30, "one call for all of them");
    server.pass(80).await;
    server.app_idle(&desk).await;
}

async fn each_alert_says_what_tells_it_apart(home: Home) {
    let server = home.start().await;
    let body: Value = serde_json::from_str(include_str!("../../../fixtures/alertmanager/one-summary-for-all.json")).unwrap();
    let (status, answer) = server.post(&format!("/api/v1/intake/alertmanager?phones={A}"), &body).await;
    assert_eq!(status, 200, "{answer}");
    let alarm = server.alarm(answer["alarms"][0]["id"].as_str().unwrap()).await;
    let details = alarm["details"].as_str().unwrap();
    for part in [
        "namespace=pay",
        "pod=api-1",
        "namespace=auth",
        "pod=ldap-0",
        "Pod auth/ldap-0 is waiting.",
        "https://runbooks.example/crash",
    ] {
        assert!(details.contains(part), "{part} is missing: {details}");
    }
    assert!(!details.contains("severity="), "what all have in common tells nothing apart: {details}");
}

async fn grafana_is_understood(home: Home) {
    let server = home.start().await;
    let body: Value = serde_json::from_str(include_str!("../../../fixtures/grafana/firing.json")).unwrap();
    for path in ["alertmanager", "grafana", "grafana/"] {
        let (status, answer) = server.post(&format!("/api/v1/intake/{path}?phones={A}"), &body).await;
        assert_eq!(status, 200, "{path}: {answer}");
    }
    let put = http().put(format!("{}/api/v1/intake/grafana?phones={A}", server.base)).json(&body).sent().await.unwrap();
    assert_eq!(put.status(), 200, "Grafana can be told to PUT");
    let all = alarms(&server).await;
    assert_eq!((all.len(), all[0]["repeats"].as_i64()), (1, Some(3)));
    assert!(all[0]["summary"].as_str().unwrap().contains("RabbitMQ diskspace"), "{}", all[0]["summary"]);
    let mut test = body.clone();
    test["alerts"][0]["labels"] = json!({ "alertname": "TestAlert", "instance": "Grafana" });
    test["groupKey"] = json!("test");
    let (status, answer) = server.post(&format!("/api/v1/intake/grafana?phones={A}"), &test).await;
    assert_eq!((status, answer["alarms"][0]["outcome"].as_str()), (200, Some("test")), "{answer}");
    assert_eq!(alarms(&server).await.len(), 1, "a test rings nobody");
    let (_, answer) = server.post(&format!("/api/v1/intake/grafana?phones={A}&test=ring"), &test).await;
    assert_eq!(answer["alarms"][0]["outcome"], "created", "unless it is asked to");
}

async fn a_blank_annotation_names_nothing(home: Home) {
    let server = home.start().await;
    let mut body = firing("am", &["db1"]);
    body["alerts"][0]["annotations"] =
        json!({ "summary": " \n", "title": "", "description": "db1 cannot be reached", "phones": A });
    let (_, id) = send(&server, &body).await;
    assert_eq!(server.alarm(&id).await["summary"], "db1 cannot be reached");
    let mut body = firing("am-2", &["db2"]);
    body["alerts"][0]["annotations"] = json!({ "summary": "", "message": null, "phones": A });
    let (_, id) = send(&server, &body).await;
    let summary = server.alarm(&id).await["summary"].as_str().unwrap().to_owned();
    assert!(summary.contains("NodeDown"), "{summary}");
}

async fn what_flaps_is_damped_once_a_human_has_confirmed(home: Home) {
    let (room, url) = Room::open().await;
    let server = home.set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8").start().await;
    add(&server, &url, WebhookShape::Slack, &NoticeKind::ALL, "en").await;
    let desk = server.pair("desk", Profile::App).await;
    let id = answered_group(&server, &desk).await;
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &json!({ "number": A })).await.0, 200);
    for _ in 0..3 {
        assert_eq!(send(&server, &resolved("am", &["db1"])).await.0, "resolved");
        server.pass(120).await;
        assert_eq!(send(&server, &firing("am", &["db1"])).await, ("reopened".to_owned(), id.clone()));
        assert_eq!(server.state(&id).await, "answered");
        server.app_idle(&desk).await;
    }
    let alarm = server.alarm(&id).await;
    assert!(alarm["timeline"].to_string().contains("flapping"), "{alarm}");
    // The server's own sender may have taken it, and be about to tell it.
    let told = autocall_tests::wait::eventually("it is told", std::time::Duration::from_secs(30), async || {
        deliver(&server).await;
        let told = room.texts();
        told.iter().any(|text| text.contains("comes and goes")).then_some(told)
    });
    let told = told.await;
    assert_eq!(told.iter().filter(|text| text.contains("comes and goes")).count(), 1, "told once: {told:?}");
    assert!(told.iter().collect::<HashSet<_>>().len() == told.len(), "nothing else is told at each turn: {told:?}");
    // Worse: it rings.
    send(&server, &resolved("am", &["db1"])).await;
    server.pass(60).await;
    send(&server, &message("firing", "am", &[alert("firing", "db1", "high")])).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    assert_eq!(server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &json!({ "number": A })).await.0, 200);
    // After a quarter of an hour: it rings.
    server.pass(840).await;
    send(&server, &resolved("am", &["db1"])).await;
    server.pass(120).await;
    send(&server, &firing("am", &["db1"])).await;
    assert_eq!(server.app_dial(&desk).await.1, [A]);
    // Ten minutes and more after its end it is another alarm.
    send(&server, &resolved("am", &["db1"])).await;
    server.pass(601).await;
    let (outcome, other) = send(&server, &firing("am", &["db1"])).await;
    assert_eq!(outcome, "created");
    assert_ne!(other, id);
}

async fn what_flaps_rings_when_only_the_line_had_connected(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let id = answered_group(&server, &desk).await;
    send(&server, &resolved("am", &["db1"])).await;
    server.pass(120).await;
    assert_eq!(send(&server, &firing("am", &["db1"])).await, ("reopened".to_owned(), id.clone()));
    assert_eq!(server.app_dial(&desk).await.1, [A], "it may have been a voicemail");
    assert_eq!(alarms(&server).await.len(), 1);
    // The same of a plain sender, that nobody had answered at all.
    let (_, first) = server.post("/api/v1/alarms", &json!({ "summary": "q", "phones": [B], "dedup_key": "q" })).await;
    assert_eq!(server.post("/api/v1/alarms/resolve", &json!({ "dedup_key": "q" })).await.0, 200);
    server.pass(60).await;
    let (status, again) = server.post("/api/v1/alarms", &json!({ "summary": "q", "phones": [B], "dedup_key": "q" })).await;
    assert_eq!((status, &again["id"], again["state"].as_str()), (200, &first["id"], Some("waiting")));
}

async fn what_flaps_and_is_critical_always_rings(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let group = message("firing", "am", &[alert("firing", "db1", "critical")]);
    let (_, id) = send(&server, &group).await;
    let (mid, _) = server.app_dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &json!({ "number": A })).await;
    send(&server, &resolved("am", &["db1"])).await;
    server.pass(100).await;
    send(&server, &group).await;
    assert_eq!(server.app_dial(&desk).await.1, [A]);
}

async fn a_plain_sender_says_that_it_is_over(home: Home) {
    let server = home.start().await;
    let desk = server.pair("desk", Profile::App).await;
    let region = server.home.config().default_region;
    let key = server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| autocall::keep::keys::add(work, "other", &[], region).await)
        .await
        .unwrap();
    let id = raise(&server, "disk", "normal").await["id"].as_str().unwrap().to_owned();
    let (mid, _) = server.app_dial(&desk).await;
    // Another sender's key of the same name, and its id, are not this alarm.
    let as_other = |path: &str| http().post(format!("{}{path}", server.base)).bearer_auth(&key);
    let foreign: Value =
        as_other("/api/v1/alarms/resolve").json(&json!({ "dedup_key": "disk" })).sent().await.unwrap().json().await.unwrap();
    assert_eq!(foreign["outcome"], "nothing_open", "{foreign}");
    assert_eq!(as_other(&format!("/api/v1/alarms/{id}/resolve")).sent().await.unwrap().status(), 404);
    assert_eq!(server.state(&id).await, "ringing");
    let (status, over) = server.post("/api/v1/alarms/resolve", &json!({ "dedup_key": "disk" })).await;
    assert_eq!(
        (status, over["outcome"].as_str(), over["alarm"]["id"].as_str()),
        (200, Some("resolved"), Some(id.as_str())),
        "{over}"
    );
    assert_eq!((server.state(&id).await.as_str(), server.outcomes(&id).await), ("resolved", vec!["superseded".to_owned()]));
    server.report(&desk, &mid, None).await;
    // Told again, it changes nothing.
    let (status, over) = server.post("/api/v1/alarms/resolve", &json!({ "dedup_key": "disk" })).await;
    assert_eq!((status, over["outcome"].as_str()), (200, Some("nothing_open")));
    for _ in 0..2 {
        assert_eq!(server.post(&format!("/api/v1/alarms/{id}/resolve"), &json!({})).await.0, 200);
    }
    let timeline = server.alarm(&id).await["timeline"].to_string();
    assert_eq!(timeline.matches("\"kind\":\"resolved\"").count(), 1, "{timeline}");
    let other = raise(&server, "queue", "normal").await["id"].as_str().unwrap().to_owned();
    assert_eq!(server.post(&format!("/api/v1/alarms/{other}/resolve"), &json!({})).await.1["state"], "resolved");
    let (status, problem) = server.post("/api/v1/alarms/resolve", &json!({})).await;
    assert_eq!((status, problem["field"].as_str()), (422, Some("dedup_key")));
}

/// The same alarm in gzip, made with the tool itself.
pub async fn gzipped(body: &[u8]) -> Vec<u8> {
    use tokio::io::AsyncWriteExt;
    let mut gzip = tokio::process::Command::new("gzip").arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut into = gzip.stdin.take().unwrap();
    let body = body.to_vec();
    let writing = tokio::spawn(async move { into.write_all(&body).await });
    let packed = gzip.wait_with_output().await.unwrap().stdout;
    writing.await.unwrap().unwrap();
    packed
}

async fn an_alarm_is_taken_whatever_it_is_wrapped_in(home: Home) {
    let server = home.start().await;
    let plain = format!(r#"{{"summary":"disk full","phones":["{A}"]}}"#);
    let nulls = format!(
        r#"{{"summary":"disk full","details":null,"source":null,"dedup_key":null,"priority":null,"labels":{{"host":"db1","rack":null}},
            "mode":null,"until":null,"ring":null,"attempts":null,"dry_run":null,"policy":null,"phones":["{A}"]}}"#
    );
    let bodies: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a byte order mark", [b"\xef\xbb\xbf".as_slice(), plain.as_bytes()].concat(), "disk full"),
        ("nulls", nulls.into_bytes(), "disk full"),
        ("colours", format!(r#"{{"summary":"\u001b[31mdisk\u001b[0m full\u0000","phones":["{A}"]}}"#).into_bytes(), "disk full"),
        (
            "raw control characters",
            format!("{{\"summary\":\"disk\x1b[1m\x07 full\",\"phones\":[\"{A}\"]}}").into_bytes(),
            "disk full",
        ),
        ("a raw line break", format!("{{\"summary\":\"disk\nfull\",\"phones\":[\"{A}\"]}}").into_bytes(), "disk\nfull"),
        ("a lone surrogate", format!(r#"{{"summary":"disk \ud83d full","phones":["{A}"]}}"#).into_bytes(), "disk \u{fffd} full"),
        ("a pair", format!(r#"{{"summary":"disk \ud83d\udd25 full","phones":["{A}"]}}"#).into_bytes(), "disk 🔥 full"),
        (
            "no UTF-8",
            [b"{\"summary\":\"disk f\xfcll\",\"phones\":[\"".as_slice(), A.as_bytes(), b"\"]}"].concat(),
            "disk f\u{fffd}ll",
        ),
    ];
    for (what, body, summary) in bodies {
        let (status, alarm) = raw(&server, "/api/v1/alarms", &[], body).await;
        assert_eq!((status, alarm["summary"].as_str()), (201, Some(summary)), "{what}: {alarm}");
        let whole = server.alarm(alarm["id"].as_str().unwrap()).await;
        let said = whole["timeline"].as_array().unwrap().iter().any(|event| event["kind"] == "cleaned");
        assert_eq!(
            said,
            !matches!(what, "a byte order mark" | "nulls" | "a pair" | "a raw line break"),
            "{what}: {}",
            whole["timeline"]
        );
    }
    assert_eq!(raw(&server, "/api/v1/alarms/", &[], plain.clone().into_bytes()).await.0, 201, "a slash at the end");
    let packed = gzipped(plain.as_bytes()).await;
    assert_eq!(raw(&server, "/api/v1/alarms", &[("content-encoding", "gzip")], packed).await.0, 201);
    let group = gzipped(message("firing", "am", &many("firing", 3000, "")).to_string().as_bytes()).await;
    let (status, answer) = raw(&server, "/api/v1/intake/alertmanager", &[("content-encoding", "gzip")], group).await;
    assert_eq!((status, answer["alarms"][0]["outcome"].as_str()), (200, Some("created")), "{answer}");
    let mut group = firing("am-9", &["db1"]);
    group["commonAnnotations"] = Value::Null;
    group["alerts"][0]["labels"]["rack"] = Value::Null;
    group["truncatedAlerts"] = Value::Null;
    let marked = [b"\xef\xbb\xbf".as_slice(), group.to_string().as_bytes()].concat();
    assert_eq!(raw(&server, "/api/v1/intake/alertmanager/", &[], marked).await.0, 200);
    let beat = b"\xef\xbb\xbf{\"name\":\"backup\",\"period_seconds\":60,\"grace_seconds\":null,\"labels\":null,\"phones\":[\"18712345678\"]}";
    assert_eq!(raw(&server, "/api/v1/heartbeats", &[], beat.to_vec()).await.0, 201);
}

async fn what_cannot_be_read_is_refused_by_its_kind(home: Home) {
    let server = home.start().await;
    let plain = format!(r#"{{"summary":"disk full","phones":["{A}"]}}"#);
    let utf16: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [b"\xff\xfe".as_slice(), &utf16].concat();
    let utf16_be: Vec<u8> = plain.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let json = plain.clone().into_bytes();
    for path in ["/api/v1/alarms", "/api/v1/intake/alertmanager", "/api/v1/heartbeats"] {
        for (what, headers, body) in [
            ("utf-16", &[][..], &marked),
            ("utf-16 without a mark", &[][..], &utf16),
            ("utf-16, the other way round", &[][..], &utf16_be),
            ("said to be utf-16", &[("content-type", "application/json; charset=utf-16")][..], &utf16),
            ("brotli", &[("content-encoding", "br")][..], &json),
            ("unheard of", &[("content-encoding", "gzip, rot13")][..], &json),
        ] {
            let (status, problem) = raw(&server, path, headers, body.clone()).await;
            assert_eq!(status, 415, "{path} {what}: {problem}");
            let advice = if headers.iter().any(|(name, _)| *name == "content-encoding") { "gzip" } else { "UTF-8" };
            assert!(problem["detail"].as_str().unwrap().contains(advice), "{what}: {problem}");
        }
    }
    // A small parcel that is large inside.
    let bomb =
        gzipped(format!(r#"{{"summary":"disk full","details":"{}","phones":["{A}"]}}"#, "0".repeat(70 << 20)).as_bytes()).await;
    let (status, problem) = raw(&server, "/api/v1/alarms", &[("content-encoding", "gzip")], bomb).await;
    assert_eq!((status, problem["code"].as_str()), (413, Some("body_too_large")), "{problem}");
    let (status, problem) = raw(&server, "/api/v1/alarms", &[("content-encoding", "gzip")], b"no gzip".to_vec()).await;
    assert_eq!(status, 400, "{problem}");
    assert!(alarms(&server).await.is_empty());
}

async fn the_end_of_an_alarm_is_taken_at_any_length(home: Home) {
    let server = home.start().await;
    let long = "k".repeat(5 << 20);
    let alarm = json!({ "summary": "disk full", "phones": [A], "dedup_key": long });
    let (status, raised) = server.post("/api/v1/alarms", &alarm).await;
    assert_eq!(status, 201, "{raised}");
    let id = raised["id"].as_str().unwrap();
    let (status, over) = server.post("/api/v1/alarms/resolve", &json!({ "dedup_key": long })).await;
    assert_eq!((status, over["alarm"]["id"].as_str()), (200, Some(id)), "{}", over["detail"]);
}

async fn what_stands_beside_alerts_is_read_leniently(home: Home) {
    let server = home.start().await;
    for (number, (field, odd)) in [
        ("truncatedAlerts", json!(-1)),
        ("truncatedAlerts", json!("3")),
        ("truncatedAlerts", json!(1.5)),
        ("truncatedAlerts", json!(1e300)),
        ("truncatedAlerts", json!("many")),
        ("truncatedAlerts", json!([])),
        ("truncatedAlerts", json!(null)),
        ("orgId", json!("x")),
        ("receiver", json!(7)),
        ("externalURL", json!({})),
        ("version", json!(4)),
        ("groupKey", json!(5)),
        ("commonLabels", json!(null)),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = firing(&format!("am-{number}"), &["db1"]);
        body["groupKey"] = json!(format!("group {number}"));
        body[field] = odd.clone();
        let (status, answer) = server.post("/api/v1/intake/alertmanager", &body).await;
        assert_eq!((status, answer["alarms"][0]["outcome"].as_str()), (200, Some("created")), "{field} {odd}: {answer}");
        let alarm = server.alarm(answer["alarms"][0]["id"].as_str().unwrap()).await;
        if field == "truncatedAlerts" && odd == "3" {
            assert!(alarm["summary"].as_str().unwrap().starts_with("[4] "), "{alarm}");
        }
    }
}

async fn all_that_is_wrong_is_told_at_once(home: Home) {
    let server = home.start().await;
    let body = json!({ "summary": "", "phones": [A, "110", "x"], "attempts": 0, "mode": "random", "colour": "red" });
    let (status, problem) = server.post("/api/v1/alarms", &body).await;
    assert_eq!(status, 422);
    let pointers: Vec<&str> = problem["errors"].as_array().unwrap().iter().map(|one| one["pointer"].as_str().unwrap()).collect();
    for pointer in ["/summary", "/phones/1", "/phones/2", "/attempts", "/mode", "/colour"] {
        assert!(pointers.contains(&pointer), "{pointer} is missing: {problem}");
    }
    for error in problem["errors"].as_array().unwrap() {
        let detail = error["detail"].as_str().unwrap();
        assert!(
            !detail.contains("line 1 column") && !detail.contains('`') && !detail.contains("i32"),
            "the parser speaks: {detail}"
        );
    }
    // What is missing does not hide the rest, nor does what cannot be read.
    for (body, pointers) in [
        (json!({ "phones": ["abc"], "attempts": 99 }), ["/attempts", "/phones/0", "/summary"]),
        (json!({ "summary": 5, "phones": ["abc"], "attempts": 99 }), ["/attempts", "/phones/0", "/summary"]),
    ] {
        let (_, problem) = server.post("/api/v1/alarms", &body).await;
        let mut told: Vec<&str> =
            problem["errors"].as_array().unwrap().iter().map(|one| one["pointer"].as_str().unwrap()).collect();
        told.sort_unstable();
        assert_eq!(told, pointers, "{problem}");
    }
    let beat = json!({ "grace_seconds": "x", "phones": 5 });
    let (_, problem) = server.post("/api/v1/heartbeats", &beat).await;
    let told: Vec<&str> = problem["errors"].as_array().unwrap().iter().map(|one| one["pointer"].as_str().unwrap()).collect();
    for pointer in ["/name", "/period_seconds", "/grace_seconds", "/phones"] {
        assert_eq!(told.iter().filter(|one| **one == pointer).count(), 1, "{pointer}: {problem}");
    }
    let (_, problem) = raw(&server, "/api/v1/alarms", &[], b"{\"summary\":".to_vec()).await;
    assert!(!problem["detail"].as_str().unwrap().contains("EOF while parsing"), "{problem}");
    let (_, problem) =
        server.post("/api/v1/alarms", &json!({ "summary": "s", "phones": [A], "attempts": 99_999_999_999_u64 })).await;
    assert_eq!(problem["field"], "attempts");
    assert!(!problem["detail"].as_str().unwrap().contains("i32"), "{problem}");
}

async fn a_refusal_says_when_to_try_again(home: Home) {
    let server = home.start().await;
    let list = format!("{}/api/v1/alarms", server.base);
    let mut last = None;
    for _ in 0..25 {
        last = Some(http().get(&list).bearer_auth("ak_guess").sent().await.unwrap());
    }
    let refused = last.unwrap();
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    // Wrong tokens of one sender do not shut out the good one of another behind the same address.
    let body = json!({ "name": "backup", "period_seconds": 60, "phones": [A] });
    let (_, beat) = server.post("/api/v1/heartbeats", &body).await;
    let path = beat["ping_path"].as_str().unwrap().to_owned();
    for _ in 0..25 {
        http().get(format!("{}/api/v1/heartbeat/hb_guess", server.base)).sent().await.unwrap();
    }
    let server = server.restart().await;
    for _ in 0..25 {
        last_status(&server, "/api/v1/heartbeat/hb_guess").await;
    }
    assert_eq!(last_status(&server, "/api/v1/heartbeat/hb_guess").await, 429);
    let head = http().head(format!("{}{path}", server.base)).sent().await.unwrap();
    assert_eq!(head.status(), 405, "looking is no sign of life");
    assert_eq!(server.items("/api/v1/heartbeats").await[0]["state"], "new");
    assert_eq!(last_status(&server, &path).await, 200, "a good token is good, whoever guesses beside it");
}

async fn last_status(server: &Server, path: &str) -> u16 {
    http().get(format!("{}{path}", server.base)).sent().await.unwrap().status().as_u16()
}

/// Of a giant group it is megabytes. As long as its sender may still be trying to tell of it, and as long as the alarm is open, it is kept.
async fn what_burnt_is_forgotten_when_it_cannot_come_back(home: Home) {
    let server = home.start().await;
    let group = |name: &str, mut body: Value| {
        body["groupKey"] = json!(name);
        body
    };
    let (_, open) = send(&server, &group("open", firing("am-a", &["x"]))).await;
    let (_, over) = send(&server, &group("over", firing("am-a", &["y"]))).await;
    let (_, cancelled) = send(&server, &group("cancelled", firing("am-a", &["z"]))).await;
    assert_eq!(server.post(&format!("/api/v1/alarms/{cancelled}/cancel"), &json!({})).await.0, 200);
    send(&server, &group("over", resolved("am-a", &["y"]))).await;
    assert_eq!(server.state(&over).await, "resolved");
    assert_eq!(count(&server.home, "alarm_burning").await, 3);
    server.app.engine.forget_old().await.unwrap();
    assert_eq!(count(&server.home, "alarm_burning").await, 2, "nobody can open again what was cancelled");
    server.pass(3_601).await;
    server.app.engine.forget_old().await.unwrap();
    assert_eq!(count(&server.home, "alarm_burning").await, 1);
    // What burns is still known by who said so.
    assert_eq!(send(&server, &group("open", firing("am-b", &["x"]))).await, ("repeated".to_owned(), open.clone()));
    send(&server, &group("open", resolved("am-a", &["x"]))).await;
    assert_eq!(server.state(&open).await, "waiting", "that is not for this address to say");
    let (outcome, again) = send(&server, &group("over", firing("am-a", &["y"]))).await;
    assert_eq!((outcome.as_str(), again == over), ("created", false));
}
