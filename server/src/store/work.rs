//! A unit of work: one transaction, the moment that it is of, who acts in it, and what is told and counted once it is committed.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::OwnedSemaphorePermit;

use super::audit::whence;
use super::dialect::Dialect;
use super::together::{Haste, Member};
use super::{Announcement, Db, Result, Store, StoreError, Tx};
use crate::alarm::call_record::CallResult;
use crate::alarm::doer::Doer;
use crate::alarm::{AlarmKind, DialOutcome, EndReason, HuntOutcome};
use crate::audit::Line;

/// What a unit of work did, as far as it is counted.
#[derive(Debug, Default)]
pub struct Tally {
    /// How hunts of alarms ended.
    pub hunts: Vec<(HuntOutcome, Option<EndReason>)>,
    /// How dials were closed.
    pub dials: Vec<DialOutcome>,
    /// Calls of which the first report came, and how they ended by it.
    pub calls: Vec<(AlarmKind, CallResult)>,
    /// The queues that have had their turn.
    pub turns: BTreeSet<String>,
    /// Seconds from the beginning of a hunt of alarms to its answer.
    pub answered_after: Vec<f64>,
}

impl Tally {
    /// A hunt has ended; of those of alarms it is counted how.
    pub fn hunt_ended(&mut self, kind: AlarmKind, outcome: HuntOutcome, reason: Option<EndReason>) {
        if kind.is_alarm() {
            self.hunts.push((outcome, reason));
        }
    }

    /// A hunt was answered after so many seconds; the same holds.
    pub fn hunt_answered_after(&mut self, kind: AlarmKind, seconds: f64) {
        if kind.is_alarm() {
            self.answered_after.push(seconds);
        }
    }
}

/// Who counts what was done.
pub trait Counts: Send + Sync {
    /// Counts what was committed.
    fn count(&self, tally: &Tally);
}

/// A transaction with all that belongs to it. Dropped without [`Work::commit`] it is rolled back: nobody hears of it, and nothing counts.
pub struct Work {
    within: Within,
    now: DateTime<Utc>,
    by: Doer,
    /// From where whoever acts asks.
    address: Option<IpAddr>,
    /// What of it stands in the audit log, and is not written yet.
    lines: Vec<Line>,
    counted_by: Option<Arc<dyn Counts>>,
    /// What it did so far.
    pub tally: Tally,
}

/// Whose transaction it is.
enum Within {
    /// Its own, with its place among the alarms, where there are so many at once.
    Own(Tx, Option<OwnedSemaphorePermit>),
    /// One that it shares with others that came at the same time.
    Shared(Member),
}

impl Within {
    fn tx(&mut self) -> &mut Tx {
        match self {
            Self::Own(tx, _) => tx,
            Self::Shared(member) => member.tx(),
        }
    }
}

impl Work {
    fn of(within: Within, now: DateTime<Utc>, by: Doer, counted_by: Option<Arc<dyn Counts>>) -> Self {
        Self { within, now, by, address: whence::address(), lines: Vec::new(), counted_by, tally: Tally::default() }
    }

    /// The operations.
    pub fn db(&mut self) -> Db<'_> {
        self.within.tx().db()
    }

    /// The moment that it is of.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// It is of this later moment: for whoever had to wait for their turn, and sees what others did meanwhile.
    pub fn is_of(&mut self, now: DateTime<Utc>) {
        self.now = now;
    }

    /// Who acts.
    #[must_use]
    pub fn by(&self) -> &Doer {
        &self.by
    }

    /// Remembers something to tell everybody once it is committed.
    pub fn announce(&mut self, announcement: Announcement) {
        self.within.tx().announce(announcement);
    }

    /// Remembers a line for the audit log: it is committed with what it tells of, or not at all.
    pub fn note(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// Writes down what was noted so far.
    async fn write_lines(&mut self) -> Result<()> {
        let lines = std::mem::take(&mut self.lines);
        self.within.tx().db().insert_audit(self.now, &self.by, self.address, lines).await
    }

    /// Makes the changes permanent that were made so far, and goes on at the same moment: for what is done in portions.
    ///
    /// # Errors
    /// As [`Work::commit`].
    pub async fn go_on(&mut self) -> Result<()> {
        self.go_on_after(Duration::ZERO).await
    }

    /// The same, with a pause in which this holds nothing: others get at the embedded database.
    ///
    /// # Errors
    /// As [`Work::commit`].
    pub async fn go_on_after(&mut self, pause: Duration) -> Result<()> {
        self.write_lines().await?;
        match &mut self.within {
            Within::Own(tx, _) => tx.go_on_after(pause).await,
            Within::Shared(_) => Err(StoreError::Inconsistent("what is done in portions shares no transaction".to_owned())),
        }
    }

    /// Makes the changes permanent, then tells and counts them.
    ///
    /// # Errors
    /// When the database cannot commit; nothing was changed then, unless the connection broke at the commit itself.
    pub async fn commit(mut self) -> Result<()> {
        self.write_lines().await?;
        match self.within {
            Within::Own(tx, _place) => tx.commit().await?,
            Within::Shared(member) => member.commit().await?,
        }
        if let Some(counts) = self.counted_by {
            counts.count(&self.tally);
        }
        Ok(())
    }
}

impl Store {
    /// Does one thing at this moment as a unit of work, and commits it unless it is refused.
    ///
    /// # Errors
    /// Why it is refused, or when the database fails.
    pub async fn carry_out<T, E: From<StoreError>>(
        &self,
        now: DateTime<Utc>,
        by: Doer,
        act: impl AsyncFnOnce(&mut Work) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let mut work = self.work(now, by, None).await?;
        let done = act(&mut work).await?;
        work.commit().await?;
        Ok(done)
    }

    /// Begins a unit of work at this moment. Whoever begins it says who acts, and who counts what is done.
    ///
    /// # Errors
    /// When no connection can be had.
    pub async fn work(&self, now: DateTime<Utc>, by: Doer, counted_by: Option<Arc<dyn Counts>>) -> Result<Work> {
        Ok(Work::of(Within::Own(self.begin().await?, None), now, by, counted_by))
    }

    /// The same for what comes in storms, such as alarms: on the embedded database it shares the transaction, and so the commit, of others
    /// that wait for the writer as well; on Postgres alarms leave connections to phones. Nothing else changes: it sees all that was before
    /// it, and either all of it is stored or nothing.
    ///
    /// # Errors
    /// When no connection can be had.
    pub async fn work_together(
        &self,
        now: DateTime<Utc>,
        by: Doer,
        counted_by: Option<Arc<dyn Counts>>,
        haste: Haste,
    ) -> Result<Work> {
        let within = match self.dialect() {
            Dialect::Sqlite => Within::Shared(self.queue.join(haste, || self.begin()).await?),
            Dialect::Postgres => {
                let place = self.queue.place(haste).await?;
                Within::Own(self.begin().await?, place)
            }
        };
        Ok(Work::of(within, now, by, counted_by))
    }
}
