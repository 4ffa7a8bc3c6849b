//! What follows when a dial closes: the hunt goes on, or ends with everything that belongs to it.

use chrono::{DateTime, Utc};

use super::ladder::Busy;
use super::serves::ring_of;
use crate::alarm::event::{Event, RingsAgain};
use crate::alarm::hunt::{self, Decision, ListForm};
use crate::alarm::ringing::{self, Close, Line};
use crate::alarm::{DialOutcome, EndReason, HuntOutcome};
use crate::engine::{Engine, EngineError, seconds};
use crate::ids::{CalleeId, HuntId};
use crate::store::alarm::hunts::{CalleeRow, HuntRow};
use crate::store::{Announcement, Counts, Tx};

pub(in crate::engine) use crate::store::Tally;

impl Engine {
    pub(in crate::engine) fn count(&self, tally: &Tally) {
        self.metrics.count(tally);
    }
}

/// Ends a locked hunt: its open dials are closed with `dials_as`, their numbers are free. Does nothing when it has ended.
pub(in crate::engine) async fn end_hunt(
    tx: &mut Tx,
    hunt: &HuntRow,
    outcome: HuntOutcome,
    reason: Option<EndReason>,
    dials_as: DialOutcome,
    now: DateTime<Utc>,
    tally: &mut Tally,
) -> Result<(), EngineError> {
    close_open_dials(tx, hunt.id, dials_as, now, tally).await?;
    if tx.db().end_hunt(hunt.id, outcome, reason, now).await? {
        tx.db().insert_event(None, Some(hunt.id), now, &Event::HuntEnded { outcome, reason: Some(reason) }).await?;
        tally.hunts.push((outcome, reason));
        if outcome == HuntOutcome::Answered {
            tally.answered_after.push(seconds_between(hunt.created_at, now));
        }
    }
    tx.announce(Announcement::Hunts);
    Ok(())
}

/// Closes whatever dials of a locked hunt are still open.
pub(in crate::engine) async fn close_open_dials(
    tx: &mut Tx,
    hunt: HuntId,
    outcome: DialOutcome,
    now: DateTime<Utc>,
    tally: &mut Tally,
) -> Result<(), EngineError> {
    let mut mids: Vec<String> = tx.db().open_targets_of(hunt).await?.into_iter().map(|target| target.mid).collect();
    mids.dedup();
    for mid in mids {
        close_unwanted_dial(tx, hunt, &mid, outcome, now, tally).await?;
    }
    Ok(())
}

/// Closes a dial of a locked hunt that is not needed any more, where it is still open.
pub(in crate::engine) async fn close_unwanted_dial(
    tx: &mut Tx,
    hunt: HuntId,
    mid: &str,
    outcome: DialOutcome,
    now: DateTime<Utc>,
    tally: &mut Tally,
) -> Result<(), EngineError> {
    let line_free_at = line_free_at(tx, mid, now).await?;
    if tx.db().close_dial(mid, outcome, now, line_free_at).await? {
        tally.dials.push(outcome);
        tx.db().insert_event(None, Some(hunt), now, &Event::Superseded { mid: mid.to_owned(), outcome }).await?;
    }
    Ok(())
}

/// Closes the open dials of a hunt in which nobody is wanted any more.
pub(in crate::engine) async fn close_unwanted_dials(
    tx: &mut Tx,
    hunt: HuntId,
    now: DateTime<Utc>,
    tally: &mut Tally,
) -> Result<(), EngineError> {
    let callees = tx.db().callees(hunt).await?;
    let wanted = |id: CalleeId| callees.iter().any(|callee| callee.id == id && callee.verdict.is_none());
    let open = tx.db().open_targets_of(hunt).await?;
    let mut mids: Vec<&str> = open.iter().map(|target| target.mid.as_str()).collect();
    mids.dedup();
    for mid in mids {
        if !open.iter().any(|target| target.mid == mid && wanted(target.callee_id)) {
            close_unwanted_dial(tx, hunt, mid, DialOutcome::Superseded, now, tally).await?;
        }
    }
    Ok(())
}

/// Until when a call that is not wanted any more may ring on; `None` in a dry run.
async fn line_free_at(tx: &mut Tx, mid: &str, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, EngineError> {
    let Some(dial) = tx.db().dial(mid).await?.filter(|dial| dial.handset_id.is_some()) else { return Ok(None) };
    let ring = ring_of(&mut tx.db(), dial.handset_id).await?;
    Ok(ringing::quiet(&Line { close: Some(Close::Unwanted(now)), ..dial.line(ring) }, now).numbers)
}

impl Engine {
    /// Ends a locked hunt as the rule says. Alarms that joined it after its first call have not had all the calls that they are
    /// owed: when it ends in vain, they get a hunt of their own.
    pub(in crate::engine) async fn finish(
        &self,
        tx: &mut Tx,
        hunt: &HuntRow,
        outcome: HuntOutcome,
        reason: Option<EndReason>,
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<(), EngineError> {
        let reason = match reason {
            // A dial that nobody reported proves nothing.
            Some(EndReason::AttemptsUsed) if tx.db().has_unreported_callee(hunt.id).await? => Some(EndReason::NoReport),
            reason => reason,
        };
        end_hunt(tx, hunt, outcome, reason, DialOutcome::Superseded, now, tally).await?;
        if let (HuntOutcome::NoAnswer, Some(begun_at)) = (outcome, hunt.begun_at) {
            let late = tx.db().alarms_joined_after(hunt.id, begun_at).await?;
            // Whoever says no says it of all alarms that are in the hunt by then.
            let all_said_no = tx.db().callees(hunt.id).await?.iter().all(CalleeRow::said_no);
            if !late.is_empty() && !all_said_no {
                // Boxed, because what begins a hunt may end it at once.
                Box::pin(self.ring_afresh(tx, &late, hunt, RingsAgain::JoinedLater, now, tally)).await?;
            }
        }
        Ok(())
    }

    /// Moves a locked hunt on after something about it has changed: it ends if nothing is left to do, without waiting for a handset
    /// to ask.
    pub(in crate::engine) async fn settle(
        &self,
        tx: &mut Tx,
        hunt: HuntId,
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<(), EngineError> {
        self.settle_since(tx, hunt, now, now, tally).await
    }

    /// The same for a hunt that has wanted a handset for some time: the time in which one must come counts from then.
    pub(in crate::engine) async fn settle_since(
        &self,
        tx: &mut Tx,
        hunt: HuntId,
        wanted_since: DateTime<Utc>,
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<(), EngineError> {
        let hunt = tx.db().lock_hunt(hunt).await?;
        if hunt.ended_at.is_some() {
            return Ok(());
        }
        let next = self.next_move(tx, &hunt, &Busy::Ignored, ListForm::One, now).await?;
        let wanted_at = match next.decision {
            Decision::Finished { outcome, reason } => {
                return self.finish(tx, &next.hunt, outcome, reason, now, tally).await;
            }
            Decision::Wait { until, .. } => until.max(wanted_since),
            Decision::Dial(_) => wanted_since,
        };
        let due_at = wanted_at.max(now);
        let begin_before = hunt::begin_before(next.hunt.begin_before, wanted_at, seconds(hunt.begin_window_s));
        tx.db().set_hunt_due(hunt.id, due_at, begin_before).await?;
        tx.announce(Announcement::Hunts);
        Ok(())
    }
}

fn seconds_between(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).as_seconds_f64().max(0.0)
}
