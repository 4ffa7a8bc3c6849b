//! Calls that other systems list: whose they are, and how they are kept.

pub mod import;
pub mod reread;

use crate::alarm::call_record::CallDirection;
use crate::call_log::reading::{self, Rule};
use crate::store::alarm::replicated::{ReplicatedCall, ReplicatedIds, Whose};
use crate::store::{StoreError, Work};

/// Whose a call to this number is: somebody's on the list of people, or the number's own where that is wanted; `None`: nobody's.
///
/// # Errors
/// When the database fails.
pub async fn whose(work: &mut Work, number: &str, make: bool) -> Result<Option<Whose>, StoreError> {
    let mut db = work.db();
    let person = db.person_with_number(number).await?;
    let contact = match &person {
        Some(person) => db.contact_of_person(person.id).await?,
        None if make => db.contact_of_number(number).await?,
        None => return Ok(None),
    };
    let person = person.map(|person| (person.id, person.name));
    Ok(Some(Whose { contact, person, direction: CallDirection::Outgoing }))
}

/// Whose a call is that somebody made to a number inside another system: somebody's on the list of people.
///
/// # Errors
/// When the database fails.
pub async fn calls_in(work: &mut Work, caller: &str, rule: &Rule) -> Result<Option<Whose>, StoreError> {
    let Ok(number) = reading::number(caller, rule) else { return Ok(None) };
    let mut db = work.db();
    let Some(person) = db.person_with_number(number.as_str()).await? else { return Ok(None) };
    let contact = db.contact_of_person(person.id).await?;
    Ok(Some(Whose { contact, person: Some((person.id, person.name)), direction: CallDirection::Incoming }))
}

/// Keeps a call, unless it is kept already; gives the ids of the one that is kept, or `None` where nobody was called that is known here.
///
/// # Errors
/// When the database fails.
pub async fn add(work: &mut Work, call: &ReplicatedCall, make: bool) -> Result<Option<ReplicatedIds>, StoreError> {
    let Some(whose) = whose(work, &call.number, make).await? else { return Ok(None) };
    let now = work.now();
    work.db().add_replicated_calls(&[(call, &whose)], now).await?;
    // Also where somebody else told of it in the same moment.
    work.db().replicated_call(call.at, &call.caller, &call.number).await
}
