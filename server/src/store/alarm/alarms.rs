//! Alarms, what they repeat, and the keys that make a sender's repeated request safe.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use crate::alarm::coverage::Came;
use crate::alarm::sought::Asked;
use crate::alarm::{AlarmKind, AlarmState, EndReason, HuntOutcome, Mode, Priority, Until};
use crate::ids::{AlarmId, HuntId, KeyId, PersonId};
use crate::rights::Bounds;
use crate::store::dialect::{Dialect, fragment, statements};
use crate::store::statement::{Built, Value, all, changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result, StoreError};

row! {
    /// An alarm with what its current hunt says.
    #[derive(Clone, Debug)]
    pub struct AlarmRow {
        /// Which one.
        pub id: AlarmId,
        /// The same for interfaces that know digits only.
        pub number: i64,
        /// What it is for.
        pub kind: AlarmKind,
        /// Its current hunt.
        pub hunt_id: HuntId,
        /// The door it came through.
        pub integration_id: String,
        /// What its sender calls itself.
        pub source: String,
        /// What makes two reports the same alarm.
        pub dedup_key: Option<String>,
        /// A report with the same key counts as a repeat.
        pub dedup_open: bool,
        /// One line of text.
        pub summary: String,
        /// More text.
        pub details: String,
        /// Names and values.
        pub labels: Json<BTreeMap<String, String>>,
        /// How urgent.
        pub priority: Priority,
        /// How often it came again.
        pub repeats: i64,
        /// When it came first.
        pub raised_at: DateTime<Utc>,
        /// When it came last.
        pub last_repeat_at: DateTime<Utc>,
        /// When its source said that it is over.
        pub resolved_at: Option<DateTime<Utc>>,
        /// When a person called it off.
        pub cancelled_at: Option<DateTime<Utc>>,
        /// It rings again then, unless it is over.
        pub ring_again_at: Option<DateTime<Utc>>,
        /// It does because of something in it that nobody has taken.
        pub rings_for_news: bool,
        /// When its priority last rose.
        pub worse_at: Option<DateTime<Utc>>,
        /// When something last began to burn in it that had not.
        pub news_at: Option<DateTime<Utc>>,
        /// The one team that it asked for.
        pub team: Option<String>,
        /// Maintenance: nobody is rung for it before then.
        pub held_until: Option<DateTime<Utc>>,
        /// The hunt's mode.
        pub mode: Mode,
        /// When the hunt has reached what it wants.
        pub until: Until,
        /// Nobody is really rung.
        pub dry_run: bool,
        /// When the current hunt was made.
        pub hunt_created_at: DateTime<Utc>,
        /// Its first hand-out.
        pub begun_at: Option<DateTime<Utc>>,
        /// When it ended.
        pub ended_at: Option<DateTime<Utc>>,
        /// How.
        pub outcome: Option<HuntOutcome>,
        /// Why, when nobody was reached.
        pub end_reason: Option<EndReason>,
    }
}

impl AlarmRow {
    /// What came into it.
    #[must_use]
    pub fn came(&self) -> Came {
        Came { worse_at: self.worse_at, news_at: self.news_at }
    }

    /// The one word for it.
    #[must_use]
    pub fn state(&self) -> AlarmState {
        AlarmState::of(self.cancelled_at.is_some(), self.resolved_at.is_some(), self.outcome, self.begun_at.is_some())
    }
}

/// The alarm that a hunt is about first of all: the most urgent one that still fires, or else the most urgent.
#[must_use]
pub fn foremost(alarms: Vec<AlarmRow>) -> Option<AlarmRow> {
    let fires = |alarm: &AlarmRow| !matches!(alarm.state(), AlarmState::Cancelled | AlarmState::Resolved);
    alarms.into_iter().max_by_key(|alarm| (fires(alarm), alarm.priority))
}

/// Whose shouts, or calls of programs, a list may hold: those of a key are shown to that, and to whoever runs the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whose {
    /// Everybody's.
    #[default]
    All,
    /// Nobody's.
    Nobody,
    /// Those of this key.
    Key(KeyId),
}

impl From<Option<KeyId>> for Whose {
    /// Those of a key that may ask for such; nobody's where there is none.
    fn from(key: Option<KeyId>) -> Self {
        key.map_or(Self::Nobody, Self::Key)
    }
}

