//! A handset that calls over SIP between a server that takes part in calls and a simulated trunk.

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use android_protocol::{
    driver::{config::Agent, scribe::Scribe},
    sip::{agent::run, config::Settings, peer::Peer},
    voice::{tone, wav},
    wire::{NativeCall, NativeReport},
};
use serde_json::{Value, json};

use crate::support::{Desk, Received};

pub const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub const A: &str = "13900000001";
pub const B: &str = "13900000002";

/// What a text of this name sounds like: tones that nothing else here has.
pub const SPOKEN: [(&str, f64); 2] = [("Four hundred", 400.0), ("Eleven hundred", 1100.0)];

/// What the server has to give, and what it took.
#[derive(Default)]
pub struct Table {
    pub offers: VecDeque<Value>,
    /// Commands for running calls; each is given until it is acknowledged.
    pub commands: Vec<Value>,
    /// What happened in calls, as it was taken: each number once.
    pub events: Vec<Value>,
    /// So many messages of events are not taken.
    pub deaf_to_events: usize,
    /// What it says to calls that come in, one after the other; then that it wants nobody.
    pub callers: VecDeque<(u16, Value)>,
    /// What progress in a state is answered, and of what is entered or recorded.
    pub answers: BTreeMap<String, Value>,
    /// So often is progress of what happens in a call not taken.
    pub deaf_to_progress: usize,
    /// States that were entered and recordings that were named, as they were taken.
    pub taken: Vec<Value>,
}

#[derive(Clone)]
pub struct Server {
    pub desk: Desk,
    table: Arc<Mutex<Table>>,
}

fn number(path: &str, key: &str) -> Option<i64> {
    path.split(['?', '&']).find_map(|part| part.strip_prefix(key)?.strip_prefix('=')?.parse().ok())
}

impl Server {
    pub fn open(table: Table) -> Self {
        let table = Arc::new(Mutex::new(table));
        let shared = Arc::clone(&table);
        let desk = Desk::open(move |request| {
            let (status, body) = answer(&shared, request);
            (status, body.to_string())
        });
        Self { desk, table }
    }

    pub fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap()
    }

    pub fn command(&self, command: Value) {
        self.table().commands.push(command);
    }

    pub async fn eventually<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let end = Instant::now() + Duration::from_mins(2);
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            let events = self.table().events.clone();
            assert!(Instant::now() < end, "never: {what}\n{events:#?}\n{:#?}", self.desk.seen());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The first event of this word that acknowledges this command.
    pub async fn told(&self, word: &str, ack: i64) -> Value {
        let is_it = |event: &&Value| event["event"] == word && event["ack"].as_i64().unwrap_or_default() == ack;
        self.eventually(&format!("{word} for {ack}"), |server| server.table().events.iter().find(is_it).cloned()).await
    }

    /// Progress in this state, or of this event.
    pub async fn progress(&self, mid: &str, word: &str) -> Value {
        let path = format!("/progress?mid={mid}");
        let of = |body: &String| {
            let body: Value = serde_json::from_str(body).ok()?;
            (body["event"] == word || (body["event"].is_null() && body["state"] == word)).then_some(body)
        };
        self.eventually(&format!("{word} of {mid}"), |server| server.desk.bodies(&path).iter().find_map(of)).await
    }

    /// The report of a mid, which is about one number.
    pub async fn report(&self, mid: &str) -> NativeCall {
        let path = format!("/alert/phone?mid={mid}");
        let body = self.eventually(&format!("the report of {mid}"), |server| server.desk.bodies(&path).pop()).await;
        NativeReport::parse(body.as_bytes()).unwrap().calls.swap_remove(0)
    }

    pub fn asked(&self, path: &str) -> usize {
        self.desk.bodies(path).len()
    }
}

