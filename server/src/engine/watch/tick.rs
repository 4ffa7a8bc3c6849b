//! What happens without a request: deadlines pass, dry runs go on, hunts without a handset are given up.

use std::sync::atomic::Ordering;
use std::time::Duration;

use android_protocol::wire::CallOutcome;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use super::retention::{self, Lines};
use crate::alarm::doer::Doer;
use crate::alarm::event::Event;
use crate::alarm::hunt::{self, Decision, ListForm};
use crate::alarm::{DialOutcome, TargetOutcome, live_command, ringing};
use crate::engine::hunt::claim::record_hand_out;
use crate::engine::hunt::closing;
use crate::engine::hunt::hearing::REMEMBERED;
use crate::engine::hunt::ladder::{Busy, Next, open_dials};
use crate::engine::hunt::serves::ring_of;
use crate::engine::lines::forbidden::bar_forbidden;
use crate::engine::{Engine, EngineError, seconds};
use crate::keep::media::{self, Kept};
use crate::keep::personal::erasing;
use crate::store::Announcement;
use crate::store::alarm::dials::DialRow;
use crate::store::watch::under_way::UnderWay;

/// A tick that comes this much too late means that handsets could not be served meanwhile.
const LATE: Duration = Duration::from_secs(2);
/// A node that stood still for so long was not there for its phones: they give up after ten seconds.
const STOOD_STILL: Duration = Duration::from_secs(7);
/// Longer than every time limit of the database together.
const TICK_WITHIN: Duration = Duration::from_secs(10);
/// Idempotency keys are remembered this long.
const REMEMBER_KEYS: TimeDelta = TimeDelta::hours(24);
/// A phone that has not knocked for this long is forgotten.
const REMEMBER_KNOCKS: TimeDelta = TimeDelta::days(30);
/// Of which duties people were told is remembered for so long after these began.
const REMEMBER_DUTIES: TimeDelta = TimeDelta::days(2);
/// A request that somebody takes a shift is remembered for so long after its shifts have ended.
const REMEMBER_SWAPS: TimeDelta = TimeDelta::days(90);
/// Nothing is forgotten before a node has run for so long.
const SETTLED: Duration = Duration::from_mins(1);
/// Handsets are watched so often.
const WATCH_AGAIN: Duration = Duration::from_secs(5);
/// Figures are counted so often.
const COUNT_AGAIN: Duration = Duration::from_secs(5);
/// What is long over is forgotten so often.
const HOUSEKEEPING: Duration = Duration::from_hours(1);
/// Erasures go on for so long at a time.
const ERASES_FOR: Duration = Duration::from_secs(20);
/// Erasing goes on for so long under one lock, and so long later again.
const ERASES_ON: Duration = Duration::from_secs(50);
const ERASING_LOCK: Duration = Duration::from_mins(1);
const ERASE_AGAIN: Duration = Duration::from_secs(10);
const RETENTION_LOCK: Duration = Duration::from_mins(1);
/// At most this many dry runs are moved on in one tick.
const DRY_RUNS_PER_TICK: usize = 200;

/// What one tick did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tick {
    /// Dials whose deadline had passed.
    pub expired: usize,
    /// Hunts that were given up for want of a handset.
    pub given_up: usize,
    /// Hunts in which an answer lapsed, or a step or a snooze was over.
    pub woken: usize,
    /// Calls of shouts that ended for urgent alarms.
    pub gave_way: usize,
    /// Acknowledged alarms that ring again because they are not resolved.
    pub rung_again: usize,
    /// Dry-run dials that were written.
    pub dry_run: usize,
    /// Dials that got more time because handsets could not be served.
    pub extended: u64,
    /// Hand-overs of duty that were written down.
    pub hand_overs: usize,
}

