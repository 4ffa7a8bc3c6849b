//! Figures are counted some seconds after what they are about, beside everything else: no operation ever waits for one. What came before
//! anybody counted is put down to be counted too, the newest first.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::engine::{Engine, EngineError};
use crate::store::Db;
use crate::store::places::{NextInWalk, Walk};
use crate::store::reports::counting::COUNTED_AT_ONCE;

/// How far counting what came before has got.
const PLACE: &str = "figures";
/// So many portions of what is due are counted at once at most.
const PORTIONS: usize = 40;
/// So many portions of what came before are put down to be counted.
const EARLIER_PORTIONS: usize = 10;
/// Whoever reads a report waits so long at most until what is due is counted.
const REPORT_WAITS: Duration = Duration::from_secs(1);

/// How far that is.
#[derive(Debug, Serialize, Deserialize)]
struct Reached {
    /// The day on which counting began.
    day: NaiveDate,
    /// How far the walk has got.
    walk: Walk,
}

impl Engine {
    /// Counts what is due, and what came before. Safe on every node at once: only one counts at a time.
    ///
    /// # Errors
    /// When the database fails; the next call does what this one did not.
    pub async fn keep_figures(&self, now: DateTime<Utc>) -> Result<(), EngineError> {
        let _turn = self.counting.lock().await;
        self.count_due().await?;
        let walked = self.count_what_came_before(now).await;
        // What is put down is counted, even where there was no getting on.
        self.count_due().await?;
        walked
    }

    /// Counts what is due, portion by portion; others get at the database between two of them.
    async fn count_due(&self) -> Result<(), EngineError> {
        for _ in 0..PORTIONS {
            if !self.store.read().await?.db().is_any_figure_due().await? {
                break;
            }
            let mut tx = self.store.begin().await?;
            let done = tx.db().count_due().await?;
            tx.commit().await?;
            for (what, why) in &done.aside {
                tracing::error!(what, why, "this cannot be counted: it is left out of reports until it changes");
            }
            if done.rows < COUNTED_AT_ONCE {
                break;
            }
        }
        Ok(())
    }

    /// Before a report: what is due is counted, unless that takes longer than anybody would wait, or fails. The report says so then.
    pub(super) async fn catch_up_for_report(&self) {
        let counting = async {
            let _turn = self.counting.lock().await;
            self.count_due().await
        };
        match tokio::time::timeout(REPORT_WAITS, counting).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(error)) => tracing::warn!(%error, "what is due could not be counted before a report"),
        }
    }

    async fn count_what_came_before(&self, now: DateTime<Utc>) -> Result<(), EngineError> {
        for _ in 0..EARLIER_PORTIONS {
            if now.timestamp_millis() < self.figures_rest_until.load(Ordering::Acquire) {
                return Ok(());
            }
            // Found before anything is written: nobody waits while old alarms are read.
            let mut reader = self.store.read().await?;
            let mut db = reader.db();
            let noted = db.place(PLACE).await?.map(|(text, _)| text);
            let reached = match noted.as_deref().and_then(read) {
                Some(reached) => reached,
                None => Reached { day: db.day_of_reports(now).await?, walk: Walk::begin(now) },
            };
            let span = match reached.walk.next(now) {
                NextInWalk::Span(from, below) => (from, below),
                NextInWalk::RestUntil(at) => {
                    self.figures_rest_until.store(at.timestamp_millis(), Ordering::Release);
                    return Ok(());
                }
                NextInWalk::Over => {
                    self.figures_rest_until.store(i64::MAX, Ordering::Release);
                    return Ok(());
                }
            };
            let earlier = db.earlier_to_count(span).await?;
            drop(reader);
            let mut tx = self.store.begin().await?;
            tx.db().lock_figures().await?;
            if tx.db().place(PLACE).await?.map(|(text, _)| text) != noted {
                // Another node has put them down.
                continue;
            }
            let reached = Reached { walk: reached.walk.went(earlier.as_ref().map(|earlier| earlier.lowest)), ..reached };
            if let Some(earlier) = earlier {
                tx.db().count_earlier(earlier);
            }
            tx.db().note_place(PLACE, &serde_json::json!(reached).to_string(), now).await?;
            tx.commit().await?;
            self.count_due().await?;
        }
        Ok(())
    }

    /// From which day on figures are known, and whether some are still being counted.
    pub(super) async fn known_figures(&self, db: &mut Db<'_>) -> Result<(Option<NaiveDate>, bool), EngineError> {
        // A place that cannot be read is begun anew, which counts nothing twice.
        let reached = db.place(PLACE).await?.and_then(|(text, _)| read(&text));
        let complete = reached.as_ref().is_some_and(|reached| reached.walk.has_seen_all());
        let counting = !complete || db.is_any_figure_due().await?;
        let first = db.first_day_of_figures().await?;
        Ok((first.into_iter().chain(reached.map(|reached| reached.day)).min(), counting))
    }
}

fn read(place: &str) -> Option<Reached> {
    serde_json::from_str(place).ok()
}
