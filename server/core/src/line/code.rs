//! The code by which a reply names the alarm that it means, such as `4K7`: pure.

use super::reply::{self, Reply, ReplyWords};

/// Neither 0 and 1, nor the letters that look like a number or like each other.
const DIGITS: &[u8; 8] = b"23456789";
const LETTERS: &[u8; 21] = b"ACDEFGHJKLMNPQRTUVWXY";
/// So many codes there are.
const ALL: usize = DIGITS.len() * LETTERS.len() * DIGITS.len();
/// The characters of a code.
const LENGTH: usize = 3;

/// A code that is none of those `taken`. `seed`: any number, so that two people seldom have the same code for different alarms.
#[must_use]
pub fn fresh(seed: u64, taken: &[String]) -> String {
    let first = usize::try_from(seed % 1_000_003).unwrap_or(0);
    let mut codes = (0..ALL).map(|step| code((first + step) % ALL));
    codes.find(|code| !taken.contains(code)).unwrap_or_else(|| code(first % ALL))
}

fn code(index: usize) -> String {
    let (rest, last) = (index / DIGITS.len(), index % DIGITS.len());
    let (first, letter) = (rest / LETTERS.len() % DIGITS.len(), rest % LETTERS.len());
    [DIGITS[first], LETTERS[letter], DIGITS[last]].into_iter().map(char::from).collect()
}

/// Whether a text in capital letters has the form of a code.
fn is_code(text: &str) -> bool {
    let [first, letter, last] = text.as_bytes() else { return false };
    DIGITS.contains(first) && LETTERS.contains(letter) && DIGITS.contains(last)
}

/// Reads a message: what it says, and which code stands before or behind that. A code counts only beside a word that takes or declines:
/// by itself it says nothing. To stop, and to come back, is about all alarms, whatever code stands there.
#[must_use]
pub fn read(text: &str, words: &ReplyWords) -> (Reply, Option<String>) {
    let whole = reply::read(text, words);
    if whole != Reply::Unknown {
        return (whole, None);
    }
    let said = reply::plain(text);
    // As it was written too: a sign, such as a thumb, is a word only by itself.
    let written = text.trim();
    let apart = [
        written.split_once(char::is_whitespace),
        written.rsplit_once(char::is_whitespace).map(|(word, code)| (code, word)),
        split_before(&said),
        split_behind(&said).map(|(word, code)| (code, word)),
    ];
    for (code, word) in apart.into_iter().flatten() {
        let (code, meant) = (reply::plain(code).to_ascii_uppercase(), reply::read(word, words));
        match meant {
            _ if !is_code(&code) => {}
            Reply::Confirm | Reply::Decline => return (meant, Some(code)),
            Reply::OptOut | Reply::OptIn => return (meant, None),
            Reply::Unknown => {}
        }
    }
    (Reply::Unknown, None)
}

/// The first three characters, and the rest.
fn split_before(said: &str) -> Option<(&str, &str)> {
    let (end, _) = said.char_indices().nth(LENGTH)?;
    Some(said.split_at(end))
}

/// All but the last three characters, and these.
fn split_behind(said: &str) -> Option<(&str, &str)> {
    let (begin, _) = said.char_indices().nth_back(LENGTH - 1)?;
    Some(said.split_at(begin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reading(text: &str) -> (Reply, Option<String>) {
        read(text, &ReplyWords::default())
    }

    #[test]
    fn a_word_and_a_code_in_either_order_and_any_spelling() {
        let code = || Some("4K7".to_owned());
        for text in ["ok 4K7", "OK 4k7!", "4k7 ok", "1 4K7", "收到4K7", "４Ｋ７ はい", "1, 4k7", "4K7: ok", "on it 4k7", "👍 4k7"]
        {
            assert_eq!(reading(text), (Reply::Confirm, code()), "{text}");
        }
        for text in ["2 4K7", "no 4k7", "4K7 拒绝", "24k7"] {
            assert_eq!(reading(text), (Reply::Decline, code()), "{text}");
        }
    }

    #[test]
    fn what_is_no_code_is_none() {
        for text in ["4K7", "ok 4K", "ok 4K77", "ok 407", "ok K47", "stop 4K7", "start 4K7", "no problem 4K7", "", "ok 4I7"] {
            assert_eq!(reading(text).1, None, "{text}");
        }
        assert_eq!(reading("ok"), (Reply::Confirm, None));
        for text in ["stop", "STOP 4K7", "4k7 stop", "stop4K7"] {
            assert_eq!(reading(text), (Reply::OptOut, None), "{text}");
        }
        assert_eq!(reading("start 4K7"), (Reply::OptIn, None));
    }

    #[test]
    fn there_is_one_for_each_number() {
        let mut all: Vec<String> = (0..ALL).map(code).collect();
        assert!(all.iter().all(|code| is_code(code)));
        all.sort();
        all.dedup();
        assert_eq!(all.len(), ALL);
        assert!(is_code(&fresh(7, &all)), "when all are taken, one is given twice");
    }

    proptest! {
        #[test]
        fn a_fresh_code_is_not_taken_and_reads_back(seed: u64, seeds in prop::collection::vec(any::<u64>(), 0..60)) {
            let mut taken: Vec<String> = Vec::new();
            for one in seeds {
                let next = fresh(one, &taken);
                prop_assert!(!taken.contains(&next));
                taken.push(next);
            }
            let code = fresh(seed, &taken);
            prop_assert!(!taken.contains(&code));
            prop_assert_eq!(reading(&format!("ok {code}")), (Reply::Confirm, Some(code.clone())));
            prop_assert_eq!(reading(&format!("{code} 2")), (Reply::Decline, Some(code)));
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = reading(&text);
        }

        /// What meant something without codes means the same with them.
        #[test]
        fn whole_words_stay_what_they_are(text in "[a-z0-9 ]{0,12}") {
            let words = ReplyWords::default();
            let whole = reply::read(&text, &words);
            if whole != Reply::Unknown {
                prop_assert_eq!(read(&text, &words), (whole, None));
            }
        }
    }
}
