//! Recordings both ways: what the server has is fetched before anybody is dialled, and what callees say is kept until the server has it.
#![cfg(feature = "sip")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use android_protocol::{
    driver::{config::Agent, scribe::Scribe},
    sip::{
        agent::run,
        config::Settings,
        peer::{Act, Manners, Peer},
        sound::clips::sha256,
    },
    voice::{g711::Law, tone, wav},
    wire::{CallOutcome, FailureDetail, NativeReport, Recording},
};
use serde_json::{Value, json};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const A: &str = "13900000001";

/// One request: its line, the tag it named, and its body.
#[derive(Clone)]
struct Asked {
    line: String,
    tag: Option<String>,
    body: Vec<u8>,
}

#[derive(Default)]
struct Desk {
    offers: VecDeque<Value>,
    media: BTreeMap<String, Vec<u8>>,
    /// What uploads are answered, one after the other; then 200.
    uploads: VecDeque<u16>,
    /// What every upload is answered, if anything else.
    refuses: Option<u16>,
    asked: Vec<Asked>,
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

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap()
    }

    fn asked(&self, what: &str) -> Vec<Asked> {
        self.desk().asked.iter().filter(|asked| asked.line.contains(what)).cloned().collect()
    }

    /// Waits until so many requests were made whose line holds this.
    async fn when(&self, what: &str, count: usize) -> Vec<Asked> {
        let end = Instant::now() + Duration::from_mins(2);
        loop {
            let asked = self.asked(what);
            if asked.len() >= count {
                return asked;
            }
            assert!(Instant::now() < end, "{what} was asked {} times", asked.len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn report(&self, mid: &str) -> NativeReport {
        let asked = self.when(&format!("POST /h/T/alert/phone?mid={mid}"), 1).await;
        NativeReport::parse(&asked[0].body).unwrap()
    }
}

fn serve(stream: TcpStream, desk: &Mutex<Desk>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let (mut length, mut tag) = (0, None);
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).ok()? < 3 {
            break;
        }
        let (name, value) = header.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "if-none-match" => tag = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let line = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
    let (status, more, answer) = answer(&mut desk.lock().unwrap(), &Asked { line: line.clone(), tag, body });
    if answer == br#"{"code":1}"# && line.contains("wait=20") {
        std::thread::sleep(Duration::from_millis(100));
    }
    let stream = reader.get_mut();
    write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{more}Connection: close\r\n\r\n", answer.len()).ok()?;
    stream.write_all(&answer).ok()
}

