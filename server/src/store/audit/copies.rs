//! Copies of who was to be rung, around hunts that are over: their timelines, notices, what handsets were given and said, what senders wrote,
//! what was recorded. They are gone through in portions, whoever is forgotten in them or masked.

use chrono::{DateTime, Utc};
use serde_json::Value as JsonValue;
use sqlx::types::Json;
use uuid::Uuid;

use crate::audit::forget::{ERASED_NUMBER, Known};
use crate::ids::HuntId;
use crate::store::dialect::{Sql, fragment, statements};
use crate::store::statement::{all, execute, fetch_all};
use crate::store::{Db, Result};

statements! {
    /// Lines of the timelines of these hunts.
    EVENTS_OF_HUNTS = ["SELECT id, body FROM events WHERE hunt_id" in_list "AND id > $2 ORDER BY id LIMIT 500"];
    /// Those of the timelines of their alarms.
    EVENTS_OF_ALARMS = [
        "SELECT id, body FROM events WHERE alarm_id IN (SELECT alarm_id FROM alarm_hunts WHERE hunt_id" in_list ")
           AND id > $2 ORDER BY id LIMIT 500"
    ];
    /// A line without somebody.
    SET_EVENT = ["UPDATE events SET body = $2 WHERE id = $1"];
    /// Notices about these hunts.
    DELIVERIES_OF_HUNTS = ["SELECT id, body FROM deliveries WHERE hunt_id" in_list "AND id > $2 ORDER BY id LIMIT 500"];
    /// Those about their alarms.
    DELIVERIES_OF_ALARMS = [
        "SELECT id, body FROM deliveries WHERE alarm_id IN (SELECT alarm_id FROM alarm_hunts WHERE hunt_id" in_list ")
           AND id > $2 ORDER BY id LIMIT 500"
    ];
    /// A notice without somebody.
    SET_DELIVERY = ["UPDATE deliveries SET body = $2 WHERE id = $1"];
    /// What handsets were given to dial for these hunts, and what they said.
    DIALS = ["SELECT mid, phones, resp FROM dials WHERE hunt_id" in_list "AND closed_at IS NOT NULL AND mid > $2 ORDER BY mid LIMIT 500"];
    /// The same without somebody.
    SET_DIAL = ["UPDATE dials SET phones = $2, resp = $3 WHERE mid = $1"];
    /// Who has said no for these hunts.
    REFUSED = ["SELECT id, refused FROM hunts WHERE id" in_list "AND refused IS NOT NULL AND id > $2 ORDER BY id LIMIT 500"];
    /// The same without somebody.
    SET_REFUSED = ["UPDATE hunts SET refused = $2 WHERE id = $1"];
    /// What the senders of their alarms wrote. It may be long.
    WRITTEN_OF_HUNTS = [
        "SELECT id, summary, details, labels FROM alarms WHERE id IN (SELECT alarm_id FROM alarm_hunts WHERE hunt_id" in_list ")
           AND id > $2 ORDER BY id LIMIT 50"
    ];
    /// The same of these alarms.
    WRITTEN = ["SELECT id, summary, details, labels FROM alarms WHERE id" in_list];
    /// The same without somebody.
    SET_WRITTEN = ["UPDATE alarms SET summary = $2, details = $3, labels = $4 WHERE id = $1"];
    /// What Barista clients said of them.
    BARISTA_OF_HUNTS = [
        "SELECT alarm_id, operator, message, addressees FROM barista_calls
         WHERE alarm_id IN (SELECT alarm_id FROM alarm_hunts WHERE hunt_id" in_list ") AND alarm_id > $2 ORDER BY alarm_id LIMIT 500"
    ];
    /// The same without somebody.
    SET_BARISTA = ["UPDATE barista_calls SET operator = $2, message = $3, addressees = $4 WHERE alarm_id = $1"];
    /// Answers in these hunts.
    ANSWERS_OF_HUNTS = ["SELECT id, name, number FROM answers WHERE hunt_id" in_list "AND id > $2 ORDER BY id LIMIT 500"];
    /// An answer without somebody.
    SET_ANSWER = ["UPDATE answers SET name = $2, number = $3 WHERE id = $1"];
    /// What was recorded in these hunts.
    RECORDINGS_OF_HUNTS = ["SELECT id, number FROM recordings WHERE hunt_id" in_list "AND id > $2 ORDER BY id LIMIT 500"];
    /// A recording with another number; the sound of whoever is erased goes.
    SET_RECORDING = ["UPDATE recordings SET number = $2 WHERE id = $1"];
    /// The sound of whoever is erased is not wanted any more.
    LET_GO = ["UPDATE recordings SET media_id = NULL, person_id = NULL, gone_at = $2 WHERE id = $1 AND gone_at IS NULL"];
    /// Nor do programs find it.
    NO_FILES = ["DELETE FROM rpc_files WHERE media_id = (SELECT media_id FROM recordings WHERE id = $1)"];
    /// Calls that came in about these hunts.
    INBOUND_OF_HUNTS = [
        "SELECT mid, number, caller FROM inbound_calls WHERE hunt_id" in_list "AND ended_at IS NOT NULL AND mid > $2 ORDER BY mid LIMIT 500"
    ];
    /// One without somebody.
    SET_INBOUND = ["UPDATE inbound_calls SET number = $2, caller = $3 WHERE mid = $1"];
    /// Records of calls of these hunts.
    RECORDS_OF_HUNTS = ["SELECT id, number, dialled_number FROM call_records WHERE hunt_id" in_list "AND id > $2 ORDER BY id LIMIT 500"];
    /// A record with masked numbers.
    MASK_RECORD = ["UPDATE call_records SET number = $2, dialled_number = $3 WHERE id = $1"];
    /// Calls of shouts that are over.
    SHOUT_CALLS_OF_HUNTS = [
        "SELECT id, phone, number FROM shout_calls WHERE shout_id IN (SELECT id FROM shouts WHERE hunt_id" in_list ")
           AND finished_at IS NOT NULL AND" unindexed "id > $2 ORDER BY id LIMIT 500"
    ];
    /// One without somebody.
    SET_SHOUT_CALL = ["UPDATE shout_calls SET phone = $2, number = $3 WHERE id = $1"];
}

