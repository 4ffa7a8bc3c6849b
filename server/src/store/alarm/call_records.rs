//! Records of calls: one for each number of each dial, which stay when alarm, hunt and dial are forgotten.

use android_protocol::voice::detector;
use android_protocol::wire::EndedBy;
use chrono::{DateTime, Utc};
use sqlx::types::Json;

use crate::alarm::call_record::{Call, CallCause, CallDirection, CallOrigin, CallResult, HandedOut, Heard, HowKnown};
use crate::alarm::{AlarmKind, KeyAction};
use crate::ids::{AlarmId, CalleeId, HandsetId, HuntId, PersonId};
use crate::store::alarm::alarms::Whose;
use crate::store::alarm::dials::{NewDial, NewTarget};
use crate::store::alarm::hunts::{CalleeRow, HuntRow};
use crate::store::dialect::{Dialect, fragment, statements};
use crate::store::lines::inbound_calls::InboundCallRow;
use crate::store::statement::{Built, Value, all, execute, fetch_all, fetch_optional, row};
use crate::store::watch::handsets::HandsetRow;
use crate::store::{Db, Result};

row! {
    /// What is known of a call to a number.
    #[derive(Clone, Debug)]
    pub struct CallRecordRow {
        /// Which one; never given again.
        pub id: i64,
        /// The dial.
        pub mid: String,
        /// The place of the number in its list.
        pub place: i32,
        /// Where the record comes from.
        pub origin: CallOrigin,
        /// Who called whom.
        pub direction: CallDirection,
        /// What the call was for.
        pub kind: AlarmKind,
        /// The hunt, which may be forgotten by now.
        pub hunt_id: Option<HuntId>,
        /// The alarm, the most urgent one of the call.
        pub alarm_id: Option<AlarmId>,
        /// Its number.
        pub alarm_number: Option<i64>,
        /// The callee of its hunt.
        pub callee_id: Option<CalleeId>,
        /// Who it is, while they are on the list of people.
        pub person_id: Option<PersonId>,
        /// The name at that moment.
        pub name: Option<String>,
        /// The number in its comparable form.
        pub number: String,
        /// As the handset was to dial it.
        pub dialled_number: String,
        /// How often the list holds it.
        pub passes: i32,
        /// The handset.
        pub handset_id: Option<HandsetId>,
        /// Its name at that moment.
        pub handset: Option<String>,
        /// Which of its channels, counted from 1.
        pub channel: i32,
        /// When it was handed out.
        pub offered_at: DateTime<Utc>,
        /// When the handset asked the network for it.
        pub dialled_at: Option<DateTime<Utc>>,
        /// How that is known.
        pub dialled_known: HowKnown,
        /// When the other phone rang.
        pub alerting_at: Option<DateTime<Utc>>,
        /// How that is known.
        pub alerting_known: HowKnown,
        /// When the line was connected.
        pub connected_at: Option<DateTime<Utc>>,
        /// How that is known.
        pub connected_known: HowKnown,
        /// When it was over.
        pub ended_at: Option<DateTime<Utc>>,
        /// How that is known.
        pub ended_known: HowKnown,
        /// When its handset reported it.
        pub reported_at: Option<DateTime<Utc>>,
        /// How it ended.
        pub outcome: CallResult,
        /// Who ended it.
        pub ended_by: Option<EndedBy>,
        /// The network's words.
        pub cause: Option<Json<CallCause>>,
        /// The keys that were pressed, in order.
        pub keys: Option<String>,
        /// The first word that was said with a key.
        pub action: Option<KeyAction>,
        /// What the handset took whoever picked up for.
        pub machine: Option<detector::Verdict>,
        /// For how long the line was connected.
        pub talk_seconds: Option<i64>,
        /// Who called, in the words of the system that lists the call; of our own calls none.
        pub caller: Option<String>,
        /// How long it was, as that system says.
        pub seconds: Option<i64>,
        /// Where more is to be read.
        pub url: Option<String>,
    }
}

row! {
    /// What was heard of a call so far.
    #[derive(Clone, Debug)]
    pub struct HeardRow {
        /// Of which one.
        pub id: i64,
        /// The place of its number in the list.
        pub place: i32,
        /// What it is for.
        pub kind: AlarmKind,
        /// When it was handed out.
        pub offered_at: DateTime<Utc>,
        /// What.
        heard: Json<serde_json::Value>,
    }
}

