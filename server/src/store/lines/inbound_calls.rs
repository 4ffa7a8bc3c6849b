//! Calls that came in on a handset, and were taken: who called, about what, and what they said with a key.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::types::Json;

use crate::alarm::KeyAction;
use crate::ids::{AlarmId, CalleeId, HandsetId, HuntId};
use crate::store::dialect::{fragment, statements};
use crate::store::media::recordings::Records;
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

/// A question for alarms that was on its way when a call came in has come by then.
const ASKED_BEFORE: TimeDelta = TimeDelta::seconds(10);

row! {
    /// A call that came in.
    #[derive(Clone, Debug)]
    pub struct InboundCallRow {
        /// Its name from then on, as that of a dial.
        pub mid: String,
        /// On which handset.
        pub handset_id: HandsetId,
        /// What its handset calls it.
        pub told_as: String,
        /// On which of its channels, counted from 0.
        pub channel: i32,
        /// Who called, as the network says.
        pub caller: String,
        /// Whom.
        pub called: String,
        /// The caller's number in its comparable form.
        pub number: String,
        /// The hunt of what it is about, when it came.
        pub hunt_id: HuntId,
        /// As which callee they had been rung.
        pub callee_id: CalleeId,
        /// What it is about.
        pub alarms: Json<Vec<AlarmId>>,
        /// When it came.
        pub at: DateTime<Utc>,
        /// It is over by then, whatever is heard of it.
        pub deadline: DateTime<Utc>,
        /// When it was over.
        pub ended_at: Option<DateTime<Utc>>,
        /// The first word that was said with a key.
        pub action: Option<KeyAction>,
        /// When it was said.
        pub acted_at: Option<DateTime<Utc>>,
        /// Why its handset was told to record.
        pub records: Option<Records>,
    }
}

impl InboundCallRow {
    /// Whether it goes on, as far as is known.
    #[must_use]
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.ended_at.is_none() && self.deadline > now
    }

    /// Whether it keeps its channel from whoever asked for alarms there at `asked_at`. A handset asks for nothing on a channel that is in a call:
    /// one that does has been started anew, and knows nothing of it.
    #[must_use]
    pub fn keeps_channel(&self, asked_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        self.is_open(now) && asked_at < self.at + ASKED_BEFORE
    }
}

statements! {
    /// A call comes in; nothing when it was told before.
    INSERT = [
        "INSERT INTO inbound_calls (mid, handset_id, told_as, channel, caller, called, number, hunt_id, callee_id, alarms, at, deadline,
                                    records)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING"
    ];
    /// By its name.
    GET = ["SELECT * FROM inbound_calls WHERE mid = $1"];
    /// The same, locked until the transaction ends.
    LOCK = ["SELECT * FROM inbound_calls WHERE mid = $1" for_update];
    /// By what its handset calls it.
    TOLD_AS = ["SELECT * FROM inbound_calls WHERE handset_id = $1 AND told_as = $2"];
    /// Those on a handset's channels that were not said to be over.
    OPEN = ["SELECT * FROM inbound_calls WHERE handset_id = $1 AND ended_at IS NULL"];
    /// How many of a number came in since then.
    OF_NUMBER = ["SELECT count(*) AS calls FROM inbound_calls WHERE number = $1 AND at > $2"];
    /// The latest calls of a number in which something was said with a key.
    SAID_IN = ["SELECT * FROM inbound_calls WHERE number = $1 AND at > $2 AND action IS NOT NULL ORDER BY at DESC LIMIT 50"];
    /// Those on any handset.
    OPEN_ANYWHERE = ["SELECT * FROM inbound_calls WHERE ended_at IS NULL"];
    /// The names of all that go on.
    OPEN_MIDS = ["SELECT mid FROM inbound_calls WHERE ended_at IS NULL AND deadline > $1"];
    /// It goes on until then at least.
    GOES_ON = ["UPDATE inbound_calls SET deadline = $2 WHERE mid = $1 AND deadline < $2"];
    /// It is over.
    END = ["UPDATE inbound_calls SET ended_at = $2 WHERE mid = $1 AND ended_at IS NULL"];
    /// What was on a channel before is over, no later than was to be expected: there is another call.
    END_ON = [
        "UPDATE inbound_calls SET ended_at = CASE WHEN deadline < $3 THEN deadline ELSE $3 END
         WHERE handset_id = $1 AND channel = $2 AND ended_at IS NULL"
    ];
    /// The first word that is said with a key.
    SAID = ["UPDATE inbound_calls SET action = $2, acted_at = $3 WHERE mid = $1 AND action IS NULL"];
    /// Forgets old ones.
    FORGET = ["DELETE FROM inbound_calls WHERE mid IN (SELECT mid FROM inbound_calls WHERE at < $1 ORDER BY at LIMIT 500)"];
}

