//! Shouts, one message to many people: taken in, sent, heard, over. A shout is an alarm of its own kind with one hunt; whoever changes it has
//! locked that hunt. Which call comes next, and what a word about one means, is decided in [`crate::shout`].
//!
//! Its calls are dials of its hunt, and a recipient becomes a callee of that when they are called first. What is heard of them goes by here and
//! not by the rules for alarms: nobody answers for others, and nothing is confirmed.

pub mod hearing;
pub mod logs;
pub mod sending;
pub mod taking;
mod yielding;

use chrono::{DateTime, TimeDelta, Utc};

use crate::alarm::event::Event;
use crate::alarm::{DialOutcome, EndReason, HuntOutcome};
use crate::engine::hunt::closing;
use crate::engine::watch::presence::Presence;
use crate::engine::{Engine, EngineError, delta};
use crate::ids::KeyId;
use crate::needs::Words;
use crate::shout::calls::{self, Call};
use crate::shout::course::{Course, Word};
use crate::shout::records::{self, OfCall, Shout};
use crate::shout::{CallStatus, RecordingStep, ShoutStatus};
use crate::store::shouts::calls::ShoutCallRow;
use crate::store::shouts::log::RecordKind;
use crate::store::shouts::rows::ShoutRow;
use crate::store::watch::handsets::Voice;
use crate::store::{Announcement, Work};

/// Whose shouts are that people send from the pages: their name spaces are as if they were of this key, which nobody holds.
pub const OF_PAGES: KeyId = KeyId(uuid::Uuid::nil());
/// What a call that delivers a message needs of a handset.
const DELIVERS: &str = "dtmf,tts";
/// What the call in which it is spoken needs.
const RECORDS: &str = "dtmf,record,tts";
/// A shout that goes on is looked after so often, whatever is heard.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(15);
/// A handset that speaks lives as long as it has been heard of within this.
const VOICE_LIVES: TimeDelta = TimeDelta::seconds(90);

/// What the next calls of a shout need of a handset.
fn needs(status: ShoutStatus) -> Words {
    Words::read(if status == ShoutStatus::Pending { RECORDS } else { DELIVERS })
}

/// Whether a handset that speaks is there, as far as this node knows.
pub(in crate::engine) fn lives(voice: &Voice, presence: &Presence, now: DateTime<Utc>) -> bool {
    let seen = presence.last_asked(voice.id).max(voice.last_seen_at);
    voice.in_calls > 0 || seen.is_some_and(|seen| now - seen < VOICE_LIVES)
}

impl Engine {
    /// Tells a shout what happened to it, and does what follows from that. Gives it as it is then.
    pub(in crate::engine) async fn tell_shout(
        &self,
        work: &mut Work,
        shout: &ShoutRow,
        word: Word,
    ) -> Result<ShoutRow, EngineError> {
        let now = work.now();
        let before = shout.course();
        let after = before.after(word, shout.callable > 0, now);
        if after == before {
            return Ok(shout.clone());
        }
        work.db().set_shout_course(shout.id, &after).await?;
        if before.has_message && !after.has_message {
            work.db().drop_shout_message(shout.id).await?;
        }
        let told = ShoutRow {
            status: after.status,
            step: after.step,
            step_at: after.step_at,
            started_at: after.started_at,
            finished_at: after.finished_at,
            ..shout.clone()
        };
        match (before.status, after.status) {
            (ShoutStatus::Pending, ShoutStatus::Ready | ShoutStatus::Scheduled) => self.goes_out(work, &told).await?,
            (_, ShoutStatus::Canceled | ShoutStatus::Error) => {
                self.end_calls(work, &told, CallStatus::Cancelled).await?;
                closing::close_open_dials(work, told.hunt_id, DialOutcome::Cancelled).await?;
            }
            (before, ShoutStatus::TimedOut) => {
                let status = if before == ShoutStatus::Pending { CallStatus::Cancelled } else { CallStatus::TimedOut };
                self.end_calls(work, &told, status).await?;
                if before == ShoutStatus::Pending {
                    closing::close_open_dials(work, told.hunt_id, DialOutcome::Cancelled).await?;
                }
            }
            _ => {}
        }
        if after.status != before.status && after.status.is_over() {
            self.record_shout(work, &told, &after).await?;
            end_hunt(work, &told).await?;
        }
        work.announce(Announcement::Calls);
        Ok(told)
    }

