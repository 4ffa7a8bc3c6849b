//! Backups that the server makes by itself: when, by which node, and what is wrong with them. The file is written on a thread of its own, and
//! no call waits for it.

mod due;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

pub use due::{BackupTrouble, is_due, to_go, trouble};

use due::ENDING;

use crate::engine::{Engine, EngineError};
use crate::store::backup::file::{NewBackup, Written};
use crate::store::backup::restoring::word_of;
use crate::store::backup::sealed::Passphrase;
use crate::store::backup::state::{BackupState, Success};
use crate::store::backup::{self, BackupError};

/// It is looked so often whether one is due.
const LOOK_AGAIN: Duration = Duration::from_mins(1);
/// Whoever makes one is believed to be at it for so long, and says again every minute that it is.
const AT_IT: TimeDelta = TimeDelta::minutes(10);

/// With what the names of an installation's backups begin: two that share a folder keep apart.
fn beginning(installation: Option<uuid::Uuid>) -> String {
    format!("autocall-{}-", installation.map_or_else(|| "new".to_owned(), word_of))
}

/// The passphrase in a file.
///
/// # Errors
/// A sentence when there is none.
pub fn passphrase_in(file: &Path) -> Result<Passphrase, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    Passphrase::of(&text).ok_or_else(|| {
        let shortest = Passphrase::SHORTEST;
        format!("the first line of {} is no passphrase: it must have at least {shortest} characters", file.display())
    })
}

impl Engine {
    /// Beside the tick. Whoever moves the clock by hand looks themselves.
    pub(super) async fn keep_backups_on(&self) {
        if !self.clock.goes_on() {
            return;
        }
        loop {
            if let Err(error) = self.keep_backups().await {
                tracing::warn!(%error, "it could not be looked whether a backup is due; trying again in a minute");
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Makes a backup if one is due and no other node does.
    ///
    /// # Errors
    /// When the database fails. What is wrong with a backup is noted there.
    pub async fn keep_backups(&self) -> Result<(), EngineError> {
        let now = self.clock.now();
        let state = self.store.read().await?.db().backup_state().await?;
        self.show_backups(&state, now);
        let Some(folder) = self.config.backup.dir.clone() else { return Ok(()) };
        if !is_due(&state, self.backup_every(), now) {
            return Ok(());
        }
        let mut tx = self.store.begin().await?;
        let taken = tx.db().take_backup_turn(state.turn, now + AT_IT, now).await?;
        tx.commit().await?;
        if !taken {
            return Ok(());
        }
        let turn = state.turn + 1;
        let made = self.make_backup(&folder, turn, now).await;
        let mut tx = self.store.begin().await?;
        match made {
            Ok((place, written)) => {
                let size = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
                let (bytes, rows) = (size(written.bytes), size(written.rows()));
                tracing::info!(place, bytes, rows, "a backup was made");
                tx.db().backup_succeeded(turn, &Success { made_at: now, place, bytes, rows }, self.clock.now()).await?;
            }
            Err(why) => {
                tracing::error!(why, "the backup failed; trying again in a quarter of an hour");
                tx.db().backup_failed(turn, &why, now).await?;
            }
        }
        tx.commit().await?;
        let state = self.store.read().await?.db().backup_state().await?;
        self.show_backups(&state, self.clock.now());
        Ok(())
    }

    fn backup_every(&self) -> TimeDelta {
        TimeDelta::hours(self.config.backup.every_hours.into())
    }

    fn show_backups(&self, state: &BackupState, now: DateTime<Utc>) {
        let age = state.made_at.map_or(-1, |made_at| (now - made_at).num_seconds().max(0));
        self.metrics.backup_age_seconds.set(age);
        self.metrics.backup_failing.set(i64::from(state.failed_since.is_some()));
        let every = self.config.backup.dir.as_ref().map_or(0, |_| self.backup_every().num_seconds());
        self.metrics.backup_every_seconds.set(every);
        self.health.note_backups(state.clone());
    }

    /// What is wrong with backups, as far as this node knows without asking.
    #[must_use]
    pub fn backup_trouble(&self) -> Option<BackupTrouble> {
        self.config.backup.dir.as_ref()?;
        trouble(&self.health.backups()?, self.backup_every(), self.clock.now())
    }

    async fn make_backup(&self, folder: &Path, turn: i64, now: DateTime<Utc>) -> Result<(String, Written), String> {
        let work = self.write_backup(folder, now);
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(LOOK_AGAIN) => {
                    let until = self.clock.now() + AT_IT;
                    let kept = async {
                        let mut tx = self.store.begin().await?;
                        let kept = tx.db().keep_backup_turn(turn, until).await?;
                        tx.commit().await.map(|()| kept)
                    };
                    if matches!(kept.await, Ok(false)) {
                        return Err("another node has begun one meanwhile: this one was too slow".to_owned());
                    }
                }
            }
        }
    }

    async fn write_backup(&self, folder: &Path, now: DateTime<Utc>) -> Result<(String, Written), String> {
        let installation = async { self.store.read().await?.db().installation().await }.await;
        let begins = beginning(installation.map_err(|error| error.to_string())?.map(|id| id.0));
        let passphrase = self.config.backup.passphrase_file.as_deref().map(passphrase_in).transpose()?;
        let making = folder.to_owned();
        let made = tokio::task::spawn_blocking(move || make_folder(&making)).await;
        made.map_err(|error| error.to_string())?.map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
        let name = format!("{begins}{}{ENDING}", now.format("%Y%m%dT%H%M%SZ"));
        let path = folder.join(&name);
        let place = path.display().to_string();
        let to = NewBackup { path, overwrite: true, passphrase };
        let written = async { backup::back_up(self.store.as_source().await?, to, now).await };
        let written = written.await.map_err(|error: BackupError| error.to_string())?;
        let (folder, keep) = (folder.to_owned(), usize::try_from(self.config.backup.keep).unwrap_or(usize::MAX));
        // The new one is whole: what is in the way of tidying up is no failure of it.
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || tidy(&folder, &begins, keep, &name)).await {
            tracing::warn!(%error, "old backups could not be removed");
        }
        Ok((place, written))
    }
}

