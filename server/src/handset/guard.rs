//! Slows down whoever tries tokens: a token is short enough to type on a phone, so guessing must not be free.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// So many wrong tokens an address may try in a window.
const WRONG_ALLOWED: u32 = 20;
const WINDOW: TimeDelta = TimeDelta::minutes(10);
/// Addresses remembered at most; beyond it the oldest windows go.
const MOST_ADDRESSES: usize = 10_000;

/// Who tried wrong tokens lately, and which tokens were good from where.
#[derive(Debug, Default)]
pub struct Guard(Mutex<Tries>);

#[derive(Debug, Default)]
struct Tries {
    wrong: HashMap<IpAddr, (u32, DateTime<Utc>)>,
    good: HashSet<(IpAddr, [u8; 32])>,
}

impl Guard {
    /// Whether a token from this address is looked at. A phone that polled from there before is never shut out by others
    /// behind the same address.
    #[must_use]
    pub fn may_try(&self, address: IpAddr, token_hash: &[u8; 32], now: DateTime<Utc>) -> bool {
        let tries = self.tries();
        match tries.wrong.get(&address) {
            Some((count, since)) if *count >= WRONG_ALLOWED && now - *since < WINDOW => {
                tries.good.contains(&(address, *token_hash))
            }
            _ => true,
        }
    }

    /// Notes a wrong token.
    pub fn wrong(&self, address: IpAddr, now: DateTime<Utc>) {
        let mut tries = self.tries();
        if tries.wrong.len() >= MOST_ADDRESSES && !tries.wrong.contains_key(&address) {
            tries.wrong.retain(|_, (_, since)| now - *since < WINDOW);
            if tries.wrong.len() >= MOST_ADDRESSES {
                tries.wrong.clear();
            }
        }
        let entry = tries.wrong.entry(address).or_insert((0, now));
        if now - entry.1 >= WINDOW {
            *entry = (0, now);
        }
        entry.0 = entry.0.saturating_add(1);
    }

    /// Notes a good token.
    pub fn good(&self, address: IpAddr, token_hash: [u8; 32]) {
        let mut tries = self.tries();
        if tries.good.len() >= MOST_ADDRESSES {
            tries.good.clear();
        }
        tries.good.insert((address, token_hash));
    }

    fn tries(&self) -> MutexGuard<'_, Tries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_is_stopped_and_the_phone_next_door_goes_on() {
        let guard = Guard::default();
        let (address, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let now = DateTime::UNIX_EPOCH;
        guard.good(address, [1; 32]);
        for _ in 0..WRONG_ALLOWED {
            assert!(guard.may_try(address, &[9; 32], now));
            guard.wrong(address, now);
        }
        assert!(!guard.may_try(address, &[9; 32], now));
        assert!(guard.may_try(address, &[1; 32], now), "it polled from there before");
        assert!(guard.may_try(other, &[9; 32], now));
        assert!(guard.may_try(address, &[9; 32], now + WINDOW));
    }
}
