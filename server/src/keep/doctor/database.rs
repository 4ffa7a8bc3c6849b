//! Whether the database can be used by this program, and whether its clock and ours agree.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use super::{Finding, Seen};
use crate::store::StoreError;
use crate::store::dialect::Dialect;
use crate::store::open::primary::{Host, HostState};

/// Clocks that are so far apart are worth a word: a node measures the difference, people see it.
const CLOCKS_APART: TimeDelta = TimeDelta::seconds(2);
/// And so far: times on the page and in notices are wrong.
const CLOCKS_FAR_APART: TimeDelta = TimeDelta::seconds(60);

pub(super) fn check(seen: &Seen) -> BoxFuture<'_, Result<Vec<Finding>, StoreError>> {
    Box::pin(async move {
        let looked = match &seen.database {
            Ok(Some(looked)) => looked,
            Ok(None) => {
                let folder = seen.config().data_dir.display();
                let said = format!("there is no database in {folder} yet");
                return Ok(vec![Finding::warn(said, "start the server, which makes it; or correct data_dir")]);
            }
            Err(error) => {
                return Ok(vec![Finding::bad(error.to_string(), "see docs/operating.md, \"Where the data is\"")]);
            }
        };
        let kind = match looked.store.dialect() {
            Dialect::Sqlite => "the embedded database",
            Dialect::Postgres => "Postgres",
        };
        if let Some(store) = seen.store() {
            store.read().await?.db().ping().await?;
        }
        let mut found = vec![tables(kind, looked.at, looked.known, looked.works)];
        let hosts = looked.store.hosts();
        if hosts.len() > 1 {
            found.extend(hosts.iter().map(of_host));
            found.extend(of_replication(looked.store.waits_for_standby().await?));
        }
        Ok(found)
    })
}

/// What one of several hosts is.
fn of_host(host: &Host) -> Finding {
    let place = &host.place;
    match &host.state {
        HostState::Used => Finding::good(format!("{place} is the primary")),
        HostState::Standby => Finding::good(format!("{place} is a standby")),
        HostState::Same => Finding::good(format!("{place} leads to the primary too")),
        HostState::Away(why) => Finding::warn(why.clone(), "start it, or take it out of database_url"),
        HostState::OldPrimary => Finding::bad(
            format!("{place} says that it is the primary, and another one was promoted since: it is not used"),
            "make it a standby of the primary (pg_rewind or pg_basebackup); see docs/failover.md",
        ),
        HostState::Stranger => Finding::bad(
            format!("{place} belongs to another cluster: it is not used"),
            "correct the hosts in database_url; see docs/failover.md",
        ),
        HostState::Twin => Finding::bad(
            format!("{place} says that it is the primary as well, on the same timeline: it is not used"),
            "stop the one of the two that is not meant; see docs/failover.md",
        ),
    }
}

/// Whether something may be lost when a standby is promoted.
fn of_replication(waits: bool) -> Option<Finding> {
    (!waits).then(|| {
        Finding::warn(
            "the primary does not wait for a standby: what was accepted in the last moments before a failover may be lost",
            "set synchronous_standby_names and leave synchronous_commit on; see docs/failover.md",
        )
    })
}

/// How far its tables are.
fn tables(kind: &str, at: Option<i64>, known: i64, works: bool) -> Finding {
    match at {
        Some(at) if at > known && works => Finding::warn(
            format!("the tables in {kind} are of a newer program ({at}) than this one ({known}), for which they still work"),
            "install the newer program here as well",
        ),
        Some(at) if at == known => Finding::good(format!("{kind} answers, and its tables are up to date ({at})")),
        Some(at) if at > known => Finding::bad(
            format!("the tables in {kind} are of a newer program ({at}) than this one ({known})"),
            "install the newer program again; see docs/operating.md before going back",
        ),
        Some(at) => Finding::warn(
            format!("the tables in {kind} are of an older program ({at}) than this one ({known}); other checks wait for that"),
            "make a backup, then start the server with this program, which brings them up to date",
        ),
        None => Finding::warn(format!("{kind} answers and holds no tables yet"), "start the server, which makes them"),
    }
}

