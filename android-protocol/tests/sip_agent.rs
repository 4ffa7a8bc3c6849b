//! The whole handset that calls over SIP, between a scripted server and a simulated trunk.
#![cfg(feature = "sip")]
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use android_protocol::{
    driver::{config::Agent, scribe::Scribe},
    sip::{
        agent::run,
        check::check,
        config::Settings,
        peer::{Act, Manners, Peer},
        signal::surroundings::Surroundings,
    },
    voice::{g711::Law, tone, wav},
    wire::{CallOutcome, FailureDetail, NativeCall, NativeReport},
};
use serde_json::{Value, json};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const A: &str = "13900000001";
const B: &str = "13900000002";
/// For a test call.
const LONG_ENOUGH: Duration = Duration::from_mins(1);

/// One request: its line, and its body.
type Asked = (String, Value);

/// What the server answers and what it was asked.
#[derive(Default)]
struct Desk {
    offers: VecDeque<Value>,
    /// Offered again and again, until a report names it.
    stubborn: Option<Value>,
    asked: Vec<Asked>,
    /// So many keys get no good answer.
    deaf_to_keys: usize,
    /// What progress in this state is answered.
    answers: BTreeMap<String, Value>,
    commands: Vec<Value>,
    /// It has not heard of channels.
    one_channel: bool,
    /// It fails at the first poll of the second channel.
    breaks_once: bool,
    /// It takes no report of this one, and never will.
    never_takes: Option<&'static str>,
}

#[derive(Clone)]
struct Server {
    address: String,
    desk: Arc<Mutex<Desk>>,
}

impl Server {
    fn start(desk: Desk) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/h/T", listener.local_addr().unwrap());
        let desk = Arc::new(Mutex::new(desk));
        let shared = Arc::clone(&desk);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, desk }
    }

    fn asked(&self) -> Vec<Asked> {
        self.desk.lock().unwrap().asked.clone()
    }

    /// Waits for a request whose line holds this.
    async fn when(&self, what: &str) -> Asked {
        self.when_asked(what, |asked| asked.iter().find(|(line, _)| line.contains(what)).cloned()).await
    }

    async fn when_asked<T>(&self, what: &str, look: impl Fn(&[Asked]) -> Option<T>) -> T {
        let end = Instant::now() + Duration::from_secs(90);
        loop {
            if let Some(found) = look(&self.asked()) {
                return found;
            }
            assert!(Instant::now() < end, "never asked {what}: {:#?}", self.asked());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The report of a mid.
    async fn report(&self, mid: &str) -> (String, NativeReport) {
        let (line, body) = self.when(&format!("POST /h/T/alert/phone?mid={mid}")).await;
        (line, NativeReport::parse(body.to_string().as_bytes()).unwrap())
    }

    /// The states and keys that were told.
    fn progress(&self) -> Vec<String> {
        let told = |(line, body): &Asked| {
            line.contains("/progress?").then(|| {
                let word = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
                if body["event"] == "key" {
                    format!("key {} {} {}", word("key"), word("action"), body["seq"])
                } else {
                    word("state")
                }
            })
        };
        self.asked().iter().filter_map(told).collect()
    }
}

fn serve(stream: TcpStream, desk: &Mutex<Desk>) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap_or_default();
    let (mut length, mut native) = (0, false);
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).unwrap_or_default() < 3 {
            break;
        }
        let header = header.to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        native |= header.trim() == "autocall-protocol: 1";
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap_or_default();
    assert!(native || line.is_empty(), "{line}");
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let line = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
    let (status, answer) = answer(&mut desk.lock().unwrap(), &line, &body);
    if answer["code"] == 1 && line.contains("wait=20") {
        std::thread::sleep(Duration::from_millis(100));
    }
    let text = answer.to_string();
    let _ = write!(reader.get_mut(), "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len());
}

