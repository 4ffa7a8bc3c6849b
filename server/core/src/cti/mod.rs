//! The call RPC: what applications may ask of calls and conferences, what they are told, and the state machines between.
//!
//! The way of a request: [`envelope::read`] takes it apart, [`request::Construct::read`] or [`request::Method::read`] says what is asked,
//! a resource answers ([`Resource::request`]), and [`reply`] writes the answer. Whatever a handset says goes to [`Resource::heard`], and time
//! to [`Resource::tick`]. Each returns [`effect::Effect`]s, to be carried out in their order and stored with the resource in one transaction.
//! An [`effect::Effect::Tell`] is for another resource: load it, call [`Resource::heard`] with [`effect::Heard::Told`], and go on with what
//! that returns. A resource that is not there (any more) is told nothing.

pub mod call;
pub mod cdr;
pub mod conf;
pub mod content;
pub mod duo;
pub mod effect;
pub mod envelope;
pub mod notify;
#[cfg(test)]
mod properties;
pub mod reply;
pub mod request;
#[cfg(test)]
mod scenes;
mod spoken;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::alarm::words;
use effect::{Around, Effect, Heard, View};
use reply::Refusal;
use request::Method;

/// The named arguments of a request, or of an event.
pub type Params = Map<String, Value>;

/// Which of the two dated forms of the RPC somebody speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Dialect {
    /// The one of the document: what is created is told as a text, and requests do not say who asks.
    A,
    /// The later one: what is created is told as an object, and requests begin with who asks.
    #[default]
    B,
}

/// What stands before the names of methods and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Prefix {
    /// `ivr.`
    Ivr,
    /// `sys.`
    Sys,
    /// Nothing.
    None,
}

impl Prefix {
    /// What the arrays of a dialect imply, which name no method when they create.
    #[must_use]
    pub fn of(dialect: Dialect) -> Self {
        match dialect {
            Dialect::A => Self::Ivr,
            Dialect::B => Self::Sys,
        }
    }

    /// Takes the prefix off a method's name.
    #[must_use]
    pub fn strip(method: &str) -> (Self, &str) {
        if let Some(rest) = method.strip_prefix("ivr.") {
            (Self::Ivr, rest)
        } else if let Some(rest) = method.strip_prefix("sys.") {
            (Self::Sys, rest)
        } else {
            (Self::None, method)
        }
    }

    /// As it is written before a name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ivr => "ivr.",
            Self::Sys => "sys.",
            Self::None => "",
        }
    }
}

/// What can be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Flow {
    /// A call: `sys/call`.
    Call,
    /// A conference: `sys/conf`.
    Conf,
    /// A call that says something and ends: `ext/notify_call`.
    NotifyCall,
    /// Two calls that are connected: `ext/duo_callback`.
    DuoCallback,
}

words! {
    Flow { Call = "call", Conf = "conf", NotifyCall = "ext.notify_call", DuoCallback = "ext.duo_callback" }
}

impl Flow {
    /// The flow of a project, as the addresses name them.
    #[must_use]
    pub fn of(project: &str, flow: &str) -> Option<Self> {
        match (project, flow) {
            ("sys", "call") => Some(Self::Call),
            ("sys", "conf") => Some(Self::Conf),
            ("ext", "notify_call") => Some(Self::NotifyCall),
            ("ext", "duo_callback") => Some(Self::DuoCallback),
            _ => None,
        }
    }

    /// Its project and its name there.
    #[must_use]
    pub fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Call => ("sys", "call"),
            Self::Conf => ("sys", "conf"),
            Self::NotifyCall => ("ext", "notify_call"),
            Self::DuoCallback => ("ext", "duo_callback"),
        }
    }
}

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum State {
    /// Nobody has picked up, and nothing is known of the other phone.
    Initiated,
    /// The other phone rings.
    Ring,
    /// It came in, and is being answered.
    Answer,
    /// It is connected, and nothing is done in it.
    Idle,
    /// Something is played.
    Play,
    /// It is recorded.
    Record,
    /// Keys are sent.
    SendDtmf,
    /// Keys are collected.
    ReceiveDtmf,
    /// Another call is made for it.
    Dial,
    /// It is connected with another call.
    Connect,
    /// It is over.
    Released,
}

words! {
    State {
        Initiated = "Initiated", Ring = "Ring", Answer = "Answer", Idle = "Idle", Play = "Play", Record = "Record",
        SendDtmf = "SendDtmf", ReceiveDtmf = "ReceiveDtmf", Dial = "Dial", Connect = "Connect", Released = "Released",
    }
}