/// Which alarms to list; all that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct AlarmFilter {
    /// Of one of these kinds; alarms alone when there are none.
    pub kinds: Vec<AlarmKind>,
    /// Whose shouts it may hold.
    pub shouts_of: Whose,
    /// Whose calls of programs, where these are asked for.
    pub calls_of: Whose,
    /// Only those that came in by this integration.
    pub own_of: Option<String>,
    /// Only those that a key is bound to.
    pub within: Option<Bounds>,
    /// In one of these states; in any when there are none.
    pub states: Vec<AlarmState>,
    /// From one of these sources.
    pub sources: Vec<String>,
    /// Of one of these priorities.
    pub priorities: Vec<Priority>,
    /// With one of these dedup keys.
    pub dedup_keys: Vec<String>,
    /// That asked for one of these teams.
    pub teams: Vec<String>,
    /// For which one of these people was rung, or answered.
    pub people: Vec<PersonId>,
    /// With a label of each of these names that has one of its values.
    pub labels: BTreeMap<String, Vec<String>>,
    /// That hold what somebody wrote.
    pub text: Option<AskedText>,
    /// Raised at or after.
    pub raised_from: Option<DateTime<Utc>>,
    /// Raised before.
    pub raised_before: Option<DateTime<Utc>>,
    /// Only those with a lower number: where the page before ended.
    pub below_number: Option<i64>,
    /// Only those with a higher number.
    pub above_number: Option<i64>,
    /// The oldest first.
    pub oldest_first: bool,
}

impl AlarmFilter {
    /// Whether it asks for all that is open, and for nothing else.
    fn is_of_open(&self) -> bool {
        let is = |state| self.states.contains(&state);
        is(AlarmState::Waiting)
            && is(AlarmState::Ringing)
            && self.states.iter().all(|state| matches!(state, AlarmState::Waiting | AlarmState::Ringing))
    }

    /// The numbers that its times and the page before leave.
    pub(in crate::store) fn numbers(&self) -> (i64, i64) {
        let from = self.raised_from.map_or(0, |from| from.timestamp_millis());
        let before = self.raised_before.map_or(i64::MAX, |before| before.timestamp_millis().saturating_add(NUMBER_TRIES));
        let from = self.above_number.map_or(from, |number| from.max(number.saturating_add(1)));
        (from, self.below_number.map_or(before, |number| before.min(number)))
    }

    /// Whether it leaves out some of what has the words that it asks for.
    pub(in crate::store) fn leaves_out(&self) -> bool {
        !(self.states.is_empty()
            && self.priorities.is_empty()
            && self.dedup_keys.is_empty()
            && self.teams.is_empty()
            && self.own_of.is_none()
            && self.within.is_none()
            && matches!(self.kinds[..], [] | [AlarmKind::Alarm]))
    }
}

/// What somebody wrote to find alarms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskedText {
    /// Its words.
    pub asked: Asked,
    /// They may see numbers, and so find by them.
    pub sees_numbers: bool,
    /// The last word is the beginning of one: no alarm has it as a whole.
    pub last_begins: bool,
}

row! {
    /// A request that was answered before, under the same key.
    #[derive(Clone, Debug)]
    pub struct IdempotentRow {
        /// Hash of the request that was answered.
        pub request_hash: Vec<u8>,
        /// The alarm it made, or repeated.
        pub alarm_id: AlarmId,
        /// It was answered as a repeat.
        pub repeated: bool,
    }
}

