//! People act on what they saw: a press, a reply or a request names alarms, and means exactly these, in whatever hunt each of them is
//! by now. What is over is left out, and the rest is done. Alarms that share a hunt with those and were not named are rung on.

pub mod giving_back;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::closing;
use super::raise::refuse_if_over;
pub use crate::alarm::consequences::Effect;
use crate::alarm::consequences::seen;
use crate::alarm::consequences::{self, OfRefusal, Off};
use crate::alarm::doer::{Actor, Doer};
use crate::alarm::event::{Event, RingsAgain};
use crate::alarm::{AlarmKind, DialOutcome, HuntOutcome, hunt};
use crate::audit::Operation;
use crate::engine::{Engine, EngineError, noted, seconds};
use crate::ids::{AlarmId, AnswerId, CalleeId, HuntId, PersonId};
use crate::numbers::same_phone;
use crate::store::alarm::alarms::AlarmRow;
use crate::store::alarm::answers::{self, AnswerRow};
use crate::store::alarm::hunts::{CalleeRow, HuntRow};
use crate::store::{Announcement, Db, StoreError, Work};

/// How often hunts are locked anew because alarms got others meanwhile.
const TRIES: usize = 5;

/// What came of it for one alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acted {
    /// The alarm.
    pub alarm: AlarmId,
    /// What came of it.
    pub effect: Effect,
}

/// Alarms that were named and are in one hunt.
struct Meant {
    /// Locked.
    hunt: HuntRow,
    /// Those that were named and are not over.
    alarms: Vec<AlarmRow>,
    /// Those that share the hunt, are not over, and were not named.
    others: Vec<AlarmRow>,
    /// Nothing else is in the hunt, over or not.
    alone: bool,
}

impl Meant {
    fn new(hunt: HuntRow, alarms: Vec<AlarmRow>, all: Vec<AlarmRow>) -> Self {
        let alone = all.len() == alarms.len();
        let others =
            all.into_iter().filter(|other| refuse_if_over(other).is_ok() && !alarms.iter().any(|own| own.id == other.id));
        Self { hunt, others: others.collect(), alone, alarms }
    }

    fn ids(&self) -> Vec<AlarmId> {
        self.alarms.iter().map(|alarm| alarm.id).collect()
    }
}

/// Somebody on the list of people, as they can be rung.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reachable {
    /// Who.
    pub person: PersonId,
    /// Under which numbers.
    pub numbers: Vec<String>,
}

impl Reachable {
    /// By what is kept of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of(db: &mut Db<'_>, person: PersonId) -> Result<Self, StoreError> {
        Ok(Self { person, numbers: db.numbers_of(person).await? })
    }

    /// Whether somebody who is rung is them: as a person, or, where only a number was named, by that.
    #[must_use]
    pub fn is(&self, person: Option<PersonId>, number: &str) -> bool {
        person.map_or_else(|| self.numbers.iter().any(|own| same_phone(own, number)), |person| person == self.person)
    }
}

/// Who confirms an alarm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Their name.
    pub name: Option<String>,
    /// Their number in its comparable form.
    pub number: Option<String>,
    /// Which callee they are, where that is known.
    pub callee: Option<CalleeId>,
    /// A remark.
    pub note: Option<String>,
    /// Who it really is.
    pub doer: Doer,
    /// Unless it is over by then, it rings again after so many seconds.
    pub ring_again_after_s: Option<i32>,
    /// It comes from where nobody can say that: if somebody wants it to ring again, it does.
    pub leaves_ring_again: bool,
    /// Up to when they had heard what is in the alarms: what came later is rung for. `None`: they see what is in them now.
    pub heard_at: Option<DateTime<Utc>>,
    /// The confirmed answers that stood on the page on which it was pressed: where another one counts by now, nothing is changed.
    /// `None`: it comes from where nobody can say what they saw.
    pub seen: Option<Vec<AnswerId>>,
}