/// How whoever created a resource speaks: its events are told in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Creator {
    /// The dialect.
    pub dialect: Dialect,
    /// What stood before the method.
    pub prefix: Prefix,
}

impl Creator {
    /// The whole name of an event: `sys.call.on_released`.
    #[must_use]
    pub fn event_name(self, flow: Flow, event: &str) -> String {
        let prefix = match flow {
            Flow::Call | Flow::Conf => self.prefix.as_str(),
            Flow::NotifyCall | Flow::DuoCallback => "",
        };
        format!("{prefix}{}.{event}", flow.as_str())
    }

    /// Whether events carry the creator's own words about the resource.
    #[must_use]
    pub fn tells_user_data(self) -> bool {
        self.dialect == Dialect::B
    }
}

/// What a resource has from its first moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Birth {
    /// Its id, which is opaque to everybody.
    pub res_id: String,
    /// How whoever created it speaks; for a call that came in, the one who is told of it.
    pub creator: Creator,
    /// Told as `ipsc_info.process_id`: which process has it. Opaque too.
    pub process_id: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// Any resource, as it is stored: one JSON text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Resource {
    /// A call.
    Call(Box<call::Call>),
    /// A conference.
    Conf(Box<conf::Conf>),
    /// An announcement.
    Notify(Box<notify::Notify>),
    /// Two calls that are connected.
    Duo(Box<duo::Duo>),
}

impl Resource {
    /// Which kind it is.
    #[must_use]
    pub fn flow(&self) -> Flow {
        match self {
            Self::Call(_) => Flow::Call,
            Self::Conf(_) => Flow::Conf,
            Self::Notify(_) => Flow::NotifyCall,
            Self::Duo(_) => Flow::DuoCallback,
        }
    }

    /// What it has from its first moment.
    #[must_use]
    pub fn birth(&self) -> &Birth {
        match self {
            Self::Call(call) => call.birth(),
            Self::Conf(conf) => conf.birth(),
            Self::Notify(notify) => notify.birth(),
            Self::Duo(duo) => duo.birth(),
        }
    }

    /// Carries out a request. `around` holds the other resource that it names ([`Method::other`]).
    pub fn request(&mut self, method: &Method, around: &Around, now: DateTime<Utc>) -> Result<(Value, Vec<Effect>), Refusal> {
        match self {
            Self::Call(call) => call.request(method, around, now),
            Self::Conf(conf) => conf.request(method, around, now),
            Self::Notify(notify) => notify.request(method, around),
            Self::Duo(duo) => duo.request(method, around, now),
        }
    }

    /// Takes in what was heard; late, twice or out of order it changes nothing.
    pub fn heard(&mut self, heard: &Heard, now: DateTime<Utc>) -> Vec<Effect> {
        match self {
            Self::Call(call) => call.heard(heard, now),
            Self::Conf(conf) => conf.heard(heard, now),
            Self::Notify(notify) => notify.heard(heard, now),
            Self::Duo(duo) => duo.heard(heard, now),
        }
    }

    /// Does what is due; before [`Self::due`] nothing is.
    pub fn tick(&mut self, now: DateTime<Utc>) -> Vec<Effect> {
        match self {
            Self::Call(call) => call.tick(now),
            Self::Conf(conf) => conf.tick(now),
            Self::Notify(notify) => notify.tick(now),
            Self::Duo(duo) => duo.tick(now),
        }
    }

    /// When something is due next.
    #[must_use]
    pub fn due(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Call(call) => call.due(),
            Self::Conf(conf) => conf.due(),
            Self::Notify(notify) => notify.due(),
            Self::Duo(duo) => duo.due(),
        }
    }

    /// It is over: its last event has been told, and none will follow.
    #[must_use]
    pub fn is_released(&self) -> bool {
        match self {
            Self::Call(call) => call.is_released(),
            Self::Conf(conf) => conf.is_released(),
            Self::Notify(notify) => notify.is_released(),
            Self::Duo(duo) => duo.is_released(),
        }
    }

    /// What a request to another resource has to know of it.
    #[must_use]
    pub fn view(&self) -> View {
        match self {
            Self::Call(call) => call.view(),
            Self::Conf(conf) => conf.view(),
            Self::Notify(_) | Self::Duo(_) => View::Other { released: self.is_released() },
        }
    }
}
