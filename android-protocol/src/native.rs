//! The native handset: one state machine from lease to report, which never dials what it has not written down.
//!
//! Idle → leased → dialling → alerting → connected → ended → reported. Before each dial the intent goes into the journal; after a restart
//! the handset looks at the phone and at the call log, and never dials an intent a second time.

use std::{collections::VecDeque, time::Duration};

pub mod journal;

pub use journal::JournalEntry;
use journal::Past;

use crate::{
    http::{HttpReply, Method, Request},
    phone::{CallId, CallLogRow, CallState, EndCause, Phone},
    wire::{
        CallOutcome, CommandKind, NativeCall, NativeOffer, NativeReport, Outbox, OutboxCommand, OutboxResult, PROTOCOL_HEADER,
        PROTOCOL_VERSION, PollReply, Progress, ProgressState, Status,
    },
};

/// How long a number may ring when the server did not say.
pub const DEFAULT_RING: Duration = Duration::from_secs(60);

/// How long a dial may leave no trace on the phone before it counts as failed.
const DIAL_GRACE: Duration = Duration::from_secs(5);

/// Shortest time between two polls of a server that does not hold them.
const POLL_SPACING: Duration = Duration::from_secs(2);

/// How long to wait after a request that failed.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How often the handset says how it is.
const STATUS_EVERY: Duration = Duration::from_secs(60);

/// How often a running call is told again: the server takes a handset that is silent for a minute for lost.
const TELL_EVERY: Duration = Duration::from_secs(20);

/// How long the handset rests after an offer of which it could dial nothing, because somebody else was using its line.
const REST_WHEN_BUSY: Duration = Duration::from_secs(15);

/// Time a request may take beyond the wait it asks for.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the operator set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeSettings {
    /// Everything before `/alert/phone`: `http://server/h/TOKEN`.
    pub base: String,
    /// How long the server may hold a poll.
    pub wait: Duration,
    /// What the handset says about itself.
    pub status: Status,
    /// Unix time of the beginning, for `started_at`; `None` leaves that key out.
    pub began_at: Option<u64>,
    /// Whether a call can be ended from here; where not, only the callee or the network ends it.
    pub hangs_up: bool,
}

impl NativeSettings {
    /// Settings for a server address, with or without `/alert/phone` at its end.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let base = url.trim_end_matches('/');
        let base = base.strip_suffix("/alert/phone").unwrap_or(base).to_owned();
        Self { base, wait: Duration::from_secs(20), status: Status::default(), began_at: None, hangs_up: true }
    }
}

/// What the handset wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NativeAction {
    /// Nothing before this time, unless the line changes.
    SleepUntil(Duration),
    /// Nothing until a reply comes, or the line changes.
    Wait,
    /// Send this; answer with [`NativeHandset::http_reply`] or [`NativeHandset::http_error`].
    Http(Request),
    /// Write this down, safe against power loss, then call [`NativeHandset::journaled`].
    Journal(JournalEntry),
    /// Dial this, encoded for a `tel:` address.
    Dial(String),
    /// End the call.
    HangUp,
    /// Send this text or this code; answer with [`NativeHandset::carried_out`].
    CarryOut(OutboxCommand),
}

/// Why a number could not be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CannotDial {
    /// Somebody else is using the line: another attempt will be wanted.
    LineBusy,
    /// The handset does not work, or may not: another handset is preferred.
    Broken(String),
}

/// A call that is not known to be over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfinished<'a> {
    /// Whom it rings.
    pub number: &'a str,
    /// When it was dialled.
    pub started: Duration,
    /// How long it may ring.
    pub ring: Duration,
    /// Whether another process dialled it.
    pub recovered: bool,
}

/// What can be seen on the phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// The call that was dialled.
    Call(CallState),
    /// No such call; the newest row of the call log that belongs to it, if there is one.
    NoCall(Option<CallLogRow>),
}

