//! Calling back: whoever was rung about an alarm lately and calls a handset hears that alarm, and says with a key what a text message would say.
//!
//! The caller's number is the network's claim, as the sender of a text message is; so an operator switches it on, handset by handset.

use android_protocol::live::Incoming;
use android_protocol::wire::{Capability, Progress, ProgressState, Recording};
use chrono::{DateTime, TimeDelta, Utc};

use super::replies::{self, Word};
use crate::alarm::AlarmKind;
use crate::alarm::attribution::DialledCallee;
use crate::alarm::call_record::{self, Reporting};
use crate::alarm::consequences::{Report, Reported};
use crate::alarm::doer::{Actor, Doer};
use crate::alarm::event::Event;
use crate::alarm::{AlarmState, HuntOutcome, KeyAction, ringing, script};
use crate::engine::hunt::call_records;
use crate::engine::hunt::claim::OfferDetails;
use crate::engine::hunt::progress::Heard;
use crate::engine::rpc::incoming::ForProgram;
use crate::engine::{Acknowledgement, Effect, Engine, EngineError, delta};
use crate::ids::{AlarmId, HuntId, new_mid, short_mid};
use crate::keep::media::recordings::{self, Spoken};
use crate::line::reply::Reply;
use crate::numbers::{Number, Region, masked};
use crate::store::alarm::alarms::{AlarmRow, foremost};
use crate::store::alarm::call_records::HeardRow;
use crate::store::lines::inbound_calls::InboundCallRow;
use crate::store::media::recordings::Records;
use crate::store::watch::handsets::HandsetRow;
use crate::store::{Announcement, Work};
use crate::telemetry::InboundCall;

/// So many characters of what a handset calls a call, and of the numbers in it.
const LONGEST: usize = 200;

/// Nobody calls back more often than this, in this time: a number can be forged, and a call that is taken keeps a channel.
const MOST_CALLS: i64 = 5;
const CALLS_WITHIN: TimeDelta = TimeDelta::minutes(10);

/// What a handset is told about a call that comes in: to take it.
#[derive(Clone, Debug)]
pub struct CalledBack {
    /// The name of the call from then on.
    pub mid: String,
    /// What it is about, and whom it is with.
    pub details: OfferDetails,
    /// Nothing of it burns any more.
    pub over: bool,
    /// Why its handset records.
    pub records: Option<Records>,
}

/// A call that comes in and is taken, or will be.
#[derive(Clone, Debug)]
pub enum ComesIn {
    /// By whoever was rung about an alarm lately.
    CallsBack(Box<CalledBack>),
    /// A program decides.
    ForProgram(ForProgram),
}

/// What becomes of a call that comes in.
enum Came {
    /// It is taken.
    New(CalledBack),
    /// It was taken before, and goes on.
    Again(CalledBack),
    /// Nobody is there for it.
    Refused(InboundCall),
}

impl Engine {
    /// A call comes in on a handset. `None`: nobody is there for it; why, is counted and logged.
    ///
    /// # Errors
    /// When the database fails; nothing was stored then.
    pub async fn incoming(&self, handset: &HandsetRow, call: &Incoming) -> Result<Option<ComesIn>, EngineError> {
        let why = match self.came_in(handset, call).await? {
            Came::New(told) => {
                self.metrics.inbound_calls.inc(InboundCall::Taken);
                return Ok(Some(ComesIn::CallsBack(Box::new(told))));
            }
            Came::Again(told) => return Ok(Some(ComesIn::CallsBack(Box::new(told)))),
            Came::Refused(why) => why,
        };
        if matches!(why, InboundCall::UnknownCaller | InboundCall::NothingRecent | InboundCall::Over)
            && let Some(for_program) = self.comes_in_for_program(handset, call).await?
        {
            self.metrics.inbound_calls.inc(InboundCall::Taken);
            return Ok(Some(ComesIn::ForProgram(for_program)));
        }
        self.metrics.inbound_calls.inc(why);
        let (handset, reason, number) = (&handset.name, why.as_str(), masked(&call.from));
        match why {
            // Whatever anybody sends.
            InboundCall::Malformed => tracing::debug!(handset.name = %handset, reason, "a caller is refused"),
            InboundCall::NotAllowed | InboundCall::UnknownCaller => {
                tracing::debug!(handset.name = %handset, reason, number, "a caller is refused");
            }
            _ => tracing::info!(handset.name = %handset, reason, number, "a caller is refused"),
        }
        Ok(None)
    }

