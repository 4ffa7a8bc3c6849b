//! All SQL: one store over PostgreSQL or an embedded SQLite file, every statement and every operation once.
//!
//! Operations are methods of [`Db`], a borrowed connection that may or may not be in a transaction. Whoever holds a [`Tx`] uses
//! `tx.db()` and never asks the [`Store`] for another connection: SQLite has one writer, which would wait for itself.
//! Time is always a parameter and never comes from SQL. Every operation fails when the database does; one that can fail otherwise says so.

#![expect(clippy::missing_errors_doc, reason = "an operation fails when the database does; where it fails otherwise, it says so")]

pub mod access;
pub mod alarm;
pub mod audit;
pub mod backup;
mod columns;
pub mod dialect;
pub mod duty;
pub mod edits;
pub mod elsewhere;
mod generation;
pub mod identities;
pub mod lines;
pub mod media;
mod migrations;
pub mod open;
pub mod places;
pub mod reports;
pub mod retention;
pub mod rpc;
pub mod secrets;
pub mod shouts;
pub mod statement;
mod together;
mod transaction;
mod trouble;
pub mod watch;
mod work;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgListener;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, PgConnection, Postgres, Sqlite, SqliteConnection, SqlitePool};
use tokio::sync::broadcast;

pub use generation::{Generation, Remembered};
pub use together::Haste;
pub use transaction::Tx;
pub use work::{Counts, Tally, Work};

use crate::ids::InstallationId;
use dialect::{Dialect, Sql, fragment, statements};
use open::note::Note;
use open::primary::{Host, Primary, Reach};
use reports::Touched;
use statement::{execute, fetch_optional};
use trouble::Trouble;

/// What went wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A statement failed.
    #[error("the database refused {statement}: {source}")]
    Statement {
        /// Which statement.
        statement: &'static str,
        /// The driver's error.
        source: sqlx::Error,
    },
    /// No connection could be had, or it broke.
    #[error("the database cannot be reached: {0}")]
    Connection(#[source] sqlx::Error),
    /// Nobody answers at the address of the database.
    #[error("the database at {place} cannot be reached: {source}")]
    Unreachable {
        /// Host, port and name.
        place: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The address of the database is wrong.
    #[error("DATABASE_URL {0}")]
    Address(String),
    /// The database is there and cannot be used as it is.
    #[error("the database cannot be used: {0}")]
    Unfit(String),
    /// None of the hosts of the database is a primary now.
    #[error("the database cannot be used now: {0}")]
    NoPrimary(String),
    /// What answers was the primary before another one was promoted.
    #[error("the database is not used: {0}")]
    OldPrimary(String),
    /// A later version has made the tables into something that this program does not know.
    #[error("the database is not used any more: {0}")]
    Outgrown(String),
    /// The tables could not be brought up to date.
    #[error("the database tables could not be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The data folder cannot be used.
    #[error("the data folder {folder} cannot be used: {source}")]
    Folder {
        /// Which folder.
        folder: String,
        /// Why.
        source: std::io::Error,
    },
    /// The server of this folder uses another database.
    #[error("{0}")]
    OtherDatabase(String),
    /// Another server runs on this folder.
    #[error("another server already uses the data folder {0}: stop it, or give this one its own with --data-dir")]
    FolderInUse(String),
    /// It does not answer.
    #[error("the database does not answer")]
    Silent,
    /// What is stored contradicts itself.
    #[error("stored state is inconsistent: {0}")]
    Inconsistent(String),
    /// The transaction failed that it shared with others. For whose sake is not known, so it may be tried again.
    #[error("{0}")]
    Together(Arc<Self>),
}

impl StoreError {
    fn statement(sql: &Sql, source: sqlx::Error) -> Self {
        match source {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_) => {
                Self::Connection(source)
            }
            source => Self::Statement { statement: sql.name, source },
        }
    }

    /// The statement fails however often it is tried, because of what it holds: a value that is too large, or that breaks a rule.
    #[must_use]
    pub fn is_for_good(&self) -> bool {
        // SQLSTATE classes 22, 23 and 54; SQLite's TOOBIG, CONSTRAINT, MISMATCH and RANGE, below the bits that say more.
        let for_good = |code: &str| match code.parse::<i32>() {
            Ok(sqlite) if code.len() < 5 => matches!(sqlite & 0xff, 18 | 19 | 20 | 25),
            _ => ["22", "23", "54"].iter().any(|class| code.starts_with(class)),
        };
        match self {
            Self::Statement { source, .. } => {
                source.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| for_good(&code))
            }
            Self::Inconsistent(_) => true,
            _ => false,
        }
    }

    /// What kind of failure this is, for those who look after the database.
    #[must_use]
    pub fn cause(&self) -> Cause {
        if let Self::Together(error) = self {
            return error.cause();
        }
        let (Self::Statement { source, .. } | Self::Connection(source)) = self else {
            return match self {
                Self::Inconsistent(_) => Cause::Refused,
                Self::OldPrimary(_) => Cause::OldPrimary,
                Self::Outgrown(_) => Cause::Outgrown,
                _ => Cause::Away,
            };
        };
        let Some(error) = source.as_database_error() else { return Cause::Away };
        let code = error.code().unwrap_or_default();
        // SQLite's code is a number whose lowest byte is the kind; Postgres' has five characters.
        match code.parse::<i32>().ok().filter(|_| code.len() < 5).map(|sqlite| sqlite & 0xff) {
            Some(8) => Cause::ReadOnly,
            Some(13) => Cause::Full,
            Some(_) => Cause::Refused,
            None if code == "25006" => Cause::ReadOnly,
            None if code == "53100" => Cause::Full,
            // Connections that are broken or refused, and a server that is stopping or starting.
            None if code.starts_with("08") || code.starts_with("57P") || code.starts_with("53") => Cause::Away,
            None => Cause::Refused,
        }
    }

    /// A unique index refused a row that is already there.
    #[must_use]
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Statement { source, .. } if source.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation))
    }
}

