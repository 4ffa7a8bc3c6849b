//! Where time comes from: the one place that reads a clock. Everything else takes time as a parameter.
//!
//! On Postgres several nodes must agree about deadlines, so a node's clock is its own monotonic clock plus an offset measured
//! against the database. A node whose measurement jumps is not sure of the time until a second one agrees, and expires nothing.
//! An embedded server has nobody to ask, so it goes on by its monotonic clock whatever happens to the machine's.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// A measurement further away than this from what the node thought is a jump.
const JUMP: TimeDelta = TimeDelta::seconds(2);

/// A clock. Cheap to clone; clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    System,
    Measured(Measured),
    Manual(Mutex<DateTime<Utc>>),
}

#[derive(Debug)]
struct Measured {
    started: Instant,
    /// Microseconds since 1970 at `started`.
    base: AtomicI64,
    known: AtomicBool,
    sure: AtomicBool,
    candidate: AtomicI64,
    stepped: AtomicBool,
}

impl Clock {
    /// The machine's own clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(Source::System))
    }

    /// A clock that follows measurements of another one; until the first it shows the machine's time.
    #[must_use]
    pub fn measured() -> Self {
        Self(Arc::new(Source::Measured(Measured {
            started: Instant::now(),
            base: AtomicI64::new(system_time().timestamp_micros()),
            known: AtomicBool::new(false),
            sure: AtomicBool::new(true),
            candidate: AtomicI64::new(0),
            stepped: AtomicBool::new(false),
        })))
    }

    /// Begins not before the last thing that was written down: the machine's clock may have been set back since.
    pub fn begin_not_before(&self, at: DateTime<Utc>) {
        if let Source::Measured(measured) = &*self.0 {
            let elapsed = i64::try_from(measured.started.elapsed().as_micros()).unwrap_or(0);
            measured.base.fetch_max(at.timestamp_micros() - elapsed, Ordering::AcqRel);
        }
    }

    /// Follows the machine's clock, where there is no other: in small corrections always, forwards only while nothing is under way, backwards never, since
    /// what is written down would then lie in the future. Gives how far the machine's clock is ahead after that.
    #[must_use]
    pub fn follow_machine(&self, nothing_under_way: bool) -> TimeDelta {
        let Source::Measured(measured) = &*self.0 else { return TimeDelta::zero() };
        let ahead = system_time() - self.now();
        let small = ahead.abs() <= JUMP && ahead >= TimeDelta::zero();
        if small || (nothing_under_way && ahead > TimeDelta::zero()) {
            measured.stepped.fetch_or(!small, Ordering::AcqRel);
            measured.base.fetch_add(ahead.num_microseconds().unwrap_or(0), Ordering::AcqRel);
            return TimeDelta::zero();
        }
        ahead
    }

    /// A clock that stands still until it is moved: for tests.
    #[must_use]
    pub fn manual(at: DateTime<Utc>) -> Self {
        Self(Arc::new(Source::Manual(Mutex::new(at.trunc_subsecs(6)))))
    }

    /// The time now, in whole microseconds: what both databases keep.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        match &*self.0 {
            Source::System => system_time(),
            Source::Measured(measured) => measured.at(measured.base.load(Ordering::Acquire)),
            Source::Manual(at) => *at.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Whether it goes on by itself.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        !matches!(&*self.0, Source::Manual(_))
    }

    /// Moves a manual clock; the others go on by themselves.
    pub fn advance(&self, by: TimeDelta) {
        if let Source::Manual(at) = &*self.0 {
            *at.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }

    /// Whether this clock was set, by more than it could have gone by itself, since this was asked last: all that anybody was silent for
    /// by then says nothing.
    #[must_use]
    pub fn has_stepped(&self) -> bool {
        match &*self.0 {
            Source::Measured(measured) => measured.stepped.swap(false, Ordering::AcqRel),
            Source::System | Source::Manual(_) => false,
        }
    }

    /// Whether deadlines may be judged by this clock now.
    #[must_use]
    pub fn is_sure(&self) -> bool {
        match &*self.0 {
            Source::Measured(measured) => measured.sure.load(Ordering::Acquire),
            Source::System | Source::Manual(_) => true,
        }
    }

    /// Takes in what the other clock showed at some instant between `asked` and now. Gives false when that was a jump that a
    /// second measurement must confirm.
    #[must_use]
    pub fn measure(&self, theirs: DateTime<Utc>, asked: Instant) -> bool {
        match &*self.0 {
            Source::Measured(measured) => measured.take(theirs, asked, Instant::now()),
            Source::System | Source::Manual(_) => true,
        }
    }
}