impl Engine {
    /// A human confirms these alarms: the answer is theirs, and nobody else is rung for them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_these(&self, alarms: &[AlarmId], by: &Acknowledgement) -> Result<Vec<Acted>, EngineError> {
        let mut work = self.work(by.doer.clone()).await?;
        let acted = self.take_in(&mut work, alarms, by).await?;
        work.announce(Announcement::Hunts);
        work.commit().await?;
        Ok(acted)
    }

    /// A callee says no to these alarms: they are not rung again for them, and ringing goes on at once without them. Also when they
    /// had picked up, as long as nobody has confirmed. `seen`: the confirmed answers that stood on the page on which they said it; where
    /// another one counts by now, nothing is changed. `None`: it comes from where nobody can say what they saw.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn decline_these(
        &self,
        alarms: &[AlarmId],
        callee: CalleeId,
        by: &Actor,
        seen: Option<&[AnswerId]>,
    ) -> Result<Vec<Acted>, EngineError> {
        let mut work = self.work(by.doer.clone()).await?;
        let acted = self.decline_in(&mut work, alarms, callee, by, seen).await?;
        work.announce(Announcement::Hunts);
        work.commit().await?;
        Ok(acted)
    }

    /// The same of somebody who is rung for one alarm, whichever callee they are: of several steps the latest, which is the one that is rung.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm, or they are not rung for it.
    pub async fn decline_as(
        &self,
        id: AlarmId,
        person: PersonId,
        by: &Actor,
        seen: &[AnswerId],
    ) -> Result<Vec<Acted>, EngineError> {
        let mut work = self.work(by.doer.clone()).await?;
        let mut db = work.db();
        let alarm = db.alarm(id).await?.ok_or(EngineError::NoSuchAlarm)?;
        let who = Reachable::of(&mut db, person).await?;
        let callees = db.callees(alarm.hunt_id).await?;
        let callee = callees.into_iter().rev().find(|callee| who.is(callee.person_id, &callee.number));
        let callee = callee.ok_or(EngineError::NoSuchCallee)?;
        let acted = self.decline_in(&mut work, &[id], callee.id, by, Some(seen)).await?;
        work.announce(Announcement::Hunts);
        work.commit().await?;
        Ok(acted)
    }

    /// [`Engine::take_these`] within a transaction. Where `by` names a callee, only alarms are meant that were in that callee's hunt.
    pub(in crate::engine) async fn take_in(
        &self,
        work: &mut Work,
        alarms: &[AlarmId],
        by: &Acknowledgement,
    ) -> Result<Vec<Acted>, EngineError> {
        let now = work.now();
        let callee = match by.callee {
            Some(id) => work.db().callee(id).await?,
            None => None,
        };
        let (mut acted, meant) = self.meant(work, alarms, callee.as_ref().map(|(hunt, _)| *hunt)).await?;
        for meant in meant {
            // Those that are over are not taken either.
            let only = (!meant.alone && meant.others.is_empty()).then(|| meant.ids());
            let Meant { hunt, alarms, others, .. } = meant;
            let place = match &callee {
                Some((_, callee)) => place_of(&work.db().callees(hunt.id).await?, callee),
                None => None,
            };
            let given = work.db().answers_of(hunt.id).await?;
            let theirs = |answer: &AnswerRow| {
                let on_their_phone = callee.as_ref().is_some_and(|(_, callee)| answer.is_from(&callee.number));
                answer.confirmed_at.is_some() && (on_their_phone || place.is_some() && answer.callee_id == place)
            };
            if callee.is_some() && answers::current(&given).is_some_and(theirs) {
                acted.extend(alarms.iter().map(|alarm| Acted { alarm: alarm.id, effect: Effect::Already }));
                continue;
            }
            if let Some(faster) = overlooked(&given, by.seen.as_deref()) {
                // Whoever presses twice on a page was faster than themselves.
                let own = by.callee.is_none() && by.name.as_ref() == Some(&faster.name) && faster.via == by.doer.via();
                let effect = if own { Effect::Already } else { Effect::Overtaken };
                acted.extend(alarms.iter().map(|alarm| Acted { alarm: alarm.id, effect }));
                continue;
            }
            let (hunt, place) = if others.is_empty() {
                (hunt, place)
            } else {
                let own = self.part(work, &hunt, &alarms).await?;
                let who = by.name.clone().or_else(|| callee.as_ref().map(|(_, callee)| called(callee)));
                spoke_of_others(work, hunt.id, who, &others).await?;
                (own.hunt, place.and_then(|place| own.callees.get(&place).copied()))
            };
            let by = match &callee {
                // Whoever has no place in this hunt takes it by name and number.
                Some((_, callee)) => Acknowledgement {
                    callee: place,
                    number: by.number.clone().or_else(|| Some(callee.number.clone())),
                    name: by.name.clone().or_else(|| callee.name.clone()),
                    ..by.clone()
                },
                None => by.clone(),
            };
            let answer = confirmed_answer(work, &hunt, &by).await?;
            let ring_again_at = by.ring_again_after_s.map(|after| now + seconds(after));
            let mut rings_again_at = ring_again_at;
            for alarm in &alarms {
                // What is rung for later because nobody has heard of it, they may not have heard of either.
                let unheard = alarm.rings_for_news && by.heard_at.is_some_and(|heard_at| alarm.news_at > Some(heard_at));
                let left = alarm.ring_again_at.filter(|_| by.leaves_ring_again && !alarm.rings_for_news);
                rings_again_at = rings_again_at.or(left);
                if !unheard && left.is_none() {
                    work.db().set_ring_again(alarm.id, ring_again_at).await?;
                }
                acted.push(Acted { alarm: alarm.id, effect: Effect::Done });
            }
            let own = Actor { name: by.name.clone(), doer: by.doer.clone() };
            for alarm in &alarms {
                let line = noted::line(Operation::AlarmAcknowledged, alarm, &own).by_person(answer.person_id);
                work.note(line.after(json!({ "name": answer.name, "number": answer.number, "note": by.note })));
            }
            let event = Event::Acknowledged {
                name: answer.name,
                number: answer.number,
                note: by.note,
                via: Some(by.doer.via()),
                done_by: Some(by.doer),
                rings_again_at,
                alarms: only,
            };
            work.db().insert_event(only_one(&alarms), Some(hunt.id), now, &event).await?;
            match hunt.outcome {
                None => {
                    closing::end_hunt(work, &hunt, HuntOutcome::Answered, None, DialOutcome::Superseded).await?;
                }
                Some(_) => {
                    if work.db().answered_after_all(hunt.id, now).await? {
                        work.tally.hunt_ended(hunt.kind, HuntOutcome::Answered, None);
                    }
                }
            }
            // Whoever took it before may have heard more.
            if let Some(heard_at) = by.heard_at.filter(|_| hunt.outcome != Some(HuntOutcome::Answered)) {
                self.ring_for_what_was_not_heard(work, hunt.id, heard_at).await?;
            }
        }
        Ok(acted)
    }

    /// [`Engine::decline_these`] within a transaction.
    pub(in crate::engine) async fn decline_in(
        &self,
        work: &mut Work,
        alarms: &[AlarmId],
        callee: CalleeId,
        by: &Actor,
        seen: Option<&[AnswerId]>,
    ) -> Result<Vec<Acted>, EngineError> {
        let Some((hunt, callee)) = work.db().callee(callee).await? else {
            return Ok(alarms.iter().map(|alarm| Acted { alarm: *alarm, effect: Effect::NotTheirs }).collect());
        };
        let (mut acted, meant) = self.meant(work, alarms, Some(hunt)).await?;
        for meant in meant {
            if seen.is_some() && overlooked(&work.db().answers_of(meant.hunt.id).await?, seen).is_some() {
                acted.extend(meant.alarms.iter().map(|alarm| Acted { alarm: alarm.id, effect: Effect::Overtaken }));
                continue;
            }
            let everywhere: Vec<CalleeRow> =
                work.db().callees(meant.hunt.id).await?.into_iter().filter(|other| callee.is_same_person(other)).collect();
            let effect = self.take_off(work, &meant, &everywhere, Off::Declined, by).await?;
            acted.extend(meant.alarms.iter().map(|alarm| Acted { alarm: alarm.id, effect }));
        }
        Ok(acted)
    }

    /// A person takes a callee off an alarm's hunt.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm or callee, or the alarm was cancelled or resolved.
    pub async fn skip(&self, id: AlarmId, callee: CalleeId, by: &Actor) -> Result<AlarmRow, EngineError> {
        self.change(id, &by.doer, async |engine, work, alarm, hunt| {
            refuse_if_over(alarm)?;
            let callees = work.db().callees(hunt.id).await?;
            let callee = callees.into_iter().find(|row| row.id == callee).ok_or(EngineError::NoSuchCallee)?;
            let meant = Meant::new(hunt.clone(), vec![alarm.clone()], work.db().alarms_of(hunt.id).await?);
            engine.take_off(work, &meant, &[callee], Off::Skipped, by).await?;
            Ok(())
        })
        .await
    }

    /// Takes somebody off a hunt, in all their places, for the alarms that are meant; the others leave it first, and are rung on.
    async fn take_off(
        &self,
        work: &mut Work,
        meant: &Meant,
        places: &[CalleeRow],
        off: Off,
        by: &Actor,
    ) -> Result<Effect, EngineError> {
        let now = work.now();
        let (Some(first), hunt) = (places.first(), &meant.hunt) else { return Ok(Effect::NotTheirs) };
        let given: Vec<_> = work.db().answers_of(hunt.id).await?.iter().map(AnswerRow::standing).collect();
        let own: Vec<_> = places.iter().map(CalleeRow::standing).collect();
        let (effect, follows) = consequences::take_off(hunt.standing(), &own, &given, off, !meant.others.is_empty());
        for one in follows {
            match one {
                OfRefusal::PartFromOthers { afresh } => {
                    spoke_of_others(work, hunt.id, Some(called(first)), &meant.others).await?;
                    if afresh {
                        self.ring_afresh(work, &meant.others, hunt, RingsAgain::JoinedLater).await?;
                    } else {
                        let parted = self.part(work, hunt, &meant.others).await?;
                        self.settle(work, parted.hunt.id).await?;
                    }
                }
                OfRefusal::TellOff => {
                    let operation = match off {
                        Off::Declined => Operation::AlarmDeclined,
                        Off::Skipped => Operation::AlarmCalleeSkipped,
                    };
                    for alarm in &meant.alarms {
                        let line = noted::line(operation, alarm, by);
                        let line =
                            if off == Off::Declined { line.by_person(first.person_id) } else { line.about(first.person_id) };
                        work.note(line.after(json!({ "name": first.name, "number": first.number })));
                    }
                    let only = (!meant.alone).then(|| meant.ids());
                    work.db().insert_event(None, Some(hunt.id), now, &came_off(off, first, by, only)).await?;
                }
                OfRefusal::Reopen => {
                    let begin_before = hunt::begin_before(hunt.begin_before, now, seconds(hunt.begin_window_s));
                    work.db().reopen_hunt(hunt.id, now, begin_before).await?;
                    let event = Event::Reopened { name: first.name.clone(), number: first.number.clone() };
                    work.db().insert_event(None, Some(hunt.id), now, &event).await?;
                }
                OfRefusal::Then(one) => self.follow(work, hunt, one).await?,
            }
        }
        Ok(effect)
    }

    /// Locks the hunts of some alarms, in the order of their ids, and says which of the alarms are in each. Alarms that are over, or
    /// were never in the hunt `of` when one is given, are told apart at once.
    async fn meant(
        &self,
        work: &mut Work,
        alarms: &[AlarmId],
        of: Option<HuntId>,
    ) -> Result<(Vec<Acted>, Vec<Meant>), EngineError> {
        let mut wanted: Vec<AlarmId> = alarms.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut acted = Vec::new();
        if let Some(of) = of {
            let own: Vec<AlarmId> = work.db().alarms_ever_in(of).await?.iter().map(|alarm| alarm.id).collect();
            wanted.retain(|alarm| {
                let theirs = own.contains(alarm);
                if !theirs {
                    acted.push(Acted { alarm: *alarm, effect: Effect::NotTheirs });
                }
                theirs
            });
        }
        let mut locked: Vec<HuntId> = Vec::new();
        for _ in 0..TRIES {
            let mut rows = Vec::with_capacity(wanted.len());
            for id in &wanted {
                rows.extend(work.db().alarm(*id).await?);
            }
            let mut hunts: Vec<HuntId> = rows.iter().map(|alarm| alarm.hunt_id).collect();
            hunts.sort_unstable();
            hunts.dedup();
            let news: Vec<HuntId> = hunts.iter().copied().filter(|hunt| !locked.contains(hunt)).collect();
            if news.is_empty() {
                let gone = wanted.iter().filter(|id| !rows.iter().any(|alarm| alarm.id == **id));
                acted.extend(gone.map(|alarm| Acted { alarm: *alarm, effect: Effect::Over }));
                let (over, firing): (Vec<_>, Vec<_>) = rows.into_iter().partition(|alarm| {
                    // What is done about a shout is done by its own rules.
                    refuse_if_over(alarm).is_err() || alarm.kind == AlarmKind::Shout
                });
                acted.extend(over.iter().map(|alarm| Acted { alarm: alarm.id, effect: Effect::Over }));
                let mut meant = Vec::new();
                for id in hunts {
                    let alarms: Vec<AlarmRow> = firing.iter().filter(|alarm| alarm.hunt_id == id).cloned().collect();
                    if !alarms.is_empty() {
                        let all = work.db().alarms_of(id).await?;
                        meant.push(Meant::new(work.db().lock_hunt(id).await?, alarms, all));
                    }
                }
                return Ok((acted, meant));
            }
            for hunt in news {
                work.db().lock_hunt(hunt).await?;
                locked.push(hunt);
            }
        }
        Err(EngineError::Contended)
    }
}

