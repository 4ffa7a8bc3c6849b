//! The bodies that go over HTTP between handset and server.
//!
//! The first part is the documented contract, where every key and its order counts. The second part is the native protocol, a superset:
//! unknown keys are ignored by both sides, and a key of the wrong kind is treated as absent, because a report that is refused is a lost answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::Value;
use thiserror::Error;

use crate::voice::{detector::Verdict, script::Script};

/// The reply when nothing is pending, as the app's document prints it.
pub const IDLE_BODY: &str = r#"{"code":1,"msg":"无告警"}"#;

/// The reply when nothing is pending, for an app that was restarted without its screen.
///
/// Measured on the app: in that state any `code` but 0 kills the process, while this reply is survived and later alarms still work.
pub const HEADLESS_IDLE_BODY: &str = r#"{"code":0,"mid":"idle","phone":[]}"#;

/// The reserved mid of [`HEADLESS_IDLE_BODY`].
pub const HEADLESS_IDLE_MID: &str = "idle";

/// The reply to a stored report.
pub const ACCEPTED_BODY: &str = r#"{"code":0}"#;

/// The reply to a progress message when the dial is no longer wanted: hang up if possible.
pub const UNWANTED_BODY: &str = r#"{"code":2}"#;

/// The header by which a handset announces the native protocol.
pub const PROTOCOL_HEADER: &str = "Autocall-Protocol";

/// The value of [`PROTOCOL_HEADER`] that is spoken here.
pub const PROTOCOL_VERSION: &str = "1";

/// The longest `wait`, in seconds, of a long poll.
pub const MAX_WAIT_SECONDS: u64 = 60;

/// `code` of a reply that holds an alarm, or accepts a report.
pub const CODE_ALARM: i64 = 0;

/// `code` of a reply that holds no alarm.
pub const CODE_IDLE: i64 = 1;

/// `code` of a reply that calls a running dial off.
pub const CODE_UNWANTED: i64 = 2;

/// A pending alarm, with exactly the documented keys in the documented order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Offer<'a> {
    phone: &'a [String],
    code: u8,
    mid: &'a str,
}

impl<'a> Offer<'a> {
    /// The numbers in dialling order, under one mid.
    #[must_use]
    pub fn new(phone: &'a [String], mid: &'a str) -> Self {
        Self { phone, code: 0, mid }
    }

    /// The body to send.
    #[must_use]
    pub fn to_body(&self) -> String {
        to_json(self)
    }
}

/// JSON text of a type made of strings, numbers and lists only, for which serialisation cannot fail.
pub(crate) fn to_json<T: Serialize>(value: &T) -> String {
    // The fallback keeps the handset alive: an empty body would kill the app.
    serde_json::to_string(value).unwrap_or_else(|_| IDLE_BODY.to_owned())
}

/// Reads a key that may be absent, null or of the wrong kind; the last two count as absent.
pub(crate) fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}

/// As [`lenient`], with the default value for what is absent.
pub(crate) fn lenient_or_default<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(lenient(deserializer)?.unwrap_or_default())
}

/// Reads a list and leaves out what cannot be read; anything but a list is an empty one.
pub(crate) fn lenient_list<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Array(items) => items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect(),
        _ => Vec::new(),
    })
}

/// Reads a map and leaves out the values that cannot be read; anything but a map is an empty one.
pub(crate) fn lenient_map<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Object(map) => {
            map.into_iter().filter_map(|(key, value)| Some((key, serde_json::from_value(value).ok()?))).collect()
        }
        _ => BTreeMap::new(),
    })
}

/// A string, or a number written out: senders disagree about phones and mids.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(as_text(&Value::deserialize(deserializer)?).unwrap_or_default())
}

pub(crate) fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(as_text(&Value::deserialize(deserializer)?))
}

/// Seconds as a non-negative whole number; fractions are cut, numbers in quotes are read.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(as_seconds(&Value::deserialize(deserializer)?))
}

fn as_seconds(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(whole)),
        Value::String(text) => text.trim().parse().ok().and_then(whole),
        _ => None,
    }
}

/// The whole part of a duration in seconds that is neither negative nor absurd (a century).
fn whole(seconds: f64) -> Option<u64> {
    if (0.0..=3.2e9).contains(&seconds) {
        std::time::Duration::try_from_secs_f64(seconds).ok().map(|d| d.as_secs())
    } else {
        None
    }
}

