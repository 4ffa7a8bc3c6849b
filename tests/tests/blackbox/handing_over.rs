//! Scenario: the server is replaced while requests come without a pause. The socket on which they come was opened by somebody else, as by
//! systemd, so it outlives each process.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use autocall_tests::described::Held as _;
use autocall_tests::server::{Binary, ServeOptions};
use autocall_tests::wait::eventually;
use reqwest::Method;
use serde_json::json;

use crate::{
    client::{Client, status_and_json},
    world::{Engine, SOON, World, on_both},
};

const ZHANG: &str = "18712345678";

on_both!(no_request_is_lost_while_the_server_is_replaced);

async fn no_request_is_lost_while_the_server_is_replaced(engine: Engine) {
    let world = World::new(engine).await;
    let socket = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
    let options = || -> ServeOptions { world.options().socket(&socket) };
    let mut old = Binary::spawn(options()).await;
    assert!(old.log().contains("a socket that was given"), "{}", old.log());

    let (over, raised, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut load = tokio::task::JoinSet::new();
    for number in 0..4 {
        let (client, over, raised, asked) = (Client::new(&old), Arc::clone(&over), Arc::clone(&raised), Arc::clone(&asked));
        load.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                if number == 0 {
                    let body = json!({ "summary": "disk full", "phones": [ZHANG], "dry_run": true }).to_string();
                    let (status, answer) = status_and_json(client.post_alarm(body).sent().await.unwrap()).await;
                    assert_eq!(status, 201, "{answer}");
                    raised.fetch_add(1, Ordering::Relaxed);
                } else {
                    let answer = client.request(Method::GET, "/alert/phone").header("model", "one").sent().await.unwrap();
                    assert_eq!(answer.status(), 200);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    let goes_on = async || {
        let (alarms, polls) = (raised.load(Ordering::Relaxed), asked.load(Ordering::Relaxed));
        eventually("requests to be answered", SOON, async || {
            (raised.load(Ordering::Relaxed) > alarms + 5 && asked.load(Ordering::Relaxed) > polls + 20).then_some(())
        })
        .await;
    };
    goes_on().await;
    for _ in 0..3 {
        let new = match engine {
            // Side by side for a while: the new one takes over, then the old one drains.
            Engine::Postgres => {
                let mut new = Binary::launch(options());
                eventually("the new one to listen", SOON, async || new.log().contains("listening").then_some(())).await;
                assert!(new.is_running());
                let status = old.terminate_and_wait().await;
                assert!(status.success(), "{status}\n{}", old.log());
                new
            }
            // One after the other, as a file has one server; who connects between the two waits.
            Engine::Sqlite => {
                let status = old.terminate_and_wait().await;
                assert!(status.success(), "{status}\n{}", old.log());
                Binary::launch(options())
            }
        };
        old = new;
        goes_on().await;
    }
    over.store(true, Ordering::Relaxed);
    while let Some(done) = load.join_next().await {
        done.expect("no request is refused or dropped");
    }
    let page = Client::new(&old).get("/api/v1/alarms?limit=200").await;
    let kept = page["alarms"].as_array().unwrap().len();
    assert_eq!(kept, raised.load(Ordering::Relaxed).min(200), "what was accepted is there");
}

/// Variables that were left over from whoever started the one that started this server.
#[tokio::test]
async fn sockets_that_were_meant_for_another_process_are_left_alone() {
    let server = Binary::spawn(ServeOptions::new().env("LISTEN_FDS", "1").env("LISTEN_PID", "1")).await;
    assert!(!server.log().contains("a socket that was given"), "{}", server.log());
}
