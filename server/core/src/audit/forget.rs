//! Forgetting somebody in what is kept of before: wherever their name or one of their numbers stands in a text or in JSON, something else
//! does afterwards; pure.

use serde_json::Value;

use crate::numbers::{masked, narrowed, same_phone};

/// Stands where the name of a person was who was erased.
pub const ERASED: &str = "(erased)";
/// Stands where one of their numbers was.
pub const ERASED_NUMBER: &str = "******";
/// What lies deeper is nothing of ours.
const DEEPEST: usize = 32;
/// A number of fewer digits is only known where it stands alone: within a text it may be anything.
const FEWEST_DIGITS: usize = 6;

/// Who is to be forgotten: all that tells who somebody is.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Known {
    /// What they are called here, and log in with.
    pub names: Vec<String>,
    /// Their numbers, in comparable form.
    pub numbers: Vec<String>,
    /// Their addresses of mail.
    #[serde(default)]
    pub emails: Vec<String>,
    /// Their numbers are only masked: who they are is not to be forgotten.
    #[serde(default)]
    pub masks: bool,
}

impl Known {
    /// Only numbers, which are masked wherever they stand.
    #[must_use]
    pub fn only_numbers(numbers: Vec<String>) -> Self {
        // What is masked already is no number any more.
        let numbers = numbers.into_iter().filter(|number| !number.contains('*')).collect();
        Self { numbers, masks: true, ..Self::default() }
    }

    /// What stands where this number was.
    #[must_use]
    pub fn instead_of(&self, number: &str) -> String {
        if self.masks && !number.contains('*') { masked(&plain(number)) } else { ERASED_NUMBER.to_owned() }
    }

    /// A text without them. `None` when they do not stand in it.
    #[must_use]
    pub fn forgotten_in(&self, text: &str) -> Option<String> {
        let same = |one: &String| one == text;
        if self.names.iter().any(same) {
            return Some(ERASED.to_owned());
        }
        if self.emails.iter().any(|email| email.eq_ignore_ascii_case(text)) {
            return Some(ERASED.to_owned());
        }
        if text.chars().count() <= 40 && self.numbers.iter().any(|number| same_phone(number, text) || is_form_of(number, text)) {
            return Some(self.instead_of(text));
        }
        let mut left = text.to_owned();
        for number in &self.numbers {
            let digits = number.trim_start_matches('+');
            if digits.len() >= FEWEST_DIGITS {
                left = replaced(&left, number, &self.instead_of(number));
                left = replaced(&left, digits, &self.instead_of(digits));
            }
        }
        if let Some(others) = self.without_other_forms(&left) {
            left = others;
        }
        for email in &self.emails {
            left = replaced(&left, email, ERASED);
        }
        // The longest first: a short one may be the beginning of it.
        let mut names: Vec<&String> = self.names.iter().filter(|name| !name.trim().is_empty()).collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        for name in names {
            left = replaced(&left, name, ERASED);
        }
        (left != text).then_some(left)
    }

    /// A text without their numbers as they are dialled in their own country, or parted into groups. `None` when none stands in it.
    fn without_other_forms(&self, text: &str) -> Option<String> {
        let is_one = |written: &str| self.numbers.iter().any(|number| is_form_of(number, written));
        let mut left = String::with_capacity(text.len());
        let mut found = false;
        let mut rest = text;
        while !rest.is_empty() {
            let length = rest.find(|c: char| !of_a_number(c)).unwrap_or(rest.len());
            let (run, behind) = rest.split_at(length);
            let begins = run.find(|c: char| is_digit(c) || matches!(c, '+' | '\u{ff0b}')).unwrap_or(run.len());
            let last = run.char_indices().rev().find(|(_, c)| is_digit(*c));
            let ends = last.map_or(begins, |(at, c)| at + c.len_utf8()).max(begins);
            let within = (begins == 0 && left.chars().next_back().is_some_and(goes_on))
                || (ends == run.len() && behind.chars().next().is_some_and(goes_on));
            left.push_str(&run[..begins]);
            let number = &run[begins..ends];
            if !within && is_one(number) {
                left.push_str(&self.instead_of(number));
                found = true;
            } else {
                // Several may stand beside each other; those at its ends may be parts of words.
                let last = number.matches(' ').count();
                for (place, piece) in number.split(' ').enumerate() {
                    let whole = !within || (place > 0 && place < last);
                    let of_theirs = whole && is_one(piece);
                    found |= of_theirs;
                    if place > 0 {
                        left.push(' ');
                    }
                    if of_theirs { left.push_str(&self.instead_of(piece)) } else { left.push_str(piece) }
                }
            }
            left.push_str(&run[ends..]);
            let other = behind.find(of_a_number).unwrap_or(behind.len());
            left.push_str(&behind[..other]);
            rest = &behind[other..];
        }
        found.then_some(left)
    }

