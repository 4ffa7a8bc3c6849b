//! What is wrong with a roster before an alarm finds out: gaps, people who cannot be rung, overlaps.

use chrono::{DateTime, Utc};

use super::{Roster, Rule, Schedule, Shift, Team, evaluate};
use crate::ids::{PersonId, ScheduleId, TeamId};

/// Something that is wrong, or may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nobody is on duty by a schedule.
    Gap {
        /// Which one.
        schedule: ScheduleId,
        /// From when.
        from: DateTime<Utc>,
        /// Until when; the end of what was looked at when it goes on.
        to: DateTime<Utc>,
    },
    /// Each schedule of a team may have gaps, but here they have one together; or a team has neither schedule nor members.
    TeamGap {
        /// Which team.
        team: TeamId,
        /// From when.
        from: DateTime<Utc>,
        /// Until when.
        to: DateTime<Utc>,
    },
    /// Somebody on duty has no number, or is not known any more.
    Unreachable {
        /// Who.
        person: PersonId,
        /// By which schedule, first.
        schedule: ScheduleId,
        /// From when.
        from: DateTime<Utc>,
    },
    /// Somebody who is called as a member of a team without a schedule has no number.
    UnreachableMember {
        /// Who.
        person: PersonId,
        /// Of which team.
        team: TeamId,
        /// From when.
        from: DateTime<Utc>,
    },
    /// More than one person is on duty by a schedule.
    Several {
        /// Which one.
        schedule: ScheduleId,
        /// From when.
        from: DateTime<Utc>,
        /// Until when.
        to: DateTime<Utc>,
        /// Who, in the order in which they are rung.
        people: Vec<PersonId>,
    },
    /// Somebody stands in a rotation, and none of their turns is ever active.
    Never {
        /// Who.
        person: PersonId,
        /// By which schedule.
        schedule: ScheduleId,
        /// From when it was looked at.
        from: DateTime<Utc>,
    },
    /// One person is on duty by two schedules of a team: if they do not hear the first call, the second reaches nobody else.
    Twice {
        /// Who.
        person: PersonId,
        /// By which two.
        schedules: [ScheduleId; 2],
        /// From when.
        from: DateTime<Utc>,
        /// Until when.
        to: DateTime<Utc>,
    },
}

impl Finding {
    /// Whether it may be what somebody wants.
    #[must_use]
    pub fn is_overlap(&self) -> bool {
        matches!(self, Self::Several { .. } | Self::Twice { .. })
    }

    /// When it begins.
    #[must_use]
    pub fn from(&self) -> DateTime<Utc> {
        match self {
            Self::Gap { from, .. }
            | Self::TeamGap { from, .. }
            | Self::Unreachable { from, .. }
            | Self::UnreachableMember { from, .. }
            | Self::Several { from, .. }
            | Self::Never { from, .. }
            | Self::Twice { from, .. } => *from,
        }
    }

    /// Whether it concerns a schedule, by itself or as one of its team.
    #[must_use]
    pub fn concerns(&self, own: &Schedule) -> bool {
        match self {
            Self::Gap { schedule, .. }
            | Self::Unreachable { schedule, .. }
            | Self::Never { schedule, .. }
            | Self::Several { schedule, .. } => *schedule == own.id,
            Self::Twice { schedules, .. } => schedules.contains(&own.id),
            Self::TeamGap { team, .. } | Self::UnreachableMember { team, .. } => own.team == Some(*team),
        }
    }
}

