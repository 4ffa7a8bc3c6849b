//! Numbers that must not be called.

use chrono::{DateTime, Utc};

use crate::numbers::Number;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// A number that must not be called.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct DoNotCallRow {
        /// In its comparable form.
        pub number: String,
        /// Why, as somebody wrote it; may be empty.
        pub reason: String,
        /// Since when.
        pub created_at: DateTime<Utc>,
        /// Its owner asked by text message, and may take it back so.
        pub by_text: bool,
    }
}

statements! {
    /// A new number, or a new reason for a known one.
    UPSERT = [
        "INSERT INTO do_not_call (number, reason, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (number) DO UPDATE SET reason = excluded.reason, by_text = FALSE"
    ];
    /// A number whose owner asks by text message; nothing when it is known.
    BY_TEXT = [
        "INSERT INTO do_not_call (number, reason, created_at, by_text) VALUES ($1, $2, $3, TRUE) ON CONFLICT (number) DO NOTHING"
    ];
    /// Its owner takes back what they asked for by text message.
    TAKE_BACK = ["DELETE FROM do_not_call WHERE number = $1 AND by_text"];
    /// Whether a number is among them.
    GET = ["SELECT * FROM do_not_call WHERE number = $1"];
    /// All of them.
    LIST = ["SELECT * FROM do_not_call ORDER BY number"];
    /// It may be called again.
    DELETE = ["DELETE FROM do_not_call WHERE number = $1"];
}

impl Db<'_> {
    /// Notes that a number must not be called.
    pub async fn forbid_number(&mut self, number: &str, reason: &str, now: DateTime<Utc>) -> Result<()> {
        execute!(self, UPSERT, number, reason, now).map(|_| ())
    }

    /// Notes that the owner of a number asks by text message not to be called; false when it must not be called already.
    pub async fn forbid_by_text(&mut self, number: &str, reason: &str, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, BY_TEXT, number, reason, now)
    }

    /// The owner of a number takes back what they asked for by text message; false when they had not.
    pub async fn take_back_by_text(&mut self, number: &str) -> Result<bool> {
        changed_one!(self, TAKE_BACK, number)
    }

    /// The entry of a number that must not be called, or of the other number of the same phone.
    pub async fn forbidden(&mut self, number: &str) -> Result<Option<DoNotCallRow>> {
        let found: Option<DoNotCallRow> = fetch_optional!(self, GET, number)?;
        match Number::from_stored(number).other_form() {
            Some(other) if found.is_none() => fetch_optional!(self, GET, other.as_str()),
            _ => Ok(found),
        }
    }

    /// All numbers that must not be called.
    pub async fn forbidden_numbers(&mut self) -> Result<Vec<DoNotCallRow>> {
        fetch_all!(self, LIST)
    }

    /// Lets a phone be called again, by whichever of its numbers; false when it could be already.
    pub async fn allow_number(&mut self, number: &str) -> Result<bool> {
        let mut gone = execute!(self, DELETE, number)?;
        if let Some(other) = Number::from_stored(number).other_form() {
            gone += execute!(self, DELETE, other.as_str())?;
        }
        Ok(gone > 0)
    }
}
