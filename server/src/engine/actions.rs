//! What people do about an alarm: confirm, decline, skip somebody, go on to the next step, put it off, ring again, write a note.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::alarms::{Naming, refuse_if_over};
use super::closing::{self, Tally};
use super::ladder::lapse;
use super::{Engine, EngineError, NewCallee, maintenance, seconds};
use crate::alarm::{DialOutcome, HuntOutcome, Verdict, hunt};
use crate::ids::{AlarmId, AnswerId, CalleeId, HuntId, PersonId};
use crate::store::Tx;
use crate::store::alarms::AlarmRow;
use crate::store::answers::{self, AnswerRow, AnswerVia};
use crate::store::events::EventKind;
use crate::store::hunts::{CalleeRow, HuntRow, NewHunt};

/// A new hunt because a person asks for it.
const ASKED: &str = "asked";
/// A new hunt that nobody asked for: an alarm left one that it shared.
const SPLIT: &str = "split";
/// Why a hunt follows another: the maintenance that held it is over.
pub(super) const RELEASED: &str = "released";

/// Nothing is put off for longer.
pub const MOST_SNOOZE: TimeDelta = TimeDelta::days(30);

/// Who confirms an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Their name.
    pub name: Option<String>,
    /// Their number in its comparable form.
    pub number: Option<String>,
    /// Which callee they are, where that is known.
    pub callee: Option<CalleeId>,
    /// A remark.
    pub note: Option<String>,
    /// How it reached the server.
    pub via: AnswerVia,
    /// Unless it is over by then, it rings again after so many seconds.
    pub ring_again_after_s: Option<i32>,
}

impl Default for Acknowledgement {
    fn default() -> Self {
        Self { name: None, number: None, callee: None, note: None, via: AnswerVia::Api, ring_again_after_s: None }
    }
}

impl Engine {
    /// A human confirms: the answer is theirs, and nobody else is rung.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm, or it was cancelled or resolved.
    pub async fn acknowledge(&self, id: AlarmId, by: &Acknowledgement) -> Result<AlarmRow, EngineError> {
        self.change(id, async |engine, tx, alarm, hunt, now, tally| {
            refuse_if_over(alarm)?;
            // Somebody whom nobody has called knows of this alarm, and perhaps of no other that is rung for with it.
            let unanswered = hunt.outcome.is_none_or(|outcome| outcome == HuntOutcome::NoAnswer);
            let alone = unanswered && by.callee.is_none() && tx.db().answers_of(hunt.id).await?.is_empty();
            let own = if alone { engine.hunt_of_its_own(tx, alarm, hunt, now, tally).await? } else { None };
            let hunt = own.as_ref().unwrap_or(hunt);
            let answer = confirmed_answer(tx, hunt, by, now).await?;
            let ring_again_at = by.ring_again_after_s.map(|after| now + seconds(after));
            tx.db().set_ring_again(id, ring_again_at).await?;
            let body = json!({ "name": answer.name, "number": answer.number, "note": by.note, "via": by.via,
                "rings_again_at": ring_again_at });
            tx.db().insert_event(Some(id), Some(hunt.id), now, EventKind::Acknowledged, body).await?;
            match hunt.outcome {
                None => closing::end_hunt(tx, hunt, HuntOutcome::Answered, None, DialOutcome::Superseded, now, tally).await,
                Some(_) => {
                    if tx.db().answered_after_all(hunt.id, now).await? {
                        tally.hunts.push((HuntOutcome::Answered, None));
                    }
                    Ok(())
                }
            }
        })
        .await
    }

    /// A callee says no: they are not rung again for this alarm, and the hunt goes on at once. Also when they had picked up, as long
    /// as nobody has confirmed.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm or callee, or the alarm was cancelled or resolved.
    pub async fn decline(&self, id: AlarmId, callee: CalleeId, via: AnswerVia) -> Result<AlarmRow, EngineError> {
        self.take_off(id, callee, Verdict::Declined, EventKind::Declined, json!({ "via": via })).await
    }

