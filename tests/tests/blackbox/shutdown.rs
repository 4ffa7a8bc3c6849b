//! Scenario: the server is asked to stop. It finishes what it can, and drops what it must not answer.

use autocall_tests::{server::Binary, wait::eventually};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    client::Client,
    raw::{self, Reply},
    world::{Engine, SOON, World, on_both},
};

const ZHANG: &str = "18712345678";

on_both!(stops_in_order, an_open_request_finishes, a_report_that_cannot_be_stored_is_dropped);

async fn stops_in_order(engine: Engine) {
    let world = World::new(engine).await;
    let mut server = world.serve().await;
    let client = Client::new(&server);
    client.alarm_is_answered(ZHANG).await;
    // Neither a silent connection nor half a request holds the server up for ever.
    let _silent = TcpStream::connect(server.addr()).await.unwrap();
    let mut half = TcpStream::connect(server.addr()).await.unwrap();
    half.write_all(b"GET /alert/pho").await.unwrap();

    assert_stops_well(&mut server).await;
    server.restart().await;
    assert_eq!(client.alarms().await.len(), 1);
}

async fn an_open_request_finishes(engine: Engine) {
    let world = World::new(engine).await;
    let mut server = world.serve().await;
    let addr = server.addr();
    let body = json!({ "summary": "disk full", "phones": [ZHANG] }).to_string();
    let head = format!(
        "POST /api/v1/alarms HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(&addr).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // Said when the server begins to read the body: from here on the request is open.
    let mut go_on = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
    timeout(SOON, stream.read_exact(&mut go_on)).await.unwrap().unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100 "));

    let finish = async {
        eventually("the server to take no new connections", SOON, async || TcpStream::connect(&addr).await.err()).await;
        stream.write_all(body.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        timeout(SOON, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
        Reply::parse(&bytes)
    };
    let (status, reply) = tokio::join!(server.terminate_and_wait(), finish);
    assert_eq!(reply.status, 201, "{reply:?}");
    assert!(status.success(), "{status}\n{}", server.log());

    server.restart().await;
    assert_eq!(Client::new(&server).alarms().await.len(), 1);
}

async fn a_report_that_cannot_be_stored_is_dropped(engine: Engine) {
    stops_while_a_report_waits(engine, async |world: &mut World| world.lose_database().await).await;
}

/// The network to the database swallows every packet, so even closing a connection gets no answer.
#[tokio::test]
async fn a_report_is_dropped_while_postgres_is_silent() {
    stops_while_a_report_waits(Engine::Postgres, async |world: &mut World| world.silence_database()).await;
}

async fn stops_while_a_report_waits(engine: Engine, lose: impl AsyncFnOnce(&mut World)) {
    let mut world = World::new(engine).await;
    let mut server = world.serve().await;
    let client = Client::new(&server);
    let id = client.raise_for(&[ZHANG]).await;
    let offer = client.take().await;

    lose(&mut world).await;
    let reply = raw::report_in_background(&server.addr(), &offer.mid, ZHANG).await;
    // The embedded database has one connection that writes; whatever waits for it keeps it busy for seconds.
    eventually("the report to fail once", SOON, async || server.log().contains("a report could not be stored").then_some(()))
        .await;
    assert!(!reply.is_finished(), "an answer, though nothing was stored: {:?}", reply.await);
    assert_stops_well(&mut server).await;
    let received = timeout(SOON, reply).await.unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&received), "", "the app forgets its result on any reply");

    world.give_database_back().await;
    server.restart().await;
    assert_eq!(client.take().await, offer, "the phone sees its mid again, and so sends its result again");
    client.report(&offer.mid, Some(ZHANG)).await;
    let alarm = client.alarm(&id).await;
    assert_eq!(alarm["state"], "answered");
    assert_eq!(alarm["answers"].as_array().unwrap().len(), 1);
}

async fn assert_stops_well(server: &mut Binary) {
    let status = server.terminate_and_wait().await;
    let log = server.log();
    assert!(status.success(), "{status}\n{log}");
    assert!(log.trim_end().ends_with("stopped"), "{log}");
}
