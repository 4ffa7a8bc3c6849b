//! Keys of senders, as this node remembers them: a key that is known costs no query. And what is noted of their use: when, from where, and
//! by which right.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::broadcast::Receiver;

use crate::rights::Right;
use crate::store::access::keys::{KeyRow, WITHOUT_KEY};
use crate::store::{Announcement, Generation, Remembered, Store, StoreError};

/// That a key was used is written down at most this often.
const WRITE_AGAIN: TimeDelta = TimeDelta::minutes(1);
/// That it used a right, which is asked for over 30 days.
const RIGHT_AGAIN: TimeDelta = TimeDelta::hours(1);

/// The keys this node has seen.
#[derive(Debug)]
pub struct Keys(Generation<KnownKeys>);

#[derive(Debug, Default)]
struct KnownKeys {
    by_hash: HashMap<[u8; 32], Known>,
    written: HashMap<String, DateTime<Utc>>,
    rights: HashMap<(String, Right), DateTime<Utc>>,
}

/// A key by one of its secrets.
#[derive(Clone, Debug)]
struct Known {
    key: Arc<KeyRow>,
    /// The secret is one that it had before.
    is_old: bool,
}

/// What became of a look for a key.
#[derive(Clone, Debug)]
pub enum Found {
    /// It is good.
    Good(Arc<KeyRow>),
    /// It was good until then.
    Over(Over),
    /// There is none with this secret, or it was revoked.
    Unknown,
}

/// A key that was good, and is not any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Over {
    /// It had an end.
    #[error(
        "the key {name:?} expired at {}: whoever runs the server can prolong it with `autocall key set {name:?} --expires 90d`",
        at.format("%F %H:%M UTC")
    )]
    Expired {
        /// Its name.
        name: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// It has another secret.
    #[error("the key {name:?} got another secret, and this one was good until {}: use the new one", at.format("%F %H:%M UTC"))]
    Replaced {
        /// Its name.
        name: String,
        /// Until when this one was good.
        at: DateTime<Utc>,
    },
}

impl Known {
    fn at(&self, now: DateTime<Utc>) -> Found {
        let name = || self.key.name.clone();
        let over = |at: Option<DateTime<Utc>>| at.filter(|at| *at <= now);
        if let Some(at) = over(self.key.expires_at) {
            return Found::Over(Over::Expired { name: name(), at });
        }
        match over(self.key.old_until).filter(|_| self.is_old) {
            Some(at) => Found::Over(Over::Replaced { name: name(), at }),
            None => Found::Good(Arc::clone(&self.key)),
        }
    }
}

impl Keys {
    /// No keys yet; hears these announcements.
    #[must_use]
    pub fn new(announcements: Receiver<Announcement>) -> Self {
        Self(Generation::new(announcements, KnownKeys::default()))
    }

    /// The key with this hash.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find(&self, store: &Store, hash: [u8; 32], now: DateTime<Utc>) -> Result<Found, StoreError> {
        let generation = {
            let known = self.0.now();
            if let Some(key) = known.by_hash.get(&hash) {
                return Ok(key.at(now));
            }
            known.generation()
        };
        let Some((key, is_old)) = store.read().await?.db().key_by_hash(&hash).await? else { return Ok(Found::Unknown) };
        let found = Known { key: Arc::new(key), is_old };
        let mut known = self.0.now();
        if known.generation() == generation {
            known.by_hash.insert(hash, found.clone());
        }
        Ok(found.at(now))
    }

    /// Writes down that a key was used, once a minute.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn used(&self, store: &Store, key: &KeyRow, address: IpAddr, now: DateTime<Utc>) -> Result<(), StoreError> {
        {
            let (mut known, id) = (self.0.now(), key.id.to_string());
            if known.written.get(&id).is_some_and(|at| now - *at < WRITE_AGAIN) {
                return Ok(());
            }
            known.written.insert(id, now);
        }
        let mut tx = store.begin().await?;
        tx.db().key_used(key.id, now, &address.to_string()).await?;
        tx.commit().await
    }

    /// That a right was used, by a key or without one, where that is to be written down: once an hour.
    pub fn to_write(&self, key: Option<&KeyRow>, right: Right, now: DateTime<Utc>) -> Option<UsedRight> {
        let who = key.map_or_else(|| WITHOUT_KEY.to_owned(), |key| key.id.to_string());
        let used = UsedRight { who, right, at: now };
        let mut known = self.0.now();
        if known.rights.get(&used.what()).is_some_and(|at| now - *at < RIGHT_AGAIN) {
            return None;
        }
        known.rights.insert(used.what(), now);
        Some(used)
    }

    /// Writes that down.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn write(&self, store: &Store, used: &UsedRight) -> Result<(), StoreError> {
        let written = async {
            let mut tx = store.begin().await?;
            tx.db().right_used(&used.who, used.right, used.at).await?;
            tx.commit().await
        };
        let written = written.await;
        if written.is_err() {
            // Asked again at its next use: narrowing must not take away what was used.
            self.0.now().rights.remove(&used.what());
        }
        written
    }
}

/// That a right was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedRight {
    who: String,
    /// Which one.
    pub right: Right,
    at: DateTime<Utc>,
}

impl UsedRight {
    fn what(&self) -> (String, Right) {
        (self.who.clone(), self.right)
    }
}

impl Remembered for KnownKeys {
    fn concerns(announcement: &Announcement) -> bool {
        matches!(announcement, Announcement::Keys | Announcement::Missed)
    }

    fn forget(&mut self) {
        self.by_hash.clear();
    }
}
