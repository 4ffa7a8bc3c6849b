//! What others say, without the secrets that they were told: services, and proxies before them, repeat what they were asked.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::written::{inside_form, inside_json, inside_xml};

/// Anything shorter is a word that may stand anywhere.
const SHORTEST: usize = 6;
/// What was given as a secret and is shorter is hidden where it stands by itself, unless it is shorter than this.
const SHORTEST_GIVEN: usize = 3;
/// What stands for a secret.
const HIDDEN: &str = "***";
/// What programs leave as it is in an address (RFC 3986).
const IN_ADDRESS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What browsers leave as well.
const IN_BROWSERS: &AsciiSet = &IN_ADDRESS.remove(b'!').remove(b'*').remove(b'\'').remove(b'(').remove(b')');

/// A text without these secrets, in whichever writing they stand there: those that were given as such, and what most likely is one. It is
/// asked before a text is cut: half a secret is none that could be found.
pub(super) fn without(text: &str, given: Vec<String>, likely: impl IntoIterator<Item = String>) -> String {
    let (long, short): (Vec<String>, Vec<String>) = given.into_iter().partition(|secret| secret.len() >= SHORTEST);
    let likely = likely.into_iter().filter(|secret| secret.len() >= SHORTEST);
    let text =
        in_order(long.into_iter().chain(likely)).iter().fold(text.to_owned(), |text, part| text.replace(part.as_str(), HIDDEN));
    let short = in_order(short.into_iter().filter(|secret| secret.len() >= SHORTEST_GIVEN));
    short.iter().fold(text, |text, word| without_word(&text, word))
}

/// All writings of secrets, the longest first: a part of another one is hidden after it.
fn in_order(secrets: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = secrets.flat_map(|secret| writings(&secret)).filter(|written| !written.is_empty()).collect();
    all.sort_by(|one, two| two.len().cmp(&one.len()).then_with(|| one.cmp(two)));
    all.dedup();
    all
}

/// A text without a word, where it is no part of another one.
fn without_word(text: &str, word: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(word) {
        let begins = out.chars().chain(before.chars()).next_back();
        let is_part = begins.is_some_and(char::is_alphanumeric) || behind.starts_with(char::is_alphanumeric);
        out.push_str(before);
        out.push_str(if is_part { word } else { HIDDEN });
        rest = behind;
    }
    out + rest
}

/// How a secret may stand in a text.
fn writings(secret: &str) -> Vec<String> {
    let mut all = vec![secret.to_owned(), inside_json(secret)];
    // XML holds not every character, and what is left of such a secret may be a word. Each program has its own way with quotation marks.
    let xml = inside_xml(secret);
    if xml.len() >= secret.len() {
        for single in ["&#39;", "&#x27;", "&#039;", "&apos;", "'"] {
            all.extend(["&quot;", "&#34;", "&#x22;", "\""].map(|double| xml.replace("&#39;", single).replace("&quot;", double)));
        }
    }
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
        without(text, Vec::new(), secrets.iter().map(|secret| (*secret).to_owned()))
    }

    fn given(text: &str, secret: &str) -> String {
        without(text, vec![secret.to_owned()], Vec::new())
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
        for written in
            ["a&amp;b&lt;c&quot;d&#39;e", "a&amp;b&lt;c\"d'e", "a&amp;b&lt;c&#34;d&apos;e", "a&amp;b&lt;c&quot;d&#x27;e"]
        {
            assert_eq!(hidden(&format!("<key>{written}</key>"), &["a&b<c\"d'e"]), "<key>***</key>", "{written}");
        }
        assert_eq!(hidden("w7/Dv8O/ and w7_Dv8O_", &["ÿÿÿ"]), "*** and ***");
    }

    #[test]
    fn parts_are_hidden_after_the_whole_and_short_words_stay() {
        assert_eq!(hidden("123456:ABC-DEF and ABC-DEF", &["ABC-DEF", "123456:ABC-DEF"]), "*** and ***");
        assert_eq!(hidden("not ok at all", &["ok", ""]), "not ok at all");
    }

    #[test]
    fn a_short_one_that_was_given_is_hidden_where_it_stands_by_itself() {
        assert_eq!(given("key=a1b2&x, a1b2", "a1b2"), "key=***&x, ***");
        assert_eq!(given("a1b2c and xa1b2 and a1b2a1b2", "a1b2"), "a1b2c and xa1b2 and a1b2a1b2");
        assert_eq!(given("wrong: 1%3Aa, 1:a", "1:a"), "wrong: ***, ***");
        assert_eq!(given("not ok at all", "ok"), "not ok at all");
        assert_eq!(given("a text", ""), "a text");
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
