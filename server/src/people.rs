//! Importing people from a file: CSV or JSON, checked as a whole before anything is stored.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use crate::clock::Clock;
use crate::ids::PersonId;
use crate::numbers::{Number, Region};
use crate::store::{Announcement, Store, StoreError};

/// Longest name that fits pages and notifications.
/// The longest name of a person, in characters.
pub const LONGEST_NAME: usize = 200;

/// A person as a file has them, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedPerson {
    /// The name shown as the one who answered.
    pub name: String,
    /// Numbers in their comparable form, the first one preferred.
    pub numbers: Vec<String>,
    /// The language to address them in.
    pub language: String,
    /// Numbers that the numbering plan does not know, as given.
    pub doubtful: Vec<String>,
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
    /// The file is neither CSV nor JSON by its name.
    #[error("{0}: the name must end in .csv or .json")]
    UnknownForm(String),
    /// Something in it is wrong; one sentence each.
    #[error("nothing was imported; please correct:\n  {}", .0.join("\n  "))]
    Refused(Vec<String>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// People that were not known before.
    pub new: usize,
    /// People whose numbers or language were replaced.
    pub known: usize,
    /// Numbers that the numbering plan does not know: they are dialled as given.
    pub doubtful: Vec<String>,
}

/// One row of either form. In CSV the numbers stand in one field, separated by `;`, `,` or `|`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CsvRow {
    name: String,
    numbers: String,
    #[serde(default)]
    language: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRow {
    name: String,
    numbers: Vec<String>,
    #[serde(default)]
    language: String,
}

/// Reads people from a file.
///
/// # Errors
/// Everything that is wrong with it, line by line.
pub fn read_file(path: &Path, region: Region) -> Result<Vec<ImportedPerson>, ImportError> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| ImportError::Unreadable { file: file.clone(), source })?;
    let text = text.trim_start_matches('\u{feff}');
    match path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("csv") => read_csv(text, region),
        Some("json") => read_json(text, region),
        _ => Err(ImportError::UnknownForm(file)),
    }
}

/// Reads people from CSV with the columns `name`, `numbers` and, if wanted, `language`.
///
/// # Errors
/// Everything that is wrong with it, line by line.
pub fn read_csv(text: &str, region: Region) -> Result<Vec<ImportedPerson>, ImportError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(false).from_reader(text.as_bytes());
    let mut rows = Vec::new();
    let mut problems = Vec::new();
    let headers = reader.headers().cloned().map_err(|error| ImportError::Refused(vec![error.to_string()]))?;
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                problems.push(error.to_string());
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        match record.deserialize::<CsvRow>(Some(&headers)) {
            Ok(row) => {
                let numbers = row.numbers.split([';', ',', '|']).map(|number| number.trim().to_owned());
                let numbers = numbers.filter(|number| !number.is_empty()).collect();
                rows.push((format!("line {line}"), JsonRow { name: row.name, numbers, language: row.language }));
            }
            Err(error) => problems.push(format!("line {line}: {error}")),
        }
    }
    check(rows, problems, region)
}

/// Reads people from a JSON array of `{"name", "numbers": [..], "language"}`.
///
/// # Errors
/// Everything that is wrong with it, entry by entry.
pub fn read_json(text: &str, region: Region) -> Result<Vec<ImportedPerson>, ImportError> {
    let rows: Vec<JsonRow> = serde_json::from_str(text).map_err(|error| ImportError::Refused(vec![error.to_string()]))?;
    let rows = (1..).zip(rows).map(|(index, row)| (format!("entry {index}"), row)).collect();
    check(rows, Vec::new(), region)
}

fn check(rows: Vec<(String, JsonRow)>, mut problems: Vec<String>, region: Region) -> Result<Vec<ImportedPerson>, ImportError> {
    let mut people: Vec<ImportedPerson> = Vec::new();
    let mut owners: HashMap<String, String> = HashMap::new();
    for (place, row) in rows {
        let name = row.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
            problems.push(format!("{place}: a name has 1 to {LONGEST_NAME} characters"));
            continue;
        }
        if people.iter().any(|person| person.name == name) {
            problems.push(format!("{place}: {name} stands in the file twice"));
            continue;
        }
        let language = row.language.trim().to_owned();
        if language.len() > 35 || !language.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            problems.push(format!("{place}: {language:?} is not a language tag such as zh-CN, ja, en or es"));
        }
        let mut person = ImportedPerson { name, numbers: Vec::new(), language, doubtful: Vec::new() };
        if row.numbers.is_empty() {
            problems.push(format!("{place}: {} has no number", person.name));
        }
        for given in &row.numbers {
            match Number::parse(given, region) {
                Ok(parsed) => {
                    let number = parsed.number.as_str().to_owned();
                    match owners.insert(number.clone(), person.name.clone()) {
                        Some(owner) => problems.push(format!("{place}: the number {given} also belongs to {owner}")),
                        None => person.numbers.push(number),
                    }
                    if !parsed.known_to_plan {
                        person.doubtful.push(given.clone());
                    }
                }
                Err(error) => problems.push(format!("{place}: {given:?}: {error}")),
            }
        }
        people.push(person);
    }
    if problems.is_empty() { Ok(people) } else { Err(ImportError::Refused(problems)) }
}

/// Stores people: new ones are added, known ones (by name) get the numbers and language of the file, the others stay.
///
/// # Errors
/// When a number belongs to somebody who is not in the file, or the database fails; nothing is changed then.
pub async fn import(store: &Store, people: &[ImportedPerson], clock: &Clock) -> Result<Imported, ImportError> {
    let now = clock.now();
    let mut tx = store.begin().await?;
    let mut imported = Imported::default();
    let known: HashMap<String, PersonId> =
        tx.db().people().await?.into_iter().map(|(person, _)| (person.name, person.id)).collect();
    let mut stored = Vec::new();
    for person in people {
        let id = tx.db().upsert_person(PersonId::new(now), &person.name, &person.language, now).await?;
        // All numbers of the file's people first: two of them may have swapped phones.
        tx.db().clear_numbers(id).await?;
        stored.push(id);
        if known.contains_key(&person.name) {
            imported.known += 1;
        } else {
            imported.new += 1;
        }
        imported.doubtful.extend(person.doubtful.iter().cloned());
    }
    let mut problems = Vec::new();
    for person in people {
        for number in &person.numbers {
            if let Some(owner) = tx.db().person_with_number(number).await? {
                problems.push(format!("{}: the number {number} belongs to {}, who is not in the file", person.name, owner.name));
            }
        }
    }
    if !problems.is_empty() {
        return Err(ImportError::Refused(problems));
    }
    for (id, person) in stored.into_iter().zip(people) {
        tx.db().set_numbers(id, &person.numbers).await?;
    }
    tx.announce(Announcement::People);
    tx.commit().await?;
    Ok(imported)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn csv_and_json_say_the_same() {
        let csv = "name,numbers,language\n张伟,18712345678; 010-62345678,zh-CN\nLi Na,+8618812345678,\n";
        let json = r#"[{"name":"张伟","numbers":["18712345678","010-62345678"],"language":"zh-CN"},{"name":"Li Na","numbers":["+8618812345678"]}]"#;
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