impl Engine {
    /// What joined a locked hunt after a call was handed out leaves it before a word that was said in that call is taken in; gives
    /// the alarms that it is about, where there are others.
    pub(in crate::engine) async fn part_from_who_joined_after(
        &self,
        work: &mut Work,
        hunt: &HuntRow,
        offered_at: DateTime<Utc>,
    ) -> Result<Option<Vec<AlarmId>>, EngineError> {
        let late = work.db().alarms_joined_after(hunt.id, offered_at).await?;
        if late.is_empty() || hunt.ended_at.is_some() {
            return Ok(None);
        }
        self.ring_afresh(work, &late, hunt, RingsAgain::JoinedLater).await?;
        Ok(Some(work.db().alarms_of(hunt.id).await?.iter().map(|alarm| alarm.id).collect()))
    }
}

/// The confirmed answer that counts by now and did not stand on the page of a press.
fn overlooked<'a>(given: &'a [AnswerRow], seen: Option<&[AnswerId]>) -> Option<&'a AnswerRow> {
    let standing: Vec<_> = given.iter().map(AnswerRow::standing).collect();
    let answer = seen::overlooked(&standing, seen)?.id;
    given.iter().find(|own| own.id == answer)
}

/// Says on the timeline of those that were not named why ringing goes on for them.
async fn spoke_of_others(work: &mut Work, hunt: HuntId, who: Option<String>, rung_on: &[AlarmRow]) -> Result<(), EngineError> {
    let now = work.now();
    let alarms: Vec<AlarmId> = rung_on.iter().map(|alarm| alarm.id).collect();
    Ok(work.db().insert_event(None, Some(hunt), now, &Event::Parted { name: who, alarms }).await?)
}

