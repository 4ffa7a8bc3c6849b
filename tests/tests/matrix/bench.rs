//! A server, handsets and people, stepped through time second by second.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use android_protocol::phone::{Behaviour, LineEvent, People, Phone};
use android_protocol::sim::Happening;
use autocall::store::watch::handsets::{IdleForm, Profile};
use autocall_tests::wait::eventually;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::harness::{Home, Kind, Server};
use crate::line::{Client, Fault, Line, SERVER, Way};
use crate::truth;

/// Whatever takes longer has gone wrong.
const LONGEST: u64 = 3600;
/// While no alarm is under way, the server looks for what is due only so often: nothing is, and looking takes real time.
const QUIET: u64 = 10;
/// The longest that the end of a server may take, in real time.
const STOPPING: Duration = Duration::from_secs(20);

/// What kind of handset.
pub trait Make {
    /// How many seconds it rests between two polls.
    fn interval(&self) -> u64;
    /// How it must be told that there is nothing to do.
    fn idle_form(&self) -> IdleForm;
    /// Whether it takes a stranger's row in the call log for the end of its own call, and reports "nobody" of a line that rings.
    fn believes_the_last_row(&self) -> bool;
    /// One handset that polls this URL.
    fn connect(&self, url: &str, people: People, client: Client) -> Box<dyn Handset>;
}

/// A simulated handset.
pub trait Handset {
    fn run_until(&mut self, at: Duration);
    fn phone(&self) -> &Phone;
    fn phone_mut(&mut self) -> &mut Phone;
    fn trace(&self) -> &[(Duration, Happening)];
    /// Its process ends and begins anew, in the way that it does on its phone; a call goes on.
    fn restart(&mut self);
    /// What is wrong with it in the end, given when the server was not there.
    fn complaints(&self, outages: &[(Duration, Duration)]) -> Vec<String>;
}

/// A handset and its name at the server.
pub struct Desk {
    pub name: String,
    pub handset: Box<dyn Handset>,
}

struct Running {
    server: Server,
    runtime: Runtime,
}

/// Everything that takes part.
pub struct Bench {
    pub make: &'static dyn Make,
    pub desks: Vec<Desk>,
    pub line: Line,
    pub outages: Vec<(Duration, Duration)>,
    running: Option<Running>,
    began: DateTime<Utc>,
    now: u64,
    under_way: bool,
    database_away: bool,
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

impl Bench {
    pub fn new(kind: Kind, make: &'static dyn Make) -> Self {
        let runtime = runtime();
        let home = runtime.block_on(Home::new(kind));
        let began = home.clock.now();
        let mut bench = Self {
            make,
            desks: Vec::new(),
            line: Line::default(),
            outages: Vec::new(),
            running: None,
            began,
            now: 0,
            under_way: false,
            database_away: false,
        };
        bench.start(home, runtime);
        bench
    }

    fn start(&mut self, home: Home, runtime: Runtime) {
        let server = runtime.block_on(home.start());
        self.run(Running { server, runtime });
    }

    fn run(&mut self, running: Running) {
        let Running { server, runtime } = &running;
        self.line.lead_to(Some(Way {
            base: server.base.clone(),
            // A connection of its own for each request: one that is kept may be closed by the server in the moment it is used again,
            // which would look like a lost reply.
            http: autocall_tests::http_client()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .pool_max_idle_per_host(0)
                .build()
                .unwrap(),
            runtime: runtime.handle().clone(),
            engine: server.app.engine.clone(),
            database: server.home.config().database_url.map(|url| url.expose().to_owned()),
        }));
        self.running = Some(running);
    }

    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    /// Pairs a handset of this make, on whose line these people are.
    pub fn add(&mut self, name: &str, people: &[(&str, &[Behaviour])]) {
        self.add_behind(name, "", people);
    }

    /// The same with something behind the address that its operator typed.
    pub fn add_behind(&mut self, name: &str, behind: &str, people: &[(&str, &[Behaviour])]) {
        let Running { server, runtime } = self.running();
        let path = runtime.block_on(server.pair_as(name, Profile::Auto, "CN", self.make.idle_form()));
        let everybody =
            people.iter().fold(People::default(), |everybody, (number, does)| everybody.with(number, does.iter().copied()));
        let client = Client { line: self.line.clone(), name: name.to_owned() };
        let handset = self.make.connect(&format!("{SERVER}{path}{behind}"), everybody, client);
        self.desks.push(Desk { name: name.to_owned(), handset });
    }

