//! What people do about one alarm: confirm, decline, go on to the next step, put it off, ring again, write a note.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::closing;
use super::ladder::who_want_no_more;
use super::ladder::{lapse, left_of_step};
use super::presses::{Acknowledgement, Effect};
use super::raise::{Naming, refuse_if_over};
use super::returns::{add_to, leave_in_peace};
use crate::alarm::doer::{Actor, Doer};
use crate::alarm::event::{Event, RingsAgain};
use crate::alarm::{Confirmation, DialOutcome, Verdict, hunt};
use crate::audit::Operation;
use crate::engine::watch::windows;
use crate::engine::{Engine, EngineError, NewCallee, noted, seconds};
use crate::ids::{AlarmId, AnswerId, CalleeId, HuntId};
use crate::store::Work;
use crate::store::alarm::alarms::AlarmRow;
use crate::store::alarm::hunts::{CalleeRow, HuntRow, NewHunt, SaidNo};

/// Nothing is put off for longer.
pub const MOST_SNOOZE: TimeDelta = TimeDelta::days(30);

impl Engine {
    /// A human confirms one alarm, and no other that is rung for with it: the answer is theirs, and nobody else is rung for it.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm, or it was cancelled or resolved.
    pub async fn acknowledge(&self, id: AlarmId, by: &Acknowledgement) -> Result<AlarmRow, EngineError> {
        self.change(id, &by.doer, async |engine, work, alarm, _| {
            refuse_if_over(alarm)?;
            engine.take_in(work, &[id], by).await?;
            Ok(())
        })
        .await
    }

    /// A callee says no to one alarm, and to no other that is rung for with it: they are not rung again for it, and ringing goes on at
    /// once. Also when they had picked up, as long as nobody has confirmed.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm or callee, or the alarm was cancelled or resolved.
    pub async fn decline(&self, id: AlarmId, callee: CalleeId, by: &Actor) -> Result<AlarmRow, EngineError> {
        self.change(id, &by.doer, async |engine, work, alarm, _| {
            refuse_if_over(alarm)?;
            let acted = engine.decline_in(work, &[id], callee, by, None).await?;
            if acted.iter().any(|acted| acted.effect == Effect::NotTheirs) {
                return Err(EngineError::NoSuchCallee);
            }
            Ok(())
        })
        .await
    }

    /// A person asks for the next step of the policy at once.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm, it is over, its hunt has ended, or there is no further step.
    pub async fn escalate(&self, id: AlarmId, by: &Actor) -> Result<AlarmRow, EngineError> {
        self.change(id, &by.doer, async |engine, work, alarm, hunt| {
            let now = work.now();
            refuse_if_over(alarm)?;
            refuse_if_ended(hunt)?;
            let own = engine.hunt_of_its_own(work, alarm, hunt).await?;
            let hunt = own.as_ref().map_or(hunt, |own| &own.hunt);
            let policy = match hunt.policy_id {
                Some(policy) => work.db().policy(policy).await?,
                None => None,
            };
            if policy.is_none_or(|policy| policy.definition.after(hunt.place()).is_none()) {
                return Err(EngineError::NoFurtherStep);
            }
            // Somebody who asks for the next step does not wait for the word of whoever picked up.
            let given: Vec<AnswerId> = work.db().answers_of(hunt.id).await?.iter().map(|answer| answer.id).collect();
            lapse(work, hunt, &given).await?;
            work.db().end_step_now(hunt.id, now).await?;
            work.note(noted::line(Operation::AlarmEscalated, alarm, by));
            let event = Event::Escalated { by: by.name.clone(), done_by: Some(by.doer.clone()) };
            work.db().insert_event(Some(id), Some(hunt.id), now, &event).await?;
            engine.settle(work, hunt.id).await
        })
        .await
    }

