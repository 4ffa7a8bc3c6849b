//! How far something has got that goes on where it was, also after it was killed.

use chrono::{DateTime, Utc};

use super::dialect::{fragment, statements};
use super::statement::{execute, fetch_optional};
use super::{Db, Result};

statements! {
    /// How far.
    REACHED = ["SELECT reached, noted_at FROM places WHERE name = $1"];
    /// So far.
    NOTE = [
        "INSERT INTO places (name, reached, noted_at) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET reached = excluded.reached, noted_at = excluded.noted_at"
    ];
    /// It is done.
    FORGET = ["DELETE FROM places WHERE name = $1"];
}

impl Db<'_> {
    /// How far something has got, and when that was noted.
    pub async fn place(&mut self, name: &str) -> Result<Option<(String, DateTime<Utc>)>> {
        fetch_optional!(self, REACHED, name)
    }

    /// Notes how far it has got.
    pub async fn note_place(&mut self, name: &str, reached: &str, now: DateTime<Utc>) -> Result<()> {
        execute!(self, NOTE, name, reached, now).map(|_| ())
    }

    /// It is done, and begins anew.
    pub async fn forget_place(&mut self, name: &str) -> Result<()> {
        execute!(self, FORGET, name).map(|_| ())
    }
}
