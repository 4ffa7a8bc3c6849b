//! Heartbeats: a sender that falls silent opens an alarm, once; its next ping resolves it.
//!
//! The alarm is raised first and the heartbeat marked after it, so that a crash between the two loses nothing. That it is raised
//! once, also by several nodes, rests on its idempotency key: the heartbeat and the instant at which it was due.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::types::Json;

use crate::alarm::Priority;
use crate::engine::{Engine, EngineError, NamedBy, NewCallee, RaiseRequest, seconds};
use crate::ids::HeartbeatId;
use crate::keep::refused::{self, Refused};
use crate::numbers::{Number, same_phone};
use crate::secrets;
use crate::store::Db;
use crate::store::edits::Edited;
use crate::store::watch::heartbeats::HeartbeatRow;
use crate::versions::Expected;

/// The door of alarms about heartbeats; the dedup key is the heartbeat's id.
pub const HEARTBEATS: &str = "heartbeat";
/// Tells the token of a heartbeat from other secrets.
const PREFIX: &str = "hb_";
const PERIOD: std::ops::RangeInclusive<i32> = 10..=31 * 86_400;
const GRACE: std::ops::RangeInclusive<i32> = 0..=7 * 86_400;
/// After a time in which this node could not hear pings, it waits so much longer at most.
const LISTEN_FIRST: TimeDelta = TimeDelta::minutes(5);

/// A heartbeat to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewHeartbeat {
    /// Who is to be heard.
    pub name: String,
    /// It pings at least this often, in seconds.
    pub period_s: i32,
    /// It may be late by so many seconds.
    pub grace_s: i32,
    /// Whom to ring, in order; empty: `alarms.fallback_phones`.
    pub phones: Vec<String>,
    /// Labels of the alarm.
    pub labels: BTreeMap<String, String>,
    /// How urgent the alarm is.
    pub priority: Priority,
}

/// What is known of a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeartbeatState {
    /// It was never heard, and is not missed before it was.
    New,
    /// It was heard in time.
    Alive,
    /// It should have been heard.
    Missed,
}

impl HeartbeatState {
    /// The state of a stored heartbeat.
    #[must_use]
    pub fn of(beat: &HeartbeatRow) -> Self {
        match (beat.missed_since, beat.last_ping_at) {
            (Some(_), _) => Self::Missed,
            (None, Some(_)) => Self::Alive,
            (None, None) => Self::New,
        }
    }
}

/// The address at which a heartbeat with this token pings.
#[must_use]
pub fn ping_path(token: &str) -> String {
    format!("/api/v1/heartbeat/{token}")
}

impl Engine {
    /// Makes a heartbeat and gives the token it pings with, which is shown once.
    ///
    /// # Errors
    /// When a field is wrong, the name is taken, or the database fails.
    pub async fn add_heartbeat(&self, new: &NewHeartbeat) -> Result<(HeartbeatRow, String), Refused> {
        let now = self.clock.now();
        let name = refused::name(&new.name)?;
        self.check_heartbeat(new)?;
        let (token, hash) = secrets::new(PREFIX);
        let beat = HeartbeatRow {
            id: HeartbeatId::new(now),
            name,
            token_hash: hash.to_vec(),
            period_s: new.period_s,
            grace_s: new.grace_s,
            phones: Json(new.phones.clone()),
            labels: Json(new.labels.clone()),
            priority: new.priority,
            created_at: now,
            last_ping_at: None,
            due_at: None,
            missed_since: None,
        };
        let mut tx = self.store.begin().await?;
        tx.db().insert_heartbeat(&beat).await.map_err(|error| Refused::insert("heartbeat", &beat.name, error))?;
        tx.commit().await?;
        Ok((beat, token))
    }

    fn check_heartbeat(&self, new: &NewHeartbeat) -> Result<(), Refused> {
        within("period_seconds", new.period_s, PERIOD)?;
        within("grace_seconds", new.grace_s, GRACE)?;
        for phone in &new.phones {
            Number::parse(phone, self.region()).map_err(|error| Refused::wrong("phones", format!("{phone:?}: {error}")))?;
        }
        if new.phones.len() > self.config.alarms.max_phones {
            return Err(Refused::wrong("phones", format!("at most {} numbers can be rung", self.config.alarms.max_phones)));
        }
        if new.phones.is_empty() && self.config.alarms.fallback_phones.is_empty() {
            return Err(Refused::wrong("phones", "name at least one number to ring, or set alarms.fallback_phones"));
        }
        refused::labels(&new.labels)
    }

