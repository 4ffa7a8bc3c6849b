//! When a text message was written, and which call or message it answers: pure.
//!
//! A gateway passes a message on when it can: at once, after two days of retries, or years later, when somebody exports an inbox. So what
//! counts is the time at which the phone got it, as the gateway tells it. That clock may be wrong, and the difference must not be taken
//! for lateness, nor lateness for a wrong clock:
//!
//! - where the sending is told as well, by the same clock, the difference of the two is the message's age, however wrong that clock is;
//!   only the zone may be wrong, of a time that tells none;
//! - else a time ahead of its arrival proves that the clock is ahead by at least as much;
//! - a clock that is behind looks like lateness. It is believed only if earlier deliveries of the same gateway, told in the same way and
//!   minutes apart, all came equally late: what waited somewhere comes at different ages.

use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// Who had been given nothing when they wrote may have been given something so soon after: clocks differ.
pub const TOLERANCE: TimeDelta = TimeDelta::minutes(2);
/// So long a gateway's delays are remembered.
pub const LATELY: TimeDelta = TimeDelta::hours(6);
/// Delays of a clock that is behind agree as closely as that.
const AGREEING: TimeDelta = TimeDelta::seconds(10);
/// Two deliveries that were told closer together may have waited together.
const APART: TimeDelta = TimeDelta::minutes(1);
/// Every delivery takes some time: a clock that seems so little behind is right.
const WORTH_IT: TimeDelta = TimeDelta::seconds(30);
/// So many earlier deliveries must agree.
const WITNESSES: usize = 2;
/// Clocks that tell their zone are off by no more.
const MOST_OFF: TimeDelta = TimeDelta::minutes(15);
/// The zone of a time that tells none may be a wrong one: off by quarters of an hour, and no more than this.
const MOST_ZONE: TimeDelta = TimeDelta::hours(14);
/// Zones are whole quarters of an hour apart, and clocks differ by so much beside that.
const BESIDE_QUARTER: TimeDelta = TimeDelta::minutes(2);
/// Nobody wrote a text message before then, or will soon after.
const YEARS: std::ops::RangeInclusive<i32> = 2000..=2100;

/// A time as a gateway tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeTold {
    /// When, by its clock.
    pub at: DateTime<Utc>,
    /// It says in which zone; otherwise it was read in the gateway's.
    pub zoned: bool,
}

/// Reads a time in any of the forms that gateways use: ISO 8601 with or without a zone, with a blank for the `T`; seconds or milliseconds
/// since 1970. `None`: it cannot be read, so nothing is told.
#[must_use]
pub fn read_time(text: &str, zone: Tz) -> Option<TimeTold> {
    let text = text.trim();
    let told = if text.bytes().all(|byte| byte.is_ascii_digit()) { since_1970(text) } else { written_out(text, zone) };
    told.filter(|told| YEARS.contains(&chrono::Datelike::year(&told.at)))
}

fn since_1970(digits: &str) -> Option<TimeTold> {
    let count: i64 = digits.parse().ok()?;
    let at = match digits.len() {
        9..=10 => DateTime::from_timestamp(count, 0),
        12..=13 => DateTime::from_timestamp_millis(count),
        16 => DateTime::from_timestamp_micros(count),
        _ => None,
    };
    at.map(|at| TimeTold { at, zoned: true })
}

fn written_out(text: &str, zone: Tz) -> Option<TimeTold> {
    // A plus that was not encoded arrives as a blank.
    let text = text.replace('/', "-");
    let zoned = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %#z"];
    for form in zoned {
        if let Ok(at) = DateTime::parse_from_str(&text.replace(['Z', 'z'], "+00:00"), form) {
            return Some(TimeTold { at: at.to_utc(), zoned: true });
        }
    }
    let bare = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"];
    let wall = bare.iter().find_map(|form| NaiveDateTime::parse_from_str(&text, form).ok())?;
    // Of a repeated hour the first: what may be older has less effect.
    let at = zone.from_local_datetime(&wall).earliest()?;
    Some(TimeTold { at: at.to_utc(), zoned: false })
}

