//! What monitoring systems said to burn, which alarms of a group there are, and what was refused.

use chrono::{DateTime, Utc};
use sqlx::types::Json;

use super::alarms::AlarmRow;
use crate::alarm::Priority;
use crate::alarm::burning::Burning;
use crate::alarm::event::EventKind;
use crate::ids::{AlarmId, HuntId};
use crate::store::dialect::{fragment, statements};
use crate::store::statement::{changed_one, execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

row! {
    /// How often a sender was refused for one reason.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RefusalRow {
        /// The name of its key, or what it came as.
        pub sender: String,
        /// The stable word of the problem.
        pub reason: String,
        /// How often.
        pub refused: i64,
        /// The last time.
        pub last_at: DateTime<Utc>,
    }
}

/// What burnt is forgotten of so many alarms in one transaction: that of one may be megabytes.
pub const BURNT_AT_ONCE: u64 = 20;

statements! {
    /// The open alarms of a group, in the order in which their hunts are locked.
    OPEN_OF_GROUP = [
        "SELECT" alarm_columns "FROM alarms a JOIN hunts h ON h.id = a.hunt_id WHERE a.integration_id = $1 AND a.group_key = $2 AND a.dedup_open
         ORDER BY a.hunt_id, a.id LIMIT 50"
    ];
    /// The alarms of a group that were resolved after an instant, the latest first.
    ENDED_OF_GROUP = [
        "SELECT" alarm_columns "FROM alarms a JOIN hunts h ON h.id = a.hunt_id WHERE a.integration_id = $1 AND a.group_key = $2 AND a.resolved_at > $3
         ORDER BY a.resolved_at DESC LIMIT 20"
    ];
    /// The groups of a sender's open alarms.
    OPEN_GROUPS = ["SELECT DISTINCT group_key FROM alarms WHERE integration_id = $1 AND group_key IS NOT NULL AND dedup_open LIMIT 20000"];
    /// What burns of an alarm.
    BURNING = ["SELECT burning FROM alarm_burning WHERE alarm_id = $1"];
    /// The same, as it is from now on.
    SET_BURNING = [
        "INSERT INTO alarm_burning (alarm_id, burning) VALUES ($1, $2) ON CONFLICT (alarm_id) DO UPDATE SET burning = excluded.burning"
    ];
    /// What burnt in alarms that are over and cannot come back: a sender's word is compared only with what is open, or was resolved lately.
    FORGET_BURNT = [
        "DELETE FROM alarm_burning WHERE alarm_id IN (
           SELECT b.alarm_id FROM alarm_burning b CROSS JOIN alarms a
           WHERE a.id = b.alarm_id AND NOT a.dedup_open AND (a.resolved_at IS NULL OR a.resolved_at < $1) LIMIT 20)"
    ];
    /// How urgent the latest alarm of a group was that a person called off since then.
    CALLED_OFF_OF_GROUP = [
        "SELECT priority FROM alarms WHERE integration_id = $1 AND group_key = $2 AND cancelled_at >= $3
         ORDER BY cancelled_at DESC LIMIT 1"
    ];
    /// Until when the word of an alarm's source holds, unless it is said again.
    SET_WORD_UNTIL = [
        "UPDATE alarms SET word_until = $2 WHERE id = $1 AND resolved_at IS NULL AND cancelled_at IS NULL
           AND word_until IS DISTINCT FROM $2"
    ];
    /// Alarms whose word holds no longer.
    UNSPOKEN_OF = [
        "SELECT id, word_until, last_repeat_at FROM alarms WHERE word_until <= $1 ORDER BY word_until, id LIMIT 1000"
    ];
    /// The same of one of them, which is then asked no more.
    IS_UNSPOKEN_OF = ["UPDATE alarms SET word_until = NULL WHERE id = $1 AND word_until <= $2"];
    /// What was said to be over in a group before anybody said that it burns.
    END_HEARD = ["SELECT burning FROM ends_heard WHERE integration_id = $1 AND group_key = $2 AND heard_at > $3"];
    /// The same, as it is from now on.
    SET_END_HEARD = [
        "INSERT INTO ends_heard (integration_id, group_key, burning, heard_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (integration_id, group_key) DO UPDATE SET burning = excluded.burning, heard_at = excluded.heard_at"
    ];
    /// It has been of use.
    FORGET_END_HEARD = ["DELETE FROM ends_heard WHERE integration_id = $1 AND group_key = $2"];
    /// Those that nobody waits for any more, some at a time.
    FORGET_ENDS_HEARD = [
        "DELETE FROM ends_heard WHERE (integration_id, group_key) IN (
           SELECT integration_id, group_key FROM ends_heard WHERE heard_at < $1 ORDER BY heard_at LIMIT 1000)"
    ];
    /// It was over, and is not.
    REOPEN = [
        "UPDATE alarms SET resolved_at = NULL, dedup_open = TRUE, repeats = repeats + 1, last_repeat_at = $2
         WHERE id = $1 AND resolved_at IS NOT NULL AND cancelled_at IS NULL"
    ];
    /// It came again and says something new.
    RETELL = ["UPDATE alarms SET summary = $2, details = $3, labels = $4 WHERE id = $1"];
    /// How often something of one kind has happened to it.
    COUNT_EVENTS = ["SELECT count(*) AS happened FROM events WHERE alarm_id = $1 AND kind = $2"];
    /// When an alarm that is in a hunt by now was last given back.
    GIVEN_BACK_AT = [
        "SELECT max(e.at) FROM alarms a JOIN events e ON e.alarm_id = a.id WHERE a.hunt_id = $1 AND e.kind = 'given_back'"
    ];
    /// A sender was refused so many times more.
    REFUSED = [
        "INSERT INTO refusals (sender, reason, refused, last_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (sender, reason) DO UPDATE SET refused = refusals.refused + excluded.refused, last_at = excluded.last_at"
    ];
    /// All refusals, those of one sender together.
    REFUSALS = ["SELECT sender, reason, refused, last_at FROM refusals ORDER BY sender, reason LIMIT 5000"];
}