/// So many rows are looked at in one transaction, more or less.
pub(super) const ROWS_AT_ONCE: usize = 500;
/// Rows that may be long count for so many.
const LONG: usize = 10;

/// How far the copies around some hunts have been gone through; from the beginning where nothing is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopiesPlace {
    step: usize,
    after: String,
}

/// So many rows were seen, and there may be more behind the last.
pub(super) struct Seen {
    pub(super) rows: usize,
    pub(super) last: Option<String>,
}

impl Seen {
    /// The rows of a statement that gives so many at most.
    pub(super) fn of<T>(rows: &[T], most: usize, last: impl FnOnce(&T) -> String) -> Self {
        Self { rows: rows.len(), last: rows.last().filter(|_| rows.len() >= most).map(last) }
    }
}

/// In JSON about them, or about anybody.
fn forget(known: &Known, value: &mut JsonValue, about: bool) -> bool {
    if about { known.forget_in(value) } else { known.forget_in_any(value) }
}

/// In a text likewise.
fn forgotten(known: &Known, text: &str, about: bool) -> Option<String> {
    if about { known.forgotten_in(text) } else { known.forgotten_in_any(text) }
}

/// What a sender wrote: of which alarm, summary, details and labels.
pub(super) type Written = (crate::ids::AlarmId, String, String, Json<JsonValue>);
/// What a Barista client said.
pub(super) type Barista = (crate::ids::AlarmId, String, String, Json<JsonValue>);
/// A call of a shout.
pub(super) type ShoutCall = (i64, String, Option<String>);

