//! A database from a backup, or from another database. Into Postgres in one transaction; into the embedded database as another file, which
//! takes its place by its name at the end. So whoever is interrupted finds what was there before, or all of what was to be there.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::Migrate as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _, SqliteConnection};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::lines::{Engine, Head};
use super::loading::{Coming, load};
use super::tables::{failed, installation_of, is_in_use, migrations_of, number, run, tables_of, what_it_holds};
use super::{BackupError, Counted, Piece, Result, known};
use crate::store::alarm::sought::CAUGHT_UP;
use crate::store::open::note::Note;
use crate::store::open::postgres;
use crate::store::open::sqlite_folder::{self, DATABASE, FolderLock, MigrationLock, Use};
use crate::store::{Db, StoreError, migrations};

/// The new file until it takes the place of the other.
const BESIDE: &str = "autocall.sqlite.restoring";
/// What has to be said to throw something away that has no name.
const NAMELESS: &str = "everything";

/// Somebody else brings these tables up to date, or restores them: for so long they are waited for.
const OTHERS_MIGRATE: Duration = Duration::from_secs(30);

/// Where rows are to go.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The Postgres database; `None` for the embedded one.
    pub database_url: Option<String>,
    /// The folder of the embedded one, and of the note on which database its server uses.
    pub data_dir: PathBuf,
    /// Whether that note has to be of the same database.
    pub heeds_note: bool,
    /// What somebody said so that what is there may be thrown away.
    pub replace: Option<String>,
    /// Whoever is logged in stays so. A backup may be of a time before they logged out.
    pub keeps_sessions: bool,
    /// What comes, as people call it.
    pub what: String,
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What it is of.
    pub head: Head,
    /// Where it is now.
    pub place: String,
    /// Into which kind of database.
    pub engine: Engine,
    /// The tables that were written, and compared with what was read.
    pub tables: Vec<Counted>,
}

impl Restored {
    /// How many rows were written.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.sum.rows).sum()
    }
}

/// Puts everything that comes into a database, and brings its tables up to date.
///
/// # Errors
/// When what comes is not whole or unknown, or there is something already; nothing was changed then.
pub async fn restore(to: &Destination, from: mpsc::Receiver<Result<Piece>>) -> Result<Restored> {
    let note = Note::read(&to.data_dir).filter(|_| to.heeds_note);
    if let Some(why) = note.as_ref().and_then(|note| note.against(&to.data_dir, to.database_url.is_some())) {
        return Err(StoreError::OtherDatabase(why).into());
    }
    let mut from = Coming(from);
    let head = from.head().await?;
    known(&to.what, &head.migrations)?;
    match &to.database_url {
        Some(url) => {
            if let Some(note @ Note::Postgres { installation, .. }) = &note
                && head.installation != Some(installation.0)
            {
                return Err(StoreError::OtherDatabase(note.is_another(&to.data_dir, &to.what)).into());
            }
            into_postgres(to, url, head, &mut from).await
        }
        None => into_folder(to, head, &mut from).await,
    }
}

/// Whether what is there may go: there is nothing, or somebody has said the word.
async fn may_go(db: &mut Db<'_>, to: &Destination, place: &str) -> Result<()> {
    let tables = tables_of(db).await?;
    if !is_in_use(db, &tables).await? {
        return Ok(());
    }
    let word = installation_of(db, &tables).await?.map_or_else(|| NAMELESS.to_owned(), word_of);
    if to.replace.as_deref() == Some(&word) {
        return Ok(());
    }
    Err(BackupError::InUse { place: place.to_owned(), holds: what_it_holds(db, &tables).await?, word })
}

/// The first digits of an installation's name.
#[must_use]
pub fn word_of(installation: Uuid) -> String {
    installation.simple().to_string()[..8].to_owned()
}

/// What does not hold in another database, or at another time.
async fn settle(db: &mut Db<'_>, to: &Destination) -> Result<()> {
    // The words by which alarms are found were left behind: the walk over all alarms begins anew.
    run(db, format!("DELETE FROM places WHERE name = '{CAUGHT_UP}'")).await?;
    // Whoever made a backup right then does not go on with it here.
    run(db, "UPDATE backups SET taken_until = NULL".to_owned()).await?;
    if !to.keeps_sessions {
        run(db, "DELETE FROM sessions".to_owned()).await?;
    }
    Ok(())
}

