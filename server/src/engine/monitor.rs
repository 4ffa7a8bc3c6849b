//! A second installation watches the first. Here is what this one lets a monitor test of it; and where this one watches another, whose turn
//! it is to make a test, and the alarm when tests fail. The tests themselves go out in `out/monitor/`.

use chrono::{DateTime, TimeDelta, Utc};

use super::watch::health::Wrong;
use super::watch::outages;
use super::{Engine, EngineError, NamedBy, RaiseRequest, Raised, RaisedAs, delta};
use crate::alarm::doer::Doer;
use crate::alarm::{AlarmKind, Priority};
use crate::monitor::{self, Failure, Follows, Outcome};
use crate::rights::MONITOR;
use crate::store::watch::monitored::Monitored;
use crate::telemetry::MonitorTest;

/// There is one of them at a time.
const WATCHED: &str = "watched installation";
/// Whoever makes a test is believed to be at it for so much longer than it may take.
const BEYOND_A_TEST: TimeDelta = TimeDelta::seconds(30);

/// Whether somebody could be rung right now, as far as can be told without ringing anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ability {
    /// What keeps this node from its work.
    pub wrong: Vec<Wrong>,
    /// So many phones should be there.
    pub handsets: usize,
    /// So many of them could ring somebody.
    pub usable: usize,
    /// For so long an alarm has wanted a phone.
    pub oldest_due: TimeDelta,
}

