//! Whoever has shown the right password and not yet the code of their app has no session. Their browser holds a proof of the first step, which
//! is good for some minutes, for this user, and as long as their password stays the same.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::ids::UserId;
use crate::store::access::users::UserRow;
use crate::store::{Store, StoreError};

/// Holds the proof.
pub(in crate::dashboard) const COOKIE: &str = "autocall_half_way";
/// So long somebody has to look for their phone.
pub(in crate::dashboard) const LASTS: TimeDelta = TimeDelta::minutes(10);
/// Under this name the key is kept in the database.
const SECRET: &str = "logins half way";

/// Makes proofs and reads them again.
pub(in crate::dashboard) struct HalfWay {
    key: Vec<u8>,
}

impl HalfWay {
    /// With the installation's key; the first node makes it.
    ///
    /// # Errors
    /// When the database fails.
    pub(in crate::dashboard) async fn load(store: &Store) -> Result<Self, StoreError> {
        Ok(Self { key: store.signing_key(SECRET).await? })
    }

    /// A proof that the password was right at an instant.
    pub(in crate::dashboard) fn proof(&self, user: &UserRow, now: DateTime<Utc>) -> String {
        let until = (now + LASTS).timestamp();
        format!("{}.{until}.{}", user.id, self.mac(user, until))
    }

    /// Whose proof it may be, by what it says itself: [`Self::is_good`] tells whether that is true.
    pub(in crate::dashboard) fn says(cookie: &str) -> Option<UserId> {
        cookie.split('.').next()?.parse().ok()
    }

    /// Whether it is ours, for this user, and good still.
    pub(in crate::dashboard) fn is_good(&self, cookie: &str, user: &UserRow, now: DateTime<Utc>) -> bool {
        let mut parts = cookie.split('.').skip(1);
        let (Some(until), Some(mac), None) = (parts.next(), parts.next(), parts.next()) else { return false };
        let Ok(until) = until.parse::<i64>() else { return false };
        let own = self.mac(user, until);
        now.timestamp() < until && !own.is_empty() && bool::from(own.as_bytes().ct_eq(mac.as_bytes()))
    }

    fn mac(&self, user: &UserRow, until: i64) -> String {
        // A key of any length is fine for HMAC, so this cannot fail.
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return String::new() };
        let mac = mac.chain_update(user.id.to_string()).chain_update([0]).chain_update(until.to_string());
        let mac = mac.chain_update([0]).chain_update(&user.password_hash);
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::roles::Role;

    fn user(number: u128, password_hash: &str) -> UserRow {
        UserRow {
            id: UserId(uuid::Uuid::from_u128(number)),
            name: "lin".to_owned(),
            password_hash: password_hash.to_owned(),
            role: Role::Viewer,
            language: String::new(),
            person_id: None,
            created_at: DateTime::UNIX_EPOCH,
            disabled_at: None,
        }
    }

    #[test]
    fn a_proof_is_for_one_user_one_password_and_some_minutes() {
        let (half_way, lin, now) = (HalfWay { key: vec![7; 32] }, user(1, "hash"), DateTime::UNIX_EPOCH);
        let proof = half_way.proof(&lin, now);
        assert_eq!(HalfWay::says(&proof), Some(lin.id));
        assert!(half_way.is_good(&proof, &lin, now));
        assert!(!half_way.is_good(&proof, &lin, now + LASTS));
        assert!(!half_way.is_good(&proof, &user(2, "hash"), now) && !half_way.is_good(&proof, &user(1, "another"), now));
        assert!(!HalfWay { key: vec![8; 32] }.is_good(&proof, &lin, now), "another installation's");
        let later = proof.replace(".600.", ".999999.");
        assert_ne!(later, proof);
        for bent in [later.as_str(), "", ".", "..", "a.b.c", &format!("{proof}."), &proof[..proof.len() - 1]] {
            assert!(!half_way.is_good(bent, &lin, now), "{bent}");
        }
    }
}
