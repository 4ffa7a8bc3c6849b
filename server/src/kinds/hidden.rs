//! What others say, without the secrets that they were told: services, and proxies before them, repeat what they were asked.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::written::{inside_form, inside_json};

/// Anything shorter is a word that may stand anywhere.
const SHORTEST: usize = 6;
/// What stands for a secret.
const HIDDEN: &str = "***";
/// What programs leave as it is in an address (RFC 3986).
const IN_ADDRESS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What browsers leave as well.
const IN_BROWSERS: &AsciiSet = &IN_ADDRESS.remove(b'!').remove(b'*').remove(b'\'').remove(b'(').remove(b')');

/// A text without these secrets, in whichever writing they stand there. It is asked before a text is cut: half a secret is none that could
/// be found.
pub(super) fn without(text: &str, secrets: impl IntoIterator<Item = String>) -> String {
    let secrets = secrets.into_iter().filter(|secret| secret.len() >= SHORTEST);
    let mut hidden: Vec<String> = secrets.flat_map(|secret| writings(&secret)).collect();
    // A part of another one is hidden after it.
    hidden.sort_by(|one, two| two.len().cmp(&one.len()).then_with(|| one.cmp(two)));
    hidden.dedup();
    hidden.iter().fold(text.to_owned(), |text, part| text.replace(part.as_str(), HIDDEN))
}

/// How a secret may stand in a text.
fn writings(secret: &str) -> Vec<String> {
    let mut all = vec![secret.to_owned(), inside_json(secret)];
    for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
        all.push(engine.encode(secret));
    }
    let mut encoded = vec![inside_form(secret)];
    encoded.extend([NON_ALPHANUMERIC, IN_ADDRESS, IN_BROWSERS].map(|set| utf8_percent_encode(secret, set).to_string()));
    all.extend(encoded.iter().map(|text| small(text)));
    all.extend(encoded);
    all
}

/// What is percent-encoded with small letters.
fn small(encoded: &str) -> String {
    let mut left = 0;
    let each = encoded.chars().map(|c| {
        let is_digit = left > 0;
        left = if c == '%' { 2 } else { left - usize::from(is_digit) };
        if is_digit { c.to_ascii_lowercase() } else { c }
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hidden(text: &str, secrets: &[&str]) -> String {
        without(text, secrets.iter().map(|secret| (*secret).to_owned()))
    }

    #[test]
    fn a_secret_is_hidden_in_each_writing() {
        let secret = "pa ss/Wörd+1~";
        for written in [
            secret,
            "pa%20ss%2FW%C3%B6rd%2B1%7E",
            "pa%20ss%2fW%c3%b6rd%2b1~",
            "pa+ss%2FW%C3%B6rd%2B1%7E",
            "cGEgc3MvV8O2cmQrMX4=",
            "cGEgc3MvV8O2cmQrMX4",
        ] {
            assert_eq!(hidden(&format!("at {written}!"), &[secret]), "at ***!", "{written}");
        }
        assert_eq!(hidden(r#"{"key":"a\"b\\cdef"}"#, &[r#"a"b\cdef"#]), r#"{"key":"***"}"#);
        assert_eq!(hidden("w7/Dv8O/ and w7_Dv8O_", &["ÿÿÿ"]), "*** and ***");
    }

    #[test]
    fn parts_are_hidden_after_the_whole_and_short_words_stay() {
        assert_eq!(hidden("123456:ABC-DEF and ABC-DEF", &["ABC-DEF", "123456:ABC-DEF"]), "*** and ***");
        assert_eq!(hidden("not ok at all", &["ok", ""]), "not ok at all");
    }

    #[test]
    fn small_letters_are_those_of_what_is_encoded() {
        assert_eq!(small("A%2FB%C3%B6%"), "A%2fB%c3%b6%");
    }

    proptest! {
        #[test]
        fn whatever_the_secret_it_does_not_stand_there(secret in "[!-~]{6,40}", before in "[a-z ]{0,20}", after in "[a-z ]{0,20}") {
            prop_assume!(!HIDDEN.contains(&secret) && !secret.contains(HIDDEN));
            let said = hidden(&format!("{before}{secret}{after}"), &[&secret]);
            prop_assert!(said.contains(HIDDEN), "{said}");
            let encoded = utf8_percent_encode(&secret, NON_ALPHANUMERIC).to_string();
            prop_assert!(!hidden(&encoded, &[&secret]).contains(&encoded));
        }
    }
}
