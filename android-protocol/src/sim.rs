//! A world without a network: an app or a native handset, its phone, and a scripted server, stepped through time.

use std::{collections::VecDeque, time::Duration};

use crate::{
    app::{Action, App, Build, Death, LastRow, Settings, Start},
    http::{HttpReply, Method, Request},
    native::{self, NativeAction, NativeHandset},
    phone::{DialResult, Phone},
    sms::{Reaction, reaction},
    wire::{CommandKind, OutboxResult},
};

/// Something a handset did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// It sent a request; `status` is `None` if no reply came.
    Sent {
        /// GET or POST.
        method: Method,
        /// Where to.
        url: String,
        /// What it sent.
        body: String,
        /// What came back.
        status: Option<u16>,
    },
    /// It handed a number to Android.
    Dialled {
        /// As it was handed over.
        number: String,
        /// What Android made of it.
        result: DialResult,
    },
    /// Its process died.
    Died(Death),
    /// Its process was started again.
    Restarted,
    /// It hung up.
    HungUp,
}

/// The reply that reaches a client with this time-out, and when.
fn arrives(request: &Request, reply: Option<HttpReply>) -> (Duration, Option<HttpReply>) {
    match reply {
        Some(reply) if reply.takes >= request.timeout => (request.timeout, None),
        Some(reply) => (reply.takes, Some(reply)),
        None => (Duration::ZERO, None),
    }
}

/// An app on its phone, and a server that is a closure: `None` is a connection that breaks.
pub struct World<S> {
    /// The app.
    pub app: App,
    /// Its phone.
    pub phone: Phone,
    /// Android version of the phone; from 8 on, a second start of the SMS service kills the app.
    pub android: u32,
    /// How long after its death Android starts the process again, without a screen; `None` for never.
    pub restart_after: Option<Duration>,
    server: S,
    now: Duration,
    pending: Option<(Duration, Option<HttpReply>)>,
    kill_at: Option<(Duration, Death)>,
    mourned: bool,
    trace: Vec<(Duration, Happening)>,
}

impl<S: FnMut(&Request, Duration) -> Option<HttpReply>> World<S> {
    /// A world that begins with the creation of the app's service.
    pub fn new(build: Build, settings: Settings, phone: Phone, server: S) -> Self {
        Self {
            app: App::new(build, settings, Duration::ZERO),
            phone,
            android: 13,
            restart_after: None,
            server,
            now: Duration::ZERO,
            pending: None,
            kill_at: None,
            mourned: false,
            trace: Vec::new(),
        }
    }

    /// The time.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Everything that happened.
    pub fn trace(&self) -> &[(Duration, Happening)] {
        &self.trace
    }

    /// The times and numbers of all dials handed to Android, dropped ones included.
    pub fn dials(&self) -> Vec<(u64, String)> {
        self.trace
            .iter()
            .filter_map(|(at, happening)| match happening {
                Happening::Dialled { number, .. } => Some((at.as_secs(), number.clone())),
                _ => None,
            })
            .collect()
    }

    /// The times and queries of all reports.
    pub fn reports(&self) -> Vec<(u64, String)> {
        self.requests(Method::Post).map(|(at, url)| (at, url.split_once('?').map_or("", |(_, query)| query).to_owned())).collect()
    }

    /// The times of all polls.
    pub fn polls(&self) -> Vec<u64> {
        self.requests(Method::Get).map(|(at, _)| at).collect()
    }

    fn requests(&self, wanted: Method) -> impl Iterator<Item = (u64, &str)> {
        self.trace.iter().filter_map(move |(at, happening)| match happening {
            Happening::Sent { method, url, .. } if *method == wanted => Some((at.as_secs(), url.as_str())),
            _ => None,
        })
    }

    /// Why the app is dead, if it is.
    pub fn death(&self) -> Option<Death> {
        match self.app.health() {
            crate::app::Health::Dead { why, .. } => Some(why),
            _ => None,
        }
    }

    fn note(&mut self, happening: Happening) {
        self.trace.push((self.now, happening));
    }

    /// Notes a death once.
    fn note_death(&mut self) {
        match self.death() {
            Some(why) if !self.mourned => {
                self.mourned = true;
                self.note(Happening::Died(why));
            }
            Some(_) => {}
            None => self.mourned = false,
        }
    }

