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
    /// The one that began then was answered; nothing when it was given up meanwhile.
    ANSWERED = [
        "UPDATE repeated_requests SET status = $4, head = $5, body = $6
         WHERE integration_id = $1 AND key = $2 AND began_at = $3 AND status IS NULL"
    ];
    /// The one that began then came to nothing: the key is free.
    FREE = ["DELETE FROM repeated_requests WHERE integration_id = $1 AND key = $2 AND began_at = $3 AND status IS NULL"];
    /// How many keys somebody has used lately.
    COUNT = ["SELECT COUNT(*) FROM repeated_requests WHERE integration_id = $1"];
    /// How long what somebody was answered lately is together, in bytes.
    LENGTH = ["SELECT CAST(COALESCE(SUM(octet_length(body)), 0) AS BIGINT) FROM repeated_requests WHERE integration_id = $1"];
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

    /// Notes how the request was answered that began then.
    pub async fn request_answered(
        &mut self,
        integration: &str,
        key: &str,
        began_at: DateTime<Utc>,
        (status, head, body): (u16, &str, Option<&str>),
    ) -> Result<()> {
        execute!(self, ANSWERED, integration, key, began_at, i32::from(status), head, body).map(|_| ())
    }

    /// Frees the key of the request that began then and came to nothing.
    pub async fn free_request(&mut self, integration: &str, key: &str, began_at: DateTime<Utc>) -> Result<()> {
        execute!(self, FREE, integration, key, began_at).map(|_| ())
    }

    /// How many keys somebody has used that are not forgotten yet.
    pub async fn repeated_requests_of(&mut self, integration: &str) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, COUNT, integration)?;
        Ok(row.map_or(0, |(count,)| count))
    }

    /// How long the answers to somebody are together that are kept, in bytes.
    pub async fn length_of_answers_to(&mut self, integration: &str) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, LENGTH, integration)?;
        Ok(row.map_or(0, |(length,)| length))
    }

    /// Forgets up to 500 requests that came before then; gives how many.
    pub async fn forget_repeated_requests(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, FORGET, before)
    }
}
