//! The native handset: one state machine from lease to report, which never dials what it has not written down.
//!
//! Idle → leased → dialling → alerting → connected → ended → reported. Before each dial the intent goes into the journal; after a restart
//! the handset looks at the phone and at the call log, and never dials an intent a second time.

use std::{collections::VecDeque, time::Duration};

mod call;
mod command;
pub mod delivery;
mod job;
pub mod journal;
mod request;
pub mod restart;
mod writing;

pub use journal::JournalEntry;

use self::{
    delivery::Told,
    job::{Calling, Job},
    request::Purpose,
    restart::Past,
};
use crate::{
    http::Request,
    phone::{CallId, CallLogRow, CallState, Phone},
    wire::{OutboxCommand, OutboxResult, Progress, ProgressState, Status},
};

/// How long a number may ring when the server did not say.
pub const DEFAULT_RING: Duration = Duration::from_mins(1);

/// How long a dial may leave no trace on the phone before it counts as failed.
const DIAL_GRACE: Duration = Duration::from_secs(5);

/// Shortest time between two polls of a server that does not hold them.
const POLL_SPACING: Duration = Duration::from_secs(2);

/// How long to wait after a request that failed.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How often the handset says how it is.
const STATUS_EVERY: Duration = Duration::from_mins(1);

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
    /// Whether the line could ring a number now.
    can_dial: bool,
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
            can_dial: true,
        }
    }

    /// The handset after a restart: what its journal leaves open is finished, and nothing in it is dialled again.
    #[must_use]
    pub fn restore(settings: NativeSettings, journal: &[JournalEntry]) -> Self {
        let mut handset = Self::new(settings);
        handset.past = Past::read(journal);
        if let Some(open) = handset.past.unfinished() {
            handset.job = Some(Job::again(open));
            handset.calling = open.running.as_ref().map(Calling::recovered);
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

    /// Whether the line could ring a number now. While not, nothing is asked for that needs it; what was begun is finished and told.
    pub fn set_can_dial(&mut self, can_dial: bool) {
        self.can_dial = can_dial;
    }

    /// What is to be written down of a word of the network on a text; `None` where no text of this handset waits for it.
    #[must_use]
    pub fn fate(&self, told: &Told) -> Option<JournalEntry> {
        self.past.fate(told)
    }

    /// The journal holds this, which whoever drives the handset knew first.
    pub fn noted(&mut self, entry: &JournalEntry) {
        self.past.note(entry);
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
            None if self.waits_for_its_line(now) => NativeAction::SleepUntil(self.status_due),
            None => NativeAction::SleepUntil(self.quiet_until.max(now)),
        }
    }

    /// Nothing is to be told but how it is, and that is told already.
    fn waits_for_its_line(&self, now: Duration) -> bool {
        let has_work = self.job.is_some() || self.working_on.is_some() || !self.results.is_empty();
        !self.can_dial && !has_work && now >= self.quiet_until
    }
}
