//! What is heard of the calls of programs: how far they are, what became of orders, how they ended, and what time brings.

use android_protocol::live::{LiveEvent, LiveWord};
use android_protocol::wire::{CallOutcome, Progress, ProgressState};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use super::handing_out::lasts;
use super::running::{Ordered, Running};
use crate::alarm::attribution::DialledCallee;
use crate::alarm::call_record::{self, Reporting};
use crate::alarm::consequences::{Report, Reported};
use crate::alarm::doer::Doer;
use crate::alarm::live_command::CommandState;
use crate::alarm::ringing;
use crate::cti::Flow;
use crate::cti::effect::{Ended, Heard as Told, Word};
use crate::engine::hunt::call_records;
use crate::engine::hunt::progress::Heard;
use crate::engine::hunt::serves::ring_of;
use crate::engine::{Engine, EngineError};
use crate::ids::KeyId;
use crate::store::alarm::call_records::HeardRow;
use crate::store::alarm::dials::DialRow;
use crate::store::alarm::hunts::HuntRow;
use crate::store::rpc::resources::ResourceRow;
use crate::store::watch::handsets::HandsetRow;
use crate::store::{Announcement, StoreError, Work};

/// A handset says so of the calls that it had before it was started again.
const RESTARTED: &str = "agent restarted";
/// A call whose handset has a word for each step is looked after so soon after one was kept.
const AT_ONCE: TimeDelta = TimeDelta::zero();

impl Engine {
    /// Keeps something that was heard of a resource, until it is told to it.
    pub(super) async fn keep_heard(&self, work: &mut Work, id: &str, heard: &Told) -> Result<(), EngineError> {
        let now = work.now();
        let word = serde_json::to_value(heard).map_err(|error| StoreError::Inconsistent(error.to_string()))?;
        work.db().hear_of_resource(id, &word, now).await?;
        work.db().resource_is_due(id, now + AT_ONCE).await?;
        work.announce(Announcement::Rpc);
        Ok(())
    }

