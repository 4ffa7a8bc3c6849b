//! Every outcome that a handset of our own can tell, as its program really tells it: what the server makes of that, stores and shows.

use std::sync::LazyLock;

use android_protocol::wire::PROTOCOL_HEADER;
use autocall::store::access::users::Role;
use autocall::store::watch::handsets::Profile;
use autocall_tests::described::Held as _;
use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Visitor;
use crate::harness::{Home, Kind, Server};
use crate::spoken::{Ending, Said, Spoken, by_modem, by_sip, by_termux, number_of};

static SIP: LazyLock<Spoken> = LazyLock::new(by_sip);
static MODEM: LazyLock<Spoken> = LazyLock::new(by_modem);
static TERMUX: LazyLock<Spoken> = LazyLock::new(by_termux);

/// Makes the tests of one kind of handset on each engine.
macro_rules! kind {
    ($kind:ident, $spoken:expr) => {
        mod $kind {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded() {
                super::every_outcome(super::Kind::Embedded, stringify!($kind), || &$spoken).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn shared() {
                super::every_outcome(super::Kind::Shared, stringify!($kind), || &$spoken).await;
            }
        }
    };
}

kind!(sip, super::SIP);
kind!(modem, super::MODEM);
kind!(termux, super::TERMUX);

/// What has to come of a call.
struct Outcome {
    /// How the alarm stands then, which asked for one attempt.
    state: &'static str,
    /// How the dial was closed.
    dial: &'static str,
    /// Whether the attempt is used up.
    counts: bool,
    /// What is on record.
    result: &'static str,
    /// Which kind of failure.
    detail: Value,
    /// What the page of the alarm says of the call.
    shows: &'static str,
}

const fn outcome(state: &'static str, dial: &'static str, counts: bool, result: &'static str, shows: &'static str) -> Outcome {
    Outcome { state, dial, counts, result, detail: Value::Null, shows }
}

/// The table.
fn expected(kind: &str, ending: Ending) -> Outcome {
    use Ending as E;
    let detailed = |detail: &str, outcome: Outcome| Outcome { detail: json!(detail), ..outcome };
    match ending {
        E::Accepted => outcome("answered", "answered", true, "answered", "pressed 1"),
        E::KeyDeclined => outcome("no_answer", "nobody", true, "answered", "pressed 2"),
        E::Answered => outcome("answered", "answered", true, "answered", "picked up"),
        // What the handset took it for is its guess, and stands there as it was told.
        E::Machine => outcome("answered", "answered", true, "answered", "picked up"),
        E::Busy => outcome("no_answer", "nobody", true, "busy", "busy"),
        E::Rejected => outcome("no_answer", "nobody", true, "rejected", "declined while it rang"),
        E::NoAnswer | E::RingsOut => outcome("no_answer", "nobody", true, "no_answer", "no answer"),
        E::Unreachable => detailed("unreachable", outcome("no_answer", "nobody", true, "no_answer", "no answer")),
        E::NoSuchNumber => detailed("bad_number", outcome("no_answer", "nobody", true, "failed", "There is no such number")),
        E::Refused => detailed("auth", outcome("ringing", "nobody", false, "failed", "the call failed")),
        E::NoSound => detailed("media", outcome("ringing", "nobody", false, "failed", "the call failed")),
        E::LineFails if kind == "sip" => detailed("trunk", outcome("ringing", "nobody", false, "failed", "the call failed")),
        E::LineFails => outcome("ringing", "nobody", false, "failed", "the call failed"),
        E::LineBusy => outcome("ringing", "nobody", false, "not_dialled", "not dialled"),
    }
}

/// A request as the handset sends it.
async fn native(server: &Server, method: Method, path: &str, body: Option<&Value>) -> Value {
    let request = server.http.request(method, format!("{}{path}", server.base)).header(PROTOCOL_HEADER, "1");
    let request = if let Some(body) = body { request.json(body) } else { request };
    request.sent().await.unwrap().json().await.unwrap()
}

/// A server on which a handset of this kind is known and asks for something to do.
struct Scene {
    server: Server,
    lin: Visitor,
    kind: &'static str,
}

impl Scene {
    async fn new(engine: Kind, kind: &'static str, status: &Value) -> Self {
        let server = Home::new(engine).await.start().await;
        server.pair(kind, Profile::Native).await;
        let lin = Visitor::logged_in(&server, "lin", Role::Responder).await;
        let scene = Self { server, lin, kind };
        let taken = native(&scene.server, Method::POST, &scene.path("status", ""), Some(status)).await;
        assert_eq!(taken, json!({ "code": 0 }));
        scene
    }

    fn path(&self, what: &str, query: &str) -> String {
        format!("/h/{}/{what}{query}", self.kind)
    }

    /// An alarm for one person, who is called now: its id, and the dial's mid.
    async fn called(&self, ending: Ending) -> (String, String) {
        let id = self.server.raise(&[&number_of(ending)], json!({ "attempts": 1 })).await;
        let offer = native(&self.server, Method::GET, &self.path("alert/phone", ""), None).await;
        assert_eq!(offer["phone"], json!([number_of(ending)]), "{ending:?}: {offer}");
        (id, offer["mid"].as_str().unwrap().to_owned())
    }

    /// What the handset said, at its pace.
    async fn says(&self, mid: &str, words: &[Said]) {
        for word in words {
            self.server.home.clock.advance(TimeDelta::seconds(1));
            match word {
                Said::Progress(body) => {
                    let path = self.path("progress", &format!("?mid={mid}"));
                    assert_eq!(native(&self.server, Method::POST, &path, Some(body)).await["code"], 0, "{body}");
                }
                Said::Report { resp, body } => {
                    let took = body["calls"][0]["ended_ms"].as_i64().unwrap_or(0);
                    self.server.home.clock.advance(TimeDelta::milliseconds(took));
                    let resp = resp.as_ref().map(|resp| format!("&resp={resp}")).unwrap_or_default();
                    let path = self.path("alert/phone", &format!("?mid={mid}{resp}"));
                    assert_eq!(native(&self.server, Method::POST, &path, Some(body)).await, json!({ "code": 0 }), "{body}");
                }
            }
        }
    }

    async fn only_record(&self, alarm: &str) -> Value {
        let records = self.server.items(&format!("/api/v1/call-records?alarm_id={alarm}")).await;
        assert_eq!(records.as_array().map(Vec::len), Some(1), "{records:#}");
        records[0].clone()
    }

    /// What came of a call is what has to come of it.
    async fn judge(&mut self, id: &str, ending: Ending, expected: &Outcome, told: &Value) {
        let alarm = self.server.alarm(id).await;
        let record = self.only_record(id).await;
        let what = || format!("{} {ending:?}\n{alarm:#}\n{record:#}\nas the handset told it: {told:#}", self.kind);
        let dial = &alarm["dials"][0];
        assert_eq!((&alarm["state"], &dial["outcome"]), (&json!(expected.state), &json!(expected.dial)), "{}", what());
        assert_eq!(alarm["callees"][0]["attempts"], i32::from(expected.counts), "{}", what());
        assert_eq!((&record["outcome"], &record["cause"]["detail"]), (&json!(expected.result), &expected.detail), "{}", what());
        for same in ["ended_by", "machine", "keys", "talk_seconds"] {
            let said = &told[same];
            // A handset does not say that nobody talks where nobody picked up; that much is known all the same.
            let known = &record[same];
            assert!(known == said || (same == "talk_seconds" && said.is_null()), "{same}: {}", what());
        }
        for cause in ["sip", "q850"] {
            assert_eq!(record["cause"][cause], told["cause"][cause], "{}", what());
        }
        let confirmed = alarm["answer"]["confirmed_at"].is_string();
        assert_eq!(confirmed, ending == Ending::Accepted, "only a key proves a human: {}", what());
        assert_eq!(record["action"].is_string(), matches!(ending, Ending::Accepted | Ending::KeyDeclined), "{}", what());
        let guess = match told["machine"].as_str() {
            Some("human") => "a human, it seems",
            Some("machine") => "a machine, it seems",
            _ => "",
        };
        let page = self.lin.get(&format!("/alarms/{id}")).await;
        for shown in [expected.shows, guess] {
            assert!(page.shows(shown), "{shown}: {}\n{}", what(), page.body);
        }
    }
}

async fn every_outcome(engine: Kind, kind: &'static str, spoken: impl FnOnce() -> &'static Spoken + Send + 'static) {
    let spoken = tokio::task::spawn_blocking(spoken).await.unwrap();
    let mut scene = Scene::new(engine, kind, &spoken.status).await;
    for (ending, words) in &spoken.calls {
        let Some(Said::Report { body, .. }) = words.last() else { unreachable!("a call ends with its report: {ending:?}") };
        let (id, mid) = scene.called(*ending).await;
        scene.says(&mid, words).await;
        let expected = expected(kind, *ending);
        scene.judge(&id, *ending, &expected, &body["calls"][0]).await;
        if expected.state == "ringing" {
            let (status, alarm) = scene.server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})).await;
            assert_eq!(status, 200, "{alarm}");
        }
        // Until whatever rests does so no longer.
        scene.server.pass(180).await;
    }
    falls_silent(&scene, spoken).await;
}

