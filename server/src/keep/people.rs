//! One person at a time: added, changed, removed; checked like an import.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::people_import::LONGEST_NAME;
use crate::audit::{Line, Operation};
use crate::ids::PersonId;
use crate::keep::roster::preview::Plans;
use crate::keep::roster::{self, log, told};
use crate::numbers::{Number, Region, same_phone};
use crate::store::duty::people::PersonRow;
use crate::store::edits::Edited;
use crate::store::{Announcement, Db, StoreError, Work};
use crate::versions::{Expected, Stale, Version};
use serde_json::{Value, json};

const LONGEST_LANGUAGE: usize = 35;
const MOST_NUMBERS: usize = 20;
/// What a removal changes, beside the roster.
pub(in crate::keep) const REMOVAL: [Edited; 2] = [Edited::People, Edited::Figures];

/// Why a person was not stored; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum PersonError {
    /// The name is empty, too long, or garbled.
    #[error("a name has 1 to {LONGEST_NAME} characters, without line breaks")]
    BadName,
    /// There is somebody of that name.
    #[error("there is a {0} already")]
    NameTaken(String),
    /// No number was given, or too many.
    #[error("a person has 1 to {MOST_NUMBERS} numbers")]
    HowMany,
    /// One of the numbers cannot be dialled.
    #[error("{0:?} cannot be dialled")]
    BadNumber(String),
    /// One of the numbers belongs to somebody else.
    #[error("the number {number} belongs to {owner}")]
    NumberTaken {
        /// As it was given.
        number: String,
        /// Whose it is.
        owner: String,
    },
    /// The language is no language tag.
    #[error("{0:?} is not a language tag such as zh-CN, ja, en or es")]
    BadLanguage(String),
    /// Somebody else has changed them since.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// Somebody else has removed them.
    #[error("there is no such person: they may have been removed meanwhile")]
    Gone,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A person as a form has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonForm {
    /// The name shown as the one who answered.
    pub name: String,
    /// Numbers as they were typed: one per line, or separated by `;` or `,`.
    pub numbers: String,
    /// The language to address them in.
    pub language: String,
}

struct Checked {
    name: String,
    numbers: Vec<String>,
    language: String,
}

impl Checked {
    /// What a line of the audit log says of them.
    fn told(&self) -> Value {
        json!({ "name": self.name, "numbers": self.numbers, "language": said(&self.language) })
    }
}

impl PersonForm {
    fn checked(&self, region: Region) -> Result<Checked, PersonError> {
        let name = self.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
            return Err(PersonError::BadName);
        }
        let language = checked_language(&self.language)?;
        let mut numbers: Vec<String> = Vec::new();
        for given in self.numbers.split([';', ',', '\n', '\r']).map(str::trim).filter(|given| !given.is_empty()) {
            let parsed = Number::parse(given, region).map_err(|_| PersonError::BadNumber(given.chars().take(40).collect()))?;
            let number = parsed.number.as_str().to_owned();
            if !numbers.iter().any(|own| same_phone(own, &number)) {
                numbers.push(number);
            }
        }
        if numbers.is_empty() || numbers.len() > MOST_NUMBERS {
            return Err(PersonError::HowMany);
        }
        Ok(Checked { name, numbers, language })
    }
}

fn checked_language(language: &str) -> Result<String, PersonError> {
    let language = language.trim();
    let good = language.len() <= LONGEST_LANGUAGE && language.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if good { Ok(language.to_owned()) } else { Err(PersonError::BadLanguage(language.to_owned())) }
}

/// A language, where there is one.
fn said(language: &str) -> Option<&str> {
    Some(language).filter(|language| !language.is_empty())
}

/// The version of a person.
#[must_use]
pub fn version(person: &PersonRow, numbers: &[String]) -> Version {
    Version::of(&(person.id, &person.name, &person.language, numbers))
}

/// Adds a person.
///
/// # Errors
/// When the form is wrong, the name or a number is taken, or the database fails.
pub async fn add(work: &mut Work, form: &PersonForm, region: Region) -> Result<PersonId, PersonError> {
    let now = work.now();
    let person = form.checked(region)?;
    work.db().lock_edits(Edited::People).await?;
    if work.db().people().await?.iter().any(|(known, _)| known.name == person.name) {
        return Err(PersonError::NameTaken(person.name));
    }
    let id = work.db().upsert_person(PersonId::new(now), &person.name, &person.language, now).await?;
    give_numbers(work, id, &person).await?;
    work.note(Line::new(Operation::PersonAdded).of(id).named(person.name.as_str()).about(Some(id)).after(person.told()));
    work.announce(Announcement::People);
    Ok(id)
}

/// Changes a person.
///
/// # Errors
/// When the form is wrong, the name or a number is taken, there is no such person, or the database fails.
pub async fn change(
    work: &mut Work,
    id: PersonId,
    form: &PersonForm,
    region: Region,
    expected: &Expected,
) -> Result<(), PersonError> {
    let now = work.now();
    let person = form.checked(region)?;
    work.db().lock_edits(Edited::People).await?;
    let (old, numbers) = there_as_expected(&mut work.db(), id, expected).await?;
    match work.db().update_person(id, &person.name, &person.language, now).await {
        Ok(true) => {}
        Ok(false) => return Err(PersonError::Gone),
        Err(error) if error.is_unique_violation() => return Err(PersonError::NameTaken(person.name)),
        Err(error) => return Err(error.into()),
    }
    give_numbers(work, id, &person).await?;
    let before = Checked { name: old.name, numbers, language: old.language }.told();
    let line = Line::new(Operation::PersonChanged).of(id).named(person.name.as_str()).about(Some(id));
    work.note(line.before(before).after(person.told()));
    work.announce(Announcement::People);
    Ok(())
}

