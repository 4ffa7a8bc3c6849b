//! What a node knows without asking the database: that there is nothing to do for a handset.
//!
//! Handsets ask every ten seconds and the answer is nearly always "nothing". The memory is read again every second and after each change
//! that this node or another one announces, and forgotten until then; so "nothing" is never said on what is older than that. It only
//! ever says *nothing*: dials are always read from the database.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::broadcast::Receiver;

use super::presence::Presence;
use super::waiting::Due;
use crate::ids::HandsetId;
use crate::store::alarm::hunts::EarliestDue;
use crate::store::watch::handsets::VoiceRow;
use crate::store::{Announcement, Generation, Remembered, Store, StoreError};

/// What was read longer ago than this is not used: the periodic re-read must have failed.
const TRUSTED_FOR: Duration = Duration::from_secs(5);
/// So many handsets at most are woken at once; each hand-out is announced, and wakes the next.
const MOST_AT_ONCE: i64 = 64;

/// A hunt that wants a key is left to handsets that speak for so long.
const VOICES_FIRST: TimeDelta = TimeDelta::seconds(20);
/// A handset that speaks, and has not been heard of for so long, is not waited for.
const VOICE_LIVES: TimeDelta = TimeDelta::seconds(90);

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
pub struct IdleMemory(Generation<Memory>);

#[derive(Debug, Default)]
struct Memory {
    known: Option<LatestRead>,
    /// The open mids as they were read last, however long ago: for when the database is away.
    open_mids: HashMap<HandsetId, String>,
}

/// What was read: what is due for whom.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When hunts that any handset may take want one: the earliest of them, in order.
    due: Vec<DateTime<Utc>>,
    /// The earliest of them that want no key, and that do.
    earliest: EarliestDue,
    /// Handsets that speak and have nothing to do; read only where a hunt wants a key.
    voices: Vec<VoiceRow>,
    due_for: Vec<(HandsetId, DateTime<Utc>)>,
    /// Those with an open dial, and its mid.
    open_mids: HashMap<HandsetId, String>,
    with_commands: Vec<HandsetId>,
}

impl Facts {
    /// What there is to do now: calls to make, and commands to carry out.
    #[must_use]
    pub(in crate::engine) fn due(&self, now: DateTime<Utc>) -> (Due, Due) {
        let for_one = self.due_for.iter().filter(|(_, due)| *due <= now).map(|(handset, _)| handset);
        let calls = Due {
            for_anyone: self.due.iter().filter(|due| **due <= now).count(),
            // One with an open dial is told of it again.
            for_one: for_one.chain(self.open_mids.keys()).copied().collect(),
        };
        (calls, Due { for_anyone: 0, for_one: self.with_commands.iter().copied().collect() })
    }

    /// When the next call becomes due by the mere passing of time.
    #[must_use]
    pub(in crate::engine) fn next_due_after(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.due.iter().chain(self.due_for.iter().map(|(_, due)| due)).copied().filter(|due| *due > now).min()
    }
}

#[derive(Debug)]
struct LatestRead {
    read_at: Instant,
    earliest: EarliestDue,
    voices: Vec<VoiceRow>,
    /// The same for hunts that are for one handset alone: a test call must not send all the others to the database.
    next_due_for: HashMap<HandsetId, DateTime<Utc>>,
    /// The open mid of each handset that has one.
    open_mids: HashMap<HandsetId, String>,
}

impl IdleMemory {
    /// A memory that knows nothing and hears these announcements.
    #[must_use]
    pub fn new(announcements: Receiver<Announcement>) -> Self {
        Self(Generation::new(announcements, Memory::default()))
    }

    /// True when there certainly is nothing for this handset: no open dial, and no hunt that wants one.
    #[must_use]
    pub fn knows_idle(&self, handset: HandsetId, speaks: bool, presence: &Presence, now: DateTime<Utc>) -> bool {
        let memory = self.0.now();
        memory.known.as_ref().is_some_and(|known| {
            let key = known.earliest.key.map(|due| due + voices_first(speaks, &known.voices, presence, now));
            let due = [known.earliest.any, key, known.next_due_for.get(&handset).copied()].into_iter().flatten().min();
            known.read_at.elapsed() <= TRUSTED_FOR && due.is_none_or(|due| due > now) && !known.open_mids.contains_key(&handset)
        })
    }

