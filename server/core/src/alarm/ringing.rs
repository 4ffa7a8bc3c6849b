//! Until when a phone may be ringing, told from when it was served, what it reported, and how its dial ended.
//!
//! A phone is believed to ring from its last serve, because every earlier answer may have been lost on the way. Everything that keeps
//! a handset or a number in peace asks [`quiet`], and nothing else decides. The rules, in words:
//!
//! 1. A report that names who answered, or that tells how each call ended, proves that the call is over.
//! 2. The stock app blocks, perhaps for ever, when it is told to dial while its line rings. It is left in peace for ring time from
//!    its last serve, however its dial ended.
//! 3. It may report *nobody* while the line still rings, but never in the pass in which it dials: after such a report the last serve
//!    but one counts, or the only one.
//! 4. Every other handset reports when it is done, so only a cancellation or a deadline leaves doubt.

use chrono::{DateTime, TimeDelta, Utc};

/// A poll is answered within this time, so that a serve may leave so long after its dial was closed.
const LEAVES_WITHIN: TimeDelta = TimeDelta::seconds(8);
/// Between its start and its first poll the app's service sleeps so long. A lost answer is asked for again after 15 to 25 s.
const SERVICE_STARTS: TimeDelta = TimeDelta::seconds(30);
/// While the interval of a phone is not known yet, it may be the 70 s that older builds need: then a gap of so long is none.
const MAY_BE_AN_INTERVAL: TimeDelta = TimeDelta::seconds(60);

/// A handset at work that says nothing for so long is given up.
const SILENT_FOR: TimeDelta = TimeDelta::seconds(60);
/// Time that is left after the longest call.
const AFTER_THE_CALL: TimeDelta = TimeDelta::seconds(120);

/// When a mid was given to its handset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serves {
    /// The last time.
    pub last: DateTime<Utc>,
    /// The time before that; `None` when there was only one.
    pub before: Option<DateTime<Utc>>,
}

impl Serves {
    /// Served for the first time.
    #[must_use]
    pub fn first(at: DateTime<Utc>) -> Self {
        Self { last: at, before: None }
    }

    /// Served once more; what is heard of late is put into its place.
    #[must_use]
    pub fn and(self, at: DateTime<Utc>) -> Self {
        if at >= self.last {
            Self { last: at, before: Some(self.last) }
        } else {
            Self { last: self.last, before: Some(self.before.map_or(at, |before| before.max(at))) }
        }
    }
}

/// What a report proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The call is over.
    Over,
    /// Nobody picked up so far.
    Nobody,
}

/// Why a dial was closed without a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// Its deadline passed: by then a call has long ended, or is being talked in.
    Deadline(DateTime<Utc>),
    /// It was not wanted any more.
    Unwanted(DateTime<Utc>),
}

impl Close {
    fn at(self) -> DateTime<Utc> {
        match self {
            Self::Deadline(at) | Self::Unwanted(at) => at,
        }
    }
}

/// What is known of one dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// It was handed to the stock app, or served to it.
    pub stock_app: bool,
    /// When it was served.
    pub serves: Serves,
    /// What its handset reported.
    pub report: Option<Proof>,
    /// How it ended, where it did.
    pub close: Option<Close>,
    /// The longest that a call rings.
    pub ring: TimeDelta,
}

/// Until when whom must be left in peace; `None`: not at all, as far as this dial goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quiet {
    /// The handset is given no other mid before then.
    pub handset: Option<DateTime<Utc>>,
    /// Its numbers are given to no other handset before then. While the dial is open it holds them besides.
    pub numbers: Option<DateTime<Utc>>,
}

/// Until when a dial may make its phone ring, as seen at `now`.
#[must_use]
pub fn quiet(line: &Line, now: DateTime<Utc>) -> Quiet {
    let Serves { last, before } = line.serves;
    let both = |until| Quiet { handset: Some(until), numbers: Some(until) };
    let quiet = match (line.report, line.stock_app, line.close) {
        (Some(Proof::Over), ..) | (Some(Proof::Nobody), false, _) | (None, false, None) => Quiet::default(),
        (Some(Proof::Nobody), true, _) => both(before.unwrap_or(last) + line.ring),
        (None, true, close) => both(close.map_or(last, |close| last.min(close.at() + LEAVES_WITHIN)) + line.ring),
        (None, false, Some(Close::Deadline(at))) => Quiet { handset: Some(at + line.ring), numbers: Some(last + line.ring) },
        (None, false, Some(Close::Unwanted(at))) => both(at + line.ring),
    };
    let ahead = |until: &DateTime<Utc>| *until > now;
    Quiet { handset: quiet.handset.filter(ahead), numbers: quiet.numbers.filter(ahead) }
}

/// The deadline of a dial that is served at an instant: whoever hears of it only now can still ring and report. Serves move it by no
/// more than the dial's own length, so that a dial ends after twice its length at the latest. `more` is the time for a report.
#[must_use]
pub fn deadline_after(
    served_at: DateTime<Utc>,
    deadline: DateTime<Utc>,
    offered_at: DateTime<Utc>,
    length: TimeDelta,
    ring: TimeDelta,
    more: TimeDelta,
) -> DateTime<Utc> {
    deadline.max((served_at + ring + more).min(offered_at + length * 2))
}

