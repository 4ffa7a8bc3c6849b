//! Which installation a database belongs to, and the small write that shows that something can be stored in it.

use chrono::{DateTime, Utc};

use crate::ids::InstallationId;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{execute, fetch_optional};
use crate::store::{Db, Result};

statements! {
    /// Gives the installation a name, unless it has one, and notes that it could be written.
    PROVE = [
        "INSERT INTO installation (one, id, wrote_at) VALUES (1, $1, $2) ON CONFLICT (one) DO UPDATE SET wrote_at = excluded.wrote_at"
    ];
    /// Which installation this is.
    WHICH = ["SELECT id FROM installation"];
    /// From which migration on programs still work with the tables.
    WORKS_FROM = ["SELECT works_from FROM compatibility"];
}

impl Db<'_> {
    /// Writes something small. `new` is the installation's name from now on if it has none.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn prove_writing(&mut self, new: InstallationId, now: DateTime<Utc>) -> Result<()> {
        execute!(self, PROVE, new, now).map(|_| ())
    }

    /// Which installation this is; `None` before its first server.
    pub async fn installation(&mut self) -> Result<Option<InstallationId>> {
        let row: Option<(InstallationId,)> = fetch_optional!(self, WHICH)?;
        Ok(row.map(|(id,)| id))
    }

    /// From which migration on programs still work with the tables.
    pub async fn works_from(&mut self) -> Result<Option<i64>> {
        let row: Option<(i64,)> = fetch_optional!(self, WORKS_FROM)?;
        Ok(row.map(|(from,)| from))
    }
}
