//! Carries out what the pure rules say follows from a word about a locked hunt.

use super::closing;
use crate::alarm::HuntOutcome;
use crate::alarm::consequences::Consequence;
use crate::alarm::event::Event;
use crate::engine::{Engine, EngineError};
use crate::store::Work;
use crate::store::alarm::hunts::HuntRow;

impl Engine {
    /// Does one thing that follows. What comes of a report alone, or of somebody who comes off the hunt, is done where these are taken in.
    pub(in crate::engine) async fn follow(&self, work: &mut Work, hunt: &HuntRow, one: Consequence) -> Result<(), EngineError> {
        let now = work.now();
        match one {
            Consequence::Settled { callee, verdict } => Ok(work.db().set_verdict(callee, verdict).await?),
            Consequence::Lapse { answer } => {
                work.db().lapse_answer(answer, now).await?;
                Ok(())
            }
            Consequence::End { outcome, dials_as } => closing::end_hunt(work, hunt, outcome, None, dials_as).await,
            Consequence::AnsweredAfterAll => {
                if work.db().answered_after_all(hunt.id, now).await? {
                    let event = Event::HuntEnded { outcome: HuntOutcome::Answered, reason: None };
                    work.db().insert_event(None, Some(hunt.id), now, &event).await?;
                    work.tally.hunt_ended(hunt.kind, HuntOutcome::Answered, None);
                }
                Ok(())
            }
            Consequence::CloseUnwantedDials => closing::close_unwanted_dials(work, hunt.id).await,
            Consequence::Settle => self.settle(work, hunt.id).await,
        }
    }
}
