//! Somebody calls a handset that calls over SIP: who is let in, what the server says to it, and what is told and reported.
#![cfg(feature = "sip")]
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/exchange.rs"]
#[expect(dead_code, reason = "calls to callees are for other tests")]
mod exchange;
#[expect(dead_code, reason = "other tests wait in threads")]
mod support;

use android_protocol::{
    sip::peer::{Act, Manners, Peer},
    voice::g711::Law,
    wire::{CallOutcome, EndedBy},
};
use exchange::{A, Home, LOCAL, Table, offer, pieces_of, script};
use serde_json::{Value, json};
use support::Received;

const INBOUND: &str = "inbound = true";

/// Nobody is called here, unless a test has an offer.
fn trunk() -> Peer {
    Peer::start(LOCAL, Manners::of([Act::Ring(180), Act::Answer(Law::Pcma), Act::Stay])).unwrap()
}

fn answered(mid: &str) -> (u16, Value) {
    (200, json!({ "code": 0, "mid": mid, "do": "answer", "script": script() }))
}

/// Rings until somebody decides by a command.
fn undecided(mid: &str) -> (u16, Value) {
    (200, json!({ "code": 0, "mid": mid }))
}

async fn home(callers: impl IntoIterator<Item = (u16, Value)>, channels: usize, more: &str) -> Home {
    let table = Table { callers: callers.into_iter().collect(), ..Table::default() };
    let home = Home::begin(table, trunk(), channels, more);
    // Until it has asked for its last channel, nobody is taken on that one.
    let last = if channels > 1 { format!("channel={}", channels - 1) } else { "wait=20".to_owned() };
    let asked = |request: &Received| request.path.starts_with("/alert/phone?") && request.path.contains(&last);
    home.server.eventually("polls", |server| server.desk.seen().iter().any(asked).then_some(())).await;
    home
}

/// Waits until the only channel asks for alarms again: until then it is busy.
async fn free_again(home: &Home) {
    let polls = home.server.asked("/alert/phone?wait");
    // One of before may be noted late.
    home.server.eventually("polls", |server| (server.asked("/alert/phone?wait") > polls + 1).then_some(())).await;
}

/// The final answer to a call.
async fn last_code(home: &Home, peer: &Peer, call: &str) -> u16 {
    let last = || peer.log().codes(call).last().copied().filter(|code| *code >= 200);
    home.server.eventually("an answer to the caller", |_| last()).await
}

fn heard(home: &Home, call: &str) -> Vec<i16> {
    home.peer.log().heard.get(call).cloned().unwrap_or_default()
}

fn command(seq: i64, mid: &str, what: Value) -> Value {
    let mut command = json!({ "seq": seq, "mid": mid, "call": A });
    for (key, value) in what.as_object().unwrap() {
        command[key] = value.clone();
    }
    command
}

#[tokio::test]
async fn somebody_calls_hears_the_message_and_presses_a_key() {
    let home = home([answered("i1")], 1, INBOUND).await;
    let status = home.server.eventually("a status", |server| server.desk.bodies("/status").pop()).await;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(
        status["capabilities"],
        json!(["hangup", "dtmf", "tts", "record", "machine", "live", "conference", "calls", "inbound"])
    );
    // Within the call a session's timer, and a codec that nobody has: it goes on.
    let acts = [Act::Hear(20), Act::Reinvite, Act::ReinviteBad, Act::Released, Act::Key('1')];
    let call = home.peer.call(A, acts).unwrap();
    home.server.progress("i1", "connected").await;
    let told: Value = serde_json::from_str(&home.server.desk.bodies("/incoming")[0]).unwrap();
    assert_eq!(told, json!({ "id": call, "channel": 0, "from": A, "to": "1001", "codecs": ["PCMA", "PCMU"] }));
    home.server
        .eventually("the session to be refreshed", |_| {
            (home.peer.log().replies == [("INVITE".to_owned(), 200), ("INVITE".to_owned(), 488)]).then_some(())
        })
        .await;
    home.peer.release();
    let report = home.server.report("i1").await;
    assert_eq!((report.number.as_str(), report.outcome, report.confirmed), (A, Some(CallOutcome::Answered), Some(true)));
    assert_eq!((report.action.as_deref(), report.keys.as_deref()), (Some("accept"), Some("1")));
    let key = home.server.progress("i1", "key").await;
    assert_eq!((&key["number"], &key["action"]), (&json!(A), &json!("accept")));
    assert!(heard(&home, &call).iter().any(|sample| sample.abs() > 5000), "the message was heard");
    assert_eq!(last_code(&home, &home.peer, &call).await, 200);
    let log = home.peer.log();
    assert_eq!((log.count("BYE"), log.calls.len()), (1, 0), "{:?}", log.requests);
}