    /// Forgets everything: the next poll asks the database.
    pub fn forget(&self) {
        self.0.now().forget();
    }

    /// Reads everything again. When the database fails, the memory is left to grow too old.
    pub async fn refresh(&self, store: &Store) {
        self.look(store, false).await;
    }

    /// The same, and gives what was read: also when something has changed meanwhile, and it must be read once more.
    pub(in crate::engine) async fn look(&self, store: &Store, with_commands: bool) -> Option<Facts> {
        let generation = self.0.now().generation();
        let read_at = Instant::now();
        match read(store, with_commands).await {
            Ok(facts) => {
                let mut memory = self.0.now();
                memory.open_mids.clone_from(&facts.open_mids);
                // What changed while it was read may be missing in it.
                if memory.generation() == generation {
                    memory.known = Some(LatestRead {
                        read_at,
                        earliest: facts.earliest,
                        voices: facts.voices.clone(),
                        next_due_for: facts.due_for.iter().copied().collect(),
                        open_mids: facts.open_mids.clone(),
                    });
                }
                Some(facts)
            }
            Err(error) => {
                tracing::debug!(%error, "what is due could not be read again");
                None
            }
        }
    }

    /// The open mid of a handset as it was known last, however long ago that is.
    #[must_use]
    pub fn open_mid(&self, handset: HandsetId) -> Option<String> {
        self.0.now().open_mids.get(&handset).cloned()
    }

    /// Whether any handset may hold an open dial; true when that is not known.
    #[must_use]
    pub fn may_hold_dials(&self) -> bool {
        let memory = self.0.now();
        memory.known.as_ref().is_none_or(|known| known.read_at.elapsed() > TRUSTED_FOR || !known.open_mids.is_empty())
    }
}

impl Remembered for Memory {
    fn concerns(announcement: &Announcement) -> bool {
        !matches!(announcement, Announcement::Calls | Announcement::People | Announcement::Keys)
    }

    fn forget(&mut self) {
        self.known = None;
    }
}

/// For how long after it is due a hunt that wants a key is left to handsets that speak: while one of them lives and has nothing to do.
pub(in crate::engine) fn voices_first(speaks: bool, voices: &[VoiceRow], presence: &Presence, now: DateTime<Utc>) -> TimeDelta {
    let lives =
        |voice: &VoiceRow| voice.last_seen_at.max(presence.last_seen(voice.id)).is_some_and(|seen| now - seen < VOICE_LIVES);
    let rests = |voice: &VoiceRow| voice.avoid_until.is_some_and(|until| until > now);
    let some = voices.iter().any(|voice| lives(voice) && !rests(voice));
    if !speaks && some { VOICES_FIRST } else { TimeDelta::zero() }
}

async fn read(store: &Store, with_commands: bool) -> Result<Facts, StoreError> {
    let mut reader = store.read().await?;
    let mut db = reader.db();
    let due = db.due_times(MOST_AT_ONCE).await?;
    let more = due.last().map(|(due, _)| *due).filter(|_| i64::try_from(due.len()).is_ok_and(|read| read == MOST_AT_ONCE));
    let of = |key: bool| due.iter().find(|(_, wants_key)| *wants_key == key).map(|(due, _)| *due).or(more);
    let earliest = EarliestDue { any: of(false), key: of(true) };
    Ok(Facts {
        voices: if earliest.key.is_some() { db.free_voices().await? } else { Vec::new() },
        due: due.into_iter().map(|(due, _)| due).collect(),
        earliest,
        due_for: db.earliest_due_for_one().await?,
        open_mids: db.open_mids().await?.into_iter().collect(),
        with_commands: if with_commands { db.handsets_with_commands().await? } else { Vec::new() },
    })
}
