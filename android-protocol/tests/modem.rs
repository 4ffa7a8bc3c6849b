//! A modem as a handset: the whole agent in this process, a simulated modem behind a pseudo-terminal, and a server of a few lines.
#![cfg(feature = "agent")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

#[expect(dead_code, reason = "tests that block wait in another way")]
mod support;

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use android_protocol::{
    client,
    driver::{
        drive,
        line::Line,
        scribe::{Scribe, journal_of},
    },
    modem::{
        dialect::Dialect,
        line::{
            ModemLine, check,
            config::{AnswerWord, Modem},
        },
        pdu::{Stamp, deliver::Deliver, user::Part},
        simulator::{Callee, FakeModem, Manner},
    },
    native::NativeSettings,
    termux::check::Grade,
    wire::{
        ACCEPTED_BODY, CallOutcome, CommandKind, EndedBy, FailureDetail, IDLE_BODY, InboundText, NativeOffer, NativeReport,
        OfferedCall, OutboxResult, Status,
    },
};
use support::Desk;
use tokio::task::JoinHandle;

const A: &str = "13900000001";
const B: &str = "13900000002";

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Numbers, and how many seconds each may ring.
fn offer(mid: &str, numbers: &[(&str, u64)]) -> NativeOffer {
    let call = |&(number, ring): &(&str, u64)| OfferedCall {
        number: number.to_owned(),
        ring_seconds: Some(ring),
        ..OfferedCall::default()
    };
    NativeOffer {
        phone: numbers.iter().map(|(number, _)| (*number).to_owned()).collect(),
        mid: mid.to_owned(),
        deadline: Some(600),
        calls: numbers.iter().map(call).collect(),
        ..NativeOffer::default()
    }
}

/// Waits until something is there, while the handset goes on.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..6000 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(ms(20)).await;
    }
    panic!("in vain: {what}")
}

/// A server that has these alarms, one after the other.
fn alarms(offers: Vec<NativeOffer>) -> Desk {
    let offers = Mutex::new(VecDeque::from(offers));
    Desk::open(move |request| {
        let mut offers = offers.lock().unwrap();
        if let Some(query) = request.path.strip_prefix("/alert/phone?mid=") {
            let mid = query.split('&').next().unwrap_or_default();
            offers.retain(|offer| offer.mid != mid);
            return (200, ACCEPTED_BODY.to_owned());
        }
        match offers.front() {
            Some(offer) if request.path.starts_with("/alert/phone?wait") => (200, offer.to_body()),
            _ if request.path.starts_with("/outbox") || request.path.starts_with("/alert") => (200, IDLE_BODY.to_owned()),
            _ => (200, ACCEPTED_BODY.to_owned()),
        }
    })
}

fn reports(desk: &Desk) -> Vec<NativeReport> {
    desk.bodies("/alert/phone?mid=").iter().filter_map(|body| NativeReport::parse(body.as_bytes())).collect()
}

fn outcomes(desk: &Desk) -> Vec<CallOutcome> {
    reports(desk).iter().flat_map(|report| report.calls.clone()).filter_map(|call| call.outcome).collect()
}

fn line(modem: &FakeModem, state: &Path, change: impl FnOnce(&mut Modem)) -> ModemLine {
    let mut settings = Modem::at(modem.path());
    change(&mut settings);
    ModemLine::start(settings, state.to_owned()).unwrap()
}

/// The whole handset; it ends when it is aborted, as if it were killed.
async fn agent(line: ModemLine, state: &Path, desk: &Desk) -> JoinHandle<()> {
    let (journal, past) = eventually("the journal", async || Scribe::open(state).ok()).await;
    let mut settings = NativeSettings::new(&desk.url);
    settings.wait = Duration::ZERO;
    let client = client::builder().build().unwrap();
    tokio::spawn(drive(Arc::new(line), journal, past, settings, client, std::future::pending()))
}

async fn kill(agent: JoinHandle<()>) {
    agent.abort();
    assert!(agent.await.is_err_and(|why| why.is_cancelled()));
}

async fn ready(line: &ModemLine) {
    eventually("a modem that is ready", async || line.trouble().is_none().then_some(())).await;
}

