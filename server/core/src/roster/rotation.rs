//! One rule at an instant: who is on duty by it, and when that may next change.

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;

use super::{Absences, Earlier, Rotation, Rule, Unit, Window, wall};
use crate::ids::PersonId;

/// The minutes of a day.
const DAY: i64 = 24 * 60;
/// The hours of a week.
const WEEK: i64 = 7 * 24;

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

/// More changes than this cannot wait for their day.
const MOST_EARLIER: usize = 20;

impl Rotation {
    /// The one that holds at an instant, and until when, if another one follows.
    fn holds(&self, at: DateTime<Utc>) -> (&Self, Option<DateTime<Utc>>) {
        let earlier = self.earlier.iter().find(|earlier| at < earlier.until);
        earlier.map_or((self, None), |earlier| (&earlier.rotation, Some(earlier.until)))
    }

    fn who(&self, zone: Tz, absences: &Absences, at: DateTime<Utc>) -> Option<Turn> {
        self.holds(at).0.who_by_itself(zone, absences, at)
    }

    fn who_by_itself(&self, zone: Tz, absences: &Absences, at: DateTime<Utc>) -> Option<Turn> {
        let began = wall::instant(zone, self.start) <= at;
        let ended = self.end.is_some_and(|end| wall::instant(zone, end) <= at);
        if !began || ended || !self.is_active(zone, at) {
            return None;
        }
        let count = self.people.len();
        let place = self.place(self.turn(zone, at))?;
        let own = self.people[place];
        let there = (0..count).map(|step| self.people[(place + step) % count]).find(|person| !absences.away(*person, at))?;
        Some((there, (there != own).then_some(own)))
    }

    /// The place in the order of whoever has a turn.
    fn place(&self, turn: i64) -> Option<usize> {
        let counted = if self.skip_idle_turns { self.busy_turns_before(turn) } else { turn };
        usize::try_from(counted).ok()?.checked_add(self.first)?.checked_rem(self.people.len())
    }

    /// Of the turns from the first on that begin within a whole number of weeks: which of them are active at all. After these weeks it is
    /// the same again, since hours of days are.
    fn busy_cycle(&self) -> Vec<bool> {
        let hours = self.length().num_hours();
        let (mut weeks, mut turns) = (hours, WEEK);
        while turns != 0 {
            (weeks, turns) = (turns, weeks % turns);
        }
        // The least number of turns that are whole weeks: `weeks` is the greatest common divisor by now.
        (0..WEEK / weeks).map(|turn| self.is_busy(turn * hours, hours)).collect()
    }

    /// Whether it is active at some time of a turn that begins so many hours after the first one, by the clock on the wall.
    fn is_busy(&self, after: i64, hours: i64) -> bool {
        if self.windows.is_empty() || hours >= WEEK {
            return true;
        }
        let minutes = |time: chrono::NaiveTime| i64::from(time.num_seconds_from_midnight()) / 60;
        let first = i64::from(self.start.weekday().num_days_from_monday()) * DAY + minutes(self.start.time());
        let from = (first + after * 60).rem_euclid(WEEK * 60);
        let to = from + hours * 60;
        self.windows.iter().any(|window| {
            let length = match minutes(window.to) - minutes(window.from) {
                same_day if same_day > 0 => same_day,
                next_day => next_day + DAY,
            };
            // The turn may reach into the next week, the window into this one from the last.
            window
                .days
                .iter()
                .map(|day| i64::from(*day) * DAY + minutes(window.from))
                .any(|opens| (-1..=1).map(|week| opens + week * WEEK * 60).any(|opens| opens < to && from < opens + length))
        })
    }

    fn busy_turns_before(&self, turn: i64) -> i64 {
        let cycle = self.busy_cycle();
        let count = |turns: &[bool]| i64::try_from(turns.iter().filter(|busy| **busy).count()).unwrap_or(0);
        let length = i64::try_from(cycle.len()).unwrap_or(1).max(1);
        let rest = usize::try_from(turn.rem_euclid(length)).unwrap_or(0);
        turn.div_euclid(length) * count(&cycle) + count(&cycle[..rest])
    }