#[tokio::test]
async fn a_channel_in_a_call_that_came_in_asks_for_nothing_and_others_do() {
    let home = home([answered("i1")], 1, INBOUND).await;
    home.peer.call(A, [Act::Hear(20), Act::Released, Act::Key('1')]).unwrap();
    home.server.progress("i1", "connected").await;
    let polls = home.server.asked("/alert/phone?wait");
    home.server
        .eventually("two seconds of the call", |_| {
            let log = home.peer.log();
            log.heard.values().next().is_some_and(|heard| heard.len() > 16_000).then_some(())
        })
        .await;
    // A question that was given up may be noted late.
    assert!(home.server.asked("/alert/phone?wait") <= polls + 1);
    home.server.table().offers.push_back(offer("m1", A, false));
    home.peer.release();
    home.server.report("i1").await;
    home.server.progress("m1", "connected").await;
    assert_eq!(home.peer.log().calls.len(), 1, "it is free again");
}

#[tokio::test]
async fn whoever_may_not_call_or_cannot_be_understood_is_refused() {
    // More channels than calls: one is free again only a moment after its caller was refused.
    let home = home([(404, json!({})), (200, json!({ "code": 2 }))], 4, INBOUND).await;
    let contact = home.peer.log().last["REGISTER"].lines().find_map(|line| line.strip_prefix("Contact: <")).unwrap().to_owned();
    let contact = contact.split(['>', ';']).next().unwrap().to_owned();
    let g729 = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 18\r\n";
    let call = home.peer.call_to(&contact, A, Some(g729), []).unwrap();
    assert_eq!(last_code(&home, &home.peer, &call).await, 488);
    // From another address than the trunk's.
    let stranger = Peer::start([127, 0, 0, 2].into(), Manners::of([])).unwrap();
    let call = stranger.call_to(&contact, A, None, []).unwrap();
    assert_eq!(last_code(&home, &stranger, &call).await, 480);
    // From the trunk's address, and another port than the trunk's.
    let neighbour = Peer::start(LOCAL, Manners::of([])).unwrap();
    let call = neighbour.call_to(&contact, A, None, []).unwrap();
    assert_eq!(last_code(&home, &neighbour, &call).await, 480);
    assert_eq!(home.server.asked("/incoming"), 0, "the server is not asked about them");
    // A server of before, and one that wants nobody.
    for asked in 1..=2 {
        let call = home.peer.call(A, []).unwrap();
        assert_eq!(last_code(&home, &home.peer, &call).await, 480);
        assert_eq!(home.server.asked("/incoming"), asked);
    }
    assert!(home.server.desk.bodies("/progress").is_empty());
}

#[tokio::test]
async fn calls_are_refused_where_that_is_not_switched_on() {
    let home = home([answered("i1")], 1, "").await;
    let call = home.peer.call(A, []).unwrap();
    assert_eq!(last_code(&home, &home.peer, &call).await, 480);
    assert_eq!(home.server.asked("/incoming"), 0);
}

#[tokio::test]
async fn another_address_may_call_where_it_is_named() {
    let home = home([answered("i1")], 1, "inbound = true\ninbound_from = ['127.0.0.3']").await;
    let contact = home.peer.log().last["REGISTER"].lines().find_map(|line| line.strip_prefix("Contact: <")).unwrap().to_owned();
    let other = Peer::start([127, 0, 0, 3].into(), Manners::of([])).unwrap();
    let call = other.call_to(contact.split(['>', ';']).next().unwrap(), A, None, [Act::Hear(5), Act::HangUp]).unwrap();
    assert_eq!(home.server.report("i1").await.ended_by, Some(EndedBy::Callee));
    assert_eq!(last_code(&home, &other, &call).await, 200);
}

#[tokio::test]
async fn where_every_channel_is_in_a_call_it_is_busy() {
    let home = home([answered("i1"), answered("i2"), answered("i3")], 2, INBOUND).await;
    let acts = || [Act::Hear(5), Act::Stay];
    for mid in ["i1", "i2"] {
        home.peer.call(A, acts()).unwrap();
        home.server.progress(mid, "connected").await;
    }
    let call = home.peer.call(A, acts()).unwrap();
    assert_eq!(last_code(&home, &home.peer, &call).await, 486);
    let channels: Vec<i64> = home
        .server
        .desk
        .bodies("/incoming")
        .iter()
        .map(|body| serde_json::from_str::<Value>(body).unwrap()["channel"].as_i64().unwrap())
        .collect();
    assert_eq!(channels, [1, 0], "the one that asks for alarms is taken last");
    for (seq, mid) in [(1, "i1"), (2, "i2")] {
        home.server.command(command(seq, mid, json!({ "do": "drop" })));
        home.server.told("ended", seq).await;
    }
}