    /// A person gives an alarm another policy: its first step begins when the current one is over.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm or policy, it is over, its hunt has ended, or it is a test, a shout or a call.
    pub async fn set_policy(&self, id: AlarmId, name: &str, by: &Actor) -> Result<AlarmRow, EngineError> {
        self.change(id, &by.doer, async |engine, work, alarm, hunt| {
            let now = work.now();
            refuse_if_over(alarm)?;
            if !alarm.kind.is_alarm() {
                return Err(EngineError::FollowsNoPolicy);
            }
            refuse_if_ended(hunt)?;
            let policy = work.db().policy_by_name(name).await?.ok_or_else(|| EngineError::NoSuchPolicy(name.to_owned()))?;
            let own = engine.hunt_of_its_own(work, alarm, hunt).await?;
            let hunt = own.as_ref().map_or(hunt, |own| &own.hunt);
            let wanted = match policy.definition.confirmation() {
                wanted if wanted == Confirmation::default() => hunt.confirmation(),
                wanted => wanted,
            };
            work.db().set_hunt_policy(hunt.id, policy.id, wanted).await?;
            let before = json!({ "policy": hunt.policy_id });
            work.note(noted::line(Operation::AlarmPolicySet, alarm, by).before(before).after(json!({ "policy": policy.id })));
            let event = Event::PolicySet { policy: name.to_owned(), by: by.name.clone(), done_by: Some(by.doer.clone()) };
            work.db().insert_event(Some(id), Some(hunt.id), now, &event).await?;
            engine.settle(work, hunt.id).await
        })
        .await
    }

    /// A person puts an alarm off: nobody is rung before then, and somebody is after, unless it is over.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm, it is over, or the time is not ahead by at most [`MOST_SNOOZE`].
    pub async fn snooze(&self, id: AlarmId, until: DateTime<Utc>, by: &Actor) -> Result<AlarmRow, EngineError> {
        self.change(id, &by.doer, async |engine, work, alarm, hunt| {
            let now = work.now();
            refuse_if_over(alarm)?;
            if until <= now || until > now + MOST_SNOOZE {
                return Err(EngineError::BadTime);
            }
            work.note(noted::line(Operation::AlarmSnoozed, alarm, by).after(json!({ "until": until })));
            let event = Event::Snoozed { until, by: by.name.clone(), done_by: Some(by.doer.clone()) };
            work.db().insert_event(Some(id), Some(hunt.id), now, &event).await?;
            if hunt.ended_at.is_some() {
                return Ok(work.db().set_ring_again(id, Some(until)).await?);
            }
            let own = engine.hunt_of_its_own(work, alarm, hunt).await?;
            if let Some(own) = &own {
                // The calls that had begun are those of the hunt that it left.
                work.db().not_begun(own.hunt.id).await?;
            }
            let hunt = own.as_ref().map_or(hunt, |own| &own.hunt);
            closing::close_open_dials(work, hunt.id, DialOutcome::Superseded).await?;
            // What was left of the step is left of it afterwards.
            let step_ends_at = hunt.step_ends_at.map(|ends_at| until + left_of_step(hunt, ends_at, now));
            let begin_before = hunt::begin_before(hunt.begin_before, until, seconds(hunt.begin_window_s));
            work.db().snooze_hunt(hunt.id, until, step_ends_at, begin_before).await?;
            engine.settle(work, hunt.id).await
        })
        .await
    }

    /// Keeps a remark on the timeline of an alarm, over or not.
    ///
    /// # Errors
    /// When the database fails or there is no such alarm.
    pub async fn note(&self, id: AlarmId, text: &str, by: &Actor) -> Result<AlarmRow, EngineError> {
        self.change(id, &by.doer, async |_, work, alarm, hunt| {
            let now = work.now();
            work.note(noted::line(Operation::AlarmRemarked, alarm, by).after(json!({ "text": text })));
            let event = Event::Noted { text: text.to_owned(), by: by.name.clone(), done_by: Some(by.doer.clone()) };
            Ok(work.db().insert_event(Some(id), Some(hunt.id), now, &event).await?)
        })
        .await
    }