statements! {
    /// A new alarm under a number that is still free.
    INSERT = [
        "INSERT INTO alarms (id, number, hunt_id, integration_id, source, dedup_key, dedup_open, summary, details, labels, priority,
                             repeats, raised_at, last_repeat_at, team, group_key, kind)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12, $12, $13, $14, $15) ON CONFLICT (number) DO NOTHING"
    ];
    /// It is in that hunt. It may have been in it before, and left it: calls that went out meanwhile were not about it.
    JOIN_HUNT = [
        "INSERT INTO alarm_hunts (alarm_id, hunt_id, joined_at) VALUES ($1, $2, $3)
         ON CONFLICT (alarm_id, hunt_id) DO UPDATE SET joined_at = excluded.joined_at"
    ];
    /// One alarm.
    GET = [
        "SELECT" alarm_columns "FROM alarms a JOIN hunts h ON h.id = a.hunt_id WHERE a.id = $1"
    ];
    /// One alarm by its number.
    GET_BY_NUMBER = [
        "SELECT" alarm_columns "FROM alarms a JOIN hunts h ON h.id = a.hunt_id WHERE a.number = $1"
    ];
    /// The alarms whose current hunt is this one.
    OF_HUNT = [
        "SELECT" alarm_columns "FROM alarms a JOIN hunts h ON h.id = a.hunt_id WHERE a.hunt_id = $1 ORDER BY a.number"
    ];
    /// The open alarm with a key.
    OPEN_WITH_KEY = [
        "SELECT" alarm_columns "FROM alarms a JOIN hunts h ON h.id = a.hunt_id WHERE a.integration_id = $1 AND a.dedup_key = $2 AND a.dedup_open"
    ];
    /// The alarms that were ever in this hunt, with what their current one says; the most urgent first.
    EVER_IN = [
        "SELECT" alarm_columns "FROM alarm_hunts l JOIN alarms a ON a.id = l.alarm_id JOIN hunts h ON h.id = a.hunt_id
         WHERE l.hunt_id = $1 ORDER BY a.priority DESC, a.number"
    ];
    /// Several.
    SOME = ["SELECT" alarm_columns "FROM alarms a JOIN hunts h ON h.id = a.hunt_id WHERE a.id" in_list "ORDER BY a.id"];
    /// The alarms that were in this hunt by an instant.
    IN_CALL = ["SELECT alarm_id FROM alarm_hunts WHERE hunt_id = $1 AND joined_at <= $2 ORDER BY alarm_id"];
    /// It is in that hunt since it was in another.
    MOVE = [
        "INSERT INTO alarm_hunts (alarm_id, hunt_id, joined_at) SELECT alarm_id, $3, joined_at FROM alarm_hunts
         WHERE alarm_id = $1 AND hunt_id = $2"
    ];
    /// Newer hunts of the alarms that were in this hunt by an instant.
    LATER_HUNTS = [
        "SELECT DISTINCT a.hunt_id FROM alarm_hunts l JOIN alarms a ON a.id = l.alarm_id
         WHERE l.hunt_id = $1 AND a.hunt_id <> $1 AND l.joined_at <= $2
         ORDER BY a.hunt_id"
    ];
    /// Alarms that joined their current hunt after an instant, and are not over.
    JOINED_AFTER = [
        "SELECT" alarm_columns "FROM alarms a JOIN hunts h ON h.id = a.hunt_id JOIN alarm_hunts l ON l.alarm_id = a.id AND l.hunt_id = a.hunt_id
         WHERE a.hunt_id = $1 AND l.joined_at > $2 AND a.cancelled_at IS NULL AND a.resolved_at IS NULL ORDER BY a.number"
    ];
    /// The hunts an alarm ever had, oldest first.
    HUNTS_OF_ALARM = ["SELECT hunt_id FROM alarm_hunts WHERE alarm_id = $1 ORDER BY joined_at, hunt_id"];
    /// It came again.
    REPEAT = ["UPDATE alarms SET repeats = repeats + 1, last_repeat_at = $2 WHERE id = $1 AND dedup_open"];
    /// Another report with its key makes a new alarm.
    CLOSE_DEDUP = ["UPDATE alarms SET dedup_open = FALSE WHERE id = $1"];
    /// Gets a new hunt.
    SET_HUNT = ["UPDATE alarms SET hunt_id = $2 WHERE id = $1"];
    /// A person called it off.
    CANCEL = [
        "UPDATE alarms SET cancelled_at = $2, dedup_open = FALSE, ring_again_at = NULL, word_until = NULL
         WHERE id = $1 AND cancelled_at IS NULL AND resolved_at IS NULL"
    ];
    /// Its source said that it is over.
    RESOLVE = [
        "UPDATE alarms SET resolved_at = $2, dedup_open = FALSE, ring_again_at = NULL, word_until = NULL
         WHERE id = $1 AND cancelled_at IS NULL AND resolved_at IS NULL"
    ];
    /// It came again, and is more urgent than it was.
    RAISE_PRIORITY = ["UPDATE alarms SET priority = $2, worse_at = $3 WHERE id = $1 AND priority < $2"];
    /// Something burns in it that did not.
    HAS_NEWS = ["UPDATE alarms SET news_at = $2 WHERE id = $1"];
    /// It rings again then, or not by itself.
    SET_RING_AGAIN = ["UPDATE alarms SET ring_again_at = $2, rings_for_news = FALSE WHERE id = $1"];
    /// It rings again then because of something that nobody has taken.
    RING_FOR_NEWS = ["UPDATE alarms SET ring_again_at = $2, rings_for_news = TRUE WHERE id = $1"];
    /// Alarms that are to ring again.
    RING_AGAIN = [
        "SELECT id FROM alarms WHERE ring_again_at <= $1 AND cancelled_at IS NULL AND resolved_at IS NULL
         ORDER BY ring_again_at, id LIMIT 100"
    ];
    /// How many alarms of a hunt are still firing.
    COUNT_FIRING = ["SELECT count(*) AS firing FROM alarms WHERE hunt_id = $1 AND cancelled_at IS NULL AND resolved_at IS NULL"];
    /// Alarms; conditions, order and limit are appended. CROSS JOIN has SQLite begin with the alarms, whose numbers are the order.
    LIST = [
        "SELECT" alarm_columns "FROM alarms a CROSS JOIN hunts h WHERE h.id = a.hunt_id"
    ];
    /// The numbers of the alarms before one, the newest first.
    NUMBERS_BELOW = ["SELECT number FROM alarms WHERE number >= $1 AND number < $2 ORDER BY number DESC LIMIT $3"];
    /// The same behind one, the oldest first.
    NUMBERS_ABOVE = ["SELECT number FROM alarms WHERE number >= $1 AND number < $2 ORDER BY number LIMIT $3"];
    /// What was answered under a key.
    IDEMPOTENT = ["SELECT request_hash, alarm_id, repeated FROM idempotency_keys WHERE integration_id = $1 AND key = $2"];
    /// Remembers what was answered under a key.
    INSERT_IDEMPOTENT = [
        "INSERT INTO idempotency_keys (integration_id, key, request_hash, alarm_id, repeated, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)"
    ];
    /// Forgets old keys.
    FORGET_IDEMPOTENT = [
        "DELETE FROM idempotency_keys WHERE (integration_id, key) IN (
           SELECT integration_id, key FROM idempotency_keys WHERE created_at < $1 ORDER BY created_at LIMIT 500)"
    ];
}