/// Kinds of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It cannot be reached, or does not answer.
    Away,
    /// It can be read and not written.
    ReadOnly,
    /// Its disk is full.
    Full,
    /// It was the primary before another one was promoted.
    OldPrimary,
    /// Its tables are of a later version, and work for this one no more.
    Outgrown,
    /// Something else.
    Refused,
}

/// What waits in an outbox for one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting<T> {
    /// A webhook or a gateway.
    pub target: T,
    /// What people call it.
    pub name: String,
    /// How much waits.
    pub count: i64,
    /// When the oldest of it came.
    pub oldest: DateTime<Utc>,
    /// How much of it is due.
    pub due: i64,
    /// Since when the first of that is due.
    pub due_since: Option<DateTime<Utc>>,
}

/// One row of it.
type WaitingRow<T> = (T, String, i64, DateTime<Utc>, i64, Option<DateTime<Utc>>);

impl<T> From<WaitingRow<T>> for Waiting<T> {
    fn from((target, name, count, oldest, due, due_since): WaitingRow<T>) -> Self {
        Self { target, name, count, oldest, due, due_since }
    }
}

/// Result of a store operation.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Something changed that other requests, pages or nodes may care for. Announcements are hints: whoever hears one reads again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// A hunt, its dials or its answers changed.
    Hunts,
    /// A shout or one of its calls changed: nothing is due for handsets that do not speak.
    Shouts,
    /// A call has got further: that is shown, and makes nothing due.
    Calls,
    /// A program is told something, or something is to be told to a call of one.
    Rpc,
    /// There is something to be done in a call that runs, or its handset asks anew for that: whoever waits for it looks.
    Live,
    /// A handset was added, changed or seen in another state.
    Handsets,
    /// People changed.
    People,
    /// Keys of senders changed.
    Keys,
    /// Who is on duty may have changed.
    Roster,
    /// Announcements may have been missed: read everything again.
    Missed,
}

impl Announcement {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Hunts => "hunts",
            Self::Shouts => "shouts",
            Self::Calls => "calls",
            Self::Rpc => "rpc",
            Self::Live => "live",
            Self::Handsets => "handsets",
            Self::People => "people",
            Self::Keys => "keys",
            Self::Roster => "roster",
            Self::Missed => "missed",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "hunts" => Self::Hunts,
            "shouts" => Self::Shouts,
            "calls" => Self::Calls,
            "rpc" => Self::Rpc,
            "live" => Self::Live,
            "handsets" => Self::Handsets,
            "people" => Self::People,
            "keys" => Self::Keys,
            "roster" => Self::Roster,
            _ => Self::Missed,
        }
    }
}