    /// What becomes of a call that comes in.
    async fn came_in(&self, handset: &HandsetRow, call: &Incoming) -> Result<Came, EngineError> {
        let refused = |why| Ok(Came::Refused(why));
        let now = self.clock.now();
        let may = handset.inbound && handset.can(Capability::Inbound) && handset.speaks() && handset.disabled_at.is_none();
        let is_word = |text: &String| text.chars().count() <= LONGEST && !text.chars().any(char::is_control);
        if !may || !(0..handset.usable_channels()).contains(&call.channel) {
            return refused(InboundCall::NotAllowed);
        }
        if ![&call.id, &call.from, &call.to].into_iter().all(is_word) {
            return refused(InboundCall::Malformed);
        }
        let Ok(parsed) = Number::parse(&call.from, self.region_of(handset)) else { return refused(InboundCall::Malformed) };
        // A stranger's call must not keep phones from the writer.
        let (is_known, numbers) = {
            let mut reader = self.store.read().await?;
            let known = reader.db().inbound_call_told_as(handset.id, &call.id).await?.is_some();
            (known, replies::numbers_of(&mut reader.db(), parsed.number.clone()).await?)
        };
        let word = Word { reply: Reply::Confirm, code: None, text: "", numbers: &numbers, written_at: now, now };
        let window = delta(self.config.sms.reply_window);
        if !is_known {
            let mut reader = self.store.read().await?;
            match replies::given(&mut reader.db(), &word, window).await? {
                Some(given) if !given.test => {}
                None if reader.db().person_with_number(parsed.number.as_str()).await?.is_none() => {
                    return refused(InboundCall::UnknownCaller);
                }
                Some(_) | None => return refused(InboundCall::NothingRecent),
            }
        }
        let has_room = handset.can(Capability::Record) && self.would_record(false).is_some() && self.has_room().await?;
        let mut work = self.work_at(now, Doer::Handset { name: handset.name.clone() }).await?;
        let given = replies::given(&mut work.db(), &word, window).await?;
        let alarms = match given.as_ref().filter(|given| !given.test) {
            Some(given) => work.db().alarms_in_call(given.hunt_id, given.offered_at).await?,
            None => Vec::new(),
        };
        // Hunts before the handset, as whoever gives it a dial locks them.
        lock_hunts_of(&mut work, &alarms).await?;
        // Whoever gives this handset a dial waits for this, and then sees that the channel is in use.
        work.db().lock_handset(handset.id).await?;
        if let Some(known) = work.db().inbound_call_told_as(handset.id, &call.id).await? {
            let told = if known.is_open(now) { told_of(&mut work, &known).await? } else { None };
            return Ok(told.map_or(Came::Refused(InboundCall::Over), Came::Again));
        }
        let Some(given) = given.filter(|given| !given.test) else { return refused(InboundCall::NothingRecent) };
        let Some(alarm) = foremost(work.db().alarms_among(&alarms).await?) else { return refused(InboundCall::NothingRecent) };
        if work.db().count_inbound_of(parsed.number.as_str(), now - CALLS_WITHIN).await? >= MOST_CALLS {
            return refused(InboundCall::TooOften);
        }
        if is_needed(&mut work, handset, call.channel).await? {
            return refused(InboundCall::NoFreeChannel);
        }
        work.db().end_inbound_on(handset.id, call.channel, now).await?;
        let has_own_words = work.db().barista_call(alarm.id).await?.is_some();
        let row = InboundCallRow {
            mid: new_mid(now),
            handset_id: handset.id,
            told_as: call.id.clone(),
            channel: call.channel,
            caller: call.from.clone(),
            called: call.to.clone(),
            number: parsed.number.as_str().to_owned(),
            hunt_id: alarm.hunt_id,
            callee_id: given.callee_id,
            alarms: alarms.into(),
            at: now,
            deadline: ringing::deadline_at_work(now, now, now, TimeDelta::zero(), longest()),
            ended_at: None,
            action: None,
            acted_at: None,
            records: self.would_record(has_own_words).filter(|_| has_room),
        };
        if !work.db().insert_inbound_call(&row).await? {
            return Err(EngineError::Contended);
        }
        let callee = work.db().callee(given.callee_id).await?.map(|(_, callee)| callee);
        let name = callee.as_ref().and_then(|callee| callee.name.clone());
        let person = callee.and_then(|callee| callee.person_id);
        work.db().begin_inbound_record(&row, name.as_deref(), person, &handset.name, AlarmKind::Alarm).await?;
        let event = Event::CalledBack {
            mid: row.mid.clone(),
            callee: row.callee_id,
            name,
            number: row.number.clone(),
            handset: handset.name.clone(),
        };
        work.db().insert_event(None, Some(row.hunt_id), now, &event).await?;
        let Some(told) = told_of(&mut work, &row).await? else { return refused(InboundCall::NothingRecent) };
        work.announce(Announcement::Calls);
        work.commit().await?;
        tracing::info!(dial.mid = short_mid(&row.mid), handset.name = %handset.name, "somebody calls back");
        Ok(Came::New(told))
    }