fn answer(desk: &mut Desk, line: &str, body: &Value) -> (u16, Value) {
    desk.asked.push((line.to_owned(), body.clone()));
    let accepted = json!({ "code": 0 });
    if line.starts_with("GET /h/T/alert/phone?") {
        if desk.one_channel && line.contains("channel=") {
            return (400, json!({ "code": 1 }));
        }
        if line.contains("channel=") && std::mem::take(&mut desk.breaks_once) {
            return (503, json!({}));
        }
        let offer = desk.offers.pop_front().or_else(|| desk.stubborn.clone());
        return (200, offer.unwrap_or_else(|| json!({ "code": 1 })));
    }
    if line.starts_with("POST /h/T/alert/phone?") {
        if desk.never_takes.is_some_and(|mid| line.contains(mid)) {
            return (413, json!({ "code": 1 }));
        }
        if desk.stubborn.as_ref().is_some_and(|offer| line.contains(offer["mid"].as_str().unwrap_or("?"))) {
            let reports = desk.asked.iter().filter(|(asked, _)| asked == line).count();
            if reports > 2 {
                desk.stubborn = None;
            }
        }
        return (200, accepted);
    }
    if line.contains("/progress?") {
        if body["event"] == "key" && desk.deaf_to_keys > 0 {
            desk.deaf_to_keys -= 1;
            return (503, json!({}));
        }
        let word = if body["event"] == "key" { "key" } else { body["state"].as_str().unwrap_or_default() };
        return (200, desk.answers.get(word).cloned().unwrap_or(accepted));
    }
    if line == "GET /h/T/outbox?wait=0" {
        let commands = std::mem::take(&mut desk.commands);
        return (200, json!({ "code": i32::from(commands.is_empty()), "commands": commands }));
    }
    (200, accepted)
}

fn offer(mid: &str, phones: &[&str], more: Value) -> Value {
    let mut offer = json!({ "code": 0, "mid": mid, "phone": phones, "deadline": 180,
        "alarm": { "id": "1", "summary": "Disk full", "priority": "high", "language": "en", "text": "Disk full on db1" } });
    offer["calls"] = phones.iter().map(|number| json!({ "number": number, "ring_seconds": 30 })).collect();
    for (key, value) in more.as_object().into_iter().flatten() {
        offer[key] = value.clone();
    }
    offer
}

struct Home {
    folder: tempfile::TempDir,
    server: Server,
    peer: Peer,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    running: Option<tokio::task::JoinHandle<()>>,
    lines: Arc<Mutex<Vec<String>>>,
}

/// The configuration of a handset whose voice is a file with a tone.
fn configuration(folder: &std::path::Path, server: &str, trunk: &str, more: &str) -> (Settings, reqwest::Client) {
    let voice = folder.join("voice.wav");
    std::fs::write(&voice, wav::write(&tone::sine(&[700.0], 800, 9000.0))).unwrap();
    // What is said is written down too, each in one piece: several are spoken at once.
    let said = format!("text=$(cat); printf '%s\\n' \"$text\" >> {0}/said.txt; cat {0}/voice.wav\n", folder.display());
    std::fs::write(folder.join("voice.sh"), said).unwrap();
    let path = folder.join("handset.toml");
    let text = format!(
        "[agent]\nkind = 'sip'\nserver = '{server}'\nstate_dir = '{}'\nchannels = 2\n[agent.sip]\ntrunk = '{trunk}'\nuser = '1001'\nanswer_within_seconds = 60\n{more}\n\
         [[agent.speech.voice]]\nlanguages = ['*']\ncommand = ['sh', '{}']\n[agent.call]\nkey_wait_seconds = 20\n",
        folder.join("state").display(),
        folder.join("voice.sh").display()
    );
    std::fs::write(&path, text).unwrap();
    let agent = Agent::read(&path).unwrap();
    (Settings::of(&agent).unwrap(), agent.client().unwrap())
}

impl Home {
    fn begin(desk: Desk, manners: Manners) -> Self {
        Self::begin_in(Surroundings::default(), desk, manners)
    }

    fn begin_in(surroundings: Surroundings, desk: Desk, manners: Manners) -> Self {
        let peer = Peer::start(LOCAL, manners).unwrap();
        let server = Server::start(desk);
        let folder = tempfile::tempdir().unwrap();
        let (mut settings, client) = configuration(folder.path(), &server.address, &peer.address().to_string(), "");
        settings.sip.surroundings = surroundings;
        let journal = Scribe::open(&settings.state_dir).unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = Arc::clone(&lines);
        let running = tokio::spawn(async move {
            let shutdown = async { drop(stopped.await) };
            run(settings, journal, client, shutdown, move |line| told.lock().unwrap().push(line.to_owned())).await;
        });
        Self { folder, server, peer, stop: Some(stop), running: Some(running), lines }
    }

