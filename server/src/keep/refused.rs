//! Why something that an operator asked for was not done: one type for the API, the pages and the command line.

use std::collections::BTreeMap;

use super::people_import;
use crate::kinds::gateways::WrongSetting;
use crate::line::command::ComposeError;
use crate::store::StoreError;
use crate::versions::Stale;
use crate::visible;

/// Why it was not done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// A field holds what it cannot hold.
    #[error("{why}")]
    Wrong {
        /// Which field.
        field: &'static str,
        /// What is wrong, and how it should be.
        why: String,
    },
    /// The same of a field that is one of many, such as `steps[1].wait_seconds`.
    #[error("{why}")]
    WrongAt {
        /// Which field.
        field: String,
        /// What is wrong, and how it should be.
        why: String,
    },
    /// Several fields are wrong: each of them.
    #[error("{}", first_of(.0))]
    Several(Vec<Refused>),
    /// The command of a public number cannot be said.
    #[error(transparent)]
    Command(#[from] ComposeError),
    /// There is one of that name already.
    #[error("there is or was a {what} {name:?}: choose another name")]
    Taken {
        /// What it is.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// There is none of that name.
    #[error("there is no {what} {name:?}")]
    Missing {
        /// What was looked for.
        what: &'static str,
        /// Under which name or id.
        name: String,
    },
    /// Somebody else has changed it since it was read.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// Others changed the same rows again and again.
    #[error("it could not be stored because of simultaneous changes: try again")]
    Contended,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refused {
    /// A field is wrong.
    pub fn wrong(field: &'static str, why: impl Into<String>) -> Self {
        Self::Wrong { field, why: why.into() }
    }

    /// A field is wrong that is one of many.
    pub fn at(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::WrongAt { field: field.into(), why: why.into() }
    }

    /// The same of a field that is part of another.
    #[must_use]
    pub fn within(self, outer: &str) -> Self {
        match self {
            Self::Wrong { field, why } => Self::at(format!("{outer}.{field}"), why),
            Self::WrongAt { field, why } => Self::at(format!("{outer}.{field}"), why),
            Self::Several(all) => Self::Several(all.into_iter().map(|own| own.within(outer)).collect()),
            other => other,
        }
    }

    /// The first thing that is wrong, for whoever is told of one at a time.
    #[must_use]
    pub fn first(self) -> Self {
        match self {
            Self::Several(all) if !all.is_empty() => all.into_iter().next().map_or(Self::Contended, Self::first),
            other => other,
        }
    }

    /// The field at fault, where there is one.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Wrong { field, .. } => Some(field),
            Self::WrongAt { field, .. } => Some(field),
            Self::Several(all) => all.first()?.field(),
            _ => None,
        }
    }

    /// What is wrong and where, for the terminal.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self.field() {
            Some(field) => format!("{field}: {self}"),
            None => self.to_string(),
        }
    }

    /// What a failed insert means: most likely that the name is taken.
    #[must_use]
    pub fn insert(what: &'static str, name: &str, error: StoreError) -> Self {
        if error.is_unique_violation() {
            return Self::Taken { what, name: name.to_owned() };
        }
        Self::Store(error)
    }
}

fn first_of(all: &[Refused]) -> String {
    all.first().map(ToString::to_string).unwrap_or_default()
}

/// So many faults of one request are told.
pub(super) const MOST_FAULTS: usize = 20;

/// What is wrong with the fields of a form, all of it: whoever repairs a request wants to know of everything.
#[derive(Debug, Default)]
pub struct Faults(Vec<Refused>);

impl Faults {
    /// Notes what is wrong with a field; gives its value when nothing is.
    ///
    /// # Errors
    /// What is no fault of a field: that ends it.
    pub fn note<T>(&mut self, checked: Result<T, impl Into<Refused>>) -> Result<Option<T>, Refused> {
        match checked.map_err(Into::into) {
            Ok(value) => Ok(Some(value)),
            Err(Refused::Several(all)) => {
                self.0.extend(all);
                Ok(None)
            }
            Err(fault @ (Refused::Wrong { .. } | Refused::WrongAt { .. } | Refused::Command(_))) => {
                self.0.push(fault);
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Whether so much is wrong that nothing more is looked at.
    #[must_use]
    pub fn are_enough(&self) -> bool {
        self.0.len() >= MOST_FAULTS
    }

    /// Whether nothing is wrong.
    ///
    /// # Errors
    /// All that is.
    pub fn none(mut self) -> Result<(), Refused> {
        self.0.truncate(MOST_FAULTS);
        match self.0.len() {
            0 => Ok(()),
            1 => self.0.pop().map_or(Ok(()), Err),
            _ => Err(Refused::Several(self.0)),
        }
    }
}

impl From<WrongSetting> for Refused {
    fn from(WrongSetting { field, why, .. }: WrongSetting) -> Self {
        Self::wrong(field, why)
    }
}

const LONGEST_NAME: usize = 60;
const MOST_LABELS: usize = 64;
const LONGEST_LABEL: usize = 200;

/// A name as it is kept: without blanks around it.
///
/// # Errors
/// When it is empty, too long or garbled.
pub fn name(text: &str) -> Result<String, Refused> {
    named("name", text, LONGEST_NAME)
}

/// The name of a person, which may be as long as those that the list of people takes.
///
/// # Errors
/// When it is empty, too long or garbled.
pub fn person_name(text: &str) -> Result<String, Refused> {
    named("person", text, people_import::LONGEST_NAME)
}

fn named(field: &'static str, text: &str, longest: usize) -> Result<String, Refused> {
    let name = visible::shown(text);
    if name.is_empty() || name.chars().count() > longest || name.chars().any(char::is_control) {
        return Err(Refused::wrong(field, format!("a name has 1 to {longest} characters, without line breaks")));
    }
    Ok(name.to_owned())
}

/// Labels that something is known by.
///
/// # Errors
/// When there are too many, or one is nameless, too long or garbled.
pub fn labels(labels: &BTreeMap<String, String>) -> Result<(), Refused> {
    let sound = |text: &str| text.chars().count() <= LONGEST_LABEL && !text.chars().any(char::is_control);
    if labels.len() <= MOST_LABELS && labels.iter().all(|(name, value)| !name.is_empty() && sound(name) && sound(value)) {
        return Ok(());
    }
    let why =
        format!("at most {MOST_LABELS} labels of at most {LONGEST_LABEL} characters each, with a name and without line breaks");
    Err(Refused::wrong("labels", why))
}
