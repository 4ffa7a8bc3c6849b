//! The simulated phone: one line, its call log, and the people who answer or do not.
//!
//! Time is the duration since the simulation began; whoever drives the phone moves it with [`Phone::advance`].

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::Deserialize;
use thiserror::Error;

use crate::wire::LineState;

/// How long after the dial the callee's phone begins to ring.
const ALERTING_AFTER: Duration = Duration::from_secs(1);

/// How long after the dial a busy line is reported.
const BUSY_AFTER: Duration = Duration::from_secs(3);

/// What Android dials for the text an app pastes behind `tel:`.
///
/// The address ends at a raw `#`, and `%xx` is decoded (AOSP: `Uri.parse`, then the decoded scheme-specific part).
#[must_use]
pub fn from_tel_address(text: &str) -> String {
    let before = text.split('#').next().unwrap_or_default();
    percent_decode(before)
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if hex(high).is_some() && hex(low).is_some() => {
                bytes.push(hex(high).unwrap_or(0) * 16 + hex(low).unwrap_or(0));
                rest = after;
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The number as the call log keeps it: without separators; pauses stay.
fn strip_separators(dialled: &str) -> String {
    dialled.chars().filter(|c| c.is_ascii_digit() || matches!(c, '+' | '*' | '#' | ',' | ';')).collect()
}

/// What a callee does with one call. All times count from the dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Rings this long; then the network gives up.
    Rings {
        /// How long.
        for_: Duration,
    },
    /// Picks up.
    Answers {
        /// When.
        after: Duration,
        /// How long until the callee hangs up.
        talks: Duration,
    },
    /// The line is busy.
    Busy,
    /// Declines.
    Rejects {
        /// When.
        after: Duration,
    },
    /// The call never leaves the phone.
    Fails,
}

impl Behaviour {
    /// Rings for whole seconds.
    #[must_use]
    pub fn rings(seconds: u64) -> Self {
        Self::Rings { for_: Duration::from_secs(seconds) }
    }

    /// Picks up and hangs up again, in whole seconds.
    #[must_use]
    pub fn answers(after: u64, talks: u64) -> Self {
        Self::Answers { after: Duration::from_secs(after), talks: Duration::from_secs(talks) }
    }
}

/// What a callee does with one call, and whether they ring back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// What happens to the call.
    pub behaviour: Behaviour,
    /// How long after the end of the call they ring back; that call is missed, for nobody sits at the handset.
    pub calls_back: Option<Duration>,
}

impl From<Behaviour> for Attempt {
    fn from(behaviour: Behaviour) -> Self {
        Self { behaviour, calls_back: None }
    }
}

/// Who answers when: a number's behaviour, attempt by attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct People {
    scripts: BTreeMap<String, Vec<Attempt>>,
    anybody: Vec<Attempt>,
}

impl Default for People {
    fn default() -> Self {
        Self { scripts: BTreeMap::new(), anybody: vec![Behaviour::rings(30).into()] }
    }
}

/// Why a people file was refused.
#[derive(Debug, Error)]
pub enum PeopleError {
    /// Not the expected JSON.
    #[error("the people file is not as expected")]
    Json(#[from] serde_json::Error),
    /// An attempt that says nothing, or two things at once.
    #[error("{number}, attempt {attempt}: say exactly one of rings, answers, busy, rejects, fails (and talks only with answers)")]
    Attempt {
        /// Whose.
        number: String,
        /// Which, from 1.
        attempt: usize,
    },
    /// A negative or absurd number of seconds.
    #[error("{number}, attempt {attempt}: seconds must lie between 0 and a day")]
    Seconds {
        /// Whose.
        number: String,
        /// Which, from 1.
        attempt: usize,
    },
    /// A number without attempts.
    #[error("{number} has no attempts")]
    Empty {
        /// Whose.
        number: String,
    },
}

/// One attempt as it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    rings: Option<f64>,
    answers: Option<f64>,
    talks: Option<f64>,
    #[serde(default)]
    busy: bool,
    rejects: Option<f64>,
    #[serde(default)]
    fails: bool,
    calls_back: Option<f64>,
}

