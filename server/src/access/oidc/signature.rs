//! Whether a token was signed by a key of the provider (JWS in its compact form, RFC 7515). The arithmetic is *ring*'s, like that of all
//! connections.
//!
//! The key decides how a signature is computed, and what the token says of itself must agree. So there is no way to have a public key taken
//! for a shared secret (`HS256`), nor to do without a signature (`none`): neither is among what keys can do here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use serde_json::Value;

/// A token is no longer, in bytes.
const LONGEST: usize = 64 * 1024;
/// Of a provider's keys so many are looked at.
const MOST_KEYS: usize = 50;

/// Why a token counts as signed by nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// It is none.
    #[error("what the provider sent holds no token that can be read")]
    NoToken,
    /// It says that it is signed in a way that is not taken.
    #[error("the token is not signed by RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA; nothing else is taken")]
    Algorithm,
    /// None of the provider's keys is the one that it names.
    #[error("the token was signed with a key that the provider does not list")]
    UnknownKey,
    /// It was not signed by it.
    #[error("the token was not signed by the provider's key")]
    Signature,
}

/// A public key of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    id: Option<String>,
    /// The one way to sign that it is for, where it says that.
    algorithm: Option<String>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Written {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys of a provider that sign in a way that is taken; others are passed over. `None` where it is no list of keys.
pub(super) fn keys(body: &[u8]) -> Option<Vec<Key>> {
    #[derive(Deserialize)]
    struct List {
        keys: Vec<Value>,
    }
    let list: List = serde_json::from_slice(body).ok()?;
    let read = |key: Value| serde_json::from_value::<Written>(key).ok().and_then(Written::key);
    Some(list.keys.into_iter().take(MOST_KEYS).filter_map(read).collect())
}

impl Written {
    fn key(self) -> Option<Key> {
        if self.r#use.as_deref().is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let bytes = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?.trim_end_matches('=')).ok();
        let kind = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => Kind::Rsa { n: bytes(self.n)?, e: bytes(self.e)? },
            ("EC", Some("P-256")) => Kind::P256(point(32, &bytes(self.x)?, &bytes(self.y)?)?),
            ("EC", Some("P-384")) => Kind::P384(point(48, &bytes(self.x)?, &bytes(self.y)?)?),
            ("OKP", Some("Ed25519")) => Kind::Ed25519(bytes(self.x)?),
            _ => return None,
        };
        Some(Key { id: self.kid, algorithm: self.alg, kind })
    }
}

/// A point of a curve as it is computed with: both numbers in full length.
fn point(length: usize, x: &[u8], y: &[u8]) -> Option<Vec<u8>> {
    let mut point = vec![4];
    for number in [x, y] {
        point.extend(std::iter::repeat_n(0, length.checked_sub(number.len())?));
        point.extend(number);
    }
    Some(point)
}

/// How a token says that it was signed.
#[derive(Clone, Copy, Debug)]
enum Algorithm {
    Rsa(&'static RsaParameters),
    P256,
    P384,
    Ed25519,
}

impl Algorithm {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rsa(&RSA_PKCS1_2048_8192_SHA256),
            "RS384" => Self::Rsa(&RSA_PKCS1_2048_8192_SHA384),
            "RS512" => Self::Rsa(&RSA_PKCS1_2048_8192_SHA512),
            "PS256" => Self::Rsa(&RSA_PSS_2048_8192_SHA256),
            "PS384" => Self::Rsa(&RSA_PSS_2048_8192_SHA384),
            "PS512" => Self::Rsa(&RSA_PSS_2048_8192_SHA512),
            "ES256" => Self::P256,
            "ES384" => Self::P384,
            "EdDSA" | "Ed25519" => Self::Ed25519,
            _ => return None,
        })
    }
}

