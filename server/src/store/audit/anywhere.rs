//! Looking for somebody in all that is kept: what they did without having been called, where only their number stands, and what stands beside
//! all alarms. It takes as long as there is to look at, in portions, table after table.

use chrono::{DateTime, Utc};
use serde_json::Value as JsonValue;
use sqlx::types::Json;
use uuid::Uuid;

use super::copies::{Barista, ROWS_AT_ONCE, Seen, ShoutCall, Written};
use super::erasing::CalleeFound;
use crate::audit::forget::Known;
use crate::ids::{AlarmId, CalleeId, HuntId};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{execute, fetch_all, row};
use crate::store::{Db, Result};

/// Where the next portion begins: in which table, behind what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anywhere {
    table: usize,
    after: String,
}

impl Anywhere {
    /// Reads what was written down of it; the beginning where that is nothing.
    #[must_use]
    pub fn read(written: &str) -> Self {
        let read =
            written.split_once(' ').and_then(|(table, after)| Some(Self { table: table.parse().ok()?, after: after.to_owned() }));
        read.unwrap_or_default()
    }

    /// As it is written down.
    #[must_use]
    pub fn written(&self) -> String {
        format!("{} {}", self.table, self.after)
    }
}

/// What a portion came to.
pub struct Looked {
    /// Callees that are them, in hunts of which more has to be forgotten first.
    pub callees: Vec<CalleeFound>,
    /// Where the next one begins; `None`: everything was looked at.
    pub next: Option<Anywhere>,
}

row! {
    struct Callee {
        id: CalleeId,
        hunt_id: HuntId,
        name: Option<String>,
        number: String,
        is_over: bool,
    }
}

statements! {
    /// Whoever was to be rung, and whether that is over.
    CALLEES = [
        "SELECT c.id, c.hunt_id, c.name, c.number,
           h.ended_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM dial_targets t WHERE t.callee_id = c.id AND t.holds) AS is_over
         FROM (SELECT id, hunt_id, name, number FROM callees WHERE id > $1 ORDER BY id LIMIT 500) AS c JOIN hunts h ON h.id = c.hunt_id
         ORDER BY c.id"
    ];
    /// Lines of all timelines, and beside them.
    EVENTS = ["SELECT id, alarm_id, body FROM events WHERE id > $1 ORDER BY id LIMIT 500"];
    /// Notices.
    DELIVERIES = ["SELECT id, body FROM deliveries WHERE id > $1 ORDER BY id LIMIT 500"];
    /// Answers.
    ANSWERS = ["SELECT id, hunt_id, name, number FROM answers WHERE id > $1 ORDER BY id LIMIT 500"];
    /// What senders wrote: it may be long.
    WRITTEN = ["SELECT id, summary, details, labels FROM alarms WHERE id > $1 ORDER BY id LIMIT 200"];
    /// What Barista clients said.
    BARISTA = ["SELECT alarm_id, operator, message, addressees FROM barista_calls WHERE alarm_id > $1 ORDER BY alarm_id LIMIT 500"];
    /// What was recorded.
    RECORDINGS = ["SELECT id, number FROM recordings WHERE id > $1 ORDER BY id LIMIT 500"];
    /// Calls that came in.
    INBOUND = ["SELECT mid, number, caller FROM inbound_calls WHERE mid > $1 AND ended_at IS NOT NULL ORDER BY mid LIMIT 500"];
    /// Calls of shouts that are over.
    SHOUT_CALLS = ["SELECT id, phone, number FROM shout_calls WHERE id > $1 AND finished_at IS NOT NULL ORDER BY id LIMIT 500"];
    /// Detail records of shouts.
    SHOUT_LOG = ["SELECT id, line FROM shout_log WHERE id > $1 ORDER BY id LIMIT 500"];
    /// One without somebody.
    SET_SHOUT_LOG = ["UPDATE shout_log SET line = $2 WHERE id = $1"];
}

