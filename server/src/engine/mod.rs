//! What an alarm goes through between its sender, the handsets and the clock: raising, claiming, reporting, expiring.
//!
//! The faces (HTTP for handsets, senders and people) call the methods of [`Engine`]; the engine asks the pure rule in
//! [`crate::alarm`], and keeps what it says in the store. Everybody who changes a hunt locks its row first, then dials, then
//! targets by phone.

pub mod hunt;
pub mod lines;
pub mod live;
pub mod media;
pub mod monitor;
mod noted;
pub mod phone_calls;
pub mod rehearsal;
pub mod reports;
pub mod rpc;
pub mod shouts;
pub mod watch;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

pub use crate::alarm::doer::{Actor, Doer};
pub use hunt::act::MOST_SNOOZE;
pub use hunt::claim::{Asker, Claim, Offer, OfferDetails};
pub use hunt::hearing::Word;
pub use hunt::presses::giving_back::{Giver, GivingBack};
pub use hunt::presses::{Acknowledgement, Acted, Effect, Reachable};
pub use hunt::raise::{Mended, NamedBy, NewCallee, RaiseRequest, Raised, RaisedAs};
pub use hunt::report::{Report, Reported};
pub use watch::tick::Tick;

use crate::clock::Clock;
use crate::config::Config;
use crate::config::live::Live;
use crate::keep::refused::Refused;
use crate::links::Links;
use crate::lock::Locks;
use crate::numbers::Region;
use crate::store::{Counts, Store, StoreError, Work};
use crate::telemetry::{Metrics, Refusals};

/// Why the engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such alarm.
    #[error("there is no such alarm")]
    NoSuchAlarm,
    /// The alarm is over: nothing can be done to it any more.
    #[error("the alarm is {0}: raise a new one instead")]
    Over(&'static str),
    /// The alarm still rings.
    #[error("somebody is still being rung for this alarm: wait for the end, or cancel it")]
    StillRinging,
    /// The alarm has no such callee.
    #[error("this alarm has no such callee: look at its callees again")]
    NoSuchCallee,
    /// The alarm names somebody who is not there.
    #[error("{why}")]
    UnknownName {
        /// The place in its list.
        index: usize,
        /// What is wrong.
        why: String,
    },
    /// There is no policy of that name.
    #[error("there is no escalation policy named {0:?}")]
    NoSuchPolicy(String),
    /// It is no alarm, and only alarms follow policies.
    #[error("this is no alarm: it follows no escalation policy")]
    FollowsNoPolicy,
    /// Nothing says whom to ring.
    #[error("nobody is named: give phones, whom to ring, or a policy, or set a default policy or alarms.fallback_phones")]
    NobodyNamed,
    /// There is no further step.
    #[error("there is no further step: everybody this alarm's policy names is being rung")]
    NoFurtherStep,
    /// Nobody has it.
    #[error("nobody has taken this alarm, so there is nothing to give back: look at it again")]
    NotTaken,
    /// It wants the answer of everybody, so nobody has it alone.
    #[error("this alarm wants an answer of everybody, so nobody gives it back alone: ring again instead")]
    WantsEveryone,
    /// The hunt is over.
    #[error("nobody is being rung for this alarm any more: ring again instead")]
    HuntOver,
    /// A time that cannot be meant.
    #[error("the time must lie ahead, by at most 30 days")]
    BadTime,
    /// The key is bound to other alarms.
    #[error(
        "this key is bound ({0}), and the alarm is for others: name one of those teams or policies, or bind the key otherwise with `autocall key set`"
    )]
    OutOfBounds(String),
    /// The idempotency key was used for another request.
    #[error("this Idempotency-Key was used for a different request: use a new key for a new alarm")]
    KeyReused,
    /// There is no record of such a call.
    #[error("there is no such record of a call: the id is not one of ours, or it was long ago")]
    NoSuchCall,
    /// The call is over, or never was.
    #[error("this call does not run any more: nothing can be done in it")]
    CallNotRunning,
    /// The handset that holds the call cannot do it.
    #[error("{0}: see what it can do on the page Handsets")]
    HandsetCannot(&'static str),
    /// Far too much has been done in the call.
    #[error("this call has had 100 commands: hang up by hand")]
    TooManyCommands,
    /// Others changed the same rows again and again.
    #[error("the alarm could not be stored because of simultaneous changes: send it again")]
    Contended,
}

/// What an operator is told when something that they asked for changed alarms, and that failed.
impl From<EngineError> for Refused {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Store(error) => Self::Store(error),
            EngineError::Contended => Self::Contended,
            // What operators keep names no alarm, so nothing else can come of it; if it did, its sentence is told.
            other => Self::wrong("alarm", other.to_string()),
        }
    }
}

