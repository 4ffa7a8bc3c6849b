//! What the server tells about itself: its log, and its metrics.
//!
//! Metrics belong to one service and not to the process, since tests run several services at a time. Labels are enums:
//! a label that took names, numbers or addresses would grow for ever, and tell whom we ring. The exceptions are the names that
//! operators give to the keys of senders and to handsets, and of these only so many.
//!
//! To add a metric: a field in [`Metrics`], a line in [`Metrics::new`], and for a new label its values in a `label!`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};
use tracing_subscriber::{EnvFilter, Registry as Registered, fmt, prelude::*, reload, util::TryInitError};

use crate::{
    alarm::call_record::CallResult,
    alarm::{AlarmKind, DialOutcome, EndReason, HuntOutcome},
    config::{LogConfig, LogFormat},
    store::open::primary::{Host, HostState},
    store::{Counts, Tally},
};

/// The log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `log.filter` is no filter.
    #[error("log.filter is no log filter ({0}); write a level such as info")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The process has a log already.
    #[error("the log is open already ({0}); open it once in a process, before the service is built")]
    Twice(#[from] TryInitError),
    /// The log is closed.
    #[error("the log is closed ({0})")]
    Closed(#[from] reload::Error),
}

/// What of an open log can be changed.
#[derive(Clone, Debug)]
pub struct LogControl(reload::Handle<EnvFilter, Registered>);

impl LogControl {
    /// Says anew which lines are written.
    ///
    /// # Errors
    /// When that is no filter; then the one of before stays.
    pub fn set(&self, filter: &str) -> Result<(), LogError> {
        let filter = EnvFilter::builder().parse(filter)?;
        Ok(self.0.reload(filter)?)
    }
}

/// Opens the log of the process, on standard error.
///
/// # Errors
///
/// When the filter is wrong, or the log is open already; the first one stays in use.
pub fn init_logging(config: &LogConfig) -> Result<LogControl, LogError> {
    // Not from the environment: RUST_LOG of a build machine must not silence a server that wakes people.
    let (filter, control) = reload::Layer::new(EnvFilter::builder().parse(&config.filter)?);
    let registry = tracing_subscriber::registry().with(filter);
    match config.format {
        LogFormat::Text => {
            // Colours are for eyes: in a file they only get in the way of a search.
            let colours = std::io::stderr().is_terminal();
            registry.with(fmt::layer().with_ansi(colours).with_writer(std::io::stderr)).try_init()?;
        }
        LogFormat::Json => {
            let lines = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
            registry.with(lines.with_writer(std::io::stderr)).try_init()?;
        }
    }
    Ok(LogControl(control))
}

/// Declares a label: its name, and all of its values with their meanings.
macro_rules! label {
    ($(#[$meta:meta])* $labels:ident . $field:ident : $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            /// All values.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The value as it stands in the metrics.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
                EncodeLabelValue::encode(&self.as_str(), encoder)
            }
        }

        /// The label set of one series; made from the label's value.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub struct $labels {
            $field: $name,
        }

        impl From<$name> for $labels {
            fn from($field: $name) -> Self {
                Self { $field }
            }
        }

        impl Label for $name {
            type Set = $labels;
            const VALUES: &[Self] = Self::ALL;

            fn place(self) -> usize {
                self as usize
            }
        }
    };
}

/// A label with a known set of values.
pub trait Label: Copy + Into<Self::Set> + 'static {
    /// The label set that holds just this label.
    type Set: Clone + std::fmt::Debug + std::hash::Hash + Eq + EncodeLabelSet + Send + Sync + 'static;
    /// All values.
    const VALUES: &[Self];

    /// Where among them this one stands, counted from 0.
    fn place(self) -> usize;
}

label! {
    /// How a handset's question was answered.
    PollLabels.kind: Poll {
        /// Nothing to do, told from memory.
        IdleMemory = "idle_memory",
        /// Nothing to do, told after asking the database.
        IdleStore = "idle_store",
        /// An open dial, once more.
        Served = "served",
        /// A new dial.
        Offered = "offered",
        /// Turned away: an unknown token, a network that is not open.
        Refused = "refused",
    }
}

label! {
    /// How shaking hands by TLS ended.
    HandshakeLabels.outcome: Handshake {
        /// It went well.
        Done = "done",
        /// The client did not trust our certificate, or showed one that we do not, or speaks another TLS.
        Failed = "failed",
        /// The client spoke plain HTTP, or something else.
        Plain = "plain",
        /// The client did not say a word, or left.
        Silent = "silent",
        /// It took too long.
        Slow = "slow",
    }
}

label! {
    /// Who is spoken with.
    FaceLabels.face: Face {
        /// Handsets that ask for work and report.
        Handsets = "handsets",
        /// Sound that handsets play and record, calls that come in on them, and what is done in calls that run.
        Voice = "voice",
        /// Senders: alarms, signals, signs of life, text messages that came in.
        Intake = "intake",
        /// Programs and operators by the API.
        Api = "api",
        /// Programs that were written for other products.
        Compat = "compat",
        /// People in browsers, and calendars.
        Pages = "pages",
        /// Probes.
        Probes = "probes",
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ended {
    /// It was done.
    Done,
    /// It was refused: what it asks for cannot be done as it asks.
    Refused,
    /// The server failed.
    Failed,
    /// Nobody was answered: the client went away, or a report could not be stored and the phone keeps it.
    Unanswered,
}

impl Ended {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Done, Self::Refused, Self::Failed, Self::Unanswered];

    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unanswered => "unanswered",
        }
    }

    /// What an answer with this status is.
    #[must_use]
    pub fn of(status: u16) -> Self {
        match status {
            500.. => Self::Failed,
            400.. => Self::Refused,
            _ => Self::Done,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    face: &'static str,
    outcome: &'static str,
}

/// Upper bounds of how long a request takes, in seconds: 5 ms to 10 s.
const REQUEST_SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// How many requests each face had, how they ended, and how long they took.
#[derive(Debug)]
pub struct Requests {
    ended: Family<RequestLabels, Counter>,
    seconds: Family<FaceLabels, Histogram, fn() -> Histogram>,
    /// The same, held: by face, and by how it ended.
    held: Vec<(Histogram, [Counter; Ended::ALL.len()])>,
}

impl Default for Requests {
    fn default() -> Self {
        let seconds: Family<FaceLabels, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(REQUEST_SECONDS));
        let ended: Family<RequestLabels, Counter> = Family::default();
        let of = |face: &Face| {
            let counter =
                |outcome: Ended| ended.get_or_create_owned(&RequestLabels { face: face.as_str(), outcome: outcome.as_str() });
            (seconds.get_or_create_owned(&(*face).into()), Ended::ALL.map(counter))
        };
        let held = Face::ALL.iter().map(of).collect();
        Self { ended, seconds, held }
    }
}

