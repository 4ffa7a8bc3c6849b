//! Maintenance windows as operators say them: made and ended.

use serde_json::json;
use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::types::Json;

use super::refused::{self, Faults, Refused};
use crate::audit::{Line, Operation};
use crate::ids::WindowId;
use crate::store::Work;
use crate::store::watch::maintenance::WindowRow;

const LONGEST_REASON: usize = 200;
const LONGEST_WINDOW: TimeDelta = TimeDelta::days(31);

/// A window to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWindow {
    /// What is being done.
    pub reason: String,
    /// From then on; `None`: now.
    pub starts_at: Option<DateTime<Utc>>,
    /// Until then.
    pub ends_at: DateTime<Utc>,
    /// Alarms of this team.
    pub team: Option<String>,
    /// Alarms with all of these labels.
    pub labels: BTreeMap<String, String>,
}

/// Makes a window. Alarms that people are being rung for already are not touched.
///
/// # Errors
/// When it makes no sense, or the database fails.
pub async fn add(work: &mut Work, new: &NewWindow) -> Result<WindowRow, Refused> {
    let now = work.now();
    let reason = new.reason.trim().to_owned();
    let mut faults = Faults::default();
    if reason.is_empty() || reason.chars().count() > LONGEST_REASON || reason.chars().any(char::is_control) {
        let why = format!("say in 1 to {LONGEST_REASON} characters what is being done");
        faults.note(Err::<(), _>(Refused::wrong("reason", why)))?;
    }
    let team = new.team.as_deref().map(str::trim).filter(|team| !team.is_empty()).map(str::to_owned);
    if team.is_none() && new.labels.is_empty() {
        let why = "name a team or at least one label: a window for everything would silence everything";
        faults.note(Err::<(), _>(Refused::wrong("labels", why)))?;
    }
    faults.note(refused::labels(&new.labels))?;
    let starts_at = new.starts_at.unwrap_or(now);
    if new.ends_at <= now || new.ends_at <= starts_at {
        let why = "the window must end after it begins, and not in the past";
        faults.note(Err::<(), _>(Refused::wrong("ends_at", why)))?;
    } else if new.ends_at - starts_at > LONGEST_WINDOW {
        let why = format!("a window is at most {} days long", LONGEST_WINDOW.num_days());
        faults.note(Err::<(), _>(Refused::wrong("ends_at", why)))?;
    }
    faults.none()?;
    let labels = Json(new.labels.clone());
    let window = WindowRow { id: WindowId::new(now), reason, starts_at, ends_at: new.ends_at, team, labels, created_at: now };
    work.db().insert_window(&window).await?;
    let after = json!({
        "starts_at": window.starts_at, "ends_at": window.ends_at, "team": window.team, "labels": window.labels.0,
    });
    work.note(Line::new(Operation::MaintenanceAdded).of(window.id).named(window.reason.as_str()).after(after));
    Ok(window)
}

/// Ends a window now. What it held is rung within a second, unless another window holds it too.
///
/// # Errors
/// When there is no such window, it is over, or the database fails.
pub async fn end(work: &mut Work, id: &str) -> Result<(), Refused> {
    let missing = || Refused::Missing { what: "maintenance window that is not over", name: id.to_owned() };
    let window: WindowId = id.parse().map_err(|_| missing())?;
    let now = work.now();
    if !work.db().end_window(window, now).await? {
        return Err(missing());
    }
    work.note(Line::new(Operation::MaintenanceEnded).of(window));
    Ok(())
}
