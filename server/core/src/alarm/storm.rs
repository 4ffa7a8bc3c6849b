//! Storms: which alarms join a hunt that is already under way, and which hunts take turns with each other.
//!
//! An alarm joins a hunt for the same people, in the same order and by the same rules, that began a short while ago and has reached
//! nobody yet. Whatever reaches somebody then counts for all that had joined before that call was over; an alarm that joined later,
//! or got less than all the calls, gets a hunt of its own.

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::hunt::Callee;
use super::{Mode, Priority, Until};
use crate::ids::hex;

/// What makes two hunts one: whom they ring, how, and by what rules.
#[derive(Clone, Debug)]
pub struct Like<'h> {
    /// One after the other, or all at once.
    pub mode: Mode,
    /// When it has reached what it wants.
    pub until: Until,
    /// Seconds in which an answer must be confirmed.
    pub confirm_within: Option<i32>,
    /// Where a call asks for a key, nothing else in it is an answer.
    pub wants_key: bool,
    /// The policy it goes up.
    pub policy: Option<String>,
    /// How long it waits for a handset, in seconds.
    pub begin_window_s: i32,
    /// Everybody in it.
    pub callees: &'h [Callee],
}

/// The same for hunts that are alike, and for no others.
#[must_use]
pub fn join_key(like: &Like<'_>) -> String {
    let rung: Vec<_> =
        like.callees.iter().map(|callee| (&callee.phone, callee.max_attempts, callee.min_interval.num_seconds())).collect();
    let mut facts = serde_json::json!([like.mode, like.until, like.confirm_within, like.policy, like.begin_window_s, rung]);
    let later: Vec<i64> = like.callees.iter().map(|callee| callee.after.num_seconds()).collect();
    if let Some(facts) = facts.as_array_mut() {
        facts.extend(like.wants_key.then(|| "key".into()));
        facts.extend(later.iter().any(|after| *after > 0).then(|| later.into()));
    }
    hex(&Sha256::digest(facts.to_string()))
}

/// A hunt that an alarm might join.
#[derive(Clone, Debug)]
pub struct Open {
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Its step.
    pub step: i32,
    /// Somebody has picked up.
    pub answered: bool,
    /// Somebody is not rung by it any more: they declined its alarms, and not the one that would join.
    pub refused: bool,
    /// Nobody is rung before then.
    pub snoozed_until: Option<DateTime<Utc>>,
    /// How urgent it is.
    pub priority: Priority,
    /// When its step is over.
    pub step_ends_at: Option<DateTime<Utc>>,
}

/// What an alarm that would join brings with it.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// How urgent it is.
    pub priority: Priority,
    /// When the step of its own hunt, which it would leave, is over.
    pub step_ends_at: Option<DateTime<Utc>>,
}

/// What follows for a hunt that an alarm joins, beside that it is as urgent as the alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Join {
    /// Its step is over then, and not later.
    pub step_ends_at: Option<DateTime<Utc>>,
}

/// What follows when an alarm joins a hunt; `None`: it rings on its own.
#[must_use]
pub fn join(open: &Open, own: &Own, window: TimeDelta, now: DateTime<Utc>) -> Option<Join> {
    // Quiet hours may have given the step of the less urgent one more time.
    let hurries = own.step_ends_at.filter(|_| own.priority > open.priority);
    let step_ends_at = hurries.map(|ends_at| open.step_ends_at.map_or(ends_at, |later| later.min(ends_at)));
    may_join(open, window, now).then_some(Join { step_ends_at })
}

/// Whether an alarm may join it now.
fn may_join(open: &Open, window: TimeDelta, now: DateTime<Utc>) -> bool {
    open.step == 0 && !open.answered && !open.refused && open.snoozed_until.is_none() && now - open.created_at <= window
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test")]
    use super::*;
    use crate::ids::CalleeId;
    use uuid::Uuid;

    fn callee(phone: &str) -> Callee {
        Callee {
            id: CalleeId(Uuid::nil()),
            position: 0,
            person: None,
            phone: phone.to_owned(),
            max_attempts: 2,
            attempts: 0,
            failed: 0,
            min_interval: TimeDelta::seconds(60),
            last_offered_at: None,
            quiet_until: None,
            after: TimeDelta::zero(),
            asked_at: None,
            verdict: None,
        }
    }

    fn key(callees: &[Callee], mode: Mode) -> String {
        join_key(&Like {
            mode,
            until: Until::First,
            confirm_within: None,
            wants_key: false,
            policy: None,
            begin_window_s: 60,
            callees,
        })
    }

    #[test]
    fn only_the_same_people_in_the_same_way_are_alike() {
        let two = [callee("a"), callee("b")];
        assert_eq!(key(&two, Mode::Sequential), key(&[callee("a"), callee("b")], Mode::Sequential));
        assert_ne!(key(&two, Mode::Sequential), key(&[callee("b"), callee("a")], Mode::Sequential));
        assert_ne!(key(&two, Mode::Sequential), key(&two, Mode::Parallel));
        let more = Callee { max_attempts: 3, ..callee("b") };
        assert_ne!(key(&two, Mode::Sequential), key(&[callee("a"), more], Mode::Sequential));
    }

    fn open_since(created_at: DateTime<Utc>) -> Open {
        let (priority, step_ends_at) = (Priority::Normal, None);
        Open { created_at, step: 0, answered: false, refused: false, snoozed_until: None, priority, step_ends_at }
    }

    #[test]
    fn who_is_more_urgent_hurries_the_step_and_never_delays_it() {
        let (now, window) = (DateTime::from_timestamp(1_000, 0).unwrap(), TimeDelta::seconds(120));
        let (soon, later) = (Some(now + window), Some(now + window * 2));
        let open = |step_ends_at| Open { step_ends_at, ..open_since(now) };
        let ends =
            |open: &Open, priority, step_ends_at| join(open, &Own { priority, step_ends_at }, window, now).unwrap().step_ends_at;
        assert_eq!(ends(&open(later), Priority::High, soon), soon);
        assert_eq!(ends(&open(soon), Priority::High, later), soon);
        assert_eq!(ends(&open(None), Priority::High, soon), soon);
        assert_eq!(ends(&open(later), Priority::Normal, soon), None, "as urgent as the others: it waits with them");
        assert_eq!(ends(&open(later), Priority::High, None), None);
        assert_eq!(
            join(&Open { answered: true, ..open(None) }, &Own { priority: Priority::High, step_ends_at: soon }, window, now),
            None
        );
    }

    #[test]
    fn a_hunt_that_has_gone_on_is_not_joined() {
        let now = DateTime::from_timestamp(1_000, 0).unwrap();
        let window = TimeDelta::seconds(120);
        let open = open_since(now - window);
        assert!(may_join(&open, window, now));
        assert!(!may_join(&open, window, now + TimeDelta::seconds(1)));
        assert!(!may_join(&Open { step: 1, ..open.clone() }, window, now));
        assert!(!may_join(&Open { answered: true, ..open.clone() }, window, now));
        assert!(!may_join(&Open { refused: true, ..open.clone() }, window, now));
        assert!(!may_join(&Open { snoozed_until: Some(now), ..open }, window, now));
    }
}
