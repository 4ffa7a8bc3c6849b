//! Records of calls that other systems list: one for an instant, a caller and a destination, whoever tells of it.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::alarm::call_record::CallDirection;
use crate::ids::{AlarmId, KeyId, PersonId, new_mid};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

/// At most so many are deleted in one transaction.
pub const DELETED_AT_ONCE: u64 = 5_000;

/// A call as another system tells of it, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicatedCall {
    /// When it began.
    pub at: DateTime<Utc>,
    /// The same as it was written.
    pub said_at: String,
    /// Who called.
    pub caller: String,
    /// Who was called, in the number's comparable form.
    pub number: String,
    /// The same as it was written.
    pub written: String,
    /// How long it was.
    pub seconds: Option<i64>,
    /// Where more is to be read.
    pub url: Option<String>,
    /// By whose key it comes.
    pub key: Option<KeyId>,
}

/// Whose a call is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    /// The contact, by the id that other programs know.
    pub contact: i64,
    /// Somebody on the list of people, and their name.
    pub person: Option<(PersonId, String)>,
    /// Whether they called or were called.
    pub direction: CallDirection,
}

row! {
    /// What was answered to whoever told of a call.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ReplicatedIds {
        /// Of the record.
        pub id: i64,
        /// Of the contact.
        pub contact: i64 as "contact_id",
    }
}

row! {
    /// A call as it was written, to be read anew.
    #[derive(Clone, Debug)]
    pub struct WrittenCall {
        /// The record.
        pub id: i64,
        /// When, as it is kept.
        pub at: DateTime<Utc> as "offered_at",
        /// When, as it was written.
        pub said_at: String,
        /// Who called.
        pub caller: String,
        /// Who was called, as it is kept.
        pub number: String,
        /// The same as it was written.
        pub written: String as "dialled_number",
        /// Whether somebody here called or was called.
        pub direction: CallDirection,
    }
}

row! {
    /// A call of ours, for another system.
    #[derive(Clone, Debug)]
    pub struct OwnCall {
        /// The record.
        pub id: i64,
        /// When it was handed out.
        pub offered_at: DateTime<Utc>,
        /// To whom.
        pub number: String,
        /// By which handset.
        pub handset: Option<String>,
        /// For which alarm.
        pub alarm_id: Option<AlarmId>,
        /// For how long the line was connected.
        pub talk_seconds: Option<i64>,
    }
}

statements! {
    /// The one of an instant, a caller and a destination.
    FIND = [
        "SELECT id, contact_id FROM call_records WHERE origin = 'replicated' AND offered_at = $1 AND caller = $2 AND number = $3"
    ];
    /// New ones; those that are there already stay as they are.
    ADD = [
        "INSERT INTO call_records (mid, place, origin, direction, kind, person_id, name, number, dialled_number, passes, offered_at, heard,
                                   caller, said_at, seconds, url, key_id, contact_id)
         SELECT n.mid, 0, 'replicated', n.direction, 'call', n.person, n.name, n.number, n.written, 1, n.at, '{}',
                n.caller, n.said, n.seconds, n.url, n.key, n.contact
         FROM" replicated_calls "WHERE TRUE
         ON CONFLICT (offered_at, caller, number) WHERE origin = 'replicated' DO NOTHING"
    ];
    /// Of a time.
    DELETE = [
        "DELETE FROM call_records WHERE origin = 'replicated' AND id IN (
           SELECT id FROM call_records WHERE origin = 'replicated' AND offered_at >= $1 AND offered_at < $2 ORDER BY offered_at LIMIT 5000)"
    ];
    /// Forgets old ones.
    PRUNE = [
        "DELETE FROM call_records WHERE id IN (
           SELECT id FROM call_records WHERE origin = 'replicated' AND offered_at < $1 ORDER BY offered_at LIMIT 500)"
    ];
    /// One of a key.
    ANY_OF_KEY = ["SELECT id FROM call_records WHERE key_id = $1 LIMIT 1"];
    /// The next of a key.
    OF_KEY = [
        "SELECT id, offered_at, said_at, caller, number, dialled_number, direction FROM call_records
         WHERE key_id = $1 AND id > $2 ORDER BY id LIMIT 500"
    ];
    /// That of an instant, a caller and a destination, if it is of a key.
    OF_KEY_AT = [
        "SELECT id, offered_at, said_at, caller, number, dialled_number, direction FROM call_records
         WHERE origin = 'replicated' AND offered_at = $1 AND caller = $2 AND number = $3 AND key_id = $4"
    ];
    /// The next of our own that are over, as far as is known.
    OWN = [
        "SELECT id, offered_at, number, handset, alarm_id, talk_seconds FROM call_records
         WHERE origin <> 'replicated' AND" unindexed "origin = 'dial' AND (offered_at, id) > ($1, $2) AND offered_at < $4
           AND" unindexed "outcome <> 'not_dialled' AND (reported_at IS NOT NULL OR offered_at < $3)
         ORDER BY offered_at, id LIMIT 500"
    ];
    /// It means another time or destination.
    MOVE = [
        "UPDATE call_records SET offered_at = $2, number = $3, person_id = $4, name = $5, contact_id = $6
         WHERE id = $1 AND origin = 'replicated'"
    ];
    /// It is another one once more.
    DROP = ["DELETE FROM call_records WHERE id = $1 AND origin = 'replicated'"];
}

