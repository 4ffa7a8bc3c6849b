//! What a browser carries from here to the provider and back: that the login was begun in it, lately, and where it wants to go.
//!
//! Its cookie holds no secret of the login: state, nonce and the verifier of PKCE are computed from it with the installation's key, so any
//! node can read it, and nothing has to be kept. That none comes back twice is noted when it comes back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::ids::UserId;
use crate::secrets;
use crate::store::{Store, StoreError};

/// A login takes no longer: long enough to look for a phone with a code on it.
pub const LASTS: TimeDelta = TimeDelta::minutes(10);
/// Under this name the key is kept in the database.
const SECRET: &str = "logins by a provider";
/// A page to go to has no longer address, in bytes.
const LONGEST_NEXT: usize = 1_000;

/// What a login is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Somebody comes in.
    LogIn,
    /// Somebody is in, and the provider is asked again what they may.
    Renew,
    /// Somebody who is in wants to be known by it from now on.
    Connect,
}

/// A login that has been begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    id: String,
    /// In seconds since 1970.
    at: i64,
    /// What for.
    pub purpose: Purpose,
    /// The page to go to.
    pub next: String,
    /// Who wants to be known by it.
    pub user: Option<UserId>,
}

impl Ticket {
    /// A new one.
    #[must_use]
    pub fn new(purpose: Purpose, next: &str, user: Option<UserId>, now: DateTime<Utc>) -> Self {
        let next = if next.len() <= LONGEST_NEXT { next } else { "/" };
        Self { id: secrets::random::<16>(), at: now.timestamp(), purpose, next: next.to_owned(), user }
    }

    /// Under what it is noted that it came back.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.id.as_bytes()).into()
    }
}

/// What belongs to one login: known to us, and of each to those who must.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    /// Goes by the browser, there and back.
    pub state: String,
    /// Goes to the provider, and comes back in its token.
    pub nonce: String,
    /// Goes straight to the provider, with the code.
    pub verifier: String,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

/// Makes tickets and reads them again.
pub struct Tickets {
    key: Vec<u8>,
}

impl Tickets {
    /// With the installation's key; the first node makes it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load(store: &Store) -> Result<Self, StoreError> {
        Ok(Self { key: store.signing_key(SECRET).await? })
    }

    /// The cookie for a ticket.
    #[must_use]
    pub fn cookie(&self, ticket: &Ticket) -> String {
        let written = URL_SAFE_NO_PAD.encode(serde_json::to_vec(ticket).unwrap_or_default());
        let proof = self.derived("cookie", &written);
        format!("{written}.{proof}")
    }

    /// What belongs to a ticket.
    #[must_use]
    pub fn secrets(&self, ticket: &Ticket) -> Secrets {
        let derived = |what: &str| self.derived(what, &ticket.id);
        Secrets { state: derived("state"), nonce: derived("nonce"), verifier: derived("verifier") }
    }

    /// The ticket of this browser, where the provider has sent back what belongs to it, in time.
    #[must_use]
    pub fn read(&self, cookie: &str, state: &str, now: DateTime<Utc>) -> Option<(Ticket, Secrets)> {
        let (written, proof) = cookie.split_once('.')?;
        if !is_same(&self.derived("cookie", written), proof) {
            return None;
        }
        let ticket: Ticket = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(written).ok()?).ok()?;
        let age = now.timestamp().checked_sub(ticket.at)?;
        let secrets = self.secrets(&ticket);
        ((0..LASTS.num_seconds()).contains(&age) && is_same(&secrets.state, state)).then_some((ticket, secrets))
    }

    /// 43 letters, digits, `-` and `_`.
    fn derived(&self, what: &str, from: &str) -> String {
        // A key of any length is fine for HMAC, so this cannot fail.
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return String::new() };
        URL_SAFE_NO_PAD.encode(mac.chain_update(what).chain_update([0]).chain_update(from).finalize().into_bytes())
    }
}

fn is_same(own: &str, said: &str) -> bool {
    !own.is_empty() && bool::from(own.as_bytes().ct_eq(said.as_bytes()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    #[test]
    fn a_ticket_is_good_in_its_browser_for_its_login_and_for_some_minutes() {
        let tickets = Tickets { key: vec![7; 32] };
        let ticket = Ticket::new(Purpose::LogIn, "/alarms?x=1", None, NOW);
        let (cookie, secrets) = (tickets.cookie(&ticket), tickets.secrets(&ticket));
        assert!(secrets.verifier.len() == 43 && secrets.verifier != secrets.nonce && secrets.nonce != secrets.state);
        assert!(!cookie.contains(&secrets.verifier) && !cookie.contains(&secrets.nonce) && !cookie.contains(&secrets.state));
        assert_eq!(tickets.read(&cookie, &secrets.state, NOW).unwrap().0, ticket);
        assert!(tickets.read(&cookie, &secrets.state, NOW + LASTS - TimeDelta::seconds(1)).is_some());
        assert!(tickets.read(&cookie, &secrets.state, NOW + LASTS).is_none());
        assert!(tickets.read(&cookie, &secrets.state, NOW - TimeDelta::seconds(1)).is_none());
        let other = Ticket::new(Purpose::LogIn, "/alarms?x=1", None, NOW);
        assert!(tickets.read(&cookie, &tickets.secrets(&other).state, NOW).is_none(), "another login's");
        assert!(tickets.read(&tickets.cookie(&other), &secrets.state, NOW).is_none(), "another browser's");
        assert!(Tickets { key: vec![8; 32] }.read(&cookie, &secrets.state, NOW).is_none(), "another installation's");
        for bent in ["", ".", "x.y", &cookie[1..], &format!("{cookie}x")] {
            assert!(tickets.read(bent, &secrets.state, NOW).is_none(), "{bent}");
        }
        assert_eq!(Ticket::new(Purpose::Renew, &"/".repeat(LONGEST_NEXT + 1), None, NOW).next, "/");
    }
}
