//! Drives a simulated handset against a real server: see `driver` for one with a real line.

use std::{fmt, future::Future, pin::Pin, str::FromStr, time::Duration};

use thiserror::Error;
use tokio::time::Instant;

use crate::{
    app::{Action, App, Build, Death, LastRow, Settings, Start},
    client,
    http::{HttpReply, Method, Request},
    native::{JournalEntry, NativeAction, NativeHandset, NativeSettings, Phase},
    phone::{CallId, DialResult, People, Phone},
    sim::simulated_result,
    wire::{Capability, CommandKind, Status},
};

/// Which handset is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A build of the app.
    App(Build),
    /// The native protocol.
    Native,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(build) => build.fmt(f),
            Self::Native => f.write_str("native"),
        }
    }
}

/// The name is neither `native` nor that of a build.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no handset is called {0:?}; there are native, app-head, app-head-headless, app-14558f3, app-25cd829 and app-1.0")]
pub struct UnknownKind(pub String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        if name == "native" {
            return Ok(Self::Native);
        }
        name.parse().map(Self::App).map_err(|_| UnknownKind(name.to_owned()))
    }
}

/// What to simulate.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which handset.
    pub kind: Kind,
    /// The URL it is given, `…/alert/phone`.
    pub url: String,
    /// Its phone, and the people it can reach.
    pub phone: Phone,
    /// Pause between two polls of the app.
    pub interval: Duration,
    /// How many times faster than the wall clock its time runs.
    pub speed: f64,
    /// Whether to stop after the first report, or the first poll that brings nothing.
    pub once: bool,
    /// The phone's model.
    pub model: String,
    /// How long after its death the app is restarted by Android, without a screen; `None` ends the simulation.
    pub restart_after: Option<Duration>,
}

impl Options {
    /// A handset with people who answer as scripted, everything else as usual.
    #[must_use]
    pub fn new(kind: Kind, url: &str, people: People) -> Self {
        Self {
            kind,
            url: url.to_owned(),
            phone: Phone::new(people),
            interval: crate::app::DEFAULT_INTERVAL,
            speed: 1.0,
            once: false,
            model: format!("simulated-{kind}"),
            restart_after: None,
        }
    }
}

/// Why a simulation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was told to.
    Shutdown,
    /// One alarm was reported, or nothing was pending.
    Once,
    /// The app's process died.
    Died(Death),
}

/// Why a simulation could not begin.
#[derive(Debug, Error)]
pub enum AgentError {
    /// The HTTP client.
    #[error("the HTTP client could not be made")]
    Client(#[from] reqwest::Error),
    /// A speed that is no positive number.
    #[error("the speed must be a number greater than 0 and at most 100000")]
    Speed,
}

/// Runs a handset until `shutdown` completes, and logs what happens.
///
/// # Errors
///
/// Only before anything is sent; a server that cannot be reached is part of the simulation.
pub async fn run(options: Options, shutdown: impl Future<Output = ()>) -> Result<Ending, AgentError> {
    let kind = options.kind;
    run_and_tell(
        options,
        shutdown,
        move |at, line| tracing::info!(handset.kind = %kind, handset.seconds = at.as_secs(), "{line}"),
    )
    .await
}

type InFlight = Pin<Box<dyn Future<Output = Option<HttpReply>> + Send>>;

/// As [`run`], telling `tell` each line and the handset's own time.
///
/// # Errors
///
/// As [`run`].
pub async fn run_and_tell(
    options: Options,
    shutdown: impl Future<Output = ()>,
    tell: impl FnMut(Duration, &str),
) -> Result<Ending, AgentError> {
    if !(options.speed > 0.0 && options.speed <= 100_000.0) {
        return Err(AgentError::Speed);
    }
    // The app follows redirects by its own rules.
    let client = client::builder().no_proxy().build()?;
    let (speed, once, restart_after) = (options.speed, options.once, options.restart_after);
    let mut bench = Bench {
        machine: Machine::new(&options),
        phone: options.phone,
        restart_after,
        last_line: String::new(),
        died: None,
        tell,
    };
    let began = Instant::now();
    let mut in_flight: Option<(Request, InFlight)> = None;
    tokio::pin!(shutdown);
    loop {
        let now = began.elapsed().mul_f64(speed);
        let wake = match bench.step(now) {
            Want::Send(request) => {
                let (client, sent) = (client.clone(), request.clone());
                in_flight = Some((request, Box::pin(async move { client::send(&client, sent).await.ok() })));
                continue;
            }
            Want::End(ending) => return Ok(ending),
            Want::Sleep(at) => at,
        };
        let pause =
            wake.map_or(Duration::from_hours(1), |at| at.saturating_sub(now).div_f64(speed).max(Duration::from_millis(1)));
        let reply = async {
            match &mut in_flight {
                Some((_, sending)) => sending.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = &mut shutdown => return Ok(Ending::Shutdown),
            () = tokio::time::sleep(pause) => {}
            reply = reply => {
                let now = began.elapsed().mul_f64(speed);
                if let Some((request, _)) = in_flight.take() {
                    bench.reply(now, &request, reply.as_ref());
                }
                if once && bench.finished() {
                    return Ok(Ending::Once);
                }
            }
        }
    }
}

enum Machine {
    App(Box<App>),
    Native { handset: Box<NativeHandset>, call: Option<CallId>, journal: Vec<JournalEntry> },
}

impl Machine {
    fn new(options: &Options) -> Self {
        match options.kind {
            Kind::App(build) => {
                let settings =
                    Settings { interval: options.interval, model: options.model.clone(), ..Settings::new(&options.url) };
                Self::App(Box::new(App::new(build, settings, Duration::ZERO)))
            }
            Kind::Native => {
                let status = Status {
                    agent: Some(format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))),
                    capabilities: vec![Capability::Hangup, Capability::Forwarding, Capability::Sms],
                    ..Status::default()
                };
                let settings = NativeSettings { status, ..NativeSettings::new(&options.url) };
                Self::Native { handset: Box::new(NativeHandset::new(settings)), call: None, journal: Vec::new() }
            }
        }
    }
}

