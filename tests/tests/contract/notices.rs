//! Words out: what is told to webhooks, in which form, and what happens when they do not listen.

use std::sync::{Arc, Mutex};

use autocall::engine::Doer;
use autocall::keep::webhooks::{self, NewWebhook, WebhookError};
use autocall::kinds::guard::{AddressError, GuardedResolver};
use autocall::kinds::notices::WebhookShape;
use autocall::out::notices::{client, deliver_due};
use autocall::store::lines::webhooks::NoticeKind;
use autocall::store::watch::handsets::Profile;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{A, B, Home, Server, on_both};

on_both!(
    everything_that_matters_is_told,
    each_service_gets_its_own_form,
    who_does_not_listen_is_told_again_later,
    a_day_later_it_is_given_up,
    a_restart_forgets_nothing,
    two_nodes_tell_it_once,
    addresses_inside_are_not_asked,
    handsets_are_told_of,
    callees_get_links_of_their_own,
);

/// A webhook receiver: a real HTTP server that keeps what it was told.
#[derive(Clone, Default)]
pub struct Room {
    heard: Arc<Mutex<Vec<(HeaderMap, Uri, Value)>>>,
    answer: Arc<Mutex<Option<(u16, String)>>>,
}

impl Room {
    pub async fn open() -> (Self, String) {
        let room = Self::default();
        let router = axum::Router::new().fallback(Self::hear).with_state(room.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?token=secret", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (room, url)
    }

    async fn hear(State(room): State<Self>, headers: HeaderMap, uri: Uri, body: String) -> (StatusCode, String) {
        room.heard.lock().unwrap().push((headers, uri, serde_json::from_str(&body).unwrap_or_default()));
        let (status, text) = room.answer.lock().unwrap().clone().unwrap_or((200, r#"{"errcode":0,"code":0}"#.to_owned()));
        (StatusCode::from_u16(status).unwrap(), text)
    }

    /// What it answers from now on.
    pub fn answer_with(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = Some((status, body.to_owned()));
    }

    /// What it was told, as JSON.
    pub fn bodies(&self) -> Vec<Value> {
        self.heard.lock().unwrap().iter().map(|(_, _, body)| body.clone()).collect()
    }

    pub fn texts(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().map(|(_, _, body)| body["text"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// A server that may tell this machine, and does so only when asked to: its own sender is given nothing by the still clock.
async fn start(home: Home) -> Server {
    home.set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8").start().await
}

fn guard(server: &Server) -> GuardedResolver {
    GuardedResolver::new(&server.app.engine.config.notify.allow_networks)
}

pub async fn add(server: &Server, url: &str, shape: WebhookShape, kinds: &[NoticeKind], language: &str) {
    let name = format!("{shape:?}");
    let secret = Some("s3cret".to_owned());
    let new = NewWebhook { name, url: url.to_owned(), shape, secret, kinds: kinds.to_vec(), language: language.to_owned() };
    server
        .app
        .engine
        .store
        .carry_out(server.now(), Doer::Server, async |work| webhooks::add(work, &new, &guard(server)).await)
        .await
        .unwrap();
}

pub async fn deliver(server: &Server) {
    let client = client(&guard(server)).unwrap();
    // The server's own sender works beside; whoever takes a notice tells it, and both are done when nothing is due.
    while deliver_due(&server.app.engine, &client).await.unwrap() > 0 {}
}

/// Waits until the room has heard so many notices.
pub async fn heard(server: &Server, room: &Room, count: usize) {
    autocall_tests::wait::eventually("the room hears it", std::time::Duration::from_secs(30), async || {
        deliver(server).await;
        (room.heard.lock().unwrap().len() >= count).then_some(())
    })
    .await;
    // Not under the lock that the texts need.
    let texts = room.texts();
    assert_eq!(texts.len(), count, "{texts:?}");
}

async fn everything_that_matters_is_told(home: Home) {
    let server = start(home).await;
    let (room, url) = Room::open().await;
    add(&server, &url, WebhookShape::Json, &[], "en").await;
    let desk = server.pair("desk", Profile::App).await;
    let id = server.raise(&[A, B], json!({ "priority": "high", "source": "zabbix" })).await;
    heard(&server, &room, 1).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    heard(&server, &room, 2).await;
    server.post(&format!("/api/v1/alarms/{id}/acknowledge"), &json!({ "name": "Lin" })).await;
    heard(&server, &room, 3).await;
    server.raise(&[B], json!({ "attempts": 1 })).await;
    heard(&server, &room, 4).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, None).await;
    heard(&server, &room, 5).await;
    assert_eq!(
        room.texts(),
        [
            "Alarm from zabbix: disk full (high). Ringing people now.",
            "18712345678 answered for: disk full",
            "Lin takes care of: disk full",
            "Alarm: disk full (normal). Ringing people now.",
            "NOBODY ANSWERED for: disk full (normal)",
        ]
    );
    let (headers, _, facts) = room.heard.lock().unwrap()[1].clone();
    assert_eq!(
        (facts["event"].as_str(), facts["alarm"]["id"].as_str(), facts["alarm"]["state"].as_str()),
        (Some("answered"), Some(id.as_str()), Some("answered"))
    );
    assert!(headers["x-autocall-signature"].to_str().unwrap().starts_with("sha256="));
    assert!(headers.contains_key("x-autocall-timestamp"));
}

async fn each_service_gets_its_own_form(home: Home) {
    let server = start(home).await;
    let mut rooms = Vec::new();
    for shape in [WebhookShape::Slack, WebhookShape::Wecom, WebhookShape::Dingtalk, WebhookShape::Feishu] {
        let (room, url) = Room::open().await;
        add(&server, &url, shape, &[NoticeKind::NoAnswer], "zh-CN").await;
        rooms.push(room);
    }
    server.raise(&[A], json!({ "begin_before_seconds": 60 })).await;
    server.pass(61).await;
    for room in &rooms {
        heard(&server, room, 1).await;
    }
    let body = |index: usize| rooms[index].heard.lock().unwrap()[0].2.clone();
    let text = "未能呼叫任何人：disk full（普通），没有可用的手机。";
    assert_eq!(body(0), json!({ "text": text }));
    assert_eq!(body(1), json!({ "msgtype": "text", "text": { "content": text } }));
    assert_eq!(body(2), body(1));
    assert_eq!((body(3)["msg_type"].as_str(), body(3)["content"]["text"].as_str()), (Some("text"), Some(text)));
    assert!(body(3)["sign"].is_string());
    let uri = rooms[2].heard.lock().unwrap()[0].1.to_string();
    assert!(uri.starts_with("/hook?token=secret&timestamp=") && uri.contains("&sign="), "{uri}");
}

async fn who_does_not_listen_is_told_again_later(home: Home) {
    let server = start(home).await;
    let (room, url) = Room::open().await;
    // Status 200, and refused all the same.
    *room.answer.lock().unwrap() = Some((200, r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#.to_owned()));
    add(&server, &url, WebhookShape::Wecom, &[NoticeKind::Raised], "en").await;
    server.raise(&[A], json!({})).await;
    heard(&server, &room, 1).await;
    deliver(&server).await;
    assert_eq!(room.heard.lock().unwrap().len(), 1, "not again at once");
    server.pass(6).await;
    heard(&server, &room, 2).await;
    *room.answer.lock().unwrap() = None;
    server.pass(11).await;
    heard(&server, &room, 3).await;
    server.pass(3600).await;
    deliver(&server).await;
    assert_eq!(room.heard.lock().unwrap().len(), 3, "told is told");
}

async fn a_day_later_it_is_given_up(home: Home) {
    let server = start(home).await;
    let (room, url) = Room::open().await;
    *room.answer.lock().unwrap() = Some((503, String::new()));
    add(&server, &url, WebhookShape::Json, &[NoticeKind::Raised], "en").await;
    server.raise(&[A], json!({})).await;
    heard(&server, &room, 1).await;
    server.pass(25 * 3600).await;
    heard(&server, &room, 2).await;
    let log = autocall_tests::wait::eventually("it is given up", std::time::Duration::from_secs(30), async || {
        let log = server.app.engine.store.read().await.unwrap().db().latest_deliveries(10).await.unwrap();
        log[0].gave_up_at.is_some().then_some(log)
    })
    .await;
    assert_eq!((log.len(), log[0].last_result.as_deref()), (1, Some("HTTP 503")));
}

async fn a_restart_forgets_nothing(home: Home) {
    let server = start(home).await;
    let (room, url) = Room::open().await;
    *room.answer.lock().unwrap() = Some((500, String::new()));
    add(&server, &url, WebhookShape::Slack, &[NoticeKind::Raised], "en").await;
    server.raise(&[A], json!({})).await;
    heard(&server, &room, 1).await;
    *room.answer.lock().unwrap() = None;
    let server = server.restart().await;
    server.pass(120).await;
    heard(&server, &room, 2).await;
}

async fn two_nodes_tell_it_once(home: Home) {
    if !home.is_shared() {
        return;
    }
    let home = home.set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8");
    let other = home.quiet_node().await;
    let server = home.start().await;
    let (room, url) = Room::open().await;
    add(&server, &url, WebhookShape::Slack, &[NoticeKind::Raised], "en").await;
    for _ in 0..5 {
        server.raise(&[A], json!({})).await;
    }
    let client = client(&guard(&server)).unwrap();
    for _ in 0..5 {
        let (one, two) = tokio::join!(deliver_due(&server.app.engine, &client), deliver_due(&other.app.engine, &client));
        one.unwrap();
        two.unwrap();
    }
    heard(&server, &room, 5).await;
}

async fn addresses_inside_are_not_asked(home: Home) {
    let server = home.start().await;
    let (room, url) = Room::open().await;
    let new = |url: &str| NewWebhook {
        name: "inside".to_owned(),
        url: url.to_owned(),
        shape: WebhookShape::Slack,
        secret: None,
        kinds: Vec::new(),
        language: "en".to_owned(),
    };
    let store = &server.app.engine.store;
    for inside in [url.as_str(), "http://169.254.169.254/latest", "http://[::1]/", "http://10.0.0.1/"] {
        let refused = store
            .carry_out(server.now(), Doer::Server, async |work| webhooks::add(work, &new(inside), &guard(&server)).await)
            .await;
        assert!(
            matches!(refused, Err(WebhookError::Address(AddressError::Inside { allowed_by: "notify.allow_networks" }))),
            "{inside}"
        );
    }
    for wrong in ["ftp://example.com/", "example.com", "http://", "javascript:alert(1)"] {
        let refused = store
            .carry_out(server.now(), Doer::Server, async |work| webhooks::add(work, &new(wrong), &guard(&server)).await)
            .await;
        assert!(matches!(refused, Err(WebhookError::Address(AddressError::Bad))), "{wrong}");
    }
    // A name that leads inside is found out when it is looked up.
    let named = url.replace("127.0.0.1", "localhost");
    store
        .carry_out(server.now(), Doer::Server, async |work| webhooks::add(work, &new(&named), &guard(&server)).await)
        .await
        .unwrap();
    server.raise(&[A], json!({})).await;
    let said = autocall_tests::wait::eventually("it is tried", std::time::Duration::from_secs(30), async || {
        deliver(&server).await;
        let log = store.read().await.unwrap().db().latest_deliveries(1).await.unwrap();
        log[0].last_result.clone()
    })
    .await;
    assert!(said.contains("add its network to notify.allow_networks"), "it says why: {said}");
    assert!(room.heard.lock().unwrap().is_empty());
}

async fn handsets_are_told_of(home: Home) {
    let server = start(home).await;
    let (room, url) = Room::open().await;
    add(&server, &url, WebhookShape::Slack, &[NoticeKind::HandsetOffline, NoticeKind::HandsetBack], "es").await;
    let desk = server.pair("desk", Profile::App).await;
    server.idle(&desk).await;
    server.app.engine.watch_handsets().await.unwrap();
    server.pass(60).await;
    server.app.engine.watch_handsets().await.unwrap();
    heard(&server, &room, 1).await;
    server.idle(&desk).await;
    heard(&server, &room, 2).await;
    let texts = ["El teléfono desk no responde. No se puede llamar por él.", "El teléfono desk ha vuelto."];
    assert_eq!(room.texts(), texts);
}

async fn callees_get_links_of_their_own(home: Home) {
    let server = start(home.set("AUTOCALL_HTTP_PUBLIC_URL", "https://alerts.example.org")).await;
    let (room, url) = Room::open().await;
    let kinds = [NoticeKind::Raised, NoticeKind::Answered, NoticeKind::Escalated];
    add(&server, &url, WebhookShape::Json, &kinds, "en").await;
    let desk = server.pair("desk", Profile::List).await;
    let step = |number| json!({ "ring": [{ "number": number }], "attempts": 1 });
    let policy = json!({ "steps": [step(A), step(B)], "confirm_within_seconds": 60 });
    server.put("/api/v1/policies/ops", &policy).await;
    let id = server.raise(&[], json!({ "policy": "ops" })).await;
    heard(&server, &room, 1).await;
    let (mid, _) = server.dial(&desk).await;
    server.report(&desk, &mid, Some(A)).await;
    heard(&server, &room, 2).await;
    server.pass(60).await;
    heard(&server, &room, 3).await;
    let alarm = server.alarm(&id).await;
    let link = |place: usize| {
        let callee = alarm["callees"][place]["id"].as_str().unwrap().parse().unwrap();
        server.app.engine.links.address("https://alerts.example.org", callee)
    };
    let told: Vec<(String, String)> = {
        let heard = room.heard.lock().unwrap();
        let each =
            heard.iter().map(|(_, _, body)| (body["event"].to_string(), body["links"][0]["url"].as_str().unwrap().to_owned()));
        each.collect()
    };
    let told: Vec<(&str, &str)> = told.iter().map(|(event, url)| (event.trim_matches('"'), url.as_str())).collect();
    assert_eq!(told, [("raised", &*link(0)), ("answered", &*link(0)), ("escalated", &*link(1))]);
    assert!(room.texts()[2].ends_with(&link(1)), "{:?}", room.texts());
}