/// Counts what the store does, so that tests and metrics can see that an idle poll does nothing.
#[derive(Debug, Default)]
pub struct StoreCounters {
    connections: AtomicU64,
    written: AtomicU64,
    undone: AtomicU64,
    broken: AtomicU64,
}

impl StoreCounters {
    /// Connections taken from the pools so far: every read and every transaction takes one.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Transactions so far that changed something and were committed.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Transactions so far that were given up: because there was nothing to change, or because a statement failed.
    #[must_use]
    pub fn undone(&self) -> u64 {
        self.undone.load(Ordering::Relaxed)
    }

    /// Transactions so far whose BEGIN or COMMIT failed or was not waited for.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.broken.load(Ordering::Relaxed)
    }
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pools: Pools,
    announcements: broadcast::Sender<Announcement>,
    counters: Arc<StoreCounters>,
    trouble: Arc<Trouble>,
    queue: Arc<together::Queue>,
}

/// Whether Postgres takes no changes. A session that began meanwhile may stay read-only for ever, so every session of that time is asked
/// again before it is used.
#[derive(Default)]
struct ReadOnly(Mutex<ReadOnlyState>);

#[derive(Clone, Copy, Default)]
struct ReadOnlyState {
    /// It was seen, and nothing was stored since.
    lasts: bool,
    /// When something was stored again.
    ended: Option<Instant>,
}

/// While nothing can be stored, a session may be read from for so long before it is asked again.
const READ_ON: Duration = Duration::from_secs(1);

impl ReadOnly {
    fn seen(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lasts = true;
    }

    fn over(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.lasts) {
            state.ended = Some(Instant::now());
        }
    }

    /// Whether a session that was opened so long ago may be read-only.
    fn concerns(&self, age: Duration) -> bool {
        let state = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (state.lasts && age > READ_ON) || state.ended.is_some_and(|ended| ended.elapsed() <= age)
    }
}

#[derive(Clone)]
enum Pools {
    Postgres { primary: Arc<Primary>, channel: Arc<str> },
    Sqlite { write: SqlitePool, read: SqlitePool, _lock: Arc<open::sqlite_folder::FolderLock> },
}

/// A borrowed connection, in a transaction or not: every operation is a method of this. A transaction notes what it changes that counts for
/// figures.
pub enum Db<'c> {
    /// PostgreSQL, as far as the session reaches.
    Postgres(&'c mut PgConnection, Option<&'c mut Touched>, Option<&'c Reach>),
    /// SQLite.
    Sqlite(&'c mut SqliteConnection, Option<&'c mut Touched>),
}

/// A connection for reading.
pub enum Reader {
    /// PostgreSQL.
    Postgres(PoolConnection<Postgres>, Reach),
    /// SQLite.
    Sqlite(PoolConnection<Sqlite>),
}

impl Reader {
    /// The operations.
    pub fn db(&mut self) -> Db<'_> {
        match self {
            Self::Postgres(connection, reach) => Db::Postgres(connection, None, Some(reach)),
            Self::Sqlite(connection) => Db::Sqlite(connection, None),
        }
    }
}

statements! {
    /// Cheapest possible statement.
    PING = ["SELECT 1 AS pong"];
    /// Marks a place in a transaction to which it can go back.
    SAVEPOINT = ["SAVEPOINT attempt"];
    /// Goes back to that place.
    ROLLBACK_TO = ["ROLLBACK TO SAVEPOINT attempt"];
    /// Forgets the place.
    RELEASE = ["RELEASE SAVEPOINT attempt"];
}