/// How many numbers in a row are tried before giving up: as many alarms would have to come in the same millisecond.
const NUMBER_TRIES: i64 = 100_000;

impl Db<'_> {
    /// Stores a new alarm with a number of its own, and gives that number: the time in milliseconds, or the next free one.
    ///
    /// # Errors
    /// When the database fails; a unique violation when an open alarm has the same key.
    pub async fn insert_alarm(&mut self, alarm: &NewAlarm) -> Result<i64> {
        if alarm.kind.is_alarm() {
            self.touched(|touched| _ = touched.alarms.insert(alarm.id));
        }
        let first = alarm.raised_at.timestamp_millis();
        for number in first..first + NUMBER_TRIES {
            let inserted = execute!(
                self,
                INSERT,
                alarm.id,
                number,
                alarm.hunt_id,
                alarm.integration_id.as_str(),
                alarm.source.as_str(),
                alarm.dedup_key.as_deref(),
                alarm.dedup_open,
                alarm.summary.as_str(),
                alarm.details.as_str(),
                Json(&alarm.labels),
                alarm.priority,
                alarm.raised_at,
                alarm.team.as_deref(),
                alarm.group_key.as_deref(),
                alarm.kind,
            )?;
            if inserted == 1 {
                self.join_hunt(alarm.id, alarm.hunt_id, alarm.raised_at).await?;
                return Ok(number);
            }
        }
        Err(StoreError::Inconsistent(format!("no alarm number is free after {first}")))
    }

    /// Notes that an alarm is in a hunt.
    pub async fn join_hunt(&mut self, alarm: AlarmId, hunt: HuntId, now: DateTime<Utc>) -> Result<()> {
        execute!(self, JOIN_HUNT, alarm, hunt, now).map(|_| ())
    }

    /// One alarm.
    pub async fn alarm(&mut self, id: AlarmId) -> Result<Option<AlarmRow>> {
        fetch_optional!(self, GET, id)
    }

    /// One alarm by its number.
    pub async fn alarm_by_number(&mut self, number: i64) -> Result<Option<AlarmRow>> {
        fetch_optional!(self, GET_BY_NUMBER, number)
    }

    /// Those of these alarms that are known, oldest first.
    pub async fn alarms_among(&mut self, ids: &[AlarmId]) -> Result<Vec<AlarmRow>> {
        fetch_all!(self, SOME, serde_json::json!(ids).to_string())
    }

    /// The alarms whose current hunt is this one.
    pub async fn alarms_of(&mut self, hunt: HuntId) -> Result<Vec<AlarmRow>> {
        fetch_all!(self, OF_HUNT, hunt)
    }

    /// The open alarm with a key.
    pub async fn open_alarm_with_key(&mut self, integration: &str, key: &str) -> Result<Option<AlarmRow>> {
        fetch_optional!(self, OPEN_WITH_KEY, integration, key)
    }

    /// The alarms that were ever in this hunt, whatever hunt they have now; the most urgent first.
    pub async fn alarms_ever_in(&mut self, hunt: HuntId) -> Result<Vec<AlarmRow>> {
        fetch_all!(self, EVER_IN, hunt)
    }

    /// The alarms that a call was about when it was handed out for a hunt at an instant, whatever hunt they have now.
    pub async fn alarms_in_call(&mut self, hunt: HuntId, offered_at: DateTime<Utc>) -> Result<Vec<AlarmId>> {
        let rows: Vec<(AlarmId,)> = fetch_all!(self, IN_CALL, hunt, offered_at)?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// Moves an alarm into a hunt that was made of the one it is in: it counts as having joined it when it joined that one.
    pub async fn move_alarm(&mut self, id: AlarmId, from: HuntId, to: HuntId) -> Result<()> {
        execute!(self, SET_HUNT, id, to)?;
        execute!(self, MOVE, id, from, to).map(|_| ())
    }

    /// Alarms that joined this hunt, their current one, after an instant, and are not over.
    pub async fn alarms_joined_after(&mut self, hunt: HuntId, at: DateTime<Utc>) -> Result<Vec<AlarmRow>> {
        fetch_all!(self, JOINED_AFTER, hunt, at)
    }

    /// The newer hunts of alarms that were in this hunt by an instant.
    pub async fn later_hunts(&mut self, hunt: HuntId, by: DateTime<Utc>) -> Result<Vec<HuntId>> {
        let rows: Vec<(HuntId,)> = fetch_all!(self, LATER_HUNTS, hunt, by)?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// The hunts an alarm ever had, oldest first.
    pub async fn hunts_of_alarm(&mut self, alarm: AlarmId) -> Result<Vec<HuntId>> {
        let rows: Vec<(HuntId,)> = fetch_all!(self, HUNTS_OF_ALARM, alarm)?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// Counts a repeat; false when the alarm was closed meanwhile.
    pub async fn repeat_alarm(&mut self, id: AlarmId, now: DateTime<Utc>) -> Result<bool> {
        self.touched(|touched| _ = touched.alarms.insert(id));
        changed_one!(self, REPEAT, id, now)
    }

    /// Lets the next report with the alarm's key make a new alarm.
    pub async fn close_dedup(&mut self, id: AlarmId) -> Result<()> {
        execute!(self, CLOSE_DEDUP, id).map(|_| ())
    }

    /// Gives an alarm a new hunt.
    pub async fn set_alarm_hunt(&mut self, id: AlarmId, hunt: HuntId, now: DateTime<Utc>) -> Result<()> {
        execute!(self, SET_HUNT, id, hunt)?;
        self.join_hunt(id, hunt, now).await
    }

    /// Calls an alarm off; false when it was over already.
    pub async fn cancel_alarm(&mut self, id: AlarmId, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, CANCEL, id, now)
    }

    /// Marks an alarm as over at its source; false when it was over already.
    pub async fn resolve_alarm(&mut self, id: AlarmId, now: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, RESOLVE, id, now)
    }

    /// Makes an alarm at least so urgent.
    pub async fn raise_alarm_priority(&mut self, id: AlarmId, priority: Priority, now: DateTime<Utc>) -> Result<()> {
        execute!(self, RAISE_PRIORITY, id, priority, now).map(|_| ())
    }

    /// Notes that something burns in an alarm that did not.
    pub async fn alarm_has_news(&mut self, id: AlarmId, now: DateTime<Utc>) -> Result<()> {
        execute!(self, HAS_NEWS, id, now).map(|_| ())
    }

    /// Sets when an alarm rings again by itself.
    pub async fn set_ring_again(&mut self, id: AlarmId, at: Option<DateTime<Utc>>) -> Result<()> {
        execute!(self, SET_RING_AGAIN, id, at).map(|_| ())
    }

    /// Lets an alarm ring then for something that nobody has taken.
    pub async fn ring_for_news(&mut self, id: AlarmId, at: DateTime<Utc>) -> Result<()> {
        execute!(self, RING_FOR_NEWS, id, at).map(|_| ())
    }

    /// Up to 100 alarms that are to ring again.
    pub async fn alarms_to_ring_again(&mut self, now: DateTime<Utc>) -> Result<Vec<AlarmId>> {
        let rows: Vec<(AlarmId,)> = fetch_all!(self, RING_AGAIN, now)?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

    /// How many alarms of a hunt are still firing.
    pub async fn count_firing(&mut self, hunt: HuntId) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, COUNT_FIRING, hunt)?;
        Ok(row.map_or(0, |(count,)| count))
    }

    /// Alarms in the order of the filter: those of these numbers, or any, whatever words the filter asks for.
    pub(in crate::store) async fn list_alarms(
        &mut self,
        filter: &AlarmFilter,
        numbers: Option<&[i64]>,
        limit: i64,
    ) -> Result<Vec<AlarmRow>> {
        // Planned anew for what is asked for each time: a plan for any source would read on for ever for one that has no alarm.
        let running = self.rows_of_built(&LIST, &list_query(self.dialect(), filter, numbers, limit));
        running.await.and_then(|rows| all(&LIST, &rows))
    }

    /// So many numbers of alarms in the order of a filter, of those that its times and the page before leave.
    pub(in crate::store) async fn numbers_in_order(&mut self, filter: &AlarmFilter, most: i64) -> Result<Vec<i64>> {
        let (from, before) = filter.numbers();
        let rows: Vec<(i64,)> = match filter.oldest_first {
            true => fetch_all!(self, NUMBERS_ABOVE, from, before, most)?,
            false => fetch_all!(self, NUMBERS_BELOW, from, before, most)?,
        };
        Ok(rows.into_iter().map(|(number,)| number).collect())
    }

    /// Whether an alarm is within the bounds of a key.
    pub async fn is_within(&mut self, alarm: &AlarmRow, bounds: &Bounds) -> Result<bool> {
        let filter = AlarmFilter { kinds: vec![alarm.kind], within: Some(bounds.clone()), ..AlarmFilter::default() };
        Ok(!self.list_alarms(&filter, Some(&[alarm.number]), 1).await?.is_empty())
    }

    /// What was answered under a key.
    pub async fn idempotent_request(&mut self, integration: &str, key: &str) -> Result<Option<IdempotentRow>> {
        fetch_optional!(self, IDEMPOTENT, integration, key)
    }

    /// Remembers what was answered under a key.
    ///
    /// # Errors
    /// When the database fails; a unique violation when another request used the key at the same time.
    pub async fn insert_idempotent_request(
        &mut self,
        integration: &str,
        key: &str,
        request_hash: &[u8],
        alarm: AlarmId,
        repeated: bool,
        now: DateTime<Utc>,
    ) -> Result<()> {
        execute!(self, INSERT_IDEMPOTENT, integration, key, request_hash, alarm, repeated, now).map(|_| ())
    }

    /// Forgets up to 500 keys that were used before then; gives how many.
    pub async fn forget_idempotent_requests(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, FORGET_IDEMPOTENT, before)
    }
}

