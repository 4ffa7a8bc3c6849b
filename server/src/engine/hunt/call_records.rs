//! Records of calls are begun at hand-out and completed by whatever is heard of a call, however late, whatever became of its dial and hunt.

use crate::alarm::attribution::DialledCallee;
use crate::alarm::call_record::{self, Heard, Reporting};
use crate::engine::EngineError;
use crate::numbers::{Number, Region};
use crate::store::{Db, Work};

/// Adds to the record of the number at a place of a dial's list.
pub(in crate::engine) async fn hear(work: &mut Work, mid: &str, place: i32, heard: Heard) -> Result<(), EngineError> {
    hear_all(work, mid, |own| (own == place).then(|| heard.clone())).await
}

/// Adds what a report says to the records of its dial's numbers.
pub(in crate::engine) async fn hear_report(
    work: &mut Work,
    mid: &str,
    rings: &[DialledCallee],
    told: Reporting<'_>,
) -> Result<(), EngineError> {
    let said = call_record::report(rings, told);
    hear_all(work, mid, |place| said.get(usize::try_from(place).ok()?).cloned()).await
}

/// Where a number that a handset wrote stands in the list of a dial. `region`: the country whose national form it writes numbers in.
pub(super) fn place_of(rings: &[DialledCallee], number: &str, region: Region) -> Option<i32> {
    let place = rings.iter().position(|ring| Number::from_stored(ring.number.as_str()).matches(number, region))?;
    i32::try_from(place).ok()
}

/// Whether something that was said of the number at a place is news for its record.
pub(in crate::engine) async fn is_news(db: &mut Db<'_>, mid: &str, place: i32, heard: &Heard) -> Result<bool, EngineError> {
    let known = db.heard_of_calls(mid).await?;
    let is_new = |known: Heard| known.clone().and(heard.clone()) != known;
    Ok(known.iter().filter(|own| own.place == place).any(|own| own.heard().is_some_and(is_new)))
}

async fn hear_all(work: &mut Work, mid: &str, said: impl Fn(i32) -> Option<Heard>) -> Result<(), EngineError> {
    for own in work.db().heard_of_calls(mid).await? {
        let Some(heard) = said(own.place) else { continue };
        let Some(known) = own.heard() else { continue };
        let together = known.clone().and(heard);
        // What is told again changes nothing.
        if together != known {
            let call = together.tells(own.handed_out());
            if call.reported_at.is_some() && known.tells(own.handed_out()).reported_at.is_none() {
                work.tally.calls.push((own.kind, call.outcome));
            }
            work.db().complete_call_record(own.id, &together, &call).await?;
        }
    }
    Ok(())
}
