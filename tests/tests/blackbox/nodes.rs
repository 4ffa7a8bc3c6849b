//! Scenario: several servers and commands on one database, starting and working at the same instant.

use std::process::Output;
use std::sync::{Arc, Mutex};

use autocall_tests::{
    postgres::{fresh_database, shared_postgres_url},
    redis::PrivateRedis,
    server::{Binary, ServeOptions, autocall},
    wait::eventually,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
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

/// What Redis is asked for, as it tells it.
struct Overheard(Arc<Mutex<String>>);

impl Overheard {
    async fn at(redis: &PrivateRedis) -> Self {
        let mut line = TcpStream::connect(redis.addr()).await.unwrap();
        line.write_all(b"MONITOR\r\n").await.unwrap();
        let heard = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&heard);
        tokio::spawn(async move {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = line.read(&mut part).await {
                kept.lock().unwrap().push_str(&String::from_utf8_lossy(&part[..length]));
            }
        });
        let heard = Self(heard);
        eventually("Redis to tell what it is asked", SOON, async || heard.0.lock().unwrap().contains("+OK").then_some(())).await;
        heard
    }

    /// The names of installations in the locks that were asked for, each as often as it was.
    fn installations(&self) -> Vec<String> {
        let heard = self.0.lock().unwrap();
        let names = heard.split("autocall:lock:").skip(1).filter_map(|rest| rest.split('"').next());
        names.map(|name| name.rsplit_once(':').map_or("", |(installation, _)| installation).to_owned()).collect()
    }

    /// The same once more were asked for than so many.
    async fn after(&self, count: usize) -> Vec<String> {
        eventually("a lock to be asked for", SOON, async || {
            let all = self.installations();
            (all.len() > count).then_some(all)
        })
        .await
    }
}

/// Their tables are in a schema of the same name, as it is by default.
#[tokio::test]
async fn installations_that_share_a_redis_share_no_lock() {
    let (one, other) = (fresh_database(&shared_postgres_url()).await, fresh_database(&shared_postgres_url()).await);
    let redis = PrivateRedis::start().await;
    let serve = async |database: &str| Binary::spawn(ServeOptions::new().database(database).redis(redis.url())).await;
    let (first, second, elsewhere) = (serve(&one.url).await, serve(&one.url).await, serve(&other.url).await);
    let overheard = Overheard::at(&redis).await;
    Client::new(&first).alarm_is_answered("18712345678").await;
    let by_first = overheard.after(0).await;
    Client::new(&second).alarm_is_answered("18812345678").await;
    let by_both = overheard.after(by_first.len()).await;
    assert!(by_both.iter().all(|name| *name == by_both[0]), "nodes of one installation meet: {by_both:?}");
    Client::new(&elsewhere).alarm_is_answered("18712345678").await;
    let by_all = overheard.after(by_both.len()).await;
    assert!(by_all[by_both.len()..].iter().all(|name| *name != by_both[0]), "installations do not: {by_all:?}");
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
