//! What whoever asks may do: rights, which of them covers which, and to what a key can be bound.
//!
//! `admin` covers `raise`, `read` and `operate`. `operate` covers `read`, since people and programs act on what they saw. `shouts`, `calls`,
//! `phonecalls` and `mail` are part of no other right, and cover none.

pub mod roles;
pub mod second_factor;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// To raise alarms, and to resolve and read those that one has raised.
    Raise,
    /// To read what there is.
    Read,
    /// To act on any alarm.
    Operate,
    /// To change what operators keep.
    Admin,
    /// To send shouts, one message to many people.
    Shouts,
    /// To command calls and conferences.
    Calls,
    /// To list the calls of another system, and nothing else.
    Phonecalls,
    /// To raise alarms by mail, and nothing else.
    Mail,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Raise, Self::Read, Self::Operate, Self::Admin, Self::Shouts, Self::Calls, Self::Phonecalls, Self::Mail];
    /// Those that a key is given by name, and open networks by `http.open_rights`.
    pub const ORDINARY: [Self; 4] = [Self::Raise, Self::Read, Self::Operate, Self::Admin];

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raise => "raise",
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
            Self::Shouts => "shouts",
            Self::Calls => "calls",
            Self::Phonecalls => "phonecalls",
            Self::Mail => "mail",
        }
    }

    /// Whether whoever has this needs no other one for what asks for that.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self == other
            || match self {
                Self::Admin => matches!(other, Self::Raise | Self::Read | Self::Operate),
                Self::Operate => other == Self::Read,
                _ => false,
            }
    }

    /// Whether it is one that never stands beside another.
    #[must_use]
    pub fn comes_alone(self) -> bool {
        matches!(self, Self::Phonecalls | Self::Mail)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word is none of the rights that can be given by name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no right: there are raise, read, operate and admin")]
pub struct NoSuchRight(pub String);

impl FromStr for Right {
    type Err = NoSuchRight;

    /// One that can be given by name.
    fn from_str(text: &str) -> Result<Self, NoSuchRight> {
        Self::ORDINARY.into_iter().find(|right| right.as_str() == text.trim()).ok_or_else(|| NoSuchRight(text.to_owned()))
    }
}

/// A set of rights.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rights(BTreeSet<Right>);

impl Rights {
    /// These.
    #[must_use]
    pub fn of(rights: impl IntoIterator<Item = Right>) -> Self {
        Self(rights.into_iter().collect())
    }

    /// Reads what is kept with a key: words with commas between. What names none of the ordinary rights has `raise`, but for a key that does
    /// one other thing alone: before there were rights, every other key raised alarms. Words that this program does not know give nothing.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let known = |word: &str| Right::ALL.into_iter().find(|right| right.as_str() == word.trim());
        let read = Self(text.split(',').filter_map(known).collect());
        let says = |right: &Right| Right::ORDINARY.contains(right) || right.comes_alone();
        if read.0.iter().any(says) { read } else { read.with(Right::Raise) }
    }

    /// The same and one more.
    #[must_use]
    pub fn with(mut self, right: Right) -> Self {
        self.0.insert(right);
        self
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them covers this one.
    #[must_use]
    pub fn may(&self, right: Right) -> bool {
        self.0.iter().any(|own| own.covers(right))
    }

    /// Whether they cover all of these.
    #[must_use]
    pub fn cover(&self, others: &Self) -> bool {
        others.0.iter().all(|other| self.may(*other))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Right> + '_ {
        self.0.iter().copied()
    }

    /// The same without what another one of them covers.
    #[must_use]
    pub fn plain(&self) -> Self {
        let is_covered = |right: &Right| self.0.iter().any(|other| other != right && other.covers(*right));
        Self(self.0.iter().copied().filter(|right| !is_covered(right)).collect())
    }

    /// The fewest of these with which all goes on that was done with them. Rights that come alone stay: a key with one can do nothing else.
    /// One of the ordinary rights is always left, the least: what names none of them is read as `raise`.
    #[must_use]
    pub fn narrowed_to(&self, used: &Self) -> Self {
        if self.0.iter().any(|right| right.comes_alone()) {
            return self.clone();
        }
        let left = Self(used.0.iter().copied().filter(|right| self.may(*right)).collect()).plain();
        let least = [Right::Raise, Right::Read].into_iter().find(|right| self.may(*right));
        match least {
            Some(least) if !left.0.iter().any(|right| Right::ORDINARY.contains(right)) => left.with(least),
            _ => left,
        }
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<T: IntoIterator<Item = Right>>(rights: T) -> Self {
        Self::of(rights)
    }
}

impl fmt::Display for Rights {
    /// In one order, so that equal sets are equal texts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, right) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{right}")?;
        }
        Ok(())
    }
}

