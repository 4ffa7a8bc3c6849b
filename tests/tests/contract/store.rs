//! The store by itself: every statement on both engines, rows that a frozen node holds, idle polls from memory.

use std::time::Duration;

use autocall::handset::pairing::{self, Pairing};
use autocall::store::Store;
use autocall::store::handsets::Profile;
use autocall::telemetry::Poll;
use autocall_tests::wait::eventually;
use serde_json::json;

use crate::harness::{A, Home, Kind, QuietNode, on_both};

on_both!(every_statement_prepares, a_transaction_that_is_dropped_leaves_nothing, an_idle_poll_asks_nobody);

async fn every_statement_prepares(home: Home) {
    let server = home.start().await;
    for statement in Store::statements() {
        if let Err(error) = server.app.engine.store.prepare(statement).await {
            // Outside a transaction there is no savepoint to go back to; SQLite says so only when it runs.
            panic!("{}: {error}", statement.name);
        }
    }
}

async fn a_transaction_that_is_dropped_leaves_nothing(home: Home) {
    let server = home.start().await;
    server.raise(&[A], json!({})).await;
    let desk = server.pair("desk", Profile::App).await;
    {
        let mut tx = server.app.engine.store.begin().await.unwrap();
        let hunt = tx.db().lock_next_due(server.now(), autocall::ids::HandsetId::new(server.now())).await.unwrap().unwrap();
        tx.db().end_hunt(hunt.id, autocall::alarm::HuntOutcome::NoAnswer, None, server.now()).await.unwrap();
    }
    assert_eq!(server.dial(&desk).await.1, [A]);
}

async fn an_idle_poll_asks_nobody(home: Home) {
    idle_polls_ask_nobody(&[home.quiet_node().await]).await;
}

/// The same on three nodes that share one database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_poll_asks_nobody_on_three_nodes() {
    let home = Home::new(Kind::Shared).await;
    let nodes = [home.quiet_node().await, home.quiet_node().await, home.quiet_node().await];
    idle_polls_ask_nobody(&nodes).await;
}

/// The nodes' periodic work stands still, so whatever the counters show is the polls' own doing.
async fn idle_polls_ask_nobody(nodes: &[QuietNode]) {
    let pairing = Pairing::new("desk", &nodes[0].app.engine.config.handsets);
    let token = pairing::add(&nodes[0].app.engine.store, &pairing, nodes[0].app.engine.clock.now()).await.unwrap();
    let path = format!("/h/{token}/alert/phone");
    for node in nodes {
        assert_eq!(node.get(&path).await["code"], 1, "the first poll asks who this is");
        let engine = &node.app.engine;
        // The memory is trusted for five seconds; on a busy machine a hundred polls may take longer.
        for _ in 0..10 {
            engine.idle.refresh(&engine.store).await;
            let before = (engine.store.counters().connections(), engine.locks.counters().snapshot());
            for _ in 0..10 {
                assert_eq!(node.get(&path).await["code"], 1);
            }
            let after = (engine.store.counters().connections(), engine.locks.counters().snapshot());
            assert_eq!(before, after, "no round trip to the database or to Redis");
        }
        assert!(engine.metrics.polls.get(Poll::IdleMemory) >= 100);
    }
}

/// What one node is told, the others hand out: their memory is forgotten when the change is announced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_on_one_node_is_handed_out_by_another() {
    let home = Home::new(Kind::Shared).await;
    let other = home.second_node().await;
    let server = home.start().await;
    let desk = server.pair("desk", Profile::List).await;
    let poll =
        async || -> serde_json::Value { reqwest::get(format!("{}{desk}", other.base)).await.unwrap().json().await.unwrap() };
    assert_eq!(poll().await["code"], 1);
    let id = server.raise(&[A], json!({})).await;
    let body = eventually("the other node hands it out", Duration::from_secs(20), async || {
        let body = poll().await;
        (body["code"] == 0).then_some(body)
    })
    .await;
    assert_eq!(server.dial(&desk).await.0, body["mid"].as_str().unwrap(), "one dial, whichever node is asked");
    server.report(&desk, body["mid"].as_str().unwrap(), Some(A)).await;
    assert_eq!(server.state(&id).await, "answered");
}

/// A node that freezes inside a claim keeps its row locked for three seconds at most; then Postgres ends its session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_frozen_inside_a_claim_frees_its_row() {
    let server = Home::new(Kind::Shared).await.start().await;
    assert!(server.home.is_shared());
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A], json!({})).await;
    let mut frozen = server.app.engine.store.begin().await.unwrap();
    assert!(frozen.db().lock_next_due(server.now(), autocall::ids::HandsetId::new(server.now())).await.unwrap().is_some());
    server.idle(&desk).await;
    let body = eventually("the row is free again", Duration::from_secs(20), async || {
        let body = server.get(&desk).await;
        (body["code"] == 0).then_some(body)
    })
    .await;
    assert_eq!(body["phone"], json!([A]));
    assert_eq!(server.outcomes(&id).await, ["open"]);
    assert!(frozen.commit().await.is_err(), "the frozen node cannot finish what it began");
}