    /// A person takes a callee off a hunt.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm or callee, or the alarm was cancelled or resolved.
    pub async fn skip(&self, id: AlarmId, callee: CalleeId, by: Option<&str>) -> Result<AlarmRow, EngineError> {
        self.take_off(id, callee, Verdict::Skipped, EventKind::Skipped, json!({ "by": by })).await
    }

    async fn take_off(
        &self,
        id: AlarmId,
        callee: CalleeId,
        verdict: Verdict,
        kind: EventKind,
        mut body: serde_json::Value,
    ) -> Result<AlarmRow, EngineError> {
        self.change(id, async |engine, tx, alarm, hunt, now, tally| {
            refuse_if_over(alarm)?;
            let callees = tx.db().callees(hunt.id).await?;
            let callee = callees.iter().find(|row| row.id == callee).ok_or(EngineError::NoSuchCallee)?;
            if callee.verdict == Some(verdict) {
                return Ok(());
            }
            let given = tx.db().answers_of(hunt.id).await?;
            let current = answers::current(&given);
            let confirmed = current.is_some_and(|answer| answer.confirmed_at.is_some());
            let was_theirs = current.is_some_and(|answer| answer.callee_id == Some(callee.id));
            tx.db().set_verdict(callee.id, verdict).await?;
            body["callee"] = json!(callee.id);
            body["name"] = json!(callee.name);
            body["number"] = json!(callee.number);
            tx.db().insert_event(None, Some(hunt.id), now, kind, body).await?;
            if confirmed {
                return Ok(());
            }
            for answer in given.iter().filter(|answer| answer.callee_id == Some(callee.id)) {
                tx.db().lapse_answer(answer.id, now).await?;
            }
            if hunt.outcome == Some(HuntOutcome::Answered) && was_theirs {
                let begin_before = hunt::begin_before(hunt.begin_before, now, seconds(hunt.begin_window_s));
                tx.db().reopen_hunt(hunt.id, now, begin_before).await?;
                let body = json!({ "name": callee.name, "number": callee.number });
                tx.db().insert_event(None, Some(hunt.id), now, EventKind::Reopened, body).await?;
            }
            close_dials_of(tx, hunt, now, tally).await?;
            engine.settle(tx, hunt.id, now, tally).await
        })
        .await
    }

    /// A person asks for the next step of the policy at once.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm, it is over, its hunt has ended, or there is no further step.
    pub async fn escalate(&self, id: AlarmId, by: Option<&str>) -> Result<AlarmRow, EngineError> {
        self.change(id, async |engine, tx, alarm, hunt, now, tally| {
            refuse_if_over(alarm)?;
            refuse_if_ended(hunt)?;
            let policy = match hunt.policy_id {
                Some(policy) => tx.db().policy(policy).await?,
                None => None,
            };
            if policy.is_none_or(|policy| policy.definition.after(hunt.place()).is_none()) {
                return Err(EngineError::NoFurtherStep);
            }
            // Somebody who asks for the next step does not wait for the word of whoever picked up.
            let given: Vec<AnswerId> = tx.db().answers_of(hunt.id).await?.iter().map(|answer| answer.id).collect();
            lapse(tx, hunt, &given, now).await?;
            tx.db().end_step_now(hunt.id, now).await?;
            tx.db().insert_event(Some(id), Some(hunt.id), now, EventKind::Escalated, json!({ "by": by })).await?;
            engine.settle(tx, hunt.id, now, tally).await
        })
        .await
    }

    /// A person gives an alarm another policy: its first step begins when the current one is over.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm or policy, it is over, or its hunt has ended.
    pub async fn set_policy(&self, id: AlarmId, name: &str, by: Option<&str>) -> Result<AlarmRow, EngineError> {
        self.change(id, async |engine, tx, alarm, hunt, now, tally| {
            refuse_if_over(alarm)?;
            refuse_if_ended(hunt)?;
            let policy = tx.db().policy_by_name(name).await?.ok_or_else(|| EngineError::NoSuchPolicy(name.to_owned()))?;
            let confirm_within = policy.definition.confirm_within_s.or(hunt.confirm_within);
            tx.db().set_hunt_policy(hunt.id, policy.id, confirm_within).await?;
            let body = json!({ "policy": name, "by": by });
            tx.db().insert_event(Some(id), Some(hunt.id), now, EventKind::PolicySet, body).await?;
            engine.settle(tx, hunt.id, now, tally).await
        })
        .await
    }

