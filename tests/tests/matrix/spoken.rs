//! What our own handsets really say: the program of each kind makes one call for each outcome that it can tell, with a server of a few lines that
//! writes down its words. Nothing here is made up, so that what the server is judged by is what it will hear.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use android_protocol::modem::dialect::Dialect;
use android_protocol::modem::simulator::{Callee, FakeModem, Manner};
use android_protocol::sip::peer::{Act, Manners, Peer};
use android_protocol::voice::{g711::Law, tone, wav};
use android_protocol::wire::{ACCEPTED_BODY, IDLE_BODY, NativeOffer, OfferedCall};
use autocall_tests::provided_by_run;
use serde_json::{Value, json};

use crate::fake_phone::{FakePhone, row};
use crate::support::{Desk, Received, eventually};

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// Somebody picks up and presses the key that accepts.
    Accepted,
    /// Somebody picks up and presses the key that declines.
    KeyDeclined,
    /// Somebody picks up, and says nothing by keys.
    Answered,
    /// Something picks up that no human seems to be.
    Machine,
    /// Their line is busy.
    Busy,
    /// They decline while it rings.
    Rejected,
    /// The network says that nobody picks up.
    NoAnswer,
    /// It rings until the handset hangs up.
    RingsOut,
    /// Switched off, or out of reach.
    Unreachable,
    /// There is no such number.
    NoSuchNumber,
    /// The trunk does not accept who calls.
    Refused,
    /// What is to be played cannot be had.
    NoSound,
    /// The line takes no calls.
    LineFails,
    /// Somebody else uses the line.
    LineBusy,
}

use Ending as E;

/// Something that a handset said of a call.
#[derive(Clone, Debug)]
pub enum Said {
    Progress(Value),
    /// With the number that picked up, where one did.
    Report {
        resp: Option<String>,
        body: Value,
    },
}

/// What a handset said in its life.
pub struct Spoken {
    /// How it is.
    pub status: Value,
    /// Its words on each call, in order.
    pub calls: BTreeMap<Ending, Vec<Said>>,
}

/// Whose phone it is that a call ends so with.
pub fn number_of(ending: Ending) -> String {
    format!("187555500{:02}", ending as u8)
}

fn mid_of(ending: Ending) -> String {
    format!("{:024x}", ending as u8 + 1)
}

