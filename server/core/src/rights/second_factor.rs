//! The second factor: codes that an app makes from a secret and the time (RFC 6238), each good once, and codes on paper.

use chrono::{DateTime, TimeDelta, Utc};
use totp_rs::{Builder, Secret, Totp};

/// The length of a secret in bytes, as RFC 4226 wants it.
pub const SECRET_BYTES: usize = 20;
/// So many codes on paper are made at a time.
pub const RECOVERY_CODES: usize = 10;
/// For so many seconds an app shows the same code.
const STEP_SECONDS: u64 = 30;
/// The clock of a phone may be ahead or behind by so many steps.
const SKEW: u16 = 1;
const DIGITS: u8 = 6;
/// Wrong codes in a row before each next one has to wait.
const FREE: i32 = 5;
/// The longest time between two codes, in seconds. Without the right secret a million codes are tried in vain for years at this pace, and
/// whoever knows the password is not kept out for longer by somebody else who knows it too: a code on paper never waits.
const LONGEST_PAUSE: i64 = 300;

/// Who must have a second factor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Nobody has one: none is set up, and none is asked for.
    Off,
    /// Whoever has set one up is asked for it.
    #[default]
    Optional,
    /// Admins set one up before they do anything else.
    Admins,
    /// Everybody does.
    All,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Off, Self::Optional, Self::Admins, Self::All];

    /// The word in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Admins => "admins",
            Self::All => "all",
        }
    }

    /// What that word means.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|own| own.as_str() == word)
    }

    /// Whether a second factor is asked for where one is set up, and may be set up.
    #[must_use]
    pub fn is_on(self) -> bool {
        self != Self::Off
    }

    /// Whether somebody with this role has to have one.
    #[must_use]
    pub fn wants(self, role: super::roles::Role) -> bool {
        match self {
            Self::Off | Self::Optional => false,
            Self::Admins => role == super::roles::Role::Admin,
            Self::All => true,
        }
    }
}

/// What somebody typed where a code is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// Six digits, as an app shows them.
    OfApp(String),
    /// One that was on paper, in the form in which its hash was made.
    OnPaper(String),
    /// Neither.
    Neither,
}

impl Typed {
    /// Reads it. Spaces and dashes are how people group what they type; capitals are what phones make of it.
    #[must_use]
    pub fn read(text: &str) -> Self {
        // Whoever holds a key down is not followed to the end.
        let plain = text.chars().take(64).filter(|c| !c.is_whitespace() && *c != '-').map(|c| c.to_ascii_lowercase());
        let plain: String = plain.collect();
        if plain.len() == usize::from(DIGITS) && plain.bytes().all(|byte| byte.is_ascii_digit()) {
            Self::OfApp(plain)
        } else if plain.len() == 16 && plain.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Self::OnPaper(plain)
        } else {
            Self::Neither
        }
    }
}

/// The step whose code this is, when it is one of now, a step before or after, and later than the last that was used up.
#[must_use]
pub fn step_of(secret: &[u8], code: &str, last_step: i64, now: DateTime<Utc>) -> Option<i64> {
    let seconds = u64::try_from(now.timestamp()).ok()?;
    let step = i64::try_from(totp(secret)?.check(code, seconds)?).ok()?;
    (step > last_step).then_some(step)
}

/// The code that an app shows at an instant; `None` where the secret is none.
#[must_use]
pub fn code_at(secret: &[u8], now: DateTime<Utc>) -> Option<String> {
    let seconds = u64::try_from(now.timestamp()).ok()?;
    Some(totp(secret)?.generate(seconds).to_string())
}

fn totp(secret: &[u8]) -> Option<Totp> {
    let builder = Builder::new().with_secret(Secret::from(secret)).with_digits(DIGITS).with_skew(SKEW);
    builder.with_step_duration(STEP_SECONDS).build().ok()
}

