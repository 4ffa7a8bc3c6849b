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
use crate::needs::Words;
use crate::store::alarm::hunts::WantedAt;
use crate::store::watch::handsets::Voice;
use crate::store::{Announcement, Generation, Remembered, Store, StoreError};

/// What was read longer ago than this is not used: the periodic re-read must have failed.
const TRUSTED_FOR: Duration = Duration::from_secs(5);
/// So many handsets at most are woken at once; each hand-out is announced, and wakes the next.
const MOST_AT_ONCE: i64 = 64;

/// A hunt that wants a key is left to handsets that speak for so long.
const VOICES_FIRST: TimeDelta = TimeDelta::seconds(20);
/// A handset that speaks, and has not been heard of for so long, is not waited for.
const VOICE_LIVES: TimeDelta = TimeDelta::seconds(90);

/// Who asks, as far as it depends on that whether there is something to do.
#[derive(Clone, Debug)]
pub struct Poller {
    /// Which handset.
    pub handset: HandsetId,
    /// On which of its channels.
    pub channel: i32,
    /// It asks whoever picks up for a key.
    pub speaks: bool,
    /// What it can do.
    pub can: Words,
}

impl Poller {
    /// When the first of these hunts wants it. What needs more than it can do never does, and what wants a key is left to handsets that
    /// speak for so long.
    #[must_use]
    pub fn wanted_at(&self, hunts: &[WantedAt], key_waits: TimeDelta) -> Option<DateTime<Utc>> {
        let may = hunts.iter().filter(|hunt| self.can.cover(&hunt.needs));
        may.map(|hunt| if hunt.wants_key { hunt.due_at + key_waits } else { hunt.due_at }).min()
    }
}

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
pub struct IdleMemory {
    of_all: Generation<Memory>,
    /// What changes only for handsets that speak.
    of_shouts: Generation<Shouts>,
}

/// How often shouts have changed; nothing else is remembered of them.
#[derive(Debug)]
struct Shouts;

impl Remembered for Shouts {
    fn concerns(announcement: &Announcement) -> bool {
        matches!(announcement, Announcement::Shouts | Announcement::Missed)
    }

    fn forget(&mut self) {}
}

#[derive(Debug, Default)]
struct Memory {
    known: Option<LatestRead>,
    /// The open mids as they were read last, however long ago: for when the database is away.
    open_mids: HashMap<(HandsetId, i32), String>,
}

/// What was read: what is due for whom.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// When hunts that any handset may take want one: the earliest of them, in order.
    due: Vec<DateTime<Utc>>,
    /// The earliest of those that want the same of a handset.
    earliest: Vec<WantedAt>,
    /// Handsets that speak and have a free channel; read only where a hunt wants a key.
    voices: Vec<Voice>,
    due_for: Vec<(HandsetId, DateTime<Utc>)>,
    /// The channels with an open dial, and its mid.
    open_mids: HashMap<(HandsetId, i32), String>,
    with_commands: Vec<HandsetId>,
}

impl Facts {
    /// What there is to do now: calls to make, and commands to carry out.
    #[must_use]
    pub(in crate::engine) fn due(&self, now: DateTime<Utc>) -> (Due, Due) {
        let for_one = self.due_for.iter().filter(|(_, due)| *due <= now).map(|(handset, _)| handset);
        let needing = self.needing().filter(|hunt| hunt.due_at <= now);
        let calls = Due {
            for_anyone: self.due.iter().filter(|due| **due <= now).count(),
            for_able: needing.map(|hunt| hunt.needs.clone()).collect(),
            for_one: for_one.copied().collect(),
            // One with an open dial is told of it again.
            for_channel: self.open_mids.keys().copied().collect(),
        };
        (calls, Due { for_one: self.with_commands.iter().copied().collect(), ..Due::default() })
    }

    /// When the next call becomes due by the mere passing of time.
    #[must_use]
    pub(in crate::engine) fn next_due_after(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let due = self.due.iter().copied().chain(self.due_for.iter().map(|(_, due)| *due));
        due.chain(self.needing().map(|hunt| hunt.due_at)).filter(|due| *due > now).min()
    }

    /// Of hunts that not every handset may take, the earliest of each kind.
    fn needing(&self) -> impl Iterator<Item = &WantedAt> {
        self.earliest.iter().filter(|hunt| !hunt.needs.is_empty())
    }
}

#[derive(Debug)]
struct LatestRead {
    read_at: Instant,
    /// How often shouts had changed by then.
    shouts: u64,
    earliest: Vec<WantedAt>,
    voices: Vec<Voice>,
    /// The same for hunts that are for one handset alone: a test call must not send all the others to the database.
    next_due_for: HashMap<HandsetId, DateTime<Utc>>,
    /// The open mid of each channel that has one.
    open_mids: HashMap<(HandsetId, i32), String>,
}

impl IdleMemory {
    /// A memory that knows nothing and hears these announcements.
    #[must_use]
    pub fn new(announcements: Receiver<Announcement>) -> Self {
        let of_shouts = Generation::new(announcements.resubscribe(), Shouts);
        Self { of_all: Generation::new(announcements, Memory::default()), of_shouts }
    }

    /// True when there certainly is nothing for this handset on this channel: no open dial, and no hunt that wants it.
    #[must_use]
    pub fn knows_idle(&self, poller: &Poller, presence: &Presence, now: DateTime<Utc>) -> bool {
        let shouts = self.of_shouts.now().generation();
        let memory = self.of_all.now();
        memory.known.as_ref().is_some_and(|known| {
            // Every shout needs a voice.
            let may_shout = known.shouts != shouts && poller.can.cover(&Words::read("tts"));
            let key_waits = voices_first(poller, &known.voices, presence, now);
            let alone = known.next_due_for.get(&poller.handset).copied();
            let due = poller.wanted_at(&known.earliest, key_waits).into_iter().chain(alone).min();
            let holds = known.open_mids.contains_key(&(poller.handset, poller.channel));
            known.read_at.elapsed() <= TRUSTED_FOR && due.is_none_or(|due| due > now) && !holds && !may_shout
        })
    }

