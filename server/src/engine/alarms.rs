//! Senders and people change alarms: raise, cancel, resolve, acknowledge, ring again.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::closing::{self, Tally};
use super::{Engine, EngineError, delta, maintenance};
use crate::alarm::{AlarmState, DialOutcome, HuntOutcome, Mode, Priority, Until, hunt};
use crate::ids::{AlarmId, AnswerId, CalleeId, HandsetId, HuntId, PersonId};
use crate::store::alarms::{AlarmRow, NewAlarm};
use crate::store::answers::{AnswerRow, AnswerVia};
use crate::store::events::EventKind;
use crate::store::hunts::{CalleeRow, HuntRow, NewHunt};
use crate::store::{Announcement, Db, StoreError, Tx};

/// How often a change is tried again when others made the same one at the same time.
const TRIES: usize = 5;

/// Somebody to ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCallee {
    /// The number in its comparable form.
    pub number: String,
    /// The numbering plan knows such a number.
    pub known_to_plan: bool,
    /// A name, when the sender gave one; else whoever has the number.
    pub name: Option<String>,
    /// What the sender calls this callee.
    pub reference: Option<String>,
    /// How often to ring.
    pub max_attempts: i32,
    /// Least seconds between two hand-outs.
    pub min_interval_s: i32,
}

/// An alarm as it comes in, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaiseRequest {
    /// The door it came through.
    pub integration_id: String,
    /// What its sender calls itself.
    pub source: String,
    /// What makes two reports the same alarm.
    pub dedup_key: Option<String>,
    /// One line of text.
    pub summary: String,
    /// More text.
    pub details: String,
    /// Names and values.
    pub labels: BTreeMap<String, String>,
    /// How urgent.
    pub priority: Priority,
    /// One after the other, or all at once.
    pub mode: Mode,
    /// When it has reached what it wants.
    pub until: Until,
    /// Nobody is really rung.
    pub dry_run: bool,
    /// How long it waits for a handset, in seconds.
    pub begin_window_s: i32,
    /// Whom to ring, in order.
    pub callees: Vec<NewCallee>,
    /// Only this handset may ring for it: a test call.
    pub only_handset: Option<HandsetId>,
    /// The sender's key for this request and a hash of the request: the same again gives the same alarm.
    pub idempotency: Option<(String, Vec<u8>)>,
}

/// What became of a request to raise an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaisedAs {
    /// A new alarm.
    Created,
    /// Another report of an open alarm.
    Repeated,
    /// The same request again, answered as before.
    Replayed,
}

/// The alarm that a request raised.
#[derive(Clone, Debug)]
pub struct Raised {
    /// The alarm as it is now.
    pub alarm: AlarmRow,
    /// What became of the request.
    pub raised_as: RaisedAs,
}

/// Who confirms an alarm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Their name.
    pub name: Option<String>,
    /// Their number in its comparable form.
    pub number: Option<String>,
    /// A remark.
    pub note: Option<String>,
    /// How they said so.
    pub via: AnswerVia,
}

impl Engine {
    /// Takes in an alarm.
    ///
    /// # Errors
    /// When the database fails, or an idempotency key was used for another request. Nothing was stored then.
    pub async fn raise(&self, request: &RaiseRequest) -> Result<Raised, EngineError> {
        for _ in 0..TRIES {
            match self.try_raise(request).await {
                // Another request with the same key was stored meanwhile: this one is its repeat.
                Err(EngineError::Store(error)) if error.is_unique_violation() => {}
                other => return other,
            }
        }
        Err(EngineError::Contended)
    }