/// Where the handset stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing to do.
    Idle,
    /// It holds an offer.
    Leased,
    /// It dialled.
    Dialling,
    /// It rings.
    Alerting,
    /// The line is connected.
    Connected,
    /// Everything is over, and the report is on its way.
    Ended,
}

#[derive(Debug, Clone)]
struct Calling {
    number: String,
    started: Duration,
    state: ProgressState,
    hanging_up: bool,
    /// The call was not dialled by this process.
    recovered: bool,
    /// When the server was last told about it.
    told: Duration,
}

/// Why a number is being called.
#[derive(Debug, Clone)]
struct Job {
    offer: NativeOffer,
    leased: Duration,
    results: Vec<NativeCall>,
    /// The outbox command behind it, if it is a test call.
    test: Option<String>,
    unwanted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Purpose {
    Poll,
    Progress,
    Report,
    Status,
    Outbox,
    Result,
}

/// One running native handset.
#[derive(Debug, Clone)]
pub struct NativeHandset {
    settings: NativeSettings,
    job: Option<Job>,
    calling: Option<Calling>,
    to_journal: VecDeque<JournalEntry>,
    journal_out: bool,
    to_dial: Option<String>,
    progress: VecDeque<Progress>,
    results: VecDeque<(String, OutboxResult)>,
    commands: VecDeque<OutboxCommand>,
    /// The command that is being carried out.
    working_on: Option<String>,
    to_carry_out: Option<OutboxCommand>,
    past: Past,
    in_flight: Option<(Purpose, Duration)>,
    /// Nothing but progress is sent before this time.
    quiet_until: Duration,
    status_due: Duration,
    outbox_due: bool,
    reported: u64,
    polled: bool,
}

fn millis(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

/// `text` as it may stand in a query.
fn query_value(text: &str) -> String {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.') {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

impl NativeHandset {
    /// A handset that has nothing to remember.
    #[must_use]
    pub fn new(settings: NativeSettings) -> Self {
        Self {
            settings,
            job: None,
            calling: None,
            to_journal: VecDeque::new(),
            journal_out: false,
            to_dial: None,
            progress: VecDeque::new(),
            results: VecDeque::new(),
            commands: VecDeque::new(),
            working_on: None,
            to_carry_out: None,
            past: Past::default(),
            in_flight: None,
            quiet_until: Duration::ZERO,
            status_due: Duration::ZERO,
            outbox_due: false,
            reported: 0,
            polled: false,
        }
    }

    /// The handset after a restart: what its journal leaves open is finished, and nothing in it is dialled again.
    #[must_use]
    pub fn restore(settings: NativeSettings, journal: &[JournalEntry]) -> Self {
        let mut handset = Self::new(settings);
        for entry in journal {
            handset.past.note(entry);
            match entry {
                JournalEntry::Leased { offer, at_ms } => {
                    handset.job = Some(Job {
                        offer: offer.clone(),
                        leased: Duration::from_millis(*at_ms),
                        results: Vec::new(),
                        test: None,
                        unwanted: false,
                    });
                    handset.calling = None;
                }
                JournalEntry::Dialling { number, at_ms, .. } => {
                    handset.calling = Some(Calling {
                        number: number.clone(),
                        started: Duration::from_millis(*at_ms),
                        state: ProgressState::Dialling,
                        hanging_up: false,
                        recovered: true,
                        told: Duration::ZERO,
                    });
                }
                // This handset has no keys, and sees on the phone whether a call was connected.
                JournalEntry::Connected { .. } | JournalEntry::Key { .. } => {}
                JournalEntry::Ended { call, .. } => {
                    handset.calling = None;
                    if let Some(job) = &mut handset.job {
                        job.results.push(call.clone());
                    }
                }
                JournalEntry::Reported { .. } => {
                    handset.job = None;
                    handset.calling = None;
                }
                JournalEntry::Begun { .. } | JournalEntry::Done { .. } => {}
            }
        }
        // Whether the text was sent, or the number rung, nobody knows: what is not known is not done twice.
        handset.results.extend(handset.past.broken_off());
        handset
    }

    /// What the operator set.
    #[must_use]
    pub fn settings(&self) -> &NativeSettings {
        &self.settings
    }

    /// Where it stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match (&self.calling, &self.job) {
            (Some(Calling { state: ProgressState::Connected, .. }), _) => Phase::Connected,
            (Some(Calling { state: ProgressState::Alerting, .. }), _) => Phase::Alerting,
            (Some(_), _) => Phase::Dialling,
            (None, None) => Phase::Idle,
            (None, Some(job)) if job.is_over() => Phase::Ended,
            (None, Some(_)) => Phase::Leased,
        }
    }

    /// How many results the server has accepted.
    #[must_use]
    pub fn reported(&self) -> u64 {
        self.reported
    }

    /// True once the server answered a poll.
    #[must_use]
    pub fn polled(&self) -> bool {
        self.polled
    }

    /// Says from now on that the handset is like this, and says it soon if that is new.
    pub fn set_status(&mut self, status: Status) {
        if self.settings.status != status {
            self.settings.status = status;
            self.status_due = Duration::ZERO;
        }
    }

    /// The call that is not known to be over.
    #[must_use]
    pub fn unfinished(&self) -> Option<Unfinished<'_>> {
        self.calling.as_ref().map(|calling| Unfinished {
            number: &calling.number,
            started: calling.started,
            ring: self.ring_limit(&calling.number),
            recovered: calling.recovered,
        })
    }

