//! Quiet hours, as they are stored.

use chrono::NaiveTime;

use crate::alarm::Priority;
use crate::ids::PersonId;
use crate::roster::quiet::QuietHours;
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{execute, fetch_all, row};
use crate::store::{Db, Result, StoreError};

/// How a wall time is written.
const TIME: &str = "%H:%M";

row! {
    struct Row {
        person_id: Option<PersonId>,
        from_time: String,
        to_time: String,
        zone: String,
        up_to: Priority,
    }
}

statements! {
    /// All of them.
    LIST = ["SELECT person_id, from_time, to_time, zone, up_to FROM quiet_hours ORDER BY position"];
    /// Forgets all.
    DELETE = ["DELETE FROM quiet_hours"];
    /// One more.
    INSERT = ["INSERT INTO quiet_hours (position, person_id, from_time, to_time, zone, up_to) VALUES ($1, $2, $3, $4, $5, $6)"];
}

impl Db<'_> {
    /// All quiet hours.
    ///
    /// # Errors
    /// When the database fails, or holds what is none.
    pub async fn quiet_hours(&mut self) -> Result<Vec<QuietHours>> {
        let rows: Vec<Row> = fetch_all!(self, LIST)?;
        rows.into_iter().map(read).collect()
    }

    /// Replaces all quiet hours.
    pub async fn set_quiet_hours(&mut self, all: &[QuietHours]) -> Result<()> {
        execute!(self, DELETE)?;
        for (position, one) in (0_i32..).zip(all) {
            let (from, to) = (one.from.format(TIME).to_string(), one.to.format(TIME).to_string());
            execute!(self, INSERT, position, one.person, from.as_str(), to.as_str(), one.zone.name(), one.up_to)?;
        }
        Ok(())
    }
}

fn read(row: Row) -> Result<QuietHours> {
    let broken = || StoreError::Inconsistent(format!("quiet hours from {} to {} in {}", row.from_time, row.to_time, row.zone));
    let time = |text: &str| NaiveTime::parse_from_str(text, TIME).map_err(|_| broken());
    Ok(QuietHours {
        person: row.person_id,
        from: time(&row.from_time)?,
        to: time(&row.to_time)?,
        zone: row.zone.parse().map_err(|_| broken())?,
        up_to: row.up_to,
    })
}