impl Db<'_> {
    /// Forgets somebody in a portion of the copies around these hunts, which are over; gives where the next begins, `None` at the end.
    pub async fn forget_copies(
        &mut self,
        hunts: &[HuntId],
        known: &Known,
        place: CopiesPlace,
        now: DateTime<Utc>,
    ) -> Result<Option<CopiesPlace>> {
        let list = serde_json::json!(hunts).to_string();
        let CopiesPlace { mut step, mut after } = place;
        let mut left = ROWS_AT_ONCE;
        while left > 0 {
            let Some(seen) = self.copies(step, (hunts, &list), known, &after, now).await? else { return Ok(None) };
            left = left.saturating_sub(seen.rows);
            match seen.last {
                Some(last) => after = last,
                None => (step, after) = (step + 1, String::new()),
            }
        }
        Ok(Some(CopiesPlace { step, after }))
    }

    /// One statement of it; `None` behind the last.
    async fn copies(
        &mut self,
        step: usize,
        (hunts, list): (&[HuntId], &str),
        known: &Known,
        after: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Seen>> {
        let (number, id) = (after.parse().unwrap_or(0_i64), after.parse().unwrap_or(Uuid::nil()));
        let seen = match step {
            0 => self.forget_in_events(&EVENTS_OF_HUNTS, list, known, number).await?,
            1 => self.forget_in_events(&EVENTS_OF_ALARMS, list, known, number).await?,
            2 => self.forget_in_deliveries(&DELIVERIES_OF_HUNTS, list, known, id).await?,
            3 => self.forget_in_deliveries(&DELIVERIES_OF_ALARMS, list, known, id).await?,
            4 => self.forget_in_dials(list, known, after).await?,
            5 => self.forget_in_refused(list, known, id).await?,
            6 => {
                let rows: Vec<Written> = fetch_all!(self, WRITTEN_OF_HUNTS, list, id)?;
                let seen = Seen::of(&rows, 50, |row| row.0.to_string());
                self.forget_written(rows, known, true).await?;
                Seen { rows: seen.rows * LONG, ..seen }
            }
            7 => {
                let rows: Vec<Barista> = fetch_all!(self, BARISTA_OF_HUNTS, list, id)?;
                let seen = Seen::of(&rows, ROWS_AT_ONCE, |row| row.0.to_string());
                self.forget_barista(rows, known, true).await?;
                seen
            }
            8 => {
                let rows: Vec<(Uuid, String, Option<String>)> = fetch_all!(self, ANSWERS_OF_HUNTS, list, id)?;
                let seen = Seen::of(&rows, ROWS_AT_ONCE, |row| row.0.to_string());
                self.forget_in_answers(rows, known, true).await?;
                seen
            }
            9 => {
                let rows: Vec<(Uuid, String)> = fetch_all!(self, RECORDINGS_OF_HUNTS, list, id)?;
                let seen = Seen::of(&rows, ROWS_AT_ONCE, |row| row.0.to_string());
                self.forget_in_recordings(rows, known, now).await?;
                seen
            }
            10 => {
                let rows: Vec<(String, String, String)> = fetch_all!(self, INBOUND_OF_HUNTS, list, after)?;
                let seen = Seen::of(&rows, ROWS_AT_ONCE, |row| row.0.clone());
                self.forget_in_inbound(rows, known).await?;
                seen
            }
            11 => {
                let rows: Vec<ShoutCall> = fetch_all!(self, SHOUT_CALLS_OF_HUNTS, list, number)?;
                let seen = Seen::of(&rows, ROWS_AT_ONCE, |row| row.0.to_string());
                self.forget_in_shout_calls(rows, known).await?;
                seen
            }
            // Whoever is erased is forgotten in all their records, and not only in those of these hunts.
            12 if known.masks => self.mask_records(list, known, number).await?,
            12 => Seen { rows: 0, last: None },
            13 => {
                for hunt in hunts {
                    // Nobody is found by words that do not stand there any more.
                    self.remember_sought(None, Some(*hunt)).await?;
                }
                Seen { rows: hunts.len(), last: None }
            }
            _ => return Ok(None),
        };
        Ok(Some(seen))
    }

    async fn forget_in_events(&mut self, sql: &'static Sql, list: &str, known: &Known, after: i64) -> Result<Seen> {
        let running = self.rows(sql, &[&list, &after]);
        let rows: Vec<(i64, Json<JsonValue>)> = running.await.and_then(|rows| all(sql, &rows))?;
        let seen = Seen::of(&rows, ROWS_AT_ONCE, |row| row.0.to_string());
        for (id, Json(mut body)) in rows {
            if known.forget_in(&mut body) {
                execute!(self, SET_EVENT, id, Json(body))?;
            }
        }
        Ok(seen)
    }

    /// Writes a line of a timeline as it is now.
    pub(super) async fn set_event(&mut self, id: i64, body: JsonValue) -> Result<()> {
        execute!(self, SET_EVENT, id, Json(body)).map(|_| ())
    }

    async fn forget_in_deliveries(&mut self, sql: &'static Sql, list: &str, known: &Known, after: Uuid) -> Result<Seen> {
        let running = self.rows(sql, &[&list, &after]);
        let rows: Vec<(Uuid, Json<JsonValue>)> = running.await.and_then(|rows| all(sql, &rows))?;
        let seen = Seen::of(&rows, ROWS_AT_ONCE, |row| row.0.to_string());
        self.forget_delivered(rows, known, true).await?;
        Ok(seen)
    }

    /// Forgets somebody in these notices.
    pub(super) async fn forget_delivered(
        &mut self,
        rows: Vec<(Uuid, Json<JsonValue>)>,
        known: &Known,
        about: bool,
    ) -> Result<()> {
        for (id, Json(mut body)) in rows {
            if forget(known, &mut body, about) {
                execute!(self, SET_DELIVERY, id, Json(body))?;
            }
        }
        Ok(())
    }

    async fn forget_in_dials(&mut self, list: &str, known: &Known, after: &str) -> Result<Seen> {
        let rows: Vec<(String, Json<JsonValue>, Option<String>)> = fetch_all!(self, DIALS, list, after)?;
        let seen = Seen::of(&rows, ROWS_AT_ONCE, |row| row.0.clone());
        for (mid, Json(mut phones), resp) in rows {
            let said = resp.as_deref().and_then(|resp| known.forgotten_in(resp));
            if known.forget_in(&mut phones) || said.is_some() {
                execute!(self, SET_DIAL, mid.as_str(), Json(phones), said.or(resp))?;
            }
        }
        Ok(seen)
    }

    async fn forget_in_refused(&mut self, list: &str, known: &Known, after: Uuid) -> Result<Seen> {
        let rows: Vec<(Uuid, Json<JsonValue>)> = fetch_all!(self, REFUSED, list, after)?;
        let seen = Seen::of(&rows, ROWS_AT_ONCE, |row| row.0.to_string());
        for (id, Json(mut refused)) in rows {
            if known.forget_in(&mut refused) {
                execute!(self, SET_REFUSED, id, Json(refused))?;
            }
        }
        Ok(seen)
    }

    /// Forgets somebody in what the senders of these alarms wrote; they are found by it no more.
    pub(super) async fn forget_written(&mut self, rows: Vec<Written>, known: &Known, about: bool) -> Result<()> {
        for (id, summary, details, Json(mut labels)) in rows {
            let (short, long) = (forgotten(known, &summary, about), forgotten(known, &details, about));
            if forget(known, &mut labels, about) || short.is_some() || long.is_some() {
                execute!(self, SET_WRITTEN, id, short.unwrap_or(summary), long.unwrap_or(details), Json(labels))?;
                if !about {
                    self.remember_sought(Some(id), None).await?;
                }
            }
        }
        Ok(())
    }

    /// The same of alarms that are about them.
    pub(super) async fn forget_written_of(&mut self, alarms: &[crate::ids::AlarmId], known: &Known) -> Result<()> {
        for some in alarms.chunks(50) {
            let list = serde_json::json!(some).to_string();
            let rows: Vec<Written> = fetch_all!(self, WRITTEN, list.as_str())?;
            self.forget_written(rows, known, true).await?;
        }
        Ok(())
    }

    /// Forgets somebody in what Barista clients said.
    pub(super) async fn forget_barista(&mut self, rows: Vec<Barista>, known: &Known, about: bool) -> Result<()> {
        for (id, operator, message, Json(mut addressees)) in rows {
            let (who, what) = (forgotten(known, &operator, about), forgotten(known, &message, about));
            if forget(known, &mut addressees, about) || who.is_some() || what.is_some() {
                execute!(self, SET_BARISTA, id, who.unwrap_or(operator), what.unwrap_or(message), Json(addressees))?;
            }
        }
        Ok(())
    }

    /// Forgets who gave these answers, where it was them.
    pub(super) async fn forget_in_answers(
        &mut self,
        rows: Vec<(Uuid, String, Option<String>)>,
        known: &Known,
        about: bool,
    ) -> Result<()> {
        for (id, name, number) in rows {
            // Where only a number was known it stands as the name.
            let other = if about { known.forgotten_in(&name) } else { known.forgotten_by(&name) };
            let left = number.as_deref().and_then(|number| known.forgotten_in(number));
            if other.is_some() || left.is_some() {
                execute!(self, SET_ANSWER, id, other.unwrap_or(name), left.or(number))?;
            }
        }
        Ok(())
    }

    /// Forgets whose these recordings are, where they are theirs; their sound goes, unless numbers are only masked.
    pub(super) async fn forget_in_recordings(
        &mut self,
        rows: Vec<(Uuid, String)>,
        known: &Known,
        now: DateTime<Utc>,
    ) -> Result<()> {
        for (id, number) in rows {
            if let Some(left) = known.forgotten_in(&number) {
                execute!(self, SET_RECORDING, id, left)?;
                if !known.masks {
                    execute!(self, NO_FILES, id)?;
                    execute!(self, LET_GO, id, now)?;
                }
            }
        }
        Ok(())
    }

    /// Forgets who called, where it was them.
    pub(super) async fn forget_in_inbound(&mut self, rows: Vec<(String, String, String)>, known: &Known) -> Result<()> {
        for (mid, number, caller) in rows {
            let (one, other) = (known.forgotten_in(&number), known.forgotten_in(&caller));
            if one.is_some() || other.is_some() {
                execute!(self, SET_INBOUND, mid.as_str(), one.unwrap_or(number), other.unwrap_or(caller))?;
            }
        }
        Ok(())
    }

    /// Forgets whom these calls of shouts were to, where it was them.
    pub(super) async fn forget_in_shout_calls(&mut self, rows: Vec<ShoutCall>, known: &Known) -> Result<()> {
        for (id, phone, number) in rows {
            let (one, other) = (known.forgotten_in(&phone), number.as_deref().and_then(|number| known.forgotten_in(number)));
            if one.is_some() || other.is_some() {
                execute!(self, SET_SHOUT_CALL, id, one.unwrap_or(phone), other.or(number))?;
            }
        }
        Ok(())
    }

    /// Numbers in records of calls are masked, however a handset was to dial them.
    async fn mask_records(&mut self, list: &str, known: &Known, after: i64) -> Result<Seen> {
        let rows: Vec<(i64, String, String)> = fetch_all!(self, RECORDS_OF_HUNTS, list, after)?;
        let seen = Seen::of(&rows, ROWS_AT_ONCE, |row| row.0.to_string());
        for (id, number, dialled) in rows.into_iter().filter(|(_, number, _)| !number.contains('*')) {
            execute!(self, MASK_RECORD, id, hidden(&known.instead_of(&number)), hidden(&known.instead_of(&dialled)))?;
        }
        Ok(seen)
    }
}

/// A masked number, by which it is known that it is: also where there was nothing to be hidden.
pub(super) fn hidden(masked: &str) -> String {
    if masked.contains('*') { masked.to_owned() } else { ERASED_NUMBER.to_owned() }
}