/// The deadline of an open dial whose handset has just said how far its call is: a minute from now at least, for as long as the call may
/// ring, last, and be reported. `talk` is the longest that it lasts.
#[must_use]
pub fn deadline_at_work(
    now: DateTime<Utc>,
    deadline: DateTime<Utc>,
    offered_at: DateTime<Utc>,
    ring: TimeDelta,
    talk: TimeDelta,
) -> DateTime<Utc> {
    let most = offered_at + ring + talk + AFTER_THE_CALL;
    deadline.max((now + SILENT_FOR).min(most))
}

/// The deadline of an open dial after a time in which handsets could not be served; `None` where that came too late: the deadline
/// passed longer ago than the dial's own length, and nobody is rung in the morning for the night.
#[must_use]
pub fn graced(deadline: DateTime<Utc>, length: TimeDelta, grace: TimeDelta, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (!is_long_over(deadline, length, now)).then(|| deadline.max(now + grace))
}

/// The deadline passed longer ago than the dial's own length.
#[must_use]
pub fn is_long_over(deadline: DateTime<Utc>, length: TimeDelta, now: DateTime<Utc>) -> bool {
    deadline + length <= now
}

/// What is known when the stock app asks for an open mid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// When the mid was served so far.
    pub serves: Serves,
    /// How often.
    pub times: i32,
    /// The usual time between two polls of this phone; `None`: not known yet.
    pub interval: Option<TimeDelta>,
    /// The longest that a call rings.
    pub ring: TimeDelta,
}

