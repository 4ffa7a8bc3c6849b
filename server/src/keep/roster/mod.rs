//! Changing the roster: what the API, the command line and the pages may ask for, checked as a whole before anything is stored.
//!
//! Every change is part of a unit of work, between two looks at the duty log ([`log`]): what was planned until now is written down
//! before the plan changes, and whom the change puts on duty is written down with it.

pub mod exceptions;
pub mod feeds;
pub mod forms;
pub mod import;
pub mod log;
pub mod preview;
pub mod schedules;
pub mod source;
pub mod swaps;
pub mod teams;
pub mod told;

use schedules::row_of;

use super::people_import::ImportError;
use super::refused::MOST_FAULTS;
use crate::costly::CostlyError;
use crate::ids::ScheduleId;
use crate::kinds::guard::AddressError;
use crate::roster::changes::swap::{Cannot, Standing};
use crate::roster::source::MINUTES;
use crate::roster::text::TextError;
use crate::roster::{Roster, Schedule, Team};
use crate::store::duty::feeds::MOST_FEEDS;
use crate::store::duty::swaps::{MOST_IN_AN_HOUR, MOST_OPEN_OF_ONE};
use crate::store::edits::Edited;
use crate::store::{Announcement, StoreError, Work};
use crate::versions::Expected;
use crate::visible;

const LONGEST_NAME: usize = 100;
const LONGEST_NOTE: usize = 500;

