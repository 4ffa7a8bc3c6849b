//! The calendar of a schedule as strips of bars, one for each week: where each bar begins and ends, without any markup.
//!
//! Days are as long as they really are: where clocks change, a day has 23 or 25 hours and its column is narrower or wider.

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, Utc};

use crate::dashboard::frame::words::{Words, fill_text};
use crate::ids::PersonId;
use crate::roster::{Change, Override, Roster, Schedule, Shift, evaluate, wall};

/// The width of a week.
const WIDTH: i64 = 1400;
/// How high a lane is.
const LANE: i64 = 52;
/// Where the first lane begins, below the names of the days.
const TOP: i64 = 24;
/// Bars have one of so many colours.
const COLOURS: usize = 12;
/// Shifts are shown whole: so far before and after what is drawn it is looked where they begin and end.
const WHOLE: TimeDelta = TimeDelta::days(35);

/// One week.
pub(in crate::dashboard) struct Strip {
    /// Where it begins and ends, for the script.
    pub(in crate::dashboard) from: DateTime<Utc>,
    pub(in crate::dashboard) to: DateTime<Utc>,
    pub(in crate::dashboard) days: Vec<Day>,
    /// The first is what comes of all others.
    pub(in crate::dashboard) lanes: Vec<Lane>,
    /// Of the drawing with the first lane, and of the one with the others.
    pub(in crate::dashboard) height: i64,
    pub(in crate::dashboard) height_of_others: i64,
    /// The other lanes say more than the first.
    pub(in crate::dashboard) others_differ: bool,
    /// Where now is, if it is in this week.
    pub(in crate::dashboard) now: Option<i64>,
}

/// A day's column.
pub(in crate::dashboard) struct Day {
    pub(in crate::dashboard) x: i64,
    pub(in crate::dashboard) width: i64,
    pub(in crate::dashboard) label: String,
    pub(in crate::dashboard) is_today: bool,
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
    /// It began before this week, or ends after it.
    pub(in crate::dashboard) begins_before: bool,
    pub(in crate::dashboard) ends_after: bool,
    pub(in crate::dashboard) class: String,
    pub(in crate::dashboard) text: String,
    /// What following it does, for those who hear it.
    pub(in crate::dashboard) about: String,
    /// From and to as the clock of the zone shows them, whole: for people, and for the form.
    pub(in crate::dashboard) from: String,
    pub(in crate::dashboard) to: String,
}

/// Whom a colour stands for.
pub(in crate::dashboard) struct Coloured {
    pub(in crate::dashboard) class: String,
    pub(in crate::dashboard) name: String,
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
    /// The weeks that begin on these Mondays, in order.
    pub(in crate::dashboard) fn weeks(&self, mondays: &[NaiveDate]) -> Vec<Strip> {
        let (Some(first), Some(last)) = (mondays.first(), mondays.last()) else { return Vec::new() };
        let shifts = self.whole(self.schedule, self.midnight(*first, 0), self.midnight(*last, 7));
        mondays.iter().map(|monday| self.draw(*monday, &shifts)).collect()
    }

    /// The week that begins on a Monday.
    #[cfg(test)]
    fn week(&self, monday: NaiveDate) -> Strip {
        self.weeks(&[monday]).remove(0)
    }

    fn midnight(&self, day: NaiveDate, days: u64) -> DateTime<Utc> {
        wall::midnight(self.schedule.zone, day.checked_add_days(Days::new(days)).unwrap_or(day))
    }

