//! One schedule: who is on duty at an instant, until when, and all shifts of a time.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Absences, Change, On, OnDuty, Override, Reason, Schedule, Shift};

/// How far ahead the end of a duty is looked for.
pub const FORESIGHT: TimeDelta = TimeDelta::days(400);

/// Who is on duty at an instant and why; empty in a gap.
#[must_use]
pub fn who(schedule: &Schedule, absences: &Absences, at: DateTime<Utc>) -> Vec<On> {
    for temporary in schedule.temporaries.iter().rev().filter(|own| own.from <= at && at < own.to) {
        let turns = temporary.rule.who(schedule.zone, absences, at).into_iter();
        let on = turns.map(|(person, covers)| On { person, reason: Reason::Temporary { id: temporary.id, covers } });
        let on: Vec<On> = on.collect();
        if !on.is_empty() {
            return on;
        }
    }
    for layer in &schedule.layers {
        let turns = layer.rule.who(schedule.zone, absences, at).into_iter();
        let on = turns.map(|(person, covers)| On { person, reason: Reason::Layer { id: layer.id, covers } });
        let mut on: Vec<On> = on.collect();
        if on.is_empty() {
            continue;
        }
        apply(schedule, absences, at, &mut on);
        if !on.is_empty() {
            return on;
        }
    }
    let mut on = Vec::new();
    apply(schedule, absences, at, &mut on);
    on
}

/// Changes who is on duty by the overrides of that moment.
fn apply(schedule: &Schedule, absences: &Absences, at: DateTime<Utc>, on: &mut Vec<On>) {
    for own in schedule.overrides.iter().filter(|own| own.from <= at && at < own.to) {
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

fn by(own: &Override, person: crate::ids::PersonId, replaces: Option<crate::ids::PersonId>) -> On {
    On { person, reason: Reason::Override { id: own.id, replaces } }
}

/// Who is on duty at an instant, why, and when each of them is relieved: at the first instant at which they are not on duty.
#[must_use]
pub fn on_duty(schedule: &Schedule, absences: &Absences, at: DateTime<Utc>) -> Vec<OnDuty> {
    let now = who(schedule, absences, at);
    if now.is_empty() {
        return Vec::new();
    }
    let mut until: Vec<Option<DateTime<Utc>>> = vec![None; now.len()];
    let mut edges = Edges::new(schedule, absences, at);
    while until.contains(&None) {
        let Some(edge) = edges.next().filter(|edge| *edge - at <= FORESIGHT) else { break };
        let then = who(schedule, absences, edge);
        for (on, until) in now.iter().zip(&mut until) {
            if until.is_none() && !then.iter().any(|then| then.person == on.person) {
                *until = Some(edge);
            }
        }
    }
    let schedule = Some(schedule.id);
    now.into_iter().zip(until).map(|(on, until)| OnDuty { person: on.person, schedule, reason: on.reason, until }).collect()
}

/// All shifts between two instants, gaps too, without a hole: each begins where the one before it ends.
#[must_use]
pub fn shifts(schedule: &Schedule, absences: &Absences, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Shift> {
    let mut shifts: Vec<Shift> = Vec::new();
    if from >= to {
        return shifts;
    }
    let edges = Edges::new(schedule, absences, from).take_while(|edge| *edge < to);
    for edge in std::iter::once(from).chain(edges) {
        let on = who(schedule, absences, edge);
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

/// The next instant after `at` at which somebody is relieved or another reason holds; within [`FORESIGHT`].
#[must_use]
pub fn next_change(schedule: &Schedule, absences: &Absences, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let now = who(schedule, absences, at);
    Edges::new(schedule, absences, at)
        .take_while(|edge| *edge - at <= FORESIGHT)
        .find(|edge| who(schedule, absences, *edge) != now)
}

/// The instants after a first one at which something may change, in order.
struct Edges<'s> {
    schedule: &'s Schedule,
    /// The next edge of each rule: of the layers, then of the temporary schedules.
    rules: Vec<Option<DateTime<Utc>>>,
    /// Where overrides, temporary schedules and absences begin and end, in order, from the next one on.
    fixed: std::iter::Peekable<std::vec::IntoIter<DateTime<Utc>>>,
}

impl<'s> Edges<'s> {
    fn new(schedule: &'s Schedule, absences: &Absences, after: DateTime<Utc>) -> Self {
        let overrides = schedule.overrides.iter().flat_map(|own| [own.from, own.to]);
        let temporaries = schedule.temporaries.iter().flat_map(|own| [own.from, own.to]);
        // An edge too many costs little, so the absences of everybody may stand here.
        let absences = absences.0.values().flatten().flat_map(|(from, to)| [*from, *to]);
        let mut fixed: Vec<_> = overrides.chain(temporaries).chain(absences).filter(|edge| *edge > after).collect();
        fixed.sort_unstable();
        fixed.dedup();
        let rules = rules(schedule).map(|rule| rule.next_edge(schedule.zone, after)).collect();
        Self { schedule, rules, fixed: fixed.into_iter().peekable() }
    }
}

fn rules(schedule: &Schedule) -> impl Iterator<Item = &super::Rule> {
    schedule.layers.iter().map(|layer| &layer.rule).chain(schedule.temporaries.iter().map(|own| &own.rule))
}

impl Iterator for Edges<'_> {
    type Item = DateTime<Utc>;

    fn next(&mut self) -> Option<DateTime<Utc>> {
        let next = self.rules.iter().flatten().chain(self.fixed.peek()).min().copied()?;
        for (rule, edge) in rules(self.schedule).zip(&mut self.rules) {
            if *edge == Some(next) {
                *edge = rule.next_edge(self.schedule.zone, next);
            }
        }
        self.fixed.next_if_eq(&next);
        Some(next)
    }
}
