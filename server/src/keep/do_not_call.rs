//! Numbers that must not be called.

use super::checks;
use super::refused::Refused;
use crate::audit::{Line, Operation};
use crate::numbers::{Number, Region};
use crate::store::Work;
use crate::store::duty::do_not_call::DoNotCallRow;
use crate::store::edits::Edited;
use crate::versions::{Expected, Version};
use serde_json::json;

/// A number must not be called from now on, whoever names it. A call under way is not cut off.
///
/// # Errors
/// When it is no number, the reason is too long or garbled, or the database fails.
pub async fn forbid(
    work: &mut Work,
    number: &str,
    reason: Option<String>,
    region: Region,
    expected: &Expected,
) -> Result<Number, Refused> {
    let now = work.now();
    let number = parse(number, region)?;
    let reason = checks::optional_text("reason", reason, checks::LONGEST_NOTE)?.unwrap_or_default();
    check(work, &number, expected).await?;
    work.db().forbid_number(number.as_str(), &reason, now).await?;
    work.note(Line::new(Operation::NumberForbidden).named(number.as_str()).after(json!({ "reason": reason })));
    Ok(number)
}

/// A number may be called again; false when it was not among those that must not be.
///
/// # Errors
/// When it is no number, or the database fails.
pub async fn allow(work: &mut Work, number: &str, region: Region, expected: &Expected) -> Result<bool, Refused> {
    let number = parse(number, region)?;
    check(work, &number, expected).await?;
    let was = work.db().allow_number(number.as_str()).await?;
    if was {
        work.note(Line::new(Operation::NumberAllowed).named(number.as_str()));
    }
    Ok(was)
}

/// The version of an entry.
#[must_use]
pub fn version(row: &DoNotCallRow) -> Version {
    Version::of(&(&row.number, &row.reason, row.created_at))
}

/// Refuses a change for whoever has read something else than what is there.
async fn check(work: &mut Work, number: &Number, expected: &Expected) -> Result<(), Refused> {
    if *expected != Expected::Anything {
        work.db().lock_edits(Edited::DoNotCall).await?;
        let row = work.db().forbidden(number.as_str()).await?;
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
