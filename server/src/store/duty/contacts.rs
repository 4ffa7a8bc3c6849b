//! Contacts: people, and numbers that are nobody's, by numbers of one sequence, for programs that know digits only.

use crate::ids::PersonId;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// Whose a numeric id is.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ContactRow {
        /// The id; never given again.
        pub id: i64,
        /// A person.
        pub person_id: Option<PersonId>,
        /// Or a number that was nobody's when it was first asked for, in its comparable form.
        pub number: Option<String>,
    }
}

statements! {
    /// Of a person.
    OF_PERSON = ["SELECT id FROM contacts WHERE person_id = $1"];
    /// Of a number.
    OF_NUMBER = ["SELECT id FROM contacts WHERE number = $1"];
    /// A new one; nothing when somebody else made it in the same moment.
    ADD = ["INSERT INTO contacts (person_id, number) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING id"];
    /// Whose an id is.
    GET = ["SELECT id, person_id, number FROM contacts WHERE id = $1"];
}

impl Db<'_> {
    /// The contact of a person, made where there is none.
    ///
    /// # Errors
    /// When the database fails, or there is no such person.
    pub async fn contact_of_person(&mut self, person: PersonId) -> Result<i64> {
        self.contact(Some(person), None).await
    }

    /// The contact of whoever has a number, or of the bare number; made where there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn contact_of_number(&mut self, number: &str) -> Result<i64> {
        match self.person_with_number(number).await? {
            Some(person) => self.contact_of_person(person.id).await,
            None => self.contact(None, Some(number)).await,
        }
    }

    /// The contact of whoever has a number, or of the bare number, where there is one.
    pub async fn known_contact(&mut self, number: &str) -> Result<Option<i64>> {
        let found: Option<(i64,)> = match self.person_with_number(number).await? {
            Some(person) => fetch_optional!(self, OF_PERSON, person.id)?,
            None => fetch_optional!(self, OF_NUMBER, number)?,
        };
        Ok(found.map(|(id,)| id))
    }

    /// Whose an id is.
    pub async fn contact_with_id(&mut self, id: i64) -> Result<Option<ContactRow>> {
        fetch_optional!(self, GET, id)
    }

    async fn contact(&mut self, person: Option<PersonId>, number: Option<&str>) -> Result<i64> {
        for _ in 0..2 {
            let found: Option<(i64,)> = match person {
                Some(person) => fetch_optional!(self, OF_PERSON, person)?,
                None => fetch_optional!(self, OF_NUMBER, number)?,
            };
            let found = match found {
                None => fetch_optional!(self, ADD, person, number)?,
                found => found,
            };
            if let Some((id,)) = found {
                return Ok(id);
            }
        }
        Err(crate::store::StoreError::Inconsistent("a contact came and went".to_owned()))
    }
}