/// What becomes of a call to each kind of callee, by the report.
async fn every_outcome(manner: Manner) {
    use CallOutcome as O;
    let dialect = manner.dialect;
    let folder = tempfile::tempdir().unwrap();
    let (busy, declines, away, rings, nowhere) = ("13900000003", "13900000004", "13900000005", "13900000006", "13900000007");
    let unknown = "13900000008";
    let answers = Callee::Answers { after: ms(300), talks: None };
    let manner = manner
        .with(A, answers)
        .with(busy, Callee::Busy)
        .with(declines, Callee::Declines)
        .with(away, Callee::Away)
        .with(unknown, Callee::Unknown)
        .with(nowhere, Callee::NoNetwork);
    let modem = FakeModem::plug_in(folder.path(), manner).unwrap();
    // The last of them answers, so that all of them are rung.
    let numbers = [(nowhere, 100), (busy, 100), (declines, 100), (away, 100), (unknown, 100), (rings, 4), (A, 100)];
    let desk = alarms(vec![offer("m1", &numbers)]);
    let _agent = agent(line(&modem, folder.path(), |_| {}), folder.path(), &desk).await;
    eventually("the word that A picked up", async || {
        desk.bodies("/progress").iter().any(|body| body.contains("connected")).then_some(())
    })
    .await;
    modem.hang_up();
    eventually("the report", async || (!reports(&desk).is_empty()).then_some(())).await;
    let wanted = [O::Failed, O::Busy, O::Rejected, O::NoAnswer, O::Failed, O::NoAnswer, O::Answered];
    assert_eq!(outcomes(&desk), wanted, "{dialect:?}");
    let calls = &reports(&desk)[0].calls;
    let (us, callee, network) = (Some(EndedBy::Us), Some(EndedBy::Callee), Some(EndedBy::Network));
    let ended_by: Vec<_> = calls[1..].iter().map(|call| call.ended_by).collect();
    assert_eq!(ended_by, [callee, callee, network, network, us, callee], "{dialect:?}");
    let details: Vec<_> = calls.iter().map(|call| call.detail).collect();
    let (away, unknown) = (Some(FailureDetail::Unreachable), Some(FailureDetail::BadNumber));
    assert_eq!(details, [None, None, None, away, unknown, None, None], "{dialect:?}: none of it is the line's fault");
    let declined = calls[2].cause.as_ref().and_then(|cause| cause.q850);
    assert_eq!(declined, Some(21), "{dialect:?}: by nothing else a modem tells that from busy");
    let (rang, answered) = (&calls[5], &calls[6]);
    assert!(rang.connected_ms.is_none() && rang.ended_ms.is_some_and(|ms| ms >= 4000), "{dialect:?}: {rang:?}");
    assert!(answered.connected_ms.is_some() && answered.connected_ms <= answered.ended_ms, "{dialect:?}: {answered:?}");
    for (number, _) in numbers {
        assert_eq!(modem.dials_to(number), 1, "{dialect:?} {number}");
    }
    assert_eq!(modem.faults(), [""; 0], "{dialect:?}");
}

#[tokio::test]
async fn every_outcome_of_a_sim800_in_pieces() {
    every_outcome(Manner { in_pieces: true, ..Manner::of(Dialect::Sim800) }).await;
}

#[tokio::test]
async fn every_outcome_of_a_sim7600_with_noise() {
    every_outcome(Manner { noisy: true, ..Manner::of(Dialect::Sim7600) }).await;
}

#[tokio::test]
async fn every_outcome_of_a_quectel_that_refuses_what_it_may() {
    let refuses = ["AT+CEREG=1", "AT+CVHU=0", "AT+CSSN", "AT+QTONEDET"].map(|text| (text.to_owned(), "+CME ERROR: 3".to_owned()));
    every_outcome(Manner { refuses: refuses.into(), ..Manner::of(Dialect::Quectel) }).await;
}

#[tokio::test]
async fn every_outcome_of_a_huawei() {
    every_outcome(Manner::of(Dialect::Huawei)).await;
}

#[tokio::test]
async fn every_outcome_where_all_news_are_lost() {
    every_outcome(Manner { loses_news: true, noisy: true, in_pieces: true, ..Manner::of(Dialect::Generic) }).await;
}

