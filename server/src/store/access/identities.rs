//! By what users are known to a provider of logins or to a proxy in front; and which of such logins have come back.

use chrono::{DateTime, Utc};

use crate::ids::{IdentityId, PersonId, UserId};
use crate::store::access::users::UserRow;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// By what somebody is known elsewhere.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct IdentityRow {
        /// Which one.
        pub id: IdentityId,
        /// Who knows them.
        pub issuer: String,
        /// What they are called there.
        pub subject: String,
        /// Who they are here.
        pub user_id: UserId,
        /// When they last came in by it.
        pub last_used_at: DateTime<Utc>,
    }
}

statements! {
    /// Who somebody is.
    USER_OF = [
        "SELECT u.* FROM known_elsewhere i JOIN users u ON u.id = i.user_id WHERE i.issuer = $1 AND i.subject = $2"
    ];
    /// Somebody is known there from now on, unless that is somebody else already.
    INSERT = [
        "INSERT INTO known_elsewhere (id, issuer, subject, user_id, created_at, last_used_at) VALUES ($1, $2, $3, $4, $5, $5)
         ON CONFLICT (issuer, subject) DO NOTHING"
    ];
    /// Somebody came in by it.
    TOUCH = ["UPDATE known_elsewhere SET last_used_at = $3 WHERE issuer = $1 AND subject = $2"];
    /// All of them.
    LIST = ["SELECT id, issuer, subject, user_id, last_used_at FROM known_elsewhere ORDER BY user_id, issuer, subject LIMIT 20000"];
    /// Those of a user.
    OF_USER = [
        "SELECT id, issuer, subject, user_id, last_used_at FROM known_elsewhere WHERE user_id = $1 ORDER BY issuer, subject LIMIT 20"
    ];
    /// Those of the users who are a person.
    OF_PERSON = [
        "SELECT i.id, i.issuer, i.subject, i.user_id, i.last_used_at FROM users u JOIN known_elsewhere i ON i.user_id = u.id
         WHERE u.person_id = $1 ORDER BY i.issuer, i.subject LIMIT 100"
    ];
    /// A user is known nowhere else any more.
    DELETE_OF_USER = ["DELETE FROM known_elsewhere WHERE user_id = $1"];
    /// The users who are a person.
    USER_OF_PERSON = ["SELECT count(*) AS users FROM users WHERE person_id = $1"];
    /// Administrators who can come in by a password.
    OTHER_ADMINS_BY_PASSWORD = [
        "SELECT count(*) AS users FROM users u WHERE u.role = 'admin' AND u.disabled_at IS NULL AND u.id <> $1 AND u.password_hash LIKE '_argon2%'
           AND NOT EXISTS (SELECT 1 FROM known_elsewhere i WHERE i.user_id = u.id)"
    ];
    /// A session goes on for longer; one by a password may have longer already.
    EXTEND_SESSION = ["UPDATE sessions SET expires_at = $3 WHERE token_hash = $1 AND user_id = $2 AND expires_at < $3"];
    /// A login has come back.
    USE_LOGIN = ["INSERT INTO used_logins (login_hash, used_at) VALUES ($1, $2) ON CONFLICT (login_hash) DO NOTHING"];
    /// Those that are too old anyway.
    FORGET_LOGINS = ["DELETE FROM used_logins WHERE used_at < $1"];
    /// The teams of a person.
    TEAMS_OF = [
        "SELECT t.name FROM team_members m JOIN teams t ON t.id = m.team_id WHERE m.person_id = $1 ORDER BY t.name LIMIT 1000"
    ];
}

impl Db<'_> {
    /// Who somebody is that is known elsewhere.
    pub async fn user_known_as(&mut self, issuer: &str, subject: &str) -> Result<Option<UserRow>> {
        fetch_optional!(self, USER_OF, issuer, subject)
    }

    /// A user is known there from now on; false when somebody else is.
    pub async fn insert_identity(
        &mut self,
        id: IdentityId,
        issuer: &str,
        subject: &str,
        user: UserId,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        changed_one!(self, INSERT, id, issuer, subject, user, now)
    }

    /// Notes that somebody came in by it.
    pub async fn touch_identity(&mut self, issuer: &str, subject: &str, now: DateTime<Utc>) -> Result<()> {
        execute!(self, TOUCH, issuer, subject, now).map(|_| ())
    }

    /// By what all users are known elsewhere.
    pub async fn identities(&mut self) -> Result<Vec<IdentityRow>> {
        fetch_all!(self, LIST)
    }

    /// By what one user is.
    pub async fn identities_of(&mut self, user: UserId) -> Result<Vec<IdentityRow>> {
        fetch_all!(self, OF_USER, user)
    }

    /// By what a person is, whatever they log in with.
    pub async fn identities_of_person(&mut self, person: PersonId) -> Result<Vec<IdentityRow>> {
        fetch_all!(self, OF_PERSON, person)
    }

    /// A user is known nowhere else any more. Gives how many were taken away.
    pub async fn delete_identities_of(&mut self, user: UserId) -> Result<u64> {
        execute!(self, DELETE_OF_USER, user)
    }

    /// Whether somebody who may log in is this person.
    pub async fn person_is_user(&mut self, person: PersonId) -> Result<bool> {
        let row: Option<(i64,)> = fetch_optional!(self, USER_OF_PERSON, person)?;
        Ok(row.is_some_and(|(count,)| count > 0))
    }

    /// How many administrators beside this user can come in whatever becomes of a provider.
    pub async fn other_local_admins(&mut self, user: UserId) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, OTHER_ADMINS_BY_PASSWORD, user)?;
        Ok(row.map_or(0, |(count,)| count))
    }

    /// Lets a session of this user go on for longer; false when it is none of theirs, or has as long anyway.
    pub async fn extend_session(&mut self, token_hash: &[u8], user: UserId, expires_at: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, EXTEND_SESSION, token_hash, user, expires_at)
    }

    /// Notes that a login came back; false when it has before. Those from before `too_old` are forgotten.
    pub async fn use_login(&mut self, login_hash: &[u8], now: DateTime<Utc>, too_old: DateTime<Utc>) -> Result<bool> {
        execute!(self, FORGET_LOGINS, too_old)?;
        changed_one!(self, USE_LOGIN, login_hash, now)
    }

    /// The names of the teams of a person.
    pub async fn teams_of(&mut self, person: PersonId) -> Result<Vec<String>> {
        let rows: Vec<(String,)> = fetch_all!(self, TEAMS_OF, person)?;
        Ok(rows.into_iter().map(|(name,)| name).collect())
    }
}
