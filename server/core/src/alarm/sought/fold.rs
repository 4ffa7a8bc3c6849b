//! Texts as words: without case, width and accents, and in pairs of neighbours where a script has no blanks.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::{decompose_canonical, is_combining_mark};

use super::LONGEST_WORD;

/// Whether words of this script stand without blanks between them: Han, kana, hangul, Thai and its neighbours. Hangul has blanks, but what
/// is asked for is often only a part of what stands between them.
#[must_use]
pub fn is_unspaced(c: char) -> bool {
    matches!(
        c,
        '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30FF}' | '\u{3100}'..='\u{312F}' | '\u{31A0}'..='\u{31BF}' | '\u{31F0}'..='\u{31FF}'
            | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{323AF}'
            | '\u{1100}'..='\u{11FF}' | '\u{3130}'..='\u{318F}' | '\u{AC00}'..='\u{D7AF}'
            | '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
    )
}

/// The characters of a text made alike: compatible forms are one, there is no upper case, and letters with accents are the letters alone.
/// What is no letter and no digit is a blank.
fn folded(text: &str) -> impl Iterator<Item = char> + '_ {
    text.nfkc().flat_map(char::to_lowercase).flat_map(|c| {
        let mut own = Vec::with_capacity(2);
        match c {
            'ß' => own.extend(['s', 's']),
            'ς' => own.push('σ'),
            // A kana or a syllable would fall into parts that are others.
            _ if is_unspaced(c) => own.push(c),
            _ => decompose_canonical(c, |part| own.extend(Some(part).filter(|part| !is_combining_mark(*part)))),
        }
        own
    })
}

/// The words of a text, in their order: runs of letters and digits; of a script without blanks each pair of neighbours, and the last
/// character by itself.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut rest = folded(text).chain([' ']);
    let mut run = String::new();
    let mut last: Option<char> = None;
    let mut ready = std::collections::VecDeque::new();
    std::iter::from_fn(move || {
        loop {
            if let Some(word) = ready.pop_front() {
                return Some(word);
            }
            let c = rest.next()?;
            let unspaced = is_unspaced(c) && c.is_alphanumeric();
            if let Some(before) = last.take() {
                ready.push_back(if unspaced { [before, c].iter().collect() } else { before.to_string() });
            }
            if unspaced {
                last = Some(c);
            }
            let goes_on = !unspaced && c.is_alphanumeric();
            if goes_on {
                // Beyond the longest the rest does not count; it is no word of its own.
                if run.chars().count() < LONGEST_WORD {
                    run.push(c);
                }
            } else if !run.is_empty() {
                ready.push_back(std::mem::take(&mut run));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> Vec<String> {
        words(text).collect()
    }

    #[test]
    fn case_width_and_accents_do_not_matter() {
        assert_eq!(all("Disk FULL on db-01.example"), ["disk", "full", "on", "db", "01", "example"]);
        assert_eq!(all("ＤＩＳＫ Café ÅNGSTRÖM straße İstanbul"), ["disk", "cafe", "angstrom", "strasse", "istanbul"]);
        assert_eq!(all("ﾃﾞｨｽｸ"), all("ディスク"), "half width");
        assert_eq!(all("デ"), ["デ"], "a mark that makes another kana is no accent");
        assert_ne!(all("デ"), all("テ"));
        assert_eq!(all("한국"), ["한국", "국"], "syllables stay whole");
        assert_eq!(all("Ελλάς"), all("ΕΛΛΆΣ"));
    }

    #[test]
    fn scripts_without_blanks_are_pairs_of_neighbours() {
        assert_eq!(all("磁盘满"), ["磁盘", "盘满", "满"]);
        assert_eq!(all("磁盘disk满了"), ["磁盘", "盘", "disk", "满了", "了"]);
        assert_eq!(all("主机db1，磁盘"), ["主机", "机", "db1", "磁盘", "盘"]);
        assert_eq!(all("、。!?_- "), Vec::<String>::new());
    }

    #[test]
    fn a_word_of_any_length_is_one() {
        assert_eq!(all(&"x".repeat(5000)), ["x".repeat(LONGEST_WORD)]);
    }

    proptest! {
        #[test]
        fn words_hold_letters_and_digits_alone_and_are_words_again(text in "\\PC{0,60}") {
            for word in words(&text) {
                prop_assert!(!word.is_empty() && word.chars().count() <= LONGEST_WORD);
                prop_assert!(word.chars().all(char::is_alphanumeric), "{word:?}");
                let again = all(&word);
                prop_assert!(again.first() == Some(&word), "{word:?} becomes {again:?}");
            }
        }
    }
}
