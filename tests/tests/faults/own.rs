//! The handsets of our own: the real program, by SIP, by a modem, and on a phone with Termux, each with callees in the hands of the drill.
//!
//! A handset speaks with the servers through its [`Desk`], which writes down what passes: so each ring is one of a certain dial, and each report
//! the one that the server took. What the program itself says of a call is believed nowhere but in one place: an answer may be lost with the
//! process that saw it until that process has written it down.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use android_protocol::{
    driver::scribe::journal_of,
    modem::{
        dialect::Dialect,
        simulator::{Callee, FakeModem, Manner},
    },
    native::JournalEntry,
    sip::peer::{Act, Manners, Peer},
    voice::{g711::Law, tone, wav},
};
use autocall_tests::{process::Process, provided_by_run};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::{
    drill::LONG,
    fake_phone::{FakePhone, row},
    installation::NUMBERS,
    ledger::Ledger,
    senders::number,
};

/// How often the callees are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How likely a handset that does nothing is killed at each look: about once a minute.
const IDLE_CRASH: f64 = 0.0004;
/// Longer than a long poll, so that it is the server that ends it.
const PATIENCE: Duration = Duration::from_mins(1);

/// By what it calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// A trunk.
    Sip,
    /// A modem behind a pseudo-terminal.
    Modem,
    /// The commands of a phone with Termux.
    Termux,
}

impl Program {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sip, Self::Modem, Self::Termux];

    /// How the drill calls such a handset.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sip => "own-sip",
            Self::Modem => "own-modem",
            Self::Termux => "own-termux",
        }
    }
}

/// What somebody does who is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    PicksUp,
    IsBusy,
    Declines,
}

/// Half of them pick up. Whoever declines lets it ring for a while before.
fn does(called: &str) -> Does {
    match (0..NUMBERS).find(|index| number(*index) == called).unwrap_or_default() % 4 {
        0 | 1 => Does::PicksUp,
        2 => Does::IsBusy,
        _ => Does::Declines,
    }
}

/// What the handset calls by.
enum Line {
    Sip(Peer),
    Modem(FakeModem),
    Termux(FakePhone),
}

impl Line {
    fn new(program: Program, folder: &Path) -> Self {
        let people = || (0..NUMBERS).map(number);
        match program {
            Program::Sip => Self::Sip(Peer::start([127, 0, 0, 1].into(), people().fold(Manners::of([]), trunk_callee)).unwrap()),
            Program::Modem => {
                let manner = people().fold(Manner::of(Dialect::Quectel), |manner, called| match does(&called) {
                    Does::PicksUp => manner,
                    Does::IsBusy => manner.with(&called, Callee::Busy),
                    Does::Declines => manner.with(&called, Callee::Declines),
                });
                Self::Modem(FakeModem::plug_in(folder, manner).unwrap())
            }
            Program::Termux => {
                let phone = FakePhone::new("14");
                phone.calls(0, "0");
                phone.calls_on_dial(2, "4");
                Self::Termux(phone)
            }
        }
    }

    /// Whose phone rang so far, each time that it did.
    fn rang(&self) -> Vec<String> {
        match self {
            // A request that came again is the same call.
            Self::Sip(peer) => {
                let calls = peer.log().calls;
                let is_first =
                    |(at, (id, _)): &(usize, &(String, String))| calls.iter().position(|(own, _)| own == id) == Some(*at);
                calls.iter().enumerate().filter(is_first).map(|(_, (_, called))| called.clone()).collect()
            }
            Self::Modem(modem) => modem.dialled(),
            Self::Termux(phone) => phone.dials(),
        }
    }

    fn state_dir(&self, folder: &Path) -> PathBuf {
        match self {
            Self::Termux(phone) => phone.path("state"),
            Self::Sip(_) | Self::Modem(_) => folder.join("state"),
        }
    }

