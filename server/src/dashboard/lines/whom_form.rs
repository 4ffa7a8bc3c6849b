//! Whom a public number shall lead to: a person from the list, or a number, or a person at another number; pure.

use super::number_form::command_words;
use crate::dashboard::frame::answer::Refusal;
use crate::dashboard::frame::csrf::Fields;
use crate::dashboard::frame::field::{Choice, Field, Input, Wrong};
use crate::dashboard::frame::words::Words;
use crate::ids::PersonId;
use crate::keep::refused::Refused;
use crate::store::duty::people::PersonRow;

/// Somebody with the number that they prefer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dashboard) struct Reachable {
    id: PersonId,
    name: String,
    number: String,
}

impl Reachable {
    /// Everybody who has a number.
    pub(in crate::dashboard) fn all(people: Vec<(PersonRow, Vec<String>)>) -> Vec<Self> {
        let reachable = |(person, numbers): (PersonRow, Vec<String>)| {
            Some(Self { id: person.id, name: person.name, number: numbers.into_iter().next()? })
        };
        people.into_iter().filter_map(reachable).collect()
    }
}

/// What was chosen and typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::dashboard) struct WhomForm {
    person: String,
    number: String,
}

/// A number, and whose it is where that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dashboard) struct Whom {
    pub(in crate::dashboard) name: Option<String>,
    pub(in crate::dashboard) number: String,
}

impl WhomForm {
    /// As somebody has filled it in.
    pub(in crate::dashboard) fn read(fields: &Fields) -> Self {
        let text = |name| fields.get(name).trim().to_owned();
        Self { person: text("person"), number: text("number") }
    }

    /// What it says.
    ///
    /// # Errors
    /// The sentence, when it names nobody.
    pub(in crate::dashboard) fn filled<'w>(&self, words: &'w Words, people: &[Reachable]) -> Result<Whom, &'w str> {
        let person = people.iter().find(|person| person.id.to_string() == self.person);
        match (person, self.number.is_empty()) {
            (None, _) if !self.person.is_empty() => Err(&words.rule_gone),
            (None, true) => Err(&words.whom_nobody),
            (person, false) => Ok(Whom { name: person.map(|person| person.name.clone()), number: self.number.clone() }),
            (Some(person), true) => Ok(Whom { name: Some(person.name.clone()), number: person.number.clone() }),
        }
    }
}

/// What names nobody, at the field that is to blame.
pub(in crate::dashboard) fn unfilled(words: &Words, sentence: &str) -> Wrong {
    Wrong::new(if sentence == words.rule_gone { "person" } else { "number" }, sentence)
}

/// Why the engine refuses it, in the reader's language.
///
/// # Errors
/// When nothing in the form is to blame.
pub(in crate::dashboard) fn wrong(words: &Words, refused: Refused) -> Result<Wrong, Refusal> {
    match refused.first() {
        Refused::Command(error) => Ok(Wrong::new("", command_words(words, &error))),
        Refused::Wrong { field: "number", .. } => Ok(Wrong::new("number", &words.bad_number)),
        Refused::Wrong { field: "person", .. } => Ok(Wrong::new("person", &words.person_bad_name)),
        refused => Err(refused.into()),
    }
}

/// The fields as a form shows them.
pub(in crate::dashboard) fn fields(words: &'static Words, people: &[Reachable]) -> Vec<Field> {
    let nobody = Choice::new("", &words.whom_choose);
    let choices = people.iter().map(|person| Choice::new(person.id.to_string(), person.name.as_str()));
    let person = Field::plain("person", &words.roster_person, Input::Choice([nobody].into_iter().chain(choices).collect()));
    let label = if people.is_empty() { &words.number } else { &words.whom_number };
    let number = Field::plain("number", label, Input::Phone);
    Some(person).filter(|_| !people.is_empty()).into_iter().chain([number]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::frame::words::Language;

    #[test]
    fn a_person_or_a_number_or_both() {
        let words = Language::English.words();
        let id = PersonId::new(chrono::DateTime::UNIX_EPOCH);
        let people = [Reachable { id, name: "李娜".to_owned(), number: "+8618712345678".to_owned() }];
        let whom = |person: &str, number: &str| {
            let form = WhomForm { person: person.to_owned(), number: number.to_owned() };
            form.filled(words, &people).map(|whom| (whom.name, whom.number))
        };
        let (known, li) = (id.to_string(), Some("李娜".to_owned()));
        assert_eq!(whom(&known, ""), Ok((li.clone(), "+8618712345678".to_owned())));
        assert_eq!(whom(&known, "18812345678"), Ok((li, "18812345678".to_owned())), "this person, there");
        assert_eq!(whom("", "18812345678"), Ok((None, "18812345678".to_owned())));
        assert_eq!(whom("", ""), Err(words.whom_nobody.as_str()));
        assert_eq!(whom("gone", "18812345678"), Err(words.rule_gone.as_str()));
    }
}