/// A pending alarm as a native handset gets it: [`Offer`] and what the call is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeOffer {
    /// The numbers in dialling order.
    #[serde(default, deserialize_with = "lenient_list")]
    pub phone: Vec<String>,
    /// 0.
    #[serde(default, deserialize_with = "lenient_or_default")]
    pub code: i64,
    /// The name of this hand-out.
    #[serde(default, deserialize_with = "text")]
    pub mid: String,
    /// Seconds left until the server gives the dial to somebody else.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub deadline: Option<u64>,
    /// What the call is about.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub alarm: Option<OfferedAlarm>,
    /// More about each number of `phone`.
    #[serde(default, deserialize_with = "lenient_list", skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<OfferedCall>,
    /// The handset is to ask for commands while its calls run, see [`crate::live`].
    #[serde(default, deserialize_with = "lenient_or_default", skip_serializing_if = "std::ops::Not::not")]
    pub live: bool,
}

impl NativeOffer {
    /// The body to send.
    #[must_use]
    pub fn to_body(&self) -> String {
        to_json(self)
    }

    /// How long `number` may ring, where the server said so.
    #[must_use]
    pub fn ring_seconds(&self, number: &str) -> Option<u64> {
        self.calls.iter().find(|call| call.number == number).and_then(|call| call.ring_seconds)
    }
}

/// What a call is about: enough to speak it, or to show it on the handset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedAlarm {
    /// The alarm's id on the server.
    #[serde(default, deserialize_with = "text")]
    pub id: String,
    /// One line about what happened.
    #[serde(default, deserialize_with = "text")]
    pub summary: String,
    /// How urgent it is, in the server's words.
    #[serde(default, deserialize_with = "text")]
    pub priority: String,
    /// Language tag of `text`.
    #[serde(default, deserialize_with = "text")]
    pub language: String,
    /// What to speak to the callee.
    #[serde(default, deserialize_with = "text")]
    pub text: String,
}

/// One number of an offer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedCall {
    /// As it stands in `phone`.
    #[serde(default, deserialize_with = "text")]
    pub number: String,
    /// Whose it is.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How long it may ring before the handset hangs up.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub ring_seconds: Option<u64>,
    /// What to say, and what the keys mean: for a handset that speaks.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub script: Option<Script>,
}

/// How a dial to one number ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// The line connected; a voicemail counts.
    Answered,
    /// It rang until the ring time was over.
    NoAnswer,
    /// The callee's line was busy.
    Busy,
    /// The callee declined the call.
    Rejected,
    /// The call never left the phone: no credit, no signal. The attempt is given back and another handset is preferred.
    Failed,
    /// Nobody tried, because an earlier number answered or the dial was called off.
    NotDialled,
}

impl CallOutcome {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::NoAnswer => "no_answer",
            Self::Busy => "busy",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::NotDialled => "not_dialled",
        }
    }

    /// True if the callee's phone may have rung, so that an attempt is used up.
    #[must_use]
    pub fn was_dialled(self) -> bool {
        !matches!(self, Self::Failed | Self::NotDialled)
    }
}

/// The optional body of a native report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeReport {
    /// What became of each number, in the order of the offer.
    #[serde(default, deserialize_with = "lenient_list")]
    pub calls: Vec<NativeCall>,
}

impl NativeReport {
    /// The first number that answered.
    #[must_use]
    pub fn answered(&self) -> Option<&NativeCall> {
        self.calls.iter().find(|call| call.outcome == Some(CallOutcome::Answered))
    }
}

/// What became of one number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeCall {
    /// As it was offered.
    #[serde(default, deserialize_with = "text")]
    pub number: String,
    /// How the dial ended; `None` for a word this version does not know.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub outcome: Option<CallOutcome>,
    /// When the dial began, by the handset's wall clock, as the handset writes it: for people to read, never to compute with.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// How long it rang.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub ring_seconds: Option<u64>,
    /// How long it was connected.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub talk_seconds: Option<u64>,
    /// True if a human pressed a key or spoke, false if the handset listened for that in vain, `None` if it cannot tell.
    #[serde(default, deserialize_with = "lenient")]
    pub confirmed: Option<bool>,
    /// True if the human said that somebody else should take it.
    #[serde(default, deserialize_with = "lenient_or_default")]
    pub declined: bool,
    /// Which kind of failure it was.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub detail: Option<FailureDetail>,
    /// The keys that were pressed, in order.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub keys: Option<String>,
    /// What the keys meant: `accept`, `decline`, `stop_calling`, or a later word.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Whether a machine seems to have answered: a guess.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub machine: Option<Verdict>,
    /// How much of the message was played, in milliseconds.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub heard_ms: Option<u64>,
    /// How often the message was played to its end.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub heard_times: Option<u64>,
    /// The network's words.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Who ended the call.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<EndedBy>,
    /// From the dial until the phone rang.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub alerting_ms: Option<u64>,
    /// From the dial until the line was connected.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub connected_ms: Option<u64>,
    /// From the dial until the end.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    /// What the callee said, where the script asked for it: uploaded after the report.
    #[serde(default, deserialize_with = "lenient_list", skip_serializing_if = "Vec::is_empty")]
    pub recordings: Vec<Recording>,
}

