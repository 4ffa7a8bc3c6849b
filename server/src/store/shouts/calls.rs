//! Whom a shout goes to, and what became of each.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::ids::{CalleeId, HuntId};
use crate::shout::CallStatus;
use crate::shout::calls::Call;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// A recipient of a shout as they are stored.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ShoutCallRow {
        /// Which one; clients know the call by this.
        pub id: i64,
        /// Of which shout.
        pub shout_id: i64,
        /// Their place in it, counted from 0.
        pub place: i32,
        /// The number as the sender wrote it.
        pub phone: String,
        /// The number in its comparable form; `None`: it is none.
        pub number: Option<String>,
        /// Where the call stands.
        pub status: CallStatus,
        /// How often it was tried again.
        pub retries: i32,
        /// It is not made before then.
        pub due_at: Option<DateTime<Utc>>,
        /// When its latest try was handed out.
        pub started_at: Option<DateTime<Utc>>,
        /// When that was over.
        pub finished_at: Option<DateTime<Utc>>,
        /// How long they talked, in seconds.
        pub seconds: i64,
        /// The cause of the telephone network.
        pub q850: i32,
        /// Their place in its hunt, since they were called first.
        pub callee_id: Option<CalleeId>,
        /// Who picked up, where the handset could tell: a person, or a machine.
        pub answered_by: Option<String>,
    }
}

impl ShoutCallRow {
    /// What the rules need to know of it.
    #[must_use]
    pub fn call(&self) -> Call {
        Call {
            status: self.status,
            retries: u32::try_from(self.retries).unwrap_or(0),
            due_at: self.due_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            seconds: self.seconds,
            q850: self.q850,
        }
    }
}

/// A recipient to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NewRecipient {
    /// Their place, counted from 0.
    pub place: usize,
    /// The number as the sender wrote it.
    pub phone: String,
    /// The number in its comparable form; `None`: it is none.
    pub number: Option<String>,
    /// Where their call stands.
    pub status: &'static str,
    /// The cause, where it is over before it began.
    pub q850: i32,
}