#[tokio::test]
async fn killed_while_it_rings_it_follows_the_call_and_dials_nobody_twice() {
    let folder = tempfile::tempdir().unwrap();
    let modem = FakeModem::plug_in(folder.path(), Manner::of(Dialect::Quectel)).unwrap();
    let desk = alarms(vec![offer("m1", &[(A, 300)])]);
    let first = agent(line(&modem, folder.path(), |_| {}), folder.path(), &desk).await;
    eventually("the dial", async || modem.calls()).await;
    kill(first).await;
    let _second = agent(line(&modem, folder.path(), |_| {}), folder.path(), &desk).await;
    eventually("the second start", async || {
        (modem.commands().iter().filter(|text| *text == "AT+CGMI").count() == 2).then_some(())
    })
    .await;
    modem.pick_up();
    eventually("the answer", async || modem.talks().then_some(())).await;
    eventually("the word of it", async || desk.bodies("/progress").iter().any(|body| body.contains("connected")).then_some(()))
        .await;
    modem.hang_up();
    eventually("the report", async || (!reports(&desk).is_empty()).then_some(())).await;
    assert_eq!(outcomes(&desk), [CallOutcome::Answered]);
    assert_eq!(modem.dials_to(A), 1);
}

#[tokio::test]
async fn a_call_that_ended_while_the_handset_was_away_is_not_dialled_again() {
    let folder = tempfile::tempdir().unwrap();
    let modem = FakeModem::plug_in(folder.path(), Manner::of(Dialect::Generic)).unwrap();
    let desk = alarms(vec![offer("m1", &[(A, 300)])]);
    let first = agent(line(&modem, folder.path(), |_| {}), folder.path(), &desk).await;
    eventually("the dial", async || modem.calls()).await;
    kill(first).await;
    modem.plug(false);
    modem.plug(true);
    let _second = agent(line(&modem, folder.path(), |_| {}), folder.path(), &desk).await;
    eventually("the report", async || (!reports(&desk).is_empty()).then_some(())).await;
    assert_eq!(outcomes(&desk), [CallOutcome::NoAnswer]);
    assert_eq!(modem.dials_to(A), 1);
}

#[tokio::test]
async fn an_answer_is_not_lost_with_the_process_that_saw_it() {
    let folder = tempfile::tempdir().unwrap();
    let answers = Callee::Answers { after: ms(100), talks: None };
    let modem = FakeModem::plug_in(folder.path(), Manner::of(Dialect::Sim7600).with(A, answers)).unwrap();
    let desk = alarms(vec![offer("m1", &[(A, 300)])]);
    let first = agent(line(&modem, folder.path(), |_| {}), folder.path(), &desk).await;
    eventually("the note", async || {
        std::fs::read_to_string(journal_of(folder.path())).ok().filter(|journal| journal.contains("\"connected\""))
    })
    .await;
    kill(first).await;
    modem.hang_up();
    eventually("the end", async || modem.calls().is_none().then_some(())).await;
    let _second = agent(line(&modem, folder.path(), |_| {}), folder.path(), &desk).await;
    eventually("the report", async || (!reports(&desk).is_empty()).then_some(())).await;
    assert_eq!((outcomes(&desk), modem.dials_to(A)), (vec![CallOutcome::Answered], 1));
}

#[tokio::test]
async fn after_a_restart_a_call_that_rings_too_long_is_hung_up() {
    let folder = tempfile::tempdir().unwrap();
    let modem = FakeModem::plug_in(folder.path(), Manner::of(Dialect::Sim800)).unwrap();
    let desk = alarms(vec![offer("m1", &[(A, 3)])]);
    let first = agent(line(&modem, folder.path(), |_| {}), folder.path(), &desk).await;
    eventually("the dial", async || modem.calls()).await;
    kill(first).await;
    let _second = agent(line(&modem, folder.path(), |_| {}), folder.path(), &desk).await;
    eventually("the report", async || (!reports(&desk).is_empty()).then_some(())).await;
    assert_eq!((outcomes(&desk), modem.calls(), modem.dials_to(A)), (vec![CallOutcome::NoAnswer], None, 1));
}

