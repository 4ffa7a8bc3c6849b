//! One test of another installation, stage by stage, over HTTP: a sender and a phone in one. The sender raises a test for two numbers that
//! nobody has; the phone is given the first, says that nobody picked up, is given the second, and says that somebody did; the sender reads
//! who answered. No phone rings for it, and no person is told.

use std::time::{Duration, Instant};

use android_protocol::wire::{self, CallOutcome, NativeCall, NativeOffer, NativeReport};
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use serde_json::{Value, json};

use crate::config::Watched;
use crate::monitor::{Failure, Outcome, Stage};
use crate::net::{tls, unanswered};
use crate::rights::MONITOR;
use crate::secrets;

/// No answer is read further, in bytes.
const MOST_ANSWER: usize = 256 * 1024;
/// The phone asks to wait for so long at a time, in seconds.
const WAIT: u64 = 10;
/// An alarm that waits for a phone for longer than this is one that nobody is rung for, in seconds.
const WAITS_LONG: i64 = 90;
/// So many tests of before are finished, at most, that were left undone.
const MOST_LEFT: usize = 20;
/// What is left of a test that failed is taken back within so long.
const TAKEN_BACK_WITHIN: Duration = Duration::from_secs(3);

/// What a test keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// It has failed when it is not over by then.
    pub within: Duration,
    /// Whether the phones of the other installation are looked at.
    pub phones: bool,
}

/// Makes one test. Of each stage that is passed it is told how long it took.
pub async fn go(watched: &Watched, limits: Limits, mut passed: impl FnMut(Stage, Duration)) -> Outcome {
    let began = Instant::now();
    let mut test = match Test::new(watched, limits) {
        Ok(test) => test,
        Err(why) => return Outcome { took: began.elapsed(), failure: Some(Failure::new(Stage::Reach, &why)) },
    };
    let (mut at, mut since) = (Stage::Reach, Instant::now());
    let failure = loop {
        let done = tokio::time::timeout_at(test.until, test.go_through(at)).await;
        if let Err(why) = done.unwrap_or_else(|_| Err(format!("not within {} s", limits.within.as_secs()))) {
            break Some(Failure::new(at, &why));
        }
        passed(at, since.elapsed());
        since = Instant::now();
        match Stage::ALL.into_iter().find(|stage| *stage > at) {
            Some(next) => at = next,
            None => break None,
        }
    };
    if failure.is_some() {
        test.take_back().await;
    }
    Outcome { took: began.elapsed(), failure }
}

/// A test that is under way.
struct Test<'w> {
    watched: &'w Watched,
    client: Client,
    limits: Limits,
    until: tokio::time::Instant,
    /// Tells this test from all others.
    mark: String,
    /// Whom it is for: nobody has such numbers, for no country has that code.
    numbers: [String; 2],
    /// What the other installation says of itself.
    ability: Value,
    /// Its alarm.
    alarm: Option<String>,
    /// What the phone was handed out last.
    mid: String,
}

fn number() -> String {
    let digits = u32::from_str_radix(&secrets::random::<4>(), 16).unwrap_or_default();
    format!("+999{digits:010}")
}

