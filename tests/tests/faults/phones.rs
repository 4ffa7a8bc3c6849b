//! Handsets that poll, hold a call for a moment and report, each with the manners and the bad luck of a real one.

use std::{ops::Range, sync::Arc, time::Duration};

use android_protocol::wire::PROTOCOL_HEADER;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::{RequestBuilder, redirect::Policy};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::ledger::{Ledger, shown};

/// What a phone is, and so what it is given and how it forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Like the stock app: one number at a time; a report that got lost is repeated only when its mid is served again.
    App,
    /// Gets the list, otherwise like the app.
    List,
    /// Gets the copied sequence, otherwise like the app.
    Repeat,
    /// Speaks the native protocol and repeats a report until it is acknowledged.
    Native,
}

/// How a phone lives.
#[derive(Clone, Debug)]
pub struct Habits {
    /// Milliseconds between two polls.
    pub pause: Range<u64>,
    /// Milliseconds that a call takes.
    pub call: Range<u64>,
    /// How likely a number is to pick up.
    pub picks_up: f64,
    /// How likely a conversation outlasts the deadline of its dial; once in a phone's life.
    pub long_talk: f64,
    /// How likely something odd happens to a request: given up half-way, sent twice, sent again much later.
    pub odd: f64,
    /// How long it waits for a reply.
    pub patience: Duration,
}

impl Default for Habits {
    fn default() -> Self {
        Self {
            pause: 60..160,
            call: 20..150,
            picks_up: 0.45,
            long_talk: 0.0,
            odd: 0.0,
            // As the app, but in a hurry: ten seconds there.
            patience: Duration::from_secs(4),
        }
    }
}

/// A conversation that outlasts every deadline: the shortest that can be configured is 30 s.
const LONG_TALK: Duration = Duration::from_secs(33);

/// One phone.
pub struct Phone {
    /// Its name at the server.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its token.
    pub token: String,
    /// The servers it knows; when one fails it asks the next.
    pub servers: Vec<String>,
    /// How it lives.
    pub habits: Habits,
    /// Where it writes down what it saw.
    pub ledger: Arc<Ledger>,
    /// Its fate.
    pub seed: u64,
}

/// The dial a phone remembers.
struct Current {
    mid: String,
    picked_up: Option<String>,
}

/// What came of asking.
enum Polled {
    Offer { mid: String, phones: Vec<String> },
    Idle,
    Failed,
}

/// A phone while it lives.
struct Life {
    phone: Phone,
    http: reqwest::Client,
    random: StdRng,
    server: usize,
    current: Option<Current>,
    /// Reports of a native phone that were not acknowledged yet.
    owed: Vec<(String, Option<String>)>,
    /// Requests that go on by themselves.
    stray: JoinSet<()>,
}

impl Phone {
    /// Lives until `quit`, and then until its last report is delivered.
    pub async fn live(self, quit: CancellationToken) {
        let http = autocall_tests::http_client().no_proxy().redirect(Policy::none()).timeout(self.habits.patience);
        let mut life = Life {
            http: http.build().unwrap(),
            random: StdRng::seed_from_u64(self.seed),
            server: 0,
            current: None,
            owed: Vec::new(),
            stray: JoinSet::new(),
            phone: self,
        };
        while !(quit.is_cancelled() && life.owed.is_empty()) {
            life.turn().await;
            let pause = life.milliseconds(life.phone.habits.pause.clone());
            // Nothing to settle: this is how often a phone asks.
            sleep(pause).await;
        }
        while life.stray.join_next().await.is_some() {}
    }
}

impl Life {
    /// One poll and what follows from it.
    async fn turn(&mut self) {
        let asked = Instant::now();
        match self.poll().await {
            Polled::Failed => self.server += 1,
            Polled::Idle => {}
            Polled::Offer { mid, phones } => match self.current.take_if(|current| current.mid == mid) {
                Some(current) => {
                    let acknowledged =
                        self.phone.ledger.open().dials.get(&shown(&self.phone.name, &mid)).and_then(|dial| dial.acknowledged);
                    if acknowledged.is_some_and(|at| at < asked) {
                        let name = &self.phone.name;
                        self.phone.ledger.violation(format!("{mid} was served to {name} after its report was acknowledged"));
                    }
                    self.report(&mid, current.picked_up.clone()).await;
                    self.current = Some(current);
                }
                None => {
                    self.phone.ledger.got(&self.phone.name, &mid, &phones);
                    let picked_up = self.dial(&mid, &phones).await;
                    self.current = Some(Current { mid: mid.clone(), picked_up: picked_up.clone() });
                    self.report(&mid, picked_up).await;
                }
            },
        }
        for (mid, picked_up) in std::mem::take(&mut self.owed) {
            self.report(&mid, picked_up).await;
        }
    }

    /// Rings the list until somebody picks up.
    async fn dial(&mut self, mid: &str, phones: &[String]) -> Option<String> {
        let mut picked_up = None;
        for number in phones {
            self.phone.ledger.note(mid, |dial| dial.rang.push(number.clone()));
            let mut call = self.milliseconds(self.phone.habits.call.clone());
            if self.random.random_bool(self.phone.habits.picks_up) {
                picked_up = Some(number.clone());
                if self.random.random_bool(self.phone.habits.long_talk) {
                    call = LONG_TALK;
                    self.phone.habits.long_talk = 0.0;
                }
            }
            sleep(call).await;
            if picked_up.is_some() {
                break;
            }
        }
        self.phone.ledger.note(mid, |dial| {
            dial.hung_up = Some(Instant::now());
            dial.picked_up.clone_from(&picked_up);
        });
        picked_up
    }

