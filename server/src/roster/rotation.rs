//! One rule at an instant: who is on duty by it, and when that may next change.

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{Absences, Rotation, Rule, Unit, Window, wall};
use crate::ids::PersonId;

/// Somebody on duty by a rule, and for whom they cover.
pub type Turn = (PersonId, Option<PersonId>);

impl Rule {
    /// Who is on duty by this rule alone.
    #[must_use]
    pub fn who(&self, zone: Tz, absences: &Absences, at: DateTime<Utc>) -> Vec<Turn> {
        match self {
            Self::Rotation(rotation) => rotation.who(zone, absences, at).into_iter().collect(),
            Self::Shifts { shifts } => {
                let now = shifts.iter().filter(|shift| shift.from <= at && at < shift.to && !absences.away(shift.person, at));
                let mut turns: Vec<Turn> = Vec::new();
                for shift in now {
                    if !turns.contains(&(shift.person, None)) {
                        turns.push((shift.person, None));
                    }
                }
                turns
            }
        }
    }

    /// The first instant after `at` at which the rule may say something else.
    #[must_use]
    pub fn next_edge(&self, zone: Tz, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Rotation(rotation) => rotation.next_edge(zone, at),
            Self::Shifts { shifts } => shifts.iter().flat_map(|shift| [shift.from, shift.to]).filter(|edge| *edge > at).min(),
        }
    }
}

impl Rotation {
    fn who(&self, zone: Tz, absences: &Absences, at: DateTime<Utc>) -> Option<Turn> {
        let began = wall::instant(zone, self.start) <= at;
        let ended = self.end.is_some_and(|end| wall::instant(zone, end) <= at);
        if !began || ended || !self.is_active(zone, at) {
            return None;
        }
        let count = self.people.len();
        let turn = usize::try_from(self.turn(zone, at)).ok()?.checked_rem(count)?;
        let own = self.people[turn];
        let there = (0..count).map(|step| self.people[(turn + step) % count]).find(|person| !absences.away(*person, at))?;
        Some((there, (there != own).then_some(own)))
    }

    /// The length of a turn on the wall.
    fn length(&self) -> TimeDelta {
        let hours = match self.unit {
            Unit::Hours => 1,
            Unit::Days => 24,
            Unit::Weeks => 7 * 24,
        };
        TimeDelta::hours(i64::from(self.every.max(1)) * hours)
    }

    fn starts(&self, turn: i64) -> Option<NaiveDateTime> {
        let seconds = self.length().num_seconds().checked_mul(turn)?;
        self.start.checked_add_signed(TimeDelta::try_seconds(seconds)?)
    }

    /// The number of the last turn that has begun. The wall clock tells nearly which; around a clock change it may be another.
    fn turn(&self, zone: Tz, at: DateTime<Utc>) -> i64 {
        let has_begun = |turn| self.starts(turn).is_some_and(|start| wall::instant(zone, start) <= at);
        let elapsed = wall::local(zone, at) - self.start;
        let mut turn = elapsed.num_seconds().div_euclid(self.length().num_seconds());
        while turn > 0 && !has_begun(turn) {
            turn -= 1;
        }
        while has_begun(turn + 1) {
            turn += 1;
        }
        turn
    }

    fn is_active(&self, zone: Tz, at: DateTime<Utc>) -> bool {
        let day = wall::local(zone, at).date();
        self.windows.is_empty()
            // Where clocks go back over midnight, a day may begin before the one before it has ended.
            || (-1..=1).filter_map(|days| day.checked_add_signed(TimeDelta::days(days))).any(|day| {
                self.windows.iter().filter_map(|window| window.on(zone, day)).any(|(from, to)| from <= at && at < to)
            })
    }

    fn next_edge(&self, zone: Tz, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let start = wall::instant(zone, self.start);
        if start > at {
            return Some(start);
        }
        let end = self.end.map(|end| wall::instant(zone, end));
        if end.is_some_and(|end| end <= at) {
            return None;
        }
        let hand_over = match self.people.len() {
            0 | 1 => None,
            _ => self.starts(self.turn(zone, at) + 1).map(|start| wall::instant(zone, start)),
        };
        [end, hand_over, self.next_window_edge(zone, at)].into_iter().flatten().min()
    }

    fn next_window_edge(&self, zone: Tz, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let today = wall::local(zone, at).date();
        let mut next: Option<DateTime<Utc>> = None;
        if self.windows.is_empty() {
            return next;
        }
        // Every window comes back within a week.
        for days in -1..=9 {
            let day = today.checked_add_signed(TimeDelta::days(days))?;
            if next.is_some_and(|next| next <= wall::midnight(zone, day)) {
                break;
            }
            let edges = self.windows.iter().filter_map(|window| window.on(zone, day)).flat_map(|(from, to)| [from, to]);
            next = edges.filter(|edge| *edge > at).chain(next).min();
        }
        next
    }
}

impl Window {
    /// From when until when it is open, beginning on this day; `None` when it does not.
    fn on(&self, zone: Tz, day: chrono::NaiveDate) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let weekday = u8::try_from(day.weekday().num_days_from_monday()).ok()?;
        if !self.days.contains(&weekday) {
            return None;
        }
        let last = if self.to > self.from { day } else { day.succ_opt()? };
        Some((wall::instant(zone, day.and_time(self.from)), wall::instant(zone, last.and_time(self.to))))
    }
}
