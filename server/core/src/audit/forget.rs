//! Forgetting somebody in what is kept of before: wherever their name or one of their numbers stands in a text or in JSON, something else
//! does afterwards; pure.
//!
//! What is about them is read as a whole. What may be about anybody is read with more care: a name of one word may be a word of the language,
//! and what somebody logs in with may be one of ours, so these are only taken where they stand for a person.

use std::collections::HashSet;
use std::sync::OnceLock;

use serde_json::Value;

use crate::numbers::{masked, narrowed, phone_of};

/// Stands where the name of a person was who was erased.
pub const ERASED: &str = "(erased)";
/// Stands where one of their numbers was.
pub const ERASED_NUMBER: &str = "******";
/// What lies deeper is nothing of ours.
const DEEPEST: usize = 32;
/// A number of fewer digits is only known where it stands alone: within a text it may be anything.
const FEWEST_DIGITS: usize = 6;
/// Longer texts are no number alone.
const LONGEST_ALONE: usize = 40;
/// Whose values are words of ours, whoever is called the same.
const OUR_WORDS: [&str; 11] =
    ["kind", "role", "rights", "scheme", "via", "outcome", "state", "mode", "priority", "order", "operation"];
/// Whose values say who did something, by their own word or by what they log in with.
const BY_WHOM: [&str; 6] = ["by", "by_name", "created_by", "said_by", "marked_by", "made_by"];

/// Who is to be forgotten: all that tells who somebody is.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Known {
    /// What they are called here.
    pub names: Vec<String>,
    /// What they log in with: only known where it says who did something.
    #[serde(default)]
    pub logins: Vec<String>,
    /// Their numbers, in comparable form.
    pub numbers: Vec<String>,
    /// Their addresses of mail.
    #[serde(default)]
    pub emails: Vec<String>,
    /// Their numbers are only masked: who they are is not to be forgotten.
    #[serde(default)]
    pub masks: bool,
    /// The numbers, so that each is found at once however many there are.
    #[serde(skip)]
    index: OnceLock<Index>,
}

/// Numbers as they may be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Index {
    /// Their digits, also without those that are left out at home.
    forms: HashSet<String>,
    /// Their phones, in comparable form.
    phones: HashSet<String>,
}

impl Index {
    fn of(numbers: &[String]) -> Self {
        /// The longest code of a country, and a mark of mobile phones behind it.
        const BEFORE: usize = 4;
        let mut index = Self::default();
        for number in numbers {
            index.phones.insert(phone_of(number).into_owned());
            let own = number.trim_start_matches('+');
            let forms = (0..=BEFORE).filter_map(|cut| own.get(cut..)).filter(|form| form.len() >= FEWEST_DIGITS);
            index.forms.extend(forms.map(str::to_owned));
        }
        index
    }

    /// Whether a text is one of them as people or phones write it: without the country's code, or with zeros before it.
    fn has_form(&self, text: &str) -> bool {
        if self.forms.is_empty() || text.contains(|c: char| !of_a_number(c)) {
            return false;
        }
        let text = plain(text);
        // A zero that is only dialled at home, as in +44 (0)20.
        let digits: String = text.replace("(0)", "").chars().filter(char::is_ascii_digit).collect();
        self.forms.contains(digits.trim_start_matches('0'))
    }

    /// Whether a text is one of them and nothing else.
    fn is_one(&self, text: &str) -> bool {
        text.chars().count() <= LONGEST_ALONE && (self.phones.contains(&*phone_of(text)) || self.has_form(text))
    }
}

impl Known {
    /// Somebody by all that tells who they are.
    #[must_use]
    pub fn of(names: Vec<String>, logins: Vec<String>, numbers: Vec<String>, emails: Vec<String>) -> Self {
        Self { names, logins, numbers, emails, ..Self::default() }
    }

