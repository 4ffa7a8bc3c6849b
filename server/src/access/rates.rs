//! How many alarms a sender may send in a minute. Handsets' reports never come by here.
//!
//! A monitoring system that goes mad must not take the database from the phones. Each node counts for itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

const WINDOW: TimeDelta = TimeDelta::minutes(1);
/// Senders remembered at most; those whose minute is over go first.
const MOST_SENDERS: usize = 10_000;

/// What each sender has sent in its current minute, by key or address.
#[derive(Debug, Default)]
pub struct Rates(Mutex<HashMap<String, Minute>>);

/// What one has sent in its current minute.
#[derive(Debug)]
struct Minute {
    count: usize,
    since: DateTime<Utc>,
    refused: bool,
}

/// More than a sender may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// In how many seconds it may send again.
    pub seconds: i64,
    /// The first in this minute: worth a line in the log.
    pub first: bool,
}

impl Rates {
    /// Counts one more.
    ///
    /// # Errors
    /// Beyond the limit.
    pub fn admit(&self, sender: &str, limit: usize, now: DateTime<Utc>) -> Result<(), TooMany> {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.len() >= MOST_SENDERS && !sent.contains_key(sender) {
            sent.retain(|_, minute| now - minute.since < WINDOW);
            if sent.len() >= MOST_SENDERS {
                sent.clear();
            }
        }
        let begins = || Minute { count: 0, since: now, refused: false };
        let minute = sent.entry(sender.to_owned()).or_insert_with(begins);
        if now - minute.since >= WINDOW {
            *minute = begins();
        }
        minute.count = minute.count.saturating_add(1);
        if minute.count <= limit {
            return Ok(());
        }
        let seconds = (minute.since + WINDOW - now).num_seconds().clamp(1, WINDOW.num_seconds());
        Err(TooMany { seconds, first: !std::mem::replace(&mut minute.refused, true) })
    }

    /// What was let in a moment ago holds so many alarms beside the one that was counted.
    pub fn held_more(&self, sender: &str, more: usize) {
        if let Some(minute) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(sender) {
            minute.count = minute.count.saturating_add(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_room_for_so_many_and_the_next_one_again() {
        let (rates, now) = (Rates::default(), DateTime::UNIX_EPOCH);
        for _ in 0..3 {
            assert_eq!(rates.admit("zabbix", 3, now), Ok(()));
        }
        assert_eq!(rates.admit("zabbix", 3, now + TimeDelta::milliseconds(59_500)), Err(TooMany { seconds: 1, first: true }));
        assert_eq!(rates.admit("zabbix", 3, now + TimeDelta::seconds(20)), Err(TooMany { seconds: 40, first: false }));
        assert_eq!(rates.admit("prometheus", 3, now), Ok(()), "others have their own");
        assert_eq!(rates.admit("zabbix", 3, now + WINDOW), Ok(()));
    }

    #[test]
    fn a_list_counts_as_many_as_it_holds() {
        let (rates, now) = (Rates::default(), DateTime::UNIX_EPOCH);
        assert_eq!(rates.admit("n9e", 10, now), Ok(()));
        rates.held_more("n9e", 999);
        assert!(rates.admit("n9e", 10, now).is_err_and(|too_many| too_many.first), "it is said once");
        assert!(rates.admit("n9e", 10, now).is_err_and(|too_many| !too_many.first));
        assert_eq!(rates.admit("n9e", 10, now + WINDOW), Ok(()));
        rates.held_more("nobody", 1);
        assert_eq!(rates.admit("nobody", 1, now), Ok(()));
    }
}