#[tokio::test]
async fn while_a_stranger_calls_nobody_is_dialled() {
    let folder = tempfile::tempdir().unwrap();
    let modem = FakeModem::plug_in(folder.path(), Manner::of(Dialect::Sim7600)).unwrap();
    modem.stranger(true);
    let desk = alarms(vec![offer("m1", &[(A, 5)])]);
    let line = line(&modem, folder.path(), |_| {});
    ready(&line).await;
    let _agent = agent(line, folder.path(), &desk).await;
    eventually("the report", async || (!reports(&desk).is_empty()).then_some(())).await;
    assert_eq!((outcomes(&desk), modem.dials_to(A)), (vec![CallOutcome::NotDialled], 0));
}

#[tokio::test]
async fn a_stranger_who_gives_up_does_not_end_our_call() {
    let folder = tempfile::tempdir().unwrap();
    let modem = FakeModem::plug_in(folder.path(), Manner::of(Dialect::Sim7600)).unwrap();
    let desk = alarms(vec![offer("m1", &[(A, 300)])]);
    let line = line(&modem, folder.path(), |_| {});
    let busy = line.knows_of_strangers();
    let _agent = agent(line, folder.path(), &desk).await;
    eventually("the dial", async || modem.calls()).await;
    modem.stranger(true);
    eventually("that it is seen", async || busy().then_some(())).await;
    modem.stranger(false);
    eventually("that it is gone", async || (!busy()).then_some(())).await;
    modem.pick_up();
    eventually("the word of it", async || desk.bodies("/progress").iter().any(|body| body.contains("connected")).then_some(()))
        .await;
    modem.hang_up();
    eventually("the report", async || (!reports(&desk).is_empty()).then_some(())).await;
    assert_eq!(outcomes(&desk), [CallOutcome::Answered]);
}

#[tokio::test]
async fn where_connected_comes_early_ringing_is_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let early = Callee::Answers { after: ms(100), talks: None };
    let modem = FakeModem::plug_in(folder.path(), Manner::of(Dialect::Sim7600).with(A, early)).unwrap();
    let desk = alarms(vec![offer("m1", &[(A, 2)])]);
    let line = line(&modem, folder.path(), |settings| settings.answer_detection = AnswerWord::Early);
    let _agent = agent(line, folder.path(), &desk).await;
    eventually("the report", async || (!reports(&desk).is_empty()).then_some(())).await;
    assert_eq!(outcomes(&desk), [CallOutcome::NoAnswer]);
}

#[tokio::test]
async fn unplugged_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let answers = Callee::Answers { after: ms(100), talks: Some(ms(100)) };
    let modem = FakeModem::plug_in(folder.path(), Manner::of(Dialect::Sim800).with(A, answers)).unwrap();
    let line = line(&modem, folder.path(), |_| {});
    ready(&line).await;
    modem.plug(false);
    eventually("that it is missed", async || line.trouble().filter(|why| why.contains("plugged in"))).await;
    assert!(line.prepare(A).await.is_err());
    modem.plug(true);
    ready(&line).await;
    let desk = alarms(vec![offer("m1", &[(A, 5)])]);
    let _agent = agent(line, folder.path(), &desk).await;
    eventually("the report", async || (!reports(&desk).is_empty()).then_some(())).await;
    assert_eq!(outcomes(&desk), [CallOutcome::Answered]);
}

#[tokio::test]
async fn a_pin_is_tried_once_however_often_the_program_starts() {
    let folder = tempfile::tempdir().unwrap();
    let modem = FakeModem::plug_in(folder.path(), Manner { pin: Some("1234".into()), ..Manner::of(Dialect::Generic) }).unwrap();
    let tries = || modem.commands().iter().filter(|text| text.starts_with("AT+CPIN=")).count();
    for _ in 0..3 {
        let line = line(&modem, folder.path(), |settings| settings.pin = Some("9999".into()));
        eventually("a refusal", async || line.trouble().filter(|why| why.contains("did not take the PIN"))).await;
    }
    assert_eq!(tries(), 1);
    let line = line(&modem, folder.path(), |settings| settings.pin = Some("1234".into()));
    ready(&line).await;
    assert_eq!(tries(), 2);
    assert!(!folder.path().join("modem-pin-tried").exists());
}

