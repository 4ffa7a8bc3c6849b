//! From a number of the roster to the address that a trunk is asked for.

use thiserror::Error;

/// What becomes of the plus of an international number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plus {
    /// It stays.
    #[default]
    Keep,
    /// It goes, and the country's code begins the number.
    Drop,
    /// It becomes 00.
    #[serde(rename = "00")]
    Zeros,
}

/// How numbers are written for one trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialling {
    /// `sip:{number}@{trunk}`, perhaps with `;user=phone`.
    pub template: String,
    /// Host and perhaps port of the trunk.
    pub trunk: String,
    /// What becomes of the plus.
    pub plus: Plus,
    /// Written before every number, `0` for an outside line.
    pub prefix: String,
}

/// A number that no trunk can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a number over SIP has only digits, +, * and #")]
pub struct BadNumber;

impl Dialling {
    /// The address of a number. Only digits, `+`, `*` and `#` get through, so that no number can name another host or another parameter.
    ///
    /// # Errors
    ///
    /// If the number holds anything else, or nothing.
    pub fn address(&self, number: &str) -> Result<String, BadNumber> {
        let digits: String = number.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.')).collect();
        let (plus, rest) = match digits.strip_prefix('+') {
            Some(rest) => (true, rest),
            None => (false, digits.as_str()),
        };
        let good = |c: char| c.is_ascii_digit() || matches!(c, '*' | '#');
        if rest.is_empty() || rest.len() > 40 || !rest.chars().all(good) {
            return Err(BadNumber);
        }
        let plus = match (plus, self.plus) {
            (false, _) | (true, Plus::Drop) => "",
            (true, Plus::Keep) => "+",
            (true, Plus::Zeros) => "00",
        };
        let user = format!("{}{plus}{rest}", self.prefix).replace('#', "%23");
        Ok(self.template.replace("{number}", &user).replace("{trunk}", &self.trunk))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use proptest::prelude::*;

    use super::*;

    fn dialling(plus: Plus, prefix: &str) -> Dialling {
        Dialling {
            template: "sip:{number}@{trunk};user=phone".into(),
            trunk: "trunk.example:5060".into(),
            plus,
            prefix: prefix.into(),
        }
    }

    #[test]
    fn numbers_are_written_as_the_trunk_wants_them() {
        let written = |plus, prefix: &str, number: &str| dialling(plus, prefix).address(number).unwrap();
        assert_eq!(written(Plus::Keep, "", "+86 139-0000-0001"), "sip:+8613900000001@trunk.example:5060;user=phone");
        assert_eq!(written(Plus::Zeros, "", "+8613900000001"), "sip:008613900000001@trunk.example:5060;user=phone");
        assert_eq!(written(Plus::Drop, "0", "+8613900000001"), "sip:08613900000001@trunk.example:5060;user=phone");
        assert_eq!(written(Plus::Zeros, "9", "1001"), "sip:91001@trunk.example:5060;user=phone");
        assert_eq!(written(Plus::Keep, "", "**21*139#"), "sip:**21*139%23@trunk.example:5060;user=phone");
    }

    #[test]
    fn nothing_else_gets_through() {
        for bad in
            ["", "+", "1@evil.example", "1;maddr=x", "13%23", "tel:1", "1\r\nX: y", "１２３", "1+2", "abc", &"1".repeat(41)]
        {
            assert_eq!(dialling(Plus::Keep, "").address(bad), Err(BadNumber), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_number_changes_the_host(number: String) {
            if let Ok(address) = dialling(Plus::Keep, "").address(&number) {
                let user = address.strip_prefix("sip:").and_then(|rest| rest.strip_suffix("@trunk.example:5060;user=phone"));
                prop_assert!(user.is_some_and(|user| user.chars().all(|c| c.is_ascii_digit() || "+*%".contains(c))), "{}", address);
            }
        }
    }
}
