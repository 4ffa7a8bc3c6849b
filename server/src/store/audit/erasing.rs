//! Forgetting somebody in what is kept of before, and masking old numbers: in portions, each found by an index and begun anew where one that was
//! broken off had got to. What was changed is found no more, so that a portion never does the same twice.

use chrono::{DateTime, Utc};
use serde_json::Value as JsonValue;
use sqlx::types::Json;
use uuid::Uuid;

use crate::audit::forget::{ERASED, ERASED_NUMBER, Known};
use crate::ids::{AlarmId, AnswerId, CalleeId, DeliveryId, HandOverId, HuntId, PersonId, ScheduleId};
use crate::store::dialect::{Sql, fragment, statements};
use crate::store::statement::{all, changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// Somebody who is being erased, or was.
    #[derive(Clone, Debug)]
    pub struct ErasureRow {
        /// Who.
        pub person_id: PersonId,
        /// Since when.
        pub asked_at: DateTime<Utc>,
        /// By what they are found; `None` once it is over.
        pub known: Option<String>,
        /// What is done next.
        pub step: String,
        /// How far that has got.
        pub reached: String,
        /// When it was over.
        pub done_at: Option<DateTime<Utc>>,
    }
}

row! {
    /// A callee whose particulars are forgotten or masked.
    struct CalleeFound {
        id: CalleeId,
        hunt_id: HuntId,
        number: String,
    }
}