    /// Its message is there: its calls wait for their turn, or for their time.
    async fn goes_out(&self, work: &mut Work, shout: &ShoutRow) -> Result<(), EngineError> {
        let now = work.now();
        work.db().shout_calls_are_ready(shout.id).await?;
        work.db().set_hunt_needs(shout.hunt_id, &needs(shout.status)).await?;
        let hunt = work.db().lock_hunt(shout.hunt_id).await?;
        let due_at = shout.schedule.unwrap_or(now).max(now);
        work.db().set_hunt_due(hunt.id, due_at, hunt.begin_before, now).await?;
        work.announce(Announcement::Shouts);
        Ok(())
    }

    /// All calls that are not over are, with a record of each.
    async fn end_calls(&self, work: &mut Work, shout: &ShoutRow, status: CallStatus) -> Result<(), EngineError> {
        let now = work.now();
        let ended = work.db().end_shout_calls(shout.id, status, now).await?;
        let over = |row: &ShoutCallRow| cdr(shout, row, &Call { status, due_at: None, finished_at: Some(now), ..row.call() });
        let lines: Vec<String> = ended.iter().map(over).collect();
        Ok(self.write_down(work, RecordKind::Call, shout, &lines).await?)
    }

    async fn record_shout(&self, work: &mut Work, shout: &ShoutRow, course: &Course) -> Result<(), EngineError> {
        let of = Shout {
            id: shout.id,
            title: shout.title.as_deref(),
            userdata: &shout.userdata,
            caller: &shout.caller,
            created_at: shout.created_at,
        };
        Ok(self.write_down(work, RecordKind::Shout, shout, &[records::bdr(&of, course)]).await?)
    }

    /// Tells a recipient's call what happened to it; gives it as it is then, and whether that is news.
    async fn tell_call(
        &self,
        work: &mut Work,
        shout: &ShoutRow,
        row: &ShoutCallRow,
        word: calls::Word,
    ) -> Result<(ShoutCallRow, bool), EngineError> {
        let now = work.now();
        let before = row.call();
        let after = calls::after(&before, word, &self.config.shouts.pace(), now);
        if after == before {
            return Ok((row.clone(), false));
        }
        work.db().set_shout_call(row.id, &after).await?;
        let was_tried = matches!(word, calls::Word::Ended(_) | calls::Word::Unheard);
        if was_tried || (after.status.is_over() && after.status != CallStatus::OptedOut) {
            self.write_down(work, RecordKind::Call, shout, &[cdr(shout, row, &after)]).await?;
        }
        let told = ShoutCallRow {
            status: after.status,
            retries: i32::try_from(after.retries).unwrap_or(i32::MAX),
            due_at: after.due_at,
            started_at: after.started_at,
            finished_at: after.finished_at,
            seconds: after.seconds,
            q850: after.q850,
            ..row.clone()
        };
        Ok((told, true))
    }

