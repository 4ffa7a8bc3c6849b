//! The migrations, which `build.rs` lists.
//!
//! Number, name, text and checksum are what sqlx's own macro makes of the same files, so that a database that was brought up to date with it
//! goes on with these. The macro would have the drivers, and SQLite with them, compiled a second time.

use std::borrow::Cow;
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

fn migrator(listed: &'static [(i64, &'static str, &'static str)]) -> Migrator {
    let migrations = listed.iter().map(|&(number, name, text)| {
        // In a transaction each.
        Migration::new(number, Cow::Borrowed(name), MigrationType::Simple, text.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}
