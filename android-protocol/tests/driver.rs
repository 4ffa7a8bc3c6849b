//! The driver with a real clock, a real socket and a real file, over a line that does what the test says.
#![cfg(feature = "agent")]
#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::{
    future::Future,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use android_protocol::{
    client,
    driver::{
        drive,
        line::Line,
        nothing_yet,
        scribe::{Scribe, journal_of},
    },
    native::{CannotDial, JournalEntry, NativeSettings, Seen, Unfinished, delivery::Carried},
    phone::{CallState, EndCause},
    wire::{
        ACCEPTED_BODY, CallOutcome, CommandKind, IDLE_BODY, InboundText, NativeOffer, NativeReport, Outbox, OutboxCommand,
        OutboxResult, Status, UNWANTED_BODY,
    },
};
use support::{Desk, eventually};

const A: &str = "18700000001";

/// A line in the hands of a test.
struct Scripted {
    seen: Mutex<Seen>,
    refuses: Option<CannotDial>,
    did: Mutex<Vec<String>>,
    texts: Mutex<Vec<InboundText>>,
    /// What it is told to carry out never comes to an end.
    hangs: bool,
}

impl Scripted {
    fn new() -> Arc<Self> {
        Self::refusing(None)
    }

    fn hanging() -> Arc<Self> {
        let line =
            Self { seen: Mutex::new(nothing_yet()), refuses: None, did: Mutex::default(), texts: Mutex::default(), hangs: true };
        Arc::new(line)
    }

    fn refusing(refuses: Option<CannotDial>) -> Arc<Self> {
        Arc::new(Self { seen: Mutex::new(nothing_yet()), refuses, did: Mutex::default(), texts: Mutex::default(), hangs: false })
    }

    fn note(&self, what: String) {
        self.did.lock().unwrap().push(what);
    }

    fn did(&self) -> Vec<String> {
        self.did.lock().unwrap().clone()
    }

    fn dials(&self) -> usize {
        self.did().iter().filter(|what| what.starts_with("dial")).count()
    }

    fn shows(&self, seen: Seen) {
        *self.seen.lock().unwrap() = seen;
    }

    fn ends(&self, talked: Option<u64>) {
        self.shows(Seen::Call(CallState::Ended { cause: EndCause::Normal, talked: talked.map(Duration::from_secs) }));
    }
}

impl Line for Scripted {
    fn hangs_up(&self) -> bool {
        true
    }

    fn look_every(&self) -> Duration {
        Duration::from_millis(10)
    }

    async fn prepare(&self, number: &str) -> Result<Option<String>, CannotDial> {
        self.note(format!("prepare {number}"));
        self.refuses.clone().map_or_else(|| Ok(Some(format!("mark of {number}"))), Err)
    }

    async fn dial(&self, number: &str) -> Result<(), CannotDial> {
        self.note(format!("dial {number}"));
        Ok(())
    }

    async fn hang_up(&self) {
        self.note("hang up".into());
        self.ends(None);
    }

    async fn look(&self, _now: Duration, call: &Unfinished<'_>, mark: Option<&str>) -> Seen {
        if mark != Some(&format!("mark of {}", call.number)) {
            self.note(format!("looked with {mark:?}"));
        }
        self.seen.lock().unwrap().clone()
    }

    async fn status(&self) -> Status {
        Status { battery: Some(83), ..Status::default() }
    }

    async fn carry_out(&self, command: &CommandKind) -> Carried {
        self.note(format!("{command:?}"));
        if self.hangs {
            std::future::pending::<()>().await;
        }
        OutboxResult { ok: true, detail: Some("sent".into()), ..OutboxResult::default() }.into()
    }

    async fn texts(&self) -> Vec<InboundText> {
        self.texts.lock().unwrap().clone()
    }

    async fn text_taken(&self, text: &InboundText) {
        self.texts.lock().unwrap().retain(|kept| kept != text);
    }
}

fn offer() -> String {
    NativeOffer { phone: vec![A.into()], mid: "m1".into(), deadline: Some(600), ..NativeOffer::default() }.to_body()
}

