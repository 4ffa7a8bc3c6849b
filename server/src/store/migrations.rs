//! The migrations, which `build.rs` lists.
//!
//! Number, name, text and checksum are what sqlx's own macro makes of the same files, so that a database that was brought up to date with it
//! goes on with these. The macro would have the drivers, and SQLite with them, compiled a second time.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

mod listed {
    include!(concat!(env!("OUT_DIR"), "/migrations.rs"));
}

/// Those of `PostgreSQL`.
pub(super) static POSTGRES: LazyLock<Migrator> = LazyLock::new(|| migrator(listed::POSTGRES));

/// Those of `SQLite`.
pub(super) static SQLITE: LazyLock<Migrator> = LazyLock::new(|| migrator(listed::SQLITE));

/// Their numbers, in their order.
pub(super) fn numbers() -> Vec<i64> {
    listed::POSTGRES.iter().map(|(number, ..)| *number).collect()
}

/// The names of all tables that they have ever made: whatever else is in a database is not ours.
pub(super) fn tables() -> BTreeSet<&'static str> {
    let text = listed::POSTGRES.iter().flat_map(|(.., text)| text.lines());
    text.filter_map(|line| {
        let line = line.trim_start();
        let made = line.strip_prefix("CREATE TABLE ").or_else(|| line.split_once(" RENAME TO ").map(|(_, name)| name))?;
        made.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().filter(|name| !name.is_empty())
    })
    .collect()
}

/// The number of the last one.
pub(super) fn last() -> Option<i64> {
    listed::POSTGRES.last().map(|(number, ..)| *number)
}

/// Whether tables were brought up to date by a later version of this program.
pub(super) fn is_later(applied: Option<i64>) -> bool {
    applied > last()
}

/// What is said where tables were brought up to date by a later version of this program, and whether it may go on: the later version has
/// written down from which migration on programs still work with its tables. `None`: they are not of a later one.
pub(super) fn of_a_later_version(applied: Option<i64>, works_from: Option<i64>) -> Option<std::result::Result<String, String>> {
    let (applied, known) = (applied.filter(|_| is_later(applied))?, last().unwrap_or_default());
    Some(match works_from {
        Some(from) if from <= known => Ok(format!(
            "the tables are of a later version of autocall, at {applied:04}; this program knows them up to {known:04}, for which they still \
             work. Bring this node up to date as well"
        )),
        _ => Err(format!(
            "a later version of autocall has used it: its tables are at {applied:04}, and this program knows them up to {known:04}. Start \
             the later version again, or restore the backup that was made before the upgrade (docs/upgrading.md)"
        )),
    })
}

/// What is said to a program that runs when the tables do not work for it any more.
pub(super) fn outgrown(works_from: i64) -> Option<String> {
    let known = last().unwrap_or_default();
    (works_from > known).then(|| {
        format!(
            "a later version of autocall has changed its tables: they work for programs that know them from {works_from:04} on, and this one \
             knows them up to {known:04}. Start the later version here as well (docs/upgrading.md)"
        )
    })
}

fn migrator(listed: &'static [(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = listed.iter().map(|&(number, name, text)| {
        // In a transaction each.
        Migration::new(number, Cow::Borrowed(name), MigrationType::Simple, text.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn both_databases_have_migrations_of_the_same_numbers() {
        assert_eq!(numbers(), listed::SQLITE.iter().map(|(number, ..)| *number).collect::<Vec<_>>());
        assert!(numbers().is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn the_tables_of_both_have_the_same_names() {
        let tables = tables();
        assert!(
            ["alarms", "people", "media_pieces", "recordings", "sought_due", "backups"].iter().all(|name| tables.contains(name))
        );
        let embedded = listed::SQLITE.iter().flat_map(|(.., text)| text.lines());
        let made = embedded.filter_map(|line| line.trim_start().strip_prefix("CREATE TABLE "));
        let missing: Vec<&str> = made.filter(|rest| !rest.split(' ').next().is_some_and(|name| tables.contains(name))).collect();
        // What is made under another name while a table is put together anew, and gets its name then.
        assert!(missing.iter().all(|rest| rest.starts_with("recordings_of_hunts")), "{missing:?}");
    }

    #[test]
    fn no_table_is_made_under_a_name_that_is_taken() {
        for listed in [listed::POSTGRES, listed::SQLITE] {
            let mut there = BTreeSet::new();
            for (number, name, text) in listed {
                for line in text.lines().map(|line| line.trim_start().trim_end_matches(';')) {
                    if let Some(made) = line.strip_prefix("CREATE TABLE ").and_then(|rest| rest.split([' ', '(']).next()) {
                        assert!(there.insert(made), "{number:04} {name} makes {made}, which is there");
                    } else if let Some(gone) = line.strip_prefix("DROP TABLE ") {
                        assert!(there.remove(gone), "{number:04} {name} drops {gone}, which is not there");
                    } else if let Some((before, after)) =
                        line.strip_prefix("ALTER TABLE ").and_then(|rest| rest.split_once(" RENAME TO "))
                    {
                        assert!(there.remove(before) && there.insert(after), "{number:04} {name}: {line}");
                    }
                }
            }
        }
    }

    #[test]
    fn only_what_is_later_is_of_a_later_version() {
        let known = numbers().last().copied();
        assert_eq!((of_a_later_version(None, None), of_a_later_version(known, known)), (None, None));
        let later = of_a_later_version(known.map(|known| known + 1), None).unwrap();
        assert!(later.is_err_and(|said| said.contains("docs/upgrading.md")));
    }

    #[test]
    fn tables_of_a_later_version_are_used_as_far_as_it_says() {
        let known = numbers().last().copied().unwrap();
        let later = |works_from| of_a_later_version(Some(known + 3), works_from).unwrap();
        assert!(later(Some(75)).is_ok() && later(Some(known)).is_ok());
        assert!(later(Some(known + 1)).is_err() && later(None).is_err());
        assert_eq!((outgrown(75), outgrown(known)), (None, None));
        assert!(outgrown(known + 1).unwrap().contains("docs/upgrading.md"));
    }

    /// What takes something away from a table, or lets it take less: whoever does not know that fails at it.
    const CONTRACTS: [&str; 7] =
        ["DROP TABLE", "DROP COLUMN", " RENAME ", "SET NOT NULL", "DROP DEFAULT", " TYPE ", "ADD CONSTRAINT"];

    #[test]
    fn whatever_takes_something_away_says_from_which_version_on_the_tables_work() {
        for (number, name, text) in listed::POSTGRES.iter().chain(listed::SQLITE).filter(|(number, ..)| *number > 75) {
            let lines = text.lines().filter(|line| !line.trim_start().starts_with("--"));
            let code = lines.collect::<Vec<_>>().join("\n").to_uppercase();
            let says = code.contains("UPDATE COMPATIBILITY SET WORKS_FROM");
            let contracts = CONTRACTS.iter().find(|word| code.contains(**word));
            // Such as a table that SQLite has to put together anew, with all that it had.
            let expands = text.lines().any(|line| line.starts_with("-- Expands:"));
            assert!(contracts.is_none() || says || expands, "{number:04} {name} contracts ({contracts:?}): docs/upgrading.md");
        }
    }
}
