//! What is wanted of calls while they run, over SIP: said, stopped, pressed, collected, recorded, joined and dropped.
#![cfg(feature = "sip")]
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/exchange.rs"]
mod exchange;
#[expect(dead_code, reason = "other tests wait in threads")]
mod support;

use std::collections::BTreeMap;

use android_protocol::{
    sip::peer::{Act, Manners, Peer},
    voice::g711::Law,
    wire::{CallOutcome, EndedBy},
};
use exchange::{A, B, Home, LOCAL, Table, offer, pieces_of};
use serde_json::{Value, json};

fn peer(acts: impl Into<Vec<Act>>) -> Peer {
    Peer::start(LOCAL, Manners::of(acts)).unwrap()
}

/// Picks up, hears the message begin, and does this when the test says so.
fn listens(then: impl IntoIterator<Item = Act>) -> Vec<Act> {
    [Act::Ring(180), Act::Answer(Law::Pcma), Act::Hear(10)].into_iter().chain(then).collect()
}

fn command(seq: i64, mid: &str, call: &str, what: Value) -> Value {
    let mut command = json!({ "seq": seq, "mid": mid, "call": call });
    for (key, value) in what.as_object().unwrap() {
        command[key] = value.clone();
    }
    command
}

fn one_live_call(acts: impl Into<Vec<Act>>) -> Home {
    Home::begin(Table { offers: [offer("m1", A, true)].into(), ..Table::default() }, peer(acts), 1, "")
}

#[tokio::test]
async fn a_text_is_heard_in_a_running_call_and_a_key_counts_while_it_is_said() {
    let home = one_live_call(listens([Act::Released, Act::Key('1')]));
    home.server.progress("m1", "connected").await;
    home.server.command(command(5, "m1", A, json!({ "do": "play", "text": "Four hundred", "language": "en" })));
    home.server.told("playing", 5).await;
    home.server.eventually("the text", |_| (pieces_of(&home.heard_by(A), 400.0) > 5).then_some(())).await;
    home.server.told("played", 5).await;
    // A long one, which is cut off.
    home.server.command(command(6, "m1", A, json!({ "do": "play", "text": "Eleven hundred" })));
    home.server.told("playing", 6).await;
    home.peer.release();
    let key = home.server.told("key", 0).await;
    assert_eq!((&key["value"], &key["mid"]), (&json!("1"), &json!("m1")));
    let report = home.server.report("m1").await;
    assert_eq!((report.action.as_deref(), report.confirmed, report.keys.as_deref()), (Some("accept"), Some(true), Some("1")));
    let ended = home.server.told("ended", 0).await;
    assert_eq!(ended["value"], "us");
    let events = home.server.table().events.clone();
    let seqs: Vec<i64> = events.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
    assert!(seqs.windows(2).all(|two| two[0] + 1 == two[1]) && seqs[0] > 1_600_000_000_000, "{seqs:?}");
    assert!(events.iter().all(|event| event["at_ms"].is_u64()), "{events:#?}");
    let of_the_second: Vec<&Value> = events.iter().filter(|event| event["ack"] == 6).map(|event| &event["event"]).collect();
    assert!(matches!(of_the_second.last().unwrap().as_str().unwrap(), "played" | "stopped"), "{of_the_second:?}");
}

#[tokio::test]
async fn a_call_is_dropped_while_it_rings_and_while_somebody_talks() {
    let rings = vec![Act::Ring(180), Act::Stay];
    let talks = listens([Act::Stay]);
    let trunk = Peer::start(LOCAL, Manners::of(talks).with(A, rings)).unwrap();
    let table = Table { offers: [offer("m1", A, true), offer("m2", B, true)].into(), ..Table::default() };
    let home = Home::begin(table, trunk, 2, "");
    home.server.progress("m1", "alerting").await;
    home.server.progress("m2", "connected").await;
    home.server.command(command(8, "m1", A, json!({ "do": "drop" })));
    home.server.command(command(9, "m2", B, json!({ "do": "drop" })));
    assert_eq!(home.server.told("ended", 8).await["value"], "us");
    assert_eq!(home.server.told("ended", 9).await["mid"], "m2");
    let (rang, talked) = (home.server.report("m1").await, home.server.report("m2").await);
    assert_eq!((rang.outcome, rang.ended_by), (Some(CallOutcome::NoAnswer), Some(EndedBy::Us)));
    assert_eq!(
        (talked.outcome, talked.ended_by, talked.confirmed),
        (Some(CallOutcome::Answered), Some(EndedBy::Us), Some(false))
    );
    let log = home.peer.log();
    assert_eq!((log.count("CANCEL"), log.count("BYE"), log.calls.len()), (1, 1, 2), "{:?}", log.requests);
}

