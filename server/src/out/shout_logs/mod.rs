//! Detail records of shouts go into files: `bdr.log`, `cdr.log` and `rec_cdr.log` in the folder `shouts.log_dir` of this node.
//!
//! A line is a row first, in the transaction that makes it true, with the folder in whose files it is to stand ([`crate::engine::shouts::logs`]).
//! That is taken off the row only when the line is on the disk: after a kill a line may come twice, and none is missing. Files are written on
//! a thread of their own ([`files`]), so that a folder that does not answer keeps nothing waiting but its lines.
//!
//! What a node has not written for an hour, because it is gone or its folder is full, is written by whoever writes files of its own.

pub mod files;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;

use crate::engine::Engine;
use crate::ids::LogFolderId;
use crate::store::StoreError;
use crate::store::shouts::log::{RECORDS_AT_ONCE, RecordKind};
use files::{Files, NotWritten};

/// It is looked at least so often whether there is something to write.
const EVERY: Duration = Duration::from_secs(15);
/// And so often while something is made: what is told of is stored a moment later.
const SOON: Duration = Duration::from_millis(250);
/// After so many looks without anything it is believed that nothing more comes.
const QUIET_AFTER: u32 = 8;
/// What somebody else has not written for so long is written here.
const LEFT_BEHIND: TimeDelta = TimeDelta::hours(1);

/// The files of this node.
pub struct ShoutLogs {
    engine: Arc<Engine>,
    files: Files,
    folder: LogFolderId,
    failing: AtomicBool,
}

impl ShoutLogs {
    /// Opens the files, where there are to be any. A folder that cannot be used is no error: its lines wait.
    pub async fn open(engine: Arc<Engine>) -> Option<Self> {
        let path = engine.config.shouts.log_dir.clone()?;
        let new = LogFolderId::new(engine.clock.now());
        let files = match Files::start(path, new) {
            Ok(files) => files,
            Err(error) => {
                tracing::error!(%error, "no files of detail records are written: no thread can be started");
                return None;
            }
        };
        let opened = files.open().await;
        // The name that an earlier run gave the folder: what that has not written is written now.
        let folder = opened.as_ref().copied().unwrap_or(new);
        engine.shout_logs.begin(folder);
        let logs = Self { engine, files, folder, failing: AtomicBool::new(false) };
        logs.note(opened.map(|_| ()));
        Some(logs)
    }

    /// Writes whatever there is until dropped.
    pub async fn run(&self) {
        let wanted = &self.engine.shout_logs;
        // What an earlier run has left is there already.
        let mut quiet = 0;
        loop {
            let wait = if quiet < QUIET_AFTER { SOON } else { EVERY };
            tokio::select! {
                () = wanted.made.notified() => {
                    quiet = 0;
                    tokio::time::sleep(SOON).await;
                }
                () = wanted.reopen.notified() => self.note(self.files.reopen().await),
                () = tokio::time::sleep(wait) => {}
            }
            quiet = if self.write_all().await > 0 { 0 } else { quiet.saturating_add(1) };
        }
    }

    /// Writes all lines that there are; gives how many.
    pub async fn write_all(&self) -> usize {
        let mut all = 0;
        let mut failed = None;
        for kind in RecordKind::ALL {
            match self.write_kind(kind).await {
                Ok(written) => all += written,
                // The database is looked after elsewhere.
                Err(LogsError::Store(error)) => tracing::debug!(%error, "detail records could not be read"),
                Err(LogsError::File(error)) => failed = Some(error),
            }
        }
        self.note(failed.map_or(Ok(()), Err));
        all
    }

    async fn write_kind(&self, kind: RecordKind) -> Result<usize, LogsError> {
        let mut all = 0;
        loop {
            // Another name than ours, where the folder could not be opened at the start.
            let folders = [self.folder, self.files.folder().unwrap_or(self.folder)];
            let left_behind = self.engine.clock.now() - LEFT_BEHIND;
            let rows = self.engine.store.read().await?.db().unwritten_shout_records(kind, folders, left_behind).await?;
            if rows.is_empty() {
                return Ok(all);
            }
            let (ids, lines): (Vec<i64>, Vec<String>) = rows.into_iter().map(|row| (row.id, row.line)).unzip();
            let most = usize::try_from(RECORDS_AT_ONCE).unwrap_or(usize::MAX);
            let is_last = ids.len() < most;
            self.files.append(kind, lines).await?;
            let mut tx = self.engine.store.begin().await?;
            tx.db().shout_records_are_written(&ids).await?;
            tx.commit().await?;
            all += ids.len();
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Says it once that files cannot be written, and once that they can.
    fn note(&self, done: Result<(), NotWritten>) {
        self.engine.metrics.shout_logs_failing.set(i64::from(done.is_err()));
        match (self.failing.swap(done.is_err(), Ordering::Relaxed), done) {
            (false, Err(error)) => {
                tracing::error!(%error, "detail records of shouts are not written into files: their lines wait");
            }
            (true, Ok(())) => tracing::info!("detail records of shouts are written into their files again"),
            _ => {}
        }
    }
}

/// Why lines are not in their file yet.
#[derive(Debug, thiserror::Error)]
enum LogsError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file could not be written.
    #[error(transparent)]
    File(#[from] NotWritten),
}
