//! kill -9 in every state, for every kind of handset: nobody is rung twice, and no answer is lost.
#![cfg(feature = "sip")]
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/fake_phone.rs"]
#[expect(dead_code, reason = "the whole phone is for other tests")]
mod fake_phone;
#[path = "support/rig.rs"]
#[expect(dead_code, reason = "the whole rig is for other tests")]
mod rig;
mod support;

use std::sync::{Arc, Mutex};

use android_protocol::{
    driver::scribe::{Scribe, journal_of},
    native::JournalEntry,
    sip::peer::Act,
    wire::{ACCEPTED_BODY, CallOutcome, IDLE_BODY, NativeCall, NativeOffer, NativeReport},
};
use rig::{A, Kind, Rig};
use support::{Desk, Received, eventually};

const KINDS: [Kind; 3] = [Kind::Sip, Kind::Modem, Kind::Termux];

/// What the server does with reports and keys.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    /// It takes them.
    Listens,
    /// It says 503.
    Refuses,
    /// It takes them, and the reply is lost.
    TakesWithoutReply,
}

/// A server with one alarm for A, which it offers until it has told the handset that it has the report.
struct Server {
    desk: Desk,
    mood: Arc<Mutex<Mood>>,
}

fn offer() -> NativeOffer {
    NativeOffer { phone: vec![A.into()], mid: "m1".into(), deadline: Some(600), ..NativeOffer::default() }
}

fn reports(request: &Received) -> bool {
    request.path.starts_with("/alert/phone?mid=m1")
}

impl Server {
    fn open(mood: Mood) -> Self {
        let mood = Arc::new(Mutex::new(mood));
        let (now, done) = (Arc::clone(&mood), Mutex::new(false));
        let desk = Desk::open(move |request| {
            let mood = *now.lock().unwrap();
            let is_key = request.body.contains(r#""event":"key""#);
            if (reports(request) || is_key) && mood == Mood::Refuses {
                return (503, "{}".to_owned());
            }
            if reports(request) {
                if mood == Mood::TakesWithoutReply {
                    // Nobody can read that: as good as none.
                    return (502, String::new());
                }
                *done.lock().unwrap() = true;
            }
            let body = match request.path.as_str() {
                path if path.starts_with("/alert/phone?wait") && !*done.lock().unwrap() => offer().to_body(),
                path if path.starts_with("/alert/phone?wait") || path.starts_with("/outbox?") => IDLE_BODY.to_owned(),
                _ => ACCEPTED_BODY.to_owned(),
            };
            (200, body)
        });
        Self { desk, mood }
    }

    fn becomes(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn told(&self, state: &str) {
        let word = format!("\"{state}\"");
        eventually(state, || self.desk.bodies("/progress").iter().any(|body| body.contains(&word)).then_some(()));
    }

    /// What the newest report says of A.
    fn call(&self) -> NativeCall {
        let body = eventually("the report", || self.desk.bodies("/alert/phone?mid=m1").pop());
        NativeReport::parse(body.as_bytes()).unwrap().calls.swap_remove(0)
    }
}

/// What a killed handset left in its journal.
fn left_behind(rig: &Rig, entries: impl IntoIterator<Item = JournalEntry>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (scribe, _) = Scribe::open(&rig.state_dir()).unwrap();
        for entry in entries {
            scribe.write(entry).await.unwrap();
        }
    });
}

fn leased() -> JournalEntry {
    JournalEntry::Leased { offer: offer(), at_ms: 1 }
}

fn dialling() -> JournalEntry {
    JournalEntry::Dialling { mid: "m1".into(), number: A.into(), at_ms: 1, call: None }
}

#[test]
fn with_an_offer_that_is_written_down_and_older_than_its_deadline_nobody_is_rung() {
    for kind in KINDS {
        let (server, rig) = (Server::open(Mood::Listens), Rig::new(kind));
        left_behind(&rig, [leased()]);
        let _agent = rig.start(&server.desk.url);
        assert_eq!((server.call().outcome, rig.dials()), (Some(CallOutcome::NotDialled), 0), "{kind:?}");
    }
}

