//! When each mid was served, where the database does not know it: serves that could not be written, or that left later than was written.
//!
//! Kept in memory until they are written, and counted meanwhile: a phone rings whether or not its serve could be noted.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::alarm::ringing::{self, Serves};
use crate::engine::{Engine, EngineError, delta, seconds};
use crate::ids::HandsetId;
use crate::store::Db;
use crate::store::alarm::dials::DialRow;

/// Serves are written down every second, so that there are this many only while nothing can be written.
const MOST_MIDS: usize = 10_000;
/// An answer that leaves so much later than it was counted counts from when it leaves.
const LEFT_LATE: TimeDelta = TimeDelta::seconds(1);

/// What this node knows of serves, and of reports that it could not store.
#[derive(Debug, Default)]
pub struct ServeMemory(Mutex<KnownServe>);

#[derive(Debug, Default)]
struct KnownServe {
    unwritten: HashMap<String, Vec<Unwritten>>,
    /// Reports that arrived and have not been stored, by mid.
    heard: HashMap<String, u32>,
}

/// A serve that is not written down, or not as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unwritten {
    /// It could not be counted.
    Uncounted(DateTime<Utc>),
    /// It was counted at the first instant, and left at the second.
    Late(DateTime<Utc>, DateTime<Utc>),
}

impl ServeMemory {
    fn known(&self) -> MutexGuard<'_, KnownServe> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, mid: &str, serve: Unwritten) {
        let mut known = self.known();
        if known.unwritten.len() < MOST_MIDS || known.unwritten.contains_key(mid) {
            let serves = known.unwritten.entry(mid.to_owned()).or_default();
            // Only the last two ever count.
            if serves.len() >= 8 {
                serves.remove(0);
            }
            serves.push(serve);
        }
    }

    fn of(&self, mid: &str) -> Vec<Unwritten> {
        self.known().unwritten.get(mid).cloned().unwrap_or_default()
    }

    /// Notes that a report for this mid arrived, until [`ServeMemory::stored`]: a phone whose report cannot be stored asks for its mid again.
    pub fn heard(&self, mid: &str) {
        let mut known = self.known();
        if known.heard.len() < MOST_MIDS || known.heard.contains_key(mid) {
            *known.heard.entry(mid.to_owned()).or_default() += 1;
        }
    }

    /// A report for this mid is stored: there is nothing to wait for any more.
    pub fn stored(&self, mid: &str) {
        self.known().heard.remove(mid);
    }

    /// Whether a report for this mid arrived that is not stored.
    pub(in crate::engine) fn is_heard(&self, mid: &str) -> bool {
        self.known().heard.contains_key(mid)
    }
}

fn with(serves: Serves, unwritten: &[Unwritten]) -> Serves {
    unwritten.iter().fold(serves, |serves, one| match *one {
        Unwritten::Uncounted(at) => serves.and(at),
        Unwritten::Late(counted, left) if serves.last == counted => Serves { last: left, ..serves },
        Unwritten::Late(counted, left) if serves.before == Some(counted) => {
            Serves { before: Some(left.min(serves.last)), ..serves }
        }
        // Others were served since.
        Unwritten::Late(..) => serves,
    })
}

impl Engine {
    /// The answer that serves a mid leaves now; it was counted at `counted_at`.
    pub fn answer_leaves(&self, mid: &str, counted_at: DateTime<Utc>) {
        let now = self.clock.now();
        if now - counted_at >= LEFT_LATE {
            self.serves.note(mid, Unwritten::Late(counted_at, now));
        }
    }

    /// A mid is served at this instant, and that cannot be written down.
    pub(in crate::engine) fn served_uncounted(&self, mid: &str, at: DateTime<Utc>) {
        self.serves.note(mid, Unwritten::Uncounted(at));
    }

    /// When a dial was served, with what only this node knows.
    pub(in crate::engine) fn serves_of(&self, dial: &DialRow) -> Serves {
        with(dial.served(), &self.serves.of(&dial.mid))
    }

    /// The latest deadline that a serve at this instant gives a dial.
    pub(in crate::engine) fn deadline_after(&self, dial: &DialRow, served_at: DateTime<Utc>, ring: TimeDelta) -> DateTime<Utc> {
        let more = delta(self.config.handsets.patience);
        ringing::deadline_after(served_at, dial.deadline, dial.offered_at, dial.length(), ring, more)
    }