    /// The program, ready to be started.
    fn command(&self, folder: &Path, url: &str) -> Command {
        let program = provided_by_run("HANDSET_BIN");
        let file = folder.join("handset.toml");
        let head = |kind: &str| {
            let state = self.state_dir(folder);
            format!("[agent]\nkind = '{kind}'\nserver = '{url}'\nstate_dir = '{}'\n", state.display())
        };
        let text = match self {
            Self::Termux(phone) => {
                let mut command = phone.command(Path::new(&program));
                command.arg("--config").arg(phone.config(url)).env("no_proxy", "*");
                return command;
            }
            Self::Modem(modem) => head("modem") + &format!("[agent.modem]\nport = '{}'\n", modem.path().display()),
            Self::Sip(peer) => {
                let voice = folder.join("voice.wav");
                std::fs::write(&voice, wav::write(&tone::sine(&[700.0], 300, 9000.0))).unwrap();
                head("sip")
                    + &format!(
                        "[agent.sip]\ntrunk = '{}'\nuser = '1001'\nanswer_within_seconds = 60\n[[agent.speech.voice]]\nlanguages = ['*']\ncommand = ['cat', '{}']\n",
                        peer.address(),
                        voice.display()
                    )
            }
        };
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(program);
        command.arg("--config").arg(file).env("no_proxy", "*").env("HOME", folder).env_remove("RUST_LOG");
        command
    }
}

/// On a trunk callees act by themselves: who picks up presses 1, and stays until the handset hangs up.
fn trunk_callee(manners: Manners, called: String) -> Manners {
    // Nothing waits for a handset for long: it may have been killed.
    let picks_up = vec![
        Act::Ring(180),
        Act::Wait(100),
        Act::Answer(Law::Pcma),
        Act::Wait(1000),
        Act::Key('1'),
        Act::Wait(6000),
        Act::HangUp,
    ];
    let acts = match does(&called) {
        Does::PicksUp => picks_up,
        Does::IsBusy => vec![Act::Wait(50), Act::Refuse(486, "Busy Here", &[]), Act::HangUp],
        Does::Declines => vec![Act::Ring(180), Act::Wait(1000), Act::Refuse(603, "Decline", &[]), Act::HangUp],
    };
    manners.with(&called, acts)
}

/// What was seen of a handset so far.
#[derive(Default)]
struct Seen {
    /// The dial that was passed on last.
    current: Option<String>,
    /// Of which dial each ring was.
    rings: Vec<Option<String>>,
}

/// What lies between a handset and the servers.
struct Desk {
    name: String,
    servers: Vec<String>,
    server: AtomicUsize,
    http: reqwest::Client,
    line: Line,
    journal: PathBuf,
    ledger: Arc<Ledger>,
    seen: Mutex<Seen>,
}

impl Desk {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down who was rung since the last time, and for which dial: the one that was passed on last, and no other, since a handset holds one
    /// at a time. How many that are by now.
    fn look(&self) -> usize {
        let mut seen = self.seen();
        let all = self.line.rang();
        for called in all.iter().skip(seen.rings.len()).cloned().collect::<Vec<_>>() {
            let current = seen.current.clone();
            let mut is_of = false;
            if let Some(mid) = &current {
                self.ledger.note(mid, |dial| {
                    is_of = dial.phones.contains(&called);
                    dial.rang.push(called.clone());
                    if does(&called) == Does::PicksUp && matches!(self.line, Line::Sip(_)) {
                        dial.perhaps = Some(called.clone());
                    }
                });
            }
            if !is_of {
                self.ledger.violation(format!("{} rang {called}, which nobody had asked for", self.name));
            }
            seen.rings.push(current);
        }
        all.len()
    }

    /// Whether the handset has written down that somebody picked up under this dial: from then on that must not be lost.
    fn knows_of_answer(&self, mid: &str) -> bool {
        let journal = std::fs::read_to_string(&self.journal).unwrap_or_default();
        let mut entries = journal.lines().filter_map(|line| serde_json::from_str::<JournalEntry>(line).ok());
        let answered = entries.find_map(|entry| match entry {
            JournalEntry::Connected { mid: own, number } if own == mid => Some(number),
            _ => None,
        });
        if let Some(called) = &answered {
            let mut is_true = false;
            self.ledger.note(mid, |dial| {
                is_true = dial.perhaps.as_ref() == Some(called);
                dial.picked_up = Some(called.clone());
            });
            if !is_true {
                self.ledger.violation(format!("{} says that {called} picked up, and they did not", self.name));
            }
        }
        answered.is_some()
    }

    /// Whether the handset holds nothing that it has not reported.
    fn has_reported_all(&self) -> bool {
        let journal = std::fs::read_to_string(&self.journal).unwrap_or_default();
        let mut open: Vec<String> = Vec::new();
        for entry in journal.lines().filter_map(|line| serde_json::from_str::<JournalEntry>(line).ok()) {
            match entry {
                JournalEntry::Leased { offer, .. } => open.push(offer.mid),
                JournalEntry::Reported { mid } => open.retain(|own| *own != mid),
                _ => {}
            }
        }
        open.is_empty()
    }