    /// The number whose call is not known to be over.
    #[must_use]
    pub fn unfinished_number(&self) -> Option<&str> {
        self.calling.as_ref().map(|calling| calling.number.as_str())
    }

    /// Looks at the simulated phone, as [`NativeHandset::poll`] wants it.
    #[must_use]
    pub fn observe(&self, phone: &Phone, call: Option<CallId>) -> Seen {
        if let Some(state) = call.and_then(|id| phone.call_state(id)) {
            return Seen::Call(state);
        }
        Seen::NoCall(self.calling.as_ref().and_then(|calling| {
            phone.call_log().iter().rev().find(|row| row.number == calling.number && row.date >= calling.started).cloned()
        }))
    }

    /// What it wants at `now`, seeing this on the phone.
    pub fn poll(&mut self, now: Duration, seen: Seen) -> NativeAction {
        if self.journal_out {
            return NativeAction::Wait;
        }
        if let Some(entry) = self.to_journal.front() {
            self.journal_out = true;
            return NativeAction::Journal(entry.clone());
        }
        if let Some(number) = self.to_dial.take() {
            // The intent is in the journal now.
            return NativeAction::Dial(number);
        }
        if let Some(command) = self.to_carry_out.take() {
            return NativeAction::CarryOut(command);
        }
        if self.calling.is_some() && self.follow_call(now, seen.clone()) {
            return NativeAction::HangUp;
        }
        if self.calling.is_none() && self.in_flight.is_none() {
            self.next_command(now);
            // The last word about the number before goes first.
            if self.progress.is_empty() || self.job.as_ref().is_some_and(|job| job.test.is_some()) {
                self.next_number(now);
            }
        }
        if !self.to_journal.is_empty() || self.to_dial.is_some() || self.to_carry_out.is_some() {
            return self.poll(now, seen);
        }
        if self.in_flight.is_none()
            && let Some((purpose, request)) = self.next_request(now)
        {
            self.in_flight = Some((purpose, now));
            return NativeAction::Http(request);
        }
        match self.next_wake(now) {
            Some(at) => NativeAction::SleepUntil(at),
            None if self.in_flight.is_some() || self.calling.is_some() => NativeAction::Wait,
            None => NativeAction::SleepUntil(self.quiet_until.max(now)),
        }
    }

    /// The journal entry of the last [`NativeAction::Journal`] is safe.
    pub fn journaled(&mut self) {
        if std::mem::take(&mut self.journal_out)
            && let Some(entry) = self.to_journal.pop_front()
        {
            self.past.note(&entry);
        }
    }

