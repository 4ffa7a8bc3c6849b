//! Scenario: the database goes away under a running server, and comes back.

use std::time::Duration;

use autocall_tests::described::Held as _;
use autocall_tests::{
    postgres::PrivatePostgres,
    server::{Binary, ServeOptions},
    wait::eventually,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    client::{Client, Offer, status_and_json},
    raw::{self, Reply},
    world::{Engine, SOON, World, assert_keeps_numbers_secret, on_both},
};

const ZHANG: &str = "18712345678";
/// The app gives up reading a reply after ten seconds; the contract promises it within eight.
const REPLY_WITHIN: Duration = Duration::from_secs(8);

on_both!(a_report_waits_for_the_database, a_poll_is_answered_without_the_database, senders_hear_that_nothing_was_stored);

async fn a_report_waits_for_the_database(engine: Engine) {
    let mut world = World::new(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let id = client.raise_for(&[ZHANG]).await;
    let offer = client.take().await;

    world.lose_database().await;
    let reply = raw::report_in_background(&server.addr(), &offer.mid, ZHANG).await;
    // The second failure shows that the first one was not told either.
    fails(&server, "a report could not be stored", 2).await;
    assert!(!reply.is_finished(), "an answer, though nothing was stored: {:?}", reply.await);

    world.give_database_back().await;
    let reply = Reply::parse(&timeout(SOON, reply).await.unwrap().unwrap());
    assert_eq!((reply.status, reply.for_the_app()), (200, json!({ "code": 0 })));
    assert_eq!(client.alarm(&id).await["state"], "answered");
    assert_eq!(client.poll().await, None);
    assert_keeps_numbers_secret(&server.log(), &[ZHANG]);
}

/// A frozen or unreachable database does not even refuse: requests to it hang.
#[tokio::test]
async fn a_report_waits_for_a_silent_postgres() {
    let mut world = World::new(Engine::Postgres).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let id = client.raise_for(&[ZHANG]).await;
    let offer = client.take().await;

    world.silence_database();
    let reply = raw::report_in_background(&server.addr(), &offer.mid, ZHANG).await;
    assert_survivable(poll_in_time(&server, "one").await, Some(&offer));
    assert!(!reply.is_finished(), "an answer, though nothing was stored: {:?}", reply.await);

    world.give_database_back().await;
    let reply = Reply::parse(&timeout(SOON, reply).await.unwrap().unwrap());
    assert_eq!((reply.status, reply.for_the_app()), (200, json!({ "code": 0 })));
    assert_eq!(client.alarm(&id).await["state"], "answered");
}

async fn a_poll_is_answered_without_the_database(engine: Engine) {
    let mut world = World::new(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    client.raise_for(&[ZHANG]).await;
    let offer = client.take().await;

    world.lose_database().await;
    for _ in 0..3 {
        assert_survivable(poll_in_time(&server, "one").await, Some(&offer));
        assert_survivable(poll_in_time(&server, "never seen before").await, None);
    }
    // Several at once, as from a room full of phones.
    let polls: Vec<_> =
        (0..8).map(|number| poll_in_time(&server, if number % 2 == 0 { "one" } else { "two" })).map(tokio::spawn).collect();
    for poll in polls {
        assert_survivable(poll.await.unwrap(), Some(&offer));
    }

    world.give_database_back().await;
    let again = eventually("the open dial to be served again", SOON, async || client.poll_patiently().await).await;
    assert_eq!(again, offer);
}

async fn senders_hear_that_nothing_was_stored(engine: Engine) {
    let mut world = World::new(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    world.lose_database().await;
    let request = || {
        let body = json!({ "summary": "disk full", "phones": [ZHANG] }).to_string();
        client.post_alarm(body).header("Idempotency-Key", "once").sent()
    };
    let response = request().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let (status, problem) = status_and_json(response).await;
    assert_eq!((status, &problem["code"]), (503, &json!("database_unavailable")), "{problem}");
    for address in ["/healthz", "/metrics"] {
        let response = client.request(Method::GET, address).sent().await.unwrap();
        assert_eq!(response.status(), 200, "{address} needs no database");
    }
    if engine == Engine::Postgres {
        // The embedded database can still be read.
        let ready = client.readyz().await;
        assert_eq!(ready["database"], false, "{ready}");
    }

    world.give_database_back().await;
    eventually("the same request to be stored", SOON, async || (request().await.ok()?.status() == 201).then_some(())).await;
    assert_eq!(client.alarms().await.len(), 1);
    // Whoever looks at the database does it again in a while.
    eventually("the server to be ready", SOON, async || (client.readyz().await["status"] == "ready").then_some(())).await;
}

/// The whole cycle over a real crash of Postgres.
#[tokio::test]
async fn postgres_crashes_and_recovers() {
    let mut postgres = PrivatePostgres::start().await;
    let server = Binary::spawn(ServeOptions::new().database(postgres.url())).await;
    let client = Client::new(&server);
    let id = client.raise_for(&[ZHANG]).await;
    let offer = client.take().await;

    postgres.crash().await;
    let reply = raw::report_in_background(&server.addr(), &offer.mid, ZHANG).await;
    fails(&server, "a report could not be stored", 2).await;
    assert_survivable(poll_in_time(&server, "one").await, Some(&offer));
    assert!(!reply.is_finished(), "an answer, though nothing was stored: {:?}", reply.await);

    postgres.start_again().await;
    let reply = Reply::parse(&timeout(SOON, reply).await.unwrap().unwrap());
    assert_eq!((reply.status, reply.for_the_app()), (200, json!({ "code": 0 })));
    assert_eq!(client.alarm(&id).await["state"], "answered");
    drop(server);
}

/// Waits until the log holds a sentence so many times.
async fn fails(server: &Binary, sentence: &str, times: usize) {
    let look = async || (server.log().matches(sentence).count() >= times).then_some(());
    eventually(&format!("{sentence:?}, {times} times, in the log"), SOON, look).await;
}

/// A poll that must be answered in the time of the contract; fails when it is not.
pub fn poll_in_time(server: &Binary, model: &'static str) -> impl Future<Output = String> + Send + 'static {
    let client = Client::with_patience(server, REPLY_WITHIN);
    async move {
        let response = client.request(Method::GET, "/alert/phone").header("model", model).sent().await;
        response.expect("the reply comes in time").text().await.expect("the reply is whole")
    }
}

/// The handset lives on after this reply, and is not told to dial anything but what it has.
pub fn assert_survivable(body: String, open: Option<&Offer>) {
    let reply: Value = serde_json::from_str(&body).unwrap();
    assert!(reply["code"].is_i64(), "{body}");
    if reply["code"] == 0 {
        assert_eq!(open.map(|open| open.body.as_str()), Some(body.as_str()));
    }
}

impl Client {
    /// A poll for as long as the server may still be without its database.
    async fn poll_patiently(&self) -> Option<Offer> {
        let response = self.request(Method::GET, "/alert/phone").header("model", "one").sent().await.ok()?;
        if response.status() == 200 { Offer::read(response.text().await.ok()?) } else { None }
    }
}
