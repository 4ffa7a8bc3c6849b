//! The handset on an Android phone, as a process, on a phone made of scripts.
#![cfg(feature = "agent")]
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "support/fake_phone.rs"]
mod fake_phone;
mod support;

use std::{path::Path, process::Output, sync::Mutex};

use android_protocol::wire::{
    ACCEPTED_BODY, CallOutcome, CommandKind, IDLE_BODY, NativeOffer, NativeReport, Outbox, OutboxCommand, OutboxResult,
};
use fake_phone::{FakePhone, row};
use support::{Desk, eventually};

const A: &str = "13900000001";

fn handset() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_handset"))
}

/// A server with one alarm for A, until that is reported.
fn one_alarm() -> Desk {
    let reported = Mutex::new(false);
    Desk::open(move |request| {
        let mut reported = reported.lock().unwrap();
        *reported |= request.path.contains("/alert/phone?mid=m1");
        let body = match request.path.as_str() {
            path if path.starts_with("/alert/phone?wait") && !*reported => {
                NativeOffer { phone: vec![A.into()], mid: "m1".into(), deadline: Some(600), ..NativeOffer::default() }.to_body()
            }
            path if path.starts_with("/alert/phone?wait") || path.starts_with("/outbox?") => IDLE_BODY.to_owned(),
            _ => ACCEPTED_BODY.to_owned(),
        };
        (200, body)
    })
}

/// A server with commands, each until its result is there.
fn with_commands(commands: Vec<OutboxCommand>) -> Desk {
    let open = Mutex::new(commands);
    Desk::open(move |request| {
        let mut open = open.lock().unwrap();
        if let Some(id) = request.path.strip_prefix("/outbox/") {
            open.retain(|command| command.id != id);
        }
        (
            200,
            match request.path.as_str() {
                path if path.starts_with("/outbox?") => Outbox::new(open.clone()).to_body(),
                path if path.starts_with("/alert") => IDLE_BODY.to_owned(),
                _ => ACCEPTED_BODY.to_owned(),
            },
        )
    })
}

fn dialled(phone: &FakePhone) {
    eventually("the dial", || phone.dials().first().cloned().filter(|number| number == A));
}

fn told(desk: &Desk, state: &str) {
    eventually(state, || desk.bodies("/progress").iter().any(|body| body.contains(state)).then_some(()));
}

/// The one report, and that nobody else was rung.
fn report(desk: &Desk, phone: &FakePhone) -> (Option<CallOutcome>, Option<u64>) {
    let body = eventually("the report", || desk.bodies("/alert/phone?mid=m1").pop());
    assert_eq!(phone.dials(), [A], "rung once");
    let call = NativeReport::parse(body.as_bytes()).unwrap().calls.swap_remove(0);
    (call.outcome, call.talk_seconds)
}

fn status(desk: &Desk, says: &str) {
    eventually(says, || desk.bodies("/status").iter().any(|body| body.contains(says)).then_some(()));
}