    /// The country whose national form a handset writes numbers in.
    fn region_of(&self, handset: &HandsetRow) -> Region {
        handset.country.parse().unwrap_or(self.region())
    }

    /// Takes in how far a call that came in has got, and what a key says in it. What nobody knows is not wanted.
    ///
    /// # Errors
    /// When the database fails; nothing was stored then, and a key is to be told again.
    pub(in crate::engine) async fn inbound_progress(&self, mid: &str, progress: &Progress) -> Result<Heard, EngineError> {
        if let Some(heard) = self.rpc_inbound_progress(mid, progress).await? {
            return Ok(heard);
        }
        let now = self.clock.now();
        let Some((mut work, call, _)) = self.inbound(mid, now).await? else { return Ok(Heard::default()) };
        let wanted = call.is_open(now);
        call_records::hear(&mut work, mid, 0, call_record::progress(progress, now)).await?;
        if let Some(name) = progress.value.as_deref().filter(|_| progress.event.as_deref() == Some("recording")) {
            name_recordings(&mut work, &call, &[Recording { id: name.to_owned(), ..Recording::default() }]).await?;
        }
        let word = progress.event.as_deref().filter(|event| *event == "key").and(progress.action.as_deref());
        let say = match word.and_then(KeyAction::parse) {
            Some(action) => self.said_in_call(&mut work, &call, action, spoken_at(&call, None, now)).await?,
            None => None,
        };
        if progress.state == Some(ProgressState::Ended) {
            work.db().end_inbound_call(mid, now).await?;
        } else if wanted {
            let deadline = ringing::deadline_at_work(now, call.deadline, call.at, TimeDelta::zero(), longest());
            work.db().inbound_goes_on(mid, deadline).await?;
        }
        work.announce(Announcement::Calls);
        work.commit().await?;
        Ok(Heard { wanted, say })
    }

    /// Takes in the report of a call that came in; `None` when there was none of that name.
    ///
    /// # Errors
    /// When the database fails; the report was not stored then.
    pub(in crate::engine) async fn inbound_report(&self, report: &Report) -> Result<Option<Reported>, EngineError> {
        if let Some(reported) = self.rpc_inbound_report(report).await? {
            return Ok(Some(reported));
        }
        let now = self.clock.now();
        let Some((mut work, call, region)) = self.inbound(&report.mid, now).await? else { return Ok(None) };
        let rings = [DialledCallee { callee: call.callee_id, number: call.number.clone(), attempts: 1 }];
        let late = !call.is_open(now);
        let known = work.db().heard_of_calls(&call.mid).await?;
        let was_reported = known.iter().filter_map(HeardRow::heard).any(|heard| heard.is_reported());
        let told = Reporting { report, region, at: now, late, guesses: false };
        let heard = call_record::report(&rings, told).into_iter().next().unwrap_or_default();
        call_records::hear(&mut work, &call.mid, 0, heard).await?;
        if let Some(own) = report.calls.first() {
            name_recordings(&mut work, &call, &own.recordings).await?;
        }
        let said = report.calls.first().and_then(|own| match own.action.as_deref().and_then(KeyAction::parse) {
            Some(action) => Some(action),
            None if own.declined => Some(KeyAction::Decline),
            None => (own.confirmed == Some(true)).then_some(KeyAction::Accept),
        });
        if let Some(action) = said {
            let ended = report.calls.first().and_then(|own| own.ended_ms);
            self.said_in_call(&mut work, &call, action, spoken_at(&call, ended, now)).await?;
        }
        work.db().end_inbound_call(&call.mid, now).await?;
        work.announce(Announcement::Calls);
        // Its channel can be given a call again.
        work.announce(Announcement::Hunts);
        work.commit().await?;
        Ok(Some(if was_reported { Reported::Duplicate } else { Reported::Answered }))
    }

