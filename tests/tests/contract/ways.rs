//! One webhook or gateway that does not answer delays no other; what waits is counted and shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use autocall::ids::SmsId;
use autocall::kinds::notices::WebhookShape;
use autocall::store::lines::sms::{Purpose, SmsRow};
use autocall::store::lines::webhooks::NoticeKind;
use autocall_tests::described;
use autocall_tests::kept::Kept;
use autocall_tests::wait::eventually;
use serde_json::json;
use tokio::net::TcpListener;

use crate::gateway::{Gateway, near};
use crate::harness::{A, Home, Server, on_both};
use crate::notices::{Room, add, deliver};

on_both!(
    a_webhook_that_hangs_delays_no_other,
    a_gateway_that_hangs_delays_no_other,
    what_came_later_about_an_alarm_is_not_told_first,
    what_is_refused_with_a_rest_each_time_starves_nobody,
    what_waits_is_counted,
);

const SOON: Duration = Duration::from_mins(1);

/// Takes connections and never answers.
struct Hang {
    asked: Arc<AtomicUsize>,
    url: String,
}

impl Hang {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                held.push(listener.accept().await.unwrap());
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { asked, url }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

async fn a_webhook_that_hangs_delays_no_other(home: Home) {
    let server = near(home).start().await;
    let hang = Hang::open().await;
    add(&server, &hang.url, WebhookShape::Json, &[NoticeKind::Raised], "en").await;
    let (room, url) = Room::open().await;
    add(&server, &url, WebhookShape::Slack, &[NoticeKind::Raised], "en").await;
    for _ in 0..5 {
        server.raise(&[A], json!({})).await;
    }
    // The server's own sender tells them.
    eventually("the room hears all", SOON, async || (room.texts().len() == 5).then_some(())).await;
    assert!(hang.asked() < 4, "the room had to wait for {} tries of the other", hang.asked());
}

async fn a_gateway_that_hangs_delays_no_other(home: Home) {
    let server = near(home).start().await;
    let hang = Hang::open().await;
    let (phone, url) = Gateway::open().await;
    for (name, url) in [("hangs", &hang.url), ("phone", &url)] {
        let settings =
            json!({ "kind": "smsgate", "url": format!("{url}/message"), "user": "sms", "password": "secret", "sim": 1 });
        let (status, gateway) = server.post("/api/v1/sms/gateways", &json!({ "name": name, "settings": settings })).await;
        assert_eq!(status, 201, "{gateway}");
    }
    for name in ["hangs", "phone"] {
        for _ in 0..5 {
            text(&server, name).await;
        }
    }
    eventually("the phone is told all", SOON, async || (phone.sent().len() == 5).then_some(())).await;
    assert!(hang.asked() < 4, "the phone had to wait for {} tries of the other", hang.asked());
}

/// Puts a text message into the outbox of a gateway.
async fn text(server: &Server, gateway: &str) {
    let engine = &server.app.engine;
    let gateway = engine.gateway(gateway).await.unwrap();
    let sms = SmsRow {
        id: SmsId::new(server.now()),
        gateway_id: gateway.id,
        hand_over_id: None,
        number: "+8618712345678".to_owned(),
        text: "Alarm".to_owned(),
        code: None,
        created_at: server.now(),
        due_at: server.now(),
        attempts: 0,
        failures: 0,
        sentence: None,
        purpose: Purpose::Command,
        expires_at: None,
    };
    let mut tx = engine.store.begin().await.unwrap();
    tx.db().insert_sms(&sms).await.unwrap();
    tx.commit().await.unwrap();
}

/// "Lin takes care of it" before "there is an alarm" would make no sense; but what is refused again and again must not hold the rest.
async fn what_came_later_about_an_alarm_is_not_told_first(home: Home) {
    let server = near(home).start().await;
    let (room, url) = Room::open().await;
    add(&server, &url, WebhookShape::Slack, &[NoticeKind::Raised, NoticeKind::Confirmed], "en").await;
    room.answer_with(500, "");
    let id = server.raise(&[A], json!({})).await;
    let told = async |count: usize| {
        eventually("it is told", SOON, async || {
            deliver(&server).await;
            (room.texts().len() >= count).then_some(())
        })
        .await;
        deliver(&server).await;
        assert_eq!(room.texts().len(), count, "{:?}", room.texts());
    };
    told(1).await;
    server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &json!({ "name": "Lin" })).await;
    told(1).await;
    server.pass(6).await;
    told(2).await;
    server.pass(11).await;
    // The first was refused three times.
    told(4).await;
    assert!(room.texts()[..3].iter().all(|text| text.starts_with("Alarm:")), "{:?}", room.texts());
    assert!(room.texts()[3].starts_with("Lin"), "{:?}", room.texts());
}

/// A service that does not like one notice may ask to be left alone each time: the others are told in between.
async fn what_is_refused_with_a_rest_each_time_starves_nobody(home: Home) {
    let server = near(home).start().await;
    let (room, url) = Room::open().await;
    add(&server, &url, WebhookShape::Slack, &[NoticeKind::Raised], "en").await;
    room.refuse_those_with("disk full");
    server.raise(&[A], json!({ "summary": "disk full" })).await;
    let tried = async |times: i32| {
        eventually("it is refused so often", SOON, async || {
            deliver(&server).await;
            let log = server.app.engine.store.read().await.unwrap().db().latest_deliveries(1).await.unwrap();
            // Not while a try is on its way, which has a minute: its refusal would count from the new hour.
            let is_over = (log[0].due_at - server.now()).num_seconds() < 60;
            (log[0].attempts >= times && is_over).then_some(())
        })
        .await;
    };
    tried(1).await;
    for times in [2, 3] {
        server.pass(601).await;
        tried(times).await;
    }
    server.raise(&[A], json!({ "summary": "link down" })).await;
    // Both are due when the rest is over.
    server.pass(601).await;
    eventually("the other is told", SOON, async || {
        deliver(&server).await;
        room.texts().iter().any(|text| text.contains("link down")).then_some(())
    })
    .await;
}

async fn what_waits_is_counted(home: Home) {
    let server = near(home).start().await;
    let (room, url) = Room::open().await;
    add(&server, &url, WebhookShape::Slack, &[NoticeKind::Raised], "en").await;
    let (phone, url) = Gateway::open().await;
    crate::gateway::add_smsgate(&server, &url).await;
    phone.set_away(true);
    room.answer_with(500, "");
    server.raise(&[A], json!({})).await;
    text(&server, "phone").await;
    server.pass(400).await;
    let shows = async |expected: &[&str], pass: i64| {
        eventually(&format!("{expected:?}"), SOON, async || {
            server.pass(pass).await;
            let page = described::get(format!("{}/metrics", server.base)).await.unwrap().text().await.unwrap();
            expected.iter().all(|line| page.lines().any(|own| own == *line)).then_some(())
        })
        .await;
    };
    shows(&["autocall_notices_waiting 1", "autocall_notices_oldest_seconds 400"], 0).await;
    shows(&["autocall_messages_waiting 1", "autocall_messages_oldest_seconds 400"], 0).await;
    room.answer_with(200, "");
    phone.set_away(false);
    // A failure that was on its way when the clock moved is put off from the new hour: so time goes on until it is due.
    shows(&["autocall_notices_waiting 0", "autocall_notices_oldest_seconds 0", "autocall_notices_due 0"], 60).await;
    shows(&["autocall_messages_waiting 0", "autocall_messages_oldest_seconds 0", "autocall_messages_due 0"], 60).await;
}
