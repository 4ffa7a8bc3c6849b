//! Monitors: second installations that may test this one. Each is a key that raises nothing but its tests, and a stand-in for a phone, which is
//! given nothing else.

use serde_json::json;

use super::{Grant, KeyError, add_granted, revoke};
use crate::audit::{Line, Operation};
use crate::config::{Config, Watched};
use crate::keep::pairing::{self, PairingError};
use crate::rights::{Bounds, Right, Rights};
use crate::store::watch::handsets::HandsetRow;
use crate::store::{Announcement, Store, StoreError, Work};

/// Longest name of a monitor: it stands in an address.
const LONGEST_NAME: usize = 40;

/// Why a monitor was not made or removed.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// Its name cannot stand in an address.
    #[error("a monitor's name has 1 to {LONGEST_NAME} letters, digits and hyphens, such as watcher")]
    BadName,
    /// There is none of that name.
    #[error("there is no monitor {0:?}: `autocall monitor list` shows them")]
    NoSuchMonitor(String),
    /// The stand-in could not be made.
    #[error(transparent)]
    Pairing(#[from] PairingError),
    /// The key could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn key_name(name: &str) -> String {
    format!("monitor {name}")
}

/// Lets a second installation test this one, which is reached at `base`; gives the address for its `monitor.url`, which is shown once.
///
/// # Errors
/// When the name is bad or taken, or the database fails.
pub async fn add(work: &mut Work, name: &str, base: &str, config: &Config) -> Result<String, MonitorError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(plain) {
        return Err(MonitorError::BadName);
    }
    let grant = Grant { rights: Some(Rights::of([Right::Raise])), bounds: Bounds::of_monitor(), expires_at: None };
    let token = pairing::add_monitor(work, name, &config.handsets).await?;
    let key = add_granted(work, &key_name(name), &[], grant, config.default_region).await?;
    Ok(Watched::address(base, name, &key, &token))
}

/// Those that may test this installation.
///
/// # Errors
/// When the database fails.
pub async fn list(store: &Store) -> Result<Vec<HandsetRow>, StoreError> {
    store.read().await?.db().monitors().await
}

/// A second installation may test this one no more.
///
/// # Errors
/// When there is none of that name, or the database fails.
pub async fn remove(work: &mut Work, name: &str) -> Result<(), MonitorError> {
    let now = work.now();
    let seat = work.db().monitor_by_name(name).await?.ok_or_else(|| MonitorError::NoSuchMonitor(name.to_owned()))?;
    work.db().remove_handset(name, &format!("{name} †{}", now.format("%F %T")), now).await?;
    work.note(Line::new(Operation::HandsetRemoved).of(seat.id).named(name).after(json!({ "monitor": true })));
    work.announce(Announcement::Handsets);
    match revoke(work, &key_name(name)).await {
        Ok(()) | Err(KeyError::NoSuchKey(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
