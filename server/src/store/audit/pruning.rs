//! Retention of the audit log: what is older than configured goes, in portions.

use chrono::{DateTime, Utc};

use crate::store::dialect::{fragment, statements};
use crate::store::statement::execute;
use crate::store::{Db, Result};

statements! {
    /// The oldest lines, with what stands beside them.
    PRUNE = ["DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < $1 ORDER BY at, id LIMIT 500)"];
}

impl Db<'_> {
    /// Forgets up to 500 lines of before then; gives how many.
    pub async fn forget_audit(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, PRUNE, before)
    }
}
