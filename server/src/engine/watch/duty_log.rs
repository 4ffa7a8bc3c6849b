//! The duty log is kept: hand-overs are written down when they are due, and after an outage those that were missed.

use chrono::{DateTime, Utc};

use crate::engine::{Engine, EngineError};
use crate::keep::roster::log;
use crate::store::Announcement;

impl Engine {
    /// Writes down hand-overs that are due, after a long outage the next portion of them; `thorough` looks also where none is, since the removal of a person can change who is
    /// on duty too. Safe to call on every node at once.
    ///
    /// # Errors
    /// When the database fails; the next call does what this one did not.
    pub async fn keep_duty_log(&self, now: DateTime<Utc>, thorough: bool) -> Result<usize, EngineError> {
        if !thorough && !self.store.read().await?.db().duty_log_is_due(now).await? {
            return Ok(0);
        }
        let mut tx = self.store.begin().await?;
        let written = log::keep(&mut tx.db(), now).await?.written;
        if written > 0 {
            tx.announce(Announcement::Roster);
        }
        tx.commit().await?;
        Ok(written)
    }
}
