//! Heartbeats: a sender that falls silent opens an alarm, once; its next ping resolves it.
//!
//! The alarm is raised first and the heartbeat marked after it, so that a crash between the two loses nothing. That it is raised
//! once, also by several nodes, rests on its idempotency key: the heartbeat and the instant at which it was due.

use chrono::{DateTime, TimeDelta, Utc};

use crate::alarm::doer::Doer;
use crate::engine::{Engine, EngineError, NamedBy, NewCallee, RaiseRequest};
use crate::ids::HeartbeatId;
use crate::keep::heartbeats;
use crate::keep::refused::Refused;
use crate::numbers::{Number, same_phone};
use crate::store::Work;
use crate::store::watch::heartbeats::HeartbeatRow;
use crate::versions::Expected;

/// The door of alarms about heartbeats; the dedup key is the heartbeat's id.
pub const HEARTBEATS: &str = "heartbeat";
/// After a time in which this node could not hear pings, it waits so much longer at most.
const LISTEN_FIRST: TimeDelta = TimeDelta::minutes(5);

impl Engine {
    /// Waits for a heartbeat no more, which is named by its id or its name, and ends its alarm, if there is one.
    ///
    /// # Errors
    /// When there is no such heartbeat, it has changed meanwhile, or the database fails.
    pub async fn forget_heartbeat(&self, work: &mut Work, which: &str, expected: &Expected) -> Result<(), Refused> {
        let id = heartbeats::remove(work, which, expected).await?;
        // An alarm that another node raises at this moment is ended by that node, which finds the heartbeat gone.
        Ok(self.over_with_key(work, HEARTBEATS, &id.to_string()).await?)
    }

    /// Hears a heartbeat; false when no heartbeat has this token.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ping_heartbeat(&self, token_hash: &[u8]) -> Result<bool, EngineError> {
        let now = self.clock.now();
        let Some(beat) = self.store.read().await?.db().heartbeat_by_token(token_hash).await? else { return Ok(false) };
        let due_at = now + beat.allowed_silence();
        let late = beat.missed_since.is_some() || beat.due_at.is_some_and(|due| due <= now);
        if !late && self.pinged_in_time(beat.id, now, due_at).await? {
            return Ok(true);
        }
        // Before it is written down, so that a crash in between leaves the heartbeat missed, and the next ping does it again.
        self.resolve_with_key(HEARTBEATS, &beat.id.to_string(), &Doer::Server).await?;
        let mut tx = self.store.begin().await?;
        tx.db().heartbeat_pinged(beat.id, now, due_at).await?;
        tx.commit().await?;
        // Another node may have raised it between the two.
        self.resolve_with_key(HEARTBEATS, &beat.id.to_string(), &Doer::Server).await?;
        tracing::info!(heartbeat.name = %beat.name, "the heartbeat is back");
        Ok(true)
    }

    /// Notes a ping that is in time; false when the heartbeat was marked as missed since it was read.
    async fn pinged_in_time(&self, id: HeartbeatId, now: DateTime<Utc>, due_at: DateTime<Utc>) -> Result<bool, EngineError> {
        let mut tx = self.store.begin().await?;
        let in_time = tx.db().heartbeat_pinged_in_time(id, now, due_at).await?;
        tx.commit().await?;
        Ok(in_time)
    }

    /// Opens an alarm for every heartbeat that should have been heard by now.
    ///
    /// # Errors
    /// When the database fails; the next tick does what this one did not.
    pub(in crate::engine) async fn watch_heartbeats(&self, now: DateTime<Utc>) -> Result<(), EngineError> {
        let overdue = self.store.read().await?.db().overdue_heartbeats(now).await?;
        for beat in overdue {
            if now < self.serving_since() + beat.allowed_silence().min(LISTEN_FIRST) {
                continue;
            }
            // One that cannot be raised must not keep the others silent.
            if let Err(error) = self.miss(&beat, now).await {
                tracing::error!(%error, heartbeat.name = %beat.name, "the alarm about a missed heartbeat could not be raised; trying again");
            }
        }
        Ok(())
    }

    async fn miss(&self, beat: &HeartbeatRow, now: DateTime<Utc>) -> Result<(), EngineError> {
        let Some(due_at) = beat.due_at else { return Ok(()) };
        let key = format!("{}:{}", beat.id, due_at.timestamp_micros());
        let mut alarm = self.missed_alarm(beat, key);
        match self.raise(&alarm).await {
            Err(EngineError::NobodyNamed) => {
                // Nothing says whom to ring any more. It is an alarm all the same, which ends as: nobody to ring.
                alarm.ring_nobody = true;
                self.raise(&alarm).await?;
            }
            other => {
                other?;
            }
        }
        let mut tx = self.store.begin().await?;
        let marked = tx.db().heartbeat_missed(beat.id, due_at, now).await?;
        let current = tx.db().heartbeat(beat.id).await?;
        tx.commit().await?;
        if marked {
            tracing::warn!(heartbeat.name = %beat.name, "the heartbeat is missed");
        } else if current.is_none_or(|current| current.missed_since.is_none()) {
            // It pinged, or was removed, while the alarm was being raised.
            self.resolve_with_key(HEARTBEATS, &beat.id.to_string(), &Doer::Server).await?;
        }
        Ok(())
    }

    fn missed_alarm(&self, beat: &HeartbeatRow, key: String) -> RaiseRequest {
        let last = beat.last_ping_at.map(|at| at.format("%F %T UTC").to_string()).unwrap_or_default();
        RaiseRequest {
            integration_id: HEARTBEATS.to_owned(),
            source: HEARTBEATS.to_owned(),
            dedup_key: Some(beat.id.to_string()),
            summary: format!("No sign of life from {}", beat.name),
            details: format!("last heard {last}, expected every {} s with {} s of grace", beat.period_s, beat.grace_s),
            labels: beat.labels.0.clone(),
            priority: beat.priority,
            begin_window_s: self.begin_window_s(),
            callees: self.own_callees(&beat.phones),
            named_by: if beat.phones.is_empty() { NamedBy::Fallback } else { NamedBy::Alarm },
            idempotency: Some((key, Vec::new())),
            ..RaiseRequest::default()
        }
    }

    /// Whom to ring for an alarm that the server raises itself: these, else `alarms.fallback_phones`. Numbers were checked when they
    /// were taken in.
    pub(in crate::engine) fn own_callees(&self, phones: &[String]) -> Vec<NewCallee> {
        let settings = &self.config.alarms;
        let phones = if phones.is_empty() { &settings.fallback_phones } else { phones };
        let mut callees: Vec<NewCallee> = Vec::new();
        for parsed in phones.iter().filter_map(|phone| Number::parse(phone, self.region()).ok()) {
            let number = parsed.number.as_str().to_owned();
            if !callees.iter().any(|callee| same_phone(&callee.number, &number)) {
                callees.push(NewCallee {
                    number,
                    known_to_plan: parsed.known_to_plan,
                    name: None,
                    reference: None,
                    max_attempts: i32::try_from(settings.attempts).unwrap_or(1),
                    min_interval_s: i32::try_from(settings.min_interval.as_secs()).unwrap_or(0),
                });
            }
        }
        callees
    }

    /// How long such an alarm waits for a handset.
    pub(in crate::engine) fn begin_window_s(&self) -> i32 {
        i32::try_from(self.config.alarms.begin_before.as_secs()).unwrap_or(i32::MAX)
    }
}