#[tokio::test]
async fn somebody_hears_why_before_a_call_is_dropped_by_command_or_by_progress() {
    // Progress of the second call is answered with a sentence, although no key was pressed.
    let unwanted = json!({ "code": 2, "say": "Eleven hundred" });
    let answers = BTreeMap::from([("connected".to_owned(), unwanted)]);
    for (answers, frequency) in [(BTreeMap::new(), 400.0), (answers, 1100.0)] {
        let by_command = answers.is_empty();
        let table = Table { offers: [offer("m1", A, true)].into(), answers, ..Table::default() };
        let home = Home::begin(table, peer(listens([Act::Stay])), 1, "");
        home.server.progress("m1", "connected").await;
        if by_command {
            home.server.command(command(3, "m1", A, json!({ "do": "drop", "say": "Four hundred", "language": "en" })));
            home.server.told("ended", 3).await;
        }
        let report = home.server.report("m1").await;
        assert_eq!(report.ended_by, Some(EndedBy::Us));
        assert!(pieces_of(&home.heard_by(A), frequency) > 5, "the sentence was said");
    }
}

#[tokio::test]
async fn a_command_for_no_call_or_for_one_that_is_over_starts_nothing() {
    let home = one_live_call(listens([Act::Released, Act::HangUp]));
    home.server.progress("m1", "connected").await;
    home.server.command(command(1, "m9", A, json!({ "do": "play", "text": "Four hundred" })));
    home.server.command(command(2, "m1", B, json!({ "do": "drop" })));
    home.server.command(command(3, "m1", A, json!({ "do": "levitate" })));
    home.server.command(command(4, "m1", A, json!({ "do": "answer" })));
    home.server.command(command(5, "m1", A, json!({ "do": "play", "media": "nothing" })));
    for (ack, why) in [(1, "no_call"), (2, "no_call"), (3, "unknown"), (4, "unknown"), (5, "media")] {
        assert_eq!(home.server.told("error", ack).await["value"], why, "{ack}");
    }
    // The next hand-out begins before the command for the first one comes.
    home.server.table().offers.push_back(offer("m2", A, true));
    home.peer.release();
    home.server.report("m1").await;
    home.server.progress("m2", "connected").await;
    home.server.command(command(6, "m1", A, json!({ "do": "drop" })));
    assert_eq!(home.server.told("error", 6).await["value"], "too_late");
    assert_eq!(home.peer.log().calls.len(), 2, "nobody was called for a command");
    home.peer.release();
    let report = home.server.report("m2").await;
    assert_eq!(report.ended_by, Some(EndedBy::Callee), "nor was anybody cut off");
}

#[tokio::test]
async fn events_come_in_order_however_often_the_server_is_deaf() {
    let table = Table { offers: [offer("m1", A, true)].into(), deaf_to_events: 3, ..Table::default() };
    let home = Home::begin(table, peer(listens([Act::Key('7'), Act::Info('8'), Act::Key('1')])), 1, "");
    home.server.told("ended", 0).await;
    let events = home.server.table().events.clone();
    let words: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(words, ["key", "key", "key", "ended"], "{events:#?}");
    let values: Vec<&str> = events.iter().map(|event| event["value"].as_str().unwrap()).collect();
    assert_eq!(values, ["7", "8", "1", "us"]);
    // Each message begins with what was not taken before.
    let bodies = home.server.desk.bodies("/live");
    let firsts = bodies.iter().filter_map(|body| serde_json::from_str::<Value>(body).ok()?["events"][0]["seq"].as_i64());
    let firsts: Vec<i64> = firsts.take(4).collect();
    assert_eq!(firsts, [events[0]["seq"].as_i64().unwrap(); 4]);
}