    /// A request is on its way to the server.
    fn goes(&self, path: &str, mid: Option<&str>, body: &[u8]) {
        let Some(mid) = mid else { return };
        let is_report = path.contains("/alert/phone");
        if is_report {
            self.look();
            self.knows_of_answer(mid);
        }
        let presses = String::from_utf8_lossy(body).contains(r#""event":"key""#);
        if is_report || presses {
            self.ledger.note(mid, |dial| dial.sent = true);
        }
        if is_report {
            self.ledger.note(mid, |dial| dial.hung_up = dial.hung_up.or(Some(Instant::now())));
        }
    }

    /// A reply is on its way to the handset.
    fn comes(&self, method: &Method, path: &str, mid: Option<&str>, status: StatusCode, body: &[u8]) {
        if !path.contains("/alert/phone") {
            return;
        }
        let told = || format!("{status} {:?}", String::from_utf8_lossy(body));
        if let Some(mid) = mid {
            if status == StatusCode::OK && body == br#"{"code":0}"# {
                self.ledger.note(mid, |dial| dial.acknowledged = dial.acknowledged.or(Some(Instant::now())));
            } else {
                self.ledger.violation(format!("{} reported {mid} and was told {}", self.name, told()));
            }
            return;
        }
        self.ledger.open().asked.insert(self.name.clone());
        let reply: Value = serde_json::from_slice(body).unwrap_or_default();
        let phones: Vec<String> = list(&reply["phone"]);
        match (method, reply["code"].as_i64(), reply["mid"].as_str()) {
            (&Method::GET, Some(0), Some(mid)) if !phones.is_empty() => {
                // Whoever was rung until now was rung for another dial.
                self.look();
                let is_new = self.ledger.open().given.get(mid).is_none_or(|handset| *handset != self.name);
                if is_new {
                    self.ledger.got(&self.name, mid, &phones);
                }
                self.seen().current = Some(mid.to_owned());
            }
            (_, Some(_), _) => {}
            (..) => self.ledger.violation(format!("{} was told {}", self.name, told())),
        }
    }

    async fn pass_on(&self, request: Request) -> Option<Response> {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, 1 << 20).await.ok()?;
        let path = head.uri.path_and_query()?.as_str();
        let mid = head.uri.query().and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("mid=")));
        self.goes(path, mid, &body);
        let server = self.server.load(Ordering::Relaxed);
        let url = format!("{}{path}", self.servers[server % self.servers.len()]);
        let mut headers = head.headers.clone();
        for own in [header::HOST, header::CONTENT_LENGTH, header::CONNECTION, header::ACCEPT_ENCODING] {
            headers.remove(own);
        }
        let passed = self.http.request(head.method.clone(), url).headers(headers).body(body).send().await;
        let reply = async {
            let passed = passed.ok()?;
            let (status, kind) = (passed.status(), passed.headers().get(header::CONTENT_TYPE).cloned());
            Some((status, kind, passed.bytes().await.ok()?))
        };
        let Some((status, kind, body)) = reply.await else {
            // The next request tries another server.
            self.server.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        self.comes(&head.method, path, mid, status, &body);
        let mut response = (status, Body::from(body)).into_response();
        if let Some(kind) = kind {
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        Some(response)
    }
}

/// Waits until it is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < end, "in vain: {what}");
        sleep(LOOK).await;
    }
}

async fn passes(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    // Nobody can read that: as good as no reply.
    desk.pass_on(request).await.unwrap_or_else(|| StatusCode::BAD_GATEWAY.into_response())
}

