//! Who reads a page, in which language, and what they may see.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;

use super::words::{Language, Words};
use crate::alarm::doer::Doer;
use crate::ids::{TeamId, UserId};
use crate::numbers::{masked, masked_name};
use crate::rights::roles::{Role, TeamRoles};
use crate::rights::second_factor::Policy;
use crate::store::duty::people::PersonRow;
use crate::store::{Db, StoreError};

/// Somebody who is logged in.
#[derive(Clone, Debug)]
pub(in crate::dashboard) struct Visitor {
    pub(in crate::dashboard) user: UserId,
    pub(in crate::dashboard) name: String,
    /// What they may do everywhere.
    pub(in crate::dashboard) role: Role,
    /// What they may do for single teams.
    pub(in crate::dashboard) teams: TeamRoles,
    /// A code of their app is asked for when they log in.
    pub(in crate::dashboard) has_second_factor: bool,
    /// Somebody else says who they are, and how sure that is.
    pub(in crate::dashboard) vouched: bool,
    pub(in crate::dashboard) language: String,
    /// Their name in the roster.
    pub(in crate::dashboard) person_name: Option<String>,
    /// What their session is stored under.
    pub(in crate::dashboard) token_hash: [u8; 32],
}

impl Visitor {
    /// Whether they have to set up a second factor before they do anything else. Whoever comes by a provider was asked there.
    pub(in crate::dashboard) fn must_set_up(&self, policy: Policy) -> bool {
        policy.wants(self.role) && !self.has_second_factor && !self.vouched
    }

    /// The name under which they take alarms.
    pub(in crate::dashboard) fn known_as(&self) -> &str {
        self.person_name.as_deref().unwrap_or(&self.name)
    }
}

/// Who reads a page, and how it is to speak to them.
#[derive(Clone)]
pub(in crate::dashboard) struct Reader {
    pub(in crate::dashboard) words: &'static Words,
    pub(in crate::dashboard) language: Language,
    /// Whoever is logged in.
    pub(in crate::dashboard) visitor: Option<Visitor>,
    /// What they may do with what this page is about, where that is more than everywhere.
    pub(in crate::dashboard) here: Option<Role>,
    /// They are rung for the alarm that this page is about.
    pub(in crate::dashboard) is_rung: bool,
    /// They have to set up a second factor before they do anything else.
    pub(in crate::dashboard) must_set_up: bool,
    /// Stands in every form, and proves that the form is ours.
    pub(in crate::dashboard) form_token: String,
    /// Where this page can be loaded again, also in another language: its path, with a `?` or `&` at the end.
    pub(in crate::dashboard) again: String,
    /// How the reader's browser calls this server.
    pub(in crate::dashboard) host: String,
    /// The path in front of everything; empty where there is none.
    pub(in crate::dashboard) below: String,
    /// Where the reader is.
    pub(in crate::dashboard) address: IpAddr,
    /// The browser speaks https to a proxy that is trusted.
    pub(in crate::dashboard) secure: bool,
}

impl Reader {
    /// Whether they may do what this role may, with what this page is about.
    pub(in crate::dashboard) fn may(&self, role: Role) -> bool {
        self.visitor.as_ref().is_some_and(|visitor| visitor.role.max(self.here.unwrap_or(visitor.role)) >= role)
    }

    /// Whether they may do what this role may, with everything.
    pub(in crate::dashboard) fn may_everywhere(&self, role: Role) -> bool {
        self.visitor.as_ref().is_some_and(|visitor| visitor.role >= role)
    }

    /// Whether they administer everything, and not the schedules of a team alone.
    pub(in crate::dashboard) fn sets_up(&self) -> bool {
        self.may_everywhere(Role::Admin)
    }

    /// Whether they have a role for some team alone.
    pub(in crate::dashboard) fn is_of_teams(&self) -> bool {
        self.visitor.as_ref().is_some_and(|visitor| !visitor.teams.is_empty())
    }

    /// Whether they may call somebody: for everybody, or in the name of a team.
    pub(in crate::dashboard) fn calls(&self) -> bool {
        self.responds() || self.is_of_teams()
    }

    /// The same reader, as they read of alarms that are of these teams, each of which is of those of one set.
    pub(in crate::dashboard) fn on_alarms<'r>(&'r self, teams: &[BTreeSet<TeamId>]) -> Cow<'r, Self> {
        let Some(visitor) = self.visitor.as_ref().filter(|visitor| !visitor.teams.is_empty()) else { return Cow::Borrowed(self) };
        let least = teams.iter().map(|teams| visitor.teams.on_alarm(visitor.role, teams)).min();
        match least.filter(|least| *least > visitor.role) {
            Some(least) => Cow::Owned(Self { here: Some(least), ..self.clone() }),
            None => Cow::Borrowed(self),
        }
    }

    /// Who acts, when they change something.
    pub(in crate::dashboard) fn doer(&self) -> Doer {
        self.visitor.as_ref().map_or(Doer::Server, |visitor| Doer::User { name: visitor.name.clone() })
    }

    pub(in crate::dashboard) fn responds(&self) -> bool {
        self.may(Role::Responder)
    }

    pub(in crate::dashboard) fn administers(&self) -> bool {
        self.may(Role::Admin)
    }

    /// This server as their browser reaches it, for what they type themselves.
    pub(in crate::dashboard) fn server(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}{}", self.host, self.below)
    }

    /// A number as they may see it.
    pub(in crate::dashboard) fn number(&self, number: &str) -> String {
        if self.responds() { number.to_owned() } else { masked(number) }
    }

    /// A name; where only a number is known, that number as they may see it.
    pub(in crate::dashboard) fn name(&self, name: &str) -> String {
        if self.responds() { name.to_owned() } else { masked_name(name) }
    }

    /// The other languages, with the address of this page in them.
    pub(in crate::dashboard) fn other_languages(&self) -> Vec<(&'static str, &'static str, String)> {
        let others = Language::ALL.into_iter().filter(|language| *language != self.language);
        others
            .map(|language| {
                (language.tag(), language.words().language_name.as_str(), format!("{}lang={}", self.again, language.tag()))
            })
            .collect()
    }

    pub(in crate::dashboard) fn role_name(&self) -> &'static str {
        role_word(self.words, self.visitor.as_ref().map_or(Role::Viewer, |visitor| visitor.role))
    }

    /// The name under which they take alarms.
    pub(in crate::dashboard) fn known_as(&self) -> &str {
        self.visitor.as_ref().map_or("", Visitor::known_as)
    }

    /// Whether that is their own name on the list of people.
    pub(in crate::dashboard) fn is_called(&self, name: &str) -> bool {
        self.visitor.as_ref().and_then(|visitor| visitor.person_name.as_deref()) == Some(name)
    }

    /// The person on the list of people who they are; `None`: they are nobody there.
    ///
    /// # Errors
    /// When the database fails.
    pub(in crate::dashboard) async fn person(&self, db: &mut Db<'_>) -> Result<Option<PersonRow>, StoreError> {
        match self.visitor.as_ref().and_then(|visitor| visitor.person_name.as_deref()) {
            Some(name) => db.person_by_name(name).await,
            None => Ok(None),
        }
    }
}

pub(in crate::dashboard) fn role_word(words: &'static Words, role: Role) -> &'static str {
    match role {
        Role::Admin => &words.role_admin,
        Role::Responder => &words.role_responder,
        Role::Viewer => &words.role_viewer,
    }
}

impl Reader {
    pub(in crate::dashboard) fn speak(&mut self, language: Language) {
        self.language = language;
        self.words = language.words();
    }
}
