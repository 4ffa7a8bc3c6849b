//! Scenario: a shout goes out on many channels while its node is killed. Nobody is called twice, nobody is forgotten, and no second has more
//! calls than may be. With `SHOUT_RECIPIENTS=10000` it measures what one is good for (`tests/run --test faults shouts -- --ignored --nocapture`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use autocall::clock::Clock;
use autocall::compat::blast;
use autocall::engine::Doer;
use autocall::keep::{keys, pairing};
use autocall::numbers::Region;
use autocall::rights::{Right, Rights};
use autocall_tests::{
    server::{Binary, ServeOptions},
    wait::eventually,
};
use rand::RngExt;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::installation::{Engine, Installation};
use crate::phones::Kind;

/// Channels of the handset that calls.
const CHANNELS: usize = 30;
/// What `shouts.calls_per_second` allows.
const MOST_IN_A_SECOND: usize = 25;
/// How long a call of the peer goes on.
const CALL: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "on demand, until it has been measured on a quiet machine: tests/run --test faults shouts -- --ignored --nocapture"]
async fn sqlite_node_is_killed_while_a_shout_goes_out() {
    a_node_is_killed_while_a_shout_goes_out(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "on demand, until it has been measured on a quiet machine: tests/run --test faults shouts -- --ignored --nocapture"]
async fn postgres_node_is_killed_while_a_shout_goes_out() {
    a_node_is_killed_while_a_shout_goes_out(Engine::Postgres).await;
}

/// What a channel was told to call: the number by mid.
type Called = Arc<Mutex<HashMap<String, String>>>;

/// One channel of a handset with a journal: it calls what it is told once, and reports until it is heard.
async fn channel(client: reqwest::Client, path: String, channel: usize, called: Called) {
    let url = format!("{path}?channel={channel}&wait=5");
    let ask = |request: reqwest::RequestBuilder| async {
        let answer = request.header("autocall-protocol", "1").timeout(Duration::from_secs(20)).send().await.ok()?;
        let text = answer.text().await.ok()?;
        serde_json::from_str::<Value>(&text).ok()
    };
    loop {
        let offer = ask(client.get(&url)).await.filter(|offer| offer["code"] == 0);
        let Some(offer) = offer else {
            // Nothing to do, or nobody there: a handset asks again a moment later.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (mid, number) = (offer["mid"].as_str().unwrap().to_owned(), offer["phone"][0].as_str().unwrap().to_owned());
        // What its journal holds it does not dial again.
        let is_new = called.lock().unwrap().insert(mid.clone(), number.clone()).is_none();
        if is_new {
            tokio::time::sleep(CALL).await;
        }
        let told = json!({ "calls": [{ "number": number, "outcome": "answered", "talk_seconds": 1, "machine": "human" }] });
        while ask(client.post(format!("{path}?mid={mid}&resp={number}")).json(&told)).await.is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Memory of a process, in KiB.
fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default()
}

/// A handset with its channels and a key, beside the server.
async fn prepare(installation: &Installation, options: ServeOptions) -> (Binary, String, String) {
    let paired = installation.pair(&[("trunk".to_owned(), Kind::Native, false)]).await.remove(0);
    let (store, now) = (installation.store().await, Clock::system().now());
    let channels = i32::try_from(CHANNELS).unwrap();
    let key = store
        .carry_out(now, Doer::Server, async |work| {
            pairing::set_channels(work, "trunk", channels).await.unwrap();
            pairing::set_bulk(work, "trunk", true).await.unwrap();
            keys::add_with(work, "blast", &[], &Rights::of([Right::Admin, blast::RIGHT]), Region::CN).await
        })
        .await
        .unwrap();
    store.close().await;
    let server = Binary::spawn(options).await;
    (server, format!("/h/{}", paired.token), key)
}

async fn a_node_is_killed_while_a_shout_goes_out(engine: Engine) {
    let installation = Installation::new(engine).await;
    installation.prepare().await;
    let recipients: usize = std::env::var("SHOUT_RECIPIENTS").ok().and_then(|number| number.parse().ok()).unwrap_or(600);
    let options =
        installation.options().env("AUTOCALL_SHOUTS_BATCH_SIZE", "10000").env("AUTOCALL_SHOUTS_RECIPIENTS_PER_HOUR", "100000");
    let (mut server, path, key) = prepare(&installation, options).await;
    let base = server.url();
    let client = autocall_tests::http_client().no_proxy().build().unwrap();
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "machine"], "backend": "sip", "channels": CHANNELS });
    let status = client.post(format!("{base}{path}/status")).header("autocall-protocol", "1").json(&can);
    assert_eq!(status.send().await.unwrap().status(), 200);
    let numbers: Vec<String> = (0..recipients).map(|index| format!("139{index:08}")).collect();
    let shout = json!({ "userdata": "u1", "recipients": numbers, "message": "Hi.", "language": "en" });
    let answer = client.post(format!("{base}/api/v1/shouts")).bearer_auth(&key).json(&shout).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let id = answer["id"].as_i64().unwrap_or_else(|| panic!("{answer}"));
    let began = Instant::now();
    let called = Called::default();
    let mut channels = JoinSet::new();
    for number in 0..CHANNELS {
        channels.spawn(channel(client.clone(), format!("{base}{path}/alert/phone"), number, Arc::clone(&called)));
    }
    let so_many = async |share: usize| {
        eventually("calls go out", LONGEST, async || (called.lock().unwrap().len() >= recipients * share / 5).then_some(()))
            .await;
    };
    let mut sizes = Vec::new();
    for share in 1..=3 {
        so_many(share).await;
        sizes.push(memory(server.process_id()));
        let moment = Duration::from_millis(rand::rng().random_range(0..400));
        tokio::time::sleep(moment).await;
        server.kill_9();
        server.restart().await;
    }
    eventually("all are called", LONGEST, async || {
        let shout = client.get(format!("{base}/api/v1/shouts/{id}")).bearer_auth(&key).send().await.ok()?;
        (shout.json::<Value>().await.ok()?["status"] == "finished").then_some(())
    })
    .await;
    let lasted = began.elapsed();
    channels.abort_all();
    let calls = client.get(format!("{base}/api/v1/calls?shout-id={id}")).bearer_auth(&key).send().await.unwrap();
    let calls: Vec<Value> = calls.json().await.unwrap();
    let mut times_called: HashMap<String, usize> = HashMap::new();
    for number in called.lock().unwrap().values() {
        *times_called.entry(number.clone()).or_default() += 1;
    }
    for number in &numbers {
        assert_eq!(times_called.get(number), Some(&1), "{number} was called so often");
    }
    let completed = calls.iter().filter(|call| call["status"] == "completed").count();
    assert_eq!((calls.len(), completed), (recipients, recipients), "what was heard is what became of them");
    let most =
        "SELECT CAST(max(n) AS BIGINT) FROM (SELECT count(*) AS n FROM dials GROUP BY substr(CAST(offered_at AS TEXT), 1, 19)) s";
    let most = installation.count(most).await;
    assert!(most <= i64::try_from(MOST_IN_A_SECOND).unwrap(), "{most} calls went out in one second");
    let cdr = installation.count("SELECT count(*) FROM shout_log WHERE kind = 'cdr'").await;
    assert_eq!(cdr, i64::try_from(recipients).unwrap(), "each end is written down once");
    println!(
        "{recipients} recipients on {CHANNELS} channels, {engine:?}, three kills: {:.0} s, {:.1} calls a second, at most {most} in one; \
         memory before each kill {sizes:?} KiB, at the end {} KiB",
        lasted.as_secs_f64(),
        f64::from(u32::try_from(recipients).unwrap()) / lasted.as_secs_f64(),
        memory(server.process_id())
    );
}
