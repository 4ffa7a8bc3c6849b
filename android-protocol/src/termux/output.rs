//! What a command of Termux:API printed: JSON, or words that say what Android refused. Its exit status says nothing.

use serde_json::Value;
use thiserror::Error;

/// The longest sentence of the phone that is passed on.
const LONGEST_WORDS: usize = 300;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// The command does not exist.
    #[error("{0} is not installed: run `pkg install termux-api` in Termux")]
    Missing(String),
    /// It said nothing until its time was over.
    #[error(
        "{0} says nothing: open the app Termux:API once, and turn its battery optimisation off; if it is not installed, take it from where Termux came from"
    )]
    Silent(String),
    /// It could not be started, or broke off.
    #[error("{command} failed: {why}")]
    Failed {
        /// Which command.
        command: String,
        /// Why.
        why: String,
    },
    /// Android or Termux:API said no.
    #[error("{command} was refused: {words}")]
    Words {
        /// Which command.
        command: String,
        /// What was printed.
        words: String,
    },
}

/// Reads what `command` printed.
///
/// # Errors
///
/// If it printed no JSON, or an error as JSON.
pub fn read(command: &str, printed: &[u8]) -> Result<Value, Refused> {
    let text = String::from_utf8_lossy(printed);
    let text = text.trim().trim_start_matches('\u{feff}');
    if text.is_empty() {
        return Err(Refused::Silent(command.to_owned()));
    }
    let words = |words: &str| Refused::Words { command: command.to_owned(), words: shortened(words) };
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(object)) if object.contains_key("error") || object.contains_key("API_ERROR") => {
            let why = object.get("error").or_else(|| object.get("API_ERROR"));
            Err(words(&why.map(|why| why.as_str().map_or_else(|| why.to_string(), str::to_owned)).unwrap_or_default()))
        }
        Ok(value @ (Value::Object(_) | Value::Array(_))) => Ok(value),
        Ok(_) | Err(_) => Err(words(text)),
    }
}

/// Words on one line, and not too many.
#[must_use]
pub fn shortened(words: &str) -> String {
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_WORDS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The digits of a text in any script, as ASCII; everything else is left out.
pub fn digits(text: &str) -> impl Iterator<Item = u8> + '_ {
    text.chars().filter_map(digit)
}

/// The value of a decimal digit of any script.
#[must_use]
pub fn digit(c: char) -> Option<u8> {
    // The zeros of the scripts in which an Android phone may be set (Unicode, general category Nd): each is followed by its nine others.
    const ZEROS: &[u32] = &[
        0x0030, 0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6, 0x0E50,
        0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620,
        0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x104A0, 0x11066, 0x1E950,
    ];
    let code = u32::from(c);
    let zero = ZEROS.iter().rev().find(|&&zero| zero <= code)?;
    u8::try_from(code - zero).ok().filter(|&value| value <= 9)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn json_is_an_answer_and_words_are_a_refusal() {
        assert_eq!(read("x", b" [] \n").unwrap(), serde_json::json!([]));
        assert_eq!(read("x", b"{\"a\":1}").unwrap()["a"], 1);
        assert_eq!(read("x", b"\n"), Err(Refused::Silent("x".into())));
        for (printed, says) in [
            (
                &b"{\"error\":\"Please grant the following permission to use this command: android.permission.READ_CALL_LOG\"}"[..],
                "READ_CALL_LOG",
            ),
            (b"{\"API_ERROR\":\"No permission\"}", "No permission"),
            (b"{\"error\":5}", "5"),
            (b"Permission Denial: can't dump telephony.registry\n from pid=1", "telephony.registry from pid=1"),
            (b"\"text\"", "text"),
            (b"7", "7"),
            (b"[{\"a\":1", "[{\"a\":1"),
            (b"\xff\xfe", "\u{fffd}"),
        ] {
            let why = read("x", printed).unwrap_err();
            assert!(matches!(&why, Refused::Words { words, .. } if words.contains(says)), "{why:?}");
        }
    }

    #[test]
    fn digits_of_many_scripts_are_digits() {
        for text in [
            "0123456789",
            "٠١٢٣٤٥٦٧٨٩",
            "۰۱۲۳۴۵۶۷۸۹",
            "०१२३४५६७८९",
            "০১২৩৪৫৬৭৮৯",
            "၀၁၂၃၄၅၆၇၈၉",
            "๐๑๒๓๔๕๖๗๘๙",
            "０１２３４５６７８９",
        ] {
            assert!(digits(text).eq(0..10), "{text}");
        }
        assert_eq!(digits("+8a-½²Ⅷ").collect::<Vec<_>>(), [8]);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(printed: Vec<u8>, text: String) {
            let _ = read("x", &printed);
            prop_assert!(shortened(&text).chars().count() <= LONGEST_WORDS + 1);
            prop_assert!(digits(&text).all(|digit| digit <= 9));
        }
    }
}
