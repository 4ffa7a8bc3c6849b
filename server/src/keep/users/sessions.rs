//! Sessions of users: which go on, and ending them. The pages look again whether a session is good at each request, and at least every five
//! seconds while one stays open.

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::{UserError, find};
use crate::audit::{Line, Operation};
use crate::ids::hex;
use crate::store::access::sessions::OpenSessionRow;
use crate::store::access::users::UserRow;
use crate::store::{Db, StoreError, Work};
use crate::versions::{Expected, Version};

/// A session that was not used for so long is over. Long: nobody wants to look for a password at three in the morning.
pub const LONGEST_IDLE: TimeDelta = TimeDelta::days(10);

/// A session as it may be shown: by what it is kept under nobody can be told apart from its owner, so another name stands for it.
#[derive(Clone, Debug)]
pub struct Session {
    /// Under this it is ended.
    pub id: String,
    /// What is kept of it.
    pub row: OpenSessionRow,
}

impl Session {
    /// Its version. It begins and ends: that it is used, and from where, happens by itself.
    #[must_use]
    pub fn version(&self) -> Version {
        Version::of(&(&self.id, self.row.created_at, self.row.expires_at))
    }
}

/// What a session is called that is kept under this hash. It tells nothing about it.
#[must_use]
pub fn id_of(token_hash: &[u8]) -> String {
    hex(&Sha256::new().chain_update(b"session ").chain_update(token_hash).finalize()[..8])
}

/// The sessions of a user that go on, the latest used first.
///
/// # Errors
/// When the database fails.
pub async fn of(db: &mut Db<'_>, user: &UserRow, now: DateTime<Utc>) -> Result<Vec<Session>, StoreError> {
    let rows = db.sessions_of(user.id, now, now - LONGEST_IDLE).await?;
    Ok(rows.into_iter().map(|row| Session { id: id_of(&row.token_hash), row }).collect())
}

/// One session of a user that goes on.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn one(db: &mut Db<'_>, user: &UserRow, id: &str, now: DateTime<Utc>) -> Result<Session, UserError> {
    of(db, user, now).await?.into_iter().find(|own| own.id == id).ok_or(UserError::NoSuchSession)
}

/// Ends one session of a user.
///
/// # Errors
/// When there is no such user or session, it is not the one that was read, or the database fails.
pub async fn end(work: &mut Work, name: &str, id: &str, expected: &Expected) -> Result<(), UserError> {
    let (user, now) = (find(&mut work.db(), name).await?, work.now());
    let session = one(&mut work.db(), &user, id, now).await?;
    expected.check(Some(&session.version()))?;
    if !work.db().end_session(user.id, &session.row.token_hash).await? {
        return Err(UserError::NoSuchSession);
    }
    work.note(Line::new(Operation::UserSessionEnded).of(user.id).named(user.name).about(user.person_id));
    Ok(())
}

/// Ends all sessions of a user, but for one; gives how many.
///
/// # Errors
/// When there is no such user, or the database fails.
pub async fn end_all(work: &mut Work, name: &str, but: Option<&[u8]>) -> Result<u64, UserError> {
    let user = find(&mut work.db(), name).await?;
    let ended = work.db().end_sessions(user.id, but).await?;
    let line = Line::new(Operation::UserSessionsEnded).of(user.id).named(user.name).about(user.person_id);
    work.note(line.after(serde_json::json!({ "sessions": ended })));
    Ok(ended)
}
