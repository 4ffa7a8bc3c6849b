//! Escalation policies: which steps there are, which comes next, and how the people a step names become callees, each once.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::ways::Way;
use super::{Confirmation, Mode};
use crate::ids::{PersonId, ScheduleId, TeamId};
use crate::numbers::same_phone;

/// Steps of one policy at most.
pub const MOST_STEPS: usize = 20;
/// Rounds of one policy at most.
pub const MOST_ROUNDS: i32 = 10;

/// Whom a step names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whom {
    /// A person, by their first number.
    Person(PersonId),
    /// A bare number in its comparable form.
    Number(String),
    /// Whoever is on duty in a team.
    Team(TeamId),
    /// Whoever is on duty in a schedule.
    Schedule(ScheduleId),
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Whom to ring, in order.
    pub whom: Vec<Whom>,
    /// One after the other, or all at once.
    pub mode: Mode,
    /// Calls to each; `None`: the configured default.
    pub attempts: Option<i32>,
    /// Least seconds between two calls to one; `None`: the configured default.
    pub min_interval_s: Option<i32>,
    /// The next step begins after so many seconds at the latest; `None`: when everybody was rung as often as was asked.
    pub wait_s: Option<i32>,
}

/// What a policy says; stored as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// How often they are gone through, at least once.
    pub rounds: i32,
    /// An answer that nobody confirms within so many seconds lapses; `None`: an answer needs no confirmation.
    pub confirm_within_s: Option<i32>,
    /// Where a call asks for a key, nothing else in it is an answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wants_key: bool,
    /// Whoever is called is told by text message as well, unless they want none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub texts: bool,
}

/// Whether somebody wants a text message beside a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlarmTexts {
    /// As the policy of the alarm says.
    #[default]
    Policy,
    /// For every alarm.
    Always,
    /// For none.
    Never,
}

impl AlarmTexts {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Policy, Self::Always, Self::Never];

    /// Whether they are sent one for an alarm whose policy says this.
    #[must_use]
    pub fn wants(self, by_policy: bool) -> bool {
        match self {
            Self::Policy => by_policy,
            Self::Always => true,
            Self::Never => false,
        }
    }

    /// The word by which it is kept, and told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Always => "always",
            Self::Never => "never",
        }
    }

    /// Reads that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// Where in a policy a hunt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index of the step.
    pub step: i32,
    /// Index of the round.
    pub round: i32,
}

impl Policy {
    /// What is wanted of an answer.
    #[must_use]
    pub fn confirmation(&self) -> Confirmation {
        Confirmation { within: self.confirm_within_s, key: self.wants_key }
    }

    /// The place after this one, `None` after the last. Before the first step there is no place.
    ///
    /// A policy may have been changed since: what counts is what it says now.
    #[must_use]
    pub fn after(&self, place: Option<Place>) -> Option<Place> {
        let steps = i32::try_from(self.steps.len()).unwrap_or(i32::MAX);
        if steps == 0 {
            return None;
        }
        match place {
            None => Some(Place { step: 0, round: 0 }),
            Some(Place { step, round }) if step + 1 < steps => Some(Place { step: step + 1, round }),
            Some(Place { round, .. }) if round + 1 < self.rounds => Some(Place { step: 0, round: round + 1 }),
            Some(_) => None,
        }
    }

    /// The step at a place.
    #[must_use]
    pub fn step(&self, place: Place) -> Option<&Step> {
        usize::try_from(place.step).ok().and_then(|index| self.steps.get(index))
    }
}

/// Somebody that a step has come down to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The person, unless it is a bare number that belongs to nobody.
    pub person: Option<PersonId>,
    /// Their name.
    pub name: Option<String>,
    /// The number to ring, in its comparable form.
    pub number: String,
    /// So many seconds after their turn has come, where that is one of the ways they want; `None`: they have no wishes, or the number alone
    /// was named.
    pub after_s: Option<i32>,
    /// Their other numbers by which they are called, and how long after that.
    pub others: Vec<Way>,
    /// Why they are on duty; `None` when the step names them.
    pub duty: Option<Duty>,
}

/// Why somebody was on duty, for the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duty {
    /// The team that was asked for.
    pub team: Option<String>,
    /// The schedule that says so.
    pub schedule: Option<String>,
    /// `temporary`, `override`, `layer`, or `member` of a team without a schedule.
    pub why: String,
    /// The name of the layer or temporary schedule.
    pub by: Option<String>,
    /// Whose place they have.
    pub covers: Option<String>,
    /// When they are relieved.
    pub until: Option<DateTime<Utc>>,
}

/// The same in the same order, but each person once, however many paths lead to them; and the phone of each bare number once.
#[must_use]
pub fn each_once(reached: Vec<Reached>) -> Vec<Reached> {
    let mut once: Vec<Reached> = Vec::with_capacity(reached.len());
    for one in reached {
        let known = once.iter().any(|earlier| match (earlier.person, one.person) {
            (Some(a), Some(b)) => a == b,
            _ => same_phone(&earlier.number, &one.number),
        });
        if !known {
            once.push(one);
        }
    }
    once
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn policy(steps: usize, rounds: i32) -> Policy {
        let step = Step { whom: Vec::new(), mode: Mode::Sequential, attempts: None, min_interval_s: None, wait_s: None };
        Policy { steps: vec![step; steps], rounds, confirm_within_s: None, wants_key: false, texts: false }
    }

    fn one(person: Option<u128>, number: &str) -> Reached {
        let person = person.map(|id| PersonId(Uuid::from_u128(id)));
        Reached { person, name: None, number: number.to_owned(), after_s: None, others: Vec::new(), duty: None }
    }

    #[test]
    fn one_person_on_two_paths_is_rung_once_and_two_with_one_number_are_two() {
        let all = vec![one(Some(1), "a"), one(Some(1), "b"), one(Some(2), "a"), one(None, "a"), one(None, "c"), one(None, "c")];
        assert_eq!(each_once(all), [one(Some(1), "a"), one(Some(2), "a"), one(None, "c")]);
    }

    #[test]
    fn an_edited_policy_is_gone_on_with() {
        assert_eq!(policy(1, 1).after(Some(Place { step: 4, round: 0 })), None);
        assert_eq!(policy(6, 1).after(Some(Place { step: 4, round: 0 })), Some(Place { step: 5, round: 0 }));
        assert_eq!(policy(0, 3).after(None), None);
    }

    proptest! {
        /// Every step comes in every round, in order, and then it is over.
        #[test]
        fn rounds_times_steps(steps in 1..8_usize, rounds in 1..6_i32) {
            let policy = policy(steps, rounds);
            let mut place = None;
            let mut seen = Vec::new();
            while let Some(next) = policy.after(place) {
                prop_assert!(policy.step(next).is_some());
                seen.push((next.round, next.step));
                place = Some(next);
            }
            let wanted: Vec<(i32, i32)> = (0..rounds).flat_map(|round| (0..i32::try_from(steps).unwrap_or(0)).map(move |step| (round, step))).collect();
            prop_assert_eq!(seen, wanted);
        }
    }
}
