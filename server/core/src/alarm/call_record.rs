//! What is known of one call to one number. Each word of its handset adds to it: in whatever order words come, and however often, the same is
//! known in the end.
//!
//! What was heard is kept ([`Heard`]), and what it tells is made of it ([`Heard::tells`]). What a handset counted from the dial on, by a clock
//! that nobody sets, is moved onto the server's clock by the word that came soonest after what it tells of.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use android_protocol::voice::detector;
use android_protocol::wire::{CallOutcome, EndedBy, FailureDetail, NativeCall, Progress, ProgressState};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::attribution::{DialledCallee, attribute};
use super::consequences::Report;
use super::{KeyAction, words};
use crate::numbers::{Number, Region};

/// A handset dials what it is given at once. A report of a call of which nothing else was heard, and that seems to have begun later than so
/// long after the hand-out, was on its way for a long time.
const AT_ONCE: TimeDelta = TimeDelta::seconds(30);
/// No call is as long as a day.
const LONGEST_MS: u64 = 24 * 3600 * 1000;
/// So many keys of a call are kept.
const MOST_KEYS: usize = 64;
/// So many characters of the network's words.
const LONGEST_TEXT: usize = 200;

/// Where a record comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallOrigin {
    /// A dial that a handset was given.
    Dial,
    /// Somebody called a handset.
    Inbound,
    /// Another system's list of calls.
    Replicated,
}

/// Who called whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallDirection {
    /// We called.
    Outgoing,
    /// We were called.
    Incoming,
}

/// How an instant is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HowKnown {
    /// Not at all.
    #[default]
    None,
    /// The handset said so when it was so, or it guesses.
    Said,
    /// The handset, or this server, measured it.
    Exact,
}

/// How a call ended, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallResult {
    /// Somebody picked up, or something.
    Answered,
    /// It rang in vain.
    NoAnswer,
    /// The line was busy.
    Busy,
    /// It was declined while it rang.
    Rejected,
    /// It never left the handset, or never arrived.
    Failed,
    /// It was not tried.
    NotDialled,
    /// Nobody has reported it.
    #[default]
    Unknown,
}

words! {
    CallOrigin { Dial = "dial", Inbound = "inbound", Replicated = "replicated" }
    CallDirection { Outgoing = "outgoing", Incoming = "incoming" }
    HowKnown { None = "none", Said = "said", Exact = "exact" }
    CallResult {
        Answered = "answered", NoAnswer = "no_answer", Busy = "busy", Rejected = "rejected", Failed = "failed",
        NotDialled = "not_dialled", Unknown = "unknown",
    }
}

impl From<CallOutcome> for CallResult {
    fn from(outcome: CallOutcome) -> Self {
        match outcome {
            CallOutcome::Answered => Self::Answered,
            CallOutcome::NoAnswer => Self::NoAnswer,
            CallOutcome::Busy => Self::Busy,
            CallOutcome::Rejected => Self::Rejected,
            CallOutcome::Failed => Self::Failed,
            CallOutcome::NotDialled => Self::NotDialled,
        }
    }
}

/// The network's words for how a call ended, and what kind of failure it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallCause {
    /// The final response of SIP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip: Option<u16>,
    /// The cause of the telephone network (ITU-T Q.850).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q850: Option<u8>,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Which kind of failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<FailureDetail>,
}

/// A key that was pressed, as it was told while the call went on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Pressed {
    seq: u64,
    key: char,
    /// What it stands for; empty: nothing.
    action: String,
}

/// All that was heard of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heard {
    /// When the server first heard that it had got so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    dialling_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alerting_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connected_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pressed: BTreeSet<Pressed>,
    /// When its report came first, and whether the dial was closed by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    reported: Option<(DateTime<Utc>, bool)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<CallOutcome>,
    /// The same of the report that tells how it ended: an early one may say "nobody" while the phone still rings.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided: Option<(DateTime<Utc>, bool)>,
    /// The report was made when this call was over, and not a later one of the same dial.
    ends: bool,
    /// Counted by the handset from the dial on.
    #[serde(skip_serializing_if = "Option::is_none")]
    alerting_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connected_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    talk_seconds: Option<u64>,
    /// The handset guesses when a line is connected.
    guesses: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<EndedBy>,
    cause: CallCause,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<KeyAction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    machine: Option<detector::Verdict>,
}

