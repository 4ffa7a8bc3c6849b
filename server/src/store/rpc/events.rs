//! What programs are told of their calls and conferences: kept until they have read it, numbered for each key; and who listens.

use chrono::{DateTime, Utc};

use crate::ids::KeyId;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

/// So many events of a key are kept.
pub const MOST_KEPT: i64 = 10_000;

row! {
    /// An event.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RpcEventRow {
        /// Its number among those of its key; later ones are higher, and none is left out.
        pub n: i64,
        /// As it is sent.
        pub body: String,
        /// The connection of whoever made what it is about.
        pub addressee: Option<String>,
        /// Who took it, where one of several gets it.
        pub taken_by: Option<String>,
        /// When it happened.
        pub at: DateTime<Utc>,
    }
}

statements! {
    /// One more.
    COUNT_ON = ["UPDATE rpc_keys SET last_n = last_n + 1 WHERE key_id = $1"];
    /// Up to where a key's events go, and up to where they are kept no more.
    REACHED = ["SELECT last_n, lost_n FROM rpc_keys WHERE key_id = $1"];
    /// A new one, with the number just counted.
    INSERT = [
        "INSERT INTO rpc_events (key_id, n, body, addressee, at) SELECT key_id, last_n, $2, $3, $4 FROM rpc_keys WHERE key_id = $1"
    ];
    /// Those up to there are kept no more.
    LOSE = ["DELETE FROM rpc_events WHERE key_id = $1 AND n <= $2"];
    /// That is noted.
    LOST = ["UPDATE rpc_keys SET lost_n = $2 WHERE key_id = $1 AND lost_n < $2"];
    /// Those behind one.
    AFTER = ["SELECT n, body, addressee, taken_by, at FROM rpc_events WHERE key_id = $1 AND n > $2 ORDER BY n LIMIT 200"];
    /// One of several takes it, as long as nobody has but this one.
    TAKE = [
        "UPDATE rpc_events SET taken_by = $4 WHERE key_id = $1 AND n = $2 AND (taken_by IS NULL OR taken_by = $3 OR taken_by = $4)"
    ];
    /// The latest of a key that are too old.
    OLD = [
        "SELECT key_id, max(n) AS n FROM (SELECT key_id, n FROM rpc_events WHERE at < $1 ORDER BY at LIMIT 10000) old
         GROUP BY key_id ORDER BY key_id LIMIT 100"
    ];
    /// Somebody listens.
    LISTENS = [
        "INSERT INTO rpc_consumers (id, key_id, seen_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at"
    ];
    /// And does so no more.
    LEAVES = ["DELETE FROM rpc_consumers WHERE id = $1 AND seen_at <= $2"];
    /// Who does.
    LISTENERS = ["SELECT id FROM rpc_consumers WHERE key_id = $1 AND seen_at > $2"];
    /// The keys for which somebody does, the one heard of last first.
    LISTENING_KEYS = [
        "SELECT c.key_id, max(c.seen_at) AS seen_at FROM rpc_consumers c WHERE c.seen_at > $1 GROUP BY c.key_id ORDER BY max(c.seen_at) DESC
         LIMIT 20"
    ];
    /// Those who have not been heard of for long.
    GONE = ["DELETE FROM rpc_consumers WHERE seen_at < $1"];
}

impl Db<'_> {
    /// Keeps an event of a key that is locked; gives its number. The oldest give way where there are too many.
    pub async fn tell_rpc(&mut self, key: KeyId, body: &str, addressee: Option<&str>, now: DateTime<Utc>) -> Result<i64> {
        execute!(self, COUNT_ON, key)?;
        execute!(self, INSERT, key, body, addressee, now)?;
        let (reached, _) = self.rpc_events_reach(key).await?;
        let lost = reached - MOST_KEPT;
        if lost > 0 {
            self.lose_rpc_events(key, lost).await?;
        }
        Ok(reached)
    }

    /// Up to where a key's events go, and up to where they are kept no more.
    pub async fn rpc_events_reach(&mut self, key: KeyId) -> Result<(i64, i64)> {
        Ok(fetch_optional!(self, REACHED, key)?.unwrap_or((0, 0)))
    }

    /// Forgets the events of a key up to there.
    pub async fn lose_rpc_events(&mut self, key: KeyId, up_to: i64) -> Result<()> {
        execute!(self, LOSE, key, up_to)?;
        execute!(self, LOST, key, up_to).map(|_| ())
    }

    /// Up to 200 events of a key behind one, in their order.
    pub async fn rpc_events_after(&mut self, key: KeyId, after: i64) -> Result<Vec<RpcEventRow>> {
        fetch_all!(self, AFTER, key, after)
    }

    /// One of several takes an event, where nobody has, or only this one who is gone; false where another one has.
    pub async fn take_rpc_event(&mut self, key: KeyId, n: i64, gone: Option<&str>, taker: &str) -> Result<bool> {
        changed_one!(self, TAKE, key, n, gone, taker)
    }

    /// Up to which event those of a key are older than that, for up to 100 keys.
    pub async fn old_rpc_events(&mut self, before: DateTime<Utc>) -> Result<Vec<(KeyId, i64)>> {
        fetch_all!(self, OLD, before)
    }

    /// Somebody listens to the events of a key, and did so then.
    pub async fn rpc_consumer(&mut self, id: &str, key: KeyId, now: DateTime<Utc>) -> Result<()> {
        execute!(self, LISTENS, id, key, now).map(|_| ())
    }

    /// Somebody listens no more, who was there then.
    pub async fn rpc_consumer_left(&mut self, id: &str, seen: DateTime<Utc>) -> Result<()> {
        execute!(self, LEAVES, id, seen).map(|_| ())
    }

    /// Who has listened to a key's events since then.
    pub async fn rpc_consumers(&mut self, key: KeyId, since: DateTime<Utc>) -> Result<Vec<String>> {
        let rows: Vec<(String,)> = fetch_all!(self, LISTENERS, key, since)?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// Up to 20 keys to whose events somebody has listened since then, the latest first.
    pub async fn keys_with_consumers(&mut self, since: DateTime<Utc>) -> Result<Vec<KeyId>> {
        let rows: Vec<(KeyId, DateTime<Utc>)> = fetch_all!(self, LISTENING_KEYS, since)?;
        Ok(rows.into_iter().map(|(key, _)| key).collect())
    }

    /// Forgets who has not listened since then; gives how many.
    pub async fn forget_rpc_consumers(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, GONE, before)
    }
}