impl HeardRow {
    /// What was heard; `None` where another version wrote what this one cannot read. Such a record stays as it is: what is made of a report
    /// does not depend on it.
    #[must_use]
    pub fn heard(&self) -> Option<Heard> {
        let read = serde_json::from_value(self.heard.0.clone());
        read.inspect_err(|error| tracing::warn!(%error, record = self.id, "what was heard of a call cannot be read")).ok()
    }

    /// The hand-out that it is of.
    #[must_use]
    pub fn handed_out(&self) -> HandedOut {
        HandedOut { at: self.offered_at, place: self.place }
    }
}

/// The first second of the year 9999, after every call.
const AFTER_ALL: i64 = 253_370_764_800;

statements! {
    /// A record of each number of a dial. Its alarm is the most urgent one that fires, which goes by its number.
    BEGIN = [
        "INSERT INTO call_records (mid, place, origin, direction, kind, hunt_id, alarm_id, alarm_number, callee_id, person_id, name, number,
                                   dialled_number, passes, handset_id, handset, offered_at, heard, channel)
         SELECT $2, n.place, $3, $4, $5, $6, a.id, a.number, n.callee, n.person, n.name, n.number, n.dialled, n.passes, $7, $8, $9, $10, $11
         FROM" numbers_of_dial "LEFT JOIN (SELECT id, number FROM alarms
           WHERE hunt_id = $6 AND cancelled_at IS NULL AND resolved_at IS NULL ORDER BY priority DESC, number LIMIT 1) a ON TRUE"
    ];
    /// What was heard of the calls of a dial.
    HEARD = ["SELECT id, place, kind, offered_at, heard FROM call_records WHERE mid = $1 ORDER BY place"];
    /// More was heard, and is known.
    COMPLETE = [
        "UPDATE call_records SET heard = $2, dialled_at = $3, dialled_known = $4, alerting_at = $5, alerting_known = $6, connected_at = $7,
                connected_known = $8, ended_at = $9, ended_known = $10, reported_at = $11, outcome = $12, ended_by = $13, cause = $14,
                keys = $15, action = $16, machine = $17, talk_seconds = $18
         WHERE id = $1"
    ];
    /// One record.
    GET = ["SELECT * FROM call_records WHERE id = $1"];
    /// The latest of an alarm's hunts since it joined them, and those that name it.
    OF_ALARM = [
        "SELECT * FROM call_records WHERE id IN
           (SELECT id FROM call_records WHERE alarm_id = $1
            UNION SELECT r.id FROM alarm_hunts l JOIN call_records r ON r.hunt_id = l.hunt_id
             WHERE l.alarm_id = $1 AND r.offered_at >= l.joined_at)
         ORDER BY offered_at DESC, id DESC LIMIT 2000"
    ];
    /// One, where it is of a call of this alarm's hunts since it joined them, or names it.
    IS_OF_ALARM = [
        "SELECT id FROM call_records r WHERE r.id = $2 AND (r.alarm_id = $1 OR EXISTS
           (SELECT 1 FROM alarm_hunts l WHERE l.alarm_id = $1 AND l.hunt_id = r.hunt_id AND l.joined_at <= r.offered_at))"
    ];
    /// The latest of a person before one, ours and other systems', those to a number among them that was nobody's when they were listed.
    OF_PERSON = [
        "SELECT * FROM call_records WHERE id IN (
           SELECT id FROM (SELECT id, offered_at FROM call_records WHERE person_id = $1 AND (offered_at, id) < ($2, $3)
                           ORDER BY offered_at DESC, id DESC LIMIT $4) theirs
           UNION
           SELECT id FROM (SELECT r.id, r.offered_at FROM person_numbers n CROSS JOIN contacts c CROSS JOIN call_records r
                           WHERE n.person_id = $1 AND c.number = n.number AND r.number = n.number AND" unindexed "r.contact_id = c.id
                             AND" unindexed "r.person_id IS NULL AND (r.offered_at, r.id) < ($2, $3)
                           ORDER BY r.offered_at DESC, r.id DESC LIMIT $4) before)
         ORDER BY offered_at DESC, id DESC LIMIT $4"
    ];
    /// How many of the latest of a person are ours, and how many other systems'.
    COUNT_OF_PERSON = [
        "SELECT count(*) FILTER (WHERE origin <> 'replicated') AS ours, count(*) FILTER (WHERE origin = 'replicated') AS theirs
         FROM (SELECT origin FROM call_records WHERE id IN (
           SELECT id FROM (SELECT id FROM call_records WHERE person_id = $1 ORDER BY offered_at DESC, id DESC LIMIT $2) theirs
           UNION
           SELECT id FROM (SELECT r.id FROM person_numbers n CROSS JOIN contacts c CROSS JOIN call_records r
                           WHERE n.person_id = $1 AND c.number = n.number AND r.number = n.number AND" unindexed "r.contact_id = c.id
                             AND" unindexed "r.person_id IS NULL
                           ORDER BY r.offered_at DESC, r.id DESC LIMIT $2) before)
         ORDER BY offered_at DESC, id DESC LIMIT $2) latest"
    ];
    /// Which of these alarms are still known.
    ALARMS_KNOWN = ["SELECT id FROM alarms WHERE id" in_list];
    /// A person was removed.
    UNKNOWN_PERSON = ["UPDATE call_records SET person_id = NULL WHERE person_id = $1"];
    /// Forgets old ones of our own.
    PRUNE = [
        "DELETE FROM call_records WHERE id IN (
           SELECT id FROM call_records WHERE offered_at < $1 AND origin <> 'replicated' ORDER BY offered_at, id LIMIT 500)"
    ];
    /// Any of them; what is asked for is appended.
    LIST = ["SELECT * FROM call_records WHERE TRUE"];
}

