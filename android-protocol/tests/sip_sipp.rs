//! Calls over SIP to Debian's sipp (package sip-tester): somebody else's reading of the standard.
#![cfg(feature = "sip")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

use std::{
    collections::BTreeMap,
    net::UdpSocket,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use android_protocol::{
    sip::{
        call::{Made, Order, SOUND_WITHIN, Sounds, lines, make, new_call_id, pcm, pick_up},
        config::{Secret, Sip},
        signal::{sdp, stack::Stack},
    },
    voice::{script::Script, tone},
    wire::{CallOutcome, FailureDetail},
};

const LONG: Duration = Duration::from_secs(90);

/// Ports for SIP and for sound that nobody has just now.
fn free_ports() -> (u16, u16) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = 21_000 + u16::try_from(std::process::id() % 400).unwrap() * 20;
    for _ in 0..500 {
        let base = begin + NEXT.fetch_add(10, Ordering::Relaxed) % 2000;
        let all: Option<Vec<UdpSocket>> = (base..base + 6).map(|port| UdpSocket::bind(("127.0.0.1", port)).ok()).collect();
        if all.is_some() {
            return (base, base + 2);
        }
    }
    panic!("no free ports");
}

/// Ended with its test.
struct Sipp(Child, u16, tempfile::TempDir);

impl Drop for Sipp {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Sipp {
    fn start(scenario: &str) -> Option<Self> {
        Self::start_at(free_ports(), scenario, &[])
    }

    fn start_at((port, media): (u16, u16), scenario: &str, more: &[&str]) -> Option<Self> {
        let file = format!("{}/tests/sipp/{scenario}.xml", env!("CARGO_MANIFEST_DIR"));
        let folder = tempfile::tempdir().unwrap();
        let started = Command::new("sipp")
            .args(["-sf", &file, "-i", "127.0.0.1", "-p", &port.to_string(), "-mp", &media.to_string()])
            .args(["-m", "1", "-nostdin", "-timeout", "80s", "-trace_err", "-error_file", "errors.log"])
            .args(more)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match started {
            Ok(child) => Some(Self(child, port, folder)),
            Err(_) => {
                eprintln!("skipped: sipp is not installed (Debian's package sip-tester)");
                None
            }
        }
    }