pub(super) fn check_clock(seen: &Seen) -> BoxFuture<'_, Result<Vec<Finding>, StoreError>> {
    Box::pin(async move {
        let Some(store) = seen.store() else { return Ok(Vec::new()) };
        // A first time for the connection: the second one takes as long as the way there and back.
        store.database_time().await?;
        let before = seen.clock.now();
        if let Some(theirs) = store.database_time().await? {
            // It was read at some instant between: a slow answer says nothing of the clock.
            return Ok(vec![apart(theirs.clamp(before, seen.clock.now().max(before)), theirs)]);
        }
        let latest = store.read().await?.db().latest_event_at().await?;
        Ok(vec![behind(seen.clock.now(), latest)])
    })
}

/// Two clocks that should be the same.
fn apart(ours: DateTime<Utc>, theirs: DateTime<Utc>) -> Finding {
    let difference = (ours - theirs).abs();
    let told = format!("this computer's clock and the database's are {} s apart", difference.num_seconds());
    let todo = "let both computers follow a time server: timedatectl set-ntp true";
    match difference {
        far if far >= CLOCKS_FAR_APART => Finding::bad(told, todo),
        some if some >= CLOCKS_APART => Finding::warn(told, todo),
        _ => Finding::good("this computer's clock agrees with the database's"),
    }
}

/// A clock that is behind what it has written down.
fn behind(now: DateTime<Utc>, latest: Option<DateTime<Utc>>) -> Finding {
    match latest.filter(|latest| *latest - now >= CLOCKS_APART) {
        Some(latest) => Finding::bad(
            format!("this computer's clock is {} s behind the last event that was written down", (latest - now).num_seconds()),
            "set it right: timedatectl set-ntp true",
        ),
        None => Finding::good("this computer's clock is not behind what was written down"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keep::doctor::Grade;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap_or_default()
    }

    #[test]
    fn tables_of_another_program_are_told_by_which_is_newer() {
        let grade = |at, known| tables("x", at, known, false).grade;
        assert_eq!((tables("x", Some(8), 7, true).grade, tables("x", Some(7), 7, true).grade), (Grade::Warn, Grade::Good));
        assert_eq!((grade(Some(7), 7), grade(Some(6), 7), grade(Some(8), 7)), (Grade::Good, Grade::Warn, Grade::Bad));
        assert_eq!(grade(None, 7), Grade::Warn);
    }

    #[test]
    fn hosts_are_judged_by_whether_somebody_has_to_do_something() {
        let grade = |state| of_host(&Host { place: "db:5432/a".to_owned(), state }).grade;
        assert_eq!((grade(HostState::Used), grade(HostState::Standby)), (Grade::Good, Grade::Good));
        assert_eq!(grade(HostState::Away("db:5432/a: refused".to_owned())), Grade::Warn);
        assert_eq!([HostState::OldPrimary, HostState::Stranger, HostState::Twin].map(grade), [Grade::Bad; 3]);
        assert_eq!((of_replication(true), of_replication(false).map(|found| found.grade)), (None, Some(Grade::Warn)));
    }

    #[test]
    fn clocks_are_judged_by_how_far_they_are_apart() {
        for (seconds, grade) in [(0, Grade::Good), (1, Grade::Good), (-2, Grade::Warn), (59, Grade::Warn), (-60, Grade::Bad)] {
            assert_eq!(apart(at(seconds), at(0)).grade, grade, "{seconds}");
        }
        assert_eq!((behind(at(0), None).grade, behind(at(5), Some(at(0))).grade), (Grade::Good, Grade::Good));
        assert_eq!((behind(at(0), Some(at(1))).grade, behind(at(0), Some(at(2))).grade), (Grade::Good, Grade::Bad));
    }
}