#[test]
fn with_the_permission_an_answer_is_told_the_moment_it_comes() {
    for (android, active) in [("10", "1"), ("12", "1"), ("14", "1"), ("16", "ACTIVE")] {
        let (desk, phone) = (one_alarm(), FakePhone::new(android));
        phone.calls(0, "0");
        phone.calls_on_dial(2, "3");
        phone.rows(&[row(A, "2026-11-28 02:00:00", "00:09")]);
        let _agent = phone.start(handset(), &desk.url);
        dialled(&phone);
        phone.calls(2, "4");
        told(&desk, "alerting");
        phone.calls(2, active);
        told(&desk, "connected");
        phone.calls(0, "0");
        phone.rows(&[row(A, "2026-11-28 02:00:00", "00:09"), row("+8613900000001", "2026-11-28 03:22:07", "00:14")]);
        assert_eq!(report(&desk, &phone), (Some(CallOutcome::Answered), Some(14)), "Android {android}");
        status(&desk, r#""answer_detection":"exact""#);
    }
}

#[test]
fn without_the_permission_the_call_log_is_the_judge() {
    for (rows, outcome) in [
        (vec![row(A, "2026-11-28 03:22:07", "٠٠:١٤")], (Some(CallOutcome::Answered), Some(14))),
        (vec![row(A, "2026-11-28 03:22:07", "01:00:00")], (Some(CallOutcome::Answered), Some(3600))),
        (vec![row(A, "2026-11-28 03:22:07", "00:00")], (Some(CallOutcome::NoAnswer), Some(0))),
        // A stranger's call after ours; the clock set back; the same second as the call before.
        (
            vec![row(A, "2026-11-28 03:22:07", "00:00"), row("13900000002", "2026-11-28 03:22:30", "00:20")],
            (Some(CallOutcome::NoAnswer), Some(0)),
        ),
        (vec![row(A, "2026-11-28 01:22:07", "00:05")], (Some(CallOutcome::Answered), Some(5))),
        (vec![row(A, "2026-11-28 02:00:00", "00:07")], (Some(CallOutcome::Answered), Some(7))),
    ] {
        let (desk, phone) = (one_alarm(), FakePhone::new("13"));
        let old = row(A, "2026-11-28 02:00:00", "00:09");
        phone.rows(std::slice::from_ref(&old));
        let _agent = phone.start(handset(), &desk.url);
        dialled(&phone);
        phone.rows(&[&[old], rows.as_slice()].concat());
        assert_eq!(report(&desk, &phone), outcome, "{rows:?}");
        status(&desk, r#""answer_detection":"duration""#);
    }
}

#[test]
fn killed_while_it_rings_nobody_is_rung_twice_and_the_answer_is_not_lost() {
    for sees in [true, false] {
        let (desk, phone) = (one_alarm(), FakePhone::new("14"));
        if sees {
            phone.calls(0, "0");
            phone.calls_on_dial(2, "3");
        }
        let agent = phone.start(handset(), &desk.url);
        dialled(&phone);
        if sees {
            phone.calls(2, "4");
            told(&desk, "alerting");
        }
        drop(agent);
        // Answered and over while nobody looked.
        if sees {
            phone.calls(0, "0");
        }
        phone.rows(&[row(A, "2026-11-28 03:22:07", "00:12")]);
        let _agent = phone.start(handset(), &desk.url);
        assert_eq!(report(&desk, &phone), (Some(CallOutcome::Answered), Some(12)));
    }
}

#[test]
fn killed_while_it_rings_it_goes_on_looking_at_the_call() {
    let (desk, phone) = (one_alarm(), FakePhone::new("14"));
    phone.calls(0, "0");
    phone.calls_on_dial(2, "4");
    let agent = phone.start(handset(), &desk.url);
    dialled(&phone);
    told(&desk, "alerting");
    drop(agent);
    let _agent = phone.start(handset(), &desk.url);
    phone.calls(2, "1");
    told(&desk, "connected");
    phone.rows(&[row(A, "2026-11-28 03:22:07", "00:31")]);
    phone.calls(0, "0");
    assert_eq!(report(&desk, &phone), (Some(CallOutcome::Answered), Some(31)));
}

#[test]
fn a_dial_that_never_happened_is_given_back() {
    let (desk, phone) = (one_alarm(), FakePhone::new("14"));
    // Without "display over other apps" Android drops it: the line stays idle, and no row is written.
    phone.calls(0, "0");
    let _agent = phone.start(handset(), &desk.url);
    dialled(&phone);
    assert_eq!(report(&desk, &phone).0, Some(CallOutcome::Failed));
}

#[test]
fn a_phone_that_is_in_a_call_is_left_alone() {
    let (desk, phone) = (one_alarm(), FakePhone::new("14"));
    phone.calls(2, "1");
    let _agent = phone.start(handset(), &desk.url);
    let body = eventually("the report", || desk.bodies("/alert/phone?mid=m1").pop());
    assert_eq!(NativeReport::parse(body.as_bytes()).unwrap().calls[0].outcome, Some(CallOutcome::NotDialled));
    assert_eq!(phone.dials(), Vec::<String>::new());
}

#[test]
fn a_frozen_termux_api_is_said_and_nobody_waits_for_it() {
    let (desk, mut phone) = (one_alarm(), FakePhone::new("14"));
    phone.patience = 2;
    let frozen = ["termux-battery-status", "termux-call-log", "termux-wake-lock", "termux-sms-list"];
    for command in frozen {
        phone.hangs(command);
    }
    phone.calls(0, "0");
    phone.calls_on_dial(2, "1");
    let _agent = phone.start(handset(), &desk.url);
    status(&desk, r#""termux_api":"silent""#);
    // The alarm is for a handset that can ring.
    assert_eq!(desk.bodies("/alert").len(), 0);
    for command in frozen {
        phone.answers_again(command);
    }
    dialled(&phone);
    told(&desk, "connected");
    phone.rows(&[row(A, "2026-11-28 03:22:07", "00:05")]);
    phone.calls(0, "0");
    assert_eq!(report(&desk, &phone), (Some(CallOutcome::Answered), Some(5)));
    status(&desk, r#""termux_api":"ok""#);
}

#[test]
fn a_phone_without_a_sim_card_asks_for_no_alarm_until_it_has_one() {
    let (desk, phone) = (one_alarm(), FakePhone::new("14"));
    phone.calls(0, "0");
    phone.calls_on_dial(2, "1");
    phone.prints("termux-telephony-deviceinfo", r#"{"sim_state":"absent"}"#);
    let _agent = phone.start(handset(), &desk.url);
    status(&desk, r#""battery":83"#);
    assert_eq!((desk.bodies("/alert").len(), phone.dials().len()), (0, 0));
    phone.prints("termux-telephony-deviceinfo", r#"{"sim_state":"ready"}"#);
    dialled(&phone);
}

#[test]
fn a_missing_program_is_said_and_the_alarm_is_given_back() {
    let (desk, phone) = (one_alarm(), FakePhone::new("14"));
    phone.lacks("termux-telephony-call");
    let _agent = phone.start(handset(), &desk.url);
    let body = eventually("the report", || desk.bodies("/alert/phone?mid=m1").pop());
    assert_eq!(NativeReport::parse(body.as_bytes()).unwrap().calls[0].outcome, Some(CallOutcome::Failed));
    let log = std::fs::read_to_string(phone.path("handset.log")).unwrap();
    assert!(log.contains("pkg install termux-api"), "{log}");
}

#[test]
fn words_instead_of_json_do_not_keep_it_from_ringing() {
    let (desk, phone) = (one_alarm(), FakePhone::new("14"));
    phone.prints(
        "termux-call-log",
        r#"{"error":"Please grant the following permission to use this command: android.permission.READ_CALL_LOG"}"#,
    );
    phone.prints("termux-telephony-cellinfo", "Permission denied");
    phone.calls(0, "0");
    phone.calls_on_dial(2, "1");
    let _agent = phone.start(handset(), &desk.url);
    dialled(&phone);
    told(&desk, "connected");
    phone.calls(0, "0");
    // Without a log the states are what counts.
    assert_eq!(report(&desk, &phone).0, Some(CallOutcome::Answered));
}

#[test]
fn battery_signal_and_what_it_can_do_are_told() {
    for (android, forwards) in [("13", true), ("14", false), ("16", false)] {
        let (desk, phone) = (with_commands(Vec::new()), FakePhone::new(android));
        let _agent = phone.start(handset(), &desk.url);
        let body = eventually("the status", || desk.bodies("/status").into_iter().find(|body| body.contains("battery")));
        let status = android_protocol::wire::Status::parse(body.as_bytes()).unwrap();
        assert_eq!((status.battery, status.charging, status.signal_dbm), (Some(83), Some(true), Some(-96)));
        assert_eq!((status.android.as_deref(), status.network.as_deref()), (Some(android), Some("Operator LTE")));
        assert_eq!((status.backend.as_deref(), status.termux_api.as_deref()), (Some("termux"), Some("ok")));
        assert_eq!(body.contains("forwarding"), forwards, "{body}");
        assert!(!body.contains("hangup"), "{body}");
    }
}

#[test]
fn texts_and_codes_are_sent_as_they_are_and_codes_only_where_android_takes_them() {
    for (android, takes) in [("13", true), ("14", false)] {
        let text = "-n \"two\"\nlines; $(rm)".to_owned();
        let desk = with_commands(vec![
            OutboxCommand { id: "1".into(), kind: CommandKind::Sms { number: A.into(), text } },
            OutboxCommand { id: "2".into(), kind: CommandKind::Forward { code: "**21*13900000002#".into() } },
        ]);
        let phone = FakePhone::new(android);
        let _agent = phone.start(handset(), &desk.url);
        let result = |id: &str| {
            let path = format!("/outbox/{id}");
            eventually(&path, || desk.bodies(&path).first().and_then(|body| OutboxResult::parse(body.as_bytes())))
        };
        assert!(result("1").ok);
        let code = result("2");
        assert_eq!(code.ok, takes, "{code:?}");
        let sent = phone.ran("termux-sms-send");
        assert_eq!(sent, [vec!["-n".to_owned(), A.to_owned(), "<-n \"two\"".to_owned()]], "as it stands in its first line");
        assert!(std::fs::read_to_string(phone.path("log")).unwrap().contains("\nlines; $(rm)"));
        let codes = if takes { vec!["**21*13900000002%23".to_owned()] } else { Vec::new() };
        assert_eq!(phone.dials(), codes);
    }
}

#[test]
fn texts_that_come_in_are_passed_on_once_and_old_ones_are_not() {
    let desk = with_commands(Vec::new());
    let phone = FakePhone::new("14");
    let message = |id: u64, body: &str| serde_json::json!({"type":"inbox","number":"+8613900000001","received":"2026-11-28 03:25:10","body":body,"_id":id});
    phone.prints("termux-sms-list", &serde_json::json!([message(411, "old")]).to_string());
    let agent = phone.start(handset(), &desk.url);
    eventually("the place is noted", || std::fs::read_to_string(phone.path("state/termux-texts")).ok().filter(|id| id == "411"));
    drop(agent);
    phone.prints("termux-sms-list", &serde_json::json!([message(411, "old"), message(412, "1")]).to_string());
    let agent = phone.start(handset(), &desk.url);
    let body = eventually("the text", || desk.bodies("/inbound").first().cloned());
    assert!(body.contains(r#""text":"1""#) && body.contains("2026-11-28T03:25:10"), "{body}");
    eventually("it is noted", || std::fs::read_to_string(phone.path("state/termux-texts")).ok().filter(|id| id == "412"));
    drop(agent);
    let asked = phone.ran("termux-sms-list").len();
    let _agent = phone.start(handset(), &desk.url);
    eventually("it has looked again", || (phone.ran("termux-sms-list").len() > asked).then_some(()));
    assert_eq!(desk.bodies("/inbound").len(), 1);
}

#[test]
fn a_second_handset_on_the_same_journal_is_refused() {
    let (desk, phone) = (with_commands(Vec::new()), FakePhone::new("14"));
    let _agent = phone.start(handset(), &desk.url);
    eventually("the first", || desk.bodies("/status").first().cloned());
    let second = phone.command(handset()).arg("--config").arg(phone.path("handset.toml")).output().unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("belongs to a handset that is running already"), "{second:?}");
}

fn check(phone: &FakePhone, desk: &Desk, more: &[&str]) -> (bool, String) {
    let Output { status, stdout, .. } =
        phone.command(handset()).arg("check").arg("--config").arg(phone.config(&desk.url)).args(more).output().unwrap();
    (status.success(), String::from_utf8_lossy(&stdout).into_owned())
}

#[test]
fn the_check_says_what_is_missing_and_what_to_do() {
    let (desk, phone) = (with_commands(Vec::new()), FakePhone::new("13"));
    let (good, said) = check(&phone, &desk, &[]);
    assert!(good && said.contains("adb shell pm grant com.termux android.permission.DUMP"), "{said}");
    assert_eq!(phone.dials(), Vec::<String>::new());
    phone
        .prints("termux-call-log", "Please grant the following permission to use this command: android.permission.READ_CALL_LOG");
    let (good, said) = check(&phone, &desk, &[]);
    assert!(!good && said.contains("allow \"Call logs\""), "{said}");
    phone.prints("termux-telephony-deviceinfo", r#"{"sim_state":"absent"}"#);
    assert!(check(&phone, &desk, &[]).1.contains("no SIM card"));
    phone.lacks("termux-battery-status");
    let (good, said) = check(&phone, &desk, &[]);
    assert!(!good && said.contains("pkg install termux-api"), "{said}");
    // The server is asked too, and never for an alarm.
    assert!(said.contains("knows this handset"), "{said}");
    assert!(desk.bodies("/alert").is_empty());
}

#[test]
fn the_check_rings_a_number_where_it_is_told_to() {
    let (desk, phone) = (with_commands(Vec::new()), FakePhone::new("13"));
    let config = phone.config(&desk.url);
    let checking = phone
        .command(handset())
        .args(["check", "--number", A, "--config"])
        .arg(config)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    dialled(&phone);
    phone.rows(&[row(A, "2026-11-28 03:22:07", "00:04")]);
    let said = checking.wait_with_output().unwrap();
    assert!(said.status.success() && String::from_utf8_lossy(&said.stdout).contains("answered, 4 s"), "{said:?}");
}

#[test]
fn without_a_file_the_kind_and_the_address_are_enough() {
    let (desk, phone) = (with_commands(Vec::new()), FakePhone::new("13"));
    let log = std::fs::File::create(phone.path("handset.log")).unwrap();
    let mut running = phone
        .command(handset())
        .args(["--kind", "termux", "--url", &format!("{}/alert/phone", desk.url)])
        .stderr(log)
        .spawn()
        .unwrap();
    status(&desk, r#""backend":"termux""#);
    assert!(phone.path(".local/state/autocall/handset.journal").exists());
    running.kill().unwrap();
    running.wait().unwrap();
}

#[test]
fn it_starts_with_the_phone() {
    let (desk, phone) = (with_commands(Vec::new()), FakePhone::new("13"));
    let done = phone.command(handset()).arg("install-boot").arg("--config").arg(phone.config(&desk.url)).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let script = std::fs::read_to_string(phone.path(".termux/boot/10-autocall")).unwrap();
    assert!(script.contains("termux-wake-lock") && script.contains("handset.toml"), "{script}");
}