#[test]
fn between_the_journal_and_the_dial_nobody_is_rung() {
    for kind in KINDS {
        let (server, rig) = (Server::open(Mood::Listens), Rig::new(kind));
        left_behind(&rig, [leased(), dialling()]);
        let _agent = rig.start(&server.desk.url);
        let outcome = server.call().outcome.unwrap();
        assert!(matches!(outcome, CallOutcome::NoAnswer | CallOutcome::Failed), "{kind:?}: {outcome:?}");
        assert_eq!(rig.dials(), 0, "{kind:?}");
    }
}

#[test]
fn while_it_rings() {
    for kind in KINDS {
        let (server, rig) = (Server::open(Mood::Listens), Rig::new(kind));
        let agent = rig.start(&server.desk.url);
        server.told("alerting");
        drop(agent);
        rig.hang_up(0);
        let _agent = rig.start(&server.desk.url);
        assert_eq!((server.call().outcome, rig.dials()), (Some(CallOutcome::NoAnswer), 1), "{kind:?}");
    }
}

#[test]
fn while_somebody_talks_also_where_the_phone_keeps_no_log() {
    for (kind, log) in [(Kind::Sip, true), (Kind::Modem, true), (Kind::Termux, true), (Kind::Termux, false)] {
        let (server, rig) = (Server::open(Mood::Listens), Rig::new(kind));
        if !log {
            rig.forget_rows();
        }
        let agent = rig.start(&server.desk.url);
        server.told("alerting");
        rig.pick_up();
        server.told("connected");
        drop(agent);
        rig.hang_up(14);
        if !log {
            rig.forget_rows();
        }
        let _agent = rig.start(&server.desk.url);
        assert_eq!((server.call().outcome, rig.dials()), (Some(CallOutcome::Answered), 1), "{kind:?}, log: {log}");
    }
}

