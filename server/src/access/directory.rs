//! Which handset is asking: by its token, or on the plain path by address and model. Known ones are remembered, so that a poll
//! does not ask the database who it is.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::config::{HandsetConfig, IdleForm as IdleFormSetting, ProfileChoice};
use crate::ids::HandsetId;
use crate::keep::pairing::plain_key;
use crate::store::watch::handsets::{HandsetRow, IdleForm, NewHandset, Profile};
use crate::store::{Announcement, Generation, Remembered, Result, Store, StoreError};

/// Phones on the plain path beyond this share one entry for each address: a client that invents models must not fill the database.
const MOST_PLAIN_HANDSETS: i64 = 200;
/// Strangers are remembered up to this number; the others are looked up each time.
const MOST_REMEMBERED: usize = 1_000;
/// So long after a handset was changed all of them are read again.
const LEARNS_EVERY: Duration = Duration::from_secs(10);
/// Handsets that are kept as they were known last.
const MOST_OUTDATED: usize = 20_000;

/// The handsets this node has seen.
#[derive(Debug)]
pub struct Directory(Generation<KnownHandsets>);

#[derive(Debug, Default)]
struct KnownHandsets {
    by_token: HashMap<[u8; 32], Arc<HandsetRow>>,
    by_plain_key: HashMap<String, Arc<HandsetRow>>,
    not_allowed: HashSet<String>,
    any_paired: Option<bool>,
    /// Handsets as they were known last: for when the database cannot be asked. They let nobody in.
    last_by_token: HashMap<[u8; 32], Arc<HandsetRow>>,
    last_by_plain_key: HashMap<String, Arc<HandsetRow>>,
}

impl Directory {
    /// An empty directory that hears these announcements.
    #[must_use]
    pub fn new(announcements: Receiver<Announcement>) -> Self {
        Self(Generation::new(announcements, KnownHandsets::default()))
    }

    /// The handset with a token; `None` when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn by_token(&self, store: &Store, hash: [u8; 32]) -> Result<Option<Arc<HandsetRow>>> {
        let generation = {
            let known = self.0.now();
            if let Some(handset) = known.by_token.get(&hash) {
                return Ok(Some(Arc::clone(handset)));
            }
            known.generation()
        };
        let Some(handset) = store.read().await?.db().handset_by_token(&hash).await?.map(Arc::new) else { return Ok(None) };
        let mut known = self.0.now();
        if known.generation() == generation {
            known.by_token.insert(hash, Arc::clone(&handset));
        } else {
            known.last_by_token.insert(hash, Arc::clone(&handset));
        }
        Ok(Some(handset))
    }

    /// Learns which handsets there are, also those that have never asked here: in an outage each is answered in its own way. These let
    /// nobody in.
    ///
    /// # Errors
    /// When the database fails; what was known before stays known.
    pub async fn learn(&self, store: &Store) -> Result<()> {
        let rows = store.read().await?.db().handsets().await?;
        let mut known = self.0.now();
        for row in rows.into_iter().take(MOST_OUTDATED).map(Arc::new) {
            for hash in [&row.token_hash, &row.next_token_hash].into_iter().flatten() {
                if let Ok(hash) = <[u8; 32]>::try_from(hash.as_slice()) {
                    known.last_by_token.insert(hash, Arc::clone(&row));
                }
            }
            if let Some(key) = &row.plain_key {
                known.last_by_plain_key.insert(key.clone(), Arc::clone(&row));
            }
        }
        Ok(())
    }

    /// Learns it again whenever some handset was changed, though not more often than once in a while. Never returns.
    pub async fn keep_learning(&self, store: &Store) {
        let mut announcements = store.subscribe();
        loop {
            match announcements.recv().await {
                Ok(Announcement::Handsets | Announcement::Missed) | Err(RecvError::Lagged(_)) => {}
                Ok(_) => continue,
                Err(RecvError::Closed) => return,
            }
            tokio::time::sleep(LEARNS_EVERY).await;
            // Whatever was announced meanwhile is learnt with this.
            announcements = announcements.resubscribe();
            if let Err(error) = self.learn(store).await {
                tracing::debug!(%error, "which handsets there are could not be read");
            }
        }
    }

    /// The handset with a token as this node knew it last, whatever was announced since: for when the database cannot be asked, and never
    /// to let anybody in.
    #[must_use]
    pub fn remembered(&self, hash: &[u8; 32]) -> Option<Arc<HandsetRow>> {
        let known = self.0.now();
        known.by_token.get(hash).or_else(|| known.last_by_token.get(hash)).map(Arc::clone)
    }

    /// The same for a phone on the plain path.
    #[must_use]
    pub fn remembered_plain(&self, address: IpAddr, model: &str) -> Option<Arc<HandsetRow>> {
        let (known, key) = (self.0.now(), plain_key(address, model));
        known.by_plain_key.get(&key).or_else(|| known.last_by_plain_key.get(&key)).map(Arc::clone)
    }

    /// The handset on the plain path with this address and model; made known when it is new.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn by_address(
        &self,
        store: &Store,
        settings: &HandsetConfig,
        address: IpAddr,
        model: &str,
        now: DateTime<Utc>,
    ) -> Result<Arc<HandsetRow>> {
        let key = &plain_key(address, model);
        let generation = {
            let known = self.0.now();
            if let Some(handset) = known.by_plain_key.get(key) {
                return Ok(Arc::clone(handset));
            }
            known.generation()
        };
        let handset = Arc::new(find_or_make(store, settings, key, &address.to_string(), now).await?);
        let mut known = self.0.now();
        if known.generation() == generation {
            known.by_plain_key.insert(key.to_owned(), Arc::clone(&handset));
        } else {
            known.last_by_plain_key.insert(key.to_owned(), Arc::clone(&handset));
        }
        Ok(handset)
    }

    /// The handset with this address and model, if it was allowed to poll from outside the open networks.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn allowed(&self, store: &Store, address: IpAddr, model: &str) -> Result<Option<Arc<HandsetRow>>> {
        let key = plain_key(address, model);
        let generation = {
            let known = self.0.now();
            if let Some(handset) = known.by_plain_key.get(&key) {
                return Ok(Some(Arc::clone(handset)).filter(|handset| handset.allowed_at.is_some()));
            }
            if known.not_allowed.contains(&key) {
                return Ok(None);
            }
            known.generation()
        };
        let handset = store.read().await?.db().handset_by_plain_key(&key).await?.filter(|handset| handset.allowed_at.is_some());
        let handset = handset.map(Arc::new);
        let mut known = self.0.now();
        if known.generation() == generation {
            match &handset {
                Some(handset) => drop(known.by_plain_key.insert(key, Arc::clone(handset))),
                None if known.not_allowed.len() < MOST_REMEMBERED => drop(known.not_allowed.insert(key)),
                None => {}
            }
        }
        Ok(handset)
    }

    /// Whether any handset is paired: then the plain path gives nothing away.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn any_paired(&self, store: &Store) -> Result<bool> {
        let generation = {
            let known = self.0.now();
            if let Some(any) = known.any_paired {
                return Ok(any);
            }
            known.generation()
        };
        let any = store.read().await?.db().count_paired_handsets().await? > 0;
        let mut known = self.0.now();
        if known.generation() == generation {
            known.any_paired = Some(any);
        }
        Ok(any)
    }
}

