//! A handset that cannot be used: one alarm through another one, or the fallback notice, for each outage.

use autocall::engine::Doer;
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use serde_json::{Value, json};

use crate::harness::{B, Home, Server, on_both};
use crate::notices::{Room, add, deliver};
use autocall::kinds::notices::WebhookShape;
use autocall::store::lines::webhooks::NoticeKind;

on_both!(
    another_handset_rings_about_it_once,
    nobody_named_is_told_by_the_fallback,
    the_last_handset_is_told_of_at_once,
    who_comes_back_in_time_wakes_nobody,
    a_disabled_handset_is_no_outage,
    two_nodes_attend_to_it_once,
    a_handset_that_is_removed_needs_nobody_any_more,
    the_app_on_the_documented_path_is_missed_too,
    a_phone_that_is_paired_is_not_missed_under_its_old_name,
    who_only_says_how_it_is_is_missed,
);

async fn start(home: Home) -> Server {
    home.set("AUTOCALL_HANDSETS_OFFLINE_PHONES", B).set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8").start().await
}

/// Lets the watch run as the server does, every few seconds, while `alive` polls; the others are silent.
async fn watch(server: &Server, seconds: i64, alive: &[&str]) {
    for _ in 0..seconds / 10 {
        for path in alive {
            server.app_poll(path).await;
        }
        server.pass(10).await;
        look(server).await;
    }
}

async fn look(server: &Server) {
    server.app.engine.watch_handsets().await.unwrap();
    server.app.engine.attend_outages().await.unwrap();
}

async fn alarms(server: &Server) -> Vec<Value> {
    let all = server.get("/api/v1/alarms").await["alarms"].as_array().unwrap().clone();
    all.into_iter().filter(|alarm| alarm["source"] == "handset").collect()
}

async fn another_handset_rings_about_it_once(home: Home) {
    let server = start(home).await;
    let (desk, spare) = (server.pair("desk", Profile::App).await, server.pair("spare", Profile::App).await);
    server.app_poll(&desk).await;
    watch(&server, 150, &[&spare]).await;
    assert!(alarms(&server).await.is_empty(), "silent for so long, but not offline for two minutes");
    watch(&server, 20, &[&spare]).await;
    // The server's own watch works beside: whoever of the two sees it first raises the alarm.
    let all = autocall_tests::wait::eventually("it is rung about", std::time::Duration::from_secs(30), async || {
        look(&server).await;
        Some(alarms(&server).await).filter(|all| !all.is_empty())
    })
    .await;
    assert_eq!(all.len(), 1);
    assert_eq!((all[0]["summary"].as_str(), all[0]["priority"].as_str()), (Some("Handset desk is offline"), Some("high")));
    let (mid, phones) = server.app_dial(&spare).await;
    assert_eq!(phones, [B]);
    server.report(&spare, &mid, Some(B)).await;
    watch(&server, 600, &[&spare]).await;
    let all = alarms(&server).await;
    assert_eq!((all.len(), all[0]["repeats"].as_i64(), all[0]["state"].as_str()), (1, Some(0), Some("answered")));
    watch(&server, 100, &[&desk, &spare]).await;
    assert_eq!(alarms(&server).await[0]["state"], "resolved");
    watch(&server, 600, &[&spare]).await;
    assert_eq!(alarms(&server).await.len(), 2, "another outage, another alarm");
}

async fn nobody_named_is_told_by_the_fallback(home: Home) {
    let server = home.set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8").start().await;
    let (room, url) = Room::open().await;
    add(&server, &url, WebhookShape::Slack, &[NoticeKind::Fallback], "en").await;
    let (desk, spare) = (server.pair("desk", Profile::App).await, server.pair("spare", Profile::App).await);
    server.app_poll(&desk).await;
    watch(&server, 600, &[&spare]).await;
    deliver(&server).await;
    told(&server, &room, &["Handset desk cannot be used, and nobody is named to be rung about it."]).await;
    assert!(alarms(&server).await.is_empty());
}

