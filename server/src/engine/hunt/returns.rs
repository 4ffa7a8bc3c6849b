//! An alarm comes again: it is counted, it gets worse, it holds something new, or it was over and is not.
//!
//! Whoever answered took what was in it then. So a rise of priority rings at once, and what is new in it rings once in a while. Such
//! a ring is a new hunt, to which everything applies that applies to a new alarm; whoever answered last is rung first.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use super::ladder::{lapse, left_of_step, who_want_no_more};
use super::raise::{NamedBy, RaiseRequest, insert_hunt, lock_alarm, refuse_foreign, refuse_if_over, team_asked_for};
use crate::alarm::coverage::{self, Left};
use crate::alarm::event::{Event, EventKind, Led, RingsAgain};
use crate::alarm::hunt;
use crate::alarm::{HuntOutcome, Priority, Verdict};
use crate::engine::watch::windows;
use crate::engine::{Engine, EngineError, delta};
use crate::ids::{AlarmId, AnswerId, HuntId};
use crate::keep::whom::Named;
use crate::numbers::same_phone;
use crate::reports::counted::Inherited;
use crate::store::Work;
use crate::store::alarm::alarms::AlarmRow;
use crate::store::alarm::answers::{self, AnswerRow};
use crate::store::alarm::hunts::{CalleeRow, HuntRow, SaidNo};

/// So long after its end, the same key opens the same alarm again.
pub(in crate::engine) const FLAPS_WITHIN: TimeDelta = TimeDelta::minutes(10);
/// A step goes on for so long when somebody is added to it at its end.
const RUNG_WITHIN: TimeDelta = TimeDelta::minutes(2);
/// A hunt grows to so many callees by what repeats name, and no further.
const MOST_CALLEES: usize = 200;

impl Engine {
    /// What follows when an open alarm, whose hunt is locked, was counted as repeated. `new`: something burns in it that did not.
    pub(in crate::engine) async fn repeat(
        &self,
        work: &mut Work,
        request: &RaiseRequest,
        alarm: &AlarmRow,
        hunt: &HuntRow,
        new: bool,
    ) -> Result<(), EngineError> {
        let now = work.now();
        let worse = request.priority > alarm.priority;
        let told = worse || new;
        if told {
            retell(work, request, alarm).await?;
        }
        if new {
            work.db().alarm_has_news(alarm.id, now).await?;
        }
        // What a plain sender says otherwise than before stands on the timeline at least.
        let says_more = request.flaps && !request.details.is_empty() && request.details != alarm.details;
        // Who says all the time that it still holds is counted; a line for each of these would bury the others.
        if request.word_until.is_none() || told {
            let event = Event::Repeated {
                repeats: alarm.repeats + 1,
                summary: request.summary.clone(),
                details: (told || says_more).then(|| request.details.clone()),
                priority: told.then_some(request.priority),
            };
            work.db().insert_event(Some(alarm.id), None, now, &event).await?;
        }
        if worse {
            work.db().raise_alarm_priority(alarm.id, request.priority, now).await?;
        }
        if hunt.ended_at.is_none() {
            // First: who is left to be rung keeps a hunt going.
            if !self.ring_also(work, request, alarm, hunt).await? {
                return if worse { self.hurry(work, request.priority, alarm, hunt).await } else { Ok(()) };
            }
            // It may be in another hunt by now.
            let (alarm, hunt) = lock_alarm(work, alarm.id).await?;
            return if worse && hunt.ended_at.is_none() {
                self.hurry(work, request.priority, &alarm, &hunt).await
            } else {
                Ok(())
            };
        }
        let settings = &self.config.alarms;
        let rested = now - hunt.created_at >= delta(settings.rehunt);
        // Somebody may have put it off.
        let put_off = alarm.ring_again_at.is_some_and(|at| at > now);
        let new = new && settings.ring_for_new.is_on();
        let why = match () {
            () if worse => Some(RingsAgain::Worse),
            () if put_off => None,
            () if !rested => {
                // It is told once in a while, and not forgotten.
                if new {
                    work.db().ring_for_news(alarm.id, hunt.created_at + delta(settings.rehunt)).await?;
                }
                None
            }
            () if new => Some(RingsAgain::News),
            () if hunt.outcome == Some(HuntOutcome::NoAnswer) => Some(RingsAgain::Repeated),
            () => None,
        };
        match why {
            Some(why) => self.ring_anew(work, request, alarm, hunt, why).await,
            None => Ok(()),
        }
    }