/// Which records to list; all that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    /// Of one of these origins; unless they are named, our own.
    pub origins: Vec<CallOrigin>,
    /// Of one of these alarms.
    pub alarms: Vec<AlarmId>,
    /// To one of these people.
    pub people: Vec<PersonId>,
    /// To one of these numbers, in their comparable form.
    pub numbers: Vec<String>,
    /// By one of these callers, in the words of the systems that list them.
    pub callers: Vec<String>,
    /// By one of these handsets.
    pub handsets: Vec<HandsetId>,
    /// For one of these.
    pub kinds: Vec<AlarmKind>,
    /// Whose shouts its calls may be for.
    pub shouts_of: Whose,
    /// Whose calls of programs.
    pub calls_of: Whose,
    /// That ended in one of these ways.
    pub outcomes: Vec<CallResult>,
    /// Handed out then or later.
    pub from: Option<DateTime<Utc>>,
    /// Handed out before then.
    pub before: Option<DateTime<Utc>>,
    /// Older than this one: when it was handed out, and its id.
    pub below: Option<(DateTime<Utc>, i64)>,
}

impl CallFilter {
    /// Whether a record of another system's call can be asked for: of each the same is known of what it was for and how it ended.
    fn may_be_replicated(&self) -> bool {
        self.alarms.is_empty()
            && self.handsets.is_empty()
            && (self.kinds.is_empty() || self.kinds.contains(&AlarmKind::Call))
            && (self.outcomes.is_empty() || self.outcomes.contains(&CallResult::Unknown))
    }
}

