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
    native::{NativeSettings, Seen, Unfinished},
    phone::CallState,
    termux::check::Grade,
    voice::script::Script,
    wire::{
        ACCEPTED_BODY, CallOutcome, CommandKind, Delivery, EndedBy, FailureDetail, IDLE_BODY, InboundText, NativeOffer,
        NativeReport, OfferedCall, Outbox, OutboxCommand, OutboxResult, Progress, Status,
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
    alarms_to_come(&Arc::new(Mutex::new(VecDeque::from(offers))))
}

/// The same, with more to come.
fn alarms_to_come(offers: &Arc<Mutex<VecDeque<NativeOffer>>>) -> Desk {
    let offers = Arc::clone(offers);
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
async fn a_stranger_who_gives_up_while_the_calls_are_asked_for_does_not_end_ours() {
    let folder = tempfile::tempdir().unwrap();
    let modem = FakeModem::plug_in(folder.path(), Manner::of(Dialect::Sim7600)).unwrap();
    let desk = alarms(vec![offer("m1", &[(A, 300)])]);
    let line = line(&modem, folder.path(), |_| {});
    let busy = line.knows_of_strangers();
    let _agent = agent(line, folder.path(), &desk).await;
    eventually("the dial", async || modem.calls()).await;
    modem.stranger(true);
    eventually("that it is seen", async || busy().then_some(())).await;
    modem.stranger_leaves_while_asked();
    eventually("that it is gone", async || (!busy()).then_some(())).await;
    modem.pick_up();
    eventually("the word of it, or the report", async || {
        let told = desk.bodies("/progress").iter().any(|body| body.contains("connected"));
        (told || !reports(&desk).is_empty()).then_some(())
    })
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
    line.carry_out(&kind).await.result
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

/// What the network has said of texts: numbers of parts, and what became of them.
async fn told(line: &ModemLine, count: usize) -> Vec<(u8, Delivery)> {
    let mut told = eventually("the reports", async || Some(line.told()).filter(|told| told.len() == count)).await;
    told.sort_by_key(|one| one.reference);
    told.into_iter().map(|one| (one.reference, one.delivery)).collect()
}

#[tokio::test]
async fn a_text_is_sent_in_parts_and_the_word_of_its_delivery_kept() {
    let folder = tempfile::tempdir().unwrap();
    let modem = FakeModem::plug_in(folder.path(), Manner { in_pieces: true, ..Manner::of(Dialect::Sim800) }).unwrap();
    let line = line(&modem, folder.path(), |settings| settings.speed = 10.0);
    ready(&line).await;
    let text = "今天你值班。".repeat(20);
    let sent = line.carry_out(&CommandKind::Sms { number: "+8613900000001".into(), text: text.clone() }).await;
    assert!(sent.result.ok && sent.result.detail.as_deref() == Some("sent in 2 parts"), "{sent:?}");
    assert_eq!(sent.references, [1, 2]);
    let parts = modem.sent();
    assert_eq!(parts.iter().map(|(_, piece)| piece.as_str()).collect::<String>(), text);
    assert!(parts.iter().all(|(number, _)| number == "+8613900000001"));
    assert_eq!(told(&line, 2).await, [(1, Delivery::Delivered), (2, Delivery::Delivered)]);
    assert_eq!(modem.stored(), 2, "they stay until they are written down");
    for one in line.told() {
        line.told_taken(&one).await;
    }
    eventually("the reports gone from the SIM", async || (modem.stored() == 0).then_some(())).await;
    assert_eq!(line.told(), []);
    modem.behave(|manner| manner.refuses.push(("AT+CMGS".into(), "+CMS ERROR: 21".into())));
    let refused = carry_out(&line, CommandKind::Sms { number: B.into(), text: "x".into() }).await;
    assert!(!refused.ok && refused.detail.as_deref().is_some_and(|detail| detail.contains("rejected")), "{refused:?}");
    assert_eq!(modem.faults(), [""; 0]);
}

#[tokio::test]
async fn the_word_of_a_report_that_comes_while_another_is_read_is_not_missed() {
    let folder = tempfile::tempdir().unwrap();
    let modem = FakeModem::plug_in(folder.path(), Manner { reports_in_turn: true, ..Manner::of(Dialect::Sim7600) }).unwrap();
    let line = line(&modem, folder.path(), |settings| settings.speed = 10.0);
    carry_out(&line, CommandKind::Sms { number: A.into(), text: "今天你值班。".repeat(20) }).await;
    assert_eq!(told(&line, 2).await, [(1, Delivery::Delivered), (2, Delivery::Delivered)]);
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

fn polls(desk: &Desk) -> usize {
    desk.bodies("/alert/phone?wait").len()
}

#[tokio::test]
async fn unplugged_at_rest_it_leaves_alarms_to_others_until_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let answers = Callee::Answers { after: ms(100), talks: Some(ms(100)) };
    let modem = FakeModem::plug_in(folder.path(), Manner::of(Dialect::Quectel).with(A, answers)).unwrap();
    let offers = Arc::default();
    let desk = alarms_to_come(&offers);
    let _agent = agent(line(&modem, folder.path(), |_| {}), folder.path(), &desk).await;
    eventually("the first poll", async || (polls(&desk) > 0).then_some(())).await;
    modem.plug(false);
    let says = async |what: &str| {
        eventually(what, async || desk.bodies("/status").last().is_some_and(|body| body.contains(what)).then_some(())).await;
    };
    says("plugged in").await;
    // Whoever asks now is given an alarm that it cannot ring for.
    let before = polls(&desk);
    offers.lock().unwrap().push_back(offer("m1", &[(A, 20)]));
    // It takes a few seconds to come back.
    let asks = || modem.commands().iter().filter(|text| *text == "AT+CPIN?").count();
    let asked = asks();
    modem.behave(|manner| manner.refuses.push(("AT+CPIN?".to_owned(), "+CME ERROR: 14".to_owned())));
    modem.plug(true);
    eventually("that the SIM is read", async || (asks() >= asked + 5).then_some(())).await;
    modem.behave(|manner| manner.refuses.clear());
    says("\"modem\":\"ready\"").await;
    eventually("the report", async || (!reports(&desk).is_empty()).then_some(())).await;
    assert_eq!((outcomes(&desk), modem.dials_to(A)), (vec![CallOutcome::Answered], 1));
    assert!(polls(&desk) > before);
}

#[tokio::test]
async fn without_a_network_it_cannot_dial_and_soon_knows_when_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let modem = FakeModem::plug_in(folder.path(), Manner { registered: false, ..Manner::of(Dialect::Generic) }).unwrap();
    let line = line(&modem, folder.path(), |settings| settings.speed = 5.0);
    assert!(!line.can_dial(), "before it has said anything");
    eventually("its word", async || line.registration()).await;
    assert_eq!((line.trouble(), line.can_dial()), (None, false));
    modem.behave(|manner| manner.registered = true);
    eventually("a line that works", async || line.can_dial().then_some(())).await;
    modem.behave(|manner| manner.registered = false);
    eventually("that it works no more", async || (!line.can_dial()).then_some(())).await;
    // One that does not tell is believed in.
    modem.behave(|manner| manner.refuses.extend(["AT+CREG?", "AT+CEREG?"].map(|text| (text.to_owned(), "ERROR".to_owned()))));
    eventually("a line that may work", async || line.can_dial().then_some(())).await;
    // Somebody took the SIM out.
    modem.behave(|manner| manner.refuses = vec![("AT+CREG?".to_owned(), "+CME ERROR: 10".to_owned())]);
    modem.behave(|manner| manner.registered = false);
    eventually("that there is no SIM", async || (!line.can_dial()).then_some(())).await;
}

#[tokio::test]
async fn what_is_no_modem_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let modem = FakeModem::plug_in(folder.path(), Manner { garbage: true, ..Manner::of(Dialect::Generic) }).unwrap();
    let reset = folder.path().join("was-reset");
    let line = line(&modem, folder.path(), |settings| {
        settings.speed = 40.0;
        settings.reset_command = vec!["touch".into(), reset.to_string_lossy().into_owned()];
    });
    eventually("a dozen questions", async || (modem.commands().len() >= 12).then_some(())).await;
    assert!(!modem.commands().iter().any(|text| text.starts_with("AT+CFUN")), "{:?}", modem.commands());
    assert!(!reset.exists() && !line.can_dial());
    eventually("its name", async || line.trouble().filter(|why| why.contains("does not speak AT commands"))).await;
    // The right one is put there.
    modem.behave(|manner| manner.garbage = false);
    ready(&line).await;
}