    /// Whoever stands in the order and never has a turn that is active.
    #[must_use]
    pub fn never_on_duty(&self) -> Vec<PersonId> {
        let cycle = self.busy_cycle();
        let length = i64::try_from(cycle.len() * self.people.len()).unwrap_or(0);
        // After so many turns both the hours and the order are the same again.
        let busy = (0..length).filter(|turn| usize::try_from(*turn).is_ok_and(|turn| cycle[turn % cycle.len()]));
        let mut seen = vec![false; self.people.len()];
        for place in busy.filter_map(|turn| self.place_in(&cycle, turn)) {
            seen[place] = true;
        }
        let has_turn = |person: &PersonId| self.people.iter().zip(&seen).any(|(own, seen)| own == person && *seen);
        let mut never: Vec<PersonId> = self.people.iter().filter(|person| !has_turn(person)).copied().collect();
        never.sort_unstable();
        never.dedup();
        never
    }

    /// As [`Self::place`], with the cycle at hand.
    fn place_in(&self, cycle: &[bool], turn: i64) -> Option<usize> {
        if !self.skip_idle_turns {
            return self.place(turn);
        }
        // All that are active count, so each in turn has one.
        let (turn, length) = (usize::try_from(turn).ok()?, cycle.len());
        let busy = |turns: &[bool]| turns.iter().filter(|busy| **busy).count();
        let counted = turn / length * busy(cycle) + busy(&cycle[..turn % length]);
        (counted + self.first).checked_rem(self.people.len())
    }

    /// Whether it says the same as another one, but for what holds until then.
    fn says_as(&self, other: &Self) -> bool {
        let rule = |own: &Self| Self { first: 0, earlier: Vec::new(), ..own.clone() };
        rule(self) == rule(other)
    }

    /// This rotation in the place of `before`, from an instant on. Whoever is on duty by then stays until the hand-over, and the next in
    /// this order follows. Without a change nothing changes; `None` when too many changes wait for their day.
    #[must_use]
    pub fn in_place_of(mut self, before: &Self, zone: Tz, from: DateTime<Utc>, now: DateTime<Utc>) -> Option<Self> {
        if self.says_as(before) {
            return Some(before.clone());
        }
        let from = from.max(now);
        let mut pending: Vec<Earlier> = before.earlier.iter().filter(|earlier| earlier.until > now).cloned().collect();
        // What would have followed later is not to follow any more.
        let holds = pending.iter().position(|earlier| earlier.until > from);
        let base = holds.map_or_else(|| Self { earlier: Vec::new(), ..before.clone() }, |place| pending[place].rotation.clone());
        pending.truncate(holds.unwrap_or(pending.len()));
        if self.says_as(&base) {
            // A change that was to come is taken back.
            return Some(Self { earlier: pending, ..base });
        }
        let Some(hand_over) = base.hand_over_from(zone, from, now) else {
            // It has not begun, or is over: nobody is to be relieved.
            self.earlier = pending;
            return Some(self);
        };
        let same_turns = (self.every, self.unit, self.start) == (base.every, base.unit, base.start);
        let until = if same_turns {
            self.first = self.first_after(&base, base.turn(zone, hand_over));
            hand_over
        } else {
            // Turns of another kind are counted as they say; until they begin there is somebody.
            hand_over.max(wall::instant(zone, self.start))
        };
        pending.push(Earlier { until, rotation: base });
        self.earlier = pending;
        (self.earlier.len() <= MOST_EARLIER).then_some(self)
    }

    /// The first hand-over at an instant or after it, but not at `now`, when whoever comes on duty has just come; none before the first
    /// turn, or after the end.
    fn hand_over_from(&self, zone: Tz, from: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let is_over = self.end.is_some_and(|end| wall::instant(zone, end) <= from);
        if self.people.is_empty() || is_over || wall::instant(zone, self.start) > from {
            return None;
        }
        let turn = self.turn(zone, from);
        let begins = |turn| self.starts(turn).map(|start| wall::instant(zone, start));
        [begins(turn), begins(turn + 1)].into_iter().flatten().find(|begins| *begins >= from && *begins > now)
    }

