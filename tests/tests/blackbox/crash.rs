//! Scenario: the server is killed without warning and started again on the same data. What it said before still holds.

use std::sync::{Arc, Mutex};

use autocall_tests::http_client;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    client::Client,
    world::{Engine, SOON, World, on_both},
};

const ZHANG: &str = "18712345678";
const LI: &str = "18812345678";

on_both!(
    an_open_dial_survives,
    an_accepted_alarm_survives,
    an_acknowledged_report_survives,
    whatever_was_accepted_in_a_storm_survives
);

async fn an_open_dial_survives(engine: Engine) {
    let world = World::new(engine).await;
    let mut server = world.serve().await;
    let client = Client::new(&server);
    let id = client.raise_for(&[ZHANG, LI]).await;
    let before = client.take().await;

    for _ in 0..2 {
        server.kill_9();
        server.restart().await;
        assert_eq!(client.poll().await.unwrap(), before, "the open dial is served byte for byte as before");
    }

    client.report(&before.mid, Some(LI)).await;
    let alarm = client.alarm(&id).await;
    assert_eq!(alarm["state"], "answered");
    assert_eq!(alarm["answer"]["mid"], before.mid[..8]);
    assert_eq!(alarm["dials"].as_array().unwrap().len(), 1);
    assert_eq!(client.poll().await, None, "a reported mid is never served again");
}

async fn an_accepted_alarm_survives(engine: Engine) {
    let world = World::new(engine).await;
    let mut server = world.serve().await;
    let client = Client::new(&server);
    let id = client.raise_for(&[ZHANG]).await;
    server.kill_9();
    server.restart().await;

    assert_eq!(client.alarm(&id).await["state"], "waiting");
    let offer = client.take().await;
    assert_eq!(offer.phones, [ZHANG]);
    client.report(&offer.mid, None).await;
    assert_eq!(client.alarm(&id).await["dials"][0]["outcome"], "nobody");
}

async fn an_acknowledged_report_survives(engine: Engine) {
    let world = World::new(engine).await;
    let mut server = world.serve().await;
    let client = Client::new(&server);
    let id = client.raise_for(&[ZHANG]).await;
    let offer = client.take().await;
    client.report(&offer.mid, Some(ZHANG)).await;
    server.kill_9();
    server.restart().await;

    assert_eq!(client.alarm(&id).await["state"], "answered");
    assert_eq!(client.poll().await, None);
    client.report(&offer.mid, Some(ZHANG)).await;
    assert_eq!(client.alarm(&id).await["answers"].as_array().unwrap().len(), 1, "a repeated report counts once");
}

/// Many senders at once, and a kill in the middle: what was acknowledged is there, once, also what was committed together with others; and
/// what is sent again is the same alarm.
async fn whatever_was_accepted_in_a_storm_survives(engine: Engine) {
    const SENDERS: usize = 16;
    const EACH: usize = 12;
    /// The kill comes when so many were accepted.
    const ENOUGH: usize = 60;
    let world = World::new(engine).await;
    let mut server = world.serve().await;
    let accepted: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
    let mut storm = JoinSet::new();
    for sender in 0..SENDERS {
        let (url, accepted) = (format!("{}/api/v1/alarms", server.url()), Arc::clone(&accepted));
        storm.spawn(async move {
            let client = http_client().build().unwrap();
            for number in 0..EACH {
                let key = format!("{sender}-{number}");
                let alarm = json!({ "summary": key, "phones": [ZHANG], "begin_before_seconds": 3600 });
                let raised = client.post(&url).header("idempotency-key", &key).json(&alarm).send().await;
                // Killed by now.
                let Ok(raised) = raised else { return };
                if raised.status() == 201
                    && let Ok(body) = raised.json::<Value>().await
                {
                    accepted.lock().unwrap().push((key, body["id"].as_str().unwrap().to_owned()));
                }
            }
        });
    }
    let accepted_so_far = || accepted.lock().unwrap().len();
    autocall_tests::wait::eventually("enough alarms", SOON, async || (accepted_so_far() >= ENOUGH).then_some(())).await;
    server.kill_9();
    storm.join_all().await;
    server.restart().await;

    let client = http_client().build().unwrap();
    let url = format!("{}/api/v1/alarms", server.url());
    let accepted = accepted.lock().unwrap().clone();
    for (key, id) in accepted {
        let alarm = json!({ "summary": key, "phones": [ZHANG], "begin_before_seconds": 3600 });
        let again = client.post(&url).header("idempotency-key", &key).json(&alarm).send().await.unwrap();
        assert_eq!(again.json::<Value>().await.unwrap()["id"], id, "it is there, and the same");
    }
}
