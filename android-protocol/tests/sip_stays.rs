//! Calls that are held for others, over SIP: they stay, are played to, asked and recorded, sit in rooms that hear something together, are answered by
//! command, and ring nobody when they are called off in the last moment.
#![cfg(feature = "sip")]
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/exchange.rs"]
#[expect(dead_code, reason = "calls that say something by themselves are for other tests")]
mod exchange;
#[expect(dead_code, reason = "other tests wait in threads")]
mod support;

use std::collections::BTreeMap;

use android_protocol::{
    sip::peer::{Act, Manners, Peer},
    voice::g711::Law,
    wire::{CallOutcome, EndedBy},
};
use exchange::{A, B, Home, LOCAL, Table, pieces_of};
use serde_json::{Value, json};

/// A call that says nothing, and stays.
fn stays(mid: &str, number: &str) -> Value {
    json!({ "code": 0, "mid": mid, "phone": [number], "deadline": 600, "live": true,
        "calls": [{ "number": number, "ring_seconds": 60, "script": { "stay": true, "max_seconds": 600 } }] })
}

/// Picks up at once, and does this when the test says so.
fn picks_up(then: impl IntoIterator<Item = Act>) -> Vec<Act> {
    [Act::Ring(180), Act::Answer(Law::Pcma)].into_iter().chain(then).chain([Act::Stay]).collect()
}

fn command(seq: i64, (mid, call): (&str, &str), what: Value) -> Value {
    let mut command = json!({ "seq": seq, "mid": mid, "call": call });
    for (key, value) in what.as_object().unwrap() {
        command[key] = value.clone();
    }
    command
}

/// What was told under a number, in its order.
fn words(home: &Home, ack: i64) -> Vec<String> {
    let events = home.server.table().events.clone();
    let own = events.iter().filter(|event| event["ack"] == ack);
    own.map(|event| format!("{} {}", event["event"].as_str().unwrap(), event["value"].as_str().unwrap_or("-"))).collect()
}

#[tokio::test]
async fn a_call_that_stays_is_played_to_asked_recorded_and_dropped() {
    let keys = |keys: &str| -> Vec<Act> { keys.chars().flat_map(|key| [Act::Key(key), Act::Wait(300)]).collect() };
    let acts = [vec![Act::Released], keys("#"), vec![Act::Released], keys("912#"), vec![Act::Released], keys("1*")].concat();
    let table = Table { offers: [stays("m1", A)].into(), ..Table::default() };
    let home = Home::begin(table, Peer::start(LOCAL, Manners::of(picks_up(acts))).unwrap(), 1, "");
    let of = ("m1", A);
    home.server.progress("m1", "connected").await;

    // Again and again, until a key that was named.
    let parts = json!([{ "text": "Four hundred", "language": "en" }, { "text": "Eleven hundred" }]);
    home.server.command(command(1, of, json!({ "do": "play", "parts": parts, "repeat": 99, "finish": "#*" })));
    let twice = |home: &Home, frequency| (pieces_of(&home.heard_by(A), frequency) > 20).then_some(());
    home.server.eventually("the first part, twice", |_| twice(&home, 400.0)).await;
    home.server.eventually("the second part, twice", |_| twice(&home, 1100.0)).await;
    home.peer.release();
    home.server.told("stopped", 1).await;
    assert_eq!(words(&home, 1), ["playing -", "key #", "stopped -"]);
    home.server.progress("m1", "key").await;

    // Keys that count, and one that ends it. Once the sentence was said, they are being collected.
    let collect = json!({ "do": "collect", "max": 9, "seconds": 300, "between": 300, "valid": "12", "finish": "#" });
    home.server.command(command(2, of, collect));
    home.server.command(command(3, of, json!({ "do": "play", "text": "Four hundred" })));
    home.server.told("played", 3).await;
    home.peer.release();
    home.server.told("collected", 2).await;
    assert_eq!(words(&home, 2), ["key #", "collected 12#"]);

    // Without a tone, until the key that was named; and it is there while the call goes on.
    home.server.command(command(4, of, json!({ "do": "record", "seconds": 300, "finish": "*", "beep": false })));
    home.server.told("playing", 4).await;
    home.peer.release();
    let id = home.server.told("recording", 4).await["value"].as_str().unwrap().to_owned();
    assert_eq!(words(&home, 4), ["playing -".to_owned(), "key *".to_owned(), format!("recording {id}")]);
    assert_eq!(pieces_of(&home.heard_by(A), 1000.0), 0, "no tone said so");
    let path = format!("/recording/{id}?mid=m1");
    home.server.eventually("the upload", |server| (server.asked(&path) > 0).then_some(())).await;
    assert_eq!(home.server.asked("/alert/phone?mid=m1"), 0, "the call goes on");

    // Stopped, no more keys are sent.
    home.server.command(command(5, of, json!({ "do": "send_dtmf", "digits": "5".repeat(60) })));
    let sent = || home.peer.log().keys.values().map(String::len).max().unwrap_or_default();
    home.server.eventually("a key at the other side", |_| (sent() > 0).then_some(())).await;
    home.server.command(command(6, of, json!({ "do": "stop" })));
    home.server.told("stopped", 6).await;
    assert_eq!(words(&home, 5), ["stopped -"]);

    home.server.command(command(7, of, json!({ "do": "drop" })));
    assert_eq!(home.server.told("ended", 7).await["value"], "us");
    let report = home.server.report("m1").await;
    assert_eq!((report.outcome, report.ended_by), (Some(CallOutcome::Answered), Some(EndedBy::Us)));
    assert_eq!((report.keys.as_deref(), report.confirmed), (Some("#912#1*"), None), "nothing was asked by the script");
    assert!(sent() < 60, "{}", sent());
}

