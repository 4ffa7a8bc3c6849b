//! What somebody asks for by text, as words that an alarm must be kept under.

use super::fold::{is_unspaced, words};
use super::words::{end_word, person_word};
use super::{LEAST_BEGINNING, LEAST_DIGITS, LONGEST_ASKED, MOST_ASKED, MOST_DIGITS, MOST_PEOPLE};
use crate::ids::PersonId;

/// A word that an alarm may be kept under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// This one.
    Word(String),
    /// One that begins like this.
    Beginning(String),
}

/// The words that an alarm must be kept under: of each group at least one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sought(pub Vec<Vec<Term>>);

/// Somebody on the list of people.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Who.
    pub id: PersonId,
    /// Their name.
    pub name: &'a str,
    /// Their numbers.
    pub numbers: &'a [String],
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct AskedWord {
    word: String,
    /// The digits of the number whose end it may be a part of.
    digits: Option<String>,
}

/// What somebody wrote, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked(Vec<AskedWord>);

impl Asked {
    /// Reads what somebody wrote; what is beyond the longest and the most does not count. Without a letter or digit it asks for nothing
    /// that there is.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let text: String = text.trim().chars().take(LONGEST_ASKED).collect();
        let all: Vec<String> = words(&text).collect();
        // The last character of a run is a word by itself where an alarm ends with it, and in a pair elsewhere.
        let stands_alone = |place: usize| {
            let single = all[place].chars().count() == 1 && all[place].chars().all(is_unspaced);
            !(single && place > 0 && all[place - 1].chars().count() == 2 && all[place - 1].ends_with(&all[place]))
        };
        let number = written_as_number(&text);
        let asked = (0..all.len()).filter(|place| stands_alone(*place)).map(|place| {
            let word = all[place].clone();
            let own = word.chars().all(|c| c.is_ascii_digit()) && (LEAST_DIGITS..=MOST_DIGITS).contains(&word.len());
            AskedWord { digits: number.clone().or_else(|| own.then(|| word.clone())), word }
        });
        Self(asked.take(MOST_ASKED).collect())
    }

    /// Whether it holds no word.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether its last word may be the beginning of one.
    #[must_use]
    pub fn may_begin(&self) -> bool {
        self.0.last().is_some_and(|last| last.word.chars().count() >= LEAST_BEGINNING && !last.word.chars().any(is_unspaced))
    }

    /// The words that an alarm must be kept under. Names and numbers of people stand for who has them now. Numbers are asked for only by
    /// somebody who may see them; the last word may be the beginning of one.
    #[must_use]
    pub fn sought(&self, people: &[Known], sees_numbers: bool, last_begins: bool) -> Sought {
        let last = self.0.len().saturating_sub(1);
        let groups = self.0.iter().enumerate().map(|(place, asked)| {
            let begins = last_begins && place == last && self.may_begin();
            let mut terms = vec![Term::Word(asked.word.clone())];
            if begins || is_single(&asked.word) {
                terms.push(Term::Beginning(asked.word.clone()));
            }
            let ends = asked.digits.iter().filter(|_| sees_numbers).flat_map(|digits| ends_asked(digits));
            let ends: Vec<String> = ends.collect();
            terms.extend(ends.iter().map(|digits| Term::Word(end_word(digits))));
            let named = |known: &&Known| {
                words(known.name).any(|own| own == asked.word || begins && own.starts_with(&asked.word))
                    && known.name.chars().any(char::is_alphabetic)
                    || known.numbers.iter().any(|number| ends.iter().any(|end| number.ends_with(end.as_str())))
            };
            terms.extend(people.iter().filter(named).take(MOST_PEOPLE).map(|known| Term::Word(person_word(known.id))));
            terms
        });
        Sought(groups.collect())
    }
}

impl Sought {
    /// Alarms must also be kept under one of these words.
    pub fn and_any(&mut self, words: impl IntoIterator<Item = String>) {
        self.0.push(words.into_iter().map(Term::Word).collect());
    }
}

/// A character of a script without blanks: it begins a pair, unless it is the last of its run.
fn is_single(word: &str) -> bool {
    word.chars().count() == 1 && word.chars().all(is_unspaced)
}

/// The digits of a text that is nothing but a number, however it is written.
fn written_as_number(text: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '(' | ')' | '.' | '/');
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    (text.chars().all(is_part) && (LEAST_DIGITS..=MOST_DIGITS + 2).contains(&digits.len())).then_some(digits)
}

