//! Words out: what is told to webhooks, in which form, and what happens when they do not listen.

use std::sync::{Arc, Mutex};

use autocall::engine::Doer;
use autocall::keep::webhooks::{self, NewWebhook, WebhookError};
use autocall::kinds::guard::{AddressError, GuardedResolver};
use autocall::kinds::notices::{Sign, Template, WebhookSettings, WebhookShape};
use autocall::out::notices::{client, deliver_due};
use autocall::store::lines::webhooks::{DeliveryRow, NoticeKind};
use autocall::store::watch::handsets::Profile;
use autocall_tests::redis::reserve_port;
use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
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
    services_and_phones_get_their_own_form,
    a_template_is_filled_and_its_sign_is_looked_for,
    a_text_that_is_too_long_is_cut_off,
    who_asks_for_patience_is_left_alone,
    who_says_with_a_good_status_that_it_is_too_much_is_left_alone,
    a_test_reaches_who_is_left_alone,
    a_test_says_what_the_service_said,
    whoever_tests_is_told_why_there_is_no_answer,
    what_a_form_needs_is_asked_for,
);

/// What a room was told.
#[derive(Clone, Debug)]
struct Heard {
    method: Method,
    headers: HeaderMap,
    uri: Uri,
    text: String,
    /// The text as JSON; null when it is none.
    body: Value,
}

impl Heard {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// A webhook receiver: a real HTTP server that keeps what it was told.
#[derive(Clone, Default)]
pub struct Room {
    heard: Arc<Mutex<Vec<Heard>>>,
    answer: Arc<Mutex<Option<(u16, String)>>>,
    retry_after: Arc<Mutex<Option<&'static str>>>,
    refused: Arc<Mutex<Option<&'static str>>>,
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

