//! What programs asked and were answered: the same again is answered again, and done once.

use chrono::{DateTime, Utc};

use crate::ids::KeyId;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{execute, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// A request that was answered.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct AnsweredRow {
        /// Of what was asked.
        pub hash: Vec<u8>,
        /// The answer as it was sent.
        pub reply: String,
    }
}

statements! {
    /// What was answered.
    GET = ["SELECT hash, reply FROM rpc_requests WHERE key_id = $1 AND caller = $2 AND rpc_id = $3 AND at > $4"];
    /// It is answered.
    INSERT = [
        "INSERT INTO rpc_requests (key_id, caller, rpc_id, hash, reply, at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (key_id, caller, rpc_id) DO UPDATE SET hash = excluded.hash, reply = excluded.reply, at = excluded.at"
    ];
    /// Long ago.
    PRUNE = [
        "DELETE FROM rpc_requests WHERE at < $1 AND (key_id, caller, rpc_id) IN (
           SELECT key_id, caller, rpc_id FROM rpc_requests WHERE at < $1 ORDER BY at LIMIT 500)"
    ];
}

impl Db<'_> {
    /// What a caller was answered to the request of this id, where that was after `since`.
    pub async fn rpc_answered(
        &mut self,
        key: KeyId,
        caller: &str,
        id: &str,
        since: DateTime<Utc>,
    ) -> Result<Option<AnsweredRow>> {
        fetch_optional!(self, GET, key, caller, id, since)
    }

    /// Keeps what a caller is answered.
    pub async fn answer_rpc(
        &mut self,
        key: KeyId,
        (caller, id): (&str, &str),
        answered: &AnsweredRow,
        now: DateTime<Utc>,
    ) -> Result<()> {
        execute!(self, INSERT, key, caller, id, answered.hash.as_slice(), answered.reply.as_str(), now).map(|_| ())
    }

    /// Forgets up to 500 answers of before then; gives how many.
    pub async fn prune_rpc_requests(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, PRUNE, before)
    }
}
