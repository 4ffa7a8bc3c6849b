//! Importing people from a file: a table, an address book or JSON, checked as a whole before anything is stored.

use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::Deserialize;

use crate::audit::{Line, Operation};
use crate::ids::PersonId;
use crate::numbers::{Number, Region, phone_of, same_phone};
use crate::sheet::contacts::{self, Contact, Contacts};
use crate::sheet::content_line::unfolded;
use crate::sheet::{cells, encoding, told};
use crate::store::edits::Edited;
use crate::store::{Announcement, StoreError, Work};

/// The longest name of a person, in characters.
pub const LONGEST_NAME: usize = 200;
const LONGEST_LANGUAGE: usize = 35;
const LONGEST_EMAIL: usize = 254;

/// A person as a file has them, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedPerson {
    /// The name shown as the one who answered.
    pub name: String,
    /// Numbers in their comparable form, the first one preferred.
    pub numbers: Vec<String>,
    /// The language to address them in; `None` when the file says nothing of it.
    pub language: Option<String>,
    /// Their e-mail addresses in small letters; `None` when the file says nothing of them.
    pub emails: Option<Vec<String>>,
    /// Numbers that the numbering plan does not know, as given.
    pub doubtful: Vec<String>,
}

/// What a file of people says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeopleFile {
    /// In the order of the file.
    pub people: Vec<ImportedPerson>,
    /// Contacts that were passed over.
    pub skipped: Vec<String>,
    /// How it was understood, where it could be understood otherwise.
    pub notes: Vec<String>,
}

/// Why an import was refused; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("{file} cannot be read: {source}")]
    Unreadable {
        /// Which file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is none of these by its name.
    #[error("{0}: the name must end in .csv, .txt, .tsv, .vcf or .json")]
    UnknownForm(String),
    /// Something in it is wrong; one sentence each.
    #[error("nothing was imported; please correct:\n  {}", .0.join("\n  "))]
    Refused(Vec<String>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an import did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// People that were not known before.
    pub new: usize,
    /// People of whom something was replaced.
    pub known: usize,
    /// People of whom all was known.
    pub unchanged: usize,
    /// Who is new, and what changes of whom; one line each.
    pub changes: Vec<String>,
    /// Numbers that the numbering plan does not know: they are dialled as given.
    pub doubtful: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRow {
    name: String,
    numbers: Vec<String>,
    language: Option<String>,
    emails: Option<Vec<String>>,
}

/// Reads people from a file. `encoding` is the name of one that somebody chose.
///
/// # Errors
/// Everything that is wrong with it, line by line.
pub fn read_file(path: &Path, encoding: Option<&str>, region: Region) -> Result<PeopleFile, ImportError> {
    let file = path.display().to_string();
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    let read: fn(&str) -> Result<Contacts, String> = match extension.as_deref() {
        Some("csv" | "txt" | "tsv") => contacts::of_table,
        Some("vcf" | "vcard") => contacts::of_cards,
        Some("json") => of_json,
        _ => return Err(ImportError::UnknownForm(file)),
    };
    let mut bytes = std::fs::read(path).map_err(|source| ImportError::Unreadable { file, source })?;
    if extension.as_deref().is_some_and(|own| own.starts_with("vc")) {
        bytes = unfolded(&bytes);
    }
    let refused = |why: String| ImportError::Refused(vec![why]);
    let decoded = encoding::decode(&bytes, encoding, region).map_err(refused)?;
    let contacts = read(&decoded.text).map_err(refused)?;
    let skipped = told(contacts.skipped.clone());
    Ok(PeopleFile { people: check(contacts, region)?, skipped, notes: decoded.note.into_iter().collect() })
}

/// Reads people from a table with the columns `name`, `numbers` and, if wanted, `language` and `email`, or from exported contacts.
///
/// # Errors
/// Everything that is wrong with it, line by line.
pub fn read_csv(text: &str, region: Region) -> Result<Vec<ImportedPerson>, ImportError> {
    check(contacts::of_table(text).map_err(|why| ImportError::Refused(vec![why]))?, region)
}

/// Reads people from a JSON array of `{"name", "numbers": [..], "language", "emails": [..]}`.
///
/// # Errors
/// Everything that is wrong with it, entry by entry.
pub fn read_json(text: &str, region: Region) -> Result<Vec<ImportedPerson>, ImportError> {
    check(of_json(text).map_err(|why| ImportError::Refused(vec![why]))?, region)
}

fn of_json(text: &str) -> Result<Contacts, String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let rows: Vec<JsonRow> = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let (line, column) = (error.inner().line(), error.inner().column());
        let form = r#"a list of {"name": …, "numbers": […], "language": …, "emails": […]}"#;
        format!("line {line}, character {column}: {} cannot be read; people are written as {form}", error.path())
    })?;
    deserializer.end().map_err(|_| "something follows the list of people".to_owned())?;
    let contact = |(index, row): (usize, JsonRow)| Contact {
        place: format!("entry {index}"),
        name: row.name,
        numbers: row.numbers,
        language: row.language,
        emails: row.emails,
    };
    Ok(Contacts { people: (1..).zip(rows).map(contact).collect(), ..Contacts::default() })
}