fn answer(table: &Mutex<Table>, request: &Received) -> (u16, Value) {
    let (path, accepted) = (request.path.as_str(), json!({ "code": 0 }));
    let body: Value = serde_json::from_str(&request.body).unwrap_or(Value::Null);
    let mut now = table.lock().unwrap();
    if path.starts_with("/alert/phone?wait") {
        let offer = now.offers.pop_front();
        drop(now);
        if offer.is_none() && number(path, "wait") != Some(0) {
            std::thread::sleep(Duration::from_millis(100));
        }
        return (200, offer.unwrap_or_else(|| json!({ "code": 1 })));
    }
    if path.starts_with("/live?wait") {
        drop(now);
        let since = number(path, "since").unwrap_or_default();
        for _ in 0..20 {
            let commands = table.lock().unwrap().commands.clone();
            let new: Vec<Value> = commands.into_iter().filter(|command| command["seq"].as_i64() > Some(since)).collect();
            if !new.is_empty() {
                return (200, json!({ "code": 0, "commands": new }));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        return (200, json!({ "code": 0, "commands": [] }));
    }
    if path == "/live" {
        if now.deaf_to_events > 0 {
            now.deaf_to_events -= 1;
            return (503, json!({}));
        }
        for event in body["events"].as_array().unwrap() {
            if !now.events.iter().any(|known| known["seq"] == event["seq"]) {
                now.events.push(event.clone());
            }
        }
        return (200, accepted);
    }
    if path == "/incoming" {
        return now.callers.pop_front().unwrap_or((200, json!({ "code": 2 })));
    }
    if path.starts_with("/progress?") && body["event"].is_null() {
        let answer = body["state"].as_str().and_then(|state| now.answers.get(state).cloned());
        return (200, answer.unwrap_or(accepted));
    }
    if path.starts_with("/progress?") && body["event"] != "key" {
        if now.deaf_to_progress > 0 {
            now.deaf_to_progress -= 1;
            return (503, json!({}));
        }
        let answer = body["value"].as_str().and_then(|value| now.answers.get(value).cloned());
        now.taken.push(body);
        return (200, answer.unwrap_or(accepted));
    }
    (200, if path.starts_with("/outbox?") { json!({ "code": 1 }) } else { accepted })
}

/// An offer of A with a text that is said once and a key that takes it.
pub fn offer(mid: &str, number: &str, live: bool) -> Value {
    let mut offer = json!({ "code": 0, "mid": mid, "phone": [number], "deadline": 600,
        "calls": [{ "number": number, "ring_seconds": 60, "script": script() }] });
    if live {
        offer["live"] = json!(true);
    }
    offer
}

pub fn script() -> Value {
    json!({ "say": "Disk full", "language": "en", "keys": { "1": "accept", "2": "decline" }, "key_wait_seconds": 300, "max_seconds": 600 })
}

/// How much of what was heard is this tone: pieces of a tenth of a second in which it is nearly everything.
pub fn pieces_of(heard: &[i16], frequency: f64) -> usize {
    let loud = |piece: &&[i16]| piece.iter().any(|sample| sample.abs() > 1000);
    heard.chunks_exact(800).filter(loud).filter(|piece| tone::share(piece, frequency) > 0.8).count()
}

/// The whole of it.
pub struct Home {
    _folder: tempfile::TempDir,
    pub server: Server,
    pub peer: Peer,
    running: tokio::task::JoinHandle<()>,
}

impl Drop for Home {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// The configuration of a handset, as a file in this folder, where its state is too.
pub fn configuration(folder: &Path, server: &str, trunk: &str, channels: usize, more: &str) -> PathBuf {
    let mut files = String::new();
    for (text, frequency) in SPOKEN {
        let path = folder.join(format!("{frequency}.wav"));
        std::fs::write(&path, wav::write(&tone::sine(&[frequency], 1500, 9000.0))).unwrap();
        files += &format!("'{text}' = '{}'\n", path.display());
    }
    let voice = folder.join("voice.wav");
    std::fs::write(&voice, wav::write(&tone::sine(&[700.0], 600, 9000.0))).unwrap();
    let text = format!(
        "[agent]\nkind = 'sip'\nserver = '{server}'\nstate_dir = '{}'\nchannels = {channels}\n[agent.sip]\ntrunk = '{trunk}'\nuser = '1001'\n\
         answer_within_seconds = 60\n{more}\n[[agent.speech.voice]]\nlanguages = ['*']\ncommand = ['cat', '{}']\n[agent.speech.files]\n{files}",
        folder.join("state").display(),
        voice.display()
    );
    let path = folder.join("handset.toml");
    std::fs::write(&path, text).unwrap();
    path
}

impl Home {
    pub fn begin(table: Table, peer: Peer, channels: usize, more: &str) -> Self {
        let server = Server::open(table);
        let folder = tempfile::tempdir().unwrap();
        let agent =
            Agent::read(&configuration(folder.path(), &server.desk.url, &peer.address().to_string(), channels, more)).unwrap();
        let (settings, client) = (Settings::of(&agent).unwrap(), agent.client().unwrap());
        let journal = Scribe::open(&settings.state_dir).unwrap();
        let running = tokio::spawn(run(settings, journal, client, std::future::pending(), |_| {}));
        Self { _folder: folder, server, peer, running }
    }

    /// What the peer heard in the call with this number.
    pub fn heard_by(&self, number: &str) -> Vec<i16> {
        heard_by(&self.peer, number)
    }
}

/// What a peer heard in the call with this number.
pub fn heard_by(peer: &Peer, number: &str) -> Vec<i16> {
    let log = peer.log();
    let call = log.calls.iter().find(|(_, called)| called == number).map(|(id, _)| id.clone());
    call.and_then(|id| log.heard.get(&id).cloned()).unwrap_or_default()
}
