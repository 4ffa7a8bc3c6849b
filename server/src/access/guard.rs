//! Tells those who try tokens: a token is short enough to type on a phone, so guessing must not go unnoticed.
//!
//! A right token is never refused, however many wrong ones came from its address: it is looked up first, and only wrong ones are
//! counted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// So many wrong tokens an address may try in a window before it is told to stop.
const WRONG_ALLOWED: u32 = 20;
const WINDOW: TimeDelta = TimeDelta::minutes(10);
/// Addresses remembered at most; beyond it the oldest windows go.
const MOST_ADDRESSES: usize = 10_000;

/// Who tried wrong tokens lately.
#[derive(Debug, Default)]
pub struct Guard(Mutex<HashMap<IpAddr, (u32, DateTime<Utc>)>>);

/// More wrong tokens than an address may try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyWrong {
    /// In how many seconds they are forgotten.
    pub seconds: i64,
}

impl Guard {
    /// Notes a wrong token.
    ///
    /// # Errors
    /// When too many came from there.
    pub fn wrong(&self, address: IpAddr, now: DateTime<Utc>) -> Result<(), TooManyWrong> {
        let mut wrong = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.len() >= MOST_ADDRESSES && !wrong.contains_key(&address) {
            wrong.retain(|_, (_, since)| now - *since < WINDOW);
            if wrong.len() >= MOST_ADDRESSES {
                wrong.clear();
            }
        }
        let (count, since) = wrong.entry(address).or_insert((0, now));
        if now - *since >= WINDOW {
            (*count, *since) = (0, now);
        }
        *count = count.saturating_add(1);
        if *count <= WRONG_ALLOWED {
            return Ok(());
        }
        if *count == WRONG_ALLOWED + 1 {
            tracing::warn!(%address, "many wrong keys or tokens come from this address");
        }
        Err(TooManyWrong { seconds: (*since + WINDOW - now).num_seconds().clamp(1, WINDOW.num_seconds()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_is_told_to_stop_for_a_while() {
        let guard = Guard::default();
        let (address, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let now = DateTime::UNIX_EPOCH;
        for _ in 0..WRONG_ALLOWED {
            assert_eq!(guard.wrong(address, now), Ok(()));
        }
        let later = now + TimeDelta::minutes(4);
        assert_eq!(guard.wrong(address, later), Err(TooManyWrong { seconds: 360 }));
        assert_eq!(guard.wrong(other, now), Ok(()));
        assert_eq!(guard.wrong(address, now + WINDOW), Ok(()));
    }
}