fn check(contacts: Contacts, region: Region) -> Result<Vec<ImportedPerson>, ImportError> {
    let mut problems = contacts.problems;
    let mut people: Vec<ImportedPerson> = Vec::new();
    let mut names: HashSet<String> = HashSet::new();
    let mut owners: HashMap<String, String> = HashMap::new();
    for Contact { place, name, numbers, language, emails } in contacts.people {
        let name = name.trim().to_owned();
        if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
            problems.push(format!("{place}: a name has 1 to {LONGEST_NAME} characters"));
            continue;
        }
        if !names.insert(name.clone()) {
            problems.push(format!("{place}: {name} stands in the file twice"));
            continue;
        }
        let language = language.map(|own| own.trim().to_owned());
        if let Some(own) = language.as_ref().filter(|own| !is_language(own)) {
            problems.push(format!("{place}: {own:?} is not a language tag such as zh-CN, ja, en or es"));
        }
        let mut person = ImportedPerson { name, numbers: Vec::new(), language, emails: None, doubtful: Vec::new() };
        if numbers.is_empty() {
            problems.push(format!("{place}: {} has no number", person.name));
        }
        for given in &numbers {
            match Number::parse(given, region) {
                Ok(parsed) => {
                    let number = parsed.number.as_str().to_owned();
                    match owners.insert(phone_of(&number).into_owned(), person.name.clone()) {
                        // One number in two spellings is one, and so is a phone with two numbers.
                        Some(owner) if owner == person.name && person.numbers.iter().any(|own| same_phone(own, &number)) => {}
                        Some(owner) => problems.push(format!("{place}: the number {given} also belongs to {owner}")),
                        None => person.numbers.push(number),
                    }
                    if !parsed.known_to_plan {
                        person.doubtful.push(given.clone());
                    }
                }
                Err(_) if cells::is_shortened(given) => {
                    let why = "the spreadsheet has shortened this number, and its digits are lost: format the column as text";
                    problems.push(format!("{place}: {given:?}: {why}"));
                }
                Err(error) => problems.push(format!("{place}: {given:?}: {error}")),
            }
        }
        for email in emails.into_iter().flatten() {
            let email = email.trim().to_lowercase();
            let own = person.emails.get_or_insert_default();
            if email.is_empty() || own.contains(&email) {
                continue;
            }
            if !is_email(&email) {
                problems.push(format!("{place}: {email:?} is no e-mail address"));
            }
            match owners.insert(email.clone(), person.name.clone()) {
                Some(owner) => problems.push(format!("{place}: the address {email} also belongs to {owner}")),
                None => own.push(email),
            }
        }
        people.push(person);
    }
    if problems.is_empty() { Ok(people) } else { Err(ImportError::Refused(told(problems))) }
}

fn is_language(text: &str) -> bool {
    text.len() <= LONGEST_LANGUAGE && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn is_email(text: &str) -> bool {
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ',' | ';' | '"');
    text.len() <= LONGEST_EMAIL
        && !text.contains(bad)
        && text.split_once('@').is_some_and(|(own, host)| !own.is_empty() && !host.is_empty())
}

