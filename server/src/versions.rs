//! Versions of what operators say, so that of two who change the same thing neither overwrites the other unawares.
//!
//! Whoever writes calls [`crate::store::Db::lock_edits`] first, looks, checks what was expected, and writes in the same transaction.
//! A version is of what operators say, not of what happens by itself: a ping is no other version of a heartbeat. How requests
//! and answers carry versions stands in [`crate::http::versions`].

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::ids::hex;

/// 96 bits tell versions apart.
const BYTES: usize = 12;

/// Names one version of something; the same for the same content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(String);

impl Version {
    /// The version of what this says.
    #[must_use]
    pub fn of(what: &impl Serialize) -> Self {
        // Plain values are always written; an empty text would only refuse a change that could have been made.
        Self(hex(&Sha256::digest(serde_json::to_vec(what).unwrap_or_default())[..BYTES]))
    }

    /// A version that has a name already, such as a number that is counted up.
    #[must_use]
    pub fn named(name: impl ToString) -> Self {
        Self(name.to_string())
    }

    /// As it stands in a form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the sender of a change has read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// Whatever is there is overwritten.
    #[default]
    Anything,
    /// There is something.
    Something,
    /// There is nothing yet.
    Nothing,
    /// It is one of these versions.
    OneOf(Vec<Version>),
}

/// Somebody else has changed it since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("somebody else has changed it since you read it: read it again, and change what it says now")]
pub struct Stale;

impl Expected {
    /// What stood in a form when it was opened; a form without it overwrites whatever is there.
    #[must_use]
    pub fn in_form(version: &str) -> Self {
        if version.is_empty() { Self::Anything } else { Self::OneOf(vec![Version::named(version)]) }
    }

    /// Whether that is so; `None`: there is nothing.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self, current: Option<&Version>) -> Result<(), Stale> {
        let holds = match self {
            Self::Anything => true,
            Self::Something => current.is_some(),
            Self::Nothing => current.is_none(),
            Self::OneOf(versions) => current.is_some_and(|current| versions.contains(current)),
        };
        if holds { Ok(()) } else { Err(Stale) }
    }

    /// The same for an entry of a list that has a version of its own: whoever has read the entry, or else the list, has read what is there.
    /// An entry is made and removed, and never changed, so that it can be looked at before. Gives what is left to ask of the list.
    #[must_use]
    pub fn of_entry(self, entry: &Version) -> Self {
        if self.check(Some(entry)).is_ok() { Self::Anything } else { self }
    }

    /// The same for what is kept under a number that is counted up: the number to go on with, so that the store can look once more.
    ///
    /// # Errors
    /// When it is not so.
    pub fn counted(&self, current: i32) -> Result<Option<i32>, Stale> {
        self.check(Some(&Version::named(current)))?;
        Ok(matches!(self, Self::OneOf(_)).then_some(current))
    }
}
