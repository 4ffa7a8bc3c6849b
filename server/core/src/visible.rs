//! Whether a text shows anything: a name that nobody can see is no name.

pub mod web_addresses;

/// Without blanks and invisible characters at its ends.
#[must_use]
pub fn shown(text: &str) -> &str {
    text.trim_matches(is_unseen)
}

/// Whether a text shows nothing.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_unseen)
}

/// Blanks, and characters that take no ink: joiners, marks of direction, selectors, fillers, tags (Unicode's `Default_Ignorable_Code_Point`
/// and `White_Space`, and the empty pattern of braille).
fn is_unseen(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_shows_nothing_is_blank() {
        for text in [
            "",
            " \n\t\u{a0}\u{3000}",
            "\u{200b}",
            "\u{2060}\u{feff}",
            "\u{ad}",
            "\u{2800}",
            "\u{3164}",
            "\u{180e}",
            "\u{202e}\u{200f}",
            "\u{fe0f}",
            "\u{e0041}",
        ] {
            assert!(is_blank(text), "{text:?}");
        }
        for text in ["x", "。", "👍🏽", "\u{200b}李", "-"] {
            assert!(!is_blank(text), "{text:?}");
        }
        assert_eq!(shown("\u{feff} disk full\u{200b} "), "disk full");
    }

    proptest! {
        #[test]
        fn letters_and_digits_are_seen(text in "\\PC*[\\p{L}\\p{N}]\\PC*") {
            // Three letters of Hangul and Khmer are fillers.
            let seen = text.chars().any(|c| c.is_alphanumeric() && !is_unseen(c));
            prop_assert_eq!(is_blank(&text), !seen && text.chars().all(is_unseen));
        }
    }
}