/// The text of the query for a list, for the test that looks how the databases carry it out.
#[must_use]
pub fn list_text(dialect: Dialect, filter: &AlarmFilter, numbers: Option<&[i64]>, limit: i64) -> String {
    list_query(dialect, filter, numbers, limit).into_text()
}

/// Somebody is still to be reached for it.
const IS_OPEN: &str =
    "a.cancelled_at IS NULL AND a.resolved_at IS NULL AND a.hunt_id IN (SELECT id FROM hunts WHERE ended_at IS NULL)";

/// What makes an alarm be in a state.
fn in_state(state: AlarmState) -> &'static str {
    match state {
        // A hunt is called off only when each alarm in it is over, so the alarm itself says it.
        AlarmState::Cancelled => "a.cancelled_at IS NOT NULL",
        AlarmState::Resolved => "a.cancelled_at IS NULL AND (a.resolved_at IS NOT NULL OR h.outcome = 'resolved')",
        AlarmState::Waiting => {
            "a.cancelled_at IS NULL AND a.resolved_at IS NULL
             AND h.begun_at IS NULL AND a.hunt_id IN (SELECT id FROM hunts WHERE ended_at IS NULL)"
        }
        AlarmState::Ringing => {
            "a.cancelled_at IS NULL AND a.resolved_at IS NULL
             AND h.begun_at IS NOT NULL AND a.hunt_id IN (SELECT id FROM hunts WHERE ended_at IS NULL)"
        }
        AlarmState::Answered => "a.cancelled_at IS NULL AND a.resolved_at IS NULL AND h.outcome = 'answered'",
        AlarmState::NoAnswer => "a.cancelled_at IS NULL AND a.resolved_at IS NULL AND h.outcome = 'no_answer'",
    }
}