    /// Forgets them in JSON, in values and not in keys. Whether they stood in it.
    pub fn forget_in(&self, value: &mut Value) -> bool {
        self.forget_below(value, 0)
    }

    fn forget_below(&self, value: &mut Value, depth: usize) -> bool {
        if depth > DEEPEST {
            return false;
        }
        match value {
            Value::String(text) => match self.forgotten_in(text) {
                Some(left) => {
                    *text = left;
                    true
                }
                None => false,
            },
            Value::Array(entries) => {
                let mut found = false;
                for entry in entries {
                    found |= self.forget_below(entry, depth + 1);
                }
                found
            }
            Value::Object(entries) => {
                let mut found = false;
                for (_, entry) in entries.iter_mut() {
                    found |= self.forget_below(entry, depth + 1);
                }
                found
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
}

/// Whether a character is a digit of any script.
fn is_digit(c: char) -> bool {
    // Letters of most texts are neither, and cost no more than this.
    c.is_ascii_digit() || !c.is_ascii() && c.is_numeric() && narrowed(c.encode_utf8(&mut [0; 4])).bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a character may stand in a number as people write it: also in the wide form of East Asian texts, and among the marks that address
/// books put around numbers and nobody sees.
fn of_a_number(c: char) -> bool {
    is_digit(c)
        || matches!(
            c,
            '+' | '-' | '(' | ')' | '.' | '/' | ' ' | '\u{a0}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2010}'..='\u{2015}'
                | '\u{2066}'..='\u{2069}' | '\u{2212}' | '\u{3000}' | '\u{feff}' | '\u{ff08}' | '\u{ff09}' | '\u{ff0b}' | '\u{ff0d}'
                | '\u{ff0e}' | '\u{ff0f}'
        )
}

/// A number as it was written, in our digits and signs.
fn plain(written: &str) -> String {
    let sign = |c: char| match c {
        '\u{ff08}' => '(',
        '\u{ff09}' => ')',
        '\u{ff0b}' => '+',
        other => other,
    };
    narrowed(written).chars().map(sign).collect()
}

/// Whether a text is this number, in comparable form, as people or phones write it: without the country's code, or with zeros before it.
fn is_form_of(number: &str, text: &str) -> bool {
    /// The longest code of a country, and a mark of mobile phones behind it.
    const BEFORE: usize = 4;
    if text.contains(|c: char| !of_a_number(c)) {
        return false;
    }
    let text = plain(text);
    // A zero that is only dialled at home, as in +44 (0)20.
    let digits: String = text.replace("(0)", "").chars().filter(char::is_ascii_digit).collect();
    let (written, own) = (digits.trim_start_matches('0'), number.trim_start_matches('+'));
    written.len() >= FEWEST_DIGITS && own.len().saturating_sub(written.len()) <= BEFORE && own.ends_with(written)
}

/// Whether a character goes on with a word in scripts that put blanks between words.
fn goes_on(c: char) -> bool {
    // Han, kana and hangul stand without blanks: there a name is found within a text.
    let without_blanks =
        matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{20000}'..='\u{3ffff}');
    c.is_alphanumeric() && !without_blanks
}

/// A text in which something stands for each place where `what` stands as a word of its own.
fn replaced(text: &str, what: &str, by: &str) -> String {
    if what.is_empty() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut last: Option<char> = None;
    while let Some(at) = rest.find(what) {
        let (before, behind) = (&rest[..at], &rest[at + what.len()..]);
        let is_before = before.chars().next_back().or(last);
        let begins = what.chars().next().is_some_and(|first| !goes_on(first) || !is_before.is_some_and(goes_on));
        let ends = what.chars().next_back().is_some_and(|end| !goes_on(end) || !behind.chars().next().is_some_and(goes_on));
        out.push_str(before);
        if begins && ends {
            out.push_str(by);
            last = what.chars().next_back();
            rest = behind;
        } else {
            // On by one character: it may begin again within.
            let step = what.chars().next().map_or(1, char::len_utf8);
            out.push_str(&rest[at..at + step]);
            last = rest[at..].chars().next();
            rest = &rest[at + step..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn li() -> Known {
        Known {
            names: vec!["Li".to_owned(), "Li Na".to_owned(), "张伟".to_owned()],
            numbers: vec!["+8618712345678".to_owned(), "110".to_owned()],
            emails: vec!["li@example.com".to_owned()],
            masks: false,
        }
    }

    #[test]
    fn a_name_is_found_as_a_word_of_its_own() {
        for (text, left) in [
            ("Li", Some("(erased)")),
            ("Limit reached", None),
            ("told Li Na, not Linda", Some("told (erased), not Linda")),
            ("ask Li: now", Some("ask (erased): now")),
            ("由张伟接听", Some("由(erased)接听")),
            ("call +8618712345678 or 8618712345678", Some("call ****** or ******")),
            ("+8618712345678", Some("******")),
            ("order 98618712345678", None),
            ("18712345678", Some("******")),
            ("0086 187-1234-5678", Some("******")),
            ("ring 187 1234 5678 or 12 18712345678.", Some("ring ****** or 12 ******.")),
            ("+86 (0)187 1234 5678", Some("******")),
            ("电话１８７１２３４５６７８。", Some("电话******。")),
            ("＋８６（０）１８７－１２３４－５６７８", Some("******")),
            ("رقم ٠٠٨٦١٨٧١٢٣٤٥٦٧٨ الآن", Some("رقم ****** الآن")),
            ("फ़ोन १८७ १२३४ ५६७८", Some("फ़ोन ******")),
            ("ring \u{202a}+86 187 1234 5678\u{202c} now", Some("ring \u{202a}******\u{202c} now")),
            ("第１８７１２３４号", None),
            ("disk18712345678", None),
            ("2345678 of 187123456789", None),
            ("110", Some("******")),
            ("110 disks", None),
            ("LI@example.com", Some("(erased)")),
            ("(erased)", None),
            ("", None),
        ] {
            assert_eq!(li().forgotten_in(text).as_deref(), left, "{text}");
        }
    }

    #[test]
    fn in_json_values_are_looked_at_and_the_rest_stays() {
        let mut body = json!({ "name": "Li Na", "Li": 1, "callees": [{ "name": "Ann", "number": "+8618712345678" }], "n": 187 });
        assert!(li().forget_in(&mut body));
        assert_eq!(body, json!({ "name": "(erased)", "Li": 1, "callees": [{ "name": "Ann", "number": "******" }], "n": 187 }));
        assert!(!li().forget_in(&mut body), "there is nothing more to forget");
    }

    #[test]
    fn numbers_can_be_masked_and_names_stay() {
        let known = Known::only_numbers(vec!["+8618712345678".to_owned(), "+86187******78".to_owned()]);
        assert_eq!(known.numbers.len(), 1, "what is masked is no number any more");
        let mut body = json!({ "name": "Li Na", "number": "+8618712345678", "phones": ["8618712345678"] });
        assert!(known.forget_in(&mut body));
        assert_eq!(body["name"], "Li Na");
        assert!(body["number"].as_str().unwrap().contains('*') && body["phones"][0].as_str().unwrap().contains('*'));
        assert!(!known.forget_in(&mut body));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn whoever_is_forgotten_is_found_no_more(
            before in "[a-zA-Z ,.:;张王]{0,30}",
            name in "[A-Z][a-z]{2,8}( [A-Z][a-z]{2,8})?",
            number in "\\+[1-9][0-9]{9,12}",
            behind in "[ ,.:;!?][a-zA-Z ,.:;张王]{0,30}",
        ) {
            let known = Known { names: vec![name.clone()], numbers: vec![number.clone()], ..Known::default() };
            let text = format!("{before} {name}, {number}{behind}");
            let left = known.forgotten_in(&text).unwrap();
            prop_assert!(left.contains(ERASED) && left.contains(ERASED_NUMBER));
            let as_it_stood = format!(" {name},");
            prop_assert!(!left.contains(&as_it_stood) && !left.contains(&number));
            // And it is over then.
            prop_assert_eq!(known.forgotten_in(&left), None);
        }

        #[test]
        fn a_number_is_found_in_the_digits_of_any_script(
            number in "[1-9][0-9]{9,11}",
            zero in prop::sample::select(vec!['0', '\u{660}', '\u{6f0}', '\u{966}', '\u{e50}', '\u{ff10}']),
            before in "[a-z]{0,8} ",
            behind in "( [a-z]{1,8})?",
        ) {
            let known = Known { numbers: vec![format!("+{number}")], ..Known::default() };
            let digit = |c: char| char::from_u32(u32::from(zero) + c.to_digit(10).unwrap()).unwrap();
            let written: String = number.chars().map(digit).collect();
            let left = known.forgotten_in(&format!("{before}{written}{behind}")).unwrap();
            prop_assert_eq!(&left, &format!("{before}{ERASED_NUMBER}{behind}"));
            prop_assert_eq!(known.forgotten_in(&left), None);
        }

        #[test]
        fn a_text_without_them_stays_as_it_is(text in "[b-z ]{0,60}") {
            let known = Known { names: vec!["Anna Aal".to_owned()], numbers: vec!["+8618712345678".to_owned()], ..Known::default() };
            prop_assert_eq!(known.forgotten_in(&text), None);
        }
    }
}