    /// Looks after a locked shout: what nobody reported, whether all is over, and what time brings. Says when it is looked after again.
    pub(in crate::engine) async fn settle_shout(&self, work: &mut Work, shout: ShoutRow) -> Result<(), EngineError> {
        let now = work.now();
        let mut shout = shout;
        for call in work.db().unheard_shout_calls(shout.id).await? {
            self.tell_call(work, &shout, &call, calls::Word::Unheard).await?;
        }
        let recording = RecordingStep::Placed..RecordingStep::Confirmed;
        if shout.status == ShoutStatus::Pending
            && recording.contains(&shout.step)
            && work.db().calls_under_way(shout.hunt_id).await? == 0
        {
            shout = self.tell_shout(work, &shout, Word::GaveUp).await?;
        }
        let may_be_over = match shout.status {
            ShoutStatus::Ready | ShoutStatus::Scheduled | ShoutStatus::Ongoing => {
                !work.db().has_open_shout_call(shout.id).await? && work.db().calls_under_way(shout.hunt_id).await? == 0
            }
            // What was given up may be told of after all.
            ShoutStatus::TimedOut => work.db().shout_calls_with(shout.id, CallStatus::TimedOut).await?.is_empty(),
            _ => false,
        };
        if may_be_over {
            let last = work.db().last_shout_call_ended(shout.id).await?;
            shout = self.tell_shout(work, &shout, Word::AllOver(last)).await?;
        }
        if shout.status.is_over() {
            return Ok(());
        }
        shout = self.look_for_voices(work, shout).await?;
        let message = TimeDelta::seconds(i64::from(shout.seconds));
        let callable = u32::try_from(shout.callable).unwrap_or(0);
        let pace = self.config.shouts.pace();
        let overdue_at = pace.overdue_at(shout.started_at.unwrap_or(now), callable, message);
        // What waits for another try is waited for.
        let last_try = work.db().last_shout_call_at(shout.id).await?;
        let overdue_at = last_try.map_or(overdue_at, |at| overdue_at.max(at + pace.patience));
        let wait_for_voice = delta(self.config.shouts.wait_for_voice);
        let word = Word::Time { overdue_at, no_voice_since: shout.no_voice_since, wait_for_voice };
        let shout = self.tell_shout(work, &shout, word).await?;
        if !shout.status.is_over() {
            let waits_until = shout.schedule.filter(|at| shout.status == ShoutStatus::Scheduled && *at > now);
            work.db().set_hunt_wake(shout.hunt_id, Some(waits_until.unwrap_or(now + LOOK_AGAIN))).await?;
        }
        Ok(())
    }

    /// Notes whether there is a handset that could make its calls.
    async fn look_for_voices(&self, work: &mut Work, shout: ShoutRow) -> Result<ShoutRow, EngineError> {
        let now = work.now();
        let records = shout.status == ShoutStatus::Pending;
        let voices = work.db().voices().await?;
        let living = || voices.iter().filter(|voice| lives(voice, &self.presence, now));
        let may = |voice: &Voice| !records || voice.records;
        // Those that have to leave channels to alarms may have none beside.
        let all: i32 = living().filter(|voice| !voice.bulk).map(|voice| voice.free.saturating_add(voice.in_calls)).sum();
        let leave_enough = all > i32::try_from(self.config.shouts.keep_free).unwrap_or(i32::MAX);
        let some = living().any(|voice| may(voice) && (voice.bulk || leave_enough));
        let since = if some { None } else { shout.no_voice_since.or(Some(now)) };
        if since != shout.no_voice_since {
            work.db().set_no_voice_since(shout.id, since).await?;
        }
        Ok(ShoutRow { no_voice_since: since, ..shout })
    }
}

/// The record of a call of a shout.
fn cdr(shout: &ShoutRow, row: &ShoutCallRow, call: &Call) -> String {
    records::cdr(&OfCall { shout: shout.id, id: row.id, phone: &row.phone, created_at: shout.created_at }, call)
}

/// The hunt of a shout that is over is over, too.
async fn end_hunt(work: &mut Work, shout: &ShoutRow) -> Result<(), EngineError> {
    let now = work.now();
    let counts = work.db().shout_call_counts(shout.id).await?;
    let some_heard = counts.iter().any(|(status, calls)| *status == CallStatus::Completed && *calls > 0);
    let (outcome, reason) = match shout.status {
        ShoutStatus::Canceled => (HuntOutcome::Cancelled, None),
        ShoutStatus::Error => (HuntOutcome::NoAnswer, Some(EndReason::NoHandset)),
        _ if some_heard => (HuntOutcome::Answered, None),
        _ => (HuntOutcome::NoAnswer, Some(EndReason::AttemptsUsed)),
    };
    if shout.status == ShoutStatus::Canceled {
        work.db().cancel_alarm(shout.alarm_id, now).await?;
    }
    if work.db().end_hunt(shout.hunt_id, outcome, reason, now).await? {
        work.db().insert_event(None, Some(shout.hunt_id), now, &Event::HuntEnded { outcome, reason: Some(reason) }).await?;
    }
    work.announce(Announcement::Shouts);
    Ok(())
}