/// What the timeline says of somebody who comes off. `alarms`: those that are meant, when others are in the hunt.
fn came_off(off: Off, callee: &CalleeRow, by: &Actor, alarms: Option<Vec<AlarmId>>) -> Event {
    let (name, number, done_by) = (callee.name.clone(), callee.number.clone(), Some(by.doer.clone()));
    match off {
        Off::Declined => {
            let (via, name) = (Some(by.doer.via()), Some(name));
            Event::Declined { mid: None, via, callee: callee.id, name, number, done_by, alarms }
        }
        Off::Skipped => Event::Skipped { by: by.name.clone(), done_by, callee: callee.id, name, number, alarms },
    }
}

/// Somebody's place in a hunt: their own, else that of the same person, the one that was rung last.
fn place_of(callees: &[CalleeRow], callee: &CalleeRow) -> Option<CalleeId> {
    let same = |other: &&CalleeRow| callee.is_same_person(other);
    let own = callees.iter().find(|other| other.id == callee.id);
    own.or_else(|| callees.iter().filter(same).max_by_key(|other| other.last_offered_at)).map(|place| place.id)
}

fn called(callee: &CalleeRow) -> String {
    callee.name.clone().unwrap_or_else(|| callee.number.clone())
}

/// The alarm that a line of the timeline is about, when it is about one alone.
fn only_one(alarms: &[AlarmRow]) -> Option<AlarmId> {
    match alarms {
        [alarm] => Some(alarm.id),
        _ => None,
    }
}