#[tokio::test]
async fn a_caller_who_gives_up_while_it_rings_is_reported_and_not_answered() {
    let home = home([undecided("i1")], 1, INBOUND).await;
    let call = home.peer.call(A, [Act::Cancel]).unwrap();
    assert_eq!(last_code(&home, &home.peer, &call).await, 487);
    let report = home.server.report("i1").await;
    assert_eq!((report.outcome, report.ended_by), (Some(CallOutcome::NoAnswer), Some(EndedBy::Callee)));
    assert_eq!(home.peer.log().count("BYE"), 0);
}

#[tokio::test]
async fn a_server_that_does_not_decide_in_time_loses_the_caller() {
    let home = home([undecided("i1")], 1, INBOUND).await;
    let call = home.peer.call(A, []).unwrap();
    assert_eq!(last_code(&home, &home.peer, &call).await, 480);
    assert_eq!(home.server.report("i1").await.outcome, Some(CallOutcome::NoAnswer));
    let mut codes = home.peer.log().codes(&call);
    codes.dedup();
    assert_eq!(codes, [100, 180, 480]);
}

#[tokio::test]
async fn a_call_that_came_in_is_answered_refused_or_sent_on_by_command() {
    let home = home([undecided("i1"), undecided("i2"), undecided("i3")], 1, INBOUND).await;
    let call = home.peer.call(A, [Act::Released, Act::Key('5'), Act::Stay]).unwrap();
    home.server.progress("i1", "alerting").await;
    home.server.command(command(1, "i1", json!({ "do": "play", "text": "Four hundred" })));
    assert_eq!(home.server.told("error", 1).await["value"], "no_call", "nobody has picked up yet");
    home.server.command(command(2, "i1", json!({ "do": "answer" })));
    home.server.progress("i1", "connected").await;
    home.server.command(command(3, "i1", json!({ "do": "play", "text": "Four hundred" })));
    home.server.told("played", 3).await;
    home.server.eventually("the text", |_| (pieces_of(&heard(&home, &call), 400.0) > 5).then_some(())).await;
    home.peer.release();
    assert_eq!(home.server.told("key", 0).await["value"], "5");
    home.server.command(command(4, "i1", json!({ "do": "redirect", "to": "100" })));
    assert_eq!(home.server.told("error", 4).await["value"], "too_late");
    home.server.command(command(5, "i1", json!({ "do": "drop" })));
    home.server.told("ended", 5).await;
    assert_eq!(home.server.report("i1").await.outcome, Some(CallOutcome::Answered));

    free_again(&home).await;
    let call = home.peer.call(A, []).unwrap();
    home.server.progress("i2", "alerting").await;
    home.server.command(command(6, "i2", json!({ "do": "reject", "cause": 486 })));
    assert_eq!(last_code(&home, &home.peer, &call).await, 486);
    home.server.told("ended", 6).await;
    let report = home.server.report("i2").await;
    assert_eq!((report.outcome, report.ended_by), (Some(CallOutcome::NoAnswer), Some(EndedBy::Us)));

    free_again(&home).await;
    let call = home.peer.call(A, []).unwrap();
    home.server.progress("i3", "alerting").await;
    home.server.command(command(7, "i3", json!({ "do": "redirect", "to": "+4930123" })));
    assert_eq!(last_code(&home, &home.peer, &call).await, 302);
    let moved = home.peer.log().answers[&call].last().unwrap().clone();
    let contacts: Vec<&str> = moved.lines().filter(|line| line.to_lowercase().starts_with("contact:")).collect();
    assert_eq!(contacts, [format!("Contact: <sip:+4930123@{}>", home.peer.address())], "{moved}");
    home.server.report("i3").await;
}

#[tokio::test]
async fn the_same_call_again_is_the_same_call() {
    // The server knows it by the name that it gave before.
    let home = home([answered("i1"), answered("i1")], 2, INBOUND).await;
    home.peer.call(A, [Act::Hear(5), Act::HangUp]).unwrap();
    assert_eq!(home.server.report("i1").await.outcome, Some(CallOutcome::Answered));
    let reports = home.server.asked("/alert/phone?mid=i1");
    let again = home.peer.call(A, []).unwrap();
    assert_eq!(last_code(&home, &home.peer, &again).await, 480);
    assert_eq!(home.server.asked("/alert/phone?mid=i1"), reports);
}