async fn into_postgres(to: &Destination, url: &str, head: Head, from: &mut Coming) -> Result<Restored> {
    let (mut connection, place) = postgres::connect_as_it_is(url, &to.data_dir).await?;
    // The lock under which tables are brought up to date: a node that starts meanwhile waits. It goes with the connection.
    match tokio::time::timeout(OTHERS_MIGRATE, connection.lock()).await {
        Ok(locked) => locked.map_err(StoreError::Migrate)?,
        Err(_) => return Err(BackupError::Served(place)),
    }
    if postgres::is_served(&mut connection).await? {
        return Err(BackupError::Served(place));
    }
    let mut tx = connection.begin().await.map_err(failed)?;
    let mut db = Db::Postgres(&mut tx, None, None);
    let limits =
        "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = '30s';
                  SET LOCAL client_min_messages = warning";
    run(&mut db, limits.to_owned()).await?;
    may_go(&mut db, to, &place).await?;
    let theirs = migrations_of(&mut db).await?;
    let schema: String =
        sqlx::query_scalar("SELECT quote_ident(current_schema()::text)").fetch_one(&mut *tx).await.map_err(failed)?;
    let mut db = Db::Postgres(&mut tx, None, None);
    if theirs.last() > migrations::numbers().last() {
        return Err(BackupError::LaterTables { place, schema });
    }
    let there = tables_of(&mut db).await?.into_iter().map(|table| table.name);
    let there: Vec<String> = there.chain(["sought", "_sqlx_migrations"].map(str::to_owned)).collect();
    // By their schema, for there may be tables of the same names in another. All in one statement, for they refer to each other; and not
    // what others have made of them.
    let named: Vec<String> = there.iter().map(|table| format!("{schema}.\"{table}\"")).collect();
    run(&mut db, format!("DROP TABLE IF EXISTS {}", named.join(", "))).await?;
    migrations::POSTGRES.run_to(head.tables_of(), &mut *tx).await.map_err(StoreError::Migrate)?;
    // What migrations themselves put into tables comes with the rows.
    empty(&mut Db::Postgres(&mut tx, None, None)).await?;
    let tables = load(&mut Db::Postgres(&mut tx, None, None), from, &to.what, &place).await?;
    migrations::POSTGRES.run(&mut *tx).await.map_err(StoreError::Migrate)?;
    let mut db = Db::Postgres(&mut tx, None, None);
    settle(&mut db, to).await?;
    let written: Vec<String> = tables.iter().map(|counted| format!("{schema}.\"{}\"", counted.table)).collect();
    run(&mut db, format!("ANALYZE {}", written.join(", "))).await?;
    if postgres::is_served(&mut tx).await? {
        return Err(BackupError::Served(place));
    }
    tx.commit().await.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    Ok(Restored { head, place, engine: Engine::Postgres, tables })
}

async fn empty(db: &mut Db<'_>) -> Result<()> {
    let tables: Vec<String> = tables_of(db).await?.into_iter().map(|table| format!("\"{}\"", table.name)).collect();
    let emptied = match db {
        Db::Postgres(..) => format!("TRUNCATE {} CASCADE", tables.join(", ")),
        Db::Sqlite(..) => tables.iter().map(|table| format!("DELETE FROM {table};")).collect(),
    };
    run(db, emptied).await
}

async fn into_folder(to: &Destination, head: Head, from: &mut Coming) -> Result<Restored> {
    let folder = &to.data_dir;
    let place = folder.display().to_string();
    let _alone = match FolderLock::take(folder, Use::Serve) {
        Err(StoreError::FolderInUse(_)) => return Err(BackupError::Served(place)),
        taken => taken?,
    };
    let locking = folder.clone();
    // Commands that begin wait until it is over.
    let taken = tokio::task::spawn_blocking(move || MigrationLock::take(&locking)).await.map_err(|_| BackupError::Stopped)?;
    let _migrating = taken?;
    let old = SqliteConnectOptions::new().filename(folder.join(DATABASE)).disable_statement_logging();
    let is_there = folder.join(DATABASE).exists();
    if is_there {
        let mut connection = old.clone().connect().await.map_err(|error| sqlite_folder::unusable(folder, error))?;
        may_go(&mut Db::Sqlite(&mut connection, None), to, &place).await?;
        connection.close().await.map_err(failed)?;
    }
    remove(folder, BESIDE);
    let new = folder.join(BESIDE);
    let loaded = async {
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new).map_err(|source| unwritable(folder, source))?;
        let tables = fill(&new, to, &head, from, &place).await?;
        File::open(&new).and_then(|file| file.sync_all()).map_err(|source| unwritable(folder, source))?;
        Ok(tables)
    };
    let loaded = loaded.await;
    let placed = match loaded {
        Ok(tables) => put_in_place(folder, is_there.then_some(old), &place).await.map(|()| tables),
        Err(error) => Err(error),
    };
    if placed.is_err() {
        remove(folder, BESIDE);
    }
    Ok(Restored { tables: placed?, head, place, engine: Engine::Sqlite })
}

