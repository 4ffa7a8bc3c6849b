//! Words by which alarms are found: under which each is kept, which are to be looked at again, and which alarms have them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::alarms::AlarmRow;
use crate::alarm::sought::{Sought, Term, Told, spans, spans_of, words_of};
use crate::ids::{AlarmId, HuntId, PersonId};
use crate::store::dialect::{Dialect, fragment, statements};
use crate::store::places::{NextInWalk, Walk};
use crate::store::statement::{execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result};

/// So many are looked at in one transaction.
const SOUGHT_AT_ONCE: usize = 50;
/// How far the alarms that were there before have been looked at.
pub(in crate::store) const CAUGHT_UP: &str = "sought";

row! {
    /// Somebody who was rung or answered.
    #[derive(Clone, Debug)]
    struct ReachedRow {
        /// For which alarm.
        alarm_id: AlarmId,
        /// Who, where they are on the list of people.
        person_id: Option<PersonId>,
        /// Their name.
        name: Option<String>,
        /// Their number.
        number: Option<String>,
    }
}

statements! {
    /// To be looked at: an alarm, or each that was in a hunt.
    REMEMBER = ["INSERT INTO sought_due (alarm_id, hunt_id) VALUES ($1, $2)"];
    /// Each alarm that was in a hunt.
    REMEMBER_EACH = ["INSERT INTO sought_due (alarm_id) SELECT alarm_id FROM alarm_hunts WHERE hunt_id = $1"];
    /// The first that are to be looked at.
    DUE = ["SELECT id, alarm_id, hunt_id FROM sought_due ORDER BY id LIMIT $1"];
    /// Whether any is.
    ANY_DUE = ["SELECT id FROM sought_due ORDER BY id LIMIT 1"];
    /// They have been.
    FORGET_DUE = ["DELETE FROM sought_due WHERE id" in_numbers];
    /// How far those have been that were there before. Nobody else's until the transaction ends: of what two nodes read of an alarm, the
    /// later is written later.
    CAUGHT_UP_TO = ["SELECT reached FROM places WHERE name = $1" for_update];
    /// The next of them.
    EARLIER = ["SELECT id FROM alarms WHERE number >= $1 AND number < $2 ORDER BY number DESC LIMIT $3"];
    /// Who was rung for these alarms, or answered. Of a shout there may be tens of thousands, who are listed elsewhere.
    REACHED = [
        "SELECT l.alarm_id, c.person_id, c.name, c.number FROM alarms a JOIN alarm_hunts l ON l.alarm_id = a.id
           JOIN callees c ON c.hunt_id = l.hunt_id
         WHERE a.kind IN ('alarm', 'test') AND a.id" in_list
        "UNION
         SELECT l.alarm_id, n.person_id, n.name, n.number FROM alarms a JOIN alarm_hunts l ON l.alarm_id = a.id
           JOIN answers n ON n.hunt_id = l.hunt_id
         WHERE a.kind IN ('alarm', 'test') AND a.id" in_list "LIMIT 20000"
    ];
    /// What people wrote about these alarms.
    NOTES = ["SELECT alarm_id, body FROM events WHERE kind = 'noted' AND alarm_id" in_list "LIMIT 2000"];
    /// The words of an alarm.
    KEEP = [keep_sought];
    /// The first and the last alarm of a span.
    EDGES = [
        "SELECT (SELECT min(number) FROM alarms WHERE number >= $1) AS first, (SELECT max(number) FROM alarms WHERE number < $2) AS last"
    ];
    /// The newest with these words.
    NEWEST = [
        "SELECT" sought_number "AS number FROM sought WHERE" has_sought "AND" sought_number ">= $2 AND" sought_number "< $3
         ORDER BY 1 DESC LIMIT $4"
    ];
    /// The oldest.
    OLDEST = [
        "SELECT" sought_number "AS number FROM sought WHERE" has_sought "AND" sought_number ">= $2 AND" sought_number "< $3
         ORDER BY 1 LIMIT $4"
    ];
}

/// A span of the numbers of alarms, and from which end it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within {
    /// From this number on.
    pub from: i64,
    /// Below this one.
    pub before: i64,
    /// The newest first.
    pub newest_first: bool,
}