    /// Rings the same people again with fresh attempts, or by the policy from its first step; ends a snooze.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm, it was cancelled or resolved, or somebody is still being rung.
    pub async fn redial(&self, id: AlarmId, by: &Actor) -> Result<AlarmRow, EngineError> {
        self.change(id, &by.doer, async |engine, work, alarm, hunt| {
            let now = work.now();
            refuse_if_over(alarm)?;
            work.note(noted::line(Operation::AlarmRungAgain, alarm, by));
            if hunt.ended_at.is_some() {
                engine.ring_afresh(work, std::slice::from_ref(alarm), hunt, RingsAgain::Asked).await?;
                return rung_again_by(work, id, by).await;
            }
            if hunt.snoozed_until.is_none_or(|until| until <= now) {
                return Err(EngineError::StillRinging);
            }
            let step_ends_at = hunt.step_ends_at.map(|ends_at| now + left_of_step(hunt, ends_at, now));
            work.db().wake_up_hunt(hunt.id, now, step_ends_at).await?;
            rung_again_by(work, id, by).await?;
            if alarm.held_until.is_some() {
                // A person wants it rung in spite of the maintenance: people are told now.
                work.db().hold_alarm(id, None).await?;
                work.db().insert_event(Some(id), Some(hunt.id), now, &Event::Released {}).await?;
            }
            engine.settle(work, hunt.id).await
        })
        .await
    }

    /// Rings again for alarms that were acknowledged or put off for a time, and are not over.
    pub(in crate::engine) async fn ring_again(&self, now: DateTime<Utc>) -> Result<usize, EngineError> {
        let due = self.store.read().await?.db().alarms_to_ring_again(now).await?;
        let count = due.len();
        for id in due {
            self.change(id, &Doer::Server, async |engine, work, alarm, hunt| {
                let now = work.now();
                let still = alarm.ring_again_at.is_some_and(|at| at <= now);
                if !still || refuse_if_over(alarm).is_err() {
                    return Ok(());
                }
                if hunt.ended_at.is_none() {
                    return Ok(work.db().set_ring_again(id, None).await?);
                }
                let why = if alarm.rings_for_news { RingsAgain::News } else { RingsAgain::NotResolved };
                engine.ring_again_as_before(work, alarm, hunt, why).await
            })
            .await?;
        }
        Ok(count)
    }

    /// A new hunt of some alarms for the people of one that they leave.
    pub(in crate::engine) async fn ring_afresh(
        &self,
        work: &mut Work,
        alarms: &[AlarmRow],
        hunt: &HuntRow,
        why: RingsAgain,
    ) -> Result<(), EngineError> {
        self.ring_afresh_without(work, alarms, hunt, why, None).await
    }

    /// The same, without somebody who has no word in that hunt by which they would be passed over.
    pub(in crate::engine) async fn ring_afresh_without(
        &self,
        work: &mut Work,
        alarms: &[AlarmRow],
        hunt: &HuntRow,
        why: RingsAgain,
        without: Option<&SaidNo>,
    ) -> Result<(), EngineError> {
        let now = work.now();
        let mut earlier = work.db().callees(hunt.id).await?;
        for callee in &mut earlier {
            // A number that was masked meanwhile is asked of the people of today.
            if let Some(person) = callee.person_id.filter(|_| callee.number.contains('*'))
                && let Some(number) = work.db().numbers_of(person).await?.into_iter().next()
            {
                callee.number = number;
            }
            if without.is_some_and(|one| one.is(callee.person_id, &callee.number)) {
                callee.verdict = Some(Verdict::Declined);
            }
        }
        // Whoever said no for these alarms is not asked again, unless a person asks for everybody.
        let mut refused = hunt.refused.as_ref().map(|refused| refused.0.clone()).unwrap_or_default();
        refused.extend(earlier.iter().filter(|callee| callee.said_no()).map(SaidNo::of));
        refused.extend(without.cloned());
        // A person who asks for everybody asks also for those who want to be called no more.
        let no_more = if why == RingsAgain::Asked { Vec::new() } else { who_want_no_more(work, alarms).await? };
        if why == RingsAgain::Asked {
            refused.clear();
        }
        add_to(&mut refused, &no_more);
        let ring = hunt.ring.as_ref().map(|ring| ring.0.clone());
        let same: Vec<NewCallee>;
        let naming = match (hunt.policy_id, &ring) {
            (Some(_), _) => Naming::Policy,
            // Whom the roster names is asked of it again: hours may have passed.
            (None, Some(step)) => {
                let earlier = if why == RingsAgain::Asked { Vec::new() } else { earlier };
                Naming::Step { step: step.clone(), earlier }
            }
            _ => {
                same = again(earlier, &no_more, why);
                Naming::These(&same)
            }
        };
        let attempts = match &naming {
            Naming::These(callees) => callees.iter().map(|callee| callee.max_attempts).collect(),
            Naming::Policy | Naming::Step { .. } => Vec::new(),
        };
        let fresh = NewHunt {
            id: HuntId::new(now),
            kind: hunt.kind,
            // The hunt may have become more urgent because of others that were in it.
            priority: alarms.iter().map(|alarm| alarm.priority).max().unwrap_or(hunt.priority),
            mode: hunt.mode,
            until: hunt.until,
            dry_run: hunt.dry_run,
            dials_left: hunt::hand_out_limit(attempts),
            created_at: now,
            begin_window_s: hunt.begin_window_s,
            only_handset_id: hunt.only_handset_id,
            confirm_within: hunt.confirm_within,
            wants_key: hunt.wants_key,
            needs: hunt.needs.clone(),
            policy_id: hunt.policy_id,
            queue: hunt.queue.clone(),
            ring,
        };
        work.db().insert_hunt(&fresh).await?;
        work.db().set_refused(fresh.id, &refused).await?;
        for alarm in alarms {
            work.db().set_alarm_hunt(alarm.id, fresh.id, now).await?;
            work.db().set_ring_again(alarm.id, None).await?;
            // Who asks for it is told by whoever lets them.
            if !matches!(why, RingsAgain::Asked | RingsAgain::Released) {
                let (news, held_until) = match why {
                    // Nobody is told of what is held.
                    RingsAgain::Worse | RingsAgain::News => {
                        (Some(true), Some(windows::holds(work, alarm.kind, &alarm.labels, alarm.team.as_deref()).await?))
                    }
                    _ => (None, None),
                };
                let event = Event::Redialled { why, news, held_until, by: None, done_by: None };
                work.db().insert_event(Some(alarm.id), Some(fresh.id), now, &event).await?;
            }
        }
        self.name_callees(work, fresh.id, naming).await?;
        leave_in_peace(work, fresh.id, &no_more, why).await?;
        if !matches!(why, RingsAgain::Asked | RingsAgain::Worse) {
            // Whoever was rung a moment ago is not rung again at once.
            work.db().carry_offers(hunt.id, fresh.id).await?;
        }
        Ok(())
    }
}