    async fn try_raise(&self, request: &RaiseRequest) -> Result<Raised, EngineError> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        if let Some((key, hash)) = &request.idempotency
            && let Some(earlier) = tx.db().idempotent_request(&request.integration_id, key).await?
        {
            if earlier.request_hash != *hash {
                return Err(EngineError::KeyReused);
            }
            let alarm = load(&mut tx.db(), earlier.alarm_id).await?;
            return Ok(Raised { alarm, raised_as: RaisedAs::Replayed });
        }
        let (id, raised_as) = match self.repeat_open(&mut tx, request, now).await? {
            Some(id) => (id, RaisedAs::Repeated),
            None => (self.create(&mut tx, request, now).await?, RaisedAs::Created),
        };
        if let Some((key, hash)) = &request.idempotency {
            tx.db().insert_idempotent_request(&request.integration_id, key, hash, id, now).await?;
        }
        let alarm = load(&mut tx.db(), id).await?;
        tx.announce(Announcement::Hunts);
        tx.commit().await?;
        Ok(Raised { alarm, raised_as })
    }

    /// Counts the request as a repeat of an open alarm, when there is one with its key.
    async fn repeat_open(&self, tx: &mut Tx, request: &RaiseRequest, now: DateTime<Utc>) -> Result<Option<AlarmId>, EngineError> {
        let Some(key) = &request.dedup_key else { return Ok(None) };
        let Some(alarm) = tx.db().open_alarm_with_key(&request.integration_id, key).await? else { return Ok(None) };
        let hunt = tx.db().lock_hunt(alarm.hunt_id).await?;
        let settings = &self.config.alarms;
        if now - alarm.last_repeat_at > delta(settings.dedup) {
            tx.db().close_dedup(alarm.id).await?;
            return Ok(None);
        }
        if !tx.db().repeat_alarm(alarm.id, now).await? {
            return Ok(None);
        }
        let body = json!({ "repeats": alarm.repeats + 1, "summary": request.summary });
        tx.db().insert_event(Some(alarm.id), None, now, EventKind::Repeated, body).await?;
        let rested = now - hunt.created_at >= delta(settings.rehunt);
        if hunt.outcome == Some(HuntOutcome::NoAnswer) && rested {
            let hunt = self.begin_hunt(tx, request, now).await?;
            tx.db().set_alarm_hunt(alarm.id, hunt, now).await?;
            tx.db().insert_event(Some(alarm.id), Some(hunt), now, EventKind::Redialled, json!({ "why": "repeated" })).await?;
            maintenance::hold(tx, alarm.id, hunt, &request.labels, now).await?;
        }
        Ok(Some(alarm.id))
    }

    async fn create(&self, tx: &mut Tx, request: &RaiseRequest, now: DateTime<Utc>) -> Result<AlarmId, EngineError> {
        let hunt_id = self.begin_hunt(tx, request, now).await?;
        let alarm = NewAlarm {
            id: AlarmId::new(now),
            hunt_id,
            integration_id: request.integration_id.clone(),
            source: request.source.clone(),
            dedup_key: request.dedup_key.clone(),
            summary: request.summary.clone(),
            details: request.details.clone(),
            labels: request.labels.clone(),
            priority: request.priority,
            raised_at: now,
        };
        let number = tx.db().insert_alarm(&alarm).await?;
        let body = json!({ "number": number, "source": request.source, "priority": request.priority });
        tx.db().insert_event(Some(alarm.id), Some(hunt_id), now, EventKind::Raised, body).await?;
        maintenance::hold(tx, alarm.id, hunt_id, &request.labels, now).await?;
        Ok(alarm.id)
    }

    async fn begin_hunt(&self, tx: &mut Tx, request: &RaiseRequest, now: DateTime<Utc>) -> Result<HuntId, EngineError> {
        let hunt = NewHunt {
            id: HuntId::new(now),
            priority: request.priority,
            mode: request.mode,
            until: request.until,
            dry_run: request.dry_run,
            dials_left: hunt::hand_out_limit(request.callees.iter().map(|callee| callee.max_attempts)),
            created_at: now,
            begin_window_s: request.begin_window_s,
            only_handset_id: request.only_handset,
        };
        tx.db().insert_hunt(&hunt).await?;
        for (position, callee) in (0_i32..).zip(&request.callees) {
            let person = tx.db().person_with_number(&callee.number).await?;
            let row = CalleeRow {
                id: CalleeId::new(now),
                step: 0,
                position,
                person_id: person.as_ref().map(|person| person.id),
                name: callee.name.clone().or(person.map(|person| person.name)),
                number: callee.number.clone(),
                known_to_plan: callee.known_to_plan,
                reference: callee.reference.clone(),
                max_attempts: callee.max_attempts,
                min_interval_s: callee.min_interval_s,
                attempts: 0,
                failed: 0,
                last_offered_at: None,
                verdict: None,
            };
            tx.db().insert_callee(hunt.id, &row).await?;
        }
        Ok(hunt.id)
    }

    /// A person calls an alarm off: ringing stops, unless the hunt also serves another alarm.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm, or its source said that it is over.
    pub async fn cancel(&self, id: AlarmId, by: Option<&str>) -> Result<AlarmRow, EngineError> {
        self.change(id, async |engine, tx, alarm, hunt, now, tally| {
            if alarm.cancelled_at.is_some() {
                return Ok(());
            }
            if !tx.db().cancel_alarm(id, now).await? {
                return Err(EngineError::Over("resolved"));
            }
            tx.db().insert_event(Some(id), Some(hunt.id), now, EventKind::Cancelled, json!({ "by": by })).await?;
            engine.stop_unless_wanted(tx, hunt, HuntOutcome::Cancelled, now, tally).await
        })
        .await
    }

    /// The source says that an alarm is over: ringing stops, unless the hunt also serves another alarm.
    ///
    /// # Errors
    /// When the database fails or there is no such alarm. An alarm that is over stays as it is.
    pub async fn resolve(&self, id: AlarmId) -> Result<AlarmRow, EngineError> {
        self.change(id, async |engine, tx, _, hunt, now, tally| {
            if tx.db().resolve_alarm(id, now).await? {
                tx.db().insert_event(Some(id), Some(hunt.id), now, EventKind::Resolved, json!({})).await?;
                engine.stop_unless_wanted(tx, hunt, HuntOutcome::Resolved, now, tally).await?;
            }
            Ok(())
        })
        .await
    }

    /// The same for the open alarm with a key; `None` when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resolve_with_key(&self, integration: &str, key: &str) -> Result<Option<AlarmRow>, EngineError> {
        let open = self.store.read().await?.db().open_alarm_with_key(integration, key).await?;
        match open {
            Some(alarm) => self.resolve(alarm.id).await.map(Some),
            None => Ok(None),
        }
    }

    /// A human confirms: the answer is theirs, and nobody else is rung.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm, or it was cancelled or resolved.
    pub async fn acknowledge(&self, id: AlarmId, by: &Acknowledgement) -> Result<AlarmRow, EngineError> {
        self.change(id, async |engine, tx, alarm, hunt, now, tally| {
            refuse_if_over(alarm)?;
            let answer = engine.confirmed_answer(tx, hunt, by, now).await?;
            tx.db().insert_answer(&answer).await?;
            let body = json!({ "name": answer.name, "number": answer.number, "note": by.note });
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

    /// Rings the same people again, with fresh attempts.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm, it was cancelled or resolved, or its hunt is still open.
    pub async fn redial(&self, id: AlarmId) -> Result<AlarmRow, EngineError> {
        self.change(id, async |_, tx, alarm, hunt, now, _| {
            refuse_if_over(alarm)?;
            if hunt.ended_at.is_none() {
                return Err(EngineError::StillRinging);
            }
            let callees = tx.db().callees(hunt.id).await?;
            let fresh = NewHunt {
                id: HuntId::new(now),
                priority: hunt.priority,
                mode: hunt.mode,
                until: hunt.until,
                dry_run: hunt.dry_run,
                dials_left: hunt::hand_out_limit(callees.iter().map(|callee| callee.max_attempts)),
                created_at: now,
                begin_window_s: hunt.begin_window_s,
                only_handset_id: hunt.only_handset_id,
            };
            tx.db().insert_hunt(&fresh).await?;
            for callee in callees {
                let callee =
                    CalleeRow { id: CalleeId::new(now), attempts: 0, failed: 0, last_offered_at: None, verdict: None, ..callee };
                tx.db().insert_callee(fresh.id, &callee).await?;
            }
            tx.db().set_alarm_hunt(id, fresh.id, now).await?;
            let body = json!({ "why": "asked" });
            tx.db().insert_event(Some(id), Some(fresh.id), now, EventKind::Redialled, body).await?;
            Ok(())
        })
        .await
    }

    /// Loads an alarm, locks its hunt, changes both in one transaction, and gives the alarm as it is then.
    async fn change<F>(&self, id: AlarmId, change: F) -> Result<AlarmRow, EngineError>
    where
        F: AsyncFnOnce(&Engine, &mut Tx, &AlarmRow, &HuntRow, DateTime<Utc>, &mut Tally) -> Result<(), EngineError>,
    {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let mut tally = Tally::default();
        let (alarm, hunt) = lock_alarm(&mut tx, id).await?;
        change(self, &mut tx, &alarm, &hunt, now, &mut tally).await?;
        let alarm = load(&mut tx.db(), id).await?;
        tx.announce(Announcement::Hunts);
        tx.commit().await?;
        self.count(&tally);
        Ok(alarm)
    }

    async fn stop_unless_wanted(
        &self,
        tx: &mut Tx,
        hunt: &HuntRow,
        outcome: HuntOutcome,
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<(), EngineError> {
        if hunt.ended_at.is_some() || tx.db().count_firing(hunt.id).await? > 0 {
            return Ok(());
        }
        let dials_as = match outcome {
            HuntOutcome::Cancelled => DialOutcome::Cancelled,
            _ => DialOutcome::Superseded,
        };
        closing::end_hunt(tx, hunt, outcome, None, dials_as, now, tally).await
    }

    async fn confirmed_answer(
        &self,
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
        let callee = callees.iter().find(|callee| {
            by.number.as_ref() == Some(&callee.number) || (by.number.is_none() && by.name.is_some() && by.name == callee.name)
        });
        let person_id: Option<PersonId> = person.as_ref().map(|person| person.id).or(callee.and_then(|callee| callee.person_id));
        let name = person.map(|person| person.name).or_else(|| by.name.clone()).or_else(|| by.number.clone());
        Ok(AnswerRow {
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
        })
    }
}

fn refuse_if_over(alarm: &AlarmRow) -> Result<(), EngineError> {
    match alarm.state() {
        AlarmState::Cancelled => Err(EngineError::Over("cancelled")),
        AlarmState::Resolved => Err(EngineError::Over("resolved")),
        _ => Ok(()),
    }
}

/// Locks the current hunt of an alarm. The alarm may get a new hunt between reading and locking, so it is read again.
async fn lock_alarm(tx: &mut Tx, id: AlarmId) -> Result<(AlarmRow, HuntRow), EngineError> {
    let mut alarm = tx.db().alarm(id).await?.ok_or(EngineError::NoSuchAlarm)?;
    for _ in 0..TRIES {
        let hunt = tx.db().lock_hunt(alarm.hunt_id).await?;
        alarm = load(&mut tx.db(), id).await?;
        if alarm.hunt_id == hunt.id {
            return Ok((alarm, hunt));
        }
    }
    Err(EngineError::Contended)
}

async fn load(db: &mut Db<'_>, id: AlarmId) -> Result<AlarmRow, EngineError> {
    let alarm = db.alarm(id).await?;
    alarm.ok_or_else(|| StoreError::Inconsistent(format!("alarm {id} vanished")).into())
}