    fn draw(&self, monday: NaiveDate, shifts: &[Whole]) -> Strip {
        let midnight = |days| self.midnight(monday, days);
        let mut strip = Strip {
            from: midnight(0),
            to: midnight(7),
            days: Vec::new(),
            lanes: Vec::new(),
            height: TOP + LANE,
            height_of_others: 0,
            others_differ: false,
            now: None,
        };
        strip.now = (strip.from <= self.now && self.now < strip.to).then(|| strip.x(self.now));
        let names: Vec<&str> = self.words.weekdays.split(',').collect();
        let today = wall::local(self.schedule.zone, self.now).date();
        for days in 0..7 {
            let day = monday.checked_add_days(Days::new(days)).unwrap_or(monday);
            let name = usize::try_from(days).ok().and_then(|place| names.get(place)).copied().unwrap_or_default();
            let x = strip.x(midnight(days));
            let label = format!("{name} {:02}-{:02}", day.month(), day.day());
            strip.days.push(Day { x, width: strip.x(midnight(days + 1)) - x, label, is_today: day == today });
        }
        let on_duty = self.bars(&strip, shifts);
        strip.lane(self.words.roster_on_duty.clone(), on_duty);
        if self.all_lanes {
            self.add_lanes(&mut strip);
        }
        strip.height_of_others = TOP + LANE * i64::try_from(strip.others().len()).unwrap_or(0);
        let said = |lane: &Lane| -> Vec<(i64, i64, String)> {
            let planned = lane.bars.iter().filter(|bar| !bar.class.starts_with("gap"));
            planned.map(|bar| (bar.x, bar.width, bar.text.clone())).collect()
        };
        strip.others_differ = match strip.others() {
            [] => false,
            [only] => said(only) != said(&strip.lanes[0]),
            _ => true,
        };
        strip
    }

    fn add_lanes(&self, strip: &mut Strip) {
        let bare = Schedule { overrides: Vec::new(), temporaries: Vec::new(), ..self.schedule.clone() };
        let temporaries = Schedule { layers: Vec::new(), overrides: Vec::new(), ..self.schedule.clone() };
        let bars = self.planned(&temporaries, strip);
        if !bars.is_empty() {
            strip.lane(self.words.roster_temporary.clone(), bars);
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
            strip.lane(layer.name.clone(), bars);
        }
    }

    /// Who is on duty by these rules alone; their gaps are nobody's business.
    fn planned(&self, schedule: &Schedule, strip: &Strip) -> Vec<Bar> {
        let mut bars = self.bars(strip, &self.whole(schedule, strip.from, strip.to));
        bars.retain(|bar| !bar.class.starts_with("gap"));
        bars
    }

