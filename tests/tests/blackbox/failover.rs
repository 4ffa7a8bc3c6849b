//! Scenario: a standby of the database is promoted under a running server, and the primary of before comes back.

use autocall_tests::{
    described::Held as _,
    postgres::{PrivatePostgres, several},
    server::{Binary, ServeOptions, autocall},
    wait::eventually,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    client::{Client, status_and_json},
    outage::{assert_survivable, poll_in_time},
    world::SOON,
};

const ZHANG: &str = "18712345678";

async fn is_ready(client: &Client) {
    eventually("the server to be ready", SOON, async || (client.readyz().await["status"] == "ready").then_some(())).await;
}

/// What is wrong, as the probe says it; waited for.
async fn says(client: &Client, wrong: &str) {
    eventually("the server to say what is wrong", SOON, async || client.readyz().await.to_string().contains(wrong).then_some(()))
        .await;
}

async fn is_refused(client: &Client) -> Value {
    let body = json!({ "summary": "disk full", "phones": [ZHANG] }).to_string();
    let (status, answer) = status_and_json(client.post_alarm(body).sent().await.unwrap()).await;
    assert_eq!(status, 503, "{answer}");
    answer
}

/// What `autocall doctor` finds about the database.
async fn findings(url: &str, folder: &str) -> String {
    let output = autocall(&["doctor", "--json"], &[("DATABASE_URL", url), ("AUTOCALL_DATA_DIR", folder)]).await;
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = told["checks"].as_array().unwrap();
    checks.iter().find(|check| check["check"] == "database").unwrap()["findings"].to_string()
}

#[tokio::test]
async fn a_standby_that_is_promoted_is_found_and_an_old_primary_is_refused() {
    let mut first = PrivatePostgres::start().await;
    let mut second = PrivatePostgres::standby_of(&first).await;
    // The one that is no primary stands first: its place in the list says nothing.
    let url = several(&[&second, &first]);
    let mut server = Binary::spawn(ServeOptions::new().database(&url)).await;
    let folder = server.data_dir().display().to_string();
    let client = Client::new(&server);
    client.alarm_is_answered(ZHANG).await;
    let found = findings(&url, &folder).await;
    assert!(found.contains("is the primary") && found.contains("is a standby"), "{found}");
    assert!(found.contains("synchronous_standby_names"), "what may be lost is said: {found}");
    first.wait_for_standby().await;
    let found = findings(&url, &folder).await;
    assert!(!found.contains("synchronous_standby_names"), "{found}");
    client.alarm_is_answered(ZHANG).await;

    first.crash().await;
    // Between the two, phones live on, and senders hear that nothing was stored.
    assert_survivable(poll_in_time(&server, "one").await, None);
    is_refused(&client).await;
    second.promote().await;
    is_ready(&client).await;
    assert_eq!(client.alarms().await.len(), 2, "both were on the standby when they were answered");
    client.alarm_is_answered(ZHANG).await;
    assert!(client.metric("autocall_database_moves_total").await >= 1.0);
    assert!(server.log().contains("another host is the primary now"), "{}", server.log());

    // It comes back as it was, and takes changes: nobody gives it any.
    first.start_again().await;
    first.execute("ALTER SYSTEM SET synchronous_standby_names = ''").await;
    first.execute("SELECT pg_reload_conf()").await;
    eventually("the old primary to be told of", SOON, async || {
        server.log().contains("a standby was promoted since").then_some(())
    })
    .await;
    client.alarm_is_answered(ZHANG).await;
    let found = findings(&url, &folder).await;
    assert!(found.contains("another one was promoted since"), "{found}");

    // Neither when it is the only one that is there.
    second.stop().await;
    says(&client, "old primary").await;
    is_refused(&client).await;
    assert_survivable(poll_in_time(&server, "one").await, None);
    let response = client.request(Method::GET, "/healthz").sent().await.unwrap();
    assert_eq!(response.status(), 200, "it must not be restarted for that");
    // Nor for one that starts now.
    server.terminate_and_wait().await;
    let mut again = Binary::launch(ServeOptions::new().database(&url).data_dir(&folder));
    let status = again.wait().await;
    assert!(!status.success(), "it started on an old primary: {}", again.log());
    assert!(again.log().contains("server.primary") && again.log().contains("timeline"), "{}", again.log());
    let command = autocall(&["handset", "list"], &[("DATABASE_URL", &url), ("AUTOCALL_DATA_DIR", &folder)]).await;
    assert!(!command.status.success(), "a command worked on an old primary");

    second.start_again().await;
    server.restart().await;
    is_ready(&client).await;
    assert_eq!(client.alarms().await.len(), 4);
    client.alarm_is_answered(ZHANG).await;
}

/// The same behind one address, such as that of a balancer: here the server itself is exchanged for its past.
#[tokio::test]
async fn one_address_that_leads_to_an_old_primary_is_refused_too() {
    let mut first = PrivatePostgres::start().await;
    let second = PrivatePostgres::standby_of(&first).await;
    let proxy = autocall_tests::proxy::TcpProxy::start(first.addr()).await;
    let server = Binary::spawn(ServeOptions::new().database(proxy.url(&first.url()))).await;
    let client = Client::new(&server);
    client.alarm_is_answered(ZHANG).await;
    first.crash().await;
    second.promote().await;
    proxy.lead_to(second.addr());
    is_ready(&client).await;
    client.alarm_is_answered(ZHANG).await;

    first.start_again().await;
    proxy.lead_to(first.addr());
    proxy.cut_all().await;
    says(&client, "old primary").await;
    is_refused(&client).await;
    proxy.lead_to(second.addr());
    proxy.cut_all().await;
    is_ready(&client).await;
    client.alarm_is_answered(ZHANG).await;
}