/// One attempt or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Lines {
    One(Line),
    Many(Vec<Line>),
}

impl Line {
    fn read(&self, number: &str, attempt: usize) -> Result<Attempt, PeopleError> {
        let seconds = |seconds: f64| {
            Some(seconds)
                .filter(|s| (0.0..=86_400.0).contains(s))
                .and_then(|s| Duration::try_from_secs_f64(s).ok())
                .ok_or(PeopleError::Seconds { number: number.to_owned(), attempt })
        };
        let behaviour = match (self.rings, self.answers, self.busy, self.rejects, self.fails, self.talks) {
            (Some(for_), None, false, None, false, None) => Behaviour::Rings { for_: seconds(for_)? },
            (None, Some(after), false, None, false, talks) => {
                Behaviour::Answers { after: seconds(after)?, talks: seconds(talks.unwrap_or(10.0))? }
            }
            (None, None, true, None, false, None) => Behaviour::Busy,
            (None, None, false, Some(after), false, None) => Behaviour::Rejects { after: seconds(after)? },
            (None, None, false, None, true, None) => Behaviour::Fails,
            _ => return Err(PeopleError::Attempt { number: number.to_owned(), attempt }),
        };
        Ok(Attempt { behaviour, calls_back: self.calls_back.map(seconds).transpose()? })
    }
}

impl People {
    /// Reads a people file: an object from number to one attempt or a list of attempts, the last of which repeats; `"*"` is everybody else.
    ///
    /// ```
    /// let people = android_protocol::phone::People::parse(
    ///     r#"{"18712345678": [{"rings": 40}, {"answers": 5, "talks": 20}], "18812345678": {"busy": true}, "*": {"rejects": 3, "calls_back": 9}}"#,
    /// );
    /// assert!(people.is_ok());
    /// ```
    ///
    /// # Errors
    ///
    /// Names the number and the attempt that cannot be understood.
    pub fn parse(json: &str) -> Result<Self, PeopleError> {
        let file: BTreeMap<String, Lines> = serde_json::from_str(json)?;
        let mut people = Self::default();
        for (number, lines) in file {
            let lines = match lines {
                Lines::One(line) => vec![line],
                Lines::Many(lines) => lines,
            };
            let attempts = lines.iter().enumerate().map(|(i, line)| line.read(&number, i + 1)).collect::<Result<Vec<_>, _>>()?;
            if attempts.is_empty() {
                return Err(PeopleError::Empty { number });
            }
            if number == "*" { people.anybody = attempts } else { people.scripts.insert(number, attempts).map_or((), drop) }
        }
        Ok(people)
    }

    /// Adds a person; the last behaviour repeats.
    #[must_use]
    pub fn with(mut self, number: &str, behaviours: impl IntoIterator<Item = Behaviour>) -> Self {
        self.set(number, behaviours.into_iter().map(Attempt::from).collect());
        self
    }

    /// Sets a person's attempts; without any, nothing changes.
    pub fn set(&mut self, number: &str, attempts: Vec<Attempt>) {
        if !attempts.is_empty() {
            self.scripts.insert(number.to_owned(), attempts);
        }
    }

    /// What `number` does with its `nth` call, from 0.
    fn attempt(&self, number: &str, nth: usize) -> Attempt {
        let script = self
            .scripts
            .get(number)
            .or_else(|| self.scripts.iter().find(|(known, _)| same_line(known, number)).map(|(_, script)| script));
        let script = script.unwrap_or(&self.anybody);
        script.get(nth).or(script.last()).copied().unwrap_or(Behaviour::rings(30).into())
    }
}

/// True if one number is the other with a country code in front.
fn same_line(a: &str, b: &str) -> bool {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let (a, b) = (digits(a), digits(b));
    a.len().min(b.len()) >= 7 && (a.ends_with(&b) || b.ends_with(&a))
}

