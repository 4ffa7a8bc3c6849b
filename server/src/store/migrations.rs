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

/// What is said instead of going on where tables were brought up to date by a later version of this program.
pub(super) fn of_a_later_version(applied: Option<i64>) -> Option<String> {
    let (applied, known) = (applied?, numbers().last().copied().unwrap_or_default());
    (applied > known).then(|| {
        format!(
            "a later version of autocall has used it: its tables are at {applied:04}, and this program knows them up to {known:04}. Start \
             the later version again, or restore the backup that was made before the upgrade (docs/upgrading.md)"
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
    fn only_what_is_later_is_of_a_later_version() {
        let known = numbers().last().copied();
        assert_eq!((of_a_later_version(None), of_a_later_version(known)), (None, None));
        assert!(of_a_later_version(known.map(|known| known + 1)).is_some_and(|said| said.contains("docs/upgrading.md")));
    }
}