#[tokio::test]
async fn a_modem_that_is_stuck_gets_the_reset_command_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let modem = FakeModem::plug_in(folder.path(), Manner { silent: true, ..Manner::of(Dialect::Huawei) }).unwrap();
    let reset = folder.path().join("was-reset");
    let line = line(&modem, folder.path(), |settings| {
        settings.speed = 40.0;
        settings.reset_command = vec!["touch".into(), reset.to_string_lossy().into_owned()];
    });
    eventually("the reset command", async || reset.exists().then_some(())).await;
    eventually("that it is stuck", async || (line.status().await.modem.as_deref() == Some("stuck")).then_some(())).await;
    assert!(modem.commands().iter().any(|text| text == "AT+CFUN=1,1"));
    modem.behave(|manner| manner.silent = false);
    ready(&line).await;
    assert_eq!(line.status().await.modem.as_deref(), Some("ready"));
}

#[tokio::test]
async fn how_it_is_goes_to_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let modem = FakeModem::plug_in(folder.path(), Manner::of(Dialect::Quectel)).unwrap();
    let line = line(&modem, folder.path(), |settings| {
        settings.credit_code = Some("*100#".into());
        settings.speed = 5.0;
    });
    let status = eventually("the credit", async || Some(line.status().await).filter(|status| status.credit.is_some())).await;
    assert_eq!(status.credit.as_deref(), Some("余额1250"));
    let Status { network, signal_dbm, backend, .. } = Status::parse(status.to_body().as_bytes()).unwrap();
    assert_eq!((network.as_deref(), signal_dbm, backend.as_deref()), (Some("Test Mobile 4G"), Some(-79), Some("modem")));
    eventually("the usual alphabet", async || modem.commands().iter().any(|text| text == "AT+CSCS=\"IRA\"").then_some(())).await;
}

async fn carry_out(line: &ModemLine, kind: CommandKind) -> OutboxResult {
    ready(line).await;
    line.carry_out(&kind).await
}

#[tokio::test]
async fn a_forwarding_is_set_and_the_network_asked_whether_it_is_so() {
    let folder = tempfile::tempdir().unwrap();
    let modem = FakeModem::plug_in(folder.path(), Manner::of(Dialect::Sim7600)).unwrap();
    let line = line(&modem, folder.path(), |_| {});
    let forward = async |code: &str| carry_out(&line, CommandKind::Forward { code: code.into() }).await;
    let set = forward("**21*+8613900000001#").await;
    let network = set.network.unwrap();
    assert_eq!((set.ok, network.active, network.number.as_deref()), (true, true, Some("+8613900000001")));
    assert_eq!(modem.forwards_to().as_deref(), Some("+8613900000001"));
    let asked = forward("*#21#").await;
    assert_eq!((asked.ok, asked.network.map(|network| network.active)), (true, Some(true)));
    let cancelled = forward("##21#").await;
    assert_eq!((cancelled.ok, cancelled.network.map(|network| network.active)), (true, Some(false)));
    // A network that says yes and does nothing is not believed.
    modem.behave(|manner| manner.forwards = false);
    let ignored = forward("**21*13900000001#").await;
    assert_eq!((ignored.ok, ignored.network.map(|network| network.active)), (false, Some(false)));
    modem.behave(|manner| manner.refuses.push(("AT+CCFC".into(), "+CME ERROR: 30".into())));
    let refused = forward("**21*13900000001#").await;
    assert_eq!((refused.ok, refused.error.as_deref()), (false, Some("cme 30")));
    assert!(!forward("*7213900000001").await.ok, "a code of another kind of network");
}

#[tokio::test]
async fn a_text_is_sent_in_parts_and_the_word_of_its_delivery_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let modem = FakeModem::plug_in(folder.path(), Manner { in_pieces: true, ..Manner::of(Dialect::Sim800) }).unwrap();
    let line = line(&modem, folder.path(), |_| {});
    let text = "今天你值班。".repeat(20);
    let sent = carry_out(&line, CommandKind::Sms { number: "+8613900000001".into(), text: text.clone() }).await;
    assert!(
        sent.ok && sent.detail.as_deref().is_some_and(|detail| detail.contains("2 parts") && detail.contains("delivered")),
        "{sent:?}"
    );
    let parts = modem.sent();
    assert_eq!(parts.iter().map(|(_, piece)| piece.as_str()).collect::<String>(), text);
    assert!(parts.iter().all(|(number, _)| number == "+8613900000001"));
    eventually("the reports gone from the SIM", async || (modem.stored() == 0).then_some(())).await;
    modem.behave(|manner| manner.refuses.push(("AT+CMGS".into(), "+CMS ERROR: 21".into())));
    let refused = carry_out(&line, CommandKind::Sms { number: B.into(), text: "x".into() }).await;
    assert!(!refused.ok && refused.detail.as_deref().is_some_and(|detail| detail.contains("rejected")), "{refused:?}");
    assert_eq!(modem.faults(), [""; 0]);
}

