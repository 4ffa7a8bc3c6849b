//! The next call of a shout for a handset that asks: in which its message is spoken, or delivered.

use std::time::Duration;

use android_protocol::voice::script::Clip;
use android_protocol::wire::Capability;
use chrono::{DateTime, TimeDelta, Utc};

use super::lives;
use crate::engine::hunt::claim::{Asker, Offer, Step};
use crate::engine::{Engine, EngineError, delta};
use crate::ids::{self, CalleeId};
use crate::lock::{Acquired, LockGuard};
use crate::numbers::Number;
use crate::shout::course::Word;
use crate::shout::message::Recorded;
use crate::shout::{RecordingStep, ShoutStatus, calls, message};
use crate::store::alarm::dials::{NewDial, NewTarget};
use crate::store::alarm::hunts::{CalleeRow, HuntRow};
use crate::store::media::clips::ClipRow;
use crate::store::media::recordings::Records;
use crate::store::shouts::calls::ShoutCallRow;
use crate::store::shouts::rows::ShoutRow;
use crate::store::{Announcement, Work};

/// How long the lock on a number lives should this node die while it claims.
const CLAIM_LOCK: Duration = Duration::from_secs(5);
/// A number that is in another call is tried again after this.
const NUMBER_BUSY: TimeDelta = TimeDelta::seconds(5);
/// Nothing is looked at twice within this.
const SHORTEST_WAIT: TimeDelta = TimeDelta::seconds(1);
/// At most so many recipients who may not be called any more are taken off in one poll.
const MOST_TAKEN_OFF: usize = 50;
/// The place of whoever speaks the message among the callees of the hunt: behind all recipients.
const CALLER_PLACE: i32 = i32::MAX;

/// Whom to call.
struct Call {
    callee: CalleeRow,
    /// They are callee of the hunt already.
    is_known: bool,
}

/// What a poll finds.
enum Next {
    /// Nothing before then.
    Wait(DateTime<Utc>),
    /// Nothing at all, as far as is known.
    Nothing,
    /// The caller is called, to speak the message.
    Record(Call),
    /// A recipient is called.
    Deliver(Box<ShoutCallRow>, Call),
}

impl Engine {
    /// Moves the locked hunt of a shout on: hand out, or wait.
    pub(in crate::engine) async fn advance_shout(
        &self,
        work: &mut Work,
        hunt: &HuntRow,
        asker: &Asker,
        locks: &mut Vec<LockGuard>,
    ) -> Result<Step, EngineError> {
        let now = work.now();
        let far = hunt.begin_before;
        let Some(shout) = work.db().shout_of_hunt(hunt.id).await? else {
            work.db().set_hunt_due(hunt.id, far, far, now).await?;
            return Ok(Step::NextHunt);
        };
        let next = self.next_call(work, &shout, asker).await?;
        let (call, recipient) = match next {
            Next::Wait(until) => {
                work.db().set_hunt_due(hunt.id, until.max(now + TimeDelta::milliseconds(1)), far, now).await?;
                return Ok(Step::NextHunt);
            }
            Next::Nothing => {
                work.db().set_hunt_due(hunt.id, far, far, now).await?;
                self.settle_shout(work, shout).await?;
                return Ok(Step::NextHunt);
            }
            Next::Record(call) => (call, None),
            Next::Deliver(recipient, call) => (call, Some(recipient)),
        };
        let dial = self.dial_for(hunt, &call.callee, asker, now);
        if !self.call_out(work, &call, &dial, locks).await? {
            // Somebody else rings that phone, or gave this channel a call.
            if let Some(recipient) = &recipient {
                work.db().put_shout_call_off(recipient.id, now + NUMBER_BUSY).await?;
            }
            work.db().set_hunt_due(hunt.id, now + SHORTEST_WAIT, far, now).await?;
            return Ok(Step::NextHunt);
        }
        match &recipient {
            Some(recipient) => self.is_delivered(work, &shout, recipient, &call, (&dial.mid, asker)).await?,
            None => {
                work.db().tell_dial(&dial.mid, None, Some(Records::Message)).await?;
                self.tell_shout(work, &shout, Word::Step(RecordingStep::Placed)).await?;
            }
        }
        work.db().begin_call_records(hunt, std::slice::from_ref(&call.callee), &dial, &asker.handset).await?;
        work.db().reserve_attempts(call.callee.id, 1, now).await?;
        // The others go out beside it.
        let due_at = if recipient.is_some() { now } else { far };
        work.db().hunt_handed_out(hunt.id, due_at, far, now).await?;
        work.announce(Announcement::Calls);
        Ok(Step::HandedOut(Offer {
            mid: dial.mid,
            hunt_id: hunt.id,
            phones: dial.phones,
            deadline: dial.deadline,
            asks_key: true,
            counted_at: now,
        }))
    }