/// Only rows whose column has one of these values; any when there are none.
fn any_of<T: Value + 'static>(query: &mut Built, column: &str, values: impl Iterator<Item = T>) {
    let mut values = values.peekable();
    if values.peek().is_none() {
        return;
    }
    query.push(" AND ").push(column).push(" IN (");
    for (place, value) in values.enumerate() {
        query.push(if place == 0 { "" } else { ", " }).push_value(value);
    }
    query.push(")");
}

/// Only what is within bounds, as [`Bounds::cover`] says it.
fn within(query: &mut Built, bounds: &Bounds) {
    any_of(query, "a.source", bounds.sources.iter().cloned());
    let teams = |query: &mut Built| {
        query.push("a.team IS NOT NULL");
        any_of(query, "a.team", bounds.teams.iter().cloned());
    };
    let policies = |query: &mut Built| {
        query.push("h.policy_id IN (SELECT id FROM policies WHERE TRUE");
        any_of(query, "name", bounds.policies.iter().cloned());
        query.push(")");
    };
    match (bounds.teams.is_empty(), bounds.policies.is_empty()) {
        (true, true) => {}
        (false, true) => any_of(query, "a.team", bounds.teams.iter().cloned()),
        (true, false) => {
            query.push(" AND ");
            policies(query);
        }
        (false, false) => {
            query.push(" AND ((");
            teams(query);
            query.push(") OR ");
            policies(query);
            query.push(")");
        }
    }
}

