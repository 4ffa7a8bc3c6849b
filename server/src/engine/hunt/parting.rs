//! Alarms leave a hunt that they share, with everything that was done for them: who was rung how often, who said no, where in its
//! policy it is. Nobody is rung again for having been rung in company.

use std::collections::HashMap;

use crate::alarm::{HuntOutcome, Verdict};
use crate::engine::{Engine, EngineError};
use crate::ids::{AnswerId, CalleeId, HuntId};
use crate::reports::counted::Inherited;
use crate::store::Work;
use crate::store::alarm::alarms::AlarmRow;
use crate::store::alarm::answers::AnswerRow;
use crate::store::alarm::hunts::{CalleeRow, HuntRow};

/// A hunt that some alarms left for one of their own.
#[derive(Debug)]
pub(in crate::engine) struct Parted {
    /// The new hunt.
    pub(in crate::engine) hunt: HuntRow,
    /// Who each callee of the old hunt is in it.
    pub(in crate::engine) callees: HashMap<CalleeId, CalleeId>,
}

impl Engine {
    /// Gives alarms that leave a locked hunt one of their own that stands where theirs stood. Calls that are under way stay with the
    /// hunt that made them; the new one is locked, and due as the old one was.
    pub(in crate::engine) async fn part(
        &self,
        work: &mut Work,
        hunt: &HuntRow,
        leaving: &[AlarmRow],
    ) -> Result<Parted, EngineError> {
        let now = work.now();
        let id = HuntId::new(now);
        let priority = leaving.iter().map(|alarm| alarm.priority).max().unwrap_or(hunt.priority);
        work.db().copy_hunt(hunt.id, id, priority).await?;
        let mut inherited = Inherited { unanswered: hunt.outcome == Some(HuntOutcome::NoAnswer), ..Inherited::default() };
        let mut callees = HashMap::new();
        for callee in work.db().callees(hunt.id).await? {
            let own = CalleeRow { id: CalleeId::new(now), ..callee.clone() };
            callees.insert(callee.id, own.id);
            if own.verdict == Some(Verdict::Declined) {
                inherited.declined.insert(own.id);
            }
            work.db().insert_callee(id, &own).await?;
        }
        for answer in work.db().answers_of(hunt.id).await?.into_iter().filter(|answer| answer.lapsed_at.is_none()) {
            let callee_id = answer.callee_id.and_then(|callee| callees.get(&callee).copied());
            let own = AnswerRow { id: AnswerId::new(now), hunt_id: id, callee_id, ..answer };
            inherited.answers.insert(own.id);
            if own.confirmed_at.is_some() {
                inherited.confirmed.insert(own.id);
            }
            work.db().insert_answer(&own).await?;
        }
        work.db().note_inherited(id, &inherited).await?;
        for alarm in leaving {
            work.db().move_alarm(alarm.id, hunt.id, id).await?;
        }
        Ok(Parted { hunt: work.db().lock_hunt(id).await?, callees })
    }

    /// Takes an alarm out of a hunt that it shares: the others are rung for all the same. `None` when it is alone in it.
    pub(in crate::engine) async fn hunt_of_its_own(
        &self,
        work: &mut Work,
        alarm: &AlarmRow,
        hunt: &HuntRow,
    ) -> Result<Option<Parted>, EngineError> {
        if work.db().count_firing(hunt.id).await? < 2 {
            return Ok(None);
        }
        self.part(work, hunt, std::slice::from_ref(alarm)).await.map(Some)
    }
}
