//! What a change of the plan does, before anybody makes it: who is on duty at that moment by the one plan and by the other, and in which
//! times these differ. Both are evaluated; nothing is guessed from what was asked for.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use crate::ids::PersonId;
use crate::roster::{Change, Roster, Target, evaluate};

/// So far ahead it is looked what a change does, unless somebody says otherwise.
pub const AHEAD: TimeDelta = TimeDelta::days(28);
/// So many times of one schedule are told; of the others it is told that there are more.
pub const MOST_SPANS: usize = 50;

/// What differs for one team or schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// For which: a schedule, or a team that has none and is called as a whole.
    pub of: Target,
    /// Who is on duty at the first moment, as it was planned.
    pub now_before: Vec<PersonId>,
    /// The same, as it would be.
    pub now_after: Vec<PersonId>,
    /// The times in which others are on duty than were planned, in order: at most [`MOST_SPANS`].
    pub spans: Vec<Span>,
    /// There are more of them than are told.
    pub more: bool,
}

/// A time in which others are on duty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// From when.
    pub from: DateTime<Utc>,
    /// Until when; where it goes on beyond all that was looked at, until there.
    pub to: DateTime<Utc>,
    /// Who was to be on duty, in the order in which they are rung.
    pub before: Vec<PersonId>,
    /// Who would be.
    pub after: Vec<PersonId>,
}

impl Difference {
    /// Who comes on duty at the first moment.
    pub fn comes(&self) -> impl Iterator<Item = PersonId> {
        without(&self.now_after, &self.now_before)
    }

    /// Whose duty ends at the first moment.
    pub fn ends(&self) -> impl Iterator<Item = PersonId> {
        without(&self.now_before, &self.now_after)
    }
}

impl Roster {
    /// The plan as it is once somebody was removed: their overrides go with them, and in what still names them they are away for good, so that
    /// the turns of the others stay.
    #[must_use]
    pub fn after_removal(&self, person: PersonId) -> Self {
        let mut after = self.clone();
        after.people.remove(&person);
        for team in &mut after.teams {
            team.members.retain(|own| *own != person);
        }
        for schedule in &mut after.schedules {
            schedule.overrides.retain(|own| match own.change {
                Change::Add(own) | Change::Remove(own) => own != person,
                Change::Replace { by, of } => by != person && of != Some(person),
            });
        }
        after.absences.0.insert(person, vec![(DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC)]);
        after
    }
}

fn without<'p>(some: &'p [PersonId], others: &'p [PersonId]) -> impl Iterator<Item = PersonId> + 'p {
    some.iter().filter(|person| !others.contains(person)).copied()
}

/// A time in which the same people are on duty, whatever the reasons.
type Stretch = (DateTime<Utc>, DateTime<Utc>, Vec<PersonId>);

