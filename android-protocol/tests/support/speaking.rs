//! A whole handset that calls over SIP, in this process, between a scripted server and whatever trunk there is.

use std::{
    collections::VecDeque,
    fs,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use android_protocol::{
    driver::{config::Agent, scribe::Scribe},
    sip::{agent::run, config::Settings},
    voice::{tone, wav},
    wire::{NativeCall, NativeReport},
};
use serde_json::{Value, json};

use crate::support::{Desk, Received, eventually};

/// Whatever is said is said as a tone of this frequency,
pub const VOICE: f64 = 700.0;

/// which lasts for so many milliseconds.
pub const SAID_MS: u64 = 1000;

/// A number to call, told apart by its end.
pub fn number(n: usize) -> String {
    format!("139000000{n:02}")
}

/// Says something once, and takes 1 and 2 for an answer.
pub fn once() -> Value {
    json!({ "say": "Disk full", "repeat": 1, "keys": { "1": "accept", "2": "decline" }, "key_wait_seconds": 60, "thanks": { "accept": "Thanks" } })
}

/// A handset; dropped, it is gone as a killed process is.
pub struct Handset {
    desk: Desk,
    offers: Arc<Mutex<VecDeque<Value>>>,
    task: tokio::task::JoinHandle<()>,
    folder: tempfile::TempDir,
}

impl Drop for Handset {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Handset {
    /// Calls through this trunk; `more` stands in the section `agent.sip`. Within a runtime only.
    pub fn start(trunk: SocketAddr, channels: u8, more: &str) -> Self {
        let offers = Arc::<Mutex<VecDeque<Value>>>::default();
        let given = Arc::clone(&offers);
        let desk = Desk::open(move |request| {
            if request.path.starts_with("/recording/") {
                // What was recorded stays where it is.
                return (503, json!({ "code": 1 }).to_string());
            }
            let asks = request.path.starts_with("/alert/phone?") && request.body.is_empty();
            let offer = if asks { given.lock().unwrap().pop_front() } else { None };
            if asks && offer.is_none() {
                std::thread::sleep(Duration::from_millis(50));
            }
            let code = i32::from(asks || request.path.starts_with("/outbox?"));
            (200, offer.unwrap_or_else(|| json!({ "code": code })).to_string())
        });
        let folder = tempfile::tempdir().unwrap();
        let (voice, config) = (folder.path().join("voice.wav"), folder.path().join("handset.toml"));
        fs::write(&voice, wav::write(&tone::sine(&[VOICE], SAID_MS, 9000.0))).unwrap();
        let text = format!(
            "[agent]\nkind = 'sip'\nserver = '{}'\nstate_dir = '{}'\nchannels = {channels}\n[agent.sip]\ntrunk = '{trunk}'\nuser = '1001'\n\
             answer_within_seconds = 60\n{more}\n[[agent.speech.voice]]\nlanguages = ['*']\ncommand = ['cat', '{}']\n",
            desk.url,
            folder.path().join("state").display(),
            voice.display()
        );
        fs::write(&config, text).unwrap();
        let agent = Agent::read(&config).unwrap();
        let settings = Settings::of(&agent).unwrap();
        let opened = Scribe::open(&settings.state_dir).unwrap();
        let task = tokio::spawn(run(settings, opened, agent.client().unwrap(), std::future::pending(), |_| {}));
        Self { desk, offers, task, folder }
    }

    /// Has this number called.
    pub fn calls(&self, mid: &str, number: &str, script: &Value) {
        let call = json!({ "number": number, "ring_seconds": 60, "script": script });
        self.offers
            .lock()
            .unwrap()
            .push_back(json!({ "code": 0, "mid": mid, "phone": [number], "deadline": 600, "calls": [call] }));
    }

    /// What came of it, once that is told.
    pub fn reported(&self, mid: &str) -> Option<NativeCall> {
        let path = format!("/alert/phone?mid={mid}");
        let of = |request: &Received| {
            let (asked, rest) = request.path.split_at_checked(path.len())?;
            (asked == path && !rest.starts_with(|c: char| c.is_alphanumeric()) && !request.body.is_empty())
                .then(|| NativeReport::parse(request.body.as_bytes()))?
        };
        self.desk.seen().iter().find_map(of).map(|mut report| report.calls.swap_remove(0))
    }

    /// What was recorded in its only call.
    pub fn recording(&self) -> Vec<i16> {
        let folder = self.folder.path().join("state/recordings");
        let file = eventually("a recording", || fs::read_dir(&folder).ok()?.flatten().find(|file| file.path().is_file()));
        wav::read(&fs::read(file.path()).unwrap()).unwrap().samples
    }

    /// Waits for what came of it.
    pub fn report(&self, mid: &str) -> NativeCall {
        eventually("a report", || self.reported(mid))
    }
}