/// Only for its owner: backups hold people's numbers.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Removes backups beyond those that are kept, and what interrupted ones have left.
fn tidy(folder: &Path, begins: &str, keep: usize, made: &str) -> std::io::Result<()> {
    let names: Vec<String> = std::fs::read_dir(folder)?
        .filter_map(|entry| entry.ok().and_then(|entry| entry.file_name().into_string().ok()))
        .collect();
    for name in to_go(&names, begins, keep, made) {
        std::fs::remove_file(folder.join(name))?;
    }
    let partial = |name: &&String| name.starts_with(begins) && name.ends_with(".backup.partial");
    for left in names.iter().filter(partial).map(|name| folder.join(name)) {
        remove_if_left(left)?;
    }
    Ok(())
}

/// Whoever writes one holds its lock.
fn remove_if_left(file: PathBuf) -> std::io::Result<()> {
    if File::open(&file)?.try_lock().is_ok() { std::fs::remove_file(file) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;

    #[test]
    fn what_was_left_goes_and_what_is_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let begins = "autocall-aaaaaaaa-";
        let file = |name: &str| folder.path().join(format!("{begins}{name}"));
        for name in ["20261120T000000Z.backup", "20261121T000000Z.backup", "20261119T000000Z.backup.partial"] {
            std::fs::write(file(name), b"x").unwrap();
        }
        let busy = File::create(file("20261122T000000Z.backup.partial")).unwrap();
        busy.lock().unwrap();
        tidy(folder.path(), begins, 1, &format!("{begins}20261121T000000Z.backup")).unwrap();
        let mut left: Vec<String> =
            folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, [format!("{begins}20261121T000000Z.backup"), format!("{begins}20261122T000000Z.backup.partial")]);
    }
}