#[tokio::test]
async fn keys_are_sent_and_collected() {
    let home =
        one_live_call(listens([Act::Released, Act::Key('1'), Act::Wait(300), Act::Key('2'), Act::Released, Act::Key('1')]));
    home.server.progress("m1", "connected").await;
    home.server.command(command(1, "m1", A, json!({ "do": "send_dtmf", "digits": "15#" })));
    home.server.told("played", 1).await;
    home.server
        .eventually("the keys at the other side", |_| home.peer.log().keys.values().any(|keys| keys == "15#").then_some(()))
        .await;
    home.server.command(command(2, "m1", A, json!({ "do": "collect", "max": 2, "seconds": 120 })));
    home.server.command(command(3, "m1", A, json!({ "do": "play", "text": "Four hundred" })));
    // In their order: keys are collected before it is said.
    home.server.told("played", 3).await;
    home.peer.release();
    assert_eq!(home.server.told("collected", 2).await["value"], "12");
    home.peer.release();
    let report = home.server.report("m1").await;
    assert_eq!(
        (report.action.as_deref(), report.keys.as_deref()),
        (Some("accept"), Some("121")),
        "then they mean something again"
    );
    let pressed = home.server.desk.bodies("/progress?mid=m1").iter().filter(|body| body.contains(r#""event":"key""#)).count();
    assert_eq!(pressed, 1, "a key that was collected means nothing to the script");
}

#[tokio::test]
async fn a_voice_is_recorded_when_it_is_wanted_and_uploaded_after_the_report() {
    let home = one_live_call(listens([Act::Released, Act::Key('1')]));
    home.server.progress("m1", "connected").await;
    home.server.command(command(1, "m1", A, json!({ "do": "record", "seconds": 500 })));
    home.server.told("playing", 1).await;
    home.server.eventually("the tone", |_| (pieces_of(&home.heard_by(A), 1000.0) > 0).then_some(())).await;
    // While it is recorded, nothing else is said.
    home.server.command(command(2, "m1", A, json!({ "do": "play", "text": "Four hundred" })));
    assert_eq!(home.server.told("error", 2).await["value"], "busy");
    home.server.command(command(3, "m1", A, json!({ "do": "stop" })));
    let id = home.server.told("recording", 1).await["value"].as_str().unwrap().to_owned();
    home.server.told("stopped", 3).await;
    home.peer.release();
    let report = home.server.report("m1").await;
    assert_eq!(report.recordings.iter().map(|recording| recording.id.as_str()).collect::<Vec<_>>(), [id.as_str()]);
    let path = format!("/recording/{id}?mid=m1");
    home.server.eventually("the upload", |server| (server.asked(&path) > 0).then_some(())).await;
}

#[tokio::test]
async fn two_calls_in_a_room_hear_each_other_and_whoever_is_mute_is_not_heard() {
    let whistles = |frequency| vec![Act::Ring(180), Act::Answer(Law::Pcma), Act::Whistle(frequency)];
    let trunk = Peer::start(LOCAL, Manners::of(whistles(500)).with(B, whistles(900))).unwrap();
    let table = Table { offers: [offer("m1", A, true), offer("m2", B, true)].into(), ..Table::default() };
    let home = Home::begin(table, trunk, 2, "");
    for mid in ["m1", "m2"] {
        home.server.progress(mid, "connected").await;
    }
    home.server.command(command(1, "m1", A, json!({ "do": "join", "room": "r", "mute": true })));
    home.server.command(command(2, "m2", B, json!({ "do": "join", "room": "r" })));
    assert_eq!(home.server.told("joined", 1).await["value"], "r");
    home.server.told("joined", 2).await;
    home.server.eventually("A to hear B", |_| (pieces_of(&home.heard_by(A), 900.0) > 5).then_some(())).await;
    assert_eq!(pieces_of(&home.heard_by(B), 500.0), 0, "A is mute");
    assert_eq!(pieces_of(&home.heard_by(A), 500.0), 0, "and nobody hears themselves");
    home.server.command(command(3, "m1", A, json!({ "do": "join", "room": "r" })));
    home.server.eventually("B to hear A", |_| (pieces_of(&home.heard_by(B), 500.0) > 5).then_some(())).await;
    // Out of the room it is silent again, and a text is for one of them only.
    home.server.command(command(4, "m1", A, json!({ "do": "leave" })));
    home.server.told("left", 4).await;
    home.server.command(command(5, "m1", A, json!({ "do": "play", "text": "Four hundred" })));
    home.server.told("played", 5).await;
    home.server.eventually("the text", |_| (pieces_of(&home.heard_by(A), 400.0) > 5).then_some(())).await;
    assert_eq!(pieces_of(&home.heard_by(B), 400.0), 0);
    for (seq, mid, number) in [(6, "m1", A), (7, "m2", B)] {
        home.server.command(command(seq, mid, number, json!({ "do": "drop" })));
        home.server.told("ended", seq).await;
    }
}

#[tokio::test]
async fn commands_are_asked_for_only_while_a_call_runs_that_was_offered_so() {
    let table = Table { offers: [offer("m1", A, false), offer("m2", A, true)].into(), ..Table::default() };
    let home = Home::begin(table, peer(listens([Act::Released, Act::Key('1')])), 1, "");
    home.server.progress("m1", "connected").await;
    // The status of that time says that it could.
    let status = home.server.eventually("a status", |server| server.desk.bodies("/status").pop()).await;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["capabilities"], json!(["hangup", "dtmf", "tts", "record", "machine", "live", "conference", "calls"]));
    home.peer.release();
    home.server.report("m1").await;
    assert_eq!(home.server.asked("/live"), 0, "the server did not offer it");
    home.server.progress("m2", "connected").await;
    home.server.eventually("the question", |server| (server.asked("/live?wait=30") > 0).then_some(())).await;
    home.peer.release();
    home.server.report("m2").await;
    home.server.told("ended", 0).await;
    let since = home.server.asked("/live?");
    let polls = home.server.asked("/alert/phone?wait");
    home.server.eventually("polls", |server| (server.asked("/alert/phone?wait") > polls + 2).then_some(())).await;
    // One question may have been on its way.
    assert!(home.server.asked("/live?") <= since + 1);
    assert_eq!(home.server.asked("/incoming"), 0);
}