    async fn hear(
        State(room): State<Self>,
        method: Method,
        headers: HeaderMap,
        uri: Uri,
        text: String,
    ) -> (StatusCode, HeaderMap, String) {
        let body = serde_json::from_str(&text).unwrap_or_default();
        let is_refused = room.refused.lock().unwrap().is_some_and(|words| text.contains(words));
        room.heard.lock().unwrap().push(Heard { method, headers, uri, text, body });
        let (status, answer) = room.answer.lock().unwrap().clone().unwrap_or((200, r#"{"errcode":0,"code":0}"#.to_owned()));
        if is_refused {
            let rest = [(RETRY_AFTER, HeaderValue::from_static("600"))];
            return (StatusCode::SERVICE_UNAVAILABLE, rest.into_iter().collect(), answer);
        }
        let retry_after = room.retry_after.lock().unwrap().map(|value| (RETRY_AFTER, HeaderValue::from_static(value)));
        (StatusCode::from_u16(status).unwrap(), retry_after.into_iter().collect(), answer)
    }

    /// What it answers from now on.
    pub fn answer_with(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = Some((status, body.to_owned()));
    }

    /// From now on it takes nothing in which these words stand, and wants to be left alone for ten minutes each time.
    pub fn refuse_those_with(&self, words: &'static str) {
        *self.refused.lock().unwrap() = Some(words);
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// What it was told, as JSON.
    pub fn bodies(&self) -> Vec<Value> {
        self.heard().into_iter().map(|heard| heard.body).collect()
    }

    pub fn texts(&self) -> Vec<String> {
        self.bodies().iter().map(|body| body["text"].as_str().unwrap_or_default().to_owned()).collect()
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
    let settings = WebhookSettings::default();
    let (url, language) = (url.to_owned(), language.to_owned());
    add_new(server, NewWebhook { name, url, shape, secret, settings, kinds: kinds.to_vec(), language }).await.unwrap();
}

/// A program that is told everything, at an address and with a secret that nobody else is to read.
pub async fn add_with_secret(server: &Server, url: &str, secret: &str) {
    let (name, settings) = ("program".to_owned(), WebhookSettings::default());
    let (url, secret, language) = (url.to_owned(), Some(secret.to_owned()), "en".to_owned());
    let new = NewWebhook { name, url, shape: WebhookShape::Json, secret, settings, kinds: vec![NoticeKind::Raised], language };
    add_new(server, new).await.unwrap();
}

async fn add_new(server: &Server, new: NewWebhook) -> Result<(), WebhookError> {
    let store = &server.app.engine.store;
    store.carry_out(server.now(), Doer::Server, async |work| webhooks::add(work, &new, &guard(server)).await.map(|_| ())).await
}

/// A service that is told of new alarms, in English.
fn service(shape: WebhookShape, url: &str, secret: &str, to: Option<&str>) -> NewWebhook {
    NewWebhook {
        name: format!("{shape:?}"),
        url: url.to_owned(),
        shape,
        secret: Some(secret.to_owned()),
        settings: WebhookSettings { to: to.map(str::to_owned), ..WebhookSettings::default() },
        kinds: vec![NoticeKind::Raised],
        language: "en".to_owned(),
    }
}

/// The address of a room's server alone.
fn root(url: &str) -> String {
    url.split("/hook").next().unwrap().to_owned()
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
        (room.heard().len() >= count).then_some(())
    })
    .await;
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
    let Heard { headers, body: facts, .. } = room.heard()[1].clone();
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
    let body = |index: usize| rooms[index].heard()[0].body.clone();
    let text = "未能呼叫任何人：disk full（普通），没有可用的手机。";
    assert_eq!(body(0), json!({ "text": text }));
    assert_eq!(body(1), json!({ "msgtype": "text", "text": { "content": text } }));
    assert_eq!(body(2), body(1));
    assert_eq!((body(3)["msg_type"].as_str(), body(3)["content"]["text"].as_str()), (Some("text"), Some(text)));
    assert!(body(3)["sign"].is_string());
    let uri = rooms[2].heard()[0].uri.to_string();
    assert!(uri.starts_with("/hook?token=secret&timestamp=") && uri.contains("&sign="), "{uri}");
}

async fn who_does_not_listen_is_told_again_later(home: Home) {
    let server = start(home).await;
    let (room, url) = Room::open().await;
    // Status 200, and refused all the same.
    *room.answer.lock().unwrap() = Some((200, r#"{"errcode":-1,"errmsg":"system error"}"#.to_owned()));
    add(&server, &url, WebhookShape::Wecom, &[NoticeKind::Raised], "en").await;
    server.raise(&[A], json!({})).await;
    heard(&server, &room, 1).await;
    deliver(&server).await;
    assert_eq!(room.heard().len(), 1, "not again at once");
    server.pass(6).await;
    heard(&server, &room, 2).await;
    *room.answer.lock().unwrap() = None;
    server.pass(11).await;
    heard(&server, &room, 3).await;
    server.pass(3600).await;
    deliver(&server).await;
    assert_eq!(room.heard().len(), 3, "told is told");
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
        settings: WebhookSettings::default(),
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
    assert!(room.heard().is_empty());
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
    let event_and_link = |body: &Value| (body["event"].to_string(), body["links"][0]["url"].as_str().unwrap().to_owned());
    let told: Vec<(String, String)> = room.bodies().iter().map(event_and_link).collect();
    let told: Vec<(&str, &str)> = told.iter().map(|(event, url)| (event.trim_matches('"'), url.as_str())).collect();
    assert_eq!(told, [("raised", &*link(0)), ("answered", &*link(0)), ("escalated", &*link(1))]);
    assert!(room.texts()[2].ends_with(&link(1)), "{:?}", room.texts());
}

async fn services_and_phones_get_their_own_form(home: Home) {
    let server = start(home).await;
    let answers = [
        (WebhookShape::Telegram, Some("-1001234567890"), 200, r#"{"ok":true,"result":{}}"#),
        (WebhookShape::Matrix, Some("!ops:example.org"), 200, r#"{"event_id":"$1"}"#),
        (WebhookShape::Line, Some("C0123456789abcdef0123456789abcdef"), 409, r#"{"message":"already accepted"}"#),
        (WebhookShape::Ntfy, Some("ops"), 200, r#"{"id":"Xe5"}"#),
        (WebhookShape::Gotify, None, 200, r#"{"id":25}"#),
        (WebhookShape::Bark, None, 200, r#"{"code":200,"message":"success"}"#),
        (WebhookShape::Pushdeer, None, 200, r#"{"code":0,"content":{"result":["{\"success\":\"ok\"}"]}}"#),
        (WebhookShape::Serverchan, None, 200, r#"{"code":0,"message":""}"#),
        (WebhookShape::Discord, None, 204, ""),
        (WebhookShape::Teams, None, 202, ""),
        (WebhookShape::Mattermost, None, 200, "ok"),
    ];
    let mut rooms = Vec::new();
    for (shape, to, status, answer) in answers {
        let (room, url) = Room::open().await;
        room.answer_with(status, answer);
        add_new(&server, service(shape, &root(&url), "s3cret", to)).await.unwrap();
        rooms.push(room);
    }
    server.raise(&[A], json!({ "priority": "high" })).await;
    for room in &rooms {
        heard(&server, room, 1).await;
    }
    let told: Vec<Heard> = rooms.iter().map(|room| room.heard()[0].clone()).collect();
    let asked = |index: usize| (told[index].uri.path(), &told[index].body);
    let text = "Alarm: disk full (high). Ringing people now.";
    assert_eq!(asked(0), ("/bots3cret/sendMessage", &json!({ "chat_id": "-1001234567890", "text": text })));
    let (path, body) = asked(1);
    assert_eq!((&told[1].method, body), (&Method::PUT, &json!({ "msgtype": "m.text", "body": text, "m.mentions": {} })));
    assert!(path.starts_with("/_matrix/client/v3/rooms/!ops:example.org/send/m.room.message/"), "{path}");
    let message = json!({ "to": "C0123456789abcdef0123456789abcdef", "messages": [{ "type": "text", "text": text }] });
    assert_eq!(asked(2), ("/v2/bot/message/push", &message));
    assert_eq!(told[2].header("x-line-retry-key").len(), 36);
    assert_eq!(asked(3), ("/", &json!({ "topic": "ops", "title": "disk full", "message": text, "priority": 5 })));
    assert_eq!(asked(4), ("/message", &json!({ "title": "disk full", "message": text, "priority": 8 })));
    assert_eq!(told[4].header("x-gotify-key"), "s3cret");
    let bark = json!({ "device_key": "s3cret", "title": "disk full", "body": text, "level": "critical" });
    assert_eq!(asked(5), ("/push", &bark));
    let deer = json!({ "pushkey": "s3cret", "text": "disk full", "desp": text, "type": "markdown" });
    assert_eq!(asked(6), ("/message/push", &deer));
    assert_eq!(asked(7), ("/s3cret.send", &json!({ "title": "disk full", "desp": text })));
    assert_eq!(asked(8).1, &json!({ "content": text, "allowed_mentions": { "parse": [] } }));
    assert_eq!(asked(9).1["attachments"][0]["content"]["body"][0]["text"], text);
    assert_eq!(asked(10).1, &json!({ "text": text }));
    for bearer in &told[1..4] {
        assert_eq!(bearer.header("authorization"), "Bearer s3cret");
    }
    assert!(told.iter().all(|one| one.header("content-type") == "application/json"));
    // Each has said yes in its own way, and is not told again.
    server.pass(3600).await;
    deliver(&server).await;
    let counts: Vec<usize> = rooms.iter().map(|room| room.heard().len()).collect();
    assert_eq!(counts, [1; 11]);
}

async fn a_template_is_filled_and_its_sign_is_looked_for(home: Home) {
    let server = start(home).await;
    let (room, url) = Room::open().await;
    room.answer_with(200, r#"{"state":"busy","msg":"try later"}"#);
    let mut new = service(WebhookShape::Template, &format!("{}/to?id={{id}}&about={{summary}}", root(&url)), "s3cret", None);
    new.settings.template = Some(Template {
        method: "PUT".to_owned(),
        headers: [("content-type", "application/x-www-form-urlencoded"), ("x-key", "{secret}")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        body: "message={text}&from={source}&event={event}".to_owned(),
        statuses: vec![200],
        sign: Some(Sign { pointer: "/state".to_owned(), value: "done".to_owned() }),
    });
    add_new(&server, new).await.unwrap();
    server.raise(&[A], json!({ "summary": "R&D: 盘满", "source": "zabbix" })).await;
    heard(&server, &room, 1).await;
    let log = server.app.engine.store.read().await.unwrap().db().latest_deliveries(1).await.unwrap();
    let asked = room.heard()[0].clone();
    assert_eq!((&asked.method, asked.header("x-key")), (&Method::PUT, "s3cret"));
    assert_eq!(asked.uri.to_string(), format!("/to?id={}&about=R%26D%3A%20%E7%9B%98%E6%BB%A1", log[0].id).replace('-', "%2D"));
    let said: Vec<(String, String)> = form_urlencoded::parse(asked.text.as_bytes()).into_owned().collect();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let message = "Alarm from zabbix: R&D: 盘满 (normal). Ringing people now.";
    assert_eq!(said, [pair("message", message), pair("from", "zabbix"), pair("event", "raised")]);
    assert_eq!(results(&server).await, ["without done at /state: HTTP 200: try later"]);
    room.answer_with(200, r#"{"state":"done"}"#);
    server.pass(6).await;
    heard(&server, &room, 2).await;
    server.pass(3600).await;
    deliver(&server).await;
    assert_eq!(room.heard().len(), 2, "told is told");
}

/// What came of all notices, once each was tried.
async fn results(server: &Server) -> Vec<String> {
    autocall_tests::wait::eventually("it is written down", std::time::Duration::from_secs(30), async || {
        deliver(server).await;
        let log = server.app.engine.store.read().await.unwrap().db().latest_deliveries(10).await.unwrap();
        log.into_iter().map(|delivery| delivery.last_result).collect()
    })
    .await
}

async fn a_text_that_is_too_long_is_cut_off(home: Home) {
    let server = start(home.set("AUTOCALL_HTTP_PUBLIC_URL", "https://alerts.example.org")).await;
    let (room, url) = Room::open().await;
    add(&server, &url, WebhookShape::Wecom, &[NoticeKind::Raised], "zh").await;
    let phones: Vec<String> = (10..25).map(|end| format!("187123456{end}")).collect();
    let phones: Vec<&str> = phones.iter().map(String::as_str).collect();
    server.raise(&phones, json!({ "summary": "盘".repeat(250) })).await;
    heard(&server, &room, 1).await;
    let content = room.bodies()[0]["text"]["content"].as_str().unwrap().to_owned();
    assert!(content.len() <= 2048 && content.ends_with('…'), "{} bytes: {content}", content.len());
    assert!(content.starts_with(&format!("告警：{}（普通）", "盘".repeat(250))), "{content}");
}

async fn who_asks_for_patience_is_left_alone(home: Home) {
    let server = start(home).await;
    let (telegram, url) = Room::open().await;
    telegram
        .answer_with(429, r#"{"ok":false,"description":"Too Many Requests: retry after 300","parameters":{"retry_after":300}}"#);
    add_new(&server, service(WebhookShape::Telegram, &root(&url), "1:a", Some("@ops"))).await.unwrap();
    let (discord, url) = Room::open().await;
    discord.answer_with(429, "");
    *discord.retry_after.lock().unwrap() = Some("300");
    add_new(&server, service(WebhookShape::Discord, &url, "", None)).await.unwrap();
    server.raise(&[A], json!({})).await;
    for room in [&telegram, &discord] {
        heard(&server, room, 1).await;
    }
    let told = results(&server).await;
    assert!(told.len() == 2 && told.iter().all(|result| result.starts_with("HTTP 429")), "{told:?}");
    // Neither what was refused nor what is new is told before the time is up.
    server.raise(&[B], json!({ "summary": "link down" })).await;
    for seconds in [6, 60, 200] {
        server.pass(seconds).await;
        deliver(&server).await;
    }
    assert_eq!((telegram.heard().len(), discord.heard().len()), (1, 1));
    telegram.answer_with(200, r#"{"ok":true}"#);
    discord.answer_with(204, "");
    *discord.retry_after.lock().unwrap() = None;
    server.pass(60).await;
    for room in [&telegram, &discord] {
        heard(&server, room, 3).await;
    }
    let texts = telegram.texts();
    assert!(["disk full", "link down"].iter().all(|own| texts[1..].iter().any(|text| text.contains(own))), "{texts:?}");
}

async fn who_says_with_a_good_status_that_it_is_too_much_is_left_alone(home: Home) {
    let server = start(home).await;
    let (room, url) = Room::open().await;
    room.answer_with(200, r#"{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}"#);
    add(&server, &url, WebhookShape::Dingtalk, &[NoticeKind::Raised], "en").await;
    server.raise(&[A], json!({})).await;
    heard(&server, &room, 1).await;
    let told = results(&server).await;
    assert_eq!(told, ["refused with errcode 130101: send too fast, exceed 20 times per minute"]);
    server.raise(&[B], json!({ "summary": "link down" })).await;
    for seconds in [6, 20, 20] {
        server.pass(seconds).await;
        deliver(&server).await;
    }
    assert_eq!(room.heard().len(), 1, "neither the same nor what is new");
    room.answer_with(200, r#"{"errcode":0}"#);
    server.pass(20).await;
    heard(&server, &room, 3).await;
}

async fn a_test_reaches_who_is_left_alone(home: Home) {
    let server = start(home).await;
    let (room, url) = Room::open().await;
    room.answer_with(429, r#"{"ok":false,"description":"Too Many Requests","parameters":{"retry_after":300}}"#);
    add_new(&server, service(WebhookShape::Telegram, &root(&url), "1:a", Some("@ops"))).await.unwrap();
    server.raise(&[A], json!({})).await;
    heard(&server, &room, 1).await;
    results(&server).await;
    server.raise(&[B], json!({ "summary": "link down" })).await;
    let store = &server.app.engine.store;
    let tested = async || {
        let begun = store.carry_out(server.now(), Doer::Server, async |work| webhooks::test(work, "Telegram").await).await;
        deliver(&server).await;
        webhooks::tried(store, begun.unwrap()).await.unwrap()
    };
    // It still wants to be left alone: the test alone has asked.
    let refused = tested().await;
    assert_eq!((refused.delivered_at, refused.last_result.as_deref()), (None, Some("HTTP 429: Too Many Requests")));
    assert_eq!(room.heard().len(), 2);
    // It takes one: then it takes the rest as well.
    room.answer_with(200, r#"{"ok":true}"#);
    let taken = tested().await;
    assert!(taken.delivered_at.is_some(), "{taken:?}");
    server.pass(6).await;
    heard(&server, &room, 6).await;
    let texts = room.texts();
    assert!(["disk full", "link down"].iter().all(|own| texts[2..].iter().any(|text| text.contains(own))), "{texts:?}");
}

async fn a_test_says_what_the_service_said(home: Home) {
    let server = start(home).await;
    let (room, url) = Room::open().await;
    add_new(&server, service(WebhookShape::Telegram, &root(&url), "4711:AbCdEf", Some("@ops"))).await.unwrap();
    let store = &server.app.engine.store;
    let tried = async || {
        let begun = store.carry_out(server.now(), Doer::Server, async |work| webhooks::test(work, "Telegram").await).await;
        let test = begun.unwrap();
        deliver(&server).await;
        webhooks::tried(store, test).await.unwrap()
    };
    room.answer_with(403, r#"{"ok":false,"description":"Forbidden: 4711:AbCdEf was kicked"}"#);
    let refused = tried().await;
    assert_eq!((refused.delivered_at, refused.last_result.as_deref()), (None, Some("HTTP 403: Forbidden: *** was kicked")));
    room.answer_with(200, r#"{"ok":true}"#);
    let taken = tried().await;
    assert_eq!((taken.delivered_at.is_some(), taken.last_result.as_deref()), (true, Some("HTTP 200")));
    assert_eq!(room.texts().last().unwrap(), "This is a test from the on-call server.");
    let unknown = store.carry_out(server.now(), Doer::Server, async |work| webhooks::test(work, "nobody").await).await;
    assert!(matches!(unknown, Err(WebhookError::NoSuchWebhook(_))));
}

async fn whoever_tests_is_told_why_there_is_no_answer(home: Home) {
    let server = start(home).await;
    // Nobody listens there.
    let url = format!("http://127.0.0.1:{}", reserve_port());
    add_new(&server, service(WebhookShape::Telegram, &url, "1:a", Some("@ops"))).await.unwrap();
    let store = &server.app.engine.store;
    // As it was before anybody tried it: the server may meanwhile.
    let begun = async || {
        let begun = store.carry_out(server.now(), Doer::Server, async |work| webhooks::test(work, "Telegram").await).await;
        let row = store.read().await.unwrap().db().delivery(begun.unwrap()).await.unwrap().unwrap();
        DeliveryRow { attempts: 0, last_result: None, ..row }
    };
    let first = begun().await;
    assert!(webhooks::why_untold(store, &first).await.unwrap().contains("does the server run?"));
    deliver(&server).await;
    assert!(webhooks::tried(store, first.id).await.unwrap().last_result.is_some());
    let second = begun().await;
    let said = webhooks::why_untold(store, &second).await.unwrap();
    assert!(said.contains("left alone for up to a minute") && !said.contains("does the server run?"), "{said}");
    let asked = DeliveryRow { attempts: 1, ..second };
    assert!(webhooks::why_untold(store, &asked).await.unwrap().contains("has not answered yet"));
}

async fn what_a_form_needs_is_asked_for(home: Home) {
    let server = start(home).await;
    let setting = async |new: NewWebhook| match add_new(&server, new).await {
        Err(WebhookError::Setting(wrong)) => wrong.setting,
        other => panic!("{other:?}"),
    };
    assert_eq!(setting(service(WebhookShape::Telegram, "", "", Some("@ops"))).await, "secret");
    assert_eq!(setting(service(WebhookShape::Telegram, "", "1:a", None)).await, "to");
    assert_eq!(setting(service(WebhookShape::Matrix, "https://matrix.example.org", "t", Some("#ops:example.org"))).await, "to");
    assert_eq!(setting(service(WebhookShape::Ntfy, "https://ntfy.sh/ops", "", Some("ops"))).await, "url");
    assert_eq!(setting(service(WebhookShape::Template, "https://x.example/", "", None)).await, "body");
    let homeless = add_new(&server, service(WebhookShape::Gotify, "", "t", None)).await;
    assert!(matches!(homeless, Err(WebhookError::NoAddress("gotify"))), "{homeless:?}");
    add_new(&server, service(WebhookShape::Telegram, "", "1:a", Some("@ops"))).await.unwrap();
    let kept = server.app.engine.store.read().await.unwrap().db().webhooks().await.unwrap();
    assert_eq!(kept[0].url, "https://api.telegram.org");
    assert_eq!((kept[0].settings.to.as_deref(), kept[0].settings.template.as_ref()), (Some("@ops"), None));
}
