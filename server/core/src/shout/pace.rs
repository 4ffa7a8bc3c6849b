//! How fast a shout goes out, when a call is tried again, and when all of it takes too long.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

/// How long before a call that could not be made is tried again; the last one goes for every further try.
const PAUSES: [TimeDelta; 3] = [TimeDelta::seconds(60), TimeDelta::seconds(180), TimeDelta::seconds(600)];

/// For so long after its beginning, a shout that took too long may still finish.
pub const LATE_WITHIN: TimeDelta = TimeDelta::hours(12);

/// How fast calls go out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// So many in one second, over all shouts.
    pub calls_per_second: u32,
    /// So many, then a pause as long as the message.
    pub batch_size: u32,
    /// How much longer than its message a call may take.
    pub length_ratio: f64,
    /// What is added to that for the whole of a shout.
    pub patience: TimeDelta,
    /// How often a call that could not be made is tried again.
    pub most_retries: u32,
}

impl Pace {
    /// When the next try may begin of a call that failed now for the time after `retries` earlier tries; `None`: there is none.
    #[must_use]
    pub fn retry_at(&self, retries: u32, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let pause = usize::try_from(retries).ok().and_then(|retries| PAUSES.get(retries)).or(PAUSES.last())?;
        (retries < self.most_retries).then_some(now + *pause)
    }

    /// How long after the first call of its shout the call at a place, counted from 0, goes out at the earliest.
    #[must_use]
    pub fn offset(&self, place: u32, message: TimeDelta) -> TimeDelta {
        let batch = place / self.batch_size.max(1);
        let pause = message.max(TimeDelta::zero());
        i32::try_from(batch).ok().and_then(|batch| pause.checked_mul(batch)).unwrap_or(TimeDelta::MAX)
    }

    /// Whether one more call may go out in the second of `now`, when `out` went out in the second `counted`; else when the next may.
    ///
    /// # Errors
    /// The beginning of the next second.
    pub fn admits(&self, counted: DateTime<Utc>, out: u32, now: DateTime<Utc>) -> Result<u32, DateTime<Utc>> {
        let (this, counted) = (second(now), second(counted));
        // A clock that went back counts on in the second that was counted last: at no time there are more than there may be.
        let (this, out) = if this > counted { (this, 0) } else { (counted, out) };
        if out < self.calls_per_second.max(1) { Ok(out + 1) } else { Err(this + TimeDelta::seconds(1)) }
    }

    /// When a shout takes too long that began at `started`, with so many calls and a message of that length (the document's formula).
    #[must_use]
    pub fn overdue_at(&self, started: DateTime<Utc>, calls: u32, message: TimeDelta) -> DateTime<Utc> {
        let batches = f64::from(calls) / f64::from(self.batch_size.max(1));
        let seconds = batches * message.as_seconds_f64().max(0.0) * self.length_ratio.max(0.0);
        // A hundred years are as good as never, and can be added to any time that a database holds.
        #[expect(clippy::cast_possible_truncation, reason = "bounded just before")]
        let milliseconds = (seconds.min(3.2e9) * 1000.0) as i64;
        started.checked_add_signed(TimeDelta::milliseconds(milliseconds) + self.patience).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

fn second(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::seconds(1)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use proptest::prelude::*;

    use super::*;

    const DOCUMENT: Pace =
        Pace { calls_per_second: 25, batch_size: 50, length_ratio: 1.5, patience: TimeDelta::seconds(300), most_retries: 3 };

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(millis).unwrap()
    }

    #[test]
    fn what_could_not_be_called_is_tried_again_with_growing_pauses() {
        let pauses: Vec<_> = (0..4).map(|retries| DOCUMENT.retry_at(retries, at(0)).map(|at| at.timestamp())).collect();
        assert_eq!(pauses, [Some(60), Some(180), Some(600), None]);
        let patient = Pace { most_retries: 10, ..DOCUMENT };
        assert_eq!(patient.retry_at(7, at(0)), Some(at(600_000)));
    }

    #[test]
    fn batches_are_a_message_apart() {
        let offsets: Vec<_> =
            [0, 49, 50, 99, 100, 119].map(|place| DOCUMENT.offset(place, TimeDelta::seconds(7)).num_seconds()).into();
        assert_eq!(offsets, [0, 0, 7, 7, 14, 14]);
        assert!(DOCUMENT.offset(u32::MAX, TimeDelta::MAX) > TimeDelta::zero());
    }

    #[test]
    fn the_documents_time_out() {
        assert_eq!(
            DOCUMENT.overdue_at(at(0), 120, TimeDelta::seconds(7)).timestamp(),
            325,
            "120 / 50 x 7 x 1.5 + 300, cut to whole"
        );
        assert!(DOCUMENT.overdue_at(at(0), u32::MAX, TimeDelta::MAX) > at(0));
    }

    proptest! {
        /// However calls ask, and however the clock goes, no second has more than it may.
        #[test]
        fn no_second_has_more_than_it_may(asks in proptest::collection::vec(-300_i64..600, 1..400), most in 1_u32..30) {
            let pace = Pace { calls_per_second: most, ..DOCUMENT };
            let (mut now, mut counted, mut out) = (at(1_000_000), at(0), 0);
            let mut by_second = std::collections::HashMap::new();
            for step in asks {
                now += TimeDelta::milliseconds(step);
                match pace.admits(counted, out, now) {
                    Ok(count) => {
                        (counted, out) = (second(now).max(second(counted)), count);
                        let own = by_second.entry(counted).or_insert(0);
                        *own += 1;
                        prop_assert!(*own <= most);
                    }
                    Err(next) => {
                        prop_assert!(next > second(now));
                        prop_assert!(pace.admits(counted, out, next).is_ok(), "then it may");
                    }
                }
            }
        }
    }
}