#[tokio::test]
async fn a_call_of_ours_that_was_given_up_does_not_keep_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let modem = FakeModem::plug_in(folder.path(), Manner { holds_calls: true, ..Manner::of(Dialect::Generic) }).unwrap();
    let line = line(&modem, folder.path(), |settings| settings.speed = 30.0);
    ready(&line).await;
    line.prepare(A).await.unwrap();
    line.dial(A).await.unwrap();
    eventually("the call", async || modem.calls()).await;
    modem.plug(false);
    let call = Unfinished { number: A, started: ms(0), ring: ms(100), recovered: false };
    eventually("that it is given up", async || {
        matches!(line.look(ms(0), &call, None).await, Seen::Call(CallState::Ended { .. })).then_some(())
    })
    .await;
    modem.plug(true);
    ready(&line).await;
    assert_eq!(modem.calls().as_deref(), Some(A), "it runs all the same");
    assert_eq!(line.prepare(B).await.err(), None);
    assert_eq!(modem.calls(), None);
    // A stranger's call is nobody's to end.
    modem.stranger(true);
    assert!(line.prepare(B).await.is_err());
}

fn with_keys(offer: NativeOffer, keys: &[(&str, &str)]) -> NativeOffer {
    let keys = keys.iter().map(|(key, action)| ((*key).to_owned(), (*action).to_owned())).collect();
    let script = Script { keys, ..Script::default() };
    let calls = offer.calls.into_iter().map(|call| OfferedCall { script: Some(script.clone()), ..call }).collect();
    NativeOffer { calls, ..offer }
}