enum Want {
    Send(Request),
    Sleep(Option<Duration>),
    End(Ending),
}

/// A handset, its phone, and whoever listens.
struct Bench<T> {
    machine: Machine,
    phone: Phone,
    restart_after: Option<Duration>,
    /// The line told last about a poll, so that "nothing" is said once.
    last_line: String,
    died: Option<Duration>,
    tell: T,
}

impl<T: FnMut(Duration, &str)> Bench<T> {
    /// Does what is due now.
    fn step(&mut self, now: Duration) -> Want {
        let before = self.phone.events().len();
        self.phone.advance(now);
        self.tell_line(before);
        loop {
            let before = self.phone.events().len();
            let want = match &mut self.machine {
                Machine::App(app) => match app.poll(now) {
                    Action::Http(request) => Some(Want::Send(request)),
                    Action::SleepUntil(at) => Some(Want::Sleep(Some(at))),
                    Action::Wait => Some(Want::Sleep(None)),
                    Action::Dial(number) => {
                        self.phone.dial(now, &number);
                        None
                    }
                    Action::ReadCallLog => {
                        let last = match self.phone.last_row() {
                            _ if !self.phone.setup.call_log_granted => LastRow::Denied,
                            Some(row) => LastRow::Row(row.clone()),
                            None => LastRow::Empty,
                        };
                        app.call_log(now, last);
                        None
                    }
                    Action::Dead(why) => {
                        if self.died.is_none() {
                            (self.tell)(now, &format!("the app died: {why:?}"));
                        }
                        let died = *self.died.get_or_insert(now);
                        match self.restart_after {
                            None => Some(Want::End(Ending::Died(why))),
                            Some(after) if now < died + after => Some(Want::Sleep(Some(died + after))),
                            Some(_) => {
                                self.died = None;
                                app.restart(now, Start::ByAndroid);
                                (self.tell)(now, "Android restarted the app without its screen");
                                None
                            }
                        }
                    }
                },
                Machine::Native { handset, call, journal } => {
                    let seen = handset.observe(&self.phone, *call);
                    match handset.poll(now, seen) {
                        NativeAction::Http(request) => Some(Want::Send(request)),
                        NativeAction::SleepUntil(at) => {
                            Some(Want::Sleep(Some(self.phone.next_event().map_or(at, |next| next.min(at)))))
                        }
                        NativeAction::Wait => Some(Want::Sleep(self.phone.next_event())),
                        NativeAction::Journal(entry) => {
                            // The journal of a simulation lasts as long as the simulation.
                            journal.push(entry);
                            handset.journaled();
                            None
                        }
                        NativeAction::Dial(number) => {
                            *call = if let DialResult::Call(id) = self.phone.dial(now, &number) { Some(id) } else { None };
                            None
                        }
                        NativeAction::HangUp => {
                            self.phone.hang_up(now);
                            None
                        }
                        NativeAction::CarryOut(command) => {
                            if let CommandKind::Forward { code } = &command.kind {
                                self.phone.dial(now, &code.replace('#', "%23"));
                            }
                            handset.carried_out(command.id, simulated_result(&command.kind));
                            None
                        }
                    }
                }
            };
            self.tell_line(before);
            match want {
                // Whatever happens on the line is told when it happens.
                Some(Want::Sleep(at)) => return Want::Sleep([at, self.phone.next_event()].into_iter().flatten().min()),
                Some(want) => return want,
                None => {}
            }
        }
    }

    /// Tells what happened on the line.
    fn tell_line(&mut self, from: usize) {
        for (at, event) in self.phone.events().iter().skip(from) {
            (self.tell)(*at, &format!("phone: {event}"));
        }
    }

    fn reply(&mut self, now: Duration, request: &Request, reply: Option<&HttpReply>) {
        let what = reply
            .map_or_else(|| "no reply".to_owned(), |reply| format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body)));
        let line = format!(
            "{} {} {}-> {what}",
            request.method.as_str(),
            request.url,
            if request.body.is_empty() { String::new() } else { format!("{} ", request.body) }
        );
        if request.method == Method::Post || line != self.last_line {
            (self.tell)(now, &line);
        }
        if request.method == Method::Get {
            self.last_line = line;
        }
        match (&mut self.machine, reply) {
            (Machine::App(app), Some(reply)) => app.http_reply(now, reply),
            (Machine::App(app), None) => app.http_error(now),
            (Machine::Native { handset, .. }, Some(reply)) => handset.http_reply(now, reply),
            (Machine::Native { handset, .. }, None) => handset.http_error(now),
        }
    }

    /// True once an alarm was reported, or a poll brought none.
    fn finished(&self) -> bool {
        match &self.machine {
            Machine::App(app) => app.counters().posts > 0 || app.remembered_mid().is_none(),
            Machine::Native { handset, .. } => handset.reported() > 0 || (handset.polled() && handset.phase() == Phase::Idle),
        }
    }
}