    async fn poll(&mut self) -> Polled {
        if self.is_odd() {
            // The reply gets lost: the server has handed out what the phone never heard of.
            let request = self.get();
            let patience = self.milliseconds(0..12);
            let _lost = timeout(patience, request.send()).await;
        }
        if !self.is_odd() {
            return read_poll(&self.phone, self.get()).await;
        }
        // Asked twice at once, as by a phone whose app was started twice. The replies may differ: between the two, another phone's late
        // answer may have ended the first dial. That no handset has two dials is judged by what is stored.
        let (one, other) = tokio::join!(read_poll(&self.phone, self.get()), read_poll(&self.phone, self.get()));
        if matches!(one, Polled::Offer { .. }) { one } else { other }
    }

    async fn report(&mut self, mid: &str, picked_up: Option<String>) {
        self.phone.ledger.note(mid, |dial| dial.sent = true);
        let post = self.post(mid, picked_up.as_deref());
        if self.is_odd() {
            let patience = self.milliseconds(0..12);
            let _lost = timeout(patience, self.post(mid, picked_up.as_deref()).send()).await;
        }
        if self.is_odd() {
            // A copy that lingers in the network and arrives when the phone is long at something else.
            let (copy, later) = (self.post(mid, picked_up.as_deref()), self.milliseconds(50..3_000));
            let (name, ledger) = (self.phone.name.clone(), Arc::clone(&self.phone.ledger));
            let mid = mid.to_owned();
            self.stray.spawn(async move {
                sleep(later).await;
                is_acknowledged(&ledger, &name, &mid, copy).await;
            });
        }
        let (name, ledger) = (&self.phone.name, &self.phone.ledger);
        let acknowledged = if self.phone.habits.odd > 0.0 && self.random.random_bool(self.phone.habits.odd) {
            let twin = self.post(mid, picked_up.as_deref());
            let (one, other) = tokio::join!(is_acknowledged(ledger, name, mid, post), is_acknowledged(ledger, name, mid, twin));
            one || other
        } else {
            is_acknowledged(ledger, name, mid, post).await
        };
        if acknowledged {
            let now = Instant::now();
            self.phone.ledger.note(mid, |dial| dial.acknowledged = dial.acknowledged.or(Some(now)));
        } else {
            self.server += 1;
            if self.phone.kind == Kind::Native {
                self.owed.push((mid.to_owned(), picked_up));
            }
        }
    }

    fn get(&self) -> RequestBuilder {
        let wait = if self.phone.kind == Kind::Native { "?wait=1" } else { "" };
        self.dressed(self.http.get(format!("{}{wait}", self.url())))
    }

    fn post(&self, mid: &str, picked_up: Option<&str>) -> RequestBuilder {
        let resp = picked_up.map(|number| format!("resp={number}&")).unwrap_or_default();
        let post = self.http.post(format!("{}?{resp}mid={mid}", self.url()));
        match self.phone.kind {
            Kind::Native => self.dressed(post).body(json!({ "calls": [] }).to_string()),
            _ => self.dressed(post),
        }
    }

    fn dressed(&self, request: RequestBuilder) -> RequestBuilder {
        match self.phone.kind {
            Kind::App => request.header("User-Agent", "okhttp/3.10.0").header("model", &self.phone.name),
            Kind::Native => request.header(PROTOCOL_HEADER, "1"),
            Kind::List | Kind::Repeat => request,
        }
    }

    fn url(&self) -> String {
        let server = &self.phone.servers[self.server % self.phone.servers.len()];
        format!("{server}/h/{}/alert/phone", self.phone.token)
    }

    fn is_odd(&mut self) -> bool {
        self.random.random_bool(self.phone.habits.odd)
    }

    fn milliseconds(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.random.random_range(range))
    }
}

/// Asks; a reply that would kill the stock app is a violation.
async fn read_poll(phone: &Phone, request: RequestBuilder) -> Polled {
    let Some((status, body)) = exchange(request).await else { return Polled::Failed };
    let reply: Value = serde_json::from_str(&body).unwrap_or_default();
    match reply["code"].as_i64() {
        Some(0) => {}
        Some(_) if status == 200 => return Polled::Idle,
        Some(_) => return Polled::Failed,
        None => {
            phone.ledger.violation(format!("{} was told {status} {body:?}, which kills the app", phone.name));
            return Polled::Failed;
        }
    }
    let mid = reply["mid"].as_str().map(str::to_owned);
    let phones: Option<Vec<String>> =
        reply["phone"].as_array().and_then(|phones| phones.iter().map(|phone| Some(phone.as_str()?.to_owned())).collect());
    match (mid, phones) {
        (Some(mid), Some(phones)) if !phones.is_empty() => {
            if phone.kind == Kind::App && phones.len() != 1 {
                phone.ledger.violation(format!("the app was given more than one number: {body}"));
            }
            Polled::Offer { mid, phones }
        }
        _ => {
            phone.ledger.violation(format!("{} was told {body:?}, which kills the app", phone.name));
            Polled::Failed
        }
    }
}

/// Whether the server has taken the report; no reply is fine, any other reply makes the app forget and is a violation.
async fn is_acknowledged(ledger: &Ledger, name: &str, mid: &str, request: RequestBuilder) -> bool {
    match exchange(request).await {
        None => false,
        Some((200, body)) if body == r#"{"code":0}"# => true,
        Some((status, body)) => {
            ledger.violation(format!("{name} reported {mid} and was told {status} {body:?}"));
            false
        }
    }
}

/// Status and body, when both arrived whole.
async fn exchange(request: RequestBuilder) -> Option<(u16, String)> {
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    Some((status, response.text().await.ok()?))
}