    /// A repeat names numbers or people whom the open hunt does not know: they are rung after the others of its step, for this alarm
    /// alone. Who is on duty by now is nobody else whom the sender names, and a name that leads nowhere is passed over: it would have
    /// been refused in a new alarm, and a repeat is to be counted. Gives whether there is anybody.
    fn ring_also<'f>(
        &'f self,
        work: &'f mut Work,
        request: &'f RaiseRequest,
        alarm: &'f AlarmRow,
        hunt: &'f HuntRow,
    ) -> BoxFuture<'f, Result<bool, EngineError>> {
        Box::pin(self.ring_those_whom_it_names(work, request, alarm, hunt))
    }

    async fn ring_those_whom_it_names(
        &self,
        work: &mut Work,
        request: &RaiseRequest,
        alarm: &AlarmRow,
        hunt: &HuntRow,
    ) -> Result<bool, EngineError> {
        if request.named_by != NamedBy::Alarm || request.policy.is_some() || request.is_by_itself() {
            return Ok(false);
        }
        let now = work.now();
        let known = work.db().callees(hunt.id).await?;
        let others = self.others_named(work, request, alarm, hunt, &known).await?;
        // A hunt that never rang anybody ends by itself.
        if known.is_empty() || others.is_empty() {
            return Ok(false);
        }
        let own = self.hunt_of_its_own(work, alarm, hunt).await?;
        let is_parted = own.is_some();
        let hunt = own.as_ref().map_or(hunt, |own| &own.hunt);
        let first = known.iter().filter(|one| one.step == hunt.step).map(|one| one.position + 1).max().unwrap_or(0);
        let more_dials = hunt::hand_out_limit(others.iter().map(|one| one.max_attempts));
        let mut callees = Vec::with_capacity(others.len());
        for (position, other) in (first..).zip(others) {
            let row = CalleeRow { step: hunt.step, position, ..other };
            work.db().insert_callee(hunt.id, &row).await?;
            callees.push(Led { name: row.name, number: row.number, duty: None });
        }
        work.db().more_callees(hunt.id, more_dials).await?;
        if let Some(ends_at) = hunt.step_ends_at.filter(|ends_at| *ends_at < now + RUNG_WITHIN) {
            work.db().set_step_end(hunt.id, ends_at.max(now) + RUNG_WITHIN).await?;
        }
        work.db().insert_event(Some(alarm.id), Some(hunt.id), now, &Event::RungAlso { callees }).await?;
        // One that has called nobody may share the calls of another one for the same people, who may have been named one by one as well.
        let has_called = !is_parted && known.iter().any(|one| one.last_offered_at.is_some());
        let has_words = known.iter().any(|one| one.verdict.is_some()) || !work.db().answers_of(hunt.id).await?.is_empty();
        let waits = alarm.held_until.is_some() || hunt.snoozed_until.is_some();
        if !has_called && !has_words && !waits {
            self.join_if_alike(work, alarm.priority.max(request.priority), hunt.stands_alone(), alarm.id, hunt.id).await?;
        }
        let (_, hunt) = lock_alarm(work, alarm.id).await?;
        self.settle(work, hunt.id).await?;
        Ok(true)
    }

    /// Those whom a repeat names, who can be rung and have not said no, and whom its hunt does not ring.
    async fn others_named(
        &self,
        work: &mut Work,
        request: &RaiseRequest,
        alarm: &AlarmRow,
        hunt: &HuntRow,
        known: &[CalleeRow],
    ) -> Result<Vec<CalleeRow>, EngineError> {
        // Most repeats name the same: then nothing is asked.
        let is_new = |number: &str| !known.iter().any(|one| same_phone(&one.number, number));
        let request = &RaiseRequest {
            callees: request.callees.iter().filter(|one| one.max_attempts > 0 && is_new(&one.number)).cloned().collect(),
            ring: request
                .ring
                .iter()
                .filter(|named| match named {
                    Named::Number(number) => is_new(number),
                    Named::Person(name) => !known.iter().any(|one| one.name.as_ref() == Some(name)),
                    Named::Team(_) | Named::Schedule(_) => false,
                })
                .cloned()
                .collect(),
            ..request.clone()
        };
        if request.callees.is_empty() && request.ring.is_empty() {
            return Ok(Vec::new());
        }
        let no_more = who_want_no_more(work, std::slice::from_ref(alarm)).await?;
        let refused = hunt.refused.as_ref().map_or(&[][..], |refused| &refused.0);
        let said_no = |one: &CalleeRow| refused.iter().chain(&no_more).any(|no| no.is(one.person_id, &one.number));
        let mut others: Vec<CalleeRow> = Vec::new();
        for one in self.named_one_by_one(work, request).await? {
            let is_known = |other: &CalleeRow| one.is_same_person(other) || same_phone(&one.number, &other.number);
            // The other ways of the same person come along with the first.
            let is_another_way =
                |other: &CalleeRow| one.after_s.is_some() && other.person_id.is_some() && other.person_id == one.person_id;
            let is_among =
                others.iter().any(|other| is_known(other) && (!is_another_way(other) || same_phone(&one.number, &other.number)));
            if !said_no(&one) && !known.iter().any(is_known) && !is_among {
                others.push(one);
            }
        }
        let room = MOST_CALLEES.saturating_sub(known.len());
        if others.len() > room {
            tracing::warn!(alarm.id = %alarm.id, left_out = others.len() - room, "repeats name more people than a hunt rings");
            others.truncate(room);
        }
        Ok(others)
    }

    /// A hunt that goes on is more urgent than it was: it is not put off any more, unless maintenance holds it, and does not wait for the
    /// word of somebody who picked up before.
    async fn hurry(&self, work: &mut Work, priority: Priority, alarm: &AlarmRow, hunt: &HuntRow) -> Result<(), EngineError> {
        let now = work.now();
        if priority > hunt.priority {
            work.db().raise_priority(hunt.id, priority).await?;
        }
        // Whoever has picked up and not confirmed heard of something less urgent.
        let given = work.db().answers_of(hunt.id).await?;
        let waiting = given.iter().filter(|answer| answer.confirmed_at.is_none() && answer.lapsed_at.is_none());
        let waiting: Vec<_> = waiting.map(|answer| answer.id).collect();
        let lapsed = lapse_if_others_are_left(work, hunt, &waiting).await?;
        let put_off = hunt.snoozed_until.is_some_and(|until| until > now) && alarm.held_until.is_none();
        if put_off {
            let step_ends_at = hunt.step_ends_at.map(|ends_at| now + left_of_step(hunt, ends_at, now));
            work.db().wake_up_hunt(hunt.id, now, step_ends_at).await?;
        }
        if put_off || lapsed {
            let event = Event::Redialled { why: RingsAgain::Worse, news: Some(true), held_until: None, by: None, done_by: None };
            work.db().insert_event(Some(alarm.id), Some(hunt.id), now, &event).await?;
        }
        self.settle(work, hunt.id).await
    }

    /// What of the alarms of a hunt was not taken by somebody who had heard what was in them up to an instant.
    pub(in crate::engine) async fn left_by(
        &self,
        work: &mut Work,
        hunt: &HuntRow,
        heard_at: DateTime<Utc>,
    ) -> Result<Vec<(AlarmRow, Left)>, EngineError> {
        let settings = &self.config.alarms;
        let left = |alarm: AlarmRow| {
            let (on, rehunt) = (settings.ring_for_new.is_on(), delta(settings.rehunt));
            let left = coverage::left(alarm.came(), heard_at, on, hunt.created_at, rehunt);
            (refuse_if_over(&alarm).is_ok() && left != Left::Nothing).then_some((alarm, left))
        };
        Ok(work.db().alarms_of(hunt.id).await?.into_iter().filter_map(left).collect())
    }

    /// A hunt was taken a moment ago by a word about what had been heard up to an instant: what came into its alarms later is rung for.
    pub(in crate::engine) async fn ring_for_what_was_not_heard(
        &self,
        work: &mut Work,
        hunt: HuntId,
        heard_at: DateTime<Utc>,
    ) -> Result<(), EngineError> {
        let hunt = work.db().lock_hunt(hunt).await?;
        for (alarm, left) in self.left_by(work, &hunt, heard_at).await? {
            match left {
                Left::RingNow => self.ring_again_as_before(work, &alarm, &hunt, RingsAgain::Worse).await?,
                // Somebody may have put it off: then all of it is rung for.
                Left::RingAt(at) if alarm.ring_again_at.is_none() => work.db().ring_for_news(alarm.id, at).await?,
                Left::RingAt(_) | Left::Nothing => {}
            }
        }
        Ok(())
    }

    /// Somebody picked up in a call that was handed out before an alarm in it became worse, or got something new.
    pub(in crate::engine) async fn ring_beyond_this_call(
        &self,
        work: &mut Work,
        before: &HuntRow,
        answer: &AnswerRow,
        heard_at: DateTime<Utc>,
    ) -> Result<(), EngineError> {
        let hunt = work.db().lock_hunt(before.id).await?;
        match (before.outcome, hunt.outcome) {
            (before, Some(HuntOutcome::Answered)) if before != Some(HuntOutcome::Answered) => {
                self.ring_for_what_was_not_heard(work, hunt.id, heard_at).await
            }
            (None, None) => {
                if !self.left_by(work, &hunt, heard_at).await?.iter().any(|(_, left)| *left == Left::RingNow) {
                    return Ok(());
                }
                if hunt.confirm_within.is_some() && answer.confirmed_at.is_none() {
                    // It does not wait for the word of somebody who heard of something less urgent.
                    if lapse_if_others_are_left(work, &hunt, &[answer.id]).await? {
                        self.settle(work, hunt.id).await?;
                    }
                    return Ok(());
                }
                // It wants everybody, and would not ring again whoever has answered.
                self.ring_for_what_was_not_heard(work, hunt.id, heard_at).await?;
                self.stop_unless_wanted(work, &hunt, HuntOutcome::Cancelled).await
            }
            _ => Ok(()),
        }
    }

    /// Opens an alarm of a plain sender again that was over a moment ago.
    pub(in crate::engine) async fn reopen_with_key(
        &self,
        work: &mut Work,
        request: &RaiseRequest,
    ) -> Result<Option<AlarmId>, EngineError> {
        let now = work.now();
        let Some(key) = request.repeats_under().filter(|_| request.flaps) else { return Ok(None) };
        let ended = work.db().ended_of_group(&request.integration_id, key, now - FLAPS_WITHIN).await?;
        let Some(alarm) = ended.into_iter().find(|alarm| alarm.dedup_key.as_deref() == Some(key)) else { return Ok(None) };
        self.reopen(work, request, alarm.id, false).await
    }

    /// Opens an alarm again that was over a moment ago. Whom it rings: nobody, when a human had confirmed it a short while ago, and it
    /// is neither worse nor critical. `None` when it is not over any more, or was called off.
    pub(in crate::engine) async fn reopen(
        &self,
        work: &mut Work,
        request: &RaiseRequest,
        id: AlarmId,
        new: bool,
    ) -> Result<Option<AlarmId>, EngineError> {
        let now = work.now();
        let (alarm, hunt) = lock_alarm(work, id).await?;
        if !work.db().reopen_alarm(id, now).await? {
            return Ok(None);
        }
        refuse_foreign(work, request, &alarm).await?;
        let worse = request.priority > alarm.priority;
        if worse || new {
            retell(work, request, &alarm).await?;
        }
        if worse {
            work.db().raise_alarm_priority(id, request.priority, now).await?;
        }
        if new {
            work.db().alarm_has_news(id, now).await?;
        }
        let times = work.db().count_events(id, EventKind::Flapping).await? + 1;
        let event = Event::Flapping { times, summary: request.summary.clone(), details: request.details.clone() };
        work.db().insert_event(Some(id), Some(hunt.id), now, &event).await?;
        if hunt.ended_at.is_none() {
            // Others are in it, so it went on.
            let rung_also = self.ring_also(work, request, &alarm, &hunt).await?;
            let (alarm, hunt) = if rung_also { lock_alarm(work, id).await? } else { (alarm, hunt) };
            if worse && hunt.ended_at.is_none() {
                self.hurry(work, request.priority, &alarm, &hunt).await?;
            }
            return Ok(Some(id));
        }
        let given = work.db().answers_of(hunt.id).await?;
        let confirmed = answers::current(&given).is_some_and(|answer| answer.confirmed_at.is_some());
        let rested = now - hunt.created_at >= delta(self.config.alarms.rehunt);
        let critical = request.priority.max(alarm.priority) == Priority::Critical;
        if critical || worse || rested || !confirmed {
            self.ring_anew(work, request, &alarm, &hunt, RingsAgain::Flapping).await?;
        } else if new && self.config.alarms.ring_for_new.is_on() {
            // From now on it burns, so no repeat will find it new.
            work.db().ring_for_news(id, hunt.created_at + delta(self.config.alarms.rehunt)).await?;
        }
        Ok(Some(id))
    }

    /// A new hunt for an alarm whose hunt has ended.
    async fn ring_anew(
        &self,
        work: &mut Work,
        request: &RaiseRequest,
        alarm: &AlarmRow,
        earlier: &HuntRow,
        why: RingsAgain,
    ) -> Result<(), EngineError> {
        let now = work.now();
        // What was urgent stays urgent while it is open.
        let request = &RaiseRequest { priority: request.priority.max(alarm.priority), ..request.clone() };
        let policy = match self.policy_for(work, request).await {
            // It names nobody any more: those whom it named before are rung.
            Err(EngineError::NobodyNamed) => {
                return self.ring_again_as_before(work, alarm, earlier, why).await;
            }
            other => other?,
        };
        let naming = self.naming(work, request, policy.is_some()).await?;
        let hunt = insert_hunt(work, request, policy.as_ref(), &naming).await?;
        work.db().set_alarm_hunt(alarm.id, hunt, now).await?;
        work.db().set_ring_again(alarm.id, None).await?;
        let team = team_asked_for(request);
        let held_until = windows::holds(work, request.kind, &request.labels, team).await?;
        let news = matches!(why, RingsAgain::Worse | RingsAgain::News);
        let event = Event::Redialled { why, news: Some(news), held_until: Some(held_until), by: None, done_by: None };
        work.db().insert_event(Some(alarm.id), Some(hunt), now, &event).await?;
        let no_more = who_want_no_more(work, std::slice::from_ref(alarm)).await?;
        work.db().set_refused(hunt, &no_more).await?;
        self.name_callees(work, hunt, naming).await?;
        leave_in_peace(work, hunt, &no_more, why).await?;
        put_answerer_first(work, earlier.id, hunt).await?;
        if !windows::hold(work, alarm.id, hunt, &request.labels, team).await? {
            self.join_if_alike(work, request.priority, request.is_by_itself(), alarm.id, hunt).await?;
        }
        Ok(())
    }
}

