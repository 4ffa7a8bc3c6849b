//! Looking at a database without changing it: nothing is made, and no table is brought up to date.

use std::path::Path;
use std::sync::Arc;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{ConnectOptions, Sqlite, SqlitePool};

use super::note::Note;
use super::sqlite_folder::{self, FolderLock, Use};
use crate::store::{ACQUIRE_TIMEOUT, Pools, Result, SQLITE_BUSY_TIMEOUT, SQLITE_READERS, Store, StoreError, migrations};

/// A database that is only looked at.
pub struct Looked {
    /// For reading: whatever would write is refused by SQLite, and must not be tried on Postgres.
    pub store: Store,
    /// The number of the latest migration that was carried out; `None` before the first.
    pub at: Option<i64>,
    /// The number of the latest one that this program knows.
    pub known: i64,
    /// They are of a later program, and still work for this one.
    pub works: bool,
}

impl Store {
    /// Opens a database to look at it; `None` when there is none in the folder.
    ///
    /// # Errors
    /// When it cannot be reached or used, or the folder's server uses another one.
    pub async fn look(database_url: Option<&str>, data_dir: &Path) -> Result<Option<Looked>> {
        let note = Note::read(data_dir);
        if let Some(why) = note.and_then(|note| note.against(data_dir, database_url.is_some())) {
            return Err(StoreError::OtherDatabase(why));
        }
        let (store, migrator) = match database_url {
            Some(url) => (Self::open_postgres(url, data_dir, Use::Look, |_, _| Ok(())).await?, &*migrations::POSTGRES),
            None if sqlite_folder::is_there(data_dir)? => (look_at_file(data_dir).await?, &*migrations::SQLITE),
            None => return Ok(None),
        };
        let known = migrator.iter().map(|migration| migration.version).max().unwrap_or_default();
        let at = store.latest_migration().await?;
        let works = at.is_some_and(|at| at > known) && {
            let from = store.read().await?.db().works_from().await;
            // Tables of before say nothing of it.
            from.ok().flatten().is_some_and(|from| from <= known)
        };
        Ok(Some(Looked { store, at, known, works }))
    }

    async fn latest_migration(&self) -> Result<Option<i64>> {
        const THERE: &str = "SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'";
        const LATEST: &str = "SELECT max(version) FROM _sqlx_migrations";
        let latest = match &self.pools {
            Pools::Postgres { primary, .. } => {
                let pool = &primary.pool();
                let there = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL");
                let there: bool = there.fetch_one(pool).await.map_err(StoreError::Connection)?;
                if there { sqlx::query_scalar(LATEST).fetch_one(pool).await } else { Ok(None) }
            }
            Pools::Sqlite { read, .. } => {
                let there: i64 = sqlx::query_scalar(THERE).fetch_one(read).await.map_err(StoreError::Connection)?;
                if there > 0 { sqlx::query_scalar::<Sqlite, Option<i64>>(LATEST).fetch_one(read).await } else { Ok(None) }
            }
        };
        latest.map_err(StoreError::Connection)
    }
}

async fn look_at_file(data_dir: &Path) -> Result<Store> {
    let options = SqliteConnectOptions::new()
        .filename(data_dir.join(sqlite_folder::DATABASE))
        .read_only(true)
        .busy_timeout(SQLITE_BUSY_TIMEOUT)
        .disable_statement_logging();
    let pool = SqlitePoolOptions::new().max_connections(SQLITE_READERS).acquire_timeout(ACQUIRE_TIMEOUT);
    let read: SqlitePool = pool.connect_with(options).await.map_err(|error| sqlite_folder::unusable(data_dir, error))?;
    let lock = Arc::new(FolderLock::take(data_dir, Use::Look)?);
    Ok(Store::with(Pools::Sqlite { write: read.clone(), read, _lock: lock }))
}
