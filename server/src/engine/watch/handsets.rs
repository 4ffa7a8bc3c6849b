//! Handsets as a whole: who is silent, stuck or back; test calls; what a native handset tells while it dials.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use android_protocol::wire::Capability;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use super::presence::{Noticed, PollSource, WRITTEN_WITHIN, longest_silence};
use crate::alarm::doer::Doer;
use crate::alarm::event::Event;
use crate::alarm::ringing::{self, Line};
use crate::alarm::{AlarmKind, DialOutcome, Mode, Priority, Until};
use crate::backoff::Backoff;
use crate::config::{HandsetConfig, PlainPath};
use crate::engine::{Engine, EngineError, NamedBy, NewCallee, RaiseRequest, Raised, seconds};
use crate::ids::{CommandId, HandsetId};
use crate::keep::whom::Named;
use crate::store::dialect::Dialect;
use crate::store::duty::people::PersonRow;
use crate::store::watch::channels::ChannelRow;
use crate::store::watch::handsets::HandsetRow;
use crate::store::{Announcement, Db};
use crate::telemetry::{ChannelState, HandsetFigures, PLAIN_HANDSETS};

/// The source of test calls, and their door.
pub const TEST_CALLS: &str = "test call";
/// A test call that its handset does not take by then is over.
const TEST_WINDOW_SECONDS: i32 = 300;
/// A phone on the documented path is one to wait for after so long.
const SETTLED: TimeDelta = TimeDelta::minutes(10);
/// A phone that moves is heard under its old name for no longer than this after it is heard under the new one.
const MOVES_WITHIN: TimeDelta = TimeDelta::minutes(2);
/// A handset that is told to dial a forwarding code is given no alarm for so long: the two calls would meet.
pub const REST_FOR_CODE: TimeDelta = TimeDelta::seconds(60);
/// A handset whose calls failed rests this long, then twice as long, and so on.
const RESTS: Backoff = Backoff::new(TimeDelta::seconds(30), TimeDelta::minutes(5));
/// So long after this server or its database was away, phones may still ask again because of that.
const BACK_LATELY: TimeDelta = TimeDelta::minutes(1);
/// So many handsets are written down in one transaction.
const SIGHTINGS_AT_ONCE: usize = 200;