impl Requests {
    /// One has ended, after so long without what it waited for something to happen.
    pub fn ended(&self, face: Face, how: Ended, took: std::time::Duration) {
        let Some((seconds, ended)) = self.held.get(face.place()) else { return };
        ended[how as usize].inc();
        if how != Ended::Unanswered {
            seconds.observe(took.as_secs_f64());
        }
    }
}

/// For how long the first of a queue has waited. Queues that keep no times are told by the first entry that stays the same.
#[derive(Debug, Default)]
pub struct QueueGauge {
    oldest_seconds: Gauge,
    first: Mutex<Option<(i64, DateTime<Utc>)>>,
}

impl QueueGauge {
    /// This entry is the first now; `None`: nothing waits.
    pub fn seen(&self, first: Option<i64>, now: DateTime<Utc>) {
        let mut known = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        *known = first.map(|id| known.filter(|(own, _)| *own == id).unwrap_or((id, now)));
        self.oldest_seconds.set(known.map_or(0, |(_, since)| (now - since).num_seconds().max(0)));
    }
}

label! {
    /// What became of a call that came in on a handset.
    InboundCallLabels.result: InboundCall {
        /// It was taken.
        Taken = "taken",
        /// The handset takes no calls, or not on that channel.
        NotAllowed = "not_allowed",
        /// What was told of it cannot be kept, or the number cannot be read.
        Malformed = "malformed",
        /// The number was not rung lately, and is no person's.
        UnknownCaller = "unknown_caller",
        /// The number is a person's, or was rung to try it out, but not about an alarm lately.
        NothingRecent = "nothing_recent",
        /// The number has called very often.
        TooOften = "too_often",
        /// The channel is in use, or the last one that is free while somebody is to be rung.
        NoFreeChannel = "no_free_channel",
        /// It was told of before, and is over.
        Over = "over",
    }
}

label! {
    /// What became of a handset's report.
    ReportLabels.outcome: Report {
        /// Somebody picked up.
        Answered = "answered",
        /// Nobody picked up.
        Nobody = "nobody",
        /// Somebody picked up, reported after the dial was closed; it counts.
        LateAnswered = "late_answered",
        /// Nobody picked up, reported after the dial was closed.
        LateNobody = "late_nobody",
        /// Reported before.
        Duplicate = "duplicate",
        /// No dial has this mid.
        Unknown = "unknown",
        /// Not understood.
        Malformed = "malformed",
    }
}

label! {
    /// What became of an alarm that came in.
    AlarmLabels.result: AlarmResult {
        /// A new alarm.
        Created = "created",
        /// Counted as a repeat of an open one.
        Repeated = "repeated",
        /// Turned away.
        Refused = "refused",
    }
}

label! {
    /// What came of a test of the installation that this one watches.
    MonitorLabels.result: MonitorTest {
        /// It came to its end.
        Good = "good",
        /// It did not.
        Failed = "failed",
    }
}

label! {
    /// What became of a letter for one recipient.
    MailLabels.result: MailResult {
        /// What it says was done.
        Taken = "taken",
        /// It had come before.
        Again = "again",
        /// It is to be sent again.
        Later = "later",
        /// It is not wanted: a wrong recipient, or nobody to ring.
        Refused = "refused",
    }
}

label! {
    /// How a hunt ended.
    HuntLabels.outcome: HuntEnd {
        /// Somebody, or everyone where that was asked, was reached.
        Answered = "answered",
        /// Nobody was.
        NoAnswer = "no_answer",
        /// No handset was there in time.
        NoHandset = "no_handset",
        /// No handset said how its call ended.
        NoReport = "no_report",
        /// Its alarms were resolved by their source.
        Resolved = "resolved",
        /// Its alarms were cancelled by a person.
        Cancelled = "cancelled",
    }
}

label! {
    /// How a connection was turned away or ended early because places were scarce.
    ConnectionLabels.how: Turned {
        /// Dropped: it did nothing.
        Cut = "cut",
        /// Asked to come to its end: a long poll or an event stream.
        Hurried = "hurried",
        /// Closed at once: its address has too many.
        Refused = "refused",
    }
}

label! {
    /// What came of reading a calendar that a schedule follows.
    CalendarLabels.outcome: CalendarRead {
        /// The schedule was changed.
        Changed = "changed",
        /// It says the same as the schedule.
        Same = "same",
        /// It could not be read.
        Failed = "failed",
    }
}

label! {
    /// How a dial was closed.
    DialLabels.outcome: DialEnd {
        /// Somebody picked up.
        Answered = "answered",
        /// Nobody picked up.
        Nobody = "nobody",
        /// The deadline passed without a report.
        Expired = "expired",
        /// The alarm was resolved or cancelled.
        Cancelled = "cancelled",
        /// Another dial of its hunt was answered.
        Superseded = "superseded",
    }
}

