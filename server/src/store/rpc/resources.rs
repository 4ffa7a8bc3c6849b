//! Calls and conferences of programs, and what was heard of them and is still to be told to them.

use chrono::{DateTime, Utc};
use serde_json::Value as Json;
use sqlx::types::Json as Stored;

use crate::ids::{HandsetId, HuntId, KeyId};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// A call or a conference of a program.
    #[derive(Clone, Debug)]
    pub struct ResourceRow {
        /// Its name, as its program knows it.
        pub id: String,
        /// Whose it is.
        pub key_id: KeyId,
        /// A word: call, conf, notify or duo.
        pub kind: String,
        /// How its creator speaks, and where its events go.
        pub spoken: Stored<Json>,
        /// Where it stands.
        pub state: Stored<Json>,
        /// Whom it calls, or who calls, in its comparable form; empty where it is no call.
        pub number: String,
        /// Its dial, or the call that came in.
        pub mid: Option<String>,
        /// The hunt of its dial.
        pub hunt_id: Option<HuntId>,
        /// On which handset it runs.
        pub handset_id: Option<HandsetId>,
        /// Its program wants it no more.
        pub dropped: bool,
        /// When time alone changes it.
        pub due_at: Option<DateTime<Utc>>,
        /// When it was made.
        pub made_at: DateTime<Utc>,
        /// When it was over.
        pub released_at: Option<DateTime<Utc>>,
    }
}

row! {
    /// Something that was heard of one, and was not told to it yet.
    #[derive(Clone, Debug)]
    pub struct HeardOfResource {
        /// In the order in which it was heard.
        pub id: i64,
        /// Of which.
        pub res_id: String,
        /// What.
        pub word: Stored<Json>,
        /// When it happened.
        pub at: DateTime<Utc>,
    }
}

