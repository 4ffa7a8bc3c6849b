//! Outages of handsets: what was done about each, once.

use chrono::{DateTime, Utc};

use crate::ids::HandsetId;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, row};
use crate::store::{Db, Result};

/// What was done about an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutageTold {
    /// People were rung.
    Alarm,
    /// The fallback notice went out.
    Fallback,
}

row! {
    /// A time in which a handset cannot be used, and that is not over.
    #[derive(Clone, Debug)]
    pub struct OutageRow {
        /// Which handset.
        pub handset_id: HandsetId,
        /// From then on.
        pub since: DateTime<Utc>,
        /// When something was done about it.
        pub told_at: Option<DateTime<Utc>>,
    }
}

statements! {
    /// A new outage, unless it is known.
    INSERT = ["INSERT INTO handset_outages (handset_id, since) VALUES ($1, $2) ON CONFLICT (handset_id, since) DO UPDATE SET ended_at = NULL"];
    /// Those that are not over.
    OPEN = ["SELECT handset_id, since, told_at FROM handset_outages WHERE ended_at IS NULL ORDER BY since, handset_id"];
    /// Something was done about it.
    TOLD = [
        "UPDATE handset_outages SET told_at = $3, told_how = $4
         WHERE handset_id = $1 AND since = $2 AND told_at IS NULL AND ended_at IS NULL"
    ];
    /// It is over.
    END = ["UPDATE handset_outages SET ended_at = $3 WHERE handset_id = $1 AND since = $2 AND ended_at IS NULL"];
    /// Forgets those that are long over.
    FORGET = [
        "DELETE FROM handset_outages WHERE (handset_id, since) IN (
           SELECT handset_id, since FROM handset_outages WHERE ended_at < $1 ORDER BY ended_at LIMIT 500)"
    ];
}

impl Db<'_> {
    /// Notes that a handset cannot be used since then.
    pub async fn begin_outage(&mut self, handset: HandsetId, since: DateTime<Utc>) -> Result<()> {
        execute!(self, INSERT, handset, since).map(|_| ())
    }

    /// The outages that are not over, oldest first.
    pub async fn open_outages(&mut self) -> Result<Vec<OutageRow>> {
        fetch_all!(self, OPEN)
    }

    /// Notes what was done about an outage; false when that was noted before, or it is over.
    pub async fn outage_told(&mut self, outage: &OutageRow, how: OutageTold, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, TOLD, outage.handset_id, outage.since, now, how)
    }

    /// Notes that an outage is over.
    pub async fn end_outage(&mut self, outage: &OutageRow, now: DateTime<Utc>) -> Result<()> {
        execute!(self, END, outage.handset_id, outage.since, now).map(|_| ())
    }

    /// Forgets up to 500 outages that ended before then; gives how many.
    pub async fn forget_outages(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, FORGET, before)
    }
}
