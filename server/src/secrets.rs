//! Secrets that are shown once: long random tokens, of which only the hash is stored.

use sha2::{Digest, Sha256};

/// A new token with a prefix that tells it from other secrets, and its hash.
#[must_use]
pub fn new(prefix: &str) -> (String, [u8; 32]) {
    let random: [u8; 20] = rand::random();
    let token = format!("{prefix}{}", crate::ids::hex(&random));
    let hash = hash(&token);
    (token, hash)
}

/// SHA-256 of a token. Tokens are long and random, so they need no salt.
#[must_use]
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