/// An instant of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Option<DateTime<Utc>>,
    /// How that is known.
    pub known: HowKnown,
}

impl Moment {
    fn new(at: DateTime<Utc>, known: HowKnown) -> Self {
        Self { at: Some(at), known }
    }

    fn said(at: Option<DateTime<Utc>>) -> Self {
        at.map_or_else(Self::default, |at| Self::new(at, HowKnown::Said))
    }
}

/// The hand-out that a call is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandedOut {
    /// When.
    pub at: DateTime<Utc>,
    /// The place of the number in the list, counted from 0.
    pub place: i32,
}

/// What is known of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// When the handset asked the network for it.
    pub dialled: Moment,
    /// When the other phone rang.
    pub alerting: Moment,
    /// When the line was connected.
    pub connected: Moment,
    /// When it was over.
    pub ended: Moment,
    /// When its handset reported it.
    pub reported_at: Option<DateTime<Utc>>,
    /// How it ended.
    pub outcome: CallResult,
    /// Who ended it.
    pub ended_by: Option<EndedBy>,
    /// The network's words.
    pub cause: Option<CallCause>,
    /// The keys that were pressed, in order.
    pub keys: Option<String>,
    /// The first word that was said with a key.
    pub action: Option<KeyAction>,
    /// What a handset that listens took whoever picked up for: a guess.
    pub machine: Option<detector::Verdict>,
    /// For how long the line was connected.
    pub talk_seconds: Option<i64>,
}

/// A report, with what else is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Reporting<'r> {
    /// What the handset says.
    pub report: &'r Report,
    /// The country whose national form it writes numbers in.
    pub region: Region,
    /// When it came.
    pub at: DateTime<Utc>,
    /// The dial was closed by then.
    pub late: bool,
    /// The handset guesses when a line is connected.
    pub guesses: bool,
}

/// The earlier of two, or the only one.
fn first<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// What says more of how a call ended.
fn weight(outcome: CallOutcome) -> u8 {
    match outcome {
        CallOutcome::NotDialled => 0,
        CallOutcome::Failed => 1,
        CallOutcome::NoAnswer => 2,
        CallOutcome::Busy => 3,
        CallOutcome::Rejected => 4,
        CallOutcome::Answered => 5,
    }
}

/// The one that says more.
fn most<T: Copy>(one: Option<T>, other: Option<T>, says: impl Fn(T) -> u8) -> Option<T> {
    [one, other].into_iter().flatten().max_by_key(|own| says(*own))
}

fn span(ms: u64) -> TimeDelta {
    TimeDelta::milliseconds(i64::try_from(ms.min(LONGEST_MS)).unwrap_or_default())
}

/// The keys of a telephone among what a handset writes.
fn telephone_keys(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|key| matches!(key, '0'..='9' | '*' | '#' | 'A'..='D'))
}

/// What a message says that comes while the call goes on.
#[must_use]
pub fn progress(progress: &Progress, at: DateTime<Utc>) -> Heard {
    let mut heard = Heard::default();
    match progress.state {
        Some(ProgressState::Dialling) => heard.dialling_at = Some(at),
        Some(ProgressState::Alerting) => heard.alerting_at = Some(at),
        Some(ProgressState::Connected) => heard.connected_at = Some(at),
        Some(ProgressState::Ended) => heard.ended_at = Some(at),
        None => {}
    }
    if progress.event.as_deref() == Some("key")
        && let Some(key) = progress.key.as_deref().and_then(|key| telephone_keys(key).next())
    {
        let action = progress.action.as_deref().and_then(KeyAction::parse).map_or("", KeyAction::as_str).to_owned();
        heard.connected_at = Some(at);
        heard.pressed.insert(Pressed { seq: progress.seq.unwrap_or_default(), key, action });
    }
    heard
}

