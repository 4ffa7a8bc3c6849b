//! Numbers that must not be called.

use chrono::{DateTime, Utc};

use super::dialect::{execute, fetch_all, fetch_optional, fragment, on, statements};
use super::{Db, Result};

/// A number that must not be called.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct DoNotCallRow {
    /// In its comparable form.
    pub number: String,
    /// Why, as somebody wrote it; may be empty.
    pub reason: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

statements! {
    /// A new number, or a new reason for a known one.
    UPSERT = [
        "INSERT INTO do_not_call (number, reason, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (number) DO UPDATE SET reason = excluded.reason"
    ];
    /// Whether a number is among them.
    GET = ["SELECT * FROM do_not_call WHERE number = $1"];
    /// All of them.
    LIST = ["SELECT * FROM do_not_call ORDER BY number"];
    /// It may be called again.
    DELETE = ["DELETE FROM do_not_call WHERE number = $1"];
}

impl Db<'_> {
    /// Notes that a number must not be called.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forbid_number(&mut self, number: &str, reason: &str, now: DateTime<Utc>) -> Result<()> {
        execute!(self, UPSERT, number, reason, now).map(|_| ())
    }

    /// The entry of a number that must not be called.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forbidden(&mut self, number: &str) -> Result<Option<DoNotCallRow>> {
        fetch_optional!(self, GET, number)
    }

    /// All numbers that must not be called.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forbidden_numbers(&mut self) -> Result<Vec<DoNotCallRow>> {
        fetch_all!(self, LIST)
    }

    /// Lets a number be called again; false when it could be already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn allow_number(&mut self, number: &str) -> Result<bool> {
        execute!(self, DELETE, number).map(|rows| rows == 1)
    }
}
