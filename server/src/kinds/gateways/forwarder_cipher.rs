//! How `SmsForwarder` writes its requests and answers where its owner has chosen RSA or SM4: pure.
//!
//! As its source has it (`SmsSendFragment`, `AppMessageConverter`, `AppExceptionResolver`, `RSACrypt`, `SM4Crypt`):
//!
//! - RSA: the JSON in Base64, cut into pieces of 245 bytes. Each piece is a number that is raised by itself, to as many bytes as the key
//!   has; all of them in Base64. The app asks Android for the cipher `RSA` and says nothing of a padding. On Android only Bouncy Castle has
//!   a cipher of that bare name, and it is the one **without padding** (its `RSA.java`: `Cipher.RSA` is `CipherSpi$NoPadding`; Conscrypt
//!   has only names that hold a padding). What people report says the same: with PKCS #1 padding the app's answers cannot be read (issue
//!   410). Without padding the first bytes of a piece must not be zero, which Base64 never is.
//! - SM4: CBC with the padding of PKCS #7 and an initialisation vector that stands in the source; in hexadecimal digits.
//!
//! Requests are raised with the public key, and answers, which the phone raised with the private one, likewise: here is no private key
//! that the time of an answer could tell of.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use num_bigint::BigUint;
use pkcs1::RsaPublicKeyRef;
use pkcs1::der::Decode;
use sm4::Sm4;
use spki::SubjectPublicKeyInfoRef;

/// `RSACrypt.ENCRYPT_MAX_SIZE`.
const PIECE: usize = 245;
/// `RSACrypt.DECRYPT_MAX_SIZE`: keys of 2048 bits, as the app makes them, and no others.
const KEY: usize = 256;
/// No answer has more pieces.
const MOST_PIECES: usize = 64;
/// `SM4Crypt.SM4_CBC_IV`.
const VECTOR: [u8; 16] = [3, 5, 6, 9, 6, 9, 5, 9, 3, 5, 6, 9, 6, 9, 5, 9];

/// How a phone's owner has chosen to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// With the public key of the pair that the app has made.
    Rsa {
        /// The modulus.
        modulus: BigUint,
        /// The public exponent.
        exponent: BigUint,
    },
    /// With a key that both have.
    Sm4([u8; 16]),
}

impl Cipher {
    /// Reads a public key as the app shows it: a `SubjectPublicKeyInfo` in Base64. The lines of a PEM file around it do no harm. `None`
    /// when it is none, or not of 2048 bits.
    #[must_use]
    pub fn rsa(text: &str) -> Option<Self> {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
        let base64: String = lines.flat_map(str::chars).filter(|c| !c.is_whitespace()).collect();
        let der = STANDARD.decode(base64).ok()?;
        let info = SubjectPublicKeyInfoRef::from_der(&der).ok()?;
        if info.algorithm.oid != pkcs1::ALGORITHM_OID {
            return None;
        }
        let key = RsaPublicKeyRef::from_der(info.subject_public_key.as_bytes()?).ok()?;
        let modulus = BigUint::from_bytes_be(key.modulus.as_bytes());
        let exponent = BigUint::from_bytes_be(key.public_exponent.as_bytes());
        // A small exponent would leave a short piece as readable as it was.
        let good = modulus.bits() == KEY as u64 * 8 && exponent.bits() > 1 && exponent.bits() <= 64;
        good.then_some(Self::Rsa { modulus, exponent })
    }

    /// Reads a key of SM4: 32 hexadecimal digits.
    #[must_use]
    pub fn sm4(text: &str) -> Option<Self> {
        read_hex(text.trim())?.try_into().ok().map(Self::Sm4)
    }

    /// A request as the app reads it.
    #[must_use]
    pub fn write(&self, json: &str) -> String {
        match self {
            Self::Rsa { modulus, exponent } => {
                let base64 = STANDARD.encode(json);
                let pieces = base64.as_bytes().chunks(PIECE).map(|piece| BigUint::from_bytes_be(piece).modpow(exponent, modulus));
                let mut raised = Vec::new();
                for piece in pieces {
                    let bytes = piece.to_bytes_be();
                    raised.resize(raised.len() + KEY.saturating_sub(bytes.len()), 0);
                    raised.extend_from_slice(&bytes);
                }
                STANDARD.encode(raised)
            }
            Self::Sm4(key) => {
                let written = cbc::Encryptor::<Sm4>::new(key.into(), &VECTOR.into()).encrypt_padded_vec::<Pkcs7>(json.as_bytes());
                crate::ids::hex(&written).to_ascii_uppercase()
            }
        }
    }

