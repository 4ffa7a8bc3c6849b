//! The app that is in the field, build by build, with every fault it has.
//!
//! An [`App`] does no I/O: [`App::poll`] says what it wants next, and the answers come in through [`App::http_reply`], [`App::http_error`] and
//! [`App::call_log`]. It was written from the app's source (builds 967beca, 25cd829, 14558f3 and ab03979) and from runs of its own code
//! against a scripted server; where the two were silent, from the source of okhttp 3.10 and fastjson 1.1.54, which it carries.
//!
//! To add a build: add it to [`Build`], answer the questions in `impl Build`, and add a column to `tests/behaviour.rs`.

mod body;
mod okhttp;

use std::{fmt, str::FromStr, time::Duration};

use serde_json::Value;
use thiserror::Error;

use self::{
    body::Reading,
    okhttp::{Exchange, Next},
};
use crate::{
    http::{self, HttpReply, Method, Request},
    phone::CallLogRow,
};

/// How long the app sleeps between the creation of its service and its first poll.
pub const START_DELAY: Duration = Duration::from_secs(30);

/// How long it sleeps after a request that failed or whose reply it could not read; the interval is skipped then.
pub const ERROR_DELAY: Duration = Duration::from_secs(15);

/// The interval it starts with.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);

/// How long HEAD sleeps when the call log has no answer yet.
const HEAD_LOOK_DELAY: Duration = Duration::from_secs(10);

/// How long 14558f3 sleeps when the last row belongs to another number.
const OTHER_NUMBER_DELAY: Duration = Duration::from_secs(1);

/// One simulated step of a recursion that does not sleep at all.
const TIGHT_STEP: Duration = Duration::from_millis(100);

/// How long a recursion without sleep lasts until the stack is full: 11 to 30 s were measured on a stack of 1 MB.
pub const STACK_LASTS: Duration = Duration::from_secs(20);

/// A build of the app. All of them call themselves version 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Build {
    /// 967beca, the tag v1.0: package `autocall`.
    V1_0,
    /// 25cd829: package and SMS keyword renamed, otherwise the same.
    B25cd829,
    /// 14558f3: sends its model, hangs up by SMS, sleeps a second when the last row belongs to another number.
    B14558f3,
    /// ab03979, the newest: sleeps 10 s where the others spin, and takes another number's row for "not answered".
    Head,
    /// The newest, restarted by Android without its screen: whatever would be shown there kills it.
    HeadHeadless,
}

impl Build {
    /// Every build.
    pub const ALL: [Self; 5] = [Self::V1_0, Self::B25cd829, Self::B14558f3, Self::Head, Self::HeadHeadless];

