//! Slows down whoever guesses passwords: by address, and by name.
//!
//! A name that others guess at must not be shut out for its owner, who may be on call: from an address from which it has logged in
//! before, only that address's own failures count.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

const WINDOW: TimeDelta = TimeDelta::minutes(10);
/// Failures in a window after which an address waits.
const PER_ADDRESS: u32 = 20;
/// Failures in a window after which a name waits.
const PER_NAME: u32 = 8;
/// Remembered at most.
const MOST: usize = 10_000;

/// Who failed lately, and who succeeded from where.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<Tries>);

#[derive(Debug, Default)]
struct Tries {
    by_address: Counts<IpAddr>,
    by_name: Counts<String>,
    good: HashSet<(IpAddr, String)>,
}

#[derive(Debug)]
struct Counts<K>(HashMap<K, (u32, DateTime<Utc>)>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Counts<K> {
    fn count(&self, key: &K, now: DateTime<Utc>) -> u32 {
        self.0.get(key).filter(|(_, since)| now - *since < WINDOW).map_or(0, |(count, _)| *count)
    }

    fn add(&mut self, key: K, now: DateTime<Utc>) {
        if self.0.len() >= MOST && !self.0.contains_key(&key) {
            self.0.retain(|_, (_, since)| now - *since < WINDOW);
            if self.0.len() >= MOST {
                self.0.clear();
            }
        }
        let entry = self.0.entry(key).or_insert((0, now));
        if now - entry.1 >= WINDOW {
            *entry = (0, now);
        }
        entry.0 = entry.0.saturating_add(1);
    }
}

impl Throttle {
    /// Counts a try as failed until [`Throttle::good`] takes it back; false when it may not even be looked at. Counting first keeps
    /// many tries at once from slipping through.
    pub(super) fn admit(&self, address: IpAddr, name: &str, now: DateTime<Utc>) -> bool {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = key(name);
        let known_here = tries.good.contains(&(address, name.clone()));
        if tries.by_address.count(&address, now) >= PER_ADDRESS || (!known_here && tries.by_name.count(&name, now) >= PER_NAME) {
            return false;
        }
        tries.by_address.add(address, now);
        tries.by_name.add(name, now);
        true
    }

    /// The password was right.
    pub(super) fn good(&self, address: IpAddr, name: &str) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = key(name);
        tries.by_name.0.remove(&name);
        // Not forgotten: one right password must not make room for more guesses at others.
        if let Some((count, _)) = tries.by_address.0.get_mut(&address) {
            *count = count.saturating_sub(1);
        }
        if tries.good.len() >= MOST {
            tries.good.clear();
        }
        tries.good.insert((address, name));
    }
}

/// Names are told apart as they are, but not beyond the length that a name has.
fn key(name: &str) -> String {
    name.trim().chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn guessing_at_a_name_ends_soon_and_starts_again_later() {
        let (throttle, now) = (Throttle::default(), DateTime::UNIX_EPOCH);
        for _ in 0..PER_NAME {
            assert!(throttle.admit(HERE, "lin", now));
        }
        assert!(!throttle.admit(HERE, "lin", now));
        assert!(!throttle.admit(THERE, " lin", now), "from elsewhere too");
        assert!(throttle.admit(HERE, "li", now));
        assert!(throttle.admit(HERE, "lin", now + WINDOW));
    }

    #[test]
    fn guessing_at_many_names_ends_too() {
        let (throttle, now) = (Throttle::default(), DateTime::UNIX_EPOCH);
        for number in 0..PER_ADDRESS {
            assert!(throttle.admit(HERE, &format!("user{number}"), now));
        }
        assert!(!throttle.admit(HERE, "another", now));
        assert!(throttle.admit(THERE, "another", now));
    }

    #[test]
    fn the_owner_is_not_shut_out_by_others() {
        let (throttle, now) = (Throttle::default(), DateTime::UNIX_EPOCH);
        assert!(throttle.admit(HERE, "lin", now));
        throttle.good(HERE, "lin");
        for _ in 0..PER_NAME {
            throttle.admit(THERE, "lin", now);
        }
        assert!(!throttle.admit(THERE, "lin", now));
        assert!(throttle.admit(HERE, "lin", now));
    }
}