impl<'w> Test<'w> {
    /// A connection of its own for each test: one that was good a minute ago proves nothing.
    fn new(watched: &'w Watched, limits: Limits) -> Result<Self, String> {
        let client = tls::client()
            .redirect(redirect::Policy::none())
            .user_agent(concat!("autocall-monitor/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.to_string())?;
        let until = tokio::time::Instant::now() + limits.within;
        let mark = secrets::random::<8>();
        let (ability, alarm, mid) = (Value::Null, None, String::new());
        Ok(Self { watched, client, limits, until, mark, numbers: [number(), number()], ability, alarm, mid })
    }

    async fn go_through(&mut self, stage: Stage) -> Result<(), String> {
        match stage {
            Stage::Reach => self.reach().await,
            Stage::Ready => self.is_ready(),
            Stage::Phones => self.has_phones(),
            Stage::Raise => self.raise().await,
            Stage::HandOut => self.is_given(0).await,
            Stage::Report => self.report(&[(0, CallOutcome::NoAnswer)]).await,
            Stage::NextCallee => self.is_given(1).await,
            Stage::Answer => self.report(&[(1, CallOutcome::Answered)]).await,
            Stage::Attribution => self.says_who().await,
        }
    }

    async fn reach(&mut self) -> Result<(), String> {
        let asked = self.client.get(self.api("/api/v1/monitor")).bearer_auth(&self.watched.key);
        let (status, body) = ask(asked).await?;
        self.ability = match body["detail"].as_str() {
            // It is there, and says what keeps it from its work.
            Some(detail) if status.is_server_error() => json!({ "wrong": [detail] }),
            _ => good((status, body))?,
        };
        Ok(())
    }

    fn is_ready(&self) -> Result<(), String> {
        let wrong = self.ability["wrong"].as_array().ok_or("it says nothing of itself: is this its address?")?;
        let words: Vec<&str> = wrong.iter().filter_map(Value::as_str).collect();
        if words.is_empty() { Ok(()) } else { Err(words.join(", ")) }
    }

    fn has_phones(&self) -> Result<(), String> {
        let of = |field: &str| self.ability[field].as_i64().ok_or("it says nothing of its phones");
        let (handsets, usable, waits) = (of("handsets")?, of("usable_handsets")?, of("oldest_due_seconds")?);
        match (self.limits.phones, usable, waits) {
            (false, ..) => Ok(()),
            (true, 0, _) if handsets == 0 => Err("there is none".to_owned()),
            (true, 0, _) => Err(format!("of {handsets} none can be used")),
            (true, _, waits) if waits > WAITS_LONG => Err(format!("an alarm waits for one for {waits} s")),
            _ => Ok(()),
        }
    }

    async fn raise(&mut self) -> Result<(), String> {
        let alarm = json!({
            "summary": format!("Test of the monitor {} {}", self.watched.name, self.mark),
            "source": MONITOR,
            "monitor": self.watched.name,
            "phones": self.numbers,
            "attempts": 1,
            "min_interval_seconds": 0,
            "begin_before_seconds": self.limits.within.as_secs().max(1),
        });
        let asked = self.client.post(self.api("/api/v1/alarms")).bearer_auth(&self.watched.key);
        let raised = good(ask(asked.header("idempotency-key", &self.mark).json(&alarm)).await?)?;
        if raised["kind"] != "test" {
            return Err("it took the test for something else".to_owned());
        }
        let id = raised["id"].as_str().filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
        self.alarm = Some(id.ok_or("its answer names no alarm")?.to_owned());
        Ok(())
    }

    /// The phone asks until it is given this number of this test. What it is given of a test of before, it finishes.
    async fn is_given(&mut self, place: usize) -> Result<(), String> {
        let mut left = MOST_LEFT;
        loop {
            let wait = self.until.saturating_duration_since(tokio::time::Instant::now()).as_secs().min(WAIT);
            let address = format!("{}?wait={wait}", self.phone());
            let (status, body) = ask(as_phone(self.client.get(address))).await?;
            if status != StatusCode::OK {
                return Err(format!("whoever stands in for a phone is answered {status}"));
            }
            if body["code"] == wire::CODE_IDLE {
                if wait == 0 {
                    // Its time is up in less than a second.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                continue;
            }
            let offer: NativeOffer = serde_json::from_value(body).map_err(|_| "what is handed out cannot be read".to_owned())?;
            let is_ours = offer.alarm.as_ref().is_some_and(|alarm| alarm.summary.ends_with(&self.mark));
            if !is_ours {
                left = left.checked_sub(1).ok_or("tests of before are handed out again and again")?;
                let calls = offer.phone.iter().map(|number| call(number, CallOutcome::NoAnswer)).collect();
                self.send(&offer.mid, None, calls).await?;
                continue;
            }
            let wanted = self.numbers.get(place);
            return match offer.phone.as_slice() {
                [number] if Some(number) == wanted => {
                    self.mid = offer.mid;
                    Ok(())
                }
                _ => Err("another number is handed out than the one whose turn it is".to_owned()),
            };
        }
    }

    async fn report(&self, calls: &[(usize, CallOutcome)]) -> Result<(), String> {
        let of = |(place, outcome): &(usize, CallOutcome)| Some(call(self.numbers.get(*place)?, *outcome));
        let answered = calls.iter().find(|(_, outcome)| *outcome == CallOutcome::Answered);
        let resp = answered.and_then(|(place, _)| self.numbers.get(*place));
        self.send(&self.mid, resp.map(String::as_str), calls.iter().filter_map(of).collect()).await
    }

    async fn send(&self, mid: &str, resp: Option<&str>, calls: Vec<NativeCall>) -> Result<(), String> {
        let said: Vec<(&str, &str)> = std::iter::once(("mid", mid)).chain(resp.map(|resp| ("resp", resp))).collect();
        let asked = self.client.post(self.phone()).query(&said);
        let report = NativeReport { calls };
        let (status, body) = ask(as_phone(asked).body(report.to_body())).await?;
        match (status, body["code"].as_i64()) {
            (StatusCode::OK, Some(0)) => Ok(()),
            _ => Err(format!("the report is answered {status}")),
        }
    }

    async fn says_who(&self) -> Result<(), String> {
        let id = self.alarm.as_deref().unwrap_or_default();
        let asked = self.client.get(self.api(&format!("/api/v1/alarms/{id}"))).bearer_auth(&self.watched.key);
        let alarm = good(ask(asked).await?)?;
        if alarm["id"] != id || !alarm["summary"].as_str().is_some_and(|summary| summary.ends_with(&self.mark)) {
            return Err("it tells of another alarm".to_owned());
        }
        if alarm["state"] != "answered" {
            return Err(format!("the test is {} there, and it was answered", alarm["state"].as_str().unwrap_or("unknown")));
        }
        let answer = &alarm["answer"];
        if answer["phone_number"].as_str() != self.numbers.get(1).map(String::as_str) {
            return Err("it names another number than the one that answered".to_owned());
        }
        if answer["dialled_by"]["name"].as_str() != Some(&*self.watched.name) {
            return Err("it names another phone than the one that rang".to_owned());
        }
        Ok(())
    }

    /// What is left of a test that failed would be in the way of the next one.
    async fn take_back(&self) {
        let Some(id) = &self.alarm else { return };
        let asked = self.client.post(self.api(&format!("/api/v1/alarms/{id}/resolve"))).bearer_auth(&self.watched.key);
        // Else it ends by itself when its time is up.
        let _ = tokio::time::timeout(TAKEN_BACK_WITHIN, asked.send()).await;
    }

    fn api(&self, path: &str) -> String {
        format!("{}{path}", self.watched.base)
    }

    fn phone(&self) -> String {
        format!("{}/h/{}/alert/phone", self.watched.base, self.watched.token)
    }
}

fn as_phone(asked: RequestBuilder) -> RequestBuilder {
    asked.header(wire::PROTOCOL_HEADER, wire::PROTOCOL_VERSION).header("content-type", "application/json")
}

fn call(number: &str, outcome: CallOutcome) -> NativeCall {
    NativeCall { number: number.to_owned(), outcome: Some(outcome), ..NativeCall::default() }
}

/// Status and body of an answer.
async fn ask(asked: RequestBuilder) -> Result<(StatusCode, Value), String> {
    let mut answer = asked.send().await.map_err(unanswered::why)?;
    let status = answer.status();
    let mut text = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(unanswered::why)? {
        text.extend_from_slice(&part);
        if text.len() > MOST_ANSWER {
            return Err("its answer has no end".to_owned());
        }
    }
    Ok((status, serde_json::from_slice(&text).unwrap_or_default()))
}

/// The body of an answer that says yes.
fn good((status, body): (StatusCode, Value)) -> Result<Value, String> {
    if status.is_success() && body.is_object() {
        return Ok(body);
    }
    Err(match body["detail"].as_str() {
        Some(detail) => format!("it says: {detail}"),
        None => format!("it answers {status}: is this its address?"),
    })
}
