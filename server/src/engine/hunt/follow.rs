//! Carries out what the pure rules say follows from a word about a locked hunt.

use chrono::{DateTime, Utc};

use super::closing::{self, Tally};
use crate::alarm::HuntOutcome;
use crate::alarm::consequences::Consequence;
use crate::alarm::event::Event;
use crate::engine::{Engine, EngineError};
use crate::store::Tx;
use crate::store::alarm::hunts::HuntRow;

impl Engine {
    /// Does one thing that follows. What comes of a report alone, or of somebody who comes off the hunt, is done where these are taken in.
    pub(in crate::engine) async fn follow(
        &self,
        tx: &mut Tx,
        hunt: &HuntRow,
        one: Consequence,
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<(), EngineError> {
        match one {
            Consequence::Settled { callee, verdict } => Ok(tx.db().set_verdict(callee, verdict).await?),
            Consequence::Lapse { answer } => {
                tx.db().lapse_answer(answer, now).await?;
                Ok(())
            }
            Consequence::End { outcome, dials_as } => closing::end_hunt(tx, hunt, outcome, None, dials_as, now, tally).await,
            Consequence::AnsweredAfterAll => {
                if tx.db().answered_after_all(hunt.id, now).await? {
                    let event = Event::HuntEnded { outcome: HuntOutcome::Answered, reason: None };
                    tx.db().insert_event(None, Some(hunt.id), now, &event).await?;
                    tally.hunts.push((HuntOutcome::Answered, None));
                }
                Ok(())
            }
            Consequence::CloseUnwantedDials => closing::close_unwanted_dials(tx, hunt.id, now, tally).await,
            Consequence::Settle => self.settle(tx, hunt.id, now, tally).await,
        }
    }
}