fn unwritable(folder: &Path, source: std::io::Error) -> BackupError {
    StoreError::Folder { folder: folder.display().to_string(), source }.into()
}

/// A file of the embedded database with those beside it.
fn remove(folder: &Path, name: &str) {
    for beside in ["", "-wal", "-shm", "-journal"] {
        let _ = std::fs::remove_file(folder.join(format!("{name}{beside}")));
    }
}

async fn fill(new: &Path, to: &Destination, head: &Head, from: &mut Coming, place: &str) -> Result<Vec<Counted>> {
    let options = SqliteConnectOptions::new()
        .filename(new)
        // Nobody needs what is half written here.
        .journal_mode(SqliteJournalMode::Memory)
        .synchronous(SqliteSynchronous::Off)
        .disable_statement_logging();
    let mut begun = options.clone().foreign_keys(true).connect().await.map_err(failed)?;
    sqlx::raw_sql("PRAGMA application_id = 1633902956").execute(&mut begun).await.map_err(failed)?;
    migrations::SQLITE.run_to(head.tables_of(), &mut begun).await.map_err(StoreError::Migrate)?;
    begun.close().await.map_err(failed)?;
    // Rows come in the order of the tables' names; that they refer to what is there is looked at in the end.
    let mut loading = options.clone().foreign_keys(false).connect().await.map_err(failed)?;
    let mut tx = loading.begin().await.map_err(failed)?;
    let mut db = Db::Sqlite(&mut tx, None);
    empty(&mut db).await?;
    let tables = load(&mut db, from, &to.what, place).await?;
    let astray = number(&mut db, "SELECT count(*) FROM pragma_foreign_key_check".to_owned()).await?;
    if astray > 0 {
        let why = format!("{astray} of its rows refer to others that are not there");
        return Err(BackupError::Damaged { path: to.what.clone(), what: why });
    }
    tx.commit().await.map_err(failed)?;
    loading.close().await.map_err(failed)?;
    let mut done = options.foreign_keys(true).connect().await.map_err(failed)?;
    migrations::SQLITE.run(&mut done).await.map_err(StoreError::Migrate)?;
    let mut db = Db::Sqlite(&mut done, None);
    settle(&mut db, to).await?;
    run(&mut db, "PRAGMA analysis_limit = 400; ANALYZE".to_owned()).await?;
    done.close().await.map_err(failed)?;
    Ok(tables)
}

/// The new file takes the old one's place, with nothing of the old one left beside it: its log would be read into the new one.
async fn put_in_place(folder: &Path, old: Option<SqliteConnectOptions>, place: &str) -> Result<()> {
    if let Some(old) = old {
        let busy = |_| BackupError::Served(place.to_owned());
        let mut connection: SqliteConnection = old.connect().await.map_err(|error| sqlite_folder::unusable(folder, error))?;
        // Writes its log back and removes it, which only the last one can who uses it.
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode = DELETE").fetch_one(&mut connection).await.map_err(busy)?;
        connection.close().await.map_err(failed)?;
        if mode != "delete" {
            return Err(BackupError::Served(place.to_owned()));
        }
    }
    for left in ["-wal", "-shm", "-journal"] {
        match std::fs::remove_file(folder.join(format!("{DATABASE}{left}"))) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unwritable(folder, error)),
            _ => {}
        }
    }
    std::fs::rename(folder.join(BESIDE), folder.join(DATABASE)).map_err(|source| unwritable(folder, source))?;
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}