impl Engine {
    /// A new hunt for those of an alarm's last hunt, whoever answered it first.
    pub(in crate::engine) async fn ring_again_as_before(
        &self,
        work: &mut Work,
        alarm: &AlarmRow,
        earlier: &HuntRow,
        why: RingsAgain,
    ) -> Result<(), EngineError> {
        // Its priority may have risen a moment ago.
        let current = work.db().alarm(alarm.id).await?.ok_or(EngineError::NoSuchAlarm)?;
        self.ring_afresh(work, std::slice::from_ref(&current), earlier, why).await?;
        let fresh = work.db().alarm(alarm.id).await?.ok_or(EngineError::NoSuchAlarm)?;
        put_answerer_first(work, earlier.id, fresh.hunt_id).await?;
        if windows::hold(work, alarm.id, fresh.hunt_id, &fresh.labels.0, fresh.team.as_deref()).await? {
            return Ok(());
        }
        let by_itself = earlier.stands_alone() || work.db().is_barista_hunt(earlier.id).await?;
        self.join_if_alike(work, fresh.priority, by_itself, alarm.id, fresh.hunt_id).await
    }
}

/// Adds those who are not among them.
pub(in crate::engine) fn add_to(refused: &mut Vec<SaidNo>, more: &[SaidNo]) {
    for one in more {
        if !refused.iter().any(|own| own.is_same(one)) {
            refused.push(one.clone());
        }
    }
}

