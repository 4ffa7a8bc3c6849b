//! Scenario: of two nodes one freezes past the deadlines of what it has handed out, goes on as if nothing had been, and later dies.

use std::time::Duration;

use autocall_tests::wait::eventually;
use serde_json::Value;

use crate::{
    drill::{ALL_KINDS, Drill, Group, LONG, Nodes},
    installation::{Engine, Installation},
    ledger::shown,
    phones::{Habits, Kind},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_node_and_a_dead_one() {
    let mut drill = Drill::begin(Installation::new(Engine::Postgres).await).await;
    let mut nodes = Nodes::start(2, |_| drill.installation.options()).await;
    let servers = nodes.urls();
    let habits = Habits { patience: Duration::from_secs(1), ..Habits::default() };
    drill.phones(Group { name: "phone", count: 10, kinds: ALL_KINDS, servers: servers.clone(), habits: habits.clone() }).await;
    // These know only the node that freezes, and are in a call when it does.
    let slow = Habits { call: 800..1_500, pause: 10..30, ..habits };
    let kinds = &[Kind::App, Kind::Native];
    let pinned = drill.phones(Group { name: "pinned", count: 4, kinds, servers: servers[..1].to_vec(), habits: slow }).await;
    drill.apps(&servers).await;
    drill.alarms(100, Duration::from_millis(50), servers.clone());
    drill.is_under_load().await;

    for _ in 0..3 {
        drill.a_while(100..500).await;
        nodes.0[0].freeze();
        drill.a_while(200..2_500).await;
        nodes.0[0].thaw();
        drill.goes_on(2).await;
    }
    let left = loop {
        eventually("a phone of the first node to be in a call", LONG, async || {
            drill.ledger.are_calling(&pinned).first().map(drop)
        })
        .await;
        nodes.0[0].freeze();
        // Who is in a call now has told nothing to a node that still listens.
        let calls = drill.ledger.are_calling(&pinned);
        if !calls.is_empty() {
            break calls;
        }
        nodes.0[0].thaw();
    };
    drill.alarms(40, Duration::from_millis(100), servers[1..].to_vec());
    // Its deadline passes, or an answer that came through the other node makes it needless.
    let look = async || ended_of(&servers[1], &left).await.filter(|ended| *ended == left.len());
    eventually("the other node to end the dials of the frozen one", LONG, look).await;
    drill.alarms(40, Duration::from_millis(50), servers.clone());
    nodes.0[0].thaw();
    drill.goes_on(10).await;

    drill.a_while(0..300).await;
    nodes.0[0].kill_9();
    drill.goes_on(10).await;
    nodes.0[0].restart().await;
    drill.finish(&nodes.0[0]).await;
}

/// How many of these dials have ended, by the word of a node that works.
async fn ended_of(server: &str, dials: &[String]) -> Option<usize> {
    let http = autocall_tests::http_client().no_proxy().build().unwrap();
    let mut ended = 0;
    let page: Value = http.get(format!("{server}/api/v1/alarms?limit=200")).send().await.ok()?.json().await.ok()?;
    for alarm in page["alarms"].as_array()? {
        let url = format!("{server}/api/v1/alarms/{}", alarm["id"].as_str()?);
        let alarm: Value = http.get(url).send().await.ok()?.json().await.ok()?;
        let of_these = |dial: &&Value| {
            let name = dial["handset"].as_str().zip(dial["mid"].as_str());
            name.is_some_and(|(handset, mid)| dials.contains(&shown(handset, mid)))
        };
        ended += alarm["dials"].as_array()?.iter().filter(of_these).filter(|dial| !dial["outcome"].is_null()).count();
    }
    Some(ended)
}