    /// A person puts an alarm off: nobody is rung before then, and somebody is after, unless it is over.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm, it is over, or the time is not ahead by at most [`MOST_SNOOZE`].
    pub async fn snooze(&self, id: AlarmId, until: DateTime<Utc>, by: Option<&str>) -> Result<AlarmRow, EngineError> {
        self.change(id, async |engine, tx, alarm, hunt, now, tally| {
            refuse_if_over(alarm)?;
            if until <= now || until > now + MOST_SNOOZE {
                return Err(EngineError::BadTime);
            }
            let body = json!({ "until": until, "by": by });
            tx.db().insert_event(Some(id), Some(hunt.id), now, EventKind::Snoozed, body).await?;
            if hunt.ended_at.is_some() {
                return Ok(tx.db().set_ring_again(id, Some(until)).await?);
            }
            let own = engine.hunt_of_its_own(tx, alarm, hunt, now, tally).await?;
            let hunt = own.as_ref().unwrap_or(hunt);
            closing::close_open_dials(tx, hunt.id, DialOutcome::Superseded, now, tally).await?;
            // What was left of the step is left of it afterwards.
            let step_ends_at = hunt.step_ends_at.map(|ends_at| until + left_of_step(hunt, ends_at, now));
            let begin_before = hunt::begin_before(hunt.begin_before, until, seconds(hunt.begin_window_s));
            tx.db().snooze_hunt(hunt.id, until, step_ends_at, begin_before).await?;
            engine.settle(tx, hunt.id, now, tally).await
        })
        .await
    }

    /// Keeps a remark on the timeline of an alarm, over or not.
    ///
    /// # Errors
    /// When the database fails or there is no such alarm.
    pub async fn note(&self, id: AlarmId, text: &str, by: Option<&str>) -> Result<AlarmRow, EngineError> {
        self.change(id, async |_, tx, _, hunt, now, _| {
            let body = json!({ "text": text, "by": by });
            Ok(tx.db().insert_event(Some(id), Some(hunt.id), now, EventKind::Noted, body).await?)
        })
        .await
    }

    /// Rings the same people again with fresh attempts, or by the policy from its first step; ends a snooze.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm, it was cancelled or resolved, or somebody is still being rung.
    pub async fn redial(&self, id: AlarmId) -> Result<AlarmRow, EngineError> {
        self.change(id, async |engine, tx, alarm, hunt, now, tally| {
            refuse_if_over(alarm)?;
            if hunt.ended_at.is_some() {
                return engine.ring_afresh(tx, std::slice::from_ref(alarm), hunt, ASKED, now, tally).await;
            }
            if hunt.snoozed_until.is_none_or(|until| until <= now) {
                return Err(EngineError::StillRinging);
            }
            let step_ends_at = hunt.step_ends_at.map(|ends_at| now + left_of_step(hunt, ends_at, now));
            tx.db().wake_up_hunt(hunt.id, now, step_ends_at).await?;
            let body = json!({ "why": ASKED });
            tx.db().insert_event(Some(id), Some(hunt.id), now, EventKind::Redialled, body).await?;
            if alarm.held_until.is_some() {
                // A person wants it rung in spite of the maintenance: people are told now.
                tx.db().hold_alarm(id, None).await?;
                tx.db().insert_event(Some(id), Some(hunt.id), now, EventKind::Released, json!({})).await?;
            }
            engine.settle(tx, hunt.id, now, tally).await
        })
        .await
    }