/// A recording that the handset keeps until the server has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// Under which it is uploaded.
    #[serde(default, deserialize_with = "text")]
    pub id: String,
    /// Its length.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// Its size as a file.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Of the file, in hexadecimal.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Which kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureDetail {
    /// There is no such number.
    BadNumber,
    /// The callee's phone is switched off or out of reach.
    Unreachable,
    /// The trunk does not accept who we are.
    Auth,
    /// The trunk does not work.
    Trunk,
    /// Sound could not be had, or not be exchanged.
    Media,
}

/// The network's words for how a dial ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The final response.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub sip: Option<u16>,
    /// The cause of the telephone network (ITU-T Q.850).
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub q850: Option<u8>,
    /// In words.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Who ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndedBy {
    /// The handset.
    Us,
    /// The callee.
    Callee,
    /// Something between.
    Network,
}

impl EndedBy {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Callee => "callee",
            Self::Network => "network",
        }
    }
}

/// How far a dial has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProgressState {
    /// The handset has asked the network for the call.
    Dialling,
    /// The callee's phone rings.
    Alerting,
    /// The line is connected.
    Connected,
    /// The call is over.
    Ended,
}

impl ProgressState {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dialling => "dialling",
            Self::Alerting => "alerting",
            Self::Connected => "connected",
            Self::Ended => "ended",
        }
    }
}

/// Body of a progress message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The number being dialled.
    #[serde(default, deserialize_with = "text")]
    pub number: String,
    /// How far it has got; `None` for a word this version does not know.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub state: Option<ProgressState>,
    /// What happened besides: `key`, or `state` of a menu.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The key that was pressed, for the event `key`.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What the key stands for in the script.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The state that was entered, for the event `state`.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Rises with each event of a dial. A server counts a key once by dial, callee and action, whatever this is.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

/// What a handset can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// End a call.
    Hangup,
    /// Set call forwarding.
    Forwarding,
    /// Hear keys pressed by the callee.
    Dtmf,
    /// Speak a text into the call.
    Tts,
    /// Send text messages.
    Sms,
    /// Take text messages in.
    SmsIn,
    /// Record what a callee says.
    Record,
    /// Join calls in a room.
    Conference,
    /// Take commands while a call runs.
    Live,
    /// Guess whether a machine answered.
    Machine,
    /// Tell of calls that come in, and take them.
    Inbound,
    /// Hold calls for others: they stay, and are commanded.
    Calls,
}

impl Capability {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hangup => "hangup",
            Self::Forwarding => "forwarding",
            Self::Dtmf => "dtmf",
            Self::Tts => "tts",
            Self::Sms => "sms",
            Self::SmsIn => "sms_in",
            Self::Record => "record",
            Self::Conference => "conference",
            Self::Live => "live",
            Self::Machine => "machine",
            Self::Inbound => "inbound",
            Self::Calls => "calls",
        }
    }
}

/// How a handset knows that somebody answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerDetection {
    /// From the network.
    Exact,
    /// From the network, which may say so while it rings.
    Early,
    /// From the length of the call in the phone's log.
    Duration,
    /// Not at all.
    None,
}

/// Whether the handset's line is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineState {
    /// No call.
    Idle,
    /// Some call, ours or not.
    Busy,
}