    /// The shifts of a time, each as long as it really is: of the same people, whatever the reasons.
    fn whole(&self, schedule: &Schedule, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Whole> {
        let (first, last) = (from - WHOLE, to + WHOLE);
        let mut all: Vec<Whole> = Vec::new();
        for shift in evaluate::shifts(schedule, &self.roster.absences, first, last) {
            let people: Vec<PersonId> = shift.on.iter().map(|on| on.person).collect();
            match all.last_mut() {
                Some(before) if before.people == people => before.to = shift.to,
                _ => all.push(Whole { from: shift.from, to: shift.to, people }),
            }
        }
        all.retain(|own| own.from < to && from < own.to);
        // What goes on beyond all that was looked at has no end that could be told.
        for own in &mut all {
            if own.from == first {
                own.from = from;
            }
            if own.to == last {
                own.to = to;
            }
        }
        all
    }

    fn bars(&self, strip: &Strip, shifts: &[Whole]) -> Vec<Bar> {
        let seen = shifts.iter().filter(|own| own.from < strip.to && strip.from < own.to);
        let bar = |own: &Whole| match own.people.as_slice() {
            [] => {
                // What is over needs no hand any more.
                let class = if self.schedule.gaps_allowed || own.to <= self.now { "gap calm" } else { "gap" };
                self.bar(strip, (own.from, own.to), class.to_owned(), self.words.roster_nobody.clone())
            }
            [first, ..] => self.bar(strip, (own.from, own.to), self.colour(*first), self.names(&own.people)),
        };
        seen.map(bar).collect()
    }

    fn override_bar(&self, own: &Override, strip: &Strip) -> Option<Bar> {
        let (person, sign) = match own.change {
            Change::Add(person) => (person, "+ "),
            Change::Remove(person) => (person, "− "),
            Change::Replace { by, .. } => (by, "↷ "),
        };
        let text = format!("{sign}{}", self.roster.name(person));
        let is_seen = own.from < strip.to && strip.from < own.to;
        is_seen.then(|| self.bar(strip, (own.from, own.to), self.colour(person), text))
    }

    /// The vacations of those whom the rules of this schedule name.
    fn away(&self, strip: &Strip) -> Vec<Bar> {
        let mut people: Vec<_> = self.schedule.layers.iter().flat_map(|layer| layer.rule.people()).collect();
        people.sort_unstable();
        people.dedup();
        let known = people.into_iter().filter(|person| self.roster.people.contains_key(person));
        let times =
            known.flat_map(|person| self.roster.absences.0.get(&person).into_iter().flatten().map(move |time| (person, *time)));
        let seen = times.filter(|(_, (from, to))| *from < strip.to && strip.from < *to);
        seen.map(|(person, time)| self.bar(strip, time, "away".to_owned(), self.roster.name(person))).collect()
    }

    fn bar(&self, strip: &Strip, (from, to): (DateTime<Utc>, DateTime<Utc>), class: String, text: String) -> Bar {
        let shown = |at| wall::local(self.schedule.zone, at).format("%Y-%m-%dT%H:%M").to_string();
        let x = strip.x(from.max(strip.from));
        let (begins, ends) = (shown(from).replace('T', " "), shown(to).replace('T', " "));
        let about = fill_text(&self.words.duty_change, &[("names", &text), ("from", &begins), ("to", &ends)]);
        Bar {
            about,
            x,
            width: (strip.x(to.min(strip.to)) - x).max(2),
            begins_before: from < strip.from,
            ends_after: to > strip.to,
            class,
            text,
            from: shown(from),
            to: shown(to),
        }
    }

    fn names(&self, people: &[PersonId]) -> String {
        people.iter().map(|person| self.roster.name(*person)).collect::<Vec<_>>().join(&self.words.list_comma)
    }

    /// Whom the colours of these weeks stand for, by name.
    pub(in crate::dashboard) fn legend(&self, strips: &[Strip]) -> Vec<Coloured> {
        let (Some(first), Some(last)) = (strips.first(), strips.last()) else { return Vec::new() };
        let mut people: Vec<PersonId> =
            self.whole(self.schedule, first.from, last.to).into_iter().flat_map(|own| own.people).collect();
        people.sort_unstable();
        people.dedup();
        let mut all: Vec<Coloured> =
            people.into_iter().map(|person| Coloured { class: self.colour(person), name: self.roster.name(person) }).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// A person has the same colour on all calendars.
    fn colour(&self, person: PersonId) -> String {
        let place = self.roster.people.keys().position(|own| *own == person).unwrap_or(0);
        format!("c{}", place % COLOURS)
    }
}

/// A time in which the same people are on duty.
struct Whole {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    people: Vec<PersonId>,
}

/// The shifts of a time, each whole, with their reasons; what goes on beyond all that was looked at is cut.
pub(in crate::dashboard) fn whole_shifts(
    roster: &Roster,
    schedule: &Schedule,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Vec<Shift> {
    let (first, last) = (from - WHOLE, to + WHOLE);
    let mut all = evaluate::shifts(schedule, &roster.absences, first, last);
    all.retain(|own| own.from < to && from < own.to);
    for own in &mut all {
        if own.from == first {
            own.from = from;
        }
        if own.to == last {
            own.to = to;
        }
    }
    all
}

impl Strip {
    /// What comes of all layers and changes.
    pub(in crate::dashboard) fn result(&self) -> &[Lane] {
        self.lanes.get(..1).unwrap_or_default()
    }

    /// Each layer and each kind of change by itself.
    pub(in crate::dashboard) fn others(&self) -> &[Lane] {
        self.lanes.get(1..).unwrap_or_default()
    }

    fn x(&self, at: DateTime<Utc>) -> i64 {
        let length = (self.to - self.from).num_seconds().max(1);
        (at - self.from).num_seconds() * WIDTH / length
    }

    fn lane(&mut self, label: String, bars: Vec<Bar>) {
        // The first stands alone; the others are drawn together.
        let place = i64::try_from(self.lanes.len()).unwrap_or(0).saturating_sub(1).max(0);
        self.lanes.push(Lane { label, y: TOP + LANE * place, bars });
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
    use crate::ids::{LayerId, ScheduleId};
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
        assert!(!strip.others_differ, "the only layer is what comes of it");
        assert!(strip.lanes[0].bars[1].ends_after || strip.lanes[0].bars[1].to == "2027-03-29T00:00", "no end is made up");
    }
}