/// What the operator has or has not set up on the handset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one switch on the phone")]
pub struct Setup {
    /// "Draw over other apps": without it Android 10 and later silently drop a dial from the background.
    pub overlay_granted: bool,
    /// A default SIM for calls: otherwise a chooser waits for a finger.
    pub default_sim: bool,
    /// The SIM may call: credit, signal.
    pub can_call: bool,
    /// The call log may be read; since Android 9 that has to be granted by hand.
    pub call_log_granted: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { overlay_granted: true, default_sim: true, can_call: true, call_log_granted: true }
    }
}

/// Which way a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Dialled here.
    Outgoing,
    /// Answered here.
    Incoming,
    /// Rang here in vain.
    Missed,
}

/// One row of the call log. It is written when the call ends (AOSP, Telecom: `CallLogManager`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallLogRow {
    /// The dialled text without separators, or the caller's number.
    pub number: String,
    /// Which way it went.
    pub direction: Direction,
    /// When the call was created, not when it ended.
    pub date: Duration,
    /// Connected time in whole seconds; 0 if never connected.
    pub seconds: u64,
}

/// Names a call of the simulated phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u64);

/// Why a call is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndCause {
    /// The callee hung up after talking, or the network after ringing.
    Normal,
    /// The callee's line was busy.
    Busy,
    /// The callee declined.
    Rejected,
    /// The call never left the phone.
    Failed,
    /// This side hung up.
    HungUp,
}

/// How far a call has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallState {
    /// Asked of the network.
    Dialling,
    /// The other side rings, or this one for an incoming call.
    Alerting,
    /// Connected; `held` while another call is in the foreground.
    Connected {
        /// Whether it is on hold.
        held: bool,
    },
    /// Over.
    Ended {
        /// Why.
        cause: EndCause,
        /// How long it was connected, if it ever was.
        talked: Option<Duration>,
    },
}

/// Something that happened on the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineEvent {
    /// A call was dialled.
    Dialled(String),
    /// A dial was dropped without a trace in the call log.
    Dropped {
        /// What was dialled.
        number: String,
        /// Why.
        why: Drop,
    },
    /// A service code went to the network; no call, no row.
    CodeSent(String),
    /// An incoming call rings.
    Ringing(String),
    /// A call was connected.
    Connected(String),
    /// A call was put on hold.
    Held(String),
    /// A call ended.
    Ended {
        /// With whom.
        number: String,
        /// Why.
        cause: EndCause,
        /// Connected seconds.
        seconds: u64,
    },
}

impl fmt::Display for LineEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dialled(number) => write!(f, "dials {number}"),
            Self::Dropped { number, why } => write!(f, "drops the call to {number}: {why:?}"),
            Self::CodeSent(code) => write!(f, "sends {code} to the network"),
            Self::Ringing(number) => write!(f, "is called by {number}"),
            Self::Connected(number) => write!(f, "{number} picks up"),
            Self::Held(number) => write!(f, "puts {number} on hold"),
            Self::Ended { number, cause, seconds: 0 } => match cause {
                EndCause::Normal => write!(f, "{number} does not pick up"),
                EndCause::Busy => write!(f, "{number} is busy"),
                EndCause::Rejected => write!(f, "{number} declines"),
                EndCause::Failed => write!(f, "the call to {number} does not get out"),
                EndCause::HungUp => write!(f, "hangs up on {number}"),
            },
            Self::Ended { number, seconds, .. } => write!(f, "the call with {number} is over after {seconds} s"),
        }
    }
}

/// Why a dial left no trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drop {
    /// Another call is ringing, or two are already there (AOSP, Telecom: `makeRoomForOutgoingCall`, "no room").
    NoRoom,
    /// Android does not let the app open a window from the background.
    OverlayMissing,
    /// The SIM chooser waits for a finger.
    SimChooser,
    /// There is nothing to dial in the text.
    NothingToDial,
}