/// Waits until the room was told exactly this.
async fn told(server: &Server, room: &Room, texts: &[&str]) {
    autocall_tests::wait::eventually("the room is told", std::time::Duration::from_secs(30), async || {
        deliver(server).await;
        (room.texts().len() >= texts.len()).then_some(())
    })
    .await;
    assert_eq!(room.texts(), texts);
}

async fn the_last_handset_is_told_of_at_once(home: Home) {
    let server = start(home).await;
    let (room, url) = Room::open().await;
    add(&server, &url, WebhookShape::Slack, &[NoticeKind::Fallback], "en").await;
    let desk = server.pair("desk", Profile::App).await;
    server.app_poll(&desk).await;
    watch(&server, 60, &[]).await;
    let text = "Handset desk cannot be used, and NO OTHER HANDSET IS LEFT. Nobody can be rung until one is back.";
    told(&server, &room, &[text]).await;
    watch(&server, 600, &[]).await;
    told(&server, &room, &[text]).await;
    assert!(alarms(&server).await.is_empty());
    watch(&server, 100, &[&desk]).await;
    watch(&server, 600, &[]).await;
    told(&server, &room, &[text, text]).await;
}

async fn who_comes_back_in_time_wakes_nobody(home: Home) {
    let server = start(home).await;
    let (desk, spare) = (server.pair("desk", Profile::App).await, server.pair("spare", Profile::App).await);
    for _ in 0..3 {
        server.app_poll(&desk).await;
        watch(&server, 100, &[&spare]).await;
    }
    assert!(alarms(&server).await.is_empty());
}

async fn a_disabled_handset_is_no_outage(home: Home) {
    let server = start(home).await;
    let (desk, spare) = (server.pair("desk", Profile::App).await, server.pair("spare", Profile::App).await);
    server.app_poll(&desk).await;
    watch(&server, 250, &[&spare]).await;
    assert_eq!(alarms(&server).await[0]["state"], "ringing");
    let mut tx = server.app.engine.store.begin().await.unwrap();
    assert!(tx.db().disable_handset("desk", server.now()).await.unwrap());
    tx.commit().await.unwrap();
    look(&server).await;
    assert_eq!(alarms(&server).await[0]["state"], "resolved");
}

/// A handset whose trunk is away asks for nothing, and goes on telling how it is: nobody can be rung through it.
async fn who_only_says_how_it_is_is_missed(home: Home) {
    let server = start(home).await;
    let (trunk, spare) = (server.pair("trunk", Profile::Native).await, server.pair("spare", Profile::App).await);
    crate::native::poll(&server, &trunk).await;
    for _ in 0..20 {
        crate::native::send(&server, "POST", "/h/trunk/status", Some(json!({ "network": "no trunk" }))).await;
        // A text that its SIM holds, and that no gateway takes.
        let text = json!({ "id": "t1", "from": B, "text": "hello", "received_at": "2026-11-20T03:00:00Z" });
        crate::native::send(&server, "POST", "/h/trunk/inbound", Some(text)).await;
        watch(&server, 10, &[&spare]).await;
    }
    let all = alarms(&server).await;
    assert_eq!(all.iter().map(|alarm| alarm["summary"].as_str().unwrap()).collect::<Vec<_>>(), ["Handset trunk is offline"]);
    crate::native::poll(&server, &trunk).await;
    look(&server).await;
    assert_eq!(alarms(&server).await[0]["state"], "resolved", "it asks again");
}