/// Whoever wants to be called no more about an alarm is not rung for it by a hunt that begins, whoever names them again; its later steps pass
/// them over. A hunt that is left with nobody ends when it is due; but for what was given back somebody is always rung: they are, when nobody
/// else is left.
pub(in crate::engine) async fn leave_in_peace(
    work: &mut Work,
    hunt: HuntId,
    no_more: &[SaidNo],
    why: RingsAgain,
) -> Result<(), EngineError> {
    if no_more.is_empty() {
        return Ok(());
    }
    let callees = work.db().callees(hunt).await?;
    let is_left_alone = |callee: &CalleeRow| no_more.iter().any(|one| one.is(callee.person_id, &callee.number));
    if why == RingsAgain::GivenBack && callees.iter().all(|callee| callee.verdict.is_some() || is_left_alone(callee)) {
        return Ok(());
    }
    // As it is by now: its first step may have had to ask those once more who had said no.
    let row = work.db().lock_hunt(hunt).await?;
    let mut refused = row.refused.map(|refused| refused.0).unwrap_or_default();
    add_to(&mut refused, no_more);
    work.db().set_refused(hunt, &refused).await?;
    let mut declined = BTreeSet::new();
    for callee in callees.iter().filter(|callee| is_left_alone(callee)) {
        work.db().set_verdict(callee.id, Verdict::Declined).await?;
        declined.insert(callee.id);
    }
    if !declined.is_empty() {
        // They said so once, and not in each hunt that begins afterwards.
        work.db().note_inherited(hunt, &Inherited { afresh: true, declined, ..Inherited::default() }).await?;
    }
    Ok(())
}