    /// Forgets everything: the next poll asks the database.
    pub fn forget(&self) {
        self.of_all.now().forget();
    }

    /// Reads everything again. When the database fails, the memory is left to grow too old.
    pub async fn refresh(&self, store: &Store) {
        self.look(store, false).await;
    }

    /// The same, and gives what was read: also when something has changed meanwhile, and it must be read once more.
    pub(in crate::engine) async fn look(&self, store: &Store, with_commands: bool) -> Option<Facts> {
        let generation = self.of_all.now().generation();
        let shouts = self.of_shouts.now().generation();
        let read_at = Instant::now();
        match read(store, with_commands).await {
            Ok(facts) => {
                let mut memory = self.of_all.now();
                memory.open_mids.clone_from(&facts.open_mids);
                // What changed while it was read may be missing in it.
                if memory.generation() == generation {
                    memory.known = Some(LatestRead {
                        read_at,
                        shouts,
                        earliest: facts.earliest.clone(),
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

    /// The open mid on a channel of a handset as it was known last, however long ago that is.
    #[must_use]
    pub fn open_mid(&self, handset: HandsetId, channel: i32) -> Option<String> {
        self.of_all.now().open_mids.get(&(handset, channel)).cloned()
    }

    /// Whether any handset may hold an open dial; true when that is not known.
    #[must_use]
    pub fn may_hold_dials(&self) -> bool {
        let memory = self.of_all.now();
        memory.known.as_ref().is_none_or(|known| known.read_at.elapsed() > TRUSTED_FOR || !known.open_mids.is_empty())
    }
}

impl Remembered for Memory {
    fn concerns(announcement: &Announcement) -> bool {
        !matches!(
            announcement,
            Announcement::Shouts | Announcement::Calls | Announcement::Live | Announcement::People | Announcement::Keys
        )
    }

    fn forget(&mut self) {
        self.known = None;
    }
}

/// For how long after it is due a hunt that wants a key is left to other handsets, which speak: while one of them lives and has nothing to do.
pub(in crate::engine) fn voices_first(poller: &Poller, voices: &[Voice], presence: &Presence, now: DateTime<Utc>) -> TimeDelta {
    let lives =
        |voice: &Voice| presence.last_asked(voice.id).max(voice.last_seen_at).is_some_and(|asked| now - asked < VOICE_LIVES);
    let rests = |voice: &Voice| voice.avoid_until.is_some_and(|until| until > now);
    let some = voices.iter().any(|voice| voice.id != poller.handset && lives(voice) && !rests(voice));
    if !poller.speaks && some { VOICES_FIRST } else { TimeDelta::zero() }
}

async fn read(store: &Store, with_commands: bool) -> Result<Facts, StoreError> {
    let mut reader = store.read().await?;
    let mut db = reader.db();
    let with_commands = if with_commands { db.handsets_with_commands().await? } else { Vec::new() };
    if !db.is_any_call_open().await? {
        return Ok(Facts { with_commands, ..Facts::default() });
    }
    let earliest = db.earliest_due().await?;
    let some_want_key = earliest.iter().any(|hunt| hunt.wants_key);
    Ok(Facts {
        voices: if some_want_key { db.free_voices().await? } else { Vec::new() },
        due: db.due_times(MOST_AT_ONCE).await?,
        earliest,
        due_for: db.earliest_due_for_one().await?,
        open_mids: db.open_mids().await?,
        with_commands,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use uuid::Uuid;

    use super::*;
    use crate::engine::watch::presence::PollSource;

    #[test]
    fn a_handset_that_speaks_is_alive_wherever_it_asks() {
        let (phone, speaks) = (HandsetId(Uuid::from_u128(1)), HandsetId(Uuid::from_u128(2)));
        let poller = Poller { handset: phone, channel: 0, speaks: false, can: Words::default() };
        let now = "2026-11-29T03:00:00Z".parse::<DateTime<Utc>>().unwrap();
        let ago = |seconds| Some(now - TimeDelta::seconds(seconds));
        let presence = Presence::default();
        let waits = |presence: &Presence, seen, rests| {
            let voice = Voice {
                id: speaks,
                last_seen_at: seen,
                avoid_until: rests,
                free: 1,
                in_calls: 0,
                records: false,
                bulk: false,
                holds_calls: false,
                confers: false,
            };
            voices_first(&poller, &[voice], presence, now)
        };
        assert_eq!(waits(&presence, ago(5), None), VOICES_FIRST, "another node has heard it");
        assert_eq!(waits(&presence, ago(200), None), TimeDelta::zero());
        assert_eq!(waits(&presence, ago(5), Some(now + TimeDelta::seconds(1))), TimeDelta::zero(), "it rests");
        // It was here an hour ago, and asks the other node since.
        let source = PollSource { address: "127.0.0.1".parse().unwrap(), model: "", user_agent: "" };
        presence.polled(speaks, &source, None, now - TimeDelta::hours(1));
        presence.asks(speaks, now - TimeDelta::hours(1));
        assert_eq!(waits(&presence, ago(5), None), VOICES_FIRST, "it asks another node now");
        presence.asks(speaks, now);
        assert_eq!(waits(&presence, None, None), VOICES_FIRST, "it asks here, which is not written down yet");
    }
}