impl Db<'_> {
    /// The open alarms of a group, in the order of their hunts.
    pub async fn open_of_group(&mut self, integration: &str, group: &str) -> Result<Vec<AlarmRow>> {
        fetch_all!(self, OPEN_OF_GROUP, integration, group)
    }

    /// The alarms of a group that were resolved after an instant, the latest first; at most 20.
    pub async fn ended_of_group(&mut self, integration: &str, group: &str, after: DateTime<Utc>) -> Result<Vec<AlarmRow>> {
        fetch_all!(self, ENDED_OF_GROUP, integration, group, after)
    }

    /// The groups of a sender's open alarms.
    pub async fn open_groups(&mut self, integration: &str) -> Result<Vec<String>> {
        let rows: Vec<(String,)> = fetch_all!(self, OPEN_GROUPS, integration)?;
        Ok(rows.into_iter().map(|(group,)| group).collect())
    }

    /// What burns of an alarm; `None` where nobody noted it.
    pub async fn burning(&mut self, alarm: AlarmId) -> Result<Option<Burning>> {
        let row: Option<(Json<Burning>,)> = fetch_optional!(self, BURNING, alarm)?;
        Ok(row.map(|(burning,)| burning.0))
    }

    /// Notes what burns of an alarm.
    pub async fn set_burning(&mut self, alarm: AlarmId, burning: &Burning) -> Result<()> {
        execute!(self, SET_BURNING, alarm, Json(burning)).map(|_| ())
    }

    /// How urgent the latest alarm of a group was that a person called off at an instant or later; `None` where there is none.
    pub async fn called_off_of_group(
        &mut self,
        integration: &str,
        group: &str,
        since: DateTime<Utc>,
    ) -> Result<Option<Priority>> {
        let row: Option<(Priority,)> = fetch_optional!(self, CALLED_OFF_OF_GROUP, integration, group, since)?;
        Ok(row.map(|(priority,)| priority))
    }

    /// Notes until when the word of an alarm's source holds; `None`: until it says otherwise.
    pub async fn set_word_until(&mut self, alarm: AlarmId, until: Option<DateTime<Utc>>) -> Result<()> {
        execute!(self, SET_WORD_UNTIL, alarm, until).map(|_| ())
    }

    /// Up to 1,000 alarms whose word holds no longer at an instant, each with the time until which it held and when it was said last.
    pub async fn unspoken_of(&mut self, at: DateTime<Utc>) -> Result<Vec<(AlarmId, DateTime<Utc>, DateTime<Utc>)>> {
        fetch_all!(self, UNSPOKEN_OF, at)
    }

    /// Takes away the time until which the word of an alarm held; false when it still holds.
    pub async fn is_unspoken_of(&mut self, alarm: AlarmId, at: DateTime<Utc>) -> Result<bool> {
        changed_one!(self, IS_UNSPOKEN_OF, alarm, at)
    }

    /// What was said to be over in a group, after an instant, before anybody said that it burns.
    pub async fn end_heard(&mut self, integration: &str, group: &str, after: DateTime<Utc>) -> Result<Option<Burning>> {
        let row: Option<(Json<Burning>,)> = fetch_optional!(self, END_HEARD, integration, group, after)?;
        Ok(row.map(|(burning,)| burning.0))
    }

    /// Notes it, in place of what was noted before.
    pub async fn set_end_heard(&mut self, integration: &str, group: &str, ends: &Burning, now: DateTime<Utc>) -> Result<()> {
        execute!(self, SET_END_HEARD, integration, group, Json(ends), now).map(|_| ())
    }

    /// Forgets what was said to be over in a group.
    pub async fn forget_end_heard(&mut self, integration: &str, group: &str) -> Result<()> {
        execute!(self, FORGET_END_HEARD, integration, group).map(|_| ())
    }

    /// Forgets up to 1,000 of those that were noted before an instant; gives how many.
    pub async fn forget_ends_heard(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, FORGET_ENDS_HEARD, before)
    }

    /// Forgets what burnt in up to [`BURNT_AT_ONCE`] alarms that are not open and were not resolved since then; gives in how many.
    pub async fn forget_burnt(&mut self, before: DateTime<Utc>) -> Result<u64> {
        execute!(self, FORGET_BURNT, before)
    }

    /// Opens an alarm again that was resolved; false when it is not.
    ///
    /// # Errors
    /// When the database fails; a unique violation when another alarm is open under its key.
    pub async fn reopen_alarm(&mut self, id: AlarmId, now: DateTime<Utc>) -> Result<bool> {
        self.touched(|touched| _ = touched.alarms.insert(id));
        changed_one!(self, REOPEN, id, now)
    }

    /// Stores what an alarm says by now.
    pub async fn retell_alarm(
        &mut self,
        id: AlarmId,
        summary: &str,
        details: &str,
        labels: &std::collections::BTreeMap<String, String>,
    ) -> Result<()> {
        execute!(self, RETELL, id, summary, details, Json(labels))?;
        self.remember_sought(Some(id), None).await
    }

    /// How often something of one kind has happened to an alarm.
    pub async fn count_events(&mut self, alarm: AlarmId, kind: EventKind) -> Result<i64> {
        let row: Option<(i64,)> = fetch_optional!(self, COUNT_EVENTS, alarm, kind.as_str())?;
        Ok(row.map_or(0, |(count,)| count))
    }

    /// When one of the alarms that are in a hunt by now was last given back.
    pub async fn given_back_at(&mut self, hunt: HuntId) -> Result<Option<DateTime<Utc>>> {
        let row: Option<(Option<DateTime<Utc>>,)> = fetch_optional!(self, GIVEN_BACK_AT, hunt)?;
        Ok(row.and_then(|(at,)| at))
    }

    /// Counts requests that were refused.
    pub async fn count_refusals(&mut self, sender: &str, reason: &str, refused: i64, last_at: DateTime<Utc>) -> Result<()> {
        execute!(self, REFUSED, sender, reason, refused, last_at).map(|_| ())
    }

    /// All refusals, by sender and reason.
    pub async fn refusals(&mut self) -> Result<Vec<RefusalRow>> {
        fetch_all!(self, REFUSALS)
    }
}
