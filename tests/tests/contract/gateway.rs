//! Gateways for text messages: real HTTP servers with the documented shapes of SMSGate, SmsForwarder, and a service of one's own.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use autocall::kinds::guard::GuardedResolver;
use autocall::out::messages::send_due;
use autocall::out::notices::client;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{Home, Server};

/// A phone or service that sends text messages, and keeps what it was told to send.
#[derive(Clone, Default)]
pub struct Gateway {
    state: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct Told {
    /// Number and text of each message it took.
    sent: Vec<(String, String)>,
    /// Ids it has seen: SMSGate takes each once.
    ids: BTreeSet<String>,
    latest_id: String,
    requests: usize,
    away: bool,
}

impl Gateway {
    /// Opens it and gives its address.
    pub async fn open() -> (Self, String) {
        let gateway = Self::default();
        let router = Router::new()
            .route("/message", post(Self::smsgate))
            .route("/sms/send", post(Self::smsforwarder))
            .route("/own", post(Self::own))
            .with_state(gateway.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (gateway, url)
    }

    pub fn sent(&self) -> Vec<(String, String)> {
        self.state.lock().unwrap().sent.clone()
    }

    pub fn requests(&self) -> usize {
        self.state.lock().unwrap().requests
    }

    pub fn latest_id(&self) -> String {
        self.state.lock().unwrap().latest_id.clone()
    }

    /// Whether it answers 503 to everything.
    pub fn set_away(&self, away: bool) {
        self.state.lock().unwrap().away = away;
    }

    fn away(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        state.requests += 1;
        state.away
    }

    /// <https://docs.sms-gate.app/getting-started/local-server/>: basic authentication, 202 with the id and a state.
    async fn smsgate(State(gateway): State<Self>, headers: HeaderMap, body: String) -> (StatusCode, String) {
        if gateway.away() {
            return (StatusCode::SERVICE_UNAVAILABLE, String::new());
        }
        if headers.get("authorization").is_none_or(|value| value != "Basic c21zOnNlY3JldA==") {
            return (StatusCode::UNAUTHORIZED, String::new());
        }
        let message: Value = serde_json::from_str(&body).unwrap_or_default();
        let (id, text) = (message["id"].as_str(), message["textMessage"]["text"].as_str());
        let numbers = message["phoneNumbers"].as_array().cloned().unwrap_or_default();
        let (Some(id), Some(text), [Value::String(number)]) = (id, text, &numbers[..]) else {
            return (StatusCode::BAD_REQUEST, json!({ "message": "wrong fields" }).to_string());
        };
        if id.len() > 36 {
            return (StatusCode::BAD_REQUEST, json!({ "message": "id: max=36" }).to_string());
        }
        if !number.starts_with('+') {
            return (StatusCode::BAD_REQUEST, json!({ "message": "phone number must be E.164" }).to_string());
        }
        let mut state = gateway.state.lock().unwrap();
        if !state.ids.insert(id.to_owned()) {
            return (StatusCode::CONFLICT, json!({ "message": "already exists" }).to_string());
        }
        state.latest_id = id.to_owned();
        state.sent.push((number.clone(), text.to_owned()));
        let answer = json!({ "id": id, "state": "Pending", "recipients": [{ "phoneNumber": number, "state": "Pending" }] });
        (StatusCode::ACCEPTED, answer.to_string())
    }

    /// As its source has it: HTTP 200 always, and what happened in `code`.
    async fn smsforwarder(State(gateway): State<Self>, body: String) -> (StatusCode, String) {
        if gateway.away() {
            return (StatusCode::OK, json!({ "code": 500, "msg": "no permission to send" }).to_string());
        }
        let request: Value = serde_json::from_str(&body).unwrap_or_default();
        let sign = request["timestamp"].as_i64().map(|at| autocall::kinds::gateways::smsforwarder_sign("secret", at));
        if sign.is_none() || request["sign"].as_str().map(str::to_owned) != sign {
            return (StatusCode::OK, json!({ "code": 500, "msg": "wrong signature" }).to_string());
        }
        let text = |field: &str| request["data"][field].as_str().unwrap_or_default().to_owned();
        gateway.state.lock().unwrap().sent.push((text("phone_numbers"), text("msg_content")));
        (StatusCode::OK, json!({ "code": 200, "msg": "success", "data": "success", "timestamp": 1 }).to_string())
    }

    async fn own(State(gateway): State<Self>, headers: HeaderMap, body: String) -> (StatusCode, String) {
        if gateway.away() || !headers.contains_key("x-autocall-signature") {
            return (StatusCode::INTERNAL_SERVER_ERROR, String::new());
        }
        let fields: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let field = |name: &str| fields.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone()).unwrap_or_default();
        gateway.state.lock().unwrap().sent.push((field("to"), field("msg")));
        (StatusCode::NO_CONTENT, String::new())
    }
}

/// Where the gateways of these tests are.
pub fn near(home: Home) -> Home {
    home.set("AUTOCALL_SMS_ALLOW_NETWORKS", "127.0.0.0/8").set("AUTOCALL_NOTIFY_ALLOW_NETWORKS", "127.0.0.0/8")
}

/// Makes the gateway known as `phone`, an SMSGate, and gives the path under which it reports.
pub async fn add_smsgate(server: &Server, url: &str) -> String {
    let settings = json!({ "kind": "smsgate", "url": format!("{url}/message"), "user": "sms", "password": "secret", "sim": 1 });
    let (status, gateway) = server.post("/api/v1/sms/gateways", &json!({ "name": "phone", "settings": settings })).await;
    assert_eq!(status, 201, "{gateway}");
    gateway["inbound_path"].as_str().unwrap().to_owned()
}

/// Sends whatever is due. The server's own sender works beside; whoever takes a message sends it.
pub async fn send(server: &Server) {
    let client = client(&GuardedResolver::for_gateways(&server.app.engine.config.sms.allow_networks)).unwrap();
    while send_due(&server.app.engine, &client).await.unwrap() > 0 {}
}

/// A message that some sender has taken, of which nothing is written down yet.
const UNDER_WAY: &str =
    "SELECT COUNT(*) FROM sms_outbox WHERE taken_until IS NOT NULL AND sent_at IS NULL AND gave_up_at IS NULL";

/// Waits until the gateway has taken so many messages and the server has written down that it did, and gives them. The server's own
/// sender may be the one that sends: the gateway has the message then before it is known that it was sent.
pub async fn taken(server: &Server, gateway: &Gateway, count: usize) -> Vec<(String, String)> {
    autocall_tests::wait::eventually("the gateway takes it", std::time::Duration::from_secs(30), async || {
        send(server).await;
        (gateway.sent().len() >= count && server.count_sql(UNDER_WAY).await == 0).then_some(())
    })
    .await;
    let sent = gateway.sent();
    assert_eq!(sent.len(), count, "{sent:?}");
    sent
}
