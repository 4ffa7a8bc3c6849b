//! One schedule: who is on duty at an instant, until when, and all shifts of a time.

use chrono::{DateTime, TimeDelta, Utc};

use super::rotation::Turn;
use super::{Absences, Change, FixedShift, On, OnDuty, Override, Reason, Rule, Schedule, Shift};
use crate::ids::PersonId;

/// How far ahead the end of a duty is looked for.
pub const FORESIGHT: TimeDelta = TimeDelta::days(400);

/// So many instants of all rules together are looked at for one answer about the future. A rule with a hand-over each hour has 9,600 of
/// them as far as anybody looks.
const MOST_LOOKS: usize = 20_000;

/// Who is on duty at an instant and why; empty in a gap.
#[must_use]
pub fn who(schedule: &Schedule, absences: &Absences, at: DateTime<Utc>) -> Vec<On> {
    decide(schedule, &schedule.overrides.iter().collect::<Vec<_>>(), absences, at, |_, rule| {
        rule.who(schedule.zone, absences, at)
    })
}

/// The same, with `by_rule` telling who is on duty by the rule of a place: the layers', then the temporary schedules'.
fn decide(
    schedule: &Schedule,
    overrides: &[&Override],
    absences: &Absences,
    at: DateTime<Utc>,
    by_rule: impl Fn(usize, &Rule) -> Vec<Turn>,
) -> Vec<On> {
    let layers = schedule.layers.len();
    for (place, temporary) in schedule.temporaries.iter().enumerate().rev().filter(|(_, own)| own.from <= at && at < own.to) {
        let turns = by_rule(layers + place, &temporary.rule).into_iter();
        let on = turns.map(|(person, covers)| On { person, reason: Reason::Temporary { id: temporary.id, covers } });
        let on: Vec<On> = on.collect();
        if !on.is_empty() {
            return on;
        }
    }
    for (place, layer) in schedule.layers.iter().enumerate() {
        let turns = by_rule(place, &layer.rule).into_iter();
        let on = turns.map(|(person, covers)| On { person, reason: Reason::Layer { id: layer.id, covers } });
        let mut on: Vec<On> = on.collect();
        if on.is_empty() {
            continue;
        }
        apply(overrides, absences, at, &mut on);
        if !on.is_empty() {
            return on;
        }
    }
    let mut on = Vec::new();
    apply(overrides, absences, at, &mut on);
    on
}

/// Changes who is on duty by the overrides of that moment.
fn apply(overrides: &[&Override], absences: &Absences, at: DateTime<Utc>, on: &mut Vec<On>) {
    for own in overrides.iter().filter(|own| own.from <= at && at < own.to) {
        let is_there = |on: &[On], person| on.iter().position(|on| on.person == person);
        match own.change {
            Change::Remove(person) => on.retain(|on| on.person != person),
            Change::Add(person) if !absences.away(person, at) => {
                if is_there(on, person).is_none() {
                    on.push(by(own, person, None));
                }
            }
            Change::Replace { by: person, of: None } if !absences.away(person, at) => *on = vec![by(own, person, None)],
            Change::Replace { by: person, of: Some(of) } if !absences.away(person, at) => {
                // They may be away by now, so that the rotation has put somebody in their place.
                let covered = || on.iter().position(|on| on.reason.covers() == Some(of));
                let Some(place) = is_there(on, of).or_else(covered) else { continue };
                match is_there(on, person) {
                    Some(own) if own != place => drop(on.remove(place)),
                    Some(_) => {}
                    None => on[place] = by(own, person, Some(of)),
                }
            }
            // Whoever is away takes nobody's place.
            Change::Add(_) | Change::Replace { .. } => {}
        }
    }
}

fn by(own: &Override, person: PersonId, replaces: Option<PersonId>) -> On {
    On { person, reason: Reason::Override { id: own.id, replaces } }
}