impl Db<'_> {
    /// Marks a place in the transaction to which [`Db::rollback_to_savepoint`] goes back.
    pub async fn savepoint(&mut self) -> Result<()> {
        self.touched(Touched::mark);
        execute!(self, SAVEPOINT).map(|_| ())
    }

    /// Undoes what was done since [`Db::savepoint`].
    pub async fn rollback_to_savepoint(&mut self) -> Result<()> {
        execute!(self, ROLLBACK_TO)?;
        self.touched(Touched::back);
        self.release_savepoint().await
    }

    /// Keeps what was done since [`Db::savepoint`].
    pub async fn release_savepoint(&mut self) -> Result<()> {
        execute!(self, RELEASE).map(|_| ())
    }

    /// Asks the database whether it is there.
    ///
    /// # Errors
    /// When it is not.
    pub async fn ping(&mut self) -> Result<()> {
        let _: Option<(i32,)> = fetch_optional!(self, PING)?;
        Ok(())
    }
}

const SQLITE_READERS: u32 = 4;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A small write that takes longer is none: nobody who sends an alarm would wait for it either.
const PROVE_WITHIN: Duration = Duration::from_secs(5);
const SQLITE_BUSY_TIMEOUT: Duration = Duration::from_secs(5);

impl Store {
    /// Opens the database and brings its tables up to date: Postgres when there is an address, else a file in the folder.
    ///
    /// # Errors
    /// When it cannot be reached, the folder is used by another server, or a migration fails.
    pub async fn open(database_url: Option<&str>, data_dir: &Path) -> Result<Self> {
        match database_url {
            Some(url) => Self::open_postgres(url, data_dir, open::sqlite_folder::Use::Serve, |_, _| Ok(())).await,
            None => Self::open_sqlite(data_dir, open::sqlite_folder::Use::Serve).await,
        }
    }

    /// The same for a command line tool that works beside a running server.
    ///
    /// # Errors
    /// As [`Store::open`], but a folder in use is no obstacle; and when the folder's server uses another database.
    pub async fn open_beside_server(database_url: Option<&str>, data_dir: &Path) -> Result<Self> {
        let note = Note::read(data_dir);
        if let Some(why) = note.as_ref().and_then(|note| note.against(data_dir, database_url.is_some())) {
            return Err(StoreError::OtherDatabase(why));
        }
        match database_url {
            Some(url) => {
                let is_the_servers = |found: Option<InstallationId>, place: &str| match &note {
                    Some(note @ Note::Postgres { installation, .. }) if found != Some(*installation) => {
                        Err(StoreError::OtherDatabase(note.is_another(data_dir, place)))
                    }
                    _ => Ok(()),
                };
                Self::open_postgres(url, data_dir, open::sqlite_folder::Use::Beside, is_the_servers).await
            }
            None => Self::open_sqlite(data_dir, open::sqlite_folder::Use::Beside).await,
        }
    }

    async fn open_postgres(
        url: &str,
        data_dir: &Path,
        usage: open::sqlite_folder::Use,
        may_open: impl FnOnce(Option<InstallationId>, &str) -> Result<()>,
    ) -> Result<Self> {
        let open::postgres::Opened { found, schema } = open::postgres::open(url, data_dir, usage, may_open).await?;
        let trouble = Arc::<Trouble>::default();
        let primary = Arc::new(Primary::new(found, Arc::clone(&trouble)));
        let pools = Pools::Postgres { primary, channel: open::postgres::channel(&schema).into() };
        Ok(Self { trouble, ..Self::with(pools) })
    }

    /// Writes down in its folder which database this server uses, for the commands beside it.
    ///
    /// # Errors
    /// When the database or the folder fails.
    pub async fn leave_note(&self, data_dir: &Path) -> Result<()> {
        let note = match &self.pools {
            Pools::Sqlite { .. } => Some(Note::Embedded),
            Pools::Postgres { primary, .. } => {
                let installation = self.read().await?.db().installation().await?;
                installation.map(|installation| Note::Postgres { installation, place: primary.place() })
            }
        };
        let written = std::fs::create_dir_all(data_dir).and_then(|()| note.map_or(Ok(()), |note| note.write(data_dir)));
        written.map_err(|source| StoreError::Folder { folder: data_dir.display().to_string(), source })
    }

