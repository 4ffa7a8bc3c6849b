//! How senders sign what they send: whether a message comes from whoever knows the secret of its key.
//!
//! What is signed is the body as it came, byte for byte, so it is looked at before anything is unpacked or read.

use std::fmt;

use axum::http::HeaderMap;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::signature::sign;
use crate::ids::hex;

/// A message that was signed longer ago was sent again by somebody else; one so far ahead has a clock that nobody can trust.
const WINDOW: TimeDelta = TimeDelta::minutes(5);
/// A secret is no shorter, in bytes: a shorter one is found by trying.
const SHORTEST: usize = 12;
/// Nor longer.
const LONGEST: usize = 200;

/// In whose way something is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// As our own webhooks are: the time and the body.
    Autocall,
    /// Grafana from version 12: the time and the body.
    Grafana,
    /// Sentry: the body.
    Sentry,
    /// GitHub, and what signs like it: the body.
    Github,
    /// GitLab: the secret itself comes along.
    Gitlab,
}

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Autocall, Self::Grafana, Self::Sentry, Self::Github, Self::Gitlab];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Autocall => "autocall",
            Self::Grafana => "grafana",
            Self::Sentry => "sentry",
            Self::Github => "github",
            Self::Gitlab => "gitlab",
        }
    }

    /// The one of a word.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str() == word)
    }

    /// Whether whoever signs in this way may do all that their key may. Other products sign what they raise, and nothing else.
    #[must_use]
    pub fn is_our_own(self) -> bool {
        matches!(self, Self::Autocall)
    }

    /// The header in which the signature stands.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Autocall => "x-autocall-signature",
            Self::Grafana => "x-grafana-alerting-signature",
            Self::Sentry => "sentry-hook-signature",
            Self::Github => "x-hub-signature-256",
            Self::Gitlab => "x-gitlab-token",
        }
    }

    /// The header in which the time stands that is signed as well; `None` where none is, so that a message can be sent again.
    #[must_use]
    pub fn time_header(self) -> Option<&'static str> {
        match self {
            Self::Autocall => Some("x-autocall-timestamp"),
            Self::Grafana => Some("x-grafana-alerting-timestamp"),
            Self::Sentry | Self::Github | Self::Gitlab => None,
        }
    }
}

/// How whoever holds a key signs. The secret is kept as it is: it cannot be computed with otherwise.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signing {
    /// In whose way.
    pub scheme: Scheme,
    /// What both know.
    pub secret: String,
}

impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signing").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

/// Why a secret cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a secret for signatures has {SHORTEST} to {LONGEST} visible ASCII characters: make one, such as with `openssl rand -hex 32`"
)]
pub struct WrongSecret;

/// Why a message is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    /// It bears no signature.
    #[error("this key takes signed messages only, and there is no header {0}: give the sender the secret of this key")]
    Missing(&'static str),
    /// It does not say when it was signed.
    #[error("this key takes messages only that say when they were signed, in the header {0} as seconds since 1970")]
    NoTime(&'static str),
    /// It was signed too long ago, or ahead of time.
    #[error("this was signed {0} s ago, or so long ahead: look at the clocks of both sides; a message is good for {good} s",
        good = WINDOW.num_seconds())]
    Old(i64),
    /// It is signed with another secret, or was changed on its way.
    #[error("the signature is wrong: give the sender the secret of this key, and let nothing on the way change the message")]
    Wrong,
}

impl Signing {
    /// Signatures with this secret.
    ///
    /// # Errors
    /// When it is too short, too long, or cannot stand in a header.
    pub fn new(scheme: Scheme, secret: &str) -> Result<Self, WrongSecret> {
        let is_good = (SHORTEST..=LONGEST).contains(&secret.len()) && secret.bytes().all(|byte| byte.is_ascii_graphic());
        if is_good { Ok(Self { scheme, secret: secret.to_owned() }) } else { Err(WrongSecret) }
    }