/// What a report says of each number of a dial, in list order.
#[must_use]
pub fn report(rings: &[DialledCallee], told: Reporting<'_>) -> Vec<Heard> {
    let Reporting { report, region, at, late, guesses } = told;
    let call_to = |ring: &DialledCallee| {
        let number = Number::from_stored(ring.number.as_str());
        report.calls.iter().find(|call| number.matches(&call.number, region))
    };
    let picked_up = |call: &NativeCall| call.declined || call.outcome == Some(CallOutcome::Answered);
    let named = report.named();
    let by_name = || {
        let resp = named.as_deref()?;
        let callee = attribute(rings, |number| Number::from_stored(number).matches(resp, region)).callee?;
        rings.iter().position(|ring| ring.callee == callee)
    };
    let answered = rings.iter().position(|ring| call_to(ring).is_some_and(picked_up)).or_else(by_name);
    // In a copied sequence nobody can tell in which pass somebody picked up.
    let copied = rings.iter().any(|ring| ring.attempts > 1);
    let of_ring = |(place, ring): (usize, &DialledCallee)| {
        let call = call_to(ring).cloned().unwrap_or_default();
        let in_vain = match answered {
            Some(answered) if place > answered && copied => None,
            Some(answered) if place > answered => Some(CallOutcome::NotDialled),
            // Somebody did who is not in the list.
            None if named.is_some() => None,
            Some(_) | None => Some(CallOutcome::NoAnswer),
        };
        let cause = call.cause.unwrap_or_default();
        let text = cause.text.map(|text| text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect::<String>());
        Heard {
            reported: Some((at, late)),
            decided: Some((at, late)),
            outcome: if answered == Some(place) { Some(CallOutcome::Answered) } else { call.outcome.or(in_vain) },
            ends: answered.map_or(named.is_none() && place + 1 == rings.len(), |answered| answered == place),
            alerting_ms: call.alerting_ms.filter(|ms| *ms <= LONGEST_MS),
            connected_ms: call.connected_ms.filter(|ms| *ms <= LONGEST_MS),
            ended_ms: call.ended_ms.filter(|ms| *ms <= LONGEST_MS),
            talk_seconds: call.talk_seconds.filter(|seconds| *seconds <= LONGEST_MS / 1000),
            guesses,
            ended_by: call.ended_by,
            cause: CallCause {
                sip: cause.sip,
                q850: cause.q850,
                text: text.filter(|text| !text.is_empty()),
                detail: call.detail,
            },
            keys: call.keys.map(|keys| telephone_keys(&keys).take(MOST_KEYS).collect::<String>()).filter(|keys| !keys.is_empty()),
            action: call.action.as_deref().and_then(KeyAction::parse),
            machine: call.machine,
            ..Heard::default()
        }
    };
    rings.iter().enumerate().map(of_ring).collect()
}