    /// Moves time to `until`, letting everything happen on the way.
    pub fn run_until(&mut self, until: Duration) {
        while let Some(next) = self.step().filter(|&next| next <= until) {
            self.now = self.now.max(next);
            self.phone.advance(self.now);
        }
        self.now = self.now.max(until);
        self.phone.advance(self.now);
    }

    /// Moves time on by whole seconds.
    pub fn run_for(&mut self, seconds: u64) {
        self.run_until(self.now + Duration::from_secs(seconds));
    }

    /// Somebody opens the app, or Android restarts it.
    pub fn restart(&mut self, start: Start) {
        self.pending = None;
        self.app.restart(self.now, start);
        self.note(Happening::Restarted);
    }

    /// An SMS arrives in these parts.
    pub fn receive_sms(&mut self, parts: &[&str]) {
        let crash = |world: &mut Self| {
            world.app.die(world.now, Death::Sms);
            world.note_death();
        };
        match reaction(self.app.build(), parts) {
            Reaction::Ignored => {}
            Reaction::Dials { number, times, killed_on_android_8 } => {
                for _ in 0..times {
                    self.dial(number.clone());
                }
                if killed_on_android_8 && self.android >= 8 {
                    self.kill_at = Some((self.now + Duration::from_secs(5), Death::ForegroundPromise));
                }
            }
            // The hidden interface is out of reach from Android 9 on; below, the foreground call ends.
            Reaction::HangsUp { .. } | Reaction::HangsUpAndCrashes if self.android >= 9 => crash(self),
            Reaction::HangsUp { then_dials } => {
                self.phone.hang_up(self.now);
                self.note(Happening::HungUp);
                if let Some(number) = then_dials {
                    self.dial(number);
                }
            }
            Reaction::HangsUpAndCrashes => {
                self.phone.hang_up(self.now);
                crash(self);
            }
            Reaction::Crashes => crash(self),
        }
    }

    fn dial(&mut self, number: String) {
        let result = self.phone.dial(self.now, &number);
        self.note(Happening::Dialled { number, result });
    }

    /// Does what is due now; the time of what comes next.
    fn step(&mut self) -> Option<Duration> {
        loop {
            if let Some((_, why)) = self.kill_at.take_if(|(at, _)| *at <= self.now) {
                self.app.die(self.now, why);
                self.note_death();
            }
            if let Some((_, reply)) = self.pending.take_if(|(at, _)| *at <= self.now) {
                self.answer(reply);
            }
            let action = self.app.poll(self.now);
            self.note_death();
            match action {
                Action::SleepUntil(at) => return self.kill_at.map_or(Some(at), |(kill, _)| Some(kill.min(at))),
                Action::Http(request) => {
                    let reply = (self.server)(&request, self.now);
                    let (takes, reply) = arrives(&request, reply);
                    let status = reply.as_ref().map(|reply| reply.status);
                    self.note(Happening::Sent { method: request.method, url: request.url, body: request.body, status });
                    self.pending = Some((self.now + takes, reply));
                }
                Action::Dial(number) => self.dial(number),
                Action::ReadCallLog => {
                    let last = match self.phone.last_row() {
                        _ if !self.phone.setup.call_log_granted => LastRow::Denied,
                        Some(row) => LastRow::Row(row.clone()),
                        None => LastRow::Empty,
                    };
                    self.app.call_log(self.now, last);
                }
                Action::Wait => return self.pending.as_ref().map(|(at, _)| *at),
                Action::Dead(_) => {
                    let crate::app::Health::Dead { at, .. } = self.app.health() else { continue };
                    let back = at + self.restart_after?;
                    if back > self.now {
                        return Some(back);
                    }
                    self.restart(Start::ByAndroid);
                }
            }
            self.note_death();
        }
    }

    fn answer(&mut self, reply: Option<HttpReply>) {
        match reply {
            Some(reply) => self.app.http_reply(self.now, &reply),
            None => self.app.http_error(self.now),
        }
        self.note_death();
    }
}

/// What the simulated phone says to a command.
pub(crate) fn simulated_result(kind: &CommandKind) -> OutboxResult {
    let detail = match kind {
        CommandKind::Forward { .. } => "sent; the network's answer is shown on the phone only",
        CommandKind::Sms { .. } | CommandKind::TestCall { .. } => "the simulated phone has no messages",
    };
    OutboxResult { ok: true, detail: Some(detail.to_owned()), ..OutboxResult::default() }
}

