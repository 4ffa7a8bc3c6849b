//! Scenario: a program commands calls and conferences while nodes and the handset are killed. Whatever it asks for is dialled once at most, each
//! call and each conference is told to be over once, and nothing of it comes after that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use autocall::clock::Clock;
use autocall::engine::Doer;
use autocall::keep::{keys, pairing};
use autocall::numbers::Region;
use autocall::rights::Rights;
use autocall_tests::wait::eventually;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::drill::{LONG, Nodes};
use crate::installation::{Engine, Installation};
use crate::phones::Kind;

const CHANNELS: usize = 8;
/// What a program asks for in one scenario.
const CALLS: usize = 40;
/// No call lasts longer, in seconds.
const LONGEST_CALL: i64 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_node_and_handset_are_killed_while_programs_call() {
    all_are_killed_while_programs_call(Engine::Sqlite, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_nodes_and_handset_are_killed_while_programs_call() {
    all_are_killed_while_programs_call(Engine::Postgres, 2).await;
}

/// Asks one server after the other until it is answered.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    servers: Vec<String>,
}

impl Client {
    async fn once(&self, server: usize, post: bool, path: &str, body: Option<&Value>, key: Option<&str>) -> Option<Value> {
        let url = format!("{}{path}", self.servers[server % self.servers.len()]);
        let mut request = if post { self.http.post(url) } else { self.http.get(url) };
        request = request.header("autocall-protocol", "1").timeout(Duration::from_secs(12));
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let answer = request.send().await.ok()?;
        if answer.status() == 503 {
            return None;
        }
        serde_json::from_str(&answer.text().await.ok()?).ok()
    }

    async fn post(&self, path: &str, body: &Value, key: Option<&str>) -> Value {
        let first: u8 = rand::random();
        for turn in (0..2).cycle().skip(usize::from(first % 2)) {
            if let Some(answer) = self.once(turn, true, path, Some(body), key).await {
                return answer;
            }
            // Nobody is there: whoever asks asks again a moment later.
            sleep(Duration::from_millis(100)).await;
        }
        unreachable!("it asks until it is answered")
    }
}

/// The handset: what it was told to dial, and which calls somebody wants to end, by mid.
#[derive(Default)]
struct Line {
    dialled: Mutex<HashMap<String, String>>,
    dropped: Mutex<HashMap<String, bool>>,
    seq: AtomicI64,
}

/// One channel. It dials each mid once, also after a restart.
async fn channel(client: Client, path: String, line: Arc<Line>, number: usize, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    for turn in number.. {
        let offer = client.once(turn, false, &format!("{path}/alert/phone?channel={number}&wait=3"), None, None).await;
        let Some(offer) = offer.filter(|offer| offer["code"] == 0) else {
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (mid, called) = (offer["mid"].as_str().unwrap().to_owned(), offer["phone"][0].as_str().unwrap().to_owned());
        let is_new = line.dialled.lock().unwrap().insert(mid.clone(), called.clone()).is_none();
        let mut outcome = "no_answer";
        if is_new {
            outcome = if random.random_bool(0.8) { "answered" } else { "no_answer" };
            'call: for state in ["dialling", "alerting", "connected"] {
                if state == "connected" && outcome == "no_answer" {
                    break;
                }
                let told =
                    client.post(&format!("{path}/progress?mid={mid}"), &json!({ "number": called, "state": state }), None).await;
                for _ in 0..random.random_range(1..20) {
                    if told["code"] == 2 || line.dropped.lock().unwrap().contains_key(&mid) {
                        outcome = if state == "connected" { "answered" } else { "no_answer" };
                        break 'call;
                    }
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
        let resp = if outcome == "answered" { format!("&resp={called}") } else { String::new() };
        let told = json!({ "calls": [{ "number": called, "outcome": outcome, "ended_by": "callee", "talk_seconds": 1 }] });
        client.post(&format!("{path}/alert/phone?mid={mid}{resp}"), &told, None).await;
    }
}

/// Does what it is told in calls, or says that it cannot.
async fn live(client: Client, path: String, line: Arc<Line>, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut since = 0;
    for turn in 0.. {
        let told = client.once(turn, false, &format!("{path}/live?wait=3&since={since}"), None, None).await;
        for command in told.as_ref().and_then(|told| told["commands"].as_array()).unwrap_or(&Vec::new()) {
            since = command["seq"].as_i64().unwrap_or(since).max(since);
            let mid = command["mid"].as_str().unwrap_or_default().to_owned();
            let event = match command["do"].as_str().unwrap_or_default() {
                "drop" => {
                    line.dropped.lock().unwrap().insert(mid.clone(), true);
                    continue;
                }
                "join" => "joined",
                "leave" => "left",
                "play" => "played",
                "stop" => "stopped",
                _ if random.random_bool(0.5) => "error",
                _ => "played",
            };
            let seq = line.seq.fetch_add(1, Ordering::Relaxed);
            let event = json!({ "seq": seq, "ack": command["seq"], "mid": mid, "event": event, "value": "no_call" });
            client.post(&format!("{path}/live"), &json!({ "events": [event] }), None).await;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Begins the life of the handset, as after a start.
async fn handset(client: &Client, path: &str, line: &Arc<Line>, random: &mut StdRng) -> JoinSet<()> {
    let can = ["hangup", "dtmf", "tts", "machine", "record", "live", "calls", "conference"];
    let status = json!({ "capabilities": can, "backend": "sip", "channels": CHANNELS });
    client.post(&format!("{path}/status"), &status, None).await;
    let mut tasks = JoinSet::new();
    for number in 0..CHANNELS {
        tasks.spawn(channel(client.clone(), path.to_owned(), Arc::clone(line), number, random.random()));
    }
    tasks.spawn(live(client.clone(), path.to_owned(), Arc::clone(line), random.random()));
    tasks
}

/// Makes one call and does a few things with it, and perhaps with a conference; gives what was made.
async fn program(client: Client, key: String, index: usize, seed: u64) -> Vec<String> {
    let mut random = StdRng::seed_from_u64(seed);
    let key = Some(key.as_str());
    let mut made = Vec::new();
    if random.random_bool(0.3) {
        let answer =
            client.post("/cti/flows/sys/conf", &json!([[0, 1], format!("conf {index}"), { "max_seconds": 20 }]), key).await;
        made.extend(answer["result"]["res_id"].as_str().map(str::to_owned));
    }
    let conf = made.first().cloned();
    let params = json!({ "to_uri": format!("139{index:08}"), "max_answer_seconds": LONGEST_CALL, "max_ring_seconds": 5 });
    let body = json!([[0, 1], format!("call {index}"), params]);
    let answer = client.post("/cti/flows/sys/call", &body, key).await;
    let Some(call) = answer["result"]["res_id"].as_str().map(str::to_owned) else {
        assert!(answer["error"]["code"].is_i64(), "never silence: {answer}");
        return made;
    };
    if random.random_bool(0.5) {
        assert_eq!(client.post("/cti/flows/sys/call", &body, key).await, answer, "the same request is answered as before");
    }
    made.push(call.clone());
    for step in 0..random.random_range(0..6) {
        sleep(Duration::from_millis(random.random_range(0..800))).await;
        let (method, params) = match (random.random_range(0..6), &conf) {
            (0, _) => ("sys.call.drop", json!({})),
            (1, _) => ("sys.call.play_start", json!({ "content": [["12", 1, null]] })),
            (2, _) => ("sys.call.receive_dtmf_start", json!({ "valid_keys": "1", "max_keys": 1 })),
            (3, _) => ("sys.call.record_start", json!({ "max_seconds": 3, "record_file": format!("r{index}.wav") })),
            (_, Some(conf)) => ("sys.call.conf_enter", json!({ "conf_res_id": conf, "max_seconds": 60 })),
            (_, None) => ("sys.call.play_stop", json!({})),
        };
        let answer =
            client.post(&format!("/cti/notify/{call}"), &json!([[0, 1], format!("{index} {step}"), method, params]), key).await;
        assert!(answer.get("result").is_some() || answer["error"]["code"].is_i64(), "{method}: {answer}");
    }
    made
}

async fn all_are_killed_while_programs_call(engine: Engine, count: usize) {
    let seed: u64 = std::env::var("TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let installation = Installation::new(engine).await;
    installation.prepare().await;
    let paired = installation.pair(&[("trunk".to_owned(), Kind::Native, false)]).await.remove(0);
    let (store, now) = (installation.store().await, Clock::system().now());
    let key = store
        .carry_out(now, Doer::Server, async |work| {
            pairing::set_channels(work, "trunk", i32::try_from(CHANNELS).unwrap()).await.unwrap();
            pairing::set_bulk(work, "trunk", true).await.unwrap();
            keys::add_with(work, "app", &[], &Rights::read("admin,calls"), Region::CN).await
        })
        .await
        .unwrap();
    store.close().await;
    let options = || {
        let options = installation.options();
        options.env("AUTOCALL_CTI_CALLS_PER_MINUTE", "1000").env("AUTOCALL_CTI_MOST_CALLS", "1000")
    };
    let mut nodes = Nodes::start(count, |_| options()).await;
    let client = Client { http: autocall_tests::http_client().no_proxy().build().unwrap(), servers: nodes.urls() };
    let (path, line) = (format!("/h/{}", paired.token), Arc::new(Line::default()));
    line.seq.store(now.timestamp_millis(), Ordering::Relaxed);
    let mut tasks = handset(&client, &path, &line, &mut random).await;

    let mut programs = JoinSet::new();
    for index in 0..CALLS {
        programs.spawn(program(client.clone(), key.clone(), index, random.random()));
        sleep(Duration::from_millis(random.random_range(0..800))).await;
        match random.random_range(0..15) {
            0 => {
                let node = random.random_range(0..count);
                nodes.0[node].kill_9();
                sleep(Duration::from_millis(random.random_range(0..300))).await;
                nodes.0[node].restart().await;
            }
            1 => {
                tasks.abort_all();
                while tasks.join_next().await.is_some() {}
                sleep(Duration::from_millis(random.random_range(0..300))).await;
                tasks = handset(&client, &path, &line, &mut random).await;
            }
            _ => {}
        }
    }
    let mut made = Vec::new();
    while let Some(program) = programs.join_next().await {
        made.extend(program.unwrap());
    }
    assert!(made.len() > CALLS / 2, "{made:?}");
    let events = async || -> Option<Vec<Value>> {
        let (mut all, mut last) = (Vec::new(), json!(0));
        loop {
            let told = client.once(0, false, &format!("/cti/events?after={last}"), None, Some(&key)).await?;
            let page = told["events"].as_array()?;
            if page.is_empty() {
                return Some(all);
            }
            all.extend(page.iter().cloned());
            last = told["last"].clone();
        }
    };
    let released = |events: &[Value], id: &str| {
        let of_it = events.iter().filter(|event| event["params"]["res_id"] == id);
        of_it.filter(|event| event["method"].as_str().unwrap().ends_with(".on_released")).count()
    };
    let mut left = Vec::new();
    let over = timeout(LONG, async {
        loop {
            if let Some(events) = events().await {
                left = made.iter().filter(|id| released(&events, id) == 0).cloned().collect();
                if left.is_empty() {
                    break;
                }
            }
            sleep(Duration::from_millis(200)).await;
        }
    });
    if over.await.is_err() {
        let events = events().await.unwrap_or_default();
        let of_these = |event: &&Value| left.iter().any(|id| event["params"]["res_id"] == *id);
        let heard: Vec<&Value> = events.iter().filter(of_these).collect();
        panic!("these never ended: {left:?}, of which was told: {heard:#?}");
    }
    // What the handset still reports changes nothing.
    let open = "SELECT count(*) FROM dials WHERE closed_at IS NULL";
    eventually("all reports to be in", LONG, async || (installation.count(open).await == 0).then_some(())).await;
    let events = events().await.unwrap();
    for id in &made {
        let of_it: Vec<&Value> = events.iter().filter(|event| event["params"]["res_id"] == *id).collect();
        assert_eq!(released(&events, id), 1, "{id} is told to be over once: {of_it:?}");
        let last = of_it.last().unwrap()["method"].as_str().unwrap();
        assert!(last.ends_with(".on_released"), "nothing comes after the end: {of_it:?}");
        let ask = json!({ "id": format!("exists {id}"), "method": "sys.call.exists", "params": { "res_id": id } });
        let exists = client.post("/cti/rpc", &ask, Some(&key)).await;
        assert_ne!(exists["result"], true, "{id}: {exists}");
    }
    let mut times: HashMap<String, usize> = HashMap::new();
    for number in line.dialled.lock().unwrap().values() {
        *times.entry(number.clone()).or_default() += 1;
    }
    assert!(times.len() > CALLS / 4, "too few calls to say anything: {}", times.len());
    assert!(times.values().all(|times| *times == 1), "a number was dialled twice: {times:?}");
    println!("{} calls and conferences, {} dialled, {} events", made.len(), times.len(), events.len());
}