/// A secret as it is typed into an app, in groups of four.
#[must_use]
pub fn typed(secret: &[u8]) -> String {
    let letters: Vec<char> = Secret::from(secret).to_base32().chars().collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

/// What an app reads from a picture: whose secret it is, and the secret. `installation` and `user` are names that people gave.
#[must_use]
pub fn address(secret: &[u8], installation: &str, user: &str) -> String {
    let (installation, user) = (escaped(installation), escaped(user));
    let secret = Secret::from(secret).to_base32();
    format!("otpauth://totp/{installation}:{user}?secret={secret}&issuer={installation}")
}

/// Percent-encoded but for what stands for itself anywhere in an address.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// How long it takes until another code of an app is looked at, after so many wrong ones in a row.
#[must_use]
pub fn pause(wrong: i32, wrong_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<TimeDelta> {
    let beyond = wrong.checked_sub(FREE).filter(|beyond| *beyond >= 0)?;
    let pause = TimeDelta::seconds(LONGEST_PAUSE.min(1 << beyond.min(16)));
    let left = wrong_at? + pause - now;
    // A clock that was set back must not keep anybody out for longer than was meant.
    (left > TimeDelta::zero()).then_some(left.min(pause))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::super::roles::Role;
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    /// The last six digits of those in appendix B of RFC 6238.
    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = b"12345678901234567890";
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code_at(secret, at(seconds)).unwrap(), code);
            assert_eq!(step_of(secret, code, 0, at(seconds)), Some(seconds / 30));
        }
    }

    #[test]
    fn what_is_typed_is_read_as_people_type_it() {
        assert_eq!(Typed::read(" 123 456 "), Typed::OfApp("123456".to_owned()));
        assert_eq!(Typed::read("ABCD-efgh-2345-mnpq"), Typed::OnPaper("abcdefgh2345mnpq".to_owned()));
        for neither in ["", "12345", "1234567", "12345a", "abcd-efgh", "１２３４５６", &"9".repeat(10_000)] {
            assert_eq!(Typed::read(neither), Typed::Neither, "{neither}");
        }
    }

    #[test]
    fn an_app_is_told_whose_secret_it_is() {
        let told = address(b"12345678901234567890", "autocall (pager)", "Lin & Co");
        assert_eq!(
            told,
            "otpauth://totp/autocall%20%28pager%29:Lin%20%26%20Co?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=autocall%20%28pager%29"
        );
        assert_eq!(typed(b"12345678901234567890"), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
    }

    #[test]
    fn guessing_gets_slow_and_never_stops_for_good() {
        let now = at(1_000_000);
        assert_eq!(pause(4, Some(now), now), None);
        assert_eq!(pause(5, Some(now), now), Some(TimeDelta::seconds(1)));
        assert_eq!(pause(8, Some(now), now), Some(TimeDelta::seconds(8)));
        assert_eq!(pause(8, Some(now), now + TimeDelta::seconds(8)), None);
        assert_eq!(pause(i32::MAX, Some(now), now), Some(TimeDelta::seconds(LONGEST_PAUSE)));
        assert_eq!(pause(30, Some(now + TimeDelta::days(9)), now), Some(TimeDelta::seconds(LONGEST_PAUSE)), "a clock set back");
        assert_eq!(pause(30, None, now), None);
    }

    #[test]
    fn who_needs_one_is_what_the_configuration_says() {
        let wanted = |policy: Policy| Role::ALL.into_iter().filter(|role| policy.wants(*role)).count();
        assert_eq!(Policy::ALL.map(wanted), [0, 0, 1, 3]);
        assert!(Policy::ALL.into_iter().all(|own| Policy::parse(own.as_str()) == Some(own)));
        assert!(Policy::parse("Admins").is_none() && !Policy::Off.is_on() && Policy::Optional.is_on());
    }

    proptest! {
        #[test]
        fn a_code_is_good_for_a_step_before_and_after_and_then_no_more(
            secret in prop::array::uniform20(any::<u8>()),
            seconds in 1_000_000_000_i64..4_000_000_000,
            apart in -4_i64..=4,
        ) {
            let code = code_at(&secret, at(seconds)).unwrap();
            let found = step_of(&secret, &code, 0, at(seconds + 30 * apart));
            // Two steps have the same code once in a million: then another one is found, or one where none should be.
            let same = (-6_i64..=6).filter(|other| *other != 0).any(|other| code_at(&secret, at(seconds + 30 * other)).as_ref() == Some(&code));
            prop_assume!(!same);
            prop_assert_eq!(found, (apart.abs() <= 1).then_some(seconds / 30));
        }

        #[test]
        fn no_code_is_good_twice(secret in prop::array::uniform20(any::<u8>()), seconds in 1_000_000_000_i64..4_000_000_000) {
            let code = code_at(&secret, at(seconds)).unwrap();
            let used = step_of(&secret, &code, 0, at(seconds)).unwrap();
            prop_assert_eq!(step_of(&secret, &code, used, at(seconds)), None);
        }

        #[test]
        fn nothing_that_is_typed_does_harm(text in ".{0,80}", secret in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Typed::OfApp(code) = Typed::read(&text) {
                let _ = step_of(&secret, &code, 0, at(1_000_000));
            }
        }
    }
}