    /// That it saw what its scenario wants, and nothing else.
    async fn ends_content(mut self) {
        let end = Instant::now() + LONG;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                let errors = std::fs::read_to_string(self.2.path().join("errors.log")).unwrap_or_default();
                assert!(status.success(), "sipp is not content: {status} {errors}");
                return;
            }
            assert!(Instant::now() < end, "sipp does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn order(sip: &Sip, ring: Duration) -> Order {
    let script = r#"{"say":"x","repeat":9,"keys":{"1":"accept"},"key_wait_seconds":60,"thanks":{"accept":"y"}}"#;
    Order {
        address: sip.dialling().address("13900000001").unwrap(),
        call_id: new_call_id(),
        ring,
        patience: LONG,
        script: serde_json::from_str::<Script>(script).unwrap(),
        sounds: Sounds { instead: Some(pcm(tone::sine(&[700.0], 500, 9000.0))), ..Sounds::default() },
        ports: None,
        symmetric: false,
        silence: SOUND_WITHIN,
        outcomes: BTreeMap::new(),
    }
}

async fn call(sipp: &Sipp, password: Option<&str>, ring: Duration) -> Made {
    let mut sip: Sip = toml::from_str(&format!("trunk = '127.0.0.1:{}'\nuser = '1001'\n", sipp.1)).unwrap();
    sip.password = password.map(|password| Secret(password.to_owned()));
    let order = order(&sip, ring);
    let stack = Stack::start(&sip).await.unwrap();
    let (news, _told, _control, mut controlled) = lines();
    let made = tokio::time::timeout(LONG, make(&stack, &order, &news, &mut controlled)).await.unwrap();
    // The stack answers what is repeated until sipp is content.
    tokio::spawn(async move {
        tokio::time::sleep(LONG).await;
        drop(stack);
    });
    made
}

#[tokio::test]
async fn answered_and_a_key_by_telephone_events() {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if !root {
        eprintln!("skipped: only root may let sipp send sound");
        return;
    }
    let Some(sipp) = Sipp::start("key") else { return };
    let made = call(&sipp, None, LONG).await;
    assert_eq!((made.judged.outcome, made.conversation.keys.as_str()), (CallOutcome::Answered, "1"), "{made:?}");
    assert!(made.alerting.is_some());
    sipp.ends_content().await;
}

#[tokio::test]
async fn answered_and_a_key_by_info() {
    let Some(sipp) = Sipp::start("info") else { return };
    let made = call(&sipp, None, LONG).await;
    assert_eq!((made.judged.outcome, made.conversation.action.as_deref()), (CallOutcome::Answered, Some("accept")), "{made:?}");
    sipp.ends_content().await;
}

#[tokio::test]
async fn it_calls_us_and_presses_a_key() {
    let ((own, _), ports) = (free_ports(), free_ports());
    let sip = format!("trunk = '127.0.0.1:{}'\nuser = '1001'\nbind = '127.0.0.1:{own}'\n", ports.0);
    let sip: Sip = toml::from_str(&sip).unwrap();
    let (door, mut callers) = tokio::sync::mpsc::channel(1);
    let stack = Stack::start_for(&sip, Some(door)).await.unwrap();
    let Some(sipp) = Sipp::start_at(ports, "calls", &[&format!("127.0.0.1:{own}")]) else { return };
    let caller = tokio::time::timeout(LONG, callers.recv()).await.unwrap().unwrap();
    assert_eq!((caller.from.as_str(), caller.to.as_str()), ("+8613900000001", "1001"));
    caller.ring();
    let media = sdp::read(&caller.sdp).unwrap();
    let (news, _told, _control, mut controlled) = lines();
    let order = order(&sip, LONG);
    let picked_up = pick_up(&stack, (caller, media, tokio::time::Instant::now()), &order, &news, &mut controlled);
    let made = tokio::time::timeout(LONG, picked_up).await.unwrap();
    assert_eq!((made.judged.outcome, made.conversation.action.as_deref()), (CallOutcome::Answered, Some("accept")), "{made:?}");
    // The stack answers what is repeated until sipp is content.
    sipp.ends_content().await;
}

#[tokio::test]
async fn the_timer_of_a_session_is_answered_both_ways() {
    let Some(sipp) = Sipp::start("timer") else { return };
    let made = call(&sipp, None, LONG).await;
    assert_eq!((made.judged.outcome, made.conversation.action.as_deref()), (CallOutcome::Answered, Some("accept")), "{made:?}");
    sipp.ends_content().await;
}

#[tokio::test]
async fn busy_and_declined() {
    for (scenario, outcome) in [("busy", CallOutcome::Busy), ("decline", CallOutcome::Rejected)] {
        let Some(sipp) = Sipp::start(scenario) else { return };
        let made = call(&sipp, None, LONG).await;
        assert_eq!(made.judged.outcome, outcome, "{made:?}");
        sipp.ends_content().await;
    }
}

/// A number that is none, a phone that is switched off or that stops ringing, and a trunk that has no line left.
#[tokio::test]
async fn what_the_network_says_of_a_call_that_is_not_answered() {
    use FailureDetail::{BadNumber, Trunk, Unreachable};
    for (scenario, outcome, detail, retry_after) in [
        ("unknown", CallOutcome::Failed, Some(BadNumber), None),
        ("away", CallOutcome::NoAnswer, Some(Unreachable), None),
        ("gone", CallOutcome::NoAnswer, None, None),
        ("full", CallOutcome::Failed, Some(Trunk), Some(17)),
    ] {
        let Some(sipp) = Sipp::start(scenario) else { return };
        let made = call(&sipp, None, LONG).await;
        assert_eq!((made.judged.outcome, made.judged.detail), (outcome, detail), "{scenario}: {made:?}");
        assert_eq!((made.ending.retry_after, made.connected), (retry_after, None), "{scenario}: {made:?}");
        assert_eq!(made.alerting.is_some(), scenario == "gone", "{scenario}: {made:?}");
        sipp.ends_content().await;
    }
}

/// The network plays something before anybody has picked up, and never says 180.
#[tokio::test]
async fn sound_before_it_is_answered_is_no_answer() {
    let Some(sipp) = Sipp::start("early") else { return };
    let made = call(&sipp, None, LONG).await;
    assert_eq!((made.judged.outcome, made.conversation.action.as_deref()), (CallOutcome::Answered, Some("accept")), "{made:?}");
    assert!(made.alerting.is_some() && made.alerting < made.connected, "{made:?}");
    sipp.ends_content().await;
}

#[tokio::test]
async fn not_answered_and_called_off() {
    let Some(sipp) = Sipp::start("unanswered") else { return };
    let made = call(&sipp, None, Duration::from_secs(15)).await;
    assert_eq!(made.judged.outcome, CallOutcome::NoAnswer, "{made:?}");
    sipp.ends_content().await;
}

#[tokio::test]
async fn a_challenge_is_answered_rightly() {
    for (password, outcome) in [("geheim", CallOutcome::Busy), ("wrong", CallOutcome::Failed)] {
        let Some(sipp) = Sipp::start("digest") else { return };
        let made = call(&sipp, Some(password), LONG).await;
        assert_eq!(made.judged.outcome, outcome, "{made:?}");
        sipp.ends_content().await;
    }
}
