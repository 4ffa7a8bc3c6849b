//! Heartbeats: who has to say regularly that it lives, and when it last did.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use crate::alarm::Priority;
use crate::ids::HeartbeatId;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};
use crate::versions::Version;

row! {
    /// A heartbeat as it is stored.
    #[derive(Clone, Debug)]
    pub struct HeartbeatRow {
        /// Which one.
        pub id: HeartbeatId,
        /// Who is to be heard, such as nightly-backup.
        pub name: String,
        /// SHA-256 of the token it pings with.
        pub token_hash: Vec<u8>,
        /// It pings at least this often, in seconds.
        pub period_s: i32,
        /// It may be late by so many seconds.
        pub grace_s: i32,
        /// Whom to ring when it is missed; empty: `alarms.fallback_phones`.
        pub phones: Json<Vec<String>>,
        /// Labels of that alarm.
        pub labels: Json<BTreeMap<String, String>>,
        /// How urgent that alarm is.
        pub priority: Priority,
        /// When it was made.
        pub created_at: DateTime<Utc>,
        /// Its last ping.
        pub last_ping_at: Option<DateTime<Utc>>,
        /// Without a ping by then it is missed; `None` before the first one.
        pub due_at: Option<DateTime<Utc>>,
        /// Since when it is missed.
        pub missed_since: Option<DateTime<Utc>>,
    }
}

impl HeartbeatRow {
    /// The version of what operators say of it: a ping is no other one.
    #[must_use]
    pub fn version(&self) -> Version {
        Version::of(&(self.id, &self.name, self.period_s, self.grace_s, &self.phones, &self.labels, self.priority))
    }
}

statements! {
    /// A new heartbeat, which waits for its first ping.
    INSERT = [
        "INSERT INTO heartbeats (id, name, token_hash, period_s, grace_s, phones, labels, priority, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    ];
    /// It is expected in another rhythm, or other people are rung. A shorter one counts from its last ping.
    CHANGE = [
        "UPDATE heartbeats SET period_s = $2, grace_s = $3, phones = $4, labels = $5, priority = $6,
                due_at = CASE WHEN missed_since IS NULL AND last_ping_at IS NOT NULL THEN $7 ELSE due_at END WHERE id = $1"
    ];
    /// All of them.
    LIST = ["SELECT * FROM heartbeats ORDER BY name"];
    /// One.
    GET = ["SELECT * FROM heartbeats WHERE id = $1"];
    /// The one with a token.
    BY_TOKEN = ["SELECT * FROM heartbeats WHERE token_hash = $1"];
    /// It lives.
    PINGED = ["UPDATE heartbeats SET last_ping_at = $2, due_at = $3, missed_since = NULL WHERE id = $1"];
    /// It lives, and was not missed.
    PINGED_IN_TIME = ["UPDATE heartbeats SET last_ping_at = $2, due_at = $3 WHERE id = $1 AND missed_since IS NULL"];
    /// Those that should have pinged by now.
    OVERDUE = ["SELECT * FROM heartbeats WHERE missed_since IS NULL AND due_at <= $1 ORDER BY due_at, id LIMIT 100"];
    /// It is missed, unless it pinged meanwhile.
    MISSED = ["UPDATE heartbeats SET missed_since = $3 WHERE id = $1 AND due_at = $2 AND missed_since IS NULL"];
    /// It is not waited for any more.
    REMOVE = ["DELETE FROM heartbeats WHERE id = $1"];
}

impl Db<'_> {
    /// Stores a heartbeat that was never heard.
    ///
    /// # Errors
    /// When the database fails; a unique violation when the name is taken.
    pub async fn insert_heartbeat(&mut self, beat: &HeartbeatRow) -> Result<()> {
        execute!(
            self,
            INSERT,
            beat.id,
            beat.name.as_str(),
            beat.token_hash.as_slice(),
            beat.period_s,
            beat.grace_s,
            &beat.phones,
            &beat.labels,
            beat.priority,
            beat.created_at,
        )
        .map(|_| ())
    }

    /// Changes everything but name and token.
    pub async fn change_heartbeat(&mut self, beat: &HeartbeatRow) -> Result<()> {
        let HeartbeatRow { id, period_s, grace_s, phones, labels, priority, due_at, .. } = beat;
        execute!(self, CHANGE, *id, *period_s, *grace_s, phones, labels, *priority, *due_at).map(|_| ())
    }

    /// All heartbeats by name.
    pub async fn heartbeats(&mut self) -> Result<Vec<HeartbeatRow>> {
        fetch_all!(self, LIST)
    }

    /// One heartbeat.
    pub async fn heartbeat(&mut self, id: HeartbeatId) -> Result<Option<HeartbeatRow>> {
        fetch_optional!(self, GET, id)
    }

    /// The heartbeat that pings with this token.
    pub async fn heartbeat_by_token(&mut self, hash: &[u8]) -> Result<Option<HeartbeatRow>> {
        fetch_optional!(self, BY_TOKEN, hash)
    }

    /// Notes a ping, and when the next one is due.
    pub async fn heartbeat_pinged(&mut self, id: HeartbeatId, now: DateTime<Utc>, due_at: DateTime<Utc>) -> Result<()> {
        execute!(self, PINGED, id, now, due_at).map(|_| ())
    }

    /// Notes a ping in time; false when the heartbeat was marked as missed meanwhile.
    pub async fn heartbeat_pinged_in_time(&mut self, id: HeartbeatId, now: DateTime<Utc>, due_at: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, PINGED_IN_TIME, id, now, due_at)
    }

    /// Up to 100 heartbeats that should have pinged by now and are not marked yet.
    pub async fn overdue_heartbeats(&mut self, now: DateTime<Utc>) -> Result<Vec<HeartbeatRow>> {
        fetch_all!(self, OVERDUE, now)
    }

    /// Marks a heartbeat as missed; false when it pinged meanwhile, was removed, or is marked already.
    pub async fn heartbeat_missed(&mut self, id: HeartbeatId, due_at: DateTime<Utc>, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, MISSED, id, due_at, now)
    }

    /// Waits for a heartbeat no more; false when there is no such one.
    pub async fn remove_heartbeat(&mut self, id: HeartbeatId) -> Result<bool> {
        changed_one!(self, REMOVE, id)
    }
}