/// Stores people: new ones are added, known ones (by name) get the numbers of the file, and its language and addresses where it has
/// these columns; the others stay. Whoever only wants to know what it would do does not commit it.
///
/// # Errors
/// When a number belongs to somebody who is not in the file, or the database fails; nothing is changed then.
pub async fn import(work: &mut Work, people: &[ImportedPerson]) -> Result<Imported, ImportError> {
    work.db().lock_edits(Edited::People).await?;
    let now = work.now();
    let mut imported = Imported::default();
    let mut emails = work.db().emails().await?;
    let known = work.db().people().await?.into_iter();
    let known: HashMap<String, KnownPeople> = known
        .map(|(row, numbers)| {
            let emails = emails.remove(&row.id).unwrap_or_default();
            (row.name, KnownPeople { id: row.id, numbers, language: row.language, emails })
        })
        .collect();
    let mut stored: Vec<(PersonId, &ImportedPerson)> = Vec::new();
    for person in people {
        imported.doubtful.extend(person.doubtful.iter().cloned());
        let (id, language) = match known.get(&person.name) {
            Some(known) => {
                let changes = known.changes(person);
                if changes.is_empty() {
                    imported.unchanged += 1;
                    continue;
                }
                imported.known += 1;
                imported.changes.push(format!("{}: {}", person.name, changes.join("; ")));
                (known.id, person.language.as_ref().unwrap_or(&known.language).as_str())
            }
            None => {
                imported.new += 1;
                imported.changes.push(format!("{}: new, {}", person.name, person.numbers.join(", ")));
                (PersonId::new(now), person.language.as_deref().unwrap_or_default())
            }
        };
        let id = work.db().upsert_person(id, &person.name, language, now).await?;
        // All numbers of the file's people first: two of them may have swapped phones.
        work.db().clear_numbers(id).await?;
        if person.emails.is_some() {
            work.db().set_emails(id, &[]).await?;
        }
        stored.push((id, person));
    }
    let mut problems = Vec::new();
    for (_, person) in &stored {
        for number in &person.numbers {
            if let Some(owner) = work.db().person_with_number(number).await? {
                problems.push(format!("{}: the number {number} belongs to {}, who is not in the file", person.name, owner.name));
            }
        }
        for email in person.emails.iter().flatten() {
            if let Some(owner) = work.db().person_with_email(email).await? {
                problems.push(format!("{}: the address {email} belongs to {}, who is not in the file", person.name, owner.name));
            }
        }
    }
    if !problems.is_empty() {
        return Err(ImportError::Refused(told(problems)));
    }
    for (id, person) in stored {
        work.db().set_numbers(id, &person.numbers).await?;
        if let Some(emails) = &person.emails {
            work.db().set_emails(id, emails).await?;
        }
    }
    let told =
        json!({ "new": imported.new, "changed": imported.known, "unchanged": imported.unchanged, "changes": imported.changes });
    work.note(Line::new(Operation::PeopleImported).after(told));
    work.announce(Announcement::People);
    Ok(imported)
}

/// What is known of a person who stands in a file.
struct KnownPeople {
    id: PersonId,
    numbers: Vec<String>,
    language: String,
    emails: Vec<String>,
}

impl KnownPeople {
    /// What a file would change.
    fn changes(&self, file: &ImportedPerson) -> Vec<String> {
        let mut changes = Vec::new();
        if self.numbers != file.numbers {
            changes.push(format!("{} instead of {}", file.numbers.join(", "), self.numbers.join(", ")));
        }
        if let Some(language) = file.language.as_ref().filter(|own| **own != self.language) {
            changes.push(format!("language {language:?} instead of {:?}", self.language));
        }
        if let Some(emails) = file.emails.as_ref().filter(|own| **own != self.emails) {
            changes.push(format!("{} instead of {}", emails.join(", "), self.emails.join(", ")));
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn csv_and_json_say_the_same() {
        let csv = "name,numbers,language\n张伟,18712345678; 010-62345678,zh-CN\nLi Na,+8618812345678,\n";
        let json = r#"[{"name":"张伟","numbers":["18712345678","010-62345678"],"language":"zh-CN"},{"name":"Li Na","numbers":["+8618812345678"],"language":""}]"#;
        let people = read_csv(csv, Region::CN).unwrap();
        assert_eq!(people, read_json(json, Region::CN).unwrap());
        assert_eq!(people[0].numbers, ["+8618712345678", "+861062345678"]);
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        let csv = "name,numbers\nA,18712345678\n,18812345678\nB,110\nC,+86 187 1234 5678\nA,18912345678\nD,\n";
        let ImportError::Refused(problems) = read_csv(csv, Region::CN).unwrap_err() else { panic!("refused") };
        let lines: Vec<&str> = problems.iter().map(|problem| problem.split(':').next().unwrap()).collect();
        assert_eq!(lines, ["line 3", "line 4", "line 5", "line 6", "line 7"], "{problems:?}");
    }

    proptest::proptest! {
        #[test]
        fn no_file_panics(text in ".{0,300}") {
            let _ = read_csv(&text, Region::CN);
            let _ = read_csv(&format!("name,numbers,language\n{text}\n"), Region::CN);
            let _ = read_json(&text, Region::CN);
        }
    }

    #[test]
    fn an_unknown_column_is_refused() {
        assert!(read_csv("name,phone\nA,18712345678\n", Region::CN).is_err());
    }
}