    /// One heartbeat, by its id or its name.
    ///
    /// # Errors
    /// When there is none, or the database fails.
    pub async fn heartbeat(&self, which: &str) -> Result<HeartbeatRow, Refused> {
        heartbeat_named(&mut self.store.read().await?.db(), which).await
    }

    /// Changes everything of a heartbeat but its name and token. It is named by its id or its name.
    ///
    /// # Errors
    /// When there is no such heartbeat, it has changed meanwhile, a field is wrong, or the database fails.
    pub async fn change_heartbeat(&self, which: &str, new: &NewHeartbeat, expected: &Expected) -> Result<HeartbeatRow, Refused> {
        self.check_heartbeat(new)?;
        let mut tx = self.store.begin().await?;
        tx.db().lock_edits(Edited::Heartbeats).await?;
        let mut beat = heartbeat_named(&mut tx.db(), which).await?;
        expected.check(Some(&beat.version()))?;
        beat.period_s = new.period_s;
        beat.grace_s = new.grace_s;
        beat.phones = Json(new.phones.clone());
        beat.labels = Json(new.labels.clone());
        beat.priority = new.priority;
        if beat.missed_since.is_none() {
            beat.due_at = beat.last_ping_at.map(|last| last + allowed_silence(&beat));
        }
        tx.db().change_heartbeat(&beat).await?;
        tx.commit().await?;
        Ok(beat)
    }

    /// Waits for a heartbeat no more; its alarm, if there is one, is over. The heartbeat is named by its id or its name.
    ///
    /// # Errors
    /// When there is no such heartbeat, or the database fails.
    pub async fn remove_heartbeat(&self, which: &str, expected: &Expected) -> Result<(), Refused> {
        let mut tx = self.store.begin().await?;
        tx.db().lock_edits(Edited::Heartbeats).await?;
        let beat = heartbeat_named(&mut tx.db(), which).await?;
        expected.check(Some(&beat.version()))?;
        tx.db().remove_heartbeat(beat.id).await?;
        tx.commit().await?;
        self.resolve_with_key(HEARTBEATS, &beat.id.to_string()).await?;
        Ok(())
    }

    /// Hears a heartbeat; false when no heartbeat has this token.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ping_heartbeat(&self, token_hash: &[u8]) -> Result<bool, EngineError> {
        let now = self.clock.now();
        let Some(beat) = self.store.read().await?.db().heartbeat_by_token(token_hash).await? else { return Ok(false) };
        let due_at = now + allowed_silence(&beat);
        let late = beat.missed_since.is_some() || beat.due_at.is_some_and(|due| due <= now);
        if !late && self.pinged_in_time(beat.id, now, due_at).await? {
            return Ok(true);
        }
        // Before it is written down, so that a crash in between leaves the heartbeat missed, and the next ping does it again.
        self.resolve_with_key(HEARTBEATS, &beat.id.to_string()).await?;
        let mut tx = self.store.begin().await?;
        tx.db().heartbeat_pinged(beat.id, now, due_at).await?;
        tx.commit().await?;
        // Another node may have raised it between the two.
        self.resolve_with_key(HEARTBEATS, &beat.id.to_string()).await?;
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
            if now < self.serving_since() + allowed_silence(&beat).min(LISTEN_FIRST) {
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
            self.resolve_with_key(HEARTBEATS, &beat.id.to_string()).await?;
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

async fn heartbeat_named(db: &mut Db<'_>, which: &str) -> Result<HeartbeatRow, Refused> {
    let all = db.heartbeats().await?;
    let found = all.into_iter().find(|beat| beat.name == which || beat.id.to_string() == which);
    found.ok_or_else(|| Refused::Missing { what: "heartbeat", name: which.to_owned() })
}

fn allowed_silence(beat: &HeartbeatRow) -> TimeDelta {
    seconds(beat.period_s) + seconds(beat.grace_s)
}

fn within(field: &'static str, value: i32, range: std::ops::RangeInclusive<i32>) -> Result<(), Refused> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(Refused::wrong(field, format!("{field} must be {} to {}, not {value}", range.start(), range.end())))
}