    /// What an answer of the app says; `None` when it is not written in this way with this key.
    #[must_use]
    pub fn read(&self, answer: &str) -> Option<String> {
        let json = match self {
            Self::Rsa { modulus, exponent } => {
                let base64: String = answer.chars().filter(|c| !c.is_whitespace()).collect();
                let raised = STANDARD.decode(base64).ok()?;
                if raised.is_empty() || !raised.len().is_multiple_of(KEY) || raised.len() > MOST_PIECES * KEY {
                    return None;
                }
                let mut inner = Vec::new();
                for piece in raised.chunks(KEY) {
                    let bytes = BigUint::from_bytes_be(piece).modpow(exponent, modulus).to_bytes_be();
                    inner.extend_from_slice(without_padding(&bytes));
                }
                STANDARD.decode(inner).ok()?
            }
            Self::Sm4(key) => {
                let written = read_hex(answer.trim())?;
                cbc::Decryptor::<Sm4>::new(key.into(), &VECTOR.into()).decrypt_padded_vec::<Pkcs7>(&written).ok()?
            }
        };
        String::from_utf8(json).ok()
    }
}

/// A piece without the padding that a phone would write whose system has another cipher under the bare name (RFC 8017, 9.2: `00 01 FF … 00`;
/// the first zero is lost in the number). Base64 never begins so.
fn without_padding(piece: &[u8]) -> &[u8] {
    let end = piece.iter().position(|byte| *byte == 0);
    match (piece, end) {
        ([1, 0xff, ..], Some(end)) => &piece[end + 1..],
        _ => piece,
    }
}

fn read_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len() / 2).map(|at| u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;

    /// What OpenSSL made with the same keys; see `fixtures/README.md`.
    #[test]
    fn openssl_writes_and_reads_the_same() {
        let key = Cipher::sm4("0123456789abcdeffedcba9876543210").unwrap();
        let written = include_str!("../../../../fixtures/sms/smsforwarder-sm4.txt").trim();
        assert_eq!(key.write("{\"a\":1}"), written);
        assert_eq!(key.read(&written.to_ascii_lowercase()).unwrap(), "{\"a\":1}");
        assert_eq!(key.read("{\"code\":200}"), None, "not written with it");
        assert_eq!(Cipher::sm4("1123456789abcdeffedcba9876543210").unwrap().read(written), None, "another key");

        let key = Cipher::rsa(include_str!("../../../../fixtures/sms/smsforwarder-rsa-public.txt")).unwrap();
        let text = "今天你值班 ".repeat(12);
        let data = format!(r#""sim_slot":1,"phone_numbers":"+8618712345678","msg_content":"{text}""#);
        let request = include_str!("../../../../fixtures/sms/smsforwarder-rsa-request.txt").trim();
        assert_eq!(key.write(&format!(r#"{{"data":{{{data}}},"timestamp":1700000000000}}"#)), request);
        let answer = key.read(include_str!("../../../../fixtures/sms/smsforwarder-rsa-answer.txt")).unwrap();
        assert!(answer.contains(r#""code":200"#) && answer.ends_with("success \"}"), "{answer}");
        let padded = key.read(include_str!("../../../../fixtures/sms/smsforwarder-rsa-padded-answer.txt"));
        assert_eq!(padded.unwrap(), r#"{"code":200}"#);
        assert_eq!((key.read(r#"{"code":200}"#), key.read(request)), (None, None));
    }

    #[test]
    fn what_is_no_key_is_none() {
        for text in
            ["", "00", "0123456789abcdeffedcba987654321", "0123456789abcdeffedcba987654321g", "é1234567890123456789012345678901"]
        {
            assert_eq!(Cipher::sm4(text), None, "{text}");
        }
        let key = include_str!("../../../../fixtures/sms/smsforwarder-rsa-public.txt").trim();
        assert!(Cipher::rsa(key).is_some());
        assert!(Cipher::rsa(&format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n")).is_some());
        assert_eq!((Cipher::rsa(&key[4..]), Cipher::rsa(""), Cipher::rsa("AAAA")), (None, None, None));
    }

    proptest! {
        #[test]
        fn no_answer_panics(answer in "\\PC{0,60}", hex in "[0-9a-fA-F]{0,130}", base64 in "[A-Za-z0-9+/=]{0,700}") {
            let rsa = Cipher::rsa(include_str!("../../../../fixtures/sms/smsforwarder-rsa-public.txt")).unwrap();
            let sm4 = Cipher::sm4("0123456789abcdeffedcba9876543210").unwrap();
            for cipher in [rsa, sm4] {
                let _ = (cipher.read(&answer), cipher.read(&hex), cipher.read(&base64));
            }
            let _ = (Cipher::rsa(&base64), Cipher::sm4(&answer));
        }
    }
}