impl Engine {
    /// Notes that a handset polled; what follows from that is written down only when it changes something.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn handset_polled(&self, handset: &HandsetRow, source: &PollSource<'_>) -> Result<(), EngineError> {
        let now = self.clock.now();
        let noticed = self.presence.polled(handset.id, source, handset.interval_seconds, now);
        if handset.offline_since.is_some() || handset.stuck_since.is_some() {
            self.handset_back(handset, now).await?;
        }
        let shared = match noticed {
            Noticed::Nothing => return Ok(()),
            Noticed::Shared => Some(now),
            Noticed::SharedNoMore => None,
        };
        let mut tx = self.store.begin().await?;
        if tx.db().set_handset_shared(handset.id, shared).await? {
            if shared.is_some() {
                tracing::warn!(handset.name = %handset.name, "two phones use the token of this handset: both would dial; give each its own");
                note(&mut tx.db(), handset, Noted::Shared, now).await?;
            }
            tx.announce(Announcement::Handsets);
            tx.commit().await?;
        }
        Ok(())
    }

    async fn handset_back(&self, handset: &HandsetRow, now: DateTime<Utc>) -> Result<(), EngineError> {
        let mut tx = self.store.begin().await?;
        if tx.db().handset_back(handset.id, now).await? {
            tracing::info!(handset.name = %handset.name, "the handset polls again");
            note(&mut tx.db(), handset, Noted::Back, now).await?;
            tx.announce(Announcement::Handsets);
            tx.commit().await?;
        }
        Ok(())
    }

    /// Writes down who was seen, and finds who has been silent for too long.
    ///
    /// # Errors
    /// When the database fails.
    pub fn watch_handsets(&self) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(self.look_after_handsets())
    }

    async fn look_after_handsets(&self) -> Result<(), EngineError> {
        let _turn = self.watching.lock().await;
        let now = self.clock.now();
        self.write_sightings(false).await?;
        let mut reader = self.store.read().await?;
        let mut handsets = reader.db().handsets().await?;
        let mut calls: HashMap<HandsetId, HashSet<i32>> = HashMap::new();
        for (handset, channel) in reader.db().open_mids().await?.into_keys() {
            calls.entry(handset).or_default().insert(channel);
        }
        let mut held = calls.clone();
        if handsets.iter().any(|handset| handset.inbound) {
            for call in reader.db().inbound_calls_open().await?.into_iter().filter(|call| call.is_open(now)) {
                held.entry(call.handset_id).or_default().insert(call.channel);
            }
        }
        let channels = reader.db().channels().await?;
        drop(reader);
        // Where another node serves handsets too, what it has heard may not be written down yet.
        let unheard_for = match self.store.dialect() {
            Dialect::Sqlite => TimeDelta::zero(),
            Dialect::Postgres => WRITTEN_WITHIN,
        };
        let written_lately: HashSet<HandsetId> = handsets
            .iter()
            .filter(|handset| handset.last_seen_at.is_some_and(|seen| seen > now - unheard_for))
            .map(|handset| handset.id)
            .collect();
        self.presence.complete(&mut handsets);
        for handset in &handsets {
            // Silence in an open dial is a call, as far as anybody can know; but on a free channel it would ask.
            let busy = calls
                .get(&handset.id)
                .is_some_and(|calls| i32::try_from(calls.len()).is_ok_and(|held| held >= handset.usable_channels()));
            if is_expected(handset)
                && !self.has_moved(handset, &handsets)
                && handset.disabled_at.is_none()
                && !busy
                && !written_lately.contains(&handset.id)
            {
                self.watch(handset, now).await?;
            }
        }
        let offline = self.store.read().await?.db().count_offline_handsets().await?;
        self.metrics.handsets_offline.set(offline);
        let plain_path_open = plain_path_is_open(&self.config.handsets, &handsets);
        let mut told: BTreeMap<String, HandsetFigures> = BTreeMap::new();
        for handset in &handsets {
            // What somebody is called whom nobody has named holds their address.
            let name = if handset.plain_key.is_some() { PLAIN_HANDSETS } else { handset.name.as_str() };
            let rows = channels.get(&handset.id).map_or(&[][..], Vec::as_slice);
            let held = held.get(&handset.id).cloned().unwrap_or_default();
            told.entry(name.to_owned()).or_default().join(&figures(handset, rows, &held, plain_path_open, now));
        }
        self.metrics.handsets.set(told);
        Ok(())
    }

    /// Writes down who polled, in portions, so that nobody waits for it: what has changed, and every half minute that it goes on. Before
    /// the server stops: `all`.
    ///
    /// # Errors
    /// When the database fails; what was not written is the next time.
    pub async fn write_sightings(&self, all: bool) -> Result<(), EngineError> {
        let now = self.clock.now();
        for portion in self.presence.unwritten(now, all).chunks(SIGHTINGS_AT_ONCE) {
            let mut tx = self.store.begin().await?;
            tx.db().handsets_seen(portion).await?;
            tx.commit().await?;
            self.presence.written(portion, now);
        }
        Ok(())
    }

    /// Whether a phone on the documented path, which is known by address and model, is somebody else by now: it was paired, or has another
    /// address. What fell silent before this server started says nothing either: nobody can know when.
    fn has_moved(&self, handset: &HandsetRow, all: &[HandsetRow]) -> bool {
        let Some(last_seen) = handset.last_seen_at.filter(|_| handset.token_hash.is_none() && handset.allowed_at.is_none())
        else {
            return false;
        };
        let alike = |other: &HandsetRow| {
            let model =
                other.last_model.as_ref().is_some_and(|model| !model.is_empty() && handset.last_model.as_ref() == Some(model));
            model || (other.last_address.is_some() && other.last_address == handset.last_address)
        };
        // Whoever tries the path with curl is no phone that has moved.
        let is_phone = |other: &HandsetRow| other.token_hash.is_some() || other.allowed_at.is_some() || other.polls_as_app();
        let since = |other: &HandsetRow| other.id != handset.id && other.created_at > last_seen - MOVES_WITHIN && is_phone(other);
        last_seen < self.started_at || all.iter().any(|other| since(other) && alike(other))
    }

    async fn watch(&self, handset: &HandsetRow, now: DateTime<Utc>) -> Result<(), EngineError> {
        // A phone that never polled is not set up yet; and while nobody could be served, silence says nothing.
        let Some(last_seen) = handset.last_seen_at else { return Ok(()) };
        let silence = longest_silence(handset.interval_seconds);
        if handset.offline_since.is_some() || handset.stuck_since.is_some() || last_seen.max(self.serving_since()) > now - silence
        {
            return Ok(());
        }
        let mut unreported = Vec::new();
        for channel in 0..handset.usable_channels() {
            let latest = self.store.read().await?.db().latest_dial_on(handset.id, channel).await?;
            unreported.extend(latest.filter(|dial| dial.reported_at.is_none()));
        }
        let rings_until = unreported.iter().filter_map(|dial| {
            let line = Line { serves: self.serves_of(dial), ..dial.line(seconds(handset.ring_seconds)) };
            let closed_at = dial.closed_at.filter(|_| dial.outcome == Some(DialOutcome::Expired));
            // Not as seen now: what is over since a moment counts as well.
            ringing::quiet(&line, DateTime::<Utc>::MIN_UTC).handset.filter(|_| line.stock_app).max(closed_at)
        });
        if rings_until.max().is_some_and(|until| until > now - silence) {
            // Its call may have lasted until just now.
            return Ok(());
        }
        let stuck = unreported.iter().filter_map(|dial| dial.closed_at).any(|closed| last_seen < closed);
        let mut tx = self.store.begin().await?;
        let marked = if stuck {
            tx.db().handset_stuck(handset.id, now, now - silence).await?
        } else {
            tx.db().handset_offline(handset.id, now, now - silence).await?
        };
        if !marked {
            return Ok(());
        }
        let what = if stuck { Noted::Stuck } else { Noted::Offline };
        note(&mut tx.db(), handset, what, now).await?;
        tx.announce(Announcement::Handsets);
        tx.commit().await?;
        if stuck {
            tracing::warn!(handset.name = %handset.name, "the handset did not return after its dial: it may be blocked; look at its screen");
        } else {
            tracing::warn!(handset.name = %handset.name, "the handset is offline: it has not polled for {} s", (now - last_seen).num_seconds());
        }
        Ok(())
    }

    /// Until when a handset whose calls do not leave it rests, after so many in a row.
    pub(in crate::engine) fn rest_until(failures: i32, now: DateTime<Utc>) -> DateTime<Utc> {
        now + RESTS.pause(failures)
    }

    /// Rings a number through one handset only, to prove that the chain works.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn test_call(&self, handset: &HandsetRow, number: &str, known_to_plan: bool) -> Result<Raised, EngineError> {
        self.test_call_by(handset, number, known_to_plan, Doer::CommandLine).await
    }

    /// The same, asked for by whoever.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn test_call_by(
        &self,
        handset: &HandsetRow,
        number: &str,
        known_to_plan: bool,
        by: Doer,
    ) -> Result<Raised, EngineError> {
        let callee = NewCallee {
            number: number.to_owned(),
            known_to_plan,
            name: None,
            reference: None,
            max_attempts: 1,
            min_interval_s: 0,
        };
        let request = RaiseRequest {
            kind: AlarmKind::Test,
            integration_id: TEST_CALLS.to_owned(),
            source: TEST_CALLS.to_owned(),
            summary: format!("Test call through {}", handset.name),
            labels: [("handset".to_owned(), handset.name.clone())].into(),
            priority: Priority::High,
            mode: Mode::Sequential,
            until: Until::First,
            begin_window_s: TEST_WINDOW_SECONDS,
            callees: vec![callee],
            named_by: NamedBy::Alarm,
            only_handset: Some(handset.id),
            by,
            ..RaiseRequest::default()
        };
        let raised = self.raise(&request).await?;
        let mut tx = self.store.begin().await?;
        tx.db().set_test_call(handset.id, raised.alarm.id).await?;
        tx.announce(Announcement::Handsets);
        tx.commit().await?;
        Ok(raised)
    }

    /// Rings somebody who asks for it, by their numbers as they want to be rung: a test call through whichever handset is next. Whoever
    /// presses again within the same minute gets the same call.
    ///
    /// # Errors
    /// When they cannot be rung, or the database fails.
    pub async fn ring_me(&self, person: &PersonRow, summary: &str, by: Doer) -> Result<Raised, EngineError> {
        let minute = self.clock.now().timestamp().div_euclid(60);
        let request = RaiseRequest {
            kind: AlarmKind::Test,
            integration_id: TEST_CALLS.to_owned(),
            source: TEST_CALLS.to_owned(),
            summary: summary.to_owned(),
            labels: [("person".to_owned(), person.name.clone())].into(),
            priority: Priority::High,
            mode: Mode::Sequential,
            until: Until::First,
            begin_window_s: TEST_WINDOW_SECONDS,
            ring: vec![Named::Person(person.name.clone())],
            attempts: Some(1),
            named_by: NamedBy::Alarm,
            idempotency: Some((format!("{} {minute}", person.id), b"ring me".to_vec())),
            by,
            ..RaiseRequest::default()
        };
        self.raise(&request).await
    }

    /// Since when this node has been able to serve handsets.
    pub(in crate::engine) fn serving_since(&self) -> DateTime<Utc> {
        *self.serving_since.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Notes that handsets can be served from now on; `was_away`: this server or its database was not there until now.
    pub(in crate::engine) fn serving_again(&self, now: DateTime<Utc>, was_away: bool) {
        *self.serving_since.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = now;
        if was_away {
            *self.there_since.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = now;
        }
    }

    /// Whether this server or its database was away until a moment ago: who asks again then had no answer, and is not odd.
    pub(in crate::engine) fn was_away(&self, now: DateTime<Utc>) -> bool {
        let there_since = *self.there_since.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.serves_unknown.load(std::sync::atomic::Ordering::Acquire) || now < there_since + BACK_LATELY
    }

    /// Whether a handset may be told to dial forwarding codes now: not while it rings somebody on any of its channels, or a line of it may
    /// still ring: nobody knows which of them shares the SIM that is meant. `fresh` are the
    /// commands that it was not told before: for these it gets no alarm for a minute. One that it is told again and again, because it
    /// does not carry it out, must not keep it from alarms.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn may_dial_code(&self, id: HandsetId, fresh: &[CommandId]) -> Result<bool, EngineError> {
        let now = self.clock.now();
        if !self.line_is_free(id, now).await? {
            return Ok(false);
        }
        if fresh.is_empty() {
            return Ok(true);
        }
        let mut tx = self.store.begin().await?;
        tx.db().rest_handset(id, now + REST_FOR_CODE).await?;
        tx.commit().await?;
        // A claim that was under way may have given it a dial; one that comes now sees that it rests.
        if !self.line_is_free(id, now).await? {
            return Ok(false);
        }
        let mut tx = self.store.begin().await?;
        for command in fresh {
            tx.db().command_handed(*command, now).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Notes that a handset was given these text messages to send: nobody else is given them as long as it may be doing it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn texts_fetched(&self, commands: &[CommandId]) -> Result<(), EngineError> {
        if commands.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        for command in commands {
            tx.db().command_handed(*command, now).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn line_is_free(&self, id: HandsetId, now: DateTime<Utc>) -> Result<bool, EngineError> {
        let mut reader = self.store.read().await?;
        let mut db = reader.db();
        Ok(!db.has_open_dial(id).await? && db.line_free_at(id, now).await?.is_none())
    }

    /// Keeps what a native handset says of itself. `can`: what it says that it can do; one that does not say so can what it could.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn handset_status(
        &self,
        id: HandsetId,
        status: &serde_json::Value,
        can: Option<&[Capability]>,
    ) -> Result<(), EngineError> {
        let can = can
            .map(|can| can.iter().map(|capability| capability.as_str()).collect::<BTreeSet<_>>())
            .map(|can| can.into_iter().collect::<Vec<_>>().join(","));
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        if let Some(started) = status.get("started_at") {
            let before = tx.db().handset(id).await?.and_then(|handset| handset.status);
            if before.is_none_or(|before| before.0.get("started_at") != Some(started)) {
                // What was forwarded when it was switched off may be forwarded no more.
                tx.db().ask_networks_of(id, now).await?;
            }
        }
        tx.db().set_handset_status(id, status, can.as_deref(), now).await?;
        tx.announce(Announcement::Handsets);
        Ok(tx.commit().await?)
    }
}

/// Whether the documented path, without a token, hands out alarms.
#[must_use]
pub fn plain_path_is_open(config: &HandsetConfig, handsets: &[HandsetRow]) -> bool {
    match config.plain_path {
        PlainPath::Always => true,
        PlainPath::Never => false,
        PlainPath::Auto => !handsets.iter().any(|handset| handset.token_hash.is_some()),
    }
}

/// Whether a handset can be handed anything: it has a token, was let in by a person, or the documented path is open.
#[must_use]
pub fn is_served(handset: &HandsetRow, plain_path_open: bool) -> bool {
    handset.token_hash.is_some() || handset.allowed_at.is_some() || plain_path_open
}

/// Whether somebody is to be told when this handset falls silent: it was paired or allowed, or it is the app on the documented path, and
/// has been polling for some time. Whoever tried that path with curl is no handset to wait for.
pub(in crate::engine) fn is_expected(handset: &HandsetRow) -> bool {
    let settled = handset.last_seen_at.is_some_and(|seen| seen - handset.created_at >= SETTLED);
    handset.token_hash.is_some() || handset.allowed_at.is_some() || (handset.polls_as_app() && settled)
}

/// What the channels of a handset do now, given those on which it `held` a dial and whether it can be given anything, and how many calls in a
/// row have not left it.
fn figures(
    handset: &HandsetRow,
    rows: &[ChannelRow],
    held: &HashSet<i32>,
    plain_path_open: bool,
    now: DateTime<Utc>,
) -> HandsetFigures {
    let rests = |until: Option<DateTime<Utc>>| until.is_some_and(|until| until > now);
    // Whoever tried the documented path with curl is gone in a moment, and nobody is told that.
    let was_there = |seen: DateTime<Utc>| is_expected(handset) || now - seen <= longest_silence(handset.interval_seconds);
    let is_there = is_served(handset, plain_path_open) && handset.last_seen_at.is_some_and(was_there);
    let is_away = !is_there || [handset.disabled_at, handset.offline_since, handset.stuck_since].iter().any(Option::is_some);
    let mut figures = HandsetFigures { failures: handset.failures.into(), ..HandsetFigures::default() };
    // A limit that was lowered lets calls end.
    let beyond = held.iter().copied().filter(|channel| *channel >= handset.usable_channels());
    for channel in (0..handset.usable_channels()).chain(beyond) {
        let row = rows.iter().find(|row| row.channel == channel);
        figures.add(match row {
            _ if held.contains(&channel) => ChannelState::Used,
            _ if is_away => ChannelState::Away,
            Some(row) if row.stuck_since.is_some() => ChannelState::Away,
            _ if rests(handset.avoid_until) || rests(row.and_then(|row| row.avoid_until)) => ChannelState::Resting,
            _ => ChannelState::Free,
        });
    }
    // Not their sum: a channel that is seldom used forgets a failure late.
    figures.failures += i64::from(rows.iter().map(|row| row.failures).max().unwrap_or(0));
    figures
}

/// What is written down of a handset.
#[derive(Clone, Copy, Debug)]
enum Noted {
    Offline,
    Stuck,
    Back,
    Shared,
}

async fn note(db: &mut Db<'_>, row: &HandsetRow, what: Noted, now: DateTime<Utc>) -> Result<(), EngineError> {
    let (handset, handset_id) = (row.name.clone(), row.id);
    let event = match what {
        Noted::Offline => Event::HandsetOffline { handset, handset_id },
        Noted::Stuck => Event::HandsetStuck { handset, handset_id },
        Noted::Back => Event::HandsetBack { handset, handset_id },
        Noted::Shared => Event::HandsetShared { handset, handset_id },
    };
    Ok(db.insert_event(None, None, now, &event).await?)
}