/// Tells that a person asked for everybody to be rung again.
async fn rung_again_by(work: &mut Work, id: AlarmId, by: &Actor) -> Result<(), EngineError> {
    let now = work.now();
    let hunt = work.db().alarm(id).await?.map(|alarm| alarm.hunt_id);
    let event = Event::Redialled {
        why: RingsAgain::Asked,
        news: None,
        held_until: None,
        by: Some(by.name.clone()),
        done_by: Some(by.doer.clone()),
    };
    Ok(work.db().insert_event(Some(id), hunt, now, &event).await?)
}

fn refuse_if_ended(hunt: &HuntRow) -> Result<(), EngineError> {
    if hunt.ended_at.is_some() { Err(EngineError::HuntOver) } else { Ok(()) }
}

/// The same people once more. Whoever said no for these alarms is asked again only when a person asks for everybody, or nobody else is
/// left: those who want to be called no more, or must not be, are nobody on whom it could count.
fn again(callees: Vec<CalleeRow>, no_more: &[SaidNo], why: RingsAgain) -> Vec<NewCallee> {
    let mut left = callees.clone();
    for callee in &mut left {
        let cannot = callee.verdict == Some(Verdict::DoNotCall);
        if cannot || no_more.iter().any(|one| one.is(callee.person_id, &callee.number)) {
            callee.verdict = Some(Verdict::Declined);
        }
    }
    let all = why == RingsAgain::Asked || left.iter().all(|callee| callee.said_no_by_any(&left));
    let said_no: Vec<bool> = callees.iter().map(|callee| callee.said_no_by_any(&callees)).collect();
    let wanted = callees.into_iter().zip(said_no).filter(|(_, said_no)| all || !said_no).map(|(callee, _)| callee);
    // A number that was masked or erased is none that can be dialled.
    let wanted = wanted.filter(|callee| !callee.number.contains('*'));
    wanted
        .map(|callee| NewCallee {
            number: callee.number,
            known_to_plan: callee.known_to_plan,
            name: callee.name,
            reference: callee.reference,
            max_attempts: callee.max_attempts,
            min_interval_s: callee.min_interval_s,
        })
        .collect()
}
