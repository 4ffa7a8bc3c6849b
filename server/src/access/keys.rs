//! Keys of senders, as this node remembers them: a key that is known costs no query.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::broadcast::Receiver;

use crate::ids::KeyId;
use crate::store::access::keys::KeyRow;
use crate::store::{Announcement, Generation, Remembered, Store, StoreError};

/// That a key was used is written down at most this often.
const WRITE_AGAIN: TimeDelta = TimeDelta::minutes(1);

/// The keys this node has seen.
#[derive(Debug)]
pub struct Keys(Generation<KnownKeys>);

#[derive(Debug, Default)]
struct KnownKeys {
    by_hash: HashMap<[u8; 32], Arc<KeyRow>>,
    written: HashMap<KeyId, DateTime<Utc>>,
}

impl Keys {
    /// No keys yet; hears these announcements.
    #[must_use]
    pub fn new(announcements: Receiver<Announcement>) -> Self {
        Self(Generation::new(announcements, KnownKeys::default()))
    }

    /// The key with this hash, if it is good.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find(&self, store: &Store, hash: [u8; 32]) -> Result<Option<Arc<KeyRow>>, StoreError> {
        let generation = {
            let known = self.0.now();
            if let Some(key) = known.by_hash.get(&hash) {
                return Ok(Some(Arc::clone(key)));
            }
            known.generation()
        };
        let Some(key) = store.read().await?.db().key_by_hash(&hash).await?.map(Arc::new) else { return Ok(None) };
        let mut known = self.0.now();
        if known.generation() == generation {
            known.by_hash.insert(hash, Arc::clone(&key));
        }
        Ok(Some(key))
    }

    /// Writes down that a key was used, once a minute.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn used(&self, store: &Store, key: KeyId, now: DateTime<Utc>) -> Result<(), StoreError> {
        {
            let mut known = self.0.now();
            if known.written.get(&key).is_some_and(|at| now - *at < WRITE_AGAIN) {
                return Ok(());
            }
            known.written.insert(key, now);
        }
        let mut tx = store.begin().await?;
        tx.db().key_used(key, now).await?;
        tx.commit().await
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
