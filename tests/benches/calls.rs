//! What the call RPC costs: a hundred calls on two handsets of fifty channels, all commanded over one socket, beside a bare WebSocket echo.
//!
//! `cargo bench -p autocall-tests --bench calls -- PROGRAM [POSTGRES_URL]` measures the embedded database, and Postgres where an address is given.
//! See docs/call-rpc.md.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a measurement may stop at the first surprise")]

use std::collections::HashMap;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use autocall_tests::http_client;
use autocall_tests::postgres;
use autocall_tests::server::{Binary, ServeOptions, forget_own_settings};
use axum::extract::ws::WebSocketUpgrade;
use futures_util::{SinkExt, StreamExt};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const HANDSETS: usize = 2;
const CHANNELS: usize = 50;
const CALLS: usize = HANDSETS * CHANNELS;
/// Requests to each call while it goes on.
const COMMANDS: usize = 10;

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;
/// When the handset told something, by the number that it called.
type Told = Arc<Mutex<HashMap<String, Instant>>>;

/// A command on the same database; what it prints.
fn command(program: &str, args: &[&str], env: &(String, String)) -> String {
    let mut command = Command::new(program);
    forget_own_settings(|name| {
        command.env_remove(name);
    });
    let done = command.args(args).env(&env.0, &env.1).output().unwrap();
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

async fn post(client: &Client, address: &str, body: &Value) -> Value {
    let answer = client.post(address).header("autocall-protocol", "1").json(body).send().await.unwrap();
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

/// One channel: it takes one call, says that somebody has picked up, and holds it until it is dropped.
async fn channel(client: Client, path: String, number: usize, told: Told) {
    let url = format!("{path}/alert/phone?channel={number}&wait=20");
    loop {
        let Ok(answer) = client.get(&url).header("autocall-protocol", "1").send().await else { continue };
        let offer: Value = serde_json::from_str(&answer.text().await.unwrap_or_default()).unwrap_or_default();
        let (Some(mid), Some(phone)) = (offer["mid"].as_str(), offer["phone"][0].as_str()) else { continue };
        let progress = format!("{path}/progress?mid={mid}");
        for state in ["dialling", "alerting"] {
            post(&client, &progress, &json!({ "number": phone, "state": state })).await;
        }
        told.lock().unwrap().insert(phone.to_owned(), Instant::now());
        loop {
            let heard = post(&client, &progress, &json!({ "number": phone, "state": "connected" })).await;
            if heard["code"] == 2 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let report = json!({ "calls": [{ "number": phone, "outcome": "answered", "ended_by": "us", "talk_seconds": 1 }] });
        post(&client, &format!("{path}/alert/phone?mid={mid}&resp={phone}"), &report).await;
    }
}

async fn connect(address: &str, key: Option<&str>) -> Socket {
    let mut request = address.replace("http://", "ws://").into_client_request().unwrap();
    if let Some(key) = key {
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    }
    tokio_tungstenite::connect_async(request).await.unwrap().0
}

/// A socket that sends back what it is sent, in this process.
async fn echo() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let answer = async |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.recv().await {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
        })
    };
    let routes = axum::Router::new().route("/", axum::routing::any(answer));
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    address
}

/// Sends a text and waits until something with this id comes back; what else comes goes into `events`. In milliseconds.
async fn ask(socket: &mut Socket, id: &str, text: String, events: &mut Vec<(Instant, Value)>) -> (f64, Value) {
    let began = Instant::now();
    socket.send(Message::Text(text.into())).await.unwrap();
    loop {
        let Message::Text(text) = socket.next().await.expect("the socket stays").unwrap() else { continue };
        let told: Value = serde_json::from_str(&text).unwrap();
        if told["id"] == id {
            return (began.elapsed().as_secs_f64() * 1000.0, told);
        }
        events.push((Instant::now(), told));
    }
}

fn at(share: f64, figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a list")]
    let place = (figures.len() as f64 * share) as usize;
    figures[place.min(figures.len() - 1)]
}