async fn two_nodes_attend_to_it_once(home: Home) {
    if !home.is_shared() {
        return;
    }
    let home = home.set("AUTOCALL_HANDSETS_OFFLINE_PHONES", B).set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8");
    let other = home.quiet_node().await;
    let server = home.start().await;
    let (room, url) = Room::open().await;
    add(&server, &url, WebhookShape::Slack, &[NoticeKind::Fallback], "en").await;
    let (desk, spare) = (server.pair("desk", Profile::App).await, server.pair("spare", Profile::App).await);
    server.app_poll(&desk).await;
    watch(&server, 100, &[&spare]).await;
    let first = server.app.engine.store.read().await.unwrap().db().open_outages().await.unwrap();
    assert_eq!(first.len(), 1, "desk is offline");
    for _ in 0..20 {
        server.home.clock.advance(chrono::TimeDelta::seconds(10));
        server.app_poll(&spare).await;
        server.app.engine.watch_handsets().await.unwrap();
        let (one, two) = tokio::join!(server.app.engine.attend_outages(), other.app.engine.attend_outages());
        one.unwrap();
        two.unwrap();
    }
    let all = alarms(&server).await;
    assert_eq!((all.len(), all[0]["repeats"].as_i64()), (1, Some(0)), "{}", json!(all));
    assert!(room.texts().is_empty());
    // The other one dies too, in the middle of the call that tells of the first.
    for _ in 0..60 {
        server.pass(10).await;
        server.app.engine.watch_handsets().await.unwrap();
        let (one, two) = tokio::join!(server.app.engine.attend_outages(), other.app.engine.attend_outages());
        one.unwrap();
        two.unwrap();
    }
    let text = "Handset spare cannot be used, and NO OTHER HANDSET IS LEFT. Nobody can be rung until one is back.";
    told(&server, &room, &[text]).await;
    deliver(&server).await;
    told(&server, &room, &[text]).await;
}

async fn a_handset_that_is_removed_needs_nobody_any_more(home: Home) {
    let server = start(home).await;
    let (desk, spare) = (server.pair("desk", Profile::App).await, server.pair("spare", Profile::App).await);
    server.app_poll(&desk).await;
    watch(&server, 210, &[&spare]).await;
    assert_eq!(alarms(&server).await.len(), 1);
    server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| autocall::keep::pairing::remove(work, "desk").await)
        .await
        .unwrap();
    look(&server).await;
    assert_eq!(alarms(&server).await[0]["state"], "resolved");
    assert!(server.app.engine.store.read().await.unwrap().db().open_outages().await.unwrap().is_empty());
}

/// A phone that needs no pairing, because its network is open, is one that people rely on.
async fn the_app_on_the_documented_path_is_missed_too(home: Home) {
    let server = home.set("AUTOCALL_HANDSETS_OFFLINE_PHONES", B).start().await;
    let tried = autocall_tests::http_client().no_proxy().build().unwrap();
    for _ in 0..90 {
        server.app_poll("/alert/phone").await;
        server.pass(10).await;
        look(&server).await;
    }
    tried.get(format!("{}/alert/phone", server.base)).header("model", "curl").sent().await.unwrap();
    for _ in 0..60 {
        server.pass(10).await;
        look(&server).await;
    }
    let handsets = server.app.engine.store.read().await.unwrap().db().handsets().await.unwrap();
    let offline: Vec<bool> = handsets.iter().map(|handset| handset.offline_since.is_some()).collect();
    assert_eq!(offline.iter().filter(|offline| **offline).count(), 1, "the app, and not who tried the path once: {handsets:?}");
}

async fn a_phone_that_is_paired_is_not_missed_under_its_old_name(home: Home) {
    let server = home.set("AUTOCALL_HANDSETS_OFFLINE_PHONES", B).start().await;
    for _ in 0..90 {
        server.app_poll("/alert/phone").await;
        server.pass(10).await;
        look(&server).await;
    }
    let desk = server.pair("desk", Profile::App).await;
    watch(&server, 1200, &[&desk]).await;
    let handsets = server.app.engine.store.read().await.unwrap().db().handsets().await.unwrap();
    assert!(handsets.len() == 2 && handsets.iter().all(|handset| handset.offline_since.is_none()), "{handsets:?}");
    assert!(alarms(&server).await.is_empty());
}