#[tokio::test]
async fn a_room_hears_what_is_played_to_it_and_is_recorded_as_a_whole() {
    let whistles = vec![Act::Ring(180), Act::Answer(Law::Pcma), Act::Whistle(900)];
    let trunk = Peer::start(LOCAL, Manners::of(picks_up([])).with(B, whistles)).unwrap();
    let table = Table { offers: [stays("m1", A), stays("m2", B)].into(), ..Table::default() };
    let home = Home::begin(table, trunk, 2, "");
    let (a, b) = (("m1", A), ("m2", B));
    for mid in ["m1", "m2"] {
        home.server.progress(mid, "connected").await;
    }
    home.server.command(command(1, a, json!({ "do": "room_stop", "room": "r" })));
    assert_eq!(home.server.told("error", 1).await["value"], "no_room", "it is in none");
    home.server.command(command(2, a, json!({ "do": "join", "room": "r", "deaf": true })));
    home.server.command(command(3, b, json!({ "do": "join", "room": "r" })));
    home.server.told("joined", 2).await;
    home.server.told("joined", 3).await;
    let hears = |number: &'static str, frequency| pieces_of(&home.heard_by(number), frequency);

    // Whoever is deaf hears what is for all, and nobody else.
    home.server.command(command(
        4,
        b,
        json!({ "do": "room_play", "room": "r", "parts": [{ "text": "Four hundred" }], "loop": true }),
    ));
    let playing = home.server.told("playing", 4).await;
    assert_eq!(playing["mid"], "m2");
    for number in [A, B] {
        home.server.eventually("what is played to all", |_| (hears(number, 400.0) > 20).then_some(())).await;
    }
    assert_eq!(hears(A, 900.0), 0, "it is deaf");
    home.server.command(command(5, a, json!({ "do": "room_stop", "room": "r" })));
    home.server.told("stopped", 5).await;
    assert_eq!(words(&home, 4), ["playing -", "stopped -"]);
    home.server.command(command(6, a, json!({ "do": "join", "room": "r" })));
    home.server.told("joined", 6).await;
    home.server.eventually("A to hear B", |_| (hears(A, 900.0) > 5).then_some(())).await;

    // What was begun goes on without whoever asked for it.
    home.server.command(command(7, a, json!({ "do": "room_record", "room": "r", "seconds": 300 })));
    home.server.told("playing", 7).await;
    home.server.command(command(8, b, json!({ "do": "room_record", "room": "r" })));
    assert_eq!(home.server.told("error", 8).await["value"], "busy");
    let before = hears(B, 1100.0);
    home.server.command(command(
        9,
        a,
        json!({ "do": "room_play", "room": "r", "parts": [{ "text": "Eleven hundred" }], "loop": true }),
    ));
    home.server.told("playing", 9).await;
    home.server.command(command(10, a, json!({ "do": "drop" })));
    home.server.told("ended", 10).await;
    home.server.report("m1").await;
    home.server.eventually("the tone goes on", |_| (hears(B, 1100.0) > before + 20).then_some(())).await;
    home.server.command(command(11, b, json!({ "do": "room_end_recording", "room": "r" })));
    home.server.told("stopped", 11).await;
    let recording = home.server.told("recording", 7).await;
    assert_eq!(recording["mid"], "m1");
    let path = format!("/recording/{}?mid=m1", recording["value"].as_str().unwrap());
    home.server.eventually("the upload", |server| (server.asked(&path) > 0).then_some(())).await;
    assert_eq!(words(&home, 9), ["playing -"], "it is still played");
    home.server.command(command(12, b, json!({ "do": "drop" })));
    home.server.told("ended", 12).await;
    // With the last of them the room is over.
    assert_eq!(home.server.told("stopped", 9).await["mid"], "m1");
}