/// The answer that a human stands by: the one that was given when they picked up, else a new one.
async fn confirmed_answer(work: &mut Work, hunt: &HuntRow, by: &Acknowledgement) -> Result<AnswerRow, EngineError> {
    let now = work.now();
    let person = match &by.number {
        Some(number) => work.db().person_with_number(number).await?,
        None => None,
    };
    let callees = work.db().callees(hunt.id).await?;
    let callee = callees.iter().find(|callee| match by.callee {
        Some(id) => callee.id == id,
        None => {
            // A person's other number is that person.
            let same_person = person.as_ref().is_some_and(|person| callee.person_id == Some(person.id));
            by.number.as_ref().is_some_and(|number| same_phone(number, &callee.number))
                || same_person
                || (by.number.is_none() && by.name.is_some() && by.name == callee.name)
        }
    });
    // A name that a sender gave wins over the roster: a number may be shared.
    let named = callee.and_then(|callee| callee.name.as_ref());
    let person = person.filter(|person| named.is_none_or(|named| *named == person.name));
    let given = work.db().answers_of(hunt.id).await?;
    let earlier = given.into_iter().find(|answer| {
        answer.confirmed_at.is_none() && answer.callee_id.is_some() && answer.callee_id == callee.map(|callee| callee.id)
    });
    if let Some(earlier) = earlier {
        work.db().confirm_answer(earlier.id, false, now).await?;
        return Ok(AnswerRow { confirmed_at: Some(now), ..earlier });
    }
    let person_id: Option<PersonId> = person.as_ref().map(|person| person.id).or(callee.and_then(|callee| callee.person_id));
    let name = person
        .map(|person| person.name)
        .or_else(|| by.name.clone())
        .or_else(|| callee.and_then(|callee| callee.name.clone()))
        .or_else(|| by.number.clone())
        .or_else(|| callee.map(|callee| callee.number.clone()));
    let answer = AnswerRow {
        id: AnswerId::new(now),
        hunt_id: hunt.id,
        mid: None,
        callee_id: callee.map(|callee| callee.id),
        number: by.number.clone().or_else(|| callee.map(|callee| callee.number.clone())),
        person_id,
        name: name.unwrap_or_else(|| "API".to_owned()),
        handset_id: None,
        at: now,
        via: by.doer.via(),
        attempt: callee.map(|callee| callee.attempts).filter(|attempts| *attempts > 0),
        confirmed_at: Some(now),
        lapsed_at: None,
        machine: None,
        by_key: Some(false),
    };
    work.db().insert_answer(&answer).await?;
    Ok(answer)
}