statements! {
    /// Recipients, in their order.
    INSERT = [
        "INSERT INTO shout_calls (shout_id, place, phone, number, status, q850)
         SELECT $2, n.place, n.phone, n.number, n.status, n.q850 FROM" recipients "ORDER BY n.place"
    ];
    /// Those that are over before they began.
    OVER_AT_ONCE = [
        "UPDATE shout_calls SET finished_at = $2 WHERE shout_id = $1 AND status IN ('failed', 'do not call', 'cancelled')"
    ];
    /// Those that no phone can dial were tried.
    TRIED_AT_ONCE = ["UPDATE shout_calls SET started_at = $2 WHERE shout_id = $1 AND status = 'failed'"];
    /// Those of a shout, in their order.
    OF_SHOUT = ["SELECT * FROM shout_calls WHERE shout_id = $1 ORDER BY place"];
    /// Of those that wait for a time, the one that has been due for longest.
    NEXT_AGAIN = [
        "SELECT * FROM shout_calls WHERE shout_id = $1 AND status = 'ready' AND due_at <= $2 ORDER BY due_at, place LIMIT 1"
    ];
    /// The first that waits for its turn alone.
    NEXT_FIRST = ["SELECT * FROM shout_calls WHERE shout_id = $1 AND status = 'ready' AND due_at IS NULL ORDER BY place LIMIT 1"];
    /// When the next one that waits for a time is due.
    NEXT_DUE_AT = ["SELECT min(due_at) AS at FROM shout_calls WHERE shout_id = $1 AND status = 'ready'"];
    /// When the last one is.
    LAST_DUE_AT = ["SELECT max(due_at) AS at FROM shout_calls WHERE shout_id = $1 AND status = 'ready'"];
    /// The dial in which somebody was called last.
    LATEST_DIAL = [
        "SELECT d.mid FROM dial_targets t JOIN dials d ON d.mid = t.mid WHERE t.callee_id = $1 ORDER BY d.offered_at DESC, d.mid DESC LIMIT 1"
    ];
    /// Those of a shout that stand so.
    WITH_STATUS = ["SELECT * FROM shout_calls WHERE shout_id = $1 AND status = $2 ORDER BY place"];
    /// Those that a handset was given, and that no open dial is about.
    UNHEARD = [
        "SELECT c.* FROM shout_calls c WHERE c.shout_id = $1 AND c.status = 'ongoing' AND NOT EXISTS (
           SELECT 1 FROM dial_targets t JOIN dials d ON d.mid = t.mid WHERE t.callee_id = c.callee_id AND d.closed_at IS NULL)
         ORDER BY c.place"
    ];
    /// The recipient whom a callee of a hunt stands for.
    OF_CALLEE = ["SELECT * FROM shout_calls WHERE callee_id = $1"];
    /// What became of one.
    SET = [
        "UPDATE shout_calls SET status = $2, retries = $3, due_at = $4, started_at = $5, finished_at = $6, seconds = $7, q850 = $8 WHERE id = $1"
    ];
    /// Their place in its hunt.
    SET_CALLEE = ["UPDATE shout_calls SET callee_id = $2 WHERE id = $1"];
    /// Not before then.
    SET_DUE = ["UPDATE shout_calls SET due_at = $2 WHERE id = $1"];
    /// All those wait for their turn whose shout had no message.
    READY = ["UPDATE shout_calls SET status = 'ready' WHERE shout_id = $1 AND status = 'pending'"];
    /// Those of a shout that are not over.
    OPEN = ["SELECT * FROM shout_calls WHERE shout_id = $1 AND status IN ('pending', 'ready', 'ongoing') ORDER BY place"];
    /// All that are not over are over.
    END_OPEN = [
        "UPDATE shout_calls SET status = $2, finished_at = $3, due_at = NULL
         WHERE shout_id = $1 AND status IN ('pending', 'ready', 'ongoing')"
    ];
    /// Whether one of them is not over.
    ONE_OPEN = ["SELECT id FROM shout_calls WHERE shout_id = $1 AND status IN ('pending', 'ready', 'ongoing') LIMIT 1"];
    /// When the last one was over.
    LAST_END = ["SELECT max(finished_at) AS at FROM shout_calls WHERE shout_id = $1"];
    /// How many of a shout stand where.
    COUNTS = ["SELECT status, count(*) AS calls FROM shout_calls WHERE shout_id = $1 GROUP BY status ORDER BY status"];
    /// How many of a shout stand where, and which of them a machine answered.
    TALLY = [
        "SELECT status, coalesce(answered_by, '') AS answered_by, count(*) AS calls FROM shout_calls WHERE shout_id = $1
         GROUP BY status, coalesce(answered_by, '')"
    ];
    /// Who picked up.
    ANSWERED_BY = ["UPDATE shout_calls SET answered_by = $2 WHERE id = $1"];
    /// Those under way, the latest first.
    UNDER_WAY = [
        "SELECT * FROM shout_calls WHERE shout_id = $1 AND status = 'ongoing' ORDER BY started_at DESC, place LIMIT $2"
    ];
    /// Those that were over last.
    OVER_LATELY = [
        "SELECT * FROM shout_calls WHERE shout_id = $1 AND finished_at IS NOT NULL ORDER BY finished_at DESC, place LIMIT $2"
    ];
    /// Some of a shout behind a place.
    BEHIND = ["SELECT * FROM shout_calls WHERE shout_id = $1 AND place > $2 ORDER BY place LIMIT $3"];
    /// Of those that stand so.
    BEHIND_WITH = ["SELECT * FROM shout_calls WHERE shout_id = $1 AND place > $2 AND status = $4 ORDER BY place LIMIT $3"];
    /// Whether somebody opted out in a call of a shout.
    OPTED_OUT = ["SELECT id FROM shout_calls WHERE shout_id = $1 AND status = 'added to do not call' LIMIT 1"];
    /// The numbers of a shout, in their order.
    PHONES = ["SELECT phone FROM shout_calls WHERE shout_id = $1 ORDER BY place"];
    /// Calls of shouts that keep a number from an urgent alarm which has waited for it since before then.
    IN_THE_WAY = [
        "SELECT DISTINCT d.mid, h.id AS hunt_id FROM hunts h CROSS JOIN dial_targets t CROSS JOIN dials d CROSS JOIN hunts s
         WHERE h.busy_phone IS NOT NULL AND h.busy_since <= $1 AND h.ended_at IS NULL
           AND t.phone = h.busy_phone AND t.holds AND d.mid = t.mid AND d.closed_at IS NULL
           AND s.id = d.hunt_id AND s.kind = 'shout'
         ORDER BY d.mid, h.id LIMIT 100"
    ];
    /// A dial is given no longer than until then.
    NO_LONGER_THAN = ["UPDATE dials SET deadline = $2 WHERE mid = $1 AND deadline > $2 AND closed_at IS NULL"];
    /// The dials of a hunt that go on.
    CALLS_UNDER_WAY = ["SELECT count(*) AS calls FROM dials WHERE hunt_id = $1 AND closed_at IS NULL"];
}