/// What an operation of the API asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: the token in its address is the proof.
    Token,
    /// This right.
    Of(Right),
    /// This right, for any alarm, or for those that a key is bound to.
    Alarm(Right),
    /// The same; whoever may raise alarms does it to those that they have raised.
    OwnAlarm(Right),
    /// This right, for any call; whoever sends shouts or commands calls does it to those of their own.
    OwnCall(Right),
    /// This right, which the interface itself asks for, in the words of its clients.
    Said(Right),
}

/// How far somebody gets with an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// To all that there is.
    #[default]
    Everything,
    /// To what their key is bound to.
    Bound,
    /// To what they have raised, or asked for, themselves.
    Own,
}

/// Why somebody may not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// They have no right that covers this.
    Right(Right),
    /// Their key is bound, and this is about something else than alarms.
    IsBound,
}

impl Need {
    /// The right that reaches everything; `None` where none is asked for.
    #[must_use]
    pub fn right(self) -> Option<Right> {
        match self {
            Self::Token => None,
            Self::Of(right) | Self::Alarm(right) | Self::OwnAlarm(right) | Self::OwnCall(right) | Self::Said(right) => {
                Some(right)
            }
        }
    }

    /// The rights that are enough for what is one's own.
    #[must_use]
    pub fn for_own(self) -> &'static [Right] {
        match self {
            Self::OwnAlarm(_) => &[Right::Raise],
            Self::OwnCall(_) => &[Right::Shouts, Right::Calls],
            Self::Token | Self::Of(_) | Self::Alarm(_) | Self::Said(_) => &[],
        }
    }

    /// How far somebody with these rights gets.
    ///
    /// # Errors
    /// What they lack.
    pub fn reach(self, rights: &Rights, is_bound: bool) -> Result<Reach, Missing> {
        let Some(right) = self.right() else { return Ok(Reach::Everything) };
        let by_own = self.for_own().iter().any(|own| rights.may(*own));
        match self {
            // Shouts and calls of programs go to any number: whoever is bound has none.
            Self::Said(_) if is_bound => Err(Missing::IsBound),
            Self::Said(_) => Ok(Reach::Everything),
            _ if !rights.may(right) => {
                if by_own {
                    Ok(Reach::Own)
                } else {
                    Err(Missing::Right(right))
                }
            }
            _ if !is_bound || right == Right::Raise => Ok(Reach::Everything),
            Self::Alarm(_) | Self::OwnAlarm(_) => Ok(Reach::Bound),
            _ if by_own => Ok(Reach::Own),
            _ => Err(Missing::IsBound),
        }
    }
}

/// The source of the tests of monitors.
pub const MONITOR: &str = "monitor";

/// What a key is bound to: it raises, reads and acts on these alarms alone. By name, as alarms say it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bounds {
    /// Alarms that call themselves so.
    pub sources: Vec<String>,
    /// Alarms that ask for one of these teams...
    pub teams: Vec<String>,
    /// ... or go by one of these policies.
    pub policies: Vec<String>,
}

