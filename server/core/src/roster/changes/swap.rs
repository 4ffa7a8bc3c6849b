//! Swaps: somebody asks another person to take a shift of theirs, perhaps in exchange for one of that person. What has become of a request,
//! and which overrides make it true: pure.

use chrono::{DateTime, TimeDelta, Utc};

use crate::ids::{OverrideId, PersonId};
use crate::roster::{Change, Override, Roster, Schedule, Shift, Times, evaluate};

/// Longer than this is no shift that one would give away by a request.
pub const LONGEST: TimeDelta = TimeDelta::days(31);

/// What somebody has said to a request, as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nobody has said anything yet.
    Asked,
    /// It was accepted, and the plan says so.
    Accepted,
    /// Whoever was asked does not want to.
    Declined,
    /// Whoever asked took it back.
    TakenBack,
}

/// What has become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It waits for an answer.
    Open,
    /// It was accepted.
    Accepted,
    /// It was declined.
    Declined,
    /// It was taken back.
    TakenBack,
    /// Nobody answered before the shift, or the one for it, began.
    Lapsed,
}

impl Standing {
    /// As a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Declined => "declined",
            Self::TakenBack => "taken_back",
            Self::Lapsed => "lapsed",
        }
    }
}

/// What has become of a request by now. That it has lapsed follows from the time: nothing has to sweep.
#[must_use]
pub fn standing(said: Said, given: Times, back: Option<Times>, now: DateTime<Utc>) -> Standing {
    let begins = back.map_or(given.0, |back| back.0.min(given.0));
    match said {
        Said::Asked if begins <= now => Standing::Lapsed,
        Said::Asked => Standing::Open,
        Said::Accepted => Standing::Accepted,
        Said::Declined => Standing::Declined,
        Said::TakenBack => Standing::TakenBack,
    }
}

/// Who gives what to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deal {
    /// Whose shift it is.
    pub giver: PersonId,
    /// Who takes it.
    pub taker: PersonId,
    /// The time that is given.
    pub given: Times,
    /// The time of the taker that the giver takes in exchange.
    pub back: Option<Times>,
}

/// Why a swap cannot be made as the plan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cannot {
    /// They are not on duty in all of the time that they would give away.
    NotTheirs(PersonId),
    /// They are on duty already in the time that they would take.
    OnDutyAlready(PersonId),
    /// They are away then.
    Away(PersonId),
    /// What stands above all overrides, a temporary schedule, says who is on duty then.
    StandsAbove,
}

/// Whether somebody is on duty by a schedule at every moment of a time.
#[must_use]
pub fn has_all(roster: &Roster, schedule: &Schedule, person: PersonId, (from, to): Times) -> bool {
    is_on_all(&evaluate::shifts(schedule, &roster.absences, from, to), person)
}

fn is_on_all(shifts: &[Shift], person: PersonId) -> bool {
    !shifts.is_empty() && shifts.iter().all(|shift| shift.on.iter().any(|on| on.person == person))
}

/// The changes of a schedule that carry out a swap: from when until when, and what. What comes of them was evaluated: at every moment of the
/// times the one is on duty in the place of the other, and nobody else comes or goes.
///
/// # Errors
/// When that cannot be.
pub fn changes(roster: &Roster, schedule: &Schedule, deal: &Deal) -> Result<Vec<(Times, Change)>, Cannot> {
    let mut all = vec![(deal.given, deal.giver, deal.taker)];
    all.extend(deal.back.map(|back| (back, deal.taker, deal.giver)));
    // Each time is looked at once before and once after: somebody waits for the roster meanwhile.
    let mut before = Vec::with_capacity(all.len());
    for (times, from, to) in &all {
        let shifts = evaluate::shifts(schedule, &roster.absences, times.0, times.1);
        if !is_on_all(&shifts, *from) {
            return Err(Cannot::NotTheirs(*from));
        }
        if shifts.iter().any(|shift| shift.on.iter().any(|on| on.person == *to)) {
            return Err(Cannot::OnDutyAlready(*to));
        }
        if is_away(roster, *to, *times) {
            return Err(Cannot::Away(*to));
        }
        before.push(people(&shifts));
    }
    let made: Vec<(Times, Change)> =
        all.iter().map(|(times, from, to)| (*times, Change::Replace { by: *to, of: Some(*from) })).collect();
    let after = with(schedule, &made);
    let mut each = all.iter().zip(before);
    let becomes = each.all(|((times, from, to), mut expected)| {
        for (_, on) in &mut expected {
            on.iter_mut().filter(|person| *person == from).for_each(|person| *person = *to);
        }
        expected == people(&evaluate::shifts(&after, &roster.absences, times.0, times.1))
    });
    if becomes { Ok(made) } else { Err(Cannot::StandsAbove) }
}