/// Who is on duty at an instant, why, and when each of them is relieved: at the first instant at which they are not on duty.
#[must_use]
pub fn on_duty(schedule: &Schedule, absences: &Absences, at: DateTime<Utc>) -> Vec<OnDuty> {
    let plan = Plan::new(schedule, absences, at, at + FORESIGHT);
    let now = plan.who(at);
    if now.is_empty() {
        return Vec::new();
    }
    let mut until: Vec<Option<DateTime<Utc>>> = vec![None; now.len()];
    let mut edges = plan.edges(at).take(plan.looks());
    while until.contains(&None) {
        let Some(edge) = edges.next().filter(|edge| *edge - at <= FORESIGHT) else { break };
        let then = plan.who(edge);
        for (on, until) in now.iter().zip(&mut until) {
            if until.is_none() && !then.iter().any(|then| then.person == on.person) {
                *until = Some(edge);
            }
        }
    }
    let schedule = Some(schedule.id);
    now.into_iter().zip(until).map(|(on, until)| OnDuty { person: on.person, schedule, reason: on.reason, until }).collect()
}

/// When other people come on duty after an instant, and who: nobody, where a gap begins. `None` when that is more than [`FORESIGHT`] away.
#[must_use]
pub fn next_people(schedule: &Schedule, absences: &Absences, at: DateTime<Utc>) -> Option<(DateTime<Utc>, Vec<PersonId>)> {
    let plan = Plan::new(schedule, absences, at, at + FORESIGHT);
    let people = |at| plan.who(at).into_iter().map(|on| on.person).collect::<Vec<_>>();
    let now = people(at);
    let edges = plan.edges(at).take(plan.looks()).take_while(|edge| *edge - at <= FORESIGHT);
    edges.map(|edge| (edge, people(edge))).find(|(_, then)| *then != now)
}

/// All shifts between two instants, gaps too, without a hole: each begins where the one before it ends.
#[must_use]
pub fn shifts(schedule: &Schedule, absences: &Absences, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Shift> {
    let mut shifts: Vec<Shift> = Vec::new();
    if from >= to {
        return shifts;
    }
    let plan = Plan::new(schedule, absences, from, to);
    let edges = plan.edges(from).take_while(|edge| *edge < to);
    for edge in std::iter::once(from).chain(edges) {
        let on = plan.who(edge);
        match shifts.last_mut() {
            Some(last) if last.on == on => {}
            Some(last) => {
                last.to = edge;
                shifts.push(Shift { from: edge, to, on });
            }
            None => shifts.push(Shift { from: edge, to, on }),
        }
    }
    shifts
}

/// The next instant after `at` at which somebody is relieved or another reason holds; within [`FORESIGHT`]. In a plan with more
/// instants than can be looked at, the last one that was: whoever waits for a change looks again then.
#[must_use]
pub fn next_change(schedule: &Schedule, absences: &Absences, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let plan = Plan::new(schedule, absences, at, at + FORESIGHT);
    let now = plan.who(at);
    let edges = plan.edges(at).take_while(|edge| *edge - at <= FORESIGHT);
    edges.enumerate().find(|(looks, edge)| *looks >= plan.looks() || plan.who(*edge) != now).map(|(_, edge)| edge)
}

/// A schedule that is asked about many instants of one time: what is not of that time is left out, and shifts that were written down one by
/// one are in an order in which each is found at once.
struct Plan<'s> {
    schedule: &'s Schedule,
    absences: &'s Absences,
    overrides: Vec<&'s Override>,
    /// The shifts of those rules that are written down one by one: of the layers, then of the temporary schedules.
    written: Vec<Option<Written<'s>>>,
}

/// Shifts that were written down one by one.
struct Written<'s> {
    shifts: &'s [FixedShift],
    /// Their places in the order they begin, with the latest end of all up to there.
    by_start: Vec<(usize, DateTime<Utc>)>,
    /// When one begins or ends, in order.
    edges: Vec<DateTime<Utc>>,
}

impl<'s> Written<'s> {
    fn new(shifts: &'s [FixedShift], from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let mut places: Vec<usize> = (0..shifts.len()).filter(|own| shifts[*own].to > from && shifts[*own].from <= to).collect();
        places.sort_by_key(|own| shifts[*own].from);
        let mut edges: Vec<_> = places.iter().flat_map(|own| [shifts[*own].from, shifts[*own].to]).collect();
        edges.sort_unstable();
        edges.dedup();
        let latest = places.into_iter().scan(from, |latest, own| {
            *latest = shifts[own].to.max(*latest);
            Some((own, *latest))
        });
        Self { shifts, by_start: latest.collect(), edges }
    }