fn text_from(from: &str, text: &str, part: Option<(u8, u8)>) -> String {
    let part = part.map(|(number, of)| Part { reference: 300, wide: true, of, number });
    let at = Stamp { fields: [26, 11, 28, 13, 0, 0], zone_minutes: 480 };
    Deliver { from: from.into(), at, text: text.into(), part }.to_digits().unwrap()
}

#[tokio::test]
async fn a_text_that_came_stays_on_the_sim_until_the_server_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let modem = FakeModem::plug_in(folder.path(), Manner::of(Dialect::Quectel)).unwrap();
    // One came while nobody was there.
    modem.receive(1, &text_from("+8613900000009", "STOP", None));
    let line = line(&modem, folder.path(), |_| {});
    let first = eventually("the text", async || line.texts().await.first().cloned()).await;
    assert_eq!((first.from.as_str(), first.text.as_str(), first.parts), ("+8613900000009", "STOP", Some(1)));
    modem.receive(7, &text_from("Operator", "班。", Some((2, 2))));
    modem.receive(3, &text_from("Operator", "今天你值", Some((1, 2))));
    let both = eventually("the other", async || Some(line.texts().await).filter(|texts| texts.len() == 2)).await;
    assert_eq!(
        (both[1].text.as_str(), both[1].parts, both[1].received_at.as_deref()),
        ("今天你值班。", Some(2), Some("2026-11-28T13:00:00+08:00"))
    );
    assert_eq!(modem.stored(), 3);
    line.text_taken(&both[1]).await;
    eventually("its parts gone", async || (modem.stored() == 1).then_some(())).await;
    line.text_taken(&first).await;
    eventually("the rest gone", async || (modem.stored() == 0).then_some(())).await;
    assert_eq!(line.texts().await, Vec::<InboundText>::new());
}

#[tokio::test]
async fn a_server_that_takes_no_texts_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let modem = FakeModem::plug_in(folder.path(), Manner::of(Dialect::Generic)).unwrap();
    modem.receive(1, &text_from("+8613900000009", "STOP", None));
    let desk = Desk::open(|request| match request.path.as_str() {
        "/inbound" => (404, "{}".to_owned()),
        path if path.starts_with("/alert") || path.starts_with("/outbox") => (200, IDLE_BODY.to_owned()),
        _ => (200, ACCEPTED_BODY.to_owned()),
    });
    let line = line(&modem, folder.path(), |_| {});
    eventually("the text", async || line.texts().await.first().cloned()).await;
    let _agent = agent(line, folder.path(), &desk).await;
    let posted = eventually("the post", async || desk.bodies("/inbound").first().cloned()).await;
    assert!(posted.contains("STOP"), "{posted}");
    assert_eq!(modem.stored(), 1);
    assert!(!modem.commands().iter().any(|text| text.starts_with("AT+CMGD")));
}

#[tokio::test]
async fn check_says_what_works_and_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let answers = Callee::Answers { after: ms(100), talks: Some(ms(200)) };
    let modem = FakeModem::plug_in(folder.path(), Manner::of(Dialect::Sim7600).with(A, answers)).unwrap();
    let line = line(&modem, folder.path(), |_| {});
    let found = check::modem(&line).await;
    assert!(found.iter().all(|finding| finding.grade == Grade::Good), "{found:?}");
    let mut told = Vec::new();
    let called = check::call(&line, A, Duration::from_secs(20), |step| told.push(step.to_owned())).await;
    assert_eq!(called.grade, Grade::Good, "{called:?}");
    assert!(told.iter().any(|step| step.contains("dialling")), "{told:?}");
}
