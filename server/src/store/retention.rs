//! Forgetting what is long over.

use chrono::{DateTime, Utc};

use super::dialect::{execute, fetch_optional, fragment, on, statements};
use super::{Db, Result};

statements! {
    /// Alarms that are over, were not heard of since, and ring no more. What belongs to them alone goes with them.
    PRUNE_ALARMS = [
        "DELETE FROM alarms WHERE id IN (
           SELECT a.id FROM alarms a JOIN hunts h ON h.id = a.hunt_id
           WHERE h.ended_at < $1 AND a.raised_at < $1 AND a.last_repeat_at < $1 AND a.ring_again_at IS NULL ORDER BY a.number LIMIT 200)"
    ];
    /// Hunts that no alarm refers to any more, with their callees, dials and answers.
    PRUNE_HUNTS = [
        "DELETE FROM hunts WHERE id IN (
           SELECT h.id FROM hunts h WHERE h.ended_at < $1
             AND NOT EXISTS (SELECT 1 FROM alarm_hunts l WHERE l.hunt_id = h.id)
             AND NOT EXISTS (SELECT 1 FROM alarms a WHERE a.hunt_id = h.id) ORDER BY h.id LIMIT 200)"
    ];
    /// What happened to handsets.
    PRUNE_EVENTS = ["DELETE FROM events WHERE alarm_id IS NULL AND hunt_id IS NULL AND at < $1"];
    /// Notices about handsets that were told or given up.
    PRUNE_DELIVERIES = [
        "DELETE FROM deliveries WHERE alarm_id IS NULL AND hunt_id IS NULL AND at < $1
           AND (delivered_at IS NOT NULL OR gave_up_at IS NOT NULL)"
    ];
    /// How many alarms would go.
    COUNT_PRUNABLE = [
        "SELECT count(*) AS prunable FROM alarms a JOIN hunts h ON h.id = a.hunt_id
         WHERE h.ended_at < $1 AND a.raised_at < $1 AND a.last_repeat_at < $1 AND a.ring_again_at IS NULL"
    ];
}

impl Db<'_> {
    /// Forgets up to 200 alarms that ended before then; gives how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prune_alarms(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, PRUNE_ALARMS, before)
    }

    /// Forgets up to 200 hunts that ended before then and belong to no alarm; gives how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prune_hunts(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, PRUNE_HUNTS, before)
    }

    /// Forgets what happened to handsets before then; gives how many lines.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prune_handset_events(&mut self, before: DateTime<Utc>) -> Result<u64> {
        let deliveries = execute!(self, PRUNE_DELIVERIES, before)?;
        Ok(deliveries + execute!(self, PRUNE_EVENTS, before)?)
    }

    /// How many alarms ended before then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_prunable(&mut self, before: DateTime<Utc>) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, COUNT_PRUNABLE, before)?;
        Ok(row.map_or(0, |(count,)| count))
    }
}