fn is_away(roster: &Roster, person: PersonId, (from, to): Times) -> bool {
    roster.absences.0.get(&person).is_some_and(|times| times.iter().any(|(begins, ends)| *begins < to && from < *ends))
}

/// The schedule with these changes.
fn with(schedule: &Schedule, made: &[(Times, Change)]) -> Schedule {
    let mut after = schedule.clone();
    after.overrides.extend(made.iter().map(|((from, to), change)| Override {
        id: OverrideId(uuid::Uuid::max()),
        from: *from,
        to: *to,
        change: *change,
        note: String::new(),
    }));
    after
}

/// Who is on duty from when on, at each moment at which that changes.
fn people(shifts: &[Shift]) -> Vec<(DateTime<Utc>, Vec<PersonId>)> {
    let mut all: Vec<(DateTime<Utc>, Vec<PersonId>)> = Vec::new();
    for shift in shifts {
        let on: Vec<PersonId> = shift.on.iter().map(|on| on.person).collect();
        if all.last().is_none_or(|(_, last)| *last != on) {
            all.push((shift.from, on));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::model::{person, worlds};
    use proptest::prelude::*;

    fn on(roster: &Roster, schedule: &Schedule, at: DateTime<Utc>) -> Vec<PersonId> {
        evaluate::who(schedule, &roster.absences, at).into_iter().map(|on| on.person).collect()
    }

    #[test]
    fn what_has_begun_has_lapsed() {
        let at = |hour| DateTime::UNIX_EPOCH + TimeDelta::hours(hour);
        let given = (at(10), at(20));
        assert_eq!(standing(Said::Asked, given, None, at(9)), Standing::Open);
        assert_eq!(standing(Said::Asked, given, None, at(10)), Standing::Lapsed);
        assert_eq!(standing(Said::Asked, given, Some((at(5), at(7))), at(5)), Standing::Lapsed, "that for it has begun");
        assert_eq!(standing(Said::Accepted, given, None, at(30)), Standing::Accepted);
        assert_eq!(standing(Said::Declined, given, None, at(9)), Standing::Declined);
        assert_eq!(standing(Said::TakenBack, given, None, at(30)), Standing::TakenBack);
    }

    proptest! {
        /// Whatever the plan: a swap that is made puts the one in the place of the other at every minute, and moves nobody else at any.
        #[test]
        fn a_swap_that_can_be_made_moves_those_two_and_nobody_else(
            (schedule, absences, asked) in worlds(),
            taker in 0_u8..4,
            hours in 1_i64..20,
            exchange in any::<bool>(),
        ) {
            let roster = Roster { schedules: vec![schedule.clone()], absences, ..Roster::default() };
            let Some(giver) = on(&roster, &schedule, asked[0]).first().copied() else { return Ok(()) };
            let taker = person(taker);
            prop_assume!(giver != taker);
            let time = |from: DateTime<Utc>| (from, from + TimeDelta::hours(hours));
            // In exchange for a time in which the taker is on duty, where there is one.
            let of_taker = || asked.iter().find(|at| on(&roster, &schedule, **at).contains(&taker)).copied();
            let back = exchange.then(of_taker).flatten().map(time);
            let deal = Deal { giver, taker, given: time(asked[0]), back };
            let Ok(made) = changes(&roster, &schedule, &deal) else { return Ok(()) };
            prop_assert_eq!(made.len(), 1 + usize::from(back.is_some()));
            let mut after = schedule.clone();
            for ((from, to), change) in made {
                after.overrides.push(Override { id: OverrideId(uuid::Uuid::max()), from, to, change, note: String::new() });
            }
            let within = |times: Times, at| times.0 <= at && at < times.1;
            let first = deal.given.0.min(back.map_or(deal.given.0, |back| back.0)) - TimeDelta::hours(2);
            let last = deal.given.1.max(back.map_or(deal.given.1, |back| back.1)) + TimeDelta::hours(2);
            let mut at = first;
            while at < last.min(first + TimeDelta::days(9)) {
                let mut expected = on(&roster, &schedule, at);
                for who in &mut expected {
                    *who = match () {
                        () if within(deal.given, at) && *who == deal.giver => deal.taker,
                        () if back.is_some_and(|back| within(back, at)) && *who == deal.taker => deal.giver,
                        () => *who,
                    };
                }
                prop_assert_eq!(expected, on(&roster, &after, at), "{}", at);
                at += TimeDelta::minutes(1);
            }
        }
    }
}
