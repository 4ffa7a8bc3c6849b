//! What follows when a dial closes: the hunt goes on, or ends with everything that belongs to it.

use android_protocol::live::LiveOrder;
use android_protocol::wire::Capability;
use chrono::{DateTime, Utc};

use super::ladder::Busy;
use super::serves::ring_of;
use crate::alarm::doer::Doer;
use crate::alarm::event::{Event, RingsAgain};
use crate::alarm::hunt::{self, Decision, ListForm};
use crate::alarm::ringing::{self, Close, Line};
use crate::alarm::{AlarmKind, DialOutcome, EndReason, HuntOutcome};
use crate::engine::{Engine, EngineError, seconds};
use crate::ids::{CalleeId, HuntId};
use crate::store::alarm::dials::{TargetRow, without_word};
use crate::store::alarm::hunts::HuntRow;
use crate::store::alarm::live::NewLiveCommand;
use crate::store::{Announcement, Work};

/// Ends a locked hunt: its open dials are closed with `dials_as`, their numbers are free. Does nothing when it has ended.
pub(in crate::engine) async fn end_hunt(
    work: &mut Work,
    hunt: &HuntRow,
    outcome: HuntOutcome,
    reason: Option<EndReason>,
    dials_as: DialOutcome,
) -> Result<(), EngineError> {
    let now = work.now();
    close_open_dials(work, hunt.id, dials_as).await?;
    if work.db().end_hunt(hunt.id, outcome, reason, now).await? {
        work.db().insert_event(None, Some(hunt.id), now, &Event::HuntEnded { outcome, reason: Some(reason) }).await?;
        work.tally.hunt_ended(hunt.kind, outcome, reason);
        if outcome == HuntOutcome::Answered {
            work.tally.hunt_answered_after(hunt.kind, seconds_between(hunt.created_at, now));
        }
    }
    work.announce(Announcement::Hunts);
    Ok(())
}

/// Closes whatever dials of a locked hunt are still open, but for those in whose call somebody has pressed a key.
pub(in crate::engine) async fn close_open_dials(work: &mut Work, hunt: HuntId, outcome: DialOutcome) -> Result<(), EngineError> {
    let open = without_word(work.db().open_targets_of(hunt).await?);
    let mut mids: Vec<String> = open.into_iter().map(|target| target.mid).collect();
    mids.dedup();
    for mid in mids {
        close_unwanted_dial(work, hunt, &mid, outcome).await?;
    }
    Ok(())
}

/// Closes a dial of a locked hunt that is not needed any more, where it is still open.
pub(in crate::engine) async fn close_unwanted_dial(
    work: &mut Work,
    hunt: HuntId,
    mid: &str,
    outcome: DialOutcome,
) -> Result<(), EngineError> {
    let now = work.now();
    let line_free_at = line_free_at(work, mid).await?;
    if work.db().close_dial(mid, outcome, now, line_free_at).await? {
        hang_up(work, mid).await?;
        work.tally.dials.push(outcome);
        work.db().insert_event(None, Some(hunt), now, &Event::Superseded { mid: mid.to_owned(), outcome }).await?;
    }
    Ok(())
}

/// Closes the open dials of a hunt in which nobody is wanted any more.
pub(in crate::engine) async fn close_unwanted_dials(work: &mut Work, hunt: HuntId) -> Result<(), EngineError> {
    let callees = work.db().callees(hunt).await?;
    let wanted = |id: CalleeId| callees.iter().any(|callee| callee.id == id && callee.verdict.is_none());
    let open = without_word(work.db().open_targets_of(hunt).await?);
    let mut mids: Vec<&str> = open.iter().map(|target| target.mid.as_str()).collect();
    mids.dedup();
    for mid in mids {
        if !open.iter().any(|target| target.mid == mid && wanted(target.callee_id)) {
            close_unwanted_dial(work, hunt, mid, DialOutcome::Superseded).await?;
        }
    }
    Ok(())
}

/// Tells a handset that takes commands to hang up at once in a dial that was closed without its report: it would hear that it is not wanted
/// only when it says next how far it is.
pub(in crate::engine) async fn hang_up(work: &mut Work, mid: &str) -> Result<(), EngineError> {
    let now = work.now();
    let Some(dial) = work.db().dial(mid).await?.filter(|dial| dial.reported_at.is_none()) else { return Ok(()) };
    let handset = match dial.handset_id {
        Some(id) => work.db().handset(id).await?.filter(|handset| handset.can(Capability::Live)),
        None => None,
    };
    let Some(handset) = handset else { return Ok(()) };
    let order = LiveOrder::Drop { say: None, language: None };
    let place = i32::try_from(under_way(&work.db().targets(mid).await?)).unwrap_or_default();
    let new = NewLiveCommand { handset: handset.id, mid, place, order: &order, by: &Doer::Server, name: None };
    work.db().insert_live_command(&new, now).await?;
    work.announce(Announcement::Live);
    Ok(())
}