    /// Looks whether a message is signed, as far as that can be seen before its body is read: a signature and a time that is now.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn check_head(&self, headers: &HeaderMap, now: DateTime<Utc>) -> Result<(), Unsigned> {
        self.signature(headers)?;
        let Some((name, seconds)) = self.time(headers)? else { return Ok(()) };
        let signed =
            seconds.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0)).ok_or(Unsigned::NoTime(name))?;
        let ago = now - signed;
        if ago.abs() > WINDOW { Err(Unsigned::Old(ago.num_seconds())) } else { Ok(()) }
    }

    /// Looks whether a message is signed.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn check(&self, headers: &HeaderMap, body: &[u8], now: DateTime<Utc>) -> Result<(), Unsigned> {
        self.check_head(headers, now)?;
        let said = self.signature(headers)?;
        let time = self.time(headers)?.map(|(_, seconds)| seconds).unwrap_or_default();
        let key = self.secret.as_bytes();
        let expected = match self.scheme {
            Scheme::Autocall => format!("sha256={}", mac(key, &[time.as_bytes(), b".", body])),
            Scheme::Grafana => mac(key, &[time.as_bytes(), b":", body]),
            Scheme::Sentry => mac(key, &[body]),
            Scheme::Github => format!("sha256={}", mac(key, &[body])),
            Scheme::Gitlab => self.secret.clone(),
        };
        let said = match self.scheme {
            Scheme::Gitlab => said.to_owned(),
            // Hexadecimal digits are the same in both cases.
            _ => said.to_ascii_lowercase(),
        };
        // In a time that tells nothing of where they differ.
        if bool::from(expected.as_bytes().ct_eq(said.as_bytes())) { Ok(()) } else { Err(Unsigned::Wrong) }
    }

    fn signature<'h>(&self, headers: &'h HeaderMap) -> Result<&'h str, Unsigned> {
        let name = self.scheme.header();
        only(headers, name).ok_or(Unsigned::Missing(name))
    }

    fn time<'h>(&self, headers: &'h HeaderMap) -> Result<Option<(&'static str, &'h str)>, Unsigned> {
        let Some(name) = self.scheme.time_header() else { return Ok(None) };
        only(headers, name).map(|seconds| Some((name, seconds))).ok_or(Unsigned::NoTime(name))
    }
}

/// The value of a header that stands there once: of two, nobody could say which one counts.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).into_iter();
    let value = values.next()?.to_str().ok()?.trim();
    (values.next().is_none() && !value.is_empty()).then_some(value)
}