impl Remembered for KnownHandsets {
    fn concerns(announcement: &Announcement) -> bool {
        matches!(announcement, Announcement::Handsets | Announcement::Missed)
    }

    fn forget(&mut self) {
        if self.last_by_token.len() + self.last_by_plain_key.len() >= MOST_OUTDATED {
            self.last_by_token.clear();
            self.last_by_plain_key.clear();
        }
        self.last_by_token.extend(self.by_token.drain());
        self.last_by_plain_key.extend(self.by_plain_key.drain());
        self.not_allowed.clear();
        self.any_paired = None;
    }
}

async fn find_or_make(
    store: &Store,
    settings: &HandsetConfig,
    key: &str,
    address: &str,
    now: DateTime<Utc>,
) -> Result<HandsetRow> {
    let mut key = key;
    {
        let mut reader = store.read().await?;
        if let Some(handset) = reader.db().handset_by_plain_key(key).await? {
            return Ok(handset);
        }
        if reader.db().count_plain_handsets().await? >= MOST_PLAIN_HANDSETS {
            key = address;
            if let Some(handset) = reader.db().handset_by_plain_key(key).await? {
                return Ok(handset);
            }
        }
    }
    let handset = NewHandset {
        id: HandsetId::new(now),
        name: key.to_owned(),
        token_hash: None,
        plain_key: Some(key.to_owned()),
        profile: settings.profile.into(),
        idle_form: settings.idle_form.into(),
        country: settings.country.as_str().to_owned(),
        ring_seconds: i32::try_from(settings.ring.as_secs()).unwrap_or(i32::MAX),
        created_at: now,
        allowed_at: None,
        monitor: false,
    };
    let mut tx = store.begin().await?;
    tx.db().insert_handset(&handset).await?;
    // It may be another request's row: two first polls at once.
    let stored = tx.db().handset_by_plain_key(key).await?;
    tx.commit().await?;
    stored.ok_or_else(|| StoreError::Inconsistent(format!("the name {key:?} of a handset on the plain path is taken")))
}

impl From<ProfileChoice> for Profile {
    fn from(choice: ProfileChoice) -> Self {
        match choice {
            ProfileChoice::Auto => Self::Auto,
            ProfileChoice::App => Self::App,
            ProfileChoice::List => Self::List,
            ProfileChoice::Repeat => Self::Repeat,
            ProfileChoice::Native => Self::Native,
        }
    }
}

impl From<IdleFormSetting> for IdleForm {
    fn from(form: IdleFormSetting) -> Self {
        match form {
            IdleFormSetting::Plain => Self::Plain,
            IdleFormSetting::HeadlessSafe => Self::HeadlessSafe,
        }
    }
}