/// A native handset on its phone, with its journal, and a server that is a closure.
pub struct NativeWorld<S> {
    /// The handset.
    pub handset: NativeHandset,
    /// Its phone.
    pub phone: Phone,
    /// What it wrote down; survives [`NativeWorld::restart`].
    pub journal: Vec<native::JournalEntry>,
    server: S,
    now: Duration,
    call: Option<crate::phone::CallId>,
    pending: VecDeque<(Duration, Option<HttpReply>)>,
    trace: Vec<(Duration, Happening)>,
}

impl<S: FnMut(&Request, Duration) -> Option<HttpReply>> NativeWorld<S> {
    /// A world that begins with the start of the agent.
    pub fn new(settings: native::NativeSettings, phone: Phone, server: S) -> Self {
        Self {
            handset: NativeHandset::new(settings),
            phone,
            journal: Vec::new(),
            server,
            now: Duration::ZERO,
            call: None,
            pending: VecDeque::new(),
            trace: Vec::new(),
        }
    }

    /// The time.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Everything that happened.
    pub fn trace(&self) -> &[(Duration, Happening)] {
        &self.trace
    }

    /// The process ends and begins anew with nothing but its journal; a call on the phone goes on.
    pub fn restart(&mut self) {
        self.pending.clear();
        let settings = self.handset.settings().clone();
        self.handset = NativeHandset::restore(settings, &self.journal);
        self.call = self.handset.unfinished_number().and_then(|number| self.phone.live_call_to(number));
        self.trace.push((self.now, Happening::Restarted));
    }

    /// Moves time to `until`, letting everything happen on the way.
    pub fn run_until(&mut self, until: Duration) {
        while let Some(next) = self.step().filter(|&next| next <= until) {
            self.now = self.now.max(next);
            self.phone.advance(self.now);
        }
        self.now = self.now.max(until);
        self.phone.advance(self.now);
    }

    /// Moves time on by whole seconds.
    pub fn run_for(&mut self, seconds: u64) {
        self.run_until(self.now + Duration::from_secs(seconds));
    }

    fn step(&mut self) -> Option<Duration> {
        loop {
            if self.pending.front().is_some_and(|(at, _)| *at <= self.now) {
                match self.pending.pop_front() {
                    Some((_, Some(reply))) => self.handset.http_reply(self.now, &reply),
                    _ => self.handset.http_error(self.now),
                }
            }
            let seen = self.handset.observe(&self.phone, self.call);
            match self.handset.poll(self.now, seen) {
                NativeAction::SleepUntil(at) => {
                    // The handset watches its line, so whatever happens there wakes it.
                    let line = [
                        self.phone.next_event(),
                        Some(at.max(self.now + Duration::from_millis(1))),
                        self.pending.front().map(|(at, _)| *at),
                    ];
                    return line.into_iter().flatten().min();
                }
                NativeAction::Wait => {
                    let wakes = [self.phone.next_event(), self.pending.front().map(|(at, _)| *at)];
                    return wakes.into_iter().flatten().min();
                }
                NativeAction::Http(request) => {
                    let reply = (self.server)(&request, self.now);
                    let (takes, reply) = arrives(&request, reply);
                    let status = reply.as_ref().map(|reply| reply.status);
                    self.trace.push((
                        self.now,
                        Happening::Sent { method: request.method, url: request.url, body: request.body, status },
                    ));
                    self.pending.push_back((self.now + takes, reply));
                }
                NativeAction::Journal(entry) => {
                    self.journal.push(entry);
                    self.handset.journaled();
                }
                NativeAction::Dial(number) => {
                    let result = self.phone.dial(self.now, &number);
                    self.call = if let DialResult::Call(id) = result { Some(id) } else { None };
                    self.trace.push((self.now, Happening::Dialled { number, result }));
                }
                NativeAction::HangUp => {
                    self.phone.hang_up(self.now);
                    self.trace.push((self.now, Happening::HungUp));
                }
                NativeAction::CarryOut(command) => {
                    if let CommandKind::Forward { code } = &command.kind {
                        let number = code.replace('#', "%23");
                        let result = self.phone.dial(self.now, &number);
                        self.trace.push((self.now, Happening::Dialled { number, result }));
                    }
                    self.handset.carried_out(command.id, simulated_result(&command.kind));
                }
            }
        }
    }
}
