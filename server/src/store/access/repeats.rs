//! What was answered to requests that came with an `Idempotency-Key`.

use chrono::{DateTime, Utc};

use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// A request that came before, under the same key.
    #[derive(Clone, Debug)]
    pub struct RepeatedRow {
        /// Hash of method, address and body.
        pub request_hash: Vec<u8>,
        /// When it came.
        pub began_at: DateTime<Utc>,
        /// How it was answered; `None` as long as it is under way.
        pub status: Option<i32>,
        /// What its head said of what was made, as JSON.
        pub head: Option<String>,
        /// What was said.
        pub body: Option<String>,
    }
}

statements! {
    /// A request comes; nothing when one came under this key before.
    BEGIN = [
        "INSERT INTO repeated_requests (integration_id, key, request_hash, began_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (integration_id, key) DO NOTHING"
    ];
    /// The one that came under a key.
    GET = [
        "SELECT request_hash, began_at, status, head, body FROM repeated_requests WHERE integration_id = $1 AND key = $2"
    ];
    /// One that was given up is begun again; nothing when somebody else has done so.
    BEGIN_AGAIN = [
        "UPDATE repeated_requests SET began_at = $4 WHERE integration_id = $1 AND key = $2 AND began_at = $3 AND status IS NULL"
    ];
    /// It was answered.
    ANSWERED = ["UPDATE repeated_requests SET status = $3, head = $4, body = $5 WHERE integration_id = $1 AND key = $2"];
    /// It came to nothing: the key is free.
    FREE = ["DELETE FROM repeated_requests WHERE integration_id = $1 AND key = $2 AND status IS NULL"];
    /// Forgets old ones.
    FORGET = [
        "DELETE FROM repeated_requests WHERE (integration_id, key) IN (
           SELECT integration_id, key FROM repeated_requests WHERE began_at < $1 ORDER BY began_at LIMIT 500)"
    ];
}

impl Db<'_> {
    /// Notes that a request came under a key; false when one came before.
    pub async fn begin_request(&mut self, integration: &str, key: &str, hash: &[u8], now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, BEGIN, integration, key, hash, now)
    }

    /// The request that came under a key.
    pub async fn repeated_request(&mut self, integration: &str, key: &str) -> Result<Option<RepeatedRow>> {
        fetch_optional!(self, GET, integration, key)
    }

    /// Begins a request again that began then and was given up; false when somebody else has done so.
    pub async fn begin_request_again(
        &mut self,
        integration: &str,
        key: &str,
        began_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        changed_one!(self, BEGIN_AGAIN, integration, key, began_at, now)
    }

    /// Notes how a request was answered.
    pub async fn request_answered(&mut self, integration: &str, key: &str, status: u16, head: &str, body: &str) -> Result<()> {
        execute!(self, ANSWERED, integration, key, i32::from(status), head, body).map(|_| ())
    }

    /// Frees the key of a request that came to nothing.
    pub async fn free_request(&mut self, integration: &str, key: &str) -> Result<()> {
        execute!(self, FREE, integration, key).map(|_| ())
    }

    /// Forgets up to 500 requests that came before then; gives how many.
    pub async fn forget_repeated_requests(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, FORGET, before)
    }
}