    fn who(&self, absences: &Absences, at: DateTime<Utc>) -> Vec<Turn> {
        let begun = self.by_start.partition_point(|(own, _)| self.shifts[*own].from <= at);
        let open = self.by_start[..begun].iter().rev().take_while(|(_, latest)| *latest > at).map(|(own, _)| *own);
        let mut places: Vec<usize> = open.filter(|own| self.shifts[*own].to > at).collect();
        places.sort_unstable();
        let mut turns: Vec<Turn> = Vec::new();
        for person in places.into_iter().map(|own| self.shifts[own].person) {
            if !absences.away(person, at) && !turns.contains(&(person, None)) {
                turns.push((person, None));
            }
        }
        turns
    }

    fn next_edge(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.edges.get(self.edges.partition_point(|edge| *edge <= at)).copied()
    }
}

impl<'s> Plan<'s> {
    fn new(schedule: &'s Schedule, absences: &'s Absences, from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let written = rules(schedule).map(|rule| match rule {
            Rule::Shifts { shifts } => Some(Written::new(shifts, from, to)),
            Rule::Rotation(_) => None,
        });
        let overrides = schedule.overrides.iter().filter(|own| own.to > from && own.from <= to).collect();
        Self { schedule, absences, overrides, written: written.collect() }
    }

    fn who(&self, at: DateTime<Utc>) -> Vec<On> {
        decide(self.schedule, &self.overrides, self.absences, at, |place, rule| match &self.written[place] {
            Some(written) => written.who(self.absences, at),
            None => rule.who(self.schedule.zone, self.absences, at),
        })
    }

    /// How many instants may be looked at: fewer where each has more rules.
    fn looks(&self) -> usize {
        MOST_LOOKS / self.written.len().max(1)
    }

    /// The instants after a first one at which something may change, in order.
    fn edges(&self, after: DateTime<Utc>) -> Edges<'_> {
        let overrides = self.overrides.iter().flat_map(|own| [own.from, own.to]);
        let temporaries = self.schedule.temporaries.iter().flat_map(|own| [own.from, own.to]);
        // An edge too many costs little, so the absences of everybody may stand here.
        let absences = self.absences.0.values().flatten().flat_map(|(from, to)| [*from, *to]);
        let mut fixed: Vec<_> = overrides.chain(temporaries).chain(absences).filter(|edge| *edge > after).collect();
        fixed.sort_unstable();
        fixed.dedup();
        let mut edges = Edges { plan: self, rules: Vec::new(), fixed: fixed.into_iter().peekable() };
        edges.rules = (0..self.written.len()).map(|place| edges.of_rule(place, after)).collect();
        edges
    }
}

fn rules(schedule: &Schedule) -> impl Iterator<Item = &Rule> {
    schedule.layers.iter().map(|layer| &layer.rule).chain(schedule.temporaries.iter().map(|own| &own.rule))
}

struct Edges<'p> {
    plan: &'p Plan<'p>,
    /// The next edge of each rule: of the layers, then of the temporary schedules.
    rules: Vec<Option<DateTime<Utc>>>,
    /// Where overrides, temporary schedules and absences begin and end, in order, from the next one on.
    fixed: std::iter::Peekable<std::vec::IntoIter<DateTime<Utc>>>,
}

impl Edges<'_> {
    fn of_rule(&self, place: usize, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let schedule = self.plan.schedule;
        match self.plan.written.get(place)? {
            Some(written) => written.next_edge(after),
            None => rules(schedule).nth(place).and_then(|rule| rule.next_edge(schedule.zone, after)),
        }
    }
}

impl Iterator for Edges<'_> {
    type Item = DateTime<Utc>;

    fn next(&mut self) -> Option<DateTime<Utc>> {
        let next = self.rules.iter().flatten().chain(self.fixed.peek()).min().copied()?;
        for place in 0..self.rules.len() {
            if self.rules[place] == Some(next) {
                self.rules[place] = self.of_rule(place, next);
            }
        }
        self.fixed.next_if_eq(&next);
        Some(next)
    }
}