impl Heard {
    /// This and that together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let mut pressed = self.pressed;
        pressed.extend(other.pressed);
        while pressed.len() > MOST_KEYS {
            pressed.pop_last();
        }
        // The longer one tells more.
        let longer = |text: &Option<String>| text.as_ref().map(|text| (text.len(), text.clone()));
        let text = |one: Option<String>, other: Option<String>| longer(&one).max(longer(&other)).map(|(_, text)| text);
        Self {
            dialling_at: first(self.dialling_at, other.dialling_at),
            alerting_at: first(self.alerting_at, other.alerting_at),
            connected_at: first(self.connected_at, other.connected_at),
            ended_at: first(self.ended_at, other.ended_at),
            pressed,
            reported: first(self.reported, other.reported),
            outcome: most(self.outcome, other.outcome, weight),
            decided: match self.outcome.map(weight).cmp(&other.outcome.map(weight)) {
                Ordering::Less => other.decided,
                Ordering::Equal => first(self.decided, other.decided),
                Ordering::Greater => self.decided,
            },
            ends: self.ends || other.ends,
            alerting_ms: first(self.alerting_ms, other.alerting_ms),
            connected_ms: first(self.connected_ms, other.connected_ms),
            ended_ms: self.ended_ms.max(other.ended_ms),
            talk_seconds: self.talk_seconds.max(other.talk_seconds),
            guesses: self.guesses || other.guesses,
            ended_by: most(self.ended_by, other.ended_by, |by| by as u8),
            cause: CallCause {
                sip: self.cause.sip.max(other.cause.sip),
                q850: self.cause.q850.max(other.cause.q850),
                text: text(self.cause.text, other.cause.text),
                detail: most(self.cause.detail, other.cause.detail, |detail| detail as u8),
            },
            keys: text(self.keys, other.keys),
            action: most(self.action, other.action, |action| action as u8),
            machine: most(self.machine, other.machine, |machine| match machine {
                detector::Verdict::Unknown => 0,
                detector::Verdict::Human => 1,
                detector::Verdict::Machine => 2,
            }),
        }
    }

    /// Whether its handset has reported it.
    #[must_use]
    pub fn is_reported(&self) -> bool {
        self.reported.is_some()
    }

    /// What is known of the call by that.
    #[must_use]
    pub fn tells(&self, handed_out: HandedOut) -> Call {
        let began = self.began(handed_out);
        // What was kept before that was told apart has no other.
        let decided = self.decided.or(self.reported);
        let last = decided.map(|(at, _)| at);
        let moment = |ms: Option<u64>, heard: Option<DateTime<Utc>>| match (began, ms) {
            (Some((began, known)), Some(ms)) => {
                let at = began + span(ms);
                // Whatever was counted, it was over when it was reported.
                Moment::new(last.map_or(at, |last| at.min(last)), known)
            }
            _ => Moment::said(heard),
        };
        let dialled = began.map_or_else(Moment::default, |(at, known)| Moment::new(at, known));
        let mut connected = moment(self.connected_ms, self.connected_at);
        if self.guesses {
            connected.known = connected.known.min(HowKnown::Said);
        }
        let mut ended = moment(self.ended_ms, self.ended_at);
        if let (None, true, Some((at, false))) = (ended.at, self.ends, decided) {
            ended = Moment::new(at, HowKnown::Said);
        }
        let mut moments = [dialled, moment(self.alerting_ms, self.alerting_at), connected, ended];
        let mut before = handed_out.at;
        for at in moments.iter_mut().filter_map(|moment| moment.at.as_mut()) {
            before = before.max(*at);
            *at = before;
        }
        let [dialled, alerting, connected, ended] = moments;
        let outcome = match self.outcome {
            // Nobody presses a key who has not picked up.
            _ if !self.pressed.is_empty() => CallResult::Answered,
            Some(outcome) => outcome.into(),
            None => CallResult::Unknown,
        };
        let counted = self.connected_ms.zip(self.ended_ms).map(|(connected, ended)| ended.saturating_sub(connected) / 1000);
        let between = || Some((ended.at? - connected.at?).num_seconds());
        let told: String = self.pressed.iter().map(|pressed| pressed.key).collect();
        let meant = self.pressed.iter().find_map(|pressed| KeyAction::parse(&pressed.action));
        Call {
            dialled,
            alerting,
            connected,
            ended,
            reported_at: self.reported.map(|(at, _)| at),
            outcome,
            ended_by: self.ended_by,
            cause: Some(self.cause.clone()).filter(|cause| *cause != CallCause::default()),
            keys: self.keys.clone().or(Some(told).filter(|told| !told.is_empty())),
            action: meant.or(self.action),
            machine: self.machine,
            talk_seconds: match outcome {
                CallResult::Unknown => None,
                CallResult::Answered => {
                    self.talk_seconds.or(counted).and_then(|seconds| i64::try_from(seconds).ok()).or_else(between)
                }
                _ => Some(0),
            },
        }
    }

    /// When the handset began to dial, and how that is known: no later than whatever was heard, less what it had counted by then.
    fn began(&self, handed_out: HandedOut) -> Option<(DateTime<Utc>, HowKnown)> {
        let counted = [
            (self.dialling_at, Some(0)),
            (self.alerting_at, self.alerting_ms),
            (self.connected_at, self.connected_ms),
            (self.ended_at, self.ended_ms),
        ];
        let heard = counted.into_iter().filter_map(|(at, ms)| Some(at? - span(ms?))).min();
        let told = self.decided.or(self.reported).zip(self.ended_ms).map(|((at, _), ms)| at - span(ms));
        let measured = self.ended_ms.or(self.connected_ms).or(self.alerting_ms);
        let (at, known) = match (heard, told) {
            (Some(heard), told) => {
                (told.map_or(heard, |told| told.min(heard)), if measured.is_some() { HowKnown::Exact } else { HowKnown::Said })
            }
            (None, Some(told)) if told <= handed_out.at + AT_ONCE => (told, HowKnown::Exact),
            (None, Some(_)) if handed_out.place == 0 => (handed_out.at, HowKnown::Said),
            (None, _) => return None,
        };
        Some((at.max(handed_out.at), known))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::ids::CalleeId;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};
    use uuid::Uuid;

    const OUT: HandedOut = HandedOut { at: DateTime::UNIX_EPOCH, place: 0 };

    fn at(seconds: i64) -> DateTime<Utc> {
        OUT.at + TimeDelta::seconds(seconds)
    }

    fn rings(attempts: i32, count: u128) -> Vec<DialledCallee> {
        let ring = |n| DialledCallee { callee: CalleeId(Uuid::from_u128(n)), number: number(n), attempts };
        (0..count).map(ring).collect()
    }

    fn number(n: u128) -> String {
        format!("+861871234567{n}")
    }

    fn state(state: ProgressState, seconds: i64) -> Heard {
        progress(&Progress { state: Some(state), ..Progress::default() }, at(seconds))
    }

    fn said(rings: &[DialledCallee], report: &Report, seconds: i64) -> Vec<Heard> {
        super::report(rings, Reporting { report, region: Region::CN, at: at(seconds), late: false, guesses: false })
    }

    fn resp(resp: Option<&str>) -> Report {
        Report { mid: "m".to_owned(), resp: resp.map(str::to_owned), calls: Vec::new() }
    }

    fn results(heard: &[Heard]) -> Vec<&'static str> {
        heard.iter().map(|heard| heard.tells(OUT).outcome.as_str()).collect()
    }

    fn seconds(moment: Moment) -> (Option<i64>, HowKnown) {
        (moment.at.map(|at| (at - OUT.at).num_seconds()), moment.known)
    }

    /// As such records were kept before it was told apart which report decides.
    #[test]
    fn what_was_kept_by_an_older_version_keeps_its_end() {
        let call = NativeCall { number: number(0), outcome: Some(CallOutcome::Answered), ..NativeCall::default() };
        let report = Report { mid: "m".to_owned(), resp: None, calls: vec![call] };
        let mut known = said(&rings(1, 1), &report, 60).remove(0);
        let end = known.tells(OUT).ended;
        known.decided = None;
        assert_eq!((known.tells(OUT).ended, end.at), (end, Some(at(60))));
    }

    #[test]
    fn a_bare_report_tells_who_picked_up_and_who_was_not_rung() {
        let list = rings(1, 3);
        assert_eq!(results(&said(&list, &resp(Some("18712345671")), 60)), ["no_answer", "answered", "not_dialled"]);
        assert_eq!(results(&said(&list, &resp(None), 60)), ["no_answer"; 3]);
        assert_eq!(results(&said(&list, &resp(Some("13900000000")), 60)), ["unknown"; 3]);
        assert_eq!(results(&said(&rings(2, 3), &resp(Some("18712345671")), 60)), ["no_answer", "answered", "unknown"]);
        assert_eq!(results(&[Heard::default()]), ["unknown"]);
    }

    #[test]
    fn of_a_bare_report_the_end_is_known_and_nothing_is_invented() {
        let call = said(&rings(1, 1), &resp(Some("18712345670")), 60)[0].tells(OUT);
        assert_eq!(seconds(call.ended), (Some(60), HowKnown::Said));
        assert_eq!([call.dialled, call.alerting, call.connected], [Moment::default(); 3]);
        assert_eq!((call.talk_seconds, call.reported_at), (None, Some(at(60))));
    }

    /// The stock app says "nobody" early, while the phone rings, and names somebody afterwards.
    #[test]
    fn a_call_ends_when_the_report_says_that_tells_how() {
        let list = rings(1, 1);
        let early = said(&list, &resp(None), 5).remove(0);
        let told = Reporting { report: &resp(Some("18712345670")), region: Region::CN, at: at(300), late: true, guesses: false };
        let answered = super::report(&list, told).remove(0);
        for both in [early.clone().and(answered.clone()), answered.and(early)] {
            let call = both.tells(OUT);
            assert_eq!((call.outcome, call.reported_at), (CallResult::Answered, Some(at(5))));
            assert_eq!(call.ended, Moment::default(), "the dial was closed by then: when the call was over nobody knows");
        }
    }

    fn measured() -> NativeCall {
        NativeCall {
            number: number(0),
            outcome: Some(CallOutcome::Answered),
            alerting_ms: Some(2_000),
            connected_ms: Some(5_000),
            ended_ms: Some(15_000),
            ..NativeCall::default()
        }
    }

    #[test]
    fn what_a_handset_counted_is_moved_onto_the_servers_clock() {
        let report = Report { calls: vec![measured()], ..resp(None) };
        let told = |heard: Heard| {
            let call = heard.tells(OUT);
            [call.dialled, call.alerting, call.connected, call.ended].map(seconds)
        };
        let in_time = said(&rings(1, 1), &report, 18).remove(0);
        assert_eq!(told(in_time), [3, 5, 8, 18].map(|s| (Some(s), HowKnown::Exact)));
        // Cut off for an hour, and nothing was heard meanwhile: it dialled at once.
        let late = said(&rings(1, 1), &report, 3600).remove(0);
        assert_eq!(told(late.clone()), [0, 2, 5, 15].map(|s| (Some(s), HowKnown::Said)));
        // What was heard before tells when it was.
        let heard = late.and(state(ProgressState::Dialling, 9)).and(state(ProgressState::Alerting, 10));
        assert_eq!(told(heard), [8, 10, 13, 23].map(|s| (Some(s), HowKnown::Exact)));
        // Nonsense is no time before the hand-out, and none after the report.
        let absurd = Report { calls: vec![NativeCall { ended_ms: Some(600_000), ..measured() }], ..resp(None) };
        assert_eq!(seconds(said(&rings(1, 1), &absurd, 20)[0].tells(OUT).ended), (Some(20), HowKnown::Exact));
    }

    #[test]
    fn a_handset_that_guesses_is_not_exact() {
        let report = Report { calls: vec![measured()], ..resp(None) };
        let told = Reporting { report: &report, region: Region::CN, at: at(18), late: false, guesses: true };
        let call = super::report(&rings(1, 1), told)[0].tells(OUT);
        assert_eq!((call.connected.known, call.alerting.known), (HowKnown::Said, HowKnown::Exact));
        assert_eq!(call.talk_seconds, Some(10));
    }

    fn instant() -> impl Strategy<Value = i64> {
        0..4_000_i64
    }

    fn any_ms() -> impl Strategy<Value = Option<u64>> {
        prop::option::of(0..200_000_u64)
    }

    fn any_progress() -> impl Strategy<Value = Heard> {
        let states = [ProgressState::Dialling, ProgressState::Alerting, ProgressState::Connected, ProgressState::Ended];
        let key = (select(vec!["1", "2", "#", "x"]), prop::option::of(select(vec!["accept", "decline", "dance"])), 0..3_u64);
        (prop::option::of(select(states.to_vec())), prop::option::of(key), instant()).prop_map(|(state, key, seconds)| {
            let event = key.map(|_| "key".to_owned());
            let (key, action, seq) = key.map_or((None, None, None), |(key, action, seq)| (Some(key), action, Some(seq)));
            let text = |text: Option<&str>| text.map(str::to_owned);
            progress(&Progress { state, event, key: text(key), action: text(action), seq, ..Progress::default() }, at(seconds))
        })
    }

    fn any_report() -> impl Strategy<Value = Heard> {
        let outcomes = vec![
            CallOutcome::Answered,
            CallOutcome::NoAnswer,
            CallOutcome::Busy,
            CallOutcome::Rejected,
            CallOutcome::Failed,
            CallOutcome::NotDialled,
        ];
        let call = (prop::option::of(select(outcomes)), any_ms(), any_ms(), any_ms(), "[12#]{0,3}", any::<bool>()).prop_map(
            |(outcome, alerting_ms, connected_ms, ended_ms, keys, declined)| NativeCall {
                number: number(0),
                outcome,
                alerting_ms,
                connected_ms,
                ended_ms,
                keys: Some(keys),
                declined,
                ..NativeCall::default()
            },
        );
        (prop::option::of(call), any::<bool>(), any::<bool>(), any::<bool>(), instant()).prop_map(
            |(call, named, late, guesses, seconds)| {
                let report = Report { calls: call.into_iter().collect(), ..resp(named.then_some("18712345670")) };
                let told = Reporting { report: &report, region: Region::CN, at: at(seconds), late, guesses };
                super::report(&rings(1, 1), told).remove(0)
            },
        )
    }

    fn any_word() -> impl Strategy<Value = Heard> {
        prop_oneof![3 => any_progress(), 2 => any_report()]
    }

    fn all(words: &[Heard]) -> Heard {
        words.iter().cloned().fold(Heard::default(), Heard::and)
    }

    proptest! {
        /// The same is known in the end, in whatever order words come, and however often.
        #[test]
        fn neither_order_nor_repetition_counts(
            words in prop::collection::vec(any_word(), 1..8),
            again in prop::collection::vec(any::<Index>(), 0..8),
            order in any::<u64>(),
        ) {
            let mut other: Vec<Heard> = words.clone();
            other.extend(again.iter().map(|index| index.get(&words).clone()));
            let length = other.len() as u64;
            for place in 0..other.len() {
                let with = usize::try_from((order.rotate_left(u32::try_from(place * 7).unwrap()) ^ place as u64) % length).unwrap();
                other.swap(place, with);
            }
            prop_assert_eq!(all(&words), all(&other));
            prop_assert_eq!(all(&words).tells(OUT), all(&other).tells(OUT));
        }

        /// How a call ended is not forgotten once it is known, and whoever picked up is never said not to have.
        #[test]
        fn what_is_known_stays_known(words in prop::collection::vec(any_word(), 1..8), more in any_word()) {
            let before = all(&words).tells(OUT);
            let after = all(&words).and(more).tells(OUT);
            prop_assert!(after.outcome != CallResult::Unknown || before.outcome == CallResult::Unknown);
            prop_assert!(after.outcome == CallResult::Answered || before.outcome != CallResult::Answered);
            prop_assert!(after.reported_at.is_some() || before.reported_at.is_none());
            prop_assert!(after.keys.is_some() || before.keys.is_none());
        }

        /// Times never run backwards, and nothing is before the hand-out.
        #[test]
        fn times_never_run_backwards(words in prop::collection::vec(any_word(), 1..8)) {
            let call = all(&words).tells(OUT);
            let mut before = OUT.at;
            for moment in [call.dialled, call.alerting, call.connected, call.ended] {
                prop_assert_eq!(moment.at.is_some(), moment.known != HowKnown::None);
                if let Some(at) = moment.at {
                    prop_assert!(at >= before, "{call:?}");
                    before = at;
                }
            }
            prop_assert!(call.talk_seconds.is_none_or(|seconds| seconds >= 0));
        }

        /// What is kept is read again as it was.
        #[test]
        fn what_was_heard_reads_back(words in prop::collection::vec(any_word(), 0..8)) {
            let heard = all(&words);
            prop_assert_eq!(serde_json::from_str::<Heard>(&serde_json::to_string(&heard).unwrap()).unwrap(), heard);
        }
    }
}