/// Everything that is wrong between two instants, in the order it begins.
#[must_use]
pub fn check(roster: &Roster, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Finding> {
    let plans: Vec<(&Schedule, Vec<Shift>)> =
        roster.schedules.iter().map(|schedule| (schedule, evaluate::shifts(schedule, &roster.absences, from, to))).collect();
    let mut findings = Vec::new();
    for (schedule, shifts) in &plans {
        own_findings(roster, schedule, shifts, &mut findings);
    }
    for team in &roster.teams {
        let own: Vec<_> = plans.iter().filter(|(schedule, _)| schedule.team == Some(team.id)).collect();
        if own.is_empty() {
            without_schedule(roster, team, from, to, &mut findings);
        } else if own.iter().all(|(schedule, _)| schedule.gaps_allowed) {
            let gap = |from, to| Finding::TeamGap { team: team.id, from, to };
            let all: Vec<&[Shift]> = own.iter().map(|(_, shifts)| shifts.as_slice()).collect();
            let gaps = runs(&all, |on| on.iter().all(|on| on.is_empty()).then_some(()));
            findings.extend(gaps.into_iter().map(|((), from, to)| gap(from, to)));
        }
        for (place, (one, ones)) in own.iter().enumerate() {
            for (other, others) in &own[place + 1..] {
                twice(one, ones, other, others, &mut findings);
            }
        }
    }
    findings.sort_by_key(Finding::from);
    findings
}

fn own_findings(roster: &Roster, schedule: &Schedule, shifts: &[Shift], findings: &mut Vec<Finding>) {
    let id = schedule.id;
    if !schedule.gaps_allowed {
        let gaps = runs(&[shifts], |on| on[0].is_empty().then_some(()));
        findings.extend(gaps.into_iter().map(|((), from, to)| Finding::Gap { schedule: id, from, to }));
    }
    let several = runs(&[shifts], |on| (on[0].len() > 1).then(|| on[0].iter().map(|on| on.person).collect::<Vec<_>>()));
    findings.extend(several.into_iter().map(|(people, from, to)| Finding::Several { schedule: id, from, to, people }));
    let rotations = schedule.layers.iter().filter_map(|layer| match &layer.rule {
        Rule::Rotation(rotation) => Some(rotation),
        Rule::Shifts { .. } => None,
    });
    if let Some(from) = shifts.first().map(|shift| shift.from) {
        let never = rotations.flat_map(super::Rotation::never_on_duty);
        findings.extend(never.map(|person| Finding::Never { person, schedule: id, from }));
    }
    let mut seen = Vec::new();
    for (on, from) in shifts.iter().flat_map(|shift| shift.on.iter().map(|on| (on.person, shift.from))) {
        if !is_reachable(roster, on) && !seen.contains(&on) {
            seen.push(on);
            findings.push(Finding::Unreachable { person: on, schedule: id, from });
        }
    }
}

fn is_reachable(roster: &Roster, person: PersonId) -> bool {
    roster.people.get(&person).is_some_and(|person| !person.numbers.is_empty())
}

/// A team without a schedule is called as a whole.
fn without_schedule(roster: &Roster, team: &Team, from: DateTime<Utc>, to: DateTime<Utc>, findings: &mut Vec<Finding>) {
    if team.members.is_empty() {
        findings.push(Finding::TeamGap { team: team.id, from, to });
    }
    let silent = team.members.iter().filter(|person| !is_reachable(roster, **person));
    findings.extend(silent.map(|person| Finding::UnreachableMember { person: *person, team: team.id, from }));
}

fn twice(one: &Schedule, ones: &[Shift], other: &Schedule, others: &[Shift], findings: &mut Vec<Finding>) {
    let mut people: Vec<PersonId> = ones.iter().flat_map(|shift| shift.on.iter().map(|on| on.person)).collect();
    people.sort_unstable();
    people.dedup();
    for person in people {
        let both = runs(&[ones, others], |on| on.iter().all(|on| on.iter().any(|on| on.person == person)).then_some(()));
        let schedules = [one.id, other.id];
        findings.extend(both.into_iter().map(|((), from, to)| Finding::Twice { person, schedules, from, to }));
    }
}

/// The times in which a question about several plans has one and the same answer. All plans cover the same time.
fn runs<T: PartialEq>(
    plans: &[&[Shift]],
    mut ask: impl FnMut(&[&[super::On]]) -> Option<T>,
) -> Vec<(T, DateTime<Utc>, DateTime<Utc>)> {
    let mut runs: Vec<(T, DateTime<Utc>, DateTime<Utc>)> = Vec::new();
    let mut places = vec![0; plans.len()];
    loop {
        let now: Option<Vec<&Shift>> = plans.iter().zip(&places).map(|(plan, place)| plan.get(*place)).collect();
        let Some(now) = now.filter(|now| !now.is_empty()) else { break };
        let from = now.iter().map(|shift| shift.from).max();
        let to = now.iter().map(|shift| shift.to).min();
        let (Some(from), Some(to)) = (from, to) else { break };
        let on: Vec<&[super::On]> = now.iter().map(|shift| shift.on.as_slice()).collect();
        if let Some(answer) = ask(&on) {
            match runs.last_mut().filter(|(last, _, end)| *last == answer && *end == from) {
                Some((_, _, end)) => *end = to,
                None => runs.push((answer, from, to)),
            }
        }
        for (place, shift) in places.iter_mut().zip(&now) {
            *place += usize::from(shift.to == to);
        }
    }
    runs
}
