//! How somebody wants to be reached when their turn comes: by text message and by which of their numbers, each how long after that.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::numbers::same_phone;

/// So many ways are kept of one person.
pub const MOST_WAYS: usize = 8;
/// Nobody is called later after their turn has come, in seconds.
pub const LATEST: i32 = 1800;

/// One way to reach somebody.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Way {
    /// By a call or by a text message.
    pub by: By,
    /// Which number of theirs.
    #[serde(rename = "phone_number")]
    pub number: String,
    /// So many seconds after their turn has come, 0 to 1800.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1800)]
    pub after_seconds: i32,
}

/// By what somebody is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The phone rings.
    Call,
    /// A text message.
    Text,
}

impl By {
    /// The word by which it is kept, and told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Text => "text",
        }
    }

    /// Reads that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Call, Self::Text].into_iter().find(|one| one.as_str() == word)
    }
}

/// Why a list of ways cannot be meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// More than can be kept.
    #[error("ways may hold at most {MOST_WAYS} ways")]
    TooMany,
    /// Too late, or before their turn.
    #[error("after_seconds must be 0 to {LATEST}")]
    Time,
    /// Nobody wakes up by text messages alone.
    #[error("ways must hold at least one call: a text message alone wakes nobody up")]
    NoCall,
    /// One is enough: it says all.
    #[error("ways may hold only one text message")]
    Texts,
    /// The same phone would ring twice.
    #[error("ways may hold each number only once for calls")]
    Twice,
    /// It is not theirs.
    #[error("each number in ways must be one of the person's numbers")]
    NotTheirs,
}

/// Whether a list of ways can be meant for somebody with these numbers; without any, they are reached as everybody is.
///
/// # Errors
/// The first reason why not.
pub fn check(ways: &[Way], numbers: &[String]) -> Result<(), Wrong> {
    let calls: Vec<&Way> = ways.iter().filter(|way| way.by == By::Call).collect();
    let is_twice = |(at, way): (usize, &&Way)| calls[..at].iter().any(|earlier| same_phone(&earlier.number, &way.number));
    match () {
        () if ways.is_empty() => Ok(()),
        () if ways.len() > MOST_WAYS => Err(Wrong::TooMany),
        () if !ways.iter().all(|way| (0..=LATEST).contains(&way.after_seconds)) => Err(Wrong::Time),
        () if calls.is_empty() => Err(Wrong::NoCall),
        () if ways.len() - calls.len() > 1 => Err(Wrong::Texts),
        () if calls.iter().enumerate().any(is_twice) => Err(Wrong::Twice),
        () if !ways.iter().all(|way| numbers.contains(&way.number)) => Err(Wrong::NotTheirs),
        () => Ok(()),
    }
}

/// By which numbers somebody with these numbers is called, the earliest first. A number that they have not any more is replaced by one that
/// no way names, or is no way; the first call comes when it was to come all the same. Where no call is left, and where nothing was said, it
/// is their first number, at once.
#[must_use]
pub fn calls(ways: &[Way], numbers: &[String]) -> Vec<Way> {
    let wanted = || ways.iter().filter(|way| way.by == By::Call);
    let mut new = numbers.iter().filter(|number| !ways.iter().any(|way| way.number == **number));
    let by = |way: &Way| match numbers.contains(&way.number) {
        true => Some(way.clone()),
        false => new.next().map(|number| Way { number: number.clone(), ..way.clone() }),
    };
    let mut calls: Vec<Way> = wanted().filter_map(by).collect();
    calls.sort_by_key(|way| way.after_seconds);
    if let Some((first, at)) = calls.first_mut().zip(wanted().map(|way| way.after_seconds).min()) {
        first.after_seconds = at;
    }
    if calls.is_empty() {
        let first = numbers.first().map(|number| Way { by: By::Call, number: number.clone(), after_seconds: 0 });
        calls.extend(first);
    }
    calls
}

/// The text message among the ways of somebody with these numbers: to which, and how many seconds after their turn has come. To their first
/// number where they have the one that was meant no more.
#[must_use]
pub fn text<'n>(ways: &[Way], numbers: &'n [String]) -> Option<(&'n str, i32)> {
    let way = ways.iter().find(|way| way.by == By::Text)?;
    let number = numbers.iter().find(|number| **number == way.number).or_else(|| numbers.first())?;
    Some((number, way.after_seconds))
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.by.as_str(), self.number, self.after_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn way(by: By, number: &str, after_seconds: i32) -> Way {
        Way { by, number: number.to_owned(), after_seconds }
    }

    fn numbers() -> Vec<String> {
        vec!["+8618712345678".to_owned(), "+8618812345678".to_owned()]
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        let [a, b] = ["+8618712345678", "+8618812345678"];
        let good = [way(By::Text, a, 0), way(By::Call, a, 120), way(By::Call, b, 300)];
        assert_eq!(check(&good, &numbers()), Ok(()));
        assert_eq!(check(&[], &numbers()), Ok(()));
        assert_eq!(check(&good[..1], &numbers()), Err(Wrong::NoCall));
        assert_eq!(check(&[way(By::Call, a, -1)], &numbers()), Err(Wrong::Time));
        assert_eq!(check(&[way(By::Call, a, 1801)], &numbers()), Err(Wrong::Time));
        assert_eq!(check(&[way(By::Call, a, 0), way(By::Call, a, 60)], &numbers()), Err(Wrong::Twice));
        assert_eq!(check(&[way(By::Call, a, 0), way(By::Text, a, 0), way(By::Text, b, 9)], &numbers()), Err(Wrong::Texts));
        assert_eq!(check(&[way(By::Call, "+4930123", 0)], &numbers()), Err(Wrong::NotTheirs));
        assert_eq!(check(&vec![way(By::Call, a, 0); 9], &numbers()), Err(Wrong::TooMany));
    }

    #[test]
    fn a_number_that_was_taken_away_makes_nobody_later() {
        let [a, b] = ["+8618712345678", "+8618812345678"];
        let ways = [way(By::Text, "+1", 0), way(By::Call, "+1", 30), way(By::Call, b, 600)];
        assert_eq!(calls(&ways, &numbers()), [way(By::Call, a, 30), way(By::Call, b, 600)], "the new one takes its place");
        assert_eq!(calls(&ways, &[b.to_owned()]), [way(By::Call, b, 30)], "no later than the first call was to come");
        assert_eq!(text(&ways, &numbers()), Some((a, 0)), "to their first number");
        assert_eq!(calls(&[], &numbers()), [way(By::Call, a, 0)], "their first number, at once");
    }

    proptest! {
        #[test]
        fn whoever_has_a_number_can_be_called(
            ways in prop::collection::vec((any::<bool>(), 0..4_usize, 0..2000_i32), 0..9),
            count in 1..4_usize,
        ) {
            let numbers: Vec<String> = (0..count).map(|number| format!("+49301{number}")).collect();
            let ways: Vec<Way> = ways
                .into_iter()
                .map(|(call, number, after)| way(if call { By::Call } else { By::Text }, &format!("+49301{number}"), after))
                .collect();
            let calls = calls(&ways, &numbers);
            prop_assert!(!calls.is_empty());
            prop_assert!(calls.iter().all(|call| numbers.contains(&call.number)));
            prop_assert!(calls.is_sorted_by_key(|call| call.after_seconds));
        }
    }
}