fn mac(key: &[u8], pieces: &[&[u8]]) -> String {
    hex(&sign(key, &pieces.concat()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;

    const SECRET: &str = "correct-horse-battery";
    const BODY: &str = r#"{"a":"磁盘"}"#;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (axum::http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn checked(scheme: Scheme, pairs: &[(&'static str, &str)], body: &str) -> Result<(), Unsigned> {
        Signing::new(scheme, SECRET).unwrap().check(&headers(pairs), body.as_bytes(), now())
    }

    #[test]
    fn bodies_that_openssl_has_signed_are_believed() {
        // printf '%s' TEXT | openssl dgst -sha256 -hmac correct-horse-battery
        let of_body = "edcf7cb127f61d2a8ffa8af0dcf1922654be77c3b25215c8caf03a46d080f4fe";
        let with_colon = "337e99fa3062cd935ccfbf4e229b52736140ee3b5eaf9670f1b6d3bbf1a2b317";
        let with_dot = "a829dd955d4baeeb7337fde896556167363262675565d48429cb4b0b34fa742f";
        let time = "1700000000";
        assert_eq!(checked(Scheme::Sentry, &[("sentry-hook-signature", of_body)], BODY), Ok(()));
        assert_eq!(checked(Scheme::Github, &[("x-hub-signature-256", &format!("sha256={of_body}"))], BODY), Ok(()));
        let grafana = [("x-grafana-alerting-signature", with_colon), ("x-grafana-alerting-timestamp", time)];
        assert_eq!(checked(Scheme::Grafana, &grafana, BODY), Ok(()));
        let own = format!("sha256={with_dot}");
        let autocall = [("x-autocall-signature", own.as_str()), ("x-autocall-timestamp", time)];
        assert_eq!(checked(Scheme::Autocall, &autocall, BODY), Ok(()));
        assert_eq!(checked(Scheme::Gitlab, &[("x-gitlab-token", SECRET)], "anything"), Ok(()));
        let shouted = of_body.to_uppercase();
        assert_eq!(checked(Scheme::Sentry, &[("sentry-hook-signature", &shouted)], BODY), Ok(()));
    }

    #[test]
    fn whatever_is_not_signed_so_is_refused_with_a_reason() {
        for scheme in Scheme::ALL {
            assert_eq!(checked(scheme, &[], BODY), Err(Unsigned::Missing(scheme.header())), "{scheme:?}");
            let signing = Signing::new(scheme, SECRET).unwrap();
            let wrong = headers(&[(scheme.header(), "0".repeat(64).as_str())]);
            assert!(signing.check(&wrong, BODY.as_bytes(), now()).is_err(), "{scheme:?}");
        }
        let gitlab = |token: &str| checked(Scheme::Gitlab, &[("x-gitlab-token", token)], BODY);
        assert_eq!(gitlab("CORRECT-HORSE-BATTERY"), Err(Unsigned::Wrong), "a secret has its cases");
        let twice = [("x-gitlab-token", SECRET), ("x-gitlab-token", SECRET)];
        assert_eq!(checked(Scheme::Gitlab, &twice, BODY), Err(Unsigned::Missing("x-gitlab-token")));
    }

    #[test]
    fn what_was_signed_too_long_ago_is_refused() {
        let signing = Signing::new(Scheme::Grafana, SECRET).unwrap();
        let at = |seconds: &str| {
            let signature = mac(SECRET.as_bytes(), &[seconds.as_bytes(), b":", BODY.as_bytes()]);
            let pairs = [("x-grafana-alerting-signature", signature.as_str()), ("x-grafana-alerting-timestamp", seconds)];
            signing.check(&headers(&pairs), BODY.as_bytes(), now())
        };
        assert_eq!((at("1699999700"), at("1700000300")), (Ok(()), Ok(())));
        assert_eq!((at("1699999699"), at("1700000301")), (Err(Unsigned::Old(301)), Err(Unsigned::Old(-301))));
        for none in ["soon", "99999999999999999", "-1e3"] {
            assert_eq!(at(none), Err(Unsigned::NoTime("x-grafana-alerting-timestamp")), "{none}");
        }
        let untimed = headers(&[("x-grafana-alerting-signature", "00")]);
        assert_eq!(signing.check(&untimed, b"", now()), Err(Unsigned::NoTime("x-grafana-alerting-timestamp")));
        // The time is signed: another one fits another message.
        let signature = mac(SECRET.as_bytes(), &[b"1699990000:", BODY.as_bytes()]);
        let moved = [("x-grafana-alerting-signature", signature.as_str()), ("x-grafana-alerting-timestamp", "1700000000")];
        assert_eq!(checked(Scheme::Grafana, &moved, BODY), Err(Unsigned::Wrong));
    }

    #[test]
    fn a_secret_is_long_enough_and_is_not_shown() {
        for bad in ["", "short", "with a blank in it", "geheimes Wort", "über-geheimes-wort"] {
            assert_eq!(Signing::new(Scheme::Sentry, bad), Err(WrongSecret), "{bad}");
        }
        let signing = Signing::new(Scheme::Sentry, SECRET).unwrap();
        assert!(!format!("{signing:?}").contains(SECRET));
        for scheme in Scheme::ALL {
            assert_eq!(Scheme::read(scheme.as_str()), Some(scheme));
        }
        let kept = serde_json::to_string(&signing).unwrap();
        assert_eq!(serde_json::from_str::<Signing>(&kept).unwrap(), signing);
    }

    proptest! {
        #[test]
        fn nobody_guesses_and_nothing_panics(said in "[ -~]{0,80}", time in "[ -~]{0,20}", body: Vec<u8>) {
            for scheme in Scheme::ALL {
                let mut all = HeaderMap::new();
                if let Ok(value) = said.parse() {
                    all.insert(scheme.header(), value);
                }
                if let (Some(name), Ok(value)) = (scheme.time_header(), time.parse()) {
                    all.insert(name, value);
                }
                prop_assert!(Signing::new(scheme, SECRET).unwrap().check(&all, &body, now()).is_err());
            }
        }

        #[test]
        fn a_message_that_was_changed_is_refused(body: Vec<u8>, at: prop::sample::Index, bit in 0_u8..8) {
            let signature = mac(SECRET.as_bytes(), &[&body]);
            let signed = headers(&[("sentry-hook-signature", &signature)]);
            let signing = Signing::new(Scheme::Sentry, SECRET).unwrap();
            prop_assert_eq!(signing.check(&signed, &body, now()), Ok(()));
            let mut changed = body.clone();
            match changed.is_empty() {
                true => changed.push(0),
                false => changed[at.index(body.len())] ^= 1 << bit,
            }
            prop_assert_eq!(signing.check(&signed, &changed, now()), Err(Unsigned::Wrong));
        }
    }
}
