//! Numeric ids, which are never given twice. Each database counts by itself, whatever rows are deleted. That does not help where a backup is
//! restored, or where tables were copied from the other engine: other programs may hold ids that were given since. So how far each count has
//! got is noted, and whoever starts goes on behind all that may have been given since.

use chrono::{DateTime, Utc};

use super::dialect::{fragment, statements};
use super::statement::{execute, fetch_optional};
use super::{Db, Result, Store};

/// The tables with such ids.
const TABLES: [&str; 5] = ["call_records", "contacts", "shouts", "shout_calls", "shout_log"];
/// No more ids of a table are given in a second, over a long time.
const A_SECOND: i64 = 100;

statements! {
    /// What was noted, until the transaction ends nobody else's to change.
    NOTED = ["SELECT reached, noted_at FROM identities WHERE name = $1" for_update];
    /// A first note.
    FIRST = ["INSERT INTO identities (name, reached, noted_at) VALUES ($1, 0, $2) ON CONFLICT (name) DO NOTHING"];
    /// Notes how far it has got.
    NOTE = ["UPDATE identities SET reached = $2, noted_at = $3 WHERE name = $1"];
    /// The database's own count.
    COUNTED = [ids_counted];
    /// It goes on from there.
    GO_ON = [ids_go_on];
    /// The highest id that is there, copied or not.
    HIGHEST_RECORD = ["SELECT max(id) AS reached FROM call_records"];
    /// The highest of the other table.
    HIGHEST_CONTACT = ["SELECT max(id) AS reached FROM contacts"];
    /// Of shouts.
    HIGHEST_SHOUT = ["SELECT max(id) AS reached FROM shouts"];
    /// Of their calls.
    HIGHEST_SHOUT_CALL = ["SELECT max(id) AS reached FROM shout_calls"];
    /// Of their records.
    HIGHEST_SHOUT_RECORD = ["SELECT max(id) AS reached FROM shout_log"];
}

/// To where a count goes on: behind all that is known to have been given, and all that may have been given since that was noted.
fn goes_on(known: i64, noted_at: DateTime<Utc>, now: DateTime<Utc>) -> i64 {
    known.saturating_add((now - noted_at).num_seconds().max(0).saturating_mul(A_SECOND))
}

impl Store {
    /// Goes on with numeric ids behind all that may have been given since these tables were last written, by whatever server. For the start.
    pub async fn resume_ids(&self, now: DateTime<Utc>) -> Result<()> {
        for table in TABLES {
            let mut tx = self.begin().await?;
            let mut db = tx.db();
            execute!(db, FIRST, table, now)?;
            let noted: Option<(i64, DateTime<Utc>)> = fetch_optional!(db, NOTED, table)?;
            let (reached, noted_at) = noted.unwrap_or((0, now));
            let counted = db.ids_counted(table).await?;
            let next = goes_on(reached.max(counted).max(db.highest_id(table).await?), noted_at, now);
            if next > counted {
                let _: Option<(i64,)> = fetch_optional!(db, GO_ON, table, next)?;
            }
            execute!(db, NOTE, table, next, now)?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Notes how far numeric ids have got.
    pub async fn note_ids(&self, now: DateTime<Utc>) -> Result<()> {
        for table in TABLES {
            let mut tx = self.begin().await?;
            let mut db = tx.db();
            let noted: Option<(i64, DateTime<Utc>)> = fetch_optional!(db, NOTED, table)?;
            let reached = db.ids_counted(table).await?.max(noted.map_or(0, |(reached, _)| reached));
            execute!(db, NOTE, table, reached, now)?;
            tx.commit().await?;
        }
        Ok(())
    }
}

impl Db<'_> {
    /// How far the ids of a table have got, by the database's count.
    async fn ids_counted(&mut self, table: &str) -> Result<i64> {
        let counted: Option<(i64,)> = fetch_optional!(self, COUNTED, table)?;
        Ok(counted.map_or(0, |(counted,)| counted))
    }

    /// The highest id in a table. Rows that were copied are not counted.
    async fn highest_id(&mut self, table: &str) -> Result<i64> {
        let highest: Option<(Option<i64>,)> = match table {
            "contacts" => fetch_optional!(self, HIGHEST_CONTACT)?,
            "shouts" => fetch_optional!(self, HIGHEST_SHOUT)?,
            "shout_calls" => fetch_optional!(self, HIGHEST_SHOUT_CALL)?,
            "shout_log" => fetch_optional!(self, HIGHEST_SHOUT_RECORD)?,
            _ => fetch_optional!(self, HIGHEST_RECORD)?,
        };
        Ok(highest.and_then(|(highest,)| highest).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn a_count_never_goes_back() {
        let at = |seconds: i64| DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap();
        assert_eq!(goes_on(7, at(0), at(0)), 7);
        assert_eq!(goes_on(7, at(0), at(60)), 6_007);
        assert_eq!(goes_on(7, at(60), at(0)), 7, "a clock that was set back");
        assert_eq!(goes_on(i64::MAX - 1, at(0), at(60)), i64::MAX);
    }
}
