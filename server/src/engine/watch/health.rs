//! Whether this node can do its work, and what is wrong if not: the same for the probe, the sign of life and the page.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use crate::engine::Engine;
use crate::ids::InstallationId;
use crate::store::backup::state::BackupState;
use crate::store::dialect::Dialect;
use crate::store::{Cause, Waiting};

/// Something is written at least so often, to see that it can be.
const PROVE_EVERY: TimeDelta = TimeDelta::seconds(30);
/// After something was given up it is looked at sooner whether anything can be stored.
const PROVE_SOONER: TimeDelta = TimeDelta::seconds(5);
/// Nothing was written for so long although it was to be.
const LONG_UNWRITTEN: Duration = Duration::from_secs(90);
/// The periodic work has not come to its end for so long.
const TICK_LATE: Duration = Duration::from_secs(30);
/// Nobody has looked for so long at what is to be told or sent.
const OUTBOX_LATE: Duration = Duration::from_mins(1);
/// Something is due for so long, and nobody has tried it.
const OUTBOX_STUCK: Duration = Duration::from_mins(5);
/// Longest that reading may take.
const READ_WITHIN: Duration = Duration::from_secs(4);

/// What keeps this node from doing its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The database cannot be reached or does not answer.
    DatabaseAway,
    /// The database can be read and not written.
    ReadOnly,
    /// The disk of the database is full.
    DiskFull,
    /// The database that answers was the primary before another one was promoted.
    OldPrimary,
    /// The tables are of a later version, and work for this one no more.
    Outgrown,
    /// The database refuses to store anything, for another reason.
    Refused,
    /// The periodic work stands still.
    TickStands,
    /// Notices are due, and nobody tells them.
    NoticesStand,
    /// Text messages are due, and nobody sends them.
    MessagesStand,
}

impl Wrong {
    /// The word for programs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::DatabaseAway => "database_away",
            Self::ReadOnly => "database_read_only",
            Self::DiskFull => "disk_full",
            Self::OldPrimary => "database_old_primary",
            Self::Outgrown => "program_too_old",
            Self::Refused => "database_refuses",
            Self::TickStands => "tick_stands",
            Self::NoticesStand => "notices_stand",
            Self::MessagesStand => "messages_stand",
        }
    }

    /// A few words for people who read a log or a probe.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::DatabaseAway => "database away",
            Self::ReadOnly => "the database can only be read",
            Self::DiskFull => "the disk of the database is full",
            Self::OldPrimary => "the database that answers is an old primary",
            Self::Outgrown => "the tables are of a later version that this program does not know",
            Self::Refused => "the database stores nothing",
            Self::TickStands => "the periodic work stands still",
            Self::NoticesStand => "notices are due and not told",
            Self::MessagesStand => "text messages are due and not sent",
        }
    }

    /// Alarms are refused.
    #[must_use]
    pub fn is_of_database(self) -> bool {
        matches!(self, Self::DatabaseAway | Self::ReadOnly | Self::DiskFull | Self::OldPrimary | Self::Outgrown | Self::Refused)
    }
}

impl From<Cause> for Wrong {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Away => Self::DatabaseAway,
            Cause::ReadOnly => Self::ReadOnly,
            Cause::Full => Self::DiskFull,
            Cause::OldPrimary => Self::OldPrimary,
            Cause::Outgrown => Self::Outgrown,
            Cause::Refused => Self::Refused,
        }
    }
}

/// What an outbox was like when it was last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxFacts {
    /// How long ago somebody looked.
    pub looked: Duration,
    /// For how long the oldest has been due that nobody has tried.
    pub untried: Duration,
}

/// What is known of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Why the database could not be read just now.
    pub unread: Option<Cause>,
    /// Why the last attempt to write failed; `None` when it succeeded.
    pub unwritten: Option<Cause>,
    /// How long ago something was written.
    pub wrote: Duration,
    /// How long ago the periodic work came to its end.
    pub ticked: Duration,
    /// Notices.
    pub notices: OutboxFacts,
    /// Text messages.
    pub messages: OutboxFacts,
}