impl Engine {
    /// Whether somebody could be rung right now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ability(&self) -> Result<Ability, EngineError> {
        let wrong = self.what_is_wrong().await;
        if wrong.iter().any(|wrong| wrong.is_of_database()) {
            return Ok(Ability { wrong, handsets: 0, usable: 0, oldest_due: TimeDelta::zero() });
        }
        let now = self.clock.now();
        let mut reader = self.store.read().await?;
        let mut handsets = reader.db().handsets().await?;
        let due = reader.db().earliest_due().await?;
        drop(reader);
        self.presence.complete(&mut handsets);
        let (expected, usable) = outages::usable(&handsets, &self.config.handsets, now);
        let due = due.into_iter().filter(|hunt| hunt.kind == AlarmKind::Alarm).map(|hunt| now - hunt.due_at);
        let oldest_due = due.max().unwrap_or_default().max(TimeDelta::zero());
        Ok(Ability { wrong, handsets: expected, usable, oldest_due })
    }

    /// Takes a test of a monitor, which goes the way of an alarm to whoever stands in for a phone there; `None` when there is no such monitor.
    ///
    /// # Errors
    /// As for any alarm.
    pub async fn raise_test(&self, monitor: &str, request: RaiseRequest) -> Result<Option<Raised>, EngineError> {
        let Some(seat) = self.store.read().await?.db().monitor_by_name(monitor).await? else { return Ok(None) };
        let raised = self.raise(&RaiseRequest { only_handset: Some(seat.id), ..request }).await?;
        if raised.raised_as == RaisedAs::Created {
            let forgotten = async {
                let mut tx = self.store.begin().await?;
                if let Some(before) = seat.test_alarm_id {
                    tx.db().forget_test(before, self.clock.now()).await?;
                }
                tx.db().set_test_call(seat.id, raised.alarm.id).await?;
                tx.commit().await
            };
            // The test is there all the same, and retention takes what is left.
            if let Err(error) = forgotten.await {
                tracing::warn!(%error, "the last test of a monitor could not be forgotten");
            }
        }
        Ok(Some(raised))
    }

    /// What came of the tests of the installation that this one watches.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tests_so_far(&self) -> Result<Monitored, EngineError> {
        let state = self.store.read().await?.db().monitored().await?;
        self.show_monitored(&state, self.clock.now());
        Ok(state)
    }

    /// Takes the turn to make a test, if one is due and no other node has it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_test_turn(&self, state: &Monitored) -> Result<Option<i64>, EngineError> {
        let (now, config) = (self.clock.now(), &self.config.monitor);
        let busy = state.taken_until.is_some_and(|until| until > now);
        if busy || !monitor::is_due(state.tried_at, config.every, now) {
            return Ok(None);
        }
        let mut tx = self.store.begin().await?;
        let until = now + delta(config.within) + BEYOND_A_TEST;
        let taken = tx.db().take_monitor_turn(state.turn, until, now).await?;
        tx.commit().await?;
        Ok(taken.then_some(state.turn + 1))
    }

    /// Keeps what came of the test of a turn, and does what follows. `watched`: what the other installation is called.
    ///
    /// # Errors
    /// When the database fails; the next test does what this one did not.
    pub async fn tested(&self, turn: i64, watched: &str, outcome: &Outcome) -> Result<(), EngineError> {
        let now = self.clock.now();
        let state = self.store.read().await?.db().monitored().await?;
        if state.turn != turn {
            return Ok(());
        }
        self.metrics.monitor_tests.inc(if outcome.failure.is_some() { MonitorTest::Failed } else { MonitorTest::Good });
        let (standing, follows) = state.standing().after(outcome.failure.is_some(), self.config.monitor.failures, now);
        if follows == Follows::End {
            // First, so that a crash in between does it again.
            self.resolve_with_key(MONITOR, WATCHED, &Doer::Server).await?;
        }
        let mut tx = self.store.begin().await?;
        let kept = tx.db().monitor_turn_over(turn, outcome, &standing, now).await?;
        tx.commit().await?;
        if let (true, Follows::Raise, Some(failure), Some(since)) = (kept, follows, &outcome.failure, standing.failing_since) {
            self.tell_that_tests_fail(watched, failure, since).await?;
        }
        self.tests_so_far().await.map(|_| ())
    }

    /// Nothing is watched any more, unless somebody has made a test within so long: an alarm about it is over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn watches_no_more(&self, silent: TimeDelta) -> Result<(), EngineError> {
        let (state, now) = (self.store.read().await?.db().monitored().await?, self.clock.now());
        if state == Monitored::default() || state.tried_at.is_some_and(|tried| now - tried < silent) {
            return Ok(());
        }
        self.resolve_with_key(MONITOR, WATCHED, &Doer::Server).await?;
        let mut tx = self.store.begin().await?;
        tx.db().forget_monitored().await?;
        tx.commit().await?;
        self.show_monitored(&Monitored::default(), now);
        Ok(())
    }

    fn show_monitored(&self, state: &Monitored, now: DateTime<Utc>) {
        self.metrics.monitor_failures.set(state.failures.into());
        self.metrics.monitor_good_age_seconds.set(state.good_at.map_or(-1, |at| (now - at).num_seconds().max(0)));
        self.metrics.monitor_test_milliseconds.set(state.took_ms.unwrap_or(-1));
    }

    /// Raised first and noted after it, so that a crash between the two loses nothing; once, by its key.
    async fn tell_that_tests_fail(&self, watched: &str, failure: &Failure, since: DateTime<Utc>) -> Result<(), EngineError> {
        let sentence = failure.sentence(watched);
        tracing::error!(stage = failure.stage.as_str(), watched, "{sentence}");
        let mut alarm = RaiseRequest {
            integration_id: MONITOR.to_owned(),
            source: MONITOR.to_owned(),
            dedup_key: Some(WATCHED.to_owned()),
            summary: sentence,
            details: format!(
                "Failing since {}. Whoever is on duty there may not be rung for what burns now: look at {watched}, and at what its \
                 autocall doctor says. This alarm ends by itself once a test comes to its end.",
                since.format("%F %T UTC")
            ),
            labels: [("watched", watched), ("stage", failure.stage.as_str())]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            priority: Priority::Critical,
            begin_window_s: self.begin_window_s(),
            policy: self.config.monitor.policy.clone(),
            callees: self.own_callees(&[]),
            named_by: NamedBy::Fallback,
            idempotency: Some((since.timestamp_micros().to_string(), Vec::new())),
            ..RaiseRequest::default()
        };
        loop {
            match self.raise(&alarm).await {
                Err(EngineError::NoSuchPolicy(name)) => {
                    tracing::error!(policy = name, "there is no such policy (monitor.policy): the alarm goes by the rules");
                    alarm.policy = None;
                }
                // It is an alarm all the same, which ends as: nobody to ring.
                Err(EngineError::NobodyNamed) if !alarm.ring_nobody => alarm.ring_nobody = true,
                raised => {
                    raised?;
                    break;
                }
            }
        }
        let mut tx = self.store.begin().await?;
        tx.db().monitor_told(since, self.clock.now()).await?;
        Ok(tx.commit().await?)
    }
}