/// What became of a dial request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialResult {
    /// A call exists.
    Call(CallId),
    /// A service code was sent.
    Code,
    /// Nothing happened, and the app is not told.
    Dropped(Drop),
}

#[derive(Debug, Clone)]
struct Call {
    id: CallId,
    number: String,
    incoming: bool,
    created: Duration,
    alerting_at: Duration,
    alerted: bool,
    answer_at: Option<Duration>,
    end_at: Duration,
    cause: EndCause,
    connected: bool,
    held: bool,
    ended: bool,
    calls_back: Option<Duration>,
}

impl Call {
    fn talked(&self) -> Option<Duration> {
        self.answer_at.filter(|_| self.connected).map(|answered| self.end_at.saturating_sub(answered))
    }
}

/// A phone with one SIM card.
#[derive(Debug, Clone, Default)]
pub struct Phone {
    /// Who answers when.
    pub people: People,
    /// What is set up on the handset.
    pub setup: Setup,
    now: Duration,
    calls: Vec<Call>,
    expected: Vec<(Duration, String, Duration)>,
    log: Vec<CallLogRow>,
    attempts: BTreeMap<String, usize>,
    events: Vec<(Duration, LineEvent)>,
    next_id: u64,
}

impl Phone {
    /// A phone with an old row in its call log, as any phone that was ever used has.
    ///
    /// Without one the app dies at its first look (measured); see [`Phone::factory_new`].
    #[must_use]
    pub fn new(people: People) -> Self {
        let row = CallLogRow { number: "10086".to_owned(), direction: Direction::Outgoing, date: Duration::ZERO, seconds: 1 };
        Self { people, log: vec![row], ..Self::default() }
    }

    /// A phone whose call log is empty.
    #[must_use]
    pub fn factory_new(people: People) -> Self {
        Self { people, ..Self::default() }
    }

    /// Lets everything happen that is due up to `now`.
    pub fn advance(&mut self, now: Duration) {
        while let Some(at) = self.next_event().filter(|&at| at <= now) {
            self.now = self.now.max(at);
            self.happen(at);
        }
        self.now = self.now.max(now);
    }

    /// When something happens next without anybody's doing.
    #[must_use]
    pub fn next_event(&self) -> Option<Duration> {
        let calls = self.calls.iter().filter(|call| !call.ended).map(|call| {
            let alerting = Some(call.alerting_at).filter(|_| !call.alerted);
            let answer = call.answer_at.filter(|_| !call.connected);
            [alerting, answer].into_iter().flatten().fold(call.end_at, Duration::min)
        });
        calls.chain(self.expected.iter().map(|(at, ..)| *at)).min()
    }

    /// The one thing that is due first at `at`.
    fn happen(&mut self, at: Duration) {
        if let Some(i) = self.expected.iter().position(|(due, ..)| *due <= at) {
            let (due, number, rings) = self.expected.remove(i);
            let id = self.new_id();
            self.event(due, LineEvent::Ringing(number.clone()));
            self.calls.push(Call {
                id,
                number,
                incoming: true,
                created: due,
                alerting_at: due,
                alerted: true,
                answer_at: None,
                end_at: due + rings,
                cause: EndCause::Normal,
                connected: false,
                held: false,
                ended: false,
                calls_back: None,
            });
        } else if let Some(call) = self.calls.iter_mut().find(|call| !call.ended && !call.alerted && call.alerting_at <= at) {
            call.alerted = true;
        } else if let Some(i) = self.calls.iter().position(|call| {
            !call.ended && !call.connected && call.answer_at.is_some_and(|answer| answer <= at && answer <= call.end_at)
        }) {
            self.calls[i].connected = true;
            let number = self.calls[i].number.clone();
            self.event(at, LineEvent::Connected(number));
        } else if let Some(i) = self.calls.iter().position(|call| !call.ended && call.end_at <= at) {
            self.end(i);
        }
    }