    /// A call that came in, locked, and the country whose national form its handset writes numbers in.
    async fn inbound(&self, mid: &str, now: DateTime<Utc>) -> Result<Option<(Work, InboundCallRow, Region)>, EngineError> {
        let known = {
            let mut reader = self.store.read().await?;
            match reader.db().inbound_call(mid).await? {
                Some(call) => reader.db().handset(call.handset_id).await?.map(|handset| (handset, call.alarms.0)),
                None => return Ok(None),
            }
        };
        let Some((handset, alarms)) = known else { return Ok(None) };
        let mut work = self.work_at(now, Doer::Handset { name: handset.name.clone() }).await?;
        // What is said in it is about these, and hunts are locked before everything else.
        lock_hunts_of(&mut work, &alarms).await?;
        let call = work.db().lock_inbound_call(mid).await?;
        Ok(call.map(|call| (work, call, self.region_of(&handset))))
    }

    /// Does what a key says: what a text message of the same meaning would do. The first word counts; told again it does nothing, nor does
    /// one that comes after something which they said later. Gives a sentence for the caller.
    async fn said_in_call(
        &self,
        work: &mut Work,
        call: &InboundCallRow,
        action: KeyAction,
        spoken_at: DateTime<Utc>,
    ) -> Result<Option<String>, EngineError> {
        let now = work.now();
        let is_first = work.db().said_in_inbound(&call.mid, action, spoken_at).await?;
        let alarms = call.alarms.0.as_slice();
        let numbers = replies::numbers_of(&mut work.db(), Number::from_stored(call.number.clone())).await?;
        let word = Word { reply: Reply::Confirm, code: None, text: "", numbers: &numbers, written_at: spoken_at, now };
        let mut counts = is_first;
        for alarm in alarms {
            counts = counts && !replies::is_outdated(work, &word, Some(*alarm), Some(&call.mid)).await?;
        }
        // Whoever takes it is told who has it, also again: the answer may have been lost.
        let asks_again = action == KeyAction::Accept && call.action.is_none_or(|said| said == KeyAction::Accept);
        if !(counts || asks_again) {
            return Ok(None);
        }
        let by = work.by().clone();
        work.announce(Announcement::Hunts);
        if action != KeyAction::Accept {
            self.decline_in(work, alarms, call.callee_id, &Actor::nameless(by), None).await?;
            return Ok(None);
        }
        if !counts {
            let taken_by = replies::taken_by(work, &word, alarms.first().copied()).await?;
            let Some(told) = told_of(work, call).await? else { return Ok(None) };
            let outcome = if told.over { HuntOutcome::Cancelled } else { HuntOutcome::Answered };
            return Ok(script::too_late(Some(outcome), taken_by.as_deref(), &language_of(&told.details)));
        }
        let taken_by = replies::taken_by(work, &word, alarms.first().copied()).await?;
        let taking = Acknowledgement {
            number: Some(call.number.clone()),
            callee: Some(call.callee_id),
            heard_at: Some(call.at),
            doer: by,
            ..Acknowledgement::default()
        };
        let acted = self.take_in(work, alarms, &taking).await?;
        let over = acted.iter().all(|acted| acted.effect == Effect::Over);
        let Some(told) = told_of(work, call).await? else { return Ok(None) };
        let language = language_of(&told.details);
        let outcome = if over { HuntOutcome::Cancelled } else { HuntOutcome::Answered };
        Ok(script::too_late(Some(outcome), taken_by.as_deref(), &language))
    }
}