impl Bounds {
    /// Whether they bind nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.teams.is_empty() && self.policies.is_empty()
    }

    /// To the tests of a monitor, which are no alarms.
    #[must_use]
    pub fn of_monitor() -> Self {
        Self { sources: vec![MONITOR.to_owned()], ..Self::default() }
    }

    /// Whether they let no alarm through, but only the tests of a monitor.
    #[must_use]
    pub fn are_of_monitor(&self) -> bool {
        *self == Self::of_monitor()
    }

    /// Whether an alarm is within them: of one of the sources, and for one of the teams or by one of the policies.
    #[must_use]
    pub fn cover(&self, source: &str, team: Option<&str>, policy: Option<&str>) -> bool {
        let is_one = |own: &[String], name: &str| own.iter().any(|own| own == name);
        let whom =
            team.is_some_and(|team| is_one(&self.teams, team)) || policy.is_some_and(|policy| is_one(&self.policies, policy));
        self.cover_source(source) && (whom || self.teams.is_empty() && self.policies.is_empty())
    }

    /// Whether alarms that call themselves so may be within them.
    #[must_use]
    pub fn cover_source(&self, source: &str) -> bool {
        self.sources.is_empty() || self.sources.iter().any(|own| own == source)
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [("sources", &self.sources), ("teams", &self.teams), ("policies", &self.policies)];
        for (place, (kind, names)) in kinds.into_iter().filter(|(_, names)| !names.is_empty()).enumerate() {
            write!(f, "{}{kind} {}", if place == 0 { "" } else { "; " }, names.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn right() -> impl Strategy<Value = Right> {
        prop::sample::select(Right::ALL.to_vec())
    }

    fn rights() -> impl Strategy<Value = Rights> {
        prop::collection::btree_set(right(), 0..=Right::ALL.len()).prop_map(Rights::of)
    }

    /// What a key can have: ordinary rights with shouts and calls, or one that comes alone.
    fn given_to_keys() -> impl Strategy<Value = Rights> {
        let some =
            prop::sample::select(vec![Right::Raise, Right::Read, Right::Operate, Right::Admin, Right::Shouts, Right::Calls]);
        let usual = prop::collection::btree_set(some, 1..=6).prop_map(|some| Rights::read(&Rights::of(some).to_string()));
        prop_oneof![usual, Just(Rights::of([Right::Phonecalls])), Just(Rights::of([Right::Mail]))]
    }

    fn need() -> impl Strategy<Value = Need> {
        (right(), 0..6).prop_map(|(right, kind)| match kind {
            0 => Need::Token,
            1 => Need::Of(right),
            2 => Need::Alarm(right),
            3 => Need::OwnAlarm(right),
            4 => Need::OwnCall(right),
            _ => Need::Said(right),
        })
    }

    #[test]
    fn admin_keeps_everything_and_sends_no_shouts() {
        for covered in [Right::Raise, Right::Read, Right::Operate] {
            assert!(Right::Admin.covers(covered), "{covered}");
        }
        for apart in [Right::Shouts, Right::Calls, Right::Phonecalls, Right::Mail] {
            assert!(
                Right::ALL.into_iter().all(|other| other == apart || !other.covers(apart) && !apart.covers(other)),
                "{apart}"
            );
        }
        assert!(Right::Operate.covers(Right::Read) && !Right::Operate.covers(Right::Raise), "whoever acts has to see");
        assert!(!Right::Read.covers(Right::Operate) && !Right::Raise.covers(Right::Read));
    }

    #[test]
    fn what_is_kept_from_before_still_raises() {
        assert_eq!(Rights::read(""), Rights::of([Right::Raise]));
        assert_eq!(Rights::read("shouts"), Rights::of([Right::Raise, Right::Shouts]));
        assert_eq!(Rights::read("flying"), Rights::of([Right::Raise]), "a word of a later version gives nothing");
        assert_eq!(Rights::read("phonecalls"), Rights::of([Right::Phonecalls]));
        assert_eq!(Rights::read("mail"), Rights::of([Right::Mail]));
        assert_eq!(Rights::read("read, operate").to_string(), "read,operate");
    }

    #[test]
    fn names_are_those_that_can_be_given() {
        assert_eq!(" read ".parse(), Ok(Right::Read));
        assert_eq!("mail".parse::<Right>(), Err(NoSuchRight("mail".to_owned())));
        assert!("Raise".parse::<Right>().is_err() && "".parse::<Right>().is_err());
    }

    #[test]
    fn a_key_is_narrowed_to_what_it_did() {
        let old = Rights::of([Right::Admin, Right::Shouts]);
        let to = |used: &[Right]| old.narrowed_to(&Rights::of(used.iter().copied())).to_string();
        assert_eq!(to(&[Right::Raise, Right::Read]), "raise,read");
        assert_eq!(to(&[Right::Read, Right::Operate]), "operate");
        assert_eq!(to(&[Right::Raise, Right::Admin]), "admin");
        assert_eq!(to(&[Right::Shouts]), "raise,shouts", "a key for shouts raises them");
        assert_eq!(to(&[]), "raise");
        assert_eq!(Rights::of([Right::Mail]).narrowed_to(&Rights::default()).to_string(), "mail");
    }

    #[test]
    fn bounds_are_of_one_source_and_for_one_of_those_named() {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let bounds = Bounds { sources: own(&["zabbix"]), teams: own(&["ops"]), policies: own(&["night"]) };
        assert!(bounds.cover("zabbix", Some("ops"), None) && bounds.cover("zabbix", None, Some("night")));
        assert!(!bounds.cover("grafana", Some("ops"), None) && !bounds.cover("zabbix", None, None));
        assert!(!bounds.cover("zabbix", Some("db"), Some("day")));
        assert!(Bounds { teams: own(&["ops"]), ..Bounds::default() }.cover("anything", Some("ops"), Some("day")));
        assert!(Bounds::default().cover("anything", None, None));
        assert_eq!(bounds.to_string(), "sources zabbix; teams ops; policies night");
    }

    proptest! {
        #[test]
        fn covering_is_an_order(one in right(), two in right(), three in right()) {
            prop_assert!(one.covers(one));
            prop_assert!(!(one.covers(two) && two.covers(three)) || one.covers(three));
            prop_assert!(one == two || !(one.covers(two) && two.covers(one)));
        }

        #[test]
        fn read_as_written(rights in given_to_keys()) {
            prop_assert_eq!(Rights::read(&rights.to_string()), rights);
        }

        #[test]
        fn more_rights_do_more(some in rights(), more in rights(), right in right()) {
            let both: Rights = some.iter().chain(more.iter()).collect();
            prop_assert!(!some.may(right) || both.may(right));
            prop_assert_eq!(both.may(right), some.may(right) || more.may(right));
            prop_assert!(both.cover(&some) && both.cover(&more));
        }

        #[test]
        fn what_is_plain_does_as_much(rights in rights(), right in right()) {
            prop_assert_eq!(rights.plain().may(right), rights.may(right));
            prop_assert_eq!(rights.plain().plain(), rights.plain());
        }

        #[test]
        fn narrowing_takes_away_only_what_was_not_used(had in given_to_keys(), used in rights(), right in right()) {
            let left = had.narrowed_to(&used);
            prop_assert!(had.cover(&left), "nothing is added: {} {}", had, left);
            prop_assert!(!(used.may(right) && used.iter().any(|own| own == right) && had.may(right)) || left.may(right));
            prop_assert_eq!(left.narrowed_to(&used), left.clone());
            prop_assert!(!left.is_empty());
        }

        #[test]
        fn more_rights_reach_no_less(need in need(), some in rights(), more in rights(), is_bound in any::<bool>()) {
            let both: Rights = some.iter().chain(more.iter()).collect();
            let far = |reach| match reach {
                Err(_) => 0,
                Ok(Reach::Own) => 1,
                Ok(Reach::Bound) => 2,
                Ok(Reach::Everything) => 3,
            };
            prop_assert!(far(need.reach(&both, false)) >= far(need.reach(&some, false)));
            prop_assert!(far(need.reach(&some, false)) >= far(need.reach(&some, is_bound)), "who is bound gets no further");
        }
    }
}