/// Addresses somebody in another language from now on.
///
/// # Errors
/// When it is no language, there is no such person, they have changed meanwhile, or the database fails.
pub async fn set_language(work: &mut Work, id: PersonId, language: &str, expected: &Expected) -> Result<(), PersonError> {
    let (now, language) = (work.now(), checked_language(language)?);
    work.db().lock_edits(Edited::People).await?;
    let (old, _) = there_as_expected(&mut work.db(), id, expected).await?;
    if !work.db().update_person(id, &old.name, &language, now).await? {
        return Err(PersonError::Gone);
    }
    let line = Line::new(Operation::PersonChanged).of(id).named(old.name.as_str()).about(Some(id));
    work.note(line.before(json!({ "language": said(&old.language) })).after(json!({ "language": said(&language) })));
    work.announce(Announcement::People);
    Ok(())
}

/// Removes a person with their numbers and what was recorded of them; what they answered keeps their name. Whom that puts on duty is
/// written down and told, as after any other change of the plan.
///
/// # Errors
/// When there is no such person, they have changed meanwhile, or the database fails.
pub async fn remove(work: &mut Work, id: PersonId, expected: &Expected) -> Result<(), PersonError> {
    let now = work.now();
    let before = roster::locked(work, &REMOVAL).await?;
    remove_in(work, id, expected).await?;
    let after = log::keep(&mut work.db(), now).await?.roster;
    told::of_change(work, &before, &after).await?;
    work.announce(Announcement::Roster);
    Ok(())
}

/// The last part of an erasure: whoever is erased is taken out of the list, and out of the plan, without a word of who that was.
pub(in crate::keep) async fn erase_row(work: &mut Work, id: PersonId) -> Result<(), PersonError> {
    let now = work.now();
    let before = roster::locked(work, &REMOVAL).await?;
    if !work.db().delete_person(id).await? {
        return Err(PersonError::Gone);
    }
    work.announce(Announcement::People);
    let after = log::keep(&mut work.db(), now).await?.roster;
    told::of_change(work, &before, &after).await?;
    work.announce(Announcement::Roster);
    Ok(())
}

/// What a removal would do to the plan. Nothing is locked for it and nothing made: whoever only looks keeps nobody waiting.
///
/// # Errors
/// When there is no such person, they have changed meanwhile, or the database fails.
pub async fn removal(db: &mut Db<'_>, id: PersonId, expected: &Expected, now: DateTime<Utc>) -> Result<Plans, PersonError> {
    there_as_expected(db, id, expected).await?;
    let before = db.roster().await?;
    let after = before.after_removal(id);
    Ok(Plans { before: Arc::new(before), after: Arc::new(after), now })
}

/// Somebody, who must be as whoever acts has seen them.
pub(in crate::keep) async fn there_as_expected(
    db: &mut Db<'_>,
    id: PersonId,
    expected: &Expected,
) -> Result<(PersonRow, Vec<String>), PersonError> {
    let old = db.person(id).await?.ok_or(PersonError::Gone)?;
    let numbers = db.numbers_of(id).await?;
    expected.check(Some(&version(&old, &numbers)))?;
    Ok((old, numbers))
}

/// The same as a part of a change that sees to the roster, and has locked what a removal changes before it.
pub(in crate::keep) async fn remove_in(work: &mut Work, id: PersonId, expected: &Expected) -> Result<(), PersonError> {
    let now = work.now();
    let (old, numbers) = there_as_expected(&mut work.db(), id, expected).await?;
    // What they said goes with them; what is said of an answer keeps their name.
    work.db().let_recordings_of_person_go(id, now).await?;
    if !work.db().delete_person(id).await? {
        return Err(PersonError::Gone);
    }
    let line = Line::new(Operation::PersonRemoved).of(id).named(old.name.as_str()).about(Some(id));
    work.note(line.before(Checked { name: old.name, numbers, language: old.language }.told()));
    work.announce(Announcement::People);
    Ok(())
}

async fn give_numbers(work: &mut Work, id: PersonId, person: &Checked) -> Result<(), PersonError> {
    for number in &person.numbers {
        if let Some(owner) = work.db().person_with_number(number).await?.filter(|owner| owner.id != id) {
            return Err(PersonError::NumberTaken { number: number.clone(), owner: owner.name });
        }
    }
    Ok(work.db().set_numbers(id, &person.numbers).await?)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    fn form(name: &str, numbers: &str, language: &str) -> Result<Checked, PersonError> {
        PersonForm { name: name.to_owned(), numbers: numbers.to_owned(), language: language.to_owned() }.checked(Region::CN)
    }

    #[test]
    fn numbers_are_read_in_any_spelling_and_once() {
        let checked = form(" 张伟 ", "187-1234-5678\r\n+86 187 1234 5678; 010-62345678", "zh-CN").unwrap();
        assert_eq!(
            (checked.name.as_str(), checked.numbers.as_slice()),
            ("张伟", &["+8618712345678".to_owned(), "+861062345678".to_owned()][..])
        );
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert!(matches!(form("", "18712345678", ""), Err(PersonError::BadName)));
        assert!(matches!(form("A", " \n", ""), Err(PersonError::HowMany)));
        assert!(matches!(form("A", "110", ""), Err(PersonError::BadNumber(_))));
        assert!(matches!(form("A", "18712345678", "zh CN"), Err(PersonError::BadLanguage(_))));
    }
}
