//! The calendar of a schedule as strips of bars, one for each week: where each bar begins and ends, without any markup.
//!
//! Days are as long as they really are: where clocks change, a day has 23 or 25 hours and its column is narrower or wider.

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};

use crate::dashboard::frame::words::Words;
use crate::roster::{Change, On, Override, Roster, Schedule, evaluate, wall};

/// The width of a week.
const WIDTH: i64 = 1400;
/// How high a lane is.
const LANE: i64 = 34;
/// Where the first lane begins, below the names of the days.
const TOP: i64 = 24;
/// Bars have one of so many colours.
const COLOURS: usize = 8;

/// One week.
pub(in crate::dashboard) struct Strip {
    /// Where it begins and ends, for the script.
    pub(in crate::dashboard) from: DateTime<Utc>,
    pub(in crate::dashboard) to: DateTime<Utc>,
    pub(in crate::dashboard) days: Vec<Day>,
    pub(in crate::dashboard) lanes: Vec<Lane>,
    pub(in crate::dashboard) height: i64,
    /// Where now is, if it is in this week.
    pub(in crate::dashboard) now: Option<i64>,
}

/// A day's column.
pub(in crate::dashboard) struct Day {
    pub(in crate::dashboard) x: i64,
    pub(in crate::dashboard) label: String,
}

/// One row of bars.
pub(in crate::dashboard) struct Lane {
    pub(in crate::dashboard) label: String,
    pub(in crate::dashboard) y: i64,
    pub(in crate::dashboard) bars: Vec<Bar>,
}

/// A time in a lane.
pub(in crate::dashboard) struct Bar {
    pub(in crate::dashboard) x: i64,
    pub(in crate::dashboard) width: i64,
    pub(in crate::dashboard) class: String,
    pub(in crate::dashboard) text: String,
    /// From and to as the clock of the zone shows them: for people, and for the form.
    pub(in crate::dashboard) from: String,
    pub(in crate::dashboard) to: String,
}

/// What is to be drawn.
pub(in crate::dashboard) struct Plan<'p> {
    pub(in crate::dashboard) roster: &'p Roster,
    pub(in crate::dashboard) schedule: &'p Schedule,
    pub(in crate::dashboard) words: &'static Words,
    pub(in crate::dashboard) now: DateTime<Utc>,
    /// Layers, overrides and temporary schedules too, each in a lane.
    pub(in crate::dashboard) all_lanes: bool,
}

impl Plan<'_> {
    /// The week that begins on a Monday.
    pub(in crate::dashboard) fn week(&self, monday: NaiveDate) -> Strip {
        let zone = self.schedule.zone;
        let midnight = |days| wall::midnight(zone, monday.checked_add_days(Days::new(days)).unwrap_or(monday));
        let mut strip = Strip { from: midnight(0), to: midnight(7), days: Vec::new(), lanes: Vec::new(), height: 0, now: None };
        strip.now = (strip.from <= self.now && self.now < strip.to).then(|| strip.x(self.now));
        let names: Vec<&str> = self.words.weekdays.split(',').collect();
        for days in 0..7 {
            let day = monday.checked_add_days(Days::new(days)).unwrap_or(monday);
            let name = usize::try_from(days).ok().and_then(|place| names.get(place)).copied().unwrap_or_default();
            strip.days.push(Day { x: strip.x(midnight(days)), label: format!("{name} {:02}-{:02}", day.month(), day.day()) });
        }
        let on_duty = self.planned(self.schedule, &strip);
        strip.lane(self.words.roster_on_duty.clone(), on_duty);
        if self.all_lanes {
            self.add_lanes(&mut strip);
        }
        strip.height = TOP + LANE * i64::try_from(strip.lanes.len()).unwrap_or(0);
        strip
    }

    fn add_lanes(&self, strip: &mut Strip) {
        let bare = Schedule { overrides: Vec::new(), temporaries: Vec::new(), ..self.schedule.clone() };
        let temporaries = Schedule { layers: Vec::new(), overrides: Vec::new(), ..self.schedule.clone() };
        let bars = self.planned(&temporaries, strip);
        if bars.iter().any(|bar| !bar.class.starts_with("gap")) {
            strip.lane(
                self.words.roster_temporary.clone(),
                bars.into_iter().filter(|bar| !bar.class.starts_with("gap")).collect(),
            );
        }
        let bars: Vec<Bar> = self.schedule.overrides.iter().filter_map(|own| self.override_bar(own, strip)).collect();
        if !bars.is_empty() {
            strip.lane(self.words.roster_overrides.clone(), bars);
        }
        let away: Vec<Bar> = self.away(strip);
        if !away.is_empty() {
            strip.lane(self.words.roster_vacations.clone(), away);
        }
        for layer in &bare.layers {
            let alone = Schedule { layers: vec![layer.clone()], ..bare.clone() };
            let bars = self.planned(&alone, strip);
            strip.lane(layer.name.clone(), bars.into_iter().filter(|bar| !bar.class.starts_with("gap")).collect());
        }
    }

    fn planned(&self, schedule: &Schedule, strip: &Strip) -> Vec<Bar> {
        let shifts = evaluate::shifts(schedule, &self.roster.absences, strip.from, strip.to);
        let bar = |shift: &crate::roster::Shift| match shift.on.as_slice() {
            [] => {
                // What is over needs no hand any more.
                let class = if schedule.gaps_allowed || shift.to <= self.now { "gap calm" } else { "gap" };
                self.bar(strip, (shift.from, shift.to), class.to_owned(), self.words.roster_nobody.clone())
            }
            on => self.bar(strip, (shift.from, shift.to), self.class(on), self.names(on)),
        };
        shifts.iter().map(bar).collect()
    }

    fn override_bar(&self, own: &Override, strip: &Strip) -> Option<Bar> {
        let (from, to) = (own.from.max(strip.from), own.to.min(strip.to));
        let (person, sign) = match own.change {
            Change::Add(person) => (person, "+ "),
            Change::Remove(person) => (person, "− "),
            Change::Replace { by, .. } => (by, "↷ "),
        };
        let text = format!("{sign}{}", self.roster.name(person));
        (from < to).then(|| self.bar(strip, (from, to), self.colour(person), text))
    }

    /// The vacations of those whom the rules of this schedule name.
    fn away(&self, strip: &Strip) -> Vec<Bar> {
        let mut people: Vec<_> = self.schedule.layers.iter().flat_map(|layer| layer.rule.people()).collect();
        people.sort_unstable();
        people.dedup();
        let known = people.into_iter().filter(|person| self.roster.people.contains_key(person));
        let times =
            known.flat_map(|person| self.roster.absences.0.get(&person).into_iter().flatten().map(move |time| (person, time)));
        let cut = times.map(|(person, (from, to))| (person, (*from).max(strip.from), (*to).min(strip.to)));
        let seen = cut.filter(|(_, from, to)| from < to);
        seen.map(|(person, from, to)| self.bar(strip, (from, to), "away".to_owned(), self.roster.name(person))).collect()
    }

    fn bar(&self, strip: &Strip, (from, to): (DateTime<Utc>, DateTime<Utc>), class: String, text: String) -> Bar {
        let shown = |at| wall::local(self.schedule.zone, at).format("%Y-%m-%dT%H:%M").to_string();
        let x = strip.x(from);
        Bar { x, width: (strip.x(to) - x).max(2), class, text, from: shown(from), to: shown(to) }
    }

    fn names(&self, on: &[On]) -> String {
        on.iter().map(|on| self.roster.name(on.person)).collect::<Vec<_>>().join(&self.words.list_comma)
    }

    fn class(&self, on: &[On]) -> String {
        on.first().map(|on| self.colour(on.person)).unwrap_or_default()
    }

    /// A person has the same colour on all calendars.
    fn colour(&self, person: crate::ids::PersonId) -> String {
        let place = self.roster.people.keys().position(|own| *own == person).unwrap_or(0);
        format!("c{}", place % COLOURS)
    }
}

