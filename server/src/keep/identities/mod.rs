//! People who come in because somebody else says who they are: a provider of logins, or a proxy in front.
//!
//! They are known by the two things that say who somebody is, issuer and subject. Somebody new gets an account of their own; an account that
//! is there is nobody's to take over, whatever its name or address of mail. Its owner connects it, while being logged in. What its role is,
//! says the provider from then on, each time.

use serde_json::json;

use crate::audit::{Line, Operation};
use crate::ids::{IdentityId, PersonId, UserId};
use crate::keep::roster::RosterError;
use crate::keep::roster::forms::TeamForm;
use crate::keep::roster::teams;
use crate::keep::users::{self, UserError};
use crate::roster::Roster;
use crate::store::access::users::{NewUser, Role, UserRow};
use crate::store::{StoreError, Work};

/// What stands in the place of a password where there is none: no password has this hash.
const NO_PASSWORD: &str = "none";

/// Somebody as they are known elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Known<'k> {
    /// Who knows them.
    pub issuer: &'k str,
    /// What they are called there, and nobody else ever is.
    pub subject: &'k str,
    /// The name that they are to have here where they are new.
    pub name: &'k str,
    /// Their address of mail, where it was verified and is to say which person of the roster they are.
    pub email: Option<&'k str>,
}

/// Why somebody does not come in, or is not connected.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// An account of that name is there, and was not connected.
    #[error("there is a user {0:?} already: its owner logs in with the password and connects it on the page of their password")]
    NameTaken(String),
    /// What they are called can be no name here.
    #[error("what the provider calls them can be no name of a user: set identity.name_claim to another claim")]
    BadName,
    /// They are shut out.
    #[error("the user {0:?} is disabled")]
    Disabled(String),
    /// They are connected with another account.
    #[error("they are connected with another account already")]
    Another,
    /// Nobody could come in while the provider is away.
    #[error(
        "the last administrator with a password of their own must stay without a provider, or nobody could log in while it is away"
    )]
    LastLocalAdmin,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<UserError> for IdentityError {
    fn from(error: UserError) -> Self {
        match error {
            UserError::Store(error) => Self::Store(error),
            UserError::NameTaken(name) => Self::NameTaken(name),
            _ => Self::BadName,
        }
    }
}

/// The user whom somebody is, with this role from now on. Somebody new is added.
///
/// # Errors
/// Why they do not come in.
pub async fn come_in(work: &mut Work, known: Known<'_>, role: Role) -> Result<UserRow, IdentityError> {
    let now = work.now();
    let Some(mut user) = work.db().user_known_as(known.issuer, known.subject).await? else {
        return add(work, known, role).await;
    };
    if user.disabled_at.is_some() {
        return Err(IdentityError::Disabled(user.name));
    }
    if user.role != role {
        users::set_role(work, &user.name, role).await?;
        user.role = role;
    }
    work.db().touch_identity(known.issuer, known.subject, now).await?;
    Ok(user)
}

async fn add(work: &mut Work, known: Known<'_>, role: Role) -> Result<UserRow, IdentityError> {
    let now = work.now();
    let name = users::checked_name(known.name)?;
    let person = match known.email {
        Some(email) => work.db().person_with_email(&email.to_lowercase()).await?.map(|person| person.id),
        None => None,
    };
    let person = match person {
        // One person is one user: the second who says to be it is somebody else.
        Some(person) if work.db().person_is_user(person).await? => None,
        person => person,
    };
    let new =
        NewUser { id: UserId::new(now), name, password_hash: NO_PASSWORD.to_owned(), role, person_id: person, created_at: now };
    if !work.db().insert_user(&new).await? {
        // Their own browser may have been faster, in another window.
        let same = work.db().user_known_as(known.issuer, known.subject).await?;
        return same.filter(|user| user.disabled_at.is_none()).ok_or(IdentityError::NameTaken(new.name));
    }
    let line = Line::new(Operation::UserAdded).of(new.id).named(new.name.as_str()).about(person);
    work.note(line.after(json!({ "role": role.as_str(), "by": known.issuer })));
    if !work.db().insert_identity(IdentityId::new(now), known.issuer, known.subject, new.id, now).await? {
        return Err(IdentityError::Another);
    }
    work.db().user(new.id).await?.ok_or(IdentityError::Another)
}

/// Ends what somebody has open here, of whom the provider says that they may nothing any more. Gives who that is.
///
/// # Errors
/// When the database fails.
pub async fn shut_out(work: &mut Work, issuer: &str, subject: &str) -> Result<Option<UserRow>, StoreError> {
    let user = work.db().user_known_as(issuer, subject).await?;
    if let Some(user) = &user {
        work.db().end_sessions(user.id, None).await?;
    }
    Ok(user)
}