/// Why the roster was not changed; nothing was.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// A name is empty, too long, or garbled.
    #[error("a name has 1 to {LONGEST_NAME} characters, without line breaks")]
    BadName,
    /// There is one of that name.
    #[error("there is a {0:?} already")]
    NameTaken(String),
    /// There is no such schedule.
    #[error("there is no schedule {0:?}")]
    NoSchedule(String),
    /// There is no such team.
    #[error("there is no team {0:?}")]
    NoTeam(String),
    /// There is no such person.
    #[error("there is no person {0:?}: add them first")]
    NoPerson(String),
    /// There is no such override, temporary schedule, vacation or feed.
    #[error("there is no such entry: it may have been removed meanwhile")]
    NoEntry,
    /// A time, length or zone cannot be read.
    #[error("{source}")]
    Text {
        /// In which field.
        field: &'static str,
        /// What is wrong with it.
        source: TextError,
    },
    /// It ends before it begins.
    #[error("it must end after it begins")]
    EndsFirst,
    /// A note is too long.
    #[error("a note has at most {LONGEST_NOTE} characters, without line breaks")]
    BadNote,
    /// A rotation names nobody, or too many.
    #[error("a rotation has 1 to {} people, at most {} kinds of hours, and a start", forms::MOST_PEOPLE, forms::MOST_WINDOWS)]
    BadRotation,
    /// A list of days is empty, or names nobody.
    #[error("name 1 to 100 days, and who is on duty on them")]
    BadDays,
    /// An action is none that there is, or does not fit what is said with it.
    #[error("an override has the action add, remove or replace; only replace takes instead_of, and nobody replaces themselves")]
    BadAction,
    /// Somebody else has changed it meanwhile.
    #[error("somebody else has changed it since you read version {given}; it is version {now} now: read it again")]
    Stale {
        /// The version that was to be changed.
        given: i32,
        /// What it is now.
        now: i32,
    },
    /// A public number follows it.
    #[error("the public number {0:?} follows it: let that follow somebody else first")]
    Followed(String),
    /// The address of a calendar is none, or lies inside.
    #[error(transparent)]
    BadAddress(#[from] AddressError),
    /// No address is given, and there is none yet.
    #[error("give the address of the calendar")]
    NoAddress,
    /// A calendar would be asked too often, or too rarely.
    #[error("a calendar is asked every {} to {} minutes", MINUTES.start(), MINUTES.end())]
    BadInterval,
    /// The name of the layer that is to hold what a calendar says is empty, too long, or garbled.
    #[error("the name of a layer has 1 to {LONGEST_NAME} characters, without line breaks")]
    BadLayer,
    /// The schedule follows no calendar.
    #[error("this schedule follows no calendar: give it an address first")]
    NoSource,
    /// Somebody else has changed meanwhile which calendar it follows.
    #[error("somebody else has changed which calendar the schedule follows: read it again")]
    StaleSource,
    /// A request for a swap waits for an answer no more.
    #[error("nothing was changed: {}", over_words(*.0))]
    SwapIsOver(Standing),
    /// A swap cannot be made as the plan stands.
    #[error("{}", cannot_words(.why, .name))]
    Cannot {
        /// Why.
        why: Cannot,
        /// Who it is about; empty where that is nobody.
        name: String,
    },
    /// Somebody speaks for another person, and may not.
    #[error("this is for somebody else to say: only whoever's shift it is, or who is asked, and those who may change the plan")]
    NotYours,
    /// A shift that is to be given away has begun.
    #[error("it has begun already: a swap is of a shift that is to come; use an override for one that runs")]
    BegunAlready,
    /// It is longer than a shift can be.
    #[error("a swap is of at most 31 days")]
    TooLong,
    /// Somebody asks themselves.
    #[error("nobody takes a shift from themselves: name somebody else")]
    SwapWithSelf,
    /// A shift is wanted in exchange, and nobody is named.
    #[error("name whose shift is taken in exchange: other")]
    NobodyToExchangeWith,
    /// It is not said who takes a shift that anybody was asked to take.
    #[error("name who takes it: person")]
    NobodyTakes,
    /// The same was asked already.
    #[error("somebody was asked already to take this shift: take that back first")]
    AskedAlready,
    /// Too many requests wait.
    #[error("too many swaps wait for an answer: take some back first")]
    TooManySwaps,
    /// Too many requests of one person wait.
    #[error("{MOST_OPEN_OF_ONE} swaps of this person wait for an answer: take some back first")]
    TooManySwapsOfOne,
    /// Too many were made in a short time.
    #[error("{MOST_IN_AN_HOUR} swaps were asked for this person within an hour: ask again later")]
    AskedTooOften,
    /// A person has too many calendar addresses.
    #[error("this person has {MOST_FEEDS} calendar addresses already: revoke one first")]
    TooManyFeeds,
    /// It has changed while a file for it was read.
    #[error("somebody else has changed the schedule meanwhile: import the file again")]
    Meanwhile,
    /// A file was refused.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// It costs too much.
    #[error(transparent)]
    Costly(#[from] CostlyError),
    /// The same of a field that is one of many, such as `layers[1].people[0]`.
    #[error("{fault}")]
    At {
        /// Which field.
        field: String,
        /// What is wrong with it.
        fault: Box<RosterError>,
    },
    /// Several fields are wrong: each of them.
    #[error("{}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Several(Vec<RosterError>),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn over_words(standing: Standing) -> &'static str {
    match standing {
        Standing::Open => "the swap waits for an answer",
        Standing::Accepted => "the swap was accepted already",
        Standing::Declined => "the swap was declined already",
        Standing::TakenBack => "the request was taken back",
        Standing::Lapsed => "the shift has begun, so the request has lapsed",
    }
}

fn cannot_words(why: &Cannot, name: &str) -> String {
    match why {
        Cannot::NotTheirs(_) => format!("{name} is not on duty in all of that time, or not any more: give a time of theirs"),
        Cannot::OnDutyAlready(_) => {
            format!("{name} is on duty already in that time: name somebody else, or a time in which they are not")
        }
        Cannot::Away(_) => format!("{name} is away in that time: name somebody else, or take the vacation back first"),
        Cannot::StandsAbove => "a temporary schedule says who is on duty in that time: change that instead".to_owned(),
    }
}

impl RosterError {
    /// The field of the request that is at fault.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::At { field, .. } => field,
            Self::Several(all) => all.first().map_or("", Self::field),
            Self::BadName | Self::NameTaken(_) => "name",
            Self::NoSchedule(_) => "schedule",
            Self::NoTeam(_) => "team",
            Self::NoPerson(_) => "person",
            Self::Text { field, .. } => field,
            Self::EndsFirst => "ends_at",
            Self::BadNote => "note",
            Self::BadRotation => "layers",
            Self::BadAction => "action",
            Self::BadDays => "days",
            Self::BadAddress(_) | Self::NoAddress => "url",
            Self::BadInterval => "every_minutes",
            Self::BadLayer => "layer",
            Self::Stale { .. } => "version",
            Self::NoSource | Self::StaleSource => "",
            Self::BegunAlready => "starts_at",
            Self::TooLong => "ends_at",
            Self::SwapWithSelf | Self::NobodyToExchangeWith => "other",
            Self::NobodyTakes => "person",
            Self::SwapIsOver(_) | Self::Cannot { .. } | Self::NotYours | Self::AskedAlready => "",
            Self::TooManySwaps | Self::TooManySwapsOfOne | Self::AskedTooOften => "",
            Self::TooManyFeeds => "person",
            Self::NoEntry | Self::Followed(_) | Self::Meanwhile | Self::Import(_) | Self::Costly(_) | Self::Store(_) => "",
        }
    }
}