impl Db<'_> {
    /// Keeps a call that came in; false when its handset had told of it before.
    pub async fn insert_inbound_call(&mut self, call: &InboundCallRow) -> Result<bool> {
        changed_one!(
            self,
            INSERT,
            call.mid.as_str(),
            call.handset_id,
            call.told_as.as_str(),
            call.channel,
            call.caller.as_str(),
            call.called.as_str(),
            call.number.as_str(),
            call.hunt_id,
            call.callee_id,
            Json(&call.alarms.0),
            call.at,
            call.deadline,
            call.records,
        )
    }

    /// A call that came in, by its name.
    pub async fn inbound_call(&mut self, mid: &str) -> Result<Option<InboundCallRow>> {
        fetch_optional!(self, GET, mid)
    }

    /// The same, locked until the transaction ends.
    pub async fn lock_inbound_call(&mut self, mid: &str) -> Result<Option<InboundCallRow>> {
        fetch_optional!(self, LOCK, mid)
    }

    /// A call that came in, by what its handset calls it.
    pub async fn inbound_call_told_as(&mut self, handset: HandsetId, told_as: &str) -> Result<Option<InboundCallRow>> {
        fetch_optional!(self, TOLD_AS, handset, told_as)
    }

    /// The calls that came in on a handset and were not said to be over.
    pub async fn inbound_calls_on(&mut self, handset: HandsetId) -> Result<Vec<InboundCallRow>> {
        fetch_all!(self, OPEN, handset)
    }

    /// How many calls of a number came in since then, and were taken.
    pub async fn count_inbound_of(&mut self, number: &str, since: DateTime<Utc>) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, OF_NUMBER, number, since)?;
        Ok(row.map_or(0, |(calls,)| calls))
    }

    /// The latest calls of a number since then in which something was said with a key, at most 50.
    pub async fn said_in_calls_of(&mut self, number: &str, since: DateTime<Utc>) -> Result<Vec<InboundCallRow>> {
        fetch_all!(self, SAID_IN, number, since)
    }

    /// The calls that came in anywhere and were not said to be over.
    pub async fn inbound_calls_open(&mut self) -> Result<Vec<InboundCallRow>> {
        fetch_all!(self, OPEN_ANYWHERE)
    }

    /// The names of the calls that came in and go on.
    pub async fn open_inbound_mids(&mut self, now: DateTime<Utc>) -> Result<Vec<String>> {
        let rows: Vec<(String,)> = fetch_all!(self, OPEN_MIDS, now)?;
        Ok(rows.into_iter().map(|(mid,)| mid).collect())
    }

    /// A call that came in goes on until then at least, as far as is known.
    pub async fn inbound_goes_on(&mut self, mid: &str, deadline: DateTime<Utc>) -> Result<()> {
        execute!(self, GOES_ON, mid, deadline).map(|_| ())
    }

    /// A call that came in is over.
    pub async fn end_inbound_call(&mut self, mid: &str, now: DateTime<Utc>) -> Result<()> {
        execute!(self, END, mid, now).map(|_| ())
    }

    /// Whatever call came in on a channel before is over.
    pub async fn end_inbound_on(&mut self, handset: HandsetId, channel: i32, now: DateTime<Utc>) -> Result<()> {
        execute!(self, END_ON, handset, channel, now).map(|_| ())
    }

    /// Notes the first word that is said with a key in a call that came in; false when one was said before.
    pub async fn said_in_inbound(&mut self, mid: &str, action: KeyAction, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, SAID, mid, action, now)
    }

    /// Forgets up to 500 calls that came in before then; gives how many.
    pub async fn forget_inbound_calls(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, FORGET, before)
    }
}