statements! {
    /// The row of a key that commands calls, where there is none yet.
    KEY = ["INSERT INTO rpc_keys (key_id) VALUES ($1) ON CONFLICT (key_id) DO NOTHING"];
    /// Nobody else changes what is of that key until the transaction ends.
    LOCK_KEY = ["SELECT call_to FROM rpc_keys WHERE key_id = $1" for_update];
    /// Which numbers it may call.
    MAY_CALL = ["SELECT call_to FROM rpc_keys WHERE key_id = $1"];
    /// It may call others.
    SET_MAY_CALL = ["UPDATE rpc_keys SET call_to = $2 WHERE key_id = $1"];
    /// A new one.
    INSERT = [
        "INSERT INTO rpc_resources (id, key_id, kind, spoken, state, number, mid, hunt_id, handset_id, due_at, made_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    ];
    /// How it stands now.
    STANDS = [
        "UPDATE rpc_resources SET state = $2, due_at = $3, released_at = $4, handset_id = coalesce($5, handset_id) WHERE id = $1"
    ];
    /// It was handed out.
    HANDED_OUT = ["UPDATE rpc_resources SET mid = $2, handset_id = $3 WHERE id = $1"];
    /// Its program wants it no more.
    DROPPED = ["UPDATE rpc_resources SET dropped = TRUE WHERE id = $1"];
    /// Those of a key that are changed by time by now.
    DUE_OF = [
        "SELECT * FROM rpc_resources WHERE key_id = $1 AND due_at IS NOT NULL AND due_at <= $2 AND released_at IS NULL
         ORDER BY due_at LIMIT 200"
    ];
    /// It is looked after at that time at the latest.
    DUE = ["UPDATE rpc_resources SET due_at = $2 WHERE id = $1 AND released_at IS NULL AND (due_at IS NULL OR due_at > $2)"];
    /// One of a key.
    GET = ["SELECT * FROM rpc_resources WHERE id = $1 AND key_id = $2"];
    /// That of a dial, or of a call that came in.
    BY_MID = ["SELECT * FROM rpc_resources WHERE mid = $1"];
    /// That of a hunt.
    BY_HUNT = ["SELECT * FROM rpc_resources WHERE hunt_id = $1"];
    /// All of a key that are not over.
    OPEN = ["SELECT * FROM rpc_resources WHERE key_id = $1 AND released_at IS NULL ORDER BY made_at, id"];
    /// How many were made since then.
    MADE = ["SELECT count(*) AS made FROM rpc_resources WHERE key_id = $1 AND made_at > $2 AND kind = 'call'
           AND NOT EXISTS (SELECT 1 FROM inbound_calls i WHERE i.mid = rpc_resources.mid)"];
    /// Whose there is something to be done by time.
    DUE_KEYS = [
        "SELECT DISTINCT key_id FROM rpc_resources WHERE due_at IS NOT NULL AND due_at <= $1 AND released_at IS NULL LIMIT 100"
    ];
    /// When the first is due.
    FIRST_DUE = ["SELECT due_at FROM rpc_resources WHERE due_at IS NOT NULL AND released_at IS NULL ORDER BY due_at LIMIT 1"];
    /// Those that came in and whose handset is silent.
    SILENT = [
        "SELECT r.id, i.mid FROM inbound_calls i JOIN rpc_resources r ON r.mid = i.mid
         WHERE i.ended_at IS NULL AND i.deadline <= $1 AND r.released_at IS NULL ORDER BY i.deadline, i.mid LIMIT 100"
    ];
    /// Something was heard of one.
    HEAR = ["INSERT INTO rpc_heard (res_id, word, at) VALUES ($1, $2, $3)"];
    /// What was heard of those of a key.
    HEARD = [
        "SELECT h.* FROM rpc_heard h JOIN rpc_resources r ON r.id = h.res_id WHERE r.key_id = $1 AND r.released_at IS NULL
         ORDER BY h.id LIMIT 500"
    ];
    /// It is told.
    TOLD = ["DELETE FROM rpc_heard WHERE res_id = $1 AND id = $2"];
    /// Long over.
    PRUNE = [
        "DELETE FROM rpc_resources WHERE released_at < $1 AND id IN (
           SELECT id FROM rpc_resources WHERE released_at IS NOT NULL AND released_at < $1 ORDER BY released_at LIMIT 500)"
    ];
}

/// A call or a conference to be kept.
#[derive(Clone, Debug)]
pub struct NewResource<'n> {
    /// Its name.
    pub id: &'n str,
    /// Whose.
    pub key: KeyId,
    /// A word.
    pub kind: &'static str,
    /// How its creator speaks.
    pub spoken: Json,
    /// Where it stands.
    pub state: Json,
    /// Whom it calls, or who calls.
    pub number: &'n str,
    /// The call that came in.
    pub mid: Option<&'n str>,
    /// The hunt that finds a handset for it.
    pub hunt: Option<HuntId>,
    /// On which handset it runs.
    pub handset: Option<HandsetId>,
    /// When time alone changes it.
    pub due_at: Option<DateTime<Utc>>,
}