    async fn open_sqlite(data_dir: &Path, usage: open::sqlite_folder::Use) -> Result<Self> {
        let lock = open::sqlite_folder::FolderLock::take(data_dir, usage)?;
        let options = SqliteConnectOptions::new()
            .filename(data_dir.join(open::sqlite_folder::DATABASE))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An accepted alarm survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(SQLITE_BUSY_TIMEOUT)
            .foreign_keys(true)
            .disable_statement_logging();
        {
            let _migrating = open::sqlite_folder::MigrationLock::take(data_dir)?;
            if !open::sqlite_folder::is_there(data_dir)? {
                // Under another name until it is one: a file that was cut off must not look like a new one.
                let new = open::sqlite_folder::begin(data_dir)?;
                let mut begun = options.clone().filename(&new).connect().await.map_err(StoreError::Connection)?;
                // The first page is written now.
                sqlx::raw_sql("PRAGMA application_id = 1633902956").execute(&mut begun).await.map_err(StoreError::Connection)?;
                begun.close().await.map_err(StoreError::Connection)?;
                open::sqlite_folder::finish(data_dir, &new)?;
            }
            open::sqlite_folder::make_private(data_dir)?;
            let mut migrator = options.connect().await.map_err(|error| open::sqlite_folder::unusable(data_dir, error))?;
            let applied = applied(&mut migrator).await?;
            let works_from = if migrations::is_later(applied) { works_from(&mut migrator).await? } else { None };
            match migrations::of_a_later_version(applied, works_from) {
                Some(Err(later)) => {
                    let file = data_dir.join(open::sqlite_folder::DATABASE);
                    return Err(StoreError::Unfit(format!("{}: {later}", file.display())));
                }
                Some(Ok(later)) => tracing::warn!("{later}"),
                None => migrations::SQLITE.run(&mut migrator).await?,
            }
            migrator.close().await.map_err(StoreError::Connection)?;
        }
        let pool = |size| {
            SqlitePoolOptions::new().max_connections(size).acquire_timeout(ACQUIRE_TIMEOUT).max_lifetime(None).idle_timeout(None)
        };
        let write = pool(1).connect_with(options.clone()).await.map_err(StoreError::Connection)?;
        let read = pool(SQLITE_READERS).connect_with(options.read_only(true)).await.map_err(StoreError::Connection)?;
        Ok(Self::with(Pools::Sqlite { write, read, _lock: Arc::new(lock) }))
    }

    fn with(pools: Pools) -> Self {
        Self {
            pools,
            announcements: broadcast::channel(256).0,
            counters: Arc::default(),
            trouble: Arc::default(),
            queue: Arc::default(),
        }
    }

