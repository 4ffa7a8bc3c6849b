//! Who wants no more of what a sender shouts: lists that only shouts look at.

use chrono::{DateTime, Utc};

use crate::ids::KeyId;
use crate::numbers::Number;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// Somebody who opted out.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct OptedOutRow {
        /// Of whose shouts.
        pub key_id: KeyId,
        /// Of which name space of that key.
        pub userdata: String,
        /// Their number in its comparable form.
        pub number: String,
        /// As the sender wrote it.
        pub phone: String,
        /// In a call of which shout.
        pub shout_id: i64,
        /// When.
        pub at: DateTime<Utc>,
    }
}

row! {
    /// Somebody who opted out, as a list shows it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct OptedOutLine {
        /// Of whose shouts.
        pub key_id: KeyId,
        /// Of which name space of that key.
        pub userdata: String,
        /// As the sender wrote it.
        pub phone: String,
        /// In a call of which shout.
        pub shout_id: i64,
        /// When.
        pub at: DateTime<Utc>,
        /// What that shout is called.
        pub title: Option<String>,
    }
}

statements! {
    /// Somebody opts out; nothing when they have before.
    INSERT = [
        "INSERT INTO shout_dnc (key_id, userdata, number, phone, shout_id, at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING"
    ];
    /// Those of a name space.
    OF_OWNER = ["SELECT * FROM shout_dnc WHERE key_id = $1 AND userdata = $2 ORDER BY at, number LIMIT $3"];
    /// Those of all name spaces before a time, the latest first.
    LATEST = [
        "SELECT d.key_id, d.userdata, d.phone, d.shout_id, d.at, s.title FROM shout_dnc d LEFT JOIN shouts s ON s.id = d.shout_id
         WHERE d.at <= $1 ORDER BY d.at DESC, d.number LIMIT $2"
    ];
    /// Whether somebody has.
    GET = ["SELECT number FROM shout_dnc WHERE key_id = $1 AND userdata = $2 AND number = $3"];
    /// All numbers of a name space.
    NUMBERS = ["SELECT number FROM shout_dnc WHERE key_id = $1 AND userdata = $2"];
    /// They may be called again.
    DELETE = ["DELETE FROM shout_dnc WHERE key_id = $1 AND userdata = $2 AND number = $3"];
}

impl Db<'_> {
    /// Somebody opts out of the shouts of a name space; false when they have before.
    pub async fn opt_out_of_shouts(&mut self, row: &OptedOutRow) -> Result<bool> {
        let OptedOutRow { key_id, userdata, number, phone, shout_id, at } = row;
        changed_one!(self, INSERT, *key_id, userdata.as_str(), number.as_str(), phone.as_str(), *shout_id, *at)
    }

    /// Who opted out of the shouts of a name space, in the order in which they did.
    pub async fn opted_out_of(&mut self, key: KeyId, userdata: &str, most: i64) -> Result<Vec<OptedOutRow>> {
        fetch_all!(self, OF_OWNER, key, userdata, most)
    }

    /// Who opted out of whichever shouts until then, the latest first.
    pub async fn opted_out_lately(&mut self, until: DateTime<Utc>, most: i64) -> Result<Vec<OptedOutLine>> {
        fetch_all!(self, LATEST, until, most)
    }

    /// Whether the phone of a number has opted out, by whichever of its numbers.
    pub async fn has_opted_out(&mut self, key: KeyId, userdata: &str, number: &str) -> Result<bool> {
        let found: Option<(String,)> = fetch_optional!(self, GET, key, userdata, number)?;
        let found = match Number::from_stored(number).other_form() {
            Some(other) if found.is_none() => fetch_optional!(self, GET, key, userdata, other.as_str())?,
            _ => found,
        };
        Ok(found.is_some())
    }

    /// The numbers that have opted out of a name space.
    pub async fn opted_out_numbers(&mut self, key: KeyId, userdata: &str) -> Result<Vec<String>> {
        let rows: Vec<(String,)> = fetch_all!(self, NUMBERS, key, userdata)?;
        Ok(rows.into_iter().map(|(number,)| number).collect())
    }

    /// Somebody may be called again; false when they could be already.
    pub async fn opt_in_to_shouts(&mut self, key: KeyId, userdata: &str, number: &str) -> Result<bool> {
        let mut gone = execute!(self, DELETE, key, userdata, number)?;
        if let Some(other) = Number::from_stored(number).other_form() {
            gone += execute!(self, DELETE, key, userdata, other.as_str())?;
        }
        Ok(gone > 0)
    }
}
