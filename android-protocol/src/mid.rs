//! The mid: the name under which one hand-out to one handset is reported back.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest mid that is accepted in a report.
pub const MAX_LENGTH: usize = 64;

/// True if `mid` may stand in a report: 1 to 64 of `[A-Za-z0-9_-]`.
///
/// Anything else is not safe in the URL the app builds by pasting strings together: measured on the app, a mid holding `#` or `&`
/// comes back cut off, and the list is dialled again for ever.
#[must_use]
pub fn is_well_formed(mid: &str) -> bool {
    (1..=MAX_LENGTH).contains(&mid.len()) && mid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// A mid as the server makes it: 24 lower-case hexadecimal digits, the form of the documented sample (`60d536885fa2a8643fa4d3a0`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mid(String);

/// Why a text is not a [`Mid`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a mid has 24 lower-case hexadecimal digits")]
pub struct MidError;

impl Mid {
    /// The mid spelled by 12 bytes, which the caller draws at random: the mid alone identifies a report.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 12]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 0x0f)]);
        Self(bytes.iter().flat_map(|&byte| [digit(byte >> 4), digit(byte)]).collect())
    }

    /// The 24 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Mid {
    type Err = MidError;

    fn from_str(text: &str) -> Result<Self, MidError> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for Mid {
    type Error = MidError;

    fn try_from(text: String) -> Result<Self, MidError> {
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 24 && text.bytes().all(hex) { Ok(Self(text)) } else { Err(MidError) }
    }
}

impl From<Mid> for String {
    fn from(mid: Mid) -> Self {
        mid.0
    }
}

impl AsRef<str> for Mid {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Mid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_documented_sample_is_a_mid() {
        let mid: Mid = "60d536885fa2a8643fa4d3a0".parse().unwrap();
        assert_eq!(mid.as_str(), "60d536885fa2a8643fa4d3a0");
    }

    #[test]
    fn what_the_app_would_mangle_is_refused() {
        for bad in ["", "a#b", "a&b", "a b", "ä", "a=b", "a/b", &"a".repeat(65)] {
            assert!(!is_well_formed(bad), "{bad}");
        }
        for good in ["idle", "a", "A_b-9", &"a".repeat(64)] {
            assert!(is_well_formed(good), "{good}");
        }
    }

    proptest! {
        #[test]
        fn every_twelve_bytes_spell_a_mid(bytes: [u8; 12]) {
            let mid = Mid::from_bytes(bytes);
            prop_assert!(is_well_formed(mid.as_str()));
            prop_assert_eq!(mid.as_str().parse::<Mid>().unwrap(), mid.clone());
            prop_assert_eq!(serde_json::from_str::<Mid>(&serde_json::to_string(&mid).unwrap()).unwrap(), mid);
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = is_well_formed(&text);
            let _ = text.parse::<Mid>();
        }
    }
}