    /// Only numbers, which are masked wherever they stand.
    #[must_use]
    pub fn only_numbers(numbers: Vec<String>) -> Self {
        // What is masked already is no number any more.
        let numbers = numbers.into_iter().filter(|number| !number.contains('*')).collect();
        Self { numbers, masks: true, ..Self::default() }
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::of(&self.numbers))
    }

    /// What stands where this number was.
    #[must_use]
    pub fn instead_of(&self, number: &str) -> String {
        if self.masks && !number.contains('*') { masked(&plain(number)) } else { ERASED_NUMBER.to_owned() }
    }

    /// What stands where a text was that is nothing but them; `None` where it is something else.
    fn instead_of_all(&self, text: &str) -> Option<String> {
        if self.names.iter().any(|name| name == text) || self.emails.iter().any(|email| email.eq_ignore_ascii_case(text)) {
            return Some(ERASED.to_owned());
        }
        self.index().is_one(text).then(|| self.instead_of(text))
    }

    /// A text about them, without them. `None` when they do not stand in it.
    #[must_use]
    pub fn forgotten_in(&self, text: &str) -> Option<String> {
        self.instead_of_all(text).or_else(|| self.without(text, |_| true))
    }

    /// The same of a text that may be about anybody: a name of one word is only known where it stands alone.
    #[must_use]
    pub fn forgotten_in_any(&self, text: &str) -> Option<String> {
        self.instead_of_all(text).or_else(|| self.without(text, tells_who))
    }

    /// The same of a text that says who did something, by their name or by what they log in with.
    #[must_use]
    pub fn forgotten_by(&self, text: &str) -> Option<String> {
        if self.is_login(text) { Some(ERASED.to_owned()) } else { self.forgotten_in_any(text) }
    }

    /// Whether this is what they log in with.
    #[must_use]
    pub fn is_login(&self, text: &str) -> bool {
        self.logins.iter().any(|login| login == text)
    }

    /// A text without their numbers, addresses and those of their names.
    fn without(&self, text: &str, names: impl Fn(&str) -> bool) -> Option<String> {
        let mut left = self.without_numbers(text).unwrap_or_else(|| text.to_owned());
        for email in &self.emails {
            left = replaced(&left, email, ERASED);
        }
        // The longest first: a short one may be the beginning of it.
        let mut names: Vec<&String> = self.names.iter().filter(|name| !name.trim().is_empty() && names(name)).collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        for name in names {
            left = replaced(&left, name, ERASED);
        }
        (left != text).then_some(left)
    }

    /// A text without their numbers, however they are written. `None` when none stands in it.
    fn without_numbers(&self, text: &str) -> Option<String> {
        if self.index().forms.is_empty() {
            return None;
        }
        let mut left = String::with_capacity(text.len());
        let mut found = false;
        let mut rest = text;
        while !rest.is_empty() {
            let length = rest.find(|c: char| !of_a_number(c)).unwrap_or(rest.len());
            let (run, behind) = rest.split_at(length);
            let begins = run.find(begins_number).unwrap_or(run.len());
            let last = run.char_indices().rev().find(|(_, c)| is_digit(*c));
            let ends = last.map_or(begins, |(at, c)| at + c.len_utf8()).max(begins);
            let opens = !run.starts_with(is_digit) || !left.chars().next_back().is_some_and(goes_on);
            let closes = ends < run.len() || !behind.chars().next().is_some_and(goes_on);
            left.push_str(&run[..begins]);
            found |= self.without_those_in(&run[begins..ends], (opens, closes), &mut left);
            left.push_str(&run[ends..]);
            let other = behind.find(of_a_number).unwrap_or(behind.len());
            left.push_str(&behind[..other]);
            rest = &behind[other..];
        }
        found.then_some(left)
    }

    /// The same of what may be one number, or several beside each other. At an end that does not `open` or `close` it goes on with a word.
    fn without_those_in(&self, run: &str, (opens, closes): (bool, bool), left: &mut String) -> bool {
        if opens && closes && self.index().has_form(run) {
            left.push_str(&self.instead_of(run));
            return true;
        }
        let mut found = false;
        let pieces = run.matches(' ').count();
        for (place, piece) in run.split(' ').enumerate() {
            if place > 0 {
                left.push(' ');
            }
            let (opens, closes) = (opens || place > 0, closes || place < pieces);
            if opens && closes && self.index().has_form(piece) {
                left.push_str(&self.instead_of(piece));
                found = true;
                continue;
            }
            // Digits that other signs part: each by itself.
            let mut rest = piece;
            while !rest.is_empty() {
                let begins = rest.find(begins_number).unwrap_or(rest.len());
                left.push_str(&rest[..begins]);
                let is_first = begins == 0 && rest.len() == piece.len();
                let behind = &rest[begins..];
                let signs = behind.find(|c| !matches!(c, '+' | '\u{ff0b}')).unwrap_or(behind.len());
                let length = behind[signs..].find(|c| !is_digit(c)).map_or(behind.len(), |length| signs + length);
                let (number, other) = behind.split_at(length);
                let whole = (opens || !is_first) && (closes || !other.is_empty());
                if whole && self.index().has_form(number) {
                    left.push_str(&self.instead_of(number));
                    found = true;
                } else {
                    left.push_str(number);
                }
                rest = other;
            }
        }
        found
    }

    /// Forgets them in JSON about them, in values and not in keys. Whether they stood in it.
    pub fn forget_in(&self, value: &mut Value) -> bool {
        self.forget_below(value, "", 0, true)
    }

    /// The same in JSON that may be about anybody. Where it names them, it is about them.
    pub fn forget_in_any(&self, value: &mut Value) -> bool {
        let about = self.is_named_below(value, "", 0);
        self.forget_below(value, "", 0, about)
    }

    /// Whether JSON names them: by a value that is nothing else.
    #[must_use]
    pub fn is_named_in(&self, value: &Value) -> bool {
        self.is_named_below(value, "", 0)
    }

    fn is_named_below(&self, value: &Value, key: &str, depth: usize) -> bool {
        if depth > DEEPEST {
            return false;
        }
        match value {
            Value::String(text) => {
                !OUR_WORDS.contains(&key)
                    && (self.instead_of_all(text).is_some() || BY_WHOM.contains(&key) && self.is_login(text))
            }
            Value::Array(entries) => entries.iter().any(|entry| self.is_named_below(entry, key, depth + 1)),
            Value::Object(entries) => {
                self.is_their_login(value)
                    || !is_somebody_else(value) && entries.iter().any(|(key, entry)| self.is_named_below(entry, key, depth + 1))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    /// Whether JSON says that they did something, as a user of the pages.
    fn is_their_login(&self, value: &Value) -> bool {
        value["kind"] == "user" && value["name"].as_str().is_some_and(|name| self.is_login(name))
    }

    fn forget_below(&self, value: &mut Value, key: &str, depth: usize, about: bool) -> bool {
        if depth > DEEPEST {
            return false;
        }
        match value {
            Value::String(_) if OUR_WORDS.contains(&key) => false,
            Value::String(text) => {
                let left = match () {
                    () if BY_WHOM.contains(&key) && self.is_login(text) => Some(ERASED.to_owned()),
                    () if about => self.forgotten_in(text),
                    () => self.forgotten_in_any(text),
                };
                let found = left.is_some();
                if let Some(left) = left {
                    *text = left;
                }
                found
            }
            Value::Array(entries) => {
                let mut found = false;
                for entry in entries {
                    found |= self.forget_below(entry, key, depth + 1, about);
                }
                found
            }
            Value::Object(_) if is_somebody_else(value) => false,
            Value::Object(_) => {
                // What they log in with stands for them in what they did themselves, as whom they did it as well.
                let theirs = self.is_their_login(value);
                let did_it = value.get("done_by").is_some_and(|by| self.is_their_login(by));
                let mut found = false;
                for (key, entry) in value.as_object_mut().into_iter().flat_map(serde_json::Map::iter_mut) {
                    let login = (theirs || did_it) && key == "name" && entry.as_str().is_some_and(|name| self.is_login(name));
                    if login {
                        *entry = Value::String(ERASED.to_owned());
                        found = true;
                    } else {
                        found |= self.forget_below(entry, key, depth + 1, about);
                    }
                }
                found
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
}

/// Whether a name tells who somebody is wherever it stands: one of a single word in a script that puts blanks between words does not.
fn tells_who(name: &str) -> bool {
    let name = name.trim();
    name.contains(char::is_whitespace) || name.chars().filter(|c| c.is_alphabetic() && !goes_on(*c)).count() > 1
}

/// Whether JSON says that something else than a person did it, whatever that is called.
fn is_somebody_else(value: &Value) -> bool {
    value["kind"].as_str().is_some_and(|kind| matches!(kind, "key" | "handset")) && value["name"].is_string()
}

/// Whether a number may begin with this.
fn begins_number(c: char) -> bool {
    is_digit(c) || matches!(c, '+' | '\u{ff0b}')
}

/// Whether a character is a digit of any script.
fn is_digit(c: char) -> bool {
    // Letters of most texts are neither, and cost no more than this.
    c.is_ascii_digit()
        || !c.is_ascii() && c.is_numeric() && narrowed(c.encode_utf8(&mut [0; 4])).bytes().all(|byte| byte.is_ascii_digit())
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
            ..Known::default()
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
            ("18712345678/8618712345678, 18712345678-18812345678", Some("******/******, ******-18812345678")),
            ("call(18712345678)or+8618712345678", Some("call(******)or******")),
            ("2026-11-20 187-99", None),
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
    fn what_may_be_about_anybody_keeps_words_of_the_language_and_ours() {
        let mut mark = Known::of(vec!["Mark".to_owned()], vec!["admin".to_owned(), "ops".to_owned()], Vec::new(), Vec::new());
        for (text, about_them, about_any) in [
            ("Mark", Some("(erased)"), Some("(erased)")),
            ("Mark looked at it", Some("(erased) looked at it"), None),
            ("the admin page", None, None),
            ("admin", None, None),
        ] {
            assert_eq!(mark.forgotten_in(text).as_deref(), about_them, "{text}");
            assert_eq!(mark.forgotten_in_any(text).as_deref(), about_any, "{text}");
        }
        assert_eq!(li().forgotten_in_any("ask Li Na or 张伟 or Li").as_deref(), Some("ask (erased) or (erased) or Li"));
        assert_eq!(mark.forgotten_by("admin").as_deref(), Some("(erased)"));
        // Words of ours stay, whoever is called or logs in so.
        mark.names.push("operate".to_owned());
        for body in [
            json!({ "role": "admin", "rights": "operate", "teams": ["ops"], "name": "ops" }),
            json!({ "done_by": { "kind": "user", "name": "other" }, "by": "Ann", "rights": ["admin", "operate"] }),
            json!({ "done_by": { "kind": "key", "name": "ops" }, "text": "Mark it" }),
            json!({ "done_by": { "kind": "handset", "name": "Mark" } }),
        ] {
            let mut left = body.clone();
            assert!(!mark.forget_in_any(&mut left) && left == body, "{left}");
        }
        for (body, wanted) in [
            (json!({ "kind": "user", "name": "ops" }), json!({ "kind": "user", "name": "(erased)" })),
            (
                json!({ "by": "Mark", "text": "Mark: done", "done_by": { "kind": "key", "name": "ops" } }),
                json!({ "by": "(erased)", "text": "(erased): done", "done_by": { "kind": "key", "name": "ops" } }),
            ),
            (
                json!({ "name": "admin", "via": "page", "done_by": { "kind": "user", "name": "admin" } }),
                json!({ "name": "(erased)", "via": "page", "done_by": { "kind": "user", "name": "(erased)" } }),
            ),
            (json!({ "members": ["Mark", "Ann"] }), json!({ "members": ["(erased)", "Ann"] })),
        ] {
            let mut left = body;
            assert!(mark.forget_in_any(&mut left), "{left}");
            assert_eq!(left, wanted);
            assert!(!mark.forget_in_any(&mut left) && !mark.is_named_in(&left), "there is nothing more to forget");
        }
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
            before in "[a-z]{1,8} ",
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
        fn one_number_is_found_among_however_many(
            numbers in prop::collection::hash_set("[1-9][0-9]{9,11}", 1..40),
            at in any::<prop::sample::Index>(),
            signs in prop::sample::select(vec![" ", ", ", "/", "; ", "(", "\n"]),
        ) {
            let numbers: Vec<String> = numbers.into_iter().map(|number| format!("+{number}")).collect();
            let known = Known::only_numbers(numbers.clone());
            let one = Known::only_numbers(vec![at.get(&numbers).clone()]);
            let text = format!("x{signs}{}{signs}y", at.get(&numbers));
            // As if it were the only one that is known.
            prop_assert_eq!(known.forgotten_in(&text), one.forgotten_in(&text));
            prop_assert!(!known.forgotten_in(&text).unwrap().contains(at.get(&numbers)));
        }

        #[test]
        fn what_is_forgotten_in_anything_is_forgotten_in_what_is_about_them(text in "[A-Za-z0-9 ,+/.-]{0,40}") {
            let known = li();
            prop_assert!(known.forgotten_in_any(&text).is_none() || known.forgotten_in(&text).is_some());
        }

        #[test]
        fn a_text_without_them_stays_as_it_is(text in "[b-z ]{0,60}") {
            let known = Known { names: vec!["Anna Aal".to_owned()], numbers: vec!["+8618712345678".to_owned()], ..Known::default() };
            prop_assert_eq!(known.forgotten_in(&text), None);
        }
    }
}