/// How late an earlier delivery of the same gateway came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// When the phone got the message, by its clock.
    pub told: DateTime<Utc>,
    /// When the gateway sent it, where that was told; else when it arrived.
    pub passed_on: DateTime<Utc>,
}

impl Delay {
    fn length(self) -> TimeDelta {
        self.passed_on - self.told
    }
}

/// When a message was written: never later than it arrived. `earlier` are deliveries of the same gateway, lately, that told their time in the
/// same way: with a zone or without, and with the sending or without. Without a told time its arrival counts.
#[must_use]
pub fn written(told: Option<TimeTold>, sent: Option<DateTime<Utc>>, arrived: DateTime<Utc>, earlier: &[Delay]) -> DateTime<Utc> {
    let Some(told) = told else { return arrived };
    let own = Delay { told: told.at, passed_on: sent.unwrap_or(arrived) };
    let behind = clock_behind(own, told.zoned, earlier);
    let behind = match (sent, told.zoned) {
        (None, _) => behind,
        // Both times are of one clock.
        (Some(_), true) => TimeDelta::zero(),
        (Some(_), false) if behind.abs() > MOST_OFF && is_zone(behind.abs()) => behind,
        (Some(_), false) => TimeDelta::zero(),
    };
    arrived - (own.length() - behind).max(TimeDelta::zero())
}

/// By how much the gateway's clock is behind, as far as that is known; ahead where negative.
fn clock_behind(own: Delay, zoned: bool, earlier: &[Delay]) -> TimeDelta {
    let Some(least) = earlier.iter().map(|delay| delay.length()).min() else { return own.length().min(TimeDelta::zero()) };
    let least_of_all = least.min(own.length());
    if least_of_all < TimeDelta::zero() {
        return least_of_all;
    }
    let mut witnesses: Vec<DateTime<Utc>> = Vec::new();
    for delay in earlier.iter().filter(|delay| delay.length() - least <= AGREEING) {
        if witnesses.iter().all(|told| (*told - delay.told).abs() >= APART) {
            witnesses.push(delay.told);
        }
    }
    let believed = least >= WORTH_IT && witnesses.len() >= WITNESSES && (least <= MOST_OFF || (!zoned && is_zone(least)));
    if believed { least_of_all } else { TimeDelta::zero() }
}

fn is_zone(off: TimeDelta) -> bool {
    let quarter = TimeDelta::minutes(15).num_seconds();
    let beside = off.num_seconds().rem_euclid(quarter);
    off <= MOST_ZONE && beside.min(quarter - beside) <= BESIDE_QUARTER.num_seconds()
}

/// A call, or a message, about an alarm that somebody was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// When.
    pub at: DateTime<Utc>,
    /// It only tests a public number.
    pub test: bool,
    /// The latest alarm that they were given still waits for somebody to take it.
    pub open: bool,
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meant {
    /// Its sender had been given nothing.
    Nothing,
    /// The one at this place in the list.
    This(usize),
}