/// Body of a status message: what the handset says about itself. Every key may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Battery charge in per cent.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub battery: Option<u8>,
    /// True while it is being charged.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub charging: Option<bool>,
    /// The network it is registered in, or by which it reaches the server.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Strength of the radio signal.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub signal_dbm: Option<i32>,
    /// Android version; from 14 on, forwarding codes cannot be dialled, see [`crate::forwarding::ServiceCode::check_android`].
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub android: Option<String>,
    /// Name and version of the program on the handset.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Its SIM cards.
    #[serde(default, deserialize_with = "lenient_list", skip_serializing_if = "Vec::is_empty")]
    pub sims: Vec<Sim>,
    /// What it can do; unknown words are left out.
    #[serde(default, deserialize_with = "lenient_list", skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<Capability>,
    /// Whether its line is in use.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub line: Option<LineState>,
    /// How it knows that somebody answered.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub answer_detection: Option<AnswerDetection>,
    /// How many calls it can hold at once.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub channels: Option<u8>,
    /// The languages it can speak.
    #[serde(default, deserialize_with = "lenient_list", skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// By what it calls: `sip`, `modem`, `termux`.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// With Termux: `ok`, or `silent` where Android has put the app behind the commands to sleep.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub termux_api: Option<String>,
    /// What is left on the SIM, in the network's words.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub credit: Option<String>,
    /// With a modem: `ready`, `stuck`, or why it cannot be used.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub modem: Option<String>,
    /// Since when it has run, in seconds since 1970: whoever sees another value knows that it was started anew, or its modem was.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
}

/// One SIM card: an object with the keys below, or just its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sim {
    /// Which slot it sits in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<u8>,
    /// Operator name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Its own number, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
}

impl<'de> Deserialize<'de> for Sim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(Self {
            slot: value.get("slot").and_then(as_seconds).and_then(|slot| slot.try_into().ok()),
            operator: value.get("operator").or(Some(&value)).and_then(as_text),
            number: value.get("number").and_then(as_text),
        })
    }
}

/// A command for the phone, delivered until its result is posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxCommand {
    /// Under which the result is posted.
    pub id: String,
    /// What to do.
    #[serde(flatten)]
    pub kind: CommandKind,
}

/// What the phone is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CommandKind {
    /// Send a text message.
    Sms {
        /// To whom.
        number: String,
        /// What it says.
        text: String,
    },
    /// Set, cancel or query call forwarding by dialling a service code.
    Forward {
        /// The code as it is dialled, with raw `#`.
        code: String,
    },
    /// Ring a number, to prove that the handset can.
    TestCall {
        /// Whom.
        number: String,
        /// How long it may ring.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ring_seconds: Option<u64>,
    },
}

/// The reply to a poll of the outbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbox {
    /// 0 with commands, 1 without.
    #[serde(default, deserialize_with = "lenient_or_default")]
    pub code: i64,
    /// What is to be done, oldest first; kinds this version does not know are left out.
    #[serde(default, deserialize_with = "lenient_list")]
    pub commands: Vec<OutboxCommand>,
}

impl Outbox {
    /// An outbox that holds these commands, or none.
    #[must_use]
    pub fn new(commands: Vec<OutboxCommand>) -> Self {
        let code = if commands.is_empty() { CODE_IDLE } else { CODE_ALARM };
        Self { code, commands }
    }
}

/// A text message that the handset's phone received, as it passes it on. It is deleted from the SIM once the reply is
/// [`ACCEPTED_BODY`], and posted again until then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundText {
    /// What the handset calls it; the same each time it is posted.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Who sent it, as the phone has it.
    #[serde(default, deserialize_with = "text")]
    pub from: String,
    /// All its parts together.
    #[serde(default, deserialize_with = "text")]
    pub text: String,
    /// When the phone received it: ISO 8601, or seconds since 1970.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub received_at: Option<String>,
    /// Of how many parts it was put together.
    #[serde(default, deserialize_with = "seconds", skip_serializing_if = "Option::is_none")]
    pub parts: Option<u64>,
}

impl InboundText {
    /// Reads a body; `None` if it is not a JSON object, or names no sender.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        parse_object(body).filter(|text: &Self| !text.from.trim().is_empty())
    }

    /// The body to send.
    #[must_use]
    pub fn to_body(&self) -> String {
        to_json(self)
    }
}

/// What the network says became of a text message that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// All of it is on the phone.
    Delivered,
    /// It will not come: one part that is missing is enough.
    Failed,
}

