//! Locks within one process: the contract of the module above over a map.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{Answer, LockCounters, Released, Token};

/// Above this many entries the expired ones are swept out. They are otherwise replaced only when their name is asked for
/// again, and names contain phone numbers, of which there can be any number over the years.
const SWEEP_ABOVE: usize = 256;

/// Locks that live in this process and end with it.
#[derive(Clone, Debug, Default)]
pub struct LocalLocks {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    held: Mutex<HashMap<String, Hold>>,
    counters: Arc<LockCounters>,
}

#[derive(Clone, Copy, Debug)]
struct Hold {
    token: Token,
    /// `None` when the time limit is too long to be expressed: held until released.
    until: Option<Instant>,
}

impl Hold {
    fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl LocalLocks {
    pub(super) fn take(&self, names: &[String], token: Token, ttl: Duration) -> Answer {
        let now = Instant::now();
        let mut held = self.held();
        if names.iter().any(|name| held.get(name).is_some_and(|hold| !hold.is_over(now))) {
            return Answer::Theirs;
        }
        if held.len() > SWEEP_ABOVE {
            held.retain(|_, hold| !hold.is_over(now));
        }
        let hold = Hold { token, until: now.checked_add(ttl) };
        held.extend(names.iter().map(|name| (name.clone(), hold)));
        Answer::Ours
    }

    pub(super) fn release(&self, names: &[String], token: Token) -> Released {
        let now = Instant::now();
        let mut held = self.held();
        let mut released = Released::Freed;
        for name in names {
            match held.get(name) {
                Some(hold) if hold.token == token => {
                    if hold.is_over(now) {
                        released = Released::Expired;
                    }
                    held.remove(name);
                }
                Some(_) | None => released = Released::Expired,
            }
        }
        released
    }

    pub(super) fn counters(&self) -> &Arc<LockCounters> {
        &self.shared.counters
    }

    /// A panic elsewhere cannot leave the map half changed, so a poisoned lock is used as it is.
    fn held(&self) -> MutexGuard<'_, HashMap<String, Hold>> {
        self.shared.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_does_not_keep_expired_names_for_ever() {
        let locks = LocalLocks::default();
        for n in 0..20 * SWEEP_ABOVE {
            let name = [n.to_string()];
            let answer = locks.take(&name, Token::random(), Duration::ZERO);
            assert_eq!(answer, Answer::Ours);
        }
        assert!(locks.held().len() <= SWEEP_ABOVE + 1);
    }

    #[test]
    fn a_time_limit_beyond_the_clock_holds_until_release() {
        let locks = LocalLocks::default();
        let (name, token) = ([String::from("a")], Token::random());
        assert_eq!(locks.take(&name, token, Duration::MAX), Answer::Ours);
        assert_eq!(locks.take(&name, Token::random(), Duration::MAX), Answer::Theirs);
        assert_eq!(locks.release(&name, token), Released::Freed);
        assert_eq!(locks.take(&name, Token::random(), Duration::MAX), Answer::Ours);
    }
}
