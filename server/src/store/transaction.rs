//! Transactions, and which connections may be used again after them.
//!
//! A connection goes back to its pool only when the database has answered the last BEGIN, COMMIT or ROLLBACK that was sent on it. If one of
//! these failed, or the future that waited for it was dropped half-way, nobody knows in what state the connection is: it is closed, and the
//! pool makes another. On a full disk, for example, the embedded database ends a transaction by itself, and the ROLLBACK that follows fails.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Executor, Postgres, Row, Sqlite};
use tokio::sync::{Mutex, OwnedMutexGuard, broadcast};

use super::open::primary::Reach;
use super::reports::Touched;
use super::{Announcement, Db, ReadOnly, Result, StoreCounters, StoreError};

/// A ROLLBACK that is not answered within this time is not waited for: closing the connection does the same.
pub(super) const ROLLBACK_WITHIN: Duration = Duration::from_secs(3);

/// A transaction; dropped without [`Tx::commit`] it is rolled back. What it announces is heard after the commit.
pub struct Tx {
    connection: Held,
    state: State,
    announced: Vec<Announcement>,
    sender: broadcast::Sender<Announcement>,
    counters: Arc<StoreCounters>,
    touched: Touched,
}

/// The connection, and its owner: whoever rolls back after the drop takes it over.
enum Held {
    Postgres {
        connection: OwnedMutexGuard<PoolConnection<Postgres>>,
        owner: Arc<Mutex<PoolConnection<Postgres>>>,
        /// On which other nodes listen.
        channel: Arc<str>,
        read_only: Arc<ReadOnly>,
        reach: Reach,
    },
    Sqlite {
        connection: OwnedMutexGuard<PoolConnection<Sqlite>>,
        owner: Arc<Mutex<PoolConnection<Sqlite>>>,
    },
}

/// What a transaction had noted at a place to which it can go back.
pub(super) struct Place {
    announced: usize,
    touched: Touched,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// BEGIN or COMMIT is under way, or has failed.
    Unknown,
    /// BEGIN was answered.
    Open,
    /// COMMIT was answered.
    Over,
}

impl Held {
    async fn postgres(connection: PoolConnection<Postgres>, reach: Reach, channel: Arc<str>, read_only: Arc<ReadOnly>) -> Self {
        let owner = Arc::new(Mutex::new(connection));
        Self::Postgres { connection: Arc::clone(&owner).lock_owned().await, owner, channel, read_only, reach }
    }

    async fn sqlite(connection: PoolConnection<Sqlite>) -> Self {
        let owner = Arc::new(Mutex::new(connection));
        Self::Sqlite { connection: Arc::clone(&owner).lock_owned().await, owner }
    }

    async fn run(&mut self, postgres: &'static str, sqlite: &'static str) -> Result<()> {
        match self {
            Self::Postgres { connection, reach, .. } => {
                reach.of_driver((&mut ***connection).execute(sqlx::raw_sql(postgres))).await.map(drop)
            }
            Self::Sqlite { connection, .. } => (&mut ***connection).execute(sqlx::raw_sql(sqlite)).await.map(drop),
        }
        .map_err(StoreError::Connection)
    }
}

impl Tx {
    pub(super) async fn begin_postgres(
        (connection, reach): (PoolConnection<Postgres>, Reach),
        channel: Arc<str>,
        read_only: Arc<ReadOnly>,
        sender: broadcast::Sender<Announcement>,
        counters: Arc<StoreCounters>,
    ) -> Result<Self> {
        Self::begin(Held::postgres(connection, reach, channel, read_only).await, sender, counters).await
    }

    pub(super) async fn begin_sqlite(
        connection: PoolConnection<Sqlite>,
        sender: broadcast::Sender<Announcement>,
        counters: Arc<StoreCounters>,
    ) -> Result<Self> {
        Self::begin(Held::sqlite(connection).await, sender, counters).await
    }

    async fn begin(connection: Held, sender: broadcast::Sender<Announcement>, counters: Arc<StoreCounters>) -> Result<Self> {
        // It exists before BEGIN is sent, so that its drop decides about the connection however this ends.
        let mut tx =
            Self { connection, state: State::Unknown, announced: Vec::new(), sender, counters, touched: Touched::default() };
        // Immediate: a transaction that reads first and writes later would otherwise fail when another wrote between.
        tx.connection.run("BEGIN", "BEGIN IMMEDIATE").await?;
        tx.state = State::Open;
        Ok(tx)
    }

