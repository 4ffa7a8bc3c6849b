//! Keys of senders: making, finding and revoking them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use crate::ids::KeyId;
use crate::numbers::{Number, NumberError, Region};
use crate::store::access::keys::KeyRow;
use crate::store::{Announcement, Store, StoreError};

/// Tells a key from other secrets, in a log or a search for leaked ones.
const PREFIX: &str = "ak_";
const LONGEST_NAME: usize = 60;
/// That a key was used is written down at most this often.
const WRITE_AGAIN: TimeDelta = TimeDelta::minutes(1);

/// Why a key was not made or revoked.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The name is empty, too long, or garbled.
    #[error("a key's name has 1 to {LONGEST_NAME} characters, without line breaks")]
    BadName,
    /// There is one of that name, perhaps revoked.
    #[error("there is or was a key {0:?}: choose another name, so that its alarms are not mixed up with the old one's")]
    NameTaken(String),
    /// There is none of that name.
    #[error("there is no key {0:?} that could be revoked: `autocall key list` shows them")]
    NoSuchKey(String),
    /// Whom to ring cannot be rung.
    #[error("{0:?}: {1}")]
    BadNumber(String, NumberError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The keys this node has seen.
#[derive(Debug)]
pub struct Keys(Mutex<Known>);

#[derive(Debug)]
struct Known {
    announcements: Receiver<Announcement>,
    generation: u64,
    by_hash: HashMap<[u8; 32], Arc<KeyRow>>,
    written: HashMap<KeyId, DateTime<Utc>>,
}

impl Keys {
    /// No keys yet; hears these announcements.
    #[must_use]
    pub fn new(announcements: Receiver<Announcement>) -> Self {
        Self(Mutex::new(Known { announcements, generation: 0, by_hash: HashMap::new(), written: HashMap::new() }))
    }

    /// The key with this hash, if it is good.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find(&self, store: &Store, hash: [u8; 32]) -> Result<Option<Arc<KeyRow>>, StoreError> {
        let generation = {
            let known = self.known();
            if let Some(key) = known.by_hash.get(&hash) {
                return Ok(Some(Arc::clone(key)));
            }
            known.generation
        };
        let Some(key) = store.read().await?.db().key_by_hash(&hash).await?.map(Arc::new) else { return Ok(None) };
        let mut known = self.known();
        if known.generation == generation {
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
            let mut known = self.known();
            if known.written.get(&key).is_some_and(|at| now - *at < WRITE_AGAIN) {
                return Ok(());
            }
            known.written.insert(key, now);
        }
        let mut tx = store.begin().await?;
        tx.db().key_used(key, now).await?;
        tx.commit().await
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match known.announcements.try_recv() {
                Ok(Announcement::Keys | Announcement::Missed) | Err(TryRecvError::Lagged(_)) => {
                    known.generation += 1;
                    known.by_hash.clear();
                }
                Ok(_) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return known,
            }
        }
    }
}

/// SHA-256 of a key: what is stored. Keys are long and random, so they need no salt.
#[must_use]
pub fn key_hash(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// Makes a key, and gives it: it is shown once.
///
/// # Errors
/// When the name is bad or taken, a number cannot be rung, or the database fails.
pub async fn add(store: &Store, name: &str, phones: &[String], region: Region, now: DateTime<Utc>) -> Result<String, KeyError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(KeyError::BadName);
    }
    for phone in phones {
        Number::parse(phone, region).map_err(|error| KeyError::BadNumber(phone.clone(), error))?;
    }
    let secret: [u8; 20] = rand::random();
    let key = format!("{PREFIX}{}", crate::ids::hex(&secret));
    let mut tx = store.begin().await?;
    match tx.db().insert_key(KeyId::new(now), name, &key_hash(&key), phones, now).await {
        Ok(()) => {}
        Err(error) if error.is_unique_violation() => return Err(KeyError::NameTaken(name.to_owned())),
        Err(error) => return Err(error.into()),
    }
    tx.announce(Announcement::Keys);
    tx.commit().await?;
    Ok(key)
}

/// Revokes a key at once.
///
/// # Errors
/// When there is no such key, or the database fails.
pub async fn revoke(store: &Store, name: &str, now: DateTime<Utc>) -> Result<(), KeyError> {
    let mut tx = store.begin().await?;
    if !tx.db().revoke_key(name, now).await? {
        return Err(KeyError::NoSuchKey(name.to_owned()));
    }
    tx.announce(Announcement::Keys);
    Ok(tx.commit().await?)
}