/// A server that offers one call at a time.
struct Server {
    desk: Desk,
    offer: Arc<Mutex<Option<NativeOffer>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn asks_for_work(request: &Received) -> bool {
    request.path.starts_with("/alert/phone?wait") && !request.path.contains("channel=")
}

impl Server {
    fn open() -> Self {
        let offer = Arc::new(Mutex::new(None::<NativeOffer>));
        let pending = Arc::clone(&offer);
        let desk = Desk::open(move |request| {
            if asks_for_work(request) {
                // A long poll, so that nobody waits for the next one.
                for _ in 0..100 {
                    if let Some(offer) = lock(&pending).as_ref() {
                        return (200, offer.to_body());
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
                return (200, IDLE_BODY.to_owned());
            }
            if request.path.starts_with("/alert/phone?") && request.path.contains("mid=") {
                lock(&pending).take();
            }
            let idle = request.path.starts_with("/outbox?") || request.path.starts_with("/alert/phone?wait");
            (200, if idle { IDLE_BODY } else { ACCEPTED_BODY }.to_owned())
        });
        Self { desk, offer }
    }

    fn words(&self, ending: Ending) -> Vec<Said> {
        let mid = format!("mid={}", mid_of(ending));
        let seen = self.desk.seen();
        let said = seen.iter().filter(|request| request.path.contains(&mid)).filter_map(|request| {
            let body = serde_json::from_str(&request.body).ok()?;
            let resp = request.path.split(['?', '&']).find_map(|pair| pair.strip_prefix("resp="));
            let is_report = request.path.starts_with("/alert/phone");
            Some(if is_report { Said::Report { resp: resp.map(str::to_owned), body } } else { Said::Progress(body) })
        });
        said.collect()
    }

    /// One call, in which `act` does what its callee does once the handset has said that it has come so far.
    fn call(&self, ending: Ending, mut act: impl FnMut(&str)) -> Vec<Said> {
        let number = number_of(ending);
        let ring = if ending == E::RingsOut { 5 } else { 100 };
        // This server has nothing to play.
        let plays = (ending == E::NoSound).then(|| serde_json::from_value(json!({ "play": { "media": "night" } })).unwrap());
        let call = OfferedCall { number: number.clone(), ring_seconds: Some(ring), script: plays, ..OfferedCall::default() };
        let (phone, mid) = (vec![number], mid_of(ending));
        let offer = NativeOffer { phone, mid, deadline: Some(600), calls: vec![call], ..NativeOffer::default() };
        *lock(&self.offer) = Some(offer);
        let mut acted = 0;
        eventually(&format!("the report of {ending:?}"), || {
            let words = self.words(ending);
            let states: Vec<_> = words
                .iter()
                .filter_map(|said| if let Said::Progress(told) = said { told["state"].as_str() } else { None })
                .collect();
            for state in states.iter().skip(acted) {
                act(state);
            }
            acted = states.len();
            matches!(words.last(), Some(Said::Report { .. })).then_some(words)
        })
    }

    fn status(&self) -> Value {
        eventually("a status", || self.desk.bodies("/status").last().and_then(|body| serde_json::from_str(body).ok()))
    }
}

/// A running handset; dropped, it is gone.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(mut command: Command, folder: &Path) -> Running {
    let log = fs::File::create(folder.join("handset.log")).unwrap();
    Running(command.env("no_proxy", "*").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
}

fn program(folder: &Path, server: &Server, kind: &str, section: &str) -> Running {
    let file = folder.join("handset.toml");
    let state = folder.join("state");
    let head = format!("[agent]\nkind = '{kind}'\nserver = '{}'\nstate_dir = '{}'\n", server.desk.url, state.display());
    fs::write(&file, head + section).unwrap();
    let mut command = Command::new(provided_by_run("HANDSET_BIN"));
    command.arg("--config").arg(file).env("HOME", folder).env_remove("RUST_LOG");
    start(command, folder)
}

/// The handset that calls over SIP.
pub fn by_sip() -> Spoken {
    let refuses = |code, phrase| vec![Act::Ring(180), Act::Wait(50), Act::Refuse(code, phrase, &[])];
    let at_once = |code, phrase| vec![Act::Refuse(code, phrase, &[])];
    let picks_up = |then: &[Act]| [&[Act::Ring(180), Act::Answer(Law::Pcma)], then].concat();
    let callees = [
        (E::Accepted, picks_up(&[Act::Hear(5), Act::Key('1'), Act::Stay])),
        (E::KeyDeclined, picks_up(&[Act::Hear(5), Act::Key('2'), Act::Stay])),
        (E::Answered, picks_up(&[Act::Hear(5), Act::HangUp])),
        // Not a word.
        (E::Machine, picks_up(&[Act::Stay])),
        (E::Busy, at_once(486, "Busy Here")),
        (E::Rejected, refuses(603, "Decline")),
        (E::NoAnswer, refuses(480, "Temporarily Unavailable")),
        (E::RingsOut, vec![Act::Ring(180), Act::Stay]),
        (E::Unreachable, at_once(480, "Temporarily Unavailable")),
        (E::NoSuchNumber, at_once(404, "Not Found")),
        (E::NoSound, vec![Act::Ring(180), Act::Stay]),
        (E::Refused, at_once(403, "Forbidden")),
        // The last: the trunk is looked at before the next call.
        (E::LineFails, at_once(503, "Service Unavailable")),
    ];
    let manners = callees.iter().fold(Manners::of([]), |manners, (ending, acts)| manners.with(&number_of(*ending), acts.clone()));
    let peer = Peer::start([127, 0, 0, 1].into(), manners).unwrap();
    let (server, folder) = (Server::open(), tempfile::tempdir().unwrap());
    let voice = folder.path().join("voice.wav");
    fs::write(&voice, wav::write(&tone::sine(&[700.0], 300, 9000.0))).unwrap();
    let section = format!(
        "[agent.sip]\ntrunk = '{}'\nuser = '1001'\nanswer_within_seconds = 60\n[[agent.speech.voice]]\nlanguages = ['*']\ncommand = ['cat', '{}']\n\
         [agent.call]\nrepeat = 1\nkey_wait_seconds = 7\n",
        peer.address(),
        voice.display()
    );
    let _running = program(folder.path(), &server, "sip", &section);
    let status = server.status();
    let calls = callees.iter().map(|(ending, _)| (*ending, server.call(*ending, |_| {}))).collect();
    Spoken { status, calls }
}

/// The handset that calls by a modem.
pub fn by_modem() -> Spoken {
    let callees = [
        (E::Answered, Callee::Answers { after: Duration::from_millis(100), talks: None }),
        (E::Busy, Callee::Busy),
        (E::Rejected, Callee::Declines),
        (E::RingsOut, Callee::Rings),
        (E::Unreachable, Callee::Away),
        (E::NoSuchNumber, Callee::Unknown),
        (E::LineFails, Callee::NoNetwork),
        // The last: such a handset leaves its line alone for a while.
        (E::LineBusy, Callee::Rings),
    ];
    let manner = callees
        .iter()
        .fold(Manner::of(Dialect::Sim7600), |manner, (ending, does)| manner.with(&number_of(*ending), does.clone()));
    let (server, folder) = (Server::open(), tempfile::tempdir().unwrap());
    let modem = FakeModem::plug_in(folder.path(), manner).unwrap();
    let section = format!("[agent.modem]\nport = '{}'\n", modem.path().display());
    let _running = program(folder.path(), &server, "modem", &section);
    let mut calls = BTreeMap::new();
    for (ending, _) in &callees {
        if *ending == E::LineBusy {
            modem.stranger(true);
        }
        let hangs_up = |state: &str| {
            if state == "connected" {
                modem.hang_up();
            }
        };
        calls.insert(*ending, server.call(*ending, hangs_up));
    }
    Spoken { status: server.status(), calls }
}

/// The handset on a phone with Termux.
pub fn by_termux() -> Spoken {
    let (server, folder) = (Server::open(), tempfile::tempdir().unwrap());
    let phone = FakePhone::new("14");
    phone.calls(0, "0");
    let mut command = phone.command(Path::new(&provided_by_run("HANDSET_BIN")));
    command.arg("--config").arg(phone.config(&server.desk.url));
    let _running = start(command, folder.path());
    let status = server.status();
    let mut calls = BTreeMap::new();
    for (ending, seconds) in [(E::Answered, 14), (E::NoAnswer, 0)] {
        phone.calls_on_dial(2, "4");
        let date = format!("2026-11-28 03:22:{:02}", ending as u8);
        let over = || {
            phone.rows(&[row(&number_of(ending), &date, &format!("00:{seconds:02}"))]);
            phone.calls(0, "0");
        };
        let does = |state: &str| match (state, ending) {
            ("alerting", E::Answered) => phone.calls(2, "1"),
            ("alerting" | "connected", _) => over(),
            _ => {}
        };
        calls.insert(ending, server.call(ending, does));
    }
    // Android drops the dial: the line stays idle, and no row is written.
    calls.insert(E::LineFails, server.call(E::LineFails, |_| {}));
    phone.calls(2, "1");
    calls.insert(E::LineBusy, server.call(E::LineBusy, |_| {}));
    Spoken { status, calls }
}