statements! {
    /// Somebody is to be erased.
    BEGIN = [
        "INSERT INTO erasures (person_id, asked_at, known, step, reached) VALUES ($1, $2, $3, $4, '') ON CONFLICT (person_id) DO NOTHING"
    ];
    /// How that has got on.
    OF = ["SELECT person_id, asked_at, known, step, reached, done_at FROM erasures WHERE person_id = $1"];
    /// The first that is not over.
    OPEN = [
        "SELECT person_id, asked_at, known, step, reached, done_at FROM erasures WHERE done_at IS NULL ORDER BY asked_at LIMIT 1"
    ];
    /// It has got further.
    NOTE = ["UPDATE erasures SET step = $2, reached = $3 WHERE person_id = $1 AND done_at IS NULL"];
    /// It is over, and nothing is left by which they could be found.
    DONE = ["UPDATE erasures SET known = NULL, reached = '', done_at = $2 WHERE person_id = $1 AND done_at IS NULL"];
    /// An open hunt that may ring somebody.
    OPEN_HUNT = [
        "SELECT h.id FROM hunts h CROSS JOIN callees c
         WHERE h.ended_at IS NULL AND c.hunt_id = h.id AND" unindexed "c.person_id = $1 LIMIT 1"
    ];
    /// What somebody logs in with.
    USERS_OF = ["SELECT name, role, disabled_at FROM users WHERE person_id = $1"];
    /// Whether anybody else may change everything.
    OTHER_ADMINS = [
        "SELECT count(*) AS others FROM users
         WHERE role = 'admin' AND disabled_at IS NULL AND (person_id IS NULL OR person_id <> $1)"
    ];
    /// They log in no more.
    FORGET_USERS = ["DELETE FROM users WHERE person_id = $1"];
    /// Some callees of somebody, in hunts that are over.
    CALLEES = ["SELECT id, hunt_id, number FROM callees WHERE person_id = $1 LIMIT 20"];
    /// Some callees by a phone that was rung.
    CALLEES_BY_PHONE = [
        "SELECT c.id, c.hunt_id, c.number FROM dial_targets t JOIN callees c ON c.id = t.callee_id
         WHERE t.phone = $1 AND t.offered_at IS NOT NULL LIMIT 20"
    ];
    /// Those of these hunts that will ring again.
    TO_RING_AGAIN = ["SELECT hunt_id FROM alarms WHERE ring_again_at IS NOT NULL AND hunt_id" in_list];
    /// Callees of these hunts whose numbers are not masked.
    CALLEES_OF_HUNTS = [
        "SELECT id, hunt_id, number FROM callees WHERE hunt_id" in_list "AND number NOT LIKE '%*%' ORDER BY hunt_id, step, position LIMIT 500"
    ];
    /// A callee without name and number.
    ERASE_CALLEE = [
        "UPDATE callees SET name = $2, number = $3, phone = $3, ref = NULL, person_id = NULL WHERE id = $1"
    ];
    /// A callee with a masked number.
    MASK_CALLEE = ["UPDATE callees SET number = $2, phone = $2 WHERE id = $1"];
    /// The same in the calls that were made.
    ERASE_TARGETS = ["UPDATE dial_targets SET number = $2, phone = $2 WHERE callee_id = $1 AND NOT holds"];
    /// Which text message told whom of which alarm: only replies need that.
    FORGET_ALARM_TEXTS = [
        "DELETE FROM alarm_texts WHERE alarm_id IN (SELECT alarm_id FROM alarm_hunts WHERE hunt_id = $1) AND callee_id = $2"
    ];
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
    REFUSED = ["SELECT id, refused FROM hunts WHERE id" in_list "AND refused IS NOT NULL"];
    /// The same without somebody.
    SET_REFUSED = ["UPDATE hunts SET refused = $2 WHERE id = $1"];
    /// Answers of somebody.
    ERASE_ANSWERS = [
        "UPDATE answers SET name = $2, number = NULL, person_id = NULL
         WHERE id IN (SELECT id FROM answers WHERE person_id = $1 LIMIT 200)"
    ];
    /// Answers in these hunts.
    ANSWERS_OF_HUNTS = [
        "SELECT id, name, number FROM answers WHERE hunt_id" in_list "AND number NOT LIKE '%*%' ORDER BY id LIMIT 500"
    ];
    /// An answer without somebody.
    SET_ANSWER = ["UPDATE answers SET name = $2, number = $3 WHERE id = $1"];
    /// Calls of other systems with somebody.
    FORGET_REPLICATED = [
        "DELETE FROM call_records WHERE id IN (SELECT id FROM call_records WHERE person_id = $1 AND origin = 'replicated' LIMIT 200)"
    ];
    /// The same by number.
    FORGET_REPLICATED_BY_NUMBER = [
        "DELETE FROM call_records WHERE id IN (SELECT id FROM call_records WHERE number = $1 AND origin = 'replicated' LIMIT 200)"
    ];
    /// The same by who called.
    FORGET_REPLICATED_BY_CALLER = [
        "DELETE FROM call_records WHERE id IN (SELECT id FROM call_records WHERE caller = $1 AND origin = 'replicated' LIMIT 200)"
    ];
    /// Some records of our own calls to somebody.
    RECORDS = ["SELECT id, heard, keys FROM call_records WHERE person_id = $1 AND origin <> 'replicated' LIMIT 200"];
    /// The same by number.
    RECORDS_BY_NUMBER = ["SELECT id, heard, keys FROM call_records WHERE number = $1 AND origin <> 'replicated' LIMIT 200"];
    /// A record without them.
    ERASE_RECORD = [
        "UPDATE call_records SET name = $2, number = $3, dialled_number = $3, caller = NULL, url = NULL, contact_id = NULL,
                person_id = NULL, heard = $4, keys = $5 WHERE id = $1"
    ];
    /// The alarms of these hunts.
    ALARMS_OF_HUNTS = ["SELECT alarm_id FROM alarm_hunts WHERE hunt_id" in_list];
    /// What their senders wrote.
    WRITTEN = ["SELECT id, summary, details, labels FROM alarms WHERE id" in_list];
    /// The same without somebody.
    SET_WRITTEN = ["UPDATE alarms SET summary = $2, details = $3, labels = $4 WHERE id = $1"];
    /// What was written beside an override, and who made it, by their own word: a portion. The same of all that people say themselves.
    SAID_OF_OVERRIDES = [
        "SELECT id, note, created_by, CAST(NULL AS text) AS more FROM overrides WHERE id > $1 ORDER BY id LIMIT 500"
    ];
    /// Without somebody.
    SET_OVERRIDE = ["UPDATE overrides SET note = $2, created_by = $3 WHERE id = $1 AND CAST($4 AS text) IS NULL"];
    /// Of temporary schedules.
    SAID_OF_TEMPORARIES = [
        "SELECT id, name, created_by, CAST(NULL AS text) AS more FROM temporaries WHERE id > $1 ORDER BY id LIMIT 500"
    ];
    /// Without somebody.
    SET_TEMPORARY = ["UPDATE temporaries SET name = $2, created_by = $3 WHERE id = $1 AND CAST($4 AS text) IS NULL"];
    /// Of absences.
    SAID_OF_VACATIONS = [
        "SELECT id, note, created_by, CAST(NULL AS text) AS more FROM vacations WHERE id > $1 ORDER BY id LIMIT 500"
    ];
    /// Without somebody.
    SET_VACATION = ["UPDATE vacations SET note = $2, created_by = $3 WHERE id = $1 AND CAST($4 AS text) IS NULL"];
    /// Of calendar addresses.
    SAID_OF_FEEDS = [
        "SELECT id, CAST(NULL AS text) AS note, created_by, CAST(NULL AS text) AS more FROM feeds WHERE id > $1 ORDER BY id LIMIT 500"
    ];
    /// Without somebody.
    SET_FEED = ["UPDATE feeds SET created_by = $3 WHERE id = $1 AND CAST($2 AS text) IS NULL AND CAST($4 AS text) IS NULL"];
    /// Of swaps.
    SAID_OF_SWAPS = ["SELECT id, note, created_by, said_by FROM duty_swaps WHERE id > $1 ORDER BY id LIMIT 500"];
    /// Without somebody.
    SET_SWAP = ["UPDATE duty_swaps SET note = $2, created_by = $3, said_by = $4 WHERE id = $1"];
    /// Of alarms that were false.
    SAID_OF_FALSE_ALARMS = [
        "SELECT alarm_id AS id, reason, marked_by, CAST(NULL AS text) AS more FROM false_alarms WHERE alarm_id > $1
         ORDER BY alarm_id LIMIT 500"
    ];
    /// Without somebody.
    SET_FALSE_ALARM = ["UPDATE false_alarms SET reason = $2, marked_by = $3 WHERE alarm_id = $1 AND CAST($4 AS text) IS NULL"];
    /// Of commands in calls.
    SAID_OF_COMMANDS = [
        "SELECT id, CAST(NULL AS text) AS note, by_name, CAST(NULL AS text) AS more FROM live_commands WHERE id > $1
         ORDER BY id LIMIT 500"
    ];
    /// Without somebody.
    SET_COMMAND = [
        "UPDATE live_commands SET by_name = $3 WHERE id = $1 AND CAST($2 AS text) IS NULL AND CAST($4 AS text) IS NULL"
    ];
    /// Who really gave commands in calls.
    MADE_BY = ["SELECT id, made_by FROM live_commands WHERE id > $1 ORDER BY id LIMIT 500"];
    /// Without somebody.
    SET_MADE_BY = ["UPDATE live_commands SET made_by = $2 WHERE id = $1"];
    /// Records of calls of these hunts.
    RECORDS_OF_HUNTS = ["SELECT id, number, dialled_number FROM call_records WHERE hunt_id" in_list "AND id > $2 ORDER BY id LIMIT 500"];
    /// A record with masked numbers.
    MASK_RECORD = ["UPDATE call_records SET number = $2, dialled_number = $3 WHERE id = $1"];
    /// Recordings of somebody, whose sound has gone before.
    ERASE_RECORDINGS = [
        "UPDATE recordings SET number = $2, person_id = NULL WHERE id IN (SELECT id FROM recordings WHERE person_id = $1 LIMIT 200)"
    ];
    /// Calls of somebody that came in.
    ERASE_INBOUND = [
        "UPDATE inbound_calls SET number = $2, caller = $2
         WHERE mid IN (SELECT mid FROM inbound_calls WHERE number = $1 LIMIT 200)"
    ];
    /// What was still to be sent to a number is not.
    FORGET_UNSENT = [
        "DELETE FROM sms_outbox WHERE id IN (SELECT id FROM sms_outbox WHERE number = $1 AND sent_at IS NULL LIMIT 200)"
    ];
    /// Text messages to a number.
    ERASE_SENT = [
        "UPDATE sms_outbox SET number = $2, text = '', sentence = NULL
         WHERE id IN (SELECT id FROM sms_outbox WHERE number = $1 LIMIT 200)"
    ];
    /// Text messages from a number.
    ERASE_RECEIVED = [
        "UPDATE sms_inbox SET sender = $2, text = '' WHERE id IN (SELECT id FROM sms_inbox WHERE sender = $1 LIMIT 200)"
    ];
    /// Who was on duty, a portion of the whole log.
    DUTY = ["SELECT schedule_id, at, people FROM duty_log WHERE (schedule_id, at) > ($1, $2) ORDER BY schedule_id, at LIMIT 500"];
    /// The same without somebody's name.
    SET_DUTY = ["UPDATE duty_log SET people = $3 WHERE schedule_id = $1 AND at = $2"];
    /// To whom public numbers led, a portion.
    HAND_OVERS = ["SELECT id, at, person, number FROM hand_overs WHERE (at, id) > ($1, $2) ORDER BY at, id LIMIT 500"];
    /// The same without somebody.
    SET_HAND_OVER = ["UPDATE hand_overs SET person = $2, number = $3 WHERE id = $1"];
    /// What stands beside lines of the audit log, a portion.
    PERSONAL = [
        "SELECT audit_id, person_id, about_id, doer_name, said, address, name, before, after FROM audit_personal
         WHERE audit_id > $1 ORDER BY audit_id LIMIT 500"
    ];
    /// The same without somebody.
    SET_PERSONAL = [
        "UPDATE audit_personal SET doer_name = $2, said = $3, address = $4, name = $5, before = $6, after = $7 WHERE audit_id = $1"
    ];
}

