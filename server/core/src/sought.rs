//! By which words an alarm is found: what is written in it, and what somebody looks for, cut into the same words.
//!
//! Words are folded (case, width, accents). Scripts that put no blanks between words are cut into pairs of neighbours, so that any part of a
//! text is found. Of a phone number each end is a word of its own kind, which only those look for who may see numbers.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A longer word is found by its beginning, in characters.
const LONGEST_WORD: usize = 40;
/// So many different words of one alarm are kept.
const MOST_WORDS: usize = 2_000;
/// So many words are looked for at once.
const MOST_TERMS: usize = 10;
/// No shorter end of a number is looked for.
const SHORTEST_END: usize = 4;
/// What stands before the end of a number; in no other word there is one.
const NUMBER: char = '_';

/// One word that must be in an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// This word.
    Whole(String),
    /// A word that begins so.
    Begins(String),
    /// A word that begins so, or a number that ends so.
    NumberOr(String),
}

/// The words of texts, each once.
#[must_use]
pub fn words<'t>(texts: impl IntoIterator<Item = &'t str>) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for text in texts {
        for run in runs(text) {
            match run {
                Run::Word(word) => drop(words.insert(word)),
                Run::Unspaced(chars) => {
                    words.extend(pairs(&chars).take(MOST_WORDS));
                    // A single character that is looked for may be the last one.
                    words.extend(chars.last().map(char::to_string));
                }
            }
            if words.len() >= MOST_WORDS {
                return words;
            }
        }
    }
    words
}

/// The words of a phone number: each of its ends.
#[must_use]
pub fn ends_of(number: &str) -> Vec<String> {
    let digits: Vec<char> = number.chars().filter(char::is_ascii_digit).collect();
    let ends = (0..=digits.len().saturating_sub(SHORTEST_END)).filter(|from| digits.len() - from >= SHORTEST_END);
    ends.map(|from| std::iter::once(NUMBER).chain(digits[from..].iter().copied()).collect()).collect()
}

/// What somebody looks for; all of it must be there. Nothing when there is no word in it.
#[must_use]
pub fn terms(written: &str) -> Vec<Term> {
    let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, ' ' | '+' | '-' | '(' | ')' | '/' | '.');
    let digits: String = written.chars().filter(char::is_ascii_digit).collect();
    if written.chars().all(is_of_number) && digits.len() >= SHORTEST_END && written.chars().any(|c| matches!(c, ' ' | '+' | '(')) {
        return vec![Term::NumberOr(digits)];
    }
    let mut terms: Vec<Term> = Vec::new();
    for run in runs(written) {
        match run {
            Run::Word(word) if word.len() >= SHORTEST_END && word.chars().all(|c| c.is_ascii_digit()) => {
                terms.push(Term::NumberOr(word));
            }
            Run::Word(word) => terms.push(Term::Begins(word)),
            Run::Unspaced(chars) if chars.len() == 1 => terms.push(Term::Begins(chars.into_iter().collect())),
            Run::Unspaced(chars) => terms.extend(pairs(&chars).map(Term::Whole)),
        }
    }
    terms.dedup();
    terms.truncate(MOST_TERMS);
    terms
}

/// The word by which a number is found that ends so.
#[must_use]
pub fn end_of_number(digits: &str) -> String {
    format!("{NUMBER}{digits}")
}

/// A part of a text without anything between its characters.
enum Run {
    Word(String),
    Unspaced(Vec<char>),
}

fn runs(text: &str) -> Vec<Run> {
    let folded = text.nfkd().filter(|c| !is_combining_mark(*c) || is_voice_mark(*c)).nfc().flat_map(char::to_lowercase);
    let mut runs: Vec<Run> = Vec::new();
    let mut joins = false;
    for c in folded {
        let unspaced = is_unspaced(c);
        if !unspaced && !c.is_alphanumeric() {
            joins = false;
            continue;
        }
        match runs.last_mut().filter(|_| joins) {
            Some(Run::Unspaced(chars)) if unspaced => chars.push(c),
            Some(Run::Word(word)) if !unspaced => {
                if word.chars().count() < LONGEST_WORD {
                    word.push(c);
                }
            }
            _ => runs.push(if unspaced { Run::Unspaced(vec![c]) } else { Run::Word(c.to_string()) }),
        }
        joins = true;
    }
    runs
}

/// Of kana, these make another sound, and so another word.
fn is_voice_mark(c: char) -> bool {
    matches!(c, '\u{3099}' | '\u{309a}')
}

/// Of a script that is written without blanks between words: Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}'
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{3130}'..='\u{318f}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

fn pairs(chars: &[char]) -> impl Iterator<Item = String> + '_ {
    chars.windows(2).map(|pair| pair.iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn finds(term: &Term, words: &BTreeSet<String>) -> bool {
        let begins = |start: &String| words.iter().any(|word| word.starts_with(start.as_str()));
        match term {
            Term::Whole(word) => words.contains(word),
            Term::Begins(start) => begins(start),
            Term::NumberOr(digits) => begins(digits) || words.contains(&end_of_number(digits)),
        }
    }

    fn is_found(written: &str, texts: &[&str]) -> bool {
        let mut all = words(texts.iter().copied());
        all.extend(ends_of("+8618712345678"));
        let terms = terms(written);
        !terms.is_empty() && terms.iter().all(|term| finds(term, &all))
    }

    #[test]
    fn what_people_look_for_is_found() {
        let texts = ["Disk 95 % full on db1.example.com", "磁盘满了", "ディスク容量が不足しています", "Café Ñandú ＤＢ２", "team", "ops-东京"];
        for written in [
            "disk", "DISK", "Dis", "db1", "example", "95", "磁盘", "盘满", "了", "盘", "ディスク", "容量", "cafe", "CAFÉ", "nandu", "db2",
            "ｄｉｓｋ", "5678", "18712345678", "+86 187 1234 5678", "disk 磁盘 5678", "ops", "东京", "ops-东京",
        ] {
            assert!(is_found(written, &texts), "{written}");
        }
        for written in ["isk", "磁满", "db3", "678", "1871234", "テスク", "disk swap", "", "  ", "%", "_5678"] {
            let expected = written == "_5678";
            assert_eq!(is_found(written, &texts), expected, "{written}");
        }
    }

    #[test]
    fn the_ends_of_a_number_are_words_of_their_own_kind() {
        assert_eq!(ends_of("+86187"), ["_86187", "_6187"]);
        assert_eq!(ends_of("123"), [] as [String; 0]);
        assert!(words(["a_1234"]).contains("1234"), "nobody writes one");
    }

    proptest! {
        #[test]
        fn any_part_of_an_unspaced_text_and_any_beginning_of_a_word_is_found(
            text in "[磁盘满告警東京ディスク한국]{1,12}", word in "[a-zA-Z0-9äéß]{1,12}", from in 0..12_usize, long in 1..6_usize,
        ) {
            let part: String = text.chars().skip(from).take(long).collect();
            prop_assert!(part.is_empty() || is_found(&part, &[&text]), "{part} in {text}");
            let start: String = word.chars().take(long).collect();
            prop_assert!(is_found(&start, &[&word]), "{start} in {word}");
        }

        #[test]
        fn whatever_is_written_has_bounded_words(text in any::<String>()) {
            let words = words([text.as_str()]);
            prop_assert!(words.len() <= 2 * MOST_WORDS);
            prop_assert!(words.iter().all(|word| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || is_unspaced(c))));
            prop_assert!(terms(&text).len() <= MOST_TERMS);
        }
    }
}