impl RosterError {
    /// The first thing that is wrong, without its place: for whoever is told of one at a time.
    #[must_use]
    pub fn first(&self) -> &Self {
        match self {
            Self::At { fault, .. } => fault.first(),
            Self::Several(all) => all.first().map_or(self, Self::first),
            own => own,
        }
    }

    /// Whether it is the fault of a field, so that there may be more of them.
    fn is_of_field(&self) -> bool {
        matches!(
            self,
            Self::BadName
                | Self::NoTeam(_)
                | Self::NoPerson(_)
                | Self::Text { .. }
                | Self::EndsFirst
                | Self::BadNote
                | Self::BadRotation
                | Self::BadDays
                | Self::BadAction
                | Self::BegunAlready
                | Self::TooLong
                | Self::SwapWithSelf
                | Self::NobodyToExchangeWith
                | Self::At { .. }
        )
    }

    /// The same at another place.
    fn at(self, field: impl Into<String>) -> Self {
        let fault = match self {
            Self::At { fault, .. } => fault,
            own => Box::new(own),
        };
        Self::At { field: field.into(), fault }
    }

    /// The same in a part of the form.
    fn within(self, part: &str) -> Self {
        match self {
            Self::Several(all) => Self::Several(all.into_iter().map(|own| own.within(part)).collect()),
            Self::BadRotation => self.at(part),
            own if own.is_of_field() => {
                let field = format!("{part}.{}", own.field());
                own.at(field)
            }
            own => own,
        }
    }
}

/// What is wrong with the fields of a form, all of it.
#[derive(Debug, Default)]
struct Faults(Vec<RosterError>);

impl Faults {
    /// Notes what is wrong; gives the value when nothing is.
    ///
    /// # Errors
    /// What is no fault of a field: that ends it.
    fn note<T>(&mut self, checked: Result<T, RosterError>) -> Result<Option<T>, RosterError> {
        match checked {
            Ok(value) => Ok(Some(value)),
            Err(RosterError::Several(all)) => {
                self.0.extend(all);
                Ok(None)
            }
            Err(fault) if fault.is_of_field() => {
                self.0.push(fault);
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Whether so much is wrong that nothing more is looked at.
    fn are_enough(&self) -> bool {
        self.0.len() >= MOST_FAULTS
    }

    /// Whether nothing is wrong.
    ///
    /// # Errors
    /// All that is.
    fn none(mut self) -> Result<(), RosterError> {
        self.0.truncate(MOST_FAULTS);
        match self.0.len() {
            0 => Ok(()),
            1 => self.0.pop().map_or(Ok(()), Err),
            _ => Err(RosterError::Several(self.0)),
        }
    }

    /// A value of which nothing is wrong, since [`Faults::none`] has said so.
    fn sound<T>(value: Option<T>) -> Result<T, RosterError> {
        value.ok_or(RosterError::Meanwhile)
    }
}

fn in_field(field: &'static str) -> impl FnOnce(TextError) -> RosterError {
    move |source| RosterError::Text { field, source }
}

fn name(text: &str) -> Result<String, RosterError> {
    let name = visible::shown(text);
    let good = !name.is_empty() && name.chars().count() <= LONGEST_NAME && !name.chars().any(char::is_control);
    if good { Ok(name.to_owned()) } else { Err(RosterError::BadName) }
}

fn note(text: &str) -> Result<String, RosterError> {
    let note = text.trim();
    let good = note.chars().count() <= LONGEST_NOTE && !note.chars().any(char::is_control);
    if good { Ok(note.to_owned()) } else { Err(RosterError::BadNote) }
}

/// The schedule with a name or id.
///
/// # Errors
/// When there is none.
pub fn find_schedule<'r>(roster: &'r Roster, text: &str) -> Result<&'r Schedule, RosterError> {
    roster.find_schedule(text).ok_or_else(|| RosterError::NoSchedule(text.trim().to_owned()))
}

/// The team with a name or id.
///
/// # Errors
/// When there is none.
pub fn find_team<'r>(roster: &'r Roster, text: &str) -> Result<&'r Team, RosterError> {
    roster.find_team(text).ok_or_else(|| RosterError::NoTeam(text.trim().to_owned()))
}