impl Db<'_> {
    /// Keeps the recipients of a shout.
    pub async fn insert_recipients(&mut self, shout: i64, recipients: &[NewRecipient], now: DateTime<Utc>) -> Result<()> {
        let list = serde_json::json!(recipients).to_string();
        execute!(self, INSERT, list, shout)?;
        execute!(self, OVER_AT_ONCE, shout, now)?;
        execute!(self, TRIED_AT_ONCE, shout, now).map(|_| ())
    }

    /// The recipients of a shout, in their order.
    pub async fn shout_calls(&mut self, shout: i64) -> Result<Vec<ShoutCallRow>> {
        fetch_all!(self, OF_SHOUT, shout)
    }

    /// The recipient of a shout who waited for a time, and has been due for longest.
    pub async fn next_shout_call_again(&mut self, shout: i64, now: DateTime<Utc>) -> Result<Option<ShoutCallRow>> {
        fetch_optional!(self, NEXT_AGAIN, shout, now)
    }

    /// The next recipient of a shout who waits for nothing but their turn.
    pub async fn next_shout_call(&mut self, shout: i64) -> Result<Option<ShoutCallRow>> {
        fetch_optional!(self, NEXT_FIRST, shout)
    }

    /// When the last recipient of a shout is due who waits for a time.
    pub async fn last_shout_call_at(&mut self, shout: i64) -> Result<Option<DateTime<Utc>>> {
        let row: Option<(Option<DateTime<Utc>>,)> = fetch_optional!(self, LAST_DUE_AT, shout)?;
        Ok(row.and_then(|(at,)| at))
    }

    /// Whether a dial is the one in which somebody was called last.
    pub async fn is_latest_dial_of(&mut self, callee: CalleeId, mid: &str) -> Result<bool> {
        let row: Option<(String,)> = fetch_optional!(self, LATEST_DIAL, callee)?;
        Ok(row.is_some_and(|(latest,)| latest == mid))
    }

    /// When the next recipient of a shout is due who waits for a time.
    pub async fn next_shout_call_at(&mut self, shout: i64) -> Result<Option<DateTime<Utc>>> {
        let row: Option<(Option<DateTime<Utc>>,)> = fetch_optional!(self, NEXT_DUE_AT, shout)?;
        Ok(row.and_then(|(at,)| at))
    }

    /// The recipients of a shout whose calls stand so.
    pub async fn shout_calls_with(&mut self, shout: i64, status: CallStatus) -> Result<Vec<ShoutCallRow>> {
        fetch_all!(self, WITH_STATUS, shout, status)
    }

    /// The recipients of a shout of whose calls no handset will tell any more.
    pub async fn unheard_shout_calls(&mut self, shout: i64) -> Result<Vec<ShoutCallRow>> {
        fetch_all!(self, UNHEARD, shout)
    }

    /// The recipient whom a callee of a shout's hunt stands for.
    pub async fn shout_call_of(&mut self, callee: CalleeId) -> Result<Option<ShoutCallRow>> {
        fetch_optional!(self, OF_CALLEE, callee)
    }

    /// Keeps what became of a recipient.
    pub async fn set_shout_call(&mut self, id: i64, call: &Call) -> Result<()> {
        let retries = i32::try_from(call.retries).unwrap_or(i32::MAX);
        let Call { status, due_at, started_at, finished_at, seconds, q850, .. } = call;
        execute!(self, SET, id, *status, retries, *due_at, *started_at, *finished_at, *seconds, *q850).map(|_| ())
    }

    /// Notes as which callee a recipient is called.
    pub async fn set_shout_callee(&mut self, id: i64, callee: CalleeId) -> Result<()> {
        execute!(self, SET_CALLEE, id, callee).map(|_| ())
    }

    /// A recipient is not called before then.
    pub async fn put_shout_call_off(&mut self, id: i64, due_at: DateTime<Utc>) -> Result<()> {
        execute!(self, SET_DUE, id, due_at).map(|_| ())
    }

    /// The message is there: all who wait for it wait for their turn.
    pub async fn shout_calls_are_ready(&mut self, shout: i64) -> Result<()> {
        execute!(self, READY, shout).map(|_| ())
    }

    /// Ends all calls of a shout that are not over; gives them as they were.
    pub async fn end_shout_calls(&mut self, shout: i64, status: CallStatus, now: DateTime<Utc>) -> Result<Vec<ShoutCallRow>> {
        let open = fetch_all!(self, OPEN, shout)?;
        execute!(self, END_OPEN, shout, status, now)?;
        Ok(open)
    }

    /// Whether a call of a shout is not over.
    pub async fn has_open_shout_call(&mut self, shout: i64) -> Result<bool> {
        let row: Option<(i64,)> = fetch_optional!(self, ONE_OPEN, shout)?;
        Ok(row.is_some())
    }

    /// When the last call of a shout was over.
    pub async fn last_shout_call_ended(&mut self, shout: i64) -> Result<Option<DateTime<Utc>>> {
        let row: Option<(Option<DateTime<Utc>>,)> = fetch_optional!(self, LAST_END, shout)?;
        Ok(row.and_then(|(at,)| at))
    }

    /// How many calls of a shout stand where.
    pub async fn shout_call_counts(&mut self, shout: i64) -> Result<Vec<(CallStatus, i64)>> {
        fetch_all!(self, COUNTS, shout)
    }

    /// How many calls of a shout stand where; of those that are answered, by a person, a machine, or nobody knows.
    pub async fn shout_tally(&mut self, shout: i64) -> Result<Vec<(CallStatus, String, i64)>> {
        fetch_all!(self, TALLY, shout)
    }

    /// Notes who picked up: `human` or `machine`.
    pub async fn set_answered_by(&mut self, id: i64, who: &str) -> Result<()> {
        execute!(self, ANSWERED_BY, id, who).map(|_| ())
    }

    /// The calls of a shout that are under way, the latest first.
    pub async fn shout_calls_under_way(&mut self, shout: i64, most: i64) -> Result<Vec<ShoutCallRow>> {
        fetch_all!(self, UNDER_WAY, shout, most)
    }

    /// The calls of a shout that were over last.
    pub async fn shout_calls_lately(&mut self, shout: i64, most: i64) -> Result<Vec<ShoutCallRow>> {
        fetch_all!(self, OVER_LATELY, shout, most)
    }

    /// Calls of a shout behind a place, in their order: all, or those that stand so.
    pub async fn shout_calls_behind(
        &mut self,
        shout: i64,
        place: i32,
        most: i64,
        status: Option<CallStatus>,
    ) -> Result<Vec<ShoutCallRow>> {
        match status {
            Some(status) => fetch_all!(self, BEHIND_WITH, shout, place, most, status),
            None => fetch_all!(self, BEHIND, shout, place, most),
        }
    }

    /// Whether somebody opted out in a call of a shout.
    pub async fn shout_was_opted_out_of(&mut self, shout: i64) -> Result<bool> {
        let row: Option<(i64,)> = fetch_optional!(self, OPTED_OUT, shout)?;
        Ok(row.is_some())
    }

    /// The numbers of a shout, as its sender wrote them.
    pub async fn shout_phones(&mut self, shout: i64) -> Result<Vec<String>> {
        let rows: Vec<(String,)> = fetch_all!(self, PHONES, shout)?;
        Ok(rows.into_iter().map(|(phone,)| phone).collect())
    }

    /// The calls of shouts, by their mid, that keep a number from an urgent alarm which has waited for it since before then, each with the hunt
    /// of that alarm.
    pub async fn shout_calls_in_the_way(&mut self, since: DateTime<Utc>) -> Result<Vec<(String, HuntId)>> {
        fetch_all!(self, IN_THE_WAY, since)
    }

    /// Gives an open dial no longer than until then.
    pub async fn shorten_dial(&mut self, mid: &str, deadline: DateTime<Utc>) -> Result<()> {
        execute!(self, NO_LONGER_THAN, mid, deadline).map(|_| ())
    }

    /// How many calls of a hunt are under way.
    pub async fn calls_under_way(&mut self, hunt: HuntId) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, CALLS_UNDER_WAY, hunt)?;
        Ok(row.map_or(0, |(calls,)| calls))
    }
}