/// The engine of one node.
pub struct Engine {
    /// The database.
    pub store: Store,
    /// Locks that keep nodes out of each other's way.
    pub locks: Locks,
    /// Time.
    pub clock: Clock,
    /// Settings, as they are at the moment.
    pub config: Arc<Live>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Who was refused, and why.
    pub refusals: Arc<Refusals>,
    /// Callees' own links.
    pub links: Links,
    /// What this node knows without asking the database.
    pub idle: watch::idle::IdleMemory,
    /// The handsets that wait on this node.
    pub lookout: watch::lookout::Lookout,
    /// Which handsets polled this node, and when.
    pub presence: watch::presence::Presence,
    /// Whose turn it is among programs.
    pub(in crate::engine) turns: rpc::Turns,
    /// How this node is.
    pub health: watch::health::Health,
    /// Who heard which recordings.
    pub heard: media::HeardMemory,
    /// Into whose files it has detail records of shouts written.
    pub shout_logs: shouts::logs::Writing,
    /// What it knows of serves that the database does not.
    pub serves: hunt::serves::ServeMemory,
    /// Held by the tick that is under way.
    ticking: tokio::sync::Mutex<()>,
    /// Held by the look after the handsets that is under way.
    watching: tokio::sync::Mutex<()>,
    /// The minute in which it was looked whose shift begins.
    shifts_told: AtomicI64,
    /// Until then, in milliseconds, no alarm is looked at that was there before words were kept.
    sought_rests_until: AtomicI64,
    /// Held by whoever on this node counts what is due.
    counting: tokio::sync::Mutex<()>,
    /// Until then, in milliseconds, nothing is counted that came before figures were kept.
    figures_rest_until: AtomicI64,
    outage: AtomicBool,
    /// Serves may be unknown: this server, or the database, was away.
    serves_unknown: AtomicBool,
    clock_off: AtomicBool,
    serving_since: Mutex<DateTime<Utc>>,
    /// Since when neither this server nor its database was away.
    there_since: Mutex<DateTime<Utc>>,
    started_at: DateTime<Utc>,
}

impl Engine {
    /// An engine over these parts.
    #[must_use]
    pub fn new(store: Store, locks: Locks, clock: Clock, config: Arc<Config>, metrics: Arc<Metrics>, links: Links) -> Self {
        let idle = watch::idle::IdleMemory::new(store.subscribe());
        // Handsets could not be served before the start, so the first tick gives open dials their grace.
        let started_at = clock.now();
        let serving_since = Mutex::new(started_at);
        let presence = watch::presence::Presence::default();
        let health = watch::health::Health::new(started_at);
        Self {
            store,
            locks,
            clock,
            config: Arc::new(Live::new(config)),
            refusals: Arc::new(Refusals::new(&metrics)),
            metrics,
            links,
            idle,
            lookout: watch::lookout::Lookout::default(),
            presence,
            turns: rpc::Turns::default(),
            health,
            heard: media::HeardMemory::default(),
            shout_logs: shouts::logs::Writing::default(),
            serves: hunt::serves::ServeMemory::default(),
            ticking: tokio::sync::Mutex::default(),
            watching: tokio::sync::Mutex::default(),
            shifts_told: AtomicI64::new(i64::MIN),
            sought_rests_until: AtomicI64::new(i64::MIN),
            counting: tokio::sync::Mutex::default(),
            figures_rest_until: AtomicI64::new(i64::MIN),
            outage: AtomicBool::new(true),
            serves_unknown: AtomicBool::new(true),
            clock_off: AtomicBool::new(false),
            serving_since,
            there_since: Mutex::new(started_at),
            started_at,
        }
    }

    /// Begins a unit of work, which is of now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn work(&self, by: Doer) -> Result<Work, StoreError> {
        self.work_at(self.clock.now(), by).await
    }

    /// Does one thing now as a unit of work, and commits it unless it is refused.
    ///
    /// # Errors
    /// Why it is refused, or when the database fails.
    pub async fn carry_out<T, E: From<StoreError>>(
        &self,
        by: Doer,
        act: impl AsyncFnOnce(&mut Work) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut work = self.work(by).await?;
        let done = act(&mut work).await?;
        work.commit().await?;
        Ok(done)
    }

    /// Begins a unit of work of a moment at which something was looked at already.
    pub(in crate::engine) async fn work_at(&self, now: DateTime<Utc>, by: Doer) -> Result<Work, StoreError> {
        let metrics: Arc<dyn Counts> = Arc::<Metrics>::clone(&self.metrics);
        self.store.work(now, by, Some(metrics)).await
    }

    /// Notes that handsets could not be served: once the database is back, open dials get time before they expire.
    pub fn note_outage(&self) {
        self.outage.store(true, std::sync::atomic::Ordering::Release);
    }

    /// Notes that the database could not be used: nobody knows of every serve, and who asks again may have got no answer.
    pub fn note_database_away(&self) {
        self.serves_unknown.store(true, std::sync::atomic::Ordering::Release);
        self.note_outage();
    }

    /// How numbers without a country are read.
    #[must_use]
    pub fn region(&self) -> Region {
        self.config.default_region
    }
}

/// A length of time from a setting.
fn delta(length: Duration) -> TimeDelta {
    TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX)
}

/// A length of time from a stored column.
fn seconds(count: i32) -> TimeDelta {
    TimeDelta::seconds(i64::from(count))
}
