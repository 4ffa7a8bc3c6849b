//! What is heard of the calls of shouts: how far they are, which keys were pressed, how they ended.

use android_protocol::voice::detector::Verdict;
use android_protocol::wire::{CallOutcome, FailureDetail, NativeCall, Progress, ProgressState};
use chrono::{DateTime, TimeDelta, Utc};

use crate::alarm::call_record::{self, Reporting};
use crate::alarm::consequences::{Report, Reported};
use crate::alarm::doer::Doer;
use crate::alarm::{DialOutcome, KeyAction, ringing};
use crate::engine::hunt::call_records;
use crate::engine::hunt::progress::Heard;
use crate::engine::hunt::serves::ring_of;
use crate::engine::{Engine, EngineError};
use crate::ids::short_mid;
use crate::shout::course::Word;
use crate::shout::records::{self, Recorded};
use crate::shout::{CallStatus, RecordingStep, calls, message};
use crate::store::alarm::dials::{DialRow, TargetRow};
use crate::store::shouts::calls::ShoutCallRow;
use crate::store::shouts::log::RecordKind;
use crate::store::shouts::opted_out::OptedOutRow;
use crate::store::shouts::rows::ShoutRow;
use crate::store::watch::handsets::HandsetRow;
use crate::store::{Announcement, Work};

/// A line that somebody else uses is left alone for so long.
const LINE_BUSY: TimeDelta = TimeDelta::seconds(15);

/// A call of a shout, locked.
pub(super) struct Own {
    pub(super) shout: ShoutRow,
    pub(super) dial: DialRow,
    pub(super) targets: Vec<TargetRow>,
    /// Whom it goes to; `None`: whoever speaks the message.
    pub(super) recipient: Option<ShoutCallRow>,
}

impl Engine {
    /// The handset that speaks of a dial.
    pub(in crate::engine) async fn who_speaks(&self, dial: &DialRow) -> Result<(Option<HandsetRow>, Doer), EngineError> {
        let handset = match dial.handset_id {
            Some(id) => self.store.read().await?.db().handset(id).await?,
            None => None,
        };
        let by = handset.as_ref().map_or(Doer::Server, |handset| Doer::Handset { name: handset.name.clone() });
        Ok((handset, by))
    }

    pub(super) async fn own_call(&self, work: &mut Work, dial: &DialRow) -> Result<Option<Own>, EngineError> {
        work.db().lock_hunt(dial.hunt_id).await?;
        let Some(shout) = work.db().shout_of_hunt(dial.hunt_id).await? else { return Ok(None) };
        let Some(dial) = work.db().dial(&dial.mid).await? else { return Ok(None) };
        let targets = work.db().targets(&dial.mid).await?;
        let recipient = match targets.first() {
            Some(target) => work.db().shout_call_of(target.callee_id).await?,
            None => None,
        };
        Ok(Some(Own { shout, dial, targets, recipient }))
    }

    /// Takes in how far a call of a shout is, and which key was pressed in it.
    pub(in crate::engine) async fn shout_progress(
        &self,
        dial: &DialRow,
        progress: &Progress,
        now: DateTime<Utc>,
    ) -> Result<Heard, EngineError> {
        let heard = call_record::progress(progress, now);
        if dial.closed_at.is_some() && !call_records::is_news(&mut self.store.read().await?.db(), &dial.mid, 0, &heard).await? {
            // It is not wanted any more, and was heard of before.
            return Ok(Heard::default());
        }
        let by = self.who_speaks(dial).await?.1;
        let mut work = self.work_at(now, by).await?;
        let Some(own) = self.own_call(&mut work, dial).await? else { return Ok(Heard::default()) };
        let mid = own.dial.mid.clone();
        call_records::hear(&mut work, &mid, 0, heard).await?;
        let open = own.dial.closed_at.is_none();
        // One that has given way to an alarm goes on until its handset hears of it.
        let gave_way = |recipient: &ShoutCallRow| matches!(recipient.status, CallStatus::Completed | CallStatus::Cancelled);
        let wanted = open && !own.recipient.as_ref().is_some_and(gave_way);
        if wanted {
            let state = progress.state.map_or("unknown", ProgressState::as_str);
            work.db().set_progress(&mid, 0, state, now).await?;
            if progress.state == Some(ProgressState::Connected) {
                work.db().connected(&mid, 0, now).await?;
            }
            let ring = ring_of(&mut work.db(), own.dial.handset_id).await?;
            let longest = match own.recipient {
                Some(_) => message::longest_delivery(u64::try_from(own.shout.seconds).unwrap_or(0)),
                None => message::LONGEST_RECORDING_CALL,
            };
            let longest = TimeDelta::seconds(i64::try_from(longest).unwrap_or(0));
            let deadline = ringing::deadline_at_work(now, own.dial.deadline, own.dial.offered_at, ring, longest);
            if deadline > own.dial.deadline {
                work.db().at_work(&mid, deadline).await?;
            }
        }
        let word = |event: &str| progress.event.as_deref() == Some(event);
        if word("key") && progress.action.as_deref().and_then(KeyAction::parse) == Some(KeyAction::StopCalling) {
            self.opts_out(&mut work, &own).await?;
        }
        if own.recipient.is_none() && open {
            if word("recording")
                && let Some(name) = progress.value.as_deref()
            {
                Self::name_recording(&mut work, &own.dial, &progress.number, name).await?;
            }
            // That somebody has picked up is no state of the menu.
            let answered = progress.state == Some(ProgressState::Connected) && own.shout.step < RecordingStep::Answered;
            let step = progress.value.as_deref().filter(|_| word("state")).and_then(message::step_of);
            let step = step.or(answered.then_some(RecordingStep::Answered));
            if let Some(step) = step {
                self.recording_got_to(&mut work, &own.dial.mid, own.shout.clone(), step).await?;
            }
        }
        work.announce(Announcement::Calls);
        work.commit().await?;
        Ok(Heard { wanted, say: None })
    }

