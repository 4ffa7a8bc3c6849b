//! The handset that calls over SIP through a network that loses, doubles, delays and overtakes packets of sound.
#![cfg(feature = "sip")]
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/lossy.rs"]
mod lossy;
#[path = "support/speaking.rs"]
mod speaking;
#[expect(dead_code, reason = "the whole desk is for other tests")]
mod support;

use std::net::{IpAddr, Ipv4Addr};

use android_protocol::{
    sip::peer::{Act, Manners, Peer},
    voice::{detector::Verdict, g711::Law, tone},
    wire::{CallOutcome, NativeCall},
};
use lossy::{Network, Passed, Weather};
use speaking::{Handset, SAID_MS, number, once};
use support::eventually;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Scene {
    peer: Peer,
    network: Network,
    handset: Handset,
}

impl Scene {
    /// One call through this weather, of whom the agent sends to and of whom it hears.
    fn of(acts: impl Into<Vec<Act>>, weather: [Weather; 2], seed: u64) -> Self {
        let peer = Peer::start(LOCAL, Manners::of(acts)).unwrap();
        let network = Network::between(peer.address(), weather, seed);
        let handset = Handset::start(network.address, 1, "");
        Self { peer, network, handset }
    }

    /// Waits until everything was said, and lets the callee go on.
    fn when_all_was_said(&self) {
        eventually("the end of what is said", || {
            let traffic = self.network.traffic();
            let sent = &traffic.iter().find(|call| !call.from_agent.sent.is_empty())?.from_agent.sent;
            let first = sent.iter().position(is_loud)?;
            (sent.len() > first + 20 && sent.iter().rev().take(10).all(|packet| !is_loud(packet))).then_some(())
        });
        self.peer.release();
    }

    fn traffic(&self) -> lossy::Traffic {
        self.network.traffic().into_iter().find(|call| !call.from_agent.sent.is_empty()).unwrap()
    }
}

fn samples(packet: &Passed) -> Vec<i16> {
    let law = Law::of_payload_type(packet.payload_type).unwrap();
    packet.payload.iter().map(|code| law.decode(*code)).collect()
}

fn is_loud(packet: &Passed) -> bool {
    samples(packet).iter().any(|sample| sample.abs() > 300)
}

/// No frame is missing or doubled in what left the agent: by its numbers, by its times, and by the length of what was said.
fn assert_whole(sent: &[Passed]) {
    for pair in sent.windows(2) {
        let steps = (pair[1].sequence.wrapping_sub(pair[0].sequence), pair[1].stamp.wrapping_sub(pair[0].stamp));
        assert_eq!(steps, (1, 160), "after {}", pair[0].sequence);
    }
    let first = sent.iter().position(is_loud).unwrap();
    let said: Vec<i16> = sent[first..].iter().take_while(|packet| is_loud(packet)).flat_map(samples).collect();
    let loud = |sample: &i16| sample.abs() > 300;
    let length = said.iter().rposition(loud).unwrap() - said.iter().position(loud).unwrap();
    let expected = usize::try_from(SAID_MS * 8).unwrap();
    assert!(length.abs_diff(expected) < 80, "{length} samples of {expected} were said");
}

/// What the peer got is what the network passed on, in that order, until it hung up.
fn assert_as_passed(scene: &Scene, passed: &[Passed]) {
    let got = scene.peer.log().sequences.into_values().next().unwrap();
    let passed: Vec<u16> = passed.iter().map(|packet| packet.sequence).collect();
    assert!(got.len() > 20 && passed.starts_with(&got), "{got:?} of {passed:?}");
}