impl Db<'_> {
    /// What was answered of a call that is known.
    pub async fn replicated_call(&mut self, at: DateTime<Utc>, caller: &str, number: &str) -> Result<Option<ReplicatedIds>> {
        fetch_optional!(self, FIND, at, caller, number)
    }

    /// Stores those of these calls that are not known yet, in one statement; gives how many.
    pub async fn add_replicated_calls(&mut self, calls: &[(&ReplicatedCall, &Whose)], now: DateTime<Utc>) -> Result<u64> {
        let rows: Vec<_> = calls.iter().map(|(call, whose)| written_down(call, whose, now)).collect();
        execute!(self, ADD, serde_json::json!(rows).to_string())
    }

    /// Deletes up to [`DELETED_AT_ONCE`] of them from one time to before another; gives how many.
    pub async fn delete_replicated_calls(&mut self, from: DateTime<Utc>, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, DELETE, from, before)
    }

    /// Forgets up to 500 of them from before then; gives how many.
    pub async fn forget_replicated_calls(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, PRUNE, before)
    }

    /// Whether a key has told of calls that are kept.
    pub async fn key_has_calls(&mut self, key: KeyId) -> Result<bool> {
        let row: Option<(i64,)> = fetch_optional!(self, ANY_OF_KEY, key)?;
        Ok(row.is_some())
    }

    /// The next up to 500 calls of a key after one.
    pub async fn calls_of_key(&mut self, key: KeyId, after: i64) -> Result<Vec<WrittenCall>> {
        fetch_all!(self, OF_KEY, key, after)
    }

    /// The call of an instant, a caller and a destination as it was written, where a key has told of it.
    pub async fn call_of_key_at(
        &mut self,
        key: KeyId,
        (at, caller, number): (DateTime<Utc>, &str, &str),
    ) -> Result<Option<WrittenCall>> {
        fetch_optional!(self, OF_KEY_AT, at, caller, number, key)
    }

    /// The next up to 500 calls of ours after one that were handed out before then; of those since `settled` only such as were reported.
    pub async fn own_calls(
        &mut self,
        (at, id): (DateTime<Utc>, i64),
        settled: DateTime<Utc>,
        before: DateTime<Utc>,
    ) -> Result<Vec<OwnCall>> {
        fetch_all!(self, OWN, at, id, settled, before)
    }

    /// A call means another time or destination than was read before.
    pub async fn move_replicated_call(&mut self, id: i64, at: DateTime<Utc>, number: &str, whose: &Whose) -> Result<()> {
        let (person, name) = whose.person.as_ref().map_or((None, None), |(id, name)| (Some(*id), Some(name.as_str())));
        execute!(self, MOVE, id, at, number, person, name, whose.contact).map(|_| ())
    }

    /// A call turned out to be one that is kept already.
    pub async fn drop_replicated_call(&mut self, id: i64) -> Result<()> {
        execute!(self, DROP, id).map(|_| ())
    }
}

fn written_down(call: &ReplicatedCall, whose: &Whose, now: DateTime<Utc>) -> serde_json::Value {
    serde_json::json!({
        // No handset has it: it only keeps records apart.
        "mid": new_mid(now),
        "direction": whose.direction.as_str(),
        "person": whose.person.as_ref().map(|(id, _)| id),
        "name": whose.person.as_ref().map(|(_, name)| name),
        "number": call.number,
        "written": call.written,
        // As the driver writes times on SQLite, where they are text and compared as such.
        "at": call.at.to_rfc3339_opts(SecondsFormat::AutoSi, false),
        "caller": call.caller,
        "said": call.said_at,
        "seconds": call.seconds,
        "url": call.url,
        "key": call.key,
        "contact": whose.contact,
    })
}