/// What became of an [`OutboxCommand`]. A second one for the same command tells its [`Delivery`], which networks know only later.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxResult {
    /// True if it was carried out, as far as the handset can know.
    #[serde(default, deserialize_with = "lenient_or_default")]
    pub ok: bool,
    /// What the network or the phone said.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How a test call ended.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub call: Option<Box<NativeCall>>,
    /// What the network said when it was asked about a forwarding: the proof that it is set.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkForwarding>,
    /// Why the network could not be asked, or did not take it, in its own words: `cme 30`.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the network said became of a text message.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// When that was, by the network's clock: ISO 8601, or seconds since 1970.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub delivery_at: Option<String>,
}

/// What the network says about a forwarding, asked after it was set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkForwarding {
    /// Which calls: 0 all, 1 where busy, 2 where nobody answers, 3 where unreachable.
    #[serde(default, deserialize_with = "lenient_or_default")]
    pub reason: u8,
    /// Whether calls are forwarded.
    #[serde(default, deserialize_with = "lenient_or_default")]
    pub active: bool,
    /// To whom.
    #[serde(default, deserialize_with = "optional_text", skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Which kinds of call, as a sum: 1 voice, 2 data, 4 fax.
    #[serde(default, deserialize_with = "lenient_or_default")]
    pub class: u8,
}

/// Body without a byte order mark.
fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// Reads a JSON object; a list, which serde would take for a struct, is refused.
pub(crate) fn parse_object<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let value: Value = serde_json::from_slice(without_bom(body)).ok()?;
    if value.is_object() { serde_json::from_value(value).ok() } else { None }
}

/// Messages that are JSON objects, read and written as that.
macro_rules! json_objects {
    ($($message:ty),+ $(,)?) => {$(
        impl $message {
            /// Reads a body; `None` if it is not a JSON object.
            #[must_use]
            pub fn parse(body: &[u8]) -> Option<Self> {
                $crate::wire::parse_object(body)
            }

            /// The body to send.
            #[must_use]
            pub fn to_body(&self) -> String {
                $crate::wire::to_json(self)
            }
        }
    )+};
}
pub(crate) use json_objects;

// Of a report that is empty or cannot be read, the query alone tells what happened.
json_objects!(NativeReport, Progress, Status, Outbox, OutboxResult);

/// What a server said to a poll or a progress message, read as leniently as a careful handset should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PollReply {
    /// Ring these numbers.
    Offer(NativeOffer),
    /// Nothing to do: any `code` but 0 and 2, the headless-safe idle, or an alarm without numbers.
    Idle {
        /// The code as it was sent.
        code: i64,
        /// The words beside it.
        msg: Option<String>,
    },
    /// The dial is no longer wanted: hang up if possible.
    Unwanted,
}

/// Why a reply could not be used.
#[derive(Debug, Error)]
pub enum ReplyError {
    /// Not JSON.
    #[error("the reply is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// JSON, but not an object.
    #[error("the reply is JSON but not an object")]
    NotAnObject,
    /// `code` is missing, null, or not a number.
    #[error("the reply has no numeric code")]
    NoCode,
    /// `code` is 0, there are numbers, but they could never be reported.
    #[error("the reply holds an alarm without a mid")]
    NoMid,
}

impl PollReply {
    /// Reads a body. A byte order mark, numbers in quotes, numeric mids and numeric phones are accepted; surplus keys are ignored.
    ///
    /// # Errors
    ///
    /// Says why the handset should treat the reply like a failed request and ask again later.
    pub fn parse(body: &[u8]) -> Result<Self, ReplyError> {
        let value: Value = serde_json::from_slice(without_bom(body)).map_err(ReplyError::NotJson)?;
        let object = value.as_object().ok_or(ReplyError::NotAnObject)?;
        let code = match object.get("code") {
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) => text.trim().parse().ok(),
            _ => None,
        }
        .ok_or(ReplyError::NoCode)?;
        match code {
            CODE_ALARM => {}
            CODE_UNWANTED => return Ok(Self::Unwanted),
            _ => {
                return Ok(Self::Idle { code, msg: object.get("msg").and_then(as_text) });
            }
        }
        let phone: Vec<String> = match object.get("phone") {
            Some(Value::Array(phones)) => phones.iter().filter_map(as_text).filter(|phone| !phone.is_empty()).collect(),
            _ => Vec::new(),
        };
        if phone.is_empty() {
            return Ok(Self::Idle { code, msg: object.get("msg").and_then(as_text) });
        }
        let mut offer: NativeOffer = serde_json::from_value(value).map_err(ReplyError::NotJson)?;
        if offer.mid.is_empty() {
            return Err(ReplyError::NoMid);
        }
        offer.phone = phone;
        Ok(Self::Offer(offer))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;