/// A server with one alarm, until that is reported; `progress` is what it says to those.
fn one_alarm(progress: &'static str) -> Desk {
    let reported = Mutex::new(false);
    Desk::open(move |request| {
        let mut reported = reported.lock().unwrap();
        *reported |= request.path.contains("/alert/phone?mid=m1");
        let body = match request.path.as_str() {
            path if path.starts_with("/alert/phone?wait") => {
                if *reported {
                    IDLE_BODY.to_owned()
                } else {
                    offer()
                }
            }
            path if path.starts_with("/progress") => progress.to_owned(),
            path if path.starts_with("/outbox?") => IDLE_BODY.to_owned(),
            _ => ACCEPTED_BODY.to_owned(),
        };
        (200, body)
    })
}

/// A driver in the background; dropped, it is gone as a killed process is.
struct Running(tokio::task::JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Running {
    fn start(line: &Arc<Scripted>, folder: &Path, url: &str) -> Self {
        // The file of a driver that was dropped is let go of a moment later.
        let (journal, past) = eventually("the journal", || Scribe::open(folder).ok());
        let client = client::builder().no_proxy().build().unwrap();
        let driving = drive(Arc::clone(line), journal, past, NativeSettings::new(url), client, std::future::pending());
        Self(tokio::spawn(driving))
    }
}

fn entries(folder: &Path) -> Vec<JournalEntry> {
    let text = std::fs::read_to_string(journal_of(folder)).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn reports(desk: &Desk) -> Vec<Vec<Option<CallOutcome>>> {
    let parse = |body: &String| NativeReport::parse(body.as_bytes()).unwrap().calls.iter().map(|call| call.outcome).collect();
    desk.bodies("/alert/phone?mid=m1").iter().map(parse).collect()
}

/// Runs a test that blocks beside the driver.
fn on_two_threads(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test);
}

#[test]
fn an_alarm_is_dialled_followed_and_reported() {
    on_two_threads(async {
        let (desk, line, folder) = (one_alarm(ACCEPTED_BODY), Scripted::new(), tempfile::tempdir().unwrap());
        let _running = Running::start(&line, folder.path(), &desk.url);
        eventually("the dial", || (line.dials() == 1).then_some(()));
        assert!(
            entries(folder.path())
                .iter()
                .any(|entry| matches!(entry, JournalEntry::Dialling { call: Some(mark), .. } if mark == "mark of 18700000001")),
            "written down before it was dialled"
        );
        line.shows(Seen::Call(CallState::Alerting));
        eventually("it rings", || desk.bodies("/progress").iter().any(|body| body.contains("alerting")).then_some(()));
        line.shows(Seen::Call(CallState::Connected { held: false }));
        eventually("connected", || desk.bodies("/progress").iter().any(|body| body.contains("connected")).then_some(()));
        line.ends(Some(7));
        eventually("the report", || (reports(&desk) == [[Some(CallOutcome::Answered)]]).then_some(()));
        eventually("it is written down", || {
            entries(folder.path()).iter().any(|entry| matches!(entry, JournalEntry::Reported { .. })).then_some(())
        });
        eventually("how the line is", || desk.bodies("/status").iter().any(|body| body.contains("\"battery\":83")).then_some(()));
        assert_eq!(line.did(), ["prepare 18700000001", "dial 18700000001"]);
    });
}

#[test]
fn killed_while_it_rings_it_finds_the_call_again_and_dials_nobody() {
    on_two_threads(async {
        let (desk, line, folder) = (one_alarm(ACCEPTED_BODY), Scripted::new(), tempfile::tempdir().unwrap());
        let running = Running::start(&line, folder.path(), &desk.url);
        eventually("the dial", || (line.dials() == 1).then_some(()));
        line.shows(Seen::Call(CallState::Alerting));
        eventually("it rings", || desk.bodies("/progress").iter().any(|body| body.contains("alerting")).then_some(()));
        drop(running);
        line.ends(Some(12));
        let _running = Running::start(&line, folder.path(), &desk.url);
        eventually("the report", || (reports(&desk) == [[Some(CallOutcome::Answered)]]).then_some(()));
        assert_eq!(line.did(), ["prepare 18700000001", "dial 18700000001"], "looked at with the mark from the journal");
    });
}

#[test]
fn killed_between_the_journal_and_the_dial_it_is_given_back() {
    on_two_threads(async {
        let (desk, line, folder) = (one_alarm(ACCEPTED_BODY), Scripted::new(), tempfile::tempdir().unwrap());
        let (journal, _) = Scribe::open(folder.path()).unwrap();
        let leased = NativeOffer { phone: vec![A.into()], mid: "m1".into(), ..NativeOffer::default() };
        journal.write(JournalEntry::Leased { offer: leased, at_ms: 1 }).await.unwrap();
        let mark = Some(format!("mark of {A}"));
        journal.write(JournalEntry::Dialling { mid: "m1".into(), number: A.into(), at_ms: 1, call: mark }).await.unwrap();
        drop(journal);
        line.shows(Seen::NoCall(None));
        let _running = Running::start(&line, folder.path(), &desk.url);
        eventually("the report", || (reports(&desk) == [[Some(CallOutcome::Failed)]]).then_some(()));
        assert_eq!(line.did(), Vec::<String>::new());
    });
}

#[test]
fn a_line_that_cannot_dial_gives_the_number_back_and_nothing_is_written_down() {
    on_two_threads(async {
        for (why, outcome) in
            [(CannotDial::Broken("no signal".into()), CallOutcome::Failed), (CannotDial::LineBusy, CallOutcome::NotDialled)]
        {
            let (desk, line, folder) = (one_alarm(ACCEPTED_BODY), Scripted::refusing(Some(why)), tempfile::tempdir().unwrap());
            let _running = Running::start(&line, folder.path(), &desk.url);
            eventually("the report", || (reports(&desk) == [[Some(outcome)]]).then_some(()));
            assert_eq!(line.did(), ["prepare 18700000001"]);
            assert!(!entries(folder.path()).iter().any(|entry| matches!(entry, JournalEntry::Dialling { .. })));
        }
    });
}

#[test]
fn a_dial_that_is_called_off_is_hung_up() {
    on_two_threads(async {
        let (desk, line, folder) = (one_alarm(UNWANTED_BODY), Scripted::new(), tempfile::tempdir().unwrap());
        let _running = Running::start(&line, folder.path(), &desk.url);
        eventually("the hang-up", || line.did().contains(&"hang up".to_owned()).then_some(()));
        eventually("the report", || (reports(&desk) == [[Some(CallOutcome::NoAnswer)]]).then_some(()));
    });
}

#[test]
fn commands_are_carried_out_and_texts_passed_on() {
    on_two_threads(async {
        let done = Mutex::new(false);
        let desk = Desk::open(move |request| {
            let mut done = done.lock().unwrap();
            *done |= request.path == "/outbox/5";
            let kind = CommandKind::Sms { number: A.into(), text: "hello".into() };
            let commands = if *done { Vec::new() } else { vec![OutboxCommand { id: "5".into(), kind }] };
            (
                200,
                match request.path.as_str() {
                    path if path.starts_with("/outbox?") => Outbox::new(commands).to_body(),
                    path if path.starts_with("/alert") => IDLE_BODY.to_owned(),
                    _ => ACCEPTED_BODY.to_owned(),
                },
            )
        });
        let (line, folder) = (Scripted::new(), tempfile::tempdir().unwrap());
        let text = InboundText { id: Some("412".into()), from: A.into(), text: "1".into(), ..InboundText::default() };
        line.texts.lock().unwrap().push(text.clone());
        let _running = Running::start(&line, folder.path(), &desk.url);
        eventually("the result", || desk.bodies("/outbox/5").first().filter(|body| body.contains("\"ok\":true")).cloned());
        eventually("the text", || desk.bodies("/inbound").first().cloned().filter(|body| *body == text.to_body()));
        eventually("it is not kept", || line.texts.lock().unwrap().is_empty().then_some(()));
        assert_eq!(line.did().len(), 1, "{:?}", line.did());
    });
}

#[test]
fn a_test_call_is_followed_like_any_other() {
    on_two_threads(async {
        let desk = Desk::open(|request| {
            let kind = CommandKind::TestCall { number: A.into(), ring_seconds: Some(30) };
            let body = match request.path.as_str() {
                path if path.starts_with("/outbox?") => Outbox::new(vec![OutboxCommand { id: "7".into(), kind }]).to_body(),
                path if path.starts_with("/alert") => IDLE_BODY.to_owned(),
                _ => ACCEPTED_BODY.to_owned(),
            };
            (200, body)
        });
        let (line, folder) = (Scripted::new(), tempfile::tempdir().unwrap());
        line.ends(Some(4));
        let _running = Running::start(&line, folder.path(), &desk.url);
        let body = eventually("the result", || desk.bodies("/outbox/7").first().cloned());
        let call = OutboxResult::parse(body.as_bytes()).unwrap().call.unwrap();
        assert_eq!((call.outcome, call.talk_seconds), (Some(CallOutcome::Answered), Some(4)));
        // The server hands it out for ever; the number is rung once.
        eventually("the result again", || (desk.bodies("/outbox/7").len() >= 2).then_some(()));
        assert_eq!(line.did(), ["prepare 18700000001", "dial 18700000001"]);
    });
}

#[test]
fn a_text_that_the_server_does_not_take_stays_on_the_phone() {
    on_two_threads(async {
        let desk = Desk::open(|request| match request.path.as_str() {
            "/inbound" => (404, r#"{"code":1}"#.to_owned()),
            path if path.starts_with("/alert") || path.starts_with("/outbox") => (200, IDLE_BODY.to_owned()),
            _ => (200, ACCEPTED_BODY.to_owned()),
        });
        let (line, folder) = (Scripted::new(), tempfile::tempdir().unwrap());
        line.texts.lock().unwrap().push(InboundText { from: A.into(), ..InboundText::default() });
        let _running = Running::start(&line, folder.path(), &desk.url);
        eventually("the text", || desk.bodies("/inbound").first().cloned());
        eventually("polls", || (desk.bodies("/alert/phone?wait").len() >= 2).then_some(()));
        assert_eq!(line.texts.lock().unwrap().len(), 1);
    });
}

#[test]
fn told_to_stop_it_waits_for_no_text_that_is_being_sent() {
    on_two_threads(async {
        let kind = CommandKind::Sms { number: A.into(), text: "hello".into() };
        let outbox = Outbox::new(vec![OutboxCommand { id: "5".into(), kind }]).to_body();
        let desk = Desk::open(move |request| match request.path.as_str() {
            path if path.starts_with("/outbox?") => (200, outbox.clone()),
            path if path.starts_with("/alert") => (200, IDLE_BODY.to_owned()),
            _ => (200, ACCEPTED_BODY.to_owned()),
        });
        let (line, folder) = (Scripted::hanging(), tempfile::tempdir().unwrap());
        let (journal, past) = Scribe::open(folder.path()).unwrap();
        let client = client::builder().no_proxy().build().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let told = async move { drop(stopped.await) };
        let driving = tokio::spawn(drive(Arc::clone(&line), journal, past, NativeSettings::new(&desk.url), client, told));
        eventually("the text", || (line.did().len() == 1).then_some(()));
        stop.send(()).unwrap();
        eventually("the end", || driving.is_finished().then_some(()));
        drop(driving);
        // Nobody knows whether it was sent: it is not sent twice.
        let _running = Running::start(&line, folder.path(), &desk.url);
        let result = eventually("the result", || desk.bodies("/outbox/5").first().cloned());
        assert!(result.contains("restarted"), "{result}");
        assert_eq!(line.did().len(), 1);
    });
}
