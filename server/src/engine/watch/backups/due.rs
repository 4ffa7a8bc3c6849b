//! When a backup is due, what is wrong with backups, and which of them go. Decisions alone: nothing is read or written here.

use chrono::{DateTime, TimeDelta, Utc};

use crate::store::backup::state::BackupState;

/// One that has failed is tried again after this.
const TRY_AGAIN: TimeDelta = TimeDelta::minutes(15);
/// With what the names of backups end.
pub(super) const ENDING: &str = ".backup";

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

/// Which of these files go when so many are kept: the oldest of those that are named as ours. One that is named later than the one that was just
/// made is of a clock that was wrong, and goes before all others.
#[must_use]
pub fn to_go(names: &[String], begins: &str, keep: usize, made: &str) -> Vec<String> {
    let digits = "20261120T030000Z".len();
    let is_ours = |name: &&String| {
        let instant = name.strip_prefix(begins).and_then(|rest| rest.strip_suffix(ENDING));
        instant.is_some_and(|instant| instant.len() == digits && instant.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    let mut ours: Vec<String> = names.iter().filter(is_ours).cloned().collect();
    ours.sort_unstable_by(|one, other| (one.as_str() <= made, one).cmp(&(other.as_str() <= made, other)));
    ours.truncate(ours.len().saturating_sub(keep));
    ours
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
        let gone = |keep| to_go(&there, "autocall-aaaaaaaa-", keep, "autocall-aaaaaaaa-20261122T000000Z.backup");
        assert_eq!(gone(2), names(&["autocall-aaaaaaaa-20261120T000000Z.backup"]));
        assert_eq!(gone(3), names(&[]));
        assert_eq!(gone(1).len(), 2);
        assert_eq!(to_go(&[], "autocall-", 1, ""), names(&[]));
        // Whatever a wrong clock has named so, the one that was just made stays.
        let of_today = to_go(&there, "autocall-aaaaaaaa-", 1, "autocall-aaaaaaaa-20261121T000000Z.backup");
        assert_eq!(of_today, names(&["autocall-aaaaaaaa-20261122T000000Z.backup", "autocall-aaaaaaaa-20261120T000000Z.backup"]));
    }
}
