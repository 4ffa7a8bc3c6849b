//! Numbers that must not be called.

use chrono::{DateTime, Utc};

use super::checks;
use super::refused::Refused;
use crate::numbers::{Number, Region};
use crate::store::duty::do_not_call::DoNotCallRow;
use crate::store::edits::Edited;
use crate::store::{Store, Tx};
use crate::versions::{Expected, Version};

/// A number must not be called from now on, whoever names it. A call under way is not cut off.
///
/// # Errors
/// When it is no number, the reason is too long or garbled, or the database fails.
pub async fn forbid(
    store: &Store,
    number: &str,
    reason: Option<String>,
    region: Region,
    expected: &Expected,
    now: DateTime<Utc>,
) -> Result<Number, Refused> {
    let number = parse(number, region)?;
    let reason = checks::optional_text("reason", reason, checks::LONGEST_NOTE)?.unwrap_or_default();
    let mut tx = store.begin().await?;
    check(&mut tx, &number, expected).await?;
    tx.db().forbid_number(number.as_str(), &reason, now).await?;
    tx.commit().await?;
    Ok(number)
}

/// A number may be called again; false when it was not among those that must not be.
///
/// # Errors
/// When it is no number, or the database fails.
pub async fn allow(store: &Store, number: &str, region: Region, expected: &Expected) -> Result<bool, Refused> {
    let number = parse(number, region)?;
    let mut tx = store.begin().await?;
    check(&mut tx, &number, expected).await?;
    let was = tx.db().allow_number(number.as_str()).await?;
    tx.commit().await?;
    Ok(was)
}

/// The version of an entry.
#[must_use]
pub fn version(row: &DoNotCallRow) -> Version {
    Version::of(&(&row.number, &row.reason, row.created_at))
}

/// Refuses a change for whoever has read something else than what is there.
async fn check(tx: &mut Tx, number: &Number, expected: &Expected) -> Result<(), Refused> {
    if *expected != Expected::Anything {
        tx.db().lock_edits(Edited::DoNotCall).await?;
        let row = tx.db().forbidden(number.as_str()).await?;
        expected.check(row.as_ref().map(version).as_ref())?;
    }
    Ok(())
}

/// Reads a number as somebody writes it.
///
/// # Errors
/// When it is none.
pub fn parse(number: &str, region: Region) -> Result<Number, Refused> {
    Number::parse(number, region).map(|parsed| parsed.number).map_err(|error| Refused::wrong("number", error.to_string()))
}