impl Db<'_> {
    /// Begins the records of a dial that was just inserted, of all its numbers in one statement.
    pub async fn begin_call_records(
        &mut self,
        hunt: &HuntRow,
        callees: &[CalleeRow],
        dial: &NewDial,
        handset: &HandsetRow,
    ) -> Result<()> {
        let number = |(place, target): (usize, &NewTarget)| {
            let callee = callees.iter().find(|callee| callee.id == target.callee_id);
            serde_json::json!({
                "place": place,
                "callee": target.callee_id,
                "person": callee.and_then(|callee| callee.person_id),
                "name": callee.and_then(|callee| callee.name.as_deref()),
                "number": target.number,
                "dialled": dial.phones.get(place),
                "passes": target.attempts,
            })
        };
        let numbers: Vec<_> = dial.targets.iter().enumerate().map(number).collect();
        if hunt.call_kind().is_alarm() {
            self.touched(|touched| _ = touched.dials.insert(dial.mid.clone()));
        }
        execute!(
            self,
            BEGIN,
            serde_json::json!(numbers).to_string(),
            dial.mid.as_str(),
            CallOrigin::Dial,
            CallDirection::Outgoing,
            hunt.call_kind(),
            hunt.id,
            handset.id,
            handset.name.as_str(),
            dial.offered_at,
            Json(Heard::default()),
            dial.channel + 1,
        )
        .map(|_| ())
    }

    /// Begins the record of a call that came in, from whom, on which handset, and what for.
    pub async fn begin_inbound_record(
        &mut self,
        call: &InboundCallRow,
        name: Option<&str>,
        person: Option<PersonId>,
        handset: &str,
        kind: AlarmKind,
    ) -> Result<()> {
        let number = serde_json::json!([{
            "place": 0,
            "callee": call.callee_id,
            "person": person,
            "name": name,
            "number": call.number,
            "dialled": call.caller,
            "passes": 1,
        }]);
        execute!(
            self,
            BEGIN,
            number.to_string(),
            call.mid.as_str(),
            CallOrigin::Inbound,
            CallDirection::Incoming,
            kind,
            call.hunt_id,
            call.handset_id,
            handset,
            call.at,
            Json(Heard::default()),
            call.channel + 1,
        )
        .map(|_| ())
    }

    /// What was heard of the calls of a dial, in list order.
    pub async fn heard_of_calls(&mut self, mid: &str) -> Result<Vec<HeardRow>> {
        fetch_all!(self, HEARD, mid)
    }

    /// Keeps all that was heard of a call, and what is known by that.
    pub async fn complete_call_record(&mut self, id: i64, heard: &Heard, call: &Call) -> Result<()> {
        self.touched(|touched| _ = touched.calls.insert(id));
        execute!(
            self,
            COMPLETE,
            id,
            Json(heard),
            call.dialled.at,
            call.dialled.known,
            call.alerting.at,
            call.alerting.known,
            call.connected.at,
            call.connected.known,
            call.ended.at,
            call.ended.known,
            call.reported_at,
            call.outcome,
            call.ended_by,
            call.cause.as_ref().map(Json),
            call.keys.as_deref(),
            call.action,
            call.machine,
            call.talk_seconds,
        )
        .map(|_| ())
    }

    /// One record.
    pub async fn call_record(&mut self, id: i64) -> Result<Option<CallRecordRow>> {
        fetch_optional!(self, GET, id)
    }

    /// The latest 2000 records of an alarm's calls, oldest first.
    pub async fn call_records_of_alarm(&mut self, alarm: AlarmId) -> Result<Vec<CallRecordRow>> {
        let mut latest: Vec<CallRecordRow> = fetch_all!(self, OF_ALARM, alarm)?;
        latest.reverse();
        Ok(latest)
    }

    /// Whether a record is of a call of this alarm.
    pub async fn is_call_of_alarm(&mut self, record: i64, alarm: AlarmId) -> Result<bool> {
        let row: Option<(i64,)> = fetch_optional!(self, IS_OF_ALARM, alarm, record)?;
        Ok(row.is_some())
    }

    /// The latest calls of a person before one, newest first.
    pub async fn calls_of_person(
        &mut self,
        person: PersonId,
        before: Option<(DateTime<Utc>, i64)>,
        most: i64,
    ) -> Result<Vec<CallRecordRow>> {
        let (at, id) = before.unwrap_or((DateTime::from_timestamp(AFTER_ALL, 0).unwrap_or_default(), i64::MAX));
        fetch_all!(self, OF_PERSON, person, at, id, most)
    }

    /// How many of the latest calls of a person are ours, and how many other systems', of so many at most.
    pub async fn count_calls_of_person(&mut self, person: PersonId, most: i64) -> Result<(i64, i64)> {
        let counts: Option<(i64, i64)> = fetch_optional!(self, COUNT_OF_PERSON, person, most)?;
        Ok(counts.unwrap_or_default())
    }

    /// Which of these alarms have not been forgotten.
    pub async fn alarms_known(&mut self, alarms: &[AlarmId]) -> Result<Vec<AlarmId>> {
        let rows: Vec<(AlarmId,)> = fetch_all!(self, ALARMS_KNOWN, serde_json::json!(alarms).to_string())?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// Records of calls to somebody who was removed keep their name alone.
    pub(in crate::store) async fn call_records_know_no_longer(&mut self, person: PersonId) -> Result<()> {
        execute!(self, UNKNOWN_PERSON, person).map(|_| ())
    }

    /// Records, newest first. Our own and those of other systems have indexes of their own, and are looked for one after the other.
    pub async fn list_call_records(&mut self, filter: &CallFilter, limit: i64) -> Result<Vec<CallRecordRow>> {
        let (replicated, ours): (Vec<_>, Vec<_>) = filter.origins.iter().partition(|own| **own == CallOrigin::Replicated);
        let mut found: Vec<CallRecordRow> = Vec::new();
        if replicated.is_empty() || !ours.is_empty() {
            let filter = CallFilter { origins: ours, ..filter.clone() };
            let running = self.rows_of_built(&LIST, &list_query(self.dialect(), &filter, limit));
            found = running.await.and_then(|rows| all(&LIST, &rows))?;
        }
        if !replicated.is_empty() && filter.may_be_replicated() {
            let filter = CallFilter { origins: replicated, ..filter.clone() };
            let running = self.rows_of_built(&LIST, &list_query(self.dialect(), &filter, limit));
            found.extend(running.await.and_then(|rows| all::<CallRecordRow>(&LIST, &rows))?);
            found.sort_by_key(|row| std::cmp::Reverse((row.offered_at, row.id)));
            found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        Ok(found)
    }

    /// Forgets up to 500 records of calls that were handed out before then; gives how many.
    pub async fn forget_call_records(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, PRUNE, before)
    }
}

