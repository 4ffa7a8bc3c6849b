//! Words by which alarms are found are written beside what happens to alarms, a second later and a few alarms at a time: nobody who raises
//! one waits for them.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::engine::{Engine, EngineError};
use crate::store::places::NextInWalk;

/// At most so many transactions in one tick for what has changed.
const PORTIONS_PER_TICK: usize = 20;
/// And for what was there before words were kept: nobody waits for that.
const EARLIER_PER_TICK: usize = 4;
/// The tick has more to do: it goes on with this a second later.
const AT_MOST: Duration = Duration::from_millis(200);

impl Engine {
    /// Looks at the words of alarms of which that is due; when none is left, at those that were there before words were kept.
    /// `is_due`: some may be due.
    pub(super) async fn keep_sought(&self, is_due: bool, now: DateTime<Utc>) -> Result<(), EngineError> {
        let began = Instant::now();
        if !is_due {
            return self.catch_up_sought(now, began).await;
        }
        let mut left = PORTIONS_PER_TICK;
        while left > 0 && began.elapsed() < AT_MOST && self.store.read().await?.db().is_any_sought_due().await? {
            let mut tx = self.store.begin().await?;
            tx.db().keep_due_sought(now).await?;
            tx.commit().await?;
            left -= 1;
        }
        if left > 0 && began.elapsed() < AT_MOST { self.catch_up_sought(now, began).await } else { Ok(()) }
    }

    async fn catch_up_sought(&self, now: DateTime<Utc>, began: Instant) -> Result<(), EngineError> {
        if now.timestamp_millis() < self.sought_rests_until.load(Ordering::Relaxed) {
            return Ok(());
        }
        for _ in 0..EARLIER_PER_TICK {
            let mut tx = self.store.begin().await?;
            let next = tx.db().keep_earlier_sought(now).await?;
            tx.commit().await?;
            let until = match next {
                NextInWalk::Span(..) if began.elapsed() < AT_MOST => continue,
                NextInWalk::Span(..) => return Ok(()),
                NextInWalk::RestUntil(at) => at.timestamp_millis(),
                NextInWalk::Over => i64::MAX,
            };
            self.sought_rests_until.store(until, Ordering::Relaxed);
            break;
        }
        Ok(())
    }
}
