//! Calendars that are kept elsewhere are read again and again, and their schedules follow.
//!
//! The database says who asks: whoever takes a calendar's turn, on whichever node, and what was made of an earlier turn is thrown away. A
//! calendar that does not answer delays no other one. Whatever goes wrong, the last good shifts stay.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use reqwest::Client;
use tokio::task::JoinSet;

use super::ask;
use super::ways::next_tick;
use crate::config::Config;
use crate::costly::CostlyError;
use crate::engine::Engine;
use crate::ids::ScheduleId;
use crate::keep::people_import::ImportError;
use crate::keep::roster::import::Imported;
use crate::keep::roster::source::{self, Followed, SourceForm};
use crate::keep::roster::{RosterError, find_schedule};
use crate::kinds::calendar::{Answer, Failure, LastRead, Limits};
use crate::kinds::guard::GuardedResolver;
use crate::roster::source::{FAILURES_TO_TELL, Trouble, Unreached, pause, told_at};
use crate::store::duty::sources::{SourceRow, Standing};
use crate::store::{Store, StoreError};
use crate::telemetry::CalendarRead;

/// A calendar that was taken is free for another node after this: longer than to ask for it and to read it can take.
const TAKEN_FOR: TimeDelta = TimeDelta::minutes(2);
/// Most calendars that are asked at a time.
const MOST_AT_ONCE: usize = 8;
/// Longer than every time limit of the database together.
const LOOK_WITHIN: Duration = Duration::from_secs(10);
/// One calendar is given up after so long, before another node may take it: a connection that went dead must not keep it for ever.
const REFRESH_WITHIN: Duration = Duration::from_secs(90);
/// When something came between that is over in a moment.
const SOON: TimeDelta = TimeDelta::seconds(10);

/// How calendars are asked.
#[derive(Clone)]
pub struct Asking {
    client: Client,
    guard: GuardedResolver,
    limits: Limits,
}

impl Asking {
    /// As the configuration says.
    ///
    /// # Errors
    /// When the system's certificates cannot be read.
    pub fn new(config: &Config) -> Result<Self, reqwest::Error> {
        let guard = GuardedResolver::for_calendars(&config.roster.allow_networks);
        let limits = Limits { within: ask::WITHIN, bytes: config.http.body_limit_bytes };
        Ok(Self { client: ask::client(&guard)?, guard, limits })
    }

    /// With another time limit.
    #[must_use]
    pub fn within(self, within: Duration) -> Self {
        Self { limits: Limits { within, ..self.limits }, ..self }
    }

    async fn ask(&self, source: &SourceRow, known: LastRead<'_>, now: DateTime<Utc>) -> Result<Answer, Failure> {
        ask::ask(&self.client, &self.guard, &source.address, known, self.limits, now).await
    }
}

/// Why it could not be said what a calendar would do.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// It cannot be read.
    #[error("the calendar cannot be read: {0}")]
    Trouble(Trouble),
    /// There is no such schedule, a field is wrong, the file is refused, or the database failed.
    #[error(transparent)]
    Roster(#[from] RosterError),
}

/// Reads calendars when they are due, until dropped.
pub async fn run(engine: Arc<Engine>, asking: Asking) {
    let under_way: Arc<Mutex<HashSet<ScheduleId>>> = Arc::default();
    let mut reading = JoinSet::new();
    let mut ticks = engine.under_way.subscribe();
    let mut were_any = true;
    loop {
        let are_any = next_tick(&mut ticks).await.is_none_or(|there| there.calendars);
        while reading.try_join_next().is_some() {}
        // Once more after the last of them was removed: nothing is wrong with any then.
        if !std::mem::replace(&mut were_any, are_any) && !are_any {
            continue;
        }
        // Bounded, so that one connection that went dead without a word cannot stop everything.
        let due = match tokio::time::timeout(LOOK_WITHIN, look(&engine)).await {
            Ok(Ok(due)) => due,
            Ok(Err(error)) => {
                tracing::debug!(%error, "it could not be read which calendars are due; trying again");
                continue;
            }
            Err(_) => {
                tracing::warn!("it could not be read which calendars are due; trying again");
                continue;
            }
        };
        for schedule in due {
            if reading.len() >= MOST_AT_ONCE {
                break;
            }
            if !under_way.lock().unwrap_or_else(PoisonError::into_inner).insert(schedule) {
                continue;
            }
            let done = Done { schedule, under_way: Arc::clone(&under_way) };
            let (engine, asking) = (Arc::clone(&engine), asking.clone());
            reading.spawn(async move {
                let _done = done;
                match tokio::time::timeout(REFRESH_WITHIN, refresh(&engine, &asking, schedule)).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "a calendar could not be followed; trying again in two minutes"),
                    Err(_) => tracing::warn!("a calendar took too long to follow; trying again in two minutes"),
                }
            });
        }
    }
}

