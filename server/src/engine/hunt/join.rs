//! An alarm joins a hunt for the same people that is under way, instead of ringing them once more beside it.

use crate::alarm::Priority;
use crate::alarm::event::Event;
use crate::alarm::storm::{self, Join, Like, Open, Own};
use crate::engine::{Engine, EngineError, delta};
use crate::ids::{AlarmId, HuntId};
use crate::store::Work;
use crate::store::alarm::hunts::CalleeRow;

impl Engine {
    /// Puts a new alarm into a hunt for the same people, if there is one that it may join; else others may join its own from now on.
    ///
    /// # Errors
    /// When the database fails; a unique violation when a hunt for the same people was made at the same time: then try again.
    pub(in crate::engine) async fn join_if_alike(
        &self,
        work: &mut Work,
        priority: Priority,
        by_itself: bool,
        alarm: AlarmId,
        own: HuntId,
    ) -> Result<(), EngineError> {
        let now = work.now();
        self.mind_quiet_hours(work, priority, own).await?;
        let window = delta(self.config.alarms.join_window);
        let hunt = work.db().lock_hunt(own).await?;
        if window.is_zero() || by_itself || hunt.ended_at.is_some() {
            return Ok(());
        }
        let callees: Vec<_> = work.db().callees(own).await?.iter().map(CalleeRow::to_rule).collect();
        let policy = hunt.policy_id.map(|policy| policy.to_string());
        let key = storm::join_key(&Like {
            mode: hunt.mode,
            until: hunt.until,
            confirm_within: hunt.confirm_within,
            wants_key: hunt.wants_key,
            policy,
            begin_window_s: hunt.begin_window_s,
            callees: &callees,
        });
        if let Some(other) = work.db().lock_hunt_with_join_key(&key).await? {
            let answered = !work.db().answers_of(other.id).await?.is_empty();
            let refused = work.db().callees(other.id).await?.iter().any(|callee| callee.verdict.is_some());
            let open = Open {
                created_at: other.created_at,
                step: other.step,
                answered,
                refused,
                snoozed_until: other.snoozed_until,
                priority: other.priority,
                step_ends_at: other.step_ends_at,
            };
            let joining = Own { priority, step_ends_at: hunt.step_ends_at };
            if let Some(Join { step_ends_at }) = storm::join(&open, &joining, window, now) {
                work.db().set_alarm_hunt(alarm, other.id, now).await?;
                work.db().raise_priority(other.id, priority).await?;
                if let Some(ends_at) = step_ends_at {
                    work.db().set_step_end(other.id, ends_at).await?;
                }
                work.db().drop_hunt(own, other.id).await?;
                let alarms = work.db().count_firing(other.id).await?;
                work.db().insert_event(Some(alarm), Some(other.id), now, &Event::Joined { alarms }).await?;
                return self.settle(work, other.id).await;
            }
            work.db().set_join_key(other.id, None).await?;
        }
        Ok(work.db().set_join_key(own, Some(&key)).await?)
    }

    /// A hunt whose people all have quiet hours waits for their end, not for a handset; the timeline says so.
    async fn mind_quiet_hours(&self, work: &mut Work, priority: Priority, hunt: HuntId) -> Result<(), EngineError> {
        let now = work.now();
        if priority == Priority::Critical || work.db().quiet_hours().await?.is_empty() {
            return Ok(());
        }
        self.settle(work, hunt).await?;
        let row = work.db().lock_hunt(hunt).await?;
        if row.ended_at.is_none() && row.due_at > now {
            work.db().insert_event(None, Some(hunt), now, &Event::Quiet { until: row.due_at }).await?;
        }
        Ok(())
    }
}
