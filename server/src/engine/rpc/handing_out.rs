//! The call of a program goes to a handset that asks, and what that is told of it.

use std::time::Duration;

use android_protocol::voice::script::Script;
use chrono::{DateTime, TimeDelta, Utc};

use crate::cti::Resource;
use crate::cti::effect::{HandedOut, Heard};
use crate::engine::hunt::claim::{Asker, Offer, Step, record_hand_out};
use crate::engine::{Engine, EngineError, delta};
use crate::ids;
use crate::lock::{Acquired, LockGuard};
use crate::numbers::Number;
use crate::store::alarm::dials::{NewDial, NewTarget};
use crate::store::alarm::hunts::{CalleeRow, HuntRow};
use crate::store::media::recordings::Records;
use crate::store::rpc::resources::ResourceRow;
use crate::store::{StoreError, Work};

/// How long the lock on a number lives should this node die while it claims.
const CLAIM_LOCK: Duration = Duration::from_secs(5);
/// Nothing is looked at twice within this.
const SHORTEST_WAIT: TimeDelta = TimeDelta::seconds(1);
/// A handset gives a call up so long after it may have lasted longest.
const AFTERWARDS: TimeDelta = TimeDelta::seconds(120);

/// How long a call may ring and last.
pub(super) struct Lasts {
    pub(super) ring: u32,
    pub(super) talk: u32,
}

/// The same of a resource; `None` where it is no call.
pub(super) fn lasts(row: &ResourceRow) -> Option<Lasts> {
    let resource: Resource = serde_json::from_value(row.state.0.clone()).ok()?;
    match resource {
        Resource::Call(call) => Some(Lasts { ring: call.max_ring_seconds(), talk: call.max_answer_seconds() }),
        Resource::Conf(_) | Resource::Notify(_) | Resource::Duo(_) => None,
    }
}

impl Lasts {
    /// The longest that the whole of it takes, from its hand-out.
    pub(super) fn whole(&self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.ring) + i64::from(self.talk)) + AFTERWARDS
    }
}

impl Engine {
    /// Moves the locked hunt of a call on: hand out, once, or wait.
    pub(in crate::engine) async fn advance_call(
        &self,
        work: &mut Work,
        hunt: &HuntRow,
        asker: &Asker,
        locks: &mut Vec<LockGuard>,
    ) -> Result<Step, EngineError> {
        let now = work.now();
        let far = now + TimeDelta::days(1);
        let row = work.db().resource_of_hunt(hunt.id).await?;
        let callee = work.db().callees(hunt.id).await?.into_iter().next();
        let (Some(row), Some(callee)) = (row.filter(|row| row.released_at.is_none() && row.mid.is_none()), callee) else {
            work.db().set_hunt_due(hunt.id, far, far, now).await?;
            return Ok(Step::NextHunt);
        };
        if hunt.begin_before <= now {
            // Its program gives up with the next look at it: nobody is rung after that.
            return self.not_called(work, hunt, &row, &Heard::NoChannel).await;
        }
        if asker.speaks() && !asker.handset.bulk && !self.leaves_enough(work, asker).await? {
            // Alarms may need the last channel.
            work.db().set_hunt_due(hunt.id, now + SHORTEST_WAIT, hunt.begin_before, now).await?;
            return Ok(Step::NextHunt);
        }
        if work.db().forbidden(&callee.number).await?.is_some() {
            return self.not_called(work, hunt, &row, &Heard::Barred).await;
        }
        let Some(lasts) = lasts(&row) else { return Err(StoreError::Inconsistent(format!("{} is no call", row.id)).into()) };
        let dial = self.dial_of_call(hunt, &callee, asker, &lasts, now);
        let names: Vec<String> = dial.targets.iter().map(|target| format!("number:{}", target.phone())).collect();
        let is_free = match self.locks.try_lock_all(&names, CLAIM_LOCK).await {
            Acquired::Held(guard) => {
                locks.push(guard);
                true
            }
            Acquired::Taken => false,
            // The unique indexes decide all the same.
            Acquired::Unavailable => true,
        };
        if !is_free || work.db().is_phone_busy(&callee.phone(), now).await? {
            return self.not_called(work, hunt, &row, &Heard::NumberBusy).await;
        }
        work.db().savepoint().await?;
        if !work.db().insert_dial(&dial).await? {
            work.db().rollback_to_savepoint().await?;
            return Ok(Step::StartAgain);
        }
        if !work.db().insert_targets(&dial).await? {
            work.db().rollback_to_savepoint().await?;
            return self.not_called(work, hunt, &row, &Heard::NumberBusy).await;
        }
        work.db().release_savepoint().await?;
        // What is asked to be recorded is kept.
        work.db().tell_dial(&dial.mid, None, Some(Records::Message)).await?;
        record_hand_out(work, hunt, std::slice::from_ref(&callee), &dial, Some(&asker.handset)).await?;
        // One hand-out, whatever comes of it.
        work.db().set_hunt_due(hunt.id, far, far, now).await?;
        work.db().resource_handed_out(&row.id, &dial.mid, asker.handset.id).await?;
        let can = asker.can();
        let heard = Heard::HandedOut(HandedOut { handset: asker.handset.name.clone(), channel: asker.channel, can });
        self.keep_heard(work, &row.id, &heard).await?;
        Ok(Step::HandedOut(Offer {
            mid: dial.mid,
            hunt_id: hunt.id,
            phones: dial.phones,
            deadline: dial.deadline,
            asks_key: dial.asks_key,
            counted_at: now,
        }))
    }

