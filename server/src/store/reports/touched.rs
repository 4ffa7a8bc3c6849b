//! What a transaction changed that counts for figures. Whatever operation of the store changes such a row notes it here, so that nobody can
//! forget it; the unit of work counts it anew before it commits.

use std::collections::BTreeSet;

use crate::ids::{AlarmId, HuntId};

/// Rows whose count may have changed.
#[derive(Debug, Default)]
pub struct Touched {
    pub(in crate::store) alarms: BTreeSet<AlarmId>,
    pub(in crate::store) hunts: BTreeSet<HuntId>,
    pub(in crate::store) calls: BTreeSet<i64>,
    /// Dials whose records of calls are new, and have no id here yet.
    pub(in crate::store) dials: BTreeSet<String>,
}

impl Touched {
    /// Nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.alarms.is_empty() && self.hunts.is_empty() && self.calls.is_empty() && self.dials.is_empty()
    }
}

impl crate::store::Db<'_> {
    /// The transaction changed this; without one nothing is noted.
    pub(in crate::store) fn touched(&mut self, note: impl FnOnce(&mut Touched)) {
        if let Self::Postgres(_, Some(touched)) | Self::Sqlite(_, Some(touched)) = self {
            note(touched);
        }
    }
}