/// Takes back answers that nobody has confirmed; gives whether it did. Where nobody could be rung any more, whoever picked up is better than
/// nobody.
async fn lapse_if_others_are_left(work: &mut Work, hunt: &HuntRow, answers: &[AnswerId]) -> Result<bool, EngineError> {
    let left = work.db().callees(hunt.id).await?.iter().any(|callee| callee.attempts < callee.max_attempts);
    if !left || answers.is_empty() {
        return Ok(false);
    }
    lapse(work, hunt, answers).await?;
    Ok(true)
}

/// Whoever answered in an earlier hunt knows most, and is rung first by a later one that rings them at all.
pub(in crate::engine) async fn put_answerer_first(work: &mut Work, earlier: HuntId, later: HuntId) -> Result<(), EngineError> {
    let given = work.db().answers_of(earlier).await?;
    let Some(answer) = answers::current(&given) else { return Ok(()) };
    let callees = work.db().callees(later).await?;
    let step = callees.iter().map(|callee| callee.step).min();
    let mut first = callees.iter().filter(|callee| Some(callee.step) == step);
    let found = first.clone().find(|callee| answer.is_from(&callee.number));
    let found = found.or_else(|| first.find(|callee| callee.person_id.is_some() && callee.person_id == answer.person_id));
    match found {
        Some(callee) => Ok(work.db().put_callee_first(later, callee.step, callee.id).await?),
        None => Ok(()),
    }
}

/// An alarm says what is the case now. What the repeat leaves out is kept.
async fn retell(work: &mut Work, request: &RaiseRequest, alarm: &AlarmRow) -> Result<(), EngineError> {
    let details = if request.details.is_empty() { &alarm.details } else { &request.details };
    let mut labels: BTreeMap<String, String> = alarm.labels.0.clone();
    labels.extend(request.labels.clone());
    Ok(work.db().retell_alarm(alarm.id, &request.summary, details, &labels).await?)
}
