//! Calls and conferences that programs command: what is asked of them, what is heard of them, and what follows.
//!
//! What may be asked in which state and what is told then is decided in [`crate::cti`]. A call is an alarm of its own kind with one hunt, so that
//! it is handed out as any other; a conference is only here. Whoever changes what is of a key locks that key first and hunts after it. What is
//! heard of a call by whoever has locked its hunt is kept, and told to it by whoever locks its key next, at once as a rule ([`running`]).

pub mod asking;
pub mod files;
pub mod handing_out;
pub mod hearing;
pub mod incoming;
pub mod listening;
mod making;
mod running;

use serde::{Deserialize, Serialize};

use crate::cti::Creator;

/// Which process has a resource, as clients of dialect B are told: there is one of us.
const PROCESS: &str = "0";
/// What a hunt of a call needs of a handset that can do all that may be asked.
const HOLDS_CALLS: &str = "calls";
/// The same of one in a conference.
const CONFERS: &str = "calls,conference";

/// How the creator of a resource speaks, and where its events go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spoken {
    /// How.
    pub creator: Creator,
    /// The connection on which it was made; `None`: a request that had its answer.
    pub socket: Option<String>,
}
