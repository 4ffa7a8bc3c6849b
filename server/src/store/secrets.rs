//! What this installation signs with: made once, the same on every node.

use super::dialect::{fragment, statements};
use super::statement::{execute, fetch_optional};
use super::{Db, Result, Store, StoreError};

statements! {
    /// Keeps a secret, unless there is one of that name.
    KEEP = ["INSERT INTO secrets (name, secret) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING"];
    /// A secret.
    GET = ["SELECT secret FROM secrets WHERE name = $1"];
}

const KEY_BYTES: usize = 32;

impl Store {
    /// What this installation signs one kind of thing with, by its name; the first node makes it.
    pub async fn signing_key(&self, name: &str) -> Result<Vec<u8>> {
        let fresh: [u8; KEY_BYTES] = rand::random();
        let mut tx = self.begin().await?;
        tx.db().keep_secret(name, &fresh).await?;
        let key = tx.db().secret(name).await?;
        tx.commit().await?;
        key.ok_or_else(|| StoreError::Inconsistent(format!("the key {name:?} vanished")))
    }
}

impl Db<'_> {
    /// Keeps a secret, unless another node was first.
    pub async fn keep_secret(&mut self, name: &str, secret: &[u8]) -> Result<()> {
        execute!(self, KEEP, name, secret).map(|_| ())
    }

    /// A secret.
    pub async fn secret(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let row: Option<(Vec<u8>,)> = fetch_optional!(self, GET, name)?;
        Ok(row.map(|(secret,)| secret))
    }
}