    /// Rings again for alarms that were acknowledged or put off for a time, and are not over.
    pub(super) async fn ring_again(&self, now: DateTime<Utc>) -> Result<usize, EngineError> {
        let due = self.store.read().await?.db().alarms_to_ring_again(now).await?;
        let count = due.len();
        for id in due {
            self.change(id, async |engine, tx, alarm, hunt, now, tally| {
                let still = alarm.ring_again_at.is_some_and(|at| at <= now);
                if !still || refuse_if_over(alarm).is_err() {
                    return Ok(());
                }
                if hunt.ended_at.is_none() {
                    return Ok(tx.db().set_ring_again(id, None).await?);
                }
                engine.ring_afresh(tx, std::slice::from_ref(alarm), hunt, "not_resolved", now, tally).await?;
                let fresh = tx.db().alarm(alarm.id).await?.ok_or(EngineError::NoSuchAlarm)?.hunt_id;
                maintenance::hold(tx, alarm.id, fresh, &alarm.labels.0, alarm.team.as_deref(), now).await?;
                Ok(())
            })
            .await?;
        }
        Ok(count)
    }

    /// Takes an alarm out of a hunt that it shares: the others are rung for all the same. `None` when it is alone in it.
    async fn hunt_of_its_own(
        &self,
        tx: &mut Tx,
        alarm: &AlarmRow,
        hunt: &HuntRow,
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<Option<HuntRow>, EngineError> {
        if tx.db().count_firing(hunt.id).await? < 2 {
            return Ok(None);
        }
        self.ring_afresh(tx, std::slice::from_ref(alarm), hunt, SPLIT, now, tally).await?;
        let alarm = tx.db().alarm(alarm.id).await?.ok_or(EngineError::NoSuchAlarm)?;
        Ok(Some(tx.db().lock_hunt(alarm.hunt_id).await?))
    }

    /// A new hunt of some alarms for the people of one that they leave.
    pub(super) async fn ring_afresh(
        &self,
        tx: &mut Tx,
        alarms: &[AlarmRow],
        hunt: &HuntRow,
        why: &str,
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<(), EngineError> {
        let earlier = tx.db().callees(hunt.id).await?;
        let ring = hunt.ring.as_ref().map(|ring| ring.0.clone());
        let same: Vec<NewCallee>;
        let naming = match (hunt.policy_id, &ring) {
            (Some(_), _) => Naming::Policy,
            // Whom the roster names is asked of it again: hours may have passed.
            (None, Some(step)) if why != SPLIT => {
                let earlier = if why == ASKED { Vec::new() } else { earlier };
                Naming::Step { step: step.clone(), earlier }
            }
            _ => {
                same = again(earlier, why);
                Naming::These(&same)
            }
        };
        let attempts = match &naming {
            Naming::These(callees) => callees.iter().map(|callee| callee.max_attempts).collect(),
            Naming::Policy | Naming::Step { .. } => Vec::new(),
        };
        let fresh = NewHunt {
            id: HuntId::new(now),
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
            policy_id: hunt.policy_id,
            queue: hunt.queue.clone(),
            ring,
        };
        tx.db().insert_hunt(&fresh).await?;
        for alarm in alarms {
            tx.db().set_alarm_hunt(alarm.id, fresh.id, now).await?;
            tx.db().set_ring_again(alarm.id, None).await?;
            if !matches!(why, SPLIT | RELEASED) {
                let body = json!({ "why": why });
                tx.db().insert_event(Some(alarm.id), Some(fresh.id), now, EventKind::Redialled, body).await?;
            }
        }
        self.name_callees(tx, fresh.id, naming, now, tally).await?;
        if why != ASKED {
            // Whoever was rung a moment ago is not rung again at once.
            tx.db().carry_offers(hunt.id, fresh.id).await?;
        }
        Ok(())
    }
}

fn refuse_if_ended(hunt: &HuntRow) -> Result<(), EngineError> {
    if hunt.ended_at.is_some() { Err(EngineError::HuntOver) } else { Ok(()) }
}

/// The same people once more. Whoever said no for these alarms is asked again only when a person asks for everybody, or nobody else is
/// left.
fn again(callees: Vec<CalleeRow>, why: &str) -> Vec<NewCallee> {
    let refused = |callee: &CalleeRow| matches!(callee.verdict, Some(Verdict::Declined | Verdict::Skipped));
    let all = why == ASKED || callees.iter().all(refused);
    let wanted = callees.into_iter().filter(|callee| all || !refused(callee));
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

/// What is left of the current step, not counting the time for which it is put off.
fn left_of_step(hunt: &HuntRow, ends_at: DateTime<Utc>, now: DateTime<Utc>) -> TimeDelta {
    let from = hunt.snoozed_until.map_or(now, |held| held.max(now));
    (ends_at - from).max(TimeDelta::zero())
}

/// Closes the open dials of a hunt in which nobody is wanted any more.
async fn close_dials_of(tx: &mut Tx, hunt: &HuntRow, now: DateTime<Utc>, tally: &mut Tally) -> Result<(), EngineError> {
    let callees = tx.db().callees(hunt.id).await?;
    let wanted = |id: CalleeId| callees.iter().any(|callee| callee.id == id && callee.verdict.is_none());
    let open = tx.db().open_targets_of(hunt.id).await?;
    let mut mids: Vec<&str> = open.iter().map(|target| target.mid.as_str()).collect();
    mids.dedup();
    for mid in mids {
        if !open.iter().any(|target| target.mid == mid && wanted(target.callee_id)) {
            closing::close_unwanted_dial(tx, hunt.id, mid, DialOutcome::Superseded, now, tally).await?;
        }
    }
    Ok(())
}

/// The answer that a human stands by: the one that was given when they picked up, else a new one.
async fn confirmed_answer(
    tx: &mut Tx,
    hunt: &HuntRow,
    by: &Acknowledgement,
    now: DateTime<Utc>,
) -> Result<AnswerRow, EngineError> {
    let person = match &by.number {
        Some(number) => tx.db().person_with_number(number).await?,
        None => None,
    };
    let callees = tx.db().callees(hunt.id).await?;
    let callee = callees.iter().find(|callee| match by.callee {
        Some(id) => callee.id == id,
        None => {
            by.number.as_ref() == Some(&callee.number) || (by.number.is_none() && by.name.is_some() && by.name == callee.name)
        }
    });
    // A name that a sender gave wins over the roster: a number may be shared.
    let named = callee.and_then(|callee| callee.name.as_ref());
    let person = person.filter(|person| named.is_none_or(|named| *named == person.name));
    let given = tx.db().answers_of(hunt.id).await?;
    let earlier = given.into_iter().find(|answer| {
        answer.confirmed_at.is_none() && answer.callee_id.is_some() && answer.callee_id == callee.map(|callee| callee.id)
    });
    if let Some(earlier) = earlier {
        tx.db().confirm_answer(earlier.id, now).await?;
        return Ok(AnswerRow { confirmed_at: Some(now), ..earlier });
    }
    let person_id: Option<PersonId> = person.as_ref().map(|person| person.id).or(callee.and_then(|callee| callee.person_id));
    let name = person
        .map(|person| person.name)
        .or_else(|| by.name.clone())
        .or_else(|| callee.and_then(|callee| callee.name.clone()))
        .or_else(|| by.number.clone())
        .or_else(|| callee.map(|callee| callee.number.clone()));
    let answer = AnswerRow {
        id: AnswerId::new(now),
        hunt_id: hunt.id,
        mid: None,
        callee_id: callee.map(|callee| callee.id),
        number: by.number.clone().or_else(|| callee.map(|callee| callee.number.clone())),
        person_id,
        name: name.unwrap_or_else(|| "API".to_owned()),
        handset_id: None,
        at: now,
        via: by.via,
        attempt: callee.map(|callee| callee.attempts).filter(|attempts| *attempts > 0),
        confirmed_at: Some(now),
        lapsed_at: None,
    };
    tx.db().insert_answer(&answer).await?;
    Ok(answer)
}
