//! The two calls of a shout over SIP, by the handset's own program: a caller speaks a message, and others hear it.
#![cfg(feature = "sip")]
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[expect(dead_code, reason = "other tests have their handset in their own process")]
#[path = "support/exchange.rs"]
mod exchange;
#[expect(dead_code, reason = "other tests wait in threads")]
mod support;

use std::{
    collections::BTreeMap,
    process::{Child, Command, Stdio},
};

use android_protocol::{
    sip::peer::{Act, Manners, Peer},
    voice::{detector::Verdict, g711::Law},
    wire::{CallOutcome, EndedBy, NativeCall},
};
use exchange::{A, LOCAL, Server, Table, configuration, heard_by, pieces_of};
use serde_json::{Value, json};

/// What every voice sounds like; the message and what is said by the server have their own.
const VOICE: f64 = 700.0;
const MESSAGE: f64 = 400.0;
const BEEP: f64 = 1000.0;

/// The scripts that the server makes.
fn record() -> Value {
    serde_json::from_str(include_str!("support/shouts/record.json")).unwrap()
}

fn delivery() -> Value {
    let mut script: Value = serde_json::from_str(include_str!("support/shouts/delivery.json")).unwrap();
    script["menu"]["options"]["seconds"] = json!(1);
    script
}

/// The detector's times, by which one kind of callee is told for certain, also where a machine is slow.
fn told_by(mut script: Value, times: &Value) -> Value {
    for (name, time) in times.as_object().unwrap() {
        script["machine"][name] = time.clone();
    }
    script
}

/// The handset's program; dropped, it is killed as by `kill -9`.
struct Handset(Child);

impl Drop for Handset {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Scene {
    folder: tempfile::TempDir,
    server: Server,
    peer: Peer,
}

impl Scene {
    fn new(script: &Value, acts: impl IntoIterator<Item = Act>, table: Table) -> Self {
        let call = json!({ "number": A, "ring_seconds": 60, "script": script });
        let offer = json!({ "code": 0, "mid": "m1", "phone": [A], "deadline": 600, "calls": [call] });
        let acts: Vec<Act> = [Act::Ring(180), Act::Answer(Law::Pcma)].into_iter().chain(acts).collect();
        Self {
            folder: tempfile::tempdir().unwrap(),
            server: Server::open(Table { offers: [offer].into(), ..table }),
            peer: Peer::start(LOCAL, Manners::of(acts)).unwrap(),
        }
    }