    /// A recording got that far; where its message is stored already, it goes out.
    async fn recording_got_to(
        &self,
        work: &mut Work,
        mid: &str,
        mut shout: ShoutRow,
        step: RecordingStep,
    ) -> Result<(), EngineError> {
        let stored = work.db().latest_recording_of(mid).await?.and_then(|latest| latest.media_id);
        if step == RecordingStep::Confirmed && shout.media_id.is_some() && shout.media_id != stored {
            // What is stored is of an earlier try: the one that they mean is on its way.
            work.db().drop_shout_message(shout.id).await?;
            shout.media_id = None;
        }
        self.tell_shout(work, &shout, Word::Step(step)).await.map(|_| ())
    }

    /// Somebody wants no more of it.
    async fn opts_out(&self, work: &mut Work, own: &Own) -> Result<(), EngineError> {
        let Some(recipient) = &own.recipient else { return Ok(()) };
        let Some(number) = recipient.number.clone() else { return Ok(()) };
        let ended_at = what_is_known(work, &own.dial.mid).await?.and_then(|known| known.ended.at);
        let row = OptedOutRow {
            key_id: own.shout.key_id,
            userdata: own.shout.userdata.clone(),
            number,
            phone: recipient.phone.clone(),
            shout_id: own.shout.id,
            // Of a key that is told of after the call no more is known than that it was pressed in it.
            at: ended_at.unwrap_or(work.now()).min(work.now()),
        };
        if work.db().opt_out_of_shouts(&row).await? {
            tracing::info!(shout = own.shout.id, dial.mid = short_mid(&own.dial.mid), "a recipient opted out");
        }
        self.tell_call(work, &own.shout, recipient, calls::Word::OptedOut).await.map(|_| ())
    }

    /// Takes in a report about a call of a shout.
    pub(in crate::engine) async fn shout_report(&self, report: &Report, dial: &DialRow) -> Result<Reported, EngineError> {
        let now = self.clock.now();
        let (handset, by) = self.who_speaks(dial).await?;
        let region = handset.as_ref().and_then(|handset| handset.country.parse().ok()).unwrap_or(self.region());
        let guesses = handset.as_ref().is_some_and(HandsetRow::guesses);
        let mut work = self.work_at(now, by).await?;
        let Some(own) = self.own_call(&mut work, dial).await? else { return Ok(Reported::Unknown) };
        let was_reported = own.dial.reported_at.is_some();
        let late = own.dial.closed_at.is_some();
        let rung = own.dial.standing(&own.targets);
        let told = Reporting { report, region, at: now, late, guesses };
        call_records::hear_report(&mut work, &own.dial.mid, &rung.rings, told).await?;
        let call = report.calls.first();
        let answered = report.resp.is_some() || call.is_some_and(|call| call.outcome == Some(CallOutcome::Answered));
        if !was_reported {
            self.close_reported(&mut work, &own.dial, answered, report.resp.as_deref()).await?;
            self.rest_after(&mut work, &own.dial, call).await?;
        }
        if let Some(call) = call {
            let callees = work.db().callees_of_dial(&own.dial.mid).await?;
            Self::name_recordings(&mut work, &own.dial, &rung, &callees, std::slice::from_ref(call)).await?;
        }
        let action = call.and_then(|call| call.action.as_deref()).and_then(KeyAction::parse);
        if action == Some(KeyAction::StopCalling) {
            self.opts_out(&mut work, &own).await?;
        }
        if !was_reported {
            self.is_over(&mut work, &own, call, answered, action).await?;
        }
        if let Some(shout) = work.db().shout_of_hunt(own.dial.hunt_id).await? {
            self.settle_shout(&mut work, shout).await?;
        }
        if let Some(handset) = own.dial.handset_id {
            let returned = work.db().channel_returned(handset, own.dial.channel).await?;
            if work.db().handset_reported(handset).await? || returned {
                work.announce(Announcement::Handsets);
            }
        }
        // Its number and its channel are free: whoever waits for either is woken.
        work.announce(Announcement::Shouts);
        work.commit().await?;
        Ok(match (was_reported, late, answered) {
            (true, ..) => Reported::Duplicate,
            (_, false, true) => Reported::Answered,
            (_, false, false) => Reported::Nobody,
            (_, true, true) => Reported::LateAnswered,
            (_, true, false) => Reported::LateNobody,
        })
    }

