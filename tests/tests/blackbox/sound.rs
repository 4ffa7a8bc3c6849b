//! Scenario: sound in both directions, with the real handset and the real server: clips that are played, and what callees say.

use android_protocol::{
    sip::peer::{Act, Manners, Peer},
    voice::{g711::Law, tone, wav},
};
use autocall_tests::{described::Held as _, proxy::TcpProxy, server::Binary, wait::eventually};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    client::{Client, status_and_json},
    doors::pair,
    voice::{ANN, Handset, alarm_in_state, peer, world},
    world::{Engine, SOON, World, on_both},
};

on_both!(
    what_a_callee_says_is_heard_by_whoever_raised_the_alarm,
    a_recording_outlives_a_handset_that_is_killed,
    a_recording_that_nobody_wants_any_more_goes,
    a_clip_is_there_before_the_dial_and_is_what_the_callee_hears,
);

/// A server, a callee, and a handset whose way to the server the test can stop.
struct Scene {
    world: World,
    client: Client,
    line: TcpProxy,
    peer: Peer,
    handset: Handset,
    _server: Binary,
}

impl Scene {
    /// Begins when the server knows what the handset can do: an alarm that is quicker than the handset's first word is offered without a
    /// script, and then nothing is played and nothing recorded.
    async fn new(world: World, settings: &[(&str, &str)], does: Vec<Act>) -> Self {
        let server =
            Binary::spawn(settings.iter().fold(world.options(), |options, (name, value)| options.env(*name, *value))).await;
        let client = Client::new(&server);
        let path = pair(&world, "trunk").await;
        let (token, _) = path[3..].split_once('/').unwrap_or((&path[3..], ""));
        let can = json!({ "capabilities": ["hangup", "dtmf", "tts", "record", "machine"] });
        let told = client.request(Method::POST, &format!("/h/{token}/status")).header("Autocall-Protocol", "1").json(&can);
        assert_eq!(status_and_json(told.send().await.unwrap()).await, (200, json!({ "code": 0 })));
        let line = TcpProxy::start(server.addr()).await;
        let peer = peer(Manners::of(does));
        let handset = Handset::at(&world, &format!("http://{}{path}", line.addr()), &peer, 1).await;
        Self { world, client, line, peer, handset, _server: server }
    }

    /// One in which calls are recorded, and the callee hums before they press 1.
    async fn recorded(engine: Engine) -> Self {
        let settings = [("AUTOCALL_MEDIA_DEBUG_RECORDING", "on"), ("AUTOCALL_MEDIA_SAY_RECORDED", "off")];
        let hums = vec![Act::Ring(180), Act::Answer(Law::Pcma), Act::Hum(3000), Act::Key('1')];
        Self::new(world(engine).await, &settings, hums).await
    }

    /// Ann takes an alarm in a call that is recorded, and the server has the recording.
    async fn recording(&self) -> (String, Value) {
        let id = self.client.raise_for(&[ANN]).await;
        alarm_in_state(&self.client, &id, "answered", &self.handset).await;
        // The key counts at once; the report names the recording, and then it is sent.
        let recording = eventually("the recording", 4 * SOON, async || {
            let recording = self.recordings(&id).await[0].clone();
            (recording["available"] == true).then_some(recording)
        })
        .await;
        (id, recording)
    }

    /// Ann takes an alarm, the server has the recording, and the handset does not hear so, however often it sends it.
    async fn recording_without_an_answer(&self) -> (String, Value) {
        self.line.drop_replies_after("/recording/");
        let recording = self.recording().await;
        assert!(self.line.is_dropping_replies());
        assert_eq!(self.kept(), 1, "nobody has told the handset that it is stored: {}", self.handset.process.log());
        recording
    }

    /// How often the handset has tried in vain to send a recording.
    fn tries(&self) -> usize {
        self.handset.process.log().matches("a recording waits").count()
    }

    async fn recordings(&self, alarm: &str) -> Value {
        self.client.alarm(alarm).await["dials"][0]["recordings"].take()
    }

    /// How many recordings lie on the handset's disk.
    fn kept(&self) -> usize {
        std::fs::read_dir(self.handset.folder.path().join("state/recordings")).map_or(0, Iterator::count)
    }

    async fn handset_lets_go(&self) {
        eventually("the handset's copy to go", 4 * SOON, async || (self.kept() == 0).then_some(())).await;
    }

    /// What somebody hears who asks for a recording.
    async fn heard(&self, recording: &Value) -> Vec<i16> {
        let address = format!("/api/v1/recordings/{}", recording["id"].as_str().unwrap());
        let told: Value = self.client.request(Method::GET, &address).sent().await.unwrap().json().await.unwrap();
        let heard = self.client.request(Method::GET, told["url"].as_str().unwrap()).send().await.unwrap();
        assert_eq!((heard.status().as_u16(), heard.headers()["content-type"].to_str().unwrap()), (200, "audio/wav"));
        let sound = wav::read(&heard.bytes().await.unwrap()).unwrap();
        assert_eq!(sound.rate, 8000);
        sound.samples
    }

