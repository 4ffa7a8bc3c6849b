//! Sums are kept: what was counted is added to them, and what came before anybody counted is counted in the background, the newest first.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::engine::{Engine, EngineError};
use crate::store::Db;

/// How far counting what came before has got.
const PLACE: &str = "figures";
/// So much time at most is spent on it at once.
const AT_ONCE: Duration = Duration::from_millis(200);
/// So many portions of changes are added at once at most.
const PORTIONS: usize = 10;

/// How far that is.
#[derive(Debug, Serialize, Deserialize)]
struct Reached {
    /// The day on which counting began.
    began: NaiveDate,
    /// Alarms below this number are still to be counted; `None`: all are.
    below: Option<i64>,
}

impl Engine {
    /// Adds to the sums what was counted since, and counts what came before. Safe on every node at once: the sums have a lock, and what is
    /// counted twice counts once.
    ///
    /// # Errors
    /// When the database fails; the next call does what this one did not.
    pub async fn keep_figures(&self, now: DateTime<Utc>) -> Result<(), EngineError> {
        if !self.figures_complete.load(Ordering::Acquire) {
            self.count_what_came_before(now).await?;
        }
        if !self.store.read().await?.db().has_figures_to_add().await? {
            return Ok(());
        }
        for _ in 0..PORTIONS {
            let mut tx = self.store.begin().await?;
            let more = tx.db().add_figures().await?;
            tx.commit().await?;
            if !more {
                break;
            }
        }
        Ok(())
    }

    async fn count_what_came_before(&self, now: DateTime<Utc>) -> Result<(), EngineError> {
        let began = tokio::time::Instant::now();
        while began.elapsed() < AT_ONCE {
            let mut tx = self.store.begin().await?;
            let mut reached = match reached(&mut tx.db()).await? {
                Some(reached) => reached,
                None => Reached { began: tx.db().day_of_reports(now).await?, below: Some(i64::MAX) },
            };
            let Some(below) = reached.below else {
                self.figures_complete.store(true, Ordering::Release);
                return Ok(());
            };
            reached.below = tx.db().count_older(below).await?;
            tx.db().note_place(PLACE, &serde_json::json!(reached).to_string(), now).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// From which day on figures are known, and whether older alarms are still being counted.
    pub(super) async fn known_figures(&self, db: &mut Db<'_>) -> Result<(Option<NaiveDate>, bool), EngineError> {
        let reached = reached(db).await?;
        let counting = reached.as_ref().is_none_or(|reached| reached.below.is_some());
        let began = reached.map(|reached| reached.began);
        let first = db.first_day_of_figures().await?;
        Ok((first.into_iter().chain(began).min(), counting))
    }
}

/// How far it has got; what cannot be read is begun anew, which counts nothing twice.
async fn reached(db: &mut Db<'_>) -> Result<Option<Reached>, EngineError> {
    let place = db.place(PLACE).await?;
    Ok(place.and_then(|(text, _)| serde_json::from_str(&text).ok()))
}
