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

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::OwnedMutexGuard;

use crate::cti::Creator;
use crate::ids::KeyId;

/// Which process has a resource, as clients of dialect B are told: there is one of us.
const PROCESS: &str = "0";
/// What a hunt of a call needs of a handset that can do all that may be asked.
const HOLDS_CALLS: &str = "calls";
/// The same of one in a conference.
const CONFERS: &str = "calls,conference";

/// Whose turn it is among those who ask something of what a key has, on this node.
#[derive(Debug, Default)]
pub(in crate::engine) struct Turns(Mutex<HashMap<KeyId, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits for a turn.
    async fn of(&self, key: KeyId) -> OwnedMutexGuard<()> {
        let turn = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Keys come and go: those that nobody waits for are made again.
            all.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(all.entry(key).or_default())
        };
        turn.lock_owned().await
    }
}

/// How the creator of a resource speaks, and where its events go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spoken {
    /// How.
    pub creator: Creator,
    /// The connection on which it was made; `None`: a request that had its answer.
    pub socket: Option<String>,
}
