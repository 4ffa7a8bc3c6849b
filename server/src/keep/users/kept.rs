//! A user as they are kept, with their version, and what is changed only where that is still so.

use super::teams::{self, Standing};
use super::{UserError, second_factor, set_role};
use crate::ids::UserId;
use crate::store::access::users::UserRow;
use crate::store::duty::people::PersonRow;
use crate::store::{Db, Work};
use crate::versions::{Expected, Version};

/// A user with all that is kept of them and may be told.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What is kept.
    pub row: UserRow,
    /// What they may do.
    pub standing: Standing,
    /// Who they are on the list of people.
    pub person: Option<PersonRow>,
    /// A code of their app is asked for.
    pub has_second_factor: bool,
}

impl Kept {
    /// What it is by now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of(db: &mut Db<'_>, row: UserRow) -> Result<Self, UserError> {
        let standing = Standing::of(db, &row).await?;
        let person = match row.person_id {
            Some(person) => db.person(person).await?,
            None => None,
        };
        let has_second_factor = second_factor::confirmed(db, row.id).await?.is_some();
        Ok(Self { row, standing, person, has_second_factor })
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        let person = self.person.as_ref().map(|own| (own.id, &own.name));
        Version::of(&(self.row.id, &self.row.name, &self.standing, person, self.has_second_factor, self.row.disabled_at))
    }
}

/// Looks whether a user is what was read of them, and keeps them so until the work is done.
///
/// # Errors
/// When there is no such user, somebody else has changed them since, or the database fails.
pub async fn expect(work: &mut Work, user: UserId, expected: &Expected) -> Result<(), UserError> {
    if *expected == Expected::Anything {
        return Ok(());
    }
    // In the order of those who log in: they use up a code first.
    work.db().lock_second_factor(user).await?;
    let row = work.db().lock_user(user).await?.ok_or_else(|| UserError::NoSuchUser(user.to_string()))?;
    let kept = Kept::of(&mut work.db(), row).await?;
    Ok(expected.check(Some(&kept.version()))?)
}

/// Lets a user do this, and nothing else.
///
/// # Errors
/// When there is no such user or team, somebody else has changed it since it was read, or the database fails.
pub async fn set_standing(work: &mut Work, user: UserId, wanted: &Standing, expected: &Expected) -> Result<(), UserError> {
    let missing = || UserError::NoSuchUser(user.to_string());
    let row = work.db().lock_user(user).await?.ok_or_else(missing)?;
    let kept = Kept::of(&mut work.db(), row).await?;
    expected.check(Some(&kept.version()))?;
    let Kept { row, standing: before, .. } = kept;
    if before.role != wanted.role {
        set_role(work, &row.name, wanted.role).await?;
    }
    for team in before.teams.keys().filter(|team| !wanted.teams.contains_key(*team)) {
        teams::set_role(work, &row.name, team, None).await?;
    }
    for (team, role) in wanted.teams.iter().filter(|(team, role)| before.teams.get(*team) != Some(role)) {
        teams::set_role(work, &row.name, team, Some(*role)).await?;
    }
    Ok(())
}
