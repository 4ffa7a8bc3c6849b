//! A call of a shout gives its number up to an urgent alarm that waits for it.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};

use crate::alarm::doer::Doer;
use crate::alarm::hunt::ListForm;
use crate::engine::hunt::claim::note_busy_number;
use crate::engine::hunt::closing;
use crate::engine::hunt::ladder::{Busy, Next};
use crate::engine::{Engine, EngineError};
use crate::ids::{HuntId, short_mid};
use crate::shout::calls::Word;
use crate::shout::course;
use crate::store::Announcement;

/// So long an urgent alarm waits for a number in a shout's call.
const WAITS: TimeDelta = TimeDelta::seconds(5);
/// A handset that hangs up when it tells next how far it is has done so by then; one that has not is silent.
const HANGS_UP_WITHIN: TimeDelta = TimeDelta::seconds(30);

impl Engine {
    /// Ends the calls of shouts for whose numbers urgent alarms have waited long enough. The dial stays open until its handset reports that the
    /// line is free, so that the alarm does not find it busy.
    pub(in crate::engine) async fn give_way(&self, now: DateTime<Utc>) -> Result<usize, EngineError> {
        let in_the_way = self.store.read().await?.db().shout_calls_in_the_way(now - WAITS).await?;
        let mut ended = 0;
        let mut gave_way = HashSet::new();
        for (mid, hunt) in in_the_way {
            // Whoever has said no meanwhile, or is left in peace, is not waited for any more.
            if gave_way.contains(&mid) || !self.still_waits(hunt, now).await? {
                continue;
            }
            gave_way.insert(mid.clone());
            let dial = self.store.read().await?.db().dial(&mid).await?;
            let Some(dial) = dial else { continue };
            let mut work = self.work_at(now, Doer::Server).await?;
            let Some(own) = self.own_call(&mut work, &dial).await? else { continue };
            if own.dial.closed_at.is_some() {
                continue;
            }
            let Some(recipient) = own.recipient else {
                // Whoever speaks a message is needed for something else: that recording is over.
                self.tell_shout(&mut work, &own.shout, course::Word::GaveUp).await?;
                work.commit().await?;
                continue;
            };
            let connected = own.targets.first().and_then(|target| target.connected_at);
            let message = TimeDelta::seconds(i64::from(own.shout.seconds));
            let heard = connected.is_some_and(|at| now - at >= message);
            let (_, is_news) = self.tell_call(&mut work, &own.shout, &recipient, Word::GaveWay { heard }).await?;
            if !is_news {
                continue;
            }
            work.db().shorten_dial(&mid, now + HANGS_UP_WITHIN).await?;
            closing::hang_up(&mut work, &mid).await?;
            work.announce(Announcement::Calls);
            work.commit().await?;
            tracing::info!(shout = own.shout.id, dial.mid = short_mid(&mid), "a call of a shout ends for an urgent alarm");
            ended += 1;
        }
        Ok(ended)
    }

    /// Whether the alarms of a hunt would ring that phone now for which it waits, as far as the rule says.
    async fn still_waits(&self, hunt: HuntId, now: DateTime<Utc>) -> Result<bool, EngineError> {
        let mut work = self.work_at(now, Doer::Server).await?;
        let hunt = work.db().lock_hunt(hunt).await?;
        if hunt.ended_at.is_some() {
            return Ok(false);
        }
        let busy = Busy::Elsewhere(work.db().busy_phones(hunt.id, now).await?);
        let Next { hunt, waits_for, .. } = self.next_move(&mut work, &hunt, &busy, ListForm::One).await?;
        let waits = waits_for.is_some() && waits_for == hunt.busy_phone;
        note_busy_number(&mut work, &hunt, waits_for).await?;
        work.commit().await?;
        Ok(waits)
    }
}