/// Until when a poll for an open mid is not answered with it, because no healthy app sends such a poll: the app was started again
/// while its line rings, and would dial into its own call. `None`: it is served.
///
/// A healthy app asks once more, an interval later, and then not before its call is over; or again after 15 to 25 s when an answer
/// was lost.
#[must_use]
pub fn withheld_until(asked: &Asked, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let gap = now - asked.serves.last;
    let rings = gap < asked.ring;
    let unusual = match asked.times {
        ..=1 => {
            // Later than an interval and its jitter, or earlier, when it is a long one.
            let odd = |interval| gap > interval * 2 || gap * 4 < interval * 3;
            gap >= SERVICE_STARTS && asked.interval.map_or(gap < MAY_BE_AN_INTERVAL, odd)
        }
        _ => true,
    };
    (rings && unusual).then(|| asked.serves.last + asked.ring)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RING: TimeDelta = TimeDelta::seconds(75);

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn served(times: &[i64]) -> Serves {
        times[1..].iter().fold(Serves::first(at(times[0])), |serves, time| serves.and(at(*time)))
    }

    fn line(times: &[i64]) -> Line {
        Line { stock_app: true, serves: served(times), report: None, close: None, ring: RING }
    }

    fn until(line: &Line) -> Option<i64> {
        quiet(line, at(-1)).handset.map(|until| until.timestamp())
    }

    #[test]
    fn the_last_serve_counts_and_a_report_takes_one_back() {
        assert_eq!(until(&line(&[0])), Some(75));
        assert_eq!(until(&line(&[0, 25])), Some(100));
        let nobody = |times| until(&Line { report: Some(Proof::Nobody), ..line(times) });
        assert_eq!(nobody(&[0, 10]), Some(75), "the normal dial");
        assert_eq!(nobody(&[0, 70]), Some(75), "and that of a phone that asks every 70 s");
        assert_eq!(nobody(&[0, 25, 35]), Some(100), "the first answer was lost");
        assert_eq!(nobody(&[0]), Some(75));
        assert_eq!(until(&Line { report: Some(Proof::Over), ..line(&[0, 25]) }), None);
        assert_eq!(quiet(&line(&[0]), at(75)), Quiet::default());
    }

    #[test]
    fn a_close_ends_it_ring_time_later_at_the_latest() {
        let unwanted = |times, closed| until(&Line { close: Some(Close::Unwanted(at(closed))), ..line(times) });
        assert_eq!(unwanted(&[0, 25], 29), Some(100));
        assert_eq!(unwanted(&[0, 25], 24), Some(100), "the answer left a second after the cancellation");
        assert_eq!(unwanted(&[0, 500], 29), Some(29 + 8 + 75), "whatever a clock said");
        let list = Line { stock_app: false, ..line(&[0, 100]) };
        assert_eq!(until(&list), None);
        let expired = quiet(&Line { close: Some(Close::Deadline(at(300))), ..list }, at(0));
        assert_eq!((expired.handset, expired.numbers), (Some(at(375)), Some(at(175))));
        let unwanted = quiet(&Line { close: Some(Close::Unwanted(at(110))), ..list }, at(0));
        assert_eq!((unwanted.handset, unwanted.numbers), (Some(at(185)), Some(at(185))));
    }

    #[test]
    fn serves_move_the_deadline_by_its_own_length_at_most() {
        let after = |served: i64, deadline: i64| {
            deadline_after(at(served), at(deadline), at(0), TimeDelta::seconds(180), RING, TimeDelta::seconds(60)).timestamp()
        };
        assert_eq!(after(10, 180), 180);
        assert_eq!(after(45, 180), 180);
        assert_eq!(after(46, 180), 181);
        assert_eq!(after(173, 180), 308);
        assert_eq!(after(300, 308), 360);
        assert_eq!(after(10, 400), 400, "grace is not taken back");
    }

    #[test]
    fn grace_is_for_what_was_due_a_moment_ago() {
        let graced = |now| graced(at(180), TimeDelta::seconds(180), TimeDelta::seconds(90), at(now)).map(|at| at.timestamp());
        assert_eq!(graced(50), Some(180));
        assert_eq!(graced(150), Some(240));
        assert_eq!(graced(359), Some(449));
        assert_eq!(graced(360), None);
    }

    fn withheld(times: &[i64], interval: Option<i64>, now: i64) -> Option<i64> {
        let asked = Asked {
            serves: served(times),
            times: i32::try_from(times.len()).unwrap_or(i32::MAX),
            interval: interval.map(TimeDelta::seconds),
            ring: RING,
        };
        withheld_until(&asked, at(now)).map(|until| until.timestamp())
    }

    #[test]
    fn what_a_healthy_app_asks_for_is_served() {
        for now in [10, 15, 25, 29] {
            assert_eq!(withheld(&[0], Some(10), now), None, "the second poll, or a first answer that was lost");
        }
        assert_eq!(withheld(&[0], Some(70), 70), None);
        assert_eq!(withheld(&[0], Some(20), 40), None);
        assert_eq!(withheld(&[0], None, 70), None);
        assert_eq!(withheld(&[0, 10], Some(10), 85), None, "its line is free");
        assert_eq!(withheld(&[0], Some(10), 75), None);
    }

    #[test]
    fn what_no_healthy_app_asks_for_is_not() {
        assert_eq!(withheld(&[0], Some(10), 36), Some(75), "killed five seconds into the ring");
        assert_eq!(withheld(&[0], None, 40), Some(75));
        assert_eq!(withheld(&[0, 10], Some(10), 46), Some(85), "killed fifteen seconds into it");
        assert_eq!(withheld(&[0, 25], Some(10), 50), Some(100), "two lost answers look alike");
        assert_eq!(withheld(&[0], Some(70), 46), Some(75), "too early for one that asks every 70 s");
        assert_eq!(withheld(&[0, 70], Some(70), 85), Some(145));
    }

    proptest! {
        /// A handset at work is given up a minute after its last word, and never after the longest call.
        #[test]
        fn a_call_at_work_has_its_time_and_no_more(said in prop::collection::vec(1_i64..90, 0..20), ring in 10_i64..120, talk in 0_i64..300) {
            let (mut now, mut deadline) = (0, at(180));
            let most = at(ring + talk + 120).max(at(180));
            for pause in said {
                now += pause;
                let moved = deadline_at_work(at(now), deadline, at(0), TimeDelta::seconds(ring), TimeDelta::seconds(talk));
                prop_assert!(moved >= deadline && moved <= most);
                prop_assert!(moved >= at(now + 60).min(most));
                prop_assert!(moved == deadline || moved <= at(now + 60));
                deadline = moved;
            }
        }

        /// Whichever of the answers got through, and wherever the app was started again: it dials in a pass in which it is served, and
        /// reports *nobody* in a later one.
        #[test]
        fn nobody_is_told_to_dial_while_a_serve_may_make_it_ring(
            gaps in prop::collection::vec(1_i64..200, 0..8),
            report in prop::option::of(any::<bool>()),
            closed in prop::option::of((0_i64..8, any::<bool>())),
        ) {
            let mut times = vec![0];
            for gap in gaps {
                times.push(times[times.len() - 1] + gap);
            }
            let last = times[times.len() - 1];
            let report = report.map(|over| if over { Proof::Over } else { Proof::Nobody });
            let close = closed.map(|(after, late)| if late { Close::Deadline(at(last + after)) } else { Close::Unwanted(at(last + after)) });
            let line = Line { report, close, ..line(&times) };
            let rings: Vec<i64> = match report {
                Some(Proof::Over) => Vec::new(),
                // The pass in which it reports is not the one in which it dialled.
                Some(Proof::Nobody) if times.len() > 1 => times[..times.len() - 1].to_vec(),
                _ => times,
            };
            for now in (0..last + 200).step_by(7) {
                let quiet = quiet(&line, at(now));
                let may_ring = rings.iter().any(|from| now < from + 75);
                prop_assert!(!may_ring || quiet.handset.is_some_and(|until| until > at(now)), "{line:?} at {now}");
                prop_assert!(!may_ring || quiet.numbers.is_some_and(|until| until > at(now)), "{line:?} at {now}");
                prop_assert!(quiet.handset.is_none_or(|until| until <= at(last) + RING), "never longer than needed");
            }
        }

        #[test]
        fn serves_heard_of_in_any_order_are_the_same(mut times in prop::collection::vec(0_i64..1000, 2..8)) {
            let heard = served(&times);
            times.sort_unstable();
            prop_assert_eq!(heard, served(&times));
        }
    }
}
