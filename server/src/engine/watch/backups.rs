//! Backups that the server makes by itself: when, by which node, and what is wrong with them. The file is written on a thread of its own, and
//! no call waits for it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

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
/// One that has failed is tried again after this.
const TRY_AGAIN: TimeDelta = TimeDelta::minutes(15);
const ENDING: &str = ".backup";

/// Whether a backup is to be begun now.
#[must_use]
pub fn is_due(state: &BackupState, every: TimeDelta, now: DateTime<Utc>) -> bool {
    if state.taken_until.is_some_and(|until| until > now) {
        return false;
    }
    let Some(tried_at) = state.tried_at else { return true };
    // Where somebody is still written down as being at it, they were killed.
    let succeeded = state.failure.is_none() && state.taken_until.is_none();
    let rest = if succeeded { every } else { every.min(TRY_AGAIN) };
    // A time to come is of a clock that was wrong.
    tried_at + rest <= now || tried_at > now + every
}

/// What is wrong with backups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupTrouble {
    /// They fail.
    Fails {
        /// Since when.
        since: DateTime<Utc>,
        /// Why.
        why: String,
    },
    /// The last good one is older than two of them should be.
    Old {
        /// Of when it is.
        made_at: DateTime<Utc>,
    },
}

/// What is wrong where the server is to make one so often.
#[must_use]
pub fn trouble(state: &BackupState, every: TimeDelta, now: DateTime<Utc>) -> Option<BackupTrouble> {
    if let (Some(since), Some(why)) = (state.failed_since, &state.failure) {
        return Some(BackupTrouble::Fails { since, why: why.clone() });
    }
    let made_at = state.made_at?;
    (made_at + every + every < now).then_some(BackupTrouble::Old { made_at })
}

/// Which of these files go when so many are kept: the oldest of those that are named as ours.
#[must_use]
pub fn to_go(names: &[String], begins: &str, keep: usize) -> Vec<String> {
    let digits = "20261120T030000Z".len();
    let is_ours = |name: &&String| {
        let instant = name.strip_prefix(begins).and_then(|rest| rest.strip_suffix(ENDING));
        instant.is_some_and(|instant| instant.len() == digits && instant.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    let mut ours: Vec<String> = names.iter().filter(is_ours).cloned().collect();
    ours.sort_unstable();
    ours.truncate(ours.len().saturating_sub(keep));
    ours
}

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
                tx.db().backup_succeeded(turn, &Success { made_at: now, place, bytes, rows }).await?;
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
        let path = folder.join(format!("{begins}{}{ENDING}", now.format("%Y%m%dT%H%M%SZ")));
        let place = path.display().to_string();
        let to = NewBackup { path, overwrite: true, passphrase };
        let written = async { backup::back_up(self.store.as_source().await?, to, now).await };
        let written = written.await.map_err(|error: BackupError| error.to_string())?;
        let (folder, keep) = (folder.to_owned(), usize::try_from(self.config.backup.keep).unwrap_or(usize::MAX));
        // The new one is whole: what is in the way of tidying up is no failure of it.
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || tidy(&folder, &begins, keep)).await {
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
fn tidy(folder: &Path, begins: &str, keep: usize) -> std::io::Result<()> {
    let names: Vec<String> = std::fs::read_dir(folder)?
        .filter_map(|entry| entry.ok().and_then(|entry| entry.file_name().into_string().ok()))
        .collect();
    for name in to_go(&names, begins, keep) {
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

    const DAY: TimeDelta = TimeDelta::hours(24);

    fn at(hours: i64, minutes: i64) -> DateTime<Utc> {
        "2026-11-20T00:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::hours(hours) + TimeDelta::minutes(minutes)
    }

    fn good(hours: i64) -> BackupState {
        BackupState { turn: 1, tried_at: Some(at(hours, 0)), made_at: Some(at(hours, 0)), ..BackupState::default() }
    }

    #[test]
    fn one_is_due_so_often_and_sooner_after_a_failure() {
        assert!(is_due(&BackupState::default(), DAY, at(0, 0)), "the first");
        assert!(!is_due(&good(0), DAY, at(23, 59)));
        assert!(is_due(&good(0), DAY, at(24, 0)));
        let by_hand = BackupState { made_at: Some(at(23, 0)), ..good(0) };
        assert!(is_due(&by_hand, DAY, at(24, 0)), "one that somebody made elsewhere is none of these");
        let failed =
            BackupState { failure: Some("full".to_owned()), failed_since: Some(at(24, 0)), tried_at: Some(at(24, 0)), ..good(0) };
        assert!(!is_due(&failed, DAY, at(24, 14)));
        assert!(is_due(&failed, DAY, at(24, 15)));
        let busy = BackupState { taken_until: Some(at(24, 10)), tried_at: Some(at(24, 0)), ..good(0) };
        assert!(!is_due(&busy, DAY, at(24, 9)), "another node is at it");
        assert!(is_due(&busy, DAY, at(24, 15)), "it was killed");
        assert!(is_due(&good(100), DAY, at(0, 0)), "the clock was wrong");
    }

    #[test]
    fn what_fails_or_has_grown_old_is_told() {
        assert_eq!(trouble(&BackupState::default(), DAY, at(0, 0)), None);
        assert_eq!(trouble(&good(0), DAY, at(48, 0)), None);
        assert_eq!(trouble(&good(0), DAY, at(48, 1)), Some(BackupTrouble::Old { made_at: at(0, 0) }));
        let failed = BackupState { failure: Some("full".to_owned()), failed_since: Some(at(1, 0)), ..good(0) };
        assert_eq!(trouble(&failed, DAY, at(2, 0)), Some(BackupTrouble::Fails { since: at(1, 0), why: "full".to_owned() }));
    }

    #[test]
    fn the_oldest_go_and_nothing_else() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let there = names(&[
            "autocall-aaaaaaaa-20261122T000000Z.backup",
            "autocall-aaaaaaaa-20261120T000000Z.backup",
            "autocall-aaaaaaaa-20261121T000000Z.backup",
            "autocall-aaaaaaaa-20261119T000000Z.backup.partial",
            "autocall-aaaaaaaa-before-upgrade.backup",
            "autocall-bbbbbbbb-20261101T000000Z.backup",
            "notes.txt",
        ]);
        let gone = |keep| to_go(&there, "autocall-aaaaaaaa-", keep);
        assert_eq!(gone(2), names(&["autocall-aaaaaaaa-20261120T000000Z.backup"]));
        assert_eq!(gone(3), names(&[]));
        assert_eq!(gone(1).len(), 2);
        assert_eq!(to_go(&[], "autocall-", 1), names(&[]));
    }

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
        tidy(folder.path(), begins, 1).unwrap();
        let mut left: Vec<String> =
            folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, [format!("{begins}20261121T000000Z.backup"), format!("{begins}20261122T000000Z.backup.partial")]);
    }
}
