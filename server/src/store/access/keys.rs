//! Keys of senders.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use crate::call_log::reading::Said;
use crate::ids::KeyId;
use crate::kinds::signing::Signing;
use crate::rights::{Bounds, Right, Rights};
use crate::signal::generic::Places;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};
use crate::versions::Version;

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
        /// What it may.
        pub rights: Rights,
        /// It has them from before there were any, and nobody has said since what it may.
        pub from_before: bool,
        /// Which alarms it is bound to.
        pub bounds: Option<Json<Bounds>>,
        /// From when on it is no good.
        pub expires_at: Option<DateTime<Utc>>,
        /// How the times and numbers of calls are read that it lists, as far as that was said.
        pub phonecalls: Option<Json<Said>>,
        /// Where the fields of a foreign form stand that it sends.
        pub places: Option<Json<Places>>,
        /// How what it sends has to be signed; `None`: the key itself is enough.
        pub signing: Option<Json<Signing>>,
        /// Whose certificate it is taken with alone: a name in it, or `sha256:` and its fingerprint; `None`: also without.
        pub certificate: Option<String>,
        /// When it was made.
        pub created_at: DateTime<Utc>,
        /// When it was last used, to the minute.
        pub last_used_at: Option<DateTime<Utc>>,
        /// From which address.
        pub last_used_from: Option<String>,
        /// Until when the secret is good as well that it had before.
        pub old_until: Option<DateTime<Utc>>,
        /// Since when it is no good.
        pub revoked_at: Option<DateTime<Utc>>,
    }
}

impl KeyRow {
    /// Whether its rights cover one.
    #[must_use]
    pub fn may(&self, right: Right) -> bool {
        self.rights.may(right)
    }

    /// The alarms that it is bound to; `None` when it is not.
    #[must_use]
    pub fn bound_to(&self) -> Option<&Bounds> {
        self.bounds.as_deref().filter(|bounds| !bounds.is_empty())
    }

    /// The version of what is said of it. A secret is no part of it: forms hold versions.
    #[must_use]
    pub fn version(&self) -> Version {
        let may = (self.rights.to_string(), &self.bounds, self.expires_at);
        Version::of(&(self.id, &self.places, self.signing.as_ref().map(|signing| signing.scheme), may))
    }

    /// Whether it only lists calls, and may nothing else: it stands in plain text in some script of a telephone system.
    #[must_use]
    pub fn only_lists_calls(&self) -> bool {
        self.may(Right::Phonecalls)
    }

    /// Whether it only raises alarms by mail, and may nothing else: as the name of a recipient it is read by every program that a letter goes
    /// through.
    #[must_use]
    pub fn only_mails(&self) -> bool {
        self.may(Right::Mail)
    }

    /// Whether signals may be sent with it over HTTP.
    #[must_use]
    pub fn sends_signals(&self) -> bool {
        self.may(Right::Raise)
    }
}

row! {
    /// When somebody last used a right.
    #[derive(Clone, Debug)]
    pub struct UsedRightRow {
        /// A key, or [`WITHOUT_KEY`].
        pub who: String,
        /// The right.
        pub name: String,
        /// When.
        pub used_at: DateTime<Utc>,
    }
}

row! {
    /// What was so when rights began.
    #[derive(Clone, Debug)]
    pub struct RightsBeginRow {
        /// What open networks may where the configuration does not say.
        pub open: Rights,
        /// Since when it is noted who uses what.
        pub noted_since: Option<DateTime<Utc>>,
    }
}

/// Who uses a right without a key.
pub const WITHOUT_KEY: &str = "open";

/// A key to be stored.
#[derive(Clone, Debug)]
pub struct NewKey<'k> {
    /// Which one.
    pub id: KeyId,
    /// Who uses it.
    pub name: &'k str,
    /// The hash of its secret.
    pub hash: &'k [u8],
    /// Whom to ring when an alarm names nobody.
    pub phones: &'k [String],
    /// What it may.
    pub rights: &'k Rights,
    /// How the calls are read that it lists.
    pub phonecalls: Option<&'k Said>,
    /// Which alarms it is bound to.
    pub bounds: Bounds,
    /// From when on it is no good.
    pub expires_at: Option<DateTime<Utc>>,
}

