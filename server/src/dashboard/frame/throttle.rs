//! Slows down whoever guesses passwords, and locks nobody out.
//!
//! Failures count for a name from one network: whoever guesses from elsewhere does not slow its owner down. A browser from which
//! somebody has logged in before counts by itself. Where many names are tried from one network, or one name from many, less is
//! let pass before it gets slow.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// Failures are forgotten so long after the last one.
const WINDOW: TimeDelta = TimeDelta::minutes(10);
/// Tries for a name from one network, or from a browser we know, before each has to wait.
const FREE: u32 = 5;
/// The same while the network or the name is under attack.
const FREE_UNDER_ATTACK: u32 = 2;
/// Failures from one network, whatever the name, after which it counts as an attacker's.
const MANY_FROM_NETWORK: u32 = 20;
/// Failures for one name, wherever from, after which it counts as under attack.
const MANY_FOR_NAME: u32 = 50;
/// The longest time between two tries, in seconds.
const LONGEST_PAUSE: i64 = 30;
/// So many refusals are noted in an hour.
const MOST_NOTED: u32 = 100;
/// Remembered at most.
const MOST: usize = 10_000;

/// From where somebody tries.
#[derive(Clone, Copy, Debug)]
pub(in crate::dashboard) struct From<'c> {
    pub(in crate::dashboard) address: IpAddr,
    /// The browser, if this user has logged in from it before.
    pub(in crate::dashboard) device: Option<&'c str>,
}

/// A try that came too soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dashboard) struct TooSoon {
    /// In how many seconds it will be looked at.
    pub(in crate::dashboard) seconds: i64,
    /// The first of these in a row: worth a line in the log.
    pub(in crate::dashboard) first: bool,
}

/// Who failed lately.
#[derive(Debug, Default)]
pub(in crate::dashboard) struct Throttle(Mutex<Tries>);

#[derive(Debug, Default)]
struct Tries {
    /// Those of a name, and of a browser or network.
    places: Counts<(String, Place)>,
    networks: Counts<IpAddr>,
    names: Counts<String>,
    /// Since when refusals are counted that are noted, and how many those are.
    noted: Option<(DateTime<Utc>, u32)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    Device(String),
    Network(IpAddr),
}

#[derive(Clone, Copy, Debug)]
struct Count {
    failures: u32,
    last: DateTime<Utc>,
    /// Tries before this are not looked at.
    next: DateTime<Utc>,
    /// One was told so.
    told: bool,
}

#[derive(Debug)]
struct Counts<K>(HashMap<K, Count>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Counts<K> {
    fn failures(&self, key: &K, now: DateTime<Utc>) -> u32 {
        self.0.get(key).filter(|count| now - count.last < WINDOW).map_or(0, |count| count.failures)
    }

    fn of(&mut self, key: K, now: DateTime<Utc>) -> &mut Count {
        if self.0.len() >= MOST && !self.0.contains_key(&key) {
            self.0.retain(|_, count| now - count.last < WINDOW);
            if self.0.len() >= MOST {
                self.0.clear();
            }
        }
        let none = Count { failures: 0, last: now, next: now, told: false };
        let count = self.0.entry(key).or_insert(none);
        if now - count.last >= WINDOW {
            *count = none;
        }
        count
    }

    fn add(&mut self, key: K, now: DateTime<Utc>) {
        let count = self.of(key, now);
        count.failures = count.failures.saturating_add(1);
        count.last = now;
    }

    fn take_back(&mut self, key: &K) {
        if let Some(count) = self.0.get_mut(key) {
            count.failures = count.failures.saturating_sub(1);
        }
    }
}

impl Throttle {
    /// Whether another refusal may be noted in the audit log.
    pub(in crate::dashboard) fn may_be_noted(&self, now: DateTime<Utc>) -> bool {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) = match tries.noted {
            Some((since, count)) if now - since < TimeDelta::hours(1) => (since, count),
            _ => (now, 0),
        };
        tries.noted = Some((since, count.saturating_add(1)));
        count < MOST_NOTED
    }

    /// Counts a try as failed until [`Throttle::good`] takes it back. Counting first keeps many tries at once from slipping
    /// through.
    ///
    /// # Errors
    /// When it may not even be looked at yet.
    pub(in crate::dashboard) fn admit(&self, from: From<'_>, name: &str, now: DateTime<Utc>) -> Result<(), TooSoon> {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (name, network) = (key(name), network(from.address));
        let attacked = from.device.is_none()
            && (tries.networks.failures(&network, now) >= MANY_FROM_NETWORK || tries.names.failures(&name, now) >= MANY_FOR_NAME);
        let place = tries.places.of((name.clone(), Place::of(from)), now);
        if now < place.next {
            let first = !std::mem::replace(&mut place.told, true);
            let left = place.next - now;
            return Err(TooSoon { seconds: (left.num_milliseconds() + 999) / 1000, first });
        }
        place.failures = place.failures.saturating_add(1);
        place.last = now;
        let beyond = place.failures.checked_sub(if attacked { FREE_UNDER_ATTACK } else { FREE });
        let pause = beyond.map_or(0, |beyond| LONGEST_PAUSE.min(1 << beyond.min(16)));
        place.next = now + TimeDelta::seconds(pause);
        if from.device.is_none() {
            tries.networks.add(network, now);
        }
        tries.names.add(name, now);
        Ok(())
    }

    /// The password was right.
    pub(in crate::dashboard) fn good(&self, from: From<'_>, name: &str) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = key(name);
        tries.places.0.remove(&(name.clone(), Place::of(from)));
        // Not forgotten: one right password must not make room for more guesses at others.
        if from.device.is_none() {
            tries.networks.take_back(&network(from.address));
        }
        tries.names.take_back(&name);
    }
}

