//! The words under which an alarm is kept. Those that stand for something and are said by nobody hold a `_`, which no word of a text does.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::fold::words;
use super::{LEAST_DIGITS, LONGEST_WORD, MOST_DIGITS, MOST_READ, MOST_WORDS};
use crate::ids::PersonId;

/// Of an alarm at most so many people are kept, and as many numbers that are nobody's.
const MOST_RUNG: usize = 60;
const MOST_NUMBERS: usize = 8;
/// Of its labels.
const MOST_LABELS: usize = 60;

/// What an alarm says, and who was rung for it.
#[derive(Clone, Debug, Default)]
pub struct Told<'a> {
    /// Its number.
    pub number: i64,
    /// One line of text.
    pub summary: &'a str,
    /// More text.
    pub details: &'a str,
    /// What its sender calls itself.
    pub source: &'a str,
    /// What makes two reports the same alarm.
    pub dedup_key: Option<&'a str>,
    /// The team that it asks for.
    pub team: Option<&'a str>,
    /// Names and values.
    pub labels: Option<&'a BTreeMap<String, String>>,
    /// Who on the list of people was rung or answered: they are kept by who they are, so that their name and their numbers are found as
    /// they are now, and not at all once they are removed.
    pub people: Vec<PersonId>,
    /// Names of others who were rung or answered.
    pub names: Vec<&'a str>,
    /// Their numbers.
    pub numbers: Vec<&'a str>,
    /// What people wrote on its timeline.
    pub notes: Vec<&'a str>,
}

/// The word that stands for somebody.
#[must_use]
pub fn person_word(person: PersonId) -> String {
    format!("w_{}", person.0.simple())
}

/// The word that stands for a label with a value.
#[must_use]
pub fn label_word(name: &str, value: &str) -> String {
    format!("l_{}", short_hash(&[name, value]))
}

/// The word that stands for a source, as it is written.
#[must_use]
pub fn source_word(source: &str) -> String {
    format!("s_{}", short_hash(&[source]))
}

/// Enough to tell texts apart, and never longer than a word.
fn short_hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The word that stands for the end of a number. Whoever may not see numbers is never asked for one.
#[must_use]
pub(super) fn end_word(digits: &str) -> String {
    format!("n_{digits}")
}

/// A name that is a number without letters is a number.
fn is_bare_number(name: &str) -> bool {
    !name.chars().any(char::is_alphabetic)
}

/// The beginning of a text, cut between characters.
fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MOST_READ)]
}

/// Words in the order in which they count, each once, and no more than may be.
struct Kept {
    all: Vec<String>,
    seen: BTreeSet<String>,
}

impl Kept {
    fn add(&mut self, word: String) {
        debug_assert!(word.chars().count() <= LONGEST_WORD);
        if self.all.len() < MOST_WORDS && self.seen.insert(word.clone()) {
            self.all.push(word);
        }
    }

    fn add_text(&mut self, text: &str) {
        for word in words(beginning(text)) {
            if self.all.len() >= MOST_WORDS {
                return;
            }
            self.add(word);
        }
    }

    fn add_number(&mut self, number: &str) {
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        let from = digits.len().saturating_sub(MOST_DIGITS);
        for begins in from..digits.len().saturating_sub(LEAST_DIGITS - 1) {
            self.add(end_word(&digits[begins..]));
        }
    }
}

