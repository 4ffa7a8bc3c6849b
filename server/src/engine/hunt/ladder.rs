//! A hunt goes up its ladder: what the pure rule needs is loaded, and what it says of steps and confirmations is done.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use crate::alarm::escalation::{self, Ladder, Move, Unconfirmed};
use crate::alarm::event::{self, Event};
use crate::alarm::hunt::{self, Decision, ListForm, OpenDial, WaitReason};
use crate::alarm::policy::{Place, Reached, Step, Whom};
use crate::alarm::{AlarmKind, EndReason, HuntOutcome, Mode, Verdict};
use crate::engine::lines::forbidden::bar_forbidden_of;
use crate::engine::lines::texts;
use crate::engine::{Engine, EngineError, seconds};
use crate::ids::{AlarmId, AnswerId, HuntId};
use crate::keep::whom::{self, Led};
use crate::numbers::{Number, same_phone};
use crate::roster::quiet;
use crate::store::alarm::alarms::AlarmRow;
use crate::store::alarm::dials::without_word;
use crate::store::alarm::hunts::{CalleeRow, HuntRow, NewStep, SaidNo};
use crate::store::{Announcement, Db, Work};

/// Which phones are in other calls, as the rule is to see it.
#[derive(Debug)]
pub(in crate::engine) enum Busy {
    /// None: only whether the hunt is over is asked.
    Ignored,
    /// Those in other open dials.
    Elsewhere(HashMap<String, DateTime<Utc>>),
    /// Those in dials of this hunt alone: a dry run holds no number.
    InThisHunt,
}

/// Why a step begins.
#[derive(Clone, Copy, Debug)]
enum Why<'p> {
    /// It is the next one of a policy of this name.
    Policy(&'p str, Place),
    /// The alarm itself asks for these people.
    Named,
    /// Nobody else can be rung: the configured fallback is.
    LastResort,
}

/// What a locked hunt does now.
#[derive(Debug)]
pub(in crate::engine) struct Next {
    /// The hunt as it is by now.
    pub(in crate::engine) hunt: HuntRow,
    /// Everybody in it.
    pub(in crate::engine) callees: Vec<CalleeRow>,
    /// Hand out, wait, or end.
    pub(in crate::engine) decision: Decision,
    /// The phone for which it waits because that is in another call.
    pub(in crate::engine) waits_for: Option<String>,
}

impl Engine {
    /// Asks the rule what a locked hunt does now, and does at once what time alone brings: answers lapse, steps begin.
    pub(in crate::engine) async fn next_move(
        &self,
        work: &mut Work,
        hunt: &HuntRow,
        busy: &Busy,
        form: ListForm,
    ) -> Result<Next, EngineError> {
        let now = work.now();
        let mut hunt = hunt.clone();
        let asks = !matches!(busy, Busy::Ignored);
        // Each turn takes back an answer, goes up a step or tells somebody that it is their turn, and all of these come to an end.
        loop {
            let callees = work.db().callees(hunt.id).await?;
            let ladder = load(work, &hunt, &callees).await?;
            let own;
            let busy = match busy {
                Busy::Ignored => &HashMap::new(),
                Busy::Elsewhere(busy) => busy,
                Busy::InThisHunt => {
                    own = phones_in_dials(&ladder, &callees);
                    &own
                }
            };
            match escalation::decide(&ladder, busy, form, now) {
                Move::Lapse(answers) => lapse(work, &hunt, &answers).await?,
                Move::NextStep => self.begin_next_step(work, &hunt).await?,
                Move::Ask(callee) if asks => {
                    let person = callees.iter().find(|own| own.id == callee).and_then(|own| own.person_id);
                    let ways =
                        callees.iter().filter(|own| own.step == hunt.step && own.person_id == person && own.verdict.is_none());
                    // Nobody waits for a number that must not be called.
                    if !bar_forbidden_of(work, &hunt, ways).await? {
                        texts::at_turn(work, &hunt, &callees, callee).await?;
                    }
                }
                Move::Ask(_) => {
                    // What comes at once may join it, and is told in the same message.
                    work.db().set_hunt_wake(hunt.id, Some(now)).await?;
                    return Ok(Next {
                        hunt,
                        callees,
                        decision: Decision::Wait { until: now, why: WaitReason::Later },
                        waits_for: None,
                    });
                }
                Move::Hunt(Decision::Finished {
                    outcome: HuntOutcome::NoAnswer,
                    reason: Some(EndReason::AttemptsUsed | EndReason::NobodyToRing),
                }) if self.ask_those_passed_over(work, &hunt, &callees).await? => {}
                Move::Hunt(decision) => {
                    let wake_at = escalation::wakes_at(&ladder).filter(|_| !matches!(decision, Decision::Finished { .. }));
                    if wake_at != hunt.wake_at {
                        work.db().set_hunt_wake(hunt.id, wake_at).await?;
                    }
                    let waits_for = ladder.waits_for(&decision, busy, now);
                    return Ok(Next { hunt, callees, decision, waits_for });
                }
            }
            hunt = work.db().lock_hunt(hunt.id).await?;
        }
    }