    /// Its name on command lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V1_0 => "app-1.0",
            Self::B25cd829 => "app-25cd829",
            Self::B14558f3 => "app-14558f3",
            Self::Head => "app-head",
            Self::HeadHeadless => "app-head-headless",
        }
    }

    /// Whether it sends the header `model` with GET. None sends it with POST.
    #[must_use]
    pub fn sends_model(self) -> bool {
        !matches!(self, Self::V1_0 | Self::B25cd829)
    }

    /// Whether it stores the interval as a number on its first start and later reads it as a text, which kills it.
    #[must_use]
    pub fn trips_over_unsaved_settings(self) -> bool {
        matches!(self, Self::V1_0 | Self::B25cd829)
    }

    fn sleeps_while_looking(self) -> bool {
        matches!(self, Self::Head | Self::HeadHeadless)
    }
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name is not one of [`Build::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no build of the app is called {0:?}")]
pub struct UnknownBuild(pub String);

impl FromStr for Build {
    type Err = UnknownBuild;

    fn from_str(name: &str) -> Result<Self, UnknownBuild> {
        Self::ALL.into_iter().find(|build| build.name() == name).ok_or_else(|| UnknownBuild(name.to_owned()))
    }
}

/// What the operator typed into the app, and what the phone is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The one URL it knows.
    pub url: String,
    /// How long it sleeps after each pass.
    pub interval: Duration,
    /// Whether the Set button was ever pressed.
    pub saved: bool,
    /// `Build.MODEL` of the phone.
    pub model: String,
    /// How long a recursion without sleep lasts; `None` for a stack without end.
    pub stack_lasts: Option<Duration>,
}

impl Settings {
    /// Settings as they stand after the operator typed a URL and pressed the button.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            interval: DEFAULT_INTERVAL,
            saved: true,
            model: "SM-G9500".to_owned(),
            stack_lasts: Some(STACK_LASTS),
        }
    }

    /// With another interval.
    #[must_use]
    pub fn every(self, seconds: u64) -> Self {
        Self { interval: Duration::from_secs(seconds), ..self }
    }
}

/// Why the process died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Death {
    /// The body was empty, blank or `null`.
    NoJson,
    /// `code` was missing or null.
    NoCode,
    /// `code` was 0 and `mid` missing or null.
    NoMid,
    /// `code` was 0 and `phone` missing, null or not a list.
    NoPhoneList,
    /// The next element of `phone` was null.
    NullPhone,
    /// The call log has no row at all.
    EmptyCallLog,
    /// The call log may not be read.
    CallLogDenied,
    /// The number in the last row holds a comma, at which the app splits what it read.
    CommaInCallLog,
    /// The model cannot stand in a header.
    ModelNotAscii,
    /// The URL is not one.
    BadUrl,
    /// The interval was stored as a number and read as a text.
    SettingsNeverSaved,
    /// There was something to show, and no screen to show it on.
    NoScreen,
    /// It called itself until the stack was full.
    StackOverflow,
    /// An SMS with the keyword and without a bar, or another fault in the code for SMS.
    Sms,
    /// Android killed it for a foreground service that never became one.
    ForegroundPromise,
}

/// How the app is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It polls.
    Running,
    /// It waits for a row in the call log and polls no more. Normal during a call; for ever if the dial left no row.
    Blocked {
        /// Since when.
        since: Duration,
    },
    /// As blocked, but spinning, in danger of [`Death::StackOverflow`].
    Looping {
        /// Since when.
        since: Duration,
    },
    /// Its process is gone.
    Dead {
        /// Since when.
        at: Duration,
        /// Why.
        why: Death,
    },
}

/// What the app wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing before this time.
    SleepUntil(Duration),
    /// Send this and say what came: [`App::http_reply`] or [`App::http_error`].
    Http(Request),
    /// Hand this to Android behind `tel:`. The app is never told what became of it.
    Dial(String),
    /// Read the last row: [`App::call_log`].
    ReadCallLog,
    /// An answer to the last action is still outstanding.
    Wait,
    /// The process is gone; only [`App::restart`] helps.
    Dead(Death),
}

/// What a look into the call log shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LastRow {
    /// The row inserted last.
    Row(CallLogRow),
    /// There is none.
    Empty,
    /// The permission was never given.
    Denied,
}

/// How a dead process comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Somebody opened the app.
    ByUser,
    /// Android restarted the sticky service; there is no screen.
    ByAndroid,
}

/// How often the app did what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// GET requests, follow-ups of redirects included.
    pub gets: u64,
    /// POST requests.
    pub posts: u64,
    /// Dials handed to Android.
    pub dials: u64,
    /// Looks into the call log.
    pub looks: u64,
    /// Process starts.
    pub starts: u64,
}

/// The call whose result is looked for.
#[derive(Debug, Clone)]
struct Check {
    number: String,
    mid: String,
    phones: Vec<Value>,
    since: Duration,
    /// Time spent in recursion without sleep, which is what fills the stack.
    spun: Duration,
}

/// Why a POST is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Poll,
    ReportAnswered,
    ReportExhausted,
}

#[derive(Debug, Clone)]
enum Step {
    Poll { at: Duration },
    Send(Box<Exchange>, Purpose),
    AwaitReply(Box<Exchange>, Purpose),
    Dial(String),
    Look { at: Duration, check: Check },
    AwaitRow(Check),
    NotAnswered { at: Duration, check: Check },
    Dead { at: Duration, why: Death },
}

/// One running app.
#[derive(Debug, Clone)]
pub struct App {
    build: Build,
    /// What the operator set.
    pub settings: Settings,
    headless: bool,
    /// The remembered mid, or empty.
    mid: String,
    /// The number dialled last for it, or empty.
    number: String,
    /// When the mid was first seen.
    started: Duration,
    step: Step,
    counters: Counters,
}

impl App {
    /// The app as it is when its service is created at `now`.
    #[must_use]
    pub fn new(build: Build, settings: Settings, now: Duration) -> Self {
        Self {
            build,
            settings,
            headless: build == Build::HeadHeadless,
            mid: String::new(),
            number: String::new(),
            started: now,
            step: Step::Poll { at: now + START_DELAY },
            counters: Counters { starts: 1, ..Counters::default() },
        }
    }

    /// Which build it is.
    #[must_use]
    pub fn build(&self) -> Build {
        self.build
    }

    /// What it did so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The mid it remembers.
    #[must_use]
    pub fn remembered_mid(&self) -> Option<&str> {
        Some(self.mid.as_str()).filter(|mid| !mid.is_empty())
    }

    /// How it is doing.
    #[must_use]
    pub fn health(&self) -> Health {
        match &self.step {
            Step::Dead { at, why } => Health::Dead { at: *at, why: *why },
            Step::Look { check, .. } | Step::AwaitRow(check) if check.spun > Duration::ZERO => {
                Health::Looping { since: check.since }
            }
            Step::Look { check, .. } | Step::AwaitRow(check) | Step::NotAnswered { check, .. } => {
                Health::Blocked { since: check.since }
            }
            _ => Health::Running,
        }
    }

    /// The process ends and begins anew: it forgets its mid and its number, and without a user it has no screen.
    pub fn restart(&mut self, now: Duration, start: Start) {
        self.headless = start == Start::ByAndroid;
        self.mid.clear();
        self.number.clear();
        self.started = now;
        self.counters.starts += 1;
        self.step = Step::Poll { at: now + START_DELAY };
        // The screen reads the interval too, before anything else runs.
        if start == Start::ByUser && self.build.trips_over_unsaved_settings() && !self.settings.saved {
            self.die(now, Death::SettingsNeverSaved);
        }
    }

    /// Ends the process from outside its loop, as a fault in the code for SMS does.
    pub fn die(&mut self, now: Duration, why: Death) {
        if !matches!(self.step, Step::Dead { .. }) {
            self.step = Step::Dead { at: now, why };
        }
    }

    /// What the app wants at `now`. A request, a dial and a look are each handed out once.
    pub fn poll(&mut self, now: Duration) -> Action {
        loop {
            match &self.step {
                Step::Dead { why, .. } => return Action::Dead(*why),
                Step::AwaitReply(..) | Step::AwaitRow(_) => return Action::Wait,
                Step::Poll { at } | Step::Look { at, .. } | Step::NotAnswered { at, .. } if *at > now => {
                    return Action::SleepUntil(*at);
                }
                Step::Poll { .. } => self.begin_poll(now),
                Step::Send(exchange, purpose) => {
                    let (exchange, purpose) = (exchange.clone(), *purpose);
                    let request = exchange.request.clone();
                    match request.method {
                        Method::Get => self.counters.gets += 1,
                        Method::Post => self.counters.posts += 1,
                    }
                    self.step = Step::AwaitReply(exchange, purpose);
                    return Action::Http(request);
                }
                Step::Dial(number) => {
                    let number = number.clone();
                    self.counters.dials += 1;
                    self.end_pass(now);
                    return Action::Dial(number);
                }
                Step::Look { check, .. } => {
                    self.counters.looks += 1;
                    self.step = Step::AwaitRow(check.clone());
                    return Action::ReadCallLog;
                }
                Step::NotAnswered { check, .. } => {
                    let check = check.clone();
                    self.not_answered(now, &check);
                }
            }
        }
    }

    /// The reply to the last [`Action::Http`].
    pub fn http_reply(&mut self, now: Duration, reply: &HttpReply) {
        let Step::AwaitReply(exchange, purpose) = &mut self.step else { return };
        let purpose = *purpose;
        match exchange.reply(reply) {
            Next::Send => self.step = Step::Send(exchange.clone(), purpose),
            Next::Failed => self.failed(now, purpose),
            Next::Done if purpose == Purpose::Poll => self.read(now, &reply.body),
            // Neither the status nor the body of a report's reply is ever looked at.
            Next::Done => {
                if purpose == Purpose::ReportExhausted {
                    self.mid.clear();
                    self.number.clear();
                }
                self.end_pass(now);
            }
        }
    }

    /// The last [`Action::Http`] brought no reply.
    pub fn http_error(&mut self, now: Duration) {
        if let Step::AwaitReply(_, purpose) = self.step {
            self.failed(now, purpose);
        }
    }

    /// What the last [`Action::ReadCallLog`] showed.
    pub fn call_log(&mut self, now: Duration, last: LastRow) {
        let Step::AwaitRow(check) = &self.step else { return };
        let check = check.clone();
        let row = match last {
            LastRow::Row(row) => row,
            LastRow::Empty => return self.die(now, Death::EmptyCallLog),
            LastRow::Denied => return self.die(now, Death::CallLogDenied),
        };
        if row.number.contains(',') {
            return self.die(now, Death::CommaInCallLog);
        }
        if row.date < self.started {
            return self.look_again(now, check, HEAD_LOOK_DELAY);
        }
        if row.number == check.number {
            if row.seconds > 0 {
                self.answered(now, &check);
            } else {
                self.not_answered(now, &check);
            }
            return;
        }
        match self.build {
            Build::Head | Build::HeadHeadless => self.step = Step::NotAnswered { at: now + HEAD_LOOK_DELAY, check },
            Build::B14558f3 => self.step = Step::Look { at: now + OTHER_NUMBER_DELAY, check },
            Build::V1_0 | Build::B25cd829 => self.look_again(now, check, Duration::ZERO),
        }
    }

    fn begin_poll(&mut self, now: Duration) {
        if self.build.sends_model() && !self.settings.model.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b)) {
            return self.die(now, Death::ModelNotAscii);
        }
        let Some(url) = http::as_sent(&self.settings.url) else { return self.die(now, Death::BadUrl) };
        let mut headers = Vec::new();
        if self.build.sends_model() {
            headers.push(("model".to_owned(), self.settings.model.clone()));
        }
        self.step = Step::Send(Box::new(Exchange::get(url, headers)), Purpose::Poll);
    }

    fn failed(&mut self, now: Duration, purpose: Purpose) {
        match purpose {
            Purpose::Poll => self.unreadable(now),
            // Survived, with mid and number as they were: the same report is sent when the mid is served again.
            Purpose::ReportAnswered | Purpose::ReportExhausted => self.end_pass(now),
        }
    }

    /// "Interface abnormal" is shown, and the interval is skipped.
    fn unreadable(&mut self, now: Duration) {
        if self.show(now) {
            self.step = Step::Poll { at: now + ERROR_DELAY };
        }
    }

    /// Writes on the screen; false if that was the end.
    fn show(&mut self, now: Duration) -> bool {
        if self.headless {
            self.die(now, Death::NoScreen);
        }
        !self.headless
    }

    fn end_pass(&mut self, now: Duration) {
        if self.build.trips_over_unsaved_settings() && !self.settings.saved {
            self.die(now, Death::SettingsNeverSaved);
        } else {
            self.step = Step::Poll { at: now + self.settings.interval };
        }
    }

    fn read(&mut self, now: Duration, body: &[u8]) {
        let alarm = match body::read(body) {
            Reading::Unreadable => return self.unreadable(now),
            Reading::Kills(why) => return self.die(now, why),
            Reading::NoAlarm => {
                if self.show(now) {
                    self.end_pass(now);
                }
                return;
            }
            Reading::Alarm(alarm) => alarm,
        };
        if self.mid != alarm.mid {
            self.started = now;
            self.mid = alarm.mid;
            match alarm.phones.first() {
                None => self.end_pass(now),
                Some(phone) => self.dial(now, phone),
            }
        } else if alarm.phones.iter().any(|phone| phone.as_str() == Some(self.number.as_str())) {
            let check =
                Check { number: self.number.clone(), mid: alarm.mid, phones: alarm.phones, since: now, spun: Duration::ZERO };
            self.step = Step::Look { at: now, check };
        } else {
            // A number that is not in the list, and one that came as a JSON number, is looked for in vain.
            self.end_pass(now);
        }
    }

    fn dial(&mut self, now: Duration, phone: &Value) {
        match body::text(phone) {
            Some(number) => {
                self.number.clone_from(&number);
                self.step = Step::Dial(number);
            }
            None => self.die(now, Death::NullPhone),
        }
    }

    /// Looks again after `delay` on HEAD; the older builds call themselves at once.
    fn look_again(&mut self, now: Duration, mut check: Check, delay: Duration) {
        if self.build.sleeps_while_looking() {
            self.step = Step::Look { at: now + delay, check };
            return;
        }
        check.spun += TIGHT_STEP;
        if self.settings.stack_lasts.is_some_and(|lasts| check.spun > lasts) {
            self.die(now, Death::StackOverflow);
        } else {
            self.step = Step::Look { at: now + TIGHT_STEP, check };
        }
    }

    fn answered(&mut self, now: Duration, check: &Check) {
        let query = format!("?resp={}&mid={}", check.number, check.mid);
        self.report(now, &query, Purpose::ReportAnswered);
    }

    fn not_answered(&mut self, now: Duration, check: &Check) {
        // The first copy of the number, so `[A, B, A, B]` never comes to its end.
        let next = check.phones.iter().position(|phone| phone.as_str() == Some(check.number.as_str())).map_or(0, |i| i + 1);
        match check.phones.get(next) {
            Some(phone) => self.dial(now, &phone.clone()),
            None => self.report(now, &format!("?mid={}", check.mid), Purpose::ReportExhausted),
        }
    }

    fn report(&mut self, now: Duration, query: &str, purpose: Purpose) {
        // Pasted behind the URL, whatever that ends with, and not encoded.
        match http::as_sent(&format!("{}{query}", self.settings.url)) {
            Some(url) => self.step = Step::Send(Box::new(Exchange::post(url)), purpose),
            None => self.die(now, Death::BadUrl),
        }
    }
}
