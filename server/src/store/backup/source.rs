//! A database to be read as it is at one instant. Nothing in it is changed, also where its tables are those of an earlier version.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, PgConnection, SqliteConnection};
use tokio::sync::mpsc;

use super::lines::{FORM, Head};
use super::tables::{Sink, engine, failed, ids_reached, installation_of, migrations_of, read_rows, run, tables_of};
use super::{BackupError, Piece, Result, known};
use crate::store::open::note::Note;
use crate::store::open::primary::Reach;
use crate::store::open::sqlite_folder::{self, DATABASE, FolderLock, Use};
use crate::store::open::{postgres, sqlite_folder::unusable};
use crate::store::{Db, Pools, Store, StoreError};

/// A connection of its own to a database.
pub struct Source {
    connection: Connection,
    /// What people call it.
    place: String,
    lock: Option<Arc<FolderLock>>,
    /// Until when its host is used, where a server reads it.
    reach: Option<Reach>,
}

/// While this is held no server starts on the folder.
pub struct Held(#[expect(dead_code, reason = "what is held is let go of when this is dropped")] Option<Arc<FolderLock>>);

enum Connection {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Source {
    /// The database that these settings name. A server may run on it, unless it is to be `left`.
    ///
    /// # Errors
    /// When there is none, it cannot be reached, or a server runs on one that is to be left; and where the folder's server uses another.
    pub async fn open(database_url: Option<&str>, data_dir: &Path, left: bool) -> Result<Self> {
        if let Some(why) = Note::read(data_dir).and_then(|note| note.against(data_dir, database_url.is_some())) {
            return Err(StoreError::OtherDatabase(why).into());
        }
        match database_url {
            Some(url) => {
                let (mut connection, place) = postgres::connect_as_it_is(url, data_dir).await?;
                if left && postgres::is_served(&mut connection).await? {
                    return Err(BackupError::Served(place));
                }
                Ok(Self { connection: Connection::Postgres(connection), place, lock: None, reach: None })
            }
            None => {
                let place = data_dir.display().to_string();
                if !sqlite_folder::is_there(data_dir)? {
                    return Err(BackupError::Nothing(place));
                }
                let lock = match FolderLock::take(data_dir, if left { Use::Serve } else { Use::Beside }) {
                    Err(StoreError::FolderInUse(_)) => return Err(BackupError::Served(place)),
                    taken => taken?,
                };
                let options = SqliteConnectOptions::new().filename(data_dir.join(DATABASE)).disable_statement_logging();
                let connection = options.connect().await.map_err(|error| unusable(data_dir, error))?;
                Ok(Self { connection: Connection::Sqlite(connection), place, lock: Some(Arc::new(lock)), reach: None })
            }
        }
    }

    /// What people call it.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Keeps servers off the folder until it is dropped, also when this was read to its end.
    #[must_use]
    pub fn held(&self) -> Held {
        Held(self.lock.clone())
    }

    fn db(&mut self) -> Db<'_> {
        match &mut self.connection {
            Connection::Postgres(connection) => Db::Postgres(connection, None, None),
            Connection::Sqlite(connection) => Db::Sqlite(connection, None),
        }
    }

    /// Reads everything as it is now, and hands it on.
    ///
    /// # Errors
    /// When the database fails, is of a later version, or nobody takes what is handed on.
    pub async fn pour(mut self, now: DateTime<Utc>, to: &mpsc::Sender<Result<Piece>>) -> Result<()> {
        match self.reach.take() {
            // A host that is frozen would be waited for until the end of time.
            Some(reach) => reach.until_left(self.pour_all(now, to)).await.unwrap_or_else(|| Err(StoreError::Silent.into())),
            None => self.pour_all(now, to).await,
        }
    }

    async fn pour_all(mut self, now: DateTime<Utc>, to: &mpsc::Sender<Result<Piece>>) -> Result<()> {
        let place = self.place.clone();
        let mut db = self.db();
        let begin = match &db {
            Db::Postgres(..) => {
                // However long it takes; the time limits of this session are those of short requests.
                "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '30s';
                 BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
            }
            Db::Sqlite(..) => "PRAGMA query_only = on; BEGIN",
        };
        run(&mut db, begin.to_owned()).await?;
        let migrations = migrations_of(&mut db).await?;
        if migrations.is_empty() {
            return Err(BackupError::Nothing(place));
        }
        known(&place, &migrations)?;
        let tables = tables_of(&mut db).await?;
        let head = Head {
            form: FORM,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            engine: engine(&db),
            migrations,
            made_at: now,
            installation: installation_of(&mut db, &tables).await?,
        };
        hand_on(to, Piece::Head(head)).await?;
        for table in tables {
            hand_on(to, Piece::Table(table.clone())).await?;
            read_rows(&mut db, &table, &mut Sink::Channel(to)).await?;
            let reached = ids_reached(&mut db, &table.name).await?;
            hand_on(to, Piece::TableEnd(reached)).await?;
        }
        run(&mut db, "ROLLBACK".to_owned()).await?;
        hand_on(to, Piece::End).await
    }
}

async fn hand_on(to: &mpsc::Sender<Result<Piece>>, piece: Piece) -> Result<()> {
    to.send(Ok(piece)).await.map_err(|_| BackupError::Stopped)
}

/// Everything in a database, piece by piece. Where it fails, that is the last piece.
#[must_use]
pub fn pour(source: Source, now: DateTime<Utc>) -> mpsc::Receiver<Result<Piece>> {
    let (sender, receiver) = mpsc::channel(super::AHEAD);
    tokio::spawn(async move {
        if let Err(error) = source.pour(now, &sender).await {
            // Whoever reads may have given up.
            let _ = sender.send(Err(error)).await;
        }
    });
    receiver
}

impl Store {
    /// This database, by a connection beside those of the server: a backup takes minutes, and nobody waits for it.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn as_source(&self) -> Result<Source> {
        match &self.pools {
            Pools::Postgres { primary, .. } => {
                let (connection, reach) = primary.acquire().await?;
                let place = primary.place();
                let connection = Connection::Postgres(connection.detach());
                Ok(Source { connection, place, lock: None, reach: Some(reach) })
            }
            Pools::Sqlite { read, .. } => {
                let options = read.connect_options().as_ref().clone();
                let connection = options.connect().await.map_err(failed)?;
                Ok(Source {
                    connection: Connection::Sqlite(connection),
                    place: "the embedded database".to_owned(),
                    lock: None,
                    reach: None,
                })
            }
        }
    }
}