    /// Tells whoever wants to be told before they are called that their turn has come, whether or not a handset asks.
    pub(in crate::engine) async fn ask_whose_turn_it_is(&self, work: &mut Work, hunt: HuntId) -> Result<(), EngineError> {
        let now = work.now();
        let hunt = work.db().lock_hunt(hunt).await?;
        let follows_the_rule = !matches!(hunt.kind, AlarmKind::Shout | AlarmKind::Call);
        if hunt.ended_at.is_none() && follows_the_rule {
            let busy = Busy::Elsewhere(work.db().busy_phones(hunt.id, now).await?);
            self.next_move(work, &hunt, &busy, ListForm::One).await?;
        }
        Ok(())
    }

    /// Begins the next step of a hunt's policy that leads to somebody; those that lead to nobody are passed, and said so. When no
    /// step ever led to anybody, the configured fallback is rung.
    pub(in crate::engine) fn begin_next_step<'f>(
        &'f self,
        work: &'f mut Work,
        hunt: &'f HuntRow,
    ) -> BoxFuture<'f, Result<(), EngineError>> {
        Box::pin(self.go_up(work, hunt))
    }

    async fn go_up(&self, work: &mut Work, hunt: &HuntRow) -> Result<(), EngineError> {
        let now = work.now();
        let policy = match hunt.policy_id {
            Some(id) => work.db().policy(id).await?,
            None => None,
        };
        let Some(policy) = policy else { return Ok(()) };
        let known = work.db().callees(hunt.id).await?;
        let earlier = hunt.refused.as_ref().map_or(&[][..], |refused| &refused.0);
        let mut place = hunt.place();
        while let Some(next) = policy.definition.after(place) {
            place = Some(next);
            work.db().pass_step(hunt.id, next).await?;
            let Some(step) = policy.definition.step(next) else { break };
            let led = whom::reach(&mut work.db(), &step.whom, now).await?;
            let (reached, left_out) = still_wanted(led.to, &known, earlier);
            if reached.is_empty() {
                let event = Event::StepEmpty {
                    policy: Some(policy.name.clone()),
                    place: Some(next.step + 1),
                    round: Some(next.round + 1),
                    left_out: Some(left_out),
                    nowhere: led.nowhere,
                };
                work.db().insert_event(None, Some(hunt.id), now, &event).await?;
                tracing::warn!(
                    policy = policy.name,
                    step = next.step + 1,
                    "a step led to nobody who can be rung, and was passed"
                );
                continue;
            }
            let why = Why::Policy(&policy.name, next);
            return self.begin_step(work, hunt, &known, step, Led { to: reached, ..led }, why).await;
        }
        if !known.is_empty() {
            return Ok(());
        }
        if !earlier.is_empty() {
            // Nobody else is left: they are asked once more; last of all those who want to be called no more.
            let last = want_no_more_of(work, hunt.id, earlier).await?;
            work.db().set_refused(hunt.id, if last.len() < earlier.len() { &last } else { &[] }).await?;
            work.db().restart_policy(hunt.id).await?;
            let hunt = work.db().lock_hunt(hunt.id).await?;
            return self.begin_next_step(work, &hunt).await;
        }
        self.fall_back(work, hunt, Some(&policy.name)).await
    }

    /// Begins the only step of a hunt that an alarm itself names; when it leads to nobody, the configured fallback is rung. Whoever said
    /// no in an earlier hunt for the same alarm is not asked again, unless nobody else is left.
    pub(in crate::engine) async fn begin_only_step(
        &self,
        work: &mut Work,
        hunt: &HuntRow,
        step: &Step,
        earlier: &[CalleeRow],
    ) -> Result<(), EngineError> {
        let now = work.now();
        let mut led = whom::reach(&mut work.db(), &step.whom, now).await?;
        let before = hunt.refused.as_ref().map_or(&[][..], |refused| &refused.0);
        let (mut wanted, _) = still_wanted(led.to.clone(), earlier, before);
        if wanted.is_empty() && !before.is_empty() {
            // Nobody else is left: they are asked once more; last of all those who want to be called no more.
            let last = want_no_more_of(work, hunt.id, before).await?;
            work.db().set_refused(hunt.id, &last).await?;
            (wanted, _) = still_wanted(led.to.clone(), &[], &last);
        }
        if !wanted.is_empty() {
            led.to = wanted;
        }
        if led.to.is_empty() {
            let event = Event::StepEmpty { policy: None, place: None, round: None, left_out: None, nowhere: led.nowhere };
            work.db().insert_event(None, Some(hunt.id), now, &event).await?;
            return self.fall_back(work, hunt, None).await;
        }
        self.begin_step(work, hunt, &[], step, led, Why::Named).await
    }

    /// Where all whom a hunt rings turned out to be those who must not be called, it asks whom it passed over; last of all, and only for what
    /// was given back, those who want to be called no more. Gives whether it did; each time there are fewer of them.
    async fn ask_those_passed_over(&self, work: &mut Work, hunt: &HuntRow, callees: &[CalleeRow]) -> Result<bool, EngineError> {
        let refused = hunt.refused.as_ref().map_or(&[][..], |refused| &refused.0);
        let is_barred = |callee: &CalleeRow| match callee.verdict {
            Some(Verdict::DoNotCall) => true,
            // Whoever is left in peace.
            Some(Verdict::Declined) => refused.iter().any(|one| one.is(callee.person_id, &callee.number)),
            _ => false,
        };
        let is_any_forbidden = callees.iter().any(|callee| callee.verdict == Some(Verdict::DoNotCall));
        if refused.is_empty() || !is_any_forbidden || !callees.iter().all(is_barred) {
            return Ok(false);
        }
        let last = want_no_more_of(work, hunt.id, refused).await?;
        let (mut asked, mut rest): (Vec<SaidNo>, Vec<SaidNo>) =
            refused.iter().cloned().partition(|one| !last.iter().any(|own| own.is_same(one)));
        if asked.is_empty() {
            if work.db().given_back_at(hunt.id).await?.is_none() {
                return Ok(false);
            }
            asked = std::mem::take(&mut rest);
        }
        work.db().set_refused(hunt.id, &rest).await?;
        let whom: Vec<Whom> = asked.iter().map(SaidNo::as_whom).collect();
        let now = work.now();
        let led = whom::reach(&mut work.db(), &whom, now).await?;
        let step = Step { whom, mode: hunt.mode, attempts: None, min_interval_s: None, wait_s: None };
        if !led.to.is_empty() {
            self.begin_step(work, hunt, callees, &step, led, Why::Named).await?;
        }
        Ok(true)
    }

    /// Nobody whom a hunt names can be rung: the configured fallback is, and that is said.
    async fn fall_back(&self, work: &mut Work, hunt: &HuntRow, policy: Option<&str>) -> Result<(), EngineError> {
        let now = work.now();
        let fallback: Vec<Whom> = self.config.alarms.fallback_phones.iter().filter_map(|phone| self.bare(phone)).collect();
        let event = Event::PolicyEmpty { policy: policy.map(str::to_owned), fallback: fallback.len() };
        work.db().insert_event(None, Some(hunt.id), now, &event).await?;
        tracing::error!(hunt.id = %hunt.id, policy, fallback = fallback.len(), "nobody who is named can be rung");
        let led = whom::reach(&mut work.db(), &fallback, now).await?;
        if led.to.is_empty() {
            return Ok(());
        }
        let step = Step { whom: fallback, mode: Mode::Sequential, attempts: None, min_interval_s: None, wait_s: None };
        self.begin_step(work, hunt, &[], &step, led, Why::LastResort).await
    }

    async fn begin_step(
        &self,
        work: &mut Work,
        hunt: &HuntRow,
        known: &[CalleeRow],
        step: &Step,
        led: Led,
        why: Why<'_>,
    ) -> Result<(), EngineError> {
        let now = work.now();
        let settings = &self.config.alarms;
        let number = known.iter().map(|callee| callee.step + 1).max().unwrap_or(0);
        let max_attempts = step.attempts.unwrap_or_else(|| i32::try_from(settings.attempts).unwrap_or(1));
        let min_interval_s =
            step.min_interval_s.unwrap_or_else(|| i32::try_from(settings.min_interval.as_secs()).unwrap_or(i32::MAX));
        // A step's time begins when the first of its people may be rung.
        let quiet_hours = work.db().quiet_hours().await?;
        let may_ring = |one: &Reached| quiet::until(&quiet_hours, one.person, hunt.priority, now).unwrap_or(now);
        let first_at = led.to.iter().map(may_ring).min().unwrap_or(now);
        let mut names = Vec::with_capacity(led.to.len());
        let mut dials = Vec::with_capacity(led.to.len());
        let of_step = CalleeRow { step: number, max_attempts, min_interval_s, ..CalleeRow::of(String::new(), now) };
        let callees = led.to.iter().flat_map(|one| of_step.all_of(one, now));
        for (position, callee) in (0_i32..).zip(callees) {
            dials.push(max_attempts);
            // Rung a moment ago in another step: their interval counts on.
            let before = known.iter().filter(|earlier| same_phone(&earlier.number, &callee.number));
            let last_offered_at = before.filter_map(|earlier| earlier.last_offered_at).max();
            work.db().insert_callee(hunt.id, &CalleeRow { position, last_offered_at, ..callee }).await?;
        }
        for one in led.to {
            names.push(event::Led { name: one.name, number: one.number, duty: one.duty });
        }
        let begins_at = hunt.snoozed_until.map_or(first_at, |until| until.max(first_at));
        let new = NewStep {
            step: number,
            mode: step.mode,
            ends_at: step.wait_s.map(|wait| begins_at + TimeDelta::seconds(i64::from(wait))),
            more_dials: hunt::hand_out_limit(dials),
            begins_at,
            begin_before: hunt::begin_before(hunt.begin_before, begins_at, seconds(hunt.begin_window_s)),
        };
        work.db().begin_step(hunt.id, &new).await?;
        let place = match why {
            Why::Policy(name, place) => Some((name, place)),
            Why::Named | Why::LastResort => None,
        };
        let event = Event::StepBegan {
            last_resort: matches!(why, Why::LastResort),
            step: number,
            callees: names,
            mode: step.mode,
            ends_at: new.ends_at,
            policy: place.map(|(name, _)| name.to_owned()),
            place: place.map(|(_, at)| at.step + 1),
            round: place.map(|(_, at)| at.round + 1),
            nowhere: led.nowhere,
        };
        work.db().insert_event(None, Some(hunt.id), now, &event).await?;
        work.announce(Announcement::Hunts);
        Ok(())
    }

    fn bare(&self, phone: &str) -> Option<Whom> {
        Number::parse(phone, self.region()).ok().map(|parsed| Whom::Number(parsed.number.as_str().to_owned()))
    }
}

