//! Secrets that are shown once: long random tokens, of which only the hash is stored. Every random text of the server is made here.

use sha2::{Digest, Sha256};

use crate::ids::hex;

/// Letters and digits that nobody takes for others.
pub const TYPED: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// How long a token is, in random bytes.
const LENGTH: usize = 20;

/// A new token with a prefix that tells it from other secrets, and its hash.
#[must_use]
pub fn new(prefix: &str) -> (String, [u8; 32]) {
    let token = format!("{prefix}{}", random::<LENGTH>());
    let hash = hash(&token);
    (token, hash)
}

/// Whether a text looks like a token with this prefix.
#[must_use]
pub fn is_like(prefix: &str, text: &str) -> bool {
    let digits = text.strip_prefix(prefix).unwrap_or_default();
    digits.len() == 2 * LENGTH && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// So many random bytes as hexadecimal digits.
#[must_use]
pub fn random<const BYTES: usize>() -> String {
    let bytes: [u8; BYTES] = rand::random();
    hex(&bytes)
}

/// So many random letters and digits that people can type, five bits each.
#[must_use]
pub fn typed<const LETTERS: usize>() -> String {
    let bytes: [u8; LETTERS] = rand::random();
    // 32 divides 256, so every letter is equally likely.
    bytes.iter().map(|byte| char::from(TYPED[usize::from(byte % 32)])).collect()
}

/// SHA-256 of anything.
#[must_use]
pub fn hash_of(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 of a token. Tokens are long and random, so they need no salt.
#[must_use]
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