/// The place of the number that is being called, as far as the handset has said: the last one of which it said anything.
pub(in crate::engine) fn under_way(targets: &[TargetRow]) -> usize {
    targets.iter().rposition(|target| target.progress.is_some()).unwrap_or_default()
}

/// Until when a call that is not wanted any more may ring on; `None` in a dry run.
async fn line_free_at(work: &mut Work, mid: &str) -> Result<Option<DateTime<Utc>>, EngineError> {
    let now = work.now();
    let Some(dial) = work.db().dial(mid).await?.filter(|dial| dial.handset_id.is_some()) else { return Ok(None) };
    let ring = ring_of(&mut work.db(), dial.handset_id).await?;
    Ok(ringing::quiet(&Line { close: Some(Close::Unwanted(now)), ..dial.line(ring) }, now).numbers)
}

impl Engine {
    /// Ends a locked hunt as the rule says. Alarms that joined it after its first call have not had all the calls that they are
    /// owed: when it ends in vain, they get a hunt of their own.
    pub(in crate::engine) async fn finish(
        &self,
        work: &mut Work,
        hunt: &HuntRow,
        outcome: HuntOutcome,
        reason: Option<EndReason>,
    ) -> Result<(), EngineError> {
        let reason = match reason {
            // A dial that nobody reported proves nothing.
            Some(EndReason::AttemptsUsed) if work.db().has_unreported_callee(hunt.id).await? => Some(EndReason::NoReport),
            reason => reason,
        };
        if hunt.kind == AlarmKind::Call {
            // Its program hears of it, and it ends with that.
            return self.call_is_stuck(work, hunt).await;
        }
        end_hunt(work, hunt, outcome, reason, DialOutcome::Superseded).await?;
        if let (HuntOutcome::NoAnswer, Some(begun_at)) = (outcome, hunt.begun_at) {
            let late = work.db().alarms_joined_after(hunt.id, begun_at).await?;
            // Whoever says no says it of all alarms that are in the hunt by then.
            let callees = work.db().callees(hunt.id).await?;
            let all_said_no = callees.iter().all(|callee| callee.said_no_by_any(&callees));
            if !late.is_empty() && !all_said_no {
                // Boxed, because what begins a hunt may end it at once.
                Box::pin(self.ring_afresh(work, &late, hunt, RingsAgain::JoinedLater)).await?;
            }
        }
        Ok(())
    }

    /// Moves a locked hunt on after something about it has changed: it ends if nothing is left to do, without waiting for a handset
    /// to ask.
    pub(in crate::engine) async fn settle(&self, work: &mut Work, hunt: HuntId) -> Result<(), EngineError> {
        let now = work.now();
        self.settle_since(work, hunt, now).await
    }

    /// The same for a hunt that has wanted a handset for some time: the time in which one must come counts from then.
    pub(in crate::engine) async fn settle_since(
        &self,
        work: &mut Work,
        hunt: HuntId,
        wanted_since: DateTime<Utc>,
    ) -> Result<(), EngineError> {
        let now = work.now();
        let hunt = work.db().lock_hunt(hunt).await?;
        if hunt.ended_at.is_some() {
            return Ok(());
        }
        if let (AlarmKind::Shout, Some(shout)) = (hunt.kind, work.db().shout_of_hunt(hunt.id).await?) {
            return self.settle_shout(work, shout).await;
        }
        if hunt.kind == AlarmKind::Call {
            return self.call_is_stuck(work, &hunt).await;
        }
        let next = self.next_move(work, &hunt, &Busy::Ignored, ListForm::One).await?;
        let wanted_at = match next.decision {
            Decision::Finished { outcome, reason } => {
                return self.finish(work, &next.hunt, outcome, reason).await;
            }
            Decision::Wait { until, .. } => until.max(wanted_since),
            Decision::Dial(_) => wanted_since,
        };
        let due_at = wanted_at.max(now);
        let begin_before = hunt::begin_before(next.hunt.begin_before, wanted_at, seconds(hunt.begin_window_s));
        work.db().set_hunt_due(hunt.id, due_at, begin_before, now).await?;
        work.announce(Announcement::Hunts);
        Ok(())
    }
}

fn seconds_between(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).as_seconds_f64().max(0.0)
}
