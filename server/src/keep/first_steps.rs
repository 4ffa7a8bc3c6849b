//! The first steps of whoever has set up a server: what has to be there before people can be rung, and whether it is.

use chrono::{DateTime, Utc};

use crate::store::watch::first_steps::ThereRow;
use crate::store::{Db, Store, StoreError};

/// A first step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstStep {
    /// A phone that rings people is paired.
    Phone,
    /// Somebody has a number.
    Person,
    /// Something can raise alarms.
    Sender,
    /// An alarm came in.
    Alarm,
    /// Somebody picked up a call.
    Call,
}

impl FirstStep {
    /// All of them, in the order in which they are done.
    pub const ALL: [Self; 5] = [Self::Phone, Self::Person, Self::Sender, Self::Alarm, Self::Call];

    /// The word by which it is kept.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Person => "person",
            Self::Sender => "sender",
            Self::Alarm => "alarm",
            Self::Call => "call",
        }
    }

    /// Whether what there is shows that it is done.
    fn is_shown_by(self, has_phone: bool, there: &ThereRow) -> bool {
        match self {
            Self::Phone => has_phone,
            Self::Person => there.people > 0,
            // Where alarms may come in without a key, none is needed.
            Self::Sender => there.senders > 0 || there.alarms > 0,
            Self::Alarm => there.alarms > 0,
            Self::Call => there.answers > 0,
        }
    }
}

/// What the database knows of the first steps.
#[derive(Debug)]
pub struct Seen {
    /// Those that were done.
    known: Vec<String>,
    /// What there is, unless all were done.
    there: Option<ThereRow>,
}

impl Seen {
    fn knows(&self, step: FirstStep) -> bool {
        self.known.iter().any(|own| own == step.as_str())
    }
}

/// Reads it, with whatever else is read.
///
/// # Errors
/// When the database fails.
pub async fn seen(db: &mut Db<'_>) -> Result<Seen, StoreError> {
    let mut seen = Seen { known: db.first_steps_done().await?, there: None };
    if !FirstStep::ALL.into_iter().all(|step| seen.knows(step)) {
        seen.there = db.first_things().await?;
    }
    Ok(seen)
}

/// How far the first steps are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Each with whether it is done.
    pub all: [(FirstStep, bool); 5],
    /// What was found to be done and is not written down yet.
    pub fresh: Vec<FirstStep>,
}

impl Standing {
    /// What was read shows it.
    #[must_use]
    pub fn of(seen: &Seen, has_phone: bool) -> Self {
        let is_done = |step: FirstStep| seen.knows(step) || seen.there.is_some_and(|there| step.is_shown_by(has_phone, &there));
        Self {
            all: FirstStep::ALL.map(|step| (step, is_done(step))),
            fresh: FirstStep::ALL.into_iter().filter(|step| is_done(*step) && !seen.knows(*step)).collect(),
        }
    }

    /// All of them are done.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.all.iter().all(|(_, done)| *done)
    }

    /// All of them are done, and that is written down: it need not be asked again.
    #[must_use]
    pub fn is_known_to_be_over(&self) -> bool {
        self.is_over() && self.fresh.is_empty()
    }
}

/// Writes down what was found to be done: five times in the life of a server.
///
/// # Errors
/// When the database fails.
pub async fn note(store: &Store, fresh: &[FirstStep], now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    for step in fresh {
        tx.db().note_first_step(step.as_str(), now).await?;
    }
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_without_a_key_shows_that_something_can_raise_alarms() {
        let there = ThereRow { people: 0, senders: 0, alarms: 1, answers: 0 };
        let done: Vec<FirstStep> = FirstStep::ALL.into_iter().filter(|step| step.is_shown_by(false, &there)).collect();
        assert_eq!(done, [FirstStep::Sender, FirstStep::Alarm]);
        let nothing = ThereRow { people: 0, senders: 0, alarms: 0, answers: 0 };
        assert!(FirstStep::ALL.into_iter().all(|step| step.is_shown_by(true, &nothing) == (step == FirstStep::Phone)));
    }

    #[test]
    fn what_is_done_and_not_written_down_is_asked_again() {
        let there = ThereRow { people: 1, senders: 1, alarms: 1, answers: 1 };
        let known = |count: usize| FirstStep::ALL[..count].iter().map(|step| step.as_str().to_owned()).collect();
        let some = Standing::of(&Seen { known: known(3), there: Some(there) }, true);
        assert_eq!(some.fresh, [FirstStep::Alarm, FirstStep::Call]);
        assert!(some.is_over() && !some.is_known_to_be_over());
        let all = Standing::of(&Seen { known: known(5), there: None }, false);
        assert!(all.is_known_to_be_over(), "also when what showed it is gone");
        let none = Standing::of(&Seen { known: known(0), there: None }, false);
        assert!(!none.is_over() && none.fresh.is_empty());
    }
}
