//! A native handset says how far its calls have got. What a callee says with a key counts at once, and not only when the call is over.

use android_protocol::wire::{Progress, ProgressState};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::BoxFuture;

use super::call_records;
use super::report::{Hearing, Speaker};
use super::serves::ring_of;
use crate::alarm::call_record;
use crate::alarm::consequences::{self, Pressed};
use crate::alarm::doer::{Actor, Doer};
use crate::alarm::ringing;
use crate::alarm::{AlarmKind, KeyAction, Until, script};
use crate::audit::Operation;
use crate::engine::{Engine, EngineError, noted};
use crate::ids::short_mid;
use crate::numbers::{Number, Region};
use crate::store::alarm::alarms::foremost;
use crate::store::alarm::answers;
use crate::store::alarm::dials::DialRow;
use crate::store::alarm::hunts::HuntRow;
use crate::store::{Announcement, Work};

/// What a handset hears when it has said how far its call is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The dial is still wanted, or somebody has spoken in its call.
    pub wanted: bool,
    /// A sentence for the callee.
    pub say: Option<String>,
}

impl Engine {
    /// Keeps how far a native handset's call has got, and takes in what a key says.
    ///
    /// # Errors
    /// When the database fails; nothing was stored then, and a key is to be told again.
    pub fn progress<'e>(&'e self, mid: &'e str, progress: &'e Progress) -> BoxFuture<'e, Result<Heard, EngineError>> {
        Box::pin(self.take_progress(mid, progress))
    }

    async fn take_progress(&self, mid: &str, progress: &Progress) -> Result<Heard, EngineError> {
        let now = self.clock.now();
        let dial = self.store.read().await?.db().dial(mid).await?;
        // Else it may be a call that came in.
        let Some(dial) = dial else { return self.inbound_progress(mid, progress).await };
        match self.kind_of(&dial).await? {
            Some(AlarmKind::Shout) => return self.shout_progress(&dial, progress, now).await,
            Some(AlarmKind::Call) => return self.rpc_progress(&dial, progress, now).await,
            Some(AlarmKind::Alarm | AlarmKind::Test) | None => {}
        }
        let word = progress.event.as_deref().filter(|event| *event == "key").and(progress.action.as_deref());
        if let Some(action) = word.and_then(KeyAction::parse) {
            return self.take_key(&dial, progress, action, now).await;
        }
        let (place, heard) = (place_of(&dial, &progress.number), call_record::progress(progress, now));
        if dial.closed_at.is_some() {
            // It is not wanted any more; how far it got is known all the same.
            if let Some(place) = place
                && call_records::is_news(&mut self.store.read().await?.db(), mid, place, &heard).await?
            {
                let mut work = self.work_at(now, Doer::Server).await?;
                work.db().lock_hunt(dial.hunt_id).await?;
                call_records::hear(&mut work, mid, place, heard).await?;
                work.announce(Announcement::Calls);
                work.commit().await?;
            }
            return Ok(Heard::default());
        }
        let mut work = self.work_at(now, Doer::Server).await?;
        // Whoever changes a dial and its numbers locks the hunt first: a report takes both in the other order.
        work.db().lock_hunt(dial.hunt_id).await?;
        if let Some(place) = place {
            call_records::hear(&mut work, mid, place, heard).await?;
        }
        let Some(dial) = work.db().dial(mid).await?.filter(|dial| dial.closed_at.is_none()) else {
            work.announce(Announcement::Calls);
            work.commit().await?;
            return Ok(Heard::default());
        };
        let state = progress.state.map_or("unknown", ProgressState::as_str);
        if let Some(place) = place {
            work.db().set_progress(mid, place, state, now).await?;
            if progress.state == Some(ProgressState::Connected) {
                work.db().connected(mid, place, now).await?;
            }
            if let Some(name) = progress.value.as_deref().filter(|_| progress.event.as_deref() == Some("recording")) {
                Self::name_recording(&mut work, &dial, &progress.number, name).await?;
            }
            self.is_at_work(&mut work, &dial, now).await?;
            work.announce(Announcement::Calls);
            work.commit().await?;
        }
        Ok(Heard { wanted: true, say: None })
    }

    /// Gives an open dial time as long as its handset is at work on it.
    async fn is_at_work(&self, work: &mut Work, dial: &DialRow, now: DateTime<Utc>) -> Result<(), EngineError> {
        let ring = ring_of(&mut work.db(), dial.handset_id).await?;
        let talk = TimeDelta::seconds(i64::try_from(script::LONGEST_CALL).unwrap_or(0));
        let deadline = ringing::deadline_at_work(now, dial.deadline, dial.offered_at, ring, talk);
        if deadline > dial.deadline {
            work.db().at_work(&dial.mid, deadline).await?;
        }
        Ok(())
    }

    /// Whoever was called has taken the alarms of the call, or declined them, with a key.
    async fn note_key(
        &self,
        work: &mut Work,
        dial: &DialRow,
        number: &str,
        action: KeyAction,
        region: Region,
    ) -> Result<(), EngineError> {
        let operation = match action {
            KeyAction::Accept => Operation::AlarmAcknowledged,
            _ => Operation::AlarmDeclined,
        };
        let callees = work.db().callees(dial.hunt_id).await?;
        let callee = callees.into_iter().find(|callee| Number::from_stored(callee.number.as_str()).matches(number, region));
        let by = Actor { name: callee.as_ref().and_then(|callee| callee.name.clone()), doer: work.by().clone() };
        for alarm in work.db().alarms_of(dial.hunt_id).await? {
            let person = callee.as_ref().and_then(|callee| callee.person_id);
            let after = serde_json::json!({ "key": action.as_str(), "number": callee.as_ref().map(|callee| &callee.number) });
            work.note(noted::line(operation, &alarm, &by).by_person(person).after(after));
        }
        Ok(())
    }

    async fn take_key(
        &self,
        dial: &DialRow,
        progress: &Progress,
        action: KeyAction,
        now: DateTime<Utc>,
    ) -> Result<Heard, EngineError> {
        let number = progress.number.as_str();
        let Speaker { region, by, .. } = self.speaker_of(dial).await?;
        let region_of_key = region;
        let mut work = self.work_at(now, by).await?;
        let Some(mut hearing) = self.hearing(&mut work, dial, region).await? else { return Ok(Heard::default()) };
        let Hearing { standing, rung, region, .. } = &hearing;
        let (pressed, follows) = consequences::key(&standing.borrow(), rung, number, action, *region, now);
        if let Some(place) = call_records::place_of(&rung.rings, number, *region) {
            call_records::hear(&mut work, &hearing.dial.mid, place, call_record::progress(progress, now)).await?;
        }
        for one in follows {
            self.follow_report(&mut work, &mut hearing, one).await?;
        }
        let wanted = hearing.dial.closed_at.is_none();
        if wanted {
            if let Some(place) = place_of(&hearing.dial, number) {
                work.db().set_progress(&hearing.dial.mid, place, ProgressState::Connected.as_str(), now).await?;
                work.db().connected(&hearing.dial.mid, place, now).await?;
            }
            self.is_at_work(&mut work, &hearing.dial, now).await?;
        }
        let say = match (wanted, action) {
            (false, KeyAction::Accept) => self.why_too_late(&mut work, &hearing).await?,
            _ => None,
        };
        if pressed == Pressed::Word {
            self.note_key(&mut work, &hearing.dial, number, action, region_of_key).await?;
        }
        work.announce(if pressed == Pressed::Word { Announcement::Hunts } else { Announcement::Calls });
        work.commit().await?;
        if pressed == Pressed::Word {
            tracing::info!(dial.mid = short_mid(&dial.mid), action = action.as_str(), open = wanted, "a key");
        }
        Ok(Heard { wanted, say })
    }

    /// What whoever has picked up hears in a call that ends because it is wanted no more, and in which language; `None` where nobody has, or
    /// there is nothing to say.
    pub(in crate::engine) async fn why_over(&self, work: &mut Work, mid: &str) -> Result<Option<(String, String)>, EngineError> {
        let Some(dial) = work.db().dial(mid).await? else { return Ok(None) };
        let connected = work.db().targets(mid).await?.iter().any(|target| target.connected_at.is_some());
        match work.db().hunt(dial.hunt_id).await?.filter(|_| connected) {
            Some(hunt) => self.why_wanted_no_more(work, &hunt, &dial).await,
            None => Ok(None),
        }
    }

    /// What somebody hears who takes it in a call that was given up.
    async fn why_too_late(&self, work: &mut Work, hearing: &Hearing) -> Result<Option<String>, EngineError> {
        let hunt = work.db().lock_hunt(hearing.hunt.id).await?;
        Ok(self.why_wanted_no_more(work, &hunt, &hearing.dial).await?.map(|(say, _)| say))
    }

    async fn why_wanted_no_more(
        &self,
        work: &mut Work,
        hunt: &HuntRow,
        dial: &DialRow,
    ) -> Result<Option<(String, String)>, EngineError> {
        let given = work.db().answers_of(hunt.id).await?;
        let counts = answers::current(&given).filter(|answer| answer.mid.as_deref() != Some(dial.mid.as_str()));
        let own = work.db().targets(&dial.mid).await?;
        let callees = work.db().callees(hunt.id).await?;
        let callee = callees.iter().find(|callee| own.iter().any(|target| target.callee_id == callee.id));
        let person = match callee.and_then(|callee| callee.person_id) {
            Some(id) => work.db().person(id).await?,
            None => None,
        };
        let alarm = foremost(work.db().alarms_of(hunt.id).await?);
        let barista = match &alarm {
            Some(alarm) => work.db().barista_call(alarm.id).await?,
            None => None,
        };
        let told = barista.map(|call| call.language).or(person.map(|person| person.language));
        let summary = alarm.map(|alarm| alarm.summary).unwrap_or_default();
        let language = script::language_of(told.as_deref(), &summary);
        // Where everybody is wanted, nobody takes it for the others.
        let taken_by = counts.filter(|_| hunt.until == Until::First).map(|answer| answer.name.as_str());
        Ok(script::too_late(hunt.outcome, taken_by, &language).map(|say| (say, language)))
    }
}

/// Where a number stands in the list of a dial.
fn place_of(dial: &DialRow, number: &str) -> Option<i32> {
    dial.phones.iter().position(|phone| phone == number).and_then(|place| i32::try_from(place).ok())
}
