//! Words by which alarms are found: under which each is kept, which are to be looked at again, and which alarms have them.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::alarms::AlarmRow;
use crate::alarm::sought::{Sought, Term, Told, spans, spans_of, words_of};
use crate::ids::{AlarmId, HuntId, PersonId};
use crate::store::dialect::{Dialect, fragment, statements};
use crate::store::places::{NextInWalk, Walk};
use crate::store::statement::{execute, fetch_all, fetch_optional, row};
use crate::store::{Db, Result, StoreError};

/// So many are looked at in one transaction.
const SOUGHT_AT_ONCE: usize = 50;
/// How far the alarms that were there before have been looked at.
pub(in crate::store) const CAUGHT_UP: &str = "sought";

/// Somebody who was rung or answered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Reached {
    /// Who, where they are on the list of people.
    person: Option<PersonId>,
    /// Their name.
    name: Option<String>,
    /// Their number.
    number: Option<String>,
}

row! {
    /// What else an alarm is found by, as JSON lists: of each alarm no more than is kept of it.
    struct BesideRow {
        /// Of which alarm.
        alarm_id: AlarmId,
        /// Who answered.
        answered: String,
        /// Who was to be rung.
        rung: String,
        /// What people wrote about it.
        notes: String,
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
    /// Who answered these alarms, who was to be rung for them, and what people wrote about them: of each alarm as much by itself, of its
    /// latest hunts. An alarm with very many people leaves as much room to the others, and one that came again for years is read as fast.
    /// Of a shout there may be tens of thousands, who are listed elsewhere.
    BESIDE = [
        "SELECT a.id AS alarm_id,
           (SELECT" people_listed "FROM
             (SELECT n.person_id, n.name, n.number
              FROM (SELECT l.hunt_id FROM alarm_hunts l WHERE l.alarm_id = a.id ORDER BY l.hunt_id DESC LIMIT 20) AS latest
                JOIN answers n ON n.hunt_id = latest.hunt_id
              WHERE a.kind IN ('alarm', 'test') ORDER BY latest.hunt_id DESC, n.at DESC LIMIT 100) AS found) AS answered,
           (SELECT" people_listed "FROM
             (SELECT c.person_id, c.name, c.number
              FROM (SELECT l.hunt_id FROM alarm_hunts l WHERE l.alarm_id = a.id ORDER BY l.hunt_id DESC LIMIT 20) AS latest
                JOIN callees c ON c.hunt_id = latest.hunt_id
              WHERE a.kind IN ('alarm', 'test') ORDER BY latest.hunt_id DESC, c.step, c.position LIMIT 400) AS found) AS rung,
           (SELECT" notes_listed "FROM
             (SELECT e.body FROM events e WHERE e.alarm_id = a.id AND e.kind = 'noted' ORDER BY e.id + 0 DESC LIMIT 40) AS found) AS notes
         FROM alarms a WHERE a.id" in_list
    ];
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
        Ok(self.first_sought_due().await?.is_some())
    }

    /// The first that waits for it: while it is the same one, nothing gets on.
    pub async fn first_sought_due(&mut self) -> Result<Option<i64>> {
        let row: Option<(i64,)> = fetch_optional!(self, ANY_DUE)?;
        Ok(row.map(|(id,)| id))
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
        let rows: Vec<BesideRow> = fetch_all!(self, BESIDE, list)?;
        let beside: HashMap<AlarmId, BesideRow> = rows.into_iter().map(|row| (row.alarm_id, row)).collect();
        for alarm in &alarms {
            let beside = beside.get(&alarm.id).map(Beside::read).transpose()?.unwrap_or_default();
            let mut words = words_of(&told(alarm, &beside));
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

/// What else an alarm is found by.
#[derive(Debug, Default)]
struct Beside {
    /// Who answered, the latest first, and then who was to be rung.
    reached: Vec<Reached>,
    /// What people wrote about it.
    notes: Vec<Option<String>>,
}

impl Beside {
    fn read(row: &BesideRow) -> Result<Self> {
        let mut reached: Vec<Reached> = read(&row.answered)?;
        reached.extend(read::<Vec<Reached>>(&row.rung)?);
        Ok(Self { reached, notes: read(&row.notes)? })
    }
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Inconsistent(format!("what an alarm is found by cannot be read: {error}")))
}

/// What is said of an alarm, with who was reached for it. Whoever answered comes first: of very many people some are left out.
fn told<'a>(alarm: &'a AlarmRow, beside: &'a Beside) -> Told<'a> {
    let mut seen = HashSet::new();
    let people = beside.reached.iter().filter_map(|own| own.person).filter(|person| seen.insert(*person)).collect();
    // Each once: the same few are rung for every hunt of an alarm that comes again and again.
    let (mut names, mut numbers) = (Vec::new(), Vec::new());
    for own in beside.reached.iter().filter(|own| own.person.is_none()) {
        for (all, one) in [(&mut names, own.name.as_deref()), (&mut numbers, own.number.as_deref())] {
            if let Some(one) = one
                && !all.contains(&one)
            {
                all.push(one);
            }
        }
    }
    Told {
        number: alarm.number,
        summary: &alarm.summary,
        details: &alarm.details,
        source: &alarm.source,
        dedup_key: alarm.dedup_key.as_deref(),
        team: alarm.team.as_deref(),
        labels: Some(&alarm.labels.0),
        people,
        names,
        numbers,
        notes: beside.notes.iter().flatten().map(String::as_str).collect(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn people_are_read_as_either_database_lists_them() {
        let person = PersonId(uuid::Uuid::from_u128(7));
        let row = |answered: String| BesideRow {
            alarm_id: AlarmId(uuid::Uuid::nil()),
            answered,
            rung: r#"[{"person":null,"name":"Li Na","number":"+861"}]"#.to_owned(),
            notes: r#"["changed the disk",null]"#.to_owned(),
        };
        for id in [person.0.simple().to_string(), person.0.hyphenated().to_string()] {
            let beside = Beside::read(&row(format!(r#"[{{"person":"{id}","name":null,"number":"+862"}}]"#))).unwrap();
            assert_eq!(beside.reached.iter().map(|own| own.person).collect::<Vec<_>>(), [Some(person), None]);
            assert_eq!(beside.notes.iter().flatten().count(), 1);
        }
        assert!(Beside::read(&row("[".to_owned())).is_err());
    }

    #[test]
    fn what_is_asked_for_is_written_for_each_database() {
        let word = |word: &str| Term::Word(word.to_owned());
        let sought = Sought(vec![vec![word("磁盘"), word("w_1")], vec![word("di"), Term::Beginning("di".to_owned())]]);
        assert_eq!(written(&sought, Dialect::Postgres), "('磁盘' | 'w_1') & ('di' | 'di':*)");
        assert_eq!(written(&sought, Dialect::Sqlite), "(\"磁盘\" OR \"w_1\") AND (\"di\" OR \"di\" *)");
    }
}
