//! Numbers that must not be called: whoever has one is taken off a hunt, and that is said.

use crate::alarm::Verdict;
use crate::alarm::event::Event;
use crate::alarm::hunt::DialPlan;
use crate::engine::EngineError;
use crate::store::Work;
use crate::store::alarm::hunts::{CalleeRow, HuntRow};

/// Takes callees of a plan off whose number must not be called; true when there was one, and the plan no longer holds.
pub(in crate::engine) async fn bar_forbidden(
    work: &mut Work,
    hunt: &HuntRow,
    callees: &[CalleeRow],
    plan: &DialPlan,
) -> Result<bool, EngineError> {
    bar_forbidden_of(work, hunt, callees.iter().filter(|callee| plan.targets.iter().any(|target| target.callee == callee.id)))
        .await
}

/// The same of these callees.
pub(in crate::engine) async fn bar_forbidden_of<'c>(
    work: &mut Work,
    hunt: &HuntRow,
    callees: impl Iterator<Item = &'c CalleeRow>,
) -> Result<bool, EngineError> {
    let now = work.now();
    let mut barred = false;
    for callee in callees {
        if let Some(entry) = work.db().forbidden(&callee.number).await? {
            work.db().set_verdict(callee.id, Verdict::DoNotCall).await?;
            let (name, number) = (callee.name.clone(), callee.number.clone());
            let event = Event::DoNotCall { callee: callee.id, name, number, reason: entry.reason };
            work.db().insert_event(None, Some(hunt.id), now, &event).await?;
            barred = true;
        }
    }
    Ok(barred)
}