impl Measured {
    fn at(&self, base: i64) -> DateTime<Utc> {
        let elapsed = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        DateTime::from_timestamp_micros(base.saturating_add(elapsed)).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// When between `asked` and `answered` the other clock was read nobody knows: whoever waited for a connection, or for a database that
    /// stood still, has waited before or after. So a measurement says between which bases this clock's must lie, and moves it no further
    /// than there; half of a long wait would be taken for time that passed.
    fn take(&self, theirs: DateTime<Utc>, asked: Instant, answered: Instant) -> bool {
        let begun_at = |instant: Instant| {
            let elapsed = instant.duration_since(self.started).as_micros();
            theirs.timestamp_micros().saturating_sub(i64::try_from(elapsed).unwrap_or(i64::MAX))
        };
        let (least, most) = (begun_at(answered.max(asked)), begun_at(asked));
        let agreed = |other: i64| other.clamp(least, most);
        let near = |other: i64| TimeDelta::microseconds(agreed(other).saturating_sub(other)).abs() <= JUMP;
        let midway = least + (most - least) / 2;
        let (own, candidate) = (self.base.load(Ordering::Acquire), self.candidate.load(Ordering::Acquire));
        let first = !self.known.swap(true, Ordering::AcqRel);
        let confirmed = !self.sure.load(Ordering::Acquire) && near(candidate);
        let base = match (first, near(own), confirmed) {
            (true, ..) => Some(midway),
            (_, true, _) => Some(agreed(own)),
            (.., true) => Some(agreed(candidate)),
            _ => None,
        };
        match base {
            Some(base) => {
                if !first && !near(own) {
                    self.stepped.store(true, Ordering::Release);
                }
                self.base.store(base, Ordering::Release);
            }
            None => self.candidate.store(midway, Ordering::Release),
        }
        let good = base.is_some();
        self.sure.store(good, Ordering::Release);
        good
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else is to ask")]
fn system_time() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use std::time::Duration;

    use super::*;

    #[test]
    fn follows_small_corrections_and_doubts_jumps() {
        let clock = Clock::measured();
        let start = clock.now();
        assert!(clock.measure(start + TimeDelta::hours(5), Instant::now()), "the first measurement is taken as it is");
        let agreed = clock.now();
        assert!(agreed >= start + TimeDelta::hours(5));
        assert!(clock.measure(agreed + TimeDelta::milliseconds(300), Instant::now()));
        assert!(clock.is_sure());
        assert!(!clock.has_stepped(), "the first measurement is no step, and a small correction is none");

        assert!(!clock.measure(agreed + TimeDelta::minutes(10), Instant::now()), "a jump needs a second measurement");
        assert!(!clock.has_stepped());
        assert!(!clock.is_sure());
        assert!(clock.now() < agreed + TimeDelta::minutes(1), "a doubtful measurement does not move the clock");
        assert!(clock.measure(agreed + TimeDelta::minutes(10), Instant::now()));
        assert!(clock.is_sure());
        assert!(clock.now() >= agreed + TimeDelta::minutes(10));
        assert!(clock.has_stepped());
        assert!(!clock.has_stepped(), "it is told once");
    }

    #[test]
    fn a_long_wait_for_the_answer_moves_nothing() {
        let clock = Clock::measured();
        let Source::Measured(measured) = &*clock.0 else { panic!("it is measured") };
        let at = |millis: u64| measured.started + Duration::from_millis(millis);
        let begun = "2026-11-20T03:00:00Z".parse::<DateTime<Utc>>().unwrap();
        let theirs = |millis: i64| begun + TimeDelta::milliseconds(millis);
        let ahead = || measured.base.load(Ordering::Acquire) - begun.timestamp_micros();
        assert!(measured.take(theirs(1_000), at(1_000), at(1_000)));
        assert_eq!(ahead(), 0);
        // Of three seconds it was read at the very end, at the very beginning, and somewhere between.
        for (round, read) in [3_000, 0, 700].into_iter().enumerate() {
            let asked = 10_000 * (u64::try_from(round).unwrap() + 1);
            let read = i64::try_from(asked).unwrap() + read;
            assert!(measured.take(theirs(read), at(asked), at(asked + 3_000)));
            assert_eq!(ahead(), 0, "read {read} ms after the begin");
        }
        // A wait for longer than a jump is none either; and what is outside of the wait is followed, as far as it is sure.
        assert!(measured.take(theirs(50_000), at(50_000), at(59_000)) && clock.is_sure());
        assert_eq!(ahead(), 0);
        assert!(measured.take(theirs(64_500), at(60_000), at(64_000)));
        assert_eq!(ahead(), 500_000);
        // The first measurement may be half a wait wrong; the next short one puts that right.
        let late = Clock::measured();
        let Source::Measured(late) = &*late.0 else { panic!("it is measured") };
        let at = |millis: u64| late.started + Duration::from_millis(millis);
        assert!(late.take(theirs(3_000), at(0), at(3_000)) && late.take(theirs(4_000), at(4_000), at(4_001)));
        assert!((late.base.load(Ordering::Acquire) - begun.timestamp_micros()).abs() <= 1_000);
    }

    #[test]
    fn a_false_alarm_is_forgotten() {
        let clock = Clock::measured();
        let now = clock.now();
        _ = clock.measure(now, Instant::now());
        assert!(!clock.measure(now - TimeDelta::minutes(10), Instant::now()));
        assert!(clock.measure(clock.now(), Instant::now()));
        assert!(clock.is_sure());
    }

    #[test]
    fn an_embedded_clock_never_goes_back_and_forwards_only_in_quiet_times() {
        let tomorrow = Clock::system().now() + TimeDelta::days(1);
        let clock = Clock::measured();
        clock.begin_not_before(tomorrow);
        assert!(clock.now() >= tomorrow, "it begins after what was written down");
        assert!(clock.follow_machine(true) < -TimeDelta::hours(23), "the machine's clock was set back");
        assert!(clock.now() >= tomorrow);
        let yesterday = Clock::measured();
        if let Source::Measured(measured) = &*yesterday.0 {
            measured.base.fetch_sub(TimeDelta::days(1).num_microseconds().unwrap_or(0), Ordering::AcqRel);
        }
        assert!(yesterday.follow_machine(false) > TimeDelta::hours(23), "alarms are under way");
        assert!(yesterday.now() < Clock::system().now() - TimeDelta::hours(23));
        assert!(!yesterday.has_stepped());
        assert_eq!(yesterday.follow_machine(true), TimeDelta::zero());
        assert!(yesterday.has_stepped());
        assert!(yesterday.now() > Clock::system().now() - TimeDelta::seconds(5));
        assert!(yesterday.is_sure());
    }

    #[test]
    fn whole_microseconds_only() {
        assert_eq!(Clock::system().now().timestamp_subsec_nanos() % 1000, 0);
    }
}
