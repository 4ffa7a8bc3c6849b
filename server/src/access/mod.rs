//! Who is asking, and what they may do: doors, keys of senders, tokens of handsets, and what happens to those who guess.

mod coming_in;
pub mod directory;
pub mod doors;
pub mod guard;
pub mod keys;
pub mod knocks;
pub mod oidc;
pub mod path_token;
pub mod rates;
pub mod received;
pub mod refusals;
pub mod senders;
pub mod signed;
pub mod trusted_header;
pub mod whence;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::task::TaskTracker;

use self::directory::Directory;
use self::guard::Guard;
use self::keys::Keys;
use self::knocks::Knocks;
use self::oidc::Oidc;
use self::rates::Rates;
use self::received::LastBodies;
use self::trusted_header::TrustedHeader;
use crate::clock::Clock;
use crate::config::ProxySign;
use crate::config::live::Live;
use crate::rights::Rights;
use crate::store::Store;
use crate::telemetry::{Metrics, Refusals};

/// What a node knows of those who ask, and all that it needs to find that out.
pub struct Access {
    /// Settings, as they are at the moment.
    pub config: Arc<Live>,
    /// The database.
    pub store: Store,
    /// Time.
    pub clock: Clock,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Who was refused, and why.
    pub refusals: Arc<Refusals>,
    /// Which handsets ask.
    pub directory: Directory,
    /// Who tried wrong tokens.
    pub guard: Guard,
    /// Keys of senders.
    pub keys: Keys,
    /// What whoever comes from an open network may do without one.
    pub open_rights: Rights,
    /// How much each sender sends.
    pub rates: Rates,
    /// What each sender sent last.
    pub received: LastBodies,
    /// Which phones knocked.
    pub knocks: Knocks,
    /// The provider of logins.
    pub oidc: Oidc,
    /// What a proxy says of who somebody is.
    pub trusted_header: TrustedHeader,
    /// What is written down beside the answers. It takes more at any time; whoever waits for it does so until nothing is left.
    pub beside: TaskTracker,
    /// A request came through a proxy that the configuration says nothing of.
    proxy_seen: AtomicBool,
}

impl Access {
    /// Nobody is known yet.
    #[must_use]
    pub fn new(
        config: Arc<Live>,
        store: Store,
        clock: Clock,
        (metrics, refusals): (Arc<Metrics>, Arc<Refusals>),
        open_rights: Rights,
    ) -> Self {
        let beside = TaskTracker::new();
        beside.close();
        Self {
            beside,
            directory: Directory::new(store.subscribe()),
            guard: Guard::default(),
            keys: Keys::new(store.subscribe()),
            rates: Rates::default(),
            received: LastBodies::following(Arc::clone(&config)),
            knocks: Knocks::default(),
            oidc: Oidc::new(Arc::clone(&config), clock.clone()),
            trusted_header: TrustedHeader::default(),
            proxy_seen: AtomicBool::new(false),
            open_rights,
            config,
            store,
            clock,
            metrics,
            refusals,
        }
    }

    /// Hears why somebody was refused without a key: what points to a proxy is remembered.
    pub fn note_refusal(&self, why: doors::ShutOut) {
        if why == doors::ShutOut::BehindProxy(ProxySign::OldHttp) {
            self.proxy_seen.store(true, Ordering::Relaxed);
        }
    }

    /// Whether somebody came through a proxy that the configuration says nothing of.
    #[must_use]
    pub fn saw_a_proxy(&self) -> bool {
        self.proxy_seen.load(Ordering::Relaxed)
    }
}