    async fn is_what_was_hummed(&self, recording: &Value) {
        let loud = self.heard(recording).await.iter().filter(|sample| sample.abs() > 1000).count();
        assert!(loud > 4000, "a good half second of three: {loud}");
    }
}

async fn what_a_callee_says_is_heard_by_whoever_raised_the_alarm(engine: Engine) {
    let scene = Scene::recorded(engine).await;
    let (id, recording) = scene.recording().await;
    scene.is_what_was_hummed(&recording).await;
    let timeline = scene.client.alarm(&id).await["timeline"].take();
    assert!(timeline.as_array().unwrap().iter().any(|event| event["kind"] == "recording_heard"), "{timeline:#}");
    scene.handset_lets_go().await;
}

async fn a_recording_outlives_a_handset_that_is_killed(engine: Engine) {
    let mut scene = Scene::recorded(engine).await;
    let (id, recording) = scene.recording_without_an_answer().await;
    scene.handset.process.kill();
    let before = scene.tries();
    scene.handset.crash();
    eventually("the second process to try", 4 * SOON, async || (scene.tries() > before).then_some(())).await;
    assert_eq!(scene.kept(), 1, "without an answer it is kept: {}", scene.handset.process.log());
    scene.line.drop_replies(false);
    scene.handset_lets_go().await;
    assert_eq!(scene.recordings(&id).await, json!([recording]), "stored once, and as it was");
    scene.is_what_was_hummed(&recording).await;
    assert_eq!(scene.peer.log().calls.len(), 1, "nobody was rung again");
}

async fn a_recording_that_nobody_wants_any_more_goes(engine: Engine) {
    let scene = Scene::recorded(engine).await;
    let (_, recording) = scene.recording_without_an_answer().await;
    let removed = scene.client.request(Method::DELETE, "/api/v1/people/Ann").send().await.unwrap();
    assert_eq!(removed.status(), 204, "with a person goes what they said");
    scene.line.drop_replies(false);
    scene.handset_lets_go().await;
    let address = format!("/api/v1/recordings/{}", recording["id"].as_str().unwrap());
    let told: Value = scene.client.request(Method::GET, &address).sent().await.unwrap().json().await.unwrap();
    assert_eq!(told["available"], false, "and it did not come back: {told:#}");
}

async fn a_clip_is_there_before_the_dial_and_is_what_the_callee_hears(engine: Engine) {
    let world = world(engine).await;
    let clip = world.file("night.wav", "");
    std::fs::write(&clip, wav::write(&tone::sine(&[1300.0], 2000, 9000.0))).unwrap();
    let added = world.command(&["media", "add", "night", &clip]).await;
    assert!(added.status.success() && String::from_utf8_lossy(&added.stdout).contains("night is kept: 2.0 s"), "{added:?}");
    let listed = world.command(&["media", "list"]).await;
    assert!(String::from_utf8_lossy(&listed.stdout).starts_with("night\t2.0 s\t16058 bytes"), "{listed:?}");
    let listens = vec![Act::Ring(180), Act::Answer(Law::Pcma), Act::Hear(40), Act::Key('1')];
    let scene = Scene::new(world, &[("AUTOCALL_MEDIA_ANNOUNCEMENT", "night")], listens).await;
    scene.line.hold_after("/media/");
    let id = scene.client.raise_for(&[ANN]).await;
    eventually("the handset to ask for the clip", 4 * SOON, async || scene.line.is_holding().then_some(())).await;
    assert_eq!(scene.peer.log().calls, [], "nobody is rung before the clip is there");
    scene.line.hold(false);
    alarm_in_state(&scene.client, &id, "answered", &scene.handset).await;
    assert_eq!(scene.peer.log().calls.len(), 1);
    let heard = scene.peer.log().sound();
    let first = heard.iter().position(|sample| sample.abs() > 300).unwrap();
    assert!(tone::share(&heard[first..first + 4000], 1300.0) > 0.6, "the clip, and not the voice");
    let removed = scene.world.command(&["media", "remove", "night"]).await;
    assert!(removed.status.success(), "{removed:?}");
    let none = scene.world.command(&["media", "remove", "night"]).await;
    assert!(!none.status.success() && String::from_utf8_lossy(&none.stderr).contains("there is no clip \"night\""), "{none:?}");
    assert!(!scene.world.command(&["media", "add", "../x", &clip]).await.status.success());
}
