//! A callee's own link: whoever holds it may say "I take it" or "I cannot" for that callee, and nothing else. No login is needed.
//!
//! A link is made of the callee's id and a proof that this installation made it, so nothing has to be kept for it. It does nothing
//! any more once its alarm is over.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::ids::{CalleeId, KeyId, MediaId, UserId, hex};
use crate::versions::Version;

/// Under this name the key is kept in the database.
pub const SECRET: &str = "callee links";
/// Half of SHA-256: nobody guesses 128 bits.
const PROOF_BYTES: usize = 16;
const ID_BYTES: usize = 16;
/// A recording, a kind of listener, a listener, an instant.
const HEARING_BYTES: usize = ID_BYTES + 1 + ID_BYTES + 8;

/// Who was given the address of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Listener {
    /// A user of the pages.
    User(UserId),
    /// The holder of a key.
    Key(KeyId),
    /// Whoever asked without a key from an open network.
    OpenNetwork,
}

impl Listener {
    fn written(self) -> (u8, Uuid) {
        match self {
            Self::User(UserId(id)) => (b'u', id),
            Self::Key(KeyId(id)) => (b'k', id),
            Self::OpenNetwork => (b'o', Uuid::nil()),
        }
    }

    fn read(kind: u8, id: Uuid) -> Option<Self> {
        match kind {
            b'u' => Some(Self::User(UserId(id))),
            b'k' => Some(Self::Key(KeyId(id))),
            b'o' => Some(Self::OpenNetwork),
            _ => None,
        }
    }
}

/// An address at which somebody hears a recording for some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hearing {
    /// What.
    pub media: MediaId,
    /// Who.
    pub listener: Listener,
    /// Until then; it is cut to seconds.
    pub until: DateTime<Utc>,
}

/// Makes links and reads them again.
pub struct Links {
    key: Vec<u8>,
}

impl Links {
    /// With the installation's key, which [`crate::store::Store::signing_key`] has under [`SECRET`].
    #[must_use]
    pub fn new(key: Vec<u8>) -> Self {
        Self { key }
    }

    /// The address of a callee's link below the server's own.
    #[must_use]
    pub fn address(&self, public_url: &str, callee: CalleeId) -> String {
        format!("{public_url}/c/{}", self.token(callee))
    }

    fn token(&self, callee: CalleeId) -> String {
        let id = callee.0.into_bytes();
        URL_SAFE_NO_PAD.encode([&id[..], &self.proof(&id)].concat())
    }

    /// Whose link this is; `None` when it is not one of ours.
    #[must_use]
    pub fn read(&self, token: &str) -> Option<CalleeId> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok().filter(|bytes| bytes.len() == ID_BYTES + PROOF_BYTES)?;
        let (id, proof) = bytes.split_at(ID_BYTES);
        let ours = bool::from(self.proof(id).as_slice().ct_eq(proof));
        ours.then(|| Uuid::from_slice(id).ok().map(CalleeId)).flatten()
    }

    /// The path at which somebody hears a recording.
    #[must_use]
    pub fn hearing(&self, hearing: &Hearing) -> String {
        let (kind, listener) = hearing.listener.written();
        let until = hearing.until.timestamp().to_be_bytes();
        let said = [&hearing.media.0.as_bytes()[..], &[kind], &listener.as_bytes()[..], &until].concat();
        let proof = self.proof_of_hearing(&said);
        format!("/media/{}", URL_SAFE_NO_PAD.encode([&said[..], &proof].concat()))
    }

    /// What somebody may hear, and until when; `None` when it is no address of ours. Whether its time is over is for the caller to see.
    #[must_use]
    pub fn read_hearing(&self, token: &str) -> Option<Hearing> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok().filter(|bytes| bytes.len() == HEARING_BYTES + PROOF_BYTES)?;
        let (said, proof) = bytes.split_at(HEARING_BYTES);
        if !bool::from(self.proof_of_hearing(said).as_slice().ct_eq(proof)) {
            return None;
        }
        let (media, rest) = said.split_at(ID_BYTES);
        let (kind, rest) = rest.split_first()?;
        let (listener, until) = rest.split_at(ID_BYTES);
        Some(Hearing {
            media: MediaId(Uuid::from_slice(media).ok()?),
            listener: Listener::read(*kind, Uuid::from_slice(listener).ok()?)?,
            until: DateTime::from_timestamp(i64::from_be_bytes(until.try_into().ok()?), 0)?,
        })
    }

    /// Of another kind than that of a callee's link, which so is none of these.
    fn proof_of_hearing(&self, said: &[u8]) -> Vec<u8> {
        self.proof(&[b"hearing of ", said].concat())
    }

    /// A version of something that holds secrets: it tells nothing about them.
    #[must_use]
    pub fn version_of(&self, what: &impl serde::Serialize) -> Version {
        let written = serde_json::to_vec(what).unwrap_or_default();
        Version::named(hex(&self.proof(&[b"version of ", &written[..]].concat())))
    }

    fn proof(&self, id: &[u8]) -> Vec<u8> {
        // A key of any length is fine for HMAC, so this cannot fail.
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return Vec::new() };
        mac.chain_update(id).finalize().into_bytes()[..PROOF_BYTES].to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_names_its_callee_and_cannot_be_bent() {
        let links = Links { key: vec![7; 32] };
        let callee = CalleeId(Uuid::from_u128(0x0123_4567));
        let token = links.token(callee);
        assert_eq!(links.read(&token), Some(callee));
        assert_eq!(links.address("https://alerts.example.org", callee), format!("https://alerts.example.org/c/{token}"));
        for place in 0..token.len() {
            let mut bent: Vec<char> = token.chars().collect();
            bent[place] = if bent[place] == 'A' { 'B' } else { 'A' };
            assert_eq!(links.read(&bent.into_iter().collect::<String>()), None, "{place}");
        }
        assert_eq!(Links { key: vec![8; 32] }.read(&token), None, "another installation's");
        for nonsense in ["", "AA", "//", "é"] {
            assert_eq!(links.read(nonsense), None);
        }
    }

    #[test]
    fn an_address_of_a_recording_names_who_hears_what_until_when() {
        let links = Links { key: vec![7; 32] };
        let until = DateTime::from_timestamp(1_795_000_000, 0).unwrap_or_default();
        let of = |listener| Hearing { media: MediaId(Uuid::from_u128(7)), listener, until };
        let user = UserId(Uuid::from_u128(9));
        for listener in [Listener::User(user), Listener::Key(KeyId(Uuid::from_u128(9))), Listener::OpenNetwork] {
            let address = links.hearing(&of(listener));
            let token = address.strip_prefix("/media/").unwrap_or_default();
            assert_eq!(links.read_hearing(token), Some(of(listener)));
            assert_eq!(Links { key: vec![8; 32] }.read_hearing(token), None, "another installation's");
            assert_eq!(links.read(token), None);
            for place in 0..token.len() {
                let mut bent: Vec<char> = token.chars().collect();
                bent[place] = if bent[place] == 'A' { 'B' } else { 'A' };
                assert_eq!(links.read_hearing(&bent.into_iter().collect::<String>()), None, "{place}");
            }
        }
        let callee = links.token(CalleeId(Uuid::from_u128(7)));
        for nonsense in ["", "AA", "//", "é", &callee] {
            assert_eq!(links.read_hearing(nonsense), None);
        }
    }
}