    fn offer(body: &str) -> NativeOffer {
        match PollReply::parse(body.as_bytes()).unwrap() {
            PollReply::Offer(offer) => offer,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_documented_reply_byte_for_byte() {
        let phones = ["18712345678".to_owned(), "18812345678".to_owned()];
        assert_eq!(
            Offer::new(&phones, "60d536885fa2a8643fa4d3a0").to_body(),
            r#"{"phone":["18712345678","18812345678"],"code":0,"mid":"60d536885fa2a8643fa4d3a0"}"#
        );
    }

    #[test]
    fn the_fixed_bodies_are_json_objects_with_a_code() {
        for body in [IDLE_BODY, HEADLESS_IDLE_BODY, ACCEPTED_BODY, UNWANTED_BODY] {
            let value: Value = serde_json::from_str(body).unwrap();
            assert!(value["code"].is_i64(), "{body}");
        }
    }

    #[test]
    fn a_native_offer_begins_like_the_documented_one() {
        let full = NativeOffer {
            phone: vec!["187".into()],
            code: 0,
            mid: "m".into(),
            deadline: Some(180),
            alarm: Some(OfferedAlarm {
                id: "7".into(),
                summary: "disk".into(),
                priority: "high".into(),
                language: "en".into(),
                text: "disk full".into(),
            }),
            calls: vec![OfferedCall { number: "187".into(), name: Some("Li".into()), ring_seconds: Some(40), script: None }],
            live: false,
        };
        let body = full.to_body();
        assert!(body.starts_with(r#"{"phone":["187"],"code":0,"mid":"m","deadline":180,"alarm":{"id":"7","#), "{body}");
        assert_eq!(offer(&body), full);
        assert_eq!(full.ring_seconds("187"), Some(40));
        assert_eq!(full.ring_seconds("188"), None);
    }

    #[test]
    fn a_handset_reads_what_servers_really_send() {
        assert_eq!(
            offer("\u{feff} {\"code\":\"0\",\"mid\":17,\"phone\":[18712345678,null,\"\",\"188\"],\"new\":[]}").phone,
            ["18712345678", "188"]
        );
        assert_eq!(offer(r#"{"code":0,"mid":"m","phone":["1"],"deadline":"12.9","alarm":7,"calls":{"a":1}}"#).deadline, Some(12));
        assert!(matches!(PollReply::parse(IDLE_BODY.as_bytes()).unwrap(), PollReply::Idle { code: 1, msg: Some(_) }));
        assert!(matches!(PollReply::parse(HEADLESS_IDLE_BODY.as_bytes()).unwrap(), PollReply::Idle { code: 0, .. }));
        assert_eq!(PollReply::parse(UNWANTED_BODY.as_bytes()).unwrap(), PollReply::Unwanted);
        assert!(matches!(PollReply::parse(b""), Err(ReplyError::NotJson(_))));
        assert!(matches!(PollReply::parse(b"[]"), Err(ReplyError::NotAnObject)));
        assert!(matches!(PollReply::parse(b"null"), Err(ReplyError::NotAnObject)));
        assert!(matches!(PollReply::parse(br#"{"code":null}"#), Err(ReplyError::NoCode)));
        assert!(matches!(PollReply::parse(br#"{"code":0,"phone":["1"]}"#), Err(ReplyError::NoMid)));
    }

    #[test]
    fn one_bad_key_does_not_lose_a_report() {
        let report = NativeReport::parse(
            br#"{"calls":[7,{"number":18712345678,"outcome":"answered","started_at":1700000000,"ring_seconds":"12","talk_seconds":-4,"confirmed":"yes","declined":null,"x":1},
                {"number":"188","outcome":"eaten by a grue"}]}"#,
        )
        .unwrap();
        assert_eq!(report.calls.len(), 2);
        let answered = report.answered().unwrap();
        assert_eq!((answered.number.as_str(), answered.ring_seconds, answered.talk_seconds), ("18712345678", Some(12), None));
        assert_eq!((answered.confirmed, answered.declined), (None, false));
        assert_eq!(report.calls[1].outcome, None);
        assert_eq!(NativeReport::parse(b""), None);
        assert_eq!(NativeReport::parse(b"[]"), None);
        assert_eq!(NativeReport::parse(b"{}"), Some(NativeReport::default()));
    }

    #[test]
    fn status_keeps_what_it_understands() {
        let status = Status::parse(
            br#"{"battery":81,"charging":true,"network":"LTE","signal_dbm":-97,"android":13,"agent":"x/1","sims":["CMCC",{"slot":1,"operator":"CUCC"}],"capabilities":["hangup","levitation","sms"],"line":"busy"}"#,
        )
        .unwrap();
        assert_eq!(status.capabilities, [Capability::Hangup, Capability::Sms]);
        assert_eq!(status.android.as_deref(), Some("13"));
        assert_eq!(status.sims[0].operator.as_deref(), Some("CMCC"));
        assert_eq!((status.sims[1].slot, status.sims[1].operator.as_deref()), (Some(1), Some("CUCC")));
        assert_eq!(status.line, Some(LineState::Busy));
        assert_eq!(Status::parse(status.to_body().as_bytes()), Some(status));
    }

    #[test]
    fn commands_round_trip_and_unknown_kinds_are_left_out() {
        let outbox = Outbox::new(vec![
            OutboxCommand { id: "1".into(), kind: CommandKind::Sms { number: "187".into(), text: "hello".into() } },
            OutboxCommand { id: "2".into(), kind: CommandKind::Forward { code: "**21*187#".into() } },
            OutboxCommand { id: "3".into(), kind: CommandKind::TestCall { number: "188".into(), ring_seconds: None } },
        ]);
        assert!(outbox.to_body().contains(r#"{"id":"1","kind":"sms","number":"187","text":"hello"}"#), "{}", outbox.to_body());
        assert_eq!(Outbox::parse(outbox.to_body().as_bytes()).unwrap(), outbox);
        assert_eq!(Outbox::parse(br#"{"code":0,"commands":[{"id":"9","kind":"dance"}]}"#).unwrap().commands, []);
        assert_eq!(Outbox::new(Vec::new()).code, CODE_IDLE);
        assert_eq!(OutboxResult::parse(br#"{"ok":true,"detail":5}"#).unwrap().detail.as_deref(), Some("5"));
    }

    #[test]
    fn the_words_on_the_wire_are_the_words_of_serde() {
        use {CallOutcome as O, ProgressState as P};
        for outcome in [O::Answered, O::NoAnswer, O::Busy, O::Rejected, O::Failed, O::NotDialled] {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
        }
        for state in [P::Dialling, P::Alerting, P::Connected, P::Ended] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }

    /// Any JSON, mostly with the keys of this protocol.
    fn json() -> impl Strategy<Value = Value> {
        let key = prop_oneof![
            Just("code".to_owned()),
            Just("mid".to_owned()),
            Just("phone".to_owned()),
            Just("calls".to_owned()),
            Just("number".to_owned()),
            Just("outcome".to_owned()),
            Just("alarm".to_owned()),
            Just("ring_seconds".to_owned()),
            Just("kind".to_owned()),
            Just("id".to_owned()),
            Just("sims".to_owned()),
            ".{0,3}",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            (0_i64..3).prop_map(Value::from),
            "answered|sms|[0-9]{0,4}|.{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::hash_map(key.clone(), inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic(body: Vec<u8>) {
            let _ = PollReply::parse(&body);
            let _ = NativeReport::parse(&body);
            let _ = Progress::parse(&body);
            let _ = Status::parse(&body);
            let _ = Outbox::parse(&body);
            let _ = OutboxResult::parse(&body);
        }

        #[test]
        fn every_object_is_read_and_reads_back(value in json()) {
            let body = value.to_string().into_bytes();
            let _ = PollReply::parse(&body);
            prop_assert_eq!(NativeReport::parse(&body).is_some(), value.is_object());
            if let (Some(report), Some(status), Some(outbox)) = (NativeReport::parse(&body), Status::parse(&body), Outbox::parse(&body)) {
                prop_assert_eq!(NativeReport::parse(report.to_body().as_bytes()), Some(report));
                prop_assert_eq!(Status::parse(status.to_body().as_bytes()), Some(status));
                prop_assert_eq!(Outbox::parse(outbox.to_body().as_bytes()), Some(outbox));
            }
        }

        #[test]
        fn every_offer_is_read_by_the_handset(phones in proptest::collection::vec(r"\+?[0-9]{3,20}", 1..5), mid in "[0-9a-f]{24}") {
            let read = offer(&Offer::new(&phones, &mid).to_body());
            prop_assert_eq!(read.phone, phones);
            prop_assert_eq!(read.mid, mid);
        }
    }
}