/// Says that nobody on this node is at a calendar any more, however that ended.
struct Done {
    schedule: ScheduleId,
    under_way: Arc<Mutex<HashSet<ScheduleId>>>,
}

impl Drop for Done {
    fn drop(&mut self) {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.schedule);
    }
}

/// Which calendars are due; the gauges show how all of them stand.
async fn look(engine: &Engine) -> Result<Vec<ScheduleId>, StoreError> {
    let now = engine.clock.now();
    let all = engine.store.read().await?.db().sources_standing(now).await?;
    let wrong = all.iter().filter(|own| own.wrong_since.is_some()).count();
    let oldest = all.iter().map(|own| (now - own.good_at).num_seconds()).max().unwrap_or(0);
    engine.metrics.calendars_wrong.set(i64::try_from(wrong).unwrap_or(i64::MAX));
    engine.metrics.calendars_oldest_seconds.set(oldest);
    for own in all.iter().filter(|own| tells_meanwhile(own, now)) {
        // One that cannot be told of now is told of at the next look, and keeps no calendar from being read.
        if let Err(error) = source::tell_meanwhile(&engine.store, own.schedule_id, now).await {
            tracing::warn!(%error, "it could not be told that a calendar cannot be read; trying again");
        }
    }
    Ok(all.into_iter().filter(|own| own.is_due).map(|own| own.schedule_id).collect())
}

/// Whether people are to hear of its trouble while its server wants to be left alone.
fn tells_meanwhile(own: &Standing, now: DateTime<Utc>) -> bool {
    !own.told
        && own.wrong_since.is_some()
        && own.asked_at.and_then(|asked| told_at(own.failures, asked, own.due_at)).is_some_and(|at| at <= now)
}

/// Reads everything that is due once, all at the same time; gives how many calendars were asked.
///
/// # Errors
/// When the database fails.
pub async fn refresh_due(engine: &Engine, asking: &Asking) -> Result<usize, RosterError> {
    let due = look(engine).await?;
    let asked = join_all(due.into_iter().map(|schedule| refresh(engine, asking, schedule))).await;
    asked.into_iter().try_fold(0, |asked, one| Ok(asked + usize::from(one?)))
}

