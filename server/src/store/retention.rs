//! Forgetting what is long over: in portions that are found by an index, so that it takes as long as there is to forget and nobody
//! waits for it.

use chrono::{DateTime, Utc};

use super::dialect::{fragment, statements};
use super::statement::{execute, fetch_all, fetch_optional, row};
use super::{Db, Result};
use crate::ids::HuntId;

/// At most so many alarms are forgotten in one transaction.
pub const ALARMS_AT_ONCE: u64 = 100;
/// At most so many other lines.
pub const LINES_AT_ONCE: u64 = 500;

row! {
    /// A hunt that is over, by the order in which hunts ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct EndedHunt {
        /// When it ended.
        pub ended_at: DateTime<Utc>,
        /// Which one.
        pub id: HuntId,
    }
}

impl EndedHunt {
    /// Before all others.
    pub const FIRST: Self = Self { ended_at: DateTime::UNIX_EPOCH, id: HuntId(uuid::Uuid::nil()) };
}

statements! {
    /// The next hunts in the order in which they ended; one that somebody works on is left for the next time.
    ENDED = [
        "SELECT ended_at, id FROM hunts WHERE ended_at < $1 AND (ended_at, id) > ($2, $3) ORDER BY ended_at, id LIMIT 100" skip_locked
    ];
    /// Earlier hunts of the alarms that go with these hunts.
    EARLIER = [
        "SELECT DISTINCT l.hunt_id FROM alarms a JOIN alarm_hunts l ON l.alarm_id = a.id
         WHERE l.hunt_id <> a.hunt_id AND a.raised_at < $2 AND a.last_repeat_at < $2 AND a.ring_again_at IS NULL AND a.hunt_id" in_list
    ];
    /// The alarms of these hunts that were not heard of since, and ring no more. What belongs to them alone goes with them.
    PRUNE_ALARMS = [
        "DELETE FROM alarms WHERE id IN (
           SELECT a.id FROM alarms a WHERE a.raised_at < $2 AND a.last_repeat_at < $2 AND a.ring_again_at IS NULL AND a.hunt_id" in_list
        "ORDER BY a.number LIMIT 100)"
    ];
    /// Those of these hunts to which no alarm refers any more, with their callees, dials and answers.
    PRUNE_HUNTS = [
        "DELETE FROM hunts WHERE ended_at < $2 AND NOT EXISTS (SELECT 1 FROM alarm_hunts l WHERE l.hunt_id = hunts.id)
           AND NOT EXISTS (SELECT 1 FROM alarms a WHERE a.hunt_id = hunts.id) AND id" in_list
    ];
    /// What happened to handsets.
    PRUNE_EVENTS = [
        "DELETE FROM events WHERE id IN (
           SELECT id FROM events WHERE at < $1 AND" unindexed "alarm_id IS NULL AND" unindexed "hunt_id IS NULL ORDER BY at LIMIT 500)"
    ];
    /// Notices about handsets that were told or given up.
    PRUNE_DELIVERIES = [
        "DELETE FROM deliveries WHERE id IN (
           SELECT id FROM deliveries WHERE at < $1 AND" unindexed "alarm_id IS NULL AND" unindexed "hunt_id IS NULL
             AND (delivered_at IS NOT NULL OR gave_up_at IS NOT NULL) ORDER BY at LIMIT 500)"
    ];
    /// The end of the next portion to be counted.
    COUNT_UP_TO = [
        "SELECT ended_at, id FROM hunts WHERE ended_at < $1 AND (ended_at, id) > ($2, $3) ORDER BY ended_at, id LIMIT 1 OFFSET 9999"
    ];
    /// How many alarms of a portion would go.
    COUNT_PRUNABLE = [
        "SELECT count(*) AS prunable FROM hunts h CROSS JOIN alarms a
         WHERE h.ended_at < $1 AND (h.ended_at, h.id) > ($2, $3) AND (h.ended_at, h.id) <= ($4, $5)
           AND a.hunt_id = h.id AND a.raised_at < $1 AND a.last_repeat_at < $1 AND a.ring_again_at IS NULL"
    ];
}

impl Db<'_> {
    /// The next up to 100 hunts after one, of those that ended before then, in the order in which they ended.
    pub async fn hunts_ended(&mut self, before: DateTime<Utc>, after: EndedHunt) -> Result<Vec<EndedHunt>> {
        fetch_all!(self, ENDED, before, after.ended_at, after.id)
    }

    /// Forgets up to [`ALARMS_AT_ONCE`] alarms of these hunts, and those hunts to which no alarm refers any more; gives how many
    /// alarms.
    pub async fn prune_hunts(&mut self, hunts: &[EndedHunt], before: DateTime<Utc>) -> Result<u64> {
        let ids: Vec<HuntId> = hunts.iter().map(|hunt| hunt.id).collect();
        let list = list(&ids);
        let earlier: Vec<(HuntId,)> = fetch_all!(self, EARLIER, list.as_str(), before)?;
        let alarms = execute!(self, PRUNE_ALARMS, list.as_str(), before)?;
        let emptied: Vec<HuntId> = ids.into_iter().chain(earlier.into_iter().map(|(id,)| id)).collect();
        let emptied = self::list(&emptied);
        execute!(self, PRUNE_HUNTS, emptied.as_str(), before)?;
        self.forget_counted_hunts(&emptied).await?;
        Ok(alarms)
    }

    /// Forgets up to [`LINES_AT_ONCE`] of each kind of line about what happened to handsets before then; gives how many.
    pub async fn prune_handset_events(&mut self, before: DateTime<Utc>) -> Result<u64> {
        let deliveries = execute!(self, PRUNE_DELIVERIES, before)?;
        Ok(deliveries + execute!(self, PRUNE_EVENTS, before)?)
    }

    /// How many alarms ended before then. Counted in portions: no statement takes longer because there are more.
    pub async fn count_prunable(&mut self, before: DateTime<Utc>) -> Result<i64> {
        let last = EndedHunt { ended_at: before, id: HuntId(uuid::Uuid::max()) };
        let mut count = 0;
        let mut after = EndedHunt::FIRST;
        loop {
            let end: Option<EndedHunt> = fetch_optional!(self, COUNT_UP_TO, before, after.ended_at, after.id)?;
            let up_to = end.unwrap_or(last);
            let row: Option<(i64,)> =
                fetch_optional!(self, COUNT_PRUNABLE, before, after.ended_at, after.id, up_to.ended_at, up_to.id)?;
            count += row.map_or(0, |(count,)| count);
            match end {
                Some(end) => after = end,
                None => return Ok(count),
            }
        }
    }
}

/// Ids as a JSON list.
fn list(ids: &[HuntId]) -> String {
    serde_json::json!(ids).to_string()
}
