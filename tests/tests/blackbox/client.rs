//! A sender of alarms and a handset in one, as scenarios need them: they say what is expected, and fail with what came instead.

use std::time::Duration;

use autocall_tests::described::Held as _;
use autocall_tests::{server::Binary, wait::eventually};
use reqwest::{Method, RequestBuilder, Response, redirect::Policy};
use serde_json::{Value, json};

use crate::world::SOON;

/// A client of one server. It follows no redirect and opens a connection for each request.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
}

/// An alarm as a handset gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The body, byte for byte.
    pub body: String,
    /// What the report must name.
    pub mid: String,
    /// The list.
    pub phones: Vec<String>,
}

impl Client {
    /// A client that is patient.
    pub fn new(server: &Binary) -> Self {
        Self::with_patience(server, SOON)
    }

    /// A client that gives a request up after this time.
    pub fn with_patience(server: &Binary, patience: Duration) -> Self {
        let http = autocall_tests::http_client().no_proxy().redirect(Policy::none()).pool_max_idle_per_host(0).timeout(patience);
        Self { base: server.url(), http: http.build().unwrap() }
    }

    /// A request to this server; the address is what follows host and port.
    pub fn request(&self, method: Method, address: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{address}", self.base))
    }

    /// Raises an alarm, which must be new.
    pub async fn raise(&self, alarm: &Value) -> Value {
        let response = self.post_alarm(alarm.to_string()).sent().await.unwrap();
        let (status, answer) = status_and_json(response).await;
        assert_eq!(status, 201, "{answer}");
        answer
    }

    /// Raises an alarm for these numbers, and gives its id.
    pub async fn raise_for(&self, phones: &[&str]) -> String {
        text(&self.raise(&json!({ "summary": "disk full", "phones": phones })).await, "id")
    }

    /// The request that raises an alarm, for those who want to change it.
    pub fn post_alarm(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.request(Method::POST, "/api/v1/alarms").header("Content-Type", "application/json").body(body)
    }

    /// An alarm with everything that happened to it.
    pub async fn alarm(&self, id: &str) -> Value {
        self.ok_json(&format!("/api/v1/alarms/{id}")).await
    }

    /// Every alarm.
    pub async fn alarms(&self) -> Vec<Value> {
        let page = self.ok_json("/api/v1/alarms?limit=200").await;
        assert_eq!(page["next_cursor"], Value::Null, "more alarms than a scenario raises");
        page["alarms"].as_array().unwrap().clone()
    }

    /// What the server says of itself at `/readyz`, whatever the status.
    pub async fn readyz(&self) -> Value {
        status_and_json(self.request(Method::GET, "/readyz").sent().await.unwrap()).await.1
    }

    /// The value of a metric without labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let response = self.request(Method::GET, "/metrics").sent().await.unwrap();
        let metrics = response.error_for_status().unwrap().text().await.unwrap();
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {name} in\n{metrics}")).parse().unwrap()
    }

    /// Polls as a handset that calls itself `model`; `None` when there is nothing to dial.
    pub async fn poll_as(&self, model: &str) -> Option<Offer> {
        let response = self.request(Method::GET, "/alert/phone").header("model", model).sent().await.unwrap();
        assert_eq!(response.status(), 200);
        Offer::read(response.text().await.unwrap())
    }

    /// Polls; `None` when there is nothing to dial.
    pub async fn poll(&self) -> Option<Offer> {
        self.poll_as("one").await
    }

    /// Polls until there is something to dial.
    pub async fn take(&self) -> Offer {
        eventually("an alarm to be handed out", SOON, async || self.poll().await).await
    }

    /// Reports who picked up; must be accepted.
    pub async fn report(&self, mid: &str, resp: Option<&str>) {
        let address = match resp {
            Some(number) => format!("/alert/phone?resp={number}&mid={mid}"),
            None => format!("/alert/phone?mid={mid}"),
        };
        let response = self.request(Method::POST, &address).sent().await.unwrap();
        let (status, answer) = status_and_json(response).await;
        assert_eq!((status, answer), (200, json!({ "code": 0 })));
    }

    /// One alarm from its beginning to its end: raised, handed out, answered.
    pub async fn alarm_is_answered(&self, phone: &str) {
        let id = self.raise_for(&[phone]).await;
        let offer = self.take().await;
        assert_eq!(offer.phones, [phone]);
        self.report(&offer.mid, Some(phone)).await;
        assert_eq!(self.alarm(&id).await["state"], "answered");
    }

    /// What is at an address, which must be there.
    pub async fn get(&self, address: &str) -> Value {
        self.ok_json(address).await
    }

    /// Posts a body, which must be accepted.
    pub async fn post(&self, address: &str, body: Value) -> Value {
        let request = self.request(Method::POST, address).header("Content-Type", "application/json").body(body.to_string());
        let (status, answer) = status_and_json(request.sent().await.unwrap()).await;
        assert!((200..300).contains(&status), "{status} {answer}");
        answer
    }

    async fn ok_json(&self, address: &str) -> Value {
        let (status, answer) = status_and_json(self.request(Method::GET, address).sent().await.unwrap()).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

impl Offer {
    /// Reads a reply to a poll, which must be one of the two that are documented.
    pub fn read(body: String) -> Option<Self> {
        let reply: Value = serde_json::from_str(&body).unwrap();
        if reply["code"] == 1 {
            return None;
        }
        assert_eq!(reply["code"], 0, "{body}");
        let phones = reply["phone"].as_array().unwrap().iter().map(|phone| phone.as_str().unwrap().to_owned()).collect();
        Some(Self { mid: text(&reply, "mid"), phones, body })
    }
}

/// Status and body of an answer that must be JSON.
pub async fn status_and_json(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = response.text().await.unwrap();
    let json = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{status} {body:?} is not JSON: {error}"));
    (status, json)
}

/// A member that must be a string.
pub fn text(object: &Value, member: &str) -> String {
    object[member].as_str().unwrap_or_else(|| panic!("no {member} in {object}")).to_owned()
}