    /// Stops it as an operator does, and returns what it wrote.
    async fn end(mut self) -> (String, Vec<String>) {
        let _ = self.stop.take().unwrap().send(());
        tokio::time::timeout(Duration::from_mins(1), self.running.take().unwrap()).await.unwrap().unwrap();
        let journal = std::fs::read_to_string(self.folder.path().join("state/handset.journal")).unwrap();
        (journal, self.lines.lock().unwrap().clone())
    }
}

fn answers_and_presses(key: char) -> Vec<Act> {
    vec![Act::Ring(180), Act::Answer(Law::Pcma), Act::Hear(20), Act::Key(key)]
}

fn first(report: &NativeReport) -> &NativeCall {
    report.calls.first().unwrap()
}

#[tokio::test]
async fn an_alarm_is_spoken_taken_by_key_told_at_once_and_reported() {
    let desk = Desk { offers: [offer("m1", &[A], json!({}))].into(), deaf_to_keys: 2, ..Desk::default() };
    let acts = [Act::Ring(180), Act::Answer(Law::Pcma), Act::Hear(20), Act::Key('9'), Act::Released, Act::Key('1')];
    let home = Home::begin(desk, Manners::of(acts));
    // A key is told until somebody hears it: twice in vain.
    let nines = |asked: &[Asked]| asked.iter().filter(|(_, body)| body["event"] == "key" && body["key"] == "9").count();
    home.server.when_asked("a key a third time", |asked| (nines(asked) == 3).then_some(())).await;
    home.peer.release();
    let (line, report) = home.server.report("m1").await;
    assert_eq!(line, format!("POST /h/T/alert/phone?mid=m1&resp={A}"));
    let call = first(&report);
    assert_eq!((call.outcome, call.confirmed, call.declined), (Some(CallOutcome::Answered), Some(true), false));
    assert_eq!((call.keys.as_deref(), call.action.as_deref()), (Some("91"), Some("accept")));
    assert!(call.heard_ms.unwrap() > 0 && call.connected_ms.unwrap() <= call.ended_ms.unwrap(), "{call:?}");
    let told = home.server.progress();
    assert!(told.contains(&"key 9  1".to_owned()) && told.contains(&"key 1 accept 2".to_owned()), "{told:?}");
    let states: Vec<&String> = told.iter().filter(|word| !word.starts_with("key")).collect();
    assert_eq!(states, ["dialling", "alerting", "connected", "ended"]);
    let (_, status) = home.server.when("POST /h/T/status").await;
    assert_eq!((&status["backend"], &status["channels"]), (&json!("sip"), &json!(2)));
    assert_eq!(status["capabilities"], json!(["hangup", "dtmf", "tts", "record", "machine", "live", "conference", "calls"]));
    assert_eq!(home.peer.log().count("INVITE"), 1);
    assert!(home.peer.log().sound().iter().any(|sample| sample.abs() > 5000), "the tone that stands for a voice");
    let peer = home.peer.log();
    let (journal, lines) = home.end().await;
    let entries: Vec<String> = journal
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|entry| entry["entry"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(entries, ["leased", "dialling", "connected", "key", "key", "ended", "reported"]);
    assert!(peer.count("REGISTER") >= 1);
    // Nobody's number, and no whole mid, is for the log.
    assert!(!lines.iter().any(|line| line.contains(A)), "{lines:?}");
}

#[tokio::test]
async fn a_script_of_the_server_is_obeyed() {
    let script = json!({ "say": "Disk full", "language": "en", "repeat": 2, "keys": { "5": "stop_calling" },
        "thanks": { "stop_calling": "Good bye" }, "dance": { "with": "me" } });
    let calls = json!([{ "number": A, "ring_seconds": 30, "script": script }]);
    let desk = Desk { offers: [offer("m1", &[A, B], json!({ "calls": calls }))].into(), ..Desk::default() };
    let home = Home::begin(desk, Manners::of(answers_and_presses('5')));
    let (_, report) = home.server.report("m1").await;
    let call = first(&report);
    assert_eq!((call.action.as_deref(), call.confirmed, call.declined), (Some("stop_calling"), Some(true), true));
    assert_eq!(report.calls[1].outcome, Some(CallOutcome::NotDialled), "somebody was reached");
    home.end().await;
}

#[tokio::test]
async fn the_question_is_asked_in_the_language_of_the_alarm() {
    let chinese = json!({ "alarm": { "language": "zh-CN", "text": "磁盘已满" } });
    let unnamed = json!({ "alarm": { "language": "", "text": "El disco está lleno." } });
    let desk = Desk { offers: [offer("m1", &[A], chinese), offer("m2", &[A], unnamed)].into(), ..Desk::default() };
    let home = Home::begin(desk, Manners::of(answers_and_presses('1')));
    home.server.report("m1").await;
    home.server.report("m2").await;
    let said = std::fs::read_to_string(home.folder.path().join("said.txt")).unwrap();
    assert!(said.contains("磁盘已满。 接手请按一，无法处理请按二。\n"), "{said}");
    assert!(said.contains("El disco está lleno. Pulse 1 para hacerse cargo. Pulse 2 si no puede.\n"), "{said}");
    home.end().await;
}

#[tokio::test]
async fn the_next_number_is_dialled_and_each_end_is_told() {
    use CallOutcome::{Busy, Failed};
    let phones = [A, B, "12;evil"];
    let desk = Desk { offers: [offer("m1", &phones, json!({}))].into(), ..Desk::default() };
    let busy = vec![Act::Refuse(486, "Busy Here", &[])];
    let home = Home::begin(desk, Manners::of(vec![Act::Refuse(404, "Not Found", &[])]).with(A, busy));
    let (line, report) = home.server.report("m1").await;
    assert_eq!(line, "POST /h/T/alert/phone?mid=m1");
    let told: Vec<_> = report.calls.iter().map(|call| (call.outcome.unwrap(), call.detail)).collect();
    assert_eq!(told, [(Busy, None), (Failed, Some(FailureDetail::BadNumber)), (Failed, Some(FailureDetail::BadNumber))]);
    assert_eq!(report.calls[0].cause.as_ref().unwrap().sip, Some(486));
    assert_eq!(home.peer.log().calls.len(), 2, "the third is no number");
    home.end().await;
}

#[tokio::test]
async fn a_dial_that_is_called_off_rings_no_longer() {
    let answers = BTreeMap::from([("alerting".to_owned(), json!({ "code": 2 }))]);
    let desk = Desk { offers: [offer("m1", &[A, B], json!({}))].into(), answers, ..Desk::default() };
    let home = Home::begin(desk, Manners::of([Act::Ring(180), Act::Stay]));
    let (_, report) = home.server.report("m1").await;
    let outcomes: Vec<_> = report.calls.iter().map(|call| call.outcome.unwrap()).collect();
    assert_eq!(outcomes, [CallOutcome::NoAnswer, CallOutcome::NotDialled]);
    assert_eq!((home.peer.log().count("CANCEL"), home.peer.log().calls.len()), (1, 1));
    home.end().await;
}

#[tokio::test]
async fn a_mid_that_comes_again_is_reported_again_and_never_dialled_again() {
    let desk = Desk { stubborn: Some(offer("m1", &[A], json!({}))), ..Desk::default() };
    let home = Home::begin(desk, Manners::of(answers_and_presses('2')));
    let both = |asked: &[Asked]| {
        let reports: Vec<_> =
            asked.iter().filter(|(line, _)| line.starts_with("POST /h/T/alert/phone?mid=m1")).cloned().collect();
        (reports.len() > 2).then_some(reports)
    };
    let reports = home.server.when_asked("a third report", both).await;
    assert!(reports.iter().all(|report| *report == reports[0]), "{reports:?}");
    assert_eq!(reports[0].1["calls"][0]["declined"], true);
    assert_eq!(home.peer.log().calls.len(), 1);
    home.end().await;
}

#[tokio::test]
async fn a_report_that_is_refused_for_good_keeps_no_alarm_waiting() {
    let offers = [offer("m1", &[A], json!({})), offer("m2", &[A], json!({}))];
    let desk = Desk { offers: offers.into(), never_takes: Some("m1"), one_channel: true, ..Desk::default() };
    let home = Home::begin(desk, Manners::of(answers_and_presses('2')));
    home.server.report("m2").await;
    assert_eq!(home.peer.log().calls.len(), 2);
    home.end().await;
}

#[tokio::test]
async fn two_channels_ring_at_once_and_the_second_asks_by_its_number() {
    let desk = Desk { offers: [offer("m1", &[A], json!({})), offer("m2", &[B], json!({}))].into(), ..Desk::default() };
    // The first is not answered before the second has rung.
    let home = Home::begin(desk, Manners::of(answers_and_presses('1')).with(A, [Act::Ring(180), Act::Stay]));
    home.server.report("m2").await;
    let asked = home.server.asked();
    let polls: Vec<&str> =
        asked.iter().filter(|(line, _)| line.contains("wait=20")).map(|(line, _)| line.as_str()).take(2).collect();
    assert_eq!(polls, ["GET /h/T/alert/phone?wait=20", "GET /h/T/alert/phone?wait=20&channel=1"]);
    home.running.as_ref().unwrap().abort();
}

#[tokio::test]
async fn a_channel_of_which_nobody_knows_what_is_on_it_is_looked_after() {
    let desk = Desk { offers: [offer("m1", &[A], json!({}))].into(), breaks_once: true, ..Desk::default() };
    let home = Home::begin(desk, Manners::of(answers_and_presses('1')).with(A, [Act::Ring(180), Act::Stay]));
    // The first channel rings; the poll for the second one breaks, and might have brought something.
    let looks = "GET /h/T/alert/phone?wait=0&channel=1";
    home.server.when(looks).await;
    let asked = home.server.asked();
    let place = |what: &str| asked.iter().position(|(line, _)| line.contains(what)).unwrap();
    assert!(place("POST /h/T/status") < place("channel=1"), "the server knows of one channel until it is told: {asked:#?}");
    home.server.desk.lock().unwrap().offers.push_back(offer("m2", &[B], json!({})));
    home.server.report("m2").await;
    home.running.as_ref().unwrap().abort();
    // A handset that starts does not know what its forerunner was given.
    let home = Home::begin(Desk::default(), Manners::of([]));
    home.server.when(looks).await;
    home.end().await;
}

#[tokio::test]
async fn a_server_of_one_channel_is_not_asked_for_the_second_again() {
    let desk = Desk {
        offers: [offer("m1", &[A], json!({})), offer("m2", &[A], json!({}))].into(),
        one_channel: true,
        ..Desk::default()
    };
    let acts = [Act::Ring(180), Act::Released, Act::Answer(Law::Pcma), Act::Hear(20), Act::Key('1')];
    let home = Home::begin(desk, Manners::of(acts));
    home.server.when("channel=1").await;
    home.peer.release();
    home.server.report("m1").await;
    home.peer.release();
    let (_, report) = home.server.report("m2").await;
    assert_eq!(first(&report).action.as_deref(), Some("accept"), "the first channel goes on");
    let asked = home.server.asked().iter().filter(|(line, _)| line.contains("channel=1")).count();
    assert_eq!(asked, 1);
    home.end().await;
}

#[tokio::test]
async fn a_test_call_is_made_once_however_often_it_is_asked_for() {
    let command = json!({ "id": "c1", "kind": "test_call", "number": A, "ring_seconds": 20 });
    let home = Home::begin(Desk { commands: vec![command.clone()], ..Desk::default() }, Manners::of(answers_and_presses('1')));
    home.server.when("POST /h/T/outbox/c1").await;
    home.server.desk.lock().unwrap().commands = vec![command];
    let results = |asked: &[Asked]| {
        let all: Vec<_> = asked.iter().filter(|(line, _)| line.contains("POST /h/T/outbox/c1")).cloned().collect();
        (all.len() > 1).then_some(all)
    };
    let results = home.server.when_asked("the result again", results).await;
    assert_eq!(results[0].1, results[1].1);
    assert_eq!(home.peer.log().calls.len(), 1);
    home.end().await;
}

#[tokio::test]
async fn commands_are_carried_out_or_declined_in_words() {
    let commands = vec![json!({ "id": "c1", "kind": "test_call", "number": A, "ring_seconds": 20 })];
    let home = Home::begin(Desk { commands, ..Desk::default() }, Manners::of(answers_and_presses('1')));
    let (_, result) = home.server.when("POST /h/T/outbox/c1").await;
    assert_eq!(
        (&result["ok"], &result["call"]["outcome"], &result["call"]["keys"]),
        (&json!(true), &json!("answered"), &json!("1"))
    );
    home.server.desk.lock().unwrap().commands = vec![json!({ "id": "c2", "kind": "forward", "code": "**21*1#" })];
    let (_, result) = home.server.when("POST /h/T/outbox/c2").await;
    assert_eq!(result["ok"], false);
    assert!(result["detail"].as_str().unwrap().contains("no SIM"), "{result}");
    assert_eq!(home.server.progress(), Vec::<String>::new(), "a test call has no dial to tell of");
    home.end().await;
}

#[tokio::test]
async fn nothing_is_asked_for_while_the_trunk_refuses() {
    let manners = Manners { challenges: Some("1001".into()), forbids: true, ..Manners::of(answers_and_presses('1')) };
    let home = Home::begin(Desk { offers: [offer("m1", &[A], json!({}))].into(), ..Desk::default() }, manners);
    let refused = |asked: &[Asked]| {
        let words = |body: &Value| body["network"].as_str().is_some_and(|words| words.contains("the registrar answers 401"));
        asked.iter().any(|(line, body)| line.contains("/status") && words(body)).then_some(())
    };
    home.server.when_asked("a status that says so", refused).await;
    assert!(!home.server.asked().iter().any(|(line, _)| line.contains("/alert/phone")));
    home.running.as_ref().unwrap().abort();
}

#[tokio::test]
async fn check_says_what_works_and_what_does_not() {
    let server = Server::start(Desk::default());
    let peer = Peer::start(LOCAL, Manners::of([Act::Ring(180), Act::Answer(Law::Pcma), Act::Hear(5), Act::Key('7')])).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let trunk = peer.address().to_string();
    let (agent, client) = configuration(folder.path(), &server.address, &trunk, "");
    let mut lines = Vec::new();
    assert!(check(&agent, client.clone(), Some((A, LONG_ENOUGH)), |line| lines.push(line.to_owned())).await, "{lines:#?}");
    for expected in ["ok    server", "ok    registration: as 1001 for 120 s", "ok    it rings", "ok    key 7 was heard"] {
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{expected}: {lines:#?}");
    }

    peer.behave(Manners::of([Act::Refuse(404, "Not Found", &[])]));
    lines.clear();
    assert!(!check(&agent, client.clone(), Some((A, LONG_ENOUGH)), |line| lines.push(line.to_owned())).await);
    assert!(lines.last().unwrap().contains("see agent.sip.callee, plus and prefix"), "{lines:#?}");

    peer.behave(Manners { challenges: Some("1001".into()), ..Manners::default() });
    lines.clear();
    assert!(!check(&agent, client.clone(), None, |line| lines.push(line.to_owned())).await);
    assert!(lines.last().unwrap().starts_with("FAIL  registration: the registrar answers 401"), "{lines:#?}");

    // For no longer than it was told.
    peer.behave(Manners::of([Act::Ring(180), Act::Stay]));
    lines.clear();
    assert!(!check(&agent, client.clone(), Some((A, Duration::from_secs(1))), |line| lines.push(line.to_owned())).await);
    assert!(lines.last().unwrap().starts_with("FAIL  call: no_answer"), "{lines:#?}");
    assert_eq!(peer.log().count("CANCEL"), 1);
    assert!(lines.iter().any(|line| line.contains("calling for up to 1 s")), "{lines:#?}");

    peer.behave(Manners::of([Act::Answer(Law::Pcma), Act::HangUp]));
    lines.clear();
    assert!(!check(&agent, client.clone(), Some((A, LONG_ENOUGH)), |line| lines.push(line.to_owned())).await);
    assert!(lines.last().unwrap().starts_with("FAIL"), "{lines:#?}");

    let (nowhere, _) = configuration(folder.path(), "http://127.0.0.1:9/h/T", "nowhere.invalid", "register = false");
    lines.clear();
    assert!(!check(&nowhere, client, None, |line| lines.push(line.to_owned())).await);
    assert!(lines.iter().any(|line| line.starts_with("FAIL  server: the server cannot be reached")), "{lines:#?}");
    assert!(lines.last().unwrap().starts_with("FAIL  trunk: nowhere.invalid"), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("/h/T")), "the token is a secret: {lines:#?}");
}

#[tokio::test]
async fn check_asks_a_trunk_without_registration_whether_it_is_there() {
    let server = Server::start(Desk::default());
    let peer = Peer::start(LOCAL, Manners::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let trunk = peer.address().to_string();
    let (agent, client) = configuration(folder.path(), &server.address, &trunk, "register = false");
    let mut lines = Vec::new();
    assert!(check(&agent, client.clone(), None, |line| lines.push(line.to_owned())).await, "{lines:#?}");
    assert!(lines.iter().any(|line| line == "ok    answer: the trunk answers 200 OK to OPTIONS"), "{lines:#?}");
    assert_eq!((peer.log().count("OPTIONS"), peer.log().count("REGISTER")), (1, 0));
    peer.behave(Manners { deaf: true, ..Manners::default() });
    lines.clear();
    assert!(!check(&agent, client, None, |line| lines.push(line.to_owned())).await);
    assert!(lines.last().unwrap().starts_with("FAIL  answer: the trunk does not answer"), "{lines:#?}");
}

#[tokio::test]
async fn a_registrar_that_goes_and_an_address_that_changes_make_no_call_twice() {
    let own = Arc::new(Mutex::new(LOCAL));
    let now = Arc::clone(&own);
    let surroundings = Surroundings { speed: 20.0, own: Some(Arc::new(move || *now.lock().unwrap())), ..Surroundings::default() };
    let acts = [Act::Ring(180), Act::Released, Act::Answer(Law::Pcma), Act::Hear(20), Act::Key('1')];
    let works = Manners { expires: 3600, ..Manners::of(acts) };
    let desk = Desk { offers: [offer("m1", &[A], json!({}))].into(), ..Desk::default() };
    let home = Home::begin_in(surroundings, desk, works.clone());
    home.server.when_asked("that it rings", |_| home.server.progress().contains(&"alerting".to_owned()).then_some(())).await;
    let says = |words: &'static str| {
        move |asked: &[Asked]| {
            let last = asked.iter().rev().find(|(line, _)| line.contains("/status"));
            last.filter(|(_, body)| body["network"].as_str().is_some_and(|said| said.contains(words))).map(drop)
        }
    };
    home.peer.behave(Manners { deaf: true, ..works.clone() });
    home.server.when_asked("that the registrar is away", says("the registrar does not answer")).await;
    home.peer.behave(works);
    home.server.when_asked("that it is back", says(": registered")).await;
    // The machine gets another address while the phone still rings.
    *own.lock().unwrap() = "127.0.0.2".parse().unwrap();
    let moved = |peer: &Peer| peer.log().last["REGISTER"].contains("127.0.0.2");
    home.server.when_asked("the new address", |_| moved(&home.peer).then_some(())).await;
    home.peer.release();
    let (_, report) = home.server.report("m1").await;
    assert_eq!((first(&report).outcome, first(&report).action.as_deref()), (Some(CallOutcome::Answered), Some("accept")));
    // And the next one goes out by it.
    home.server.desk.lock().unwrap().offers.push_back(offer("m2", &[B], json!({})));
    home.peer.release();
    home.server.report("m2").await;
    let log = home.peer.log();
    let called: Vec<_> = log.calls.iter().map(|(_, number)| number.as_str()).collect();
    assert_eq!(called, [A, B]);
    assert!(log.last["INVITE"].contains("127.0.0.2"), "{}", log.last["INVITE"]);
    home.end().await;
}
