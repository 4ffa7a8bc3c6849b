//! How old the last backup is, and whether those that the server makes succeed.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use super::{Finding, Seen, ago};
use crate::config::Config;
use crate::store::StoreError;
use crate::store::backup::state::BackupState;

/// Where nobody says how often backups are made, one that is older is told.
const OLD: TimeDelta = TimeDelta::days(7);
/// What to do where there are none.
const SCHEDULE: &str = "write dir = \"/a/folder/on/another/disk\" below [backup], or run autocall backup FILE by a timer";

pub(super) fn check(seen: &Seen) -> BoxFuture<'_, Result<Vec<Finding>, StoreError>> {
    Box::pin(async move {
        let Some(store) = seen.store() else { return Ok(Vec::new()) };
        let state = store.read().await?.db().backup_state().await?;
        Ok(vec![judge(seen.config(), &state, seen.clock.now())])
    })
}

fn judge(config: &Config, state: &BackupState, now: DateTime<Utc>) -> Finding {
    let scheduled = config.backup.dir.is_some();
    if let (true, Some(why), Some(since)) = (scheduled, &state.failure, state.failed_since) {
        let todo = "see to that; the next one is tried within the hour, and autocall backup FILE makes one at once";
        return Finding::bad(format!("no backup has succeeded for {}: {why}", ago(now, since)), todo);
    }
    let longest = if scheduled { TimeDelta::hours(2 * i64::from(config.backup.every_hours)) } else { OLD };
    match state.made_at {
        Some(made_at) if now - made_at <= longest => {
            let place = state.place.as_deref().unwrap_or_default();
            Finding::good(format!("the last backup is {} old: {place}", ago(now, made_at)))
        }
        Some(made_at) if scheduled => Finding::bad(
            format!("the last backup is {} old, and one is to be made every {} h", ago(now, made_at), config.backup.every_hours),
            "see whether the server runs, and what its log says of backups",
        ),
        Some(made_at) => Finding::warn(format!("the last backup is {} old", ago(now, made_at)), SCHEDULE),
        None if scheduled => Finding::warn(
            "there is no backup yet",
            "the server makes the first one within minutes of its start: see that it runs",
        ),
        None if config.database_url.is_some() => {
            Finding::good("this server makes no backups: its Postgres has to be in those that you make of it")
        }
        None => Finding::warn("there is no backup", SCHEDULE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keep::doctor::Grade;

    #[test]
    fn backups_that_are_old_or_fail_are_told() {
        let (mut config, now) = (Config::default(), DateTime::UNIX_EPOCH + TimeDelta::days(100));
        let made = |hours| BackupState { made_at: Some(now - TimeDelta::hours(hours)), ..BackupState::default() };
        let grade = |config: &Config, state: &BackupState| judge(config, state, now).grade;
        assert_eq!(grade(&config, &BackupState::default()), Grade::Warn);
        assert_eq!(grade(&config, &made(167)), Grade::Good);
        assert_eq!(grade(&config, &made(169)), Grade::Warn);
        config.backup.dir = Some("/b".into());
        assert_eq!(grade(&config, &BackupState::default()), Grade::Warn);
        assert_eq!(grade(&config, &made(48)), Grade::Good);
        assert_eq!(grade(&config, &made(49)), Grade::Bad);
        let failing = BackupState { failure: Some("the disk is full".into()), failed_since: Some(now), ..made(1) };
        assert_eq!(grade(&config, &failing), Grade::Bad);
        // What failed while it was to be made is of no concern once none are.
        config.backup.dir = None;
        assert_eq!(grade(&config, &failing), Grade::Good);
    }
}