fn answer(call: &NativeCall) -> (Option<CallOutcome>, Option<&str>, Option<&str>) {
    (call.outcome, call.keys.as_deref(), call.action.as_deref())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_leaves_whole_and_keys_come_once_whatever_is_lost() {
    let acts =
        [Act::Ring(180), Act::Answer(Law::Pcma), Act::Released, Act::Key('9'), Act::Key('8'), Act::Key('7'), Act::Key('1')];
    let scene = Scene::of(acts, [Weather::STORM; 2], 20_26);
    scene.handset.calls("m1", &number(1), &once());
    scene.when_all_was_said();
    let call = scene.handset.report("m1");
    assert_eq!(answer(&call), (Some(CallOutcome::Answered), Some("9871"), Some("accept")));
    let traffic = scene.traffic();
    assert_whole(&traffic.from_agent.sent);
    assert_as_passed(&scene, &traffic.from_agent.passed);
    for way in [&traffic.from_agent, &traffic.from_peer] {
        let count = |sequence| way.passed.iter().filter(|packet| packet.sequence == sequence).count();
        let counts: Vec<usize> = way.sent.iter().take(60).map(|packet| count(packet.sequence)).collect();
        assert!([0, 1, 2].iter().all(|times| counts.contains(times)), "the network did its worst: {counts:?}");
        assert!(way.passed.windows(2).any(|pair| pair[1].sequence < pair[0].sequence), "nothing was overtaken");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_before_the_answer_comes_through_and_is_no_answer() {
    let acts = [Act::Early(183), Act::Hum(600), Act::Released, Act::Answer(Law::Pcma), Act::Released, Act::Key('2'), Act::Stay];
    let scene = Scene::of(acts, [Weather::STORM; 2], 7);
    scene.handset.calls("m1", &number(1), &once());
    let heard = |network: &Network| {
        let traffic = network.traffic();
        let passed = &traffic.first()?.from_peer.passed;
        (passed.iter().filter(|packet| is_loud(packet)).count() > 10).then_some(())
    };
    eventually("sound before the answer", || heard(&scene.network));
    let traffic = &scene.network.traffic()[0];
    assert!(traffic.from_agent.sent.is_empty(), "nothing is said before the answer");
    assert_eq!(scene.handset.reported("m1"), None);
    scene.peer.release();
    scene.when_all_was_said();
    let call = scene.handset.report("m1");
    assert_eq!(answer(&call), (Some(CallOutcome::Answered), Some("2"), Some("decline")));
    assert!(call.alerting_ms.unwrap() <= call.connected_ms.unwrap());
    assert_whole(&scene.traffic().from_agent.sent);
    assert_as_passed(&scene, &scene.traffic().from_agent.passed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_comes_back_it_is_said_whole_and_a_key_by_info_counts() {
    let acts = [Act::Ring(180), Act::Answer(Law::Pcmu), Act::Released, Act::Key('9'), Act::Info('1'), Act::Stay];
    let scene = Scene::of(acts, [Weather::CLEAR, Weather::CUT], 1);
    scene.handset.calls("m1", &number(1), &once());
    scene.when_all_was_said();
    let call = scene.handset.report("m1");
    assert_eq!(answer(&call), (Some(CallOutcome::Answered), Some("1"), Some("accept")), "a key of which nothing came is none");
    let traffic = scene.traffic();
    assert!(!traffic.from_peer.sent.is_empty() && traffic.from_peer.passed.is_empty());
    assert_whole(&traffic.from_agent.sent);
    let traffic = eventually("all of it passed on", || {
        let way = scene.traffic().from_agent;
        (way.sent.len() == way.passed.len()).then_some(way)
    });
    assert_as_passed(&scene, &traffic.passed);
}

/// What a network in this weather does to two seconds of a pure tone that are recorded: from the first sound to the last.
async fn recorded(weather: Weather, seed: u64) -> (Vec<i16>, lossy::Traffic) {
    let acts = [Act::Answer(Law::Pcma), Act::Released, Act::Note(715, 2000), Act::Released, Act::Key('1'), Act::Stay];
    let scene = Scene::of(acts, [Weather::CLEAR, weather], seed);
    let mut script = once();
    script["record"] = serde_json::json!({ "from": "answer" });
    scene.handset.calls("m1", &number(1), &script);
    scene.when_all_was_said();
    eventually("the end of the tone", || {
        let sent = scene.traffic().from_peer.sent;
        let loud = sent.iter().filter(|packet| is_loud(packet)).count();
        (loud >= 100).then_some(())
    });
    scene.peer.release();
    assert_eq!(answer(&scene.handset.report("m1")), (Some(CallOutcome::Answered), Some("1"), Some("accept")));
    let mut sound = scene.handset.recording();
    let loud = |sample: &i16| sample.abs() > 300;
    let (first, last) = (sound.iter().position(loud).unwrap(), sound.iter().rposition(loud).unwrap());
    sound.truncate(last + 1);
    (sound.split_off(first), scene.traffic())
}

/// What one of a few recordings in this weather says, and otherwise why none of them does: a machine that stands still for longer than sound is
/// held back leaves a break of its own.
async fn one_of_a_few(weather: Weather, seed: u64, is_whole: impl Fn(&[i16], &lossy::Traffic) -> Result<(), String>) {
    let mut broken = Vec::new();
    for seed in seed..seed + 5 {
        let (sound, traffic) = recorded(weather, seed).await;
        match is_whole(&sound, &traffic) {
            Ok(()) => return,
            Err(why) => broken.push(why),
        }
    }
    panic!("{broken:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_overtakes_is_recorded_in_its_place() {
    // Nothing waits for longer than sound is held back.
    one_of_a_few(Weather { lost: 0.0, doubled: 0.2, late: 2 }, 11, |sound, traffic| {
        let passed = &traffic.from_peer.passed;
        assert!(passed.windows(2).any(|pair| pair[1].sequence < pair[0].sequence), "nothing was overtaken");
        let share = tone::share(sound, 715.0);
        // A tone without a break has all its strength in one place.
        if share > 0.98 { Ok(()) } else { Err(format!("of its strength only {share} in one place")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_is_silence_as_long_as_it_was() {
    one_of_a_few(Weather { lost: 0.2, doubled: 0.0, late: 0 }, 12, |sound, traffic| {
        let passed = &traffic.from_peer.passed;
        assert!(passed.len() < traffic.from_peer.sent.len());
        // What was said at its beginning and at its end is as far apart as it was.
        let is_sound = |packet: &&Passed| packet.payload_type == Law::Pcma.payload_type();
        let loud: Vec<u16> =
            passed.iter().filter(is_sound).filter(|packet| is_loud(packet)).map(|packet| packet.sequence).collect();
        let said = usize::from(loud.last().unwrap() - loud.first().unwrap() + 1) * 160;
        if sound.len().abs_diff(said) < 160 { Ok(()) } else { Err(format!("{} samples of {said} were recorded", sound.len())) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_on_which_nothing_comes_back_is_no_machine() {
    let scene = Scene::of([Act::Answer(Law::Pcma), Act::Stay], [Weather::CLEAR, Weather::CUT], 1);
    let mut script = once();
    script["machine"] = serde_json::json!({ "detect": true });
    script["key_wait_seconds"] = 5.into();
    scene.handset.calls("m1", &number(1), &script);
    let call = scene.handset.report("m1");
    assert_eq!(answer(&call), (Some(CallOutcome::Answered), None, Some("none")));
    assert_eq!(call.machine, Some(Verdict::Unknown));
    assert_whole(&scene.traffic().from_agent.sent);
}