/// Which of the calls and messages that its sender was given a message answers: the latest by the time at which it was written. A reply means
/// alarms first: a test call counts only when no alarm waits for the sender's word. What they were given longer before than the window is
/// forgotten.
#[must_use]
pub fn meant(given: &[Given], written: DateTime<Utc>, window: TimeDelta) -> Meant {
    let places = || given.iter().enumerate().filter(|(_, given)| written - given.at <= window);
    let latest =
        |test: bool| places().filter(|(_, given)| given.test == test && given.at <= written).max_by_key(|(_, given)| given.at);
    let (alarm, test) = (latest(false), latest(true));
    let of = match (alarm, test) {
        (Some(alarm), Some(test)) if !alarm.1.open && test.1.at > alarm.1.at => Some(test),
        (Some(alarm), _) => Some(alarm),
        (None, test) => test,
    };
    // Only for whoever had been given nothing: of what they were given right after, the first.
    let soon = || places().filter(|(_, given)| given.at <= written + TOLERANCE).min_by_key(|(_, given)| (given.test, given.at));
    of.or_else(soon).map_or(Meant::Nothing, |(place, _)| Meant::This(place))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_763_607_600 + second, 0).unwrap()
    }

    #[expect(clippy::unnecessary_wraps, reason = "as what is read is compared with it")]
    fn told(second: i64) -> Option<TimeTold> {
        Some(TimeTold { at: at(second), zoned: true })
    }

    fn delays(pairs: &[(i64, i64)]) -> Vec<Delay> {
        pairs.iter().map(|&(told, arrived)| Delay { told: at(told), passed_on: at(arrived) }).collect()
    }

    #[test]
    fn times_are_read_as_gateways_write_them() {
        let shanghai = Tz::Asia__Shanghai;
        for text in [
            "2025-11-20T03:00:00Z",
            "2025-11-20T03:00:00.000Z",
            "2025-11-20T11:00:00.000+08:00",
            "2025-11-20T11:00:00+0800",
            "2025-11-20 11:00:00 +0800",
            " 2025-11-20 11:00:00+08:00 ",
            "1763607600",
            "1763607600000",
            "1763607600000000",
        ] {
            assert_eq!(read_time(text, shanghai), Some(TimeTold { at: at(0), zoned: true }), "{text}");
        }
        for text in ["2025-11-20 11:00:00", "2025-11-20T11:00:00.250", "2025/11/20 11:00:00", "2025-11-20 11:00"] {
            let told = read_time(text, shanghai).unwrap();
            assert!(!told.zoned && (told.at - at(0)).num_seconds() == 0, "{text}");
        }
        for text in [
            "",
            "yesterday",
            "0",
            "12",
            "1970-01-01T00:00:00Z",
            "9999-01-01T00:00:00Z",
            "2025-13-45 99:99:99",
            "99999999999999999",
        ] {
            assert_eq!(read_time(text, shanghai), None, "{text}");
        }
        let berlin = Tz::Europe__Berlin;
        assert_eq!(read_time("2025-03-30 02:30:00", berlin), None, "there was no such time");
        assert_eq!(read_time("2025-10-26 02:30:00", berlin).unwrap().at.to_rfc3339(), "2025-10-26T00:30:00+00:00");
    }

    #[test]
    fn what_is_told_counts_and_never_later_than_it_arrived() {
        assert_eq!(written(None, None, at(100), &[]), at(100));
        assert_eq!(written(told(40), None, at(100), &[]), at(40));
        assert_eq!(written(told(700), None, at(100), &[]), at(100));
        for off in [600, -600] {
            assert_eq!(written(told(40 + off), Some(at(99 + off)), at(100), &[]), at(41), "off by {off} s");
        }
        let old = written(told(-259_200), Some(at(99)), at(100), &[]);
        assert_eq!(old, at(-259_199), "sent now, received three days ago");
    }

    #[test]
    fn where_the_sending_is_told_only_a_zone_may_be_wrong() {
        let equally_late = delays(&[(-300, -260), (-200, -160)]);
        assert_eq!(written(told(-40), Some(at(0)), at(0), &equally_late), at(-40), "several texts came forty seconds late");
        let stepped = delays(&[(600, 0)]);
        assert_eq!(written(told(10), Some(at(10)), at(11), &stepped), at(11), "the clock was set between receipt and sending");
        let unzoned = |second: i64| Some(TimeTold { at: at(second), zoned: false });
        assert_eq!(written(unzoned(-40), Some(at(0)), at(0), &equally_late), at(-40));
        assert_eq!(written(unzoned(10), Some(at(10)), at(11), &stepped), at(11));
        let eight_hours = delays(&[(-28_800, 2), (-28_700, 101)]);
        assert_eq!(written(unzoned(-28_500), Some(at(310)), at(311), &eight_hours), at(302));
    }

    #[test]
    fn clocks_are_learned_and_lateness_is_not() {
        let ahead = delays(&[(700, 100)]);
        assert_eq!(written(told(740), None, at(200), &ahead), at(140));
        let behind = delays(&[(-590, 12), (-500, 101), (-200, 400)]);
        assert_eq!(written(told(-90), None, at(511), &behind), at(510), "the least delay is ten minutes");
        assert_eq!(written(told(-90), None, at(511), &behind[..1]), at(-90), "one delivery may be late");
        let flushed = delays(&[(-590, 12), (-588, 13), (-585, 14)]);
        assert_eq!(written(told(-584), None, at(15), &flushed), at(-584), "they waited together");
        let days = delays(&[(-259_200, 0), (-259_100, 100), (-259_000, 200)]);
        assert_eq!(written(told(-258_900), None, at(300), &days), at(-258_900), "no clock is off by three days");
        let zone =
            |zoned| written(Some(TimeTold { at: at(-28_500), zoned }), None, at(310), &delays(&[(-28_800, 2), (-28_700, 101)]));
        assert_eq!((zone(false), zone(true)), (at(301), at(-28_500)), "a zone may be eight hours off, a clock may not");
    }

    fn given(at_second: i64, test: bool, open: bool) -> Given {
        Given { at: at(at_second), test, open }
    }

    const HOUR: TimeDelta = TimeDelta::hours(1);

    #[test]
    fn a_reply_is_for_what_its_sender_had_been_given() {
        let calls = [given(0, false, true), given(100, false, true)];
        let meant_at = |second| meant(&calls, at(second), HOUR);
        assert_eq!(meant_at(50), Meant::This(0));
        assert_eq!(meant_at(99), Meant::This(0), "the tolerance is not for whoever had been given something");
        assert_eq!(meant_at(100), Meant::This(1));
        assert_eq!(meant_at(-5), Meant::This(0), "they would have been given nothing");
        assert_eq!(meant_at(-121), Meant::Nothing);
        assert_eq!(meant(&calls, at(3800), HOUR), Meant::Nothing, "the call was over an hour ago");
    }

    #[test]
    fn alarms_come_before_tests() {
        let calls = |open| [given(0, false, open), given(50, true, true)];
        assert_eq!(meant(&calls(true), at(60), HOUR), Meant::This(0));
        assert_eq!(meant(&calls(false), at(60), HOUR), Meant::This(1), "somebody has taken it");
        assert_eq!(meant(&calls(true), at(-60), HOUR), Meant::This(0));
        assert_eq!(meant(&calls(true)[1..], at(60), HOUR), Meant::This(0));
    }

    /// What somebody writes, and when it gets here.
    fn writings() -> impl Strategy<Value = Vec<(i64, i64, bool)>> {
        prop::collection::vec((0..7_200_i64, prop_oneof![0..5_i64, 0..300_000_i64], any::<bool>()), 1..12)
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = read_time(&text, Tz::UTC);
        }

        /// No sequence of late, doubled and reordered replies is taken for a call that its sender had not been given when they wrote.
        #[test]
        fn nothing_is_for_a_call_that_came_later(calls in prop::collection::vec((0..7_200_i64, any::<bool>()), 0..6),
                                                 writings in writings(), off in prop_oneof![Just(0), Just(600_i64)]) {
            let calls: Vec<Given> = calls.into_iter().map(|(second, test)| given(second, test, true)).collect();
            let mut arrivals: Vec<_> = writings.into_iter().map(|(wrote, late, twice)| (wrote + late, wrote, twice)).collect();
            arrivals.sort_unstable();
            let mut seen = Vec::new();
            for (arrived, wrote, twice) in arrivals {
                for _ in 0..=usize::from(twice) {
                    let believed = written(told(wrote + off), None, at(arrived), &seen);
                    prop_assert!(believed <= at(arrived));
                    let known: Vec<Given> = calls.iter().copied().filter(|call| call.at <= at(arrived)).collect();
                    if let Meant::This(place) = meant(&known, believed, HOUR) {
                        let nothing_else = known.iter().all(|call| call.at > believed || believed - call.at > HOUR);
                        let slack = if nothing_else { TOLERANCE } else { TimeDelta::zero() };
                        // A clock that is ahead is unknown to the first message that is not prompt: off is only ever added here.
                        prop_assert!(known[place].at <= at(wrote + off) + slack, "{} for {:?}", wrote, known[place]);
                    }
                }
                seen.push(Delay { told: at(wrote + off), passed_on: at(arrived) });
            }
        }
    }
}
