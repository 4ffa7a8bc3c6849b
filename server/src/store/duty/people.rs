//! People and their numbers: who a number belongs to.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::ids::PersonId;
use crate::numbers::Number;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// Somebody who can be rung.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PersonRow {
        /// Who.
        pub id: PersonId,
        /// The name shown as the one who answered; unique.
        pub name: String,
        /// The language to address them in: a BCP 47 tag.
        pub language: String,
    }
}

statements! {
    /// A new person, or new particulars of a known one.
    UPSERT = [
        "INSERT INTO people (id, name, language, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
         ON CONFLICT (name) DO UPDATE SET language = excluded.language, updated_at = excluded.updated_at RETURNING id"
    ];
    /// All people by name.
    ALL_PEOPLE = ["SELECT id, name, language FROM people ORDER BY name"];
    /// The numbers of all people.
    ALL_NUMBERS = ["SELECT person_id, number FROM person_numbers ORDER BY person_id, position"];
    /// Who has a number.
    BY_NUMBER = ["SELECT p.id, p.name, p.language FROM people p JOIN person_numbers n ON n.person_id = p.id WHERE n.number = $1"];
    /// One person by name.
    BY_NAME = ["SELECT id, name, language FROM people WHERE name = $1"];
    /// One person.
    GET = ["SELECT id, name, language FROM people WHERE id = $1"];
    /// The numbers of one person, the preferred one first.
    NUMBERS_OF = ["SELECT number FROM person_numbers WHERE person_id = $1 ORDER BY position"];
    /// Forgets the numbers of a person.
    DELETE_NUMBERS = ["DELETE FROM person_numbers WHERE person_id = $1"];
    /// The e-mail addresses of all people.
    ALL_EMAILS = ["SELECT person_id, email FROM person_emails ORDER BY person_id, position"];
    /// Who has an e-mail address.
    BY_EMAIL = ["SELECT p.id, p.name, p.language FROM people p JOIN person_emails e ON e.person_id = p.id WHERE e.email = $1"];
    /// Forgets the e-mail addresses of a person.
    DELETE_EMAILS = ["DELETE FROM person_emails WHERE person_id = $1"];
    /// An e-mail address of a person.
    INSERT_EMAIL = ["INSERT INTO person_emails (email, person_id, position) VALUES ($1, $2, $3)"];
    /// A number of a person.
    INSERT_NUMBER = ["INSERT INTO person_numbers (number, person_id, position) VALUES ($1, $2, $3)"];
}

impl Db<'_> {
    /// Stores a person under a name, and gives who that is.
    pub async fn upsert_person(&mut self, id: PersonId, name: &str, language: &str, now: DateTime<Utc>) -> Result<PersonId> {
        let row: Option<(PersonId,)> = fetch_optional!(self, UPSERT, id, name, language, now)?;
        Ok(row.map_or(id, |(stored,)| stored))
    }

    /// Replaces the numbers of a person.
    ///
    /// # Errors
    /// When the database fails; a unique violation when a number belongs to somebody else.
    pub async fn set_numbers(&mut self, person: PersonId, numbers: &[String]) -> Result<()> {
        execute!(self, DELETE_NUMBERS, person)?;
        for (position, number) in (0_i32..).zip(numbers) {
            execute!(self, INSERT_NUMBER, number.as_str(), person, position)?;
        }
        Ok(())
    }

    /// Forgets the numbers of a person.
    pub async fn clear_numbers(&mut self, person: PersonId) -> Result<()> {
        execute!(self, DELETE_NUMBERS, person).map(|_| ())
    }

    /// The numbers of a person, the preferred one first.
    pub async fn numbers_of(&mut self, person: PersonId) -> Result<Vec<String>> {
        let rows: Vec<(String,)> = fetch_all!(self, NUMBERS_OF, person)?;
        Ok(rows.into_iter().map(|(number,)| number).collect())
    }

    /// Who has a number, or the other number of the same phone.
    pub async fn person_with_number(&mut self, number: &str) -> Result<Option<PersonRow>> {
        let found: Option<PersonRow> = fetch_optional!(self, BY_NUMBER, number)?;
        match Number::from_stored(number).other_form() {
            Some(other) if found.is_none() => fetch_optional!(self, BY_NUMBER, other.as_str()),
            _ => Ok(found),
        }
    }

    /// One person by name.
    pub async fn person_by_name(&mut self, name: &str) -> Result<Option<PersonRow>> {
        fetch_optional!(self, BY_NAME, name)
    }

    /// Who is meant by a name or an id. An id stands for itself, also that of somebody who was removed.
    pub async fn person_called(&mut self, which: &str) -> Result<Option<PersonId>> {
        match which.parse() {
            Ok(id) => Ok(Some(id)),
            Err(_) => Ok(self.person_by_name(which).await?.map(|person| person.id)),
        }
    }

    /// One person.
    pub async fn person(&mut self, id: PersonId) -> Result<Option<PersonRow>> {
        fetch_optional!(self, GET, id)
    }

    /// All people by name, each with their numbers in order.
    pub async fn people(&mut self) -> Result<Vec<(PersonRow, Vec<String>)>> {
        let people: Vec<PersonRow> = fetch_all!(self, ALL_PEOPLE)?;
        let mut numbers = by_person(fetch_all!(self, ALL_NUMBERS)?);
        Ok(people
            .into_iter()
            .map(|person| {
                let own = numbers.remove(&person.id).unwrap_or_default();
                (person, own)
            })
            .collect())
    }

    /// The e-mail addresses of everybody who has some, in order.
    pub async fn emails(&mut self) -> Result<HashMap<PersonId, Vec<String>>> {
        Ok(by_person(fetch_all!(self, ALL_EMAILS)?))
    }

    /// Who has an e-mail address, in small letters.
    pub async fn person_with_email(&mut self, email: &str) -> Result<Option<PersonRow>> {
        fetch_optional!(self, BY_EMAIL, email)
    }

    /// Replaces the e-mail addresses of a person.
    ///
    /// # Errors
    /// When the database fails; a unique violation when an address belongs to somebody else.
    pub async fn set_emails(&mut self, person: PersonId, emails: &[String]) -> Result<()> {
        execute!(self, DELETE_EMAILS, person)?;
        for (position, email) in (0_i32..).zip(emails) {
            execute!(self, INSERT_EMAIL, email.as_str(), person, position)?;
        }
        Ok(())
    }
}

fn by_person(rows: Vec<(PersonId, String)>) -> HashMap<PersonId, Vec<String>> {
    let mut by_person: HashMap<PersonId, Vec<String>> = HashMap::new();
    for (person, own) in rows {
        by_person.entry(person).or_default().push(own);
    }
    by_person
}