fn list(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

/// A handset whose program runs, is killed and started again.
pub struct Own {
    desk: Arc<Desk>,
    folder: TempDir,
    served: JoinHandle<()>,
    /// Where the desk listens.
    address: String,
    token: String,
    random: StdRng,
}

impl Own {
    /// A handset of this name, paired with these servers.
    pub async fn new(
        program: Program,
        paired: crate::installation::Paired,
        servers: Vec<String>,
        ledger: Arc<Ledger>,
        seed: u64,
    ) -> Self {
        let folder = tempfile::Builder::new().prefix("own-").tempdir().unwrap();
        let line = Line::new(program, folder.path());
        let desk = Arc::new(Desk {
            name: paired.name,
            servers,
            server: AtomicUsize::new(0),
            http: autocall_tests::http_client().no_proxy().timeout(PATIENCE).pool_max_idle_per_host(0).build().unwrap(),
            journal: journal_of(&line.state_dir(folder.path())),
            line,
            ledger,
            seen: Mutex::default(),
        });
        let router = Router::new().fallback(passes).with_state(Arc::clone(&desk));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let served = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { desk, folder, served, address, token: paired.token, random: StdRng::seed_from_u64(seed) }
    }

    /// Where its program asks, unless something is put in between.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Lives until `quit`, and then until it has reported everything. `through`: where its program asks.
    pub async fn live(mut self, through: String, quit: CancellationToken) {
        let url = format!("http://{through}/h/{}", self.token);
        let mut process = self.spawn(&url);
        let mut handled = 0;
        loop {
            let rings = self.desk.look();
            for which in handled..rings {
                self.call(which, &mut process, &url, &quit).await;
            }
            handled = rings;
            if quit.is_cancelled() && self.desk.look() == handled && self.desk.has_reported_all() {
                break;
            }
            if !quit.is_cancelled() && self.random.random_bool(IDLE_CRASH) {
                self.crash(&mut process, &url);
            }
            sleep(LOOK).await;
        }
        process.kill();
        self.desk.ledger.open().logs.push(format!("{}\n{}", self.desk.name, process.log()));
        self.served.abort();
    }

    fn spawn(&self, url: &str) -> Process {
        Process::spawn("handset", self.desk.line.command(self.folder.path(), url), &self.folder.path().join("handset.log"))
    }

    /// kill -9, and started again.
    fn crash(&self, process: &mut Process, url: &str) {
        process.kill();
        self.desk.ledger.open().crashes += 1;
        *process = self.spawn(url);
    }

    async fn a_while(&mut self, milliseconds: std::ops::Range<u64>) {
        sleep(Duration::from_millis(self.random.random_range(milliseconds))).await;
    }

    /// One call, as whoever is called has it.
    async fn call(&mut self, which: usize, process: &mut Process, url: &str, quit: &CancellationToken) {
        let (called, mid) = {
            let called = self.desk.line.rang()[which].clone();
            (called, self.desk.seen().rings[which].clone())
        };
        let Some(mid) = mid else { return };
        // Half of the calls see it killed: while it rings, or when somebody has picked up.
        let killed_at = if quit.is_cancelled() { 9 } else { self.random.random_range(0..4) };
        self.a_while(0..200).await;
        if killed_at == 0 {
            self.crash(process, url);
        }
        let desk = Arc::clone(&self.desk);
        match &desk.line {
            Line::Sip(_) => {
                // Whoever is called there acts by themselves.
                if killed_at == 1 {
                    self.a_while(0..2500).await;
                    self.crash(process, url);
                }
            }
            Line::Modem(modem) => {
                if does(&called) != Does::PicksUp {
                    return;
                }
                desk.ledger.note(&mid, |dial| dial.perhaps = Some(called.clone()));
                if !modem.in_call(which, false) {
                    return;
                }
                let is_known_or_over = || desk.knows_of_answer(&mid) || !modem.in_call(which, false);
                until("a modem's handset to know of an answer", is_known_or_over).await;
                if killed_at == 1 {
                    self.crash(process, url);
                }
                self.a_while(0..500).await;
                // It may be over already.
                let _ = modem.in_call(which, true);
            }
            Line::Termux(phone) => {
                phone.calls_on_dial(2, "4");
                // A phone is looked at about once a second.
                let looks = || phone.ran("dumpsys").len();
                let before = looks();
                until("the handset to look at its phone", || looks() > before + 1).await;
                let picks_up = does(&called) == Does::PicksUp;
                if picks_up {
                    desk.ledger.note(&mid, |dial| dial.perhaps = Some(called.clone()));
                    phone.calls(2, "1");
                    until("a phone's handset to know of an answer", || desk.knows_of_answer(&mid)).await;
                    if killed_at == 1 {
                        self.crash(process, url);
                    }
                }
                // Each row has a time of its own; the newest stands first.
                let date = format!("2026-11-28 {:02}:{:02}:{:02}", which / 3600, which / 60 % 60, which % 60);
                let printed = std::fs::read_to_string(phone.path("termux-call-log")).unwrap_or_default();
                let mut rows: Vec<Value> = serde_json::from_str(&printed).unwrap_or_default();
                rows.insert(0, row(&called, &date, if picks_up { "00:02" } else { "00:00" }));
                rows.truncate(40);
                phone.rows(&rows);
                phone.calls(0, "0");
            }
        }
    }
}
