//! A callee's own link: whoever holds it may say "I take it" or "I cannot" for that callee, and nothing else. No login is needed.
//!
//! A link is made of the callee's id and a proof that this installation made it, so nothing has to be kept for it. It does nothing
//! any more once its alarm is over.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::ids::{CalleeId, hex};
use crate::versions::Version;

/// Under this name the key is kept in the database.
pub const SECRET: &str = "callee links";
/// Half of SHA-256: nobody guesses 128 bits.
const PROOF_BYTES: usize = 16;
const ID_BYTES: usize = 16;

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
}