impl Strip {
    fn x(&self, at: DateTime<Utc>) -> i64 {
        let length = (self.to - self.from).num_seconds().max(1);
        (at - self.from).num_seconds() * WIDTH / length
    }

    fn lane(&mut self, label: String, bars: Vec<Bar>) {
        let y = TOP + LANE * i64::try_from(self.lanes.len()).unwrap_or(0);
        self.lanes.push(Lane { label, y, bars });
    }
}

/// The Monday of a day's week.
pub(in crate::dashboard) fn monday_of(day: NaiveDate) -> NaiveDate {
    day.checked_sub_days(Days::new(u64::from(day.weekday().num_days_from_monday()))).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::dashboard::frame::words::Language;
    use crate::ids::{LayerId, PersonId, ScheduleId};
    use crate::roster::{Layer, Rotation, Rule, Unit};

    #[test]
    fn a_week_with_a_clock_change_is_whole() {
        let id = uuid::Uuid::from_u128(1);
        let rotation = Rotation {
            people: vec![PersonId(id)],
            every: 1,
            unit: Unit::Days,
            start: "2027-03-24T09:00:00".parse().unwrap(),
            end: None,
            windows: Vec::new(),
            first: 0,
            skip_idle_turns: false,
            earlier: Vec::new(),
        };
        let schedule = Schedule {
            id: ScheduleId(id),
            name: "ops".to_owned(),
            team: None,
            zone: chrono_tz::Tz::Europe__Berlin,
            gaps_allowed: false,
            version: 1,
            layers: vec![Layer { id: LayerId(id), name: "daily".to_owned(), rule: Rule::Rotation(rotation) }],
            overrides: Vec::new(),
            temporaries: Vec::new(),
        };
        let plan = Plan {
            roster: &Roster::default(),
            schedule: &schedule,
            words: Language::English.words(),
            now: "2027-03-25T00:00:00Z".parse().unwrap(),
            all_lanes: true,
        };
        let strip = plan.week(monday_of("2027-03-28".parse().unwrap()));
        assert_eq!((strip.to - strip.from).num_hours(), 7 * 24 - 1);
        let days: Vec<i64> = strip.days.iter().map(|day| day.x).collect();
        assert_eq!((days[0], days[6] - days[5], WIDTH - days[6]), (0, 202, 193), "Sunday is an hour shorter");
        let bars: Vec<(&str, i64, i64)> = strip.lanes[0].bars.iter().map(|bar| (bar.class.as_str(), bar.x, bar.width)).collect();
        assert_eq!((bars[0].0, bars[1].0, bars[1].1 + bars[1].2), ("gap calm", "c0", WIDTH));
        assert_eq!(strip.lanes[0].bars[1].from, "2027-03-24T09:00");
        assert_eq!(strip.lanes.len(), 2);
    }
}