/// Reads one calendar, if it is due and nobody else does; true when it was asked.
async fn refresh(engine: &Engine, asking: &Asking, schedule: ScheduleId) -> Result<bool, RosterError> {
    let now = engine.clock.now();
    let mut tx = engine.store.begin().await?;
    let taken = tx.db().take_source(schedule, now, now + TAKEN_FOR).await?;
    tx.commit().await?;
    let Some(source) = taken else { return Ok(false) };
    let roster = engine.store.read().await?.db().roster().await?;
    let Some(own) = roster.schedule(schedule) else { return Ok(false) };
    let (name, rests_on) = (own.name.clone(), source::rests_on(&roster, own, &source.layer, engine.region(), now));
    drop(roster);
    // Only while nothing else has changed does "the same as before" mean that there is nothing to do.
    let known = match source.rests_on.as_ref() == Some(&rests_on) {
        true => LastRead { etag: source.etag.as_deref(), last_modified: source.last_modified.as_deref() },
        false => LastRead::default(),
    };
    let answered = asking.ask(&source, known, now).await;
    let now = engine.clock.now();
    let good_until = now + pause(source.every_minutes, 0, None);
    let store = &engine.store;
    let outcome = match answered {
        Ok(Answer::Same) => {
            source::note_same(store, &source, &name, now, good_until).await?;
            CalendarRead::Same
        }
        Ok(Answer::Sent(sent)) => match source::follow(store, &source, sent, engine.region(), good_until, now).await {
            Ok(Followed::Changed(_)) => CalendarRead::Changed,
            Ok(Followed::Same) => CalendarRead::Same,
            Ok(Followed::TooLate) => return Ok(true),
            Err(error) => return refused(engine, &source, &name, error, now).await,
        },
        Err(Failure { trouble, patience }) => return wrong(engine, &source, &name, &trouble, patience, now).await,
    };
    engine.metrics.calendar_reads.inc(outcome);
    Ok(true)
}

/// A calendar that came, and of which nothing could be made.
async fn refused(
    engine: &Engine,
    source: &SourceRow,
    name: &str,
    error: RosterError,
    now: DateTime<Utc>,
) -> Result<bool, RosterError> {
    let trouble = match error {
        RosterError::Import(ImportError::Refused(lines)) => Trouble::unreadable(lines),
        RosterError::Costly(CostlyError::TooLong) => Trouble::TooCostly,
        // Nothing is wrong with the calendar: the server is busy, or somebody was faster.
        RosterError::Costly(CostlyError::Busy)
        | RosterError::Meanwhile
        | RosterError::NoPerson(_)
        | RosterError::Stale { .. } => {
            let mut tx = engine.store.begin().await?;
            tx.db().give_source_back(source, now + SOON).await?;
            tx.commit().await?;
            return Ok(true);
        }
        error => return Err(error),
    };
    wrong(engine, source, name, &trouble, None, now).await
}

async fn wrong(
    engine: &Engine,
    source: &SourceRow,
    name: &str,
    trouble: &Trouble,
    patience: Option<TimeDelta>,
    now: DateTime<Utc>,
) -> Result<bool, RosterError> {
    let failures = source.failures.saturating_add(1);
    let due_at = now + pause(source.every_minutes, failures, patience);
    let tells = failures >= FAILURES_TO_TELL && !source.told;
    source::note_trouble(&engine.store, source, name, trouble, tells, now, due_at).await?;
    engine.metrics.calendar_reads.inc(CalendarRead::Failed);
    Ok(true)
}

/// What a calendar would do to a schedule, without following it; and the row that would be made of the form.
///
/// # Errors
/// When it cannot be read, there is no such schedule, a field is wrong, or the database fails.
pub async fn rehearse(
    store: &Store,
    config: &Config,
    schedule: &str,
    form: &SourceForm,
    now: DateTime<Utc>,
) -> Result<(SourceRow, Imported), RehearsalError> {
    let asking = Asking::new(config).map_err(|error| {
        tracing::error!(%error, "no calendar can be asked for");
        RehearsalError::Trouble(Trouble::Unreachable(Unreached::Certificate))
    })?;
    let row = {
        let mut reader = store.read().await.map_err(RosterError::from)?;
        let roster = reader.db().roster().await.map_err(RosterError::from)?;
        let own = find_schedule(&roster, schedule)?;
        let before = reader.db().source_of(own.id).await.map_err(RosterError::from)?;
        form.row(&asking.guard, own, before.as_ref(), "", now)?
    };
    match asking.ask(&row, LastRead::default(), now).await {
        Ok(Answer::Sent(sent)) => {
            let done = source::rehearse(store, &row, sent, config.default_region, now).await?;
            Ok((row, done))
        }
        Ok(Answer::Same) => Err(RehearsalError::Trouble(Trouble::Status(304))),
        Err(failure) => Err(RehearsalError::Trouble(failure.trouble)),
    }
}