    /// The journal entry of the last [`NativeAction::Journal`] could not be written. What is not written down is not dialled and not sent;
    /// what has happened already is reported all the same.
    pub fn journal_failed(&mut self, now: Duration, why: &str) {
        if !std::mem::take(&mut self.journal_out) {
            return;
        }
        let broken = || CannotDial::Broken(why.to_owned());
        match self.to_journal.pop_front() {
            Some(JournalEntry::Leased { .. }) => {
                while self.job.as_ref().is_some_and(|job| !job.is_over()) {
                    self.take_next(now);
                    self.cannot_dial(now, &broken());
                }
                // None of it is in the journal, so none of it is followed up there; and nothing was dialled that could be told.
                self.to_journal.clear();
                self.progress.clear();
            }
            Some(JournalEntry::Dialling { .. }) => self.cannot_dial(now, &broken()),
            Some(JournalEntry::Begun { id }) => {
                self.to_carry_out = None;
                let result = OutboxResult { ok: false, detail: Some(why.to_owned()), ..OutboxResult::default() };
                if self.job.as_ref().is_some_and(|job| job.test.is_some()) {
                    self.job = None;
                }
                self.carried_out(id, result);
            }
            Some(
                JournalEntry::Connected { .. }
                | JournalEntry::Key { .. }
                | JournalEntry::Ended { .. }
                | JournalEntry::Reported { .. }
                | JournalEntry::Done { .. },
            )
            | None => {}
        }
    }

    /// The journal entry of the last [`NativeAction::Journal`] was not written, because the number cannot be dialled.
    pub fn journal_skipped(&mut self, now: Duration, why: &CannotDial) {
        if std::mem::take(&mut self.journal_out) {
            self.to_journal.pop_front();
            self.cannot_dial(now, why);
        }
    }

    /// The number that was to be dialled cannot be: nobody's phone rang.
    pub fn cannot_dial(&mut self, now: Duration, why: &CannotDial) {
        self.to_dial = None;
        let outcome = match why {
            CannotDial::LineBusy => CallOutcome::NotDialled,
            CannotDial::Broken(_) => CallOutcome::Failed,
        };
        self.end_call(now, outcome, None);
    }

    /// What became of the command of the last [`NativeAction::CarryOut`].
    pub fn carried_out(&mut self, id: String, result: OutboxResult) {
        self.working_on = None;
        self.results.push_back((id, result));
    }

    fn ring_limit(&self, number: &str) -> Duration {
        let offered = self.job.as_ref().and_then(|job| job.offer.ring_seconds(number));
        offered.map_or(DEFAULT_RING, Duration::from_secs)
    }

    /// When a running call needs attention by the clock alone.
    fn next_wake(&self, now: Duration) -> Option<Duration> {
        let calling = self.calling.as_ref().filter(|calling| !calling.hanging_up)?;
        let ring = calling.started + self.ring_limit(&calling.number);
        let grace = calling.started + DIAL_GRACE;
        let tell = if self.job.as_ref().is_some_and(|job| job.test.is_none()) { Some(calling.told + TELL_EVERY) } else { None };
        let rings = match calling.state {
            // Somebody talks: only the line ends that.
            ProgressState::Connected => None,
            _ if grace > now => Some(grace.min(ring)),
            _ => Some(ring),
        };
        [rings, tell].into_iter().flatten().min()
    }

