//! A call comes in on a handset, for a program that listens.

use android_protocol::live::Incoming;
use chrono::TimeDelta;
use uuid::Uuid;

use super::listening::GONE_AFTER;
use super::making::{NewCall, insert_alarm};
use super::running::Running;
use super::{HOLDS_CALLS, PROCESS, Spoken};
use crate::alarm::AlarmKind;
use crate::alarm::doer::Doer;
use crate::cti::call::Call;
use crate::cti::effect::HandedOut;
use crate::cti::request::LONGEST_CALL;
use crate::cti::{Birth, Creator, Dialect, Prefix, Resource};
use crate::engine::{Engine, EngineError};
use crate::ids::{CalleeId, HuntId, new_mid, short_mid};
use crate::needs::Words;
use crate::numbers::Number;
use crate::rights::Right;
use crate::store::lines::inbound_calls::InboundCallRow;
use crate::store::media::recordings::Records;
use crate::store::watch::handsets::HandsetRow;
use crate::store::{Announcement, Work};

/// Whoever is told of a call decides within this; its handset gives up earlier.
const DECIDED_WITHIN: TimeDelta = TimeDelta::seconds(60);
/// No more of one number in a minute: each keeps a channel while it rings.
const MOST_OF_A_NUMBER: i64 = 10;

/// A call that a program is told of.
#[derive(Clone, Debug)]
pub struct ForProgram {
    /// Its name from then on.
    pub mid: String,
    /// It lasts for so long at most, in seconds.
    pub seconds: u32,
}

impl Engine {
    /// A call comes in that is for no alarm. `None`: no program listens, or this handset cannot hold a call for one.
    ///
    /// # Errors
    /// When the database fails; nothing was stored then.
    pub(in crate::engine) async fn comes_in_for_program(
        &self,
        handset: &HandsetRow,
        call: &Incoming,
    ) -> Result<Option<ForProgram>, EngineError> {
        let now = self.clock.now();
        if !handset.words().cover(&Words::read(HOLDS_CALLS)) {
            return Ok(None);
        }
        let key = {
            let mut reader = self.store.read().await?;
            let mut found = None;
            for key in reader.db().keys_with_consumers(now - GONE_AFTER).await? {
                let row = reader.db().key(key).await?;
                if row.is_some_and(|row| row.revoked_at.is_none() && row.may(Right::Calls)) {
                    found = Some(key);
                    break;
                }
            }
            found
        };
        let Some(key) = key else { return Ok(None) };
        let number = Number::parse(&call.from, self.region()).map(|parsed| parsed.number.as_str().to_owned()).unwrap_or_default();
        let mut work = self.work_at(now, Doer::Handset { name: handset.name.clone() }).await?;
        let mut running = Running::of(self, &mut work, key).await?;
        work.db().lock_handset(handset.id).await?;
        if let Some(known) = work.db().inbound_call_told_as(handset.id, &call.id).await? {
            let open = known.is_open(now) && work.db().resource_of_mid(&known.mid).await?.is_some();
            return Ok(open.then_some(ForProgram { mid: known.mid, seconds: LONGEST_CALL }));
        }
        if work.db().open_channels(handset.id).await?.contains(&call.channel)
            || work.db().count_inbound_of(&number, now - TimeDelta::minutes(1)).await? >= MOST_OF_A_NUMBER
        {
            return Ok(None);
        }
        work.db().end_inbound_on(handset.id, call.channel, now).await?;
        // Nobody is rung for it.
        let far = now + TimeDelta::days(1);
        let hunt = insert_alarm(&mut work, key, &handset.name, &call.from, (Words::default(), Some(handset.id))).await?;
        work.db().set_hunt_due(hunt, far, far, now).await?;
        let mid = keep_incoming(&mut work, handset, call, (&number, hunt)).await?;
        let creator = Creator { dialect: Dialect::B, prefix: Prefix::Sys };
        let birth =
            Birth { res_id: format!("0.0.0-sys.call-{}", new_mid(now)), creator, process_id: PROCESS.to_owned(), at: now };
        let has = HandedOut { handset: handset.name.clone(), channel: call.channel, can: handset.words() };
        let (made, effects) = Call::inbound(birth, &call.from, &call.to, &call.codecs, has);
        let new = NewCall { number, hunt: Some(hunt), mid: Some(mid.clone()), handset: Some(handset.id) };
        let spoken = Spoken { creator, socket: None };
        running.add(&mut work, Resource::Call(Box::new(made)), &spoken, Some(&new), effects).await?;
        running.carry_out(&mut work).await?;
        running.keep(&mut work).await?;
        work.announce(Announcement::Calls);
        work.announce(Announcement::Rpc);
        work.commit().await?;
        tracing::info!(dial.mid = short_mid(&mid), handset.name = %handset.name, "a call comes in for a program");
        Ok(Some(ForProgram { mid, seconds: LONGEST_CALL }))
    }
}

async fn keep_incoming(
    work: &mut Work,
    handset: &HandsetRow,
    call: &Incoming,
    (number, hunt): (&str, HuntId),
) -> Result<String, EngineError> {
    let now = work.now();
    let row = InboundCallRow {
        mid: new_mid(now),
        handset_id: handset.id,
        told_as: call.id.clone(),
        channel: call.channel,
        caller: call.from.clone(),
        called: call.to.clone(),
        number: number.to_owned(),
        // It is about no alarm.
        hunt_id: hunt,
        callee_id: CalleeId(Uuid::nil()),
        alarms: Vec::new().into(),
        at: now,
        deadline: now + DECIDED_WITHIN,
        ended_at: None,
        action: None,
        acted_at: None,
        records: Some(Records::Message),
    };
    if !work.db().insert_inbound_call(&row).await? {
        return Err(EngineError::Contended);
    }
    let person = work.db().person_with_number(number).await?;
    let (name, id) = person.map(|person| (person.name, person.id)).unzip();
    work.db().begin_inbound_record(&row, name.as_deref(), id, &handset.name, AlarmKind::Call).await?;
    Ok(row.mid)
}
