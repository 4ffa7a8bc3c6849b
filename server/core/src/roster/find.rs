//! Who is meant by what stands in a file: a name in any case, a number, an e-mail address, or a title that holds one of these.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Roster;
use crate::ids::PersonId;
use crate::numbers::{Number, Region, phone_of};

/// What a title is made of, besides a name.
const BETWEEN: [&str; 4] = [" - ", " – ", " — ", "："];
const MARKS: [char; 16] = [':', '|', '/', ';', ',', '(', ')', '[', ']', '<', '>', '→', '（', '）', '【', '】'];
/// Words around a name that say what it is there for.
const ABOUT: [&str; 10] =
    ["is on call", "is on-call", "is oncall", "is on duty", "on call", "on-call", "oncall", "on duty", "值班", "当番"];

/// Everybody, to be looked up again and again.
pub struct Finder<'r> {
    roster: &'r Roster,
    region: Region,
    /// `None`: several people are called so.
    names: HashMap<String, Option<PersonId>>,
    exact: HashMap<&'r str, PersonId>,
    phones: HashMap<Cow<'r, str>, PersonId>,
    emails: HashMap<String, PersonId>,
}

/// Whom a title names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// One person, and nothing else stands there.
    Exactly(PersonId),
    /// One person, among other words.
    Among(PersonId),
    /// Several people.
    Several,
    /// Nobody who is known.
    Nobody,
}

impl<'r> Finder<'r> {
    /// Everybody of a roster; numbers are read as in `region`.
    #[must_use]
    pub fn new(roster: &'r Roster, region: Region) -> Self {
        let mut own =
            Self { roster, region, names: HashMap::new(), exact: HashMap::new(), phones: HashMap::new(), emails: HashMap::new() };
        for (id, person) in &roster.people {
            own.exact.insert(&person.name, *id);
            own.names.entry(folded(&person.name)).and_modify(|known| *known = None).or_insert(Some(*id));
            own.phones.extend(person.numbers.iter().map(|number| (phone_of(number), *id)));
            own.emails.extend(person.emails.iter().map(|email| (email.to_lowercase(), *id)));
        }
        own
    }

    /// Who is meant by a whole text: by id, name, e-mail address or number. A name in other letters counts when only one person has it.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<PersonId> {
        let text = text.trim();
        if let Some(own) = self.exact.get(text) {
            return Some(*own);
        }
        let known = |name: &str| self.names.get(&folded(name)).copied().flatten();
        let turned = || text.split_once(',').and_then(|(last, first)| known(&format!("{first} {last}")));
        let id = || text.parse().ok().filter(|id| self.roster.people.contains_key(id));
        known(text).or_else(|| self.by_email(text)).or_else(turned).or_else(id).or_else(|| self.by_number(text))
    }

    /// Who has an e-mail address, with or without `mailto:`.
    #[must_use]
    pub fn by_email(&self, text: &str) -> Option<PersonId> {
        let text = text.trim().to_lowercase();
        self.emails.get(text.strip_prefix("mailto:").unwrap_or(&text).trim()).copied()
    }

    fn by_number(&self, text: &str) -> Option<PersonId> {
        let number = Number::parse(text, self.region).ok()?.number;
        self.phones.get(&*phone_of(number.as_str())).copied()
    }

    /// Whom the title of an event names: `Jane Doe`, `On Call - Jane Doe - Primary`, `[L1] jane@example.com`.
    #[must_use]
    pub fn in_title(&self, title: &str) -> Named {
        if let Some(person) = self.find(title) {
            return Named::Exactly(person);
        }
        let marked = BETWEEN.iter().fold(title.to_owned(), |text, mark| text.replace(mark, "|"));
        let mut found: Vec<PersonId> = marked.split(MARKS).filter_map(|piece| self.find(without_words(piece))).collect();
        found.sort_unstable();
        found.dedup();
        match found[..] {
            [] => Named::Nobody,
            [one] => Named::Among(one),
            _ => Named::Several,
        }
    }
}

/// A name as it is compared: in small letters, with single blanks.
fn folded(name: &str) -> String {
    name.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

/// A piece of a title without the words that say what the name is there for.
fn without_words(piece: &str) -> &str {
    let mut rest = piece.trim();
    for word in ABOUT {
        let at_end = rest.len().checked_sub(word.len()).filter(|at| *at > 0 && rest.is_char_boundary(*at));
        if let Some(at) = at_end.filter(|at| rest[*at..].eq_ignore_ascii_case(word)) {
            rest = rest[..at].trim_end();
        }
        if rest.len() > word.len() && rest.is_char_boundary(word.len()) && rest[..word.len()].eq_ignore_ascii_case(word) {
            rest = rest[word.len()..].trim_start();
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::super::Person;
    use super::*;

    fn person(number: u128) -> PersonId {
        PersonId(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn people_are_found_by_whatever_a_title_has_of_them() {
        let mut roster = Roster::default();
        for (number, name, email) in
            [(1, "Jane Doe", "Jane@Example.com"), (2, "张伟", ""), (3, "ANN", ""), (4, "Ann", ""), (5, "Li Na", "")]
        {
            let emails = Some(email.to_owned()).filter(|email| !email.is_empty()).into_iter().collect();
            let numbers = if number == 2 { vec!["+8618712345678".to_owned()] } else { Vec::new() };
            roster.people.insert(person(number), Person { name: name.to_owned(), numbers, emails });
        }
        let finder = Finder::new(&roster, Region::CN);
        for (title, named) in [
            ("Jane Doe", Named::Exactly(person(1))),
            (" jane  DOE ", Named::Exactly(person(1))),
            ("Doe, Jane", Named::Exactly(person(1))),
            ("mailto:jane@example.com", Named::Exactly(person(1))),
            ("On Call - Jane Doe - Primary", Named::Among(person(1))),
            ("Jane Doe is on call", Named::Among(person(1))),
            ("ops: Jane Doe is on call", Named::Among(person(1))),
            ("[L1] jane@example.com", Named::Among(person(1))),
            ("值班：张伟", Named::Among(person(2))),
            ("187 1234 5678", Named::Exactly(person(2))),
            ("ANN", Named::Exactly(person(3))),
            ("ann", Named::Nobody),
            ("Jane Doe / 张伟", Named::Several),
            ("Lunch with Jane Doe", Named::Nobody),
            ("", Named::Nobody),
        ] {
            assert_eq!(finder.in_title(title), named, "{title}");
        }
        assert_eq!(finder.find("nobody").map(|_| ()), None);
        assert!(finder.find(&person(5).to_string()).unwrap() == person(5));
    }

    proptest::proptest! {
        #[test]
        fn no_title_panics(title in ".{0,40}") {
            let roster = Roster::default();
            proptest::prop_assert_eq!(Finder::new(&roster, Region::CN).in_title(&title), Named::Nobody);
        }
    }
}
