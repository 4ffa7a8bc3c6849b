//! Maintenance windows, and the alarms that they hold.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use crate::ids::{AlarmId, HuntId, WindowId};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, row};
use crate::store::{Db, Result};

row! {
    /// A time in which matching alarms are not rung.
    #[derive(Clone, Debug)]
    pub struct WindowRow {
        /// Which one.
        pub id: WindowId,
        /// What is being done.
        pub reason: String,
        /// From then on.
        pub starts_at: DateTime<Utc>,
        /// Until then, exclusive.
        pub ends_at: DateTime<Utc>,
        /// Alarms whose label `team` is this.
        pub team: Option<String>,
        /// Alarms that have all of these labels.
        pub labels: Json<BTreeMap<String, String>>,
        /// When it was made.
        pub created_at: DateTime<Utc>,
    }
}

row! {
    /// A firing alarm that is held, with its current hunt.
    #[derive(Clone, Debug)]
    pub struct HeldRow {
        /// The alarm.
        pub id: AlarmId,
        /// Its current hunt.
        pub hunt_id: HuntId,
        /// What windows match.
        pub labels: Json<BTreeMap<String, String>>,
        /// The one team that it asked for.
        pub team: Option<String>,
        /// Until when it is held.
        pub held_until: DateTime<Utc>,
    }
}

statements! {
    /// A new window.
    INSERT = [
        "INSERT INTO maintenance_windows (id, reason, starts_at, ends_at, team, labels, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)"
    ];
    /// Those that are not over.
    NOT_OVER = ["SELECT * FROM maintenance_windows WHERE ends_at > $1 ORDER BY starts_at, id"];
    /// Ends one now.
    END = ["UPDATE maintenance_windows SET ends_at = $2 WHERE id = $1 AND ends_at > $2"];
    /// What is held.
    HELD = [
        "SELECT id, hunt_id, labels, team, held_until FROM alarms
         WHERE held_until IS NOT NULL AND resolved_at IS NULL AND cancelled_at IS NULL ORDER BY" unindexed "number"
    ];
    /// Holds an alarm, or lets it go.
    HOLD = ["UPDATE alarms SET held_until = $2 WHERE id = $1"];
}

impl Db<'_> {
    /// Stores a window.
    pub async fn insert_window(&mut self, window: &WindowRow) -> Result<()> {
        execute!(
            self,
            INSERT,
            window.id,
            window.reason.as_str(),
            window.starts_at,
            window.ends_at,
            window.team.as_deref(),
            &window.labels,
            window.created_at,
        )
        .map(|_| ())
    }

    /// The windows that are open or to come, by their beginning.
    pub async fn windows(&mut self, now: DateTime<Utc>) -> Result<Vec<WindowRow>> {
        fetch_all!(self, NOT_OVER, now)
    }

    /// Ends a window now; false when there is none, or it is over.
    pub async fn end_window(&mut self, id: WindowId, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, END, id, now)
    }

    /// The firing alarms that are held.
    pub async fn held_alarms(&mut self) -> Result<Vec<HeldRow>> {
        fetch_all!(self, HELD)
    }

    /// Sets until when an alarm is held.
    pub async fn hold_alarm(&mut self, id: AlarmId, until: Option<DateTime<Utc>>) -> Result<()> {
        execute!(self, HOLD, id, until).map(|_| ())
    }
}
