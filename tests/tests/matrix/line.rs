//! What lies between a handset and the server: real HTTP, and faults on request.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use android_protocol::http::{HttpReply, Method, Request};
use autocall::engine::Engine;
use autocall::store::Tx;
use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection};
use tokio::runtime::Handle;

/// What every handset's URL begins with; which port that is changes with every start of the server.
pub const SERVER: &str = "http://autocall.test";
/// The longest that any answer may take.
const PATIENCE: Duration = Duration::from_secs(9);
/// How long a handset is made to wait for the answer to a report that cannot be stored.
const WHILE_STUCK: Duration = Duration::from_secs(1);

/// What happens to the next report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server takes it in, and its answer is lost.
    LosesReply,
    /// It never arrives.
    LosesReport,
    /// The server cannot write from then on, until the handset has asked once more.
    StoreStuck,
}

/// The way to a running server.
#[derive(Clone)]
pub struct Way {
    pub base: String,
    pub http: reqwest::Client,
    pub runtime: Handle,
    pub engine: Arc<Engine>,
    pub database: Option<String>,
}

/// What keeps the store from writing.
enum Hold {
    Embedded { _writer: Box<Tx> },
    Shared { _locked: PgConnection },
}

#[derive(Default)]
struct State {
    way: Option<Way>,
    fault: Option<Fault>,
    hold: Option<Hold>,
    /// So many answers that tell a handset to dial come too late.
    late_offers: u32,
    /// When that was: a handset heard nothing meanwhile.
    silences: Vec<(Duration, Duration)>,
    /// The store can neither be read nor written.
    database_away: bool,
    complaints: Vec<String>,
}

/// The network; shared by all handsets of a bench.
#[derive(Clone, Default)]
pub struct Line(Rc<RefCell<State>>);

/// What the simulation asks for a reply; `None` is a broken connection.
pub type Answers = Box<dyn FnMut(&Request, Duration) -> Option<HttpReply>>;

/// One handset's end of the line.
pub struct Client {
    pub line: Line,
    pub name: String,
}

impl Client {
    /// The server, as the simulation wants it.
    pub fn closure(self) -> Answers {
        Box::new(move |request, at| self.line.carry(&self.name, request, at))
    }
}

impl Line {
    /// Connects the handsets to a server, or to none.
    pub fn lead_to(&self, way: Option<Way>) {
        self.0.borrow_mut().way = way;
    }

    /// Lets something happen to the next report.
    pub fn break_next_report(&self, fault: Fault) {
        self.0.borrow_mut().fault = Some(fault);
    }

    /// Lets so many of the next answers that tell a handset to dial come after it has given up reading.
    pub fn delay_offers(&self, answers: u32) {
        self.0.borrow_mut().late_offers = answers;
    }

    /// When answers came too late, for the handsets as if nobody were there.
    pub fn silences(&self) -> Vec<(Duration, Duration)> {
        self.0.borrow().silences.clone()
    }

    /// From now on the store can be used, or not.
    pub fn set_database_away(&self, away: bool) {
        self.0.borrow_mut().database_away = away;
    }

    /// Whether the fault that was asked for has not happened yet.
    pub fn has_fault_left(&self) -> bool {
        let state = self.0.borrow();
        state.fault.is_some() || state.late_offers > 0
    }

    /// Whether the store cannot write now.
    pub fn is_stuck(&self) -> bool {
        self.0.borrow().hold.is_some()
    }

    /// What the server did that no server may do.
    pub fn complaints(&self) -> Vec<String> {
        self.0.borrow().complaints.clone()
    }

    fn complain(&self, name: &str, request: &Request, about: &str) {
        let (method, url) = (request.method.as_str(), &request.url);
        self.0.borrow_mut().complaints.push(format!("{name}: {method} {url}: {about}"));
    }