impl Db<'_> {
    /// Locks all that is of a key until the transaction ends. Gives the beginnings of the numbers that it may call, where somebody has said so.
    pub async fn lock_rpc_key(&mut self, key: KeyId) -> Result<Option<String>> {
        execute!(self, KEY, key)?;
        let row: Option<(Option<String>,)> = fetch_optional!(self, LOCK_KEY, key)?;
        Ok(row.and_then(|(may,)| may))
    }

    /// Which numbers a key may call: beginnings with commas between them; `None` where nobody has said.
    pub async fn rpc_may_call(&mut self, key: KeyId) -> Result<Option<String>> {
        let row: Option<(Option<String>,)> = fetch_optional!(self, MAY_CALL, key)?;
        Ok(row.and_then(|(may,)| may))
    }

    /// Says which numbers a key may call.
    pub async fn set_rpc_may_call(&mut self, key: KeyId, beginnings: Option<&str>) -> Result<()> {
        execute!(self, KEY, key)?;
        execute!(self, SET_MAY_CALL, key, beginnings).map(|_| ())
    }

    /// Keeps a new one.
    pub async fn insert_resource(&mut self, new: &NewResource<'_>, now: DateTime<Utc>) -> Result<()> {
        let NewResource { id, key, kind, spoken, state, number, mid, hunt, handset, due_at } = new;
        let (spoken, state) = (Stored(spoken), Stored(state));
        execute!(self, INSERT, *id, *key, *kind, spoken, state, *number, *mid, *hunt, *handset, *due_at, now).map(|_| ())
    }

    /// Notes how one stands.
    pub async fn resource_stands(&mut self, row: &ResourceRow) -> Result<()> {
        execute!(self, STANDS, row.id.as_str(), &row.state, row.due_at, row.released_at, row.handset_id).map(|_| ())
    }

    /// One was handed out to a handset.
    pub async fn resource_handed_out(&mut self, id: &str, mid: &str, handset: HandsetId) -> Result<()> {
        execute!(self, HANDED_OUT, id, mid, handset).map(|_| ())
    }

    /// The program of one wants it no more.
    pub async fn resource_dropped(&mut self, id: &str) -> Result<()> {
        execute!(self, DROPPED, id).map(|_| ())
    }

    /// Up to 200 of a key that are changed by time by now.
    pub async fn due_resources(&mut self, key: KeyId, now: DateTime<Utc>) -> Result<Vec<ResourceRow>> {
        fetch_all!(self, DUE_OF, key, now)
    }

    /// Calls of programs that came in, of which nothing was heard for longer than may be: the resource, and the call. Up to 100.
    pub async fn silent_inbound_resources(&mut self, now: DateTime<Utc>) -> Result<Vec<(String, String)>> {
        fetch_all!(self, SILENT, now)
    }

    /// One is looked after at that time at the latest.
    pub async fn resource_is_due(&mut self, id: &str, at: DateTime<Utc>) -> Result<()> {
        execute!(self, DUE, id, at).map(|_| ())
    }

    /// One of a key.
    pub async fn resource(&mut self, id: &str, key: KeyId) -> Result<Option<ResourceRow>> {
        fetch_optional!(self, GET, id, key)
    }

    /// That of a dial, or of a call that came in.
    pub async fn resource_of_mid(&mut self, mid: &str) -> Result<Option<ResourceRow>> {
        fetch_optional!(self, BY_MID, mid)
    }

    /// That of a hunt.
    pub async fn resource_of_hunt(&mut self, hunt: HuntId) -> Result<Option<ResourceRow>> {
        fetch_optional!(self, BY_HUNT, hunt)
    }

    /// All of a key that are not over, oldest first.
    pub async fn open_resources(&mut self, key: KeyId) -> Result<Vec<ResourceRow>> {
        fetch_all!(self, OPEN, key)
    }

    /// How many calls a key has made since then.
    pub async fn calls_made_since(&mut self, key: KeyId, since: DateTime<Utc>) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, MADE, key, since)?;
        Ok(row.map_or(0, |(made,)| made))
    }

    /// Up to 100 keys of whose calls and conferences one is changed by time by now.
    pub async fn keys_with_due_resources(&mut self, now: DateTime<Utc>) -> Result<Vec<KeyId>> {
        let rows: Vec<(KeyId,)> = fetch_all!(self, DUE_KEYS, now)?;
        Ok(rows.into_iter().map(|(key,)| key).collect())
    }

    /// When the first of all is changed by time.
    pub async fn first_resource_due(&mut self) -> Result<Option<DateTime<Utc>>> {
        let row: Option<(Option<DateTime<Utc>>,)> = fetch_optional!(self, FIRST_DUE)?;
        Ok(row.and_then(|(at,)| at))
    }

    /// Keeps what was heard of one, until it is told to it.
    pub async fn hear_of_resource(&mut self, id: &str, word: &Json, at: DateTime<Utc>) -> Result<()> {
        execute!(self, HEAR, id, Stored(word), at).map(|_| ())
    }

    /// Up to 500 things that were heard of those of a key that are not over, in that order.
    pub async fn heard_of_resources(&mut self, key: KeyId) -> Result<Vec<HeardOfResource>> {
        fetch_all!(self, HEARD, key)
    }

    /// What was heard of one up to there is told to it.
    pub async fn resource_told(&mut self, id: &str, up_to: i64) -> Result<()> {
        execute!(self, TOLD, id, up_to).map(|_| ())
    }

    /// Forgets up to 500 that were over before then; gives how many.
    pub async fn prune_resources(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, PRUNE, before)
    }
}