    /// Raises an alarm and gives its id.
    pub fn raise(&mut self, phones: &[&str], more: Value) -> String {
        self.under_way = true;
        let Running { server, runtime } = self.running();
        runtime.block_on(server.raise(phones, more))
    }

    /// Calls people as a Barista client does, and gives the id of the event.
    pub fn barista_call(&mut self, parameters: &[(&str, &str)]) -> String {
        self.under_way = true;
        let Running { server, runtime } = self.running();
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let answer = runtime.block_on(server.post(&format!("/api/v1/call?{form}"), &json!({})));
        answer.1["eventid"].as_str().unwrap().to_owned()
    }

    /// What a Barista client is told of an event.
    pub fn barista_history(&self, event: &str) -> Value {
        let Running { server, runtime } = self.running();
        runtime.block_on(server.get(&format!("/api/v1/call?eventid={event}")))[0].clone()
    }

    /// The id of the alarm that was raised last.
    pub fn latest_alarm(&self) -> String {
        let Running { server, runtime } = self.running();
        runtime.block_on(server.get("/api/v1/alarms"))["alarms"][0]["id"].as_str().unwrap().to_owned()
    }

    /// The time since the beginning of an instant in seconds since 1970.
    pub fn seconds_since_beginning(&self, instant: &str) -> u64 {
        (instant.parse::<i64>().unwrap() - self.began.timestamp()).try_into().unwrap()
    }

    pub fn cancel(&self, id: &str) {
        let Running { server, runtime } = self.running();
        let (status, alarm) = runtime.block_on(server.post(&format!("/api/v1/alarms/{id}/cancel"), &json!({})));
        assert_eq!(status, 200, "{alarm}");
    }

    /// What the server says of an alarm.
    pub fn alarm(&self, id: &str) -> Value {
        let Running { server, runtime } = self.running();
        runtime.block_on(server.alarm(id))
    }

    /// The time since the beginning.
    pub fn now(&self) -> Duration {
        Duration::from_secs(self.now)
    }

    /// The time since the beginning of an instant that the server names; `None` for null.
    pub fn since_beginning(&self, instant: &Value) -> Option<Duration> {
        let at: DateTime<Utc> = instant.as_str()?.parse().unwrap();
        (at - self.began).to_std().ok()
    }

    /// One second passes: first at the server, then at the handsets.
    fn second(&mut self) {
        assert!(self.now < LONGEST, "it takes too long\n{}", self.story());
        self.now += 1;
        if let Some(Running { server, runtime }) = &self.running {
            server.home.clock.advance(TimeDelta::seconds(1));
            // A tick that finds the store stuck would wait for it in real time; the server's own does that.
            if !self.line.is_stuck() && !self.database_away && (self.under_way || self.now.is_multiple_of(QUIET)) {
                runtime.block_on(server.app.engine.tick()).unwrap();
            }
        }
        let now = self.now();
        for desk in &mut self.desks {
            desk.handset.run_until(now);
        }
    }

