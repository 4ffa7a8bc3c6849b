//! What a monitoring system says of a group of alerts: which alarms it raises, repeats, opens again, and ends.

use chrono::{DateTime, TimeDelta, Utc};

use super::raise::{RaiseRequest, Raised, RaisedAs, TRIES, load, lock_alarm, note_cleaned, refuse_foreign};
use super::returns::FLAPS_WITHIN;
use crate::alarm::HuntOutcome;
use crate::alarm::burning::{self, Burning, Message, Raises};
use crate::alarm::doer::Doer;
use crate::alarm::event::Event;
use crate::engine::{Engine, EngineError, delta};
use crate::ids::AlarmId;
use crate::store::alarm::alarms::AlarmRow;
use crate::store::alarm::hunts::HuntRow;
use crate::store::{Announcement, Haste, Work};

/// What burnt in an alarm counts for so long after its end: as long as senders may still be trying to tell of it.
pub(in crate::engine) const REMEMBERED: TimeDelta = TimeDelta::hours(1);

/// A beginning that comes so long after its end may have been overtaken by it; what comes later rings.
const OVERTAKEN_WITHIN: TimeDelta = TimeDelta::minutes(10);

/// A server that could not be heard for a while waits so long at most for a word that was to hold for longer.
const LONGEST_DOUBT: TimeDelta = TimeDelta::hours(6);
/// Whether somebody is still rung for an alarm of which nobody speaks is looked at so often.
const ASKED_AGAIN: TimeDelta = TimeDelta::seconds(30);
/// So many alarms of which nobody speaks are ended in one tick.
const ENDED_AT_ONCE: usize = 100;

/// What became of a message.
#[derive(Debug, Default)]
pub struct Word {
    /// What it raised or repeated.
    pub raised: Option<Raised>,
    /// The alarms that it ended.
    pub ended: Vec<AlarmId>,
    /// It told of what was over already, or of an end before the present fire; all of it, when it raised and ended nothing.
    pub stale: bool,
    /// So many alarms of the group are open after it.
    pub open: usize,
    /// It says again and again that something is over, each time later: that burns, and its sender's clock is behind.
    pub end_moves: bool,
    /// A person called off what it still tells of.
    pub called_off: bool,
}

/// An open alarm of a group, with its hunt locked.
struct Open {
    alarm: AlarmRow,
    hunt: HuntRow,
    burning: Option<Burning>,
}

impl Engine {
    /// Takes in what a monitoring system says of a group. `request` is the alarm as it is raised, if one is: its dedup key is the
    /// key of the group.
    ///
    /// # Errors
    /// When the database fails, or nobody is named to be rung. Nothing was stored then.
    pub async fn hear(&self, group: &str, message: &Message, request: &RaiseRequest) -> Result<Word, EngineError> {
        for _ in 0..TRIES {
            match self.try_hear(group, message, request).await {
                // Another message of the group was stored meanwhile: this one may be its repeat.
                Err(EngineError::Store(error)) if error.is_unique_violation() => {}
                other => return other,
            }
        }
        Err(EngineError::Contended)
    }