/// What people say by their own word, a table each: how it is read, and how it is written.
static OWN_WORDS: [(&Sql, &Sql); 7] = [
    (&SAID_OF_OVERRIDES, &SET_OVERRIDE),
    (&SAID_OF_TEMPORARIES, &SET_TEMPORARY),
    (&SAID_OF_VACATIONS, &SET_VACATION),
    (&SAID_OF_FEEDS, &SET_FEED),
    (&SAID_OF_SWAPS, &SET_SWAP),
    (&SAID_OF_FALSE_ALARMS, &SET_FALSE_ALARM),
    (&SAID_OF_COMMANDS, &SET_COMMAND),
];
/// So many texts of senders are looked at together: they may be long.
const WRITTEN_AT_ONCE: usize = 50;

/// A thing with what people said of it.
type OwnWords = (Uuid, Option<String>, Option<String>, Option<String>);
/// A record of a call with what was heard of it, and the keys that were pressed in it.
type Record = (i64, Json<JsonValue>, Option<String>);

row! {
    struct Personal {
        audit_id: i64,
        person_id: Option<PersonId>,
        about_id: Option<PersonId>,
        doer_name: Option<String>,
        said: Option<String>,
        address: Option<String>,
        name: Option<String>,
        before: Option<String>,
        after: Option<String>,
    }
}