#[tokio::test]
async fn a_caller_who_is_answered_by_command_hears_the_script_and_the_call_stays() {
    let script = json!({ "stay": true, "say": "Four hundred", "max_seconds": 600 });
    let callers = [(200, json!({ "code": 0, "mid": "i1", "script": script }))].into();
    let table = Table { callers, ..Table::default() };
    let home = Home::begin(table, Peer::start(LOCAL, Manners::of(picks_up([]))).unwrap(), 1, "inbound = true");
    home.server.eventually("polls", |server| (server.asked("/alert/phone?wait=20") > 0).then_some(())).await;
    let call = home.peer.call(A, [Act::Released, Act::Key('5'), Act::Stay]).unwrap();
    home.server.progress("i1", "alerting").await;
    home.server.command(command(1, ("i1", A), json!({ "do": "answer" })));
    home.server.progress("i1", "connected").await;
    let heard = |frequency| pieces_of(&home.peer.log().heard.get(&call).cloned().unwrap_or_default(), frequency);
    home.server.eventually("what the script says", |_| (heard(400.0) > 5).then_some(())).await;
    // Long after others would have ended.
    let silence = |home: &Home| home.peer.log().heard.get(&call).is_some_and(|heard| heard.len() > 6 * 8000);
    home.server.eventually("six seconds of the call", |_| silence(&home).then_some(())).await;
    home.peer.release();
    assert_eq!(home.server.told("key", 0).await["value"], "5");
    home.server.command(command(2, ("i1", A), json!({ "do": "play", "text": "Eleven hundred" })));
    home.server.told("played", 2).await;
    home.server.command(command(3, ("i1", A), json!({ "do": "drop" })));
    home.server.told("ended", 3).await;
    let report = home.server.report("i1").await;
    assert_eq!((report.outcome, report.ended_by), (Some(CallOutcome::Answered), Some(EndedBy::Us)));
}

#[tokio::test]
async fn a_call_that_is_called_off_in_the_moment_of_its_dial_rings_nobody() {
    let answers = BTreeMap::from([("dialling".to_owned(), json!({ "code": 2 }))]);
    let home = Home::begin(Table { answers, ..Table::default() }, Peer::start(LOCAL, Manners::of(picks_up([]))).unwrap(), 1, "");
    // On a machine with much to do the answer may come too late for one of them: that one is dialled, and called off.
    let (mut too_late, mut none) = (0, 0);
    for dial in 1..=6 {
        let mid = format!("m{dial}");
        home.server.table().offers.push_back(stays(&mid, A));
        let report = home.server.report(&mid).await;
        if report.outcome == Some(CallOutcome::NotDialled) {
            none += 1;
        } else {
            too_late += 1;
        }
        assert!(home.peer.log().calls.len() <= too_late, "somebody was called: {:?}", home.peer.log().requests);
    }
    assert!(none > 0, "the answer never came in time");
    // The next one that is wanted is dialled.
    home.server.table().answers.clear();
    home.server.table().offers.push_back(stays("m9", A));
    home.server.progress("m9", "connected").await;
    home.server.command(command(1, ("m9", A), json!({ "do": "drop" })));
    home.server.told("ended", 1).await;
}