    fn end(&mut self, i: usize) {
        let call = &mut self.calls[i];
        call.ended = true;
        let seconds = call.talked().map_or(0, |talked| talked.as_secs());
        let direction = match (call.incoming, call.connected) {
            (false, _) => Direction::Outgoing,
            (true, true) => Direction::Incoming,
            (true, false) => Direction::Missed,
        };
        let (number, cause, at) = (call.number.clone(), call.cause, call.end_at);
        let row = CallLogRow { number: number.clone(), direction, date: call.created, seconds };
        if let Some(after) = call.calls_back {
            self.expected.push((at + after, number.clone(), Duration::from_secs(10)));
        }
        self.log.push(row);
        self.event(at, LineEvent::Ended { number, cause, seconds });
        // What was on hold comes back by hand only; Telecom leaves it held, and the callee's clock runs on.
    }

    fn event(&mut self, at: Duration, event: LineEvent) {
        self.events.push((at, event));
    }

    fn new_id(&mut self) -> CallId {
        self.next_id += 1;
        CallId(self.next_id)
    }

    /// An app asks Android to call what stands behind `tel:`.
    pub fn dial(&mut self, now: Duration, tel: &str) -> DialResult {
        self.advance(now);
        let dialled = from_tel_address(tel);
        let number = strip_separators(&dialled);
        let dropped = if !self.setup.overlay_granted {
            Some(Drop::OverlayMissing)
        } else if !self.setup.default_sim {
            Some(Drop::SimChooser)
        } else if number.is_empty() {
            Some(Drop::NothingToDial)
        } else if !number.contains('#') && !self.has_room() {
            Some(Drop::NoRoom)
        } else {
            None
        };
        if let Some(why) = dropped {
            self.event(now, LineEvent::Dropped { number, why });
            return DialResult::Dropped(why);
        }
        if number.contains('#') {
            self.event(now, LineEvent::CodeSent(number));
            return DialResult::Code;
        }
        for i in 0..self.calls.len() {
            if !self.calls[i].ended && self.calls[i].connected && !self.calls[i].held {
                self.calls[i].held = true;
                let number = self.calls[i].number.clone();
                self.event(now, LineEvent::Held(number));
            }
        }
        let nth = self.attempts.entry(number.clone()).or_default();
        let mut attempt = self.people.attempt(&number, *nth);
        *nth += 1;
        if !self.setup.can_call {
            attempt = Behaviour::Fails.into();
        }
        let (answer_at, end_at, cause) = match attempt.behaviour {
            Behaviour::Rings { for_ } => (None, now + for_, EndCause::Normal),
            Behaviour::Answers { after, talks } => (Some(now + after), now + after + talks, EndCause::Normal),
            Behaviour::Busy => (None, now + BUSY_AFTER, EndCause::Busy),
            Behaviour::Rejects { after } => (None, now + after, EndCause::Rejected),
            Behaviour::Fails => (None, now + ALERTING_AFTER, EndCause::Failed),
        };
        // A line that is busy or out of reach never rings.
        let rings = !matches!(cause, EndCause::Busy | EndCause::Failed);
        let id = self.new_id();
        self.calls.push(Call {
            id,
            number: number.clone(),
            incoming: false,
            created: now,
            alerting_at: if rings { now + ALERTING_AFTER } else { Duration::MAX },
            alerted: false,
            answer_at,
            end_at,
            cause,
            connected: false,
            held: false,
            ended: false,
            calls_back: attempt.calls_back,
        });
        self.event(now, LineEvent::Dialled(number));
        DialResult::Call(id)
    }

    /// Room for one more: nothing rings, and at most one call is there.
    fn has_room(&self) -> bool {
        let live = self.calls.iter().filter(|call| !call.ended);
        live.clone().all(|call| call.connected) && live.count() < 2
    }

