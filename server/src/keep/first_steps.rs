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

/// The first steps, each with whether it is done; nothing once all are. What is found to be done is written down, and asked no more.
///
/// # Errors
/// When the database fails.
pub async fn standing(
    store: &Store,
    seen: &Seen,
    has_phone: bool,
    now: DateTime<Utc>,
) -> Result<Option<[(FirstStep, bool); 5]>, StoreError> {
    let is_done = |step: FirstStep| seen.knows(step) || seen.there.is_some_and(|there| step.is_shown_by(has_phone, &there));
    let fresh: Vec<FirstStep> = FirstStep::ALL.into_iter().filter(|step| is_done(*step) && !seen.knows(*step)).collect();
    // Five times in the life of a server.
    if !fresh.is_empty() {
        let mut tx = store.begin().await?;
        for step in &fresh {
            tx.db().note_first_step(step.as_str(), now).await?;
        }
        tx.commit().await?;
    }
    let all = FirstStep::ALL.map(|step| (step, is_done(step)));
    Ok(Some(all).filter(|all| all.iter().any(|(_, done)| !done)))
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
}
