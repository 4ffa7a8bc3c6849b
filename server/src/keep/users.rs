//! Users of the pages: what their names and passwords must be like, how passwords are hashed, and what users may do.

pub mod kept;
pub mod second_factor;
pub mod sessions;
pub mod teams;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::audit::{Line, Operation};
use crate::ids::{PersonId, UserId};
use crate::secrets;
use crate::store::access::users::{NewUser, Role, UserRow};
use crate::store::{Db, StoreError, Work};
use crate::versions::Stale;

/// Each hash takes 19 MiB and some 20 ms of one core: more at once would only take both from the handsets.
const HASHES_AT_ONCE: usize = 2;
const SHORTEST_PASSWORD: usize = 10;
const LONGEST_PASSWORD: usize = 200;
const LONGEST_NAME: usize = 60;

/// Why a user was not added or changed.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The name is empty, too long, or garbled.
    #[error("a user's name has 1 to {LONGEST_NAME} characters, without line breaks")]
    BadName,
    /// There is one of that name.
    #[error("there is a user {0:?} already: choose another name")]
    NameTaken(String),
    /// There is none of that name.
    #[error("there is no user {0:?}: `autocall user list` shows them")]
    NoSuchUser(String),
    /// There is no team of that name.
    #[error("there is no team {0:?}: `autocall roster list` shows them")]
    NoSuchTeam(String),
    /// They have no role for that team alone.
    #[error("{name:?} has no role for the team {team:?}, so there is none to take away")]
    NoTeamRole {
        /// What they log in with.
        name: String,
        /// Which team.
        team: String,
    },
    /// It is over, or never was.
    #[error("there is no such session: it is over, or the id is not one of ours")]
    NoSuchSession,
    /// They have none.
    #[error("no second factor is set up, so there is none to take away or to confirm")]
    NoSecondFactor,
    /// They have one already.
    #[error("a second factor is set up already: take it away first")]
    HasSecondFactor,
    /// The password is too short or too long.
    #[error("a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")]
    BadPassword,
    /// The password could not be hashed.
    #[error("the password could not be hashed: {0}")]
    Hash(argon2::password_hash::Error),
    /// The hashing was cut off.
    #[error("the password could not be hashed: the server is stopping")]
    Stopping,
    /// Somebody else has changed what they may do.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Hashes passwords, a few at a time.
#[derive(Debug)]
pub struct Passwords {
    places: Semaphore,
    /// The hash of a password that nobody has, so that an unknown name takes as long as a wrong password.
    nobody: tokio::sync::OnceCell<String>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { places: Semaphore::new(HASHES_AT_ONCE), nobody: tokio::sync::OnceCell::new() }
    }
}

impl Passwords {
    /// A password as it is kept.
    ///
    /// # Errors
    /// As [`Passwords::hash`].
    pub async fn hashed(&self, password: &str) -> Result<Hashed, UserError> {
        self.hash(password).await.map(Hashed)
    }

    /// The argon2id hash of a password, as a PHC string.
    ///
    /// # Errors
    /// When the password is too short or too long, or the server is stopping.
    pub async fn hash(&self, password: &str) -> Result<String, UserError> {
        if !(SHORTEST_PASSWORD..=LONGEST_PASSWORD).contains(&password.chars().count()) {
            return Err(UserError::BadPassword);
        }
        let password = password.to_owned();
        self.in_background(move || {
            Argon2::default()
                .hash_password(password.as_bytes())
                .map(|hash: PasswordHash| hash.to_string())
                .map_err(UserError::Hash)
        })
        .await?
    }

    /// Whether it is the password of that user; takes the same time when there is no such user.
    ///
    /// # Errors
    /// When the server is stopping.
    pub async fn verify(&self, password: &str, user: Option<&UserRow>) -> Result<bool, UserError> {
        // Whoever logs in by a provider alone has none: that takes as long to find out as that nobody has this name.
        let user = user.filter(|user| has_password(user));
        let known = user.is_some();
        let hash = match user {
            Some(user) => user.password_hash.clone(),
            None => self.nobody.get_or_try_init(|| self.hash("a password that nobody has")).await?.clone(),
        };
        let password: String = password.chars().take(LONGEST_PASSWORD + 1).collect();
        let right = self
            .in_background(move || {
                PasswordHash::new(&hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
            })
            .await?;
        Ok(right && known)
    }

    async fn in_background<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, UserError> {
        let _place = self.places.acquire().await.map_err(|_| UserError::Stopping)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| UserError::Stopping)
    }
}

/// Whether somebody has a password, and not only a provider who says who they are.
#[must_use]
pub fn has_password(user: &UserRow) -> bool {
    user.password_hash.starts_with('$')
}

/// A new random password that is easy to type: 80 bits.
#[must_use]
pub fn new_password() -> String {
    [(); 4].map(|()| secrets::typed::<4>()).join("-")
}

/// A password as it is kept. It is made before anything is changed: that takes long.
#[derive(Clone)]
pub struct Hashed(String);