    /// Closes a dial by its report, which may be late.
    pub(in crate::engine) async fn close_reported(
        &self,
        work: &mut Work,
        dial: &DialRow,
        answered: bool,
        resp: Option<&str>,
    ) -> Result<(), EngineError> {
        let now = work.now();
        let mid = dial.mid.as_str();
        if dial.closed_at.is_none() {
            let outcome = if answered { DialOutcome::Answered } else { DialOutcome::Nobody };
            work.db().close_reported_dial(mid, outcome, resp, now, None).await?;
            work.tally.dials.push(outcome);
        } else if let Some(resp) = resp.filter(|_| answered) {
            work.db().late_answer(mid, resp, now).await?;
        } else {
            work.db().late_nobody(mid, now, None).await?;
        }
        Ok(())
    }

    /// A handset that cannot make calls rests, as it does after the calls of alarms.
    pub(in crate::engine) async fn rest_after(
        &self,
        work: &mut Work,
        dial: &DialRow,
        call: Option<&NativeCall>,
    ) -> Result<(), EngineError> {
        let now = work.now();
        let (Some(handset), Some(call)) = (dial.handset_id, call) else { return Ok(()) };
        match (call.outcome, call.detail) {
            (Some(CallOutcome::NotDialled), _) => work.db().rest_channel(handset, dial.channel, now + LINE_BUSY).await?,
            (Some(CallOutcome::Failed), Some(FailureDetail::Auth | FailureDetail::Trunk)) => {
                let failures = work.db().handset(handset).await?.map_or(0, |handset| handset.failures);
                work.db().handset_failed(handset, Self::rest_until(failures, now), now).await?;
                work.announce(Announcement::Handsets);
            }
            (Some(CallOutcome::Failed), None) => {
                let failures = work.db().channel_failures(handset, dial.channel).await?;
                work.db().channel_failed(handset, dial.channel, Self::rest_until(failures, now), now).await?;
                work.announce(Announcement::Handsets);
            }
            (Some(CallOutcome::Failed) | None, _) => {}
            (Some(_), _) => {
                work.db().handset_works(handset, dial.offered_at).await?;
                work.db().channel_works(handset, dial.channel, dial.offered_at).await?;
            }
        }
        Ok(())
    }

    /// What the end of a call means for its recipient, or for the message that was spoken in it.
    async fn is_over(
        &self,
        work: &mut Work,
        own: &Own,
        call: Option<&NativeCall>,
        answered: bool,
        action: Option<KeyAction>,
    ) -> Result<(), EngineError> {
        let now = work.now();
        let known = what_is_known(work, &own.dial.mid).await?;
        let seconds = known.as_ref().and_then(|known| known.talk_seconds).unwrap_or(0);
        let verdict = known.as_ref().and_then(|known| known.machine);
        let at = known.and_then(|known| known.ended.at).unwrap_or(now).min(now);
        let outcome = call.and_then(|call| call.outcome);
        let outcome = outcome.unwrap_or(if answered { CallOutcome::Answered } else { CallOutcome::NoAnswer });
        if own.recipient.is_none() {
            return self.recording_is_over(work, own, call, outcome, (seconds, at), action).await;
        }
        // A key may have been heard of first.
        let Some(target) = own.targets.first() else { return Ok(()) };
        let Some(recipient) = work.db().shout_call_of(target.callee_id).await? else { return Ok(()) };
        if !work.db().is_latest_dial_of(target.callee_id, &own.dial.mid).await? {
            // They are called again by now: that call tells.
            return Ok(());
        }
        let picked_up = match verdict {
            Some(Verdict::Human) => Some("human"),
            Some(Verdict::Machine) => Some("machine"),
            Some(Verdict::Unknown) | None => None,
        };
        if let Some(who) = picked_up {
            work.db().set_answered_by(recipient.id, who).await?;
        }
        let ended = calls::Ended { outcome, detail: call.and_then(|call| call.detail), seconds, at };
        self.tell_call(work, &own.shout, &recipient, calls::Word::Ended(ended)).await?;
        if let Some(due_at) = work.db().next_shout_call_at(own.shout.id).await? {
            let hunt = work.db().lock_hunt(own.dial.hunt_id).await?;
            if hunt.ended_at.is_none() && due_at < hunt.due_at {
                work.db().set_hunt_due(hunt.id, due_at.max(now), hunt.begin_before, now).await?;
            }
        }
        Ok(())
    }