label! {
    /// What a channel of a handset does.
    ChannelLabels.state: ChannelState {
        /// It could be given a call.
        Free = "free",
        /// It holds a dial.
        Used = "used",
        /// It is given nothing for a while, since its calls failed or somebody else uses it.
        Resting = "resting",
        /// Nobody asks for it: its handset is silent or switched off, or it did not return from a call.
        Away = "away",
    }
}

impl HuntEnd {
    /// The end of a hunt. That no handset was there, or that none reported, is told apart: somebody on duty can do nothing
    /// about it, and whoever runs the server must hear of it.
    #[must_use]
    pub fn of(outcome: HuntOutcome, reason: Option<EndReason>) -> Self {
        match (outcome, reason) {
            (HuntOutcome::NoAnswer, Some(EndReason::NoHandset)) => Self::NoHandset,
            (HuntOutcome::NoAnswer, Some(EndReason::NoReport)) => Self::NoReport,
            (HuntOutcome::NoAnswer, _) => Self::NoAnswer,
            (HuntOutcome::Answered, _) => Self::Answered,
            (HuntOutcome::Cancelled, _) => Self::Cancelled,
            (HuntOutcome::Resolved, _) => Self::Resolved,
        }
    }
}

impl From<DialOutcome> for DialEnd {
    fn from(outcome: DialOutcome) -> Self {
        match outcome {
            DialOutcome::Answered => Self::Answered,
            DialOutcome::Nobody => Self::Nobody,
            DialOutcome::Expired => Self::Expired,
            DialOutcome::Cancelled => Self::Cancelled,
            DialOutcome::Superseded => Self::Superseded,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

/// A counter for each value of a label. Every series is there from the start, at 0: a series that appears with its first
/// event hides that event from `increase()`. They are held, since a poll is not to look for its own among them.
#[derive(Clone, Debug)]
pub struct Counters<L: Label>(Family<L::Set, Counter>, Vec<Counter>);

impl<L: Label> Counters<L> {
    fn new() -> Self {
        let family = Family::<L::Set, Counter>::default();
        let held = L::VALUES.iter().map(|value| family.get_or_create_owned(&(*value).into())).collect();
        Self(family, held)
    }

    /// Counts one.
    pub fn inc(&self, value: L) {
        if let Some(counter) = self.1.get(value.place()) {
            counter.inc();
        }
    }

    /// How many were counted.
    pub fn get(&self, value: L) -> u64 {
        self.1.get(value.place()).map_or(0, prometheus_client::metrics::counter::Counter::get)
    }
}

/// A name as it may stand in a label: the library writes it between its quotation marks as it is.
fn in_label(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// What was refused, by sender and reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    sender: String,
    reason: &'static str,
}

/// Senders with counters of their own; those beyond it share one.
const MOST_SENDERS: usize = 500;
const OTHER_SENDERS: &str = "others";

/// Counts what was refused, for the metrics, and until it is written down.
#[derive(Debug)]
pub struct Refusals {
    counters: Family<RefusalLabels, Counter>,
    unwritten: Mutex<HashMap<(String, &'static str), i64>>,
    senders: Mutex<HashSet<String>>,
}

impl Refusals {
    /// Counters that these metrics show.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self { counters: metrics.refusals.clone(), unwritten: Mutex::default(), senders: Mutex::default() }
    }

    /// Counts one.
    pub fn count(&self, sender: &str, reason: &'static str) {
        let sender = {
            let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
            match senders.contains(sender) || (senders.len() < MOST_SENDERS && senders.insert(sender.to_owned())) {
                true => sender.to_owned(),
                false => OTHER_SENDERS.to_owned(),
            }
        };
        self.counters.get_or_create(&RefusalLabels { sender: in_label(&sender), reason }).inc();
        *self.unwritten.lock().unwrap_or_else(PoisonError::into_inner).entry((sender, reason)).or_default() += 1;
    }

    /// Takes what is not written down yet.
    #[must_use]
    pub fn take(&self) -> HashMap<(String, &'static str), i64> {
        std::mem::take(&mut *self.unwritten.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives back what could not be written down.
    pub fn give_back(&self, counts: HashMap<(String, &'static str), i64>) {
        let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        for (what, count) in counts {
            *unwritten.entry(what).or_default() += count;
        }
    }
}

/// Calls by what they were for and how they ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandsetLabels {
    handset: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandsetChannelLabels {
    handset: String,
    state: ChannelState,
}

/// Handsets with series of their own; those beyond share one.
const MOST_HANDSETS: usize = 200;
const OTHER_HANDSETS: &str = "others";
/// All handsets that nobody has named: what they are called holds their address.
pub const PLAIN_HANDSETS: &str = "(plain path)";

/// What is told of a handset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandsetFigures {
    /// Channels in each state, in the order of [`ChannelState::ALL`].
    pub channels: [i64; 4],
    /// Calls in a row that have not left it.
    pub failures: i64,
}

impl HandsetFigures {
    /// One more channel is in this state.
    pub fn add(&mut self, state: ChannelState) {
        for (count, own) in self.channels.iter_mut().zip(ChannelState::ALL) {
            *count += i64::from(*own == state);
        }
    }

    /// Another handset counts as the same.
    pub fn join(&mut self, other: &Self) {
        for (count, more) in self.channels.iter_mut().zip(other.channels) {
            *count += more;
        }
        self.failures += other.failures;
    }
}

/// Gauges of each handset.
#[derive(Debug, Default)]
pub struct HandsetGauges {
    channels: Family<HandsetChannelLabels, Gauge>,
    failures: Family<HandsetLabels, Gauge>,
    /// Those that have series now.
    shown: Mutex<HashSet<String>>,
}

impl HandsetGauges {
    /// Shows these handsets, and no other any more.
    pub fn set(&self, all: BTreeMap<String, HandsetFigures>) {
        let mut told: BTreeMap<String, HandsetFigures> = BTreeMap::new();
        for (name, figures) in all {
            let label = in_label(&name);
            let has_room = told.len() < MOST_HANDSETS || told.contains_key(&label);
            told.entry(if has_room { label } else { OTHER_HANDSETS.to_owned() }).or_default().join(&figures);
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in shown.extract_if(|name| !told.contains_key(name)) {
            for state in ChannelState::ALL {
                self.channels.remove(&HandsetChannelLabels { handset: gone.clone(), state: *state });
            }
            self.failures.remove(&HandsetLabels { handset: gone });
        }
        for (handset, figures) in told {
            for (state, count) in ChannelState::ALL.iter().zip(figures.channels) {
                self.channels.get_or_create(&HandsetChannelLabels { handset: handset.clone(), state: *state }).set(count);
            }
            self.failures.get_or_create(&HandsetLabels { handset: handset.clone() }).set(figures.failures);
            shown.insert(handset);
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HostLabels {
    host: String,
}

/// The hosts of the database.
#[derive(Debug, Default)]
pub struct DatabaseGauges {
    hosts: Family<HostLabels, Gauge>,
    wrong: Gauge,
    moves: Counter,
}

impl DatabaseGauges {
    fn set(&self, hosts: &[Host], moves: u64) {
        let wrong = |host: &&Host| !matches!(host.state, HostState::Used | HostState::Standby | HostState::Same);
        self.wrong.set(hosts.iter().filter(wrong).count().try_into().unwrap_or(i64::MAX));
        self.moves.inner().fetch_max(moves, std::sync::atomic::Ordering::Relaxed);
        if hosts.is_empty() {
            self.hosts.get_or_create(&HostLabels { host: "embedded".to_owned() }).set(1);
        }
        for Host { place, state } in hosts {
            // The configuration names but a few.
            let host = in_label(place.rsplit_once('/').map_or(place, |(host, _)| host));
            self.hosts.get_or_create(&HostLabels { host }).set(i64::from(*state == HostState::Used));
        }
    }
}

/// Upper bounds of the time until somebody answers, in seconds: 10 s to an hour.
const ANSWER_SECONDS: [f64; 10] = [10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0];

/// The metrics of one service.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Calls that came in on handsets.
    pub inbound_calls: Counters<InboundCall>,
    /// Questions of handsets.
    pub polls: Counters<Poll>,
    /// Reports of handsets.
    pub reports: Counters<Report>,
    /// Attempts to store a report that had to be repeated.
    pub report_retries: Counter,
    /// Alarms that came in.
    pub alarms: Counters<AlarmResult>,
    /// Letters of devices.
    pub mails: Counters<MailResult>,
    /// Requests of senders that were refused.
    refusals: Family<RefusalLabels, Counter>,
    /// Hunts that ended.
    pub hunts_ended: Counters<HuntEnd>,
    /// Dials that were closed.
    pub dials: Counters<DialEnd>,
    /// Calls of which a report came.
    calls: Family<CallLabels, Counter>,
    /// What each handset does.
    pub handsets: HandsetGauges,
    /// Hunts that have not ended.
    pub open_hunts: Gauge,
    /// Dials that handsets hold.
    pub open_dials: Gauge,
    /// For how long the hunt of an alarm has wanted a handset that has waited longest.
    pub hunts_oldest_due_seconds: Gauge,
    /// Alarms whose words are to be looked at.
    pub sought: QueueGauge,
    /// What is to be counted.
    pub figures: QueueGauge,
    /// Requests by whom they were of.
    pub requests: Requests,
    /// Seconds from an alarm to its first answer.
    pub time_to_answer: Histogram,
    /// Store operations that failed.
    pub store_errors: Counter,
    /// Store transactions that were begun.
    pub store_transactions: Counter,
    /// Which host of the database is used.
    pub database: DatabaseGauges,
    /// Requests to Redis.
    pub lock_round_trips: Counter,
    /// 1 while Redis is away, else 0.
    pub lock_unavailable: Gauge,
    /// Handsets that should poll and do not.
    pub handsets_offline: Gauge,
    /// Bytes of recordings and clips that are kept.
    pub media_bytes: Gauge,
    /// How old the last good backup is; -1 where there is none.
    pub backup_age_seconds: Gauge,
    /// 1 while backups that the server makes by itself fail, else 0.
    pub backup_failing: Gauge,
    /// When the certificate ends that is shown on the second address, in seconds since 1970; 0 where there is none.
    pub tls_certificate_ends: Gauge,
    /// 1 while a newer certificate is refused, else 0.
    pub tls_certificate_refused: Gauge,
    /// Handshakes, by how they ended.
    pub tls_handshakes: Counters<Handshake>,
    /// How often the server is to make a backup by itself, in seconds; 0 where it makes none.
    pub backup_every_seconds: Gauge,
    /// Tests of the installation that this one watches.
    pub monitor_tests: Counters<MonitorTest>,
    /// How many of these failed in a row.
    pub monitor_failures: Gauge,
    /// How long ago one came to its end; -1 where none did.
    pub monitor_good_age_seconds: Gauge,
    /// How long the last one took; -1 where there was none.
    pub monitor_test_milliseconds: Gauge,
    /// 1 while files of detail records cannot be written, else 0.
    pub shout_logs_failing: Gauge,
    /// Times the engine's tick came too late to be trusted.
    pub tick_late: Counter,
    /// Connections that are open.
    pub connections_open: Gauge,
    /// Of these, those that wait: long polls and event streams.
    pub connections_waiting: Gauge,
    /// Connections that were turned away or ended early because places were scarce.
    pub connections_turned: Counters<Turned>,
    /// Notices that are not told yet.
    pub notices: OutboxGauges,
    /// Text messages that are not sent yet.
    pub messages: OutboxGauges,
    /// Calendars that were read, or could not be.
    pub calendar_reads: Counters<CalendarRead>,
    /// Calendars that cannot be read.
    pub calendars_wrong: Gauge,
    /// How long ago the one of them was read that was read longest ago.
    pub calendars_oldest_seconds: Gauge,
}

/// What waits in an outbox.
#[derive(Debug, Default)]
pub struct OutboxGauges {
    /// How much.
    pub waiting: Gauge,
    /// How much of it is to be tried now.
    pub due: Gauge,
    /// How long the oldest of it has waited.
    pub oldest_seconds: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Counts for Metrics {
    fn count(&self, tally: &Tally) {
        for (outcome, reason) in &tally.hunts {
            self.hunts_ended.inc(HuntEnd::of(*outcome, *reason));
        }
        for outcome in &tally.dials {
            self.dials.inc(DialEnd::from(*outcome));
        }
        for (kind, result) in &tally.calls {
            self.calls.get_or_create(&CallLabels { kind: kind.as_str(), outcome: result.as_str() }).inc();
        }
        for seconds in &tally.answered_after {
            self.time_to_answer.observe(*seconds);
        }
    }
}

/// A series for everything that a report can say of a call.
fn every_call() -> Family<CallLabels, Counter> {
    let family = Family::default();
    for kind in AlarmKind::ALL {
        for result in CallResult::ALL.iter().filter(|result| **result != CallResult::Unknown) {
            drop(family.get_or_create(&CallLabels { kind: kind.as_str(), outcome: result.as_str() }));
        }
    }
    family
}

impl Metrics {
    /// The content type of what [`render`](Self::render) writes.
    /// (<https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>)
    pub const CONTENT_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// No alarm is open, and nothing waits to be counted or to be found.
    pub fn nothing_waits(&self, now: DateTime<Utc>) {
        for gauge in [&self.open_hunts, &self.open_dials, &self.hunts_oldest_due_seconds] {
            gauge.set(0);
        }
        self.sought.seen(None, now);
        self.figures.seen(None, now);
    }

    /// All metrics at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("autocall"),
            polls: Counters::new(),
            reports: Counters::new(),
            report_retries: Counter::default(),
            alarms: Counters::new(),
            mails: Counters::new(),
            inbound_calls: Counters::new(),
            refusals: Family::default(),
            hunts_ended: Counters::new(),
            dials: Counters::new(),
            calls: every_call(),
            handsets: HandsetGauges::default(),
            open_hunts: Gauge::default(),
            open_dials: Gauge::default(),
            hunts_oldest_due_seconds: Gauge::default(),
            sought: QueueGauge::default(),
            figures: QueueGauge::default(),
            requests: Requests::default(),
            time_to_answer: Histogram::new(ANSWER_SECONDS),
            store_errors: Counter::default(),
            store_transactions: Counter::default(),
            database: DatabaseGauges::default(),
            lock_round_trips: Counter::default(),
            lock_unavailable: Gauge::default(),
            handsets_offline: Gauge::default(),
            media_bytes: Gauge::default(),
            backup_age_seconds: Gauge::default(),
            backup_failing: Gauge::default(),
            tls_certificate_ends: Gauge::default(),
            tls_certificate_refused: Gauge::default(),
            tls_handshakes: Counters::new(),
            backup_every_seconds: Gauge::default(),
            monitor_tests: Counters::new(),
            monitor_failures: Gauge::default(),
            monitor_good_age_seconds: Gauge::default(),
            monitor_test_milliseconds: Gauge::default(),
            shout_logs_failing: Gauge::default(),
            tick_late: Counter::default(),
            notices: OutboxGauges::default(),
            messages: OutboxGauges::default(),
            connections_open: Gauge::default(),
            connections_waiting: Gauge::default(),
            connections_turned: Counters::new(),
            calendar_reads: Counters::new(),
            calendars_wrong: Gauge::default(),
            calendars_oldest_seconds: Gauge::default(),
        };
        // The library appends _total to the names of counters, and a full stop to the texts.
        let registry = &mut metrics.registry;
        registry.register("polls", "Questions of handsets, by how they were answered", metrics.polls.0.clone());
        registry.register("reports", "Reports of handsets, by what became of them", metrics.reports.0.clone());
        registry.register("inbound_calls", "Calls that came in, by what became of them", metrics.inbound_calls.0.clone());
        registry.register("report_retries", "Repeated attempts to store a report", metrics.report_retries.clone());
        registry.register("alarms", "Alarms that came in, by what became of them", metrics.alarms.0.clone());
        registry.register("mails", "Letters of devices, by what became of them for each recipient", metrics.mails.0.clone());
        registry.register("refusals", "Requests of senders that were refused, by sender and reason", metrics.refusals.clone());
        registry.register("hunts_ended", "Hunts of alarms that ended, by how", metrics.hunts_ended.0.clone());
        registry.register("dials", "Dials that were closed, by how", metrics.dials.0.clone());
        registry.register("calls", "Calls of which a report came, by what for and how they ended", metrics.calls.clone());
        registry.register("handset_channels", "Channels of each handset, by what they do", metrics.handsets.channels.clone());
        registry.register("handset_failures", "Calls in a row that have not left a handset", metrics.handsets.failures.clone());
        registry.register("open_hunts", "Hunts of alarms that have not ended", metrics.open_hunts.clone());
        registry.register("open_dials", "Dials that handsets hold", metrics.open_dials.clone());
        registry.register(
            "hunts_oldest_due_seconds",
            "How long the hunt of an alarm has waited for a handset that has waited longest",
            metrics.hunts_oldest_due_seconds.clone(),
        );
        registry.register(
            "sought_oldest_seconds",
            "How long the first alarm has waited for its words to be looked at",
            metrics.sought.oldest_seconds.clone(),
        );
        registry.register(
            "figures_oldest_seconds",
            "How long the first thing has waited to be counted",
            metrics.figures.oldest_seconds.clone(),
        );
        registry.register("requests", "Requests, by face and by how they ended", metrics.requests.ended.clone());
        registry.register(
            "request_seconds",
            "How long requests took, without waiting for something to happen",
            metrics.requests.seconds.clone(),
        );
        registry.register("time_to_answer_seconds", "Time from an alarm to its first answer", metrics.time_to_answer.clone());
        registry.register("store_errors", "Store operations that failed", metrics.store_errors.clone());
        registry.register(
            "store_transactions",
            "Connections taken from the database pools: every read and every transaction takes one",
            metrics.store_transactions.clone(),
        );
        registry.register("lock_round_trips", "Requests to Redis", metrics.lock_round_trips.clone());
        registry.register(
            "database_host",
            "1 for the host of the database that is used, 0 for the others",
            metrics.database.hosts.clone(),
        );
        registry.register(
            "database_hosts_wrong",
            "Hosts of the database that are away or must not be used",
            metrics.database.wrong.clone(),
        );
        registry.register("database_moves", "Times that another host was the primary", metrics.database.moves.clone());
        registry.register("lock_unavailable", "1 while Redis is away", metrics.lock_unavailable.clone());
        registry.register("media_bytes", "Bytes of recordings and clips that are kept", metrics.media_bytes.clone());
        metrics.backup_age_seconds.set(-1);
        registry.register(
            "backup_age_seconds",
            "Age of the last good backup; -1 where there is none",
            metrics.backup_age_seconds.clone(),
        );
        registry.register(
            "backup_failing",
            "1 while backups that the server makes by itself fail",
            metrics.backup_failing.clone(),
        );
        registry.register(
            "backup_every_seconds",
            "How often the server is to make a backup by itself; 0 where it makes none",
            metrics.backup_every_seconds.clone(),
        );
        registry.register(
            "tls_certificate_ends_timestamp_seconds",
            "When the certificate of http.tls_listen ends; 0 where there is none",
            metrics.tls_certificate_ends.clone(),
        );
        registry.register(
            "tls_certificate_refused",
            "1 while a newer certificate is refused and the one of before is shown",
            metrics.tls_certificate_refused.clone(),
        );
        registry.register("tls_handshakes", "Handshakes by TLS, by how they ended", metrics.tls_handshakes.0.clone());
        registry.register(
            "monitor_tests",
            "Tests of the installation that this one watches, by what came of them",
            metrics.monitor_tests.0.clone(),
        );
        registry.register(
            "monitor_failures",
            "Tests of the installation that this one watches that failed in a row",
            metrics.monitor_failures.clone(),
        );
        metrics.monitor_good_age_seconds.set(-1);
        registry.register(
            "monitor_good_age_seconds",
            "How long ago a test of the installation that this one watches came to its end; -1 where none did",
            metrics.monitor_good_age_seconds.clone(),
        );
        metrics.monitor_test_milliseconds.set(-1);
        registry.register(
            "monitor_test_milliseconds",
            "How long the last test of the installation that this one watches took; -1 where there was none",
            metrics.monitor_test_milliseconds.clone(),
        );
        registry.register(
            "shout_logs_failing",
            "1 while files of detail records of shouts cannot be written",
            metrics.shout_logs_failing.clone(),
        );
        registry.register("handsets_offline", "Handsets that should poll and do not", metrics.handsets_offline.clone());
        registry.register("tick_late", "Ticks of the engine that came too late to be trusted", metrics.tick_late.clone());
        registry.register("notices_waiting", "Notices that are not told yet", metrics.notices.waiting.clone());
        registry.register("notices_due", "Notices that are to be told now", metrics.notices.due.clone());
        registry.register(
            "notices_oldest_seconds",
            "Age of the oldest notice not told yet",
            metrics.notices.oldest_seconds.clone(),
        );
        registry.register("messages_waiting", "Text messages that are not sent yet", metrics.messages.waiting.clone());
        registry.register("messages_due", "Text messages that are to be sent now", metrics.messages.due.clone());
        registry.register(
            "messages_oldest_seconds",
            "Age of the oldest text message not sent yet",
            metrics.messages.oldest_seconds.clone(),
        );
        registry.register("connections_open", "Connections that are open", metrics.connections_open.clone());
        registry.register("connections_waiting", "Long polls and event streams that wait", metrics.connections_waiting.clone());
        registry.register(
            "connections_turned_away",
            "Connections that were turned away or ended early because places were scarce",
            metrics.connections_turned.0.clone(),
        );
        registry.register(
            "calendar_reads",
            "Times that calendars were read or could not be, by what came of it",
            metrics.calendar_reads.0.clone(),
        );
        registry.register("calendars_wrong", "Calendars that cannot be read", metrics.calendars_wrong.clone());
        registry.register(
            "calendars_oldest_seconds",
            "How long ago the calendar was read that was read longest ago",
            metrics.calendars_oldest_seconds.clone(),
        );
        let version = env!("CARGO_PKG_VERSION");
        // The library appends _info to the names of infos.
        registry.register("build", "The version of the server", Info::new(BuildLabels { version }));
        metrics
    }

    /// Takes over what the locks count themselves. Called before rendering; the counts of the locks only grow.
    pub fn observe_locks(&self, locks: &crate::lock::Locks) {
        let round_trips = locks.counters().snapshot().round_trips;
        // Two scrapes at a time may meet here: the larger count wins.
        self.lock_round_trips.inner().fetch_max(round_trips, std::sync::atomic::Ordering::Relaxed);
        self.lock_unavailable.set(i64::from(locks.health().away_for.is_some()));
    }

    /// Takes over what the store counts itself.
    pub fn observe_store(&self, store: &crate::store::Store) {
        self.store_transactions.inner().fetch_max(store.counters().connections(), std::sync::atomic::Ordering::Relaxed);
        self.database.set(&store.hosts(), store.moves());
    }

    /// All metrics as OpenMetrics text, of type [`CONTENT_TYPE`](Self::CONTENT_TYPE).
    pub fn render(&self) -> String {
        let mut page = String::with_capacity(8 * 1024);
        if let Err(error) = text::encode(&mut page, &self.registry) {
            // Writing to a string cannot fail; were it to, half a page without its end mark is refused by the scraper.
            tracing::error!(%error, "the metrics could not be written");
        }
        page
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::lock::Locks;

    /// (name, labels, value) of a sample line.
    fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = match series.split_once('{') {
            None => (series, ""),
            Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
        };
        let labels = labels
            .split(',')
            .filter(|label| !label.is_empty())
            .map(|label| {
                let (key, value) = label.split_once('=').unwrap();
                (key.to_owned(), value.strip_prefix('"').unwrap().strip_suffix('"').unwrap().to_owned())
            })
            .collect();
        (name.to_owned(), labels, value.parse().unwrap())
    }

    /// Checks every line, and gives the samples.
    fn samples(page: &str) -> BTreeMap<String, f64> {
        let mut types: BTreeMap<String, String> = BTreeMap::new();
        let mut found = BTreeMap::new();
        let body = page.strip_suffix("# EOF\n").unwrap();
        for line in body.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                assert!(help.starts_with("autocall_") && help.ends_with('.'), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
            } else {
                let (name, _, value) = sample(line);
                let suffixes = ["_total", "_bucket", "_sum", "_count", "_info", ""];
                let family = suffixes.iter().find_map(|suffix| types.get(name.strip_suffix(suffix)?));
                assert!(family.is_some(), "no type for {line}");
                let series = line.rsplit_once(' ').unwrap().0.to_owned();
                assert!(found.insert(series, value).is_none(), "twice: {line}");
            }
        }
        found
    }

    #[test]
    fn the_page_parses_and_every_series_is_there_from_the_start() {
        let found = samples(&Metrics::new().render());
        let names: BTreeSet<&str> = found.keys().map(|series| series.split('{').next().unwrap()).collect();
        for name in [
            "autocall_polls_total",
            "autocall_reports_total",
            "autocall_report_retries_total",
            "autocall_inbound_calls_total",
            "autocall_alarms_total",
            "autocall_hunts_ended_total",
            "autocall_dials_total",
            "autocall_calls_total",
            "autocall_open_hunts",
            "autocall_open_dials",
            "autocall_hunts_oldest_due_seconds",
            "autocall_sought_oldest_seconds",
            "autocall_figures_oldest_seconds",
            "autocall_requests_total",
            "autocall_request_seconds_bucket",
            "autocall_time_to_answer_seconds_bucket",
            "autocall_time_to_answer_seconds_sum",
            "autocall_time_to_answer_seconds_count",
            "autocall_store_errors_total",
            "autocall_store_transactions_total",
            "autocall_database_hosts_wrong",
            "autocall_database_moves_total",
            "autocall_lock_round_trips_total",
            "autocall_lock_unavailable",
            "autocall_handsets_offline",
            "autocall_media_bytes",
            "autocall_backup_age_seconds",
            "autocall_backup_every_seconds",
            "autocall_backup_failing",
            "autocall_tls_certificate_ends_timestamp_seconds",
            "autocall_tls_certificate_refused",
            "autocall_tls_handshakes_total",
            "autocall_tick_late_total",
            "autocall_connections_open",
            "autocall_connections_waiting",
            "autocall_connections_turned_away_total",
            "autocall_build_info",
        ] {
            assert!(names.contains(name), "{name} is missing of {names:?}");
        }
        for kind in ["idle_memory", "idle_store", "served", "offered", "refused"] {
            assert_eq!(found[&format!("autocall_polls_total{{kind=\"{kind}\"}}")], 0.0);
        }
        for outcome in Report::ALL {
            assert_eq!(found[&format!("autocall_reports_total{{outcome=\"{}\"}}", outcome.as_str())], 0.0);
        }
        assert_eq!(found[&format!("autocall_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))], 1.0);
    }

    #[test]
    fn what_is_counted_is_shown() {
        let metrics = Metrics::new();
        metrics.polls.inc(Poll::Offered);
        metrics.polls.inc(Poll::Offered);
        metrics.reports.inc(Report::LateAnswered);
        metrics.alarms.inc(AlarmResult::Created);
        metrics.hunts_ended.inc(HuntEnd::of(HuntOutcome::NoAnswer, Some(EndReason::AttemptsUsed)));
        metrics.hunts_ended.inc(HuntEnd::of(HuntOutcome::NoAnswer, Some(EndReason::NoHandset)));
        metrics.dials.inc(DialOutcome::Superseded.into());
        metrics.report_retries.inc();
        metrics.open_hunts.set(3);
        metrics.time_to_answer.observe(45.0);
        assert_eq!(metrics.polls.get(Poll::Offered), 2);
        let found = samples(&metrics.render());
        for (series, value) in [
            ("autocall_polls_total{kind=\"offered\"}", 2.0),
            ("autocall_reports_total{outcome=\"late_answered\"}", 1.0),
            ("autocall_alarms_total{result=\"created\"}", 1.0),
            ("autocall_hunts_ended_total{outcome=\"no_answer\"}", 1.0),
            ("autocall_hunts_ended_total{outcome=\"no_handset\"}", 1.0),
            ("autocall_dials_total{outcome=\"superseded\"}", 1.0),
            ("autocall_report_retries_total", 1.0),
            ("autocall_open_hunts", 3.0),
            ("autocall_time_to_answer_seconds_bucket{le=\"30.0\"}", 0.0),
            ("autocall_time_to_answer_seconds_bucket{le=\"60.0\"}", 1.0),
            ("autocall_time_to_answer_seconds_bucket{le=\"+Inf\"}", 1.0),
            ("autocall_time_to_answer_seconds_count", 1.0),
            ("autocall_time_to_answer_seconds_sum", 45.0),
        ] {
            assert_eq!(found.get(series), Some(&value), "{series} in {found:?}");
        }
    }

    #[test]
    fn each_handset_has_series_as_long_as_it_is_there_and_only_so_many_have() {
        let metrics = Metrics::new();
        let one = HandsetFigures { channels: [1, 0, 0, 0], failures: 2 };
        let all: BTreeMap<String, HandsetFigures> = (0..MOST_HANDSETS + 2).map(|n| (format!("{n:04} \"x\""), one)).collect();
        let series = |metrics: &Metrics, name: &str| {
            let found = samples(&metrics.render());
            let of = |series: String| found.get(&series).copied();
            (
                of(format!("autocall_handset_channels{{handset=\"{name}\",state=\"free\"}}")),
                of(format!("autocall_handset_failures{{handset=\"{name}\"}}")),
            )
        };
        metrics.handsets.set(all);
        assert_eq!(series(&metrics, r#"0000 \"x\""#), (Some(1.0), Some(2.0)));
        assert_eq!(series(&metrics, OTHER_HANDSETS), (Some(2.0), Some(4.0)));
        metrics.handsets.set(BTreeMap::from([("desk".to_owned(), one)]));
        assert_eq!(series(&metrics, "desk"), (Some(1.0), Some(2.0)));
        assert_eq!((series(&metrics, r#"0000 \"x\""#), series(&metrics, OTHER_HANDSETS)), ((None, None), (None, None)));
    }

    #[test]
    fn requests_are_told_by_face_and_the_age_of_a_queue_by_its_first() {
        let metrics = Metrics::new();
        let second = std::time::Duration::from_secs(1);
        metrics.requests.ended(Face::Pages, Ended::of(200), second);
        metrics.requests.ended(Face::Pages, Ended::of(304), second);
        metrics.requests.ended(Face::Api, Ended::of(503), second);
        metrics.requests.ended(Face::Api, Ended::of(429), second);
        metrics.requests.ended(Face::Handsets, Ended::Unanswered, second);
        let at = |seconds: i64| DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap();
        metrics.sought.seen(Some(7), at(0));
        metrics.sought.seen(Some(7), at(9));
        metrics.figures.seen(Some(7), at(0));
        metrics.figures.seen(Some(8), at(9));
        let found = samples(&metrics.render());
        for (series, value) in [
            ("autocall_requests_total{face=\"pages\",outcome=\"done\"}", 2.0),
            ("autocall_requests_total{face=\"api\",outcome=\"failed\"}", 1.0),
            ("autocall_requests_total{face=\"api\",outcome=\"refused\"}", 1.0),
            ("autocall_requests_total{face=\"handsets\",outcome=\"unanswered\"}", 1.0),
            ("autocall_requests_total{face=\"voice\",outcome=\"done\"}", 0.0),
            ("autocall_request_seconds_count{face=\"pages\"}", 2.0),
            ("autocall_request_seconds_count{face=\"handsets\"}", 0.0),
            ("autocall_sought_oldest_seconds", 9.0),
            ("autocall_figures_oldest_seconds", 0.0),
        ] {
            assert_eq!(found.get(series), Some(&value), "{series} in {found:?}");
        }
        metrics.sought.seen(None, at(20));
        assert_eq!(samples(&metrics.render())["autocall_sought_oldest_seconds"], 0.0);
    }

    #[test]
    fn services_do_not_share_metrics() {
        let (one, other) = (Metrics::new(), Metrics::new());
        one.tick_late.inc();
        assert_eq!(other.tick_late.get(), 0);
    }

    #[tokio::test]
    async fn the_locks_are_taken_over() {
        let metrics = Metrics::new();
        metrics.observe_locks(&Locks::local());
        assert_eq!((metrics.lock_round_trips.get(), metrics.lock_unavailable.get()), (0, 0));
        // Port 1 is reserved; nobody listens there.
        let locks = Locks::redis("redis://127.0.0.1:1/", "test").unwrap();
        assert!(locks.try_lock("a", std::time::Duration::from_secs(1)).await.may_proceed());
        metrics.observe_locks(&locks);
        metrics.observe_locks(&locks);
        assert_eq!((metrics.lock_round_trips.get(), metrics.lock_unavailable.get()), (1, 1));
    }

    #[test]
    fn the_log_opens_once_and_says_why_not() {
        let wrong = LogConfig { format: LogFormat::Json, filter: "autocall=loud".to_owned() };
        assert!(matches!(init_logging(&wrong), Err(LogError::Filter(_))));
        let json = LogConfig { format: LogFormat::Json, filter: "error".to_owned() };
        // Another test of this process may have opened one; after this call there is one for certain.
        let _ = init_logging(&json);
        let twice = init_logging(&LogConfig::default()).unwrap_err();
        assert!(twice.to_string().contains("open already"), "{twice}");
    }
}