/// A name and a password with which somebody is to log in.
#[derive(Clone)]
pub struct Login {
    name: String,
    password: Hashed,
}

impl Login {
    /// Checks the name, and hashes the password.
    ///
    /// # Errors
    /// When the name or the password is bad.
    pub async fn new(passwords: &Passwords, name: &str, password: &str) -> Result<Self, UserError> {
        let name = checked_name(name)?;
        Ok(Self { name, password: passwords.hashed(password).await? })
    }

    /// The same with a password that was hashed before.
    ///
    /// # Errors
    /// When the name is bad.
    pub fn of(name: &str, password: Hashed) -> Result<Self, UserError> {
        Ok(Self { name: checked_name(name)?, password })
    }
}

/// A name as a user may have it.
pub(in crate::keep) fn checked_name(name: &str) -> Result<String, UserError> {
    let name = name.trim();
    let good = !name.is_empty() && name.chars().count() <= LONGEST_NAME && !name.chars().any(char::is_control);
    if good { Ok(name.to_owned()) } else { Err(UserError::BadName) }
}

/// Adds a user.
///
/// # Errors
/// When the name is taken, or the database fails.
pub async fn add(work: &mut Work, login: Login, role: Role, person_id: Option<PersonId>) -> Result<UserId, UserError> {
    let now = work.now();
    let Login { name, password: Hashed(password_hash) } = login;
    let user = NewUser { id: UserId::new(now), name, password_hash, role, person_id, created_at: now };
    if !work.db().insert_user(&user).await? {
        return Err(UserError::NameTaken(user.name));
    }
    let line = Line::new(Operation::UserAdded).of(user.id).named(user.name.as_str()).about(person_id);
    work.note(line.after(json!({ "role": role.as_str() })));
    Ok(user.id)
}

/// The user of that name.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn find(db: &mut Db<'_>, name: &str) -> Result<UserRow, UserError> {
    let user = db.user_by_name(name.trim()).await?;
    user.ok_or_else(|| UserError::NoSuchUser(name.to_owned()))
}

/// Gives a user another password and ends their sessions.
///
/// # Errors
/// When the database fails.
pub async fn set_password(work: &mut Work, user: UserId, Hashed(hash): &Hashed) -> Result<(), UserError> {
    let row = work.db().user(user).await?;
    work.db().set_password(user, hash).await?;
    let line = Line::new(Operation::UserPasswordSet).of(user);
    work.note(match row {
        Some(row) => line.named(row.name).about(row.person_id),
        None => line,
    });
    Ok(())
}

/// Lets a user do what another role may, from their next request on.
///
/// # Errors
/// When there is no such user, or the database fails.
pub async fn set_role(work: &mut Work, name: &str, role: Role) -> Result<(), UserError> {
    let user = find(&mut work.db(), name).await?;
    work.db().set_role(user.id, role).await?;
    let line = Line::new(Operation::UserRoleSet).of(user.id).named(user.name).about(user.person_id);
    work.note(line.before(json!({ "role": user.role.as_str() })).after(json!({ "role": role.as_str() })));
    Ok(())
}

/// Shuts a user out and ends their sessions, or lets them in again.
///
/// # Errors
/// When there is no such user, or the database fails.
pub async fn set_disabled(work: &mut Work, name: &str, disabled: bool) -> Result<(), UserError> {
    let now = work.now();
    let user = find(&mut work.db(), name).await?;
    work.db().set_user_disabled(user.id, disabled.then_some(now)).await?;
    let operation = if disabled { Operation::UserDisabled } else { Operation::UserEnabled };
    work.note(Line::new(operation).of(user.id).named(user.name).about(user.person_id));
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use chrono::DateTime;

    fn user(hash: String) -> UserRow {
        UserRow {
            id: UserId::new(DateTime::UNIX_EPOCH),
            name: "lin".to_owned(),
            password_hash: hash,
            role: Role::Viewer,
            language: String::new(),
            person_id: None,
            created_at: DateTime::UNIX_EPOCH,
            disabled_at: None,
        }
    }

    #[tokio::test]
    async fn only_the_right_password_is_right() {
        let passwords = Passwords::default();
        let lin = user(passwords.hash("correct horse").await.unwrap());
        assert!(lin.password_hash.starts_with("$argon2id$"), "{}", lin.password_hash);
        assert!(passwords.verify("correct horse", Some(&lin)).await.unwrap());
        assert!(!passwords.verify("correct horsE", Some(&lin)).await.unwrap());
        assert!(!passwords.verify("a password that nobody has", None).await.unwrap());
        assert!(!passwords.verify("x", Some(&user("garbage".to_owned()))).await.unwrap());
        assert!(matches!(passwords.hash("short").await, Err(UserError::BadPassword)));
    }

    #[test]
    fn random_passwords_are_long_enough_and_differ() {
        let (one, other) = (new_password(), new_password());
        assert_ne!(one, other);
        assert_eq!(one.len(), 19);
    }
}