    /// The call in which a message was to be spoken is over.
    async fn recording_is_over(
        &self,
        work: &mut Work,
        own: &Own,
        call: Option<&NativeCall>,
        outcome: CallOutcome,
        (seconds, at): (i64, DateTime<Utc>),
        action: Option<KeyAction>,
    ) -> Result<(), EngineError> {
        let Some(shout) = work.db().shout_of_hunt(own.dial.hunt_id).await? else { return Ok(()) };
        let detail = call.and_then(|call| call.detail);
        // As a rule its sound comes after the report: until then it is as long as its handset says.
        let told = call.and_then(|call| call.recordings.last()).and_then(|recording| recording.seconds).unwrap_or(0);
        let told = i64::try_from(told.min(message::LONGEST_MESSAGE)).unwrap_or(0);
        let recorded = Recorded {
            sid: short_mid(&own.dial.mid),
            status: ended_as(outcome),
            seconds,
            message_seconds: if shout.media_id.is_some() { i64::from(shout.seconds) } else { told },
            shout: shout.id,
            at,
        };
        self.write_down(work, RecordKind::Recording, &shout, &[records::rec(&recorded)]).await?;
        let not_made =
            outcome == CallOutcome::NotDialled || (outcome == CallOutcome::Failed && detail != Some(FailureDetail::Unreachable));
        if action == Some(KeyAction::Accept) {
            // What the key said may not have been heard.
            return self.recording_got_to(work, &own.dial.mid, shout, RecordingStep::Confirmed).await;
        }
        self.tell_shout(work, &shout, if not_made { Word::CannotRecord } else { Word::GaveUp }).await?;
        Ok(())
    }

    /// Sound that was spoken in a call is stored: where a program has had it recorded, that finds it; where it is the message of a shout, it
    /// may go out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recording_is_stored(&self, mid: &str, name: &str) -> Result<(), EngineError> {
        self.recording_is_rpc_file(mid, name).await?;
        let dial = {
            let mut reader = self.store.read().await?;
            let mut db = reader.db();
            match db.dial(mid).await? {
                Some(dial) if db.shout_of_hunt(dial.hunt_id).await?.is_some() => dial,
                _ => return Ok(()),
            }
        };
        let by = self.who_speaks(&dial).await?.1;
        let mut work = self.work(by).await?;
        let now = work.now();
        let Some(own) = self.own_call(&mut work, &dial).await? else { return Ok(()) };
        // Whoever spoke several times means the last one.
        let latest = work.db().latest_recording_of(mid).await?;
        let Some(latest) = latest.filter(|latest| latest.name == name) else { return Ok(()) };
        let Some(media) = latest.media_id.filter(|_| own.recipient.is_none() && !own.shout.status.is_over()) else {
            return Ok(());
        };
        let seconds = work.db().media(media).await?.map_or(0, |file| (file.milliseconds + 999) / 1000);
        work.db().set_shout_message(own.shout.id, media, i32::try_from(seconds).unwrap_or(i32::MAX), now).await?;
        let shout = ShoutRow { seconds: i32::try_from(seconds).unwrap_or(i32::MAX), ..own.shout };
        self.tell_shout(&mut work, &shout, Word::Stored).await?;
        work.announce(Announcement::Shouts);
        work.commit().await?;
        Ok(())
    }
}

/// What is known of a call.
async fn what_is_known(work: &mut Work, mid: &str) -> Result<Option<call_record::Call>, EngineError> {
    let heard = work.db().heard_of_calls(mid).await?;
    Ok(heard.first().and_then(|row| Some(row.heard()?.tells(row.handed_out()))))
}

/// How a call ended, in the words of its detail record.
fn ended_as(outcome: CallOutcome) -> &'static str {
    let status = match outcome {
        CallOutcome::Answered => CallStatus::Completed,
        CallOutcome::NoAnswer => CallStatus::NoAnswer,
        CallOutcome::Busy | CallOutcome::Rejected => CallStatus::Busy,
        CallOutcome::Failed | CallOutcome::NotDialled => CallStatus::Failed,
    };
    status.as_str()
}