/// The text of the query for a list, for the test that looks how the databases carry it out.
#[must_use]
pub fn list_text(dialect: Dialect, filter: &CallFilter, limit: i64) -> String {
    list_query(dialect, filter, limit).into_text()
}

/// Only rows whose column has one of these values; any when there are none.
fn any_of<T: Value + Clone + 'static>(query: &mut Built, column: &str, values: &[T]) {
    for (place, value) in values.iter().enumerate() {
        if place == 0 {
            query.push(" AND ").push(column).push(" IN (");
        } else {
            query.push(", ");
        }
        query.push_value(value.clone());
    }
    if !values.is_empty() {
        query.push(")");
    }
}

/// Built for what is asked for, and planned anew each time.
fn list_query(dialect: Dialect, filter: &CallFilter, limit: i64) -> Built {
    let mut query = Built::new(LIST.on(dialect));
    // Found by two indexes, which an OR would not be.
    for (place, alarm) in filter.alarms.iter().enumerate() {
        query.push(if place == 0 { " AND id IN (" } else { " UNION " });
        query.push("SELECT id FROM call_records WHERE alarm_id = ").push_value(*alarm);
        query.push(" UNION SELECT r.id FROM alarm_hunts l JOIN call_records r ON r.hunt_id = l.hunt_id WHERE l.alarm_id = ");
        query.push_value(*alarm).push(" AND r.offered_at >= l.joined_at");
    }
    query.push(if filter.alarms.is_empty() { "" } else { ")" });
    let replicated = filter.origins.contains(&CallOrigin::Replicated);
    query.push(if replicated { " AND origin = 'replicated'" } else { " AND origin <> 'replicated'" });
    if !replicated {
        any_of(&mut query, "origin", &filter.origins);
    }
    any_of(&mut query, "person_id", &filter.people);
    any_of(&mut query, "number", &filter.numbers);
    any_of(&mut query, "caller", &filter.callers);
    any_of(&mut query, "handset_id", &filter.handsets);
    any_of(&mut query, "kind", &filter.kinds);
    any_of(&mut query, "outcome", &filter.outcomes);
    match filter.shouts_of {
        Whose::All => {}
        Whose::Nobody => {
            query.push(" AND kind <> 'shout'");
        }
        Whose::Key(key) => {
            query
                .push(" AND (kind <> 'shout' OR hunt_id IN (SELECT hunt_id FROM shouts WHERE key_id = ")
                .push_value(key)
                .push("))");
        }
    }
    match filter.calls_of {
        Whose::All => {}
        Whose::Nobody => {
            // What a telephone system lists is of no program.
            query.push(" AND (kind <> 'call' OR origin = 'replicated')");
        }
        Whose::Key(key) => {
            query
                .push(" AND (kind <> 'call' OR origin = 'replicated' OR EXISTS (SELECT 1 FROM alarms own WHERE own.hunt_id = call_records.hunt_id AND own.integration_id = ")
                .push_value(key.to_string())
                .push("))");
        }
    }
    if let Some(from) = filter.from {
        query.push(" AND offered_at >= ").push_value(from);
    }
    if let Some(before) = filter.before {
        query.push(" AND offered_at < ").push_value(before);
    }
    if let Some((at, id)) = filter.below {
        query.push(" AND (offered_at, id) < (").push_value(at).push(", ").push_value(id).push(")");
    }
    query.push(" ORDER BY offered_at DESC, id DESC LIMIT ").push_value(limit);
    query
}