impl Db<'_> {
    /// Forgets somebody in a portion of all that is kept.
    pub async fn forget_anywhere(&mut self, known: &Known, place: Anywhere, now: DateTime<Utc>) -> Result<Looked> {
        let Anywhere { table, after } = place;
        let (number, id) = (after.parse().unwrap_or(0_i64), after.parse().unwrap_or(Uuid::nil()));
        let mut callees = Vec::new();
        let seen = match table {
            0 => {
                let looked = self.callees_anywhere(known, id).await?;
                callees = looked.0;
                looked.1
            }
            1 => self.forget_in_any_events(known, number).await?,
            2 => {
                let rows: Vec<(Uuid, Json<JsonValue>)> = fetch_all!(self, DELIVERIES, id)?;
                let seen = Seen::of(&rows, ROWS_AT_ONCE, |row| row.0.to_string());
                self.forget_delivered(rows, known, false).await?;
                seen
            }
            3 => {
                let rows: Vec<(Uuid, HuntId, String, Option<String>)> = fetch_all!(self, ANSWERS, id)?;
                let seen = Seen::of(&rows, ROWS_AT_ONCE, |row| row.0.to_string());
                let mut theirs = Vec::new();
                for (id, hunt, name, number) in rows {
                    let is_theirs = known.forgotten_by(&name).is_some();
                    if is_theirs || number.as_deref().is_some_and(|number| known.forgotten_in(number).is_some()) {
                        self.remember_sought(None, Some(hunt)).await?;
                        theirs.push((id, name, number));
                    }
                }
                self.forget_in_answers(theirs, known, false).await?;
                seen
            }
            4 => {
                let rows: Vec<Written> = fetch_all!(self, WRITTEN, id)?;
                let seen = Seen::of(&rows, 200, |row| row.0.to_string());
                self.forget_written(rows, known, false).await?;
                seen
            }
            5 => {
                let rows: Vec<Barista> = fetch_all!(self, BARISTA, id)?;
                let seen = Seen::of(&rows, ROWS_AT_ONCE, |row| row.0.to_string());
                self.forget_barista(rows, known, false).await?;
                seen
            }
            6 => {
                let rows: Vec<(Uuid, String)> = fetch_all!(self, RECORDINGS, id)?;
                let seen = Seen::of(&rows, ROWS_AT_ONCE, |row| row.0.to_string());
                self.forget_in_recordings(rows, known, now).await?;
                seen
            }
            7 => {
                let rows: Vec<(String, String, String)> = fetch_all!(self, INBOUND, after.as_str())?;
                let seen = Seen::of(&rows, ROWS_AT_ONCE, |row| row.0.clone());
                self.forget_in_inbound(rows, known).await?;
                seen
            }
            8 => {
                let rows: Vec<ShoutCall> = fetch_all!(self, SHOUT_CALLS, number)?;
                let seen = Seen::of(&rows, ROWS_AT_ONCE, |row| row.0.to_string());
                self.forget_in_shout_calls(rows, known).await?;
                seen
            }
            9 => {
                let rows: Vec<(i64, String)> = fetch_all!(self, SHOUT_LOG, number)?;
                let seen = Seen::of(&rows, ROWS_AT_ONCE, |row| row.0.to_string());
                for (id, line) in rows {
                    // Its keys keep the order that readers know.
                    if let Some(left) = known.forgotten_in_any(&line) {
                        execute!(self, SET_SHOUT_LOG, id, left)?;
                    }
                }
                seen
            }
            _ => return Ok(Looked { callees, next: None }),
        };
        let next = match seen.last {
            Some(after) => Anywhere { table, after },
            None => Anywhere { table: table + 1, after: String::new() },
        };
        Ok(Looked { callees, next: Some(next) })
    }

    /// Those of a portion of all callees who are them, in hunts that are over, and where the next begins; `None` at the end.
    pub async fn late_callees(&mut self, known: &Known, after: &str) -> Result<(Vec<CalleeFound>, Option<String>)> {
        let (callees, seen) = self.callees_anywhere(known, after.parse().unwrap_or(Uuid::nil())).await?;
        Ok((callees, seen.last))
    }

    async fn callees_anywhere(&mut self, known: &Known, after: Uuid) -> Result<(Vec<CalleeFound>, Seen)> {
        let rows: Vec<Callee> = fetch_all!(self, CALLEES, after)?;
        let seen = Seen::of(&rows, ROWS_AT_ONCE, |row| row.id.to_string());
        let is_them = |row: &Callee| {
            let named = row.name.as_ref().is_some_and(|name| known.names.contains(name));
            named || known.forgotten_in(&row.number).is_some() && !row.number.contains('*')
        };
        // What goes on is left alone until it is over.
        let found = rows.into_iter().filter(|row| row.is_over && is_them(row));
        Ok((found.map(|row| CalleeFound { id: row.id, hunt_id: row.hunt_id }).collect(), seen))
    }

    /// The same of lines of timelines. An alarm on which they did something is about them, also in what its sender wrote.
    async fn forget_in_any_events(&mut self, known: &Known, after: i64) -> Result<Seen> {
        let rows: Vec<(i64, Option<AlarmId>, Json<JsonValue>)> = fetch_all!(self, EVENTS, after)?;
        let seen = Seen::of(&rows, ROWS_AT_ONCE, |row| row.0.to_string());
        let (mut about, mut changed) = (Vec::new(), Vec::new());
        for (id, alarm, Json(mut body)) in rows {
            let named = known.is_named_in(&body);
            if known.forget_in_any(&mut body) {
                self.set_event(id, body).await?;
                changed.extend(alarm);
                about.extend(alarm.filter(|_| named));
            }
        }
        for alarms in [&mut about, &mut changed] {
            alarms.sort_unstable();
            alarms.dedup();
        }
        self.forget_written_of(&about, known).await?;
        for alarm in changed {
            self.remember_sought(Some(alarm), None).await?;
        }
        Ok(seen)
    }
}
