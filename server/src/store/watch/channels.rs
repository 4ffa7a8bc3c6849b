//! The channels of handsets: what is true of one call at a time, and not of the whole handset. A row is there once something is.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::handsets::HandsetRow;
use crate::ids::HandsetId;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{FromRow, Row, changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// A channel as it is stored.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ChannelRow {
        /// Of which handset.
        pub handset_id: HandsetId,
        /// Which one, counted from 0.
        pub channel: i32,
        /// When its handset last asked for something to ring on it, as of the last time that was written down.
        pub last_polled_at: Option<DateTime<Utc>>,
        /// Since when it has not returned from a dial.
        pub stuck_since: Option<DateTime<Utc>>,
        /// Calls in a row that never left it.
        pub failures: i32,
        /// Others are preferred until then.
        pub avoid_until: Option<DateTime<Utc>>,
    }
}

/// A handset, and until when one of its channels rests by itself.
struct OnChannel {
    handset: HandsetRow,
    rests_until: Option<DateTime<Utc>>,
}

impl FromRow for OnChannel {
    fn from_row(row: &Row) -> sqlx::Result<Self> {
        Ok(Self { handset: HandsetRow::from_row(row)?, rests_until: row.get("channel_rests_until")? })
    }
}

statements! {
    /// A handset with what is known of one of its channels.
    ON_CHANNEL = [
        "SELECT h.*, c.avoid_until AS channel_rests_until FROM handsets h
         LEFT JOIN handset_channels c ON c.handset_id = h.id AND c.channel = $2 WHERE h.id = $1"
    ];
    /// All that is known of any.
    LIST = ["SELECT * FROM handset_channels ORDER BY handset_id, channel"];
    /// One of them.
    GET = ["SELECT * FROM handset_channels WHERE handset_id = $1 AND channel = $2"];
    /// Its calls do not leave it.
    FAILED = [
        "INSERT INTO handset_channels (handset_id, channel, failures, avoid_until, failed_at) VALUES ($1, $2, 1, $3, $4)
         ON CONFLICT (handset_id, channel)
         DO UPDATE SET failures = handset_channels.failures + 1, avoid_until = excluded.avoid_until,
             failed_at = excluded.failed_at"
    ];
    /// Its calls leave it again: one that was handed out since they did not.
    WORKS = [
        "UPDATE handset_channels SET failures = 0, avoid_until = NULL
         WHERE handset_id = $1 AND channel = $2 AND failures > 0 AND (failed_at IS NULL OR failed_at <= $3)"
    ];
    /// It is given nothing until then.
    REST = [
        "INSERT INTO handset_channels (handset_id, channel, avoid_until) VALUES ($1, $2, $3)
         ON CONFLICT (handset_id, channel) DO UPDATE SET avoid_until = excluded.avoid_until
         WHERE handset_channels.avoid_until IS NULL OR handset_channels.avoid_until < excluded.avoid_until"
    ];
    /// It did not return from a dial.
    STUCK = [
        "INSERT INTO handset_channels (handset_id, channel, stuck_since) VALUES ($1, $2, $3)
         ON CONFLICT (handset_id, channel) DO UPDATE SET stuck_since = coalesce(handset_channels.stuck_since, excluded.stuck_since)"
    ];
    /// It did after all.
    RETURNED = ["UPDATE handset_channels SET stuck_since = NULL WHERE handset_id = $1 AND channel = $2 AND stuck_since IS NOT NULL"];
    /// Its handset asked for something to ring on it, which it does when no call is on it.
    POLLED = [
        "INSERT INTO handset_channels (handset_id, channel, last_polled_at) VALUES ($1, $2, $3)
         ON CONFLICT (handset_id, channel) DO UPDATE SET last_polled_at = excluded.last_polled_at,
             stuck_since = CASE WHEN handset_channels.stuck_since > excluded.last_polled_at THEN handset_channels.stuck_since END
         WHERE handset_channels.last_polled_at IS NULL OR handset_channels.last_polled_at < excluded.last_polled_at"
    ];
}

impl Db<'_> {
    /// One handset, and until when this channel of it rests by itself.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn handset_on(&mut self, id: HandsetId, channel: i32) -> Result<Option<(HandsetRow, Option<DateTime<Utc>>)>> {
        let found: Option<OnChannel> = fetch_optional!(self, ON_CHANNEL, id, channel)?;
        Ok(found.map(|found| (found.handset, found.rests_until)))
    }

    /// All that is known of channels.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channels(&mut self) -> Result<HashMap<HandsetId, Vec<ChannelRow>>> {
        let rows: Vec<ChannelRow> = fetch_all!(self, LIST)?;
        let mut of: HashMap<HandsetId, Vec<ChannelRow>> = HashMap::new();
        for row in rows {
            of.entry(row.handset_id).or_default().push(row);
        }
        Ok(of)
    }

    /// How many calls in a row never left a channel.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channel_failures(&mut self, id: HandsetId, channel: i32) -> Result<i32> {
        let row: Option<ChannelRow> = fetch_optional!(self, GET, id, channel)?;
        Ok(row.map_or(0, |row| row.failures))
    }

    /// Notes that the calls of a channel do not leave it: others are preferred until then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channel_failed(
        &mut self,
        id: HandsetId,
        channel: i32,
        avoid_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        execute!(self, FAILED, id, channel, avoid_until, now).map(|_| ())
    }

    /// Notes that the calls of a channel leave it again, as one shows that was handed out then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channel_works(&mut self, id: HandsetId, channel: i32, offered_at: DateTime<Utc>) -> Result<()> {
        execute!(self, WORKS, id, channel, offered_at).map(|_| ())
    }

    /// Lets a channel rest until then: it is given no dial.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rest_channel(&mut self, id: HandsetId, channel: i32, until: DateTime<Utc>) -> Result<()> {
        execute!(self, REST, id, channel, until).map(|_| ())
    }

    /// Notes that a channel did not return from a dial.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channel_stuck(&mut self, id: HandsetId, channel: i32, now: DateTime<Utc>) -> Result<()> {
        execute!(self, STUCK, id, channel, now).map(|_| ())
    }

    /// Notes that a channel returned from its dial; false when it was not missed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channel_returned(&mut self, id: HandsetId, channel: i32) -> Result<bool> {
        changed_one!(self, RETURNED, id, channel)
    }

    /// Writes down when a channel was asked for.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channel_polled(&mut self, id: HandsetId, channel: i32, at: DateTime<Utc>) -> Result<()> {
        execute!(self, POLLED, id, channel, at).map(|_| ())
    }
}
