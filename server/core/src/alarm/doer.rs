//! Who really does something, whatever name a request says.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::AnswerVia;

/// Who really did something: what let them in. It stands in the event as `done_by`, beside the name that was said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Doer {
    /// A user of the pages.
    User {
        /// The name they log in with.
        name: String,
    },
    /// The holder of an API key.
    Key {
        /// The key's name.
        name: String,
    },
    /// Whoever sends without a key from an open network.
    OpenNetwork {
        /// From where.
        address: IpAddr,
    },
    /// A handset, which reports what a callee pressed.
    Handset {
        /// Its name.
        name: String,
    },
    /// Whoever has a callee's own link.
    Link,
    /// A text message from a callee's number.
    TextMessage,
    /// Whoever may use the command line.
    CommandLine,
    /// The server itself.
    #[default]
    Server,
}

impl Doer {
    /// What an answer of theirs is kept as having come by.
    #[must_use]
    pub fn via(&self) -> AnswerVia {
        match self {
            Self::User { .. } => AnswerVia::Page,
            Self::Link => AnswerVia::Link,
            Self::TextMessage => AnswerVia::Sms,
            Self::Handset { .. } => AnswerVia::Handset,
            Self::CommandLine => AnswerVia::CommandLine,
            Self::Key { .. } | Self::OpenNetwork { .. } | Self::Server => AnswerVia::Api,
        }
    }
}

/// Who does something: the name that is said, and who it really is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// As whom they do it, by their own word.
    pub name: Option<String>,
    /// What let them in.
    pub doer: Doer,
}

impl Actor {
    /// Somebody who says no name.
    #[must_use]
    pub fn nameless(doer: Doer) -> Self {
        Self { name: None, doer }
    }
}