    /// Writes down the serves that could not be written when they happened.
    ///
    /// # Errors
    /// When the database fails; they are remembered then.
    pub(in crate::engine) async fn write_serves(&self, now: DateTime<Utc>) -> Result<(), EngineError> {
        let unwritten: Vec<(String, Vec<Unwritten>)> =
            self.serves.known().unwritten.iter().map(|(mid, serves)| (mid.clone(), serves.clone())).collect();
        for (mid, serves) in unwritten {
            let Some(hunt) = self.store.read().await?.db().dial(&mid).await?.map(|dial| dial.hunt_id) else {
                self.forget_serves(&mid, &serves);
                continue;
            };
            let mut tx = self.store.begin().await?;
            tx.db().lock_hunt(hunt).await?;
            if let Some(dial) = tx.db().dial(&mid).await? {
                let ring = ring_of(&mut tx.db(), dial.handset_id).await?;
                let known = with(dial.served(), &serves);
                let deadline = match dial.closed_at {
                    None => self.deadline_after(&dial, known.last, ring),
                    Some(_) => dial.deadline,
                };
                let line = ringing::Line { serves: known, ..dial.line(ring) };
                let line_free_at = ringing::quiet(&line, now).numbers;
                tx.db().set_serves(&mid, known, deadline, line_free_at, dial.closed_at.is_none()).await?;
            }
            tx.commit().await?;
            self.forget_serves(&mid, &serves);
        }
        Ok(())
    }

    /// Whether there are serves to be written down.
    pub(in crate::engine) fn has_unwritten_serves(&self) -> bool {
        !self.serves.known().unwritten.is_empty()
    }

    fn forget_serves(&self, mid: &str, written: &[Unwritten]) {
        let mut known = self.serves.known();
        if let Some(serves) = known.unwritten.get_mut(mid) {
            serves.retain(|serve| !written.contains(serve));
            if serves.is_empty() {
                known.unwritten.remove(mid);
            }
        }
    }

    /// After a time in which handsets could not be served: open dials get time before they expire. Where serves may be unknown, every one
    /// of them counts as served at this instant. Gives how many got more time.
    pub(in crate::engine) async fn grant_grace(&self, serves_unknown: bool, now: DateTime<Utc>) -> Result<u64, EngineError> {
        self.write_serves(now).await?;
        let mut extended = 0;
        let mut tx = self.store.begin().await?;
        let mut open = tx.db().open_dials_on_handsets().await?;
        // In one order, or two nodes that do this at once could wait for each other.
        open.sort_by(|a, b| a.mid.cmp(&b.mid));
        for dial in open {
            let grace = delta(self.config.handsets.grace());
            // Without it, it ends as *no report*: nobody is rung in the morning for the night.
            let Some(deadline) = ringing::graced(dial.deadline, dial.length(), grace, now) else { continue };
            let served = dial.served();
            let serves = if serves_unknown { served.and(now) } else { served };
            if deadline > dial.deadline || serves != served {
                let ring = ring_of(&mut tx.db(), dial.handset_id).await?;
                let line = ringing::Line { serves, ..dial.line(ring) };
                tx.db().set_serves(&dial.mid, serves, deadline, ringing::quiet(&line, now).numbers, true).await?;
                extended += u64::from(deadline > dial.deadline);
            }
        }
        tx.commit().await?;
        Ok(extended)
    }
}

/// The longest that a call of a handset rings; nothing rings in a dry run.
pub(in crate::engine) async fn ring_of(db: &mut Db<'_>, handset: Option<HandsetId>) -> Result<TimeDelta, EngineError> {
    let handset = match handset {
        Some(id) => db.handset(id).await?,
        None => None,
    };
    Ok(handset.map_or(TimeDelta::zero(), |handset| seconds(handset.ring_seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn what_is_remembered_counts_until_it_is_written() {
        let stored = Serves::first(at(0)).and(at(10));
        assert_eq!(with(stored, &[Unwritten::Uncounted(at(25))]), Serves { last: at(25), before: Some(at(10)) });
        assert_eq!(with(stored, &[Unwritten::Late(at(10), at(14))]), Serves { last: at(14), before: Some(at(0)) });
        assert_eq!(with(stored, &[Unwritten::Late(at(0), at(4))]), Serves { last: at(10), before: Some(at(4)) });
        assert_eq!(with(stored, &[Unwritten::Late(at(5), at(6))]), stored);
    }

    #[test]
    fn a_report_is_waited_for_until_it_is_stored() {
        let memory = ServeMemory::default();
        memory.heard("m");
        assert!(memory.is_heard("m") && !memory.is_heard("n"));
        memory.stored("m");
        assert!(!memory.is_heard("m"));
    }
}
