//! Users of the pages and their sessions. Neither passwords nor session tokens are stored: only their hashes.

use chrono::{DateTime, Utc};

use crate::ids::{PersonId, UserId};
pub use crate::rights::roles::Role;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// A user as it is stored.
    #[derive(Clone, Debug)]
    pub struct UserRow {
        /// Which one.
        pub id: UserId,
        /// What they log in with; unique.
        pub name: String,
        /// Argon2id, as a PHC string.
        pub password_hash: String,
        /// What they may do.
        pub role: Role,
        /// The language they chose; empty for the browser's.
        pub language: String,
        /// Who they are when they answer alarms.
        pub person_id: Option<PersonId>,
        /// When they were added.
        pub created_at: DateTime<Utc>,
        /// Since when they may not log in.
        pub disabled_at: Option<DateTime<Utc>>,
    }
}

row! {
    /// Whose session it is.
    #[derive(Clone, Debug)]
    pub struct SessionRow {
        /// Which user.
        pub user_id: UserId,
        /// What they log in with.
        pub name: String,
        /// What they may do.
        pub role: Role,
        /// The language they chose; empty for the browser's.
        pub language: String,
        /// The name of the person they are in the roster.
        pub person_name: Option<String>,
        /// When the session was last noted as used.
        pub last_used_at: DateTime<Utc>,
        /// Codes of an app are asked for when they log in.
        pub has_second_factor: bool,
        /// Who else says who that is: `oidc` or `proxy`; `None` where a password did.
        pub vouched_by: Option<String>,
    }
}

statements! {
    /// A new user.
    INSERT = [
        "INSERT INTO users (id, name, password_hash, role, language, person_id, created_at) VALUES ($1, $2, $3, $4, '', $5, $6)
         ON CONFLICT (name) DO NOTHING"
    ];
    /// By the name they log in with.
    BY_NAME = ["SELECT * FROM users WHERE name = $1"];
    /// One of them.
    BY_ID = ["SELECT * FROM users WHERE id = $1"];
    /// One of them, until the transaction is over.
    LOCK = ["SELECT * FROM users WHERE id = $1" for_update];
    /// All of them.
    LIST = ["SELECT * FROM users ORDER BY name"];
    /// How many there are.
    COUNT = ["SELECT count(*) AS users FROM users"];
    /// A new password.
    SET_PASSWORD = ["UPDATE users SET password_hash = $2 WHERE id = $1"];
    /// May do other things.
    SET_ROLE = ["UPDATE users SET role = $2 WHERE id = $1"];
    /// May not log in any more.
    DISABLE = ["UPDATE users SET disabled_at = $2 WHERE id = $1 AND disabled_at IS NULL"];
    /// May log in again.
    ENABLE = ["UPDATE users SET disabled_at = NULL WHERE id = $1 AND disabled_at IS NOT NULL"];
    /// A new session.
    INSERT_SESSION = [
        "INSERT INTO sessions (token_hash, user_id, created_at, expires_at, last_used_at, address, browser, vouched_by)
         VALUES ($1, $2, $3, $4, $3, $5, $6, $7)"
    ];
    /// A session that is still good, of a user who still may.
    SESSION = [
        "SELECT s.user_id, s.last_used_at, s.vouched_by, u.name, u.role, u.language, p.name AS person_name,
                EXISTS (SELECT 1 FROM second_factors f WHERE f.user_id = u.id AND f.confirmed_at IS NOT NULL) AS has_second_factor
         FROM sessions s JOIN users u ON u.id = s.user_id LEFT JOIN people p ON p.id = u.person_id
         WHERE s.token_hash = $1 AND s.expires_at > $2 AND s.last_used_at > $3 AND u.disabled_at IS NULL"
    ];
    /// It was used.
    TOUCH_SESSION = [
        "UPDATE sessions SET last_used_at = $2, address = COALESCE($3, address) WHERE token_hash = $1 AND last_used_at < $2"
    ];
    /// Logged out.
    DELETE_SESSION = ["DELETE FROM sessions WHERE token_hash = $1"];
    /// Logged out everywhere.
    DELETE_SESSIONS_OF = ["DELETE FROM sessions WHERE user_id = $1"];
    /// Those that are no good any more.
    FORGET_SESSIONS = ["DELETE FROM sessions WHERE expires_at <= $1 OR last_used_at <= $2"];
}