    async fn next_call(&self, work: &mut Work, shout: &ShoutRow, asker: &Asker) -> Result<Next, EngineError> {
        let now = work.now();
        let records = shout.status == ShoutStatus::Pending && shout.step == RecordingStep::NoCall;
        match shout.status {
            ShoutStatus::Scheduled if shout.schedule.is_some_and(|at| at > now) => {
                return Ok(Next::Wait(shout.schedule.unwrap_or(now)));
            }
            ShoutStatus::Ready | ShoutStatus::Scheduled | ShoutStatus::Ongoing => {}
            _ if records => {}
            _ => return Ok(Next::Nothing),
        }
        if !asker.handset.bulk && !self.leaves_enough(work, asker).await? {
            return Ok(Next::Wait(now + SHORTEST_WAIT));
        }
        if records { self.caller_of(work, shout).await } else { self.next_recipient(work, shout).await }
    }

    /// Whoever is to speak the message.
    async fn caller_of(&self, work: &mut Work, shout: &ShoutRow) -> Result<Next, EngineError> {
        let now = work.now();
        let Ok(parsed) = Number::parse(&shout.caller, self.region()) else {
            tracing::info!(shout = shout.id, "the caller of this shout is no number: its message cannot be spoken");
            self.tell_shout(work, shout, Word::CannotRecord).await?;
            return Ok(Next::Nothing);
        };
        if work.db().forbidden(parsed.number.as_str()).await?.is_some() {
            self.tell_shout(work, shout, Word::CannotRecord).await?;
            return Ok(Next::Nothing);
        }
        let callee = callee(CalleeId::new(now), CALLER_PLACE, parsed.number.as_str(), parsed.known_to_plan);
        Ok(Next::Record(Call { callee, is_known: false }))
    }

    /// Whether enough channels are left to alarms once this handset has one more call.
    pub(in crate::engine) async fn leaves_enough(&self, work: &mut Work, asker: &Asker) -> Result<bool, EngineError> {
        let now = work.now();
        let voices = work.db().voices().await?;
        let own = |id| id == asker.handset.id;
        let free: i32 = voices
            .iter()
            .filter(|voice| !voice.bulk && (own(voice.id) || lives(voice, &self.presence, now)))
            .map(|voice| voice.free)
            .sum();
        Ok(free.saturating_sub(1) >= i32::try_from(self.config.shouts.keep_free).unwrap_or(i32::MAX))
    }

    async fn next_recipient(&self, work: &mut Work, shout: &ShoutRow) -> Result<Next, EngineError> {
        let now = work.now();
        let pace = self.config.shouts.pace();
        // Tries come when they are due; whoever is called first waits for the pause of their batch.
        let message = TimeDelta::seconds(i64::from(shout.seconds));
        let offset = pace.offset(u32::try_from(shout.sent).unwrap_or(0), message);
        let turn = shout.started_at.and_then(|first| first.checked_add_signed(offset)).unwrap_or(now);
        for _ in 0..MOST_TAKEN_OFF {
            let again = work.db().next_shout_call_again(shout.id, now).await?;
            let next = match again {
                None if turn <= now => work.db().next_shout_call(shout.id).await?,
                again => again,
            };
            let Some(call) = next else {
                let later = work.db().next_shout_call_at(shout.id).await?;
                let first = turn > now && work.db().next_shout_call(shout.id).await?.is_some();
                let until = later.into_iter().chain(first.then_some(turn)).min();
                return Ok(until.map_or(Next::Nothing, Next::Wait));
            };
            let Some(number) = call.number.clone() else {
                self.tell_call(work, shout, &call, calls::Word::BadNumber).await?;
                continue;
            };
            let barred = work.db().forbidden(&number).await?.is_some()
                || work.db().has_opted_out(shout.key_id, &shout.userdata, &number).await?;
            if barred {
                self.tell_call(work, shout, &call, calls::Word::Barred).await?;
                continue;
            }
            let (counted, out) = work.db().lock_shout_pace().await?;
            return match pace.admits(counted, u32::try_from(out).unwrap_or(0), now) {
                Err(at) => Ok(Next::Wait(at)),
                Ok(out) => {
                    work.db().set_shout_pace(now.max(counted), i32::try_from(out).unwrap_or(i32::MAX)).await?;
                    let known = call.callee_id;
                    let callee = callee(known.unwrap_or(CalleeId::new(now)), call.place, &number, true);
                    Ok(Next::Deliver(Box::new(call), Call { callee, is_known: known.is_some() }))
                }
            };
        }
        Ok(Next::Wait(now))
    }

    fn dial_for(&self, hunt: &HuntRow, callee: &CalleeRow, asker: &Asker, now: DateTime<Utc>) -> NewDial {
        let country = asker.handset.country.parse().unwrap_or(self.region());
        let ring = Duration::from_secs(u64::try_from(asker.handset.ring_seconds).unwrap_or(0));
        NewDial {
            mid: ids::new_mid(now),
            hunt_id: hunt.id,
            handset_id: Some(asker.handset.id),
            exclusive: false,
            phones: vec![Number::from_stored(callee.number.as_str()).dial_string(country)],
            offered_at: now,
            deadline: now + delta(self.config.handsets.dial_time(1, ring)),
            line_free_at: None,
            profile: Some(asker.profile),
            asks_key: true,
            channel: asker.channel,
            targets: vec![NewTarget { callee_id: callee.id, number: callee.number.clone(), attempts: 1 }],
        }
    }

