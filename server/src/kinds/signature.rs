//! The signature under what is sent, and under what is received.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// HMAC-SHA256.
#[must_use]
pub fn sign(key: &[u8], text: &[u8]) -> Vec<u8> {
    // A key of any length is fine for HMAC, so this cannot fail.
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mac) => mac.chain_update(text).finalize().into_bytes().to_vec(),
        Err(_) => Vec::new(),
    }
}