    pub fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.second();
        }
    }

    /// Goes on until the first handset has dialled `number`.
    pub fn until_dialled(&mut self, number: &str) {
        while self.desks[0].handset.phone().dials_to(number) == 0 {
            self.second();
        }
    }

    /// Goes on until these alarms have ended and no call is under way.
    pub fn until_over(&mut self, alarms: &[&str]) {
        loop {
            self.pass(5);
            let over = |id: &&str| matches!(self.alarm(id)["state"].as_str(), Some("answered" | "no_answer" | "cancelled"));
            if alarms.iter().all(over) && self.desks.iter().all(|desk| desk.handset.phone().next_event().is_none()) {
                return;
            }
        }
    }

    /// Stops the server in order and starts it again at once, as a new version is brought out.
    pub fn redeploy(&mut self) {
        self.line.lead_to(None);
        let Running { server: Server { home, app, .. }, runtime: old } = self.running.take().unwrap();
        app.stopping.cancel();
        let engine = Arc::downgrade(&app.engine);
        drop(app);
        old.block_on(eventually("the server ends in order", STOPPING, async || (engine.strong_count() == 0).then_some(())));
        old.shutdown_timeout(STOPPING);
        self.start(home, runtime());
    }

    /// Kills the server in the middle of whatever it does, and starts it again after so many seconds.
    pub fn kill_for(&mut self, seconds: u64) {
        self.line.lead_to(None);
        let Running { server: Server { home, app, .. }, runtime: killed } = self.running.take().unwrap();
        drop(app);
        killed.shutdown_timeout(STOPPING);
        let down_since = self.now();
        self.pass(seconds);
        // The clock belongs to the world, and went on.
        home.clock.advance(TimeDelta::seconds(seconds.try_into().unwrap()));
        self.start(home, runtime());
        self.outages.push((down_since, self.now()));
    }

    /// Takes the database away for so many seconds.
    pub fn lose_database_for(&mut self, seconds: u64) {
        self.set_database_away(true);
        self.pass(seconds);
        self.set_database_away(false);
    }

    fn set_database_away(&mut self, away: bool) {
        let Running { server, runtime } = self.running();
        runtime.block_on(server.lose_tables(away));
        self.line.set_database_away(away);
        self.database_away = away;
    }

    /// Lets something happen to the next report.
    pub fn break_next_report(&self, fault: Fault) {
        self.line.break_next_report(fault);
    }

    /// Goes on until everything is over and a while longer, and judges. `expected` says how each alarm has to end.
    pub fn judge(mut self, expected: &[(&str, truth::End)]) {
        let ids: Vec<&str> = expected.iter().map(|(id, _)| *id).collect();
        self.until_over(&ids);
        self.under_way = false;
        // Two more polls, and time for a process that is dead to begin anew.
        self.pass((2 * self.make.interval()).max(60) + 20);
        let problems = truth::problems(&self, expected);
        let alarms: Vec<String> = ids.iter().map(|id| format!("{:#}", self.alarm(id))).collect();
        assert!(
            problems.is_empty(),
            "\n{}\n\nWhat happened:\n{}\nWhat the server says:\n{}",
            problems.join("\n"),
            self.story(),
            alarms.join("\n")
        );
    }

    /// What every handset did, and what happened on its line.
    fn story(&self) -> String {
        let mut story = String::new();
        for desk in &self.desks {
            let did = desk.handset.trace().iter().map(|(at, did)| (*at, 0, format!("{did:?}")));
            let line = desk.handset.phone().events().iter().map(|(at, event)| (*at, 1, format!("line: {event:?}")));
            let mut both: Vec<_> = did.chain(line.filter(|(.., text)| !text.contains("Dialled"))).collect();
            both.sort_by_key(|(at, ..)| *at);
            for (at, _, text) in both {
                let _ = writeln!(story, "{:>8.1} {}: {text}", at.as_secs_f64(), desk.name);
            }
        }
        story
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.line.lead_to(None);
        if let Some(Running { server: Server { home, app, .. }, runtime }) = self.running.take() {
            drop(app);
            runtime.shutdown_timeout(STOPPING);
            // Last: nobody uses the database any more.
            drop(home);
        }
    }
}

/// A call as it really was.
#[derive(Clone, Debug)]
pub struct Call {
    pub desk: String,
    pub number: String,
    pub from: Duration,
    pub to: Duration,
    pub connected: Option<Duration>,
}

/// Every call that was placed on any handset.
pub fn calls(bench: &Bench) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    for desk in &bench.desks {
        let first = calls.len();
        for (at, event) in desk.handset.phone().events() {
            let open = |calls: &mut Vec<Call>, number: &str| {
                calls
                    .iter()
                    .enumerate()
                    .skip(first)
                    .rev()
                    .find(|(_, call)| call.number == number && call.to == Duration::MAX)
                    .map(|(i, _)| i)
            };
            match event {
                LineEvent::Dialled(number) => calls.push(Call {
                    desk: desk.name.clone(),
                    number: number.clone(),
                    from: *at,
                    to: Duration::MAX,
                    connected: None,
                }),
                LineEvent::Connected(number) => {
                    if let Some(i) = open(&mut calls, number) {
                        calls[i].connected = Some(*at);
                    }
                }
                LineEvent::Ended { number, .. } => {
                    if let Some(i) = open(&mut calls, number) {
                        calls[i].to = *at;
                    }
                }
                _ => {}
            }
        }
    }
    calls
}