    fn handset(&self) -> Handset {
        let config = configuration(self.folder.path(), &self.server.desk.url, &self.peer.address().to_string(), 1, "");
        let mut command = Command::new(env!("CARGO_BIN_EXE_handset"));
        command.env("HOME", self.folder.path()).env_remove("RUST_LOG").env("no_proxy", "*").arg("--config").arg(config);
        Handset(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// The states that were entered and the recordings that were named, in the order in which the server took them.
    fn taken(&self) -> Vec<(String, String)> {
        let word = |event: &Value, name: &str| event[name].as_str().unwrap_or_default().to_owned();
        self.server.table().taken.iter().map(|event| (word(event, "event"), word(event, "value"))).collect()
    }

    /// Waits until a state was entered so often.
    async fn entered(&self, state: &str, times: usize) {
        let count = |scene: &Self| scene.taken().iter().filter(|(event, value)| event == "state" && value == state).count();
        self.server.eventually(state, |_| (count(self) >= times).then_some(())).await;
    }

    fn heard(&self, frequency: f64) -> usize {
        pieces_of(&heard_by(&self.peer, A), frequency)
    }

    /// Waits until the caller has heard one more tone than so much of it.
    async fn beeps(&self, before: usize) {
        self.server.eventually("the tone", |_| (self.heard(BEEP) > before).then_some(())).await;
    }

    async fn report(&self) -> NativeCall {
        self.server.report("m1").await
    }
}

#[tokio::test]
async fn a_message_is_spoken_anew_heard_and_sent_and_every_step_is_told() {
    let acts = [
        Act::Hear(10),
        Act::Key('*'),
        Act::Released,
        Act::Note(500, 1500),
        Act::Key('#'),
        Act::Released,
        Act::Key('3'),
        Act::Released,
        Act::Note(900, 1500),
        Act::Key('#'),
        Act::Released,
        Act::Key('1'),
        Act::Released,
        Act::Key('2'),
    ];
    // The server does not take the first word of it at once.
    let scene = Scene::new(&record(), acts, Table { deaf_to_progress: 3, ..Table::default() });
    let _handset = scene.handset();
    scene.beeps(0).await;
    scene.peer.release();
    scene.entered("verify", 1).await;
    let one_tone = scene.heard(BEEP);
    scene.peer.release();
    scene.beeps(one_tone).await;
    scene.peer.release();
    scene.entered("verify", 2).await;
    scene.peer.release();
    scene.entered("replay", 1).await;
    scene.server.eventually("the message", |_| (scene.heard(900.0) > 5).then_some(())).await;
    scene.peer.release();
    let call = scene.report().await;
    assert_eq!((call.action.as_deref(), call.confirmed, call.ended_by), (Some("accept"), Some(true), Some(EndedBy::Us)));
    assert_eq!(call.keys.as_deref(), Some("*#3#12"));
    assert_eq!(scene.heard(500.0), 0, "what was spoken anew is not the message any more");
    let named: Vec<&str> = call.recordings.iter().map(|recording| recording.id.as_str()).collect();
    let [first, last] = named.try_into().unwrap();
    let told = [
        ("state", "record"),
        ("recording", first),
        ("state", "verify"),
        ("state", "record"),
        ("recording", last),
        ("state", "verify"),
        ("state", "replay"),
        ("state", "confirmed"),
    ];
    assert_eq!(scene.taken(), told.map(|(event, value)| (event.to_owned(), value.to_owned())));
    for id in [first, last] {
        let path = format!("/recording/{id}?mid=m1");
        scene.server.eventually("the upload", |server| (server.asked(&path) > 0).then_some(())).await;
    }
}

#[tokio::test]
async fn a_message_that_was_spoken_outlives_the_handset() {
    let acts = [Act::Hear(10), Act::Key('*'), Act::Released, Act::Note(500, 1500), Act::Key('#'), Act::Stay];
    let scene = Scene::new(&record(), acts, Table::default());
    let handset = scene.handset();
    scene.beeps(0).await;
    scene.peer.release();
    scene.entered("verify", 1).await;
    drop(handset);
    let (_, id) = scene.taken().into_iter().find(|(event, _)| event == "recording").unwrap();
    let _handset = scene.handset();
    let call = scene.report().await;
    assert_eq!((call.outcome, call.confirmed), (Some(CallOutcome::Answered), Some(false)));
    let path = format!("/recording/{id}?mid=m1");
    scene.server.eventually("the upload", |server| (server.asked(&path) > 0).then_some(())).await;
    assert_eq!(scene.peer.log().calls.len(), 1, "nobody is rung again");
}

#[tokio::test]
async fn a_shout_that_was_cancelled_meanwhile_ends_with_what_the_server_says() {
    let answers = BTreeMap::from([("record".to_owned(), json!({ "code": 2, "say": "Eleven hundred" }))]);
    let scene = Scene::new(&record(), [Act::Hear(10), Act::Key('*'), Act::Stay], Table { answers, ..Table::default() });
    let _handset = scene.handset();
    let call = scene.report().await;
    assert_eq!((call.outcome, call.action.as_deref()), (Some(CallOutcome::Answered), Some("none")));
    assert_eq!(call.ended_by, Some(EndedBy::Us));
    assert!(scene.heard(1100.0) > 5, "{}", scene.heard(1100.0));
}

#[tokio::test]
async fn five_opts_out_before_anything_was_said_and_during_the_message() {
    // Only the keys, or only a word and silence, end the waiting.
    let nobody = json!({ "initial": 60_000, "greeting": 60_000, "after": 60_000, "total": 60_000 });
    let person = json!({ "initial": 60_000, "greeting": 60_000, "after": 300, "total": 60_000 });
    let says_yes = vec![Act::Wait(1000), Act::Hum(300), Act::Hear(20), Act::Key('5'), Act::Stay];
    for (times, acts, verdict) in
        [(nobody, vec![Act::Wait(500), Act::Key('5'), Act::Stay], None), (person, says_yes, Some(Verdict::Human))]
    {
        let scene = Scene::new(&told_by(delivery(), &times), acts, Table::default());
        let _handset = scene.handset();
        let key = scene.server.progress("m1", "key").await;
        assert_eq!((&key["key"], &key["action"]), (&json!("5"), &json!("stop_calling")), "at once");
        let call = scene.report().await;
        assert_eq!((call.action.as_deref(), call.confirmed, call.declined), (Some("stop_calling"), Some(true), true));
        assert_eq!((call.machine, call.ended_by), (verdict, Some(EndedBy::Us)));
        assert!(scene.heard(VOICE) > 2, "they are thanked");
        assert_eq!(scene.heard(MESSAGE) > 0, verdict.is_some(), "{}", scene.heard(MESSAGE));
        assert!(verdict.is_some() || call.heard_times == Some(0), "{call:?}");
    }
}

#[tokio::test]
async fn a_machine_hears_the_message_once_and_to_its_end() {
    let machine = json!({ "initial": 60_000, "greeting": 1000, "after": 20_000, "total": 60_000 });
    let scene = Scene::new(&told_by(delivery(), &machine), [Act::Wait(1000), Act::Hum(4000), Act::Stay], Table::default());
    let _handset = scene.handset();
    let call = scene.report().await;
    assert_eq!((call.machine, call.action.as_deref(), call.heard_times), (Some(Verdict::Machine), Some("none"), Some(1)));
    assert_eq!(call.confirmed, Some(false));
    // A second and a half.
    let heard = scene.heard(MESSAGE);
    assert!((6..=16).contains(&heard), "{heard}");
    assert_eq!(scene.taken(), [("state".to_owned(), "options".to_owned())]);
}