    /// Keeps a dial with its callee; false, and nothing kept, where somebody else rings that phone.
    async fn call_out(
        &self,
        work: &mut Work,
        call: &Call,
        dial: &NewDial,
        locks: &mut Vec<LockGuard>,
    ) -> Result<bool, EngineError> {
        let names: Vec<String> = dial.targets.iter().map(|target| format!("number:{}", target.phone())).collect();
        match self.locks.try_lock_all(&names, CLAIM_LOCK).await {
            Acquired::Held(guard) => locks.push(guard),
            Acquired::Taken => return Ok(false),
            // The unique indexes decide all the same.
            Acquired::Unavailable => {}
        }
        let now = work.now();
        work.db().savepoint().await?;
        if !call.is_known {
            work.db().insert_callee(dial.hunt_id, &call.callee).await?;
        }
        if work.db().is_phone_busy(&call.callee.phone(), now).await?
            || !work.db().insert_dial(dial).await?
            || !work.db().insert_targets(dial).await?
        {
            work.db().rollback_to_savepoint().await?;
            return Ok(false);
        }
        work.db().release_savepoint().await?;
        Ok(true)
    }

    /// A recipient's call goes out.
    async fn is_delivered(
        &self,
        work: &mut Work,
        shout: &ShoutRow,
        recipient: &ShoutCallRow,
        call: &Call,
        (mid, asker): (&str, &Asker),
    ) -> Result<(), EngineError> {
        let records = self.records_delivery(work, asker).await?;
        if shout.media_id.is_some() || records.is_some() {
            work.db().tell_dial(mid, shout.media_id, records).await?;
        }
        if !call.is_known {
            work.db().set_shout_callee(recipient.id, call.callee.id).await?;
            work.db().shout_sent_one(shout.id).await?;
        }
        self.tell_call(work, shout, recipient, calls::Word::HandedOut).await?;
        self.tell_shout(work, shout, Word::HandedOut).await?;
        Ok(())
    }

    /// Why the callee's side of a call that delivers a message is recorded, if it is: to find out what is wrong.
    async fn records_delivery(&self, work: &mut Work, asker: &Asker) -> Result<Option<Records>, EngineError> {
        let config = &self.config.media;
        if !config.debug_recording.is_on() || !asker.handset.can(Capability::Record) {
            return Ok(None);
        }
        let total = work.db().media_total().await?;
        Ok((u64::try_from(total).unwrap_or_default() < config.most_bytes).then_some(Records::Debug))
    }

    /// What is said in a call of a shout; `None` where the hunt is none of a shout.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn shout_script(&self, offer: &Offer) -> Result<Option<android_protocol::voice::script::Script>, EngineError> {
        let mut reader = self.store.read().await?;
        let mut db = reader.db();
        let Some(shout) = db.shout_of_hunt(offer.hunt_id).await? else { return Ok(None) };
        let kept = db.clips_named(message::CLIP_PREFIX).await?;
        let clip = |row: ClipRow| (row.name, Clip { media: row.media_id.to_string(), sha256: Some(row.sha256) });
        let kept = kept.into_iter().map(clip).collect();
        let language = shout.language.clone().unwrap_or_else(|| "en".to_owned());
        let (_, records) = db.told_in_dial(&offer.mid).await?.unwrap_or_default();
        if records == Some(Records::Message) {
            return Ok(Some(message::record_script(&language, &message::clips_for(&language, &kept))));
        }
        let recorded = match records {
            None => Recorded::No,
            Some(_) if self.config.media.say_recorded.is_on() => Recorded::Said,
            Some(_) => Recorded::Unsaid,
        };
        let sound = match shout.media_id {
            Some(id) => db.media(id).await?,
            None => None,
        };
        let said = match sound {
            Some(file) => message::Message::Sound {
                clip: Clip { media: file.id.to_string(), sha256: Some(file.sha256) },
                language,
                seconds: u64::try_from(shout.seconds).unwrap_or(0),
            },
            None => message::Message::Words { text: shout.words.unwrap_or_default(), language: shout.language },
        };
        let clips = message::clips_for(&said.language(), &kept);
        Ok(Some(message::delivery_script(&said, self.config.shouts.times(), &clips, recorded)))
    }
}

/// A callee of a shout's hunt.
fn callee(id: CalleeId, position: i32, number: &str, known_to_plan: bool) -> CalleeRow {
    CalleeRow {
        id,
        step: 0,
        position,
        person_id: None,
        name: None,
        number: number.to_owned(),
        known_to_plan,
        reference: None,
        max_attempts: i32::MAX,
        min_interval_s: 0,
        attempts: 0,
        failed: 0,
        last_offered_at: None,
        after_s: None,
        asked_at: None,
        verdict: None,
    }
}