/// Only what is of the kinds that are asked for. Most alarms are alarms: where something else finds fewer, they are not looked for by that.
fn of_kinds(query: &mut Built, dialect: Dialect, filter: &AlarmFilter, is_chosen: bool) {
    let kinds = if filter.kinds.is_empty() { &[AlarmKind::Alarm][..] } else { &filter.kinds[..] };
    let finds_fewer = is_chosen
        || !(filter.states.is_empty()
            && filter.sources.is_empty()
            && filter.priorities.is_empty()
            && filter.dedup_keys.is_empty()
            && filter.teams.is_empty()
            && filter.own_of.is_none());
    let unindexed = kinds.len() > 1 || finds_fewer && kinds == [AlarmKind::Alarm];
    let column = match dialect {
        Dialect::Sqlite if unindexed => "+a.kind",
        _ => "a.kind",
    };
    any_of(query, column, kinds.iter().copied());
    for (kind, whose) in [(AlarmKind::Shout, filter.shouts_of), (AlarmKind::Call, filter.calls_of)] {
        match whose {
            _ if !kinds.contains(&kind) => {}
            Whose::All => {}
            Whose::Nobody => {
                query.push(" AND a.kind <> ").push_value(kind);
            }
            Whose::Key(key) => {
                query.push(" AND (a.kind <> ").push_value(kind);
                query.push(" OR a.integration_id = ").push_value(key.to_string()).push(")");
            }
        }
    }
}