    /// Which database this is.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.pools {
            Pools::Postgres { .. } => Dialect::Postgres,
            Pools::Sqlite { .. } => Dialect::Sqlite,
        }
    }

    /// A name that all nodes on this database share. Where somebody keeps their tables in a schema of the same name elsewhere, they have it too.
    #[must_use]
    pub fn namespace(&self) -> &str {
        match &self.pools {
            Pools::Postgres { channel, .. } => channel,
            Pools::Sqlite { .. } => "autocall",
        }
    }

    /// What the store was asked to do so far.
    #[must_use]
    pub fn counters(&self) -> &StoreCounters {
        &self.counters
    }

    /// A connection for reading.
    ///
    /// # Errors
    /// When none can be had within 3 s.
    pub async fn read(&self) -> Result<Reader> {
        self.counters.connections.fetch_add(1, Ordering::Relaxed);
        match &self.pools {
            Pools::Postgres { primary, .. } => {
                primary.acquire().await.map(|(connection, reach)| Reader::Postgres(connection, reach))
            }
            Pools::Sqlite { read, .. } => {
                self.trouble.check()?;
                read.acquire().await.map(Reader::Sqlite).map_err(StoreError::Connection)
            }
        }
    }

    /// Begins a transaction that may write.
    ///
    /// # Errors
    /// When no connection can be had within 3 s.
    pub async fn begin(&self) -> Result<Tx> {
        self.counters.connections.fetch_add(1, Ordering::Relaxed);
        let (sender, counters) = (self.announcements.clone(), Arc::clone(&self.counters));
        match &self.pools {
            Pools::Postgres { primary, channel } => {
                let session = primary.acquire().await?;
                Tx::begin_postgres(session, Arc::clone(channel), Arc::clone(primary.read_only()), sender, counters).await
            }
            Pools::Sqlite { write, .. } => {
                self.trouble.check()?;
                let connection = {
                    let _waits = self.queue.other();
                    write.acquire().await.map_err(StoreError::Connection)?
                };
                Tx::begin_sqlite(connection, sender, counters).await
            }
        }
    }

    /// Writes something small, to see whether anything can be stored. `new` names the installation if it has no name.
    ///
    /// # Errors
    /// When nothing can be stored now.
    pub async fn prove_writing(&self, new: InstallationId, now: DateTime<Utc>) -> Result<()> {
        let proof = async {
            let mut tx = self.begin().await?;
            let mut db = tx.db();
            db.prove_writing(new, now).await?;
            let from = db.works_from().await?;
            tx.commit().await?;
            self.judge_tables(from)
        };
        let proved = match tokio::time::timeout(PROVE_WITHIN, proof).await {
            Ok(proved) => proved,
            Err(_) => Err(StoreError::Silent),
        };
        if let Pools::Postgres { primary, .. } = &self.pools {
            let read_only = primary.read_only();
            match &proved {
                Ok(()) => read_only.over(),
                Err(error) if error.cause() == Cause::ReadOnly => read_only.seen(),
                Err(_) => {}
            }
        }
        proved
    }

    /// Looks whether a later version has changed the tables into something that this program does not know. Then it uses them no more.
    ///
    /// # Errors
    /// Then, and when they cannot be looked at.
    pub async fn look_at_tables(&self) -> Result<()> {
        let from = self.read().await?.db().works_from().await?;
        self.judge_tables(from)
    }

    fn judge_tables(&self, works_from: Option<i64>) -> Result<()> {
        if let Some(sentence) = works_from.and_then(migrations::outgrown) {
            self.trouble.of_tables(sentence);
        }
        self.trouble.check()
    }

    /// Goes where the primary is when the database has several hosts, until dropped.
    pub async fn follow(&self) {
        match &self.pools {
            Pools::Postgres { primary, .. } => primary.follow().await,
            Pools::Sqlite { .. } => std::future::pending().await,
        }
    }

    /// The hosts of the database, and what each was when it was last looked at; none of the embedded one.
    #[must_use]
    pub fn hosts(&self) -> Vec<Host> {
        match &self.pools {
            Pools::Postgres { primary, .. } => primary.hosts(),
            Pools::Sqlite { .. } => Vec::new(),
        }
    }

    /// Whether the primary waits for a standby before it says that something is stored.
    pub async fn waits_for_standby(&self) -> Result<bool> {
        let Pools::Postgres { primary, .. } = &self.pools else { return Ok(false) };
        let asked = "SELECT current_setting('synchronous_standby_names') <> ''
                       AND current_setting('synchronous_commit') IN ('on', 'remote_apply', 'remote_write')";
        let (mut connection, _) = primary.acquire().await?;
        let (waits,): (bool,) =
            sqlx::query_as(asked).persistent(false).fetch_one(&mut *connection).await.map_err(StoreError::Connection)?;
        Ok(waits)
    }

    /// How often another host was taken for the primary.
    #[must_use]
    pub fn moves(&self) -> u64 {
        match &self.pools {
            Pools::Postgres { primary, .. } => primary.moves(),
            Pools::Sqlite { .. } => 0,
        }
    }

    /// Hears what is announced on this node, and through [`Store::relay`] on the others.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Announcement> {
        self.announcements.subscribe()
    }

    /// Passes on what other nodes and processes change, until dropped: by LISTEN on Postgres, by watching the file's
    /// version on SQLite. Whatever was missed while the connection was away is announced as [`Announcement::Missed`].
    pub async fn relay(&self) {
        loop {
            let ended = match &self.pools {
                Pools::Postgres { primary, channel } => self.relay_postgres(primary, channel).await,
                Pools::Sqlite { write, .. } => self.relay_sqlite(write).await,
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "not hearing changes made elsewhere; trying again");
            }
            let _ = self.announcements.send(Announcement::Missed);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn relay_postgres(&self, primary: &Primary, channel: &str) -> std::result::Result<(), sqlx::Error> {
        let (pool, reach) = (primary.pool(), primary.reach());
        let hear = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(channel).await?;
            let _ = self.announcements.send(Announcement::Missed);
            loop {
                let heard = match primary.tables_are_unsettled() {
                    // They may have become others than this program knows; and its plans of before fail once they have.
                    true => {
                        if let Err(error) = self.look_at_tables().await {
                            tracing::debug!(%error, "the tables could not be looked at");
                        }
                        tokio::time::timeout(Duration::from_secs(1), listener.try_recv()).await.ok()
                    }
                    false => Some(listener.try_recv().await),
                };
                match heard.transpose()? {
                    // A second without a word.
                    None => {}
                    // The connection was lost and will be made again, with a gap.
                    Some(None) => return Ok(()),
                    Some(Some(notification)) if notification.payload() == open::postgres::TABLES_CHANGE => {
                        tracing::info!("another node is about to bring the tables up to date");
                        primary.tables_change();
                    }
                    Some(Some(notification)) => {
                        let _ = self.announcements.send(Announcement::parse(notification.payload()));
                    }
                }
            }
        };
        reach.until_left(hear).await.unwrap_or(Ok(()))
    }

    async fn relay_sqlite(&self, write: &SqlitePool) -> std::result::Result<(), sqlx::Error> {
        let mut last: Option<i64> = None;
        loop {
            // On the one connection that writes for this process, the version changes only when another process wrote.
            let (version,): (i64,) = sqlx::query_as("PRAGMA data_version").fetch_one(write).await?;
            if last.is_some_and(|last| last != version) {
                let _ = self.announcements.send(Announcement::Missed);
                if let Err(error) = self.look_at_tables().await {
                    tracing::debug!(%error, "the tables could not be looked at");
                }
            }
            last = Some(version);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// The database's own time, to measure a node's clock against. `None` on SQLite, where there is one node.
    pub async fn database_time(&self) -> Result<Option<DateTime<Utc>>> {
        match &self.pools {
            Pools::Postgres { primary, .. } => {
                let (mut connection, reach) = primary.acquire().await?;
                let asked = sqlx::query_as("SELECT clock_timestamp()").fetch_one(&mut *connection);
                let (now,) = reach.of_driver(asked).await.map_err(StoreError::Connection)?;
                Ok(Some(now))
            }
            Pools::Sqlite { .. } => Ok(None),
        }
    }

    /// Finds out how the tables of the embedded database are filled, so that it chooses by which index it reads; Postgres does so by
    /// itself. From a few hundred rows of each index, and one table after the other, so that nobody waits.
    pub async fn take_stock(&self) -> Result<()> {
        let Pools::Sqlite { write, .. } = &self.pools else { return Ok(()) };
        let run = async |text: String| {
            sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(write).await.map(|_| ()).map_err(StoreError::Connection)
        };
        let tables: Vec<(String,)> =
            sqlx::query_as("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
                .fetch_all(write)
                .await
                .map_err(StoreError::Connection)?;
        for (table,) in tables {
            run(format!("PRAGMA analysis_limit = 400; ANALYZE \"{table}\"")).await?;
        }
        // Other connections read the statistics together with the schema, which they do when that has changed.
        let mut tx = write.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::Connection)?;
        let change = "CREATE VIEW stock_was_taken AS SELECT 1; DROP VIEW stock_was_taken";
        sqlx::raw_sql(change).execute(&mut *tx).await.map_err(StoreError::Connection)?;
        tx.commit().await.map_err(StoreError::Connection)
    }

    /// Closes the connections, and on SQLite writes the log back into the file.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Postgres { primary, .. } => primary.pool().close().await,
            Pools::Sqlite { write, read, .. } => {
                read.close().await;
                write.close().await;
            }
        }
    }

    /// Every statement there is, for the test that prepares them all on both databases.
    #[must_use]
    pub fn statements() -> Vec<&'static Sql> {
        [
            ALL,
            audit::ALL,
            audit::anywhere::ALL,
            audit::copies::ALL,
            audit::erasing::ALL,
            audit::masking::ALL,
            audit::kept_of::ALL,
            audit::pruning::ALL,
            alarm::alarms::ALL,
            alarm::answers::ALL,
            alarm::barista::ALL,
            backup::state::ALL,
            alarm::board::ALL,
            alarm::call_records::ALL,
            watch::channels::ALL,
            watch::commands::ALL,
            alarm::dials::ALL,
            duty::contacts::ALL,
            duty::do_not_call::ALL,
            duty::exceptions::ALL,
            duty::log::ALL,
            edits::ALL,
            alarm::events::ALL,
            duty::feeds::ALL,
            watch::handsets::ALL,
            watch::heartbeats::ALL,
            alarm::hunts::ALL,
            alarm::live::ALL,
            alarm::replicated::ALL,
            identities::ALL,
            open::installation::ALL,
            places::ALL,
            alarm::said::ALL,
            alarm::sought::ALL,
            access::keys::ALL,
            access::repeats::ALL,
            lines::inbound_calls::ALL,
            lines::numbers::ALL,
            watch::maintenance::ALL,
            media::clips::ALL,
            media::pieces::ALL,
            media::recordings::ALL,
            watch::monitored::ALL,
            watch::outages::ALL,
            watch::under_way::ALL,
            duty::people::ALL,
            duty::policies::ALL,
            duty::quiet::ALL,
            reports::counting::ALL,
            reports::false_alarms::ALL,
            reports::sums::ALL,
            reports::touched::ALL,
            retention::ALL,
            rpc::events::ALL,
            rpc::files::ALL,
            rpc::requests::ALL,
            rpc::resources::ALL,
            secrets::ALL,
            duty::roster::ALL,
            duty::sources::ALL,
            duty::swaps::ALL,
            duty::told::ALL,
            shouts::calls::ALL,
            shouts::log::ALL,
            shouts::opted_out::ALL,
            shouts::rows::ALL,
            watch::first_steps::ALL,
            lines::sms::ALL,
            lines::texts::ALL,
            access::second_factors::ALL,
            access::sessions::ALL,
            access::team_roles::ALL,
            access::identities::ALL,
            access::users::ALL,
            lines::webhooks::ALL,
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Prepares a statement without running it.
    ///
    /// # Errors
    /// When the database does not understand it.
    pub async fn prepare(&self, sql: &'static Sql) -> Result<()> {
        use sqlx::{Executor, SqlSafeStr};
        let done = match &self.pools {
            Pools::Postgres { primary, .. } => primary.pool().prepare(sql.postgres.into_sql_str()).await.map(|_| ()),
            Pools::Sqlite { write, .. } => write.prepare(sql.sqlite.into_sql_str()).await.map(|_| ()),
        };
        done.map_err(|error| StoreError::statement(sql, error))
    }
}

