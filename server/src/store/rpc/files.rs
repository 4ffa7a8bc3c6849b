//! Sound by name, of a key: what its calls play, and what was recorded in them.

use chrono::{DateTime, Utc};

use crate::ids::{HandsetId, KeyId, MediaId};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// A sound with its name.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RpcFileRow {
        /// Its name.
        pub name: String,
        /// Its sound.
        pub media_id: MediaId,
        /// When it was given that.
        pub at: DateTime<Utc>,
        /// Its size.
        pub bytes: i64,
        /// Its length.
        pub milliseconds: i64,
        /// Of its file, in hexadecimal.
        pub sha256: String,
    }
}

statements! {
    /// All of a key.
    LIST = [
        "SELECT f.name, f.media_id, f.at, m.bytes, m.milliseconds, m.sha256 FROM rpc_files f JOIN media m ON m.id = f.media_id
         WHERE f.key_id = $1 ORDER BY f.name"
    ];
    /// One of them.
    GET = [
        "SELECT f.name, f.media_id, f.at, m.bytes, m.milliseconds, m.sha256 FROM rpc_files f JOIN media m ON m.id = f.media_id
         WHERE f.key_id = $1 AND f.name = $2"
    ];
    /// How many there are.
    COUNT = ["SELECT count(*) AS files FROM rpc_files WHERE key_id = $1"];
    /// Another sound under a name.
    SET = [
        "INSERT INTO rpc_files (key_id, name, media_id, at, recorded) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (key_id, name) DO UPDATE SET media_id = excluded.media_id, at = excluded.at, recorded = excluded.recorded"
    ];
    /// What was recorded long ago.
    FORGET = [
        "DELETE FROM rpc_files WHERE recorded AND at < $1 AND (key_id, name) IN (
           SELECT key_id, name FROM rpc_files WHERE recorded AND at < $1 ORDER BY at LIMIT 500)"
    ];
    /// None any more.
    DELETE = ["DELETE FROM rpc_files WHERE key_id = $1 AND name = $2"];
    /// A call of a program that runs on this handset, which may play what its key has.
    MAY_PLAY = [
        "SELECT r.id FROM rpc_resources r JOIN rpc_files f ON f.key_id = r.key_id WHERE f.media_id = $2 AND r.handset_id = $1
           AND r.released_at IS NULL LIMIT 1"
    ];
}

impl Db<'_> {
    /// All sounds of a key by name.
    pub async fn rpc_files(&mut self, key: KeyId) -> Result<Vec<RpcFileRow>> {
        fetch_all!(self, LIST, key)
    }

    /// One of them.
    pub async fn rpc_file(&mut self, key: KeyId, name: &str) -> Result<Option<RpcFileRow>> {
        fetch_optional!(self, GET, key, name)
    }

    /// How many a key has.
    pub async fn count_rpc_files(&mut self, key: KeyId) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, COUNT, key)?;
        Ok(row.map_or(0, |(files,)| files))
    }

    /// Gives a name of a key this sound, which it has sent, or had recorded.
    pub async fn set_rpc_file(
        &mut self,
        key: KeyId,
        name: &str,
        media: MediaId,
        recorded: bool,
        now: DateTime<Utc>,
    ) -> Result<()> {
        execute!(self, SET, key, name, media, now, recorded).map(|_| ())
    }

    /// Forgets up to 500 that were recorded before then; gives how many.
    pub async fn forget_rpc_recordings(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, FORGET, before)
    }

    /// Takes a name away; false where there is none.
    pub async fn remove_rpc_file(&mut self, key: KeyId, name: &str) -> Result<bool> {
        changed_one!(self, DELETE, key, name)
    }

    /// Whether a handset runs a call of a key that has that sound.
    pub async fn may_play_for_program(&mut self, handset: HandsetId, media: MediaId) -> Result<bool> {
        let row: Option<(String,)> = fetch_optional!(self, MAY_PLAY, handset, media)?;
        Ok(row.is_some())
    }
}
