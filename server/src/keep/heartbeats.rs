//! Heartbeats as operators say them: made, changed and removed.

use serde_json::json;
use std::collections::BTreeMap;

use chrono::TimeDelta;
use sqlx::types::Json;

use super::refused::{self, Faults, Refused};
use crate::alarm::Priority;
use crate::audit::{Line, Operation};
use crate::config::Config;
use crate::ids::HeartbeatId;
use crate::numbers::Number;
use crate::secrets;
use crate::store::edits::Edited;
use crate::store::watch::heartbeats::HeartbeatRow;
use crate::store::{Db, Work};
use crate::versions::Expected;

/// Tells the token of a heartbeat from other secrets.
const PREFIX: &str = "hb_";
const PERIOD: std::ops::RangeInclusive<i32> = 10..=31 * 86_400;
const GRACE: std::ops::RangeInclusive<i32> = 0..=7 * 86_400;

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

impl HeartbeatRow {
    /// For how long it may be silent.
    #[must_use]
    pub fn allowed_silence(&self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.period_s)) + TimeDelta::seconds(i64::from(self.grace_s))
    }
}

/// Makes a heartbeat and gives the token it pings with, which is shown once.
///
/// # Errors
/// When a field is wrong, the name is taken, or the database fails.
pub async fn add(work: &mut Work, config: &Config, new: &NewHeartbeat) -> Result<(HeartbeatRow, String), Refused> {
    let now = work.now();
    let mut faults = Faults::default();
    let name = faults.note(refused::name(&new.name))?;
    faults.note(check(new, config))?;
    faults.none()?;
    let (token, hash) = secrets::new(PREFIX);
    let beat = HeartbeatRow {
        id: HeartbeatId::new(now),
        name: name.unwrap_or_default(),
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
    work.db().insert_heartbeat(&beat).await.map_err(|error| Refused::insert("heartbeat", &beat.name, error))?;
    work.note(Line::new(Operation::HeartbeatAdded).of(beat.id).named(beat.name.as_str()).after(told(&beat)));
    Ok((beat, token))
}

fn check(new: &NewHeartbeat, config: &Config) -> Result<(), Refused> {
    let mut faults = Faults::default();
    faults.note(within("period_seconds", new.period_s, PERIOD))?;
    faults.note(within("grace_seconds", new.grace_s, GRACE))?;
    faults.note(check_phones(&new.phones, config))?;
    faults.note(refused::labels(&new.labels))?;
    faults.none()
}

fn check_phones(phones: &[String], config: &Config) -> Result<(), Refused> {
    if phones.len() > config.alarms.max_phones {
        return Err(Refused::wrong("phones", format!("at most {} numbers can be rung", config.alarms.max_phones)));
    }
    if phones.is_empty() && config.alarms.fallback_phones.is_empty() {
        return Err(Refused::wrong("phones", "name at least one number to ring, or set alarms.fallback_phones"));
    }
    for phone in phones {
        Number::parse(phone, config.default_region).map_err(|error| Refused::wrong("phones", format!("{phone:?}: {error}")))?;
    }
    Ok(())
}

/// Changes everything of a heartbeat but its name and token. It is named by its id or its name.
///
/// # Errors
/// When there is no such heartbeat, it has changed meanwhile, a field is wrong, or the database fails.
pub async fn change(
    work: &mut Work,
    config: &Config,
    which: &str,
    new: &NewHeartbeat,
    expected: &Expected,
) -> Result<HeartbeatRow, Refused> {
    check(new, config)?;
    work.db().lock_edits(Edited::Heartbeats).await?;
    let mut beat = find(&mut work.db(), which).await?;
    expected.check(Some(&beat.version()))?;
    let before = told(&beat);
    beat.period_s = new.period_s;
    beat.grace_s = new.grace_s;
    beat.phones = Json(new.phones.clone());
    beat.labels = Json(new.labels.clone());
    beat.priority = new.priority;
    if beat.missed_since.is_none() {
        beat.due_at = beat.last_ping_at.map(|last| last + beat.allowed_silence());
    }
    work.db().change_heartbeat(&beat).await?;
    let line = Line::new(Operation::HeartbeatChanged).of(beat.id).named(beat.name.as_str());
    work.note(line.before(before).after(told(&beat)));
    Ok(beat)
}

/// Waits for a heartbeat no more, which is named by its id or its name. Its alarm is for `Engine::forget_heartbeat` to end, which does
/// this first.
///
/// # Errors
/// When there is no such heartbeat, or the database fails.
pub async fn remove(work: &mut Work, which: &str, expected: &Expected) -> Result<HeartbeatId, Refused> {
    work.db().lock_edits(Edited::Heartbeats).await?;
    let beat = find(&mut work.db(), which).await?;
    expected.check(Some(&beat.version()))?;
    work.db().remove_heartbeat(beat.id).await?;
    work.note(Line::new(Operation::HeartbeatRemoved).of(beat.id).named(beat.name.as_str()).before(told(&beat)));
    Ok(beat.id)
}

/// What a line of the audit log says of one.
fn told(beat: &HeartbeatRow) -> serde_json::Value {
    json!({
        "period_s": beat.period_s, "grace_s": beat.grace_s, "phones": beat.phones.0, "labels": beat.labels.0,
        "priority": beat.priority.as_str(),
    })
}

/// One heartbeat, by its id or its name.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn find(db: &mut Db<'_>, which: &str) -> Result<HeartbeatRow, Refused> {
    let all = db.heartbeats().await?;
    let found = all.into_iter().find(|beat| beat.name == which || beat.id.to_string() == which);
    found.ok_or_else(|| Refused::Missing { what: "heartbeat", name: which.to_owned() })
}

fn within(field: &'static str, value: i32, range: std::ops::RangeInclusive<i32>) -> Result<(), Refused> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(Refused::wrong(field, format!("{field} must be {} to {}, not {value}", range.start(), range.end())))
}