/// What differs between two plans from an instant on, up to another: nothing where nobody else is on duty.
#[must_use]
pub fn between(before: &Roster, after: &Roster, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Difference> {
    let targets = |roster: &Roster| {
        let schedules = roster.schedules.iter().map(|schedule| Target::Schedule(schedule.id));
        let teams = roster.teams.iter().map(|team| Target::Team(team.id));
        schedules.chain(teams).collect::<Vec<_>>()
    };
    let mut all = targets(after);
    // What is there no more has nobody from now on.
    all.extend(targets(before).into_iter().filter(|target| !targets(after).contains(target)));
    all.into_iter().filter_map(|target| of_one(target, before, after, from, to)).collect()
}

fn of_one(target: Target, before: &Roster, after: &Roster, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<Difference> {
    if is_the_same(target, before, after) {
        return None;
    }
    let (was, is) = (stretches(before, target, from, to), stretches(after, target, from, to));
    let mut edges: BTreeSet<DateTime<Utc>> = was.iter().chain(&is).map(|(begins, ..)| *begins).collect();
    edges.insert(from);
    let ends = edges.iter().skip(1).copied().chain([to]).collect::<Vec<_>>();
    let (mut was, mut is) = (Walk::new(&was), Walk::new(&is));
    let mut found = Difference { of: target, now_before: Vec::new(), now_after: Vec::new(), spans: Vec::new(), more: false };
    for (begins, ends) in edges.into_iter().zip(ends) {
        let (old, new) = (was.at(begins), is.at(begins));
        if begins == from {
            (found.now_before, found.now_after) = (old.to_vec(), new.to_vec());
        }
        if old == new {
            continue;
        }
        let is_full = found.spans.len() == MOST_SPANS;
        match found.spans.last_mut() {
            Some(last) if last.to == begins && last.before == old && last.after == new => last.to = ends,
            _ if is_full => {
                found.more = true;
                break;
            }
            _ => found.spans.push(Span { from: begins, to: ends, before: old.to_vec(), after: new.to_vec() }),
        }
    }
    (!found.spans.is_empty()).then_some(found)
}

/// Whether nothing that decides is another.
fn is_the_same(target: Target, before: &Roster, after: &Roster) -> bool {
    let same_absences = before.absences == after.absences;
    match target {
        Target::Schedule(id) => same_absences && before.schedule(id) == after.schedule(id),
        Target::Team(id) => {
            let team = |roster: &Roster| {
                let members = roster.teams.iter().find(|team| team.id == id).map(|team| team.members.clone());
                members.filter(|_| !has_schedule(roster, target))
            };
            same_absences && team(before) == team(after)
        }
    }
}

fn has_schedule(roster: &Roster, target: Target) -> bool {
    matches!(target, Target::Team(id) if roster.schedules.iter().any(|schedule| schedule.team == Some(id)))
}

/// Who is on duty when, without a hole from `from` to `to`; nothing for what is not there.
fn stretches(roster: &Roster, target: Target, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Stretch> {
    match target {
        Target::Schedule(id) => {
            let shifts = roster.schedule(id).map(|own| evaluate::shifts(own, &roster.absences, from, to)).unwrap_or_default();
            shifts.into_iter().map(|shift| (shift.from, shift.to, shift.on.iter().map(|on| on.person).collect())).collect()
        }
        // Its schedules tell of themselves.
        Target::Team(_) if has_schedule(roster, target) => Vec::new(),
        Target::Team(id) => {
            let Some(team) = roster.teams.iter().find(|team| team.id == id) else { return Vec::new() };
            let away = team.members.iter().filter_map(|person| roster.absences.0.get(person)).flatten();
            let mut edges: BTreeSet<DateTime<Utc>> = away.flat_map(|(from, to)| [*from, *to]).collect();
            edges.retain(|edge| from < *edge && *edge < to);
            edges.insert(from);
            let ends = edges.iter().skip(1).copied().chain([to]).collect::<Vec<_>>();
            let there = |at| team.members.iter().filter(|person| !roster.absences.away(**person, at)).copied().collect();
            edges.into_iter().zip(ends).map(|(from, to)| (from, to, there(from))).collect()
        }
    }
}

/// Goes through stretches in order.
struct Walk<'s>(std::iter::Peekable<std::slice::Iter<'s, Stretch>>);

impl<'s> Walk<'s> {
    fn new(all: &'s [Stretch]) -> Self {
        Self(all.iter().peekable())
    }

    /// Who is on duty at an instant that is not before the last that was asked for.
    fn at(&mut self, at: DateTime<Utc>) -> &'s [PersonId] {
        while self.0.next_if(|(_, to, _)| *to <= at).is_some() {}
        self.0.peek().filter(|(from, ..)| *from <= at).map_or(&[], |(.., people)| people)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::ids::TeamId;
    use crate::roster::model::worlds;
    use crate::roster::{Absences, Schedule, Team};
    use proptest::prelude::*;
    use uuid::Uuid;

    fn roster(schedule: Schedule, absences: Absences) -> Roster {
        Roster { schedules: vec![schedule], absences, ..Roster::default() }
    }

    fn people(roster: &Roster, at: DateTime<Utc>) -> Vec<PersonId> {
        let schedule = &roster.schedules[0];
        evaluate::who(schedule, &roster.absences, at).into_iter().map(|on| on.person).collect()
    }

    #[test]
    fn of_a_team_without_a_schedule_it_is_told_who_is_away() {
        let (ann, bob) = (PersonId(Uuid::from_u128(1)), PersonId(Uuid::from_u128(2)));
        let team = Team { id: TeamId(Uuid::from_u128(9)), name: "infra".to_owned(), members: vec![ann, bob], version: 1 };
        let from: DateTime<Utc> = "2026-11-20T03:00:00Z".parse().unwrap();
        let before = Roster { teams: vec![team], ..Roster::default() };
        let mut after = before.clone();
        after.absences.0.insert(ann, vec![(from + TimeDelta::hours(2), from + TimeDelta::hours(4))]);
        let found = between(&before, &after, from, from + TimeDelta::days(1));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].comes().count(), found[0].ends().count()), (0, 0), "nobody comes or goes now");
        let span =
            Span { from: from + TimeDelta::hours(2), to: from + TimeDelta::hours(4), before: vec![ann, bob], after: vec![bob] };
        assert_eq!(found[0].spans, [span]);
        let gone = between(&before, &Roster::default(), from, from + TimeDelta::days(1));
        assert_eq!((gone[0].ends().collect::<Vec<_>>(), gone[0].spans.len()), (vec![ann, bob], 1));
    }

    proptest! {
        /// Every minute is asked of both plans: what is told is that they differ, and how; what is not told is the same.
        #[test]
        fn what_is_told_is_what_both_plans_say_of_every_minute(
            (one, away, asked) in worlds(),
            (other, other_away, _) in worlds(),
            only_absences in any::<bool>(),
        ) {
            let after = if only_absences { one.clone() } else { Schedule { id: one.id, ..other } };
            let (before, after) = (roster(one, away), roster(after, other_away));
            // Seconds too, as when somebody looks.
            let (from, to) = (asked[0] + TimeDelta::seconds(7), asked[0] + TimeDelta::days(3));
            let found = between(&before, &after, from, to);
            prop_assert!(found.len() <= 1);
            let spans = found.first().map(|own| own.spans.as_slice()).unwrap_or_default();
            prop_assert!(spans.iter().all(|span| span.before != span.after && span.from < span.to));
            prop_assert!(spans.windows(2).all(|pair| pair[0].to <= pair[1].from));
            let told_to = match found.first() {
                Some(own) if own.more => own.spans.last().unwrap().to,
                _ => to,
            };
            let mut at = from;
            while at < told_to {
                let (was, is) = (people(&before, at), people(&after, at));
                let told = spans.iter().find(|span| span.from <= at && at < span.to);
                match told {
                    Some(span) => prop_assert_eq!((&span.before, &span.after), (&was, &is), "{}", at),
                    None => prop_assert_eq!(&was, &is, "{}", at),
                }
                at += TimeDelta::minutes(1);
            }
            if let Some(own) = found.first() {
                prop_assert_eq!((&own.now_before, &own.now_after), (&people(&before, from), &people(&after, from)));
                prop_assert!(own.spans.len() <= MOST_SPANS);
            }
        }

        /// Whoever is removed is on duty no more; whoever is told to stay, stays.
        #[test]
        fn whoever_is_removed_is_on_duty_no_more((one, away, asked) in worlds()) {
            let before = roster(one, away);
            let gone = crate::roster::model::person(1);
            let after = before.after_removal(gone);
            for span in between(&before, &after, asked[0], asked[0] + TimeDelta::days(2)).iter().flat_map(|own| &own.spans) {
                prop_assert!(!span.after.contains(&gone));
            }
            for at in asked {
                prop_assert!(!people(&after, at).contains(&gone));
            }
        }

        #[test]
        fn a_plan_differs_from_itself_in_nothing((one, away, asked) in worlds()) {
            let own = roster(one, away);
            prop_assert!(between(&own, &own.clone(), asked[0], asked[0] + AHEAD).is_empty());
        }
    }
}