    fn carry(&self, name: &str, request: &Request, at: Duration) -> Option<HttpReply> {
        let way = self.0.borrow().way.clone()?;
        let is_report = request.method == Method::Post && request.url.contains("/alert/phone");
        let fault = if is_report { self.0.borrow_mut().fault.take() } else { None };
        match fault {
            Some(Fault::LosesReport) => return None,
            Some(Fault::LosesReply) => {
                if self.send(&way, name, request, PATIENCE).is_none() {
                    self.complain(name, request, "no answer");
                }
                return None;
            }
            Some(Fault::StoreStuck) => {
                let hold = way.runtime.block_on(hold(&way));
                self.0.borrow_mut().hold = Some(hold);
                let reply = self.send(&way, name, request, WHILE_STUCK);
                if let Some(reply) = &reply {
                    self.complain(name, request, &format!("answered with {} though nothing could be stored", reply.status));
                }
                return reply;
            }
            None => {}
        }
        if is_report {
            // It comes again, and is stored this time.
            self.release(&way);
        }
        if request.method == Method::Post && self.0.borrow().database_away {
            let reply = self.send(&way, name, request, WHILE_STUCK);
            if let Some(reply) = reply.as_ref().filter(|_| is_report) {
                self.complain(name, request, &format!("answered with {} though nothing could be stored", reply.status));
            }
            return reply;
        }
        let reply = self.send(&way, name, request, PATIENCE);
        if reply.is_none() {
            self.complain(name, request, "no answer");
        }
        if let Some(late) = reply.clone().filter(|reply| request.method == Method::Get && tells_to_dial(reply)) {
            let mut state = self.0.borrow_mut();
            if state.late_offers > 0 {
                state.late_offers -= 1;
                let too_late = request.timeout + Duration::from_secs(1);
                state.silences.push((at, at + too_late));
                return Some(late.after(too_late));
            }
        }
        if request.method == Method::Get && request.url.contains("/alert/phone") {
            self.release(&way);
        }
        reply
    }

    fn release(&self, way: &Way) {
        let hold = self.0.borrow_mut().hold.take();
        way.runtime.block_on(async move {
            match hold {
                Some(Hold::Embedded { _writer: writer }) => drop(writer),
                Some(Hold::Shared { _locked: connection }) => connection.close().await.unwrap(),
                None => {}
            }
        });
    }

    fn send(&self, way: &Way, name: &str, request: &Request, patience: Duration) -> Option<HttpReply> {
        let path = request.url.strip_prefix(SERVER).unwrap();
        let url = format!("{}{path}", way.base);
        let mut sent = match request.method {
            Method::Get => way.http.get(url),
            Method::Post => way.http.post(url).body(request.body.clone()),
        };
        for (key, value) in request.headers.iter().filter(|(key, _)| !key.eq_ignore_ascii_case("content-length")) {
            sent = sent.header(key, value);
        }
        let reply = way.runtime.block_on(async {
            let response = sent.timeout(patience).send().await.ok()?;
            let status = response.status().as_u16();
            Some(HttpReply::new(status, response.bytes().await.ok()?))
        })?;
        if let Some(about) = fault_in(&reply) {
            self.complain(name, request, &about);
        }
        Some(reply)
    }
}

fn tells_to_dial(reply: &HttpReply) -> bool {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    body["code"] == 0 && body["phone"].as_array().is_some_and(|phones| !phones.is_empty())
}

/// What is wrong with a reply on the handset path, whatever its status.
fn fault_in(reply: &HttpReply) -> Option<String> {
    let text = String::from_utf8_lossy(&reply.body);
    let told = || Some(format!("status {}, body {text:?}", reply.status));
    let Ok(body) = serde_json::from_slice::<Value>(&reply.body) else { return told() };
    if !body["code"].is_number() || (300..400).contains(&reply.status) {
        return told();
    }
    if body["code"] == 0 && !body["phone"].is_null() {
        let phones_are_text = body["phone"].as_array().is_some_and(|phones| phones.iter().all(Value::is_string));
        if !body["mid"].is_string() || !phones_are_text {
            return told();
        }
    }
    None
}

/// Keeps the store from writing while it can still read.
async fn hold(way: &Way) -> Hold {
    match &way.database {
        None => Hold::Embedded { _writer: Box::new(way.engine.store.begin().await.unwrap()) },
        Some(url) => {
            let mut connection = PgConnection::connect(url).await.unwrap();
            connection.execute("BEGIN").await.unwrap();
            let lock = "LOCK TABLE hunts, callees, dials, dial_targets IN EXCLUSIVE MODE";
            connection.execute(lock).await.unwrap();
            Hold::Shared { _locked: connection }
        }
    }
}