/// Who wants to be called no more about any of these alarms: about some of them is not enough.
pub(in crate::engine) async fn who_want_no_more(work: &mut Work, alarms: &[AlarmRow]) -> Result<Vec<SaidNo>, EngineError> {
    let ids: Vec<AlarmId> = alarms.iter().map(|alarm| alarm.id).collect();
    Ok(work.db().who_want_no_more(&ids).await?)
}

/// Those of whom a hunt passes over who want to be called no more about any of its alarms.
async fn want_no_more_of(work: &mut Work, hunt: HuntId, refused: &[SaidNo]) -> Result<Vec<SaidNo>, EngineError> {
    let alarms = work.db().alarms_of(hunt).await?;
    let no_more = who_want_no_more(work, &alarms).await?;
    Ok(refused.iter().filter(|one| no_more.iter().any(|own| own.is_same(one))).cloned().collect())
}

/// Leaves out whoever said no, also in an earlier hunt for the same alarms, was taken off, or must not be called; and says who that was.
fn still_wanted(reached: Vec<Reached>, known: &[CalleeRow], before: &[SaidNo]) -> (Vec<Reached>, Vec<String>) {
    let refused = |one: &Reached| {
        before.iter().any(|own| own.is(one.person, &one.number))
            || known.iter().any(|callee| {
                let same = match (one.person, callee.person_id) {
                    (Some(a), Some(b)) => a == b,
                    _ => same_phone(&one.number, &callee.number),
                };
                same && matches!(callee.verdict, Some(Verdict::Declined | Verdict::Skipped | Verdict::DoNotCall))
            })
    };
    let (out, wanted): (Vec<_>, Vec<_>) = reached.into_iter().partition(refused);
    (wanted, out.into_iter().map(|one| one.name.unwrap_or(one.number)).collect())
}