    /// Tells the calls and conferences of a key what was heard of them, and does what is due.
    ///
    /// # Errors
    /// When the database fails; whatever was heard is told by whoever comes next.
    pub fn settle_rpc(&self, key: KeyId) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(self.tell_and_tick(key))
    }

    async fn tell_and_tick(&self, key: KeyId) -> Result<(), EngineError> {
        let mut work = self.work(Doer::Server).await?;
        let mut running = Running::of(self, &mut work, key).await?;
        running.tick(&mut work).await?;
        running.keep(&mut work).await?;
        Ok(work.commit().await?)
    }

    /// The same where that may fail: somebody else does it within a second.
    pub(in crate::engine) async fn try_to_settle_rpc(&self, key: KeyId) {
        if let Err(error) = self.settle_rpc(key).await {
            tracing::warn!(%error, "what was heard of a call could not be told to its program; trying again in a second");
        }
    }

    /// Does what is due for all keys.
    pub(in crate::engine) async fn settle_all_rpc(&self, now: DateTime<Utc>) -> Result<(), EngineError> {
        self.lost_commands(now).await?;
        self.silent_callers(now).await?;
        let keys = self.store.read().await?.db().keys_with_due_resources(now).await?;
        for key in keys {
            // One that cannot be settled keeps nobody else from it.
            self.try_to_settle_rpc(key).await;
        }
        Ok(())
    }

    /// Calls that came in and whose handset says nothing any more: they are over, without a report.
    async fn silent_callers(&self, now: DateTime<Utc>) -> Result<(), EngineError> {
        let silent = self.store.read().await?.db().silent_inbound_resources(now).await?;
        for (id, mid) in silent {
            let mut work = self.work_at(now, Doer::Server).await?;
            // It may have said something meanwhile.
            if work.db().lock_inbound_call(&mid).await?.is_some_and(|call| call.ended_at.is_none() && call.deadline <= now) {
                work.db().end_inbound_call(&mid, now).await?;
                self.keep_heard(&mut work, &id, &Told::NoReport).await?;
                work.announce(Announcement::Calls);
                work.commit().await?;
            }
        }
        Ok(())
    }

    /// Orders that no handset has fetched in time.
    async fn lost_commands(&self, now: DateTime<Utc>) -> Result<(), EngineError> {
        let lost = self.store.read().await?.db().live_commands_of_programs(now).await?;
        for row in lost {
            let (state, why) = row.stands(now);
            let why = match state {
                CommandState::Failed => why.unwrap_or("too_late"),
                CommandState::Waiting | CommandState::Sent | CommandState::Done => continue,
            };
            let Some(ordered) = row.token.as_deref().and_then(Ordered::read) else { continue };
            let mut work = self.work(Doer::Server).await?;
            if work.db().live_command_is_told(row.id).await? {
                let heard = Told::Word { token: ordered.token, word: Word::Error(why.to_owned()) };
                self.keep_heard(&mut work, &ordered.res_id, &heard).await?;
                work.commit().await?;
            }
        }
        Ok(())
    }

    /// Takes in how far the call of a program is.
    pub(in crate::engine) async fn rpc_progress(
        &self,
        dial: &DialRow,
        progress: &Progress,
        now: DateTime<Utc>,
    ) -> Result<Heard, EngineError> {
        let heard = call_record::progress(progress, now);
        let by = self.who_speaks(dial).await?.1;
        let mut work = self.work_at(now, by).await?;
        work.db().lock_hunt(dial.hunt_id).await?;
        let (row, dial) = (work.db().resource_of_mid(&dial.mid).await?, work.db().dial(&dial.mid).await?);
        let (Some(row), Some(dial)) = (row, dial) else { return Ok(Heard::default()) };
        let is_news = call_records::is_news(&mut work.db(), &dial.mid, 0, &heard).await?;
        call_records::hear(&mut work, &dial.mid, 0, heard).await?;
        let open = dial.closed_at.is_none();
        if open {
            let state = progress.state.map_or("unknown", ProgressState::as_str);
            work.db().set_progress(&dial.mid, 0, state, now).await?;
            if progress.state == Some(ProgressState::Connected) {
                work.db().connected(&dial.mid, 0, now).await?;
            }
            let ring = ring_of(&mut work.db(), dial.handset_id).await?;
            let longest = lasts(&row).map_or(TimeDelta::zero(), |lasts| lasts.whole());
            let deadline = ringing::deadline_at_work(now, dial.deadline, dial.offered_at, ring, longest);
            if deadline > dial.deadline {
                work.db().at_work(&dial.mid, deadline).await?;
            }
        }
        if progress.event.as_deref() == Some("recording")
            && let Some(name) = progress.value.as_deref()
        {
            Self::name_recording(&mut work, &dial, &progress.number, name).await?;
        }
        self.keep_progress(&mut work, &row, progress, is_news).await?;
        work.announce(Announcement::Calls);
        work.commit().await?;
        if is_news {
            self.try_to_settle_rpc(row.key_id).await;
        }
        Ok(Heard { wanted: open && !row.dropped && row.released_at.is_none(), say: None })
    }

    /// The same of one that came in; `None` where it is none of a program.
    pub(in crate::engine) async fn rpc_inbound_progress(
        &self,
        mid: &str,
        progress: &Progress,
    ) -> Result<Option<Heard>, EngineError> {
        let now = self.clock.now();
        if self.store.read().await?.db().resource_of_mid(mid).await?.is_none() {
            return Ok(None);
        }
        let mut work = self.work_at(now, Doer::Server).await?;
        let Some(call) = work.db().lock_inbound_call(mid).await? else { return Ok(None) };
        let Some(row) = work.db().resource_of_mid(mid).await? else { return Ok(None) };
        let heard = call_record::progress(progress, now);
        let is_news = call_records::is_news(&mut work.db(), mid, 0, &heard).await?;
        call_records::hear(&mut work, mid, 0, heard).await?;
        let open = call.is_open(now);
        if progress.state == Some(ProgressState::Ended) {
            work.db().end_inbound_call(mid, now).await?;
        } else if open {
            let longest = lasts(&row).map_or(TimeDelta::zero(), |lasts| lasts.whole());
            let deadline = ringing::deadline_at_work(now, call.deadline, call.at, TimeDelta::zero(), longest);
            work.db().inbound_goes_on(mid, deadline).await?;
        }
        self.keep_progress(&mut work, &row, progress, is_news).await?;
        work.announce(Announcement::Calls);
        work.commit().await?;
        if is_news {
            self.try_to_settle_rpc(row.key_id).await;
        }
        Ok(Some(Heard { wanted: open && !row.dropped && row.released_at.is_none(), say: None }))
    }

    async fn keep_progress(
        &self,
        work: &mut Work,
        row: &ResourceRow,
        progress: &Progress,
        is_news: bool,
    ) -> Result<(), EngineError> {
        let at = work.now();
        let key = progress.event.as_deref().filter(|event| *event == "key").and(progress.key.as_deref());
        let state = match progress.state.filter(|_| is_news) {
            Some(ProgressState::Dialling) => Some(Told::Dialling { at }),
            Some(ProgressState::Alerting) => Some(Told::Alerting { at }),
            // A key may be the first that is heard of it.
            Some(ProgressState::Connected) => Some(Told::Connected { at }),
            Some(ProgressState::Ended) | None => None,
        };
        for heard in state.into_iter().chain(key.and_then(|key| key.chars().next()).map(Told::Key)) {
            self.keep_heard(work, &row.id, &heard).await?;
        }
        Ok(())
    }

    /// Takes in a report about the call of a program.
    pub(in crate::engine) async fn rpc_report(&self, report: &Report, dial: &DialRow) -> Result<Reported, EngineError> {
        let now = self.clock.now();
        let (handset, by) = self.who_speaks(dial).await?;
        let region = handset.as_ref().and_then(|handset| handset.country.parse().ok()).unwrap_or(self.region());
        let guesses = handset.as_ref().is_some_and(HandsetRow::guesses);
        let mut work = self.work_at(now, by).await?;
        work.db().lock_hunt(dial.hunt_id).await?;
        let (row, dial) = (work.db().resource_of_mid(&dial.mid).await?, work.db().dial(&dial.mid).await?);
        let Some(dial) = dial else { return Ok(Reported::Unknown) };
        let targets = work.db().targets(&dial.mid).await?;
        let (was_reported, late) = (dial.reported_at.is_some(), dial.closed_at.is_some());
        let rung = dial.standing(&targets);
        let told = Reporting { report, region, at: now, late, guesses };
        call_records::hear_report(&mut work, &dial.mid, &rung.rings, told).await?;
        let call = report.calls.first();
        let answered = report.resp.is_some() || call.is_some_and(|call| call.outcome == Some(CallOutcome::Answered));
        if !was_reported {
            self.close_reported(&mut work, &dial, answered, report.resp.as_deref()).await?;
            self.rest_after(&mut work, &dial, call).await?;
        }
        if let Some(call) = call {
            let callees = work.db().callees_of_dial(&dial.mid).await?;
            Self::name_recordings(&mut work, &dial, &rung, &callees, std::slice::from_ref(call)).await?;
        }
        if let Some(row) = row.as_ref().filter(|row| row.released_at.is_none()) {
            let heard = self.how_it_ended(&mut work, &dial.mid, report, answered).await?;
            self.keep_heard(&mut work, &row.id, &heard).await?;
            if heard == Told::Restarted {
                self.rooms_are_gone(&mut work, row).await?;
            }
        }
        if let Some(handset) = dial.handset_id {
            let returned = work.db().channel_returned(handset, dial.channel).await?;
            if work.db().handset_reported(handset).await? || returned {
                work.announce(Announcement::Handsets);
            }
        }
        work.announce(Announcement::Hunts);
        work.commit().await?;
        if let Some(row) = row {
            self.try_to_settle_rpc(row.key_id).await;
        }
        Ok(match (was_reported, late, answered) {
            (true, ..) => Reported::Duplicate,
            (_, false, true) => Reported::Answered,
            (_, false, false) => Reported::Nobody,
            (_, true, true) => Reported::LateAnswered,
            (_, true, false) => Reported::LateNobody,
        })
    }

    /// The same of a call that came in; `None` where it is none of a program.
    pub(in crate::engine) async fn rpc_inbound_report(&self, report: &Report) -> Result<Option<Reported>, EngineError> {
        let now = self.clock.now();
        if self.store.read().await?.db().resource_of_mid(&report.mid).await?.is_none() {
            return Ok(None);
        }
        let mut work = self.work_at(now, Doer::Server).await?;
        let Some(call) = work.db().lock_inbound_call(&report.mid).await? else { return Ok(None) };
        let Some(row) = work.db().resource_of_mid(&report.mid).await? else { return Ok(None) };
        let rings = [DialledCallee { callee: call.callee_id, number: call.number.clone(), attempts: 1 }];
        let known = work.db().heard_of_calls(&call.mid).await?;
        let was_reported = known.iter().filter_map(HeardRow::heard).any(|heard| heard.is_reported());
        let late = !call.is_open(now);
        let told = Reporting { report, region: self.region(), at: now, late, guesses: false };
        let heard = call_record::report(&rings, told).into_iter().next().unwrap_or_default();
        call_records::hear(&mut work, &call.mid, 0, heard).await?;
        work.db().end_inbound_call(&call.mid, now).await?;
        if row.released_at.is_none() {
            let answered = report.calls.first().is_some_and(|call| call.outcome == Some(CallOutcome::Answered));
            let heard = self.how_it_ended(&mut work, &call.mid, report, answered).await?;
            self.keep_heard(&mut work, &row.id, &heard).await?;
        }
        work.announce(Announcement::Calls);
        work.announce(Announcement::Hunts);
        work.commit().await?;
        self.try_to_settle_rpc(row.key_id).await;
        Ok(Some(if was_reported { Reported::Duplicate } else { Reported::Answered }))
    }

    /// A handset was started again: the conferences that it held are gone too.
    async fn rooms_are_gone(&self, work: &mut Work, call: &ResourceRow) -> Result<(), EngineError> {
        let mut open = work.db().open_resources(call.key_id).await?;
        open.sort_by(|a, b| a.id.cmp(&b.id));
        for row in open {
            // In the order of their ids, as whoever changes several of them does.
            if row.kind == Flow::Conf.as_str() && row.handset_id.is_some() && row.handset_id == call.handset_id {
                self.keep_heard(work, &row.id, &Told::Restarted).await?;
            }
        }
        Ok(())
    }

    /// How a call ended, by its record.
    async fn how_it_ended(&self, work: &mut Work, mid: &str, report: &Report, answered: bool) -> Result<Told, EngineError> {
        let heard = work.db().heard_of_calls(mid).await?;
        let known = heard.first().and_then(|row| Some(row.heard()?.tells(row.handed_out())));
        let call = report.calls.first();
        let said = call.and_then(|call| call.cause.as_ref());
        if said.and_then(|cause| cause.text.as_deref()) == Some(RESTARTED) {
            return Ok(Told::Restarted);
        }
        let outcome = if answered { CallOutcome::Answered } else { CallOutcome::NoAnswer };
        Ok(Told::Ended(Ended {
            outcome: call.and_then(|call| call.outcome).or(Some(outcome)),
            sip: said.and_then(|cause| cause.sip),
            detail: call.and_then(|call| call.detail),
            by: call.and_then(|call| call.ended_by),
            alerting_at: known.as_ref().and_then(|known| known.alerting.at),
            connected_at: known.as_ref().and_then(|known| known.connected.at),
            ended_at: known.as_ref().and_then(|known| known.ended.at),
        }))
    }

    /// A locked hunt of a call has come to where nobody is rung for it: no handset took it in time, or none has reported.
    pub(in crate::engine) async fn call_is_stuck(&self, work: &mut Work, hunt: &HuntRow) -> Result<(), EngineError> {
        let now = work.now();
        let far = now + TimeDelta::days(1);
        work.db().set_hunt_due(hunt.id, far, far, now).await?;
        let Some(row) = work.db().resource_of_hunt(hunt.id).await? else { return Ok(()) };
        let open = match &row.mid {
            Some(mid) => work.db().dial(mid).await?.is_some_and(|dial| dial.closed_at.is_none()),
            None => false,
        };
        if open || row.released_at.is_some() {
            return Ok(());
        }
        let heard = if row.mid.is_some() { Told::NoReport } else { Told::NoChannel };
        self.keep_heard(work, &row.id, &heard).await
    }

    /// Keeps what a handset said in a call of a program; whose it is, where it is one.
    pub(in crate::engine) async fn rpc_live_event(
        &self,
        work: &mut Work,
        event: &LiveEvent,
        word: LiveWord,
        value: Option<&str>,
    ) -> Result<Option<KeyId>, EngineError> {
        let Some(call) = work.db().resource_of_mid(&event.mid).await? else { return Ok(None) };
        let text = || value.unwrap_or_default().to_owned();
        let said = match word {
            LiveWord::Playing => Word::Playing,
            LiveWord::Played => Word::Played,
            LiveWord::Stopped => Word::Stopped,
            LiveWord::Key => Word::Key(text()),
            LiveWord::Recording => Word::Recording(text()),
            LiveWord::Joined => Word::Joined,
            LiveWord::Left => Word::Left,
            LiveWord::Error => Word::Error(text()),
            LiveWord::Collected => Word::Collected(text()),
            LiveWord::Ended => return Ok(Some(call.key_id)),
        };
        let token = match event.ack {
            ack if ack > 0 => work.db().token_of_live_command(ack, &event.mid).await?,
            _ => None,
        };
        let Some(ordered) = token.as_deref().and_then(Ordered::read) else { return Ok(Some(call.key_id)) };
        if let (Word::Recording(name), Some(file)) = (&said, &ordered.file) {
            work.db().recording_is_file(&event.mid, name, call.key_id, file).await?;
            // The report may have named it first, and its sound may be here.
            if let Some(media) = work.db().recording_named(&event.mid, name).await?.and_then(|row| row.media_id) {
                let now = work.now();
                work.db().set_rpc_file(call.key_id, file, media, true, now).await?;
            }
        }
        let heard = Told::Word { token: ordered.token, word: said };
        self.keep_heard(work, &ordered.res_id, &heard).await?;
        Ok(Some(call.key_id))
    }
}
