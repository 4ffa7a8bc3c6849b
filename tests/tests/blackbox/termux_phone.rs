//! Scenario: an alarm rings by a phone with Termux: the real server, the real `handset`, and a phone made of scripts.

#[path = "../../../android-protocol/tests/support/fake_phone.rs"]
#[expect(dead_code, reason = "what else a phone can do is tested beside the handset")]
mod fake_phone;

use std::path::Path;

use autocall_tests::{provided_by_run, wait::eventually};
use fake_phone::{FakePhone, row};

use crate::{
    client::Client,
    world::{Engine, SOON, World, on_both},
};

const ZHANG: &str = "18712345678";

on_both!(an_alarm_rings_is_answered_and_the_api_shows_who, killed_while_it_rings_nobody_is_rung_twice);

/// The address that the server prints for a new handset.
async fn paired(world: &World) -> String {
    let added = world.command(&["handset", "add", "--name", "desk"]).await;
    let said = String::from_utf8(added.stdout).unwrap();
    let path = &said[said.find("/h/").unwrap()..];
    path.split("/alert").next().unwrap().to_owned()
}

async fn dialled(phone: &FakePhone) {
    eventually("the dial", SOON, async || phone.dials().first().cloned()).await;
}

async fn answered(client: &Client, id: &str) {
    eventually("the answer", SOON, async || (client.alarm(id).await["state"] == "answered").then_some(())).await;
    let alarm = client.alarm(id).await;
    let answer = &alarm["answer"];
    assert!(answer["number"].as_str().is_some_and(|number| number.ends_with(ZHANG)), "{alarm}");
    assert_eq!(answer["handset"], "desk", "{alarm}");
}

async fn an_alarm_rings_is_answered_and_the_api_shows_who(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let (client, phone) = (Client::new(&server), FakePhone::new("14"));
    phone.calls(0, "0");
    phone.calls_on_dial(2, "4");
    let address = format!("{}{}", server.url(), paired(&world).await);
    let _agent = phone.start(Path::new(&provided_by_run("HANDSET_BIN")), &address);
    let id = client.raise_for(&[ZHANG]).await;
    dialled(&phone).await;
    phone.calls(2, "1");
    phone.rows(&[row("+8618712345678", "2026-11-28 03:22:07", "00:14")]);
    phone.calls(0, "0");
    answered(&client, &id).await;
    assert_eq!(phone.dials().len(), 1);
}

async fn killed_while_it_rings_nobody_is_rung_twice(engine: Engine) {
    let world = World::new(engine).await;
    let server = world.serve().await;
    let (client, phone) = (Client::new(&server), FakePhone::new("14"));
    phone.calls(0, "0");
    phone.calls_on_dial(2, "4");
    let address = format!("{}{}", server.url(), paired(&world).await);
    let program = provided_by_run("HANDSET_BIN");
    let agent = phone.start(Path::new(&program), &address);
    let id = client.raise_for(&[ZHANG]).await;
    dialled(&phone).await;
    drop(agent);
    let _agent = phone.start(Path::new(&program), &address);
    phone.calls(2, "1");
    phone.rows(&[row(ZHANG, "2026-11-28 03:22:07", "00:09")]);
    phone.calls(0, "0");
    answered(&client, &id).await;
    assert_eq!(phone.dials().len(), 1);
}