    /// Follows the call; true if it is time to hang up.
    fn follow_call(&mut self, now: Duration, seen: Seen) -> bool {
        let Some(calling) = &mut self.calling else { return false };
        let unwanted = self.job.as_ref().is_some_and(|job| job.unwanted);
        let reached = match seen {
            Seen::Call(CallState::Dialling) => ProgressState::Dialling,
            Seen::Call(CallState::Alerting) => ProgressState::Alerting,
            Seen::Call(CallState::Connected { .. }) => ProgressState::Connected,
            Seen::Call(CallState::Ended { cause, talked }) => {
                let outcome = outcome(cause, talked);
                self.end_call(now, outcome, talked);
                return false;
            }
            Seen::NoCall(Some(row)) => {
                // The call log cannot tell busy and declined from unanswered.
                let outcome = if row.seconds > 0 { CallOutcome::Answered } else { CallOutcome::NoAnswer };
                self.end_call(now, outcome, Some(Duration::from_secs(row.seconds)));
                return false;
            }
            // No trace of the dial: it never left the phone. After a restart there is nothing to wait for.
            Seen::NoCall(None) => {
                if calling.recovered || now >= calling.started + DIAL_GRACE {
                    self.end_call(now, CallOutcome::Failed, None);
                }
                return false;
            }
        };
        if reached != calling.state || now >= calling.told + TELL_EVERY {
            calling.state = reached;
            calling.told = now;
            let number = calling.number.clone();
            self.progress.push_back(Progress { number, state: Some(reached), ..Progress::default() });
        }
        let limit = self.calling.as_ref().map_or(DEFAULT_RING, |calling| self.ring_limit(&calling.number));
        let Some(calling) = &mut self.calling else { return false };
        let rang_out = calling.state != ProgressState::Connected && now >= calling.started + limit;
        if (rang_out || unwanted) && !calling.hanging_up {
            calling.hanging_up = true;
            return self.settings.hangs_up;
        }
        false
    }

    fn end_call(&mut self, now: Duration, outcome: CallOutcome, talked: Option<Duration>) {
        let Some(calling) = self.calling.take() else { return };
        let took = now.saturating_sub(calling.started);
        let call = NativeCall {
            number: calling.number.clone(),
            outcome: Some(outcome),
            started_at: self.settings.began_at.map(|began| (began + calling.started.as_secs()).to_string()),
            ring_seconds: Some(took.saturating_sub(talked.unwrap_or_default()).as_secs()),
            talk_seconds: Some(talked.unwrap_or_default().as_secs()),
            ..NativeCall::default()
        };
        self.progress.push_back(Progress { number: calling.number, state: Some(ProgressState::Ended), ..Progress::default() });
        if let Some(job) = &mut self.job {
            if job.test.is_none() {
                self.to_journal.push_back(JournalEntry::Ended { mid: job.offer.mid.clone(), call: call.clone() });
            }
            job.results.push(call);
        }
    }

    /// Dials the next number of the job, or leaves it if the job is over.
    fn next_number(&mut self, now: Duration) {
        let Some(job) = &mut self.job else { return };
        // After the deadline the server has given the numbers to somebody else. If the clock went back, nobody knows whether that is so.
        if now < job.leased || job.offer.deadline.is_some_and(|left| now >= job.leased + Duration::from_secs(left)) {
            job.unwanted = true;
        }
        if !job.is_over() {
            self.take_next(now);
        }
    }

    /// Begins with the next number of the job.
    fn take_next(&mut self, now: Duration) {
        let Some(job) = &mut self.job else { return };
        let Some(number) = job.offer.phone.get(job.results.len()).cloned() else { return };
        if job.test.is_none() {
            self.to_journal.push_back(JournalEntry::Dialling {
                mid: job.offer.mid.clone(),
                number: number.clone(),
                at_ms: millis(now),
                call: None,
            });
        }
        self.progress.push_back(Progress { number: number.clone(), state: Some(ProgressState::Dialling), ..Progress::default() });
        self.to_dial = Some(number.replace('#', "%23"));
        self.calling = Some(Calling {
            number,
            started: now,
            state: ProgressState::Dialling,
            hanging_up: false,
            recovered: false,
            told: now,
        });
    }

