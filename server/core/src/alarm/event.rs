//! What happened: one line of the timeline of an alarm, as it is written down, read again, told and shown.
//!
//! Each kind is declared once, with its word and its fields. An event is kept as its word and the JSON of its fields; rows of years hold
//! them, and programs read them through the API, so what stands here is a contract: `fixtures/events` holds what each kind looks like. A
//! field that came later is optional, or has a default, or rows from before it could not be read.

use std::borrow::Cow;

use android_protocol::voice::detector::Verdict;
use android_protocol::wire::{CallOutcome, FailureDetail};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::doer::Doer;
use super::policy::Duty;
use super::{AnswerVia, DialOutcome, EndReason, HuntOutcome, Mode, Priority};
use crate::ids::{AlarmId, CalleeId, HandsetId, HuntId, RecordingId};

/// A field that not every event of its kind has, and that others have with null.
pub type Said<T> = Option<Option<T>>;

/// Reads a field that is there, be it null.
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(field: D) -> Result<Said<T>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// Makes of one list the events, their kinds, and their words.
macro_rules! events {
    ($(
        $(#[$doc:meta])*
        $kind:ident = $word:literal { $($(#[$about:meta])* $field:ident: $type:ty),* $(,)? }
    )+) => {
        /// A kind of event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventKind {
            $($(#[$doc])* $kind,)+
        }

        impl EventKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// The word by which it is kept and told.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $word,)+
                }
            }
        }

        /// Something that happened to an alarm, a hunt, or what is needed to ring people.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind", content = "body")]
        pub enum Event {
            $(
                $(#[$doc])*
                #[serde(rename = $word)]
                $kind { $($(#[$about])* $field: $type,)* },
            )+
            /// What this version does not know, or not in this form: a row of an older or a newer one.
            #[serde(skip)]
            Other {
                /// Its word.
                kind: String,
                /// Its fields.
                body: Value,
            },
        }

        impl Event {
            /// The word by which it is kept and told.
            #[must_use]
            pub fn kind(&self) -> &str {
                match self {
                    $(Self::$kind { .. } => $word,)+
                    Self::Other { kind, .. } => kind,
                }
            }
        }
    };
}

events! {
    /// The alarm came in.
    Raised = "raised" {
        /// Its number.
        number: i64,
        /// What its sender calls itself.
        #[serde(default)]
        source: String,
        /// How urgent it is.
        priority: Priority,
        /// Maintenance holds it until then: nobody is told of it now.
        held_until: Option<DateTime<Utc>>,
    }
    /// Its source sent it again.
    Repeated = "repeated" {
        /// How often that was, with this time.
        repeats: i64,
        /// What it says now.
        #[serde(default)]
        summary: String,
        /// The same at length, when it is worse or something in it is new.
        #[serde(skip_serializing_if = "Option::is_none")]
        details: Option<String>,
        /// How urgent it is now, likewise.
        #[serde(skip_serializing_if = "Option::is_none")]
        priority: Option<Priority>,
    }
    /// Something in it could not be taken as it was.
    Cleaned = "cleaned" {
        /// Fields that were cut.
        #[serde(default)]
        cut: Vec<String>,
        /// Fields out of which characters were taken.
        #[serde(default)]
        cleaned: Vec<String>,
    }
    /// Its source told of an earlier time than it had told of already: that changes nothing.
    Overtaken = "overtaken" {
        /// The address that told it.
        address: String,
        /// It told of an end.
        over: bool,
    }
    /// It came again soon after it was over.
    Flapping = "flapping" {
        /// How often that was, with this time.
        times: i64,
        /// What it says now.
        #[serde(default)]
        summary: String,
        /// The same at length.
        #[serde(default)]
        details: String,
    }
    /// Its source said that it is over.
    Resolved = "resolved" {
        /// It did not: it said nothing more after this, and had said until when its word holds.
        #[serde(skip_serializing_if = "Option::is_none")]
        no_word_since: Option<DateTime<Utc>>,
    }
    /// A person called it off.
    Cancelled = "cancelled" {
        /// Who, by their own word.
        by: Option<String>,
        /// Who it really was.
        done_by: Option<Doer>,
    }
    /// A human confirmed.
    Acknowledged = "acknowledged" {
        /// Their name.
        name: String,
        /// Their number.
        number: Option<String>,
        /// What they said beside.
        note: Option<String>,
        /// How word of it came.
        via: Option<AnswerVia>,
        /// Who it really was.
        done_by: Option<Doer>,
        /// It rings again then, unless it is over.
        rings_again_at: Option<DateTime<Utc>>,
        /// The alarms of the hunt that are meant, when others are in it.
        #[serde(skip_serializing_if = "Option::is_none")]
        alarms: Option<Vec<AlarmId>>,
    }
    /// A new hunt was begun for it, or its hunt was hurried.
    Redialled = "redialled" {
        /// Why.
        #[serde(default)]
        why: RingsAgain,
        /// Whoever took it did not take what is in it now.
        #[serde(skip_serializing_if = "Option::is_none")]
        news: Option<bool>,
        /// Maintenance holds it until then: nobody is told of it now.
        #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
        held_until: Said<DateTime<Utc>>,
        /// Who asked for it, by their own word.
        #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
        by: Said<String>,
        /// Who that really was.
        #[serde(skip_serializing_if = "Option::is_none")]
        done_by: Option<Doer>,
    }
    /// A dial was handed to a handset.
    HandedOut = "handed_out" {
        /// The dial.
        mid: String,
        /// The name of the handset; none in a dry run.
        handset: Option<String>,
        /// Whom it rings.
        callees: Vec<Rung>,
        /// The numbers as the handset dials them.
        phones: Vec<String>,
        /// When it is given up.
        deadline: DateTime<Utc>,
    }
    /// A handset named who picked up.
    Answered = "answered" {
        /// The dial.
        mid: String,
        /// Who picked up.
        name: String,
        /// Their number.
        number: Option<String>,
        /// What the handset said.
        resp: String,
        /// At which call to them, where that is known.
        attempt: Option<i32>,
        /// They pressed a key.
        #[serde(default)]
        confirmed: bool,
        /// They had said no meanwhile.
        #[serde(default)]
        declined: bool,
        /// They were asked for a key, and pressed none: that is no answer.
        #[serde(skip_serializing_if = "Option::is_none")]
        without_key: Option<bool>,
        /// What the handset takes them for.
        #[serde(skip_serializing_if = "Option::is_none")]
        machine: Option<Verdict>,
    }
    /// A handset reported that nobody did.
    Nobody = "nobody" {
        /// The dial.
        mid: String,
    }
    /// A dial's deadline passed without a report.
    Expired = "expired" {
        /// The dial.
        mid: String,
    }
    /// A dial is not needed any more.
    Superseded = "superseded" {
        /// The dial.
        mid: String,
        /// How it ended.
        outcome: DialOutcome,
    }
    /// A report of *nobody* came after the dial was closed.
    LateNobody = "late_nobody" {
        /// The dial.
        mid: String,
        /// How it had ended.
        dial_was: Option<DialOutcome>,
    }
    /// A report that named somebody came after the dial was closed, or counts for a later hunt.
    LateAnswer = "late_answer" {
        /// The dial.
        mid: Option<String>,
        /// Who picked up.
        name: String,
        /// Their number.
        number: Option<String>,
        /// What the handset said.
        #[serde(skip_serializing_if = "Option::is_none")]
        resp: Option<String>,
        /// At which call to them, where that is known.
        #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
        attempt: Said<i32>,
        /// They pressed a key.
        #[serde(skip_serializing_if = "Option::is_none")]
        confirmed: Option<bool>,
        /// They had said no meanwhile.
        #[serde(skip_serializing_if = "Option::is_none")]
        declined: Option<bool>,
        /// They were asked for a key, and pressed none: that is no answer.
        #[serde(skip_serializing_if = "Option::is_none")]
        without_key: Option<bool>,
        /// What the handset takes them for.
        #[serde(skip_serializing_if = "Option::is_none")]
        machine: Option<Verdict>,
        /// The call was one of this earlier hunt for the same alarms.
        #[serde(skip_serializing_if = "Option::is_none")]
        of_earlier_hunt: Option<HuntId>,
    }
    /// Somebody was not rung by a call that was for them; the attempt was given back.
    NotRung = "not_rung" {
        /// The dial.
        mid: String,
        /// Whom.
        callee: CalleeId,
        /// Why.
        outcome: CallOutcome,
        /// Which kind of failure it was, where the handset says so.
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<FailureDetail>,
    }
    /// The hunt is over.
    HuntEnded = "hunt_ended" {
        /// How.
        outcome: HuntOutcome,
        /// Why nobody was reached; not there when an answer came after the end.
        #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
        reason: Said<EndReason>,
    }
    /// A callee said no.
    Declined = "declined" {
        /// The dial, when they said it in a call.
        #[serde(skip_serializing_if = "Option::is_none")]
        mid: Option<String>,
        /// How word of it came, when they did not.
        #[serde(skip_serializing_if = "Option::is_none")]
        via: Option<AnswerVia>,
        /// Who.
        callee: CalleeId,
        /// Their name.
        #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
        name: Said<String>,
        /// Their number.
        number: String,
        /// Who it really was.
        done_by: Option<Doer>,
        /// The alarms of the hunt that are meant, when others are in it.
        #[serde(skip_serializing_if = "Option::is_none")]
        alarms: Option<Vec<AlarmId>>,
    }
    /// A step began.
    StepBegan = "step_began" {
        /// Nobody else could be rung: these are the configured fallback.
        #[serde(default)]
        last_resort: bool,
        /// Which step of the hunt, counted from 0.
        step: i32,
        /// Whom it rings.
        callees: Vec<Led>,
        /// One after the other, or all at once.
        mode: Mode,
        /// When the next one begins at the latest.
        ends_at: Option<DateTime<Utc>>,
        /// The name of the policy; none when the alarm itself names them.
        policy: Option<String>,
        /// Which step of the policy, counted from 1.
        place: Option<i32>,
        /// In which round, counted from 1.
        round: Option<i32>,
        /// What led to nobody.
        #[serde(default)]
        nowhere: Vec<String>,
    }
    /// A repeat named people whom the hunt did not ring: they are rung as well.
    RungAlso = "rung_also" {
        /// Whom.
        callees: Vec<Led>,
    }
    /// A step led to nobody who can be rung, and was passed.
    StepEmpty = "step_empty" {
        /// The name of the policy; none when the alarm itself names the step.
        #[serde(skip_serializing_if = "Option::is_none")]
        policy: Option<String>,
        /// Which step of the policy, counted from 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        place: Option<i32>,
        /// In which round, counted from 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        round: Option<i32>,
        /// Who is not rung because they had said no, were taken off, or must not be called.
        #[serde(skip_serializing_if = "Option::is_none")]
        left_out: Option<Vec<String>>,
        /// What led to nobody.
        #[serde(default)]
        nowhere: Vec<String>,
    }
    /// No step led to anybody.
    PolicyEmpty = "policy_empty" {
        /// The name of the policy; none when the alarm itself names the step.
        policy: Option<String>,
        /// How many numbers there are to fall back on.
        #[serde(default)]
        fallback: usize,
    }
    /// A person asked for the next step.
    Escalated = "escalated" {
        /// Who, by their own word.
        by: Option<String>,
        /// Who it really was.
        done_by: Option<Doer>,
    }
    /// A person gave the hunt another policy.
    PolicySet = "policy_set" {
        /// Its name.
        policy: String,
        /// Who, by their own word.
        by: Option<String>,
        /// Who it really was.
        done_by: Option<Doer>,
    }
    /// An answer was not confirmed in time.
    Lapsed = "lapsed" {
        /// Who had picked up.
        name: String,
        /// Their number.
        number: Option<String>,
        /// When they had.
        answered_at: DateTime<Utc>,
    }
    /// A person took a callee off the hunt.
    Skipped = "skipped" {
        /// Who, by their own word.
        by: Option<String>,
        /// Who it really was.
        done_by: Option<Doer>,
        /// Whom.
        callee: CalleeId,
        /// Their name.
        name: Option<String>,
        /// Their number.
        number: String,
        /// The alarms of the hunt that are meant, when others are in it.
        #[serde(skip_serializing_if = "Option::is_none")]
        alarms: Option<Vec<AlarmId>>,
    }
    /// A number must not be called.
    DoNotCall = "do_not_call" {
        /// Whose.
        callee: CalleeId,
        /// Their name.
        name: Option<String>,
        /// The number.
        number: String,
        /// Why, in the words of whoever forbade it.
        #[serde(default)]
        reason: String,
    }
    /// Somebody listened to what a callee said in a call.
    RecordingHeard = "recording_heard" {
        /// The dial.
        mid: String,
        /// Who had said it.
        callee: Option<CalleeId>,
        /// Their number.
        number: String,
        /// The recording.
        recording: RecordingId,
        /// Who it was.
        done_by: Option<Doer>,
    }
    /// Somebody had something done in a call that ran.
    CallCommanded = "call_commanded" {
        /// The dial.
        mid: String,
        /// Whom it rang.
        callee: Option<CalleeId>,
        /// Their name.
        name: Option<String>,
        /// Their number.
        number: String,
        /// What, in the word of our own protocol: `drop`, `play`, `stop`, `send_dtmf`.
        order: String,
        /// What was to be said, or which keys to be sent.
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// Who, by their own word.
        by: Option<String>,
        /// Who it really was.
        done_by: Option<Doer>,
    }
    /// Somebody who had been rung called back.
    CalledBack = "called_back" {
        /// The name of that call.
        mid: String,
        /// As which callee they had been rung.
        callee: CalleeId,
        /// Their name.
        name: Option<String>,
        /// Their number, as the network says.
        number: String,
        /// The name of the handset that took it.
        handset: String,
    }
    /// Somebody who is rung was told of it by text message: a gateway has taken that.
    Texted = "texted" {
        /// As which callee they are rung.
        callee: CalleeId,
        /// Their name.
        name: Option<String>,
        /// The number that the message went to.
        number: String,
        /// The name of the gateway.
        gateway: String,
        /// By which a reply names the alarm.
        code: String,
        /// The alarms of the hunt that the message was about.
        alarms: Vec<AlarmId>,
    }
    /// A text message about it was not sent.
    NotTexted = "not_texted" {
        /// As which callee they are rung.
        callee: CalleeId,
        /// Their name.
        name: Option<String>,
        /// The number that it was for.
        number: String,
        /// Why.
        why: String,
        /// It is tried again.
        again: bool,
        /// The alarms of the hunt that the message was about.
        alarms: Vec<AlarmId>,
    }
    /// Somebody wants to be rung no more.
    OptedOut = "opted_out" {
        /// Their name.
        name: String,
        /// Their number.
        number: String,
    }
    /// A person put it off.
    Snoozed = "snoozed" {
        /// Until when.
        until: DateTime<Utc>,
        /// Who, by their own word.
        by: Option<String>,
        /// Who it really was.
        done_by: Option<Doer>,
    }
    /// Everybody has quiet hours.
    Quiet = "quiet" {
        /// Until when.
        until: DateTime<Utc>,
    }
    /// It joined a hunt for the same people that was under way.
    Joined = "joined" {
        /// How many alarms fire in it now.
        alarms: i64,
    }
    /// Somebody spoke of other alarms that shared the hunt: ringing goes on for this one.
    Parted = "parted" {
        /// Who.
        name: Option<String>,
        /// The alarms that are rung on.
        alarms: Vec<AlarmId>,
    }
    /// A person wrote something down.
    Noted = "noted" {
        /// What.
        text: String,
        /// Who, by their own word.
        by: Option<String>,
        /// Who it really was.
        done_by: Option<Doer>,
    }
    /// A person says that nothing was wrong.
    MarkedFalse = "marked_false" {
        /// Why.
        reason: String,
        /// Who, by their own word.
        by: Option<String>,
        /// Who it really was.
        done_by: Option<Doer>,
    }
    /// A person takes that back.
    NotFalse = "not_false" {
        /// Who, by their own word.
        by: Option<String>,
        /// Who it really was.
        done_by: Option<Doer>,
    }
    /// Somebody who had picked up said no: the hunt goes on.
    Reopened = "reopened" {
        /// Their name.
        name: Option<String>,
        /// Their number.
        number: String,
    }
    /// Somebody who had it gave it back: others are rung.
    GivenBack = "given_back" {
        /// Who had it.
        name: String,
        /// Their number.
        number: Option<String>,
        /// Who gave it back, by their own word, where that is said beside.
        by: Option<String>,
        /// Who it really was.
        done_by: Option<Doer>,
    }
    /// Maintenance: nobody is rung for now.
    Held = "held" {
        /// Until when.
        until: DateTime<Utc>,
        /// Why, in the words of whoever announced it.
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    }
    /// The maintenance is over, and the alarm is not.
    Released = "released" {}
    /// A handset has been silent for too long.
    HandsetOffline = "handset_offline" {
        /// Its name.
        handset: String,
        /// Which one.
        handset_id: HandsetId,
    }
    /// A handset did not return after a dial.
    HandsetStuck = "handset_stuck" {
        /// Its name.
        handset: String,
        /// Which one.
        handset_id: HandsetId,
    }
    /// A handset polls again.
    HandsetBack = "handset_back" {
        /// Its name.
        handset: String,
        /// Which one.
        handset_id: HandsetId,
    }
    /// Two phones use one token.
    HandsetShared = "handset_shared" {
        /// The name of the handset.
        handset: String,
        /// Which one.
        handset_id: HandsetId,
    }
    /// A handset cannot be used, and nobody can be rung about it.
    HandsetFallback = "handset_fallback" {
        /// Its name.
        handset: String,
        /// Which one.
        handset_id: HandsetId,
        /// How many others there are.
        others_alive: usize,
    }
    /// A public number could not be handed over.
    HandOverTrouble = "hand_over_trouble" {
        /// Its name.
        line: String,
        /// To whom.
        person: String,
        /// Why, in one word of ours.
        reason: String,
        /// What somebody else has said of it, in their words.
        detail: Option<String>,
        /// Why, as a sentence.
        why: String,
    }
    /// A gateway for text messages does not say any more that it lives.
    GatewaySilent = "gateway_silent" {
        /// Its name.
        gateway: String,
        /// When it said so last.
        since: DateTime<Utc>,
    }
    /// It does again.
    GatewayBack = "gateway_back" {
        /// Its name.
        gateway: String,
    }
    /// A calendar that is kept elsewhere has changed its schedule.
    CalendarFollowed = "calendar_followed" {
        /// The name of the schedule.
        schedule: String,
        /// The layer that follows it.
        layer: String,
        /// Who changed it: the calendar.
        by: String,
        /// Shifts that came.
        added: usize,
        /// Shifts that went.
        removed: usize,
    }
    /// It cannot be read.
    CalendarTrouble = "calendar_trouble" {
        /// The name of the schedule.
        schedule: String,
        /// Since when.
        since: DateTime<Utc>,
        /// Where it is, without what is secret.
        address: String,
        /// Why, in one word of ours.
        reason: String,
        /// What belongs into the sentence for it.
        detail: String,
    }
    /// It can again.
    CalendarBack = "calendar_back" {
        /// The name of the schedule.
        schedule: String,
    }
    /// Backups that the server makes by itself fail again and again.
    BackupTrouble = "backup_trouble" {
        /// Since when.
        since: DateTime<Utc>,
        /// Why the last one did.
        why: String,
    }
    /// They succeed again.
    BackupBack = "backup_back" {}
}

/// Somebody whom a dial rings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    /// Who.
    pub callee: CalleeId,
    /// Their name.
    pub name: Option<String>,
    /// Their number.
    pub number: String,
    /// Which call to them it is, counted from 1.
    pub attempt: Option<i32>,
}

/// Somebody to whom a step leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Led {
    /// Their name.
    pub name: Option<String>,
    /// Their number.
    pub number: String,
    /// Why they are on duty; none when the step names them.
    pub duty: Option<Duty>,
}

/// Why people are rung again for an alarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RingsAgain {
    /// A person asked for it.
    #[default]
    Asked,
    /// It joined its last hunt too late for what was said or done in it.
    JoinedLater,
    /// It was acknowledged or put off for a time, and is not over.
    NotResolved,
    /// It came again, and nobody had answered.
    Repeated,
    /// It is more urgent than it was.
    Worse,
    /// There is something in it that nobody has taken.
    #[serde(rename = "new_alert")]
    News,
    /// It was over, and is not.
    Flapping,
    /// The maintenance that held it is over.
    Released,
    /// Whoever had it gave it back.
    GivenBack,
}

impl Event {
    /// Reads what was written down. Whatever it is, it is kept: what this version does not know is [`Event::Other`].
    #[must_use]
    pub fn read(kind: &str, body: &Value) -> Self {
        let other = || Self::Other { kind: kind.to_owned(), body: body.clone() };
        serde_json::from_value(json!({ "kind": kind, "body": body })).unwrap_or_else(|_| other())
    }

    /// Its fields, as they are written down.
    ///
    /// # Errors
    /// Never in fact: every field has a form in JSON.
    pub fn body(&self) -> serde_json::Result<Value> {
        match self {
            Self::Other { body, .. } => Ok(body.clone()),
            known => Ok(serde_json::to_value(known)?["body"].take()),
        }
    }

    /// The alarms of its hunt that it concerns, when it names them; else it concerns all.
    #[must_use]
    pub fn concerns(&self) -> Option<Cow<'_, [AlarmId]>> {
        match self {
            Self::Acknowledged { alarms, .. } | Self::Declined { alarms, .. } | Self::Skipped { alarms, .. } => {
                alarms.as_deref().map(Cow::Borrowed)
            }
            Self::Parted { alarms, .. } | Self::Texted { alarms, .. } | Self::NotTexted { alarms, .. } => {
                Some(Cow::Borrowed(alarms))
            }
            Self::Other { body, .. } => serde_json::from_value(body["alarms"].clone()).ok().map(Cow::Owned),
            _ => None,
        }
    }

    /// Who really did it, where somebody did.
    #[must_use]
    pub fn done_by(&self) -> Option<&Doer> {
        match self {
            Self::Cancelled { done_by, .. }
            | Self::Acknowledged { done_by, .. }
            | Self::Redialled { done_by, .. }
            | Self::Declined { done_by, .. }
            | Self::Escalated { done_by, .. }
            | Self::PolicySet { done_by, .. }
            | Self::Skipped { done_by, .. }
            | Self::Snoozed { done_by, .. }
            | Self::GivenBack { done_by, .. }
            | Self::RecordingHeard { done_by, .. }
            | Self::CallCommanded { done_by, .. }
            | Self::MarkedFalse { done_by, .. }
            | Self::NotFalse { done_by, .. }
            | Self::Noted { done_by, .. } => done_by.as_ref(),
            _ => None,
        }
    }

    /// How word of it came, where that was written down.
    #[must_use]
    pub fn via(&self) -> Option<AnswerVia> {
        match self {
            Self::Acknowledged { via, .. } | Self::Declined { via, .. } => *via,
            _ => None,
        }
    }

    /// The dial that it is about.
    #[must_use]
    pub fn mid(&self) -> Option<&str> {
        match self {
            Self::HandedOut { mid, .. }
            | Self::Answered { mid, .. }
            | Self::Nobody { mid }
            | Self::Expired { mid }
            | Self::Superseded { mid, .. }
            | Self::LateNobody { mid, .. }
            | Self::NotRung { mid, .. }
            | Self::CallCommanded { mid, .. }
            | Self::CalledBack { mid, .. }
            | Self::RecordingHeard { mid, .. } => Some(mid),
            Self::LateAnswer { mid, .. } | Self::Declined { mid, .. } => mid.as_deref(),
            Self::Other { body, .. } => body["mid"].as_str(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use std::collections::BTreeSet;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    /// What each kind looks like, as the contract suite has seen it written down.
    fn written() -> Vec<(String, Value)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/events");
        let mut all = Vec::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let text = text
                .replace("\"(id)\"", "\"01a1fc4e-a630-77e4-8b85-425a1123605f\"")
                .replace("\"(time)\"", "\"2026-11-20T03:04:05Z\"");
            let told: Value = serde_json::from_str(&text).unwrap();
            for (kind, bodies) in told["events"].as_object().unwrap() {
                all.extend(bodies.as_array().unwrap().iter().map(|body| (kind.clone(), body.clone())));
            }
        }
        all
    }

    fn is_known(event: &Event) -> bool {
        !matches!(event, Event::Other { .. })
    }

    #[test]
    fn what_is_written_is_read_and_written_again_as_it_was() {
        let all = written();
        for (kind, body) in &all {
            let event = Event::read(kind, body);
            assert!(is_known(&event), "{kind}: {body}");
            assert_eq!((event.kind(), event.body().unwrap().to_string()), (kind.as_str(), body.to_string()));
        }
        let seen: BTreeSet<&str> = all.iter().map(|(kind, _)| kind.as_str()).collect();
        let missing: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.as_str()).filter(|kind| !seen.contains(kind)).collect();
        assert!(missing.is_empty(), "the contract suite tells nothing of {missing:?}");
    }

    #[test]
    fn rows_from_before_a_field_was_there_are_read() {
        let old = [
            ("cancelled", json!({ "by": "Lin" })),
            ("acknowledged", json!({ "name": "Lin", "via": "sms" })),
            ("redialled", json!({})),
            ("answered", json!({ "mid": "0", "name": "Lin", "number": null, "resp": "1", "attempt": 1 })),
            ("hunt_ended", json!({ "outcome": "no_answer", "reason": "no_handset" })),
            (
                "handed_out",
                json!({ "mid": "0", "handset": null, "callees": [], "phones": [], "deadline": "2026-11-20T03:00:00Z" }),
            ),
        ];
        for (kind, body) in old {
            assert!(is_known(&Event::read(kind, &body)), "{kind}: {body}");
        }
    }

    #[test]
    fn what_concerns_some_alarms_says_which() {
        let id = AlarmId(uuid::Uuid::from_u128(7));
        let declined = json!({ "callee": id, "number": "1", "alarms": [id] });
        assert_eq!(Event::read("declined", &declined).concerns().as_deref(), Some(&[id][..]));
        assert_eq!(Event::read("joined", &json!({ "alarms": 3 })).concerns(), None);
        assert_eq!(Event::read("from tomorrow", &json!({ "alarms": [id] })).concerns().as_deref(), Some(&[id][..]));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = || {
            prop_oneof![
                Just(Value::Null),
                any::<bool>().prop_map(Value::from),
                any::<i64>().prop_map(Value::from),
                ".{0,12}".prop_map(Value::from),
            ]
        };
        prop_oneof![
            leaf(),
            prop::collection::vec(leaf(), 0..4).prop_map(Value::from),
            // Keys that no field has: an object that happens to be a callee's would be read as one.
            prop::collection::hash_map("[A-Z]{1,3}", leaf(), 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    }

    fn without_nulls(mut body: Value) -> Value {
        if let Some(fields) = body.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        body
    }

    proptest! {
        /// A word of another version, with whatever fields, survives.
        #[test]
        fn unknown_kinds_survive(kind in "[a-z_ ]{0,20}", body in any_json()) {
            prop_assume!(!EventKind::ALL.iter().any(|known| known.as_str() == kind));
            let event = Event::read(&kind, &body);
            prop_assert_eq!((event.kind(), event.body().unwrap()), (kind.as_str(), body));
        }

        /// Whatever stands in a field: it is read as it stands, or survives unread.
        #[test]
        fn every_kind_round_trips(at in any::<prop::sample::Index>(), field in any::<prop::sample::Index>(), value in any_json()) {
            let all = written();
            let (kind, mut body) = at.get(&all).clone();
            let keys: Vec<String> = body.as_object().unwrap().keys().cloned().collect();
            if !keys.is_empty() {
                body[field.get(&keys).as_str()] = value;
            }
            let event = Event::read(&kind, &body);
            prop_assert_eq!(event.kind(), kind.as_str());
            let again = event.body().unwrap();
            // A field that may be left out and says null is left out.
            prop_assert_eq!(without_nulls(again), without_nulls(body));
        }
    }
}
