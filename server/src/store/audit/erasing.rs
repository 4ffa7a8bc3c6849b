//! Forgetting somebody in what is kept of before: in portions, each found by an index and begun anew where one that was broken off had got to.
//! What was changed is found no more, so that a portion never does the same twice.

use chrono::{DateTime, Utc};
use serde_json::Value as JsonValue;
use sqlx::types::Json;
use uuid::Uuid;

use crate::audit::Kind;
use crate::audit::forget::{ERASED, ERASED_NUMBER, Known};
use crate::ids::{CalleeId, HandOverId, HuntId, PersonId, ScheduleId};
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
    /// A callee who is them, in a hunt that is over.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct CalleeFound {
        /// Which one.
        pub id: CalleeId,
        /// Of which hunt.
        pub hunt_id: HuntId,
    }
}

statements! {
    /// Somebody is to be erased.
    BEGIN = [
        "INSERT INTO erasures (person_id, asked_at, known, step, reached) VALUES ($1, $2, $3, $4, '') ON CONFLICT (person_id) DO NOTHING"
    ];
    /// How that has got on.
    OF = ["SELECT person_id, asked_at, known, step, reached, done_at FROM erasures WHERE person_id = $1"];
    /// Those that are not over, the first of them.
    OPEN = [
        "SELECT person_id, asked_at, known, step, reached, done_at FROM erasures WHERE done_at IS NULL ORDER BY asked_at LIMIT 100"
    ];
    /// It has got further.
    NOTE = ["UPDATE erasures SET step = $2, reached = $3 WHERE person_id = $1 AND done_at IS NULL"];
    /// It is over, and nothing is left by which they could be found.
    DONE = ["UPDATE erasures SET known = NULL, reached = '', done_at = $2 WHERE person_id = $1 AND done_at IS NULL"];
    /// Those who are being erased.
    BEING_ERASED = ["SELECT person_id FROM erasures WHERE done_at IS NULL ORDER BY asked_at LIMIT 1000"];
    /// An open hunt that may ring somebody.
    OPEN_HUNT = [
        "SELECT h.id FROM hunts h CROSS JOIN callees c
         WHERE h.ended_at IS NULL AND c.hunt_id = h.id AND" unindexed "c.person_id = $1 LIMIT 1"
    ];
    /// The same of a phone, whoever is called there.
    OPEN_HUNT_OF_PHONE = [
        "SELECT h.id FROM hunts h CROSS JOIN callees c
         WHERE h.ended_at IS NULL AND c.hunt_id = h.id AND (c.phone = $1 OR c.phone IS NULL AND c.number = $1) LIMIT 1"
    ];
    /// A hunt that is over whose alarm rings again, and would ring somebody.
    PUT_OFF = [
        "SELECT a.hunt_id FROM alarms a CROSS JOIN callees c
         WHERE a.ring_again_at IS NOT NULL AND c.hunt_id = a.hunt_id AND" unindexed "c.person_id = $1 LIMIT 1"
    ];
    /// The same of a phone.
    PUT_OFF_OF_PHONE = [
        "SELECT a.hunt_id FROM alarms a CROSS JOIN callees c
         WHERE a.ring_again_at IS NOT NULL AND c.hunt_id = a.hunt_id AND (c.phone = $1 OR c.phone IS NULL AND c.number = $1) LIMIT 1"
    ];
    /// A call to a phone that is under way, or may be.
    HELD = ["SELECT mid FROM dial_targets WHERE phone = $1 AND holds LIMIT 1"];
    /// What somebody logs in with.
    USERS_OF = ["SELECT name, role, disabled_at FROM users WHERE person_id = $1"];
    /// Whether anybody else may change everything.
    OTHER_ADMINS = [
        "SELECT count(*) AS others FROM users
         WHERE role = 'admin' AND disabled_at IS NULL AND (person_id IS NULL OR person_id <> $1)"
    ];
    /// They log in no more.
    FORGET_USERS = ["DELETE FROM users WHERE person_id = $1"];
    /// Some callees of somebody, in hunts that are over, and in no call that is under way.
    CALLEES = [
        "SELECT c.id, c.hunt_id FROM callees c CROSS JOIN hunts h
         WHERE c.person_id = $1 AND h.id = c.hunt_id AND" unindexed "h.ended_at IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM dial_targets t WHERE t.callee_id = c.id AND t.holds) LIMIT 20"
    ];
    /// The same by a phone that was rung.
    CALLEES_BY_PHONE = [
        "SELECT c.id, c.hunt_id FROM dial_targets t CROSS JOIN callees c CROSS JOIN hunts h
         WHERE t.phone = $1 AND t.offered_at IS NOT NULL AND NOT t.holds AND c.id = t.callee_id AND h.id = c.hunt_id
           AND" unindexed "h.ended_at IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM dial_targets o WHERE o.callee_id = c.id AND o.holds) LIMIT 20"
    ];
    /// Whether a callee is in a call that is under way.
    IS_HELD = ["SELECT mid FROM dial_targets WHERE callee_id = $1 AND holds LIMIT 1"];
    /// A callee without name and number.
    ERASE_CALLEE = [
        "UPDATE callees SET name = $2, number = $3, phone = $3, ref = NULL, person_id = NULL WHERE id = $1"
    ];
    /// The same in the calls that were made.
    ERASE_TARGETS = ["UPDATE dial_targets SET number = $2, phone = $2 WHERE callee_id = $1 AND NOT holds"];
    /// Which text message told whom of which alarm: only replies need that.
    FORGET_ALARM_TEXTS = [
        "DELETE FROM alarm_texts WHERE alarm_id IN (SELECT alarm_id FROM alarm_hunts WHERE hunt_id = $1) AND callee_id = $2"
    ];
    /// Answers of somebody.
    ERASE_ANSWERS = [
        "UPDATE answers SET name = $2, number = NULL, person_id = NULL
         WHERE id IN (SELECT id FROM answers WHERE person_id = $1 LIMIT 200)"
    ];
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
        "SELECT p.audit_id, a.doer, a.kind, p.person_id, p.about_id, p.doer_name, p.said, p.address, p.name, p.before, p.after
         FROM (SELECT * FROM audit_personal WHERE audit_id > $1 ORDER BY audit_id LIMIT 500) AS p JOIN audit a ON a.id = p.audit_id
         ORDER BY p.audit_id"
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
/// A thing with what people said of it.
type OwnWords = (Uuid, Option<String>, Option<String>, Option<String>);
/// A record of a call with what was heard of it, and the keys that were pressed in it.
type Record = (i64, Json<JsonValue>, Option<String>);