fn find_person(roster: &Roster, text: &str) -> Result<crate::ids::PersonId, RosterError> {
    roster.find_person(text).ok_or_else(|| RosterError::NoPerson(text.trim().to_owned()))
}

/// A change of the roster that is under way, or several that are one.
pub(in crate::keep) struct Editing<'w> {
    work: &'w mut Work,
    /// As it is by now, as far as anything rests on it.
    roster: Roster,
    /// As it was before all changes, where `roster` is not that any more.
    before: Option<Roster>,
}

/// Locks the roster, and before it what else is changed with it, and writes down who was on duty until now: nobody else changes any of that
/// until this unit of work is over. What else is locked has changed nothing yet.
///
/// # Errors
/// When the database fails.
pub(in crate::keep) async fn locked(work: &mut Work, with: &[Edited]) -> Result<Roster, StoreError> {
    debug_assert!(with.is_sorted(), "two who lock in different orders wait for each other: {with:?}");
    let now = work.now();
    loop {
        // Each portion lets go of all locks.
        for edited in with {
            work.db().lock_edits(*edited).await?;
        }
        let kept = log::keep(&mut work.db(), now).await?;
        if !kept.behind {
            return Ok(kept.roster);
        }
        // What was missed in a long outage is written down by the plan that held then, in portions.
        work.announce(Announcement::Roster);
        work.go_on().await?;
    }
}

impl<'w> Editing<'w> {
    /// Begins, and writes down who was on duty until now.
    async fn begin(work: &'w mut Work) -> Result<Self, RosterError> {
        let roster = locked(work, &[]).await?;
        Ok(Self::with(work, roster))
    }

    /// The same for whoever has seen to it in this unit of work that nothing is behind, and has locks that must not be let go.
    pub(in crate::keep) fn with(work: &'w mut Work, roster: Roster) -> Self {
        Self { work, roster, before: None }
    }

    /// It is the last part of a change that began with this roster.
    pub(in crate::keep) fn since(self, before: Roster) -> Self {
        Self { before: Some(before), ..self }
    }

    /// As it is by now.
    pub(in crate::keep) fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Looks again at what the changes so far have made: what comes next may name it.
    pub(in crate::keep) async fn renew(&mut self) -> Result<(), RosterError> {
        let renewed = self.work.db().roster().await?;
        let old = std::mem::replace(&mut self.roster, renewed);
        // Whom the whole change puts on duty is told from what was before the first part of it.
        self.before.get_or_insert(old);
        Ok(())
    }

    /// Refuses to remove the last team or schedule of a name that a public number follows: it would stay with whoever is on duty now,
    /// and nobody would notice.
    async fn is_not_followed(&mut self, name: &str) -> Result<(), RosterError> {
        let teams = self.roster.teams.iter().filter(|team| team.name == name).count();
        let schedules = self.roster.schedules.iter().filter(|schedule| schedule.name == name).count();
        if teams + schedules > 1 {
            return Ok(());
        }
        let follows = self.work.db().lines().await?.into_iter().find(|line| line.team == name);
        follows.map_or(Ok(()), |line| Err(RosterError::Followed(line.name)))
    }

    /// What is added to a schedule or taken out of it makes another version of it, and is refused to whoever has read an older one.
    async fn next_version(&mut self, schedule: ScheduleId, expected: &Expected) -> Result<(), RosterError> {
        let own = self.roster.schedule(schedule).ok_or(RosterError::NoEntry)?;
        let (row, version, now) = (row_of(own), own.version, self.work.now());
        let stale = RosterError::Stale { given: 0, now: version };
        if expected.counted(version).is_err() || !self.work.db().update_schedule(&row, now).await? {
            return Err(stale);
        }
        // There may be more of them in one change.
        if let Some(own) = self.roster.schedules.iter_mut().find(|own| own.id == schedule) {
            own.version += 1;
        }
        Ok(())
    }

    /// Writes down whom the change has put on duty, and tells them.
    pub(in crate::keep) async fn finish(self) -> Result<(), RosterError> {
        let now = self.work.now();
        let kept = log::keep(&mut self.work.db(), now).await?;
        told::of_change(self.work, self.before.as_ref().unwrap_or(&self.roster), &kept.roster).await?;
        self.work.announce(Announcement::Roster);
        Ok(())
    }
}
