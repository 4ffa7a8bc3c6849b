//! Who a shout goes to: the numbers as a client names them, and which of them can be called.

use std::collections::HashSet;

use crate::numbers::{Number, Region, phone_of};

/// Which numbers may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberRule {
    /// The document's: eleven digits of North America, without a plus.
    NorthAmerican,
    /// Whatever the numbering plan of this country can dial.
    Plan(Region),
}

impl NumberRule {
    /// A number in its comparable form, as it takes it.
    #[must_use]
    pub fn written(self, number: &str) -> String {
        match self {
            Self::NorthAmerican => number.trim_start_matches('+').to_owned(),
            Self::Plan(_) => number.to_owned(),
        }
    }

    /// Whether a number may be called.
    #[must_use]
    pub fn takes(self, number: &str) -> bool {
        match self {
            Self::NorthAmerican => is_north_american(number),
            Self::Plan(region) => Number::parse(number, region).is_ok_and(|parsed| parsed.known_to_plan),
        }
    }
}

/// `1`, an area code that begins with 2 to 9, an exchange that does and is not N11, and four digits.
fn is_north_american(number: &str) -> bool {
    let digits = number.as_bytes();
    digits.len() == 11
        && digits.iter().all(u8::is_ascii_digit)
        && digits[0] == b'1'
        && digits[1] >= b'2'
        && digits[4] >= b'2'
        && !(digits[5] == b'1' && digits[6] == b'1')
}

/// Somebody whom a sender names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// As the sender wrote it.
    pub phone: String,
    /// The number in its comparable form; `None`: none that may be called.
    pub number: Option<String>,
    /// The same phone was named before, however its number was written.
    pub repeats: bool,
}

/// Reads the recipients, in the order in which they were named.
#[must_use]
pub fn read(named: Vec<String>, rule: NumberRule, region: Region) -> Vec<Recipient> {
    let (mut texts, mut phones) = (HashSet::with_capacity(named.len()), HashSet::with_capacity(named.len()));
    let one = |phone: String| {
        if !texts.insert(phone.clone()) {
            return Recipient { number: comparable(&phone, rule, region), phone, repeats: true };
        }
        let number = comparable(&phone, rule, region);
        let repeats = number.as_ref().is_some_and(|number| !phones.insert(phone_of(number).into_owned()));
        Recipient { phone, number, repeats }
    };
    named.into_iter().map(one).collect()
}

/// A number in its comparable form, where it may be called at all.
#[must_use]
pub fn comparable(phone: &str, rule: NumberRule, region: Region) -> Option<String> {
    if !rule.takes(phone) {
        return None;
    }
    let written = match rule {
        // Its eleven digits begin with the code of their country.
        NumberRule::NorthAmerican => format!("+{phone}"),
        NumberRule::Plan(_) => phone.to_owned(),
    };
    Some(Number::parse(&written, region).ok()?.number.as_str().to_owned())
}

/// Whether the phone of a number is among them, by whichever of its numbers.
#[must_use]
pub fn is_among(numbers: &HashSet<String>, number: &str) -> bool {
    let other = || Number::from_stored(number).other_form();
    numbers.contains(number) || other().is_some_and(|other| numbers.contains(other.as_str()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_documents_rule() {
        let rule = NumberRule::NorthAmerican;
        for number in ["12025550123", "19995551234", "12022120000"] {
            assert!(rule.takes(number), "{number}");
        }
        for number in [
            "2025550123",
            "+12025550123",
            "11025550123",
            "12021550123",
            "12024110123",
            "120255501234",
            "1202555012a",
            "12025550123\n",
            "",
            "１2025550123",
        ] {
            assert!(!rule.takes(number), "{number}");
        }
    }

    #[test]
    fn the_numbering_plan() {
        let rule = NumberRule::Plan("CN".parse().unwrap());
        assert!(rule.takes("13900000001") && rule.takes("+8613900000001") && rule.takes("+12025550123"));
        assert!(!rule.takes("12") && !rule.takes("110") && !rule.takes("nobody"));
    }

    proptest! {
        #[test]
        fn each_phone_is_called_once_and_nobody_is_lost(
            named in proptest::collection::vec("(139000000[0-3]{2}|\\+86139000000[0-3]{2}|[0-3]{1,2})", 0..40),
        ) {
            let region = "CN".parse().unwrap();
            let all = read(named.clone(), NumberRule::Plan(region), region);
            prop_assert!(all.iter().map(|one| &one.phone).eq(&named), "each in its place");
            let called: Vec<_> = all.iter().filter(|one| !one.repeats).collect();
            let phones: HashSet<_> = called.iter().filter_map(|one| one.number.as_deref().map(phone_of)).collect();
            prop_assert_eq!(phones.len(), called.iter().filter(|one| one.number.is_some()).count(), "none twice");
            for one in &all {
                let same = |other: &&Recipient| other.phone == one.phone || (one.number.is_some() && other.number == one.number);
                prop_assert!(called.iter().any(same), "{} is not among them", one.phone);
            }
        }

        #[test]
        fn any_text_is_judged(text in ".{0,20}") {
            let _ = (NumberRule::NorthAmerican.takes(&text), NumberRule::Plan("CN".parse().unwrap()).takes(&text));
        }
    }
}
