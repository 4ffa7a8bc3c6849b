//! Scenario: the handset that calls over SIP, as a process, between the real server and a simulated trunk.

use std::{path::Path, process::Command};

use android_protocol::{
    sip::peer::{Act, Manners, Peer},
    voice::{g711::Law, tone, wav},
};
use autocall_tests::{
    process::{Process, Signal},
    provided_by_run,
    server::Binary,
    wait::eventually,
};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    client::{Client, status_and_json},
    doors::pair,
    world::{Engine, SOON, World, assert_keeps_numbers_secret, on_both},
};

pub const ANN: &str = "18712345678";
const BOB: &str = "18812345678";

/// The text that sounds otherwise.
const OTHER: &str = "The fan is burning";

on_both!(
    a_key_takes_the_alarm,
    a_key_declines_it_and_the_next_one_is_called,
    a_handset_that_is_killed_while_it_rings_rings_nobody_twice,
    two_channels_ring_two_people_at_once,
    a_call_is_hung_up_by_whoever_has_a_key,
    a_text_is_heard_in_a_running_call,
    somebody_who_was_rung_calls_back_and_takes_the_alarm,
    whoever_calls_back_leaves_a_message_that_is_heard,
    a_message_is_spoken_by_its_caller_and_heard_by_the_others,
);

/// The handset's program, with a tone for a voice.
pub struct Handset {
    pub folder: TempDir,
    pub process: Process,
}

impl Handset {
    async fn start(world: &World, server: &Binary, peer: &Peer) -> Self {
        Self::start_with(world, server, peer, 1).await
    }

    /// One that can hold so many calls at once, and is allowed to.
    async fn start_with(world: &World, server: &Binary, peer: &Peer, channels: usize) -> Self {
        let path = pair(world, "trunk").await;
        Self::at(world, &format!("{}{path}", server.url()), peer, channels).await
    }

    /// The same, paired already, that asks at this address.
    pub async fn at(world: &World, address: &str, peer: &Peer, channels: usize) -> Self {
        Self::at_with(world, address, peer, channels, "").await
    }

    /// The same, with more under `[agent.sip]`. What it says is 700 Hz, but for one text, which is 400.
    async fn at_with(world: &World, address: &str, peer: &Peer, channels: usize, more: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let voice = folder.path().join("voice.wav");
        std::fs::write(&voice, wav::write(&tone::sine(&[700.0], 800, 9000.0))).unwrap();
        let other = folder.path().join("other.wav");
        std::fs::write(&other, wav::write(&tone::sine(&[400.0], 1500, 9000.0))).unwrap();
        let configuration = format!(
            "[agent]\nkind = \"sip\"\nserver = \"{address}\"\nstate_dir = \"{}\"\nchannels = {channels}\n[agent.sip]\ntrunk = \"{}\"\nuser = \"1001\"\nanswer_within_seconds = 60\n{more}\n\
             [[agent.speech.voice]]\nlanguages = [\"*\"]\ncommand = [\"cat\", \"{}\"]\n[agent.speech.files]\n\"{OTHER}\" = \"{}\"\n",
            folder.path().join("state").display(),
            peer.address(),
            voice.display(),
            other.display()
        );
        std::fs::write(folder.path().join("handset.toml"), configuration).unwrap();
        let allowed = world.command(&["handset", "set", "trunk", "--channels", &channels.to_string()]).await;
        assert!(allowed.status.success(), "{allowed:?}");
        let process = Self::spawn(folder.path());
        Self { folder, process }
    }

    fn spawn(folder: &Path) -> Process {
        let mut command = Command::new(provided_by_run("HANDSET_BIN"));
        command.arg("--config").arg(folder.join("handset.toml")).env("no_proxy", "*");
        Process::spawn("handset", command, &folder.join("handset.log"))
    }

    /// Without any warning, and started again.
    pub fn crash(&mut self) {
        self.process.kill();
        self.process = Self::spawn(self.folder.path());
    }
}

pub async fn world(engine: Engine) -> World {
    let world = World::new(engine).await;
    let people = world.file("people.csv", &format!("name,numbers\nAnn,{ANN}\nBob,{BOB}\n"));
    assert!(world.command(&["people", "import", &people]).await.status.success());
    world
}

