//! How long to wait before something that failed is tried again: twice as long each time, up to a limit.

use chrono::TimeDelta;

/// Pauses that grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: TimeDelta,
    longest: TimeDelta,
}

impl Backoff {
    /// Pauses that begin with `first` and never exceed `longest`.
    #[must_use]
    pub const fn new(first: TimeDelta, longest: TimeDelta) -> Self {
        Self { first, longest }
    }

    /// The pause after so many pauses before it.
    #[must_use]
    pub fn pause(&self, before: i32) -> TimeDelta {
        let mut pause = self.first.min(self.longest);
        for _ in 0..before.max(0) {
            if pause == self.longest {
                break;
            }
            pause = (pause * 2).min(self.longest);
        }
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_is_twice_as_long_as_the_one_before() {
        let backoff = Backoff::new(TimeDelta::seconds(5), TimeDelta::minutes(1));
        let seconds = |before| backoff.pause(before).num_seconds();
        assert_eq!([-1, 0, 1, 2, 3, 4, 5, i32::MAX].map(seconds), [5, 5, 10, 20, 40, 60, 60, 60]);
    }

    proptest! {
        #[test]
        fn none_is_shorter_than_the_one_before_or_longer_than_the_limit(first in 1_i64..1_000, longest in 1_i64..1_000_000, before in 0_i32..100) {
            let backoff = Backoff::new(TimeDelta::milliseconds(first), TimeDelta::milliseconds(longest));
            let (one, next) = (backoff.pause(before), backoff.pause(before + 1));
            prop_assert!(TimeDelta::zero() < one && one <= next && next <= TimeDelta::milliseconds(longest));
        }
    }
}
