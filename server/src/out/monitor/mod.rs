//! This installation watches another one: every minute a test goes to it that goes all the way of an alarm ([`round`]). What follows from
//! its outcome is with the engine (`engine/monitor.rs`).

pub mod round;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::Instant;

use crate::config::Watched;
use crate::engine::{Engine, EngineError};
use crate::monitor::Outcome;
use round::Limits;

/// It is looked so often whether a test is due.
const LOOK: Duration = Duration::from_secs(1);
/// And so often whether another node still watches, where this one does not.
const LOOK_ELSEWHERE: Duration = Duration::from_mins(10);
/// No node watches any more where none has made a test for so long: they come every hour at the least.
const UNWATCHED_AFTER: TimeDelta = TimeDelta::hours(2);

/// Makes a test whenever one is due, on one node at a time, until dropped.
pub async fn run(engine: Arc<Engine>) {
    // Whoever moves the clock by hand makes the tests by hand.
    if !engine.clock.goes_on() {
        return;
    }
    let (mut watched, mut look_at) = (false, Instant::now());
    loop {
        if engine.config.monitor.url.is_some() {
            watched = true;
            if let Err(error) = once(&engine).await {
                tracing::warn!(%error, "what came of a test of the other installation could not be kept; trying again");
            }
        } else if watched || Instant::now() >= look_at {
            // Another node may watch that was told so by its own configuration.
            let silent = if watched { TimeDelta::zero() } else { UNWATCHED_AFTER };
            match engine.watches_no_more(silent).await {
                Ok(()) => (watched, look_at) = (false, Instant::now() + LOOK_ELSEWHERE),
                Err(error) => tracing::warn!(%error, "it could not be written down that nothing is watched any more"),
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Makes a test if one is due and no other node makes it; gives what came of it.
///
/// # Errors
/// When the database of this installation fails.
pub async fn once(engine: &Engine) -> Result<Option<Outcome>, EngineError> {
    let config = &engine.config.monitor;
    let Some(watched) = config.url.as_ref().and_then(Watched::of) else { return Ok(None) };
    let state = engine.tests_so_far().await?;
    let Some(turn) = engine.take_test_turn(&state).await? else { return Ok(None) };
    let limits = Limits { within: config.within, phones: config.phones.is_on() };
    let outcome = round::go(&watched, limits, |_, _| {}).await;
    if let Some(failure) = &outcome.failure {
        tracing::warn!(stage = failure.stage.as_str(), why = failure.why, "a test of {} failed", watched.host);
    }
    engine.tested(turn, &watched.host, &outcome).await?;
    Ok(Some(outcome))
}