/// What is wrong, the worst first; nothing when this node is ready.
#[must_use]
pub fn wrong(facts: &Facts) -> Vec<Wrong> {
    let stale = (facts.wrote > LONG_UNWRITTEN).then_some(Cause::Refused);
    let database = facts.unread.or(facts.unwritten).or(stale).map(Wrong::from);
    let stands = |outbox: &OutboxFacts| outbox.looked > OUTBOX_LATE || outbox.untried > OUTBOX_STUCK;
    // Without the database nothing else can go on either, and saying so would only hide the cause.
    let others = [
        (facts.ticked > TICK_LATE).then_some(Wrong::TickStands),
        stands(&facts.notices).then_some(Wrong::NoticesStand),
        stands(&facts.messages).then_some(Wrong::MessagesStand),
    ];
    match database {
        Some(database) => vec![database],
        None => others.into_iter().flatten().collect(),
    }
}

/// What a node remembers of its own work.
#[derive(Debug)]
pub struct Health(Mutex<Memory>);

#[derive(Debug)]
struct Memory {
    wrote_at: DateTime<Utc>,
    wrote: Instant,
    unwritten: Option<Cause>,
    ticked: Instant,
    notices: Looked,
    messages: Looked,
    /// What came of backups, when that was last looked at.
    backups: Option<BackupState>,
    /// The counts of the store when they were last looked at: written, undone, broken.
    counts: (u64, u64, u64),
}

#[derive(Clone, Debug)]
struct Looked {
    at: Instant,
    untried: Duration,
    backlogs: Vec<Backlog>,
}

/// What waits for one webhook or gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// In which outbox.
    pub outbox: Outbox,
    /// What people call the webhook or gateway.
    pub name: String,
    /// How much waits.
    pub count: i64,
    /// When the oldest of it came.
    pub oldest: DateTime<Utc>,
}

/// One of the two outboxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outbox {
    /// Of notices.
    Notices,
    /// Of text messages.
    Messages,
}

