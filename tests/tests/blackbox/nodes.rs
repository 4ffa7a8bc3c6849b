//! Scenario: several servers and commands on one database, starting and working at the same instant.

use std::process::Output;

use autocall_tests::{
    server::{Binary, ServeOptions, autocall},
    wait::eventually,
};
use tokio::task::JoinSet;

use crate::{
    client::{Client, Offer},
    world::{Engine, SOON, World, on_both},
};

on_both!(migrations_may_run_at_once);

/// Two servers on one database. A test that fails shows their logs.
struct Nodes(Binary, Binary);

impl Nodes {
    /// Starts both together on a database that is still empty.
    async fn start(world: &World) -> Self {
        let mut nodes = Self(Binary::launch(world.options()), Binary::launch(world.options()));
        nodes.0.wait_until_healthy().await;
        nodes.1.wait_until_healthy().await;
        nodes
    }

    fn clients(&self) -> (Client, Client) {
        (Client::new(&self.0), Client::new(&self.1))
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- one ---\n{}--- two ---\n{}", self.0.log(), self.1.log());
        }
    }
}

#[tokio::test]
async fn two_nodes_start_on_an_empty_schema_and_share_the_work() {
    let world = World::new(Engine::Postgres).await;
    let nodes = Nodes::start(&world).await;
    let (here, there) = nodes.clients();

    let id = here.raise_for(&["18712345678"]).await;
    let offer = there.take().await;
    assert_eq!(here.alarm(&id).await["state"], "ringing");
    assert_eq!(here.poll().await.unwrap(), offer, "the same phone gets the same dial from either node");
    here.report(&offer.mid, Some("18712345678")).await;
    for node in [&here, &there] {
        let alarm = node.alarm(&id).await;
        assert_eq!(alarm["state"], "answered");
        assert_eq!(node.poll().await, None);
    }
}

#[tokio::test]
async fn two_nodes_hand_each_alarm_out_once() {
    let world = World::new(Engine::Postgres).await;
    let nodes = Nodes::start(&world).await;
    let (here, there) = nodes.clients();
    for number in 0..10 {
        let phone = format!("1391234{number:04}");
        let id = here.raise_for(&[&phone]).await;
        let (mut first, mut second) = (None, None);
        eventually("one of two phones to get the alarm", SOON, async || {
            (first, second) = tokio::join!(here.poll_as("one"), there.poll_as("two"));
            (first.is_some() || second.is_some()).then_some(())
        })
        .await;
        let (offer, other) = match (&first, &second) {
            (Some(offer), None) => (offer, (&there, "two")),
            (None, Some(offer)) => (offer, (&here, "one")),
            both => panic!("handed out twice: {both:?}"),
        };
        assert_eq!(offer.phones, [phone.as_str()]);
        assert_eq!(other.0.poll_as(other.1).await, None, "the other phone gets nothing while the first one rings");
        let reporting = if number % 2 == 0 { &here } else { &there };
        reporting.report(&offer.mid, Some(&phone)).await;
        let alarm = here.alarm(&id).await;
        assert_eq!((alarm["state"].as_str(), alarm["dials"].as_array().map(Vec::len)), (Some("answered"), Some(1)), "{alarm}");
    }
}

/// Two phones, two alarms for one engineer: the number is never rung twice at the same time.
#[tokio::test]
async fn two_nodes_never_ring_one_number_twice_at_once() {
    let world = World::new(Engine::Postgres).await;
    let nodes = Nodes::start(&world).await;
    let (here, there) = nodes.clients();
    here.raise_for(&["18712345678"]).await;
    // For others too, or it would join the first and be rung by the same call.
    there.raise_for(&["18712345678", "18812345678"]).await;
    for _ in 0..2 {
        let offers = eventually("an alarm to be handed out", SOON, async || {
            let mut polls = JoinSet::new();
            for turn in 0..10 {
                let (node, model) = if turn % 2 == 0 { (here.clone(), "one") } else { (there.clone(), "two") };
                polls.spawn(async move { node.poll_as(model).await });
            }
            let offers: Vec<Offer> = polls.join_all().await.into_iter().flatten().collect();
            (!offers.is_empty()).then_some(offers)
        })
        .await;
        let mid = &offers[0].mid;
        assert!(offers.iter().all(|offer| offer.mid == *mid), "one number in several dials: {offers:?}");
        here.report(mid, Some("18712345678")).await;
    }
    assert!(here.alarms().await.iter().all(|alarm| alarm["state"] == "answered"));
}

async fn migrations_may_run_at_once(engine: Engine) {
    let world = World::new(engine).await;
    let (one, two, three) = tokio::join!(world.command(&["migrate"]), world.command(&["migrate"]), world.command(&["migrate"]));
    for output in [one, two, three] {
        assert!(output.status.success(), "{}", both_streams(&output));
    }
    let mut server = Binary::launch(world.options());
    let output = world.command(&["migrate"]).await;
    assert!(output.status.success(), "beside a server: {}", both_streams(&output));
    server.wait_until_healthy().await;
    Client::new(&server).alarm_is_answered("18712345678").await;
}

#[tokio::test]
async fn a_second_server_on_the_same_folder_is_refused() {
    let world = World::new(Engine::Sqlite).await;
    let folder = world.data_dir();
    let mut server = world.serve().await;
    let output = autocall(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &folder], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = both_streams(&output);
    assert!(said.contains(&folder) && said.contains("another server"), "{said}");

    Client::new(&server).alarm_is_answered("18712345678").await;
    server.restart().await;
    Client::new(&server).alarm_is_answered("18712345678").await;
}

#[tokio::test]
async fn of_two_servers_that_start_on_one_folder_one_goes_on() {
    let world = World::new(Engine::Sqlite).await;
    let options = || ServeOptions::new().data_dir(world.data_dir());
    let mut servers = [Binary::launch(options()), Binary::launch(options())];
    let left =
        eventually("one of two servers to give up", SOON, async || match (servers[0].is_running(), servers[1].is_running()) {
            (true, false) => Some(0),
            (false, true) => Some(1),
            (true, true) => None,
            (false, false) => panic!("both gave up:\n{}\n{}", servers[0].log(), servers[1].log()),
        })
        .await;
    servers[left].wait_until_healthy().await;
    assert!(servers[1 - left].log().contains(&world.data_dir()), "{}", servers[1 - left].log());
    Client::new(&servers[left]).alarm_is_answered("18712345678").await;
}

fn both_streams(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