impl Place {
    fn of(from: From<'_>) -> Self {
        match from.device {
            Some(device) => Self::Device(device.to_owned()),
            None => Self::Network(network(from.address)),
        }
    }
}

/// The network that one client can choose its addresses from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, 0))
        }
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 64 << 64)),
    }
}

/// Names are told apart as they are, but not beyond the length that a name has.
fn key(name: &str) -> String {
    name.trim().chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: From<'_> = From { address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), device: None };
    const THERE: From<'_> = From { address: IpAddr::V4(Ipv4Addr::new(10, 0, 7, 2)), device: None };
    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

    #[test]
    fn guessing_gets_slow_and_never_stops_for_good() {
        let throttle = Throttle::default();
        for _ in 0..FREE {
            assert_eq!(throttle.admit(HERE, "lin", NOW), Ok(()));
        }
        assert_eq!(throttle.admit(HERE, "lin", NOW), Err(TooSoon { seconds: 1, first: true }));
        let neighbour = From { address: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)), device: None };
        assert_eq!(throttle.admit(neighbour, " lin", NOW), Err(TooSoon { seconds: 1, first: false }), "one network");
        let mut now = NOW;
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            now += TimeDelta::seconds(pause);
            assert_eq!(throttle.admit(HERE, "lin", now), Ok(()), "after {pause} s");
            assert!(throttle.admit(HERE, "lin", now).is_err());
        }
        assert_eq!(throttle.admit(HERE, "li", now), Ok(()), "another name");
        throttle.good(HERE, "lin");
        assert_eq!(throttle.admit(HERE, "lin", now), Ok(()));
    }

    #[test]
    fn others_do_not_slow_the_owner_down() {
        let throttle = Throttle::default();
        for second in 0..2000 {
            let _ = throttle.admit(HERE, "lin", NOW + TimeDelta::seconds(second));
        }
        let now = NOW + TimeDelta::seconds(2000);
        for _ in 0..FREE_UNDER_ATTACK {
            assert_eq!(throttle.admit(THERE, "lin", now), Ok(()), "from another network");
        }
        assert!(throttle.admit(THERE, "lin", now).is_err());
        let known = From { device: Some("d"), ..HERE };
        for _ in 0..FREE {
            assert_eq!(throttle.admit(known, "lin", now), Ok(()), "from a browser we know, in the guesser's own network");
        }
        assert!(throttle.admit(known, "lin", now).is_err(), "which may be stolen");
    }

    #[test]
    fn guessing_at_many_names_gets_slow_too() {
        let throttle = Throttle::default();
        for number in 0..MANY_FROM_NETWORK {
            assert_eq!(throttle.admit(HERE, &format!("user{number}"), NOW), Ok(()));
        }
        let tries = |from: From<'_>| (0..FREE).filter(|_| throttle.admit(from, "another", NOW).is_ok()).count();
        assert_eq!(tries(HERE), 2);
        assert_eq!(tries(THERE), 5);
        assert_eq!(throttle.admit(HERE, "another", NOW + WINDOW), Ok(()), "forgotten");
    }
}