impl Health {
    pub(in crate::engine) fn new(now: DateTime<Utc>) -> Self {
        let began = Instant::now();
        let looked = || Looked { at: began, untried: Duration::ZERO, backlogs: Vec::new() };
        Self(Mutex::new(Memory {
            // Long ago, so that the first tick finds out.
            wrote_at: now - PROVE_EVERY,
            wrote: began,
            unwritten: None,
            ticked: began,
            notices: looked(),
            messages: looked(),
            backups: None,
            counts: (0, 0, 0),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::engine) fn ticked(&self) {
        self.lock().ticked = Instant::now();
    }

    fn looked(&self, outbox: Outbox, untried: Duration, backlogs: Vec<Backlog>) {
        let mut memory = self.lock();
        let looked = Looked { at: Instant::now(), untried, backlogs };
        match outbox {
            Outbox::Notices => memory.notices = looked,
            Outbox::Messages => memory.messages = looked,
        }
    }

    /// Somebody has looked what came of backups.
    pub(in crate::engine) fn note_backups(&self, state: BackupState) {
        self.lock().backups = Some(state);
    }

    /// What came of backups, when that was last looked at.
    #[must_use]
    pub fn backups(&self) -> Option<BackupState> {
        self.lock().backups.clone()
    }

    /// What waits, by target, as it was when it was last looked at.
    #[must_use]
    pub fn backlogs(&self) -> Vec<Backlog> {
        let memory = self.lock();
        memory.notices.backlogs.iter().chain(&memory.messages.backlogs).cloned().collect()
    }

    fn facts(&self, unread: Option<Cause>) -> Facts {
        let memory = self.lock();
        let outbox = |looked: &Looked| OutboxFacts { looked: looked.at.elapsed(), untried: looked.untried };
        Facts {
            unread,
            unwritten: memory.unwritten,
            wrote: memory.wrote.elapsed(),
            ticked: memory.ticked.elapsed(),
            notices: outbox(&memory.notices),
            messages: outbox(&memory.messages),
        }
    }

    /// Whether something has to be written now to see that it can be.
    fn is_due(&self, counts: (u64, u64, u64), now: DateTime<Utc>) -> bool {
        let mut memory = self.lock();
        let before = std::mem::replace(&mut memory.counts, counts);
        if counts.0 != before.0 {
            memory.wrote_at = now;
            memory.wrote = Instant::now();
            memory.unwritten = None;
        }
        let since = now - memory.wrote_at;
        let doubt = counts.2 != before.2 || (counts.1 != before.1 && since >= PROVE_SOONER);
        // A clock that went back must not keep it from being seen.
        memory.unwritten.is_some() || doubt || since >= PROVE_EVERY || since < TimeDelta::zero()
    }

    /// What came of the attempt; gives what came of the one before.
    fn proved(&self, failed: Option<Cause>, now: DateTime<Utc>) -> Option<Cause> {
        let mut memory = self.lock();
        if failed.is_none() {
            memory.wrote_at = now;
            memory.wrote = Instant::now();
        }
        std::mem::replace(&mut memory.unwritten, failed)
    }
}

impl Engine {
    /// Somebody has looked at an outbox: what waits in it, and for how long the first has been due without anybody taking care of it.
    pub fn note_outbox<T>(&self, outbox: Outbox, waiting: &[Waiting<T>], untried: Duration) {
        let now = self.clock.now();
        let oldest = waiting.iter().map(|one| (now - one.oldest).num_seconds()).max().unwrap_or_default().max(0);
        let gauges = match outbox {
            Outbox::Notices => &self.metrics.notices,
            Outbox::Messages => &self.metrics.messages,
        };
        gauges.waiting.set(waiting.iter().map(|one| one.count).sum());
        gauges.due.set(waiting.iter().map(|one| one.due).sum());
        gauges.oldest_seconds.set(oldest);
        let backlog = |one: &Waiting<T>| Backlog { outbox, name: one.name.clone(), count: one.count, oldest: one.oldest };
        self.health.looked(outbox, untried, waiting.iter().map(backlog).collect());
    }

    /// Writes something small when nothing else was written lately, to see that it can be.
    pub async fn prove_writing(&self) {
        let counters = self.store.counters();
        let now = self.clock.now();
        if !self.health.is_due((counters.written(), counters.undone(), counters.broken()), now) {
            return;
        }
        let proved = self.store.prove_writing(InstallationId::new(now), now).await;
        let cause = proved.as_ref().err().map(|error| match error.cause() {
            // The embedded database is a file: somebody else keeps it from being written.
            Cause::Away if self.store.dialect() == Dialect::Sqlite => Cause::Refused,
            cause => cause,
        });
        match (self.health.proved(cause, now), proved, cause) {
            (Some(_), Ok(()), _) => tracing::info!("the database stores again what it is given"),
            (None, Err(error), Some(cause)) => {
                let wrong = Wrong::from(cause).sentence();
                tracing::error!(%error, wrong, "nothing can be stored: alarms are refused until it can");
            }
            _ => {}
        }
    }

    /// What this node remembers of its work, without asking anybody.
    #[must_use]
    pub fn facts(&self) -> Facts {
        self.health.facts(None)
    }

    /// What is wrong as far as this node knows without asking.
    #[must_use]
    pub fn known_wrong(&self) -> Vec<Wrong> {
        wrong(&self.health.facts(None))
    }

    /// What is wrong: whether the database can be read is asked now, everything else is remembered. Nothing is written.
    pub async fn what_is_wrong(&self) -> Vec<Wrong> {
        let reading = async { self.store.read().await?.db().ping().await };
        let unread = match tokio::time::timeout(READ_WITHIN, reading).await {
            Ok(read) => read.err().map(|error| error.cause()),
            Err(_) => Some(Cause::Away),
        };
        wrong(&self.health.facts(unread))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;
    const GOOD: Facts = Facts {
        unread: None,
        unwritten: None,
        wrote: NOW,
        ticked: NOW,
        notices: OutboxFacts { looked: NOW, untried: NOW },
        messages: OutboxFacts { looked: NOW, untried: NOW },
    };
    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn ready_is_nothing_wrong() {
        assert_eq!(wrong(&GOOD), []);
        let just = Facts { wrote: LONG_UNWRITTEN, ticked: TICK_LATE, ..GOOD };
        assert_eq!(wrong(&just), []);
    }

    #[test]
    fn each_fact_is_told_by_its_name() {
        let stuck = OutboxFacts { looked: NOW, untried: HOUR };
        let left = OutboxFacts { looked: HOUR, untried: NOW };
        let cases = [
            (Facts { unread: Some(Cause::Away), ..GOOD }, Wrong::DatabaseAway),
            (Facts { unwritten: Some(Cause::ReadOnly), ..GOOD }, Wrong::ReadOnly),
            (Facts { unwritten: Some(Cause::Full), ..GOOD }, Wrong::DiskFull),
            (Facts { unwritten: Some(Cause::Refused), ..GOOD }, Wrong::Refused),
            (Facts { unread: Some(Cause::OldPrimary), ..GOOD }, Wrong::OldPrimary),
            (Facts { unread: Some(Cause::Outgrown), ..GOOD }, Wrong::Outgrown),
            (Facts { wrote: HOUR, ..GOOD }, Wrong::Refused),
            (Facts { ticked: HOUR, ..GOOD }, Wrong::TickStands),
            (Facts { notices: stuck, ..GOOD }, Wrong::NoticesStand),
            (Facts { notices: left, ..GOOD }, Wrong::NoticesStand),
            (Facts { messages: stuck, ..GOOD }, Wrong::MessagesStand),
            (Facts { messages: left, ..GOOD }, Wrong::MessagesStand),
        ];
        for (facts, expected) in cases {
            assert_eq!(wrong(&facts), [expected], "{facts:?}");
        }
    }

    #[test]
    fn the_cause_is_not_hidden_by_what_follows_from_it() {
        let facts = Facts { unread: Some(Cause::Away), unwritten: Some(Cause::Full), wrote: HOUR, ticked: HOUR, ..GOOD };
        assert_eq!(wrong(&facts), [Wrong::DatabaseAway]);
    }

    #[test]
    fn something_is_written_after_half_a_minute_and_sooner_in_doubt() {
        let at = |seconds: i64| DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap_or_default();
        let health = Health::new(at(0));
        assert!(health.is_due((0, 0, 0), at(0)), "at the start");
        assert_eq!(health.proved(None, at(0)), None);
        assert!(!health.is_due((0, 0, 0), at(29)));
        assert!(!health.is_due((1, 0, 0), at(40)), "somebody else has written");
        assert!(!health.is_due((1, 0, 0), at(69)));
        assert!(health.is_due((1, 0, 0), at(70)));
        assert_eq!(health.proved(None, at(70)), None);
        assert!(!health.is_due((1, 1, 0), at(71)), "giving up is nothing special");
        assert!(health.is_due((1, 2, 0), at(75)), "unless nothing was written for some time");
        assert!(health.is_due((1, 2, 1), at(75)), "a commit that failed is");
        assert_eq!(health.proved(Some(Cause::Full), at(75)), None);
        assert!(health.is_due((1, 2, 1), at(76)), "again and again, until it can be");
        assert_eq!(health.proved(None, at(76)), Some(Cause::Full));
        assert!(health.is_due((1, 2, 1), at(50)), "the clock was set back");
    }
}