    /// Ends the calls in the foreground, or whatever rings.
    pub fn hang_up(&mut self, now: Duration) {
        self.advance(now);
        for i in 0..self.calls.len() {
            if !self.calls[i].ended && !self.calls[i].held {
                self.calls[i].end_at = now;
                self.calls[i].cause = EndCause::HungUp;
                self.end(i);
            }
        }
    }

    /// Somebody rings this phone at `at`, for `rings`, in vain.
    pub fn expect_missed_call(&mut self, at: Duration, number: &str, rings: Duration) {
        self.expected.push((at, number.to_owned(), rings));
    }

    /// The phone's user makes a call of their own that is connected from `at` on.
    pub fn own_call(&mut self, at: Duration, number: &str, talks: Duration) {
        self.advance(at);
        let id = self.new_id();
        self.calls.push(Call {
            id,
            number: number.to_owned(),
            incoming: false,
            created: at,
            alerting_at: at,
            alerted: true,
            answer_at: Some(at),
            end_at: at + talks,
            cause: EndCause::Normal,
            connected: true,
            held: false,
            ended: false,
            calls_back: None,
        });
    }

    /// The row inserted last, whatever its type: what the app takes for the result of its dial.
    #[must_use]
    pub fn last_row(&self) -> Option<&CallLogRow> {
        self.log.last()
    }

    /// The whole call log in the order of insertion.
    #[must_use]
    pub fn call_log(&self) -> &[CallLogRow] {
        &self.log
    }

    /// How far a call has got.
    #[must_use]
    pub fn call_state(&self, id: CallId) -> Option<CallState> {
        let call = self.calls.iter().find(|call| call.id == id)?;
        Some(if call.ended {
            CallState::Ended { cause: call.cause, talked: call.talked() }
        } else if call.connected {
            CallState::Connected { held: call.held }
        } else if call.alerted {
            CallState::Alerting
        } else {
            CallState::Dialling
        })
    }

    /// The unfinished outgoing call to `number`, for an agent that was restarted meanwhile.
    #[must_use]
    pub fn live_call_to(&self, number: &str) -> Option<CallId> {
        self.calls.iter().rev().find(|call| !call.ended && !call.incoming && same_text(&call.number, number)).map(|call| call.id)
    }

    /// Whether any call is there.
    #[must_use]
    pub fn line(&self) -> LineState {
        if self.calls.iter().any(|call| !call.ended) { LineState::Busy } else { LineState::Idle }
    }

    /// Everything that happened, with its time.
    #[must_use]
    pub fn events(&self) -> &[(Duration, LineEvent)] {
        &self.events
    }

    /// How many calls were really placed to `number`.
    #[must_use]
    pub fn dials_to(&self, number: &str) -> usize {
        self.attempts.get(number).copied().unwrap_or(0)
    }
}