/// The keys that were told while the call ran: which, what it means, and its place.
fn keys_told(desk: &Desk) -> Vec<(Option<String>, Option<String>, Option<u64>)> {
    let told = desk.bodies("/progress").into_iter().filter_map(|body| Progress::parse(body.as_bytes()));
    told.filter(|progress| progress.event.as_deref() == Some("key")).map(|told| (told.key, told.action, told.seq)).collect()
}

#[tokio::test]
async fn keys_that_a_modem_hears_are_told_and_stand_in_the_report() {
    for dialect in [Dialect::Sim800, Dialect::Sim7600, Dialect::Quectel] {
        let folder = tempfile::tempdir().unwrap();
        let modem = FakeModem::plug_in(folder.path(), Manner::of(dialect)).unwrap();
        let desk = alarms(vec![offer("m1", &[(A, 100)])]);
        let _agent = agent(line(&modem, folder.path(), |_| {}), folder.path(), &desk).await;
        eventually("the dial", async || modem.calls()).await;
        modem.pick_up();
        eventually("the answer", async || desk.bodies("/progress").iter().any(|body| body.contains("connected")).then_some(()))
            .await;
        modem.press('1');
        eventually("the key", async || (keys_told(&desk).len() == 1).then_some(())).await;
        modem.press('#');
        eventually("the next", async || (keys_told(&desk).len() == 2).then_some(())).await;
        assert_eq!(keys_told(&desk), [(Some("1".into()), None, Some(1)), (Some("#".into()), None, Some(2))], "{dialect:?}");
        modem.hang_up();
        let report = eventually("the report", async || reports(&desk).pop()).await;
        let call = &report.calls[0];
        // Nobody was told what a key means, so none means anything.
        let said = (call.outcome, call.keys.as_deref(), call.action.as_deref(), call.confirmed, call.declined);
        assert_eq!(said, (Some(CallOutcome::Answered), Some("1#"), None, None, false), "{dialect:?}");
    }
}

#[tokio::test]
async fn a_key_that_means_something_decides_and_ends_the_call() {
    for (key, action, confirmed, declined) in [('1', "accept", Some(true), false), ('2', "decline", Some(true), true)] {
        let folder = tempfile::tempdir().unwrap();
        let modem = FakeModem::plug_in(folder.path(), Manner::of(Dialect::Quectel)).unwrap();
        let asked = with_keys(offer("m1", &[(A, 100), (B, 100)]), &[("1", "accept"), ("2", "decline")]);
        let desk = alarms(vec![asked]);
        let _agent = agent(line(&modem, folder.path(), |_| {}), folder.path(), &desk).await;
        eventually("the dial", async || modem.calls()).await;
        modem.pick_up();
        eventually("the answer", async || modem.talks().then_some(())).await;
        modem.press('9');
        modem.press(key);
        let report = eventually("the report", async || reports(&desk).pop()).await;
        let call = &report.calls[0];
        let keys = format!("9{key}");
        let said = (call.outcome, call.keys.as_deref(), call.action.as_deref(), call.confirmed, call.declined, call.ended_by);
        let wanted = (Some(CallOutcome::Answered), Some(keys.as_str()), Some(action), confirmed, declined, Some(EndedBy::Us));
        assert_eq!(said, wanted);
        assert_eq!(keys_told(&desk).last().cloned(), Some((Some(key.into()), Some(action.into()), Some(2))));
        assert_eq!((modem.calls(), modem.dials_to(B)), (None, 0));
        let journal = std::fs::read_to_string(journal_of(folder.path())).unwrap();
        assert!(journal.contains(&format!("\"key\":\"{key}\"")), "{journal}");
    }
}