/// A user to be added.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Which one.
    pub id: UserId,
    /// What they log in with.
    pub name: String,
    /// Argon2id, as a PHC string.
    pub password_hash: String,
    /// What they may do.
    pub role: Role,
    /// Who they are when they answer alarms.
    pub person_id: Option<PersonId>,
    /// Now.
    pub created_at: DateTime<Utc>,
}

/// From where a session is begun.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CameFrom {
    /// The address, behind trusted proxies.
    pub address: Option<String>,
    /// What kind of browser, in words.
    pub browser: Option<String>,
}

impl Db<'_> {
    /// Adds a user; false when the name is taken.
    pub async fn insert_user(&mut self, user: &NewUser) -> Result<bool> {
        let (name, hash) = (user.name.as_str(), user.password_hash.as_str());
        changed_one!(self, INSERT, user.id, name, hash, user.role, user.person_id, user.created_at)
    }

    /// One user.
    pub async fn user(&mut self, id: UserId) -> Result<Option<UserRow>> {
        fetch_optional!(self, BY_ID, id)
    }

    /// One user, whom nobody else changes before this transaction is over.
    pub async fn lock_user(&mut self, id: UserId) -> Result<Option<UserRow>> {
        fetch_optional!(self, LOCK, id)
    }

    /// The user with a name.
    pub async fn user_by_name(&mut self, name: &str) -> Result<Option<UserRow>> {
        fetch_optional!(self, BY_NAME, name)
    }

    /// All users by name.
    pub async fn users(&mut self) -> Result<Vec<UserRow>> {
        fetch_all!(self, LIST)
    }

    /// How many users there are.
    pub async fn count_users(&mut self) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, COUNT)?;
        Ok(row.map_or(0, |(count,)| count))
    }

    /// Gives a user another password; whoever is logged in as them is so no longer.
    pub async fn set_password(&mut self, user: UserId, hash: &str) -> Result<()> {
        execute!(self, SET_PASSWORD, user, hash)?;
        execute!(self, DELETE_SESSIONS_OF, user).map(|_| ())
    }

    /// Lets a user do other things, from their next request on.
    pub async fn set_role(&mut self, user: UserId, role: Role) -> Result<()> {
        execute!(self, SET_ROLE, user, role).map(|_| ())
    }

    /// Shuts a user out, or lets them in again; false when that was so before.
    pub async fn set_user_disabled(&mut self, user: UserId, since: Option<DateTime<Utc>>) -> Result<bool> {
        let changed = match since {
            Some(since) => execute!(self, DISABLE, user, since)?,
            None => execute!(self, ENABLE, user)?,
        };
        execute!(self, DELETE_SESSIONS_OF, user)?;
        Ok(changed == 1)
    }

    /// Begins a session, which ends at the second of these moments at the latest; `by`: who else says who that is.
    pub async fn insert_session(
        &mut self,
        token_hash: &[u8],
        user: UserId,
        (now, expires_at): (DateTime<Utc>, DateTime<Utc>),
        from: &CameFrom,
        by: Option<&str>,
    ) -> Result<()> {
        let (address, browser) = (from.address.as_deref(), from.browser.as_deref());
        execute!(self, INSERT_SESSION, token_hash, user, now, expires_at, address, browser, by).map(|_| ())
    }

    /// Whose session it is; `None` when it is none, has expired, was not used since `idle_since`, or its user is disabled.
    pub async fn session(
        &mut self,
        token_hash: &[u8],
        now: DateTime<Utc>,
        idle_since: DateTime<Utc>,
    ) -> Result<Option<SessionRow>> {
        fetch_optional!(self, SESSION, token_hash, now, idle_since)
    }

    /// Notes that a session is in use, and from where if that is known.
    pub async fn touch_session(&mut self, token_hash: &[u8], now: DateTime<Utc>, address: Option<&str>) -> Result<()> {
        execute!(self, TOUCH_SESSION, token_hash, now, address).map(|_| ())
    }

    /// Ends a session.
    pub async fn delete_session(&mut self, token_hash: &[u8]) -> Result<()> {
        execute!(self, DELETE_SESSION, token_hash).map(|_| ())
    }

    /// Forgets sessions that have expired, or were not used since `idle_since`.
    pub async fn forget_sessions(&mut self, now: DateTime<Utc>, idle_since: DateTime<Utc>) -> Result<u64> {
        execute!(self, FORGET_SESSIONS, now, idle_since)
    }
}
