//! How long something took, of many: kept as counts of bounded buckets, so that a median of a month can be told without reading its alarms.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Seconds below this have a bucket each.
const SINGLE: u64 = 16;
/// Above, each doubling is cut into so many: what is told is wrong by less than a sixteenth.
const PARTS: u64 = 8;
/// The power of two at which the doublings begin.
const FIRST: u32 = 4;
/// What takes longer than this many doublings, some 97 days, is counted as that.
const LAST: u32 = 22;

/// So many buckets there are at most.
pub const BUCKETS: u16 = 16 + 8 * 19;

/// Counts of how often something took about so long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Times(BTreeMap<u16, i64>);

impl Times {
    /// One that took so many seconds; what seems to have ended before it began took none.
    #[must_use]
    pub fn of(seconds: i64) -> Self {
        Self(BTreeMap::from([(bucket(seconds.max(0).unsigned_abs()), 1)]))
    }

    /// Nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> i64 {
        self.0.values().sum()
    }

    /// Adds others so many times.
    pub fn add(&mut self, others: &Self, times: i64) {
        for (bucket, count) in &others.0 {
            let own = self.0.entry(*bucket).or_default();
            *own += count * times;
            if *own == 0 {
                self.0.remove(bucket);
            }
        }
    }

    /// So many seconds at most in so many of a hundred: the middle of the bucket in which that one is. `None` when there are none.
    #[must_use]
    pub fn percentile(&self, of_hundred: i64) -> Option<i64> {
        let count = self.count();
        if count <= 0 {
            return None;
        }
        // The nearest rank: of ten the fifth is the median, the ninth takes longer than nine of ten.
        let rank = (count * of_hundred + 99).div_euclid(100).max(1);
        let mut seen = 0;
        let found = self.0.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        });
        found.map(|(bucket, _)| middle(*bucket))
    }
}

fn bucket(seconds: u64) -> u16 {
    if seconds < SINGLE {
        return u16::try_from(seconds).unwrap_or_default();
    }
    let doubling = seconds.ilog2();
    if doubling > LAST {
        return BUCKETS - 1;
    }
    let part = (seconds >> (doubling - 3)) & (PARTS - 1);
    u16::try_from(SINGLE + u64::from(doubling - FIRST) * PARTS + part).unwrap_or(BUCKETS - 1)
}

fn middle(bucket: u16) -> i64 {
    let bucket = u64::from(bucket.min(BUCKETS - 1));
    if bucket < SINGLE {
        return i64::try_from(bucket).unwrap_or_default();
    }
    let doubling = (bucket - SINGLE) / PARTS + u64::from(FIRST);
    let part = (bucket - SINGLE) % PARTS;
    let width = 1_u64 << (doubling - 3);
    i64::try_from((PARTS + part) * width + (width - 1) / 2).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use proptest::prelude::*;

    use super::*;

    fn all(seconds: &[i64]) -> Times {
        let mut all = Times::default();
        for one in seconds {
            all.add(&Times::of(*one), 1);
        }
        all
    }

    #[test]
    fn the_median_and_nine_of_ten_are_told_by_the_nearest_rank() {
        let times = all(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!((times.percentile(50), times.percentile(90), times.percentile(100)), (Some(5), Some(9), Some(10)));
        assert_eq!(all(&[7]).percentile(50), Some(7));
        assert_eq!(all(&[7]).percentile(90), Some(7));
        assert_eq!(Times::default().percentile(50), None);
        assert_eq!(all(&[-5]).percentile(50), Some(0));
    }

    #[test]
    fn what_is_taken_off_again_leaves_nothing() {
        let mut times = all(&[3, 300]);
        times.add(&Times::of(300), -1);
        assert_eq!(times, all(&[3]));
        times.add(&Times::of(3), -1);
        assert!(times.is_empty());
    }

    #[test]
    fn however_long_it_takes_there_is_a_bucket() {
        for seconds in [0, 15, 16, 17, 31, 32, 1_000_000, 8_388_607, 8_388_608, i64::MAX] {
            assert!(bucket(seconds.unsigned_abs()) < BUCKETS, "{seconds}");
        }
        assert_eq!(bucket(8_388_607), BUCKETS - 1);
    }

    proptest! {
        /// What is told of many is what the one of that rank took, but for a sixteenth.
        #[test]
        fn a_percentile_is_near_what_the_one_of_that_rank_took(seconds in prop::collection::vec(0_i64..4_000_000, 1..80), of in 1_i64..=100) {
            let told = all(&seconds).percentile(of).unwrap();
            let mut sorted = seconds.clone();
            sorted.sort_unstable();
            let count = i64::try_from(sorted.len()).unwrap();
            let rank = usize::try_from(((count * of + 99) / 100).max(1)).unwrap();
            let exact = sorted[rank - 1];
            prop_assert!((told - exact).abs() * 16 <= exact.max(0) + 15 * i64::from(exact >= 16), "{told} for {exact}");
        }

        /// In whatever order they are counted, and written down and read in between.
        #[test]
        fn order_does_not_matter(mut seconds in prop::collection::vec(0_i64..100_000, 0..40)) {
            let forwards = all(&seconds);
            seconds.reverse();
            let written = serde_json::to_string(&all(&seconds)).unwrap();
            prop_assert_eq!(forwards, serde_json::from_str(&written).unwrap());
        }
    }
}