pub fn peer(manners: Manners) -> Peer {
    Peer::start([127, 0, 0, 1].into(), manners).unwrap()
}

/// What a callee does who listens and presses a key.
fn presses(key: char) -> Vec<Act> {
    vec![Act::Ring(180), Act::Answer(Law::Pcma), Act::Hear(20), Act::Key(key)]
}

/// Waits until the alarm is in this state.
pub async fn alarm_in_state(client: &Client, id: &str, state: &str, handset: &Handset) -> Value {
    let mut last = Value::Null;
    let look = async || {
        last = client.alarm(id).await;
        (last["state"] == state).then(|| last.clone())
    };
    let found = tokio::time::timeout(3 * SOON, eventually(&format!("the alarm to be {state}"), 4 * SOON, look)).await;
    found.unwrap_or_else(|_| panic!("the alarm is not {state}: {last:#}\n{}", handset.process.log()))
}

async fn a_key_takes_the_alarm(engine: Engine) {
    let world = world(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let peer = peer(Manners::of(presses('1')));
    let mut handset = Handset::start(&world, &server, &peer).await;
    let id = client.raise_for(&[ANN]).await;
    let alarm = alarm_in_state(&client, &id, "answered", &handset).await;
    assert_eq!(alarm["answer"]["name"], "Ann", "{alarm:#}");
    assert!(alarm["answer"]["confirmed_at"].is_string(), "a key is a human's yes: {alarm:#}");
    // It counted when it was pressed; the report of the call adds nothing to it.
    let alarm = eventually("the report", 3 * SOON, async || {
        let alarm = client.alarm(&id).await;
        alarm["dials"][0]["reported_at"].is_string().then_some(alarm)
    })
    .await;
    assert_eq!(alarm["dials"][0]["outcome"], "answered", "{alarm:#}");
    let told = alarm["timeline"].as_array().unwrap().iter().filter(|event| event["kind"] == "answered").count();
    assert_eq!((alarm["answers"].as_array().unwrap().len(), told), (1, 1), "{alarm:#}");
    assert_eq!((peer.log().calls.len(), peer.log().calls[0].1.as_str()), (1, ANN));
    assert!(peer.log().sound().iter().any(|sample| sample.abs() > 5000), "it spoke");
    handset.process.signal(Signal::Terminate);
    assert!(handset.process.wait(SOON).await.success(), "{}", handset.process.log());
    assert_keeps_numbers_secret(&handset.process.log(), &[ANN]);
}

async fn a_key_declines_it_and_the_next_one_is_called(engine: Engine) {
    let world = world(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let peer = peer(Manners::of(presses('2')).with(BOB, presses('1')));
    let handset = Handset::start(&world, &server, &peer).await;
    let id = client.raise_for(&[ANN, BOB]).await;
    let alarm = alarm_in_state(&client, &id, "answered", &handset).await;
    assert_eq!(alarm["answer"]["name"], "Bob", "{alarm:#}");
    let called: Vec<String> = peer.log().calls.iter().map(|(_, number)| number.clone()).collect();
    assert_eq!(called, [ANN, BOB]);
}

async fn a_handset_that_is_killed_while_it_rings_rings_nobody_twice(engine: Engine) {
    let world = world(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let peer = peer(Manners::of([Act::Ring(180), Act::Stay]).with(BOB, presses('1')));
    let mut handset = Handset::start(&world, &server, &peer).await;
    let id = client.raise_for(&[ANN, BOB]).await;
    eventually("Ann's phone to ring", 3 * SOON, async || (peer.log().calls.len() == 1).then_some(())).await;
    handset.crash();
    // Ann was rung; after the report of the dial that was cut off Bob is next.
    let alarm = alarm_in_state(&client, &id, "answered", &handset).await;
    assert_eq!(alarm["answer"]["name"], "Bob", "{alarm:#}\n{}", handset.process.log());
    let called: Vec<String> = peer.log().calls.iter().map(|(_, number)| number.clone()).collect();
    assert_eq!(called, [ANN, BOB], "{}", handset.process.log());
}

async fn two_channels_ring_two_people_at_once(engine: Engine) {
    let world = world(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let takes = || vec![Act::Ring(180), Act::Released, Act::Answer(Law::Pcma), Act::Hear(20), Act::Key('1')];
    let peer = peer(Manners::of(takes()));
    let handset = Handset::start_with(&world, &server, &peer, 3).await;
    let ids = [client.raise_for(&[ANN]).await, client.raise_for(&[BOB]).await];
    eventually("both phones to ring", 4 * SOON, async || (peer.log().calls.len() == 2).then_some(())).await;
    let answered = async || {
        let alarms = [client.alarm(&ids[0]).await, client.alarm(&ids[1]).await];
        alarms.iter().filter(|alarm| alarm["state"] == "answered").count()
    };
    assert_eq!(answered().await, 0, "nobody has picked up yet");
    // Each goes on when it is their turn.
    peer.release();
    eventually("one to take it", 4 * SOON, async || (answered().await == 1).then_some(())).await;
    peer.release();
    for (id, name) in ids.iter().zip(["Ann", "Bob"]) {
        let alarm = alarm_in_state(&client, id, "answered", &handset).await;
        assert_eq!(
            (alarm["answer"]["name"].as_str(), alarm["dials"][0]["handset"].as_str()),
            (Some(name), Some("trunk")),
            "{alarm:#}"
        );
        assert_eq!(alarm["dials"].as_array().unwrap().len(), 1, "{alarm:#}");
    }
    let mut called: Vec<String> = peer.log().calls.iter().map(|(_, number)| number.clone()).collect();
    called.sort();
    assert_eq!(called, [ANN, BOB], "{}", handset.process.log());
}

/// A handset of which the server knows beforehand that it takes commands: an alarm may be quicker than its first word.
async fn commanded(world: &World, server: &Binary, peer: &Peer) -> Handset {
    let path = pair(world, "trunk").await;
    let (token, _) = path[3..].split_once('/').unwrap_or((&path[3..], ""));
    let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "live", "machine"] });
    let client = Client::new(server);
    let told = client.request(Method::POST, &format!("/h/{token}/status")).header("Autocall-Protocol", "1").json(&can);
    assert_eq!(status_and_json(told.send().await.unwrap()).await, (200, json!({ "code": 0 })));
    Handset::at(world, &format!("{}{path}", server.url()), peer, 1).await
}

/// The record of the call of an alarm that runs.
async fn running_call(client: &Client, id: &str, handset: &Handset) -> i64 {
    eventually(&format!("the call to be connected\n{}", handset.process.log()), 3 * SOON, async || {
        let page = client.get(&format!("/api/v1/call-records?alarm_id={id}")).await;
        let record = page["items"].as_array()?.first()?.clone();
        record["connected_at"].is_string().then(|| record["id"].as_i64())?
    })
    .await
}

/// Has something done in a call, and waits until it is.
async fn done_in_call(client: &Client, record: i64, what: Value) -> Value {
    let commands = format!("/api/v1/call-records/{record}/commands");
    let made = client.post(&commands, what).await;
    let address = format!("{commands}/{}", made["id"].as_str().map_or_else(|| made["id"].to_string(), str::to_owned));
    eventually("the command to be carried out", 3 * SOON, async || {
        let command = client.get(&address).await;
        matches!(command["state"].as_str(), Some("done" | "failed")).then_some(command)
    })
    .await
}

async fn a_call_is_hung_up_by_whoever_has_a_key(engine: Engine) {
    let world = world(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let peer = peer(Manners::of([Act::Ring(180), Act::Answer(Law::Pcma), Act::Stay]));
    let handset = commanded(&world, &server, &peer).await;
    let id = client.raise_for(&[ANN]).await;
    let record = running_call(&client, &id, &handset).await;
    assert_eq!(peer.log().count("BYE"), 0);
    let command = done_in_call(&client, record, json!({ "do": "drop" })).await;
    assert_eq!(command["state"], "done", "{command:#}\n{}", handset.process.log());
    eventually("the call to be over", SOON, async || (peer.log().count("BYE") == 1).then_some(())).await;
    let after = eventually("its report", SOON, async || {
        let after = client.get(&format!("/api/v1/call-records/{record}")).await;
        after["reported_at"].is_string().then_some(after)
    })
    .await;
    assert_eq!(after["ended_by"], "us", "{after:#}");
}

async fn a_text_is_heard_in_a_running_call(engine: Engine) {
    let world = world(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let peer = peer(Manners::of([Act::Ring(180), Act::Answer(Law::Pcma), Act::Released, Act::Key('1')]));
    let handset = commanded(&world, &server, &peer).await;
    let id = client.raise_for(&[ANN]).await;
    let record = running_call(&client, &id, &handset).await;
    let command = done_in_call(&client, record, json!({ "do": "play", "text": OTHER, "language": "en" })).await;
    assert_eq!(command["state"], "done", "{command:#}\n{}", handset.process.log());
    let pieces = || {
        let heard = peer.log().sound();
        let loud = |piece: &&[i16]| piece.iter().any(|sample| sample.abs() > 1000);
        heard.chunks_exact(800).filter(loud).filter(|piece| tone::share(piece, 400.0) > 0.8).count()
    };
    eventually("the text at the callee's", SOON, async || (pieces() > 5).then_some(())).await;
    // The key still means what it meant.
    peer.release();
    let alarm = alarm_in_state(&client, &id, "answered", &handset).await;
    assert_eq!(alarm["answer"]["name"], "Ann", "{alarm:#}");
}

async fn somebody_who_was_rung_calls_back_and_takes_the_alarm(engine: Engine) {
    let world = world(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let peer = peer(Manners::of([Act::Ring(180), Act::Refuse(486, "Busy Here", &[])]));
    let address = format!("{}{}", server.url(), pair(&world, "trunk").await);
    let handset = Handset::at_with(&world, &address, &peer, 2, "inbound = true").await;
    let allowed = world.command(&["handset", "set", "trunk", "--inbound", "on"]).await;
    assert!(allowed.status.success(), "{allowed:?}");
    let id = client.raise_for(&[ANN]).await;
    eventually("Ann to be rung", 4 * SOON, async || {
        (client.alarm(&id).await["dials"][0]["reported_at"].is_string()).then_some(())
    })
    .await;
    let call = peer.call(ANN, [Act::Hear(20), Act::Key('1')]).unwrap();
    let alarm = alarm_in_state(&client, &id, "answered", &handset).await;
    assert_eq!(alarm["answer"]["name"], "Ann", "{alarm:#}");
    assert_eq!(peer.log().codes(&call).last(), Some(&200), "{}", handset.process.log());
    assert!(peer.log().heard[&call].iter().any(|sample| sample.abs() > 5000), "it spoke");
}

async fn whoever_calls_back_leaves_a_message_that_is_heard(engine: Engine) {
    let world = world(engine).await;
    let server = Binary::spawn(world.options().env("AUTOCALL_MEDIA_MESSAGE_KEY", "3")).await;
    let client = Client::new(&server);
    let peer = peer(Manners::of([Act::Ring(180), Act::Refuse(486, "Busy Here", &[])]));
    let address = format!("{}{}", server.url(), pair(&world, "trunk").await);
    let handset = Handset::at_with(&world, &address, &peer, 2, "inbound = true").await;
    assert!(world.command(&["handset", "set", "trunk", "--inbound", "on"]).await.status.success());
    let id = client.raise_for(&[ANN]).await;
    eventually("Ann to be rung", 4 * SOON, async || {
        (client.alarm(&id).await["dials"][0]["reported_at"].is_string()).then_some(())
    })
    .await;
    let speaks =
        [Act::Hear(20), Act::Key('3'), Act::Released, Act::Note(500, 1500), Act::Key('#'), Act::Wait(500), Act::Key('1')];
    let call = peer.call(ANN, speaks).unwrap();
    let pieces = |sound: &[i16], frequency: f64| {
        let loud = |piece: &&[i16]| piece.iter().any(|sample| sample.abs() > 1000);
        sound.chunks_exact(800).filter(loud).filter(|piece| tone::share(piece, frequency) > 0.8).count()
    };
    let told = || peer.log().heard.get(&call).map_or(0, |sound| pieces(sound, 1000.0));
    eventually("the tone at which she may speak", 6 * SOON, async || (told() > 0).then_some(())).await;
    peer.release();
    let alarm = alarm_in_state(&client, &id, "answered", &handset).await;
    assert_eq!(alarm["answer"]["name"], "Ann", "{alarm:#}");
    let recording = eventually("her message", 6 * SOON, async || {
        let own = client.alarm(&id).await["caller_recordings"].take();
        (own[0]["available"] == true).then(|| own[0].clone())
    })
    .await;
    let kept = client.get(&format!("/api/v1/recordings/{}", recording["id"].as_str().unwrap())).await;
    let path = kept["url"].as_str().unwrap_or_else(|| panic!("{kept:#}\n{}", handset.process.log()));
    let file = client.request(Method::GET, path).send().await.unwrap().bytes().await.unwrap();
    let sound = wav::read(&file).unwrap().samples;
    // A second and a half, less what the edges of pieces hide.
    let spoken = pieces(&sound, 500.0);
    assert!((12..=15).contains(&spoken), "{spoken} of 15 pieces, of {} samples", sound.len());
    let timeline = client.alarm(&id).await["timeline"].to_string();
    assert!(timeline.contains("recording_heard"), "{timeline}");
}

async fn a_message_is_spoken_by_its_caller_and_heard_by_the_others(engine: Engine) {
    const CALLER: &str = "18912345678";
    let world = world(engine).await;
    let server = world.serve().await;
    let client = Client::new(&server);
    let speaks = [
        Act::Ring(180),
        Act::Answer(Law::Pcma),
        Act::Hear(10),
        Act::Key('*'),
        Act::Released,
        Act::Note(500, 1500),
        Act::Key('#'),
        Act::Hear(20),
        Act::Key('2'),
        Act::Stay,
    ];
    let opts_out = [Act::Ring(180), Act::Answer(Law::Pcma), Act::Hear(40), Act::Key('5'), Act::Stay];
    let busy = [Act::Refuse(486, "Busy Here", &[])];
    let peer = peer(Manners::of(opts_out).with(CALLER, speaks.to_vec()).with(BOB, busy.to_vec()));
    let handset = Handset::start(&world, &server, &peer).await;
    assert!(world.command(&["handset", "set", "trunk", "--bulk", "on"]).await.status.success());
    let key = world.command(&["key", "add", "--name", "blast", "--shouts"]).await;
    let key = String::from_utf8(key.stdout).unwrap().trim().to_owned();
    let ask = async |path: &str| {
        let request = client.request(Method::GET, path).header("X-Api-Key", &key);
        status_and_json(request.send().await.unwrap()).await.1
    };
    let shout = json!({ "userdata": "school", "caller": CALLER, "recipients": [ANN, BOB] });
    let sent = client.request(Method::POST, "/api/v1/shouts").header("X-Api-Key", &key).json(&shout);
    let (status, shout) = status_and_json(sent.send().await.unwrap()).await;
    assert_eq!((status, &shout["status"]), (200, &json!("pending")), "{shout}");
    let pieces = |frequency: f64| {
        let heard = peer.log().sound();
        let loud = |piece: &&[i16]| piece.iter().any(|sample| sample.abs() > 1000);
        heard.chunks_exact(800).filter(loud).filter(|piece| tone::share(piece, frequency) > 0.8).count()
    };
    eventually("the tone at the caller's", 6 * SOON, async || (pieces(1000.0) > 0).then_some(())).await;
    peer.release();
    let path = format!("/api/v1/shouts/{}", shout["id"]);
    let mut last = Value::Null;
    let look = async || {
        last = ask(&path).await;
        (last["status"] == "finished").then(|| last.clone())
    };
    let done = tokio::time::timeout(12 * SOON, eventually("all to be over", 13 * SOON, look)).await;
    let done = done.unwrap_or_else(|_| panic!("{last:#}\n{}", handset.process.log()));
    assert!(done["voc"]["length"].as_i64().unwrap() >= 1 && done["recipients_requested_dnc"] == true, "{done:#}");
    let calls = ask(&format!("/api/v1/calls?shout-id={}", shout["id"])).await;
    let became: Vec<_> = calls.as_array().unwrap().iter().map(|call| call["status"].as_str().unwrap()).collect();
    assert_eq!(became, ["added to do not call", "busy"]);
    assert_eq!(ask("/api/v1/dnc/school").await, json!([{ "number": ANN }]));
    assert!(pieces(500.0) > 5, "what the caller spoke was heard\n{}", handset.process.log());
    let called: Vec<String> = peer.log().calls.iter().map(|(_, number)| number.clone()).collect();
    assert_eq!(called, [CALLER, ANN, BOB]);
    let records = world.command(&["records", "cdr"]).await;
    assert_eq!(String::from_utf8(records.stdout).unwrap().lines().count(), 2);
}
