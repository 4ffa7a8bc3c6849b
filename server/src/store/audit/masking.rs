//! Masking the numbers in what is long over: hunt by hunt in the order in which they ended, and later those that were not over then.

use chrono::{DateTime, Utc};
use serde_json::Value as JsonValue;
use sqlx::types::Json;

use super::copies::hidden;
use crate::audit::forget::Known;
use crate::ids::{CalleeId, HuntId};
use crate::numbers::masked;
use crate::store::dialect::{fragment, statements};
use crate::store::retention::EndedHunt;
use crate::store::statement::{execute, fetch_all};
use crate::store::{Db, Result};

statements! {
    /// The next hunts in the order in which they ended.
    ENDED = ["SELECT ended_at, id FROM hunts WHERE ended_at < $1 AND (ended_at, id) > ($2, $3) ORDER BY ended_at, id LIMIT 20"];
    /// Those of these hunts that have an alarm which is not long over: one that is open and was heard of since, is to ring or rings. One of
    /// which nobody has spoken for so long is over, as it is for retention.
    NOT_OVER = [
        "SELECT DISTINCT l.hunt_id FROM alarm_hunts l JOIN alarms a ON a.id = l.alarm_id JOIN hunts h ON h.id = a.hunt_id
         WHERE (a.cancelled_at >= $2 OR a.resolved_at >= $2
             OR (a.cancelled_at IS NULL AND a.resolved_at IS NULL
                AND (a.ring_again_at IS NOT NULL OR a.last_repeat_at >= $2 OR h.ended_at IS NULL OR h.ended_at >= $2)))
           AND l.hunt_id" in_list
    ];
    /// A hunt was passed over.
    PASS_OVER = ["INSERT INTO unmasked_hunts (hunt_id) SELECT id FROM hunts WHERE id = $1 ON CONFLICT (hunt_id) DO NOTHING"];
    /// Those that were.
    PASSED_OVER = ["SELECT hunt_id FROM unmasked_hunts WHERE hunt_id > $1 ORDER BY hunt_id LIMIT 20"];
    /// These are masked.
    MASKED = ["DELETE FROM unmasked_hunts WHERE hunt_id" in_list];
    /// Numbers of the callees of a hunt, in their order.
    NUMBERS = [
        "SELECT step, position, number FROM callees WHERE hunt_id = $1 AND (step, position) > ($2, $3) ORDER BY step, position LIMIT 500"
    ];
    /// Numbers of its answers.
    NUMBERS_OF_ANSWERS = ["SELECT number FROM answers WHERE hunt_id = $1 AND number IS NOT NULL AND number NOT LIKE '%*%' LIMIT 2000"];
    /// Some callees of a hunt whose numbers are not masked.
    CALLEES = ["SELECT id, number FROM callees WHERE hunt_id = $1 AND number NOT LIKE '%*%' ORDER BY step, position LIMIT 250"];
    /// A callee with a masked number.
    MASK_CALLEE = ["UPDATE callees SET number = $2, phone = $2 WHERE id = $1"];
    /// The same in the calls that were made.
    MASK_TARGETS = ["UPDATE dial_targets SET number = $2, phone = $2 WHERE callee_id = $1 AND NOT holds"];
    /// Lines in their order. Among them are those of whoever wanted to be rung no more, which stand beside all alarms; to look for these alone
    /// may take as long as there are others between.
    LINES = ["SELECT id, at, kind, body FROM events WHERE at < $1 AND (at, id) > ($2, $3) ORDER BY at, id LIMIT 500"];
}

/// So many callees are masked in one transaction.
const CALLEES_AT_ONCE: usize = 250;

/// A line, and when it was written.
type Line = (i64, DateTime<Utc>, String, Json<JsonValue>);

impl Db<'_> {
    /// The next few hunts after one, of those that ended before then, in the order in which they ended; also those that somebody works on.
    pub async fn hunts_to_mask(&mut self, before: DateTime<Utc>, after: EndedHunt) -> Result<Vec<EndedHunt>> {
        fetch_all!(self, ENDED, before, after.ended_at, after.id)
    }

    /// Those that were passed over, behind one.
    pub async fn hunts_passed_over(&mut self, after: HuntId) -> Result<Vec<HuntId>> {
        let rows: Vec<(HuntId,)> = fetch_all!(self, PASSED_OVER, after)?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// Passes hunts over for now.
    pub async fn pass_over(&mut self, hunts: &[HuntId]) -> Result<()> {
        for hunt in hunts {
            execute!(self, PASS_OVER, *hunt)?;
        }
        Ok(())
    }

    /// These hunts are masked.
    pub async fn note_masked(&mut self, hunts: &[HuntId]) -> Result<()> {
        execute!(self, MASKED, serde_json::json!(hunts).to_string()).map(|_| ())
    }

    /// Those of these hunts whose alarms are not all over since before then.
    pub async fn not_over(&mut self, hunts: &[HuntId], before: DateTime<Utc>) -> Result<Vec<HuntId>> {
        let rows: Vec<(HuntId,)> = fetch_all!(self, NOT_OVER, serde_json::json!(hunts).to_string(), before)?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// The numbers in these hunts: of callees and of answers.
    pub async fn numbers_in(&mut self, hunts: &[HuntId]) -> Result<Vec<String>> {
        let mut numbers = Vec::new();
        for hunt in hunts {
            let mut after = (i32::MIN, i32::MIN);
            loop {
                let rows: Vec<(i32, i32, String)> = fetch_all!(self, NUMBERS, *hunt, after.0, after.1)?;
                let Some((step, position, _)) = rows.last() else { break };
                after = (*step, *position);
                numbers.extend(rows.into_iter().map(|(_, _, number)| number));
            }
            let answers: Vec<(String,)> = fetch_all!(self, NUMBERS_OF_ANSWERS, *hunt)?;
            numbers.extend(answers.into_iter().map(|(number,)| number));
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    /// Masks the numbers of some callees of a hunt that is over, and of the calls that were made to them. Last of all: by them the rest is
    /// found. Gives whether there may be more.
    pub async fn mask_callees(&mut self, hunt: HuntId) -> Result<bool> {
        // It may have been forgotten as a whole since it was found.
        if self.hunt(hunt).await?.is_none() || self.lock_hunt(hunt).await?.ended_at.is_none() {
            return Ok(false);
        }
        let rows: Vec<(CalleeId, String)> = fetch_all!(self, CALLEES, hunt)?;
        let more = rows.len() >= CALLEES_AT_ONCE;
        for (id, number) in rows {
            let left = hidden(&masked(&number));
            execute!(self, MASK_CALLEE, id, left.as_str())?;
            execute!(self, MASK_TARGETS, id, left.as_str())?;
        }
        Ok(more)
    }

    /// Masks numbers in those of a portion of all lines that stand beside all alarms, from before then and behind this one; gives the last.
    pub async fn mask_lines(
        &mut self,
        before: DateTime<Utc>,
        after: (DateTime<Utc>, i64),
    ) -> Result<Option<(DateTime<Utc>, i64)>> {
        let rows: Vec<Line> = fetch_all!(self, LINES, before, after.0, after.1)?;
        let last = rows.last().map(|(id, at, ..)| (*at, *id));
        for (id, _, kind, Json(mut body)) in rows {
            if kind != crate::alarm::event::EventKind::OptedOut.as_str() {
                continue;
            }
            let known = Known::only_numbers(body["number"].as_str().map(str::to_owned).into_iter().collect());
            if known.forget_in(&mut body) {
                self.set_event(id, body).await?;
            }
        }
        Ok(last)
    }
}
