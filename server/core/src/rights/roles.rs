//! What a user of the pages may do: a role that counts everywhere, and roles for single teams beside it. A role for a team only ever adds.
//!
//! Everybody who is logged in looks at everything; numbers are masked for who may not act. Acting goes by what something is of: an alarm is
//! of teams, a schedule is of one. What is of no team is for whoever has the role everywhere.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::TeamId;

/// What a user may do everywhere; each role may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees the pages, numbers masked.
    Viewer,
    /// Sees numbers and acts on alarms.
    Responder,
    /// Changes handsets and people.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Responder, Self::Admin];

    /// The word used on the command line and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Responder => "responder",
            Self::Admin => "admin",
        }
    }

    /// The role of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

/// What a user may do for one team.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TeamRole {
    /// Sees the numbers of the team's alarms and acts on them; changes shifts for some time.
    Responder,
    /// The same, and changes what the team's schedules say.
    Lead,
}

impl TeamRole {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Responder, Self::Lead];

    /// The word used on the command line and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Responder => "responder",
            Self::Lead => "lead",
        }
    }

    /// The role of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// Which role it amounts to, on what is of the team.
    #[must_use]
    pub fn amounts_to(self) -> Role {
        match self {
            Self::Responder => Role::Responder,
            Self::Lead => Role::Admin,
        }
    }
}

/// The roles of a user for single teams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TeamRoles(BTreeMap<TeamId, TeamRole>);

impl TeamRoles {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The teams for which there is one.
    pub fn teams(&self) -> impl Iterator<Item = TeamId> + '_ {
        self.0.keys().copied()
    }

    /// What somebody with this role everywhere may do with something that is of these teams: of several, one is enough.
    #[must_use]
    pub fn on(&self, everywhere: Role, teams: &BTreeSet<TeamId>) -> Role {
        let theirs = teams.iter().filter_map(|team| self.0.get(team)).map(|role| role.amounts_to());
        theirs.fold(everywhere, Role::max)
    }

    /// What they may do with an alarm: nobody administers one.
    #[must_use]
    pub fn on_alarm(&self, everywhere: Role, teams: &BTreeSet<TeamId>) -> Role {
        everywhere.max(self.on(everywhere, teams).min(Role::Responder))
    }
}

impl FromIterator<(TeamId, TeamRole)> for TeamRoles {
    fn from_iter<T: IntoIterator<Item = (TeamId, TeamRole)>>(roles: T) -> Self {
        Self(roles.into_iter().collect())
    }
}

/// The teams that an alarm is of: the one that it asked for, by its own name or by one of its schedules; of an alarm that asked for none, those
/// that its policy rings. Neither: it is of no team.
#[must_use]
pub fn teams_of_alarm(asked: Option<TeamId>, by_policy: impl IntoIterator<Item = TeamId>) -> BTreeSet<TeamId> {
    match asked {
        Some(team) => BTreeSet::from([team]),
        None => by_policy.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn team() -> impl Strategy<Value = TeamId> {
        (0_u128..6).prop_map(|number| TeamId(Uuid::from_u128(number)))
    }

    fn teams() -> impl Strategy<Value = BTreeSet<TeamId>> {
        prop::collection::btree_set(team(), 0..4)
    }

    fn role() -> impl Strategy<Value = Role> {
        prop::sample::select(Role::ALL.to_vec())
    }

    fn team_roles() -> impl Strategy<Value = TeamRoles> {
        let some = prop::sample::select(TeamRole::ALL.to_vec());
        prop::collection::btree_map(team(), some, 0..5).prop_map(TeamRoles)
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        for role in TeamRole::ALL {
            assert_eq!(TeamRole::parse(role.as_str()), Some(role));
        }
        assert_eq!((Role::parse("lead"), TeamRole::parse("admin"), TeamRole::parse("")), (None, None, None));
    }

    proptest! {
        #[test]
        fn a_role_for_a_team_only_adds(own in team_roles(), everywhere in role(), of in teams()) {
            prop_assert!(own.on(everywhere, &of) >= everywhere);
            prop_assert!(own.on_alarm(everywhere, &of) >= everywhere);
        }

        #[test]
        fn of_another_team_nothing_is_added(own in team_roles(), everywhere in role(), of in teams()) {
            let others: BTreeSet<TeamId> = of.into_iter().filter(|team| !own.teams().any(|own| own == *team)).collect();
            prop_assert_eq!(own.on(everywhere, &others), everywhere);
            prop_assert_eq!(own.on_alarm(everywhere, &others), everywhere);
        }

        #[test]
        fn one_of_several_teams_is_enough(own in team_roles(), everywhere in role(), of in teams(), more in teams()) {
            let all: BTreeSet<TeamId> = of.union(&more).copied().collect();
            prop_assert!(own.on(everywhere, &all) >= own.on(everywhere, &of));
        }

        #[test]
        fn what_is_of_no_team_is_for_who_may_everywhere(own in team_roles(), everywhere in role()) {
            prop_assert_eq!(own.on(everywhere, &BTreeSet::new()), everywhere);
        }

        #[test]
        fn nobody_becomes_an_admin_by_an_alarm(own in team_roles(), everywhere in role(), of in teams()) {
            prop_assert!(everywhere == Role::Admin || own.on_alarm(everywhere, &of) <= Role::Responder);
        }

        #[test]
        fn who_asked_for_a_team_is_of_that_team_alone(asked in team(), policy in teams()) {
            prop_assert_eq!(teams_of_alarm(Some(asked), policy.clone()), BTreeSet::from([asked]));
            prop_assert_eq!(teams_of_alarm(None, policy.clone()), policy);
        }
    }
}