/// A token as it was read. Nothing that it says is believed before [`Token::check`].
#[derive(Debug)]
pub(super) struct Token<'t> {
    name_of_algorithm: String,
    algorithm: Algorithm,
    key: Option<String>,
    signed: &'t str,
    signature: Vec<u8>,
    pub(super) claims: Value,
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
    /// What has to be understood before it may be believed: we understand none of it.
    crit: Option<Value>,
}

impl<'t> Token<'t> {
    /// Takes it apart.
    pub(super) fn read(text: &'t str) -> Result<Self, BadSignature> {
        let parts = text.rsplit_once('.').and_then(|(signed, signature)| Some((signed, signed.split_once('.')?, signature)));
        let Some((signed, (head, claims), signature)) = parts.filter(|_| text.len() <= LONGEST) else {
            return Err(BadSignature::NoToken);
        };
        let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| BadSignature::NoToken);
        let head: Head = serde_json::from_slice(&bytes(head)?).map_err(|_| BadSignature::NoToken)?;
        let algorithm = Algorithm::named(&head.alg).filter(|_| head.crit.is_none()).ok_or(BadSignature::Algorithm)?;
        let claims: Value = serde_json::from_slice(&bytes(claims)?).map_err(|_| BadSignature::NoToken)?;
        if !claims.is_object() {
            return Err(BadSignature::NoToken);
        }
        Ok(Self { name_of_algorithm: head.alg, algorithm, key: head.kid, signed, signature: bytes(signature)?, claims })
    }

    /// Whether one of these keys has signed it: the one that it names, or any where it names none.
    pub(super) fn check(&self, keys: &[Key]) -> Result<(), BadSignature> {
        let fits = |key: &&Key| {
            let is_named = self.key.is_none() || key.id.is_none() || key.id == self.key;
            is_named && key.algorithm.as_ref().is_none_or(|only| *only == self.name_of_algorithm)
        };
        let mut found = BadSignature::UnknownKey;
        for key in keys.iter().filter(fits) {
            let good = match (self.algorithm, &key.kind) {
                (Algorithm::Rsa(how), Kind::Rsa { n, e }) => {
                    RsaPublicKeyComponents { n, e }.verify(how, self.signed.as_bytes(), &self.signature).is_ok()
                }
                (Algorithm::P256, Kind::P256(point)) => self.is_signed(&ECDSA_P256_SHA256_FIXED, point),
                (Algorithm::P384, Kind::P384(point)) => self.is_signed(&ECDSA_P384_SHA384_FIXED, point),
                (Algorithm::Ed25519, Kind::Ed25519(bytes)) => self.is_signed(&ED25519, bytes),
                _ => continue,
            };
            if good {
                return Ok(());
            }
            found = BadSignature::Signature;
        }
        Err(found)
    }

    fn is_signed(&self, how: &'static dyn VerificationAlgorithm, key: &[u8]) -> bool {
        UnparsedPublicKey::new(how, key).verify(self.signed.as_bytes(), &self.signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
    use serde_json::json;

    /// The first example of RFC 7515, appendix A.2: signed by RS256.
    const RSA: &str = r#"{"keys":[{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}]}"#;
    const RSA_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

    fn encoded(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    struct P256(EcdsaKeyPair);

    impl P256 {
        fn new() -> Self {
            let random = SystemRandom::new();
            let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
            Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref(), &random).unwrap())
        }

        fn written(&self, id: &str) -> Value {
            let point = self.0.public_key().as_ref();
            let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            json!({ "kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "x": number(&point[1..33]), "y": number(&point[33..]) })
        }

        fn token(&self, head: &Value) -> String {
            let signed = format!("{}.{}", encoded(head), encoded(&json!({ "sub": "17" })));
            let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        }
    }

    fn list(written: &[Value]) -> Vec<Key> {
        keys(json!({ "keys": written }).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_example_of_the_standard_is_signed() {
        let keys = keys(RSA.as_bytes()).unwrap();
        let token = Token::read(RSA_TOKEN).unwrap();
        assert_eq!(token.check(&keys), Ok(()));
        assert_eq!(token.claims["iss"], "joe");
        // Another letter of what is signed, or of the signature.
        let bent = RSA_TOKEN.replacen("eyJpc3MiOiJqb2Ui", "eyJpc3MiOiJqb2Yi", 1);
        assert_eq!(Token::read(&bent).unwrap().check(&keys), Err(BadSignature::Signature));
        let bent = RSA_TOKEN.replacen("cC4hiUPo", "cC4hiUPp", 1);
        assert_eq!(Token::read(&bent).unwrap().check(&keys), Err(BadSignature::Signature));
    }

    #[test]
    fn a_key_is_good_for_its_own_way_alone() {
        let key = P256::new();
        let keys = list(&[key.written("one")]);
        let token = key.token(&json!({ "alg": "ES256", "kid": "one" }));
        assert_eq!(Token::read(&token).unwrap().check(&keys), Ok(()));
        assert_eq!(Token::read(&key.token(&json!({ "alg": "ES256" }))).unwrap().check(&keys), Ok(()), "it names none");
        let other = key.token(&json!({ "alg": "ES256", "kid": "two" }));
        assert_eq!(Token::read(&other).unwrap().check(&keys), Err(BadSignature::UnknownKey));
        assert_eq!(Token::read(&token).unwrap().check(&list(&[P256::new().written("one")])), Err(BadSignature::Signature));
        for alg in ["RS256", "ES384", "EdDSA"] {
            let other = key.token(&json!({ "alg": alg, "kid": "one" }));
            assert_eq!(Token::read(&other).unwrap().check(&keys), Err(BadSignature::UnknownKey), "{alg}");
        }
        let mut only = key.written("one");
        only["alg"] = json!("ES384");
        assert_eq!(Token::read(&token).unwrap().check(&list(&[only])), Err(BadSignature::UnknownKey));
        let mut sealing = key.written("one");
        sealing["use"] = json!("enc");
        assert!(list(&[sealing]).is_empty());
    }

    #[test]
    fn no_signature_and_a_shared_secret_are_none() {
        let key = P256::new();
        let body = encoded(&json!({ "sub": "17" }));
        for alg in ["none", "None", "HS256", "HS512", "", "es256", "ES512"] {
            for signature in ["", "AAAA"] {
                let token = format!("{}.{body}.{signature}", encoded(&json!({ "alg": alg })));
                assert_eq!(Token::read(&token).map(|_| ()), Err(BadSignature::Algorithm), "{alg}");
            }
        }
        let public = key.0.public_key().as_ref();
        let signed = format!("{}.{body}", encoded(&json!({ "alg": "HS256", "kid": "one" })));
        let signature = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, public), signed.as_bytes());
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
        assert_eq!(Token::read(&token).map(|_| ()), Err(BadSignature::Algorithm));
        let empty = format!("{}.{body}.", encoded(&json!({ "alg": "ES256" })));
        assert_eq!(Token::read(&empty).unwrap().check(&list(&[key.written("one")])), Err(BadSignature::Signature));
        let unknown = key.token(&json!({ "alg": "ES256", "crit": ["b64"], "b64": false }));
        assert_eq!(Token::read(&unknown).map(|_| ()), Err(BadSignature::Algorithm));
    }

    #[test]
    fn a_key_of_a_twisted_curve_signs_too() {
        let random = SystemRandom::new();
        let pair = Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&random).unwrap().as_ref()).unwrap();
        let keys = list(&[json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(pair.public_key()) })]);
        let signed = format!("{}.{}", encoded(&json!({ "alg": "EdDSA" })), encoded(&json!({})));
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes())));
        assert_eq!(Token::read(&token).unwrap().check(&keys), Ok(()));
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_survived(token in "\\PC{0,80}|[A-Za-z0-9_.-]{0,80}", body in "\\PC{0,80}") {
            let keys = keys(body.as_bytes()).unwrap_or_default();
            if let Ok(token) = Token::read(&token) {
                prop_assert!(token.check(&keys).is_err());
            }
        }
    }
}
