//! Scenario: the server is killed without warning while a command for a public number waits to be sent. It is sent afterwards, once.

use std::sync::{Arc, Mutex};

use autocall_tests::described::Held as _;
use autocall_tests::wait::eventually;
use axum::{Router, extract::State, http::StatusCode, routing::post};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    client::{Client, status_and_json},
    world::{Engine, SOON, World, on_both},
};

on_both!(a_command_in_the_outbox_survives);

/// A phone with SMSGate: answers 503 until told otherwise, and keeps every message it took.
#[derive(Clone, Default)]
struct Phone(Arc<Mutex<(bool, Vec<Value>)>>);

impl Phone {
    async fn open() -> (Self, String) {
        let phone = Self::default();
        let router = Router::new().route("/message", post(Self::message)).with_state(phone.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/message", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (phone, url)
    }

    async fn message(State(phone): State<Self>, body: String) -> (StatusCode, String) {
        let mut state = phone.0.lock().unwrap();
        if !state.0 {
            return (StatusCode::SERVICE_UNAVAILABLE, String::new());
        }
        let message: Value = serde_json::from_str(&body).unwrap();
        state.1.push(message.clone());
        (StatusCode::ACCEPTED, json!({ "id": message["id"], "state": "Pending", "recipients": [] }).to_string())
    }
}

async fn a_command_in_the_outbox_survives(engine: Engine) {
    let world = World::new(engine).await;
    let mut server =
        autocall_tests::server::Binary::spawn(world.options().env("AUTOCALL_SMS_ALLOW_NETWORKS", "127.0.0.0/8")).await;
    let client = Client::new(&server);
    let (phone, url) = Phone::open().await;
    let ask = async |method: Method, path: &str, body: Value| {
        let request = client.request(method, path).header("content-type", "application/json").body(body.to_string());
        status_and_json(request.sent().await.unwrap()).await
    };
    let settings = json!({ "kind": "smsgate", "url": url, "user": "sms", "password": "secret" });
    let (status, answer) = ask(Method::POST, "/api/v1/sms/gateways", json!({ "name": "phone", "settings": settings })).await;
    assert_eq!(status, 201, "{answer}");
    let line = json!({ "name": "ops", "number": "13300001111", "carrier": "china-telecom", "android": 11, "gateway": "phone" });
    let (status, answer) = ask(Method::POST, "/api/v1/lines", line).await;
    assert_eq!(status, 201, "{answer}");
    let (status, answer) = ask(Method::POST, "/api/v1/lines/ops/forward", json!({ "number": "18712345678" })).await;
    assert_eq!(status, 202, "{answer}");
    eventually("it was tried in vain", SOON, async || {
        let (_, lines) = ask(Method::GET, "/api/v1/lines", json!({})).await;
        (lines["items"][0]["forwarded"]["last_result"] == "HTTP 503").then_some(())
    })
    .await;
    server.kill_9();
    phone.0.lock().unwrap().0 = true;
    server.restart().await;
    let known = eventually("it is sent", SOON * 4, async || {
        let (_, lines) = ask(Method::GET, "/api/v1/lines", json!({})).await;
        (lines["items"][0]["known"] != "waiting").then(|| lines["items"][0]["known"].clone())
    })
    .await;
    assert_eq!(known, "sent");
    let taken = phone.0.lock().unwrap().1.clone();
    assert_eq!(taken.len(), 1, "{taken:?}");
    assert_eq!(taken[0]["textMessage"]["text"], "|*7218712345678|autocall|alertcall");
}
