//! The second factor of a user: set up with a code that shows that their app has it, asked for when they log in, taken away by themselves
//! with a code, or by an admin. Its secret is shown while it is set up, and never again.

use chrono::TimeDelta;

use super::{UserError, find};
use crate::audit::{Line, Operation};
use crate::ids::UserId;
use crate::rights::second_factor::{self, RECOVERY_CODES, SECRET_BYTES, Typed};
use crate::secrets;
use crate::store::access::second_factors::SecondFactorRow;
use crate::store::access::users::UserRow;
use crate::store::{Db, Work};

/// What came of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It is right, and used up.
    Right,
    /// It is a code on paper, and used up; so many are left.
    RightOnPaper(i64),
    /// It is wrong, or was used before.
    Wrong,
    /// Too many were wrong: another one of an app is looked at after so long.
    TooSoon(TimeDelta),
    /// None is asked for.
    NotAsked,
}

impl Checked {
    /// Whether it was right.
    #[must_use]
    pub fn is_right(self) -> bool {
        matches!(self, Self::Right | Self::RightOnPaper(_))
    }
}

/// The second factor of a user that is asked for.
///
/// # Errors
/// When the database fails.
pub async fn confirmed(db: &mut Db<'_>, user: UserId) -> Result<Option<SecondFactorRow>, UserError> {
    Ok(db.second_factor(user).await?.filter(|own| own.confirmed_at.is_some()))
}

/// Begins to set one up: a new secret, which counts for nothing until a code has shown that an app has it.
///
/// # Errors
/// When there is one already, or the database fails.
pub async fn begin(work: &mut Work, user: UserId) -> Result<(), UserError> {
    let (secret, now) = (rand::random::<[u8; SECRET_BYTES]>(), work.now());
    if work.db().begin_second_factor(user, &secret, now).await? { Ok(()) } else { Err(UserError::HasSecondFactor) }
}

/// Sets it up, by a code of the app: from now on one is asked for, and what is logged in without one is so no longer, but for this session.
/// Gives the codes for paper.
///
/// # Errors
/// When none was begun, or it is set up already, or the database fails.
pub async fn confirm(
    work: &mut Work,
    user: &UserRow,
    text: &str,
    session: &[u8],
) -> Result<Result<Vec<String>, Checked>, UserError> {
    let now = work.now();
    let row = work.db().lock_second_factor(user.id).await?.ok_or(UserError::NoSecondFactor)?;
    if row.confirmed_at.is_some() {
        return Err(UserError::HasSecondFactor);
    }
    match of_app(work, &row, text).await? {
        Checked::Right => {}
        other => return Ok(Err(other)),
    }
    work.db().confirm_second_factor(user.id, now).await?;
    work.db().end_sessions(user.id, Some(session)).await?;
    let codes = new_codes(work, user.id).await?;
    work.note(line(Operation::UserSecondFactorSet, user));
    Ok(Ok(codes))
}

/// Looks at what a user typed where a code is asked for, and uses it up.
///
/// # Errors
/// When the database fails.
pub async fn check(work: &mut Work, user: UserId, text: &str) -> Result<Checked, UserError> {
    let now = work.now();
    let row = work.db().lock_second_factor(user).await?.filter(|row| row.confirmed_at.is_some());
    let Some(row) = row else { return Ok(Checked::NotAsked) };
    // A code on paper has eighty bits: it is not guessed, and whoever has one is let in whatever others try meanwhile.
    if let Typed::OnPaper(code) = Typed::read(text)
        && work.db().use_recovery_code(user, &secrets::hash(&code), now).await?
    {
        return Ok(Checked::RightOnPaper(work.db().recovery_codes_left(user).await?));
    }
    of_app(work, &row, text).await
}

/// Looks at a code of an app. Wrong ones are counted where they hold on all nodes.
async fn of_app(work: &mut Work, row: &SecondFactorRow, text: &str) -> Result<Checked, UserError> {
    let now = work.now();
    if let Some(left) = second_factor::pause(row.wrong, row.wrong_at, now) {
        return Ok(Checked::TooSoon(left));
    }
    let step = match Typed::read(text) {
        Typed::OfApp(code) => second_factor::step_of(&row.secret, &code, row.last_step, now),
        Typed::OnPaper(_) | Typed::Neither => None,
    };
    if let Some(step) = step
        && work.db().use_up_step(row.user_id, step).await?
    {
        return Ok(Checked::Right);
    }
    work.db().count_wrong_code(row.user_id, now).await?;
    Ok(Checked::Wrong)
}

/// Makes other codes for paper; those of before are good no more.
///
/// # Errors
/// When no code is asked for, or the database fails.
pub async fn renew_codes(work: &mut Work, user: &UserRow) -> Result<Vec<String>, UserError> {
    confirmed(&mut work.db(), user.id).await?.ok_or(UserError::NoSecondFactor)?;
    let codes = new_codes(work, user.id).await?;
    work.note(line(Operation::UserRecoveryCodesMade, user));
    Ok(codes)
}

async fn new_codes(work: &mut Work, user: UserId) -> Result<Vec<String>, UserError> {
    let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| super::new_password()).collect();
    let hashes: Vec<[u8; 32]> = codes.iter().map(|code| secrets::hash(&code.replace('-', ""))).collect();
    work.db().set_recovery_codes(user, &hashes).await?;
    Ok(codes)
}

/// Takes a second factor away: by its owner, who has shown a code.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn remove(work: &mut Work, user: &UserRow) -> Result<(), UserError> {
    if !work.db().forget_second_factor(user.id).await? {
        return Err(UserError::NoSecondFactor);
    }
    work.note(line(Operation::UserSecondFactorReset, user));
    Ok(())
}

/// Takes somebody's second factor away who has lost their phone and their paper, and logs them out everywhere: what was lost may be in use.
///
/// # Errors
/// When there is no such user, or they have none, or the database fails.
pub async fn reset(work: &mut Work, name: &str) -> Result<(), UserError> {
    let user = find(&mut work.db(), name).await?;
    remove(work, &user).await?;
    work.db().end_sessions(user.id, None).await?;
    Ok(())
}

fn line(operation: Operation, user: &UserRow) -> Line {
    Line::new(operation).of(user.id).named(user.name.as_str()).about(user.person_id)
}