    /// A call is not made.
    async fn not_called(&self, work: &mut Work, hunt: &HuntRow, row: &ResourceRow, why: &Heard) -> Result<Step, EngineError> {
        let now = work.now();
        let far = now + TimeDelta::days(1);
        work.db().set_hunt_due(hunt.id, far, far, now).await?;
        self.keep_heard(work, &row.id, why).await?;
        Ok(Step::NextHunt)
    }

    fn dial_of_call(&self, hunt: &HuntRow, callee: &CalleeRow, asker: &Asker, lasts: &Lasts, now: DateTime<Utc>) -> NewDial {
        let country = asker.handset.country.parse().unwrap_or(self.region());
        let speaks = asker.speaks();
        let ring = if speaks { i64::from(lasts.ring) } else { i64::from(asker.handset.ring_seconds) };
        let own = Duration::from_secs(u64::try_from(ring).unwrap_or(0));
        NewDial {
            mid: ids::new_mid(now),
            hunt_id: hunt.id,
            handset_id: Some(asker.handset.id),
            exclusive: true,
            phones: vec![Number::from_stored(callee.number.as_str()).dial_string(country)],
            offered_at: now,
            deadline: now + delta(self.config.handsets.dial_time(1, own)),
            line_free_at: asker.line_free_at(now),
            profile: Some(asker.profile),
            asks_key: speaks,
            channel: asker.channel,
            targets: vec![NewTarget { callee_id: callee.id, number: callee.number.clone(), attempts: 1 }],
        }
    }

    /// What is said in a call of a program, and how long it may ring; `None` where the hunt is none of one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn call_script(&self, offer: &Offer) -> Result<Option<(Script, u64)>, EngineError> {
        let row = self.store.read().await?.db().resource_of_hunt(offer.hunt_id).await?;
        let Some(lasts) = row.as_ref().and_then(lasts) else { return Ok(None) };
        Ok(Some((staying(lasts.talk), u64::from(lasts.ring))))
    }
}

/// What a handset is told that holds a call for a program: nothing, until it is commanded.
pub(super) fn staying(seconds: u32) -> Script {
    Script { stay: true, max_seconds: Some(u64::from(seconds)), ..Script::default() }
}