/// Built, not `column = $1 OR $1 IS NULL`: with that form SQLite reads the whole table.
fn list_query(dialect: Dialect, filter: &AlarmFilter, numbers: Option<&[i64]>, limit: i64) -> Built {
    let mut query = Built::new(LIST.on(dialect));
    of_kinds(&mut query, dialect, filter, numbers.is_some());
    if filter.is_of_open() {
        // As one: with two conditions, either of which would do, the few that are open are not looked for first.
        query.push(" AND ").push(IS_OPEN);
    } else if let [state] = filter.states[..] {
        query.push(" AND ").push(in_state(state));
    } else if !filter.states.is_empty() {
        for (place, state) in filter.states.iter().enumerate() {
            query.push(if place == 0 { " AND ((" } else { ") OR (" }).push(in_state(*state));
        }
        query.push("))");
    }
    any_of(&mut query, "a.source", filter.sources.iter().cloned());
    any_of(&mut query, "a.priority", filter.priorities.iter().copied());
    any_of(&mut query, "a.dedup_key", filter.dedup_keys.iter().cloned());
    any_of(&mut query, "a.team", filter.teams.iter().cloned());
    any_of(&mut query, "a.integration_id", filter.own_of.iter().cloned());
    if let Some(bounds) = &filter.within {
        within(&mut query, bounds);
    }
    if let Some(numbers) = numbers {
        let (begins, ends) = match dialect {
            Dialect::Postgres => ("SELECT value::bigint FROM json_array_elements_text(CAST(", " AS text)::json) AS list (value)"),
            Dialect::Sqlite => ("SELECT value FROM json_each(", ")"),
        };
        query.push(" AND a.number IN (").push(begins).push_value(serde_json::json!(numbers).to_string()).push(ends).push(")");
    }
    // The number is the time in milliseconds, or the next free one: it is what these are found by.
    if let Some(from) = filter.raised_from {
        query.push(" AND a.raised_at >= ").push_value(from);
        query.push(" AND a.number >= ").push_value(from.timestamp_millis());
    }
    if let Some(before) = filter.raised_before {
        query.push(" AND a.raised_at < ").push_value(before);
        query.push(" AND a.number < ").push_value(before.timestamp_millis().saturating_add(NUMBER_TRIES));
    }
    if let Some(number) = filter.below_number {
        query.push(" AND a.number < ").push_value(number);
    }
    if let Some(number) = filter.above_number {
        query.push(" AND a.number > ").push_value(number);
    }
    query
        .push(if filter.oldest_first { " ORDER BY a.number LIMIT " } else { " ORDER BY a.number DESC LIMIT " })
        .push_value(limit);
    query
}

/// An alarm to be stored.
#[derive(Clone, Debug)]
pub struct NewAlarm {
    /// Which one.
    pub id: AlarmId,
    /// What it is for.
    pub kind: AlarmKind,
    /// Its hunt.
    pub hunt_id: HuntId,
    /// The door it came through.
    pub integration_id: String,
    /// What its sender calls itself.
    pub source: String,
    /// What makes two reports the same alarm.
    pub dedup_key: Option<String>,
    /// Whether repeats with that key count for it.
    pub dedup_open: bool,
    /// One line of text.
    pub summary: String,
    /// More text.
    pub details: String,
    /// Names and values.
    pub labels: BTreeMap<String, String>,
    /// How urgent.
    pub priority: Priority,
    /// Now.
    pub raised_at: DateTime<Utc>,
    /// The one team that it asks for.
    pub team: Option<String>,
    /// The key of its group, which several alarms may share.
    pub group_key: Option<String>,
}