/// The ends of numbers that digits mean: themselves, and without the zeros that are dialled before a country or an area.
fn ends_asked(digits: &str) -> Vec<String> {
    let bare = digits.trim_start_matches('0');
    let mut ends = vec![digits.to_owned()];
    if bare.len() < digits.len() && bare.len() >= LEAST_DIGITS {
        ends.push(bare.to_owned());
    }
    ends.retain(|end| end.len() <= MOST_DIGITS);
    ends
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::MOST_WORDS;
    use super::super::words::{Told, words_of};
    use super::*;

    /// Whether an alarm is found.
    fn finds(sought: &Sought, kept: &[String]) -> bool {
        let has = |term: &Term| match term {
            Term::Word(word) => kept.contains(word),
            Term::Beginning(word) => kept.iter().any(|own| own.starts_with(word.as_str())),
        };
        sought.0.iter().all(|group| group.iter().any(has))
    }

    fn found(text: &str, told: &Told, sees_numbers: bool) -> bool {
        finds(&Asked::read(text).sought(&[], sees_numbers, false), &words_of(told))
    }

    #[test]
    fn each_word_must_be_there() {
        let told =
            Told { summary: "ディスクの空きがない: disk full on DB-01", details: "主机磁盘", ..Told::default() };
        for text in ["disk", "DISK full", "ディスク", "ﾃﾞｨｽｸ", "磁盘", "磁", "盘", "db-01", "主机 disk", "空き", "い"]
        {
            assert!(found(text, &told, false), "{text}");
        }
        for text in ["dis", "disk empty", "盘磁", "ディスコ", "db-02", "!!"] {
            assert_eq!(found(text, &told, false), text == "!!", "{text}");
        }
        assert!(Asked::read("!! ·").is_empty());
    }

    #[test]
    fn a_number_is_found_by_its_end_by_who_may_see_it() {
        let told = Told { numbers: vec!["+8618712345678"], ..Told::default() };
        for text in ["5678", "345678", "18712345678", "+86 187 1234 5678", "187-1234-5678", "0086 18712345678", "018712345678"] {
            assert!(found(text, &told, true), "{text}");
            assert!(!found(text, &told, false), "{text}");
        }
        for text in ["678", "1234", "5679", "187 1234"] {
            assert!(!found(text, &told, true), "{text}");
        }
        // What stands in a text is no secret.
        let told = Told { summary: "on 2026-11-20: code 5678", ..Told::default() };
        for text in ["2026-11-20", "5678", "code 5678"] {
            assert!(found(text, &told, false) && found(text, &told, true), "{text}");
        }
    }

    #[test]
    fn people_are_found_as_they_are_called_now() {
        let id = PersonId(uuid::Uuid::from_u128(3));
        let kept = words_of(&Told { people: vec![id], ..Told::default() });
        let numbers = ["+8618712345678".to_owned()];
        let ann = [Known { id, name: "Ann Lee", numbers: &numbers }];
        let finds = |text: &str, people: &[Known], sees: bool| finds(&Asked::read(text).sought(people, sees, false), &kept);
        assert!(finds("ann", &ann, false) && finds("lee ann", &ann, false));
        assert!(!finds("ann", &[], true), "removed");
        assert!(!finds("ann", &[Known { name: "Bo", ..ann[0] }], true), "renamed");
        assert!(finds("5678", &ann, true) && !finds("5678", &ann, false));
        // A name that is a number is found as one.
        let bare = [Known { name: "18712345678", ..ann[0] }];
        assert!(!finds("18712345678", &bare, false));
    }

    #[test]
    fn the_last_word_may_begin_one() {
        let asked = Asked::read("full pos");
        let kept = words_of(&Told { summary: "postgres full", ..Told::default() });
        assert!(!finds(&asked.sought(&[], false, false), &kept) && finds(&asked.sought(&[], false, true), &kept));
        assert!(!finds(&Asked::read("ful postgres").sought(&[], false, true), &kept), "the last one alone");
        assert!(!Asked::read("po").may_begin() && !Asked::read("").may_begin() && !Asked::read("磁盘").may_begin());
    }

    #[test]
    fn what_is_asked_for_is_bounded() {
        let asked = Asked::read(&"word ".repeat(10_000));
        assert_eq!(asked.0.len(), MOST_ASKED);
        let people: Vec<Known> =
            (0..1000).map(|n| Known { id: PersonId(uuid::Uuid::from_u128(n)), name: "Ann", numbers: &[] }).collect();
        assert_eq!(Asked::read("ann").sought(&people, true, false).0[0].len(), 1 + MOST_PEOPLE);
    }

    proptest! {
        #[test]
        fn an_alarm_is_found_by_any_part_of_its_text(text in "[a-zA-Z0-9À-ÿ磁盘满空きディスクㄱ-ㅣ가-힣 .,:_/-]{1,120}", skip in 0_usize..8, take in 1_usize..4) {
            let kept = words_of(&Told { summary: &text, ..Told::default() });
            prop_assert!(kept.len() < MOST_WORDS);
            let part: Vec<&str> = text.split_whitespace().skip(skip).take(take).collect();
            prop_assert!(finds(&Asked::read(&part.join(" ")).sought(&[], false, false), &kept), "{part:?} in {kept:?}");
        }

        #[test]
        fn a_viewer_never_asks_for_numbers(text in "\\PC{0,60}", number in "\\+[1-9][0-9]{6,14}") {
            let numbers = [number.clone()];
            let known = [Known { id: PersonId(uuid::Uuid::nil()), name: &number, numbers: &numbers }];
            for text in [text, number.clone(), number[number.len() - 4..].to_owned()] {
                for begins in [false, true] {
                    let sought = Asked::read(&text).sought(&known, false, begins);
                    for term in sought.0.iter().flatten() {
                        let (Term::Word(word) | Term::Beginning(word)) = term;
                        prop_assert!(!word.contains('_'), "{word}");
                    }
                }
            }
        }

        #[test]
        fn any_label_is_found_by_its_value(value in "[a-z0-9]{1,20}", name in "[a-z]{1,9}") {
            let labels = BTreeMap::from([(name, value.clone())]);
            let kept = words_of(&Told { labels: Some(&labels), ..Told::default() });
            prop_assert!(finds(&Asked::read(&value).sought(&[], false, false), &kept));
        }
    }
}