async fn measure(name: &str, program: &str, options: ServeOptions, env: (String, String)) {
    let mut tokens = Vec::new();
    for handset in ["one", "two"].into_iter().take(HANDSETS) {
        let told = command(program, &["handset", "add", "--name", handset], &env);
        let (_, rest) = told.split_once("/h/").unwrap();
        tokens.push(rest.split(['/', '\n', ' ']).next().unwrap().to_owned());
        command(program, &["handset", "set", handset, "--channels", &CHANNELS.to_string()], &env);
        command(program, &["handset", "set", handset, "--bulk", "on"], &env);
    }
    let key = command(program, &["key", "add", "--name", "app", "--calls"], &env);
    let options = options.program(program).env("AUTOCALL_CTI_CALLS_PER_MINUTE", "10000").env("AUTOCALL_CTI_MOST_CALLS", "1000");
    let server = Binary::spawn(options).await;
    let url = server.url();
    let client = http_client().no_proxy().timeout(Duration::from_mins(1)).build().unwrap();
    let can = ["hangup", "dtmf", "tts", "machine", "record", "live", "calls", "conference"];
    let (told, mut handsets) = (Told::default(), JoinSet::new());
    for token in &tokens {
        let path = format!("{url}/h/{token}");
        let status = json!({ "capabilities": can, "backend": "sip", "channels": CHANNELS });
        assert_eq!(post(&client, &format!("{path}/status"), &status).await["code"], 0);
        for number in 0..CHANNELS {
            handsets.spawn(channel(client.clone(), path.clone(), number, Arc::clone(&told)));
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut socket = connect(&format!("{url}/cti/ws"), Some(&key)).await;
    let (mut events, mut replies, mut numbers) = (Vec::new(), Vec::new(), HashMap::new());
    for call in 0..CALLS {
        let (id, number) = (format!("c{call}"), format!("139{call:08}"));
        let create =
            json!({ "op": "create", "flow": "call", "args": [[0, 1], id, { "to_uri": number, "max_answer_seconds": 600 }] });
        let (took, made) = ask(&mut socket, &id, create.to_string(), &mut events).await;
        replies.push(took);
        numbers.insert(made["result"]["res_id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned(), number);
    }
    let (mut commands, mut bares) = (Vec::new(), Vec::new());
    let mut bare = connect(&echo().await, None).await;
    let resources: Vec<String> = numbers.keys().cloned().collect();
    for round in 0..COMMANDS {
        for res_id in &resources {
            let id = format!("{round} {res_id}");
            let get = json!({ "op": "operate", "res_id": res_id, "args": [[0, 1], id, "sys.call.get", {}] });
            commands.push(ask(&mut socket, &id, get.to_string(), &mut events).await.0);
            let text = json!({ "id": id, "padding": get }).to_string();
            bares.push(ask(&mut bare, &id, text, &mut Vec::new()).await.0);
        }
    }
    let mut delays: Vec<f64> = events
        .iter()
        .filter(|(_, event)| event["method"] == "sys.call.on_dial_completed" && event["params"]["error"].is_null())
        .filter_map(|(heard, event)| {
            let number = numbers.get(event["params"]["res_id"].as_str()?)?;
            let told = *told.lock().unwrap().get(number)?;
            Some(heard.saturating_duration_since(told).as_secs_f64() * 1000.0)
        })
        .collect();
    assert!(delays.len() > CALLS / 2, "{} calls were answered", delays.len());
    println!(
        "{name}: {CALLS} calls on {HANDSETS} handsets: to make one {:.1} ms, p99 {:.1}; a request {:.1} ms, p99 {:.1}; an echo {:.2} ms, p99 {:.2}; \
         from the handset's word to the event {:.1} ms, p99 {:.1} ({} of them)",
        at(0.5, &mut replies),
        at(0.99, &mut replies),
        at(0.5, &mut commands),
        at(0.99, &mut commands),
        at(0.5, &mut bares),
        at(0.99, &mut bares),
        at(0.5, &mut delays),
        at(0.99, &mut delays),
        delays.len()
    );
    handsets.abort_all();
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let program = args.first().expect("the program").clone();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("data").to_str().unwrap().to_owned();
        let env = ("AUTOCALL_DATA_DIR".to_owned(), place.clone());
        measure("embedded", &program, ServeOptions::new().data_dir(&place), env).await;
        if let Some(url) = args.get(1) {
            let schema = postgres::fresh_schema(url).await;
            let env = ("DATABASE_URL".to_owned(), schema.url.clone());
            measure("Postgres", &program, ServeOptions::new().database(&schema.url), env).await;
        }
    });
}