#[test]
fn while_somebody_who_called_is_talking() {
    // Keys are not taken, and there is nobody to be called.
    let desk = Desk::open(|request| {
        let is_key = request.body.contains(r#""event":"key""#);
        let script = r#"{"say":"Disk full","keys":{"1":"accept"},"key_wait_seconds":600,"max_seconds":900}"#;
        let body = match request.path.as_str() {
            "/incoming" => format!(r#"{{"code":0,"mid":"i1","do":"answer","script":{script}}}"#),
            path if path.starts_with("/alert/phone?wait") || path.starts_with("/outbox?") => IDLE_BODY.to_owned(),
            _ => ACCEPTED_BODY.to_owned(),
        };
        (if is_key { 503 } else { 200 }, body)
    });
    let rig = Rig::new(Kind::Sip);
    let agent = rig.start(&desk.url);
    eventually("a poll", || desk.bodies("/alert/phone?wait").first().cloned());
    rig.peer().call(A, [Act::Hear(5), Act::Key('1'), Act::Stay]).unwrap();
    eventually("the key in the journal", || {
        std::fs::read_to_string(journal_of(&rig.state_dir())).ok().filter(|journal| journal.contains(r#""entry":"key""#))
    });
    drop(agent);
    assert!(desk.bodies("/alert/phone?mid=i1").is_empty());
    let _agent = rig.start(&desk.url);
    let body = eventually("the report", || desk.bodies("/alert/phone?mid=i1").pop());
    let call = NativeReport::parse(body.as_bytes()).unwrap().calls.swap_remove(0);
    assert_eq!((call.number.as_str(), call.outcome, call.action.as_deref()), (A, Some(CallOutcome::Answered), Some("accept")));
    let polls = desk.bodies("/alert/phone?wait").len();
    eventually("polls", || (desk.bodies("/alert/phone?wait").len() > polls + 1).then_some(()));
    assert_eq!((rig.dials(), desk.bodies("/alert/phone?mid=i1").len()), (0, 1), "nobody is rung, and it is told once");
}

#[test]
fn while_it_rings_here() {
    // The server has given it a name, and has not decided yet.
    let desk = Desk::open(|request| {
        let body = match request.path.as_str() {
            "/incoming" => r#"{"code":0,"mid":"i1"}"#.to_owned(),
            path if path.starts_with("/alert/phone?wait") || path.starts_with("/outbox?") => IDLE_BODY.to_owned(),
            path if path.starts_with("/live?") => r#"{"code":0,"commands":[]}"#.to_owned(),
            _ => ACCEPTED_BODY.to_owned(),
        };
        (200, body)
    });
    let rig = Rig::new(Kind::Sip);
    let agent = rig.start(&desk.url);
    eventually("a poll", || desk.bodies("/alert/phone?wait").first().cloned());
    rig.peer().call(A, [Act::Stay]).unwrap();
    eventually("it rings", || desk.bodies("/progress?mid=i1").first().cloned());
    drop(agent);
    let _agent = rig.start(&desk.url);
    let body = eventually("the report", || desk.bodies("/alert/phone?mid=i1").pop());
    let call = NativeReport::parse(body.as_bytes()).unwrap().calls.swap_remove(0);
    assert_eq!((call.outcome, rig.dials()), (Some(CallOutcome::NoAnswer), 0));
}

#[test]
fn after_a_key_that_the_server_never_heard_of() {
    let (server, rig) = (Server::open(Mood::Refuses), Rig::new(Kind::Sip));
    let agent = rig.start(&server.desk.url);
    server.told("alerting");
    rig.pick_up();
    server.told("connected");
    rig.pick_up();
    eventually("the key in the journal", || {
        std::fs::read_to_string(journal_of(&rig.state_dir())).ok().filter(|journal| journal.contains(r#""entry":"key""#))
    });
    drop(agent);
    server.becomes(Mood::Listens);
    let before = server.desk.bodies("/alert/phone?mid=m1").len();
    let _agent = rig.start(&server.desk.url);
    eventually("a report of the second one", || (server.desk.bodies("/alert/phone?mid=m1").len() > before).then_some(()));
    let call = server.call();
    assert_eq!((call.outcome, call.confirmed, call.action.as_deref()), (Some(CallOutcome::Answered), Some(true), Some("accept")));
    assert_eq!(rig.dials(), 1);
}

#[test]
fn with_a_report_that_was_not_taken_or_whose_reply_was_lost() {
    for kind in KINDS {
        for mood in [Mood::Refuses, Mood::TakesWithoutReply] {
            let (server, rig) = (Server::open(mood), Rig::new(kind));
            let agent = rig.start(&server.desk.url);
            server.told("alerting");
            rig.pick_up();
            server.told("connected");
            // Over SIP that is the key.
            rig.pick_up();
            rig.hang_up(14);
            eventually("the first try", || server.desk.bodies("/alert/phone?mid=m1").first().cloned());
            drop(agent);
            let before = server.desk.bodies("/alert/phone?mid=m1");
            server.becomes(Mood::Listens);
            let _agent = rig.start(&server.desk.url);
            let after = eventually("another report", || {
                Some(server.desk.bodies("/alert/phone?mid=m1")).filter(|after| after.len() > before.len())
            });
            assert_eq!(after.last(), before.first(), "{kind:?}: the same again");
            assert_eq!((server.call().outcome, rig.dials()), (Some(CallOutcome::Answered), 1), "{kind:?}");
            // It is polling again, and what it knows it does not dial.
            let polls = server.desk.bodies("/alert/phone?wait").len();
            eventually("polls", || (server.desk.bodies("/alert/phone?wait").len() > polls + 1).then_some(()));
            assert_eq!(rig.dials(), 1, "{kind:?}");
        }
    }
}