/// What is asked for, as the database reads it. Words are letters and digits and `_`, so nothing in them can be taken for anything else.
fn written(sought: &Sought, dialect: Dialect) -> String {
    let term = |term: &Term| match (dialect, term) {
        (Dialect::Postgres, Term::Word(word)) => format!("'{word}'"),
        (Dialect::Postgres, Term::Beginning(word)) => format!("'{word}':*"),
        (Dialect::Sqlite, Term::Word(word)) => format!("\"{word}\""),
        (Dialect::Sqlite, Term::Beginning(word)) => format!("\"{word}\" *"),
    };
    let (or, and) = match dialect {
        Dialect::Postgres => (" | ", " & "),
        Dialect::Sqlite => (" OR ", " AND "),
    };
    let group = |terms: &Vec<Term>| format!("({})", terms.iter().map(term).collect::<Vec<_>>().join(or));
    sought.0.iter().map(group).collect::<Vec<_>>().join(and)
}

impl Db<'_> {
    /// Notes that the words of an alarm, or of each that was in a hunt, are to be looked at.
    pub(in crate::store) async fn remember_sought(&mut self, alarm: Option<AlarmId>, hunt: Option<HuntId>) -> Result<()> {
        match (alarm, hunt) {
            (None, None) => Ok(()),
            (Some(alarm), _) => execute!(self, REMEMBER, Some(alarm), None::<HuntId>).map(|_| ()),
            (None, hunt) => execute!(self, REMEMBER, None::<AlarmId>, hunt).map(|_| ()),
        }
    }

    /// Whether the words of any alarm are to be looked at.
    pub async fn is_any_sought_due(&mut self) -> Result<bool> {
        let row: Option<(i64,)> = fetch_optional!(self, ANY_DUE)?;
        Ok(row.is_some())
    }

    /// How far the alarms have been looked at that were there before words were kept. Only one node has it at a time.
    async fn lock_sought(&mut self, now: DateTime<Utc>) -> Result<Walk> {
        let reached: Option<(String,)> = fetch_optional!(self, CAUGHT_UP_TO, CAUGHT_UP)?;
        if let Some(walk) = reached.and_then(|(reached,)| Walk::read(&reached)) {
            return Ok(walk);
        }
        let walk = Walk::begin(now);
        self.note_place(CAUGHT_UP, &walk.written(), now).await?;
        Ok(walk)
    }

    /// Looks at the words of the first few alarms of which that is due; gives of how many. For a transaction.
    pub async fn keep_due_sought(&mut self, now: DateTime<Utc>) -> Result<usize> {
        self.lock_sought(now).await?;
        let limit = i64::try_from(SOUGHT_AT_ONCE).unwrap_or(i64::MAX);
        let due: Vec<(i64, Option<AlarmId>, Option<HuntId>)> = fetch_all!(self, DUE, limit)?;
        let mut alarms: Vec<AlarmId> = due.iter().filter_map(|(_, alarm, _)| *alarm).collect();
        alarms.sort_unstable();
        alarms.dedup();
        for hunt in due.iter().filter_map(|(_, alarm, hunt)| hunt.filter(|_| alarm.is_none())) {
            execute!(self, REMEMBER_EACH, hunt)?;
        }
        self.keep_sought(&alarms).await?;
        let ids: Vec<i64> = due.iter().map(|(id, ..)| *id).collect();
        execute!(self, FORGET_DUE, serde_json::json!(ids).to_string())?;
        Ok(ids.len())
    }

    /// Looks at the next few alarms that were there before words were kept, the newest first; gives what comes next. For a transaction.
    pub async fn keep_earlier_sought(&mut self, now: DateTime<Utc>) -> Result<NextInWalk> {
        let walk = self.lock_sought(now).await?;
        let NextInWalk::Span(from, below) = walk.next(now) else { return Ok(walk.next(now)) };
        let limit = i64::try_from(SOUGHT_AT_ONCE).unwrap_or(i64::MAX);
        let rows: Vec<(AlarmId,)> = fetch_all!(self, EARLIER, from, below, limit)?;
        let alarms: Vec<AlarmId> = rows.into_iter().map(|(id,)| id).collect();
        // Those that were forgotten just now are not read again.
        let lowest = if alarms.is_empty() { None } else { Some(self.keep_sought(&alarms).await?.unwrap_or(below)) };
        let walk = walk.went(lowest);
        self.note_place(CAUGHT_UP, &walk.written(), now).await?;
        Ok(walk.next(now))
    }

    /// Keeps the words of these alarms as they are now; gives the lowest number among them.
    async fn keep_sought(&mut self, ids: &[AlarmId]) -> Result<Option<i64>> {
        if ids.is_empty() {
            return Ok(None);
        }
        let alarms = self.alarms_among(ids).await?;
        let list = serde_json::json!(ids).to_string();
        let mut reached: HashMap<AlarmId, Vec<ReachedRow>> = HashMap::new();
        let rows: Vec<ReachedRow> = fetch_all!(self, REACHED, list.as_str())?;
        for row in rows {
            reached.entry(row.alarm_id).or_default().push(row);
        }
        let mut notes: HashMap<AlarmId, Vec<String>> = HashMap::new();
        let rows: Vec<(AlarmId, sqlx::types::Json<serde_json::Value>)> = fetch_all!(self, NOTES, list.as_str())?;
        for (alarm, body) in rows {
            notes.entry(alarm).or_default().extend(body.get("text").and_then(serde_json::Value::as_str).map(str::to_owned));
        }
        for alarm in &alarms {
            let reached = reached.get(&alarm.id).map_or(&[][..], Vec::as_slice);
            let notes = notes.get(&alarm.id).map_or(&[][..], Vec::as_slice);
            let mut words = words_of(&told(alarm, reached, notes));
            if self.dialect() == Dialect::Postgres {
                words.extend(spans_of(alarm.number));
            }
            execute!(self, KEEP, alarm.number, serde_json::json!(words).to_string())?;
        }
        Ok(alarms.iter().map(|alarm| alarm.number).min())
    }

    /// The numbers of alarms that are kept under these words; at most so many, in the order of their numbers from one end on.
    pub async fn sought_numbers(&mut self, sought: &Sought, within: Within, limit: i64) -> Result<Vec<i64>> {
        if sought.0.is_empty() || sought.0.iter().any(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let dialect = self.dialect();
        if dialect == Dialect::Sqlite {
            return self.sought_in_span(&written(sought, dialect), within, limit).await;
        }
        // Postgres finds all that have a word before it gives the first. So it is asked for spans, each of which is a word too.
        let edges: Option<(Option<i64>, Option<i64>)> = fetch_optional!(self, EDGES, within.from, within.before)?;
        let Some((Some(first), Some(last))) = edges else { return Ok(Vec::new()) };
        let mut numbers = Vec::new();
        for span in spans(first, last.saturating_add(1), within.newest_first) {
            let mut narrowed = sought.clone();
            narrowed.and_any([span.word]);
            let left = limit - i64::try_from(numbers.len()).unwrap_or(i64::MAX);
            let within = Within { from: span.from, before: span.before, ..within };
            numbers.extend(self.sought_in_span(&written(&narrowed, dialect), within, left).await?);
            if i64::try_from(numbers.len()).unwrap_or(i64::MAX) >= limit {
                break;
            }
        }
        Ok(numbers)
    }

    async fn sought_in_span(&mut self, written: &str, within: Within, limit: i64) -> Result<Vec<i64>> {
        let rows: Vec<(i64,)> = if within.newest_first {
            fetch_all!(self, NEWEST, written, within.from, within.before, limit)?
        } else {
            fetch_all!(self, OLDEST, written, within.from, within.before, limit)?
        };
        Ok(rows.into_iter().map(|(number,)| number).collect())
    }
}