impl Engine {
    /// Does everything that is due. Called about every second; safe to call on every node at once. On one node one tick waits for the
    /// other: whoever has called it finds all done that was due then.
    ///
    /// # Errors
    /// When the database fails; the next tick does what this one did not.
    pub fn tick(&self) -> BoxFuture<'_, Result<Tick, EngineError>> {
        Box::pin(self.do_what_is_due())
    }

    async fn do_what_is_due(&self) -> Result<Tick, EngineError> {
        let _turn = self.ticking.lock().await;
        self.prove_writing().await;
        let mut there = UnderWay::default();
        let done = match self.look_what_is_there().await {
            Ok(is_there) => {
                there = is_there;
                self.try_tick(there).await
            }
            Err(error) => Err(error),
        };
        if done.is_err() {
            self.note_database_away();
            self.metrics.store_errors.inc();
        } else {
            self.health.ticked();
            if self.clock.is_sure() {
                self.work_beside(there, self.clock.now()).await;
            }
        }
        done
    }

    /// Asks once what there is to do at all, for this and for whoever sends what is to be told.
    async fn look_what_is_there(&self) -> Result<UnderWay, EngineError> {
        let now = self.clock.now();
        let there = self.store.read().await?.db().under_way(now, live_command::too_old(now)).await?;
        self.under_way.send_replace(there);
        Ok(there)
    }

    /// What must never keep the dials from going on: whatever fails here is tried again in a second, and counts as no outage.
    async fn work_beside(&self, there: UnderWay, now: DateTime<Utc>) {
        let failed =
            |what: &'static str| move |error: EngineError| tracing::error!(%error, what, "periodic work failed; trying again");
        if there.alarms {
            let _ = self.review_held(now).await.map_err(failed("maintenance"));
            let _ = self.watch_heartbeats(now).await.map_err(failed("heartbeats"));
            let _ = self.end_what_is_not_spoken_of(now).await.map_err(failed("alarms that nobody speaks of"));
        }
        if there.lines {
            let _ = self.follow_duty(now).await.map_err(failed("public numbers"));
        }
        let _ = self.tell_shifts(now).await.map_err(failed("shifts that begin"));
        if there.gateways {
            let _ = self.watch_gateways(now).await.map_err(failed("gateways"));
        }
        if there.alarms {
            let _ = self.settle_all_rpc(now).await.map_err(failed("calls of programs"));
            let _ = self.forget_digits(now).await.map_err(failed("keys that were sent"));
        }
        let _ = self.keep_sought(there.alarms, now).await.map_err(failed("words by which alarms are found"));
        let _ = self.write_refusals(now).await.map_err(failed("refusals"));
    }

    /// Writes down what was refused since the last time.
    async fn write_refusals(&self, now: DateTime<Utc>) -> Result<(), EngineError> {
        let counts = self.refusals.take();
        if counts.is_empty() {
            return Ok(());
        }
        let written = async {
            let mut tx = self.store.begin().await?;
            for ((sender, reason), count) in &counts {
                tx.db().count_refusals(sender, reason, *count, now).await?;
            }
            tx.commit().await
        };
        match written.await {
            Ok(()) => Ok(()),
            Err(error) => {
                self.refusals.give_back(counts);
                Err(error.into())
            }
        }
    }

    async fn try_tick(&self, there: UnderWay) -> Result<Tick, EngineError> {
        let now = self.clock.now();
        let mut tick = Tick::default();
        if self.outage.swap(false, Ordering::AcqRel) {
            // Handsets could not be served: one that holds a result gets time to deliver it before its dial expires.
            let serves_unknown = self.serves_unknown.swap(false, Ordering::AcqRel);
            tick.extended = self.grant_grace(serves_unknown, now).await?;
            self.serving_again(now, serves_unknown);
        } else if self.has_unwritten_serves() {
            self.write_serves(now).await?;
        }
        if !there.alarms {
            self.metrics.nothing_waits(now);
            return Ok(tick);
        }
        if self.clock.is_sure() {
            tick.expired = self.expire_dials(now).await?;
            tick.given_up = self.give_up_stalled(now).await?;
            tick.woken = self.wake_hunts(now).await?;
            tick.gave_way = self.give_way(now).await?;
            tick.rung_again = self.ring_again(now).await?;
        }
        tick.dry_run = self.advance_dry_runs(now).await?;
        // Whatever is wrong with the roster must not look like an outage of the database: calls go on.
        tick.hand_overs = self.keep_duty_log(now, false).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the duty log could not be kept");
            0
        });
        self.measure_gauges().await?;
        Ok(tick)
    }

    /// Runs until dropped: a tick every second, and beside it, so that no call waits for that, what is long over is forgotten.
    pub async fn run(&self) {
        let backups = Box::pin(self.keep_backups_on());
        tokio::join!(self.tick_on(), self.watch_on(), self.keep_figures_on(), self.keep_house(), self.keep_erasing_on(), backups);
    }

    /// Beside the tick, which must not wait until ten thousand handsets are written down. Whoever moves the clock by hand looks themselves:
    /// after a move everybody seems silent who has not been let ask yet.
    async fn watch_on(&self) {
        if !self.clock.goes_on() {
            return;
        }
        loop {
            let watching = async {
                self.watch_handsets().await?;
                self.attend_outages().await
            };
            match tokio::time::timeout(TICK_WITHIN, watching).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "the handsets could not be watched; trying again in five seconds"),
                Err(_) => tracing::error!("watching the handsets took too long; trying again in five seconds"),
            }
            tokio::time::sleep(WATCH_AGAIN).await;
        }
    }

    /// Beside the tick: no call waits for a figure. Whoever moves the clock by hand has it done themselves.
    async fn keep_figures_on(&self) {
        if !self.clock.goes_on() {
            return;
        }
        loop {
            tokio::time::sleep(COUNT_AGAIN).await;
            let rests = self.clock.now().timestamp_millis() < self.figures_rest_until.load(Ordering::Acquire);
            if rests && !self.under_way.borrow().alarms {
                continue;
            }
            match tokio::time::timeout(TICK_WITHIN, self.keep_figures(self.clock.now())).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "figures could not be counted; trying again in five seconds"),
                Err(_) => tracing::error!("counting figures took too long; trying again in five seconds"),
            }
        }
    }

    /// Whoever is to be erased is forgotten to the end, whatever else is done meanwhile.
    async fn keep_erasing_on(&self) {
        if !self.clock.goes_on() {
            return;
        }
        loop {
            tokio::time::sleep(ERASE_AGAIN).await;
            // One node at a time, if that can be known; several would only do the same twice.
            if !self.locks.try_lock("erasing", ERASING_LOCK).await.may_proceed() {
                continue;
            }
            if let Err(error) = erasing::go_on(&self.store, self.clock.now(), ERASES_ON).await {
                tracing::warn!(%error, "somebody who is to be erased could not be forgotten any further; trying again");
            }
        }
    }

    async fn keep_house(&self) {
        // Whoever has just started has more urgent things to do.
        tokio::time::sleep(SETTLED).await;
        loop {
            if let Err(error) = self.forget_old().await {
                tracing::warn!(%error, "what is long over could not be forgotten; trying again in an hour");
            }
            if let Err(error) = self.store.take_stock().await {
                tracing::warn!(%error, "how the tables are filled could not be found out; trying again in an hour");
            }
            tokio::time::sleep(HOUSEKEEPING).await;
        }
    }

    async fn tick_on(&self) {
        const EVERY: Duration = Duration::from_secs(1);
        let mut seconds = 0_u32;
        let mut next = tokio::time::Instant::now();
        loop {
            tokio::time::sleep_until(next).await;
            let late = next.elapsed();
            // A clock that is only moved by hand did not go on meanwhile: nobody was silent.
            if late > LATE && self.clock.goes_on() {
                if late > STOOD_STILL {
                    self.note_database_away();
                } else {
                    self.note_outage();
                }
                self.idle.forget();
                self.metrics.tick_late.inc();
                tracing::warn!(late_ms = late.as_millis(), "this node stood still; open dials get more time");
            }
            // Bounded, so that one connection that went dead without a word cannot stop the periodic work for good.
            if tokio::time::timeout(TICK_WITHIN, self.every_second()).await.is_err() {
                self.note_database_away();
                self.metrics.store_errors.inc();
                tracing::error!("the periodic work took too long and is tried again");
            }
            if seconds.is_multiple_of(60) {
                match tokio::time::timeout(TICK_WITHIN, self.keep_duty_log(self.clock.now(), true)).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => tracing::error!(%error, "the duty log could not be kept; trying again in a minute"),
                    Err(_) => tracing::error!("keeping the duty log took too long; trying again in a minute"),
                }
            }
            seconds = seconds.wrapping_add(1);
            next = (next + EVERY).max(tokio::time::Instant::now());
        }
    }

    async fn every_second(&self) {
        self.measure_clock().await;
        if let Err(error) = self.tick().await {
            tracing::error!(%error, "the periodic work failed and is tried again in a second");
        }
    }

    /// Measures this node's clock against the database's, where there are several nodes.
    pub async fn measure_clock(&self) {
        let asked = std::time::Instant::now();
        match self.store.database_time().await {
            Ok(Some(theirs)) => {
                if !self.clock.measure(theirs, asked) {
                    tracing::warn!("the clock jumped against the database's; nothing expires until it is measured again");
                }
            }
            Ok(None) => self.follow_machine_clock().await,
            Err(error) => tracing::debug!(%error, "the database's clock could not be read"),
        }
        if self.clock.has_stepped() {
            // Handsets and heartbeats were not silent for as long as it looks now: they are listened to first.
            self.note_outage();
            self.idle.forget();
            tracing::warn!("the clock was set; open dials get more time, and whoever seems silent is listened to first");
        }
    }

    /// On the embedded database there is no other clock to measure against.
    async fn follow_machine_clock(&self) {
        let quiet = match self.store.read().await {
            Ok(mut reader) => reader.db().count_open_hunts().await.is_ok_and(|open| open == 0),
            Err(_) => false,
        };
        let ahead = self.clock.follow_machine(quiet);
        let was_off = self.clock_off.swap(ahead.abs() > TimeDelta::seconds(5), Ordering::AcqRel);
        if ahead.abs() > TimeDelta::seconds(5) && !was_off {
            tracing::warn!(
                seconds = ahead.num_seconds(),
                "the machine's clock was set; this server goes on by its own until nothing is under way, or until it is started again"
            );
        }
    }

    async fn expire_dials(&self, now: DateTime<Utc>) -> Result<usize, EngineError> {
        let expired = self.store.read().await?.db().expired_dials(now).await?;
        let mut count = 0;
        for dial in expired {
            count += usize::from(self.expire(&dial, now).await?);
        }
        Ok(count)
    }

    async fn expire(&self, dial: &DialRow, now: DateTime<Utc>) -> Result<bool, EngineError> {
        let mut work = self.work_at(now, Doer::Server).await?;
        work.db().lock_hunt(dial.hunt_id).await?;
        // Its deadline may have been extended since it was read.
        let Some(dial) = work.db().dial(&dial.mid).await?.filter(|dial| dial.closed_at.is_none() && dial.deadline <= now) else {
            return Ok(false);
        };
        let dry_run = dial.handset_id.is_none();
        let targets = work.db().targets(&dial.mid).await?;
        let outcome = if dry_run { DialOutcome::Nobody } else { dial.standing(&targets).ends_unreported() };
        let line_free_at = match dial.handset_id {
            Some(_) => {
                let ring = ring_of(&mut work.db(), dial.handset_id).await?;
                let close = Some(ringing::Close::Deadline(now));
                ringing::quiet(&ringing::Line { serves: self.serves_of(&dial), close, ..dial.line(ring) }, now).numbers
            }
            None => None,
        };
        if !work.db().close_dial(&dial.mid, outcome, now, line_free_at).await? {
            return Ok(false);
        }
        closing::hang_up(&mut work, &dial.mid).await?;
        if dry_run {
            for target in targets {
                work.db().set_target_outcome(&dial.mid, target.callee_id, TargetOutcome::Call(CallOutcome::NoAnswer)).await?;
            }
        }
        if let Some(handset) = dial.handset_id
            && outcome == DialOutcome::Expired
            && work.db().handset(handset).await?.is_some_and(|row| row.usable_channels() > 1)
        {
            // Its other channels go on, so that nobody misses the handset.
            work.db().channel_stuck(handset, dial.channel, now).await?;
            work.announce(Announcement::Handsets);
            tracing::warn!(%handset, channel = dial.channel, "a channel of this handset did not return from its call");
        }
        work.tally.dials.push(outcome);
        let mid = dial.mid.clone();
        let event = match outcome {
            _ if dry_run => Some(Event::Nobody { mid }),
            DialOutcome::Expired => Some(Event::Expired { mid }),
            // What was said in its call is told already.
            _ => None,
        };
        if let Some(event) = event {
            work.db().insert_event(None, Some(dial.hunt_id), now, &event).await?;
        }
        // Nobody is rung in the morning for the night: its hunt wanted a handset when the call was over, and not only now.
        let wanted_since = if ringing::is_long_over(dial.deadline, dial.length(), now) { dial.deadline } else { now };
        self.settle_since(&mut work, dial.hunt_id, wanted_since).await?;
        work.commit().await?;
        Ok(true)
    }

    async fn give_up_stalled(&self, now: DateTime<Utc>) -> Result<usize, EngineError> {
        let stalled = self.store.read().await?.db().stalled_hunts(now).await?;
        let mut count = 0;
        for id in stalled {
            let mut work = self.work_at(now, Doer::Server).await?;
            let hunt = work.db().lock_hunt(id).await?;
            let open = open_dials(&mut work, id).await?;
            if hunt.ended_at.is_some() || hunt.begin_before > now || !open.is_empty() {
                continue;
            }
            self.settle(&mut work, id).await?;
            work.commit().await?;
            count += 1;
        }
        Ok(count)
    }

    /// Does what time alone brings to a hunt: an answer lapses, a step begins, a snooze is over.
    async fn wake_hunts(&self, now: DateTime<Utc>) -> Result<usize, EngineError> {
        let waking = self.store.read().await?.db().waking_hunts(now).await?;
        let count = waking.len();
        for id in waking {
            let mut work = self.work_at(now, Doer::Server).await?;
            self.ask_whose_turn_it_is(&mut work, id).await?;
            self.settle(&mut work, id).await?;
            work.commit().await?;
        }
        Ok(count)
    }

    /// Dry runs need no handset: the engine writes their dials, which hold no number and end as *nobody*.
    async fn advance_dry_runs(&self, now: DateTime<Utc>) -> Result<usize, EngineError> {
        if self.store.read().await?.db().earliest_due_dry_run().await?.is_none_or(|due| due > now) {
            return Ok(0);
        }
        let mut count = 0;
        for _ in 0..DRY_RUNS_PER_TICK {
            let mut work = self.work_at(now, Doer::Server).await?;
            let Some(hunt) = work.db().lock_next_due_dry_run(now).await? else { break };
            // Its dials hold no number, so it looks only at itself: one number is not rung twice at once in a real run either.
            let Next { hunt, callees, decision, .. } = self.next_move(&mut work, &hunt, &Busy::InThisHunt, ListForm::One).await?;
            match decision {
                Decision::Finished { outcome, reason } => {
                    self.finish(&mut work, &hunt, outcome, reason).await?;
                }
                Decision::Wait { until, .. } => {
                    let until = until.max(now + TimeDelta::seconds(1));
                    let begin_before = hunt::begin_before(hunt.begin_before, until, seconds(hunt.begin_window_s));
                    work.db().set_hunt_due(hunt.id, until, begin_before, now).await?;
                }
                Decision::Dial(plan) if bar_forbidden(&mut work, &hunt, &callees, &plan).await? => {}
                Decision::Dial(plan) => {
                    let dial = self.new_dial(&hunt, &callees, &plan, None, self.region(), now);
                    if work.db().insert_dial(&dial).await? && work.db().insert_targets(&dial).await? {
                        record_hand_out(&mut work, &hunt, &callees, &dial, None).await?;
                        count += 1;
                    }
                }
            }
            work.announce(Announcement::Hunts);
            work.commit().await?;
        }
        Ok(count)
    }

    async fn measure_gauges(&self) -> Result<(), EngineError> {
        let now = self.clock.now();
        let mut reader = self.store.read().await?;
        let mut db = reader.db();
        self.metrics.open_hunts.set(db.count_open_hunts_of_alarms().await?);
        self.metrics.open_dials.set(db.count_open_dials().await?);
        let since = db.waiting_since(now).await?;
        self.metrics.hunts_oldest_due_seconds.set(since.map_or(0, |since| (now - since).num_seconds().max(0)));
        self.metrics.sought.seen(db.first_sought_due().await?, now);
        self.metrics.figures.seen(db.first_figure_due().await?, now);
        Ok(())
    }

    /// Forgets what is long over.
    ///
    /// # Errors
    /// When the database fails; what was forgotten until then stays forgotten.
    pub async fn forget_old(&self) -> Result<(), EngineError> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        tx.db().forget_knocks(now - REMEMBER_KNOCKS).await?;
        tx.db().forget_duties_told(now - REMEMBER_DUTIES).await?;
        tx.commit().await?;
        retention::forget(&self.store, retention::Lines::IdempotencyKeys, now - REMEMBER_KEYS).await?;
        retention::forget(&self.store, retention::Lines::RepeatedRequests, now - REMEMBER_KEYS).await?;
        retention::forget(&self.store, retention::Lines::Outages, now - REMEMBER_KNOCKS).await?;
        retention::forget(&self.store, retention::Lines::Swaps, now - REMEMBER_SWAPS).await?;
        for lines in [Lines::RpcRequests, Lines::RpcResources, Lines::RpcConsumers] {
            retention::forget(&self.store, lines, now - REMEMBER_KEYS).await?;
        }
        self.forget_rpc_events(now - REMEMBER_KEYS).await?;
        if self.config.media.keep_days > 0 {
            let before = now - TimeDelta::days(i64::from(self.config.media.keep_days));
            retention::forget(&self.store, Lines::RpcRecordings, before).await?;
        }
        retention::forget_burnt(&self.store, now - REMEMBERED).await?;
        retention::forget(&self.store, Lines::EndsHeard, now - REMEMBERED).await?;
        self.store.note_ids(now).await?;
        let keep_days = self.config.records.keep_days;
        if keep_days > 0 {
            let before = now - TimeDelta::days(i64::from(keep_days));
            for lines in [Lines::CallRecords, Lines::LiveCommands, Lines::LiveEvents, Lines::InboundCalls, Lines::ShoutRecords] {
                retention::forget(&self.store, lines, before).await?;
            }
        }
        if let Some(first) = self.phone_calls_kept_from() {
            retention::forget(&self.store, Lines::PhoneCalls, first).await?;
        }
        let texts = self.config.retention.days_of_texts();
        if texts > 0 {
            retention::forget(&self.store, Lines::InboundSms, now - TimeDelta::days(i64::from(texts))).await?;
        }
        let days = self.config.retention.days;
        // One node at a time, if that can be known; several would only do the same twice.
        if days > 0 && self.locks.try_lock("retention", RETENTION_LOCK).await.may_proceed() {
            let alarms = retention::prune(&self.store, now - TimeDelta::days(i64::from(days))).await?;
            if alarms > 0 {
                tracing::info!(alarms, days, "forgot what is long over");
            }
        }
        let own = &self.config.retention;
        if own.audit_days > 0 {
            retention::forget(&self.store, Lines::Audit, now - TimeDelta::days(i64::from(own.audit_days))).await?;
        }
        if own.mask_numbers_days > 0 {
            retention::mask_numbers(&self.store, now - TimeDelta::days(i64::from(own.mask_numbers_days)), now).await?;
        }
        // One that was broken off goes on.
        if let Err(error) = erasing::go_on(&self.store, now, ERASES_FOR).await {
            tracing::warn!(%error, "somebody who is to be erased could not be forgotten any further: it is tried again within the hour");
        }
        let kept = Kept { days: self.config.media.keep_days, debug_days: self.config.media.debug_keep_days };
        media::let_go(&self.store, kept, now).await?;
        // Afterwards: what alarms and recordings took along has no owner any more.
        media::sweep(&self.store, now).await?;
        self.measure_media().await?;
        Ok(())
    }
}