/// A handset that says that it dials, and then nothing any more.
async fn falls_silent(scene: &Scene, spoken: &Spoken) {
    let words = &spoken.calls[&Ending::Answered];
    let begun: Vec<Said> = words.iter().take(1).cloned().collect();
    assert!(matches!(&begun[..], [Said::Progress(told)] if told["state"] == "dialling"), "{begun:?}");
    let (id, mid) = scene.called(Ending::Answered).await;
    scene.says(&mid, &begun).await;
    scene.server.pass(300).await;
    scene.server.pass(1).await;
    let (alarm, record) = (scene.server.alarm(&id).await, scene.only_record(&id).await);
    let told = (&alarm["state"], &alarm["reason"], &alarm["dials"][0]["outcome"], &record["outcome"]);
    let expected = (&json!("no_answer"), &json!("no_report"), &json!("expired"), &json!("unknown"));
    assert_eq!(told, expected, "{}\n{alarm:#}\n{record:#}", scene.kind);
    // What it reports when it is there again counts.
    scene.says(&mid, &words[words.len() - 1..]).await;
    let (alarm, record) = (scene.server.alarm(&id).await, scene.only_record(&id).await);
    assert_eq!((&alarm["state"], &record["outcome"]), (&json!("answered"), &json!("answered")), "{}\n{alarm:#}", scene.kind);
}