/// What is said of an alarm, with who was reached for it.
fn told<'a>(alarm: &'a AlarmRow, reached: &'a [ReachedRow], notes: &'a [String]) -> Told<'a> {
    let mut people: Vec<PersonId> = reached.iter().filter_map(|row| row.person_id).collect();
    people.sort_unstable();
    people.dedup();
    let strangers = || reached.iter().filter(|row| row.person_id.is_none());
    Told {
        number: alarm.number,
        summary: &alarm.summary,
        details: &alarm.details,
        source: &alarm.source,
        dedup_key: alarm.dedup_key.as_deref(),
        team: alarm.team.as_deref(),
        labels: Some(&alarm.labels.0),
        people,
        names: strangers().filter_map(|row| row.name.as_deref()).collect(),
        numbers: strangers().filter_map(|row| row.number.as_deref()).collect(),
        notes: notes.iter().map(String::as_str).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_written_for_each_database() {
        let word = |word: &str| Term::Word(word.to_owned());
        let sought = Sought(vec![vec![word("磁盘"), word("w_1")], vec![word("di"), Term::Beginning("di".to_owned())]]);
        assert_eq!(written(&sought, Dialect::Postgres), "('磁盘' | 'w_1') & ('di' | 'di':*)");
        assert_eq!(written(&sought, Dialect::Sqlite), "(\"磁盘\" OR \"w_1\") AND (\"di\" OR \"di\" *)");
    }
}