    /// The place of whoever has the first turn, so that in the given turn comes who follows whoever had the one before it.
    fn first_after(&self, before: &Self, turn: i64) -> usize {
        let (count, others) = (self.people.len(), before.people.len());
        let (Some(upcoming), Some(_)) = (before.place(turn), count.checked_sub(1)) else { return 0 };
        let last = (upcoming + others - 1) % others;
        let find = |place: usize| {
            let places = (0..count).filter(|own| self.people[*own] == before.people[place]);
            places.min_by_key(|own| own.abs_diff(place))
        };
        // Whoever follows the last one in the new order; when they have left, whoever would have followed them and has stayed.
        let stayed = || (1..others).find_map(|step| find((last + step) % others));
        let next = find(last).map(|own| (own + 1) % count).or_else(stayed).unwrap_or(0);
        let own = Self { first: 0, ..self.clone() };
        let counted = own.place(turn).unwrap_or(0);
        (next + count - counted % count) % count
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
        let (own, until) = self.holds(at);
        own.next_edge_by_itself(zone, at).into_iter().chain(until).min()
    }

    fn next_edge_by_itself(&self, zone: Tz, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use proptest::prelude::*;

    use super::*;

    fn person(name: char) -> PersonId {
        PersonId(uuid::Uuid::from_u128(u128::from(u32::from(name))))
    }

    /// Weekly turns in UTC, from Monday, 2 November 2026.
    fn weekly(people: &str) -> Rotation {
        Rotation {
            people: people.chars().map(person).collect(),
            every: 1,
            unit: Unit::Weeks,
            start: "2026-11-02T00:00:00".parse().unwrap(),
            end: None,
            windows: Vec::new(),
            first: 0,
            skip_idle_turns: false,
            earlier: Vec::new(),
        }
    }

    fn at(day: &str) -> DateTime<Utc> {
        format!("{day}T12:00:00Z").parse().unwrap()
    }

    /// Who is on duty at noon of a day and of the same day of the weeks after it.
    fn weeks(rotation: &Rotation, day: &str, count: i32) -> String {
        let who = |week: i32| rotation.who(Tz::UTC, &Absences::default(), at(day) + TimeDelta::weeks(1) * week);
        let name =
            |turn: Option<Turn>| turn.map_or('-', |(own, _)| char::from_u32(u32::try_from(own.0.as_u128()).unwrap()).unwrap());
        (0..count).map(|week| name(who(week))).collect()
    }

    fn changed(before: &Rotation, people: &str, from: &str, now: &str) -> Rotation {
        weekly(people).in_place_of(before, Tz::UTC, at(from), at(now)).unwrap()
    }

    #[test]
    fn whoever_is_on_duty_stays_until_the_hand_over() {
        let before = weekly("ABC");
        assert_eq!(weeks(&before, "2026-11-28", 5), "ABCAB");
        for (people, expected) in [
            ("ABCD", "ABCDA"),
            ("DABC", "ABCDA"),
            ("AB", "ABABA"),
            ("BC", "ABCBC"),
            ("D", "ADDDD"),
            ("XBC", "ABCXB"),
            ("CBA", "ACBAC"),
            ("AABC", "AABCA"),
        ] {
            assert_eq!(weeks(&changed(&before, people, "2026-11-28", "2026-11-28"), "2026-11-28", 5), expected, "{people}");
        }
        let same = changed(&before, "ABC", "2026-11-28", "2026-11-28");
        assert_eq!(same, before);
    }

    #[test]
    fn a_change_takes_a_date() {
        let before = weekly("ABC");
        let later = changed(&before, "ABCD", "2026-12-09", "2026-11-28");
        assert_eq!(weeks(&later, "2026-11-28", 7), "ABCDABC");
        // Another change before that day takes its place; one after it follows.
        assert_eq!(weeks(&changed(&later, "AB", "2026-11-28", "2026-11-28"), "2026-11-28", 5), "ABABA");
        assert_eq!(weeks(&changed(&later, "ABC", "2026-12-26", "2026-11-28"), "2026-11-28", 8), "ABCDABCA");
        // What is over is forgotten.
        let again = changed(&later, "ABCDE", "2027-01-02", "2027-01-02");
        assert_eq!((again.earlier.len(), weeks(&again, "2027-01-02", 6).as_str()), (1, "BCDEAB"));
    }

    #[test]
    fn turns_of_another_kind_wait_until_they_begin() {
        let mut daily = weekly("ABC");
        (daily.unit, daily.start) = (Unit::Days, "2026-12-03T00:00:00".parse().unwrap());
        let changed = daily.in_place_of(&weekly("ABC"), Tz::UTC, at("2026-11-28"), at("2026-11-28")).unwrap();
        let days = ["2026-11-28", "2026-12-01", "2026-12-02", "2026-12-03", "2026-12-04"];
        assert_eq!(days.map(|day| weeks(&changed, day, 1)).concat(), "ABBAB");
    }

    #[test]
    fn turns_that_are_never_active_need_not_count() {
        let mut daily = weekly("ABCDEFG");
        daily.unit = Unit::Days;
        daily.windows = vec![super::super::text::window("mon-fri 00:00-24:00").unwrap()];
        assert_eq!(daily.never_on_duty(), [person('F'), person('G')]);
        daily.skip_idle_turns = true;
        assert_eq!(daily.never_on_duty(), []);
        let days = |rotation: &Rotation| (2..=13).map(|day| weeks(rotation, &format!("2026-11-{day:02}"), 1)).collect::<String>();
        assert_eq!(days(&daily), "ABCDE--FGABC");
        assert_eq!(weekly("ABC").never_on_duty(), []);
        daily.people.push(person('A'));
        assert_eq!(daily.never_on_duty(), []);
    }

    proptest! {
        #[test]
        fn a_change_of_people_relieves_nobody(
            old in "[A-E]{1,6}",
            new in "[A-G]{1,6}",
            hours in 0_i64..2000,
            skip in any::<bool>(),
            (every, unit) in prop_oneof![(1_u32..30).prop_map(|own| (own, Unit::Hours)), (1_u32..9).prop_map(|own| (own, Unit::Days))],
        ) {
            let with = |people: &str| Rotation { every, unit, skip_idle_turns: skip, ..weekly(people) };
            let before = with(&old);
            let now = at("2026-11-02") + TimeDelta::hours(hours);
            let after = with(&new).in_place_of(&before, Tz::UTC, now, now).unwrap();
            let who = |rotation: &Rotation, at| rotation.who(Tz::UTC, &Absences::default(), at).map(|turn| turn.0);
            let next = before.hand_over_from(Tz::UTC, now, now).unwrap();
            prop_assert_eq!(who(&after, now), who(&before, now));
            prop_assert_eq!(who(&after, next - TimeDelta::seconds(1)), who(&before, next - TimeDelta::seconds(1)));
            // Then everybody of the new order has as many turns as they stand in it.
            let turn = with(&new).length();
            let mut served: Vec<PersonId> = (0..i32::try_from(new.len()).unwrap()).filter_map(|own| who(&after, next + turn * own)).collect();
            let mut all = after.people.clone();
            served.sort_unstable();
            all.sort_unstable();
            prop_assert_eq!(served, all);
        }

        #[test]
        fn skipping_idle_turns_gives_everybody_as_many(people in "[A-H]{1,6}", hours in 1_u32..50, days in prop::collection::btree_set(0_u8..7, 1..7), start in 0_i64..168) {
            let windows = vec![Window { days: days.into_iter().collect(), from: chrono::NaiveTime::MIN, to: chrono::NaiveTime::from_hms_opt(6, 0, 0).unwrap() }];
            let start = weekly("A").start + TimeDelta::hours(start);
            let own = Rotation { every: hours, unit: Unit::Hours, windows, start, skip_idle_turns: true, ..weekly(&people) };
            prop_assert_eq!(own.never_on_duty(), []);
            // A turn counts exactly when somebody is on duty in it.
            for turn in 0..60 {
                let begins = own.starts(turn).unwrap().and_utc();
                let minutes = (0..i64::from(hours) * 60).step_by(30);
                let busy = minutes.into_iter().any(|minute| own.is_active(Tz::UTC, begins + TimeDelta::minutes(minute)));
                prop_assert_eq!(own.busy_turns_before(turn + 1) - own.busy_turns_before(turn), i64::from(busy), "{}", turn);
            }
        }
    }
}