/// The words of an alarm, what counts most first; at most [`MOST_WORDS`].
#[must_use]
pub fn words_of(told: &Told) -> Vec<String> {
    let mut kept = Kept { all: Vec::new(), seen: BTreeSet::new() };
    let none = BTreeMap::new();
    let labels = told.labels.unwrap_or(&none);
    kept.add(source_word(told.source));
    for person in told.people.iter().take(MOST_RUNG) {
        kept.add(person_word(*person));
    }
    for (name, value) in labels.iter().take(MOST_LABELS) {
        kept.add(label_word(name, value));
    }
    kept.add(told.number.to_string());
    kept.add_text(told.summary);
    kept.add_text(told.source);
    for name in told.names.iter().take(MOST_RUNG) {
        if is_bare_number(name) { kept.add_number(name) } else { kept.add_text(name) }
    }
    for number in told.numbers.iter().take(MOST_NUMBERS) {
        kept.add_number(number);
    }
    for (name, value) in labels.iter().take(MOST_LABELS) {
        kept.add_text(value);
        kept.add_text(name);
    }
    kept.add_text(told.team.unwrap_or_default());
    kept.add_text(told.dedup_key.unwrap_or_default());
    for note in &told.notes {
        kept.add_text(note);
    }
    kept.add_text(told.details);
    kept.all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_that_is_said_of_an_alarm_is_kept() {
        let labels = BTreeMap::from([("host".to_owned(), "db-7".to_owned())]);
        let person = PersonId(uuid::Uuid::from_u128(7));
        let told = Told {
            number: 1_700_000_000_123,
            summary: "磁盘满",
            details: "No space on /var",
            source: "zabbix",
            dedup_key: Some("k-9"),
            team: Some("Ops"),
            labels: Some(&labels),
            people: vec![person],
            names: vec!["Li Na", "+8613800138000"],
            numbers: vec!["+8618712345678"],
            notes: vec!["changed the disk"],
        };
        let kept = words_of(&told);
        for word in [
            "磁盘",
            "盘满",
            "zabbix",
            "db",
            "7",
            "host",
            "ops",
            "li",
            "na",
            "var",
            "disk",
            "9",
            "1700000000123",
            "n_5678",
            "n_2345678",
            "n_8618712345678",
            "n_8000",
        ] {
            assert!(kept.iter().any(|own| own == word), "{word}: {kept:?}");
        }
        for word in [person_word(person), label_word("host", "db-7"), source_word("zabbix")] {
            assert!(kept.contains(&word), "{word}");
        }
        for word in ["5678", "8618712345678", "13800138000", "n_678"] {
            assert!(!kept.iter().any(|own| own == word), "{word} is a number, and found as one alone");
        }
    }

    #[test]
    fn what_is_too_much_is_left_out() {
        let text: String = (0..100_000).map(|n| format!("word{n} ")).collect();
        let kept = words_of(&Told { summary: "disk", details: &text, ..Told::default() });
        assert_eq!(kept.len(), MOST_WORDS);
        assert!(kept.contains(&"disk".to_owned()));
        assert_eq!(beginning(&"盘".repeat(MOST_READ)).len() % 3, 0, "never cut within a character");
    }

    #[test]
    fn a_label_is_told_from_its_neighbours() {
        assert_ne!(label_word("ab", "c"), label_word("a", "bc"));
        assert_eq!(label_word("a", "b"), label_word("a", "b"));
        assert!(label_word("a", &"b".repeat(5000)).len() <= LONGEST_WORD);
    }

    proptest! {
        #[test]
        fn any_text_gives_few_different_words(
            summary in "\\PC{0,300}", details in "\\PC{0,3000}", number in "\\+?[0-9]{0,30}", name in "\\PC{0,60}",
        ) {
            let told = Told { summary: &summary, details: &details, names: vec![&name], numbers: vec![&number], ..Told::default() };
            let kept = words_of(&told);
            prop_assert!(kept.len() <= MOST_WORDS);
            prop_assert_eq!(kept.iter().collect::<BTreeSet<_>>().len(), kept.len());
            for word in &kept {
                prop_assert!(!word.is_empty() && word.chars().count() <= LONGEST_WORD, "{}", word);
                prop_assert!(word.chars().all(|c| c.is_alphanumeric() || c == '_'), "{}", word);
            }
            // No word of a text can pretend to be one that stands for something.
            let marked = |word: &&String| word.contains('_');
            let digits = number.chars().filter(char::is_ascii_digit).count();
            let own = name.chars().filter(char::is_ascii_digit).count();
            let ends = digits.saturating_sub(3) + own.saturating_sub(3);
            prop_assert!(kept.iter().filter(marked).count() <= 1 + ends);
        }
    }
}
