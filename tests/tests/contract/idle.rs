//! When nothing happens: polls that are answered from memory before any route, and a server that asks its database next to nothing.

use autocall::store::watch::handsets::{IdleForm, Profile};
use autocall::store::watch::under_way::UnderWay;
use autocall::telemetry::Poll;
use axum::http::{HeaderMap, header};
use chrono::TimeDelta;
use serde_json::json;

use crate::harness::{A, APP, Home, Server, on_both};

on_both!(
    what_is_answered_at_once_is_what_the_routes_answer,
    a_poll_is_answered_at_once_only_while_there_is_nothing,
    a_server_at_rest_asks_once_a_second_what_there_is,
    what_begins_to_be_under_way_is_seen_by_the_next_tick,
);

/// A poll, as these programs send it, over a socket.
async fn over_the_wire(server: &Server, path: &str, agent: Option<&str>) -> (u16, HeaderMap, String) {
    let mut request = server.http.get(format!("{}{path}", server.base)).header("model", "Mi 9");
    if let Some(agent) = agent {
        request = request.header(header::USER_AGENT, agent);
    }
    let response = request.send().await.unwrap();
    let (status, mut headers) = (response.status().as_u16(), response.headers().clone());
    headers.remove(header::DATE);
    (status, headers, response.text().await.unwrap())
}

/// A path that ends with a slash goes through the routes, and means the same.
async fn what_is_answered_at_once_is_what_the_routes_answer(home: Home) {
    let server = home.set("AUTOCALL_HANDSETS_PLAIN_PATH", "always").start().await;
    let mut paths = vec!["/alert/phone".to_owned()];
    for (name, form) in [("plain", IdleForm::Plain), ("headless", IdleForm::HeadlessSafe)] {
        paths.push(server.pair_as(name, Profile::App, "CN", form).await);
    }
    for path in &paths {
        for agent in [Some(APP), Some("curl/8.5"), None] {
            // The first poll asks who this is.
            over_the_wire(&server, path, agent).await;
            server.app.engine.idle.refresh(&server.app.engine.store).await;
            let at_once = over_the_wire(&server, path, agent).await;
            let by_the_routes = over_the_wire(&server, &format!("{path}/"), agent).await;
            assert_eq!(at_once, by_the_routes, "{path} {agent:?}");
            assert_eq!(at_once.0, 200);
        }
    }
}

async fn a_poll_is_answered_at_once_only_while_there_is_nothing(home: Home) {
    let server = home.start().await;
    let path = server.pair("desk", Profile::App).await;
    server.idle(&path).await;
    let engine = &server.app.engine;
    let known = |server: &Server| server.app.engine.metrics.polls.get(Poll::IdleMemory);
    engine.idle.refresh(&engine.store).await;
    let before = known(&server);
    server.idle(&path).await;
    assert_eq!(known(&server), before + 1);
    // It is heard of: its silence counts from here.
    let seen = engine.store.read().await.unwrap().db().handsets().await.unwrap()[0].id;
    assert_eq!(engine.presence.last_asked(seen), Some(server.now()));
    // A token that is not known, one that is written badly, and something that is due.
    assert_eq!(server.http.get(format!("{}/h/nobody/alert/phone", server.base)).send().await.unwrap().status(), 404);
    server.raise(&[A], json!({})).await;
    let (mid, _) = server.dial(&path).await;
    assert_eq!(server.dial(&path).await.0, mid, "an open dial is given again");
    server.report(&path, &mid, Some(A)).await;
    engine.idle.refresh(&engine.store).await;
    server.idle(&path).await;
    // One that was silent is looked at.
    server.home.clock.advance(TimeDelta::hours(1));
    server.pass(1).await;
    engine.watch_handsets().await.unwrap();
    server.idle(&path).await;
    let back = engine.store.read().await.unwrap().db().handsets().await.unwrap();
    assert_eq!(back[0].offline_since, None, "that it is back is written down");
}

async fn a_server_at_rest_asks_once_a_second_what_there_is(home: Home) {
    let node = home.quiet_node().await;
    let engine = &node.app.engine;
    // The first one looks what was left from before.
    engine.tick().await.unwrap();
    engine.tick().await.unwrap();
    let there = *engine.under_way.borrow();
    assert_eq!(there, UnderWay::default());
    let before = engine.store.counters().connections();
    engine.tick().await.unwrap();
    let asked = engine.store.counters().connections() - before;
    assert_eq!(asked, 1, "what there is, and nothing of it");
    // And so does whoever looks after the handsets.
    let before = engine.store.counters().connections();
    engine.idle.refresh(&engine.store).await;
    assert_eq!(engine.store.counters().connections() - before, 1);
}

/// Nothing that a tick looks after is overlooked by the one question, and nothing is looked for that is over.
async fn what_begins_to_be_under_way_is_seen_by_the_next_tick(home: Home) {
    let server = home.start().await;
    let engine = &server.app.engine;
    let alarms = async || {
        engine.tick().await.unwrap();
        engine.under_way.borrow().alarms
    };
    let id = server.raise(&[A], json!({})).await;
    assert!(alarms().await, "an open alarm");
    let (status, body) = server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
    assert_eq!(status, 200, "{body}");
    // Words by which it is found and figures are written once more; then nothing is left of it.
    for _ in 0..3 {
        engine.tick().await.unwrap();
        engine.keep_figures(server.now()).await.unwrap();
    }
    assert!(!alarms().await, "all is over");
    assert_eq!(server.app.engine.metrics.open_hunts.get(), 0);
}