/// Everything that the pure rule needs to know of a locked hunt.
async fn load(work: &mut Work, hunt: &HuntRow, callees: &[CalleeRow]) -> Result<Ladder, EngineError> {
    let now = work.now();
    let quiet_hours = work.db().quiet_hours().await?;
    let to_rule = |callee: &CalleeRow| hunt::Callee {
        quiet_until: hunt.left_in_peace(callee.person_id, &quiet_hours, now),
        ..callee.to_rule()
    };
    let unconfirmed = match hunt.confirm_within {
        Some(within) => unconfirmed(&mut work.db(), hunt, within).await?,
        None => Vec::new(),
    };
    let has_next_step = match hunt.policy_id {
        Some(id) => work.db().policy(id).await?.is_some_and(|policy| policy.definition.after(hunt.place()).is_some()),
        None => false,
    };
    Ok(Ladder {
        hunt: hunt.to_rule(),
        step: hunt.step,
        step_ends_at: hunt.step_ends_at,
        has_next_step,
        // What is over must not wake the hunt again and again.
        snoozed_until: hunt.snoozed_until.filter(|until| *until > now),
        callees: callees.iter().map(|callee| (callee.step, to_rule(callee))).collect(),
        unconfirmed,
        open: open_dials(work, hunt.id).await?,
    })
}