/// When a word was said in a call, as far as is known: no later than its end by the handset's own count, or than it was last heard of.
fn spoken_at(call: &InboundCallRow, ended_ms: Option<u64>, now: DateTime<Utc>) -> DateTime<Utc> {
    let by_its_count = ended_ms.and_then(|ms| i64::try_from(ms).ok()).and_then(TimeDelta::try_milliseconds);
    let heard_of = if call.is_open(now) { now } else { call.ended_at.unwrap_or(call.deadline) };
    by_its_count.and_then(|after| call.at.checked_add_signed(after)).unwrap_or(heard_of).min(now)
}

/// In which language a caller is spoken to.
fn language_of(details: &OfferDetails) -> String {
    let of_person = details.callees.iter().find_map(|(_, language)| language.as_deref());
    let told = details.barista.as_ref().map(|call| call.language.as_str()).or(of_person);
    script::language_of(told, &details.alarm.summary)
}

/// What a caller hears about an alarm of which nothing burns any more, and in which language.
#[must_use]
pub fn over(details: &OfferDetails) -> (Option<String>, String) {
    let language = language_of(details);
    (script::too_late(Some(HuntOutcome::Cancelled), None, &language), language)
}

/// The longest that a call lasts.
fn longest() -> TimeDelta {
    TimeDelta::seconds(i64::try_from(script::LONGEST_CALL).unwrap_or(0))
}

/// Whether a channel is in use, or is the last one that is free while somebody is to be rung.
async fn is_needed(work: &mut Work, handset: &HandsetRow, channel: i32) -> Result<bool, EngineError> {
    let now = work.now();
    let mut used = work.db().open_channels(handset.id).await?;
    if used.contains(&channel) {
        return Ok(true);
    }
    let calls = work.db().inbound_calls_on(handset.id).await?;
    used.extend(calls.into_iter().filter(|call| call.is_open(now)).map(|call| call.channel));
    if (0..handset.usable_channels()).any(|other| other != channel && !used.contains(&other)) {
        return Ok(false);
    }
    Ok(work.db().earliest_due().await?.iter().any(|wanted| wanted.kind.is_alarm() && wanted.due_at <= now))
}

/// Notes the recordings that a handset tells of in a call that came in.
pub(in crate::engine) async fn name_recordings(
    work: &mut Work,
    call: &InboundCallRow,
    told: &[Recording],
) -> Result<(), EngineError> {
    // What it was about may have been forgotten.
    if told.is_empty() || work.db().hunt(call.hunt_id).await?.is_none() {
        return Ok(());
    }
    let now = work.now();
    let person = work.db().callee(call.callee_id).await?.and_then(|(_, callee)| callee.person_id);
    let spoken = Spoken { mid: &call.mid, hunt: call.hunt_id, number: &call.number, callee: Some(call.callee_id), person };
    Ok(recordings::name(&mut work.db(), &spoken, told, now).await?)
}

/// Locks the hunts of these alarms, in the order of their ids.
async fn lock_hunts_of(work: &mut Work, alarms: &[AlarmId]) -> Result<(), EngineError> {
    let mut hunts: Vec<HuntId> = work.db().alarms_among(alarms).await?.iter().map(|alarm| alarm.hunt_id).collect();
    hunts.sort_unstable();
    hunts.dedup();
    for hunt in hunts {
        work.db().lock_hunt(hunt).await?;
    }
    Ok(())
}

/// What a handset is told of a call that came in; `None` where its alarms were forgotten meanwhile.
async fn told_of(work: &mut Work, call: &InboundCallRow) -> Result<Option<CalledBack>, EngineError> {
    let rows = work.db().alarms_among(&call.alarms.0).await?;
    let fires = |alarm: &&AlarmRow| !matches!(alarm.state(), AlarmState::Cancelled | AlarmState::Resolved);
    let firing = rows.iter().filter(fires).count();
    let Some(alarm) = foremost(rows) else { return Ok(None) };
    let callee = work.db().callee(call.callee_id).await?.map(|(_, callee)| callee);
    let person = match callee.as_ref().and_then(|callee| callee.person_id) {
        Some(id) => work.db().person(id).await?,
        None => None,
    };
    let named = (callee.and_then(|callee| callee.name), person.map(|person| person.language));
    let barista = work.db().barista_call(alarm.id).await?;
    let details = OfferDetails { alarm, callees: vec![named], barista, others: firing.saturating_sub(1) };
    Ok(Some(CalledBack { mid: call.mid.clone(), details, over: firing == 0, records: call.records }))
}