/// A user is known there from now on, and what they may is said there.
///
/// # Errors
/// Why not.
pub async fn connect(work: &mut Work, user: UserId, issuer: &str, subject: &str) -> Result<UserRow, IdentityError> {
    let now = work.now();
    let own = work.db().user(user).await?.filter(|own| own.disabled_at.is_none()).ok_or(IdentityError::Another)?;
    if let Some(known) = work.db().user_known_as(issuer, subject).await? {
        return if known.id == user { Ok(own) } else { Err(IdentityError::Another) };
    }
    if own.role == Role::Admin && work.db().other_local_admins(user).await? == 0 {
        return Err(IdentityError::LastLocalAdmin);
    }
    if !work.db().insert_identity(IdentityId::new(now), issuer, subject, user, now).await? {
        return Err(IdentityError::Another);
    }
    let line = Line::new(Operation::UserConnected).of(user).named(own.name.as_str()).about(own.person_id);
    work.note(line.after(json!({ "by": issuer })));
    Ok(own)
}

/// A user is known nowhere else any more, and what they have open ends: it was begun by somebody else's word. Gives whether they were.
///
/// # Errors
/// When there is no such user, or the database fails.
pub async fn disconnect(work: &mut Work, name: &str) -> Result<bool, UserError> {
    let user = users::find(&mut work.db(), name).await?;
    if work.db().delete_identities_of(user.id).await? == 0 {
        return Ok(false);
    }
    work.db().end_sessions(user.id, None).await?;
    work.note(Line::new(Operation::UserDisconnected).of(user.id).named(user.name).about(user.person_id));
    Ok(true)
}

/// Puts a person into the teams that a provider says, and takes them out of those that it decides about and does not say. A team keeps its
/// last member: whom it rings at night is not to be nobody because of a group that was renamed.
///
/// # Errors
/// When the database fails. A team that is not there, or that somebody else changes just now, is left for the next time.
pub async fn follow_teams(work: &mut Work, person: PersonId, given: &[String], decided: &[&str]) -> Result<(), StoreError> {
    if decided.is_empty() {
        return Ok(());
    }
    let own = work.db().teams_of(person).await?;
    let differs = |team: &&str| given.iter().any(|one| one == team) != own.iter().any(|one| one == team);
    let differing: Vec<&str> = decided.iter().copied().filter(differs).collect();
    if differing.is_empty() {
        return Ok(());
    }
    let now = work.now();
    let roster = work.db().roster_from(now).await?;
    for team in differing {
        let Some(form) = changed_team(&roster, team, person, given.iter().any(|one| one == team)) else { continue };
        match teams::change(work, team, &form).await {
            Ok(_) => {}
            Err(RosterError::Store(error)) => return Err(error),
            Err(error) => tracing::warn!(team, %error, "a team does not follow what the provider of logins says"),
        }
    }
    Ok(())
}

/// The team with a person in it, or without them; `None` where it stays as it is.
fn changed_team(roster: &Roster, name: &str, person: PersonId, is_in: bool) -> Option<TeamForm> {
    let Some(team) = roster.teams.iter().find(|team| team.name == name) else {
        tracing::warn!(team = name, "identity.teams names a team that is not there");
        return None;
    };
    let mut members = team.members.clone();
    if is_in {
        members.push(person);
    } else {
        members.retain(|own| *own != person);
    }
    if members.is_empty() {
        tracing::warn!(team = name, "the provider of logins says that nobody is in a team any more: it keeps its last member");
        return None;
    }
    let members = members.iter().map(ToString::to_string).collect();
    Some(TeamForm { name: team.name.clone(), members, version: Some(team.version) })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::ids::TeamId;
    use crate::roster::Team;
    use chrono::DateTime;

    #[test]
    fn a_team_keeps_its_last_member() {
        let now = DateTime::UNIX_EPOCH;
        let (lin, mia) = (PersonId::new(now), PersonId::new(now));
        let roster = |members: &[PersonId]| Roster {
            teams: vec![Team { id: TeamId::new(now), name: "Web".to_owned(), members: members.to_vec(), version: 4 }],
            ..Roster::default()
        };
        let members = |roster: &Roster, person, is_in| changed_team(roster, "Web", person, is_in).map(|form| form.members);
        assert_eq!(
            members(&roster(&[lin]), mia, true).unwrap(),
            [lin.to_string(), mia.to_string()],
            "behind those who are there"
        );
        assert_eq!(members(&roster(&[lin, mia]), lin, false).unwrap(), [mia.to_string()]);
        assert_eq!(members(&roster(&[lin]), lin, false), None);
        assert!(changed_team(&roster(&[lin]), "Db", mia, true).is_none());
        assert_eq!(changed_team(&roster(&[]), "Web", mia, true).unwrap().version, Some(4));
    }
}