    async fn try_hear(&self, group: &str, message: &Message, request: &RaiseRequest) -> Result<Word, EngineError> {
        let mut work = self.work_together(self.clock.now(), request.by.clone(), Haste::Alarm).await?;
        let now = work.now();
        let open = self.lock_open(&mut work, group, message, request).await?;
        let ended = work.db().ended_of_group(&request.integration_id, group, now - REMEMBERED).await?;
        let mut lately: Vec<(AlarmRow, Burning)> = Vec::new();
        for alarm in ended {
            if let Some(burning) = work.db().burning(alarm.id).await? {
                lately.push((alarm, burning));
            }
        }
        let states = message.alerts.iter().any(|told| told.until.is_some());
        let before: Vec<Option<Burning>> = open.iter().map(|one| one.burning.clone()).collect();
        let mut burnt: Vec<Burning> = lately.iter().map(|(_, burning)| burning.clone()).collect();
        let (message, clocks_differ) = burning::meant(&before, &burnt, message, now);
        let message = &message;
        if clocks_differ {
            tracing::debug!(sender.name = request.sender, "what it says is not what its clock says, or was overtaken");
        }
        let mut heard = burning::hear(&before, &burnt, message, now);
        if matches!(heard.raises, Raises::Own { .. })
            && let Some(alone) = work.db().end_heard(&request.integration_id, group, now - OVERTAKEN_WITHIN).await?
        {
            // Its end came first. It stands behind the alarms, as it is none.
            burnt.push(alone);
            heard = burning::hear(&before, &burnt, message, now);
            if heard.raises == Raises::Nothing {
                // Once: who says so again means it, whatever their clock says.
                work.db().forget_end_heard(&request.integration_id, group).await?;
                tracing::warn!(sender.name = request.sender, "a fire was told after its end: told once more, it rings");
            }
        }
        let mut end_moves = false;
        if let Some(alone) = burning::ends_alone(before.iter().flatten().chain(&burnt), message, now) {
            // Who says again and again that nothing burns tells a state, and no end of something that is still on its way.
            let last = work.db().end_heard(&request.integration_id, group, now - OVERTAKEN_WITHIN).await?;
            end_moves = last.as_ref().is_some_and(|last| burning::end_moves(last, message));
            let ends = if last.is_some() && !states { Burning::default() } else { alone };
            work.db().set_end_heard(&request.integration_id, group, &ends, now).await?;
        }
        for ((one, before), after) in open.iter().zip(&before).zip(&heard.open) {
            if let Some(after) = after.as_ref().filter(|after| before.as_ref() != Some(after)) {
                work.db().set_burning(one.alarm.id, after).await?;
            }
        }
        let mut word = Word { stale: heard.stale, open: open.len(), end_moves, ..Word::default() };
        if states && matches!(heard.raises, Raises::Own { .. }) && self.is_called_off(&mut work, group, message, request).await? {
            heard.raises = Raises::Nothing;
            word.called_off = true;
        }
        for at in &heard.ends {
            let Open { alarm, hunt, .. } = &open[*at];
            if work.db().resolve_alarm(alarm.id, now).await? {
                work.db().insert_event(Some(alarm.id), Some(hunt.id), now, &Event::Resolved { no_word_since: None }).await?;
                self.stop_unless_wanted(&mut work, hunt, HuntOutcome::Resolved).await?;
                word.ended.push(alarm.id);
                word.open -= 1;
            }
        }
        if !matches!(heard.raises, Raises::Nothing) {
            self.refuse_beyond(&mut work, request).await?;
        }
        let raised = match heard.raises {
            Raises::Nothing => None,
            Raises::Repeats { open: at, new } => {
                let Open { alarm, hunt, .. } = &open[at];
                refuse_foreign(&mut work, request, alarm).await?;
                work.db().repeat_alarm(alarm.id, now).await?;
                self.repeat(&mut work, request, alarm, hunt, !new.is_empty()).await?;
                Some((alarm.id, RaisedAs::Repeated))
            }
            Raises::Own { burning, again } => {
                let flaps = |alarm: &&(AlarmRow, Burning)| alarm.0.resolved_at.is_some_and(|at| now - at < FLAPS_WITHIN);
                let same = again.and_then(|again| Some((lately.get(again.ended).filter(flaps)?, again)));
                let reopened = match same {
                    Some(((alarm, _), again)) => {
                        let id = self.reopen(&mut work, request, alarm.id, again.new).await?;
                        id.map(|id| (id, RaisedAs::Reopened, again.burning))
                    }
                    None => None,
                };
                let (id, raised_as, burning) = match reopened {
                    Some(reopened) => reopened,
                    None => (self.raise_own(&mut work, group, &open, request).await?, RaisedAs::Created, burning),
                };
                work.db().set_burning(id, &burning).await?;
                word.open += 1;
                Some((id, raised_as))
            }
        };
        if let Some((id, raised_as)) = raised {
            // One that says no time any more takes back the one before.
            if request.word_until.is_some() || raised_as == RaisedAs::Repeated {
                work.db().set_word_until(id, request.word_until).await?;
            }
            note_cleaned(&mut work, request, id).await?;
            word.raised = Some(Raised { alarm: load(&mut work.db(), id).await?, raised_as });
        } else if word.stale && word.ended.is_empty() && !states {
            let about = open.first().map(|one| one.alarm.id).or_else(|| lately.first().map(|(alarm, _)| alarm.id));
            if let Some(about) = about {
                let event = Event::Overtaken { address: message.address.clone(), over: message.over };
                work.db().insert_event(Some(about), None, now, &event).await?;
            }
        }
        work.announce(Announcement::Hunts);
        work.commit().await?;
        Ok(word)
    }

