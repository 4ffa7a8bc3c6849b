//! Calendar feeds: made, read and revoked. A token is shown once; only its hash is stored.

use chrono::{DateTime, Utc};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{RosterError, find_person, find_schedule};
use crate::audit::{Line, Operation};
use crate::costly;
use crate::ids::{FeedId, PersonId};
use crate::roster::feed::{self, Whose};
use crate::secrets;
use crate::store::duty::feeds::{FeedRow, MOST_FEEDS};
use crate::store::{Store, Work};

/// Whose shifts a feed tells, by name or id.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'s> {
    /// All of a schedule.
    Schedule(&'s str),
    /// Those of one person.
    Person(&'s str),
}

/// Makes a feed, and gives its id and the path under which it can be read: it is shown once.
///
/// # Errors
/// When there is no such schedule or person, the person has [`MOST_FEEDS`] already, or the database fails.
pub async fn add(work: &mut Work, subject: Subject<'_>, by: &str) -> Result<(FeedId, String), RosterError> {
    let now = work.now();
    // Two who make one at the same time would both count the same.
    work.db().lock_roster().await?;
    let roster = work.db().roster().await?;
    let (schedule_id, person_id) = match subject {
        Subject::Schedule(text) => (Some(find_schedule(&roster, text)?.id), None),
        Subject::Person(text) => (None, Some(find_person(&roster, text)?)),
    };
    if let Some(person) = person_id
        && work.db().feeds_of(person).await?.len() >= MOST_FEEDS
    {
        return Err(RosterError::TooManyFeeds);
    }
    let token = secrets::random::<20>();
    let row = FeedRow { id: FeedId::new(now), schedule_id, person_id, created_at: now, created_by: by.to_owned() };
    work.db().insert_feed(&row, &hash(&token)).await?;
    let line = Line::new(Operation::FeedAdded).of(row.id).about(person_id).in_name_of(Some(by));
    work.note(line.after(json!({ "schedule": schedule_id })));
    Ok((row.id, format!("/calendar/{token}.ics")))
}

/// Revokes a feed at once.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn revoke(work: &mut Work, id: FeedId) -> Result<(), RosterError> {
    if !work.db().revoke_feed(id).await? {
        return Err(RosterError::NoEntry);
    }
    work.note(Line::new(Operation::FeedRevoked).of(id));
    Ok(())
}

/// Revokes one of a person's own at once, and nobody else's.
///
/// # Errors
/// When they have no such feed, or the database fails.
pub async fn revoke_own(work: &mut Work, person: PersonId, id: FeedId) -> Result<(), RosterError> {
    match work.db().feeds_of(person).await?.iter().any(|own| own.id == id) {
        true => revoke(work, id).await,
        false => Err(RosterError::NoEntry),
    }
}

/// What a calendar that knows a token reads; `None` when there is no such feed, or nothing any more that it could tell.
///
/// # Errors
/// When the database fails, or too much of the kind is under way.
pub async fn read(store: &Store, token: &str, now: DateTime<Utc>) -> Result<Option<String>, RosterError> {
    let mut reader = store.read().await?;
    let Some(row) = reader.db().feed_by_hash(&hash(token)).await? else { return Ok(None) };
    let roster = reader.db().roster().await?;
    drop(reader);
    let written = costly::run(move |_| {
        let schedule = row.schedule_id.and_then(|id| roster.schedule(id)).map(Whose::Schedule);
        let person = row.person_id.filter(|id| roster.people.contains_key(id)).map(Whose::Person);
        schedule.or(person).map(|whose| feed::write(&roster, whose, now))
    });
    Ok(written.await?)
}

/// SHA-256 of a token: what is stored. Tokens are long and random, so they need no salt.
#[must_use]
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
