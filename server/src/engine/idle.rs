//! What a node knows without asking the database: that there is nothing to do for a handset.
//!
//! Handsets ask every ten seconds and the answer is nearly always "nothing". The memory is read again every second, and forgotten
//! whenever this node or another one announces a change; so "nothing" is never said on what is older than that. It only ever
//! says *nothing*: dials are always read from the database.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use crate::ids::HandsetId;
use crate::store::{Announcement, Store, StoreError};

/// What was read longer ago than this is not used: the periodic re-read must have failed.
const TRUSTED_FOR: Duration = Duration::from_secs(5);

/// Why a handset gets nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdleReason {
    /// No hunt wants a handset, says the database.
    NothingDue,
    /// The same, known without asking.
    KnownIdle,
    /// Its line may still be ringing from its latest dial.
    HeldBack,
    /// Its dial passed the deadline and is about to be closed.
    PastDeadline {
        /// That dial.
        mid: String,
    },
    /// Its dial is open, but its app seems to have been started again while the line rings, and would dial into its own call.
    Withheld {
        /// That dial.
        mid: String,
    },
}

/// What the node knows.
#[derive(Debug)]
pub struct IdleMemory(Mutex<Memory>);

#[derive(Debug)]
struct Memory {
    announcements: Receiver<Announcement>,
    generation: u64,
    known: Option<Known>,
    /// The open mids as they were read last, however long ago: for when the database is away.
    open_mids: HashMap<HandsetId, String>,
}

#[derive(Debug)]
struct Known {
    read_at: Instant,
    next_due: Option<DateTime<Utc>>,
    /// The same for hunts that are for one handset alone: a test call must not send all the others to the database.
    next_due_for: HashMap<HandsetId, DateTime<Utc>>,
    /// The open mid of each handset that has one.
    open_mids: HashMap<HandsetId, String>,
}

impl IdleMemory {
    /// A memory that knows nothing and hears these announcements.
    #[must_use]
    pub fn new(announcements: Receiver<Announcement>) -> Self {
        Self(Mutex::new(Memory { announcements, generation: 0, known: None, open_mids: HashMap::new() }))
    }

    /// True when there certainly is nothing for this handset: no open dial, and no hunt that wants one.
    #[must_use]
    pub fn knows_idle(&self, handset: HandsetId, now: DateTime<Utc>) -> bool {
        let mut memory = self.memory();
        memory.hear();
        memory.known.as_ref().is_some_and(|known| {
            let due = [known.next_due, known.next_due_for.get(&handset).copied()].into_iter().flatten().min();
            known.read_at.elapsed() <= TRUSTED_FOR && due.is_none_or(|due| due > now) && !known.open_mids.contains_key(&handset)
        })
    }

    /// Forgets everything: the next poll asks the database.
    pub fn forget(&self) {
        self.memory().forget();
    }

    /// Reads everything again. When the database fails, the memory is left to grow too old.
    pub async fn refresh(&self, store: &Store) {
        let generation = {
            let mut memory = self.memory();
            memory.hear();
            memory.generation
        };
        match read(store).await {
            Ok(known) => {
                let mut memory = self.memory();
                memory.open_mids.clone_from(&known.open_mids);
                // What changed while it was read may be missing in it.
                if memory.generation == generation {
                    memory.known = Some(known);
                }
            }
            Err(error) => tracing::debug!(%error, "what is due could not be read again"),
        }
    }

    /// The open mid of a handset as it was known last, however long ago that is.
    #[must_use]
    pub fn open_mid(&self, handset: HandsetId) -> Option<String> {
        self.memory().open_mids.get(&handset).cloned()
    }

    /// Whether any handset may hold an open dial; true when that is not known.
    #[must_use]
    pub fn may_hold_dials(&self) -> bool {
        let mut memory = self.memory();
        memory.hear();
        memory.known.as_ref().is_none_or(|known| known.read_at.elapsed() > TRUSTED_FOR || !known.open_mids.is_empty())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn hear(&mut self) {
        loop {
            match self.announcements.try_recv() {
                Ok(Announcement::People | Announcement::Keys) => {}
                Ok(_) | Err(TryRecvError::Lagged(_)) => self.forget(),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn forget(&mut self) {
        self.generation += 1;
        self.known = None;
    }
}

async fn read(store: &Store) -> Result<Known, StoreError> {
    let read_at = Instant::now();
    let mut reader = store.read().await?;
    let next_due = reader.db().earliest_due().await?;
    let next_due_for = reader.db().earliest_due_for_one().await?.into_iter().collect();
    let open_mids = reader.db().open_mids().await?.into_iter().collect();
    Ok(Known { read_at, next_due, next_due_for, open_mids })
}
