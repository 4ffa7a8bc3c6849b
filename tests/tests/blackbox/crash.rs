//! Scenario: the server is killed without warning and started again on the same data. What it said before still holds.

use crate::{
    client::Client,
    world::{Engine, World, on_both},
};

const ZHANG: &str = "18712345678";
const LI: &str = "18812345678";

on_both!(an_open_dial_survives, an_accepted_alarm_survives, an_acknowledged_report_survives);

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
