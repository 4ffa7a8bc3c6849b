//! Whoever took an alarm gives it back: it is rung for again, by its policy from the first step, and they are passed over as if they had
//! declined.

use serde_json::json;

use super::{Acted, Effect};
use crate::alarm::Until;
use crate::alarm::consequences::seen;
use crate::alarm::doer::Actor;
use crate::alarm::event::{Event, RingsAgain};
use crate::audit::Operation;
use crate::engine::hunt::raise::refuse_if_over;
use crate::engine::{Engine, EngineError, noted};
use crate::ids::{AlarmId, AnswerId, CalleeId};
use crate::store::alarm::alarms::AlarmRow;
use crate::store::alarm::answers::AnswerRow;
use crate::store::alarm::hunts::SaidNo;
use crate::store::{Announcement, Work};

/// Whose answers are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Giver {
    /// Whoever has it.
    Anybody,
    /// This callee's.
    Callee(CalleeId),
    /// Those of whoever is known by this name.
    Named(String),
}

/// Somebody gives alarms back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivingBack {
    /// Whose answers are meant.
    pub giver: Giver,
    /// Who says so.
    pub by: Actor,
    /// The confirmed answers that stood on the page on which it was pressed: no other is given back. `None`: it comes from where nobody
    /// can say what they saw.
    pub seen: Option<Vec<AnswerId>>,
}

impl Engine {
    /// Gives these alarms back, as far as whoever is meant has them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn give_back_these(&self, alarms: &[AlarmId], giving: &GivingBack) -> Result<Vec<Acted>, EngineError> {
        let mut work = self.work(giving.by.doer.clone()).await?;
        let acted = self.give_back_in(&mut work, alarms, giving).await?;
        work.announce(Announcement::Hunts);
        work.commit().await?;
        Ok(acted)
    }

    /// Gives one alarm back, and no other that was rung for with it.
    ///
    /// # Errors
    /// When the database fails, there is no such alarm, it was cancelled or resolved, it wants everybody, or nobody has it.
    pub async fn give_back(&self, id: AlarmId, by: &Actor) -> Result<AlarmRow, EngineError> {
        self.change(id, &by.doer, async |engine, work, alarm, hunt| {
            refuse_if_over(alarm)?;
            if hunt.until == Until::Everyone {
                return Err(EngineError::WantsEveryone);
            }
            let giving = GivingBack { giver: Giver::Anybody, by: by.clone(), seen: None };
            let acted = engine.give_back_in(work, &[id], &giving).await?;
            if acted.iter().any(|acted| acted.effect == Effect::Done) { Ok(()) } else { Err(EngineError::NotTaken) }
        })
        .await
    }

    async fn give_back_in(&self, work: &mut Work, alarms: &[AlarmId], giving: &GivingBack) -> Result<Vec<Acted>, EngineError> {
        let now = work.now();
        let callee = match giving.giver {
            Giver::Callee(id) => match work.db().callee(id).await? {
                Some(found) => Some(found),
                None => return Ok(of_all(alarms.iter().copied(), Effect::NotTheirs)),
            },
            Giver::Anybody | Giver::Named(_) => None,
        };
        let (mut acted, meant) = self.meant(work, alarms, callee.as_ref().map(|(hunt, _)| *hunt)).await?;
        for meant in meant {
            let ids = meant.alarms.iter().map(|alarm| alarm.id);
            // A test is over once it was answered, and so is the call of a program. What wants everybody is nobody's alone.
            if !meant.hunt.kind.is_alarm() || meant.hunt.until == Until::Everyone {
                acted.extend(of_all(ids, Effect::NotTheirs));
                continue;
            }
            let given = work.db().answers_of(meant.hunt.id).await?;
            let places = work.db().callees(meant.hunt.id).await?;
            let theirs: Vec<AnswerId> = given
                .iter()
                .filter(|answer| match (&callee, &giving.giver) {
                    (Some((_, callee)), _) => {
                        let is_place = |id| places.iter().any(|place| place.id == id && callee.is_same_person(place));
                        answer.is_from(&callee.number) || answer.callee_id.is_some_and(is_place)
                    }
                    (None, Giver::Named(name)) => answer.name == *name,
                    (None, Giver::Anybody | Giver::Callee(_)) => true,
                })
                .map(|answer| answer.id)
                .collect();
            let standing: Vec<_> = given.iter().map(AnswerRow::standing).collect();
            let taken_back = seen::given_back(meant.hunt.standing(), &standing, &theirs, giving.seen.as_deref());
            let answer = match taken_back {
                Ok(id) => given.iter().find(|answer| answer.id == id),
                Err(effect) => {
                    acted.extend(of_all(ids, effect));
                    continue;
                }
            };
            let Some(answer) = answer else { continue };
            let person_id = answer.person_id.or_else(|| {
                let place = places.iter().find(|place| Some(place.id) == answer.callee_id);
                place.and_then(|place| place.person_id)
            });
            let giver = SaidNo::of_answer(&AnswerRow { person_id, ..answer.clone() });
            for alarm in &meant.alarms {
                let line = noted::line(Operation::AlarmGivenBack, alarm, &giving.by).about(person_id);
                work.note(line.before(json!({ "name": answer.name, "number": answer.number })));
                let event = Event::GivenBack {
                    name: answer.name.clone(),
                    number: answer.number.clone(),
                    by: giving.by.name.clone(),
                    done_by: Some(giving.by.doer.clone()),
                };
                work.db().insert_event(Some(alarm.id), Some(meant.hunt.id), now, &event).await?;
            }
            self.ring_afresh_without(work, &meant.alarms, &meant.hunt, RingsAgain::GivenBack, giver.as_ref()).await?;
            acted.extend(of_all(ids, Effect::Done));
        }
        Ok(acted)
    }
}

/// The same of all of them.
fn of_all(alarms: impl Iterator<Item = AlarmId>, effect: Effect) -> Vec<Acted> {
    alarms.map(|alarm| Acted { alarm, effect }).collect()
}
