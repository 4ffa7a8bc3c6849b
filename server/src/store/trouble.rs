//! Why a database that can be reached is not used: kept in one place, so that whoever asks for a session is told at once.

use std::sync::{Mutex, PoisonError};

use super::{Result, StoreError};
use crate::primary::Objection;

/// What is wrong, if anything.
#[derive(Default)]
pub(in crate::store) struct Trouble(Mutex<Told>);

#[derive(Default)]
struct Told {
    /// With the host, until another one is found.
    host: Option<(Objection, String)>,
    /// With the tables, until this program is replaced.
    tables: Option<String>,
}

impl Trouble {
    fn with<T>(&self, look: impl FnOnce(&mut Told) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the database may be used.
    pub(in crate::store) fn check(&self) -> Result<()> {
        self.with(|told| match (&told.tables, &told.host) {
            (Some(sentence), _) => Err(StoreError::Outgrown(sentence.clone())),
            (None, Some((Objection::Standby, sentence))) => Err(StoreError::NoPrimary(sentence.clone())),
            (None, Some((_, sentence))) => Err(StoreError::OldPrimary(sentence.clone())),
            (None, None) => Ok(()),
        })
    }

    /// A host is not used. It is said once.
    pub(in crate::store) fn of_host(&self, objection: Objection, sentence: String) {
        let said = self.with(|told| told.host.replace((objection, sentence.clone())));
        if said.is_none_or(|(before, _)| before != objection) {
            tracing::error!("the database is not used: {sentence}");
        }
    }

    /// Whether a host is not used.
    pub(in crate::store) fn is_of_host(&self) -> bool {
        self.with(|told| told.host.is_some())
    }

    /// A host can be used.
    pub(in crate::store) fn host_is_well(&self) {
        if self.with(|told| told.host.take()).is_some() {
            tracing::info!("the database is used again");
        }
    }

    /// The tables have become others than this program knows.
    pub(in crate::store) fn of_tables(&self, sentence: String) {
        if self.with(|told| told.tables.replace(sentence.clone())).is_none() {
            tracing::error!("the database is not used any more: {sentence}");
        }
    }
}
