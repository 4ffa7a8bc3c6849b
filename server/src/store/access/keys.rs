//! Keys of senders.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use crate::call_log::reading::Said;
use crate::ids::KeyId;
use crate::kinds::signing::Signing;
use crate::needs::Words;
use crate::signal::generic::Places;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};
use crate::versions::Version;

/// The right to list calls, which comes alone.
pub const LISTS_CALLS: &str = "phonecalls";
/// The right to command calls and conferences.
pub const COMMANDS_CALLS: &str = "calls";
/// The right to raise alarms by mail, which comes alone.
pub const RAISES_BY_MAIL: &str = "mail";

row! {
    /// A key as it is stored.
    #[derive(Clone, Debug)]
    pub struct KeyRow {
        /// Which one; also the integration its alarms belong to.
        pub id: KeyId,
        /// Who uses it, such as prometheus.
        pub name: String,
        /// Whom to ring when an alarm names nobody.
        pub phones: Json<Vec<String>>,
        /// What it may beside raising alarms.
        pub rights: Words,
        /// How the times and numbers of calls are read that it lists, as far as that was said.
        pub phonecalls: Option<Json<Said>>,
        /// Where the fields of a foreign form stand that it sends.
        pub places: Option<Json<Places>>,
        /// How what it sends has to be signed; `None`: the key itself is enough.
        pub signing: Option<Json<Signing>>,
        /// When it was made.
        pub created_at: DateTime<Utc>,
        /// When it was last used, to the minute.
        pub last_used_at: Option<DateTime<Utc>>,
        /// Since when it is no good.
        pub revoked_at: Option<DateTime<Utc>>,
    }
}

impl KeyRow {
    /// Whether it has a right that no other right brings along.
    #[must_use]
    pub fn may(&self, right: &str) -> bool {
        self.rights.cover(&Words::read(right))
    }

    /// The version of how what it sends is read and signed. A secret is no part of it: forms hold versions.
    #[must_use]
    pub fn version(&self) -> Version {
        Version::of(&(self.id, &self.places, self.signing.as_ref().map(|signing| signing.scheme)))
    }

    /// Whether it only lists calls, and may nothing else: it stands in plain text in some script of a telephone system.
    #[must_use]
    pub fn only_lists_calls(&self) -> bool {
        self.may(LISTS_CALLS)
    }

    /// Whether it only raises alarms by mail, and may nothing else: as the name of a recipient it is read by every program that a letter goes
    /// through.
    #[must_use]
    pub fn only_mails(&self) -> bool {
        self.may(RAISES_BY_MAIL)
    }

    /// Whether signals may be sent with it over HTTP.
    #[must_use]
    pub fn sends_signals(&self) -> bool {
        !self.only_lists_calls() && !self.only_mails()
    }
}

statements! {
    /// A new key.
    INSERT = ["INSERT INTO api_keys (id, name, key_hash, phones, created_at, rights, phonecalls) VALUES ($1, $2, $3, $4, $5, $6, $7)"];
    /// A key that is good.
    BY_HASH = ["SELECT id, name, phones, rights, phonecalls, places, signing, created_at, last_used_at, revoked_at FROM api_keys WHERE key_hash = $1 AND revoked_at IS NULL"];
    /// One key.
    BY_ID = ["SELECT id, name, phones, rights, phonecalls, places, signing, created_at, last_used_at, revoked_at FROM api_keys WHERE id = $1"];
    /// One key that is good, until the transaction ends nobody else's to change.
    BY_NAME = [
        "SELECT id, name, phones, rights, phonecalls, places, signing, created_at, last_used_at, revoked_at FROM api_keys
         WHERE name = $1 AND revoked_at IS NULL" for_update
    ];
    /// What it lists is read otherwise.
    READ_OTHERWISE = ["UPDATE api_keys SET phonecalls = $2 WHERE id = $1"];
    /// What it sends is read at these places.
    PLACED = ["UPDATE api_keys SET places = $2 WHERE id = $1"];
    /// What it sends has to be signed, or need not be.
    SIGNED = ["UPDATE api_keys SET signing = $2 WHERE id = $1"];
    /// All keys.
    LIST = ["SELECT id, name, phones, rights, phonecalls, places, signing, created_at, last_used_at, revoked_at FROM api_keys ORDER BY name"];
    /// It was used.
    USED = ["UPDATE api_keys SET last_used_at = $2 WHERE id = $1"];
    /// It is no good any more, and what it signed with is of no use to anybody.
    REVOKE = ["UPDATE api_keys SET revoked_at = $2, signing = NULL WHERE name = $1 AND revoked_at IS NULL"];
}

impl Db<'_> {
    /// Stores a key.
    ///
    /// # Errors
    /// When the database fails; a unique violation when the name is taken.
    pub async fn insert_key(
        &mut self,
        id: KeyId,
        name: &str,
        hash: &[u8],
        (phones, rights, phonecalls): (&[String], &Words, Option<&Said>),
        now: DateTime<Utc>,
    ) -> Result<()> {
        execute!(self, INSERT, id, name, hash, Json(phones), now, rights, phonecalls.map(Json)).map(|_| ())
    }

    /// The key with a hash, unless it was revoked.
    pub async fn key_by_hash(&mut self, hash: &[u8]) -> Result<Option<KeyRow>> {
        fetch_optional!(self, BY_HASH, hash)
    }

    /// One key, also one that was revoked.
    pub async fn key(&mut self, id: KeyId) -> Result<Option<KeyRow>> {
        fetch_optional!(self, BY_ID, id)
    }

    /// The key of a name, unless it was revoked; locked.
    pub async fn key_by_name(&mut self, name: &str) -> Result<Option<KeyRow>> {
        fetch_optional!(self, BY_NAME, name)
    }

    /// The calls that a key lists are read otherwise from now on.
    pub async fn read_key_otherwise(&mut self, id: KeyId, said: &Said) -> Result<bool> {
        changed_one!(self, READ_OTHERWISE, id, Json(said))
    }

    /// What a key sends is read at these places from now on.
    pub async fn place_key(&mut self, id: KeyId, places: Option<&Places>) -> Result<bool> {
        changed_one!(self, PLACED, id, places.map(Json))
    }

    /// What a key sends has to be signed so from now on.
    pub async fn sign_key(&mut self, id: KeyId, signing: Option<&Signing>) -> Result<bool> {
        changed_one!(self, SIGNED, id, signing.map(Json))
    }

    /// All keys by name.
    pub async fn keys(&mut self) -> Result<Vec<KeyRow>> {
        fetch_all!(self, LIST)
    }

    /// Notes that a key was used.
    pub async fn key_used(&mut self, id: KeyId, now: DateTime<Utc>) -> Result<()> {
        execute!(self, USED, id, now).map(|_| ())
    }

    /// Revokes a key; false when there is none of that name, or it was revoked before.
    pub async fn revoke_key(&mut self, name: &str, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, REVOKE, name, now)
    }
}