row! {
    struct Personal {
        audit_id: i64,
        doer: String,
        kind: String,
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

    /// The erasures that are not over, the first hundred of them in their order.
    pub async fn open_erasures(&mut self) -> Result<Vec<ErasureRow>> {
        fetch_all!(self, OPEN)
    }

    /// Writes down what is next of an erasure, and from where on.
    pub async fn note_erasure(&mut self, person: PersonId, step: &str, reached: &str) -> Result<()> {
        execute!(self, NOTE, person, step, reached).map(|_| ())
    }

    /// An erasure is over.
    pub async fn end_erasure(&mut self, person: PersonId, now: DateTime<Utc>) -> Result<()> {
        execute!(self, DONE, person, now).map(|_| ())
    }

    /// Those who are being erased: nobody finds them in the plan any more.
    pub async fn being_erased(&mut self) -> Result<Vec<PersonId>> {
        let rows: Vec<(PersonId,)> = fetch_all!(self, BEING_ERASED)?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// Whether a hunt that is open, or that begins by itself, may ring somebody: as themselves, or at one of these phones as whoever.
    pub async fn is_needed(&mut self, person: PersonId, phones: &[String]) -> Result<bool> {
        let of_person: Option<(HuntId,)> = fetch_optional!(self, OPEN_HUNT, person)?;
        let put_off: Option<(HuntId,)> = fetch_optional!(self, PUT_OFF, person)?;
        let mut found = of_person.or(put_off).is_some();
        for phone in phones {
            let open: Option<(HuntId,)> = fetch_optional!(self, OPEN_HUNT_OF_PHONE, phone.as_str())?;
            let put_off: Option<(HuntId,)> = fetch_optional!(self, PUT_OFF_OF_PHONE, phone.as_str())?;
            found |= open.or(put_off).is_some();
        }
        Ok(found)
    }

    /// Whether something goes on in which they are still called: it is forgotten when it is over.
    pub async fn is_still_called(&mut self, person: PersonId, phones: &[String]) -> Result<bool> {
        let of_person: Option<(HuntId,)> = fetch_optional!(self, OPEN_HUNT, person)?;
        let mut found = of_person.is_some();
        for phone in phones {
            let open: Option<(HuntId,)> = fetch_optional!(self, OPEN_HUNT_OF_PHONE, phone.as_str())?;
            let held: Option<(String,)> = fetch_optional!(self, HELD, phone.as_str())?;
            found |= open.is_some() || held.is_some();
        }
        Ok(found)
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

    /// Some places of somebody in hunts that are over; none when there are none left.
    pub async fn callees_of_person(&mut self, person: PersonId) -> Result<Vec<CalleeFound>> {
        fetch_all!(self, CALLEES, person)
    }

    /// The same of a phone that was rung.
    pub async fn callees_of_phone(&mut self, phone: &str) -> Result<Vec<CalleeFound>> {
        fetch_all!(self, CALLEES_BY_PHONE, phone)
    }

    /// Forgets who these callees of a hunt were, unless it goes on, or a call to them does. Last of all: by them the rest is found.
    pub async fn erase_callees(&mut self, hunt: HuntId, callees: &[CalleeId]) -> Result<()> {
        // It may have been forgotten as a whole since it was found.
        if self.hunt(hunt).await?.is_none() || self.lock_hunt(hunt).await?.ended_at.is_none() {
            return Ok(());
        }
        for callee in callees {
            let held: Option<(String,)> = fetch_optional!(self, IS_HELD, *callee)?;
            if held.is_some() {
                continue;
            }
            execute!(self, ERASE_CALLEE, *callee, ERASED, ERASED_NUMBER)?;
            execute!(self, ERASE_TARGETS, *callee, ERASED_NUMBER)?;
            execute!(self, FORGET_ALARM_TEXTS, hunt, *callee)?;
        }
        self.remember_sought(None, Some(hunt)).await
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
                    let by = |said: &Option<String>| said.as_ref().and_then(|said| known.forgotten_by(said));
                    let (two_new, three_new) = (by(&two), by(&three));
                    // What they wrote themselves is about them.
                    let own = two_new.is_some() || three_new.is_some();
                    let in_text = |said: &String| if own { known.forgotten_in(said) } else { known.forgotten_in_any(said) };
                    let new = (one.as_ref().and_then(in_text), two_new, three_new);
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

    /// A portion of the hand-overs of public numbers behind this place: when, and to whom at which number.
    pub async fn hand_overs_behind(
        &mut self,
        after: (DateTime<Utc>, HandOverId),
    ) -> Result<Vec<(HandOverId, DateTime<Utc>, String, String)>> {
        fetch_all!(self, HAND_OVERS, after.0, after.1)
    }

    /// The same in the hand-overs of public numbers.
    pub async fn erase_in_hand_overs(
        &mut self,
        known: &Known,
        after: (DateTime<Utc>, HandOverId),
    ) -> Result<Option<(DateTime<Utc>, HandOverId)>> {
        let rows = self.hand_overs_behind(after).await?;
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
            let other = |text: &Option<String>, left: Option<String>| left.or_else(|| text.clone());
            let any = |text: &Option<String>| other(text, text.as_deref().and_then(|text| known.forgotten_in_any(text)));
            let login = |text: &Option<String>| text.as_deref().filter(|text| known.is_login(text)).map(|_| ERASED.to_owned());
            let in_json = |text: &Option<String>| {
                let text = text.as_ref().filter(|_| !about)?;
                let mut value: JsonValue = serde_json::from_str(text).ok()?;
                let found = known.forget_in_any(&mut value);
                Some(if found { value.to_string() } else { text.clone() })
            };
            // A key that did it keeps its name, whatever they log in with.
            let doer_name = login(&row.doer_name).filter(|_| row.doer == "user").or_else(|| any(&row.doer_name));
            let said = if own { None } else { other(&row.said, row.said.as_deref().and_then(|said| known.forgotten_by(said))) };
            let name = match login(&row.name).filter(|_| row.kind == Kind::User.as_str()) {
                _ if about => None,
                Some(left) => Some(left),
                None => any(&row.name),
            };
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
}