    /// The operations.
    pub fn db(&mut self) -> Db<'_> {
        let touched = Some(&mut self.touched);
        match &mut self.connection {
            Held::Postgres { connection, reach, .. } => Db::Postgres(connection, touched, Some(reach)),
            Held::Sqlite { connection, .. } => Db::Sqlite(connection, touched),
        }
    }

    /// Remembers something to tell everybody once the transaction is committed.
    pub fn announce(&mut self, announcement: Announcement) {
        if !self.announced.contains(&announcement) {
            self.announced.push(announcement);
        }
    }

    /// Makes the changes permanent, then tells.
    ///
    /// # Errors
    /// When the database cannot commit; nothing was changed then, unless the connection broke at the commit itself.
    pub async fn commit(mut self) -> Result<()> {
        self.commit_so_far().await
    }

    /// Makes the changes permanent that were made so far, tells, and goes on in a transaction of its own, after a pause in which this holds
    /// nothing: others get at the embedded database.
    ///
    /// # Errors
    /// As [`Tx::commit`].
    pub async fn go_on_after(&mut self, pause: Duration) -> Result<()> {
        self.commit_so_far().await?;
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        self.state = State::Unknown;
        self.connection.run("BEGIN", "BEGIN IMMEDIATE").await?;
        self.state = State::Open;
        Ok(())
    }

    /// Marks a place for one of several who share it. Another than that of [`Db::savepoint`], which lies within.
    pub(super) async fn mark(&mut self) -> Result<()> {
        self.connection.run("SAVEPOINT of_one", "SAVEPOINT of_one").await
    }

    /// Keeps what was done since [`Tx::mark`].
    pub(super) async fn keep(&mut self) -> Result<()> {
        self.connection.run("RELEASE SAVEPOINT of_one", "RELEASE SAVEPOINT of_one").await
    }

    /// What was noted so far, by others; from here on one notes for itself.
    pub(super) fn place(&mut self) -> Place {
        Place { announced: self.announced.len(), touched: std::mem::take(&mut self.touched) }
    }

    /// What one has noted stands beside what others had before.
    pub(super) fn with(&mut self, Place { touched, .. }: Place) {
        let own = std::mem::replace(&mut self.touched, touched);
        self.touched.join(own);
    }

    /// Undoes what was done since [`Tx::mark`], and forgets what was noted since this place.
    pub(super) async fn back_to(&mut self, place: Place) -> Result<()> {
        self.connection.run("ROLLBACK TO SAVEPOINT of_one", "ROLLBACK TO SAVEPOINT of_one").await?;
        self.keep().await?;
        self.announced.truncate(place.announced);
        self.touched = place.touched;
        Ok(())
    }

    /// One of those who share it gives up.
    pub(super) fn gives_up(&self) {
        self.counters.undone.fetch_add(1, Ordering::Relaxed);
    }

    /// Nobody knows any more what is in it.
    pub(super) fn is_broken(&mut self) {
        self.state = State::Unknown;
    }

    /// Makes the changes permanent that were made so far, and tells.
    pub(super) async fn commit_so_far(&mut self) -> Result<()> {
        let touched = std::mem::take(&mut self.touched);
        if !touched.is_empty() {
            // One row each, and nothing that anybody else writes or locks: whoever counts comes later, and nobody waits for that.
            Box::pin(self.db().note_due_figures(&touched)).await?;
        }
        self.state = State::Unknown;
        if let Held::Postgres { connection, channel, reach, .. } = &mut self.connection {
            for announcement in &self.announced {
                // Inside the transaction: Postgres delivers it to the other nodes when, and only when, it commits.
                let told = sqlx::query("SELECT pg_notify($1, $2)")
                    .bind(&**channel)
                    .bind(announcement.as_str())
                    .execute(&mut ***connection);
                reach.of_driver(told).await.map_err(StoreError::Connection)?;
            }
        }
        // After a statement that failed Postgres takes COMMIT, keeps nothing and reports no error. Any other statement is refused then.
        self.connection.run("SELECT; COMMIT", "COMMIT").await?;
        self.state = State::Over;
        touched.log();
        let announced = std::mem::take(&mut self.announced);
        if !announced.is_empty() {
            self.counters.written.fetch_add(1, Ordering::Relaxed);
        }
        for announcement in announced {
            // Nobody listening is fine.
            let _ = self.sender.send(announcement);
        }
        Ok(())
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        match self.state {
            State::Over => return,
            State::Open => self.counters.undone.fetch_add(1, Ordering::Relaxed),
            State::Unknown => self.counters.broken.fetch_add(1, Ordering::Relaxed),
        };
        // Without a runtime nobody could wait for the answer.
        let runtime = tokio::runtime::Handle::try_current().ok().filter(|_| self.state == State::Open);
        match (&mut self.connection, runtime) {
            (Held::Postgres { owner, read_only, .. }, Some(runtime)) => {
                let (owner, read_only, counters) = (Arc::clone(owner), Arc::clone(read_only), Arc::clone(&self.counters));
                // It gets the connection as soon as this transaction is gone.
                runtime.spawn(async move {
                    let mut connection = owner.lock().await;
                    let rollback = sqlx::raw_sql("ROLLBACK; SHOW transaction_read_only").fetch_one(&mut **connection);
                    let mode = match tokio::time::timeout(ROLLBACK_WITHIN, rollback).await {
                        Ok(Ok(row)) => row.try_get::<String, _>(0).ok(),
                        _ => None,
                    };
                    // A session that can only read may stay so for ever.
                    if mode.as_deref() == Some("on") {
                        read_only.seen();
                        counters.broken.fetch_add(1, Ordering::Relaxed);
                    }
                    if mode.as_deref() != Some("off") {
                        connection.close_on_drop();
                    }
                });
            }
            (Held::Sqlite { owner, .. }, Some(runtime)) => {
                let owner = Arc::clone(owner);
                runtime.spawn(async move {
                    let mut connection = owner.lock().await;
                    let rollback = (&mut **connection).execute(sqlx::raw_sql("ROLLBACK"));
                    if !matches!(tokio::time::timeout(ROLLBACK_WITHIN, rollback).await, Ok(Ok(_))) {
                        connection.close_on_drop();
                    }
                });
            }
            (Held::Postgres { connection, .. }, None) => connection.close_on_drop(),
            (Held::Sqlite { connection, .. }, None) => connection.close_on_drop(),
        }
    }
}