/// The last migration that the embedded database has; `None` where it has no tables yet.
async fn applied(connection: &mut SqliteConnection) -> Result<Option<i64>> {
    let there = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = '_sqlx_migrations')";
    let (there,): (bool,) = sqlx::query_as(there).fetch_one(&mut *connection).await.map_err(StoreError::Connection)?;
    if !there {
        return Ok(None);
    }
    let last = "SELECT max(version) FROM _sqlx_migrations";
    let (last,): (Option<i64>,) = sqlx::query_as(last).fetch_one(connection).await.map_err(StoreError::Connection)?;
    Ok(last)
}

/// The oldest migration whose programs the tables of the embedded database still work for; `None` where that is not written down.
async fn works_from(connection: &mut SqliteConnection) -> Result<Option<i64>> {
    let there = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'compatibility')";
    let (there,): (bool,) = sqlx::query_as(there).fetch_one(&mut *connection).await.map_err(StoreError::Connection)?;
    if !there {
        return Ok(None);
    }
    let from = sqlx::query_as("SELECT works_from FROM compatibility").fetch_optional(connection).await;
    Ok(from.map_err(StoreError::Connection)?.map(|(from,): (i64,)| from))
}

/// Whether a session may change anything.
async fn takes_changes(connection: &mut PgConnection) -> std::result::Result<bool, sqlx::Error> {
    let (read_only,): (String,) = sqlx::query_as("SHOW transaction_read_only").fetch_one(connection).await?;
    Ok(read_only != "on")
}