/// The open dials of a hunt for which the pure rule waits: whoever has pressed a key in a call keeps nobody waiting.
pub(in crate::engine) async fn open_dials(work: &mut Work, hunt: HuntId) -> Result<Vec<OpenDial>, EngineError> {
    let mut dials: Vec<(String, OpenDial)> = Vec::new();
    for row in without_word(work.db().open_targets_of(hunt).await?) {
        match dials.last_mut() {
            Some((mid, dial)) if *mid == row.mid => dial.callees.push(row.callee_id),
            _ => dials.push((row.mid, OpenDial { deadline: row.deadline, callees: vec![row.callee_id] })),
        }
    }
    Ok(dials.into_iter().map(|(_, dial)| dial).collect())
}

async fn unconfirmed(db: &mut Db<'_>, hunt: &HuntRow, within: i32) -> Result<Vec<Unconfirmed>, EngineError> {
    let answers = db.answers_of(hunt.id).await?;
    let waiting = answers.iter().filter(|answer| answer.confirmed_at.is_none() && answer.lapsed_at.is_none());
    Ok(waiting.map(|answer| Unconfirmed { answer: answer.id, confirm_by: answer.at + seconds(within) }).collect())
}

/// Takes answers back that nobody confirmed in time: whoever picked up is rung again while they have attempts left.
pub(in crate::engine) async fn lapse(work: &mut Work, hunt: &HuntRow, lapsed: &[AnswerId]) -> Result<(), EngineError> {
    let now = work.now();
    for answer in work.db().answers_of(hunt.id).await?.into_iter().filter(|answer| lapsed.contains(&answer.id)) {
        if work.db().lapse_answer(answer.id, now).await? {
            if let Some(callee) = answer.callee_id {
                work.db().clear_answered(callee).await?;
            }
            let event = Event::Lapsed { name: answer.name, number: answer.number, answered_at: answer.at };
            work.db().insert_event(None, Some(hunt.id), now, &event).await?;
        }
    }
    Ok(())
}

fn phones_in_dials(ladder: &Ladder, callees: &[CalleeRow]) -> HashMap<String, DateTime<Utc>> {
    let of = |dial: &hunt::OpenDial| {
        let rung = callees.iter().filter(|callee| dial.callees.contains(&callee.id));
        rung.map(|callee| (callee.phone().into_owned(), dial.deadline)).collect::<Vec<_>>()
    };
    ladder.open.iter().flat_map(of).collect()
}

/// What is left of the current step, not counting the time for which it is put off.
pub(in crate::engine) fn left_of_step(hunt: &HuntRow, ends_at: DateTime<Utc>, now: DateTime<Utc>) -> TimeDelta {
    let from = hunt.snoozed_until.map_or(now, |held| held.max(now));
    (ends_at - from).max(TimeDelta::zero())
}