statements! {
    /// A new key.
    INSERT = [
        "INSERT INTO api_keys (id, name, key_hash, phones, created_at, rights, phonecalls, bounds, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    ];
    /// A key that is good.
    BY_HASH = ["SELECT" key_columns "FROM api_keys WHERE key_hash = $1 AND revoked_at IS NULL"];
    /// A key that is good, by the secret that it had before.
    BY_OLD_HASH = ["SELECT" key_columns "FROM api_keys WHERE old_hash = $1 AND revoked_at IS NULL"];
    /// One key.
    BY_ID = ["SELECT" key_columns "FROM api_keys WHERE id = $1"];
    /// One key that is good, until the transaction ends nobody else's to change.
    BY_NAME = [
        "SELECT" key_columns "FROM api_keys WHERE name = $1 AND revoked_at IS NULL" for_update
    ];
    /// What it lists is read otherwise.
    READ_OTHERWISE = ["UPDATE api_keys SET phonecalls = $2 WHERE id = $1"];
    /// What it sends is read at these places.
    PLACED = ["UPDATE api_keys SET places = $2 WHERE id = $1"];
    /// What it sends has to be signed, or need not be.
    SIGNED = ["UPDATE api_keys SET signing = $2 WHERE id = $1"];
    /// It is taken only with this certificate from now on.
    CERTIFIED = ["UPDATE api_keys SET certificate = $2 WHERE id = $1"];
    /// All keys.
    LIST = ["SELECT" key_columns "FROM api_keys ORDER BY name"];
    /// It was used.
    USED = ["UPDATE api_keys SET last_used_at = $2, last_used_from = $3 WHERE id = $1"];
    /// It may this from now on, and somebody has said so.
    GIVEN = ["UPDATE api_keys SET rights = $2, from_before = FALSE WHERE id = $1"];
    /// It is bound to these alarms, and good until then.
    BOUND = ["UPDATE api_keys SET bounds = $2, expires_at = $3 WHERE id = $1"];
    /// It has another secret; the one before is good as well until then.
    ROTATED = ["UPDATE api_keys SET old_hash = key_hash, old_until = $3, key_hash = $2 WHERE id = $1"];
    /// It has another secret, and no other one is good.
    REPLACED = ["UPDATE api_keys SET old_hash = NULL, old_until = NULL, key_hash = $2 WHERE id = $1"];
    /// A right was used.
    RIGHT_USED = [
        "INSERT INTO rights_used (who, name, used_at) VALUES ($1, $2, $3)
         ON CONFLICT (who, name) DO UPDATE SET used_at = excluded.used_at"
    ];
    /// Which rights were used since then: at most one row for each right of each key.
    RIGHTS_USED = ["SELECT who, name, used_at FROM rights_used WHERE used_at >= $1 ORDER BY who, name"];
    /// The same of one.
    RIGHTS_USED_BY = ["SELECT who, name, used_at FROM rights_used WHERE who = $1 AND used_at >= $2 ORDER BY name"];
    /// What was so when rights began.
    BEGUN = ["SELECT open, noted_since FROM rights_begin"];
    /// From now on it is noted who uses what.
    NOTE_FROM = ["UPDATE rights_begin SET noted_since = $1 WHERE noted_since IS NULL"];
    /// Keys that have their rights from before.
    OLD_ONES = ["SELECT" key_columns "FROM api_keys WHERE from_before AND revoked_at IS NULL ORDER BY name LIMIT 100"];
    /// It is no good any more, and what it signed with is of no use to anybody.
    REVOKE = ["UPDATE api_keys SET revoked_at = $2, signing = NULL, old_hash = NULL, old_until = NULL WHERE name = $1 AND revoked_at IS NULL"];
}

impl Db<'_> {
    /// Stores a key.
    ///
    /// # Errors
    /// When the database fails; a unique violation when the name is taken.
    pub async fn insert_key(&mut self, key: &NewKey<'_>, now: DateTime<Utc>) -> Result<()> {
        let phonecalls = key.phonecalls.map(Json);
        let bounds = Some(&key.bounds).filter(|bounds| !bounds.is_empty()).map(Json);
        let NewKey { id, name, hash, phones, rights, expires_at, .. } = key;
        execute!(self, INSERT, *id, *name, *hash, Json(phones), now, rights, phonecalls, bounds, *expires_at).map(|_| ())
    }

    /// The key with a hash, unless it was revoked; and whether that is the hash of the secret that it had before.
    pub async fn key_by_hash(&mut self, hash: &[u8]) -> Result<Option<(KeyRow, bool)>> {
        if let Some(key) = fetch_optional!(self, BY_HASH, hash)? {
            return Ok(Some((key, false)));
        }
        let old: Option<KeyRow> = fetch_optional!(self, BY_OLD_HASH, hash)?;
        Ok(old.map(|key| (key, true)))
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

    /// A key is taken only with this certificate from now on.
    pub async fn certify_key(&mut self, id: KeyId, certificate: Option<&str>) -> Result<bool> {
        changed_one!(self, CERTIFIED, id, certificate)
    }

    /// All keys by name.
    pub async fn keys(&mut self) -> Result<Vec<KeyRow>> {
        fetch_all!(self, LIST)
    }

    /// Notes that a key was used, and from where.
    pub async fn key_used(&mut self, id: KeyId, now: DateTime<Utc>, address: &str) -> Result<()> {
        execute!(self, USED, id, now, address).map(|_| ())
    }

    /// A key may this from now on.
    pub async fn give_key(&mut self, id: KeyId, rights: &Rights) -> Result<bool> {
        changed_one!(self, GIVEN, id, rights)
    }

    /// A key is bound to these alarms, and good until then.
    pub async fn bind_key(&mut self, id: KeyId, bounds: &Bounds, expires_at: Option<DateTime<Utc>>) -> Result<bool> {
        let bounds = Some(bounds).filter(|bounds| !bounds.is_empty()).map(Json);
        changed_one!(self, BOUND, id, bounds, expires_at)
    }

    /// A key has another secret; the one that it had is good as well until then, or not at all.
    pub async fn rotate_key(&mut self, id: KeyId, hash: &[u8], old_until: Option<DateTime<Utc>>) -> Result<bool> {
        match old_until {
            Some(until) => changed_one!(self, ROTATED, id, hash, until),
            None => changed_one!(self, REPLACED, id, hash),
        }
    }

    /// Notes that somebody used a right: a key, or [`WITHOUT_KEY`].
    pub async fn right_used(&mut self, who: &str, right: Right, now: DateTime<Utc>) -> Result<()> {
        execute!(self, RIGHT_USED, who, right.as_str(), now).map(|_| ())
    }

    /// Which rights were used since then, by whomever.
    pub async fn rights_used(&mut self, since: DateTime<Utc>) -> Result<Vec<UsedRightRow>> {
        fetch_all!(self, RIGHTS_USED, since)
    }

    /// Which rights somebody has used since then.
    pub async fn rights_used_by(&mut self, who: &str, since: DateTime<Utc>) -> Result<Vec<UsedRightRow>> {
        fetch_all!(self, RIGHTS_USED_BY, who, since)
    }

    /// What was so when rights began.
    pub async fn rights_begin(&mut self) -> Result<Option<RightsBeginRow>> {
        fetch_optional!(self, BEGUN)
    }

    /// From now on it is noted who uses what.
    pub async fn note_rights_from(&mut self, now: DateTime<Utc>) -> Result<()> {
        execute!(self, NOTE_FROM, now).map(|_| ())
    }

    /// The keys that have their rights from before; a hundred of them at most.
    pub async fn keys_from_before(&mut self) -> Result<Vec<KeyRow>> {
        fetch_all!(self, OLD_ONES)
    }

    /// Revokes a key; false when there is none of that name, or it was revoked before.
    pub async fn revoke_key(&mut self, name: &str, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, REVOKE, name, now)
    }
}