/// What a user of somebody's is called and may do.
type UserOf = (String, String, Option<DateTime<Utc>>);

impl Db<'_> {
    /// Writes down that somebody is to be erased; false when that was so before.
    pub async fn begin_erasure(&mut self, person: PersonId, known: &Known, step: &str, now: DateTime<Utc>) -> Result<bool> {
        let known = serde_json::json!(known).to_string();
        changed_one!(self, BEGIN, person, now, known.as_str(), step)
    }

    /// How the erasure of somebody has got on.
    pub async fn erasure(&mut self, person: PersonId) -> Result<Option<ErasureRow>> {
        fetch_optional!(self, OF, person)
    }

    /// The first erasure that is not over.
    pub async fn open_erasure(&mut self) -> Result<Option<ErasureRow>> {
        fetch_optional!(self, OPEN)
    }

    /// Writes down what is next of an erasure, and from where on.
    pub async fn note_erasure(&mut self, person: PersonId, step: &str, reached: &str) -> Result<()> {
        execute!(self, NOTE, person, step, reached).map(|_| ())
    }

    /// An erasure is over.
    pub async fn end_erasure(&mut self, person: PersonId, now: DateTime<Utc>) -> Result<()> {
        execute!(self, DONE, person, now).map(|_| ())
    }

    /// Whether a hunt that is open may ring somebody.
    pub async fn is_in_open_hunt(&mut self, person: PersonId) -> Result<bool> {
        let row: Option<(HuntId,)> = fetch_optional!(self, OPEN_HUNT, person)?;
        Ok(row.is_some())
    }

    /// What somebody logs in with, and whether they are the last who may change everything.
    pub async fn users_of(&mut self, person: PersonId) -> Result<(Vec<String>, bool)> {
        let users: Vec<UserOf> = fetch_all!(self, USERS_OF, person)?;
        let others: Option<(i64,)> = fetch_optional!(self, OTHER_ADMINS, person)?;
        let administers = users.iter().any(|(_, role, disabled)| role == "admin" && disabled.is_none());
        let last = administers && others.is_none_or(|(others,)| others == 0);
        Ok((users.into_iter().map(|(name, _, _)| name).collect(), last))
    }

    /// Nobody logs in as somebody any more.
    pub async fn forget_users_of(&mut self, person: PersonId) -> Result<()> {
        execute!(self, FORGET_USERS, person).map(|_| ())
    }

    /// Forgets somebody in some of the hunts in which they were; false when there are none left.
    pub async fn erase_in_hunts(&mut self, person: PersonId, known: &Known) -> Result<bool> {
        let callees: Vec<CalleeFound> = fetch_all!(self, CALLEES, person)?;
        self.erase_callees(callees, known).await
    }

    /// The same in hunts that rang a phone.
    pub async fn erase_in_hunts_of_phone(&mut self, phone: &str, known: &Known) -> Result<bool> {
        let callees: Vec<CalleeFound> = fetch_all!(self, CALLEES_BY_PHONE, phone)?;
        self.erase_callees(callees, known).await
    }

    async fn erase_callees(&mut self, callees: Vec<CalleeFound>, known: &Known) -> Result<bool> {
        if callees.is_empty() {
            return Ok(false);
        }
        let mut hunts: Vec<HuntId> = callees.iter().map(|callee| callee.hunt_id).collect();
        hunts.sort_unstable();
        hunts.dedup();
        self.forget_around(&hunts, known).await?;
        for callee in &callees {
            execute!(self, ERASE_CALLEE, callee.id, ERASED, ERASED_NUMBER)?;
            execute!(self, ERASE_TARGETS, callee.id, ERASED_NUMBER)?;
            execute!(self, FORGET_ALARM_TEXTS, callee.hunt_id, callee.id)?;
        }
        Ok(true)
    }

    /// Forgets somebody in what is told of these hunts: their timelines, notices, and what handsets were given and said.
    async fn forget_around(&mut self, hunts: &[HuntId], known: &Known) -> Result<()> {
        let list = serde_json::json!(hunts).to_string();
        for sql in [&EVENTS_OF_HUNTS, &EVENTS_OF_ALARMS] {
            let mut after = 0_i64;
            loop {
                let running = self.rows(sql, &[&list.as_str(), &after]);
                let rows = running.await.and_then(|rows| crate::store::statement::all::<(i64, Json<JsonValue>)>(sql, &rows))?;
                let Some((last, _)) = rows.last() else { break };
                after = *last;
                for (id, Json(mut body)) in rows {
                    if known.forget_in(&mut body) {
                        execute!(self, SET_EVENT, id, Json(body))?;
                    }
                }
            }
        }
        for sql in [&DELIVERIES_OF_HUNTS, &DELIVERIES_OF_ALARMS] {
            let mut after = DeliveryId(uuid::Uuid::nil());
            loop {
                let running = self.rows(sql, &[&list.as_str(), &after]);
                let rows =
                    running.await.and_then(|rows| crate::store::statement::all::<(DeliveryId, Json<JsonValue>)>(sql, &rows))?;
                let Some((last, _)) = rows.last() else { break };
                after = *last;
                for (id, Json(mut body)) in rows {
                    if known.forget_in(&mut body) {
                        execute!(self, SET_DELIVERY, id, Json(body))?;
                    }
                }
            }
        }
        let mut after = String::new();
        loop {
            let rows: Vec<(String, Json<JsonValue>, Option<String>)> = fetch_all!(self, DIALS, list.as_str(), after.as_str())?;
            let Some((last, _, _)) = rows.last() else { break };
            after.clone_from(last);
            for (mid, Json(mut phones), resp) in rows {
                let said = resp.as_deref().and_then(|resp| known.forgotten_in(resp));
                if known.forget_in(&mut phones) || said.is_some() {
                    execute!(self, SET_DIAL, mid.as_str(), Json(phones), said.or(resp))?;
                }
            }
        }
        let refused: Vec<(HuntId, Json<JsonValue>)> = fetch_all!(self, REFUSED, list.as_str())?;
        for (id, Json(mut refused)) in refused {
            if known.forget_in(&mut refused) {
                execute!(self, SET_REFUSED, id, Json(refused))?;
            }
        }
        self.forget_in_written(&list, known).await?;
        for hunt in hunts {
            // Nobody is found by words that do not stand there any more.
            self.remember_sought(None, Some(*hunt)).await?;
        }
        Ok(())
    }

    /// The same in what the senders of their alarms wrote.
    async fn forget_in_written(&mut self, hunts: &str, known: &Known) -> Result<()> {
        let alarms: Vec<(AlarmId,)> = fetch_all!(self, ALARMS_OF_HUNTS, hunts)?;
        let mut alarms: Vec<AlarmId> = alarms.into_iter().map(|(id,)| id).collect();
        alarms.sort_unstable();
        alarms.dedup();
        for some in alarms.chunks(WRITTEN_AT_ONCE) {
            let list = serde_json::json!(some).to_string();
            let rows: Vec<(AlarmId, String, String, Json<JsonValue>)> = fetch_all!(self, WRITTEN, list.as_str())?;
            for (id, summary, details, Json(mut labels)) in rows {
                let (short, long) = (known.forgotten_in(&summary), known.forgotten_in(&details));
                if known.forget_in(&mut labels) || short.is_some() || long.is_some() {
                    execute!(self, SET_WRITTEN, id, short.unwrap_or(summary), long.unwrap_or(details), Json(labels))?;
                }
            }
        }
        Ok(())
    }

    /// Forgets somebody in a portion of what people say by their own word: who made an override, a calendar address or a swap, who gave a
    /// command in a call, and why an alarm was false. Gives where the next begins, `None` at its end.
    pub async fn erase_in_own_words(&mut self, known: &Known, after: (usize, Uuid)) -> Result<Option<(usize, Uuid)>> {
        let (table, after) = after;
        let last = match OWN_WORDS.get(table) {
            Some((read, write)) => {
                let running = self.rows(read, &[&after]);
                let rows: Vec<OwnWords> = running.await.and_then(|rows| all(read, &rows))?;
                let last = rows.last().map(|(id, ..)| *id);
                for (id, one, two, three) in rows {
                    let left = |said: &Option<String>| said.as_ref().and_then(|said| known.forgotten_in(said));
                    let new = (left(&one), left(&two), left(&three));
                    if new != (None, None, None) {
                        let values = (new.0.or(one), new.1.or(two), new.2.or(three));
                        let running = self.run(write, &[&id, &values.0, &values.1, &values.2]);
                        running.await?;
                    }
                }
                last
            }
            None if table == OWN_WORDS.len() => {
                let rows: Vec<(Uuid, Json<JsonValue>)> = fetch_all!(self, MADE_BY, after)?;
                let last = rows.last().map(|(id, _)| *id);
                for (id, Json(mut by)) in rows {
                    if known.forget_in(&mut by) {
                        execute!(self, SET_MADE_BY, id, Json(by))?;
                    }
                }
                last
            }
            None => return Ok(None),
        };
        Ok(Some(last.map_or((table + 1, Uuid::nil()), |last| (table, last))))
    }

    /// Forgets who gave some of somebody's answers; gives how many.
    pub async fn erase_answers(&mut self, person: PersonId) -> Result<u64> {
        execute!(self, ERASE_ANSWERS, person, ERASED)
    }

    /// Forgets whom some calls were to; gives how many.
    pub async fn erase_call_records(&mut self, person: PersonId, known: &Known) -> Result<u64> {
        let gone = execute!(self, FORGET_REPLICATED, person)?;
        let records: Vec<Record> = fetch_all!(self, RECORDS, person)?;
        Ok(gone + self.erase_records(records, known).await?)
    }

    /// The same by number; gives how many.
    pub async fn erase_call_records_of(&mut self, number: &str, known: &Known) -> Result<u64> {
        let gone = execute!(self, FORGET_REPLICATED_BY_NUMBER, number)? + execute!(self, FORGET_REPLICATED_BY_CALLER, number)?;
        let records: Vec<Record> = fetch_all!(self, RECORDS_BY_NUMBER, number)?;
        Ok(gone + self.erase_records(records, known).await?)
    }

    async fn erase_records(&mut self, records: Vec<Record>, known: &Known) -> Result<u64> {
        let mut gone = 0;
        for (id, Json(mut heard), keys) in records {
            known.forget_in(&mut heard);
            let keys = keys.map(|keys| known.forgotten_in(&keys).unwrap_or(keys));
            gone += execute!(self, ERASE_RECORD, id, ERASED, ERASED_NUMBER, Json(heard), keys)?;
        }
        Ok(gone)
    }

    /// Forgets whose some recordings were; gives how many.
    pub async fn erase_recordings(&mut self, person: PersonId) -> Result<u64> {
        execute!(self, ERASE_RECORDINGS, person, ERASED_NUMBER)
    }

    /// Forgets some calls that came from a number, and text messages to and from it; gives how many.
    pub async fn erase_texts_of(&mut self, number: &str) -> Result<u64> {
        let unsent = execute!(self, FORGET_UNSENT, number)?;
        let sent = execute!(self, ERASE_SENT, number, ERASED_NUMBER)?;
        let received = execute!(self, ERASE_RECEIVED, number, ERASED_NUMBER)?;
        Ok(unsent + sent + received + execute!(self, ERASE_INBOUND, number, ERASED_NUMBER)?)
    }

    /// A portion of the duty log behind this place, as it is kept.
    pub async fn duty_log_behind(
        &mut self,
        after: (ScheduleId, DateTime<Utc>),
    ) -> Result<Vec<(ScheduleId, DateTime<Utc>, Json<JsonValue>)>> {
        fetch_all!(self, DUTY, after.0, after.1)
    }

    /// Forgets somebody in a portion of the duty log behind this place; gives where the next begins, `None` at its end.
    pub async fn erase_in_duty_log(
        &mut self,
        known: &Known,
        after: (ScheduleId, DateTime<Utc>),
    ) -> Result<Option<(ScheduleId, DateTime<Utc>)>> {
        let rows = self.duty_log_behind(after).await?;
        let last = rows.last().map(|(schedule, at, _)| (*schedule, *at));
        for (schedule, at, Json(mut people)) in rows {
            if known.forget_in(&mut people) {
                execute!(self, SET_DUTY, schedule, at, Json(people))?;
            }
        }
        Ok(last)
    }

    /// The same in the hand-overs of public numbers.
    pub async fn erase_in_hand_overs(
        &mut self,
        known: &Known,
        after: (DateTime<Utc>, HandOverId),
    ) -> Result<Option<(DateTime<Utc>, HandOverId)>> {
        let rows: Vec<(HandOverId, DateTime<Utc>, String, String)> = fetch_all!(self, HAND_OVERS, after.0, after.1)?;
        let last = rows.last().map(|(id, at, _, _)| (*at, *id));
        for (id, _, person, number) in rows {
            let (name, phone) = (known.forgotten_in(&person), known.forgotten_in(&number));
            if name.is_some() || phone.is_some() {
                execute!(self, SET_HAND_OVER, id, name.unwrap_or(person), phone.unwrap_or(number))?;
            }
        }
        Ok(last)
    }

    /// The same in the audit log: what somebody did stays, without their name; what was done about them too, without what it said.
    pub async fn erase_in_audit(&mut self, person: PersonId, known: &Known, after: i64) -> Result<Option<i64>> {
        let rows: Vec<Personal> = fetch_all!(self, PERSONAL, after)?;
        let last = rows.last().map(|row| row.audit_id);
        for row in rows {
            let (own, about) = (row.person_id == Some(person), row.about_id == Some(person));
            let without = |text: &Option<String>, goes: bool| {
                text.as_ref().filter(|_| !goes).map(|text| known.forgotten_in(text).unwrap_or_else(|| text.clone()))
            };
            let in_json = |text: &Option<String>| {
                let text = text.as_ref().filter(|_| !about)?;
                let mut value: JsonValue = serde_json::from_str(text).ok()?;
                let found = known.forget_in(&mut value);
                Some(if found { value.to_string() } else { text.clone() })
            };
            // A key that did it for them keeps its name; what they log in with is known.
            let doer_name = without(&row.doer_name, false);
            let (said, name) = (without(&row.said, own), without(&row.name, about));
            let address = row.address.clone().filter(|_| !own);
            let (before, after) = (in_json(&row.before), in_json(&row.after));
            let same = doer_name == row.doer_name
                && said == row.said
                && address == row.address
                && name == row.name
                && before == row.before
                && after == row.after;
            if !same {
                execute!(self, SET_PERSONAL, row.audit_id, doer_name, said, address, name, before, after)?;
            }
        }
        Ok(last)
    }

    /// Masks the numbers in these hunts, which are over: of callees, of their calls, and wherever they are told.
    pub async fn mask_numbers_in(&mut self, hunts: &[HuntId]) -> Result<()> {
        let list = serde_json::json!(hunts).to_string();
        let again: Vec<(HuntId,)> = fetch_all!(self, TO_RING_AGAIN, list.as_str())?;
        let hunts: Vec<HuntId> = hunts.iter().filter(|hunt| !again.iter().any(|(own,)| own == *hunt)).copied().collect();
        let list = serde_json::json!(hunts).to_string();
        loop {
            let callees: Vec<CalleeFound> = fetch_all!(self, CALLEES_OF_HUNTS, list.as_str())?;
            let answers: Vec<(AnswerId, String, Option<String>)> = fetch_all!(self, ANSWERS_OF_HUNTS, list.as_str())?;
            if callees.is_empty() && answers.is_empty() {
                break;
            }
            let mut numbers: Vec<String> = callees.iter().map(|callee| callee.number.clone()).collect();
            numbers.extend(answers.iter().filter_map(|(_, _, number)| number.clone()));
            numbers.sort_unstable();
            numbers.dedup();
            let known = Known::only_numbers(numbers);
            self.forget_around(&hunts, &known).await?;
            for callee in callees {
                let left = hidden(&known.instead_of(&callee.number));
                execute!(self, MASK_CALLEE, callee.id, left.as_str())?;
                execute!(self, ERASE_TARGETS, callee.id, left.as_str())?;
            }
            for (id, name, number) in answers {
                let left = hidden(&known.instead_of(&number.unwrap_or_default()));
                // Where only a number was known it stands as the name.
                execute!(self, SET_ANSWER, id, known.forgotten_in(&name).unwrap_or(name), left)?;
            }
        }
        let known = Known::only_numbers(Vec::new());
        let mut after = 0_i64;
        loop {
            let rows: Vec<(i64, String, String)> = fetch_all!(self, RECORDS_OF_HUNTS, list.as_str(), after)?;
            let Some((last, _, _)) = rows.last() else { return Ok(()) };
            after = *last;
            for (id, number, dialled) in rows.into_iter().filter(|(_, number, _)| !number.contains('*')) {
                execute!(self, MASK_RECORD, id, hidden(&known.instead_of(&number)), hidden(&known.instead_of(&dialled)))?;
            }
        }
    }
}

/// A masked number, by which it is known that it is: also where there was nothing to be hidden.
fn hidden(masked: &str) -> String {
    if masked.contains('*') { masked.to_owned() } else { ERASED_NUMBER.to_owned() }
}