fn same_text(a: &str, b: &str) -> bool {
    strip_separators(a) == strip_separators(b)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_row_is_written_when_the_call_ends() {
        let mut phone = Phone::factory_new(People::default().with("187", [Behaviour::answers(5, 20)]));
        phone.dial(s(10), "187");
        phone.advance(s(34));
        assert_eq!(phone.last_row(), None);
        phone.advance(s(35));
        assert_eq!(
            phone.last_row(),
            Some(&CallLogRow { number: "187".into(), direction: Direction::Outgoing, date: s(10), seconds: 20 })
        );
    }

    #[test]
    fn a_second_dial_while_the_first_rings_leaves_no_trace() {
        let mut phone = Phone::factory_new(People::default());
        phone.dial(s(0), "187");
        assert_eq!(phone.dial(s(5), "188"), DialResult::Dropped(Drop::NoRoom));
        phone.advance(s(100));
        assert_eq!(phone.call_log().len(), 1);
    }

    #[test]
    fn a_second_dial_while_talking_puts_the_first_on_hold() {
        let mut phone = Phone::factory_new(People::default().with("187", [Behaviour::answers(5, 200)]));
        let DialResult::Call(first) = phone.dial(s(0), "187") else { unreachable!() };
        assert!(matches!(phone.dial(s(20), "188"), DialResult::Call(_)));
        assert_eq!(phone.call_state(first), Some(CallState::Connected { held: true }));
        assert_eq!(phone.dial(s(21), "189"), DialResult::Dropped(Drop::NoRoom));
        phone.advance(s(300));
        assert_eq!(phone.call_log().iter().map(|row| row.number.as_str()).collect::<Vec<_>>(), ["188", "187"]);
    }

    #[test]
    fn codes_with_a_hash_leave_no_row_and_others_do() {
        let mut phone = Phone::factory_new(People::default());
        assert_eq!(phone.dial(s(0), "**21*187%23"), DialResult::Code);
        assert_eq!(phone.line(), LineState::Idle);
        assert!(matches!(phone.dial(s(1), "*72187"), DialResult::Call(_)));
        phone.advance(s(60));
        assert_eq!(phone.last_row().unwrap().number, "*72187");
        assert_eq!(phone.events()[0].1, LineEvent::CodeSent("**21*187#".into()));
    }

    #[test]
    fn what_android_makes_of_an_address() {
        for (text, dialled) in [
            ("**21*187%23", "**21*187#"),
            ("**21*187#", "**21*187"),
            ("+86187", "+86187"),
            ("187%", "187%"),
            ("187%2", "187%2"),
            ("%zz", "%zz"),
        ] {
            assert_eq!(from_tel_address(text), dialled);
        }
    }

    #[test]
    fn callers_back_and_strangers_are_missed() {
        let mut people = People::default();
        people.set("187", vec![Attempt { behaviour: Behaviour::rings(20), calls_back: Some(s(5)) }]);
        let mut phone = Phone::factory_new(people);
        phone.dial(s(0), "187");
        phone.expect_missed_call(s(2), "555", s(3));
        phone.advance(s(100));
        let log: Vec<_> = phone.call_log().iter().map(|row| (row.number.as_str(), row.direction)).collect();
        assert_eq!(log, [("555", Direction::Missed), ("187", Direction::Outgoing), ("187", Direction::Missed)]);
    }

    #[test]
    fn a_people_file_says_what_is_wrong_with_it() {
        for bad in [
            "[]",
            r#"{"1":{}}"#,
            r#"{"1":{"rings":1,"busy":true}}"#,
            r#"{"1":{"talks":1}}"#,
            r#"{"1":[]}"#,
            r#"{"1":{"rings":-1}}"#,
            r#"{"1":{"rings":1e300}}"#,
            r#"{"1":{"sings":1}}"#,
        ] {
            assert!(People::parse(bad).is_err(), "{bad}");
        }
        let people = People::parse(r#"{"18712345678":[{"rings":1},{"answers":2}],"*":{"fails":true}}"#).unwrap();
        assert_eq!(people.attempt("+8618712345678", 0).behaviour, Behaviour::rings(1));
        assert_eq!(people.attempt("18712345678", 7).behaviour, Behaviour::answers(2, 10));
        assert_eq!(people.attempt("5", 0).behaviour, Behaviour::Fails);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(json: String, tel: String) {
            let _ = People::parse(&json);
            Phone::factory_new(People::default()).dial(s(1), &tel);
        }

        #[test]
        fn every_call_ends_in_exactly_one_row(dials in proptest::collection::vec((0_u64..40, 0_usize..4, 0_u64..50, 0_u64..60), 1..12)) {
            let mut phone = Phone::factory_new(People::default());
            let (mut at, mut placed) = (0, 0);
            for (pause, who, after, talks) in dials {
                at += pause;
                let number = ["187", "188", "189", "190"][who];
                phone.people.set(number, vec![Behaviour::answers(after, talks).into()]);
                placed += usize::from(matches!(phone.dial(s(at), number), DialResult::Call(_)));
            }
            phone.advance(s(100_000));
            prop_assert_eq!(phone.call_log().len(), placed);
            prop_assert_eq!(phone.line(), LineState::Idle);
        }
    }
}