    /// Whether a person has called off what burns: whoever repeats a state goes on telling of it.
    async fn is_called_off(
        &self,
        work: &mut Work,
        group: &str,
        message: &Message,
        request: &RaiseRequest,
    ) -> Result<bool, EngineError> {
        let since = message.alerts.iter().filter(|told| told.burns).filter_map(|told| told.starts_at).max();
        let Some(since) = since else { return Ok(false) };
        let called_off = work.db().called_off_of_group(&request.integration_id, group, since).await?;
        Ok(called_off.is_some_and(|priority| request.priority <= priority))
    }

    /// Ends alarms whose source has said nothing more for longer than its last word was to hold, once nobody is rung for them any more: what
    /// has taken the source away may be what burns.
    ///
    /// # Errors
    /// When the database fails; the next tick does what this one did not.
    pub(in crate::engine) async fn end_what_is_not_spoken_of(&self, now: DateTime<Utc>) -> Result<(), EngineError> {
        let due = self.store.read().await?.db().unspoken_of(now).await?;
        // Whoever could not be heard may have said it again.
        let listened = now - self.serving_since();
        let due =
            due.into_iter().filter(|(_, until, said_at)| listened >= (*until).signed_duration_since(*said_at).min(LONGEST_DOUBT));
        for (id, ..) in due.take(ENDED_AT_ONCE) {
            let ended = self.change(id, &Doer::Server, async |engine, work, alarm, hunt| {
                match work.db().is_unspoken_of(id, now).await? {
                    true if hunt.ended_at.is_none() => Ok(work.db().set_word_until(id, Some(now + ASKED_AGAIN)).await?),
                    true => engine.over(work, id, hunt, Some(alarm.last_repeat_at)).await,
                    // It was said again meanwhile.
                    false => Ok(()),
                }
            });
            // One that cannot be ended must not keep the others open.
            if let Err(error) = ended.await {
                tracing::error!(%error, alarm.id = %id, "an alarm that nobody speaks of could not be ended; trying again");
            }
        }
        Ok(())
    }

    /// The open alarms of a group, with their hunts locked in the order of these. One that nobody has repeated for long is not open to
    /// what burns.
    async fn lock_open(
        &self,
        work: &mut Work,
        group: &str,
        message: &Message,
        request: &RaiseRequest,
    ) -> Result<Vec<Open>, EngineError> {
        let now = work.now();
        // Only what is open tells whether a word that holds no longer is an end.
        let may_end = message.over || message.alerts.iter().any(|told| told.until.is_some_and(|until| until <= now));
        let mut open = Vec::new();
        for alarm in work.db().open_of_group(&request.integration_id, group).await? {
            let (alarm, hunt) = lock_alarm(work, alarm.id).await?;
            if !alarm.dedup_open {
                continue;
            }
            if !may_end && now - alarm.last_repeat_at > delta(self.config.alarms.dedup) {
                work.db().close_dedup(alarm.id).await?;
                continue;
            }
            let burning = work.db().burning(alarm.id).await?;
            open.push(Open { alarm, hunt, burning });
        }
        Ok(open)
    }

    /// A new alarm beside those of its group that are open. The first has the key of the group for its dedup key; two that are made at
    /// once choose the same one, and the second of them is tried again.
    async fn raise_own(
        &self,
        work: &mut Work,
        group: &str,
        open: &[Open],
        request: &RaiseRequest,
    ) -> Result<AlarmId, EngineError> {
        let taken = |key: &String| open.iter().any(|one| one.alarm.dedup_key.as_ref() == Some(key));
        let mut keys = std::iter::once(group.to_owned()).chain((2..).map(|number: usize| format!("{group} #{number}")));
        let dedup_key = keys.find(|key| !taken(key));
        let request = RaiseRequest { dedup_key, group_key: Some(group.to_owned()), ..request.clone() };
        self.create(work, &request).await
    }
}
