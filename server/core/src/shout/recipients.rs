//! Who a shout goes to: the numbers as a client names them, and which of them can be called.

use std::collections::HashSet;

use crate::numbers::{Number, Region};

/// Which numbers may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberRule {
    /// The document's: eleven digits of North America, without a plus.
    NorthAmerican,
    /// Whatever the numbering plan of this country can dial.
    Plan(Region),
}

impl NumberRule {
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

/// The recipients, each once, in the order in which they were named first.
#[must_use]
pub fn once(named: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::with_capacity(named.len());
    named.into_iter().filter(|number| seen.insert(number.clone())).collect()
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
        fn each_is_there_once_in_its_place(named in proptest::collection::vec("[0-3]{1,2}", 0..40)) {
            let all = once(named.clone());
            prop_assert!(named.iter().all(|number| all.contains(number)));
            let first = |number: &String| named.iter().position(|other| other == number);
            prop_assert!(all.is_sorted_by(|one, other| first(one) < first(other)), "also: none twice");
        }

        #[test]
        fn any_text_is_judged(text in ".{0,20}") {
            let _ = (NumberRule::NorthAmerican.takes(&text), NumberRule::Plan("CN".parse().unwrap()).takes(&text));
        }
    }
}