fn answer(desk: &mut Desk, asked: &Asked) -> (u16, String, Vec<u8>) {
    desk.asked.push(asked.clone());
    let json = |value: Value| (200, String::new(), value.to_string().into_bytes());
    if let Some(id) = asked.line.strip_prefix("GET /h/T/media/") {
        let Some(bytes) = desk.media.get(id) else { return (404, String::new(), Vec::new()) };
        let tag = format!("\"{}\"", sha256(bytes));
        let header = format!("ETag: {tag}\r\n");
        return if asked.tag.as_ref() == Some(&tag) { (304, header, Vec::new()) } else { (200, header, bytes.clone()) };
    }
    if asked.line.starts_with("PUT /h/T/recording/") {
        let status = desk.refuses.or_else(|| desk.uploads.pop_front()).unwrap_or(200);
        return (status, String::new(), br#"{"code":0}"#.to_vec());
    }
    if asked.line.starts_with("GET /h/T/alert/phone?") {
        return json(desk.offers.pop_front().unwrap_or_else(|| json!({ "code": 1 })));
    }
    json(if asked.line.contains("/outbox?") { json!({ "code": 1 }) } else { json!({ "code": 0 }) })
}

fn offer(mid: &str, script: &Value) -> Value {
    json!({ "code": 0, "mid": mid, "phone": [A], "deadline": 600, "calls": [{ "number": A, "ring_seconds": 60, "script": script }] })
}

/// A handset; dropped, it is gone as a killed process is.
struct Handset(tokio::task::JoinHandle<()>);

impl Drop for Handset {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn handset(folder: &Path, server: &Server, peer: &Peer) -> Handset {
    let voice = folder.join("voice.wav");
    std::fs::write(&voice, wav::write(&tone::sine(&[700.0], 400, 9000.0))).unwrap();
    let text = format!(
        "[agent]\nkind = 'sip'\nserver = '{}'\nstate_dir = '{}'\n[agent.sip]\ntrunk = '{}'\nuser = '1001'\nanswer_within_seconds = 60\n\
         [[agent.speech.voice]]\nlanguages = ['*']\ncommand = ['cat', '{}']\n",
        server.address,
        folder.join("state").display(),
        peer.address(),
        voice.display()
    );
    let path = folder.join("handset.toml");
    std::fs::write(&path, text).unwrap();
    let agent = Agent::read(&path).unwrap();
    let settings = Settings::of(&agent).unwrap();
    let client = agent.client().unwrap();
    let mut opened = Scribe::open(&settings.state_dir);
    for _ in 0..3000 {
        // The journal of a handset that was killed is let go of a moment later.
        if opened.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        opened = Scribe::open(&settings.state_dir);
    }
    let journal = opened.unwrap();
    Handset(tokio::spawn(run(settings, journal, client, std::future::pending(), |_| {})))
}

fn peer(acts: impl Into<Vec<Act>>) -> Peer {
    Peer::start(LOCAL, Manners::of(acts)).unwrap()
}

/// How many recordings wait on disk.
fn waiting(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("state/recordings")).map_or(0, Iterator::count)
}

async fn gone(folder: &Path) {
    for _ in 0..6000 {
        if waiting(folder) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("recordings stay on the disk");
}

fn recordings(report: &NativeReport) -> Vec<Recording> {
    report.calls[0].recordings.clone()
}

#[tokio::test]
async fn a_recording_is_fetched_once_before_the_dial_and_played() {
    let file = wav::write(&tone::sine(&[1300.0], 1000, 9000.0));
    let tag = sha256(&file);
    let named = json!({ "play": { "media": "clip-1", "sha256": tag }, "keys": { "1": "accept" } });
    let unnamed = json!({ "play": { "media": "clip-1" }, "keys": { "1": "accept" } });
    let desk = Desk {
        offers: [offer("m1", &named), offer("m2", &named), offer("m3", &unnamed)].into(),
        media: BTreeMap::from([("clip-1".to_owned(), file)]),
        ..Desk::default()
    };
    let (server, folder) = (Server::start(desk), tempfile::tempdir().unwrap());
    let peer = peer([Act::Ring(180), Act::Answer(Law::Pcma), Act::Hear(40), Act::Key('1')]);
    let _handset = handset(folder.path(), &server, &peer).await;
    for mid in ["m1", "m2", "m3"] {
        assert_eq!(server.report(mid).await.calls[0].action.as_deref(), Some("accept"), "{mid}");
    }
    let heard = peer.log().sound();
    let first = heard.iter().position(|sample| sample.abs() > 300).unwrap();
    assert!(tone::share(&heard[first..first + 4000], 1300.0) > 0.6, "the recording, and not the voice");
    let fetched = server.asked("GET /h/T/media/clip-1");
    let tags: Vec<Option<String>> = fetched.iter().map(|asked| asked.tag.clone()).collect();
    assert_eq!(
        tags,
        [None, Some(format!("\"{tag}\""))],
        "what is known by its sum is not asked for again, the other is asked by its tag"
    );
    let order = server.desk().asked.iter().map(|asked| asked.line.clone()).collect::<Vec<_>>();
    let place = |what: &str| order.iter().position(|line| line.contains(what)).unwrap();
    assert!(place("/media/clip-1") < place("/progress?mid=m1"), "before the dial");
}

#[tokio::test]
async fn where_a_recording_is_missing_or_another_nobody_is_dialled() {
    let file = wav::write(&tone::sine(&[1300.0], 200, 9000.0));
    let other = sha256(b"other");
    let start =
        |play: Value| json!({ "menu": { "start": { "say": "Hello", "keys": { "1": "go:more" } }, "more": { "play": play } } });
    let desk = Desk {
        offers: [
            offer("m1", &json!({ "play": { "media": "none" } })),
            offer("m2", &json!({ "play": { "media": "clip", "sha256": other } })),
            offer("m3", &start(json!({ "media": "none" }))),
            offer("m4", &json!({ "play": { "media": "../status" } })),
            offer("m5", &json!({ "play": { "media": "text" } })),
        ]
        .into(),
        media: BTreeMap::from([("clip".to_owned(), file), ("text".to_owned(), b"no sound".to_vec())]),
        ..Desk::default()
    };
    let (server, folder) = (Server::start(desk), tempfile::tempdir().unwrap());
    let peer = peer([Act::Ring(180), Act::Answer(Law::Pcma), Act::Stay]);
    let _handset = handset(folder.path(), &server, &peer).await;
    for mid in ["m1", "m2", "m3", "m4", "m5"] {
        let call = server.report(mid).await.calls.swap_remove(0);
        assert_eq!((call.outcome, call.detail), (Some(CallOutcome::Failed), Some(FailureDetail::Media)), "{mid}");
    }
    assert_eq!(peer.log().calls.len(), 0);
}

/// A menu that records for two seconds without a tone before.
fn records_once() -> Value {
    json!({ "menu": { "start": { "record": { "beep": false, "max_seconds": 2, "silence_ms": 60000 } } } })
}

#[tokio::test]
async fn what_a_callee_says_is_uploaded_after_the_report_until_the_server_has_it() {
    let desk = Desk { offers: [offer("m1", &records_once())].into(), uploads: [404, 503, 500].into(), ..Desk::default() };
    let (server, folder) = (Server::start(desk), tempfile::tempdir().unwrap());
    let peer = peer([Act::Ring(180), Act::Answer(Law::Pcma), Act::Hum(60_000), Act::Stay]);
    let _handset = handset(folder.path(), &server, &peer).await;
    let report = server.report("m1").await;
    let [recording] = recordings(&report).try_into().unwrap();
    let uploads = server.when("PUT /h/T/recording/", 4).await;
    assert!(
        uploads.iter().all(|upload| upload.line == format!("PUT /h/T/recording/{}?mid=m1", recording.id)),
        "{}",
        uploads[0].line
    );
    assert!(uploads.iter().all(|upload| upload.body == uploads[0].body));
    assert_eq!((recording.sha256, recording.bytes), (Some(sha256(&uploads[0].body)), Some(uploads[0].body.len() as u64)));
    let sound = wav::read(&uploads[0].body).unwrap();
    assert_eq!((sound.rate, sound.samples.len() / 8000), (8000, usize::try_from(recording.seconds.unwrap()).unwrap()));
    assert!(sound.samples.iter().any(|sample| sample.abs() > 1000), "the callee's voice");
    gone(folder.path()).await;
    let order: Vec<String> = server.desk().asked.iter().map(|asked| asked.line.clone()).collect();
    let place = |what: &str| order.iter().position(|line| line.contains(what)).unwrap();
    assert!(place("POST /h/T/alert/phone?mid=m1") < place("PUT /h/T/recording/"));
}

#[tokio::test]
async fn a_recording_outlives_the_handset_and_goes_where_nobody_will_want_it() {
    let desk = Desk { offers: [offer("m1", &records_once())].into(), refuses: Some(503), ..Desk::default() };
    let (server, folder) = (Server::start(desk), tempfile::tempdir().unwrap());
    // A callee who says nothing: silence is recorded like anything else.
    let peer = peer([Act::Ring(180), Act::Answer(Law::Pcma), Act::Stay]);
    let first = handset(folder.path(), &server, &peer).await;
    assert_eq!(recordings(&server.report("m1").await).len(), 1);
    let uploads = server.when("PUT /h/T/recording/", 1).await;
    drop(first);
    assert_eq!(waiting(folder.path()), 1);
    let sound = wav::read(&uploads[0].body).unwrap();
    assert!(sound.samples.iter().all(|sample| sample.abs() < 100) && !sound.samples.is_empty(), "{}", sound.samples.len());
    let so_far = server.asked("PUT /h/T/recording/").len();
    server.desk().refuses = Some(410);
    let _second = handset(folder.path(), &server, &peer).await;
    let again = server.when("PUT /h/T/recording/", so_far + 1).await;
    assert_eq!((&again[so_far].line, &again[so_far].body), (&uploads[0].line, &uploads[0].body));
    gone(folder.path()).await;
    assert_eq!(peer.log().calls.len(), 1);
}

#[tokio::test]
async fn no_more_than_four_are_kept_of_a_call() {
    let record = |then: &str| json!({ "record": { "beep": false, "max_seconds": 1, "silence_ms": 60000, "then": then } });
    let menu =
        json!({ "start": record("go:b"), "b": record("go:c"), "c": record("go:d"), "d": record("go:e"), "e": record("end") });
    let desk = Desk { offers: [offer("m1", &json!({ "menu": menu }))].into(), ..Desk::default() };
    let (server, folder) = (Server::start(desk), tempfile::tempdir().unwrap());
    let peer = peer([Act::Answer(Law::Pcmu), Act::Stay]);
    let _handset = handset(folder.path(), &server, &peer).await;
    let named: Vec<String> = recordings(&server.report("m1").await).into_iter().map(|recording| recording.id).collect();
    assert_eq!(named.len(), 4);
    let mut uploaded: Vec<String> = server
        .when("PUT /h/T/recording/", 4)
        .await
        .iter()
        .map(|upload| upload.line.trim_start_matches("PUT /h/T/recording/").trim_end_matches("?mid=m1").to_owned())
        .collect();
    uploaded.sort();
    let mut named = named;
    named.sort();
    assert_eq!(uploaded, named);
    gone(folder.path()).await;
}