/// A server that has these texts to send, and no alarm.
fn texts_to_send(texts: &[(&str, &str, &str)]) -> Desk {
    let sms = |&(id, number, text): &(&str, &str, &str)| OutboxCommand {
        id: id.to_owned(),
        kind: CommandKind::Sms { number: number.to_owned(), text: text.to_owned() },
    };
    let open = Mutex::new(texts.iter().map(sms).collect::<Vec<_>>());
    Desk::open(move |request| {
        let mut open = open.lock().unwrap();
        if let Some(id) = request.path.strip_prefix("/outbox/") {
            open.retain(|command| command.id != id);
        }
        match request.path.as_str() {
            path if path.starts_with("/outbox?") => (200, Outbox::new(open.clone()).to_body()),
            path if path.starts_with("/alert") => (200, IDLE_BODY.to_owned()),
            _ => (200, ACCEPTED_BODY.to_owned()),
        }
    })
}

#[tokio::test]
async fn what_the_network_says_late_about_a_text_is_a_second_result() {
    let folder = tempfile::tempdir().unwrap();
    let modem = FakeModem::plug_in(folder.path(), Manner { reports: false, ..Manner::of(Dialect::Sim7600) }).unwrap();
    let long = "今天你值班。".repeat(20);
    let desk = texts_to_send(&[("t1", A, &long), ("t2", B, "x"), ("t3", A, "x")]);
    let results = |id: &str| desk.bodies(&format!("/outbox/{id}"));
    let handset = agent(line(&modem, folder.path(), |settings| settings.speed = 10.0), folder.path(), &desk).await;
    for id in ["t1", "t2", "t3"] {
        let first = eventually("the first result", async || results(id).pop()).await;
        assert!(first.contains("\"ok\":true") && first.contains("sent") && !first.contains("deliver"), "{first}");
    }
    // The parts of a text in either order. One is told while nobody is there, and lies on the SIM.
    modem.report(2, 0);
    eventually("the report gone from the SIM", async || (modem.stored() == 0).then_some(())).await;
    kill(handset).await;
    modem.report(1, 0);
    let _handset = agent(line(&modem, folder.path(), |settings| settings.speed = 10.0), folder.path(), &desk).await;
    let told = eventually("the second result", async || results("t1").get(1).cloned()).await;
    assert!(told.contains("\"ok\":true") && told.contains("\"delivery\":\"delivered\""), "{told}");
    assert!(told.contains("\"delivery_at\":\"2026-11-28T12:00:00+08:00\""), "{told}");
    // That it is tried says nothing yet; and what is told twice, or against what was told, or of what was not sent from here, changes nothing.
    for (reference, status) in [(3, 48), (3, 70), (1, 0), (3, 0), (99, 70), (4, 0)] {
        modem.report(reference, status);
        eventually("the report gone from the SIM", async || (modem.stored() == 0).then_some(())).await;
    }
    let told = eventually("the second result", async || results("t2").get(1).cloned()).await;
    assert!(told.contains("\"ok\":false") && told.contains("\"delivery\":\"failed\""), "{told}");
    eventually("the second result of the last", async || results("t3").get(1).cloned()).await;
    assert_eq!([results("t1").len(), results("t2").len(), results("t3").len()], [2, 2, 2]);
}

#[tokio::test]
async fn a_text_that_is_kept_nowhere_is_passed_on_too() {
    let folder = tempfile::tempdir().unwrap();
    let modem = FakeModem::plug_in(folder.path(), Manner::of(Dialect::Generic)).unwrap();
    let line = line(&modem, folder.path(), |_| {});
    ready(&line).await;
    modem.flash(&text_from("+8613900000009", "STOP", None));
    let text = eventually("the text", async || line.texts().await.first().cloned()).await;
    assert_eq!((text.from.as_str(), text.text.as_str()), ("+8613900000009", "STOP"));
    // It stays until the server has it, whatever else comes.
    modem.receive(1, &text_from("+8613900000009", "1", None));
    eventually("both", async || (line.texts().await.len() == 2).then_some(())).await;
    line.text_taken(&text).await;
    modem.receive(2, &text_from("+8613900000009", "2", None));
    eventually("the two others", async || {
        let texts: Vec<_> = line.texts().await.into_iter().map(|text| text.text).collect();
        (texts == ["1", "2"]).then_some(())
    })
    .await;
    assert!(!modem.commands().iter().any(|text| text.starts_with("AT+CMGD")), "it lies on no SIM");
}