    fn request(&self, method: Method, path: &str, body: String, wait: Duration) -> Request {
        let mut headers = vec![(PROTOCOL_HEADER.to_owned(), PROTOCOL_VERSION.to_owned())];
        if method == Method::Post {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        Request { method, url: format!("{}{path}", self.settings.base), headers, body, timeout: wait + TIMEOUT }
    }

    fn next_request(&mut self, now: Duration) -> Option<(Purpose, Request)> {
        let none = Duration::ZERO;
        if let Some(job) = self.job.as_ref().filter(|job| job.test.is_none()) {
            if let Some(progress) = self.progress.pop_front() {
                let path = format!("/progress?mid={}", query_value(&job.offer.mid));
                return Some((Purpose::Progress, self.request(Method::Post, &path, progress.to_body(), none)));
            }
        } else {
            self.progress.clear();
        }
        if self.calling.is_some() || now < self.quiet_until {
            return None;
        }
        if let Some(job) = self.job.as_ref().filter(|job| job.is_over()) {
            if let Some(id) = job.test.clone() {
                let call = job.results.first().cloned();
                self.job = None;
                self.carried_out(id, OutboxResult { ok: call.is_some(), call: call.map(Box::new), ..OutboxResult::default() });
            } else {
                let path = format!(
                    "/alert/phone?mid={}{}",
                    query_value(&job.offer.mid),
                    job.answered().map(|n| format!("&resp={}", query_value(n))).unwrap_or_default()
                );
                let body = job.report().to_body();
                return Some((Purpose::Report, self.request(Method::Post, &path, body, none)));
            }
        }
        if let Some((id, result)) = self.results.front() {
            let path = format!("/outbox/{}", query_value(id));
            return Some((Purpose::Result, self.request(Method::Post, &path, result.to_body(), none)));
        }
        if self.job.is_some() || self.working_on.is_some() {
            return None;
        }
        if now >= self.status_due {
            self.status_due = now + STATUS_EVERY;
            let body = self.settings.status.to_body();
            return Some((Purpose::Status, self.request(Method::Post, "/status", body, none)));
        }
        if self.outbox_due {
            return Some((Purpose::Outbox, self.request(Method::Get, "/outbox?wait=0", String::new(), none)));
        }
        let path = format!("/alert/phone?wait={}", self.settings.wait.as_secs());
        Some((Purpose::Poll, self.request(Method::Get, &path, String::new(), self.settings.wait)))
    }

    /// Begins the next command from the outbox, if nothing else is going on.
    fn next_command(&mut self, now: Duration) {
        if self.job.is_some() || !self.results.is_empty() || self.working_on.is_some() {
            return;
        }
        let Some(command) = self.commands.pop_front() else { return };
        if let Some(result) = self.past.result_of(&command.id) {
            self.results.push_back((command.id, result));
            return;
        }
        self.working_on = Some(command.id.clone());
        // A code that is sent twice does what it does once.
        if !matches!(command.kind, CommandKind::Forward { .. }) {
            self.to_journal.push_back(JournalEntry::Begun { id: command.id.clone() });
        }
        match command.kind {
            CommandKind::Sms { .. } | CommandKind::Forward { .. } => self.to_carry_out = Some(command),
            CommandKind::TestCall { number, ring_seconds } => {
                let calls = vec![crate::wire::OfferedCall {
                    number: number.clone(),
                    ring_seconds,
                    ..crate::wire::OfferedCall::default()
                }];
                let offer = NativeOffer { phone: vec![number], calls, ..NativeOffer::default() };
                self.job = Some(Job { offer, leased: now, results: Vec::new(), test: Some(command.id), unwanted: false });
            }
        }
    }

    /// The reply to the last [`NativeAction::Http`].
    pub fn http_reply(&mut self, now: Duration, reply: &HttpReply) {
        let Some((purpose, sent)) = self.in_flight.take() else { return };
        let understood = PollReply::parse(&reply.body);
        let good = (200..300).contains(&reply.status) && understood.is_ok();
        match purpose {
            // Lost progress is not worth repeating; being called off is worth hearing at any status.
            Purpose::Progress => {
                if let (Ok(PollReply::Unwanted), Some(job)) = (understood, &mut self.job) {
                    job.unwanted = true;
                }
            }
            // What it will never take is not sent for ever: meanwhile nobody would be rung.
            Purpose::Report if matches!(reply.status, 400 | 410 | 413 | 422) => self.close_job(now),
            Purpose::Result if matches!(reply.status, 400 | 404 | 410 | 413 | 422) => self.close_command(),
            // A server that does not know these has alarms all the same.
            Purpose::Status if !good && reply.status < 500 => {}
            Purpose::Outbox if !good && reply.status < 500 => self.outbox_due = false,
            _ if !good => self.again_later(now, &purpose),
            Purpose::Poll => {
                self.polled = true;
                match understood {
                    Ok(PollReply::Offer(offer)) => {
                        // What was dialled under this name is reported again, and never dialled again.
                        let known = self.past.calls_of(&offer.mid);
                        let unwanted = known.is_some();
                        if unwanted {
                            // A server that hands it out over and over is not asked as fast as it answers.
                            self.quiet_until = now + RETRY_AFTER;
                        } else {
                            self.to_journal.push_back(JournalEntry::Leased { offer: offer.clone(), at_ms: millis(now) });
                        }
                        self.job = Some(Job { offer, leased: now, results: known.unwrap_or_default(), test: None, unwanted });
                    }
                    _ => {
                        self.outbox_due = true;
                        self.quiet_until = now.max(sent + POLL_SPACING);
                    }
                }
            }
            Purpose::Report => {
                self.reported += 1;
                self.close_job(now);
            }
            Purpose::Status => {}
            Purpose::Outbox => {
                self.outbox_due = false;
                self.commands.extend(Outbox::parse(&reply.body).unwrap_or_default().commands);
            }
            Purpose::Result => self.close_command(),
        }
    }

    fn close_job(&mut self, now: Duration) {
        let Some(job) = self.job.take() else { return };
        if job.results.first().is_some_and(|call| call.outcome == Some(CallOutcome::NotDialled)) {
            self.quiet_until = now + REST_WHEN_BUSY;
        }
        self.to_journal.push_back(JournalEntry::Reported { mid: job.offer.mid });
    }

    fn close_command(&mut self) {
        if let Some((id, result)) = self.results.pop_front() {
            self.to_journal.push_back(JournalEntry::Done { id, result });
        }
    }

    /// The last [`NativeAction::Http`] brought no reply.
    pub fn http_error(&mut self, now: Duration) {
        if let Some((purpose, _)) = self.in_flight.take()
            && purpose != Purpose::Progress
        {
            self.again_later(now, &purpose);
        }
    }

    fn again_later(&mut self, now: Duration, purpose: &Purpose) {
        self.quiet_until = now + RETRY_AFTER;
        if *purpose == Purpose::Status {
            self.status_due = now;
        }
    }
}

impl Job {
    fn answered(&self) -> Option<&str> {
        self.results.iter().find(|call| call.outcome == Some(CallOutcome::Answered)).map(|call| call.number.as_str())
    }

    fn is_over(&self) -> bool {
        self.unwanted || self.answered().is_some() || self.results.len() >= self.offer.phone.len()
    }

    /// What became of each number, those nobody tried included.
    fn report(&self) -> NativeReport {
        let untouched = self.offer.phone.iter().skip(self.results.len()).map(|number| NativeCall {
            number: number.clone(),
            outcome: Some(CallOutcome::NotDialled),
            ..NativeCall::default()
        });
        NativeReport { calls: self.results.iter().cloned().chain(untouched).collect() }
    }
}

fn outcome(cause: EndCause, talked: Option<Duration>) -> CallOutcome {
    match (talked, cause) {
        (Some(_), _) => CallOutcome::Answered,
        (None, EndCause::Normal | EndCause::HungUp) => CallOutcome::NoAnswer,
        (None, EndCause::Busy) => CallOutcome::Busy,
        (None, EndCause::Rejected) => CallOutcome::Rejected,
        (None, EndCause::Failed) => CallOutcome::Failed,
    }
}
